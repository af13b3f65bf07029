/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the cells of real radar files lie, against pysteps and pyproj (radar_georef.json, made by
 * radar_georef.py): edges of the grid, latitude and longitude of cells. Skipped where ../shared is
 * absent (GEN_SHARED names another place).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>

#include <libgen/weather.h>

#include "libgen/base/alloc.h"
#include "libgen/base/file.h"
#include "libgen/base/json.h"
#include "weather/projection.h"

/* Corners of files come rounded, by 2.5 m in one of OPERA; we take the mean of all four. */
#define METRES 5
#define DEGREES 5e-5

static gen_json *cases;

static void numbers(const gen_json *list, int n, double *out)
{
    const gen_json *v = gen_json_first(list);
    for (int i = 0; i < n; i++, v = gen_json_next(v))
        assert_int_equal(gen_json_real(v, NULL, &out[i]), GEN_OK);
}

static void check_edges(const char *file, const gen_json *k, const char *axis, const double *v,
                        int64_t n)
{
    double expected[2], half = (v[1] - v[0]) / 2;
    numbers(gen_json_get(k, axis), 2, expected);
    if (!(fabs(v[0] - half - expected[0]) < METRES && fabs(v[n - 1] + half - expected[1]) < METRES))
        fail_msg("%s: %s from %.9g to %.9g, expected %.9g to %.9g", file, axis, v[0] - half,
                 v[n - 1] + half, expected[0], expected[1]);
}

static void check_points(const char *file, const gen_json *k, const gen_radar_grid *g)
{
    gen_projection *p = NULL;
    assert_int_equal(gen_projection_open(&p, g), GEN_OK);
    for (const gen_json *e = gen_json_first(gen_json_get(k, "points")); e; e = gen_json_next(e)) {
        double v[4], lat, lon;
        numbers(e, 4, v);
        assert_true(v[0] < (double)g->height && v[1] < (double)g->width);
        assert_true(gen_projection_inverse(p, g->x[(int)v[1]], g->y[(int)v[0]], &lat, &lon));
        if (!(fabs(lat - v[2]) < DEGREES && fabs(lon - v[3]) < 2 * DEGREES))
            fail_msg("%s: cell %g, %g is at %.7f N %.7f E, expected %.7f N %.7f E", file, v[0],
                     v[1], lat, lon, v[2], v[3]);
    }
    gen_projection_free(&p);
}

static void cells_lie_where_pyproj_says(void **state)
{
    (void)state;
    char path[1024];
    const char *shared = getenv("GEN_SHARED");
    snprintf(path, sizeof path, "%s/data/radar/native/expected.json", shared ? shared : "");
    FILE *f = fopen(path, "r");
    if (!f)
        skip();
    fclose(f);
    for (const gen_json *k = gen_json_first(cases); k; k = gen_json_next(k)) {
        const char *file = gen_json_key(k);
        gen_radar_contents *c = NULL;
        snprintf(path, sizeof path, "%s/data/radar/native/%s", shared, file);
        if (gen_radar_inspect(&c, path, NULL) != GEN_OK)
            fail_msg("%s: %s", file, gen_last_error());
        check_edges(file, k, "x", c->grid.x, c->grid.width);
        check_edges(file, k, "y", c->grid.y, c->grid.height);
        check_points(file, k, &c->grid);
        gen_radar_contents_free(&c);
    }
}

int main(void)
{
    char *text = NULL;
    uint64_t size = 0;
    const struct CMUnitTest tests[] = { cmocka_unit_test(cells_lie_where_pyproj_says) };
    if (gen_file_read("tests/golden/radar_georef.json", 1 << 20, &text, &size) != GEN_OK ||
        gen_json_parse(&cases, text, size, 1 << 20) != GEN_OK) {
        fprintf(stderr, "%s\n", gen_last_error());
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    gen_json_free(&cases);
    gen_free(text);
    return failed;
}
