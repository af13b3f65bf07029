/* SPDX-License-Identifier: Apache-2.0
 *
 * What the case files of check_ops share. See ../check_ops.c for what is done with a case, and for
 * how to add an op.
 */
#ifndef TESTS_CHECK_OPS_H
#define TESTS_CHECK_OPS_H

#include <libgen/ops.h>

#include "libgen/ops/list.h"

enum { CHECK_MAX_IN = 8 };

/* How values of an input are drawn. */
typedef enum check_values {
    CHECK_UNIFORM, /* in [lo, hi) */
    CHECK_APART,   /* in [lo, hi], no two alike, none at the middle: no ties, no kinks at zero */
    CHECK_INTEGER  /* lo <= v < hi, whole numbers */
} check_values;

typedef struct check_input {
    gen_node *node;
    check_values values;
    double lo, hi;
} check_input;

/* What a case builds in. Inputs must be made in the order in which the op takes them. */
typedef struct check {
    gen_graph *g;
    const void *arg;     /* of the case */
    const gen_op *op;    /* of the case: its keep_f32 says which inputs stay f32 */
    gen_dtype dtype;     /* GEN_F32, or GEN_BF16 where kernels are tested with it */
    check_input in[CHECK_MAX_IN];
    int n_in;
} check;

/* Inputs of dtype c->dtype (f32 where the op keeps it): in [-1,1); in [lo,hi); all different (for
 * max and the like, and for functions with a kink at 0). */
gen_node *check_in(check *c, gen_shape s);
gen_node *check_in_range(check *c, gen_shape s, double lo, double hi);
gen_node *check_in_apart(check *c, gen_shape s);
/* Of c->dtype even where the op's keep_f32 says otherwise (conv's residual). */
gen_node *check_in_low(check *c, gen_shape s);
/* f32 beside inputs of another c->dtype, as constants are. */
gen_node *check_in_f32(check *c, gen_shape s);
/* Whole numbers lo <= v < hi of an integer type. */
gen_node *check_in_index(check *c, gen_shape s, gen_dtype t, int64_t lo, int64_t hi);

enum {
    CHECK_BENCH = 1,   /* only timed (--bench): too large to compare in `make test` */
    CHECK_NO_GRAD = 2, /* the gradient is not the derivative, on purpose (stop_gradient) */
    CHECK_REFUSED = 4, /* asking for the gradient must be an error (ops without grad: implied) */
    CHECK_OPTIONAL = 8 /* a form that only the plan makes: a device may take it or not */
};

typedef struct check_case {
    const gen_op *op; /* of the node that `build` returns */
    const char *name; /* "3x3 stride 2" */
    gen_node *(*build)(check *c);
    const void *arg;
    unsigned flags;
} check_case;

/* One table a family, in tests/check_ops/<family>.c; each ends with { 0 }. */
extern const check_case check_conv[], check_conv_adjoints[], check_elementwise[], check_matmul[],
    check_norm[], check_reduce[], check_resample[], check_shape[];

#endif
