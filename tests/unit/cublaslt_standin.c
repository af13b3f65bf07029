/* SPDX-License-Identifier: Apache-2.0
 *
 * The stand-in for cuBLASLt itself (tests/cuda/cublaslt.cc): products against the reference of our
 * op, in both orders of memory, and that it refuses what is wrong.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cublasLt.h>

#include <libgen/graph.h>
#include <libgen/ops.h>

#include "libgen/graph/op.h"
#include "tests/cuda/emulated.h"
#include "tests/cuda/standin.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define OK CUBLAS_STATUS_SUCCESS

/* y [batch,m,n] = a [batch,m,k] b [batch or none,k,n], either stored with its last axes swapped. */
typedef struct product_case {
    const char *what;
    int64_t batch, m, n, k;
    bool trans_a, trans_b, shared, bf16, relu, columns; /* columns: as the transposed product */
    bool bias;                                          /* only there */
} product_case;

static const product_case cases[] = {
    { "plain", 1, 5, 7, 3, .columns = false },
    { "a transposed", 1, 5, 7, 3, .trans_a = true },
    { "b transposed", 1, 5, 7, 3, .trans_b = true },
    { "both", 1, 5, 7, 3, .trans_a = true, .trans_b = true },
    { "batch", 3, 4, 6, 5, .trans_b = true },
    { "shared b", 3, 4, 6, 5, .shared = true },
    { "bf16", 2, 4, 6, 5, .bf16 = true, .trans_a = true },
    { "relu", 1, 4, 6, 5, .relu = true },
    { "columns", 1, 5, 7, 3, .columns = true },
    { "columns, both", 3, 5, 7, 3, .columns = true, .trans_a = true, .trans_b = true },
    { "columns, shared b", 3, 5, 7, 3, .columns = true, .shared = true },
    { "columns, bias", 1, 5, 7, 3, .columns = true, .bias = true },
    { "columns, bias, relu", 2, 5, 7, 3, .columns = true, .bias = true, .relu = true },
    { "columns, bias, bf16", 1, 5, 8, 3, .columns = true, .bias = true, .bf16 = true },
};

enum { A, B, Y, BIAS, PLACES };

typedef struct call {
    const product_case *c;
    cublasLtHandle_t h;
    cublasLtMatmulDesc_t desc;
    cublasLtMatrixLayout_t layout[3];
    cublasLtMatmulPreference_t pref;
    cublasLtMatmulHeuristicResult_t found[4];
    int n;
    void *memory[PLACES], *workspace;
    double *value[PLACES];
    int64_t count[PLACES];
} call;

#define SET_DESC(d, name, type, v)                                                                 \
    assert_int_equal(cublasLtMatmulDescSetAttribute(d, CUBLASLT_MATMUL_DESC_##name, &(type){ v },  \
                                                    sizeof(type)), OK)
#define SET_LAYOUT(l, name, type, v)                                                               \
    assert_int_equal(cublasLtMatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_##name,            \
                                                      &(type){ v }, sizeof(type)), OK)
#define SET_PREF(p, name, type, v)                                                                 \
    assert_int_equal(cublasLtMatmulPreferenceSetAttribute(p, CUBLASLT_MATMUL_PREF_##name,          \
                                                          &(type){ v }, sizeof(type)), OK)

/* rows x cols row by row, or the same memory as columns: cols x rows. */
static cublasLtMatrixLayout_t describe(const product_case *c, int64_t rows, int64_t cols,
                                       bool shared)
{
    cublasLtMatrixLayout_t l;
    cudaDataType_t type = c->bf16 ? CUDA_R_16BF : CUDA_R_32F;
    if (c->columns) {
        assert_int_equal(cublasLtMatrixLayoutCreate(&l, type, (uint64_t)cols, (uint64_t)rows, cols),
                         OK);
    } else {
        assert_int_equal(cublasLtMatrixLayoutCreate(&l, type, (uint64_t)rows, (uint64_t)cols, cols),
                         OK);
        SET_LAYOUT(l, ORDER, int32_t, CUBLASLT_ORDER_ROW);
    }
    SET_LAYOUT(l, BATCH_COUNT, int32_t, (int32_t)c->batch);
    SET_LAYOUT(l, STRIDED_BATCH_OFFSET, int64_t, shared ? 0 : rows * cols);
    return l;
}

static void fill(call *d)
{
    const product_case *c = d->c;
    gen_graph *g;
    assert_int_equal(gen_graph_create(&g), GEN_OK);
    gen_shape a = { 3, { c->batch, c->trans_a ? c->k : c->m, c->trans_a ? c->m : c->k } };
    gen_shape b = { 3, { c->batch, c->trans_b ? c->n : c->k, c->trans_b ? c->k : c->n } };
    if (c->shared)
        b = (gen_shape){ 2, { b.dim[1], b.dim[2] } };
    gen_matmul_attr t = { c->trans_a, c->trans_b };
    gen_node *n = gen_matmul(g, gen_input(g, "a", GEN_F32, a), gen_input(g, "b", GEN_F32, b), &t);
    assert_non_null(n);
    d->count[A] = gen_shape_count(a);
    d->count[B] = gen_shape_count(b);
    d->count[Y] = c->batch * c->m * c->n;
    d->count[BIAS] = c->n;
    for (int i = 0; i < PLACES; i++) {
        d->value[i] = room(d->count[i] * 8);
        d->memory[i] = room(d->count[i] * 4);
        for (int64_t j = 0; j < d->count[i] && i != Y; j++)
            put(d->memory[i], j, d->value[i][j] = draw(), c->bf16);
    }
    n->op->ref(n, (const double *const[]){ d->value[A], d->value[B] }, &d->value[Y]);
    for (int64_t j = 0; j < d->count[Y]; j++) {
        double v = d->value[Y][j] + (c->bias ? d->value[BIAS][j % c->n] : 0);
        d->value[Y][j] = c->relu && v < 0 ? 0 : v;
    }
    gen_graph_free(&g);
}

static void set_up(call *d, const product_case *c, cublasComputeType_t compute)
{
    memset(d, 0, sizeof *d);
    d->c = c;
    fill(d);
    emulated_cublas("default");
    assert_int_equal(cublasLtCreate(&d->h), OK);
    assert_int_equal(cublasLtMatmulDescCreate(&d->desc, compute, CUDA_R_32F), OK);
    d->layout[A] = describe(c, c->trans_a ? c->k : c->m, c->trans_a ? c->m : c->k, false);
    d->layout[B] = describe(c, c->trans_b ? c->n : c->k, c->trans_b ? c->k : c->n, c->shared);
    d->layout[Y] = describe(c, c->m, c->n, false);
    /* As columns it is y' = b' a'. */
    SET_DESC(d->desc, TRANSA, int32_t,
             (c->columns ? c->trans_b : c->trans_a) ? CUBLAS_OP_T : CUBLAS_OP_N);
    SET_DESC(d->desc, TRANSB, int32_t,
             (c->columns ? c->trans_a : c->trans_b) ? CUBLAS_OP_T : CUBLAS_OP_N);
    if (c->bias) {
        SET_DESC(d->desc, EPILOGUE, uint32_t,
                 c->relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS);
        SET_DESC(d->desc, BIAS_POINTER, void *, d->memory[BIAS]);
        SET_DESC(d->desc, BIAS_DATA_TYPE, int32_t, c->bf16 ? CUDA_R_16BF : CUDA_R_32F);
    } else if (c->relu) {
        SET_DESC(d->desc, EPILOGUE, uint32_t, CUBLASLT_EPILOGUE_RELU);
    }
    assert_int_equal(cublasLtMatmulPreferenceCreate(&d->pref), OK);
    SET_PREF(d->pref, MAX_WORKSPACE_BYTES, uint64_t, 1 << 20);
}

static cublasStatus_t choose(call *d, int most)
{
    int x = d->c->columns ? B : A, y = d->c->columns ? A : B;
    return cublasLtMatmulAlgoGetHeuristic(d->h, d->desc, d->layout[x], d->layout[y], d->layout[Y],
                                          d->layout[Y], d->pref, most, d->found, &d->n);
}

static cublasStatus_t run(call *d, int which)
{
    float one = 1, zero = 0;
    int x = d->c->columns ? B : A, y = d->c->columns ? A : B;
    size_t bytes = d->found[which].workspaceSize;
    if (!d->workspace)
        d->workspace = room(1 << 16);
    return cublasLtMatmul(d->h, d->desc, &one, d->memory[x], d->layout[x], d->memory[y],
                          d->layout[y], &zero, d->memory[Y], d->layout[Y], d->memory[Y],
                          d->layout[Y], &d->found[which].algo, bytes ? d->workspace : NULL, bytes,
                          stream());
}

static double error_of(const call *d)
{
    double error = 0, largest = 0;
    for (int64_t i = 0; i < d->count[Y]; i++) {
        double e = fabs(get(d->memory[Y], i, d->c->bf16) - d->value[Y][i]);
        error = !(e <= error) ? e : error;
        largest = fmax(largest, fabs(d->value[Y][i]));
    }
    return error / largest;
}

static void tear_down(call *d)
{
    for (int i = 0; i < PLACES; i++) {
        free(d->memory[i]);
        free(d->value[i]);
        if (i < BIAS)
            assert_int_equal(cublasLtMatrixLayoutDestroy(d->layout[i]), OK);
    }
    free(d->workspace);
    assert_int_equal(cublasLtMatmulPreferenceDestroy(d->pref), OK);
    assert_int_equal(cublasLtMatmulDescDestroy(d->desc), OK);
    assert_int_equal(cublasLtDestroy(d->h), OK);
    assert_int_equal(emulated_live_cublas(), 0);
}

static void numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        call d;
        set_up(&d, &cases[i], CUBLAS_COMPUTE_32F);
        assert_int_equal(choose(&d, 4), OK);
        assert_int_equal(d.n, 2);
        for (int a = 0; a < d.n; a++) {
            memset(d.memory[Y], 0xff, (size_t)d.count[Y] * 4);
            assert_int_equal(run(&d, a), OK);
            if (!(error_of(&d) <= (cases[i].bf16 ? 0.004 : 1e-6)))
                fail_msg("%s: error %g", cases[i].what, error_of(&d));
        }
        tear_down(&d);
    }
}

/* Whole descriptors that say something else: the numbers show it. */
static void other_numbers(void **state)
{
    static const product_case square = { "square", 2, 6, 6, 6, .columns = true };
    call d;
    (void)state;
    for (int i = 0; i < 3; i++) {
        set_up(&d, &square, CUBLAS_COMPUTE_32F);
        if (i == 0)
            SET_DESC(d.desc, TRANSA, int32_t, CUBLAS_OP_T);
        else if (i == 1)
            SET_LAYOUT(d.layout[A], ORDER, int32_t, CUBLASLT_ORDER_ROW);
        else
            SET_LAYOUT(d.layout[B], STRIDED_BATCH_OFFSET, int64_t, 0);
        assert_int_equal(choose(&d, 1), OK);
        assert_int_equal(run(&d, 0), OK);
        assert_true(error_of(&d) > 0.1);
        tear_down(&d);
    }
}

static void tf32(void **state)
{
    static const product_case c = { "tf32", 1, 2, 2, 2, .columns = true };
    static const cublasComputeType_t types[] = { CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_32F_PEDANTIC,
                                                 CUBLAS_COMPUTE_32F_FAST_TF32 };
    (void)state;
    for (size_t i = 0; i < COUNT(types); i++) {
        call d;
        set_up(&d, &c, types[i]);
        for (int j = 0; j < 4; j++) {
            put(d.memory[A], j, 1 + 1.0 / 2048, false);
            put(d.memory[B], j, 1, false);
        }
        assert_int_equal(choose(&d, 1), OK);
        assert_int_equal(run(&d, 0), OK);
        assert_true((get(d.memory[Y], 0, false) == 2) == (i == 2));
        tear_down(&d);
    }
}

static void mistakes(void **state)
{
    static const product_case c = { "columns", 2, 5, 7, 3, .columns = true, .bias = true };
    static const product_case rows = { "rows", 2, 5, 7, 3 };
    call d;
    void *kept;
    (void)state;
    set_up(&d, &c, CUBLAS_COMPUTE_32F);
    assert_int_equal(choose(&d, 2), OK);
    assert_int_equal(run(&d, 0), OK);
    for (int i = 0; i < PLACES; i++) { /* NULL; misaligned */
        kept = d.memory[i];
        d.memory[i] = NULL;
        SET_DESC(d.desc, BIAS_POINTER, void *, d.memory[BIAS]);
        assert_int_equal(run(&d, 0), CUBLAS_STATUS_INVALID_VALUE);
        d.memory[i] = (char *)kept + (i == BIAS ? 1 : 16);
        SET_DESC(d.desc, BIAS_POINTER, void *, d.memory[BIAS]);
        assert_int_equal(run(&d, 0), CUBLAS_STATUS_INVALID_VALUE);
        d.memory[i] = kept;
    }
    SET_DESC(d.desc, BIAS_POINTER, void *, d.memory[BIAS]);
    kept = d.memory[Y]; /* over an input */
    d.memory[Y] = d.memory[A];
    assert_int_equal(run(&d, 0), CUBLAS_STATUS_INVALID_VALUE);
    d.memory[Y] = kept;
    d.found[0].workspaceSize -= 1; /* less workspace than asked for; none */
    assert_int_equal(run(&d, 0), CUBLAS_STATUS_INVALID_VALUE);
    d.found[0].workspaceSize = 0;
    assert_int_equal(run(&d, 0), CUBLAS_STATUS_INVALID_VALUE);
    assert_int_equal(run(&d, 1), OK);
    SET_DESC(d.desc, TRANSA, int32_t, CUBLAS_OP_T); /* sizes that do not meet */
    assert_int_equal(run(&d, 1), CUBLAS_STATUS_INVALID_VALUE);
    assert_int_equal(choose(&d, 2), CUBLAS_STATUS_INVALID_VALUE);
    SET_DESC(d.desc, TRANSA, int32_t, CUBLAS_OP_N);
    SET_DESC(d.desc, EPILOGUE, uint32_t, CUBLASLT_EPILOGUE_RELU); /* another problem's algorithm */
    assert_int_equal(run(&d, 1), CUBLAS_STATUS_INVALID_VALUE);
    assert_int_equal(choose(&d, 2), OK);
    assert_int_equal(run(&d, 1), OK);
    SET_LAYOUT(d.layout[A], LD, int64_t, 2); /* shorter than a column */
    assert_int_equal(choose(&d, 2), CUBLAS_STATUS_INVALID_VALUE);
    SET_LAYOUT(d.layout[A], LD, int64_t, 3);
    SET_LAYOUT(d.layout[A], BATCH_COUNT, int32_t, 3); /* unlike batches */
    assert_int_equal(choose(&d, 2), CUBLAS_STATUS_INVALID_VALUE);
    SET_LAYOUT(d.layout[A], BATCH_COUNT, int32_t, 2);
    SET_LAYOUT(d.layout[Y], STRIDED_BATCH_OFFSET, int64_t, 0); /* results on one another */
    assert_int_equal(choose(&d, 2), CUBLAS_STATUS_INVALID_VALUE);
    SET_LAYOUT(d.layout[Y], STRIDED_BATCH_OFFSET, int64_t, 35);
    emulated_cublas("no_algorithms");
    assert_int_equal(choose(&d, 2), CUBLAS_STATUS_NOT_SUPPORTED);
    assert_int_equal(d.n, 0);
    emulated_cublas("default");
    emulated_fail("cublas", 1);
    assert_int_equal(choose(&d, 2), CUBLAS_STATUS_INTERNAL_ERROR);
    /* Attributes of another size, without value, unknown. */
    assert_int_equal(cublasLtMatmulDescSetAttribute(d.desc, CUBLASLT_MATMUL_DESC_TRANSA,
                                                    &(int64_t){ 0 }, 8),
                     CUBLAS_STATUS_INVALID_VALUE);
    assert_int_equal(cublasLtMatrixLayoutSetAttribute(d.layout[A], CUBLASLT_MATRIX_LAYOUT_LD,
                                                      &(int32_t){ 3 }, 4),
                     CUBLAS_STATUS_INVALID_VALUE);
    assert_int_equal(cublasLtMatmulPreferenceSetAttribute(
                         d.pref, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &(uint32_t){ 3 }, 4),
                     CUBLAS_STATUS_INVALID_VALUE);
    assert_int_equal(cublasLtMatmulDescSetAttribute(d.desc, CUBLASLT_MATMUL_DESC_EPILOGUE,
                                                    &(uint32_t){ CUBLASLT_EPILOGUE_GELU }, 4),
                     CUBLAS_STATUS_NOT_SUPPORTED);
    tear_down(&d);
    /* A bias for rows that are not contiguous, and one of another type. */
    set_up(&d, &rows, CUBLAS_COMPUTE_32F);
    SET_DESC(d.desc, EPILOGUE, uint32_t, CUBLASLT_EPILOGUE_BIAS);
    SET_DESC(d.desc, BIAS_POINTER, void *, d.memory[BIAS]);
    assert_int_equal(choose(&d, 2), CUBLAS_STATUS_NOT_SUPPORTED);
    tear_down(&d);
    set_up(&d, &c, CUBLAS_COMPUTE_32F);
    SET_DESC(d.desc, BIAS_DATA_TYPE, int32_t, CUDA_R_16BF);
    assert_int_equal(choose(&d, 2), CUBLAS_STATUS_NOT_SUPPORTED);
    SET_DESC(d.desc, BIAS_DATA_TYPE, int32_t, CUDA_R_32F);
    SET_PREF(d.pref, MAX_WORKSPACE_BYTES, uint64_t, 0);
    SET_PREF(d.pref, MIN_ALIGNMENT_A_BYTES, uint32_t, 4);
    assert_int_equal(choose(&d, 2), OK);
    assert_int_equal(d.n, 1);
    kept = d.memory[B]; /* y' = b' a': it is the call's A */
    memmove((char *)kept + 4, kept, (size_t)d.count[B] * 4);
    d.memory[B] = (char *)kept + 4;
    assert_int_equal(run(&d, 0), OK);
    assert_true(error_of(&d) < 1e-6);
    d.memory[B] = kept;
    tear_down(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(other_numbers),
        cmocka_unit_test(tf32),
        cmocka_unit_test(mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
