/* SPDX-License-Identifier: Apache-2.0
 *
 * Storage types of the stand-ins for CUDA's libraries: each value is a double while it is computed
 * with, and is rounded once when it is stored.
 */
#ifndef TESTS_CUDA_NUMBERS_H
#define TESTS_CUDA_NUMBERS_H

#include <cstdint>
#include <cstring>

enum class storage { f32, bf16 };

inline int64_t size_of(storage s)
{
    return s == storage::f32 ? 4 : 2;
}

/* To the nearest value whose lower `drop` bits of the float are 0, ties to even; NaN and infinity
 * stay what they are. */
inline float round_bits(float v, int drop)
{
    uint32_t u;
    std::memcpy(&u, &v, sizeof u);
    if ((u & 0x7f800000u) == 0x7f800000u)
        return v;
    uint32_t tie = 1u << (drop - 1);
    u += tie - 1 + (u >> drop & 1);
    u &= ~(2 * tie - 1);
    std::memcpy(&v, &u, sizeof v);
    return v;
}

/* What a tensor core reads of a float: 10 bits of mantissa. */
inline double to_tf32(double v)
{
    return round_bits((float)v, 13);
}

inline double rounded(storage s, double v)
{
    return s == storage::f32 ? (float)v : round_bits((float)v, 16);
}

inline double read_at(storage s, const void *p, int64_t i)
{
    if (s == storage::f32)
        return ((const float *)p)[i];
    uint32_t u = (uint32_t)((const uint16_t *)p)[i] << 16;
    float v;
    std::memcpy(&v, &u, sizeof v);
    return v;
}

inline void write_at(storage s, void *p, int64_t i, double v)
{
    float f = (float)rounded(s, v);
    uint32_t u;
    if (s == storage::f32) {
        ((float *)p)[i] = f;
        return;
    }
    std::memcpy(&u, &f, sizeof u);
    ((uint16_t *)p)[i] = (uint16_t)(f != f ? 0x7fc0 : u >> 16);
}

#endif
