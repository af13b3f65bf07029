/* SPDX-License-Identifier: Apache-2.0
 *
 * The CPU backend: which instruction set there is, the pool, and the order of the kernels.
 */
#include "libgen/backends/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "libgen/backends/cpu/finish.h"
#include "libgen/backends/cpu/vector.h"

extern const gen_kernel gen_winograd_conv, gen_matvec_kernel, gen_turn_kernel;

/* In front what beats what stands behind it. */
static const gen_kernel *const library_kernels[] = {
    &gen_winograd_conv,
#ifdef GEN_WITH_ONEDNN
    &gen_dnnl_conv_kernel,    &gen_dnnl_conv_transpose_kernel,
    &gen_dnnl_conv_dw_kernel, &gen_dnnl_linear_kernel,
#endif
    &gen_matvec_kernel,
#ifdef GEN_WITH_ONEDNN
    &gen_dnnl_matmul_kernel,
#endif
    &gen_turn_kernel,         NULL,
};
static const gen_kernel *const last_kernels[] = { &gen_reference_kernel, NULL };

static const gen_kernel *const *const groups[] = {
    library_kernels,
    gen_cpu_vector_kernels,
    last_kernels,
};

static gen_isa detect(void)
{
#if defined(__x86_64__)
    unsigned a = 0, b = 0, c = 0, d = 0;
    __builtin_cpu_init();
    bool f16c = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C); /* clang 14 has no name for it */
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !f16c)
        return GEN_ISA_BASE;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl"))
        return GEN_ISA_AVX2;
    if (__get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 5))
        return GEN_ISA_AVX512_BF16;
    return GEN_ISA_AVX512;
#else
    return GEN_ISA_BASE;
#endif
}

gen_status gen_cpu_isa(gen_isa *out)
{
    static const char *const names[] = { "base", "avx2", "avx512", "avx512_bf16" };
    const char *wanted = getenv("GEN_ISA");
    *out = detect();
    if (!wanted || !*wanted)
        return GEN_OK;
    for (int i = 0; i < GEN_LEN(names); i++) {
        if (strcmp(wanted, names[i]) == 0) {
            if ((gen_isa)i < *out)
                *out = (gen_isa)i;
            return GEN_OK;
        }
    }
    return gen_fail(GEN_EINVAL, "GEN_ISA: found '%s', expected base, avx2, avx512 or avx512_bf16",
                    wanted);
}

gen_finish_fn *gen_finish_for(gen_isa isa)
{
#if defined(__x86_64__)
    return isa >= GEN_ISA_AVX512 ? gen_finish_avx512 :
           isa == GEN_ISA_AVX2 ? gen_finish_avx2 : gen_finish_base;
#else
    (void)isa;
    return gen_finish_base;
#endif
}

static gen_status list_kernels(const gen_kernel ***out)
{
    int n = 0;
    for (int i = 0; i < GEN_LEN(groups); i++)
        for (int k = 0; groups[i][k]; k++)
            n++;
    GEN_TRY(GEN_ALLOC(out, n + 1, "list of kernels"));
    n = 0;
    for (int i = 0; i < GEN_LEN(groups); i++)
        for (int k = 0; groups[i][k]; k++)
            (*out)[n++] = groups[i][k];
    return GEN_OK;
}

static void close_cpu(gen_backend *b)
{
    gen_cpu *c = b->impl;
    gen_pool_free(&b->pool);
    if (c) {
        gen_dnnl_close(&c->dnnl);
        gen_free(c->kernels);
    }
    gen_free(c);
    gen_free(b);
}

gen_status gen_cpu_open(gen_backend **out, int threads)
{
    gen_status status = GEN_OK;
    gen_backend *b;
    gen_cpu *c;
    gen_isa isa;
    GEN_TRY(gen_cpu_isa(&isa));
    GEN_TRY(GEN_ALLOC(&b, 1, "backend"));
    b->name = "cpu";
    b->isa = isa;
    b->train = &gen_cpu_train;
    b->peak = gen_cpu_peak;
    b->close = close_cpu;
    GEN_GOTO(GEN_ALLOC(&c, 1, "backend"));
    b->impl = c;
    GEN_GOTO(list_kernels(&c->kernels));
    b->kernels = c->kernels;
    GEN_GOTO(gen_pool_create_with(&b->pool, threads, gen_dnnl_one_thread));
    GEN_GOTO(gen_dnnl_open(&c->dnnl, gen_pool_threads(b->pool), isa));
    *out = b;
    b = NULL;
done:
    if (b)
        close_cpu(b);
    return status;
}
