/* SPDX-License-Identifier: Apache-2.0
 *
 * Every op of libgen/ops by its variable gen_op_<name>, which kernels, the plan's rules and tests
 * name, and the attribute structs that <libgen/ops.h> does not show.
 *
 * To add an op: write it in libgen/ops/<family>.c, add its line below, then its cases in
 * tests/check_ops/<family>.c (an op without cases fails the test).
 */
#ifndef LIBGEN_OPS_LIST_H
#define LIBGEN_OPS_LIST_H

#include <math.h>

#include <libgen/ops.h>

#include "libgen/graph/op.h"

/* clang-format off */
#define GEN_OP_LIST(X)                                                                             \
    /* conv.c */                                                                                   \
    X(conv)                                                                                        \
    X(conv_transpose)                                                                              \
    X(conv_dw)                                                                                     \
    /* turn.c */                                                                                   \
    X(turn)                                                                                        \
    /* matmul.c */                                                                                 \
    X(matmul)                                                                                      \
    /* norm.c */                                                                                   \
    X(scale_shift)                                                                                 \
    X(batch_norm)                                                                                  \
    X(batch_norm_dx)                                                                               \
    X(unit)                                                                                        \
    /* resample.c */                                                                               \
    X(upsample)                                                                                    \
    X(avg_pool)                                                                                    \
    X(avg_pool_dx)                                                                                 \
    X(max_pool)                                                                                    \
    X(max_pool_dx)                                                                                 \
    /* block.c */                                                                                  \
    X(space_to_depth)                                                                              \
    X(depth_to_space)                                                                              \
    /* elementwise.c */                                                                            \
    X(relu)                                                                                        \
    X(leaky_relu)                                                                                  \
    X(sigmoid)                                                                                     \
    X(tanh)                                                                                        \
    X(exp)                                                                                         \
    X(log)                                                                                         \
    X(sqrt)                                                                                        \
    X(rsqrt)                                                                                       \
    X(reciprocal)                                                                                  \
    X(square)                                                                                      \
    X(abs)                                                                                         \
    X(softplus)                                                                                    \
    X(affine)                                                                                      \
    X(clamp)                                                                                       \
    X(cast)                                                                                        \
    X(stop_gradient)                                                                               \
    X(add)                                                                                         \
    X(sub)                                                                                         \
    X(mul)                                                                                         \
    X(div)                                                                                         \
    X(max)                                                                                         \
    X(min)                                                                                         \
    X(greater)                                                                                     \
    X(lerp)                                                                                        \
    /* softmax.c */                                                                                \
    X(softmax)                                                                                     \
    /* reduce.c */                                                                                 \
    X(sum)                                                                                         \
    X(mean)                                                                                        \
    X(max_over)                                                                                    \
    X(sum_to)                                                                                      \
    /* shape.c */                                                                                  \
    X(reshape)                                                                                     \
    X(transpose)                                                                                   \
    X(broadcast)                                                                                   \
    X(concat)                                                                                      \
    X(slice)                                                                                       \
    X(pad)                                                                                         \
    /* index.c */                                                                                  \
    X(gather)                                                                                      \
    X(gather_dx)                                                                                   \
    X(crop)                                                                                        \
    X(crop_dx)                                                                                     \
    /* (last) */
/* clang-format on */

#define X(name) extern GEN_API const gen_op gen_op_##name;
GEN_OP_LIST(X)
#undef X

/* In a node, attributes are canonical: zeros that mean "usual" are replaced by the value they stand
 * for (stride 1, groups 1, pooling stride = kernel), spatial axes that x does not have are 1 (pads
 * 0), so that equal nodes have equal bytes. */

/* conv_transpose: inputs y, w, b (if conv.has_bias). */
typedef struct gen_conv_transpose_attr {
    gen_conv_attr conv;
    int64_t size[3]; /* spatial sizes of the result; 1 for axes that are not there */
} gen_conv_transpose_attr;

/* conv_dw: inputs x, dy. The result is f32 (f64 for an f64 x), also for bf16 inputs. */
typedef struct gen_conv_dw_attr {
    gen_conv_attr conv;
    int64_t kernel[3];
} gen_conv_dw_attr;

typedef struct gen_upsample_attr {
    int64_t factor[3];
} gen_upsample_attr;

/* avg_pool_dx: input dy; max_pool_dx: inputs x, dy (the first largest cell takes the gradient). */
typedef struct gen_pool_dx_attr {
    gen_pool_attr pool;
    int64_t size[3]; /* spatial sizes of x */
} gen_pool_dx_attr;

/* space_to_depth and depth_to_space. */
typedef struct gen_fold_attr {
    int64_t block, block_major;
} gen_fold_attr;

/* slice along one axis; concat; (the plan's rules read these two). */
typedef struct gen_slice_attr {
    int64_t axis, first, count;
} gen_slice_attr;
typedef struct gen_concat_attr {
    int64_t axis;
} gen_concat_attr;

/* batch_norm_dx: inputs x, mean, var (outputs of batch_norm), dy; attributes of batch_norm. */

/* unit: what x is multiplied by, from the sum of its squares. */
static inline double gen_unit_scale(const gen_unit_attr *a, double sum)
{
    if (!a->at_least)
        return 1 / sqrt(sum + a->eps);
    double length = sqrt(sum);
    return 1 / (length < a->eps ? a->eps : length); /* NaN stays NaN */
}

/* leaky_relu: p is the slope; affine: p * x + q; clamp: p = lo, q = hi. The others have none. */
typedef struct gen_unary_attr {
    double p, q;
} gen_unary_attr;

typedef struct gen_cast_attr {
    int64_t to; /* gen_dtype */
} gen_cast_attr;

/* sum, mean, max_over: bit i = axis i. */
typedef struct gen_axes_attr {
    int64_t axes;
} gen_axes_attr;

typedef struct gen_softmax_attr {
    int64_t axis;
} gen_softmax_attr;

/* transpose: axis i of the result is axis order[i] of x. 9 = three triples, for printing. */
typedef struct gen_transpose_attr {
    int64_t order[9];
} gen_transpose_attr;

typedef struct gen_pad_attr {
    int64_t lo[9], hi[9]; /* three triples, for printing */
    double value;
} gen_pad_attr;

/* gather: x, index; gather_dx (the adjoint, a scatter-add): dy, index -> dim rows along axis. */
typedef struct gen_gather_attr {
    int64_t axis, dim; /* dim: rows of x along axis */
} gen_gather_attr;

/* crop: x, offset -> windows of h x w; crop_dx: dy, offset -> images of h x w. */
typedef struct gen_crop_attr {
    int64_t h, w;
} gen_crop_attr;

/* reshape, broadcast, sum_to: gen_shape_attr of libgen/ops/strides.h. */

#endif
