/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix products of two varying matrices: shares of rows and columns of each product, one
 * single-threaded oneDNN primitive a size. Transposes are steps. The inner sum is never cut.
 */
#include <string.h>

#include "libgen/backends/cpu/cpu.h"
#include "libgen/ops/list.h"

enum { PIECE_WORK = 4000000, MIN_ROWS = 16, MIN_COLUMNS = 64, MAX_PIECES = 64 };

typedef struct matmul {
    int64_t batch, m, n, k;
    int64_t a_batch, b_batch, a_step[2], b_step[2]; /* elements; b_batch 0: one b for all */
    int64_t m_each, n_each;
    int m_parts, n_parts, runs, pieces; /* runs: shares of the batch */
    gen_dtype dtype;
    gen_dnnl_unit *unit[2][2]; /* [last rows][last columns] */
    uint64_t scratch;
} matmul;

static bool accepts(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    gen_dtype t = n->dtype[0];
    (void)is_const;
    if (gen_node_dtype(n->in[0]) != t || gen_node_dtype(n->in[1]) != t)
        return false;
    return t == GEN_F32 || (t == GEN_BF16 && b->isa >= GEN_ISA_AVX512);
}

static void measure(matmul *s, const gen_node *n)
{
    const gen_matmul_attr *t = n->attr;
    gen_shape a = gen_node_shape(n->in[0]), b = gen_node_shape(n->in[1]), y = n->shape[0];
    s->dtype = n->dtype[0];
    s->m = y.dim[y.rank - 2];
    s->n = y.dim[y.rank - 1];
    s->k = a.dim[a.rank - (t->transpose_a ? 2 : 1)];
    s->batch = gen_shape_count(y) / (s->m * s->n);
    s->a_batch = s->m * s->k;
    s->b_batch = b.rank == 2 ? 0 : s->k * s->n;
    if (b.rank == 2 && !t->transpose_a) { /* all rows are one matrix */
        s->m *= s->batch;
        s->batch = 1;
    }
    s->a_step[0] = t->transpose_a ? 1 : s->k;
    s->a_step[1] = t->transpose_a ? s->m : 1;
    s->b_step[0] = t->transpose_b ? 1 : s->n;
    s->b_step[1] = t->transpose_b ? s->k : 1;
}

static int64_t shares(int64_t size, int64_t wanted, int64_t least_each)
{
    int64_t n = size / least_each;
    n = n < wanted ? n : wanted;
    return n < 1 ? 1 : n;
}

static void choose_cut(matmul *s)
{
    double one = 2.0 * (double)s->m * (double)s->n * (double)s->k, all = one * (double)s->batch;
    double want = all / PIECE_WORK;
    int64_t pieces = want > MAX_PIECES ? MAX_PIECES : want < 1 ? 1 : (int64_t)want;
    pieces += pieces > 1 && pieces % 2;
    s->runs = (int)(pieces < s->batch ? pieces : s->batch);
    pieces = (pieces + s->runs - 1) / s->runs;
    int64_t m = shares(s->m, pieces, MIN_ROWS);
    int64_t n = shares(s->n, (pieces + m - 1) / m, MIN_COLUMNS);
    s->m_each = (s->m + m - 1) / m;
    s->n_each = (s->n + n - 1) / n;
    s->m_parts = (int)((s->m + s->m_each - 1) / s->m_each);
    s->n_parts = (int)((s->n + s->n_each - 1) / s->n_each);
    s->pieces = s->runs * s->m_parts * s->n_parts;
}

static void free_matmul(void *state)
{
    matmul *s = state;
    for (int i = 0; i < 4; i++)
        gen_dnnl_unit_free(&s->unit[i / 2][i % 2]);
    gen_free(s);
}

static gen_status make_unit(matmul *s, int i, int j, const gen_backend *b)
{
    gen_dnnl_matmul u = { .batch = 1, .k = s->k, .dtype = s->dtype };
    u.m = i ? s->m - (s->m_parts - 1) * s->m_each : s->m_each;
    u.n = j ? s->n - (s->n_parts - 1) * s->n_each : s->n_each;
    memcpy(u.a_step + 1, s->a_step, sizeof s->a_step);
    memcpy(u.b_step + 1, s->b_step, sizeof s->b_step);
    u.c_step[1] = s->n;
    u.c_step[2] = 1;
    GEN_TRY(gen_dnnl_matmul_unit(&s->unit[i][j], gen_cpu_dnnl(b), &u,
                                 gen_cpu_lanes(b, s->pieces)));
    uint64_t need = gen_cpu_align(gen_dnnl_scratch_bytes(s->unit[i][j]));
    s->scratch = need > s->scratch ? need : s->scratch;
    return GEN_OK;
}

static gen_status prepare(gen_prepare *p)
{
    gen_status status = GEN_OK;
    matmul *s;
    int entered = gen_dnnl_enter();
    GEN_GOTO(GEN_ALLOC(&s, 1, "matrix product"));
    p->state = s;
    measure(s, p->node);
    choose_cut(s);
    for (int i = 0; i < 4; i++)
        GEN_GOTO(make_unit(s, i / 2, i % 2, p->backend));
    p->workspace = s->scratch * (uint64_t)gen_cpu_lanes(p->backend, s->pieces);
done:
    gen_dnnl_leave(entered);
    if (status != GEN_OK && p->state) {
        free_matmul(p->state);
        p->state = NULL;
    }
    return status;
}

typedef struct running {
    const matmul *s;
    const gen_backend *backend;
    const char *a, *b;
    char *y, *scratch;
    _Atomic int status;
} running;

static void run_piece(void *ctx, int piece, int thread)
{
    running *r = ctx;
    const matmul *s = r->s;
    int64_t size = (int64_t)gen_dtype_size(s->dtype);
    int lane = gen_cpu_lane(r->backend, s->pieces, piece, thread);
    int i = piece % s->m_parts, j = piece / s->m_parts % s->n_parts;
    int64_t share = piece / s->m_parts / s->n_parts;
    int64_t m = i * s->m_each, n = j * s->n_each;
    gen_dnnl_unit *u = s->unit[i == s->m_parts - 1][j == s->n_parts - 1];
    for (int64_t k = share * s->batch / s->runs; k < (share + 1) * s->batch / s->runs; k++) {
        gen_dnnl_operands o = {
            .x = r->a + (k * s->a_batch + m * s->a_step[0]) * size,
            .w = r->b + (k * s->b_batch + n * s->b_step[1]) * size,
            .y = r->y + ((k * s->m + m) * s->n + n) * size,
            .scratch = r->scratch + s->scratch * (uint64_t)lane,
        };
        gen_status status = gen_dnnl_run(u, lane, &o);
        if (status != GEN_OK)
            atomic_store(&r->status, status);
    }
}

static gen_status run(void *state, const void *const in[], void *const out[], void *workspace,
                      gen_backend *b)
{
    const matmul *s = state;
    running r = { .s = s, .backend = b, .a = in[0], .b = in[1], .y = out[0],
                  .scratch = workspace };
    int entered = gen_dnnl_enter();
    gen_pool_run(b->pool, s->pieces, run_piece, &r);
    gen_dnnl_leave(entered);
    return (gen_status)atomic_load(&r.status);
}

const gen_kernel gen_dnnl_matmul_kernel = {
    .name = "onednn/matmul",
    .op = &gen_op_matmul,
    .accepts = accepts,
    .prepare = prepare,
    .run = run,
    .free = free_matmul,
};
