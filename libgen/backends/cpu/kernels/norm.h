/* SPDX-License-Identifier: Apache-2.0
 *
 * Inner loops of batch norm: sums per channel in double, and the affine maps that follow. Channels
 * are periodic: element i of an array of whole cells belongs to place i % width, where width is the
 * number of channels or a multiple of it.
 */
#ifndef LIBGEN_BACKENDS_CPU_KERNELS_NORM_H
#define LIBGEN_BACKENDS_CPU_KERNELS_NORM_H

#include "libgen/backends/backend.h"

/* n elements at x (and dy), f32 or bf16; rows of `width`, the last one may be short. */
typedef struct gen_norm_loops {
    /* sum[i % width] += x[i], square[i % width] += x[i]^2 */
    void (*moments)(double *sum, double *square, const void *x, int64_t n, int64_t width);
    /* sum += dy, dot += dy * (x - mean) */
    void (*products)(double *sum, double *dot, const void *x, const void *dy, const float *mean,
                     int64_t n, int64_t width);
    /* y = (x - mean) * k */
    void (*normalise)(void *y, const void *x, const float *mean, const float *k, int64_t n,
                      int64_t width);
    /* dx = k * (dy - shift) - (x - mean) * slope */
    void (*backward)(void *dx, const void *x, const void *dy, const float *const row[4], int64_t n,
                     int64_t width); /* row: mean, k, shift, slope */
} gen_norm_loops;

/* [0] f32, [1] bf16 */
const gen_norm_loops *gen_norm_loops_of(gen_isa isa);

#endif
