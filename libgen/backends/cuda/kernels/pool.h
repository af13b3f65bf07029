/* SPDX-License-Identifier: Apache-2.0
 *
 * Launcher of kernels/pool.cu.
 */
#ifndef LIBGEN_BACKENDS_CUDA_KERNELS_POOL_H
#define LIBGEN_BACKENDS_CUDA_KERNELS_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { GEN_CUDA_AVG_POOL, GEN_CUDA_MAX_POOL, GEN_CUDA_AVG_POOL_DX, GEN_CUDA_MAX_POOL_DX };

/* Pools of x [n, x, c] to y [n, y, c], axes (D,H,W), and their adjoints. Forward: in -> out;
 * adjoint: dy -> out, and the maximum's reads in. All of one storage type. */
typedef struct gen_cuda_pool_args {
    const void *in, *dy;
    void *out;
    int kind;
    bool bf16, exclude_pad;
    int64_t n, c;
    int x[3], y[3], kernel[3], stride[3], pad[3];
} gen_cuda_pool_args;
cudaError_t gen_cuda_pool(const gen_cuda_pool_args *a, cudaStream_t s);

#ifdef __cplusplus
}
#endif
#endif
