/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing JSON, compact, in one pass, in the C locale.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "libgen/base/json.h"

static void put(gen_json_writer *w, const char *s, size_t n)
{
    if (w->status != GEN_OK)
        return;
    w->status = GEN_GROW(&w->text, &w->capacity, w->size + n + 1);
    if (w->status != GEN_OK)
        return;
    memcpy(w->text + w->size, s, n);
    w->size += n;
    w->text[w->size] = 0;
}

/* Bytes that are not UTF-8, from files in other encodings, become U+FFFD: JSON can hold no others.
 */
static void put_quoted(gen_json_writer *w, const char *s)
{
    const unsigned char *end = (const unsigned char *)s + strlen(s);
    put(w, "\"", 1);
    for (const char *run = s;; s++) {
        unsigned char c = (unsigned char)*s;
        int n = c < 0x80 ? 1 : gen_utf8_length((const unsigned char *)s, end);
        if (c >= 0x20 && c != '"' && c != '\\' && n > 0) {
            s += n - 1;
            continue;
        }
        put(w, run, (size_t)(s - run));
        run = s + 1;
        if (!c)
            break;
        if (n == 0) {
            put(w, "\xef\xbf\xbd", 3);
            continue;
        }
        char escape[8] = { '\\', (char)c, 0 };
        if (c == '\n')
            escape[1] = 'n';
        else if (c == '\t')
            escape[1] = 't';
        else if (c < 0x20)
            snprintf(escape, sizeof escape, "\\u%04x", c);
        put(w, escape, strlen(escape));
    }
    put(w, "\"", 1);
}

static void begin(gen_json_writer *w, const char *key)
{
    if (w->comma)
        put(w, ",", 1);
    w->comma = true;
    if (key) {
        put_quoted(w, key);
        put(w, ":", 1);
    }
}

void gen_json_open(gen_json_writer *w, const char *key, char bracket)
{
    begin(w, key);
    put(w, &bracket, 1);
    w->comma = false;
}

void gen_json_close(gen_json_writer *w, char bracket)
{
    put(w, &bracket, 1);
    w->comma = true;
}

void gen_json_put_raw(gen_json_writer *w, const char *key, const char *json)
{
    begin(w, key);
    put(w, json, strlen(json));
}

void gen_json_put_null(gen_json_writer *w, const char *key)
{
    gen_json_put_raw(w, key, "null");
}

void gen_json_put_string(gen_json_writer *w, const char *key, const char *s)
{
    if (!s) {
        gen_json_put_null(w, key);
        return;
    }
    begin(w, key);
    put_quoted(w, s);
}

void gen_json_put_int(gen_json_writer *w, const char *key, int64_t v)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, v);
    gen_json_put_raw(w, key, text);
}

void gen_json_put_real(gen_json_writer *w, const char *key, double v)
{
    char text[GEN_REAL_TEXT];
    gen_json_put_raw(w, key, isfinite(v) ? gen_real_text(v, text) : "null");
}

void gen_json_put_bool(gen_json_writer *w, const char *key, bool v)
{
    gen_json_put_raw(w, key, v ? "true" : "false");
}

static void put_option(gen_json_writer *w, const char *key, const gen_option *o,
                       const void *settings)
{
    const void *at = (const char *)settings + o->offset;
    char choice[GEN_CHOICE_TEXT];
    switch (o->type) {
    case GEN_OPT_REAL:
        gen_json_put_real(w, key, *(const double *)at);
        break;
    case GEN_OPT_STRING:
        gen_json_put_string(w, key, *(const char *const *)at);
        break;
    case GEN_OPT_CHOICE:
        gen_json_put_string(w, key, gen_option_choice(o, *(const int64_t *)at, choice));
        break;
    case GEN_OPT_FLAG:
        gen_json_put_bool(w, key, *(const int64_t *)at);
        break;
    case GEN_OPT_INT3:
        gen_json_open(w, key, '[');
        for (int i = 0; i < 3; i++)
            gen_json_put_int(w, NULL, ((const int64_t *)at)[i]);
        gen_json_close(w, ']');
        break;
    default:
        gen_json_put_int(w, key, *(const int64_t *)at);
    }
}

void gen_json_put_options(gen_json_writer *w, const char *key, const gen_option *table,
                          const void *settings)
{
    gen_json_open(w, key, '{');
    for (const gen_option *o = table; o && o->type != GEN_OPT_END; o++) {
        char name[80];
        snprintf(name, sizeof name, "%s", o->name);
        for (char *c = name; *c; c++)
            if (*c == '-')
                *c = '_';
        if (o->type != GEN_OPT_STRING || *(const char *const *)((const char *)settings + o->offset))
            put_option(w, name, o, settings);
    }
    gen_json_close(w, '}');
}

gen_status gen_json_finish(gen_json_writer *w, char **out)
{
    gen_status status = w->status;
    *out = status == GEN_OK ? w->text : NULL;
    if (status != GEN_OK)
        gen_free(w->text);
    *w = (gen_json_writer){ 0 };
    return status;
}
