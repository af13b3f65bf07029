/* SPDX-License-Identifier: Apache-2.0
 *
 * exp, log, tanh and their kin for f32 without branches, tables or calls, so that loops over them
 * vectorise. Relative error below 3e-7 (tests/unit/vec.c measures it); overflow gives infinity,
 * underflow denormals and then 0, NaN stays NaN.
 *
 * MADD is a fused multiply-add where the instruction set has one, and two rounded steps elsewhere:
 * results differ between instruction sets by a last bit, never within one.
 */
#ifndef LIBGEN_BACKENDS_CPU_KERNELS_VEC_MATH_H
#define LIBGEN_BACKENDS_CPU_KERNELS_VEC_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define MADD(a, b, c) __builtin_fmaf(a, b, c)
#else
#define MADD(a, b, c) ((a) * (b) + (c))
#endif

static inline float as_float(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline uint32_t as_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

/* ln 2 in two parts; n * high is exact for |n| < 2^9. */
#define LN2_HIGH 0.693359375f
#define LN2_LOW -2.12194440e-4f

/* e^x = 2^n e^r, |r| <= ln(2)/2; e^r by its Taylor series to r^7 (error 6e-9); 2^n in two factors,
 * so that n = 128 and denormals need no case of their own. */
static inline float vec_exp(float x)
{
    const float round = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    x = x < -104.0f ? -104.0f : x;
    x = x > 89.0f ? 89.0f : x;
    float shifted = MADD(x, 1.44269504f, round);
    float n = shifted - round;
    float r = MADD(n, -LN2_LOW, MADD(n, -LN2_HIGH, x));
    float p = 1.0f / 5040;
    p = MADD(p, r, 1.0f / 720);
    p = MADD(p, r, 1.0f / 120);
    p = MADD(p, r, 1.0f / 24);
    p = MADD(p, r, 1.0f / 6);
    p = MADD(p, r, 0.5f);
    p = MADD(p, r, 1.0f);
    p = MADD(p, r, 1.0f);
    int32_t i = (int32_t)(as_bits(shifted) - as_bits(round));
    int32_t half = i >> 1;
    float a = as_float((uint32_t)(half + 127) << 23);
    float b = as_float((uint32_t)(i - half + 127) << 23);
    return p * a * b;
}

/* 2 atanh(s) = log((1+s)/(1-s)) by its series to s^11, good for |s| <= 0.172. */
static inline float log_series(float s)
{
    float z = s * s;
    float p = 2.0f / 11;
    p = MADD(p, z, 2.0f / 9);
    p = MADD(p, z, 2.0f / 7);
    p = MADD(p, z, 2.0f / 5);
    p = MADD(p, z, 2.0f / 3);
    return MADD(p * z, s, 2.0f * s);
}

/* log x = e ln 2 + log m, m from sqrt(1/2) to sqrt(2). */
static inline float vec_log(float x)
{
    float tiny = x < 1.17549435e-38f ? 1.0f : 0.0f;
    float scaled = tiny != 0.0f ? x * 8388608.0f : x;
    int32_t i = (int32_t)(as_bits(scaled) - 0x3f3504f3u); /* distance from sqrt(1/2) */
    int32_t e = i >> 23;
    float m = as_float((uint32_t)(i - (int32_t)((uint32_t)e << 23)) + 0x3f3504f3u);
    float n = (float)e - 23.0f * tiny;
    float s = (m - 1.0f) / (m + 1.0f);
    float y = MADD(n, LN2_HIGH, MADD(n, LN2_LOW, log_series(s)));
    y = x > 3.40282347e38f ? x : y; /* infinity */
    y = x == 0.0f ? -INFINITY : y;
    return x >= 0.0f ? y : NAN;
}

static inline float vec_sigmoid(float x)
{
    return 1.0f / (1.0f + vec_exp(-x));
}

/* Near 0 by an odd polynomial (fitted up to 0.64 to a relative error of 6e-9), else from e^2x. */
static inline float vec_tanh(float x)
{
    float z = x * x;
    float p = -0.00559081128f;
    p = MADD(p, z, 0.0205386087f);
    p = MADD(p, z, -0.0537095815f);
    p = MADD(p, z, 0.133310912f);
    p = MADD(p, z, -0.333332695f);
    float near = MADD(p * z, x, x);
    float size = as_float(as_bits(x) & 0x7fffffffu);
    float far = 1.0f - 2.0f / (vec_exp(2.0f * size) + 1.0f);
    far = as_float(as_bits(far) | (as_bits(x) & 0x80000000u));
    return size < 0.625f ? near : far;
}

/* max(x, 0) + log(1 + t), t = e^-|x| in (0, 1]; log(1 + t) = 2 atanh(t / (2 + t)). */
static inline float vec_softplus(float x)
{
    float size = as_float(as_bits(x) & 0x7fffffffu);
    float t = vec_exp(-size);
    float s = t / (2.0f + t), z = s * s;
    float p = 2.0f / 15;
    p = MADD(p, z, 2.0f / 13);
    p = MADD(p, z, 2.0f / 11);
    p = MADD(p, z, 2.0f / 9);
    p = MADD(p, z, 2.0f / 7);
    p = MADD(p, z, 2.0f / 5);
    p = MADD(p, z, 2.0f / 3);
    return (x < 0.0f ? 0.0f : x) + MADD(p * z, s, 2.0f * s);
}

#endif
