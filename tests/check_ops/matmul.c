/* SPDX-License-Identifier: Apache-2.0
 *
 * Cases of matmul: both transposes, batches, a shared b.
 */
#include "tests/check_ops/check_ops.h"

typedef struct matmul_case {
    gen_shape a, b;
    gen_matmul_attr attr;
} matmul_case;

static gen_node *build(check *c)
{
    const matmul_case *k = c->arg;
    gen_node *a = check_in(c, k->a), *b = check_in(c, k->b);
    return gen_matmul(c->g, a, b, &k->attr);
}

/* clang-format off */
static const matmul_case
    scalar    = { { 2, { 1, 1 } }, { 2, { 1, 1 } }, { 0, 0 } },
    plain     = { { 2, { 3, 5 } }, { 2, { 5, 4 } }, { 0, 0 } },
    row       = { { 2, { 1, 33 } }, { 2, { 33, 17 } }, { 0, 0 } },
    column    = { { 2, { 9, 6 } }, { 2, { 6, 1 } }, { 0, 0 } },
    trans_a   = { { 2, { 5, 3 } }, { 2, { 5, 4 } }, { 1, 0 } },
    trans_b   = { { 2, { 3, 5 } }, { 2, { 4, 5 } }, { 0, 1 } },
    trans_ab  = { { 2, { 5, 3 } }, { 2, { 4, 5 } }, { 1, 1 } },
    wide      = { { 2, { 37, 65 } }, { 2, { 65, 51 } }, { 0, 0 } },
    linear    = { { 2, { 4, 96 } }, { 2, { 40, 96 } }, { 0, 1 } },
    batch     = { { 3, { 3, 4, 5 } }, { 3, { 3, 5, 2 } }, { 0, 0 } },
    batch_ta  = { { 3, { 3, 5, 4 } }, { 3, { 3, 5, 2 } }, { 1, 0 } },
    batch_tb  = { { 3, { 2, 4, 5 } }, { 3, { 2, 3, 5 } }, { 0, 1 } },
    batch_tab = { { 3, { 2, 5, 4 } }, { 3, { 2, 3, 5 } }, { 1, 1 } },
    batch_2   = { { 4, { 2, 3, 4, 5 } }, { 4, { 2, 3, 5, 3 } }, { 0, 0 } },
    attention = { { 3, { 2, 25, 12 } }, { 3, { 2, 25, 12 } }, { 0, 1 } },
    shared    = { { 3, { 3, 4, 5 } }, { 2, { 5, 2 } }, { 0, 0 } },
    shared_ta = { { 3, { 3, 5, 4 } }, { 2, { 5, 2 } }, { 1, 0 } },
    shared_tb = { { 4, { 2, 2, 4, 5 } }, { 2, { 3, 5 } }, { 0, 1 } },
    shared_tab = { { 3, { 2, 5, 4 } }, { 2, { 3, 5 } }, { 1, 1 } },
    column_ta = { { 2, { 150, 1100 } }, { 2, { 150, 1 } }, { 1, 0 } },
    column_tb = { { 2, { 700, 70 } }, { 2, { 1, 70 } }, { 0, 1 } },
    row_ta    = { { 2, { 33, 1 } }, { 2, { 33, 517 } }, { 1, 0 } },
    row_tb    = { { 3, { 1, 1, 130 } }, { 2, { 300, 130 } }, { 0, 1 } },
    row_even  = { { 2, { 1, 640 } }, { 2, { 640, 128 } }, { 0, 0 } },
    row_long  = { { 2, { 1, 8192 } }, { 2, { 24, 8192 } }, { 0, 1 } },
    outer     = { { 2, { 90, 1 } }, { 2, { 333, 1 } }, { 0, 1 } },
    outer_ta  = { { 2, { 1, 7 } }, { 2, { 1, 19 } }, { 1, 0 } },
    bench_sq  = { { 2, { 512, 512 } }, { 2, { 512, 512 } }, { 0, 0 } },
    bench_vec = { { 2, { 1, 1024 } }, { 2, { 4096, 1024 } }, { 0, 1 } },
    bench_pow = { { 2, { 192, 1728 } }, { 2, { 192, 1 } }, { 1, 0 } },
    bench_att = { { 3, { 4, 256, 64 } }, { 3, { 4, 256, 64 } }, { 0, 1 } };
/* clang-format on */

#define ROW(name, f) { &gen_op_matmul, #name, build, &name, f }
const check_case check_matmul[] = {
    ROW(scalar, 0),    ROW(plain, 0),     ROW(row, 0),        ROW(column, 0),
    ROW(trans_a, 0),   ROW(trans_b, 0),   ROW(trans_ab, 0),   ROW(wide, 0),
    ROW(linear, 0),    ROW(batch, 0),     ROW(batch_ta, 0),   ROW(batch_tb, 0),
    ROW(batch_tab, 0), ROW(batch_2, 0),   ROW(attention, 0),  ROW(shared, 0),
    ROW(shared_ta, 0), ROW(shared_tb, 0), ROW(shared_tab, 0), ROW(bench_sq, CHECK_BENCH),
    ROW(bench_vec, CHECK_BENCH),          ROW(bench_att, CHECK_BENCH),
    ROW(bench_pow, CHECK_BENCH),
    ROW(column_ta, 0), ROW(column_tb, 0), ROW(row_ta, 0),     ROW(row_tb, 0),
    ROW(outer, 0),     ROW(outer_ta, 0),  ROW(row_even, 0),   ROW(row_long, 0),
    { 0 },
};
