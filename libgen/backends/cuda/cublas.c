/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix products by cuBLASLt. It counts matrices by columns: a row-major y = a b is, read so,
 * y' = b' a', and nothing is turned.
 *
 * The first kernel that the library's own table proposes is taken: nothing is timed, so that each
 * run takes the same. Partial sums over k are only taken where a separate step adds them.
 */
#include "libgen/backends/cuda/cublas.h"

#include "libgen/base/alloc.h"

#define MOST_WORKSPACE ((uint64_t)32 << 20) /* what NVIDIA advises for sm_90 */
#define WORKSPACE_ALIGNMENT 256             /* of cuBLASLt; that of a plan is 64 */

/* Tensors may start anywhere inside a larger one: a kernel for 16-byte addresses, one for any. */
enum { WIDE, ANY, KERNELS };

struct gen_cublas {
    cublasLtMatmulDesc_t desc;
    cublasLtMatrixLayout_t left, right, y; /* as cuBLASLt sees them: b, a, y */
    cublasLtMatmulHeuristicResult_t found[KERNELS];
};

void gen_cublas_free(void *product)
{
    gen_cublas *g = product;
    if (g->desc)
        (void)cublasLtMatmulDescDestroy(g->desc);
    if (g->left)
        (void)cublasLtMatrixLayoutDestroy(g->left);
    if (g->right)
        (void)cublasLtMatrixLayoutDestroy(g->right);
    if (g->y)
        (void)cublasLtMatrixLayoutDestroy(g->y);
    gen_free(g);
}

/* A row-major matrix of `columns` to a row, once a step of `stride` elements. */
static gen_status describe(cublasLtMatrixLayout_t *out, const gen_product *p, int64_t rows,
                           int64_t columns, int64_t stride)
{
    int32_t batch = (int32_t)p->batch;
    GEN_CUBLAS(cublasLtMatrixLayoutCreate(out, p->dtype == GEN_BF16 ? CUDA_R_16BF : CUDA_R_32F,
                                          (uint64_t)columns, (uint64_t)rows, columns));
    GEN_CUBLAS(cublasLtMatrixLayoutSetAttribute(*out, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch,
                                                sizeof batch));
    GEN_CUBLAS(cublasLtMatrixLayoutSetAttribute(
        *out, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride));
    return GEN_OK;
}

static gen_status describe_all(gen_cublas *g, const gen_product *p)
{
    cublasComputeType_t type = p->tf32 && p->dtype == GEN_F32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                              : CUBLAS_COMPUTE_32F;
    int32_t left = p->transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    int32_t right = p->transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N;
    GEN_CUBLAS(cublasLtMatmulDescCreate(&g->desc, type, CUDA_R_32F));
    GEN_CUBLAS(cublasLtMatmulDescSetAttribute(g->desc, CUBLASLT_MATMUL_DESC_TRANSA, &left,
                                              sizeof left));
    GEN_CUBLAS(cublasLtMatmulDescSetAttribute(g->desc, CUBLASLT_MATMUL_DESC_TRANSB, &right,
                                              sizeof right));
    GEN_TRY(describe(&g->left, p, p->transpose_b ? p->n : p->k, p->transpose_b ? p->k : p->n,
                     p->shared ? 0 : p->k * p->n));
    GEN_TRY(describe(&g->right, p, p->transpose_a ? p->k : p->m, p->transpose_a ? p->m : p->k,
                     p->m * p->k));
    return describe(&g->y, p, p->m, p->n, p->m * p->n);
}

static gen_status set_preference(cublasLtMatmulPreference_t preference, uint32_t alignment)
{
    static const cublasLtMatmulPreferenceAttributes_t aligned[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES,
    };
    uint64_t most = MOST_WORKSPACE;
    uint32_t reduction = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    for (int i = 0; i < GEN_LEN(aligned); i++)
        GEN_CUBLAS(cublasLtMatmulPreferenceSetAttribute(preference, aligned[i], &alignment,
                                                        sizeof alignment));
    GEN_CUBLAS(cublasLtMatmulPreferenceSetAttribute(
        preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most, sizeof most));
    GEN_CUBLAS(cublasLtMatmulPreferenceSetAttribute(
        preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reduction, sizeof reduction));
    return GEN_OK;
}

static gen_status find(gen_cublas *g, const gen_cuda *c, int which, uint32_t alignment)
{
    cublasLtMatmulPreference_t preference;
    cublasStatus_t e;
    int n = 0;
    GEN_CUBLAS(cublasLtMatmulPreferenceCreate(&preference));
    gen_status status = set_preference(preference, alignment);
    if (status == GEN_OK) {
        e = cublasLtMatmulAlgoGetHeuristic(c->blas, g->desc, g->left, g->right, g->y, g->y,
                                           preference, 1, &g->found[which], &n);
        if (e == CUBLAS_STATUS_NOT_SUPPORTED || (e == CUBLAS_STATUS_SUCCESS && n == 0))
            status = gen_fail(GEN_EUNSUPPORTED, "cuBLASLt has no matrix product for these sizes");
        else if (e != CUBLAS_STATUS_SUCCESS)
            status = gen_cublas_fail(e, "cublasLtMatmulAlgoGetHeuristic");
    }
    (void)cublasLtMatmulPreferenceDestroy(preference);
    return status;
}

gen_status gen_cublas_create(gen_cublas **out, const gen_cuda *c, const gen_product *p)
{
    gen_status status = GEN_OK;
    gen_cublas *g;
    *out = NULL;
    if (p->batch > INT32_MAX)
        return gen_fail(GEN_EUNSUPPORTED, "%lld matrix products, cuBLASLt takes %d at most",
                        (long long)p->batch, INT32_MAX);
    GEN_TRY(GEN_ALLOC(&g, 1, "matrix product"));
    GEN_GOTO(describe_all(g, p));
    GEN_GOTO(find(g, c, WIDE, 16));
    GEN_GOTO(find(g, c, ANY, (uint32_t)gen_dtype_size(p->dtype)));
    *out = g;
done:
    if (status != GEN_OK)
        gen_cublas_free(g);
    return status;
}

uint64_t gen_cublas_workspace(const gen_cublas *g)
{
    uint64_t most = 0;
    for (int i = 0; i < KERNELS; i++)
        most = g->found[i].workspaceSize > most ? g->found[i].workspaceSize : most;
    return most ? most + WORKSPACE_ALIGNMENT : 0;
}

gen_status gen_cublas_run(const gen_cublas *g, const gen_cuda *c, const void *a, const void *b,
                          void *y, void *workspace)
{
    const float one = 1, zero = 0;
    bool wide = gen_cuda_is_wide(a) && gen_cuda_is_wide(b) && gen_cuda_is_wide(y);
    const cublasLtMatmulHeuristicResult_t *k = &g->found[wide ? WIDE : ANY];
    uintptr_t at = ((uintptr_t)workspace + WORKSPACE_ALIGNMENT - 1) / WORKSPACE_ALIGNMENT *
                   WORKSPACE_ALIGNMENT;
    GEN_CUBLAS(cublasLtMatmul(c->blas, g->desc, &one, b, g->left, a, g->right, &zero, y, g->y, y,
                              g->y, &k->algo, k->workspaceSize ? (void *)at : NULL,
                              k->workspaceSize, c->stream));
    return GEN_OK;
}
