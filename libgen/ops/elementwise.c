/* SPDX-License-Identifier: Apache-2.0
 *
 * Ops that work element by element: functions of one tensor, of two with NumPy broadcasting, the
 * gate of a ConvGRU, and the two that change only how a tensor is seen (cast, stop_gradient).
 *
 * Both families are tables: to add a function, add its line to GEN_UNARY_LIST or GEN_BINARY_LIST
 * (elementwise.h), its value and gradient below, its builder, and its loops in
 * libgen/backends/cpu/kernels/. NaN stays NaN in every function (relu and clamp included).
 */
#include "libgen/ops/elementwise.h"

#include <math.h>

#include "libgen/ops/shape_rules.h"
#include "libgen/ops/strides.h"

static gen_node *unary(gen_graph *g, const gen_op *op, gen_node *x, double p, double q)
{
    gen_unary_attr attr = { .p = p, .q = q };
    return gen_node_add(g, op, op->attr_size ? &attr : NULL, &x, 1);
}

static gen_node *binary(gen_graph *g, const gen_op *op, gen_node *a, gen_node *b)
{
    return gen_node_add(g, op, NULL, (gen_node *[]){ a, b }, 2);
}

static gen_node *scalar(gen_graph *g, double value)
{
    return gen_fill(g, (gen_shape){ .rank = 0 }, value);
}

/* 1 where x > value, or x < value, else 0. */
static gen_node *above(gen_graph *g, gen_node *x, double value)
{
    return gen_greater(g, x, scalar(g, value));
}

static gen_node *below(gen_graph *g, gen_node *x, double value)
{
    return gen_greater(g, scalar(g, value), x);
}

/* ---- functions of one tensor --------------------------------------------------------------- */

/* Value: x -> y. Gradient: the node of dx from node n (which stands for y) and d = dy. */
typedef double unary_fn(double x, const gen_unary_attr *k);
typedef gen_node *unary_grad_fn(gen_graph *g, gen_node *n, gen_node *d);

static double relu_value(double x, const gen_unary_attr *k)
{
    (void)k;
    return x < 0 ? 0 : x;
}

static gen_node *relu_slope(gen_graph *g, gen_node *n, gen_node *d)
{
    return gen_mul(g, d, above(g, n, 0));
}

static double leaky_relu_value(double x, const gen_unary_attr *k)
{
    return x > 0 ? x : k->p * x;
}

static gen_node *leaky_relu_slope(gen_graph *g, gen_node *n, gen_node *d)
{
    double p = ((const gen_unary_attr *)n->attr)->p;
    gen_node *sign = p >= 0 ? n : n->in[0]; /* y has the sign of x unless the slope is negative */
    return gen_mul(g, d, gen_affine(g, above(g, sign, 0), 1 - p, p));
}

static double sigmoid_value(double x, const gen_unary_attr *k)
{
    (void)k;
    return 1 / (1 + exp(-x));
}

static gen_node *sigmoid_slope(gen_graph *g, gen_node *n, gen_node *d)
{
    return gen_mul(g, gen_mul(g, d, n), gen_affine(g, n, -1, 1));
}

static double tanh_value(double x, const gen_unary_attr *k)
{
    (void)k;
    return tanh(x);
}

static gen_node *tanh_slope(gen_graph *g, gen_node *n, gen_node *d)
{
    return gen_mul(g, d, gen_affine(g, gen_square(g, n), -1, 1));
}

static double exp_value(double x, const gen_unary_attr *k)
{
    (void)k;
    return exp(x);
}

static gen_node *exp_slope(gen_graph *g, gen_node *n, gen_node *d)
{
    return gen_mul(g, d, n);
}

static double log_value(double x, const gen_unary_attr *k)
{
    (void)k;
    return log(x);
}

static gen_node *log_slope(gen_graph *g, gen_node *n, gen_node *d)
{
    return gen_div(g, d, n->in[0]);
}

static double sqrt_value(double x, const gen_unary_attr *k)
{
    (void)k;
    return sqrt(x);
}

static gen_node *sqrt_slope(gen_graph *g, gen_node *n, gen_node *d)
{
    return gen_div(g, gen_affine(g, d, 0.5, 0), n);
}

static double rsqrt_value(double x, const gen_unary_attr *k)
{
    (void)k;
    return 1 / sqrt(x);
}

static gen_node *rsqrt_slope(gen_graph *g, gen_node *n, gen_node *d)
{
    gen_node *cube = gen_mul(g, gen_square(g, n), n);
    return gen_mul(g, d, gen_affine(g, cube, -0.5, 0));
}

static double reciprocal_value(double x, const gen_unary_attr *k)
{
    (void)k;
    return 1 / x;
}

static gen_node *reciprocal_slope(gen_graph *g, gen_node *n, gen_node *d)
{
    return gen_mul(g, d, gen_affine(g, gen_square(g, n), -1, 0));
}

static double square_value(double x, const gen_unary_attr *k)
{
    (void)k;
    return x * x;
}

static gen_node *square_slope(gen_graph *g, gen_node *n, gen_node *d)
{
    return gen_mul(g, d, gen_affine(g, n->in[0], 2, 0));
}

static double abs_value(double x, const gen_unary_attr *k)
{
    (void)k;
    return fabs(x);
}

static gen_node *abs_slope(gen_graph *g, gen_node *n, gen_node *d)
{
    gen_node *x = n->in[0];
    return gen_mul(g, d, gen_sub(g, above(g, x, 0), below(g, x, 0)));
}

static double softplus_value(double x, const gen_unary_attr *k)
{
    (void)k;
    return (x < 0 ? 0 : x) + log1p(exp(-fabs(x))); /* log(1 + e^x) without overflow */
}

static gen_node *softplus_slope(gen_graph *g, gen_node *n, gen_node *d)
{
    return gen_mul(g, d, gen_sigmoid(g, n->in[0]));
}

static double affine_value(double x, const gen_unary_attr *k)
{
    return x * k->p + k->q;
}

static gen_node *affine_slope(gen_graph *g, gen_node *n, gen_node *d)
{
    return gen_affine(g, d, ((const gen_unary_attr *)n->attr)->p, 0);
}

static double clamp_value(double x, const gen_unary_attr *k)
{
    return x < k->p ? k->p : x > k->q ? k->q : x;
}

/* d strictly between the bounds (as relu's at 0, and PyTorch's since 2.15). */
static gen_node *clamp_slope(gen_graph *g, gen_node *n, gen_node *d)
{
    const gen_unary_attr *k = n->attr;
    if (isfinite(k->p))
        d = gen_mul(g, d, above(g, n, k->p));
    if (isfinite(k->q))
        d = gen_mul(g, d, below(g, n, k->q));
    return d;
}

static const struct {
    const gen_op *op;
    unary_fn *value;
    unary_grad_fn *slope;
} unary_table[GEN_UNARY_COUNT] = {
#define X(op, NAME, size, options) { &gen_op_##op, op##_value, op##_slope },
    GEN_UNARY_LIST(X)
#undef X
};

int gen_unary_of(const gen_op *op)
{
    for (int i = 0; i < GEN_UNARY_COUNT; i++)
        if (unary_table[i].op == op)
            return i;
    return -1;
}

static gen_status unary_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    GEN_TRY(gen_rule_float(n, 0, "x"));
    return gen_rule_same(n, shape, dtype);
}

static void unary_grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                       gen_node *dx[])
{
    if (needs[0])
        dx[0] = unary_table[gen_unary_of(n->op)].slope(g, n, dy[0]);
}

static void unary_ref(const gen_node *n, const double *const in[], double *const out[])
{
    unary_fn *value = unary_table[gen_unary_of(n->op)].value;
    int64_t count = gen_shape_count(n->shape[0]);
    for (int64_t i = 0; i < count; i++)
        out[0][i] = value(in[0][i], n->attr);
}

static const gen_option leaky_options[] = {
    { .type = GEN_OPT_REAL, .name = "slope", .offset = offsetof(gen_unary_attr, p) },
    { .type = GEN_OPT_END },
};

static const gen_option affine_options[] = {
    { .type = GEN_OPT_REAL, .name = "scale", .offset = offsetof(gen_unary_attr, p), .preset = 1 },
    { .type = GEN_OPT_REAL, .name = "shift", .offset = offsetof(gen_unary_attr, q) },
    { .type = GEN_OPT_END },
};

static const gen_option clamp_options[] = {
    { .type = GEN_OPT_REAL,
      .name = "lo",
      .offset = offsetof(gen_unary_attr, p),
      .preset = -INFINITY },
    { .type = GEN_OPT_REAL,
      .name = "hi",
      .offset = offsetof(gen_unary_attr, q),
      .preset = INFINITY },
    { .type = GEN_OPT_END },
};

#define X(op, NAME, size, options)                                                                 \
    const gen_op gen_op_##op = {                                                                   \
        .name = #op,                                                                               \
        .flags = GEN_OP_IN_PLACE,                                                                  \
        .min_in = 1,                                                                               \
        .max_in = 1,                                                                               \
        .n_out = 1,                                                                                \
        .attr_size = size,                                                                         \
        .attrs = options,                                                                          \
        .infer = unary_infer,                                                                      \
        .grad = unary_grad,                                                                        \
        .ref = unary_ref,                                                                          \
    };
GEN_UNARY_LIST(X)
#undef X

gen_node *gen_relu(gen_graph *g, gen_node *x)
{
    return unary(g, &gen_op_relu, x, 0, 0);
}

gen_node *gen_leaky_relu(gen_graph *g, gen_node *x, double slope)
{
    return unary(g, &gen_op_leaky_relu, x, slope, 0);
}

gen_node *gen_sigmoid(gen_graph *g, gen_node *x)
{
    return unary(g, &gen_op_sigmoid, x, 0, 0);
}

gen_node *gen_tanh(gen_graph *g, gen_node *x)
{
    return unary(g, &gen_op_tanh, x, 0, 0);
}

gen_node *gen_exp(gen_graph *g, gen_node *x)
{
    return unary(g, &gen_op_exp, x, 0, 0);
}

gen_node *gen_log_of(gen_graph *g, gen_node *x)
{
    return unary(g, &gen_op_log, x, 0, 0);
}

gen_node *gen_sqrt(gen_graph *g, gen_node *x)
{
    return unary(g, &gen_op_sqrt, x, 0, 0);
}

gen_node *gen_rsqrt(gen_graph *g, gen_node *x)
{
    return unary(g, &gen_op_rsqrt, x, 0, 0);
}

gen_node *gen_reciprocal(gen_graph *g, gen_node *x)
{
    return unary(g, &gen_op_reciprocal, x, 0, 0);
}

gen_node *gen_square(gen_graph *g, gen_node *x)
{
    return unary(g, &gen_op_square, x, 0, 0);
}

gen_node *gen_abs(gen_graph *g, gen_node *x)
{
    return unary(g, &gen_op_abs, x, 0, 0);
}

gen_node *gen_softplus(gen_graph *g, gen_node *x)
{
    return unary(g, &gen_op_softplus, x, 0, 0);
}

gen_node *gen_affine(gen_graph *g, gen_node *x, double scale, double shift)
{
    return unary(g, &gen_op_affine, x, scale, shift);
}

gen_node *gen_clamp(gen_graph *g, gen_node *x, double lo, double hi)
{
    if (!(lo <= hi))
        return gen_graph_fail(g, "clamp", "bounds are lo %g and hi %g, expected lo <= hi", lo, hi);
    return unary(g, &gen_op_clamp, x, lo, hi);
}

/* ---- functions of two tensors -------------------------------------------------------------- */

typedef double binary_fn(double a, double b);
/* The gradient with respect to input i, before it is summed back to the shape of that input. */
typedef gen_node *binary_grad_fn(gen_graph *g, gen_node *n, gen_node *d, int i);

static double add_value(double a, double b)
{
    return a + b;
}

static gen_node *add_slope(gen_graph *g, gen_node *n, gen_node *d, int i)
{
    (void)g, (void)n, (void)i;
    return d;
}

static double sub_value(double a, double b)
{
    return a - b;
}

static gen_node *sub_slope(gen_graph *g, gen_node *n, gen_node *d, int i)
{
    (void)n;
    return i == 0 ? d : gen_affine(g, d, -1, 0);
}

static double mul_value(double a, double b)
{
    return a * b;
}

static gen_node *mul_slope(gen_graph *g, gen_node *n, gen_node *d, int i)
{
    return gen_mul(g, d, n->in[1 - i]);
}

static double div_value(double a, double b)
{
    return a / b;
}

static gen_node *div_slope(gen_graph *g, gen_node *n, gen_node *d, int i)
{
    gen_node *q = gen_div(g, d, n->in[1]);
    return i == 0 ? q : gen_affine(g, gen_mul(g, q, n), -1, 0);
}

static double max_value(double a, double b)
{
    return a > b || isnan(a) ? a : b;
}

/* d where the input wins, half of it where both are equal. */
static gen_node *winner_slope(gen_graph *g, gen_node *d, gen_node *larger, gen_node *smaller)
{
    gen_node *sign = gen_sub(g, gen_greater(g, larger, smaller), gen_greater(g, smaller, larger));
    return gen_mul(g, d, gen_affine(g, sign, 0.5, 0.5));
}

static gen_node *max_slope(gen_graph *g, gen_node *n, gen_node *d, int i)
{
    return winner_slope(g, d, n->in[i], n->in[1 - i]);
}

static double min_value(double a, double b)
{
    return a < b || isnan(a) ? a : b;
}

static gen_node *min_slope(gen_graph *g, gen_node *n, gen_node *d, int i)
{
    return winner_slope(g, d, n->in[1 - i], n->in[i]);
}

static double greater_value(double a, double b)
{
    return a > b;
}

static gen_node *greater_slope(gen_graph *g, gen_node *n, gen_node *d, int i)
{
    (void)g, (void)n, (void)d, (void)i;
    return NULL; /* flat almost everywhere */
}

static const struct {
    const gen_op *op;
    binary_fn *value;
    binary_grad_fn *slope;
} binary_table[GEN_BINARY_COUNT] = {
#define X(op, NAME) { &gen_op_##op, op##_value, op##_slope },
    GEN_BINARY_LIST(X)
#undef X
};

int gen_binary_of(const gen_op *op)
{
    for (int i = 0; i < GEN_BINARY_COUNT; i++)
        if (binary_table[i].op == op)
            return i;
    return -1;
}

/* Two floating types may be mixed (constants stay f32 when the plan lowers activations to bf16). */
static gen_status binary_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    char a[GEN_SHAPE_TEXT], b[GEN_SHAPE_TEXT];
    gen_dtype ta = gen_node_dtype(n->in[0]), tb = gen_node_dtype(n->in[1]);
    gen_shape sa = gen_node_shape(n->in[0]), sb = gen_node_shape(n->in[1]);
    if (ta != tb && !(gen_dtype_is_float(ta) && gen_dtype_is_float(tb)))
        return gen_fail(GEN_EINVAL, "a is %s and b is %s, expected one type", gen_dtype_name(ta),
                        gen_dtype_name(tb));
    if (!gen_shape_join(sa, sb, &shape[0]))
        return gen_fail(GEN_EINVAL, "a is %s and b is %s, expected sizes that are equal or 1",
                        gen_shape_text(sa, a), gen_shape_text(sb, b));
    dtype[0] = ta;
    return GEN_OK;
}

/* The gradient of a broadcast result, in shape and type of the input x. */
static gen_node *back_to(gen_graph *g, gen_node *d, gen_node *x)
{
    return d ? gen_cast(g, gen_sum_to(g, d, gen_node_shape(x)), gen_node_dtype(x)) : NULL;
}

static void binary_grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                        gen_node *dx[])
{
    binary_grad_fn *slope = binary_table[gen_binary_of(n->op)].slope;
    for (int i = 0; i < 2; i++)
        if (needs[i])
            dx[i] = back_to(g, slope(g, n, dy[0], i), n->in[i]);
}

static void binary_ref(const gen_node *n, const double *const in[], double *const out[])
{
    binary_fn *value = binary_table[gen_binary_of(n->op)].value;
    gen_walk w = { .shape = n->shape[0] };
    gen_steps_under(gen_node_shape(n->in[0]), w.shape, w.step[0]);
    gen_steps_under(gen_node_shape(n->in[1]), w.shape, w.step[1]);
    int64_t count = gen_shape_count(w.shape);
    for (int64_t i = 0; i < count; i++, gen_walk_next(&w))
        out[0][i] = value(in[0][w.offset[0]], in[1][w.offset[1]]);
}

#define X(op, NAME)                                                                                \
    const gen_op gen_op_##op = {                                                                   \
        .name = #op,                                                                               \
        .flags = GEN_OP_IN_PLACE,                                                                  \
        .min_in = 2,                                                                               \
        .max_in = 2,                                                                               \
        .n_out = 1,                                                                                \
        .infer = binary_infer,                                                                     \
        .grad = binary_grad,                                                                       \
        .ref = binary_ref,                                                                         \
    };
GEN_BINARY_LIST(X)
#undef X

gen_node *gen_add(gen_graph *g, gen_node *a, gen_node *b)
{
    return binary(g, &gen_op_add, a, b);
}

gen_node *gen_sub(gen_graph *g, gen_node *a, gen_node *b)
{
    return binary(g, &gen_op_sub, a, b);
}

gen_node *gen_mul(gen_graph *g, gen_node *a, gen_node *b)
{
    return binary(g, &gen_op_mul, a, b);
}

gen_node *gen_div(gen_graph *g, gen_node *a, gen_node *b)
{
    return binary(g, &gen_op_div, a, b);
}

gen_node *gen_max(gen_graph *g, gen_node *a, gen_node *b)
{
    return binary(g, &gen_op_max, a, b);
}

gen_node *gen_min(gen_graph *g, gen_node *a, gen_node *b)
{
    return binary(g, &gen_op_min, a, b);
}

gen_node *gen_greater(gen_graph *g, gen_node *a, gen_node *b)
{
    return binary(g, &gen_op_greater, a, b);
}

/* ---- lerp ---------------------------------------------------------------------------------- */

static gen_status lerp_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    static const char *const names[] = { "u", "a", "b" };
    char found[GEN_SHAPE_TEXT], want[GEN_SHAPE_TEXT];
    gen_shape s = gen_node_shape(n->in[0]);
    for (int i = 0; i < 3; i++) {
        GEN_TRY(gen_rule_float(n, i, names[i]));
        gen_shape x = gen_node_shape(n->in[i]);
        if (!gen_shape_equal(x, s))
            return gen_fail(GEN_EINVAL, "%s is %s, expected %s as u", names[i],
                            gen_shape_text(x, found), gen_shape_text(s, want));
    }
    return gen_rule_same(n, shape, dtype);
}

static void lerp_grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                      gen_node *dx[])
{
    gen_node *u = n->in[0], *d = dy[0];
    if (needs[0])
        dx[0] = gen_mul(g, d, gen_sub(g, n->in[1], n->in[2]));
    if (needs[1])
        dx[1] = back_to(g, gen_mul(g, d, u), n->in[1]);
    if (needs[2])
        dx[2] = back_to(g, gen_mul(g, d, gen_affine(g, u, -1, 1)), n->in[2]);
}

static void lerp_ref(const gen_node *n, const double *const in[], double *const out[])
{
    int64_t count = gen_shape_count(n->shape[0]);
    for (int64_t i = 0; i < count; i++)
        out[0][i] = in[0][i] * in[1][i] + (1 - in[0][i]) * in[2][i];
}

static gen_cost lerp_cost(const gen_node *n)
{
    return (gen_cost){ .flops = 3.0 * (double)gen_shape_count(n->shape[0]) };
}

const gen_op gen_op_lerp = {
    .name = "lerp",
    .flags = GEN_OP_IN_PLACE,
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .infer = lerp_infer,
    .grad = lerp_grad,
    .ref = lerp_ref,
    .cost = lerp_cost,
};

gen_node *gen_lerp(gen_graph *g, gen_node *u, gen_node *a, gen_node *b)
{
    return gen_node_add(g, &gen_op_lerp, NULL, (gen_node *[]){ u, a, b }, 3);
}

/* ---- cast and stop_gradient ---------------------------------------------------------------- */

static void identity_ref(const gen_node *n, const double *const in[], double *const out[])
{
    int64_t count = gen_shape_count(n->shape[0]);
    for (int64_t i = 0; i < count; i++)
        out[0][i] = in[0][i]; /* a cast rounds where its result is stored (gen_convert) */
}

static gen_cost no_flops(const gen_node *n)
{
    (void)n;
    return (gen_cost){ .flops = 0 };
}

static gen_status cast_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    const gen_cast_attr *k = n->attr;
    if (k->to < GEN_F32 || k->to > GEN_U8)
        return gen_fail(GEN_EINVAL, "type is number %lld, expected a gen_dtype", (long long)k->to);
    shape[0] = gen_node_shape(n->in[0]);
    dtype[0] = (gen_dtype)k->to;
    return GEN_OK;
}

/* Integers have no gradient. */
static void cast_grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                      gen_node *dx[])
{
    gen_dtype from = gen_node_dtype(n->in[0]);
    if (needs[0] && gen_dtype_is_float(from) && gen_dtype_is_float(n->dtype[0]))
        dx[0] = gen_cast(g, dy[0], from);
}

static const gen_option cast_options[] = {
    { .type = GEN_OPT_CHOICE,
      .name = "to",
      .offset = offsetof(gen_cast_attr, to),
      .preset = -1,
      .choices = "f32|f64|bf16|f16|i32|i64|u8" },
    { .type = GEN_OPT_END },
};

const gen_op gen_op_cast = {
    .name = "cast",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(gen_cast_attr),
    .attrs = cast_options,
    .infer = cast_infer,
    .grad = cast_grad,
    .ref = identity_ref,
    .cost = no_flops,
};

gen_node *gen_cast(gen_graph *g, gen_node *x, gen_dtype to)
{
    if (x && gen_node_dtype(x) == to)
        return x;
    return gen_node_add(g, &gen_op_cast, &(gen_cast_attr){ .to = to }, &x, 1);
}

/* A gradient function that sets nothing: the gradient ends here. */
static void stop_grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                      gen_node *dx[])
{
    (void)g, (void)n, (void)dy, (void)needs, (void)dx;
}

const gen_op gen_op_stop_gradient = {
    .name = "stop_gradient",
    .flags = GEN_OP_VIEW,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .infer = gen_rule_same,
    .grad = stop_grad,
    .ref = identity_ref,
    .cost = no_flops,
};

gen_node *gen_stop_gradient(gen_graph *g, gen_node *x)
{
    return gen_node_add(g, &gen_op_stop_gradient, NULL, &x, 1);
}
