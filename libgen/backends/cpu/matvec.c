/* SPDX-License-Identifier: Apache-2.0
 *
 * Products of a matrix and one vector, and of a column and a row, in f32: spectral norm's, two of
 * which read every weight once a step. The time is that of reading the matrix.
 *
 *   rows     y[i] = row i of the matrix . v         the matrix's rows are contiguous
 *   columns  y[j] = sum over i of v[i] * row[i][j]  the same matrix, transposed
 *   outer    y[i][j] = u[i] * v[j]
 */
#include "libgen/backends/cpu/vector.h"
#include "libgen/ops/list.h"

extern const gen_kernel gen_matvec_kernel;

enum kind { ROWS, COLUMNS, OUTER };
enum { PANEL = 256 }; /* columns of a piece: a vector of sums that stays in L1 */

typedef struct matvec {
    const gen_vec *vec;
    enum kind kind;
    int64_t rows, columns; /* of the matrix as it lies, or of the outer product */
    int matrix, vector;    /* which inputs; outer: column and row */
    int64_t each, pieces;
} matvec;

typedef struct running {
    const matvec *s;
    const float *matrix, *vector;
    float *y;
} running;

/* One product of [m,k] and [k,n], stored or transposed; 0 elsewhere. */
typedef struct sizes {
    int64_t m, n, k;
} sizes;

static sizes sizes_of(const gen_node *node)
{
    const gen_matmul_attr *t = node->attr;
    gen_shape a = gen_node_shape(node->in[0]), b = gen_node_shape(node->in[1]), y = node->shape[0];
    sizes s = { .m = y.dim[y.rank - 2], .n = y.dim[y.rank - 1] };
    s.k = a.dim[a.rank - (t->transpose_a ? 2 : 1)];
    return gen_shape_count(y) == s.m * s.n && gen_shape_count(b) == s.k * s.n ? s : (sizes){ 0 };
}

static bool accepts(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    (void)b, (void)is_const;
    if (n->dtype[0] != GEN_F32 || gen_node_dtype(n->in[0]) != GEN_F32 ||
        gen_node_dtype(n->in[1]) != GEN_F32)
        return false;
    sizes s = sizes_of(n);
    return s.m == 1 || s.n == 1 || s.k == 1;
}

static gen_status prepare(gen_prepare *p)
{
    const gen_matmul_attr *t = p->node->attr;
    sizes z = sizes_of(p->node);
    matvec *s;
    GEN_TRY(GEN_ALLOC(&s, 1, "matrix and vector"));
    s->vec = gen_vec_of(p->backend->isa);
    if (z.n == 1 || z.m == 1) {
        bool transposed = z.n == 1 ? t->transpose_a != 0 : !t->transpose_b;
        s->kind = transposed ? COLUMNS : ROWS;
        s->matrix = z.n == 1 ? 0 : 1;
        s->vector = 1 - s->matrix;
        s->rows = transposed ? z.k : z.m * z.n;
        s->columns = transposed ? z.m * z.n : z.k;
    } else {
        s->kind = OUTER;
        s->vector = 1;
        s->rows = z.m;
        s->columns = z.n;
    }
    s->each = s->kind == COLUMNS ? PANEL : gen_vec_ceil(GEN_PIECE, s->columns);
    s->pieces = gen_vec_ceil(s->kind == COLUMNS ? s->columns : s->rows, s->each);
    p->state = s;
    return GEN_OK;
}

static void run_piece(void *ctx, int piece, int thread)
{
    const running *r = ctx;
    const matvec *s = r->s;
    int64_t all = s->kind == COLUMNS ? s->columns : s->rows;
    int64_t first = piece * s->each, end = first + s->each < all ? first + s->each : all;
    (void)thread;
    if (s->kind == COLUMNS) {
        s->vec->combine(r->y + first, r->vector, s->rows, r->matrix + first, s->columns,
                        end - first);
        return;
    }
    for (int64_t i = first; i < end; i++) {
        if (s->kind == ROWS)
            r->y[i] = s->vec->dot(r->matrix + i * s->columns, r->vector, s->columns);
        else
            s->vec->binary_s[GEN_BINARY_MUL](r->y + i * s->columns, r->vector, r->matrix + i,
                                             s->columns);
    }
}

static gen_status run(void *state, const void *const in[], void *const out[], void *workspace,
                      gen_backend *b)
{
    const matvec *s = state;
    running r = { s, in[s->matrix], in[s->vector], out[0] };
    (void)workspace;
    gen_vec_run(b, s->pieces, s->rows * s->columns, run_piece, &r);
    return GEN_OK;
}

const gen_kernel gen_matvec_kernel = {
    .name = "matvec",
    .op = &gen_op_matmul,
    .accepts = accepts,
    .prepare = prepare,
    .run = run,
};
