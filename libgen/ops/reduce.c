/* SPDX-License-Identifier: Apache-2.0
 *
 * Reductions: sum, mean and max over a set of axes (kept with size 1), and sum_to, the adjoint of
 * broadcasting. The gradient of a sum is a broadcast, and the reverse.
 */
#include <math.h>

#include "libgen/ops/list.h"
#include "libgen/ops/shape_rules.h"
#include "libgen/ops/strides.h"

static gen_status axes_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    const gen_axes_attr *k = n->attr;
    gen_shape s = gen_node_shape(n->in[0]);
    char text[GEN_SHAPE_TEXT];
    GEN_TRY(gen_rule_float(n, 0, "x"));
    if (k->axes < 0 || k->axes >> s.rank)
        return gen_fail(GEN_EINVAL, "axes are the bits of 0x%llx, expected bits below %d for x %s",
                        (unsigned long long)k->axes, s.rank, gen_shape_text(s, text));
    for (int i = 0; i < s.rank; i++)
        if (k->axes >> i & 1)
            s.dim[i] = 1;
    shape[0] = s;
    dtype[0] = gen_node_dtype(n->in[0]);
    return GEN_OK;
}

/* Cells of x for one cell of the result. */
static int64_t window(const gen_node *n)
{
    return gen_shape_count(gen_node_shape(n->in[0])) / gen_shape_count(n->shape[0]);
}

static gen_cost reduce_cost(const gen_node *n)
{
    return (gen_cost){ .flops = (double)gen_shape_count(gen_node_shape(n->in[0])) };
}

/* For every x, `offset` of its cell in the result. */
static gen_walk walk(const gen_node *n)
{
    gen_walk w = { .shape = gen_node_shape(n->in[0]) };
    gen_steps_under(n->shape[0], w.shape, w.step[0]);
    return w;
}

static void sum_ref(const gen_node *n, const double *const in[], double *const out[])
{
    int64_t count = gen_shape_count(gen_node_shape(n->in[0]));
    int64_t cells = gen_shape_count(n->shape[0]);
    gen_walk w = walk(n);
    for (int64_t i = 0; i < cells; i++)
        out[0][i] = 0;
    for (int64_t i = 0; i < count; i++, gen_walk_next(&w))
        out[0][w.offset[0]] += in[0][i];
}

static void mean_ref(const gen_node *n, const double *const in[], double *const out[])
{
    int64_t cells = gen_shape_count(n->shape[0]);
    double size = (double)window(n);
    sum_ref(n, in, out);
    for (int64_t i = 0; i < cells; i++)
        out[0][i] /= size;
}

/* A NaN stays. */
static void max_ref(const gen_node *n, const double *const in[], double *const out[])
{
    int64_t count = gen_shape_count(gen_node_shape(n->in[0]));
    int64_t cells = gen_shape_count(n->shape[0]);
    gen_walk w = walk(n);
    for (int64_t i = 0; i < cells; i++)
        out[0][i] = -INFINITY;
    for (int64_t i = 0; i < count; i++, gen_walk_next(&w)) {
        double *y = &out[0][w.offset[0]];
        *y = in[0][i] > *y || isnan(in[0][i]) ? in[0][i] : *y;
    }
}

static void sum_grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                     gen_node *dx[])
{
    if (needs[0])
        dx[0] = gen_broadcast(g, dy[0], gen_node_shape(n->in[0]));
}

static void mean_grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                      gen_node *dx[])
{
    gen_node *share = gen_affine(g, dy[0], 1.0 / (double)window(n), 0);
    if (needs[0])
        dx[0] = gen_broadcast(g, share, gen_node_shape(n->in[0]));
}

/* Cells equal to the largest share its gradient. */
static void max_grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                     gen_node *dx[])
{
    const gen_axes_attr *k = n->attr;
    if (!needs[0])
        return;
    gen_node *is_top = gen_affine(g, gen_greater(g, n, n->in[0]), -1, 1);
    gen_node *share = gen_div(g, dy[0], gen_sum(g, is_top, (unsigned)k->axes));
    dx[0] = gen_mul(g, is_top, share);
}

static const gen_option options[] = {
    { .type = GEN_OPT_INT, .name = "axes", .offset = offsetof(gen_axes_attr, axes) },
    { .type = GEN_OPT_END },
};

#define AXES_OP(op, ref_fn, grad_fn)                                                               \
    const gen_op gen_op_##op = {                                                                   \
        .name = #op,                                                                               \
        .min_in = 1,                                                                               \
        .max_in = 1,                                                                               \
        .n_out = 1,                                                                                \
        .attr_size = sizeof(gen_axes_attr),                                                        \
        .attrs = options,                                                                          \
        .infer = axes_infer,                                                                       \
        .grad = grad_fn,                                                                           \
        .ref = ref_fn,                                                                             \
        .cost = reduce_cost,                                                                       \
    };
AXES_OP(sum, sum_ref, sum_grad)
AXES_OP(mean, mean_ref, mean_grad)
AXES_OP(max_over, max_ref, max_grad)

static gen_node *reduce(gen_graph *g, const gen_op *op, gen_node *x, unsigned axes)
{
    if (x && axes == 0)
        return x;
    return gen_node_add(g, op, &(gen_axes_attr){ .axes = axes }, &x, 1);
}

gen_node *gen_sum(gen_graph *g, gen_node *x, unsigned axes)
{
    return reduce(g, &gen_op_sum, x, axes);
}

gen_node *gen_mean(gen_graph *g, gen_node *x, unsigned axes)
{
    return reduce(g, &gen_op_mean, x, axes);
}

gen_node *gen_max_over(gen_graph *g, gen_node *x, unsigned axes)
{
    return reduce(g, &gen_op_max_over, x, axes);
}

/* ---- sum_to -------------------------------------------------------------------------------- */

static gen_status sum_to_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    gen_shape to = gen_shape_from_attr(n->attr), from = gen_node_shape(n->in[0]);
    int64_t step[GEN_MAX_RANK];
    char a[GEN_SHAPE_TEXT], b[GEN_SHAPE_TEXT];
    GEN_TRY(gen_rule_float(n, 0, "x"));
    if (!gen_steps_under(to, from, step))
        return gen_fail(GEN_EINVAL, "x is %s, expected a shape that %s broadcasts to",
                        gen_shape_text(from, a), gen_shape_text(to, b));
    shape[0] = to;
    dtype[0] = gen_node_dtype(n->in[0]);
    return GEN_OK;
}

const gen_op gen_op_sum_to = {
    .name = "sum_to",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(gen_shape_attr),
    .infer = sum_to_infer,
    .grad = sum_grad,
    .ref = sum_ref,
    .cost = reduce_cost,
};

gen_node *gen_sum_to(gen_graph *g, gen_node *x, gen_shape shape)
{
    gen_shape_attr attr = gen_shape_to_attr(shape);
    if (x && gen_shape_equal(gen_node_shape(x), shape))
        return x;
    return gen_node_add(g, &gen_op_sum_to, &attr, &x, 1);
}
