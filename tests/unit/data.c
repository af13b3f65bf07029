/* SPDX-License-Identifier: Apache-2.0
 *
 * Training samples: each is the crop that its origin says, a function of its number alone, and
 * drawn where it rains; those that move are the field seen along its motion; what is held out is
 * seen by one part only.
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
#include "weather/trace.h"

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
static void depend_on_number(bool moving)
{
    static const int order[] = { 5, 6, 7, 40, 41, 0, 1, 9, 9, 8, 23, 3 };
    static float all[48][CELLS], rain[CELLS], mask[CELLS];
    gen_samples *s =
        open_samples((gen_samples_options){ .threads = 1, .moving = moving, .context = 2 });
    for (int i = 0; i < 48; i++)
        assert_int_equal(gen_samples_get(s, i, all[i], mask, NULL), GEN_OK);
    assert_memory_not_equal(all[0], all[1], sizeof all[0]);
    gen_samples_free(&s);
    s = open_samples(
        (gen_samples_options){ .threads = 3, .ahead = 4, .moving = moving, .context = 2 });
    for (int turn = 0; turn < 3; turn++)
        for (int i = 0; i < GEN_LEN(order); i++) {
            assert_int_equal(gen_samples_get(s, order[i], rain, mask, NULL), GEN_OK);
            assert_memory_equal(rain, all[order[i]], sizeof rain);
        }
    gen_samples_free(&s);
    s = open_samples(
        (gen_samples_options){ .threads = 2, .ahead = 1, .moving = moving, .context = 2 });
    for (int i = 0; i < 6; i++) {
        assert_int_equal(gen_samples_get(s, i, rain, mask, NULL), GEN_OK);
        assert_memory_equal(rain, all[i], sizeof rain);
    }
    gen_samples_free(&s);
}

static void samples_depend_on_their_number_alone(void **state)
{
    (void)state;
    depend_on_number(false);
    depend_on_number(true);
}

/* The first `n` frames of a sequence as the samples pack them: in 1/128 mm/h. */
static float *packed(const gen_radar_sequence *s, int64_t n)
{
    float *out = NULL;
    assert_int_equal(GEN_ALLOC(&out, n * HEIGHT * WIDTH, "test"), GEN_OK);
    for (int64_t i = 0; i < n * HEIGHT * WIDTH; i++)
        out[i] = isnan(s->rain[i]) ? NAN : roundf(fminf(s->rain[i], 128) * 128) / 128;
    return out;
}

/* Sample frame t, for a context of 2: the whole field seen along the motion, cut. Motion from
 * the first frame on. */
static void along_motion(float *out, const float *frames, const gen_sample_origin *o, int64_t t)
{
    static float whole[HEIGHT * WIDTH];
    gen_motion m;
    gen_trace trace;
    int back = t < 1 ? 1 : -1;
    assert_int_equal(gen_motion_estimate(&m, frames, 2, HEIGHT, WIDTH, NULL), GEN_OK);
    assert_int_equal(gen_trace_create(&trace, &m, NULL, 1), GEN_OK);
    for (int64_t k = llabs(t - 1); k; k--)
        gen_trace_step(&trace, &m, (float)back, NULL);
    gen_trace_warp(whole, &trace, frames + t * HEIGHT * WIDTH, GEN_TRACE_CUBIC, NULL);
    for (int y = 0; y < SIZE; y++)
        memcpy(out + y * SIZE, whole + (o->row + y) * WIDTH + o->column, SIZE * sizeof *out);
    gen_trace_free(&trace);
    gen_motion_free(&m);
}

static void samples_that_move_are_seen_along_the_motion(void **state)
{
    (void)state;
    gen_radar_sequence *source = simulated(2, 36), *one[1] = { simulated(2, 36) };
    gen_samples_options o = {
        .frames = FRAMES, .size = SIZE, .context = 2, .moving = true, .as_is = true, .missing = 0.5
    };
    static float rain[CELLS], mask[CELLS], expected[SIZE * SIZE];
    gen_samples *s = NULL;
    double changed = 0, total = 0, missing = 0;
    float *frames = packed(source, KEPT);
    assert_int_equal(gen_samples_create(&s, one, 1, &o), GEN_OK);
    for (int i = 0; i < 40; i++) {
        gen_sample_origin at;
        assert_int_equal(gen_samples_get(s, i, rain, mask, &at), GEN_OK);
        int64_t first = (at.time - source->time[0]) / source->step;
        double measured = 0;
        for (int t = 0; t < FRAMES; t++) {
            along_motion(expected, frames + first * HEIGHT * WIDTH, &at, t);
            for (int k = 0; k < SIZE * SIZE; k++) {
                float v = rain[t * SIZE * SIZE + k], m = mask[t * SIZE * SIZE + k];
                assert_true(isnan(expected[k]) ? m == 0 && v == 0 : m == 1 && v == expected[k]);
                measured += (double)m;
                float on_ground = frames[((first + t) * HEIGHT + at.row + k / SIZE) * WIDTH +
                                         at.column + k % SIZE];
                changed += m > 0 && !isnan(on_ground) && v != on_ground;
            }
        }
        assert_true(measured >= 0.5 * CELLS);
        missing += CELLS - measured;
        total += CELLS;
    }
    assert_true(changed > 0.2 * total && missing > 0);
    gen_samples_free(&s);
    gen_free(frames);
    gen_radar_free(&source);
}

/* Showers that only drift change on the ground, and hardly where the crop moves with them. */
static void drifting_rain_stands_still(void **state)
{
    (void)state;
    static float rain[8 * SIZE * SIZE], mask[8 * SIZE * SIZE];
    double change[2] = { 0 };
    for (int moving = 0; moving < 2; moving++) {
        gen_radar_sequence *one[1] = { simulated(1, 0) };
        for (int t = 0; t < KEPT; t++)
            for (int y = 0; y < HEIGHT; y++)
                for (int x = 0; x < WIDTH; x++)
                    one[0]->rain[(t * HEIGHT + y) * WIDTH + x] =
                        (float)(4 + 2 * sin((x - 1.5 * t) / 4) + 2 * cos((y + 0.8 * t) / 5));
        gen_samples_options o = {
            .frames = 8, .size = SIZE, .context = 3, .moving = moving, .missing = 0.3, .seed = 4
        };
        gen_samples *s = NULL;
        assert_int_equal(gen_samples_create(&s, one, 1, &o), GEN_OK);
        for (int i = 0; i < 10; i++) {
            assert_int_equal(gen_samples_get(s, i, rain, mask, NULL), GEN_OK);
            for (int k = 0; k < 7 * SIZE * SIZE; k++)
                if (mask[k] > 0 && mask[k + SIZE * SIZE] > 0)
                    change[moving] += fabs((double)rain[k] - (double)rain[k + SIZE * SIZE]);
        }
        gen_samples_free(&s);
    }
    assert_true(change[0] > 0 && change[1] < 0.2 * change[0]);
}

/* Every column its own rain: what a sample holds tells where it is from. */
static void columns_as_rain(gen_radar_sequence *s)
{
    for (int64_t i = 0; i < KEPT * HEIGHT * WIDTH; i++)
        s->rain[i] = i % WIDTH < 8 ? NAN : (float)(1 + i % WIDTH);
}

/* The columns of which samples of a part hold values. */
static void columns_of_part(gen_samples_part part, bool seen[WIDTH])
{
    static float rain[CELLS], mask[CELLS];
    gen_radar_sequence *one[1] = { simulated(1, 0) };
    gen_samples_options o = { .frames = FRAMES, .size = SIZE, .part = part, .missing = 0.4 };
    gen_samples *s = NULL;
    columns_as_rain(one[0]);
    assert_int_equal(gen_samples_create(&s, one, 1, &o), GEN_OK);
    memset(seen, 0, WIDTH * sizeof *seen);
    for (int i = 0; i < 300; i++) {
        assert_int_equal(gen_samples_get(s, i, rain, mask, NULL), GEN_OK);
        for (int k = 0; k < CELLS; k++)
            if (mask[k] > 0)
                seen[lroundf(rain[k]) - 1] = true;
    }
    gen_samples_free(&s);
}

static void parts_share_no_column(void **state)
{
    (void)state;
    bool train[WIDTH], validate[WIDTH], all[WIDTH];
    columns_of_part(GEN_SAMPLES_TRAIN, train);
    columns_of_part(GEN_SAMPLES_VALIDATE, validate);
    columns_of_part(GEN_SAMPLES_ALL, all);
    int trained = 0;
    for (int x = 0; x < WIDTH; x++) {
        /* 8 to 72 are measured: a crop of 16 about 3/4 of them, which is 56 */
        assert_true(validate[x] == (x >= 48 && x < 64));
        assert_false(train[x] && validate[x]);
        trained += train[x];
        assert_true(all[x] == (x >= 8 && x < 72));
    }
    assert_true(trained >= 40 && trained <= 48);
}

/* Nor on its way: it rains 50 mm/h more in the columns that are held out, 40 to 56. Crops for
 * validation begin there. */
static void training_sees_nothing_held_out_on_its_way(void **state)
{
    (void)state;
    static float rain[CELLS], mask[CELLS];
    for (int part = GEN_SAMPLES_TRAIN; part <= GEN_SAMPLES_VALIDATE; part++) {
        gen_radar_sequence *one[1] = { simulated(1, 0) };
        gen_samples_options o = { .frames = FRAMES,
                                  .size = SIZE,
                                  .context = 2,
                                  .part = (gen_samples_part)part,
                                  .moving = true,
                                  .missing = 0.9 };
        gen_samples *s = NULL;
        int missing = 0, held = 0, sides = 0;
        for (int t = 0; t < KEPT; t++)
            for (int y = 0; y < HEIGHT; y++)
                for (int x = 0; x < WIDTH; x++)
                    one[0]->rain[(t * HEIGHT + y) * WIDTH + x] =
                        (float)(4 + 2 * sin((x - 4.0 * t) / 4) + 2 * cos((y + 0.8 * t) / 5) +
                                (x >= 40 && x < 56 ? 50 : 0));
        assert_int_equal(gen_samples_create(&s, one, 1, &o), GEN_OK);
        for (int i = 0; i < 100; i++) {
            gen_sample_origin at;
            assert_int_equal(gen_samples_get(s, i, rain, mask, &at), GEN_OK);
            sides |= at.column <= 24 ? 1 : at.column == 40 ? 2 : at.column == 56 ? 4 : 8;
            for (int k = 0; k < CELLS; k++) {
                missing += mask[k] == 0;
                held += rain[k] > 25;
            }
        }
        if (part == GEN_SAMPLES_TRAIN)
            assert_true(held == 0 && missing > 0 && sides == (1 | 4));
        else
            assert_true(held > 0 && sides == 2);
        gen_samples_free(&s);
    }
}

/* A set by index: the same at every time and from any thread, with crops in one place of a row. */
static void validation_is_a_fixed_set(void **state)
{
    (void)state;
    static float first[12][CELLS], rain[CELLS], mask[CELLS];
    for (int threads = 1; threads <= 3; threads++) {
        gen_samples_options o = { .threads = threads,
                                  .ahead = 2 * threads,
                                  .part = GEN_SAMPLES_VALIDATE,
                                  .as_is = true,
                                  .moving = true,
                                  .context = 2,
                                  .missing = 0.5 };
        gen_samples *s = open_samples(o);
        for (int i = 11; i >= 0; i--) {
            gen_sample_origin at;
            assert_int_equal(gen_samples_get(s, i, rain, mask, &at), GEN_OK);
            assert_int_equal(at.turn, 0);
            if (threads == 1)
                memcpy(first[i], rain, sizeof rain);
            assert_memory_equal(first[i], rain, sizeof rain);
        }
        gen_samples_free(&s);
    }
    assert_memory_not_equal(first[0], first[1], sizeof first[0]);
}

/* With a context it is the context's rain that counts: here it begins to rain after it. */
static void what_follows_does_not_draw(void **state)
{
    (void)state;
    static float rain[CELLS], mask[CELLS];
    for (int context = 0; context < 2; context++) {
        gen_radar_sequence *one[1] = { simulated(1, 0) };
        gen_samples_options o = { .frames = 2, .size = SIZE, .context = context, .q_min = 0.01 };
        gen_samples *s = NULL;
        gen_sample_origin at;
        for (int64_t i = 0; i < KEPT * HEIGHT * WIDTH; i++)
            one[0]->rain[i] = i < HEIGHT * WIDTH ? 0 : 1;
        one[0]->frames = 2;
        assert_int_equal(gen_samples_create(&s, one, 1, &o), GEN_OK);
        assert_int_equal(gen_samples_get(s, 0, rain, mask, &at), GEN_OK);
        assert_float_equal(at.q, context ? 0.01 : 0.01 + 0.1 * (1 - exp(-1)) / 2, 1e-6);
        gen_samples_free(&s);
    }
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

/* Of dry sequences 98 of 100 samples are taken by the rule; the others too must be some crop. */
static void dry_sequences_give_every_sample(void **state)
{
    static float rain[FRAMES * SIZE * SIZE], mask[FRAMES * SIZE * SIZE];
    gen_samples *s = NULL;
    gen_radar_sequence *dry = simulated(1, 0);
    (void)state;
    memset(dry->rain, 0, (size_t)(KEPT * HEIGHT * WIDTH) * sizeof *dry->rain);
    const gen_samples_options o = { .frames = FRAMES, .size = SIZE, .seed = 9 };
    assert_int_equal(gen_samples_create(&s, &dry, 1, &o), GEN_OK);
    for (int64_t i = 0; i < 400; i++)
        assert_int_equal(gen_samples_get(s, i, rain, mask, NULL), GEN_OK);
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
    o = (gen_samples_options){ .frames = 2, .size = SIZE, .moving = true, .context = 1 };
    assert_int_equal(gen_samples_create(&s, one, 0, &o), GEN_EINVAL);
    assert_non_null(strstr(gen_last_error(), "a context of 1, expected 2 or more of them"));
    o = (gen_samples_options){ .frames = 2, .size = 32, .part = GEN_SAMPLES_TRAIN };
    one[0] = simulated(1, 0);
    assert_int_equal(gen_samples_create(&s, one, 1, &o), GEN_OK);
    gen_samples_free(&s);
    o.size = 40;
    one[0] = simulated(1, 0);
    assert_int_equal(gen_samples_create(&s, one, 1, &o), GEN_EDATA);
    assert_non_null(strstr(gen_last_error(), "has 75 columns: too few to hold out 40 and train"));
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
        gen_samples_options o = {
            .frames = 2, .size = SIZE, .ahead = 3, .moving = true, .context = 2
        };
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
        cmocka_unit_test(samples_that_move_are_seen_along_the_motion),
        cmocka_unit_test(drifting_rain_stands_still),
        cmocka_unit_test(parts_share_no_column),
        cmocka_unit_test(training_sees_nothing_held_out_on_its_way),
        cmocka_unit_test(validation_is_a_fixed_set),
        cmocka_unit_test(what_follows_does_not_draw),
        cmocka_unit_test(rain_is_drawn_more_often),
        cmocka_unit_test(dry_sequences_give_every_sample),
        cmocka_unit_test(what_cannot_be_is_said),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
