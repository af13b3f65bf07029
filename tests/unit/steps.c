/* SPDX-License-Identifier: Apache-2.0
 *
 * The stochastic ensemble: its cascade adds up, its members are repeatable, keep the distribution
 * of the rain, spread with time, and score better than advection alone.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <libgen/metrics.h>
#include <libgen/random.h>
#include <libgen/weather.h>

#include "libgen/base/alloc.h"
#include "weather/cascade.h"

#define SIDE 96
#define CELLS (SIDE * SIDE)
#define LEADS 6
#define MEMBERS 8

/* ---- cascade --------------------------------------------------------------------------------- */

static void weights_of_levels_add_to_one(void **state)
{
    (void)state;
    static const int64_t sizes[][2] = { { 96, 96 }, { 37, 131 }, { 2, 2 }, { 1, 50 }, { 300, 7 } };
    for (int s = 0; s < GEN_LEN(sizes); s++) {
        gen_cascade c;
        assert_int_equal(gen_cascade_create(&c, sizes[s][0], sizes[s][1]), GEN_OK);
        assert_true(c.rows >= c.height && c.columns >= c.width && c.columns % 2 == 0);
        for (int64_t i = 0; i < c.n; i++) {
            double sum = 0;
            for (int l = 0; l < c.levels; l++)
                sum += (double)c.weight[l * c.n + i];
            assert_true(fabs(sum - 1) < 1e-6);
        }
        gen_cascade_free(&c);
    }
}

/* There and back, and Parseval's theorem. */
static void transforms_keep_the_field(void **state)
{
    (void)state;
    enum { H = 37, W = 50 };
    static float field[H * W], back[H * W];
    gen_cascade c;
    gen_fourier f;
    kiss_fft_cpx *spectrum = NULL;
    double sum = 0, squares = 0;
    assert_int_equal(gen_cascade_create(&c, H, W), GEN_OK);
    assert_int_equal(gen_fourier_create(&f, &c), GEN_OK);
    assert_int_equal(GEN_ALLOC(&spectrum, c.n, "test"), GEN_OK);
    gen_random_normal(field, H * W, 3, 1, 0);
    gen_fourier_forward(&f, &c, field, 0, spectrum);
    gen_fourier_inverse(&f, &c, spectrum, back);
    for (int i = 0; i < H * W; i++) {
        assert_true(fabsf(field[i] - back[i]) < 1e-5f);
        sum += (double)field[i];
        squares += (double)field[i] * (double)field[i];
    }
    double n = (double)(c.rows * c.columns);
    double variance = squares / n - sum * sum / n / n;
    double found = gen_cascade_product(&c, NULL, spectrum, spectrum) / n / n;
    assert_true(fabs(found - variance) < 1e-5 * variance);
    gen_free(spectrum);
    gen_fourier_free(&f);
    gen_cascade_free(&c);
}

/* A wave of one length lies in the level of that length. */
static void levels_are_scales(void **state)
{
    (void)state;
    enum { N = 128 };
    static float field[N * N];
    gen_cascade c;
    gen_fourier f;
    kiss_fft_cpx *spectrum = NULL;
    int last = -1;
    assert_int_equal(gen_cascade_create(&c, N, N), GEN_OK);
    assert_int_equal(gen_fourier_create(&f, &c), GEN_OK);
    assert_int_equal(GEN_ALLOC(&spectrum, c.n, "test"), GEN_OK);
    for (int waves = 1; waves < N / 2; waves *= 3) {
        int best = 0;
        double most = 0;
        for (int i = 0; i < N * N; i++)
            field[i] = (float)cos(2 * 3.14159265358979 * waves * (i / N) / N);
        gen_fourier_forward(&f, &c, field, 0, spectrum);
        for (int l = 0; l < c.levels; l++) {
            double v = gen_cascade_product(&c, c.weight + l * c.n, spectrum, spectrum);
            best = v > most ? l : best;
            most = fmax(v, most);
        }
        assert_true(best > last);
        last = best;
    }
    gen_free(spectrum);
    gen_fourier_free(&f);
    gen_cascade_free(&c);
}

/* ---- members --------------------------------------------------------------------------------- */

static gen_radar_sequence *simulated(double range)
{
    gen_radar_sequence *s = NULL;
    gen_simulate_options o = {
        .frames = 4 + LEADS, .height = SIDE, .width = SIDE, .seed = 5, .cover = 0.4, .range = range
    };
    assert_int_equal(gen_radar_simulate(&s, &o), GEN_OK);
    s->frames = 4; /* what follows is the future */
    return s;
}

typedef struct collected {
    int64_t members;
    float rain[MEMBERS][LEADS * CELLS];
} collected;

static gen_status collect(void *cookie, int64_t member, const float *rain)
{
    collected *c = cookie;
    assert_int_equal(member, c->members);
    memcpy(c->rain[c->members++], rain, sizeof c->rain[0]);
    return GEN_OK;
}

static collected *run(const gen_radar_sequence *s, gen_nowcast_method method, int64_t members,
                      int threads)
{
    collected *c = calloc(1, sizeof *c);
    gen_nowcast_options o = {
        .method = method, .lead_steps = LEADS, .members = members, .seed = 7, .threads = threads
    };
    assert_int_equal(gen_nowcast(s, &o, collect, c), GEN_OK);
    assert_int_equal(c->members, members);
    return c;
}

/* Any thread count, and each member by itself. */
static void members_are_repeatable(void **state)
{
    (void)state;
    gen_radar_sequence *s = simulated(46);
    collected *a = run(s, GEN_NOWCAST_STEPS, 5, 1), *b = run(s, GEN_NOWCAST_STEPS, 5, 3);
    collected *few = run(s, GEN_NOWCAST_STEPS, 2, 2);
    assert_memory_equal(a->rain, b->rain, 5 * sizeof a->rain[0]);
    assert_memory_equal(a->rain, few->rain, 2 * sizeof a->rain[0]);
    assert_memory_not_equal(a->rain[0], a->rain[1], sizeof a->rain[0]);
    free(a);
    free(b);
    free(few);
    gen_radar_free(&s);
}

static double spread(const collected *c, int lead)
{
    double sum = 0;
    int n = 0;
    for (int i = 0; i < CELLS; i++) {
        double mean = 0, squares = 0;
        for (int m = 0; m < MEMBERS; m++) {
            double v = (double)c->rain[m][lead * CELLS + i];
            mean += v / MEMBERS;
            squares += v * v / MEMBERS;
        }
        if (isnan(mean))
            continue;
        sum += squares - mean * mean;
        n++;
    }
    return sum / n;
}

static double crps(const collected *c, int64_t members, int lead, const float *observed)
{
    gen_crps_scores out;
    const float *member[MEMBERS];
    for (int m = 0; m < members; m++)
        member[m] = c->rain[m] + lead * CELLS;
    assert_int_equal(gen_crps(&out, observed, member, members, CELLS), GEN_OK);
    assert_true(out.standard.known);
    return out.standard.value;
}

static void members_spread_and_score_better_than_advection(void **state)
{
    (void)state;
    gen_radar_sequence *s = simulated(0);
    collected *c = run(s, GEN_NOWCAST_STEPS, MEMBERS, 0);
    collected *a = run(s, GEN_NOWCAST_ADVECTION, 1, 0);
    assert_true(spread(c, 0) > 0);
    assert_true(spread(c, LEADS - 1) > 1.5 * spread(c, 0));
    /* Later, simulated rain, which drifts steadily and changes slowly, suits advection too well. */
    for (int lead = 0; lead < 3; lead++) {
        const float *observed = s->rain + (4 + lead) * CELLS;
        assert_true(crps(c, MEMBERS, lead, observed) < crps(a, 1, lead, observed));
    }
    free(a);
    free(c);
    gen_radar_free(&s);
}

static void wet_and_mean(const float *rain, double *wet, double *mean)
{
    int n = 0;
    *wet = *mean = 0;
    for (int i = 0; i < CELLS; i++)
        if (!isnan(rain[i])) {
            *wet += rain[i] >= 0.1f;
            *mean += (double)rain[i];
            n++;
        }
    *wet /= n;
    *mean /= n;
}

/* The rain that the newest frame has, in other places. */
static void members_keep_the_distribution(void **state)
{
    (void)state;
    gen_radar_sequence *s = simulated(0);
    collected *c = run(s, GEN_NOWCAST_STEPS, MEMBERS, 0);
    double wet, mean, w, v;
    wet_and_mean(s->rain + 3 * CELLS, &wet, &mean);
    for (int m = 0; m < MEMBERS; m++) {
        wet_and_mean(c->rain[m], &w, &v);
        assert_true(fabs(w - wet) < 0.15 * wet && fabs(v - mean) < 0.15 * mean);
        for (int i = 0; i < LEADS * CELLS; i++)
            assert_true(isnan(c->rain[m][i]) || (c->rain[m][i] >= 0 && c->rain[m][i] <= 120));
    }
    free(c);
    gen_radar_free(&s);
}

static void missing_stays_missing_and_dry_dry(void **state)
{
    (void)state;
    gen_radar_sequence *s = simulated(40);
    collected *c = run(s, GEN_NOWCAST_STEPS, 2, 0);
    for (int i = 0; i < CELLS; i++)
        if (isnan(s->rain[3 * CELLS + i]))
            assert_true(isnan(c->rain[1][2 * CELLS + i]));
    free(c);
    for (int i = 0; i < 4 * CELLS; i++)
        s->rain[i] = isnan(s->rain[i]) ? NAN : 0;
    c = run(s, GEN_NOWCAST_STEPS, 2, 0);
    for (int i = 0; i < LEADS * CELLS; i++)
        assert_true(isnan(c->rain[0][i]) || c->rain[0][i] == 0);
    free(c);
    gen_radar_free(&s);
}

static void needs_two_frames(void **state)
{
    (void)state;
    gen_radar_sequence *s = simulated(0);
    collected *c = calloc(1, sizeof *c);
    gen_nowcast_options o = { .method = GEN_NOWCAST_STEPS, .lead_steps = LEADS };
    s->frames = 2;
    assert_int_equal(gen_nowcast(s, &o, collect, c), GEN_OK);
    s->frames = 1;
    assert_int_equal(gen_nowcast(s, &o, collect, c), GEN_EDATA);
    assert_string_equal(gen_last_error(), "nowcast: steps needs 2 frames, found 1");

    /* Two of three were measured, but not one after the other. */
    s->frames = 3;
    for (int i = 0; i < CELLS; i++)
        s->rain[CELLS + i] = NAN;
    assert_int_equal(gen_nowcast(s, &o, collect, c), GEN_EDATA);
    assert_non_null(strstr(gen_last_error(), "steps needs 2 measured frames one step apart"));
    free(c);
    gen_radar_free(&s);
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    gen_radar_sequence *s = simulated(0);
    collected *c = calloc(1, sizeof *c);
    gen_nowcast_options o = { .method = GEN_NOWCAST_STEPS, .lead_steps = LEADS, .threads = 2 };
    uint64_t before = gen_alloc_bytes();
    gen_status status = GEN_ENOMEM;
    int n = 1;
    for (; status != GEN_OK && n < 300; n++) {
        c->members = 0;
        gen_alloc_fail_at((uint64_t)n);
        status = gen_nowcast(s, &o, collect, c);
        gen_alloc_fail_at(0);
        assert_true(status == GEN_OK || status == GEN_ENOMEM);
        assert_int_equal(gen_alloc_bytes(), before);
    }
    assert_true(n > 20 && n < 300);
    free(c);
    gen_radar_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_of_levels_add_to_one),
        cmocka_unit_test(transforms_keep_the_field),
        cmocka_unit_test(levels_are_scales),
        cmocka_unit_test(members_are_repeatable),
        cmocka_unit_test(members_spread_and_score_better_than_advection),
        cmocka_unit_test(members_keep_the_distribution),
        cmocka_unit_test(missing_stays_missing_and_dry_dry),
        cmocka_unit_test(needs_two_frames),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
