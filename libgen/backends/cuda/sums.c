/* SPDX-License-Identifier: Apache-2.0
 *
 * Cuts of sums (kernels/sums.h).
 */
#include "libgen/backends/cuda/kernels/sums.h"

/* WAVE blocks are about what a large device works on at a time. A lane adds LEAST rows or more,
 * lest the second launch has as much to do as the first. */
enum { THREADS = GEN_CUDA_THREADS, WARP = 32, WAVE = 512, LEAST = 8, LAST_ACROSS = 8 };
enum { MAP_ROWS = 8 }; /* of a thread that adds nothing up */

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* A warp's width of columns a block, or more where there are blocks enough. */
static void lay_columns(gen_cuda_cut *c, int v)
{
    int64_t units = ceil_div(c->columns, v), width = WARP;
    while (width < THREADS && c->kept * ceil_div(units, width) > 4 * WAVE)
        width *= 2;
    c->tiles = (int)ceil_div(units, width);
    c->across = (int)ceil_div(units, c->tiles);
    c->lanes = (int)least(THREADS / c->across, c->rows);
}

static void cut_rows(gen_cuda_cut *c, int64_t parts)
{
    c->each = ceil_div(c->rows, parts > 1 ? parts : 1);
    c->parts = (int)ceil_div(c->rows, c->each);
}

static int64_t parts_of_wave(const gen_cuda_cut *c)
{
    return least(WAVE / (c->kept * c->tiles), c->rows / (c->lanes * LEAST));
}

gen_cuda_cut gen_cuda_cut_columns(int64_t kept, int64_t rows, int64_t columns, int v)
{
    gen_cuda_cut c = { .kept = kept, .rows = rows, .columns = columns };
    lay_columns(&c, v);
    cut_rows(&c, parts_of_wave(&c));
    return c;
}

gen_cuda_cut gen_cuda_cut_runs(int64_t results, int64_t rows)
{
    gen_cuda_cut c = { .kept = 1, .rows = rows, .columns = results, .lanes = 1, .inner = true };
    while (c.lanes < THREADS && c.lanes * 4 < rows)
        c.lanes *= 2;
    c.across = THREADS / c.lanes;
    c.tiles = (int)ceil_div(results, c.across);
    cut_rows(&c, parts_of_wave(&c));
    return c;
}

gen_cuda_cut gen_cuda_cut_map(int64_t kept, int64_t rows, int64_t columns, int v)
{
    gen_cuda_cut c = { .kept = kept, .rows = rows, .columns = columns };
    lay_columns(&c, v);
    cut_rows(&c, ceil_div(rows, c.lanes * MAP_ROWS));
    return c;
}

uint64_t gen_cuda_cut_parts(gen_cuda_sums *s, int values)
{
    const gen_cuda_cut *c = &s->cut;
    gen_cuda_cut *l = &s->last;
    *l = (gen_cuda_cut){ .kept = c->kept, .rows = c->parts, .columns = c->columns, .parts = 1 };
    l->each = l->rows;
    l->across = (int)least(LAST_ACROSS, l->columns);
    l->tiles = (int)ceil_div(l->columns, l->across);
    l->lanes = (int)least(THREADS / LAST_ACROSS, l->rows);
    if (c->parts == 1)
        return 0;
    return (uint64_t)(c->kept * c->parts * c->columns) * (uint64_t)values * sizeof(double);
}
