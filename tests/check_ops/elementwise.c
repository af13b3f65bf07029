/* SPDX-License-Identifier: Apache-2.0
 *
 * Cases of the elementwise ops: every function at several sizes, every way in which two shapes
 * broadcast, lerp, cast and stop_gradient.
 */
#include "tests/check_ops/check_ops.h"

/* ---- functions of one tensor ----------------------------------------------------------------- */

typedef struct unary_case {
    gen_shape x;
    gen_node *(*build)(gen_graph *g, gen_node *x);
    double lo, hi; /* both 0: in [-1,1], none alike, none at 0 */
} unary_case;

static gen_node *build_unary(check *c)
{
    const unary_case *k = c->arg;
    gen_node *x = k->lo == 0 && k->hi == 0 ? check_in_apart(c, k->x)
                                           : check_in_range(c, k->x, k->lo, k->hi);
    return k->build(c->g, x);
}

static gen_node *leaky(gen_graph *g, gen_node *x)
{
    return gen_leaky_relu(g, x, 0.2);
}

static gen_node *leaky_negative(gen_graph *g, gen_node *x)
{
    return gen_leaky_relu(g, x, -0.5);
}

static gen_node *affine(gen_graph *g, gen_node *x)
{
    return gen_affine(g, x, -1.5, 0.25);
}

static gen_node *clamp(gen_graph *g, gen_node *x)
{
    return gen_clamp(g, x, -0.3, 0.45);
}

#define SCALAR { .rank = 0 }
#define ONE { 1, { 1 } }
#define ODD { 4, { 2, 3, 5, 7 } }
#define LONG { 2, { 3, 11003 } }
#define LARGE { 4, { 18, 64, 64, 96 } }

#define UNARY(name, fn, lo, hi)                                                                    \
    static const unary_case name##_one = { ONE, fn, lo, hi }, name##_odd = { ODD, fn, lo, hi },    \
                            name##_long = { LONG, fn, lo, hi },                                    \
                            name##_scalar = { SCALAR, fn, lo, hi },                                \
                            name##_large = { LARGE, fn, lo, hi };
UNARY(relu, gen_relu, 0, 0)
UNARY(leaky_relu, leaky, 0, 0)
static const unary_case leaky_down = { ODD, leaky_negative, 0, 0 };
UNARY(sigmoid, gen_sigmoid, -9, 9)
UNARY(tanh, gen_tanh, -4, 4)
UNARY(exp, gen_exp, -3, 2)
UNARY(log, gen_log_of, 0.1, 4)
UNARY(sqrt, gen_sqrt, 0.1, 3)
UNARY(rsqrt, gen_rsqrt, 0.2, 3)
UNARY(reciprocal, gen_reciprocal, 0.3, 2)
UNARY(square, gen_square, -2, 2)
UNARY(abs, gen_abs, 0, 0)
UNARY(softplus, gen_softplus, -8, 8)
UNARY(affine, affine, -1, 1)
UNARY(clamp, clamp, 0, 0)

/* `kinks`: CHECK_NO_GRAD for functions with kinks, which among many values differences do cross. */
#define UNARY_ROWS(op, name, kinks)                                                                \
    { &gen_op_##op, "one", build_unary, &name##_one, 0 },                                          \
        { &gen_op_##op, "scalar", build_unary, &name##_scalar, 0 },                                \
        { &gen_op_##op, "odd", build_unary, &name##_odd, 0 },                                      \
        { &gen_op_##op, "long", build_unary, &name##_long, kinks },                                \
        { &gen_op_##op, "18x64x64x96", build_unary, &name##_large, CHECK_BENCH }

/* ---- functions of two tensors ---------------------------------------------------------------- */

typedef struct binary_case {
    gen_shape a, b;
} binary_case;

/* The builder that belongs to the op of the case; no ties between the inputs, b away from 0. */
static gen_node *build_binary(check *c)
{
    static const struct {
        const gen_op *op;
        gen_node *(*build)(gen_graph *g, gen_node *a, gen_node *b);
    } table[] = {
        { &gen_op_add, gen_add }, { &gen_op_sub, gen_sub }, { &gen_op_mul, gen_mul },
        { &gen_op_div, gen_div }, { &gen_op_max, gen_max }, { &gen_op_min, gen_min },
        { &gen_op_greater, gen_greater },
    };
    const binary_case *k = c->arg;
    gen_node *a = check_in_apart(c, k->a);
    gen_node *b = c->op == &gen_op_div ? check_in_range(c, k->b, 0.5, 2) : check_in_apart(c, k->b);
    for (int i = 0; i < (int)(sizeof table / sizeof *table); i++)
        if (table[i].op == c->op)
            return table[i].build(c->g, a, b);
    return NULL;
}

static gen_node *build_add_f32(check *c)
{
    const binary_case *k = c->arg;
    gen_node *a = check_in(c, k->a);
    return gen_add(c->g, a, check_in_f32(c, k->b));
}

static gen_node *build_f32_sub(check *c)
{
    const binary_case *k = c->arg;
    gen_node *a = check_in_f32(c, k->a);
    return gen_sub(c->g, a, check_in(c, k->b));
}

/* clang-format off */
static const binary_case
    two_one      = { { 1, { 1 } }, { 1, { 1 } } },
    two_scalars  = { { .rank = 0 }, { .rank = 0 } },
    two_same     = { { 4, { 2, 3, 5, 7 } }, { 4, { 2, 3, 5, 7 } } },
    two_long     = { { 2, { 5, 9001 } }, { 2, { 5, 9001 } } },
    two_scalar_b = { { 3, { 2, 3, 5 } }, { .rank = 0 } },
    two_scalar_a = { { .rank = 0 }, { 3, { 2, 3, 5 } } },
    two_channel  = { { 4, { 2, 9, 11, 6 } }, { 1, { 6 } } },
    two_channels = { { 4, { 2, 9, 11, 6 } }, { 4, { 2, 1, 1, 6 } } },
    two_wide     = { { 3, { 3, 7, 700 } }, { 1, { 700 } } },
    two_long_c   = { { 3, { 2, 3001, 12 } }, { 3, { 2, 1, 12 } } },
    two_cells    = { { 4, { 2, 5, 3, 6 } }, { 4, { 2, 5, 3, 1 } } },
    two_channel_a = { { 1, { 6 } }, { 3, { 4, 5, 6 } } },
    two_images   = { { 4, { 3, 4, 5, 2 } }, { 4, { 3, 1, 1, 1 } } },
    two_middle   = { { 3, { 2, 4, 5 } }, { 3, { 1, 4, 1 } } },
    two_outer    = { { 2, { 1, 5 } }, { 2, { 4, 1 } } },
    two_crossed  = { { 4, { 2, 1, 3, 1 } }, { 4, { 1, 4, 1, 5 } } },
    two_vectors  = { { 4, { 5, 14, 7, 48 } }, { 4, { 5, 14, 7, 48 } } },
    two_vector_c = { { 4, { 5, 14, 7, 48 } }, { 4, { 5, 1, 1, 48 } } },
    two_vector_1 = { { 4, { 5, 14, 7, 48 } }, { 3, { 14, 7, 1 } } },
    two_large    = { { 4, { 1, 64, 64, 48 } }, { 4, { 1, 64, 64, 48 } } },
    two_stream   = { { 4, { 18, 64, 64, 96 } }, { 4, { 18, 64, 64, 96 } } },
    two_large_c  = { { 4, { 18, 64, 64, 96 } }, { 1, { 96 } } },
    two_large_1  = { { 4, { 18, 64, 64, 96 } }, { 4, { 18, 64, 64, 1 } } };
/* clang-format on */

#define BINARY_ROWS(op, kinks)                                                                     \
    { &gen_op_##op, "one", build_binary, &two_one, 0 },                                            \
        { &gen_op_##op, "scalars", build_binary, &two_scalars, 0 },                                \
        { &gen_op_##op, "same", build_binary, &two_same, 0 },                                      \
        { &gen_op_##op, "same, long", build_binary, &two_long, kinks },                            \
        { &gen_op_##op, "b scalar", build_binary, &two_scalar_b, 0 },                              \
        { &gen_op_##op, "a scalar", build_binary, &two_scalar_a, 0 },                              \
        { &gen_op_##op, "b [C]", build_binary, &two_channel, 0 },                                  \
        { &gen_op_##op, "b [N,1,1,C]", build_binary, &two_channels, 0 },                           \
        { &gen_op_##op, "b [C], wide", build_binary, &two_wide, 0 },                               \
        { &gen_op_##op, "b [N,1,C], long", build_binary, &two_long_c, kinks },                     \
        { &gen_op_##op, "b one a cell", build_binary, &two_cells, 0 },                             \
        { &gen_op_##op, "a [C]", build_binary, &two_channel_a, 0 },                                \
        { &gen_op_##op, "b [N,1,1,1]", build_binary, &two_images, 0 },                             \
        { &gen_op_##op, "b a middle axis", build_binary, &two_middle, 0 },                         \
        { &gen_op_##op, "both stretched", build_binary, &two_outer, 0 },                           \
        { &gen_op_##op, "crossed", build_binary, &two_crossed, 0 },                                \
        { &gen_op_##op, "same, 48", build_binary, &two_vectors, kinks },                           \
        { &gen_op_##op, "b [N,1,1,48]", build_binary, &two_vector_c, kinks },                      \
        { &gen_op_##op, "48, b one a cell", build_binary, &two_vector_1, kinks }

#define MIXED_ROWS(op, build)                                                                      \
    { &gen_op_##op, "f32 and another, same", build, &two_same, 0 },                                \
        { &gen_op_##op, "f32 and another, long", build, &two_long, 0 },                            \
        { &gen_op_##op, "f32 and another, [C]", build, &two_channels, 0 },                         \
        { &gen_op_##op, "f32 and another, [N,1,1,48]", build, &two_vector_c, 0 },                  \
        { &gen_op_##op, "f32 and another, cells", build, &two_vector_1, 0 }

#define BINARY_BENCH(op)                                                                           \
    { &gen_op_##op, "64x64x48", build_binary, &two_large, CHECK_BENCH },                           \
        { &gen_op_##op, "18x64x64x96", build_binary, &two_stream, CHECK_BENCH },                   \
        { &gen_op_##op, "18x64x64x96, [C]", build_binary, &two_large_c, CHECK_BENCH },             \
        { &gen_op_##op, "18x64x64x96, cells", build_binary, &two_large_1, CHECK_BENCH }

/* ---- lerp, cast, stop_gradient --------------------------------------------------------------- */

static gen_node *build_lerp(check *c)
{
    const gen_shape *s = c->arg;
    gen_node *u = check_in(c, *s), *a = check_in(c, *s);
    return gen_lerp(c->g, u, a, check_in(c, *s));
}

static gen_node *build_cast_up(check *c)
{
    gen_node *x = check_in(c, *(const gen_shape *)c->arg);
    return gen_cast(c->g, x, c->dtype == GEN_F32 ? GEN_F64 : GEN_F32);
}

static gen_node *build_cast_bf16(check *c)
{
    gen_node *x = check_in(c, *(const gen_shape *)c->arg);
    return gen_cast(c->g, x, c->dtype == GEN_F32 ? GEN_BF16 : GEN_F32);
}

static gen_node *build_cast_index(check *c)
{
    gen_node *x = check_in_index(c, *(const gen_shape *)c->arg, GEN_I32, -50, 50);
    return gen_cast(c->g, x, GEN_F32);
}

static gen_node *build_cast_narrow(check *c)
{
    gen_node *x = check_in_index(c, *(const gen_shape *)c->arg, GEN_I64, 0, 256);
    return gen_cast(c->g, x, c->dtype == GEN_F32 ? GEN_U8 : GEN_I32);
}

/* Far from 0, where rounding to a whole number is no difference. */
static gen_node *build_cast_whole(check *c)
{
    gen_node *x = check_in_range(c, *(const gen_shape *)c->arg, -1e6, 1e6);
    return gen_cast(c->g, x, c->dtype == GEN_F32 ? GEN_I32 : GEN_I64);
}

static gen_node *build_cast_half(check *c)
{
    return gen_cast(c->g, check_in(c, *(const gen_shape *)c->arg), GEN_F16);
}

static gen_node *build_stop(check *c)
{
    return gen_stop_gradient(c->g, check_in(c, *(const gen_shape *)c->arg));
}

static const gen_shape one = ONE, odd = ODD, line = LONG, gate = { 4, { 1, 64, 64, 48 } },
                       large = LARGE;

const check_case check_elementwise[] = {
    UNARY_ROWS(relu, relu, CHECK_NO_GRAD),
    UNARY_ROWS(leaky_relu, leaky_relu, CHECK_NO_GRAD),
    { &gen_op_leaky_relu, "negative slope", build_unary, &leaky_down, 0 },
    UNARY_ROWS(sigmoid, sigmoid, 0),
    UNARY_ROWS(tanh, tanh, 0),
    UNARY_ROWS(exp, exp, 0),
    UNARY_ROWS(log, log, 0),
    UNARY_ROWS(sqrt, sqrt, 0),
    UNARY_ROWS(rsqrt, rsqrt, 0),
    UNARY_ROWS(reciprocal, reciprocal, 0),
    UNARY_ROWS(square, square, 0),
    UNARY_ROWS(abs, abs, CHECK_NO_GRAD),
    UNARY_ROWS(softplus, softplus, 0),
    UNARY_ROWS(affine, affine, 0),
    UNARY_ROWS(clamp, clamp, CHECK_NO_GRAD),
    BINARY_ROWS(add, 0),
    BINARY_BENCH(add),
    MIXED_ROWS(add, build_add_f32),
    BINARY_ROWS(sub, 0),
    MIXED_ROWS(sub, build_f32_sub),
    BINARY_ROWS(mul, 0),
    BINARY_BENCH(mul),
    BINARY_ROWS(div, 0),
    BINARY_ROWS(max, CHECK_NO_GRAD),
    BINARY_ROWS(min, CHECK_NO_GRAD),
    BINARY_ROWS(greater, CHECK_NO_GRAD),
    { &gen_op_lerp, "one", build_lerp, &one, 0 },
    { &gen_op_lerp, "odd", build_lerp, &odd, 0 },
    { &gen_op_lerp, "long", build_lerp, &line, 0 },
    { &gen_op_lerp, "64x64x48", build_lerp, &gate, CHECK_BENCH },
    { &gen_op_lerp, "18x64x64x96", build_lerp, &large, CHECK_BENCH },
    { &gen_op_cast, "to f64 or f32", build_cast_up, &odd, 0 },
    { &gen_op_cast, "f32 to bf16 and back", build_cast_bf16, &line, 0 },
    { &gen_op_cast, "i32 to f32", build_cast_index, &odd, 0 },
    { &gen_op_cast, "i64 to u8 or i32", build_cast_narrow, &line, 0 },
    { &gen_op_cast, "to whole numbers", build_cast_whole, &line, CHECK_NO_GRAD },
    { &gen_op_cast, "to f16", build_cast_half, &odd, 0 },
    { &gen_op_cast, "18x64x64x96", build_cast_bf16, &large, CHECK_BENCH },
    { &gen_op_stop_gradient, "odd", build_stop, &odd, CHECK_NO_GRAD },
    { 0 },
};
