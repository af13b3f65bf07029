/* SPDX-License-Identifier: Apache-2.0
 *
 * What this machine could do at most, measured when a dump asks: arithmetic in registers and a copy
 * through memory, with all threads of the pool.
 */
#include <string.h>
#include <time.h>

#include "libgen/backends/cpu/cpu.h"

double gen_peak_base(long n, float *sink);
double gen_peak_avx2(long n, float *sink);
double gen_peak_avx512(long n, float *sink);

#define ROUNDS 400000
#define COPY_BYTES ((size_t)64 << 20)

struct job {
    double (*rounds)(long n, float *sink);
    double flops[256]; /* of each thread's piece */
    char *from, *to;
    size_t bytes; /* of a piece */
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void arithmetic(void *ctx, int piece, int thread)
{
    struct job *j = ctx;
    float sink = 0;
    (void)thread;
    j->flops[piece] = j->rounds(ROUNDS, &sink) * ROUNDS + (sink == 42 ? 1 : 0);
}

static void copy(void *ctx, int piece, int thread)
{
    struct job *j = ctx;
    (void)thread;
    memcpy(j->to + (size_t)piece * j->bytes, j->from + (size_t)piece * j->bytes, j->bytes);
}

gen_status gen_cpu_peak(gen_backend *b, gen_peak *out)
{
    struct job j = { .rounds = gen_peak_base };
    int threads = gen_pool_threads(b->pool);
    gen_status status = GEN_OK;
#if defined(__x86_64__)
    j.rounds = b->isa >= GEN_ISA_AVX512 ? gen_peak_avx512
               : b->isa == GEN_ISA_AVX2 ? gen_peak_avx2
                                        : gen_peak_base;
#endif
    *out = (gen_peak){ 0 };
    j.bytes = COPY_BYTES / (size_t)threads;
    GEN_GOTO(gen_alloc((void **)&j.from, COPY_BYTES, 1, "peak"));
    GEN_GOTO(gen_alloc((void **)&j.to, COPY_BYTES, 1, "peak"));
    for (int r = 0; r < 5; r++) {
        double t = now(), flops = 0;
        gen_pool_run(b->pool, threads, arithmetic, &j);
        t = now() - t;
        for (int i = 0; i < threads; i++)
            flops += j.flops[i];
        out->f32 = flops / t > out->f32 ? flops / t : out->f32;
        t = now();
        gen_pool_run(b->pool, threads, copy, &j);
        t = now() - t;
        double bytes = 2.0 * (double)j.bytes * threads / t;
        out->bytes = bytes > out->bytes ? bytes : out->bytes;
    }
    out->bf16 = b->isa == GEN_ISA_AVX512_BF16 ? 2 * out->f32 : out->f32;
done:
    gen_free(j.from);
    gen_free(j.to);
    return status;
}
