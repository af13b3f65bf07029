/* SPDX-License-Identifier: Apache-2.0
 *
 * The regulariser that holds draws to the observation: its value beside the CRPS of metrics/, its
 * gradient beside finite differences in double, some draws at a time beside all at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>

#include <libgen/metrics.h>
#include <libgen/random.h>

#include "tests/eval.h"
#include "weather/dgmr_loss.h"

enum { DRAWS = 4, N = 2, T = 2, SIDE = 4, CELLS = N * T * SIDE * SIDE };

typedef struct fields {
    double draw[DRAWS * CELLS], target[CELLS], mask[CELLS];
    int measured;
} fields;

static void make_fields(fields *f)
{
    float u[DRAWS * CELLS + 2 * CELLS];
    gen_random_uniform(u, GEN_LEN(u), 17, 1, 0);
    for (int i = 0; i < DRAWS * CELLS; i++)
        f->draw[i] = 6 * (double)u[i] - 1; /* some below 0 */
    f->measured = 0;
    for (int i = 0; i < CELLS; i++) {
        f->target[i] = 6 * (double)u[DRAWS * CELLS + i];
        f->mask[i] = u[DRAWS * CELLS + CELLS + i] < 0.75f;
        f->target[i] *= f->mask[i];
        f->measured += f->mask[i] > 0;
    }
}

/* The loss of draws first ... first+k of all, and its gradient by them. */
static double loss_of(const fields *f, gen_dgmr_hold hold, int first, int k, double *gradient)
{
    gen_graph *g;
    gen_node *slope;
    eval e;
    hold.draws = DRAWS;
    assert_int_equal(gen_graph_create(&g), GEN_OK);
    gen_node *own = gen_input(g, "own", GEN_F32, GEN_SHAPE(k * N, T, SIDE, SIDE, 1));
    gen_node *all = gen_input(g, "all", GEN_F32, GEN_SHAPE(DRAWS * N, T, SIDE, SIDE, 1));
    gen_node *target = gen_input(g, "target", GEN_F32, GEN_SHAPE(N, T, SIDE, SIDE, 1));
    gen_node *mask = gen_input(g, "mask", GEN_F32, GEN_SHAPE(N, T, SIDE, SIDE, 1));
    gen_node *cells = gen_input(g, "cells", GEN_F32, GEN_SHAPE(1));
    gen_node *loss = gen_dgmr_hold_loss(g, &hold, own, all, target, mask, cells);
    gen_grad(g, loss, NULL, &own, 1, &slope);
    if (gen_graph_status(g) != GEN_OK)
        fail_msg("%s", gen_last_error());
    eval_open(&e, g);
    memcpy(eval_value(&e, own), f->draw + first * CELLS, (size_t)k * CELLS * sizeof(double));
    memcpy(eval_value(&e, all), f->draw, sizeof f->draw);
    memcpy(eval_value(&e, target), f->target, sizeof f->target);
    memcpy(eval_value(&e, mask), f->mask, sizeof f->mask);
    eval_value(&e, cells)[0] = f->measured;
    eval_run(&e);
    double value = eval_value(&e, loss)[0];
    if (gradient)
        memcpy(gradient, eval_value(&e, slope), (size_t)k * CELLS * sizeof(double));
    eval_close(&e);
    gen_graph_free(&g);
    return value;
}

static void crps_is_that_of_metrics(void **state)
{
    (void)state;
    fields f;
    float observed[CELLS], drawn[DRAWS][CELLS];
    const float *member[DRAWS];
    gen_crps_scores s;
    make_fields(&f);
    for (int i = 0; i < CELLS; i++)
        observed[i] = f.mask[i] > 0 ? (float)f.target[i] : NAN;
    for (int k = 0; k < DRAWS; k++) {
        member[k] = drawn[k];
        for (int i = 0; i < CELLS; i++)
            drawn[k][i] = (float)f.draw[k * CELLS + i];
    }
    assert_int_equal(gen_crps(&s, observed, member, DRAWS, CELLS), GEN_OK);
    assert_int_equal(s.cells, f.measured);
    const gen_dgmr_hold hold = { .kind = GEN_DGMR_REGULARISE_CRPS, .weight = GEN_DGMR_WEIGHT_EVEN };
    double value = loss_of(&f, hold, 0, DRAWS, NULL);
    double expected = 0.95 * s.fair.value + 0.05 * s.standard.value;
    if (fabs(value - expected) > 1e-6)
        fail_msg("%.9g, expected %.9g", value, expected);
}

/* Whether a change of this draw's cell by h, or of the means over 2x2 cells that it is in by a
 * quarter of that, passes a place where |x| bends. */
static bool bends(const fields *f, int at, double h)
{
    int k = at / CELLS, i = at % CELLS, corner = i / (2 * SIDE) * (2 * SIDE) + i % SIDE / 2 * 2;
    for (int other = -1; other < DRAWS; other++) {
        const double *x = other < 0 ? f->target : f->draw + other * CELLS, *y = f->draw + k * CELLS;
        const int block[] = { 0, 1, SIDE, SIDE + 1 };
        double apart = 0;
        for (int b = 0; b < 4; b++)
            apart += (x[corner + block[b]] - y[corner + block[b]]) / 4;
        if (other != k && (fabs(x[i] - y[i]) < 2 * h + 0.01 || fabs(apart) < 2 * h + 0.01))
            return true;
    }
    double mean = 0;
    for (int d = 0; d < DRAWS; d++)
        mean += f->draw[d * CELLS + i] / DRAWS;
    return fabs(mean - f->target[i]) < 2 * h;
}

static const gen_dgmr_hold kinds[] = {
    { .kind = GEN_DGMR_REGULARISE_CRPS, .weight = GEN_DGMR_WEIGHT_EVEN },
    { .kind = GEN_DGMR_REGULARISE_CRPS, .weight = GEN_DGMR_WEIGHT_PAPER, .octaves = 1 },
    { .kind = GEN_DGMR_REGULARISE_MEAN, .weight = GEN_DGMR_WEIGHT_PAPER },
};

static void gradients_are_differences(void **state)
{
    (void)state;
    static double gradient[DRAWS * CELLS];
    const double h = 0.01;
    for (int c = 0; c < GEN_LEN(kinds); c++) {
        fields f;
        int seen = 0;
        make_fields(&f);
        loss_of(&f, kinds[c], 0, DRAWS, gradient);
        for (int i = 0; i < DRAWS * CELLS; i += 3) {
            if (bends(&f, i, h))
                continue;
            double x = f.draw[i];
            f.draw[i] = x + h;
            double above = loss_of(&f, kinds[c], 0, DRAWS, NULL);
            f.draw[i] = x - h;
            double below = loss_of(&f, kinds[c], 0, DRAWS, NULL);
            f.draw[i] = x;
            double slope = (above - below) / (2 * h);
            if (fabs(slope - gradient[i]) > 1e-7)
                fail_msg("case %d, element %d: %.9g, expected %.9g", c, i, gradient[i], slope);
            seen++;
        }
        assert_true(seen > DRAWS * CELLS / 6);
    }
}

static void some_at_a_time_are_all(void **state)
{
    (void)state;
    static double whole[DRAWS * CELLS], part[DRAWS * CELLS];
    fields f;
    make_fields(&f);
    for (int c = 0; c < GEN_LEN(kinds); c++)
        for (int k = 1; k < DRAWS; k *= 2) {
            double value = loss_of(&f, kinds[c], 0, DRAWS, whole);
            for (int first = 0; first < DRAWS; first += k) {
                assert_true(fabs(loss_of(&f, kinds[c], first, k, part) - value) < 1e-12);
                for (int i = 0; i < k * CELLS; i++)
                    assert_true(fabs(part[i] * k / DRAWS - whole[first * CELLS + i]) < 1e-12);
            }
        }
}

/* The mean's: the same loss, differentiated by the graph. */
static void mean_is_the_cell_loss(void **state)
{
    (void)state;
    static double gradient[DRAWS * CELLS];
    fields f;
    gen_graph *g;
    gen_node *slope;
    eval e;
    make_fields(&f);
    double value = loss_of(&f, kinds[2], 0, DRAWS, gradient);
    assert_int_equal(gen_graph_create(&g), GEN_OK);
    gen_node *all = gen_input(g, "all", GEN_F32, GEN_SHAPE(DRAWS, CELLS));
    gen_node *target = gen_input(g, "target", GEN_F32, GEN_SHAPE(CELLS));
    gen_node *mask = gen_input(g, "mask", GEN_F32, GEN_SHAPE(CELLS));
    gen_node *mean = gen_reshape(g, gen_mean(g, all, 1), GEN_SHAPE(CELLS));
    gen_node *loss = gen_dgmr_cell_loss(g, mean, target, mask, NULL, kinds[2].weight);
    gen_grad(g, loss, NULL, &all, 1, &slope);
    assert_int_equal(gen_graph_status(g), GEN_OK);
    eval_open(&e, g);
    memcpy(eval_value(&e, all), f.draw, sizeof f.draw);
    memcpy(eval_value(&e, target), f.target, sizeof f.target);
    memcpy(eval_value(&e, mask), f.mask, sizeof f.mask);
    eval_run(&e);
    assert_true(fabs(eval_value(&e, loss)[0] - value) < 1e-12);
    for (int i = 0; i < DRAWS * CELLS; i++)
        assert_true(fabs(eval_value(&e, slope)[i] - gradient[i]) < 1e-12);
    eval_close(&e);
    gen_graph_free(&g);
}

/* The value is that of what a forecast shows; a cell below 0 where it rained is drawn up. */
static void clamped_draws_count_as_shown(void **state)
{
    (void)state;
    static double gradient[DRAWS * CELLS];
    fields f, shown;
    int below = 0;
    gen_dgmr_hold hold = kinds[1];
    make_fields(&f);
    shown = f;
    for (int i = 0; i < DRAWS * CELLS; i++)
        shown.draw[i] = fmax(f.draw[i], 0);
    double plain = loss_of(&f, hold, 0, DRAWS, NULL),
           expected = loss_of(&shown, hold, 0, DRAWS, NULL);
    hold.clamp = true;
    double value = loss_of(&f, hold, 0, DRAWS, NULL);
    if (fabs(value - expected) > 1e-9 || fabs(plain - expected) < 1e-3)
        fail_msg("%.9g, expected %.9g, not clamped %.9g", value, expected, plain);
    hold.octaves = 0;
    loss_of(&f, hold, 0, DRAWS, gradient);
    for (int i = 0; i < DRAWS * CELLS; i++)
        if (f.draw[i] < 0 && f.mask[i % CELLS] > 0 && f.target[i % CELLS] > 0.02) {
            assert_true(gradient[i] < 0);
            below++;
        }
    assert_true(below > 10);
}

/* Rain of r mm/h in the context scales by rate / (rate + r), each sequence for itself. */
static void heavy_contexts_count_less(void **state)
{
    (void)state;
    gen_graph *g;
    eval e;
    assert_int_equal(gen_graph_create(&g), GEN_OK);
    gen_node *x = gen_input(g, "x", GEN_F32, GEN_SHAPE(4, 1, 2, 2, 1)); /* 2 draws of 2 */
    gen_node *context = gen_input(g, "context", GEN_F32, GEN_SHAPE(2, 3, 2, 2, 1));
    gen_node *y = gen_dgmr_calm(g, x, context, 2);
    assert_int_equal(gen_graph_status(g), GEN_OK);
    eval_open(&e, g);
    for (int i = 0; i < 16; i++)
        eval_value(&e, x)[i] = i + 1;
    for (int i = 0; i < 24; i++)
        eval_value(&e, context)[i] = i < 12 ? 0 : i % 2 * 12; /* means 0 and 6 */
    eval_run(&e);
    for (int i = 0; i < 16; i++)
        assert_true(fabs(eval_value(&e, y)[i] - (i + 1) * (i / 4 % 2 ? 0.25 : 1)) < 1e-9);
    eval_close(&e);
    gen_graph_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crps_is_that_of_metrics),      cmocka_unit_test(gradients_are_differences),
        cmocka_unit_test(some_at_a_time_are_all),       cmocka_unit_test(mean_is_the_cell_loss),
        cmocka_unit_test(clamped_draws_count_as_shown), cmocka_unit_test(heavy_contexts_count_less),
    };
    return cmocka_run_group_tests_name("dgmr_hold", tests, NULL, NULL);
}
