/* SPDX-License-Identifier: Apache-2.0
 *
 * Functions of one, two and three tensors, element by element. A thread works on UNITS runs of V
 * elements, THREADS runs apart, so that a warp reads and writes whole lines: 16 bytes a run where
 * addresses and sizes allow, else one element. The function is chosen once a thread, not once an
 * element: all threads take the same way.
 */
#include "libgen/backends/cuda/kernels/elementwise.h"

#include "libgen/backends/cuda/kernels/index.cuh"
#include "libgen/backends/cuda/kernels/vector.cuh"

enum { THREADS = 256, UNITS = 2, INPUTS = GEN_CUDA_MAP_INPUTS };

typedef struct map {
    const void *x[INPUTS];
    void *y;
    int64_t units, run; /* of the launch; elements of the innermost axis */
    int op, outer;      /* outer: axes before the innermost */
    float p, q;
    bool x_bf16[INPUTS], y_bf16, dense[INPUTS];
    gen_divisor dim[GEN_MAX_RANK]; /* of the outer axes; behind them the units of a run */
    int64_t step[INPUTS][GEN_MAX_RANK];
} map;

/* ---- functions ------------------------------------------------------------------------------- */

template <int N, class F>
static __device__ __forceinline__ void each(float (*x)[N], F f)
{
#pragma unroll
    for (int i = 0; i < N; i++)
        x[0][i] = f(x[0][i]);
}

template <int N, class F>
static __device__ __forceinline__ void each_pair(float (*x)[N], F f)
{
#pragma unroll
    for (int i = 0; i < N; i++)
        x[0][i] = f(x[0][i], x[1][i]);
}

/* x[0] = f(x[0], ...). NaN stays NaN. */
template <int N>
static __device__ __forceinline__ void apply(const map &a, float (&x)[1][N])
{
    float p = a.p, q = a.q;
    switch (a.op) {
    case GEN_UNARY_RELU: return each(x, [](float v) { return v < 0 ? 0 : v; });
    case GEN_UNARY_LEAKY_RELU: return each(x, [p](float v) { return v > 0 ? v : p * v; });
    case GEN_UNARY_SIGMOID: return each(x, [](float v) { return 1 / (1 + expf(-v)); });
    case GEN_UNARY_TANH: return each(x, [](float v) { return tanhf(v); });
    case GEN_UNARY_EXP: return each(x, [](float v) { return expf(v); });
    case GEN_UNARY_LOG: return each(x, [](float v) { return logf(v); });
    case GEN_UNARY_SQRT: return each(x, [](float v) { return sqrtf(v); });
    case GEN_UNARY_RSQRT: return each(x, [](float v) { return 1 / sqrtf(v); });
    case GEN_UNARY_RECIPROCAL: return each(x, [](float v) { return 1 / v; });
    case GEN_UNARY_SQUARE: return each(x, [](float v) { return v * v; });
    case GEN_UNARY_ABS: return each(x, [](float v) { return fabsf(v); });
    case GEN_UNARY_SOFTPLUS:
        return each(x, [](float v) { return (v < 0 ? 0 : v) + log1pf(expf(-fabsf(v))); });
    case GEN_UNARY_AFFINE: return each(x, [p, q](float v) { return p * v + q; });
    case GEN_UNARY_CLAMP:
        return each(x, [p, q](float v) { return v < p ? p : v > q ? q : v; });
    default: return; /* GEN_CUDA_MAP_COPY */
    }
}

template <int N>
static __device__ __forceinline__ void apply(const map &a, float (&x)[2][N])
{
    switch (a.op - GEN_CUDA_MAP_BINARY) {
    case GEN_BINARY_ADD: return each_pair(x, [](float v, float w) { return v + w; });
    case GEN_BINARY_SUB: return each_pair(x, [](float v, float w) { return v - w; });
    case GEN_BINARY_MUL: return each_pair(x, [](float v, float w) { return v * w; });
    case GEN_BINARY_DIV: return each_pair(x, [](float v, float w) { return v / w; });
    case GEN_BINARY_MAX:
        return each_pair(x, [](float v, float w) { return v > w || v != v ? v : w; });
    case GEN_BINARY_MIN:
        return each_pair(x, [](float v, float w) { return v < w || v != v ? v : w; });
    default: /* GEN_BINARY_GREATER */
        return each_pair(x, [](float v, float w) { return v > w ? 1.0f : 0.0f; });
    }
}

template <int N>
static __device__ __forceinline__ void apply(const map &, float (&x)[3][N])
{
#pragma unroll
    for (int i = 0; i < N; i++)
        x[0][i] = x[0][i] * x[1][i] + (1 - x[0][i]) * x[2][i];
}

/* ---- the kernel ------------------------------------------------------------------------------ */

typedef struct mixed { /* f32 or bf16, as the arguments say */
    char none;
} mixed;

template <int V, class T>
static __device__ __forceinline__ void load(const T *p, int64_t at, bool, float out[V])
{
    gen_load_vector<V>(p + at, out);
}
template <int V>
static __device__ __forceinline__ void load(const mixed *p, int64_t at, bool bf16, float out[V])
{
    if (bf16)
        gen_load_vector<V>(reinterpret_cast<const __nv_bfloat16 *>(p) + at, out);
    else
        gen_load_vector<V>(reinterpret_cast<const float *>(p) + at, out);
}
template <int V, class T>
static __device__ __forceinline__ void store(T *p, int64_t at, bool, const float in[V])
{
    gen_store_vector<V>(p + at, in);
}
template <int V>
static __device__ __forceinline__ void store(mixed *p, int64_t at, bool bf16, const float in[V])
{
    if (bf16)
        gen_store_vector<V>(reinterpret_cast<__nv_bfloat16 *>(p) + at, in);
    else
        gen_store_vector<V>(reinterpret_cast<float *>(p) + at, in);
}

/* V elements, of which `left` are there: fewer than V at the end of a dense tensor only. */
template <int V, class T>
static __device__ __forceinline__ void load_some(const T *p, int64_t at, bool bf16, int64_t left,
                                                 bool dense, float *out)
{
    if (V > 1 && dense && left >= V) {
        load<V>(p, at, bf16, out);
        return;
    }
    float last = 0;
#pragma unroll
    for (int i = 0; i < V; i++) {
        if (i == 0 || (dense && i < left))
            load<1>(p, at + i, bf16, &last);
        out[i] = last;
    }
}

template <int V, class T>
static __device__ __forceinline__ void store_some(T *p, int64_t at, bool bf16, int64_t left,
                                                  const float *in)
{
    if (left >= V) {
        store<V>(p, at, bf16, in);
        return;
    }
#pragma unroll
    for (int i = 0; i < V; i++)
        if (i < left)
            store<1>(p, at + i, bf16, in + i);
}

template <int N, class T, int V>
static __global__ void map_kernel(const map a)
{
    int64_t first = static_cast<int64_t>(blockIdx.x) * (THREADS * UNITS) + threadIdx.x;
    int64_t to[UNITS], left[UNITS];
    float x[N][UNITS * V];
#pragma unroll
    for (int u = 0; u < UNITS; u++) {
        int64_t row = first + u * THREADS, from[N] = {};
        left[u] = 0;
        if (row >= a.units) {
#pragma unroll
            for (int i = 0; i < N * V; i++)
                x[i / V][u * V + i % V] = 0;
            continue;
        }
        int64_t at = V * (a.outer ? gen_split(&row, a.dim[a.outer]) : row);
        to[u] = a.outer ? row * a.run + at : at;
        left[u] = a.run - at;
        for (int k = a.outer - 1; k >= 0; k--) {
            int64_t index = k ? gen_split(&row, a.dim[k]) : row;
#pragma unroll
            for (int i = 0; i < N; i++)
                from[i] += index * a.step[i][k];
        }
#pragma unroll
        for (int i = 0; i < N; i++)
            load_some<V>(static_cast<const T *>(a.x[i]), from[i] + (a.dense[i] ? at : 0),
                         a.x_bf16[i], left[u], a.dense[i], &x[i][u * V]);
    }
    apply(a, x);
#pragma unroll
    for (int u = 0; u < UNITS; u++)
        if (left[u] > 0)
            store_some<V>(static_cast<T *>(a.y), to[u], a.y_bf16, left[u], &x[0][u * V]);
}

/* ---- launching ------------------------------------------------------------------------------- */

/* All can be read and written V elements at a time: a run of one dense row may end in between. */
static bool fits(const gen_cuda_map_args *a, int V)
{
    int last = a->rank - 1;
    if (!gen_aligned(a->y, V * (a->y_bf16 ? 2 : 4)) || (last > 0 && a->dim[last] % V))
        return false;
    for (int i = 0; i < a->inputs; i++) {
        if (!a->step[i][last])
            continue;
        if (!gen_aligned(a->x[i], V * (a->x_bf16[i] ? 2 : 4)))
            return false;
        for (int k = 0; k < last; k++)
            if (a->step[i][k] % V)
                return false;
    }
    return true;
}

template <class T, int V>
static cudaError_t launch(const gen_cuda_map_args *a, cudaStream_t s)
{
    map m = { { a->x[0], a->x[1], a->x[2] }, a->y, 1, a->dim[a->rank - 1], a->op, a->rank - 1,
              a->p, a->q, {}, a->y_bf16, {}, {}, {} };
    int64_t per_run = (m.run + V - 1) / V;
    for (int k = 0; k < m.outer; k++)
        m.units *= a->dim[k];
    m.units *= per_run;
    for (int k = 0; k < m.outer; k++)
        m.dim[k] = gen_divisor_of(a->dim[k], m.units);
    m.dim[m.outer] = gen_divisor_of(per_run, m.units);
    for (int i = 0; i < a->inputs; i++) {
        m.x_bf16[i] = a->x_bf16[i];
        m.dense[i] = a->step[i][m.outer] != 0;
        for (int k = 0; k < m.outer; k++)
            m.step[i][k] = a->step[i][k];
    }
    unsigned blocks = gen_blocks(m.units, THREADS * UNITS);
    switch (a->inputs) {
    case 1: return gen_launch(map_kernel<1, T, V>, blocks, THREADS, s, m);
    case 2: return gen_launch(map_kernel<2, T, V>, blocks, THREADS, s, m);
    default: return gen_launch(map_kernel<3, T, V>, blocks, THREADS, s, m);
    }
}

template <class T, int V>
static cudaError_t launch_fitting(const gen_cuda_map_args *a, cudaStream_t s)
{
    return fits(a, V) ? launch<T, V>(a, s) : launch<T, 1>(a, s);
}

cudaError_t gen_cuda_map(const gen_cuda_map_args *a, cudaStream_t s)
{
    int bf16 = a->y_bf16;
    for (int i = 0; i < a->inputs; i++)
        bf16 += a->x_bf16[i];
    if (bf16 == 0)
        return launch_fitting<float, 4>(a, s);
    if (bf16 == a->inputs + 1)
        return launch_fitting<__nv_bfloat16, 8>(a, s);
    return launch_fitting<mixed, 4>(a, s);
}
