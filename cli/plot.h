/* SPDX-License-Identifier: Apache-2.0
 *
 * What gen radar plot draws, read from files: plot.c has the verb, plot_maps.c reads.
 */
#ifndef CLI_PLOT_H
#define CLI_PLOT_H

#include <libgen/plot.h>

#include "cli/weather_files.h"

typedef struct plot_settings {
    const char *at, *title, *label; /* label: the last, gen_run_text has all */
    int64_t frames, columns, size, each, member, mean;
    double fps, over;
} plot_settings;

typedef struct plot_maps {
    int64_t n;
    gen_plot_panel *panel;      /* [n] */
    const gen_radar_grid *grid; /* of all; NULL: each has its own */
    gen_plot_scale scale;
    char heading[80], source[400];
    /* What the panels point to. */
    char (*text)[2][80];
    float *rain;
    gen_radar_sequence **s; /* [n_s] */
    gen_forecast_file *forecast;
    int64_t n_s;
} plot_maps;

/* As the settings ask: frames of one sequence, the newest of each file, or lead times of a
 * forecast. */
gen_status plot_maps_read(plot_maps *m, const gen_run *r, const file_list *files, bool film);
void plot_maps_free(plot_maps *m);

#endif
