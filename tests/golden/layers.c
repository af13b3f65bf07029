/* SPDX-License-Identifier: Apache-2.0
 *
 * libgen/nn against PyTorch and the PyPI package dgmr: files made by make_layers.py.
 */
#include "tests/golden/rule.h"

static gen_net new_net(bool training)
{
    gen_net net = { .training = training };
    assert_int_equal(gen_graph_create(&net.g), GEN_OK);
    return net;
}

static void free_net(gen_net *net)
{
    gen_graph *g = net->g;
    gen_net_free(net);
    gen_graph_free(&g);
}

static void compare(gen_node *const out[], int n, const float *found, const float *expected,
                    double tolerance)
{
    for (int i = 0; i < n; i++) {
        int64_t count = gen_shape_count(gen_node_shape(out[i]));
        double distance = rule_distance(found, expected, count);
        if (!(distance <= tolerance))
            fail_msg("piece %d ('%s'): distance %g", i, gen_node_name(out[i]), distance);
        found += count;
        expected += count;
    }
}

/* The pieces out[0..n) against the next elements of a golden file: by the references of the ops, in
 * double, which is exact; and by a plan in f32, with and without its rules. */
static void check(gen_net *net, gen_node *const pieces[], int n, const gen_tensor *golden,
                  int64_t *at)
{
    gen_node *out[32];
    memcpy(out, pieces, (size_t)n * sizeof *out);
    int all = rule_with_statistics(net, out, n);
    rule_graph_is_whole(net->g);
    const float *expected = (const float *)golden->data + *at;
    for (int i = 0; i < n; i++)
        *at += gen_shape_count(gen_node_shape(out[i]));
    assert_true(*at <= golden->shape.dim[0]);
    float *found = rule_reference(net->g, out, all);
    rule_move_states(net, out, n, found);
    compare(out, n, found, expected, 1e-6);
    free(found);
    const gen_plan_options options[] = { { 0 }, { .rules_off = GEN_RULES_ALL } };
    for (int k = 0; k < GEN_LEN(options); k++) {
        found = rule_planned(net->g, out, all, &options[k]);
        rule_move_states(net, out, n, found);
        compare(out, n, found, expected, 1e-4);
        free(found);
    }
}

/* A state that the step moves: it stands for its value after. */
static gen_node *next_of(const gen_net *net, const char *name)
{
    for (int i = 0; i < net->n_updates; i++)
        if (!strcmp(gen_node_name(net->update[i].state), name))
            return net->update[i].state;
    fail_msg("no update of '%s'", name);
    return NULL;
}

/* Training step of both kinds: value, new vectors, gradient; then eval of the stored vectors. */
static void spectral_norm_step(const char *name, gen_sn_kind kind)
{
    char file[64], u[64], v[64];
    snprintf(file, sizeof file, "layers_sn_%s", name);
    snprintf(u, sizeof u, "%s/u", name);
    snprintf(v, sizeof v, "%s/v", name);
    gen_tensor golden = rule_golden(file);
    int64_t at = 0;
    for (int training = 1; training >= 0; training--) {
        gen_net net = new_net(training != 0);
        gen_scope s = gen_scope_push(net.g, "%s", name);
        gen_node *w = gen_param(net.g, "w", GEN_SHAPE(6, 4, 3, 3), GEN_INIT_ORTHOGONAL);
        gen_node *normal = gen_spectral_norm(&net, w, kind, 0.5);
        assert_ptr_equal(normal, gen_spectral_norm(&net, w, kind, 0.5));
        gen_scope_pop(net.g, s);
        if (training) {
            gen_node *dy = gen_input(net.g, "dy", GEN_F32, GEN_SHAPE(6, 4, 3, 3)), *dw;
            gen_grad(net.g, normal, dy, &w, 1, &dw);
            assert_int_equal(net.n_updates, 2);
            gen_node *out[] = { normal, next_of(&net, u), next_of(&net, v), dw };
            check(&net, out, 4, &golden, &at);
        } else {
            assert_int_equal(net.n_updates, 0);
            check(&net, &normal, 1, &golden, &at);
        }
        free_net(&net);
    }
    assert_int_equal(at, golden.shape.dim[0]);
    gen_tensor_free(&golden);
}

static void spectral_norm_torch(void **state)
{
    (void)state;
    spectral_norm_step("torch", GEN_SN_TORCH);
}

static void spectral_norm_sonnet(void **state)
{
    (void)state;
    spectral_norm_step("sonnet", GEN_SN_SONNET);
}

static void conv_gru(void **state)
{
    (void)state;
    gen_tensor golden = rule_golden("layers_gru");
    int64_t at = 0;
    gen_net net = new_net(false);
    const gen_layer_attr attr = { .sn = GEN_SN_TORCH };
    gen_node *x = gen_input(net.g, "x", GEN_F32, GEN_SHAPE(3, 2, 6, 5, 5)); /* [T,N,H,W,C] */
    gen_node *h = gen_input(net.g, "h", GEN_F32, GEN_SHAPE(2, 6, 5, 4));
    gen_node *first = gen_reshape(net.g, gen_slice(net.g, x, 0, 0, 1), GEN_SHAPE(2, 6, 5, 5));
    gen_node *out[] = { gen_conv_gru(&net, "gru", x, h, 3, &attr),
                        gen_conv_gru(&net, "gru", first, h, 3, &attr) };
    check(&net, out, 2, &golden, &at);
    assert_int_equal(at, golden.shape.dim[0]);
    gen_tensor_free(&golden);
    free_net(&net);
}

static void residual_blocks(void **state)
{
    (void)state;
    gen_tensor golden = rule_golden("layers_blocks");
    int64_t at = 0;
    const gen_layer_attr sn = { .sn = GEN_SN_TORCH };
    const gen_layer_attr exact = { .sn = GEN_SN_TORCH, .sn_eps = 1e-12 };
    gen_net net = new_net(false);
    gen_node *x = gen_input(net.g, "x", GEN_F32, GEN_SHAPE(4, 6, 4, 6));
    gen_node *out[] = {
        gen_g_block(&net, "g", x, 10, &(gen_block_attr){ .conv = sn, .hidden = 6 }),
        gen_g_block(&net, "up", x, 3, &(gen_block_attr){ .conv = sn, .hidden = 6, .up = 2 }),
        gen_d_block(&net, "d", x, 10, &(gen_block_attr){ .conv = exact, .up = 2 }),
        gen_d_block(&net, "same", x, 6, &(gen_block_attr){ .conv = exact }),
        gen_d_block(&net, "first", x, 10,
                    &(gen_block_attr){ .conv = exact, .up = 2, .no_preact = 1 }),
        gen_l_block(&net, "l", x, 10, NULL),
    };
    check(&net, out, GEN_LEN(out), &golden, &at);
    free_net(&net);

    net = new_net(true);
    x = gen_input(net.g, "x", GEN_F32, GEN_SHAPE(4, 6, 4, 6));
    gen_node *y = gen_g_block(
        &net, "g", x, 10, &(gen_block_attr){ .conv = sn, .hidden = 6, .norm = { .groups = 2 } });
    gen_node *trained[] = { y, next_of(&net, "g/norm1/mean"), next_of(&net, "g/norm1/var") };
    check(&net, trained, 3, &golden, &at);
    assert_int_equal(at, golden.shape.dim[0]);
    gen_tensor_free(&golden);
    free_net(&net);
}

/* Batch norm without variance scaling, and a linear layer. */
static void norm_of_means(void **state)
{
    (void)state;
    gen_tensor golden = rule_golden("layers_norm");
    int64_t at = 0;
    for (int training = 1; training >= 0; training--) {
        gen_net net = new_net(training != 0);
        gen_node *x = gen_input(net.g, "x", GEN_F32, GEN_SHAPE(4, 3, 5, 6));
        gen_node *y =
            gen_norm_layer(&net, "norm", x, &(gen_norm_attr){ .groups = 2, .no_scale = 1 });
        gen_node *other =
            training ? next_of(&net, "norm/mean") : gen_linear_layer(&net, "linear", y, 7, NULL);
        gen_node *out[] = { y, other };
        check(&net, out, 2, &golden, &at);
        free_net(&net);
    }
    assert_int_equal(at, golden.shape.dim[0]);
    gen_tensor_free(&golden);
}

static void attention_of_both_kinds(void **state)
{
    (void)state;
    gen_tensor golden = rule_golden("layers_attention");
    int64_t at = 0;
    gen_net net = new_net(false);
    gen_node *x = gen_input(net.g, "x", GEN_F32, GEN_SHAPE(2, 3, 5, 16));
    gen_node *out[] = { gen_self_attention(&net, "spatial", x, GEN_ATTENTION_SPATIAL),
                        gen_self_attention(&net, "rows", x, GEN_ATTENTION_CHANNEL_ROWS) };
    check(&net, out, 2, &golden, &at);
    assert_int_equal(at, golden.shape.dim[0]);
    gen_tensor_free(&golden);
    free_net(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spectral_norm_torch),
        cmocka_unit_test(spectral_norm_sonnet),
        cmocka_unit_test(conv_gru),
        cmocka_unit_test(residual_blocks),
        cmocka_unit_test(norm_of_means),
        cmocka_unit_test(attention_of_both_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
