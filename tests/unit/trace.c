/* SPDX-License-Identifier: Apache-2.0
 *
 * Rain seen along its motion: what only moves stands still, there and back is where one began, a
 * part is the part of the whole, cubic convolution is what its definition says.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libgen/random.h>

#include "libgen/base/alloc.h"
#include "weather/trace.h"

#define N 96
#define NODES (N / GEN_MOTION_CELL)
#define STEPS 5

static float u[NODES * NODES], v[NODES * NODES];
static const gen_motion motion = {
    .height = N, .width = N, .rows = NODES, .columns = NODES, .u = u, .v = v
};

/* Everything moves by (east, south) and turns by `angle` about the middle, per step. */
static void set_motion(double east, double south, double angle)
{
    for (int j = 0; j < NODES; j++)
        for (int i = 0; i < NODES; i++) {
            u[j * NODES + i] = (float)(east - angle * (4 * j + 1.5 - 47.5));
            v[j * NODES + i] = (float)(south + angle * (4 * i + 1.5 - 47.5));
        }
}

/* Showers with a few pixels of radius, at any point of the plane. */
static float shower(double y, double x)
{
    double rain = 0;
    for (int i = -3; i < 12; i++)
        for (int j = -3; j < 12; j++) {
            double dy = y - 13 * i - 3 * (j % 3), dx = x - 11 * j - 4 * (i % 2);
            rain += (3 + (i * j) % 5) * exp(-(dy * dy + dx * dx) / 18);
        }
    return (float)rain;
}

/* The showers k steps later, in a motion without turn. */
static void showers(float *out, double east, double south, int k)
{
    for (int y = 0; y < N; y++)
        for (int x = 0; x < N; x++)
            out[y * N + x] = shower(y - south * k, x - east * k);
}

static void seen_after(float *out, const float *rain, int steps, float step, gen_trace_kind kind)
{
    gen_trace t;
    assert_int_equal(gen_trace_create(&t, &motion, NULL, 1), GEN_OK);
    for (int k = 0; k < steps; k++)
        gen_trace_step(&t, &motion, step, NULL);
    gen_trace_warp(out, &t, rain, kind, NULL);
    gen_trace_free(&t);
}

/* Two cells around are known: the place it comes from is not at the edge. */
static bool is_inner(const float *a, int y, int x)
{
    for (int j = y - 2; j <= y + 2; j++)
        for (int i = x - 2; i <= x + 2; i++)
            if (j < 0 || i < 0 || j >= N || i >= N || isnan(a[j * N + i]))
                return false;
    return true;
}

/* Away from edges the same to what the interpolation of a smooth field may cost. */
static void expect_alike(const float *a, const float *b, float tolerance, double least)
{
    int inner = 0;
    for (int y = 0; y < N; y++)
        for (int x = 0; x < N; x++) {
            float got = a[y * N + x], expected = b[y * N + x];
            if (!is_inner(a, y, x))
                continue;
            inner++;
            if (!(fabsf(got - expected) <= tolerance))
                fail_msg("row %d, column %d: %g, expected %g", y, x, (double)got, (double)expected);
        }
    assert_true(inner >= least * N * N);
}

static void moving_rain_stands_still(void **state)
{
    (void)state;
    static const double ways[][2] = { { 2, -1 }, { -1.3, 0.6 }, { 0.25, 3.5 } };
    static float frame[N * N], now[N * N], still[N * N];
    for (int w = 0; w < GEN_LEN(ways); w++) {
        set_motion(ways[w][0], ways[w][1], 0);
        showers(now, ways[w][0], ways[w][1], 0);
        for (int k = 1; k <= STEPS; k++) {
            double inner = 1 - (fabs(ways[w][0]) + fabs(ways[w][1])) * k / N - 0.12;
            showers(frame, ways[w][0], ways[w][1], -k);
            seen_after(still, frame, k, 1, GEN_TRACE_CUBIC);
            expect_alike(still, now, 0.2f, inner);
            showers(frame, ways[w][0], ways[w][1], k);
            seen_after(still, frame, k, -1, GEN_TRACE_CUBIC);
            expect_alike(still, now, 0.2f, inner);
        }
    }
}

/* Also where the motion is not the same everywhere. */
static void there_and_back_is_the_beginning(void **state)
{
    (void)state;
    static float frame[N * N], still[N * N], ground[N * N];
    set_motion(1.5, -0.7, 0.03);
    showers(frame, 0, 0, 0);
    for (int k = 1; k <= STEPS; k++) {
        seen_after(still, frame, k, -1, GEN_TRACE_CUBIC);
        seen_after(ground, still, k, 1, GEN_TRACE_CUBIC);
        expect_alike(ground, frame, 0.35f, 0.5);
    }
}

/* 9/16 and -1/16 halfway (Keys 1981, a = -1/2); never beyond the cells around. */
static void cubic_is_keys_convolution(void **state)
{
    (void)state;
    static float rain[N * N], out[N * N];
    set_motion(0.5, 0, 0);
    for (int i = 0; i < N * N; i++) {
        static const float row[] = { 1, 2, 4, 8, 0, 0, 8, 8 };
        rain[i] = row[i % N % 8];
    }
    seen_after(out, rain, 1, 1, GEN_TRACE_CUBIC);
    for (int y = 2; y < N - 2; y++) { /* halfway to the left neighbour */
        const float *at = out + y * N + 16;
        assert_float_equal(at[2], (-1 + 9 * 2 + 9 * 4 - 8) / 16.0, 1e-6);
        assert_float_equal(at[3], (-2 + 9 * 4 + 9 * 8 - 0) / 16.0, 1e-6);
        assert_float_equal(at[5], 0, 0); /* -8/16 is below both */
        assert_float_equal(at[6], (-0 + 9 * 0 + 9 * 8 - 8) / 16.0, 1e-6);
        assert_float_equal(at[7], 8, 0); /* 8.9375 is above both */
    }
}

static void cubic_stays_within_the_cells_around(void **state)
{
    (void)state;
    static float rain[N * N], linear[N * N], cubic[N * N];
    gen_random_uniform(rain, N * N, 5, gen_stream("test.trace"), 0);
    set_motion(0.7, -0.4, 0.02);
    for (int i = 0; i < N * N; i++)
        rain[i] = rain[i] < 0.5f ? 0 : rain[i];
    rain[40 * N + 40] = NAN;
    seen_after(linear, rain, 1, 1, GEN_TRACE_LINEAR);
    seen_after(cubic, rain, 1, 1, GEN_TRACE_CUBIC);
    int differ = 0;
    for (int y = 0; y < N; y++)
        for (int x = 0; x < N; x++) {
            float a = linear[y * N + x], b = cubic[y * N + x];
            assert_true(isnan(a) ? isnan(b) : b >= 0 && b <= 1);
            differ += a != b;
            if (abs(y - 40) < 2 && abs(x - 40) < 2)
                assert_true(isnan(a) ? isnan(b) : a == b);
        }
    assert_true(differ > N * N / 2);
}

/* Of a wave of 4 cells moved by any share of a cell at least half of the power is left, where a
 * linear one leaves a half at worst. */
static void small_waves_survive(void **state)
{
    (void)state;
    static float rain[N * N], moved[N * N];
    double power[2] = { 0 }, all = 0;
    for (int i = 0; i < N * N; i++)
        rain[i] = 5 + (float)(4 * sin(2 * acos(-1) * (i % N + 0.3) / 4));
    for (int kind = GEN_TRACE_LINEAR; kind <= GEN_TRACE_CUBIC; kind++)
        for (int share = 0; share < 10; share++) {
            set_motion(0.1 * share, 0, 0);
            seen_after(moved, rain, 1, 1, (gen_trace_kind)kind);
            for (int y = 4; y < N - 4; y++)
                for (int x = 4; x < N - 4; x++) {
                    double a = (double)moved[y * N + x] - 5, b = (double)rain[y * N + x] - 5;
                    power[kind] += a * a;
                    all += kind ? b * b : 0;
                }
        }
    assert_true(power[GEN_TRACE_CUBIC] > 0.8 * all);
    assert_true(power[GEN_TRACE_CUBIC] > 1.1 * power[GEN_TRACE_LINEAR]);
}

static void a_part_is_that_of_the_whole(void **state)
{
    (void)state;
    static const gen_rectangle parts[] = {
        { 0, 0, 16, 24 }, { 40, 32, 32, 16 }, { 64, 72, 32, 24 }, { 8, 0, 1, 1 }, { 0, 0, 96, 96 }
    };
    static float rain[N * N], whole[N * N], source[N * N], part[N * N];
    set_motion(3.3, -2.1, 0.05);
    gen_random_uniform(rain, N * N, 5, gen_stream("test.trace"), 0);
    for (int i = 0; i < N * N; i++)
        rain[i] = rain[i] < 0.02f ? NAN : rain[i];
    for (int p = 0; p < GEN_LEN(parts); p++)
        for (int k = 0; k <= STEPS; k++)
            for (int back = -1; back <= 1; back += 2) {
                gen_trace t;
                seen_after(whole, rain, k, (float)back, GEN_TRACE_CUBIC);
                assert_int_equal(gen_trace_create(&t, &motion, &parts[p], 1), GEN_OK);
                for (int i = 0; i < k; i++)
                    gen_trace_step(&t, &motion, (float)back, NULL);
                gen_rectangle r = gen_trace_reach(&t);
                assert_true(r.row >= 0 && r.column >= 0 && r.row + r.height <= N);
                assert_true(r.column + r.width <= N);
                for (int64_t y = 0; y < r.height; y++)
                    memcpy(source + y * r.width, rain + (r.row + y) * N + r.column,
                           (size_t)r.width * sizeof(float));
                gen_trace_warp(part, &t, source, GEN_TRACE_CUBIC, NULL);
                for (int64_t y = 0; y < parts[p].height; y++)
                    assert_memory_equal(part + y * parts[p].width,
                                        whole + (parts[p].row + y) * N + parts[p].column,
                                        (size_t)parts[p].width * sizeof(float));
                gen_trace_free(&t);
            }
}

/* What was not measured, and what lies beyond the edge. */
static void unknown_rain_is_missing(void **state)
{
    (void)state;
    static float rain[N * N], out[N * N];
    set_motion(2, 0, 0);
    for (int i = 0; i < N * N; i++)
        rain[i] = (float)(i % 7);
    rain[50 * N + 50] = NAN;
    for (int back = -1; back <= 1; back += 2) {
        seen_after(out, rain, 3, (float)back, GEN_TRACE_CUBIC);
        for (int y = 0; y < N; y++)
            for (int x = 0; x < N; x++) {
                int from = x - 6 * back;
                bool known = from >= 0 && from < N && !(y == 50 && (x == 50 || from == 50));
                float expected = known ? rain[y * N + from] : NAN;
                assert_true(known ? out[y * N + x] == expected : isnan(out[y * N + x]) != 0);
            }
    }
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    uint64_t before = gen_alloc_bytes();
    for (uint64_t n = 1; n <= 4; n++) {
        gen_trace t;
        gen_alloc_fail_at(n);
        gen_status status = gen_trace_create(&t, &motion, NULL, 2);
        gen_alloc_fail_at(0);
        assert_int_equal(status, n <= 3 ? GEN_ENOMEM : GEN_OK);
        gen_trace_free(&t);
        assert_int_equal(gen_alloc_bytes(), before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moving_rain_stands_still),
        cmocka_unit_test(there_and_back_is_the_beginning),
        cmocka_unit_test(cubic_is_keys_convolution),
        cmocka_unit_test(cubic_stays_within_the_cells_around),
        cmocka_unit_test(small_waves_survive),
        cmocka_unit_test(a_part_is_that_of_the_whole),
        cmocka_unit_test(unknown_rain_is_missing),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
