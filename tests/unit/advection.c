/* SPDX-License-Identifier: Apache-2.0
 *
 * Motion and extrapolation on fields whose motion is known: shifted, turned, dry, missing; the same
 * bytes at any number of threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "libgen/base/alloc.h"
#include "weather/trace.h"

#define N 96
#define MAX_FRAMES 4

static float frames[MAX_FRAMES * N * N], out[6 * N * N];

/* A fixed pattern of showers, mm/h, at any point of the plane. */
static float pattern(double y, double x)
{
    static const double cell[][4] = { /* y, x, radius px, peak mm/h */
                                      { 20, 30, 7, 12 }, { 48, 52, 11, 6 }, { 70, 28, 6, 30 },
                                      { 30, 75, 9, 3 },  { 74, 74, 5, 20 }, { 50, 15, 8, 8 },
                                      { 12, 60, 6, 15 }, { 84, 48, 7, 5 },  { 44, 86, 6, 10 }
    };
    double rain = 0;
    for (int i = 0; i < GEN_LEN(cell); i++) {
        double dy = y - cell[i][0], dx = x - cell[i][1];
        rain += cell[i][3] * exp(-(dy * dy + dx * dx) / (2 * cell[i][2] * cell[i][2]));
    }
    return rain < 0.1 ? 0 : (float)rain;
}

/* Frame t is the pattern turned by `angle` per frame about the middle and moved by (u, v). */
static void make_frames(int n, double u, double v, double angle)
{
    for (int t = 0; t < n; t++)
        for (int y = 0; y < N; y++)
            for (int x = 0; x < N; x++) {
                double c = cos(angle * t), s = sin(angle * t), m = 0.5 * (N - 1);
                double dy = y - v * t - m, dx = x - u * t - m;
                frames[(t * N + y) * N + x] = pattern(m - s * dx + c * dy, m + c * dx + s * dy);
            }
}

static void expect_motion(const gen_motion *m, int y, int x, double u, double v, double tolerance)
{
    float uv[2];
    gen_motion_at(m, y, x, uv);
    if (!(fabs((double)uv[0] - u) <= tolerance && fabs((double)uv[1] - v) <= tolerance))
        fail_msg("motion at row %d, column %d is %.3f, %.3f px, expected %.3f, %.3f", y, x,
                 (double)uv[0], (double)uv[1], u, v);
}

static void shift_is_found(void **state)
{
    (void)state;
    static const double shifts[][2] = { { 0, 0 },  { 1, 0 },       { 0, -1 },    { 2.5, 1.25 },
                                        { -4, 3 }, { -0.3, -0.7 }, { 7.5, -5.5 } };
    for (int i = 0; i < GEN_LEN(shifts); i++)
        for (int n = 2; n <= 3; n++) {
            gen_motion m;
            make_frames(n, shifts[i][0], shifts[i][1], 0);
            assert_int_equal(gen_motion_estimate(&m, frames, n, N, N, NULL), GEN_OK);
            double size = fabs(shifts[i][0]) + fabs(shifts[i][1]);
            for (int y = 12; y < N; y += 24)
                for (int x = 12; x < N; x += 24)
                    expect_motion(&m, y, x, shifts[i][0], shifts[i][1], 0.05 + 0.06 * size);
            gen_motion_free(&m);
        }
}

static void turn_is_found(void **state)
{
    (void)state;
    gen_motion m;
    const double angle = 0.04;
    make_frames(3, 0, 0, angle);
    assert_int_equal(gen_motion_estimate(&m, frames, 3, N, N, NULL), GEN_OK);
    for (int y = 24; y <= 72; y += 12)
        for (int x = 24; x <= 72; x += 12)
            expect_motion(&m, y, x, -angle * (y - 47.5), angle * (x - 47.5), 0.35);
    gen_motion_free(&m);
}

/* A uniform motion of whole pixels moves the field exactly; what comes from outside is missing. */
static void whole_pixels_are_moved_exactly(void **state)
{
    (void)state;
    float u[24 * 24], v[24 * 24];
    for (int i = 0; i < 24 * 24; i++) {
        u[i] = 3;
        v[i] = -2;
    }
    gen_motion m = { .height = N, .width = N, .rows = 24, .columns = 24, .u = u, .v = v };
    make_frames(1, 0, 0, 0);
    frames[40 * N + 50] = NAN;
    assert_int_equal(gen_advect(out, &m, frames, 6, NULL, NULL), GEN_OK);
    for (int s = 0; s < 6; s++)
        for (int y = 0; y < N; y++)
            for (int x = 0; x < N; x++) {
                int from_y = y + 2 * (s + 1), from_x = x - 3 * (s + 1);
                float got = out[(s * N + y) * N + x];
                bool inside = from_y < N && from_x >= 0;
                float expected = inside ? frames[from_y * N + from_x] : NAN;
                if (y == 40 && x == 50)
                    expected = NAN;
                assert_true(isnan(expected) ? isnan(got) : got == expected);
            }
}

/* Half a pixel is the mean of two; a missing neighbour leaves the other. */
static void half_pixels_are_interpolated(void **state)
{
    (void)state;
    float u[1] = { 0.5f }, v[1] = { 0 }, rain[4] = { 1, 3, NAN, 8 }, moved[4];
    gen_motion m = { .height = 1, .width = 4, .rows = 1, .columns = 1, .u = u, .v = v };
    assert_int_equal(gen_advect(moved, &m, rain, 1, NULL, NULL), GEN_OK);
    assert_true(moved[0] == 1); /* from the outer half of the first cell */
    assert_true(moved[1] == 2);
    assert_true(isnan(moved[2]));
    assert_true(moved[3] == 8);
}

static void rotation_comes_round(void **state)
{
    (void)state;
    float u[24 * 24], v[24 * 24];
    const double angle = 0.05;
    for (int j = 0; j < 24; j++)
        for (int i = 0; i < 24; i++) {
            u[j * 24 + i] = (float)(-angle * (4 * j + 1.5 - 47.5));
            v[j * 24 + i] = (float)(angle * (4 * i + 1.5 - 47.5));
        }
    gen_motion m = { .height = N, .width = N, .rows = 24, .columns = 24, .u = u, .v = v };
    make_frames(1, 0, 0, 0);
    assert_int_equal(gen_advect(out, &m, frames, 6, NULL, NULL), GEN_OK);
    for (int y = 24; y <= 72; y++)
        for (int x = 24; x <= 72; x++) {
            double c = cos(6 * angle), s = sin(6 * angle), dy = y - 47.5, dx = x - 47.5;
            float expected = pattern(47.5 - s * dx + c * dy, 47.5 + c * dx + s * dy);
            assert_float_equal(out[(5 * N + y) * N + x], expected, 0.25 + 0.03 * expected);
        }
}

static void nothing_to_follow_is_no_motion(void **state)
{
    (void)state;
    static const float values[] = { 0, NAN, 5 };
    for (int i = 0; i < GEN_LEN(values); i++) {
        gen_motion m;
        for (int k = 0; k < 3 * N * N; k++)
            frames[k] = values[i];
        assert_int_equal(gen_motion_estimate(&m, frames, 3, N, N, NULL), GEN_OK);
        for (int64_t k = 0; k < m.rows * m.columns; k++)
            assert_true(m.u[k] == 0 && m.v[k] == 0);
        assert_int_equal(gen_advect(out, &m, frames, 2, NULL, NULL), GEN_OK);
        for (int k = 0; k < 2 * N * N; k++)
            assert_true(isnan(values[i]) ? isnan(out[k]) : out[k] == values[i]);
        gen_motion_free(&m);
    }
    gen_motion m;
    assert_int_equal(gen_motion_estimate(&m, frames, 1, N, N, NULL), GEN_EDATA);
    assert_string_equal(gen_last_error(), "advection needs 2 frames, found 1");
}

/* A frame that was sent twice does not halve the motion. */
static void repeated_frame_is_left_out(void **state)
{
    (void)state;
    gen_motion m;
    make_frames(2, 3, -2, 0);
    memcpy(frames + 2 * N * N, frames + N * N, sizeof(float) * N * N);
    assert_int_equal(gen_motion_estimate(&m, frames, 3, N, N, NULL), GEN_OK);
    expect_motion(&m, 48, 48, 3, -2, 0.3);
    gen_motion_free(&m);
}

/* A frame that is not there, in the middle: the two around it are two steps apart. */
static void motion_reaches_across_a_gap(void **state)
{
    (void)state;
    gen_motion m;
    make_frames(3, 2, -1, 0);
    for (int i = 0; i < N * N; i++)
        frames[N * N + i] = NAN;
    assert_int_equal(gen_motion_estimate(&m, frames, 3, N, N, NULL), GEN_OK);
    for (int y = 24; y <= 72; y += 12)
        for (int x = 24; x <= 72; x += 12)
            expect_motion(&m, y, x, 2, -1, 0.15);
    gen_motion_free(&m);
}

static void missing_cells_do_not_stop_the_motion(void **state)
{
    (void)state;
    gen_motion m;
    make_frames(3, 2, 1, 0);
    for (int k = 0; k < 3 * N * N; k++) {
        int y = k / N % N - 48, x = k % N - 48;
        if (y * y + x * x > 42 * 42 || (y > 0 && x > -3 && x < 3))
            frames[k] = NAN;
    }
    assert_int_equal(gen_motion_estimate(&m, frames, 3, N, N, NULL), GEN_OK);
    for (int y = 24; y <= 72; y += 12)
        for (int x = 24; x <= 72; x += 12)
            expect_motion(&m, y, x, 2, 1, 0.25);
    gen_motion_free(&m);
}

/* Any grid, also a line or a single cell, gives something finite. */
static void odd_sizes_work(void **state)
{
    (void)state;
    static const int sizes[][2] = { { 1, 1 }, { 1, 50 },  { 50, 1 },  { 2, 2 },
                                    { 3, 5 }, { 17, 90 }, { 64, 33 }, { 25, 24 } };
    make_frames(3, 1, 1, 0);
    for (int i = 0; i < GEN_LEN(sizes); i++) {
        gen_motion m;
        int h = sizes[i][0], w = sizes[i][1];
        assert_int_equal(gen_motion_estimate(&m, frames, 3, h, w, NULL), GEN_OK);
        for (int64_t k = 0; k < m.rows * m.columns; k++)
            assert_true(isfinite(m.u[k]) && isfinite(m.v[k]) && fabsf(m.u[k]) < 100);
        assert_int_equal(gen_advect(out, &m, frames, 3, NULL, NULL), GEN_OK);
        gen_motion_free(&m);
    }
}

static void threads_do_not_change_a_bit(void **state)
{
    (void)state;
    static float first[6 * N * N];
    for (int threads = 1; threads <= 3; threads++) {
        gen_pool *pool = NULL;
        gen_motion m;
        make_frames(3, 1.7, -0.6, 0.02);
        assert_int_equal(gen_pool_create(&pool, threads), GEN_OK);
        assert_int_equal(gen_motion_estimate(&m, frames, 3, N, N, pool), GEN_OK);
        assert_int_equal(gen_advect(out, &m, frames + 2 * N * N, 6, pool, NULL), GEN_OK);
        if (threads == 1)
            memcpy(first, out, sizeof out);
        assert_memory_equal(first, out, sizeof out);
        gen_motion_free(&m);
        gen_pool_free(&pool);
    }
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    uint64_t before = gen_alloc_bytes();
    gen_status status = GEN_ENOMEM;
    make_frames(2, 1, 1, 0);
    for (int n = 1; status != GEN_OK && n < 200; n++) {
        gen_motion m = { 0 };
        gen_alloc_fail_at((uint64_t)n);
        status = gen_motion_estimate(&m, frames, 2, N, N, NULL);
        if (status == GEN_OK)
            status = gen_advect(out, &m, frames, 2, NULL, NULL);
        gen_alloc_fail_at(0);
        gen_motion_free(&m);
        assert_int_equal(gen_alloc_bytes(), before);
    }
    assert_int_equal(status, GEN_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shift_is_found),
        cmocka_unit_test(turn_is_found),
        cmocka_unit_test(whole_pixels_are_moved_exactly),
        cmocka_unit_test(half_pixels_are_interpolated),
        cmocka_unit_test(rotation_comes_round),
        cmocka_unit_test(nothing_to_follow_is_no_motion),
        cmocka_unit_test(repeated_frame_is_left_out),
        cmocka_unit_test(motion_reaches_across_a_gap),
        cmocka_unit_test(missing_cells_do_not_stop_the_motion),
        cmocka_unit_test(odd_sizes_work),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
