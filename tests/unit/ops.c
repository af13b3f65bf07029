/* SPDX-License-Identifier: Apache-2.0
 *
 * What check_ops does not see of ops: that mistakes end in a sentence with the shapes found and
 * expected, that equal calls make equal attributes, and what fused convolutions are counted as.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <libgen/random.h>

#include "libgen/ops/list.h"
#include "tests/eval.h"

static gen_graph *graph;

static int open_graph(void **state)
{
    (void)state;
    return gen_graph_create(&graph) != GEN_OK;
}

static int close_graph(void **state)
{
    (void)state;
    gen_graph_free(&graph);
    return 0;
}

static gen_node *zeros(gen_shape s)
{
    return gen_fill(graph, s, 0);
}

/* The graph has failed, and the sentence holds every one of the words. */
static void expect_sentence(const char *const words[])
{
    assert_int_equal(gen_graph_status(graph), GEN_EINVAL);
    for (int i = 0; words[i]; i++)
        if (!strstr(gen_last_error(), words[i]))
            fail_msg("\"%s\" does not hold \"%s\"", gen_last_error(), words[i]);
    gen_graph_free(&graph);
    assert_int_equal(gen_graph_create(&graph), GEN_OK);
}
#define EXPECT(...) expect_sentence((const char *const[]){ __VA_ARGS__, NULL })

static void conv_mistakes_are_named(void **state)
{
    gen_shape image = GEN_SHAPE(1, 8, 9, 4), w = GEN_SHAPE(6, 4, 3, 3);
    (void)state;
    gen_scope_push(graph, "level2/gate");
    gen_conv(graph, zeros(image), zeros(GEN_SHAPE(6, 5, 3, 3)), NULL, NULL);
    EXPECT("conv 'level2/gate'", "[6,5,3,3]", "expected [6,4,");
    gen_conv(graph, zeros(GEN_SHAPE(8, 9)), zeros(w), NULL, NULL);
    EXPECT("conv", "[8,9]", "[N,H,W,C]");
    gen_conv(graph, zeros(image), zeros(GEN_SHAPE(6, 4, 3)), NULL, NULL);
    EXPECT("[6,4,3]", "rank 4");
    gen_conv(graph, zeros(image), zeros(w), zeros(GEN_SHAPE(7)), NULL);
    EXPECT("bias", "[7]", "[6]");
    gen_conv(graph, zeros(GEN_SHAPE(1, 2, 9, 4)), zeros(w), NULL, NULL);
    EXPECT("[1,2,9,4]", "axis 1", "kernel 3");
    gen_conv(graph, zeros(image), zeros(w), NULL, &(gen_conv_attr){ .stride = { -1 } });
    EXPECT("stride is -1");
    gen_conv(graph, zeros(image), zeros(w), NULL, &(gen_conv_attr){ .groups = 3 });
    EXPECT("4 to 6 channels", "3 groups");
    gen_conv_fused(graph, zeros(image), zeros(w), NULL, zeros(image), NULL);
    EXPECT("residual is [1,8,9,4]", "[1,6,7,6]");
    gen_conv(graph, gen_input(graph, "i", GEN_I32, image), zeros(w), NULL, NULL);
    EXPECT("i32", "floating-point");
    gen_conv_transpose(graph, zeros(GEN_SHAPE(1, 4, 4, 6)), zeros(w), NULL,
                       (int64_t[3]){ 9, 8 }, &(gen_conv_attr){ .stride = { 2, 2 } });
    EXPECT("conv_transpose", "[1,4,4,6]", "[1,4,3,6]");
    gen_conv_dw(graph, zeros(image), zeros(GEN_SHAPE(1, 8, 9, 6)), (int64_t[3]){ 3, 3 }, NULL);
    EXPECT("conv_dw", "[1,8,9,6]", "[1,6,7,6]");
}

static void other_mistakes_are_named(void **state)
{
    gen_shape image = GEN_SHAPE(4, 6, 7, 3);
    (void)state;
    gen_matmul(graph, zeros(GEN_SHAPE(2, 3, 4)), zeros(GEN_SHAPE(2, 5, 6)), NULL);
    EXPECT("matmul", "[2,3,4]", "[2,5,6]", "4 and 5");
    gen_matmul(graph, zeros(GEN_SHAPE(2, 3, 4)), zeros(GEN_SHAPE(3, 4, 6)), NULL);
    EXPECT("[2,3,4]", "[3,4,6]", "leading");
    gen_linear(graph, zeros(GEN_SHAPE(5)), zeros(GEN_SHAPE(2, 4)), NULL);
    EXPECT("[1,5]", "[2,4] transposed");
    gen_scale_shift(graph, zeros(image), zeros(GEN_SHAPE(4)), NULL, NULL);
    EXPECT("scale is [4]", "[3] or [4,3]");
    gen_batch_norm(graph, zeros(image), &(gen_batch_norm_attr){ .groups = 3 });
    EXPECT("[4,6,7,3]", "3 groups");
    gen_avg_pool(graph, zeros(image), &(gen_pool_attr){ .kernel = { 2, 2 }, .pad_lo = { 2 } });
    EXPECT("padding 2+0", "kernel's 2");
    gen_max_pool(graph, zeros(image), &(gen_pool_attr){ .kernel = { 7, 2 } });
    EXPECT("[4,6,7,3]", "axis 1", "kernel 7");
    gen_upsample(graph, zeros(image), (int64_t[3]){ 2, -2 });
    EXPECT("factor is -2");
    gen_space_to_depth(graph, zeros(image), 2, false);
    EXPECT("[4,6,7,3]", "divisible by 2");
    gen_depth_to_space(graph, zeros(image), 2, false);
    EXPECT("[4,6,7,3]", "divisible by 4");
}

/* A size that would overflow ends in an error, not in a small allocation. */
static void huge_sizes_are_refused(void **state)
{
    gen_node *x = gen_input(graph, "x", GEN_F32, GEN_SHAPE(1, (int64_t)1 << 40, 1, 1));
    (void)state;
    gen_upsample(graph, x, (int64_t[3]){ 1 << 20, 1 });
    EXPECT("upsample", "1099511627776");
}

static void zero_means_usual(void **state)
{
    gen_node *x = zeros(GEN_SHAPE(1, 8, 9, 4)), *w = zeros(GEN_SHAPE(6, 4, 3, 3));
    gen_conv_attr full = { .stride = { 1, 1, 7 }, .dilation = { 1, 1 }, .pad_lo = { 0, 0, 5 },
                           .groups = 1, .up = { 1, 1, 1 }, .pool = { 1, 1, 1 }, .slope = 0.3,
                           .has_residual = 1 };
    gen_node *a = gen_conv(graph, x, w, NULL, NULL), *b = gen_conv(graph, x, w, NULL, &full);
    (void)state;
    assert_int_equal(gen_graph_status(graph), GEN_OK);
    assert_memory_equal(a->attr, b->attr, sizeof full);
    gen_pool_attr two = { .kernel = { 2, 2 } }, stepped = two;
    stepped.stride[0] = stepped.stride[1] = 2;
    a = gen_avg_pool(graph, x, &two);
    b = gen_avg_pool(graph, x, &stepped);
    assert_memory_equal(a->attr, b->attr, sizeof two);
}

/* Multiply-accumulates an image cell and channel pair takes, by the cost. */
static double taps(gen_shape x, int64_t kernel, const gen_conv_attr *a)
{
    gen_node *n = gen_conv(graph, zeros(x), zeros(GEN_SHAPE(5, x.dim[3], kernel, kernel)), NULL, a);
    gen_shape y = gen_node_shape(n);
    assert_int_equal(gen_graph_status(graph), GEN_OK);
    return gen_node_cost(n).flops / 2 / (double)gen_shape_count(y) / (double)x.dim[3];
}

static void fused_convolutions_cost_what_they_compute(void **state)
{
    gen_shape x = GEN_SHAPE(2, 12, 12, 3);
    gen_conv_attr pad = { .pad_lo = { 1, 1 }, .pad_hi = { 1, 1 } }, up = pad, pool = pad;
    gen_conv_attr up1 = { .up = { 2, 2 } }, pool1 = { .pool = { 2, 2 } };
    (void)state;
    up.up[0] = up.up[1] = 2;
    pool.pool[0] = pool.pool[1] = 2;
    assert_true(taps(x, 3, &pad) == 9);
    assert_true(taps(x, 3, &up) == 4);       /* four phases of 2 x 2 */
    assert_true(taps(x, 3, &pool) == 16);    /* one 4 x 4 of stride 2, a pooled cell */
    assert_true(taps(x, 1, &up1) == 0.25);   /* on the small side */
    assert_true(taps(x, 1, &pool1) == 1);
}

/* A fused convolution is its parts, act(pool(conv(up(x), w)) + b + r); here all before r. */
static gen_node *in_parts(gen_node *x, gen_node *w, gen_node *b, const gen_conv_attr *a)
{
    gen_conv_attr plain = *a;
    gen_pool_attr pool = { 0 };
    memset(plain.up, 0, sizeof plain.up);
    memset(plain.pool, 0, sizeof plain.pool);
    plain.act = 0;
    memcpy(pool.kernel, a->pool, sizeof pool.kernel);
    gen_node *y = gen_conv(graph, gen_upsample(graph, x, a->up), w, NULL, &plain);
    return gen_add(graph, gen_avg_pool(graph, y, &pool), b);
}

static gen_node *activated(gen_node *y, const gen_conv_attr *a)
{
    switch (a->act) {
    case GEN_ACT_RELU:
        return gen_relu(graph, y);
    case GEN_ACT_LEAKY_RELU:
        return gen_leaky_relu(graph, y, a->slope);
    case GEN_ACT_SIGMOID:
        return gen_sigmoid(graph, y);
    case GEN_ACT_TANH:
        return gen_tanh(graph, y);
    default:
        return y;
    }
}

static void fill_all(eval *e)
{
    float v[2048];
    for (int i = 0; i < gen_graph_count(graph); i++) {
        const gen_node *n = gen_graph_node(graph, i);
        int64_t count = gen_shape_count(n->shape[0]);
        if (n->op != &gen_op_input)
            continue;
        assert_true(count <= GEN_LEN(v));
        gen_random_normal(v, count, 3, (uint64_t)i, 0);
        for (int64_t j = 0; j < count; j++)
            eval_value(e, n)[j] = (double)v[j];
    }
}

static void check_parts(gen_shape x_shape, gen_shape w_shape, const gen_conv_attr *a)
{
    eval e;
    gen_node *x = gen_input(graph, "x", GEN_F32, x_shape);
    gen_node *w = gen_input(graph, "w", GEN_F32, w_shape);
    gen_node *b = gen_input(graph, "b", GEN_F32, GEN_SHAPE(w_shape.dim[0]));
    gen_node *sum = in_parts(x, w, b, a);
    gen_node *r = gen_input(graph, "r", GEN_F32, gen_node_shape(sum));
    gen_node *parts = activated(gen_add(graph, sum, r), a);
    gen_node *fused = gen_conv_fused(graph, x, w, b, r, a);
    if (gen_graph_status(graph) != GEN_OK)
        fail_msg("%s", gen_last_error());
    eval_open(&e, graph);
    fill_all(&e);
    eval_run(&e);
    gen_tensor found = { GEN_F64, gen_node_shape(fused), eval_value(&e, fused) };
    gen_tensor expected = { GEN_F64, gen_node_shape(parts), eval_value(&e, parts) };
    assert_true(gen_shape_equal(found.shape, expected.shape));
    assert_true(gen_compare(&found, &expected).relative < 1e-13);
    eval_close(&e);
    gen_graph_free(&graph);
    assert_int_equal(gen_graph_create(&graph), GEN_OK);
}

static void fused_convolution_is_its_parts(void **state)
{
    gen_shape line = GEN_SHAPE(2, 9, 4), plane = GEN_SHAPE(2, 6, 5, 4);
    gen_shape solid = GEN_SHAPE(1, 3, 4, 5, 4);
    (void)state;
    check_parts(line, GEN_SHAPE(6, 2, 4),
                &(gen_conv_attr){ .pad_lo = { 2 }, .up = { 3 }, .pool = { 2 }, .groups = 2,
                                  .act = GEN_ACT_TANH });
    check_parts(plane, GEN_SHAPE(3, 4, 3, 2),
                &(gen_conv_attr){ .pad_lo = { 2, 0 }, .pad_hi = { 0, 3 }, .up = { 2, 1 },
                                  .pool = { 3, 2 }, .act = GEN_ACT_LEAKY_RELU, .slope = 0.3 });
    check_parts(plane, GEN_SHAPE(6, 2, 2, 3),
                &(gen_conv_attr){ .stride = { 1, 2 }, .dilation = { 2, 1 }, .pad_hi = { 3, 1 },
                                  .up = { 1, 3 }, .pool = { 2, 2 }, .groups = 2,
                                  .act = GEN_ACT_SIGMOID });
    check_parts(solid, GEN_SHAPE(2, 4, 3, 2, 3),
                &(gen_conv_attr){ .pad_lo = { 1, 1, 0 }, .pad_hi = { 1, 0, 2 },
                                  .up = { 2, 1, 3 }, .pool = { 1, 2, 3 }, .act = GEN_ACT_RELU });
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_graph, close_graph)
    const struct CMUnitTest tests[] = {
        TEST(conv_mistakes_are_named),
        TEST(other_mistakes_are_named),
        TEST(huge_sizes_are_refused),
        TEST(zero_means_usual),
        TEST(fused_convolutions_cost_what_they_compute),
        TEST(fused_convolution_is_its_parts),
    };
    return cmocka_run_group_tests_name("ops", tests, NULL, NULL);
}
