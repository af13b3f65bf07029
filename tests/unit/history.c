/* SPDX-License-Identifier: Apache-2.0
 *
 * The log of a training, read: numbers by their path, steps that a resumed run did again, lines cut
 * by a kill, and lines that nobody should have written.
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

#include "libgen/base/alloc.h"
#include "libgen/train/history.h"

#define START                                                                                      \
    "{\"kind\":\"start\",\"step\":0,\"time\":\"2026-11-23T12:00:00Z\",\"resumed\":false}\n"

static gen_history *parse(const char *text)
{
    gen_history *h;
    if (gen_history_parse(&h, text, strlen(text), "log.jsonl") != GEN_OK)
        fail_msg("%s", gen_last_error());
    return h;
}

static int64_t count(const gen_history *h, gen_history_kind kind)
{
    int64_t n;
    (void)gen_history_lines(h, kind, &n);
    return n;
}

static const gen_history_line *line(const gen_history *h, gen_history_kind kind, int64_t i)
{
    int64_t n;
    const gen_history_line *l = gen_history_lines(h, kind, &n);
    assert_true(i < n);
    return l + i;
}

/* "1 2 5 " of the steps of a kind. */
static const char *steps(const gen_history *h, gen_history_kind kind)
{
    static char text[200];
    text[0] = 0;
    for (int64_t i = 0; i < count(h, kind); i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%d ",
                 (int)line(h, kind, i)->step);
    return text;
}

static void numbers_are_found_by_their_path(void **state)
{
    (void)state;
    gen_history *h = parse(
        START
        "{\"kind\":\"step\",\"step\":3,\"step_seconds\":0.5,\"losses\":{\"D\":1.25,\"G\":-2e3,"
        "\"old\":null},\"unknown\":{\"deep\":{\"er\":7}},\"words\":\"no\",\"mixed\":[1,\"a\"]}\n"
        "{\"kind\":\"validation\",\"step\":3,\"crps\":[0.5,null,0.75],\"empty\":[]}\n"
        "{\"kind\":\"event\",\"step\":3,\"what\":\"skip\",\"text\":\"loss of G is nan\"}\n"
        "{\"kind\":\"later versions\",\"value\":1}\n\n");
    const double *v;
    const gen_history_line *s = line(h, GEN_HISTORY_STEP, 0);
    assert_int_equal(s->step, 3);
    assert_int_equal(s->number, 2);
    assert_true(gen_history_number(h, s, "step_seconds") == 0.5);
    assert_true(gen_history_number(h, s, "losses/D") == 1.25);
    assert_true(gen_history_number(h, s, "losses/G") == -2000);
    assert_true(gen_history_number(h, s, "unknown/deep/er") == 7);
    assert_int_equal(gen_history_numbers(h, s, "losses/old", &v), 1);
    assert_true(isnan(*v));
    const char *const none[] = { "losses", "losses/", "D", "words", "mixed", "crps" };
    for (int i = 0; i < GEN_LEN(none); i++) {
        assert_int_equal(gen_history_numbers(h, s, none[i], &v), 0);
        assert_null(v);
        assert_true(isnan(gen_history_number(h, s, none[i])));
    }
    const gen_history_line *w = line(h, GEN_HISTORY_VALIDATION, 0);
    assert_int_equal(gen_history_numbers(h, w, "crps", &v), 3);
    assert_true(v[0] == 0.5 && isnan(v[1]) && v[2] == 0.75);
    assert_true(isnan(gen_history_number(h, w, "crps"))); /* more than one */
    assert_int_equal(gen_history_numbers(h, w, "empty", &v), 0);
    assert_string_equal(line(h, GEN_HISTORY_EVENT, 0)->what, "skip");
    assert_string_equal(line(h, GEN_HISTORY_EVENT, 0)->text, "loss of G is nan");
    assert_string_equal(line(h, GEN_HISTORY_START, 0)->time, "2026-11-23T12:00:00Z");
    assert_false(line(h, GEN_HISTORY_START, 0)->resumed);
    int i = 0;
    assert_string_equal(gen_history_name(h, GEN_HISTORY_STEP, "losses/", &i), "losses/D");
    assert_string_equal(gen_history_name(h, GEN_HISTORY_STEP, "losses/", &i), "losses/G");
    assert_string_equal(gen_history_name(h, GEN_HISTORY_STEP, "losses/", &i), "losses/old");
    assert_null(gen_history_name(h, GEN_HISTORY_STEP, "losses/", &i));
    i = 0;
    assert_string_equal(gen_history_name(h, GEN_HISTORY_VALIDATION, "", &i), "step");
    assert_string_equal(gen_history_name(h, GEN_HISTORY_VALIDATION, "", &i), "crps");
    gen_history_free(&h);
    assert_null(h);
    gen_history_free(&h);

    /* A name that only lines had that do not hold. */
    h = parse("{\"kind\":\"step\",\"step\":3,\"x\":1}\n{\"kind\":\"step\",\"step\":2,\"y\":1}\n");
    i = 0;
    assert_null(gen_history_name(h, GEN_HISTORY_STEP, "x", &i));
    i = 0;
    assert_string_equal(gen_history_name(h, GEN_HISTORY_STEP, "y", &i), "y");
    gen_history_free(&h);
}

#define STEP(n) "{\"kind\":\"step\",\"step\":" #n ",\"losses\":{\"D\":" #n "}}\n"
#define AGAIN(n) "{\"kind\":\"step\",\"step\":" #n ",\"losses\":{\"D\":-" #n "}}\n"
#define VALID(n) "{\"kind\":\"validation\",\"step\":" #n "}\n"
#define RESUME(n) "{\"kind\":\"start\",\"step\":" #n ",\"resumed\":true}\n"
#define EVENT(n) "{\"kind\":\"event\",\"step\":" #n ",\"what\":\"rollback\"}\n"

static void what_was_done_again_is_replaced(void **state)
{
    (void)state;
    gen_history *h = parse(START STEP(2) STEP(5) VALID(5) STEP(7) STEP(10) VALID(10) EVENT(11));
    assert_string_equal(steps(h, GEN_HISTORY_STEP), "2 5 7 10 ");
    assert_string_equal(steps(h, GEN_HISTORY_VALIDATION), "5 10 ");
    gen_history_free(&h);

    /* A start alone: what lies behind its step is gone, that at it stays. */
    h = parse(START STEP(2) STEP(5) VALID(5) STEP(7) STEP(10) VALID(10) EVENT(11) RESUME(5));
    assert_string_equal(steps(h, GEN_HISTORY_STEP), "2 5 ");
    assert_string_equal(steps(h, GEN_HISTORY_VALIDATION), "5 ");
    assert_string_equal(steps(h, GEN_HISTORY_EVENT), "11 ");
    assert_string_equal(steps(h, GEN_HISTORY_START), "0 5 ");
    gen_history_free(&h);

    /* A roll back has no start; lines of one step do not remove each other's kind. */
    h = parse(START STEP(2) STEP(5) VALID(5) STEP(7) VALID(7) STEP(10) EVENT(11) AGAIN(6) AGAIN(7)
                  VALID(7) AGAIN(8));
    assert_string_equal(steps(h, GEN_HISTORY_STEP), "2 5 6 7 8 ");
    assert_string_equal(steps(h, GEN_HISTORY_VALIDATION), "5 7 ");
    const double expected[] = { 2, 5, -6, -7, -8 };
    for (int i = 0; i < 5; i++)
        assert_true(gen_history_number(h, line(h, GEN_HISTORY_STEP, i), "losses/D") == expected[i]);
    assert_int_equal(line(h, GEN_HISTORY_VALIDATION, 1)->number, 11);
    gen_history_free(&h);

    /* The same step again. */
    h = parse(START STEP(5) VALID(5) AGAIN(5) VALID(5));
    assert_string_equal(steps(h, GEN_HISTORY_STEP), "5 ");
    assert_string_equal(steps(h, GEN_HISTORY_VALIDATION), "5 ");
    assert_true(gen_history_number(h, line(h, GEN_HISTORY_STEP, 0), "losses/D") == -5);
    gen_history_free(&h);

    h = parse(START STEP(5) VALID(5) VALID(3));
    assert_string_equal(steps(h, GEN_HISTORY_STEP), "");
    assert_string_equal(steps(h, GEN_HISTORY_VALIDATION), "3 ");
    gen_history_free(&h);
}

/* Cut at every byte: the lines before are there. */
static void a_cut_line_is_not_looked_at(void **state)
{
    (void)state;
    const char text[] = START STEP(2) STEP(5);
    uint64_t ends[] = { strlen(START), strlen(START STEP(2)), strlen(text) };
    for (uint64_t size = 0; size <= strlen(text); size++) {
        gen_history *h;
        const char *sentence;
        assert_int_equal(gen_history_parse(&h, text, size, "log.jsonl"), GEN_OK);
        int whole = 0;
        while (whole < 3 && ends[whole] <= size)
            whole++;
        assert_int_equal(count(h, GEN_HISTORY_START) + count(h, GEN_HISTORY_STEP), whole);
        assert_int_equal(gen_history_cut(h), size != (whole ? ends[whole - 1] : 0));
        assert_int_equal(gen_history_broken(h, &sentence), 0);
        assert_string_equal(sentence, "");
        gen_history_free(&h);
    }
}

static void broken_lines_are_passed_over(void **state)
{
    (void)state;
    const char *sentence;
    gen_history *h = parse(START STEP(2) "{\"kind\":\"st\n" EVENT(2) RESUME(2)
                               STEP(3) "{\"kind\":\"step\",\"st" STEP(4) STEP(5) "{\"kin\n");
    assert_string_equal(steps(h, GEN_HISTORY_STEP), "2 3 5 ");
    assert_false(gen_history_cut(h));
    assert_int_equal(gen_history_broken(h, &sentence), 3);
    assert_non_null(strstr(sentence, "'log.jsonl', line 3: JSON"));
    assert_non_null(strstr(sentence, "the text ends inside a string"));
    gen_history_free(&h);
    h = parse("{\"kind\":\"step\",\"step\":1,\"loss\":NaN}\n"
              "{\"kind\":\"step\",\"step\":1,\"step\":2}\n" STEP(2));
    assert_string_equal(steps(h, GEN_HISTORY_STEP), "2 ");
    assert_int_equal(gen_history_broken(h, &sentence), 2);
    gen_history_free(&h);
}

static void refuse(const char *text, const char *where, const char *words)
{
    gen_history *h;
    assert_int_equal(gen_history_parse(&h, text, strlen(text), "log.jsonl"), GEN_EDATA);
    assert_null(h);
    if (!strstr(gen_last_error(), where) || !strstr(gen_last_error(), words))
        fail_msg("'%s': expected '%s' and '%s'", gen_last_error(), where, words);
}

static void other_lines_are_refused(void **state)
{
    (void)state;
    refuse("[1]\n", "line 1", "expected a JSON object");
    refuse(START "{\"step\":2}\n", "line 2", "'kind': found nothing, expected a string");
    refuse(START "{\"kind\":\"step\"}\n", "line 2", "'step': found nothing, expected an integer");
    refuse(START "{\"kind\":\"step\",\"step\":-1}\n", "line 2", "found -1, expected 0 to");
    refuse(START "{\"kind\":\"step\",\"step\":1.5}\n", "line 2", "found 1.5, expected an integer");
    refuse("{\"kind\":\"start\",\"step\":1,\"resumed\":2}\n", "line 1", "expected true or false");
}

static void names_lines_and_files_have_limits(void **state)
{
    (void)state;
    gen_history *h;
    const char *sentence;
    char *text = malloc(GEN_HISTORY_MAX_LINE + 100);
    int n = sprintf(text, "{\"kind\":\"step\",\"step\":1");
    for (int i = 0; i < GEN_HISTORY_MAX_NAMES; i++) /* "step" is one of the names */
        n += sprintf(text + n, ",\"n%d\":1", i);
    n += sprintf(text + n, "}\n");
    refuse(text, "line 1", "more than 1000 different names");
    memset(text, ' ', GEN_HISTORY_MAX_LINE + 10);
    n = sprintf(text + GEN_HISTORY_MAX_LINE + 1, "\n" STEP(2));
    h = parse(text);
    assert_int_equal(gen_history_broken(h, &sentence), 1);
    assert_non_null(strstr(sentence, "expected at most 1048576"));
    assert_int_equal(count(h, GEN_HISTORY_STEP), 1);
    gen_history_free(&h);

    /* A name that is too long is passed over, its neighbours are not. */
    n = sprintf(text, "{\"kind\":\"step\",\"step\":1,\"");
    memset(text + n, 'a', 300);
    sprintf(text + n + 300, "\":1,\"b\":2}\n");
    h = parse(text);
    assert_true(gen_history_number(h, line(h, GEN_HISTORY_STEP, 0), "b") == 2);
    int i = 0, names = 0;
    while (gen_history_name(h, GEN_HISTORY_STEP, "", &i))
        names++;
    assert_int_equal(names, 2);
    gen_history_free(&h);
    free(text);
    assert_int_equal(gen_history_read(&h, "/no/such/log.jsonl"), GEN_EDATA);
    assert_non_null(strstr(gen_last_error(), "/no/such/log.jsonl"));
    assert_int_equal(gen_history_read(&h, "/"), GEN_EDATA);
    assert_null(h);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    const char text[] = START STEP(2) VALID(2) EVENT(2) "{\"ki\n" RESUME(2) STEP(3);
    uint64_t held = gen_alloc_bytes();
    for (int n = 1;; n++) {
        gen_history *h;
        gen_alloc_fail_at((uint64_t)n);
        gen_status status = gen_history_parse(&h, text, strlen(text), "log.jsonl");
        gen_alloc_fail_at(0);
        if (status == GEN_OK) {
            assert_true(n > 5);
            gen_history_free(&h);
            break;
        }
        assert_int_equal(status, GEN_ENOMEM);
        assert_null(h);
        assert_int_equal(gen_alloc_bytes(), held);
    }
    assert_int_equal(gen_alloc_bytes(), held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_found_by_their_path),
        cmocka_unit_test(what_was_done_again_is_replaced),
        cmocka_unit_test(a_cut_line_is_not_looked_at),
        cmocka_unit_test(broken_lines_are_passed_over),
        cmocka_unit_test(other_lines_are_refused),
        cmocka_unit_test(names_lines_and_files_have_limits),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
