/* SPDX-License-Identifier: Apache-2.0
 *
 * 3 x 3 convolution by Winograd's minimal filtering: f32, channels last, stride 1. S. Winograd,
 * Arithmetic Complexity of Computations, 1980; A. Lavin and S. Gray, Fast Algorithms for
 * Convolutional Neural Networks, 2015. Weights that vary are transformed in each run, which pays
 * where images are many enough.
 *
 *     Y = A^T [ (G g G^T) . (B^T d B) ] A
 *
 * for a tile d of the input and a filter g, the dot being one product for each place of the tile;
 * summed over input channels that is one matrix product for each place, [tiles x C] [C x K], which
 * is where the time goes. Products for each output (direct: 9):
 *
 *   F4   F(4x4, 3x3), interpolation points 0, +-3/4, +-3/2, infinity     36/16 = 2.25
 *   F2   F(2x2, 3x3), points 0, +-1, infinity: where tiles are few       16/4  = 4
 *   UP2, UP4: the convolution of an image up-sampled by 2 (nearest)      25/16 = 1.56, 81/64 = 1.27
 *   POOL: the convolution, then means of 2 x 2; products for each mean   25/4  = 6.25 (direct: 16)
 *
 * The points of F4 are not the usual 0, +-1, +-2: in float these ones give a third of the error
 * (N(0,1) data, C = 192: 2e-6 of the largest output against 9e-6) for the same work.
 *
 * Up-sampled images. In one dimension, with x the small image and w the filter,
 *     y[2i] = w0 x[i-1] + (w1 + w2) x[i],   y[2i+1] = (w0 + w1) x[i] + w2 x[i+1].
 * As polynomials the up-sampled image is (1 + z) X(z^2): it is 0 at z = -1, so F(2m,3) with -1
 * among its points needs one product less; and points b and -b see the same X(b^2), so they share a
 * transformed input, and the two products may be recombined into one for the even outputs, with
 * w0 + b^2 (w1 + w2), and one for the odd ones, with w0 + w1 + b^2 w2. Only b^2 is left: it may be
 * negative. With X's points 0, 1, p..., infinity a tile of m cells gives 2m outputs from m + 2
 * transformed inputs and 2m + 1 products. UP2 has p = -1: all coefficients are 1 or -1, and the
 * error is that of a direct convolution. UP4 has p = -1, 1/2, -2, error 2.5e-6.
 *
 * Means. In one dimension p[i] = (y[2i] + y[2i+1]) / 2 is
 *     w0/2 x[2i-1] + (w1 + w2)/2 x[2i+1]   plus   (w0 + w1)/2 x[2i] + w2/2 x[2i+2],
 * two filters of two taps, on the odd and on the even cells: F(2,2) with points 0, 1, infinity on
 * both. Their products are summed before the output transform, and at 1 both filters are the same,
 * so the cells are summed before the product. Coefficients are 1 or -1 again.
 *
 * Work goes over blocks of tiles. Where weights are few, a block is one thread's: what is between
 * the transforms stays in that core's cache. Else all threads work on one block, in three steps
 * (transform of the input, products, transform of the sums). The cut depends on shapes only. Sums
 * over more than 384 channels are made in parts, which halves the error at 768.
 */
#include <string.h>

#include "libgen/backends/backend.h"
#include "libgen/backends/cpu/kernels/winograd.h"
#include "libgen/ops/list.h"

extern const gen_kernel gen_winograd_conv;

#define MAX_SPLIT 384
#define ROW_GROUP 8            /* tiles of the largest micro-kernel */
#define OWN_BYTES (1500 << 10) /* at most, a thread's block */
#define OWN_ROWS 48
#define OWN_BLOCKS 16           /* where there are tiles enough for so many */
#define SHARED_BYTES (16 << 20) /* a block of all threads, and its rows */
#define SHARED_ROWS 96
#define PIECES 48 /* of a step of a shared block, about */
#define EXTRA_BYTES (64 << 20)      /* of weights, for all of a layer's time */
#define PAST_BYTES ((int64_t)24 << 20) /* results larger than this are written past the caches */

/* Row [1, p, p^2] / N of F4's weights; N is the product of p's distances to 0, -p, +-other. */
#define F4_SCALE(p, other) (1 / (2 * (p) * (p) * ((p) * (p) - (other) * (other))))
#define F4_ROW(p, other)                                                                           \
    { F4_SCALE(p, other), (p) * F4_SCALE(p, other), (p) * (p) * F4_SCALE(p, other) }

#define EACH { 0, 1, 2, 3, 4, 5, 6, 7, 8 }

/* name, window, step, out; inputs, products, sums; input and sum of each product; its weights */
static const gen_wino_form forms[] = {
    [GEN_WINO_F2] = { "f2", 4, 2, 2, 4, 4, 4, EACH, EACH,
                      { { 1, 0, 0 }, { 0.5, 0.5, 0.5 }, { 0.5, -0.5, 0.5 }, { 0, 0, 1 } } },
    [GEN_WINO_F4] = { "f4", 6, 4, 4, 6, 6, 6, EACH, EACH,
                      { { 1 / 1.265625, 0, 0 },
                        F4_ROW(0.75, 1.5), F4_ROW(-0.75, 1.5),
                        F4_ROW(1.5, 0.75), F4_ROW(-1.5, 0.75), { 0, 0, 1 } } },
    [GEN_WINO_UP2] = { "up2", 4, 2, 4, 4, 5, 5, { 0, 1, 2, 2, 3 }, EACH,
                       { { 1, 0, 0 }, { 0.5, 0.5, 0.5 }, { -0.5, 0.5, 0.5 }, { 0.5, 0.5, -0.5 },
                         { 0, 0, 1 } } },
    /* Points p = -1, 1/2, -2: even outputs [1, p, p] / (p D), odd ones [1, 1, p] / D, D the product
     * of the distances to the others of 1, -1, 1/2, -2. */
    [GEN_WINO_UP4] = { "up4", 6, 4, 8, 6, 9, 9, { 0, 1, 2, 2, 3, 3, 4, 4, 5 }, EACH,
                       { { 1, 0, 0 },
                         { 1.0 / 3, 1.0 / 3, 1.0 / 3 },
                         { -1.0 / 3, 1.0 / 3, 1.0 / 3 }, { 1.0 / 3, 1.0 / 3, -1.0 / 3 },
                         { -1 / 0.9375, -0.5 / 0.9375, -0.5 / 0.9375 },
                         { -1 / 1.875, -1 / 1.875, -0.5 / 1.875 },
                         { 1.0 / 15, -2.0 / 15, -2.0 / 15 }, { -1 / 7.5, -1 / 7.5, 2 / 7.5 },
                         { 0, 0, 1 } } },
    [GEN_WINO_POOL] = { "pool", 6, 4, 2, 5, 5, 3, { 0, 1, 2, 3, 4 }, { 0, 0, 1, 2, 2 },
                        { { 0.5, 0, 0 }, { 0.5, 0.5, 0 }, { 0.5, 0.5, 0.5 }, { 0, 0.5, 0.5 },
                          { 0, 0, 0.5 } } },
};

typedef struct state {
    gen_wino o;
    const gen_wino_isa *isa;
    bool shared;
    bool has_residual, const_bias;
    int residual; /* which input */
    int blocks;
    int tiles_a_piece, c_a_piece, k_a_piece, panels_a_piece; /* of a shared block's steps */
    uint64_t block_bytes, weights_at; /* weights_at: of weights that vary, in the workspace */
    float *own; /* bias and zeros */
} state;

static const gen_wino_isa *kernels_of(const gen_backend *b)
{
    const gen_wino_isa *isa = &gen_wino_base;
#if defined(__x86_64__)
    if (b->isa >= GEN_ISA_AVX512)
        isa = &gen_wino_avx512;
    else if (b->isa >= GEN_ISA_AVX2)
        isa = &gen_wino_avx2;
#else
    (void)b;
#endif
    return isa->lanes ? isa : NULL;
}

static int64_t one(int64_t v)
{
    return v ? v : 1;
}

/* ---- the cut -------------------------------------------------------------------------------- */

static int ceil_div(int64_t a, int64_t b)
{
    return (int)((a + b - 1) / b);
}

static void set_form(gen_wino *o, gen_wino_kind kind)
{
    o->kind = kind;
    o->form = &forms[kind];
    o->tiles_y = ceil_div(o->oh, o->form->out);
    o->tiles_x = ceil_div(o->ow, o->form->out);
    o->tiles = o->n * o->tiles_y * o->tiles_x;
}

static int64_t weight_bytes(const gen_wino *o)
{
    int np = o->form->products;
    return (int64_t)sizeof(float) * np * np * o->c * o->k;
}

/* Transforming a weight that varies takes as long as multiplying so many rows with it (F4: 4 ns a
 * filter); packing it for a direct convolution, half as long. */
enum { TRANSFORM_ROWS = 40, PACK_ROWS = 20 };

/* Time is about products x rows; but below some number of rows it is that of reading weights, and
 * large tiles have more. That number was measured for weights in L2, in L3 and beyond. */
static int64_t product_time(const gen_wino *o, int64_t products, int64_t rows)
{
    int64_t bytes = products * o->c * o->k * (int64_t)sizeof(float);
    int64_t least = bytes < (1 << 20) ? 4 : bytes < (24 << 20) ? 12 : 24;
    return products * (rows < least ? least : rows);
}

static int64_t form_time(const gen_wino *o)
{
    int64_t products = o->form->products * o->form->products;
    return product_time(o, products, o->tiles) + (o->vary ? products * TRANSFORM_ROWS : 0);
}

/* Of a direct convolution: up-sampling is four filters of 2 x 2 on the small image, and pooling one
 * of 4 x 4. */
static int64_t direct_time(const gen_wino *o)
{
    int64_t cells = (int64_t)o->n * o->oh * o->ow, pack = o->vary ? PACK_ROWS : 0;
    if (o->kind == GEN_WINO_UP2 || o->kind == GEN_WINO_UP4)
        return product_time(o, 16, cells / 4) + 16 * pack;
    int64_t products = o->kind == GEN_WINO_POOL ? 16 : 9;
    return product_time(o, products, cells) + products * pack;
}

static void choose_form(gen_wino *o, bool up, bool pool)
{
    if (pool) {
        set_form(o, GEN_WINO_POOL);
        return;
    }
    set_form(o, up ? GEN_WINO_UP2 : GEN_WINO_F2);
    int64_t slow = form_time(o), light = weight_bytes(o);
    set_form(o, up ? GEN_WINO_UP4 : GEN_WINO_F4);
    /* Larger tiles hold more weights: what they save must be worth it. */
    double saved = 1 - (double)form_time(o) / (double)slow;
    if ((double)(weight_bytes(o) - light) > saved * EXTRA_BYTES)
        set_form(o, up ? GEN_WINO_UP2 : GEN_WINO_F2);
}

/* An odd number of cache lines, so that the planes of one tile lie in different sets. */
static int64_t plane_floats(int channels, int rows)
{
    int64_t n = (int64_t)channels * rows;
    return n / 16 % 2 ? n : n + 16;
}

static void set_rows(gen_wino *o, int rows)
{
    o->rows = rows;
    o->v_plane = plane_floats(o->c, rows);
    o->m_plane = plane_floats(o->k, rows);
}

static uint64_t block_floats(const gen_wino *o)
{
    const gen_wino_form *f = o->form;
    return (uint64_t)(f->inputs * f->inputs * o->v_plane + f->sums * f->sums * o->m_plane);
}

static int row_groups(int64_t rows)
{
    return ceil_div(rows, ROW_GROUP) * ROW_GROUP;
}

/* Blocks of equal size, at most `most` tiles each; whole row groups, and an even number of blocks
 * where there are several. */
static void set_blocks(state *s, int64_t most)
{
    gen_wino *o = &s->o;
    int blocks = ceil_div(o->tiles, most);
    if (!s->shared && blocks > 1)
        blocks += blocks % 2;
    int rows = ceil_div(o->tiles, blocks);
    set_rows(o, blocks > 1 ? row_groups(rows) : rows);
    s->blocks = ceil_div(o->tiles, o->rows);
}

/* A block of one thread needs no waiting, and its products stay in that core's cache, but every
 * block reads all weights. */
static void choose_cut(state *s)
{
    gen_wino *o = &s->o;
    const gen_wino_form *f = o->form;
    int64_t floats = f->inputs * f->inputs * o->c + f->sums * f->sums * o->k;
    int64_t tile = floats * (int64_t)sizeof(float);
    int64_t own = OWN_BYTES / tile / ROW_GROUP * ROW_GROUP, shared = SHARED_BYTES / tile;
    int many = row_groups(ceil_div(o->tiles, OWN_BLOCKS));
    s->shared = own < 2 * ROW_GROUP || (many < 2 * ROW_GROUP && weight_bytes(o) > (2 << 20));
    own = own > OWN_ROWS ? OWN_ROWS : own;
    if (s->shared)
        set_blocks(s, shared < SHARED_ROWS ? SHARED_ROWS : shared);
    else
        set_blocks(s, own > many ? many : own);
    /* Pieces of a shared block: some tiles, and where these are few some channels. */
    int across = ceil_div(PIECES, o->rows);
    s->tiles_a_piece = ceil_div(o->rows, PIECES);
    s->c_a_piece = ceil_div(o->c / o->lanes, across);
    s->k_a_piece = ceil_div(o->k / o->lanes, across);
    s->panels_a_piece = ceil_div(gen_wino_panels(o), 2);
}

static void set_shape(state *s, const gen_node *n, bool vary)
{
    const gen_conv_attr *a = n->attr;
    gen_wino *o = &s->o;
    gen_shape x = gen_node_shape(n->in[0]), y = n->shape[0];
    o->lanes = s->isa->lanes;
    o->n = (int)x.dim[0];
    o->h = (int)x.dim[1], o->w = (int)x.dim[2], o->c = (int)x.dim[3];
    o->oh = (int)y.dim[1], o->ow = (int)y.dim[2], o->k = (int)y.dim[3];
    o->pad_y = (int)a->pad_lo[0], o->pad_x = (int)a->pad_lo[1];
    o->act = (int)a->act;
    o->slope = (float)a->slope;
    o->split = ceil_div(ceil_div(o->c, ceil_div(o->c, MAX_SPLIT)), o->lanes) * o->lanes;
    o->stream = (int64_t)sizeof(float) * gen_shape_count(y) > PAST_BYTES;
    s->has_residual = a->has_residual;
    s->residual = 2 + (int)a->has_bias;
    o->vary = vary;
    choose_form(o, one(a->up[0]) == 2, one(a->pool[0]) == 2);
    choose_cut(s);
}

/* ---- which convolutions --------------------------------------------------------------------- */

static bool accepts(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    const gen_conv_attr *a = n->attr;
    if (b->fast_math_off || !kernels_of(b) || n->shape[0].rank != 4)
        return false;
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i]->dtype[0] != GEN_F32)
            return false;
    gen_shape x = gen_node_shape(n->in[0]), w = gen_node_shape(n->in[1]), y = n->shape[0];
    bool up = one(a->up[0]) == 2, pool = one(a->pool[0]) == 2;
    if (n->dtype[0] != GEN_F32 || one(a->groups) != 1 || x.dim[3] % 16 || w.dim[0] % 16 ||
        (up && pool))
        return false;
    for (int i = 0; i < 2; i++) {
        int64_t lo = a->pad_lo[i], hi = a->pad_hi[i];
        bool pad = up ? lo == 1 && hi == 1 : lo <= 2 && hi <= 2;
        if (w.dim[2 + i] != 3 || one(a->stride[i]) != 1 || one(a->dilation[i]) != 1 ||
            one(a->up[i]) != (up ? 2 : 1) || one(a->pool[i]) != (pool ? 2 : 1) || !pad)
            return false;
    }
    if (gen_shape_count(x) / x.dim[3] > INT32_MAX / 2 ||
        gen_shape_count(y) / y.dim[3] > INT32_MAX / 2)
        return false; /* tiles are counted in int */
    state s = { .isa = kernels_of(b) };
    set_shape(&s, n, !is_const[1]);
    return form_time(&s.o) < direct_time(&s.o);
}

/* ---- prepare -------------------------------------------------------------------------------- */

typedef struct weights_job {
    const state *s;
    gen_prepare *p; /* constant weights: who knows them */
    const float *w;
    float *u;
} weights_job;

#define WEIGHTS_CHANNELS 32

static void weights_piece(void *ctx, int piece, int thread)
{
    (void)thread;
    weights_job *j = ctx;
    const gen_wino *o = &j->s->o;
    int panels = gen_wino_panels(o), c = piece / panels * WEIGHTS_CHANNELS;
    int end = c + WEIGHTS_CHANNELS > o->c ? o->c : c + WEIGHTS_CHANNELS;
    j->s->isa->weights(o, j->w, j->u, piece % panels, c, end);
}

static void transform_weights(weights_job *j, gen_pool *pool)
{
    const gen_wino *o = &j->s->o;
    gen_pool_run(pool, ceil_div(o->c, WEIGHTS_CHANNELS) * gen_wino_panels(o), weights_piece, j);
}

static gen_status fill_weights(void *ctx, void *to)
{
    weights_job *j = ctx;
    GEN_TRY(j->p->constant(j->p, 1, &j->w));
    j->u = to;
    transform_weights(j, j->p->backend->pool);
    return GEN_OK;
}

static gen_status pack_weights(gen_prepare *p, state *s)
{
    char layout[32];
    weights_job j = { .s = s, .p = p };
    const void *u;
    snprintf(layout, sizeof layout, "%s/%d", s->o.form->name, s->o.lanes);
    GEN_TRY(p->packed(p, 1, layout, (uint64_t)weight_bytes(&s->o), fill_weights, &j, &u));
    s->o.u = u;
    p->consumed |= 2;
    return GEN_OK;
}

static gen_status prepare(gen_prepare *p)
{
    gen_status status = GEN_OK;
    const gen_conv_attr *a = p->node->attr;
    state *s;
    GEN_TRY(GEN_ALLOC(&s, 1, "winograd"));
    s->isa = kernels_of(p->backend);
    set_shape(s, p->node, !p->is_const[1]);
    gen_wino *o = &s->o;
    GEN_GOTO(GEN_ALLOC(&s->own, (uint64_t)o->k + (uint64_t)o->c, "winograd"));
    o->bias = s->own;
    o->zeros = s->own + o->k;
    s->const_bias = !a->has_bias || p->is_const[2];
    if (a->has_bias && s->const_bias) {
        const float *bias;
        GEN_GOTO(p->constant(p, 2, &bias));
        memcpy(s->own, bias, (size_t)o->k * sizeof(float));
        p->consumed |= 4;
    }
    if (p->is_const[1])
        GEN_GOTO(pack_weights(p, s));
    s->block_bytes = (block_floats(o) * sizeof(float) + 63) / 64 * 64;
    p->workspace = s->block_bytes * (s->shared ? 1 : (uint64_t)gen_pool_threads(p->backend->pool));
    s->weights_at = p->workspace;
    if (o->vary)
        p->workspace += (uint64_t)weight_bytes(o);
    p->state = s;
done:
    if (status != GEN_OK) {
        gen_free(s->own);
        gen_free(s);
    }
    return status;
}

static void free_state(void *p)
{
    state *s = p;
    gen_free(s->own);
    gen_free(s);
}

/* ---- run ------------------------------------------------------------------------------------ */

typedef struct job {
    const state *s;
    const gen_wino *o;
    const float *x, *r;
    float *y, *v, *m;
    char *workspace;
    int first, rows; /* the block's tiles */
    int threads;
} job;

/* Of the windows of a block of tiles, the cells that no tile above or to the left has read. */
static void fetch_later(gen_wino_soon *s, const job *j, int first)
{
    const gen_wino *o = j->o;
    int step = o->form->step, over = o->form->window - step, image = o->tiles_y * o->tiles_x;
    int most = o->rows < GEN_WINO_MOST_ROWS ? o->rows : GEN_WINO_MOST_ROWS;
    *s = (gen_wino_soon){ .lines = step * o->c / 16 };
    for (int t = first; t < o->tiles && t < first + most; t++) {
        int n = t / image, y0 = t % image / o->tiles_x * step - o->pad_y + over;
        int x0 = t % o->tiles_x * step - o->pad_x + over;
        for (int y = y0; y < y0 + step; y++)
            if (y < o->h && x0 < o->w)
                s->run[s->runs++] =
                    (const char *)(j->x + (((int64_t)n * o->h + y) * o->w + x0) * o->c);
    }
    int np = o->form->products;
    int calls = np * np * gen_wino_panels(o) * ceil_div(o->rows, ROW_GROUP);
    s->step = ceil_div((int64_t)s->runs * s->lines, calls);
}

static void own_block(void *ctx, int piece, int thread)
{
    const job *j = ctx;
    const gen_wino *o = j->o;
    const gen_wino_isa *isa = j->s->isa;
    int sums = o->form->sums, panels = gen_wino_panels(o);
    int first = piece * o->rows, rows = o->tiles - first < o->rows ? o->tiles - first : o->rows;
    gen_wino_range t = { first, 0, rows };
    float *v = (float *)(j->workspace + (uint64_t)thread * j->s->block_bytes);
    float *m = v + o->form->inputs * o->form->inputs * o->v_plane;
    isa->input(o, j->x, v, t, 0, o->c / o->lanes);
    gen_wino_soon soon;
    fetch_later(&soon, j, (piece + j->threads) * o->rows); /* which it is likely to take next */
    for (int plane = 0; plane < sums * sums; plane++)
        isa->gemm(o, v, m, rows, plane, 0, panels, &soon);
    isa->output(o, m, j->r, j->y, t, 0, o->k / o->lanes);
}

/* Piece `piece` of an input or output transform: tiles, and `step` vectors of channels from *q0. */
static gen_wino_range part(const job *j, int piece, int vectors, int step, int *q0, int *q1)
{
    int across = ceil_div(vectors, step), tiles = j->s->tiles_a_piece;
    int from = piece / across * tiles;
    *q0 = piece % across * step;
    *q1 = *q0 + step < vectors ? *q0 + step : vectors;
    return (gen_wino_range){ j->first, from, from + tiles < j->rows ? from + tiles : j->rows };
}

static void input_piece(void *ctx, int piece, int thread)
{
    (void)thread;
    const job *j = ctx;
    int q0, q1;
    gen_wino_range t = part(j, piece, j->o->c / j->o->lanes, j->s->c_a_piece, &q0, &q1);
    j->s->isa->input(j->o, j->x, j->v, t, q0, q1);
}

static void product_piece(void *ctx, int piece, int thread)
{
    (void)thread;
    const job *j = ctx;
    int panels = gen_wino_panels(j->o), step = j->s->panels_a_piece;
    int across = ceil_div(panels, step);
    int p0 = piece % across * step, p1 = p0 + step < panels ? p0 + step : panels;
    j->s->isa->gemm(j->o, j->v, j->m, j->rows, piece / across, p0, p1, NULL);
}

static void output_piece(void *ctx, int piece, int thread)
{
    (void)thread;
    const job *j = ctx;
    int q0, q1;
    gen_wino_range t = part(j, piece, j->o->k / j->o->lanes, j->s->k_a_piece, &q0, &q1);
    j->s->isa->output(j->o, j->m, j->r, j->y, t, q0, q1);
}

static void shared_block(job *j, gen_pool *pool)
{
    const gen_wino *o = j->o;
    const state *s = j->s;
    int tiles = ceil_div(j->rows, s->tiles_a_piece), sums = o->form->sums;
    gen_pool_run(pool, tiles * ceil_div(o->c / o->lanes, s->c_a_piece), input_piece, j);
    gen_pool_run(pool, sums * sums * ceil_div(gen_wino_panels(o), s->panels_a_piece), product_piece,
                 j);
    gen_pool_run(pool, tiles * ceil_div(o->k / o->lanes, s->k_a_piece), output_piece, j);
}

static gen_status run(void *st, const void *const in[], void *const out[], void *workspace,
                      gen_backend *b)
{
    const state *s = st;
    gen_wino o = s->o;
    if (!s->const_bias)
        o.bias = in[2];
    job j = { .s = s, .o = &o, .x = in[0], .r = s->has_residual ? in[s->residual] : NULL,
              .y = out[0], .workspace = workspace,
              .threads = gen_pool_threads(b->pool) };
    if (o.vary) {
        weights_job k = { .s = s, .w = in[1], .u = (float *)(j.workspace + s->weights_at) };
        transform_weights(&k, b->pool);
        o.u = k.u;
    }
    if (!s->shared) {
        gen_pool_run(b->pool, s->blocks, own_block, &j);
        return GEN_OK;
    }
    j.v = workspace;
    j.m = j.v + o.form->inputs * o.form->inputs * o.v_plane;
    for (int i = 0; i < s->blocks; i++) {
        j.first = i * o.rows;
        j.rows = o.tiles - j.first < o.rows ? o.tiles - j.first : o.rows;
        shared_block(&j, b->pool);
    }
    return GEN_OK;
}

const gen_kernel gen_winograd_conv = {
    .name = "winograd/conv",
    .op = &gen_op_conv,
    .accepts = accepts,
    .prepare = prepare,
    .run = run,
    .free = free_state,
    .flags = GEN_KERNEL_RESIDUAL_IN_PLACE,
};
