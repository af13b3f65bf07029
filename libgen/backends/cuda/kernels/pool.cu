/* SPDX-License-Identifier: Apache-2.0
 *
 * Average and maximum over windows, and their adjoints. A thread computes V channels of one cell of
 * the result. The adjoints go through the windows that hold the cell, in memory order, so that sums
 * have one order; that of the maximum looks in each whether the cell is its first largest.
 */
#include "libgen/backends/cuda/kernels/pool.h"

#include "libgen/backends/cuda/kernels/index.cuh"
#include "libgen/backends/cuda/kernels/vector.cuh"

enum { THREADS = 256 };

typedef struct pool {
    gen_cuda_pool_args a;
    int64_t units; /* of the result: V channels */
    gen_divisor c; /* units of a cell */
    gen_divisor size[3]; /* of the result */
} pool;

typedef struct range {
    int lo, hi;
} range;

/* Cells of x in window i of an axis, and windows that hold cell i. */
static __device__ __forceinline__ range window_of(const gen_cuda_pool_args &a, int axis, int i)
{
    int lo = i * a.stride[axis] - a.pad[axis], hi = lo + a.kernel[axis];
    return range{ lo < 0 ? 0 : lo, hi > a.x[axis] ? a.x[axis] : hi };
}

static __device__ __forceinline__ range holders_of(const gen_cuda_pool_args &a, int axis, int i)
{
    int at = i + a.pad[axis], before = at - a.kernel[axis];
    int lo = before < 0 ? 0 : before / a.stride[axis] + 1, hi = at / a.stride[axis] + 1;
    return range{ lo, hi > a.y[axis] ? a.y[axis] : hi };
}

static __device__ __forceinline__ float weight_of(const gen_cuda_pool_args &a, const range w[3])
{
    float count = 1;
#pragma unroll
    for (int i = 0; i < 3; i++)
        count *= static_cast<float>(a.exclude_pad ? w[i].hi - w[i].lo : a.kernel[i]);
    return 1 / count;
}

/* f(cell) for cells of a range in a grid of `size`, counted over all images, in memory order. */
template <class F>
static __device__ __forceinline__ void each_cell(const int size[3], int64_t image,
                                                 const range at[3], F f)
{
    for (int d = at[0].lo; d < at[0].hi; d++)
        for (int h = at[1].lo; h < at[1].hi; h++) {
            int64_t row = ((image * size[0] + d) * size[1] + h) * size[2];
            for (int w = at[2].lo; w < at[2].hi; w++)
                f(row + w, d, h, w);
        }
}

/* v comes behind best: larger, or NaN, which counts as larger than anything. */
static __device__ __forceinline__ bool beats(float v, float best)
{
    return v > best || v != v;
}

template <class T, int V, bool TOP>
static __device__ __forceinline__ void forward(const gen_cuda_pool_args &a, int64_t image,
                                               const range w[3], int64_t c, float y[V])
{
    bool first = true;
    each_cell(a.x, image, w, [&](int64_t cell, int, int, int) {
        float x[V];
        gen_load_vector<V>(static_cast<const T *>(a.in) + cell * a.c + c, x);
#pragma unroll
        for (int k = 0; k < V; k++)
            y[k] = !TOP ? y[k] + x[k] : first || beats(x[k], y[k]) ? x[k] : y[k];
        first = false;
    });
    float by = TOP ? 1 : weight_of(a, w);
#pragma unroll
    for (int k = 0; k < V; k++)
        y[k] *= by;
}

template <class T, int V>
static __device__ __forceinline__ void avg_dx(const gen_cuda_pool_args &a, int64_t image,
                                              const range holders[3], int64_t c, float dx[V])
{
    each_cell(a.y, image, holders, [&](int64_t cell, int d, int h, int w) {
        range window[3] = { window_of(a, 0, d), window_of(a, 1, h), window_of(a, 2, w) };
        float by = weight_of(a, window), dy[V];
        gen_load_vector<V>(static_cast<const T *>(a.dy) + cell * a.c + c, dy);
#pragma unroll
        for (int k = 0; k < V; k++)
            dx[k] += by * dy[k];
    });
}

template <class T, int V>
static __device__ __forceinline__ void max_dx(const gen_cuda_pool_args &a, int64_t image,
                                              const range holders[3], int64_t me, int64_t c,
                                              float dx[V])
{
    each_cell(a.y, image, holders, [&](int64_t cell, int d, int h, int w) {
        range window[3] = { window_of(a, 0, d), window_of(a, 1, h), window_of(a, 2, w) };
        float best[V], dy[V];
        unsigned mine = 0; /* bit k: of channel k this cell is the largest so far */
        bool first = true;
        each_cell(a.x, image, window, [&](int64_t other, int, int, int) {
            float x[V];
            gen_load_vector<V>(static_cast<const T *>(a.in) + other * a.c + c, x);
#pragma unroll
            for (int k = 0; k < V; k++)
                if (first || beats(x[k], best[k])) {
                    best[k] = x[k];
                    mine = (mine & ~(1u << k)) | static_cast<unsigned>(other == me) << k;
                }
            first = false;
        });
        gen_load_vector<V>(static_cast<const T *>(a.dy) + cell * a.c + c, dy);
#pragma unroll
        for (int k = 0; k < V; k++)
            dx[k] += mine >> k & 1 ? dy[k] : 0;
    });
}

template <class T, int V, int KIND>
static __global__ void pool_kernel(const pool p)
{
    const bool adjoint = KIND == GEN_CUDA_AVG_POOL_DX || KIND == GEN_CUDA_MAX_POOL_DX;
    const gen_cuda_pool_args &a = p.a;
    int64_t unit = static_cast<int64_t>(blockIdx.x) * THREADS + threadIdx.x, image = unit;
    if (unit >= p.units)
        return;
    int64_t c = V * gen_split(&image, p.c), cell = image;
    float y[V] = {};
    range at[3];
#pragma unroll
    for (int i = 2; i >= 0; i--) {
        int index = static_cast<int>(gen_split(&image, p.size[i]));
        at[i] = adjoint ? holders_of(a, i, index) : window_of(a, i, index);
    }
    if (KIND == GEN_CUDA_AVG_POOL_DX)
        avg_dx<T, V>(a, image, at, c, y);
    else if (KIND == GEN_CUDA_MAX_POOL_DX)
        max_dx<T, V>(a, image, at, cell, c, y);
    else
        forward<T, V, KIND == GEN_CUDA_MAX_POOL>(a, image, at, c, y);
    gen_store_vector<V>(static_cast<T *>(a.out) + unit * V, y);
}

template <class T, int V>
static cudaError_t launch(const gen_cuda_pool_args *a, cudaStream_t s)
{
    const int *size = a->kind >= GEN_CUDA_AVG_POOL_DX ? a->x : a->y;
    pool p = { *a, a->n * size[0] * size[1] * size[2] * (a->c / V), {}, {} };
    p.c = gen_divisor_of(a->c / V, p.units);
    for (int i = 0; i < 3; i++)
        p.size[i] = gen_divisor_of(size[i], p.units);
    unsigned blocks = gen_blocks(p.units, THREADS);
    switch (a->kind) {
    case GEN_CUDA_AVG_POOL:
        return gen_launch(pool_kernel<T, V, GEN_CUDA_AVG_POOL>, blocks, THREADS, s, p);
    case GEN_CUDA_MAX_POOL:
        return gen_launch(pool_kernel<T, V, GEN_CUDA_MAX_POOL>, blocks, THREADS, s, p);
    case GEN_CUDA_AVG_POOL_DX:
        return gen_launch(pool_kernel<T, V, GEN_CUDA_AVG_POOL_DX>, blocks, THREADS, s, p);
    default:
        return gen_launch(pool_kernel<T, V, GEN_CUDA_MAX_POOL_DX>, blocks, THREADS, s, p);
    }
}

template <class T>
static cudaError_t launch_fitting(const gen_cuda_pool_args *a, cudaStream_t s)
{
    const int V = gen_wide<T>::N;
    bool fits = a->c % V == 0 && gen_aligned(a->out, 16) && (!a->in || gen_aligned(a->in, 16)) &&
                (!a->dy || gen_aligned(a->dy, 16));
    return fits ? launch<T, V>(a, s) : launch<T, 1>(a, s);
}

cudaError_t gen_cuda_pool(const gen_cuda_pool_args *a, cudaStream_t s)
{
    return a->bf16 ? launch_fitting<__nv_bfloat16>(a, s) : launch_fitting<float>(a, s);
}
