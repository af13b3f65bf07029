/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of the plain kernels, and the choice of their inner loops.
 */
#include "libgen/backends/cpu/vector.h"

extern const gen_vec gen_vec_base, gen_vec_avx2, gen_vec_avx512;

const gen_vec *gen_vec_of(gen_isa isa)
{
#if defined(__x86_64__)
    if (isa >= GEN_ISA_AVX512)
        return &gen_vec_avx512;
    if (isa == GEN_ISA_AVX2)
        return &gen_vec_avx2;
#endif
    (void)isa;
    return &gen_vec_base;
}

const gen_kernel *const gen_cpu_vector_kernels[] = {
    &gen_vec_unary_kernel,
    &gen_vec_binary_kernel,
    &gen_vec_lerp_kernel,
    &gen_vec_scale_shift_kernel,
    &gen_vec_cast_kernel,
    &gen_vec_softmax_kernel,
    &gen_vec_reduce_kernel,
    &gen_vec_copy_kernel,
    &gen_vec_concat_kernel,
    &gen_vec_pad_kernel,
    &gen_vec_gather_kernel,
    &gen_vec_gather_dx_kernel,
    &gen_vec_crop_kernel,
    &gen_avg_pool_kernel,
    &gen_max_pool_kernel,
    &gen_avg_pool_dx_kernel,
    &gen_max_pool_dx_kernel,
    &gen_batch_norm_kernel,
    &gen_batch_norm_dx_kernel,
    &gen_vec_unit_kernel,
    NULL,
};
