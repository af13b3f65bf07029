/* SPDX-License-Identifier: Apache-2.0
 *
 * Built once per instruction set (GEN_KERNEL_ISA). Inner loops have a fixed trip count, which the
 * compiler turns into vectors at any -O level; the same sums in the same order everywhere.
 */
#include "libgen/backends/cpu/finish.h"

#include <math.h>
#include <string.h>

#include <libgen/ops.h>

#include "libgen/tensor/half.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define NAME JOIN(gen_finish_, GEN_KERNEL_ISA)

enum { RUN = 16 };

static inline float activate(float v, int64_t act, float slope)
{
    switch (act) {
    case GEN_ACT_RELU:
        return v < 0 ? 0 : v; /* NaN stays NaN */
    case GEN_ACT_LEAKY_RELU:
        return v < 0 ? v * slope : v;
    case GEN_ACT_SIGMOID:
        return 1.0f / (1.0f + expf(-v));
    case GEN_ACT_TANH:
        return tanhf(v);
    default:
        return v;
    }
}

/* The same as activate(), for whole runs; relu by a choice, because 0 * -infinity is NaN. */
static void pixel_f32(const gen_finish *f, const float *from, const float *r, float *y)
{
    int64_t i = 0;
    float slope = f->act == GEN_ACT_NONE ? 1 : f->slope;
    bool relu = f->act == GEN_ACT_RELU;
    if (f->act <= GEN_ACT_LEAKY_RELU)
        for (; i + RUN <= f->count; i += RUN)
            for (int j = 0; j < RUN; j++) {
                float v = from[i + j] + r[i + j];
                y[i + j] = v < 0 ? (relu ? 0 : v * slope) : v;
            }
    for (; i < f->count; i++)
        y[i] = activate(from[i] + r[i], f->act, f->slope);
}

static void pixel_bf16(const gen_finish *f, const float *from, const uint16_t *r, uint16_t *y)
{
    int64_t i = 0;
    float slope = f->act == GEN_ACT_NONE ? 1 : f->slope;
    bool relu = f->act == GEN_ACT_RELU;
    if (f->act <= GEN_ACT_LEAKY_RELU)
        for (; i + RUN <= f->count; i += RUN)
            for (int j = 0; j < RUN; j++) {
                float v = from[i + j] + gen_bf16_to_f32(r[i + j]);
                y[i + j] = gen_f32_to_bf16(v < 0 ? (relu ? 0 : v * slope) : v);
            }
    for (; i < f->count; i++)
        y[i] = gen_f32_to_bf16(activate(from[i] + gen_bf16_to_f32(r[i]), f->act, f->slope));
}

void NAME(const gen_finish *f)
{
    size_t size = f->type == GEN_BF16 ? 2 : 4, from_size = f->from_type == GEN_BF16 ? 2 : 4;
    const char *from = f->from;
    for (int64_t n = 0; n < f->n; n++)
        for (int64_t i = 0; i < f->size[0]; i++)
            for (int64_t j = 0; j < f->size[1]; j++)
                for (int64_t k = 0; k < f->size[2]; k++) {
                    size_t at = (size_t)(n * f->n_step + i * f->step[0] + j * f->step[1] +
                                         k * f->step[2]) * size;
                    char *y = (char *)f->y + at;
                    const char *r = f->residual ? (const char *)f->residual + at : NULL;
                    if (!f->residual)
                        memcpy(y, from, (size_t)f->count * size);
                    else if (f->type == GEN_BF16)
                        pixel_bf16(f, (const float *)from, (const uint16_t *)r, (uint16_t *)y);
                    else
                        pixel_f32(f, (const float *)from, (const float *)r, (float *)y);
                    from += (size_t)f->count * from_size;
                }
}
