/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of gen train report share: train_report.c has the verb, train_summary.c the text
 * and JSON, train_charts.c the curves, train_samples.c the maps.
 */
#ifndef CLI_TRAIN_REPORT_H
#define CLI_TRAIN_REPORT_H

#include "cli/command.h"
#include "libgen/base/json.h"
#include "libgen/train/history.h"

#define REPORT_PICTURES 5 /* three pages of charts, two samples */

struct train_report;

typedef struct report_picture {
    char name[40];
    gen_status (*draw)(const struct train_report *t, const struct report_picture *p);
    int64_t step; /* of a sample */
} report_picture;

typedef struct train_report {
    const gen_run *run;
    const char *folder; /* RUN */
    char *pictures_in;  /* folder of the pictures */
    gen_json *config;   /* run.json, NULL where there is none */
    char *config_text;  /* in one line */
    gen_history *log;
    int64_t steps;                         /* the last step that any line knows of */
    const gen_history_line *newest, *best; /* validations, NULL where there are none */
    char *made;                            /* for the metadata of pictures */
    report_picture picture[REPORT_PICTURES];
    int pictures;
} train_report;

/* The mean over lead times of a list of numbers, without those missing; NaN where there is none. */
double report_mean(const train_report *t, const gen_history_line *l, const char *name);
/* Name of a path behind its last '/'. */
const char *report_leaf(const char *path);

/* train_charts.c: each adds its picture where the log has something for it. */
void report_plan_charts(train_report *t);
/* train_samples.c: the newest sample and that of the best validation, where they are. */
gen_status report_plan_samples(train_report *t);

/* train_summary.c */
gen_status report_print(const train_report *t);

#endif
