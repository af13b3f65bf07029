/* SPDX-License-Identifier: Apache-2.0
 *
 * What a model was trained on: percentiles of windows, the keys as text and back, what is refused,
 * and which inputs are unlike it, by inputs that differ in one thing each.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "libgen/base/alloc.h"
#include "weather/codec/codec.h"
#include "weather/trained.h"

/* Frames of side x side cells of 1 km, 5 min apart: `wet` cells of each have `rate` mm/h. */
static gen_radar_sequence *make(int64_t side, int64_t wet, float rate)
{
    gen_radar_sequence *s = NULL;
    assert_int_equal(GEN_ALLOC(&s, 1, "test"), GEN_OK);
    s->frames = 4;
    s->step = 300;
    s->grid = (gen_radar_grid){ .height = side, .width = side };
    assert_int_equal(GEN_ALLOC(&s->rain, 4 * side * side, "test"), GEN_OK);
    assert_int_equal(GEN_ALLOC(&s->grid.y, side, "test"), GEN_OK);
    assert_int_equal(GEN_ALLOC(&s->grid.x, side, "test"), GEN_OK);
    for (int64_t i = 0; i < side; i++) {
        s->grid.x[i] = 1000.0 * (double)i;
        s->grid.y[i] = -1000.0 * (double)i;
    }
    for (int64_t i = 0; i < 4 * side * side; i++)
        s->rain[i] = i % (side * side) < wet ? rate : 0.05f;
    return s;
}

static void stretch(gen_radar_sequence *s, double by)
{
    for (int64_t i = 0; i < s->grid.width; i++) {
        s->grid.x[i] *= by;
        s->grid.y[i] *= by;
    }
}

static const char training[] =
    "{\"steps_s\":[240,300],\"cell_m\":[500,1100],\"wet_share\":[0.1,0.6],"
    "\"rate_max\":50,\"units\":\"mm/h\",\"leads\":12,\"crop\":8}";

/* The metadata of a model file with this libgen.training. */
static const char *metadata(const char *text)
{
    static char buf[4096];
    gen_json_writer w = { 0 };
    char *json;
    gen_json_open(&w, NULL, '{');
    gen_json_put_string(&w, "libgen.arch", "dgmr");
    gen_json_put_string(&w, GEN_TRAINED_KEY, text);
    gen_json_close(&w, '}');
    assert_int_equal(gen_json_finish(&w, &json), GEN_OK);
    snprintf(buf, sizeof buf, "%s", json);
    gen_free(json);
    return buf;
}

/* ---- the keys ------------------------------------------------------------------------------ */

static void keys_are_read_and_written(void **state)
{
    (void)state;
    gen_trained t;
    gen_json_writer w = { 0 };
    char *json;
    assert_int_equal(gen_trained_read(&t, metadata(training)), GEN_OK);
    assert_true(t.steps == 2 && t.step[0] == 240 && t.step[1] == 300);
    assert_true(t.cells == 2 && t.cell[0] == 500 && t.cell[1] == 1100);
    assert_true(t.has_wet_share && t.wet_share[0] == 0.1 && t.wet_share[1] == 0.6);
    assert_true(t.rate_max == 50 && t.leads == 12 && t.crop == 8);
    gen_json_open(&w, NULL, '{');
    gen_trained_put(&w, &t);
    gen_json_close(&w, '}');
    assert_int_equal(gen_json_finish(&w, &json), GEN_OK);
    assert_string_equal(json, training);
    gen_free(json);
}

static void nothing_may_be_told(void **state)
{
    (void)state;
    static const char *const texts[] = { "none: random initial weights", "", "{}",
                                         "{\"hours\":3,\"units\":\"mm/h\"}" };
    const gen_trained none = { 0 };
    gen_trained t;
    for (int i = 0; i < GEN_LEN(texts); i++) {
        memset(&t, 1, sizeof t);
        assert_int_equal(gen_trained_read(&t, metadata(texts[i])), GEN_OK);
        assert_memory_equal(&t, &none, sizeof t);
    }
    assert_int_equal(gen_trained_read(&t, "{\"libgen.arch\":\"dgmr\"}"), GEN_OK);
    assert_memory_equal(&t, &none, sizeof t);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        { "{", "libgen.training: " },
        { "{\"units\":\"m/s\"}", "units are 'm/s', expected 'mm/h'" },
        { "{\"units\":3}", "units" },
        { "{\"steps_s\":300}", "steps_s" },
        { "{\"steps_s\":[\"300\"]}", "libgen.training: " },
        { "{\"steps_s\":[0]}", "steps_s holds 0" },
        { "{\"cell_m\":[-1]}", "cell_m holds -1" },
        { "{\"cell_m\":[1,2,3,4,5,6,7,8,9,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}",
          "33 values, at most 32" },
        { "{\"wet_share\":[0.5]}", "wet_share is no pair" },
        { "{\"wet_share\":[0.5,0.4]}", "wet_share is no pair" },
        { "{\"wet_share\":[0,1.5]}", "wet_share holds 1.5" },
        { "{\"rate_max\":-1}", "rate_max is -1" },
        { "{\"leads\":0}", "leads" },
        { "{\"leads\":1.5}", "leads" },
        { "{\"crop\":1e9}", "crop" },
    };
    const gen_trained none = { 0 };
    for (int i = 0; i < GEN_LEN(cases); i++) {
        gen_trained t;
        gen_status status = gen_trained_read(&t, metadata(cases[i].text));
        if (status != GEN_EMODEL || !strstr(gen_last_error(), cases[i].words))
            fail_msg("%s: %s, expected '%s'", cases[i].text, gen_last_error(), cases[i].words);
        assert_memory_equal(&t, &none, sizeof t);
    }
}

/* ---- the trainer --------------------------------------------------------------------------- */

/* NumPy: percentile(arange(101) / 100, [1, 99]) is [0.01, 0.99]. */
static void windows_have_percentiles(void **state)
{
    (void)state;
    gen_trained_windows w = { 0 };
    gen_trained t = { 0 };
    float rain[100], mask[100];
    gen_trained_range(&t, &w);
    assert_false(t.has_wet_share);
    for (int k = 0; k <= 100; k++) {
        for (int i = 0; i < 100; i++)
            rain[i] = i < k ? 0.1f : 0.09f;
        gen_trained_window(&w, rain, NULL, 100);
    }
    gen_trained_range(&t, &w);
    assert_true(t.has_wet_share && t.wet_share[0] == 0.01 && t.wet_share[1] == 0.99);
    assert_true(t.rate_max == (double)0.1f);

    /* what is not measured is no window's part; a rate that is known already may be higher */
    memset(&w, 0, sizeof w);
    for (int i = 0; i < 100; i++) {
        rain[i] = i < 20 ? 7 : i < 40 ? 0 : 99;
        mask[i] = i < 40;
    }
    gen_trained_window(&w, rain, mask, 100);
    gen_trained_range(&t, &w);
    assert_true(t.wet_share[0] == 0.5 && t.wet_share[1] == 0.5 && t.rate_max == 7);
    memset(mask, 0, sizeof mask);
    gen_trained_window(&w, rain, mask, 100);
    t.rate_max = 8;
    gen_trained_range(&t, &w);
    assert_true(t.wet_share[0] == 0.5 && t.rate_max == 8);
}

static void grids_are_listed_once(void **state)
{
    (void)state;
    gen_trained t = { 0 };
    gen_radar_sequence *s = make(8, 0, 0);
    for (int i = 0; i < 3; i++)
        gen_trained_add(&t, &s->grid, 300);
    stretch(s, 0.5);
    gen_trained_add(&t, &s->grid, 240);
    assert_true(t.steps == 2 && t.step[0] == 240 && t.step[1] == 300);
    assert_true(t.cells == 2 && t.cell[0] == 500 && t.cell[1] == 1000);
    for (int i = 1; i < 100; i++)
        gen_trained_add(&t, &s->grid, 1000.0 * i);
    assert_int_equal(t.steps, GEN_TRAINED_MOST);
    gen_radar_free(&s);
}

/* ---- the input ----------------------------------------------------------------------------- */

struct said {
    char text[2048];
    int n;
};

static gen_status keep(void *cookie, const char *sentence)
{
    struct said *said = cookie;
    said->n++;
    strncat(said->text, sentence, sizeof said->text - strlen(said->text) - 1);
    strncat(said->text, "\n", sizeof said->text - strlen(said->text) - 1);
    return GEN_OK;
}

/* What is said of the input, which is freed; NULL: nothing. */
static void expect(gen_radar_sequence *s, int64_t leads, const char *words)
{
    struct said said = { .n = 0 };
    gen_trained t;
    assert_int_equal(gen_trained_read(&t, metadata(training)), GEN_OK);
    assert_int_equal(gen_trained_compare(&t, s, leads, keep, &said), GEN_OK);
    if (said.n != (words ? 1 : 0) || (words && !strstr(said.text, words)))
        fail_msg("said: %s\nexpected: %s", said.text, words ? words : "nothing");
    gen_radar_free(&s);
}

static void inputs_that_are_unlike(void **state)
{
    (void)state;
    gen_radar_sequence *s;
    expect(make(16, 64, 2), 12, NULL);
    expect(make(16, 64, 2), 13, "13 lead times; the model was trained on 12");
    for (int i = 0; i < 4; i++) {
        static const int64_t steps[] = { 329, 331, 220, 216 };
        s = make(16, 64, 2);
        s->step = steps[i];
        expect(s, 12, i % 2 ? "trained on steps of 4 and 5 min" : NULL);
    }
    for (int i = 0; i < 4; i++) {
        static const double by[] = { 1.6, 1.7, 0.34, 0.33 };
        s = make(16, 64, 2);
        stretch(s, by[i]);
        expect(s, 12, i % 2 ? "trained on cells of 0.5 and 1.1 km" : NULL);
    }
    expect(make(16, 64, 50), 12, NULL);
    expect(make(16, 64, 51), 12, "up to 51 mm/h; the model was trained on at most 50 mm/h");
}

/* The whole may be drier than a window ever was, and a window wetter. */
static void inputs_of_other_wetness(void **state)
{
    (void)state;
    gen_radar_sequence *s;
    expect(make(16, 153, 2), 12, NULL);                                     /* 0.598 */
    expect(make(16, 154, 2), 12, "60.2 % of the measured cells have rain"); /* 0.6016 */
    expect(make(64, 64, 2), 12, NULL); /* 0.016 of the whole, 0.125 of 8 x 8 cells at its edge */
    expect(make(8, 7, 2), 12, NULL);   /* 0.109 */
    expect(make(8, 6, 2), 12, "9.38 % of the cells of the wettest window have rain");
    expect(make(16, 0, 0), 12, "0 % of the cells of the wettest window");
    s = make(8, 4, 2); /* half of it: of what was measured an eighth is wet */
    for (int64_t i = 0; i < 4 * 64; i++)
        s->rain[i] = i % 64 < 32 ? s->rain[i] : NAN;
    expect(s, 12, NULL);
    s = make(8, 4, 2); /* nothing was measured */
    for (int64_t i = 0; i < 4 * 64; i++)
        s->rain[i] = NAN;
    expect(s, 12, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_read_and_written), cmocka_unit_test(nothing_may_be_told),
        cmocka_unit_test(what_is_wrong_is_named),    cmocka_unit_test(windows_have_percentiles),
        cmocka_unit_test(grids_are_listed_once),     cmocka_unit_test(inputs_that_are_unlike),
        cmocka_unit_test(inputs_of_other_wetness),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
