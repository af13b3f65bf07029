/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix products by cuBLASLt: found once, then queued.
 */
#ifndef LIBGEN_BACKENDS_CUDA_CUBLAS_H
#define LIBGEN_BACKENDS_CUDA_CUBLAS_H

#include "libgen/backends/cuda/cuda.h"

/* y [m,n] = a [m,k] b [k,n], batch times, all row-major and dense; transposed: stored [k,m], [n,k].
 * shared: one b for all. */
typedef struct gen_product {
    int64_t batch, m, n, k;
    bool transpose_a, transpose_b, shared;
    gen_dtype dtype; /* f32 or bf16; sums are f32 */
    bool tf32;       /* of f32: what is multiplied is rounded to TF32 */
} gen_product;

typedef struct gen_cublas gen_cublas;

/* EUNSUPPORTED: cuBLASLt has no kernel for it. */
gen_status gen_cublas_create(gen_cublas **out, const gen_cuda *c, const gen_product *p);
void gen_cublas_free(void *product);
uint64_t gen_cublas_workspace(const gen_cublas *g);
gen_status gen_cublas_run(const gen_cublas *g, const gen_cuda *c, const void *a, const void *b,
                          void *y, void *workspace);

/* gen_backend.peak (peak.c) */
gen_status gen_cuda_peak(gen_backend *b, gen_peak *out);

#endif
