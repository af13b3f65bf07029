/* SPDX-License-Identifier: Apache-2.0
 *
 * Forecast files beside observations, against pysteps (verify.json and verify_forecast.nc, made by
 * verify.py): cells found by place in a larger grid, frames by time, missing cells dropped for all
 * methods alike. Counts are equal, values to 1e-6 relative (the observations are float here, double
 * there), spectra to 1e-4.
 */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <libgen/verify.h>

#include "libgen/base/alloc.h"
#include "libgen/base/file.h"
#include "libgen/base/json.h"

#define FORECAST "tests/golden/verify_forecast.nc"
static const char *const rain[] = { "examples/rain.nc" };

static char folder[] = "/tmp/gen-verify-XXXXXX";

static const gen_verify_options options = { .scores = { .thresholds = 2,
                                                        .threshold = { 0.5, 4 },
                                                        .windows = 3,
                                                        .window = { 1, 4, 9 },
                                                        .pools = -1 },
                                            .crop = { 8, 10, 32, 40 } };

static void expect_near(const gen_json *expected, const char *key, gen_number found,
                        double tolerance)
{
    const gen_json *v = gen_json_get(expected, key);
    double x;
    assert_non_null(v);
    if (gen_json_real(v, NULL, &x) != GEN_OK) { /* null */
        assert_false(found.known);
        return;
    }
    assert_true(found.known);
    if (!(fabs(found.value - x) <= tolerance * fmax(fabs(x), 1e-12)))
        fail_msg("%s: %.12g, expected %.12g", key, found.value, x);
}

static void expect_count(const gen_json *expected, const char *key, int64_t found)
{
    int64_t x;
    assert_int_equal(gen_json_int(expected, key, 0, INT64_MAX, &x), GEN_OK);
    assert_int_equal(found, x);
}

static void expect_scores(const gen_json *e, const gen_score_result *r, int frequencies)
{
    char key[40];
    expect_count(e, "cells", r->cells);
    expect_count(e, "missing", r->missing);
    expect_near(e, "crps", r->crps.standard, 1e-6);
    expect_near(e, "observed", r->observed, 1e-6);
    expect_near(e, "rmse", r->rmse, 1e-6);
    expect_near(e, "spread", r->spread, 1e-6);
    for (int t = 0; t < 2; t++) {
        snprintf(key, sizeof key, "/at/%d", t);
        const gen_json *at = gen_json_get(e, key);
        const gen_category_scores *c = &r->at[t].members;
        expect_count(at, "hits", c->table.hits);
        expect_count(at, "misses", c->table.misses);
        expect_count(at, "false_alarms", c->table.false_alarms);
        expect_count(at, "correct_negatives", c->table.correct_negatives);
        expect_near(at, "csi", c->csi, 1e-9);
        expect_near(at, "pod", c->pod, 1e-9);
        expect_near(at, "far", c->far, 1e-9);
        expect_near(at, "hss", c->hss, 1e-9);
        expect_near(at, "ets", c->ets, 1e-9);
        expect_near(at, "roc_area", r->at[t].roc_area, 1e-9);
        for (int w = 0; w < 3; w++) {
            snprintf(key, sizeof key, "/fss/%d", w);
            expect_near(at, key, r->at[t].fss[w].members, 1e-9);
        }
    }
    assert_int_equal(r->frequencies, frequencies);
    for (int i = 0; i < frequencies; i++) {
        snprintf(key, sizeof key, "/psd_observed/%d", i);
        expect_near(e, key, r->psd_observed[i], 1e-4);
        snprintf(key, sizeof key, "/psd_members/%d", i);
        expect_near(e, key, r->psd_members[i], 1e-4);
    }
}

static void scores_are_those_of_pysteps(void **state)
{
    (void)state;
    char *file = NULL;
    uint64_t size;
    gen_json *doc = NULL;
    gen_verify *v = NULL;
    assert_int_equal(gen_file_read("tests/golden/verify.json", 1 << 20, &file, &size), GEN_OK);
    assert_int_equal(gen_json_parse(&doc, file, size, 1 << 20), GEN_OK);
    static const char *const names[] = { "forecast", "persistence" };
    for (int m = 0; m < 2; m++) {
        gen_verify_options o = options;
        if (m == GEN_VERIFY_PERSISTENCE)
            o = (gen_verify_options){ options.scores, .baselines = true,
                                      .crop = { 16, 30, 20, 20 } };
        assert_int_equal(gen_verify_create(&v, &o), GEN_OK);
        assert_int_equal(gen_verify_case(v, FORECAST, rain, 1, NULL), GEN_OK);
        const gen_verify_view *w = gen_verify_scores(v);
        assert_int_equal(w->leads, 3);
        assert_int_equal(w->members, 5);
        assert_true(w->cell == 1000 && !w->degrees);
        for (int64_t lead = 0; lead < 3; lead++) {
            gen_score_result *r = NULL;
            char key[40];
            snprintf(key, sizeof key, "/%s/%d", names[m], (int)lead);
            assert_int_equal(w->lead[lead], 300 * (lead + 1));
            assert_int_equal(gen_score_finish(&r, w->score[m], lead), GEN_OK);
            expect_scores(gen_json_get(doc, key), r, m ? 10 : 20);
            gen_score_result_free(&r);
        }
        assert_true(!w->score[GEN_VERIFY_ADVECTION] == !m);
        assert_null(w->score[GEN_VERIFY_STEPS]);
        gen_verify_free(&v);
    }
    gen_json_free(&doc);
    gen_free(file);
}

/* A second case adds; all methods keep the same cells; STEPS has as many members as asked for. */
static void cases_add_and_methods_share_cells(void **state)
{
    (void)state;
    gen_verify_options o = options;
    gen_verify *v = NULL;
    o.baselines = true;
    o.steps_members = 3;
    assert_int_equal(gen_verify_create(&v, &o), GEN_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(gen_verify_case(v, FORECAST, rain, 1, NULL), GEN_OK);
    const gen_verify_view *w = gen_verify_scores(v);
    assert_int_equal(w->cases, 2);
    int64_t cells = -1;
    for (int m = 0; m < GEN_VERIFY_METHODS; m++) {
        gen_score_result *r = NULL;
        assert_int_equal(gen_score_finish(&r, w->score[m], 1), GEN_OK);
        assert_int_equal(r->cases, 2);
        assert_true(cells < 0 || r->cells == cells);
        cells = r->cells;
        assert_int_equal(r->ranks, m == GEN_VERIFY_FORECAST ? 6 : m == GEN_VERIFY_STEPS ? 4 : 2);
        gen_score_result_free(&r);
    }
    gen_verify_free(&v);
}

static void expect_failure(const gen_verify_options *o, const char *forecast,
                           const char *const *observations, gen_status code, const char *words)
{
    gen_verify *v = NULL;
    uint64_t before = gen_alloc_bytes();
    assert_int_equal(gen_verify_create(&v, o), GEN_OK);
    assert_int_equal(gen_verify_case(v, forecast, observations, 1, NULL), code);
    if (!strstr(gen_last_error(), words))
        fail_msg("'%s' does not say '%s'", gen_last_error(), words);
    gen_verify_free(&v);
    assert_int_equal(gen_alloc_bytes(), before);
}

static const char *simulated(const char *name, const gen_simulate_options *o)
{
    static char path[4][100];
    static int n;
    gen_radar_sequence *s = NULL;
    char *p = path[n++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    assert_int_equal(gen_radar_simulate(&s, o), GEN_OK);
    assert_int_equal(gen_radar_write(s, p, 0, NULL, true), GEN_OK);
    gen_radar_free(&s);
    return p;
}

static void what_does_not_fit_is_said(void **state)
{
    (void)state;
    const gen_simulate_options small = { .frames = 3, .height = 16, .width = 16 };
    const char *later =
        simulated("later.nc", &(gen_simulate_options){ .frames = 3, .start = 2000000000 });
    gen_verify_options o = { 0 };
    expect_failure(&o, FORECAST, &later, GEN_EDATA, "no frame from");
    expect_failure(&o, "tests/golden/none.nc", rain, GEN_EDATA, "tests/golden/none.nc");
    o.crop[2] = 100;
    o.crop[3] = 5;
    expect_failure(&o, FORECAST, rain, GEN_EINVAL, "within the 48 x 60 cells");
    o = (gen_verify_options){ .in_degrees = true, .degrees = { 10, 10, 11, 11 } };
    expect_failure(&o, FORECAST, rain, GEN_EDATA, "no projection");
    gen_simulate_options elsewhere = small;
    assert_int_equal(gen_time_parse("2026-01-01T01:00", &elsewhere.start), GEN_OK);
    const char *tiny = simulated("tiny.nc", &elsewhere);
    o = (gen_verify_options){ 0 };
    expect_failure(&o, FORECAST, &tiny, GEN_EDATA, "are not among those of the observations");
    gen_simulate_options late = { .frames = 4 }; /* after the reference time only */
    assert_int_equal(gen_time_parse("2026-01-01T01:05", &late.start), GEN_OK);
    const char *after = simulated("after.nc", &late);
    o.baselines = true;
    expect_failure(&o, FORECAST, &after, GEN_EDATA, "baselines need observations at");
}

/* The same x and y in two zones of UTM are 6 degrees apart. */
static void same_numbers_in_other_projections_are_other_places(void **state)
{
    (void)state;
    static const char *const proj[2] = { "+proj=utm +zone=32 +ellps=WGS84 +units=m",
                                         "+proj=utm +zone=33 +ellps=WGS84 +units=m" };
    char path[2][100];
    for (int i = 0; i < 2; i++) {
        gen_radar_sequence *s = NULL;
        gen_simulate_options o = {
            .frames = 3, .height = 16, .width = 16, .seed = 1, .cover = 0.5
        };
        snprintf(path[i], sizeof path[i], "%s/zone%d.nc", folder, i);
        assert_int_equal(gen_radar_simulate(&s, &o), GEN_OK);
        gen_free(s->grid.mapping_name);
        gen_free(s->grid.attributes);
        gen_free(s->grid.proj4);
        s->grid.mapping_name = s->grid.attributes = NULL;
        assert_int_equal(gen_strdup(&s->grid.proj4, proj[i]), GEN_OK);
        assert_int_equal(gen_radar_write(s, path[i], 0, NULL, true), GEN_OK);
        gen_radar_free(&s);
    }
    const gen_verify_options o = { 0 };
    const char *same = path[0], *other = path[1];
    gen_verify *v = NULL;
    assert_int_equal(gen_verify_create(&v, &o), GEN_OK);
    assert_int_equal(gen_verify_case(v, path[0], &same, 1, NULL), GEN_OK);
    gen_verify_free(&v);
    expect_failure(&o, path[0], &other, GEN_EDATA, "have different projections");
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : 1;
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = { "later.nc", "tiny.nc", "after.nc", "zone0.nc",
                                         "zone1.nc" };
    char path[100];
    for (int i = 0; i < GEN_LEN(names); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        remove(path);
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_those_of_pysteps),
        cmocka_unit_test(cases_add_and_methods_share_cells),
        cmocka_unit_test(what_does_not_fit_is_said),
        cmocka_unit_test(same_numbers_in_other_projections_are_other_places),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
