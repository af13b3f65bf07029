/* SPDX-License-Identifier: Apache-2.0
 *
 * Values by rule, the C side of rule.py: weights and inputs of golden tests are functions of their
 * name, so that only outputs are stored. And what golden tests share: a graph with its values,
 * evaluated by the ops' references or by a plan, compared with a stored file piece by piece.
 */
#ifndef TESTS_GOLDEN_RULE_H
#define TESTS_GOLDEN_RULE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <libgen/nn.h>
#include <libgen/params.h>
#include <libgen/plan.h>
#include <libgen/random.h>
#include <libgen/train.h>

#include "libgen/base/alloc.h"
#include "tests/device.h"
#include "tests/eval.h"

static inline const char *rule_last(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

/* offset + span * uniform; which, by the last part of the name. */
static inline void rule_line(const char *name, gen_shape s, double *offset, double *span)
{
    static const struct {
        const char *last;
        double offset, span;
    } table[] = { { "b", -0.1, 0.2 },     { "gamma", 0.75, 0.5 }, { "beta", -0.25, 0.5 },
                  { "mean", -0.25, 0.5 }, { "var", 0.75, 0.5 },   { "frames", -20, 40 } };
    const char *last = rule_last(name);
    *offset = -1.75;
    *span = 3.5;
    if (!strcmp(last, "w")) {
        *span = sqrt(24.0 / ((double)gen_shape_count(s) / (double)s.dim[0]));
        *offset = -0.5 * *span;
    }
    for (int i = 0; i < GEN_LEN(table); i++)
        if (!strcmp(last, table[i].last)) {
            *offset = table[i].offset;
            *span = table[i].span;
        }
}

static inline void rule_values(float *out, const char *name, gen_shape s)
{
    int64_t n = gen_shape_count(s);
    double offset, span;
    rule_line(name, s, &offset, &span);
    gen_random_uniform(out, n, 0, gen_stream(name), 0);
    double least = strcmp(rule_last(name), "frames") ? offset : 0;
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)fmax(offset + span * (double)out[i], least);
}

static inline void rule_unit(double *v, int64_t n)
{
    double square = 0;
    for (int64_t i = 0; i < n; i++)
        square += v[i] * v[i];
    for (int64_t i = 0; i < n; i++)
        v[i] /= sqrt(square);
}

/* Three power iterations; v holds its values by rule. */
static inline void rule_vectors(const float *w, int64_t rows, int64_t cols, float *u, float *v)
{
    double *a = calloc((size_t)rows, sizeof *a), *b = calloc((size_t)cols, sizeof *b);
    for (int64_t j = 0; j < cols; j++)
        b[j] = v[j];
    for (int round = 0; round < 3; round++) {
        for (int64_t i = 0; i < rows; i++) {
            a[i] = 0;
            for (int64_t j = 0; j < cols; j++)
                a[i] += (double)w[i * cols + j] * b[j];
        }
        rule_unit(a, rows);
        memset(b, 0, (size_t)cols * sizeof *b);
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < cols; j++)
                b[j] += a[i] * (double)w[i * cols + j];
        rule_unit(b, cols);
    }
    for (int64_t i = 0; i < rows; i++)
        u[i] = (float)a[i];
    for (int64_t j = 0; j < cols; j++)
        v[j] = (float)b[j];
    free(a);
    free(b);
}

/* All parameters and states of g, by rule. */
static inline gen_params *rule_params(const gen_graph *g)
{
    gen_params *p;
    assert_int_equal(gen_params_create(&p), GEN_OK);
    for (int i = 0; i < gen_graph_params(g); i++) {
        gen_node *n = gen_graph_param(g, i);
        float *values;
        bool trained = ((const gen_param_attr *)n->attr)->trained != 0;
        assert_int_equal(gen_params_add(p, n->name, n->shape[0], trained, &values), GEN_OK);
        rule_values(values, n->name, n->shape[0]);
    }
    for (int i = 0; i < gen_graph_params(g); i++) {
        const char *name = gen_graph_param(g, i)->name;
        char other[256];
        if (strcmp(rule_last(name), "u"))
            continue;
        gen_tensor u = gen_params_get(p, name);
        snprintf(other, sizeof other, "%.*s/v", (int)(strlen(name) - 2), name);
        gen_tensor v = gen_params_get(p, other);
        other[strlen(other) - 1] = 'w';
        gen_tensor w = gen_params_get(p, other);
        rule_vectors(w.data, u.shape.dim[0], v.shape.dim[0], u.data, v.data);
    }
    return p;
}

/* Inputs of integers (indices, offsets) have no rule: a test gives their values by name. */
enum { RULE_GIVEN = 4 };
static struct {
    const char *name;
    const int32_t *value;
} rule_given[RULE_GIVEN];

static inline const int32_t *rule_integers(const char *name)
{
    for (int i = 0; i < RULE_GIVEN; i++)
        if (rule_given[i].name && !strcmp(rule_given[i].name, name))
            return rule_given[i].value;
    fail_msg("input '%s' is of integers and has no values", name);
    abort();
}

/* Values of out[0..n) one after the other, inputs and parameters by rule. */
static inline float *rule_reference(gen_graph *g, gen_node *const out[], int n)
{
    eval e;
    int64_t total = 0;
    gen_params *p = rule_params(g);
    eval_open(&e, g);
    for (int i = 0; i < gen_graph_count(g); i++) {
        gen_node *node = gen_graph_node(g, i);
        if (node->op != &gen_op_input && node->op != &gen_op_param)
            continue;
        int64_t count = gen_shape_count(node->shape[0]);
        float *by_rule = calloc((size_t)count, sizeof *by_rule);
        if (gen_node_dtype(node) == GEN_I32)
            for (int64_t k = 0; k < count; k++)
                by_rule[k] = (float)rule_integers(node->name)[k];
        else
            rule_values(by_rule, node->name, node->shape[0]);
        const float *from =
            node->op == &gen_op_param ? gen_params_get(p, node->name).data : by_rule;
        double *to = eval_value(&e, node);
        for (int64_t k = 0; k < count; k++)
            to[k] = from[k];
        free(by_rule);
    }
    eval_run(&e);
    for (int i = 0; i < n; i++)
        total += gen_shape_count(gen_node_shape(out[i]));
    float *all = calloc((size_t)total, sizeof *all);
    for (int i = 0, at = 0; i < n; i++) {
        int64_t count = gen_shape_count(gen_node_shape(out[i]));
        const double *from = eval_value(&e, out[i]);
        for (int64_t k = 0; k < count; k++)
            all[at++] = (float)from[k];
    }
    eval_close(&e);
    gen_params_free(&p);
    return all;
}

/* The same by a plan, in f32, on the device of the test. */
static inline float *rule_planned(gen_graph *g, gen_node *const out[], int n,
                                  const gen_plan_options *options)
{
    int64_t total = 0;
    gen_backend *backend = NULL;
    gen_plan *plan = NULL;
    gen_params *p = rule_params(g);
    if (test_backend_open(&backend, 2) || gen_plan_create(&plan, g, out, n, p, backend, options))
        fail_msg("%s", gen_last_error());
    for (int i = 0; i < gen_graph_count(g); i++) {
        gen_node *node = gen_graph_node(g, i);
        gen_tensor to = { 0 };
        if (node->op == &gen_op_input)
            to = gen_plan_input(plan, node->name);
        if (to.data && to.dtype == GEN_I32)
            memcpy(to.data, rule_integers(node->name), gen_tensor_bytes(&to));
        else if (to.data)
            rule_values(to.data, node->name, node->shape[0]);
    }
    if (gen_plan_run(plan, NULL))
        fail_msg("%s", gen_last_error());
    for (int i = 0; i < n; i++)
        total += gen_shape_count(gen_node_shape(out[i]));
    float *all = calloc((size_t)total, sizeof *all);
    for (int64_t i = 0, at = 0; i < n; i++) {
        gen_tensor t = gen_plan_output(plan, (int)i);
        memcpy(all + at, t.data, gen_tensor_bytes(&t));
        at += gen_shape_count(t.shape);
    }
    gen_plan_free(&plan);
    gen_backend_close(&backend);
    gen_params_free(&p);
    return all;
}

/* ---- states after a training step ------------------------------------------------------------
 */

/* Adds the statistics of net behind out[0..n), for evaluation; returns how many there are in all.
 * A state among out[] stands for its value after the step: rule_move_states puts it there. */
static inline int rule_with_statistics(const gen_net *net, gen_node *out[], int n)
{
    return n + gen_net_statistics(net, out + n);
}

/* found: values of out[0..n) and of the statistics behind them. */
static inline void rule_move_states(const gen_net *net, gen_node *const out[], int n, float *found)
{
    gen_pending *pending;
    gen_backend *backend;
    gen_params *p = rule_params(net->g);
    const float *statistic[2048];
    int64_t at = 0;
    int all = n + gen_net_statistics(net, NULL);
    assert_true(all - n <= GEN_LEN(statistic));
    for (int i = 0; i < all; i++) {
        if (i >= n)
            statistic[i - n] = found + at;
        at += gen_shape_count(gen_node_shape(out[i]));
    }
    assert_int_equal(gen_backend_open(&backend, "cpu", 1), GEN_OK);
    assert_int_equal(gen_pending_create(&pending, p, net, backend), GEN_OK);
    assert_int_equal(gen_pending_add(pending, statistic), GEN_OK);
    assert_int_equal(gen_pending_commit(pending), GEN_OK);
    gen_pending_free(&pending);
    gen_backend_close(&backend);
    for (int i = 0; i < n; i++) {
        gen_tensor t = { 0 };
        if (out[i]->op == &gen_op_param && !((const gen_param_attr *)out[i]->attr)->trained)
            t = gen_params_get(p, out[i]->name);
        if (t.data)
            memcpy(found, t.data, gen_tensor_bytes(&t));
        found += gen_shape_count(gen_node_shape(out[i]));
    }
    gen_params_free(&p);
}

/* tests/golden/<name>.npy, read from the folder of the sources. */
static inline gen_tensor rule_golden(const char *name)
{
    char path[256];
    gen_tensor t;
    snprintf(path, sizeof path, "tests/golden/%s.npy", name);
    gen_status status = gen_npy_read(&t, path, 1 << 24);
    if (status)
        fail_msg("%s", gen_last_error());
    return t;
}

static inline void rule_graph_is_whole(const gen_graph *g)
{
    if (gen_graph_status(g))
        fail_msg("%s", gen_last_error());
}

/* found[0..n) against expected: max |difference| / max |expected|. */
static inline double rule_distance(const float *found, const float *expected, int64_t n)
{
    gen_tensor a = { GEN_F32, GEN_SHAPE(n), (void *)(uintptr_t)found };
    gen_tensor b = { GEN_F32, GEN_SHAPE(n), (void *)(uintptr_t)expected };
    return gen_compare(&a, &b).relative;
}

/* ---- gradients by samples (rule.py's) ---------------------------------------------------------
 */

static inline int rule_by_name(const void *a, const void *b)
{
    return strcmp(gen_node_name(*(gen_node *const *)a), gen_node_name(*(gen_node *const *)b));
}

/* The stored form of a tensor: its norm, then at most `most` evenly spaced elements. */
static inline int64_t rule_sample(const float *x, int64_t n, int64_t most, float *out)
{
    int64_t k = n < most ? n : most;
    double square = 0;
    for (int64_t i = 0; i < n; i++)
        square += (double)x[i] * (double)x[i];
    out[0] = (float)sqrt(square);
    for (int64_t i = 0; i < k; i++)
        out[1 + i] = x[i * n / k];
    return k + 1;
}

enum { RULE_SAMPLES = 97 };

/* n tensors of count[i] elements each, one after the other in `found`, against their stored samples
 * of at most `most` elements. A tensor passes when its difference is at most `tolerance` of its
 * norm; a norm below 1e-3 of the largest counts as that, because the gradient of a bias in front of
 * a batch norm is zero but for rounding. Returns the worst difference. */
static inline double rule_check_sampled(const char *file, const char *const tensor[],
                                        const int64_t count[], int n, const float *found,
                                        int64_t most, double tolerance)
{
    gen_tensor golden = rule_golden(file);
    const float *expected = golden.data;
    float largest = 0, buffer[1 + RULE_SAMPLES];
    double worst = 0;
    int64_t at = 0;
    assert_true(most <= RULE_SAMPLES);
    for (int i = 0; i < n; i++) {
        assert_true(at < golden.shape.dim[0]);
        largest = fmaxf(largest, expected[at]);
        at += 1 + (count[i] < most ? count[i] : most);
    }
    assert_int_equal(at, golden.shape.dim[0]);
    for (int i = 0; i < n; i++) {
        int64_t k = rule_sample(found, count[i], most, buffer);
        double square = 0, norm = 0;
        for (int64_t j = 1; j < k; j++) {
            square += pow((double)buffer[j] - expected[j], 2);
            norm += pow(expected[j], 2);
        }
        double off = fmax(sqrt(square) / fmax(sqrt(norm), 1e-3 * largest),
                          fabs(buffer[0] - expected[0]) / fmax(expected[0], 1e-3 * largest));
        if (!(off <= tolerance))
            fail_msg("%s: '%s' is off by %g of its norm %g", file, tensor[i], off,
                     (double)expected[0]);
        worst = fmax(worst, off);
        found += count[i];
        expected += k;
    }
    print_message("%s: %d tensors, worst %.2g\n", file, n, worst);
    gen_tensor_free(&golden);
    return worst;
}

/* The same for values of nodes, in order of name. */
static inline void rule_check_samples(const char *file, gen_node *const named[],
                                      gen_node *const value[], int n, const float *found,
                                      double tolerance)
{
    const char **tensor = calloc((size_t)n, sizeof *tensor);
    int64_t *count = calloc((size_t)n, sizeof *count);
    for (int i = 0; i < n; i++) {
        tensor[i] = gen_node_name(named[i]);
        count[i] = gen_shape_count(gen_node_shape(value[i]));
    }
    rule_check_sampled(file, tensor, count, n, found, RULE_SAMPLES, tolerance);
    free(tensor);
    free(count);
}

#endif
