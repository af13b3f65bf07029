/* SPDX-License-Identifier: Apache-2.0
 *
 * What reverse mode leaves, said in forward ops, so that all rules and kernels of these serve it:
 *
 *   a transposed convolution of stride 1 is a convolution by the weights turned round
 *   the adjoint of average pooling is up-sampling, and a factor
 *   a 1x1 convolution's gradient of weights needs means only of what is beside an up-sampled tensor
 *
 * Where an image is smaller than the kernel (the last blocks of a discriminator: 1 x 1 cells), taps
 * that see padding only are left out, which is most of the work.
 */
#include <string.h>

#include "libgen/ops/shape_rules.h"
#include "libgen/plan/rewrite.h"

/* What only tells reverse mode something, or looks at a tensor twice. */
gen_node *gen_rule_identity(gen_rewrite *r, gen_node *old, gen_node *const in[])
{
    gen_node *base = in[0];
    if (old->op == &gen_op_stop_gradient)
        return base;
    if (old->op != &gen_op_reshape)
        return NULL;
    while (base->op == &gen_op_reshape)
        base = base->in[0];
    if (gen_shape_equal(base->shape[0], old->shape[0]))
        return base;
    return base != in[0] ? gen_reshape(r->to, base, old->shape[0]) : NULL;
}

/* ---- taps that see padding only -------------------------------------------------------------- */

/* The attributes that conv, conv_transpose and conv_dw share. */
static const gen_conv_attr *geometry(const gen_node *n)
{
    if (n->op == &gen_op_conv)
        return n->attr;
    if (n->op == &gen_op_conv_transpose)
        return &((const gen_conv_transpose_attr *)n->attr)->conv;
    return n->op == &gen_op_conv_dw ? &((const gen_conv_dw_attr *)n->attr)->conv : NULL;
}

/* Taps [first, first + count) of an axis of x cells read by y positions see a cell of x. */
static void live_taps(const gen_conv_dims *d, int axis, int64_t *first, int64_t *count)
{
    int64_t lo = d->kernel[axis], hi = -1;
    for (int64_t t = 0; t < d->kernel[axis]; t++) {
        int64_t from = t * d->dilation[axis] - d->pad_lo[axis];
        int64_t to = from + (d->y[axis] - 1) * d->stride[axis];
        if (to < 0 || from >= d->x[axis])
            continue;
        lo = t < lo ? t : lo;
        hi = t;
    }
    *first = lo;
    *count = hi - lo + 1;
}

gen_node *gen_rule_trim(gen_rewrite *r, gen_node *old, gen_node *const in[])
{
    const gen_conv_attr *a = geometry(old);
    if (!a)
        return NULL;
    gen_conv_dims d = gen_conv_dims_of(old);
    gen_conv_attr trimmed = *a;
    int64_t first[3], count[3], lo[GEN_MAX_RANK] = { 0 }, hi[GEN_MAX_RANK] = { 0 };
    bool less = false;
    for (int i = 0; i < d.axes; i++) {
        int k = 3 - d.axes + i;
        live_taps(&d, k, &first[i], &count[i]);
        lo[2 + i] = first[i];
        hi[2 + i] = d.kernel[k] - first[i] - count[i];
        trimmed.pad_lo[i] -= lo[2 + i] * d.dilation[k];
        trimmed.pad_hi[i] -= hi[2 + i] * d.dilation[k];
        less |= count[i] < d.kernel[k];
        if (count[i] < 1 || trimmed.pad_lo[i] < 0 || trimmed.pad_hi[i] < 0 || d.up[k] > 1 ||
            d.pool[k] > 1)
            return NULL;
    }
    if (!less || a->act || a->has_residual)
        return NULL;
    if (old->op == &gen_op_conv_dw)
        return gen_pad(r->to, gen_conv_dw(r->to, in[0], in[1], count, &trimmed), lo, hi, 0);
    gen_node *w = in[1], *b = a->has_bias ? in[2] : NULL;
    for (int i = 0; i < d.axes; i++)
        w = gen_slice(r->to, w, 2 + i, first[i], count[i]);
    if (old->op == &gen_op_conv)
        return gen_conv(r->to, in[0], w, b, &trimmed);
    return gen_conv_transpose(r->to, in[0], w, b, old->shape[0].dim + 1, &trimmed);
}

/* ---- transposed convolutions ----------------------------------------------------------------- */

gen_node *gen_rule_turn(gen_rewrite *r, gen_node *old, gen_node *const in[])
{
    if (old->op != &gen_op_conv_transpose)
        return NULL;
    gen_conv_dims d = gen_conv_dims_of(old);
    gen_conv_attr a = ((const gen_conv_transpose_attr *)old->attr)->conv;
    if (d.groups != 1 || old->dtype[0] == GEN_F64)
        return NULL;
    for (int i = 0; i < d.axes; i++) {
        int k = 3 - d.axes + i;
        int64_t reach = (d.kernel[k] - 1) * d.dilation[k];
        a.pad_lo[i] = reach - a.pad_lo[i];
        a.pad_hi[i] = reach - a.pad_hi[i];
        if (d.stride[k] != 1 || a.pad_lo[i] < 0 || a.pad_hi[i] < 0)
            return NULL;
    }
    gen_node *b = a.has_bias ? in[2] : NULL;
    return gen_conv(r->to, in[0], gen_turn(r->to, in[1]), b, &a);
}

/* ---- pooling and up-sampling ----------------------------------------------------------------- */

static double volume_of(const int64_t factor[3])
{
    return (double)(factor[0] * factor[1] * factor[2]);
}

gen_node *gen_rule_unpool(gen_rewrite *r, gen_node *old, gen_node *const in[])
{
    const gen_pool_dx_attr *a = old->attr;
    if (old->op != &gen_op_avg_pool_dx)
        return NULL;
    for (int i = 0; i < old->shape[0].rank - 2; i++)
        if (a->pool.kernel[i] != a->pool.stride[i] || a->pool.pad_lo[i] || a->pool.pad_hi[i] ||
            in[0]->shape[0].dim[1 + i] * a->pool.kernel[i] != old->shape[0].dim[1 + i])
            return NULL;
    gen_node *dy = gen_affine(r->to, in[0], 1 / volume_of(a->pool.kernel), 0);
    return gen_upsample(r->to, dy, a->pool.kernel);
}

/* Sum over cells of x (*) up(z) is that of mean(x) (*) z, times the cells of a window. */
gen_node *gen_rule_pointwise_dw(gen_rewrite *r, gen_node *old, gen_node *const in[])
{
    if (old->op != &gen_op_conv_dw)
        return NULL;
    gen_conv_dims d = gen_conv_dims_of(old);
    const gen_conv_dw_attr *a = old->attr;
    for (int i = 0; i < 3; i++)
        if (d.kernel[i] != 1 || d.stride[i] != 1 || d.pad_lo[i] || d.pad_hi[i])
            return NULL;
    int up = in[1]->op == &gen_op_upsample ? 1 : 0;
    if (in[up]->op != &gen_op_upsample)
        return NULL;
    gen_node *side[2] = { in[0], in[1] }, *small = in[up]->in[0];
    gen_pool_attr pool = { { 0 } };
    memcpy(pool.kernel, ((const gen_upsample_attr *)in[up]->attr)->factor, sizeof pool.kernel);
    double scale = volume_of(pool.kernel);
    const gen_unary_attr *k = small->attr;
    if (small->op == &gen_op_affine && k->q == 0) {
        scale *= k->p;
        small = small->in[0];
    }
    side[up] = small;
    side[1 - up] = gen_avg_pool(r->to, in[1 - up], &pool);
    gen_node *dw = gen_conv_dw(r->to, side[0], side[1], a->kernel, &a->conv);
    return scale == 1 ? dw : gen_affine(r->to, dw, scale, 0);
}
