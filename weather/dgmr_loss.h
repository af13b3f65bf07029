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
    GEN_DGMR_WEIGHT_PAPER,      /* min(y+1, 24) */
    GEN_DGMR_WEIGHT_CLIP,       /* min(max(y, 0), 24): none where it is dry */
    GEN_DGMR_WEIGHT_LITERAL_MAX /* max(y+1, 24) */
} gen_dgmr_weight;
/* The choices of an option, in this order. */
#define GEN_DGMR_WEIGHT_CHOICES "paper|clip|literal_max"

/* One batch for the discriminators: context [N,C,H,W,1], target, generated, mask [N,T,H,W,1] ->
 * [2N,C+T,H,W,1], first the N real sequences, then the N generated ones. What was not measured is 0
 * in both, so that missing cells do not tell them apart. mask NULL: all was measured. */
GEN_API gen_node *gen_dgmr_pair(gen_graph *g, gen_node *context, gen_node *target,
                                gen_node *generated, gen_node *mask);

/* The two halves of the scores [2N,1] of such a batch: [N,1] each. */
GEN_API void gen_dgmr_split(gen_graph *g, gen_node *scores, gen_node **real, gen_node **generated);

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

#endif
