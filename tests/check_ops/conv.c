/* SPDX-License-Identifier: Apache-2.0
 *
 * Cases of conv (plain and as the plan fuses it), conv_transpose and conv_dw. The adjoints run over
 * the plain cases of conv; their own gradients (conv_dw has none) are checked there too.
 */
#include <string.h>

#include "tests/check_ops/check_ops.h"

typedef struct conv_case {
    gen_shape x;
    int64_t cout, kernel[3];
    gen_conv_attr attr;
    bool bias, residual;
} conv_case;

#define X1(...) { 3, { __VA_ARGS__ } }
#define X2(...) { 4, { __VA_ARGS__ } }
#define X3(...) { 5, { __VA_ARGS__ } }
#define LO(...) .pad_lo = { __VA_ARGS__ }
#define HI(...) .pad_hi = { __VA_ARGS__ }
#define PAD(...) LO(__VA_ARGS__), HI(__VA_ARGS__)
#define STRIDE(...) .stride = { __VA_ARGS__ }
#define DILATION(...) .dilation = { __VA_ARGS__ }
#define UP(...) .up = { __VA_ARGS__ }
#define POOL(...) .pool = { __VA_ARGS__ }
#define ACT(a) .act = GEN_ACT_##a

static gen_shape weight_shape(const conv_case *k)
{
    gen_shape s = { .rank = k->x.rank };
    s.dim[0] = k->cout;
    s.dim[1] = k->x.dim[k->x.rank - 1] / (k->attr.groups ? k->attr.groups : 1);
    memcpy(s.dim + 2, k->kernel, sizeof(int64_t) * (size_t)(s.rank - 2));
    return s;
}

/* The result's shape, from a throw-away graph. */
static gen_shape result_shape(const conv_case *k)
{
    gen_graph *g;
    gen_shape s = { 0 };
    if (gen_graph_create(&g) != GEN_OK)
        return s;
    s = gen_node_shape(gen_conv(g, gen_fill(g, k->x, 0), gen_fill(g, weight_shape(k), 0), NULL,
                                &k->attr));
    gen_graph_free(&g);
    return s;
}

static gen_node *build_conv(check *c)
{
    const conv_case *k = c->arg;
    gen_node *x = check_in(c, k->x), *w = check_in(c, weight_shape(k));
    gen_node *b = k->bias ? check_in(c, GEN_SHAPE(k->cout)) : NULL;
    gen_node *r = k->residual ? check_in_low(c, result_shape(k)) : NULL;
    return gen_conv_fused(c->g, x, w, b, r, &k->attr);
}

static gen_node *build_transpose(check *c)
{
    const conv_case *k = c->arg;
    gen_node *y = check_in(c, result_shape(k)), *w = check_in(c, weight_shape(k));
    gen_node *b = k->bias ? check_in(c, GEN_SHAPE(k->x.dim[k->x.rank - 1])) : NULL;
    return gen_conv_transpose(c->g, y, w, b, k->x.dim + 1, &k->attr);
}

static gen_node *build_dw(check *c)
{
    const conv_case *k = c->arg;
    gen_node *x = check_in(c, k->x), *dy = check_in(c, result_shape(k));
    return gen_conv_dw(c->g, x, dy, k->kernel, &k->attr);
}

static gen_node *build_turn(check *c)
{
    return gen_turn(c->g, check_in(c, weight_shape(c->arg)));
}

/* ---- plain: all three ops -------------------------------------------------------------------- */

/* clang-format off */
static const conv_case
    one_cell    = { X2(1, 1, 1, 1), 1, { 1, 1 }, { .groups = 1 }, false, false },
    point       = { X2(2, 5, 7, 3), 4, { 1, 1 }, { .groups = 1 }, true, false },
    point_wide  = { X2(1, 6, 6, 64), 48, { 1, 1 }, { .groups = 1 }, true, false },
    same        = { X2(1, 7, 9, 4), 6, { 3, 3 }, { PAD(1, 1) }, true, false },
    valid       = { X2(2, 6, 5, 3), 5, { 3, 2 }, { .groups = 1 }, false, false },
    wide        = { X2(1, 9, 10, 33), 35, { 3, 3 }, { PAD(1, 1) }, true, false },
    tiles       = { X2(2, 16, 20, 32), 64, { 3, 3 }, { PAD(1, 1) }, true, false },
    valid_wide  = { X2(1, 14, 13, 24), 40, { 3, 3 }, { .groups = 1 }, true, false },
    corners     = { X2(1, 9, 8, 16), 32, { 2, 2 }, { PAD(1, 1) }, false, false },
    thin_out    = { X2(1, 11, 8, 48), 4, { 3, 3 }, { PAD(1, 1) }, true, false },
    thin_in     = { X2(1, 12, 13, 4), 24, { 3, 3 }, { PAD(1, 1) }, true, false },
    first_layer = { X2(2, 8, 8, 1), 8, { 3, 3 }, { PAD(1, 1) }, true, false },
    stride      = { X2(1, 9, 8, 3), 4, { 3, 3 }, { STRIDE(2, 2), PAD(1, 1) }, true, false },
    strides     = { X2(1, 11, 10, 2), 3, { 4, 3 }, { STRIDE(3, 2), PAD(1, 2) }, false, false },
    dilated     = { X2(1, 12, 11, 3), 2, { 3, 3 }, { DILATION(2, 3), PAD(2, 3) }, true, false },
    lopsided    = { X2(1, 6, 7, 2), 3, { 3, 3 }, { LO(0, 2), HI(3, 1) }, true, false },
    far_padding = { X2(1, 2, 2, 2), 2, { 2, 2 }, { PAD(3, 3) }, false, false },
    grouped     = { X2(1, 6, 6, 6), 4, { 3, 3 }, { PAD(1, 1), .groups = 2 }, true, false },
    depthwise   = { X2(1, 7, 6, 20), 20, { 3, 3 }, { PAD(1, 1), .groups = 20 }, true, false },
    large       = { X2(1, 10, 9, 3), 2, { 7, 5 }, { PAD(3, 2) }, false, false },
    all_at_once = { X2(2, 13, 12, 4), 6, { 3, 2 },
                    { STRIDE(2, 1), DILATION(1, 2), LO(1, 0), HI(0, 2), .groups = 2 },
                    true, false },
    line        = { X1(2, 17, 3), 5, { 3 }, { PAD(1) }, true, false },
    line_wide   = { X1(1, 50, 32), 48, { 3 }, { PAD(2), DILATION(2) }, true, false },
    line_stride = { X1(1, 20, 4), 4, { 5 }, { STRIDE(3), LO(2), .groups = 2 }, false, false },
    line_cell   = { X1(1, 1, 2), 2, { 3 }, { PAD(1) }, true, false },
    solid       = { X3(1, 4, 5, 6, 2), 3, { 3, 3, 3 }, { PAD(1, 1, 1) }, true, false },
    solid_wide  = { X3(1, 3, 6, 7, 16), 24, { 3, 3, 3 }, { PAD(1, 1, 1) }, true, false },
    solid_mixed = { X3(2, 5, 4, 6, 4), 4, { 1, 3, 2 },
                    { STRIDE(2, 1, 2), DILATION(1, 1, 2), LO(0, 1, 0), HI(0, 2, 1), .groups = 2 },
                    true, false },
    bench_1x1   = { X2(1, 64, 64, 192), 192, { 1, 1 }, { .groups = 1 }, true, false },
    bench_deep  = { X2(1, 16, 16, 384), 384, { 3, 3 }, { PAD(1, 1) }, true, false },
    bench_mid   = { X2(1, 64, 64, 96), 96, { 3, 3 }, { PAD(1, 1) }, true, false },
    bench_flat  = { X2(1, 256, 256, 48), 48, { 3, 3 }, { PAD(1, 1) }, true, false },
    bench_down  = { X2(1, 128, 128, 48), 96, { 4, 4 }, { STRIDE(2, 2), PAD(1, 1) }, true, false },
    bench_video = { X3(1, 8, 32, 32, 64), 64, { 3, 3, 3 }, { PAD(1, 1, 1) }, true, false },
    bench_line  = { X1(1, 24000, 96), 96, { 3 }, { DILATION(4), PAD(4) }, true, false };

#define PLAIN(X)                                                                                   \
    X(one_cell, 0) X(point, 0) X(point_wide, 0) X(same, 0) X(valid, 0) X(wide, 0) X(tiles, 0)      \
    X(valid_wide, 0) X(corners, 0) X(thin_out, 0) X(thin_in, 0) X(first_layer, 0) X(stride, 0)     \
    X(strides, 0) X(dilated, 0) X(lopsided, 0) X(far_padding, 0) X(grouped, 0) X(depthwise, 0)     \
    X(large, 0) X(all_at_once, 0) X(line, 0) X(line_wide, 0) X(line_stride, 0) X(line_cell, 0)     \
    X(solid, 0) X(solid_wide, 0) X(solid_mixed, 0)                                                 \
    X(bench_1x1, CHECK_BENCH) X(bench_deep, CHECK_BENCH) X(bench_mid, CHECK_BENCH)                 \
    X(bench_flat, CHECK_BENCH) X(bench_down, CHECK_BENCH) X(bench_video, CHECK_BENCH)              \
    X(bench_line, CHECK_BENCH)

/* ---- fused: what the plan's rules make of conv ----------------------------------------------- */

static const conv_case
    relu        = { X2(1, 6, 7, 3), 5, { 3, 3 }, { PAD(1, 1), ACT(RELU) }, true, false },
    relu_bare   = { X2(1, 6, 7, 16), 16, { 3, 3 }, { PAD(1, 1), ACT(RELU) }, false, false },
    leaky       = { X2(1, 6, 7, 3), 5, { 3, 3 },
                    { PAD(1, 1), ACT(LEAKY_RELU), .slope = 0.2 }, true, false },
    sigmoid     = { X2(1, 8, 8, 16), 32, { 3, 3 }, { PAD(1, 1), ACT(SIGMOID) }, true, false },
    tanh_same   = { X2(1, 8, 8, 16), 32, { 3, 3 }, { PAD(1, 1), ACT(TANH) }, true, false },
    tanh_point  = { X2(1, 5, 5, 8), 6, { 1, 1 }, { ACT(TANH) }, true, false },
    residual    = { X2(1, 7, 6, 12), 20, { 3, 3 }, { PAD(1, 1) }, true, true },
    no_bias     = { X2(1, 7, 6, 12), 20, { 3, 3 }, { PAD(1, 1) }, false, true },
    res_relu    = { X2(2, 9, 8, 32), 32, { 3, 3 }, { PAD(1, 1), ACT(RELU) }, true, true },
    res_sigmoid = { X2(1, 8, 8, 32), 16, { 3, 3 }, { PAD(1, 1), ACT(SIGMOID) }, true, true },
    res_point   = { X2(1, 8, 9, 32), 24, { 1, 1 }, { ACT(RELU) }, true, true },
    up2         = { X2(1, 5, 6, 3), 4, { 3, 3 }, { PAD(1, 1), UP(2, 2) }, true, false },
    up2_wide    = { X2(2, 8, 9, 32), 24, { 3, 3 }, { PAD(1, 1), UP(2, 2) }, true, false },
    up2_res     = { X2(1, 8, 8, 24), 16, { 3, 3 },
                    { PAD(1, 1), UP(2, 2), ACT(RELU) }, true, true },
    up2_5x5     = { X2(1, 5, 4, 3), 4, { 5, 5 }, { PAD(2, 2), UP(2, 2) }, true, false },
    up_mixed    = { X2(1, 4, 5, 2), 3, { 3, 3 }, { PAD(1, 1), UP(3, 1) }, true, false },
    up_lopsided = { X2(1, 4, 5, 2), 3, { 3, 3 }, { LO(2, 0), HI(0, 2), UP(2, 2) }, false, false },
    up_point    = { X2(1, 4, 5, 6), 3, { 1, 1 }, { UP(2, 2) }, true, false },
    up_line     = { X1(1, 9, 8), 8, { 3 }, { PAD(1), UP(5) }, true, false },
    up_solid    = { X3(1, 2, 4, 4, 8), 8, { 3, 3, 3 },
                    { PAD(1, 1, 1), UP(1, 2, 2) }, true, false },
    pool2       = { X2(1, 8, 6, 3), 4, { 3, 3 }, { PAD(1, 1), POOL(2, 2) }, true, false },
    pool2_odd   = { X2(1, 9, 7, 3), 4, { 3, 3 }, { PAD(1, 1), POOL(2, 2) }, true, false },
    pool2_wide  = { X2(2, 16, 12, 24), 48, { 3, 3 }, { PAD(1, 1), POOL(2, 2) }, true, false },
    pool2_res   = { X2(1, 12, 12, 16), 32, { 3, 3 }, { PAD(1, 1), POOL(2, 2) }, true, true },
    pool_point  = { X2(1, 8, 8, 4), 8, { 1, 1 }, { POOL(2, 2) }, true, true },
    pool_solid  = { X3(1, 4, 6, 6, 4), 8, { 3, 3, 3 },
                    { PAD(1, 1, 1), POOL(2, 2, 2) }, true, false },
    pool_mixed  = { X2(1, 9, 10, 3), 4, { 3, 3 }, { PAD(1, 1), POOL(3, 2) }, true, false },
    both_mixed  = { X2(2, 6, 5, 3), 4, { 3, 2 },
                    { LO(2, 0), HI(0, 1), UP(1, 2), POOL(2, 3) }, true, true },
    solid_parts = { X3(1, 3, 4, 5, 4), 6, { 3, 2, 3 }, { PAD(1, 1, 1), UP(2, 1, 3), POOL(1, 2, 2) },
                    true, true },
    bench_up    = { X2(1, 64, 64, 96), 48, { 3, 3 }, { PAD(1, 1), UP(2, 2) }, true, false },
    bench_pool  = { X2(1, 128, 128, 24), 48, { 3, 3 }, { PAD(1, 1), POOL(2, 2) }, true, false },
    bench_res   = { X2(1, 64, 64, 96), 96, { 3, 3 }, { PAD(1, 1), ACT(RELU) }, true, true };

#define FUSED(X)                                                                                   \
    X(relu, 0) X(relu_bare, 0) X(leaky, 0) X(sigmoid, 0) X(tanh_same, 0) X(tanh_point, 0)          \
    X(residual, 0) X(no_bias, 0) X(res_relu, 0) X(res_sigmoid, 0) X(res_point, 0)                  \
    X(bench_res, CHECK_BENCH)

/* With up or pool: a device that has no kernel for these keeps the unfused form. */
#define RESIZED(X)                                                                                 \
    X(up2, 0) X(up2_wide, 0) X(up2_res, 0) X(up2_5x5, 0) X(up_mixed, 0) X(up_lopsided, 0)          \
    X(up_point, 0) X(up_line, 0) X(up_solid, 0) X(pool2, 0) X(pool2_odd, 0) X(pool2_wide, 0)       \
    X(pool2_res, 0) X(pool_point, 0) X(pool_solid, 0) X(pool_mixed, 0) X(both_mixed, 0)            \
    X(solid_parts, 0) X(bench_up, CHECK_BENCH) X(bench_pool, CHECK_BENCH)
/* clang-format on */

#define CONV_ROW(name, f) { &gen_op_conv, #name, build_conv, &name, f },
#define FUSED_ROW(name, f) { &gen_op_conv, #name, build_conv, &name, (f) | CHECK_REFUSED },
#define RESIZED_ROW(name, f) FUSED_ROW(name, (f) | CHECK_OPTIONAL)
#define TRANSPOSE_ROW(name, f) { &gen_op_conv_transpose, #name, build_transpose, &name, f },
#define TURN_ROW(name, f) { &gen_op_turn, #name, build_turn, &name, f },
#define DW_ROW(name, f) { &gen_op_conv_dw, #name, build_dw, &name, f },

const check_case check_conv[] = { PLAIN(CONV_ROW) FUSED(FUSED_ROW) RESIZED(RESIZED_ROW){ 0 } };

const check_case check_conv_adjoints[] = { PLAIN(TRANSPOSE_ROW) PLAIN(DW_ROW) PLAIN(TURN_ROW){
    0 } };
