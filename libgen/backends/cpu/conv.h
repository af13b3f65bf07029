/* SPDX-License-Identifier: Apache-2.0
 *
 * Running a gen_conv_form through oneDNN on the pool; shared by the convolutions and by products
 * with one matrix for all rows.
 */
#ifndef LIBGEN_BACKENDS_CPU_CONV_H
#define LIBGEN_BACKENDS_CPU_CONV_H

#include "libgen/backends/cpu/conv_form.h"
#include "libgen/backends/cpu/cpu.h"

typedef struct gen_conv_job gen_conv_job;

typedef struct gen_conv_spec {
    gen_dtype dtype; /* of x, y and residual */
    bool has_bias, has_residual;
    int64_t act;
    double slope;
} gen_conv_spec;

/* Inputs of p->node: 0 x, 1 weights, then bias and residual if the spec has them. Takes the form
 * over (empties it). Sets p->state, workspace and consumed. */
gen_status gen_conv_job_prepare(gen_prepare *p, gen_conv_form *form, const gen_conv_spec *spec);
gen_status gen_conv_job_run(void *job, const void *const in[], void *const out[], void *workspace,
                            gen_backend *b);
void gen_conv_job_free(void *job);

#endif
