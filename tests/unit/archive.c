/* SPDX-License-Identifier: Apache-2.0
 *
 * A heap of radar files as sequences for training: what is joined, thinned, refused, left out.
 */
#include <math.h>

#include "tests/radar_file.h"
#include "weather/archive.h"

enum { MOST = 40 };
#define MINUTE 60

typedef struct heap {
    char path[MOST][64];
    const char *name[MOST];
    int n;
    gen_archive a;
} heap;

/* Adds a file of `frames` frames from minute `start` on; values tell time. */
static void add(heap *h, int64_t start, int64_t frames, int64_t step, int64_t width)
{
    gen_radar_sequence *s;
    const gen_simulate_options o = { .frames = frames,
                                     .height = 16,
                                     .width = width,
                                     .step = step * MINUTE,
                                     .start = start * MINUTE,
                                     .seed = 1 };
    assert_int_equal(gen_radar_simulate(&s, &o), GEN_OK);
    for (int64_t t = 0; t < frames; t++)
        for (int64_t i = 0; i < 16 * width; i++)
            s->rain[t * 16 * width + i] = (float)(start + t * step);
    snprintf(h->path[h->n], sizeof h->path[0], "%s/%d.nc", folder, h->n);
    h->name[h->n] = h->path[h->n];
    if (gen_radar_write(s, h->name[h->n], 0, NULL, true) != GEN_OK)
        fail_msg("%s", gen_last_error());
    h->n++;
    gen_radar_free(&s);
}

static gen_status read_heap(heap *h, double step, bool any_step, int64_t least)
{
    const gen_archive_options o = { .step = step * MINUTE, .any_step = any_step, .least = least };
    return gen_archive_read(&h->a, h->name, h->n, &o);
}

static void must_read(heap *h, double step, bool any_step, int64_t least)
{
    if (read_heap(h, step, any_step, least) != GEN_OK)
        fail_msg("%s", gen_last_error());
}

static void expect_refused(heap *h, double step, int64_t least, const char *words)
{
    assert_int_equal(read_heap(h, step, false, least), GEN_EDATA);
    if (!strstr(gen_last_error(), words))
        fail_msg("'%s', expected '%s'", gen_last_error(), words);
    gen_archive_free(&h->a);
}

/* Frames from minute `start` on, and that their values are those of their times. */
static void expect_sequence(const heap *h, int i, int64_t start, int64_t frames, int64_t step)
{
    assert_true(i < h->a.n);
    const gen_radar_sequence *s = h->a.sequence[i];
    int64_t cells = s->grid.height * s->grid.width;
    assert_int_equal(s->frames, frames);
    assert_int_equal(s->step, step * MINUTE);
    for (int64_t t = 0; t < frames; t++) {
        assert_int_equal(s->time[t], (start + t * step) * MINUTE);
        assert_true(fabsf(s->rain[t * cells] - (float)(start + t * step)) < 0.02f);
        assert_true(fabsf(s->rain[t * cells + cells - 1] - (float)(start + t * step)) < 0.02f);
    }
}

/* Ten frames, without the one of minute 25, not in order; one of another grid among them. */
static void single_frames_are_joined(void **state)
{
    (void)state;
    heap h = { 0 };
    for (int64_t i = 9; i >= 0; i--)
        if (i != 5)
            add(&h, 5 * i, 1, 5, 16);
    add(&h, 10, 1, 5, 24);
    must_read(&h, 5, false, 3);
    assert_int_equal(h.a.n, 2);
    expect_sequence(&h, 0, 0, 5, 5);
    expect_sequence(&h, 1, 30, 4, 5);
    gen_archive_free(&h.a);
    expect_refused(&h, 5, 6, "the longest has 5 frames, 6 are needed");
}

static void a_time_that_comes_twice(void **state)
{
    (void)state;
    heap h = { 0 };
    add(&h, 0, 1, 5, 16);
    add(&h, 5, 1, 5, 16);
    add(&h, 5, 1, 5, 16);
    expect_refused(&h, 5, 2, "are of the same time");
}

static int64_t longest_step(const gen_archive *a)
{
    int64_t most = 0;
    for (int i = 0; i < a->n; i++)
        most = a->sequence[i]->step > most ? a->sequence[i]->step : most;
    return most;
}

static void short_steps_are_thinned(void **state)
{
    (void)state;
    heap h = { 0 };
    add(&h, 0, 11, 2, 16);
    add(&h, 40, 9, 5, 16);
    must_read(&h, 5, false, 4); /* 4 minutes, not 6 */
    assert_int_equal(h.a.n, 3);
    expect_sequence(&h, 0, 0, 6, 4);
    expect_sequence(&h, 1, 2, 5, 4);
    expect_sequence(&h, 2, 40, 9, 5);
    assert_true(h.a.step == 4 * MINUTE && longest_step(&h.a) == 5 * MINUTE);
    gen_archive_free(&h.a);
    must_read(&h, 6, false, 3);
    expect_sequence(&h, 0, 0, 4, 6);
    expect_sequence(&h, 1, 2, 4, 6);
    expect_sequence(&h, 2, 4, 3, 6);
    gen_archive_free(&h.a);
}

static void other_steps_are_asked_for(void **state)
{
    (void)state;
    heap h = { 0 };
    add(&h, 0, 8, 15, 16);
    add(&h, 0, 8, 5, 16);
    expect_refused(&h, 5, 4, "has frames 15 min apart, expected about 5");
    must_read(&h, 5, true, 4);
    assert_int_equal(h.a.n, 2);
    expect_sequence(&h, 0, 0, 8, 15);
    assert_true(h.a.step == 5 * MINUTE && longest_step(&h.a) == 15 * MINUTE);
    gen_archive_free(&h.a);
}

static void bad_files_are_left_out(void **state)
{
    (void)state;
    heap h = { 0 };
    add(&h, 0, 8, 5, 16);
    h.name[h.n++] = "/nowhere/a.nc";
    must_read(&h, 5, false, 4);
    assert_int_equal(h.a.n, 1);
    assert_int_equal(h.a.unreadable, 1);
    gen_archive_free(&h.a);
    h.name[0] = "/nowhere/b.nc";
    expect_refused(&h, 5, 4, "none of 2 radar files could be read");
    h.n = 0;
    expect_refused(&h, 5, 4, "there are no radar files");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_frames_are_joined), cmocka_unit_test(a_time_that_comes_twice),
        cmocka_unit_test(short_steps_are_thinned),  cmocka_unit_test(other_steps_are_asked_for),
        cmocka_unit_test(bad_files_are_left_out),
    };
    return cmocka_run_group_tests_name("archive", tests, make_folder, remove_folder);
}
