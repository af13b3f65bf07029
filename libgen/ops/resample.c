/* SPDX-License-Identifier: Apache-2.0
 *
 * Changing the grid of channels-last images: nearest up-sampling, average and max pooling in 1 to 3
 * dimensions with their adjoints, and 2-D blocks to channels and back.
 *
 * A pooling window never lies wholly in the padding: padding is smaller than the kernel, and sizes
 * round down (PyTorch with ceil_mode off). Of equal largest cells the first, in memory order, takes
 * the gradient.
 */
#include "libgen/ops/shape_rules.h"

#include <math.h>
#include <string.h>

#define MAX_FACTOR (1 << 20)

/* Spatial sizes of a pooling or up-sampling, as (D,H,W). */
typedef struct dims {
    int64_t n, c, x[3], y[3]; /* x is the fine side, y the coarse side */
    int64_t kernel[3], stride[3], pad_lo[3], pad_hi[3];
} dims;

static gen_status check_range(const int64_t v[3], const char *what, int64_t min)
{
    for (int i = 0; i < 3; i++)
        if (v[i] < min || v[i] > MAX_FACTOR)
            return gen_fail(GEN_EINVAL, "%s is %lld, expected %lld to %d", what, (long long)v[i],
                            (long long)min, MAX_FACTOR);
    return GEN_OK;
}

/* ---- upsample -------------------------------------------------------------------------------- */

static const gen_option upsample_options[] = {
    { GEN_OPT_INT3, "factor", .offset = offsetof(gen_upsample_attr, factor), .preset = 1 },
    { GEN_OPT_END },
};

static gen_status upsample_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    const gen_upsample_attr *a = n->attr;
    int axes;
    GEN_TRY(gen_rule_same(n, shape, dtype));
    GEN_TRY(gen_rule_image(shape[0], "x", &axes));
    GEN_TRY(check_range(a->factor, "factor", 1));
    for (int i = 0; i < axes; i++)
        shape[0].dim[1 + i] *= a->factor[i];
    return GEN_OK;
}

/* The sum over each block. */
static void upsample_grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                          gen_node *dx[])
{
    const gen_upsample_attr *a = n->attr;
    gen_pool_attr pool = { 0 };
    if (!needs[0])
        return;
    memcpy(pool.kernel, a->factor, sizeof pool.kernel);
    dx[0] = gen_affine(g, gen_avg_pool(g, dy[0], &pool),
                       (double)(a->factor[0] * a->factor[1] * a->factor[2]), 0);
}

static void upsample_ref(const gen_node *n, const double *const in[], double *const out[])
{
    const gen_upsample_attr *a = n->attr;
    gen_shape x = gen_node_shape(n->in[0]);
    int axes = x.rank - 2;
    int64_t c = x.dim[x.rank - 1], size[3], f[3], at[3];
    double *y = out[0];
    gen_rule_align(size, x.dim + 1, axes, 1);
    gen_rule_align(f, a->factor, axes, 1);
    for (int64_t i = 0; i < x.dim[0]; i++)
        for (at[0] = 0; at[0] < size[0] * f[0]; at[0]++)
            for (at[1] = 0; at[1] < size[1] * f[1]; at[1]++) {
                int64_t row = (i * size[0] + at[0] / f[0]) * size[1] + at[1] / f[1];
                for (at[2] = 0; at[2] < size[2] * f[2]; at[2]++, y += c)
                    memcpy(y, in[0] + (row * size[2] + at[2] / f[2]) * c, (size_t)c * sizeof *y);
            }
}

const gen_op gen_op_upsample = {
    .name = "upsample",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(gen_upsample_attr),
    .attrs = upsample_options,
    .infer = upsample_infer,
    .grad = upsample_grad,
    .ref = upsample_ref,
};

gen_node *gen_upsample(gen_graph *g, gen_node *x, const int64_t factor[3])
{
    gen_upsample_attr a;
    memcpy(a.factor, factor, sizeof a.factor);
    gen_rule_triple(a.factor, gen_node_shape(x).rank - 2, 1, 1);
    return gen_node_add(g, &gen_op_upsample, &a, &x, 1);
}

/* ---- pooling: attributes and shapes ---------------------------------------------------------- */

#define FIELD(f) offsetof(gen_pool_attr, f)
static const gen_option pool_options[] = {
    { GEN_OPT_INT3, "kernel", .offset = FIELD(kernel), .preset = 1 },
    { GEN_OPT_INT3, "stride", .offset = FIELD(stride), .preset = 1 },
    { GEN_OPT_INT3, "pad_lo", .offset = FIELD(pad_lo) },
    { GEN_OPT_INT3, "pad_hi", .offset = FIELD(pad_hi) },
    { GEN_OPT_FLAG, "exclude_pad", .offset = FIELD(exclude_pad) },
    { GEN_OPT_END },
};

static gen_pool_attr canonical(const gen_pool_attr *attr, const gen_node *x)
{
    gen_pool_attr a = *attr;
    int axes = gen_node_shape(x).rank - 2;
    gen_rule_triple(a.kernel, axes, 1, 1);
    for (int i = 0; i < 3; i++)
        if (a.stride[i] == 0)
            a.stride[i] = a.kernel[i];
    gen_rule_triple(a.stride, axes, 1, 1);
    gen_rule_triple(a.pad_lo, axes, 0, 0);
    gen_rule_triple(a.pad_hi, axes, 0, 0);
    a.exclude_pad = a.exclude_pad != 0;
    return a;
}

/* The coarse sizes y for the fine sizes x. */
static gen_status pool_sizes(const gen_pool_attr *a, gen_shape x, gen_shape *y)
{
    char text[GEN_SHAPE_TEXT];
    int axes;
    GEN_TRY(gen_rule_image(x, "x", &axes));
    GEN_TRY(check_range(a->kernel, "kernel", 1));
    GEN_TRY(check_range(a->stride, "stride", 1));
    GEN_TRY(check_range(a->pad_lo, "padding before", 0));
    GEN_TRY(check_range(a->pad_hi, "padding after", 0));
    *y = x;
    for (int i = 0; i < axes; i++) {
        if (a->pad_lo[i] >= a->kernel[i] || a->pad_hi[i] >= a->kernel[i])
            return gen_fail(GEN_EINVAL, "padding %lld+%lld, expected less than the kernel's %lld",
                            (long long)a->pad_lo[i], (long long)a->pad_hi[i],
                            (long long)a->kernel[i]);
        y->dim[1 + i] = gen_rule_window(x.dim[1 + i], a->pad_lo[i], a->pad_hi[i], a->kernel[i],
                                        a->stride[i], 1);
        if (y->dim[1 + i] < 1)
            return gen_fail(GEN_EINVAL, "x is %s: its axis %d is too small for kernel %lld, "
                            "padding %lld+%lld", gen_shape_text(x, text), 1 + i,
                            (long long)a->kernel[i], (long long)a->pad_lo[i],
                            (long long)a->pad_hi[i]);
    }
    return GEN_OK;
}

static gen_status pool_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    GEN_TRY(gen_rule_float(n, 0, "x"));
    GEN_TRY(gen_rule_same(n, shape, dtype));
    return pool_sizes(n->attr, gen_node_shape(n->in[0]), &shape[0]);
}

/* The adjoints: the last input is dy, size[] are those of x. */
static gen_status pool_dx_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    const gen_pool_dx_attr *a = n->attr;
    gen_shape dy = gen_node_shape(n->in[n->n_in - 1]), x = dy, y;
    char found[GEN_SHAPE_TEXT], expected[GEN_SHAPE_TEXT];
    int axes;
    GEN_TRY(gen_rule_float(n, n->n_in - 1, "dy"));
    GEN_TRY(gen_rule_image(dy, "dy", &axes));
    for (int i = 0; i < axes; i++)
        x.dim[1 + i] = a->size[i];
    GEN_TRY(pool_sizes(&a->pool, x, &y));
    if (!gen_shape_equal(dy, y))
        return gen_fail(GEN_EINVAL, "dy is %s, expected %s", gen_shape_text(dy, found),
                        gen_shape_text(y, expected));
    if (n->n_in == 2 && !gen_shape_equal(gen_node_shape(n->in[0]), x))
        return gen_fail(GEN_EINVAL, "x is %s, expected %s",
                        gen_shape_text(gen_node_shape(n->in[0]), found),
                        gen_shape_text(x, expected));
    shape[0] = x;
    dtype[0] = gen_node_dtype(n->in[n->n_in - 1]);
    return GEN_OK;
}

static dims dims_of(const gen_pool_attr *a, gen_shape x, gen_shape y)
{
    dims d = { .n = x.dim[0], .c = x.dim[x.rank - 1] };
    int axes = x.rank - 2;
    gen_rule_align(d.x, x.dim + 1, axes, 1);
    gen_rule_align(d.y, y.dim + 1, axes, 1);
    gen_rule_align(d.kernel, a->kernel, axes, 1);
    gen_rule_align(d.stride, a->stride, axes, 1);
    gen_rule_align(d.pad_lo, a->pad_lo, axes, 0);
    gen_rule_align(d.pad_hi, a->pad_hi, axes, 0);
    return d;
}

/* ---- pooling: windows ------------------------------------------------------------------------ */

/* The cells of x under one cell of y, clipped to x. */
typedef struct window {
    int64_t y;            /* cell of y, counted over all images */
    int64_t first;        /* cell (0,0,0) of this image in x */
    int64_t lo[3], hi[3]; /* cells of x inside */
} window;

typedef void window_fn(const dims *d, const window *w, void *ctx);

static void clip(const dims *d, int axis, int64_t at, window *w)
{
    int64_t lo = at * d->stride[axis] - d->pad_lo[axis], hi = lo + d->kernel[axis];
    w->lo[axis] = lo < 0 ? 0 : lo;
    w->hi[axis] = hi > d->x[axis] ? d->x[axis] : hi;
}

static void each_window(const dims *d, window_fn *fn, void *ctx)
{
    window w = { 0 };
    for (int64_t n = 0; n < d->n; n++) {
        w.first = n * d->x[0] * d->x[1] * d->x[2];
        for (int64_t i = 0; i < d->y[0]; i++) {
            clip(d, 0, i, &w);
            for (int64_t j = 0; j < d->y[1]; j++) {
                clip(d, 1, j, &w);
                for (int64_t k = 0; k < d->y[2]; k++, w.y++) {
                    clip(d, 2, k, &w);
                    fn(d, &w, ctx);
                }
            }
        }
    }
}

/* The next cell of the window after `at` (start with at = lo); false after the last. */
static bool next_cell(const window *w, int64_t at[3])
{
    for (int i = 2; i >= 0; i--) {
        if (++at[i] < w->hi[i])
            return true;
        at[i] = w->lo[i];
    }
    return false;
}

static int64_t cell(const dims *d, const window *w, const int64_t at[3])
{
    return w->first + (at[0] * d->x[1] + at[1]) * d->x[2] + at[2];
}

typedef struct buffers {
    const double *x, *dy;
    double *y, *dx;
    bool exclude_pad;
} buffers;

static double divisor(const dims *d, const window *w, bool exclude_pad)
{
    double count = 1;
    for (int i = 0; i < 3; i++)
        count *= (double)(exclude_pad ? w->hi[i] - w->lo[i] : d->kernel[i]);
    return count;
}

static void avg_window(const dims *d, const window *w, void *ctx)
{
    buffers *b = ctx;
    double *y = b->y + w->y * d->c, by = 1 / divisor(d, w, b->exclude_pad);
    int64_t at[3] = { w->lo[0], w->lo[1], w->lo[2] };
    memset(y, 0, (size_t)d->c * sizeof *y);
    do {
        const double *x = b->x + cell(d, w, at) * d->c;
        for (int64_t c = 0; c < d->c; c++)
            y[c] += x[c];
    } while (next_cell(w, at));
    for (int64_t c = 0; c < d->c; c++)
        y[c] *= by;
}

static void avg_dx_window(const dims *d, const window *w, void *ctx)
{
    buffers *b = ctx;
    const double *dy = b->dy + w->y * d->c;
    double by = 1 / divisor(d, w, b->exclude_pad);
    int64_t at[3] = { w->lo[0], w->lo[1], w->lo[2] };
    do {
        double *dx = b->dx + cell(d, w, at) * d->c;
        for (int64_t c = 0; c < d->c; c++)
            dx[c] += dy[c] * by;
    } while (next_cell(w, at));
}

/* NaN counts as larger than anything, as in PyTorch, so that it is not hidden. */
static void max_window(const dims *d, const window *w, void *ctx)
{
    buffers *b = ctx;
    double *y = b->y + w->y * d->c;
    int64_t at[3] = { w->lo[0], w->lo[1], w->lo[2] };
    memcpy(y, b->x + cell(d, w, at) * d->c, (size_t)d->c * sizeof *y);
    while (next_cell(w, at)) {
        const double *x = b->x + cell(d, w, at) * d->c;
        for (int64_t c = 0; c < d->c; c++)
            if (x[c] > y[c] || isnan(x[c]))
                y[c] = x[c];
    }
}

static void max_dx_window(const dims *d, const window *w, void *ctx)
{
    buffers *b = ctx;
    for (int64_t c = 0; c < d->c; c++) {
        int64_t at[3] = { w->lo[0], w->lo[1], w->lo[2] };
        int64_t best = cell(d, w, at);
        while (next_cell(w, at)) {
            int64_t i = cell(d, w, at);
            if (b->x[i * d->c + c] > b->x[best * d->c + c] || isnan(b->x[i * d->c + c]))
                best = i;
        }
        b->dx[best * d->c + c] += b->dy[w->y * d->c + c];
    }
}

/* ---- pooling: ops ---------------------------------------------------------------------------- */

static void avg_ref(const gen_node *n, const double *const in[], double *const out[])
{
    const gen_pool_attr *a = n->attr;
    dims d = dims_of(a, gen_node_shape(n->in[0]), n->shape[0]);
    each_window(&d, avg_window,
                &(buffers){ .x = in[0], .y = out[0], .exclude_pad = a->exclude_pad });
}

static void max_ref(const gen_node *n, const double *const in[], double *const out[])
{
    dims d = dims_of(n->attr, gen_node_shape(n->in[0]), n->shape[0]);
    each_window(&d, max_window, &(buffers){ .x = in[0], .y = out[0] });
}

static void avg_dx_ref(const gen_node *n, const double *const in[], double *const out[])
{
    const gen_pool_dx_attr *a = n->attr;
    dims d = dims_of(&a->pool, n->shape[0], gen_node_shape(n->in[0]));
    memset(out[0], 0, (size_t)gen_shape_count(n->shape[0]) * sizeof(double));
    each_window(&d, avg_dx_window,
                &(buffers){ .dy = in[0], .dx = out[0], .exclude_pad = a->pool.exclude_pad });
}

static void max_dx_ref(const gen_node *n, const double *const in[], double *const out[])
{
    const gen_pool_dx_attr *a = n->attr;
    dims d = dims_of(&a->pool, n->shape[0], gen_node_shape(n->in[1]));
    memset(out[0], 0, (size_t)gen_shape_count(n->shape[0]) * sizeof(double));
    each_window(&d, max_dx_window, &(buffers){ .x = in[0], .dy = in[1], .dx = out[0] });
}

/* Both gradients: the adjoint op on (x,) dy. */
static void pool_grad(gen_graph *g, gen_node *n, gen_node *dy, const gen_op *adjoint, bool takes_x,
                      gen_node **dx)
{
    gen_shape x = gen_node_shape(n->in[0]);
    gen_pool_dx_attr a = { .pool = *(const gen_pool_attr *)n->attr };
    gen_node *in[2] = { takes_x ? n->in[0] : dy, dy };
    memcpy(a.size, x.dim + 1, sizeof a.size);
    gen_rule_triple(a.size, x.rank - 2, 0, 1);
    *dx = gen_node_add(g, adjoint, &a, in, takes_x ? 2 : 1);
}

static void avg_grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                     gen_node *dx[])
{
    if (needs[0])
        pool_grad(g, n, dy[0], &gen_op_avg_pool_dx, false, &dx[0]);
}

static void max_grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                     gen_node *dx[])
{
    if (needs[0])
        pool_grad(g, n, dy[0], &gen_op_max_pool_dx, true, &dx[0]);
}

/* One operation for each cell of each window; serves the adjoints too. */
static gen_cost pool_cost(const gen_node *n)
{
    const gen_pool_attr *a = n->attr; /* first member of gen_pool_dx_attr */
    bool adjoint = n->op == &gen_op_avg_pool_dx || n->op == &gen_op_max_pool_dx;
    gen_shape y = adjoint ? gen_node_shape(n->in[n->n_in - 1]) : n->shape[0];
    double volume = (double)a->kernel[0] * (double)a->kernel[1] * (double)a->kernel[2];
    return (gen_cost){ .flops = volume * (double)gen_shape_count(y) };
}

const gen_op gen_op_avg_pool = {
    .name = "avg_pool",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(gen_pool_attr),
    .attrs = pool_options,
    .infer = pool_infer,
    .grad = avg_grad,
    .ref = avg_ref,
    .cost = pool_cost,
};

const gen_op gen_op_max_pool = {
    .name = "max_pool",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(gen_pool_attr),
    .attrs = pool_options,
    .infer = pool_infer,
    .grad = max_grad,
    .ref = max_ref,
    .cost = pool_cost,
};

const gen_op gen_op_avg_pool_dx = {
    .name = "avg_pool_dx",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(gen_pool_dx_attr),
    .attrs = pool_options,
    .infer = pool_dx_infer,
    .ref = avg_dx_ref,
    .cost = pool_cost,
};

const gen_op gen_op_max_pool_dx = {
    .name = "max_pool_dx",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attr_size = sizeof(gen_pool_dx_attr),
    .attrs = pool_options,
    .infer = pool_dx_infer,
    .ref = max_dx_ref,
    .cost = pool_cost,
};

gen_node *gen_avg_pool(gen_graph *g, gen_node *x, const gen_pool_attr *attr)
{
    gen_pool_attr a = canonical(attr, x);
    return gen_node_add(g, &gen_op_avg_pool, &a, &x, 1);
}

gen_node *gen_max_pool(gen_graph *g, gen_node *x, const gen_pool_attr *attr)
{
    gen_pool_attr a = canonical(attr, x);
    a.exclude_pad = 0;
    return gen_node_add(g, &gen_op_max_pool, &a, &x, 1);
}
