/* SPDX-License-Identifier: Apache-2.0
 *
 * Charts of lines through Cairo. Colours are told apart by people who see fewer of them (Okabe and
 * Ito 2008); references are grey.
 */
#include "media/chart.h"

#include <math.h>
#include <stdio.h>

#include "media/canvas.h"

#define MAX_CHARTS 64

static const uint32_t colours[] = { 0x0072b2, 0xd55e00, 0x009e73, 0xcc79a7, 0xe69f00, 0x56b4e9 };
#define GREY 0x999999

/* Sizes in px. */
enum {
    WIDTH = 380, /* of a chart, all in */
    HEIGHT = 290,
    HEADING = 34,
    LEFT = 62,
    RIGHT = 14,
    TOP = 30,
    BOTTOM = 46
};

typedef struct axis {
    double low, high; /* as drawn: logarithms on a logarithmic axis */
    bool log;
    double from, length; /* px; y grows upwards: length < 0 */
} axis;

typedef struct frame {
    cairo_t *c;
    const gen_chart *chart;
    axis x, y;
    double left, top, width, height; /* of the area inside the axes */
} frame;

/* ---- numbers and pixels -------------------------------------------------------------------- */

static double scaled(const axis *a, double v)
{
    return a->log ? (v > 0 ? log10(v) : NAN) : v;
}

static double pixel(const axis *a, double v)
{
    return a->from + (scaled(a, v) - a->low) / (a->high - a->low) * a->length;
}

static bool shown(const frame *f, const gen_chart_line *l, int i)
{
    return isfinite(scaled(&f->x, l->x[i])) && isfinite(scaled(&f->y, l->y[i]));
}

static void widen(axis *a, double v)
{
    a->low = fmin(a->low, v);
    a->high = fmax(a->high, v);
}

/* Bars stand on 0 and are as wide as their points are apart. */
static void make_room(frame *f, const gen_chart_line *l, int i)
{
    double half = l->n > 1 ? 0.5 * fabs(l->x[1] - l->x[0]) : 0;
    if (!f->y.log)
        widen(&f->y, 0);
    if (!f->x.log) {
        widen(&f->x, l->x[i] - half);
        widen(&f->x, l->x[i] + half);
    }
}

/* The least and greatest of what is shown; false when nothing is. */
static bool find_limits(frame *f)
{
    const gen_chart *k = f->chart;
    f->x = (axis){ .low = HUGE_VAL, .high = -HUGE_VAL, .log = k->log_x };
    f->y = (axis){ .low = HUGE_VAL, .high = -HUGE_VAL, .log = k->log_y };
    for (int l = 0; l < k->n; l++)
        for (int i = 0; i < k->lines[l].n; i++)
            if (shown(f, &k->lines[l], i)) {
                widen(&f->x, scaled(&f->x, k->lines[l].x[i]));
                widen(&f->y, scaled(&f->y, k->lines[l].y[i]));
                if (k->lines[l].style == GEN_CHART_BARS)
                    make_room(f, &k->lines[l], i);
            }
    return f->x.low <= f->x.high;
}

static void round_limits(frame *f)
{
    axis *y = &f->y;
    const gen_chart *k = f->chart;
    if (k->y_low != 0 || k->y_high != 0) {
        y->low = scaled(y, k->y_low);
        y->high = scaled(y, k->y_high);
    } else if (!y->log) {
        if (y->low > 0 && y->low < 0.5 * y->high)
            y->low = 0;
        if (y->high < 0 && y->high > 0.5 * y->low)
            y->high = 0;
        double room = 0.06 * (y->high - y->low);
        y->high += y->high == 0 ? 0 : room;
        y->low -= y->low == 0 ? 0 : room;
    }
    axis *const both[2] = { &f->x, y };
    for (int i = 0; i < 2; i++)
        if (!(both[i]->high - both[i]->low > 1e-12 * fabs(both[i]->high))) {
            double half = both[i]->high != 0 ? 0.5 * fabs(both[i]->high) : 0.5;
            both[i]->low -= half;
            both[i]->high += half;
        }
}

/* ---- drawing ------------------------------------------------------------------------------- */

static void tick(const frame *f, const axis *a, double v, const char *label)
{
    cairo_t *c = f->c;
    bool vertical = a == &f->y;
    double at = floor(pixel(a, v)) + 0.5;
    cairo_set_source_rgba(c, 0, 0, 0, 0.12);
    cairo_move_to(c, vertical ? f->left : at, vertical ? at : f->top);
    cairo_line_to(c, vertical ? f->left + f->width : at, vertical ? at : f->top + f->height);
    cairo_stroke(c);
    gen_canvas_colour(c, GEN_INK);
    if (vertical)
        gen_canvas_text(c, f->left - 6, at + 3.5, 1, label);
    else
        gen_canvas_text(c, at, f->top + f->height + 15, 0.5, label);
}

static void linear_ticks(const frame *f, const axis *a)
{
    double step = gen_nice_step(a->high - a->low, a == &f->y ? 5 : 6);
    for (double k = ceil(a->low / step - 1e-9); k * step <= a->high + 1e-9 * step; k++) {
        char label[32];
        snprintf(label, sizeof label, "%.6g", k == 0 ? 0 : k * step);
        tick(f, a, k * step, label);
    }
}

static void log_ticks(const frame *f, const axis *a)
{
    static const double parts[] = { 1, 2, 5 };
    int each = a->high - a->low < 2.2 ? 3 : 1; /* labels per power of ten */
    int skip = (int)((a->high - a->low) / 7) + 1;
    for (double p = floor(a->low); p <= a->high; p++)
        for (int i = 0; i < each; i++) {
            double v = pow(10, p) * parts[i];
            char label[32];
            if (log10(v) < a->low - 1e-9 || log10(v) > a->high + 1e-9 || (int)p % skip != 0)
                continue;
            snprintf(label, sizeof label, "%.6g", v);
            tick(f, a, v, label);
        }
}

/* Two thirds of the way to white. */
static uint32_t light(uint32_t rgb)
{
    uint32_t out = 0;
    for (int k = 0; k <= 16; k += 8)
        out |= (255 - (255 - (rgb >> k & 255)) / 3) << k;
    return out;
}

static void line_colour(cairo_t *c, const gen_chart_line *l)
{
    uint32_t rgb = l->colour < 0 ? GREY : colours[l->colour % GEN_LEN(colours)];
    gen_canvas_colour(c, l->style == GEN_CHART_FAINT ? light(rgb) : rgb);
}

static void draw_bars(const frame *f, const gen_chart_line *l)
{
    double wide = l->n > 1 ? fabs(pixel(&f->x, l->x[1]) - pixel(&f->x, l->x[0])) : 20;
    double zero = f->y.log ? f->top + f->height : pixel(&f->y, 0);
    for (int i = 0; i < l->n; i++)
        if (shown(f, l, i)) {
            double x = pixel(&f->x, l->x[i]), y = pixel(&f->y, l->y[i]);
            cairo_rectangle(f->c, x - 0.4 * wide, fmin(y, zero), 0.8 * wide, fabs(zero - y));
            cairo_fill(f->c);
        }
}

static void draw_line(const frame *f, const gen_chart_line *l)
{
    cairo_t *c = f->c;
    const double dashes[2] = { 5, 3 };
    bool pen = false;
    line_colour(c, l);
    if (l->style == GEN_CHART_BARS) {
        draw_bars(f, l);
        return;
    }
    cairo_set_line_width(c, l->style == GEN_CHART_FAINT ? 0.8 : l->colour < 0 ? 1.2 : 1.8);
    cairo_set_dash(c, dashes, l->style == GEN_CHART_DASHED ? 2 : 0, 0);
    for (int i = 0; i < l->n; i++) {
        bool here = shown(f, l, i);
        if (here && pen)
            cairo_line_to(c, pixel(&f->x, l->x[i]), pixel(&f->y, l->y[i]));
        else if (here)
            cairo_move_to(c, pixel(&f->x, l->x[i]), pixel(&f->y, l->y[i]));
        pen = here;
    }
    cairo_stroke(c);
    cairo_set_dash(c, NULL, 0, 0);
    for (int i = 0; i < l->n; i++) /* a point between gaps has no line */
        if (shown(f, l, i) && (l->style == GEN_CHART_POINTS || l->n == 1)) {
            cairo_arc(c, pixel(&f->x, l->x[i]), pixel(&f->y, l->y[i]), 2.6, 0, 6.2832);
            cairo_fill(c);
        }
}

/* How much of the lines a box would hide, in eighths of their segments. */
static int hidden(const frame *f, const double box[4])
{
    int n = 0;
    for (int l = 0; l < f->chart->n; l++) {
        const gen_chart_line *s = &f->chart->lines[l];
        for (int i = 0; i + 1 < s->n; i++)
            for (int part = 0; part <= 8 && shown(f, s, i) && shown(f, s, i + 1); part++) {
                double x = pixel(&f->x, s->x[i]), y = pixel(&f->y, s->y[i]);
                x += (pixel(&f->x, s->x[i + 1]) - x) * part / 8;
                y += (pixel(&f->y, s->y[i + 1]) - y) * part / 8;
                n += x >= box[0] && x <= box[0] + box[2] && y >= box[1] && y <= box[1] + box[3];
            }
    }
    return n;
}

/* The corner where a box hides least: x, y of box. */
static void choose_corner(const frame *f, double box[4])
{
    double best[2] = { 0 };
    int least = -1;
    for (int corner = 0; corner < 4; corner++) { /* upper right first */
        box[0] = corner & 1 ? f->left + 6 : f->left + f->width - box[2] - 6;
        box[1] = corner & 2 ? f->top + f->height - box[3] - 6 : f->top + 5;
        int n = hidden(f, box);
        if (least >= 0 && n >= least)
            continue;
        least = n;
        best[0] = box[0];
        best[1] = box[1];
    }
    box[0] = best[0];
    box[1] = best[1];
}

static bool named(const gen_chart_line *l)
{
    return l->name && l->n > 0;
}

/* Names on white. */
static void draw_legend(const frame *f)
{
    cairo_t *c = f->c;
    const gen_chart *k = f->chart;
    double box[4] = { 0 };
    gen_canvas_font(c, 10.5, false);
    for (int l = 0; l < k->n; l++)
        if (named(&k->lines[l])) {
            cairo_text_extents_t e;
            cairo_text_extents(c, k->lines[l].name, &e);
            box[2] = fmax(box[2], e.x_advance + 32);
            box[3] += 15;
        }
    if (box[3] == 0)
        return;
    box[3] += 4;
    choose_corner(f, box);
    cairo_set_source_rgba(c, 1, 1, 1, 0.8);
    cairo_rectangle(c, box[0], box[1], box[2], box[3]);
    cairo_fill(c);
    double y = box[1];
    for (int l = 0; l < k->n; l++) {
        const double dashes[2] = { 5, 3 };
        if (!named(&k->lines[l]))
            continue;
        line_colour(c, &k->lines[l]);
        cairo_set_line_width(c, 2);
        cairo_set_dash(c, dashes, k->lines[l].style == GEN_CHART_DASHED ? 2 : 0, 0);
        cairo_move_to(c, box[0] + 4, floor(y + 9) + 0.5);
        cairo_line_to(c, box[0] + 22, floor(y + 9) + 0.5);
        cairo_stroke(c);
        cairo_set_dash(c, NULL, 0, 0);
        gen_canvas_colour(c, GEN_INK);
        gen_canvas_text(c, box[0] + 27, y + 13, 0, k->lines[l].name);
        y += 15;
    }
}

static void draw_chart(cairo_t *c, const gen_chart *k, double left, double top)
{
    frame f = { .c = c,
                .chart = k,
                .left = left + LEFT,
                .top = top + TOP,
                .width = WIDTH - LEFT - RIGHT,
                .height = HEIGHT - TOP - BOTTOM };
    gen_canvas_font(c, 13, true);
    gen_canvas_text(c, f.left, f.top - 9, 0, k->title ? k->title : "");
    cairo_set_line_width(c, 1);
    gen_canvas_font(c, 10.5, false);
    if (!find_limits(&f)) {
        gen_canvas_text(c, f.left + f.width / 2, f.top + f.height / 2, 0.5, "no data");
    } else {
        round_limits(&f);
        f.x.from = f.left;
        f.x.length = f.width;
        f.y.from = f.top + f.height;
        f.y.length = -f.height;
        const axis *const both[2] = { &f.x, &f.y };
        for (int i = 0; i < 2; i++)
            (both[i]->log ? log_ticks : linear_ticks)(&f, both[i]);
        cairo_save(c);
        cairo_rectangle(c, f.left, f.top - 3, f.width, f.height + 6);
        cairo_clip(c);
        for (int l = 0; l < k->n; l++)
            draw_line(&f, &k->lines[l]);
        cairo_restore(c);
        draw_legend(&f);
    }
    cairo_set_line_width(c, 1);
    gen_canvas_colour(c, GEN_INK);
    cairo_rectangle(c, floor(f.left) + 0.5, floor(f.top) + 0.5, f.width, f.height);
    cairo_stroke(c);
    gen_canvas_font(c, 11, false);
    gen_canvas_text(c, f.left + f.width / 2, f.top + f.height + 33, 0.5,
                    k->x_label ? k->x_label : "");
    cairo_save(c);
    cairo_translate(c, left + 14, f.top + f.height / 2);
    cairo_rotate(c, -1.57079632679489662);
    gen_canvas_text(c, 0, 0, 0.5, k->y_label ? k->y_label : "");
    cairo_restore(c);
}

static void draw(cairo_t *c, const gen_chart *charts, int n, int columns, const char *heading)
{
    int top = heading ? HEADING : 6;
    if (heading) {
        gen_canvas_font(c, 15, true);
        gen_canvas_text(c, LEFT, 24, 0, heading);
    }
    for (int i = 0; i < n; i++)
        draw_chart(c, &charts[i], i % columns * WIDTH, top + i / columns * HEIGHT);
}

gen_status gen_charts_write(const char *path, const gen_chart *charts, int n, int columns,
                            const char *heading, const gen_media_info *info)
{
    gen_status status;
    gen_canvas v = { 0 };
    if (n < 1 || n > MAX_CHARTS)
        return gen_fail(GEN_EINVAL, "charts: %d on a page, expected 1 to %d", n, MAX_CHARTS);
    if (columns < 1)
        columns = n < 3 ? n : 3;
    int width = (n < columns ? n : columns) * WIDTH;
    int height = (n + columns - 1) / columns * HEIGHT + (heading ? HEADING : 6) + 6;
    GEN_TRY(gen_canvas_open(&v, width, height, "charts"));
    draw(v.c, charts, n, columns, heading);
    GEN_GOTO(gen_canvas_check(&v, "charts"));
    GEN_GOTO(gen_canvas_save(&v, path, info));
done:
    gen_canvas_close(&v);
    return status;
}
