/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans: every rule fires on the network that it is for and leaves the result as it is; memory of
 * values that live at the same time never overlaps; slow inputs are computed once; runs are the
 * same bytes at any thread count; a graph of 10 000 nodes is planned in near-linear time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <libgen/ops.h>
#include <libgen/plan.h>
#include <libgen/random.h>

#include "libgen/plan/plan.h"

static gen_backend *backend;

static int open_backend(void **state)
{
    (void)state;
    return gen_backend_open(&backend, "cpu", 2);
}

static int close_backend(void **state)
{
    (void)state;
    gen_backend_close(&backend);
    return 0;
}

/* Every parameter of g, filled from its name. */
static gen_params *fill_params(const gen_graph *g)
{
    gen_params *p;
    assert_int_equal(gen_params_create(&p), GEN_OK);
    for (int i = 0; i < gen_graph_params(g); i++) {
        const gen_node *n = gen_graph_param(g, i);
        int64_t count = gen_shape_count(gen_node_shape(n));
        float *v;
        assert_int_equal(gen_params_add(p, gen_node_name(n), gen_node_shape(n), true, &v), GEN_OK);
        gen_random_uniform(v, count, 1, gen_stream(gen_node_name(n)), 0);
        for (int64_t j = 0; j < count; j++)
            v[j] = (v[j] - 0.4f) * 0.5f;
    }
    return p;
}

static gen_node *conv(gen_graph *g, const char *name, gen_node *x, int64_t cout, int64_t k)
{
    gen_scope s = gen_scope_push(g, "%s", name);
    gen_shape xs = gen_node_shape(x);
    gen_node *w = gen_param(g, "w", GEN_SHAPE(cout, xs.dim[xs.rank - 1], k, k),
                            GEN_INIT_ORTHOGONAL);
    gen_node *b = gen_param(g, "b", GEN_SHAPE(cout), GEN_INIT_ZEROS);
    gen_conv_attr a = gen_conv_same(w);
    gen_node *y = gen_conv(g, x, w, b, &a);
    gen_scope_pop(g, s);
    return y;
}

/* ---- small networks, one a rule
 * -------------------------------------------------------------------- */

typedef gen_node *network(gen_graph *g);

static gen_node *net_upsample(gen_graph *g)
{
    gen_node *x = gen_input(g, "x", GEN_F32, GEN_SHAPE(2, 6, 8, 16));
    return conv(g, "up", gen_upsample(g, x, (const int64_t[3]){ 2, 2 }), 16, 3);
}

static gen_node *net_pool(gen_graph *g)
{
    gen_node *x = gen_input(g, "x", GEN_F32, GEN_SHAPE(2, 8, 6, 16));
    gen_node *y = conv(g, "d", x, 16, 3);
    return gen_avg_pool(g, y, &(gen_pool_attr){ .kernel = { 2, 2 } });
}

static gen_node *net_commute(gen_graph *g)
{
    gen_node *x = gen_input(g, "x", GEN_F32, GEN_SHAPE(2, 8, 6, 16));
    gen_node *a = conv(g, "a", gen_upsample(g, x, (const int64_t[3]){ 2, 2 }), 16, 1);
    gen_node *b = gen_avg_pool(g, conv(g, "b", x, 16, 1), &(gen_pool_attr){ .kernel = { 2, 2 } });
    return gen_concat(g, 0,
                      (gen_node *[]){ gen_reshape(g, a, GEN_SHAPE(-1)),
                                      gen_reshape(g, b, GEN_SHAPE(-1)) },
                      2);
}

/* A recurrence in its textbook form: conv of [x_t; h] with one weight at every step. */
static gen_node *net_recurrent(gen_graph *g)
{
    enum { T = 3 };
    gen_node *x = gen_input(g, "x", GEN_F32, GEN_SHAPE(T, 1, 6, 8, 16));
    gen_node *h = gen_input(g, "h", GEN_F32, GEN_SHAPE(1, 6, 8, 16)), *all[T];
    for (int t = 0; t < T; t++) {
        gen_node *xt = gen_reshape(g, gen_slice(g, x, 0, t, 1), GEN_SHAPE(1, 6, 8, 16));
        gen_node *xh = gen_concat(g, 3, (gen_node *[]){ xt, h }, 2);
        gen_node *u = gen_sigmoid(g, conv(g, "u", xh, 16, 3));
        h = gen_lerp(g, u, h, gen_relu(g, conv(g, "c", xh, 16, 3)));
        all[t] = gen_reshape(g, h, GEN_SHAPE(1, 1, 6, 8, 16));
    }
    return gen_concat(g, 0, all, T);
}

/* The same latent at every step. */
static gen_node *net_same_x(gen_graph *g)
{
    gen_node *x = gen_input(g, "x", GEN_F32, GEN_SHAPE(1, 6, 8, 16));
    gen_node *h = gen_input(g, "h", GEN_F32, GEN_SHAPE(1, 6, 8, 16));
    for (int t = 0; t < 3; t++)
        h = gen_tanh(g, conv(g, "c", gen_concat(g, 3, (gen_node *[]){ x, h }, 2), 16, 3));
    return h;
}

static gen_node *net_residual(gen_graph *g)
{
    gen_node *x = gen_input(g, "x", GEN_F32, GEN_SHAPE(2, 6, 8, 16));
    gen_node *scale = gen_param(g, "scale", GEN_SHAPE(16), GEN_INIT_ONES);
    gen_node *shift = gen_param(g, "shift", GEN_SHAPE(16), GEN_INIT_ONES);
    gen_node *y = gen_scale_shift(g, conv(g, "a", x, 16, 3), scale, shift, NULL);
    y = gen_add(g, conv(g, "b", gen_relu(g, y), 16, 3), conv(g, "skip", x, 16, 1));
    return gen_relu(g, gen_scale_shift(g, gen_relu(g, y), scale, shift, NULL));
}

/* Constants where kernels do not pack them: parts of a concat, literals and both outputs of an op
 * that has several. */
static gen_node *net_constants(gen_graph *g)
{
    gen_node *x = gen_input(g, "x", GEN_F32, GEN_SHAPE(2, 3, 4, 8));
    gen_node *w = gen_param(g, "part", GEN_SHAPE(5, 3, 4, 8), GEN_INIT_ZEROS);
    gen_node *bn = gen_batch_norm(g, w, NULL);
    gen_node *var = gen_reshape(g, gen_node_output(g, bn, 2), GEN_SHAPE(8));
    gen_node *parts[] = { gen_relu(g, x), bn, gen_fill(g, GEN_SHAPE(1, 3, 4, 8), 0.25),
                          gen_scale_shift(g, x, var, NULL, NULL) };
    return gen_concat(g, 0, parts, GEN_LEN(parts));
}

/* A product with a matrix of parameters. */
static gen_node *net_linear(gen_graph *g)
{
    gen_node *x = gen_input(g, "x", GEN_F32, GEN_SHAPE(6, 16));
    gen_node *w = gen_param(g, "w", GEN_SHAPE(16, 16), GEN_INIT_ORTHOGONAL);
    return gen_tanh(g, gen_linear(g, x, w, NULL));
}

/* Gradients of the sum of y^2 with respect to two nodes, as one row. */
static gen_node *gradients_of(gen_graph *g, gen_node *y, gen_node *a, gen_node *b)
{
    gen_node *wrt[2] = { a, b }, *grad[2];
    gen_grad(g, gen_sum(g, gen_reshape(g, gen_square(g, y), GEN_SHAPE(-1)), 1), NULL, wrt, 2,
             grad);
    for (int i = 0; i < 2; i++)
        grad[i] = gen_reshape(g, grad[i], GEN_SHAPE(-1));
    return gen_concat(g, 0, grad, 2);
}

/* Gradients of a weight used at three steps, and of what the steps took slices of. */
static gen_node *net_gradients(gen_graph *g)
{
    enum { T = 3 };
    gen_shape one = GEN_SHAPE(2, 5, 4, 8);
    gen_node *x = gen_input(g, "x", GEN_F32, GEN_SHAPE(T * 2, 5, 4, 8));
    gen_node *h = gen_input(g, "h", GEN_F32, one);
    gen_node *w = gen_param(g, "w", GEN_SHAPE(8, 8, 3, 3), GEN_INIT_ORTHOGONAL);
    gen_conv_attr same = gen_conv_same(w);
    for (int t = 0; t < T; t++)
        h = gen_tanh(g, gen_add(g, gen_conv(g, h, w, NULL, &same), gen_slice(g, x, 0, 2 * t, 2)));
    return gradients_of(g, h, w, x);
}

/* A kernel of 3 x 5 over images of 1 x 2: one row, and all columns but the outermost. */
static gen_node *net_tiny(gen_graph *g)
{
    gen_node *x = gen_input(g, "x", GEN_F32, GEN_SHAPE(6, 1, 2, 8));
    gen_node *w = gen_param(g, "w", GEN_SHAPE(16, 8, 3, 5), GEN_INIT_ORTHOGONAL);
    gen_conv_attr same = gen_conv_same(w);
    return gradients_of(g, gen_relu(g, gen_conv(g, x, w, NULL, &same)), x, w);
}

/* Down by pooling and up again, each with a shortcut through a 1x1 convolution. */
static gen_node *net_there_and_back(gen_graph *g)
{
    static const int64_t two[3] = { 2, 2, 1 };
    const gen_pool_attr half = { .kernel = { 2, 2 } };
    gen_node *x = gen_input(g, "x", GEN_F32, GEN_SHAPE(2, 8, 6, 16));
    gen_node *w = gen_param(g, "w", GEN_SHAPE(16, 16, 3, 3), GEN_INIT_ORTHOGONAL);
    gen_node *one = gen_param(g, "one", GEN_SHAPE(16, 16, 1, 1), GEN_INIT_ORTHOGONAL);
    gen_conv_attr same = gen_conv_same(w);
    gen_node *y = gen_tanh(g, gen_add(g, gen_avg_pool(g, gen_conv(g, x, w, NULL, &same), &half),
                                      gen_avg_pool(g, gen_conv(g, x, one, NULL, NULL), &half)));
    gen_node *up = gen_upsample(g, y, two);
    y = gen_add(g, gen_conv(g, up, w, NULL, &same), gen_conv(g, up, one, NULL, NULL));
    gen_node *parts[2] = { gradients_of(g, y, x, w), gradients_of(g, y, one, w) };
    return gen_concat(g, 0, parts, 2);
}

/* A weight normalised in the graph, as spectral norm does. */
static gen_node *net_normalised(gen_graph *g)
{
    gen_node *x = gen_input(g, "x", GEN_F32, GEN_SHAPE(2, 5, 4, 16));
    gen_node *w = gen_param(g, "w", GEN_SHAPE(16, 16, 3, 3), GEN_INIT_ORTHOGONAL);
    gen_node *length = gen_sqrt(g, gen_sum(g, gen_reshape(g, gen_square(g, w), GEN_SHAPE(-1)), 1));
    gen_conv_attr same = gen_conv_same(w);
    gen_node *y = gen_conv(g, x, gen_div(g, w, length), NULL, &same);
    return gradients_of(g, gen_conv(g, gen_tanh(g, y), gen_div(g, w, length), NULL, &same), x, w);
}

/* ---- running them
 * --------------------------------------------------------------------------------- */

struct result {
    float *value;
    int64_t count;
    gen_plan_info info;
};

static struct result run(network *net, unsigned rules_off, gen_dtype precision, gen_backend *b)
{
    gen_graph *g;
    assert_int_equal(gen_graph_create(&g), GEN_OK);
    gen_node *y = net(g);
    if (gen_graph_status(g) != GEN_OK)
        fail_msg("%s", gen_last_error());
    gen_params *params = fill_params(g);
    gen_plan *plan;
    gen_plan_options o = { .rules_off = rules_off, .precision = precision };
    if (gen_plan_create(&plan, g, &y, 1, params, b, &o) != GEN_OK)
        fail_msg("%s", gen_last_error());
    gen_graph_free(&g);
    for (int i = 0; i < 2; i++) {
        const char *name = i ? "h" : "x";
        gen_tensor t = gen_plan_input(plan, name);
        if (t.data)
            gen_random_normal(t.data, gen_shape_count(t.shape), 3, gen_stream(name), 0);
    }
    /* Twice: what a run leaves behind must not change the next. */
    for (int i = 0; i < 2; i++)
        if (gen_plan_run(plan, NULL) != GEN_OK)
            fail_msg("%s", gen_last_error());
    gen_tensor out = gen_plan_output(plan, 0);
    struct result r = { .count = gen_shape_count(out.shape), .info = gen_plan_describe(plan) };
    r.value = malloc(sizeof(float) * (size_t)r.count);
    memcpy(r.value, out.data, sizeof(float) * (size_t)r.count);
    gen_plan_free(&plan);
    gen_params_free(&params);
    return r;
}

static void check_same(struct result a, struct result b, double tolerance)
{
    gen_tensor x = { .shape = GEN_SHAPE(a.count), .data = a.value };
    gen_tensor y = { .shape = GEN_SHAPE(b.count), .data = b.value };
    assert_int_equal(a.count, b.count);
    gen_difference d = gen_compare(&x, &y);
    if (!(d.relative <= tolerance))
        fail_msg("relative difference %g, expected at most %g", d.relative, tolerance);
}

static const struct {
    const char *name;
    network *net;
    unsigned rules;  /* that fire here */
    bool fewer_steps, fewer_flops;
} cases[] = {
    { "up-sample", net_upsample, GEN_RULE_UPSAMPLE, true, false },
    { "pool", net_pool, GEN_RULE_POOL, true, false },
    { "commute", net_commute, GEN_RULE_COMMUTE, false, true },
    { "split and batch", net_recurrent, GEN_RULE_SPLIT | GEN_RULE_BATCH | GEN_RULE_CSE, false,
      false },
    { "split and equal", net_same_x, GEN_RULE_SPLIT | GEN_RULE_CSE, false, true },
    { "fold", net_residual, GEN_RULE_FOLD, true, false },
    { "fuse", net_residual, GEN_RULE_FUSE, true, false },
    { "in place", net_recurrent, GEN_RULE_IN_PLACE, false, false },
    { "in place, residual", net_residual, GEN_RULE_IN_PLACE | GEN_RULE_FUSE, false, false },
    { "constants", net_constants, GEN_RULE_IN_PLACE, false, false },
    { "sums of gradients", net_gradients, GEN_RULE_SUMS, true, false },
    { "trim", net_tiny, GEN_RULE_TRIM, false, true },
    { "adjoints", net_there_and_back, GEN_RULE_ADJOINTS | GEN_RULE_UPSAMPLE | GEN_RULE_POOL |
                                      GEN_RULE_COMMUTE, false, true },
    { "linear", net_linear, GEN_RULE_FUSE, false, false },
};

static void rules_keep_results(void **state)
{
    (void)state;
    for (int i = 0; i < GEN_LEN(cases); i++) {
        struct result none = run(cases[i].net, GEN_RULES_ALL, GEN_F32, backend);
        struct result one = run(cases[i].net, GEN_RULES_ALL & ~cases[i].rules, GEN_F32, backend);
        struct result all = run(cases[i].net, 0, GEN_F32, backend);
        print_message("%-18s steps %d -> %d (all rules: %d), slab %llu -> %llu\n", cases[i].name,
                      none.info.steps, one.info.steps, all.info.steps,
                      (unsigned long long)none.info.slab_bytes,
                      (unsigned long long)one.info.slab_bytes);
        check_same(one, none, 5e-5); /* Winograd */
        check_same(all, none, 1e-4);
        if (cases[i].fewer_steps)
            assert_true(one.info.steps < none.info.steps);
        if (cases[i].fewer_flops)
            assert_true(one.info.flops < none.info.flops);
        free(none.value);
        free(one.value);
        free(all.value);
    }
}

/* What is computed while the plan is made is what a step computes when parameters vary. */
static void constants_are_values(void **state)
{
    (void)state;
    gen_graph *g;
    assert_int_equal(gen_graph_create(&g), GEN_OK);
    gen_node *y = net_constants(g);
    gen_params *params = fill_params(g);
    struct result r[2];
    for (int vary = 0; vary < 2; vary++) {
        gen_plan *p;
        gen_plan_options o = { .params_vary = vary };
        if (gen_plan_create(&p, g, &y, 1, params, backend, &o) != GEN_OK)
            fail_msg("%s", gen_last_error());
        gen_tensor x = gen_plan_input(p, "x"), out = gen_plan_output(p, 0);
        gen_random_normal(x.data, gen_shape_count(x.shape), 3, 0, 0);
        assert_int_equal(gen_plan_run(p, NULL), GEN_OK);
        r[vary] = (struct result){ .count = gen_shape_count(out.shape) };
        r[vary].value = malloc(gen_tensor_bytes(&out));
        memcpy(r[vary].value, out.data, gen_tensor_bytes(&out));
        gen_plan_free(&p);
    }
    check_same(r[0], r[1], 1e-6);
    assert_true(r[0].value[(2 + 5) * 3 * 4 * 8] == 0.25f);
    free(r[0].value);
    free(r[1].value);
    gen_params_free(&params);
    gen_graph_free(&g);
}

/* oneDNN 2.6 takes this one and then fails to generate its code: another kernel runs it. */
static gen_node *net_grouped_line(gen_graph *g)
{
    gen_node *x = gen_input(g, "x", GEN_F32, GEN_SHAPE(2, 196, 24));
    gen_node *w = gen_param(g, "w", GEN_SHAPE(24, 12, 3), GEN_INIT_ORTHOGONAL);
    return gen_conv(g, x, w, NULL,
                    &(gen_conv_attr){ .pad_lo = { 1 }, .pad_hi = { 2 }, .groups = 2 });
}

static void refused_by_the_library(void **state)
{
    (void)state;
    struct result f = run(net_grouped_line, 0, GEN_F32, backend);
    struct result b = run(net_grouped_line, 0, GEN_BF16, backend);
    check_same(b, f, 2e-2);
    free(f.value);
    free(b.value);
}

static int winograd_steps(unsigned rules_off)
{
    gen_graph *g;
    gen_plan *p;
    int n = 0;
    assert_int_equal(gen_graph_create(&g), GEN_OK);
    gen_node *y = net_upsample(g);
    gen_params *params = fill_params(g);
    gen_plan_options o = { .rules_off = rules_off };
    assert_int_equal(gen_plan_create(&p, g, &y, 1, params, backend, &o), GEN_OK);
    for (int s = 0; s < p->n_steps; s++)
        n += p->step[s].kernel && strstr(p->step[s].kernel->name, "winograd") != NULL;
    gen_plan_free(&p);
    gen_params_free(&params);
    gen_graph_free(&g);
    return n;
}

static void winograd_can_be_off(void **state)
{
    (void)state;
    if (backend->isa >= GEN_ISA_AVX2)
        assert_int_equal(winograd_steps(0), 1);
    assert_int_equal(winograd_steps(GEN_RULE_WINOGRAD), 0);
}

static void rules_shrink(void **state)
{
    (void)state;
    /* x's part of three steps as one conv: 2 gates x (1 batched + 3) instead of 2 x 3 convs. */
    struct result r = run(net_recurrent, 0, GEN_F32, backend);
    assert_true(r.info.steps <= 2 * (1 + 3) + 3 + 1);
    struct result same = run(net_same_x, 0, GEN_F32, backend);
    assert_true(same.info.steps <= 1 + 3);
    struct result wide = run(net_recurrent, GEN_RULE_IN_PLACE, GEN_F32, backend);
    assert_true(r.info.slab_bytes < wide.info.slab_bytes);
    free(r.value);
    free(same.value);
    free(wide.value);
}

static void bf16_is_close(void **state)
{
    (void)state;
    for (int i = 0; i < GEN_LEN(cases); i++) {
        struct result f = run(cases[i].net, 0, GEN_F32, backend);
        struct result b = run(cases[i].net, 0, GEN_BF16, backend);
        check_same(b, f, 4e-2);
        assert_true(memcmp(b.value, f.value, sizeof(float) * (size_t)f.count) != 0);
        free(f.value);
        free(b.value);
    }
}

/* In training, too, weights are f32 until a kernel packs them. */
static void bf16_trains(void **state)
{
    (void)state;
    struct result r[2];
    for (int low = 0; low < 2; low++) {
        gen_graph *g;
        gen_plan *p;
        assert_int_equal(gen_graph_create(&g), GEN_OK);
        gen_node *y = net_normalised(g);
        gen_params *params = fill_params(g);
        gen_plan_options o = { .params_vary = 1, .precision = low ? GEN_BF16 : GEN_F32 };
        if (gen_plan_create(&p, g, &y, 1, params, backend, &o) != GEN_OK)
            fail_msg("%s", gen_last_error());
        for (int s = 0; s < p->n_steps; s++) {
            const gen_node *n = p->step[s].node;
            if (n->op == &gen_op_conv)
                assert_true(n->in[1]->dtype[0] == GEN_F32);
            if (low && n->op == &gen_op_conv)
                assert_true(n->in[0]->dtype[0] == GEN_BF16);
        }
        gen_tensor x = gen_plan_input(p, "x"), out = gen_plan_output(p, 0);
        gen_random_normal(x.data, gen_shape_count(x.shape), 3, 0, 0);
        assert_int_equal(gen_plan_run(p, NULL), GEN_OK);
        r[low] = (struct result){ .count = gen_shape_count(out.shape) };
        r[low].value = malloc(gen_tensor_bytes(&out));
        memcpy(r[low].value, out.data, gen_tensor_bytes(&out));
        gen_plan_free(&p);
        gen_params_free(&params);
        gen_graph_free(&g);
    }
    check_same(r[1], r[0], 4e-2);
    free(r[0].value);
    free(r[1].value);
}

static void same_bytes_at_any_thread_count(void **state)
{
    (void)state;
    for (int i = 0; i < GEN_LEN(cases); i++) {
        struct result first = { 0 };
        for (int threads = 1; threads <= 3; threads++) {
            gen_backend *b;
            assert_int_equal(gen_backend_open(&b, "cpu", threads), GEN_OK);
            struct result r = run(cases[i].net, 0, GEN_F32, b);
            if (threads == 1)
                first = r;
            else {
                assert_memory_equal(r.value, first.value, sizeof(float) * (size_t)r.count);
                free(r.value);
            }
            gen_backend_close(&b);
        }
        free(first.value);
    }
}

/* Values that are both in use at some step, and are not views of one another, never share bytes. We
 * poison instead of reasoning: after each step, all bytes that no later step reads are overwritten.
 */
static void memory_never_overlaps(void **state)
{
    (void)state;
    for (int i = 0; i < GEN_LEN(cases); i++) {
        struct result good = run(cases[i].net, 0, GEN_F32, backend);
        gen_graph *g;
        assert_int_equal(gen_graph_create(&g), GEN_OK);
        gen_node *y = cases[i].net(g);
        gen_params *params = fill_params(g);
        gen_plan *p;
        assert_int_equal(gen_plan_create(&p, g, &y, 1, params, backend, NULL), GEN_OK);
        gen_graph_free(&g);
        for (int k = 0; k < 2; k++) {
            gen_tensor t = gen_plan_input(p, k ? "h" : "x");
            if (t.data)
                gen_random_normal(t.data, gen_shape_count(t.shape), 3, gen_stream(k ? "h" : "x"),
                                  0);
        }
        char *live = malloc(p->slab_bytes);
        for (int s = 0; s < p->n_steps; s++) {
            assert_int_equal(gen_plan_run_step(p, s), GEN_OK);
            memset(live, 0, p->slab_bytes);
            for (int v = 0; v < p->n_values; v++)
                if (p->value[v].buffer >= 0 && p->value[v].last_read > s)
                    memset(live + ((char *)gen_value_address(p, v) - p->slab), 1,
                           p->value[v].bytes);
            for (uint64_t b = 0; b < p->slab_bytes; b++)
                if (!live[b])
                    p->slab[b] = (char)0xff; /* NaN in f32 and bf16 */
        }
        gen_tensor out = gen_plan_output(p, 0);
        assert_memory_equal(out.data, good.value, sizeof(float) * (size_t)good.count);
        free(live);
        free(good.value);
        gen_plan_free(&p);
        gen_params_free(&params);
    }
}

static void slow_inputs_run_once(void **state)
{
    (void)state;
    static const char *const slow[] = { "frames", NULL };
    gen_graph *g;
    assert_int_equal(gen_graph_create(&g), GEN_OK);
    gen_node *frames = gen_input(g, "frames", GEN_F32, GEN_SHAPE(1, 6, 8, 16));
    gen_node *z = gen_input(g, "z", GEN_F32, GEN_SHAPE(1, 6, 8, 16));
    gen_node *state_of = gen_relu(g, conv(g, "a", conv(g, "b", frames, 16, 3), 16, 3));
    gen_node *y = gen_tanh(g, conv(g, "c", gen_add(g, state_of, conv(g, "d", z, 16, 3)), 16, 3));
    gen_params *params = fill_params(g);
    gen_plan *hoisted, *plain;
    gen_plan_options o = { .slow = slow };
    assert_int_equal(gen_plan_create(&hoisted, g, &y, 1, params, backend, &o), GEN_OK);
    o.rules_off = GEN_RULE_HOIST;
    assert_int_equal(gen_plan_create(&plain, g, &y, 1, params, backend, &o), GEN_OK);
    assert_true(hoisted->n_slow >= 2);
    assert_int_equal(plain->n_slow, 0);
    for (int member = 0; member < 5; member++) {
        if (member == 3)
            gen_plan_changed(hoisted);
        for (int i = 0; i < 2; i++) {
            gen_plan *p = i ? plain : hoisted;
            gen_tensor f = gen_plan_input(p, "frames"), zz = gen_plan_input(p, "z");
            gen_random_normal(f.data, gen_shape_count(f.shape), member < 3 ? 1 : 2, 0, 0);
            gen_random_normal(zz.data, gen_shape_count(zz.shape), (uint64_t)member, 1, 0);
            assert_int_equal(gen_plan_run(p, NULL), GEN_OK);
        }
        gen_tensor a = gen_plan_output(hoisted, 0), b = gen_plan_output(plain, 0);
        assert_memory_equal(a.data, b.data, gen_tensor_bytes(&a));
    }
    gen_plan_free(&hoisted);
    gen_plan_free(&plain);
    gen_params_free(&params);
    gen_graph_free(&g);
}

static int stop_at_third(void *cookie, const char *what, double done, double total)
{
    (void)what, (void)total;
    return done >= 2 && ++*(int *)cookie;
}

static void errors_and_cancelling(void **state)
{
    (void)state;
    gen_graph *g;
    gen_plan *p;
    assert_int_equal(gen_graph_create(&g), GEN_OK);
    gen_node *y = net_recurrent(g);
    gen_params *params = fill_params(g);
    gen_plan_options o = { .memory_budget = 1000 };
    assert_int_equal(gen_plan_create(&p, g, &y, 1, params, backend, &o), GEN_ENOMEM);
    assert_non_null(strstr(gen_last_error(), "budget"));
    assert_null(p);
    gen_params *empty;
    assert_int_equal(gen_params_create(&empty), GEN_OK);
    assert_int_equal(gen_plan_create(&p, g, &y, 1, empty, backend, NULL), GEN_EINVAL);
    assert_non_null(strstr(gen_last_error(), "has no value"));
    gen_params_free(&empty);
    o = (gen_plan_options){ .estimate_only = 1 };
    assert_int_equal(gen_plan_create(&p, g, &y, 1, params, backend, &o), GEN_OK);
    assert_true(gen_plan_describe(p).slab_bytes > 0);
    assert_int_equal(gen_plan_run(p, NULL), GEN_EINVAL);
    gen_plan_free(&p);
    assert_int_equal(gen_plan_create(&p, g, &y, 1, params, backend, NULL), GEN_OK);
    int stops = 0;
    gen_progress progress = { stop_at_third, &stops };
    assert_int_equal(gen_plan_run(p, &progress), GEN_ECANCELED);
    assert_int_equal(stops, 1);
    gen_plan_free(&p);
    gen_params_free(&params);
    gen_graph_free(&g);
}

static void failing_allocations(void **state)
{
    (void)state;
    gen_graph *g;
    assert_int_equal(gen_graph_create(&g), GEN_OK);
    gen_node *y = net_recurrent(g);
    gen_params *params = fill_params(g);
    uint64_t n = 1;
    for (;; n++) {
        gen_plan *p;
        gen_alloc_fail_at(n);
        gen_status s = gen_plan_create(&p, g, &y, 1, params, backend, NULL);
        bool failed = s != GEN_OK;
        gen_alloc_fail_at(0);
        gen_plan_free(&p);
        if (!failed)
            break;
        assert_int_equal(s, GEN_ENOMEM);
        gen_params_touch(params); /* packed copies are made again */
    }
    assert_true(n > 20);
    gen_params_free(&params);
    gen_graph_free(&g);
}

/* A convolution with much workspace on a small image, then a large image. */
static gen_node *net_scratch(gen_graph *g)
{
    gen_node *x = gen_input(g, "x", GEN_F32, GEN_SHAPE(1, 6, 6, 256));
    gen_node *y = conv(g, "a", conv(g, "b", x, 256, 3), 256, 3);
    y = gen_upsample(g, gen_relu(g, y), (const int64_t[3]){ 12, 12 });
    return gen_tanh(g, gen_add(g, y, gen_relu(g, y)));
}

/* What a kernel needs while it runs takes the place of values of other times. */
static void workspace_is_for_one_step(void **state)
{
    (void)state;
    gen_graph *g;
    gen_plan *p;
    assert_int_equal(gen_graph_create(&g), GEN_OK);
    gen_node *y = net_scratch(g);
    gen_params *params = fill_params(g);
    const gen_plan_options o = { .params_vary = 1, .estimate_only = 1 };
    assert_int_equal(gen_plan_create(&p, g, &y, 1, params, backend, &o), GEN_OK);
    uint64_t values = 0, most = 0;
    for (int s = 0; s < p->n_steps; s++) {
        uint64_t live = 0;
        for (int i = 0; i < p->n_buffers; i++)
            if (p->buffer[i].first <= s && p->buffer[i].last >= s && i != p->step[s].scratch)
                live += p->buffer[i].bytes;
        values = live > values ? live : values;
        most = p->step[s].workspace > most ? p->step[s].workspace : most;
        assert_true((p->step[s].scratch >= 0) == (p->step[s].workspace > 0));
    }
    assert_true(most > 1000000 || backend->isa < GEN_ISA_AVX2);
    assert_int_equal(gen_plan_describe(p).slab_bytes, values);
    gen_plan_free(&p);
    gen_params_free(&params);
    gen_graph_free(&g);
}

static void fill_and_run(gen_plan *p, float *to)
{
    gen_tensor x = gen_plan_input(p, "x"), y = gen_plan_output(p, 0);
    gen_random_normal(x.data, gen_shape_count(x.shape), 3, 0, 0);
    assert_int_equal(gen_plan_run(p, NULL), GEN_OK);
    memcpy(to, y.data, sizeof(float) * 64);
}

/* Validation while training: values change, plans come and go, memory does not grow. A plan that
 * lives on keeps the copies that it was made with. */
static void packed_copies_go_with_their_plans(void **state)
{
    (void)state;
    static float first[64], last[64], old[64];
    gen_graph *g;
    gen_plan *before, *p;
    uint64_t bytes = 0, packed = 0;
    assert_int_equal(gen_graph_create(&g), GEN_OK);
    gen_node *y = net_upsample(g);
    gen_params *params = fill_params(g);
    float *w = gen_params_get(params, "up/w").data;
    for (int round = 0; round < 6; round++) {
        assert_int_equal(gen_plan_create(&p, g, &y, 1, params, backend, NULL), GEN_OK);
        packed = gen_plan_describe(p).packed_bytes;
        fill_and_run(p, last);
        gen_plan_free(&p);
        assert_true(packed > 0 && gen_params_packed_bytes(params) == packed); /* for the next */
        assert_true(round < 2 || gen_alloc_bytes() == bytes);
        bytes = gen_alloc_bytes();
        w[0] += 0.5f;
        gen_params_touch(params);
        assert_int_equal(gen_params_packed_bytes(params), 0);
    }

    assert_int_equal(gen_plan_create(&before, g, &y, 1, params, backend, NULL), GEN_OK);
    fill_and_run(before, first);
    assert_true(memcmp(first, last, sizeof last) != 0);
    w[0] += 0.5f;
    gen_params_touch(params);
    assert_int_equal(gen_params_packed_bytes(params), packed);
    assert_int_equal(gen_plan_create(&p, g, &y, 1, params, backend, NULL), GEN_OK);
    assert_int_equal(gen_params_packed_bytes(params), 2 * packed);
    fill_and_run(p, last);
    fill_and_run(before, old);
    assert_memory_equal(old, first, sizeof old);
    assert_true(memcmp(last, first, sizeof last) != 0);
    gen_plan_free(&before);
    assert_int_equal(gen_params_packed_bytes(params), packed);
    gen_plan_free(&p);
    gen_params_free(&params);
    gen_graph_free(&g);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double plan_chain(int nodes)
{
    gen_graph *g;
    assert_int_equal(gen_graph_create(&g), GEN_OK);
    gen_node *x = gen_input(g, "x", GEN_F32, GEN_SHAPE(1, 4));
    gen_node *y = x;
    for (int i = 0; i < nodes / 2; i++)
        y = gen_tanh(g, gen_add(g, y, x));
    gen_plan *p;
    double t = now();
    if (gen_plan_create(&p, g, &y, 1, NULL, backend, NULL) != GEN_OK)
        fail_msg("%s", gen_last_error());
    t = now() - t;
    assert_int_equal(gen_plan_describe(p).steps, nodes);
    gen_plan_free(&p);
    gen_graph_free(&g);
    return t;
}

static void large_graphs_are_near_linear(void **state)
{
    (void)state;
    double small = plan_chain(2500), large = plan_chain(10000);
    print_message("2500 nodes %.1f ms, 10000 nodes %.1f ms\n", small * 1e3, large * 1e3);
    assert_true(large < 5 + 16 * small); /* far below quadratic; a bound, not a benchmark */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_keep_results),
        cmocka_unit_test(constants_are_values),
        cmocka_unit_test(winograd_can_be_off),
        cmocka_unit_test(refused_by_the_library),
        cmocka_unit_test(packed_copies_go_with_their_plans),
        cmocka_unit_test(workspace_is_for_one_step),
        cmocka_unit_test(rules_shrink),
        cmocka_unit_test(bf16_is_close),
        cmocka_unit_test(bf16_trains),
        cmocka_unit_test(same_bytes_at_any_thread_count),
        cmocka_unit_test(memory_never_overlaps),
        cmocka_unit_test(slow_inputs_run_once),
        cmocka_unit_test(errors_and_cancelling),
        cmocka_unit_test(failing_allocations),
        cmocka_unit_test(large_graphs_are_near_linear),
    };
    return cmocka_run_group_tests_name("plan", tests, open_backend, close_backend);
}
