/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole training step of DGMR, and ten turns of it, beside PyTorch (make_dgmr_step.py): the
 * trainer as the program runs it, with all draws in one graph, in two passes, and with a batch in
 * pieces. Losses, the gradient of every parameter, all states.
 */
#include "tests/golden/rule.h"

#include "libgen/train/optimiser.h"
#include "weather/dgmr_train.h"

enum {
    N = 2,
    CONTEXT = 4,
    LEADS = 4,
    SIDE = 64,
    AREAS = SIDE / 16,
    D_STEPS = 2,
    TURNS = 10,
    MOST = 25
};

typedef struct kind {
    const char *name; /* of the files */
    bool paper;
    int64_t pieces, draws, at_once;
    double lambda, d_rate;
    int64_t start;     /* number of the first turn */
    double after_adam; /* how near what follows from D's steps comes; see below */
} kind;

/* Samples by rule; those from `end` on cannot be read. */
typedef struct source {
    int64_t end;
} source;

typedef struct run {
    gen_backend *backend;
    gen_params *params;
    gen_dgmr_trainer *trainer;
    source source;
    gen_guard guard;
} run;

/* shape [T,1,SIDE,SIDE]: 8 max(value, 0) of areas of 16 x 16 cells. */
static float area_of(const float *area, int64_t cell)
{
    int64_t frame = cell / (SIDE * SIDE), row = cell / SIDE % SIDE, column = cell % SIDE;
    return 8 * fmaxf(area[(frame * AREAS + row / 16) * AREAS + column / 16], 0);
}

static gen_status sample(void *cookie, int64_t index, float *rain, float *mask, const char **from)
{
    const source *s = cookie;
    const gen_shape shape = GEN_SHAPE(CONTEXT + LEADS, 1, SIDE, SIDE);
    char name[32];
    float area[(CONTEXT + LEADS) * AREAS * AREAS];
    if (index >= s->end)
        return gen_fail(GEN_EIO, "sample %lld: there are %lld", (long long)index,
                        (long long)s->end);
    snprintf(name, sizeof name, "sample/%lld/frames", (long long)index);
    rule_values(rain, name, shape);
    snprintf(name, sizeof name, "sample/%lld/mask", (long long)index);
    rule_values(mask, name, shape);
    snprintf(name, sizeof name, "sample/%lld/area", (long long)index);
    rule_values(area, name, GEN_SHAPE(CONTEXT + LEADS, 1, AREAS, AREAS));
    for (int64_t i = 0; i < gen_shape_count(shape); i++) {
        mask[i] = mask[i] > -1;
        rain[i] *= area_of(area, i) * mask[i];
    }
    *from = NULL;
    return GEN_OK;
}

static gen_dgmr_training training_of(const kind *k, run *r)
{
    const gen_arch *arch = k->paper ? &gen_dgmr_arch : &gen_dgmr_ocf_arch;
    gen_dgmr_training t = { .sample = sample, .cookie = &r->source };
    gen_options_defaults(gen_dgmr_recipe_options, &t.recipe);
    gen_options_defaults(arch->config, &t.generator);
    gen_options_defaults(k->paper ? gen_dgmr_d_options : gen_dgmr_ocf_d_options, &t.discriminator);
    t.recipe.batch = N;
    t.recipe.pieces = k->pieces;
    t.recipe.crop = SIDE;
    t.recipe.d_steps = D_STEPS;
    t.recipe.draws = k->draws;
    t.recipe.draws_at_once = k->at_once;
    t.recipe.lambda = k->lambda;
    t.recipe.rate = 5e-5;
    t.recipe.d_rate = k->d_rate;
    t.recipe.average = 0;
    t.generator.steps = LEADS;
    t.generator.latent_channels = 64;
    t.generator.context_channels = 48;
    t.generator.z_channels = 1;
    t.discriminator.width = 0.125;
    t.discriminator.picked = 3;
    return t;
}

/* All parameters and states of both networks, by rule. */
static gen_params *params_of(const gen_dgmr_training *t)
{
    gen_net net = { .training = true };
    const gen_dgmr_d_config *d = &t->discriminator;
    assert_int_equal(gen_graph_create(&net.g), GEN_OK);
    gen_node *frames = gen_input(net.g, "frames", GEN_F32, GEN_SHAPE(1, CONTEXT, SIDE, SIDE, 1));
    gen_node *z = gen_input(net.g, "z", GEN_F32, GEN_SHAPE(1, 2, 2, t->generator.z_channels));
    gen_node *index = gen_input(net.g, "index", GEN_I32, GEN_SHAPE(d->picked));
    gen_node *offset = gen_input(net.g, "offset", GEN_I32, GEN_SHAPE(1, 2));
    gen_node *x = gen_dgmr_draws(&net, &t->generator, frames, z);
    gen_dgmr_spatial(&net, d, x, index);
    gen_dgmr_temporal(&net, d, x, offset);
    rule_graph_is_whole(net.g);
    gen_params *params = rule_params(net.g);
    gen_graph *g = net.g;
    gen_net_free(&net);
    gen_graph_free(&g);
    return params;
}

static void open_run(run *r, const kind *k, int64_t samples)
{
    *r = (run){ .source.end = samples, .guard.policy = GEN_ON_NAN_STOP };
    const gen_dgmr_training t = training_of(k, r);
    r->params = params_of(&t);
    assert_int_equal(test_backend_open(&r->backend, 2), GEN_OK);
    int before = gen_params_count(r->params);
    if (gen_dgmr_trainer_create(&r->trainer, r->params, r->backend, &t))
        fail_msg("%s", gen_last_error());
    assert_int_equal(gen_params_count(r->params), before); /* none was left to chance */
}

static void close_run(run *r)
{
    gen_dgmr_trainer_free(&r->trainer);
    gen_params_free(&r->params);
    gen_backend_close(&r->backend);
}

/* ---- tensors by name ------------------------------------------------------------------------- */

/* Tensors in order of name, and their values one after the other. */
typedef struct list {
    const char *name[400];
    int64_t count[400];
    int64_t at[400]; /* in value, and whatever else is kept so */
    int n;
    int64_t total;
    float *value;
} list;

/* Those of params of one sort; named by params, which must outlive it. */
static void list_open(list *l, const gen_params *params, bool trained, const char *prefix)
{
    *l = (list){ 0 };
    for (int i = 0; i < gen_params_count(params); i++) {
        const char *name;
        bool is_trained;
        int k = l->n;
        gen_tensor t = gen_params_at(params, i, &name, &is_trained);
        bool of_d = !strncmp(name, "discriminator/", 14);
        if (is_trained != trained || (prefix && of_d != (*prefix == 'd')))
            continue;
        assert_true(l->n < GEN_LEN(l->name));
        for (; k > 0 && strcmp(l->name[k - 1], name) > 0; k--) {
            l->name[k] = l->name[k - 1];
            l->count[k] = l->count[k - 1];
        }
        l->name[k] = name;
        l->count[k] = gen_shape_count(t.shape);
        l->n++;
    }
    for (int i = 0; i < l->n; i++) {
        l->at[i] = l->total;
        l->total += l->count[i];
    }
    l->value = calloc((size_t)l->total, sizeof *l->value);
}

static void list_read(list *l, gen_params *params)
{
    assert_int_equal(gen_params_fetch(params), GEN_OK);
    for (int i = 0; i < l->n; i++)
        memcpy(l->value + l->at[i], gen_params_get(params, l->name[i]).data,
               (size_t)l->count[i] * sizeof *l->value);
}

/* Values before the phase's first step -> its gradients: Adam keeps (1 - beta2) g^2, and with beta1
 * = 0 a parameter moves against the sign of g. */
static void list_gradients(list *l, gen_params *params, const gen_optimiser *o)
{
    assert_int_equal(gen_params_fetch(params), GEN_OK);
    assert_int_equal(o->n, l->n);
    assert_int_equal(o->steps, 1);
    for (int i = 0; i < l->n; i++) {
        const gen_slot *s = o->slot;
        while (strcmp(s->name, l->name[i]) != 0)
            s++;
        const float *w = gen_params_get(params, l->name[i]).data;
        float *value = l->value + l->at[i], *v = malloc((size_t)l->count[i] * sizeof *v);
        assert_int_equal(gen_far_read(o->backend->far, v, s->at.v,
                                      (uint64_t)l->count[i] * sizeof *v),
                         GEN_OK);
        for (int64_t k = 0; k < l->count[i]; k++) {
            double size = sqrt((double)v[k] / (1 - 0.999));
            value[k] = (float)(w[k] < value[k] ? size : w[k] > value[k] ? -size : 0);
        }
        free(v);
    }
}

static void list_check(const list *l, const kind *k, const char *what, double tolerance)
{
    char file[64];
    snprintf(file, sizeof file, "dgmr_step_%s_%s", k->name, what);
    rule_check_sampled(file, l->name, l->count, l->n, l->value, MOST, tolerance);
}

/* ---- losses ---------------------------------------------------------------------------------- */

enum { D_LOSS, REAL, MADE, G_LOSS, ADVERSARIAL, HELD, FIRST_D_LOSS, FIRST_REAL, FIRST_MADE, COLS };

static gen_tensor golden_losses(const kind *k)
{
    char file[64];
    snprintf(file, sizeof file, "dgmr_step_%s_losses", k->name);
    gen_tensor t = rule_golden(file);
    assert_true(gen_shape_equal(t.shape, GEN_SHAPE(TURNS, COLS)));
    return t;
}

/* Losses are made of scores, which are sums of terms of both signs: their scale is 1.
 *
 * In openclimatefix's form batch norm takes the biases of its features away again where a feature
 * is above 0 everywhere: their gradient is 0 but for rounding, and Adam makes a whole step of it,
 * whose direction is chance, in PyTorch too. What D says of the next batch, and its states, are
 * near PyTorch's only as far as these steps do not matter, and for one turn: a lower rate of D
 * shows the rest, ten turns long. */
static double check_loss(const char *what, int turn, double found, float expected, double tolerance)
{
    double off = fabs(found - (double)expected) / fmax(1, fabs((double)expected));
    if (!(off <= tolerance))
        fail_msg("turn %d, %s: %.8g, PyTorch %.8g", turn, what, found, (double)expected);
    return off;
}

/* ---- tests ----------------------------------------------------------------------------------- */

/* The first step of the discriminators: the run ends where its second batch would be read. */
static void step_of_d(const kind *k)
{
    run r;
    list d;
    gen_dgmr_turn said;
    gen_verdict verdict;
    gen_tensor golden = golden_losses(k);
    const float *expected = golden.data;
    open_run(&r, k, (k->start * (D_STEPS + 1) + 1) * N);
    list_open(&d, r.params, true, "d");
    list_read(&d, r.params);
    assert_int_equal(gen_dgmr_trainer_run(r.trainer, &r.guard, k->start, 0, &said, &verdict),
                     GEN_EIO);
    double off =
        check_loss("loss of D", 0, said.d_loss, expected[FIRST_D_LOSS], test_tolerance(1e-5, 1e-4));
    print_message("dgmr_step_%s: loss of the first step of D off by %.2g\n", k->name, off);
    list_gradients(&d, r.params, gen_phase_optimiser(gen_dgmr_trainer_d(r.trainer)));
    list_check(&d, k, "d_grads", 1e-3);
    free(d.value);
    gen_tensor_free(&golden);
    close_run(&r);
}

static void turns(const kind *k)
{
    run r;
    list g, states;
    enum { LOSSES, PARTS, LATER };
    double worst[3] = { 0, 0, 0 };
    gen_tensor golden = golden_losses(k);
    const float *expected = golden.data;
    open_run(&r, k, INT64_MAX);
    list_open(&g, r.params, true, "g");
    list_open(&states, r.params, false, NULL);
    list_read(&g, r.params);
    const int last = k->after_adam > 1e-4 ? 1 : TURNS; /* chance adds up */
    for (int turn = 0; turn < last; turn++, expected += COLS) {
        gen_dgmr_turn s;
        gen_verdict verdict;
        if (gen_dgmr_trainer_run(r.trainer, &r.guard, k->start + turn, turn, &s, &verdict))
            fail_msg("%s", gen_last_error());
        assert_int_equal(verdict, GEN_COMMIT);
        const double found[] = { s.d_loss, s.score_real,  s.score_generated,
                                 s.g_loss, s.adversarial, s.regulariser };
        static const char *const what[] = { "loss of D", "real score",  "generated score",
                                            "loss of G", "adversarial", "regulariser" };
        for (int i = 0; i < GEN_LEN(found); i++) {
            bool part = i != D_LOSS && i != G_LOSS;
            double of_d = k->after_adam / 10; /* half of it is before Adam's first step */
            double most = turn ? 1e-2 : part ? k->after_adam : i == D_LOSS ? of_d : 1e-5;
            double off =
                check_loss(what[i], turn, found[i], expected[i], test_tolerance(most, 1e-4));
            double *w = turn ? &worst[LATER] : part ? &worst[PARTS] : &worst[LOSSES];
            *w = fmax(*w, off);
        }
        if (turn)
            continue;
        list_gradients(&g, r.params, gen_phase_optimiser(gen_dgmr_trainer_g(r.trainer)));
        list_check(&g, k, "g_grads", 1e-3);
        list_read(&states, r.params);
        list_check(&states, k, "states", k->after_adam);
    }
    print_message("dgmr_step_%s: first turn, losses off by %.2g, parts by %.2g; later by %.2g\n",
                  k->name, worst[LOSSES], worst[PARTS], worst[LATER]);
    free(g.value);
    free(states.value);
    gen_tensor_free(&golden);
    close_run(&r);
}

static void whole(const kind *k)
{
    step_of_d(k);
    turns(k);
}

static void openclimatefix(void **state)
{
    (void)state;
    whole(&(kind){ "ocf", false, 1, 2, 0, 20, 2e-4, 0, 1e-3 });
}

static void openclimatefix_in_two_passes(void **state)
{
    (void)state;
    whole(&(kind){ "ocf_two_passes", false, 1, 4, 2, 0.005, 2e-6, 0, 1e-4 });
}

static void pseudo_code(void **state)
{
    (void)state;
    whole(&(kind){ "paper", true, 1, 2, 0, 0.005, 2e-4, 0, 1e-4 });
}

static void pseudo_code_in_pieces(void **state)
{
    (void)state;
    whole(&(kind){ "paper_pieces", true, 2, 2, 1, 20, 2e-4, 0, 1e-4 });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openclimatefix),
        cmocka_unit_test(openclimatefix_in_two_passes),
        cmocka_unit_test(pseudo_code),
        cmocka_unit_test(pseudo_code_in_pieces),
    };
    return cmocka_run_group_tests_name("golden dgmr step", tests, NULL, NULL);
}
