/* SPDX-License-Identifier: Apache-2.0
 *
 * The header of a .npy array that lies in memory, for those who read its data themselves (.npz).
 */
#ifndef LIBGEN_TENSOR_NPY_H
#define LIBGEN_TENSOR_NPY_H

#include <libgen/tensor.h>

typedef struct gen_npy_header {
    char type[16]; /* "<i2", "<f8", "|O", as NumPy has it; cut at 15 characters */
    gen_shape shape;
    uint64_t data; /* byte where the data begin, at most the size given */
} gen_npy_header;

/* EDATA: no .npy, cut, Fortran order, a size below 1; the sentence names path. */
GEN_API gen_status gen_npy_header_read(gen_npy_header *out, const unsigned char *bytes,
                                       uint64_t size, const char *path);

#endif
