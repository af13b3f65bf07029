/* SPDX-License-Identifier: Apache-2.0
 *
 * Functions of one tensor, element by element.
 */
#include "libgen/backends/cuda/kernels/elementwise.h"

#include "libgen/backends/cuda/kernels/launch.cuh"

extern "C" {
#include "libgen/ops/elementwise.h"
}

enum { THREADS = 256 };

static __device__ __forceinline__ float unary(int op, float x, float p, float q)
{
    switch (op) {
    case GEN_UNARY_RELU: return x > 0 ? x : 0;
    case GEN_UNARY_LEAKY_RELU: return x > 0 ? x : p * x;
    case GEN_UNARY_SIGMOID: return 1 / (1 + expf(-x));
    case GEN_UNARY_TANH: return tanhf(x);
    case GEN_UNARY_EXP: return expf(x);
    case GEN_UNARY_LOG: return logf(x);
    case GEN_UNARY_SQRT: return sqrtf(x);
    case GEN_UNARY_RSQRT: return 1 / sqrtf(x);
    case GEN_UNARY_RECIPROCAL: return 1 / x;
    case GEN_UNARY_SQUARE: return x * x;
    case GEN_UNARY_ABS: return fabsf(x);
    case GEN_UNARY_SOFTPLUS: return (x > 0 ? x : 0) + log1pf(expf(-fabsf(x)));
    case GEN_UNARY_AFFINE: return p * x + q;
    default: return x < p ? p : x > q ? q : x; /* GEN_UNARY_CLAMP */
    }
}

template <class T>
static __global__ void unary_kernel(const gen_cuda_unary_args a)
{
    int64_t i = static_cast<int64_t>(blockIdx.x) * THREADS + threadIdx.x;
    if (i < a.n)
        gen_store(static_cast<T *>(a.y) + i,
                  unary(a.op, gen_load(static_cast<const T *>(a.x) + i), a.p, a.q));
}

cudaError_t gen_cuda_unary(const gen_cuda_unary_args *a, cudaStream_t s)
{
    unsigned blocks = gen_blocks(a->n, THREADS);
    if (a->bf16)
        return gen_launch(unary_kernel<__nv_bfloat16>, blocks, THREADS, s, *a);
    return gen_launch(unary_kernel<float>, blocks, THREADS, s, *a);
}
