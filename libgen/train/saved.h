/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of what a checkpoint holds, for its writer and reader.
 */
#ifndef LIBGEN_TRAIN_SAVED_H
#define LIBGEN_TRAIN_SAVED_H

#include <libgen/train.h>

#include "libgen/base/alloc.h"
#include "libgen/base/far.h"
#include "libgen/base/map.h"

typedef struct gen_saved_item {
    const char *name; /* in the arena */
    gen_tensor value;
    const gen_far *far; /* where its data lie */
} gen_saved_item;

typedef struct gen_saved_count {
    const char *name;
    int64_t *value;
} gen_saved_count;

struct gen_saved {
    gen_arena arena;
    gen_map names;
    gen_saved_item *tensor;
    gen_saved_count *counter;
    gen_optimiser **optimiser;
    gen_params **params;
    uint64_t n_tensors, n_counters, n_optimisers, n_params;
    uint64_t tensor_room, counter_room, optimiser_room, params_room;
};

/* Bytes of the file of tensors, at most. */
uint64_t gen_saved_bytes(const gen_saved *s);
/* Whether `file` has exactly these tensors; EMODEL says what differs first. */
gen_status gen_saved_matches(const gen_saved *s, const char *file);
gen_status gen_saved_write(const gen_saved *s, const char *file);
/* Fills the tensors; counters are the caller's. */
gen_status gen_saved_read(gen_saved *s, const char *file);

#endif
