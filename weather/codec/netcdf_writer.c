/* SPDX-License-Identifier: Apache-2.0
 *
 * What all netCDF files that we write share (CF 1.8).
 */
#include "weather/codec/netcdf_writer.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "libgen/base/json.h"
#include "weather/projection.h"

#define MAX_NUMBERS 64 /* of an attribute */

/* ---- the file ---------------------------------------------------------------------------- */

bool gen_netcdf_failed(gen_netcdf_writer *w, int code, const char *what)
{
    if (w->code == NC_NOERR && code != NC_NOERR) {
        w->code = code;
        w->system = errno;
        w->what = what;
    }
    return w->code != NC_NOERR;
}

gen_status gen_netcdf_writer_status(const gen_netcdf_writer *w)
{
    if (w->code == NC_NOERR)
        return GEN_OK;
    bool full = w->system == ENOSPC || w->system == EDQUOT || w->system == EFBIG;
    return gen_fail(full || w->code == NC_ENOMEM ? GEN_ENOMEM : GEN_EIO, "%s: cannot write %s: %s",
                    w->output.path, w->what, full ? strerror(w->system) : nc_strerror(w->code));
}

gen_status gen_netcdf_create(gen_netcdf_writer *w, const char *path, bool force)
{
    w->nc = -1;
    if (strstr(path, "://")) /* netCDF would take it for an address */
        return gen_fail(GEN_EINVAL, "'%s': a file name must not hold '://'", path);
    GEN_TRY(gen_output_open(&w->output, path, force, true));
    int code = nc_create(w->output.temporary, NC_NETCDF4 | NC_CLOBBER, &w->nc);
    if (gen_netcdf_failed(w, code, "the file"))
        w->nc = -1;
    else
        gen_netcdf_failed(w, nc_set_fill(w->nc, NC_NOFILL, NULL), "the file");
    return gen_netcdf_writer_status(w);
}

gen_status gen_netcdf_commit(gen_netcdf_writer *w)
{
    if (w->nc >= 0) {
        gen_netcdf_failed(w, nc_close(w->nc), "the end");
        w->nc = -1;
    }
    GEN_TRY(gen_netcdf_writer_status(w));
    return gen_output_commit(&w->output);
}

void gen_netcdf_abort(gen_netcdf_writer *w)
{
    if (w->nc >= 0)
        nc_close(w->nc);
    w->nc = -1;
    gen_output_abort(&w->output);
}

/* ---- definitions ------------------------------------------------------------------------- */

void gen_netcdf_text(gen_netcdf_writer *w, int variable, const char *name, const char *text)
{
    if (text && w->code == NC_NOERR)
        gen_netcdf_failed(w, nc_put_att_text(w->nc, variable, name, strlen(text), text), name);
}

void gen_netcdf_texts(gen_netcdf_writer *w, int variable, const char *const *pairs)
{
    for (; pairs[0]; pairs += 2)
        gen_netcdf_text(w, variable, pairs[0], pairs[1]);
}

static void put_numbers(gen_netcdf_writer *w, int variable, const char *name, size_t n,
                        const double *v)
{
    if (w->code == NC_NOERR)
        gen_netcdf_failed(w, nc_put_att_double(w->nc, variable, name, NC_DOUBLE, n, v), name);
}

void gen_netcdf_number(gen_netcdf_writer *w, int variable, const char *name, double v)
{
    put_numbers(w, variable, name, 1, &v);
}

int gen_netcdf_dimension(gen_netcdf_writer *w, const char *name, int64_t n)
{
    int id = -1;
    if (w->code == NC_NOERR)
        gen_netcdf_failed(w, nc_def_dim(w->nc, name, n ? (size_t)n : NC_UNLIMITED, &id), name);
    return id;
}

int gen_netcdf_variable(gen_netcdf_writer *w, const char *name, nc_type type, int rank,
                        const int *dims)
{
    int id = -1;
    if (w->code == NC_NOERR)
        gen_netcdf_failed(w, nc_def_var(w->nc, name, type, rank, dims, &id), name);
    return id;
}

void gen_netcdf_chunk(gen_netcdf_writer *w, int variable, int rank, int64_t height, int64_t width,
                      int level)
{
    size_t chunk[NC_MAX_VAR_DIMS > 8 ? 8 : NC_MAX_VAR_DIMS];
    for (int i = 0; i < rank - 2; i++)
        chunk[i] = 1;
    chunk[rank - 2] = (size_t)height;
    chunk[rank - 1] = (size_t)width;
    if (w->code == NC_NOERR)
        gen_netcdf_failed(w, nc_def_var_chunking(w->nc, variable, NC_CHUNKED, chunk), "chunks");
    if (w->code == NC_NOERR) /* else 16 MB a variable */
        gen_netcdf_failed(w, nc_set_var_chunk_cache(w->nc, variable, 1, 1, 0), "chunks");
    if (w->code == NC_NOERR && level > 0)
        gen_netcdf_failed(w, nc_def_var_deflate(w->nc, variable, 1, 1, level), "compression");
}

void gen_netcdf_end_definitions(gen_netcdf_writer *w)
{
    if (w->code == NC_NOERR)
        gen_netcdf_failed(w, nc_enddef(w->nc), "the header");
}

void gen_netcdf_put(gen_netcdf_writer *w, int variable, size_t i, double v)
{
    if (w->code == NC_NOERR)
        gen_netcdf_failed(w, nc_put_var1_double(w->nc, variable, &i, &v), "coordinates");
}

/* ---- rain -------------------------------------------------------------------------------- */

#define PACKED_STEP (1.0f / 128) /* mm/h or mm */
#define PACKED_OFFSET (32767.0f / 128)
#define PACKED_MISSING (-32768)
#define PACKED_MAX ((float)GEN_NETCDF_MOST_RAIN)

void gen_netcdf_define_rain(gen_netcdf_writer *w, const char *name, int rank, const int *dims,
                            int64_t rows, int64_t width, int level, const char *units,
                            gen_netcdf_rain *out)
{
    const short missing = PACKED_MISSING;
    const float no_number = NAN, scale = PACKED_STEP, offset = PACKED_OFFSET;
    const nc_type type = out->floats ? NC_FLOAT : NC_SHORT;
    out->rank = rank;
    out->width = width;
    out->id = gen_netcdf_variable(w, name, type, rank, dims);
    gen_netcdf_chunk(w, out->id, rank, rows, width, level);
    if (w->code != NC_NOERR)
        return;
    const void *fill = out->floats ? (const void *)&no_number : &missing;
    gen_netcdf_failed(w, nc_put_att(w->nc, out->id, "_FillValue", type, 1, fill), "_FillValue");
    if (!out->floats) {
        gen_netcdf_failed(w, nc_put_att_float(w->nc, out->id, "scale_factor", NC_FLOAT, 1, &scale),
                          "scale");
        gen_netcdf_failed(w, nc_put_att_float(w->nc, out->id, "add_offset", NC_FLOAT, 1, &offset),
                          "offset");
    }
    gen_netcdf_text(w, out->id, "units", units);
}

/* Packs; counts what does not fit. */
static void pack(gen_netcdf_rain *v, const float *rain, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float x = rain[i];
        if (isnan(x)) {
            v->packed[i] = PACKED_MISSING;
            continue;
        }
        v->clipped += x > PACKED_MAX;
        x = x < 0 ? 0 : x > PACKED_MAX ? PACKED_MAX : x;
        v->packed[i] = (int16_t)((int)(x * 128 + 0.5f) - 32767);
    }
}

/* count of `rows` rows; room for them as they are packed. */
static gen_status rain_place(gen_netcdf_rain *v, int64_t rows, size_t count[NC_MAX_VAR_DIMS])
{
    for (int i = 0; i < v->rank - 2; i++)
        count[i] = 1;
    count[v->rank - 2] = (size_t)rows;
    count[v->rank - 1] = (size_t)v->width;
    uint64_t need = (uint64_t)(rows * v->width);
    if (v->floats || need <= v->room)
        return GEN_OK;
    gen_netcdf_rain_free(v);
    GEN_TRY(gen_alloc_raw((void **)&v->packed, need, sizeof *v->packed, "rain as it is packed"));
    v->room = need;
    return GEN_OK;
}

gen_status gen_netcdf_put_rain(gen_netcdf_writer *w, gen_netcdf_rain *v, const size_t *start,
                               int64_t rows, const float *rain)
{
    size_t count[NC_MAX_VAR_DIMS];
    GEN_TRY(rain_place(v, rows, count));
    if (!v->floats)
        pack(v, rain, rows * v->width);
    if (w->code == NC_NOERR)
        gen_netcdf_failed(w,
                          v->floats ? nc_put_vara_float(w->nc, v->id, start, count, rain)
                                    : nc_put_vara_short(w->nc, v->id, start, count, v->packed),
                          "rain");
    return gen_netcdf_writer_status(w);
}

gen_status gen_netcdf_get_rain(gen_netcdf_writer *w, gen_netcdf_rain *v, const size_t *start,
                               int64_t rows, float *rain)
{
    size_t count[NC_MAX_VAR_DIMS];
    GEN_TRY(gen_netcdf_writer_status(w));
    GEN_TRY(rain_place(v, rows, count));
    int code = v->floats ? nc_get_vara_float(w->nc, v->id, start, count, rain)
                         : nc_get_vara_short(w->nc, v->id, start, count, v->packed);
    if (code != NC_NOERR)
        return gen_fail(GEN_EIO, "%s: cannot read members back: %s", w->output.path,
                        nc_strerror(code));
    for (int64_t i = 0; i < rows * v->width && !v->floats; i++)
        rain[i] = v->packed[i] == PACKED_MISSING ? NAN : (float)(v->packed[i] + 32767) / 128;
    return GEN_OK;
}

void gen_netcdf_rain_free(gen_netcdf_rain *v)
{
    gen_free(v->packed);
    v->packed = NULL;
    v->room = 0;
}

void gen_netcdf_put_pair(gen_netcdf_writer *w, int variable, size_t i, double from, double to)
{
    const size_t start[2] = { i, 0 }, count[2] = { 1, 2 };
    const double pair[2] = { from, to };
    if (w->code == NC_NOERR)
        gen_netcdf_failed(w, nc_put_vara_double(w->nc, variable, start, count, pair), "bounds");
}

/* ---- the grid mapping -------------------------------------------------------------------- */

static gen_status put_attribute(gen_netcdf_writer *w, int crs, const gen_json *v)
{
    const char *name = gen_json_key(v), *text;
    double numbers[MAX_NUMBERS];
    size_t n = 0;
    if (gen_json_kind_of(v) == GEN_JSON_STRING) {
        GEN_TRY(gen_json_string(v, NULL, &text));
        gen_netcdf_text(w, crs, name, text);
    } else if (gen_json_kind_of(v) == GEN_JSON_NUMBER) {
        GEN_TRY(gen_json_real(v, NULL, &numbers[0]));
        put_numbers(w, crs, name, 1, numbers);
    } else if (gen_json_kind_of(v) == GEN_JSON_ARRAY) {
        for (const gen_json *e = gen_json_first(v); e && n < MAX_NUMBERS; e = gen_json_next(e))
            if (gen_json_kind_of(e) == GEN_JSON_NUMBER)
                GEN_TRY(gen_json_real(e, NULL, &numbers[n++]));
        if (n)
            put_numbers(w, crs, name, n, numbers);
    }
    return GEN_OK;
}

/* Attributes as they were read, and CF's for the PROJ string: all of them when the file had no
 * grid_mapping_name, else crs_wkt when it had none. */
typedef struct mapping {
    gen_json *read, *made; /* either may be NULL */
    const char *proj;      /* to be written beside them */
} mapping;

static void free_mapping(mapping *m)
{
    gen_json_free(&m->read);
    gen_json_free(&m->made);
}

static gen_status parse(gen_json **out, const char *text)
{
    return gen_json_parse(out, text, strlen(text), 1 << 24);
}

static gen_status find_mapping(const gen_radar_grid *g, mapping *m)
{
    gen_status status = GEN_OK;
    char *proj = NULL, *name = NULL, *attributes = NULL;
    *m = (mapping){ .proj = g->proj4 };
    if (g->attributes)
        GEN_GOTO(parse(&m->read, g->attributes));
    status = gen_projection_string(g, &proj);
    if (status == GEN_OK && proj)
        status = gen_projection_cf(proj, &name, &attributes);
    if (status == GEN_EDATA) {
        gen_log(GEN_LOG_WARN, "the projection is written as it was read: %s", gen_last_error());
        status = GEN_OK;
    }
    if (status == GEN_OK && attributes)
        status = parse(&m->made, attributes);
done:
    gen_free(proj);
    gen_free(name);
    gen_free(attributes);
    if (status != GEN_OK)
        free_mapping(m);
    return status;
}

static const gen_json *mapping_value(const mapping *m, const char *key)
{
    const gen_json *v = m->read ? gen_json_get(m->read, key) : NULL;
    return v || !m->made ? v : gen_json_get(m->made, key);
}

static gen_status put_mapping(gen_netcdf_writer *w, int crs, const mapping *m)
{
    bool named = m->read && gen_json_get(m->read, "grid_mapping_name");
    for (const gen_json *v = m->read ? gen_json_first(m->read) : NULL; v; v = gen_json_next(v))
        GEN_TRY(put_attribute(w, crs, v));
    for (const gen_json *v = m->made ? gen_json_first(m->made) : NULL; v; v = gen_json_next(v))
        if (!(m->read && gen_json_get(m->read, gen_json_key(v))) &&
            (!named || strcmp(gen_json_key(v), "crs_wkt") == 0))
            GEN_TRY(put_attribute(w, crs, v));
    if (m->proj && !(m->read && gen_json_get(m->read, "proj4")))
        gen_netcdf_text(w, crs, "proj4", m->proj);
    return GEN_OK;
}

/* ---- the grid ---------------------------------------------------------------------------- */

enum { METRES, DEGREES, ROTATED, ANGLES, KINDS };

static const char *const axes[KINDS][2][9] = {
    [METRES] = { { "standard_name", "projection_y_coordinate", "long_name", "y of cell centres",
                   "units", "m", "axis", "Y", NULL },
                 { "standard_name", "projection_x_coordinate", "long_name", "x of cell centres",
                   "units", "m", "axis", "X", NULL } },
    [DEGREES] = { { "standard_name", "latitude", "long_name", "latitude of cell centres", "units",
                    "degrees_north", "axis", "Y", NULL },
                  { "standard_name", "longitude", "long_name", "longitude of cell centres", "units",
                    "degrees_east", "axis", "X", NULL } },
    [ROTATED] = { { "standard_name", "grid_latitude", "long_name", "latitude from the rotated pole",
                    "units", "degrees", "axis", "Y", NULL },
                  { "standard_name", "grid_longitude", "long_name",
                    "longitude from the rotated pole", "units", "degrees", "axis", "X", NULL } },
    [ANGLES] = { { "standard_name", "projection_y_angular_coordinate", "long_name",
                   "angle of view to the north", "units", "radian", "axis", "Y", NULL },
                 { "standard_name", "projection_x_angular_coordinate", "long_name",
                   "angle of view to the east", "units", "radian", "axis", "X", NULL } },
};

/* What y and x are, and how many metres or degrees one of them is: a geostationary view is written
 * in radians, as CF wants it. */
static gen_status axis_kind(const gen_radar_grid *g, const mapping *m, int *kind, double *unit)
{
    const char *name = "";
    const gen_json *named = mapping_value(m, "grid_mapping_name");
    if (named && gen_json_kind_of(named) == GEN_JSON_STRING)
        GEN_TRY(gen_json_string(named, NULL, &name));
    *unit = 1;
    *kind = g->degrees ? DEGREES : METRES;
    if (strcmp(name, "rotated_latitude_longitude") == 0)
        *kind = ROTATED;
    const gen_json *height = mapping_value(m, "perspective_point_height");
    if (strcmp(name, "geostationary") == 0 && height && gen_json_real(height, NULL, unit) == GEN_OK)
        *kind = ANGLES;
    return GEN_OK;
}

static void define_latitudes(gen_netcdf_writer *w, gen_netcdf_grid *out)
{
    const gen_radar_grid *g = out->grid;
    out->lat = gen_netcdf_variable(w, "lat", NC_DOUBLE, 2, out->dims);
    gen_netcdf_texts(
        w, out->lat,
        (const char *const[]){ "standard_name", "latitude", "units", "degrees_north", NULL });
    out->lon = gen_netcdf_variable(w, "lon", NC_DOUBLE, 2, out->dims);
    gen_netcdf_texts(
        w, out->lon,
        (const char *const[]){ "standard_name", "longitude", "units", "degrees_east", NULL });
    gen_netcdf_chunk(w, out->lat, 2, g->height, g->width, 1);
    gen_netcdf_chunk(w, out->lon, 2, g->height, g->width, 1);
}

gen_status gen_netcdf_define_grid(gen_netcdf_writer *w, const gen_radar_grid *g, bool latitudes,
                                  gen_netcdf_grid *out)
{
    gen_status status;
    mapping m;
    int kind;
    *out = (gen_netcdf_grid){ .grid = g, .crs = -1, .lat = -1, .lon = -1 };
    GEN_TRY(find_mapping(g, &m));
    GEN_GOTO(axis_kind(g, &m, &kind, &out->unit));
    out->dims[0] = gen_netcdf_dimension(w, "y", g->height);
    out->dims[1] = gen_netcdf_dimension(w, "x", g->width);
    out->y = gen_netcdf_variable(w, "y", NC_DOUBLE, 1, &out->dims[0]);
    gen_netcdf_texts(w, out->y, axes[kind][0]);
    out->x = gen_netcdf_variable(w, "x", NC_DOUBLE, 1, &out->dims[1]);
    gen_netcdf_texts(w, out->x, axes[kind][1]);
    if (m.proj || m.read || m.made) {
        out->crs = gen_netcdf_variable(w, "crs", NC_INT, 0, NULL);
        GEN_GOTO(put_mapping(w, out->crs, &m));
    }
    bool nameless = m.made && !mapping_value(&m, "grid_mapping_name");
    if (m.made && kind != DEGREES && (latitudes || nameless))
        define_latitudes(w, out);
    status = gen_netcdf_writer_status(w);
done:
    free_mapping(&m);
    return status;
}

void gen_netcdf_place(gen_netcdf_writer *w, int variable, const gen_netcdf_grid *g,
                      const char *coordinates)
{
    char text[200];
    const char *places = g->lat >= 0 ? "lat lon" : "";
    snprintf(text, sizeof text, "%s%s%s", coordinates ? coordinates : "",
             coordinates && places[0] ? " " : "", places);
    gen_netcdf_text(w, variable, "coordinates", text[0] ? text : NULL);
    gen_netcdf_text(w, variable, "grid_mapping", g->crs >= 0 ? "crs" : NULL);
}

static gen_status put_axis(gen_netcdf_writer *w, int variable, const double *v, int64_t n,
                           double unit)
{
    double *scaled = NULL;
    if (w->code != NC_NOERR)
        return GEN_OK;
    GEN_TRY(gen_alloc_raw((void **)&scaled, (uint64_t)n, sizeof *scaled, "a coordinate"));
    for (int64_t i = 0; i < n; i++)
        scaled[i] = v[i] / unit;
    gen_netcdf_failed(w, nc_put_var_double(w->nc, variable, scaled), "coordinates");
    gen_free(scaled);
    return GEN_OK;
}

static gen_status put_latitudes(gen_netcdf_writer *w, const gen_netcdf_grid *out)
{
    gen_status status;
    const gen_radar_grid *g = out->grid;
    gen_projection *p = NULL;
    double *lat = NULL, *lon = NULL;
    size_t n = (size_t)(g->height * g->width);
    GEN_GOTO(gen_projection_open(&p, g));
    GEN_GOTO(gen_alloc_raw((void **)&lat, n, sizeof *lat, "latitudes"));
    GEN_GOTO(gen_alloc_raw((void **)&lon, n, sizeof *lon, "longitudes"));
    for (size_t i = 0; i < n; i++)
        if (!gen_projection_inverse(p, g->x[i % (size_t)g->width], g->y[i / (size_t)g->width],
                                    &lat[i], &lon[i]))
            lat[i] = lon[i] = NAN;
    if (w->code == NC_NOERR)
        gen_netcdf_failed(w, nc_put_var_double(w->nc, out->lat, lat), "latitudes");
    if (w->code == NC_NOERR)
        gen_netcdf_failed(w, nc_put_var_double(w->nc, out->lon, lon), "longitudes");
done:
    gen_free(lat);
    gen_free(lon);
    gen_projection_free(&p);
    return status;
}

gen_status gen_netcdf_put_grid(gen_netcdf_writer *w, const gen_netcdf_grid *g)
{
    const int zero = 0;
    GEN_TRY(put_axis(w, g->y, g->grid->y, g->grid->height, g->unit));
    GEN_TRY(put_axis(w, g->x, g->grid->x, g->grid->width, g->unit));
    if (w->code == NC_NOERR && g->crs >= 0)
        gen_netcdf_failed(w, nc_put_var_int(w->nc, g->crs, &zero), "crs");
    if (g->lat >= 0)
        GEN_TRY(put_latitudes(w, g));
    return gen_netcdf_writer_status(w);
}

/* ---- times ------------------------------------------------------------------------------- */

int gen_netcdf_define_time(gen_netcdf_writer *w, const char *name, int64_t n, int *dimension,
                           int *bounds)
{
    char text[NC_MAX_NAME + 1];
    *dimension = gen_netcdf_dimension(w, name, n);
    int id = gen_netcdf_variable(w, name, NC_DOUBLE, 1, dimension);
    gen_netcdf_texts(w, id,
                     (const char *const[]){ "standard_name", "time", "long_name", "valid time",
                                            "units", GEN_NETCDF_SECONDS, "calendar", "standard",
                                            "axis", "T", NULL });
    if (bounds) {
        const int dims[2] = { *dimension, gen_netcdf_dimension(w, "bnds", 2) };
        snprintf(text, sizeof text, "%s_bnds", name);
        *bounds = gen_netcdf_variable(w, text, NC_DOUBLE, 2, dims);
        gen_netcdf_text(w, id, "bounds", text);
    }
    return id;
}

void gen_netcdf_define_leads(gen_netcdf_writer *w, int64_t n, gen_netcdf_leads *out)
{
    out->time = gen_netcdf_define_time(w, "time", n, &out->dimension, NULL);
    out->period = gen_netcdf_variable(w, "forecast_period", NC_DOUBLE, 1, &out->dimension);
    gen_netcdf_texts(w, out->period,
                     (const char *const[]){ "standard_name", "forecast_period", "long_name",
                                            "lead time", "units", "minutes", NULL });
    out->reference = gen_netcdf_variable(w, "forecast_reference_time", NC_DOUBLE, 0, NULL);
    gen_netcdf_texts(w, out->reference,
                     (const char *const[]){ "standard_name", "forecast_reference_time", "long_name",
                                            "time of the newest observation", "units",
                                            GEN_NETCDF_SECONDS, "calendar", "standard", NULL });
}

void gen_netcdf_put_leads(gen_netcdf_writer *w, const gen_netcdf_leads *l, int64_t reference,
                          int64_t step, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double lead = (double)((i + 1) * step);
        gen_netcdf_put(w, l->time, (size_t)i, (double)reference + lead);
        gen_netcdf_put(w, l->period, (size_t)i, lead / 60);
    }
    gen_netcdf_put(w, l->reference, 0, (double)reference);
}
