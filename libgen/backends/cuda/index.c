/* SPDX-License-Identifier: Apache-2.0
 *
 * gather and crop, for every type, and their adjoints.
 */
#include "libgen/backends/cuda/cuda.h"

#include "libgen/backends/cuda/kernels/indexed.h"
#include "libgen/base/alloc.h"
#include "libgen/ops/list.h"

static bool accepts(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    (void)b, (void)is_const;
    if (n->op == &gen_op_gather_dx && !gen_cuda_is_real(n->dtype[0]))
        return false;
    return n->in[1]->dtype[0] == GEN_I32 || n->in[1]->dtype[0] == GEN_I64;
}

/* ---- gather ---------------------------------------------------------------------------------- */

static gen_status prepare_gather(gen_prepare *p)
{
    const gen_node *n = p->node;
    int axis = (int)((const gen_gather_attr *)n->attr)->axis;
    gen_shape x = n->op == &gen_op_gather ? n->in[0]->shape[0] : n->shape[0];
    gen_cuda_gather_args *a;
    GEN_TRY(GEN_ALLOC(&a, 1, "gather kernel"));
    *a = (gen_cuda_gather_args){ .outer = 1,
                                 .dim = x.dim[axis],
                                 .rows = n->in[1]->shape[0].dim[0],
                                 .inner = 1,
                                 .size = (int64_t)gen_dtype_size(n->dtype[0]),
                                 .index64 = n->in[1]->dtype[0] == GEN_I64 };
    for (int i = 0; i < axis; i++)
        a->outer *= x.dim[i];
    for (int i = axis + 1; i < x.rank; i++)
        a->inner *= x.dim[i];
    p->state = a;
    return GEN_OK;
}

static gen_cuda_gather_args gather_args(const void *state, const void *const in[], void *out)
{
    gen_cuda_gather_args a = *(const gen_cuda_gather_args *)state;
    a.x = in[0];
    a.index = in[1];
    a.y = out;
    return a;
}

static gen_status run_gather(void *state, const void *const in[], void *const out[],
                             void *workspace, gen_backend *b)
{
    gen_cuda_gather_args a = gather_args(state, in, out[0]);
    (void)workspace;
    GEN_CUDA(gen_cuda_gather(&a, gen_cuda_stream(b)));
    return GEN_OK;
}

static gen_status run_gather_dx(void *state, const void *const in[], void *const out[],
                                void *workspace, gen_backend *b)
{
    gen_cuda_gather_args a = gather_args(state, in, out[0]);
    (void)workspace;
    GEN_CUDA(gen_cuda_gather_dx(&a, gen_cuda_stream(b)));
    return GEN_OK;
}

/* ---- crop ------------------------------------------------------------------------------------ */

static gen_status prepare_crop(gen_prepare *p)
{
    const gen_node *n = p->node;
    bool back = n->op == &gen_op_crop_dx;
    gen_shape image = back ? n->shape[0] : n->in[0]->shape[0];
    gen_shape window = back ? n->in[0]->shape[0] : n->shape[0];
    gen_cuda_crop_args *a;
    GEN_TRY(GEN_ALLOC(&a, 1, "crop kernel"));
    *a = (gen_cuda_crop_args){ .images = image.dim[0],
                               .height = image.dim[1],
                               .width = image.dim[2],
                               .h = window.dim[1],
                               .w = window.dim[2],
                               .c = image.dim[3],
                               .size = (int64_t)gen_dtype_size(n->dtype[0]),
                               .index64 = n->in[1]->dtype[0] == GEN_I64,
                               .per_image = n->in[1]->shape[0].dim[0] > 1,
                               .back = back };
    p->state = a;
    return GEN_OK;
}

static gen_status run_crop(void *state, const void *const in[], void *const out[],
                           void *workspace, gen_backend *b)
{
    gen_cuda_crop_args a = *(const gen_cuda_crop_args *)state;
    (void)workspace;
    a.x = in[0];
    a.index = in[1];
    a.y = out[0];
    GEN_CUDA(gen_cuda_crop(&a, gen_cuda_stream(b)));
    return GEN_OK;
}

#define KERNEL(op_, prepare_, run_)                                                                \
    static const gen_kernel kernel_##op_ = { .name = "cuda/" #op_, .op = &gen_op_##op_,            \
                                             .accepts = accepts, .prepare = prepare_,              \
                                             .run = run_ };
KERNEL(gather, prepare_gather, run_gather)
KERNEL(gather_dx, prepare_gather, run_gather_dx)
KERNEL(crop, prepare_crop, run_crop)
KERNEL(crop_dx, prepare_crop, run_crop)
#undef KERNEL

const gen_kernel *const gen_cuda_index_kernels[] = { &kernel_gather, &kernel_gather_dx,
                                                     &kernel_crop, &kernel_crop_dx, NULL };
