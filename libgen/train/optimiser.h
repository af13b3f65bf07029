/* SPDX-License-Identifier: Apache-2.0
 *
 * What an optimiser is made of, for those that look at it and save it.
 */
#ifndef LIBGEN_TRAIN_OPTIMISER_H
#define LIBGEN_TRAIN_OPTIMISER_H

#include <libgen/train.h>

#include "libgen/train/kernels/adam.h"

/* One parameter; arrays of `count` elements. */
typedef struct gen_slot {
    char *name;
    gen_shape shape;
    int64_t count;
    float *w; /* borrowed from params */
    float *v, *sum;
    float *m, *average; /* NULL: not kept */
    uint16_t *bf16;
} gen_slot;

typedef struct gen_piece {
    int slot;
    int64_t at, n;
} gen_piece;

struct gen_optimiser {
    gen_params *params;
    gen_backend *backend;
    const gen_adam_loops *loops;
    gen_adam_options adam;
    gen_slot *slot;
    gen_piece *piece;
    int n, pieces;
    int64_t added; /* micro-batches in the sums */
    int64_t steps;
};

#endif
