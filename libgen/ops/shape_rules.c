/* SPDX-License-Identifier: Apache-2.0
 *
 * Shape rules that several ops share.
 */
#include "libgen/ops/shape_rules.h"

#include <math.h>

gen_status gen_rule_image(gen_shape s, const char *what, int *axes)
{
    char text[GEN_SHAPE_TEXT];
    *axes = s.rank - 2;
    if (*axes < 1 || *axes > 3)
        return gen_fail(GEN_EINVAL, "%s is %s, expected [N,L,C], [N,H,W,C] or [N,D,H,W,C]", what,
                        gen_shape_text(s, text));
    for (int i = 1; i <= *axes; i++)
        if (s.dim[i] > INT32_MAX) /* so that sums and products of sizes cannot overflow */
            return gen_fail(GEN_EINVAL, "%s is %s, expected sizes below 2^31", what,
                            gen_shape_text(s, text));
    return GEN_OK;
}

gen_status gen_rule_float(const gen_node *n, int i, const char *what)
{
    gen_dtype t = gen_node_dtype(n->in[i]);
    if (!gen_dtype_is_float(t))
        return gen_fail(GEN_EINVAL, "%s is %s, expected a floating-point type", what,
                        gen_dtype_name(t));
    return GEN_OK;
}

gen_status gen_rule_vector(gen_shape s, int64_t size, const char *what)
{
    char text[GEN_SHAPE_TEXT];
    if (s.rank != 1 || s.dim[0] != size)
        return gen_fail(GEN_EINVAL, "%s is %s, expected [%lld]", what, gen_shape_text(s, text),
                        (long long)size);
    return GEN_OK;
}

gen_status gen_rule_same(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    shape[0] = gen_node_shape(n->in[0]);
    dtype[0] = gen_node_dtype(n->in[0]);
    return GEN_OK;
}

void gen_rule_triple(int64_t v[3], int axes, int64_t usual, int64_t rest)
{
    for (int i = 0; i < 3; i++) {
        if (i >= axes)
            v[i] = rest;
        else if (v[i] == 0)
            v[i] = usual;
    }
}

int64_t gen_rule_window(int64_t size, int64_t lo, int64_t hi, int64_t kernel, int64_t stride,
                        int64_t dilation)
{
    int64_t room = size + lo + hi - dilation * (kernel - 1) - 1;
    return room < 0 ? 0 : room / stride + 1;
}

double gen_rule_act(int64_t act, double slope, double v)
{
    switch (act) {
    case GEN_ACT_RELU:
        return v < 0 ? 0 : v; /* NaN stays NaN */
    case GEN_ACT_LEAKY_RELU:
        return v > 0 ? v : v * slope;
    case GEN_ACT_SIGMOID:
        return 1 / (1 + exp(-v));
    case GEN_ACT_TANH:
        return tanh(v);
    default:
        return v;
    }
}

void gen_rule_align(int64_t to[3], const int64_t *from, int axes, int64_t rest)
{
    for (int i = 0; i < 3; i++)
        to[i] = i < 3 - axes ? rest : from[i - (3 - axes)];
}

gen_conv_dims gen_conv_dims_of(const gen_node *n)
{
    gen_conv_dims d = { 0 };
    const gen_conv_attr *a = n->attr; /* first member of all three attribute structs */
    gen_shape x, y;
    const int64_t *kernel;
    if (n->op == &gen_op_conv_dw) {
        x = gen_node_shape(n->in[0]);
        y = gen_node_shape(n->in[1]);
        kernel = ((const gen_conv_dw_attr *)n->attr)->kernel;
    } else {
        bool forward = n->op == &gen_op_conv;
        x = forward ? gen_node_shape(n->in[0]) : n->shape[0];
        y = forward ? n->shape[0] : gen_node_shape(n->in[0]);
        kernel = n->in[1]->shape[0].dim + 2;
    }
    d.axes = x.rank - 2;
    d.n = x.dim[0];
    d.groups = a->groups;
    d.cin = x.dim[x.rank - 1];
    d.cout = y.dim[y.rank - 1];
    gen_rule_align(d.x, x.dim + 1, d.axes, 1);
    gen_rule_align(d.y, y.dim + 1, d.axes, 1);
    gen_rule_align(d.kernel, kernel, d.axes, 1);
    gen_rule_align(d.stride, a->stride, d.axes, 1);
    gen_rule_align(d.dilation, a->dilation, d.axes, 1);
    gen_rule_align(d.pad_lo, a->pad_lo, d.axes, 0);
    gen_rule_align(d.pad_hi, a->pad_hi, d.axes, 0);
    gen_rule_align(d.up, a->up, d.axes, 1);
    gen_rule_align(d.pool, a->pool, d.axes, 1);
    for (int i = 0; i < 3; i++)
        d.conv[i] = gen_rule_window(d.x[i] * d.up[i], d.pad_lo[i], d.pad_hi[i], d.kernel[i],
                                    d.stride[i], d.dilation[i]);
    return d;
}
