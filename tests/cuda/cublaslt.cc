/* SPDX-License-Identifier: Apache-2.0
 *
 * A stand-in for cuBLASLt's matrix product: takes the descriptors that a caller builds, refuses
 * what is not right in them, and computes what they say on the CPU, sums in double. Stricter than
 * the library: an algorithm serves only the problem that it was asked for, with the workspace and
 * the alignments that were promised then.
 */
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include <cublasLt.h>

#include "tests/cuda/emulated.h"
#include "tests/cuda/numbers.h"

namespace
{

const cublasStatus_t OK = CUBLAS_STATUS_SUCCESS, INVALID = CUBLAS_STATUS_INVALID_VALUE,
                     UNSUPPORTED = CUBLAS_STATUS_NOT_SUPPORTED;

struct layout {
    uint32_t type;
    int32_t order = CUBLASLT_ORDER_COL, batch = 1;
    uint64_t rows, cols;
    int64_t ld, batch_stride = 0;

    /* Cells from the first to behind the last of one matrix. */
    int64_t span() const
    {
        bool col = order == CUBLASLT_ORDER_COL;
        return ((int64_t)(col ? cols : rows) - 1) * ld + (int64_t)(col ? rows : cols);
    }
    int64_t place(int64_t row, int64_t col) const
    {
        return order == CUBLASLT_ORDER_COL ? col * ld + row : row * ld + col;
    }
    storage kind() const
    {
        return type == CUDA_R_32F ? storage::f32 : storage::bf16;
    }
    int64_t bytes() const
    {
        return ((batch - 1) * batch_stride + span()) * size_of(kind());
    }
};

struct product {
    int32_t compute, scale, pointer_mode = CUBLASLT_POINTER_MODE_HOST;
    int32_t trans_a = CUBLAS_OP_N, trans_b = CUBLAS_OP_N, trans_c = CUBLAS_OP_N;
    uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    const void *bias = nullptr;
    int32_t bias_type = -1; /* as D */
    int64_t bias_stride = 0;
};

struct preference {
    uint32_t search = CUBLASLT_SEARCH_BEST_FIT, schemes = CUBLASLT_REDUCTION_SCHEME_MASK;
    uint64_t workspace = 0;
    uint32_t align_a = 256, align_b = 256, align_c = 256, align_d = 256;
};

/* What an algorithm was chosen for; in the caller's opaque bytes. */
struct choice {
    uint64_t magic, problem, workspace;
    uint32_t align[4];
};
const uint64_t MAGIC = 0x5e1ec7ed;
static_assert(sizeof(choice) <= sizeof(cublasLtMatmulAlgo_t), "an algorithm's bytes");

std::mutex lock;
std::set<const void *> handles, layouts, products, preferences;
std::string behaviour;

/* A failing call, or `otherwise` where a condition is not met. */
#define ENTER()                                                                                    \
    std::lock_guard<std::mutex> guard(lock);                                                       \
    if (emulated_failing("cublas"))                                                                \
    return CUBLAS_STATUS_INTERNAL_ERROR
#define NEED(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return INVALID;                                                                        \
    } while (0)

template <class T> cublasStatus_t take(T *to, const void *from, size_t bytes)
{
    NEED(from && bytes == sizeof *to);
    std::memcpy(to, from, bytes);
    return OK;
}

bool is_real(uint32_t type)
{
    return type == CUDA_R_32F || type == CUDA_R_16BF;
}

cublasStatus_t check_layout(const layout &l, bool written)
{
    NEED(is_real(l.type) && l.rows > 0 && l.cols > 0 && l.batch > 0 && l.batch_stride >= 0);
    NEED(l.ld >= (int64_t)(l.order == CUBLASLT_ORDER_COL ? l.rows : l.cols));
    if (l.batch > 1)
        NEED(l.batch_stride >= l.span() || (l.batch_stride == 0 && !written));
    return OK;
}

bool same(const layout &a, const layout &b)
{
    return a.type == b.type && a.order == b.order && a.rows == b.rows && a.cols == b.cols &&
           a.batch == b.batch;
}

bool has_bias(const product &p)
{
    return p.epilogue & CUBLASLT_EPILOGUE_BIAS;
}

/* INVALID: no product at all. NOT_SUPPORTED: one that no algorithm takes. */
cublasStatus_t check_problem(const product &p, const layout &a, const layout &b, const layout &c,
                             const layout &d)
{
    bool ta = p.trans_a == CUBLAS_OP_T, tb = p.trans_b == CUBLAS_OP_T;
    for (const layout *l : { &a, &b, &c, &d }) {
        cublasStatus_t s = check_layout(*l, l == &d);
        if (s != OK)
            return s;
    }
    NEED((ta ? a.cols : a.rows) == d.rows && (tb ? b.rows : b.cols) == d.cols);
    NEED((ta ? a.rows : a.cols) == (tb ? b.cols : b.rows));
    NEED(same(c, d) && a.type == b.type && a.batch == d.batch && b.batch == d.batch);
    NEED(p.scale == CUDA_R_32F && p.pointer_mode == CUBLASLT_POINTER_MODE_HOST);
    if (a.type == CUDA_R_32F && d.type != CUDA_R_32F)
        return UNSUPPORTED;
    if (p.compute == CUBLAS_COMPUTE_32F_FAST_TF32 && a.type != CUDA_R_32F)
        return UNSUPPORTED;
    /* The bias is one value per row of D; rows that are not contiguous have no fused form. */
    if (has_bias(p) && (d.order != CUBLASLT_ORDER_COL ||
                        (p.bias_type != -1 && p.bias_type != (int32_t)d.type)))
        return UNSUPPORTED;
    return OK;
}

/* Equal for equal problems; the addresses and the bias are not part of it. */
uint64_t problem_of(const product &p, const layout &a, const layout &b, const layout &c,
                    const layout &d)
{
    uint64_t h = 1469598103934665603u;
    auto add = [&](uint64_t v) { h = (h ^ v) * 1099511628211u; };
    add((uint64_t)p.compute);
    add((uint64_t)p.trans_a * 4 + (uint64_t)p.trans_b);
    add(p.epilogue);
    for (const layout *l : { &a, &b, &c, &d })
        for (uint64_t v : { (uint64_t)l->type, (uint64_t)l->order, (uint64_t)l->batch, l->rows,
                            l->cols, (uint64_t)l->ld, (uint64_t)l->batch_stride })
            add(v);
    return h;
}

struct work {
    product p;
    layout a, b, c, d;
    float alpha, beta;
    const char *from_a, *from_b, *from_c;
    char *to, *workspace;
    uint64_t workspace_bytes;

    void matrix(int64_t batch) const
    {
        auto at = [&](const char *base, const layout &l) {
            return base + batch * l.batch_stride * size_of(l.kind());
        };
        const char *pa = at(from_a, a), *pb = at(from_b, b);
        const char *pc = beta != 0 ? at(from_c, c) : nullptr;
        char *pd = to + batch * d.batch_stride * size_of(d.kind());
        bool ta = p.trans_a == CUBLAS_OP_T, tb = p.trans_b == CUBLAS_OP_T;
        int64_t m = (int64_t)d.rows, n = (int64_t)d.cols, k = (int64_t)(ta ? a.rows : a.cols);
        std::vector<double> left((size_t)(m * k)), right((size_t)(k * n)), sum((size_t)n);
        bool tf32 = p.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
        auto in = [&](const layout &l, const char *base, int64_t row, int64_t col) {
            double v = read_at(l.kind(), base, l.place(row, col));
            return tf32 ? to_tf32(v) : v;
        };
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < k; j++)
                left[(size_t)(i * k + j)] = in(a, pa, ta ? j : i, ta ? i : j);
        for (int64_t i = 0; i < k; i++)
            for (int64_t j = 0; j < n; j++)
                right[(size_t)(i * n + j)] = in(b, pb, tb ? j : i, tb ? i : j);
        for (int64_t i = 0; i < m; i++) {
            std::fill(sum.begin(), sum.end(), 0.0);
            for (int64_t t = 0; t < k; t++) {
                double v = left[(size_t)(i * k + t)];
                const double *r = &right[(size_t)(t * n)];
                for (int64_t j = 0; j < n; j++)
                    sum[(size_t)j] += v * r[j];
            }
            double bias = 0;
            if (has_bias(p))
                bias = read_at(d.kind(), p.bias, batch * p.bias_stride + i);
            for (int64_t j = 0; j < n; j++) {
                double v = alpha * sum[(size_t)j] + bias;
                if (beta != 0)
                    v += beta * read_at(c.kind(), pc, c.place(i, j));
                if ((p.epilogue & CUBLASLT_EPILOGUE_RELU) && v < 0)
                    v = 0;
                write_at(d.kind(), pd, d.place(i, j), v);
            }
        }
    }
    void operator()() const
    {
        for (int32_t i = 0; i < d.batch; i++)
            matrix(i);
        if (workspace_bytes)
            std::memset(workspace, 0xff, workspace_bytes);
    }
};

cublasStatus_t check_place(const void *p, int64_t bytes, uint32_t alignment)
{
    NEED(p && (uintptr_t)p % alignment == 0 && emulated_owns(p, (uint64_t)bytes));
    return OK;
}

bool overlaps(const void *a, int64_t bytes_a, const void *b, int64_t bytes_b)
{
    uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;
    return x < y + (uintptr_t)bytes_b && y < x + (uintptr_t)bytes_a;
}

cublasStatus_t check_places(const work &w, const choice &chosen, const void *c)
{
    cublasStatus_t s = check_place(w.from_a, w.a.bytes(), chosen.align[0]);
    if (s == OK)
        s = check_place(w.from_b, w.b.bytes(), chosen.align[1]);
    if (s == OK && w.beta != 0)
        s = check_place(c, w.c.bytes(), chosen.align[2]);
    if (s == OK)
        s = check_place(w.to, w.d.bytes(), chosen.align[3]);
    if (s == OK && w.workspace_bytes)
        s = check_place(w.workspace, (int64_t)w.workspace_bytes, 256);
    if (s == OK && has_bias(w.p))
        s = check_place(w.p.bias, (int64_t)((w.d.batch - 1) * w.p.bias_stride +
                                            (int64_t)w.d.rows) * size_of(w.d.kind()), 2);
    if (s != OK)
        return s;
    NEED(!overlaps(w.to, w.d.bytes(), w.from_a, w.a.bytes()));
    NEED(!overlaps(w.to, w.d.bytes(), w.from_b, w.b.bytes()));
    if (w.beta != 0 && overlaps(w.to, w.d.bytes(), c, w.c.bytes()))
        NEED(w.to == c && w.c.ld == w.d.ld && w.c.batch_stride == w.d.batch_stride);
    if (w.workspace_bytes)
        NEED(!overlaps(w.to, w.d.bytes(), w.workspace, (int64_t)w.workspace_bytes));
    return OK;
}

template <class T> cublasStatus_t drop(std::set<const void *> *alive, const T *p)
{
    std::lock_guard<std::mutex> guard(lock);
    NEED(alive->erase(p));
    delete p;
    return OK;
}

struct context {
};

} // namespace

extern "C" {

EMULATED_API void emulated_cublas(const char *what)
{
    std::lock_guard<std::mutex> guard(lock);
    behaviour = what;
}

EMULATED_API long emulated_live_cublas(void)
{
    std::lock_guard<std::mutex> guard(lock);
    return (long)(handles.size() + layouts.size() + products.size() + preferences.size());
}

EMULATED_API size_t cublasLtGetVersion(void)
{
    return CUBLAS_VERSION;
}

EMULATED_API const char *cublasLtGetStatusName(cublasStatus_t status)
{
    static thread_local char text[32];
    std::snprintf(text, sizeof text, "CUBLAS_STATUS %d", (int)status);
    return text;
}

EMULATED_API const char *cublasLtGetStatusString(cublasStatus_t status)
{
    return cublasLtGetStatusName(status);
}

EMULATED_API const char *cublasGetStatusString(cublasStatus_t status)
{
    return cublasLtGetStatusName(status);
}

EMULATED_API cublasStatus_t cublasLtCreate(cublasLtHandle_t *h)
{
    ENTER();
    NEED(h);
    if (const char *what = std::getenv("GEN_EMULATED_CUBLAS"))
        behaviour = what;
    *h = (cublasLtHandle_t) new context;
    handles.insert(*h);
    return OK;
}

EMULATED_API cublasStatus_t cublasLtDestroy(cublasLtHandle_t h)
{
    return drop(&handles, (context *)h);
}

EMULATED_API cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *out,
                                                       cudaDataType type, uint64_t rows,
                                                       uint64_t cols, int64_t ld)
{
    ENTER();
    NEED(out && is_real(type));
    layout *l = new layout;
    l->type = type;
    l->rows = rows;
    l->cols = cols;
    l->ld = ld;
    layouts.insert(l);
    *out = (cublasLtMatrixLayout_t)l;
    return OK;
}

EMULATED_API cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t l)
{
    return drop(&layouts, (layout *)l);
}

EMULATED_API cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t p,
                                                             cublasLtMatrixLayoutAttribute_t name,
                                                             const void *from, size_t bytes)
{
    ENTER();
    NEED(layouts.count(p));
    layout *l = (layout *)p;
    switch (name) {
    case CUBLASLT_MATRIX_LAYOUT_TYPE:
        return take(&l->type, from, bytes);
    case CUBLASLT_MATRIX_LAYOUT_ORDER:
        NEED(from && bytes == sizeof(int32_t) && (uint32_t)*(const int32_t *)from <= 1);
        return take(&l->order, from, bytes);
    case CUBLASLT_MATRIX_LAYOUT_ROWS:
        return take(&l->rows, from, bytes);
    case CUBLASLT_MATRIX_LAYOUT_COLS:
        return take(&l->cols, from, bytes);
    case CUBLASLT_MATRIX_LAYOUT_LD:
        return take(&l->ld, from, bytes);
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT:
        return take(&l->batch, from, bytes);
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET:
        return take(&l->batch_stride, from, bytes);
    default:
        return UNSUPPORTED;
    }
}

EMULATED_API cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *out,
                                                     cublasComputeType_t compute,
                                                     cudaDataType_t scale)
{
    ENTER();
    NEED(out);
    if ((compute != CUBLAS_COMPUTE_32F && compute != CUBLAS_COMPUTE_32F_PEDANTIC &&
         compute != CUBLAS_COMPUTE_32F_FAST_TF32) || scale != CUDA_R_32F)
        return UNSUPPORTED;
    product *p = new product;
    p->compute = compute;
    p->scale = scale;
    products.insert(p);
    *out = (cublasLtMatmulDesc_t)p;
    return OK;
}

EMULATED_API cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t p)
{
    return drop(&products, (product *)p);
}

EMULATED_API cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc,
                                                           cublasLtMatmulDescAttributes_t name,
                                                           const void *from, size_t bytes)
{
    ENTER();
    NEED(products.count(desc) && from);
    product *p = (product *)desc;
    int32_t v = bytes == sizeof v ? *(const int32_t *)from : -1;
    switch (name) {
    case CUBLASLT_MATMUL_DESC_POINTER_MODE:
        return take(&p->pointer_mode, from, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSA:
        NEED(v == CUBLAS_OP_N || v == CUBLAS_OP_T);
        return take(&p->trans_a, from, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
        NEED(v == CUBLAS_OP_N || v == CUBLAS_OP_T);
        return take(&p->trans_b, from, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSC:
        NEED(v == CUBLAS_OP_N);
        return take(&p->trans_c, from, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
        if (v != CUBLASLT_EPILOGUE_DEFAULT && v != CUBLASLT_EPILOGUE_RELU &&
            v != CUBLASLT_EPILOGUE_BIAS && v != CUBLASLT_EPILOGUE_RELU_BIAS)
            return UNSUPPORTED;
        return take(&p->epilogue, from, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
        return take(&p->bias, from, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE:
        return take(&p->bias_stride, from, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
        return take(&p->bias_type, from, bytes);
    default:
        return UNSUPPORTED;
    }
}

EMULATED_API cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *out)
{
    ENTER();
    NEED(out);
    preference *p = new preference;
    preferences.insert(p);
    *out = (cublasLtMatmulPreference_t)p;
    return OK;
}

EMULATED_API cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p)
{
    return drop(&preferences, (preference *)p);
}

EMULATED_API cublasStatus_t
cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t pref,
                                     cublasLtMatmulPreferenceAttributes_t name, const void *from,
                                     size_t bytes)
{
    ENTER();
    NEED(preferences.count(pref) && from);
    preference *p = (preference *)pref;
    if (name >= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES &&
        name <= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES) {
        uint32_t v = bytes == sizeof v ? *(const uint32_t *)from : 0;
        NEED(v && !(v & (v - 1)));
    }
    switch (name) {
    case CUBLASLT_MATMUL_PREF_SEARCH_MODE:
        return take(&p->search, from, bytes);
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
        return take(&p->workspace, from, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
        return take(&p->schemes, from, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
        return take(&p->align_a, from, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
        return take(&p->align_b, from, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
        return take(&p->align_c, from, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
        return take(&p->align_d, from, bytes);
    default:
        return UNSUPPORTED;
    }
}

/* Two algorithms: one that wants a workspace, where the caller gives that much, and one without. */
EMULATED_API cublasStatus_t cublasLtMatmulAlgoGetHeuristic(
    cublasLtHandle_t h, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a,
    cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
    cublasLtMatmulPreference_t pref, int room, cublasLtMatmulHeuristicResult_t results[],
    int *count)
{
    ENTER();
    NEED(handles.count(h) && products.count(desc) && preferences.count(pref));
    NEED(layouts.count(a) && layouts.count(b) && layouts.count(c) && layouts.count(d));
    NEED(room > 0 && results && count);
    const product &p = *(product *)desc;
    const preference &w = *(preference *)pref;
    const layout &la = *(layout *)a, &lb = *(layout *)b, &lc = *(layout *)c, &ld = *(layout *)d;
    *count = 0;
    cublasStatus_t s = check_problem(p, la, lb, lc, ld);
    if (s != OK || behaviour == "no_algorithms")
        return s == INVALID ? s : UNSUPPORTED;
    for (uint64_t workspace : { 4096, 0 }) {
        if (workspace > w.workspace || *count == room)
            continue;
        choice chosen = { MAGIC, problem_of(p, la, lb, lc, ld), workspace,
                          { w.align_a, w.align_b, w.align_c, w.align_d } };
        cublasLtMatmulHeuristicResult_t *r = &results[(*count)++];
        std::memset((void *)r, 0, sizeof *r);
        std::memcpy(r->algo.data, &chosen, sizeof chosen);
        r->workspaceSize = workspace;
        r->state = OK;
        r->wavesCount = 1;
    }
    return OK;
}

EMULATED_API cublasStatus_t
cublasLtMatmul(cublasLtHandle_t h, cublasLtMatmulDesc_t desc, const void *alpha, const void *a,
               cublasLtMatrixLayout_t a_layout, const void *b, cublasLtMatrixLayout_t b_layout,
               const void *beta, const void *c, cublasLtMatrixLayout_t c_layout, void *d,
               cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t *algo, void *workspace,
               size_t workspace_bytes, cudaStream_t stream)
{
    ENTER();
    choice chosen;
    NEED(handles.count(h) && products.count(desc) && alpha && beta && algo && stream);
    NEED(layouts.count(a_layout) && layouts.count(b_layout));
    NEED(layouts.count(c_layout) && layouts.count(d_layout));
    work w = { *(product *)desc, *(layout *)a_layout, *(layout *)b_layout, *(layout *)c_layout,
               *(layout *)d_layout, *(const float *)alpha, *(const float *)beta, (const char *)a,
               (const char *)b, (const char *)c, (char *)d, (char *)workspace, 0 };
    cublasStatus_t s = check_problem(w.p, w.a, w.b, w.c, w.d);
    if (s != OK)
        return s;
    std::memcpy(&chosen, algo->data, sizeof chosen);
    NEED(chosen.magic == MAGIC && chosen.problem == problem_of(w.p, w.a, w.b, w.c, w.d));
    NEED(workspace_bytes >= chosen.workspace);
    w.workspace_bytes = chosen.workspace;
    s = check_places(w, chosen, c);
    if (s != OK)
        return s;
    return emulated_enqueue(stream, w) == cudaSuccess ? OK : CUBLAS_STATUS_EXECUTION_FAILED;
}

} // extern "C"
