/* SPDX-License-Identifier: Apache-2.0
 *
 * Training kernels: tables of libgen/backends/train.h, in device memory, to launchers.
 */
#include "libgen/backends/cuda/cuda.h"

#include "libgen/backends/cuda/kernels/train.h"

static gen_status add(gen_backend *b, const gen_adam_table *t)
{
    const gen_cuda_adam_args a = { .t = *t };
    GEN_CUDA(gen_cuda_adam_add(&a, gen_cuda_stream(b)));
    return GEN_OK;
}

static gen_status below(gen_backend *b, const gen_adam_table *t, float limit, int32_t *bad)
{
    const gen_cuda_adam_args a = { .t = *t, .limit = limit, .bad = bad };
    GEN_CUDA(gen_cuda_adam_below(&a, gen_cuda_stream(b)));
    return GEN_OK;
}

static gen_status step(gen_backend *b, const gen_adam_table *t, const gen_adam_step *k,
                       const int32_t *bad)
{
    const gen_cuda_adam_args a = { .t = *t, .k = k, .not_if = bad };
    GEN_CUDA(gen_cuda_adam_take(&a, gen_cuda_stream(b)));
    return GEN_OK;
}

static gen_status swap(gen_backend *b, const gen_adam_table *t)
{
    const gen_cuda_adam_args a = { .t = *t };
    GEN_CUDA(gen_cuda_adam_swap(&a, gen_cuda_stream(b)));
    return GEN_OK;
}

static gen_status join(gen_backend *b, const gen_state_table *t)
{
    const gen_cuda_states_args a = { .t = *t };
    GEN_CUDA(gen_cuda_states_join(&a, gen_cuda_stream(b)));
    return GEN_OK;
}

static gen_status look(gen_backend *b, const gen_state_table *t, int32_t *bad)
{
    const gen_cuda_states_args a = { .t = *t, .bad = bad };
    GEN_CUDA(gen_cuda_states_look(&a, gen_cuda_stream(b)));
    return GEN_OK;
}

static gen_status commit(gen_backend *b, const gen_state_table *t, const int32_t *bad)
{
    const gen_cuda_states_args a = { .t = *t, .not_if = bad };
    GEN_CUDA(gen_cuda_states_commit(&a, gen_cuda_stream(b)));
    return GEN_OK;
}

static gen_status finite(gen_backend *b, const float *x, int64_t n, int32_t *bad)
{
    const gen_cuda_finite_args a = { .x = x, .n = n, .bad = bad };
    GEN_CUDA(gen_cuda_finite(&a, gen_cuda_stream(b)));
    return GEN_OK;
}

const gen_train_kernels gen_cuda_train = { .add = add,
                                           .below = below,
                                           .step = step,
                                           .swap = swap,
                                           .join = join,
                                           .look = look,
                                           .commit = commit,
                                           .finite = finite };
