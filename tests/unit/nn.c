/* SPDX-License-Identifier: Apache-2.0
 *
 * libgen/nn: initial values (orthogonal as a QR with a positive diagonal, independent of the order
 * of creation, power-iteration vectors that fit their weight), sharing by name, sentences on
 * misuse.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <libgen/nn.h>
#include <libgen/params.h>
#include <libgen/random.h>

#include "libgen/base/alloc.h"

enum { MOST = 64 };

static gen_graph *new_graph(void)
{
    gen_graph *g;
    assert_int_equal(gen_graph_create(&g), GEN_OK);
    return g;
}

static gen_params *init(const gen_graph *g, uint64_t seed)
{
    gen_params *p;
    assert_int_equal(gen_params_create(&p), GEN_OK);
    assert_int_equal(gen_params_init(p, g, seed), GEN_OK);
    return p;
}

/* Rows of q [k,m] are orthonormal; with a [k,m] the normal numbers, a q' is lower triangular with a
 * positive diagonal: q is the Q of a QR of a', made unique. */
static void check_factor(const double *q, const double *a, int k, int m)
{
    for (int i = 0; i < k; i++)
        for (int j = 0; j < k; j++) {
            double qq = 0, aq = 0;
            for (int x = 0; x < m; x++) {
                qq += q[i * m + x] * q[j * m + x];
                aq += a[i * m + x] * q[j * m + x];
            }
            assert_true(fabs(qq - (i == j)) < 1e-6);
            if (j > i)
                assert_true(fabs(aq) < 1e-5);
            if (j == i)
                assert_true(aq > 0);
        }
}

static void orthogonal_is_a_factor(void **state)
{
    (void)state;
    gen_graph *g = new_graph();
    gen_param(g, "wide/w", GEN_SHAPE(5, 3, 2, 2), GEN_INIT_ORTHOGONAL);
    gen_param(g, "tall/w", GEN_SHAPE(13, 4), GEN_INIT_ORTHOGONAL);
    gen_params *p = init(g, 7);
    float normal[MOST];
    double q[MOST], a[MOST];

    const float *w = gen_params_get(p, "wide/w").data;
    gen_random_normal(normal, 60, 7, gen_stream("wide/w"), 0);
    for (int i = 0; i < 60; i++) {
        q[i] = (double)w[i];
        a[i] = (double)normal[i];
    }
    check_factor(q, a, 5, 12);

    w = gen_params_get(p, "tall/w").data;
    gen_random_normal(normal, 52, 7, gen_stream("tall/w"), 0);
    for (int i = 0; i < 13; i++)
        for (int j = 0; j < 4; j++) {
            q[j * 13 + i] = (double)w[i * 4 + j];
            a[j * 13 + i] = (double)normal[i * 4 + j];
        }
    check_factor(q, a, 4, 13);
    gen_params_free(&p);
    gen_graph_free(&g);
}

static void values_follow_from_seed_and_name(void **state)
{
    (void)state;
    gen_graph *one = new_graph(), *two = new_graph();
    gen_param(one, "a", GEN_SHAPE(4, 9), GEN_INIT_ORTHOGONAL);
    gen_param(one, "b", GEN_SHAPE(8), GEN_INIT_NORMAL);
    gen_param(two, "b", GEN_SHAPE(8), GEN_INIT_NORMAL);
    gen_param(two, "a", GEN_SHAPE(4, 9), GEN_INIT_ORTHOGONAL);
    gen_params *p = init(one, 3), *q = init(two, 3), *r = init(two, 4);
    const void *a = gen_params_get(p, "a").data;
    assert_memory_equal(a, gen_params_get(q, "a").data, 36 * sizeof(float));
    assert_memory_equal(gen_params_get(p, "b").data, gen_params_get(q, "b").data,
                        8 * sizeof(float));
    assert_memory_not_equal(a, gen_params_get(r, "a").data, 36 * sizeof(float));

    /* A second graph of the network keeps what is there; another shape is refused. */
    gen_graph *three = new_graph(), *four = new_graph();
    gen_param(three, "a", GEN_SHAPE(4, 9), GEN_INIT_ONES);
    gen_param(three, "c", GEN_SHAPE(2), GEN_INIT_ONES);
    assert_int_equal(gen_params_init(p, three, 3), GEN_OK);
    assert_memory_equal(gen_params_get(p, "a").data, gen_params_get(q, "a").data,
                        36 * sizeof(float));
    assert_int_equal(((float *)gen_params_get(p, "c").data)[1], 1);
    gen_param(four, "a", GEN_SHAPE(4, 8), GEN_INIT_ONES);
    assert_int_equal(gen_params_init(p, four, 3), GEN_EMODEL);
    assert_string_equal(gen_last_error(), "parameter 'a' is [4,9], the network expects [4,8]");

    gen_params_free(&p);
    gen_params_free(&q);
    gen_params_free(&r);
    gen_graph_free(&one);
    gen_graph_free(&two);
    gen_graph_free(&three);
    gen_graph_free(&four);
}

/* u.(W v) is the largest singular value: 1 for an orthogonal W, so an untrained net runs in eval.
 */
static void vectors_fit_their_weight(void **state)
{
    (void)state;
    gen_net net = { .g = new_graph() };
    gen_node *x = gen_input(net.g, "x", GEN_F32, GEN_SHAPE(1, 4, 4, 3));
    gen_conv_layer(&net, "conv", x, 6, &(gen_layer_attr){ .sn = GEN_SN_TORCH });
    gen_params *p = init(net.g, 1);
    const float *w = gen_params_get(p, "conv/w").data, *u = gen_params_get(p, "conv/u").data;
    const float *v = gen_params_get(p, "conv/v").data;
    double sigma = 0;
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 27; j++)
            sigma += (double)u[i] * (double)w[i * 27 + j] * (double)v[j];
    assert_true(fabs(sigma - 1) < 1e-6);
    gen_params_free(&p);
    gen_graph *g = net.g;
    gen_net_free(&net);
    gen_graph_free(&g);
}

static void a_name_means_one_weight(void **state)
{
    (void)state;
    gen_net net = { .g = new_graph(), .training = true };
    gen_node *x = gen_input(net.g, "x", GEN_F32, GEN_SHAPE(1, 4, 4, 3));
    const gen_layer_attr attr = { .sn = GEN_SN_TORCH };
    gen_conv_layer(&net, "conv", x, 3, &attr);
    int params = gen_graph_params(net.g);
    gen_conv_layer(&net, "conv", x, 3, &attr);
    assert_int_equal(gen_graph_params(net.g), params);
    assert_int_equal(net.n_updates, 2); /* u and v, once */
    gen_conv_layer(&net, "conv", x, 4, &attr);
    assert_int_equal(gen_graph_status(net.g), GEN_EINVAL);
    gen_graph *g = net.g;
    gen_net_free(&net);
    gen_graph_free(&g);
}

static void misuse_is_a_sentence(void **state)
{
    (void)state;
    gen_net net = { .g = new_graph(), .training = true };
    gen_node *x = gen_input(net.g, "x", GEN_F32, GEN_SHAPE(5, 4, 4, 3));
    gen_node *y = gen_norm_layer(&net, "norm", x, &(gen_norm_attr){ .groups = 2 });
    assert_null(y);
    assert_null(gen_g_block(&net, "block", y, 8, NULL)); /* later builders do nothing */
    assert_int_equal(gen_graph_status(net.g), GEN_EINVAL);
    assert_non_null(strstr(gen_last_error(), "[5,4,4,3]"));
    assert_non_null(strstr(gen_last_error(), "2 groups"));
    gen_graph *g = net.g;
    gen_net_free(&net);
    gen_graph_free(&g);
}

/* Whichever allocation of a builder fails: out of memory, not a misuse. */
static void failing_allocations(void **state)
{
    (void)state;
    const gen_layer_attr attr = { .sn = GEN_SN_TORCH };
    gen_status s = GEN_ENOMEM;
    for (uint64_t n = 1; s != GEN_OK; n++) {
        gen_net net = { .training = true };
        gen_alloc_fail_at(n);
        s = gen_graph_create(&net.g);
        if (s == GEN_OK) {
            gen_node *x = gen_input(net.g, "x", GEN_F32, GEN_SHAPE(2, 1, 4, 4, 3));
            gen_node *h = gen_fill(net.g, GEN_SHAPE(1, 4, 4, 3), 0);
            gen_node *y = gen_conv_gru(&net, "gru", x, h, 2, &attr);
            y = gen_reshape(net.g, y, GEN_SHAPE(2, 4, 4, 3));
            gen_norm_layer(&net, "norm", y, &(gen_norm_attr){ .groups = 2 });
            s = gen_graph_status(net.g);
        }
        gen_alloc_fail_at(0);
        if (s != GEN_OK && s != GEN_ENOMEM)
            fail_msg("allocation %d: %s", (int)n, gen_last_error());
        gen_graph *g = net.g;
        gen_net_free(&net);
        gen_graph_free(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orthogonal_is_a_factor),
        cmocka_unit_test(values_follow_from_seed_and_name),
        cmocka_unit_test(vectors_fit_their_weight),
        cmocka_unit_test(a_name_means_one_weight),
        cmocka_unit_test(misuse_is_a_sentence),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
