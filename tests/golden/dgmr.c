/* SPDX-License-Identifier: Apache-2.0
 *
 * DGMR's generator against the PyPI package dgmr 1.4.4 on weights by rule (make_dgmr.py): outputs
 * at small and full width, gradients with respect to every parameter, states after a training step.
 */
#include "tests/golden/rule.h"
#include "weather/dgmr.h"

struct made {
    gen_net net;
    gen_node *rain;
};

struct size {
    int64_t n, steps, h, w;
};

static gen_dgmr_config config_of(const gen_arch *arch, int64_t latent, int64_t context, int64_t z)
{
    gen_dgmr_config c;
    gen_options_defaults(arch->config, &c);
    c.latent_channels = latent;
    c.context_channels = context;
    c.z_channels = z;
    return c;
}

/* Through the arch, as the program does it. */
static struct made make(const gen_arch *arch, gen_dgmr_config c, struct size s, bool training)
{
    struct made m = { .net = { .training = training } };
    gen_port in[GEN_MAX_PORTS], out[GEN_MAX_PORTS];
    int n_in = GEN_MAX_PORTS, n_out = GEN_MAX_PORTS;
    c.steps = s.steps;
    assert_int_equal(gen_graph_create(&m.net.g), GEN_OK);
    assert_int_equal(arch->inputs(&c, in, &n_in), GEN_OK);
    bool given[GEN_MAX_PORTS] = { true };
    in[0].shape = GEN_SHAPE(s.n, 4, s.h, s.w, 1);
    arch->adapt(&c, in, given, n_in);
    for (int i = 0; i < n_in; i++)
        in[i].node = gen_input(m.net.g, in[i].name, GEN_F32, in[i].shape);
    arch->build(&m.net, &c, in, n_in, out, &n_out);
    rule_graph_is_whole(m.net.g);
    assert_int_equal(n_out, 1);
    assert_true(gen_shape_equal(out[0].shape, GEN_SHAPE(s.n, s.steps, s.h, s.w, 1)));
    m.rain = out[0].node;
    return m;
}

static void unmake(struct made *m)
{
    gen_graph *g = m->net.g;
    gen_net_free(&m->net);
    gen_graph_free(&g);
}

/* Every `every`-th value of found against a golden file. */
static void check_values(const char *name, const float *found, int64_t n, int64_t every)
{
    gen_tensor golden = rule_golden(name);
    int64_t count = (n + every - 1) / every;
    float *picked = calloc((size_t)count, sizeof *picked);
    for (int64_t i = 0; i < count; i++)
        picked[i] = found[i * every];
    assert_int_equal(golden.shape.dim[0], count);
    double distance = rule_distance(picked, golden.data, count);
    print_message("%s: %.2g\n", name, distance);
    if (!(distance <= 1e-4))
        fail_msg("%s: distance %g, expected at most 1e-4", name, distance);
    free(picked);
    gen_tensor_free(&golden);
}

static void forward(const char *name, const gen_arch *arch, gen_dgmr_config c, struct size s,
                    int64_t every)
{
    struct made m = make(arch, c, s, false);
    float *rain = rule_reference(m.net.g, &m.rain, 1);
    check_values(name, rain, gen_shape_count(gen_node_shape(m.rain)), every);
    free(rain);
    unmake(&m);
}

static void quarter_width(void **state)
{
    (void)state;
    gen_dgmr_config c = config_of(&gen_dgmr_ocf_arch, 192, 96, 2);
    forward("dgmr_small", &gen_dgmr_ocf_arch, c, (struct size){ 2, 3, 64, 64 }, 7);
    forward("dgmr_small_wide", &gen_dgmr_ocf_arch, c, (struct size){ 1, 2, 64, 96 }, 5);
}

/* The same by the width multiplier. */
static void quarter_width_of_the_paper(void **state)
{
    (void)state;
    gen_dgmr_config c = config_of(&gen_dgmr_arch, 768, 384, 2);
    c.width = 0.25;
    forward("dgmr_paper", &gen_dgmr_arch, c, (struct size){ 2, 2, 64, 96 }, 7);
}

/* ---- gradients ------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(gen_node_name(*(gen_node *const *)a), gen_node_name(*(gen_node *const *)b));
}

/* The stored form of a tensor: its norm, then at most 97 evenly spaced elements. */
static int64_t sample(const float *x, int64_t n, float *out)
{
    int64_t k = n < 97 ? n : 97;
    double square = 0;
    for (int64_t i = 0; i < n; i++)
        square += (double)x[i] * (double)x[i];
    out[0] = (float)sqrt(square);
    for (int64_t i = 0; i < k; i++)
        out[1 + i] = x[i * n / k];
    return k + 1;
}

/* The stored samples of each tensor in order of name. A tensor passes when its difference is at
 * most `tolerance` of its norm; a norm below 1e-3 of the largest counts as that, because the
 * gradient of a bias in front of a batch norm is zero but for rounding. */
static void check_samples(const char *name, gen_node *const named[], gen_node *const value[], int n,
                          const float *found, double tolerance)
{
    gen_tensor golden = rule_golden(name);
    const float *expected = golden.data;
    float largest = 0, buffer[98];
    double worst = 0;
    int64_t at = 0;
    for (int i = 0; i < n; i++) {
        int64_t count = gen_shape_count(gen_node_shape(value[i]));
        largest = fmaxf(largest, expected[at]);
        at += 1 + (count < 97 ? count : 97);
    }
    assert_int_equal(at, golden.shape.dim[0]);
    for (int i = 0; i < n; i++) {
        int64_t count = gen_shape_count(gen_node_shape(value[i])), k = sample(found, count, buffer);
        double square = 0, norm = 0;
        for (int64_t j = 1; j < k; j++) {
            square += pow((double)buffer[j] - expected[j], 2);
            norm += pow(expected[j], 2);
        }
        double off = fmax(sqrt(square) / fmax(sqrt(norm), 1e-3 * largest),
                          fabs(buffer[0] - expected[0]) / fmax(expected[0], 1e-3 * largest));
        if (!(off <= tolerance))
            fail_msg("%s: '%s' is off by %g of its norm %g", name, gen_node_name(named[i]), off,
                     (double)expected[0]);
        worst = fmax(worst, off);
        found += count;
        expected += k;
    }
    print_message("%s: %d tensors, worst %.2g\n", name, n, worst);
    gen_tensor_free(&golden);
}

enum { MOST = 400 };

/* Gradient of sum(rain * dy) with respect to every parameter; in training also the states after. */
static void gradients(const char *name, bool training)
{
    char file[64];
    const struct size s = { 2, 3, 64, 96 };
    struct made m = make(&gen_dgmr_ocf_arch, config_of(&gen_dgmr_ocf_arch, 64, 32, 1), s, training);
    gen_graph *g = m.net.g;
    gen_node *wrt[MOST], *state[MOST], *out[1 + 2 * MOST] = { m.rain };
    int n = 0, n_state = 0;
    for (int i = 0; i < gen_graph_params(g); i++) {
        gen_node *p = gen_graph_param(g, i);
        if (((const gen_param_attr *)p->attr)->trained)
            wrt[n++] = p;
        else
            state[n_state++] = p;
    }
    qsort(wrt, (size_t)n, sizeof *wrt, by_name);
    qsort(state, (size_t)n_state, sizeof *state, by_name);
    gen_node *dy = gen_input(g, "dy", GEN_F32, gen_node_shape(m.rain));
    gen_grad(g, m.rain, dy, wrt, n, out + 1);
    rule_graph_is_whole(g);
    for (int i = 0; i < n; i++)
        if (!out[1 + i])
            fail_msg("no gradient for '%s'", gen_node_name(wrt[i]));
    assert_int_equal(m.net.n_updates, training ? n_state : 0);
    for (int i = 0; i < n_state && training; i++)
        for (int k = 0; k < n_state; k++)
            if (m.net.state[k] == state[i])
                out[1 + n + i] = m.net.next[k];

    float *found = rule_reference(g, out, 1 + n + (training ? n_state : 0));
    int64_t count = gen_shape_count(gen_node_shape(m.rain)), total = count;
    snprintf(file, sizeof file, "dgmr_%s_out", name);
    check_values(file, found, count, 7);
    snprintf(file, sizeof file, "dgmr_%s_grads", name);
    check_samples(file, wrt, out + 1, n, found + total, 1e-3);
    for (int i = 0; i < n; i++)
        total += gen_shape_count(gen_node_shape(wrt[i]));
    snprintf(file, sizeof file, "dgmr_%s_states", name);
    if (training)
        check_samples(file, state, out + 1 + n, n_state, found + total, 1e-4);
    free(found);
    unmake(&m);
}

static void gradients_in_eval(void **state)
{
    (void)state;
    gradients("eval", false);
}

static void gradients_in_training(void **state)
{
    (void)state;
    gradients("train", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quarter_width),
        cmocka_unit_test(quarter_width_of_the_paper),
        cmocka_unit_test(gradients_in_eval),
        cmocka_unit_test(gradients_in_training),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
