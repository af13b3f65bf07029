/* SPDX-License-Identifier: Apache-2.0
 *
 * Launchers of kernels/indexed.cu.
 */
#ifndef LIBGEN_BACKENDS_CUDA_KERNELS_INDEXED_H
#define LIBGEN_BACKENDS_CUDA_KERNELS_INDEXED_H

#include <stdbool.h>
#include <stdint.h>

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

/* y [outer, rows, inner] = rows of x [outer, dim, inner] by index [rows], 0 where there is none. */
typedef struct gen_cuda_gather_args {
    const void *x, *index;
    void *y;
    int64_t outer, dim, rows, inner;
    int64_t size; /* bytes of an element */
    bool index64; /* i64, else i32 */
} gen_cuda_gather_args;
cudaError_t gen_cuda_gather(const gen_cuda_gather_args *a, cudaStream_t s);

/* The adjoint: y [outer, dim, inner] = sums of the rows of x [outer, rows, inner]. f32 or bf16. */
cudaError_t gen_cuda_gather_dx(const gen_cuda_gather_args *a, cudaStream_t s);

/* Windows [images, h, w, c] of images [images, height, width, c], at `index`, pairs of (row,
 * column) that are clamped; with `back` from windows into images of zeros. */
typedef struct gen_cuda_crop_args {
    const void *x, *index;
    void *y;
    int64_t images, height, width, h, w, c;
    int64_t size;
    bool index64, per_image, back; /* per_image: a pair an image, else one for all */
} gen_cuda_crop_args;
cudaError_t gen_cuda_crop(const gen_cuda_crop_args *a, cudaStream_t s);

#ifdef __cplusplus
}
#endif
#endif
