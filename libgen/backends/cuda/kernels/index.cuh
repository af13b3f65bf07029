/* SPDX-License-Identifier: Apache-2.0
 *
 * Which element a thread works on: its number is split by the sizes of axes, innermost first.
 */
#ifndef LIBGEN_BACKENDS_CUDA_KERNELS_INDEX_CUH
#define LIBGEN_BACKENDS_CUDA_KERNELS_INDEX_CUH

#include "libgen/backends/cuda/kernels/launch.cuh"

/* Numbers below this are split in 32 bits. The emulator goes over to 64 early, so that tests reach
 * both ways. */
#ifdef GEN_EMULATED
static const int64_t gen_narrow = 1 << 12;
#else
static const int64_t gen_narrow = INT64_C(1) << 31;
#endif

/* To divide by d with a product and a shift (Granlund and Montgomery, 1994), or, for numbers of up
 * to 50 bits, with a product of doubles, which is short by one at most. */
typedef struct gen_divisor {
    int64_t d;
    double inverse;
    uint32_t magic, shift;
    bool wide; /* numbers reach gen_narrow */
} gen_divisor;

/* For numbers below n. */
static inline gen_divisor gen_divisor_of(int64_t d, int64_t n)
{
    gen_divisor v = { d, 1.0 / static_cast<double>(d), 0, 0, n > gen_narrow };
    while (!v.wide && INT64_C(1) << v.shift < d)
        v.shift++;
    if (!v.wide)
        v.magic = static_cast<uint32_t>(
            (UINT64_C(1) << 32) * ((UINT64_C(1) << v.shift) - static_cast<uint64_t>(d)) /
                static_cast<uint64_t>(d) + 1);
    return v;
}

/* i / d stays in *i, the rest is returned. */
static __device__ __forceinline__ int64_t gen_split(int64_t *i, const gen_divisor &v)
{
    int64_t n = *i, q;
    if (v.wide) {
        q = static_cast<int64_t>(static_cast<double>(n) * v.inverse);
        q += n - q * v.d >= v.d;
    } else {
        uint32_t low = static_cast<uint32_t>(n);
        uint32_t high = static_cast<uint32_t>(static_cast<uint64_t>(low) * v.magic >> 32);
        uint32_t narrow = (high + low) >> v.shift;
        *i = narrow;
        return low - narrow * static_cast<uint32_t>(v.d);
    }
    *i = q;
    return n - q * v.d;
}

#endif
