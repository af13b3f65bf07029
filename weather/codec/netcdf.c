/* SPDX-License-Identifier: Apache-2.0
 *
 * Reader of netCDF files (classic and HDF5) that follow the CF conventions.
 *
 * What is read
 *   rain rate   the variable `rain_rate`, or the only one whose standard_name or units say a rain
 *               rate: (time,y,x), or with a leading realization of size 1. Packed by scale_factor
 *               and add_offset; missing by _FillValue, missing_value, valid_min, valid_max,
 *               valid_range, NaN, and values below 0. Units that are converted stand in `units`.
 *   time        the coordinate variable of its first dimension: "seconds since 1970-01-01", also
 *               minutes, hours, days, in the standard calendar.
 *   y, x        coordinate variables of the last two dimensions, or cell numbers when there are
 *               none. Rows that run from south to north are turned.
 *   projection  the variable named by grid_mapping: all its attributes as JSON; proj4 from there or
 *               from the global attribute.
 *
 * The file is hostile: the sizes it declares are compared with its own size before anything is
 * allocated, and text where a number belongs is an error that names the attribute.
 */
#include <math.h>
#include <netcdf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "libgen/base/alloc.h"
#include "libgen/base/json.h"
#include "weather/codec/codec.h"

#define MAX_SIDE 65536 /* cells along an axis */
#define MAX_FRAMES 10000000
#define MAX_TEXT 65536 /* bytes of an attribute */
#define MAX_ATTRIBUTES 200
#define MAX_CHUNK ((uint64_t)1 << 30) /* bytes; a chunk is inflated whole */
#define BEST_RATIO 1100               /* deflate cannot shrink more than 1032 times */
#define SPARE_BYTES ((uint64_t)64 << 20)

typedef struct netcdf_state {
    int nc, rain; /* ids */
    int rank;     /* 3, or 4 with realization */
    nc_type type;
    double scale, offset; /* of packed values */
    double fill[4];       /* packed values that are missing */
    int n_fill;
    double low, high;           /* valid packed values */
    double low_rain, high_rain; /* valid unpacked values */
    bool wrap;                  /* _Unsigned: a signed type holds unsigned values */
    bool south_first;
    double *line; /* [height,width] as packed */
} netcdf_state;

static const struct {
    const char *name;
    double factor; /* to mm/h */
} units[] = {
    { "mm h-1", 1 },        { "mm/h", 1 },      { "mm/hr", 1 },      { "mm hr-1", 1 },
    { "mm hour-1", 1 },     { "mm/hour", 1 },   { "kg m-2 h-1", 1 }, { "mm s-1", 3600 },
    { "kg m-2 s-1", 3600 }, { "m s-1", 3.6e6 },
};

/* ---- attributes -------------------------------------------------------------------------- */

static gen_status broken(const gen_radar_file *f, int code, const char *what)
{
    return gen_fail(GEN_EDATA, "'%s': cannot read %s: %s", f->path, what, nc_strerror(code));
}

static const char *variable_name(const gen_radar_file *f, int variable, char buf[NC_MAX_NAME + 1])
{
    const netcdf_state *k = f->state;
    if (variable == NC_GLOBAL || nc_inq_varname(k->nc, variable, buf) != NC_NOERR)
        buf[0] = 0;
    return buf;
}

/* Text attribute, *out NULL when there is none. */
static gen_status text_attribute(const gen_radar_file *f, int variable, const char *name,
                                 char **out)
{
    const netcdf_state *k = f->state;
    char owner[NC_MAX_NAME + 1];
    nc_type type;
    size_t n;
    gen_status status = GEN_OK;
    *out = NULL;
    if (nc_inq_att(k->nc, variable, name, &type, &n) != NC_NOERR)
        return GEN_OK;
    variable_name(f, variable, owner);
    if ((type != NC_CHAR && type != NC_STRING) || (type == NC_STRING && n != 1))
        return gen_fail(GEN_EDATA, "'%s': attribute '%s:%s' is no text", f->path, owner, name);
    if (n > MAX_TEXT)
        return gen_fail(GEN_EDATA, "'%s': attribute '%s:%s' has %zu bytes, expected at most %d",
                        f->path, owner, name, n, MAX_TEXT);
    if (type == NC_STRING) {
        char *text = NULL;
        if (nc_get_att_string(k->nc, variable, name, &text) != NC_NOERR || !text)
            status =
                gen_fail(GEN_EDATA, "'%s': cannot read attribute '%s:%s'", f->path, owner, name);
        else if (strlen(text) <= MAX_TEXT)
            status = gen_strdup(out, text);
        nc_free_string(1, &text);
        return status;
    }
    GEN_TRY(GEN_ALLOC(out, n + 1, "attribute"));
    if (nc_get_att_text(k->nc, variable, name, *out) != NC_NOERR) {
        gen_free(*out);
        *out = NULL;
        return gen_fail(GEN_EDATA, "'%s': cannot read attribute '%s:%s'", f->path, owner, name);
    }
    return GEN_OK;
}

/* Numbers of an attribute: *n in capacity, out how many there are (0: no such attribute). */
static gen_status number_attribute(const gen_radar_file *f, int variable, const char *name,
                                   double *out, int *n)
{
    const netcdf_state *k = f->state;
    char owner[NC_MAX_NAME + 1];
    nc_type type;
    size_t count;
    int capacity = *n;
    *n = 0;
    if (nc_inq_att(k->nc, variable, name, &type, &count) != NC_NOERR)
        return GEN_OK;
    variable_name(f, variable, owner);
    if (type == NC_CHAR || type == NC_STRING || type > NC_MAX_ATOMIC_TYPE)
        return gen_fail(GEN_EDATA, "'%s': attribute '%s:%s' is text, expected a number", f->path,
                        owner, name);
    if (count < 1 || count > (size_t)capacity)
        return gen_fail(GEN_EDATA, "'%s': attribute '%s:%s' holds %zu numbers, expected %s%d",
                        f->path, owner, name, count, capacity > 1 ? "at most " : "", capacity);
    if (nc_get_att_double(k->nc, variable, name, out) != NC_NOERR)
        return gen_fail(GEN_EDATA, "'%s': cannot read attribute '%s:%s'", f->path, owner, name);
    *n = (int)count;
    return GEN_OK;
}

/* One finite number; `preset` when there is none. */
static gen_status one_number(const gen_radar_file *f, int variable, const char *name, double preset,
                             double *out)
{
    char owner[NC_MAX_NAME + 1];
    int n = 1;
    GEN_TRY(number_attribute(f, variable, name, out, &n));
    if (n == 0)
        *out = preset;
    if (!isfinite(*out))
        return gen_fail(GEN_EDATA, "'%s': attribute '%s:%s' is not finite", f->path,
                        variable_name(f, variable, owner), name);
    return GEN_OK;
}

/* One attribute as JSON; what JSON cannot hold is left out. */
static gen_status put_attribute(gen_json_writer *w, const gen_radar_file *f, int variable,
                                const char *name)
{
    const netcdf_state *k = f->state;
    nc_type type;
    size_t n;
    double numbers[64];
    if (nc_inq_att(k->nc, variable, name, &type, &n) != NC_NOERR || n < 1 || name[0] == '_')
        return GEN_OK;
    if (type == NC_CHAR || (type == NC_STRING && n == 1)) {
        char *text = NULL;
        GEN_TRY(text_attribute(f, variable, name, &text));
        gen_json_put_string(w, name, text);
        gen_free(text);
        return GEN_OK;
    }
    if (type == NC_STRING || type > NC_MAX_ATOMIC_TYPE || n > (size_t)GEN_LEN(numbers) ||
        nc_get_att_double(k->nc, variable, name, numbers) != NC_NOERR)
        return GEN_OK;
    if (n > 1)
        gen_json_open(w, name, '[');
    for (size_t i = 0; i < n; i++)
        gen_json_put_real(w, n > 1 ? NULL : name, numbers[i]);
    if (n > 1)
        gen_json_close(w, ']');
    return GEN_OK;
}

static gen_status all_attributes(gen_radar_file *f, int variable, char **out)
{
    gen_status status = GEN_OK;
    const netcdf_state *k = f->state;
    gen_json_writer w = { 0 };
    char name[NC_MAX_NAME + 1];
    int n = 0;
    nc_inq_varnatts(k->nc, variable, &n);
    gen_json_open(&w, NULL, '{');
    for (int i = 0; i < n && i < MAX_ATTRIBUTES && status == GEN_OK; i++)
        if (nc_inq_attname(k->nc, variable, i, name) == NC_NOERR)
            status = put_attribute(&w, f, variable, name);
    gen_json_close(&w, '}');
    gen_status finished = gen_json_finish(&w, out);
    return status ? status : finished;
}

/* ---- finding the rain rate --------------------------------------------------------------- */

/* Factor from the units of a variable to mm/h, 0 when they are none of a rain rate. */
static gen_status rain_factor(const gen_radar_file *f, int variable, double *factor)
{
    char *text = NULL;
    *factor = 0;
    GEN_TRY(text_attribute(f, variable, "units", &text));
    for (int i = 0; text && i < GEN_LEN(units); i++)
        if (strcmp(text, units[i].name) == 0)
            *factor = units[i].factor;
    gen_free(text);
    return GEN_OK;
}

static gen_status find_rain(gen_radar_file *f)
{
    netcdf_state *k = f->state;
    double factor;
    int n = 0, found = -1, rank;
    if (nc_inq_varid(k->nc, "rain_rate", &k->rain) == NC_NOERR)
        return GEN_OK;
    nc_inq_nvars(k->nc, &n);
    for (int v = 0; v < n; v++) {
        if (nc_inq_varndims(k->nc, v, &rank) != NC_NOERR || rank < 3 || rank > 4 ||
            rain_factor(f, v, &factor) != GEN_OK || factor == 0)
            continue;
        if (found >= 0)
            return gen_fail(GEN_EDATA, "'%s' holds several rain rates and none is called rain_rate",
                            f->path);
        found = v;
    }
    if (found < 0)
        return gen_fail(GEN_EDATA,
                        "'%s' holds no rain rate: expected a variable rain_rate(time,y,x)"
                        " in mm h-1",
                        f->path);
    k->rain = found;
    return GEN_OK;
}

static const char *type_words(nc_type type)
{
    return type == NC_CHAR || type == NC_STRING ? "text" : "of a type of its own";
}

/* A chunk is inflated whole, however few of its cells there are. */
static gen_status check_chunks(const gen_radar_file *f, int variable, int rank, const char *name)
{
    const netcdf_state *k = f->state;
    size_t chunk[4] = { 0 }, size = 8;
    int storage = NC_CONTIGUOUS;
    nc_type type = NC_DOUBLE;
    if (nc_inq_var_chunking(k->nc, variable, &storage, chunk) != NC_NOERR || storage != NC_CHUNKED)
        return GEN_OK;
    nc_inq_vartype(k->nc, variable, &type);
    nc_inq_type(k->nc, type, NULL, &size);
    uint64_t n = size;
    for (int i = 0; i < rank; i++)
        n = chunk[i] && n <= MAX_CHUNK ? n * (chunk[i] > MAX_CHUNK ? MAX_CHUNK : chunk[i]) : n;
    if (n > MAX_CHUNK)
        return gen_fail(GEN_EDATA, "'%s': variable %s has chunks of more than 1 GB", f->path, name);
    return GEN_OK;
}

/* Sizes of the rain rate's dimensions, outermost first, all within limits and the file's own size.
 */
static gen_status check_sizes(gen_radar_file *f, int dims[4], const char *name)
{
    netcdf_state *k = f->state;
    size_t size[4] = { 0 }, type_size = 0;
    struct stat info;
    if (nc_inq_vartype(k->nc, k->rain, &k->type) != NC_NOERR ||
        nc_inq_varndims(k->nc, k->rain, &k->rank) != NC_NOERR)
        return gen_fail(GEN_EDATA, "'%s': cannot read variable %s", f->path, name);
    if (k->type == NC_CHAR || k->type >= NC_STRING)
        return gen_fail(GEN_EDATA, "'%s': variable %s is %s, expected numbers", f->path, name,
                        type_words(k->type));
    if (k->rank < 3 || k->rank > 4)
        return gen_fail(GEN_EDATA, "'%s': variable %s has %d dimensions, expected (time,y,x)",
                        f->path, name, k->rank);
    int code = nc_inq_vardimid(k->nc, k->rain, dims);
    for (int i = 0; i < k->rank && code == NC_NOERR; i++)
        code = nc_inq_dimlen(k->nc, dims[i], &size[i]);
    if (code != NC_NOERR)
        return broken(f, code, "dimensions");
    const size_t *last = size + k->rank - 3;
    if (k->rank == 4 && size[0] != 1)
        return gen_fail(GEN_EDATA, "'%s': variable %s holds %zu members, expected one", f->path,
                        name, size[0]);
    if (last[0] < 1 || last[0] > MAX_FRAMES || last[1] < 1 || last[1] > MAX_SIDE || last[2] < 1 ||
        last[2] > MAX_SIDE)
        return gen_fail(GEN_EDATA,
                        "'%s': variable %s is %zu x %zu x %zu, expected at least one frame"
                        " and at most %d cells a side",
                        f->path, name, last[0], last[1], last[2], MAX_SIDE);
    nc_inq_type(k->nc, k->type, NULL, &type_size);
    uint64_t bytes = (uint64_t)last[0] * last[1] * last[2] * type_size; /* < 2^59 */
    if (stat(f->path, &info) != 0)
        return gen_fail(GEN_EDATA, "cannot read '%s'", f->path);
    if (bytes / BEST_RATIO > (uint64_t)info.st_size + SPARE_BYTES / BEST_RATIO)
        return gen_fail(GEN_EDATA, "'%s': variable %s declares %llu bytes, but the file has %llu",
                        f->path, name, (unsigned long long)bytes, (unsigned long long)info.st_size);
    GEN_TRY(check_chunks(f, k->rain, k->rank, name));
    f->frames = (int64_t)last[0];
    f->grid.height = (int64_t)last[1];
    f->grid.width = (int64_t)last[2];
    return GEN_OK;
}

/* ---- packing ----------------------------------------------------------------------------- */

static double default_fill(nc_type type)
{
    switch (type) {
    case NC_SHORT:
        return NC_FILL_SHORT;
    case NC_INT:
        return NC_FILL_INT;
    case NC_USHORT:
        return NC_FILL_USHORT;
    case NC_UINT:
        return NC_FILL_UINT;
    case NC_FLOAT:
        return (double)NC_FILL_FLOAT;
    case NC_DOUBLE:
        return NC_FILL_DOUBLE;
    default:
        return NAN; /* bytes have none; 64 bit integers are no rain */
    }
}

static double unwrap(const netcdf_state *k, double v)
{
    if (!k->wrap || v >= 0)
        return v;
    return v + (k->type == NC_BYTE ? 256 : k->type == NC_SHORT ? 65536 : 4294967296.0);
}

/* valid_min, valid_max, valid_range: of packed values when they have the packed type. */
static gen_status valid_limits(gen_radar_file *f)
{
    netcdf_state *k = f->state;
    static const char *const names[] = { "valid_min", "valid_max", "valid_range" };
    k->low = k->low_rain = -HUGE_VAL;
    k->high = k->high_rain = HUGE_VAL;
    for (int i = 0; i < GEN_LEN(names); i++) {
        double value[2];
        int n = i == 2 ? 2 : 1, expected = n;
        nc_type type = NC_NAT;
        GEN_TRY(number_attribute(f, k->rain, names[i], value, &n));
        if (n == 0)
            continue;
        nc_inq_atttype(k->nc, k->rain, names[i], &type);
        for (int j = 0; j < n && type == k->type; j++)
            value[j] = unwrap(k, value[j]);
        if (n != expected || isnan(value[0]) || isnan(value[n - 1]) || value[0] > value[n - 1])
            return gen_fail(GEN_EDATA, "'%s': attribute '%s' begins with %g, expected %s", f->path,
                            names[i], value[0], i == 2 ? "two numbers that rise" : "a number");
        double *low = type == k->type ? &k->low : &k->low_rain;
        double *high = type == k->type ? &k->high : &k->high_rain;
        if (i != 1)
            *low = value[0];
        if (i != 0)
            *high = value[n - 1];
    }
    return GEN_OK;
}

static gen_status packing(gen_radar_file *f, const char *name)
{
    netcdf_state *k = f->state;
    double factor, preset = default_fill(k->type);
    char *text = NULL;
    GEN_TRY(rain_factor(f, k->rain, &factor));
    if (factor == 0) {
        GEN_TRY(text_attribute(f, k->rain, "units", &text));
        gen_fail(GEN_EDATA, "'%s': attribute '%s:units' is %s%.40s%s, expected mm h-1", f->path,
                 name, text ? "'" : "", text ? text : "missing", text ? "'" : "");
        gen_free(text);
        return GEN_EDATA;
    }
    GEN_TRY(one_number(f, k->rain, "scale_factor", 1, &k->scale));
    GEN_TRY(one_number(f, k->rain, "add_offset", 0, &k->offset));
    if (k->scale == 0)
        return gen_fail(GEN_EDATA, "'%s': attribute '%s:scale_factor' is 0", f->path, name);
    f->quantity = GEN_RADAR_RATE;
    f->factor = factor;
    GEN_TRY(gen_strdup(&f->name, name));
    GEN_TRY(text_attribute(f, k->rain, "units", &f->units));
    int n = 1;
    GEN_TRY(number_attribute(f, k->rain, "_FillValue", k->fill, &n));
    if (n == 0)
        k->fill[0] = preset;
    k->n_fill = 1;
    n = 3;
    GEN_TRY(number_attribute(f, k->rain, "missing_value", k->fill + 1, &n));
    k->n_fill += n;
    GEN_TRY(text_attribute(f, k->rain, "_Unsigned", &text));
    k->wrap = text && strcmp(text, "true") == 0 &&
              (k->type == NC_BYTE || k->type == NC_SHORT || k->type == NC_INT);
    gen_free(text);
    return valid_limits(f);
}

/* ---- coordinates ------------------------------------------------------------------------- */

/* Values of the coordinate variable of a dimension; *found false when there is none. */
static gen_status coordinate(gen_radar_file *f, int dim, int64_t n, double *out, int *variable)
{
    const netcdf_state *k = f->state;
    char name[NC_MAX_NAME + 1] = "";
    int rank = 0, own = -1;
    nc_type type = NC_NAT;
    *variable = -1;
    nc_inq_dimname(k->nc, dim, name);
    if (nc_inq_varid(k->nc, name, variable) != NC_NOERR) {
        *variable = -1;
        return GEN_OK;
    }
    nc_inq_vartype(k->nc, *variable, &type);
    if (nc_inq_varndims(k->nc, *variable, &rank) != NC_NOERR || rank != 1 ||
        nc_inq_vardimid(k->nc, *variable, &own) != NC_NOERR || own != dim)
        return gen_fail(GEN_EDATA, "'%s': variable '%s' is not %s(%s)", f->path, name, name, name);
    if (type == NC_CHAR || type >= NC_STRING)
        return gen_fail(GEN_EDATA, "'%s': variable '%s' is %s, expected numbers", f->path, name,
                        type_words(type));
    GEN_TRY(check_chunks(f, *variable, 1, name));
    int code = nc_get_var_double(k->nc, *variable, out);
    if (code != NC_NOERR && code != NC_ERANGE)
        return broken(f, code, name);
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(out[i]))
            return gen_fail(GEN_EDATA, "'%s': %s[%lld] is %g, expected a finite number", f->path,
                            name, (long long)i, out[i]);
    return GEN_OK;
}

/* "minutes since 2018-08-24 18:00" */
static gen_status time_units(const gen_radar_file *f, const char *text, double *unit,
                             int64_t *reference)
{
    static const struct {
        const char *name;
        double seconds;
    } words[] = { { "seconds", 1 }, { "second", 1 },   { "secs", 1 },     { "sec", 1 },
                  { "s", 1 },       { "minutes", 60 }, { "minute", 60 },  { "mins", 60 },
                  { "min", 60 },    { "hours", 3600 }, { "hour", 3600 },  { "hrs", 3600 },
                  { "hr", 3600 },   { "h", 3600 },     { "days", 86400 }, { "day", 86400 },
                  { "d", 86400 } };
    const char *since = strstr(text, " since ");
    *unit = 0;
    for (int i = 0; since && i < GEN_LEN(words); i++)
        if (strlen(words[i].name) == (size_t)(since - text) &&
            strncmp(text, words[i].name, strlen(words[i].name)) == 0)
            *unit = words[i].seconds;
    if (*unit == 0)
        return gen_fail(GEN_EDATA,
                        "'%s': attribute 'time:units' is '%.60s', expected seconds since "
                        "1970-01-01 or the like",
                        f->path, text);
    gen_status status = gen_time_reference(since + 7, reference);
    return status ? gen_fail_in(status, "'%s': attribute 'time:units'", f->path) : GEN_OK;
}

static gen_status time_calendar(const gen_radar_file *f, int variable)
{
    static const char *const known[] = { "standard", "gregorian", "proleptic_gregorian" };
    gen_status status = GEN_OK;
    char *text = NULL;
    bool fine = false;
    GEN_TRY(text_attribute(f, variable, "calendar", &text));
    for (int i = 0; text && i < GEN_LEN(known); i++)
        fine = fine || strcmp(text, known[i]) == 0;
    if (text && !fine)
        status =
            gen_fail(GEN_EDATA, "'%s': attribute 'time:calendar' is '%.40s', expected standard",
                     f->path, text);
    gen_free(text);
    return status;
}

static gen_status read_times(gen_radar_file *f, int dim)
{
    gen_status status;
    double *value = NULL, unit;
    int64_t reference;
    char *text = NULL;
    int variable;
    GEN_GOTO(GEN_ALLOC(&f->time, f->frames, "times"));
    GEN_GOTO(GEN_ALLOC(&value, f->frames, "times"));
    GEN_GOTO(coordinate(f, dim, f->frames, value, &variable));
    if (variable < 0)
        GEN_GOTO(gen_fail(GEN_EDATA, "'%s' has no time coordinate", f->path));
    GEN_GOTO(text_attribute(f, variable, "units", &text));
    if (!text)
        GEN_GOTO(gen_fail(GEN_EDATA,
                          "'%s': attribute 'time:units' is missing, expected seconds "
                          "since 1970-01-01",
                          f->path));
    GEN_GOTO(time_units(f, text, &unit, &reference));
    GEN_GOTO(time_calendar(f, variable));
    for (int64_t i = 0; i < f->frames; i++) {
        double seconds = floor(value[i] * unit + 0.5) + (double)reference;
        if (!(seconds > -6.0e10 && seconds < 2.5e11)) /* years 70 to 9900 */
            GEN_GOTO(gen_fail(GEN_EDATA, "'%s': time[%lld] is %g, which is no date", f->path,
                              (long long)i, value[i]));
        f->time[i] = (int64_t)seconds;
    }
done:
    gen_free(value);
    gen_free(text);
    return status;
}

static int direction(const double *v, int64_t n)
{
    int sign = n > 1 && v[1] < v[0] ? -1 : 1;
    for (int64_t i = 1; i < n; i++)
        if (!((v[i] - v[i - 1]) * sign > 0))
            return 0;
    return sign;
}

/* Degrees stay, kilometres become metres. */
static gen_status axis_units(gen_radar_file *f, int variable)
{
    gen_radar_grid *g = &f->grid;
    char *text = NULL;
    GEN_TRY(text_attribute(f, variable, "units", &text));
    g->degrees = text && strncmp(text, "degree", 6) == 0;
    bool km = text && strcmp(text, "km") == 0;
    gen_free(text);
    for (int64_t i = 0; km && i < g->width; i++)
        g->x[i] *= 1000;
    for (int64_t i = 0; km && i < g->height; i++)
        g->y[i] *= 1000;
    return GEN_OK;
}

static gen_status read_axes(gen_radar_file *f, int y_dim, int x_dim)
{
    netcdf_state *k = f->state;
    gen_radar_grid *g = &f->grid;
    int vy, vx;
    GEN_TRY(GEN_ALLOC(&g->y, g->height, "grid: y"));
    GEN_TRY(GEN_ALLOC(&g->x, g->width, "grid: x"));
    GEN_TRY(coordinate(f, y_dim, g->height, g->y, &vy));
    GEN_TRY(coordinate(f, x_dim, g->width, g->x, &vx));
    if (vx < 0 || vy < 0) {
        f->numbered = true;
        for (int64_t i = 0; i < g->width; i++)
            g->x[i] = (double)i;
        for (int64_t i = 0; i < g->height; i++)
            g->y[i] = (double)(g->height - 1 - i);
        return GEN_OK;
    }
    int dy = direction(g->y, g->height);
    if (direction(g->x, g->width) != 1)
        return gen_fail(GEN_EDATA, "'%s': the x coordinate does not rise from cell to cell",
                        f->path);
    if (dy == 0)
        return gen_fail(GEN_EDATA, "'%s': the y coordinate neither rises nor falls throughout",
                        f->path);
    k->south_first = dy > 0 && g->height > 1;
    for (int64_t i = 0, j = g->height - 1; k->south_first && i < j; i++, j--) {
        double t = g->y[i];
        g->y[i] = g->y[j];
        g->y[j] = t;
    }
    return axis_units(f, vx);
}

static gen_status read_projection(gen_radar_file *f)
{
    netcdf_state *k = f->state;
    gen_radar_grid *g = &f->grid;
    char *name = NULL;
    int variable;
    GEN_TRY(text_attribute(f, k->rain, "grid_mapping", &name));
    bool found = name && nc_inq_varid(k->nc, name, &variable) == NC_NOERR;
    gen_free(name);
    if (found) {
        GEN_TRY(text_attribute(f, variable, "grid_mapping_name", &g->mapping_name));
        GEN_TRY(text_attribute(f, variable, "proj4", &g->proj4));
        GEN_TRY(all_attributes(f, variable, &g->attributes));
    }
    if (!g->proj4)
        GEN_TRY(text_attribute(f, NC_GLOBAL, "proj4", &g->proj4));
    return GEN_OK;
}

/* ---- the format -------------------------------------------------------------------------- */

static bool recognises(const unsigned char *head, size_t n)
{
    static const unsigned char hdf5[8] = { 0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n' };
    return (n >= 8 && memcmp(head, hdf5, 8) == 0) ||
           (n >= 4 && memcmp(head, "CDF", 3) == 0 &&
            (head[3] == 1 || head[3] == 2 || head[3] == 5));
}

static gen_status open_locked(gen_radar_file *f)
{
    netcdf_state *k = f->state;
    char name[NC_MAX_NAME + 1];
    int dims[4];
    if (strstr(f->path, "://")) /* netCDF would take it for an address and go to the network */
        return gen_fail(GEN_EDATA, "'%s': a file name must not hold '://'", f->path);
    if (strchr(f->path, '\\')) /* netCDF would take it for a '/' and open another file */
        return gen_fail(GEN_EDATA, "'%s': a file name must not hold a backslash", f->path);
    int code = nc_open(f->path, NC_NOWRITE, &k->nc);
    if (code != NC_NOERR) {
        k->nc = -1;
        return gen_fail(GEN_EDATA, "'%s' is damaged or no netCDF file: %s", f->path,
                        nc_strerror(code));
    }
    GEN_TRY(find_rain(f));
    variable_name(f, k->rain, name);
    GEN_TRY(check_sizes(f, dims, name));
    const int *last = dims + k->rank - 3;
    GEN_TRY(packing(f, name));
    GEN_TRY(read_times(f, last[0]));
    GEN_TRY(read_axes(f, last[1], last[2]));
    return read_projection(f);
}

static gen_status netcdf_open(gen_radar_file *f)
{
    netcdf_state *k = NULL;
    GEN_TRY(GEN_ALLOC(&k, 1, "netCDF file"));
    k->nc = -1;
    f->state = k;
    gen_netcdf_lock();
    gen_status status = open_locked(f);
    gen_netcdf_unlock();
    return status;
}

static float unpack(const netcdf_state *k, double v)
{
    for (int i = 0; i < k->n_fill; i++)
        if (v == k->fill[i])
            return NAN;
    v = unwrap(k, v);
    if (!(v >= k->low && v <= k->high))
        return NAN;
    v = v * k->scale + k->offset;
    return v >= k->low_rain && v <= k->high_rain && fabs(v) <= 1e30 ? (float)v : NAN;
}

static gen_status netcdf_read(gen_radar_file *f, int64_t frame, float *rain)
{
    netcdf_state *k = f->state;
    int64_t h = f->grid.height, w = f->grid.width;
    size_t start[4] = { 0 }, count[4] = { 1, 1, 1, 1 };
    if (!k->line)
        GEN_TRY(
            gen_alloc_raw((void **)&k->line, (uint64_t)(h * w), sizeof(double), "a radar frame"));
    start[k->rank - 3] = (size_t)frame;
    count[k->rank - 2] = (size_t)h;
    count[k->rank - 1] = (size_t)w;
    gen_netcdf_lock();
    int code = nc_get_vara_double(k->nc, k->rain, start, count, k->line);
    gen_netcdf_unlock();
    if (code != NC_NOERR && code != NC_ERANGE)
        return gen_fail(GEN_EDATA, "'%s': frame %lld cannot be read: %s", f->path, (long long)frame,
                        nc_strerror(code));
    for (int64_t j = 0; j < h; j++) {
        const double *from = k->line + (k->south_first ? h - 1 - j : j) * w;
        for (int64_t i = 0; i < w; i++)
            rain[j * w + i] = unpack(k, from[i]);
    }
    return GEN_OK;
}

static void netcdf_close(gen_radar_file *f)
{
    netcdf_state *k = f->state;
    if (!k)
        return;
    gen_netcdf_lock();
    if (k->nc >= 0)
        nc_close(k->nc);
    gen_netcdf_unlock();
    gen_free(k->line);
    gen_free(k);
    f->state = NULL;
}

const gen_radar_format gen_radar_netcdf = { .name = "netCDF",
                                            .recognises = recognises,
                                            .open = netcdf_open,
                                            .read = netcdf_read,
                                            .close = netcdf_close,
                                            .risky = true };
