/* SPDX-License-Identifier: Apache-2.0
 *
 * A long series as few points as a picture can show: its extremes, and its course.
 *
 * Values may be NaN (missing): they are passed over, a part without any gives NaN.
 */
#ifndef LIBGEN_TRAIN_CURVE_H
#define LIBGEN_TRAIN_CURVE_H

#include <stdbool.h>
#include <stdint.h>

#include "libgen/base/fail.h"

/* Median of y [n], the mean of the two in the middle where n is even; NaN when there is none.
 * scratch [n]. */
double gen_curve_median(const double *y, int64_t n, double *scratch);

/* The values between which all but `share` (below 0.5) of y [n] lie at each end, NaN when there is
 * none. scratch [n]. */
void gen_curve_range(const double *y, int64_t n, double share, double *low, double *high,
                     double *scratch);

/* At most 2 * parts points (out_x, out_y): the least and the greatest of each of `parts` equal
 * parts, in their order; all of them where n is no larger. Returns how many. */
int64_t gen_curve_extremes(const double *x, const double *y, int64_t n, int64_t parts,
                           double *out_x, double *out_y);

/* At most `points` points, evenly over the series with its first and last: the median of the
 * `window` (odd) values around each, of fewer at the ends. scratch [window]. Returns how many. */
int64_t gen_curve_medians(const double *x, const double *y, int64_t n, int64_t window,
                          int64_t points, double *out_x, double *out_y, double *scratch);

#endif
