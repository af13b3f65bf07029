/* SPDX-License-Identifier: Apache-2.0
 *
 * Launchers of kernels/norm.cu. Tensors are [kept][rows][columns]: groups or images, cells,
 * channels.
 */
#ifndef LIBGEN_BACKENDS_CUDA_KERNELS_NORM_H
#define LIBGEN_BACKENDS_CUDA_KERNELS_NORM_H

#include <cuda_runtime_api.h>

#include "libgen/backends/cuda/kernels/sums.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y = act(x * a + b); a and b may be NULL. */
typedef struct gen_cuda_scale_shift_args {
    gen_cuda_cut cut;
    const void *x, *a, *b;
    void *y;
    int64_t a_step, b_step; /* from one kept index to the next: columns, or 0 */
    float slope;
    int act; /* gen_act */
    int v;   /* elements of a thread: 1, or 16 bytes */
    bool has_scale, has_shift, bf16, a_bf16, b_bf16, wide;
} gen_cuda_scale_shift_args;
cudaError_t gen_cuda_scale_shift(const gen_cuda_scale_shift_args *a, cudaStream_t s);

/* batch_norm (dy NULL) and batch_norm_dx: sums, then rows of what each channel needs, then an
 * affine map. */
typedef struct gen_cuda_norm_args {
    gen_cuda_sums sums;
    gen_cuda_cut map;
    const void *x, *dy;
    void *y;
    const float *mean, *var; /* [kept][columns]; of batch_norm_dx */
    float *mean_out, *var_out; /* of batch_norm; may be NULL */
    float *row;              /* [kept][3][columns] */
    double eps;
    int v;
    bool bf16, wide;
} gen_cuda_norm_args;
cudaError_t gen_cuda_batch_norm(const gen_cuda_norm_args *a, cudaStream_t s);
cudaError_t gen_cuda_batch_norm_dx(const gen_cuda_norm_args *a, cudaStream_t s);

/* y = x over its length, of a short vector: one block. */
typedef struct gen_cuda_unit_args {
    const void *x;
    void *y; /* may be x */
    int64_t n;
    double eps;
    bool at_least; /* x / max(|x|, eps), else x / sqrt(|x|^2 + eps) */
    bool bf16;
} gen_cuda_unit_args;
cudaError_t gen_cuda_unit(const gen_cuda_unit_args *a, cudaStream_t s);

#ifdef __cplusplus
}
#endif
#endif
