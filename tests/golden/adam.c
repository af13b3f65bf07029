/* SPDX-License-Identifier: Apache-2.0
 *
 * Adam and the average of its parameters beside torch.optim.Adam (adam.py), on each instruction set
 * that this processor has.
 */
#include "tests/golden/rule.h"

#include <libgen/train.h>

#include "libgen/backends/backend.h"
#include "libgen/base/file.h"
#include "libgen/base/json.h"

#define MOST 64

static double real(const gen_json *v, const char *key)
{
    double out;
    assert_int_equal(gen_json_real(v, key, &out), GEN_OK);
    return out;
}

/* found: where kernels have their data, or where the host does (far NULL). */
static void expect(const gen_json *json, const char *key, gen_tensor found, const gen_far *far)
{
    const gen_json *array;
    float expected[MOST], values[MOST];
    int n = 0;
    assert_int_equal(gen_json_array(json, key, &array), GEN_OK);
    for (const gen_json *v = gen_json_first(array); v; v = gen_json_next(v), n++)
        expected[n] = (float)real(v, NULL);
    assert_int_equal(n, gen_shape_count(found.shape));
    assert_int_equal(gen_far_read(far, values, found.data, gen_tensor_bytes(&found)), GEN_OK);
    double distance = rule_distance(values, expected, n);
    if (!(distance < 1e-6))
        fail_msg("%s: %g from torch", key, distance);
}

/* The steps of adam.py; the parameter at the end in w. */
static void run(const gen_json *json, const gen_json *c, float *w)
{
    static const float scale[5] = { 1e-3f, 1e-2f, 0.1f, 1, 10 };
    gen_shape shape = GEN_SHAPE((int64_t)real(json, "count"));
    gen_adam_options options = { .beta1 = real(c, "beta1"),
                                 .beta2 = real(c, "beta2"),
                                 .eps = real(c, "eps"),
                                 .weight_decay = real(c, "weight_decay"),
                                 .average = real(c, "average") };
    gen_params *params;
    gen_backend *backend;
    gen_optimiser *adam;
    float *value, g[MOST];
    void *there;
    assert_int_equal(test_backend_open(&backend, 2), GEN_OK);
    assert_int_equal(gen_params_create(&params), GEN_OK);
    assert_int_equal(gen_params_add(params, "w", shape, true, &value), GEN_OK);
    rule_values(value, "start/x", shape);
    assert_int_equal(gen_optimiser_create(&adam, params, NULL, 0, &options, backend), GEN_OK);
    assert_int_equal(gen_far_hold(backend->far, &there, sizeof g, "gradient"), GEN_OK);
    for (int s = 0; s < (int)real(json, "steps"); s++) {
        for (int b = 0; b < (int)real(c, "micro"); b++) {
            char name[40];
            snprintf(name, sizeof name, "step/%d/%d/g", s, b);
            rule_values(g, name, shape);
            for (int i = 0; i < (int)shape.dim[0]; i++)
                g[i] *= scale[s % 5];
            assert_int_equal(gen_far_write(backend->far, there, g, sizeof g), GEN_OK);
            assert_int_equal(gen_optimiser_add(adam, (const float *[]){ there }), GEN_OK);
        }
        assert_int_equal(gen_optimiser_step(adam, 0.02 / (1 + s % 4)), GEN_OK);
    }
    assert_int_equal(gen_params_fetch(params), GEN_OK);
    expect(c, "w", gen_params_get(params, "w"), NULL);
    if (gen_json_get(c, "ema"))
        expect(c, "ema", gen_optimiser_average(adam, 0), backend->far);
    memcpy(w, value, (size_t)shape.dim[0] * sizeof *w);
    gen_optimiser_free(&adam);
    gen_far_release(backend->far, there);
    gen_params_free(&params);
    gen_backend_close(&backend);
}

static void adam_is_that_of_torch(void **state)
{
    (void)state;
    static const char *const isa[] = { "base", "avx2", "avx512" };
    char *text;
    uint64_t size;
    gen_json *json;
    assert_int_equal(gen_file_read("tests/golden/adam.json", 1 << 20, &text, &size), GEN_OK);
    assert_int_equal(gen_json_parse(&json, text, size, 1 << 20), GEN_OK);
    const gen_json *c = gen_json_first(gen_json_get(json, "cases"));
    for (; c; c = gen_json_next(c)) {
        float w[GEN_LEN(isa)][MOST] = { 0 };
        for (int i = 0; i < GEN_LEN(isa); i++) {
            setenv("GEN_ISA", isa[i], 1);
            run(json, c, w[i]);
            assert_memory_equal(w[i], w[0], sizeof w[0]);
        }
        unsetenv("GEN_ISA");
    }
    gen_json_free(&json);
    gen_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(adam_is_that_of_torch) };
    return cmocka_run_group_tests_name("golden adam", tests, NULL, NULL);
}
