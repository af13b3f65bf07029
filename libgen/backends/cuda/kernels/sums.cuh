/* SPDX-License-Identifier: Apache-2.0
 *
 * One kernel for every sum (kernels/sums.h), in double: of what, and what becomes of it, says a
 * class F:
 *
 *     F::args            the kernel's argument; its member `sums` is a gen_cuda_sums
 *     F::VALUES, ACROSS  sums of a column; columns of a thread
 *     F::ZERO()          what a sum starts from
 *     F::join(a, b)      a + b, or the larger of both
 *     F::raw             what is read of a row before it is added
 *     F(a, kept, column) a thread's columns
 *     load(raw, row), add(sum, raw)
 *     F::emit<N>(a, kept, column, sum)   sum[VALUES][N] of N columns is complete
 */
#ifndef LIBGEN_BACKENDS_CUDA_KERNELS_SUMS_CUH
#define LIBGEN_BACKENDS_CUDA_KERNELS_SUMS_CUH

#include "libgen/backends/cuda/kernels/sums.h"
#include "libgen/backends/cuda/kernels/vector.cuh"

/* V elements, all in one access where their address is a multiple of 16 bytes, else one by one. Who
 * reads what is the same in both, so that sums do not depend on the address. */
template <class T, int V>
static __device__ __forceinline__ void gen_load_some(float (&to)[V], const T *p, bool wide)
{
    if (V > 1 && wide) {
        gen_load_vector<V>(p, to);
        return;
    }
    for (int i = 0; i < V; i++)
        to[i] = gen_load(p + i);
}

template <class T, int V>
static __device__ __forceinline__ void gen_store_some(T *p, const float (&from)[V], bool wide)
{
    if (V > 1 && wide) {
        gen_store_vector<V>(p, from);
        return;
    }
    for (int i = 0; i < V; i++)
        gen_store(p + i, from[i]);
}

/* Where a thread stands in a cut. */
struct gen_place {
    int64_t kept, column, part;
    int col, lane;
    bool on;

    __device__ gen_place(const gen_cuda_cut &c, int v)
    {
        int64_t b = blockIdx.x;
        int t = threadIdx.x;
        int tile = static_cast<int>(b % c.tiles);
        b /= c.tiles;
        part = b % c.parts;
        kept = b / c.parts;
        col = c.inner ? t / c.lanes : t % c.across;
        lane = c.inner ? t % c.lanes : t / c.across;
        column = (static_cast<int64_t>(tile) * c.across + col) * v;
        on = col < c.across && lane < c.lanes && column < c.columns;
    }
    /* The thread of lane 0. */
    __device__ int head(const gen_cuda_cut &c) const { return c.inner ? col * c.lanes : col; }
    __device__ int64_t first(const gen_cuda_cut &c) const { return part * c.each + lane; }
    __device__ int64_t end(const gen_cuda_cut &c) const
    {
        return (part + 1) * c.each < c.rows ? (part + 1) * c.each : c.rows;
    }
};

/* Rows of a thread, four loads ahead of what is done with them. */
template <class F, class Done>
static __device__ __forceinline__ void gen_walk_rows(F &f, const gen_place &p,
                                                     const gen_cuda_cut &c, Done done)
{
    const int AHEAD = 4;
    int64_t row = p.first(c), end = p.end(c), step = c.lanes;
    for (; row + (AHEAD - 1) * step < end; row += AHEAD * step) {
        typename F::raw r[AHEAD];
        for (int i = 0; i < AHEAD; i++)
            f.load(r[i], row + i * step);
        for (int i = 0; i < AHEAD; i++)
            done(r[i], row + i * step);
    }
    for (; row < end; row += step) {
        typename F::raw r;
        f.load(r, row);
        done(r, row);
    }
}

/* Joins the lanes of each column: s[i][thread] of lane 0 is then the whole. All threads come. */
template <class F, int N>
static __device__ __forceinline__ void gen_fold(double (*s)[GEN_CUDA_THREADS], const gen_place &p,
                                                const gen_cuda_cut &c)
{
    int t = threadIdx.x, step = c.inner ? 1 : c.across;
    for (int n = c.lanes; n > 1;) {
        int half = (n + 1) / 2;
        __syncthreads();
        if (p.col < c.across && p.lane + half < n)
            for (int i = 0; i < N; i++)
                s[i][t] = F::join(s[i][t], s[i][t + half * step]);
        n = half;
    }
}

template <class F> static __global__ void gen_sums_kernel(const typename F::args a)
{
    const int N = F::VALUES * F::ACROSS;
    __shared__ double s[N][GEN_CUDA_THREADS];
    const gen_cuda_cut &c = F::cut(a);
    gen_place p(c, F::ACROSS);
    double sum[F::VALUES][F::ACROSS];
    for (int i = 0; i < N; i++)
        sum[i / F::ACROSS][i % F::ACROSS] = F::ZERO();
    if (p.on) {
        F f(a, p.kept, p.column);
        gen_walk_rows(f, p, c, [&](const typename F::raw &r, int64_t) { f.add(sum, r); });
    }
    for (int i = 0; i < N; i++)
        s[i][threadIdx.x] = sum[i / F::ACROSS][i % F::ACROSS];
    gen_fold<F, N>(s, p, c);
    if (!p.on || p.lane)
        return;
    for (int i = 0; i < N; i++)
        sum[i / F::ACROSS][i % F::ACROSS] = s[i][threadIdx.x];
    if (c.parts == 1) {
        F::template emit<F::ACROSS>(a, p.kept, p.column, sum);
        return;
    }
    double *to = a.sums.part + (p.kept * c.parts + p.part) * F::VALUES * c.columns + p.column;
    for (int v = 0; v < F::VALUES; v++)
        for (int i = 0; i < F::ACROSS; i++)
            to[v * c.columns + i] = sum[v][i];
}

/* The second launch: rows are the parts of the first. */
template <class F> struct gen_last {
    typedef typename F::args args;
    static const int VALUES = F::VALUES, ACROSS = 1;
    struct raw {
        double v[VALUES];
    };
    const double *from;
    int64_t step, columns;

    static __device__ const gen_cuda_cut &cut(const args &a) { return a.sums.last; }
    static __device__ double ZERO() { return F::ZERO(); }
    static __device__ double join(double a, double b) { return F::join(a, b); }
    __device__ gen_last(const args &a, int64_t kept, int64_t column)
    {
        columns = a.sums.last.columns;
        step = VALUES * columns;
        from = a.sums.part + kept * a.sums.last.rows * step + column;
    }
    __device__ void load(raw &r, int64_t row) const
    {
        for (int v = 0; v < VALUES; v++)
            r.v[v] = from[row * step + v * columns];
    }
    __device__ void add(double (&sum)[VALUES][1], const raw &r) const
    {
        for (int v = 0; v < VALUES; v++)
            sum[v][0] = F::join(sum[v][0], r.v[v]);
    }
    template <int N>
    static __device__ void emit(const args &a, int64_t kept, int64_t column,
                                const double (&sum)[VALUES][N])
    {
        F::template emit<N>(a, kept, column, sum);
    }
};

/* F adds; LAST (with the same emit) ends. Two classes, so that several F share one LAST. */
template <class F, class LAST>
static cudaError_t gen_sum(const typename F::args &a, cudaStream_t s)
{
    const gen_cuda_sums &k = a.sums;
    cudaError_t e = gen_launch(gen_sums_kernel<F>,
                               static_cast<unsigned>(gen_cuda_cut_blocks(&k.cut)),
                               GEN_CUDA_THREADS, s, a);
    if (e != cudaSuccess || k.cut.parts == 1)
        return e;
    return gen_launch(gen_sums_kernel<gen_last<LAST>>,
                      static_cast<unsigned>(gen_cuda_cut_blocks(&k.last)), GEN_CUDA_THREADS, s, a);
}

#endif
