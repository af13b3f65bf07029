/* SPDX-License-Identifier: Apache-2.0
 *
 * Ten turns of a toy GAN beside PyTorch (gan.py): losses, weights, running statistics, u vectors.
 */
#include "tests/golden/gan.h"

#include "libgen/base/file.h"
#include "libgen/base/json.h"

static double real_of(const gen_json *v)
{
    double out;
    assert_int_equal(gen_json_real(v, NULL, &out), GEN_OK);
    return out;
}

static void expect_loss(const gen_json *v, double found, const char *phase, int turn)
{
    double expected = real_of(v);
    if (!(fabs(found - expected) < 1e-4 * fabs(expected)))
        fail_msg("turn %d, loss of %s: %.8f, torch %.8f", turn, phase, found, expected);
}

static void ten_turns_are_those_of_torch(void **state)
{
    (void)state;
    char *text;
    uint64_t size;
    gen_json *json;
    gan t;
    gen_guard guard = { .policy = GEN_ON_NAN_STOP };
    assert_int_equal(gen_file_read("tests/golden/gan.json", 1 << 20, &text, &size), GEN_OK);
    assert_int_equal(gen_json_parse(&json, text, size, 1 << 20), GEN_OK);
    open_gan(&t, test_device());
    const gen_json *row = gen_json_first(gen_json_get(json, "losses"));
    for (int turn = 0; turn < TURNS; turn++, row = gen_json_next(row)) {
        double d, g;
        gen_verdict verdict;
        if (gen_phase_run(t.d, &guard, turn, &d, &verdict) ||
            gen_phase_run(t.g, &guard, turn, &g, &verdict))
            fail_msg("%s", gen_last_error());
        expect_loss(gen_json_first(row), d, "D", turn);
        expect_loss(gen_json_next(gen_json_first(row)), g, "G", turn);
    }
    assert_int_equal(gen_params_fetch(t.params), GEN_OK);
    const gen_json *v = gen_json_first(gen_json_get(json, "final"));
    for (; v; v = gen_json_next(v)) {
        float expected[600];
        int n = 0;
        gen_tensor found = gen_params_get(t.params, gen_json_key(v));
        assert_non_null(found.data);
        for (const gen_json *e = gen_json_first(v); e; e = gen_json_next(e))
            expected[n++] = (float)real_of(e);
        assert_int_equal(n, gen_shape_count(found.shape));
        double distance = rule_distance(found.data, expected, n);
        if (!(distance < 1e-3))
            fail_msg("%s: %g from torch", gen_json_key(v), distance);
    }
    close_gan(&t);
    gen_json_free(&json);
    gen_free(text);
}

/* The second micro-batch of the second step of D is spoilt: that step leaves no trace. */
static void a_bad_step_leaves_no_trace(void **state)
{
    (void)state;
    gan t;
    gen_guard guard = { .policy = GEN_ON_NAN_SKIP };
    gen_verdict verdict;
    double d, whole;
    static float kept[40][600];
    open_gan(&t, test_device());
    t.loader.bad = 7;
    assert_int_equal(gen_phase_run(t.d, &guard, 0, &whole, &verdict), GEN_OK);
    assert_int_equal(verdict, GEN_COMMIT);
    int n = gen_params_count(t.params);
    for (int pass = 0; pass < 2; pass++) {
        guard.policy = pass ? GEN_ON_NAN_STOP : GEN_ON_NAN_SKIP;
        t.loader.bad = t.loader.z + 1;
        assert_int_equal(gen_params_fetch(t.params), GEN_OK);
        for (int i = 0; i < n; i++) {
            gen_tensor v = gen_params_at(t.params, i, NULL, NULL);
            memcpy(kept[i], v.data, gen_tensor_bytes(&v));
        }
        gen_status status = gen_phase_run(t.d, &guard, 5, &d, &verdict);
        assert_int_equal(status, pass ? GEN_ENUMERIC : GEN_OK);
        assert_true(isnan(d) && gen_optimiser_steps(gen_phase_optimiser(t.d)) == 2);
        if (!pass)
            assert_int_equal(verdict, GEN_SKIP);
        assert_int_equal(gen_params_fetch(t.params), GEN_OK);
        for (int i = 0; i < n; i++) {
            gen_tensor v = gen_params_at(t.params, i, NULL, NULL);
            assert_memory_equal(kept[i], v.data, gen_tensor_bytes(&v));
        }
    }
    if (strncmp(gen_last_error(), "step 5, sample a.h5: ", 21) != 0)
        fail_msg("'%s'", gen_last_error());
    close_gan(&t);
}

/* What is said without spending memory is what is spent. */
static void a_phase_is_described(void **state)
{
    (void)state;
    static const char *const of_g[] = { "g/", NULL };
    gen_guard guard = { 0 };
    gen_phase_options o = { .name = "G", .build = loss_of_g, .fill = fill, .prefixes = of_g,
                            .schedule.rate = 1, .plan.estimate_only = 1,
                            .adam = { .beta1 = 0.5, .average = 0.9, .bf16 = 1 } };
    gan t;
    gen_phase *p;
    gen_params *none;
    double loss;
    gen_verdict verdict;
    open_gan(&t, test_device());
    assert_int_equal(gen_params_create(&none), GEN_OK);
    if (gen_phase_create(&p, none, 1, t.backend, &o))
        fail_msg("%s", gen_last_error());
    const gen_phase_info info = gen_phase_describe(p);
    assert_int_equal(gen_params_count(none), 0);
    assert_null(gen_phase_optimiser(p));
    assert_int_equal(gen_phase_run(p, &guard, 0, &loss, &verdict), GEN_EINVAL);
    assert_string_equal(gen_last_error(), "phase G was made to estimate only");
    gen_phase_free(&p);

    /* Weights of g: 3x3 from 3 to 6, gamma and beta of 6, 3x3 from 6 to 2 with its bias. */
    assert_int_equal(info.trained, 9 * 3 * 6 + 12 + 9 * 6 * 2 + 2);
    o.plan.estimate_only = 0;
    if (gen_phase_create(&p, none, 1, t.backend, &o))
        fail_msg("%s", gen_last_error());
    const gen_phase_info real = gen_phase_describe(p);
    assert_true(real.plan.slab_bytes == info.plan.slab_bytes && real.plan.flops > 0 &&
                real.plan.flops == info.plan.flops && real.held_bytes == info.held_bytes &&
                real.param_bytes == info.param_bytes);
    uint64_t values = 0;
    for (int i = 0; i < gen_params_count(none); i++) {
        gen_tensor v = gen_params_at(none, i, NULL, NULL);
        values += gen_tensor_bytes(&v);
    }
    assert_int_equal(info.param_bytes, values);
    uint64_t before = gen_alloc_bytes();
    gen_phase_free(&p);
    if (test_on_cpu()) /* else most of it is the device's */
        assert_true(before - gen_alloc_bytes() >= info.plan.slab_bytes + info.held_bytes);
    gen_params_free(&none);
    close_gan(&t);
}

static gen_node *not_a_loss(gen_net *net, void *cookie)
{
    (void)cookie;
    return generator(net);
}

static void bad_phases(void **state)
{
    (void)state;
    static const char *const of_d[] = { "d/", NULL }, *const of_x[] = { "x/", NULL };
    gan t;
    gen_phase *p;
    open_gan(&t, test_device());
    gen_phase_options o = { .name = "X", .build = not_a_loss, .fill = fill, .prefixes = of_d };
    assert_int_equal(gen_phase_create(&p, t.params, 1, t.backend, &o), GEN_EINVAL);
    o.schedule.rate = 1;
    assert_int_equal(gen_phase_create(&p, t.params, 1, t.backend, &o), GEN_EINVAL);
    assert_string_equal(gen_last_error(), "phase X: the loss has 100 elements, expected 1");
    o.build = loss_of_g;
    o.prefixes = of_x;
    assert_int_equal(gen_phase_create(&p, t.params, 1, t.backend, &o), GEN_EINVAL);
    assert_string_equal(gen_last_error(), "phase X: there is nothing to train");
    assert_null(p);
    close_gan(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_turns_are_those_of_torch),
        cmocka_unit_test(a_bad_step_leaves_no_trace),
        cmocka_unit_test(a_phase_is_described),
        cmocka_unit_test(bad_phases),
    };
    return cmocka_run_group_tests_name("golden gan", tests, NULL, NULL);
}
