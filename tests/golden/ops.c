/* SPDX-License-Identifier: Apache-2.0
 *
 * The references of ops, and the gradient graphs, against PyTorch's values in double (ops.json,
 * made by ops.py): are our conventions (order of axes and weights, padding, counting, which
 * variance, order of channels) what the rest of the world means by these names?
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libgen/ops.h>

#include "libgen/base/json.h"
#include "tests/eval.h"

enum { MAX_IN = 3 };

static const gen_json *cases;

static int64_t number(const gen_json *k, const char *key)
{
    int64_t v = 0;
    const gen_json *attr = gen_json_get(k, "attr");
    if (gen_json_get(attr, key))
        assert_int_equal(gen_json_int(attr, key, INT32_MIN, INT32_MAX, &v), GEN_OK);
    return v;
}

static void triple(const gen_json *k, const char *key, int64_t v[3])
{
    const gen_json *list = gen_json_get(gen_json_get(k, "attr"), key);
    int i = 0;
    memset(v, 0, 3 * sizeof *v);
    for (const gen_json *e = list ? gen_json_first(list) : NULL; e && i < 3; e = gen_json_next(e))
        assert_int_equal(gen_json_int(e, NULL, 0, INT32_MAX, &v[i++]), GEN_OK);
}

static gen_shape shape_of(const gen_json *array)
{
    gen_shape s = { 0 };
    const gen_json *list = gen_json_get(array, "shape");
    for (const gen_json *e = gen_json_first(list); e; e = gen_json_next(e))
        assert_int_equal(gen_json_int(e, NULL, 1, INT32_MAX, &s.dim[s.rank++]), GEN_OK);
    return s;
}

static gen_conv_attr conv_attr(const gen_json *k)
{
    gen_conv_attr a = { .groups = number(k, "groups") };
    triple(k, "stride", a.stride);
    triple(k, "dilation", a.dilation);
    triple(k, "pad_lo", a.pad_lo);
    triple(k, "pad_hi", a.pad_hi);
    return a;
}

static gen_pool_attr pool_attr(const gen_json *k)
{
    gen_pool_attr a = { .exclude_pad = number(k, "exclude_pad") };
    triple(k, "kernel", a.kernel);
    triple(k, "stride", a.stride);
    triple(k, "pad_lo", a.pad_lo);
    triple(k, "pad_hi", a.pad_hi);
    return a;
}

static double real(const gen_json *k, const char *key)
{
    double v = 0;
    const gen_json *e = gen_json_get(gen_json_get(k, "attr"), key);
    if (e)
        assert_int_equal(gen_json_real(e, NULL, &v), GEN_OK);
    return v;
}

/* A list of at most 8 whole numbers; the number of them. */
static int list(const gen_json *k, const char *key, int64_t v[GEN_MAX_RANK])
{
    const gen_json *a = gen_json_get(gen_json_get(k, "attr"), key);
    int n = 0;
    memset(v, 0, GEN_MAX_RANK * sizeof *v);
    for (const gen_json *e = a ? gen_json_first(a) : NULL; e && n < GEN_MAX_RANK;
         e = gen_json_next(e))
        assert_int_equal(gen_json_int(e, NULL, INT32_MIN, INT32_MAX, &v[n++]), GEN_OK);
    return n;
}

/* The list as a constant tensor of i32. */
static gen_node *indices(gen_graph *g, const gen_json *k, bool pairs)
{
    int64_t v[GEN_MAX_RANK];
    float f[GEN_MAX_RANK];
    int n = list(k, "list", v);
    for (int i = 0; i < n; i++)
        f[i] = (float)v[i];
    gen_shape s = pairs ? GEN_SHAPE(n / 2, 2) : GEN_SHAPE(n);
    return gen_cast(g, gen_const(g, s, f), GEN_I32);
}

static gen_node *double_softmax(gen_graph *g, gen_node *x, int axis)
{
    return gen_softmax(g, gen_affine(g, x, 2, 0), axis);
}

/* Ops that move elements; NULL for others. */
static gen_node *build_moving(gen_graph *g, const gen_json *k, const char *op, gen_node *const in[],
                              int n)
{
    int64_t v[GEN_MAX_RANK], hi[GEN_MAX_RANK];
    int order[GEN_MAX_RANK], axis = (int)number(k, "axis"), size = list(k, "list", v);
    for (int i = 0; i < GEN_MAX_RANK; i++)
        order[i] = (int)v[i];
    if (strcmp(op, "transpose") == 0)
        return gen_transpose(g, in[0], order);
    if (strcmp(op, "reshape") == 0)
        return gen_reshape(g, in[0], gen_shape_make(size, v));
    if (strcmp(op, "broadcast") == 0)
        return gen_broadcast(g, in[0], gen_shape_make(size, v));
    if (strcmp(op, "concat") == 0)
        return gen_concat(g, axis, in, n);
    if (strcmp(op, "slice") == 0)
        return gen_slice(g, in[0], axis, number(k, "first"), number(k, "count"));
    if (strcmp(op, "pad") == 0) {
        list(k, "hi", hi);
        return gen_pad(g, in[0], v, hi, real(k, "value"));
    }
    if (strcmp(op, "gather") == 0)
        return gen_gather(g, in[0], indices(g, k, false), axis);
    if (strcmp(op, "crop") == 0)
        return gen_crop(g, in[0], indices(g, k, true), number(k, "h"), number(k, "w"));
    return NULL;
}

/* Elementwise ops, reductions, softmax; NULL for others. */
static gen_node *build_plain(gen_graph *g, const gen_json *k, const char *op, gen_node *const in[])
{
    static const struct {
        const char *name;
        gen_node *(*one)(gen_graph *g, gen_node *x);
        gen_node *(*two)(gen_graph *g, gen_node *a, gen_node *b);
        gen_node *(*over)(gen_graph *g, gen_node *x, unsigned axes);
    } table[] = {
        { "relu", gen_relu, NULL, NULL },     { "sigmoid", gen_sigmoid, NULL, NULL },
        { "tanh", gen_tanh, NULL, NULL },     { "exp", gen_exp, NULL, NULL },
        { "square", gen_square, NULL, NULL }, { "abs", gen_abs, NULL, NULL },
        { "log", gen_log_of, NULL, NULL },    { "softplus", gen_softplus, NULL, NULL },
        { "sqrt", gen_sqrt, NULL, NULL },     { "rsqrt", gen_rsqrt, NULL, NULL },
        { "add", NULL, gen_add, NULL },       { "reciprocal", gen_reciprocal, NULL, NULL },
        { "sub", NULL, gen_sub, NULL },       { "mul", NULL, gen_mul, NULL },
        { "div", NULL, gen_div, NULL },       { "max", NULL, gen_max, NULL },
        { "min", NULL, gen_min, NULL },       { "sum", NULL, NULL, gen_sum },
        { "mean", NULL, NULL, gen_mean },     { "max_over", NULL, NULL, gen_max_over },
    };
    for (int i = 0; i < GEN_LEN(table); i++)
        if (strcmp(op, table[i].name) == 0)
            return table[i].one   ? table[i].one(g, in[0])
                   : table[i].two ? table[i].two(g, in[0], in[1])
                                  : table[i].over(g, in[0], (unsigned)number(k, "axes"));
    if (strcmp(op, "leaky_relu") == 0)
        return gen_leaky_relu(g, in[0], real(k, "slope"));
    if (strcmp(op, "clamp") == 0)
        return gen_clamp(g, in[0], real(k, "lo"), real(k, "hi"));
    if (strcmp(op, "affine") == 0)
        return gen_affine(g, in[0], real(k, "scale"), real(k, "shift"));
    if (strcmp(op, "lerp") == 0)
        return gen_lerp(g, in[0], in[1], in[2]);
    if (strcmp(op, "softmax") == 0)
        return double_softmax(g, in[0], (int)number(k, "axis"));
    return NULL;
}

static gen_node *build(gen_graph *g, const gen_json *k, const char *op, gen_node *const in[],
                       int n)
{
    int64_t v[3];
    gen_conv_attr conv = conv_attr(k);
    gen_pool_attr pool = pool_attr(k);
    if (strcmp(op, "conv") == 0)
        return gen_conv(g, in[0], in[1], in[2], &conv);
    if (strcmp(op, "conv_transpose") == 0) {
        triple(k, "size", v);
        return gen_conv_transpose(g, in[0], in[1], in[2], v, &conv);
    }
    if (strcmp(op, "batch_norm") == 0) {
        gen_batch_norm_attr a = { .groups = number(k, "groups") };
        assert_int_equal(gen_json_real(k, "/attr/eps", &a.eps), GEN_OK);
        return gen_batch_norm(g, in[0], &a);
    }
    if (strcmp(op, "avg_pool") == 0)
        return gen_avg_pool(g, in[0], &pool);
    if (strcmp(op, "max_pool") == 0)
        return gen_max_pool(g, in[0], &pool);
    if (strcmp(op, "upsample") == 0) {
        triple(k, "factor", v);
        return gen_upsample(g, in[0], v);
    }
    if (strcmp(op, "space_to_depth") == 0)
        return gen_space_to_depth(g, in[0], (int)number(k, "block"), number(k, "block_major"));
    if (strcmp(op, "depth_to_space") == 0)
        return gen_depth_to_space(g, in[0], (int)number(k, "block"), number(k, "block_major"));
    if (strcmp(op, "linear") == 0)
        return gen_linear(g, in[0], in[1], in[2]);
    if (strcmp(op, "matmul") == 0)
        return gen_matmul(g, in[0], in[1], &(gen_matmul_attr){ number(k, "transpose_a"),
                                                               number(k, "transpose_b") });
    gen_node *y = build_plain(g, k, op, in);
    if (!y)
        y = build_moving(g, k, op, in, n);
    if (!y)
        fail_msg("ops.json has op '%s', which this test does not know", op);
    return y;
}

static void read_values(const gen_json *array, double *v)
{
    for (const gen_json *e = gen_json_first(gen_json_get(array, "data")); e; e = gen_json_next(e))
        assert_int_equal(gen_json_real(e, NULL, v++), GEN_OK);
}

static int compare(const gen_json *expected, const gen_node *n, int output, const double *found,
                   const char *what)
{
    char a[GEN_SHAPE_TEXT], b[GEN_SHAPE_TEXT];
    gen_shape s = shape_of(expected);
    if (!gen_shape_equal(s, n->shape[output])) {
        print_error("%s has shape %s, PyTorch's has %s\n", what,
                    gen_shape_text(n->shape[output], a), gen_shape_text(s, b));
        return 1;
    }
    double *v = calloc((size_t)gen_shape_count(s), sizeof *v);
    assert_non_null(v);
    read_values(expected, v);
    gen_tensor mine = { GEN_F64, s, (void *)(uintptr_t)found }, torch = { GEN_F64, s, v };
    gen_difference d = gen_compare(&mine, &torch);
    if (d.relative > 1e-7)
        print_error("%s differs by %g: at %lld found %g, PyTorch %g\n", what, d.relative,
                    (long long)d.worst, found[d.worst], v[d.worst]);
    free(v);
    return d.relative > 1e-7;
}

static int check_case(const gen_json *k)
{
    const char *op, *name;
    char label[80], what[128];
    gen_graph *g;
    gen_node *in[MAX_IN] = { 0 }, *dx[MAX_IN];
    int n = 0, failed = 0, i = 0;
    assert_int_equal(gen_json_string(k, "op", &op), GEN_OK);
    assert_int_equal(gen_json_string(k, "name", &name), GEN_OK);
    snprintf(label, sizeof label, "%s, %s", op, name);
    assert_int_equal(gen_graph_create(&g), GEN_OK);
    for (const gen_json *e = gen_json_first(gen_json_get(k, "in")); e; e = gen_json_next(e), n++) {
        char input[] = { 'x', (char)('0' + n), 0 };
        in[n] = gen_input(g, input, GEN_F64, shape_of(e));
    }
    gen_node *y = build(g, k, op, in, n);
    gen_node *dy = gen_input(g, "dy", GEN_F64, gen_node_shape(y));
    gen_grad(g, y, dy, in, n, dx);
    if (gen_graph_status(g) != GEN_OK)
        fail_msg("%s: %s", label, gen_last_error());

    eval e;
    eval_open(&e, g);
    n = 0;
    for (const gen_json *v = gen_json_first(gen_json_get(k, "in")); v; v = gen_json_next(v))
        read_values(v, eval_value(&e, in[n++]));
    read_values(gen_json_get(k, "dy"), eval_value(&e, dy));
    eval_run(&e);
    for (const gen_json *v = gen_json_first(gen_json_get(k, "out")); v; v = gen_json_next(v), i++) {
        snprintf(what, sizeof what, "%s: output %d", label, i);
        /* gen_linear and the like end in a node with one output */
        failed += compare(v, y, i, eval_output(&e, y, i), what);
    }
    i = 0;
    for (const gen_json *v = gen_json_first(gen_json_get(k, "dx")); v; v = gen_json_next(v), i++) {
        snprintf(what, sizeof what, "%s: gradient of input %d", label, i);
        failed += compare(v, dx[i], 0, eval_value(&e, dx[i]), what);
    }
    eval_close(&e);
    gen_graph_free(&g);
    return failed;
}

static void ops_agree_with_pytorch(void **state)
{
    int failed = 0, n = 0;
    (void)state;
    for (const gen_json *k = gen_json_first(cases); k; k = gen_json_next(k), n++)
        failed += check_case(k);
    assert_int_equal(failed, 0);
    assert_true(n >= 96);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(ops_agree_with_pytorch) };
    static char text[1 << 19];
    gen_json *json = NULL;
    FILE *f = fopen("tests/golden/ops.json", "rb");
    size_t size = f ? fread(text, 1, sizeof text, f) : 0;
    if (!f || gen_json_parse(&json, text, size, sizeof text - 1) != GEN_OK) {
        print_error("tests/golden/ops.json: %s\n", f ? gen_last_error() : "cannot be opened");
        return 1;
    }
    fclose(f);
    cases = gen_json_get(json, "cases");
    int failed = cmocka_run_group_tests_name("golden ops", tests, NULL, NULL);
    gen_json_free(&json);
    return failed;
}
