/* SPDX-License-Identifier: Apache-2.0
 *
 * The curves of a training: losses, scores of the discriminators, validations.
 *
 * Where there are many points, their course is drawn as a moving median, and they themselves
 * faintly behind it: the least and the greatest of each part of the run. The greatest and least
 * hundredth of them are drawn at the edge, or one spike would flatten all the rest.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/chart_page.h"
#include "cli/train_report.h"
#include "libgen/train/curve.h"

enum {
    FEW = 60,     /* points that are drawn as they are */
    PARTS = 300,  /* of a curve: a chart has as many pixels */
    WINDOWS = 30, /* a median is that of this part of the run ... */
    WIDEST = 2001 /* ... and of so many points at most: more make it no smoother to the eye */
};
#define BEYOND 0.01 /* share at each end that is drawn at the edge */

#define MAX_LOSSES 16 /* charts */
#define MAX_SCORES 12
#define MAX_MARKS 50 /* in a chart */

/* A page, and room for the numbers of one path. */
typedef struct drawing {
    const train_report *t;
    chart_page *page;
    double *x, *y, *scratch; /* [lines of the longest kind] */
} drawing;

/* ---- numbers --------------------------------------------------------------------------------- */

double report_mean(const train_report *t, const gen_history_line *l, const char *name)
{
    const double *v;
    double sum = 0;
    int n = gen_history_numbers(t->log, l, name, &v), known = 0;
    for (int i = 0; i < n; i++)
        if (!isnan(v[i])) {
            sum += v[i];
            known++;
        }
    return known ? sum / known : NAN;
}

const char *report_leaf(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The mean at a path in each line of a kind that has it, into d->x and d->y. */
static int64_t collect(const drawing *d, gen_history_kind kind, const char *path)
{
    int64_t lines, n = 0;
    const gen_history_line *l = gen_history_lines(d->t->log, kind, &lines);
    for (int64_t i = 0; i < lines; i++) {
        d->y[n] = report_mean(d->t, &l[i], path);
        d->x[n] = (double)l[i].step;
        n += !isnan(d->y[n]);
    }
    return n;
}

/* ---- lines ----------------------------------------------------------------------------------- */

static void add_points(drawing *d, const char *name, const double *x, const double *y, int64_t n,
                       gen_chart_style style, int colour)
{
    double *kept = chart_values(d->page, n);
    double *to = chart_line(d->page, name, kept, n, style, colour);
    if (!to)
        return;
    memcpy(kept, x, (size_t)n * sizeof *x);
    memcpy(to, y, (size_t)n * sizeof *y);
}

/* The points behind a curve. */
static void add_faint(drawing *d, int64_t n, int colour)
{
    double x[2 * PARTS], y[2 * PARTS], low, high;
    if (n <= FEW)
        return;
    gen_curve_range(d->y, n, BEYOND, &low, &high, d->scratch);
    int64_t m = gen_curve_extremes(d->x, d->y, n, PARTS, x, y);
    for (int64_t i = 0; i < m; i++)
        y[i] = fmin(fmax(y[i], low), high);
    add_points(d, NULL, x, y, m, GEN_CHART_FAINT, colour);
}

static void add_course(drawing *d, const char *name, int64_t n, int colour)
{
    double x[PARTS], y[PARTS];
    int64_t window = n / WINDOWS < WIDEST ? n / WINDOWS | 1 : WIDEST;
    int64_t m = gen_curve_medians(d->x, d->y, n, n <= FEW ? 1 : window, PARTS, x, y, d->scratch);
    add_points(d, name, x, y, m, GEN_CHART_LINE, colour);
}

/* One curve a path, those of `paths` in the newest chart; names in the legend where there are
 * several. */
static void add_curves(drawing *d, const char *const *paths, int n)
{
    for (int i = 0; i < n; i++)
        add_faint(d, collect(d, GEN_HISTORY_STEP, paths[i]), i);
    for (int i = 0; i < n; i++)
        add_course(d, n > 1 ? report_leaf(paths[i]) : NULL, collect(d, GEN_HISTORY_STEP, paths[i]),
                   i);
}

static void add_level(drawing *d, const char *name, const double x[2], double y,
                      gen_chart_style style)
{
    const double both[2] = { y, y };
    add_points(d, name, x, both, 2, style, -1);
}

/* Where the run went back: a line from the lowest to the highest of the newest chart. */
static void add_marks(drawing *d)
{
    double low = INFINITY, high = -INFINITY, x[3 * MAX_MARKS], y[3 * MAX_MARKS];
    int64_t events, n = 0;
    const gen_chart *c = &d->page->chart[d->page->n - 1];
    for (int l = 0; l < c->n; l++)
        for (int i = 0; i < c->lines[l].n; i++) {
            low = fmin(low, c->lines[l].y[i]);
            high = fmax(high, c->lines[l].y[i]);
        }
    const gen_history_line *e = gen_history_lines(d->t->log, GEN_HISTORY_EVENT, &events);
    for (int64_t i = 0; i < events && n < 3 * MAX_MARKS && low <= high; i++) {
        if (strcmp(e[i].what, "rollback") != 0 && strcmp(e[i].what, "repair") != 0)
            continue;
        const double to[3] = { low, high, NAN }; /* a gap behind it */
        for (int k = 0; k < 3; k++, n++) {
            x[n] = (double)e[i].step;
            y[n] = to[k];
        }
    }
    add_points(d, "rolled back", x, y, n, GEN_CHART_DASHED, -1);
}

/* ---- pages ----------------------------------------------------------------------------------- */

/* The paths below a prefix that have the same parent as `first`. */
static int siblings(const train_report *t, const char *prefix, const char *first,
                    const char *paths[PAGE_LINES / 2])
{
    int n = 0;
    size_t parent = (size_t)(report_leaf(first) - first);
    const char *path;
    for (int i = 0;
         n < PAGE_LINES / 2 && (path = gen_history_name(t->log, GEN_HISTORY_STEP, prefix, &i));)
        if ((size_t)(report_leaf(path) - path) == parent && !strncmp(path, first, parent))
            paths[n++] = path;
    return n;
}

static void draw_losses(drawing *d)
{
    const char *path, *paths[PAGE_LINES / 2];
    for (int i = 0; d->page->n < MAX_LOSSES &&
                    (path = gen_history_name(d->t->log, GEN_HISTORY_STEP, "losses/", &i));) {
        chart_add(d->page, chart_text(d->page, "Loss: %s", path + strlen("losses/")), "step", NULL);
        add_curves(d, &path, 1);
        add_marks(d);
    }
    int i = 0;
    if ((path = gen_history_name(d->t->log, GEN_HISTORY_STEP, "rates/", &i))) {
        chart_add(d->page, "Learning rates", "step", NULL);
        add_curves(d, paths, siblings(d->t, "rates/", path, paths));
    }
    path = "step_seconds";
    chart_add(d->page, "Time of a step", "step", "s");
    add_curves(d, &path, 1);
}

/* One chart for the scores that lie in one object. */
static void draw_scores(drawing *d)
{
    const char *path, *paths[PAGE_LINES / 2];
    for (int i = 0; d->page->n < MAX_SCORES &&
                    (path = gen_history_name(d->t->log, GEN_HISTORY_STEP, "scores/", &i));) {
        int n = siblings(d->t, "scores/", path, paths);
        if (paths[0] != path)
            continue; /* drawn with its first */
        int parent = (int)(report_leaf(path) - path) - 1, top = (int)strlen("scores");
        chart_add(d->page,
                  parent > top
                      ? chart_text(d->page, "Scores of D: %.*s", parent - top - 1, path + top + 1)
                      : "Scores of the discriminators",
                  "step", NULL);
        add_curves(d, paths, n);
        add_marks(d);
    }
}

/* A score over the steps; baselines are the means over their lead times. */
static void draw_score(drawing *d, const char *path, const char *title, const char *unit,
                       bool baselines)
{
    const char *other;
    chart_add(d->page, title, "step", unit);
    int64_t n = collect(d, GEN_HISTORY_VALIDATION, path);
    add_points(d, baselines ? "model" : NULL, d->x, d->y, n,
               n <= FEW ? GEN_CHART_POINTS : GEN_CHART_LINE, 0);
    int colour = 1;
    for (int i = 0; baselines && (other = gen_history_name(d->t->log, GEN_HISTORY_VALIDATION,
                                                           "baselines/", &i));) {
        n = collect(d, GEN_HISTORY_VALIDATION, other);
        if (n)
            add_points(d, report_leaf(other), d->x, d->y, n, GEN_CHART_DASHED, colour++);
    }
}

/* A list of the newest validation against another one of the same length. */
static bool add_list(drawing *d, const char *name, const char *path, const char *x_path,
                     gen_chart_style style, int colour)
{
    const double *x, *y;
    int n = gen_history_numbers(d->t->log, d->t->newest, path, &y);
    if (n == 0 || gen_history_numbers(d->t->log, d->t->newest, x_path, &x) != n)
        return false;
    add_points(d, name, x, y, n, style, colour);
    return true;
}

static void draw_leads(drawing *d)
{
    const char *path;
    int colour = 1;
    chart_add(d->page,
              chart_text(d->page, "CRPS by lead time, step %lld", (long long)d->t->newest->step),
              "lead time (min)", "mm/h");
    add_list(d, "model", "crps", "leads_min", GEN_CHART_POINTS, 0);
    for (int i = 0; (path = gen_history_name(d->t->log, GEN_HISTORY_VALIDATION, "baselines/", &i));)
        colour += add_list(d, report_leaf(path), path, "leads_min", GEN_CHART_DASHED, colour);
}

static void draw_spectrum(drawing *d)
{
    const double *x, *y;
    int n = gen_history_numbers(d->t->log, d->t->newest, "wavelength_px", &x);
    (void)gen_history_numbers(d->t->log, d->t->newest, "psd_ratio", &y);
    gen_chart *c = chart_add(d->page,
                             chart_text(d->page, "Power, generated / observed, step %lld",
                                        (long long)d->t->newest->step),
                             "wavelength (cells)", NULL);
    c->log_x = c->log_y = true;
    if (!add_list(d, NULL, "psd_ratio", "wavelength_px", GEN_CHART_POINTS, 0))
        return;
    double ends[2] = { x[0], x[0] };
    c->y_low = 0.4; /* the band is seen */
    c->y_high = 2.5;
    for (int i = 0; i < n; i++) {
        ends[0] = fmin(ends[0], x[i]);
        ends[1] = fmax(ends[1], x[i]);
        c->y_low = y[i] > 0 ? fmin(c->y_low, y[i] / 1.2) : c->y_low;
        c->y_high = y[i] > 0 ? fmax(c->y_high, y[i] * 1.2) : c->y_high;
    }
    add_level(d, "equal", ends, 1, GEN_CHART_LINE);
    add_level(d, "factor of 2", ends, 2, GEN_CHART_DASHED);
    add_level(d, NULL, ends, 0.5, GEN_CHART_DASHED);
}

static void draw_validation(drawing *d)
{
    const char *path;
    draw_score(d, "scores/crps", "CRPS, mean over lead times", "mm/h", true);
    draw_leads(d);
    draw_spectrum(d);
    for (int i = 0; d->page->n < MAX_SCORES &&
                    (path = gen_history_name(d->t->log, GEN_HISTORY_VALIDATION, "scores/", &i));)
        if (strcmp(path, "scores/crps") != 0)
            draw_score(d, path, path + strlen("scores/"), NULL, false);
}

/* ---- files ----------------------------------------------------------------------------------- */

static const struct page {
    const char *file, *title;
    void (*draw)(drawing *d);
} pages[] = {
    { "losses.png", "Losses of a training", draw_losses },
    { "scores.png", "Scores of discriminators", draw_scores },
    { "validation.png", "Validation of a training", draw_validation },
};

static gen_status save_page(const train_report *t, const report_picture *picture)
{
    gen_status status;
    drawing d = { .t = t };
    const struct page *p = pages;
    char heading[200];
    int64_t n, most = 1;
    while (strcmp(p->file, picture->name) != 0)
        p++;
    for (int k = 0; k < GEN_HISTORY_KINDS; k++) {
        (void)gen_history_lines(t->log, (gen_history_kind)k, &n);
        most = n > most ? n : most;
    }
    GEN_GOTO(chart_page_create(&d.page));
    GEN_GOTO(GEN_ALLOC(&d.x, most, "a curve"));
    GEN_GOTO(GEN_ALLOC(&d.y, most, "a curve"));
    GEN_GOTO(GEN_ALLOC(&d.scratch, most, "a curve"));
    p->draw(&d);
    size_t length = strlen(t->folder), room = 40; /* what fits over one chart */
    snprintf(heading, sizeof heading, "%s%s, step %lld", length > room ? "..." : "",
             t->folder + (length > room ? length - room + 3 : 0), (long long)t->steps);
    GEN_GOTO(chart_page_save(d.page, t->run, t->pictures_in, p->file, p->title, heading, 0));
done:
    gen_free(d.x);
    gen_free(d.y);
    gen_free(d.scratch);
    chart_page_free(&d.page);
    return status;
}

void report_plan_charts(train_report *t)
{
    int64_t steps;
    int i = 0;
    (void)gen_history_lines(t->log, GEN_HISTORY_STEP, &steps);
    const bool wanted[] = { steps > 0,
                            gen_history_name(t->log, GEN_HISTORY_STEP, "scores/", &i) != NULL,
                            t->newest != NULL };
    for (int k = 0; k < GEN_LEN(pages); k++)
        if (wanted[k]) {
            report_picture *p = &t->picture[t->pictures++];
            snprintf(p->name, sizeof p->name, "%s", pages[k].file);
            p->draw = save_page;
        }
}
