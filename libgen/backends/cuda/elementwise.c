/* SPDX-License-Identifier: Apache-2.0
 *
 * Elementwise kernels: functions of one tensor.
 */
#include "libgen/backends/cuda/cuda.h"

#include "libgen/backends/cuda/kernels/elementwise.h"
#include "libgen/base/alloc.h"
#include "libgen/ops/elementwise.h"

static bool accepts_unary(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    (void)b, (void)is_const;
    return gen_unary_of(n->op) >= 0 && gen_cuda_is_real(n->dtype[0]) &&
           n->in[0]->dtype[0] == n->dtype[0];
}

static gen_status prepare_unary(gen_prepare *p)
{
    const gen_node *n = p->node;
    const gen_unary_attr *attr = n->attr;
    gen_cuda_unary_args *a;
    GEN_TRY(GEN_ALLOC(&a, 1, "kernel"));
    *a = (gen_cuda_unary_args){ .n = gen_shape_count(n->shape[0]),
                                .p = attr ? (float)attr->p : 0,
                                .q = attr ? (float)attr->q : 0,
                                .op = gen_unary_of(n->op),
                                .bf16 = n->dtype[0] == GEN_BF16 };
    p->state = a;
    return GEN_OK;
}

static gen_status run_unary(void *state, const void *const in[], void *const out[], void *workspace,
                            gen_backend *b)
{
    gen_cuda_unary_args a = *(const gen_cuda_unary_args *)state;
    (void)workspace;
    a.x = in[0];
    a.y = out[0];
    GEN_CUDA(gen_cuda_unary(&a, gen_cuda_stream(b)));
    return GEN_OK;
}

#define UNARY(op_, NAME, size, options)                                                            \
    static const gen_kernel kernel_##op_ = { .name = "cuda/" #op_, .op = &gen_op_##op_,            \
                                             .accepts = accepts_unary, .prepare = prepare_unary,   \
                                             .run = run_unary, .flags = GEN_KERNEL_IN_PLACE };
GEN_UNARY_LIST(UNARY)
#undef UNARY

const gen_kernel *const gen_cuda_elementwise_kernels[] = {
#define X(op_, NAME, size, options) &kernel_##op_,
    GEN_UNARY_LIST(X)
#undef X
    NULL,
};
