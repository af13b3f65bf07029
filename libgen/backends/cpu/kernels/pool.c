/* SPDX-License-Identifier: Apache-2.0
 *
 * The loops of pool.h, in the compiler's vector extension, 16 channels at a time, which stay in
 * registers while the cells of the window pass; channels left over go one by one. Built once per
 * instruction set with -DGEN_KERNEL_ISA=<isa>, exporting gen_pool_loops_<isa>[2].
 *
 * Vectors are written out because loops over a local array of 16 sums are unrolled to scalars by
 * the compiler before it looks for vectors (measured: 50 times slower for max).
 */
#include "libgen/backends/cpu/kernels/pool.h"

#include <string.h>

#include "libgen/tensor/half.h"

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)

/* Vectors wider than the instruction set's are passed differently by different compilers (-Wpsabi,
 * off for kernels); here they never leave the file, and every function that has one is inlined. */
#define INLINE static inline __attribute__((always_inline))

enum { LANES = 16 };
typedef float lanes __attribute__((vector_size(64)));
typedef int32_t words __attribute__((vector_size(64)));
typedef uint32_t bits __attribute__((vector_size(64)));
typedef uint16_t halves __attribute__((vector_size(32)));

INLINE lanes wide_f32(const float *x)
{
    lanes v;
    memcpy(&v, x, sizeof v);
    return v;
}

INLINE void keep_f32(float *y, lanes v)
{
    memcpy(y, &v, sizeof v);
}

INLINE lanes wide_bf16(const uint16_t *x)
{
    halves h;
    memcpy(&h, x, sizeof h);
    return (lanes)(__builtin_convertvector(h, bits) << 16);
}

/* To nearest even; NaN stays NaN. As gen_f32_to_bf16. */
INLINE void keep_bf16(uint16_t *y, lanes v)
{
    bits u = (bits)v, rounded = (u + 0x7fffu + (u >> 16 & 1u)) >> 16, quiet = u >> 16 | 0x40u;
    bits nan = (bits)(v != v);
    halves h = __builtin_convertvector((quiet & nan) | (rounded & ~nan), halves);
    memcpy(y, &h, sizeof h);
}

static inline float one_f32(float v)
{
    return v;
}

static inline float put_f32(float v)
{
    return v;
}

#define one_bf16 gen_bf16_to_f32
#define put_bf16 gen_f32_to_bf16

INLINE words choose(words mask, words a, words b)
{
    return (a & mask) | (b & ~mask);
}

/* NaN wins. */
INLINE words larger(lanes v, lanes top)
{
    return (words)(v > top) | (words)(v != v);
}

#define LOOPS(T, t)                                                                                \
    static void weighted_##t(void *to, const void *from, const int64_t *at, const float *weight,   \
                             int64_t cells, int64_t c)                                             \
    {                                                                                              \
        const T *x = from;                                                                         \
        T *y = to;                                                                                 \
        int64_t j = 0;                                                                             \
        for (; j + LANES <= c; j += LANES) {                                                       \
            lanes sum = wide_##t(x + at[0] + j) * weight[0];                                       \
            for (int64_t i = 1; i < cells; i++)                                                    \
                sum += wide_##t(x + at[i] + j) * weight[i];                                        \
            keep_##t(y + j, sum);                                                                  \
        }                                                                                          \
        for (; j < c; j++) {                                                                       \
            float sum = one_##t(x[at[0] + j]) * weight[0];                                         \
            for (int64_t i = 1; i < cells; i++)                                                    \
                sum += one_##t(x[at[i] + j]) * weight[i];                                          \
            y[j] = put_##t(sum);                                                                   \
        }                                                                                          \
    }                                                                                              \
    static void largest_##t(void *to, const void *from, const int64_t *at, int64_t cells,          \
                            int64_t c)                                                             \
    {                                                                                              \
        const T *x = from;                                                                         \
        T *y = to;                                                                                 \
        int64_t j = 0;                                                                             \
        for (; j + LANES <= c; j += LANES) {                                                       \
            lanes top = wide_##t(x + at[0] + j);                                                   \
            for (int64_t i = 1; i < cells; i++) {                                                  \
                lanes v = wide_##t(x + at[i] + j);                                                 \
                top = (lanes)choose(larger(v, top), (words)v, (words)top);                         \
            }                                                                                      \
            keep_##t(y + j, top);                                                                  \
        }                                                                                          \
        for (; j < c; j++) {                                                                       \
            float top = one_##t(x[at[0] + j]);                                                     \
            for (int64_t i = 1; i < cells; i++) {                                                  \
                float v = one_##t(x[at[i] + j]);                                                   \
                top = v > top || v != v ? v : top;                                                 \
            }                                                                                      \
            y[j] = put_##t(top);                                                                   \
        }                                                                                          \
    }                                                                                              \
    static void first_##t(int32_t *where, const void *from, const int64_t *at, int64_t cells,      \
                          int64_t c)                                                               \
    {                                                                                              \
        const T *x = from;                                                                         \
        int64_t j = 0;                                                                             \
        for (; j + LANES <= c; j += LANES) {                                                       \
            lanes top = wide_##t(x + at[0] + j);                                                   \
            words best = { 0 };                                                                    \
            for (int64_t i = 1; i < cells; i++) {                                                  \
                lanes v = wide_##t(x + at[i] + j);                                                 \
                words more = larger(v, top), index = best * 0 + (int32_t)i;                        \
                top = (lanes)choose(more, (words)v, (words)top);                                   \
                best = choose(more, index, best);                                                  \
            }                                                                                      \
            memcpy(where + j, &best, sizeof best);                                                 \
        }                                                                                          \
        for (; j < c; j++) {                                                                       \
            float top = one_##t(x[at[0] + j]);                                                     \
            where[j] = 0;                                                                          \
            for (int64_t i = 1; i < cells; i++) {                                                  \
                float v = one_##t(x[at[i] + j]);                                                   \
                if (v > top || v != v) {                                                           \
                    top = v;                                                                       \
                    where[j] = (int32_t)i;                                                         \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }

LOOPS(float, f32)
LOOPS(uint16_t, bf16)

extern const gen_pool_loops PASTE(gen_pool_loops_, GEN_KERNEL_ISA)[2];
const gen_pool_loops PASTE(gen_pool_loops_, GEN_KERNEL_ISA)[2] = {
    { weighted_f32, largest_f32, first_f32 },
    { weighted_bf16, largest_bf16, first_bf16 },
};
