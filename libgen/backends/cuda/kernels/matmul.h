/* SPDX-License-Identifier: Apache-2.0
 *
 * Launchers of kernels/matmul.cu.
 */
#ifndef LIBGEN_BACKENDS_CUDA_KERNELS_MATMUL_H
#define LIBGEN_BACKENDS_CUDA_KERNELS_MATMUL_H

#include <cuda_runtime_api.h>

#include "libgen/backends/cuda/kernels/sums.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y = matrix . vector, where the cut is `inner` (rows of the matrix lie there); else y = vector .
 * matrix. */
typedef struct gen_cuda_matvec_args {
    gen_cuda_sums sums;
    const void *matrix, *vector;
    void *y;
    int64_t k; /* length of the sums */
    int v;     /* elements that a thread reads at once */
    bool bf16, wide;
} gen_cuda_matvec_args;
cudaError_t gen_cuda_matvec(const gen_cuda_matvec_args *a, cudaStream_t s);

/* y [m,n] = a [m,k] b [k,n], batch times. Steps are elements: along rows, along columns. */
typedef struct gen_cuda_matmul_args {
    const void *a, *b;
    void *y;
    int64_t batch, m, n, k;
    int64_t a_batch, b_batch, a_step[2], b_step[2];
    bool bf16;
} gen_cuda_matmul_args;
cudaError_t gen_cuda_matmul(const gen_cuda_matmul_args *a, cudaStream_t s);

#ifdef __cplusplus
}
#endif
#endif
