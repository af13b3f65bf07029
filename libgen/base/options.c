/* SPDX-License-Identifier: Apache-2.0
 *
 * Option tables: find, parse, default, print. Numbers are read and written in the C locale whatever
 * the host program has set, so that "0.5" means the same everywhere.
 */
#include "libgen/base/options.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WORD 64 /* longer words are not compared for "did you mean" */

/* ---- words ---------------------------------------------------------------------------------- */

static char plain(char c)
{
    return c == '_' ? '-' : c;
}

static bool same_name(const char *a, const char *b)
{
    while (*a && plain(*a) == plain(*b))
        a++, b++;
    return plain(*a) == plain(*b);
}

/* Insertions, deletions, replacements and swaps of neighbours that turn a into b. */
static int edits(const char *a, const char *b)
{
    int before[MAX_WORD + 1], last[MAX_WORD + 1], row[MAX_WORD + 1];
    int na = (int)strlen(a), nb = (int)strlen(b);
    if (na > MAX_WORD || nb > MAX_WORD)
        return MAX_WORD;
    for (int j = 0; j <= nb; j++)
        before[j] = last[j] = j;
    for (int i = 1; i <= na; i++) {
        row[0] = i;
        for (int j = 1; j <= nb; j++) {
            bool equal = plain(a[i - 1]) == plain(b[j - 1]);
            int n = last[j - 1] + !equal;
            n = last[j] + 1 < n ? last[j] + 1 : n;
            n = row[j - 1] + 1 < n ? row[j - 1] + 1 : n;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                n = before[j - 2] + 1 < n ? before[j - 2] + 1 : n;
            row[j] = n;
        }
        memcpy(before, last, sizeof last);
        memcpy(last, row, sizeof row);
    }
    return last[nb];
}

const char *gen_nearest_word(const char *word, const char *const *names, int n)
{
    const char *best = NULL;
    int length = (int)strlen(word);
    int least = length <= 3 ? 2 : 3; /* one edit for short words, two for others */
    for (int i = 0; i < n; i++) {
        int e = edits(word, names[i]);
        if (e < least && e < (int)strlen(names[i])) {
            least = e;
            best = names[i];
        }
    }
    return best;
}

/* ---- numbers -------------------------------------------------------------------------------- */

/* strtod in the C locale; the thread's locale is put back. */
static double c_strtod(const char *text, char **end)
{
    locale_t c = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    locale_t old = c ? uselocale(c) : (locale_t)0;
    double v = strtod(text, end);
    if (c) {
        uselocale(old);
        freelocale(c);
    }
    return v;
}

gen_status gen_parse_int(const char *text, const char *what, int64_t min, int64_t max, int64_t *out)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || *end || isspace((unsigned char)*text))
        return gen_fail(GEN_EINVAL, "%s: '%s' is not an integer", what, text);
    bool any = min == 0 && max == 0;
    if (errno == ERANGE || (!any && (v < min || v > max))) {
        if (max == INT64_MAX && errno != ERANGE)
            return gen_fail(GEN_EINVAL, "%s: %s is out of range, expected at least %" PRId64, what,
                            text, min);
        return gen_fail(GEN_EINVAL, "%s: %s is out of range, expected %" PRId64 " to %" PRId64,
                        what, text, any ? INT64_MIN : min, any ? INT64_MAX : max);
    }
    *out = v;
    return GEN_OK;
}

gen_status gen_parse_real(const char *text, const char *what, double min, double max, double *out)
{
    /* strtod also takes "inf", "nan" and hexadecimal, which are not for people. */
    char *end;
    bool digits = *text && strspn(text, "+-.0123456789eE") == strlen(text);
    double v = digits ? c_strtod(text, &end) : 0;
    if (!digits || end == text || *end)
        return gen_fail(GEN_EINVAL, "%s: '%s' is not a number", what, text);
    bool any = min == 0 && max == 0;
    if (!isfinite(v) || (!any && (v < min || v > max))) {
        char a[GEN_REAL_TEXT], b[GEN_REAL_TEXT];
        if (any)
            return gen_fail(GEN_EINVAL, "%s: %s is too large", what, text);
        if (isinf(max))
            return gen_fail(GEN_EINVAL, "%s: %s is out of range, expected at least %s", what, text,
                            gen_real_text(min, a));
        return gen_fail(GEN_EINVAL, "%s: %s is out of range, expected %s to %s", what, text,
                        gen_real_text(min, a), gen_real_text(max, b));
    }
    *out = v;
    return GEN_OK;
}

gen_status gen_parse_reals(const char *text, const char *what, double min, double max, double *out,
                           int *n)
{
    const char *rest = text;
    int capacity = *n;
    for (*n = 0;; rest++) {
        char one[64];
        size_t length = strcspn(rest, ",");
        if (*n == capacity)
            return gen_fail(GEN_EINVAL, "%s: '%s' holds more than %d numbers", what, text,
                            capacity);
        if (length >= sizeof one)
            return gen_fail(GEN_EINVAL, "%s: '%.80s' is no list of numbers", what, text);
        memcpy(one, rest, length);
        one[length] = 0;
        GEN_TRY(gen_parse_real(one, what, min, max, &out[(*n)++]));
        rest += length;
        if (*rest == 0)
            return GEN_OK;
    }
}

typedef struct unit {
    const char *suffix;
    double size;
} unit;

/* A number and one of the units, as a number of the smallest. False: it is neither. */
static bool parse_with_unit(const char *text, const char *what, const unit *units, int n,
                            double *out)
{
    size_t digits = strspn(text, ".0123456789");
    char number[40];
    if (digits == 0 || digits >= sizeof number)
        return false;
    memcpy(number, text, digits);
    number[digits] = 0;
    for (int i = 0; i < n; i++)
        if (strcmp(text + digits, units[i].suffix) == 0) {
            bool fine = gen_parse_real(number, what, 0, 1e18, out) == GEN_OK;
            *out *= units[i].size;
            return fine;
        }
    return false;
}

gen_status gen_parse_bytes(const char *text, const char *what, uint64_t *out)
{
    static const unit units[] = { { "", 1 },
                                  { "B", 1 },
                                  { "K", 1e3 },
                                  { "kB", 1e3 },
                                  { "M", 1e6 },
                                  { "MB", 1e6 },
                                  { "G", 1e9 },
                                  { "GB", 1e9 },
                                  { "T", 1e12 },
                                  { "TB", 1e12 },
                                  { "KiB", 1024.0 },
                                  { "MiB", 1048576.0 },
                                  { "GiB", 1073741824.0 },
                                  { "TiB", 1099511627776.0 } };
    double v;
    if (!parse_with_unit(text, what, units, GEN_LEN(units), &v))
        return gen_fail(GEN_EINVAL,
                        "%s: '%s' is not a size, expected bytes or a number with K, M, G, T "
                        "or KiB, MiB, GiB, TiB",
                        what, text);
    if (v > 9e18)
        return gen_fail(GEN_EINVAL, "%s: %s is too large", what, text);
    *out = (uint64_t)v;
    return GEN_OK;
}

gen_status gen_parse_duration(const char *text, const char *what, double *seconds)
{
    static const unit units[] = { { "s", 1 }, { "min", 60 }, { "h", 3600 }, { "d", 86400 } };
    if (!parse_with_unit(text, what, units, GEN_LEN(units), seconds) || *seconds > 1e10)
        return gen_fail(GEN_EINVAL,
                        "%s: '%.40s' is not a duration, expected a number with s, min, h or d, "
                        "like 15min",
                        what, text);
    return GEN_OK;
}

const char *gen_real_text(double v, char buf[GEN_REAL_TEXT])
{
    if (!isfinite(v))
        return strcpy(buf, isnan(v) ? "nan" : v < 0 ? "-inf" : "inf");
    locale_t c = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    locale_t old = c ? uselocale(c) : (locale_t)0;
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(buf, GEN_REAL_TEXT, "%.*g", digits, v);
        if (strtod(buf, NULL) == v)
            break;
    }
    if (c) {
        uselocale(old);
        freelocale(c);
    }
    /* 1e+06 and 1e-05 to 1e6 and 1e-5; 1e+20 is the shortest of its kind. */
    char *e = strchr(buf, 'e');
    if (e) {
        char *from = e + 1, *to = e + 1;
        if (*from == '-')
            *to++ = *from++;
        else if (*from == '+')
            from++;
        while (*from == '0')
            from++;
        memmove(to, from, strlen(from) + 1);
    }
    /* "%.1g" of 100 is 1e+02: print whole numbers of usual size as such. */
    if (e && v == trunc(v) && fabs(v) < 1e15)
        snprintf(buf, GEN_REAL_TEXT, "%.0f", v);
    return buf;
}

/* ---- tables --------------------------------------------------------------------------------- */

static int64_t *as_int(const gen_option *o, const void *settings)
{
    return (int64_t *)((char *)settings + o->offset);
}

static double *as_real(const gen_option *o, const void *settings)
{
    return (double *)((char *)settings + o->offset);
}

static const char **as_text(const gen_option *o, const void *settings)
{
    return (const char **)((char *)settings + o->offset);
}

void gen_options_defaults(const gen_option *table, void *settings)
{
    for (const gen_option *o = table; o && o->type != GEN_OPT_END; o++) {
        switch (o->type) {
        case GEN_OPT_INT3:
            for (int i = 0; i < 3; i++)
                as_int(o, settings)[i] = (int64_t)o->preset;
            break;
        case GEN_OPT_REAL:
            *as_real(o, settings) = o->preset;
            break;
        case GEN_OPT_STRING:
            *as_text(o, settings) = o->text;
            break;
        default:
            *as_int(o, settings) = (int64_t)o->preset;
        }
    }
}

const gen_option *gen_option_find(const gen_option *table, const char *name)
{
    for (const gen_option *o = table; o && o->type != GEN_OPT_END; o++)
        if (same_name(o->name, name))
            return o;
    return NULL;
}

const char *gen_option_choice(const gen_option *o, int64_t index, char buf[GEN_CHOICE_TEXT])
{
    const char *p = o->choices;
    for (int64_t i = 0; i < index && p; i++)
        p = (p = strchr(p, '|')) ? p + 1 : NULL;
    size_t n = p ? strcspn(p, "|") : 0;
    if (n >= GEN_CHOICE_TEXT)
        n = GEN_CHOICE_TEXT - 1;
    if (p)
        memcpy(buf, p, n);
    buf[n] = 0;
    return buf;
}

static gen_status set_choice(const gen_option *o, void *settings, const char *text)
{
    char choice[32][GEN_CHOICE_TEXT];
    const char *names[32];
    int n = 0;
    for (const char *p = o->choices; p && n < 32; p = (p = strchr(p, '|')) ? p + 1 : NULL) {
        names[n] = gen_option_choice(o, n, choice[n]);
        if (same_name(names[n], text)) {
            *as_int(o, settings) = n;
            return GEN_OK;
        }
        n++;
    }
    const char *near = gen_nearest_word(text, names, n);
    return gen_fail(GEN_EINVAL, "option --%s: '%s' is not one of %s%s%s%s", o->name, text,
                    o->choices, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static gen_status set_flag(const gen_option *o, void *settings, const char *text)
{
    static const char *const words[] = { "0", "no", "false", "off", "1", "yes", "true", "on" };
    for (int i = 0; i < GEN_LEN(words); i++) {
        if (!strcmp(text, words[i])) {
            *as_int(o, settings) = i >= GEN_LEN(words) / 2;
            return GEN_OK;
        }
    }
    return gen_fail(GEN_EINVAL, "option --%s: '%s' is not yes or no", o->name, text);
}

static gen_status set_int3(const gen_option *o, void *settings, const char *text)
{
    int64_t v[3] = { 0 };
    int n = 0;
    char part[32];
    for (const char *p = text; p; n++) {
        size_t length = strcspn(p, ",");
        if (n == 3 || length >= sizeof part)
            return gen_fail(GEN_EINVAL, "option --%s: '%s' is not one to three integers", o->name,
                            text);
        memcpy(part, p, length);
        part[length] = 0;
        GEN_TRY(gen_parse_int(part, o->name, (int64_t)o->min, (int64_t)o->max, &v[n]));
        p = p[length] ? p + length + 1 : NULL;
    }
    memcpy(as_int(o, settings), v, sizeof v);
    return GEN_OK;
}

gen_status gen_option_apply(const gen_option *o, void *settings, const char *text)
{
    char what[80];
    snprintf(what, sizeof what, "option --%s", o->name);
    switch (o->type) {
    case GEN_OPT_INT:
        return gen_parse_int(text, what, o->min <= -9.2e18 ? INT64_MIN : (int64_t)o->min,
                             o->max >= 9.2e18 ? INT64_MAX : (int64_t)o->max, as_int(o, settings));
    case GEN_OPT_REAL:
        return gen_parse_real(text, what, o->min, o->max, as_real(o, settings));
    case GEN_OPT_INT3:
        return set_int3(o, settings, text);
    case GEN_OPT_FLAG:
        return set_flag(o, settings, text);
    case GEN_OPT_CHOICE:
        return set_choice(o, settings, text);
    case GEN_OPT_STRING:
        *as_text(o, settings) = text;
        return GEN_OK;
    case GEN_OPT_END:
        break;
    }
    return gen_fail(GEN_EBUG, "option --%s has no type", o->name);
}

gen_status gen_option_set(const gen_option *table, void *settings, const char *name,
                          const char *text)
{
    const gen_option *o = gen_option_find(table, name);
    if (o)
        return gen_option_apply(o, settings, text);
    const char *names[128];
    int n = 0;
    for (o = table; o && o->type != GEN_OPT_END && n < GEN_LEN(names); o++)
        names[n++] = o->name;
    const char *near = gen_nearest_word(name, names, n);
    return gen_fail(GEN_EINVAL, "unknown option '%s'%s%s%s", name, near ? "; did you mean '" : "",
                    near ? near : "", near ? "'?" : "");
}

gen_status gen_options_set_pairs(const gen_option *table, void *settings, const char *what,
                                 const char *text)
{
    while (text && *text) {
        char pair[256];
        size_t n = strcspn(text, ",");
        if (n >= sizeof pair)
            return gen_fail(GEN_EINVAL, "--%s: a pair is longer than %zu", what, sizeof pair - 1);
        memcpy(pair, text, n);
        pair[n] = 0;
        char *equals = strchr(pair, '=');
        if (!equals)
            return gen_fail(GEN_EINVAL, "--%s: '%s' is not NAME=VALUE", what, pair);
        *equals = 0;
        if (gen_option_set(table, settings, pair, equals + 1) != GEN_OK)
            return gen_fail_in(GEN_EINVAL, "--%s", what);
        text += n + (text[n] == ',');
    }
    return GEN_OK;
}

const char *gen_option_value(const gen_option *o, const void *settings, char *buf, size_t size)
{
    char real[GEN_REAL_TEXT], choice[GEN_CHOICE_TEXT];
    const int64_t *v = as_int(o, settings);
    switch (o->type) {
    case GEN_OPT_INT3:
        snprintf(buf, size, "%" PRId64 ",%" PRId64 ",%" PRId64, v[0], v[1], v[2]);
        break;
    case GEN_OPT_REAL:
        snprintf(buf, size, "%s", gen_real_text(*as_real(o, settings), real));
        break;
    case GEN_OPT_STRING:
        snprintf(buf, size, "%s", *as_text(o, settings) ? *as_text(o, settings) : "");
        break;
    case GEN_OPT_CHOICE:
        snprintf(buf, size, "%s", gen_option_choice(o, *v, choice));
        break;
    default:
        snprintf(buf, size, "%" PRId64, *v);
    }
    return buf;
}

static bool is_default(const gen_option *o, const void *settings)
{
    const char *text;
    switch (o->type) {
    case GEN_OPT_REAL:
        return *as_real(o, settings) == o->preset;
    case GEN_OPT_STRING:
        text = *as_text(o, settings);
        return text == o->text || (text && o->text && !strcmp(text, o->text));
    case GEN_OPT_INT3:
        for (int i = 0; i < 3; i++)
            if (as_int(o, settings)[i] != (int64_t)o->preset)
                return false;
        return true;
    default:
        return *as_int(o, settings) == (int64_t)o->preset;
    }
}

void gen_options_text(const gen_option *table, const void *settings, char *buf, size_t size)
{
    size_t used = 0;
    if (size)
        buf[0] = 0;
    for (const gen_option *o = table; o && o->type != GEN_OPT_END; o++) {
        char value[128];
        if (is_default(o, settings))
            continue;
        gen_option_value(o, settings, value, sizeof value);
        int n = snprintf(buf + used, size - used, " %s=%s", o->name, value);
        if (n < 0 || (size_t)n >= size - used)
            return;
        used += (size_t)n;
    }
}
