/* SPDX-License-Identifier: Apache-2.0
 *
 * Times in the names of files, by patterns like strftime's: matched and printed.
 *
 * Every conversion has a fixed width, so that a pattern is a row of fixed pieces with `*` between
 * them: the leftmost place for each piece is right, and only the last `*` is ever reconsidered.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "weather/codec/codec.h"

#define DAY 86400

#define WIDEST 4 /* characters that a conversion makes */

enum { YEAR, MONTH, DAY_OF_MONTH, DAY_OF_YEAR, HOUR, MINUTE, SECOND, FIELDS };

static const struct {
    char letter;
    int field, width, min, max;
} conversions[] = {
    { 'Y', YEAR, 4, 1, 9999 },       { 'm', MONTH, 2, 1, 12 },  { 'd', DAY_OF_MONTH, 2, 1, 31 },
    { 'H', HOUR, 2, 0, 23 },         { 'M', MINUTE, 2, 0, 59 }, { 'S', SECOND, 2, 0, 59 },
    { 'j', DAY_OF_YEAR, 3, 1, 366 }, { 'y', YEAR, 2, 0, 99 },   { 'b', MONTH, 3, 1, 12 },
};

static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

typedef struct fields {
    int value[FIELDS]; /* -1: not told */
} fields;

static int find_conversion(char letter)
{
    int i = 0;
    while (i < GEN_LEN(conversions) && conversions[i].letter != letter)
        i++;
    return i;
}

static gen_status unknown_conversion(const char *what, const char *text, const char *letter)
{
    return gen_fail(GEN_EINVAL,
                    "%s '%.200s': '%%%.1s' is none of %%Y %%m %%d %%H %%M %%S %%j %%y %%b %%%%",
                    what, text, letter);
}

/* ---- patterns ---------------------------------------------------------------------------- */

gen_status gen_name_pattern_check(const char *pattern, bool *dated)
{
    bool told[FIELDS] = { false };
    int any = 0;
    if (!pattern[0] || pattern[0] == '/' || pattern[strlen(pattern) - 1] == '/')
        return gen_fail(GEN_EINVAL,
                        "pattern '%.200s': expected the name of a file, like "
                        "'%%Y%%m%%d%%H%%M.h5'",
                        pattern);
    for (const char *p = pattern; *p; p++) {
        if (*p != '%')
            continue;
        p++;
        if (*p == '%')
            continue;
        int i = find_conversion(*p);
        if (i == GEN_LEN(conversions))
            return unknown_conversion("pattern", pattern, p);
        told[conversions[i].field] = true;
        any++;
    }
    *dated = told[YEAR] && ((told[MONTH] && told[DAY_OF_MONTH]) || told[DAY_OF_YEAR]);
    if (any && !*dated)
        return gen_fail(GEN_EINVAL,
                        "pattern '%.200s' tells no date: expected %%Y%%m%%d or %%Y%%j "
                        "in it",
                        pattern);
    return GEN_OK;
}

/* ---- matching ---------------------------------------------------------------------------- */

static bool month_of(const char *s, int *month)
{
    for (int i = 0; i < GEN_LEN(months); i++)
        if (strncasecmp(s, months[i], 3) == 0) {
            *month = i + 1;
            return true;
        }
    return false;
}

/* Takes one conversion at *s; a field that is there twice has one value. */
static bool take(const char **s, char letter, fields *f)
{
    int i = find_conversion(letter), v = 0;
    if (letter == 'b') {
        if (!month_of(*s, &v))
            return false;
    } else {
        for (int k = 0; k < conversions[i].width; k++) {
            if ((*s)[k] < '0' || (*s)[k] > '9')
                return false;
            v = v * 10 + (*s)[k] - '0';
        }
    }
    if (v < conversions[i].min || v > conversions[i].max)
        return false;
    if (letter == 'y')
        v += v < 69 ? 2000 : 1900; /* as POSIX has it */
    int *to = &f->value[conversions[i].field];
    if (*to >= 0 && *to != v)
        return false;
    *to = v;
    *s += conversions[i].width;
    return true;
}

/* One piece of the pattern, which *p then stands behind; neither '*' nor the end. */
static bool step(const char **p, const char **s, fields *f)
{
    char c = *(*p)++;
    if (c == '%' && **p != '%')
        return take(s, *(*p)++, f);
    if (c == '%')
        (*p)++;
    if (c == '?' ? **s == 0 || **s == '/' : **s != c)
        return false;
    (*s)++;
    return true;
}

static bool match(const char *p, const char *s, fields *f)
{
    const char *star = NULL, *resume = NULL; /* the pattern behind the last '*', and its text */
    fields before = *f;
    while (*s || *p) {
        if (*p == '*') {
            star = ++p;
            resume = s;
            before = *f;
            continue;
        }
        if (*p && step(&p, &s, f))
            continue;
        if (!star || !*resume || *resume == '/')
            return false;
        p = star;
        s = ++resume;
        *f = before;
    }
    return true;
}

/* What a pattern speaks of: as many folders of the path as it has '/'. */
static const char *tail(const char *pattern, const char *path)
{
    int slashes = 0;
    for (const char *p = pattern; *p; p++)
        slashes += *p == '/';
    const char *s = path + strlen(path);
    for (; s > path; s--)
        if (s[-1] == '/' && slashes-- == 0)
            break;
    return s;
}

static bool date_of(const fields *f, int64_t *days)
{
    const int *v = f->value;
    if (v[DAY_OF_YEAR] >= 0) {
        int64_t first = gen_days_of_date(v[YEAR], 1, 1), year, month, day;
        *days = first + v[DAY_OF_YEAR] - 1;
        gen_date_of_days(*days, &year, &month, &day);
        return year == v[YEAR] && (v[MONTH] < 0 || v[MONTH] == month) &&
               (v[DAY_OF_MONTH] < 0 || v[DAY_OF_MONTH] == day);
    }
    if (!gen_date_exists(v[YEAR], v[MONTH], v[DAY_OF_MONTH]))
        return false;
    *days = gen_days_of_date(v[YEAR], v[MONTH], v[DAY_OF_MONTH]);
    return true;
}

gen_status gen_name_match(const char *pattern, const char *path, bool *matches, int64_t *time)
{
    bool dated;
    fields f;
    int64_t days;
    *matches = false;
    *time = GEN_TIME_UNKNOWN;
    for (int i = 0; i < FIELDS; i++)
        f.value[i] = -1;
    GEN_TRY(gen_name_pattern_check(pattern, &dated));
    if (!match(pattern, tail(pattern, path), &f))
        return GEN_OK;
    if (dated && !date_of(&f, &days))
        return GEN_OK;
    *matches = true;
    for (int i = HOUR; i <= SECOND; i++)
        f.value[i] = f.value[i] < 0 ? 0 : f.value[i];
    if (dated)
        *time = days * DAY + f.value[HOUR] * 3600 + f.value[MINUTE] * 60 + f.value[SECOND];
    return GEN_OK;
}

/* ---- printing ---------------------------------------------------------------------------- */

static int print_field(char *to, size_t size, char letter, const int *v)
{
    int i = find_conversion(letter);
    if (letter == 'b')
        return snprintf(to, size, "%s", months[v[MONTH] - 1]);
    int value = v[conversions[i].field];
    return snprintf(to, size, "%0*d", conversions[i].width, letter == 'y' ? value % 100 : value);
}

gen_status gen_name_print(char *buf, size_t size, const char *pattern, int64_t time)
{
    int64_t seconds = (time % DAY + DAY) % DAY, year, month, day;
    gen_date_of_days((time - seconds) / DAY, &year, &month, &day);
    if (year < 1 || year > 9999)
        return gen_fail(GEN_EINVAL, "time %lld s: expected one in the years 1 to 9999",
                        (long long)time);
    int64_t in_year = (time - seconds) / DAY + 1 - gen_days_of_date(year, 1, 1);
    const int v[FIELDS] = { (int)year,
                            (int)month,
                            (int)day,
                            (int)in_year,
                            (int)(seconds / 3600),
                            (int)(seconds / 60 % 60),
                            (int)(seconds % 60) };
    size_t used = 0;
    for (const char *p = pattern; *p; p++) {
        if (used + WIDEST >= size)
            return gen_fail(GEN_EINVAL, "name '%.200s' is too long", pattern);
        if (*p != '%' || *++p == '%')
            buf[used++] = *p;
        else if (find_conversion(*p) < GEN_LEN(conversions))
            used += (size_t)print_field(buf + used, size - used, *p, v);
        else
            return unknown_conversion("name", pattern, p);
    }
    buf[used] = 0;
    return GEN_OK;
}
