/* SPDX-License-Identifier: Apache-2.0
 *
 * Products and sums on the emulated device, beyond what check_ops asks of each kernel: which kernel
 * is taken, what stands behind cuBLASLt, TF32, the device's peak; and calls that fail.
 */
#include <math.h>
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
static void (*cublas_behaves)(const char *what); /* emulated_cublas */

#define NEEDS_EMULATOR()                                                                           \
    do {                                                                                           \
        if (!there)                                                                                \
            skip();                                                                                \
    } while (0)

enum { M = 24, K = 48, N = 40 };

/* x w, its batch norm, and the product of a mean of its positive part with v. */
static gen_node *build(gen_graph **g)
{
    assert_int_equal(gen_graph_create(g), GEN_OK);
    gen_node *x = gen_input(*g, "x", GEN_F32, GEN_SHAPE(M, K));
    gen_node *w = gen_input(*g, "w", GEN_F32, GEN_SHAPE(K, N));
    gen_node *v = gen_input(*g, "v", GEN_F32, GEN_SHAPE(N, 512));
    gen_node *y = gen_batch_norm(*g, gen_matmul(*g, x, w, NULL), NULL);
    y = gen_matmul(*g, gen_mean(*g, gen_relu(*g, y), 1), v, NULL);
    assert_int_equal(gen_graph_status(*g), GEN_OK);
    return y;
}

static void fill(gen_tensor t, int salt)
{
    float *v = t.data;
    for (int64_t i = 0; i < gen_shape_count(t.shape); i++)
        v[i] = 0.01f * (float)((i * 37 + salt * 11) % 101) - 0.4f;
}

static gen_status run(gen_plan *p)
{
    fill(gen_plan_input(p, "x"), 1);
    fill(gen_plan_input(p, "w"), 2);
    fill(gen_plan_input(p, "v"), 3);
    return gen_plan_run(p, NULL);
}

static bool has_kernel(const gen_plan *p, const char *name)
{
    for (int i = 0; i < p->n_steps; i++)
        if (p->step[i].kernel && !strcmp(p->step[i].kernel->name, name))
            return true;
    return false;
}

/* Values of a run with these options, [512]; whether a kernel of that name was in it. */
static bool values_of(const char *device, const gen_plan_options *options, const char *kernel,
                      float out[512])
{
    gen_backend *b;
    gen_plan *p;
    gen_graph *g;
    gen_node *y = build(&g);
    assert_int_equal(gen_backend_open(&b, device, 1), GEN_OK);
    assert_int_equal(gen_plan_create(&p, g, &y, 1, NULL, b, options), GEN_OK);
    gen_graph_free(&g);
    assert_int_equal(run(p), GEN_OK);
    memcpy(out, gen_plan_output(p, 0).data, 512 * sizeof *out);
    bool found = has_kernel(p, kernel);
    gen_plan_free(&p);
    gen_backend_close(&b);
    return found;
}

static double difference(const float a[512], const float b[512])
{
    double most = 0, largest = 0;
    for (int i = 0; i < 512; i++) {
        most = fmax(most, fabs((double)a[i] - b[i]));
        largest = fmax(largest, fabs((double)b[i]));
    }
    return most / largest;
}

static void kernels(void **state)
{
    float expected[512], found[512];
    (void)state;
    NEEDS_EMULATOR();
    values_of("cpu", NULL, "", expected);
    assert_true(values_of("cuda", NULL, "cublaslt/matmul", found));
    assert_true(difference(found, expected) < 1e-5);
    assert_true(values_of("cuda", NULL, "cuda/matvec", found));
    assert_false(values_of("cuda", NULL, "cuda/matmul", found));
    cublas_behaves("no_algorithms");
    assert_true(values_of("cuda", NULL, "cuda/matmul", found));
    assert_true(difference(found, expected) < 1e-5);
    cublas_behaves("");
}

/* Rounds what is multiplied to 11 bits: seen, and no more than that. */
static void tf32(void **state)
{
    float plain[512], rounded[512];
    (void)state;
    NEEDS_EMULATOR();
    values_of("cuda", NULL, "", plain);
    values_of("cuda", &(gen_plan_options){ .tf32 = 1 }, "", rounded);
    double d = difference(rounded, plain);
    assert_true(d > 1e-6 && d < 1e-2);
}

static void peak(void **state)
{
    gen_backend *b;
    gen_peak p;
    (void)state;
    NEEDS_EMULATOR();
    assert_int_equal(gen_backend_open(&b, "cuda", 1), GEN_OK);
    uint64_t before = emulated.live_bytes();
    assert_int_equal(b->peak(b, &p), GEN_OK);
    assert_true(p.f32 > 0 && p.bf16 > 0 && p.bytes > 0);
    assert_int_equal(emulated.live_bytes(), before);
    gen_backend_close(&b);
    assert_int_equal(emulated.live_objects(), 0);
}

/* Opens, plans, runs three times (step by step, recorded, replayed), measures; gives all back. */
static gen_status whole_life(void)
{
    gen_backend *b = NULL;
    gen_plan *p = NULL;
    gen_peak most;
    gen_graph *g;
    gen_node *y = build(&g);
    gen_status s = gen_backend_open(&b, "cuda", 1);
    if (s == GEN_OK)
        s = gen_plan_create(&p, g, &y, 1, NULL, b, NULL);
    gen_graph_free(&g);
    for (int i = 0; i < 3 && s == GEN_OK; i++)
        s = gen_plan_run(p, NULL);
    if (s == GEN_OK)
        s = b->peak(b, &most);
    gen_plan_free(&p);
    gen_backend_close(&b);
    return s;
}

static void nothing_left(uint64_t host, const char *what, long n)
{
    if (gen_alloc_bytes() != host || emulated.live_objects())
        fail_msg("%s %ld: %ld bytes and %ld things of the device are left", what, n,
                 (long)(gen_alloc_bytes() - host), emulated.live_objects());
}

static void each_call_fails(void **state)
{
    static const char *const kinds[] = { "cublas", "launch", "alloc", "copy" };
    (void)state;
    NEEDS_EMULATOR();
    emulated.set_memory(16 << 20); /* the peak's copy is an eighth */
    for (int k = 0; k < GEN_LEN(kinds); k++) {
        uint64_t host = gen_alloc_bytes();
        long before = emulated.count(kinds[k]);
        assert_int_equal(whole_life(), GEN_OK);
        long calls = emulated.count(kinds[k]) - before;
        assert_true(calls > 0);
        for (long n = 1; n <= calls; n++) {
            emulated.fail_at(kinds[k], n);
            gen_status s = whole_life();
            emulated.fail_at(kinds[k], 0);
            emulated.revive();
            bool named = !k == !!strstr(gen_last_error(), "cuBLASLt, cublasLt");
            if ((s != GEN_EDEVICE && s != GEN_ENOMEM) || !named)
                fail_msg("%s %ld: status %d, '%s'", kinds[k], n, s, gen_last_error());
            nothing_left(host, kinds[k], n);
        }
    }
    emulated.set_memory(2ull << 30);
}

static void each_allocation_fails(void **state)
{
    gen_status s = GEN_ENOMEM;
    (void)state;
    NEEDS_EMULATOR();
    for (uint64_t n = 1; s != GEN_OK; n++) {
        gen_backend *b = NULL;
        gen_plan *p = NULL;
        gen_graph *g;
        uint64_t host = gen_alloc_bytes();
        gen_node *y = build(&g);
        assert_int_equal(gen_backend_open(&b, "cuda", 1), GEN_OK);
        gen_alloc_fail_at(n);
        s = gen_plan_create(&p, g, &y, 1, NULL, b, NULL);
        gen_alloc_fail_at(0);
        gen_graph_free(&g);
        gen_plan_free(&p);
        gen_backend_close(&b);
        nothing_left(host, "allocation", (long)n);
        assert_true(s == GEN_OK || (s == GEN_ENOMEM && n < 1000));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels),
        cmocka_unit_test(tf32),
        cmocka_unit_test(peak),
        cmocka_unit_test(each_call_fails),
        cmocka_unit_test(each_allocation_fails),
    };
    there = emulated_load("../cuda");
    if (there) {
        void *found = dlsym(emulated.library, "emulated_cublas");
        memcpy(&cublas_behaves, &found, sizeof found);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
