/* SPDX-License-Identifier: Apache-2.0
 *
 * Fields from files, with their titles: observations in time, the newest of several sources, or
 * the lead times of a forecast.
 */
#include <math.h>
#include <string.h>

#include "cli/plot.h"
#include "libgen/base/alloc.h"

static gen_status make_room(plot_maps *m, int64_t n)
{
    m->n = n;
    GEN_TRY(GEN_ALLOC(&m->panel, n, "maps"));
    return GEN_ALLOC(&m->text, n, "maps");
}

static void set_panel(plot_maps *m, int64_t i, const float *rain, const gen_radar_grid *grid)
{
    m->panel[i] = (gen_plot_panel){ rain, m->text[i][0], m->text[i][1], grid };
}

/* ---- observations ------------------------------------------------------------------------ */

static gen_status read_sequence(plot_maps *m, const gen_run *r, const file_list *files, bool film)
{
    const plot_settings *o = r->settings;
    char clock[40];
    GEN_TRY(GEN_ALLOC(&m->s, 1, "maps"));
    GEN_TRY(read_until(&m->s[0], r, files, o->at, o->frames ? o->frames : film ? 0 : 1));
    m->n_s = 1;
    const gen_radar_sequence *s = m->s[0];
    GEN_TRY(make_room(m, s->frames));
    m->grid = &s->grid;
    snprintf(m->source, sizeof m->source, "%s", s->source);
    for (int64_t i = 0; i < s->frames; i++) {
        snprintf(m->text[i][0], sizeof m->text[0][0], "%s", time_title(s->time[i], clock));
        set_panel(m, i, s->rain + i * s->grid.height * s->grid.width, NULL);
    }
    return GEN_OK;
}

/* The newest frame of each file, or that at a time, whatever its grid. */
static gen_status read_each(plot_maps *m, const gen_run *r, const file_list *files)
{
    const plot_settings *o = r->settings;
    char clock[40];
    GEN_TRY(make_room(m, files->n));
    GEN_TRY(GEN_ALLOC(&m->s, files->n, "maps"));
    for (int i = 0; i < files->n; i++) {
        file_list one = { .path = &files->path[i], .n = 1 };
        GEN_TRY(read_until(&m->s[i], r, &one, o->at, 1));
        m->n_s = i + 1;
        const gen_radar_sequence *s = m->s[i];
        bool named = i < gen_run_given(r, "label");
        snprintf(m->text[i][0], sizeof m->text[0][0], "%s",
                 named ? gen_run_text(r, "label", i) : s->source);
        snprintf(m->text[i][1], sizeof m->text[0][0], "%s", time_title(s->time[0], clock));
        set_panel(m, i, s->rain, &s->grid);
    }
    return GEN_OK;
}

/* ---- forecasts --------------------------------------------------------------------------- */

/* rain [cells] of a member; of all: their mean, or the share in % that has at least `over` mm/h. A
 * cell that one of them lacks is missing. */
static gen_status read_lead(gen_forecast_file *f, const plot_settings *o, int64_t lead, float *rain,
                            float *scratch)
{
    int64_t cells = f->grid.height * f->grid.width;
    if (o->member >= 0)
        return gen_forecast_read(f, o->member, lead, rain);
    memset(rain, 0, (size_t)cells * sizeof *rain);
    float weight = (o->mean ? 1.0f : 100.0f) / (float)f->members;
    for (int64_t k = 0; k < f->members; k++) {
        GEN_TRY(gen_forecast_read(f, k, lead, scratch));
        for (int64_t i = 0; i < cells; i++) {
            float v = scratch[i];
            rain[i] += isnan(v) ? NAN : weight * (o->mean ? v : v >= (float)o->over);
        }
    }
    return GEN_OK;
}

static void name_forecast(plot_maps *m, const plot_settings *o, const gen_forecast_file *f)
{
    char from[40];
    const char *name = strrchr(f->path, '/');
    snprintf(m->source, sizeof m->source, "from %s, %.300s", time_title(f->reference_time, from),
             name ? name + 1 : f->path);
    if (o->member >= 0)
        snprintf(m->heading, sizeof m->heading, "Rain forecast, member %lld", (long long)o->member);
    else if (o->mean)
        snprintf(m->heading, sizeof m->heading, "Rain forecast, mean of %lld members",
                 (long long)f->members);
    else
        snprintf(m->heading, sizeof m->heading, "Probability of %g mm/h or more", o->over);
    m->scale = o->member < 0 && !o->mean ? GEN_PLOT_PROBABILITY : GEN_PLOT_RATE;
}

static gen_status check_forecast(const plot_settings *o, const file_list *files)
{
    if (files->n != 1)
        return gen_fail(GEN_EINVAL, "--member, --mean, --over: %d files, expected one forecast",
                        files->n);
    if (o->at || o->each)
        return gen_fail(GEN_EINVAL, "--%s: not with a forecast", o->at ? "at" : "each");
    if ((o->member >= 0) + (o->mean != 0) + (o->over >= 0) > 1)
        return gen_fail(GEN_EINVAL, "--member, --mean, --over: expected one of them");
    return GEN_OK;
}

static gen_status read_forecast(plot_maps *m, const gen_run *r, const file_list *files)
{
    gen_status status;
    const plot_settings *o = r->settings;
    gen_radar_read_options options;
    float *scratch = NULL;
    char clock[40];
    GEN_TRY(check_forecast(o, files));
    GEN_TRY(radar_options(&options, r));
    GEN_TRY(gen_forecast_open(&m->forecast, files->path[0], &options));
    gen_forecast_file *f = m->forecast;
    if (o->member >= f->members)
        return gen_fail(GEN_EINVAL, "--member %lld: '%s' has members 0 to %lld",
                        (long long)o->member, f->path, (long long)f->members - 1);
    int64_t leads = o->frames && o->frames < f->lead_steps ? o->frames : f->lead_steps;
    int64_t cells = f->grid.height * f->grid.width;
    GEN_TRY(make_room(m, leads));
    m->grid = &f->grid;
    name_forecast(m, o, f);
    GEN_GOTO(
        gen_alloc_raw((void **)&m->rain, (uint64_t)leads * (uint64_t)cells, sizeof(float), "maps"));
    GEN_GOTO(gen_alloc_raw((void **)&scratch, (uint64_t)cells, sizeof(float), "maps"));
    for (int64_t i = 0; i < leads; i++) {
        GEN_GOTO(read_lead(f, o, i, m->rain + i * cells, scratch));
        GEN_GOTO(gen_progress_report(&r->progress, "reading", (double)i, (double)leads));
        snprintf(m->text[i][0], sizeof m->text[0][0], "%s", time_title(f->time[i], clock));
        snprintf(m->text[i][1], sizeof m->text[0][0], "%+g min",
                 (double)(f->time[i] - f->reference_time) / 60);
        set_panel(m, i, m->rain + i * cells, NULL);
    }
done:
    gen_free(scratch);
    return status;
}

/* ---- all --------------------------------------------------------------------------------- */

gen_status plot_maps_read(plot_maps *m, const gen_run *r, const file_list *files, bool film)
{
    const plot_settings *o = r->settings;
    *m = (plot_maps){ .heading = "Rain rate" };
    if (o->member >= 0 || o->mean || o->over >= 0)
        return read_forecast(m, r, files);
    return o->each ? read_each(m, r, files) : read_sequence(m, r, files, film);
}

void plot_maps_free(plot_maps *m)
{
    for (int64_t i = 0; i < m->n_s; i++)
        gen_radar_free(&m->s[i]);
    gen_free(m->s);
    gen_forecast_close(&m->forecast);
    gen_free(m->rain);
    gen_free(m->text);
    gen_free(m->panel);
}
