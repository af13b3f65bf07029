/* SPDX-License-Identifier: Apache-2.0
 *
 * What the device does at most, measured when a dump asks: a large product by cuBLASLt, in f32
 * without TF32 and in bf16, and a large copy.
 */
#include "libgen/backends/cuda/cublas.h"

#include <libgen/random.h>

#define ENOUGH 1e-3                      /* seconds of a product */
#define COPY_BYTES ((uint64_t)256 << 20) /* more than a cache */

enum { ROUNDS = 5 };

typedef struct trial {
    const gen_cuda *c;
    const gen_cublas *product; /* NULL: a copy */
    uint64_t bytes;            /* of a copy */
    char *place[4];            /* two inputs, result, workspace */
    cudaEvent_t start, end;
} trial;

static gen_status once(const trial *t)
{
    if (t->product)
        return gen_cublas_run(t->product, t->c, t->place[0], t->place[1], t->place[2], t->place[3]);
    return t->c->far.copy(t->c->far.ctx, t->place[1], t->place[0], t->bytes);
}

/* The least time of several, in seconds. */
static gen_status least(const trial *t, double *seconds)
{
    *seconds = 0;
    for (int i = 0; i < ROUNDS; i++) {
        float ms = 0;
        GEN_CUDA(cudaEventRecord(t->start, t->c->stream));
        GEN_TRY(once(t));
        GEN_CUDA(cudaEventRecord(t->end, t->c->stream));
        GEN_CUDA(cudaEventSynchronize(t->end));
        GEN_CUDA(cudaEventElapsedTime(&ms, t->start, t->end));
        if (ms > 0 && (*seconds == 0 || 1e-3 * ms < *seconds))
            *seconds = 1e-3 * ms;
    }
    if (*seconds == 0)
        return gen_fail(GEN_EDEVICE, "%s: its clock stands still", t->c->name);
    return GEN_OK;
}

static void release(trial *t)
{
    (void)cudaStreamSynchronize(t->c->stream); /* what was queued uses them */
    for (int i = 0; i < GEN_LEN(t->place); i++) {
        t->c->far.free(t->place[i]);
        t->place[i] = NULL;
    }
}

static gen_status make_place(trial *t, int i, uint64_t bytes)
{
    void *p;
    GEN_TRY(t->c->far.alloc(t->c->far.ctx, &p, bytes, "peak"));
    t->place[i] = p;
    return t->c->far.zero(t->c->far.ctx, p, bytes);
}

/* Zeros take less power, and a product of them less time: numbers in [0, 1), some of them again and
 * again. */
static gen_status make_factor(trial *t, int i, uint64_t bytes, gen_dtype dtype)
{
    enum { SOME = 4096 };
    static const char name[] = "peak";
    float some[SOME];
    uint16_t low[SOME];
    const gen_far *far = &t->c->far;
    uint64_t have = SOME * gen_dtype_size(dtype);
    have = have < bytes ? have : bytes;
    GEN_TRY(make_place(t, i, bytes));
    gen_random_uniform(some, SOME, (uint64_t)i, gen_stream(name), 0);
    gen_convert(low, GEN_BF16, some, GEN_F32, SOME);
    GEN_TRY(far->put(far->ctx, t->place[i], dtype == GEN_BF16 ? (void *)low : some, have));
    for (; have < bytes; have *= 2)
        GEN_TRY(far->copy(far->ctx, t->place[i] + have, t->place[i],
                          have < bytes - have ? have : bytes - have));
    return GEN_OK;
}

/* One product of this size. */
static gen_status time_product(trial *t, gen_dtype dtype, int64_t edge, double *seconds)
{
    gen_status status = GEN_OK;
    gen_product p = { .batch = 1, .m = edge, .n = edge, .k = edge, .dtype = dtype };
    gen_cublas *g;
    GEN_TRY(gen_cublas_create(&g, t->c, &p));
    t->product = g;
    for (int i = 0; i < 2; i++)
        GEN_GOTO(make_factor(t, i, (uint64_t)(edge * edge) * gen_dtype_size(dtype), dtype));
    GEN_GOTO(make_place(t, 2, (uint64_t)(edge * edge) * gen_dtype_size(dtype)));
    GEN_GOTO(make_place(t, 3, gen_cublas_workspace(g)));
    GEN_GOTO(least(t, seconds));
done:
    t->product = NULL;
    release(t);
    gen_cublas_free(g);
    return status;
}

/* Larger ones until the launch does not count, or a quarter of the memory that is left is used. */
static gen_status product_rate(trial *t, gen_dtype dtype, uint64_t left, double *out)
{
    double seconds = 0;
    for (int64_t edge = 256;; edge *= 2) {
        GEN_TRY(time_product(t, dtype, edge, &seconds));
        *out = 2.0 * (double)edge * (double)edge * (double)edge / seconds;
        if (seconds > ENOUGH || 3 * 4 * (uint64_t)(edge * edge) * gen_dtype_size(dtype) > left / 4)
            return GEN_OK;
    }
}

static gen_status copy_rate(trial *t, uint64_t left, double *out)
{
    gen_status status = GEN_OK;
    double seconds;
    t->bytes = left / 8 < COPY_BYTES ? left / 8 : COPY_BYTES;
    GEN_GOTO(make_place(t, 0, t->bytes));
    GEN_GOTO(make_place(t, 1, t->bytes));
    GEN_GOTO(least(t, &seconds));
    *out = 2.0 * (double)t->bytes / seconds;
done:
    release(t);
    return status;
}

static gen_status make_events(trial *t)
{
    GEN_CUDA(cudaEventCreate(&t->start));
    GEN_CUDA(cudaEventCreate(&t->end));
    return GEN_OK;
}

gen_status gen_cuda_peak(gen_backend *b, gen_peak *out)
{
    gen_status status = GEN_OK;
    trial t = { .c = gen_cuda_of(b) };
    uint64_t left, total;
    *out = (gen_peak){ 0 };
    GEN_GOTO(t.c->far.room(t.c->far.ctx, &left, &total));
    GEN_GOTO(make_events(&t));
    GEN_GOTO(product_rate(&t, GEN_F32, left, &out->f32));
    GEN_GOTO(product_rate(&t, GEN_BF16, left, &out->bf16));
    GEN_GOTO(copy_rate(&t, left, &out->bytes));
done:
    if (t.start)
        (void)cudaEventDestroy(t.start);
    if (t.end)
        (void)cudaEventDestroy(t.end);
    return status;
}
