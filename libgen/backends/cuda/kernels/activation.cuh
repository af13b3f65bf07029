/* SPDX-License-Identifier: Apache-2.0
 *
 * The activation that other kernels end with.
 */
#ifndef LIBGEN_BACKENDS_CUDA_KERNELS_ACTIVATION_CUH
#define LIBGEN_BACKENDS_CUDA_KERNELS_ACTIVATION_CUH

extern "C" {
#include <libgen/ops.h>
}

#include "libgen/backends/cuda/kernels/launch.cuh"

/* v after gen_act `act`; NaN stays NaN. */
static __device__ __forceinline__ float gen_activated(int act, float slope, float v)
{
    switch (act) {
    case GEN_ACT_RELU: return v < 0 ? 0 : v;
    case GEN_ACT_LEAKY_RELU: return v > 0 ? v : slope * v;
    case GEN_ACT_SIGMOID: return 1 / (1 + expf(-v));
    case GEN_ACT_TANH: return tanhf(v);
    default: return v;
    }
}

#endif
