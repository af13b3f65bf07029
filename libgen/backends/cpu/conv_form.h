/* SPDX-License-Identifier: Apache-2.0
 *
 * The normal form of a convolution: whatever the op says (strides, fused up-sampling or pooling,
 * the transposed convolution), it is done as one or more plain convolutions, the phases, whose
 * results interleave: y[every * q + at] = phase_at(x)[q] on each spatial axis.
 *
 *   plain      one phase, the weights as they are
 *   up u       u phases an axis: taps that fall on one cell of x are summed beforehand
 *   pool u     one phase, kernel k + stride (u-1), stride times u, weights summed and divided by u
 *   transposed a phase for each residue of the stride, each with the taps that reach it
 *
 * Sums are exact at borders: a tap outside the up-sampled x is outside x too.
 */
#ifndef LIBGEN_BACKENDS_CPU_CONV_FORM_H
#define LIBGEN_BACKENDS_CPU_CONV_FORM_H

#include "libgen/ops/shape_rules.h"

typedef struct gen_conv_term { /* w_phase[to] += k * w[from], positions in the kernels */
    int from, to;
    float k;
} gen_conv_term;

typedef struct gen_conv_phase {
    int64_t at[3]; /* residue of y's index on each axis */
    int64_t taps[3], stride[3], dilation[3], pad_lo[3], out[3];
    int n_terms;
    gen_conv_term *term;
} gen_conv_phase;

typedef struct gen_conv_form {
    int axes;
    int64_t n, groups, cin, cout; /* channels read and written */
    int64_t in[3], out[3];        /* sizes read and written */
    int64_t kernel[3];            /* of the weights as given */
    int64_t every[3];
    bool transposed; /* weights are [cin,cout/groups,*k] instead of [cout,cin/groups,*k] */
    bool identity;   /* one phase, weights as given */
    int phases;
    gen_conv_phase *phase;
} gen_conv_form;

/* The node is a conv or conv_transpose. supported: whether it has a form; allocates nothing. */
bool gen_conv_form_supported(const gen_node *n);
gen_status gen_conv_form_create(gen_conv_form *out, const gen_node *n);
/* y [rows,cout] = x [rows,cin] * w^T: a 1x1 convolution. transposed: w is [cin,cout]. */
gen_status gen_conv_form_linear(gen_conv_form *out, int64_t rows, int64_t cin, int64_t cout,
                                bool transposed);
void gen_conv_form_free(gen_conv_form *f);

/* Weights of a phase for written channels [first, first + count): to [count,cin/groups,*taps]. */
void gen_conv_form_weights(const gen_conv_form *f, int phase, int64_t first, int64_t count,
                           const float *w, float *to);

#endif
