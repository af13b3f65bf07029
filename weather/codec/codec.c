/* SPDX-License-Identifier: Apache-2.0
 *
 * The formats that we read, told apart by the first bytes of a file, never by its name.
 */
#include "weather/codec/codec.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "libgen/base/alloc.h"

static const gen_radar_format *const formats[] = { &gen_radar_netcdf };

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

static gen_status read_head(const char *path, unsigned char head[16], size_t *n)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return gen_fail(GEN_EDATA, "cannot read '%s': %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return gen_fail(GEN_EDATA, "'%s' is not a regular file", path);
    FILE *f = fopen(path, "rb");
    if (!f)
        return gen_fail(GEN_EDATA, "cannot read '%s': %s", path, strerror(errno));
    *n = fread(head, 1, 16, f);
    bool failed = ferror(f);
    fclose(f);
    if (failed)
        return gen_fail(GEN_EIO, "cannot read '%s'", path);
    return GEN_OK;
}

gen_status gen_radar_file_open(gen_radar_file **out, const char *path, bool own_process)
{
    gen_status status;
    unsigned char head[16] = { 0 };
    size_t n = 0;
    gen_radar_file *f = NULL;
    *out = NULL;
    GEN_TRY(read_head(path, head, &n));
    GEN_TRY(GEN_ALLOC(&f, 1, "radar file"));
    GEN_GOTO(gen_strdup(&f->path, path));
    for (int i = 0; i < GEN_LEN(formats) && !f->format; i++)
        if (formats[i]->recognises(head, n))
            f->format = formats[i];
    if (!f->format)
        GEN_GOTO(gen_fail(GEN_EDATA, "'%s' is %s, expected a netCDF file", path,
                          n ? "of an unknown format" : "empty"));
    GEN_GOTO(own_process ? gen_radar_isolate(f, f->format) : f->format->open(f));
    *out = f;
    f = NULL;
done:
    gen_radar_file_close(&f);
    return status;
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
    gen_free(f->path);
    gen_free(f);
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
