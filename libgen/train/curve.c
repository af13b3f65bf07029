/* SPDX-License-Identifier: Apache-2.0
 *
 * Long series made short. Medians, because the losses of a GAN have spikes, which drag a mean
 * along.
 */
#include "libgen/train/curve.h"

#include <math.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What is not NaN, in order; returns how many. */
static int64_t sorted(const double *y, int64_t n, double *out)
{
    int64_t m = 0;
    for (int64_t i = 0; i < n; i++)
        if (!isnan(y[i]))
            out[m++] = y[i];
    qsort(out, (size_t)m, sizeof *out, compare);
    return m;
}

double gen_curve_median(const double *y, int64_t n, double *scratch)
{
    int64_t m = sorted(y, n, scratch);
    return m == 0 ? NAN : m % 2 ? scratch[m / 2] : 0.5 * (scratch[m / 2 - 1] + scratch[m / 2]);
}

void gen_curve_range(const double *y, int64_t n, double share, double *low, double *high,
                     double *scratch)
{
    int64_t m = sorted(y, n, scratch);
    int64_t beyond = (int64_t)(share * (double)m);
    *low = m ? scratch[beyond] : NAN;
    *high = m ? scratch[m - 1 - beyond] : NAN;
}

int64_t gen_curve_extremes(const double *x, const double *y, int64_t n, int64_t parts,
                           double *out_x, double *out_y)
{
    int64_t made = 0;
    bool all = n <= 2 * parts;
    for (int64_t p = 0; p < (all ? n : parts); p++) {
        int64_t from = all ? p : p * n / parts, end = all ? p + 1 : (p + 1) * n / parts;
        int64_t low = from, high = from;
        for (int64_t i = from; i < end; i++) {
            low = isnan(y[low]) || y[i] < y[low] ? i : low;
            high = isnan(y[high]) || y[i] > y[high] ? i : high;
        }
        const int64_t chosen[2] = { low < high ? low : high, low < high ? high : low };
        for (int k = 0; k < (low == high ? 1 : 2); k++, made++) {
            out_x[made] = x[chosen[k]];
            out_y[made] = y[chosen[k]];
        }
    }
    return made;
}

int64_t gen_curve_medians(const double *x, const double *y, int64_t n, int64_t window,
                          int64_t points, double *out_x, double *out_y, double *scratch)
{
    int64_t m = n < points ? n : points;
    for (int64_t k = 0; k < m; k++) {
        int64_t i = m > 1 ? k * (n - 1) / (m - 1) : 0;
        int64_t from = i - window / 2, end = i + window / 2 + 1;
        from = from < 0 ? 0 : from;
        end = end > n ? n : end;
        out_x[k] = x[i];
        out_y[k] = gen_curve_median(y + from, end - from, scratch);
    }
    return m;
}
