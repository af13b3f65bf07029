/* SPDX-License-Identifier: Apache-2.0
 *
 * Advection on the held-out radar events: at each lead time its mean absolute error is at most 5 %
 * above pysteps' own (advection.json, made by advection.py: the same crops, issue times and
 * frames). Skipped where ../shared is absent (GEN_SHARED names another place).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <math.h>

#include <libgen/weather.h>

#include "libgen/base/alloc.h"
#include "libgen/base/file.h"
#include "libgen/base/json.h"

#define SIZE 256
#define INNER 64 /* first row and column that are scored; 128 of them */
#define CAP 128  /* mm/h */
#define FRAMES 3

typedef struct event {
    const char *name;
    int every, row, column, start[3], steps;
} event;

static const event events[] = {
    { "mch_20170131", 1, 128, 288, { 3, 15, 27 }, 12 },
    { "fmi_20170509", 1, 704, 160, { 3, 15, 27 }, 12 },
    { "mrms_20190610_southeast", 2, 736, 384, { 3, 6, 9 }, 8 },
};

/* Frame `index` of the crop, counted in every n-th. */
static void crop(const gen_radar_sequence *s, const event *e, int64_t index, float *out)
{
    const float *from = s->rain + index * e->every * s->grid.height * s->grid.width;
    for (int64_t j = 0; j < SIZE; j++)
        for (int64_t i = 0; i < SIZE; i++) {
            float v = from[(e->row + j) * s->grid.width + e->column + i];
            out[j * SIZE + i] = v > CAP ? CAP : v;
        }
}

typedef struct score {
    const gen_radar_sequence *s;
    const event *e;
    int64_t newest;
    double error[12];
    float observed[SIZE * SIZE];
} score;

static gen_status add_errors(void *cookie, int64_t member, const float *rain)
{
    score *k = cookie;
    (void)member;
    for (int step = 0; step < k->e->steps; step++) {
        double sum = 0;
        int n = 0;
        crop(k->s, k->e, k->newest + 1 + step, k->observed);
        for (int j = INNER; j < SIZE - INNER; j++)
            for (int i = INNER; i < SIZE - INNER; i++) {
                float o = k->observed[j * SIZE + i], f = rain[(step * SIZE + j) * SIZE + i];
                if (isnan(o))
                    continue;
                sum += fabs((double)(isnan(f) ? 0 : f) - (double)o);
                n++;
            }
        k->error[step] += sum / n / 3;
    }
    return GEN_OK;
}

static void forecast(score *k, int start)
{
    static float frames[FRAMES * SIZE * SIZE];
    static int64_t time[FRAMES] = { 0, 300, 600 };
    static double axis[SIZE];
    for (int i = 0; i < SIZE; i++)
        axis[i] = i;
    for (int f = 0; f < FRAMES; f++)
        crop(k->s, k->e, start - FRAMES + 1 + f, frames + f * SIZE * SIZE);
    gen_radar_sequence s = { .frames = FRAMES,
                             .step = 300,
                             .time = time,
                             .rain = frames,
                             .grid = { .height = SIZE, .width = SIZE, .y = axis, .x = axis } };
    k->newest = start;
    gen_nowcast_options o = { .lead_steps = k->e->steps };
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    assert_int_equal(gen_nowcast(&s, &o, add_errors, k), GEN_OK);
    clock_gettime(CLOCK_MONOTONIC, &b);
    double taken = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
    printf("%s frame %d: %.3f s\n", k->e->name, start, taken);
}

static void error_is_that_of_pysteps(void **state)
{
    const char *shared = getenv("GEN_SHARED");
    char path[512];
    const gen_json *json = *state;
    for (int n = 0; n < GEN_LEN(events); n++) {
        score k = { .e = &events[n] };
        const gen_json *theirs;
        gen_radar_sequence *s = NULL;
        snprintf(path, sizeof path, "%s/data/radar/sequences/heldout/%s.nc",
                 shared ? shared : "../shared", events[n].name);
        if (access(path, R_OK) != 0)
            skip();
        assert_int_equal(gen_radar_read(&s, (const char *const[]){ path }, 1, NULL), GEN_OK);
        k.s = s;
        for (int i = 0; i < 3; i++)
            forecast(&k, events[n].start[i]);
        assert_int_equal(gen_json_array(json, events[n].name, &theirs), GEN_OK);
        assert_int_equal(gen_json_count(theirs), events[n].steps);
        const gen_json *v = gen_json_first(theirs);
        for (int step = 0; step < events[n].steps; step++, v = gen_json_next(v)) {
            double reference;
            assert_int_equal(gen_json_real(v, NULL, &reference), GEN_OK);
            if (!(k.error[step] <= 1.05 * reference))
                fail_msg("%s step %d: error %.4f mm/h, pysteps %.4f", events[n].name, step + 1,
                         k.error[step], reference);
        }
        gen_radar_free(&s);
    }
}

static int load(void **state)
{
    char *text = NULL;
    uint64_t size = 0;
    gen_json *json = NULL;
    if (gen_file_read("tests/golden/advection.json", 1 << 20, &text, &size) != GEN_OK ||
        gen_json_parse(&json, text, size, 1 << 20) != GEN_OK)
        return -1;
    gen_free(text);
    *state = json;
    return 0;
}

static int unload(void **state)
{
    gen_json *json = *state;
    gen_json_free(&json);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(error_is_that_of_pysteps, load, unload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
