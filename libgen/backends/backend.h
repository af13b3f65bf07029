/* SPDX-License-Identifier: Apache-2.0
 *
 * What a backend is: a pool of threads or a device, and an ordered list of kernels per op; the
 * first that accepts a node runs it. To add a kernel: one struct gen_kernel, its entry in the
 * backend's list in front of what it beats, and check_ops tests it against the op's reference.
 */
#ifndef LIBGEN_BACKENDS_BACKEND_H
#define LIBGEN_BACKENDS_BACKEND_H

#include "libgen/backends/train.h"
#include "libgen/base/far.h"
#include "libgen/base/pool.h"
#include "libgen/graph/op.h"

typedef struct gen_backend gen_backend;
typedef struct gen_kernel gen_kernel;

/* Beyond one launch, or call, that reads each input and writes each output once. */
typedef struct gen_more {
    double bytes; /* of memory, read and written */
    int launches;
} gen_more;

/* What a kernel sees while it is prepared for one node (plan creation). Storage dtypes are those of
 * the node and its inputs. */
typedef struct gen_prepare {
    const gen_node *node;
    gen_backend *backend;
    const bool *is_const; /* [n_in]: the input has one value for the life of the plan */

    /* Value of a constant input, f32, dense; computed on first asking and released after prepare
     * returns: copy or pack it. */
    gen_status (*constant)(struct gen_prepare *p, int i, const float **values);

    /* Memory that several plans of one model share, counted and keyed by (value of constant input
     * i, kernel name, layout text): `fill` is called only when it is not there yet. It lives as
     * long as the model's store. Packed weights go here. */
    gen_status (*packed)(struct gen_prepare *p, int i, const char *layout, uint64_t bytes,
                         gen_status (*fill)(void *ctx, void *to), void *ctx, const void **out);
    void *plan; /* the plan's own */
    bool tf32;  /* f32 convolutions and products may round what they multiply to TF32 */

    /* Set by the kernel. */
    void *state;        /* passed to run; freed by kernel->free */
    uint64_t workspace; /* bytes, 64-byte aligned, any content, shared between steps */
    unsigned consumed;  /* bit i: constant input i was packed; run gets NULL for it */
    gen_more more;      /* what run does besides, for people */
} gen_prepare;

struct gen_kernel {
    const char *name; /* "onednn/conv", "winograd4", "reference" */
    const gen_op *op; /* NULL: those that `serves` says, or any */
    bool (*serves)(const gen_op *op);
    /* Cheap; a refusal is no error. is_const as in gen_prepare. */
    bool (*accepts)(const gen_node *n, const gen_backend *b, const bool *is_const);
    gen_status (*prepare)(gen_prepare *p);
    /* in[i], out[i]: dense data at addresses fixed for the life of the plan; 64-byte aligned or
     * inside a larger tensor. Allocates nothing. On a backend with far memory the data, the
     * workspace and packed weights are there, and run only queues. */
    gen_status (*run)(void *state, const void *const in[], void *const out[], void *workspace,
                      gen_backend *b);
    void (*free)(void *state); /* never given NULL; NULL: gen_free */
    unsigned flags;
};

/* run never reads input 0 after writing the same place of output 0: may be planned in place (only
 * where the op says GEN_OP_IN_PLACE). For conv: the residual's buffer may be the output's. */
enum { GEN_KERNEL_IN_PLACE = 1, GEN_KERNEL_RESIDUAL_IN_PLACE = 2 };

typedef enum gen_isa { GEN_ISA_BASE, GEN_ISA_AVX2, GEN_ISA_AVX512, GEN_ISA_AVX512_BF16 } gen_isa;

/* The best instruction set that this processor has; GEN_ISA in the environment lowers it, for
 * tests. EINVAL: GEN_ISA is no name of one. */
gen_status gen_cpu_isa(gen_isa *out);

/* The most that a device does, measured: multiply-adds between registers, copies through memory. */
typedef struct gen_peak {
    double f32, bf16; /* flops a second */
    double bytes;     /* bytes read and written a second */
} gen_peak;

struct gen_backend {
    const char *name; /* "cpu", "cuda:0" */
    const char *text; /* what it is, for people: "NVIDIA H100 (sm_90, ...)"; NULL: nothing to say */
    const gen_kernel *const *kernels; /* ends with NULL */
    const gen_train_kernels *train;
    gen_pool *pool;
    gen_isa isa;
    const gen_far *far; /* where kernels' data is; NULL: host memory, and run returns when done */
    gen_backend *host;  /* computes constants on the host where far is not NULL; owned */
    bool fast_math_off; /* --deterministic reference: only kernels named reference */
    void *impl;
    gen_status (*peak)(gen_backend *b, gen_peak *out);
    void (*close)(gen_backend *b);
};

/* Public, in <libgen/plan.h>. */
GEN_API gen_status gen_backend_open(gen_backend **out, const char *device, int threads);
GEN_API void gen_backend_close(gen_backend **b);

/* The kernels of libgen-cuda.so, without a device; NULL where there is no such library. */
GEN_API const gen_kernel *const *gen_cuda_kernels_built(void);
/* A GPU as libgen-cuda.so finds it, whether it can be used or not. */
typedef struct gen_gpu {
    char name[256];   /* "NVIDIA H100 80GB HBM3" */
    int major, minor; /* compute capability */
    uint64_t bytes;   /* of its memory */
    int driver;       /* newest CUDA that the driver is for: 13000 = 13.0 */
} gen_gpu;
/* Up to `most` of them; *n: how many there are. EDEVICE as gen_backend_open. */
GEN_API gen_status gen_cuda_gpus(gen_gpu *out, int most, int *n);
/* The devices on which these kernels' tests were seen to pass, for people; NULL: on none. */
GEN_API const char *gen_cuda_ran_on(void);

/* True when k may take nodes of this op. */
GEN_API bool gen_kernel_serves(const gen_kernel *k, const gen_op *op);
/* The first kernel that accepts n, or NULL. */
GEN_API const gen_kernel *gen_backend_choose(const gen_backend *b, const gen_node *n,
                                             const bool *is_const);
/* The same among the kernels behind `after` (NULL: among all). */
GEN_API const gen_kernel *gen_backend_choose_after(const gen_backend *b, const gen_node *n,
                                                   const bool *is_const, const gen_kernel *after);

#endif
