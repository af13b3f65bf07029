/* SPDX-License-Identifier: Apache-2.0
 *
 * Elementwise kernels, f32 and bf16 in any mixture: functions of one and of two tensors with
 * broadcasting, lerp; cast between any two types.
 */
#include "libgen/backends/cuda/cuda.h"

#include "libgen/backends/cuda/kernels/elementwise.h"
#include "libgen/base/alloc.h"
#include "libgen/ops/strides.h"

static bool accepts(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    bool fits = gen_cuda_is_real(n->dtype[0]);
    (void)b, (void)is_const;
    for (int i = 0; i < n->n_in; i++)
        fits &= gen_cuda_is_real(n->in[i]->dtype[0]);
    return fits;
}

static int number_of(const gen_op *op)
{
    int unary = gen_unary_of(op), binary = gen_binary_of(op);
    if (unary >= 0)
        return unary;
    if (binary >= 0)
        return GEN_CUDA_MAP_BINARY + binary;
    return op == &gen_op_lerp ? GEN_CUDA_MAP_LERP : GEN_CUDA_MAP_COPY;
}

static gen_status prepare(gen_prepare *p)
{
    const gen_node *n = p->node;
    const gen_unary_attr *attr = gen_unary_of(n->op) >= 0 ? n->attr : NULL;
    gen_walk w = { .shape = n->shape[0] };
    gen_cuda_map_args *a;
    GEN_TRY(GEN_ALLOC(&a, 1, "elementwise kernel"));
    a->inputs = n->n_in;
    a->op = number_of(n->op);
    a->p = attr ? (float)attr->p : 0;
    a->q = attr ? (float)attr->q : 0;
    a->y_bf16 = n->dtype[0] == GEN_BF16;
    for (int i = 0; i < n->n_in; i++) {
        a->x_bf16[i] = n->in[i]->dtype[0] == GEN_BF16;
        gen_steps_under(n->in[i]->shape[0], w.shape, w.step[i]);
    }
    gen_walk_join(&w);
    a->rank = w.shape.rank ? w.shape.rank : 1;
    a->dim[0] = 1; /* of a scalar */
    for (int k = 0; k < w.shape.rank; k++) {
        a->dim[k] = w.shape.dim[k];
        for (int i = 0; i < n->n_in; i++)
            a->step[i][k] = w.step[i][k];
    }
    p->state = a;
    return GEN_OK;
}

static gen_status run(void *state, const void *const in[], void *const out[], void *workspace,
                      gen_backend *b)
{
    gen_cuda_map_args a = *(const gen_cuda_map_args *)state;
    (void)workspace;
    for (int i = 0; i < a.inputs; i++)
        a.x[i] = in[i];
    a.y = out[0];
    GEN_CUDA(gen_cuda_map(&a, gen_cuda_stream(b)));
    return GEN_OK;
}

/* ---- cast ------------------------------------------------------------------------------------ */

static const gen_kernel kernel_cast = {
    .name = "cuda/cast",
    .op = &gen_op_cast,
    .accepts = accepts,
    .prepare = prepare,
    .run = run,
};

static bool accepts_any(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    (void)n, (void)b, (void)is_const;
    return true;
}

static gen_status prepare_cast(gen_prepare *p)
{
    const gen_node *n = p->node;
    gen_cuda_cast_args *a;
    GEN_TRY(GEN_ALLOC(&a, 1, "cast kernel"));
    *a = (gen_cuda_cast_args){ .n = gen_shape_count(n->shape[0]),
                               .from = (int)n->in[0]->dtype[0],
                               .to = (int)n->dtype[0] };
    p->state = a;
    return GEN_OK;
}

static gen_status run_cast(void *state, const void *const in[], void *const out[], void *workspace,
                           gen_backend *b)
{
    gen_cuda_cast_args a = *(const gen_cuda_cast_args *)state;
    (void)workspace;
    a.x = in[0];
    a.y = out[0];
    GEN_CUDA(gen_cuda_cast(&a, gen_cuda_stream(b)));
    return GEN_OK;
}

static const gen_kernel kernel_cast_any = {
    .name = "cuda/cast any",
    .op = &gen_op_cast,
    .accepts = accepts_any,
    .prepare = prepare_cast,
    .run = run_cast,
};

/* ---- kernels --------------------------------------------------------------------------------- */

#define KERNEL(op_, ...)                                                                           \
    static const gen_kernel kernel_##op_ = { .name = "cuda/" #op_, .op = &gen_op_##op_,            \
                                             .accepts = accepts, .prepare = prepare, .run = run,   \
                                             .flags = GEN_KERNEL_IN_PLACE };
GEN_UNARY_LIST(KERNEL)
GEN_BINARY_LIST(KERNEL)
KERNEL(lerp)
#undef KERNEL

const gen_kernel *const gen_cuda_elementwise_kernels[] = {
#define X(op_, ...) &kernel_##op_,
    GEN_UNARY_LIST(X) GEN_BINARY_LIST(X) X(lerp)
#undef X
    &kernel_cast, &kernel_cast_any, NULL,
};
