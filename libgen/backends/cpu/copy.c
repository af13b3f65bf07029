/* SPDX-License-Identifier: Apache-2.0
 *
 * The copying engine of copy.h.
 */
#include "libgen/backends/cpu/copy.h"

#include <string.h>

#include "libgen/backends/cpu/vector.h"

#define TILE 16 /* a transposed block is TILE x TILE elements */

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

/* Moves the axis that is dense in the source next to the innermost, as the other side of tiles. */
static void choose_tile(gen_copy *c)
{
    int last = c->rank - 1;
    c->tile = -1;
    if (c->to[last] != 1 || c->from[last] < 2 || c->dim[last] < 4)
        return;
    for (int i = 0; i < last; i++) {
        if (c->from[i] != 1 || c->dim[i] < 4)
            continue;
        int64_t dim = c->dim[i], to = c->to[i];
        for (int k = i; k < last - 1; k++) {
            c->dim[k] = c->dim[k + 1];
            c->to[k] = c->to[k + 1];
            c->from[k] = c->from[k + 1];
        }
        c->tile = last - 1;
        c->dim[last - 1] = dim;
        c->to[last - 1] = to;
        c->from[last - 1] = 1;
        return;
    }
}

void gen_copy_prepare(gen_copy *c)
{
    collapse(c);
    widen(c);
    choose_tile(c);
    int last = c->rank - 1, outer = c->tile >= 0 ? c->tile : last;
    int64_t depth = c->tile >= 0 ? c->dim[c->tile] : 1, piece = GEN_PIECE * 4 / c->size;
    c->rows = 1;
    for (int i = 0; i < outer; i++)
        c->rows *= c->dim[i];
    int64_t part = gen_vec_ceil(gen_vec_ceil(piece, depth), TILE) * TILE;
    c->part = c->dim[last] < part ? c->dim[last] : part;
    c->parts = gen_vec_ceil(c->dim[last], c->part);
    c->together = c->parts > 1 ? 1 : gen_vec_ceil(piece, c->dim[last] * depth);
}

/* ---- running ------------------------------------------------------------------------------- */

typedef struct element16 {
    uint64_t half[2];
} element16;

/* memcpy of a known size is one move, aligned or not. */
#define STRIDED(type)                                                                              \
    /* to[i * to_step] = from[i * step] */                                                         \
    static void strided_##type(char *to, const char *from, int64_t n, int64_t to_step,             \
                               int64_t step)                                                       \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++)                                                            \
            memcpy(to + i * to_step * (int64_t)sizeof(type),                                       \
                   from + i * step * (int64_t)sizeof(type), sizeof(type));                         \
    }                                                                                              \
    /* to[k * to_step + i] = from[k + i * step] for k < depth */                                   \
    static void tile_##type(char *to, const char *from, const int64_t n[2], int64_t to_step,       \
                            int64_t step)                                                          \
    {                                                                                              \
        for (int64_t k = 0; k < n[0]; k++)                                                         \
            for (int64_t i = 0; i < n[1]; i++)                                                     \
                memcpy(to + (k * to_step + i) * (int64_t)sizeof(type),                             \
                       from + (k + i * step) * (int64_t)sizeof(type), sizeof(type));               \
    }
STRIDED(uint8_t)
STRIDED(uint16_t)
STRIDED(uint32_t)
STRIDED(uint64_t)
STRIDED(element16)

typedef void strided_fn(char *to, const char *from, int64_t n, int64_t to_step, int64_t step);
typedef void tile_fn(char *to, const char *from, const int64_t n[2], int64_t to_step, int64_t step);

/* By the logarithm of the size. */
static strided_fn *const strided[] = { strided_uint8_t, strided_uint16_t, strided_uint32_t,
                                       strided_uint64_t, strided_element16 };
static tile_fn *const tile[] = { tile_uint8_t, tile_uint16_t, tile_uint32_t, tile_uint64_t,
                                 tile_element16 };

static int logarithm(int64_t size)
{
    int n = 0;
    while (size >>= 1)
        n++;
    return n;
}

void gen_copy_fill(void *to, const void *value, int64_t n, int64_t size)
{
    strided[logarithm(size)](to, value, n, 1, 0);
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

static void copy_tiles(const gen_copy *c, char *to, const char *from, int64_t n)
{
    int last = c->rank - 1, log = logarithm(c->size);
    int64_t depth = c->dim[c->tile], to_step = c->to[c->tile], step = c->from[last];
    for (int64_t i = 0; i < n; i += TILE) {
        for (int64_t k = 0; k < depth; k += TILE) {
            int64_t size[2] = { depth - k < TILE ? depth - k : TILE, n - i < TILE ? n - i : TILE };
            tile[log](to + (k * to_step + i) * c->size, from + (k + i * step) * c->size, size,
                      to_step, step);
        }
    }
}

static void copy_piece(void *ctx, int piece, int thread)
{
    const copy_args *a = ctx;
    const gen_copy *c = a->c;
    int last = c->rank - 1, outer = c->tile >= 0 ? c->tile : last;
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
        char *t = a->to + to * c->size;
        const char *f = a->from + from * c->size;
        if (c->tile >= 0)
            copy_tiles(c, t, f, n);
        else if (c->to[last] == 1 && c->from[last] == 1)
            copy_run(t, f, n * c->size);
        else
            strided[logarithm(c->size)](t, f, n, c->to[last], c->from[last]);
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
    int64_t depth = c->tile >= 0 ? c->dim[c->tile] : 1;
    int64_t bytes = c->rows * depth * c->dim[c->rank - 1] * c->size;
    gen_vec_run(b, gen_vec_ceil(c->rows, c->together) * c->parts, bytes / 4, copy_piece, &a);
}
