/* SPDX-License-Identifier: Apache-2.0
 *
 * Radar sequences and nowcasts. Frames in, members out by callback.
 *
 * Rain rates are mm/h, row 0 is the north edge, and a cell that was not measured is NaN (dry is 0).
 * Times are seconds since 1970-01-01 UTC.
 */
#ifndef LIBGEN_WEATHER_H
#define LIBGEN_WEATHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libgen/log.h>
#include <libgen/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where the cells lie: pixel centres, and the file's own grid mapping carried through. */
typedef struct gen_radar_grid {
    int64_t height, width;
    double *y, *x;      /* [height], [width]: metres in the projection, or degrees */
    char *proj4;        /* PROJ string, or NULL when the file has none */
    char *mapping_name; /* CF grid_mapping_name, or NULL */
    bool degrees;       /* x is longitude, y is latitude */
    char *attributes;   /* JSON object of every attribute of the grid mapping variable, or NULL */
} gen_radar_grid;

/* How far apart neighbouring cells are, on average, along x and y: in the grid's own unit, and in
 * metres on the ground (of a grid in degrees: at its middle latitude). 0 along an axis of one cell.
 */
typedef struct gen_radar_cell_size {
    double x, y;
    double ground_x, ground_y; /* m */
} gen_radar_cell_size;
GEN_API gen_radar_cell_size gen_radar_cell(const gen_radar_grid *g);

/* What the numbers of a radar file are. */
typedef enum gen_radar_quantity {
    GEN_RADAR_OTHER, /* no rain: quality, visibility ...; readable as native values only */
    GEN_RADAR_RATE,  /* rain rate */
    GEN_RADAR_DEPTH, /* rain that fell in an interval */
    GEN_RADAR_DBZ    /* reflectivity, 10 log10 of mm6 m-3 */
} gen_radar_quantity;

typedef struct gen_radar_sequence {
    int64_t frames;
    int64_t step;  /* seconds between frames; 0 for one frame */
    int64_t *time; /* [frames], rising */
    float *rain;   /* [frames,height,width] mm/h, NaN = missing */
    gen_radar_grid grid;
    char *source;    /* file names, for history */
    double interval; /* seconds until its time that a rate is the mean of; 0 = at that time */
} gen_radar_sequence;

typedef enum gen_radar_fill {
    GEN_RADAR_NO_GAPS,      /* a missing frame is an error */
    GEN_RADAR_FILL_MISSING, /* it becomes a frame of missing cells */
    GEN_RADAR_FILL_ADVECT   /* it is advected from the frames on both sides */
} gen_radar_fill;

/* All zero is a sane default. Strings are borrowed. */
typedef struct gen_radar_read_options {
    int64_t first, last; /* only frames with first <= time <= last; 0,0 = all */
    int64_t max_frames;  /* keep the newest so many of them; 0 = all */
    uint64_t max_bytes;  /* refuse larger; 0 = 8 GB */
    gen_radar_fill fill;
    const char *pattern; /* of the files' names, "%Y%m%d%H%M.h5" (gen_name_match): tells the time
                            where the file does not; NULL = none */

    /* For a feed that is being written: files that cannot be read are left out with a warning; of
     * two frames of one time that of the file changed last is taken; the step is the most frequent
     * difference of time, so that one frame at an odd time does not change it; and the newest
     * frames are the newest run of min_frames (0 = 1) or more frames that follow one another. */
    bool lenient;
    int64_t min_frames;

    /* What is read, where a file holds several things or says too little. */
    const char *variable; /* as the format names it: "DBZH", "dataset2/data1"; NULL = the rain */
    const char *units;    /* of the values, instead of the file's: "mm/h", "mm", "dBZ" */
    double interval;      /* seconds that a depth fell in; 0 = the file's */
    double zr_a, zr_b;    /* Z = a R^b; 0 = the file's, else 200 and 1.6 (Marshall and Palmer) */
    double threshold;     /* mm/h; less than it becomes 0 */
    const char
        *palette; /* table file: value of each palette entry of a picture; NULL = known ones */

    /* Decode in a child process: a damaged file that crashes HDF5, or makes it run forever, is then
     * an error like others. */
    bool own_process;
    bool untrusted; /* every format in a child process, with limits on memory, time and files, and
                       without any right to write files, start programs or use the network */
    int64_t answer_seconds; /* that such a process may take for a frame; 0 = 30 */
} gen_radar_read_options;

/* Reads and joins files of any format of weather/codec (any order, same result). The step is the
 * smallest difference of time in all files; frames that are kept must follow one another at that
 * step. EDATA names the file and the attribute, or the times of a gap, a duplicate, or two grids
 * that differ; also when no cell of the kept frames was measured, and where nothing tells a time.
 * Where `fill` advects, a gap has at most 3 frames; `source` then says so.
 *
 * With `pattern` and `max_frames`, where every name tells a time, only as many files are opened as
 * are needed, newest name first; the step then follows from the names of the others. So names are
 * trusted to choose; but a file's own time wins over its name, with a warning.
 *
 * Free with gen_radar_free. options may be NULL. HDF5 is not safe for threads: calls wait for each
 * other. */
GEN_API gen_status gen_radar_read(gen_radar_sequence **out, const char *const *paths, int n,
                                  const gen_radar_read_options *options);
GEN_API void gen_radar_free(gen_radar_sequence **s);

/* One file as it is, without conversion to mm/h or joining. */
typedef struct gen_radar_contents {
    char *format;       /* "ODIM HDF5" */
    char *name, *units; /* of the values; may be NULL */
    gen_radar_quantity quantity;
    double interval;   /* seconds that a depth fell in; 0 = not said */
    double zr_a, zr_b; /* Z = a R^b; 0 = not said */
    int64_t frames;
    int64_t *time; /* [frames]; INT64_MIN = the file does not tell */
    gen_radar_grid grid;
    float *values; /* [frames,height,width] native; NaN = missing, -INFINITY = measured, nothing
                      detected */
} gen_radar_contents;
/* Errors as gen_radar_read. Of options: max_bytes, variable, palette, own_process, untrusted. */
GEN_API gen_status gen_radar_inspect(gen_radar_contents **out, const char *path,
                                     const gen_radar_read_options *options);
GEN_API void gen_radar_contents_free(gen_radar_contents **c);

/* "2010-08-26T00:05:00Z" <-> seconds. Parsing also takes a space for T, and no seconds or Z. */
GEN_API gen_status gen_time_parse(const char *text, int64_t *out);
GEN_API const char *gen_time_text(int64_t t, char buf[32]);

/* Whether a file is of a format that gen_radar_read knows, by its first bytes. EDATA: it cannot be
 * read at all. */
GEN_API gen_status gen_radar_known(const char *path, bool *known);

/* Names of files by patterns: strftime's %Y %m %d %H %M %S %j %y %b %%, `*` and `?` (not across
 * '/'), and everything else as it is. A pattern with '/' speaks of as many folders as it has '/'.
 * EINVAL: an unknown conversion, or some that tell no date. */
/* Whether the end of `path` matches, the whole name; *time is INT64_MIN where the pattern has no
 * conversions. */
GEN_API gen_status gen_name_match(const char *pattern, const char *path, bool *matches,
                                  int64_t *time);
/* The name for a time; here `*` and `?` are themselves. EINVAL also when it does not fit. */
GEN_API gen_status gen_name_print(char *buf, size_t size, const char *pattern, int64_t time);

/* What `gen radar info` tells. Shares are of all cells (missing) and of measured cells (wet: 0.1
 * mm/h and more); min, max, mean over measured cells, mm/h. */
typedef struct gen_radar_summary {
    double missing_share, wet_share, min, max, mean;
} gen_radar_summary;
GEN_API gen_radar_summary gen_radar_summarise(const gen_radar_sequence *s);

/* The part of a sequence that begins at row y (0 = north), column x. EINVAL: outside the grid. */
GEN_API gen_status gen_radar_crop(gen_radar_sequence *s, int64_t y, int64_t x, int64_t height,
                                  int64_t width);
/* The smallest rectangle of cells that covers what of a box of degrees lies on the grid; from 170
 * to -170 E crosses the date line. EINVAL: no box. EDATA: no cell there, or no projection. */
GEN_API gen_status gen_radar_crop_degrees(gen_radar_sequence *s, double south, double west,
                                          double north, double east);
/* That rectangle: row, column, height, width. */
GEN_API gen_status gen_radar_cells_within(const gen_radar_grid *g, double south, double west,
                                          double north, double east, int64_t cells[4]);
/* Means of k x k cells. A block counts when half of its cells or more were measured; its mean is
 * theirs. Rows in the south and columns in the east that fill no block are dropped. EINVAL: k is
 * below 1 or beyond the grid. */
GEN_API gen_status gen_radar_upscale(gen_radar_sequence *s, int64_t k);

/* Writes a sequence as CF netCDF-4, rain_rate(time,y,x), in whole steps of `precision` mm/h (0 =
 * 0.01). Appears whole or not at all; EEXIST without force. */
GEN_API gen_status gen_radar_write(const gen_radar_sequence *s, const char *path, double precision,
                                   const char *history, bool force);

/* The same as an array of uint16 in a .npy file, 65535 where missing, clipped at 65534 steps, with
 * times, step and grid in a JSON file beside it (weather/codec/npy.c). */
GEN_API gen_status gen_radar_write_npy(const gen_radar_sequence *s, const char *path,
                                       double precision, const char *history, bool force);

/* Writes one frame as ODIM_H5 2.4 (HDF5): a composite of RATE, its projection and corners.
 * Precision and force as above. EDATA: no projection, or cells that are not equally far apart. */
GEN_API gen_status gen_radar_write_odim(const gen_radar_sequence *s, int64_t frame,
                                        const char *path, double precision, const char *history,
                                        bool force);

/* Writes one frame as GeoTIFF: mm/h as uint16 steps of `precision` (65535 = missing), or as float32
 * (NaN = missing) where precision is 0 or a value has no such step. Projection as geo keys, time
 * and history as GDAL's metadata. Force as above. EDATA: a projection that GeoTIFF has no keys for,
 * or cells that are not equally far apart. */
GEN_API gen_status gen_radar_write_geotiff(const gen_radar_sequence *s, int64_t frame,
                                           const char *path, double precision, const char *history,
                                           bool force);

/* ---- simulated rain ---------------------------------------------------------------------- */

/* Rain made by us: cells at several scales that drift, turn, grow and decay, seen by one radar. */
typedef struct gen_simulate_options {
    int64_t frames, height, width; /* 0 = 24, 256, 256 */
    int64_t step;                  /* seconds; 0 = 300 */
    int64_t start;                 /* time of the first frame */
    uint64_t seed;
    double east, south; /* drift, px per step; both 0 = 3 and 1 */
    double cover;       /* share of rainy cells, about; 0 = 0.25 */
    double range;       /* of the radar in px, beyond it cells are missing; 0 = all seen */
    gen_progress progress;
} gen_simulate_options;
GEN_API gen_status gen_radar_simulate(gen_radar_sequence **out,
                                      const gen_simulate_options *options);

/* ---- nowcasts ---------------------------------------------------------------------------- */

typedef enum gen_nowcast_method {
    GEN_NOWCAST_ADVECTION,   /* optical flow, semi-Lagrangian extrapolation; 2 frames or more */
    GEN_NOWCAST_PERSISTENCE, /* the last frame; 1 frame */
    GEN_NOWCAST_DGMR,        /* generative model; 4 frames and a model */
    GEN_NOWCAST_STEPS        /* perturbed extrapolation after STEPS; 3 frames, or 2 */
} gen_nowcast_method;

struct gen_model;

typedef struct gen_nowcast_options {
    gen_nowcast_method method;
    int64_t lead_steps; /* forecast frames, each one frame step long; 0 = 18 */
    int64_t members;    /* 0 = 1. advection and persistence give equal members: ask for 1 */
    uint64_t seed;
    int threads;                   /* 0 = all */
    const char *device;            /* of the network; NULL = "cpu" */
    struct gen_backend *backend;   /* that is open already, instead of a device; borrowed */
    int precision;                 /* gen_dtype: 0 = f32, GEN_BF16 */
    int tf32;                      /* 1: see gen_plan_options.tf32 */
    const struct gen_model *model; /* for DGMR; borrowed */
    uint64_t memory_budget;        /* bytes for the network's activations; 0 = 1.5 kB a cell, at
                                       most 2 GB. Less means fewer lead times at a time */
    int64_t consume_model; /* 1: its values are freed as they are packed, so that they are not held
                              twice; the model is good for nothing else afterwards */
    gen_progress progress;
} gen_nowcast_options;

/* What a network's nowcast takes, before it is spent: bytes of activations on the device that
 * computes, where the conditioning stack is done before the others begin, and of the model's
 * values, which kernels hold in forms of their own, of about that size. */
typedef struct gen_nowcast_needs {
    int64_t members_together, steps_together; /* of the sampler's batch */
    uint64_t conditioning, latent, sampler, weights;
    uint64_t device_memory; /* in all; 0 = the CPU's */
} gen_nowcast_needs;

/* One member: rain [lead_steps,height,width] mm/h, NaN where the newest frame has no measurement
 * (advection, and models in the rain's coordinates: also where the rain would come from beyond what
 * was measured).
 * Called in order of member; a status other than GEN_OK stops the nowcast and is returned. `rain`
 * is valid during the call only. */
typedef gen_status gen_nowcast_sink(void *cookie, int64_t member, const float *rain);

/* The least frames of a method: 2, 1, 4. */
GEN_API int64_t gen_nowcast_frames(gen_nowcast_method method);

/* Whether gen_nowcast could begin with these frames and options; its errors, without its work. */
GEN_API gen_status gen_nowcast_check(const gen_radar_sequence *s,
                                     const gen_nowcast_options *options);

/* EUNSUPPORTED: the method is no network's. */
GEN_API gen_status gen_nowcast_describe(const gen_radar_sequence *s,
                                        const gen_nowcast_options *options, gen_nowcast_needs *out);

/* Nowcast from the newest frames of s. Members are drawn from (seed, member), so any of them can be
 * made again alone. EDATA: too few frames (says how many it needs and found), all missing. */
GEN_API gen_status gen_nowcast(const gen_radar_sequence *s, const gen_nowcast_options *options,
                               gen_nowcast_sink *sink, void *cookie);

/* ---- forecasts as netCDF ----------------------------------------------------------------- */

/* CF-1.8 netCDF-4: rain_rate(realization,time,y,x) in mm/h. */
typedef struct gen_forecast_info {
    const gen_radar_grid *grid; /* borrowed until gen_forecast_create returns */
    int64_t reference_time;     /* of the newest observation; lead times follow it */
    int64_t step;               /* seconds */
    int64_t lead_steps, members;
    bool floats; /* float32; else int16 steps of 1/128 mm/h up to 511 mm/h */
    int deflate; /* 0 = level 1, which costs little; -1 = none; 1..9 */
    bool force;
    bool latitudes; /* lat(y,x) and lon(y,x) beside the projection, for programs without one */
    bool without_members;                 /* the file holds products only, of gen_products_add */
    const char *title, *source, *history; /* global attributes; NULL = none */
} gen_forecast_info;

typedef struct gen_forecast gen_forecast;

/* A forecast that appears at `path` when committed; EEXIST without force. */
GEN_API gen_status gen_forecast_create(gen_forecast **out, const char *path,
                                       const gen_forecast_info *info);
/* Members in any order, each once: rain [lead_steps,height,width] mm/h, NaN = missing. */
GEN_API gen_status gen_forecast_write(gen_forecast *f, int64_t member, const float *rain);
/* The forecast ends with its first `members` members: the others came too late. EINVAL when one of
 * those was written already. */
GEN_API gen_status gen_forecast_shorten(gen_forecast *f, int64_t members);
/* Sets the global attribute `comment`, until the commit: what happened on the way. */
GEN_API gen_status gen_forecast_comment(gen_forecast *f, const char *text);
/* EINVAL when a member was not written. Free the handle after it. */
GEN_API gen_status gen_forecast_commit(gen_forecast *f);
/* Removes what was not committed. */
GEN_API void gen_forecast_free(gen_forecast **f);

/* A forecast to be read, field by field: ours, of pysteps, or any CF netCDF of (member,time,y,x). A
 * file of one member, or without that dimension, is one too. */
typedef struct gen_forecast_file {
    int64_t members, lead_steps;
    int64_t reference_time; /* of the newest observation; where the file does not tell, one step
                               before the first lead time */
    int64_t *time;          /* [lead_steps] seconds since 1970-01-01 UTC, rising */
    int64_t step;           /* seconds from lead time to lead time; 0 = they are not even */
    gen_radar_grid grid;
    char *path;
    void *state; /* the reader's own */
} gen_forecast_file;

/* Of options (may be NULL) those that say what is read and how; own_process is a good idea. EDATA
 * as gen_radar_read; also a format without members, and one lead time without a reference. */
GEN_API gen_status gen_forecast_open(gen_forecast_file **out, const char *path,
                                     const gen_radar_read_options *options);
/* rain [height,width] mm/h, row 0 north, NaN = missing. One thread at a time may read a file. */
GEN_API gen_status gen_forecast_read(gen_forecast_file *f, int64_t member, int64_t lead,
                                     float *rain);
GEN_API void gen_forecast_close(gen_forecast_file **f);

#ifdef __cplusplus
}
#endif
#endif
