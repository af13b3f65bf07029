/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans on a device, on the emulated one: the same values as the CPU's in the first run and in
 * those that replay a recording; what lies where; and each call of CUDA failing in turn, which must
 * end in a sentence and give everything back.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <libgen/ops.h>

#include "libgen/backends/backend.h"
#include "libgen/base/alloc.h"
#include "libgen/plan/plan.h"
#include "tests/device.h"

static bool there;

#define NEEDS_EMULATOR()                                                                           \
    do {                                                                                           \
        if (!there)                                                                                \
            skip();                                                                                \
    } while (0)

enum { ROWS = 3, COLUMNS = 37 };

/* What is computed from the slow input s and from x: a concat of runs, whose parts are computed in
 * place or copied, and a value that is read again. */
typedef struct toy {
    gen_graph *g;
    gen_node *out[3];
} toy;

static void build(toy *t)
{
    gen_shape shape = GEN_SHAPE(ROWS, COLUMNS);
    assert_int_equal(gen_graph_create(&t->g), GEN_OK);
    gen_node *s = gen_input(t->g, "s", GEN_F32, shape), *x = gen_input(t->g, "x", GEN_F32, shape);
    gen_node *slow = gen_affine(t->g, gen_tanh(t->g, s), 2, 0.5), *fast = gen_sigmoid(t->g, x);
    gen_node *parts[3] = { fast, slow, x };
    t->out[0] = gen_concat(t->g, 0, parts, 3);
    t->out[1] = gen_square(t->g, fast);
    t->out[2] = gen_leaky_relu(t->g, t->out[0], 0.1);
    assert_int_equal(gen_graph_status(t->g), GEN_OK);
}

static void fill(gen_tensor t, float from)
{
    float *v = t.data;
    for (int64_t i = 0; i < gen_shape_count(t.shape); i++)
        v[i] = from + 0.01f * (float)(i % 101) - 0.4f;
}

static void same(gen_tensor a, gen_tensor b)
{
    assert_non_null(a.data);
    gen_difference d = gen_compare(&a, &b);
    assert_true(d.relative < 1e-6);
}

/* ---- values ---------------------------------------------------------------------------------- */

typedef struct pair {
    gen_backend *backend[2]; /* the CPU's, the device's */
    gen_plan *plan[2];
} pair;

static void open_pair(pair *p, const gen_plan_options *options)
{
    static const char *const device[2] = { "cpu", "cuda" };
    for (int i = 0; i < 2; i++) {
        toy t;
        build(&t);
        assert_int_equal(gen_backend_open(&p->backend[i], device[i], 1), GEN_OK);
        assert_int_equal(gen_plan_create(&p->plan[i], t.g, t.out, 3, NULL, p->backend[i], options),
                         GEN_OK);
        gen_graph_free(&t.g);
    }
}

static void close_pair(pair *p)
{
    for (int i = 0; i < 2; i++) {
        gen_plan_free(&p->plan[i]);
        gen_backend_close(&p->backend[i]);
    }
}

static void run_pair(pair *p, float x, float s)
{
    for (int i = 0; i < 2; i++) {
        fill(gen_plan_input(p->plan[i], "x"), x);
        fill(gen_plan_input(p->plan[i], "s"), s);
        assert_int_equal(gen_plan_run(p->plan[i], NULL), GEN_OK);
    }
    for (int i = 0; i < 3; i++)
        same(gen_plan_output(p->plan[1], i), gen_plan_output(p->plan[0], i));
}

static void values(void **state)
{
    pair p;
    (void)state;
    NEEDS_EMULATOR();
    open_pair(&p, NULL);
    long launched = emulated.count("graph_launch");
    run_pair(&p, 0.3f, -0.2f);
    assert_int_equal(emulated.count("graph_launch"), launched);
    for (int i = 0; i < 3; i++)
        run_pair(&p, (float)i, 0.1f);
    assert_int_equal(emulated.count("graph_launch"), launched + 3);
    close_pair(&p);
    assert_int_equal(emulated.live_bytes(), 0);
}

/* A slow input counts when the plan is told that it changed, not before. */
static void slow_inputs(void **state)
{
    static const char *const slow[] = { "s", NULL };
    pair p;
    (void)state;
    NEEDS_EMULATOR();
    open_pair(&p, &(gen_plan_options){ .slow = slow });
    assert_true(p.plan[1]->n_slow > 0 && p.plan[1]->n_slow < p.plan[1]->n_steps);
    for (int i = 0; i < 4; i++) {
        long before = emulated.count("launch");
        run_pair(&p, (float)i, 0.25f);
        long launched = emulated.count("launch") - before;
        if (i == 0)
            assert_true(launched >= p.plan[1]->n_slow);
        if (i == 1) /* step by step, without the slow ones */
            assert_true(launched <= p.plan[1]->n_steps - p.plan[1]->n_slow);
    }
    for (int i = 0; i < 3; i++) { /* step by step, recorded, replayed: whole runs and fast ones */
        gen_plan_changed(p.plan[0]);
        gen_plan_changed(p.plan[1]);
        run_pair(&p, 1, 2 + (float)i);
        run_pair(&p, 2, 2 + (float)i);
    }
    close_pair(&p);
}

static void outputs_that_stay(void **state)
{
    pair p;
    float there_too[ROWS * COLUMNS];
    (void)state;
    NEEDS_EMULATOR();
    open_pair(&p, &(gen_plan_options){ .outputs_fetched = 1 });
    for (int i = 0; i < 2; i++) {
        fill(gen_plan_input(p.plan[i], "x"), 1);
        assert_int_equal(gen_plan_run(p.plan[i], NULL), GEN_OK);
    }
    same(gen_plan_output(p.plan[1], 0), gen_plan_output(p.plan[0], 0));
    gen_tensor expected = gen_plan_output(p.plan[0], 1), kept = gen_plan_output(p.plan[1], 1);
    assert_null(kept.data);
    assert_true(gen_shape_equal(kept.shape, expected.shape));
    const gen_far *far = p.backend[1]->far;
    assert_int_equal(far->get(far->ctx, there_too, gen_plan_place(p.plan[1], 1), sizeof there_too),
                     GEN_OK);
    same((gen_tensor){ GEN_F32, expected.shape, there_too }, expected);
    close_pair(&p);
}

static void no_kernel(void **state)
{
    gen_backend *b;
    gen_graph *g;
    gen_plan *plan;
    (void)state;
    NEEDS_EMULATOR();
    assert_int_equal(gen_backend_open(&b, "cuda", 1), GEN_OK);
    assert_int_equal(gen_graph_create(&g), GEN_OK);
    gen_scope scope = gen_scope_push(g, "level4");
    gen_node *y = gen_tanh(g, gen_input(g, "x", GEN_F64, GEN_SHAPE(4)));
    gen_scope_pop(g, scope);
    assert_int_equal(gen_plan_create(&plan, g, &y, 1, NULL, b, NULL), GEN_EUNSUPPORTED);
    assert_non_null(strstr(gen_last_error(), "op 'tanh' (level4"));
    assert_non_null(strstr(gen_last_error(), "has no kernel on cuda:0"));
    gen_graph_free(&g);
    gen_backend_close(&b);
}

/* ---- failures -------------------------------------------------------------------------------- */

/* Opens, plans, runs step by step, records, replays; gives all back. */
static gen_status whole_life(void)
{
    gen_backend *b = NULL;
    gen_plan *plan = NULL;
    toy t;
    build(&t);
    gen_status s = gen_backend_open(&b, "cuda", 1);
    if (s == GEN_OK)
        s = gen_plan_create(&plan, t.g, t.out, 3, NULL, b, NULL);
    gen_graph_free(&t.g);
    for (int i = 0; i < 3 && s == GEN_OK; i++)
        s = gen_plan_run(plan, NULL);
    gen_plan_free(&plan);
    gen_backend_close(&b);
    return s;
}

static void each_call_fails(void **state)
{
    static const char *const kinds[] = { "alloc",        "host_alloc", "launch",
                                         "copy",         "capture",    "instantiate",
                                         "graph_launch", "sync",       "stream" };
    (void)state;
    NEEDS_EMULATOR();
    assert_int_equal(whole_life(), GEN_OK);
    for (int k = 0; k < GEN_LEN(kinds); k++) {
        long before = emulated.count(kinds[k]);
        assert_int_equal(whole_life(), GEN_OK);
        long calls = emulated.count(kinds[k]) - before;
        if (!strcmp(kinds[k], "sync"))
            calls--; /* the last one is freeing's, which fails nothing */
        assert_true(calls > 0);
        for (long n = 1; n <= calls; n++) {
            uint64_t host = gen_alloc_bytes();
            emulated.fail_at(kinds[k], n);
            gen_status s = whole_life();
            emulated.fail_at(kinds[k], 0);
            emulated.revive();
            if (s != GEN_EDEVICE && s != GEN_ENOMEM)
                fail_msg("%s %ld: status %d, '%s'", kinds[k], n, s, gen_last_error());
            assert_true(strlen(gen_last_error()) > 10);
            assert_int_equal(gen_alloc_bytes(), host);
            if (emulated.live_bytes() || emulated.live_objects())
                fail_msg("%s %ld: %ld things are left", kinds[k], n, emulated.live_objects());
        }
    }
    assert_int_equal(whole_life(), GEN_OK);
}

static void each_allocation_fails(void **state)
{
    (void)state;
    NEEDS_EMULATOR();
    for (uint64_t n = 1;; n++) {
        toy t;
        gen_backend *b = NULL;
        gen_plan *plan = NULL;
        uint64_t host = gen_alloc_bytes();
        build(&t);
        gen_alloc_fail_at(n);
        gen_status s = gen_backend_open(&b, "cuda", 1);
        if (s == GEN_OK)
            s = gen_plan_create(&plan, t.g, t.out, 3, NULL, b, NULL);
        gen_alloc_fail_at(0);
        gen_graph_free(&t.g);
        gen_plan_free(&plan);
        gen_backend_close(&b);
        assert_int_equal(gen_alloc_bytes(), host);
        assert_int_equal(emulated.live_objects(), 0);
        if (s == GEN_OK)
            break;
        assert_int_equal(s, GEN_ENOMEM);
        assert_true(n < 1000);
    }
}

static void too_little_memory(void **state)
{
    gen_backend *b;
    gen_plan *plan;
    gen_graph *g;
    (void)state;
    NEEDS_EMULATOR();
    emulated.set_memory(1 << 20);
    assert_int_equal(gen_backend_open(&b, "cuda", 1), GEN_OK);
    assert_int_equal(gen_graph_create(&g), GEN_OK);
    gen_node *y = gen_tanh(g, gen_input(g, "x", GEN_F32, GEN_SHAPE(1 << 20)));
    assert_int_equal(gen_plan_create(&plan, g, &y, 1, NULL, b, NULL), GEN_ENOMEM);
    assert_non_null(strstr(gen_last_error(), "plan slab: 8.4 MB asked for on cuda:0"));
    gen_graph_free(&g);
    gen_backend_close(&b);
    emulated.set_memory(2ull << 30);
}

/* A plan's life on a thread that never chose a device; NULL, or what went wrong. */
static void *live_elsewhere(void *backend)
{
    toy t;
    gen_plan *plan = NULL;
    build(&t);
    gen_status s = gen_plan_create(&plan, t.g, t.out, 3, NULL, backend, NULL);
    for (int i = 0; i < 3 && s == GEN_OK; i++)
        s = gen_plan_run(plan, NULL);
    gen_plan_free(&plan);
    gen_graph_free(&t.g);
    return s == GEN_OK ? NULL : backend;
}

static void second_device_on_another_thread(void **state)
{
    gen_backend *b;
    pthread_t thread;
    void *bad;
    (void)state;
    NEEDS_EMULATOR();
    emulated.devices(2);
    assert_int_equal(gen_backend_open(&b, "cuda:1", 1), GEN_OK);
    assert_int_equal(pthread_create(&thread, NULL, live_elsewhere, b), 0);
    assert_int_equal(pthread_join(thread, &bad), 0);
    assert_null(bad);
    gen_backend_close(&b);
    emulated.devices(1);
}

static void no_device(void **state)
{
    gen_backend *b;
    (void)state;
    NEEDS_EMULATOR();
    emulated.devices(0);
    assert_int_equal(gen_backend_open(&b, "cuda", 1), GEN_EDEVICE);
    emulated.devices(-1);
    assert_int_equal(gen_backend_open(&b, "cuda", 1), GEN_EDEVICE);
    assert_non_null(strstr(gen_last_error(), "driver"));
    emulated.devices(2);
    assert_int_equal(gen_backend_open(&b, "cuda:2", 1), GEN_EDEVICE);
    assert_non_null(strstr(gen_last_error(), "number 2, 2 found"));
    assert_int_equal(gen_backend_open(&b, "cuda:1", 1), GEN_OK);
    gen_backend_close(&b);
    emulated.devices(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(slow_inputs),
        cmocka_unit_test(outputs_that_stay),
        cmocka_unit_test(no_kernel),
        cmocka_unit_test(each_call_fails),
        cmocka_unit_test(each_allocation_fails),
        cmocka_unit_test(too_little_memory),
        cmocka_unit_test(second_device_on_another_thread),
        cmocka_unit_test(no_device),
    };
    there = emulated_load("../cuda");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
