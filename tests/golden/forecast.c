/* SPDX-License-Identifier: Apache-2.0
 *
 * Scores of forecasts against pysteps and plain definitions (forecast.json, made by forecast.py):
 * counts are equal, values to 1e-9 relative. Spectra, whose transform is in float, to 2e-5; pooled
 * values are rounded to float on both sides, and compared to 1e-7.
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
#include "libgen/base/file.h"
#include "libgen/base/json.h"

static const struct config {
    const char *name;
    int64_t h, w, k, cases;
    double missing;
    bool quantised;
} configs[] = {
    { "uneven", 23, 30, 7, 3, 0.03, true },  { "square", 64, 64, 20, 1, 0, true },
    { "pair", 48, 33, 2, 2, 0.1, true },     { "single", 20, 20, 1, 1, 0.02, true },
    { "smooth", 40, 40, 9, 2, 0.02, false },
};

static float *uniform(const char *a, const char *b, const char *c, int64_t n)
{
    char name[128];
    float *u = calloc((size_t)n, sizeof *u);
    snprintf(name, sizeof name, "%s%s%s", a, b, c);
    gen_random_uniform(u, n, 0, gen_stream(name), 0);
    return u;
}

/* `field` of forecast.py. */
static void make_field(float *out, const char *name, const char *which, const struct config *c)
{
    int64_t columns = c->w / 6 + 1, n = c->h * c->w;
    float *a = uniform(name, "", "", (c->h / 6 + 1) * columns);
    float *b = uniform(name, which, "", (c->h / 6 + 1) * columns);
    float *fine = uniform(name, which, "/fine", n), *gap = uniform(name, which, "/missing", n);
    for (int64_t i = 0; i < n; i++) {
        int64_t block = i / c->w / 6 * columns + i % c->w / 6;
        double u = 0.5 * (double)a[block] + 0.2 * (double)b[block] + 0.3 * (double)fine[i];
        double v = (u * u - 0.25) * 30.0;
        if (c->quantised)
            v = floor(fmax(v, 0) * 32.0) / 32.0;
        double missing = strcmp(which, "/observed") ? c->missing / (double)c->k : c->missing;
        out[i] = (double)gap[i] < missing ? NAN : (float)v;
    }
    free(a);
    free(b);
    free(fine);
    free(gap);
}

typedef struct fields {
    float *all; /* [1 + k][h,w] */
    const float **member;
} fields;

static fields make_case(const struct config *c, int number)
{
    char name[64], which[64];
    int64_t n = c->h * c->w;
    fields f = { calloc((size_t)(n * (c->k + 1)), sizeof(float)),
                 calloc((size_t)c->k, sizeof(float *)) };
    snprintf(name, sizeof name, "%s%d", c->name, number);
    make_field(f.all, name, "/observed", c);
    for (int64_t m = 0; m < c->k; m++) {
        snprintf(which, sizeof which, "/member%d", (int)m);
        make_field(f.all + (m + 1) * n, name, which, c);
        f.member[m] = f.all + (m + 1) * n;
    }
    return f;
}

static void free_case(fields *f)
{
    free(f->all);
    free(f->member);
}

static gen_score_options options_of(const struct config *c)
{
    return (gen_score_options){ .height = c->h,
                                .width = c->w,
                                .members = c->k,
                                .parts = GEN_SCORE_ALL | GEN_SCORE_CRPS_PYSTEPS,
                                .windows = 6,
                                .window = { 1, 2, 4, 5, 16, 64 },
                                .pools = 3,
                                .pool = { 2, 4, 64 },
                                .threads = 2 };
}

static gen_score_result *score_all(const struct config *c, const gen_score_options *o)
{
    gen_score *s;
    gen_score_result *r;
    assert_int_equal(gen_score_create(&s, o), GEN_OK);
    for (int i = 0; i < c->cases; i++) {
        fields f = make_case(c, i);
        assert_int_equal(gen_score_add(s, 0, f.all, f.member), GEN_OK);
        free_case(&f);
    }
    assert_int_equal(gen_score_finish(&r, s, 0), GEN_OK);
    gen_score_free(&s);
    return r;
}

/* ---- comparing ------------------------------------------------------------------------------- */

/* The number at `path`; null and a number that is not known are alike. */
static void same(const gen_json *json, const char *path, gen_number found, double tolerance)
{
    const gen_json *v = gen_json_get(json, path);
    double expected;
    if (!v)
        fail_msg("%s is not in the file", path);
    if (gen_json_kind_of(v) == GEN_JSON_NULL) {
        if (found.known)
            fail_msg("%s: found %.12g, expected none", path, found.value);
        return;
    }
    assert_int_equal(gen_json_real(v, NULL, &expected), GEN_OK);
    if (!found.known || !(fabs(found.value - expected) <= tolerance * (fabs(expected) + 1e-3)))
        fail_msg("%s: found %.12g%s, expected %.12g", path, found.value,
                 found.known ? "" : " (not known)", expected);
}

static void same_count(const gen_json *json, const char *path, int64_t found)
{
    int64_t expected;
    assert_int_equal(gen_json_int(json, path, 0, INT64_MAX, &expected), GEN_OK);
    if (found != expected)
        fail_msg("%s: found %lld, expected %lld", path, (long long)found, (long long)expected);
}

static const char *at(const char *format, ...)
{
    static char path[128];
    va_list list;
    va_start(list, format);
    vsnprintf(path, sizeof path, format, list);
    va_end(list);
    return path;
}

#define EXACT 1e-9
#define POOLED 1e-7
#define SPECTRAL 2e-5

static void same_crps(const gen_json *json, const char *name, const char *kind, int i,
                      const gen_crps_scores *c, double tolerance)
{
    char stem[64];
    snprintf(stem, sizeof stem, i < 0 ? "/%s/%s" : "/%s/%s/%d", name, kind, i);
    same_count(json, at("%s/0", stem), c->cells);
    same(json, at("%s/1", stem), c->standard, tolerance);
    same(json, at("%s/2", stem), c->fair, tolerance);
}

static void same_categories(const gen_json *json, const char *stem, const gen_category_scores *c)
{
    const int64_t table[] = { c->table.hits, c->table.misses, c->table.false_alarms,
                              c->table.correct_negatives };
    const gen_number scores[] = { c->csi, c->pod, c->far, c->fa, c->bias, c->ets, c->hss, c->hk };
    for (int i = 0; i < 4; i++)
        same_count(json, at("%s/table/%d", stem, i), table[i]);
    for (int i = 0; i < 8; i++)
        same(json, at("%s/scores/%d", stem, i), scores[i], EXACT);
}

static void same_threshold(const gen_json *json, const char *name, int t, const gen_score_result *r)
{
    const gen_threshold_scores *a = &r->at[t];
    char stem[64];
    snprintf(stem, sizeof stem, "/%s/at/%d/members", name, t);
    same_categories(json, stem, &a->members);
    snprintf(stem, sizeof stem, "/%s/at/%d/mean", name, t);
    same_categories(json, stem, &a->mean);
    snprintf(stem, sizeof stem, "/%s/at/%d", name, t);
    same(json, at("%s/base_rate", stem), a->base_rate, EXACT);
    same(json, at("%s/brier", stem), a->brier, EXACT);
    same(json, at("%s/roc_area", stem), a->roc_area, EXACT);
    for (int i = 0; i < r->bins; i++) {
        same(json, at("%s/reliability/0/%d", stem, i), a->reliability[i].forecast, EXACT);
        same(json, at("%s/reliability/1/%d", stem, i), a->reliability[i].observed, EXACT);
    }
    for (int i = 0; i < r->roc_points; i++) {
        same(json, at("%s/roc/0/%d", stem, i), a->roc[i].fa, EXACT);
        same(json, at("%s/roc/1/%d", stem, i), a->roc[i].pod, EXACT);
    }
    for (int i = 0; i < r->ratios; i++)
        same(json, at("%s/value/%d", stem, i), a->value[i].value, EXACT);
    for (int i = 0; i < r->windows; i++) {
        same(json, at("%s/fss/%d/0", stem, i), a->fss[i].members, EXACT);
        same(json, at("%s/fss/%d/1", stem, i), a->fss[i].mean, EXACT);
        same(json, at("%s/fss/%d/2", stem, i), a->fss[i].probabilities, EXACT);
    }
}

static void same_ranks(const gen_json *json, const char *name, int which, const gen_score_result *r)
{
    same_count(json, at("/%s/ranks/%d/0", name, which), r->rank_cells);
    for (int i = 0; i < r->ranks; i++)
        same(json, at("/%s/ranks/%d/1/%d", name, which, i), r->rank[i], EXACT);
}

static void same_errors(const gen_json *json, const char *name, const gen_score_result *r)
{
    const struct {
        const char *key;
        gen_number found;
    } values[] = {
        { "observed", r->observed },
        { "forecast", r->forecast },
        { "mae", r->mae },
        { "rmse", r->rmse },
        { "bias", r->bias },
        { "members_mae", r->members_mae },
        { "members_rmse", r->members_rmse },
        { "spread", r->spread },
        { "crps_pysteps", r->crps.pysteps },
    };
    same_count(json, at("/%s/cells", name), r->cells);
    same_count(json, at("/%s/missing", name), r->missing);
    for (int i = 0; i < GEN_LEN(values); i++)
        same(json, at("/%s/%s", name, values[i].key), values[i].found, EXACT);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void scores_are_those_of_pysteps(void **state)
{
    const gen_json *json = *state;
    for (int n = 0; n < GEN_LEN(configs); n++) {
        const struct config *c = &configs[n];
        gen_score_options o = options_of(c);
        gen_score_result *r = score_all(c, &o);
        same_errors(json, c->name, r);
        same_crps(json, c->name, "crps", -1, &r->crps, EXACT);
        for (int i = 0; i < r->pools; i++) {
            same_crps(json, c->name, "average", i, &r->average[i], POOLED);
            same_crps(json, c->name, "maximum", i, &r->maximum[i], EXACT);
        }
        for (int t = 0; t < r->thresholds; t++)
            same_threshold(json, c->name, t, r);
        same_ranks(json, c->name, 0, r);
        for (int i = 0; i < r->frequencies; i++) {
            same(json, at("/%s/psd/0/%d", c->name, i), r->psd_observed[i], SPECTRAL);
            same(json, at("/%s/psd/1/%d", c->name, i), r->psd_members[i], SPECTRAL);
            same(json, at("/%s/psd/2/%d", c->name, i), r->psd_mean[i], SPECTRAL);
        }
        gen_score_result_free(&r);
        o.rank_min = 1;
        r = score_all(c, &o);
        same_ranks(json, c->name, 1, r);
        gen_score_result_free(&r);
    }
}

static void spectra_are_those_of_pysteps(void **state)
{
    const gen_json *json = *state, *list;
    assert_int_equal(gen_json_array(json, "spectra", &list), GEN_OK);
    for (int i = 0; i < gen_json_count(list); i++) {
        struct config c = { .k = 1 };
        char name[64];
        assert_int_equal(gen_json_int(json, at("/spectra/%d/h", i), 1, 1000, &c.h), GEN_OK);
        assert_int_equal(gen_json_int(json, at("/spectra/%d/w", i), 1, 1000, &c.w), GEN_OK);
        int64_t n = gen_rapsd_length(c.h, c.w);
        float *field = calloc((size_t)(c.h * c.w), sizeof *field);
        double *power = calloc((size_t)n, sizeof *power);
        snprintf(name, sizeof name, "spectrum%dx%d", (int)c.h, (int)c.w);
        make_field(field, name, "/field", &c);
        for (int shares = 0; shares < 2; shares++) {
            const char *key = shares ? "shares" : "power";
            assert_int_equal(gen_rapsd(power, field, c.h, c.w, shares), GEN_OK);
            assert_int_equal(gen_json_count(gen_json_get(json, at("/spectra/%d/%s", i, key))), n);
            for (int r = 0; r < n; r++)
                same(json, at("/spectra/%d/%s/%d", i, key, r), (gen_number){ power[r], true },
                     SPECTRAL);
        }
        free(field);
        free(power);
    }
}

/* SciPy goes through all signs, as we do for few units; for many we draw. */
static void permutations_are_those_of_scipy(void **state)
{
    static const int64_t units[] = { 2, 3, 7, 12, 14 };
    for (int i = 0; i < GEN_LEN(units); i++) {
        double a[16], b[16];
        char name[64];
        snprintf(name, sizeof name, "units%d", (int)units[i]);
        float *x = uniform(name, "a", "", units[i]), *y = uniform(name, "b", "", units[i]);
        for (int64_t n = 0; n < units[i]; n++) {
            a[n] = (double)x[n];
            b[n] = (double)y[n] + 0.15;
        }
        const char *path = at("/permutation/%d", i);
        same(*state, path, gen_permutation_test(a, b, units[i], 0, 0), EXACT);
        if (units[i] > 10)
            same(*state, path, gen_permutation_test(a, b, units[i], 4000, 3), 0.25);
        free(x);
        free(y);
    }
}

static int load(void **state)
{
    char *text = NULL;
    uint64_t size = 0;
    gen_json *json = NULL;
    if (gen_file_read("tests/golden/forecast.json", 1 << 20, &text, &size) != GEN_OK ||
        gen_json_parse(&json, text, size, 1 << 20) != GEN_OK)
        return -1;
    gen_free(text);
    *state = json;
    return 0;
}

static int unload(void **state)
{
    gen_json *json = *state;
    gen_json_free(&json);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_those_of_pysteps),
        cmocka_unit_test(spectra_are_those_of_pysteps),
        cmocka_unit_test(permutations_are_those_of_scipy),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
