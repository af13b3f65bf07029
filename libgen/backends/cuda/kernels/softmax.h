/* SPDX-License-Identifier: Apache-2.0
 *
 * Launcher of kernels/softmax.cu.
 */
#ifndef LIBGEN_BACKENDS_CUDA_KERNELS_SOFTMAX_H
#define LIBGEN_BACKENDS_CUDA_KERNELS_SOFTMAX_H

#include <cuda_runtime_api.h>

#include "libgen/backends/cuda/kernels/sums.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Softmax of each line: a result of the cut, whose rows are the line's elements or `v` of them. */
typedef struct gen_cuda_softmax_args {
    gen_cuda_cut cut;
    const void *x;
    void *y;
    int64_t size; /* of a line */
    int v;
    bool bf16, wide;
} gen_cuda_softmax_args;
cudaError_t gen_cuda_softmax(const gen_cuda_softmax_args *a, cudaStream_t s);

#ifdef __cplusplus
}
#endif
#endif
