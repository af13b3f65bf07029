/* SPDX-License-Identifier: Apache-2.0
 *
 * What a reader of one radar format is. weather/series.c opens every file through the table in
 * weather/codec/codec.c, takes its times and grid, and reads the frames that it wants.
 *
 * A reader gives the numbers as its file means them (native: dBZ, mm in an interval, mm/h ...) and
 * says what they are; weather/codec/rate.c makes mm/h of them, for all formats alike.
 *
 * Files are hostile: a reader checks sizes before it allocates, and each error names the file and
 * the attribute, what was found and what was expected.
 */
#ifndef WEATHER_CODEC_H
#define WEATHER_CODEC_H

#include <math.h>
#include <stddef.h>

#include <libgen/weather.h>

#include "libgen/base/fail.h"

typedef struct gen_radar_format gen_radar_format;

/* A time that the file does not tell: the reader leaves it, and the file's name must. */
#define GEN_TIME_UNKNOWN INT64_MIN

/* A native value of a cell that was measured, with nothing to be detected in it: dry, whatever the
 * quantity (of dBZ it is the value itself). Missing cells are NaN. */
#define GEN_UNDETECTED (-(float)INFINITY)

typedef struct gen_radar_file {
    const gen_radar_format *format;
    char *path;
    const gen_radar_read_options *options; /* what the caller asked for; never NULL */
    const unsigned char *bytes; /* the whole file, unpacked; NULL unless format->in_memory */
    uint64_t size;

    /* Set by open. */
    int64_t frames;
    int64_t *time;   /* [frames] seconds since 1970-01-01 UTC, or GEN_TIME_UNKNOWN */
    int64_t members; /* of an ensemble, whose member m has frames m * frames ...; set to 1 before */
    int64_t reference; /* newest observation behind a forecast; set to GEN_TIME_UNKNOWN before */
    gen_radar_grid grid;
    bool numbered; /* no coordinates: x and y count cells */
    gen_radar_quantity quantity;
    char *name;        /* of what is read, as the format has it: "DBZH", "rain_rate", "RW" */
    char *units;       /* of the native values: "mm/h", "mm", "dBZ", "kg m-2 s-1"; NULL = none */
    double factor;     /* native value x factor = mm/h (rate) or mm (depth); set to 1 before open */
    double interval;   /* seconds until its time in which a depth fell, or of which a rate is the
                          mean; 0 = the file does not say */
    double zr_a, zr_b; /* of Z = a R^b; 0 = the file does not say */
    void *state;       /* the reader's own */
    unsigned char *loaded; /* what `bytes` points to, when it is ours to free */
} gen_radar_file;

struct gen_radar_format {
    const char *name; /* "ODIM HDF5" */
    /* By the first bytes (unpacked; up to GEN_RADAR_HEAD of them), never by the name. Where they do
     * not suffice (HDF5, netCDF-4), `owns` looks inside; NULL = the head suffices. */
    bool (*recognises)(const unsigned char *head, size_t n);
    bool (*owns)(const char *path);
    /* Sets what is listed above. On failure close is called on what is there. */
    gen_status (*open)(gen_radar_file *f);
    /* values [height,width], native, row 0 north; NaN = missing, GEN_UNDETECTED = nothing there. */
    gen_status (*read)(gen_radar_file *f, int64_t frame, float *values);
    void (*close)(gen_radar_file *f); /* frees state only */
    bool in_memory; /* read from f->bytes; else the library opens f->path itself */
    bool risky;     /* a library that a damaged file can crash: `own_process` matters */
};

#define GEN_RADAR_HEAD 512

extern const gen_radar_format gen_radar_geotiff;
extern const gen_radar_format gen_radar_gif;
extern const gen_radar_format gen_radar_grib;
extern const gen_radar_format gen_radar_knmi;
extern const gen_radar_format gen_radar_netcdf;
extern const gen_radar_format gen_radar_nimrod;
extern const gen_radar_format gen_radar_npy;
extern const gen_radar_format gen_radar_npz;
extern const gen_radar_format gen_radar_odim;
extern const gen_radar_format gen_radar_pgm;
extern const gen_radar_format gen_radar_png;
extern const gen_radar_format gen_radar_radolan;

/* EDATA: no such file, of no format that we read, or an ensemble. options must outlive the file. */
gen_status gen_radar_file_open(gen_radar_file **out, const char *path,
                               const gen_radar_read_options *options);
/* The same, but ensembles are welcome. */
gen_status gen_radar_file_open_ensemble(gen_radar_file **out, const char *path,
                                        const gen_radar_read_options *options);
/* As if `bytes` were a file called `path`, of an in_memory format: for fuzzing. */
gen_status gen_radar_file_open_bytes(gen_radar_file **out, const char *path,
                                     const gen_radar_format *format, const unsigned char *bytes,
                                     uint64_t size, const gen_radar_read_options *options);
/* One frame as mm/h, after gen_radar_rate_prepare. */
gen_status gen_radar_file_read_rain(gen_radar_file *f, int64_t frame, float *rain);
/* One frame as the file has it; rates and depths below 0 are missing. */
gen_status gen_radar_file_read(gen_radar_file *f, int64_t frame, float *values);
void gen_radar_file_close(gen_radar_file **f);

/* rate.c: decides how native values become mm/h, from the file and the options that overrule it.
 * EDATA: no rain; no interval of a depth. */
gen_status gen_radar_rate_prepare(gen_radar_file *f);
/* Native values to mm/h in place; rates and depths below 0 become missing. */
void gen_radar_rate_convert(const gen_radar_file *f, float *values, int64_t n);

/* unpack.c: a whole file into memory, gunzipped where it is gzip. EDATA: beyond `limit` bytes. */
gen_status gen_radar_load(const char *path, uint64_t limit, unsigned char **bytes, uint64_t *size);
/* The first bytes, unpacked. */
gen_status gen_radar_load_head(const char *path, unsigned char head[GEN_RADAR_HEAD], size_t *n);

/* Loads the file where its format wants that, and opens it. The format is f->format, or, where that
 * is NULL, the one that its head and content tell. */
gen_status gen_radar_file_begin(gen_radar_file *f, const unsigned char *head, size_t n);
/* The same in a child process, for which f->format then stands. */
gen_status gen_radar_isolate(gen_radar_file *f, const unsigned char *head, size_t n);
extern const gen_radar_format gen_radar_isolated;
/* Takes from this process, for good, what reading a file needs no right to. */
void gen_radar_confine(void);
/* The name of the format, also when a child reads it. */
const char *gen_radar_file_format_name(const gen_radar_file *f);

/* EDATA unless x is finite and rises and y is finite and falls: what a file says may overflow. */
gen_status gen_radar_check_axes(const gen_radar_file *f);

void gen_radar_grid_clear(gen_radar_grid *g);
gen_status gen_radar_grid_copy(gen_radar_grid *to, const gen_radar_grid *from);
/* As many cells, at the same places to a thousandth of a cell. */
bool gen_radar_same_cells(const gen_radar_grid *a, const gen_radar_grid *b);

/* "2018-08-24", with or without a time of day, as CF units have it behind "since". */
gen_status gen_time_reference(const char *text, int64_t *out);

/* EINVAL as gen_name_match. *dated: the pattern tells a date. */
gen_status gen_name_pattern_check(const char *pattern, bool *dated);

/* Days since 1970-01-01, in the proleptic Gregorian calendar. */
int64_t gen_days_of_date(int64_t year, int64_t month, int64_t day);
void gen_date_of_days(int64_t days, int64_t *year, int64_t *month, int64_t *day);
bool gen_date_exists(int64_t year, int64_t month, int64_t day);

/* HDF5 has global state: every call into netCDF happens between these two. */
void gen_netcdf_lock(void);
void gen_netcdf_unlock(void);

#endif
