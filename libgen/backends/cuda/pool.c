/* SPDX-License-Identifier: Apache-2.0
 *
 * avg_pool, max_pool and their adjoints, f32 and bf16, 1 to 3 spatial axes.
 */
#include "libgen/backends/cuda/cuda.h"

#include "libgen/backends/cuda/kernels/pool.h"
#include "libgen/base/alloc.h"
#include "libgen/ops/list.h"
#include "libgen/ops/shape_rules.h"

static int kind_of(const gen_op *op)
{
    return op == &gen_op_avg_pool      ? GEN_CUDA_AVG_POOL
           : op == &gen_op_max_pool    ? GEN_CUDA_MAX_POOL
           : op == &gen_op_avg_pool_dx ? GEN_CUDA_AVG_POOL_DX
                                       : GEN_CUDA_MAX_POOL_DX;
}

/* Positions in an image are counted in 32 bits. */
static bool accepts(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    bool fits = gen_cuda_is_real(n->dtype[0]);
    (void)b, (void)is_const;
    for (int i = 0; i < n->n_in; i++) {
        gen_shape s = n->in[i]->shape[0];
        fits &= n->in[i]->dtype[0] == n->dtype[0];
        for (int k = 1; k < s.rank - 1; k++)
            fits &= s.dim[k] < 1 << 30 && n->shape[0].dim[k] < 1 << 30;
    }
    return fits;
}

static void narrow(int to[3], const int64_t *from, int axes, int64_t missing)
{
    int64_t all[3];
    gen_rule_align(all, from, axes, missing);
    for (int i = 0; i < 3; i++)
        to[i] = (int)all[i];
}

static gen_status prepare(gen_prepare *p)
{
    const gen_node *n = p->node;
    const gen_pool_attr *k = n->attr; /* first member of gen_pool_dx_attr too */
    int kind = kind_of(n->op);
    bool adjoint = kind >= GEN_CUDA_AVG_POOL_DX;
    gen_shape near = n->in[n->n_in - 1]->shape[0], far = n->shape[0];
    gen_shape x = adjoint ? far : near, y = adjoint ? near : far;
    int axes = x.rank - 2;
    gen_cuda_pool_args *a;
    GEN_TRY(GEN_ALLOC(&a, 1, "pooling kernel"));
    a->kind = kind;
    a->bf16 = n->dtype[0] == GEN_BF16;
    a->exclude_pad = k->exclude_pad;
    a->n = x.dim[0];
    a->c = x.dim[x.rank - 1];
    narrow(a->x, x.dim + 1, axes, 1);
    narrow(a->y, y.dim + 1, axes, 1);
    narrow(a->kernel, k->kernel, axes, 1);
    narrow(a->stride, k->stride, axes, 1);
    narrow(a->pad, k->pad_lo, axes, 0);
    p->state = a;
    return GEN_OK;
}

static gen_status run(void *state, const void *const in[], void *const out[], void *workspace,
                      gen_backend *b)
{
    gen_cuda_pool_args a = *(const gen_cuda_pool_args *)state;
    (void)workspace;
    a.in = a.kind == GEN_CUDA_AVG_POOL_DX ? NULL : in[0];
    a.dy = a.kind == GEN_CUDA_AVG_POOL_DX   ? in[0]
           : a.kind == GEN_CUDA_MAX_POOL_DX ? in[1]
                                            : NULL;
    a.out = out[0];
    GEN_CUDA(gen_cuda_pool(&a, gen_cuda_stream(b)));
    return GEN_OK;
}

#define KERNEL(op_)                                                                                \
    static const gen_kernel kernel_##op_ = { .name = "cuda/" #op_, .op = &gen_op_##op_,            \
                                             .accepts = accepts, .prepare = prepare, .run = run };
KERNEL(avg_pool)
KERNEL(max_pool)
KERNEL(avg_pool_dx)
KERNEL(max_pool_dx)
#undef KERNEL

const gen_kernel *const gen_cuda_pool_kernels[] = { &kernel_avg_pool, &kernel_max_pool,
                                                    &kernel_avg_pool_dx, &kernel_max_pool_dx,
                                                    NULL };
