/* SPDX-License-Identifier: Apache-2.0
 *
 * Units as netCDF files write them: products of powers of length, mass and time, as far as rain,
 * times and coordinates have them.
 */
#include <math.h>
#include <string.h>
#include <strings.h>

#include "libgen/base/options.h"
#include "weather/codec/netcdf_reader.h"

/* 1 kg m-2 of water is 1 mm, so that 1 kg is 1e6 (mm of water on 1 mm2). */
static const struct {
    const char *name;
    double factor;  /* to mm, to that mass */
    double divisor; /* of an hour */
    char of;
} symbols[] = {
    { "mm", 1, 1, 'L' },          { "millimeter", 1, 1, 'L' }, { "millimetre", 1, 1, 'L' },
    { "cm", 10, 1, 'L' },         { "m", 1e3, 1, 'L' },        { "meter", 1e3, 1, 'L' },
    { "metre", 1e3, 1, 'L' },     { "km", 1e6, 1, 'L' },       { "kilometer", 1e6, 1, 'L' },
    { "kilometre", 1e6, 1, 'L' }, { "in", 25.4, 1, 'L' },      { "inch", 25.4, 1, 'L' },
    { "inches", 25.4, 1, 'L' },   { "kg", 1e6, 1, 'M' },       { "kilogram", 1e6, 1, 'M' },
    { "g", 1e3, 1, 'M' },         { "s", 1, 3600, 'T' },       { "sec", 1, 3600, 'T' },
    { "second", 1, 3600, 'T' },   { "min", 1, 60, 'T' },       { "minute", 1, 60, 'T' },
    { "h", 1, 1, 'T' },           { "hr", 1, 1, 'T' },         { "hour", 1, 1, 'T' },
    { "d", 24, 1, 'T' },          { "day", 24, 1, 'T' },       { "millisecond", 1, 3.6e6, 'T' },
};

/* The symbol of n letters, also in the plural; -1: none. */
static int find_symbol(const char *text, size_t n)
{
    for (int plural = 0; plural < 2; plural++) {
        for (int i = 0; i < GEN_LEN(symbols); i++)
            if (strlen(symbols[i].name) == n && strncmp(symbols[i].name, text, n) == 0)
                return i;
        if (n < 3 || text[--n] != 's')
            break;
    }
    return -1;
}

typedef struct reading {
    const char *at, *end;
    double over, under; /* the factor is over / under: a quotient stays exact */
    int sign;           /* -1 behind a '/', until a symbol was read */
    gen_netcdf_unit unit;
} reading;

static size_t span(const reading *r, const char *accepted)
{
    size_t n = 0;
    while (r->at + n < r->end && strchr(accepted, r->at[n]))
        n++;
    return n;
}

static bool read_factor(reading *r)
{
    char text[24];
    double v;
    size_t n = span(r, ".0123456789");
    if (n >= sizeof text)
        return false;
    memcpy(text, r->at, n);
    text[n] = 0;
    r->at += n;
    if (gen_parse_real(text, "units", 1e-9, 1e9, &v) != GEN_OK)
        return false;
    *(r->sign > 0 ? &r->over : &r->under) *= v;
    return true;
}

/* "-2", "^-2", "**-2", "2"; 1 when there is none. */
static int read_power(reading *r)
{
    if (r->at < r->end && *r->at == '^')
        r->at++;
    else if (r->end - r->at > 2 && r->at[0] == '*' && r->at[1] == '*')
        r->at += 2;
    int sign = r->at < r->end && *r->at == '-' ? -1 : 1;
    const char *digit = r->at + (r->at < r->end && (*r->at == '-' || *r->at == '+'));
    if (digit >= r->end || *digit < '0' || *digit > '9')
        return 1;
    r->at = digit + 1;
    return sign * (*digit - '0');
}

static bool read_symbol(reading *r)
{
    size_t n = span(r, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    if (n == 3 && strncmp(r->at, "per", 3) == 0) {
        r->at += 3;
        r->sign = -1;
        return true;
    }
    int i = find_symbol(r->at, n);
    if (n == 0 || i < 0)
        return false;
    r->at += n;
    int power = r->sign * read_power(r);
    r->sign = 1;
    for (int p = 0; p < (power < 0 ? -power : power); p++) {
        r->over *= power > 0 ? symbols[i].factor : symbols[i].divisor;
        r->under *= power > 0 ? symbols[i].divisor : symbols[i].factor;
    }
    *(symbols[i].of == 'L'   ? &r->unit.length
      : symbols[i].of == 'M' ? &r->unit.mass
                             : &r->unit.time) += power;
    return true;
}

bool gen_netcdf_parse_unit(const char *text, size_t n, gen_netcdf_unit *out)
{
    reading r = { .at = text, .end = text + n, .over = 1, .under = 1, .sign = 1 };
    bool any = false;
    for (;;) {
        r.at += span(&r, " .*");
        if (r.at == r.end)
            break;
        any = true;
        if (*r.at == '/') {
            r.at++;
            r.sign = -1;
        } else if (!(*r.at >= '0' && *r.at <= '9' ? read_factor(&r) : read_symbol(&r))) {
            return false;
        }
    }
    r.unit.factor = r.over / r.under;
    *out = r.unit;
    return any && isfinite(r.unit.factor) && r.unit.factor > 0;
}

gen_radar_quantity gen_netcdf_quantity(const char *units, double *factor)
{
    gen_netcdf_unit u;
    *factor = 1;
    if (strcasecmp(units, "dBZ") == 0)
        return GEN_RADAR_DBZ;
    if (!gen_netcdf_parse_unit(units, strlen(units), &u))
        return GEN_RADAR_OTHER;
    bool height = u.length == 1 && u.mass == 0, water = u.length == -2 && u.mass == 1;
    if ((!height && !water) || (u.time != 0 && u.time != -1))
        return GEN_RADAR_OTHER;
    *factor = u.factor;
    return u.time == 0 ? GEN_RADAR_DEPTH : GEN_RADAR_RATE;
}

double gen_netcdf_seconds(const char *text, size_t n)
{
    gen_netcdf_unit u;
    bool time = gen_netcdf_parse_unit(text, n, &u) && u.time == 1 && u.length == 0 && u.mass == 0;
    return time ? u.factor * 3600 : 0;
}

double gen_netcdf_metres(const char *text)
{
    gen_netcdf_unit u;
    bool length = gen_netcdf_parse_unit(text, strlen(text), &u) && u.length == 1 && u.mass == 0 &&
                  u.time == 0;
    return length ? u.factor / 1000 : 0;
}
