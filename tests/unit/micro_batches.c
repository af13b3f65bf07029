/* SPDX-License-Identifier: Apache-2.0
 *
 * A step of several micro-batches beside the same step of one batch: gradients, parameters, states.
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
#include "libgen/train/losses.h"

enum { SAMPLES = 8, GROUPS = 2, SIDE = 4, CHANNELS = 3, ROW = SIDE * SIDE * CHANNELS };

/* A network over x [GROUPS * n,SIDE,SIDE,CHANNELS], n samples of each group. */
typedef gen_node *network_fn(gen_net *net, gen_node *x);

/* The samples 0..SAMPLES of each group, dealt in micro-batches of `each`. */
typedef struct deck {
    network_fn *network;
    int64_t each, next;
    double spread; /* of the samples' own means, against values of size 1 */
} deck;

static gen_node *loss_of(gen_net *net, void *cookie)
{
    const deck *d = cookie;
    gen_node *x =
        gen_input(net->g, "x", GEN_F32, GEN_SHAPE(GROUPS * d->each, SIDE, SIDE, CHANNELS));
    return gen_mean_of_all(net->g, gen_square(net->g, d->network(net, x)));
}

/* Every sample and channel has a mean of its own: what lies between micro-batches is not small. */
static void fill_sample(float *x, int64_t sample, double spread)
{
    float level[CHANNELS];
    gen_random_normal(x, ROW, 5, 1, (uint64_t)(sample * ROW));
    gen_random_normal(level, CHANNELS, 5, 2, (uint64_t)(sample * CHANNELS));
    for (int64_t i = 0; i < ROW; i++)
        x[i] += (float)spread * level[i % CHANNELS];
}

static gen_status deal(void *cookie, gen_plan *plan, const char **sample)
{
    deck *d = cookie;
    float *x = gen_plan_input(plan, "x").data;
    for (int64_t group = 0; group < GROUPS; group++)
        for (int64_t i = 0; i < d->each; i++, x += ROW)
            fill_sample(x, group * SAMPLES + d->next + i, d->spread);
    d->next = (d->next + d->each) % SAMPLES;
    *sample = NULL;
    return GEN_OK;
}

/* Vectors of spectral norm begin where a power iteration hardly moves them: not here. */
static void stir_states(gen_params *params)
{
    for (int i = 0; i < gen_params_count(params); i++) {
        bool trained;
        gen_tensor t = gen_params_at(params, i, NULL, &trained);
        float *value = t.data, noise[64];
        int64_t n = gen_shape_count(t.shape);
        assert_true(trained || n <= GEN_LEN(noise));
        if (trained)
            continue;
        gen_random_uniform(noise, n, 5, 3, (uint64_t)i * GEN_LEN(noise));
        for (int64_t k = 0; k < n; k++)
            value[k] += noise[k];
    }
}

/* The parameters after `steps` steps of `pieces` micro-batches. Adam with eps 1 moves a parameter
 * by g / (|g| + 1) in its first step: as smooth as the gradient g itself, where the usual eps would
 * make 1 of every rounding. */
static gen_params *after(network_fn *network, int64_t pieces, double spread, int steps)
{
    static const char *const all[] = { "", NULL };
    deck d = { network, SAMPLES / pieces, 0, spread };
    gen_backend *backend;
    gen_params *params;
    gen_phase *phase;
    gen_guard guard = { .policy = GEN_ON_NAN_STOP };
    const gen_phase_options o = { .name = "X",
                                  .build = loss_of,
                                  .fill = deal,
                                  .cookie = &d,
                                  .prefixes = all,
                                  .adam.eps = 1,
                                  .schedule.rate = 1,
                                  .micro_batches = pieces };
    assert_int_equal(gen_backend_open(&backend, "cpu", 2), GEN_OK);
    assert_int_equal(gen_params_create(&params), GEN_OK);
    if (gen_phase_create(&phase, params, 3, backend, &o))
        fail_msg("%s", gen_last_error());
    stir_states(params);
    for (int i = 0; i < steps; i++) {
        double loss;
        gen_verdict verdict;
        assert_int_equal(gen_phase_run(phase, &guard, i, &loss, &verdict), GEN_OK);
        assert_int_equal(verdict, GEN_COMMIT);
    }
    gen_phase_free(&phase);
    gen_backend_close(&backend);
    return params;
}

/* max |difference| / max |expected| of one tensor. */
static double distance(const gen_params *found, const gen_params *expected, const char *name)
{
    gen_tensor a = gen_params_get(found, name), b = gen_params_get(expected, name);
    assert_non_null(a.data);
    return gen_compare(&a, &b).relative;
}

enum which { TRAINED = 1, STATES = 2 };

static void expect_equal(network_fn *network, double spread, enum which which)
{
    gen_params *start = after(network, 1, spread, 0), *whole = after(network, 1, spread, 1);
    for (int64_t pieces = 2; pieces <= SAMPLES; pieces *= 2) {
        gen_params *parts = after(network, pieces, spread, 1);
        double worst = 0;
        for (int i = 0; i < gen_params_count(whole); i++) {
            const char *name;
            bool trained;
            (void)gen_params_at(whole, i, &name, &trained);
            if (!(which & (trained ? TRAINED : STATES)))
                continue;
            double off = distance(parts, whole, name);
            if (!(off <= 1e-6))
                fail_msg("%lld micro-batches: '%s' is off by %g", (long long)pieces, name, off);
            worst = fmax(worst, off);
            assert_true(distance(start, whole, name) > 1e-3); /* there was a step */
        }
        print_message("%lld micro-batches: worst %.2g\n", (long long)pieces, worst);
        gen_params_free(&parts);
    }
    gen_params_free(&start);
    gen_params_free(&whole);
}

/* ---- without batch norm, all is equal -------------------------------------------------------- */

static gen_node *spectral(gen_net *net, gen_node *x)
{
    const gen_layer_attr torch = { .sn = GEN_SN_TORCH }, sonnet = { .sn = GEN_SN_SONNET };
    x = gen_relu(net->g, gen_conv_layer(net, "first", x, 5, &torch));
    return gen_conv_layer(net, "last", x, 2, &sonnet);
}

static void all_is_equal_without_batch_norm(void **state)
{
    (void)state;
    expect_equal(spectral, 1, TRAINED | STATES);
}

/* By hand: one power iteration a step, u first. */
static void vectors_move_once_a_step(void **state)
{
    (void)state;
    enum { ROWS = 5, REST = 9 * CHANNELS };
    gen_params *start = after(spectral, 4, 1, 0), *one = after(spectral, 4, 1, 1);
    const float *w = gen_params_get(start, "first/w").data;
    const float *v = gen_params_get(start, "first/v").data;
    const float *found = gen_params_get(one, "first/u").data;
    double u[ROWS] = { 0 }, square = 0;
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < REST; j++)
            u[i] += (double)w[i * REST + j] * (double)v[j];
        square += u[i] * u[i];
    }
    for (int i = 0; i < ROWS; i++)
        assert_true(fabs(u[i] / sqrt(square) - (double)found[i]) < 1e-6);
    gen_params_free(&start);
    gen_params_free(&one);
}

/* ---- batch norm: states ---------------------------------------------------------------------- */

static gen_node *normal(gen_net *net, gen_node *x)
{
    x = gen_norm_layer(net, "norm", x, &(gen_norm_attr){ .groups = GROUPS, .momentum = 0.3 });
    return gen_conv_layer(net, "last", x, 2, NULL);
}

static gen_node *centred(gen_net *net, gen_node *x)
{
    x = gen_norm_layer(net, "norm", x, &(gen_norm_attr){ .groups = GROUPS, .no_scale = 1 });
    return gen_conv_layer(net, "last", x, 2, NULL);
}

static void running_statistics_are_those_of_the_big_batch(void **state)
{
    (void)state;
    expect_equal(normal, 3, STATES);
    expect_equal(normal, 100, STATES);
    expect_equal(centred, 3, STATES);
}

/* From the samples, in double: r <- 0.7 r + 0.3 s for one group after the other. */
static void running_statistics_are_those_of_the_samples(void **state)
{
    (void)state;
    static float x[SAMPLES * ROW];
    const double n = SAMPLES * SIDE * SIDE;
    gen_params *start = after(normal, 4, 3, 0), *found = after(normal, 4, 3, 1);
    const float *old_mean = gen_params_get(start, "norm/mean").data;
    const float *old_var = gen_params_get(start, "norm/var").data;
    const float *mean = gen_params_get(found, "norm/mean").data;
    const float *var = gen_params_get(found, "norm/var").data;
    for (int c = 0; c < CHANNELS; c++) {
        double r_mean = (double)old_mean[c], r_var = (double)old_var[c];
        for (int group = 0; group < GROUPS; group++) {
            double sum = 0, square = 0;
            for (int64_t i = 0; i < SAMPLES; i++)
                fill_sample(x + i * ROW, group * SAMPLES + i, 3);
            for (int i = c; i < SAMPLES * ROW; i += CHANNELS)
                sum += (double)x[i];
            for (int i = c; i < SAMPLES * ROW; i += CHANNELS)
                square += pow((double)x[i] - sum / n, 2);
            r_mean = 0.7 * r_mean + 0.3 * sum / n;
            r_var = 0.7 * r_var + 0.3 * square / (n - 1);
        }
        assert_true(fabs(r_mean - (double)mean[c]) < 1e-6 * fabs(r_mean));
        assert_true(fabs(r_var - (double)var[c]) < 1e-6 * r_var);
    }
    gen_params_free(&start);
    gen_params_free(&found);
}

/* One layer used twice in a graph moves its states twice, as two groups do. */
static gen_node *used_twice(gen_net *net, gen_node *x)
{
    const gen_norm_attr norm = { .momentum = 0.3 };
    int64_t n = gen_node_shape(x).dim[0] / GROUPS;
    gen_node *half[GROUPS];
    for (int i = 0; i < GROUPS; i++)
        half[i] = gen_norm_layer(net, "norm", gen_slice(net->g, x, 0, i * n, n), &norm);
    return gen_conv_layer(net, "last", gen_concat(net->g, 0, half, GROUPS), 2, NULL);
}

static void updates_of_one_state_follow_each_other(void **state)
{
    (void)state;
    gen_params *twice = after(used_twice, 2, 3, 1), *groups = after(normal, 2, 3, 1);
    assert_true(distance(twice, groups, "norm/mean") < 1e-6);
    assert_true(distance(twice, groups, "norm/var") < 1e-6);
    gen_params_free(&twice);
    gen_params_free(&groups);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_equal_without_batch_norm),
        cmocka_unit_test(vectors_move_once_a_step),
        cmocka_unit_test(running_statistics_are_those_of_the_big_batch),
        cmocka_unit_test(running_statistics_are_those_of_the_samples),
        cmocka_unit_test(updates_of_one_state_follow_each_other),
    };
    return cmocka_run_group_tests_name("micro-batches", tests, NULL, NULL);
}
