/* SPDX-License-Identifier: Apache-2.0
 *
 * Training within a memory budget: values are computed again instead of kept. The same bytes come
 * out, new states and all; less memory is needed; a budget below the least is refused with figures.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <libgen/nn.h>
#include <libgen/plan.h>
#include <libgen/random.h>

#include "libgen/graph/op.h"
#include "libgen/plan/plan.h"

enum { N = 2, SIDE = 64, STEPS = 3, MOST = 100 };

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

/* ---- networks -------------------------------------------------------------------------------- */

typedef gen_node *network(gen_net *net, gen_node *x);

static gen_node *chain(gen_net *net, gen_node *x)
{
    char name[16];
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "c%d", i);
        x = gen_tanh(net->g, gen_conv_layer(net, name, x, 8, NULL));
    }
    return x;
}

/* Batch norm and spectral norm: states that a step commits once. */
static gen_node *blocks(gen_net *net, gen_node *x)
{
    const gen_block_attr up = { .conv.sn = GEN_SN_TORCH, .up = 2 }, same = { .conv.sn = 1 };
    x = gen_conv_layer(net, "first", x, 16, &(gen_layer_attr){ .sn = GEN_SN_SONNET });
    x = gen_g_block(net, "g1", x, 16, &same);
    x = gen_g_block(net, "g2", x, 12, &up);
    return gen_d_block(net, "d1", gen_d_block(net, "d2", x, 12, &up), 8, &up);
}

/* A recurrence, whose states are written into one tensor. */
static gen_node *recurrent(gen_net *net, gen_node *x)
{
    gen_node *h = gen_conv_layer(net, "h", x, 8, NULL);
    gen_node *all = gen_conv_gru(net, "gru", x, h, STEPS, &(gen_layer_attr){ .sn = GEN_SN_TORCH });
    gen_node *y = gen_reshape(net->g, all, GEN_SHAPE(STEPS * N, SIDE, SIDE, 8));
    y = gen_g_block(net, "g", y, 8, &(gen_block_attr){ .norm.groups = STEPS, .up = 2 });
    return gen_relu(net->g, gen_norm_layer(net, "norm", y, &(gen_norm_attr){ .groups = STEPS }));
}

static gen_node *attention(gen_net *net, gen_node *x)
{
    x = gen_l_block(net, "l1", x, 16, NULL);
    x = gen_avg_pool(net->g, x, &(gen_pool_attr){ .kernel = { 4, 4 } });
    x = gen_self_attention(net, "a", x, GEN_ATTENTION_SPATIAL);
    return gen_l_block(net, "l2", x, 24, NULL);
}

static const struct {
    const char *name;
    network *build;
    double at_most; /* the least, as part of what it takes without */
} nets[] = {
    { "chain", chain, 0.6 },
    { "blocks", blocks, 0.75 },
    { "recurrent", recurrent, 0.6 },
    { "attention", attention, 0.95 },
};

/* ---- a step ---------------------------------------------------------------------------------- */

/* Loss, gradients, statistics. */
typedef struct step {
    gen_net net;
    gen_params *params;
    gen_node *out[MOST];
    int n;
} step;

static void make(step *s, network *build)
{
    gen_node *wrt[MOST];
    int trained = 0;
    *s = (step){ .net.training = true };
    assert_int_equal(gen_graph_create(&s->net.g), GEN_OK);
    gen_graph *g = s->net.g;
    gen_node *y = build(&s->net, gen_input(g, "x", GEN_F32, GEN_SHAPE(N, SIDE, SIDE, 6)));
    gen_node *loss = gen_mean(g, gen_reshape(g, gen_mul(g, y, y), GEN_SHAPE(-1)), 1);
    for (int i = 0; i < gen_graph_params(g); i++)
        if (((const gen_param_attr *)gen_graph_param(g, i)->attr)->trained)
            wrt[trained++] = gen_graph_param(g, i);
    s->out[0] = loss;
    gen_grad(g, loss, NULL, wrt, trained, s->out + 1);
    s->n = 1 + trained;
    s->n += gen_net_statistics(&s->net, s->out + s->n);
    if (gen_graph_status(g) != GEN_OK)
        fail_msg("%s", gen_last_error());
    assert_int_equal(gen_params_create(&s->params), GEN_OK);
    assert_int_equal(gen_params_init(s->params, g, 1), GEN_OK);
}

static void unmake(step *s)
{
    gen_graph_free(&s->net.g);
    gen_net_free(&s->net);
    gen_params_free(&s->params);
}

static gen_status plan_as(gen_plan **out, const step *s, gen_plan_options o)
{
    o.params_vary = 1;
    return gen_plan_create(out, s->net.g, s->out, s->n, s->params, backend, &o);
}

/* All outputs, one after the other; free with free. */
static float *run(gen_plan *p, int n, size_t *bytes)
{
    gen_tensor x = gen_plan_input(p, "x");
    float *all = NULL;
    *bytes = 0;
    for (int turn = 0; turn < 2; turn++) { /* what a run leaves behind must not change the next */
        gen_random_normal(x.data, gen_shape_count(x.shape), 1, 2, 0);
        if (gen_plan_run(p, NULL) != GEN_OK)
            fail_msg("%s", gen_last_error());
    }
    for (int i = 0; i < n; i++) {
        gen_tensor t = gen_plan_output(p, i);
        all = realloc(all, *bytes + gen_tensor_bytes(&t));
        memcpy((char *)all + *bytes, t.data, gen_tensor_bytes(&t));
        *bytes += gen_tensor_bytes(&t);
    }
    return all;
}

/* What the sentence of a refusal names as the least, rounded to 0.1 MB. */
static uint64_t least_of(const step *s, gen_plan_options o)
{
    gen_plan *p;
    o.memory_budget = 1;
    o.estimate_only = 1;
    assert_int_equal(plan_as(&p, s, o), GEN_ENOMEM);
    assert_null(p);
    const char *at = strstr(gen_last_error(), "at least ");
    if (!at)
        fail_msg("'%s'", gen_last_error());
    return (uint64_t)(atof(at + strlen("at least ")) * 1e6) + 50001;
}

static void check_within(const step *s, gen_plan_options o, const gen_plan_info *whole,
                         const float *expected, size_t bytes)
{
    gen_plan *p;
    size_t found;
    if (plan_as(&p, s, o) != GEN_OK)
        fail_msg("%s", gen_last_error());
    const gen_plan_info info = gen_plan_describe(p);
    assert_true(info.slab_bytes <= o.memory_budget);
    assert_int_equal(info.steps, whole->steps + info.again);
    assert_true((info.flops > whole->flops) == (info.again > 0));
    assert_true(info.again == 0 || whole->slab_bytes > o.memory_budget);
    float *again = run(p, s->n, &found);
    assert_int_equal(found, bytes);
    assert_memory_equal(again, expected, bytes);
    free(again);
    gen_plan_free(&p);
}

static void check_network(int k, gen_dtype precision)
{
    gen_plan_options o = { .precision = precision };
    step s;
    gen_plan *p;
    size_t bytes;
    make(&s, nets[k].build);
    assert_int_equal(plan_as(&p, &s, o), GEN_OK);
    const gen_plan_info whole = gen_plan_describe(p);
    float *expected = run(p, s.n, &bytes);
    gen_plan_free(&p);
    uint64_t least = least_of(&s, o);
    print_message("%-10s %s %.2f MB, least %.2f MB\n", nets[k].name, gen_dtype_name(precision),
                  (double)whole.slab_bytes / 1e6, (double)least / 1e6);
    assert_int_equal(whole.again, 0);
    assert_true((double)least <= nets[k].at_most * (double)whole.slab_bytes);
    for (uint64_t part = 0; part <= 5; part++) {
        o.memory_budget = least + (whole.slab_bytes - least) * part / 5;
        check_within(&s, o, &whole, expected, bytes);
    }
    free(expected);
    unmake(&s);
}

static void the_same_bytes(void **state)
{
    (void)state;
    for (int k = 0; k < GEN_LEN(nets); k++)
        check_network(k, GEN_F32);
}

static void the_same_bytes_in_bf16(void **state)
{
    (void)state;
    check_network(1, GEN_BF16);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void budgets_that_are_too_small(void **state)
{
    (void)state;
    char expected[200];
    step s;
    gen_plan *p;
    gen_plan_options o = { .estimate_only = 1 };
    make(&s, chain);
    assert_int_equal(plan_as(&p, &s, o), GEN_OK);
    const double whole = (double)gen_plan_describe(p).slab_bytes / 1e6;
    gen_plan_free(&p);
    const double least = (double)(least_of(&s, o) - 50001) / 1e6;
    o.memory_budget = 1000000;
    assert_int_equal(plan_as(&p, &s, o), GEN_ENOMEM);
    snprintf(expected, sizeof expected,
             "the plan takes %.1f MB, and at least %.1f MB when values are computed again instead "
             "of kept; the memory budget is 1.0 MB",
             whole, least);
    assert_string_equal(gen_last_error(), expected);
    o.memory_budget = (uint64_t)((whole + least) / 2 * 1e6);
    o.rules_off = GEN_RULE_RECOMPUTE;
    assert_int_equal(plan_as(&p, &s, o), GEN_ENOMEM);
    assert_null(strstr(gen_last_error(), "again"));

    o.rules_off = 0; /* without gradients nothing waits for them */
    o.memory_budget = 1000;
    o.params_vary = 1;
    assert_int_equal(gen_plan_create(&p, s.net.g, s.out, 1, s.params, backend, &o), GEN_ENOMEM);
    assert_null(strstr(gen_last_error(), "again"));
    unmake(&s);
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    step s;
    gen_plan_options o = { .estimate_only = 1 };
    make(&s, chain);
    o.memory_budget = least_of(&s, o) + 300000;
    uint64_t before = gen_alloc_bytes(), n = 1;
    gen_status status = GEN_ENOMEM;
    for (; status != GEN_OK; n += 1 + n / 64) {
        gen_plan *p;
        gen_alloc_fail_at(n);
        status = plan_as(&p, &s, o);
        gen_alloc_fail_at(0);
        assert_true(status == GEN_OK || status == GEN_ENOMEM);
        gen_plan_free(&p);
        assert_int_equal(gen_alloc_bytes(), before);
    }
    assert_true(n > 500);
    unmake(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_bytes),
        cmocka_unit_test(the_same_bytes_in_bf16),
        cmocka_unit_test(budgets_that_are_too_small),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("recompute", tests, open_backend, close_backend);
}
