/* SPDX-License-Identifier: Apache-2.0
 *
 * DGMR's generator against the PyPI package dgmr 1.4.4 on weights by rule (make_dgmr.py): outputs
 * at small and full width, gradients with respect to every parameter, states after a training step.
 */
#include "tests/golden/checkpoint.h"
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

/* How a graph is evaluated: by the references of its ops in double, which proves the network; or by
 * a plan, which proves rules and kernels on it. */
enum how { REFERENCE, PLANNED };

static float *evaluate(enum how how, gen_graph *g, gen_node *const out[], int n)
{
    return how == REFERENCE ? rule_reference(g, out, n) : rule_planned(g, out, n, NULL);
}

static void forward(enum how how, const char *name, const gen_arch *arch, gen_dgmr_config c,
                    struct size s, int64_t every)
{
    struct made m = make(arch, c, s, false);
    float *rain = evaluate(how, m.net.g, &m.rain, 1);
    check_values(name, rain, gen_shape_count(gen_node_shape(m.rain)), every);
    free(rain);
    unmake(&m);
}

static void quarter(enum how how)
{
    gen_dgmr_config c = config_of(&gen_dgmr_ocf_arch, 192, 96, 2);
    forward(how, "dgmr_small", &gen_dgmr_ocf_arch, c, (struct size){ 2, 3, 64, 64 }, 7);
    forward(how, "dgmr_small_wide", &gen_dgmr_ocf_arch, c, (struct size){ 1, 2, 64, 96 }, 5);
}

static void quarter_width(void **state)
{
    (void)state;
    quarter(REFERENCE);
}

static void quarter_width_planned(void **state)
{
    (void)state;
    quarter(PLANNED);
}

/* Each rule of the plan off in turn, then all; and in bf16, within its rounding. */
static void without_rules_and_in_bf16(void **state)
{
    (void)state;
    gen_dgmr_config c = config_of(&gen_dgmr_ocf_arch, 192, 96, 2);
    struct made m = make(&gen_dgmr_ocf_arch, c, (struct size){ 2, 3, 64, 64 }, false);
    int64_t n = gen_shape_count(gen_node_shape(m.rain));
    for (unsigned rule = 1; rule <= GEN_RULES_ALL + 1u; rule <<= 1) {
        const gen_plan_options o = { .rules_off = rule > GEN_RULES_ALL ? GEN_RULES_ALL : rule };
        float *rain = rule_planned(m.net.g, &m.rain, 1, &o);
        check_values("dgmr_small", rain, n, 7);
        free(rain);
    }
    float *exact = rule_planned(m.net.g, &m.rain, 1, NULL);
    float *half = rule_planned(m.net.g, &m.rain, 1, &(gen_plan_options){ .precision = GEN_BF16 });
    double distance = rule_distance(half, exact, n);
    print_message("bf16: %.2g\n", distance);
    assert_true(distance > 1e-6 && distance < 0.05);
    free(exact);
    free(half);
    unmake(&m);
}

/* By the width multiplier. */
static void quarter_width_of_the_paper(void **state)
{
    (void)state;
    gen_dgmr_config c = config_of(&gen_dgmr_arch, 768, 384, 2);
    c.width = 0.25;
    const struct size s = { 2, 2, 64, 96 };
    forward(REFERENCE, "dgmr_paper", &gen_dgmr_arch, c, s, 7);
    forward(PLANNED, "dgmr_paper", &gen_dgmr_arch, c, s, 7);
}

static void full_width_planned(void **state)
{
    (void)state;
    gen_dgmr_config c = config_of(&gen_dgmr_ocf_arch, 768, 384, 8);
    forward(PLANNED, "dgmr_full_wide", &gen_dgmr_ocf_arch, c, (struct size){ 1, 2, 32, 64 }, 1);
    forward(PLANNED, "dgmr_full", &gen_dgmr_ocf_arch, c, (struct size){ 1, 18, 64, 64 }, 11);
}

/* ---- gradients ------------------------------------------------------------------------------- */

enum { MOST = 400 };

/* Gradient of sum(rain * dy) with respect to every parameter; in training also the states after. */
static void gradients(enum how how, const char *name, bool training)
{
    char file[64];
    const struct size s = { 2, 3, 64, 96 };
    struct made m = make(&gen_dgmr_ocf_arch, config_of(&gen_dgmr_ocf_arch, 64, 32, 1), s, training);
    gen_graph *g = m.net.g;
    gen_node *wrt[MOST], *state[MOST], *out[1 + 4 * MOST] = { m.rain };
    int n = 0, n_state = 0;
    for (int i = 0; i < gen_graph_params(g); i++) {
        gen_node *p = gen_graph_param(g, i);
        if (((const gen_param_attr *)p->attr)->trained)
            wrt[n++] = p;
        else
            state[n_state++] = p;
    }
    qsort(wrt, (size_t)n, sizeof *wrt, rule_by_name);
    qsort(state, (size_t)n_state, sizeof *state, rule_by_name);
    gen_node *dy = gen_input(g, "dy", GEN_F32, gen_node_shape(m.rain));
    gen_grad(g, m.rain, dy, wrt, n, out + 1);
    rule_graph_is_whole(g);
    for (int i = 0; i < n; i++)
        if (!out[1 + i])
            fail_msg("no gradient for '%s'", gen_node_name(wrt[i]));
    assert_int_equal(m.net.n_updates, training ? n_state : 0);
    if (!training)
        n_state = 0;
    memcpy(out + 1 + n, state, (size_t)n_state * sizeof *out);
    float *found = evaluate(how, g, out, rule_with_statistics(&m.net, out, 1 + n + n_state));
    rule_move_states(&m.net, out, 1 + n + n_state, found);
    int64_t count = gen_shape_count(gen_node_shape(m.rain)), total = count;
    snprintf(file, sizeof file, "dgmr_%s_out", name);
    check_values(file, found, count, 7);
    snprintf(file, sizeof file, "dgmr_%s_grads", name);
    rule_check_samples(file, wrt, out + 1, n, found + total, 1e-3);
    for (int i = 0; i < n; i++)
        total += gen_shape_count(gen_node_shape(wrt[i]));
    snprintf(file, sizeof file, "dgmr_%s_states", name);
    if (training)
        rule_check_samples(file, state, out + 1 + n, n_state, found + total, 1e-4);
    free(found);
    unmake(&m);
}

static void gradients_in_eval(void **state)
{
    (void)state;
    gradients(REFERENCE, "eval", false);
}

static void gradients_in_training(void **state)
{
    (void)state;
    gradients(REFERENCE, "train", true);
}

static void gradients_in_eval_planned(void **state)
{
    (void)state;
    gradients(PLANNED, "eval", false);
}

static void gradients_in_training_planned(void **state)
{
    (void)state;
    gradients(PLANNED, "train", true);
}

/* ---- import ---------------------------------------------------------------------------------- */

/* Every entry of a real checkpoint finds its place, with its values, and widths are inferred. */
static void names_of_openclimatefix(void **state)
{
    (void)state;
    static struct entry entry[MOST];
    const char *path = "build/tests/dgmr_ocf.safetensors";
    int n = read_names("tests/golden/dgmr_ocf_names.txt", entry, MOST);
    assert_int_equal(n, 346);
    struct made m = make(&gen_dgmr_ocf_arch, config_of(&gen_dgmr_ocf_arch, 64, 32, 1),
                         (struct size){ 1, 1, 32, 32 }, false);
    gen_params *expected = rule_params(m.net.g);
    write_checkpoint(path, entry, n, expected, NULL);
    gen_model *model = NULL;
    char *report = NULL;
    assert_int_equal(gen_arch_register(&gen_dgmr_ocf_arch), GEN_OK);
    if (gen_model_import(&model, path, NULL, &report))
        fail_msg("%s", gen_last_error());
    const gen_dgmr_config *c = model->config;
    assert_ptr_equal(model->arch, &gen_dgmr_ocf_arch);
    assert_int_equal(c->latent_channels, 64);
    assert_int_equal(c->context_channels, 32);
    assert_int_equal(c->z_channels, 1);
    assert_int_equal(c->steps, 18);
    assert_true(c->cond_width == 0.5 && c->width == 1);
    assert_non_null(strstr(report, "sampler.g4.conv_1x1."));
    expect_same_params(model->params, expected);
    gen_text_free(report);
    gen_model_free(&model);

    write_checkpoint(path, entry, n, expected, "x");
    report = NULL;
    assert_int_equal(gen_model_import(&model, path, &gen_dgmr_ocf_arch, &report), GEN_EMODEL);
    gen_text_free(report);
    gen_params_free(&expected);
    unmake(&m);
    remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quarter_width),
        cmocka_unit_test(quarter_width_planned),
        cmocka_unit_test(without_rules_and_in_bf16),
        cmocka_unit_test(quarter_width_of_the_paper),
        cmocka_unit_test(full_width_planned),
        cmocka_unit_test(gradients_in_eval),
        cmocka_unit_test(gradients_in_training),
        cmocka_unit_test(gradients_in_eval_planned),
        cmocka_unit_test(gradients_in_training_planned),
        cmocka_unit_test(names_of_openclimatefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
