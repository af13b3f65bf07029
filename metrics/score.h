/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of this folder share: the accumulator as two flat arrays, so that merging, keeping
 * and restoring it are one loop each, and where each score's numbers lie in them.
 */
#ifndef LIBGEN_METRICS_SCORE_H
#define LIBGEN_METRICS_SCORE_H

#include <math.h>

#include <libgen/metrics.h>

#include "libgen/base/alloc.h"
#include "libgen/base/pool.h"
#include "metrics/kernels/score.h"

/* numerator / denominator, unknown where that is no finite number. */
gen_number gen_ratio(double numerator, double denominator);

/* A sum and what it lost by rounding: 106 bits, so that the order of additions does not show. */
typedef struct gen_sum {
    double value, lost;
} gen_sum;

static inline void gen_sum_add(gen_sum *s, double v)
{
    double sum = s->value + v, back = sum - s->value;
    double lost = s->lost + ((s->value - (sum - back)) + (v - back));
    s->value = sum + lost;
    s->lost = lost - (s->value - sum);
}

static inline void gen_sum_merge(gen_sum *s, const gen_sum *other)
{
    gen_sum_add(s, other->value);
    gen_sum_add(s, other->lost);
}

/* Counts that every lead time begins with. */
enum {
    GEN_COUNT_CASES,
    GEN_COUNT_CELLS,
    GEN_COUNT_MISSING,
    GEN_COUNT_FILLED,
    GEN_COUNT_PSD,
    GEN_COUNT_FIXED
};

/* Sums of the FSS, a threshold and window: over cells of f*f and f*o, in counts of cells. */
enum {
    GEN_FSS_OO,
    GEN_FSS_MEMBERS_FF,
    GEN_FSS_FO,
    GEN_FSS_MEAN_FF,
    GEN_FSS_MEAN_FO,
    GEN_FSS_SHARES_FF,
    GEN_FSS_SUMS
};

/* Fields whose spectrum is summed. */
enum { GEN_PSD_OBSERVED, GEN_PSD_MEMBERS, GEN_PSD_MEAN, GEN_PSD_FIELDS };

/* Sums of a pooled CRPS; maxima come after averages. */
enum { GEN_POOLED_ABS, GEN_POOLED_APART, GEN_POOLED_PYSTEPS, GEN_POOLED_SUMS };

/* Where things lie in the arrays of one lead time. joint [thresholds][kinds][2][members+1]: cells
 * by (event observed, members with the event); kind 0 has the events of contingency tables, the
 * last kind those of probabilities. tables [thresholds][4]: of the ensemble mean. ranks
 * [members+1][members+1]: cells by (members below, members equal). */
typedef struct gen_score_layout {
    int kinds;
    int64_t psd;                                        /* length of a spectrum */
    int64_t pooled_cells, tables, joint, ranks, counts; /* into counts; their number */
    int64_t pooled, fss, spectra, sums;                 /* into sums; their number */
} gen_score_layout;

struct gen_score {
    gen_score_options o;
    const gen_score_loops *loops;
    gen_pool *pool;
    gen_score_layout at;
    int64_t *count; /* [leads][at.counts] */
    gen_sum *sum;   /* [leads][at.sums] */

    int32_t (*network)[2]; /* [comparators] that sort the members */
    int64_t comparators;
    struct gen_cells_scratch *cells; /* one a thread */
    double *part;                    /* [pieces][GEN_SUMS] */
    float *mean;                     /* [h,w] ensemble mean */
    uint8_t *valid;                  /* [h,w] */
    struct gen_pooled *pooled;
    struct gen_fss *fss;
    struct gen_spectrum *spectrum;
};

/* What the pieces of one case are given. */
typedef struct gen_case {
    gen_score *s;
    int64_t lead;
    uint64_t digest; /* of the observation, where ties are drawn */
    const float *observation;
    const float *const *members;
    int64_t *count; /* of the lead time */
    gen_sum *sum;
} gen_case;

static inline bool gen_score_does(const gen_score *s, unsigned part)
{
    return (s->o.parts & part) != 0;
}

static inline int64_t gen_score_cells(const gen_score *s)
{
    return s->o.height * s->o.width;
}

/* A value is an event of `threshold` where it is above this. */
float gen_event_bound(double threshold, bool at_least);

/* cells.c: moments, CRPS, events, ranks of each cell; fills s->mean and s->valid. */
gen_status gen_cells_create(gen_score *s);
void gen_cells_free(gen_score *s);
void gen_cells_add(gen_case *c);

/* The sums alone, of n cells that need not be those of the case, added to `sum` [GEN_SUMS]; returns
 * the number of valid cells. */
int64_t gen_cells_crps(gen_case *c, gen_sum *sum, const float *observation,
                       const float *const *members, int64_t n);

/* pooled.c: CRPS of pooled fields. */
gen_status gen_pooled_create(gen_score *s);
void gen_pooled_free(gen_score *s);
void gen_pooled_add(gen_case *c);

/* fss.c */
gen_status gen_fss_create(gen_score *s);
void gen_fss_free(gen_score *s);
void gen_fss_add(gen_case *c);

/* spectrum.c */
gen_status gen_spectrum_create(struct gen_spectrum **out, int64_t h, int64_t w, int64_t fields,
                               int threads);
void gen_spectrum_free(struct gen_spectrum **p);
void gen_spectrum_add(gen_case *c);

#endif
