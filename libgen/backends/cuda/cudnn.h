/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolutions through cuDNN's graph API: a description becomes an operation graph, the graph an
 * execution plan. Plans are kept by the backend, one for all convolutions that are alike, and on
 * disk (plan_cache.h).
 */
#ifndef LIBGEN_BACKENDS_CUDA_CUDNN_H
#define LIBGEN_BACKENDS_CUDA_CUDNN_H

#include "libgen/backends/cuda/cuda.h"

/* Tensors of a graph; their identifiers are 1 more. */
enum {
    GEN_CUDNN_X,
    GEN_CUDNN_W,
    GEN_CUDNN_Y,
    GEN_CUDNN_BIAS,
    GEN_CUDNN_RESIDUAL,
    GEN_CUDNN_TENSORS
};

/* Every tensor stands at a multiple of this, the workspace of GEN_CUDNN_ROOM. */
enum { GEN_CUDNN_ALIGNMENT = 16, GEN_CUDNN_ROOM = 256 };

/* A convolution as cuDNN is asked for it. Compared and digested as bytes: whole numbers of one size
 * leave no holes. x and y channels last, w [Cout][tap][Cin/groups]. */
typedef struct gen_cudnn_conv {
    int64_t way;  /* GEN_CUDA_CONV_ of kernels/conv.h */
    int64_t axes; /* 2 or 3: the last ones of each triple */
    int64_t n, groups, cin, cout;
    int64_t x[3], y[3], kernel[3], stride[3], dilation[3], pad_lo[3], pad_hi[3];
    int64_t from, to;       /* gen_dtype of what is multiplied, of the result */
    int64_t bias, residual; /* there or not; added to the result, */
    int64_t act;            /* before this gen_act */
    double slope;
    int64_t tf32; /* f32 may be rounded to TF32 */
} gen_cudnn_conv;

/* Descriptors that are made one after the other and go together. */
typedef struct gen_cudnn_graph {
    cudnnBackendDescriptor_t made[32], graph;
    int n;
} gen_cudnn_graph;

/* The operation graph; handle NULL: as far as it can be made without a device. EUNSUPPORTED: cuDNN
 * does not take it. Free it whatever is returned. */
gen_status gen_cudnn_graph_make(gen_cudnn_graph *g, const gen_cudnn_conv *c, cudnnHandle_t handle);
void gen_cudnn_graph_free(gen_cudnn_graph *g);

typedef struct gen_cudnn_plan {
    gen_cudnn_conv conv;
    cudnnBackendDescriptor_t plan; /* NULL: cuDNN has no engine for it */
    uint64_t workspace;
    struct gen_cudnn_plan *next;
    gen_cudnn_graph from; /* what the plan was made of */
} gen_cudnn_plan;

/* The backend's plan for c. EUNSUPPORTED: no engine gives the same bytes each time at the accuracy
 * that c asks for, in the room that there is. */
gen_status gen_cudnn_plan_get(gen_cuda *cuda, const gen_cudnn_conv *c, const gen_cudnn_plan **out);
void gen_cudnn_plans_free(gen_cudnn_plan *list);

/* Addresses of an execution; zero it first. */
typedef struct gen_cudnn_pack {
    cudnnBackendDescriptor_t pack;
    void *at[GEN_CUDNN_TENSORS], *workspace;
} gen_cudnn_pack;

/* Queues an execution; at[i] is NULL for tensors that the plan does not have. */
gen_status gen_cudnn_run(gen_cuda *cuda, const gen_cudnn_plan *p, gen_cudnn_pack *pack,
                         void *const at[GEN_CUDNN_TENSORS], void *workspace);
void gen_cudnn_pack_free(gen_cudnn_pack *pack);

#endif
