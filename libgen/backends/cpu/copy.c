/* SPDX-License-Identifier: Apache-2.0
 *
 * The copying engine of copy.h.
 */
#include "libgen/backends/cpu/copy.h"

#include <string.h>

#include "libgen/backends/cpu/vector.h"

/* A grid is copied in tiles of TILE x TILE elements: their cache lines stay in L1. Of sizes from 8
 * to 128, 16 took the least time on 4096 x 96 floats, either way. */
#define TILE 16

void gen_copy_axis(gen_copy *c, int64_t dim, int64_t to, int64_t from)
{
    c->dim[c->rank] = dim;
    c->to[c->rank] = to;
    c->from[c->rank] = from;
    c->rank++;
}

/* ---- preparing ----------------------------------------------------------------------------- */

/* Drops axes of size 1, joins neighbours that both sides cross with one stride. */
static void collapse(gen_copy *c)
{
    int n = 0;
    for (int i = 0; i < c->rank; i++) {
        int64_t dim = c->dim[i];
        if (dim == 1)
            continue;
        bool joins = n > 0 && c->to[n - 1] == c->to[i] * dim && c->from[n - 1] == c->from[i] * dim;
        n -= joins;
        c->dim[n] = joins ? c->dim[n] * dim : dim;
        c->to[n] = c->to[i];
        c->from[n] = c->from[i];
        n++;
    }
    c->rank = n;
    if (n == 0)
        gen_copy_axis(c, 1, 1, 1);
}

/* A run of 2, 4, ... bytes that is dense on both sides becomes one element. */
static void widen(gen_copy *c)
{
    int last = c->rank - 1;
    int64_t n = c->dim[last], size = n * c->size;
    if (c->rank < 2 || c->to[last] != 1 || c->from[last] != 1)
        return;
    if (size != 2 && size != 4 && size != 8 && size != 16)
        return;
    bool fits = c->to_first % n == 0 && c->from_first % n == 0;
    for (int i = 0; i < last; i++)
        fits &= c->to[i] % n == 0 && c->from[i] % n == 0;
    if (!fits)
        return;
    for (int i = 0; i < last; i++) {
        c->to[i] /= n;
        c->from[i] /= n;
    }
    c->to_first /= n;
    c->from_first /= n;
    c->size = size;
    c->rank--;
}

/* Where the innermost axis is not dense, the last two are copied as a grid. An axis that is dense
 * in the source, if there is one, is moved to be the outer of the two. */
static void choose_grid(gen_copy *c)
{
    int last = c->rank - 1, dense = last - 1;
    bool run = c->to[last] == 1 && c->from[last] == 1;
    c->grid = !run && last > 0;
    if (!c->grid)
        return;
    for (int i = 0; i < last; i++)
        if (c->from[i] == 1 && c->dim[i] >= 4)
            dense = i;
    int64_t dim = c->dim[dense], to = c->to[dense], from = c->from[dense];
    for (int k = dense; k < last - 1; k++) {
        c->dim[k] = c->dim[k + 1];
        c->to[k] = c->to[k + 1];
        c->from[k] = c->from[k + 1];
    }
    c->dim[last - 1] = dim;
    c->to[last - 1] = to;
    c->from[last - 1] = from;
}

/* Axes whose indices are rows, and the outer size of the grid behind them (1 without a grid). */
static int row_axes(const gen_copy *c)
{
    return c->rank - (c->grid ? 2 : 1);
}

static int64_t grid_depth(const gen_copy *c)
{
    return c->grid ? c->dim[c->rank - 2] : 1;
}

void gen_copy_prepare(gen_copy *c)
{
    collapse(c);
    widen(c);
    choose_grid(c);
    int64_t n = c->dim[c->rank - 1], depth = grid_depth(c), piece = GEN_PIECE * 4 / c->size;
    c->rows = 1;
    for (int i = 0; i < row_axes(c); i++)
        c->rows *= c->dim[i];
    int64_t part = gen_vec_ceil(gen_vec_ceil(piece, depth), TILE) * TILE;
    c->part = n < part ? n : part;
    c->parts = gen_vec_ceil(n, c->part);
    c->together = c->parts > 1 ? 1 : gen_vec_ceil(piece, n * depth);
}

/* ---- running ------------------------------------------------------------------------------- */

typedef struct element16 {
    uint64_t half[2];
} element16;

/* Elements and steps of a grid, outer axis first. */
typedef struct grid {
    int64_t n[2], to[2], from[2];
} grid;

typedef void grid_fn(char *to, const char *from, const grid *g);

/* memcpy of a known size is one move, aligned or not. */
#define GRID(type)                                                                                 \
    static void grid_##type(char *to, const char *from, const grid *g)                             \
    {                                                                                              \
        int64_t n = g->n[1], size = sizeof(type), to_step = g->to[1], from_step = g->from[1];      \
        for (int64_t k = 0; k < g->n[0]; k++) {                                                    \
            char *t = to + k * g->to[0] * size;                                                    \
            const char *f = from + k * g->from[0] * size;                                          \
            for (int64_t i = 0; i < n; i++)                                                        \
                memcpy(t + i * to_step * size, f + i * from_step * size, sizeof(type));            \
        }                                                                                          \
    }
GRID(uint8_t)
GRID(uint16_t)
GRID(uint32_t)
GRID(uint64_t)
GRID(element16)

/* By the logarithm of the size. */
static grid_fn *const copy_grid[] = { grid_uint8_t, grid_uint16_t, grid_uint32_t, grid_uint64_t,
                                      grid_element16 };

static int logarithm(int64_t size)
{
    int n = 0;
    while (size >>= 1)
        n++;
    return n;
}

void gen_copy_fill(void *to, const void *value, int64_t n, int64_t size)
{
    copy_grid[logarithm(size)](to, value, &(grid){ { 1, n }, { 0, 1 }, { 0, 0 } });
}

typedef struct copy_args {
    const gen_copy *c;
    char *to;
    const char *from;
} copy_args;

/* A short run without the call of memcpy. */
static void copy_run(char *to, const char *from, int64_t bytes)
{
    if (bytes > 64 || bytes % 4 != 0) {
        memcpy(to, from, (size_t)bytes);
        return;
    }
    for (int64_t i = 0; i < bytes; i += 4)
        memcpy(to + i, from + i, 4);
}

/* n elements of the innermost axis, for all of the grid's outer one. */
static void copy_tiles(const gen_copy *c, char *to, const char *from, int64_t n)
{
    int last = c->rank - 1, before = c->grid ? last - 1 : last;
    int64_t depth = grid_depth(c);
    grid_fn *fn = copy_grid[logarithm(c->size)];
    grid g = { .to = { c->to[before], c->to[last] }, .from = { c->from[before], c->from[last] } };
    for (int64_t i = 0; i < n; i += TILE) {
        g.n[1] = n - i < TILE ? n - i : TILE;
        for (int64_t k = 0; k < depth; k += TILE) {
            g.n[0] = depth - k < TILE ? depth - k : TILE;
            fn(to + (k * g.to[0] + i * g.to[1]) * c->size,
               from + (k * g.from[0] + i * g.from[1]) * c->size, &g);
        }
    }
}

static void copy_piece(void *ctx, int piece, int thread)
{
    const copy_args *a = ctx;
    const gen_copy *c = a->c;
    int last = c->rank - 1, outer = row_axes(c);
    bool run = c->to[last] == 1 && c->from[last] == 1;
    int64_t at[GEN_MAX_RANK] = { 0 };
    int64_t row = piece / c->parts * c->together, first = piece % c->parts * c->part;
    int64_t end = row + c->together < c->rows ? row + c->together : c->rows;
    int64_t n = c->dim[last] - first < c->part ? c->dim[last] - first : c->part;
    int64_t to = c->to_first + first * c->to[last], from = c->from_first + first * c->from[last];
    (void)thread;
    for (int64_t i = outer - 1, rest = row; i >= 0; i--) {
        at[i] = rest % c->dim[i];
        rest /= c->dim[i];
        to += at[i] * c->to[i];
        from += at[i] * c->from[i];
    }
    for (; row < end; row++) {
        if (run)
            copy_run(a->to + to * c->size, a->from + from * c->size, n * c->size);
        else
            copy_tiles(c, a->to + to * c->size, a->from + from * c->size, n);
        for (int i = outer - 1; i >= 0; i--) {
            to += c->to[i];
            from += c->from[i];
            if (++at[i] < c->dim[i])
                break;
            to -= c->to[i] * c->dim[i];
            from -= c->from[i] * c->dim[i];
            at[i] = 0;
        }
    }
}

void gen_copy_run(const gen_copy *c, void *to, const void *from, gen_backend *b)
{
    copy_args a = { c, to, from };
    int64_t bytes = c->rows * grid_depth(c) * c->dim[c->rank - 1] * c->size;
    gen_vec_run(b, gen_vec_ceil(c->rows, c->together) * c->parts, bytes / 4, copy_piece, &a);
}
