/* SPDX-License-Identifier: Apache-2.0
 *
 * Seconds since 1970-01-01 UTC and their text, in the proleptic Gregorian calendar, without the C
 * library's time zones. Years 1 to 9999.
 */
#include <stdio.h>
#include <string.h>

#include "weather/codec/codec.h"

#define DAY 86400

/* A year that starts in March puts the leap day at its end. */
int64_t gen_days_of_date(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = year / 400, in_era = year % 400;
    int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

void gen_date_of_days(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097, in_era = days - era * 146097;
    int64_t y = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t in_year = in_era - (365 * y + y / 4 - y / 100), m = (5 * in_year + 2) / 153;
    *day = in_year - (153 * m + 2) / 5 + 1;
    *month = m + (m < 10 ? 3 : -9);
    *year = y + era * 400 + (*month <= 2);
}

bool gen_date_exists(int64_t year, int64_t month, int64_t day)
{
    static const int length[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    if (year < 1 || month < 1 || month > 12 || day < 1)
        return false;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return day <= length[month - 1] + (month == 2 && leap);
}

const char *gen_time_text(int64_t t, char buf[32])
{
    int64_t days = t / DAY, rest = t % DAY, year, month, day;
    if (rest < 0) {
        rest += DAY;
        days--;
    }
    gen_date_of_days(days, &year, &month, &day);
    if (year < 1 || year > 9999)
        snprintf(buf, 32, "%llds", (long long)t);
    else
        snprintf(buf, 32, "%04d-%02d-%02dT%02d:%02d:%02dZ", (int)year, (int)month, (int)day,
                 (int)(rest / 3600), (int)(rest / 60 % 60), (int)(rest % 60));
    return buf;
}

/* One to `most` digits. */
static bool number(const char **s, int least, int most, int64_t *out)
{
    int n = 0;
    for (*out = 0; n < most && **s >= '0' && **s <= '9'; n++)
        *out = *out * 10 + *(*s)++ - '0';
    return n >= least;
}

static bool accept(const char **s, char c)
{
    if (**s != c)
        return false;
    (*s)++;
    return true;
}

/* [ T]hh:mm[:ss[.fraction]]; a fraction is dropped only when it is zero. */
static bool time_of_day(const char **s, int least, int64_t *seconds)
{
    int64_t h, m, sec = 0;
    if (!number(s, least, 2, &h) || !accept(s, ':') || !number(s, least, 2, &m))
        return false;
    if (accept(s, ':')) {
        if (!number(s, least, 2, &sec))
            return false;
        if (accept(s, '.'))
            while (accept(s, '0')) {
            }
    }
    *seconds = h * 3600 + m * 60 + sec;
    return h < 24 && m < 60 && sec < 60;
}

/* "Z", "UTC", "+10:00", "-0600", "+9"; seconds east of Greenwich. */
static bool zone(const char **s, int64_t *seconds)
{
    int64_t hours, minutes = 0;
    *seconds = 0;
    if (accept(s, 'Z') || **s == 0)
        return true;
    if (strncmp(*s, "UTC", 3) == 0 || strncmp(*s, "GMT", 3) == 0) {
        *s += 3;
        return true;
    }
    int sign = accept(s, '-') ? -1 : 1;
    if (sign > 0 && !accept(s, '+'))
        return false;
    if (!number(s, 1, 2, &hours))
        return false;
    if ((accept(s, ':') || **s) && !number(s, 2, 2, &minutes))
        return false;
    *seconds = sign * (hours * 3600 + minutes * 60);
    return hours <= 14 && minutes < 60;
}

static bool parse(const char *s, bool strict, int64_t *out)
{
    int64_t year, month, day, seconds = 0, east = 0;
    int least = strict ? 2 : 1;
    if (!number(&s, strict ? 4 : 1, 4, &year) || !accept(&s, '-') ||
        !number(&s, least, 2, &month) || !accept(&s, '-') || !number(&s, least, 2, &day))
        return false;
    if (!gen_date_exists(year, month, day))
        return false;
    bool has_time = *s == 'T' || (*s == ' ' && s[1] >= '0' && s[1] <= '9');
    if (strict && !has_time)
        return false;
    if (has_time) {
        s++;
        if (!time_of_day(&s, least, &seconds))
            return false;
    }
    while (!strict && accept(&s, ' ')) {
    }
    if (strict)
        (void)accept(&s, 'Z');
    else if (!zone(&s, &east))
        return false;
    *out = gen_days_of_date(year, month, day) * DAY + seconds - east;
    return *s == 0;
}

gen_status gen_time_parse(const char *text, int64_t *out)
{
    if (!parse(text, true, out))
        return gen_fail(GEN_EINVAL,
                        "time '%.40s': expected UTC like 2010-08-26T00:05 or "
                        "2010-08-26T00:05:00Z",
                        text);
    return GEN_OK;
}

gen_status gen_time_reference(const char *text, int64_t *out)
{
    if (!parse(text, false, out))
        return gen_fail(GEN_EDATA, "found '%.60s', expected a UTC date like 1970-01-01 00:00:00",
                        text);
    return GEN_OK;
}
