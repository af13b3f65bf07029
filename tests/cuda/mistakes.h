/* SPDX-License-Identifier: Apache-2.0
 *
 * Mistakes in descriptors: one row each. Tensors are described in the order x, w, y, of fused_case
 * then residual, bias and the three virtual ones. The last column says what cuDNN 9.19 makes of it
 * while descriptors are finalised (tests/unit/cudnn_real.c holds it to that); the stand-in finds
 * every one. MISSED by the real library: it takes a default, or finds no engine later.
 */
#ifndef TESTS_CUDA_MISTAKES_H
#define TESTS_CUDA_MISTAKES_H

#include "tests/cuda/describe.h"

#define T(n) CUDNN_ATTR_TENSOR_##n
#define C(n) CUDNN_ATTR_CONVOLUTION_##n
#define F(n) CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_##n
#define P(n) CUDNN_ATTR_POINTWISE_##n
#define O(n) CUDNN_ATTR_OPERATION_POINTWISE_##n
#define G(n) CUDNN_ATTR_OPERATIONGRAPH_##n

static const mistake plain_mistakes[] = {
    { "x without identifier", T(UNIQUE_ID), 0, LEFT_OUT, 0, 0, MISSED },
    { "x without type", T(DATA_TYPE), 0, LEFT_OUT, 0, 0, MISSED },
    { "x without alignment", T(BYTE_ALIGNMENT), 0, LEFT_OUT, 0, 0, FOUND },
    { "x without sizes", T(DIMENSIONS), 0, LEFT_OUT, 0, 0, FOUND },
    { "x without strides", T(STRIDES), 0, LEFT_OUT, 0, 0, FOUND },
    { "sizes of another type", T(DIMENSIONS), 0, OTHER_TYPE, CUDNN_TYPE_INT32, 0, FOUND },
    { "alignment of another type", T(BYTE_ALIGNMENT), 0, OTHER_TYPE, CUDNN_TYPE_FLOAT, 0, FOUND },
    { "data type as an integer", T(DATA_TYPE), 0, OTHER_TYPE, CUDNN_TYPE_INT64, 0, FOUND },
    { "one size too few", T(DIMENSIONS), 0, OTHER_COUNT, 3, 0, FOUND },
    { "one stride too few", T(STRIDES), 0, OTHER_COUNT, 3, 0, FOUND },
    { "no sizes", T(DIMENSIONS), 0, OTHER_COUNT, 0, 0, FOUND },
    { "nine sizes", T(DIMENSIONS), 0, OTHER_COUNT, 9, 0, FOUND },
    { "two alignments", T(BYTE_ALIGNMENT), 0, OTHER_COUNT, 2, 0, FOUND },
    { "alignment 3", T(BYTE_ALIGNMENT), 0, OTHER_VALUE, 3, 0, FOUND },
    { "alignment 0", T(BYTE_ALIGNMENT), 0, OTHER_VALUE, 0, 0, FOUND },
    { "alignment 2 of floats", T(BYTE_ALIGNMENT), 0, OTHER_VALUE, 2, 0, FOUND },
    { "size 0", T(DIMENSIONS), 0, OTHER_VALUE, 0, 0, FOUND },
    { "size -1", T(DIMENSIONS), 0, OTHER_VALUE, -1, 2, FOUND },
    { "stride 0", T(STRIDES), 0, OTHER_VALUE, 0, 2, MISSED },
    { "stride -1", T(STRIDES), 0, OTHER_VALUE, -1, 2, FOUND },
    { "strides that overlap", T(STRIDES), 0, OTHER_VALUE, 8, 2, FOUND },
    { "a data type that is none", T(DATA_TYPE), 0, OTHER_VALUE, 99, 0, MISSED },
    { "x of doubles", T(DATA_TYPE), 0, OTHER_VALUE, CUDNN_DATA_DOUBLE, 0, MISSED },
    { "x in bf16, w in f32", T(DATA_TYPE), 0, OTHER_VALUE, CUDNN_DATA_BFLOAT16, 0, MISSED },
    { "w with x's identifier", T(UNIQUE_ID), 1, OTHER_VALUE, 1, 0, MISSED },
    { "y with x's identifier", T(UNIQUE_ID), 2, OTHER_VALUE, 1, 0, MISSED },
    { "w with other channels", T(DIMENSIONS), 1, OTHER_VALUE, 7, 1, FOUND },
    { "y of another batch", T(DIMENSIONS), 2, OTHER_VALUE, 1, 0, FOUND },
    { "y with other channels", T(DIMENSIONS), 2, OTHER_VALUE, 8, 1, FOUND },
    { "y one row too short", T(DIMENSIONS), 2, OTHER_VALUE, 4, 2, FOUND },
    { "y one row too long", T(DIMENSIONS), 2, OTHER_VALUE, 6, 2, FOUND },

    { "no compute type", C(COMP_TYPE), 0, LEFT_OUT, 0, 0, MISSED },
    { "no mode", C(CONV_MODE), 0, LEFT_OUT, 0, 0, MISSED },
    { "no number of axes", C(SPATIAL_DIMS), 0, LEFT_OUT, 0, 0, FOUND },
    { "no dilations", C(DILATIONS), 0, LEFT_OUT, 0, 0, FOUND },
    { "no strides", C(FILTER_STRIDES), 0, LEFT_OUT, 0, 0, FOUND },
    { "no paddings before", C(PRE_PADDINGS), 0, LEFT_OUT, 0, 0, MISSED },
    { "no paddings behind", C(POST_PADDINGS), 0, LEFT_OUT, 0, 0, FOUND },
    { "computed in bf16", C(COMP_TYPE), 0, OTHER_VALUE, CUDNN_DATA_BFLOAT16, 0, MISSED },
    { "mode convolution", C(CONV_MODE), 0, OTHER_VALUE, CUDNN_CONVOLUTION, 0, MISSED },
    { "a mode that is none", C(CONV_MODE), 0, OTHER_VALUE, 7, 0, MISSED },
    { "three axes, lists of two", C(SPATIAL_DIMS), 0, OTHER_VALUE, 3, 0, FOUND },
    { "one axis, lists of two", C(SPATIAL_DIMS), 0, OTHER_VALUE, 1, 0, FOUND },
    { "no axes", C(SPATIAL_DIMS), 0, OTHER_VALUE, 0, 0, FOUND },
    { "one stride", C(FILTER_STRIDES), 0, OTHER_COUNT, 1, 0, FOUND },
    { "stride 0 of the kernel", C(FILTER_STRIDES), 0, OTHER_VALUE, 0, 0, FOUND },
    { "dilation 0", C(DILATIONS), 0, OTHER_VALUE, 0, 0, FOUND },
    { "another stride than y's", C(FILTER_STRIDES), 0, OTHER_VALUE, 1, 0, FOUND },
    { "another dilation than y's", C(DILATIONS), 0, OTHER_VALUE, 1, 1, FOUND },
    { "padding -1", C(PRE_PADDINGS), 0, OTHER_VALUE, -1, 1, FOUND },
    { "another padding than y's", C(POST_PADDINGS), 0, OTHER_VALUE, 4, 0, FOUND },

    { "no alpha", F(ALPHA), 0, LEFT_OUT, 0, 0, MISSED },
    { "no beta", F(BETA), 0, LEFT_OUT, 0, 0, MISSED },
    { "alpha as an integer", F(ALPHA), 0, OTHER_TYPE, CUDNN_TYPE_INT64, 0, FOUND },
    { "no convolution", F(CONV_DESC), 0, LEFT_OUT, 0, 0, FOUND },
    { "no x", F(X), 0, LEFT_OUT, 0, 0, FOUND },
    { "no w", F(W), 0, LEFT_OUT, 0, 0, FOUND },
    { "no y", F(Y), 0, LEFT_OUT, 0, 0, FOUND },
    { "x is nothing", F(X), 0, OTHER_VALUE, 0, 0, FOUND },
    { "no operations", CUDNN_ATTR_OPERATIONGRAPH_OPS, 0, LEFT_OUT, 0, 0, FOUND },
    { "a graph of none", CUDNN_ATTR_OPERATIONGRAPH_OPS, 0, OTHER_COUNT, 0, 0, FOUND },
    { NULL },
};

static const mistake fused_mistakes[] = {
    { "virtual as an integer", T(IS_VIRTUAL), 0, OTHER_TYPE, CUDNN_TYPE_INT64, 0, FOUND },
    { "the bias has other channels", T(DIMENSIONS), 4, OTHER_VALUE, 8, 1, MISSED },
    { "the bias of rank 3", T(DIMENSIONS), 4, OTHER_COUNT, 3, 0, FOUND },
    { "the residual has other rows", T(DIMENSIONS), 3, OTHER_VALUE, 7, 2, MISSED },
    { "the result has another batch", T(DIMENSIONS), 2, OTHER_VALUE, 1, 0, MISSED },
    { "two virtual tensors of one name", T(UNIQUE_ID), 6, OTHER_VALUE, OF_CONV, 0, FOUND },
    { "the residual named as the bias", T(UNIQUE_ID), 4, OTHER_VALUE, RESIDUAL, 0, MISSED },
    { "no mode", P(MODE), 0, LEFT_OUT, 0, 0, MISSED },
    { "no compute type", P(MATH_PREC), 0, LEFT_OUT, 0, 0, MISSED },
    { "pointwise in bf16", P(MATH_PREC), 0, OTHER_VALUE, CUDNN_DATA_BFLOAT16, 0, MISSED },
    { "a sum that is a ReLU", P(MODE), 0, OTHER_VALUE, CUDNN_POINTWISE_RELU_FWD, 0, MISSED },
    { "a ReLU that is a sum", P(MODE), 2, OTHER_VALUE, CUDNN_POINTWISE_ADD, 0, FOUND },
    { "a mode that is none", P(MODE), 2, OTHER_VALUE, 9999, 0, FOUND },
    { "no pointwise descriptor", O(PW_DESCRIPTOR), 0, LEFT_OUT, 0, 0, MISSED },
    { "no first input", O(XDESC), 0, LEFT_OUT, 0, 0, FOUND },
    { "no second input", O(BDESC), 0, LEFT_OUT, 0, 0, FOUND },
    { "no result", O(YDESC), 0, LEFT_OUT, 0, 0, FOUND },
    { "the ReLU left out of the graph", G(OPS), 0, OTHER_COUNT, 3, 0, MISSED },
    { NULL },
};

static const mistakes all_mistakes[] = {
    { &plain_case, plain_mistakes },
    { &fused_case, fused_mistakes },
};

#undef T
#undef C
#undef F
#undef P
#undef O
#undef G

#endif
