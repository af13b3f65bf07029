/* SPDX-License-Identifier: Apache-2.0
 *
 * scale_shift, batch_norm and batch_norm_dx, unit.
 */
#include "libgen/backends/cuda/cuda.h"

#include "libgen/backends/cuda/kernels/norm.h"
#include "libgen/base/alloc.h"
#include "libgen/ops/list.h"

/* Elements that a thread takes at once: 16 bytes, where rows of cells consist of such. */
static int width_of(const gen_node *n, int64_t columns)
{
    int wide = (int)(16 / gen_dtype_size(n->dtype[0]));
    return columns % wide ? 1 : wide;
}

/* ---- scale_shift ----------------------------------------------------------------------------- */

static bool accepts_scale_shift(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    (void)b, (void)is_const;
    for (int i = 1; i < n->n_in; i++)
        if (!gen_cuda_is_real(gen_node_dtype(n->in[i])))
            return false;
    return gen_cuda_is_real(n->dtype[0]) && gen_node_dtype(n->in[0]) == n->dtype[0];
}

/* x as [images][cells][channels]; without rows of images it is one image, and where each cell is an
 * image all is one row. */
static gen_status prepare_scale_shift(gen_prepare *p)
{
    const gen_node *n = p->node;
    const gen_scale_shift_attr *k = n->attr;
    gen_shape x = n->shape[0];
    int64_t columns = x.dim[x.rank - 1], images = x.rank > 1 ? x.dim[0] : 1;
    int64_t cells = gen_shape_count(x) / images / columns;
    bool any = false, all = true;
    gen_cuda_scale_shift_args *a;
    GEN_TRY(GEN_ALLOC(&a, 1, "kernel"));
    for (int i = 1; i < n->n_in; i++) {
        bool of_images = gen_node_shape(n->in[i]).rank == 2;
        any |= of_images;
        all &= of_images;
    }
    if (!any || (all && cells == 1)) {
        columns *= any ? images : 1;
        cells *= any ? 1 : images;
        images = 1;
    }
    a->has_scale = k->has_scale;
    a->has_shift = k->has_shift;
    if (a->has_scale) {
        a->a_step = gen_node_shape(n->in[1]).rank == 2 ? columns : 0;
        a->a_bf16 = gen_node_dtype(n->in[1]) == GEN_BF16;
    }
    if (a->has_shift) {
        a->b_step = gen_node_shape(n->in[1 + a->has_scale]).rank == 2 ? columns : 0;
        a->b_bf16 = gen_node_dtype(n->in[1 + a->has_scale]) == GEN_BF16;
    }
    a->act = (int)k->act;
    a->slope = (float)k->slope;
    a->bf16 = n->dtype[0] == GEN_BF16;
    a->v = width_of(n, columns);
    a->cut = gen_cuda_cut_map(images, cells, columns, a->v);
    p->state = a;
    return GEN_OK;
}

static gen_status run_scale_shift(void *state, const void *const in[], void *const out[],
                                  void *workspace, gen_backend *b)
{
    gen_cuda_scale_shift_args a = *(const gen_cuda_scale_shift_args *)state;
    (void)workspace;
    int used = 1;
    a.x = in[0];
    a.y = out[0];
    if (a.has_scale)
        a.a = in[used++];
    if (a.has_shift)
        a.b = in[used];
    a.wide = gen_cuda_is_wide(in[0]) && gen_cuda_is_wide(out[0]);
    GEN_CUDA(gen_cuda_scale_shift(&a, gen_cuda_stream(b)));
    return GEN_OK;
}

static const gen_kernel kernel_scale_shift = {
    .name = "cuda/scale_shift",
    .op = &gen_op_scale_shift,
    .accepts = accepts_scale_shift,
    .prepare = prepare_scale_shift,
    .run = run_scale_shift,
    .flags = GEN_KERNEL_IN_PLACE,
};

/* ---- batch_norm, batch_norm_dx --------------------------------------------------------------- */

static gen_status prepare_norm(gen_prepare *p)
{
    const gen_node *n = p->node;
    const gen_batch_norm_attr *k = n->attr;
    gen_shape x = n->in[0]->shape[0];
    int64_t columns = x.dim[x.rank - 1], cells = gen_shape_count(x) / k->groups / columns;
    gen_cuda_norm_args *a;
    GEN_TRY(GEN_ALLOC(&a, 1, "kernel"));
    a->eps = k->eps;
    a->bf16 = n->dtype[0] == GEN_BF16;
    a->v = width_of(n, columns);
    a->sums.cut = gen_cuda_cut_columns(k->groups, cells, columns, a->v);
    a->map = gen_cuda_cut_map(k->groups, cells, columns, a->v);
    p->workspace = gen_cuda_cut_parts(&a->sums, 2) +
                   (uint64_t)(k->groups * 3 * columns) * sizeof(float);
    p->more.launches = a->sums.cut.parts > 1 ? 2 : 1;
    p->more.bytes = (double)gen_shape_count(x) * (double)gen_dtype_size(n->in[0]->dtype[0]) *
                    (n->op == &gen_op_batch_norm_dx ? 2 : 1); /* read for the sums, and again */
    p->state = a;
    return GEN_OK;
}

/* The parts, then the rows. */
static gen_cuda_norm_args norm_args(const void *state, const void *x, void *y, void *workspace)
{
    gen_cuda_norm_args a = *(const gen_cuda_norm_args *)state;
    a.x = x;
    a.y = y;
    a.sums.part = workspace;
    a.row = (float *)((char *)workspace + gen_cuda_cut_parts(&a.sums, 2));
    a.wide = gen_cuda_is_wide(x) && gen_cuda_is_wide(y);
    return a;
}

static bool accepts_norm(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    (void)b, (void)is_const;
    return gen_cuda_is_real(n->dtype[0]) && gen_node_dtype(n->in[0]) == n->dtype[0] &&
           n->dtype[1] == GEN_F32;
}

static gen_status run_norm(void *state, const void *const in[], void *const out[], void *workspace,
                           gen_backend *b)
{
    gen_cuda_norm_args a = norm_args(state, in[0], out[0], workspace);
    a.mean_out = out[1];
    a.var_out = out[2];
    GEN_CUDA(gen_cuda_batch_norm(&a, gen_cuda_stream(b)));
    return GEN_OK;
}

static const gen_kernel kernel_norm = {
    .name = "cuda/batch_norm",
    .op = &gen_op_batch_norm,
    .accepts = accepts_norm,
    .prepare = prepare_norm,
    .run = run_norm,
    .flags = GEN_KERNEL_IN_PLACE,
};

static bool accepts_dx(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    (void)b, (void)is_const;
    return gen_cuda_is_real(n->dtype[0]) && gen_node_dtype(n->in[0]) == n->dtype[0] &&
           gen_node_dtype(n->in[3]) == n->dtype[0] && gen_node_dtype(n->in[1]) == GEN_F32 &&
           gen_node_dtype(n->in[2]) == GEN_F32;
}

static gen_status run_dx(void *state, const void *const in[], void *const out[], void *workspace,
                         gen_backend *b)
{
    gen_cuda_norm_args a = norm_args(state, in[0], out[0], workspace);
    a.mean = in[1];
    a.var = in[2];
    a.dy = in[3];
    a.wide &= gen_cuda_is_wide(in[3]);
    GEN_CUDA(gen_cuda_batch_norm_dx(&a, gen_cuda_stream(b)));
    return GEN_OK;
}

static const gen_kernel kernel_dx = {
    .name = "cuda/batch_norm_dx",
    .op = &gen_op_batch_norm_dx,
    .accepts = accepts_dx,
    .prepare = prepare_norm,
    .run = run_dx,
};

/* ---- unit ------------------------------------------------------------------------------------ */

static bool accepts_unit(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    (void)b, (void)is_const;
    return gen_cuda_is_real(n->dtype[0]) && gen_node_dtype(n->in[0]) == n->dtype[0];
}

static gen_status prepare_unit(gen_prepare *p)
{
    const gen_unit_attr *k = p->node->attr;
    gen_cuda_unit_args *a;
    GEN_TRY(GEN_ALLOC(&a, 1, "kernel"));
    a->n = gen_shape_count(p->node->shape[0]);
    a->eps = k->eps;
    a->at_least = k->at_least != 0;
    a->bf16 = p->node->dtype[0] == GEN_BF16;
    p->state = a;
    return GEN_OK;
}

static gen_status run_unit(void *state, const void *const in[], void *const out[], void *workspace,
                           gen_backend *b)
{
    gen_cuda_unit_args a = *(const gen_cuda_unit_args *)state;
    (void)workspace;
    a.x = in[0];
    a.y = out[0];
    GEN_CUDA(gen_cuda_unit(&a, gen_cuda_stream(b)));
    return GEN_OK;
}

static const gen_kernel kernel_unit = {
    .name = "cuda/unit",
    .op = &gen_op_unit,
    .accepts = accepts_unit,
    .prepare = prepare_unit,
    .run = run_unit,
    .flags = GEN_KERNEL_IN_PLACE,
};

const gen_kernel *const gen_cuda_norm_kernels[] = {
    &kernel_scale_shift, &kernel_norm, &kernel_dx, &kernel_unit, NULL,
};
