/* SPDX-License-Identifier: Apache-2.0
 *
 * Products of ensembles against pysteps and numpy (products.json, by products.py), and what must
 * hold for any ensemble.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libgen/products.h>
#include <libgen/random.h>

#include "libgen/base/alloc.h"
#include "libgen/base/file.h"
#include "libgen/base/json.h"

#define MOST 8 /* values in a list */

static gen_json *expected;

/* ---- an ensemble in memory, and all its products ----------------------------------------- */

typedef struct ensemble {
    gen_products_shape s;
    float *rain; /* [members,leads,cells] */
    int64_t cells, steps[2];
    /* [sum][kind]: [which,steps,cells] */
    float *product[2][GEN_PRODUCT_KINDS];
    int64_t values; /* that came */
} ensemble;

static gen_status give(void *cookie, int64_t member, int64_t lead, float *rain)
{
    const ensemble *e = cookie;
    memcpy(rain, e->rain + (member * e->s.lead_steps + lead) * e->cells,
           (size_t)e->cells * sizeof *rain);
    return GEN_OK;
}

static float *place(const ensemble *e, int sum, gen_product_kind kind, int64_t which, int64_t step)
{
    return e->product[sum][kind] + (which * e->steps[sum] + step) * e->cells;
}

static gen_status take(void *cookie, const gen_product *p, int64_t first, int64_t rows,
                       const float *values)
{
    ensemble *e = cookie;
    memcpy(place(e, p->sum, p->kind, p->which, p->step) + first * e->s.width, values,
           (size_t)(rows * e->s.width) * sizeof *values);
    e->values += rows * e->s.width;
    return GEN_OK;
}

static void compute(ensemble *e, gen_products_options *o)
{
    static const int64_t most[GEN_PRODUCT_KINDS] = { MOST, MOST, 1, 1, 100 };
    e->cells = e->s.height * e->s.width;
    e->steps[0] = e->s.lead_steps;
    e->steps[1] = gen_products_windows(&e->s, o);
    for (int i = 0; i < 2 * GEN_PRODUCT_KINDS; i++) {
        int sum = i / GEN_PRODUCT_KINDS, kind = i % GEN_PRODUCT_KINDS;
        assert_int_equal(
            GEN_ALLOC(&e->product[sum][kind], most[kind] * e->steps[sum] * e->cells, "test"),
            GEN_OK);
    }
    gen_status status = gen_products_compute(&e->s, o, give, e, take, e);
    if (status != GEN_OK)
        fail_msg("%s", gen_last_error());
}

static void release(ensemble *e)
{
    for (int i = 0; i < 2 * GEN_PRODUCT_KINDS; i++)
        gen_free(e->product[i / GEN_PRODUCT_KINDS][i % GEN_PRODUCT_KINDS]);
    gen_free(e->rain);
    *e = (ensemble){ 0 };
}

/* ---- against pysteps and numpy ----------------------------------------------------------- */

static int64_t integer(const gen_json *k, const char *key)
{
    int64_t v = 0;
    assert_int_equal(gen_json_int(k, key, 0, INT64_MAX, &v), GEN_OK);
    return v;
}

static int list(const char *key, double out[MOST])
{
    int n = 0;
    for (const gen_json *e = gen_json_first(gen_json_get(expected, key)); e; e = gen_json_next(e))
        assert_int_equal(gen_json_real(e, NULL, &out[n++]), GEN_OK);
    return n;
}

static ensemble read_case(const gen_json *k)
{
    ensemble e = { .s = { integer(k, "members"), integer(k, "leads"), integer(k, "height"),
                          integer(k, "width"), integer(expected, "step"), 0 } };
    int64_t n = e.s.members * e.s.lead_steps * e.s.height * e.s.width, i = 0, v;
    assert_int_equal(GEN_ALLOC(&e.rain, n, "test"), GEN_OK);
    for (const gen_json *r = gen_json_first(gen_json_get(k, "rain")); r; r = gen_json_next(r)) {
        assert_true(i < n);
        assert_int_equal(gen_json_int(r, NULL, -1, 1 << 24, &v), GEN_OK);
        e.rain[i++] = v < 0 ? NAN : (float)v / 128;
    }
    assert_int_equal(i, n);
    return e;
}

/* values [which,cells] of one step. */
static void check_product(const ensemble *e, const gen_json *step, const char *key, int sum,
                          gen_product_kind kind, int64_t at)
{
    const gen_json *x = gen_json_first(gen_json_get(step, key));
    for (int64_t i = 0; x; x = gen_json_next(x), i++) {
        float got = place(e, sum, kind, i / e->cells, at)[i % e->cells];
        double v = NAN;
        if (gen_json_kind_of(x) == GEN_JSON_NUMBER)
            assert_int_equal(gen_json_real(x, NULL, &v), GEN_OK);
        if (isnan(v) ? !isnan(got) : !(fabs((double)got - v) <= 2e-6 * (1 + v)))
            fail_msg("%s of %s %d, value %d: %.9g, expected %.9g", key, sum ? "sum" : "rate",
                     (int)at, (int)i, (double)got, v);
    }
}

static void check_steps(const ensemble *e, const gen_json *k, int sum)
{
    int64_t at = 0;
    const gen_json *step = gen_json_first(gen_json_get(k, sum ? "sum" : "rate"));
    for (; step; step = gen_json_next(step), at++) {
        check_product(e, step, "probability", sum, GEN_PRODUCT_PROBABILITY, at);
        check_product(e, step, "percentile", sum, GEN_PRODUCT_PERCENTILE, at);
        check_product(e, step, "mean", sum, GEN_PRODUCT_MEAN, at);
        check_product(e, step, "matched", sum, GEN_PRODUCT_MATCHED_MEAN, at);
    }
    assert_int_equal(at, e->steps[sum]);
}

/* At once, and in blocks of one row and of two by two threads. */
static void products_equal_pysteps_and_numpy(void **state)
{
    (void)state;
    double exceed[MOST], exceed_sum[MOST], percentiles[MOST];
    gen_products_options o = { .exceed = exceed,
                               .n_exceed = list("exceed", exceed),
                               .exceed_sum = exceed_sum,
                               .n_exceed_sum = list("exceed_sum", exceed_sum),
                               .percentiles = percentiles,
                               .n_percentiles = list("percentiles", percentiles),
                               .mean = true,
                               .matched_mean = true };
    int n = 0;
    for (const gen_json *k = gen_json_first(gen_json_get(expected, "cases")); k;
         k = gen_json_next(k), n++)
        for (int way = 0; way < 3; way++) {
            ensemble e = read_case(k);
            o.accumulate = integer(k, "window") * e.s.step;
            o.memory = way == 1 ? 1 : 0;
            o.threads = way;
            e.s.row_group = way == 2 ? 2 : 0;
            if (way == 2)
                o.memory = 5 * 4 * (uint64_t)e.s.width * (uint64_t)(e.s.members + 10);
            compute(&e, &o);
            check_steps(&e, k, 0);
            check_steps(&e, k, 1);
            release(&e);
        }
    assert_int_equal(n, 4);
}

/* ---- properties -------------------------------------------------------------------------- */

/* Rain in steps of 1/128, in about a third of the cells. */
static ensemble draw(int64_t members, int64_t leads, int64_t height, int64_t width, uint64_t seed)
{
    ensemble e = { .s = { members, leads, height, width, 600, 0 } };
    int64_t n = members * leads * height * width;
    assert_int_equal(GEN_ALLOC(&e.rain, n, "test"), GEN_OK);
    gen_random_normal(e.rain, n, seed, gen_stream("products"), 0);
    for (int64_t i = 0; i < n; i++)
        e.rain[i] = e.rain[i] > 0.4f ? floorf(e.rain[i] * 300) / 128 : 0;
    return e;
}

/* Of members that are all alike. */
static void equal_members(void **state)
{
    (void)state;
    const double exceed[] = { 0.5, 1, 2.34375 }, percentiles[] = { 0, 33, 100 };
    ensemble e = draw(5, 2, 6, 7, 3);
    int64_t field = e.s.lead_steps * 42;
    for (int64_t i = 0; i < 5 * field; i++)
        e.rain[i] = i % field == 11 ? NAN : i % field == 12 ? 2.34375f : e.rain[i % field];
    compute(&e, &(gen_products_options){ .exceed = exceed,
                                         .n_exceed = 3,
                                         .percentiles = percentiles,
                                         .n_percentiles = 3,
                                         .mean = true,
                                         .matched_mean = true });
    for (int64_t i = 0; i < field; i++) {
        float v = e.rain[i];
        int64_t t = i / 42, c = i % 42;
        for (int k = 0; k < 3; k++) {
            float p = place(&e, 0, GEN_PRODUCT_PROBABILITY, k, t)[c];
            float q = place(&e, 0, GEN_PRODUCT_PERCENTILE, k, t)[c];
            assert_true(isnan(v) ? isnan(p) && isnan(q) : p == ((double)v >= exceed[k]) && q == v);
        }
        float mean = place(&e, 0, GEN_PRODUCT_MEAN, 0, t)[c];
        float matched = place(&e, 0, GEN_PRODUCT_MATCHED_MEAN, 0, t)[c];
        assert_true(isnan(v) ? isnan(mean) && isnan(matched) : mean == v && matched == v);
    }
    release(&e);
}

static int rising(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The matched mean has the pooled distribution, every members-th value of it, and rises with the
 * mean. */
static void matched_mean_has_the_pooled_distribution(void **state)
{
    (void)state;
    enum { MEMBERS = 8, CELLS = 30 * 40 };
    ensemble e = draw(MEMBERS, 1, 30, 40, 9);
    for (int i = 0; i < MEMBERS * CELLS; i++)
        e.rain[i] = i % CELLS % 3 ? e.rain[i] : 0;
    compute(&e, &(gen_products_options){ .mean = true, .matched_mean = true });
    const float *mean = place(&e, 0, GEN_PRODUCT_MEAN, 0, 0);
    float *matched = place(&e, 0, GEN_PRODUCT_MATCHED_MEAN, 0, 0);
    for (int i = 0; i < CELLS; i++)
        for (int j = 0; j < CELLS; j++) {
            if (mean[i] < mean[j])
                assert_true(matched[i] <= matched[j]);
            if (mean[i] == mean[j])
                assert_true(matched[i] == matched[j]);
        }
    double sums[2] = { 0 };
    qsort(e.rain, MEMBERS * CELLS, sizeof *e.rain, rising);
    qsort(matched, CELLS, sizeof *matched, rising);
    for (int i = 0; i < CELLS; i++) {
        sums[0] += (double)matched[i];
        sums[1] += (double)e.rain[i * MEMBERS + MEMBERS / 2];
    }
    assert_true(sums[1] > 0);
    assert_float_equal(sums[0], sums[1], 1e-3);
    assert_true(matched[CELLS - 1] == e.rain[(CELLS - 1) * MEMBERS + MEMBERS / 2]);
    release(&e);
}

/* Windows add up to the total, and leave out what does not fill one. */
static void amounts_add_up(void **state)
{
    (void)state;
    ensemble e = draw(3, 7, 5, 4, 2); /* 7 x 10 minutes */
    compute(&e, &(gen_products_options){ .accumulate = 1200, .member_sums = true });
    assert_int_equal(e.steps[1], 3);
    assert_int_equal(e.values, 3 * 3 * 20);
    for (int64_t m = 0; m < 3; m++)
        for (int64_t c = 0; c < 20; c++) {
            double total = 0, sum = 0;
            for (int t = 0; t < 6; t++)
                total += (double)e.rain[(m * 7 + t) * 20 + c] / 6;
            for (int w = 0; w < 3; w++)
                sum += (double)place(&e, 1, GEN_PRODUCT_MEMBER_SUM, m, w)[c];
            assert_float_equal(sum, total, 1e-5);
        }
    release(&e);
}

static void what_does_not_fit(void **state)
{
    (void)state;
    const double good[] = { 1, 2 }, falling[] = { 2, 1 }, zero[] = { 0 }, nan[] = { NAN },
                 much[] = { 101 };
    const gen_products_shape s = { 3, 6, 4, 5, 300, 0 };
    const struct {
        gen_products_options o;
        const char *words;
    } cases[] = {
        { { .exceed = falling, .n_exceed = 2 }, "threshold 1 is number 2" },
        { { .exceed = zero, .n_exceed = 1 }, "threshold 0" },
        { { .exceed = nan, .n_exceed = 1 }, "threshold nan" },
        { { .percentiles = much, .n_percentiles = 1 }, "percentile 101" },
        { { .accumulate = 400 }, "a multiple of the lead times' step, 5 min" },
        { { .accumulate = -300 }, "a multiple" },
        { { .accumulate = 2100 }, "ends at 30 min" },
        { { .exceed_sum = good, .n_exceed_sum = 2 }, "no accumulation" },
    };
    for (int i = 0; i < GEN_LEN(cases); i++) {
        assert_int_equal(gen_products_check(&s, &cases[i].o), GEN_EINVAL);
        if (!strstr(gen_last_error(), cases[i].words))
            fail_msg("%s: no '%s'", gen_last_error(), cases[i].words);
    }
    const gen_products_shape uneven = { 3, 6, 4, 5, 0, 0 };
    assert_int_equal(gen_products_check(&uneven, &(gen_products_options){ .accumulate = 300 }),
                     GEN_EINVAL);
    assert_int_equal(
        gen_products_check(
            &s, &(gen_products_options){ .exceed = good, .n_exceed = 2, .accumulate = 1800 }),
        GEN_OK);
}

/* ---- points ------------------------------------------------------------------------------ */

static void the_cell_of_a_place(void **state)
{
    (void)state;
    double y[] = { 2000, 1000, 0 }, x[] = { -1000, 0, 1000, 2000 };
    char proj[] = "+proj=aeqd +lat_0=52 +lon_0=5 +ellps=WGS84 +units=m";
    gen_radar_grid g = { .height = 3, .width = 4, .y = y, .x = x, .proj4 = proj };
    gen_products_point p;
    assert_int_equal(gen_products_locate(&p, &g, 52, 5), GEN_OK);
    assert_int_equal(p.row, 2);
    assert_int_equal(p.column, 1);
    /* By pyproj: 52.0089, 5.0145 lies at x 995.4, y 990.4. */
    assert_int_equal(gen_products_locate(&p, &g, 52.0089, 5.0145), GEN_OK);
    assert_int_equal(p.row, 1);
    assert_int_equal(p.column, 2);
    assert_float_equal(p.cell_lat, 52.0089, 2e-4);
    assert_float_equal(p.cell_lon, 5.0145, 2e-4);
    assert_int_equal(gen_products_locate(&p, &g, 51.9956, 5), GEN_OK); /* half a cell south */
    assert_int_equal(gen_products_locate(&p, &g, 51.9954, 5), GEN_EINVAL);
    assert_non_null(strstr(gen_last_error(), "from 52.0000 to 52.0180 in latitude"));
    assert_int_equal(gen_products_locate(&p, &g, -52, 5), GEN_EINVAL);
    g.proj4 = NULL;
    assert_int_equal(gen_products_locate(&p, &g, 52, 5), GEN_EINVAL);
}

/* ---- files ------------------------------------------------------------------------------- */

/* Whichever allocation fails: an error, nothing leaks, no file. Then the file, which other products
 * of the same forecast do not touch. */
static void memory_runs_out(void **state)
{
    (void)state;
    const double exceed[] = { 1, 2 };
    const gen_products_options o = { .exceed = exceed,
                                     .n_exceed = 2,
                                     .percentiles = exceed,
                                     .n_percentiles = 2,
                                     .mean = true,
                                     .matched_mean = true,
                                     .accumulate = 600,
                                     .member_sums = true,
                                     .threads = 1 };
    const gen_products_info info = { .source = "a test" };
    char folder[] = "/tmp/gen_products_XXXXXX", path[60];
    gen_forecast_file *f = NULL;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/p.nc", folder);
    assert_int_equal(gen_forecast_open(&f, "tests/golden/forecasts/pysteps.nc", NULL), GEN_OK);
    float warm[35];
    assert_int_equal(gen_forecast_read(f, 0, 0, warm), GEN_OK);
    uint64_t before = gen_alloc_bytes();
    gen_status status = GEN_ENOMEM;
    for (uint64_t n = 1; status != GEN_OK && n < 2000; n++) {
        gen_alloc_fail_at(n);
        status = gen_products_write(f, path, &o, &info);
        gen_alloc_fail_at(0);
        assert_int_equal(gen_alloc_bytes(), before);
        assert_int_equal(access(path, F_OK) == 0, status == GEN_OK);
    }
    assert_int_equal(status, GEN_OK);
    assert_int_equal(gen_products_write(f, path, &o, &info), GEN_EEXIST);
    gen_forecast_close(&f);
    unlink(path);
    assert_int_equal(rmdir(folder), 0); /* no litter */
}

int main(void)
{
    char *text = NULL;
    uint64_t size = 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_equal_pysteps_and_numpy),
        cmocka_unit_test(equal_members),
        cmocka_unit_test(matched_mean_has_the_pooled_distribution),
        cmocka_unit_test(amounts_add_up),
        cmocka_unit_test(what_does_not_fit),
        cmocka_unit_test(the_cell_of_a_place),
        cmocka_unit_test(memory_runs_out),
    };
    if (gen_file_read("tests/golden/products.json", 1 << 22, &text, &size) != GEN_OK ||
        gen_json_parse(&expected, text, size, 1 << 22) != GEN_OK) {
        fprintf(stderr, "%s\n", gen_last_error());
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    gen_json_free(&expected);
    gen_free(text);
    return failed;
}
