/* SPDX-License-Identifier: Apache-2.0
 *
 * Launchers of kernels/elementwise.cu and kernels/cast.cu.
 */
#ifndef LIBGEN_BACKENDS_CUDA_KERNELS_ELEMENTWISE_H
#define LIBGEN_BACKENDS_CUDA_KERNELS_ELEMENTWISE_H

#include <stdbool.h>
#include <stdint.h>

#include <cuda_runtime_api.h>

#include "libgen/ops/elementwise.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { GEN_CUDA_MAP_INPUTS = 3 };

/* Behind the functions of one tensor: those of two, and two more. */
enum { GEN_CUDA_MAP_BINARY = GEN_UNARY_COUNT,
       GEN_CUDA_MAP_LERP = GEN_UNARY_COUNT + GEN_BINARY_COUNT,
       GEN_CUDA_MAP_COPY }; /* y = x0: a cast between f32 and bf16 */

/* y = f(x0, ...), y dense, x stretched by steps of 0: along the innermost axis a step is 0 or 1.
 * y may be x0 where x0 is dense. */
typedef struct gen_cuda_map_args {
    const void *x[GEN_CUDA_MAP_INPUTS];
    void *y;
    int inputs, op;
    float p, q;
    bool x_bf16[GEN_CUDA_MAP_INPUTS], y_bf16; /* else f32 */
    int rank;                                 /* at least 1 */
    int64_t dim[GEN_MAX_RANK];                /* of y */
    int64_t step[GEN_CUDA_MAP_INPUTS][GEN_MAX_RANK];
} gen_cuda_map_args;
cudaError_t gen_cuda_map(const gen_cuda_map_args *a, cudaStream_t s);

/* y[i] = x[i], rounded and clamped to the type of y. */
typedef struct gen_cuda_cast_args {
    const void *x;
    void *y;
    int64_t n;
    int from, to; /* gen_dtype */
} gen_cuda_cast_args;
cudaError_t gen_cuda_cast(const gen_cuda_cast_args *a, cudaStream_t s);

#ifdef __cplusplus
}
#endif
#endif
