/* SPDX-License-Identifier: Apache-2.0
 *
 * See raster.h.
 */
#include "weather/codec/raster.h"

#include <stdio.h>

#include "libgen/base/alloc.h"
#include "libgen/base/options.h"

gen_status gen_raster_size(gen_radar_file *f, int64_t rows, int64_t columns, int64_t cell,
                           uint64_t bytes)
{
    if (rows < 1 || columns < 1 || rows > GEN_RASTER_MAX_SIDE || columns > GEN_RASTER_MAX_SIDE)
        return gen_fail(GEN_EDATA, "'%s' declares %lld x %lld cells, expected 1 to %d along a side",
                        f->path, (long long)rows, (long long)columns, GEN_RASTER_MAX_SIDE);
    uint64_t needed = (uint64_t)(rows * columns * cell);
    if (needed != bytes)
        return gen_fail(GEN_EDATA, "'%s' %s: %lld x %lld cells take %llu bytes, found %llu",
                        f->path, bytes < needed ? "is cut" : "is too long", (long long)rows,
                        (long long)columns, (unsigned long long)needed, (unsigned long long)bytes);
    f->grid.height = rows;
    f->grid.width = columns;
    return GEN_OK;
}

gen_status gen_raster_axes(gen_radar_file *f, const gen_raster_edges *edges)
{
    gen_radar_grid *g = &f->grid;
    const gen_raster_edges cells = { 0, 0, (double)g->width, (double)g->height };
    const gen_raster_edges *e = edges ? edges : &cells;
    double dx = (e->east - e->west) / (double)g->width;
    double dy = (e->north - e->south) / (double)g->height;
    double far = fmax(fmax(fabs(e->west), fabs(e->east)), fmax(fabs(e->south), fabs(e->north)));
    f->numbered = !edges;
    if (!(dx > far * 1e-12 && dy > far * 1e-12 &&
          far < 1e9)) /* so that each differs from the next */
        return gen_fail(GEN_EDATA,
                        "'%s': the grid goes from %g to %g eastwards and from %g to %g northwards",
                        f->path, e->west, e->east, e->south, e->north);
    GEN_TRY(GEN_ALLOC(&g->y, g->height, "grid: y"));
    GEN_TRY(GEN_ALLOC(&g->x, g->width, "grid: x"));
    double middle = edges ? 0.5 : 0; /* numbers are whole */
    for (int64_t i = 0; i < g->width; i++)
        g->x[i] = e->west + ((double)i + middle) * dx;
    for (int64_t j = 0; j < g->height; j++)
        g->y[j] = edges ? e->north - ((double)j + middle) * dy : (double)(g->height - 1 - j);
    return GEN_OK;
}

gen_status gen_raster_time(const gen_radar_file *f, const char *what, const int64_t part[6],
                           int64_t *out)
{
    char text[64] = "";
    bool fine = part[0] > 0;
    for (int i = 0; i < 6; i++)
        fine = fine && part[i] >= 0 && part[i] <= 9999;
    if (fine)
        snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02dZ", (int)part[0], (int)part[1],
                 (int)part[2], (int)part[3], (int)part[4], (int)part[5]);
    if (!fine || gen_time_parse(text, out) != GEN_OK)
        return gen_fail(GEN_EDATA, "'%s': %s is %lld-%lld-%lld %lld:%lld:%lld, which is no time",
                        f->path, what, (long long)part[0], (long long)part[1], (long long)part[2],
                        (long long)part[3], (long long)part[4], (long long)part[5]);
    return GEN_OK;
}

bool gen_raster_digits(const char *p, int count, int64_t *out)
{
    *out = 0;
    for (int i = 0; i < count; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        *out = *out * 10 + (p[i] - '0');
    }
    return true;
}

gen_status gen_raster_number(const gen_radar_file *f, const char *what, const char *text,
                             double *out)
{
    if (gen_parse_real(text, what, -1e12, 1e12, out) != GEN_OK)
        return gen_fail(GEN_EDATA, "'%s': %s is '%.40s', expected a number", f->path, what, text);
    return GEN_OK;
}

uint16_t gen_big16(const unsigned char *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

uint32_t gen_big32(const unsigned char *p)
{
    return (uint32_t)gen_big16(p) << 16 | gen_big16(p + 2);
}
