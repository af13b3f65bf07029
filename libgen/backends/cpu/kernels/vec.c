/* SPDX-License-Identifier: Apache-2.0
 *
 * The loops of vec.h. Plain C that the compiler vectorises; this file is built once per instruction
 * set with -DGEN_KERNEL_ISA=<isa>, and exports one table, gen_vec_<isa>.
 */
#include "libgen/backends/cpu/kernels/vec.h"

#include "libgen/backends/cpu/kernels/vec_math.h"
#include "libgen/tensor/half.h"

/* y may be an input itself: no iteration reads what another writes. */
#if defined(__clang__)
#define EACH(i, n)                                                                                 \
    _Pragma("clang loop vectorize(assume_safety)") for (int64_t i = 0; i < (n); i++)
#else
#define EACH(i, n) _Pragma("GCC ivdep") for (int64_t i = 0; i < (n); i++)
#endif

/* ---- functions of one array ---------------------------------------------------------------- */

#define UNARY(name, value)                                                                         \
    static void name(float *y, const float *x, int64_t n, float p, float q)                        \
    {                                                                                              \
        (void)p, (void)q;                                                                          \
        EACH(i, n)                                                                                 \
        {                                                                                          \
            float v = x[i];                                                                        \
            y[i] = value;                                                                          \
        }                                                                                          \
    }
UNARY(do_relu, v < 0.0f ? 0.0f : v)
UNARY(do_leaky_relu, v > 0.0f ? v : p * v)
UNARY(do_sigmoid, vec_sigmoid(v))
UNARY(do_tanh, vec_tanh(v))
UNARY(do_exp, vec_exp(v))
UNARY(do_log, vec_log(v))
UNARY(do_sqrt, __builtin_sqrtf(v))
UNARY(do_rsqrt, 1.0f / __builtin_sqrtf(v))
UNARY(do_reciprocal, 1.0f / v)
UNARY(do_square, v * v)
UNARY(do_abs, as_float(as_bits(v) & 0x7fffffffu))
UNARY(do_softplus, vec_softplus(v))
UNARY(do_affine, v * p + q)
UNARY(do_clamp, v < p ? p : v > q ? q : v)

/* ---- functions of two arrays --------------------------------------------------------------- */

#define BINARY(name, value)                                                                        \
    static void name(float *y, const float *x, const float *z, int64_t n)                          \
    {                                                                                              \
        EACH(i, n)                                                                                 \
        {                                                                                          \
            float a = x[i], b = z[i];                                                              \
            y[i] = value;                                                                          \
        }                                                                                          \
    }                                                                                              \
    static void name##_s(float *y, const float *x, const float *z, int64_t n)                      \
    {                                                                                              \
        float b = z[0];                                                                            \
        EACH(i, n)                                                                                 \
        {                                                                                          \
            float a = x[i];                                                                        \
            y[i] = value;                                                                          \
        }                                                                                          \
    }                                                                                              \
    static void s_##name(float *y, const float *x, const float *z, int64_t n)                      \
    {                                                                                              \
        float a = x[0];                                                                            \
        EACH(i, n)                                                                                 \
        {                                                                                          \
            float b = z[i];                                                                        \
            y[i] = value;                                                                          \
        }                                                                                          \
    }
BINARY(do_add, a + b)
BINARY(do_sub, a - b)
BINARY(do_mul, a * b)
BINARY(do_div, a / b)
BINARY(do_max, a > b ? a : a != a ? a : b)
BINARY(do_min, a < b ? a : a != a ? a : b)
BINARY(do_greater, a > b ? 1.0f : 0.0f)

static void lerp(float *y, const float *u, const float *a, const float *b, int64_t n)
{
    EACH(i, n)
    y[i] = u[i] * a[i] + (1.0f - u[i]) * b[i];
}

static void scale_shift(float *y, const float *x, const float *a, const float *b, int64_t n)
{
    EACH(i, n)
    y[i] = MADD(x[i], a[i], b[i]);
}

static void scale_shift_relu(float *y, const float *x, const float *a, const float *b, int64_t n)
{
    EACH(i, n)
    {
        float v = MADD(x[i], a[i], b[i]);
        y[i] = v < 0.0f ? 0.0f : v;
    }
}

static void from_bf16(float *y, const uint16_t *x, int64_t n)
{
    EACH(i, n)
    y[i] = gen_bf16_to_f32(x[i]);
}

static void to_bf16(uint16_t *y, const float *x, int64_t n)
{
    EACH(i, n)
    y[i] = gen_f32_to_bf16(x[i]);
}

/* ---- reductions ---------------------------------------------------------------------------- */

#define LANES 16

/* Element i goes to lane i % LANES; lanes are added pairwise. */
static double sum(const float *x, int64_t n)
{
    double lane[LANES] = { 0 };
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++)
            lane[k] += (double)x[i + k];
    for (int k = 0; i < n; i++, k++)
        lane[k] += (double)x[i];
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int k = 0; k < width; k++)
            lane[k] += lane[k + width];
    return lane[0];
}

/* More lanes than the compiler unrolls whole, so that it vectorises the loop over them. */
#define TOPS 64

static float dot(const float *x, const float *z, int64_t n)
{
    float lane[TOPS] = { 0 };
    int64_t i = 0;
    for (; i + TOPS <= n; i += TOPS)
        for (int k = 0; k < TOPS; k++)
            lane[k] = MADD(x[i + k], z[i + k], lane[k]);
    for (int k = 0; i < n; i++, k++)
        lane[k] = MADD(x[i], z[i], lane[k]);
    for (int width = TOPS / 2; width > 0; width /= 2)
        for (int k = 0; k < width; k++)
            lane[k] += lane[k + width];
    return lane[0];
}

static void combine(float *y, const float *k, int64_t m, const float *x, int64_t step, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = 0;
    for (int64_t j = 0; j < m; j++, x += step) {
        float a = k[j];
        EACH(i, n)
        y[i] = MADD(a, x[i], y[i]);
    }
}

static inline float larger(float a, float b)
{
    return a > b ? a : a != a ? a : b;
}

static float max(const float *x, int64_t n)
{
    float lane[TOPS];
    int64_t i = 0;
    for (int k = 0; k < TOPS; k++)
        lane[k] = -INFINITY;
    for (; i + TOPS <= n; i += TOPS)
        for (int k = 0; k < TOPS; k++)
            lane[k] = larger(x[i + k], lane[k]);
    for (int k = 0; i < n; i++, k++)
        lane[k] = larger(x[i], lane[k]);
    for (int k = 0; k < TOPS / 2; k++)
        lane[k] = larger(lane[k + TOPS / 2], lane[k]);
    for (int k = 0; k < TOPS / 4; k++)
        lane[k] = larger(lane[k + TOPS / 4], lane[k]);
    for (int k = 1; k < TOPS / 4; k++)
        lane[0] = larger(lane[k], lane[0]);
    return lane[0];
}

static void exp_minus(float *y, const float *x, int64_t n, float top)
{
    EACH(i, n)
    y[i] = vec_exp(x[i] - top);
}

static void add_into(double *to, const float *x, int64_t n)
{
    EACH(i, n)
    to[i] += (double)x[i];
}

static void max_into(double *to, const float *x, int64_t n)
{
    EACH(i, n)
    {
        double v = (double)x[i];
        to[i] = v > to[i] ? v : v != v ? v : to[i];
    }
}

static void narrow(float *y, const double *x, int64_t n, double divisor)
{
    EACH(i, n)
    y[i] = (float)(x[i] / divisor);
}

#define PASTE(a, b) a##b
#define TABLE(isa) PASTE(gen_vec_, isa)
extern const gen_vec TABLE(GEN_KERNEL_ISA);
const gen_vec TABLE(GEN_KERNEL_ISA) = {
#define X(op, NAME, size, options) [GEN_UNARY_##NAME] = do_##op,
    .unary = { GEN_UNARY_LIST(X) },
#undef X
#define X(op, NAME) [GEN_BINARY_##NAME] = do_##op,
    .binary = { GEN_BINARY_LIST(X) },
#undef X
#define X(op, NAME) [GEN_BINARY_##NAME] = do_##op##_s,
    .binary_s = { GEN_BINARY_LIST(X) },
#undef X
#define X(op, NAME) [GEN_BINARY_##NAME] = s_do_##op,
    .s_binary = { GEN_BINARY_LIST(X) },
#undef X
    .lerp = lerp,
    .scale_shift = scale_shift,
    .scale_shift_relu = scale_shift_relu,
    .from_bf16 = from_bf16,
    .to_bf16 = to_bf16,
    .sum = sum,
    .dot = dot,
    .combine = combine,
    .max = max,
    .exp_minus = exp_minus,
    .add_into = add_into,
    .max_into = max_into,
    .narrow = narrow,
};
