/* SPDX-License-Identifier: Apache-2.0
 *
 * avg_pool, max_pool and their adjoints for f32 and bf16, 1 to 3 spatial axes. The forward ops and
 * the average's adjoint compute each cell of the result from a list of cells (kernels/pool.h): the
 * window, or, for the adjoint, the windows that a cell lies in. The adjoint of max scatters
 * instead, image by image in blocks of channels; with bf16 only where windows do not overlap,
 * because sums would be rounded at each addition.
 */
#include <string.h>

#include "libgen/backends/cpu/cpu.h"
#include "libgen/backends/cpu/kernels/pool.h"
#include "libgen/backends/cpu/vector.h"
#include "libgen/ops/shape_rules.h"

extern const gen_pool_loops gen_pool_loops_base[2];
#if defined(__x86_64__)
extern const gen_pool_loops gen_pool_loops_avx2[2], gen_pool_loops_avx512[2];
#endif

enum { MAX_CELLS = 512, BLOCK = 64 };

const gen_pool_loops *gen_pool_loops_of(gen_isa isa)
{
#if defined(__x86_64__)
    if (isa >= GEN_ISA_AVX512)
        return gen_pool_loops_avx512;
    if (isa == GEN_ISA_AVX2)
        return gen_pool_loops_avx2;
#endif
    (void)isa;
    return gen_pool_loops_base;
}

typedef struct pool_state {
    const gen_pool_loops *loops;
    int64_t size; /* bytes of an element */
    bool top, exclude_pad;
    int64_t n, c, x[3], y[3]; /* (D,H,W); x is the fine side */
    int64_t kernel[3], stride[3], pad[3];
    int64_t rows, together; /* rows of the result, and how many in a piece */
} pool_state;

typedef struct pool_args {
    const pool_state *s;
    const char *in, *dy; /* the input that is read; dy of the max's adjoint */
    char *out;
} pool_args;

/* A list of cells: offsets in elements from the first, and weights. */
typedef struct cell_list {
    int64_t count, at[MAX_CELLS];
    float weight[MAX_CELLS];
} cell_list;

typedef struct range {
    int64_t lo, hi;
} range;

/* Cells of x in window i, and windows that hold cell i of x. */
static range window_of(const pool_state *s, int axis, int64_t i)
{
    int64_t lo = i * s->stride[axis] - s->pad[axis], hi = lo + s->kernel[axis];
    return (range){ lo < 0 ? 0 : lo, hi > s->x[axis] ? s->x[axis] : hi };
}

static range holders_of(const pool_state *s, int axis, int64_t i)
{
    int64_t at = i + s->pad[axis], before = at - s->kernel[axis];
    int64_t lo = before < 0 ? 0 : before / s->stride[axis] + 1, hi = at / s->stride[axis] + 1;
    return (range){ lo, hi > s->y[axis] ? s->y[axis] : hi };
}

static float weight_of(const pool_state *s, const range w[3])
{
    float count = 1;
    for (int i = 0; i < 3; i++)
        count *= (float)(s->exclude_pad ? w[i].hi - w[i].lo : s->kernel[i]);
    return 1 / count;
}

/* The window w as offsets from its cell (0, 0, w[2].lo). */
static void list_window(const pool_state *s, const range w[3], cell_list *l)
{
    float weight = weight_of(s, w);
    l->count = 0;
    for (int64_t d = w[0].lo; d < w[0].hi; d++)
        for (int64_t h = w[1].lo; h < w[1].hi; h++)
            for (int64_t i = 0; i < w[2].hi - w[2].lo; i++) {
                l->at[l->count] = ((d * s->x[1] + h) * s->x[2] + i) * s->c;
                l->weight[l->count++] = weight;
            }
}

/* The windows that hold a cell, with what each gives it. */
static void list_holders(const pool_state *s, const range y[3], cell_list *l)
{
    range w[3];
    l->count = 0;
    for (int64_t d = y[0].lo; d < y[0].hi; d++) {
        w[0] = window_of(s, 0, d);
        for (int64_t h = y[1].lo; h < y[1].hi; h++) {
            w[1] = window_of(s, 1, h);
            for (int64_t i = y[2].lo; i < y[2].hi; i++) {
                w[2] = window_of(s, 2, i);
                l->at[l->count] = ((d * s->y[1] + h) * s->y[2] + i) * s->c;
                l->weight[l->count++] = weight_of(s, w);
            }
        }
    }
}

/* ---- forward --------------------------------------------------------------------------------- */

static void forward_row(const pool_args *a, int64_t row, cell_list *l)
{
    const pool_state *s = a->s;
    int64_t image = row / (s->y[0] * s->y[1]), length = -1;
    range w[3] = { window_of(s, 0, row / s->y[1] % s->y[0]), window_of(s, 1, row % s->y[1]) };
    const char *x = a->in + image * s->x[0] * s->x[1] * s->x[2] * s->c * s->size;
    char *y = a->out + row * s->y[2] * s->c * s->size;
    for (int64_t i = 0; i < s->y[2]; i++, y += s->c * s->size) {
        w[2] = window_of(s, 2, i);
        if (w[2].hi - w[2].lo != length)
            list_window(s, w, l);
        length = w[2].hi - w[2].lo;
        const char *from = x + w[2].lo * s->c * s->size;
        if (s->top)
            s->loops->largest(y, from, l->at, l->count, s->c);
        else
            s->loops->weighted(y, from, l->at, l->weight, l->count, s->c);
    }
}

static void forward_piece(void *ctx, int piece, int thread)
{
    const pool_args *a = ctx;
    const pool_state *s = a->s;
    int64_t first = piece * s->together, last = first + s->together;
    cell_list l;
    (void)thread;
    for (int64_t row = first; row < last && row < s->rows; row++)
        forward_row(a, row, &l);
}

/* ---- adjoint of the average ------------------------------------------------------------------ */

static void dx_row(const pool_args *a, int64_t row, cell_list *l)
{
    const pool_state *s = a->s;
    int64_t image = row / (s->x[0] * s->x[1]);
    range y[3] = { holders_of(s, 0, row / s->x[1] % s->x[0]), holders_of(s, 1, row % s->x[1]) };
    const char *dy = a->in + image * s->y[0] * s->y[1] * s->y[2] * s->c * s->size;
    char *dx = a->out + row * s->x[2] * s->c * s->size;
    for (int64_t i = 0; i < s->x[2]; i++, dx += s->c * s->size) {
        y[2] = holders_of(s, 2, i);
        list_holders(s, y, l);
        if (l->count)
            s->loops->weighted(dx, dy, l->at, l->weight, l->count, s->c);
        else
            memset(dx, 0, (size_t)(s->c * s->size));
    }
}

static void dx_piece(void *ctx, int piece, int thread)
{
    const pool_args *a = ctx;
    const pool_state *s = a->s;
    int64_t first = piece * s->together, last = first + s->together;
    cell_list l;
    (void)thread;
    for (int64_t row = first; row < last && row < s->rows; row++)
        dx_row(a, row, &l);
}

/* ---- adjoint of the maximum ------------------------------------------------------------------ */

/* dx[where] += dy for one window; with bf16 windows do not overlap, so that nothing is summed. */
static void scatter(const pool_state *s, const cell_list *l, const int32_t *where, const char *dy,
                    char *dx, int64_t n)
{
    for (int64_t j = 0; j < n; j++) {
        int64_t at = l->at[where[j]] + j;
        if (s->size == 4)
            ((float *)dx)[at] += ((const float *)dy)[j];
        else
            ((uint16_t *)dx)[at] = ((const uint16_t *)dy)[j];
    }
}

/* One image, one block of channels. */
static void max_dx_piece(void *ctx, int piece, int thread)
{
    const pool_args *a = ctx;
    const pool_state *s = a->s;
    int64_t blocks = gen_vec_ceil(s->c, BLOCK), image = piece / blocks, c = piece % blocks * BLOCK;
    int64_t n = s->c - c < BLOCK ? s->c - c : BLOCK, fine = s->x[0] * s->x[1] * s->x[2];
    const char *x = a->in + (image * fine * s->c + c) * s->size;
    const char *dy = a->dy + (image * s->y[0] * s->y[1] * s->y[2] * s->c + c) * s->size;
    char *dx = a->out + (image * fine * s->c + c) * s->size;
    int32_t where[BLOCK];
    range w[3];
    cell_list l;
    (void)thread;
    for (int64_t i = 0; i < fine; i++)
        memset(dx + i * s->c * s->size, 0, (size_t)(n * s->size));
    for (int64_t d = 0; d < s->y[0]; d++) {
        w[0] = window_of(s, 0, d);
        for (int64_t h = 0; h < s->y[1]; h++) {
            w[1] = window_of(s, 1, h);
            for (int64_t i = 0; i < s->y[2]; i++, dy += s->c * s->size) {
                w[2] = window_of(s, 2, i);
                list_window(s, w, &l);
                int64_t first = w[2].lo * s->c * s->size;
                s->loops->first_largest(where, x + first, l.at, l.count, n);
                scatter(s, &l, where, dy, dx + first, n);
            }
        }
    }
}

/* ---- kernels --------------------------------------------------------------------------------- */

static bool is_adjoint(const gen_node *n)
{
    return n->op == &gen_op_avg_pool_dx || n->op == &gen_op_max_pool_dx;
}

static bool accepts(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    const gen_pool_attr *k = n->attr; /* first member of gen_pool_dx_attr too */
    int64_t cells = 1;
    bool overlap = false;
    (void)b, (void)is_const;
    if (n->op != &gen_op_avg_pool && n->op != &gen_op_max_pool && !is_adjoint(n))
        return false;
    for (int i = 0; i < 3; i++) {
        if (k->kernel[i] > MAX_CELLS)
            return false;
        cells *= k->kernel[i];
        overlap |= k->stride[i] < k->kernel[i];
    }
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i]->dtype[0] != n->dtype[0])
            return false;
    if (n->op == &gen_op_max_pool_dx && overlap && n->dtype[0] != GEN_F32)
        return false;
    return gen_vec_is_float(n->dtype[0]) && cells <= MAX_CELLS;
}

static gen_status prepare(gen_prepare *p)
{
    const gen_node *n = p->node;
    const gen_pool_attr *k = n->attr;
    bool adjoint = is_adjoint(n);
    gen_shape near = n->in[n->n_in - 1]->shape[0], far = n->shape[0];
    gen_shape x = adjoint ? far : near, y = adjoint ? near : far;
    int axes = x.rank - 2;
    pool_state *s;
    GEN_TRY(GEN_ALLOC(&s, 1, "pooling kernel"));
    s->loops = &gen_pool_loops_of(p->backend->isa)[n->dtype[0] == GEN_BF16];
    s->size = (int64_t)gen_dtype_size(n->dtype[0]);
    s->top = n->op == &gen_op_max_pool || n->op == &gen_op_max_pool_dx;
    s->exclude_pad = k->exclude_pad;
    s->n = x.dim[0];
    s->c = x.dim[x.rank - 1];
    gen_rule_align(s->x, x.dim + 1, axes, 1);
    gen_rule_align(s->y, y.dim + 1, axes, 1);
    gen_rule_align(s->kernel, k->kernel, axes, 1);
    gen_rule_align(s->stride, k->stride, axes, 1);
    gen_rule_align(s->pad, k->pad_lo, axes, 0);
    const int64_t *out = adjoint ? s->x : s->y;
    s->rows = s->n * out[0] * out[1];
    s->together = gen_vec_ceil(GEN_PIECE, out[2] * s->c);
    p->state = s;
    return GEN_OK;
}

static gen_status run(void *state, const void *const in[], void *const out[], void *workspace,
                      gen_backend *b)
{
    const pool_state *s = state;
    pool_args a = { .s = s, .in = in[0], .out = out[0] };
    (void)workspace;
    gen_vec_run(b, gen_vec_ceil(s->rows, s->together), s->n * s->x[0] * s->x[1] * s->x[2] * s->c,
                forward_piece, &a);
    return GEN_OK;
}

static gen_status run_dx(void *state, const void *const in[], void *const out[], void *workspace,
                         gen_backend *b)
{
    const pool_state *s = state;
    pool_args a = { .s = s, .in = in[0], .out = out[0] };
    (void)workspace;
    gen_vec_run(b, gen_vec_ceil(s->rows, s->together), s->rows * s->x[2] * s->c, dx_piece, &a);
    return GEN_OK;
}

static gen_status run_max_dx(void *state, const void *const in[], void *const out[],
                             void *workspace, gen_backend *b)
{
    const pool_state *s = state;
    pool_args a = { .s = s, .in = in[0], .dy = in[1], .out = out[0] };
    (void)workspace;
    gen_vec_run(b, s->n * gen_vec_ceil(s->c, BLOCK), s->n * s->x[0] * s->x[1] * s->x[2] * s->c,
                max_dx_piece, &a);
    return GEN_OK;
}

const gen_kernel gen_avg_pool_kernel = { .name = "pool", .op = &gen_op_avg_pool,
                                         .accepts = accepts, .prepare = prepare, .run = run };
const gen_kernel gen_max_pool_kernel = { .name = "pool", .op = &gen_op_max_pool,
                                         .accepts = accepts, .prepare = prepare, .run = run };
const gen_kernel gen_avg_pool_dx_kernel = { .name = "pool", .op = &gen_op_avg_pool_dx,
                                            .accepts = accepts, .prepare = prepare,
                                            .run = run_dx };
const gen_kernel gen_max_pool_dx_kernel = { .name = "pool", .op = &gen_op_max_pool_dx,
                                            .accepts = accepts, .prepare = prepare,
                                            .run = run_max_dx };
