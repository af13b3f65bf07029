/* SPDX-License-Identifier: Apache-2.0
 *
 * Map projections: degrees as they are, hostile strings, no database. Values are compared with
 * pyproj's in tests/golden/projection.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "libgen/base/alloc.h"
#include "weather/projection.h"

static double axis[2] = { -10, 10 }, pacific[2] = { 150, 250 };

static gen_status open_status(const char *proj, const char *attributes)
{
    gen_radar_grid g = { .height = 2,
                         .width = 2,
                         .x = axis,
                         .y = axis,
                         .proj4 = (char *)proj,
                         .attributes = (char *)attributes };
    gen_projection *p = NULL;
    gen_status status = gen_projection_open(&p, &g);
    assert_true((status == GEN_OK) == (p != NULL));
    gen_projection_free(&p);
    return status;
}

static void expect_sentence(gen_status status, const char *part)
{
    if (status != GEN_EDATA || !strstr(gen_last_error(), part))
        fail_msg("status %s, sentence '%s', expected EDATA and '%s'", gen_status_name(status),
                 gen_last_error(), part);
}

static void degrees_stay(void **state)
{
    (void)state;
    gen_radar_grid g = { .height = 2, .width = 2, .x = pacific, .y = axis, .degrees = true };
    gen_projection *p = NULL;
    double x, y, lat, lon;
    assert_int_equal(gen_projection_open(&p, &g), GEN_OK);
    assert_true(gen_projection_forward(p, 1.5, -150, &x, &y));
    assert_true(x == 210 && y == 1.5);
    assert_true(gen_projection_inverse(p, 210, 1.5, &lat, &lon));
    assert_true(lat == 1.5 && lon == -150);
    assert_false(gen_projection_forward(p, 90.1, 0, &x, &y));
    assert_false(gen_projection_forward(p, NAN, 0, &x, &y));
    assert_false(gen_projection_forward(p, 0, INFINITY, &x, &y));
    assert_false(gen_projection_inverse(p, 0, 91, &lat, &lon));
    gen_projection_free(&p);
}

static void places_without_a_value_are_false(void **state)
{
    (void)state;
    gen_radar_grid g = { .height = 2, .width = 2, .x = axis, .y = axis };
    gen_projection *p = NULL;
    double x, y;
    g.proj4 = "+proj=ortho +lat_0=50 +lon_0=5 +R=6371000";
    assert_int_equal(gen_projection_open(&p, &g), GEN_OK);
    assert_true(gen_projection_forward(p, 50, 5, &x, &y));
    assert_true(fabs(x) < 1e-6 && fabs(y) < 1e-6);
    assert_false(gen_projection_forward(p, -50, -175, &x, &y)); /* behind the earth */
    assert_false(gen_projection_inverse(p, 1e7, 1e7, &x, &y));
    assert_true(gen_projection_forward(p, 51, 5, &x, &y)); /* an error does not stay */
    gen_projection_free(&p);
}

static void hostile_strings_end_in_a_sentence(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        { "", "no +proj" },
        { "hello", "no +proj" },
        { "+proj=nothing", "none that PROJ understands" },
        { "+proj=stere +lat_0=ninety", "'ninety', expected a number" },
        { "+proj=utm +zone=33 +nadgrids=/etc/passwd", "not allowed" },
        { "+proj=utm +zone=33 +geoidgrids=a.gtx", "not allowed" },
        { "+proj=utm +zone=33 +ellps=WGS84 +nadgrids=https://example.com/a.tif", "not allowed" },
        { "+proj=pipeline +step +proj=utm +zone=33", "not allowed" },
        { "+init=/etc/passwd:3", "not allowed" },
        { "+proj=hgridshift +grids=x", "not allowed" },
        { "+proj=tinshift +file=x", "not allowed" },
        { "+proj=defmodel +model=x", "not allowed" },
        { "+proj=merc +x_0=\x01", "control" },
        { "+proj=helmert +x=1", "no map projection" },
        { "PROJCS[", "none that PROJ understands" },
        { "EPSG:999999", "none that PROJ understands" },
        { "+proj=merc +abcdefghijklmnopqrstuvwxyzabcdefghijkl=1", "no part" },
        { "+proj=merc +a=-5", "none that PROJ understands" },
    };
    char *many = NULL;
    for (int i = 0; i < GEN_LEN(bad); i++)
        expect_sentence(open_status(bad[i][0], NULL), bad[i][1]);
    expect_sentence(open_status(NULL, NULL), "has no projection");
    assert_int_equal(GEN_ALLOC(&many, 70001, "text"), GEN_OK);
    memset(many, '[', 70000);
    expect_sentence(open_status(many, NULL), "70000 bytes");
    memset(many, 'x', 70000);
    expect_sentence(open_status(many, NULL), "70000 bytes");
    strcpy(many, "+proj=merc");
    for (int i = 0; i < 100; i++) {
        size_t n = strlen(many);
        many[n] = ' ', many[n + 1] = '+', many[n + 2] = (char)('a' + i % 26);
        many[n + 3] = (char)('a' + i / 26), many[n + 4] = 0;
    }
    expect_sentence(open_status(many, NULL), "more than 64 parts");
    gen_free(many);
}

static void hostile_attributes_end_in_a_sentence(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        { "{}", "no crs_wkt" },
        { "{\"grid_mapping_name\":\"cubist\"}", "'cubist' is none of CF's" },
        { "{\"grid_mapping_name\":7}", "grid_mapping_name" },
        { "{\"grid_mapping_name\":\"lambert_conformal_conic\",\"standard_parallel\":\"x\"}",
          "standard_parallel" },
        { "{\"grid_mapping_name\":\"lambert_conformal_conic\",\"standard_parallel\":[1,2,3]}",
          "more than 2" },
        { "{\"grid_mapping_name\":\"mercator\",\"semi_major_axis\":0}", "none that PROJ" },
        { "{\"grid_mapping_name\":\"mercator\",\"towgs84\":[\"a\"]}", "expected a number" },
        { "{\"crs_wkt\":\"GEOGCRS[]\"}", "none that PROJ" },
    };
    for (int i = 0; i < GEN_LEN(bad); i++)
        expect_sentence(open_status(NULL, bad[i][0]), bad[i][1]);
}

/* Attributes of old files: a name of CF's another mapping, no ellipsoid. */
static void other_attributes_are_understood(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{\"grid_mapping_name\":\"polar_stereographic\",\"longitude_of_projection_origin\":10,"
        "\"latitude_of_projection_origin\":90,\"scale_factor_at_projection_origin\":0.93,"
        "\"earth_radius\":6370040}",
        "{\"grid_mapping_name\":\"albers_conical_equal_area\",\"standard_parallel\":[-18,-36],"
        "\"longitude_of_central_meridian\":144.752,\"latitude_of_projection_origin\":-37.852}",
        "{\"grid_mapping_name\":\"geostationary\",\"perspective_point_height\":35785831,"
        "\"longitude_of_projection_origin\":0,\"fixed_angle_axis\":\"y\"}",
        "{\"grid_mapping_name\":\"none\",\"proj4\":\"+proj=eqc +lat_ts=50\"}"
    };
    for (int i = 0; i < GEN_LEN(good); i++)
        if (open_status(NULL, good[i]) != GEN_OK)
            fail_msg("%s: %s", good[i], gen_last_error());
}

static void strings_are_tidied(void **state)
{
    (void)state;
    gen_radar_grid g = { 0 };
    char *text = NULL;
    g.proj4 = "  proj=stere lat_0=90  +lat_ts=60 +k=1 +a=6371288 +units=km +type=crs +wktext";
    assert_int_equal(gen_projection_string(&g, &text), GEN_OK);
    assert_string_equal(text,
                        "+proj=stere +lat_0=90 +lat_ts=60 +k_0=1 +a=6371288 +units=m +no_defs");
    gen_free(text);
    g.proj4 = NULL;
    assert_int_equal(gen_projection_string(&g, &text), GEN_OK);
    assert_null(text);
}

static void place_of(const char *proj, char *attributes, double *x, double *y)
{
    gen_radar_grid g = { .height = 2, .width = 2, .x = axis, .y = axis };
    gen_projection *p = NULL;
    g.proj4 = (char *)proj;
    g.attributes = attributes;
    assert_int_equal(gen_projection_open(&p, &g), GEN_OK);
    assert_true(gen_projection_forward(p, -70, 30, x, y));
    gen_projection_free(&p);
}

/* A parallel of the other hemisphere is meant of the pole's own, in all that we write too. */
static void the_south_pole_stays_in_the_south(void **state)
{
    (void)state;
    double x[3], y[3];
    char *name = NULL, *attributes = NULL;
    const char *wrong = "+proj=stere +lat_0=-90 +lon_0=0 +lat_ts=71 +R=6371000";
    place_of("+proj=stere +lat_0=-90 +lon_0=0 +lat_ts=-71 +R=6371000", NULL, &x[0], &y[0]);
    place_of(wrong, NULL, &x[1], &y[1]);
    assert_int_equal(gen_projection_cf(wrong, &name, &attributes), GEN_OK);
    assert_non_null(strstr(attributes, "\"standard_parallel\":-71"));
    char *wkt = strstr(attributes, "\"crs_wkt\"") - 1; /* alone */
    *wkt = '{';
    place_of(NULL, wkt, &x[2], &y[2]);
    for (int i = 0; i < 3; i++) {
        assert_float_equal(x[i], x[0], 1e-6);
        assert_float_equal(y[i], y[0], 1e-6);
    }
    assert_true(y[0] > 1.8e6 && y[0] < 2e6); /* 20 degrees from the pole, a good 2200 km */
    gen_free(name);
    gen_free(attributes);
}

/* Everything but EPSG codes, with PROJ's database out of sight. */
static void database_is_not_needed(void **state)
{
    (void)state;
    char *name = NULL, *attributes = NULL, *old = getenv("PROJ_LIB");
    old = old ? strdup(old) : NULL;
    setenv("PROJ_LIB", "/nonexistent", 1);
    assert_int_equal(open_status("+proj=utm +zone=33 +datum=WGS84", NULL), GEN_OK);
    assert_int_equal(gen_projection_cf("+proj=utm +zone=33 +datum=WGS84", &name, &attributes),
                     GEN_OK);
    assert_string_equal(name, "transverse_mercator");
    assert_int_equal(open_status(NULL, attributes), GEN_OK);
    expect_sentence(open_status("EPSG:3067", NULL), "none that PROJ understands");
    if (old)
        setenv("PROJ_LIB", old, 1);
    else
        unsetenv("PROJ_LIB");
    free(old);
    gen_free(name);
    gen_free(attributes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(degrees_stay),
        cmocka_unit_test(places_without_a_value_are_false),
        cmocka_unit_test(hostile_strings_end_in_a_sentence),
        cmocka_unit_test(hostile_attributes_end_in_a_sentence),
        cmocka_unit_test(other_attributes_are_understood),
        cmocka_unit_test(strings_are_tidied),
        cmocka_unit_test(the_south_pole_stays_in_the_south),
        cmocka_unit_test(database_is_not_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
