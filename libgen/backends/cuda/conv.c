/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolutions: conv, conv_transpose and conv_dw, through cuDNN and by kernels of our own. All are
 * prepared and run by the same code; what differs is whether there is a plan of cuDNN's.
 *
 * cuDNN is first asked for the convolution with bias, residual and activation, then for the plain
 * one, which gen_cuda_finish follows. Its tensor-core engines want channels in eights (bf16) or
 * fours (TF32): a large convolution whose channels are not gets padded copies of what it reads, and
 * its result is cut from a padded one. What cuDNN refuses (as a graph, for lack of an engine, at
 * addresses that it cannot take) is done by our own convolution, with the same packed weights.
 *
 * After up-sampling by two, a 3x3 convolution sees each cell of x several times. Where its weights
 * are constant it is done as a 2x2 one of x itself, padded by one all round: what taps fall on one
 * cell are summed beforehand, and the window at each corner between four cells gives the four cells
 * of the result around that corner, as four times the channels. 'Finish' puts them in their places.
 * That is 2.25 times fewer products, and no up-sampled tensor is written and read.
 */
#include <stdio.h>
#include <string.h>

#include "libgen/backends/cuda/cudnn.h"
#include "libgen/backends/cuda/kernels/conv.h"
#include "libgen/base/alloc.h"
#include "libgen/ops/shape_rules.h"
#include "libgen/tensor/half.h"

#define PAD_FROM 16e6 /* multiply-adds from which copies of the channels are worth it */

enum { PART_CELLS = 1024, MAX_PARTS = 128, PARTS_BYTES = 64 << 20 };

/* Workspace, as offsets from its first multiple of GEN_CUDNN_ROOM. */
typedef struct places {
    uint64_t cudnn, weights, x, y, dw, bias;
} places;

typedef struct conv_job {
    gen_conv_dims d;
    gen_cuda_conv_args own;
    gen_dtype type;
    int64_t cin, cout; /* as cuDNN and the packed weights have them: padded or not */
    bool spread; /* d is of the 2x2 convolution whose four parts of channels are cells of a 3x3 */
    bool has_bias, has_residual;
    bool fused;                 /* bias, residual and activation are in the plan */
    const gen_cudnn_plan *plan; /* NULL: ours only */
    gen_cudnn_pack pack;
    const void *weights; /* constant ones, packed */
    places at;
} conv_job;

/* ---- accepts --------------------------------------------------------------------------------- */

static bool accepts_weights(const gen_node *n, const bool *is_const)
{
    return gen_node_dtype(n->in[1]) == GEN_F32 || (is_const && is_const[1]);
}

static bool accepts_dtypes(const gen_node *n, const bool *is_const)
{
    return gen_cuda_is_real(n->dtype[0]) && gen_node_dtype(n->in[0]) == n->dtype[0] &&
           accepts_weights(n, is_const);
}

static bool is_triple(const int64_t v[3], int64_t first, int64_t second)
{
    return v[0] == first && v[1] == second && v[2] == 1;
}

/* See the head of this file. */
static bool spreads(const gen_node *n)
{
    const gen_conv_attr *a = n->attr;
    gen_shape w = n->in[1]->shape[0];
    return n->op == &gen_op_conv && w.rank == 4 && w.dim[2] == 3 && w.dim[3] == 3 &&
           a->groups == 1 && is_triple(a->up, 2, 2) && is_triple(a->stride, 1, 1) &&
           is_triple(a->dilation, 1, 1) && a->pad_lo[0] == 1 && a->pad_lo[1] == 1 &&
           a->pad_hi[0] == 1 && a->pad_hi[1] == 1;
}

static bool accepts_conv(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    const gen_conv_attr *a = n->attr;
    (void)b;
    if (!is_triple(a->pool, 1, 1))
        return false;
    if (!is_triple(a->up, 1, 1) && !(spreads(n) && is_const && is_const[1]))
        return false;
    if (!accepts_dtypes(n, is_const) || (a->has_bias && gen_node_dtype(n->in[2]) != GEN_F32))
        return false;
    return !a->has_residual || gen_node_dtype(n->in[2 + a->has_bias]) == n->dtype[0];
}

static bool accepts_transpose(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    const gen_conv_transpose_attr *a = n->attr;
    (void)b;
    return accepts_dtypes(n, is_const) &&
           (!a->conv.has_bias || gen_node_dtype(n->in[2]) == GEN_F32);
}

static bool accepts_dw(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    gen_dtype t = gen_node_dtype(n->in[0]);
    (void)b, (void)is_const;
    return gen_cuda_is_real(t) && gen_node_dtype(n->in[1]) == t && n->dtype[0] == GEN_F32;
}

/* ---- geometry -------------------------------------------------------------------------------- */

static int64_t volume(const int64_t v[3])
{
    return v[0] * v[1] * v[2];
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Shares of the cells over which our own conv_dw sums: enough blocks for a device, few enough bytes
 * of partial sums. By the shape alone. */
static int filter_parts(const gen_conv_dims *d)
{
    int64_t bytes = d->cout * (d->cin / d->groups) * volume(d->kernel) * 4;
    int64_t n = least(d->n * volume(d->y) / PART_CELLS, PARTS_BYTES / bytes);
    return n < 1 ? 1 : n > MAX_PARTS ? MAX_PARTS : (int)n;
}

/* Our own kernels count cells, and taps times channels, in 31 bits. */
static gen_status check_counts(const gen_conv_dims *d)
{
    double taps = (double)volume(d->kernel);
    double most = (double)d->n * (double)volume(d->x);
    double sizes[] = { (double)d->n * (double)volume(d->y), taps * (double)d->cin,
                       taps * (double)d->cout };
    for (int i = 0; i < GEN_LEN(sizes); i++)
        most = sizes[i] > most ? sizes[i] : most;
    if (most > 2147483000.0)
        return gen_fail(GEN_EUNSUPPORTED, "a convolution over %.0f cells, expected fewer than 2^31",
                        most);
    return GEN_OK;
}

static void set_own(conv_job *j, int way)
{
    const gen_conv_dims *d = &j->d;
    gen_cuda_conv_args *a = &j->own;
    a->way = way;
    a->n = (int)d->n;
    a->groups = (int)d->groups;
    a->cin = (int)d->cin;
    a->cout = (int)d->cout;
    for (int i = 0; i < 3; i++) {
        a->in[i] = (int)d->x[i];
        a->out[i] = (int)d->y[i];
        a->kernel[i] = (int)d->kernel[i];
        a->stride[i] = (int)d->stride[i];
        a->dilation[i] = (int)d->dilation[i];
        a->pad[i] = (int)d->pad_lo[i];
    }
    a->parts = way == GEN_CUDA_CONV_FILTER ? filter_parts(d) : 1;
    a->bf16 = j->type == GEN_BF16;
}

/* ---- prepare --------------------------------------------------------------------------------- */

/* Channels in the whole vectors that tensor cores take, where that pays. */
static void choose_channels(conv_job *j, bool tf32)
{
    const gen_conv_dims *d = &j->d;
    int64_t unit = j->type == GEN_BF16 ? 8 : tf32 ? 4 : 1;
    double work = (double)(d->n * volume(d->y)) * (double)volume(d->kernel) * (double)d->cin *
                  (double)d->cout;
    if (d->groups > 1 || work < PAD_FROM)
        return;
    j->cin = (d->cin + unit - 1) / unit * unit;
    j->cout = (d->cout + unit - 1) / unit * unit;
}

static gen_cudnn_conv describe(const conv_job *j, bool tf32)
{
    const gen_conv_dims *d = &j->d;
    gen_cudnn_conv c = { .way = j->own.way,
                         .axes = d->axes == 3 ? 3 : 2,
                         .n = d->n,
                         .groups = d->groups,
                         .cin = j->cin,
                         .cout = j->cout,
                         .from = j->type,
                         .to = j->type,
                         .tf32 = tf32 && j->type == GEN_F32 };
    memcpy(c.x, d->x, sizeof c.x);
    memcpy(c.y, d->y, sizeof c.y);
    memcpy(c.kernel, d->kernel, sizeof c.kernel);
    memcpy(c.stride, d->stride, sizeof c.stride);
    memcpy(c.dilation, d->dilation, sizeof c.dilation);
    memcpy(c.pad_lo, d->pad_lo, sizeof c.pad_lo);
    memcpy(c.pad_hi, d->pad_hi, sizeof c.pad_hi);
    return c;
}

static bool finishes(const conv_job *j)
{
    return j->has_bias || j->has_residual || j->own.act != GEN_ACT_NONE;
}

static bool cuts_result(const conv_job *j)
{
    if (j->spread)
        return true;
    return j->own.way == GEN_CUDA_CONV_FORWARD ? j->cout != j->d.cout
           : j->own.way == GEN_CUDA_CONV_DATA  ? j->cin != j->d.cin
                                               : true;
}

/* What cuDNN is asked for, best first; how many. */
static int forms_of(const conv_job *j, bool tf32, gen_cudnn_conv form[2])
{
    form[0] = form[1] = describe(j, tf32);
    if (j->own.way == GEN_CUDA_CONV_FILTER) { /* f32 sums, unrounded */
        form[0].to = GEN_F32;
        return j->type == GEN_F32 ? 1 : 2;
    }
    if (!finishes(j) || cuts_result(j))
        return 1;
    form[0].bias = j->has_bias;
    form[0].residual = j->has_residual;
    form[0].act = j->own.act;
    form[0].slope = j->own.slope;
    return 2;
}

static gen_status find_plan(conv_job *j, gen_cuda *cuda, bool tf32)
{
    gen_cudnn_conv form[2];
    gen_status s = GEN_EUNSUPPORTED;
    int n = forms_of(j, tf32, form);
    for (int i = 0; i < n && s == GEN_EUNSUPPORTED; i++) {
        s = gen_cudnn_plan_get(cuda, &form[i], &j->plan);
        j->fused = form[i].bias || form[i].residual || form[i].act != GEN_ACT_NONE;
    }
    return s;
}

typedef struct filling {
    const conv_job *j;
    gen_prepare *p;
} filling;

/* Taps of a 3x3 kernel, summed for tap t of the 2x2 one of part `cell`: along each axis the part's
 * cell lies before the corner (0: two taps fall on the cell of x there) or behind it. */
static float summed(const float *w, int cell, int64_t t)
{
    int row = 2 - cell / 2, column = 2 - cell % 2; /* first taps on the second cell of x */
    float sum = 0;
    for (int y = t / 2 ? row : 0; y < (t / 2 ? 3 : row); y++)
        for (int x = t % 2 ? column : 0; x < (t % 2 ? 3 : column); x++)
            sum += w[3 * y + x];
    return sum;
}

static float weight_at(const conv_job *j, const float *w, int64_t o, int64_t c, int64_t t)
{
    int64_t cin = j->d.cin / j->d.groups, part = j->d.cout / 4;
    if (o >= j->d.cout || c >= cin)
        return 0;
    if (j->spread)
        return summed(w + (o % part * cin + c) * 9, (int)(o / part), t);
    return w[(o * cin + c) * volume(j->d.kernel) + t];
}

/* As gen_cuda_pack_weights does it. */
static gen_status fill_weights(void *ctx, void *to)
{
    const filling *f = ctx;
    const conv_job *j = f->j;
    const float *w;
    int64_t taps = volume(j->d.kernel), i = 0;
    int64_t to_cin = j->cin / j->d.groups;
    GEN_TRY(f->p->constant(f->p, 1, &w));
    for (int64_t o = 0; o < j->cout; o++)
        for (int64_t t = 0; t < taps; t++)
            for (int64_t c = 0; c < to_cin; c++, i++) {
                float v = weight_at(j, w, o, c, t);
                if (j->type == GEN_BF16)
                    ((uint16_t *)to)[i] = gen_f32_to_bf16(v);
                else
                    ((float *)to)[i] = v;
            }
    return GEN_OK;
}

static uint64_t weight_count(const conv_job *j)
{
    return (uint64_t)(j->cout * (j->cin / j->d.groups) * volume(j->d.kernel));
}

static gen_status pack_constant(gen_prepare *p, conv_job *j)
{
    filling f = { j, p };
    char layout[80];
    snprintf(layout, sizeof layout, "krsc%s %s %lld %lld", j->spread ? " up" : "",
             j->type == GEN_BF16 ? "bf16" : "f32", (long long)j->cout,
             (long long)(j->cin / j->d.groups));
    GEN_TRY(p->packed(p, 1, layout, weight_count(j) * gen_dtype_size(j->type), fill_weights, &f,
                      &j->weights));
    p->consumed |= 1u << 1;
    return GEN_OK;
}

static uint64_t reserve(uint64_t *end, bool wanted, uint64_t bytes)
{
    uint64_t at = *end;
    if (wanted)
        *end += (bytes + GEN_CUDNN_ROOM - 1) / GEN_CUDNN_ROOM * GEN_CUDNN_ROOM;
    return at;
}

static void lay_out(gen_prepare *p, conv_job *j)
{
    const gen_conv_dims *d = &j->d;
    uint64_t size = gen_dtype_size(j->type), end = 0;
    bool filter = j->own.way == GEN_CUDA_CONV_FILTER;
    j->at.cudnn = reserve(&end, j->plan != NULL, j->plan ? j->plan->workspace : 0);
    j->at.weights = reserve(&end, !filter && !j->weights, weight_count(j) * size);
    j->at.x = reserve(&end, j->plan && j->cin != d->cin,
                      (uint64_t)(d->n * volume(d->x) * j->cin) * size);
    j->at.y = reserve(&end, j->spread || (j->plan && j->cout != d->cout),
                      (uint64_t)(d->n * volume(d->y) * j->cout) * size);
    j->at.dw = reserve(&end, filter, weight_count(j) * sizeof(float) * (uint64_t)j->own.parts);
    j->at.bias = reserve(&end, j->fused && j->has_bias,
                         (uint64_t)(d->cin > d->cout ? d->cin : d->cout) * sizeof(float));
    p->workspace = end ? end + GEN_CUDNN_ROOM : 0;
}

static void add_launch(gen_prepare *p, bool is_there, double bytes)
{
    p->more.launches += is_there;
    p->more.bytes += is_there ? bytes : 0;
}

/* Launches around the convolution. */
static void count_more(gen_prepare *p, const conv_job *j)
{
    const gen_conv_dims *d = &j->d;
    double size = (double)gen_dtype_size(j->type), cells_x = (double)(d->n * volume(d->x)),
           cells_y = (double)(d->n * volume(d->y)), weights = (double)weight_count(j);
    bool filter = j->own.way == GEN_CUDA_CONV_FILTER;
    bool x_is_result = j->own.way == GEN_CUDA_CONV_DATA;
    bool finished = j->spread || (j->plan && !filter &&
                                  ((finishes(j) && !j->fused) || cuts_result(j)));
    double result = x_is_result ? cells_x * (double)(d->cin + j->cin)
                                : cells_y * (double)(d->cout + j->cout);
    add_launch(p, !filter && !j->weights, 2 * weights * size);
    add_launch(p, filter, 2 * weights * sizeof(float) * j->own.parts);
    add_launch(p, j->plan && j->cin != d->cin && !x_is_result,
               cells_x * (double)(d->cin + j->cin) * size);
    add_launch(p, j->plan && j->cout != d->cout && j->own.way != GEN_CUDA_CONV_FORWARD,
               cells_y * (double)(d->cout + j->cout) * size);
    add_launch(p, finished, result * size);
}

static void free_job(void *job)
{
    conv_job *j = job;
    gen_cudnn_pack_free(&j->pack);
    gen_free(j);
}

/* From the 3x3 convolution to the 2x2 one. */
static void spread_dims(gen_conv_dims *d)
{
    d->cout *= 4;
    for (int i = 1; i < 3; i++) {
        d->up[i] = 1;
        d->kernel[i] = 2;
        d->conv[i] = d->y[i] = d->x[i] + 1;
    }
}

static gen_status describe_node(conv_job *j, const gen_node *n, bool cudnn, bool tf32)
{
    const gen_conv_attr *a = n->attr; /* the first member of the other two ops' attributes */
    j->type = gen_node_dtype(n->in[0]);
    j->d = gen_conv_dims_of(n);
    j->spread = n->op == &gen_op_conv && a->up[0] > 1;
    if (j->spread)
        spread_dims(&j->d);
    j->cin = j->d.cin;
    j->cout = j->d.cout;
    GEN_TRY(check_counts(&j->d));
    set_own(j, n->op == &gen_op_conv             ? GEN_CUDA_CONV_FORWARD
               : n->op == &gen_op_conv_transpose ? GEN_CUDA_CONV_DATA
                                                 : GEN_CUDA_CONV_FILTER);
    j->has_bias = a->has_bias;
    j->has_residual = a->has_residual;
    j->own.act = (int)a->act;
    j->own.slope = (float)a->slope;
    if (cudnn)
        choose_channels(j, tf32);
    j->own.w_cin = (int)(j->cin / j->d.groups);
    return GEN_OK;
}

static gen_status prepare(gen_prepare *p, conv_job *j, bool cudnn)
{
    GEN_TRY(describe_node(j, p->node, cudnn, p->tf32));
    if (cudnn)
        GEN_TRY(find_plan(j, gen_cuda_of(p->backend), p->tf32));
    if (j->own.way != GEN_CUDA_CONV_FILTER && p->is_const[1])
        GEN_TRY(pack_constant(p, j));
    lay_out(p, j);
    count_more(p, j);
    return GEN_OK;
}

static gen_status prepare_job(gen_prepare *p, bool cudnn)
{
    conv_job *j;
    GEN_TRY(GEN_ALLOC(&j, 1, "convolution"));
    gen_status s = prepare(p, j, cudnn);
    if (s == GEN_OK)
        p->state = j;
    else
        free_job(j);
    return s;
}

static gen_status prepare_cudnn(gen_prepare *p)
{
    return prepare_job(p, true);
}

static gen_status prepare_own(gen_prepare *p)
{
    return prepare_job(p, false);
}

gen_status gen_cuda_check_conv(const gen_node *n, bool tf32)
{
    conv_job j = { 0 };
    gen_cudnn_conv form[2];
    gen_cudnn_graph g;
    GEN_TRY(describe_node(&j, n, true, tf32));
    for (int i = forms_of(&j, tf32, form) - 1; i >= 0; i--) {
        gen_status s = gen_cudnn_graph_make(&g, &form[i], NULL);
        gen_cudnn_graph_free(&g);
        if (s != GEN_OK)
            return s;
    }
    return GEN_OK;
}

/* ---- run ------------------------------------------------------------------------------------- */

/* One execution: the tensors where the node has them. */
typedef struct running {
    conv_job *j;
    gen_cuda *cuda;
    const void *x, *w, *y, *residual; /* what is read */
    const float *bias;
    void *to;
    char *room; /* of the workspace */
} running;

static gen_status pack_weights(running *r)
{
    const conv_job *j = r->j;
    int64_t groups = j->d.groups;
    gen_cuda_pack_args a = { .w = r->w,
                             .to = r->room + j->at.weights,
                             .n = (int64_t)weight_count(j),
                             .cout = (int)j->d.cout,
                             .cin = (int)(j->d.cin / groups),
                             .taps = (int)volume(j->d.kernel),
                             .to_cin = (int)(j->cin / groups),
                             .bf16 = j->type == GEN_BF16 };
    GEN_CUDA(gen_cuda_pack_weights(&a, r->cuda->stream));
    r->w = a.to;
    return GEN_OK;
}

/* Sums of conv_dw, in one or several parts, into the node's result. */
static gen_status unpack_weights(const running *r, int parts, int64_t cout, int64_t cin, bool bf16)
{
    const conv_job *j = r->j;
    int64_t groups = j->d.groups, taps = volume(j->d.kernel);
    gen_cuda_unpack_args a = { .from = r->room + j->at.dw,
                               .dw = r->to,
                               .part = cout * taps * (cin / groups),
                               .parts = parts,
                               .cout = (int)j->d.cout,
                               .cin = (int)(j->d.cin / groups),
                               .taps = (int)taps,
                               .from_cin = (int)(cin / groups),
                               .bf16 = bf16 };
    GEN_CUDA(gen_cuda_unpack_weights(&a, r->cuda->stream));
    return GEN_OK;
}

static gen_status pad_channels(const running *r, void **to, const void *from, uint64_t place,
                               int64_t cells, int64_t channels, int64_t padded)
{
    *to = (void *)(uintptr_t)from;
    if (channels == padded)
        return GEN_OK;
    *to = r->room + place;
    gen_cuda_pad_channels_args a = { .from = from,
                                     .to = *to,
                                     .n = cells,
                                     .from_c = (int)channels,
                                     .to_c = (int)padded,
                                     .bf16 = r->j->type == GEN_BF16 };
    GEN_CUDA(gen_cuda_pad_channels(&a, r->cuda->stream));
    return GEN_OK;
}

/* Bias, residual and activation behind a plan that has none of them; cuts padded channels off. */
static gen_status finish(const running *r, const void *from, int64_t cells, int64_t channels,
                         int64_t padded)
{
    const conv_job *j = r->j;
    gen_cuda_finish_args a = { .from = from,
                               .residual = r->residual,
                               .bias = r->bias,
                               .y = r->to,
                               .n = cells,
                               .c = (int)channels,
                               .from_c = (int)padded,
                               .act = j->own.act,
                               .slope = j->own.slope,
                               .bf16 = j->type == GEN_BF16 };
    if (from == r->to && !finishes(j))
        return GEN_OK;
    if (j->spread) {
        a.c /= 4;
        a.h = 2 * (int)j->d.x[1];
        a.w = 2 * (int)j->d.x[2];
        a.n = j->d.n * a.h * a.w;
    }
    GEN_CUDA(gen_cuda_finish(&a, r->cuda->stream));
    return GEN_OK;
}

static gen_status run_own(const running *r)
{
    const conv_job *j = r->j;
    gen_cuda_conv_args a = j->own;
    bool filter = a.way == GEN_CUDA_CONV_FILTER;
    a.x = r->x;
    a.w = r->w;
    a.y = r->y;
    a.to = filter ? r->room + j->at.dw : j->spread ? r->room + j->at.y : r->to;
    a.bias = j->spread ? NULL : r->bias;
    a.residual = j->spread ? NULL : r->residual;
    a.act = j->spread ? GEN_ACT_NONE : a.act;
    GEN_CUDA(gen_cuda_conv(&a, r->cuda->stream));
    if (filter)
        return unpack_weights(r, a.parts, a.cout, a.cin, false);
    return j->spread ? finish(r, a.to, 0, a.cout, a.cout) : GEN_OK;
}

static bool is_aligned(const void *p)
{
    return (uintptr_t)p % GEN_CUDNN_ALIGNMENT == 0;
}

/* cuDNN's plan was made for aligned tensors. Ours may lie anywhere inside larger ones, but for
 * padded copies; a bias is copied where it does. */
static bool can_run_plan(const running *r)
{
    const conv_job *j = r->j;
    int way = j->own.way;
    bool x_copied = j->cin != j->d.cin, y_copied = j->cout != j->d.cout;
    if (j->fused && !is_aligned(r->residual))
        return false;
    return (way == GEN_CUDA_CONV_DATA || x_copied || is_aligned(r->x)) &&
           (way == GEN_CUDA_CONV_FORWARD || y_copied || is_aligned(r->y)) &&
           (way == GEN_CUDA_CONV_FILTER || cuts_result(j) || is_aligned(r->to));
}

static gen_status align_bias(const running *r, void **to)
{
    const conv_job *j = r->j;
    int64_t channels = j->own.way == GEN_CUDA_CONV_FORWARD ? j->d.cout : j->d.cin;
    *to = (void *)(uintptr_t)r->bias;
    if (is_aligned(r->bias))
        return GEN_OK;
    *to = r->room + j->at.bias;
    const gen_far *far = &r->cuda->far;
    return far->copy(far->ctx, *to, r->bias, (uint64_t)channels * sizeof(float));
}

static gen_status run_plan(running *r)
{
    conv_job *j = r->j;
    const gen_conv_dims *d = &j->d;
    int64_t cells_x = d->n * volume(d->x), cells_y = d->n * volume(d->y);
    void *at[GEN_CUDNN_TENSORS] = { NULL };
    int way = j->own.way;
    void *result = !cuts_result(j) ? r->to
                   : way == GEN_CUDA_CONV_FORWARD ? r->room + j->at.y
                   : way == GEN_CUDA_CONV_DATA    ? r->room + j->at.x
                                                  : r->room + j->at.dw;
    at[GEN_CUDNN_X] = at[GEN_CUDNN_Y] = at[GEN_CUDNN_W] = result;
    if (way != GEN_CUDA_CONV_DATA)
        GEN_TRY(pad_channels(r, &at[GEN_CUDNN_X], r->x, j->at.x, cells_x, d->cin, j->cin));
    if (way != GEN_CUDA_CONV_FORWARD)
        GEN_TRY(pad_channels(r, &at[GEN_CUDNN_Y], r->y, j->at.y, cells_y, d->cout, j->cout));
    if (way != GEN_CUDA_CONV_FILTER)
        at[GEN_CUDNN_W] = (void *)(uintptr_t)r->w;
    if (j->fused) {
        GEN_TRY(align_bias(r, &at[GEN_CUDNN_BIAS]));
        at[GEN_CUDNN_RESIDUAL] = (void *)(uintptr_t)r->residual;
    }
    GEN_TRY(gen_cudnn_run(r->cuda, j->plan, &j->pack, at, r->room + j->at.cudnn));
    if (way == GEN_CUDA_CONV_FILTER)
        return unpack_weights(r, 1, j->cout, j->cin, j->plan->conv.to == GEN_BF16);
    if (j->fused)
        return GEN_OK;
    return way == GEN_CUDA_CONV_FORWARD ? finish(r, result, cells_y, d->cout, j->cout)
                                        : finish(r, result, cells_x, d->cin, j->cin);
}

static gen_status run_job(void *state, const void *const in[], void *const out[], void *workspace,
                          gen_backend *b)
{
    conv_job *j = state;
    int way = j->own.way;
    uintptr_t room = ((uintptr_t)workspace + GEN_CUDNN_ROOM - 1) / GEN_CUDNN_ROOM * GEN_CUDNN_ROOM;
    running r = { .j = j, .cuda = gen_cuda_of(b), .to = out[0], .room = (char *)room };
    r.x = way == GEN_CUDA_CONV_DATA ? NULL : in[0];
    r.y = way == GEN_CUDA_CONV_DATA ? in[0] : way == GEN_CUDA_CONV_FILTER ? in[1] : NULL;
    if (way != GEN_CUDA_CONV_FILTER) {
        r.w = j->weights ? j->weights : in[1];
        r.bias = j->has_bias ? in[2] : NULL;
        r.residual = j->has_residual ? in[2 + j->has_bias] : NULL;
        if (!j->weights)
            GEN_TRY(pack_weights(&r));
    }
    return j->plan && can_run_plan(&r) ? run_plan(&r) : run_own(&r);
}

/* ---- kernels --------------------------------------------------------------------------------- */

/* A residual in the result's place is read by the thread that writes it; cuDNN promises no such
 * thing. */
#define KERNELS(op_, which, flags_)                                                                \
    static const gen_kernel cudnn_##op_##_kernel = { .name = "cudnn/" #op_, .op = &gen_op_##op_,   \
                                                     .accepts = accepts_##which,                   \
                                                     .prepare = prepare_cudnn, .run = run_job,     \
                                                     .free = free_job };                           \
    static const gen_kernel own_##op_##_kernel = { .name = "cuda/" #op_, .op = &gen_op_##op_,      \
                                                   .accepts = accepts_##which,                     \
                                                   .prepare = prepare_own, .run = run_job,         \
                                                   .free = free_job, .flags = flags_ };
KERNELS(conv, conv, GEN_KERNEL_RESIDUAL_IN_PLACE)
KERNELS(conv_transpose, transpose, 0)
KERNELS(conv_dw, dw, 0)
#undef KERNELS

const gen_kernel *const gen_cuda_conv_kernels[] = {
    &cudnn_conv_kernel,           &own_conv_kernel,
    &cudnn_conv_transpose_kernel, &own_conv_transpose_kernel,
    &cudnn_conv_dw_kernel,        &own_conv_dw_kernel,
    NULL,
};
