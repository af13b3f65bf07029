/* SPDX-License-Identifier: Apache-2.0
 *
 * Inner loops of the scores. A tile holds all members of GEN_TILE neighbouring cells, x
 * [k][GEN_TILE], so that each member is one row of lanes: sorting the members of a cell is
 * comparing rows.
 */
#ifndef LIBGEN_METRICS_KERNELS_SCORE_H
#define LIBGEN_METRICS_KERNELS_SCORE_H

#include <stdbool.h>
#include <stdint.h>

#include "libgen/backends/backend.h"

enum { GEN_TILE = 64, GEN_SUM_LANES = 8 };

/* Sums over cells, each in GEN_SUM_LANES lanes that are added at the end. e = x - y. */
enum {
    GEN_SUM_OBSERVED,
    GEN_SUM_FORECAST,    /* of the ensemble mean m */
    GEN_SUM_MEAN_ABS,    /* |m - y| */
    GEN_SUM_MEAN_SQUARE, /* (m - y)^2 */
    GEN_SUM_ABS,         /* sum over members of |e| */
    GEN_SUM_SQUARE,      /* sum over members of e^2 */
    GEN_SUM_VARIANCE,    /* of the members, unbiased */
    GEN_SUM_APART,       /* sum over i of (2i - k + 1) x_(i), i from 0: half the sum of |x - x'| */
    GEN_SUM_PYSTEPS,     /* CRPS as pysteps has it */
    GEN_SUMS
};

typedef struct gen_score_loops {
    /* A tile of cells from `at` on; `left` are left. valid[i] is 1 where y and every member are
     * finite; other cells, and those beyond the end, are 0 in x and y, and so add nothing to any
     * sum. */
    void (*load)(float *x, float *y, int32_t *valid, const float *observation,
                 const float *const *members, int64_t k, int64_t at, int64_t left);
    /* Comparators (a, b): rows a < b of x, the smaller goes to a. */
    void (*sort)(float *x, const int32_t (*network)[2], int64_t comparators);
    /* All sums but pysteps', of sorted members; mean [GEN_TILE] gets the ensemble mean. */
    void (*moments)(double (*sum)[GEN_SUM_LANES], float *mean, const float *x, const float *y,
                    int64_t k);
    void (*pysteps)(double *sum /* [GEN_SUM_LANES] */, const float *x, const float *y, int64_t k);
    /* count[i] = members of cell i above the threshold, of sorted members. */
    void (*above)(int32_t *count, const float *x, int64_t k, float threshold);
    /* Members less than y, and equal to y. */
    void (*rank)(int32_t *less, int32_t *equal, const float *x, const float *y, int64_t k);
    /* count[i] += 1 where x[i] > threshold and valid[i]; n cells. */
    void (*events)(uint32_t *count, const float *x, const uint8_t *valid, float threshold,
                   int64_t n);
    /* Counts in a box from two rows of a summed-area table [w+1]: columns [i-before, i+after];
     * both at most w. edge [3w+1] is scratch. */
    void (*box)(uint32_t *count, const uint32_t *top, const uint32_t *bottom, int64_t w,
                int64_t before, int64_t after, uint32_t *edge);
    /* out[0] = sum of f*f, out[1] = sum of f*o; the caller keeps them below 2^64. */
    void (*products)(uint64_t out[2], const uint32_t *f, const uint32_t *o, int64_t n);
    /* to[i] += x[i], and to[i] = max(to[i], x[i]). */
    void (*add)(double *to, const float *x, int64_t n);
    void (*largest)(float *to, const float *x, int64_t n);
} gen_score_loops;

const gen_score_loops *gen_score_loops_of(gen_isa isa);

#endif
