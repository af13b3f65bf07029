/* SPDX-License-Identifier: Apache-2.0
 *
 * Tensors: a dtype, a shape and a pointer to dense row-major data. Logical order is memory order;
 * images are channels last, [N,H,W,C]. A gen_tensor is a view: it owns nothing.
 */
#ifndef LIBGEN_TENSOR_H
#define LIBGEN_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libgen/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GEN_MAX_RANK 8

typedef enum gen_dtype { GEN_F32, GEN_F64, GEN_BF16, GEN_F16, GEN_I32, GEN_I64, GEN_U8 } gen_dtype;

typedef struct gen_shape {
    int rank;                  /* 0 = scalar */
    int64_t dim[GEN_MAX_RANK]; /* outermost first; each >= 1; unused ones 0 */
} gen_shape;

typedef struct gen_tensor {
    gen_dtype dtype;
    gen_shape shape;
    void *data; /* borrowed */
} gen_tensor;

/* A shape from its dimensions: GEN_SHAPE(4, 256, 256, 1). */
#define GEN_SHAPE(...)                                                                             \
    gen_shape_make((int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)),                    \
                   (const int64_t[]){ __VA_ARGS__ })
GEN_API gen_shape gen_shape_make(int rank, const int64_t *dim);

GEN_API bool gen_shape_equal(gen_shape a, gen_shape b);
GEN_API int64_t gen_shape_count(gen_shape s); /* elements; -1 when a dim is < 1 or it overflows */

/* "[4,256,256,1]" into buf, for messages; returns buf. */
#define GEN_SHAPE_TEXT 160
GEN_API const char *gen_shape_text(gen_shape s, char buf[GEN_SHAPE_TEXT]);

GEN_API size_t gen_dtype_size(gen_dtype t);
GEN_API const char *gen_dtype_name(gen_dtype t); /* "f32", ... */
GEN_API bool gen_dtype_is_float(gen_dtype t);
GEN_API size_t gen_tensor_bytes(const gen_tensor *t);

/* Copies n elements with conversion between any two dtypes. Float to integer rounds to nearest even
 * and saturates; to bf16 and f16 rounds to nearest even. src and dst must not overlap. */
GEN_API void gen_convert(void *dst, gen_dtype dst_type, const void *src, gen_dtype src_type,
                         int64_t n);

/* max |a-b| / max |b|, and where; the parity measure of the whole project (f32: 1e-4). A value that
 * is not finite on one side only gives infinity. a and b have the same shape. */
typedef struct gen_difference {
    double relative; /* max |a-b| / max |b|; max |a-b| where b is all zero */
    double norm;     /* ||a-b||2 / ||b||2 */
    int64_t worst;   /* flat index of the largest |a-b| */
} gen_difference;
GEN_API gen_difference gen_compare(const gen_tensor *a, const gen_tensor *b);

/* Reads a .npy file (v1-3; C order; f4 f8 i4 i8 u1 and i2/u2 as i32). *out owns its data: free with
 * gen_tensor_free. EDATA for anything else; at most max_bytes of data are allocated. */
GEN_API gen_status gen_npy_read(gen_tensor *out, const char *path, uint64_t max_bytes);

/* Writes a .npy file beside, synced and renamed. bf16 and f16 are written as f4. */
GEN_API gen_status gen_npy_write(const char *path, const gen_tensor *t);

/* Tensor that owns its data (zeroed). */
GEN_API gen_status gen_tensor_create(gen_tensor *out, gen_dtype dtype, gen_shape shape);
GEN_API void gen_tensor_free(gen_tensor *t); /* sets data NULL */

#ifdef __cplusplus
}
#endif
#endif
