/* SPDX-License-Identifier: Apache-2.0
 *
 * sum, mean, max_over and sum_to; softmax. After joining, axes alternate between kept and reduced:
 * the innermost ones are the rows and columns of a sum (kernels/sums.h), the others are walked.
 */
#include "libgen/backends/cuda/cuda.h"

#include "libgen/backends/cuda/kernels/reduce.h"
#include "libgen/backends/cuda/kernels/softmax.h"
#include "libgen/base/alloc.h"
#include "libgen/ops/list.h"
#include "libgen/ops/strides.h"

static bool accepts(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    (void)b, (void)is_const;
    return gen_cuda_is_real(n->dtype[0]) && n->in[0]->dtype[0] == n->dtype[0];
}

static void add_axis(gen_cuda_axes *a, int64_t dim, int64_t step)
{
    a->dim[a->rank] = dim;
    a->step[a->rank++] = step;
    a->count *= dim;
}

static void describe(gen_cuda_reduce_args *a, const gen_node *n)
{
    gen_shape x = n->in[0]->shape[0];
    int64_t out_step[GEN_MAX_RANK], dim[GEN_MAX_RANK], step[GEN_MAX_RANK], columns = 1;
    bool keep[GEN_MAX_RANK];
    gen_steps_under(n->shape[0], x, out_step);
    int rank = gen_steps_collapse(x, out_step, dim, keep);
    for (int64_t i = rank - 1, size = 1; i >= 0; size *= dim[i--])
        step[i] = size;
    a->depth = a->kept.count = a->reduced.count = 1;
    if (rank > 0 && keep[rank - 1])
        columns = dim[--rank];
    if (rank > 0 && !keep[rank - 1])
        a->depth = dim[--rank];
    for (int i = 0; i < rank; i++)
        add_axis(keep[i] ? &a->kept : &a->reduced, dim[i], step[i]);

    int64_t contiguous = columns > 1 ? columns : a->depth;
    int wide = a->bf16 ? 8 : 4;
    a->v = contiguous % wide ? 1 : wide;
    a->step = columns;
    if (columns > 1) {
        a->sums.cut = gen_cuda_cut_columns(a->kept.count, a->reduced.count * a->depth, columns,
                                           a->v);
        return;
    }
    a->step = a->v;
    a->depth /= a->v;
    a->sums.cut = gen_cuda_cut_runs(a->kept.count, a->reduced.count * a->depth);
}

static gen_status prepare(gen_prepare *p)
{
    const gen_node *n = p->node;
    gen_cuda_reduce_args *a;
    GEN_TRY(GEN_ALLOC(&a, 1, "kernel"));
    a->bf16 = n->dtype[0] == GEN_BF16;
    a->top = n->op == &gen_op_max_over;
    a->divisor = 1;
    if (n->op == &gen_op_mean)
        a->divisor = (double)gen_shape_count(n->in[0]->shape[0]) /
                     (double)gen_shape_count(n->shape[0]);
    describe(a, n);
    p->workspace = gen_cuda_cut_parts(&a->sums, 1);
    p->more.launches = a->sums.cut.parts > 1;
    p->state = a;
    return GEN_OK;
}

static gen_status run(void *state, const void *const in[], void *const out[], void *workspace,
                      gen_backend *b)
{
    gen_cuda_reduce_args a = *(const gen_cuda_reduce_args *)state;
    a.x = in[0];
    a.y = out[0];
    a.sums.part = workspace;
    a.wide = gen_cuda_is_wide(in[0]);
    GEN_CUDA(gen_cuda_reduce(&a, gen_cuda_stream(b)));
    return GEN_OK;
}

#define REDUCE(op_)                                                                                \
    static const gen_kernel kernel_##op_ = { .name = "cuda/" #op_, .op = &gen_op_##op_,            \
                                             .accepts = accepts, .prepare = prepare, .run = run };
REDUCE(sum)
REDUCE(mean)
REDUCE(max_over)
REDUCE(sum_to)

/* ---- softmax --------------------------------------------------------------------------------- */

/* Lines whose elements lie behind one another, or columns. A block has whole lines. */
static gen_status prepare_softmax(gen_prepare *p)
{
    const gen_node *n = p->node;
    int axis = (int)((const gen_softmax_attr *)n->attr)->axis;
    int64_t outer = 1, inner = 1;
    gen_shape x = n->shape[0];
    gen_cuda_softmax_args *a;
    GEN_TRY(GEN_ALLOC(&a, 1, "kernel"));
    for (int i = 0; i < x.rank; i++) {
        outer *= i < axis ? x.dim[i] : 1;
        inner *= i > axis ? x.dim[i] : 1;
    }
    a->size = x.dim[axis];
    a->bf16 = n->dtype[0] == GEN_BF16;
    a->v = a->bf16 ? 8 : 4;
    if (inner > 1 || a->size % a->v)
        a->v = 1;
    a->cut = inner > 1 ? gen_cuda_cut_columns(outer, a->size, inner, 1)
                       : gen_cuda_cut_runs(outer, a->size / a->v);
    a->cut.each = a->cut.rows;
    a->cut.parts = 1;
    p->state = a;
    return GEN_OK;
}

static gen_status run_softmax(void *state, const void *const in[], void *const out[],
                              void *workspace, gen_backend *b)
{
    gen_cuda_softmax_args a = *(const gen_cuda_softmax_args *)state;
    (void)workspace;
    a.x = in[0];
    a.y = out[0];
    a.wide = gen_cuda_is_wide(in[0]) && gen_cuda_is_wide(out[0]);
    GEN_CUDA(gen_cuda_softmax(&a, gen_cuda_stream(b)));
    return GEN_OK;
}

static const gen_kernel kernel_softmax = {
    .name = "cuda/softmax",
    .op = &gen_op_softmax,
    .accepts = accepts,
    .prepare = prepare_softmax,
    .run = run_softmax,
    .flags = GEN_KERNEL_IN_PLACE,
};

const gen_kernel *const gen_cuda_reduce_kernels[] = {
    &kernel_sum, &kernel_mean, &kernel_max_over, &kernel_sum_to, &kernel_softmax, NULL,
};
