/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256 (FIPS 180-4): digests that name model files and weights. Not for secrets.
 */
#ifndef LIBGEN_BASE_SHA256_H
#define LIBGEN_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#include <libgen/status.h>

#define GEN_SHA256_TEXT 65 /* 64 hex digits and the end */

typedef struct gen_sha256 {
    uint32_t state[8];
    uint64_t bytes;
    unsigned char block[64]; /* the bytes % 64 not yet taken in */
    int plain;               /* set after start: not the processor's own instructions (tests) */
} gen_sha256;

GEN_API void gen_sha256_start(gen_sha256 *h);
GEN_API void gen_sha256_add(gen_sha256 *h, const void *data, size_t size);
/* The digest in hex; h is then spent. */
GEN_API void gen_sha256_finish(gen_sha256 *h, char text[GEN_SHA256_TEXT]);

/* All in one. */
GEN_API void gen_sha256_text(const void *data, size_t size, char text[GEN_SHA256_TEXT]);

#endif
