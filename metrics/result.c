/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers out of sums: what gen_score_finish tells, and single scores.
 */
#include <string.h>

#include "libgen/base/fail.h"
#include "metrics/score.h"

/* The counts and sums of one lead time, or of all. */
typedef struct totals {
    const gen_score *s;
    int64_t *count;
    gen_sum *sum;
} totals;

/* Room for the result and all its arrays, in one block. */
typedef struct room {
    gen_score_result result;
    gen_arena arena;
} room;

static double sum_of(const totals *t, int64_t place)
{
    return t->sum[place].value;
}

static gen_number root(gen_number v)
{
    return v.known && v.value >= 0 ? (gen_number){ sqrt(v.value), true } : (gen_number){ 0, false };
}

/* numerator / denominator of two results */
static gen_number quotient(gen_number a, gen_number b, double factor)
{
    return a.known && b.known ? gen_ratio(a.value * factor, b.value) : (gen_number){ 0, false };
}

/* ---- errors, CRPS ---------------------------------------------------------------------------- */

static gen_crps_scores crps_of(const gen_score *s, int64_t window, int64_t cells, double off,
                               double apart, double pysteps)
{
    double k = (double)s->o.members, n = (double)cells;
    gen_crps_scores out = { .window = window, .cells = cells };
    if (!gen_score_does(s, GEN_SCORE_CRPS))
        return out;
    out.standard = gen_ratio(off / k - apart / (k * k), n);
    if (s->o.members > 1)
        out.fair = gen_ratio(off / k - apart / (k * (k - 1)), n);
    if (gen_score_does(s, GEN_SCORE_CRPS_PYSTEPS))
        out.pysteps = gen_ratio(pysteps, n);
    return out;
}

static void put_errors(gen_score_result *r, const totals *t)
{
    double k = (double)t->s->o.members, n = (double)r->cells;
    r->observed = gen_ratio(sum_of(t, GEN_SUM_OBSERVED), n);
    r->forecast = gen_ratio(sum_of(t, GEN_SUM_FORECAST), n);
    r->mae = gen_ratio(sum_of(t, GEN_SUM_MEAN_ABS), n);
    r->rmse = root(gen_ratio(sum_of(t, GEN_SUM_MEAN_SQUARE), n));
    r->bias = gen_ratio(sum_of(t, GEN_SUM_FORECAST) - sum_of(t, GEN_SUM_OBSERVED), n);
    r->members_mae = gen_ratio(sum_of(t, GEN_SUM_ABS), n * k);
    r->members_rmse = root(gen_ratio(sum_of(t, GEN_SUM_SQUARE), n * k));
    if (k > 1)
        r->spread = root(gen_ratio(sum_of(t, GEN_SUM_VARIANCE), n));
    r->spread_skill = quotient(r->spread, r->rmse, 1);
    r->spread_skill_corrected = quotient(r->spread, r->rmse, sqrt((k + 1) / k));
    r->crps = crps_of(t->s, 1, r->cells, sum_of(t, GEN_SUM_ABS), sum_of(t, GEN_SUM_APART),
                      sum_of(t, GEN_SUM_PYSTEPS));
}

static gen_crps_scores pooled(const totals *t, int i, bool maximum)
{
    const gen_score *s = t->s;
    int place = maximum ? s->o.pools + i : i;
    int64_t from = s->at.pooled + (int64_t)place * GEN_POOLED_SUMS;
    return crps_of(s, s->o.pool[i], t->count[s->at.pooled_cells + place],
                   sum_of(t, from + GEN_POOLED_ABS), sum_of(t, from + GEN_POOLED_APART),
                   sum_of(t, from + GEN_POOLED_PYSTEPS));
}

/* ---- thresholds ------------------------------------------------------------------------------ */

static gen_probability_counts joint_of(const totals *t, int64_t *room_for, int threshold, int kind)
{
    const gen_score *s = t->s;
    int64_t k = s->o.members;
    const int64_t *joint =
        t->count + s->at.joint + ((int64_t)threshold * s->at.kinds + kind) * 2 * (k + 1);
    for (int64_t j = 0; j <= k; j++)
        room_for[j] = joint[j] + joint[k + 1 + j];
    return (gen_probability_counts){ k, room_for, joint + k + 1 };
}

static void put_categories(gen_threshold_scores *r, const totals *t, int i, int64_t *cells)
{
    gen_probability_counts c = joint_of(t, cells, i, 0);
    gen_contingency table = { 0 };
    for (int64_t j = 0; j <= c.k; j++) {
        int64_t events = c.events[j], others = c.cells[j] - c.events[j];
        table.hits += j * events;
        table.misses += (c.k - j) * events;
        table.false_alarms += j * others;
        table.correct_negatives += (c.k - j) * others;
    }
    r->members = gen_contingency_scores(&table);
    const int64_t *mean = t->count + t->s->at.tables + (int64_t)4 * i;
    r->mean = gen_contingency_scores(&(gen_contingency){ mean[0], mean[1], mean[2], mean[3] });
}

static void put_probabilities(gen_threshold_scores *r, const totals *t, int i, int64_t *cells)
{
    const gen_score_options *o = &t->s->o;
    gen_probability_counts c = joint_of(t, cells, i, t->s->at.kinds - 1);
    double events = 0, all = 0;
    for (int64_t j = 0; j <= c.k; j++) {
        events += (double)c.events[j];
        all += (double)c.cells[j];
    }
    r->base_rate = gen_ratio(events, all);
    r->brier = gen_brier(&c);
    gen_reliability(r->reliability, o->bins, o->min_count, &c);
    gen_roc(r->roc, o->roc_points, &r->roc_area, &c);
    for (int n = 0; n < o->ratios; n++) {
        double ratio = (n + 1) / (o->ratios + 1.0);
        r->value[n] = (gen_value_point){ ratio, gen_economic_value(ratio, &c) };
    }
}

/* 1 - sum (f - o)^2 / sum (f^2 + o^2) */
static gen_number fss_of(double ff, double fo, double oo)
{
    return gen_ratio(2 * fo, ff + oo);
}

static gen_fss_scores fss_at(const totals *t, int threshold, int window)
{
    const gen_score *s = t->s;
    double k = (double)s->o.members;
    int64_t at = s->at.fss + ((int64_t)threshold * s->o.windows + window) * GEN_FSS_SUMS;
    double oo = sum_of(t, at + GEN_FSS_OO), fo = sum_of(t, at + GEN_FSS_FO);
    return (gen_fss_scores){
        .window = s->o.window[window],
        .members = fss_of(sum_of(t, at + GEN_FSS_MEMBERS_FF), fo, k * oo),
        .mean = fss_of(sum_of(t, at + GEN_FSS_MEAN_FF), sum_of(t, at + GEN_FSS_MEAN_FO), oo),
        .probabilities = fss_of(sum_of(t, at + GEN_FSS_SHARES_FF) / (k * k), fo / k, oo),
    };
}

/* ---- ranks, spectra -------------------------------------------------------------------------- */

/* A cell with m members equal to the observation gives 1/(m+1) to each admissible rank. */
static void put_ranks(gen_score_result *r, const totals *t)
{
    int64_t n = t->s->o.members + 1;
    const int64_t *ranks = t->count + t->s->at.ranks;
    for (int64_t less = 0; less < n; less++)
        for (int64_t equal = 0; less + equal < n; equal++) {
            int64_t cells = ranks[less * n + equal];
            r->rank_cells += cells;
            for (int64_t i = 0; cells && i <= equal; i++)
                r->rank[less + i].value += (double)cells / (double)(equal + 1);
        }
    for (int64_t i = 0; i < n; i++)
        r->rank[i] = gen_ratio(r->rank[i].value, (double)r->rank_cells);
}

static void put_spectra(gen_score_result *r, const totals *t)
{
    const gen_score_options *o = &t->s->o;
    double cases = (double)t->count[GEN_COUNT_PSD];
    int64_t n = t->s->at.psd, longer = o->height > o->width ? o->height : o->width;
    int64_t at = t->s->at.spectra;
    for (int64_t i = 0; i < n; i++) {
        r->frequency[i] = (double)i / (double)longer;
        r->psd_observed[i] = gen_ratio(sum_of(t, at + GEN_PSD_OBSERVED * n + i), cases);
        r->psd_members[i] =
            gen_ratio(sum_of(t, at + GEN_PSD_MEMBERS * n + i), cases * (double)o->members);
        r->psd_mean[i] = gen_ratio(sum_of(t, at + GEN_PSD_MEAN * n + i), cases);
    }
}

/* ---- all ------------------------------------------------------------------------------------- */

#define ROOM(out, n)                                                                               \
    do {                                                                                           \
        (out) = gen_arena_alloc(arena, (size_t)(n) * sizeof *(out));                               \
        if (!(out))                                                                                \
            return GEN_ENOMEM;                                                                     \
    } while (0)

static gen_status make_room(gen_score_result *r, const gen_score *s, gen_arena *arena)
{
    r->pools = s->o.pools;
    ROOM(r->average, r->pools);
    ROOM(r->maximum, r->pools);
    r->thresholds = s->o.thresholds;
    ROOM(r->at, r->thresholds);
    r->windows = gen_score_does(s, GEN_SCORE_FSS) ? s->o.windows : 0;
    if (gen_score_does(s, GEN_SCORE_PROBABILITIES)) {
        r->bins = s->o.bins;
        r->roc_points = s->o.roc_points;
        r->ratios = s->o.ratios;
    }
    for (int i = 0; i < r->thresholds; i++) {
        ROOM(r->at[i].reliability, r->bins);
        ROOM(r->at[i].roc, r->roc_points);
        ROOM(r->at[i].value, r->ratios);
        ROOM(r->at[i].fss, r->windows);
    }
    r->ranks = gen_score_does(s, GEN_SCORE_RANKS) ? s->o.members + 1 : 0;
    ROOM(r->rank, r->ranks);
    r->frequencies = s->at.psd;
    ROOM(r->frequency, r->frequencies);
    ROOM(r->psd_observed, r->frequencies);
    ROOM(r->psd_members, r->frequencies);
    ROOM(r->psd_mean, r->frequencies);
    return GEN_OK;
}

static void put_threshold(gen_score_result *r, const totals *t, int i, int64_t *cells)
{
    r->at[i].threshold = t->s->o.threshold[i];
    if (gen_score_does(t->s, GEN_SCORE_CATEGORIES))
        put_categories(&r->at[i], t, i, cells);
    if (gen_score_does(t->s, GEN_SCORE_PROBABILITIES))
        put_probabilities(&r->at[i], t, i, cells);
    for (int n = 0; n < r->windows; n++)
        r->at[i].fss[n] = fss_at(t, i, n);
}

static void put_all(gen_score_result *r, const totals *t, int64_t *cells)
{
    r->cases = t->count[GEN_COUNT_CASES];
    r->cells = t->count[GEN_COUNT_CELLS];
    r->missing = t->count[GEN_COUNT_MISSING];
    put_errors(r, t);
    for (int i = 0; i < r->pools; i++) {
        r->average[i] = pooled(t, i, false);
        r->maximum[i] = pooled(t, i, true);
    }
    for (int i = 0; i < r->thresholds; i++)
        put_threshold(r, t, i, cells);
    if (r->ranks)
        put_ranks(r, t);
    if (r->frequencies) {
        put_spectra(r, t);
        r->psd_filled = t->count[GEN_COUNT_FILLED];
    }
}

static void add_up(totals *t, int64_t first, int64_t last)
{
    const gen_score *s = t->s;
    for (int64_t lead = first; lead < last; lead++) {
        for (int64_t i = 0; i < s->at.counts; i++)
            t->count[i] += s->count[lead * s->at.counts + i];
        for (int64_t i = 0; i < s->at.sums; i++)
            gen_sum_merge(&t->sum[i], &s->sum[lead * s->at.sums + i]);
    }
}

gen_status gen_score_finish(gen_score_result **out, const gen_score *s, int64_t lead)
{
    gen_status status = GEN_OK;
    totals t = { .s = s };
    room *r = NULL;
    int64_t *cells = NULL;
    *out = NULL;
    if (lead < -1 || lead >= s->o.leads)
        return gen_fail(GEN_EINVAL, "score: lead time: found %lld, expected -1 to %lld",
                        (long long)lead, (long long)s->o.leads - 1);
    GEN_GOTO(GEN_ALLOC(&t.count, s->at.counts, "counts of scores"));
    GEN_GOTO(GEN_ALLOC(&t.sum, s->at.sums, "sums of scores"));
    GEN_GOTO(GEN_ALLOC(&cells, s->o.members + 1, "counts of scores"));
    GEN_GOTO(GEN_ALLOC(&r, 1, "result of scores"));
    *out = &r->result;
    GEN_GOTO(make_room(&r->result, s, &r->arena));
    add_up(&t, lead < 0 ? 0 : lead, lead < 0 ? s->o.leads : lead + 1);
    put_all(&r->result, &t, cells);
done:
    gen_free(t.count);
    gen_free(t.sum);
    gen_free(cells);
    if (status != GEN_OK)
        gen_score_result_free(out);
    return status;
}

void gen_score_result_free(gen_score_result **p)
{
    room *r = (room *)*p; /* the result is its first member */
    if (!r)
        return;
    gen_arena_free(&r->arena);
    gen_free(r);
    *p = NULL;
}

/* ---- single scores --------------------------------------------------------------------------- */

static gen_status score_once(gen_score_result **out, const gen_score_options *o,
                             const float *observation, const float *const *members)
{
    gen_status status;
    gen_score *s = NULL;
    GEN_GOTO(gen_score_create(&s, o));
    GEN_GOTO(gen_score_add(s, 0, observation, members));
    GEN_GOTO(gen_score_finish(out, s, 0));
done:
    gen_score_free(&s);
    return status;
}

gen_status gen_crps(gen_crps_scores *out, const float *observation, const float *const *members,
                    int64_t k, int64_t n)
{
    gen_score_options o = { .height = 1, .width = n, .members = k, .pools = -1 };
    gen_score_result *r = NULL;
    o.parts = GEN_SCORE_CRPS | GEN_SCORE_CRPS_PYSTEPS;
    GEN_TRY(score_once(&r, &o, observation, members));
    *out = r->crps;
    gen_score_result_free(&r);
    return GEN_OK;
}

gen_status gen_fss(gen_number *out, const float *observation, const float *forecast, int64_t h,
                   int64_t w, double threshold, int64_t window)
{
    gen_score_options o = { .height = h, .width = w, .members = 1, .parts = GEN_SCORE_FSS };
    gen_score_result *r = NULL;
    o.thresholds = o.windows = 1;
    o.threshold[0] = threshold;
    o.window[0] = window;
    GEN_TRY(score_once(&r, &o, observation, &forecast));
    *out = r->at[0].fss[0].members;
    gen_score_result_free(&r);
    return GEN_OK;
}
