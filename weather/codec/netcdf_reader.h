/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of the netCDF reader: attributes, units, which variable, times, the grid. netcdf.c puts
 * them together. Everything here is called between gen_netcdf_lock and gen_netcdf_unlock, on a file
 * whose state is a netcdf_state.
 */
#ifndef WEATHER_NETCDF_READER_H
#define WEATHER_NETCDF_READER_H

#include <netcdf.h>

#include "weather/codec/codec.h"

#define GEN_NETCDF_RANK 6   /* dimensions of a variable */
#define GEN_NETCDF_WORD 160 /* bytes of a text that is only looked at */

typedef struct gen_netcdf_state {
    int file, nc; /* ids: of the file, and of the group of the variable */
    int rain;     /* the variable */
    int rank;     /* its dimensions, the slowest first */
    int dims[GEN_NETCDF_RANK];
    size_t size[GEN_NETCDF_RANK];
    int time_axis;   /* which of them is time; -1: one frame */
    int member_axis; /* which of them counts the members of an ensemble; -1: there is none */
    bool transposed, south_first, east_first;
    double metres; /* of x and y in the file; 1 for degrees */
    nc_type type;
    double scale, offset; /* of packed values */
    double fill[4];       /* packed values that are missing */
    int n_fill;
    double low, high;               /* valid packed values */
    double low_native, high_native; /* valid unpacked values */
    bool wrap;                      /* _Unsigned: a signed type holds unsigned values */
    void *packed;                   /* [height,width] of one frame: of a small type, else double */
    float *table;                   /* native value of each value of a small type */
} gen_netcdf_state;

gen_status gen_netcdf_broken(const gen_radar_file *f, int code, const char *what);

/* ---- netcdf_attribute.c ------------------------------------------------------------------ */

const char *gen_netcdf_variable_name(const gen_radar_file *f, int variable,
                                     char buf[NC_MAX_NAME + 1]);
/* Text, *out NULL when there is none. EDATA: it is no text. Free with gen_free. */
gen_status gen_netcdf_read_text(const gen_radar_file *f, int variable, const char *name,
                                char **out);
/* A short text, to look at; "" when there is none of that kind. Returns buf. */
const char *gen_netcdf_read_word(const gen_radar_file *f, int variable, const char *name,
                                 char buf[GEN_NETCDF_WORD]);
/* Numbers: *n in capacity, out how many there are (0: no such attribute). */
gen_status gen_netcdf_read_numbers(const gen_radar_file *f, int variable, const char *name,
                                   double *out, int *n);
/* One finite number; `preset` when there is none. */
gen_status gen_netcdf_read_number(const gen_radar_file *f, int variable, const char *name,
                                  double preset, double *out);
/* All attributes as a JSON object; false eastings and northings become metres. */
gen_status gen_netcdf_read_all(gen_radar_file *f, int variable, char **out);

/* ---- netcdf_units.c ---------------------------------------------------------------------- */

/* Powers of length, mass and time, and the factor to mm, to the mass of 1 mm of water on 1 mm2, and
 * to hours. */
typedef struct gen_netcdf_unit {
    double factor;
    int length, mass, time;
} gen_netcdf_unit;
/* "kg m-2 s-1", "mm/hour", "mm/5min"; false when it is no product of such units. */
bool gen_netcdf_parse_unit(const char *text, size_t n, gen_netcdf_unit *out);
/* What values in these units are of rain, and the factor to mm/h or mm. */
gen_radar_quantity gen_netcdf_quantity(const char *units, double *factor);
/* Seconds or metres in one unit of time or length; 0: it is none. */
double gen_netcdf_seconds(const char *text, size_t n);
double gen_netcdf_metres(const char *text);

/* ---- netcdf_rain.c ----------------------------------------------------------------------- */

/* Finds the variable that was asked for, or the rain: nc, rain, rank, dims, size of the state;
 * name, units, quantity, factor of the file. */
gen_status gen_netcdf_find_rain(gen_radar_file *f);

/* ---- netcdf_grid.c ----------------------------------------------------------------------- */

/* 'T', 'Y' or 'X': what a variable is a coordinate of; 0: of none of them. */
char gen_netcdf_axis(const gen_radar_file *f, int variable);
/* The one-dimensional variable that gives a dimension its values along `axis`, or -1. */
int gen_netcdf_coordinate(const gen_radar_file *f, int dim, char axis);
/* Its n values, all finite. */
gen_status gen_netcdf_coordinate_values(gen_radar_file *f, int variable, int64_t n, double *out);
/* Which dimensions are members, time, y and x; members, frames, height, width of the file. */
gen_status gen_netcdf_find_axes(gen_radar_file *f);
gen_status gen_netcdf_read_grid(gen_radar_file *f);

/* A chunk is inflated whole, however few of its values there are: EDATA beyond 1 GB. */
gen_status gen_netcdf_check_chunks(const gen_radar_file *f, int variable);
/* EDATA when its values are no numbers. */
gen_status gen_netcdf_check_type(const gen_radar_file *f, int variable, nc_type *type);

/* ---- netcdf_time.c ----------------------------------------------------------------------- */

/* Times of the frames, the reference time of a forecast, and the interval of a depth. */
gen_status gen_netcdf_read_times(gen_radar_file *f);

#endif
