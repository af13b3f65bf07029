/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradient of a convolution's weights through oneDNN: dw [Cout,Cin/groups,*k] = sum over images and
 * positions of x (*) dy. Shares of the images, or of the rows of each image, sum into partial
 * gradients of their own in oneDNN's layout; these are added in a fixed order, then reordered. How
 * many shares there are follows from the shape: each costs a pass over a copy of dw. Shares of rows
 * also mend oneDNN's weak 1-D case (8 x 3200 x 384, f32: 187 GFLOP/s of 232, 96 in one call).
 */
#include <string.h>

#include "libgen/backends/cpu/cpu.h"
#include "libgen/ops/shape_rules.h"

enum { MAX_PARTS = 16, ADD_FLOATS = 1 << 14, MIN_ROWS = 4 };

/* A share of the work: images [n0, n1), rows of y [y0, y1). */
typedef struct share {
    int64_t n0, n1, y0, y1, x0, x1;
    int unit;
} share;

typedef struct conv_dw {
    gen_conv_dims d;
    int axes, shares, units, unpack_parts;
    gen_dtype dtype;
    share share[MAX_PARTS];
    gen_dnnl_conv desc[MAX_PARTS];
    gen_dnnl_unit *unit[MAX_PARTS];
    uint64_t scratch, partial; /* bytes */
    uint64_t lanes;            /* of scratch: shares, or parts of unpacking */
} conv_dw;

static bool accepts(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    gen_dtype t = gen_node_dtype(n->in[0]);
    (void)is_const;
    if (gen_node_dtype(n->in[1]) != t || n->dtype[0] != GEN_F32)
        return false;
    return t == GEN_F32 || (t == GEN_BF16 && b->isa >= GEN_ISA_AVX512);
}

/* Sizes of the op's own axes, outermost first. */
static int64_t at(const conv_dw *s, const int64_t v[3], int axis)
{
    return v[3 - s->axes + axis];
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* As many shares as their partial sums' traffic (10 % of the time) allows, at least two. */
static int64_t wanted_shares(const gen_conv_dims *d)
{
    double weights = (double)d->cout * (double)(d->cin / d->groups), pixels = (double)d->n;
    for (int i = 0; i < 3; i++) {
        weights *= (double)d->kernel[i];
        pixels *= (double)d->y[i];
    }
    if (2 * weights * pixels < 4e6)
        return 1;
    double n = pixels / 240;
    return n < 2 ? 2 : n > MAX_PARTS ? MAX_PARTS : (int64_t)n;
}

static void choose_shares(conv_dw *s)
{
    const gen_conv_dims *d = &s->d;
    int64_t rows = at(s, d->y, 0), wanted = wanted_shares(d), parts, r = 1;
    parts = least(d->n, wanted);
    if (parts > 1 && parts % 2)
        parts--;
    if (2 * parts <= wanted)
        r = most(1, least(wanted / parts, rows / MIN_ROWS));
    s->shares = (int)(parts * r);
    for (int i = 0; i < s->shares; i++) {
        share *h = &s->share[i];
        h->n0 = i / r * d->n / parts;
        h->n1 = (i / r + 1) * d->n / parts;
        h->y0 = i % r * rows / r;
        h->y1 = (i % r + 1) * rows / r;
    }
    if (r > 1 && parts < d->n) { /* rows of several images are not contiguous */
        s->shares = (int)parts;
        for (int i = 0; i < s->shares; i++)
            s->share[i] = (share){ .n0 = i * d->n / parts, .n1 = (i + 1) * d->n / parts,
                                   .y1 = rows };
    }
}

/* Window of x for a share and the descriptor of its primitive; false when it reads no row. */
static bool describe(const conv_dw *s, share *h, gen_dnnl_conv *c)
{
    const gen_conv_dims *d = &s->d;
    memset(c, 0, sizeof *c);
    c->axes = s->axes;
    c->n = h->n1 - h->n0;
    c->cin = d->cin;
    c->cout = d->cout;
    c->groups = d->groups;
    c->x = c->y = s->dtype;
    for (int i = 0; i < s->axes; i++) {
        int64_t reach = (at(s, d->kernel, i) - 1) * at(s, d->dilation, i) + 1;
        c->in[i] = at(s, d->x, i);
        c->out[i] = at(s, d->y, i);
        c->kernel[i] = at(s, d->kernel, i);
        c->stride[i] = at(s, d->stride, i);
        c->dilation[i] = at(s, d->dilation, i);
        c->pad_lo[i] = at(s, d->pad_lo, i);
        if (i == 0 && (h->y0 > 0 || h->y1 < c->out[0])) {
            int64_t lo = h->y0 * c->stride[0] - c->pad_lo[0];
            int64_t hi = (h->y1 - 1) * c->stride[0] - c->pad_lo[0] + reach;
            h->x0 = most(lo, 0);
            h->x1 = least(hi, c->in[0]);
            c->in[0] = h->x1 - h->x0;
            c->out[0] = h->y1 - h->y0;
            c->pad_lo[0] = h->x0 - lo;
        }
        c->pad_hi[i] = (c->out[i] - 1) * c->stride[i] - c->pad_lo[i] + reach - c->in[i];
    }
    return c->in[0] > 0 && c->pad_lo[0] >= 0;
}

static gen_status make_units(conv_dw *s, const gen_backend *b)
{
    for (int i = 0; i < s->shares; i++) {
        gen_dnnl_conv c;
        int u = 0;
        if (!describe(s, &s->share[i], &c))
            return gen_fail(GEN_EUNSUPPORTED, "gradient of weights: a share reads padding only");
        while (u < s->units && memcmp(&s->desc[u], &c, sizeof c) != 0)
            u++;
        s->share[i].unit = u;
        if (u < s->units)
            continue;
        s->desc[u] = c;
        s->units++;
        GEN_TRY(gen_dnnl_conv_weights(&s->unit[u], gen_cpu_dnnl(b), &c,
                                      gen_cpu_lanes(b, s->shares)));
    }
    return GEN_OK;
}

static void free_units(conv_dw *s)
{
    for (int i = 0; i < s->units; i++)
        gen_dnnl_unit_free(&s->unit[i]);
    s->units = 0;
}

static void free_dw(void *state)
{
    free_units(state);
    gen_free(state);
}

/* One share when the pieces cannot be summed as they are. */
static gen_status one_share(conv_dw *s, const gen_backend *b)
{
    free_units(s);
    s->shares = 1;
    s->share[0] = (share){ .n1 = s->d.n, .y1 = at(s, s->d.y, 0) };
    return make_units(s, b);
}

static bool same_layouts(const conv_dw *s)
{
    for (int i = 1; i < s->units; i++)
        if (strcmp(gen_dnnl_layout(s->unit[0]), gen_dnnl_layout(s->unit[i])) != 0)
            return false;
    return true;
}

static gen_status prepare(gen_prepare *p)
{
    gen_status status = GEN_OK;
    conv_dw *s;
    int entered = gen_dnnl_enter();
    GEN_GOTO(GEN_ALLOC(&s, 1, "gradient of weights"));
    p->state = s;
    s->d = gen_conv_dims_of(p->node);
    s->axes = s->d.axes;
    s->dtype = gen_node_dtype(p->node->in[0]);
    choose_shares(s);
    if (make_units(s, p->backend) != GEN_OK || !same_layouts(s))
        GEN_GOTO(one_share(s, p->backend));
    GEN_GOTO(gen_dnnl_unpack_prepare(s->unit[0], &s->unpack_parts));
    for (int i = 0; i < s->units; i++)
        s->scratch = (uint64_t)most((int64_t)s->scratch,
                                    (int64_t)gen_dnnl_scratch_bytes(s->unit[i]));
    s->scratch = gen_cpu_align(s->scratch);
    s->partial = gen_cpu_align(gen_dnnl_weight_bytes(s->unit[0]));
    s->lanes = (uint64_t)gen_cpu_lanes(p->backend, most(s->shares, s->unpack_parts));
    p->workspace = s->scratch * s->lanes + s->partial * (uint64_t)s->shares;
done:
    gen_dnnl_leave(entered);
    if (status != GEN_OK && p->state) {
        free_dw(p->state);
        p->state = NULL;
    }
    return status;
}

typedef struct running {
    conv_dw *s;
    const gen_backend *b;
    const char *x, *dy;
    float *dw;
    char *scratch, *partial;
    _Atomic int status;
} running;

static void note(running *r, gen_status status)
{
    if (status != GEN_OK)
        atomic_store(&r->status, status);
}

static void sum_share(void *ctx, int piece, int thread)
{
    running *r = ctx;
    conv_dw *s = r->s;
    const share *h = &s->share[piece];
    int lane = gen_cpu_lane(r->b, s->shares, piece, thread);
    int64_t size = (int64_t)gen_dtype_size(s->dtype), x_row = s->d.cin, y_row = s->d.cout;
    for (int i = 1; i < s->axes; i++) {
        x_row *= at(s, s->d.x, i);
        y_row *= at(s, s->d.y, i);
    }
    gen_dnnl_operands o = {
        .x = r->x + (h->n0 * at(s, s->d.x, 0) + h->x0) * x_row * size,
        .w = r->partial + s->partial * (uint64_t)piece,
        .y = (void *)(uintptr_t)(r->dy + (h->n0 * at(s, s->d.y, 0) + h->y0) * y_row * size),
        .scratch = r->scratch + s->scratch * (uint64_t)lane,
    };
    if (s->dtype == GEN_BF16) /* oneDNN 2.6 multiplies what it finds there by itself */
        memset(o.scratch, 0, s->scratch);
    note(r, gen_dnnl_run(s->unit[h->unit], lane, &o));
}

static void add_partials(void *ctx, int piece, int thread)
{
    const running *r = ctx;
    int64_t all = (int64_t)(r->s->partial / sizeof(float));
    int64_t first = (int64_t)piece * ADD_FLOATS, n = least(ADD_FLOATS, all - first);
    float *to = (float *)r->partial + first;
    (void)thread;
    for (int i = 1; i < r->s->shares; i++) {
        const float *from = (const float *)(r->partial + r->s->partial * (uint64_t)i) + first;
        for (int64_t j = 0; j + 16 <= n; j += 16) /* partials are multiples of 64 bytes */
            for (int k = 0; k < 16; k++)
                to[j + k] += from[j + k];
    }
}

static void unpack_part(void *ctx, int piece, int thread)
{
    running *r = ctx;
    int lane = gen_cpu_lane(r->b, r->s->unpack_parts, piece, thread);
    char *scratch = r->scratch + r->s->scratch * (uint64_t)lane;
    note(r, gen_dnnl_unpack(r->s->unit[0], piece, r->partial, r->dw, scratch));
}

static gen_status run(void *state, const void *const in[], void *const out[], void *workspace,
                      gen_backend *b)
{
    conv_dw *s = state;
    running r = { .s = s, .b = b, .x = in[0], .dy = in[1], .dw = out[0], .scratch = workspace };
    r.partial = r.scratch + s->scratch * s->lanes;
    int64_t floats = (int64_t)(s->partial / sizeof(float));
    int entered = gen_dnnl_enter();
    gen_pool_run(b->pool, s->shares, sum_share, &r);
    if (s->shares > 1)
        gen_pool_run(b->pool, (int)((floats + ADD_FLOATS - 1) / ADD_FLOATS), add_partials, &r);
    gen_pool_run(b->pool, s->unpack_parts, unpack_part, &r);
    gen_dnnl_leave(entered);
    return (gen_status)atomic_load(&r.status);
}

const gen_kernel gen_dnnl_conv_dw_kernel = {
    .name = "onednn/conv_dw",
    .op = &gen_op_conv_dw,
    .accepts = accepts,
    .prepare = prepare,
    .run = run,
    .free = free_dw,
};
