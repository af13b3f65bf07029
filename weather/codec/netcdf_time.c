/* SPDX-License-Identifier: Apache-2.0
 *
 * Times of a netCDF file, and the interval in which a depth of rain fell: the bounds of time, a
 * scalar time of the start, or "time: sum (interval: 5 minutes)".
 */
#include <math.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "libgen/base/options.h"
#include "weather/codec/netcdf_reader.h"

/* "minutes since 2018-08-24 18:00" */
typedef struct clock {
    double unit; /* seconds */
    int64_t reference;
} clock;

/* Also plain "minutes", of lead times, where the reference is known. */
static gen_status read_clock(const gen_radar_file *f, int variable, clock *out)
{
    char name[NC_MAX_NAME + 1], text[GEN_NETCDF_WORD];
    gen_netcdf_variable_name(f, variable, name);
    gen_netcdf_read_word(f, variable, "units", text);
    const char *since = strstr(text, " since ");
    if (!since && f->reference != GEN_TIME_UNKNOWN) {
        *out = (clock){ gen_netcdf_seconds(text, strlen(text)), f->reference };
        if (out->unit > 0)
            return GEN_OK;
    }
    out->unit = since ? gen_netcdf_seconds(text, (size_t)(since - text)) : 0;
    if (out->unit == 0)
        return gen_fail(GEN_EDATA,
                        "'%s': attribute '%s:units' is %s%.60s%s, expected seconds since "
                        "1970-01-01 or the like",
                        f->path, name, text[0] ? "'" : "", text[0] ? text : "missing",
                        text[0] ? "'" : "");
    gen_status status = gen_time_reference(since + 7, &out->reference);
    return status ? gen_fail_in(status, "'%s': attribute '%s:units'", f->path, name) : GEN_OK;
}

/* The Julian calendar has the same leap years from 1901 to 2099. */
static bool in_julian_years(int64_t t)
{
    return t > -2172182400 && t < 4107456000;
}

static gen_status check_calendar(const gen_radar_file *f, int variable, const clock *c)
{
    static const char *const known[] = { "standard", "gregorian", "proleptic_gregorian" };
    char name[NC_MAX_NAME + 1], text[GEN_NETCDF_WORD];
    gen_netcdf_read_word(f, variable, "calendar", text);
    bool fine = text[0] == 0;
    for (int i = 0; i < GEN_LEN(known); i++)
        fine = fine || strcmp(text, known[i]) == 0;
    if (strcmp(text, "julian") == 0)
        fine = in_julian_years(c->reference) && in_julian_years(f->time[0]) &&
               in_julian_years(f->time[f->frames - 1]);
    return fine ? GEN_OK
                : gen_fail(GEN_EDATA, "'%s': attribute '%s:calendar' is '%.40s', expected standard",
                           f->path, gen_netcdf_variable_name(f, variable, name), text);
}

static gen_status to_seconds(const gen_radar_file *f, const clock *c, double value, int64_t i,
                             int64_t *out)
{
    double seconds = floor(value * c->unit + 0.5) + (double)c->reference;
    *out = 0;
    if (!(seconds > -6.0e10 && seconds < 2.5e11)) /* years 70 to 9900 */
        return gen_fail(GEN_EDATA, "'%s': time[%lld] is %g, which is no date", f->path,
                        (long long)i, value);
    *out = (int64_t)seconds;
    return GEN_OK;
}

/* Seconds between two times of a clock; 0 when there are none. */
static double between(const clock *c, double from, double to)
{
    double d = (to - from) * c->unit;
    return d > 0 && d < 1e9 ? floor(d + 0.5) : 0;
}

/* ---- one time for the whole file --------------------------------------------------------- */

/* One number, not along a dimension that counts anything. */
static bool is_single(const gen_radar_file *f, int variable)
{
    const gen_netcdf_state *k = f->state;
    int rank = 0, dim;
    size_t n = 0;
    nc_type type;
    if (nc_inq_vartype(k->nc, variable, &type) != NC_NOERR || type == NC_CHAR ||
        type >= NC_STRING || nc_inq_varndims(k->nc, variable, &rank) != NC_NOERR || rank > 1)
        return false;
    return rank == 0 || (nc_inq_vardimid(k->nc, variable, &dim) == NC_NOERR &&
                         nc_inq_dimlen(k->nc, dim, &n) == NC_NOERR && n == 1);
}

static gen_status single_value(const gen_radar_file *f, int variable, double *out)
{
    const gen_netcdf_state *k = f->state;
    const size_t zero = 0;
    char name[NC_MAX_NAME + 1];
    gen_netcdf_variable_name(f, variable, name);
    GEN_TRY(gen_netcdf_check_chunks(f, variable));
    int code = nc_get_var1_double(k->nc, variable, &zero, out);
    if (code != NC_NOERR && code != NC_ERANGE)
        return gen_netcdf_broken(f, code, name);
    return isfinite(*out) ? GEN_OK
                          : gen_fail(GEN_EDATA, "'%s': %s is %g, expected a finite number", f->path,
                                     name, *out);
}

/* What a single time tells of the field, by its name or standard_name. */
static const struct {
    const char *names[3];
    const char *standard; /* NULL: CF has none */
} single_times[] = {
    { { "time", "valid_time" }, "time" },
    { { "start_time" }, NULL }, /* its interval begins then */
    { { "forecast_reference_time" }, "forecast_reference_time" },
};
enum { VALID, START, REFERENCE };

/* The variable, or -1. */
static int single_time(const gen_radar_file *f, int which)
{
    const char *standard = single_times[which].standard;
    const gen_netcdf_state *k = f->state;
    char buf[GEN_NETCDF_WORD];
    int n = 0, v;
    for (const char *const *name = single_times[which].names; *name; name++)
        if (nc_inq_varid(k->nc, *name, &v) == NC_NOERR && is_single(f, v))
            return v;
    nc_inq_nvars(k->nc, &n);
    for (v = 0; v < n && standard; v++)
        if (strcmp(gen_netcdf_read_word(f, v, "standard_name", buf), standard) == 0 &&
            is_single(f, v))
            return v;
    return -1;
}

/* When a forecast was made. */
static gen_status read_reference(gen_radar_file *f)
{
    clock c;
    double value;
    int variable = single_time(f, REFERENCE);
    if (variable < 0)
        return GEN_OK;
    GEN_TRY(read_clock(f, variable, &c));
    GEN_TRY(single_value(f, variable, &value));
    return to_seconds(f, &c, value, 0, &f->reference);
}

/* ---- the interval ------------------------------------------------------------------------ */

/* What n pairs of bounds say. A depth is dated by the end of its interval; a rate whose intervals
 * differ or end elsewhere than at its time is taken as the rate at that time. EDATA: depths of
 * intervals that differ. */
static gen_status take_bounds(gen_radar_file *f, const char *name, const clock *c, const double *b)
{
    bool depth = f->quantity == GEN_RADAR_DEPTH;
    double interval = between(c, b[0], b[1]);
    for (int64_t i = 0; i < f->frames; i++) {
        double own = between(c, b[2 * i], b[2 * i + 1]);
        int64_t end;
        GEN_TRY(to_seconds(f, c, b[2 * i + 1], i, &end));
        if (own != interval && depth)
            return gen_fail(GEN_EDATA, "'%s': %s gives frame %lld %g s, but the first %g s",
                            f->path, name, (long long)i, own, interval);
        if (depth && own > 0)
            f->time[i] = end;
        if (own != interval || end != f->time[i])
            interval = 0;
    }
    f->interval = interval;
    return GEN_OK;
}

static gen_status bounds_interval(gen_radar_file *f, int time, const clock *c)
{
    gen_status status = GEN_OK;
    const gen_netcdf_state *k = f->state;
    char name[GEN_NETCDF_WORD];
    int v, rank = 0, dims[2];
    size_t size[2] = { 0, 1 };
    double *b = NULL;
    if (!gen_netcdf_read_word(f, time, "bounds", name)[0] ||
        nc_inq_varid(k->nc, name, &v) != NC_NOERR || nc_inq_varndims(k->nc, v, &rank) != NC_NOERR ||
        rank < 1 || rank > 2 || nc_inq_vardimid(k->nc, v, dims) != NC_NOERR)
        return GEN_OK;
    for (int i = 0; i < rank; i++)
        if (nc_inq_dimlen(k->nc, dims[i], &size[i]) != NC_NOERR)
            return GEN_OK;
    if (size[0] > 2 * (size_t)f->frames || size[1] > 2 ||
        size[0] * size[1] != 2 * (size_t)f->frames)
        return gen_fail(GEN_EDATA, "'%s': variable %s is not two bounds a frame", f->path, name);
    GEN_GOTO(GEN_ALLOC(&b, 2 * f->frames, "bounds of time"));
    GEN_GOTO(gen_netcdf_coordinate_values(f, v, 2 * f->frames, b));
    GEN_GOTO(take_bounds(f, name, c, b));
done:
    gen_free(b);
    return status;
}

/* "time: sum (interval: 5 minutes)" */
static void method_interval(gen_radar_file *f)
{
    const gen_netcdf_state *k = f->state;
    char text[GEN_NETCDF_WORD], number[32];
    double v;
    const char *at = strstr(gen_netcdf_read_word(f, k->rain, "cell_methods", text), "interval:");
    if (!at || !strstr(text, "sum"))
        return;
    at += 9;
    at += strspn(at, " ");
    size_t n = strspn(at, ".0123456789");
    if (n == 0 || n >= sizeof number)
        return;
    memcpy(number, at, n);
    number[n] = 0;
    at += n;
    if (gen_parse_real(number, "interval", 0, 1e9, &v) == GEN_OK)
        f->interval = v * gen_netcdf_seconds(at, strcspn(at, ")"));
}

static gen_status read_interval(gen_radar_file *f, int time, const clock *c)
{
    double end, begin;
    clock other;
    if (f->quantity != GEN_RADAR_DEPTH && f->quantity != GEN_RADAR_RATE)
        return GEN_OK;
    GEN_TRY(bounds_interval(f, time, c));
    if (f->quantity == GEN_RADAR_RATE)
        return GEN_OK;
    int start = single_time(f, START);
    if (f->interval == 0 && f->frames == 1 && start >= 0) {
        int64_t from, to;
        GEN_TRY(read_clock(f, start, &other));
        GEN_TRY(single_value(f, start, &begin));
        GEN_TRY(single_value(f, time, &end));
        GEN_TRY(to_seconds(f, &other, begin, 0, &from));
        GEN_TRY(to_seconds(f, c, end, 0, &to));
        f->interval = to > from ? (double)(to - from) : 0;
    }
    if (f->interval == 0)
        method_interval(f);
    return GEN_OK;
}

/* ---- times ------------------------------------------------------------------------------- */

/* The variable of the times; -1: the file does not tell. */
static int time_variable(const gen_radar_file *f)
{
    const gen_netcdf_state *k = f->state;
    int variable = k->time_axis >= 0 ? gen_netcdf_coordinate(f, k->dims[k->time_axis], 'T') : -1;
    return variable < 0 && f->frames == 1 ? single_time(f, VALID) : variable;
}

gen_status gen_netcdf_read_times(gen_radar_file *f)
{
    gen_status status;
    double *value = NULL;
    clock c;
    int variable = time_variable(f);
    GEN_TRY(read_reference(f));
    GEN_TRY(GEN_ALLOC(&f->time, f->frames, "times"));
    f->time[0] = GEN_TIME_UNKNOWN;
    if (variable < 0 && f->frames > 1)
        return gen_fail(GEN_EDATA, "'%s' has no time coordinate", f->path);
    if (variable < 0) {
        method_interval(f);
        return GEN_OK;
    }
    GEN_TRY(read_clock(f, variable, &c));
    GEN_GOTO(GEN_ALLOC(&value, f->frames, "times"));
    if (f->frames == 1)
        GEN_GOTO(single_value(f, variable, value));
    else
        GEN_GOTO(gen_netcdf_coordinate_values(f, variable, f->frames, value));
    for (int64_t i = 0; i < f->frames; i++)
        GEN_GOTO(to_seconds(f, &c, value[i], i, &f->time[i]));
    GEN_GOTO(check_calendar(f, variable, &c));
    GEN_GOTO(read_interval(f, variable, &c));
done:
    gen_free(value);
    return status;
}
