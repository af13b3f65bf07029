/* SPDX-License-Identifier: Apache-2.0
 *
 * Launchers of kernels/elementwise.cu.
 */
#ifndef LIBGEN_BACKENDS_CUDA_KERNELS_ELEMENTWISE_H
#define LIBGEN_BACKENDS_CUDA_KERNELS_ELEMENTWISE_H

#include <stdbool.h>
#include <stdint.h>

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

/* y[i] = f(x[i]); both of one storage type. */
typedef struct gen_cuda_unary_args {
    const void *x;
    void *y;
    int64_t n;
    float p, q;
    int op;    /* gen_unary */
    bool bf16; /* else f32 */
} gen_cuda_unary_args;
cudaError_t gen_cuda_unary(const gen_cuda_unary_args *a, cudaStream_t s);

#ifdef __cplusplus
}
#endif
#endif
