/* SPDX-License-Identifier: Apache-2.0
 *
 * The loops of norm.h. Plain C that the compiler vectorises; built once per instruction set with
 * -DGEN_KERNEL_ISA=<isa>, exporting gen_norm_loops_<isa>[2]. Rows are added four at a time, in
 * their order, so that sums stay in registers longer; the result depends on n and width only.
 */
#include "libgen/backends/cpu/kernels/norm.h"

#include "libgen/tensor/half.h"

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)

static inline float load_f32(float v)
{
    return v;
}

static inline float store_f32(float v)
{
    return v;
}

#define load_bf16 gen_bf16_to_f32
#define store_bf16 gen_f32_to_bf16

/* y may be x itself: no iteration reads what another writes. */
#if defined(__clang__)
#define EACH(i, n)                                                                                 \
    _Pragma("clang loop vectorize(assume_safety)") for (int64_t i = 0; i < (n); i++)
#else
#define EACH(i, n) _Pragma("GCC ivdep") for (int64_t i = 0; i < (n); i++)
#endif

#define LOOPS(T, t)                                                                                \
    static void moments_##t(double *sum, double *square, const void *from, int64_t n,              \
                            int64_t width)                                                         \
    {                                                                                              \
        const T *x = from;                                                                         \
        for (; n >= 4 * width; n -= 4 * width, x += 4 * width) {                                   \
            EACH(i, width)                                                                         \
            {                                                                                      \
                double a = load_##t(x[i]), b = load_##t(x[i + width]);                             \
                double c = load_##t(x[i + 2 * width]), d = load_##t(x[i + 3 * width]);             \
                sum[i] += a + b + c + d;                                                           \
                square[i] += a * a + b * b + c * c + d * d;                                        \
            }                                                                                      \
        }                                                                                          \
        for (; n > 0; n -= width, x += width) {                                                    \
            int64_t m = n < width ? n : width;                                                     \
            EACH(i, m)                                                                             \
            {                                                                                      \
                double a = load_##t(x[i]);                                                         \
                sum[i] += a;                                                                       \
                square[i] += a * a;                                                                \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void products_##t(double *sum, double *dot, const void *from, const void *grad,         \
                             const float *mean, int64_t n, int64_t width)                          \
    {                                                                                              \
        const T *x = from, *dy = grad;                                                             \
        for (; n > 0; n -= width, x += width, dy += width) {                                       \
            int64_t m = n < width ? n : width;                                                     \
            EACH(i, m)                                                                             \
            {                                                                                      \
                double d = load_##t(dy[i]);                                                        \
                sum[i] += d;                                                                       \
                dot[i] += d * ((double)load_##t(x[i]) - mean[i]);                                  \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void normalise_##t(void *to, const void *from, const float *mean, const float *k,       \
                              int64_t n, int64_t width)                                            \
    {                                                                                              \
        const T *x = from;                                                                         \
        T *y = to;                                                                                 \
        for (; n > 0; n -= width, x += width, y += width) {                                        \
            int64_t m = n < width ? n : width;                                                     \
            EACH(i, m)                                                                             \
            y[i] = store_##t((load_##t(x[i]) - mean[i]) * k[i]);                                   \
        }                                                                                          \
    }                                                                                              \
    static void backward_##t(void *to, const void *from, const void *grad,                         \
                             const float *const row[4], int64_t n, int64_t width)                  \
    {                                                                                              \
        const float *mean = row[0], *k = row[1], *shift = row[2], *slope = row[3];                 \
        const T *x = from, *dy = grad;                                                             \
        T *dx = to;                                                                                \
        for (; n > 0; n -= width, x += width, dy += width, dx += width) {                          \
            int64_t m = n < width ? n : width;                                                     \
            EACH(i, m)                                                                             \
            dx[i] = store_##t(k[i] * (load_##t(dy[i]) - shift[i]) -                                \
                              (load_##t(x[i]) - mean[i]) * slope[i]);                              \
        }                                                                                          \
    }

LOOPS(float, f32)
LOOPS(uint16_t, bf16)

extern const gen_norm_loops PASTE(gen_norm_loops_, GEN_KERNEL_ISA)[2];
const gen_norm_loops PASTE(gen_norm_loops_, GEN_KERNEL_ISA)[2] = {
    { moments_f32, products_f32, normalise_f32, backward_f32 },
    { moments_bf16, products_bf16, normalise_bf16, backward_bf16 },
};
