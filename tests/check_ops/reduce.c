/* SPDX-License-Identifier: Apache-2.0
 *
 * Cases of sum, mean, max_over, sum_to and softmax: kept and reduced axes in every order, short and
 * long on either side.
 */
#include "tests/check_ops/check_ops.h"

typedef struct reduce_case {
    gen_shape x;
    unsigned axes;
} reduce_case;

static gen_node *build_sum(check *c)
{
    const reduce_case *k = c->arg;
    return gen_sum(c->g, check_in(c, k->x), k->axes);
}

/* Away from 0: where the mean of many values nearly vanishes, a relative error says nothing. */
static gen_node *build_mean(check *c)
{
    const reduce_case *k = c->arg;
    return gen_mean(c->g, check_in_range(c, k->x, -0.5, 1.5), k->axes);
}

static gen_node *build_max(check *c)
{
    const reduce_case *k = c->arg;
    return gen_max_over(c->g, check_in_apart(c, k->x), k->axes);
}

/* clang-format off */
static const reduce_case
    one       = { { 1, { 1 } }, 1 },
    all       = { { 4, { 2, 3, 5, 7 } }, 15 },
    all_long  = { { 2, { 7, 31001 } }, 3 },
    last      = { { 4, { 2, 3, 5, 7 } }, 8 },
    last_long = { { 2, { 3, 5003 } }, 2 },
    many_rows = { { 2, { 4999, 9 } }, 2 },
    first     = { { 3, { 5, 3, 7 } }, 1 },
    wide      = { { 2, { 9, 2500 } }, 1 },
    very_wide = { { 3, { 2, 3, 9001 } }, 2 },
    spatial   = { { 4, { 2, 9, 11, 6 } }, 6 },
    spatial_l = { { 4, { 3, 101, 103, 4 } }, 6 },
    batch     = { { 4, { 3, 9, 11, 12 } }, 7 },
    batch_l   = { { 4, { 4, 65, 67, 48 } }, 7 },
    crossed   = { { 4, { 2, 3, 5, 7 } }, 5 },
    crossed_2 = { { 5, { 2, 3, 4, 5, 2 } }, 21 },
    crossed_3 = { { 5, { 2, 3, 4, 5, 3 } }, 10 },
    all_even  = { { 2, { 8, 40000 } }, 3 },
    last_even = { { 2, { 3, 40000 } }, 2 },
    rows_even = { { 2, { 300, 96 } }, 2 },
    first_all = { { 2, { 3, 280000 } }, 1 },
    crossed_4 = { { 4, { 3, 5, 2, 16 } }, 5 },
    crossed_5 = { { 4, { 3, 5, 2, 16 } }, 9 },
    ones      = { { 4, { 1, 4, 1, 6 } }, 5 },
    bench_all = { { 4, { 18, 64, 64, 96 } }, 15 },
    bench_nhw = { { 4, { 18, 64, 64, 96 } }, 7 },
    bench_hw  = { { 4, { 18, 64, 64, 96 } }, 6 },
    bench_c   = { { 4, { 18, 64, 64, 96 } }, 8 },
    bench_t   = { { 4, { 18, 64, 64, 96 } }, 1 };
/* clang-format on */

/* LONG: so many values that differences take another one for the largest. */
#define LONG CHECK_NO_GRAD
#define REDUCE_ROWS(op, build)                                                                     \
    { &gen_op_##op, "one", build, &one, 0 }, { &gen_op_##op, "all", build, &all, 0 },              \
        { &gen_op_##op, "all, long", build, &all_long, LONG },                                     \
        { &gen_op_##op, "last", build, &last, 0 },                                                 \
        { &gen_op_##op, "last, long", build, &last_long, LONG },                                   \
        { &gen_op_##op, "last, many", build, &many_rows, LONG },                                   \
        { &gen_op_##op, "first", build, &first, 0 },                                               \
        { &gen_op_##op, "first, wide", build, &wide, LONG },                                       \
        { &gen_op_##op, "middle, very wide", build, &very_wide, LONG },                            \
        { &gen_op_##op, "H,W", build, &spatial, 0 },                                               \
        { &gen_op_##op, "H,W, long", build, &spatial_l, LONG },                                    \
        { &gen_op_##op, "N,H,W", build, &batch, 0 },                                               \
        { &gen_op_##op, "N,H,W, long", build, &batch_l, LONG },                                    \
        { &gen_op_##op, "first and third", build, &crossed, 0 },                                   \
        { &gen_op_##op, "0, 2 and 4", build, &crossed_2, 0 },                                      \
        { &gen_op_##op, "1 and 3", build, &crossed_3, 0 },                                         \
        { &gen_op_##op, "all, 16 bytes", build, &all_even, LONG },                                 \
        { &gen_op_##op, "last, 16 bytes, long", build, &last_even, LONG },                         \
        { &gen_op_##op, "last, 16 bytes", build, &rows_even, LONG },                               \
        { &gen_op_##op, "first, all the rest", build, &first_all, LONG },                          \
        { &gen_op_##op, "first and third, 16 bytes", build, &crossed_4, LONG },                    \
        { &gen_op_##op, "first and last, 16 bytes", build, &crossed_5, LONG },                     \
        { &gen_op_##op, "of size 1", build, &ones, 0 },                                            \
        { &gen_op_##op, "18x64x64x96 all", build, &bench_all, CHECK_BENCH },                       \
        { &gen_op_##op, "18x64x64x96 N,H,W", build, &bench_nhw, CHECK_BENCH },                     \
        { &gen_op_##op, "18x64x64x96 H,W", build, &bench_hw, CHECK_BENCH },                        \
        { &gen_op_##op, "18x64x64x96 C", build, &bench_c, CHECK_BENCH },                           \
        { &gen_op_##op, "18x64x64x96 N", build, &bench_t, CHECK_BENCH }

/* ---- sum_to ---------------------------------------------------------------------------------- */

typedef struct sum_to_case {
    gen_shape x, to;
} sum_to_case;

static gen_node *build_sum_to(check *c)
{
    const sum_to_case *k = c->arg;
    return gen_sum_to(c->g, check_in(c, k->x), k->to);
}

/* clang-format off */
static const sum_to_case
    to_channel = { { 4, { 2, 3, 5, 7 } }, { 1, { 7 } } },
    to_scalar  = { { 3, { 2, 3, 5 } }, { .rank = 0 } },
    to_cells   = { { 4, { 2, 3, 5, 7 } }, { 4, { 2, 3, 5, 1 } } },
    to_middle  = { { 4, { 2, 3, 5, 7 } }, { 3, { 1, 5, 1 } } },
    to_same    = { { 3, { 1, 5, 7 } }, { 2, { 5, 7 } } };
/* clang-format on */

/* ---- softmax --------------------------------------------------------------------------------- */

typedef struct softmax_case {
    gen_shape x;
    int axis;
} softmax_case;

static gen_node *build_softmax(check *c)
{
    const softmax_case *k = c->arg;
    return gen_softmax(c->g, check_in_range(c, k->x, -4, 4), k->axis);
}

/* clang-format off */
static const softmax_case
    soft_one   = { { 1, { 1 } }, 0 },
    soft_last  = { { 3, { 2, 5, 7 } }, 2 },
    soft_long  = { { 2, { 13, 1031 } }, 1 },
    soft_first = { { 3, { 5, 3, 4 } }, 0 },
    soft_mid   = { { 3, { 3, 6, 5 } }, 1 },
    soft_even  = { { 2, { 13, 1024 } }, 1 },
    soft_short = { { 2, { 70, 16 } }, 1 },
    soft_wide  = { { 3, { 3, 70, 40 } }, 1 },
    soft_edge  = { { 3, { 3, 6, 1 } }, 1 },
    soft_bench = { { 3, { 8, 1024, 256 } }, 2 };
/* clang-format on */

const check_case check_reduce[] = {
    REDUCE_ROWS(sum, build_sum),
    REDUCE_ROWS(mean, build_mean),
    REDUCE_ROWS(max_over, build_max),
    { &gen_op_sum_to, "[C]", build_sum_to, &to_channel, 0 },
    { &gen_op_sum_to, "scalar", build_sum_to, &to_scalar, 0 },
    { &gen_op_sum_to, "cells", build_sum_to, &to_cells, 0 },
    { &gen_op_sum_to, "a middle axis", build_sum_to, &to_middle, 0 },
    { &gen_op_sum_to, "fewer axes", build_sum_to, &to_same, 0 },
    { &gen_op_softmax, "one", build_softmax, &soft_one, 0 },
    { &gen_op_softmax, "last", build_softmax, &soft_last, 0 },
    { &gen_op_softmax, "last, long", build_softmax, &soft_long, 0 },
    { &gen_op_softmax, "first", build_softmax, &soft_first, 0 },
    { &gen_op_softmax, "middle", build_softmax, &soft_mid, 0 },
    { &gen_op_softmax, "last, 16 bytes", build_softmax, &soft_even, 0 },
    { &gen_op_softmax, "last, short", build_softmax, &soft_short, 0 },
    { &gen_op_softmax, "middle, long", build_softmax, &soft_wide, 0 },
    { &gen_op_softmax, "before a 1", build_softmax, &soft_edge, 0 },
    { &gen_op_softmax, "8x1024x256", build_softmax, &soft_bench, CHECK_BENCH },
    { 0 },
};
