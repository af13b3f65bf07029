/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix products: with one vector (spectral norm's) by a kernel of ours, else by cuBLASLt, and
 * what that does not take by a plain kernel of ours.
 */
#include "libgen/backends/cuda/cublas.h"

#include "libgen/backends/cuda/kernels/matmul.h"
#include "libgen/base/alloc.h"
#include "libgen/ops/list.h"

static gen_product product_of(const gen_node *n)
{
    const gen_matmul_attr *t = n->attr;
    gen_shape a = gen_node_shape(n->in[0]), b = gen_node_shape(n->in[1]), y = n->shape[0];
    gen_product p = { .batch = 1, .m = y.dim[y.rank - 2], .n = y.dim[y.rank - 1],
                      .transpose_a = t->transpose_a, .transpose_b = t->transpose_b,
                      .dtype = n->dtype[0] };
    p.k = a.dim[a.rank - (t->transpose_a ? 2 : 1)];
    for (int i = 0; i < y.rank - 2; i++)
        p.batch *= y.dim[i];
    p.shared = b.rank == 2 && p.batch > 1;
    if (p.shared && !p.transpose_a) { /* all rows are one matrix */
        p.m *= p.batch;
        p.batch = 1;
        p.shared = false;
    }
    return p;
}

static bool accepts(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    (void)b, (void)is_const;
    return gen_cuda_is_real(n->dtype[0]) && gen_node_dtype(n->in[0]) == n->dtype[0] &&
           gen_node_dtype(n->in[1]) == n->dtype[0];
}

/* ---- one vector ------------------------------------------------------------------------------ */

typedef struct matvec {
    gen_cuda_matvec_args args;
    int matrix; /* which input */
} matvec;

static bool accepts_matvec(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    if (!accepts(n, b, is_const))
        return false;
    gen_product p = product_of(n);
    return p.batch == 1 && (p.m == 1 || p.n == 1);
}

static gen_status prepare_matvec(gen_prepare *p)
{
    gen_product z = product_of(p->node);
    int64_t results = z.m * z.n;
    matvec *s;
    GEN_TRY(GEN_ALLOC(&s, 1, "kernel"));
    s->matrix = z.n == 1 ? 0 : 1;
    s->args.bf16 = z.dtype == GEN_BF16;
    s->args.v = s->args.bf16 ? 8 : 4;
    s->args.k = z.k;
    bool rows = z.n == 1 ? !z.transpose_a : z.transpose_b; /* those of the matrix are summed */
    if ((rows ? z.k : results) % s->args.v)
        s->args.v = 1;
    s->args.sums.cut = rows ? gen_cuda_cut_runs(results, z.k / s->args.v)
                            : gen_cuda_cut_columns(1, z.k, results, s->args.v);
    p->workspace = gen_cuda_cut_parts(&s->args.sums, 1);
    p->more.launches = s->args.sums.cut.parts > 1;
    p->state = s;
    return GEN_OK;
}

static gen_status run_matvec(void *state, const void *const in[], void *const out[],
                             void *workspace, gen_backend *b)
{
    const matvec *s = state;
    gen_cuda_matvec_args a = s->args;
    a.matrix = in[s->matrix];
    a.vector = in[1 - s->matrix];
    a.y = out[0];
    a.sums.part = workspace;
    a.wide = gen_cuda_is_wide(in[0]) && gen_cuda_is_wide(in[1]);
    GEN_CUDA(gen_cuda_matvec(&a, gen_cuda_stream(b)));
    return GEN_OK;
}

static const gen_kernel kernel_matvec = {
    .name = "cuda/matvec",
    .op = &gen_op_matmul,
    .accepts = accepts_matvec,
    .prepare = prepare_matvec,
    .run = run_matvec,
};

/* ---- cuBLASLt -------------------------------------------------------------------------------- */

static gen_status prepare_cublas(gen_prepare *p)
{
    gen_product z = product_of(p->node);
    gen_cublas *g;
    z.tf32 = p->tf32;
    GEN_TRY(gen_cublas_create(&g, gen_cuda_of(p->backend), &z));
    p->workspace = gen_cublas_workspace(g);
    p->state = g;
    return GEN_OK;
}

static gen_status run_cublas(void *state, const void *const in[], void *const out[],
                             void *workspace, gen_backend *b)
{
    return gen_cublas_run(state, gen_cuda_of(b), in[0], in[1], out[0], workspace);
}

static const gen_kernel kernel_cublas = {
    .name = "cublaslt/matmul",
    .op = &gen_op_matmul,
    .accepts = accepts,
    .prepare = prepare_cublas,
    .run = run_cublas,
    .free = gen_cublas_free,
};

/* ---- the rest -------------------------------------------------------------------------------- */

static gen_status prepare_plain(gen_prepare *p)
{
    gen_product z = product_of(p->node);
    gen_cuda_matmul_args *a;
    GEN_TRY(GEN_ALLOC(&a, 1, "kernel"));
    *a = (gen_cuda_matmul_args){
        .batch = z.batch, .m = z.m, .n = z.n, .k = z.k,
        .a_batch = z.m * z.k,
        .b_batch = z.shared ? 0 : z.k * z.n,
        .a_step = { z.transpose_a ? 1 : z.k, z.transpose_a ? z.m : 1 },
        .b_step = { z.transpose_b ? 1 : z.n, z.transpose_b ? z.k : 1 },
        .bf16 = z.dtype == GEN_BF16,
    };
    p->state = a;
    return GEN_OK;
}

static gen_status run_plain(void *state, const void *const in[], void *const out[], void *workspace,
                            gen_backend *b)
{
    gen_cuda_matmul_args a = *(const gen_cuda_matmul_args *)state;
    (void)workspace;
    a.a = in[0];
    a.b = in[1];
    a.y = out[0];
    GEN_CUDA(gen_cuda_matmul(&a, gen_cuda_stream(b)));
    return GEN_OK;
}

static const gen_kernel kernel_plain = {
    .name = "cuda/matmul",
    .op = &gen_op_matmul,
    .accepts = accepts,
    .prepare = prepare_plain,
    .run = run_plain,
};

const gen_kernel *const gen_cuda_matmul_kernels[] = {
    &kernel_matvec, &kernel_cublas, &kernel_plain, NULL,
};
