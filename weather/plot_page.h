/* SPDX-License-Identifier: Apache-2.0
 *
 * A page of maps side by side, with one legend: what plot*.c share. Sizes are px, maps are given by
 * their left and top.
 */
#ifndef WEATHER_PLOT_PAGE_H
#define WEATHER_PLOT_PAGE_H

#include <libgen/plot.h>

#include "libgen/base/fail.h"
#include "media/canvas.h"
#include "weather/projection.h"

enum {
    GEN_PLOT_AXIS_LEFT = 46,
    GEN_PLOT_AXIS_BOTTOM = 34,
};

/* A class of a scale: values from `from` to the next class. */
typedef struct gen_plot_class {
    float from;
    uint32_t colour; /* 0xRRGGBB */
    const char *label;
} gen_plot_class;

typedef struct gen_plot_legend {
    const char *title; /* of a picture that has none */
    const char *unit;
    const char *below; /* what less than the first class is called; white */
    int n;
    gen_plot_class classes[12];
} gen_plot_legend;

typedef struct gen_plot_page {
    gen_plot_options o;
    const gen_plot_legend *legend;
    const gen_radar_grid *page_grid; /* of panels that have none */
    int n, columns, rows;            /* of the maps */
    int box_width, box_height;       /* room of a map */
    int width, height, top;
    /* Of the map being drawn. */
    const gen_radar_grid *grid;
    gen_projection *projection; /* NULL: unknown */
    double x[2], y[2];          /* of the grid's left and right, top and bottom edge, in its unit */
    int map_width, map_height;
    gen_canvas canvas;
    cairo_t *c; /* of the canvas */
} gen_plot_page;

/* Room for n maps. grid is borrowed; NULL: each panel has its own. Close also after a failure. */
gen_status gen_plot_page_open(gen_plot_page *p, const gen_radar_grid *grid, int n,
                              const gen_plot_options *options);
void gen_plot_page_close(gen_plot_page *p);

/* Draws n panels and gives their pixels, rgb [height,width,3]. */
gen_status gen_plot_page_draw(gen_plot_page *p, const gen_plot_panel *panels, uint8_t *rgb);

/* ---- parts ------------------------------------------------------------------------------- */

#define GEN_PLOT_WHITE 0xffffff
#define GEN_PLOT_MISSING 0xc9c9c9
#define GEN_PLOT_LINE 0.2     /* opacity of black lines over a field */

/* plot_field.c */
const gen_plot_legend *gen_plot_legend_of(gen_plot_scale scale);
void gen_plot_field(gen_plot_page *p, const float *field, int left, int top);

/* plot_axes.c: a graticule where the projection is known, else km; a scale bar. */
void gen_plot_axes(gen_plot_page *p, int left, int top);

#endif
