/* SPDX-License-Identifier: Apache-2.0
 *
 * Maps of rain through Cairo.
 *
 * The classes of the palette double, so that drizzle and downpour both show. Cells smaller than a
 * pixel are averaged over those that were measured; larger ones are drawn as squares, not smoothed:
 * what looks like data is data.
 */
#include "weather/plot.h"

#include <cairo.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "media/png.h"

#define MAX_PANELS 64
#define MAX_PIXELS 30000 /* of the picture, a side */

static const struct {
    float from; /* mm/h */
    uint32_t colour;
    const char *label;
} classes[] = {
    { 0.1f, 0xcfe8f7, "0.1" }, { 0.5f, 0x93c4ea, "0.5" }, { 1, 0x4f97d6, "1" },
    { 2, 0x2463b4, "2" },      { 4, 0x1f9e52, "4" },      { 8, 0xf5e23d, "8" },
    { 16, 0xf59b23, "16" },    { 32, 0xdf2a1f, "32" },    { 64, 0x9c1a86, "64" },
};
#define DRY 0xffffff
#define MISSING 0xc9c9c9

/* Sizes in px. */
enum {
    MARGIN = 14,
    TITLE = 30, /* height of the picture's title line */
    SUBTITLE = 20,
    PANEL_TITLE = 22,
    AXIS_LEFT = 46,
    AXIS_BOTTOM = 34,
    GAP = 14,
    LEGEND = 86, /* width */
};

typedef struct page {
    const gen_radar_grid *grid;
    const gen_plot_panel *panels;
    gen_plot_options o;
    int n, columns, rows;
    int map_width, map_height; /* px */
    int width, height, top;
    cairo_surface_t *surface;
    cairo_t *c;
} page;

/* ---- layout ------------------------------------------------------------------------------ */

/* Width of a cell over its height, as seen on the ground. */
static double cell_aspect(const gen_radar_grid *g)
{
    if (g->height < 2 || g->width < 2)
        return 1;
    double dx = fabs(g->x[g->width - 1] - g->x[0]) / (double)(g->width - 1);
    double dy = fabs(g->y[g->height - 1] - g->y[0]) / (double)(g->height - 1);
    if (g->degrees)
        dx *= cos(0.5 * (g->y[0] + g->y[g->height - 1]) * 3.14159265358979323846 / 180);
    double aspect = dx / dy;
    return aspect > 0.1 && aspect < 10 ? aspect : 1;
}

static gen_status lay_out(page *p)
{
    int size = p->o.size ? p->o.size : p->n == 1 ? 640 : p->n <= 4 ? 400 : 260;
    double ratio = (double)p->grid->width * cell_aspect(p->grid) / (double)p->grid->height;
    ratio = fmin(fmax(ratio, 0.05), 20);
    p->map_width = ratio >= 1 ? size : (int)lround(size * ratio);
    p->map_height = ratio >= 1 ? (int)lround(size / ratio) : size;
    p->columns = p->o.columns > 0 && p->o.columns < p->n ? p->o.columns : p->n;
    p->rows = (p->n + p->columns - 1) / p->columns;
    p->top = MARGIN + (p->o.title ? TITLE : 0) + (p->o.subtitle ? SUBTITLE : 0);
    p->width = 2 * MARGIN + p->columns * (AXIS_LEFT + p->map_width + GAP) + LEGEND;
    int body = p->rows * (PANEL_TITLE + p->map_height + AXIS_BOTTOM);
    p->height = p->top + (body > 300 ? body : 300) + MARGIN;
    if (p->width > MAX_PIXELS || p->height > MAX_PIXELS)
        return gen_fail(GEN_EINVAL, "plot: a picture of %d x %d px is too large", p->width,
                        p->height);
    return GEN_OK;
}

/* ---- drawing ----------------------------------------------------------------------------- */

static void colour(cairo_t *c, uint32_t rgb)
{
    cairo_set_source_rgb(c, (rgb >> 16 & 255) / 255.0, (rgb >> 8 & 255) / 255.0,
                         (rgb & 255) / 255.0);
}

/* align: 0 left, 0.5 centre, 1 right of x. */
static void text(cairo_t *c, double x, double y, double align, const char *s)
{
    cairo_text_extents_t e;
    cairo_text_extents(c, s, &e);
    cairo_move_to(c, floor(x - align * e.x_advance), y);
    cairo_show_text(c, s);
}

static void font(cairo_t *c, double size, bool bold)
{
    cairo_select_font_face(c, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(c, size);
    colour(c, 0x222222);
}

static uint32_t rain_colour(float rain)
{
    uint32_t rgb = DRY;
    for (int k = 0; k < GEN_LEN(classes) && rain >= classes[k].from; k++)
        rgb = classes[k].colour;
    return rgb;
}

/* Mean of the measured cells that a pixel covers. */
static float pixel_rain(const page *p, const float *rain, int x, int y)
{
    int64_t h = p->grid->height, w = p->grid->width;
    int64_t j0 = y * h / p->map_height, j1 = (y + 1) * h / p->map_height;
    int64_t i0 = x * w / p->map_width, i1 = (x + 1) * w / p->map_width;
    float sum = 0;
    int n = 0;
    for (int64_t j = j0; j < j1 || j == j0; j++)
        for (int64_t i = i0; i < i1 || i == i0; i++)
            if (!isnan(rain[j * w + i])) {
                sum += rain[j * w + i];
                n++;
            }
    return n ? sum / (float)n : NAN;
}

static void draw_rain(page *p, const float *rain, int left, int top)
{
    cairo_surface_flush(p->surface);
    unsigned char *data = cairo_image_surface_get_data(p->surface);
    int stride = cairo_image_surface_get_stride(p->surface);
    for (int y = 0; y < p->map_height; y++) {
        uint32_t *row = (uint32_t *)(void *)(data + (size_t)(top + y) * (size_t)stride) + left;
        for (int x = 0; x < p->map_width; x++) {
            float v = pixel_rain(p, rain, x, y);
            row[x] = 0xff000000u | (isnan(v) ? MISSING : rain_colour(v));
        }
    }
    cairo_surface_mark_dirty(p->surface);
}

/* 1, 2 or 5 times a power of ten, so that about `n` steps fit into span. */
static double nice_step(double span, double n)
{
    double raw = span / n, power = pow(10, floor(log10(raw)));
    double m = raw / power;
    return power * (m <= 1 ? 1 : m <= 2 ? 2 : m <= 5 ? 5 : 10);
}

/* Ticks, labels and thin lines along one axis. first, last: outer edges, in km or degrees. */
static void draw_axis(page *p, bool vertical, const double edge[2], int left, int top)
{
    cairo_t *c = p->c;
    int length = vertical ? p->map_height : p->map_width;
    double span = edge[1] - edge[0],
           step = nice_step(fabs(span), length / (length < 320 ? 50.0 : 75.0));
    if (!(fabs(span) > 0) || !isfinite(step))
        return;
    double low = fmin(edge[0], edge[1]), high = fmax(edge[0], edge[1]);
    for (double k = ceil(low / step); k * step <= high; k++) {
        char label[32];
        double v = k * step, at = (v - edge[0]) / span * length;
        snprintf(label, sizeof label, "%g%s", k == 0 ? 0 : v, p->grid->degrees ? "\302\260" : "");
        cairo_set_source_rgba(c, 0, 0, 0, 0.13);
        double x = vertical ? left : floor(left + at) + 0.5,
               y = vertical ? floor(top + at) + 0.5 : top;
        cairo_move_to(c, x, y);
        cairo_line_to(c, vertical ? left + p->map_width : x, vertical ? y : top + p->map_height);
        cairo_stroke(c);
        colour(c, 0x444444);
        cairo_move_to(c, vertical ? left - 4 : x, vertical ? y : top + p->map_height);
        cairo_line_to(c, vertical ? left : x, vertical ? y : top + p->map_height + 4);
        cairo_stroke(c);
        if (vertical)
            text(c, left - 6, y + 3.5, 1, label);
        else
            text(c, x, top + p->map_height + 15, 0.5, label);
    }
}

/* Outer edges of an axis, half a cell beyond the outermost centres. */
static void axis_edges(const double *v, int64_t n, bool degrees, double edge[2])
{
    double half = n > 1 ? 0.5 * (v[n - 1] - v[0]) / (double)(n - 1) : 500;
    double unit = degrees ? 1 : 1000;
    edge[0] = (v[0] - half) / unit;
    edge[1] = (v[n - 1] + half) / unit;
}

/* Title on the left, note on the right, as small as it takes to keep them apart. */
static void draw_heading(const page *p, const gen_plot_panel *panel, int left, int y)
{
    cairo_t *c = p->c;
    cairo_text_extents_t title = { 0 }, note = { 0 };
    const char *a = panel->title ? panel->title : "", *b = panel->note ? panel->note : "";
    double size = p->map_width < 320 ? 11 : 13;
    for (; size > 6; size--) {
        font(c, size, true);
        cairo_text_extents(c, a, &title);
        font(c, size - 1, false);
        cairo_text_extents(c, b, &note);
        if (title.x_advance + note.x_advance + 6 <= p->map_width)
            break;
    }
    text(c, left + p->map_width, y, 1, b);
    font(c, size, true);
    text(c, left, y, 0, a);
}

static void draw_panel(page *p, int index)
{
    cairo_t *c = p->c;
    const gen_plot_panel *panel = &p->panels[index];
    int left = MARGIN + index % p->columns * (AXIS_LEFT + p->map_width + GAP) + AXIS_LEFT;
    int top =
        p->top + index / p->columns * (PANEL_TITLE + p->map_height + AXIS_BOTTOM) + PANEL_TITLE;
    double edge[2];
    draw_rain(p, panel->rain, left, top);
    cairo_set_line_width(c, 1);
    font(c, 10, false);
    axis_edges(p->grid->x, p->grid->width, p->grid->degrees, edge);
    draw_axis(p, false, edge, left, top);
    axis_edges(p->grid->y, p->grid->height, p->grid->degrees, edge);
    draw_axis(p, true, edge, left, top);
    if (!p->grid->degrees) {
        colour(c, 0x444444);
        text(c, left + p->map_width, top + p->map_height + 28, 1, "km");
    }
    colour(c, 0x222222);
    cairo_rectangle(c, left - 0.5, top - 0.5, p->map_width + 1, p->map_height + 1);
    cairo_stroke(c);
    draw_heading(p, panel, left, top - 7);
}

/* The bar of classes, each label at the lower edge of its class, and the two shades beside rain. */
static void draw_legend(page *p)
{
    cairo_t *c = p->c;
    const int box = 20, wide = 22;
    int left = p->width - MARGIN - LEGEND + 18, top = p->top + PANEL_TITLE + 14;
    font(c, 11, true);
    text(c, left, top - 7, 0, "mm/h");
    font(c, 11, false);
    cairo_set_line_width(c, 1);
    for (int k = GEN_LEN(classes) - 1, y = top; k >= 0; k--, y += box) {
        colour(c, classes[k].colour);
        cairo_rectangle(c, left, y, wide, box);
        cairo_fill(c);
        colour(c, 0x222222);
        text(c, left + wide + 6, y + box + 4, 0, classes[k].label);
    }
    int bottom = top + GEN_LEN(classes) * box;
    cairo_rectangle(c, left - 0.5, top - 0.5, wide + 1, GEN_LEN(classes) * box + 1);
    cairo_stroke(c);
    static const struct {
        uint32_t shade;
        const char *label;
    } others[] = { { DRY, "dry" }, { MISSING, "no data" } };
    for (int k = 0; k < GEN_LEN(others); k++) {
        int y = bottom + 18 + k * 22;
        colour(c, others[k].shade);
        cairo_rectangle(c, left, y, wide, 14);
        cairo_fill(c);
        colour(c, 0x222222);
        cairo_rectangle(c, left - 0.5, y - 0.5, wide + 1, 15);
        cairo_stroke(c);
        text(c, left + wide + 6, y + 11, 0, others[k].label);
    }
}

static gen_status draw(page *p)
{
    p->surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, p->width, p->height);
    p->c = cairo_create(p->surface);
    colour(p->c, 0xffffff);
    cairo_paint(p->c);
    if (p->o.title) {
        font(p->c, 17, true);
        text(p->c, MARGIN + AXIS_LEFT, MARGIN + 18, 0, p->o.title);
    }
    if (p->o.subtitle) {
        font(p->c, 12, false);
        text(p->c, MARGIN + AXIS_LEFT, p->top - 6, 0, p->o.subtitle);
    }
    if (cairo_status(p->c) == CAIRO_STATUS_SUCCESS)
        for (int i = 0; i < p->n; i++)
            draw_panel(p, i);
    draw_legend(p);
    cairo_status_t code = cairo_status(p->c);
    if (code == CAIRO_STATUS_SUCCESS)
        return GEN_OK;
    return gen_fail(code == CAIRO_STATUS_NO_MEMORY ? GEN_ENOMEM : GEN_EUNSUPPORTED,
                    "plot: cannot draw: %s", cairo_status_to_string(code));
}

/* ---- files ------------------------------------------------------------------------------- */

/* Cairo's pixels as red, green, blue. */
static gen_status pixels(const page *p, uint8_t **rgb)
{
    GEN_TRY(
        gen_alloc_raw((void **)rgb, 3 * (uint64_t)p->width * (uint64_t)p->height, 1, "a picture"));
    cairo_surface_flush(p->surface);
    const unsigned char *data = cairo_image_surface_get_data(p->surface);
    int stride = cairo_image_surface_get_stride(p->surface);
    uint8_t *to = *rgb;
    for (int y = 0; y < p->height; y++) {
        const uint32_t *from = (const uint32_t *)(const void *)(data + (size_t)y * (size_t)stride);
        for (int x = 0; x < p->width; x++, to += 3) {
            to[0] = (uint8_t)(from[x] >> 16);
            to[1] = (uint8_t)(from[x] >> 8);
            to[2] = (uint8_t)from[x];
        }
    }
    return GEN_OK;
}

gen_status gen_plot(const char *path, const gen_radar_grid *grid, const gen_plot_panel *panels,
                    int n, const gen_plot_options *options)
{
    gen_status status;
    uint8_t *rgb = NULL;
    page p = { .grid = grid, .panels = panels, .n = n };
    if (options)
        p.o = *options;
    if (n < 1 || n > MAX_PANELS || grid->height < 1 || grid->width < 1)
        return gen_fail(GEN_EINVAL, "plot: %d maps of %lld x %lld cells, expected 1 to %d maps", n,
                        (long long)grid->height, (long long)grid->width, MAX_PANELS);
    gen_media_info info = { p.o.title ? p.o.title : "Rain rate", p.o.made, p.o.force };
    GEN_TRY(lay_out(&p));
    GEN_GOTO(draw(&p));
    GEN_GOTO(pixels(&p, &rgb));
    GEN_GOTO(gen_png_write(path, rgb, p.width, p.height, &info));
done:
    gen_free(rgb);
    if (p.c)
        cairo_destroy(p.c);
    if (p.surface)
        cairo_surface_destroy(p.surface);
    return status;
}
