/* SPDX-License-Identifier: Apache-2.0
 *
 * Softmax along one axis: y = exp(x - max x) / sum exp(x - max x).
 */
#include <math.h>

#include "libgen/ops/list.h"
#include "libgen/ops/shape_rules.h"

static gen_status softmax_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    const gen_softmax_attr *k = n->attr;
    gen_shape s = gen_node_shape(n->in[0]);
    char text[GEN_SHAPE_TEXT];
    GEN_TRY(gen_rule_float(n, 0, "x"));
    if (k->axis < 0 || k->axis >= s.rank)
        return gen_fail(GEN_EINVAL, "axis is %lld, expected 0 to %d for x %s", (long long)k->axis,
                        s.rank - 1, gen_shape_text(s, text));
    return gen_rule_same(n, shape, dtype);
}

/* dx = y * (dy - sum(dy * y)). */
static void softmax_grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                         gen_node *dx[])
{
    const gen_softmax_attr *k = n->attr;
    if (!needs[0])
        return;
    gen_node *sum = gen_sum(g, gen_mul(g, dy[0], n), 1u << k->axis);
    dx[0] = gen_mul(g, gen_sub(g, dy[0], sum), n);
}

/* One line of `size` values, `step` apart. */
static void line(const double *x, double *y, int64_t size, int64_t step)
{
    double top = -INFINITY, sum = 0;
    for (int64_t i = 0; i < size; i++)
        top = x[i * step] > top ? x[i * step] : top;
    for (int64_t i = 0; i < size; i++)
        sum += y[i * step] = exp(x[i * step] - top);
    for (int64_t i = 0; i < size; i++)
        y[i * step] /= sum;
}

static void softmax_ref(const gen_node *n, const double *const in[], double *const out[])
{
    const gen_softmax_attr *k = n->attr;
    gen_shape s = n->shape[0];
    int64_t outer = 1, size = s.dim[k->axis], inner = 1;
    for (int i = 0; i < k->axis; i++)
        outer *= s.dim[i];
    for (int i = (int)k->axis + 1; i < s.rank; i++)
        inner *= s.dim[i];
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++)
            line(in[0] + o * size * inner + i, out[0] + o * size * inner + i, size, inner);
}

static gen_cost softmax_cost(const gen_node *n)
{
    return (gen_cost){ .flops = 4.0 * (double)gen_shape_count(n->shape[0]) };
}

static const gen_option options[] = {
    { .type = GEN_OPT_INT,
      .name = "axis",
      .offset = offsetof(gen_softmax_attr, axis),
      .preset = -1 },
    { .type = GEN_OPT_END },
};

const gen_op gen_op_softmax = {
    .name = "softmax",
    .flags = GEN_OP_IN_PLACE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(gen_softmax_attr),
    .attrs = options,
    .infer = softmax_infer,
    .grad = softmax_grad,
    .ref = softmax_ref,
    .cost = softmax_cost,
};

gen_node *gen_softmax(gen_graph *g, gen_node *x, int axis)
{
    return gen_node_add(g, &gen_op_softmax, &(gen_softmax_attr){ .axis = axis }, &x, 1);
}
