/* SPDX-License-Identifier: Apache-2.0
 *
 * gen nowcast: from radar files to a forecast as CF netCDF and, with --plot, as maps.
 *
 * Members are written as they come; only one is in memory, and of the others the few frames that
 * the overview shows.
 */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libgen/model.h>
#include <libgen/plot.h>

#include "cli/weather_files.h"
#include "libgen/base/alloc.h"
#include "libgen/base/json.h"

#define CONTEXT 4 /* frames that any method uses */
#define COLUMNS 6 /* lead times in the overview */
#define SHOWN 2   /* members in the overview */
#define DEFAULT_LEAD 90

typedef struct settings {
    const char *at, *plot;
    int64_t lead, method, encoding;
} settings;

#define AT(field) .offset = offsetof(settings, field)
static const gen_option options[] = {
    { GEN_OPT_STRING, "at", AT(at), .value = "TIME",
      .help =
          "forecast from the frame of this time, UTC like 2017-01-31T10:00; default the newest" },
    { GEN_OPT_INT, "lead", AT(lead), .preset = DEFAULT_LEAD, .min = 1, .max = 14400, .value = "MIN",
      .help = "minutes ahead, a multiple of the files' step; when not given, the last step within "
              "the default" },
    { GEN_OPT_CHOICE, "method", AT(method), .preset = GEN_NOWCAST_ADVECTION,
      .choices = "advection|persistence|dgmr",
      .help = "advection moves the rain along its motion (2 frames or more); persistence repeats "
              "the newest frame; dgmr generates members by a network (4 frames and -m MODEL). The "
              "first two have one answer: they write one member, unless --members asks for more, "
              "and those are equal" },
    { GEN_OPT_STRING, "plot", AT(plot), .value = "DIR",
      .help = "also write maps to this folder: one for each lead time, and an overview" },
    { GEN_OPT_CHOICE, "encoding", AT(encoding), .preset = 0, .choices = "packed|float",
      .help = "packed: 16 bit in steps of 1/128 mm/h up to 511 mm/h; float: 32 bit" },
    { 0 },
};

static const char *const method_names[] = { "advection", "persistence", "dgmr" };

typedef struct forecast {
    gen_run *run;
    const settings *o;
    file_list files;
    gen_radar_sequence *s;
    gen_model *model; /* of method dgmr, else NULL */
    gen_nowcast_options nowcast;
    gen_forecast *file;
    char *history, *source;
    int64_t cells, reference;
    int64_t column[COLUMNS]; /* lead steps in the overview, from 0 */
    int columns, shown;
    float *first;                 /* first member, [lead_steps,cells]; plots only */
    float *second;                /* second member at the columns, or NULL */
    float *mean;                  /* ensemble mean at the columns, or NULL */
    gen_radar_sequence *observed; /* after the reference time, or NULL */
    int pictures;
    bool made_folder; /* of the pictures, by us */
} forecast;

/* ---- the forecast ------------------------------------------------------------------------ */

static gen_status lead_steps(const forecast *f, int64_t *steps)
{
    int64_t step = f->s->step, lead = f->o->lead * 60;
    if (step == 0)
        return gen_fail(GEN_EDATA, "'%s' holds one frame, which tells no time step: give 2 or more",
                        f->s->source);
    *steps = lead / step;
    if (lead % step != 0 && gen_run_given(f->run, "lead"))
        return gen_fail(GEN_EINVAL,
                        "--lead %lld: expected a multiple of the step of the files, %g min",
                        (long long)f->o->lead, (double)step / 60);
    if (*steps < 1)
        return gen_fail(GEN_EINVAL, "--lead %lld: expected at least the step of the files, %g min",
                        (long long)f->o->lead, (double)step / 60);
    return GEN_OK;
}

/* The model, and what the output says about where it comes from. */
static gen_status load_model(forecast *f)
{
    char digest[65];
    size_t size = strlen(f->source) + 128;
    char *longer;
    GEN_TRY(gen_model_load(&f->model, f->run->common.model));
    GEN_TRY(gen_model_digest(f->model, digest));
    GEN_TRY(GEN_ALLOC(&longer, size, "source"));
    snprintf(longer, size, "%s; model %s, sha256 %s", f->source, f->model->arch->name, digest);
    gen_free(f->source);
    f->source = longer;
    f->nowcast.model = f->model;
    f->nowcast.consume_model = 1;
    return GEN_OK;
}

static gen_status prepare(forecast *f)
{
    const gen_common *c = &f->run->common;
    gen_nowcast_options *n = &f->nowcast;
    GEN_TRY(file_list_fill(&f->files, f->run->operands, f->run->n_operands));
    GEN_TRY(refuse_input(&f->files, c->output));
    GEN_TRY(read_until(&f->s, f->run, &f->files, f->o->at, CONTEXT));
    f->cells = f->s->grid.height * f->s->grid.width;
    f->reference = f->s->time[f->s->frames - 1];
    n->method = (gen_nowcast_method)f->o->method;
    GEN_TRY(lead_steps(f, &n->lead_steps));
    n->members = c->samples ? c->samples : 1;
    n->seed = (uint64_t)c->seed;
    n->threads = (int)c->threads;
    n->device = c->device;
    n->precision = (int)gen_run_dtype(f->run);
    n->memory_budget = c->memory_budget;
    n->progress = f->run->progress;
    GEN_TRY(history_text(&f->history, f->run));
    size_t size = strlen(f->s->source) + 128;
    GEN_TRY(GEN_ALLOC(&f->source, size, "source"));
    snprintf(f->source, size, "libgen %s, method %s, from %s", gen_version(),
             method_names[n->method], f->s->source);
    return n->method == GEN_NOWCAST_DGMR ? load_model(f) : GEN_OK;
}

static gen_status open_file(forecast *f)
{
    gen_forecast_info info = { .grid = &f->s->grid,
                               .reference_time = f->reference,
                               .step = f->s->step,
                               .lead_steps = f->nowcast.lead_steps,
                               .members = f->nowcast.members,
                               .floats = f->o->encoding == 1,
                               .force = f->run->common.force,
                               .source = f->source,
                               .history = f->history };
    return gen_forecast_create(&f->file, f->run->common.output, &info);
}

/* Keeps what the pictures need. */
static void keep(forecast *f, int64_t member, const float *rain)
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

static gen_status take_member(void *cookie, int64_t member, const float *rain)
{
    forecast *f = cookie;
    GEN_TRY(gen_forecast_write(f->file, member, rain));
    if (f->first)
        keep(f, member, rain);
    return GEN_OK;
}

/* ---- pictures ---------------------------------------------------------------------------- */

static gen_status picture_path(const forecast *f, const char *name, char **out)
{
    size_t size = strlen(f->o->plot) + strlen(name) + 2;
    GEN_TRY(GEN_ALLOC(out, size, "a file name"));
    snprintf(*out, size, "%s/%s", f->o->plot, name);
    return GEN_OK;
}

static void lead_name(const forecast *f, int64_t step, char name[40])
{
    int64_t seconds = (step + 1) * f->s->step;
    if (seconds % 60)
        snprintf(name, 40, "lead_%06llds.png", (long long)seconds);
    else
        snprintf(name, 40, "lead_%03lldmin.png", (long long)(seconds / 60));
}

/* Before anything is computed: the folder is there, and no picture is in the way. */
static gen_status check_pictures(forecast *f)
{
    gen_status status = GEN_OK;
    char *path = NULL, name[40] = "overview.png";
    struct stat info;
    f->made_folder = mkdir(f->o->plot, 0777) == 0;
    if (!f->made_folder && errno != EEXIST)
        return gen_fail(GEN_EIO, "cannot make folder '%s': %s", f->o->plot, strerror(errno));
    if (stat(f->o->plot, &info) != 0 || !S_ISDIR(info.st_mode))
        return gen_fail(GEN_EINVAL, "--plot '%s': is there and no folder", f->o->plot);
    if (access(f->o->plot, W_OK | X_OK) != 0)
        return gen_fail(GEN_EIO, "--plot '%s': cannot write there: %s", f->o->plot,
                        strerror(errno));
    for (int64_t s = -1; s < f->nowcast.lead_steps && !f->run->common.force; s++) {
        if (s >= 0)
            lead_name(f, s, name);
        GEN_TRY(picture_path(f, name, &path));
        if (access(path, F_OK) == 0)
            status = gen_fail(GEN_EEXIST, "'%s' exists (--force overwrites)", path);
        gen_free(path);
        GEN_TRY(status);
    }
    return GEN_OK;
}

static gen_status prepare_pictures(forecast *f)
{
    int64_t steps = f->nowcast.lead_steps;
    GEN_TRY(check_pictures(f));
    f->columns = (int)(steps < COLUMNS ? steps : COLUMNS);
    for (int k = 0; k < f->columns; k++) /* evenly, ending with the last */
        f->column[k] = (k + 1) * steps / f->columns - 1;
    GEN_TRY(GEN_ALLOC(&f->first, steps * f->cells, "pictures"));
    if (f->nowcast.members > 1 && f->nowcast.method == GEN_NOWCAST_DGMR) {
        GEN_TRY(GEN_ALLOC(&f->second, f->columns * f->cells, "pictures"));
        GEN_TRY(GEN_ALLOC(&f->mean, f->columns * f->cells, "pictures"));
    }
    gen_radar_read_options later;
    GEN_TRY(radar_options(&later, f->run));
    later.first = f->reference + f->s->step;
    later.last = f->reference + steps * f->s->step;
    later.fill = GEN_RADAR_FILL_MISSING;
    if (gen_radar_read(&f->observed, (const char *const *)f->files.path, f->files.n, &later) !=
        GEN_OK)
        f->observed = NULL; /* a forecast of the future has none */
    return GEN_OK;
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
    gen_plot_panel panel[5 * COLUMNS];
    char title[5 * COLUMNS][60], note[5 * COLUMNS][40];
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

/* ---- the verb ---------------------------------------------------------------------------- */

static gen_status report(const forecast *f)
{
    gen_json_writer w = { 0 };
    char *text = NULL, from[32];
    const gen_nowcast_options *n = &f->nowcast;
    gen_time_text(f->reference, from);
    if (!f->run->common.json) {
        if (!f->run->common.quiet)
            printf("%s: %lld member%s of %lld steps, %g min from %s, %s\n", f->run->common.output,
                   (long long)n->members, n->members > 1 ? "s" : "", (long long)n->lead_steps,
                   (double)(n->lead_steps * f->s->step) / 60, from, method_names[n->method]);
        return GEN_OK;
    }
    gen_json_open(&w, NULL, '{');
    gen_json_put_string(&w, "output", f->run->common.output);
    gen_json_put_string(&w, "method", method_names[n->method]);
    gen_json_put_string(&w, "source", f->s->source);
    gen_json_put_string(&w, "reference_time", from);
    gen_json_put_int(&w, "step_seconds", f->s->step);
    gen_json_put_int(&w, "lead_steps", n->lead_steps);
    gen_json_put_int(&w, "members", n->members);
    gen_json_put_int(&w, "seed", f->run->common.seed);
    gen_json_put_int(&w, "height", f->s->grid.height);
    gen_json_put_int(&w, "width", f->s->grid.width);
    gen_json_put_int(&w, "pictures", f->pictures);
    gen_json_close(&w, '}');
    GEN_TRY(gen_json_finish(&w, &text));
    printf("%s\n", text);
    gen_free(text);
    return GEN_OK;
}

static void forecast_free(forecast *f)
{
    gen_forecast_free(&f->file);
    gen_radar_free(&f->s);
    gen_radar_free(&f->observed);
    gen_model_free(&f->model);
    file_list_free(&f->files);
    gen_free(f->history);
    gen_free(f->source);
    gen_free(f->first);
    gen_free(f->second);
    gen_free(f->mean);
}

static gen_status check_call(const gen_run *r, const settings *o)
{
    if (!r->common.output)
        return gen_fail(GEN_EINVAL, "nowcast: where to? give -o FILE.nc");
    if (o->method == GEN_NOWCAST_DGMR && !r->common.model)
        return gen_fail(GEN_EMODEL, "nowcast: --method dgmr needs a model, -m FILE");
    if (o->method != GEN_NOWCAST_DGMR && r->common.model)
        return gen_fail(GEN_EINVAL,
                        "nowcast: -m %s: --method %s has no model, expected --method dgmr",
                        r->common.model, method_names[o->method]);
    if (o->method != GEN_NOWCAST_DGMR && r->common.device && strcmp(r->common.device, "cpu") != 0 &&
        strcmp(r->common.device, "auto") != 0)
        return gen_fail(GEN_EDEVICE, "nowcast: --method %s runs on the CPU, not on '%s'",
                        method_names[o->method], r->common.device);
    return GEN_OK;
}

static gen_status run_nowcast(gen_run *r)
{
    gen_status status;
    forecast f = { .run = r, .o = r->settings };
    GEN_TRY(check_call(r, f.o));
    leave_hdf5_at_exit();
    GEN_GOTO(prepare(&f));
    GEN_GOTO(open_file(&f));
    if (f.o->plot)
        GEN_GOTO(prepare_pictures(&f));
    GEN_GOTO(gen_nowcast(f.s, &f.nowcast, take_member, &f));
    GEN_GOTO(gen_forecast_commit(f.file));
    if (f.o->plot) {
        GEN_GOTO(draw_leads(&f));
        GEN_GOTO(draw_overview(&f));
    }
    GEN_GOTO(report(&f));
done:
    if (status != GEN_OK && f.made_folder)
        rmdir(f.o->plot); /* only when it is empty */
    forecast_free(&f);
    return status;
}

const gen_command gen_commands_nowcast[] = {
    { .name = "nowcast",
      .operands = "FILE|DIR...",
      .min_operands = 1,
      .max_operands = -1,
      .help = "Forecast of rain from radar files, as CF netCDF and maps.",
      .options = options,
      .settings_size = sizeof(settings),
      .takes = GEN_TAKES_MODEL | GEN_TAKES_OUTPUT | GEN_TAKES_COMPUTE | GEN_TAKES_SEED |
               GEN_TAKES_SAMPLES | GEN_TAKES_JSON | GEN_TAKES_RADAR,
      .run = run_nowcast,
      .examples = "gen nowcast rain.nc -o forecast.nc --plot out\n"
                  "gen nowcast radar/ --at 2017-01-31T10:00 --lead 60 -o forecast.nc\n"
                  "gen nowcast rain.nc --method dgmr -m dgmr.safetensors --members 20 --seed 1 "
                  "-o forecast.nc\n" },
    { 0 },
};
