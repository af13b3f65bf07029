/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages of charts, filled line by line.
 */
#include "cli/chart_page.h"

#include <stdarg.h>
#include <stdio.h>

#include "cli/weather_files.h"

gen_status chart_page_create(chart_page **out)
{
    return GEN_ALLOC(out, 1, "charts");
}

void chart_page_free(chart_page **p)
{
    if (*p)
        gen_arena_free(&(*p)->arena);
    gen_free(*p);
    *p = NULL;
}

gen_chart *chart_add(chart_page *p, const char *title, const char *x, const char *y)
{
    gen_chart *c = &p->chart[p->n];
    *c = (gen_chart){ .title = title, .x_label = x, .y_label = y, .lines = p->line[p->n] };
    p->n++;
    return c;
}

double *chart_values(chart_page *p, int64_t n)
{
    double *v = gen_arena_alloc(&p->arena, (size_t)(n + 1) * sizeof *v);
    p->failed = p->failed || !v;
    return v;
}

double *chart_line(chart_page *p, const char *name, const double *x, int64_t n,
                   gen_chart_style style, int colour)
{
    gen_chart *c = &p->chart[p->n - 1];
    double *y = chart_values(p, n);
    if (!y || !x || c->n == PAGE_LINES)
        return NULL;
    p->line[p->n - 1][c->n++] = (gen_chart_line){ name, x, y, (int)n, style, colour };
    return y;
}

const char *chart_text(chart_page *p, const char *format, ...)
{
    char text[200];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *kept = gen_arena_printf(&p->arena, "%s", text);
    p->failed = p->failed || !kept;
    return kept;
}

gen_status chart_page_save(chart_page *p, const gen_run *r, const char *folder, const char *file,
                           const char *title, const char *heading, int columns)
{
    char *path;
    const gen_media_info info = { title, r->command_line, r->common.force };
    if (p->failed)
        return GEN_ENOMEM;
    GEN_TRY(picture_file(folder, file, &path));
    gen_status status = gen_charts_write(path, p->chart, p->n, columns, heading, &info);
    gen_free(path);
    return status;
}
