/* SPDX-License-Identifier: Apache-2.0
 *
 * Training on a device, the emulated one: sums, Adam and states are the CPU's, bit by bit; a bad
 * step leaves no trace and the same sentence; a run goes on on either; whatever fails ends in an
 * error, with nothing half committed and nothing left behind.
 */
#include "tests/golden/gan.h"

#include "libgen/backends/backend.h"
#include "tests/toy.h"

#define LONG 100003 /* several pieces, the last one odd */
#define SHORT 7

static bool there; /* the emulator */

#define NEEDS_EMULATOR()                                                                           \
    do {                                                                                           \
        (void)state;                                                                               \
        if (!there)                                                                                \
            skip();                                                                                \
    } while (0)

static void must(gen_status s)
{
    if (s != GEN_OK)
        fail_msg("%s", gen_last_error());
}

/* ---- an optimiser, on one device and the other ----------------------------------------------- */

typedef struct bench {
    gen_backend *backend;
    gen_params *params;
    gen_optimiser *adam;
    void *gradient; /* [LONG], where kernels read */
} bench;

static void open_bench(bench *t, const char *device, const gen_adam_options *options)
{
    float *a, *b, *mean;
    must(gen_backend_open(&t->backend, device, 2));
    must(gen_params_create(&t->params));
    must(gen_params_add(t->params, "a", GEN_SHAPE(SHORT), true, &a));
    must(gen_params_add(t->params, "b", GEN_SHAPE(LONG), true, &b));
    must(gen_params_add(t->params, "mean", GEN_SHAPE(SHORT), false, &mean));
    gen_random_normal(a, SHORT, 1, 1, 0);
    gen_random_normal(b, LONG, 1, 2, 0);
    must(gen_far_hold(t->backend->far, &t->gradient, LONG * sizeof(float), "gradients"));
    must(gen_optimiser_create(&t->adam, t->params, NULL, 0, options, t->backend));
}

static void close_bench(bench *t)
{
    gen_optimiser_free(&t->adam);
    gen_far_release(t->backend->far, t->gradient);
    gen_params_free(&t->params);
    gen_backend_close(&t->backend);
}

static void add_gradient(bench *t, uint64_t turn, float scale)
{
    static float g[LONG];
    gen_random_normal(g, LONG, 2, turn, 0);
    for (int i = 0; i < LONG; i++)
        g[i] *= scale;
    must(gen_far_write(t->backend->far, t->gradient, g, sizeof g));
    must(gen_optimiser_add(t->adam, (const float *[]){ NULL, t->gradient }));
}

static void expect_alike(const bench *x, gen_tensor a, const bench *y, gen_tensor b)
{
    static char bytes[2][LONG * sizeof(float)];
    assert_true(gen_shape_equal(a.shape, b.shape));
    must(gen_far_read(x->backend->far, bytes[0], a.data, gen_tensor_bytes(&a)));
    must(gen_far_read(y->backend->far, bytes[1], b.data, gen_tensor_bytes(&b)));
    assert_memory_equal(bytes[0], bytes[1], gen_tensor_bytes(&a));
}

static void expect_same_params(const bench *x, const bench *y)
{
    must(gen_params_fetch(x->params));
    must(gen_params_fetch(y->params));
    for (int i = 0; i < gen_params_count(x->params); i++) {
        gen_tensor a = gen_params_at(x->params, i, NULL, NULL);
        gen_tensor b = gen_params_at(y->params, i, NULL, NULL);
        assert_memory_equal(a.data, b.data, gen_tensor_bytes(&a));
    }
}

static void adam_is_the_processors(void **state)
{
    NEEDS_EMULATOR();
    static const gen_adam_options options[] = {
        { .beta1 = 0.5, .average = 0.9, .bf16 = 1, .weight_decay = 0.01 },
        { .beta2 = 0.99 },
    };
    for (int k = 0; k < GEN_LEN(options); k++) {
        bench cpu, device;
        open_bench(&cpu, "cpu", &options[k]);
        open_bench(&device, "cuda", &options[k]);
        for (uint64_t i = 0; i < 12; i++) {
            add_gradient(&cpu, i, 1);
            add_gradient(&device, i, 1);
            if (i == 4) { /* forgotten by both */
                must(gen_optimiser_discard(cpu.adam));
                must(gen_optimiser_discard(device.adam));
            }
            expect_alike(&cpu, gen_optimiser_sum(cpu.adam, 1), &device,
                         gen_optimiser_sum(device.adam, 1));
            if (i % 3 != 2)
                continue;
            must(gen_optimiser_step(cpu.adam, 0.01));
            must(gen_optimiser_step(device.adam, 0.01));
        }
        expect_same_params(&cpu, &device);
        if (options[k].average > 0) {
            expect_alike(&cpu, gen_optimiser_average(cpu.adam, 1), &device,
                         gen_optimiser_average(device.adam, 1));
            expect_alike(&cpu, gen_optimiser_bf16(cpu.adam, 1), &device,
                         gen_optimiser_bf16(device.adam, 1));
            must(gen_optimiser_swap(cpu.adam));
            must(gen_optimiser_swap(device.adam));
            expect_same_params(&cpu, &device);
        }
        close_bench(&cpu);
        close_bench(&device);
    }
}

/* Values that the host wrote are those that the next step changes. */
static void the_host_may_write_parameters(void **state)
{
    NEEDS_EMULATOR();
    bench t[2];
    for (int i = 0; i < 2; i++) {
        open_bench(&t[i], i ? "cuda" : "cpu", NULL);
        add_gradient(&t[i], 1, 1);
        must(gen_optimiser_step(t[i].adam, 0.5));
        must(gen_params_fetch(t[i].params));
        ((float *)gen_params_get(t[i].params, "b").data)[LONG - 1] = 17;
        gen_params_touch(t[i].params);
        add_gradient(&t[i], 2, 1);
        must(gen_optimiser_step(t[i].adam, 0.5));
    }
    expect_same_params(&t[0], &t[1]);
    close_bench(&t[0]);
    close_bench(&t[1]);
}

static void bad_gradients_are_named(void **state)
{
    NEEDS_EMULATOR();
    const gen_look look = { .step = 7, .sample = "de/a.h5" };
    static const float bad[] = { NAN, -INFINITY, 1e19f, 0 };
    char sentence[2][200];
    for (int i = 0; i < GEN_LEN(bad); i++) {
        for (int on = 0; on < 2; on++) {
            bench t;
            open_bench(&t, on ? "cuda" : "cpu", NULL);
            static float g[LONG];
            g[90001] = bad[i];
            must(gen_far_write(t.backend->far, t.gradient, g, sizeof g));
            must(gen_optimiser_add(t.adam, (const float *[]){ NULL, t.gradient }));
            gen_status s = gen_optimiser_look(t.adam, &look);
            assert_int_equal(s, i < 3 ? GEN_ENUMERIC : GEN_OK);
            snprintf(sentence[on], sizeof sentence[on], "%s", s ? gen_last_error() : "");
            must(gen_optimiser_discard(t.adam));
            add_gradient(&t, 1, 1);
            must(gen_optimiser_look(t.adam, &look));
            close_bench(&t);
        }
        assert_string_equal(sentence[0], sentence[1]);
    }
}

/* Two updates of one state, one of them of two groups with a variance, and one of a mean. */
static void states_are_the_processors(void **state)
{
    NEEDS_EMULATOR();
    const gen_look look = { .step = 3 };
    bench t[2];
    gen_pending *p[2];
    void *given[2]; /* four statistics: [2*SHORT], [2*SHORT], [SHORT], [SHORT] */
    gen_net net = { 0 };
    must(gen_graph_create(&net.g));
    gen_node *two = gen_input(net.g, "two", GEN_F32, GEN_SHAPE(2, SHORT));
    gen_node *one = gen_input(net.g, "one", GEN_F32, GEN_SHAPE(SHORT));
    gen_node *mean = gen_state(net.g, "mean", GEN_SHAPE(SHORT), GEN_INIT_ZEROS);
    gen_node *u = gen_state(net.g, "u", GEN_SHAPE(SHORT), GEN_INIT_ZEROS);
    gen_net_update(&net, (gen_update){ mean, two, two, 0.1, 9 });
    gen_net_update(&net, (gen_update){ .state = u, .mean = one });
    gen_net_update(&net, (gen_update){ .state = mean, .mean = one, .momentum = 0.3 });
    must(gen_graph_status(net.g));
    for (int i = 0; i < 2; i++) {
        open_bench(&t[i], i ? "cuda" : "cpu", NULL);
        must(gen_params_add(t[i].params, "u", GEN_SHAPE(SHORT), false, NULL));
        must(gen_pending_create(&p[i], t[i].params, &net, t[i].backend));
        must(gen_far_hold(t[i].backend->far, &given[i], 6 * SHORT * sizeof(float), "statistics"));
    }
    for (int step = 0; step < 4; step++) {
        char sentence[2][200];
        for (int i = 0; i < 2; i++) {
            float *g = given[i], x[6 * SHORT];
            const float *statistic[] = { g, g + 2 * SHORT, g + 4 * SHORT, g + 5 * SHORT };
            for (uint64_t micro = 0; micro < 3; micro++) {
                gen_random_normal(x, 6 * SHORT, 5, (uint64_t)step, 100 * micro);
                for (int k = 2 * SHORT; k < 4 * SHORT; k++)
                    x[k] = fabsf(x[k]);
                x[4 * SHORT + 2] = step == 1 && micro == 1 ? INFINITY : x[4 * SHORT + 2];
                must(gen_far_write(t[i].backend->far, g, x, sizeof x));
                must(gen_pending_add(p[i], statistic));
            }
            gen_status s = gen_pending_look(p[i], &look);
            assert_int_equal(s, step == 1 ? GEN_ENUMERIC : GEN_OK);
            snprintf(sentence[i], sizeof sentence[i], "%s", s ? gen_last_error() : "");
            must(s ? gen_pending_discard(p[i]) : gen_pending_commit(p[i]));
        }
        assert_string_equal(sentence[0], sentence[1]);
        expect_same_params(&t[0], &t[1]);
    }
    assert_true(((float *)gen_params_get(t[0].params, "u").data)[0] != 0);
    for (int i = 0; i < 2; i++) {
        gen_pending_free(&p[i]);
        gen_far_release(t[i].backend->far, given[i]);
        close_bench(&t[i]);
    }
    gen_graph *g = net.g;
    gen_net_free(&net);
    gen_graph_free(&g);
}

/* Whatever fails in making an optimiser: an error, and nothing is left. */
static void any_call_may_fail(void **state)
{
    NEEDS_EMULATOR();
    static const char *const what[] = { "alloc", "host_alloc", "copy" };
    const gen_adam_options options = { .beta1 = 0.5, .average = 0.9, .bf16 = 1 };
    bench t;
    open_bench(&t, "cuda", &options); /* parameters are there from now on */
    uint64_t bytes = emulated.live_bytes();
    long objects = emulated.live_objects();
    for (int k = 0; k < GEN_LEN(what); k++) {
        gen_status s = GEN_EDEVICE;
        int n = 1;
        for (; s != GEN_OK; n++) {
            gen_optimiser *o;
            emulated.fail_at(what[k], n);
            s = gen_optimiser_create(&o, t.params, NULL, 0, &options, t.backend);
            emulated.fail_at(what[k], 0);
            assert_true(s == GEN_OK || s == GEN_EDEVICE || s == GEN_ENOMEM);
            gen_optimiser_free(&o);
            assert_int_equal(emulated.live_bytes(), bytes);
            assert_int_equal(emulated.live_objects(), objects);
        }
        assert_true(n > 2);
    }
    close_bench(&t);
}

/* ---- a GAN ----------------------------------------------------------------------------------- */

static void turn_of(gan *t, int turn, double loss[2])
{
    gen_guard guard = { .policy = GEN_ON_NAN_STOP };
    gen_verdict verdict;
    must(gen_phase_run(t->d, &guard, turn, &loss[0], &verdict));
    must(gen_phase_run(t->g, &guard, turn, &loss[1], &verdict));
}

/* The largest distance of any tensor, by its own size. */
static double distance_of(gan *a, gan *b)
{
    double worst = 0;
    must(gen_params_fetch(a->params));
    must(gen_params_fetch(b->params));
    for (int i = 0; i < gen_params_count(a->params); i++) {
        gen_tensor x = gen_params_at(a->params, i, NULL, NULL);
        gen_tensor y = gen_params_at(b->params, i, NULL, NULL);
        worst = fmax(worst, rule_distance(x.data, y.data, gen_shape_count(x.shape)));
    }
    return worst;
}

static bool same_bytes(gan *a, gan *b)
{
    bool same = true;
    must(gen_params_fetch(a->params));
    must(gen_params_fetch(b->params));
    for (int i = 0; i < gen_params_count(a->params); i++) {
        gen_tensor x = gen_params_at(a->params, i, NULL, NULL);
        gen_tensor y = gen_params_at(b->params, i, NULL, NULL);
        same &= memcmp(x.data, y.data, gen_tensor_bytes(&x)) == 0;
    }
    return same;
}

static void ten_turns_are_the_processors(void **state)
{
    NEEDS_EMULATOR();
    gan cpu, device;
    open_gan(&cpu, "cpu");
    open_gan(&device, "cuda");
    for (int turn = 0; turn < TURNS; turn++) {
        double a[2], b[2];
        turn_of(&cpu, turn, a);
        turn_of(&device, turn, b);
        for (int i = 0; i < 2; i++)
            if (!(fabs(a[i] - b[i]) <= 1e-5 * fabs(a[i])))
                fail_msg("turn %d: loss %.9g, on the device %.9g", turn, a[i], b[i]);
    }
    double distance = distance_of(&cpu, &device);
    if (!(distance < 1e-5))
        fail_msg("%g from the processor's", distance);
    close_gan(&cpu);
    close_gan(&device);
}

/* In the first micro-batch and in the last one, where the commit stands queued behind it; the first
 * time, when nothing is recorded yet, and later. */
static void a_bad_sample_changes_nothing(void **state)
{
    NEEDS_EMULATOR();
    for (int later = 0; later < 2; later++) {
        for (int micro = 0; micro < 2; micro++) {
            char sentence[2][300];
            for (int on = 0; on < 2; on++) {
                gan t, before;
                double loss[2], d;
                gen_guard guard = { .policy = GEN_ON_NAN_STOP };
                gen_verdict verdict;
                open_gan(&t, on ? "cuda" : "cpu");
                open_gan(&before, on ? "cuda" : "cpu");
                if (later) {
                    turn_of(&t, 0, loss);
                    turn_of(&before, 0, loss);
                }
                t.loader.bad = t.loader.z + micro;
                assert_int_equal(gen_phase_run(t.d, &guard, 7, &d, &verdict), GEN_ENUMERIC);
                snprintf(sentence[on], sizeof sentence[on], "%s", gen_last_error());
                assert_true(same_bytes(&t, &before));
                /* The same turn without it is that of who never saw it. */
                t.loader = before.loader;
                turn_of(&t, 1, loss);
                turn_of(&before, 1, loss);
                assert_true(same_bytes(&t, &before));
                close_gan(&t);
                close_gan(&before);
            }
            /* Which value is met first hangs on what a kernel's relu makes of NaN. */
            for (int on = 0; on < 2; on++)
                assert_int_equal(strncmp(sentence[on], "step 7, sample a.h5: ", 21), 0);
        }
    }
}

/* ---- checkpoints ----------------------------------------------------------------------------- */

static gen_saved *list_of(gan *t)
{
    gen_saved *s;
    must(gen_saved_create(&s));
    must(gen_saved_params(s, "params", t->params));
    must(gen_saved_optimiser(s, "d", gen_phase_optimiser(t->d)));
    must(gen_saved_optimiser(s, "g", gen_phase_optimiser(t->g)));
    return s;
}

/* Three turns on one device, three on the other, with a checkpoint between. */
static void go_on(gan *t, const char *from, const char *to)
{
    char run[40];
    double loss[2];
    gen_checkpoints *c;
    int64_t step;
    char *text, *skipped;
    snprintf(run, sizeof run, "%s-%s", from, to);
    open_gan(t, from);
    for (int turn = 0; turn < 3; turn++)
        turn_of(t, turn, loss);
    const loader at = t->loader;
    gen_saved *s = list_of(t);
    must(gen_checkpoints_open(&c, toy_path(run), "{}", 0));
    must(gen_checkpoint_save(c, s, 3, NAN, "{}"));
    turn_of(t, 9, loss); /* what a load must undo */
    gen_saved_free(&s);
    close_gan(t);
    open_gan(t, to);
    turn_of(t, 9, loss);
    s = list_of(t);
    must(gen_checkpoint_load(c, s, &step, &text, &skipped));
    assert_int_equal(step, 3);
    t->loader = at;
    for (int turn = 3; turn < 6; turn++)
        turn_of(t, turn, loss);
    gen_text_free(text);
    gen_text_free(skipped);
    gen_saved_free(&s);
    gen_checkpoints_close(&c);
}

static void a_run_goes_on_on_either(void **state)
{
    NEEDS_EMULATOR();
    static const char *const name[2] = { "cpu", "cuda" };
    gan whole[2];
    for (int i = 0; i < 2; i++) {
        double loss[2];
        open_gan(&whole[i], name[i]);
        for (int turn = 0; turn < 6; turn++)
            turn_of(&whole[i], turn, loss);
    }
    for (int from = 0; from < 2; from++)
        for (int to = 0; to < 2; to++) {
            gan t;
            go_on(&t, name[from], name[to]);
            if (from == to)
                assert_true(same_bytes(&t, &whole[to]));
            assert_true(distance_of(&t, &whole[to]) < 1e-5);
            close_gan(&t);
        }
    close_gan(&whole[0]);
    close_gan(&whole[1]);
}

/* ---- failures -------------------------------------------------------------------------------- */

/* The nth call of a kind fails in a turn of the generator, of one step: the step was not taken, and
 * taken again it is that of who never failed. False: no call was the nth. */
static bool fails_at(const char *what, int n, gan *right)
{
    gan t;
    double loss;
    gen_guard guard = { .policy = GEN_ON_NAN_STOP };
    gen_verdict verdict;
    open_gan(&t, "cuda");
    for (int turn = 0; turn < 2; turn++) {
        const loader at = t.loader;
        emulated.fail_at(what, turn == n % 2 ? (n + 1) / 2 : 0);
        gen_status s = gen_phase_run(t.g, &guard, turn, &loss, &verdict);
        emulated.fail_at(what, 0);
        if (s == GEN_OK)
            continue;
        assert_true(s == GEN_EDEVICE || s == GEN_ENOMEM);
        assert_int_equal(gen_optimiser_steps(gen_phase_optimiser(t.g)), turn);
        t.loader = at;
        if (gen_phase_run(t.g, &guard, turn, &loss, &verdict))
            fail_msg("%s %d, again: %s", what, n, gen_last_error());
        if (turn == 0)
            must(gen_phase_run(t.g, &guard, 1, &loss, &verdict));
        bool same = same_bytes(&t, right);
        close_gan(&t);
        if (!same)
            fail_msg("%s %d: another result", what, n);
        return true;
    }
    close_gan(&t);
    return false;
}

static void a_step_that_fails_is_not_taken(void **state)
{
    NEEDS_EMULATOR();
    static const struct {
        const char *what;
        int stride;
    } kinds[] = { { "launch", 7 },  { "copy", 5 },        { "graph_launch", 1 },
                  { "capture", 1 }, { "instantiate", 1 }, { "cudnn", 3 } };
    gan right;
    double loss;
    gen_guard guard = { .policy = GEN_ON_NAN_STOP };
    gen_verdict verdict;
    open_gan(&right, "cuda");
    for (int turn = 0; turn < 2; turn++)
        must(gen_phase_run(right.g, &guard, turn, &loss, &verdict));
    long objects = emulated.live_objects();
    for (int k = 0; k < GEN_LEN(kinds); k++) {
        int n = 1, failed = 0;
        for (int misses = 0; misses < 2; n += kinds[k].stride)
            if (fails_at(kinds[k].what, n, &right))
                failed++;
            else
                misses++; /* of either turn */
        if (!failed)
            fail_msg("no call of kind %s", kinds[k].what);
        assert_int_equal(emulated.live_objects(), objects);
    }
    close_gan(&right);
}

static int at_the_end(void **state)
{
    (void)state;
    toy_remove_all();
    if (!there || (emulated.live_bytes() == 0 && emulated.live_objects() == 0))
        return 0;
    fprintf(stderr, "left on the device: %ld objects, %llu bytes\n", emulated.live_objects(),
            (unsigned long long)emulated.live_bytes());
    return 1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adam_is_the_processors),
        cmocka_unit_test(the_host_may_write_parameters),
        cmocka_unit_test(bad_gradients_are_named),
        cmocka_unit_test(states_are_the_processors),
        cmocka_unit_test(any_call_may_fail),
        cmocka_unit_test(ten_turns_are_the_processors),
        cmocka_unit_test(a_bad_sample_changes_nothing),
        cmocka_unit_test(a_run_goes_on_on_either),
        cmocka_unit_test(a_step_that_fails_is_not_taken),
    };
    there = emulated_load("../cuda");
    return cmocka_run_group_tests_name("training on a device", tests, NULL, at_the_end);
}
