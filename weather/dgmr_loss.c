/* SPDX-License-Identifier: Apache-2.0
 *
 * DGMR's regulariser and the batch of real and generated sequences (reference 5.6).
 */
#include "weather/dgmr_loss.h"

#include "libgen/graph/op.h"

enum { FIRST_AXIS = 1u << 0 };

static gen_node *masked(gen_graph *g, gen_node *x, gen_node *mask)
{
    return mask ? gen_mul(g, x, mask) : x;
}

gen_node *gen_dgmr_pair(gen_graph *g, gen_node *context, gen_node *target, gen_node *generated,
                        gen_node *mask)
{
    gen_node *real[2] = { context, masked(g, target, mask) };
    gen_node *made[2] = { context, masked(g, generated, mask) };
    gen_node *pair[2] = { gen_concat(g, 1, real, 2), gen_concat(g, 1, made, 2) };
    return gen_concat(g, 0, pair, 2);
}

void gen_dgmr_split(gen_graph *g, gen_node *scores, gen_node **real, gen_node **generated)
{
    int64_t n = gen_node_shape(scores).dim[0] / 2;
    *real = gen_slice(g, scores, 0, 0, n);
    *generated = gen_slice(g, scores, 0, n, n);
}

gen_node *gen_dgmr_cell_weight(gen_graph *g, gen_node *target, gen_dgmr_weight kind)
{
    gen_node *y = gen_stop_gradient(g, target);
    gen_node *limit = gen_fill(g, GEN_SHAPE(1), 24);
    switch (kind) {
    case GEN_DGMR_WEIGHT_PAPER:
        return gen_min(g, gen_affine(g, y, 1, 1), limit);
    case GEN_DGMR_WEIGHT_CLIP:
        return gen_clamp(g, y, 0, 24);
    case GEN_DGMR_WEIGHT_LITERAL_MAX:
        return gen_max(g, gen_affine(g, y, 1, 1), limit);
    }
    return gen_graph_fail(g, "dgmr", "no weight of cells has number %d", (int)kind);
}

/* What a cell's distance is multiplied with: mask * w(target) / cells. At least one cell, so that a
 * batch without any has no loss. */
static gen_node *share(gen_graph *g, gen_node *target, gen_node *mask, gen_node *cells,
                       gen_dgmr_weight kind)
{
    gen_node *weight = gen_dgmr_cell_weight(g, target, kind);
    if (!cells && !mask)
        return gen_affine(g, weight, 1.0 / (double)gen_shape_count(gen_node_shape(target)), 0);
    if (!cells)
        cells = gen_sum(g, gen_reshape(g, mask, GEN_SHAPE(-1)), FIRST_AXIS);
    cells = gen_max(g, cells, gen_fill(g, GEN_SHAPE(1), 1));
    return gen_div(g, masked(g, weight, mask), cells);
}

gen_node *gen_dgmr_cell_loss(gen_graph *g, gen_node *mean, gen_node *target, gen_node *mask,
                             gen_node *cells, gen_dgmr_weight kind)
{
    if (gen_graph_failed(g))
        return NULL;
    gen_node *distance = gen_abs(g, gen_sub(g, mean, target));
    distance = gen_mul(g, distance, share(g, target, mask, cells, kind));
    return gen_sum(g, gen_reshape(g, distance, GEN_SHAPE(-1)), FIRST_AXIS);
}

gen_node *gen_dgmr_cell_slope(gen_graph *g, gen_node *mean, gen_node *target, gen_node *mask,
                              gen_node *cells, gen_dgmr_weight kind)
{
    if (gen_graph_failed(g))
        return NULL;
    gen_node *sign = gen_sub(g, gen_greater(g, mean, target), gen_greater(g, target, mean));
    return gen_mul(g, sign, share(g, target, mask, cells, kind));
}
