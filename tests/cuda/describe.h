/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolutions as descriptors of cuDNN's backend API, and mistakes that can be made in them. The
 * same descriptors are given to the stand-in (tests/unit/cudnn_standin.c) and to the real library
 * (tests/unit/cudnn_real.c), which validates them without a device.
 */
#ifndef TESTS_CUDA_DESCRIBE_H
#define TESTS_CUDA_DESCRIBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cudnn.h>

typedef enum direction { FORWARD, DATA, FILTER } direction;

typedef struct conv_case {
    const char *what;
    direction dir;
    int axes;
    int64_t n, c, k, groups;
    int64_t x[3], kernel[3], stride[3], dilation[3], lo[3], hi[3];
    cudnnDataType_t type, out;
    bool bias, residual, relu;
    double slope;
} conv_case;

/* Identifiers of the tensors; those behind BIAS are the virtual ones of a fused graph. */
enum { X = 1, W, Y, RESIDUAL, BIAS, OF_CONV, OF_BIAS, OF_RESIDUAL };

typedef enum how { LEFT_OUT, OTHER_TYPE, OTHER_COUNT, OTHER_VALUE, SWAPPED } how;

/* What is wrong in the nth attribute `name` that is set: its type or its count becomes `value`, or
 * so does the element at `index`, or elements `index` and `value` change places. */
typedef struct mistake {
    const char *what;
    cudnnBackendAttributeName_t name;
    int nth;
    how how;
    int64_t value;
    int index;
    enum { MISSED, FOUND } real; /* what the real library (9.19) does, without a device */
} mistake;

typedef struct described {
    cudnnBackendDescriptor_t made[64], tensor[16], graph;
    int n;
    const mistake *wrong;
    int seen;
    bool made_it; /* the mistake was come across */
    cudnnStatus_t status; /* the first that failed; nothing is done after it */
} described;

static inline cudnnBackendDescriptor_t create(described *d, cudnnBackendDescriptorType_t kind)
{
    cudnnBackendDescriptor_t made = NULL;
    if (d->status == CUDNN_STATUS_SUCCESS)
        d->status = cudnnBackendCreateDescriptor(kind, &made);
    if (d->status == CUDNN_STATUS_SUCCESS)
        d->made[d->n++] = made;
    return made;
}

static inline void finalize(described *d, cudnnBackendDescriptor_t what)
{
    if (d->status == CUDNN_STATUS_SUCCESS)
        d->status = cudnnBackendFinalize(what);
}

static inline void set(described *d, cudnnBackendDescriptor_t what,
                       cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                       int64_t count, const void *values)
{
    unsigned char copy[256] = { 0 };
    const mistake *m = d->wrong;
    size_t size = type == CUDNN_TYPE_INT64 || type == CUDNN_TYPE_BACKEND_DESCRIPTOR ||
                          type == CUDNN_TYPE_DOUBLE || type == CUDNN_TYPE_HANDLE ? 8
                  : type == CUDNN_TYPE_BOOLEAN                                   ? 1
                                                                                 : 4;
    memcpy(copy, values, (size_t)count * size);
    if (m && m->name == name && d->seen++ == m->nth) {
        d->made_it = true;
        if (m->how == LEFT_OUT)
            return;
        if (m->how == OTHER_TYPE)
            type = (cudnnBackendAttributeType_t)m->value;
        if (m->how == OTHER_COUNT)
            count = m->value;
        if (m->how == SWAPPED) {
            memcpy(copy + (size_t)m->index * size,
                   (const unsigned char *)values + (size_t)m->value * size, size);
            memcpy(copy + (size_t)m->value * size,
                   (const unsigned char *)values + (size_t)m->index * size, size);
        }
        if (m->how == OTHER_VALUE)
            memcpy(copy + (size_t)m->index * size, &m->value, size); /* little-endian */
    }
    if (d->status == CUDNN_STATUS_SUCCESS)
        d->status = cudnnBackendSetAttribute(what, name, type, count, copy);
}

static inline void set_int(described *d, cudnnBackendDescriptor_t what,
                           cudnnBackendAttributeName_t name, int64_t v)
{
    set(d, what, name, CUDNN_TYPE_INT64, 1, &v);
}

static inline void set_link(described *d, cudnnBackendDescriptor_t what,
                            cudnnBackendAttributeName_t name, cudnnBackendDescriptor_t to)
{
    set(d, what, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &to);
}

/* Sizes [a,b,*], in memory [a,*,b]. */
static inline void describe_tensor(described *d, int uid, cudnnDataType_t type, int axes,
                                   int64_t a, int64_t b, const int64_t *spatial, bool is_virtual)
{
    int64_t dim[5] = { a, b }, stride[5] = { 0, 1 }, step = b;
    cudnnBackendDescriptor_t t = create(d, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    for (int i = axes - 1; i >= 0; i--) {
        dim[2 + i] = spatial[i];
        stride[2 + i] = step;
        step *= spatial[i];
    }
    stride[0] = step;
    set_int(d, t, CUDNN_ATTR_TENSOR_UNIQUE_ID, uid);
    set(d, t, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set_int(d, t, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 16);
    set(d, t, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, axes + 2, dim);
    set(d, t, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, axes + 2, stride);
    if (is_virtual)
        set(d, t, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual);
    finalize(d, t);
    d->tensor[uid] = t;
}

static inline cudnnBackendDescriptor_t describe_pointwise(described *d, cudnnPointwiseMode_t mode,
                                                          int x, int b, int y, double slope)
{
    cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    cudnnBackendDescriptor_t p = create(d, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    set(d, p, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    set(d, p, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &compute);
    if (slope != 0)
        set(d, p, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, CUDNN_TYPE_DOUBLE, 1, &slope);
    finalize(d, p);
    cudnnBackendDescriptor_t op = create(d, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    set_link(d, op, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, p);
    set_link(d, op, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, d->tensor[x]);
    if (b)
        set_link(d, op, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, d->tensor[b]);
    set_link(d, op, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, d->tensor[y]);
    finalize(d, op);
    return op;
}

#define ATTR(dir, name)                                                                            \
    (dir == FORWARD ? CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_##name                              \
     : dir == DATA  ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_##name                             \
                    : CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_##name)

static inline cudnnBackendDescriptor_t describe_conv(described *d, const conv_case *c, int y)
{
    cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    double one = 1, zero = 0;
    cudnnBackendDescriptor_t conv = create(d, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    set(d, conv, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &compute);
    set(d, conv, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    set_int(d, conv, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, c->axes);
    set(d, conv, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, c->axes, c->dilation);
    set(d, conv, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, c->axes, c->stride);
    set(d, conv, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, c->axes, c->lo);
    set(d, conv, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, c->axes, c->hi);
    finalize(d, conv);
    cudnnBackendDescriptor_t op =
        create(d, c->dir == FORWARD ? CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR
                  : c->dir == DATA  ? CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR
                  : CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR);
    set(d, op, ATTR(c->dir, ALPHA), CUDNN_TYPE_DOUBLE, 1, &one);
    set(d, op, ATTR(c->dir, BETA), CUDNN_TYPE_DOUBLE, 1, &zero);
    set_link(d, op, ATTR(c->dir, CONV_DESC), conv);
    set_link(d, op,
             c->dir == DATA ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX
             : c->dir == FORWARD ? CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X
                                 : CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, d->tensor[X]);
    set_link(d, op,
             c->dir == DATA ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W
             : c->dir == FORWARD ? CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W
                                 : CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, d->tensor[W]);
    set_link(d, op,
             c->dir == DATA ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY
             : c->dir == FORWARD ? CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y
                                 : CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY, d->tensor[y]);
    finalize(d, op);
    return op;
}

static inline int64_t size_of_y(const conv_case *c, int i)
{
    int64_t room = c->x[i] + c->lo[i] + c->hi[i] - c->dilation[i] * (c->kernel[i] - 1) - 1;
    return room / c->stride[i] + 1;
}

/* The graph of c, with `wrong` in it; `handle` may be NULL. */
static inline cudnnStatus_t describe(described *d, const conv_case *c, const mistake *wrong,
                                     cudnnHandle_t handle)
{
    int64_t y[3], ones[3] = { 1, 1, 1 };
    cudnnBackendDescriptor_t ops[4];
    cudnnDataType_t in = c->type, compute = CUDNN_DATA_FLOAT;
    int last = Y, n = 0;
    memset(d, 0, sizeof *d);
    d->wrong = wrong;
    for (int i = 0; i < c->axes; i++)
        y[i] = size_of_y(c, i);
    describe_tensor(d, X, c->dir == DATA ? c->out : in, c->axes, c->n, c->c, c->x, false);
    describe_tensor(d, W, c->dir == FILTER ? c->out : in, c->axes, c->k, c->c / c->groups,
                    c->kernel, false);
    describe_tensor(d, Y, c->dir == FORWARD ? c->out : in, c->axes, c->n, c->k, y, false);
    /* From the result backwards: each step before it writes a virtual tensor. */
    if (c->residual)
        describe_tensor(d, RESIDUAL, c->out, c->axes, c->n, c->k, y, false);
    if (c->bias)
        describe_tensor(d, BIAS, CUDNN_DATA_FLOAT, c->axes, 1, c->k, ones, false);
    if (c->bias || c->residual || c->relu)
        describe_tensor(d, last = OF_CONV, compute, c->axes, c->n, c->k, y, true);
    ops[n++] = describe_conv(d, c, last);
    if (c->bias) {
        int to = c->residual || c->relu ? OF_BIAS : Y;
        if (to != Y)
            describe_tensor(d, to, compute, c->axes, c->n, c->k, y, true);
        ops[n++] = describe_pointwise(d, CUDNN_POINTWISE_ADD, last, BIAS, to, 0);
        last = to;
    }
    if (c->residual) {
        int to = c->relu ? OF_RESIDUAL : Y;
        if (to != Y)
            describe_tensor(d, to, compute, c->axes, c->n, c->k, y, true);
        ops[n++] = describe_pointwise(d, CUDNN_POINTWISE_ADD, last, RESIDUAL, to, 0);
        last = to;
    }
    if (c->relu)
        ops[n++] = describe_pointwise(d, CUDNN_POINTWISE_RELU_FWD, last, 0, Y, c->slope);
    d->graph = create(d, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    set(d, d->graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, n, ops);
    if (handle)
        set(d, d->graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle);
    finalize(d, d->graph);
    return d->status;
}

static inline void forget(described *d)
{
    for (int i = 0; i < d->n; i++)
        (void)cudnnBackendDestroyDescriptor(d->made[i]);
    d->n = 0;
}

#define SQUARE(v) { v, v, v }
static const conv_case plain_case = {
    "forward", FORWARD, 2, 2, 8, 16, 1, { 9, 7 }, { 3, 2 }, { 2, 1 }, { 1, 2 }, { 1, 0 }, { 2, 1 },
    CUDNN_DATA_FLOAT, CUDNN_DATA_FLOAT, false, false, false, 0,
};
static const conv_case fused_case = {
    "forward, bias, residual, relu", FORWARD, 2, 2, 8, 16, 1, { 8, 8 }, { 3, 3 }, SQUARE(1),
    SQUARE(1), SQUARE(1), SQUARE(1), CUDNN_DATA_BFLOAT16, CUDNN_DATA_BFLOAT16, true, true, true, 0,
};

typedef struct mistakes {
    const conv_case *of;
    const mistake *list; /* ends with NULL */
} mistakes;

#endif
