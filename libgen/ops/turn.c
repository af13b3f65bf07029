/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights turned round, [Cout,Cin,*k] -> [Cin,Cout,*k] with the taps in reverse: a convolution with
 * stride 1 by the turned weights is the adjoint of the one by the weights. Its own inverse and
 * adjoint. The plan makes these, so that gradients use what convolutions have.
 */
#include "libgen/ops/shape_rules.h"

static gen_status infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    gen_shape w = gen_node_shape(n->in[0]);
    char text[GEN_SHAPE_TEXT];
    if (w.rank < 3 || w.rank > 5)
        return gen_fail(GEN_EINVAL, "w is %s, expected [Cout,Cin,*k] with 1-3 spatial axes",
                        gen_shape_text(w, text));
    GEN_TRY(gen_rule_float(n, 0, "w"));
    *shape = w;
    shape->dim[0] = w.dim[1];
    shape->dim[1] = w.dim[0];
    *dtype = gen_node_dtype(n->in[0]);
    return GEN_OK;
}

static void grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                 gen_node *dx[])
{
    (void)n;
    if (needs[0])
        dx[0] = gen_turn(g, dy[0]);
}

static void ref(const gen_node *n, const double *const in[], double *const out[])
{
    gen_shape w = gen_node_shape(n->in[0]);
    int64_t cout = w.dim[0], cin = w.dim[1], taps = gen_shape_count(w) / (cout * cin);
    for (int64_t o = 0; o < cout; o++)
        for (int64_t c = 0; c < cin; c++)
            for (int64_t t = 0; t < taps; t++)
                out[0][(c * cout + o) * taps + taps - 1 - t] = in[0][(o * cin + c) * taps + t];
}

static gen_cost cost(const gen_node *n)
{
    (void)n;
    return (gen_cost){ 0 };
}

const gen_op gen_op_turn = {
    .name = "turn",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .keep_f32 = 1 << 0,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
};

gen_node *gen_turn(gen_graph *g, gen_node *w)
{
    return gen_node_add(g, &gen_op_turn, NULL, &w, 1);
}
