/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of both stand-ins do with numbers in memory.
 */
#ifndef LIBGEN_TESTS_CUDA_STANDIN_H
#define LIBGEN_TESTS_CUDA_STANDIN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cuda_runtime_api.h>

/* Of any content but NULL: they only name it. */
static inline cudaStream_t stream(void)
{
    static int place;
    return (cudaStream_t)&place;
}

static inline void *room(int64_t bytes)
{
    void *p = aligned_alloc(256, (size_t)(bytes + 511) / 256 * 256);
    assert_non_null(p);
    memset(p, 0xff, (size_t)(bytes + 511) / 256 * 256);
    return p;
}

/* Multiples of 1/8 up to 2: exact in bf16, and so are few of their sums. */
static inline double draw(void)
{
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(int64_t)(state >> 59) / 8 - 2;
}

static inline void put(void *to, int64_t i, double v, bool bf16)
{
    float f = (float)v;
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    if (bf16)
        ((uint16_t *)to)[i] = (uint16_t)(u >> 16);
    else
        ((float *)to)[i] = f;
}

static inline double get(const void *from, int64_t i, bool bf16)
{
    float f;
    uint32_t u = bf16 ? (uint32_t)((const uint16_t *)from)[i] << 16 : 0;
    memcpy(&f, &u, sizeof f);
    return bf16 ? f : ((const float *)from)[i];
}

#endif
