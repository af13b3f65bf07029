/* SPDX-License-Identifier: Apache-2.0
 *
 * Inner loops of pooling: one cell of the result from a list of cells, each `c` channels.
 */
#ifndef LIBGEN_BACKENDS_CPU_KERNELS_POOL_H
#define LIBGEN_BACKENDS_CPU_KERNELS_POOL_H

#include "libgen/backends/backend.h"

typedef struct gen_pool_loops {
    /* y[c] = sum over i of weight[i] * x[at[i] + c], i < cells */
    void (*weighted)(void *y, const void *x, const int64_t *at, const float *weight, int64_t cells,
                     int64_t c);
    /* y[c] = max over i of x[at[i] + c]; NaN wins */
    void (*largest)(void *y, const void *x, const int64_t *at, int64_t cells, int64_t c);
    /* where[c] = the first i with the largest x[at[i] + c], c <= 64 */
    void (*first_largest)(int32_t *where, const void *x, const int64_t *at, int64_t cells,
                          int64_t c);
} gen_pool_loops;

/* [0] f32, [1] bf16 */
const gen_pool_loops *gen_pool_loops_of(gen_isa isa);

#endif
