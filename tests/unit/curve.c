/* SPDX-License-Identifier: Apache-2.0
 *
 * Long series made short: spikes do not move the medians and do not get lost among the extremes.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "libgen/train/curve.h"

#define N 10000
static double x[N], y[N], out_x[N], out_y[N], scratch[N];

/* Expected by NumPy 2.4: [nanmedian(v[max(0, i-2):i+3]) for i in range(8)]. */
static void medians_are_those_of_numpy(void **state)
{
    (void)state;
    const double at[8] = { 10, 11, 12, 13, 14, 15, 16, 17 };
    const double v[8] = { 3, NAN, -1, 4, 1, 50, NAN, 2 };
    const double expected[8] = { 1, 3, 2, 2.5, 2.5, 3, 2, 26 };
    assert_int_equal(gen_curve_medians(at, v, 8, 5, 100, out_x, out_y, scratch), 8);
    for (int i = 0; i < 8; i++) {
        assert_true(out_x[i] == at[i]);
        assert_true(out_y[i] == expected[i]);
    }
    const double none[3] = { NAN, NAN, NAN };
    assert_int_equal(gen_curve_medians(at, none, 3, 1, 3, out_x, out_y, scratch), 3);
    assert_true(isnan(out_y[1]));
    assert_true(isnan(gen_curve_median(v, 0, scratch)));
    assert_int_equal(gen_curve_medians(at, v, 0, 5, 100, out_x, out_y, scratch), 0);
    assert_int_equal(gen_curve_medians(at, v, 8, 5, 1, out_x, out_y, scratch), 1);
}

/* A line with a spike every hundred points. */
static void make_series(void)
{
    for (int i = 0; i < N; i++) {
        x[i] = 7 * i;
        y[i] = i % 100 == 37 ? -1e6 : 2.0 * i;
    }
}

static void medians_pass_over_spikes(void **state)
{
    (void)state;
    make_series();
    int64_t n = gen_curve_medians(x, y, N, 51, 300, out_x, out_y, scratch);
    assert_int_equal(n, 300);
    assert_true(out_x[0] == x[0] && out_x[n - 1] == x[N - 1]);
    for (int64_t k = 0; k < n; k++) {
        assert_true(k == 0 || out_x[k] > out_x[k - 1]);
        if (out_x[k] > 7 * 50 && out_x[k] < 7 * (N - 50)) /* at the ends the window is cut */
            assert_true(fabs(out_y[k] - 2 * out_x[k] / 7) <= 2);
    }
}

static void extremes_keep_spikes(void **state)
{
    (void)state;
    make_series();
    int64_t n = gen_curve_extremes(x, y, N, 100, out_x, out_y);
    assert_int_equal(n, 200);
    int spikes = 0;
    for (int64_t k = 0; k < n; k++) {
        assert_true(k == 0 || out_x[k] > out_x[k - 1]);
        spikes += out_y[k] == -1e6;
    }
    assert_int_equal(spikes, 100);

    /* Few are all taken; a part without values is a gap, missing ones elsewhere are not seen. */
    assert_int_equal(gen_curve_extremes(x, y, 20, 10, out_x, out_y), 20);
    assert_memory_equal(out_y, y, 20 * sizeof *y);
    for (int i = 0; i < 50; i++)
        y[i] = i < 10 || i % 10 == 3 ? NAN : i;
    n = gen_curve_extremes(x, y, 50, 5, out_x, out_y);
    assert_int_equal(n, 9);
    assert_true(isnan(out_y[0]));
    assert_true(out_y[1] == 10 && out_y[2] == 19 && out_y[7] == 40 && out_y[8] == 49);
    assert_int_equal(gen_curve_extremes(x, y, 0, 5, out_x, out_y), 0);
}

static void ranges_leave_out_a_share(void **state)
{
    (void)state;
    double low, high;
    for (int i = 0; i < 200; i++)
        y[i] = (i * 77) % 200; /* 0 to 199, in disorder */
    gen_curve_range(y, 200, 0.01, &low, &high, scratch);
    assert_true(low == 2 && high == 197);
    gen_curve_range(y, 200, 0, &low, &high, scratch);
    assert_true(low == 0 && high == 199);
    y[0] = NAN;
    gen_curve_range(y, 1, 0.01, &low, &high, scratch);
    assert_true(isnan(low) && isnan(high));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(medians_are_those_of_numpy),
        cmocka_unit_test(medians_pass_over_spikes),
        cmocka_unit_test(extremes_keep_spikes),
        cmocka_unit_test(ranges_leave_out_a_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
