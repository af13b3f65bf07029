/* SPDX-License-Identifier: Apache-2.0
 *
 * bf16 and f16 to and from f32, rounding to nearest even; NaN stays NaN.
 */
#ifndef LIBGEN_TENSOR_HALF_H
#define LIBGEN_TENSOR_HALF_H

#include <stdint.h>
#include <string.h>

static inline float gen_bits_to_f32(uint32_t u)
{
    float f;
    memcpy(&f, &u, 4);
    return f;
}

static inline uint32_t gen_f32_to_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

static inline float gen_bf16_to_f32(uint16_t h)
{
    return gen_bits_to_f32((uint32_t)h << 16);
}

static inline uint16_t gen_f32_to_bf16(float f)
{
    uint32_t u = gen_f32_to_bits(f);
    if ((u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(u >> 16 | 0x40u); /* quiet NaN */
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}

static inline float gen_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, e = h >> 10 & 31u, m = h & 0x3ffu;
    if (e == 31)
        return gen_bits_to_f32(sign | 0x7f800000u | m << 13);
    if (e)
        return gen_bits_to_f32(sign | (e + 112) << 23 | m << 13);
    float f = (float)m * 0x1p-24f; /* subnormal or zero */
    return gen_bits_to_f32(sign | gen_f32_to_bits(f));
}

static inline uint16_t gen_f32_to_f16(float f)
{
    uint32_t u = gen_f32_to_bits(f);
    uint16_t sign = (uint16_t)(u >> 16 & 0x8000u);
    u &= 0x7fffffffu;
    if (u > 0x7f800000u)
        return sign | 0x7e00u;
    if (u >= 0x477ff000u) /* rounds to beyond 65504 */
        return sign | 0x7c00u;
    if (u < 0x38800000u) { /* subnormal in f16: adding 0.5 rounds at the right bit */
        float r = gen_bits_to_f32(u) + 0.5f;
        return sign | (uint16_t)(gen_f32_to_bits(r) - 0x3f000000u);
    }
    return sign | (uint16_t)((u - 0x38000000u + 0xfffu + (u >> 13 & 1u)) >> 13);
}

#endif
