/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows and windows at places that are read on the device. No place is trusted: one outside is no
 * row, or is clamped. The adjoint of gather looks, for each element of the result, for the rows
 * that name it, and adds them in their order: no two threads write one place.
 */
#include "libgen/backends/cuda/kernels/indexed.h"

#include "libgen/backends/cuda/kernels/index.cuh"
#include "libgen/backends/cuda/kernels/vector.cuh"

enum { THREADS = 256, UNITS = 4 };

static __device__ __forceinline__ int64_t index_at(const void *index, bool index64, int64_t i)
{
    return index64 ? static_cast<const int64_t *>(index)[i]
                   : static_cast<const int32_t *>(index)[i];
}

/* How many elements, a power of two, of rows of `row` are moved at a time. */
static int64_t unit_of(const void *x, const void *y, int64_t row, int64_t size)
{
    int64_t n = 16 / size;
    while (n > 1 && (row % n || !gen_aligned(x, n * size) || !gen_aligned(y, n * size)))
        n /= 2;
    return n;
}

/* ---- gather ---------------------------------------------------------------------------------- */

/* In units: inner and all that follows. */
typedef struct gather {
    gen_cuda_gather_args a;
    int64_t units; /* of the result */
    gen_divisor inner, rows;
} gather;

template <class U>
static __global__ void gather_kernel(const gather g)
{
    int64_t first = static_cast<int64_t>(blockIdx.x) * (THREADS * UNITS) + threadIdx.x;
    U x[UNITS];
#pragma unroll
    for (int u = 0; u < UNITS; u++) {
        int64_t outer = first + u * THREADS;
        x[u] = U();
        if (outer >= g.units)
            continue;
        int64_t i = gen_split(&outer, g.inner), row = gen_split(&outer, g.rows);
        int64_t from = index_at(g.a.index, g.a.index64, row);
        if (from >= 0 && from < g.a.dim)
            x[u] = static_cast<const U *>(g.a.x)[(outer * g.a.dim + from) * g.a.inner + i];
    }
#pragma unroll
    for (int u = 0; u < UNITS; u++)
        if (first + u * THREADS < g.units)
            static_cast<U *>(g.a.y)[first + u * THREADS] = x[u];
}

static gather gather_in_units(const gen_cuda_gather_args *a, int64_t n, int64_t rows)
{
    gather g = { *a, 0, {}, {} };
    g.a.inner /= n;
    g.units = a->outer * rows * g.a.inner;
    g.inner = gen_divisor_of(g.a.inner, g.units);
    g.rows = gen_divisor_of(rows, g.units);
    return g;
}

cudaError_t gen_cuda_gather(const gen_cuda_gather_args *a, cudaStream_t s)
{
    int64_t n = unit_of(a->x, a->y, a->inner, a->size);
    gather g = gather_in_units(a, n, a->rows);
    unsigned blocks = gen_blocks(g.units, THREADS * UNITS);
    switch (n * a->size) {
    case 1: return gen_launch(gather_kernel<gen_raw<1>::type>, blocks, THREADS, s, g);
    case 2: return gen_launch(gather_kernel<gen_raw<2>::type>, blocks, THREADS, s, g);
    case 4: return gen_launch(gather_kernel<gen_raw<4>::type>, blocks, THREADS, s, g);
    case 8: return gen_launch(gather_kernel<gen_raw<8>::type>, blocks, THREADS, s, g);
    default: return gen_launch(gather_kernel<gen_raw<16>::type>, blocks, THREADS, s, g);
    }
}

/* ---- its adjoint ----------------------------------------------------------------------------- */

template <class T, int V>
static __global__ void gather_dx_kernel(const gather g)
{
    int64_t unit = static_cast<int64_t>(blockIdx.x) * THREADS + threadIdx.x, outer = unit;
    float sum[V] = {}, x[V];
    if (unit >= g.units)
        return;
    int64_t i = gen_split(&outer, g.inner), row = gen_split(&outer, g.rows);
    const T *from = static_cast<const T *>(g.a.x) + (outer * g.a.rows * g.a.inner + i) * V;
    for (int64_t r = 0; r < g.a.rows; r++) {
        if (index_at(g.a.index, g.a.index64, r) != row)
            continue;
        gen_load_vector<V>(from + r * g.a.inner * V, x);
#pragma unroll
        for (int k = 0; k < V; k++)
            sum[k] += x[k];
    }
    gen_store_vector<V>(static_cast<T *>(g.a.y) + unit * V, sum);
}

template <class T>
static cudaError_t launch_gather_dx(const gen_cuda_gather_args *a, cudaStream_t s)
{
    const int V = gen_wide<T>::N;
    bool wide = unit_of(a->x, a->y, a->inner, a->size) == V;
    gather g = gather_in_units(a, wide ? V : 1, a->dim);
    unsigned blocks = gen_blocks(g.units, THREADS);
    if (wide)
        return gen_launch(gather_dx_kernel<T, V>, blocks, THREADS, s, g);
    return gen_launch(gather_dx_kernel<T, 1>, blocks, THREADS, s, g);
}

cudaError_t gen_cuda_gather_dx(const gen_cuda_gather_args *a, cudaStream_t s)
{
    return a->size == 2 ? launch_gather_dx<__nv_bfloat16>(a, s) : launch_gather_dx<float>(a, s);
}

/* ---- crop ------------------------------------------------------------------------------------ */

typedef struct crop {
    gen_cuda_crop_args a; /* c in units */
    int64_t units;        /* of the result */
    gen_divisor c, width, height; /* of the result */
} crop;

static __device__ __forceinline__ int64_t clamped(int64_t at, int64_t room)
{
    return at < 0 ? 0 : at < room ? at : room;
}

template <class U>
static __global__ void crop_kernel(const crop k)
{
    const gen_cuda_crop_args &a = k.a;
    int64_t first = static_cast<int64_t>(blockIdx.x) * (THREADS * UNITS) + threadIdx.x;
    U x[UNITS];
#pragma unroll
    for (int u = 0; u < UNITS; u++) {
        int64_t image = first + u * THREADS;
        x[u] = U();
        if (image >= k.units)
            continue;
        int64_t c = gen_split(&image, k.c), column = gen_split(&image, k.width);
        int64_t row = gen_split(&image, k.height), pair = a.per_image ? 2 * image : 0;
        int64_t top = clamped(index_at(a.index, a.index64, pair), a.height - a.h);
        int64_t left = clamped(index_at(a.index, a.index64, pair + 1), a.width - a.w);
        if (!a.back)
            x[u] = static_cast<const U *>(
                a.x)[((image * a.height + top + row) * a.width + left + column) * a.c + c];
        row -= top;
        column -= left;
        if (a.back && row >= 0 && row < a.h && column >= 0 && column < a.w)
            x[u] = static_cast<const U *>(
                a.x)[((image * a.h + row) * a.w + column) * a.c + c];
    }
#pragma unroll
    for (int u = 0; u < UNITS; u++)
        if (first + u * THREADS < k.units)
            static_cast<U *>(a.y)[first + u * THREADS] = x[u];
}

cudaError_t gen_cuda_crop(const gen_cuda_crop_args *a, cudaStream_t s)
{
    int64_t n = unit_of(a->x, a->y, a->c, a->size);
    int64_t rows = a->back ? a->height : a->h, columns = a->back ? a->width : a->w;
    crop k = { *a, a->images * rows * columns * (a->c / n), {}, {}, {} };
    k.a.c /= n;
    k.c = gen_divisor_of(k.a.c, k.units);
    k.width = gen_divisor_of(columns, k.units);
    k.height = gen_divisor_of(rows, k.units);
    unsigned blocks = gen_blocks(k.units, THREADS * UNITS);
    switch (n * a->size) {
    case 1: return gen_launch(crop_kernel<gen_raw<1>::type>, blocks, THREADS, s, k);
    case 2: return gen_launch(crop_kernel<gen_raw<2>::type>, blocks, THREADS, s, k);
    case 4: return gen_launch(crop_kernel<gen_raw<4>::type>, blocks, THREADS, s, k);
    case 8: return gen_launch(crop_kernel<gen_raw<8>::type>, blocks, THREADS, s, k);
    default: return gen_launch(crop_kernel<gen_raw<16>::type>, blocks, THREADS, s, k);
    }
}
