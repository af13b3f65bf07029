/* SPDX-License-Identifier: Apache-2.0
 *
 * What the colours of a picture of rain stand for: a table in a text file (`palette` of the
 * options), for every format of pictures.
 *
 *     # a comment
 *     units=mm                       mm/h, mm or dBZ; without it the values can be looked at only
 *     interval=300                   seconds in which mm fell
 *     zr=316,1.5                     of Z = a R^b, for dBZ
 *     extent=255000,-160000,965000,480000   west,south,east,north: outer edges, in the projection
 *     proj=+proj=somerc +lat_0=...   PROJ string; with +proj=longlat the extent is in degrees
 *     0,undetected                   a palette entry, and its value
 *     255,missing
 *     17,0.25
 *     FF8800,12.5                    a colour, RRGGBB, and its value
 * A palette entry that has no line is looked up by its colour; a colour that has none is missing,
 * and so is what is transparent.
 */
#ifndef WEATHER_CODEC_PICTURE_TABLE_H
#define WEATHER_CODEC_PICTURE_TABLE_H

#include "weather/codec/raster.h"

typedef struct gen_picture_colour {
    uint32_t rgb;
    float value;
} gen_picture_colour;

typedef struct gen_picture_table {
    gen_radar_quantity quantity;
    char *units, *proj4; /* NULL = not said */
    double interval, zr_a, zr_b;
    bool placed; /* edges are said */
    gen_raster_edges edges;
    bool known[256];
    float value[256];           /* of the known entries; NaN = missing */
    gen_picture_colour *colour; /* rising */
    uint64_t colours, capacity;
} gen_picture_table;

/* EDATA names the file and the line. Free with gen_picture_table_free, also after a failure. */
gen_status gen_picture_table_read(gen_picture_table *out, const char *path);
/* Of a text that ends with a 0 byte, which it writes over; path is for the sentence. */
gen_status gen_picture_table_parse(gen_picture_table *out, char *text, const char *path);
void gen_picture_table_free(gen_picture_table *t);

/* 0xRRGGBB; NaN where the table has no line for it. */
float gen_picture_table_colour(const gen_picture_table *t, uint32_t rgb);
float gen_picture_table_entry(const gen_picture_table *t, int index, uint32_t rgb);

/* Quantity, units, axes and projection of the file, whose grid has its size. */
gen_status gen_picture_table_describe(gen_radar_file *f, const gen_picture_table *t);

#endif
