/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernels that tests/unit/cuda_emulator.c runs: right ones, and ones with a fault to be found.
 */
#ifndef LIBGEN_TESTS_CUDA_SELFTEST_H
#define LIBGEN_TESTS_CUDA_SELFTEST_H

#include <stdint.h>

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct selftest_args {
    const void *x;
    void *y;
    int64_t n;
    int rows, cols;
} selftest_args;

/* y[b] = sum of the bth 256 of n floats: shared memory and shuffles. */
cudaError_t selftest_sum(const selftest_args *a, cudaStream_t s);
/* y[cols, rows] = x[rows, cols], floats, through a tile. */
cudaError_t selftest_transpose(const selftest_args *a, cudaStream_t s);
/* The same without the barrier between writing the tile and reading it. */
cudaError_t selftest_transpose_racing(const selftest_args *a, cudaStream_t s);
/* y = 2 x + 1, bf16. */
cudaError_t selftest_bf16(const selftest_args *a, cudaStream_t s);
/* y = 2 x + 1, floats; rows more elements than n are written. */
cudaError_t selftest_affine(const selftest_args *a, cudaStream_t s);
/* y[i], int32 [32, 5]: for lane i ballot of odd lanes, any, all, shuffles up and from lane 3. */
cudaError_t selftest_votes(const selftest_args *a, cudaStream_t s);
/* y[0] += 1 by each of n threads, int32. */
cudaError_t selftest_count(const selftest_args *a, cudaStream_t s);
/* The first 100 threads of 128 come to the barrier. */
cudaError_t selftest_diverging(const selftest_args *a, cudaStream_t s);
/* The first 20 lanes come to the shuffle. */
cudaError_t selftest_lanes(const selftest_args *a, cudaStream_t s);
/* y[i] = shared memory that nobody wrote, 64 floats. */
cudaError_t selftest_unwritten(const selftest_args *a, cudaStream_t s);
/* A block of `rows` threads. */
cudaError_t selftest_block(const selftest_args *a, cudaStream_t s);

#ifdef __cplusplus
}
#endif
#endif
