/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums of gradients, Adam, states. A block has a piece of a parameter, or a state. The order of
 * operations is that of the CPU's loops and none are contracted (cuda.mk): a step is the same bits.
 */
#define GEN_TRAIN_INLINE static __device__ __forceinline__
#include "libgen/backends/cuda/kernels/launch.cuh"

#include "libgen/backends/cuda/kernels/train.h"

enum { THREADS = 256 };

/* ---- Adam ------------------------------------------------------------------------------------ */

static __global__ void add_kernel(const gen_cuda_adam_args a)
{
    const gen_adam_piece p = a.t.piece[blockIdx.x];
    const float *gradient = a.t.slot[p.slot].gradient;
    float *sum = a.t.slot[p.slot].sum;
    for (int64_t i = p.at + threadIdx.x; gradient && i < p.at + p.n; i += THREADS)
        sum[i] += gradient[i];
}

static __global__ void below_kernel(const gen_cuda_adam_args a)
{
    const gen_adam_piece p = a.t.piece[blockIdx.x];
    const float *sum = a.t.slot[p.slot].sum;
    bool bad = false;
    for (int64_t i = p.at + threadIdx.x; i < p.at + p.n; i += THREADS)
        bad |= !(fabsf(sum[i]) < a.limit);
    if (bad)
        *a.bad = 1;
}

static __device__ __forceinline__ void take(const gen_adam_arrays &s, int64_t i,
                                            const gen_adam_step &k)
{
    float w = s.w[i], g = s.sum[i] / k.count;
    s.sum[i] = 0;
    if (k.weight_decay != 0)
        g += k.weight_decay * w;
    float m = g;
    if (s.m)
        s.m[i] = m = s.m[i] + k.first * (g - s.m[i]);
    float v = s.v[i] * k.beta2 + k.second * (g * g);
    s.v[i] = v;
    w -= k.rate * (m / (sqrtf(v) / k.root + k.eps));
    s.w[i] = w;
    if (s.average)
        s.average[i] += k.follow * (w - s.average[i]);
    if (s.bf16)
        gen_store(reinterpret_cast<__nv_bfloat16 *>(s.bf16) + i, w);
}

static __global__ void take_kernel(const gen_cuda_adam_args a)
{
    if (a.not_if && *a.not_if)
        return;
    const gen_adam_piece p = a.t.piece[blockIdx.x];
    const gen_adam_arrays s = a.t.slot[p.slot];
    const gen_adam_step k = *a.k;
    for (int64_t i = p.at + threadIdx.x; i < p.at + p.n; i += THREADS)
        take(s, i, k);
}

static __global__ void swap_kernel(const gen_cuda_adam_args a)
{
    const gen_adam_piece p = a.t.piece[blockIdx.x];
    const gen_adam_arrays s = a.t.slot[p.slot];
    for (int64_t i = p.at + threadIdx.x; i < p.at + p.n; i += THREADS) {
        float w = s.w[i];
        s.w[i] = s.average[i];
        s.average[i] = w;
    }
}

static cudaError_t launch(void (*kernel)(const gen_cuda_adam_args), const gen_cuda_adam_args *a,
                          cudaStream_t s)
{
    return gen_launch(kernel, static_cast<unsigned>(a->t.pieces), THREADS, s, *a);
}

cudaError_t gen_cuda_adam_add(const gen_cuda_adam_args *a, cudaStream_t s)
{
    return launch(add_kernel, a, s);
}

cudaError_t gen_cuda_adam_below(const gen_cuda_adam_args *a, cudaStream_t s)
{
    return launch(below_kernel, a, s);
}

cudaError_t gen_cuda_adam_take(const gen_cuda_adam_args *a, cudaStream_t s)
{
    return launch(take_kernel, a, s);
}

cudaError_t gen_cuda_adam_swap(const gen_cuda_adam_args *a, cudaStream_t s)
{
    return launch(swap_kernel, a, s);
}

/* ---- states ---------------------------------------------------------------------------------- */

static __global__ void join_kernel(const gen_cuda_states_args a)
{
    const gen_state_arrays s = a.t.state[blockIdx.x];
    for (int64_t k = threadIdx.x; k < s.all; k += THREADS)
        gen_state_join(&s, k, *a.t.added);
}

static __global__ void look_kernel(const gen_cuda_states_args a)
{
    const gen_state_arrays s = a.t.state[blockIdx.x];
    bool bad = false;
    for (int64_t e = threadIdx.x; e < s.size; e += THREADS)
        bad |= !gen_state_is_finite(gen_state_next(&s, e, *a.t.added));
    if (bad)
        *a.bad = 1;
}

/* Updates of one value follow each other in one block, each element in one thread. */
static __global__ void commit_kernel(const gen_cuda_states_args a)
{
    if (a.not_if && *a.not_if)
        return;
    int i = static_cast<int>(blockIdx.x);
    if (!a.t.state[i].first)
        return;
    for (; i >= 0; i = a.t.state[i].next) {
        const gen_state_arrays s = a.t.state[i];
        for (int64_t e = threadIdx.x; e < s.size; e += THREADS)
            gen_state_commit(&s, e, *a.t.added);
    }
}

static cudaError_t launch(void (*kernel)(const gen_cuda_states_args), const gen_cuda_states_args *a,
                          cudaStream_t s)
{
    if (!a->t.n)
        return cudaSuccess;
    return gen_launch(kernel, static_cast<unsigned>(a->t.n), THREADS, s, *a);
}

cudaError_t gen_cuda_states_join(const gen_cuda_states_args *a, cudaStream_t s)
{
    return launch(join_kernel, a, s);
}

cudaError_t gen_cuda_states_look(const gen_cuda_states_args *a, cudaStream_t s)
{
    return launch(look_kernel, a, s);
}

cudaError_t gen_cuda_states_commit(const gen_cuda_states_args *a, cudaStream_t s)
{
    return launch(commit_kernel, a, s);
}

/* ---- a few values ---------------------------------------------------------------------------- */

static __global__ void finite_kernel(const gen_cuda_finite_args a)
{
    bool bad = false;
    for (int64_t i = threadIdx.x; i < a.n; i += THREADS)
        bad |= !(fabsf(a.x[i]) <= FLT_MAX);
    if (bad)
        *a.bad = 1;
}

cudaError_t gen_cuda_finite(const gen_cuda_finite_args *a, cudaStream_t s)
{
    return gen_launch(finite_kernel, 1, THREADS, s, *a);
}
