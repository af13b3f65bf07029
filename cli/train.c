/* SPDX-License-Identifier: Apache-2.0
 *
 * gen train nowcast: from radar files to a model of our own. What a step is stands in
 * weather/dgmr_train.c, the loop around it in libgen/train/loop.c; here are the settings, the
 * data, the model files and what a person sees while it runs.
 */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/terminal.h"
#include "cli/weather_files.h"
#include "libgen/backends/backend.h"
#include "libgen/base/alloc.h"
#include "libgen/base/file.h"
#include "libgen/base/json.h"
#include "weather/archive.h"
#include "weather/data.h"
#include "weather/dgmr_train.h"
#include "weather/dgmr_validate.h"
#include "weather/trained.h"

#define PATH 4200
#define CAP 128.0      /* mm/h, to which samples are cut */
#define LEAST_RAIN 0.1 /* mm/h */
#define SEEN 256       /* samples that tell how wet all are */

typedef struct train_settings {
    gen_dgmr_recipe recipe;
    const char *data, *run, *init, *set, *set_d, *time_limit, *save_every;
    double width, d_width, step;
    int64_t leads, any_step, steps, validate_every, validate_crops;
    int64_t validate_members, keep, log_every, on_nan, patience, resume;
} train_settings;

#define AT(field) .offset = offsetof(train_settings, field)
static const gen_option options[] = {
    { GEN_OPT_STRING, "data", AT(data), .value = "DIR",
      .help = "radar files, or folders of them; may be given several times. A file of several "
              "frames is a sequence, files of one frame are joined to sequences" },
    { GEN_OPT_STRING, "output", 'o', AT(run), .value = "RUN",
      .help = "folder of the run: checkpoints, log.jsonl, samples, model.safetensors (the newest) "
              "and best.safetensors (the lowest CRPS in validation)" },
    { GEN_OPT_STRING, "init", AT(init), .value = "MODEL",
      .help = "begin with this model, and its discriminators where the file has them" },
    { GEN_OPT_FLAG, "resume", AT(resume),
      .help = "go on from the newest checkpoint of the folder, if it has one" },
    { GEN_OPT_INT, "steps", AT(steps), .min = 0, .max = 1e12, .value = "N",
      .help = "steps of the generator in all; 0: until --time-limit or Ctrl-C" },
    { GEN_OPT_STRING, "time-limit", AT(time_limit), .value = "TIME",
      .help = "stop, with everything saved, after this time: 90s, 2h" },
    { GEN_OPT_REAL, "width", AT(width), .preset = 0.25, .min = 0.01, .max = 8, .value = "X",
      .help = "of the generator; 1 is the paper's" },
    { GEN_OPT_REAL, "d-width", AT(d_width), .preset = 0, .min = 0, .max = 8, .value = "X",
      .help = "of the discriminators; 0: as the generator" },
    { GEN_OPT_INT, "leads", AT(leads), .preset = 12, .min = 1, .max = 1000, .value = "N",
      .help = "frames that follow the four of the context" },
    { GEN_OPT_STRING, "set", AT(set), .value = "KEY=VALUE,...",
      .help = "of the generator's network, e.g. coordinates=rain,norm=none,sn=none (gen model info "
              "shows a model's keys)" },
    { GEN_OPT_STRING, "set-d", AT(set_d), .value = "KEY=VALUE,...",
      .help = "of the discriminators' network" },
    { GEN_OPT_REAL, "step", AT(step), .preset = 5, .min = 0.01, .max = 1440, .value = "MIN",
      .help = "minutes between frames; of files with a shorter step every second, third ... frame "
              "is taken" },
    { GEN_OPT_FLAG, "any-step", AT(any_step),
      .help = "also train on files whose step is more than a factor 1.5 away from --step" },
    { GEN_OPT_INT, "validate-every", AT(validate_every), .preset = 500, .min = 1, .max = 1e9,
      .value = "N", .help = "steps between validations" },
    { GEN_OPT_INT, "validate-crops", AT(validate_crops), .preset = 16, .min = 0, .max = 10000,
      .value = "N", .help = "crops that are held out for validation; 0: hold out nothing" },
    { GEN_OPT_INT, "validate-members", AT(validate_members), .preset = 6, .min = 2, .max = 100,
      .value = "N", .help = "draws of each in validation" },
    { GEN_OPT_STRING, "save-every", AT(save_every), .text = "5min", .value = "TIME",
      .help = "most time between checkpoints" },
    { GEN_OPT_INT, "keep", AT(keep), .preset = 3, .min = 1, .max = 1000, .value = "N",
      .help = "checkpoints that are kept, besides the best" },
    { GEN_OPT_INT, "log-every", AT(log_every), .min = 0, .max = 1e9, .value = "N",
      .help = "steps between lines of the log, each with their means; 0: about a line a second" },
    { GEN_OPT_CHOICE, "on-nan", AT(on_nan), .preset = GEN_ON_NAN_ROLLBACK,
      .choices = "stop|skip|rollback",
      .help = "a step that is not finite is never taken; then stop, skip its data, or go back to "
              "the newest checkpoint and on with other data" },
    { GEN_OPT_INT, "patience", AT(patience), .preset = 10, .min = 1, .max = 1e6, .value = "N",
      .help =
          "such steps in a row (rollbacks without a checkpoint between them) that end the run" },
    GEN_DGMR_RECIPE(0),
    { GEN_OPT_END },
};
#undef AT

typedef struct training {
    gen_run *r;
    const train_settings *o;
    gen_dgmr_config generator;
    gen_dgmr_d_config discriminator;
    gen_model *model, *judge; /* of --init; judge: its discriminators */
    gen_params *params;
    gen_backend *backend;
    gen_samples *train, *held_out;
    gen_dgmr_trainer *trainer;
    gen_dgmr_validation *validation;
    double step_s; /* of the data: the least */
    int sequences;
    gen_trained trained; /* what the model file tells of the data */
    char source[600];    /* of the sample at hand */
    double drawn;        /* clock, of the live line */
    char *config, *about;
    bool made_run, made_samples;
} training;

static double clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- networks -------------------------------------------------------------------------------- */

static gen_status choose_networks(training *t)
{
    const train_settings *o = t->o;
    gen_options_defaults(gen_dgmr_arch.config, &t->generator);
    gen_options_defaults(gen_dgmr_d_options, &t->discriminator);
    t->generator.width = o->width;
    t->generator.steps = o->leads;
    t->discriminator.width = o->d_width > 0 ? o->d_width : o->width;
    if (t->discriminator.picked > o->leads)
        t->discriminator.picked = o->leads;
    GEN_TRY(gen_options_set_pairs(gen_dgmr_arch.config, &t->generator, "set", o->set));
    return gen_options_set_pairs(gen_dgmr_d_options, &t->discriminator, "set-d", o->set_d);
}

static gen_status refuse_given(const training *t, const char *const *names, const char *what)
{
    for (; *names; names++)
        if (gen_run_given(t->r, *names))
            return gen_fail(GEN_EINVAL, "--%s: the %s is that of --init %s", *names, what,
                            t->o->init);
    return GEN_OK;
}

/* The networks of a file take the place of --width and --set; lead times may differ, as no weight
 * depends on them. A file without discriminators gets new ones. */
static gen_status load_init(training *t)
{
    static const char *const of_generator[] = { "width", "set", NULL };
    static const char *const of_judge[] = { "d-width", "set-d", NULL };
    const char *path = t->o->init;
    GEN_TRY(refuse_given(t, of_generator, "generator"));
    GEN_TRY(gen_model_load(&t->model, path));
    if (t->model->arch != &gen_dgmr_arch)
        return gen_fail(GEN_EMODEL, "%s: is a '%s', training goes on with '%s'", path,
                        t->model->arch->name, gen_dgmr_arch.name);
    t->generator = *(const gen_dgmr_config *)t->model->config;
    if (gen_run_given(t->r, "leads"))
        t->generator.steps = t->o->leads;
    if (t->model->n_companions) {
        GEN_TRY(refuse_given(t, of_judge, "discriminator"));
        GEN_TRY(gen_model_load_companion(&t->judge, path, gen_dgmr_d_arch.name));
        t->discriminator = *(const gen_dgmr_d_config *)t->judge->config;
    } else if (!(t->o->d_width > 0)) {
        t->discriminator.width = t->generator.width;
    }
    if (t->discriminator.picked > t->generator.steps)
        t->discriminator.picked = t->generator.steps;
    return GEN_OK;
}

static gen_status make_params(training *t)
{
    GEN_TRY(gen_params_create(&t->params));
    if (t->model)
        GEN_TRY(gen_params_copy(t->params, t->model->params));
    if (t->judge)
        GEN_TRY(gen_params_copy(t->params, t->judge->params));
    gen_model_free(&t->model);
    gen_model_free(&t->judge);
    return GEN_OK;
}

/* ---- data ------------------------------------------------------------------------------------ */

static gen_status list_files(training *t, file_list *files)
{
    GEN_TRY(file_list_fill_option(files, t->r, "data"));
    GEN_TRY(file_list_fill(files, t->r)); /* --data A B C: B and C are operands */
    return files->n ? GEN_OK : gen_fail(GEN_EINVAL, "train: on what? give --data DIR");
}

static gen_samples_options sample_options(const training *t, gen_samples_part part)
{
    return (gen_samples_options){ .frames = t->generator.frames + t->generator.steps,
                                  .cap = CAP,
                                  .size = t->o->recipe.crop,
                                  .context = t->generator.frames,
                                  .moving = t->generator.coordinates == GEN_DGMR_RAIN,
                                  .part = part,
                                  .as_is = part == GEN_SAMPLES_VALIDATE,
                                  .seed = (uint64_t)t->o->recipe.seed };
}

/* Grids, steps and the highest rate of the data. */
static void see_sequences(training *t, const gen_archive *a)
{
    t->trained.rate_max = -1; /* no cell */
    for (int i = 0; i < a->n; i++) {
        const gen_radar_summary seen = gen_radar_summarise(a->sequence[i]);
        gen_trained_add(&t->trained, &a->sequence[i]->grid, (double)a->sequence[i]->step);
        if (seen.missing_share < 1)
            t->trained.rate_max = fmax(t->trained.rate_max, fmin(seen.max, CAP));
    }
}

/* Nothing can be learnt of it. */
static gen_status check_rain(const training *t)
{
    const char *data =
        gen_run_given(t->r, "data") ? gen_run_text(t->r, "data", 0) : t->r->operands[0];
    const char *more = gen_run_given(t->r, "data") + t->r->n_operands > 1 ? " ..." : "";
    if (t->trained.rate_max < 0)
        return gen_fail(GEN_EDATA, "'%s'%s: all cells are missing, in %d sequences", data, more,
                        t->sequences);
    if (t->trained.rate_max < LEAST_RAIN)
        return gen_fail(GEN_EDATA,
                        "'%s'%s: is dry: at most %g mm/h in %d sequences, expected %g somewhere",
                        data, more, t->trained.rate_max, t->sequences, LEAST_RAIN);
    return GEN_OK;
}

/* How wet samples are: the first ones, so that a run that goes on says the same. */
static gen_status see_samples(training *t)
{
    gen_status status = GEN_OK;
    const gen_samples_options o = sample_options(t, GEN_SAMPLES_ALL);
    int64_t n = o.frames * o.size * o.size;
    gen_trained_windows windows = { 0 };
    float *rain = NULL, *mask = NULL;
    GEN_GOTO(GEN_ALLOC(&rain, n, "a sample"));
    GEN_GOTO(GEN_ALLOC(&mask, n, "a sample"));
    for (int64_t i = 0; i < SEEN; i++) {
        if (gen_run_canceled())
            GEN_GOTO(gen_fail(GEN_ECANCELED, "interrupted before the first step"));
        GEN_GOTO(gen_samples_get(t->train, i, rain, mask, NULL));
        gen_trained_window(&windows, rain, mask, n);
    }
    gen_trained_range(&t->trained, &windows);
    t->trained.leads = t->generator.steps;
    t->trained.crop = o.size;
done:
    gen_free(rain);
    gen_free(mask);
    return status;
}

/* Reads all files for one part; the sequences are the samples' then. */
static gen_status read_part(training *t, gen_samples_part part, gen_samples **out)
{
    gen_status status;
    file_list files = { 0 };
    gen_archive a = { 0 };
    gen_archive_options o = { .step = 60 * t->o->step,
                              .any_step = t->o->any_step,
                              .least = t->generator.frames + t->generator.steps,
                              .progress = t->r->progress };
    const gen_samples_options samples = sample_options(t, part);
    GEN_GOTO(list_files(t, &files));
    GEN_GOTO(radar_options(&o.read, t->r));
    GEN_GOTO(gen_archive_read(&a, (const char *const *)files.path, files.n, &o));
    t->step_s = a.step;
    t->sequences = a.n;
    see_sequences(t, &a);
    GEN_GOTO(check_rain(t));
    GEN_GOTO(gen_samples_create(out, a.sequence, a.n, &samples));
done:
    gen_archive_free(&a); /* the samples have taken the sequences, and left NULLs */
    file_list_free(&files);
    return status;
}

static gen_status sample_of(training *t, gen_samples *s, int64_t index, float *rain, float *mask,
                            const char **source)
{
    char time[32];
    gen_sample_origin at;
    GEN_TRY(gen_samples_get(s, index, rain, mask, &at));
    snprintf(t->source, sizeof t->source, "%s (%s, row %lld, column %lld)", at.source,
             gen_time_text(at.time, time), (long long)at.row, (long long)at.column);
    *source = t->source;
    return GEN_OK;
}

static gen_status train_sample(void *cookie, int64_t index, float *rain, float *mask,
                               const char **source)
{
    training *t = cookie;
    return sample_of(t, t->train, index, rain, mask, source);
}

static gen_status held_out_sample(void *cookie, int64_t index, float *rain, float *mask,
                                  const char **source)
{
    training *t = cookie;
    return sample_of(t, t->held_out, index, rain, mask, source);
}

/* ---- what is written ------------------------------------------------------------------------- */

static gen_status run_path(char path[PATH], const training *t, const char *name)
{
    if (snprintf(path, PATH, "%s/%s", t->o->run, name) >= PATH)
        return gen_fail(GEN_EINVAL, "the name of the folder is too long");
    return GEN_OK;
}

/* Generator (its average, where there is one) and discriminators, in bf16. */
static gen_status write_model(const training *t, const char *name, int64_t step, double crps)
{
    char path[PATH], *extra;
    gen_json_writer w = { 0 };
    gen_dgmr_config generator = t->generator;
    gen_dgmr_d_config discriminator = t->discriminator;
    const gen_model model = {
        .arch = &gen_dgmr_arch, .config = &generator, .params = t->params, .file = -1
    };
    const gen_model judge = {
        .arch = &gen_dgmr_d_arch, .config = &discriminator, .params = t->params, .file = -1
    };
    const gen_model *companion[] = { &judge };
    GEN_TRY(run_path(path, t, name));
    gen_json_open(&w, NULL, '{');
    gen_json_put_int(&w, "libgen.step", step);
    gen_json_put_real(&w, "libgen.validation_crps", crps);
    gen_json_open(&w, GEN_TRAINED_KEY, '{');
    gen_trained_put(&w, &t->trained);
    gen_json_put_string(&w, "command", t->r->command_line);
    gen_json_close(&w, '}');
    gen_json_close(&w, '}');
    GEN_TRY(gen_json_finish(&w, &extra));
    gen_status status = gen_model_save_with(&model, companion, t->o->recipe.adversarial > 0, path,
                                            GEN_BF16, extra, true);
    gen_free(extra);
    return status;
}

static gen_status validate_and_write(training *t, int64_t step, double best, double *metric,
                                     char **json)
{
    char name[80], path[PATH];
    GEN_TRY(gen_dgmr_validate(t->validation, metric, json));
    snprintf(name, sizeof name, "samples/step-%08lld.npy", (long long)step);
    GEN_TRY(run_path(path, t, name));
    GEN_TRY(gen_dgmr_validation_write(t->validation, path));
    GEN_TRY(write_model(t, "model.safetensors", step, *metric));
    if (isfinite(*metric) && !(best <= *metric))
        GEN_TRY(write_model(t, "best.safetensors", step, *metric));
    return GEN_OK;
}

/* By the average of the parameters. */
static gen_status validate(void *cookie, int64_t step, double best, double *metric, char **json)
{
    training *t = cookie;
    gen_optimiser *g = gen_phase_optimiser(gen_dgmr_trainer_g(t->trainer));
    bool average = t->o->recipe.average > 0;
    *metric = (double)NAN;
    if (average)
        GEN_TRY(gen_optimiser_swap(g));
    gen_status status = t->validation ? validate_and_write(t, step, best, metric, json)
                                      : write_model(t, "model.safetensors", step, *metric);
    if (average && status != GEN_EDEVICE) {
        gen_status back = gen_optimiser_swap(g);
        status = status != GEN_OK ? status : back;
    }
    return status;
}

/* ---- what is seen ---------------------------------------------------------------------------- */

static void time_left_text(const gen_training_state *s, char text[40])
{
    double left = INFINITY;
    if (s->steps)
        left = (double)(s->steps - s->step) * s->step_seconds;
    if (s->limit > 0 && s->limit - s->seconds < left)
        left = s->limit - s->seconds;
    text[0] = 0;
    if (isfinite(left) && s->step_seconds > 0) {
        long m = (long)(left > 0 ? left / 60 + 0.5 : 0);
        snprintf(text, 40, ", %ld:%02ld h left", m / 60, m % 60);
    }
}

static void line_of(const gen_training_state *s, char line[400])
{
    char left[40];
    int at = snprintf(line, 400, "step %lld", (long long)s->step);
    if (s->steps)
        at += snprintf(line + at, (size_t)(400 - at), "/%lld", (long long)s->steps);
    for (int i = 0; i < s->n && at < 300; i++)
        if (strcmp(s->say[i].group, "rates") != 0 && isfinite(s->say[i].value))
            at += snprintf(line + at, (size_t)(400 - at), "  %s %.3g", s->say[i].name,
                           s->say[i].value);
    if (isfinite(s->metric))
        at +=
            snprintf(line + at, (size_t)(400 - at), "  crps %.4g (best %.4g)", s->metric, s->best);
    time_left_text(s, left);
    snprintf(line + at, (size_t)(400 - at), "  %.2f s/step%s%s%s", s->step_seconds, left,
             !strcmp(s->doing, "train") ? "" : ", ", !strcmp(s->doing, "train") ? "" : s->doing);
}

/* On a terminal one line that is drawn anew; elsewhere a line a minute. */
static void watch(void *cookie, const gen_training_state *s)
{
    training *t = cookie;
    char line[400];
    double now = clock_now();
    bool terminal = isatty(STDERR_FILENO);
    if (t->r->common.quiet || !s->n || now - t->drawn < (terminal ? 0.2 : 60))
        return;
    t->drawn = now;
    line_of(s, line);
    fprintf(stderr, terminal ? "\r\033[K%s" : "%s\n", line);
    fflush(stderr);
}

static gen_status turn(void *cookie, gen_guard *guard, int64_t number, int64_t step, gen_say *say,
                       int *n, gen_verdict *verdict)
{
    training *t = cookie;
    gen_dgmr_turn said;
    GEN_TRY(gen_dgmr_trainer_run(t->trainer, guard, number, step, &said, verdict));
    const gen_say all[] = { { "losses", "D", said.d_loss },
                            { "losses", "G", said.g_loss },
                            { "losses", "adversarial", said.adversarial },
                            { "losses", "regulariser", said.regulariser },
                            { "scores", "real", said.score_real },
                            { "scores", "generated", said.score_generated },
                            { "rates", "D", said.d_rate },
                            { "rates", "G", said.g_rate } };
    memcpy(say, all, sizeof all);
    *n = GEN_LEN(all);
    return GEN_OK;
}

/* ---- the run --------------------------------------------------------------------------------- */

/* What must be equal for a run to go on: networks, recipe, data; not how long it goes on, unless
 * the rates depend on it. */
static gen_status describe(training *t)
{
    const train_settings *o = t->o;
    gen_json_writer w = { 0 };
    gen_json_open(&w, NULL, '{');
    gen_json_put_options(&w, "generator", gen_dgmr_arch.config, &t->generator);
    gen_json_put_options(&w, "discriminator", gen_dgmr_d_options, &t->discriminator);
    gen_json_put_options(&w, "recipe", gen_dgmr_recipe_options, &o->recipe);
    gen_json_put_int(&w, "precision", t->r->common.precision);
    if (o->recipe.schedule)
        gen_json_put_int(&w, "steps", o->steps);
    gen_json_put_int(&w, "sequences", t->sequences);
    gen_json_put_real(&w, "step_seconds", t->step_s);
    gen_json_close(&w, '}');
    GEN_TRY(gen_json_finish(&w, &t->config));
    w = (gen_json_writer){ 0 };
    gen_json_open(&w, NULL, '{');
    gen_json_put_string(&w, "command", t->r->command_line);
    gen_json_put_string(&w, "libgen", gen_version());
    gen_json_put_string(&w, "device", t->backend->name);
    gen_json_put_string(&w, "network", gen_dgmr_arch.name);
    gen_json_put_int(&w, "context", t->generator.frames);
    gen_json_put_raw(&w, "config", t->config);
    gen_json_close(&w, '}');
    return gen_json_finish(&w, &t->about);
}

/* Before the data are read, which may take minutes: what is sure to be refused later. */
static gen_status make_folders(training *t)
{
    static const char *const ours[] = { "checkpoints/LATEST", "model.safetensors",
                                        "best.safetensors" };
    char path[PATH];
    for (int i = 0; i < GEN_LEN(ours) && !t->o->resume; i++) {
        GEN_TRY(run_path(path, t, ours[i]));
        if (access(path, F_OK) == 0)
            return gen_fail(GEN_EEXIST,
                            "%s is there: go on with --resume, or train in another folder", path);
    }
    GEN_TRY(output_folder(t->o->run, &t->made_run));
    GEN_TRY(run_path(path, t, "samples"));
    return output_folder(path, &t->made_samples);
}

/* A run that did not begin leaves no empty folders. */
static void remove_empty_folders(const training *t)
{
    char path[PATH];
    if (t->made_samples && run_path(path, t, "samples") == GEN_OK)
        (void)rmdir(path);
    if (t->made_run)
        (void)rmdir(t->o->run);
}

static gen_status prepare(training *t)
{
    const train_settings *o = t->o;
    const gen_common *c = &t->r->common;
    const bool hold_out = o->validate_crops > 0;
    const gen_dgmr_training settings = { .recipe = o->recipe,
                                         .generator = t->generator,
                                         .discriminator = t->discriminator,
                                         .sample = train_sample,
                                         .cookie = t,
                                         .steps = o->steps,
                                         .plan = { .precision = gen_run_dtype(t->r),
                                                   .tf32 = gen_run_tf32(t->r),
                                                   .memory_budget = c->memory_budget,
                                                   .estimate_only = c->plan } };
    GEN_TRY(make_params(t));
    GEN_TRY(gen_backend_open(&t->backend, c->device, (int)c->threads));
    GEN_TRY(gen_dgmr_trainer_create(&t->trainer, t->params, t->backend, &settings));
    if (c->plan)
        return GEN_OK;
    if (hold_out) {
        GEN_TRY(read_part(t, GEN_SAMPLES_VALIDATE, &t->held_out));
        GEN_TRY(gen_dgmr_validation_create(&t->validation, t->params, t->backend, &t->generator,
                                           held_out_sample, t, o->validate_crops, o->recipe.crop,
                                           o->validate_members, (int64_t)t->step_s));
        gen_samples_free(&t->held_out);
    }
    GEN_TRY(read_part(t, hold_out ? GEN_SAMPLES_TRAIN : GEN_SAMPLES_ALL, &t->train));
    GEN_TRY(see_samples(t));
    return describe(t);
}

static void print_plan(const training *t)
{
    gen_phase *phase[2] = { gen_dgmr_trainer_d(t->trainer), gen_dgmr_trainer_g(t->trainer) };
    const char *name[2] = { "discriminators", "generator" };
    for (int i = 0; i < 2; i++) {
        if (!phase[i])
            continue;
        const gen_phase_info info = gen_phase_describe(phase[i]);
        printf("%-15s %lld trained values, %.1f MB of parameters, %.1f MB kept for Adam, %.1f MB "
               "of activations, %d steps, %.1f GFLOP a micro-batch\n",
               name[i], (long long)info.trained, (double)info.param_bytes / 1e6,
               (double)info.held_bytes / 1e6, (double)info.plan.slab_bytes / 1e6, info.plan.steps,
               info.plan.flops / 1e9);
    }
}

static gen_status check_call(training *t)
{
    const train_settings *o = t->o;
    if (!o->run && !t->r->common.plan)
        return gen_fail(GEN_EINVAL, "train: where to? give -o RUN");
    if (!gen_run_given(t->r, "data") && !t->r->n_operands && !t->r->common.plan)
        return gen_fail(GEN_EINVAL, "train: on what? give --data DIR");
    if (!o->steps && !o->time_limit && !t->r->common.plan)
        return gen_fail(GEN_EINVAL, "train: for how long? give --steps N or --time-limit 2h");
    return GEN_OK;
}

static gen_status train(training *t, gen_training_state *end)
{
    const train_settings *o = t->o;
    gen_training_options run = { .run = o->run,
                                 .config = t->config,
                                 .about = t->about,
                                 .params = t->params,
                                 .turn = turn,
                                 .validate = validate,
                                 .watch = watch,
                                 .cookie = t,
                                 .steps = o->steps,
                                 .validate_every = o->validate_every,
                                 .log_every = o->log_every,
                                 .keep = o->keep,
                                 .on_nan = (gen_on_nan)o->on_nan,
                                 .patience = o->patience,
                                 .resume = o->resume };
    gen_phase *d = gen_dgmr_trainer_d(t->trainer);
    if (d)
        run.phases[run.n_phases++] = d;
    run.phases[run.n_phases++] = gen_dgmr_trainer_g(t->trainer);
    run.cancel = t->r->progress;
    run.cancel.cookie = NULL; /* the line is ours */
    if (o->time_limit)
        GEN_TRY(gen_parse_duration(o->time_limit, "option --time-limit", &run.seconds));
    GEN_TRY(gen_parse_duration(o->save_every, "option --save-every", &run.save_seconds));
    return gen_training_run(&run, end);
}

static void report(const training *t, const gen_training_state *end, bool interrupted)
{
    if (t->r->common.quiet)
        return;
    printf("%s: %lld steps, %.2f h", t->o->run, (long long)end->step, end->seconds / 3600);
    if (isfinite(end->best))
        printf(", CRPS %.4g mm/h, best %.4g", end->metric, end->best);
    printf("%s\n",
           interrupted ? "; interrupted and saved: the same command with --resume goes on" : "");
}

static void training_free(training *t)
{
    gen_dgmr_validation_free(&t->validation);
    gen_dgmr_trainer_free(&t->trainer);
    gen_samples_free(&t->train);
    gen_samples_free(&t->held_out);
    gen_params_free(&t->params);
    gen_model_free(&t->model);
    gen_model_free(&t->judge);
    gen_backend_close(&t->backend);
    gen_free(t->config);
    gen_free(t->about);
}

static gen_status run_train(gen_run *r)
{
    gen_status status;
    gen_training_state end = { 0 };
    training t = { .r = r, .o = r->settings };
    GEN_TRY(check_call(&t));
    leave_hdf5_at_exit();
    signal(SIGPIPE, SIG_IGN); /* who reads the live line may go; the run does not end with that */
    GEN_GOTO(choose_networks(&t));
    if (t.o->init)
        GEN_GOTO(load_init(&t));
    if (!r->common.plan)
        GEN_GOTO(make_folders(&t));
    GEN_GOTO(prepare(&t));
    if (r->common.plan) {
        print_plan(&t);
        goto done;
    }
    status = train(&t, &end);
    if (t.drawn > 0 && isatty(STDERR_FILENO))
        fprintf(stderr, "\n");
    if (status == GEN_OK || status == GEN_ECANCELED)
        report(&t, &end, status == GEN_ECANCELED);
done:
    remove_empty_folders(&t);
    training_free(&t);
    return status;
}

const gen_command gen_commands_train[] = {
    { .name = "train nowcast",
      .operands = "[DIR...]",
      .max_operands = -1,
      .help = "Trains a nowcasting network (DGMR) on radar sequences.",
      .options = options,
      .settings_size = sizeof(train_settings),
      .takes = GEN_TAKES_COMPUTE | GEN_TAKES_PLAN | GEN_TAKES_RADAR_FILES,
      .run = run_train,
      .examples =
          "gen train nowcast --data radar/ -o run --time-limit 2h\n"
          "gen train nowcast --data radar/ -o run --time-limit 2h --resume\n"
          "gen train nowcast --data radar/ -o mine --init run/best.safetensors --steps 2000\n"
          "gen train nowcast --width 1 --crop 256 --batch 1 --leads 18 --plan\n" },
    { 0 },
};
