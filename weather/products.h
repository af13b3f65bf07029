/* SPDX-License-Identifier: Apache-2.0
 *
 * Products of an ensemble forecast: exceedance probabilities, mean, percentiles,
 * probability-matched mean, accumulations and their statistics, series at points.
 *
 * Members are read lead time by lead time, a block of rows at a time, so that an ensemble of any
 * size needs little memory. A cell that is missing in any member is missing in every product.
 */
#ifndef LIBGEN_PRODUCTS_H
#define LIBGEN_PRODUCTS_H

#include <libgen/weather.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is wanted. All zero is nothing; arrays are borrowed. */
typedef struct gen_products_options {
    /* Share of the members with at least so much; thresholds above 0 that rise. */
    const double *exceed; /* [n_exceed] rain rates, mm/h */
    int n_exceed;
    const double *exceed_sum; /* [n_exceed_sum] accumulations, mm */
    int n_exceed_sum;
    /* 0 to 100, rising; between two members linear, as numpy.percentile. */
    const double *percentiles;
    int n_percentiles;
    bool mean;
    /* The mean's pattern with the members' distribution (Ebert 2001): all values of all members are
     * ranked, the middle one of each `members` of them is kept, and the cell of rank r in the mean
     * gets the r-th. Cells of equal mean share what they would get. Values count in steps of 1/128
     * mm/h, those of the packed files. */
    bool matched_mean;
    /* Seconds, a multiple of the step; 0 = none. Sums of each member over windows that follow one
     * another from the reference time; what is left at the end is left out. Mean, percentiles and
     * matched mean are then of the rates and of the sums. */
    int64_t accumulate;
    bool member_sums;      /* also the sums of each member */
    int threads;           /* 0 = all */
    uint64_t memory;       /* bytes for the members at a time; 0 = 160 MB */
    gen_progress progress; /* in lead times and windows */
} gen_products_options;

typedef enum gen_product_kind {
    GEN_PRODUCT_PROBABILITY, /* 0 to 1, of threshold `which` */
    GEN_PRODUCT_PERCENTILE,  /* `which` */
    GEN_PRODUCT_MEAN,
    GEN_PRODUCT_MATCHED_MEAN,
    GEN_PRODUCT_MEMBER_SUM, /* of member `which` */
    GEN_PRODUCT_KINDS
} gen_product_kind;

typedef struct gen_product {
    gen_product_kind kind;
    bool sum; /* of accumulations, mm; else of rates, mm/h */
    int64_t which;
    int64_t step; /* lead time or window, from 0 */
} gen_product;

/* The ensemble: rain [height,width] of a member and lead time, mm/h, NaN = missing. */
typedef gen_status gen_products_source(void *cookie, int64_t member, int64_t lead, float *rain);
/* values [rows,width] from row `first` on. Rows come from north to south, products interleaved. A
 * status other than GEN_OK ends the computation and is returned. */
typedef gen_status gen_products_sink(void *cookie, const gen_product *product, int64_t first,
                                     int64_t rows, const float *values);

typedef struct gen_products_shape {
    int64_t members, lead_steps, height, width;
    int64_t step;      /* seconds; only accumulations need it */
    int64_t row_group; /* blocks of rows are multiples of it where the memory allows; 0 = 1 */
} gen_products_shape;

/* EINVAL: thresholds, percentiles or a window that do not fit. */
GEN_API gen_status gen_products_check(const gen_products_shape *shape,
                                      const gen_products_options *options);
/* Windows that the lead times hold. */
GEN_API int64_t gen_products_windows(const gen_products_shape *shape,
                                     const gen_products_options *options);
GEN_API gen_status gen_products_compute(const gen_products_shape *shape,
                                        const gen_products_options *options,
                                        gen_products_source *source, void *source_cookie,
                                        gen_products_sink *sink, void *sink_cookie);

/* ---- in files ---------------------------------------------------------------------------- */

typedef struct gen_products_info {
    bool floats; /* rain as float32; else packed, as of forecasts */
    bool force;
    const char *title, *source, *history; /* global attributes; NULL = none */
    gen_products_sink *also;              /* sees every product too; NULL = nobody */
    void *cookie;
} gen_products_info;

/* Products of a forecast as CF netCDF-4 of their own. Appears whole or not at all; EEXIST without
 * force. Sums of members are written when asked for. */
GEN_API gen_status gen_products_write(gen_forecast_file *forecast, const char *path,
                                      const gen_products_options *options,
                                      const gen_products_info *info);
/* Into the file of a forecast of which every member is written, before it is committed. Of info
 * only the last two. */
GEN_API gen_status gen_products_add(gen_forecast *forecast, const gen_products_options *options,
                                    const gen_products_info *info);

/* ---- at points --------------------------------------------------------------------------- */

typedef struct gen_products_point {
    double lat, lon;     /* asked for */
    int64_t row, column; /* of the nearest cell */
    double cell_lat, cell_lon;
} gen_products_point;

/* The cell that holds a point. EINVAL: outside the grid (says where that is), or no projection. */
GEN_API gen_status gen_products_locate(gen_products_point *out, const gen_radar_grid *grid,
                                       double lat, double lon);

#ifdef __cplusplus
}
#endif
#endif
