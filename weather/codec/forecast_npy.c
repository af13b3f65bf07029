/* SPDX-License-Identifier: Apache-2.0
 *
 * Forecasts of a build without codecs: a .npy array [members,lead times,rows,columns] of float32,
 * mm/h, NaN = missing, streamed member by member. Products go nowhere here.
 */
#include <string.h>

#include <libgen/products.h>

#include "libgen/base/alloc.h"
#include "libgen/base/file.h"
#include "weather/codec/codec.h"

enum { HEADER = 128 };

struct gen_forecast {
    gen_output output;
    int64_t cells, members, missing; /* of a member; to be written */
    int64_t dim[4];
};

static gen_status failed(const gen_forecast *f)
{
    return gen_fail(GEN_EIO, "'%s': could not be written", f->output.path);
}

static gen_status put_header(gen_forecast *f)
{
    char text[HEADER + 1];
    const int64_t *d = f->dim;
    snprintf(text, sizeof text,
             "{'descr': '<f4', 'fortran_order': False, 'shape': (%lld, %lld, %lld, %lld), }",
             (long long)f->members, (long long)d[1], (long long)d[2], (long long)d[3]);
    const unsigned char magic[10] = { 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, HEADER - 10, 0 };
    bool fine = fseek(f->output.file, 0, SEEK_SET) == 0 &&
                fwrite(magic, 1, sizeof magic, f->output.file) == sizeof magic &&
                fprintf(f->output.file, "%-*s\n", HEADER - 11, text) == HEADER - 10;
    return fine ? GEN_OK : failed(f);
}

gen_status gen_forecast_create(gen_forecast **out, const char *path, const gen_forecast_info *o)
{
    gen_forecast *f;
    const gen_radar_grid *g = o->grid;
    *out = NULL;
    if (!g || g->height < 1 || g->width < 1 || o->lead_steps < 1 || o->members < 1)
        return gen_fail(GEN_EINVAL, "forecast: no grid, members or lead times");
    if (o->without_members)
        return gen_fail(GEN_EUNSUPPORTED, "'%s': products need netCDF, and this build has none",
                        path);
    GEN_TRY(GEN_ALLOC(&f, 1, "forecast"));
    f->members = f->missing = o->members;
    f->dim[1] = o->lead_steps;
    f->dim[2] = g->height;
    f->dim[3] = g->width;
    f->cells = o->lead_steps * g->height * g->width;
    gen_status status = gen_output_open(&f->output, path, o->force, false);
    if (status != GEN_OK)
        gen_forecast_free(&f);
    *out = f;
    return status;
}

gen_status gen_forecast_write(gen_forecast *f, int64_t member, const float *rain)
{
    if (member < 0 || member >= f->members)
        return gen_fail(GEN_EINVAL, "forecast: member %lld of %lld", (long long)member,
                        (long long)f->members);
    off_t at = HEADER + (off_t)member * f->cells * (off_t)sizeof *rain;
    size_t n = (size_t)f->cells;
    if (fseeko(f->output.file, at, SEEK_SET) != 0 ||
        fwrite(rain, sizeof *rain, n, f->output.file) != n)
        return failed(f);
    f->missing--;
    return GEN_OK;
}

gen_status gen_forecast_shorten(gen_forecast *f, int64_t members)
{
    f->missing -= f->members - members;
    f->members = members;
    return GEN_OK;
}

gen_status gen_forecast_comment(gen_forecast *f, const char *text)
{
    (void)f;
    (void)text; /* an array has no room for it */
    return GEN_OK;
}

gen_status gen_forecast_commit(gen_forecast *f)
{
    if (f->missing)
        return gen_fail(GEN_EINVAL, "forecast: %lld members were not written",
                        (long long)f->missing);
    GEN_TRY(put_header(f));
    return gen_output_commit(&f->output);
}

void gen_forecast_free(gen_forecast **f)
{
    if (*f)
        gen_output_abort(&(*f)->output);
    gen_free(*f);
    *f = NULL;
}

/* ---- what needs a library -------------------------------------------------------------------- */

static gen_status none(const char *what, const char *library)
{
    return gen_fail(GEN_EUNSUPPORTED, "%s need %s, and this build has none", what, library);
}

gen_status gen_products_add(gen_forecast *f, const gen_products_options *o,
                            const gen_products_info *info)
{
    (void)f, (void)o, (void)info;
    return none("products", "netCDF");
}

gen_status gen_products_write(gen_forecast_file *f, const char *path, const gen_products_options *o,
                              const gen_products_info *info)
{
    (void)f, (void)path, (void)o, (void)info;
    return none("products", "netCDF");
}

gen_status gen_radar_write(const gen_radar_sequence *s, const char *path, double precision,
                           const char *history, bool force)
{
    (void)s, (void)path, (void)precision, (void)history, (void)force;
    return none("sequences", "netCDF");
}

gen_status gen_radar_write_odim(const gen_radar_sequence *s, int64_t frame, const char *path,
                                double precision, const char *history, bool force)
{
    (void)s, (void)frame, (void)path, (void)precision, (void)history, (void)force;
    return none("ODIM files", "HDF5");
}

gen_status gen_radar_write_geotiff(const gen_radar_sequence *s, int64_t frame, const char *path,
                                   double precision, const char *history, bool force)
{
    (void)s, (void)frame, (void)path, (void)precision, (void)history, (void)force;
    return none("GeoTIFF files", "libtiff");
}
