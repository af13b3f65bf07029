/* SPDX-License-Identifier: Apache-2.0
 *
 * The loops of adam.h: plain C that the compiler vectorises. A block passes through one short loop
 * after the other while it is in the L1 cache, so that no loop has a branch in it.
 */
#include "libgen/backends/cpu/kernels/adam.h"

#include "libgen/tensor/half.h"

enum { BLOCK = 512 };

/* g[i] = mean of the micro-batches, with decay; the sum begins anew. */
static void gradient(float *restrict g, float *restrict sum, const float *restrict w, int64_t n,
                     const gen_adam_step *k)
{
    for (int64_t i = 0; i < n; i++) {
        g[i] = sum[i] / k->count;
        sum[i] = 0;
    }
    if (k->weight_decay != 0.0f)
        for (int64_t i = 0; i < n; i++)
            g[i] += k->weight_decay * w[i];
}

static void update(float *restrict w, float *restrict v, const float *restrict m,
                   const float *restrict g, int64_t n, const gen_adam_step *k)
{
    for (int64_t i = 0; i < n; i++) {
        v[i] = v[i] * k->beta2 + k->second * (g[i] * g[i]);
        w[i] -= k->rate * (m[i] / (__builtin_sqrtf(v[i]) / k->root + k->eps));
    }
}

/* y moves towards x. */
static void follow(float *restrict y, const float *restrict x, int64_t n, float share)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += share * (x[i] - y[i]);
}

static void step(const gen_adam_arrays *a, int64_t n, const gen_adam_step *k)
{
    float g[BLOCK];
    for (int64_t at = 0; at < n; at += BLOCK) {
        int64_t left = n - at < BLOCK ? n - at : BLOCK;
        gradient(g, a->sum + at, a->w + at, left, k);
        if (a->m) {
            follow(a->m + at, g, left, k->first);
            update(a->w + at, a->v + at, a->m + at, g, left, k);
        } else {
            update(a->w + at, a->v + at, g, g, left, k);
        }
        if (a->average)
            follow(a->average + at, a->w + at, left, k->follow);
        for (int64_t i = at; a->bf16 && i < at + left; i++)
            a->bf16[i] = gen_f32_to_bf16(a->w[i]);
    }
}

static void add(float *restrict sum, const float *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        sum[i] += x[i];
}

static bool below(const float *x, int64_t n, float limit)
{
    int32_t bad = 0;
    for (int64_t i = 0; i < n; i++)
        bad |= !(__builtin_fabsf(x[i]) < limit);
    return !bad;
}

#define PASTE(a, b) a##b
#define TABLE(isa) PASTE(gen_adam_loops_, isa)
extern const gen_adam_loops TABLE(GEN_KERNEL_ISA);
const gen_adam_loops TABLE(GEN_KERNEL_ISA) = { .step = step, .add = add, .below = below };
