/* SPDX-License-Identifier: Apache-2.0
 *
 * What an optimiser is made of, for those that look at it and save it, and its steps as work that
 * is only queued on a device, for phases that record it.
 */
#ifndef LIBGEN_TRAIN_OPTIMISER_H
#define LIBGEN_TRAIN_OPTIMISER_H

#include <libgen/train.h>

#include "libgen/backends/backend.h"

/* One parameter. Its arrays are where the backend's kernels have their data. */
typedef struct gen_slot {
    char *name;
    gen_shape shape;
    int64_t count;
    gen_adam_arrays at;
} gen_slot;

/* Arrays of all parameters, one behind the other. */
enum { GEN_ADAM_V, GEN_ADAM_SUM, GEN_ADAM_M, GEN_ADAM_AVERAGE, GEN_ADAM_BF16, GEN_ADAM_ARRAYS };

struct gen_optimiser {
    gen_params *params;
    gen_backend *backend;
    gen_adam_options adam;
    gen_slot *slot;
    int n;
    void *block[GEN_ADAM_ARRAYS];
    uint64_t sum_bytes;
    gen_adam_arrays *bound; /* [n], what the table says */
    gen_adam_table table;   /* for kernels */
    gen_mirror step;        /* a gen_adam_step */
    gen_mirror bad;         /* an int32_t, of gen_optimiser_look */
    int64_t added;          /* micro-batches in the sums */
    int64_t steps;
};

/* Where gradients are; not while something is recorded. */
gen_status gen_optimiser_bind(gen_optimiser *o, const float *const gradient[]);
gen_status gen_optimiser_queue_add(gen_optimiser *o);
gen_status gen_optimiser_queue_look(const gen_optimiser *o, int32_t *bad);
/* Writes down the constants of the next step, which a queued one reads when it is done. */
void gen_optimiser_plan_step(gen_optimiser *o, double rate);
gen_status gen_optimiser_queue_step(gen_optimiser *o, const int32_t *bad);
void gen_optimiser_stepped(gen_optimiser *o); /* it was taken */
/* The sentence about the first gradient that is not fit; GEN_OK: all are. */
gen_status gen_optimiser_say(const gen_optimiser *o, const gen_look *l);
/* The arrays that are saved were written. */
gen_status gen_optimiser_loaded(gen_optimiser *o);

#endif
