/* SPDX-License-Identifier: Apache-2.0
 *
 * Training samples: each is the crop that its origin says, a function of its number alone, and
 * drawn where it rains.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "libgen/base/alloc.h"
#include "weather/data.h"

#define FRAMES 3
#define SIZE 16
#define CELLS (FRAMES * SIZE * SIZE)
#define HEIGHT 56
#define WIDTH 75
#define KEPT 8 /* frames of the sequence */

static gen_radar_sequence *simulated(uint64_t seed, double range)
{
    gen_radar_sequence *s = NULL;
    gen_simulate_options o = {
        .frames = KEPT, .height = HEIGHT, .width = WIDTH, .seed = seed, .cover = 0.4, .range = range
    };
    assert_int_equal(gen_radar_simulate(&s, &o), GEN_OK);
    return s;
}

static gen_samples *open_samples(gen_samples_options o)
{
    gen_radar_sequence *all[2] = { simulated(1, 0), simulated(2, 36) };
    gen_samples *s = NULL;
    gen_free(all[1]->source);
    assert_int_equal(gen_strdup(&all[1]->source, "two"), GEN_OK);
    o.frames = FRAMES;
    o.size = SIZE;
    o.seed = 9;
    assert_int_equal(gen_samples_create(&s, all, 2, &o), GEN_OK);
    assert_null(all[0]);
    assert_null(all[1]);
    return s;
}

/* frame [SIZE,SIZE] as the origin says, turned by whole-array steps. */
static void reference(float *out, const gen_radar_sequence *s, const gen_sample_origin *o, int t)
{
    float a[SIZE][SIZE], b[SIZE][SIZE];
    int64_t frame = (o->time - s->time[0]) / s->step + t;
    for (int y = 0; y < SIZE; y++)
        for (int x = 0; x < SIZE; x++)
            a[y][x] = s->rain[(frame * HEIGHT + o->row + y) * WIDTH + o->column + x];
    if (o->turn & 4) {
        for (int y = 0; y < SIZE; y++)
            for (int x = 0; x < SIZE; x++)
                b[y][SIZE - 1 - x] = a[y][x];
        memcpy(a, b, sizeof a);
    }
    for (int q = 0; q < (o->turn & 3); q++) {
        for (int y = 0; y < SIZE; y++)
            for (int x = 0; x < SIZE; x++)
                b[SIZE - 1 - x][y] = a[y][x];
        memcpy(a, b, sizeof a);
    }
    memcpy(out, a, sizeof a);
}

static void samples_are_what_their_origin_says(void **state)
{
    (void)state;
    gen_radar_sequence *source[2] = { simulated(1, 0), simulated(2, 36) };
    gen_samples *s = open_samples((gen_samples_options){ .missing = 0.9, .cap = 20 });
    static float rain[CELLS], mask[CELLS], expected[SIZE * SIZE];
    int turns = 0, missing = 0;
    for (int i = 0; i < 60; i++) {
        gen_sample_origin o;
        assert_int_equal(gen_samples_get(s, i, rain, mask, &o), GEN_OK);
        assert_true(o.row % 8 == 0 && o.column % 8 == 0 && o.q > 0 && o.q <= 1);
        turns |= 1 << o.turn;
        int which = strcmp(o.source, "two") == 0;
        for (int t = 0; t < FRAMES; t++) {
            reference(expected, source[which], &o, t);
            for (int k = 0; k < SIZE * SIZE; k++) {
                float v = rain[t * SIZE * SIZE + k], m = mask[t * SIZE * SIZE + k];
                assert_true(m == (isnan(expected[k]) ? 0 : 1));
                missing += m == 0;
                float e = isnan(expected[k]) ? 0 : fminf(expected[k], 20);
                assert_true(fabsf(v - e) <= 0.5f / 128);
            }
        }
    }
    assert_int_equal(turns, 255);
    assert_true(missing > 0);
    gen_samples_free(&s);
    gen_radar_free(&source[0]);
    gen_radar_free(&source[1]);
}

/* By number, whatever the order, the threads and how many are kept ready. */
static void samples_depend_on_their_number_alone(void **state)
{
    (void)state;
    static const int order[] = { 5, 6, 7, 40, 41, 0, 1, 9, 9, 8, 23, 3 };
    static float all[48][CELLS], rain[CELLS], mask[CELLS];
    gen_samples *s = open_samples((gen_samples_options){ .threads = 1 });
    for (int i = 0; i < 48; i++)
        assert_int_equal(gen_samples_get(s, i, all[i], mask, NULL), GEN_OK);
    assert_memory_not_equal(all[0], all[1], sizeof all[0]);
    gen_samples_free(&s);
    s = open_samples((gen_samples_options){ .threads = 3, .ahead = 4 });
    for (int turn = 0; turn < 3; turn++)
        for (int i = 0; i < GEN_LEN(order); i++) {
            assert_int_equal(gen_samples_get(s, order[i], rain, mask, NULL), GEN_OK);
            assert_memory_equal(rain, all[order[i]], sizeof rain);
        }
    gen_samples_free(&s);
    s = open_samples((gen_samples_options){ .threads = 2, .ahead = 1 });
    for (int i = 0; i < 6; i++) {
        assert_int_equal(gen_samples_get(s, i, rain, mask, NULL), GEN_OK);
        assert_memory_equal(rain, all[i], sizeof rain);
    }
    gen_samples_free(&s);
}

/* One half is dry, in the other it rains 1 mm/h: crops of only one of them are taken as their
 * chances say. */
static void rain_is_drawn_more_often(void **state)
{
    (void)state;
    gen_radar_sequence *one[1] = { simulated(1, 0) };
    gen_samples *s = NULL;
    gen_samples_options o = { .frames = 1, .size = 8, .seed = 3, .q_min = 0.02, .m = 0.1 };
    int wet = 0, dry = 0;
    float rain[64], mask[64];
    for (int64_t i = 0; i < KEPT * HEIGHT * WIDTH; i++)
        one[0]->rain[i] = i % WIDTH < 32 ? 0 : 1;
    assert_int_equal(gen_samples_create(&s, one, 1, &o), GEN_OK);
    for (int i = 0; i < 4000; i++) {
        gen_sample_origin at;
        assert_int_equal(gen_samples_get(s, i, rain, mask, &at), GEN_OK);
        double q = at.column < 32 ? 0.02 : 0.02 + 0.1 * (1 - exp(-1));
        assert_true(fabs(at.q - q) < 1e-6);
        dry += at.column < 32;
        wet += at.column >= 32;
    }
    /* 4 columns of corners are dry, 5 wet: 5 x 0.0832 to 4 x 0.02, 0.839 of all, sd 0.006 */
    assert_true(fabs((double)wet / (wet + dry) - 0.8387) < 0.025);
    gen_samples_free(&s);
}

static void what_cannot_be_is_said(void **state)
{
    (void)state;
    gen_samples *s = NULL;
    uint64_t before = gen_alloc_bytes();
    gen_samples_options o = { .frames = 20, .size = SIZE };
    gen_radar_sequence *one[1] = { simulated(1, 0) };
    assert_int_equal(gen_samples_create(&s, one, 1, &o), GEN_EDATA);
    assert_non_null(strstr(gen_last_error(), "has 8 frames of 56 x 75 cells, a sample needs 20"));
    assert_null(one[0]);
    assert_int_equal(gen_samples_create(&s, one, 0, &o), GEN_EDATA);
    o.size = 12;
    assert_int_equal(gen_samples_create(&s, one, 0, &o), GEN_EINVAL);
    one[0] = simulated(1, 0);
    for (int64_t i = 0; i < KEPT * HEIGHT * WIDTH; i++)
        one[0]->rain[i] = NAN;
    o = (gen_samples_options){ .frames = 2, .size = SIZE };
    assert_int_equal(gen_samples_create(&s, one, 1, &o), GEN_OK);
    static float rain[CELLS], mask[CELLS];
    assert_int_equal(gen_samples_get(s, 0, rain, mask, NULL), GEN_EDATA);
    assert_non_null(strstr(gen_last_error(), "no crop of 16 x 16 cells"));
    assert_int_equal(gen_samples_get(s, -1, rain, mask, NULL), GEN_EINVAL);
    gen_samples_free(&s);
    assert_int_equal(gen_alloc_bytes(), before);
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    uint64_t before = gen_alloc_bytes();
    gen_status status = GEN_ENOMEM;
    int n = 1;
    for (; status != GEN_OK && n < 100; n++) {
        gen_radar_sequence *one[1] = { simulated(1, 0) };
        gen_samples_options o = { .frames = 2, .size = SIZE, .ahead = 3 };
        gen_samples *s = NULL;
        gen_alloc_fail_at((uint64_t)n);
        status = gen_samples_create(&s, one, 1, &o);
        gen_alloc_fail_at(0);
        assert_true(status == GEN_OK || status == GEN_ENOMEM);
        gen_samples_free(&s);
        assert_int_equal(gen_alloc_bytes(), before);
    }
    assert_true(n > 8 && n < 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_are_what_their_origin_says),
        cmocka_unit_test(samples_depend_on_their_number_alone),
        cmocka_unit_test(rain_is_drawn_more_often),
        cmocka_unit_test(what_cannot_be_is_said),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
