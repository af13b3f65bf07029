/* SPDX-License-Identifier: Apache-2.0
 *
 * Inner loops of the optimiser, built once per instruction set; gen_adam_loops_of picks a table.
 * Each element is computed by the same arithmetic wherever it lies.
 */
#ifndef LIBGEN_TRAIN_KERNELS_ADAM_H
#define LIBGEN_TRAIN_KERNELS_ADAM_H

#include <stdbool.h>
#include <stdint.h>

#include "libgen/backends/backend.h"

/* Constants of one step. */
typedef struct gen_adam_step {
    float count; /* micro-batches in the sum */
    float weight_decay;
    float beta2;
    float first, second; /* 1 - beta1, 1 - beta2 */
    float rate;          /* over the bias correction of m */
    float root;          /* square root of the bias correction of v */
    float eps;
    float follow; /* 1 - decay of the average */
} gen_adam_step;

/* The same stretch of every array of a parameter. */
typedef struct gen_adam_arrays {
    float *w, *v, *sum;
    float *m;       /* NULL: beta1 is 0, m is the gradient itself */
    float *average; /* NULL: none */
    uint16_t *bf16; /* NULL: none */
} gen_adam_arrays;

typedef struct gen_adam_loops {
    /* One step on n elements; sum is 0 afterwards. */
    void (*step)(const gen_adam_arrays *a, int64_t n, const gen_adam_step *k);
    void (*add)(float *sum, const float *x, int64_t n);
    /* Every |x[i]| < limit; not where one is NaN. */
    bool (*below)(const float *x, int64_t n, float limit);
} gen_adam_loops;

const gen_adam_loops *gen_adam_loops_of(gen_isa isa);

#endif
