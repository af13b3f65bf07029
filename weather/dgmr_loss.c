/* SPDX-License-Identifier: Apache-2.0
 *
 * DGMR's regulariser and the batch of real and generated sequences (reference 5.6).
 */
#include "weather/dgmr_loss.h"

#include "libgen/graph/op.h"

enum { FIRST_AXIS = 1u << 0 };

#define MOST_DRAWS 64

static gen_node *masked(gen_graph *g, gen_node *x, gen_node *mask)
{
    return mask ? gen_mul(g, x, mask) : x;
}

gen_node *gen_dgmr_repeat(gen_graph *g, gen_node *x, int64_t k)
{
    gen_node *copy[MOST_DRAWS];
    if (gen_graph_failed(g) || k == 1)
        return x;
    if (k < 1 || k > MOST_DRAWS)
        return gen_graph_fail(g, "dgmr", "%lld draws, expected 1 to %d", (long long)k, MOST_DRAWS);
    for (int64_t i = 0; i < k; i++)
        copy[i] = x;
    return gen_concat(g, 0, copy, (int)k);
}

/* How many draws of n sequences x holds. */
static int64_t draws_in(const gen_node *x, const gen_node *sequences)
{
    int64_t n = gen_node_shape(sequences).dim[0];
    return n > 0 ? gen_node_shape(x).dim[0] / n : 0;
}

gen_node *gen_dgmr_pair(gen_graph *g, gen_node *context, gen_node *target, gen_node *generated,
                        gen_node *mask)
{
    if (gen_graph_failed(g))
        return NULL;
    int64_t k = draws_in(generated, target);
    gen_node *seen = mask ? gen_dgmr_repeat(g, mask, k) : NULL;
    gen_node *real[2] = { context, masked(g, target, mask) };
    gen_node *made[2] = { gen_dgmr_repeat(g, context, k), masked(g, generated, seen) };
    gen_node *pair[2] = { gen_concat(g, 1, real, 2), gen_concat(g, 1, made, 2) };
    return gen_concat(g, 0, pair, 2);
}

void gen_dgmr_split(gen_graph *g, gen_node *scores, int64_t n, gen_node **real,
                    gen_node **generated)
{
    *real = gen_slice(g, scores, 0, 0, n);
    *generated = gen_slice(g, scores, 0, n, gen_node_shape(scores).dim[0] - n);
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
    case GEN_DGMR_WEIGHT_EVEN:
        return gen_affine(g, y, 0, 1);
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

/* ---- all draws ------------------------------------------------------------------------------- */

#define FAIR 0.95 /* of the almost fair CRPS */
#define CORNER                                                                                     \
    0.01f /* mm/h: |x| is round below it, so that a draw computed twice is at no distance          \
             from itself, and dry draws are not pushed by rounding errors */

/* The sign of x, linear within the corner. */
static gen_node *sign(gen_graph *g, gen_node *x)
{
    return gen_clamp(g, gen_affine(g, x, 1.0 / (double)CORNER, 0), -1, 1);
}

static gen_node *draw(gen_graph *g, gen_node *draws, int64_t i, int64_t n)
{
    return gen_slice(g, draws, 0, i * n, n);
}

static gen_node *total(gen_graph *g, gen_node *x)
{
    return gen_sum(g, gen_reshape(g, x, GEN_SHAPE(-1)), FIRST_AXIS);
}

/* Of one draw's mean distance from the target, and from the other draws. */
static double pair_share(int64_t draws)
{
    double m = (double)draws;
    return FAIR / (m - 1) + (1 - FAIR) / m;
}

/* share * (mean |x - y| - pairs / 2), of all draws, [1]. */
static gen_node *crps_value(gen_graph *g, const gen_dgmr_hold *hold, gen_node *draws,
                            gen_node *target, gen_node *share_of)
{
    int64_t m = hold->draws, n = gen_node_shape(target).dim[0];
    gen_node *sum = NULL;
    for (int64_t i = 0; i < m; i++) {
        gen_node *x = draw(g, draws, i, n);
        gen_node *d = gen_abs(g, gen_sub(g, x, target));
        sum = sum ? gen_add(g, sum, d) : d;
        for (int64_t j = 0; j < i; j++) {
            gen_node *between = gen_abs(g, gen_sub(g, x, draw(g, draws, j, n)));
            sum = gen_add(g, sum, gen_affine(g, between, -pair_share(m), 0));
        }
    }
    return total(g, gen_mul(g, gen_affine(g, sum, 1.0 / (double)m, 0), share_of));
}

/* Its gradient by each of the draws in `own`, times M, without the share. */
static gen_node *crps_slope(gen_graph *g, const gen_dgmr_hold *hold, gen_node *own, gen_node *draws,
                            gen_node *target)
{
    int64_t n = gen_node_shape(target).dim[0], k = draws_in(own, target);
    gen_node *slope = sign(g, gen_sub(g, own, gen_dgmr_repeat(g, target, k)));
    for (int64_t i = 0; i < hold->draws; i++) {
        gen_node *other = gen_dgmr_repeat(g, draw(g, draws, i, n), k);
        gen_node *between = sign(g, gen_sub(g, own, other));
        slope = gen_add(g, slope, gen_affine(g, between, -pair_share(hold->draws), 0));
    }
    return slope;
}

/* A node of value `value` whose gradient by own is slope / k. */
static gen_node *with_slope(gen_graph *g, gen_node *value, gen_node *own, gen_node *slope,
                            int64_t k)
{
    gen_node *line = total(g, gen_mul(g, own, gen_stop_gradient(g, slope)));
    line = gen_affine(g, gen_sub(g, line, gen_stop_gradient(g, line)), 1.0 / (double)k, 0);
    return gen_add(g, gen_stop_gradient(g, value), line);
}

static gen_node *hold_mean(gen_graph *g, const gen_dgmr_hold *hold, gen_node *own, gen_node *draws,
                           gen_node *target, gen_node *mask, gen_node *cells)
{
    int64_t k = draws_in(own, target);
    gen_node *mean = gen_reshape(g, draws, GEN_SHAPE(hold->draws, -1));
    mean = gen_reshape(g, gen_mean(g, mean, FIRST_AXIS), gen_node_shape(target));
    gen_node *value = gen_dgmr_cell_loss(g, mean, target, mask, cells, hold->weight);
    gen_node *slope = gen_dgmr_cell_slope(g, mean, target, mask, cells, hold->weight);
    return with_slope(g, value, own, gen_dgmr_repeat(g, slope, k), k);
}

/* Averages over f x f cells of [B,T,H,W,1]. */
static gen_node *averaged(gen_graph *g, gen_node *x, int64_t f)
{
    if (gen_graph_failed(g) || f == 1)
        return x;
    gen_shape s = gen_node_shape(x);
    x = gen_reshape(g, x, GEN_SHAPE(s.dim[0] * s.dim[1], s.dim[2], s.dim[3], 1));
    x = gen_avg_pool(g, x, &(gen_pool_attr){ .kernel = { f, f } });
    return gen_reshape(g, x, GEN_SHAPE(s.dim[0], s.dim[1], s.dim[2] / f, s.dim[3] / f, 1));
}

static gen_node *hold_crps(gen_graph *g, const gen_dgmr_hold *hold, gen_node *own, gen_node *draws,
                           gen_node *target, gen_node *mask, gen_node *cells, int64_t f)
{
    int64_t k = draws_in(own, target);
    const double area = (double)(f * f);
    gen_node *rain = hold->clamp ? gen_relu(g, own) : own, *led = f > 1 ? rain : own;
    draws = hold->clamp ? gen_relu(g, draws) : draws;
    rain = averaged(g, rain, f);
    led = averaged(g, led, f); /* what the slope, that of rain, is applied to */
    draws = gen_stop_gradient(g, averaged(g, draws, f));
    target = averaged(g, target, f);
    if (mask && f > 1)
        mask = gen_greater(g, averaged(g, mask, f), gen_fill(g, GEN_SHAPE(1), 1 - 0.5 / area));
    if (cells)
        cells = gen_affine(g, cells, 1 / area, 0);
    gen_node *part = share(g, target, mask, cells, hold->weight);
    gen_node *value = crps_value(g, hold, draws, target, part);
    gen_node *slope = crps_slope(g, hold, rain, draws, target);
    return with_slope(g, value, led, gen_mul(g, slope, gen_dgmr_repeat(g, part, k)), k);
}

gen_node *gen_dgmr_hold_loss(gen_graph *g, const gen_dgmr_hold *hold, gen_node *own,
                             gen_node *draws, gen_node *target, gen_node *mask, gen_node *cells)
{
    if (gen_graph_failed(g))
        return NULL;
    if (hold->kind == GEN_DGMR_REGULARISE_MEAN)
        return hold_mean(g, hold, own, draws, target, mask, cells);
    if (hold->draws < 2)
        return gen_graph_fail(g, "dgmr", "the CRPS needs 2 draws or more, found %lld",
                              (long long)hold->draws);
    gen_node *sum = hold_crps(g, hold, own, draws, target, mask, cells, 1);
    for (int64_t i = 1; i <= hold->octaves; i++)
        sum = gen_add(g, sum, hold_crps(g, hold, own, draws, target, mask, cells, 1 << i));
    return sum;
}

gen_node *gen_dgmr_calm(gen_graph *g, gen_node *x, gen_node *context, double rate)
{
    if (gen_graph_failed(g))
        return NULL;
    int64_t n = gen_node_shape(context).dim[0];
    gen_node *mean = gen_mean(g, gen_reshape(g, context, GEN_SHAPE(n, -1)), 1u << 1);
    gen_node *scale = gen_reciprocal(g, gen_affine(g, gen_stop_gradient(g, mean), 1 / rate, 1));
    scale = gen_reshape(g, scale, GEN_SHAPE(n, 1, 1, 1, 1));
    return gen_mul(g, x, gen_dgmr_repeat(g, scale, draws_in(x, context)));
}
