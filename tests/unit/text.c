/* SPDX-License-Identifier: Apache-2.0
 *
 * Options, JSON and SHA-256. Digests are the examples of FIPS 180-4 (NIST's "SHA-256 examples");
 * JSON cases follow RFC 8259.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "libgen/base/alloc.h"
#include "libgen/base/json.h"
#include "libgen/base/options.h"
#include "libgen/base/sha256.h"

struct settings {
    int64_t lead, verbose, method, stride[3];
    double rate;
    const char *name;
};

#define AT(field) offsetof(struct settings, field)
static const gen_option table[] = {
    { GEN_OPT_INT, "lead-time", 'l', AT(lead), .preset = 90, .min = 5, .max = 600, .help = "" },
    { GEN_OPT_FLAG, "verbose", 'v', AT(verbose), .help = "" },
    { GEN_OPT_CHOICE, "method", 0, AT(method), .preset = 1,
      .choices = "dgmr|advection|persistence" },
    { GEN_OPT_INT3, "stride", 0, AT(stride), .preset = 1, .min = 1, .max = 8, .help = "" },
    { GEN_OPT_REAL, "rate", 0, AT(rate), .preset = 0.5, .min = 0, .max = 1, .help = "" },
    { GEN_OPT_STRING, "name", 0, AT(name), .text = "x", .help = "" },
    { GEN_OPT_END },
};

static void expect_error(gen_status got, gen_status expected, const char *part)
{
    assert_int_equal(got, expected);
    if (!strstr(gen_last_error(), part))
        fail_msg("'%s' does not contain '%s'", gen_last_error(), part);
}

static void options_are_strict(void **state)
{
    (void)state;
    struct settings s;
    gen_options_defaults(table, &s);
    assert_int_equal(s.lead, 90);
    assert_int_equal(s.stride[2], 1);
    assert_string_equal(s.name, "x");
    assert_int_equal(gen_option_set(table, &s, "lead_time", "60"), GEN_OK);
    assert_int_equal(s.lead, 60);
    assert_int_equal(gen_option_set(table, &s, "method", "persistence"), GEN_OK);
    assert_int_equal(s.method, 2);
    assert_int_equal(gen_option_set(table, &s, "stride", "2,3,9"), GEN_EINVAL);
    assert_int_equal(gen_option_set(table, &s, "stride", "1,1,1,1"), GEN_EINVAL);
    assert_int_equal(s.stride[0], 1);
    assert_int_equal(gen_option_set(table, &s, "rate", "1e-2"), GEN_OK);
    assert_true(s.rate == 0.01);
    expect_error(gen_option_set(table, &s, "led-time", "60"), GEN_EINVAL, "mean 'lead-time'");
    expect_error(gen_option_set(table, &s, "method", "advektion"), GEN_EINVAL, "mean 'advection'");
    expect_error(gen_option_set(table, &s, "lead-time", "4"), GEN_EINVAL, "expected 5 to 600");
    static const char *const bad[] = { "",     " 60",  "60 ", "6o",
                                       "60.0", "0x10", "1e2", "99999999999999999999" };
    for (int i = 0; i < GEN_LEN(bad); i++)
        expect_error(gen_option_set(table, &s, "lead-time", bad[i]), GEN_EINVAL, "lead-time");
    static const char *const bad_real[] = {
        "", "nan", "inf", "0x1", "1..2", "0.5x", "-0.1", "1e999"
    };
    for (int i = 0; i < GEN_LEN(bad_real); i++)
        expect_error(gen_option_set(table, &s, "rate", bad_real[i]), GEN_EINVAL, "rate");
    assert_int_equal(s.lead, 60);
    char text[80];
    gen_options_text(table, &s, text, sizeof text);
    assert_string_equal(text, " lead-time=60 method=persistence rate=0.01");
}

static void nearest_word_is_near(void **state)
{
    (void)state;
    static const char *const words[] = { "members", "method", "model", "seed", "at" };
    assert_string_equal(gen_nearest_word("memebrs", words, 5), "members");
    assert_string_equal(gen_nearest_word("sed", words, 5), "seed");
    assert_string_equal(gen_nearest_word("modle", words, 5), "model");
    assert_null(gen_nearest_word("output", words, 5));
    assert_null(gen_nearest_word("xy", words, 5));
}

static void lists_of_numbers_are_strict(void **state)
{
    (void)state;
    static const char *const bad[] = { "",    ",",       "1,",   ",1",    "1,,2", "1;2",
                                       "1,x", "1,2,3,4", "1,-1", "1,nan", "1, 2" };
    double v[3];
    int n = 3;
    assert_int_equal(gen_parse_reals("1,4.5,8", "list", 0, 10, v, &n), GEN_OK);
    assert_int_equal(n, 3);
    assert_true(v[0] == 1 && v[1] == 4.5 && v[2] == 8);
    n = 3;
    assert_int_equal(gen_parse_reals("7", "list", 0, 10, v, &n), GEN_OK);
    assert_int_equal(n, 1);
    for (int i = 0; i < GEN_LEN(bad); i++) {
        n = 3;
        expect_error(gen_parse_reals(bad[i], "list", 0, 10, v, &n), GEN_EINVAL, "list");
    }
}

static void sizes_have_units(void **state)
{
    (void)state;
    uint64_t n;
    assert_int_equal(gen_parse_bytes("1.5G", "budget", &n), GEN_OK);
    assert_int_equal(n, 1500000000);
    assert_int_equal(gen_parse_bytes("2KiB", "budget", &n), GEN_OK);
    assert_int_equal(n, 2048);
    static const char *const bad[] = { "", "G", "-1", "1X", "1 G", "1e3", "99999999T", "1..5M" };
    for (int i = 0; i < GEN_LEN(bad); i++)
        expect_error(gen_parse_bytes(bad[i], "budget", &n), GEN_EINVAL, "budget");
}

static void durations_have_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double seconds;
    } good[] = {
        { "120s", 120 }, { "15min", 900 }, { "1.5h", 5400 }, { "2d", 172800 }, { "0s", 0 }
    };
    static const char *const bad[] = {
        "", "15", "min", "-1s", "15m", "15 min", "1e3s", "99999999d"
    };
    double s;
    for (int i = 0; i < GEN_LEN(good); i++) {
        assert_int_equal(gen_parse_duration(good[i].text, "age", &s), GEN_OK);
        assert_true(s == good[i].seconds);
    }
    for (int i = 0; i < GEN_LEN(bad); i++)
        expect_error(gen_parse_duration(bad[i], "age", &s), GEN_EINVAL, "age");
}

/* Every double reads back the same, in the fewest digits, whatever the locale. */
static void numbers_round_trip(void **state)
{
    (void)state;
    char text[GEN_REAL_TEXT];
    static const struct {
        double v;
        const char *text;
    } known[] = { { 0.1, "0.1" },   { 100, "100" },
                  { 1e20, "1e20" }, { 1e-7, "1e-7" },
                  { -2.5, "-2.5" }, { 1e6, "1000000" },
                  { 0, "0" },       { DBL_MIN, "2.2250738585072014e-308" } };
    for (int i = 0; i < GEN_LEN(known); i++)
        assert_string_equal(gen_real_text(known[i].v, text), known[i].text);
    setlocale(LC_ALL, "de_DE.UTF-8"); /* where it is installed: decimal comma */
    uint64_t r = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        r ^= r << 13, r ^= r >> 7, r ^= r << 17; /* xorshift64 */
        double v, back;
        memcpy(&v, &r, sizeof v);
        if (!isfinite(v))
            continue;
        assert_int_equal(gen_parse_real(gen_real_text(v, text), "v", 0, 0, &back), GEN_OK);
        assert_memory_equal(&v, &back, sizeof v);
    }
    setlocale(LC_ALL, "C");
}

static gen_status parse(const char *text)
{
    gen_json *j;
    gen_status s = gen_json_parse(&j, text, strlen(text), 1 << 20);
    gen_json_free(&j);
    return s;
}

static void json_grammar(void **state)
{
    (void)state;
    static const char *const good[] = { "{}",
                                        "[]",
                                        " null ",
                                        "-0.5e+3",
                                        "[1,[2,{\"a\":[]}]]",
                                        "\"\\u00e9 \\ud83d\\ude00 \xc3\xa9\"",
                                        "\"\\\"\\\\\\/\"" };
    for (int i = 0; i < GEN_LEN(good); i++)
        assert_int_equal(parse(good[i]), GEN_OK);
    static const char *const bad[] = { "",
                                       " ",
                                       "{",
                                       "[1,]",
                                       "{\"a\":1,}",
                                       "{a:1}",
                                       "{'a':1}",
                                       "01",
                                       "1.",
                                       ".5",
                                       "+1",
                                       "1e",
                                       "1e999",
                                       "nul",
                                       "\"a",
                                       "\"\x01\"",
                                       "\"\\x\"",
                                       "\"\\ud800\"",
                                       "\"\\udc00\"",
                                       "\"\\u0000\"",
                                       "\"\xff\"",
                                       "\"\xc0\xaf\"",
                                       "\"\xed\xa0\x80\"",
                                       "[1] 2",
                                       "{\"a\" 1}",
                                       "[1 2]",
                                       "NaN",
                                       "Infinity",
                                       "tru",
                                       "[",
                                       "{\"a\":",
                                       "\"\\u12\"",
                                       "//",
                                       "{\"a\":1,\"a\":2}",
                                       "[{\"b\":{\"x\":1,\"y\":2,\"x\":3}}]" };
    for (int i = 0; i < GEN_LEN(bad); i++)
        if (parse(bad[i]) != GEN_EDATA)
            fail_msg("'%s' was taken", bad[i]);
    expect_error(parse("{\"a\":\n  x}"), GEN_EDATA, "line 2, column 3");
    char deep[400];
    memset(deep, '[', 200);
    memset(deep + 200, ']', 200);
    gen_json *j;
    expect_error(gen_json_parse(&j, deep, 400, 1000), GEN_EDATA, "deep");
    assert_null(j);
    expect_error(gen_json_parse(&j, "[1,2]", 5, 4), GEN_EDATA, "at most 4");
    assert_int_equal(gen_json_parse(&j, "[1]garbage", 3, 4), GEN_OK); /* `size` counts, not a 0 */
    gen_json_free(&j);
}

static void json_values_are_typed(void **state)
{
    (void)state;
    const char *text = "{\"a\":{\"list\":[1,2.5,\"x\",true]},\"big\":9007199254740993,\"n\":-3}";
    gen_json *j;
    int64_t i;
    double x;
    bool b;
    const char *s;
    assert_int_equal(gen_json_parse(&j, text, strlen(text), 1000), GEN_OK);
    assert_int_equal(gen_json_int(j, "/a/list/0", 0, 5, &i), GEN_OK);
    assert_int_equal(i, 1);
    assert_int_equal(gen_json_real(j, "/a/list/1", &x), GEN_OK);
    assert_true(x == 2.5);
    assert_int_equal(gen_json_string(j, "/a/list/2", &s), GEN_OK);
    assert_string_equal(s, "x");
    assert_int_equal(gen_json_bool(j, "/a/list/3", &b), GEN_OK);
    assert_true(b);
    expect_error(gen_json_int(j, "/a/list/1", 0, 5, &i), GEN_EDATA,
                 "found 2.5, expected an integer");
    expect_error(gen_json_int(j, "/a/list/9", 0, 5, &i), GEN_EDATA, "'/a/list/9': found nothing");
    expect_error(gen_json_int(j, "n", 0, 5, &i), GEN_EDATA, "found -3, expected 0 to 5");
    expect_error(gen_json_string(j, "a", &s), GEN_EDATA, "found an object, expected a string");
    assert_null(gen_json_get(j, "/a/lis"));
    assert_null(gen_json_get(j, "/n/0"));
    assert_int_equal(gen_json_count(gen_json_get(j, "/a/list")), 4);
    assert_string_equal(gen_json_key(gen_json_first(j)), "a");
    gen_json_free(&j);
}

static void count_unknown(void *cookie, const char *key)
{
    (void)key;
    ++*(int *)cookie;
}

static void settings_travel_through_json(void **state)
{
    (void)state;
    struct settings s = { 0 }, back;
    gen_options_defaults(table, &s);
    s.rate = 0.1;
    s.method = 2;
    s.name = "a \"quoted\"\n\x01 name";
    gen_json_writer w = { 0 };
    gen_json_open(&w, NULL, '{');
    gen_json_put_options(&w, "config", table, &s);
    gen_json_put_real(&w, "nan", NAN);
    gen_json_open(&w, "list", '[');
    gen_json_put_int(&w, NULL, INT64_MIN);
    gen_json_put_bool(&w, NULL, true);
    gen_json_put_string(&w, NULL, NULL);
    gen_json_close(&w, ']');
    gen_json_close(&w, '}');
    char *text;
    assert_int_equal(gen_json_finish(&w, &text), GEN_OK);
    assert_string_equal(text, "{\"config\":{\"lead_time\":90,\"verbose\":false,\"method\":"
                              "\"persistence\",\"stride\":[1,1,1],\"rate\":0.1,\"name\":"
                              "\"a \\\"quoted\\\"\\n\\u0001 name\"},\"nan\":null,\"list\":"
                              "[-9223372036854775808,true,null]}");
    gen_json *j;
    assert_int_equal(gen_json_parse(&j, text, strlen(text), 1000), GEN_OK);
    memset(&back, 0, sizeof back);
    assert_int_equal(gen_options_from_json(table, &back, gen_json_get(j, "config"), NULL, NULL),
                     GEN_OK);
    assert_string_equal(back.name, s.name);
    back.name = s.name;
    assert_memory_equal(&s, &back, sizeof s);
    expect_error(gen_options_from_json(table, &back, j, NULL, NULL), GEN_EDATA, "key 'config'");
    int unknown = 0;
    assert_int_equal(gen_options_from_json(table, &back, j, count_unknown, &unknown), GEN_OK);
    assert_int_equal(unknown, 3);
    gen_json_free(&j);
    gen_free(text);
    const char *bad = "{\"lead_time\":4}";
    assert_int_equal(gen_json_parse(&j, bad, strlen(bad), 1000), GEN_OK);
    expect_error(gen_options_from_json(table, &back, j, NULL, NULL), GEN_EDATA, "5 to 600");
    gen_json_free(&j);
}

static void writer_survives_every_failing_allocation(void **state)
{
    (void)state;
    uint64_t before = gen_alloc_bytes();
    gen_status status = GEN_ENOMEM;
    for (int n = 1; status != GEN_OK; n++) {
        gen_json_writer w = { 0 };
        char *text;
        gen_alloc_fail_at((uint64_t)n);
        gen_json_open(&w, NULL, '[');
        for (int i = 0; i < 100; i++)
            gen_json_put_int(&w, NULL, i);
        gen_json_close(&w, ']');
        status = gen_json_finish(&w, &text);
        gen_alloc_fail_at(0);
        assert_true(status == GEN_OK || (status == GEN_ENOMEM && !text));
        gen_free(text);
        assert_int_equal(gen_alloc_bytes(), before);
    }
}

static void sha256_examples(void **state)
{
    (void)state;
    char text[GEN_SHA256_TEXT];
    gen_sha256_text("abc", 3, text);
    assert_string_equal(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    gen_sha256_text("", 0, text);
    assert_string_equal(text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    const char *two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    gen_sha256_text(two, 56, text);
    assert_string_equal(text, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    for (int plain = 0; plain < 2; plain++) {
        gen_sha256 h; /* a million times 'a', in pieces of every size */
        gen_sha256_start(&h);
        h.plain = plain;
        char a[200];
        memset(a, 'a', sizeof a);
        for (size_t left = 1000000, n = 1; left; n = n % 199 + 1) {
            n = n < left ? n : left;
            gen_sha256_add(&h, a, n);
            left -= n;
        }
        gen_sha256_finish(&h, text);
        assert_string_equal(text,
                            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_strict),
        cmocka_unit_test(nearest_word_is_near),
        cmocka_unit_test(sizes_have_units),
        cmocka_unit_test(durations_have_units),
        cmocka_unit_test(numbers_round_trip),
        cmocka_unit_test(json_grammar),
        cmocka_unit_test(json_values_are_typed),
        cmocka_unit_test(settings_travel_through_json),
        cmocka_unit_test(writer_survives_every_failing_allocation),
        cmocka_unit_test(lists_of_numbers_are_strict),
        cmocka_unit_test(sha256_examples),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
