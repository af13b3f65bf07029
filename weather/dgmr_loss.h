/* SPDX-License-Identifier: Apache-2.0
 *
 * What DGMR's training adds to the hinge losses (libgen/train/losses.h): sequences for the
 * discriminators, and the regulariser that holds the mean of several draws to the observation
 * (reference 5.6). The loss of the generator is -mean S - mean T + lambda * regulariser, lambda 20;
 * that of the discriminators hinge(S) + hinge(T).
 *
 * Fields are [N,T,H,W,1] mm/h. mask is 1 where the target was measured, 0 elsewhere, and of the
 * target's shape; the target is a finite number everywhere (0 where it was not measured).
 *
 * Several draws in two passes, so that memory does not grow with them: first their mean, without
 * gradients; then, one draw at a time, the gradient of its adversarial term plus lambda times
 * gen_dgmr_cell_slope / draws.
 */
#ifndef LIBGEN_WEATHER_DGMR_LOSS_H
#define LIBGEN_WEATHER_DGMR_LOSS_H

#include <libgen/ops.h>

/* Weight of a cell by its observed rain y. The paper prints max(y+1, 24) and describes a weight
 * clipped at 24; the released pseudo-code clips y itself; openclimatefix took the print at its word
 * in 2025, which weighs all cells below 23 mm/h alike. */
typedef enum gen_dgmr_weight {
    GEN_DGMR_WEIGHT_PAPER,       /* min(y+1, 24) */
    GEN_DGMR_WEIGHT_CLIP,        /* min(max(y, 0), 24): none where it is dry */
    GEN_DGMR_WEIGHT_LITERAL_MAX, /* max(y+1, 24) */
    GEN_DGMR_WEIGHT_EVEN         /* 1 */
} gen_dgmr_weight;
/* The choices of an option, in this order. */
#define GEN_DGMR_WEIGHT_CHOICES "paper|clip|literal_max|even"

/* k copies of x [N,...], one after the other: [k*N,...]. Where there are k draws for each of N
 * sequences, all of the first draw come first. */
GEN_API gen_node *gen_dgmr_repeat(gen_graph *g, gen_node *x, int64_t k);

/* One batch for the discriminators: context [N,C,H,W,1], target, mask [N,T,H,W,1], k draws
 * generated [k*N,T,H,W,1] -> [(1+k)N,C+T,H,W,1], first the N real sequences, then the generated
 * ones. What was not measured is 0 in both, so that missing cells do not tell them apart. mask
 * NULL: all was measured. */
GEN_API gen_node *gen_dgmr_pair(gen_graph *g, gen_node *context, gen_node *target,
                                gen_node *generated, gen_node *mask);

/* The scores [(1+k)N,1] of such a batch: [N,1] and [k*N,1]. */
GEN_API void gen_dgmr_split(gen_graph *g, gen_node *scores, int64_t n, gen_node **real,
                            gen_node **generated);

/* w(target), no gradient. */
GEN_API gen_node *gen_dgmr_cell_weight(gen_graph *g, gen_node *target, gen_dgmr_weight kind);

/* sum(mask * w(target) * |mean - target|) / cells, [1]. `mean` is that of the draws; mask NULL: all
 * was measured. `cells` [1] is the number of measured cells; NULL: those of this batch. With a
 * batch in several pieces it is that of the whole batch, and their sum is the whole batch's loss.
 */
GEN_API gen_node *gen_dgmr_cell_loss(gen_graph *g, gen_node *mean, gen_node *target, gen_node *mask,
                                     gen_node *cells, gen_dgmr_weight kind);

/* Its gradient with respect to `mean`, of mean's shape; 0 where mean and target are equal. */
GEN_API gen_node *gen_dgmr_cell_slope(gen_graph *g, gen_node *mean, gen_node *target,
                                      gen_node *mask, gen_node *cells, gen_dgmr_weight kind);

/* What holds the draws to the observation. */
typedef enum gen_dgmr_regulariser {
    /* The paper's: the distance of their mean. Draws may agree with each other. */
    GEN_DGMR_REGULARISE_MEAN,
    /* The continuous ranked probability score of the ensemble (Gneiting and Raftery 2007), which
     * is least where the draws have the distribution of the observation: it trains their spread
     * too. In the 'almost fair' form of Lang et al. 2024 (AIFS-CRPS): 0.95 fair + 0.05 standard. */
    GEN_DGMR_REGULARISE_CRPS
} gen_dgmr_regulariser;
#define GEN_DGMR_REGULARISER_CHOICES "mean|crps"

typedef struct gen_dgmr_hold {
    gen_dgmr_regulariser kind;
    gen_dgmr_weight weight;
    int64_t draws; /* M in all; CRPS: at least 2 */
    bool clamp;    /* CRPS: of rain below 0 as 0, as forecasts show it. Below 0 a cell has the slope
                      that it would have at 0, so that it is still drawn up where it rained */
    int64_t octaves; /* CRPS: also of fields averaged over 2, 4 ... 2^octaves cells a side, where
                        all of these were measured; the sum of all */
} gen_dgmr_hold;

/* The regulariser of `own` [k*N,T,H,W,1], k of the M draws of each sequence, given all of them,
 * draws [M*N,T,H,W,1], as numbers (a first pass, or gen_stop_gradient of own where k = M): its
 * value is that of all draws; its gradient that by own, times M/k, so that the mean over the M/k
 * groups has both right. cells as in gen_dgmr_cell_loss. */
GEN_API gen_node *gen_dgmr_hold_loss(gen_graph *g, const gen_dgmr_hold *hold, gen_node *own,
                                     gen_node *draws, gen_node *target, gen_node *mask,
                                     gen_node *cells);

/* x [k*N,T,H,W,1] times rate / (rate + mean rain of the context [N,C,H,W,1]) of its sequence.
 * Of fields that are scaled so the CRPS is scaled so, and the few sequences of
 * heavy rain do not drown the others; it knows the context only, so the CRPS stays proper. */
GEN_API gen_node *gen_dgmr_calm(gen_graph *g, gen_node *x, gen_node *context, double rate);

#endif
