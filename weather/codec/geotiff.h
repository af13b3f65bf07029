/* SPDX-License-Identifier: Apache-2.0
 *
 * Between geotiff.c (reader), geotiff_writer.c, geotiff_keys.c (geo keys) and geotiff_metadata.c
 * (GDAL's tags).
 */
#ifndef WEATHER_CODEC_GEOTIFF_H
#define WEATHER_CODEC_GEOTIFF_H

#include <tiffio.h>

#include "weather/codec/codec.h"

/* GDAL's own tags: XML, and the value of cells that have none. */
enum { TIFF_GDAL_METADATA = 42112, TIFF_GDAL_NODATA = 42113 };

/* libtiff knows the tags of GeoTIFF from then on. */
void gen_geotiff_tags(void);

/* What the values of a picture are. missing and nothing are raw values, NaN = none. */
typedef struct geotiff_meaning {
    double scale, offset, missing, nothing;
    char units[32]; /* "" = not said */
    char quantity[64];
    char time[64]; /* as it stands there, "" = not said */
} geotiff_meaning;

/* Takes what it knows out of GDAL_METADATA; `text` is changed. EDATA names the item. */
gen_status gen_geotiff_metadata(const gen_radar_file *f, char *text, geotiff_meaning *out);

/* A number in the text of `what`; "nan" is one. */
gen_status gen_geotiff_number(const gen_radar_file *f, const char *what, const char *text,
                              double *out);

/* "201609281445", "2016:09:28 14:45:00", "2016-09-28T14:45Z": UTC. */
gen_status gen_geotiff_time(const gen_radar_file *f, const char *text, int64_t *out);

/* Projection of the geo keys into f->grid, where they tell one. points: the grid's origin is the
 * centre of a pixel; unit: metres of a unit of x and y. EDATA: a system that nobody knows. */
gen_status gen_geotiff_read_keys(gen_radar_file *f, TIFF *tif, bool *points, double *unit);
/* Geo keys of a grid; none where it has no projection. EDATA: one that GeoTIFF has no keys for. */
gen_status gen_geotiff_write_keys(TIFF *tif, const gen_radar_grid *grid);

#endif
