/* SPDX-License-Identifier: Apache-2.0
 *
 * How kernels are launched. A kernel takes one struct by value, so that one function launches them
 * all, on a device or, in tests, on the emulator of tests/cuda.
 */
#ifndef LIBGEN_BACKENDS_CUDA_KERNELS_LAUNCH_CUH
#define LIBGEN_BACKENDS_CUDA_KERNELS_LAUNCH_CUH

#include <stdint.h>

#ifdef GEN_EMULATED
#include "tests/cuda/emulate.h"
#else
#include <cuda_bf16.h>
#include <cuda_runtime.h>

template <class Args>
static cudaError_t gen_launch(void (*kernel)(const Args), dim3 grid, dim3 block, cudaStream_t s,
                              const Args &args)
{
    void *list[] = { const_cast<Args *>(&args) };
    return cudaLaunchKernel(reinterpret_cast<const void *>(kernel), grid, block, list, 0, s);
}
#endif

/* Storage is read as float and rounded when it is written. */
static __device__ __forceinline__ float gen_load(const float *p) { return *p; }
static __device__ __forceinline__ float gen_load(const __nv_bfloat16 *p)
{
    return __bfloat162float(*p);
}
static __device__ __forceinline__ void gen_store(float *p, float v) { *p = v; }
static __device__ __forceinline__ void gen_store(__nv_bfloat16 *p, float v)
{
    *p = __float2bfloat16(v);
}

/* Blocks for n elements, one a thread. */
static inline unsigned gen_blocks(int64_t n, int threads)
{
    return static_cast<unsigned>((n + threads - 1) / threads);
}

#endif
