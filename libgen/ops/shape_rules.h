/* SPDX-License-Identifier: Apache-2.0
 *
 * What several ops and kernels ask about shapes: the spatial axes of channels-last images, padded
 * to three, and the geometry of a convolution.
 *
 * Spatial triples are "outermost first" in attributes: [0] is the first spatial axis that the
 * tensor has. In gen_conv_dims they are aligned at the innermost axis instead, (D,H,W) with 1 for
 * missing outer axes, so that one loop nest serves all ranks.
 */
#ifndef LIBGEN_OPS_SHAPE_RULES_H
#define LIBGEN_OPS_SHAPE_RULES_H

#include "libgen/ops/list.h"

/* 1, 2 or 3 spatial axes of [N,*,C]; EINVAL for other ranks. `what` names the tensor. */
gen_status gen_rule_image(gen_shape s, const char *what, int *axes);

/* Input i of n holds floating-point numbers, or a sentence. */
gen_status gen_rule_float(const gen_node *n, int i, const char *what);

/* The shape is [size], or a sentence naming what was expected and why. */
gen_status gen_rule_vector(gen_shape s, int64_t size, const char *what);

/* Output 0 has shape and dtype of input 0. */
gen_status gen_rule_same(const gen_node *n, gen_shape *shape, gen_dtype *dtype);

/* Replaces zeros by `usual` on the first `axes` entries, sets the others to `rest`. */
void gen_rule_triple(int64_t v[3], int axes, int64_t usual, int64_t rest);

/* Moves the first `axes` of from[] to the end of to[], the front gets `rest`: spatial sizes or
 * attributes as (D,H,W). */
GEN_API void gen_rule_align(int64_t to[3], const int64_t *from, int axes, int64_t rest);

/* Cells along one axis: (size + lo + hi - dilation*(kernel-1) - 1) / stride + 1; 0 when the window
 * does not fit. */
int64_t gen_rule_window(int64_t size, int64_t lo, int64_t hi, int64_t kernel, int64_t stride,
                        int64_t dilation);

/* v after activation `act` (gen_act). */
double gen_rule_act(int64_t act, double slope, double v);

/* A convolution, seen from the forward side whichever of the three ops it is: x -> y by w. */
typedef struct gen_conv_dims {
    int axes;            /* 1, 2, 3: those that the tensors have */
    int64_t n;           /* images */
    int64_t groups;
    int64_t cin, cout;   /* all groups */
    int64_t x[3];        /* (D,H,W) of x, before up */
    int64_t conv[3];     /* of the convolution's result, before pool */
    int64_t y[3];        /* of the result */
    int64_t kernel[3], stride[3], dilation[3], pad_lo[3], pad_hi[3], up[3], pool[3];
} gen_conv_dims;

/* Of a conv, conv_transpose or conv_dw node, whose shapes have been inferred. */
GEN_API gen_conv_dims gen_conv_dims_of(const gen_node *n);

#endif
