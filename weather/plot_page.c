/* SPDX-License-Identifier: Apache-2.0
 *
 * The page: where the maps lie, their headings and frames, the legend; by Cairo.
 */
#include "weather/plot_page.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_SIDE 30000       /* px */
#define MAX_PIXELS 250000000 /* 1 GB */
#define MAX_PANELS 10000

enum {
    MARGIN = 14,
    TITLE = 30, /* height of the picture's title line */
    SUBTITLE = 20,
    PANEL_TITLE = 22,
    GAP = 14,
    LEGEND = 86, /* width */
    BOX = 20,    /* height of a class in the legend */
};

/* ---- layout ------------------------------------------------------------------------------ */

/* Width of a cell over its height, as seen on the ground. */
static double cell_aspect(const gen_radar_grid *g)
{
    const gen_radar_cell_size cell = gen_radar_cell(g);
    double aspect = cell.ground_y > 0 ? cell.ground_x / cell.ground_y : 1;
    return aspect > 0.1 && aspect < 10 ? aspect : 1;
}

/* Outer edges of an axis, half a cell beyond the outermost centres. */
static void outer_edges(const double *v, int64_t n, bool is_degrees, double edge[2])
{
    double half = n > 1 ? 0.5 * (v[n - 1] - v[0]) / (double)(n - 1) : is_degrees ? 0.005 : 500;
    edge[0] = v[0] - half;
    edge[1] = v[n - 1] + half;
}

/* The largest map of the grid that fits into a box, which becomes it. */
static void fit(const gen_radar_grid *g, int *width, int *height)
{
    double ratio = (double)g->width * cell_aspect(g) / (double)g->height;
    ratio = fmin(fmax(ratio, 0.05), 20);
    if (ratio * *height <= *width)
        *width = (int)ceil(*height * ratio);
    else
        *height = (int)ceil(*width / ratio);
}

static gen_status lay_out(gen_plot_page *p, const gen_radar_grid *grid)
{
    int size = p->o.size ? p->o.size : p->n == 1 ? 640 : p->n <= 4 ? 400 : 260;
    if (size < 1 || size > MAX_SIDE)
        return gen_fail(GEN_EINVAL, "plot: maps of %d px, expected 1 to %d", size, MAX_SIDE);
    p->box_width = p->box_height = size;
    if (grid)
        fit(grid, &p->box_width, &p->box_height);
    p->columns = p->o.columns > 0 && p->o.columns < p->n ? p->o.columns : p->n;
    p->rows = (p->n + p->columns - 1) / p->columns;
    p->top = MARGIN + (p->o.title ? TITLE : 0) + (p->o.subtitle ? SUBTITLE : 0);
    int64_t width =
        2 * MARGIN + LEGEND + (int64_t)p->columns * (GEN_PLOT_AXIS_LEFT + p->box_width + GAP);
    int64_t body = (int64_t)p->rows * (PANEL_TITLE + p->box_height + GEN_PLOT_AXIS_BOTTOM);
    int64_t legend = PANEL_TITLE + 14 + BOX * p->legend->n + 70;
    int64_t height = p->top + (body > legend ? body : legend) + MARGIN;
    if (width > MAX_SIDE || height > MAX_SIDE || width * height > MAX_PIXELS)
        return gen_fail(GEN_EINVAL,
                        "plot: %d maps of %d x %d px make a picture of %lld x %lld px, expected at "
                        "most %d a side and %d in all",
                        p->n, p->box_width, p->box_height, (long long)width, (long long)height,
                        MAX_SIDE, MAX_PIXELS);
    p->width = (int)width;
    p->height = (int)height;
    return GEN_OK;
}

/* The grid of the maps that are drawn next. */
static gen_status set_grid(gen_plot_page *p, const gen_radar_grid *g)
{
    if (!g || g->height < 1 || g->width < 1)
        return gen_fail(GEN_EINVAL, "plot: a map of %lld x %lld cells, expected 1 x 1 or more",
                        g ? (long long)g->height : 0, g ? (long long)g->width : 0);
    p->grid = g;
    p->map_width = p->box_width;
    p->map_height = p->box_height;
    fit(g, &p->map_width, &p->map_height);
    outer_edges(g->x, g->width, g->degrees, p->x);
    outer_edges(g->y, g->height, g->degrees, p->y);
    gen_projection_free(&p->projection);
    gen_status status = gen_projection_open(&p->projection, g);
    return status == GEN_EDATA ? GEN_OK : status; /* EDATA: unknown, drawn in km */
}

gen_status gen_plot_page_open(gen_plot_page *p, const gen_radar_grid *grid, int n,
                              const gen_plot_options *options)
{
    *p = (gen_plot_page){ .n = n, .page_grid = grid };
    if (options)
        p->o = *options;
    p->legend = gen_plot_legend_of(p->o.scale);
    if (!p->legend)
        return gen_fail(GEN_EINVAL, "plot: no scale has the number %d", (int)p->o.scale);
    if (n < 1 || n > MAX_PANELS)
        return gen_fail(GEN_EINVAL, "plot: %d maps, expected 1 to %d", n, MAX_PANELS);
    GEN_TRY(lay_out(p, grid));
    if (grid)
        GEN_TRY(set_grid(p, grid));
    GEN_TRY(gen_canvas_open(&p->canvas, p->width, p->height, "plot"));
    p->c = p->canvas.c;
    return GEN_OK;
}

void gen_plot_page_close(gen_plot_page *p)
{
    gen_canvas_close(&p->canvas);
    gen_projection_free(&p->projection);
    *p = (gen_plot_page){ 0 };
}

/* ---- drawing ----------------------------------------------------------------------------- */

/* A line of the page's heading, cut with dots where it is too long. */
static void heading(const gen_plot_page *p, double y, const char *s)
{
    char text[GEN_CANVAS_TEXT];
    double left = MARGIN + GEN_PLOT_AXIS_LEFT, room = p->width - left - MARGIN;
    gen_canvas_clean(s, text);
    for (size_t n = strlen(text); n > 0 && gen_canvas_text_width(p->c, text) > room; n--) {
        while (n > 1 && ((unsigned char)text[n - 1] >> 6) == 2)
            n--; /* to the first byte of a sign */
        memcpy(text + n - 1, "...", 4);
    }
    gen_canvas_text(p->c, left, y, 0, text);
}

/* Title on the left, note on the right, as small as it takes to keep them apart. */
static void draw_heading(const gen_plot_page *p, const gen_plot_panel *panel, int left, int y)
{
    cairo_t *c = p->c;
    const char *a = panel->title ? panel->title : "", *b = panel->note ? panel->note : "";
    double size = p->map_width < 320 ? 11 : 13;
    for (; size > 6; size--) {
        gen_canvas_font(c, size, true);
        double title = gen_canvas_text_width(c, a);
        gen_canvas_font(c, size - 1, false);
        if (title + gen_canvas_text_width(c, b) + 6 <= p->map_width)
            break;
    }
    gen_canvas_text(c, left + p->map_width, y, 1, b);
    gen_canvas_font(c, size, true);
    gen_canvas_text(c, left, y, 0, a);
}

static gen_status draw_panel(gen_plot_page *p, const gen_plot_panel *panel, int index)
{
    cairo_t *c = p->c;
    const gen_radar_grid *g = panel->grid ? panel->grid : p->page_grid;
    if (!p->grid || g != p->grid)
        GEN_TRY(set_grid(p, g));
    int left = MARGIN + GEN_PLOT_AXIS_LEFT +
               index % p->columns * (GEN_PLOT_AXIS_LEFT + p->box_width + GAP);
    int top = p->top + PANEL_TITLE +
              index / p->columns * (PANEL_TITLE + p->box_height + GEN_PLOT_AXIS_BOTTOM);
    gen_plot_field(p, panel->rain, left, top);
    gen_plot_axes(p, left, top);
    gen_canvas_colour(c, GEN_INK);
    cairo_rectangle(c, left - 0.5, top - 0.5, p->map_width + 1, p->map_height + 1);
    cairo_stroke(c);
    draw_heading(p, panel, left, top - 7);
    return GEN_OK;
}

static void draw_box(cairo_t *c, int left, int top, const int size[2], uint32_t fill)
{
    gen_canvas_colour(c, fill);
    cairo_rectangle(c, left, top, size[0], size[1]);
    cairo_fill(c);
}

static void draw_frame(cairo_t *c, int left, int top, const int size[2])
{
    gen_canvas_colour(c, GEN_INK);
    cairo_rectangle(c, left - 0.5, top - 0.5, size[0] + 1, size[1] + 1);
    cairo_stroke(c);
}

/* The bar of classes, each label at the lower edge of its class, and the two shades beside rain. */
static void draw_legend(gen_plot_page *p)
{
    cairo_t *c = p->c;
    const gen_plot_legend *l = p->legend;
    const int box[2] = { 22, BOX }, bar[2] = { 22, BOX * l->n }, other[2] = { 22, 14 };
    int left = p->width - MARGIN - LEGEND + 18, top = p->top + PANEL_TITLE + 14;
    gen_canvas_font(c, 11, true);
    gen_canvas_text(c, left, top - 7, 0, l->unit);
    gen_canvas_font(c, 11, false);
    cairo_set_line_width(c, 1);
    for (int k = l->n - 1, y = top; k >= 0; k--, y += BOX) {
        draw_box(c, left, y, box, l->classes[k].colour);
        gen_canvas_colour(c, GEN_INK);
        gen_canvas_text(c, left + box[0] + 6, y + BOX + 4, 0, l->classes[k].label);
    }
    draw_frame(c, left, top, bar);
    const uint32_t shade[2] = { GEN_PLOT_WHITE, GEN_PLOT_MISSING };
    const char *const label[2] = { l->below, "no data" };
    for (int k = 0; k < 2; k++) {
        int y = top + bar[1] + 18 + k * 22;
        draw_box(c, left, y, other, shade[k]);
        draw_frame(c, left, y, other);
        gen_canvas_text(c, left + other[0] + 6, y + 11, 0, label[k]);
    }
}

gen_status gen_plot_page_draw(gen_plot_page *p, const gen_plot_panel *panels, uint8_t *rgb)
{
    gen_canvas_colour(p->c, GEN_PLOT_WHITE); /* a film draws many pages on one canvas */
    cairo_paint(p->c);
    if (p->o.title) {
        gen_canvas_font(p->c, 17, true);
        heading(p, MARGIN + 18, p->o.title);
    }
    if (p->o.subtitle) {
        gen_canvas_font(p->c, 12, false);
        heading(p, p->top - 6, p->o.subtitle);
    }
    if (cairo_status(p->c) == CAIRO_STATUS_SUCCESS) /* else there are no pixels */
        for (int i = 0; i < p->n; i++)
            GEN_TRY(draw_panel(p, &panels[i], i));
    draw_legend(p);
    GEN_TRY(gen_canvas_check(&p->canvas, "plot"));
    gen_canvas_copy(&p->canvas, rgb);
    return GEN_OK;
}
