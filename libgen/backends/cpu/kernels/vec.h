/* SPDX-License-Identifier: Apache-2.0
 *
 * Inner loops over contiguous f32 (and bf16 <-> f32), written once in plain C (vec.c) and built
 * once per instruction set; gen_vec_of picks a table at run time.
 *
 * Every element is computed by the same arithmetic wherever it lies, so cutting an array
 * differently gives the same bytes. Reductions add into fixed lanes by index: their result depends
 * on the length only. y may be equal to an input, but may not overlap one in any other way.
 * Operands that are bf16 are converted by the caller, in blocks that stay in L1.
 */
#ifndef LIBGEN_BACKENDS_CPU_KERNELS_VEC_H
#define LIBGEN_BACKENDS_CPU_KERNELS_VEC_H

#include "libgen/backends/backend.h"
#include "libgen/ops/elementwise.h"

typedef void gen_vec_unary(float *y, const float *x, int64_t n, float p, float q);
typedef void gen_vec_binary(float *y, const float *a, const float *b, int64_t n);

typedef struct gen_vec {
    gen_vec_unary *unary[GEN_UNARY_COUNT];
    gen_vec_binary *binary[GEN_BINARY_COUNT];   /* a[n], b[n] */
    gen_vec_binary *binary_s[GEN_BINARY_COUNT]; /* a[n], b[1] */
    gen_vec_binary *s_binary[GEN_BINARY_COUNT]; /* a[1], b[n] */
    /* u*a + (1-u)*b */
    void (*lerp)(float *y, const float *u, const float *a, const float *b, int64_t n);
    /* x*a + b, and max(0, x*a + b) */
    void (*scale_shift)(float *y, const float *x, const float *a, const float *b, int64_t n);
    void (*scale_shift_relu)(float *y, const float *x, const float *a, const float *b, int64_t n);

    void (*from_bf16)(float *y, const uint16_t *x, int64_t n);
    void (*to_bf16)(uint16_t *y, const float *x, int64_t n); /* to nearest even; NaN stays NaN */

    double (*sum)(const float *x, int64_t n);
    float (*dot)(const float *x, const float *z, int64_t n);
    /* y[i] = sum of k[j] * x[j * step + i] over j < m, in the order of j; y is no input */
    void (*combine)(float *y, const float *k, int64_t m, const float *x, int64_t step, int64_t n);
    float (*max)(const float *x, int64_t n); /* NaN wins */
    void (*exp_minus)(float *y, const float *x, int64_t n, float top); /* exp(x - top) */
    void (*add_into)(double *sum, const float *x, int64_t n);
    void (*max_into)(double *top, const float *x, int64_t n);
    void (*narrow)(float *y, const double *x, int64_t n, double divisor); /* x / divisor */
} gen_vec;

const gen_vec *gen_vec_of(gen_isa isa);

#endif
