/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a map lies: parallels and meridians, through the grid's projection, labelled where they
 * meet the left and the lower edge; or ticks in km where no projection is known. A scale bar, true
 * in the middle of the map.
 */
#include <math.h>
#include <stdio.h>

#include "weather/plot_page.h"

#define RADIANS (3.14159265358979323846 / 180)
#define EARTH 6371.0 /* km */
#define DEGREE "\302\260"

static void line_colour(cairo_t *c)
{
    cairo_set_source_rgba(c, 0, 0, 0, GEN_PLOT_LINE);
}

/* ---- km ---------------------------------------------------------------------------------- */

/* The largest of 1, 2, 5, 10, 20, ... that is not above v. */
static double round_below(double v)
{
    double power = pow(10, floor(log10(v)));
    return power * (v >= 5 * power ? 5 : v >= 2 * power ? 2 : 1);
}

static int steps_along(int length)
{
    return length / (length < 320 ? 50 : 75) + 1;
}

/* A short line outside of the map and its label. */
static void tick(gen_plot_page *p, bool vertical, double at, const char *label, int left, int top)
{
    cairo_t *c = p->c;
    double x = vertical ? left : floor(left + at) + 0.5;
    double y = vertical ? floor(top + at) + 0.5 : top + p->map_height;
    gen_canvas_colour(c, 0x444444);
    cairo_move_to(c, x, y);
    cairo_line_to(c, vertical ? x - 4 : x, vertical ? y : y + 4);
    cairo_stroke(c);
    if (vertical)
        gen_canvas_text(c, x - 6, y + 3.5, 1, label);
    else
        gen_canvas_text(c, x, y + 15, 0.5, label);
}

static void kilometres(gen_plot_page *p, bool vertical, int left, int top)
{
    cairo_t *c = p->c;
    const double *edge = vertical ? p->y : p->x;
    int length = vertical ? p->map_height : p->map_width;
    double span = (edge[1] - edge[0]) / 1000,
           step = round_below(2 * fabs(span) / steps_along(length));
    if (!(fabs(span) > 0) || !isfinite(step))
        return;
    double low = fmin(edge[0], edge[1]) / 1000, high = fmax(edge[0], edge[1]) / 1000;
    for (double k = ceil(low / step); k * step <= high; k++) {
        char label[32];
        double v = k * step, at = (v - edge[0] / 1000) / span * length;
        snprintf(label, sizeof label, "%g", k == 0 ? 0 : v);
        line_colour(c);
        double x = vertical ? left : floor(left + at) + 0.5,
               y = vertical ? floor(top + at) + 0.5 : top;
        cairo_move_to(c, x, y);
        cairo_line_to(c, vertical ? left + p->map_width : x, vertical ? y : top + p->map_height);
        cairo_stroke(c);
        tick(p, vertical, at, label, left, top);
    }
}

/* ---- degrees ----------------------------------------------------------------------------- */

/* Latitudes and longitudes that the map shows; longitudes around that of its middle. */
typedef struct extent {
    double lat[2], lon[2], middle;
    double low[2]; /* longitudes at the lower edge, where they are labelled */
} extent;

static bool place(const gen_plot_page *p, double u, double v, double *lat, double *lon)
{
    return gen_projection_inverse(p->projection, p->x[0] + u * (p->x[1] - p->x[0]),
                                  p->y[0] + v * (p->y[1] - p->y[0]), lat, lon);
}

static bool find_extent(const gen_plot_page *p, extent *e)
{
    const int n = 16;
    double lat, lon;
    *e = (extent){ { 90, -90 }, { 720, -720 }, 0, { 720, -720 } };
    if (!place(p, 0.5, 0.5, &lat, &e->middle))
        return false;
    for (int i = 0; i <= n; i++)
        for (int j = 0; j <= n; j++) {
            if (!place(p, (double)i / n, (double)j / n, &lat, &lon))
                continue;
            lon = e->middle + remainder(lon - e->middle, 360);
            e->lat[0] = fmin(e->lat[0], lat);
            e->lat[1] = fmax(e->lat[1], lat);
            e->lon[0] = fmin(e->lon[0], lon);
            e->lon[1] = fmax(e->lon[1], lon);
            e->low[0] = j == n ? fmin(e->low[0], lon) : e->low[0];
            e->low[1] = j == n ? fmax(e->low[1], lon) : e->low[1];
        }
    return e->lat[1] > e->lat[0] && e->lon[1] > e->lon[0];
}

static double degree_step(double span, int n)
{
    static const double steps[] = { 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30 };
    int k = 0;
    while (k < GEN_LEN(steps) - 1 && span / steps[k] > n)
        k++;
    return steps[k];
}

/* Where a point lies on the map, px from its left and top. */
static bool on_map(const gen_plot_page *p, double lat, double lon, double at[2])
{
    double x, y;
    if (!gen_projection_forward(p->projection, lat, lon, &x, &y))
        return false;
    at[0] = (x - p->x[0]) / (p->x[1] - p->x[0]) * p->map_width;
    at[1] = (y - p->y[0]) / (p->y[1] - p->y[0]) * p->map_height;
    return isfinite(at[0]) && isfinite(at[1]);
}

/* Where the way from a to b meets the left (vertical) or lower edge of the map. */
static bool meets(const gen_plot_page *p, bool vertical, const double a[2], const double b[2],
                  double *at)
{
    int k = vertical ? 0 : 1;
    double edge = vertical ? 0 : p->map_height, length = vertical ? p->map_height : p->map_width;
    if ((a[k] < edge) == (b[k] < edge))
        return false;
    *at = a[!k] + (edge - a[k]) / (b[k] - a[k]) * (b[!k] - a[!k]);
    return *at >= 0 && *at <= length;
}

/* One parallel or meridian; *label is where it meets its edge, NaN where it does not. */
static void draw_line(gen_plot_page *p, bool parallel, double degrees, const double range[2],
                      int left, int top, double *label)
{
    const int n = 96;
    double a[2], b[2], at;
    bool have = false;
    *label = NAN;
    for (int i = 0; i <= n; i++) {
        double other = range[0] + (range[1] - range[0]) * i / n;
        bool good = on_map(p, parallel ? degrees : other, parallel ? other : degrees, b);
        /* A leap across the map is the seam of the projection. */
        bool joined =
            good && have && fabs(b[0] - a[0]) < p->map_width && fabs(b[1] - a[1]) < p->map_height;
        if (joined) {
            cairo_line_to(p->c, left + b[0], top + b[1]);
            if (isnan(*label) && meets(p, parallel, a, b, &at))
                *label = at;
        } else if (good)
            cairo_move_to(p->c, left + b[0], top + b[1]);
        have = good;
        a[0] = b[0];
        a[1] = b[1];
    }
    cairo_save(p->c);
    cairo_path_t *path = cairo_copy_path(p->c);
    cairo_new_path(p->c);
    cairo_rectangle(p->c, left, top, p->map_width, p->map_height);
    cairo_clip(p->c);
    cairo_set_antialias(p->c, CAIRO_ANTIALIAS_NONE); /* few colours: a third of a GIF's size */
    cairo_append_path(p->c, path);
    line_colour(p->c);
    cairo_stroke(p->c);
    cairo_path_destroy(path);
    cairo_restore(p->c);
}

static void degree_text(bool parallel, double v, char label[32])
{
    const char *side = parallel ? "NS" : "EW";
    v = parallel ? v : remainder(v, 360);
    bool plain = v == 0 || (!parallel && fabs(v) == 180);
    snprintf(label, 32, "%g" DEGREE "%.*s", fabs(v), plain ? 0 : 1, v > 0 ? side : side + 1);
}

static void degrees(gen_plot_page *p, const extent *e, bool parallel, int left, int top)
{
    const double *own = parallel ? e->lat : e->lon, *other = parallel ? e->lon : e->lat;
    const double *labelled = parallel || e->low[1] <= e->low[0] ? own : e->low;
    double step = degree_step(labelled[1] - labelled[0],
                              steps_along(parallel ? p->map_height : p->map_width));
    double pad = 0.05 * (other[1] - other[0]), end = -INFINITY;
    double range[2] = { other[0] - pad, other[1] + pad };
    if (!parallel) {
        range[0] = fmax(range[0], -90);
        range[1] = fmin(range[1], 90);
    }
    for (double k = ceil(own[0] / step); k * step <= own[1]; k++) {
        double at, v = k == 0 ? 0 : k * step;
        char label[32];
        if (!parallel && v >= own[0] + 360)
            break;
        draw_line(p, parallel, v, range, left, top, &at);
        degree_text(parallel, v, label);
        double room = parallel ? 12 : gen_canvas_text_width(p->c, label) + 8;
        if (isnan(at) || fabs(at - end) < room)
            continue;
        tick(p, parallel, at, label, left, top);
        end = at;
    }
}

/* ---- scale bar --------------------------------------------------------------------------- */

static double distance(double lat1, double lon1, double lat2, double lon2)
{
    double a = sin((lat2 - lat1) * RADIANS / 2), b = sin((lon2 - lon1) * RADIANS / 2);
    double h = a * a + cos(lat1 * RADIANS) * cos(lat2 * RADIANS) * b * b;
    return 2 * EARTH * asin(fmin(1, sqrt(h)));
}

/* km of a pixel's width in the middle of the map; NaN where that is not known. */
static double pixel_km(const gen_plot_page *p)
{
    double a[2], b[2], half = fmax(0.5 / p->map_width, 0.001);
    if (!p->projection)
        return fabs(p->x[1] - p->x[0]) / 1000 / p->map_width;
    if (!place(p, 0.5 - half, 0.5, &a[0], &a[1]) || !place(p, 0.5 + half, 0.5, &b[0], &b[1]))
        return NAN;
    return distance(a[0], a[1], b[0], b[1]) / (2 * half * p->map_width);
}

static void scale_bar(gen_plot_page *p, int left, int top)
{
    cairo_t *c = p->c;
    char label[40];
    double km = pixel_km(p), length = round_below(0.3 * p->map_width * km);
    if (!(km > 0) || !isfinite(length))
        return;
    snprintf(label, sizeof label, "%g km", length);
    double right = left + p->map_width - gen_canvas_text_width(c, label) - 6;
    double start = floor(right - length / km) + 0.5, y = top + p->map_height + 26.5;
    gen_canvas_colour(c, 0x444444);
    cairo_move_to(c, start, y - 3);
    cairo_line_to(c, start, y);
    cairo_line_to(c, start + length / km, y);
    cairo_line_to(c, start + length / km, y - 3);
    cairo_stroke(c);
    gen_canvas_text(c, left + p->map_width, y + 2, 1, label);
}

void gen_plot_axes(gen_plot_page *p, int left, int top)
{
    extent e;
    cairo_set_line_width(p->c, 1);
    gen_canvas_font(p->c, 10, false);
    if (p->projection && find_extent(p, &e)) {
        degrees(p, &e, true, left, top);
        degrees(p, &e, false, left, top);
        scale_bar(p, left, top);
        return;
    }
    if (p->x[0] == p->x[1] && p->y[0] == p->y[1])
        return;
    kilometres(p, true, left, top);
    kilometres(p, false, left, top);
    gen_canvas_colour(p->c, 0x444444);
    gen_canvas_text(p->c, left + p->map_width, top + p->map_height + 28, 1, "km");
}
