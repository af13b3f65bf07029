/* SPDX-License-Identifier: Apache-2.0
 *
 * The plain kernels of the CPU: element by element, reductions, softmax, copies, indexing. Each is
 * a way to cut an op into pieces (here) around inner loops (kernels/vec.h).
 *
 * Pieces depend on shapes alone, of about GEN_PIECE elements; work below GEN_SMALL elements runs in
 * the caller, because waking a thread costs more.
 */
#ifndef LIBGEN_BACKENDS_CPU_VECTOR_H
#define LIBGEN_BACKENDS_CPU_VECTOR_H

#include "libgen/backends/backend.h"
#include "libgen/backends/cpu/kernels/vec.h"

#define GEN_PIECE 32768
#define GEN_SMALL 8192

/* elementwise.c, reduce.c, softmax.c, copy_ops.c, index.c, pool.c, norm.c; NULL-ended, no two
 * accept one node. */
extern const gen_kernel *const gen_cpu_vector_kernels[];

extern const gen_kernel gen_vec_unary_kernel, gen_vec_binary_kernel, gen_vec_lerp_kernel;
extern const gen_kernel gen_vec_scale_shift_kernel, gen_vec_cast_kernel;
extern const gen_kernel gen_vec_softmax_kernel, gen_vec_reduce_kernel;
extern const gen_kernel gen_vec_copy_kernel, gen_vec_concat_kernel, gen_vec_pad_kernel;
extern const gen_kernel gen_avg_pool_kernel, gen_max_pool_kernel;       /* pool.c */
extern const gen_kernel gen_avg_pool_dx_kernel, gen_max_pool_dx_kernel;
extern const gen_kernel gen_batch_norm_kernel, gen_batch_norm_dx_kernel; /* norm.c */
extern const gen_kernel gen_vec_unit_kernel;                             /* norm.c */
extern const gen_kernel gen_vec_gather_kernel, gen_vec_gather_dx_kernel, gen_vec_crop_kernel;

/* Runs fn over pieces; in the caller when all of them together are small. */
static inline void gen_vec_run(gen_backend *b, int64_t pieces, int64_t elements, gen_pool_fn *fn,
                               void *ctx)
{
    gen_pool_run(elements < GEN_SMALL ? NULL : b->pool, (int)pieces, fn, ctx);
}

static inline bool gen_vec_is_float(gen_dtype t)
{
    return t == GEN_F32 || t == GEN_BF16;
}

static inline int64_t gen_vec_ceil(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

#endif
