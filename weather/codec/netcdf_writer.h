/* SPDX-License-Identifier: Apache-2.0
 *
 * What all netCDF files that we write share: the file that appears when it is whole, attributes,
 * the grid with its mapping, lead times. Used by forecast_file.c, sequence_file.c and the products.
 *
 * Errors stick: after the first, nothing more is called, and gen_netcdf_writer_status says what it
 * was. Everything here is called between gen_netcdf_lock and gen_netcdf_unlock.
 */
#ifndef WEATHER_NETCDF_WRITER_H
#define WEATHER_NETCDF_WRITER_H

#include <netcdf.h>

#include "libgen/base/file.h"
#include "weather/codec/codec.h"

typedef struct gen_netcdf_writer {
    gen_output output;
    int nc, code;
    int system; /* errno behind code: netCDF itself does not tell a full disk */
    const char *what;
} gen_netcdf_writer;

/* A netCDF-4 file beside `path`; EEXIST without force. On failure call gen_netcdf_abort too. */
gen_status gen_netcdf_create(gen_netcdf_writer *w, const char *path, bool force);
/* Closes; the file appears at its path when everything was written. */
gen_status gen_netcdf_commit(gen_netcdf_writer *w);
/* Removes what was not committed. Does nothing after a commit. */
void gen_netcdf_abort(gen_netcdf_writer *w);

/* Keeps the first error: `code` from netCDF while writing `what`. True when there is one. */
bool gen_netcdf_failed(gen_netcdf_writer *w, int code, const char *what);
/* ENOMEM: the disk is full; EIO: another reason. */
gen_status gen_netcdf_writer_status(const gen_netcdf_writer *w);

/* ---- definitions ------------------------------------------------------------------------- */

int gen_netcdf_dimension(gen_netcdf_writer *w, const char *name, int64_t n); /* 0: unlimited */
int gen_netcdf_variable(gen_netcdf_writer *w, const char *name, nc_type type, int rank,
                        const int *dims);
/* text NULL: no attribute. */
void gen_netcdf_text(gen_netcdf_writer *w, int variable, const char *name, const char *text);
/* Pairs of name and text, ended by NULL. */
void gen_netcdf_texts(gen_netcdf_writer *w, int variable, const char *const *pairs);
void gen_netcdf_number(gen_netcdf_writer *w, int variable, const char *name, double v);
/* Chunks of height x width, deflated at `level`; nothing is deflated when level < 1. Whole chunks
 * are to be written: none is kept in memory. */
void gen_netcdf_chunk(gen_netcdf_writer *w, int variable, int rank, int64_t height, int64_t width,
                      int level);
void gen_netcdf_end_definitions(gen_netcdf_writer *w);
/* Value i of a vector. */
void gen_netcdf_put(gen_netcdf_writer *w, int variable, size_t i, double v);
/* Bounds i. */
void gen_netcdf_put_pair(gen_netcdf_writer *w, int variable, size_t i, double from, double to);

/* ---- rain -------------------------------------------------------------------------------- */

#define GEN_NETCDF_MOST_RAIN (65534.0 / 128) /* that can be packed */

/* Rain in mm/h or mm, (...,y,x): float32, or int16 in steps of 1/128 up to 511.98 because CF 1.8
 * knows no unsigned types: v = n / 128 + 32767/128. Scale and offset are exact in float32, so that
 * dry cells unpack to exactly 0; -32768 is missing. */
typedef struct gen_netcdf_rain {
    int id, rank;
    bool floats;
    int64_t width;
    int64_t clipped; /* values that were too large */
    int16_t *packed; /* [room] */
    uint64_t room;
} gen_netcdf_rain;

/* _FillValue, units, packing; a chunk is `rows` rows, deflated at `level`. */
void gen_netcdf_define_rain(gen_netcdf_writer *w, const char *name, int rank, const int *dims,
                            int64_t rows, int64_t width, int level, const char *units,
                            gen_netcdf_rain *out);
/* rain [rows,width], NaN = missing, at the place that `start` names. */
gen_status gen_netcdf_put_rain(gen_netcdf_writer *w, gen_netcdf_rain *v, const size_t *start,
                               int64_t rows, const float *rain);
/* The same back again. */
gen_status gen_netcdf_get_rain(gen_netcdf_writer *w, gen_netcdf_rain *v, const size_t *start,
                               int64_t rows, float *rain);
void gen_netcdf_rain_free(gen_netcdf_rain *v);

/* ---- the grid ---------------------------------------------------------------------------- */

typedef struct gen_netcdf_grid {
    const gen_radar_grid *grid; /* borrowed until the values are put */
    int dims[2];                /* y, x */
    int y, x, crs;              /* variables; crs is -1 when there is no projection */
    int lat, lon;               /* variables (y,x), or -1 */
    double unit;                /* of y and x in the file */
} gen_netcdf_grid;

/* Dimensions and variables y, x, crs; with latitudes also lat(y,x) and lon(y,x), which is done
 * unasked where CF has no name for the projection. crs has the attributes that were read, or CF's
 * for the PROJ string, and crs_wkt. */
gen_status gen_netcdf_define_grid(gen_netcdf_writer *w, const gen_radar_grid *g, bool latitudes,
                                  gen_netcdf_grid *out);
/* Attributes grid_mapping and coordinates of a variable on the grid; `coordinates` are its other
 * auxiliary coordinates, or NULL. */
void gen_netcdf_place(gen_netcdf_writer *w, int variable, const gen_netcdf_grid *g,
                      const char *coordinates);
gen_status gen_netcdf_put_grid(gen_netcdf_writer *w, const gen_netcdf_grid *g);

/* ---- times ------------------------------------------------------------------------------- */

#define GEN_NETCDF_SECONDS "seconds since 1970-01-01 00:00:00"

/* Dimension and variable of valid times. `bounds`: also NAME_bnds(NAME,bnds), whose id is *bounds.
 */
int gen_netcdf_define_time(gen_netcdf_writer *w, const char *name, int64_t n, int *dimension,
                           int *bounds);

/* Lead times of a forecast: time, forecast_period(time), forecast_reference_time. */
typedef struct gen_netcdf_leads {
    int dimension, time, period, reference;
} gen_netcdf_leads;
#define GEN_NETCDF_LEADS "forecast_period forecast_reference_time"
void gen_netcdf_define_leads(gen_netcdf_writer *w, int64_t n, gen_netcdf_leads *out);
void gen_netcdf_put_leads(gen_netcdf_writer *w, const gen_netcdf_leads *l, int64_t reference,
                          int64_t step, int64_t n);

#endif
