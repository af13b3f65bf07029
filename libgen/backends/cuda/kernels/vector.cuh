/* SPDX-License-Identifier: Apache-2.0
 *
 * Several neighbouring elements in one access of up to 16 bytes.
 */
#ifndef LIBGEN_BACKENDS_CUDA_KERNELS_VECTOR_CUH
#define LIBGEN_BACKENDS_CUDA_KERNELS_VECTOR_CUH

#include <string.h>

#include "libgen/backends/cuda/kernels/launch.cuh"

/* What is moved by one access: gen_raw<bytes>::type. */
template <int BYTES> struct gen_raw;
template <> struct gen_raw<1> { typedef uint8_t type; };
template <> struct gen_raw<2> { typedef uint16_t type; };
template <> struct gen_raw<4> { typedef uint32_t type; };
template <> struct gen_raw<8> { typedef uint2 type; };
template <> struct gen_raw<16> { typedef uint4 type; };

/* Elements of 16 bytes. */
template <class T> struct gen_wide { enum { N = 16 / sizeof(T) }; };

/* V elements from p, at a multiple of their size together. */
template <int V, class T>
static __device__ __forceinline__ void gen_load_vector(const T *p, float out[V])
{
    T x[V];
    typename gen_raw<sizeof x>::type bits;
    bits = *reinterpret_cast<const typename gen_raw<sizeof x>::type *>(p);
    memcpy(static_cast<void *>(x), &bits, sizeof x);
#pragma unroll
    for (int i = 0; i < V; i++)
        out[i] = gen_load(x + i);
}

template <int V, class T>
static __device__ __forceinline__ void gen_store_vector(T *p, const float in[V])
{
    T x[V];
    typename gen_raw<sizeof x>::type bits;
#pragma unroll
    for (int i = 0; i < V; i++)
        gen_store(x + i, in[i]);
    memcpy(&bits, x, sizeof x);
    *reinterpret_cast<typename gen_raw<sizeof x>::type *>(p) = bits;
}

/* Host: p is a multiple of `width` bytes. */
static inline bool gen_aligned(const void *p, int64_t width)
{
    return reinterpret_cast<uintptr_t>(p) % static_cast<uintptr_t>(width) == 0;
}

#endif
