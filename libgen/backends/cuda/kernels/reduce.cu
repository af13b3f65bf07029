/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums and largest values over some axes.
 */
#include "libgen/backends/cuda/kernels/reduce.h"

#include <math.h>

#include "libgen/backends/cuda/kernels/sums.cuh"

static __device__ int64_t offset_of(const gen_cuda_axes &a, int64_t index)
{
    int64_t offset = 0;
    for (int i = a.rank - 1; i >= 0; i--) {
        offset += index % a.dim[i] * a.step[i];
        index /= a.dim[i];
    }
    return offset;
}

/* V elements of a row at once; ACROSS_ V: each is a column's, 1: all are one result's. */
template <class T, int V, int ACROSS_, bool TOP> struct reduction {
    typedef gen_cuda_reduce_args args;
    static const int VALUES = 1, ACROSS = ACROSS_;
    struct raw {
        float v[V];
    };
    const args &a;
    const T *x;

    static __device__ const gen_cuda_cut &cut(const args &a) { return a.sums.cut; }
    static __device__ double ZERO() { return TOP ? -HUGE_VAL : 0; }
    /* Of the largest, a NaN stays. */
    static __device__ double join(double a, double b)
    {
        return !TOP ? a + b : b > a || b != b ? b : a;
    }
    __device__ reduction(const args &a_, int64_t kept, int64_t column) : a(a_)
    {
        bool inner = a.sums.cut.inner;
        x = static_cast<const T *>(a.x) + offset_of(a.kept, inner ? column : kept) +
            (inner ? 0 : column);
    }
    __device__ void load(raw &r, int64_t row) const
    {
        int64_t at = a.reduced.count == 1
                         ? row * a.step
                         : offset_of(a.reduced, row / a.depth) + row % a.depth * a.step;
        gen_load_some(r.v, x + at, a.wide);
    }
    __device__ void add(double (&sum)[1][ACROSS], const raw &r) const
    {
        for (int i = 0; i < ACROSS; i++) {
            double all = r.v[i];
            for (int k = i + ACROSS; k < V; k += ACROSS)
                all = join(all, r.v[k]);
            sum[0][i] = join(sum[0][i], all);
        }
    }
    template <int N>
    static __device__ void emit(const args &a, int64_t kept, int64_t column,
                                const double (&sum)[1][N])
    {
        T *y = static_cast<T *>(a.y) + kept * a.sums.cut.columns + column;
        for (int i = 0; i < N; i++)
            gen_store(y + i, static_cast<float>(sum[0][i] / a.divisor));
    }
};

template <class T, bool TOP>
static cudaError_t reduce(const gen_cuda_reduce_args &a, cudaStream_t s)
{
    const int V = gen_wide<T>::N;
    typedef reduction<T, 1, 1, TOP> one;
    if (a.v == 1)
        return gen_sum<one, one>(a, s);
    if (a.sums.cut.inner)
        return gen_sum<reduction<T, V, 1, TOP>, one>(a, s);
    return gen_sum<reduction<T, V, V, TOP>, one>(a, s);
}

cudaError_t gen_cuda_reduce(const gen_cuda_reduce_args *a, cudaStream_t s)
{
    if (a->bf16)
        return a->top ? reduce<__nv_bfloat16, true>(*a, s) : reduce<__nv_bfloat16, false>(*a, s);
    return a->top ? reduce<float, true>(*a, s) : reduce<float, false>(*a, s);
}
