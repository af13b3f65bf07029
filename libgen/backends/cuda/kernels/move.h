/* SPDX-License-Identifier: Apache-2.0
 *
 * Launcher of kernels/move.cu.
 */
#ifndef LIBGEN_BACKENDS_CUDA_KERNELS_MOVE_H
#define LIBGEN_BACKENDS_CUDA_KERNELS_MOVE_H

#include <stdbool.h>
#include <stdint.h>

#include <cuda_runtime_api.h>

#include "libgen/backends/moves.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The elements of `to` that `move`, joined, goes through. With a window only those at lo <= index
 * < lo + size along each axis have a source, counted from lo; the others become `value`. */
typedef struct gen_cuda_move_args {
    const void *from;
    void *to;
    gen_move move;
    bool window;
    int64_t lo[GEN_MAX_RANK], size[GEN_MAX_RANK];
    uint8_t value[16]; /* as often as it fits */
} gen_cuda_move_args;
cudaError_t gen_cuda_move(const gen_cuda_move_args *a, cudaStream_t s);

#ifdef __cplusplus
}
#endif
#endif
