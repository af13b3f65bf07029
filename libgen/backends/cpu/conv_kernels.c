/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernels that run as a gen_conv_job: conv, conv_transpose, and products with one constant
 * matrix (a 1x1 convolution, whose weights are packed once).
 */
#include "libgen/backends/cpu/conv.h"

/* f32, or bf16 where the processor can; weights and bias f32 (or constant: asked for as f32). */
static bool dtypes_fit(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    gen_dtype t = n->dtype[0];
    if (gen_node_dtype(n->in[0]) != t || (t != GEN_F32 && t != GEN_BF16))
        return false;
    if (t == GEN_BF16 && b->isa < GEN_ISA_AVX512)
        return false;
    return gen_node_dtype(n->in[1]) == GEN_F32 || (is_const && is_const[1]);
}

static bool conv_accepts(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    const gen_conv_attr *a = n->attr;
    if (!dtypes_fit(n, b, is_const) || !gen_conv_form_supported(n))
        return false;
    if (a->has_bias && gen_node_dtype(n->in[2]) != GEN_F32)
        return false;
    return !a->has_residual || gen_node_dtype(n->in[2 + a->has_bias]) == n->dtype[0];
}

static bool transpose_accepts(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    const gen_conv_transpose_attr *a = n->attr;
    return dtypes_fit(n, b, is_const) && gen_conv_form_supported(n) &&
           (!a->conv.has_bias || gen_node_dtype(n->in[2]) == GEN_F32);
}

/* b one constant matrix for all rows of a. */
static bool linear_accepts(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    const gen_matmul_attr *a = n->attr;
    return dtypes_fit(n, b, is_const) && is_const && is_const[1] && !a->transpose_a &&
           gen_node_shape(n->in[1]).rank == 2;
}

static gen_status finish_prepare(gen_prepare *p, gen_conv_form *f, const gen_conv_spec *spec)
{
    gen_status s = gen_conv_job_prepare(p, f, spec);
    gen_conv_form_free(f);
    return s;
}

static gen_status conv_prepare(gen_prepare *p)
{
    const gen_conv_attr *a = p->node->attr;
    gen_conv_form f;
    GEN_TRY(gen_conv_form_create(&f, p->node));
    return finish_prepare(p, &f, &(gen_conv_spec){ p->node->dtype[0], a->has_bias, a->has_residual,
                                                   a->act, a->slope });
}

static gen_status transpose_prepare(gen_prepare *p)
{
    const gen_conv_transpose_attr *a = p->node->attr;
    gen_conv_form f;
    GEN_TRY(gen_conv_form_create(&f, p->node));
    return finish_prepare(p, &f, &(gen_conv_spec){ p->node->dtype[0], a->conv.has_bias });
}

static gen_status linear_prepare(gen_prepare *p)
{
    const gen_matmul_attr *a = p->node->attr;
    gen_shape y = p->node->shape[0], w = gen_node_shape(p->node->in[1]);
    gen_conv_form f;
    int64_t cout = y.dim[y.rank - 1], rows = gen_shape_count(y) / cout;
    GEN_TRY(gen_conv_form_linear(&f, rows, w.dim[a->transpose_b ? 1 : 0], cout, !a->transpose_b));
    return finish_prepare(p, &f, &(gen_conv_spec){ p->node->dtype[0] });
}

const gen_kernel gen_dnnl_conv_kernel = {
    .name = "onednn/conv",
    .op = &gen_op_conv,
    .accepts = conv_accepts,
    .prepare = conv_prepare,
    .run = gen_conv_job_run,
    .free = gen_conv_job_free,
    .flags = GEN_KERNEL_RESIDUAL_IN_PLACE,
};

const gen_kernel gen_dnnl_conv_transpose_kernel = {
    .name = "onednn/conv_transpose",
    .op = &gen_op_conv_transpose,
    .accepts = transpose_accepts,
    .prepare = transpose_prepare,
    .run = gen_conv_job_run,
    .free = gen_conv_job_free,
};

const gen_kernel gen_dnnl_linear_kernel = {
    .name = "onednn/linear",
    .op = &gen_op_matmul,
    .accepts = linear_accepts,
    .prepare = linear_prepare,
    .run = gen_conv_job_run,
    .free = gen_conv_job_free,
};
