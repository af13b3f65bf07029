/* SPDX-License-Identifier: Apache-2.0
 *
 * Map projections: between latitude, longitude and the x, y of a grid, and between PROJ strings and
 * the grid mappings of CF 1.8 (appendix F). Private to the weather room; only projection.c calls
 * PROJ.
 *
 * Strings come from files and are hostile: they are bounded, hold no name of a file, and PROJ goes
 * neither to the network nor to a datum grid. PROJ's database (proj.db) is needed for EPSG codes
 * only.
 */
#ifndef WEATHER_PROJECTION_H
#define WEATHER_PROJECTION_H

#include <stdbool.h>

#include <libgen/weather.h>

#include "libgen/base/fail.h"

typedef struct gen_projection gen_projection;

/* The projection of a grid: its proj4, else its CF attributes, else degrees as they are. x and y
 * are in the units of grid->x and grid->y (metres, or degrees when the grid has longitudes or is a
 * rotated pole). Latitudes and longitudes are of the grid's own ellipsoid, or of WGS 84 when it has
 * a towgs84. EDATA: none that PROJ understands. One thread at a time may use an object. */
gen_status gen_projection_open(gen_projection **out, const gen_radar_grid *grid);
void gen_projection_free(gen_projection **p);

/* False where the projection has no value. Longitudes may have any number of turns; those that
 * come back lie in -180 to 180, and x in degrees within half a turn of the grid's middle. */
bool gen_projection_forward(const gen_projection *p, double lat, double lon, double *x, double *y);
bool gen_projection_inverse(const gen_projection *p, double x, double y, double *lat, double *lon);

/* A rotated pole: x and y are degrees, but not longitude and latitude. */
bool gen_projection_is_rotated(const gen_projection *p);

/* The PROJ string of a grid in metres ("+proj=... +units=m +no_defs"), from its proj4 (also an EPSG
 * code or WKT) or its CF attributes. *out NULL: the grid has neither. EDATA: none that PROJ
 * understands. Free with gen_free. */
gen_status gen_projection_string(const gen_radar_grid *grid, char **out);

/* CF grid mapping of a PROJ string: grid_mapping_name (NULL when CF has none) and a JSON object of
 * its attributes, with crs_wkt always. Free both with gen_free. */
gen_status gen_projection_cf(const char *proj, char **name, char **attributes);

/* For a library that calls PROJ itself: a PJ_CONTEXT as ours, silent and without network. */
gen_status gen_proj_context_open(void **out);
void gen_proj_context_close(void *context); /* NULL is fine */

/* ---- between projection.c and grid_mapping.c ------------------------------------------------- */

/* The figure of the earth of a PROJ string. */
typedef struct gen_earth {
    double a, b, inverse_flattening; /* metres; 0 = sphere */
    double prime_meridian;           /* degrees east of Greenwich */
} gen_earth;
gen_status gen_proj_earth(const char *proj, gen_earth *out);

/* A PROJ string as WKT 2:2015, and WKT or an EPSG code as a PROJ string. EDATA. */
gen_status gen_proj_to_wkt(const char *proj, char **out);
gen_status gen_proj_from_wkt(const char *text, char **out);

/* Degrees of "25E", "52d30'N". False when it is no angle. */
bool gen_proj_angle(const char *text, double *degrees);

#endif
