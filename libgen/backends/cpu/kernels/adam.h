/* SPDX-License-Identifier: Apache-2.0
 *
 * Inner loops of the optimiser, built once per instruction set; gen_adam_loops_of picks a table.
 * Each element is computed by the same arithmetic wherever it lies.
 */
#ifndef LIBGEN_BACKENDS_CPU_KERNELS_ADAM_H
#define LIBGEN_BACKENDS_CPU_KERNELS_ADAM_H

#include <stdbool.h>
#include <stdint.h>

#include "libgen/backends/backend.h"
#include "libgen/backends/train.h"

typedef struct gen_adam_loops {
    /* One step on n elements; sum is 0 afterwards. */
    void (*step)(const gen_adam_arrays *a, int64_t n, const gen_adam_step *k);
    void (*add)(float *sum, const float *x, int64_t n);
    /* Every |x[i]| < limit; not where one is NaN. */
    bool (*below)(const float *x, int64_t n, float limit);
} gen_adam_loops;

const gen_adam_loops *gen_adam_loops_of(gen_isa isa);

#endif
