/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernels of this folder share: the backend's own state, and how a status of CUDA, cuDNN
 * or cuBLASLt becomes ours.
 */
#ifndef LIBGEN_BACKENDS_CUDA_CUDA_H
#define LIBGEN_BACKENDS_CUDA_CUDA_H

#include <stdbool.h> /* cudnn.h uses it */

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include "libgen/backends/backend.h"

typedef struct gen_cuda { /* gen_backend.impl */
    gen_far far;
    int device;
    cudaStream_t stream; /* everything is queued here */
    cudnnHandle_t dnn;
    cublasLtHandle_t blas;
    struct gen_cudnn_plan *plans; /* of convolutions: cudnn.h */
    char name[16], text[256];
} gen_cuda;

/* Every kernel's way to CUDA. A device is current for a thread, and a thread that has never said so
 * has number 0: what fails here, fails again in the call that follows. */
static inline gen_cuda *gen_cuda_of(const gen_backend *b)
{
    gen_cuda *c = b->impl;
    (void)cudaSetDevice(c->device);
    return c;
}

static inline cudaStream_t gen_cuda_stream(const gen_backend *b)
{
    return gen_cuda_of(b)->stream;
}

/* A failed call as our status and sentence: ENOMEM where memory is short, else EDEVICE. `call` is
 * the call's text; what stands before its bracket is named. */
gen_status gen_cuda_fail(cudaError_t e, const char *call);
gen_status gen_cudnn_fail(cudnnStatus_t e, const char *call);
gen_status gen_cublas_fail(cublasStatus_t e, const char *call);

#define GEN_CUDA(call)                                                                             \
    do {                                                                                           \
        cudaError_t cuda_ = (call);                                                                \
        if (cuda_ != cudaSuccess)                                                                  \
            return gen_cuda_fail(cuda_, #call);                                                    \
    } while (0)
#define GEN_CUDNN(call)                                                                            \
    do {                                                                                           \
        cudnnStatus_t cudnn_ = (call);                                                             \
        if (cudnn_ != CUDNN_STATUS_SUCCESS)                                                        \
            return gen_cudnn_fail(cudnn_, #call);                                                  \
    } while (0)
#define GEN_CUBLAS(call)                                                                           \
    do {                                                                                           \
        cublasStatus_t cublas_ = (call);                                                           \
        if (cublas_ != CUBLAS_STATUS_SUCCESS)                                                      \
            return gen_cublas_fail(cublas_, #call);                                                \
    } while (0)
/* A launcher's status, for `return`. */
static inline gen_status gen_cuda_status(cudaError_t e, const char *what)
{
    return e == cudaSuccess ? GEN_OK : gen_cuda_fail(e, what);
}

/* What kernels/ may store and compute with: f32 and bf16. */
static inline bool gen_cuda_is_real(gen_dtype t)
{
    return t == GEN_F32 || t == GEN_BF16;
}

/* 16 bytes can be read and written at once there. */
static inline bool gen_cuda_is_wide(const void *p)
{
    return ((uintptr_t)p & 15) == 0;
}

/* ---- the library's entry points, found by name ----------------------------------------------- */

GEN_API const char *gen_cuda_version(void); /* GEN_VERSION of its build */
GEN_API const gen_kernel *const *gen_cuda_kernels(void);
/* The GPUs that the driver knows; EDEVICE: there is no driver or no GPU. */
GEN_API gen_status gen_cuda_devices(gen_gpu *out, int most, int *n);
/* On success the backend owns `host`. */
GEN_API gen_status gen_cuda_open(gen_backend **out, int device, gen_backend *host);
/* Whether cuDNN takes a conv, conv_transpose or conv_dw node as far as can be said without a
 * device: its descriptors and operation graphs. */
GEN_API gen_status gen_cuda_check_conv(const gen_node *n, bool tf32);

/* ---- lists of kernels, one a file, best first; each ends with NULL --------------------------- */

extern const gen_kernel *const gen_cuda_conv_kernels[];
extern const gen_kernel *const gen_cuda_elementwise_kernels[];
extern const gen_kernel *const gen_cuda_index_kernels[];
extern const gen_kernel *const gen_cuda_matmul_kernels[];
extern const gen_kernel *const gen_cuda_move_kernels[];
extern const gen_kernel *const gen_cuda_norm_kernels[];
extern const gen_kernel *const gen_cuda_pool_kernels[];
extern const gen_kernel *const gen_cuda_reduce_kernels[];

extern const gen_train_kernels gen_cuda_train;

#endif
