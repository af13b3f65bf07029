/* SPDX-License-Identifier: Apache-2.0
 *
 * The accumulator: options with their defaults, where each score lies in the two arrays, adding a
 * case by calling each part, merging, keeping and restoring. Numbers are taken out in result.c.
 */
#include "metrics/score.h"

#include <string.h>

#include "libgen/base/fail.h"

#define CELLS_MAX ((int64_t)1 << 28)
#define LEADS_MAX 100000

extern const gen_score_loops gen_score_loops_base;
#if defined(__x86_64__)
extern const gen_score_loops gen_score_loops_avx2, gen_score_loops_avx512;
#endif

const gen_score_loops *gen_score_loops_of(gen_isa isa)
{
#if defined(__x86_64__)
    if (isa >= GEN_ISA_AVX512)
        return &gen_score_loops_avx512;
    if (isa == GEN_ISA_AVX2)
        return &gen_score_loops_avx2;
#endif
    (void)isa;
    return &gen_score_loops_base;
}

float gen_event_bound(double threshold, bool at_least)
{
    float t = (float)threshold;
    return at_least ? nextafterf(t, -INFINITY) : t;
}

/* ---- options --------------------------------------------------------------------------------- */

static void fill_defaults(gen_score_options *o)
{
    static const double thresholds[] = { 1, 4, 8 };
    static const int64_t windows[] = { 1, 4, 16, 64 }, pools[] = { 4, 16 };
    o->leads = o->leads ? o->leads : 1;
    o->parts = o->parts ? o->parts : GEN_SCORE_ALL;
    o->bins = o->bins ? o->bins : 10;
    o->min_count = o->min_count ? o->min_count : 10;
    o->roc_points = o->roc_points ? o->roc_points : 10;
    o->ratios = o->ratios ? o->ratios : 99;
    if (!o->thresholds) {
        o->thresholds = GEN_LEN(thresholds);
        memcpy(o->threshold, thresholds, sizeof thresholds);
    }
    if (!o->windows) {
        o->windows = GEN_LEN(windows);
        memcpy(o->window, windows, sizeof windows);
    }
    if (!o->pools) {
        o->pools = GEN_LEN(pools);
        memcpy(o->pool, pools, sizeof pools);
    }
    if (o->pools < 0 || !(o->parts & GEN_SCORE_CRPS))
        o->pools = 0;
}

static gen_status in_range(const char *what, int64_t found, int64_t least, int64_t most)
{
    if (found >= least && found <= most)
        return GEN_OK;
    return gen_fail(GEN_EINVAL, "score: %s: found %lld, expected %lld to %lld", what,
                    (long long)found, (long long)least, (long long)most);
}

static gen_status check_options(const gen_score_options *o)
{
    GEN_TRY(in_range("height", o->height, 1, CELLS_MAX));
    GEN_TRY(in_range("width", o->width, 1, CELLS_MAX));
    GEN_TRY(in_range("cells", o->height * o->width, 1, CELLS_MAX));
    GEN_TRY(in_range("members", o->members, 1, GEN_SCORE_MEMBERS_MAX));
    GEN_TRY(in_range("lead times", o->leads, 1, LEADS_MAX));
    GEN_TRY(in_range("parts", o->parts, 1, GEN_SCORE_ALL | GEN_SCORE_CRPS_PYSTEPS));
    GEN_TRY(in_range("number of thresholds", o->thresholds, 1, GEN_SCORE_LIST_MAX));
    GEN_TRY(in_range("number of windows", o->windows, 1, GEN_SCORE_LIST_MAX));
    GEN_TRY(in_range("number of pools", o->pools, 0, GEN_SCORE_LIST_MAX));
    GEN_TRY(in_range("event", o->event, GEN_EVENT_PYSTEPS, GEN_EVENT_AT_LEAST));
    GEN_TRY(in_range("ties", o->ties, GEN_TIES_SHARED, GEN_TIES_DRAWN));
    GEN_TRY(in_range("bins", o->bins, 1, 1000));
    GEN_TRY(in_range("min_count", o->min_count, 1, INT64_MAX));
    GEN_TRY(in_range("points of the ROC curve", o->roc_points, 2, 1000));
    GEN_TRY(in_range("cost/loss ratios", o->ratios, 1, 1000));
    for (int i = 0; i < o->thresholds; i++)
        if (!(fabs(o->threshold[i]) < 1e30))
            return gen_fail(GEN_EINVAL, "score: threshold %d: found %g, expected a finite number",
                            i + 1, o->threshold[i]);
    for (int i = 0; i < o->windows; i++)
        GEN_TRY(in_range("window", o->window[i], 1, CELLS_MAX));
    for (int i = 0; i < o->pools; i++)
        GEN_TRY(in_range("pool", o->pool[i], 1, CELLS_MAX));
    if (!(o->rank_min >= 0 && o->rank_min < 1e30))
        return gen_fail(GEN_EINVAL, "score: rank_min: found %g, expected 0 or more", o->rank_min);
    return GEN_OK;
}

const gen_score_options *gen_score_options_of(const gen_score *s)
{
    return &s->o;
}

/* ---- layout ---------------------------------------------------------------------------------- */

static int64_t take(int64_t *end, int64_t n)
{
    int64_t at = *end;
    *end += n;
    return at;
}

static gen_score_layout lay_out(const gen_score_options *o)
{
    gen_score_layout l = { 0 };
    int64_t ranks = o->members + 1, thresholds = o->thresholds;
    bool tables = o->parts & GEN_SCORE_CATEGORIES, shares = o->parts & GEN_SCORE_PROBABILITIES;
    l.counts = GEN_COUNT_FIXED;
    l.pooled_cells = take(&l.counts, (int64_t)2 * o->pools);
    l.tables = take(&l.counts, tables ? thresholds * 4 : 0);
    l.kinds = !tables && !shares ? 0 : tables && shares && o->event == GEN_EVENT_PYSTEPS ? 2 : 1;
    l.joint = take(&l.counts, thresholds * l.kinds * 2 * ranks);
    l.ranks = take(&l.counts, o->parts & GEN_SCORE_RANKS ? ranks * ranks : 0);
    l.sums = GEN_SUMS;
    l.pooled = take(&l.sums, (int64_t)2 * o->pools * GEN_POOLED_SUMS);
    if (o->parts & GEN_SCORE_FSS)
        l.fss = take(&l.sums, thresholds * o->windows * GEN_FSS_SUMS);
    if (o->parts & GEN_SCORE_PSD) {
        l.psd = gen_rapsd_length(o->height, o->width);
        l.spectra = take(&l.sums, l.psd * GEN_PSD_FIELDS);
    }
    return l;
}

/* ---- life ------------------------------------------------------------------------------------ */

gen_status gen_score_create(gen_score **out, const gen_score_options *options)
{
    *out = NULL;
    gen_status status;
    gen_score_options o = *options;
    fill_defaults(&o);
    GEN_TRY(check_options(&o));
    gen_isa isa;
    GEN_TRY(gen_cpu_isa(&isa));
    gen_score *s;
    GEN_TRY(GEN_ALLOC(&s, 1, "score"));
    s->o = o;
    s->loops = gen_score_loops_of(isa);
    s->at = lay_out(&s->o);
    GEN_GOTO(GEN_ALLOC(&s->count, o.leads * s->at.counts, "counts of scores"));
    GEN_GOTO(GEN_ALLOC(&s->sum, o.leads * s->at.sums, "sums of scores"));
    GEN_GOTO(gen_pool_create(&s->pool, o.threads));
    GEN_GOTO(gen_cells_create(s));
    GEN_GOTO(gen_pooled_create(s));
    if (gen_score_does(s, GEN_SCORE_FSS))
        GEN_GOTO(gen_fss_create(s));
    if (gen_score_does(s, GEN_SCORE_PSD))
        GEN_GOTO(gen_spectrum_create(&s->spectrum, o.height, o.width, o.members + 2,
                                     gen_pool_threads(s->pool)));
    *out = s;
    return GEN_OK;
done:
    gen_score_free(&s);
    return status;
}

void gen_score_free(gen_score **p)
{
    gen_score *s = *p;
    if (!s)
        return;
    gen_cells_free(s);
    gen_pooled_free(s);
    gen_fss_free(s);
    gen_spectrum_free(&s->spectrum);
    gen_pool_free(&s->pool);
    gen_free(s->sum);
    gen_free(s->count);
    gen_free(s);
    *p = NULL;
}

gen_status gen_score_add(gen_score *s, int64_t lead, const float *observation,
                         const float *const *members)
{
    GEN_TRY(in_range("lead time", lead, 0, s->o.leads - 1));
    gen_case c = { .s = s, .lead = lead, .observation = observation, .members = members };
    c.count = s->count + lead * s->at.counts;
    c.sum = s->sum + lead * s->at.sums;
    c.count[GEN_COUNT_CASES]++;
    gen_cells_add(&c); /* first: it finds the cells that are missing */
    gen_pooled_add(&c);
    if (gen_score_does(s, GEN_SCORE_FSS))
        gen_fss_add(&c);
    if (gen_score_does(s, GEN_SCORE_PSD))
        gen_spectrum_add(&c);
    return GEN_OK;
}

/* ---- merging and keeping --------------------------------------------------------------------- */

static gen_status same_list(const char *what, const double *a, int n, const double *b, int m)
{
    if (n != m)
        return gen_fail(GEN_EINVAL, "scores differ in the number of %s: %d and %d", what, n, m);
    for (int i = 0; i < n; i++)
        if (a[i] != b[i])
            return gen_fail(GEN_EINVAL, "scores differ in %s %d: %g and %g", what, i + 1, a[i],
                            b[i]);
    return GEN_OK;
}

static gen_status same_sizes(const char *what, const int64_t *a, int n, const int64_t *b, int m)
{
    double x[GEN_SCORE_LIST_MAX], y[GEN_SCORE_LIST_MAX];
    for (int i = 0; i < GEN_SCORE_LIST_MAX; i++) {
        x[i] = (double)a[i];
        y[i] = (double)b[i];
    }
    return same_list(what, x, n, y, m);
}

/* What the sums depend on; bins, points and ratios are only read at the end. */
static gen_status same_options(const gen_score_options *a, const gen_score_options *b)
{
    const struct {
        const char *name;
        double a, b;
    } one[] = {
        { "height", (double)a->height, (double)b->height },
        { "width", (double)a->width, (double)b->width },
        { "members", (double)a->members, (double)b->members },
        { "lead times", (double)a->leads, (double)b->leads },
        { "parts", a->parts, b->parts },
        { "event", a->event, b->event },
        { "ties", a->ties, b->ties },
        { "rank_min", a->rank_min, b->rank_min },
    };
    for (int i = 0; i < GEN_LEN(one); i++)
        if (one[i].a != one[i].b)
            return gen_fail(GEN_EINVAL, "scores differ in %s: %g and %g", one[i].name, one[i].a,
                            one[i].b);
    GEN_TRY(same_list("threshold", a->threshold, a->thresholds, b->threshold, b->thresholds));
    GEN_TRY(same_sizes("window", a->window, a->windows, b->window, b->windows));
    return same_sizes("pool", a->pool, a->pools, b->pool, b->pools);
}

/* Counts up to this can be added over lead times and multiplied by members without overflow. */
static int64_t count_limit(const gen_score *s)
{
    int64_t k = s->o.members + 1;
    return INT64_MAX / (k * k) / s->o.leads / 4;
}

gen_status gen_score_merge(gen_score *s, const gen_score *other)
{
    int64_t limit = count_limit(s);
    GEN_TRY(same_options(&s->o, &other->o));
    for (int64_t i = 0; i < s->o.leads * s->at.counts; i++)
        if (s->count[i] > limit || other->count[i] > limit - s->count[i])
            return gen_fail(GEN_EDATA, "merged scores: more than %lld cells", (long long)limit);
    for (int64_t i = 0; i < s->o.leads * s->at.counts; i++)
        s->count[i] += other->count[i];
    for (int64_t i = 0; i < s->o.leads * s->at.sums; i++) {
        gen_sum theirs = other->sum[i]; /* other may be s */
        gen_sum_merge(&s->sum[i], &theirs);
    }
    return GEN_OK;
}

gen_score_state gen_score_save(const gen_score *s)
{
    return (gen_score_state){ s->o.leads * s->at.counts, s->o.leads * s->at.sums * 2, s->count,
                              (const double *)s->sum };
}

gen_status gen_score_restore(gen_score **out, const gen_score_options *options,
                             const gen_score_state *state)
{
    GEN_TRY(gen_score_create(out, options));
    gen_status status = GEN_OK;
    gen_score *s = *out;
    gen_score_state own = gen_score_save(s);
    if (state->counts != own.counts || state->sums != own.sums)
        GEN_GOTO(gen_fail(
            GEN_EDATA, "state of a score: found %lld counts and %lld sums, expected %lld and %lld",
            (long long)state->counts, (long long)state->sums, (long long)own.counts,
            (long long)own.sums));
    for (int64_t i = 0; i < own.counts; i++)
        if (state->count[i] < 0 || state->count[i] > count_limit(s))
            GEN_GOTO(gen_fail(GEN_EDATA, "state of a score: count %lld: found %lld", (long long)i,
                              (long long)state->count[i]));
    for (int64_t i = 0; i < own.sums; i++)
        if (!isfinite(state->sum[i]))
            GEN_GOTO(gen_fail(GEN_EDATA, "state of a score: sum %lld is not finite", (long long)i));
    memcpy(s->count, state->count, (size_t)own.counts * sizeof *s->count);
    memcpy(s->sum, state->sum, (size_t)own.sums * sizeof(double));
done:
    if (status != GEN_OK)
        gen_score_free(out);
    return status;
}
