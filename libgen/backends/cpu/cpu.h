/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernels of the CPU share: the backend's own state and small helpers.
 */
#ifndef LIBGEN_BACKENDS_CPU_CPU_H
#define LIBGEN_BACKENDS_CPU_CPU_H

#include <stdatomic.h>

#include "libgen/backends/backend.h"
#include "libgen/backends/cpu/dnnl.h"

gen_status gen_cpu_open(gen_backend **out, int threads);
gen_status gen_cpu_peak(gen_backend *b, gen_peak *out);
extern const gen_train_kernels gen_cpu_train;

typedef struct gen_cpu { /* gen_backend.impl */
    gen_dnnl *dnnl;
    const gen_kernel **kernels;
} gen_cpu;

static inline gen_dnnl *gen_cpu_dnnl(const gen_backend *b)
{
    return ((const gen_cpu *)b->impl)->dnnl;
}

static inline uint64_t gen_cpu_align(uint64_t bytes)
{
    return (bytes + 63) & ~(uint64_t)63;
}

/* Scratch and memory objects of a job with few pieces need not exist for every thread: a lane
 * belongs to one piece at a time. */
static inline int gen_cpu_lanes(const gen_backend *b, int64_t pieces)
{
    int threads = gen_pool_threads(b->pool);
    return pieces < threads ? (int)pieces : threads;
}

static inline int gen_cpu_lane(const gen_backend *b, int64_t pieces, int piece, int thread)
{
    return pieces < gen_pool_threads(b->pool) ? piece : thread;
}

/* Kernels of this folder, best first; the list itself is in cpu.c. */
extern const gen_kernel gen_dnnl_conv_kernel, gen_dnnl_conv_transpose_kernel;
extern const gen_kernel gen_dnnl_conv_dw_kernel;
extern const gen_kernel gen_dnnl_linear_kernel, gen_dnnl_matmul_kernel;
extern const gen_kernel gen_reference_kernel;

#endif
