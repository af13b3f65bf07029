/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernels of the emulator's own test, in the form that the kernels of the backend have; nvcc
 * compiles them too.
 */
#include "tests/cuda/selftest.h"

#include "libgen/backends/cuda/kernels/launch.cuh"

enum { THREADS = 256, TILE = 32, ROWS = 8 };
#define ALL_LANES 0xffffffffu

static __device__ __forceinline__ float warp_sum(float v)
{
#pragma unroll
    for (int step = 16; step > 0; step /= 2)
        v += __shfl_xor_sync(ALL_LANES, v, step);
    return v;
}

static __global__ void __launch_bounds__(THREADS) sum_kernel(const selftest_args a)
{
    __shared__ float part[THREADS / 32];
    int64_t i = static_cast<int64_t>(blockIdx.x) * THREADS + threadIdx.x;
    float v = warp_sum(i < a.n ? static_cast<const float *>(a.x)[i] : 0);
    if (threadIdx.x % 32 == 0)
        part[threadIdx.x / 32] = v;
    __syncthreads();
    if (threadIdx.x < 32) {
        v = threadIdx.x < THREADS / 32 ? part[threadIdx.x] : 0;
        for (int step = 16; step > 0; step /= 2)
            v += __shfl_down_sync(ALL_LANES, v, static_cast<unsigned>(step));
        if (threadIdx.x == 0)
            static_cast<float *>(a.y)[blockIdx.x] = v;
    }
}

template <bool WAIT> static __global__ void transpose_kernel(const selftest_args a)
{
    __shared__ float tile[TILE][TILE + 1];
    int lane = static_cast<int>(threadIdx.x % TILE), row = static_cast<int>(threadIdx.x / TILE);
    int col0 = static_cast<int>(blockIdx.x) * TILE, row0 = static_cast<int>(blockIdx.y) * TILE;
    for (int r = row; r < TILE; r += ROWS)
        if (row0 + r < a.rows && col0 + lane < a.cols)
            tile[r][lane] = static_cast<const float *>(
                a.x)[static_cast<int64_t>(row0 + r) * a.cols + col0 + lane];
    if (WAIT)
        __syncthreads();
    for (int r = row; r < TILE; r += ROWS)
        if (col0 + r < a.cols && row0 + lane < a.rows)
            static_cast<float *>(a.y)[static_cast<int64_t>(col0 + r) * a.rows + row0 + lane] =
                tile[lane][r];
}

template <class T> static __global__ void affine_kernel(const selftest_args a)
{
    int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i < a.n + a.rows)
        gen_store(static_cast<T *>(a.y) + i,
                  2 * gen_load(static_cast<const T *>(a.x) + (i < a.n ? i : 0)) + 1);
}

static __global__ void votes_kernel(const selftest_args a)
{
    int lane = static_cast<int>(threadIdx.x);
    int *y = static_cast<int *>(a.y) + 5 * lane;
    y[0] = static_cast<int>(__ballot_sync(ALL_LANES, lane % 2));
    y[1] = __any_sync(ALL_LANES, lane == 7);
    y[2] = __all_sync(ALL_LANES, lane != 7);
    y[3] = __shfl_up_sync(ALL_LANES, lane * 10, 1);
    y[4] = static_cast<int>(__shfl_sync(ALL_LANES, static_cast<double>(lane) / 2, 3) * 2);
}

static __global__ void count_kernel(const selftest_args a)
{
    if (static_cast<int64_t>(blockIdx.x) * THREADS + threadIdx.x < a.n)
        atomicAdd(static_cast<int *>(a.y), 1);
}

static __global__ void diverging_kernel(const selftest_args a)
{
    if (threadIdx.x >= 100)
        return;
    __syncthreads();
    static_cast<float *>(a.y)[threadIdx.x] = 1;
}

static __global__ void lanes_kernel(const selftest_args a)
{
    if (threadIdx.x < 20)
        static_cast<float *>(a.y)[threadIdx.x] = __shfl_xor_sync(ALL_LANES, 1.0f, 1);
}

static __global__ void unwritten_kernel(const selftest_args a)
{
    __shared__ float some[64];
    if (threadIdx.x < 32) /* in the other half is what nobody wrote, in each block */
        some[threadIdx.x] = 1;
    __syncthreads();
    static_cast<float *>(a.y)[blockIdx.x * 64 + threadIdx.x] = some[threadIdx.x];
    __syncthreads();
    some[threadIdx.x] = 2;
}

static unsigned tiles(int n)
{
    return static_cast<unsigned>((n + TILE - 1) / TILE);
}

cudaError_t selftest_sum(const selftest_args *a, cudaStream_t s)
{
    return gen_launch(sum_kernel, gen_blocks(a->n, THREADS), THREADS, s, *a);
}

cudaError_t selftest_transpose(const selftest_args *a, cudaStream_t s)
{
    return gen_launch(transpose_kernel<true>, dim3(tiles(a->cols), tiles(a->rows)), TILE * ROWS, s,
                      *a);
}

cudaError_t selftest_transpose_racing(const selftest_args *a, cudaStream_t s)
{
    return gen_launch(transpose_kernel<false>, dim3(tiles(a->cols), tiles(a->rows)), TILE * ROWS,
                      s, *a);
}

cudaError_t selftest_bf16(const selftest_args *a, cudaStream_t s)
{
    return gen_launch(affine_kernel<__nv_bfloat16>, gen_blocks(a->n, THREADS), THREADS, s, *a);
}

cudaError_t selftest_affine(const selftest_args *a, cudaStream_t s)
{
    return gen_launch(affine_kernel<float>, gen_blocks(a->n + a->rows, THREADS), THREADS, s, *a);
}

cudaError_t selftest_votes(const selftest_args *a, cudaStream_t s)
{
    return gen_launch(votes_kernel, 1, 32, s, *a);
}

cudaError_t selftest_count(const selftest_args *a, cudaStream_t s)
{
    return gen_launch(count_kernel, gen_blocks(a->n, THREADS), THREADS, s, *a);
}

cudaError_t selftest_diverging(const selftest_args *a, cudaStream_t s)
{
    return gen_launch(diverging_kernel, 3, 128, s, *a);
}

cudaError_t selftest_lanes(const selftest_args *a, cudaStream_t s)
{
    return gen_launch(lanes_kernel, 1, 32, s, *a);
}

cudaError_t selftest_unwritten(const selftest_args *a, cudaStream_t s)
{
    return gen_launch(unwritten_kernel, 4, 64, s, *a);
}

cudaError_t selftest_block(const selftest_args *a, cudaStream_t s)
{
    return gen_launch(affine_kernel<float>, 1, static_cast<unsigned>(a->rows), s, *a);
}
