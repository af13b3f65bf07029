/* SPDX-License-Identifier: Apache-2.0
 *
 * Verification: forecast files against observations, lead time by lead time, beside persistence and
 * advection on the same cells.
 *
 *     gen_verify *v;
 *     gen_verify_create(&v, NULL);
 *     for each forecast: gen_verify_case(v, "forecast.nc", observations, n, NULL);
 *     const gen_verify_view *r = gen_verify_scores(v);
 *     ... gen_score_finish(&result, r->score[GEN_VERIFY_FORECAST], lead) ...
 */
#ifndef LIBGEN_VERIFY_H
#define LIBGEN_VERIFY_H

#include <libgen/metrics.h>
#include <libgen/weather.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_verify_options {
    gen_score_options scores; /* height, width, members and leads are filled in from the files */
    bool baselines;           /* also persistence and advection, made from the observations */
    int64_t steps_members;    /* > 0: also STEPS (GEN_NOWCAST_STEPS) of so many members */
    int64_t crop[4];          /* row, column, height, width of the forecast's cells that are scored;
                                 height 0 = all */
    bool in_degrees;          /* instead of crop: the cells within `degrees` */
    double degrees[4];        /* south, west, north, east */
    int64_t upscale;          /* means of so many cells a side of the observations, for a forecast
                                 that was made from such; 0 and 1 = as they are */
    gen_progress progress;
} gen_verify_options;

typedef struct gen_verify gen_verify;

GEN_API gen_status gen_verify_create(gen_verify **out, const gen_verify_options *options);
GEN_API void gen_verify_free(gen_verify **v);

/* Adds one forecast: a file that gen_forecast_open reads. The observations may be on a larger grid
 * of the same cells; those at the times of the forecast are used, and, for baselines, up to three
 * at and before its reference time. A cell that is missing in the observation, in any member or in
 * any baseline is dropped from all scores. A lead time without an observation adds nothing. EDATA:
 * no lead time was observed; other cells, members or lead times than the first case had; no
 * observation at the reference time (baselines). On failure the scores are as they were before, or
 * hold whole lead times of this case: free them.
 * read, which may be NULL, is of the observations; a forecast is read by what it says itself. The
 * times of observations are looked up once, as long as the list stays the same: files must not
 * change between cases. */
GEN_API gen_status gen_verify_case(gen_verify *v, const char *forecast,
                                   const char *const *observations, int n,
                                   const gen_radar_read_options *read);

enum {
    GEN_VERIFY_FORECAST,
    GEN_VERIFY_PERSISTENCE,
    GEN_VERIFY_ADVECTION,
    GEN_VERIFY_STEPS,
    GEN_VERIFY_METHODS
};

/* What was scored so far. Borrowed from v. */
typedef struct gen_verify_view {
    int64_t cases;
    int64_t leads;
    const int64_t *lead;       /* [leads] seconds after the reference time */
    const int64_t *unobserved; /* [leads] cases without an observation */
    int64_t members;
    int64_t crop[4];                      /* row, column, height, width that are scored */
    double cell;                          /* width of a cell in the grid's unit, 0 = not known */
    bool degrees;                         /* that unit: degrees, else metres */
    gen_score *score[GEN_VERIFY_METHODS]; /* NULL: not asked for */
} gen_verify_view;
GEN_API const gen_verify_view *gen_verify_scores(const gen_verify *v);

#ifdef __cplusplus
}
#endif
#endif
