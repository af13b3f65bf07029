/* SPDX-License-Identifier: Apache-2.0
 *
 * The safetensors format, which is our own model format:
 *
 *     8 bytes   n, length of the header, little-endian
 *     n bytes   JSON: {"__metadata__": {text: text}, "NAME": {"dtype": "F32", "shape": [2,3],
 *               "data_offsets": [begin, end]}, ...}, padded with spaces
 *     rest      the elements, row-major, little-endian, without gaps; offsets count from here
 *
 * Reading is gen_tensor_file_open. This header is for writing.
 */
#ifndef LIBGEN_MODEL_SAFETENSORS_H
#define LIBGEN_MODEL_SAFETENSORS_H

#include <libgen/tensor.h>

#include "libgen/base/fail.h"

typedef struct gen_safetensor {
    const char *name;
    gen_tensor value; /* f32 */
    gen_dtype store;  /* GEN_F32, GEN_BF16 or GEN_F16 */
} gen_safetensor;

/* Writes beside, synced, renamed; EEXIST without force. tensor[] is put in the order of the file:
 * wide types first, so that everything is aligned, then by name. `metadata` is the text of a JSON
 * object of strings. The same arguments give the same bytes. */
GEN_API gen_status gen_safetensors_write(const char *path, bool force, gen_safetensor *tensor,
                                         int n, const char *metadata);

#endif
