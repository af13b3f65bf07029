/* SPDX-License-Identifier: Apache-2.0
 *
 * Products of an ensemble as variables of a netCDF file that has a grid and lead times already.
 */
#ifndef WEATHER_PRODUCTS_FILE_H
#define WEATHER_PRODUCTS_FILE_H

#include <libgen/products.h>

#include "weather/codec/netcdf_writer.h"

typedef struct gen_products_file {
    gen_netcdf_writer *w;
    const gen_netcdf_grid *grid; /* its ids; the grid itself is not looked at */
    int leads;                   /* dimension of the lead times */
    int64_t reference_time;
    bool floats;
    gen_products_shape shape;
} gen_products_file;

/* Defines the variables, computes and writes them. Takes the lock itself. Of info only `also`. */
gen_status gen_products_into(const gen_products_file *file, const gen_products_options *options,
                             const gen_products_info *info, gen_products_source *source,
                             void *cookie);

#endif
