/* SPDX-License-Identifier: Apache-2.0
 *
 * What a backend does in training besides running plans: sums of gradients, Adam, states of a step.
 * Everything that these kernels read and write, their tables too, is where the backend's kernels
 * have their data, at fixed addresses. On a device a call only queues.
 *
 * `bad` is a word that says that a step is not to be taken: looking sets it, taking the step does
 * nothing where it is set, so that a bad step leaves no trace before the host has seen it.
 *
 * The arithmetic of states is here, for all backends. Part of device code too: C and C++.
 */
#ifndef LIBGEN_BACKENDS_TRAIN_H
#define LIBGEN_BACKENDS_TRAIN_H

#include <float.h>
#include <math.h>
#include <stdint.h>

#include "libgen/base/fail.h"

/* Constants of one step of Adam. */
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

/* One parameter. Kernels of the CPU are given a stretch of it. */
typedef struct gen_adam_arrays {
    float *w, *v, *sum;
    float *m;       /* NULL: beta1 is 0, m is the gradient itself */
    float *average; /* NULL: none */
    uint16_t *bf16; /* NULL: none */
    const float *gradient; /* of a micro-batch, where the plan leaves it; NULL: 0 */
} gen_adam_arrays;

/* Elements at ... at+n-1 of a parameter; cut by size only. */
typedef struct gen_adam_piece {
    int32_t slot;
    int32_t n;
    int64_t at;
} gen_adam_piece;

typedef struct gen_adam_table {
    const gen_adam_arrays *slot;
    const gen_adam_piece *piece;
    int32_t pieces;
} gen_adam_table;

/* One update of a state (<libgen/nn.h>, gen_update) in a step of several micro-batches. */
typedef struct gen_state_arrays {
    const float *mean_of, *variance_of; /* of a micro-batch, where the plan leaves them */
    double *mean;   /* [all], of what was added */
    double *square; /* [all], sum over micro-batches: variance, and square of the distance of
                       its mean; NULL: the state follows the mean */
    float *value;   /* [size] */
    double momentum;
    int64_t size;  /* elements of the state */
    int64_t all;   /* groups * size: elements of a statistic */
    int64_t count; /* values behind an element of one micro-batch's variance */
    int32_t first; /* 1: no update of the same value is before it in the table */
    int32_t next;  /* the next update of the same value; -1: none */
} gen_state_arrays;

typedef struct gen_state_table {
    const gen_state_arrays *state;
    const int64_t *added; /* micro-batches, the present one included */
    int32_t n;
} gen_state_table;

struct gen_backend;

typedef struct gen_train_kernels {
    /* sum += gradient */
    gen_status (*add)(struct gen_backend *b, const gen_adam_table *t);
    /* *bad = 1 unless every |sum| < limit. */
    gen_status (*below)(struct gen_backend *b, const gen_adam_table *t, float limit, int32_t *bad);
    /* A step; sums are 0 then. bad NULL: it is taken. */
    gen_status (*step)(struct gen_backend *b, const gen_adam_table *t, const gen_adam_step *k,
                       const int32_t *bad);
    /* w and average exchanged. */
    gen_status (*swap)(struct gen_backend *b, const gen_adam_table *t);

    gen_status (*join)(struct gen_backend *b, const gen_state_table *t);
    /* *bad = 1 unless all that `commit` would write is finite. */
    gen_status (*look)(struct gen_backend *b, const gen_state_table *t, int32_t *bad);
    /* Values follow what was added, in the table's order; nothing is added then. */
    gen_status (*commit)(struct gen_backend *b, const gen_state_table *t, const int32_t *bad);

    /* *bad = 1 unless all n values are finite. */
    gen_status (*finite)(struct gen_backend *b, const float *x, int64_t n, int32_t *bad);
} gen_train_kernels;

/* ---- states, element by element -------------------------------------------------------------- */

#ifndef GEN_TRAIN_INLINE
#define GEN_TRAIN_INLINE static inline
#endif

/* Statistics of micro-batches are joined as they come (Welford's and Chan's way: nothing is lost
 * where a mean is large beside its variance), in double: the mean of equal floats is that float. */
GEN_TRAIN_INLINE void gen_state_join(const gen_state_arrays *s, int64_t k, int64_t added)
{
    double x = (double)s->mean_of[k], off = x - s->mean[k];
    s->mean[k] += off / (double)added;
    if (s->square)
        s->square[k] += (double)s->variance_of[k] + off * (x - s->mean[k]);
}

/* What element `e` of the state becomes; groups one after the other. */
GEN_TRAIN_INLINE double gen_state_next(const gen_state_arrays *s, int64_t e, int64_t added)
{
    double n = (double)s->count * (double)added, next = (double)s->value[e];
    double unbiased = n > 1 ? n / (n - 1) : 1;
    for (int64_t k = e; k < s->all; k += s->size) {
        double found = s->square ? s->square[k] / (double)added * unbiased : s->mean[k];
        next = s->momentum < 1 ? (1 - s->momentum) * next + s->momentum * found : found;
    }
    return next;
}

GEN_TRAIN_INLINE int gen_state_is_finite(double next)
{
    return fabs(next) <= (double)FLT_MAX;
}

GEN_TRAIN_INLINE void gen_state_commit(const gen_state_arrays *s, int64_t e, int64_t added)
{
    s->value[e] = (float)gen_state_next(s, e, added);
    for (int64_t k = e; k < s->all; k += s->size) {
        s->mean[k] = 0;
        if (s->square)
            s->square[k] = 0;
    }
}

#endif
