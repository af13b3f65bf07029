/* SPDX-License-Identifier: Apache-2.0
 *
 * gen metrics nowcast: how good forecasts were, by the observations that followed.
 */
#include "cli/metrics.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/weather_files.h"
#include "libgen/base/alloc.h"
#include "libgen/base/file.h"

typedef struct settings {
    const char *obs, *thresholds, *windows, *pools, *plot;
    int64_t event, ties, baselines, steps;
    double rank_min, fail_over;
} settings;

#define AT(field) .offset = offsetof(settings, field)
static const gen_option options[] = {
    { GEN_OPT_STRING, "obs", AT(obs), .value = "FILE|DIR",
      .help = "observations, in any format that gen radar info reads; may be given several times. "
              "They may cover more time and a larger grid of the same cells. --variable, --units, "
              "--interval, --zr, --palette and --pattern are about them, not about forecasts" },
    { GEN_OPT_STRING, "thresholds", AT(thresholds), .text = "1,4,8", .value = "MM/H,...",
      .help = "of events" },
    { GEN_OPT_CHOICE, "event", AT(event), .choices = "pysteps|above|at-least",
      .help = "what is an event: above is >, at-least is >=, pysteps is > in CSI and its kind and "
              ">= in FSS and probabilities" },
    { GEN_OPT_STRING, "windows", AT(windows), .text = "1,4,16,64", .value = "CELLS,...",
      .help = "of the fractions skill score" },
    { GEN_OPT_STRING, "pools", AT(pools), .text = "4,16", .value = "CELLS,...",
      .help = "of the pooled CRPS" },
    { GEN_OPT_FLAG, "baselines", AT(baselines),
      .help = "also score persistence and advection, made from the observations, on the same "
              "cells" },
    { GEN_OPT_INT, "steps", AT(steps), .min = 0, .max = 1000, .value = "N",
      .help = "and an ensemble of N members after STEPS; 0 = none" },
    { GEN_OPT_CHOICE, "ties", AT(ties), .choices = "shared|drawn",
      .help = "where the observation equals members, its ranks are shared between them, or one is "
              "drawn by --seed, as pysteps does" },
    { GEN_OPT_REAL, "rank-min", AT(rank_min), .min = 0, .max = 1000, .value = "MM/H",
      .help = "leave cells where all is below out of the rank histogram" },
    { GEN_OPT_STRING, "plot", AT(plot), .value = "DIR",
      .help = "draw the scores into this folder: scores.png, spectra.png, probabilities.png" },
    { GEN_OPT_REAL, "fail-over", AT(fail_over), .min = 0, .max = 1e6, .value = "CRPS",
      .help = "exit 8 where the CRPS over all lead times is above this; 0 = never" },
    { 0 },
};

/* ---- the call ------------------------------------------------------------------------------ */

static gen_status whole_numbers(const char *text, const char *what, int64_t out[], int *n)
{
    double v[GEN_SCORE_LIST_MAX];
    *n = GEN_SCORE_LIST_MAX;
    GEN_TRY(gen_parse_reals(text, what, 1, 65536, v, n));
    for (int i = 0; i < *n; i++) {
        out[i] = (int64_t)v[i];
        if ((double)out[i] != v[i])
            return gen_fail(GEN_EINVAL, "%s '%s': expected whole numbers of cells", what, text);
    }
    return GEN_OK;
}

static gen_status score_options(gen_verify_options *v, gen_run *r)
{
    const settings *o = r->settings;
    gen_score_options *k = &v->scores;
    k->thresholds = GEN_SCORE_LIST_MAX;
    GEN_TRY(gen_parse_reals(o->thresholds, "option --thresholds", 0, 1e4, k->threshold,
                            &k->thresholds));
    GEN_TRY(whole_numbers(o->windows, "option --windows", k->window, &k->windows));
    GEN_TRY(whole_numbers(o->pools, "option --pools", k->pool, &k->pools));
    k->event = (gen_score_event)o->event;
    k->ties = (gen_score_ties)o->ties;
    k->rank_min = o->rank_min;
    k->seed = (uint64_t)r->common.seed;
    v->baselines = o->baselines;
    v->steps_members = o->steps;
    v->upscale = r->common.radar.upscale;
    return GEN_OK;
}

/* --crop and --bbox mean cells of the forecasts. */
static gen_status scored_cells(gen_verify_options *o, const gen_run *r)
{
    double v[4];
    char given;
    GEN_TRY(radar_box(r, &given, v));
    o->in_degrees = given == 'b';
    if (o->in_degrees)
        memcpy(o->degrees, v, sizeof v);
    for (int i = 0; i < 4 && given == 'c'; i++)
        o->crop[i] = (int64_t)v[i];
    if (given == 'c' && (o->crop[2] < 1 || o->crop[3] < 1))
        return gen_fail(GEN_EINVAL, "option --crop '%.40s': expected one cell or more",
                        r->common.radar.crop);
    return GEN_OK;
}

/* ---- the table ----------------------------------------------------------------------------- */

static void print_number(gen_number v, int width)
{
    if (v.known)
        printf(" %*.3f", width, v.value);
    else
        printf(" %*s", width, "-");
}

static void print_row(const scores *s, const char *lead, const gen_score_result *const r[])
{
    const gen_score_result *f = r[GEN_VERIFY_FORECAST];
    printf("%6s %10lld", lead, (long long)f->cells);
    for (int m = 0; m < GEN_VERIFY_METHODS; m++)
        if (r[m])
            print_number(r[m]->crps.standard, 11);
    print_number(f->crps.fair, 7);
    print_number(f->bias, 7);
    if (s->view->members > 1)
        print_number(f->spread_skill, 7);
    for (int i = 0; i < f->thresholds; i++)
        print_number(f->at[i].members.csi, 7);
    printf("\n");
}

static void print_table(const scores *s)
{
    const gen_verify_view *v = s->view;
    const gen_score_result *row[GEN_VERIFY_METHODS] = { 0 };
    char lead[32];
    printf("%lld forecast%s of %lld member%s, %lld x %lld cells; mm/h\n\n%6s %10s",
           (long long)v->cases, v->cases > 1 ? "s" : "", (long long)v->members,
           v->members > 1 ? "s" : "", (long long)v->crop[2], (long long)v->crop[3], "", "");
    for (int m = 0; m < GEN_VERIFY_METHODS; m++)
        if (s->at[m])
            printf(" %11s", m == 0 ? "CRPS" : score_method_names[m]);
    printf(" %7s %7s", "CRPS", "");
    if (v->members > 1)
        printf(" %7s", "spread/");
    for (int i = 0; i < s->at[0][0]->thresholds; i++)
        printf(" %7s", "CSI");
    printf("\n%6s %10s", "lead", "cells");
    for (int m = 0; m < GEN_VERIFY_METHODS; m++)
        if (s->at[m])
            printf(" %11s", m == 0 ? "forecast" : "CRPS");
    printf(" %7s %7s", "fair", "bias");
    if (v->members > 1)
        printf(" %7s", "skill");
    for (int i = 0; i < s->at[0][0]->thresholds; i++)
        printf(" %7g", s->at[0][0]->at[i].threshold);
    printf("\n");
    for (int64_t i = 0; i <= v->leads; i++) {
        for (int m = 0; m < GEN_VERIFY_METHODS; m++)
            row[m] = !s->at[m] ? NULL : i < v->leads ? s->at[m][i] : s->all[m];
        if (i < v->leads)
            snprintf(lead, sizeof lead, "%g", (double)v->lead[i] / 60);
        else
            snprintf(lead, sizeof lead, "all");
        print_row(s, lead, row);
    }
}

/* ---- the verb ------------------------------------------------------------------------------ */

static gen_status collect(scores *s, const gen_verify *v)
{
    const gen_verify_view *w = s->view = gen_verify_scores(v);
    for (int m = 0; m < GEN_VERIFY_METHODS; m++) {
        if (!w->score[m])
            continue;
        GEN_TRY(GEN_ALLOC(&s->at[m], w->leads, "scores"));
        for (int64_t i = 0; i < w->leads; i++)
            GEN_TRY(gen_score_finish(&s->at[m][i], w->score[m], i));
        GEN_TRY(gen_score_finish(&s->all[m], w->score[m], -1));
    }
    return GEN_OK;
}

static void scores_free(scores *s)
{
    for (int m = 0; m < GEN_VERIFY_METHODS; m++) {
        for (int64_t i = 0; s->at[m] && i < s->view->leads; i++)
            gen_score_result_free(&s->at[m][i]);
        gen_score_result_free(&s->all[m]);
        gen_free(s->at[m]);
    }
}

/* Progress of all forecasts: one by one, each is too short for a bar. */
typedef struct batch {
    gen_progress bar;
    int done, n; /* forecasts */
} batch;

static int on_progress(void *cookie, const char *what, double done, double total)
{
    const batch *b = cookie;
    bool observations = strcmp(what, "observations") == 0;
    double share = strcmp(what, "lead times") == 0 && total > 0 ? done / total : 0;
    if (!b->bar.fn)
        return 0;
    if (b->n == 1 || observations)
        return b->bar.fn(b->bar.cookie, what, done, total);
    return b->bar.fn(b->bar.cookie, "forecasts", b->done + share, b->n);
}

/* out: open when there is -o. */
static gen_status report(gen_run *r, const scores *s, gen_output *out)
{
    const settings *o = r->settings;
    char *text = NULL;
    gen_status status = GEN_OK;
    if (r->common.json || r->common.output)
        GEN_TRY(scores_json(&text, r, s));
    if (out->file && (fputs(text, out->file) < 0 || fputc('\n', out->file) < 0))
        GEN_GOTO(gen_output_error(out->path, errno));
    if (out->file)
        GEN_GOTO(gen_output_commit(out));
    if (r->common.json)
        printf("%s\n", text);
    else
        print_table(s);
    if (o->plot)
        GEN_GOTO(scores_plot(r, s, o->plot));
    const gen_number crps = s->all[GEN_VERIFY_FORECAST]->crps.standard;
    r->gate_failed = o->fail_over > 0 && (!crps.known || crps.value > o->fail_over);
done:
    gen_free(text);
    return status;
}

static gen_status run_nowcast_metrics(gen_run *r)
{
    gen_status status;
    gen_verify *v = NULL;
    gen_verify_options o = { 0 };
    gen_radar_read_options read;
    file_list obs = { 0 }, forecasts = { 0 };
    scores s = { 0 };
    gen_output out = { 0 };
    bool made_folder = false;
    const settings *k = r->settings;
    gen_run unmatched = *r; /* --pattern is of observations */
    unmatched.common.radar.pattern = NULL;
    GEN_TRY(score_options(&o, r));
    GEN_TRY(radar_options(&read, r));
    GEN_TRY(scored_cells(&o, r));
    if (!gen_run_given(r, "obs"))
        return gen_fail(GEN_EINVAL, "metrics nowcast: compared with what? give --obs FILE|DIR");
    GEN_GOTO(file_list_fill_option(&obs, r, "obs"));
    GEN_GOTO(file_list_fill(&forecasts, &unmatched));
    if (r->common.output) /* before anything is computed */
        GEN_GOTO(gen_output_open(&out, r->common.output, r->common.force, false));
    if (k->plot)
        GEN_GOTO(scores_plot_check(r, k->plot, &made_folder));
    batch b = { .bar = r->progress, .n = forecasts.n };
    o.progress = (gen_progress){ on_progress, &b };
    GEN_GOTO(gen_verify_create(&v, &o));
    for (; b.done < b.n; b.done++)
        GEN_GOTO(gen_verify_case(v, forecasts.path[b.done], (const char *const *)obs.path, obs.n,
                                 &read));
    GEN_GOTO(collect(&s, v));
    GEN_GOTO(report(r, &s, &out));
done:
    if (status != GEN_OK && made_folder)
        rmdir(k->plot); /* only when it is empty */
    gen_output_abort(&out);
    scores_free(&s);
    gen_verify_free(&v);
    file_list_free(&obs);
    file_list_free(&forecasts);
    return status;
}

const gen_command gen_commands_metrics[] = {
    { .name = "metrics nowcast",
      .operands = "FORECAST|DIR...",
      .min_operands = 1,
      .max_operands = -1,
      .help = "Scores of rain forecasts against observations, by lead time.",
      .options = options,
      .settings_size = sizeof(settings),
      .takes = GEN_TAKES_OUTPUT | GEN_TAKES_SEED | GEN_TAKES_JSON | GEN_TAKES_RADAR,
      .run = run_nowcast_metrics,
      .examples = "gen metrics nowcast --obs radar/ forecast.nc\n"
                  "gen metrics nowcast --obs radar/ forecasts/ --baselines --plot scores "
                  "-o scores.json\n"
                  "gen metrics nowcast --obs rain.nc forecast.nc --crop 64,64,128,128 "
                  "--thresholds 0.5,5 --json\n" },
    { 0 },
};
