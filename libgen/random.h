/* SPDX-License-Identifier: Apache-2.0
 *
 * Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011), keyed by (seed, stream),
 * counted by index. Element i of a stream is the same bits on every machine, thread count and
 * backend.
 */
#ifndef LIBGEN_RANDOM_H
#define LIBGEN_RANDOM_H

#include <stdint.h>

#include <libgen/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Stream number of a name: FNV-1a, 64 bit. */
GEN_API uint64_t gen_stream(const char *name);

/* The four words of block `index`: key = seed, counter = (index, stream). */
GEN_API void gen_philox(uint32_t out[4], uint64_t seed, uint64_t stream, uint64_t index);

/* n values from element `first` on. uniform: (word >> 8) * 2^-24, in [0,1), word i of the stream.
 * normal: N(0,1), by our own polynomial transform (no libm), so bits do not depend on the C
 * library. Element i depends on (seed, stream, i) only. */
GEN_API void gen_random_uniform(float *out, int64_t n, uint64_t seed, uint64_t stream,
                                uint64_t first);
GEN_API void gen_random_normal(float *out, int64_t n, uint64_t seed, uint64_t stream,
                               uint64_t first);

#ifdef __cplusplus
}
#endif
#endif
