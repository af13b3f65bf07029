/* SPDX-License-Identifier: Apache-2.0
 *
 * DGMR's discriminators and losses against PyTorch (make_dgmr_disc.py): the PyPI package dgmr 1.4.4
 * for openclimatefix's form, our own PyTorch of the pseudo-code for the paper's. Scores, losses,
 * the gradient of every parameter, that of the generated fields, and the states after a step.
 */
#include "libgen/train/losses.h"
#include "tests/golden/checkpoint.h"
#include "tests/golden/rule.h"
#include "weather/dgmr_discriminator.h"
#include "weather/dgmr_loss.h"

enum { N = 2, CONTEXT = 4, LEADS = 6, T = CONTEXT + LEADS, H = 128, W = 160, PICKED = 4 };
enum { MOST = 200, DRAWS = 2 };
static const double lambda = 20;

/* What a draw of the generator is judged by. */
struct judged {
    gen_node *rain, *spatial, *temporal; /* scores [2N,1] */
    gen_node *adversarial;               /* [1] */
};

struct step {
    gen_net net;
    gen_node *target, *mask, *mean, *d_loss;
    struct judged draw[DRAWS];
};

static gen_node *field(gen_graph *g, const char *name, int64_t frames)
{
    return gen_input(g, name, GEN_F32, GEN_SHAPE(N, frames, H, W, 1));
}

static gen_node *hinge(gen_graph *g, gen_node *scores)
{
    gen_node *real, *generated;
    gen_dgmr_split(g, scores, N, &real, &generated);
    return gen_hinge_discriminator(g, real, generated);
}

static gen_node *adversarial(gen_graph *g, gen_node *scores)
{
    gen_node *real, *generated;
    gen_dgmr_split(g, scores, N, &real, &generated);
    return gen_hinge_generator(g, generated);
}

static gen_dgmr_d_config config_of(const char *form)
{
    gen_dgmr_d_config c;
    gen_options_defaults(strcmp(form, "ocf") ? gen_dgmr_d_options : gen_dgmr_ocf_d_options, &c);
    c.width = 0.125;
    c.picked = PICKED;
    return c;
}

static struct step make(const char *form, bool training, int draws)
{
    struct step s = { .net = { .training = training } };
    const gen_dgmr_d_config c = config_of(form);
    assert_int_equal(gen_graph_create(&s.net.g), GEN_OK);
    gen_graph *g = s.net.g;
    gen_node *context = field(g, "context/frames", CONTEXT);
    gen_node *index = gen_input(g, "index", GEN_I32, GEN_SHAPE(PICKED * 2 * N));
    gen_node *offset = NULL;
    if (c.view == GEN_DGMR_VIEW_CROP)
        offset = gen_input(g, "offset", GEN_I32, GEN_SHAPE(1, 2));
    s.target = gen_affine(g, field(g, "target/frames", LEADS), 2, 0);
    s.mask = gen_greater(g, field(g, "mask", LEADS), gen_fill(g, GEN_SHAPE(1), -1));
    for (int k = 0; k < DRAWS; k++) {
        struct judged *d = &s.draw[k];
        d->rain = field(g, k ? "draw2/frames" : "draw1/frames", LEADS);
        if (k >= draws)
            continue;
        gen_node *pair = gen_dgmr_pair(g, context, s.target, d->rain, s.mask);
        d->spatial = gen_dgmr_spatial(&s.net, &c, pair, index);
        d->temporal = gen_dgmr_temporal(&s.net, &c, pair, offset);
        d->adversarial = gen_add(g, adversarial(g, d->spatial), adversarial(g, d->temporal));
    }
    s.mean = gen_affine(g, gen_add(g, s.draw[0].rain, s.draw[1].rain), 0.5, 0);
    s.d_loss = gen_add(g, hinge(g, s.draw[0].spatial), hinge(g, s.draw[0].temporal));
    rule_graph_is_whole(g);
    assert_true(gen_shape_equal(gen_node_shape(s.draw[0].spatial), GEN_SHAPE(2 * N, 1)));
    assert_true(gen_shape_equal(gen_node_shape(s.draw[0].temporal), GEN_SHAPE(2 * N, 1)));
    return s;
}

static void unmake(struct step *s)
{
    gen_graph *g = s->net.g;
    gen_net_free(&s->net);
    gen_graph_free(&g);
}

enum how { REFERENCE, PLANNED };

static float *evaluate(enum how how, const char *form, gen_graph *g, gen_node *const out[], int n)
{
    /* The frames and the window of make_dgmr_disc.py. */
    static const int ocf[PICKED] = { 7, 0, 9, 7 };
    static const int paper[2 * N][PICKED] = {
        { 4, 9, 6, 7 }, { 8, 5, 4, 6 }, { 9, 8, 7, 5 }, { 5, 4, 9, 8 }
    };
    static const int32_t offset[2] = { 37, 11 };
    int32_t index[PICKED * 2 * N];
    for (int p = 0; p < PICKED; p++)
        for (int i = 0; i < 2 * N; i++)
            index[p * 2 * N + i] = i * T + (strcmp(form, "ocf") ? paper[i][p] : ocf[p]);
    rule_given[0].name = "index";
    rule_given[0].value = index;
    rule_given[1].name = "offset";
    rule_given[1].value = offset;
    return how == REFERENCE ? rule_reference(g, out, n) : rule_planned(g, out, n, NULL);
}

/* Trained parameters, or states, in order of name. */
static int named(const gen_graph *g, bool trained, gen_node *out[MOST])
{
    int n = 0;
    for (int i = 0; i < gen_graph_params(g); i++) {
        gen_node *p = gen_graph_param(g, i);
        if ((((const gen_param_attr *)p->attr)->trained != 0) == trained && n < MOST)
            out[n++] = p;
    }
    qsort(out, (size_t)n, sizeof *out, rule_by_name);
    return n;
}

static int64_t total(gen_node *const out[], int n)
{
    int64_t count = 0;
    for (int i = 0; i < n; i++)
        count += gen_shape_count(gen_node_shape(out[i]));
    return count;
}

/* ---- scores and losses ----------------------------------------------------------------------- */

/* Scores in f32 are sums of features that batch norm has taken the mean from: what they lose there
 * is small beside 1, the scale of the losses, not beside a score near 0. */
static void check_losses(const char *name, enum how how, const float *found)
{
    /* Spatial scores, temporal scores, loss of D, of both draws, three regularisers. */
    static const int pieces[] = { 2 * N, 2 * N, 1, 1, 1, 1, 1, 1 };
    gen_tensor golden = rule_golden(name);
    const float *expected = golden.data;
    double worst = 0;
    int at = 0;
    for (int i = 0; i < GEN_LEN(pieces); at += pieces[i++]) {
        double distance = rule_distance(found + at, expected + at, pieces[i]);
        if (!(distance <= (how == REFERENCE ? 1e-6 : i < 2 ? 1e-4 : test_tolerance(1e-5, 1e-4))))
            fail_msg("%s: piece %d is %g, expected %g", name, i, (double)found[at],
                     (double)expected[at]);
        worst = fmax(worst, distance);
    }
    assert_int_equal(at, golden.shape.dim[0]);
    print_message("%s: %.2g\n", name, worst);
    gen_tensor_free(&golden);
}

static void losses(enum how how, const char *form, bool training)
{
    char name[64];
    struct step s = make(form, training, DRAWS);
    gen_graph *g = s.net.g;
    gen_node *out[5 + 3] = { s.draw[0].spatial, s.draw[0].temporal, s.d_loss, s.draw[0].adversarial,
                             s.draw[1].adversarial };
    for (int kind = 0; kind < 3; kind++)
        out[5 + kind] =
            gen_dgmr_cell_loss(g, s.mean, s.target, s.mask, NULL, (gen_dgmr_weight)kind);
    rule_graph_is_whole(g);
    snprintf(name, sizeof name, "dgmr_disc_%s_%s_losses", form, training ? "train" : "eval");
    float *found = evaluate(how, form, g, out, GEN_LEN(out));
    check_losses(name, how, found);
    free(found);
    unmake(&s);
}

/* ---- gradients ------------------------------------------------------------------------------- */

static void gradients_of_d(enum how how, const char *form, bool training)
{
    char name[64];
    struct step s = make(form, training, 1);
    gen_node *wrt[MOST], *state[MOST], *out[4 * MOST];
    int n = named(s.net.g, true, wrt), n_state = named(s.net.g, false, state);
    gen_grad(s.net.g, s.d_loss, NULL, wrt, n, out);
    rule_graph_is_whole(s.net.g);
    for (int i = 0; i < n; i++)
        if (!out[i])
            fail_msg("no gradient for '%s'", gen_node_name(wrt[i]));
    assert_int_equal(s.net.n_updates, training ? n_state : 0);
    n_state = s.net.n_updates;
    memcpy(out + n, state, (size_t)n_state * sizeof *out);
    int all = rule_with_statistics(&s.net, out, n + n_state);
    float *found = evaluate(how, form, s.net.g, out, all);
    rule_move_states(&s.net, out, n + n_state, found);
    snprintf(name, sizeof name, "dgmr_disc_%s_%s_d_grads", form, training ? "train" : "eval");
    rule_check_samples(name, wrt, out, n, found, 1e-3);
    snprintf(name, sizeof name, "dgmr_disc_%s_train_states", form);
    if (training)
        rule_check_samples(name, state, out + n, n_state, found + total(out, n), 1e-4);
    free(found);
    unmake(&s);
}

/* With respect to the two draws: of the adversarial terms alone, then of the whole loss; the latter
 * in two passes. Then once more by the gradient of the graph. */
static void gradients_of_g(enum how how, const char *form, bool training)
{
    char name[64];
    struct step s = make(form, training, DRAWS);
    gen_graph *g = s.net.g;
    gen_node *draws[DRAWS] = { s.draw[0].rain, s.draw[1].rain };
    gen_node *named_as[2 * DRAWS] = { draws[0], draws[1], draws[0], draws[1] };
    gen_node *two[2 * DRAWS], *one[2 * DRAWS];
    gen_node *slope = gen_dgmr_cell_slope(g, s.mean, s.target, s.mask, NULL, GEN_DGMR_WEIGHT_PAPER);
    for (int k = 0; k < DRAWS; k++) {
        gen_grad(g, gen_affine(g, s.draw[k].adversarial, 1.0 / DRAWS, 0), NULL, &draws[k], 1,
                 &two[k]);
        two[DRAWS + k] = gen_add(g, two[k], gen_affine(g, slope, lambda / DRAWS, 0));
    }

    gen_node *both = gen_add(g, s.draw[0].adversarial, s.draw[1].adversarial);
    gen_node *cells = gen_dgmr_cell_loss(g, s.mean, s.target, s.mask, NULL, GEN_DGMR_WEIGHT_PAPER);
    both = gen_affine(g, both, 0.5, 0);
    gen_grad(g, both, NULL, draws, DRAWS, one);
    gen_grad(g, gen_add(g, both, gen_affine(g, cells, lambda, 0)), NULL, draws, DRAWS, one + DRAWS);
    rule_graph_is_whole(g);

    snprintf(name, sizeof name, "dgmr_disc_%s_%s_g_grads", form, training ? "train" : "eval");
    for (int way = 0; way < 2; way++) {
        gen_node **out = way ? one : two;
        float *found = evaluate(how, form, g, out, 2 * DRAWS);
        rule_check_samples(name, named_as, out, 2 * DRAWS, found, 1e-3);
        free(found);
    }
    unmake(&s);
}

/* By the references, which are slow, gradients in training only. */
static void all(enum how how, const char *form)
{
    for (int training = 0; training < 2; training++) {
        losses(how, form, training);
        if (how == REFERENCE && !training)
            continue;
        gradients_of_d(how, form, training);
        gradients_of_g(how, form, training);
    }
}

static void openclimatefix(void **state)
{
    (void)state;
    all(REFERENCE, "ocf");
}

static void openclimatefix_planned(void **state)
{
    (void)state;
    all(PLANNED, "ocf");
}

static void pseudo_code(void **state)
{
    (void)state;
    all(REFERENCE, "paper");
}

static void pseudo_code_planned(void **state)
{
    (void)state;
    all(PLANNED, "paper");
}

/* ---- import ---------------------------------------------------------------------------------- */

/* Every entry of a checkpoint of the package finds its place, with its values. */
static void names_of_openclimatefix(void **state)
{
    (void)state;
    static struct entry entry[MOST];
    const char *path = "build/tests/dgmr_disc_ocf.safetensors";
    int n = read_names("tests/golden/dgmr_disc_ocf_names.txt", entry, MOST);
    assert_int_equal(n, 162);
    struct step s = make("ocf", false, 1);
    gen_params *expected = rule_params(s.net.g);
    write_checkpoint(path, entry, n, expected, NULL);
    gen_model *model = NULL;
    char *report = NULL;
    assert_int_equal(gen_arch_register(&gen_dgmr_ocf_d_arch), GEN_OK);
    if (gen_model_import(&model, path, NULL, &report))
        fail_msg("%s", gen_last_error());
    const gen_dgmr_d_config *c = model->config;
    assert_ptr_equal(model->arch, &gen_dgmr_ocf_d_arch);
    assert_true(c->channels == 6 && c->width == 1);
    assert_non_null(strstr(report, "d_last.conv_1x1"));
    expect_same_params(model->params, expected);
    gen_text_free(report);
    gen_model_free(&model);

    write_checkpoint(path, entry, n, expected, "x");
    report = NULL;
    assert_int_equal(gen_model_import(&model, path, &gen_dgmr_ocf_d_arch, &report), GEN_EMODEL);
    gen_text_free(report);
    gen_params_free(&expected);
    unmake(&s);
    remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openclimatefix_planned),  cmocka_unit_test(pseudo_code_planned),
        cmocka_unit_test(openclimatefix),          cmocka_unit_test(pseudo_code),
        cmocka_unit_test(names_of_openclimatefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
