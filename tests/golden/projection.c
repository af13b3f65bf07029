/* SPDX-License-Identifier: Apache-2.0
 *
 * Map projections against pyproj (projection.json, made by projection.py): points by the PROJ
 * string, by the CF attributes that we make of it, by those alone without crs_wkt, by pyproj's
 * attributes, and by crs_wkt alone; and our attributes against pyproj's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "libgen/base/file.h"
#include "libgen/base/json.h"
#include "weather/projection.h"

static gen_json *cases;

static const char *string(const gen_json *v, const char *key)
{
    const char *text = NULL;
    assert_int_equal(gen_json_string(v, key, &text), GEN_OK);
    return text;
}

/* An object's members without `left_out`, or with `kept` alone, as JSON. */
static char *members(const gen_json *object, const char *left_out, const char *kept)
{
    gen_json_writer w = { 0 };
    char *text = NULL;
    gen_json_open(&w, NULL, '{');
    for (const gen_json *v = gen_json_first(object); v; v = gen_json_next(v)) {
        const char *key = gen_json_key(v), *words;
        double number;
        if ((left_out && strcmp(key, left_out) == 0) || (kept && strcmp(key, kept) != 0))
            continue;
        if (gen_json_kind_of(v) == GEN_JSON_STRING) {
            assert_int_equal(gen_json_string(v, NULL, &words), GEN_OK);
            gen_json_put_string(&w, key, words);
            continue;
        }
        bool list = gen_json_kind_of(v) == GEN_JSON_ARRAY;
        if (list)
            gen_json_open(&w, key, '[');
        for (const gen_json *e = list ? gen_json_first(v) : v; e;
             e = list ? gen_json_next(e) : NULL) {
            assert_int_equal(gen_json_real(e, NULL, &number), GEN_OK);
            gen_json_put_real(&w, list ? NULL : key, number);
        }
        if (list)
            gen_json_close(&w, ']');
    }
    gen_json_close(&w, '}');
    assert_int_equal(gen_json_finish(&w, &text), GEN_OK);
    return text;
}

static gen_radar_grid grid_of(const gen_json *k)
{
    static double axis[2] = { 0, 1 };
    gen_radar_grid g = { .height = 2, .width = 2, .x = axis, .y = axis };
    assert_int_equal(gen_json_bool(k, "degrees", &g.degrees), GEN_OK);
    return g;
}

static void check_points(const gen_json *k, const gen_radar_grid *g, const char *by)
{
    gen_projection *p = NULL;
    double tolerance = g->degrees ? 1e-8 : 1e-3;
    if (gen_projection_open(&p, g) != GEN_OK)
        fail_msg("%s by %s: %s", string(k, "proj"), by, gen_last_error());
    for (const gen_json *e = gen_json_first(gen_json_get(k, "points")); e; e = gen_json_next(e)) {
        double v[4], x = 0, y = 0, lat = 0, lon = 0;
        int n = 0;
        for (const gen_json *c = gen_json_first(e); c && n < 4; c = gen_json_next(c))
            assert_int_equal(gen_json_real(c, NULL, &v[n++]), GEN_OK);
        assert_true(gen_projection_forward(p, v[0], v[1], &x, &y));
        if (!(fabs(x - v[2]) < tolerance && fabs(y - v[3]) < tolerance))
            fail_msg("%s by %s: %g N %g E is at %.9g, %.9g, expected %.9g, %.9g", string(k, "proj"),
                     by, v[0], v[1], x, y, v[2], v[3]);
        assert_true(gen_projection_inverse(p, x, y, &lat, &lon));
        assert_float_equal(lat, v[0], 1e-8);
        assert_float_equal(lon, v[1], 1e-8);
    }
    gen_projection_free(&p);
}

static void check_attributes(const gen_json *k, char *attributes, const char *by)
{
    gen_radar_grid g = grid_of(k);
    g.attributes = attributes;
    check_points(k, &g, by);
    gen_free(attributes);
}

static bool listed(const gen_json *k, const char *key)
{
    for (const gen_json *e = gen_json_first(gen_json_get(k, "not_ours")); e; e = gen_json_next(e))
        if (strcmp(string(e, NULL), key) == 0)
            return true;
    return false;
}

static bool same_value(const gen_json *a, const gen_json *b)
{
    double x, y;
    if (gen_json_kind_of(a) != gen_json_kind_of(b))
        return false;
    if (gen_json_kind_of(a) == GEN_JSON_STRING)
        return strcmp(string(a, NULL), string(b, NULL)) == 0;
    if (gen_json_kind_of(a) == GEN_JSON_ARRAY) {
        a = gen_json_first(a), b = gen_json_first(b);
        for (; a && b; a = gen_json_next(a), b = gen_json_next(b))
            if (!same_value(a, b))
                return false;
        return a == b;
    }
    assert_int_equal(gen_json_real(a, NULL, &x), GEN_OK);
    assert_int_equal(gen_json_real(b, NULL, &y), GEN_OK);
    return fabs(x - y) <= 1e-9 * (1 + fabs(y));
}

/* Each attribute of pyproj is ours too. A sphere has an earth_radius. */
static void check_same(const gen_json *k, const gen_json *ours)
{
    static const char *const sphere[] = { "semi_major_axis", "semi_minor_axis",
                                          "inverse_flattening" };
    bool round = gen_json_get(ours, "earth_radius") != NULL;
    const gen_json *theirs = gen_json_get(k, "cf");
    for (const gen_json *v = gen_json_first(theirs); v; v = gen_json_next(v)) {
        const char *key = gen_json_key(v);
        bool skip = listed(k, key);
        for (int i = 0; round && i < GEN_LEN(sphere); i++)
            skip = skip || strcmp(key, sphere[i]) == 0;
        const gen_json *own = gen_json_get(ours, key);
        if (!skip && (!own || !same_value(own, v)))
            fail_msg("%s: attribute '%s' is %s pyproj's", string(k, "proj"), key,
                     own ? "not" : "missing, unlike");
    }
}

static void check_case(const gen_json *k)
{
    gen_radar_grid g = grid_of(k);
    const gen_json *theirs = gen_json_get(k, "cf"), *not_ours = gen_json_get(k, "not_ours");
    char *name = NULL, *attributes = NULL;
    gen_json *ours = NULL;
    g.proj4 = (char *)string(k, "proj");
    check_points(k, &g, "its PROJ string");
    if (gen_projection_cf(g.proj4, &name, &attributes) != GEN_OK)
        fail_msg("%s: %s", g.proj4, gen_last_error());
    assert_int_equal(gen_json_parse(&ours, attributes, strlen(attributes), 1 << 20), GEN_OK);
    assert_true((name != NULL) == (gen_json_get(ours, "grid_mapping_name") != NULL));
    check_attributes(k, members(ours, NULL, NULL), "our attributes");
    check_attributes(k, members(ours, NULL, "crs_wkt"), "our crs_wkt");
    if (name)
        check_attributes(k, members(ours, "crs_wkt", NULL), "our attributes without crs_wkt");
    if (gen_json_kind_of(not_ours) == GEN_JSON_ARRAY) {
        check_same(k, ours);
        assert_true((name != NULL) == (gen_json_get(theirs, "grid_mapping_name") != NULL));
        if (name)
            check_attributes(k, members(theirs, NULL, NULL), "pyproj's attributes");
    }
    gen_radar_grid wkt = grid_of(k);
    if (gen_json_kind_of(gen_json_get(k, "wkt")) == GEN_JSON_STRING) {
        wkt.proj4 = (char *)string(k, "wkt");
        check_points(k, &wkt, "pyproj's WKT");
    }
    gen_json_free(&ours);
    gen_free(name);
    gen_free(attributes);
}

static void projections_equal_pyproj(void **state)
{
    (void)state;
    int n = 0;
    for (const gen_json *k = gen_json_first(cases); k; k = gen_json_next(k), n++)
        check_case(k);
    assert_true(n > 30);
}

int main(void)
{
    char *text = NULL;
    uint64_t size = 0;
    const struct CMUnitTest tests[] = { cmocka_unit_test(projections_equal_pyproj) };
    if (gen_file_read("tests/golden/projection.json", 1 << 20, &text, &size) != GEN_OK ||
        gen_json_parse(&cases, text, size, 1 << 20) != GEN_OK) {
        fprintf(stderr, "%s\n", gen_last_error());
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    gen_json_free(&cases);
    gen_free(text);
    return failed;
}
