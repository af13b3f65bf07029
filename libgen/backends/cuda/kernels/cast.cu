/* SPDX-License-Identifier: Apache-2.0
 *
 * cast between any two types, through double, as gen_convert does it. f32 and bf16 have a faster
 * way in elementwise.cu.
 */
#include "libgen/backends/cuda/kernels/elementwise.h"

#include <cuda_fp16.h>

#include "libgen/backends/cuda/kernels/launch.cuh"

enum { THREADS = 256, UNITS = 4 };

static __device__ __forceinline__ double load(const void *p, int type, int64_t i)
{
    switch (type) {
    case GEN_F32: return static_cast<const float *>(p)[i];
    case GEN_F64: return static_cast<const double *>(p)[i];
    case GEN_BF16: return gen_load(static_cast<const __nv_bfloat16 *>(p) + i);
    case GEN_F16: return __half2float(static_cast<const __half *>(p)[i]);
    case GEN_I32: return static_cast<const int32_t *>(p)[i];
    case GEN_I64: return static_cast<double>(static_cast<const int64_t *>(p)[i]);
    default: return static_cast<const uint8_t *>(p)[i];
    }
}

/* To the nearest, of two the even one; NaN becomes 0. */
static __device__ __forceinline__ double whole(double v, double lo, double hi)
{
    if (v != v)
        return 0;
    v = rint(v);
    return v < lo ? lo : v > hi ? hi : v;
}

static __device__ __forceinline__ void store(void *p, int type, int64_t i, double v)
{
    switch (type) {
    case GEN_F32: static_cast<float *>(p)[i] = static_cast<float>(v); break;
    case GEN_F64: static_cast<double *>(p)[i] = v; break;
    case GEN_BF16:
        gen_store(static_cast<__nv_bfloat16 *>(p) + i, static_cast<float>(v));
        break;
    case GEN_F16: static_cast<__half *>(p)[i] = __float2half(static_cast<float>(v)); break;
    case GEN_I32:
        static_cast<int32_t *>(p)[i] = static_cast<int32_t>(whole(v, INT32_MIN, INT32_MAX));
        break;
    case GEN_I64: /* the largest double below 2^63 */
        static_cast<int64_t *>(p)[i] =
            static_cast<int64_t>(whole(v, -9223372036854775808.0, 9223372036854774784.0));
        break;
    default: static_cast<uint8_t *>(p)[i] = static_cast<uint8_t>(whole(v, 0, 255));
    }
}

static __global__ void cast_kernel(const gen_cuda_cast_args a)
{
    int64_t first = static_cast<int64_t>(blockIdx.x) * (THREADS * UNITS) + threadIdx.x;
    double v[UNITS];
#pragma unroll
    for (int u = 0; u < UNITS; u++)
        v[u] = first + u * THREADS < a.n ? load(a.x, a.from, first + u * THREADS) : 0;
#pragma unroll
    for (int u = 0; u < UNITS; u++)
        if (first + u * THREADS < a.n)
            store(a.y, a.to, first + u * THREADS, v[u]);
}

cudaError_t gen_cuda_cast(const gen_cuda_cast_args *a, cudaStream_t s)
{
    return gen_launch(cast_kernel, gen_blocks(a->n, THREADS * UNITS), THREADS, s, *a);
}
