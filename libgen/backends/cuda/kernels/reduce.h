/* SPDX-License-Identifier: Apache-2.0
 *
 * Launcher of kernels/reduce.cu.
 */
#ifndef LIBGEN_BACKENDS_CUDA_KERNELS_REDUCE_H
#define LIBGEN_BACKENDS_CUDA_KERNELS_REDUCE_H

#include <cuda_runtime_api.h>

#include <libgen/tensor.h>

#include "libgen/backends/cuda/kernels/sums.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Some axes of x, outermost first. */
typedef struct gen_cuda_axes {
    int rank;
    int64_t dim[GEN_MAX_RANK], step[GEN_MAX_RANK], count;
} gen_cuda_axes;

/* Row r of a sum is at reduced[r / depth] + r % depth * step. */
typedef struct gen_cuda_reduce_args {
    gen_cuda_sums sums;
    const void *x;
    void *y;
    gen_cuda_axes kept, reduced;
    int64_t depth, step;
    double divisor;
    int v;          /* elements that a thread reads at once: 1, or 16 bytes */
    bool bf16, top, wide; /* top: the largest, not the sum */
} gen_cuda_reduce_args;
cudaError_t gen_cuda_reduce(const gen_cuda_reduce_args *a, cudaStream_t s);

#ifdef __cplusplus
}
#endif
#endif
