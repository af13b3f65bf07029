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

/* ---- preparing ----------------------------------------------------------------------------- */

/* A run of 2, 4, ... bytes that is dense on both sides becomes one element. */
static void widen(gen_move *m)
{
    int last = m->rank - 1;
    int64_t n = m->dim[last], size = n * m->size;
    if (m->rank < 2 || m->to[last] != 1 || m->from[last] != 1)
        return;
    if (size != 2 && size != 4 && size != 8 && size != 16)
        return;
    bool fits = m->to_first % n == 0 && m->from_first % n == 0;
    for (int i = 0; i < last; i++)
        fits &= m->to[i] % n == 0 && m->from[i] % n == 0;
    if (!fits)
        return;
    for (int i = 0; i < last; i++) {
        m->to[i] /= n;
        m->from[i] /= n;
    }
    m->to_first /= n;
    m->from_first /= n;
    m->size = size;
    m->rank--;
}

/* Where the innermost axis is not dense, the last two are copied as a grid. An axis that is dense
 * in the source, if there is one, is moved to be the outer of the two. */
static void choose_grid(gen_copy *c)
{
    gen_move *m = &c->move;
    int last = m->rank - 1, dense = last - 1;
    bool run = m->to[last] == 1 && m->from[last] == 1;
    c->grid = !run && last > 0;
    if (!c->grid)
        return;
    for (int i = 0; i < last; i++)
        if (m->from[i] == 1 && m->dim[i] >= 4)
            dense = i;
    int64_t dim = m->dim[dense], to = m->to[dense], from = m->from[dense];
    for (int k = dense; k < last - 1; k++) {
        m->dim[k] = m->dim[k + 1];
        m->to[k] = m->to[k + 1];
        m->from[k] = m->from[k + 1];
    }
    m->dim[last - 1] = dim;
    m->to[last - 1] = to;
    m->from[last - 1] = from;
}

/* Axes whose indices are rows, and the outer size of the grid behind them (1 without a grid). */
static int row_axes(const gen_copy *c)
{
    return c->move.rank - (c->grid ? 2 : 1);
}

static int64_t grid_depth(const gen_copy *c)
{
    return c->grid ? c->move.dim[c->move.rank - 2] : 1;
}

void gen_copy_prepare(gen_copy *c)
{
    gen_move *m = &c->move;
    gen_move_join(m);
    widen(m);
    choose_grid(c);
    int64_t n = m->dim[m->rank - 1], depth = grid_depth(c), piece = GEN_PIECE * 4 / m->size;
    c->rows = 1;
    for (int i = 0; i < row_axes(c); i++)
        c->rows *= m->dim[i];
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
    const gen_move *m = &c->move;
    int last = m->rank - 1, before = c->grid ? last - 1 : last;
    int64_t depth = grid_depth(c);
    grid_fn *fn = copy_grid[logarithm(m->size)];
    grid g = { .to = { m->to[before], m->to[last] }, .from = { m->from[before], m->from[last] } };
    for (int64_t i = 0; i < n; i += TILE) {
        g.n[1] = n - i < TILE ? n - i : TILE;
        for (int64_t k = 0; k < depth; k += TILE) {
            g.n[0] = depth - k < TILE ? depth - k : TILE;
            fn(to + (k * g.to[0] + i * g.to[1]) * m->size,
               from + (k * g.from[0] + i * g.from[1]) * m->size, &g);
        }
    }
}

static void copy_piece(void *ctx, int piece, int thread)
{
    const copy_args *a = ctx;
    const gen_copy *c = a->c;
    const gen_move *m = &c->move;
    int last = m->rank - 1, outer = row_axes(c);
    bool run = m->to[last] == 1 && m->from[last] == 1;
    int64_t at[GEN_MAX_RANK] = { 0 };
    int64_t row = piece / c->parts * c->together, first = piece % c->parts * c->part;
    int64_t end = row + c->together < c->rows ? row + c->together : c->rows;
    int64_t n = m->dim[last] - first < c->part ? m->dim[last] - first : c->part;
    int64_t to = m->to_first + first * m->to[last], from = m->from_first + first * m->from[last];
    (void)thread;
    for (int64_t i = outer - 1, rest = row; i >= 0; i--) {
        at[i] = rest % m->dim[i];
        rest /= m->dim[i];
        to += at[i] * m->to[i];
        from += at[i] * m->from[i];
    }
    for (; row < end; row++) {
        if (run)
            copy_run(a->to + to * m->size, a->from + from * m->size, n * m->size);
        else
            copy_tiles(c, a->to + to * m->size, a->from + from * m->size, n);
        for (int i = outer - 1; i >= 0; i--) {
            to += m->to[i];
            from += m->from[i];
            if (++at[i] < m->dim[i])
                break;
            to -= m->to[i] * m->dim[i];
            from -= m->from[i] * m->dim[i];
            at[i] = 0;
        }
    }
}

void gen_copy_run(const gen_copy *c, void *to, const void *from, gen_backend *b)
{
    copy_args a = { c, to, from };
    const gen_move *m = &c->move;
    int64_t bytes = c->rows * grid_depth(c) * m->dim[m->rank - 1] * m->size;
    gen_vec_run(b, gen_vec_ceil(c->rows, c->together) * c->parts, bytes / 4, copy_piece, &a);
}
