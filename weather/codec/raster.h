/* SPDX-License-Identifier: Apache-2.0
 *
 * What the readers of formats that lie whole in memory share: axes from the edges of a grid, times
 * from their parts, numbers from text.
 */
#ifndef WEATHER_CODEC_RASTER_H
#define WEATHER_CODEC_RASTER_H

#include "weather/codec/codec.h"

#define GEN_RASTER_MAX_SIDE 65535 /* cells along an axis */

/* Sets the size of the grid, after a check that rows x columns is what a radar composite can have
 * and that `cell` bytes of each are there. EDATA. */
gen_status gen_raster_size(gen_radar_file *f, int64_t rows, int64_t columns, int64_t cell,
                           uint64_t bytes);

/* Where the outer edges of the grid lie, in the units of its projection. */
typedef struct gen_raster_edges {
    double west, south, east, north;
} gen_raster_edges;

/* Coordinates of the cells' centres. NULL: cells are numbered. */
gen_status gen_raster_axes(gen_radar_file *f, const gen_raster_edges *edges);

/* Year, month, day, hour, minute, second in UTC. EDATA names the file and `what`. */
gen_status gen_raster_time(const gen_radar_file *f, const char *what, const int64_t part[6],
                           int64_t *out);

/* `count` decimal digits at p, and nothing else, as a number. */
bool gen_raster_digits(const char *p, int count, int64_t *out);

/* A finite number of the whole text. EDATA names the file, `what` and the text. */
gen_status gen_raster_number(const gen_radar_file *f, const char *what, const char *text,
                             double *out);

/* Big-endian numbers of any alignment. */
uint16_t gen_big16(const unsigned char *p);
uint32_t gen_big32(const unsigned char *p);

#endif
