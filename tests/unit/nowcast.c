/* SPDX-License-Identifier: Apache-2.0
 *
 * Nowcasts end to end through the public header, and simulated rain.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <math.h>

#include <libgen/weather.h>

#include "libgen/base/alloc.h"

#define SIZE 80
#define STEPS 5

static gen_radar_sequence *simulated(int64_t frames, double range)
{
    gen_radar_sequence *s = NULL;
    gen_simulate_options o = {
        .frames = frames, .height = SIZE, .width = SIZE, .seed = 1, .cover = 0.4, .range = range
    };
    assert_int_equal(gen_radar_simulate(&s, &o), GEN_OK);
    return s;
}

static void simulation_is_repeatable_rain(void **state)
{
    (void)state;
    gen_radar_sequence *a = simulated(4, 38), *b = simulated(4, 38);
    assert_memory_equal(a->rain, b->rain, sizeof(float) * 4 * SIZE * SIZE);
    assert_int_equal(a->step, 300);
    gen_radar_summary s = gen_radar_summarise(a);
    assert_true(s.wet_share > 0.15 && s.wet_share < 0.7);
    assert_true(s.min == 0 && s.max > 1 && s.max <= 120);
    assert_true(s.missing_share > 0.25 && s.missing_share < 0.35); /* 1 - pi/4 * (76/80)^2 */
    assert_true(isnan(a->rain[0]) && !isnan(a->rain[SIZE * SIZE / 2 + SIZE / 2]));
    gen_radar_free(&a);
    gen_radar_free(&b);
    gen_simulate_options bad = { .cover = 2 };
    assert_int_equal(gen_radar_simulate(&a, &bad), GEN_EINVAL);
    assert_null(a);
}

typedef struct collected {
    int64_t members;
    float rain[3][STEPS * SIZE * SIZE];
    gen_status answer;
} collected;

static gen_status collect(void *cookie, int64_t member, const float *rain)
{
    collected *c = cookie;
    assert_int_equal(member, c->members);
    memcpy(c->rain[c->members++], rain, sizeof c->rain[0]);
    return c->answer;
}

static double error(const float *forecast, const float *observed)
{
    double sum = 0;
    int n = 0;
    for (int i = 0; i < SIZE * SIZE; i++)
        if (!isnan(forecast[i]) && !isnan(observed[i])) {
            sum += fabs((double)forecast[i] - (double)observed[i]);
            n++;
        }
    return sum / n;
}

/* On rain that drifts, moving it is better than leaving it. */
static void advection_beats_persistence(void **state)
{
    (void)state;
    static collected moved, left;
    gen_radar_sequence *s = simulated(3 + STEPS, 0);
    s->frames = 3;
    gen_nowcast_options o = { .lead_steps = STEPS, .members = 2 };
    memset(&moved, 0, sizeof moved);
    memset(&left, 0, sizeof left);
    assert_int_equal(gen_nowcast(s, &o, collect, &moved), GEN_OK);
    o.method = GEN_NOWCAST_PERSISTENCE;
    assert_int_equal(gen_nowcast(s, &o, collect, &left), GEN_OK);
    assert_int_equal(moved.members, 2);
    assert_memory_equal(moved.rain[0], moved.rain[1], sizeof moved.rain[0]);
    for (int t = 0; t < STEPS; t++) {
        const float *observed = s->rain + (3 + t) * SIZE * SIZE;
        assert_memory_equal(left.rain[0] + t * SIZE * SIZE, s->rain + 2 * SIZE * SIZE,
                            sizeof(float) * SIZE * SIZE);
        assert_true(error(moved.rain[0] + t * SIZE * SIZE, observed) <
                    0.85 * error(left.rain[0] + t * SIZE * SIZE, observed));
    }
    gen_radar_free(&s);
}

static void missing_cells_stay_missing(void **state)
{
    (void)state;
    static collected c;
    gen_radar_sequence *s = simulated(3, 38);
    for (int method = GEN_NOWCAST_ADVECTION; method <= GEN_NOWCAST_PERSISTENCE; method++) {
        memset(&c, 0, sizeof c);
        gen_nowcast_options o = { .method = method, .lead_steps = STEPS };
        assert_int_equal(gen_nowcast(s, &o, collect, &c), GEN_OK);
        const float *newest = s->rain + 2 * SIZE * SIZE;
        for (int i = 0; i < STEPS * SIZE * SIZE; i++)
            if (isnan(newest[i % (SIZE * SIZE)]))
                assert_true(isnan(c.rain[0][i]));
    }
    gen_radar_free(&s);
}

static int cancel_after(void *cookie, const char *what, double done, double total)
{
    (void)what;
    assert_true(done >= 0 && done <= total);
    return --*(int *)cookie < 0;
}

static void expect(gen_status status, gen_status expected, const char *sentence)
{
    assert_int_equal(status, expected);
    if (!strstr(gen_last_error(), sentence))
        fail_msg("'%s' does not say '%s'", gen_last_error(), sentence);
}

static void mistakes_have_sentences(void **state)
{
    (void)state;
    static collected c;
    gen_radar_sequence *s = simulated(3, 0);
    gen_nowcast_options o = { .lead_steps = STEPS };
    s->frames = 1;
    expect(gen_nowcast(s, &o, collect, &c), GEN_EDATA, "advection needs 2 frames, found 1");
    s->frames = 3;
    o.method = GEN_NOWCAST_DGMR;
    expect(gen_nowcast(s, &o, collect, &c), GEN_EDATA, "dgmr needs 4 frames, found 3");
    o.method = (gen_nowcast_method)9;
    expect(gen_nowcast(s, &o, collect, &c), GEN_EINVAL, "method 9");
    o.method = GEN_NOWCAST_ADVECTION;
    o.members = -1;
    expect(gen_nowcast(s, &o, collect, &c), GEN_EINVAL, "-1 members");
    o.members = 1;
    for (int calls = 0; calls < 4; calls++) {
        int left = calls;
        o.progress = (gen_progress){ cancel_after, &left };
        assert_int_equal(gen_nowcast(s, &o, collect, &c), GEN_ECANCELED);
    }
    o.progress.fn = NULL;
    memset(&c, 0, sizeof c);
    c.answer = GEN_EIO; /* the sink's own status comes back */
    assert_int_equal(gen_nowcast(s, &o, collect, &c), GEN_EIO);
    for (int i = 0; i < 2 * SIZE * SIZE; i++)
        s->rain[i] = NAN;
    expect(gen_nowcast(s, &o, collect, &c), GEN_EDATA, "needs 2 measured frames, found 1");
    for (int i = 0; i < SIZE * SIZE; i++)
        s->rain[2 * SIZE * SIZE + i] = NAN;
    expect(gen_nowcast(s, &o, collect, &c), GEN_EDATA, "newest frame is missing");
    gen_radar_free(&s);
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    static collected c;
    gen_radar_sequence *s = simulated(3, 0);
    uint64_t before = gen_alloc_bytes();
    gen_status status = GEN_ENOMEM;
    gen_nowcast_options o = { .lead_steps = STEPS, .threads = 1 };
    for (int n = 1; status != GEN_OK && n < 200; n++) {
        memset(&c, 0, sizeof c);
        gen_alloc_fail_at((uint64_t)n);
        status = gen_nowcast(s, &o, collect, &c);
        gen_alloc_fail_at(0);
        assert_true(status == GEN_OK || status == GEN_ENOMEM);
        assert_int_equal(gen_alloc_bytes(), before);
    }
    assert_int_equal(status, GEN_OK);
    gen_radar_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simulation_is_repeatable_rain),
        cmocka_unit_test(advection_beats_persistence),
        cmocka_unit_test(missing_cells_stay_missing),
        cmocka_unit_test(mistakes_have_sentences),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
