/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures of rain: maps with a palette in mm/h, side by side in one PNG.
 */
#ifndef LIBGEN_PLOT_H
#define LIBGEN_PLOT_H

#include <libgen/weather.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_plot_panel {
    const float *rain; /* [height,width] mm/h, NaN = missing: grey */
    const char *title; /* above the map, left */
    const char *note;  /* above the map, right; may be NULL */
} gen_plot_panel;

typedef struct gen_plot_options {
    const char *title, *subtitle; /* of the picture; may be NULL */
    const char *made;             /* how it was made: PNG text "Source" */
    int columns;                  /* panels in a row; 0 = all */
    int size;                     /* longer side of a map, px; 0 = 640, less for many panels */
    bool force;                   /* overwrite */
} gen_plot_options;

/* One PNG of n maps over the same grid, with one legend. Appears whole or not at all; EEXIST
 * without force. options may be NULL. */
GEN_API gen_status gen_plot(const char *path, const gen_radar_grid *grid,
                            const gen_plot_panel *panels, int n, const gen_plot_options *options);

#ifdef __cplusplus
}
#endif
#endif
