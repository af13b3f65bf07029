/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps of training: schedules, accumulation, same bytes at any thread count, what is refused.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <libgen/random.h>
#include <libgen/train.h>

#include "libgen/base/alloc.h"
#include "libgen/tensor/half.h"

#define BIG 100003 /* several pieces, the last one odd */

/* ---- schedules ------------------------------------------------------------------------------- */

static void schedules(void **state)
{
    (void)state;
    gen_schedule s = { .rate = 2, .warmup = 4 };
    assert_int_equal(gen_schedule_check(&s), GEN_OK);
    assert_true(gen_schedule_rate(&s, 0) == 0.5 && gen_schedule_rate(&s, 3) == 2);
    assert_true(gen_schedule_rate(&s, 1000000) == 2);
    s = (gen_schedule){
        .kind = GEN_SCHEDULE_COSINE, .rate = 2, .last = 1, .warmup = 10, .steps = 110
    };
    assert_int_equal(gen_schedule_check(&s), GEN_OK);
    assert_true(gen_schedule_rate(&s, 10) == 2 && fabs(gen_schedule_rate(&s, 60) - 1.5) < 1e-12);
    assert_true(fabs(gen_schedule_rate(&s, 35) - (1.5 + sqrt(0.125))) < 1e-12);
    assert_true(gen_schedule_rate(&s, 110) == 1 && gen_schedule_rate(&s, 999) == 1);
    s = (gen_schedule){ .kind = GEN_SCHEDULE_DROPS, .rate = 1, .drops = { 10, 20 }, .n_drops = 2 };
    assert_int_equal(gen_schedule_check(&s), GEN_OK);
    assert_true(gen_schedule_rate(&s, 9) == 1 && gen_schedule_rate(&s, 10) == 0.1);
    assert_true(fabs(gen_schedule_rate(&s, 20) - 0.01) < 1e-15);
}

static void bad_schedules(void **state)
{
    (void)state;
    static const struct {
        gen_schedule s;
        const char *error;
    } bad[] = {
        { { .rate = 0 }, "learning rate: found 0, expected a number above 0" },
        { { .rate = NAN }, "learning rate: found nan, expected a number above 0" },
        { { .rate = 1, .warmup = -1 }, "warm-up: found -1 steps, expected 0 or more" },
        { { .rate = 1, .kind = GEN_SCHEDULE_COSINE, .warmup = 5, .steps = 5 },
          "cosine schedule: found 5 steps, expected more than the 5 of the warm-up" },
        { { .rate = 1, .kind = GEN_SCHEDULE_COSINE, .steps = 5, .last = 2 },
          "last learning rate: found 2, expected 0 to 1" },
        { { .rate = 1, .kind = GEN_SCHEDULE_DROPS, .drops = { 7, 7 }, .n_drops = 2 },
          "drops of the learning rate: step 7 follows 7" },
        { { .rate = 1, .kind = GEN_SCHEDULE_DROPS, .n_drops = 17 },
          "learning rate: found 17 drops, expected at most 16" },
    };
    for (int i = 0; i < GEN_LEN(bad); i++) {
        assert_int_equal(gen_schedule_check(&bad[i].s), GEN_EINVAL);
        assert_string_equal(gen_last_error(), bad[i].error);
    }
}

/* ---- the optimiser --------------------------------------------------------------------------- */

typedef struct bench {
    gen_backend *backend;
    gen_params *params;
    gen_optimiser *adam;
    float *a, *b; /* [7], [BIG] */
} bench;

static void open_bench(bench *t, int threads, const gen_adam_options *options)
{
    float *mean;
    assert_int_equal(gen_backend_open(&t->backend, "cpu", threads), GEN_OK);
    assert_int_equal(gen_params_create(&t->params), GEN_OK);
    assert_int_equal(gen_params_add(t->params, "a", GEN_SHAPE(7), true, &t->a), GEN_OK);
    assert_int_equal(gen_params_add(t->params, "b", GEN_SHAPE(BIG), true, &t->b), GEN_OK);
    assert_int_equal(gen_params_add(t->params, "mean", GEN_SHAPE(3), false, &mean), GEN_OK);
    gen_random_normal(t->a, 7, 1, 1, 0);
    gen_random_normal(t->b, BIG, 1, 2, 0);
    assert_int_equal(gen_optimiser_create(&t->adam, t->params, NULL, 0, options, t->backend),
                     GEN_OK);
}

static void close_bench(bench *t)
{
    gen_optimiser_free(&t->adam);
    gen_params_free(&t->params);
    gen_backend_close(&t->backend);
}

/* Gradient of b by (seed, turn); none of a. */
static void add_gradient(bench *t, uint64_t turn)
{
    static float g[BIG];
    gen_random_normal(g, BIG, 2, turn, 0);
    gen_optimiser_add(t->adam, (const float *[]){ NULL, g });
}

static void same_bytes_at_any_thread_count(void **state)
{
    (void)state;
    const gen_adam_options options = { .beta1 = 0.5, .average = 0.9, .bf16 = 1 };
    bench one, three;
    open_bench(&one, 1, &options);
    open_bench(&three, 3, &options);
    assert_int_equal(gen_optimiser_count(one.adam), 2); /* not the statistic */
    assert_string_equal(gen_optimiser_name(one.adam, 1), "b");
    float first = one.a[0];
    for (uint64_t i = 0; i < 12; i++) {
        add_gradient(&one, i);
        add_gradient(&three, i);
        if (i % 3 != 2)
            continue;
        assert_int_equal(gen_optimiser_step(one.adam, 0.01), GEN_OK);
        assert_int_equal(gen_optimiser_step(three.adam, 0.01), GEN_OK);
    }
    assert_int_equal(gen_optimiser_steps(one.adam), 4);
    assert_memory_equal(one.b, three.b, BIG * sizeof(float));
    assert_memory_equal(gen_optimiser_average(one.adam, 1).data,
                        gen_optimiser_average(three.adam, 1).data, BIG * sizeof(float));
    assert_true(one.a[0] == first); /* no gradient, no step */
    const uint16_t *half = gen_optimiser_bf16(three.adam, 1).data;
    for (int i = 0; i < BIG; i++)
        assert_int_equal(half[i], gen_f32_to_bf16(three.b[i]));
    close_bench(&one);
    close_bench(&three);
}

/* Two micro-batches whose mean is exact are one batch; what was discarded leaves no trace. */
static void accumulation_is_the_mean(void **state)
{
    (void)state;
    static float g[2][BIG];
    bench whole, parts;
    open_bench(&whole, 2, NULL);
    open_bench(&parts, 2, NULL);
    for (int i = 0; i < BIG; i++) {
        g[0][i] = (float)(i % 64);
        g[1][i] = (float)(i % 64) + 0.5f;
    }
    add_gradient(&parts, 5);
    gen_optimiser_discard(parts.adam);
    assert_int_equal(gen_optimiser_step(parts.adam, 0.1), GEN_EINVAL);
    assert_string_equal(gen_last_error(), "Adam: a step without gradients");
    gen_optimiser_add(parts.adam, (const float *[]){ NULL, g[0] });
    gen_optimiser_add(parts.adam, (const float *[]){ NULL, g[1] });
    for (int i = 0; i < BIG; i++)
        g[0][i] += 0.25f;
    gen_optimiser_add(whole.adam, (const float *[]){ NULL, g[0] });
    assert_int_equal(gen_optimiser_step(parts.adam, 0.1), GEN_OK);
    assert_int_equal(gen_optimiser_step(whole.adam, 0.1), GEN_OK);
    assert_memory_equal(whole.b, parts.b, BIG * sizeof(float));
    close_bench(&whole);
    close_bench(&parts);
}

static void average_is_exchanged(void **state)
{
    (void)state;
    bench t;
    open_bench(&t, 1, &(gen_adam_options){ .average = 0.75 });
    float before = t.b[9];
    add_gradient(&t, 1);
    assert_int_equal(gen_optimiser_step(t.adam, 0.5), GEN_OK);
    float after = t.b[9];
    assert_int_equal(gen_optimiser_swap(t.adam), GEN_OK);
    assert_true(fabsf(t.b[9] - (0.75f * before + 0.25f * after)) < 1e-6f);
    assert_int_equal(gen_optimiser_swap(t.adam), GEN_OK);
    assert_true(t.b[9] == after);
    close_bench(&t);
    open_bench(&t, 1, NULL);
    assert_int_equal(gen_optimiser_swap(t.adam), GEN_EINVAL);
    assert_null(gen_optimiser_average(t.adam, 0).data);
    close_bench(&t);
}

static void bad_options(void **state)
{
    (void)state;
    static const struct {
        gen_adam_options o;
        const char *error;
    } bad[] = {
        { { .beta1 = 1 }, "Adam, beta1: found 1, expected 0 or more and less than 1" },
        { { .beta2 = NAN }, "Adam, beta2: found nan, expected 0 or more and less than 1" },
        { { .average = -1 }, "Adam, average: found -1, expected 0 or more and less than 1" },
        { { .eps = 1e-40 }, "Adam, eps: found 1e-40, expected 1e-30 to 1" },
        { { .weight_decay = -0.1 }, "Adam, weight_decay: found -0.1, expected 0 to 1" },
    };
    bench t;
    gen_optimiser *o;
    open_bench(&t, 1, NULL);
    for (int i = 0; i < GEN_LEN(bad); i++) {
        assert_int_equal(gen_optimiser_create(&o, t.params, NULL, 0, &bad[i].o, t.backend),
                         GEN_EINVAL);
        assert_string_equal(gen_last_error(), bad[i].error);
        assert_null(o);
    }
    const char *const names[] = { "b", "c" }, *const twice[] = { "b", "b" };
    assert_int_equal(gen_optimiser_create(&o, t.params, names, 2, NULL, t.backend), GEN_EINVAL);
    assert_string_equal(gen_last_error(), "Adam: there is no parameter 'c'");
    assert_int_equal(gen_optimiser_create(&o, t.params, twice, 2, NULL, t.backend), GEN_EINVAL);
    assert_string_equal(gen_last_error(), "Adam: parameter 'b' is named twice");
    close_bench(&t);
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    const gen_adam_options options = { .beta1 = 0.5, .average = 0.9, .bf16 = 1 };
    bench t;
    gen_optimiser *o;
    open_bench(&t, 1, NULL);
    uint64_t before = gen_alloc_bytes();
    gen_status status = GEN_ENOMEM;
    int n = 1;
    for (; status != GEN_OK; n++) {
        gen_alloc_fail_at((uint64_t)n);
        status = gen_optimiser_create(&o, t.params, NULL, 0, &options, t.backend);
        gen_alloc_fail_at(0);
        assert_true(status == GEN_OK || status == GEN_ENOMEM);
        gen_optimiser_free(&o);
        assert_int_equal(gen_alloc_bytes(), before);
    }
    assert_true(n > 10);
    close_bench(&t);
}

/* ---- the guard ------------------------------------------------------------------------------- */

static void bad_values_are_named(void **state)
{
    (void)state;
    static float g[BIG];
    const gen_look look = { .step = 7, .sample = "de/a.h5" }, unknown = { .step = 8 };
    float loss = NAN;
    bench t;
    open_bench(&t, 2, NULL);
    assert_int_equal(gen_look_at(&look, "loss of D", (gen_tensor){ GEN_F32, { 0 }, &loss }),
                     GEN_ENUMERIC);
    assert_string_equal(gen_last_error(), "step 7, sample de/a.h5: loss of D, element 0 of [], is "
                                          "nan, expected a finite number");
    for (int i = 0; i < 4; i++) {
        static const float bad[] = { NAN, -INFINITY, 1e19f, 0 };
        g[90001] = bad[i];
        gen_optimiser_add(t.adam, (const float *[]){ NULL, g });
        assert_int_equal(gen_optimiser_look(t.adam, &unknown), i < 3 ? GEN_ENUMERIC : GEN_OK);
        if (i == 1)
            assert_string_equal(gen_last_error(),
                                "step 8: gradient of 'b', element 90001 of [100003], is -inf, "
                                "expected less than 9e18 in size");
        gen_optimiser_discard(t.adam);
    }
    /* The largest that passes makes a step that is finite. */
    g[90001] = 0x1.fffffep62f;
    gen_optimiser_add(t.adam, (const float *[]){ NULL, g });
    assert_int_equal(gen_optimiser_look(t.adam, &unknown), GEN_OK);
    assert_int_equal(gen_optimiser_step(t.adam, 0.1), GEN_OK);
    for (int i = 0; i < BIG; i++)
        assert_true(isfinite(t.b[i]));
    close_bench(&t);
}

static void close_net(gen_net *net)
{
    gen_graph *g = net->g;
    gen_net_free(net);
    gen_graph_free(&g);
}

static void states_wait_for_the_commit(void **state)
{
    (void)state;
    const gen_look look = { .step = 3 };
    gen_pending *p;
    gen_net net = { 0 };
    bench t;
    open_bench(&t, 1, NULL);
    assert_int_equal(gen_graph_create(&net.g), GEN_OK);
    gen_node *x = gen_input(net.g, "x", GEN_F32, GEN_SHAPE(3));
    gen_node *mean = gen_state(net.g, "mean", GEN_SHAPE(3), GEN_INIT_ZEROS);
    gen_node *u = gen_state(net.g, "u", GEN_SHAPE(3), GEN_INIT_ZEROS);
    const float *value = gen_params_get(t.params, "mean").data;
    const float one[3] = { 1, 0.1f, 3 }, two[3] = { 2, 0.1f, 5 }, bad[3] = { 1, 1, INFINITY };
    gen_net_update(&net, (gen_update){ .state = mean, .mean = x });
    assert_int_equal(gen_pending_create(&p, t.params, &net, t.backend), GEN_OK);
    gen_pending_add(p, (const float *[]){ bad });
    assert_int_equal(gen_pending_look(p, &look), GEN_ENUMERIC);
    assert_string_equal(gen_last_error(),
                        "step 3: mean, element 2 of [3], is inf, expected a finite number");
    gen_pending_discard(p);
    gen_pending_commit(p);
    assert_true(value[0] == 0 && value[2] == 0);
    gen_pending_add(p, (const float *[]){ one });
    gen_pending_add(p, (const float *[]){ two });
    gen_pending_add(p, (const float *[]){ two });
    assert_true(value[0] == 0);
    assert_int_equal(gen_pending_look(p, &look), GEN_OK);
    gen_pending_commit(p);
    assert_true(value[0] == (float)(5.0 / 3) && value[1] == 0.1f && value[2] == (float)(13.0 / 3));
    gen_pending_free(&p);
    gen_net_update(&net, (gen_update){ .state = u, .mean = x });
    assert_int_equal(gen_pending_create(&p, t.params, &net, t.backend), GEN_EINVAL);
    assert_string_equal(gen_last_error(), "states of a step: there is no 'u'");
    close_net(&net);
    close_bench(&t);
}

static void warn(void *cookie, gen_log_level level, const char *message)
{
    (void)level;
    snprintf(cookie, 200, "%s", message);
}

static gen_status bad_step(void)
{
    float loss = NAN;
    return gen_look_at(&(gen_look){ .step = 5 }, "loss", (gen_tensor){ GEN_F32, { 0 }, &loss });
}

static void policies(void **state)
{
    (void)state;
    char said[200] = "";
    gen_verdict v;
    gen_guard g = { .policy = GEN_ON_NAN_STOP };
    gen_log_set(warn, said, GEN_LOG_WARN);
    assert_int_equal(gen_guard_judge(&g, GEN_OK, &v), GEN_OK);
    assert_int_equal(v, GEN_COMMIT);
    assert_int_equal(gen_guard_judge(&g, GEN_EIO, &v), GEN_EIO);
    assert_int_equal(gen_guard_judge(&g, bad_step(), &v), GEN_ENUMERIC);
    g = (gen_guard){ .policy = GEN_ON_NAN_SKIP, .patience = 2 };
    for (int i = 0; i < 6; i++) { /* a good step between bad ones */
        assert_int_equal(gen_guard_judge(&g, i % 3 < 2 ? bad_step() : GEN_OK, &v), GEN_OK);
        assert_int_equal(v, i % 3 < 2 ? GEN_SKIP : GEN_COMMIT);
    }
    assert_string_equal(said, "step 5: loss, element 0 of [], is nan, expected a finite number; "
                              "the step is skipped");
    for (int i = 0; i < 2; i++)
        assert_int_equal(gen_guard_judge(&g, bad_step(), &v), GEN_OK);
    assert_int_equal(gen_guard_judge(&g, bad_step(), &v), GEN_ENUMERIC);
    assert_string_equal(gen_last_error(), "2 steps in a row were skipped: step 5: loss, element 0 "
                                          "of [], is nan, expected a finite number");
    assert_int_equal(g.bad, 7);
    g = (gen_guard){ .policy = GEN_ON_NAN_ROLLBACK, .patience = 1 };
    for (int i = 0; i < 2; i++) {
        assert_int_equal(gen_guard_judge(&g, bad_step(), &v), GEN_OK);
        assert_int_equal(v, GEN_ROLLBACK);
        gen_guard_saved(&g);
    }
    assert_int_equal(gen_guard_judge(&g, bad_step(), &v), GEN_OK);
    assert_int_equal(gen_guard_judge(&g, GEN_OK, &v), GEN_OK); /* good steps change nothing here */
    assert_int_equal(gen_guard_judge(&g, bad_step(), &v), GEN_ENUMERIC);
    gen_log_set(NULL, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedules),
        cmocka_unit_test(bad_schedules),
        cmocka_unit_test(same_bytes_at_any_thread_count),
        cmocka_unit_test(accumulation_is_the_mean),
        cmocka_unit_test(average_is_exchanged),
        cmocka_unit_test(bad_options),
        cmocka_unit_test(any_allocation_may_fail),
        cmocka_unit_test(bad_values_are_named),
        cmocka_unit_test(states_wait_for_the_commit),
        cmocka_unit_test(policies),
    };
    return cmocka_run_group_tests_name("train", tests, NULL, NULL);
}
