/* SPDX-License-Identifier: Apache-2.0
 *
 * Parts of sequences by cells and by degrees, and means of blocks. Boxes of degrees are compared
 * with every point in them, projected one by one.
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
#include "weather/codec/codec.h"
#include "weather/projection.h"

/* Two frames; the value of a cell is its number. */
static gen_radar_sequence *make(int64_t h, int64_t w, double x0, double y0, double cell,
                                const char *proj4)
{
    gen_radar_sequence *s = NULL;
    assert_int_equal(GEN_ALLOC(&s, 1, "test"), GEN_OK);
    s->frames = 2;
    s->grid = (gen_radar_grid){ .height = h, .width = w, .degrees = !proj4 };
    assert_int_equal(GEN_ALLOC(&s->rain, 2 * h * w, "test"), GEN_OK);
    assert_int_equal(GEN_ALLOC(&s->grid.y, h, "test"), GEN_OK);
    assert_int_equal(GEN_ALLOC(&s->grid.x, w, "test"), GEN_OK);
    if (proj4)
        assert_int_equal(gen_strdup(&s->grid.proj4, proj4), GEN_OK);
    for (int64_t i = 0; i < 2 * h * w; i++)
        s->rain[i] = (float)i;
    for (int64_t j = 0; j < h; j++)
        s->grid.y[j] = y0 - cell * (double)j;
    for (int64_t i = 0; i < w; i++)
        s->grid.x[i] = x0 + cell * (double)i;
    return s;
}

static void expect_sentence(gen_status found, gen_status status, const char *part)
{
    if (found != status || !strstr(gen_last_error(), part))
        fail_msg("status %s, sentence '%s', expected %s and '%s'", gen_status_name(found),
                 gen_last_error(), gen_status_name(status), part);
}

/* Degrees on the ground by the series of the WGS 84 ellipsoid (NGA): at 52 N 68678 and 111267 m. */
static void cells_have_a_size(void **state)
{
    (void)state;
    gen_radar_sequence *s = make(5, 7, 100, 50, 250, "+proj=merc");
    gen_radar_cell_size c = gen_radar_cell(&s->grid);
    assert_true(c.x == 250 && c.y == 250 && c.ground_x == 250 && c.ground_y == 250);
    gen_radar_free(&s);
    s = make(5, 7, 4, 52.02, 0.01, NULL);
    c = gen_radar_cell(&s->grid);
    assert_true(fabs(c.x - 0.01) < 1e-9 && fabs(c.y - 0.01) < 1e-9);
    assert_true(fabs(c.ground_x - 686.78) < 0.005 * 686.78);
    assert_true(fabs(c.ground_y - 1112.67) < 0.005 * 1112.67);
    s->grid.width = s->grid.height = 1;
    c = gen_radar_cell(&s->grid);
    assert_true(c.x == 0 && c.y == 0 && c.ground_x == 0 && c.ground_y == 0);
    gen_radar_free(&s);
}

static void cells_are_cut_out(void **state)
{
    (void)state;
    gen_radar_sequence *s = make(5, 7, 100, 50, 1, "+proj=merc");
    expect_sentence(gen_radar_crop(s, 0, 0, 6, 1), GEN_EINVAL, "6 x 1 cells");
    expect_sentence(gen_radar_crop(s, 4, 0, 2, 1), GEN_EINVAL, "from row 4");
    expect_sentence(gen_radar_crop(s, 0, -1, 1, 1), GEN_EINVAL, "column -1");
    expect_sentence(gen_radar_crop(s, 0, 0, 0, 1), GEN_EINVAL, "0 x 1");
    expect_sentence(gen_radar_crop(s, INT64_MAX, 0, 1, 1), GEN_EINVAL, "the grid has 5 x 7");
    assert_int_equal(gen_radar_crop(s, 1, 2, 3, 4), GEN_OK);
    assert_true(s->grid.height == 3 && s->grid.width == 4);
    assert_true(s->grid.y[0] == 49 && s->grid.y[2] == 47 && s->grid.x[0] == 102);
    for (int f = 0; f < 2; f++)
        for (int j = 0; j < 3; j++)
            for (int i = 0; i < 4; i++)
                assert_true(s->rain[(f * 3 + j) * 4 + i] == (float)(f * 35 + (j + 1) * 7 + i + 2));
    gen_radar_free(&s);
}

static void blocks_become_means(void **state)
{
    (void)state;
    gen_radar_sequence *s = make(5, 7, 100, 50, 1, "+proj=merc");
    s->rain[0] = NAN;                            /* of block 0: 1 missing of 4 */
    s->rain[2] = s->rain[9] = NAN;               /* of block 1: half */
    s->rain[4] = s->rain[5] = s->rain[11] = NAN; /* of block 2: more */
    expect_sentence(gen_radar_upscale(s, 0), GEN_EINVAL, "0 x 0");
    expect_sentence(gen_radar_upscale(s, 6), GEN_EINVAL, "6 x 6 cells; the grid has 5 x 7");
    assert_int_equal(gen_radar_upscale(s, 2), GEN_OK);
    assert_true(s->grid.height == 2 && s->grid.width == 3);
    assert_true(s->grid.y[0] == 49.5 && s->grid.y[1] == 47.5 && s->grid.x[2] == 104.5);
    assert_true(s->rain[0] == (float)((1 + 7 + 8) / 3.0)); /* of those that were measured */
    assert_true(s->rain[1] == (3 + 10) / 2.0f);
    assert_true(isnan(s->rain[2]));
    assert_true(s->rain[3] == (14 + 15 + 21 + 22) / 4.0f);
    for (int j = 0; j < 2; j++) /* the second frame: the mean of a ramp is its middle */
        for (int i = 0; i < 3; i++)
            assert_true(s->rain[6 + j * 3 + i] ==
                        35 + 7 * (2 * (float)j + 0.5f) + 2 * (float)i + 0.5f);
    gen_radar_free(&s);
}

static void degrees_are_cut_out(void **state)
{
    (void)state;
    /* cells of 1 degree: 0 to 10 E, 40 to 50 N */
    gen_radar_sequence *s = make(10, 10, 0.5, 49.5, 1, NULL);
    expect_sentence(gen_radar_crop_degrees(s, 45, 2, 45, 3), GEN_EINVAL, "expected to rise");
    expect_sentence(gen_radar_crop_degrees(s, NAN, 2, 45, 3), GEN_EINVAL, "expected to rise");
    expect_sentence(gen_radar_crop_degrees(s, 45, 2, 46, NAN), GEN_EINVAL, "expected two in");
    expect_sentence(gen_radar_crop_degrees(s, 10, 2, 20, 3), GEN_EDATA, "no cell lies within");
    expect_sentence(gen_radar_crop_degrees(s, 42, 12, 43, 13), GEN_EDATA, "no cell lies within");
    assert_int_equal(gen_radar_crop_degrees(s, 42.5, 3, 45, 6.01), GEN_OK);
    assert_true(s->grid.y[0] == 44.5 && s->grid.height == 3);
    assert_true(s->grid.x[0] == 3.5 && s->grid.width == 4);
    assert_true(s->rain[0] == 53);
    gen_radar_free(&s);
    s = make(10, 20, 170.5, 49.5, 1, NULL); /* across the date line, 170 to 190 */
    assert_int_equal(gen_radar_crop_degrees(s, 40, 175, 50, -175), GEN_OK);
    assert_true(s->grid.x[0] == 175.5 && s->grid.width == 10);
    gen_radar_free(&s);
    s = make(10, 20, 200.5, 49.5, 1, NULL); /* longitudes from 0 to 360, asked in -180 to 180 */
    assert_int_equal(gen_radar_crop_degrees(s, 0, -158, 90, -150), GEN_OK);
    assert_true(s->grid.x[0] == 202.5 && s->grid.width == 8 && s->grid.height == 10);
    gen_radar_free(&s);
    s = make(3, 3, 0, 0, 1000, "nothing");
    expect_sentence(gen_radar_crop_degrees(s, 1, 1, 2, 2), GEN_EDATA, "no +proj=");
    gen_radar_free(&s);
}

/* The cells that points of a box fall on, all of them looked at. */
static void check_box(const char *proj, double x0, double y0, const double b[4])
{
    enum { N = 100, POINTS = 600 };
    gen_radar_sequence *s = make(N, N, x0, y0, 10000, proj);
    gen_projection *p = NULL;
    int64_t low[2] = { N, N }, high[2] = { -1, -1 };
    assert_int_equal(gen_projection_open(&p, &s->grid), GEN_OK);
    for (int a = 0; a <= POINTS; a++)
        for (int c = 0; c <= POINTS; c++) {
            double x, y, lat = b[0] + (b[2] - b[0]) * a / POINTS;
            double lon = b[1] + (b[3] - b[1]) * c / POINTS;
            assert_true(gen_projection_forward(p, lat, lon, &x, &y));
            int64_t at[2] = { (int64_t)floor((y0 - y) / 10000 + 0.5),
                              (int64_t)floor((x - x0) / 10000 + 0.5) };
            for (int k = 0; k < 2; k++) {
                at[k] = at[k] < 0 ? 0 : at[k] >= N ? N - 1 : at[k]; /* what lies on the grid */
                low[k] = at[k] < low[k] ? at[k] : low[k];
                high[k] = at[k] > high[k] ? at[k] : high[k];
            }
        }
    gen_projection_free(&p);
    assert_int_equal(gen_radar_crop_degrees(s, b[0], b[1], b[2], b[3]), GEN_OK);
    assert_int_equal(s->grid.height, high[0] - low[0] + 1);
    assert_int_equal(s->grid.width, high[1] - low[1] + 1);
    assert_true(s->grid.y[0] == y0 - 10000.0 * (double)low[0]);
    assert_true(s->grid.x[0] == x0 + 10000.0 * (double)low[1]);
    gen_radar_free(&s);
}

static void boxes_are_projected(void **state)
{
    (void)state;
    check_box("+proj=stere +lat_0=90 +lon_0=10 +lat_ts=60 +R=6371000", -495000, -3505000,
              (double[]){ 50, 5, 54.3, 11.2 });
    check_box("+proj=lcc +lat_1=45 +lat_2=55 +lat_0=50 +lon_0=10 +ellps=WGS84", -495000, 495000,
              (double[]){ 48, 5, 52, 15 }); /* curved edges: the north is not at a corner */
    check_box("+proj=laea +lat_0=50 +lon_0=10 +ellps=WGS84", -495000, 495000,
              (double[]){ 48, 12, 60, 40 }); /* beyond the grid */
    check_box("+proj=stere +lat_0=90 +lon_0=0 +lat_ts=60 +R=6371000", -495000, 495000,
              (double[]){ 87, -180, 90, 180 }); /* around the pole */
    gen_radar_sequence *s = make(10, 10, -5000, 5000, 1000, "+proj=aeqd +lat_0=52 +lon_0=5");
    expect_sentence(gen_radar_crop_degrees(s, -10, 100, -5, 110), GEN_EDATA, "no cell lies within");
    assert_int_equal(s->grid.width, 10);
    gen_radar_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_have_a_size),   cmocka_unit_test(cells_are_cut_out),
        cmocka_unit_test(blocks_become_means), cmocka_unit_test(degrees_are_cut_out),
        cmocka_unit_test(boxes_are_projected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
