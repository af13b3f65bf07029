/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolution and its two adjoints, in 1 to 3 dimensions: conv (x, w -> y), conv_transpose (y, w
 * -> x) and conv_dw (x, y -> w). Written as one linear map they share everything: for each tap k
 * of the kernel, a list of pairs (cell of x, cell of y), so one walker serves the three
 * references.
 *
 * Padding is counted on the up-sampled x, and pooling drops a last incomplete block, as
 * gen_avg_pool does. The fused form (up, pool, act, residual) is what the plan makes; it has no
 * gradient.
 */
#include "libgen/ops/shape_rules.h"

#include <string.h>

#define MAX_FACTOR (1 << 20)

#define FIELD(f) offsetof(gen_conv_attr, f)
static const gen_option conv_options[] = {
    { GEN_OPT_INT3, "stride", .offset = FIELD(stride), .preset = 1 },
    { GEN_OPT_INT3, "dilation", .offset = FIELD(dilation), .preset = 1 },
    { GEN_OPT_INT3, "pad_lo", .offset = FIELD(pad_lo) },
    { GEN_OPT_INT3, "pad_hi", .offset = FIELD(pad_hi) },
    { GEN_OPT_INT, "groups", .offset = FIELD(groups), .preset = 1 },
    { GEN_OPT_INT3, "up", .offset = FIELD(up), .preset = 1 },
    { GEN_OPT_INT3, "pool", .offset = FIELD(pool), .preset = 1 },
    { GEN_OPT_CHOICE, "act", .offset = FIELD(act), .choices = "none|relu|leaky_relu|sigmoid|tanh" },
    { GEN_OPT_REAL, "slope", .offset = FIELD(slope) },
    { GEN_OPT_FLAG, "bias", .offset = FIELD(has_bias) },
    { GEN_OPT_FLAG, "residual", .offset = FIELD(has_residual) },
    { GEN_OPT_END },
};

/* ---- attributes and shapes ------------------------------------------------------------------- */

static gen_conv_attr canonical(const gen_conv_attr *attr, const gen_node *image)
{
    gen_conv_attr a = { 0 };
    int axes = gen_node_shape(image).rank - 2;
    if (attr)
        a = *attr;
    gen_rule_triple(a.stride, axes, 1, 1);
    gen_rule_triple(a.dilation, axes, 1, 1);
    gen_rule_triple(a.pad_lo, axes, 0, 0);
    gen_rule_triple(a.pad_hi, axes, 0, 0);
    gen_rule_triple(a.up, axes, 1, 1);
    gen_rule_triple(a.pool, axes, 1, 1);
    if (a.groups == 0)
        a.groups = 1;
    if (a.act != GEN_ACT_LEAKY_RELU)
        a.slope = 0;
    a.has_bias = a.has_residual = 0;
    return a;
}

static bool is_fused(const gen_conv_attr *a)
{
    for (int i = 0; i < 3; i++)
        if (a->up[i] != 1 || a->pool[i] != 1)
            return true;
    return a->act != GEN_ACT_NONE || a->has_residual;
}

static gen_status check_range(const int64_t v[3], const char *what, int64_t min)
{
    for (int i = 0; i < 3; i++)
        if (v[i] < min || v[i] > MAX_FACTOR)
            return gen_fail(GEN_EINVAL, "%s is %lld, expected %lld to %d", what, (long long)v[i],
                            (long long)min, MAX_FACTOR);
    return GEN_OK;
}

static gen_status check_attr(const gen_conv_attr *a)
{
    GEN_TRY(check_range(a->stride, "stride", 1));
    GEN_TRY(check_range(a->dilation, "dilation", 1));
    GEN_TRY(check_range(a->pad_lo, "padding before", 0));
    GEN_TRY(check_range(a->pad_hi, "padding after", 0));
    GEN_TRY(check_range(a->up, "up", 1));
    GEN_TRY(check_range(a->pool, "pool", 1));
    if (a->act < GEN_ACT_NONE || a->act > GEN_ACT_TANH)
        return gen_fail(GEN_EINVAL, "activation is %lld, expected 0 to %d", (long long)a->act,
                        GEN_ACT_TANH);
    if (a->groups < 1)
        return gen_fail(GEN_EINVAL, "groups is %lld, expected 1 or more", (long long)a->groups);
    return GEN_OK;
}

/* Channels of x and y [.., C] against w [Cout,Cin/groups,*k] and the groups. */
static gen_status check_weight(gen_shape w, int axes, int64_t cin, int64_t cout, int64_t groups)
{
    char text[GEN_SHAPE_TEXT];
    if (w.rank != axes + 2)
        return gen_fail(GEN_EINVAL, "weight is %s, expected rank %d ([Cout,Cin/groups,*kernel])",
                        gen_shape_text(w, text), axes + 2);
    if (cin % groups || cout % groups)
        return gen_fail(GEN_EINVAL, "%lld to %lld channels cannot be cut into %lld groups",
                        (long long)cin, (long long)cout, (long long)groups);
    if (w.dim[0] != cout || w.dim[1] != cin / groups)
        return gen_fail(GEN_EINVAL, "weight is %s, expected [%lld,%lld,...] for %lld to %lld "
                        "channels in %lld groups", gen_shape_text(w, text), (long long)cout,
                        (long long)(cin / groups), (long long)cin, (long long)cout,
                        (long long)groups);
    for (int i = 0; i < axes; i++)
        if (w.dim[2 + i] > MAX_FACTOR)
            return gen_fail(GEN_EINVAL, "weight is %s, expected a smaller kernel",
                            gen_shape_text(w, text));
    return GEN_OK;
}

/* Spatial sizes y of the convolution of x by a kernel: written to dim[1..axes] of `y`. */
static gen_status result_sizes(gen_shape x, const int64_t *kernel, const gen_conv_attr *a,
                               gen_shape *y)
{
    char text[GEN_SHAPE_TEXT];
    for (int i = 0; i < x.rank - 2; i++) {
        y->dim[1 + i] = gen_rule_window(x.dim[1 + i] * a->up[i], a->pad_lo[i], a->pad_hi[i],
                                        kernel[i], a->stride[i], a->dilation[i]) / a->pool[i];
        if (y->dim[1 + i] < 1)
            return gen_fail(GEN_EINVAL, "x is %s: its axis %d is too small for kernel %lld, "
                            "dilation %lld, padding %lld+%lld, pool %lld",
                            gen_shape_text(x, text), 1 + i, (long long)kernel[i],
                            (long long)a->dilation[i], (long long)a->pad_lo[i],
                            (long long)a->pad_hi[i], (long long)a->pool[i]);
    }
    return GEN_OK;
}

static gen_status conv_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    const gen_conv_attr *a = n->attr;
    gen_shape x = gen_node_shape(n->in[0]), w = gen_node_shape(n->in[1]), y = x;
    char found[GEN_SHAPE_TEXT], expected[GEN_SHAPE_TEXT];
    int axes;
    GEN_TRY(gen_rule_image(x, "x", &axes));
    GEN_TRY(gen_rule_float(n, 0, "x"));
    GEN_TRY(gen_rule_float(n, 1, "weight"));
    GEN_TRY(check_attr(a));
    GEN_TRY(check_weight(w, axes, x.dim[x.rank - 1], w.rank ? w.dim[0] : 0, a->groups));
    GEN_TRY(result_sizes(x, w.dim + 2, a, &y));
    y.dim[y.rank - 1] = w.dim[0];
    if (a->has_bias)
        GEN_TRY(gen_rule_vector(gen_node_shape(n->in[2]), w.dim[0], "bias"));
    if (a->has_residual) {
        gen_shape r = gen_node_shape(n->in[2 + a->has_bias]);
        if (!gen_shape_equal(r, y))
            return gen_fail(GEN_EINVAL, "residual is %s, expected %s as the result",
                            gen_shape_text(r, found), gen_shape_text(y, expected));
    }
    shape[0] = y;
    dtype[0] = gen_node_dtype(n->in[0]);
    return GEN_OK;
}

static gen_status transpose_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    const gen_conv_transpose_attr *a = n->attr;
    gen_shape y = gen_node_shape(n->in[0]), w = gen_node_shape(n->in[1]), x = y, back = y;
    char found[GEN_SHAPE_TEXT], from[GEN_SHAPE_TEXT], expected[GEN_SHAPE_TEXT];
    int axes;
    GEN_TRY(gen_rule_image(y, "y", &axes));
    GEN_TRY(gen_rule_float(n, 0, "y"));
    GEN_TRY(gen_rule_float(n, 1, "weight"));
    GEN_TRY(check_attr(&a->conv));
    if (is_fused(&a->conv))
        return gen_fail(GEN_EINVAL, "up, pool, activation and residual must not be set");
    x.dim[x.rank - 1] = w.rank > 1 ? w.dim[1] * a->conv.groups : 0;
    for (int i = 0; i < axes; i++)
        x.dim[1 + i] = a->size[i];
    GEN_TRY(check_weight(w, axes, x.dim[x.rank - 1], y.dim[y.rank - 1], a->conv.groups));
    if (gen_shape_count(x) < 1)
        return gen_fail(GEN_EINVAL, "result would be %s, expected sizes of 1 or more",
                        gen_shape_text(x, found));
    GEN_TRY(gen_rule_image(x, "the result", &axes));
    GEN_TRY(result_sizes(x, w.dim + 2, &a->conv, &back));
    if (!gen_shape_equal(back, y))
        return gen_fail(GEN_EINVAL, "y is %s, expected %s, what the convolution of %s gives",
                        gen_shape_text(y, found), gen_shape_text(back, expected),
                        gen_shape_text(x, from));
    if (a->conv.has_bias)
        GEN_TRY(gen_rule_vector(gen_node_shape(n->in[2]), x.dim[x.rank - 1], "bias"));
    shape[0] = x;
    dtype[0] = gen_node_dtype(n->in[0]);
    return GEN_OK;
}

static gen_status dw_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    const gen_conv_dw_attr *a = n->attr;
    gen_shape x = gen_node_shape(n->in[0]), dy = gen_node_shape(n->in[1]), y = x;
    gen_shape w = { .rank = x.rank };
    char found[GEN_SHAPE_TEXT], expected[GEN_SHAPE_TEXT];
    int axes;
    GEN_TRY(gen_rule_image(x, "x", &axes));
    GEN_TRY(gen_rule_float(n, 0, "x"));
    GEN_TRY(gen_rule_float(n, 1, "dy"));
    GEN_TRY(check_attr(&a->conv));
    GEN_TRY(check_range(a->kernel, "kernel", 1));
    if (is_fused(&a->conv))
        return gen_fail(GEN_EINVAL, "up, pool, activation and residual must not be set");
    GEN_TRY(result_sizes(x, a->kernel, &a->conv, &y));
    y.dim[y.rank - 1] = dy.rank ? dy.dim[dy.rank - 1] : 0;
    if (!gen_shape_equal(dy, y))
        return gen_fail(GEN_EINVAL, "dy is %s, expected %s", gen_shape_text(dy, found),
                        gen_shape_text(y, expected));
    w.dim[0] = y.dim[y.rank - 1];
    w.dim[1] = x.dim[x.rank - 1] / a->conv.groups;
    memcpy(w.dim + 2, a->kernel, (size_t)axes * sizeof w.dim[0]);
    GEN_TRY(check_weight(w, axes, x.dim[x.rank - 1], w.dim[0], a->conv.groups));
    shape[0] = w;
    dtype[0] = gen_node_dtype(n->in[0]) == GEN_F64 ? GEN_F64 : GEN_F32;
    return GEN_OK;
}

/* ---- gradients ------------------------------------------------------------------------------- */

static void conv_grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                      gen_node *dx[])
{
    const gen_conv_attr *a = n->attr;
    gen_shape x = gen_node_shape(n->in[0]), w = gen_node_shape(n->in[1]);
    if (is_fused(a)) {
        gen_graph_fail(g, "conv", "the fused form has no gradient; take it of the unfused graph");
        return;
    }
    if (needs[0])
        dx[0] = gen_conv_transpose(g, dy[0], n->in[1], NULL, x.dim + 1, a);
    if (needs[1])
        dx[1] = gen_conv_dw(g, n->in[0], dy[0], w.dim + 2, a);
    if (a->has_bias && needs[2])
        dx[2] = gen_sum_to(g, dy[0], gen_node_shape(n->in[2]));
}

/* conv_transpose is linear in y and in w; dy[0] has the shape of x. */
static void transpose_grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                           gen_node *dx[])
{
    const gen_conv_transpose_attr *a = n->attr;
    gen_shape w = gen_node_shape(n->in[1]);
    if (needs[0])
        dx[0] = gen_conv(g, dy[0], n->in[1], NULL, &a->conv);
    if (needs[1])
        dx[1] = gen_conv_dw(g, dy[0], n->in[0], w.dim + 2, &a->conv);
    if (a->conv.has_bias && needs[2])
        dx[2] = gen_sum_to(g, dy[0], gen_node_shape(n->in[2]));
}

/* ---- reference ------------------------------------------------------------------------------- */

/* One row of conv's positions along the innermost axis: cell p of the convolution takes cell
 * (p * stride + offset) / up of the row of x, and goes to cell p / pool of the row of y. */
typedef struct row {
    int64_t x, y;   /* first cells of the rows, counted in cells */
    int64_t lo, hi; /* positions p whose cell of x exists */
    int64_t offset;
} row;

typedef void row_fn(const gen_conv_dims *d, const row *r, void *ctx);

/* Positions along one axis for which tap k falls inside x. */
static void tap_range(const gen_conv_dims *d, int axis, int64_t k, int64_t *lo, int64_t *hi)
{
    int64_t s = d->stride[axis], offset = k * d->dilation[axis] - d->pad_lo[axis];
    int64_t last = d->x[axis] * d->up[axis] - 1 - offset;
    int64_t end = d->y[axis] * d->pool[axis];
    *lo = offset < 0 ? (-offset + s - 1) / s : 0;
    *hi = last < 0 ? 0 : last / s + 1;
    if (*hi > end)
        *hi = end;
}

static int64_t source_cell(const gen_conv_dims *d, int axis, int64_t k, int64_t p)
{
    return (p * d->stride[axis] + k * d->dilation[axis] - d->pad_lo[axis]) / d->up[axis];
}

/* Calls fn for every row of pairs that tap k joins. */
static void walk_tap(const gen_conv_dims *d, const int64_t k[3], row_fn *fn, void *ctx)
{
    int64_t lo[3], hi[3];
    row r;
    for (int i = 0; i < 3; i++)
        tap_range(d, i, k[i], &lo[i], &hi[i]);
    r.lo = lo[2];
    r.hi = hi[2];
    r.offset = k[2] * d->dilation[2] - d->pad_lo[2];
    for (int64_t n = 0; n < d->n; n++) {
        for (int64_t p = lo[0]; p < hi[0]; p++) {
            int64_t xd = n * d->x[0] + source_cell(d, 0, k[0], p);
            int64_t yd = n * d->y[0] + p / d->pool[0];
            for (int64_t q = lo[1]; q < hi[1]; q++) {
                r.x = (xd * d->x[1] + source_cell(d, 1, k[1], q)) * d->x[2];
                r.y = (yd * d->y[1] + q / d->pool[1]) * d->y[2];
                fn(d, &r, ctx);
            }
        }
    }
}

enum { FROM = 32, TO = 16 }; /* channels of a tile of weights; TO is a fixed trip count */

typedef struct tile {
    double w[FROM][TO]; /* one tap: from-channel, to-channel; zeros behind the last */
    const double *x, *y;
    double *to;            /* x or y, the one that is computed; NULL for conv_dw */
    int64_t x_c, y_c;      /* first channel in x and y */
    int64_t n_from, n_to;
} tile;

/* to[j] += sum over i of from[i] * w[i][j]. */
static void multiply(const double *from, int64_t n_from, double w[FROM][TO], double *to,
                     int64_t n_to)
{
    double sum[TO] = { 0 };
    for (int64_t i = 0; i < n_from; i++)
        for (int j = 0; j < TO; j++)
            sum[j] += from[i] * w[i][j];
    for (int64_t j = 0; j < n_to; j++)
        to[j] += sum[j];
}

static void forward_row(const gen_conv_dims *d, const row *r, void *ctx)
{
    tile *t = ctx;
    for (int64_t p = r->lo; p < r->hi; p++) {
        int64_t x = r->x + (p * d->stride[2] + r->offset) / d->up[2];
        int64_t y = r->y + p / d->pool[2];
        multiply(t->x + x * d->cin + t->x_c, t->n_from, t->w, t->to + y * d->cout + t->y_c,
                 t->n_to);
    }
}

static void transpose_row(const gen_conv_dims *d, const row *r, void *ctx)
{
    tile *t = ctx;
    for (int64_t p = r->lo; p < r->hi; p++) {
        int64_t x = r->x + p * d->stride[2] + r->offset;
        multiply(t->y + (r->y + p) * d->cout + t->y_c, t->n_from, t->w,
                 t->to + x * d->cin + t->x_c, t->n_to);
    }
}

static void dw_row(const gen_conv_dims *d, const row *r, void *ctx)
{
    tile *t = ctx;
    for (int64_t p = r->lo; p < r->hi; p++) {
        const double *x = t->x + (r->x + p * d->stride[2] + r->offset) * d->cin + t->x_c;
        const double *y = t->y + (r->y + p) * d->cout + t->y_c;
        double last[TO] = { 0 };
        memcpy(last, y, (size_t)t->n_to * sizeof *y);
        for (int64_t i = 0; i < t->n_from; i++)
            for (int j = 0; j < TO; j++)
                t->w[i][j] += x[i] * last[j];
    }
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* What distinguishes the three references: which channels are summed over and where w stands. */
typedef struct plan {
    const gen_conv_dims *d;
    const double *w; /* read; NULL for conv_dw */
    double *dw;      /* written by conv_dw */
    row_fn *fn;
    bool from_y; /* conv_transpose: the sum runs over the channels of y */
    double scale;
} plan;

/* One tile of one tap: i counts from-channels, j to-channels inside the group. */
static void run_tile(const plan *s, tile *t, const int64_t k[3], int64_t ci, int64_t co)
{
    const gen_conv_dims *d = s->d;
    int64_t volume = d->kernel[0] * d->kernel[1] * d->kernel[2], per_out = d->cin / d->groups;
    int64_t tap = (k[0] * d->kernel[1] + k[1]) * d->kernel[2] + k[2];
    memset(t->w, 0, sizeof t->w);
    for (int64_t i = 0; s->w && i < t->n_from; i++)
        for (int64_t j = 0; j < t->n_to; j++) {
            int64_t out = t->y_c + (s->from_y ? i : j), in = ci + (s->from_y ? j : i);
            t->w[i][j] = s->w[(out * per_out + in) * volume + tap] * s->scale;
        }
    walk_tap(d, k, s->fn, t);
    for (int64_t i = 0; s->dw && i < t->n_from; i++)
        for (int64_t j = 0; j < t->n_to; j++)
            s->dw[((co + j) * per_out + ci + i) * volume + tap] = t->w[i][j];
}

static void run_tiles(const plan *s, tile *t)
{
    const gen_conv_dims *d = s->d;
    int64_t per_in = d->cin / d->groups, per_out = d->cout / d->groups;
    int64_t step_in = s->from_y ? TO : FROM, step_out = s->from_y ? FROM : TO, k[3];
    for (int64_t g = 0; g < d->groups; g++)
        for (int64_t co = 0; co < per_out; co += step_out)
            for (int64_t ci = 0; ci < per_in; ci += step_in) {
                int64_t n_in = least(per_in - ci, step_in), n_out = least(per_out - co, step_out);
                t->x_c = g * per_in + ci;
                t->y_c = g * per_out + co;
                t->n_from = s->from_y ? n_out : n_in;
                t->n_to = s->from_y ? n_in : n_out;
                for (k[0] = 0; k[0] < d->kernel[0]; k[0]++)
                    for (k[1] = 0; k[1] < d->kernel[1]; k[1]++)
                        for (k[2] = 0; k[2] < d->kernel[2]; k[2]++)
                            run_tile(s, t, k, ci, t->y_c);
            }
}

/* y = act(y + b + r); `cells` rows of c channels. */
static void finish(double *y, int64_t cells, int64_t c, const double *b, const double *r,
                   const gen_conv_attr *a)
{
    for (int64_t i = 0; i < cells; i++)
        for (int64_t j = 0; j < c; j++) {
            double v = y[i * c + j] + (b ? b[j] : 0) + (r ? r[i * c + j] : 0);
            y[i * c + j] = gen_rule_act(a->act, a->slope, v);
        }
}

static void conv_ref(const gen_node *n, const double *const in[], double *const out[])
{
    const gen_conv_attr *a = n->attr;
    gen_conv_dims d = gen_conv_dims_of(n);
    int64_t count = gen_shape_count(n->shape[0]);
    plan s = { .d = &d, .w = in[1], .fn = forward_row };
    tile t = { .x = in[0], .to = out[0] };
    s.scale = 1.0 / (double)(d.pool[0] * d.pool[1] * d.pool[2]);
    memset(out[0], 0, (size_t)count * sizeof(double));
    run_tiles(&s, &t);
    finish(out[0], count / d.cout, d.cout, a->has_bias ? in[2] : NULL,
           a->has_residual ? in[2 + a->has_bias] : NULL, a);
}

static void transpose_ref(const gen_node *n, const double *const in[], double *const out[])
{
    const gen_conv_transpose_attr *a = n->attr;
    gen_conv_dims d = gen_conv_dims_of(n);
    int64_t count = gen_shape_count(n->shape[0]);
    plan s = { .d = &d, .w = in[1], .fn = transpose_row, .from_y = true, .scale = 1 };
    tile t = { .y = in[0], .to = out[0] };
    memset(out[0], 0, (size_t)count * sizeof(double));
    run_tiles(&s, &t);
    finish(out[0], count / d.cin, d.cin, a->conv.has_bias ? in[2] : NULL, NULL, &a->conv);
}

static void dw_ref(const gen_node *n, const double *const in[], double *const out[])
{
    gen_conv_dims d = gen_conv_dims_of(n);
    plan s = { .d = &d, .dw = out[0], .fn = dw_row };
    tile t = { .x = in[0], .y = in[1] };
    run_tiles(&s, &t);
}

/* ---- cost ------------------------------------------------------------------------------------ */

/* Multiply-accumulates along one axis. Fused up-sampling and pooling are counted as they are
 * computed: taps that fall on one cell of x are summed beforehand (a 3-tap kernel after x2 costs 2
 * taps, before pooling by 2 it costs 4 on the small side), one tap commutes with both. */
static double axis_work(const gen_conv_dims *d, int i)
{
    int64_t k = d->kernel[i], up = d->up[i], pool = d->pool[i], work = 0;
    if (up == 1 && pool == 1)
        return (double)(d->y[i] * k);
    if (k == 1 && d->stride[i] == 1)
        return (double)least(d->x[i], d->y[i]);
    for (int64_t phase = 0; phase < up; phase++) {
        int64_t first = phase * pool, seen = INT64_MIN;
        for (int64_t p = first; p < first + pool; p++)
            for (int64_t j = 0; j < k; j++) {
                int64_t at = p * d->stride[i] + j * d->dilation[i];
                if (at / up > seen || seen == INT64_MIN) {
                    seen = at / up;
                    work++;
                }
            }
    }
    return (double)d->y[i] * (double)work / (double)up;
}

static gen_cost conv_cost(const gen_node *n)
{
    gen_conv_dims d = gen_conv_dims_of(n);
    double macs = (double)d.n * (double)d.cout * (double)(d.cin / d.groups);
    for (int i = 0; i < 3; i++)
        macs *= axis_work(&d, i);
    return (gen_cost){ .flops = 2 * macs };
}

/* ---- ops and builders ------------------------------------------------------------------------ */

const gen_op gen_op_conv = {
    .name = "conv",
    .min_in = 2,
    .max_in = 4,
    .n_out = 1,
    .attr_size = sizeof(gen_conv_attr),
    .attrs = conv_options,
    .keep_f32 = 1 << 1 | 1 << 2,
    .infer = conv_infer,
    .grad = conv_grad,
    .ref = conv_ref,
    .cost = conv_cost,
};

static const gen_option transpose_options[] = {
    { GEN_OPT_INT3, "stride", .offset = FIELD(stride), .preset = 1 },
    { GEN_OPT_INT3, "dilation", .offset = FIELD(dilation), .preset = 1 },
    { GEN_OPT_INT3, "pad_lo", .offset = FIELD(pad_lo) },
    { GEN_OPT_INT3, "pad_hi", .offset = FIELD(pad_hi) },
    { GEN_OPT_INT, "groups", .offset = FIELD(groups), .preset = 1 },
    { GEN_OPT_FLAG, "bias", .offset = FIELD(has_bias) },
    { GEN_OPT_END },
};

const gen_op gen_op_conv_transpose = {
    .name = "conv_transpose",
    .min_in = 2,
    .max_in = 3,
    .n_out = 1,
    .attr_size = sizeof(gen_conv_transpose_attr),
    .attrs = transpose_options,
    .keep_f32 = 1 << 1 | 1 << 2,
    .infer = transpose_infer,
    .grad = transpose_grad,
    .ref = transpose_ref,
    .cost = conv_cost,
};

const gen_op gen_op_conv_dw = {
    .name = "conv_dw",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attr_size = sizeof(gen_conv_dw_attr),
    .attrs = transpose_options,
    .infer = dw_infer,
    .ref = dw_ref,
    .cost = conv_cost,
};

gen_node *gen_conv_fused(gen_graph *g, gen_node *x, gen_node *w, gen_node *b, gen_node *r,
                         const gen_conv_attr *attr)
{
    gen_conv_attr a = canonical(attr, x);
    gen_node *in[4] = { x, w };
    int n = 2;
    if (gen_graph_failed(g))
        return NULL;
    a.has_bias = b != NULL;
    a.has_residual = r != NULL;
    if (b)
        in[n++] = b;
    if (r)
        in[n++] = r;
    return gen_node_add(g, &gen_op_conv, &a, in, n);
}

gen_node *gen_conv(gen_graph *g, gen_node *x, gen_node *w, gen_node *b, const gen_conv_attr *attr)
{
    return gen_conv_fused(g, x, w, b, NULL, attr);
}

gen_conv_attr gen_conv_same(const gen_node *w)
{
    gen_conv_attr a = { 0 };
    gen_shape s = gen_node_shape(w);
    for (int i = 0; i < 3 && i < s.rank - 2; i++)
        a.pad_lo[i] = a.pad_hi[i] = s.dim[2 + i] / 2;
    return a;
}

gen_node *gen_conv_transpose(gen_graph *g, gen_node *y, gen_node *w, gen_node *b,
                             const int64_t size[3], const gen_conv_attr *attr)
{
    gen_conv_transpose_attr a = { .conv = canonical(attr, y) };
    gen_node *in[3] = { y, w, b };
    if (gen_graph_failed(g))
        return NULL;
    a.conv.has_bias = b != NULL;
    memcpy(a.size, size, sizeof a.size);
    gen_rule_triple(a.size, gen_node_shape(y).rank - 2, 0, 1);
    return gen_node_add(g, &gen_op_conv_transpose, &a, in, b ? 3 : 2);
}

gen_node *gen_conv_dw(gen_graph *g, gen_node *x, gen_node *dy, const int64_t kernel[3],
                      const gen_conv_attr *attr)
{
    gen_conv_dw_attr a = { .conv = canonical(attr, x) };
    gen_node *in[2] = { x, dy };
    if (gen_graph_failed(g))
        return NULL;
    memcpy(a.kernel, kernel, sizeof a.kernel);
    gen_rule_triple(a.kernel, gen_node_shape(x).rank - 2, 1, 1);
    return gen_node_add(g, &gen_op_conv_dw, &a, in, 2);
}
