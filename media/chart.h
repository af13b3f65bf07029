/* SPDX-License-Identifier: Apache-2.0
 *
 * Charts of lines, several on a page, as one PNG.
 */
#ifndef MEDIA_CHART_H
#define MEDIA_CHART_H

#include "media/media.h"

typedef enum gen_chart_style {
    GEN_CHART_LINE,
    GEN_CHART_DASHED,
    GEN_CHART_POINTS, /* a line with a dot at each point */
    GEN_CHART_BARS,   /* from 0 to y, as wide as the points are apart */
    GEN_CHART_FAINT   /* thin and light: what another line is the mean of */
} gen_chart_style;

/* One line. A point that is not finite is a gap; on a logarithmic axis also one of 0 or less. */
typedef struct gen_chart_line {
    const char *name; /* in the legend; NULL = none */
    const double *x, *y;
    int n;
    gen_chart_style style;
    int colour; /* of the chart's colours, 0 ...; -1 = grey, for references */
} gen_chart_line;

typedef struct gen_chart {
    const char *title, *x_label, *y_label; /* may be NULL */
    bool log_x, log_y;
    double y_low, y_high; /* limits of y; both 0 = of the data, with 0 where it is near */
    const gen_chart_line *lines;
    int n;
} gen_chart;

/* One picture of n charts, `columns` in a row (0 = all up to 3). A chart whose lines hold no point
 * says so. Appears whole or not at all; EEXIST without force. heading, info may be NULL. */
gen_status gen_charts_write(const char *path, const gen_chart *charts, int n, int columns,
                            const char *heading, const gen_media_info *info);

#endif
