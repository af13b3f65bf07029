/* SPDX-License-Identifier: Apache-2.0
 *
 * Scale and shift per channel, normalisation by batch statistics and its gradient. A thread has its
 * channels for all the cells that it goes through, so what belongs to a channel is read once.
 */
#include "libgen/backends/cuda/kernels/norm.h"

#include "libgen/backends/cuda/kernels/activation.cuh"
#include "libgen/backends/cuda/kernels/sums.cuh"

/* M as F of kernels/sums.cuh, with apply(raw, row) for add. */
template <class M> static __global__ void map_kernel(const typename M::args a)
{
    const gen_cuda_cut &c = M::cut(a);
    gen_place p(c, M::ACROSS);
    if (!p.on)
        return;
    M m(a, p.kept, p.column);
    gen_walk_rows(m, p, c, [&](const typename M::raw &r, int64_t row) { m.apply(r, row); });
}

template <class M> static cudaError_t map(const typename M::args &a, cudaStream_t s)
{
    return gen_launch(map_kernel<M>, static_cast<unsigned>(gen_cuda_cut_blocks(&M::cut(a))),
                      GEN_CUDA_THREADS, s, a);
}

/* ---- scale_shift ----------------------------------------------------------------------------- */

static __device__ float value_of(const void *p, int64_t i, bool bf16)
{
    return bf16 ? gen_load(static_cast<const __nv_bfloat16 *>(p) + i)
                : gen_load(static_cast<const float *>(p) + i);
}

template <class T, int V> struct scale_shift {
    typedef gen_cuda_scale_shift_args args;
    static const int ACROSS = V;
    struct raw {
        float v[V];
    };
    const args &k;
    int64_t start;
    float a[V], b[V];

    static __host__ __device__ const gen_cuda_cut &cut(const args &a) { return a.cut; }
    __device__ scale_shift(const args &k_, int64_t kept, int64_t column) : k(k_)
    {
        start = kept * k.cut.rows * k.cut.columns + column;
        for (int i = 0; i < V; i++) {
            a[i] = k.a ? value_of(k.a, kept * k.a_step + column + i, k.a_bf16) : 1;
            b[i] = k.b ? value_of(k.b, kept * k.b_step + column + i, k.b_bf16) : 0;
        }
    }
    __device__ void load(raw &r, int64_t row) const
    {
        gen_load_some(r.v, static_cast<const T *>(k.x) + start + row * k.cut.columns, k.wide);
    }
    __device__ void apply(const raw &r, int64_t row) const
    {
        float y[V];
        for (int i = 0; i < V; i++)
            y[i] = gen_activated(k.act, k.slope, r.v[i] * a[i] + b[i]);
        gen_store_some(static_cast<T *>(k.y) + start + row * k.cut.columns, y, k.wide);
    }
};

cudaError_t gen_cuda_scale_shift(const gen_cuda_scale_shift_args *a, cudaStream_t s)
{
    if (a->bf16)
        return a->v == 1 ? map<scale_shift<__nv_bfloat16, 1>>(*a, s)
                         : map<scale_shift<__nv_bfloat16, gen_wide<__nv_bfloat16>::N>>(*a, s);
    return a->v == 1 ? map<scale_shift<float, 1>>(*a, s)
                     : map<scale_shift<float, gen_wide<float>::N>>(*a, s);
}

/* ---- batch_norm ------------------------------------------------------------------------------ */

/* Where rows of [kept][3][columns] and the tensors of a thread start. */
struct norm_at {
    int64_t data, row, statistic;
    __device__ norm_at(const gen_cuda_norm_args &a, int64_t kept, int64_t column)
    {
        const gen_cuda_cut &c = a.sums.cut;
        data = kept * c.rows * c.columns + column;
        row = kept * 3 * c.columns + column;
        statistic = kept * c.columns + column;
    }
};

/* sum x and sum x^2. The squares of f32 values are exact in double; what the difference E[x^2] -
 * mean^2 loses is 1e-16 mean^2 / var, far below what f32 values can show. */
template <class T, int V> struct moments {
    typedef gen_cuda_norm_args args;
    static const int VALUES = 2, ACROSS = V;
    struct raw {
        float x[V];
    };
    const args &a;
    const T *x;

    static __host__ __device__ const gen_cuda_cut &cut(const args &a) { return a.sums.cut; }
    static __device__ double ZERO() { return 0; }
    static __device__ double join(double a, double b) { return a + b; }
    __device__ moments(const args &a_, int64_t kept, int64_t column) : a(a_)
    {
        x = static_cast<const T *>(a.x) + norm_at(a, kept, column).data;
    }
    __device__ void load(raw &r, int64_t row) const
    {
        gen_load_some(r.x, x + row * a.sums.cut.columns, a.wide);
    }
    __device__ void add(double (&sum)[2][V], const raw &r) const
    {
        for (int i = 0; i < V; i++) {
            double v = r.x[i];
            sum[0][i] += v;
            sum[1][i] += v * v;
        }
    }
    /* Rows: mean, 1 / sqrt(var + eps). */
    template <int N>
    static __device__ void emit(const args &a, int64_t kept, int64_t column,
                                const double (&sum)[2][N])
    {
        double cells = static_cast<double>(a.sums.cut.rows);
        norm_at at(a, kept, column);
        for (int i = 0; i < N; i++) {
            double mean = sum[0][i] / cells, var = sum[1][i] / cells - mean * mean;
            var = var < 0 ? 0 : var; /* rounding; a NaN stays */
            a.row[at.row + i] = static_cast<float>(mean);
            a.row[at.row + a.sums.cut.columns + i] = static_cast<float>(1 / sqrt(var + a.eps));
            if (a.mean_out)
                a.mean_out[at.statistic + i] = static_cast<float>(mean);
            if (a.var_out)
                a.var_out[at.statistic + i] = static_cast<float>(var);
        }
    }
};

template <class T, int V> struct normalise {
    typedef gen_cuda_norm_args args;
    static const int ACROSS = V;
    typedef typename moments<T, V>::raw raw;
    const args &a;
    int64_t start;
    float mean[V], k[V];

    static __host__ __device__ const gen_cuda_cut &cut(const args &a) { return a.map; }
    __device__ normalise(const args &a_, int64_t kept, int64_t column) : a(a_)
    {
        norm_at at(a, kept, column);
        start = at.data;
        for (int i = 0; i < V; i++) {
            mean[i] = a.row[at.row + i];
            k[i] = a.row[at.row + a.map.columns + i];
        }
    }
    __device__ void load(raw &r, int64_t row) const
    {
        gen_load_some(r.x, static_cast<const T *>(a.x) + start + row * a.map.columns, a.wide);
    }
    __device__ void apply(const raw &r, int64_t row) const
    {
        float y[V];
        for (int i = 0; i < V; i++)
            y[i] = (r.x[i] - mean[i]) * k[i];
        gen_store_some(static_cast<T *>(a.y) + start + row * a.map.columns, y, a.wide);
    }
};

/* ---- batch_norm_dx --------------------------------------------------------------------------- */

/* sum dy and sum dy (x - mean). */
template <class T, int V> struct products {
    typedef gen_cuda_norm_args args;
    static const int VALUES = 2, ACROSS = V;
    struct raw {
        float x[V], dy[V];
    };
    const args &a;
    int64_t start;
    float mean[V];

    static __host__ __device__ const gen_cuda_cut &cut(const args &a) { return a.sums.cut; }
    static __device__ double ZERO() { return 0; }
    static __device__ double join(double a, double b) { return a + b; }
    __device__ products(const args &a_, int64_t kept, int64_t column) : a(a_)
    {
        norm_at at(a, kept, column);
        start = at.data;
        for (int i = 0; i < V; i++)
            mean[i] = a.mean[at.statistic + i];
    }
    __device__ void load(raw &r, int64_t row) const
    {
        int64_t at = start + row * a.map.columns;
        gen_load_some(r.x, static_cast<const T *>(a.x) + at, a.wide);
        gen_load_some(r.dy, static_cast<const T *>(a.dy) + at, a.wide);
    }
    __device__ void add(double (&sum)[2][V], const raw &r) const
    {
        for (int i = 0; i < V; i++) {
            double dy = r.dy[i];
            sum[0][i] += dy;
            sum[1][i] += dy * (r.x[i] - mean[i]);
        }
    }
    /* Rows: r = 1 / sqrt(var + eps), mean(dy), r^3 mean(dy (x - mean)). */
    template <int N>
    static __device__ void emit(const args &a, int64_t kept, int64_t column,
                                const double (&sum)[2][N])
    {
        double cells = static_cast<double>(a.sums.cut.rows);
        norm_at at(a, kept, column);
        for (int i = 0; i < N; i++) {
            double r = 1 / sqrt(a.var[at.statistic + i] + a.eps);
            a.row[at.row + i] = static_cast<float>(r);
            a.row[at.row + a.map.columns + i] = static_cast<float>(sum[0][i] / cells);
            a.row[at.row + 2 * a.map.columns + i] =
                static_cast<float>(r * r * r * sum[1][i] / cells);
        }
    }
};

/* dx = r (dy - mean(dy)) - (x - mean) r^3 mean(dy (x - mean)). */
template <class T, int V> struct backward : products<T, V> {
    typedef gen_cuda_norm_args args;
    typedef typename products<T, V>::raw raw;
    float r[V], dy_mean[V], k[V];

    static __host__ __device__ const gen_cuda_cut &cut(const args &a) { return a.map; }
    __device__ backward(const args &a, int64_t kept, int64_t column)
        : products<T, V>(a, kept, column)
    {
        norm_at at(a, kept, column);
        for (int i = 0; i < V; i++) {
            r[i] = a.row[at.row + i];
            dy_mean[i] = a.row[at.row + a.map.columns + i];
            k[i] = a.row[at.row + 2 * a.map.columns + i];
        }
    }
    __device__ void apply(const raw &in, int64_t row) const
    {
        float y[V];
        for (int i = 0; i < V; i++)
            y[i] = r[i] * (in.dy[i] - dy_mean[i]) - (in.x[i] - this->mean[i]) * k[i];
        gen_store_some(static_cast<T *>(this->a.y) + this->start + row * this->a.map.columns, y,
                       this->a.wide);
    }
};

/* SUM<T, V>, with its second launch, and MAP<T, V>. */
template <template <class, int> class SUM, template <class, int> class MAP, class T>
static cudaError_t norm(const gen_cuda_norm_args &a, cudaStream_t s)
{
    const int V = gen_wide<T>::N;
    cudaError_t e = a.v == 1 ? gen_sum<SUM<T, 1>, SUM<float, 1>>(a, s)
                             : gen_sum<SUM<T, V>, SUM<float, 1>>(a, s);
    if (e != cudaSuccess)
        return e;
    return a.v == 1 ? map<MAP<T, 1>>(a, s) : map<MAP<T, V>>(a, s);
}

cudaError_t gen_cuda_batch_norm(const gen_cuda_norm_args *a, cudaStream_t s)
{
    return a->bf16 ? norm<moments, normalise, __nv_bfloat16>(*a, s)
                   : norm<moments, normalise, float>(*a, s);
}

cudaError_t gen_cuda_batch_norm_dx(const gen_cuda_norm_args *a, cudaStream_t s)
{
    return a->bf16 ? norm<products, backward, __nv_bfloat16>(*a, s)
                   : norm<products, backward, float>(*a, s);
}

/* ---- unit ------------------------------------------------------------------------------------ */

template <class T> static __global__ void unit_kernel(const gen_cuda_unit_args a)
{
    __shared__ double s[GEN_CUDA_THREADS];
    const T *x = static_cast<const T *>(a.x);
    T *y = static_cast<T *>(a.y);
    int t = threadIdx.x;
    double sum = 0;
    for (int64_t i = t; i < a.n; i += GEN_CUDA_THREADS) {
        double v = gen_load(x + i);
        sum += v * v;
    }
    s[t] = sum;
    for (int half = GEN_CUDA_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (t < half)
            s[t] += s[t + half];
    }
    __syncthreads();
    float eps = static_cast<float>(a.eps), square = static_cast<float>(s[0]);
    float length = sqrtf(a.at_least ? square : square + eps);
    float scale = 1 / (a.at_least && length < eps ? eps : length);
    for (int64_t i = t; i < a.n; i += GEN_CUDA_THREADS)
        gen_store(y + i, gen_load(x + i) * scale);
}

cudaError_t gen_cuda_unit(const gen_cuda_unit_args *a, cudaStream_t s)
{
    return gen_launch(a->bf16 ? unit_kernel<__nv_bfloat16> : unit_kernel<float>, 1,
                      GEN_CUDA_THREADS, s, *a);
}
