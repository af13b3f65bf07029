/* SPDX-License-Identifier: Apache-2.0
 *
 * Cases of scale_shift, batch_norm, batch_norm_dx and unit.
 */
#include "tests/check_ops/check_ops.h"

/* ---- scale_shift ----------------------------------------------------------------------------- */

typedef struct scale_case {
    gen_shape x;
    int scale, shift; /* 0 none, 1 [C], 2 [N,C] */
    gen_scale_shift_attr attr;
} scale_case;

static gen_node *row(check *c, gen_shape x, int kind)
{
    int64_t channels = x.dim[x.rank - 1];
    if (kind == 0)
        return NULL;
    return check_in(c, kind == 1 ? GEN_SHAPE(channels) : GEN_SHAPE(x.dim[0], channels));
}

static gen_node *build_scale(check *c)
{
    const scale_case *k = c->arg;
    gen_node *x = check_in(c, k->x), *a = row(c, k->x, k->scale), *b = row(c, k->x, k->shift);
    return gen_scale_shift(c->g, x, a, b, &k->attr);
}

/* clang-format off */
static const scale_case
    one       = { { 2, { 1, 1 } }, 1, 1, { 0 } },
    vector    = { { 1, { 7 } }, 1, 1, { 0 } },
    matrix    = { { 2, { 3, 5 } }, 1, 1, { 0 } },
    rows      = { { 2, { 3, 5 } }, 2, 2, { 0 } },
    image     = { { 4, { 2, 3, 5, 7 } }, 1, 1, { 0 } },
    per_image = { { 4, { 2, 3, 5, 19 } }, 2, 2, { 0 } },
    mixed     = { { 4, { 2, 3, 5, 33 } }, 2, 1, { 0 } },
    mixed_2   = { { 3, { 2, 9, 33 } }, 1, 2, { 0 } },
    scaled    = { { 5, { 2, 2, 3, 2, 16 } }, 1, 0, { 0 } },
    shifted   = { { 4, { 2, 3, 3, 8 } }, 0, 2, { 0 } },
    relu      = { { 4, { 2, 3, 5, 17 } }, 1, 1, { .act = GEN_ACT_RELU } },
    leaky     = { { 4, { 2, 3, 5, 8 } }, 2, 2, { .act = GEN_ACT_LEAKY_RELU, .slope = 0.1 } },
    sigmoid   = { { 4, { 2, 3, 5, 8 } }, 1, 1, { .act = GEN_ACT_SIGMOID } },
    tanh_act  = { { 4, { 2, 3, 5, 8 } }, 2, 1, { .act = GEN_ACT_TANH } },
    rows_even = { { 2, { 9, 16 } }, 2, 2, { 0 } },
    mixed_3   = { { 2, { 3, 16 } }, 2, 1, { 0 } },
    act_only  = { { 4, { 1, 3, 5, 8 } }, 0, 0, { .act = GEN_ACT_RELU } },
    pieces_s  = { { 4, { 3, 40, 41, 33 } }, 2, 1, { 0 } },
    bench     = { { 4, { 4, 64, 64, 96 } }, 1, 1, { .act = GEN_ACT_RELU } };
/* clang-format on */

/* ---- batch_norm ------------------------------------------------------------------------------ */

typedef struct norm_case {
    gen_shape x;
    gen_batch_norm_attr attr;
    double offset; /* mean of x: large for cancellation */
} norm_case;

static gen_node *build_norm(check *c)
{
    const norm_case *k = c->arg;
    gen_node *x = check_in_range(c, k->x, k->offset - 1, k->offset + 1);
    return gen_batch_norm(c->g, x, &k->attr);
}

/* Any mean and positive variance: the formula does not ask that they are those of x. */
static gen_node *build_norm_dx(check *c)
{
    const norm_case *k = c->arg;
    gen_batch_norm_attr a = { .groups = k->attr.groups ? k->attr.groups : 1,
                              .eps = k->attr.eps ? k->attr.eps : 1e-5 };
    gen_shape s = GEN_SHAPE(a.groups, k->x.dim[k->x.rank - 1]);
    gen_node *in[4];
    in[0] = check_in(c, k->x);
    in[1] = check_in(c, s);
    in[2] = check_in_range(c, s, 0.3, 2);
    in[3] = check_in(c, k->x);
    return gen_node_add(c->g, &gen_op_batch_norm_dx, &a, in, 4);
}

/* clang-format off */
static const norm_case
    pair        = { { 2, { 2, 1 } }, { .eps = 0.1 }, 0 },
    flat        = { { 2, { 8, 3 } }, { 0 }, 0 },
    plane       = { { 4, { 2, 4, 5, 6 } }, { 0 }, 0 },
    wide_c      = { { 4, { 2, 3, 3, 70 } }, { 0 }, 0 },
    line        = { { 3, { 2, 11, 5 } }, { .eps = 1e-3 }, 0 },
    solid       = { { 5, { 1, 2, 3, 4, 5 } }, { 0 }, 0 },
    grouped     = { { 4, { 6, 3, 4, 5 } }, { .groups = 3 }, 0 },
    each        = { { 4, { 3, 4, 4, 17 } }, { .groups = 3, .eps = 1e-4 }, 0 },
    far_mean    = { { 4, { 2, 8, 9, 4 } }, { 0 }, 30 },
    pieces      = { { 4, { 4, 48, 50, 17 } }, { .groups = 2 }, 0.5 },
    pieces_even = { { 4, { 4, 48, 50, 24 } }, { .groups = 2 }, 0.5 },
    far_pieces  = { { 4, { 2, 48, 50, 8 } }, { 0 }, 30 },
    pieces_wide = { { 3, { 2, 150, 300 } }, { 0 }, 0 },
    many_cells  = { { 4, { 2, 40, 41, 3 } }, { 0 }, 0.5 },
    bench_norm  = { { 4, { 8, 64, 64, 96 } }, { .groups = 2 }, 0 };
/* clang-format on */

#define SCALE(name, f) { &gen_op_scale_shift, #name, build_scale, &name, f }
#define NORM(name, f) { &gen_op_batch_norm, #name, build_norm, &name, f }
#define DX(name, f) { &gen_op_batch_norm_dx, #name, build_norm_dx, &name, f }
/* ---- unit ------------------------------------------------------------------------------------ */

typedef struct unit_case {
    gen_shape x;
    gen_unit_attr attr;
} unit_case;

static gen_node *build_unit(check *c)
{
    const unit_case *k = c->arg;
    return gen_unit(c->g, check_in(c, k->x), &k->attr);
}

/* clang-format off */
static const unit_case
    short_     = { { 2, { 7, 1 } }, { .eps = 1e-4 } },
    single     = { { 1, { 1 } }, { .eps = 0.5 } },
    kept       = { { 2, { 33, 1 } }, { .eps = 1e-12, .at_least = 1 } },
    zero_eps   = { { 3, { 4, 1, 5 } }, { 0 } },
    blocks     = { { 2, { 2500, 1 } }, { .eps = 1e-4 } },
    far_eps    = { { 2, { 300, 1 } }, { .eps = 1000, .at_least = 1 } },
    bench_unit = { { 2, { 6912, 1 } }, { .eps = 1e-4 } };
/* clang-format on */

#define UNIT(name, f) { &gen_op_unit, #name, build_unit, &name, f }

const check_case check_norm[] = {
    SCALE(one, 0),
    SCALE(vector, 0),
    SCALE(matrix, 0),
    SCALE(rows, 0),
    SCALE(image, 0),
    SCALE(per_image, 0),
    SCALE(mixed, 0),
    SCALE(mixed_2, 0),
    SCALE(scaled, 0),
    SCALE(shifted, 0),
    SCALE(rows_even, 0),
    SCALE(mixed_3, 0),
    SCALE(pieces_s, 0),
    SCALE(relu, CHECK_REFUSED),
    SCALE(leaky, CHECK_REFUSED),
    SCALE(sigmoid, CHECK_REFUSED),
    SCALE(tanh_act, CHECK_REFUSED),
    SCALE(act_only, CHECK_REFUSED),
    SCALE(bench, CHECK_BENCH),
    NORM(pair, 0),
    NORM(flat, 0),
    NORM(plane, 0),
    NORM(wide_c, 0),
    NORM(line, 0),
    NORM(solid, 0),
    NORM(grouped, 0),
    NORM(each, 0),
    NORM(far_mean, 0),
    NORM(many_cells, 0),
    NORM(pieces, 0),
    NORM(pieces_even, 0),
    NORM(far_pieces, 0),
    NORM(pieces_wide, 0),
    NORM(bench_norm, CHECK_BENCH),
    DX(pair, 0),
    DX(flat, 0),
    DX(plane, 0),
    DX(wide_c, 0),
    DX(line, 0),
    DX(solid, 0),
    DX(grouped, 0),
    DX(each, 0),
    DX(many_cells, 0),
    DX(pieces, 0),
    DX(pieces_even, 0),
    DX(pieces_wide, 0),
    DX(bench_norm, CHECK_BENCH),
    UNIT(short_, 0),
    UNIT(single, 0),
    UNIT(kept, 0),
    UNIT(zero_eps, 0),
    UNIT(blocks, 0),
    UNIT(far_eps, 0),
    UNIT(bench_unit, CHECK_BENCH),
    { 0 },
};
