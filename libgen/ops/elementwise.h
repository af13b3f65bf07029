/* SPDX-License-Identifier: Apache-2.0
 *
 * The families of elementwise ops by number, for tables of kernels indexed by them.
 */
#ifndef LIBGEN_OPS_ELEMENTWISE_H
#define LIBGEN_OPS_ELEMENTWISE_H

#include "libgen/ops/list.h"

/* X(op, ENUM, bytes of attributes, option table). */
#define GEN_UNARY_LIST(X)                                                                          \
    X(relu, RELU, 0, NULL)                                                                         \
    X(leaky_relu, LEAKY_RELU, sizeof(gen_unary_attr), leaky_options)                               \
    X(sigmoid, SIGMOID, 0, NULL)                                                                   \
    X(tanh, TANH, 0, NULL)                                                                         \
    X(exp, EXP, 0, NULL)                                                                           \
    X(log, LOG, 0, NULL)                                                                           \
    X(sqrt, SQRT, 0, NULL)                                                                         \
    X(rsqrt, RSQRT, 0, NULL)                                                                       \
    X(reciprocal, RECIPROCAL, 0, NULL)                                                             \
    X(square, SQUARE, 0, NULL)                                                                     \
    X(abs, ABS, 0, NULL)                                                                           \
    X(softplus, SOFTPLUS, 0, NULL)                                                                 \
    X(affine, AFFINE, sizeof(gen_unary_attr), affine_options)                                      \
    X(clamp, CLAMP, sizeof(gen_unary_attr), clamp_options)

/* X(op, ENUM). */
#define GEN_BINARY_LIST(X)                                                                         \
    X(add, ADD)                                                                                    \
    X(sub, SUB)                                                                                    \
    X(mul, MUL)                                                                                    \
    X(div, DIV)                                                                                    \
    X(max, MAX)                                                                                    \
    X(min, MIN)                                                                                    \
    X(greater, GREATER)

typedef enum gen_unary {
#define X(op, NAME, size, options) GEN_UNARY_##NAME,
    GEN_UNARY_LIST(X)
#undef X
    GEN_UNARY_COUNT
} gen_unary;

typedef enum gen_binary {
#define X(op, NAME) GEN_BINARY_##NAME,
    GEN_BINARY_LIST(X)
#undef X
    GEN_BINARY_COUNT
} gen_binary;

/* The number of an op in its family, -1 when it belongs to another. */
GEN_API int gen_unary_of(const gen_op *op);
GEN_API int gen_binary_of(const gen_op *op);

#endif
