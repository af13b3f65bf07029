/* SPDX-License-Identifier: Apache-2.0
 *
 * GeoTIFFs that GDAL wrote (geotiff/, by radar_geotiff.py): types, compressions, byte orders,
 * coordinate systems. Values, units, times, and latitude and longitude of cells by pyproj.
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

#include <libgen/weather.h>

#include "libgen/base/alloc.h"
#include "libgen/base/file.h"
#include "libgen/base/json.h"
#include "weather/projection.h"

#define DEGREES 2e-7 /* libgeotiff rounds offsets to a millimetre */

static gen_json *cases;

static double number(const gen_json *v)
{
    double out = NAN;
    if (v && gen_json_real(v, NULL, &out) != GEN_OK)
        return NAN; /* null */
    return out;
}

static void check_points(const char *name, const gen_json *points, const gen_radar_grid *g)
{
    gen_projection *p = NULL;
    if (gen_projection_open(&p, g) != GEN_OK)
        fail_msg("%s: %s", name, gen_last_error());
    for (const gen_json *e = gen_json_first(points); e; e = gen_json_next(e)) {
        double v[4], lat, lon;
        const gen_json *c = gen_json_first(e);
        for (int i = 0; i < 4; i++, c = gen_json_next(c))
            v[i] = number(c);
        assert_true(gen_projection_inverse(p, g->x[(int)v[1]], g->y[(int)v[0]], &lat, &lon));
        if (!(fabs(lat - v[2]) < DEGREES && fabs(lon - v[3]) < 2 * DEGREES))
            fail_msg("%s: cell %g, %g is at %.9f N %.9f E, expected %.9f N %.9f E (%s)", name, v[0],
                     v[1], lat, lon, v[2], v[3], g->proj4);
    }
    gen_projection_free(&p);
}

static void check_values(const char *name, const gen_json *values, const gen_radar_contents *c)
{
    int64_t i = 0;
    for (const gen_json *v = gen_json_first(values); v; v = gen_json_next(v), i++) {
        double expected = number(v), found = (double)c->values[i];
        if (isnan(expected) ? !isnan(found) : !(fabs(found - expected) < 1e-4))
            fail_msg("%s: cell %d is %g, expected %g", name, (int)i, found, expected);
    }
    assert_int_equal(i, c->grid.height * c->grid.width);
}

static void geotiffs_equal_gdal(void **state)
{
    (void)state;
    int n = 0;
    for (const gen_json *k = gen_json_first(cases); k; k = gen_json_next(k), n++) {
        const char *name = gen_json_key(k), *units, *time;
        char path[256], text[32];
        gen_radar_contents *c = NULL;
        snprintf(path, sizeof path, "tests/golden/geotiff/%s.tif", name);
        if (gen_radar_inspect(&c, path, NULL) != GEN_OK)
            fail_msg("%s: %s", name, gen_last_error());
        assert_int_equal(c->frames, 1);
        assert_int_equal(gen_json_string(k, "units", &units), GEN_OK);
        assert_int_equal(gen_json_string(k, "time", &time), GEN_OK);
        assert_string_equal(c->units ? c->units : "", units);
        if (strchr(time, ':'))
            assert_int_equal(strncmp(gen_time_text(c->time[0], text) + 11, time + 11, 8), 0);
        else
            assert_true(c->time[0] == INT64_MIN);
        check_points(name, gen_json_get(k, "points"), &c->grid);
        check_values(name, gen_json_get(k, "values"), c);
        gen_radar_contents_free(&c);
    }
    assert_int_equal(n, 18);
}

int main(void)
{
    char *text = NULL;
    uint64_t size = 0;
    const struct CMUnitTest tests[] = { cmocka_unit_test(geotiffs_equal_gdal) };
    if (gen_file_read("tests/golden/radar_geotiff.json", 1 << 22, &text, &size) != GEN_OK ||
        gen_json_parse(&cases, text, size, 1 << 22) != GEN_OK) {
        fprintf(stderr, "%s\n", gen_last_error());
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    gen_json_free(&cases);
    gen_free(text);
    return failed;
}
