/* SPDX-License-Identifier: Apache-2.0
 *
 * Between grib.c (messages, parameters, times), grib_grid.c (section 3), grib_values.c (sections 5
 * to 7) and grib_png.c. Octets are counted from 1 in each section, as WMO's Manual on Codes (FM 92)
 * does.
 */
#ifndef WEATHER_CODEC_GRIB_H
#define WEATHER_CODEC_GRIB_H

#include "weather/codec/codec.h"

#define GRIB_SECTIONS 8

typedef struct grib_section {
    const unsigned char *p;
    uint64_t n; /* 0: not there */
} grib_section;

/* What a parameter (discipline, category, number) is, and two values that are none: `missing` was
 * not measured, `nothing` was, and had no echo. NaN = it has no such value. */
typedef struct grib_parameter {
    int discipline, category, number;
    char name[40];
    gen_radar_quantity quantity;
    const char *units;
    double factor;   /* to mm/h or mm */
    double interval; /* seconds, where the name of the parameter tells it; else 0 */
    float missing, nothing;
} grib_parameter;

/* One field: the sections that make it, whose lengths lie within the file. */
typedef struct grib_field {
    int message; /* 1, 2, ... in the file */
    int discipline;
    grib_section section[GRIB_SECTIONS]; /* [1] to [7] */
    int64_t time;
    double interval;
} grib_field;

/* Numbers of an octet `at`, big endian; signed ones have a sign bit of their own. The caller has
 * checked that the section is long enough. */
uint64_t gen_grib_unsigned(const grib_section *s, int at, int octets);
int64_t gen_grib_signed(const grib_section *s, int at, int octets);

/* The section has at least n octets, or a sentence. */
gen_status gen_grib_need(const gen_radar_file *f, const grib_field *g, int section, uint64_t n);

/* How the cells of a field follow one another. */
typedef struct grib_scan {
    bool west, north; /* columns run to the west, rows to the north */
} grib_scan;

/* Grid and scan of section 3. EDATA: a template that we do not know, sizes that do not fit. */
gen_status gen_grib_grid(const gen_radar_file *f, const grib_field *field, gen_radar_grid *grid,
                         grib_scan *scan);

/* values [height,width], row 0 north; NaN and GEN_UNDETECTED as the parameter has them. */
gen_status gen_grib_values(const gen_radar_file *f, const grib_field *field,
                           const grib_parameter *parameter, grib_scan scan, float *values);

/* The picture of section 7, in rows from the top. */
typedef struct grib_png {
    uint32_t width, height;
    int bits;            /* of a number: 1, 2, 4, 8, 16, 24 or 32, big endian */
    uint64_t stride;     /* bytes from row to row */
    unsigned char *rows; /* one byte before the first number of each row; gen_free */
} grib_png;

/* The caller has checked that section 7 begins with a PNG header, and its sides. EDATA. */
gen_status gen_grib_png_unpack(const gen_radar_file *f, const grib_field *field, grib_png *out);

#endif
