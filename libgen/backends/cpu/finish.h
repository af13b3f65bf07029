/* SPDX-License-Identifier: Apache-2.0
 *
 * Puts a dense block of results in its place in y: pixels of `count` channels, with steps between
 * pixels on three axes, plus a residual and an activation. Built once per instruction set.
 */
#ifndef LIBGEN_BACKENDS_CPU_FINISH_H
#define LIBGEN_BACKENDS_CPU_FINISH_H

#include "libgen/backends/backend.h"

typedef struct gen_finish {
    const void *from;     /* dense [n,*size,count]: f32, or y's own type (then a mere copy) */
    const void *residual; /* laid out as y, may be y; NULL: none */
    void *y;
    int64_t n, size[3], count;
    int64_t n_step, step[3]; /* of y, elements */
    gen_dtype from_type, type;
    int64_t act;
    float slope;
} gen_finish;

typedef void gen_finish_fn(const gen_finish *f);
gen_finish_fn gen_finish_base, gen_finish_avx2, gen_finish_avx512;
gen_finish_fn *gen_finish_for(gen_isa isa);

#endif
