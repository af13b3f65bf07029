/* SPDX-License-Identifier: Apache-2.0
 *
 * Samples of a training as maps: a row for what was observed, some members and their mean; a column
 * for the last frame of the context and some lead times.
 *
 *     RUN/samples/step-00000500.npy   f32 [rows,frames,H,W] mm/h, NaN = missing; row 0 observed,
 * the others members, their first frames the context
 */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libgen/plot.h>
#include <libgen/tensor.h>

#include "cli/train_report.h"
#include "cli/weather_files.h"
#include "libgen/base/alloc.h"

#define MAX_SAMPLE (UINT64_C(1) << 30) /* bytes */

enum { COLUMNS = 6, MEMBERS = 4, ROWS = MEMBERS + 2 };

/* ---- which there are ------------------------------------------------------------------------- */

static void sample_name(char name[40], int64_t step, const char *format)
{
    snprintf(name, 40, format, (long long)step);
}

static int64_t step_of(const char *name)
{
    char ours[40];
    if (strncmp(name, "step-", 5) != 0)
        return -1;
    int64_t step = strtoll(name + 5, NULL, 10);
    sample_name(ours, step, "step-%08lld.npy");
    return strcmp(name, ours) == 0 ? step : -1;
}

static void plan_sample(train_report *t, int64_t step,
                        gen_status (*draw)(const train_report *, const report_picture *))
{
    report_picture *p = &t->picture[t->pictures++];
    *p = (report_picture){ .draw = draw, .step = step };
    sample_name(p->name, step, "samples-%08lld.png");
}

/* ---- what is drawn --------------------------------------------------------------------------- */

typedef struct sample {
    const train_report *t;
    gen_tensor rain; /* [rows,frames,H,W] */
    int64_t rows, frames, cells, context;
    const double *lead; /* [frames - context] minutes, or NULL: not known */
    int64_t column[COLUMNS];
    int columns;
    float *mean; /* [columns,cells] */
    gen_plot_panel panel[ROWS * COLUMNS];
    char title[ROWS][24], note[COLUMNS][32];
    int panels;
} sample;

static gen_status read_sample(sample *s, int64_t step)
{
    char name[40], shape[GEN_SHAPE_TEXT], *path;
    sample_name(name, step, "samples/step-%08lld.npy");
    GEN_TRY(picture_file(s->t->folder, name, &path));
    gen_status status = gen_npy_read(&s->rain, path, MAX_SAMPLE);
    const gen_tensor *r = &s->rain;
    if (status == GEN_OK && (r->dtype != GEN_F32 || r->shape.rank != 4))
        status = gen_fail(GEN_EDATA, "'%s': found %s %s, expected f32 [rows,frames,H,W]", path,
                          gen_dtype_name(r->dtype), gen_shape_text(r->shape, shape));
    if (status == GEN_OK) {
        s->rows = r->shape.dim[0];
        s->frames = r->shape.dim[1];
        s->cells = r->shape.dim[2] * r->shape.dim[3];
    }
    gen_free(path);
    return status;
}

/* The last frame of the context and lead times evenly up to the last. */
static void choose_columns(sample *s)
{
    const gen_json *context = s->t->config ? gen_json_get(s->t->config, "context") : NULL;
    if (context && gen_json_int(context, NULL, 0, s->frames - 1, &s->context) != GEN_OK)
        s->context = 0;
    int64_t leads = s->frames - s->context;
    int first = s->context > 0, n = (int)(leads < COLUMNS - first ? leads : COLUMNS - first);
    if (first)
        s->column[s->columns++] = s->context - 1;
    for (int k = 0; k < n; k++)
        s->column[s->columns++] = s->context + (k + 1) * leads / n - 1;
    const gen_history_line *v = s->t->newest;
    if (s->context && v && gen_history_numbers(s->t->log, v, "leads_min", &s->lead) != leads)
        s->lead = NULL;
    for (int k = 0; k < s->columns; k++) {
        int64_t lead = s->column[k] - s->context;
        if (lead >= 0 && s->lead && !isnan(s->lead[lead]))
            snprintf(s->note[k], sizeof s->note[k], "%+g min", s->lead[lead]);
        else if (s->context)
            snprintf(s->note[k], sizeof s->note[k], lead < 0 ? "context" : "frame %+lld",
                     (long long)lead + 1);
        else
            snprintf(s->note[k], sizeof s->note[k], "frame %lld", (long long)lead + 1);
    }
}

/* rain of a column is at + column * by. */
static void add_row(sample *s, const char *title, const float *at, const int64_t by[COLUMNS])
{
    char *kept = s->title[s->panels / s->columns];
    snprintf(kept, sizeof s->title[0], "%s", title);
    for (int k = 0; k < s->columns; k++)
        s->panel[s->panels++] = (gen_plot_panel){ at + by[k] * s->cells, kept, s->note[k] };
}

static gen_status take_mean(sample *s)
{
    const float *rain = s->rain.data;
    GEN_TRY(GEN_ALLOC(&s->mean, s->columns * s->cells, "a sample"));
    for (int64_t m = 1; m < s->rows; m++)
        for (int k = 0; k < s->columns; k++) {
            const float *from = rain + (m * s->frames + s->column[k]) * s->cells;
            for (int64_t i = 0; i < s->cells; i++)
                s->mean[k * s->cells + i] += from[i] / (float)(s->rows - 1);
        }
    return GEN_OK;
}

static gen_status fill_panels(sample *s)
{
    static const int64_t in_turn[COLUMNS] = { 0, 1, 2, 3, 4, 5 };
    const float *rain = s->rain.data;
    char title[24] = "observed";
    choose_columns(s);
    for (int64_t m = 0; m < s->rows && m <= MEMBERS; m++) {
        if (m > 0)
            snprintf(title, sizeof title, "member %lld", (long long)m - 1);
        add_row(s, title, rain + m * s->frames * s->cells, s->column);
    }
    if (s->rows <= 2)
        return GEN_OK;
    GEN_TRY(take_mean(s));
    add_row(s, "mean", s->mean, in_turn);
    return GEN_OK;
}

static gen_status draw_maps(const sample *s, const report_picture *p)
{
    gen_status status;
    char title[80], subtitle[400], *path = NULL;
    double *nowhere = NULL; /* a crop's coordinates: not known */
    int64_t h = s->rain.shape.dim[2], w = s->rain.shape.dim[3];
    GEN_GOTO(GEN_ALLOC(&nowhere, h > w ? h : w, "a sample"));
    GEN_GOTO(picture_file(s->t->pictures_in, p->name, &path));
    gen_radar_grid grid = { .height = h, .width = w, .y = nowhere, .x = nowhere };
    snprintf(title, sizeof title, "Sample at step %lld", (long long)p->step);
    snprintf(subtitle, sizeof subtitle, "%.300s, %lld member%s of %lld x %lld cells", s->t->folder,
             (long long)s->rows - 1, s->rows == 2 ? "" : "s", (long long)h, (long long)w);
    gen_plot_options o = { .title = title,
                           .subtitle = subtitle,
                           .made = s->t->made,
                           .columns = s->columns,
                           .force = s->t->run->common.force };
    GEN_GOTO(gen_plot(path, &grid, s->panel, s->panels, &o));
done:
    gen_free(nowhere);
    gen_free(path);
    return status;
}

static gen_status draw_sample(const train_report *t, const report_picture *p)
{
    gen_status status;
    sample *s = NULL;
    GEN_GOTO(GEN_ALLOC(&s, 1, "a sample"));
    s->t = t;
    GEN_GOTO(read_sample(s, p->step));
    GEN_GOTO(fill_panels(s));
    GEN_GOTO(draw_maps(s, p));
done:
    if (s) {
        gen_tensor_free(&s->rain);
        gen_free(s->mean);
    }
    gen_free(s);
    return status;
}

gen_status report_plan_samples(train_report *t)
{
    char *path;
    int64_t newest = -1;
    bool best = false;
    GEN_TRY(picture_file(t->folder, "samples", &path));
    DIR *d = opendir(path);
    gen_free(path);
    if (!d)
        return GEN_OK; /* a run that has none yet */
    for (struct dirent *e; (e = readdir(d));) {
        int64_t step = step_of(e->d_name);
        newest = step > newest ? step : newest;
        best = best || (t->best && step == t->best->step);
    }
    closedir(d);
    if (newest >= 0)
        plan_sample(t, newest, draw_sample);
    if (best && t->best->step != newest)
        plan_sample(t, t->best->step, draw_sample);
    return GEN_OK;
}
