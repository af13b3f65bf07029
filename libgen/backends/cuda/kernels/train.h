/* SPDX-License-Identifier: Apache-2.0
 *
 * Launchers of kernels/train.cu: one launch for all parameters, or all states, of a phase. What
 * they do is said in libgen/backends/train.h.
 */
#ifndef LIBGEN_BACKENDS_CUDA_KERNELS_TRAIN_H
#define LIBGEN_BACKENDS_CUDA_KERNELS_TRAIN_H

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "libgen/backends/train.h"

typedef struct gen_cuda_adam_args {
    gen_adam_table t;
    const gen_adam_step *k;  /* step */
    const int32_t *not_if;   /* step; may be NULL */
    int32_t *bad;            /* below */
    float limit;
} gen_cuda_adam_args;
cudaError_t gen_cuda_adam_add(const gen_cuda_adam_args *a, cudaStream_t s);
cudaError_t gen_cuda_adam_below(const gen_cuda_adam_args *a, cudaStream_t s);
cudaError_t gen_cuda_adam_take(const gen_cuda_adam_args *a, cudaStream_t s);
cudaError_t gen_cuda_adam_swap(const gen_cuda_adam_args *a, cudaStream_t s);

typedef struct gen_cuda_states_args {
    gen_state_table t;
    const int32_t *not_if; /* commit; may be NULL */
    int32_t *bad;          /* look */
} gen_cuda_states_args;
cudaError_t gen_cuda_states_join(const gen_cuda_states_args *a, cudaStream_t s);
cudaError_t gen_cuda_states_look(const gen_cuda_states_args *a, cudaStream_t s);
cudaError_t gen_cuda_states_commit(const gen_cuda_states_args *a, cudaStream_t s);

typedef struct gen_cuda_finite_args {
    const float *x;
    int64_t n;
    int32_t *bad;
} gen_cuda_finite_args;
cudaError_t gen_cuda_finite(const gen_cuda_finite_args *a, cudaStream_t s);

#ifdef __cplusplus
}
#endif
#endif
