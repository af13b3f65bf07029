/* SPDX-License-Identifier: Apache-2.0
 *
 * Execution plans of cuDNN on disk, so that a convolution's engine is looked for and compiled once
 * a machine: one file a plan, in $GEN_CACHE_DIR (empty: none is read or written), else
 * $XDG_CACHE_HOME/libgen, else ~/.cache/libgen. Whatever is wrong with a file or the folder, the
 * plan is made anew; nothing fails because of it.
 */
#ifndef LIBGEN_BACKENDS_CUDA_PLAN_CACHE_H
#define LIBGEN_BACKENDS_CUDA_PLAN_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "libgen/base/sha256.h"

/* The text that was kept for this key (a digest of all that it depends on), or false. Free with
 * gen_free. */
bool gen_plan_cache_read(const char key[GEN_SHA256_TEXT], char **text, uint64_t *size);
void gen_plan_cache_write(const char key[GEN_SHA256_TEXT], const char *text, uint64_t size);

#endif
