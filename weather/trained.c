/* SPDX-License-Identifier: Apache-2.0
 *
 * What a model of rain was trained on, and in what an input is unlike it.
 *
 * The range of wet shares is that of windows, and windows are drawn where it rains: the whole of a
 * country is drier than most of them without being unusual. So it is too wet when the whole is
 * wetter than the range, and too dry when its wettest window is drier.
 */
#include "weather/trained.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define WET 0.1       /* mm/h */
#define SAME 1.01     /* factor between sizes that are one */
#define STEP_MOST 1.1 /* factors beyond which an input is unlike the training */
#define CELL_MOST 1.5
#define BINS 1000

/* ---- the trainer --------------------------------------------------------------------------- */

static double factor(double a, double b)
{
    return a > b ? a / b : b / a;
}

/* How far x is from the nearest value, as a factor. */
static double nearest(const double *list, int n, double x)
{
    double best = HUGE_VAL;
    for (int i = 0; i < n; i++)
        best = fmin(best, factor(list[i], x));
    return best;
}

static void add(double *list, int *n, double x)
{
    if (!(x > 0) || *n == GEN_TRAINED_MOST || nearest(list, *n, x) <= SAME)
        return;
    int at = (*n)++;
    for (; at > 0 && list[at - 1] > x; at--)
        list[at] = list[at - 1];
    list[at] = x;
}

/* Metres of ground along a side, where cells are not square that of a square of their area. */
static double cell_size(const gen_radar_grid *grid)
{
    const gen_radar_cell_size c = gen_radar_cell(grid);
    return c.ground_x > 0 && c.ground_y > 0 ? sqrt(c.ground_x * c.ground_y) : 0;
}

void gen_trained_add(gen_trained *t, const gen_radar_grid *grid, double step)
{
    add(t->step, &t->steps, step);
    add(t->cell, &t->cells, cell_size(grid));
}

void gen_trained_window(gen_trained_windows *w, const float *rain, const float *mask, int64_t n)
{
    int64_t wet = 0, measured = 0;
    for (int64_t i = 0; i < n; i++) {
        if (mask && mask[i] == 0)
            continue;
        measured++;
        wet += rain[i] >= (float)WET;
        w->rate_max = fmax(w->rate_max, (double)rain[i]);
    }
    if (measured)
        w->windows[lround((double)BINS * (double)wet / (double)measured)]++;
}

/* The share below which `part` of the windows lie. */
static double percentile(const gen_trained_windows *w, int64_t windows, double part)
{
    double below = 0;
    int i = 0;
    while (i < BINS && (below += (double)w->windows[i]) <= part * (double)windows)
        i++;
    return (double)i / BINS;
}

void gen_trained_range(gen_trained *t, const gen_trained_windows *w)
{
    int64_t windows = 0;
    for (int i = 0; i <= BINS; i++)
        windows += w->windows[i];
    t->rate_max = fmax(t->rate_max, w->rate_max);
    t->has_wet_share = windows > 0;
    if (windows) {
        t->wet_share[0] = percentile(w, windows, 0.01);
        t->wet_share[1] = percentile(w, windows, 0.99);
    }
}

static void put_list(gen_json_writer *w, const char *key, const double *v, int n)
{
    gen_json_open(w, key, '[');
    for (int i = 0; i < n; i++)
        gen_json_put_real(w, NULL, v[i]);
    gen_json_close(w, ']');
}

void gen_trained_put(gen_json_writer *w, const gen_trained *t)
{
    if (t->steps)
        put_list(w, "steps_s", t->step, t->steps);
    if (t->cells)
        put_list(w, "cell_m", t->cell, t->cells);
    if (t->has_wet_share)
        put_list(w, "wet_share", t->wet_share, 2);
    if (t->rate_max > 0)
        gen_json_put_real(w, "rate_max", t->rate_max);
    gen_json_put_string(w, "units", "mm/h");
    if (t->leads)
        gen_json_put_int(w, "leads", t->leads);
    if (t->crop)
        gen_json_put_int(w, "crop", t->crop);
}

/* ---- reading ------------------------------------------------------------------------------- */

/* The numbers of a list that is there, each in least..most; -1 of *n: there is none. */
static gen_status read_list(const gen_json *o, const char *key, double least, double most,
                            double *list, int *n)
{
    const gen_json *a;
    *n = -1;
    if (!gen_json_get(o, key))
        return GEN_OK;
    GEN_TRY(gen_json_array(o, key, &a));
    if (gen_json_count(a) > GEN_TRAINED_MOST)
        return gen_fail(GEN_EMODEL, "%s has %d values, at most %d", key, gen_json_count(a),
                        GEN_TRAINED_MOST);
    *n = 0;
    for (const gen_json *v = gen_json_first(a); v; v = gen_json_next(v)) {
        GEN_TRY(gen_json_real(v, NULL, &list[*n]));
        if (!(list[*n] >= least && list[*n] <= most))
            return gen_fail(GEN_EMODEL, "%s holds %g, expected %g to %g", key, list[*n], least,
                            most);
        (*n)++;
    }
    return GEN_OK;
}

static gen_status read_sizes(const gen_json *o, const char *key, double *list, int *n)
{
    double v[GEN_TRAINED_MOST];
    int count;
    GEN_TRY(read_list(o, key, 1e-3, 1e9, v, &count));
    for (int i = 0; i < count; i++)
        add(list, n, v[i]);
    return GEN_OK;
}

static gen_status read_object(gen_trained *t, const gen_json *o)
{
    const char *units;
    int n;
    if (gen_json_get(o, "units")) {
        GEN_TRY(gen_json_string(o, "units", &units));
        if (strcmp(units, "mm/h") != 0)
            return gen_fail(GEN_EMODEL, "units are '%.20s', expected 'mm/h'", units);
    }
    GEN_TRY(read_sizes(o, "steps_s", t->step, &t->steps));
    GEN_TRY(read_sizes(o, "cell_m", t->cell, &t->cells));
    double share[GEN_TRAINED_MOST];
    GEN_TRY(read_list(o, "wet_share", 0, 1, share, &n));
    t->has_wet_share = n >= 0;
    if (n >= 0 && (n != 2 || share[0] > share[1]))
        return gen_fail(GEN_EMODEL, "wet_share is no pair of a low and a high share");
    if (n >= 0)
        memcpy(t->wet_share, share, sizeof t->wet_share);
    if (gen_json_get(o, "rate_max"))
        GEN_TRY(gen_json_real(o, "rate_max", &t->rate_max));
    if (t->rate_max < 0)
        return gen_fail(GEN_EMODEL, "rate_max is %g, expected 0 or more", t->rate_max);
    if (gen_json_get(o, "leads"))
        GEN_TRY(gen_json_int(o, "leads", 1, 100000, &t->leads));
    if (gen_json_get(o, "crop"))
        GEN_TRY(gen_json_int(o, "crop", 1, 100000, &t->crop));
    return GEN_OK;
}

gen_status gen_trained_read(gen_trained *out, const char *metadata)
{
    gen_status status;
    gen_json *all = NULL, *object = NULL;
    const char *text;
    *out = (gen_trained){ 0 };
    GEN_GOTO(gen_json_parse(&all, metadata, strlen(metadata), UINT64_MAX));
    if (!gen_json_get(all, GEN_TRAINED_KEY))
        goto done;
    GEN_GOTO(gen_json_string(all, GEN_TRAINED_KEY, &text));
    if (*text != '{')
        goto done;
    GEN_GOTO(gen_json_parse(&object, text, strlen(text), UINT64_MAX));
    GEN_GOTO(read_object(out, object));
done:
    gen_json_free(&object);
    gen_json_free(&all);
    if (status == GEN_OK || status == GEN_ENOMEM)
        return status;
    *out = (gen_trained){ 0 };
    return gen_fail_in(GEN_EMODEL, GEN_TRAINED_KEY);
}

/* ---- comparing ----------------------------------------------------------------------------- */

struct cells {
    int64_t measured, wet;
    double most;
};

/* The cells of a rectangle in all frames, added to c. */
static void count(const gen_radar_sequence *s, const int64_t at[2], const int64_t size[2],
                  struct cells *c)
{
    int64_t width = s->grid.width, height = s->grid.height;
    for (int64_t f = 0; f < s->frames; f++)
        for (int64_t y = at[0]; y < at[0] + size[0]; y++)
            for (int64_t x = at[1]; x < at[1] + size[1]; x++) {
                float v = s->rain[(f * height + y) * width + x];
                if (isnan(v))
                    continue;
                c->measured++;
                c->wet += v >= (float)WET;
                c->most = fmax(c->most, (double)v);
            }
}

/* The highest share of wet cells in windows side by side, of which half was measured or more; the
 * last ones end at the edge. -1: there is none. */
static double wettest(const gen_radar_sequence *s, int64_t crop)
{
    const int64_t all[2] = { s->grid.height, s->grid.width };
    int64_t size[2], at[2];
    double best = -1;
    for (int i = 0; i < 2; i++)
        size[i] = crop && crop < all[i] ? crop : all[i];
    for (int64_t y = 0; y < all[0]; y += size[0])
        for (int64_t x = 0; x < all[1]; x += size[1]) {
            struct cells c = { 0 };
            at[0] = y + size[0] < all[0] ? y : all[0] - size[0];
            at[1] = x + size[1] < all[1] ? x : all[1] - size[1];
            count(s, at, size, &c);
            if (2 * c.measured >= s->frames * size[0] * size[1])
                best = fmax(best, (double)c.wet / (double)c.measured);
        }
    return best;
}

/* "4, 5 and 6" of the values divided by `unit`. */
static void list_text(char *text, size_t size, const double *list, int n, double unit)
{
    size_t at = 0;
    for (int i = 0; i < n && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%.4g",
                               i == 0       ? ""
                               : i == n - 1 ? " and "
                                            : ", ",
                               list[i] / unit);
}

static gen_status say_sizes(const gen_trained *t, const gen_radar_sequence *s, gen_trained_say *say,
                            void *cookie)
{
    char list[400], text[512];
    double step = (double)s->step, cell = cell_size(&s->grid);
    if (step > 0 && t->steps && nearest(t->step, t->steps, step) > STEP_MOST) {
        list_text(list, sizeof list, t->step, t->steps, 60);
        snprintf(text, sizeof text,
                 "the frames are %.4g min apart; the model was trained on steps of %s min",
                 step / 60, list);
        GEN_TRY(say(cookie, text));
    }
    if (cell > 0 && t->cells && nearest(t->cell, t->cells, cell) > CELL_MOST) {
        list_text(list, sizeof list, t->cell, t->cells, 1000);
        snprintf(text, sizeof text,
                 "the cells are %.4g km wide; the model was trained on cells of %s km", cell / 1000,
                 list);
        GEN_TRY(say(cookie, text));
    }
    return GEN_OK;
}

static gen_status say_wet(const gen_trained *t, const gen_radar_sequence *s, double share,
                          gen_trained_say *say, void *cookie)
{
    char text[512];
    if (!t->has_wet_share)
        return GEN_OK;
    double low = wettest(s, t->crop);
    bool wet = share > t->wet_share[1], dry = low >= 0 && low < t->wet_share[0];
    if (!wet && !dry)
        return GEN_OK;
    snprintf(text, sizeof text,
             "%.3g %% of the %s have rain; the model was trained on windows of %.3g to %.3g %%",
             100 * (wet ? share : low), wet ? "measured cells" : "cells of the wettest window",
             100 * t->wet_share[0], 100 * t->wet_share[1]);
    return say(cookie, text);
}

gen_status gen_trained_compare(const gen_trained *t, const gen_radar_sequence *s,
                               int64_t lead_steps, gen_trained_say *say, void *cookie)
{
    char text[512];
    struct cells c = { 0 };
    count(s, (const int64_t[]){ 0, 0 }, (const int64_t[]){ s->grid.height, s->grid.width }, &c);
    GEN_TRY(say_sizes(t, s, say, cookie));
    if (c.measured)
        GEN_TRY(say_wet(t, s, (double)c.wet / (double)c.measured, say, cookie));
    if (t->rate_max > 0 && c.most > t->rate_max) {
        snprintf(text, sizeof text,
                 "it rains up to %.4g mm/h; the model was trained on at most %.4g mm/h", c.most,
                 t->rate_max);
        GEN_TRY(say(cookie, text));
    }
    if (t->leads && lead_steps > t->leads) {
        snprintf(text, sizeof text, "%lld lead times; the model was trained on %lld",
                 (long long)lead_steps, (long long)t->leads);
        GEN_TRY(say(cookie, text));
    }
    return GEN_OK;
}
