/* SPDX-License-Identifier: Apache-2.0
 *
 * gen nowcast: from radar files to a forecast as CF netCDF and, with --plot, as maps.
 * Members are written as they come; only one is in memory.
 */
#include <string.h>
#include <unistd.h>

#include "cli/models.h"
#include "cli/nowcast.h"
#include "libgen/backends/backend.h"
#include "libgen/base/alloc.h"
#include "libgen/base/json.h"

#define CONTEXT 4 /* frames that any method uses */
#define DEFAULT_LEAD 90

/* --method: the methods stand behind it, in the order of gen_nowcast_method. */
enum { AUTO };

#define AT(field) .offset = offsetof(nowcast_settings, field)
static const gen_option options[] = {
    { GEN_OPT_STRING, "at", AT(at), .value = "TIME",
      .help =
          "forecast from the frame of this time, UTC like 2017-01-31T10:00; default the newest" },
    { GEN_OPT_INT, "lead", AT(lead), .preset = DEFAULT_LEAD, .min = 1, .max = 14400, .value = "MIN",
      .help = "minutes ahead, a multiple of the files' step; when not given, the last step within "
              "the default that the model was trained for" },
    { GEN_OPT_CHOICE, "method", AT(choice), .preset = AUTO,
      .choices = "auto|advection|persistence|dgmr|steps",
      .help = "advection moves the rain along its motion (2 frames or more); persistence repeats "
              "the newest frame; dgmr generates members by a network (4 frames; the model of -m, "
              "or the bundled one); steps perturbs advection in scale, time and motion (2 frames, "
              "better 3; ask for --members 20). The first two have one answer: members of them are "
              "equal. auto is dgmr where there is a model, and advection else" },
    { GEN_OPT_STRING, "plot", AT(plot), .value = "DIR",
      .help = "also write maps to this folder: one for each lead time, an overview, and of what is "
              "asked for the probabilities of --exceed and the amounts of --accumulate" },
    { GEN_OPT_STRING, "film", AT(film), .value = "FILE.gif",
      .help = "also write a film, GIF or MP4, of the newest frames and the first member" },
    { GEN_OPT_CHOICE, "encoding", AT(encoding), .preset = 0, .choices = "packed|float",
      .help = "packed: 16 bit in steps of 1/128 mm/h up to 511 mm/h; float: 32 bit" },
    { GEN_OPT_FLAG, "latitudes", AT(latitudes),
      .help = "also the latitude and longitude of each cell, for programs without projections" },
    PRODUCT_OPTIONS(offsetof(nowcast_settings, products)),
    { GEN_OPT_CHOICE, "members-out", AT(products.without_members), .choices = "yes|no",
      .help = "no: products without the members" },
    { GEN_OPT_FLAG, "latest", AT(latest),
      .help = "for a feed that is being written: forecast once from the newest frames that follow "
              "one another, leave out files that are damaged or still growing, and do nothing when "
              "their forecast is there already. In -o (and --plot) %Y %m %d %H %M %S %j %y %b "
              "stand for the time of the newest frame" },
    { GEN_OPT_STRING, "max-age", AT(max_age), .value = "TIME",
      .help = "with --latest: refuse frames older than this, like 15min (s, min, h, d)" },
    { GEN_OPT_STRING, "deadline", AT(deadline), .value = "TIME",
      .help = "with --latest: have the file written so long after the start, like 120s: with fewer "
              "members, or by advection, when there is no time for more; the file says so" },
    { GEN_OPT_STRING, "lock", AT(lock), .value = "FILE",
      .help = "with --latest: only one run at a time holds this file; default a hidden one beside "
              "the output" },
    { GEN_OPT_STRING, "status", AT(status), .value = "FILE",
      .help = "with --latest: write how it went to this JSON file, also on failure" },
    { GEN_OPT_STRING, "now", AT(now), .value = "TIME",
      .help = "with --latest: take this for the present time, UTC, to go through an archive" },
    { 0 },
};

const char *const method_names[] = { "advection", "persistence", "dgmr", "steps" };

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
    if (!gen_run_given(f->run, "lead") && f->trained.leads && *steps > f->trained.leads)
        *steps = f->trained.leads;
    if (*steps < 1)
        return gen_fail(GEN_EINVAL, "--lead %lld: expected at least the step of the files, %g min",
                        (long long)f->o->lead, (double)step / 60);
    return GEN_OK;
}

gen_status remark(forecast *f, const char *text)
{
    size_t had = f->comment ? strlen(f->comment) : 0, size = had + strlen(text) + 3;
    char *longer;
    gen_log(GEN_LOG_WARN, "%s", text);
    GEN_TRY(GEN_ALLOC(&longer, size, "comment"));
    snprintf(longer, size, "%s%s%s", had ? f->comment : "", had ? "; " : "", text);
    gen_free(f->comment);
    f->comment = longer;
    return f->file ? gen_forecast_comment(f->file, f->comment) : GEN_OK;
}

static gen_status load_model(forecast *f)
{
    GEN_TRY(gen_model_load(&f->model, f->choice.model));
    GEN_TRY(gen_model_digest(f->model, f->digest));
    f->nowcast.model = f->model;
    f->nowcast.consume_model = 1;
    if (gen_trained_read(&f->trained, f->model->metadata) == GEN_OK)
        return GEN_OK;
    char text[600];
    snprintf(text, sizeof text, "what the model was trained on is not understood: %.500s",
             gen_last_error());
    return remark(f, text);
}

/* A method that nobody asked for gives way where there are too few frames for it. */
static gen_status give_way(forecast *f)
{
    char text[512];
    gen_nowcast_options *n = &f->nowcast, advection = *n;
    advection.method = GEN_NOWCAST_ADVECTION;
    if (gen_nowcast_check(f->s, n) != GEN_EDATA || gen_nowcast_check(f->s, &advection) != GEN_OK)
        return GEN_OK; /* gen_nowcast says it, if it is an error */
    (void)gen_nowcast_check(f->s, n);
    snprintf(text, sizeof text, "advection instead of %s: %s", method_names[n->method],
             gen_last_error());
    gen_model_free(&f->model);
    f->trained = (gen_trained){ 0 };
    n->model = NULL;
    n->method = GEN_NOWCAST_ADVECTION;
    n->members = 1; /* more would be equal */
    return remark(f, text);
}

static gen_status choose(forecast *f)
{
    f->nowcast.method = f->choice.method;
    if (f->choice.method != GEN_NOWCAST_DGMR)
        return GEN_OK;
    GEN_TRY(load_model(f));
    return f->choice.ours ? give_way(f) : GEN_OK;
}

gen_status describe_forecast(forecast *f)
{
    size_t size = strlen(f->s->source) + 256;
    bool dgmr = f->nowcast.method == GEN_NOWCAST_DGMR;
    gen_free(f->source);
    f->source = NULL;
    GEN_TRY(GEN_ALLOC(&f->source, size, "source"));
    int n = snprintf(f->source, size, "libgen %s, method %s, from %s", gen_version(),
                     method_names[f->nowcast.method], f->s->source);
    if (dgmr)
        snprintf(f->source + n, size - (size_t)n, "; model %s, sha256 %s", f->model->arch->name,
                 f->digest);
    return GEN_OK;
}

static gen_status read_frames(forecast *f, bool *nothing_new)
{
    *nothing_new = false;
    GEN_TRY(file_list_fill(&f->files, f->run));
    if (f->live)
        return live_read(f, CONTEXT, nothing_new);
    if (f->run->common.output)
        GEN_TRY(refuse_input(&f->files, f->run->common.output));
    return read_until(&f->s, f->run, &f->files, f->o->at, CONTEXT);
}

static gen_status say_unlike(void *cookie, const char *sentence)
{
    char text[600];
    snprintf(text, sizeof text, "unlike the training: %s", sentence);
    return remark(cookie, text);
}

static gen_status prepare(forecast *f)
{
    const gen_common *c = &f->run->common;
    gen_nowcast_options *n = &f->nowcast;
    f->cells = f->s->grid.height * f->s->grid.width;
    f->reference = f->s->time[f->s->frames - 1];
    n->members = c->samples ? c->samples : 1;
    GEN_TRY(choose(f));
    GEN_TRY(lead_steps(f, &n->lead_steps));
    GEN_TRY(gen_trained_compare(&f->trained, f->s, n->lead_steps, say_unlike, f));
    n->seed = (uint64_t)c->seed;
    n->threads = (int)c->threads;
    n->precision = (int)gen_run_dtype(f->run);
    n->tf32 = gen_run_tf32(f->run);
    n->memory_budget = c->memory_budget;
    n->progress = f->run->progress;
    if (n->method == GEN_NOWCAST_DGMR)
        GEN_TRY(gen_backend_open(&f->backend, c->device, (int)c->threads));
    n->backend = f->backend;
    GEN_TRY(history_text(&f->history, f->run, f->backend));
    return describe_forecast(f);
}

gen_status open_forecast(forecast *f)
{
    gen_forecast_info info = { .grid = &f->s->grid,
                               .reference_time = f->reference,
                               .step = f->s->step,
                               .lead_steps = f->nowcast.lead_steps,
                               .members = f->nowcast.members,
                               .floats = f->o->encoding == 1,
                               .force = f->run->common.force,
                               .latitudes = f->o->latitudes,
                               .without_members = f->o->products.without_members,
                               .source = f->source,
                               .history = f->history };
    GEN_TRY(gen_forecast_create(&f->file, f->run->common.output, &info));
    return f->comment ? gen_forecast_comment(f->file, f->comment) : GEN_OK;
}

gen_status take_member(void *cookie, int64_t member, const float *rain)
{
    forecast *f = cookie;
    GEN_TRY(gen_forecast_write(f->file, member, rain));
    for (int64_t t = 0; t < f->nowcast.lead_steps && f->products.n_points; t++)
        products_keep(&f->products, f->s->grid.width, member, t, rain + t * f->cells);
    if (f->first)
        keep_for_pictures(f, member, rain);
    return f->film ? film_member(f, member, rain) : GEN_OK;
}

/* ---- products ---------------------------------------------------------------------------- */

/* Options and points against the forecast that is going to be. */
static gen_status prepare_products(forecast *f)
{
    int64_t n = f->nowcast.lead_steps, *time = NULL;
    const gen_products_shape shape = { .members = f->nowcast.members,
                                       .lead_steps = n,
                                       .height = f->s->grid.height,
                                       .width = f->s->grid.width,
                                       .step = f->s->step };
    GEN_TRY(GEN_ALLOC(&time, n, "lead times"));
    for (int64_t i = 0; i < n; i++)
        time[i] = f->reference + (i + 1) * f->s->step;
    gen_status status = products_prepare(&f->products, &shape, &f->s->grid, f->reference, time);
    gen_free(time);
    return status;
}

static gen_status add_products(forecast *f)
{
    const gen_products_info info = { .also = f->product_pictures ? keep_product : NULL,
                                     .cookie = f };
    products_shorten(&f->products, f->nowcast.members);
    return f->products.any ? gen_products_add(f->file, &f->products.o, &info) : GEN_OK;
}

/* ---- the verb ---------------------------------------------------------------------------- */

static gen_status report(const forecast *f)
{
    gen_json_writer w = { 0 };
    char *text = NULL, from[32];
    const gen_nowcast_options *n = &f->nowcast;
    gen_time_text(f->reference, from);
    if (!f->run->common.json) {
        if (!f->run->common.quiet && !products_on_stdout(&f->products))
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
    gen_json_put_string(&w, "device", f->backend ? f->backend->name : "cpu");
    gen_json_put_string(&w, "model", n->method == GEN_NOWCAST_DGMR ? f->choice.model : NULL);
    gen_json_put_string(&w, "comment", f->comment);
    GEN_TRY(products_series_json(&f->products, &w));
    gen_json_close(&w, '}');
    GEN_TRY(gen_json_finish(&w, &text));
    printf("%s\n", text);
    gen_free(text);
    return GEN_OK;
}

/* --plan */
static gen_status print_plan(const forecast *f)
{
    gen_nowcast_needs needs;
    const gen_nowcast_options *n = &f->nowcast;
    GEN_TRY(gen_nowcast_describe(f->s, n, &needs));
    const char *text = f->backend->text;
    printf("device      %s%s%s\n", f->backend->name, text ? ": " : "", text ? text : "");
    printf("members     %lld, %lld at a time\n", (long long)n->members,
           (long long)needs.members_together);
    printf("lead times  %lld, %lld at a time\n", (long long)n->lead_steps,
           (long long)needs.steps_together);
    printf("memory      %.1f MB for the conditioning stack; then %.1f MB for the sampler, %.1f MB "
           "for the\n            latent stack; %.1f MB of weights in the model",
           (double)needs.conditioning / 1e6, (double)needs.sampler / 1e6,
           (double)needs.latent / 1e6, (double)needs.weights / 1e6);
    if (needs.device_memory)
        printf("; the device has %.1f MB", (double)needs.device_memory / 1e6);
    printf("\n");
    return GEN_OK;
}

static void forecast_free(forecast *f)
{
    gen_forecast_free(&f->file);
    gen_plot_film_free(&f->film);
    gen_radar_free(&f->s);
    gen_radar_free(&f->observed);
    gen_model_free(&f->model);
    gen_backend_close(&f->backend);
    file_list_free(&f->files);
    gen_free(f->history);
    gen_free(f->source);
    gen_free(f->comment);
    free_pictures(f);
    products_free(&f->products);
}

/* The method, and its model: -m, or the bundled one. */
static gen_status resolve(nowcast_choice *c, const gen_run *r, const nowcast_settings *o)
{
    char places[1024];
    const char *given = r->common.model;
    bool named = o->choice != AUTO;
    bool found = given || models_find("nowcast", c->model);
    c->ours = !named && !given;
    c->method = named   ? (gen_nowcast_method)(o->choice - 1)
                : found ? GEN_NOWCAST_DGMR
                        : GEN_NOWCAST_ADVECTION;
    if (c->method != GEN_NOWCAST_DGMR) {
        c->model[0] = 0;
        if (given)
            return gen_fail(GEN_EINVAL,
                            "nowcast: -m %s: --method %s has no model, expected --method dgmr",
                            given, method_names[c->method]);
        return GEN_OK;
    }
    if (!found)
        return gen_fail(GEN_EMODEL,
                        "nowcast: --method dgmr needs a model: give -m FILE; there is no bundled "
                        "nowcast.safetensors in %s",
                        models_places(places, sizeof places));
    if (given && snprintf(c->model, PATH_MAX, "%s", given) >= PATH_MAX)
        return gen_fail(GEN_EINVAL, "nowcast: -m: the path is too long: '%.80s'", given);
    return GEN_OK;
}

static gen_status check_call(const gen_run *r, const nowcast_settings *o, nowcast_choice *c)
{
    if (!r->common.output && !r->common.plan)
        return gen_fail(GEN_EINVAL, "nowcast: where to? give -o FILE.nc");
    if (r->common.plan && o->latest)
        return gen_fail(GEN_EINVAL, "nowcast: --plan and --latest exclude each other");
    GEN_TRY(resolve(c, r, o));
    if (c->method != GEN_NOWCAST_DGMR && r->common.device && strcmp(r->common.device, "cpu") != 0 &&
        strcmp(r->common.device, "auto") != 0)
        return gen_fail(GEN_EDEVICE, "nowcast: --method %s runs on the CPU, not on '%s'",
                        method_names[c->method], r->common.device);
    return check_live(r, o);
}

static gen_status run_nowcast(gen_run *r)
{
    gen_status status;
    bool nothing_new = false;
    forecast f = { .run = r, .o = r->settings };
    GEN_TRY(check_call(r, f.o, &f.choice));
    leave_hdf5_at_exit();
    GEN_GOTO(products_parse(&f.products, r, &f.o->products));
    if (f.o->products.without_members && !f.products.any)
        GEN_GOTO(gen_fail(GEN_EINVAL, "--members-out no: what then? give --exceed, --mean, "
                                      "--matched-mean or --percentiles"));
    if (f.o->latest)
        GEN_GOTO(live_start(&f));
    GEN_GOTO(read_frames(&f, &nothing_new));
    if (nothing_new)
        goto done;
    GEN_GOTO(prepare(&f));
    if (r->common.plan) {
        GEN_GOTO(print_plan(&f));
        goto done;
    }
    GEN_GOTO(prepare_products(&f));
    GEN_GOTO(open_forecast(&f));
    if (f.o->film)
        GEN_GOTO(open_film(&f));
    if (f.o->plot)
        GEN_GOTO(prepare_pictures(&f));
    GEN_GOTO(f.live ? live_nowcast(&f) : gen_nowcast(f.s, &f.nowcast, take_member, &f));
    GEN_GOTO(add_products(&f));
    GEN_GOTO(gen_forecast_commit(f.file));
    GEN_GOTO(products_put_series(&f.products));
    if (f.o->plot)
        GEN_GOTO(draw_pictures(&f));
    if (f.film)
        GEN_GOTO(gen_plot_film_commit(f.film));
    GEN_GOTO(report(&f));
done:
    if (status != GEN_OK && f.made_folder)
        rmdir(f.o->plot); /* only when it is empty */
    live_end(&f, status);
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
      .settings_size = sizeof(nowcast_settings),
      .takes = GEN_TAKES_MODEL | GEN_TAKES_OUTPUT | GEN_TAKES_COMPUTE | GEN_TAKES_SEED |
               GEN_TAKES_SAMPLES | GEN_TAKES_JSON | GEN_TAKES_PLAN | GEN_TAKES_RADAR,
      .run = run_nowcast,
      .examples = "gen nowcast rain.nc -o forecast.nc --plot out --film out.gif\n"
                  "gen nowcast radar/ --at 2017-01-31T10:00 --lead 60 -o forecast.nc\n"
                  "gen nowcast radar/ --latest --max-age 15min -o 'out/nowcast_%Y%m%dT%H%M.nc'\n"
                  "gen nowcast rain.nc --members 20 --seed 1 -o forecast.nc\n"
                  "gen nowcast rain.nc -m dgmr.safetensors --members 20 -o forecast.nc\n"
                  "gen nowcast rain.nc --device cuda --precision bf16 --members 20 -o forecast.nc\n"
                  "gen nowcast rain.nc --device cuda --members 20 --plan\n" },
    { 0 },
};
