/* SPDX-License-Identifier: Apache-2.0
 *
 * Cases of the ops that move elements, and of those that do it by an index.
 */
#include "tests/check_ops/check_ops.h"

/* ---- reshape, transpose, broadcast ----------------------------------------------------------- */

typedef struct shape_case {
    gen_shape x, to;
    int order[GEN_MAX_RANK];
} shape_case;

static gen_node *build_reshape(check *c)
{
    const shape_case *k = c->arg;
    return gen_reshape(c->g, check_in(c, k->x), k->to);
}

static gen_node *build_transpose(check *c)
{
    const shape_case *k = c->arg;
    return gen_transpose(c->g, check_in(c, k->x), k->order);
}

static gen_node *build_broadcast(check *c)
{
    const shape_case *k = c->arg;
    return gen_broadcast(c->g, check_in(c, k->x), k->to);
}

/* clang-format off */
static const shape_case
    flat         = { { 3, { 2, 3, 5 } }, { 2, { 6, -1 } }, { 0 } },
    to_scalar    = { { 3, { 1, 1, 1 } }, { .rank = 0 }, { 0 } },
    swap         = { { 2, { 5, 7 } }, .order = { 1, 0 } },
    swap_large   = { { 2, { 67, 131 } }, .order = { 1, 0 } },
    swap_long    = { { 3, { 2, 9001, 6 } }, .order = { 0, 2, 1 } },
    to_planes    = { { 4, { 2, 9, 10, 5 } }, .order = { 0, 3, 1, 2 } },
    from_planes  = { { 4, { 2, 5, 9, 10 } }, .order = { 0, 2, 3, 1 } },
    swap_wide    = { { 4, { 2, 67, 41, 8 } }, .order = { 0, 2, 1, 3 } },
    swap_outer   = { { 4, { 35, 2, 3, 70 } }, .order = { 3, 2, 1, 0 } },
    time_first   = { { 5, { 3, 2, 4, 5, 6 } }, .order = { 1, 0, 2, 3, 4 } },
    reversed     = { { 4, { 2, 3, 4, 5 } }, .order = { 3, 2, 1, 0 } },
    mixed        = { { 6, { 2, 3, 4, 1, 5, 2 } }, .order = { 4, 0, 5, 2, 3, 1 } },
    stretch_in   = { { 3, { 2, 3, 1 } }, { 3, { 2, 3, 6 } }, { 0 } },
    stretch_out  = { { 2, { 3, 5 } }, { 4, { 2, 4, 3, 5 } }, { 0 } },
    stretch_mid  = { { 4, { 2, 1, 1, 7 } }, { 4, { 2, 5, 6, 7 } }, { 0 } },
    from_scalar  = { { .rank = 0 }, { 2, { 3, 5001 } }, { 0 } },
    stretch_all  = { { 4, { 1, 3, 1, 2 } }, { 5, { 2, 4, 3, 5, 2 } }, { 0 } },
    time_bench   = { { 5, { 18, 4, 64, 64, 48 } }, .order = { 1, 0, 2, 3, 4 } },
    planes_bench = { { 4, { 18, 64, 64, 96 } }, .order = { 0, 3, 1, 2 } },
    frame_bench  = { { 4, { 1, 64, 64, 96 } }, { 4, { 18, 64, 64, 96 } }, { 0 } };
/* clang-format on */

/* ---- concat, slice, pad ---------------------------------------------------------------------- */

typedef struct concat_case {
    int axis, n;
    gen_shape x[4];
} concat_case;

static gen_node *build_concat(check *c)
{
    const concat_case *k = c->arg;
    gen_node *x[4];
    for (int i = 0; i < k->n; i++)
        x[i] = check_in(c, k->x[i]);
    return gen_concat(c->g, k->axis, x, k->n);
}

typedef struct slice_case {
    gen_shape x;
    int axis;
    int64_t first, count;
} slice_case;

static gen_node *build_slice(check *c)
{
    const slice_case *k = c->arg;
    return gen_slice(c->g, check_in(c, k->x), k->axis, k->first, k->count);
}

typedef struct pad_case {
    gen_shape x;
    int64_t lo[GEN_MAX_RANK], hi[GEN_MAX_RANK];
    double value;
} pad_case;

static gen_node *build_pad(check *c)
{
    const pad_case *k = c->arg;
    return gen_pad(c->g, check_in(c, k->x), k->lo, k->hi, k->value);
}

/* clang-format off */
static const concat_case
    join_last   = { 3, 3, { { 4, { 2, 3, 4, 5 } }, { 4, { 2, 3, 4, 1 } }, { 4, { 2, 3, 4, 8 } } } },
    join_first  = { 0, 2, { { 3, { 2, 3, 5 } }, { 3, { 4, 3, 5 } } } },
    join_middle = { 1, 4,
                    { { 3, { 2, 1, 3 } }, { 3, { 2, 2, 3 } }, { 3, { 2, 1, 3 } },
                      { 3, { 2, 5, 3 } } } },
    join_cells  = { 2, 4,
                    { { 3, { 3, 5, 1 } }, { 3, { 3, 5, 1 } }, { 3, { 3, 5, 1 } },
                      { 3, { 3, 5, 1 } } } },
    join_long   = { 1, 2, { { 2, { 4001, 3 } }, { 2, { 4001, 5 } } } },
    join_wide   = { 2, 2, { { 3, { 3, 61, 48 } }, { 3, { 3, 61, 16 } } } },
    join_bench  = { 3, 2, { { 4, { 1, 64, 64, 96 } }, { 4, { 1, 64, 64, 48 } } } };

static const slice_case
    cut_last   = { { 4, { 2, 3, 4, 9 } }, 3, 2, 5 },
    cut_one    = { { 4, { 2, 3, 4, 9 } }, 3, 8, 1 },
    cut_even   = { { 4, { 2, 3, 4, 9 } }, 3, 4, 4 },
    cut_middle = { { 3, { 3, 7, 5 } }, 1, 4, 3 },
    cut_first  = { { 3, { 6, 3, 5 } }, 0, 5, 1 },
    cut_long   = { { 3, { 3, 101, 211 } }, 1, 1, 99 },
    cut_bench  = { { 4, { 18, 64, 64, 96 } }, 3, 48, 48 };

static const pad_case
    pad_image  = { { 4, { 2, 5, 6, 3 } }, { 0, 1, 2 }, { 0, 3, 1 }, 0 },
    pad_last   = { { 3, { 2, 3, 5 } }, { 0, 0, 2 }, { 0, 0, 4 }, -1.5 },
    pad_first  = { { 2, { 3, 5 } }, { 2, 0 }, { 1, 0 }, 2 },
    pad_every  = { { 4, { 2, 1, 3, 2 } }, { 1, 2, 0, 1 }, { 0, 1, 2, 3 }, 0.5 },
    pad_one    = { { 1, { 1 } }, { 3 }, { 0 }, 1 },
    pad_taps    = { { 4, { 70, 60, 1, 2 } }, { 0, 0, 1, 0 }, { 0, 0, 1, 1 }, 0.5 },
    pad_long   = { { 3, { 40, 41, 20 } }, { 3, 1, 0 }, { 1, 2, 0 }, 0 },
    pad_wide   = { { 3, { 7, 41, 24 } }, { 0, 1, 8 }, { 2, 0, 16 }, -0.25 },
    pad_bench  = { { 4, { 18, 64, 64, 96 } }, { 0, 1, 1 }, { 0, 1, 1 }, 0 };
/* clang-format on */

/* ---- gather, crop and their adjoints --------------------------------------------------------- */

typedef struct gather_case {
    gen_shape x;
    int axis;
    int64_t rows;
    int64_t lo, hi; /* of the index: beyond 0..dim for rows of zeros */
    gen_dtype index;
} gather_case;

static gen_node *build_gather(check *c)
{
    const gather_case *k = c->arg;
    gen_node *x = check_in(c, k->x);
    return gen_gather(c->g, x, check_in_index(c, GEN_SHAPE(k->rows), k->index, k->lo, k->hi),
                      k->axis);
}

static gen_node *build_gather_dx(check *c)
{
    const gather_case *k = c->arg;
    gen_shape y = k->x;
    y.dim[k->axis] = k->rows;
    gen_gather_attr attr = { .axis = k->axis, .dim = k->x.dim[k->axis] };
    gen_node *in[2] = { check_in(c, y) };
    in[1] = check_in_index(c, GEN_SHAPE(k->rows), k->index, k->lo, k->hi);
    return gen_node_add(c->g, &gen_op_gather_dx, &attr, in, 2);
}

typedef struct crop_case {
    gen_shape x;
    int64_t h, w, offsets;
    int64_t lo, hi; /* of the offsets: beyond the image for clamping */
} crop_case;

static gen_node *build_crop(check *c)
{
    const crop_case *k = c->arg;
    gen_node *x = check_in(c, k->x);
    return gen_crop(c->g, x, check_in_index(c, GEN_SHAPE(k->offsets, 2), GEN_I32, k->lo, k->hi),
                    k->h, k->w);
}

static gen_node *build_crop_dx(check *c)
{
    const crop_case *k = c->arg;
    gen_crop_attr attr = { .h = k->x.dim[1], .w = k->x.dim[2] };
    gen_node *in[2] = { check_in(c, GEN_SHAPE(k->x.dim[0], k->h, k->w, k->x.dim[3])) };
    in[1] = check_in_index(c, GEN_SHAPE(k->offsets, 2), GEN_I32, k->lo, k->hi);
    return gen_node_add(c->g, &gen_op_crop_dx, &attr, in, 2);
}

/* clang-format off */
static const gather_case
    rows_first  = { { 2, { 7, 5 } }, 0, 4, 0, 7, GEN_I32 },
    rows_again  = { { 2, { 3, 5 } }, 0, 20, 0, 3, GEN_I64 },
    rows_beyond = { { 2, { 4, 3 } }, 0, 30, -3, 8, GEN_I32 },
    rows_middle = { { 3, { 2, 6, 5 } }, 1, 4, 0, 6, GEN_I64 },
    rows_last   = { { 3, { 2, 3, 6 } }, 2, 9, -1, 7, GEN_I32 },
    rows_long   = { { 3, { 2, 50, 300 } }, 1, 40, 0, 50, GEN_I32 },
    rows_wide   = { { 3, { 2, 9, 264 } }, 1, 31, -1, 10, GEN_I64 },
    rows_bench  = { { 2, { 1000, 20000 } }, 0, 500, 0, 1000, GEN_I32 };

static const crop_case
    crop_each  = { { 4, { 3, 8, 9, 2 } }, 4, 5, 3, 0, 5 },
    crop_all   = { { 4, { 3, 8, 9, 2 } }, 4, 5, 1, 0, 5 },
    crop_edge  = { { 4, { 4, 6, 7, 3 } }, 3, 2, 4, -9, 20 },
    crop_whole = { { 4, { 2, 3, 4, 1 } }, 3, 4, 2, -1, 2 },
    crop_long  = { { 4, { 3, 60, 70, 4 } }, 50, 40, 3, 0, 31 },
    crop_bench = { { 4, { 22, 256, 256, 4 } }, 128, 128, 22, 0, 128 };
/* clang-format on */

const check_case check_shape[] = {
    { &gen_op_reshape, "open dim", build_reshape, &flat, 0 },
    { &gen_op_reshape, "to a scalar", build_reshape, &to_scalar, 0 },
    { &gen_op_transpose, "2-D", build_transpose, &swap, 0 },
    { &gen_op_transpose, "2-D, large", build_transpose, &swap_large, 0 },
    { &gen_op_transpose, "3-D, long", build_transpose, &swap_long, 0 },
    { &gen_op_transpose, "channels first", build_transpose, &to_planes, 0 },
    { &gen_op_transpose, "channels last", build_transpose, &from_planes, 0 },
    { &gen_op_transpose, "runs of 8", build_transpose, &swap_wide, 0 },
    { &gen_op_transpose, "reversed, wide", build_transpose, &swap_outer, 0 },
    { &gen_op_transpose, "time first", build_transpose, &time_first, 0 },
    { &gen_op_transpose, "reversed", build_transpose, &reversed, 0 },
    { &gen_op_transpose, "six axes", build_transpose, &mixed, 0 },
    { &gen_op_transpose, "18x4x64x64x48 time", build_transpose, &time_bench, CHECK_BENCH },
    { &gen_op_transpose, "18x64x64x96 planes", build_transpose, &planes_bench, CHECK_BENCH },
    { &gen_op_broadcast, "innermost", build_broadcast, &stretch_in, 0 },
    { &gen_op_broadcast, "new axes", build_broadcast, &stretch_out, 0 },
    { &gen_op_broadcast, "spatial", build_broadcast, &stretch_mid, 0 },
    { &gen_op_broadcast, "a scalar", build_broadcast, &from_scalar, 0 },
    { &gen_op_broadcast, "mixed", build_broadcast, &stretch_all, 0 },
    { &gen_op_broadcast, "18x64x64x96", build_broadcast, &frame_bench, CHECK_BENCH },
    { &gen_op_concat, "last", build_concat, &join_last, 0 },
    { &gen_op_concat, "first", build_concat, &join_first, 0 },
    { &gen_op_concat, "middle", build_concat, &join_middle, 0 },
    { &gen_op_concat, "of size 1", build_concat, &join_cells, 0 },
    { &gen_op_concat, "last, long", build_concat, &join_long, 0 },
    { &gen_op_concat, "last, wide", build_concat, &join_wide, 0 },
    { &gen_op_concat, "64x64x(96+48)", build_concat, &join_bench, CHECK_BENCH },
    { &gen_op_slice, "last", build_slice, &cut_last, 0 },
    { &gen_op_slice, "one channel", build_slice, &cut_one, 0 },
    { &gen_op_slice, "four of nine", build_slice, &cut_even, 0 },
    { &gen_op_slice, "middle", build_slice, &cut_middle, 0 },
    { &gen_op_slice, "first", build_slice, &cut_first, 0 },
    { &gen_op_slice, "long", build_slice, &cut_long, 0 },
    { &gen_op_slice, "18x64x64x96", build_slice, &cut_bench, CHECK_BENCH },
    { &gen_op_pad, "image", build_pad, &pad_image, 0 },
    { &gen_op_pad, "last", build_pad, &pad_last, 0 },
    { &gen_op_pad, "first", build_pad, &pad_first, 0 },
    { &gen_op_pad, "every axis", build_pad, &pad_every, 0 },
    { &gen_op_pad, "one", build_pad, &pad_one, 0 },
    { &gen_op_pad, "taps", build_pad, &pad_taps, 0 },
    { &gen_op_pad, "long", build_pad, &pad_long, 0 },
    { &gen_op_pad, "wide", build_pad, &pad_wide, 0 },
    { &gen_op_pad, "18x64x64x96", build_pad, &pad_bench, CHECK_BENCH },
    { &gen_op_gather, "first", build_gather, &rows_first, 0 },
    { &gen_op_gather, "again", build_gather, &rows_again, 0 },
    { &gen_op_gather, "beyond", build_gather, &rows_beyond, 0 },
    { &gen_op_gather, "middle", build_gather, &rows_middle, 0 },
    { &gen_op_gather, "last", build_gather, &rows_last, 0 },
    { &gen_op_gather, "long", build_gather, &rows_long, 0 },
    { &gen_op_gather, "wide", build_gather, &rows_wide, 0 },
    { &gen_op_gather, "500 of 1000x20000", build_gather, &rows_bench, CHECK_BENCH },
    { &gen_op_gather_dx, "first", build_gather_dx, &rows_first, 0 },
    { &gen_op_gather_dx, "again", build_gather_dx, &rows_again, 0 },
    { &gen_op_gather_dx, "beyond", build_gather_dx, &rows_beyond, 0 },
    { &gen_op_gather_dx, "middle", build_gather_dx, &rows_middle, 0 },
    { &gen_op_gather_dx, "last", build_gather_dx, &rows_last, 0 },
    { &gen_op_gather_dx, "long", build_gather_dx, &rows_long, 0 },
    { &gen_op_gather_dx, "wide", build_gather_dx, &rows_wide, 0 },
    { &gen_op_gather_dx, "500 of 1000x20000", build_gather_dx, &rows_bench, CHECK_BENCH },
    { &gen_op_crop, "each its own", build_crop, &crop_each, 0 },
    { &gen_op_crop, "one for all", build_crop, &crop_all, 0 },
    { &gen_op_crop, "clamped", build_crop, &crop_edge, 0 },
    { &gen_op_crop, "whole", build_crop, &crop_whole, 0 },
    { &gen_op_crop, "long", build_crop, &crop_long, 0 },
    { &gen_op_crop, "22x256x256x4", build_crop, &crop_bench, CHECK_BENCH },
    { &gen_op_crop_dx, "each its own", build_crop_dx, &crop_each, 0 },
    { &gen_op_crop_dx, "one for all", build_crop_dx, &crop_all, 0 },
    { &gen_op_crop_dx, "clamped", build_crop_dx, &crop_edge, 0 },
    { &gen_op_crop_dx, "whole", build_crop_dx, &crop_whole, 0 },
    { &gen_op_crop_dx, "long", build_crop_dx, &crop_long, 0 },
    { 0 },
};
