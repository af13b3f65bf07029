/* SPDX-License-Identifier: Apache-2.0
 *
 * The pictures of gen nowcast: a map for each lead time, and an overview. Of the members only the
 * few frames that they show are kept.
 */
#include <math.h>
#include <string.h>

#include <libgen/plot.h>

#include "cli/nowcast.h"
#include "libgen/base/alloc.h"

gen_status picture_path(const forecast *f, const char *name, char **out)
{
    return picture_file(f->o->plot, name, out);
}

static void lead_name(const forecast *f, int64_t step, char name[40])
{
    int64_t seconds = (step + 1) * f->s->step;
    if (seconds % 60)
        snprintf(name, 40, "lead_%06llds.png", (long long)seconds);
    else
        snprintf(name, 40, "lead_%03lldmin.png", (long long)(seconds / 60));
}

gen_status check_picture(const forecast *f, const char *name)
{
    return picture_check(f->o->plot, name, f->run->common.force);
}

/* Before anything is computed: the folder is there, and no picture is in the way. */
static gen_status check_pictures(forecast *f)
{
    char name[40] = "overview.png";
    GEN_TRY(output_folder(f->o->plot, &f->made_folder));
    for (int64_t s = -1; s < f->nowcast.lead_steps; s++) {
        if (s >= 0)
            lead_name(f, s, name);
        GEN_TRY(check_picture(f, name));
    }
    return GEN_OK;
}

gen_status prepare_pictures(forecast *f)
{
    int64_t steps = f->nowcast.lead_steps;
    GEN_TRY(check_pictures(f));
    f->columns = (int)(steps < NOWCAST_COLUMNS ? steps : NOWCAST_COLUMNS);
    for (int k = 0; k < f->columns; k++) /* evenly, ending with the last */
        f->column[k] = (k + 1) * steps / f->columns - 1;
    if (f->products.any)
        GEN_TRY(prepare_product_pictures(f));
    GEN_TRY(GEN_ALLOC(&f->first, steps * f->cells, "pictures"));
    if (f->nowcast.members > 1 && f->nowcast.method >= GEN_NOWCAST_DGMR) {
        GEN_TRY(GEN_ALLOC(&f->second, f->columns * f->cells, "pictures"));
        GEN_TRY(GEN_ALLOC(&f->mean, f->columns * f->cells, "pictures"));
    }
    if (f->live)
        return GEN_OK; /* nothing is later than the newest */
    gen_radar_read_options later;
    GEN_TRY(radar_options(&later, f->run));
    later.first = f->reference + f->s->step;
    later.last = f->reference + steps * f->s->step;
    later.fill = GEN_RADAR_FILL_MISSING;
    if (gen_radar_read(&f->observed, (const char *const *)f->files.path, f->files.n, &later) !=
        GEN_OK)
        f->observed = NULL; /* a forecast of the future has none */
    return f->observed ? radar_part(f->observed, f->run) : GEN_OK;
}

void shorten_pictures(forecast *f, int64_t planned, int64_t members)
{
    for (int64_t i = 0; f->mean && i < f->columns * f->cells; i++)
        f->mean[i] *= (float)planned / (float)members;
    if (members > 1)
        return;
    gen_free(f->second);
    gen_free(f->mean);
    f->second = f->mean = NULL;
}

/* Keeps what the pictures need. */
void keep_for_pictures(forecast *f, int64_t member, const float *rain)
{
    size_t frame = (size_t)f->cells * sizeof(float);
    if (member == 0)
        memcpy(f->first, rain, frame * (size_t)f->nowcast.lead_steps);
    for (int k = 0; k < f->columns; k++) {
        const float *from = rain + f->column[k] * f->cells;
        if (member == 1 && f->second)
            memcpy(f->second + k * f->cells, from, frame);
        for (int64_t i = 0; f->mean && i < f->cells; i++)
            f->mean[k * f->cells + i] += from[i] / (float)f->nowcast.members;
    }
}

/* "10:30 UTC" of a time, with its day when that is not the reference's. */
static const char *clock_text(const forecast *f, int64_t t, char buf[40])
{
    char text[32], reference[32];
    gen_time_text(t, text);
    gen_time_text(f->reference, reference);
    bool same = strncmp(text, reference, 10) == 0, seconds = t % 60 != 0;
    snprintf(buf, 40, "%.*s%s%.*s UTC", same ? 0 : 5, text + 5, same ? "" : " ", seconds ? 8 : 5,
             text + 11); /* "08-25 00:15 UTC" on another day */
    return buf;
}

static void lead_text(const forecast *f, int64_t step, char buf[40])
{
    snprintf(buf, 40, "+%g min", (double)((step + 1) * f->s->step) / 60);
}

/* One map a lead time, of the first member. */
static gen_status draw_leads(forecast *f)
{
    char name[40], lead[40], valid[40], from[40], title[100], subtitle[400], *path = NULL;
    for (int64_t s = 0; s < f->nowcast.lead_steps; s++) {
        lead_name(f, s, name);
        lead_text(f, s, lead);
        char date[32];
        int64_t t = f->reference + (s + 1) * f->s->step;
        snprintf(title, sizeof title, "Rain forecast for %.10s %s", gen_time_text(t, date),
                 clock_text(f, t, valid) + (valid[2] == '-' ? 6 : 0));
        snprintf(subtitle, sizeof subtitle, "%s from %s, %s%s; %.200s", lead,
                 clock_text(f, f->reference, from), method_names[f->nowcast.method],
                 f->nowcast.members > 1 ? ", member 0" : "", f->s->source);
        gen_plot_panel panel = { .rain = f->first + s * f->cells };
        gen_plot_options o = {
            .title = title, .subtitle = subtitle, .made = f->history, .force = f->run->common.force
        };
        GEN_TRY(picture_path(f, name, &path));
        gen_status status = gen_plot(path, &f->s->grid, &panel, 1, &o);
        gen_free(path);
        GEN_TRY(status);
        f->pictures++;
        GEN_TRY(gen_progress_report(&f->run->progress, "pictures", (double)(s + 1),
                                    (double)f->nowcast.lead_steps));
    }
    return GEN_OK;
}

/* A row of the overview: newest frame or label on the left, then the lead times. */
typedef struct overview {
    gen_plot_panel panel[5 * NOWCAST_COLUMNS];
    char title[5 * NOWCAST_COLUMNS][60], note[5 * NOWCAST_COLUMNS][40];
    int n;
} overview;

static void add_panel(overview *v, const float *rain, const char *what, const char *note)
{
    snprintf(v->title[v->n], sizeof v->title[0], "%s", what);
    snprintf(v->note[v->n], sizeof v->note[0], "%s", note);
    v->panel[v->n] = (gen_plot_panel){ rain, v->title[v->n], v->note[v->n] };
    v->n++;
}

/* frames: [lead_steps,cells] when by_step, else [columns,cells]. */
static void add_row(overview *v, const forecast *f, const char *what, const float *frames,
                    bool by_step)
{
    char title[100], valid[40], lead[40];
    for (int k = 0; k < f->columns; k++) {
        int64_t s = f->column[k];
        clock_text(f, f->reference + (s + 1) * f->s->step, valid);
        lead_text(f, s, lead);
        snprintf(title, sizeof title, "%s %s", what, valid);
        add_panel(v, frames + (by_step ? s : k) * f->cells, title, lead);
    }
}

/* The observed frames at the columns; what is not in the files is missing. */
static gen_status observed_row(const forecast *f, float **out)
{
    GEN_TRY(GEN_ALLOC(out, f->columns * f->cells, "pictures"));
    for (int k = 0; k < f->columns; k++) {
        int64_t t = f->reference + (f->column[k] + 1) * f->s->step, found = -1;
        for (int64_t i = 0; i < f->observed->frames; i++)
            if (f->observed->time[i] == t)
                found = i;
        for (int64_t i = 0; i < f->cells; i++)
            (*out)[k * f->cells + i] = found < 0 ? NAN : f->observed->rain[found * f->cells + i];
    }
    return GEN_OK;
}

static gen_status draw_overview(forecast *f)
{
    gen_status status;
    overview *v = NULL;
    float *observed = NULL;
    char *path = NULL, title[100], subtitle[400], date[32], from[40];
    GEN_GOTO(GEN_ALLOC(&v, 1, "overview"));
    GEN_GOTO(picture_path(f, "overview.png", &path));
    if (f->observed) {
        GEN_GOTO(observed_row(f, &observed));
        add_row(v, f, "observed", observed, false);
    }
    add_row(v, f, f->second ? "member 0" : "forecast", f->first, true);
    if (f->second)
        add_row(v, f, "member 1", f->second, false);
    if (f->mean)
        add_row(v, f, "mean", f->mean, false);
    snprintf(title, sizeof title, "Rain forecast from %.10s %s", gen_time_text(f->reference, date),
             clock_text(f, f->reference, from));
    snprintf(subtitle, sizeof subtitle, "method %s, %lld member%s; %.200s",
             method_names[f->nowcast.method], (long long)f->nowcast.members,
             f->nowcast.members > 1 ? "s" : "", f->s->source);
    gen_plot_options o = { .title = title,
                           .subtitle = subtitle,
                           .made = f->history,
                           .columns = f->columns,
                           .force = f->run->common.force };
    GEN_GOTO(gen_plot(path, &f->s->grid, v->panel, v->n, &o));
    f->pictures++;
done:
    gen_free(path);
    gen_free(observed);
    gen_free(v);
    return status;
}

gen_status draw_pictures(forecast *f)
{
    GEN_TRY(draw_leads(f));
    GEN_TRY(draw_overview(f));
    return f->product_pictures ? draw_product_pictures(f) : GEN_OK;
}

void free_pictures(forecast *f)
{
    gen_free(f->first);
    gen_free(f->second);
    gen_free(f->mean);
    free_product_pictures(f);
}
