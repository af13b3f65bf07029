/* SPDX-License-Identifier: Apache-2.0
 *
 * Writer of CF-1.8 netCDF-4: forecasts rain_rate(realization,time,y,x), streamed member by member,
 * and sequences rain_rate(time,y,x).
 *
 * Forecasts are packed as int16, because CF 1.8 knows no unsigned types: rate = n / 128 +
 * 32767/128. Scale and offset are exact in float32, so that dry cells unpack to exactly 0; -32768
 * is missing. A chunk is one frame and is compressed lightly: at level 1 deflate costs less than
 * the disk.
 */
#include <errno.h>
#include <math.h>
#include <netcdf.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "libgen/base/file.h"
#include "libgen/base/json.h"
#include "weather/codec/codec.h"

#define PACKED_STEP (1.0f / 128) /* mm/h */
#define PACKED_OFFSET (32767.0f / 128)
#define PACKED_MISSING (-32768)
#define PACKED_MAX (65534.0f / 128)
#define SEQUENCE_MISSING 65535
#define DIMENSION_LIMIT 65536

/* What both kinds of file share. Errors stick in `code`, `what` says where. */
typedef struct writer {
    gen_output output;
    int nc, code;
    int system; /* errno behind code: netCDF itself does not tell a full disk */
    const char *what;
} writer;

struct gen_forecast {
    writer w;
    int rain;
    int64_t height, width, lead_steps, members;
    bool floats;
    bool *written; /* [members] */
    int64_t clipped;
    void *packed; /* one frame */
};

/* ---- definitions, sticky ----------------------------------------------------------------- */

static bool failed(writer *w, int code, const char *what)
{
    if (w->code == NC_NOERR && code != NC_NOERR) {
        w->code = code;
        w->system = errno;
        w->what = what;
    }
    return w->code != NC_NOERR;
}

static gen_status writer_status(const writer *w)
{
    if (w->code == NC_NOERR)
        return GEN_OK;
    bool full = w->system == ENOSPC || w->system == EDQUOT || w->system == EFBIG;
    return gen_fail(full || w->code == NC_ENOMEM ? GEN_ENOMEM : GEN_EIO, "%s: cannot write %s: %s",
                    w->output.path, w->what, full ? strerror(w->system) : nc_strerror(w->code));
}

static void put_text(writer *w, int variable, const char *name, const char *text)
{
    if (text && w->code == NC_NOERR)
        failed(w, nc_put_att_text(w->nc, variable, name, strlen(text), text), name);
}

static void put_double(writer *w, int variable, const char *name, double v)
{
    if (w->code == NC_NOERR)
        failed(w, nc_put_att_double(w->nc, variable, name, NC_DOUBLE, 1, &v), name);
}

static int put_dimension(writer *w, const char *name, int64_t n)
{
    int id = -1;
    if (w->code == NC_NOERR)
        failed(w, nc_def_dim(w->nc, name, (size_t)n, &id), name);
    return id;
}

static int put_variable(writer *w, const char *name, nc_type type, int rank, const int *dims)
{
    int id = -1;
    if (w->code == NC_NOERR)
        failed(w, nc_def_var(w->nc, name, type, rank, dims, &id), name);
    return id;
}

/* Text pairs name, value, ..., NULL. */
static void put_texts(writer *w, int variable, const char *const *pairs)
{
    for (; pairs[0]; pairs += 2)
        put_text(w, variable, pairs[0], pairs[1]);
}

/* The attributes of the grid mapping, as they were read. */
static gen_status put_mapping_attributes(writer *w, int crs, const gen_radar_grid *g)
{
    gen_status status;
    gen_json *json = NULL;
    if (!g->attributes) {
        put_text(w, crs, "grid_mapping_name", g->mapping_name);
        put_text(w, crs, "proj4", g->proj4);
        return GEN_OK;
    }
    GEN_GOTO(gen_json_parse(&json, g->attributes, strlen(g->attributes), 1 << 24));
    for (const gen_json *v = gen_json_first(json); v; v = gen_json_next(v)) {
        const char *name = gen_json_key(v), *text;
        double numbers[64];
        int n = 0;
        if (gen_json_kind_of(v) == GEN_JSON_STRING) {
            GEN_GOTO(gen_json_string(v, NULL, &text));
            put_text(w, crs, name, text);
        } else if (gen_json_kind_of(v) == GEN_JSON_NUMBER) {
            GEN_GOTO(gen_json_real(v, NULL, &numbers[0]));
            put_double(w, crs, name, numbers[0]);
        } else if (gen_json_kind_of(v) == GEN_JSON_ARRAY) {
            for (const gen_json *e = gen_json_first(v); e && n < GEN_LEN(numbers);
                 e = gen_json_next(e))
                if (gen_json_kind_of(e) == GEN_JSON_NUMBER)
                    GEN_GOTO(gen_json_real(e, NULL, &numbers[n++]));
            if (n && w->code == NC_NOERR)
                failed(w, nc_put_att_double(w->nc, crs, name, NC_DOUBLE, (size_t)n, numbers), name);
        }
    }
    if (g->proj4 && !gen_json_get(json, "proj4"))
        put_text(w, crs, "proj4", g->proj4);
done:
    gen_json_free(&json);
    return status;
}

/* y, x and crs; ids[0], ids[1] become the variables y and x, ids[2] crs or -1. */
static gen_status put_grid(writer *w, const gen_radar_grid *g, const int dims[2], int ids[3])
{
    static const char *const axis[2][2][9] = {
        { { "standard_name", "projection_y_coordinate", "long_name", "y of cell centres", "units",
            "m", "axis", "Y", NULL },
          { "standard_name", "projection_x_coordinate", "long_name", "x of cell centres", "units",
            "m", "axis", "X", NULL } },
        { { "standard_name", "latitude", "long_name", "latitude of cell centres", "units",
            "degrees_north", "axis", "Y", NULL },
          { "standard_name", "longitude", "long_name", "longitude of cell centres", "units",
            "degrees_east", "axis", "X", NULL } }
    };
    for (int a = 0; a < 2; a++) {
        ids[a] = put_variable(w, a ? "x" : "y", NC_DOUBLE, 1, &dims[a]);
        put_texts(w, ids[a], axis[g->degrees][a]);
    }
    ids[2] = -1;
    if (!g->mapping_name && !g->proj4)
        return GEN_OK;
    ids[2] = put_variable(w, "crs", NC_INT, 0, NULL);
    return put_mapping_attributes(w, ids[2], g);
}

static void put_grid_values(writer *w, const gen_radar_grid *g, const int ids[3])
{
    const int zero = 0;
    if (w->code == NC_NOERR)
        failed(w, nc_put_var_double(w->nc, ids[0], g->y), "y");
    if (w->code == NC_NOERR)
        failed(w, nc_put_var_double(w->nc, ids[1], g->x), "x");
    if (w->code == NC_NOERR && ids[2] >= 0)
        failed(w, nc_put_var_int(w->nc, ids[2], &zero), "crs");
}

static gen_status writer_open(writer *w, const char *path, bool force)
{
    w->nc = -1;
    if (strstr(path, "://")) /* netCDF would take it for an address */
        return gen_fail(GEN_EINVAL, "'%s': a file name must not hold '://'", path);
    GEN_TRY(gen_output_open(&w->output, path, force, true));
    if (failed(w, nc_create(w->output.temporary, NC_NETCDF4 | NC_CLOBBER, &w->nc), "the file"))
        w->nc = -1;
    else
        failed(w, nc_set_fill(w->nc, NC_NOFILL, NULL), "the file");
    return writer_status(w);
}

/* Closes; commits when everything was written. */
static gen_status writer_commit(writer *w)
{
    if (w->nc >= 0) {
        failed(w, nc_close(w->nc), "the end");
        w->nc = -1;
    }
    GEN_TRY(writer_status(w));
    return gen_output_commit(&w->output);
}

static void writer_abort(writer *w)
{
    if (w->nc >= 0)
        nc_close(w->nc);
    w->nc = -1;
    gen_output_abort(&w->output);
}

static void compress(writer *w, int variable, int level)
{
    if (w->code == NC_NOERR && level > 0)
        failed(w, nc_def_var_deflate(w->nc, variable, 1, 1, level), "compression");
}

/* ---- forecasts --------------------------------------------------------------------------- */

static gen_status check_info(const gen_forecast_info *o)
{
    const gen_radar_grid *g = o->grid;
    if (!g || g->height < 1 || g->width < 1 || g->height > DIMENSION_LIMIT ||
        g->width > DIMENSION_LIMIT)
        return gen_fail(GEN_EINVAL, "forecast: no grid, or one of more than %d cells a side",
                        DIMENSION_LIMIT);
    if (o->lead_steps < 1 || o->members < 1 || o->step < 1 || o->lead_steps > 100000 ||
        o->members > 100000)
        return gen_fail(GEN_EINVAL,
                        "forecast: %lld members of %lld steps of %lld s, expected 1 or "
                        "more of each",
                        (long long)o->members, (long long)o->lead_steps, (long long)o->step);
    if (o->deflate < -1 || o->deflate > 9)
        return gen_fail(GEN_EINVAL, "forecast: compression %d, expected -1 to 9", o->deflate);
    return GEN_OK;
}

static void define_rain(gen_forecast *f, const gen_forecast_info *o, const int dims[4], int crs)
{
    writer *w = &f->w;
    f->rain = put_variable(w, "rain_rate", o->floats ? NC_FLOAT : NC_SHORT, 4, dims);
    if (w->code != NC_NOERR)
        return;
    const size_t chunk[4] = { 1, 1, (size_t)f->height, (size_t)f->width };
    const short missing = PACKED_MISSING;
    const float no_number = NAN, scale = PACKED_STEP, offset = PACKED_OFFSET;
    failed(w, nc_def_var_chunking(w->nc, f->rain, NC_CHUNKED, chunk), "chunks");
    compress(w, f->rain, o->deflate ? o->deflate : 1);
    failed(w,
           nc_put_att(w->nc, f->rain, "_FillValue", o->floats ? NC_FLOAT : NC_SHORT, 1,
                      o->floats ? (const void *)&no_number : &missing),
           "_FillValue");
    if (!o->floats) {
        failed(w, nc_put_att_float(w->nc, f->rain, "scale_factor", NC_FLOAT, 1, &scale), "scale");
        failed(w, nc_put_att_float(w->nc, f->rain, "add_offset", NC_FLOAT, 1, &offset), "offset");
    }
    put_texts(w, f->rain,
              (const char *const[]){ "standard_name", "lwe_precipitation_rate", "long_name",
                                     "forecast rain rate", "units", "mm h-1", "coordinates",
                                     "forecast_period forecast_reference_time", "grid_mapping",
                                     crs >= 0 ? "crs" : NULL, NULL });
}

/* time, forecast_period, forecast_reference_time, realization with their values. */
static void define_times(gen_forecast *f, const gen_forecast_info *o, const int dims[4], int ids[4])
{
    writer *w = &f->w;
    static const char *const seconds = "seconds since 1970-01-01 00:00:00";
    ids[0] = put_variable(w, "realization", NC_INT, 1, &dims[0]);
    put_texts(w, ids[0],
              (const char *const[]){ "standard_name", "realization", "long_name",
                                     "number of the member", "units", "1", NULL });
    ids[1] = put_variable(w, "time", NC_DOUBLE, 1, &dims[1]);
    put_texts(w, ids[1],
              (const char *const[]){ "standard_name", "time", "long_name", "valid time", "units",
                                     seconds, "calendar", "standard", "axis", "T", NULL });
    ids[2] = put_variable(w, "forecast_period", NC_DOUBLE, 1, &dims[1]);
    put_texts(w, ids[2],
              (const char *const[]){ "standard_name", "forecast_period", "long_name", "lead time",
                                     "units", "minutes", NULL });
    ids[3] = put_variable(w, "forecast_reference_time", NC_DOUBLE, 0, NULL);
    put_texts(w, ids[3],
              (const char *const[]){ "standard_name", "forecast_reference_time", "long_name",
                                     "time of the newest observation", "units", seconds, "calendar",
                                     "standard", NULL });
    (void)o;
}

static void put_one(writer *w, int variable, size_t i, double v, const char *what)
{
    if (w->code == NC_NOERR)
        failed(w, nc_put_var1_double(w->nc, variable, &i, &v), what);
}

static gen_status define_forecast(gen_forecast *f, const gen_forecast_info *o)
{
    writer *w = &f->w;
    int grid[3], times[4];
    const int dims[4] = { put_dimension(w, "realization", f->members),
                          put_dimension(w, "time", f->lead_steps), put_dimension(w, "y", f->height),
                          put_dimension(w, "x", f->width) };
    GEN_TRY(writer_status(w));
    define_times(f, o, dims, times);
    GEN_TRY(put_grid(w, o->grid, dims + 2, grid));
    define_rain(f, o, dims, grid[2]);
    put_texts(w, NC_GLOBAL, (const char *const[]){ "Conventions", "CF-1.8", NULL });
    put_text(w, NC_GLOBAL, "title", o->title ? o->title : "Rain rate forecast");
    put_text(w, NC_GLOBAL, "source", o->source);
    put_text(w, NC_GLOBAL, "history", o->history);
    if (w->code == NC_NOERR)
        failed(w, nc_enddef(w->nc), "the header");
    put_grid_values(w, o->grid, grid);
    for (int64_t i = 0; i < f->members; i++)
        put_one(w, times[0], (size_t)i, (double)i, "realization");
    for (int64_t i = 0; i < f->lead_steps; i++) {
        double lead = (double)((i + 1) * o->step);
        put_one(w, times[1], (size_t)i, (double)o->reference_time + lead, "time");
        put_one(w, times[2], (size_t)i, lead / 60, "forecast_period");
    }
    put_one(w, times[3], 0, (double)o->reference_time, "forecast_reference_time");
    return writer_status(w);
}

gen_status gen_forecast_create(gen_forecast **out, const char *path, const gen_forecast_info *o)
{
    gen_status status;
    gen_forecast *f = NULL;
    *out = NULL;
    GEN_TRY(check_info(o));
    GEN_TRY(GEN_ALLOC(&f, 1, "forecast"));
    f->w.nc = -1;
    f->height = o->grid->height;
    f->width = o->grid->width;
    f->lead_steps = o->lead_steps;
    f->members = o->members;
    f->floats = o->floats;
    GEN_GOTO(GEN_ALLOC(&f->written, f->members, "forecast: members"));
    if (!f->floats)
        GEN_GOTO(gen_alloc_raw(&f->packed, (uint64_t)(f->height * f->width), sizeof(int16_t),
                               "forecast: a frame"));
    gen_netcdf_lock();
    status = writer_open(&f->w, path, o->force);
    if (status == GEN_OK)
        status = define_forecast(f, o);
    gen_netcdf_unlock();
    if (status == GEN_OK) {
        *out = f;
        f = NULL;
    }
done:
    gen_forecast_free(&f);
    return status;
}

/* Packs one frame; counts what does not fit. */
static void pack(gen_forecast *f, const float *rain)
{
    int16_t *to = f->packed;
    int64_t n = f->height * f->width, clipped = 0;
    for (int64_t i = 0; i < n; i++) {
        float v = rain[i];
        if (isnan(v)) {
            to[i] = PACKED_MISSING;
            continue;
        }
        clipped += v > PACKED_MAX;
        v = v < 0 ? 0 : v > PACKED_MAX ? PACKED_MAX : v;
        to[i] = (int16_t)((int)(v * 128 + 0.5f) - 32767);
    }
    f->clipped += clipped;
}

gen_status gen_forecast_write(gen_forecast *f, int64_t member, const float *rain)
{
    if (member < 0 || member >= f->members || f->written[member])
        return gen_fail(GEN_EINVAL, "forecast: member %lld of %lld %s", (long long)member,
                        (long long)f->members,
                        member >= 0 && member < f->members ? "is written already"
                                                           : "does not exist");
    writer *w = &f->w;
    gen_netcdf_lock();
    for (int64_t s = 0; s < f->lead_steps && w->code == NC_NOERR; s++) {
        const float *frame = rain + s * f->height * f->width;
        const size_t start[4] = { (size_t)member, (size_t)s, 0, 0 };
        const size_t count[4] = { 1, 1, (size_t)f->height, (size_t)f->width };
        if (f->floats) {
            failed(w, nc_put_vara_float(w->nc, f->rain, start, count, frame), "rain_rate");
        } else {
            pack(f, frame);
            failed(w, nc_put_vara_short(w->nc, f->rain, start, count, f->packed), "rain_rate");
        }
    }
    gen_netcdf_unlock();
    f->written[member] = w->code == NC_NOERR;
    return writer_status(w);
}

gen_status gen_forecast_commit(gen_forecast *f)
{
    for (int64_t i = 0; i < f->members; i++)
        if (!f->written[i])
            return gen_fail(GEN_EINVAL, "forecast: member %lld of %lld was not written",
                            (long long)i, (long long)f->members);
    if (f->clipped)
        gen_log(GEN_LOG_WARN, "forecast: %lld values above %.0f mm/h are written as that",
                (long long)f->clipped, (double)PACKED_MAX);
    gen_netcdf_lock();
    gen_status status = writer_commit(&f->w);
    gen_netcdf_unlock();
    return status;
}

void gen_forecast_free(gen_forecast **forecast)
{
    gen_forecast *f = *forecast;
    *forecast = NULL;
    if (!f)
        return;
    gen_netcdf_lock();
    writer_abort(&f->w);
    gen_netcdf_unlock();
    gen_free(f->written);
    gen_free(f->packed);
    gen_free(f);
}

/* ---- sequences --------------------------------------------------------------------------- */

static gen_status define_sequence(writer *w, const gen_radar_sequence *s, double step,
                                  const char *history, int *rain)
{
    int grid[3], time;
    const unsigned short missing = SEQUENCE_MISSING;
    const int dims[3] = { put_dimension(w, "time", s->frames),
                          put_dimension(w, "y", s->grid.height),
                          put_dimension(w, "x", s->grid.width) };
    GEN_TRY(writer_status(w));
    time = put_variable(w, "time", NC_INT64, 1, &dims[0]);
    put_texts(w, time,
              (const char *const[]){ "standard_name", "time", "units",
                                     "seconds since 1970-01-01 00:00:00", "calendar", "standard",
                                     "axis", "T", NULL });
    GEN_TRY(put_grid(w, &s->grid, dims + 1, grid));
    *rain = put_variable(w, "rain_rate", NC_USHORT, 3, dims);
    GEN_TRY(writer_status(w));
    const size_t chunk[3] = { 1, (size_t)s->grid.height, (size_t)s->grid.width };
    failed(w, nc_def_var_chunking(w->nc, *rain, NC_CHUNKED, chunk), "chunks");
    compress(w, *rain, 9);
    failed(w, nc_put_att_ushort(w->nc, *rain, "_FillValue", NC_USHORT, 1, &missing), "_FillValue");
    put_double(w, *rain, "scale_factor", step);
    put_double(w, *rain, "add_offset", 0);
    put_texts(w, *rain,
              (const char *const[]){ "standard_name", "lwe_precipitation_rate", "long_name",
                                     "rain rate", "units", "mm h-1", "grid_mapping",
                                     grid[2] >= 0 ? "crs" : NULL, NULL });
    put_texts(w, NC_GLOBAL,
              (const char *const[]){ "Conventions", "CF-1.8", "source", s->source, "history",
                                     history, NULL });
    put_double(w, NC_GLOBAL, "time_step_seconds", (double)s->step);
    if (w->code == NC_NOERR)
        failed(w, nc_enddef(w->nc), "the header");
    put_grid_values(w, &s->grid, grid);
    long long *times = NULL;
    GEN_TRY(GEN_ALLOC(&times, s->frames, "times"));
    for (int64_t i = 0; i < s->frames; i++)
        times[i] = (long long)s->time[i];
    if (w->code == NC_NOERR)
        failed(w, nc_put_var_longlong(w->nc, time, times), "time");
    gen_free(times);
    return writer_status(w);
}

static gen_status put_frames(writer *w, const gen_radar_sequence *s, double step, int rain)
{
    unsigned short *packed = NULL;
    int64_t n = s->grid.height * s->grid.width;
    GEN_TRY(GEN_ALLOC(&packed, n, "a frame"));
    for (int64_t f = 0; f < s->frames && w->code == NC_NOERR; f++) {
        const float *from = s->rain + f * n;
        for (int64_t i = 0; i < n; i++) {
            double v = floor((double)from[i] / step + 0.5);
            packed[i] = isnan(from[i]) ? SEQUENCE_MISSING
                                       : (unsigned short)(v < 0       ? 0
                                                          : v > 65534 ? 65534
                                                                      : v);
        }
        const size_t start[3] = { (size_t)f, 0, 0 };
        const size_t count[3] = { 1, (size_t)s->grid.height, (size_t)s->grid.width };
        failed(w, nc_put_vara_ushort(w->nc, rain, start, count, packed), "rain_rate");
    }
    gen_free(packed);
    return writer_status(w);
}

gen_status gen_radar_write(const gen_radar_sequence *s, const char *path, double precision,
                           const char *history, bool force)
{
    gen_status status;
    writer w = { .nc = -1 };
    double step = precision > 0 ? precision : 0.01;
    int rain;
    gen_netcdf_lock();
    GEN_GOTO(writer_open(&w, path, force));
    GEN_GOTO(define_sequence(&w, s, step, history, &rain));
    GEN_GOTO(put_frames(&w, s, step, rain));
    GEN_GOTO(writer_commit(&w));
done:
    writer_abort(&w);
    gen_netcdf_unlock();
    return status;
}
