/* SPDX-License-Identifier: Apache-2.0
 *
 * The two checks made of every case, shared by the program and their files; case files do not need
 * it.
 */
#ifndef TESTS_CHECK_OPS_HARNESS_H
#define TESTS_CHECK_OPS_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/check_ops/check_ops.h"

extern uint64_t check_seed;

/* Builds a case in a new graph; NULL (and a message) when building failed. c->g is to be freed. */
gen_node *check_build(const check_case *k, check *c, gen_dtype dtype);

/* Values of input i, as double, not rounded. */
void check_draw(const check *c, int i, uint64_t salt, double *values);

/* cases.c: 0, or 1 when the gradient is wrong (messages printed). */
int check_gradient(const check_case *k);

/* kernels.c */
/* device NULL: the CPU. bench_threads 0: for tests, at several thread counts. */
void check_kernels_open(const char *device, int bench_threads);
void check_kernels_close(void);
void check_kernels_list(void);
int check_kernels(const check_case *k);
void check_support(const check_case *k);
void check_support_print(void);
void check_bench(const check_case *k);

#endif
