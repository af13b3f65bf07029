/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading JSON. A pass of our own checks the grammar, because cJSON takes more than RFC 8259 allows
 * (control characters, bad UTF-8, "01", 1e999) and cuts strings at \u0000; then cJSON builds the
 * tree. Its memory is bounded by the number of values counted in that pass.
 */
#include "libgen/base/json.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "libgen/base/alloc.h"

/* ---- the grammar ---------------------------------------------------------------------------- */

typedef struct scanner {
    const unsigned char *at, *end, *start;
    uint64_t values;
} scanner;

static gen_status bad(const scanner *s, const char *what)
{
    int line = 1;
    const unsigned char *line_start = s->start;
    for (const unsigned char *p = s->start; p < s->at; p++)
        if (*p == '\n') {
            line++;
            line_start = p + 1;
        }
    return gen_fail(GEN_EDATA, "JSON, line %d, column %d: %s", line, (int)(s->at - line_start) + 1,
                    what);
}

static void skip_blanks(scanner *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
        s->at++;
}

static bool take(scanner *s, char c)
{
    if (s->at == s->end || *s->at != (unsigned char)c)
        return false;
    s->at++;
    return true;
}

int gen_utf8_length(const unsigned char *p, const unsigned char *end)
{
    int n = *p < 0x80 ? 1 : *p >= 0xc2 && *p < 0xe0 ? 2 : (*p & 0xf0) == 0xe0 ? 3
          : *p >= 0xf0 && *p < 0xf5 ? 4 : 0;
    if (n == 0 || end - p < n)
        return 0;
    for (int i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) || /* overlong, surrogates */
        (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

/* Four hex digits after \u; -1 when they are not. */
static int hex4(scanner *s)
{
    int v = 0;
    for (int i = 0; i < 4; i++, s->at++) {
        int c = s->at < s->end ? *s->at : 0;
        int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
              : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    return v;
}

static gen_status scan_escape(scanner *s)
{
    if (s->at < s->end && *s->at && strchr("\"\\/bfnrt", *s->at)) {
        s->at++;
        return GEN_OK;
    }
    if (!take(s, 'u'))
        return bad(s, "unknown escape in a string");
    int v = hex4(s);
    if (v == 0)
        return bad(s, "\\u0000 in a string is not supported");
    if (v < 0 || (v >= 0xdc00 && v <= 0xdfff))
        return bad(s, "bad \\u escape in a string");
    if (v >= 0xd800 && v <= 0xdbff) { /* the second half must follow */
        int low = take(s, '\\') && take(s, 'u') ? hex4(s) : -1;
        if (low < 0xdc00 || low > 0xdfff)
            return bad(s, "half a surrogate pair in a string");
    }
    return GEN_OK;
}

static gen_status scan_string(scanner *s)
{
    if (!take(s, '"'))
        return bad(s, "expected a string");
    while (s->at < s->end && *s->at != '"') {
        if (*s->at < 0x20)
            return bad(s, "control character in a string");
        if (take(s, '\\')) {
            GEN_TRY(scan_escape(s));
            continue;
        }
        int n = gen_utf8_length(s->at, s->end);
        if (!n)
            return bad(s, "a string is not UTF-8");
        s->at += n;
    }
    return take(s, '"') ? GEN_OK : bad(s, "the text ends inside a string");
}

static int digits(scanner *s)
{
    int n = 0;
    for (; s->at < s->end && *s->at >= '0' && *s->at <= '9'; n++)
        s->at++;
    return n;
}

static gen_status scan_number(scanner *s)
{
    const unsigned char *start = s->at;
    take(s, '-');
    bool zero = s->at < s->end && *s->at == '0';
    int n = digits(s);
    if (n == 0)
        return bad(s, "expected a value");
    if (zero && n > 1)
        return bad(s, "a number begins with 0");
    if (take(s, '.') && digits(s) == 0)
        return bad(s, "a number ends with its point");
    if (take(s, 'e') || take(s, 'E')) {
        if (!take(s, '-'))
            take(s, '+');
        if (digits(s) == 0)
            return bad(s, "a number without its exponent");
    }
    char text[64]; /* cJSON reads at most 63 characters of a number */
    size_t length = (size_t)(s->at - start);
    if (length >= sizeof text)
        return bad(s, "a number of more than 63 characters");
    memcpy(text, start, length);
    text[length] = 0;
    double v;
    return gen_parse_real(text, "number", 0, 0, &v) == GEN_OK ? GEN_OK : bad(s, "number too large");
}

static gen_status scan_value(scanner *s, int depth);

static gen_status scan_members(scanner *s, int depth, char closing)
{
    skip_blanks(s);
    if (take(s, closing))
        return GEN_OK;
    for (;;) {
        skip_blanks(s);
        if (closing == '}') {
            GEN_TRY(scan_string(s));
            skip_blanks(s);
            if (!take(s, ':'))
                return bad(s, "expected ':'");
        }
        GEN_TRY(scan_value(s, depth + 1));
        skip_blanks(s);
        if (take(s, closing))
            return GEN_OK;
        if (!take(s, ','))
            return bad(s, closing == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
    }
}

static gen_status scan_value(scanner *s, int depth)
{
    static const char *const words[] = { "true", "false", "null" };
    if (++s->values > GEN_JSON_MAX_VALUES)
        return bad(s, "too many values");
    if (depth > GEN_JSON_MAX_DEPTH)
        return bad(s, "nested too deeply");
    skip_blanks(s);
    if (s->at == s->end)
        return bad(s, "the text ends where a value is expected");
    if (take(s, '{'))
        return scan_members(s, depth, '}');
    if (take(s, '['))
        return scan_members(s, depth, ']');
    if (*s->at == '"')
        return scan_string(s);
    for (int i = 0; i < GEN_LEN(words); i++) {
        size_t n = strlen(words[i]);
        if ((size_t)(s->end - s->at) >= n && !memcmp(s->at, words[i], n)) {
            s->at += n;
            return GEN_OK;
        }
    }
    return scan_number(s);
}

/* ---- the tree ------------------------------------------------------------------------------- */

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorting keeps a hostile header of a million keys from costing a million comparisons each. */
static gen_status refuse_duplicates(const gen_json *v)
{
    gen_status status = GEN_OK;
    const char **keys = NULL;
    uint64_t n = 0;
    for (const gen_json *c = v->child; c; c = c->next)
        n++;
    if (cJSON_IsObject(v) && n > 1) {
        GEN_TRY(GEN_ALLOC(&keys, n, "JSON keys"));
        uint64_t i = 0;
        for (const gen_json *c = v->child; c; c = c->next)
            keys[i++] = c->string;
        qsort(keys, n, sizeof *keys, compare_keys);
        for (i = 1; i < n; i++)
            if (!strcmp(keys[i - 1], keys[i]))
                GEN_GOTO(gen_fail(GEN_EDATA, "JSON: key '%s' stands twice in one object", keys[i]));
    }
    for (const gen_json *c = v->child; c; c = c->next)
        if (c->child)
            GEN_GOTO(refuse_duplicates(c)); /* as deep as GEN_JSON_MAX_DEPTH */
done:
    gen_free(keys);
    return status;
}

gen_status gen_json_parse(gen_json **out, const char *text, uint64_t size, uint64_t limit)
{
    *out = NULL;
    if (size > limit)
        return gen_fail(GEN_EDATA, "JSON of %" PRIu64 " bytes, expected at most %" PRIu64, size,
                        limit);
    const unsigned char *p = (const unsigned char *)text;
    scanner s = { .at = p, .start = p, .end = p + size };
    GEN_TRY(scan_value(&s, 0));
    skip_blanks(&s);
    if (s.at != s.end)
        return bad(&s, "more text behind the value");
    *out = cJSON_ParseWithLength(text, size);
    if (!*out)
        return gen_fail(GEN_ENOMEM, "JSON: out of memory");
    gen_status status = refuse_duplicates(*out);
    if (status != GEN_OK)
        gen_json_free(out);
    return status;
}

void gen_json_free(gen_json **json)
{
    cJSON_Delete(*json);
    *json = NULL;
}

gen_json_kind gen_json_kind_of(const gen_json *v)
{
    return cJSON_IsString(v)   ? GEN_JSON_STRING
           : cJSON_IsNumber(v) ? GEN_JSON_NUMBER
           : cJSON_IsBool(v)   ? GEN_JSON_BOOL
           : cJSON_IsArray(v)  ? GEN_JSON_ARRAY
           : cJSON_IsObject(v) ? GEN_JSON_OBJECT
                               : GEN_JSON_NULL;
}

int gen_json_count(const gen_json *v)
{
    return cJSON_GetArraySize(v);
}

const gen_json *gen_json_first(const gen_json *v)
{
    return v ? v->child : NULL;
}

const gen_json *gen_json_next(const gen_json *v)
{
    return v ? v->next : NULL;
}

const char *gen_json_key(const gen_json *v)
{
    return v && v->string ? v->string : "";
}

static const gen_json *child(const gen_json *v, const char *key, size_t length)
{
    if (cJSON_IsArray(v)) {
        char digit[16] = "";
        int64_t i = -1;
        if (length < sizeof digit)
            memcpy(digit, key, length);
        if (!*digit || gen_parse_int(digit, "index", 0, INT32_MAX, &i) != GEN_OK)
            return NULL;
        return cJSON_GetArrayItem(v, (int)i);
    }
    if (!cJSON_IsObject(v))
        return NULL;
    for (const gen_json *c = v->child; c; c = c->next)
        if (!strncmp(c->string, key, length) && !c->string[length])
            return c;
    return NULL;
}

const gen_json *gen_json_get(const gen_json *v, const char *key)
{
    if (*key != '/')
        return child(v, key, strlen(key));
    while (v && *key == '/') {
        size_t n = strcspn(key + 1, "/");
        v = child(v, key + 1, n);
        key += n + 1;
    }
    return v;
}

static const char *kind_name(const gen_json *v)
{
    static const char *const names[] = { "null", "true or false", "a number",
                                         "a string", "an array", "an object" };
    return v ? names[gen_json_kind_of(v)] : "nothing";
}

static gen_status find(const gen_json *v, const char *key, gen_json_kind kind, const char *expected,
                       const gen_json **out)
{
    *out = key ? gen_json_get(v, key) : v;
    if (*out && gen_json_kind_of(*out) == kind)
        return GEN_OK;
    return gen_fail(GEN_EDATA, "JSON key '%s': found %s, expected %s",
                    key ? key : gen_json_key(v), kind_name(*out), expected);
}

gen_status gen_json_int(const gen_json *v, const char *key, int64_t min, int64_t max, int64_t *out)
{
    const gen_json *n;
    GEN_TRY(find(v, key, GEN_JSON_NUMBER, "an integer", &n));
    double x = n->valuedouble;
    const char *name = key ? key : gen_json_key(v);
    char text[GEN_REAL_TEXT];
    if (x != trunc(x) || fabs(x) > 9007199254740992.0)
        return gen_fail(GEN_EDATA, "JSON key '%s': found %s, expected an integer", name,
                        gen_real_text(x, text));
    int64_t i = (int64_t)x;
    if (i < min || i > max)
        return gen_fail(GEN_EDATA, "JSON key '%s': found %" PRId64 ", expected %" PRId64
                        " to %" PRId64, name, i, min, max);
    *out = i;
    return GEN_OK;
}

gen_status gen_json_real(const gen_json *v, const char *key, double *out)
{
    const gen_json *n;
    GEN_TRY(find(v, key, GEN_JSON_NUMBER, "a number", &n));
    *out = n->valuedouble;
    return GEN_OK;
}

gen_status gen_json_bool(const gen_json *v, const char *key, bool *out)
{
    const gen_json *n;
    GEN_TRY(find(v, key, GEN_JSON_BOOL, "true or false", &n));
    *out = cJSON_IsTrue(n);
    return GEN_OK;
}

gen_status gen_json_string(const gen_json *v, const char *key, const char **out)
{
    const gen_json *n;
    GEN_TRY(find(v, key, GEN_JSON_STRING, "a string", &n));
    *out = n->valuestring;
    return GEN_OK;
}

gen_status gen_json_array(const gen_json *v, const char *key, const gen_json **out)
{
    return find(v, key, GEN_JSON_ARRAY, "an array", out);
}

/* ---- settings ------------------------------------------------------------------------------- */

static gen_status set_numbers(const gen_option *o, void *settings, const gen_json *v)
{
    int64_t *to = (int64_t *)((char *)settings + o->offset);
    if (gen_json_kind_of(v) != GEN_JSON_ARRAY || gen_json_count(v) != 3)
        return gen_fail(GEN_EDATA, "JSON key '%s': expected an array of three integers",
                        gen_json_key(v));
    for (const gen_json *c = v->child; c; c = c->next)
        GEN_TRY(gen_json_int(c, NULL, INT64_MIN, INT64_MAX, to++));
    return GEN_OK;
}

/* Through the text of the value, so that ranges and choices are checked in one place. */
static gen_status set_from_json(const gen_option *o, void *settings, const gen_json *v)
{
    char text[GEN_REAL_TEXT];
    const char *s = text;
    int64_t i;
    switch (o->type) {
    case GEN_OPT_STRING:
    case GEN_OPT_CHOICE:
        GEN_TRY(gen_json_string(v, NULL, &s));
        break;
    case GEN_OPT_FLAG:
        if (gen_json_kind_of(v) != GEN_JSON_BOOL)
            GEN_TRY(gen_json_int(v, NULL, 0, 1, &i));
        else
            i = cJSON_IsTrue(v);
        s = i ? "1" : "0";
        break;
    case GEN_OPT_INT:
        GEN_TRY(gen_json_int(v, NULL, INT64_MIN, INT64_MAX, &i));
        snprintf(text, sizeof text, "%" PRId64, i);
        break;
    case GEN_OPT_REAL: {
        double x;
        GEN_TRY(gen_json_real(v, NULL, &x));
        gen_real_text(x, text);
        break;
    }
    default:
        return set_numbers(o, settings, v);
    }
    gen_status status = gen_option_apply(o, settings, s);
    return status == GEN_EINVAL ? GEN_EDATA : status; /* the sentence stands */
}

gen_status gen_options_from_json(const gen_option *table, void *settings, const gen_json *object,
                                 gen_json_unknown_fn *unknown, void *cookie)
{
    if (!object || gen_json_kind_of(object) != GEN_JSON_OBJECT)
        return gen_fail(GEN_EDATA, "JSON: found %s, expected an object of settings",
                        kind_name(object));
    for (const gen_json *v = object->child; v; v = v->next) {
        const gen_option *o = gen_option_find(table, v->string);
        if (o)
            GEN_TRY(set_from_json(o, settings, v));
        else if (unknown)
            unknown(cookie, v->string);
        else
            return gen_fail(GEN_EDATA, "JSON: unknown key '%s'", v->string);
    }
    return GEN_OK;
}
