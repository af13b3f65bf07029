/* SPDX-License-Identifier: Apache-2.0
 *
 * A file of named tensors, whatever its format: the header is read and checked when it is opened,
 * values only when they are asked for. Knows nothing of networks.
 *
 * Files are hostile. What holds after gen_tensor_file_open: names differ, are valid UTF-8 and
 * printable; every tensor lies wholly inside the file; no tensor has more elements than the storage
 * behind it, so nothing that is allocated from a shape is larger than a small multiple of the file.
 * A format adds its open function to the list in tensor_file.c: imitate safetensors.c.
 */
#ifndef LIBGEN_MODEL_TENSOR_FILE_H
#define LIBGEN_MODEL_TENSOR_FILE_H

#include <libgen/tensor.h>

#include "libgen/base/alloc.h"

typedef enum gen_file_format {
    GEN_FILE_SAFETENSORS,
    GEN_FILE_TORCH_ZIP,   /* torch.save since 1.6 */
    GEN_FILE_TORCH_STREAM /* torch.save before 1.6 */
} gen_file_format;

typedef struct gen_file_tensor {
    const char *name;
    const char *dtype_text;       /* as in safetensors: "F32", "BF16", "BOOL" */
    int dtype;                    /* gen_dtype, or -1: values cannot be read */
    uint32_t item;                /* bytes of one element */
    bool dense;                   /* row-major without gaps */
    gen_shape shape;              /* a dimension may be 0: no values */
    int64_t stride[GEN_MAX_RANK]; /* in elements, each >= 0 */
    uint64_t offset; /* of element 0: from the start of the file, or of the zip entry */
    int64_t entry;   /* index in the zip, -1 elsewhere */
} gen_file_tensor;

typedef struct gen_tensor_file {
    gen_file_format format;
    char *path;
    int fd;
    void *zip;               /* zip_t, or NULL */
    uint64_t size;           /* of the file, bytes */
    gen_file_tensor *tensor; /* [count], sorted by name, in the arena */
    int count;
    const char *metadata; /* JSON text of __metadata__, "{}" when none */
    const char *note;     /* what was passed over in the file, or NULL */
    gen_arena arena;
} gen_tensor_file;

/* EDATA: no such file, or it cannot be read. EMODEL: not a file of tensors; the sentence says what
 * it looks like. */
GEN_API gen_status gen_tensor_file_open(gen_tensor_file **out, const char *path);
GEN_API void gen_tensor_file_close(gen_tensor_file **f);

GEN_API const char *gen_file_format_name(gen_file_format f);

/* Index, or -1. */
GEN_API int gen_tensor_file_find(const gen_tensor_file *f, const char *name);

/* Elements of tensor i; 0 when a dimension is 0. */
GEN_API uint64_t gen_file_tensor_count(const gen_file_tensor *t);

/* All values of tensor i as f32, row-major, into out. */
GEN_API gen_status gen_tensor_file_read(const gen_tensor_file *f, int i, float *out);

/* The raw elements of tensor i, row-major and as stored, into out (item bytes each). */
GEN_API gen_status gen_tensor_file_read_raw(const gen_tensor_file *f, int i, void *out);

/* The text of the config.json beside the file (gen_free), NULL when there is none. */
GEN_API gen_status gen_tensor_file_config(const gen_tensor_file *f, char **text);

/* ---- for the formats ------------------------------------------------------------------------ */

/* Each fills f->tensor, count and the fields above from f->fd. */
gen_status gen_safetensors_open(gen_tensor_file *f);
gen_status gen_torch_zip_open(gen_tensor_file *f);
gen_status gen_torch_stream_open(gen_tensor_file *f);

/* n bytes at `offset` of tensor storage: the file, or the zip entry. */
gen_status gen_torch_zip_read(const gen_tensor_file *f, int64_t entry, uint64_t offset, void *out,
                              uint64_t n);
void gen_torch_zip_close(gen_tensor_file *f);

/* All n bytes at offset; EIO or EMODEL (the file is shorter than it was). */
GEN_API gen_status gen_read_at(int fd, uint64_t offset, void *out, uint64_t n);

/* Fills item, dtype and dtype_text from the name that safetensors uses; false: not known. */
bool gen_file_dtype(gen_file_tensor *t, const char *name);

/* Product with overflow check; false: more than 2^62 elements. Dimensions may be 0. */
bool gen_file_count(gen_shape s, uint64_t *count);

/* Sets row-major strides and `dense`. */
void gen_file_set_dense(gen_file_tensor *t);

/* Sorts f->tensor by name; EMODEL: a name that comes twice, or is no text. */
gen_status gen_file_sort(gen_tensor_file *f);

/* A name or word of the file, fit for an error sentence: cut, no control characters. */
#define GEN_QUOTE 96
GEN_API const char *gen_quote(const char *s, char buf[GEN_QUOTE]);

#endif
