/* SPDX-License-Identifier: Apache-2.0
 *
 * What the stand-in for cuDNN makes of finalised descriptors (cudnn.cc), and what it computes
 * (cudnn_math.cc).
 */
#ifndef TESTS_CUDA_GRAPH_H
#define TESTS_CUDA_GRAPH_H

#include <map>
#include <vector>

#include <cudnn.h>

#include "tests/cuda/numbers.h"

typedef std::vector<int64_t> sizes;

struct tensor {
    int64_t uid = 0, alignment = 0;
    storage type = storage::f32;
    sizes dim, stride;
    bool is_virtual = false, by_value = false;

    int64_t count() const
    {
        int64_t n = 1;
        for (int64_t d : dim)
            n *= d;
        return n;
    }
    /* From the first byte to behind the last. */
    int64_t span() const
    {
        int64_t last = 0;
        for (size_t i = 0; i < dim.size(); i++)
            last += (dim[i] - 1) * stride[i];
        return (last + 1) * size_of(type);
    }
    bool operator==(const tensor &o) const
    {
        return uid == o.uid && alignment == o.alignment && type == o.type && dim == o.dim &&
               stride == o.stride && is_virtual == o.is_virtual && by_value == o.by_value;
    }
};

struct convolution {
    sizes stride, dilation, lo, hi;
};

struct pointwise {
    cudnnPointwiseMode_t mode = CUDNN_POINTWISE_ADD;
    double lower = 0, upper = 0, slope = 0; /* RELU */
    bool has_upper = false;
};

struct operation {
    enum what { forward, data, filter, point, product } kind = forward;
    std::vector<tensor> in; /* forward x, w; data dy, w; filter x, dy; point x[, b]; product a, b */
    tensor out;
    convolution conv;
    pointwise pw;
    double alpha = 1, beta = 0; /* of a convolution: out = alpha * result + beta * out */
    double alpha2 = 1;          /* of point: op(alpha * x, alpha2 * b) */
};

/* What an engine does besides computing. */
struct habits {
    bool tf32 = false;     /* reads f32 operands of convolutions and products as TF32 */
    double noise = 0;      /* relative: results of an engine that promises no equal bytes */
};

/* In order of execution; `at` holds the address of each tensor that is not virtual. */
void run_graph(const std::vector<operation> &ops, const std::map<int64_t, void *> &at,
               const habits &how);

#endif
