/* SPDX-License-Identifier: Apache-2.0
 *
 * batch_norm and batch_norm_dx for f32 and bf16, each in two passes over x: sums per channel in
 * double over pieces of fixed size, added in the order of the pieces, then an affine map per
 * channel. The variance is E[x^2] - E[x]^2 of f32 values in double: its error is 1e-16 mean^2 /
 * var, far below what f32 values can show. And unit.
 *
 * Channels are few or many: rows of one cell are worked on as rows of several (`width` elements),
 * so that 4 channels vectorise as well as 384.
 */
#include <math.h>
#include <string.h>

#include "libgen/backends/cpu/cpu.h"
#include "libgen/backends/cpu/kernels/norm.h"
#include "libgen/backends/cpu/vector.h"

extern const gen_norm_loops gen_norm_loops_base[2];
#if defined(__x86_64__)
extern const gen_norm_loops gen_norm_loops_avx2[2], gen_norm_loops_avx512[2];
#endif

enum { WIDE = 256 }; /* elements of a widened row at most, unless the channels are more */

const gen_norm_loops *gen_norm_loops_of(gen_isa isa)
{
#if defined(__x86_64__)
    if (isa >= GEN_ISA_AVX512)
        return gen_norm_loops_avx512;
    if (isa == GEN_ISA_AVX2)
        return gen_norm_loops_avx2;
#endif
    (void)isa;
    return gen_norm_loops_base;
}

typedef struct norm_state {
    const gen_norm_loops *loops;
    size_t size;             /* bytes of an element */
    double eps;
    int64_t groups, cells, c; /* x is [groups][cells][c] */
    int64_t width;           /* c, or a multiple of it */
    int64_t together;        /* cells in a piece */
    int64_t pieces;          /* in a group */
    int64_t sums_bytes;      /* of the workspace's first part: [groups][pieces][2][c] double */
} norm_state;

typedef struct norm_args {
    const norm_state *s;
    const char *x, *dy;
    char *y;
    const float *mean;  /* [groups][c], batch_norm_dx */
    double *sums;       /* [groups][pieces][2][c] */
    float *rows;        /* [groups][4][width] */
} norm_args;

/* ---- pieces ---------------------------------------------------------------------------------- */

typedef struct span {
    int64_t group, elements;
    size_t offset; /* bytes */
} span;

static span span_of(const norm_state *s, int piece)
{
    int64_t group = piece / s->pieces, first = piece % s->pieces * s->together;
    int64_t n = s->cells - first < s->together ? s->cells - first : s->together;
    return (span){ group, n * s->c, (size_t)((group * s->cells + first) * s->c) * s->size };
}

static float *row_of(const norm_args *a, int64_t group, int which)
{
    return a->rows + (group * 4 + which) * a->s->width;
}

/* The two sums of a piece: dy given, sum dy and sum dy * (x - mean); else sum x and sum x^2. */
static void sum_piece(void *ctx, int piece, int thread)
{
    const norm_args *a = ctx;
    const norm_state *s = a->s;
    const gen_norm_loops *f = s->loops;
    span p = span_of(s, piece);
    double wide[2][WIDE], *out = a->sums + (int64_t)piece * 2 * s->c;
    bool fold = s->width > s->c;
    double *sum = fold ? wide[0] : out, *more = fold ? wide[1] : out + s->c;
    (void)thread;
    memset(out, 0, (size_t)(2 * s->c) * sizeof *out);
    if (fold)
        memset(wide, 0, sizeof wide);
    if (a->dy)
        f->products(sum, more, a->x + p.offset, a->dy + p.offset, row_of(a, p.group, 0), p.elements,
                    s->width);
    else
        f->moments(sum, more, a->x + p.offset, p.elements, s->width);
    for (int64_t i = 0; fold && i < s->width; i++) {
        out[i % s->c] += wide[0][i];
        out[s->c + i % s->c] += wide[1][i];
    }
}

static void map_piece(void *ctx, int piece, int thread)
{
    const norm_args *a = ctx;
    const norm_state *s = a->s;
    span p = span_of(s, piece);
    const float *row[4];
    (void)thread;
    for (int i = 0; i < 4; i++)
        row[i] = row_of(a, p.group, i);
    if (a->dy)
        s->loops->backward(a->y + p.offset, a->x + p.offset, a->dy + p.offset, row, p.elements,
                           s->width);
    else
        s->loops->normalise(a->y + p.offset, a->x + p.offset, row[0], row[1], p.elements, s->width);
}

/* Adds the pieces of a group into those of its first. */
static void join(const norm_args *a, int64_t group)
{
    const norm_state *s = a->s;
    double *first = a->sums + group * s->pieces * 2 * s->c;
    for (int64_t p = 1; p < s->pieces; p++)
        for (int64_t i = 0; i < 2 * s->c; i++)
            first[i] += first[p * 2 * s->c + i];
}

static void widen(const norm_state *s, float *row)
{
    for (int64_t i = s->c; i < s->width; i++)
        row[i] = row[i - s->c];
}

static void run_pieces(const norm_args *a, gen_pool_fn *fn, gen_backend *b)
{
    const norm_state *s = a->s;
    gen_vec_run(b, s->groups * s->pieces, s->groups * s->cells * s->c, fn, (void *)(uintptr_t)a);
}

/* ---- both ops -------------------------------------------------------------------------------- */

static gen_status prepare(gen_prepare *p)
{
    const gen_node *n = p->node;
    const gen_batch_norm_attr *k = n->attr;
    gen_shape x = n->in[0]->shape[0];
    norm_state *s;
    GEN_TRY(GEN_ALLOC(&s, 1, "batch norm kernel"));
    s->loops = &gen_norm_loops_of(p->backend->isa)[n->dtype[0] == GEN_BF16];
    s->size = gen_dtype_size(n->dtype[0]);
    s->eps = k->eps;
    s->groups = k->groups;
    s->c = x.dim[x.rank - 1];
    s->cells = gen_shape_count(x) / s->groups / s->c;
    s->width = s->c <= WIDE / 2 ? WIDE / s->c * s->c : s->c;
    s->together = gen_vec_ceil(GEN_PIECE, s->c);
    s->pieces = gen_vec_ceil(s->cells, s->together);
    s->sums_bytes = (int64_t)gen_cpu_align((uint64_t)(s->groups * s->pieces * 2 * s->c) *
                                           sizeof(double));
    p->workspace = (uint64_t)s->sums_bytes + (uint64_t)(s->groups * 4 * s->width) * sizeof(float);
    p->state = s;
    return GEN_OK;
}

static norm_args args_of(const norm_state *s, void *workspace)
{
    return (norm_args){ .s = s, .sums = workspace,
                        .rows = (float *)((char *)workspace + s->sums_bytes) };
}

/* ---- batch_norm ------------------------------------------------------------------------------ */

static bool norm_accepts(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    (void)b, (void)is_const;
    return gen_vec_is_float(n->dtype[0]) && n->in[0]->dtype[0] == n->dtype[0] &&
           n->dtype[1] == GEN_F32;
}

static gen_status norm_run(void *state, const void *const in[], void *const out[], void *workspace,
                           gen_backend *b)
{
    const norm_state *s = state;
    norm_args a = args_of(s, workspace);
    a.x = in[0];
    a.y = out[0];
    run_pieces(&a, sum_piece, b);
    for (int64_t g = 0; g < s->groups; g++) {
        const double *sum = a.sums + g * s->pieces * 2 * s->c;
        float *mean = row_of(&a, g, 0), *k = row_of(&a, g, 1);
        join(&a, g);
        for (int64_t i = 0; i < s->c; i++) {
            double m = sum[i] / (double)s->cells, v = sum[s->c + i] / (double)s->cells - m * m;
            v = v < 0 ? 0 : v; /* rounding; NaN stays */
            mean[i] = (float)m;
            k[i] = (float)(1 / sqrt(v + s->eps));
            if (out[1])
                ((float *)out[1])[g * s->c + i] = (float)m;
            if (out[2])
                ((float *)out[2])[g * s->c + i] = (float)v;
        }
        widen(s, mean);
        widen(s, k);
    }
    run_pieces(&a, map_piece, b);
    return GEN_OK;
}

const gen_kernel gen_batch_norm_kernel = {
    .name = "batch_norm",
    .op = &gen_op_batch_norm,
    .accepts = norm_accepts,
    .prepare = prepare,
    .run = norm_run,
    .flags = GEN_KERNEL_IN_PLACE,
};

/* ---- batch_norm_dx --------------------------------------------------------------------------- */

static bool dx_accepts(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    (void)b, (void)is_const;
    return gen_vec_is_float(n->dtype[0]) && n->in[0]->dtype[0] == n->dtype[0] &&
           n->in[3]->dtype[0] == n->dtype[0] && n->in[1]->dtype[0] == GEN_F32 &&
           n->in[2]->dtype[0] == GEN_F32;
}

/* dx = r (dy - mean(dy)) - (x - mean) r^3 mean(dy (x - mean)), r = 1 / sqrt(var + eps). */
static gen_status dx_run(void *state, const void *const in[], void *const out[], void *workspace,
                         gen_backend *b)
{
    const norm_state *s = state;
    const float *mean = in[1], *var = in[2];
    norm_args a = args_of(s, workspace);
    a.x = in[0];
    a.dy = in[3];
    a.y = out[0];
    for (int64_t g = 0; g < s->groups; g++) {
        memcpy(row_of(&a, g, 0), mean + g * s->c, (size_t)s->c * sizeof *mean);
        widen(s, row_of(&a, g, 0));
    }
    run_pieces(&a, sum_piece, b);
    for (int64_t g = 0; g < s->groups; g++) {
        const double *sum = a.sums + g * s->pieces * 2 * s->c;
        join(&a, g);
        for (int64_t i = 0; i < s->c; i++) {
            double r = 1 / sqrt((double)var[g * s->c + i] + s->eps);
            row_of(&a, g, 1)[i] = (float)r;
            row_of(&a, g, 2)[i] = (float)(sum[i] / (double)s->cells);
            row_of(&a, g, 3)[i] = (float)(r * r * r * sum[s->c + i] / (double)s->cells);
        }
        for (int i = 1; i < 4; i++)
            widen(s, row_of(&a, g, i));
    }
    run_pieces(&a, map_piece, b);
    return GEN_OK;
}

const gen_kernel gen_batch_norm_dx_kernel = {
    .name = "batch_norm_dx",
    .op = &gen_op_batch_norm_dx,
    .accepts = dx_accepts,
    .prepare = prepare,
    .run = dx_run,
};

/* ---- unit ------------------------------------------------------------------------------------
 * The vectors of spectral norm, too short for threads. Squares are added up in double by blocks
 * that stay in L1, then all is scaled. */

enum { UNIT_BLOCK = 1024 };

typedef struct unit_state {
    const gen_vec *vec;
    gen_unit_attr attr;
    int64_t count;
    bool bf16;
} unit_state;

static bool unit_accepts(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    (void)b, (void)is_const;
    return gen_vec_is_float(n->dtype[0]) && n->in[0]->dtype[0] == n->dtype[0];
}

static gen_status unit_prepare(gen_prepare *p)
{
    unit_state *s;
    GEN_TRY(GEN_ALLOC(&s, 1, "unit kernel"));
    *s = (unit_state){ .vec = gen_vec_of(p->backend->isa),
                       .attr = *(const gen_unit_attr *)p->node->attr,
                       .count = gen_shape_count(p->node->shape[0]),
                       .bf16 = p->node->dtype[0] == GEN_BF16 };
    p->state = s;
    return GEN_OK;
}

/* n elements from `at` on as floats; in `buffer` where they are bf16. */
static const float *block_of(const unit_state *s, const void *x, int64_t at, int64_t n,
                             float *buffer)
{
    if (!s->bf16)
        return (const float *)x + at;
    s->vec->from_bf16(buffer, (const uint16_t *)x + at, n);
    return buffer;
}

/* Rounded at each step, as sum, affine and rsqrt one after the other are. */
static float scale_of(const gen_unit_attr *a, double sum)
{
    if (a->at_least)
        return (float)gen_unit_scale(a, sum);
    return 1 / sqrtf((float)sum + (float)a->eps);
}

static gen_status unit_run(void *state, const void *const in[], void *const out[], void *workspace,
                           gen_backend *b)
{
    const unit_state *s = state;
    float buffer[UNIT_BLOCK];
    double sum = 0;
    (void)workspace, (void)b;
    for (int64_t at = 0, n; at < s->count; at += n) {
        n = s->count - at < UNIT_BLOCK ? s->count - at : UNIT_BLOCK;
        s->vec->unary[GEN_UNARY_SQUARE](buffer, block_of(s, in[0], at, n, buffer), n, 0, 0);
        sum += s->vec->sum(buffer, n);
    }
    float scale = scale_of(&s->attr, sum);
    for (int64_t at = 0, n; at < s->count; at += n) {
        n = s->count - at < UNIT_BLOCK ? s->count - at : UNIT_BLOCK;
        const float *x = block_of(s, in[0], at, n, buffer);
        float *y = s->bf16 ? buffer : (float *)out[0] + at;
        s->vec->unary[GEN_UNARY_AFFINE](y, x, n, scale, 0);
        if (s->bf16)
            s->vec->to_bf16((uint16_t *)out[0] + at, buffer, n);
    }
    return GEN_OK;
}

const gen_kernel gen_vec_unit_kernel = {
    .name = "vector/unit",
    .op = &gen_op_unit,
    .accepts = unit_accepts,
    .prepare = unit_prepare,
    .run = unit_run,
    .flags = GEN_KERNEL_IN_PLACE,
};
