/* SPDX-License-Identifier: Apache-2.0
 *
 * Properties of forecast scores: merging, order of members, threads, instruction sets, perfect and
 * empty forecasts, odd sizes, bad options, failing allocations.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include <libgen/metrics.h>
#include <libgen/random.h>

#include "libgen/base/alloc.h"

#define K_MAX 64

/* Rain-like fields: half of the cells are dry, values are multiples of 1/4. */
typedef struct forecast {
    int64_t cells, k;
    float *observation;
    float *member[K_MAX];
} forecast;

static float *rain(int64_t n, uint64_t seed, uint64_t stream, double missing)
{
    float *x = calloc((size_t)n, sizeof *x), *gap = calloc((size_t)n, sizeof *gap);
    gen_random_normal(x, n, seed, stream, 0);
    gen_random_uniform(gap, n, seed, stream + 1000, 0);
    for (int64_t i = 0; i < n; i++)
        x[i] = (double)gap[i] < missing ? NAN : floorf(fmaxf(x[i], 0) * 16) / 4;
    free(gap);
    return x;
}

static forecast make(int64_t cells, int64_t k, uint64_t seed, double missing)
{
    forecast f = { .cells = cells, .k = k };
    f.observation = rain(cells, seed, 0, missing);
    for (int64_t m = 0; m < k; m++)
        f.member[m] = rain(cells, seed, (uint64_t)m + 1, missing / (double)k);
    return f;
}

static void drop(forecast *f)
{
    free(f->observation);
    for (int64_t m = 0; m < f->k; m++)
        free(f->member[m]);
}

static gen_score *started(const gen_score_options *o)
{
    gen_score *s = NULL;
    if (gen_score_create(&s, o) != GEN_OK)
        fail_msg("%s", gen_last_error());
    return s;
}

static void add(gen_score *s, int64_t lead, const forecast *f)
{
    assert_int_equal(gen_score_add(s, lead, f->observation, (const float *const *)f->member),
                     GEN_OK);
}

static gen_score_result *finished(const gen_score *s, int64_t lead)
{
    gen_score_result *r = NULL;
    assert_int_equal(gen_score_finish(&r, s, lead), GEN_OK);
    return r;
}

static gen_score_result *once(const gen_score_options *o, const forecast *f)
{
    gen_score *s = started(o);
    add(s, 0, f);
    gen_score_result *r = finished(s, 0);
    gen_score_free(&s);
    return r;
}

static gen_score_options options(int64_t h, int64_t w, int64_t k)
{
    return (gen_score_options){ .height = h,
                                .width = w,
                                .members = k,
                                .parts = GEN_SCORE_ALL | GEN_SCORE_CRPS_PYSTEPS,
                                .windows = 3,
                                .window = { 1, 4, 9 },
                                .pools = 2,
                                .pool = { 2, 4 } };
}

/* ---- every number of a result ---------------------------------------------------------------- */

typedef void number_fn(gen_number v, void *ctx);

static void each_category(const gen_category_scores *c, number_fn *fn, void *ctx)
{
    const gen_number v[] = { c->csi, c->pod, c->far, c->fa, c->bias, c->ets, c->hss, c->hk };
    for (size_t i = 0; i < sizeof v / sizeof *v; i++)
        fn(v[i], ctx);
}

static void each_crps(const gen_crps_scores *c, number_fn *fn, void *ctx)
{
    fn(c->standard, ctx);
    fn(c->fair, ctx);
    fn(c->pysteps, ctx);
}

static void each_threshold(const gen_score_result *r, const gen_threshold_scores *a, number_fn *fn,
                           void *ctx)
{
    each_category(&a->members, fn, ctx);
    each_category(&a->mean, fn, ctx);
    fn(a->base_rate, ctx);
    fn(a->brier, ctx);
    fn(a->roc_area, ctx);
    for (int i = 0; i < r->bins; i++) {
        fn(a->reliability[i].forecast, ctx);
        fn(a->reliability[i].observed, ctx);
    }
    for (int i = 0; i < r->roc_points; i++) {
        fn(a->roc[i].pod, ctx);
        fn(a->roc[i].fa, ctx);
    }
    for (int i = 0; i < r->ratios; i++)
        fn(a->value[i].value, ctx);
    for (int i = 0; i < r->windows; i++) {
        fn(a->fss[i].members, ctx);
        fn(a->fss[i].mean, ctx);
        fn(a->fss[i].probabilities, ctx);
    }
}

static void each_number(const gen_score_result *r, number_fn *fn, void *ctx)
{
    const gen_number v[] = {
        r->observed,    r->forecast,     r->mae,    r->rmse,         r->bias,
        r->members_mae, r->members_rmse, r->spread, r->spread_skill, r->spread_skill_corrected
    };
    for (size_t i = 0; i < sizeof v / sizeof *v; i++)
        fn(v[i], ctx);
    each_crps(&r->crps, fn, ctx);
    for (int i = 0; i < r->pools; i++) {
        each_crps(&r->average[i], fn, ctx);
        each_crps(&r->maximum[i], fn, ctx);
    }
    for (int i = 0; i < r->thresholds; i++)
        each_threshold(r, &r->at[i], fn, ctx);
    for (int64_t i = 0; i < r->ranks; i++)
        fn(r->rank[i], ctx);
    for (int64_t i = 0; i < r->frequencies; i++) {
        fn(r->psd_observed[i], ctx);
        fn(r->psd_members[i], ctx);
        fn(r->psd_mean[i], ctx);
    }
}

static void finite(gen_number v, void *ctx)
{
    (void)ctx;
    assert_true(isfinite(v.value));
    assert_true(v.known || v.value == 0);
}

static void unknown(gen_number v, void *ctx)
{
    (void)ctx;
    assert_true(!v.known && v.value == 0);
}

typedef struct list {
    gen_number value[4096];
    int n;
} list;

static void keep(gen_number v, void *ctx)
{
    list *l = ctx;
    assert_true(l->n < 4096);
    l->value[l->n++] = v;
}

/* The same bits. */
static void assert_same(const gen_score_result *a, const gen_score_result *b)
{
    static list x, y;
    x.n = y.n = 0;
    each_number(a, keep, &x);
    each_number(b, keep, &y);
    assert_int_equal(x.n, y.n);
    for (int i = 0; i < x.n; i++) {
        assert_int_equal(x.value[i].known, y.value[i].known);
        if (x.value[i].value != y.value[i].value)
            fail_msg("number %d of %d: %.17g and %.17g", i, x.n, x.value[i].value,
                     y.value[i].value);
    }
}

static void assert_same_state(const gen_score *a, const gen_score *b)
{
    gen_score_state x = gen_score_save(a), y = gen_score_save(b);
    assert_int_equal(x.counts, y.counts);
    assert_int_equal(x.sums, y.sums);
    assert_memory_equal(x.count, y.count, (size_t)x.counts * sizeof *x.count);
    assert_memory_equal(x.sum, y.sum, (size_t)x.sums * sizeof *x.sum);
}

/* ---- sums ------------------------------------------------------------------------------------ */

static void merging_is_adding(void **state)
{
    (void)state;
    gen_score_options o = options(37, 53, 6);
    o.leads = 2;
    o.ties = GEN_TIES_DRAWN;
    gen_score *whole = started(&o), *a = started(&o), *b = started(&o);
    for (uint64_t i = 0; i < 9; i++) {
        forecast f = make(37 * 53, 6, i, 0.05);
        add(whole, i % 2, &f);
        add(i % 3 ? a : b, i % 2, &f);
        drop(&f);
    }
    assert_int_equal(gen_score_merge(b, a), GEN_OK); /* cases in another order */
    gen_score_state x = gen_score_save(whole), y = gen_score_save(b);
    assert_memory_equal(x.count, y.count, (size_t)x.counts * sizeof *x.count);
    for (int64_t lead = -1; lead < 2; lead++) {
        gen_score_result *r = finished(whole, lead), *q = finished(b, lead);
        assert_same(r, q);
        assert_int_equal(r->cases, lead < 0 ? 9 : lead ? 4 : 5);
        gen_score_result_free(&r);
        gen_score_result_free(&q);
    }
    gen_score_free(&whole);
    gen_score_free(&a);
    gen_score_free(&b);
}

static void state_comes_back(void **state)
{
    (void)state;
    gen_score_options o = options(20, 20, 3);
    forecast f = make(400, 3, 1, 0.05);
    gen_score *s = started(&o), *t = NULL;
    add(s, 0, &f);
    gen_score_state kept = gen_score_save(s), bad = kept;
    assert_int_equal(gen_score_restore(&t, gen_score_options_of(s), &kept), GEN_OK);
    assert_same_state(s, t);
    add(s, 0, &f);
    add(t, 0, &f);
    assert_same_state(s, t);
    gen_score_free(&t);

    bad.counts--;
    assert_int_equal(gen_score_restore(&t, &o, &bad), GEN_EDATA);
    bad = kept;
    int64_t *count = calloc((size_t)kept.counts, sizeof *count);
    count[3] = -1;
    bad.count = count;
    assert_int_equal(gen_score_restore(&t, &o, &bad), GEN_EDATA);
    bad = kept;
    double *sum = calloc((size_t)kept.sums, sizeof *sum);
    sum[kept.sums - 1] = NAN;
    bad.sum = sum;
    assert_int_equal(gen_score_restore(&t, &o, &bad), GEN_EDATA);
    assert_null(t);

    /* Any numbers from a file end in numbers. */
    for (int64_t i = 0; i < kept.counts; i++)
        count[i] = (int64_t)1 << 56;
    for (int64_t i = 0; i < kept.sums; i++)
        sum[i] = i % 3 ? -1e308 : 1e308;
    bad.count = count;
    assert_int_equal(gen_score_restore(&t, &o, &bad), GEN_OK);
    gen_score_result *r = finished(t, -1);
    each_number(r, finite, NULL);
    gen_score_result_free(&r);
    for (int i = 0; i < 4; i++)
        (void)gen_score_merge(t, t);
    assert_int_equal(gen_score_merge(t, t), GEN_EDATA);
    gen_score_free(&t);
    free(count);
    free(sum);
    drop(&f);
    gen_score_free(&s);
}

static void threads_and_instruction_sets_do_not_show(void **state)
{
    (void)state;
    static const char *const isa[] = { "base", "avx2", "avx512" };
    gen_score_options o = options(71, 130, 11); /* several pieces */
    forecast f = make(71 * 130, 11, 5, 0.02);
    o.ties = GEN_TIES_DRAWN;
    o.threads = 1;
    gen_score *one = started(&o);
    add(one, 0, &f);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(setenv("GEN_ISA", isa[i], 1), 0);
        o.threads = i + 2;
        gen_score *other = started(&o);
        add(other, 0, &f);
        assert_same_state(one, other);
        gen_score_free(&other);
    }
    assert_int_equal(unsetenv("GEN_ISA"), 0);
    gen_score_free(&one);
    drop(&f);
}

static void order_of_members_does_not_show(void **state)
{
    (void)state;
    gen_score_options o = options(30, 41, 7);
    forecast f = make(30 * 41, 7, 2, 0.03), turned = f;
    for (int m = 0; m < 7; m++)
        turned.member[m] = f.member[(3 * m + 2) % 7];
    gen_score_result *a = once(&o, &f), *b = once(&o, &turned);
    for (int64_t i = 0; i < a->frequencies; i++) { /* their spectra are added in order */
        assert_true(fabs(a->psd_members[i].value - b->psd_members[i].value) <=
                    1e-12 * a->psd_members[i].value);
        b->psd_members[i] = a->psd_members[i];
    }
    assert_same(a, b);
    gen_score_result_free(&a);
    gen_score_result_free(&b);
    drop(&f);
}

/* ---- what scores must be --------------------------------------------------------------------- */

static void assert_is(gen_number v, double expected)
{
    if (!v.known || !(fabs(v.value - expected) <= 1e-12))
        fail_msg("found %.17g (%s), expected %.17g", v.value, v.known ? "known" : "not known",
                 expected);
}

static void perfect_forecasts_are_perfect(void **state)
{
    (void)state;
    gen_score_options o = options(33, 32, 4);
    forecast f = make(33 * 32, 4, 3, 0.04);
    for (int m = 0; m < 4; m++)
        memcpy(f.member[m], f.observation, 33 * 32 * sizeof(float));
    gen_score_result *r = once(&o, &f);
    assert_is(r->crps.standard, 0);
    assert_is(r->crps.fair, 0);
    assert_is(r->average[1].standard, 0);
    assert_is(r->maximum[0].standard, 0);
    assert_is(r->rmse, 0);
    assert_is(r->spread, 0);
    assert_false(r->spread_skill.known);
    for (int i = 0; i < r->thresholds; i++) {
        const gen_category_scores *c = &r->at[i].members;
        const gen_number one[] = { c->csi, c->pod, c->bias, c->ets, c->hss, c->hk };
        for (int n = 0; n < 6; n++)
            assert_is(one[n], 1);
        assert_is(c->far, 0);
        assert_is(c->fa, 0);
        assert_is(r->at[i].brier, 0);
        assert_is(r->at[i].roc_area, 1);
        for (int n = 0; n < r->windows; n++) {
            assert_is(r->at[i].fss[n].members, 1);
            assert_is(r->at[i].fss[n].mean, 1);
            assert_is(r->at[i].fss[n].probabilities, 1);
        }
        for (int n = 0; n < r->ratios; n++)
            assert_is(r->at[i].value[n].value, 1);
    }
    for (int i = 0; i < 5; i++)
        assert_is(r->rank[i], 0.2); /* all ties, shared */
    for (int64_t i = 0; i < r->frequencies; i++)
        assert_is(r->psd_members[i], r->psd_observed[i].value);
    gen_score_result_free(&r);
    drop(&f);
}

static void one_member_is_its_error(void **state)
{
    (void)state;
    gen_score_options o = options(25, 31, 1);
    forecast f = make(25 * 31, 1, 4, 0.04);
    gen_score_result *r = once(&o, &f);
    assert_is(r->crps.standard, r->mae.value);
    assert_is(r->members_mae, r->mae.value);
    assert_is(r->members_rmse, r->rmse.value);
    assert_false(r->crps.fair.known);
    assert_false(r->spread.known);
    assert_memory_equal(&r->at[0].members, &r->at[0].mean, sizeof r->at[0].mean);
    each_number(r, finite, NULL);
    gen_score_result_free(&r);
    drop(&f);
}

/* Members and observation from one distribution: the fair form does not depend on their number. */
static void fair_crps_is_fair(void **state)
{
    (void)state;
    const int64_t n = 300000, number[] = { 2, 5, 20 };
    double standard = INFINITY;
    for (int i = 0; i < 3; i++) {
        forecast f = make(n, number[i], 7, 0);
        gen_crps_scores c;
        assert_int_equal(gen_crps(&c, f.observation, (const float *const *)f.member, number[i], n),
                         GEN_OK);
        assert_int_equal(c.cells, n);
        assert_true(c.fair.value < c.standard.value);
        /* A reliable ensemble of k: standard = fair (1 + 1/k); sampling leaves about 0.005. */
        double k = (double)number[i];
        assert_true(fabs(c.fair.value * (k + 1) / k - c.standard.value) < 0.01);
        assert_true(c.standard.value < standard);
        standard = c.standard.value;
        drop(&f);
    }
}

/* In a window that covers the field from every cell, only the frequencies of events count. */
static void window_over_all_sees_frequencies(void **state)
{
    (void)state;
    enum { H = 11, W = 14 };
    forecast f = make((int64_t)H * W, 1, 9, 0);
    double a = 0, b = 0;
    gen_number all, one;
    for (int i = 0; i < H * W; i++) {
        a += f.observation[i] >= 1;
        b += f.member[0][i] >= 1;
    }
    assert_int_equal(gen_fss(&all, f.observation, f.member[0], H, W, 1, 2 * W), GEN_OK);
    assert_is(all, 2 * a * b / (a * a + b * b));
    assert_int_equal(gen_fss(&one, f.observation, f.member[0], H, W, 1, 1), GEN_OK);
    assert_true(one.value < all.value);
    drop(&f);
}

static void spread_of_normal_members(void **state)
{
    (void)state;
    enum { N = 200000, K = 10 };
    forecast f = { .cells = N, .k = K };
    f.observation = calloc(N, sizeof(float));
    gen_random_normal(f.observation, N, 1, 99, 0);
    for (int m = 0; m < K; m++) {
        f.member[m] = calloc(N, sizeof(float));
        gen_random_normal(f.member[m], N, 1, (uint64_t)m, 0);
    }
    gen_score_options o = { .height = 400, .width = 500, .members = K };
    o.parts = GEN_SCORE_RANKS;
    gen_score_result *r = once(&o, &f);
    assert_true(fabs(r->spread.value - 1) < 0.005);
    assert_true(fabs(r->rmse.value - sqrt(1.1)) < 0.01);
    assert_true(fabs(r->spread_skill_corrected.value - 1) < 0.01);
    for (int i = 0; i <= K; i++)
        assert_true(fabs(r->rank[i].value - 1.0 / (K + 1)) < 0.004);
    gen_score_result_free(&r);
    drop(&f);
}

static void ties_are_shared_or_drawn(void **state)
{
    (void)state;
    enum { H = 200, W = 300, K = 5 };
    forecast f = make(H * W, K, 11, 0.01);
    gen_score_options o = { .height = H, .width = W, .members = K, .parts = GEN_SCORE_RANKS };
    gen_score_result *shared = once(&o, &f), *drawn, *again, *other;
    o.ties = GEN_TIES_DRAWN;
    drawn = once(&o, &f);
    again = once(&o, &f);
    o.seed = 1;
    other = once(&o, &f);
    assert_same(drawn, again);
    double sum = 0;
    bool differs = false;
    for (int i = 0; i <= K; i++) {
        sum += shared->rank[i].value;
        differs |= drawn->rank[i].value != other->rank[i].value;
        assert_true(fabs(shared->rank[i].value - drawn->rank[i].value) < 0.006);
        assert_true(drawn->rank[i].value != shared->rank[i].value);
    }
    assert_true(fabs(sum - 1) < 1e-12);
    assert_true(differs);
    assert_int_equal(drawn->rank_cells, shared->rank_cells);
    gen_score_result_free(&shared);
    gen_score_result_free(&drawn);
    gen_score_result_free(&again);
    gen_score_result_free(&other);
    drop(&f);
}

static void events_at_the_threshold(void **state)
{
    (void)state;
    float seen[] = { 1, 1, 0, 2 }, said[] = { 1, 0, 1, 2 };
    forecast f = { .cells = 4, .k = 1, .observation = seen, .member = { said } };
    gen_score_options o = { .height = 2, .width = 2, .members = 1 };
    o.parts = GEN_SCORE_CATEGORIES | GEN_SCORE_PROBABILITIES;
    o.thresholds = 1;
    o.threshold[0] = 1;
    static const int64_t hits[] = { 1, 1, 2 };
    static const double rate[] = { 0.75, 0.25, 0.75 };
    for (int event = GEN_EVENT_PYSTEPS; event <= GEN_EVENT_AT_LEAST; event++) {
        o.event = (gen_score_event)event;
        gen_score_result *r = once(&o, &f);
        assert_int_equal(r->at[0].members.table.hits, hits[event]);
        assert_int_equal(r->at[0].mean.table.hits, hits[event]);
        assert_is(r->at[0].base_rate, rate[event]);
        gen_score_result_free(&r);
    }
}

/* ---- edges ----------------------------------------------------------------------------------- */

static void nothing_measured_is_no_data(void **state)
{
    (void)state;
    gen_score_options o = options(9, 10, 2);
    forecast f = make(90, 2, 1, 0);
    for (int i = 0; i < 90; i++)
        f.member[1][i] = i % 2 ? NAN : INFINITY;
    gen_score_result *r = once(&o, &f);
    assert_int_equal(r->cells, 0);
    assert_int_equal(r->missing, 90);
    assert_int_equal(r->rank_cells, 0);
    each_number(r, unknown, NULL);
    gen_score_result_free(&r);
    gen_score *s = started(&o);
    r = finished(s, -1);
    each_number(r, unknown, NULL);
    gen_score_result_free(&r);
    gen_score_free(&s);
    drop(&f);
}

static void all_sizes_run(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = { { 1, 1, 1 },  { 1, 1, 5 },   { 1, 300, 2 }, { 300, 1, 3 },
                                        { 2, 2, 64 }, { 67, 61, 1 }, { 5, 13, 33 } };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int missing = 0; missing < 3; missing++) {
            gen_score_options o = options(sizes[i][0], sizes[i][1], sizes[i][2]);
            o.rank_min = missing;
            forecast f = make(o.height * o.width, o.members, i, 0.3 * missing);
            gen_score_result *r = once(&o, &f);
            assert_int_equal(r->cells + r->missing, o.height * o.width);
            each_number(r, finite, NULL);
            gen_score_result_free(&r);
            drop(&f);
        }
}

static void parts_are_what_was_asked(void **state)
{
    (void)state;
    forecast f = make(400, 3, 1, 0);
    gen_score_options o = options(20, 20, 3);
    gen_score_result *all = once(&o, &f), *r;
    o.parts = GEN_SCORE_FSS;
    r = once(&o, &f);
    assert_is(r->at[1].fss[2].mean, all->at[1].fss[2].mean.value);
    assert_is(r->rmse, all->rmse.value);
    assert_int_equal(r->ranks + r->frequencies + r->bins + r->pools, 0);
    assert_false(r->crps.standard.known);
    gen_score_result_free(&r);
    o.parts = GEN_SCORE_CATEGORIES;
    r = once(&o, &f);
    assert_memory_equal(&r->at[0].members, &all->at[0].members, sizeof r->at[0].members);
    assert_int_equal(r->windows, 0);
    gen_score_result_free(&r);
    o.parts = GEN_SCORE_PROBABILITIES;
    r = once(&o, &f);
    assert_is(r->at[0].brier, all->at[0].brier.value);
    gen_score_result_free(&r);
    gen_score_result_free(&all);
    drop(&f);
}

static void bad_options_are_refused(void **state)
{
    (void)state;
    const gen_score_options good = options(4, 5, 3);
    gen_score_options bad[16];
    gen_score *s = NULL, *t;
    int n = 0;
    for (int i = 0; i < 16; i++)
        bad[i] = good;
    bad[n++].height = 0;
    bad[n++].width = INT64_MAX;
    bad[n++].members = GEN_SCORE_MEMBERS_MAX + 1;
    bad[n++].leads = -1;
    bad[n++].parts = 128;
    bad[n++].thresholds = 17;
    bad[n].thresholds = 1;
    bad[n++].threshold[0] = NAN;
    bad[n++].windows = -1;
    bad[n++].window[1] = 0;
    bad[n++].pool[0] = -2;
    bad[n++].rank_min = NAN;
    bad[n++].bins = -1;
    bad[n++].roc_points = 1;
    bad[n++].event = (gen_score_event)3;
    bad[n].height = bad[n].width = (int64_t)1 << 20;
    n++;
    for (int i = 0; i < n; i++) {
        assert_int_equal(gen_score_create(&s, &bad[i]), GEN_EINVAL);
        assert_null(s);
        assert_true(strlen(gen_last_error()) > 20);
    }
    s = started(&good);
    assert_int_equal(gen_score_add(s, 1, NULL, NULL), GEN_EINVAL);
    gen_score_result *r;
    assert_int_equal(gen_score_finish(&r, s, 1), GEN_EINVAL);
    gen_score_options other = good;
    other.window[2] = 8;
    t = started(&other);
    assert_int_equal(gen_score_merge(s, t), GEN_EINVAL);
    assert_non_null(strstr(gen_last_error(), "window 3"));
    gen_score_free(&t);
    gen_score_free(&s);
}

static void spectrum_of_a_gap_is_refused(void **state)
{
    (void)state;
    float x[12] = { 0 };
    double power[2];
    x[7] = NAN;
    assert_int_equal(gen_rapsd(power, x, 3, 4, false), GEN_EDATA);
    assert_non_null(strstr(gen_last_error(), "(1,3)"));
    x[7] = 0;
    assert_int_equal(gen_rapsd(power, x, 3, 4, true), GEN_OK); /* no power to share */
    assert_true(power[0] == 0 && power[1] == 0);
    assert_int_equal(gen_rapsd(power, x, 0, 4, false), GEN_EINVAL);
}

static void permutation_test_at_its_edges(void **state)
{
    (void)state;
    static double a[4096], b[4096];
    for (int i = 0; i < 4096; i++) {
        a[i] = i % 7;
        b[i] = a[i];
    }
    assert_is(gen_permutation_test(a, b, 12, 0, 0), 1); /* nothing differs */
    assert_is(gen_permutation_test(a, b, 4096, 99, 0), 1);
    for (int i = 0; i < 4096; i++)
        b[i] += 1 + i % 3;
    assert_is(gen_permutation_test(a, b, 10, 0, 0), 2.0 / 1024); /* only all signs or none */
    assert_is(gen_permutation_test(a, b, 300, 99, 0), 0.01);     /* the least that 99 can tell */
    assert_false(gen_permutation_test(a, b, 0, 0, 0).known);
    assert_false(gen_permutation_test(a, b, 4097, 0, 0).known);
    b[3] = NAN;
    assert_false(gen_permutation_test(a, b, 10, 0, 0).known);
}

/* Every allocation fails once; nothing leaks (the count comes back) and the status says so. */
static void failing_allocations(void **state)
{
    (void)state;
    gen_score_options o = options(10, 12, 3);
    forecast f = make(120, 3, 1, 0);
    uint64_t before = gen_alloc_bytes();
    bool done = false;
    for (uint64_t n = 1; !done; n++) {
        gen_score *s = NULL;
        gen_score_result *r = NULL;
        gen_alloc_fail_at(n);
        gen_status status = gen_score_create(&s, &o);
        if (status == GEN_OK) {
            add(s, 0, &f);
            status = gen_score_finish(&r, s, 0);
        }
        gen_alloc_fail_at(0);
        done = status == GEN_OK;
        assert_true(done || status == GEN_ENOMEM);
        gen_score_result_free(&r);
        gen_score_free(&s);
        assert_int_equal(gen_alloc_bytes(), before);
    }
    drop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merging_is_adding),
        cmocka_unit_test(state_comes_back),
        cmocka_unit_test(threads_and_instruction_sets_do_not_show),
        cmocka_unit_test(order_of_members_does_not_show),
        cmocka_unit_test(perfect_forecasts_are_perfect),
        cmocka_unit_test(one_member_is_its_error),
        cmocka_unit_test(fair_crps_is_fair),
        cmocka_unit_test(window_over_all_sees_frequencies),
        cmocka_unit_test(spread_of_normal_members),
        cmocka_unit_test(ties_are_shared_or_drawn),
        cmocka_unit_test(events_at_the_threshold),
        cmocka_unit_test(nothing_measured_is_no_data),
        cmocka_unit_test(all_sizes_run),
        cmocka_unit_test(parts_are_what_was_asked),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(spectrum_of_a_gap_is_refused),
        cmocka_unit_test(permutation_test_at_its_edges),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
