/* SPDX-License-Identifier: Apache-2.0
 *
 * A page of charts while it is filled, and what its lines point to. Errors stick: only
 * chart_page_save reports them.
 */
#ifndef CLI_CHART_PAGE_H
#define CLI_CHART_PAGE_H

#include "cli/command.h"
#include "libgen/base/alloc.h"
#include "media/chart.h"

#define PAGE_CHARTS 24
#define PAGE_LINES 36 /* in a chart; more are left out */

typedef struct chart_page {
    gen_arena arena;
    gen_chart chart[PAGE_CHARTS];
    gen_chart_line line[PAGE_CHARTS][PAGE_LINES];
    int n;
    bool failed; /* out of memory; the sentence is set */
} chart_page;

gen_status chart_page_create(chart_page **out);
void chart_page_free(chart_page **p);

/* The texts are borrowed. Not after the last of PAGE_CHARTS. */
gen_chart *chart_add(chart_page *p, const char *title, const char *x, const char *y);
/* Room for n numbers, 0; NULL when out of memory. */
double *chart_values(chart_page *p, int64_t n);
/* Values of a new line of the newest chart, to be filled; NULL where there is no room. x [n] is
 * borrowed. */
double *chart_line(chart_page *p, const char *name, const double *x, int64_t n,
                   gen_chart_style style, int colour);
/* A text of the page's own: "%g mm/h" of v; or any text. */
const char *chart_text(chart_page *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Writes folder/file. */
gen_status chart_page_save(chart_page *p, const gen_run *r, const char *folder, const char *file,
                           const char *title, const char *heading, int columns);

#endif
