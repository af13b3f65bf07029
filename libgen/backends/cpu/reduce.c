/* SPDX-License-Identifier: Apache-2.0
 *
 * sum, mean, max_over and sum_to for f32 and bf16, added in double.
 *
 * After joining, axes alternate between kept and reduced. The innermost pair is the `unit`: either
 * one dense run (cells = 1), or `depth` rows of `cells` that are added up cell by cell. Around it
 * are kept axes, of which each index is work of its own, and reduced ones, walked in order. A piece
 * is some kept indices, or one of them with a range of the unit's depth or of its cells; the parts
 * of a depth are sums in the workspace, added in order at the end. All that depends on shapes only.
 */
#include <math.h>
#include <string.h>

#include "libgen/backends/cpu/vector.h"
#include "libgen/ops/strides.h"

#define BLOCK 1024   /* floats converted from bf16 at a time, and sums held in L1 */
#define CELLS 2048   /* cells of a piece at most */

typedef struct axes {
    int rank;
    int64_t dim[GEN_MAX_RANK], step[GEN_MAX_RANK]; /* step in x */
    int64_t count;
} axes;

typedef struct reduce_state {
    const gen_vec *vec;
    bool bf16, top;
    double divisor;
    axes kept, reduced; /* around the unit */
    int64_t depth, cells; /* the unit: [depth, cells] dense, or [depth] with cells 1 */
    int64_t parts, part;  /* of the depth */
    int64_t bands, band;  /* of the cells */
    int64_t together;     /* kept indices in a piece */
    int64_t pieces, elements;
} reduce_state;

typedef struct reduce_args {
    const reduce_state *s;
    const char *x;
    char *y;
    double *sums; /* [kept, parts, cells] when parts > 1 */
} reduce_args;

/* ---- one unit ------------------------------------------------------------------------------ */

static const float *load(const reduce_state *s, const char *x, int64_t at, int64_t n, float *buffer)
{
    if (!s->bf16)
        return (const float *)x + at;
    s->vec->from_bf16(buffer, (const uint16_t *)x + at, n);
    return buffer;
}

static double join(const reduce_state *s, double a, double b)
{
    if (!s->top)
        return a + b;
    return b > a || b != b ? b : a;
}

/* n dense elements into one sum. */
static double add_run(const reduce_state *s, const char *x, int64_t at, int64_t n, double sum)
{
    float buffer[BLOCK];
    int64_t block = s->bf16 ? BLOCK : n;
    for (int64_t i = 0; i < n; i += block) {
        int64_t m = n - i < block ? n - i : block;
        const float *v = load(s, x, at + i, m, buffer);
        sum = join(s, sum, s->top ? (double)s->vec->max(v, m) : s->vec->sum(v, m));
    }
    return sum;
}

/* n dense elements of rows of `cells` into wide[0..width), width a multiple of cells: element i
 * goes to wide[i % width]. */
static void add_rows(const reduce_state *s, const char *x, int64_t at, int64_t n, double *wide,
                     int64_t width)
{
    float buffer[CELLS];
    for (int64_t i = 0; i < n; i += width) {
        int64_t m = n - i < width ? n - i : width;
        const float *v = load(s, x, at + i, m, buffer);
        (s->top ? s->vec->max_into : s->vec->add_into)(wide, v, m);
    }
}

/* Depth first..last, cells band..band+n of the unit at `at`, into sum[0..n). Short rows are added
 * as one wide row, folded at the end. */
static void add_unit(const reduce_state *s, const char *x, int64_t at, const int64_t range[2],
                     int64_t cell, int64_t n, double *sum)
{
    double wide[BLOCK];
    int64_t depth = range[1] - range[0];
    if (s->cells == 1) {
        sum[0] = add_run(s, x, at + range[0], depth, sum[0]);
        return;
    }
    at += range[0] * s->cells + cell;
    if (n < s->cells) {
        for (int64_t i = 0; i < depth; i++)
            add_rows(s, x, at + i * s->cells, n, sum, n);
        return;
    }
    int64_t width = n < BLOCK / 2 && depth > 1 ? BLOCK / n * n : n;
    if (width == n) {
        add_rows(s, x, at, depth * n, sum, n);
        return;
    }
    for (int64_t i = 0; i < width; i++)
        wide[i] = s->top ? -INFINITY : 0;
    add_rows(s, x, at, depth * n, wide, width);
    for (int64_t i = 0; i < width; i++)
        sum[i % n] = join(s, sum[i % n], wide[i]);
}

/* ---- pieces -------------------------------------------------------------------------------- */

static int64_t offset_of(const axes *a, int64_t index)
{
    int64_t offset = 0;
    for (int i = a->rank - 1; i >= 0; i--) {
        offset += index % a->dim[i] * a->step[i];
        index /= a->dim[i];
    }
    return offset;
}

/* sums are final: to the result, from cell `at` on. */
static void store(const reduce_state *s, char *y, int64_t at, const double *sum, int64_t n)
{
    float buffer[CELLS];
    if (!s->bf16) {
        s->vec->narrow((float *)y + at, sum, n, s->divisor);
        return;
    }
    s->vec->narrow(buffer, sum, n, s->divisor);
    s->vec->to_bf16((uint16_t *)y + at, buffer, n);
}

static void reduce_piece(void *ctx, int piece, int thread)
{
    const reduce_args *a = ctx;
    const reduce_state *s = a->s;
    double sum[CELLS];
    int64_t band = piece % s->bands, part = piece / s->bands % s->parts;
    int64_t kept = piece / s->bands / s->parts * s->together;
    int64_t end = kept + s->together < s->kept.count ? kept + s->together : s->kept.count;
    int64_t cell = band * s->band, n = s->cells - cell < s->band ? s->cells - cell : s->band;
    int64_t range[2] = { part * s->part, (part + 1) * s->part };
    (void)thread;
    if (range[1] > s->depth)
        range[1] = s->depth;
    for (; kept < end; kept++) {
        int64_t at = offset_of(&s->kept, kept);
        for (int64_t i = 0; i < n; i++)
            sum[i] = s->top ? -INFINITY : 0;
        for (int64_t r = 0; r < s->reduced.count; r++)
            add_unit(s, a->x, at + offset_of(&s->reduced, r), range, cell, n, sum);
        if (s->parts > 1)
            memcpy(a->sums + (kept * s->parts + part) * s->cells + cell, sum,
                   (size_t)n * sizeof *sum);
        else
            store(s, a->y, kept * s->cells + cell, sum, n);
    }
}

/* Adds the parts of each kept index, in order. */
static void finish(const reduce_args *a)
{
    const reduce_state *s = a->s;
    for (int64_t kept = 0; kept < s->kept.count; kept++) {
        for (int64_t cell = 0; cell < s->cells; cell += CELLS) {
            int64_t n = s->cells - cell < CELLS ? s->cells - cell : CELLS;
            double *sum = a->sums + kept * s->parts * s->cells + cell;
            for (int64_t p = 1; p < s->parts; p++)
                for (int64_t i = 0; i < n; i++)
                    sum[i] = join(s, sum[i], sum[p * s->cells + i]);
            store(s, a->y, kept * s->cells + cell, sum, n);
        }
    }
}

static gen_status reduce_run(void *state, const void *const in[], void *const out[],
                             void *workspace, gen_backend *b)
{
    const reduce_state *s = state;
    reduce_args a = { s, in[0], out[0], workspace };
    gen_vec_run(b, s->pieces, s->elements, reduce_piece, &a);
    if (s->parts > 1)
        finish(&a);
    return GEN_OK;
}

/* ---- preparing ----------------------------------------------------------------------------- */

static void add_axis(axes *a, int64_t dim, int64_t step)
{
    a->dim[a->rank] = dim;
    a->step[a->rank++] = step;
    a->count *= dim;
}

static void describe(reduce_state *s, const gen_node *n)
{
    gen_shape x = n->in[0]->shape[0];
    int64_t out_step[GEN_MAX_RANK], dim[GEN_MAX_RANK], step[GEN_MAX_RANK];
    bool keep[GEN_MAX_RANK];
    gen_steps_under(n->shape[0], x, out_step);
    int rank = gen_steps_collapse(x, out_step, dim, keep);
    gen_steps_dense((gen_shape){ .rank = 0 }, step);
    for (int64_t i = rank - 1, size = 1; i >= 0; size *= dim[i--])
        step[i] = size;
    s->depth = s->cells = 1;
    s->kept.count = s->reduced.count = 1;
    if (rank > 0 && keep[rank - 1])
        s->cells = dim[--rank];
    if (rank > 0 && !keep[rank - 1])
        s->depth = dim[--rank];
    for (int i = 0; i < rank; i++)
        add_axis(keep[i] ? &s->kept : &s->reduced, dim[i], step[i]);
}

static void cut(reduce_state *s)
{
    int64_t unit = s->depth * s->cells, work = unit * s->reduced.count;
    s->elements = work * s->kept.count;
    s->band = s->cells < CELLS ? s->cells : CELLS;
    s->bands = gen_vec_ceil(s->cells, s->band);
    s->parts = 1;
    if (s->bands == 1 && s->kept.count < 16) /* few large sums: cut them */
        s->parts = work / GEN_PIECE < 64 ? work / GEN_PIECE : 64;
    if (s->parts > s->depth)
        s->parts = s->depth;
    if (s->parts < 1)
        s->parts = 1;
    s->part = gen_vec_ceil(s->depth, s->parts);
    s->parts = gen_vec_ceil(s->depth, s->part);
    s->together = s->parts > 1 || s->bands > 1 ? 1 : gen_vec_ceil(GEN_PIECE, work);
    s->pieces = gen_vec_ceil(s->kept.count, s->together) * s->parts * s->bands;
}

static bool reduce_serves(const gen_op *op)
{
    return op == &gen_op_sum || op == &gen_op_mean || op == &gen_op_max_over ||
           op == &gen_op_sum_to;
}

static bool reduce_accepts(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    (void)b, (void)is_const;
    return gen_vec_is_float(n->dtype[0]) && n->in[0]->dtype[0] == n->dtype[0];
}

static gen_status reduce_prepare(gen_prepare *p)
{
    const gen_node *n = p->node;
    reduce_state *s;
    GEN_TRY(GEN_ALLOC(&s, 1, "reduction kernel"));
    s->vec = gen_vec_of(p->backend->isa);
    s->bf16 = n->dtype[0] == GEN_BF16;
    s->top = n->op == &gen_op_max_over;
    s->divisor = 1;
    if (n->op == &gen_op_mean)
        s->divisor = (double)gen_shape_count(n->in[0]->shape[0]) /
                     (double)gen_shape_count(n->shape[0]);
    describe(s, n);
    cut(s);
    if (s->parts > 1)
        p->workspace = (uint64_t)(s->kept.count * s->parts * s->cells) * sizeof(double);
    p->state = s;
    return GEN_OK;
}

const gen_kernel gen_vec_reduce_kernel = {
    .name = "vector/reduce",
    .serves = reduce_serves,
    .accepts = reduce_accepts,
    .prepare = reduce_prepare,
    .run = reduce_run,
};
