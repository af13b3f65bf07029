/* SPDX-License-Identifier: Apache-2.0
 *
 * The formats that we read, told apart by the first bytes of a file, never by its name.
 */
#include "weather/codec/codec.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "libgen/base/alloc.h"

/* In this order: netCDF last of those in HDF5, since it takes any. */
static const gen_radar_format *const formats[] = {
#ifdef GEN_WITH_CODECS
    &gen_radar_odim,   &gen_radar_knmi, &gen_radar_pgm,     &gen_radar_radolan,
    &gen_radar_nimrod, &gen_radar_gif,  &gen_radar_png,     &gen_radar_npz,
    &gen_radar_netcdf, &gen_radar_grib, &gen_radar_geotiff,
#endif
    &gen_radar_npy,
};

#define MAX_UNPACKED ((uint64_t)1 << 30) /* bytes of a file in memory, unless the caller says */

/* The one global of the room: HDF5, below netCDF, keeps global state without a lock. */
static pthread_mutex_t netcdf_lock = PTHREAD_MUTEX_INITIALIZER;

void gen_netcdf_lock(void)
{
    pthread_mutex_lock(&netcdf_lock);
}

void gen_netcdf_unlock(void)
{
    pthread_mutex_unlock(&netcdf_lock);
}

/* ---- opening ----------------------------------------------------------------------------- */

static gen_status unknown_format(const char *path, size_t n)
{
    char names[400] = "";
    size_t used = 0;
    for (int i = 0; i < GEN_LEN(formats) && used < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "",
                                 formats[i]->name);
    return gen_fail(GEN_EDATA, "'%s' is %s, expected one of: %s", path,
                    n ? "of an unknown format" : "empty", names);
}

static gen_status load(gen_radar_file *f)
{
    uint64_t limit = f->options->max_bytes ? f->options->max_bytes : MAX_UNPACKED;
    GEN_TRY(gen_radar_load(f->path, limit, &f->loaded, &f->size));
    f->bytes = f->loaded;
    return GEN_OK;
}

/* What most files do not tell. */
static void set_defaults(gen_radar_file *f)
{
    f->factor = 1;
    f->members = 1;
    f->reference = GEN_TIME_UNKNOWN;
}

gen_status gen_radar_file_begin(gen_radar_file *f, const unsigned char *head, size_t n)
{
    const gen_radar_format *format = f->format;
    f->format = NULL; /* nothing to close yet */
    for (int i = 0; i < GEN_LEN(formats) && !format; i++)
        if (formats[i]->recognises(head, n) && (!formats[i]->owns || formats[i]->owns(f->path)))
            format = formats[i];
    if (!format)
        return unknown_format(f->path, n);
    if (format->in_memory)
        GEN_TRY(load(f));
    set_defaults(f);
    f->format = format;
    return format->open(f);
}

static gen_status new_file(gen_radar_file **out, const char *path,
                           const gen_radar_read_options *options)
{
    GEN_TRY(GEN_ALLOC(out, 1, "radar file"));
    (*out)->options = options;
    set_defaults(*out);
    gen_status status = gen_strdup(&(*out)->path, path);
    if (status != GEN_OK)
        gen_radar_file_close(out);
    return status;
}

gen_status gen_radar_known(const char *path, bool *known)
{
    unsigned char head[GEN_RADAR_HEAD] = { 0 };
    size_t n = 0;
    *known = false;
    GEN_TRY(gen_radar_load_head(path, head, &n));
    for (int i = 0; i < GEN_LEN(formats) && !*known; i++)
        *known = formats[i]->recognises(head, n);
    return GEN_OK;
}

gen_status gen_radar_file_open_ensemble(gen_radar_file **out, const char *path,
                                        const gen_radar_read_options *options)
{
    gen_status status;
    unsigned char head[GEN_RADAR_HEAD] = { 0 };
    size_t n = 0;
    gen_radar_file *f = NULL;
    bool known = false, risky = false;
    *out = NULL;
    GEN_TRY(gen_radar_load_head(path, head, &n));
    for (int i = 0; i < GEN_LEN(formats); i++)
        if (formats[i]->recognises(head, n)) {
            known = true;
            risky = risky || formats[i]->risky;
        }
    if (!known)
        return unknown_format(path, n);
    GEN_TRY(new_file(&f, path, options));
    if (options->untrusted || (options->own_process && risky))
        GEN_GOTO(gen_radar_isolate(f, head, n));
    else
        GEN_GOTO(gen_radar_file_begin(f, head, n));
    *out = f;
    f = NULL;
done:
    gen_radar_file_close(&f);
    return status;
}

gen_status gen_radar_file_open(gen_radar_file **out, const char *path,
                               const gen_radar_read_options *options)
{
    GEN_TRY(gen_radar_file_open_ensemble(out, path, options));
    int64_t members = (*out)->members;
    if (members == 1)
        return GEN_OK;
    gen_radar_file_close(out);
    return gen_fail(GEN_EDATA, "'%s' holds %lld members of an ensemble, expected one field a time",
                    path, (long long)members);
}

gen_status gen_radar_file_open_bytes(gen_radar_file **out, const char *path,
                                     const gen_radar_format *format, const unsigned char *bytes,
                                     uint64_t size, const gen_radar_read_options *options)
{
    gen_radar_file *f = NULL;
    *out = NULL;
    GEN_TRY(new_file(&f, path, options));
    f->bytes = bytes;
    f->size = size;
    f->format = format;
    gen_status status = format->open(f);
    if (status != GEN_OK)
        gen_radar_file_close(&f);
    *out = f;
    return status;
}

gen_status gen_radar_file_read(gen_radar_file *f, int64_t frame, float *values)
{
    int64_t n = f->grid.height * f->grid.width;
    bool amount = f->quantity == GEN_RADAR_RATE || f->quantity == GEN_RADAR_DEPTH;
    GEN_TRY(f->format->read(f, frame, values));
    for (int64_t i = 0; i < n && amount; i++)
        values[i] = values[i] >= 0 || values[i] == GEN_UNDETECTED ? values[i] : NAN;
    return GEN_OK;
}

gen_status gen_radar_file_read_rain(gen_radar_file *f, int64_t frame, float *rain)
{
    GEN_TRY(f->format->read(f, frame, rain));
    gen_radar_rate_convert(f, rain, f->grid.height * f->grid.width);
    return GEN_OK;
}

void gen_radar_file_close(gen_radar_file **file)
{
    gen_radar_file *f = *file;
    *file = NULL;
    if (!f)
        return;
    if (f->format)
        f->format->close(f);
    gen_radar_grid_clear(&f->grid);
    gen_free(f->time);
    gen_free(f->name);
    gen_free(f->units);
    gen_free(f->loaded);
    gen_free(f->path);
    gen_free(f);
}

static bool rises(const double *v, int64_t n, double sign)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(v[i]) || (i > 0 && !(sign * (v[i] - v[i - 1]) > 0)))
            return false;
    return true;
}

gen_status gen_radar_check_axes(const gen_radar_file *f)
{
    const gen_radar_grid *g = &f->grid;
    if (rises(g->x, g->width, 1) && rises(g->y, g->height, -1))
        return GEN_OK;
    return gen_fail(GEN_EDATA,
                    "'%s': its %lld x %lld cells would lie from %g, %g to %g, %g: they have no "
                    "size",
                    f->path, (long long)g->height, (long long)g->width, g->x[0], g->y[0],
                    g->x[g->width - 1], g->y[g->height - 1]);
}

void gen_radar_grid_clear(gen_radar_grid *g)
{
    gen_free(g->y);
    gen_free(g->x);
    gen_free(g->proj4);
    gen_free(g->mapping_name);
    gen_free(g->attributes);
    memset(g, 0, sizeof *g);
}

gen_status gen_radar_grid_copy(gen_radar_grid *to, const gen_radar_grid *from)
{
    gen_status status;
    *to =
        (gen_radar_grid){ .height = from->height, .width = from->width, .degrees = from->degrees };
    GEN_GOTO(GEN_ALLOC(&to->y, from->height, "grid: y"));
    GEN_GOTO(GEN_ALLOC(&to->x, from->width, "grid: x"));
    memcpy(to->y, from->y, (size_t)from->height * sizeof(double));
    memcpy(to->x, from->x, (size_t)from->width * sizeof(double));
    if (from->proj4)
        GEN_GOTO(gen_strdup(&to->proj4, from->proj4));
    if (from->mapping_name)
        GEN_GOTO(gen_strdup(&to->mapping_name, from->mapping_name));
    if (from->attributes)
        GEN_GOTO(gen_strdup(&to->attributes, from->attributes));
    status = GEN_OK;
done:
    if (status != GEN_OK)
        gen_radar_grid_clear(to);
    return status;
}

static bool axis_equal(const double *a, const double *b, int64_t n)
{
    double cell = n > 1 ? fabs(a[n - 1] - a[0]) / (double)(n - 1) : fabs(a[0]) + 1;
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(a[i] - b[i]) <= 1e-3 * cell))
            return false;
    return true;
}

bool gen_radar_same_cells(const gen_radar_grid *a, const gen_radar_grid *b)
{
    return a->height == b->height && a->width == b->width && a->degrees == b->degrees &&
           axis_equal(a->y, b->y, a->height) && axis_equal(a->x, b->x, a->width);
}
