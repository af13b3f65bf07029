/* SPDX-License-Identifier: Apache-2.0
 *
 * What a reader of one radar format is. weather/series.c opens every file through the table in
 * weather/codec/codec.c, takes its times and grid, and reads the frames that it wants.
 *
 * Files are hostile: a reader checks sizes before it allocates, and each error names the file and
 * the attribute, what was found and what was expected.
 */
#ifndef WEATHER_CODEC_H
#define WEATHER_CODEC_H

#include <stddef.h>

#include <libgen/weather.h>

#include "libgen/base/fail.h"

typedef struct gen_radar_format gen_radar_format;

typedef struct gen_radar_file {
    const gen_radar_format *format;
    char *path;
    int64_t frames;
    int64_t *time; /* [frames] seconds since 1970-01-01 UTC, as the file has them */
    gen_radar_grid grid;
    bool numbered; /* no coordinates: x and y count cells */
    void *state; /* the reader's own */
} gen_radar_file;

struct gen_radar_format {
    const char *name;
    /* By the first bytes of the file. */
    bool (*recognises)(const unsigned char *head, size_t n);
    /* Sets frames, time, grid, state. On failure close is called on what is there. */
    gen_status (*open)(gen_radar_file *f);
    /* rain [height,width] mm/h, row 0 north, NaN = missing. */
    gen_status (*read)(gen_radar_file *f, int64_t frame, float *rain);
    void (*close)(gen_radar_file *f); /* frees state only */
};

extern const gen_radar_format gen_radar_netcdf;

/* EDATA: no such file, or of no format that we read. own_process: a child reads it. */
gen_status gen_radar_file_open(gen_radar_file **out, const char *path, bool own_process);
void gen_radar_file_close(gen_radar_file **f);

/* Opens f->path by `format` in a child process, which f->format then stands for. */
gen_status gen_radar_isolate(gen_radar_file *f, const gen_radar_format *format);
extern const gen_radar_format gen_radar_isolated;

void gen_radar_grid_clear(gen_radar_grid *g);
gen_status gen_radar_grid_copy(gen_radar_grid *to, const gen_radar_grid *from);

/* "2018-08-24", with or without a time of day, as CF units have it behind "since". */
gen_status gen_time_reference(const char *text, int64_t *out);

/* HDF5 has global state: every call into netCDF happens between these two. */
void gen_netcdf_lock(void);
void gen_netcdf_unlock(void);

#endif
