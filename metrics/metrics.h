/* SPDX-License-Identifier: Apache-2.0
 *
 * Forecast verification: how good an ensemble of rain fields is, as running sums over cases.
 *
 * A field is [height,width] floats, row by row; NaN (or infinite) means not measured. A cell that
 * is missing in the observation or in any member is dropped from every score, so that all members
 * are judged on the same cells. Units are the caller's (mm/h for rain); thresholds are in the same.
 *
 *     gen_score_options o = { .height = 256, .width = 256, .members = 20, .leads = 18 };
 *     gen_score *s;
 *     gen_score_create(&s, &o);
 *     for each forecast, for each lead time: gen_score_add(s, lead, observation, members);
 *     gen_score_result *r;
 *     gen_score_finish(&r, s, lead);      ... r->crps.fair.value, r->at[0].members.csi.value ...
 *
 * A score that the data do not define (no event was seen, no cell was measured) is 0 with known =
 * false, never NaN. Counts are exact integers and sums are kept in twice the precision of double:
 * merging parts gives what adding all cases to one would give, in any order. Results are the same
 * bytes at any number of threads.
 */
#ifndef LIBGEN_METRICS_H
#define LIBGEN_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include <libgen/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A result that may be undefined: known = false, value = 0. */
typedef struct gen_number {
    double value;
    bool known;
} gen_number;

/* ---- a running score of many cases --------------------------------------------------------- */

#define GEN_SCORE_LIST_MAX 16 /* thresholds, windows and pools of one score */
#define GEN_SCORE_MEMBERS_MAX 1000

/* What is computed: or-ed in gen_score_options.parts. Means, errors and spread always are. */
enum {
    GEN_SCORE_CRPS = 1,          /* CRPS of cells and of pooled cells */
    GEN_SCORE_CATEGORIES = 2,    /* contingency tables: CSI, POD, FAR, ... */
    GEN_SCORE_PROBABILITIES = 4, /* Brier score, reliability, ROC, economic value */
    GEN_SCORE_FSS = 8,           /* fractions skill score */
    GEN_SCORE_PSD = 16,          /* radially averaged power spectral density */
    GEN_SCORE_RANKS = 32,        /* rank histogram */
    GEN_SCORE_ALL = 63,
    GEN_SCORE_CRPS_PYSTEPS = 64 /* beside CRPS: pysteps' form of it */
};

/* When a value is an event of a threshold. A threshold is rounded to float before it is compared.
 */
typedef enum gen_score_event {
    GEN_EVENT_PYSTEPS, /* contingency tables: > ; FSS, probabilities: >= (what pysteps does) */
    GEN_EVENT_ABOVE,   /* > */
    GEN_EVENT_AT_LEAST /* >= */
} gen_score_event;

/* Where the observation equals m members, it has m + 1 admissible ranks. */
typedef enum gen_score_ties {
    GEN_TIES_SHARED, /* each of them gets 1/(m+1): the expected value, without noise */
    GEN_TIES_DRAWN   /* one is drawn (as pysteps), by seed, lead time, observed field and cell */
} gen_score_ties;

/* All zero but the first three is a good choice. */
typedef struct gen_score_options {
    int64_t height, width;
    int64_t members; /* of every case; 1 to 1000 */
    int64_t leads;   /* lead times, scored apart; 0 = 1 */
    unsigned parts;  /* 0 = GEN_SCORE_ALL */
    int thresholds;  /* 0 = 1, 4 and 8 */
    double threshold[GEN_SCORE_LIST_MAX];
    gen_score_event event;
    int windows; /* of the FSS, in cells; 0 = 1, 4, 16 and 64. Even ones reach one further to the
                    north and west, as in scipy.ndimage.uniform_filter */
    int64_t window[GEN_SCORE_LIST_MAX];
    int pools; /* CRPS of pooled cells, windows of so many cells, side by side; 0 = 4 and 16, -1 =
                  none. A window with a missing cell, or cut by the edge, is dropped */
    int64_t pool[GEN_SCORE_LIST_MAX];
    gen_score_ties ties;
    double rank_min;   /* > 0: a cell where all are below is left out of the rank histogram, and
                          values below are equal to each other; 0 = no such minimum */
    uint64_t seed;     /* of GEN_TIES_DRAWN */
    int bins;          /* of the reliability diagram; 0 = 10 */
    int64_t min_count; /* bins with fewer cells are not known; 0 = 10 (as pysteps) */
    int roc_points;    /* probabilities 0 ... 1 of the ROC curve; 0 = 10 (as pysteps) */
    int ratios;        /* cost/loss ratios i/(ratios+1) of the economic value; 0 = 99 */
    int threads;       /* 0 = all */
} gen_score_options;

typedef struct gen_score gen_score;

/* EINVAL names the option. The options are copied. A score belongs to one thread at a time. */
GEN_API gen_status gen_score_create(gen_score **out, const gen_score_options *options);
GEN_API void gen_score_free(gen_score **s);

/* The options with the defaults filled in; valid while the score lives. */
GEN_API const gen_score_options *gen_score_options_of(const gen_score *s);

/* Adds one case: observation [height,width], members[k] [height,width]. EINVAL: a lead outside
 * [0, leads). On failure (ENOMEM) nothing is added. */
GEN_API gen_status gen_score_add(gen_score *s, int64_t lead, const float *observation,
                                 const float *const *members);

/* Adds what `other` has seen; it stays as it was. EINVAL names the option that differs (threads,
 * bins, points, ratios and min_count may); EDATA: counts grow too large. */
GEN_API gen_status gen_score_merge(gen_score *s, const gen_score *other);

/* All that a score has seen, as two arrays, to be kept in a file. `sum` holds pairs (a double and
 * what it lost by rounding). Borrowed: valid until the next call with this score. */
typedef struct gen_score_state {
    int64_t counts, sums;
    const int64_t *count; /* [counts] */
    const double *sum;    /* [sums], an even number */
} gen_score_state;
GEN_API gen_score_state gen_score_save(const gen_score *s);

/* A score with the options and state given. EDATA: other lengths than the options ask for, a
 * negative count, a sum that is not finite. */
GEN_API gen_status gen_score_restore(gen_score **out, const gen_score_options *options,
                                     const gen_score_state *state);

/* ---- results ------------------------------------------------------------------------------- */

/* Mean over cells of mean|x - y| - sum|x - x'| / 2K^2 (standard) or / 2K(K-1) (fair: what an
 * infinite ensemble would get, can be below 0; unknown for one member). pysteps (where asked for):
 * Hersbach's form as pysteps computes it, where a member equal to the observation loses the
 * intervals beside it; too low on rain, which is full of zeros. */
typedef struct gen_crps_scores {
    int64_t window; /* of the pool; 1 = cells */
    int64_t cells;
    gen_number standard, fair, pysteps;
} gen_crps_scores;

/* Events in cells, summed over all of them before any ratio is taken. */
typedef struct gen_contingency {
    int64_t hits, misses, false_alarms, correct_negatives;
} gen_contingency;

typedef struct gen_category_scores {
    gen_contingency table;
    gen_number csi, pod, far, fa, bias, ets, hss, hk;
} gen_category_scores;

/* The fractions skill score sums numerator and denominator over cases. Zeros outside the field;
 * missing cells are no event in any field (they cannot be dropped from a window). */
typedef struct gen_fss_scores {
    int64_t window;
    gen_number members; /* sums over members, too: pooled */
    gen_number mean;    /* of the ensemble mean */
    gen_number
        probabilities; /* the share of members with the event, in place of the binary field */
} gen_fss_scores;

typedef struct gen_reliability_bin {
    int64_t cells;
    gen_number forecast, observed; /* mean probability, frequency of the event */
} gen_reliability_bin;

typedef struct gen_roc_point {
    double probability; /* a forecast of the event: the share of members is at least that */
    gen_number pod, fa;
} gen_roc_point;

/* Relative economic value: the best over the probabilities 0, 1/K ... 1 to act on. 1 = perfect, 0 =
 * as good as the climate. */
typedef struct gen_value_point {
    double ratio; /* cost / loss */
    gen_number value;
} gen_value_point;

typedef struct gen_threshold_scores {
    double threshold;
    gen_category_scores members; /* tables of the members, added */
    gen_category_scores mean;    /* of the ensemble mean */
    gen_number base_rate;        /* share of cells with the event observed */
    gen_number brier;
    gen_reliability_bin *reliability; /* [bins] */
    gen_roc_point *roc;               /* [roc_points] */
    gen_number roc_area;              /* as pysteps: trapezoids, closed at both ends */
    gen_value_point *value;           /* [ratios] */
    gen_fss_scores *fss;              /* [windows] */
} gen_threshold_scores;

/* Of one lead time, or of all. Arrays of what was not asked for have length 0. */
typedef struct gen_score_result {
    int64_t cases;
    int64_t cells;                        /* used, over all cases */
    int64_t missing;                      /* dropped */
    gen_number observed, forecast;        /* means over cells; of the ensemble mean */
    gen_number mae, rmse, bias;           /* of the ensemble mean; bias = forecast - observed */
    gen_number members_mae, members_rmse; /* of single members */
    gen_number spread;                    /* root of the mean unbiased variance of the members */
    gen_number spread_skill;              /* spread / rmse */
    gen_number spread_skill_corrected;    /* times sqrt((K+1)/K): 1 for a perfect ensemble */
    gen_crps_scores crps;
    int pools;
    gen_crps_scores *average, *maximum; /* [pools]: averages or maxima of a window */
    int thresholds, windows, bins, roc_points, ratios;
    gen_threshold_scores *at; /* [thresholds] */
    int64_t ranks;            /* members + 1 */
    int64_t rank_cells;
    gen_number *rank; /* [ranks]: shares, sum 1 */
    int64_t frequencies;
    double *frequency; /* [frequencies], in 1/cell; wavelength = 1/frequency cells */
    gen_number *psd_observed, *psd_members, *psd_mean; /* [frequencies]: of the observation, the
                            members (averaged), and the ensemble mean, averaged over cases */
    int64_t psd_filled; /* cases with missing cells: those were 0 in every field */
} gen_score_result;

/* lead -1: all lead times together. One block: gen_score_result_free. */
GEN_API gen_status gen_score_finish(gen_score_result **out, const gen_score *s, int64_t lead);
GEN_API void gen_score_result_free(gen_score_result **r);

/* ---- single scores ------------------------------------------------------------------------- */

/* Of n cells: observation [n], members[k] [n]. */
GEN_API gen_status gen_crps(gen_crps_scores *out, const float *observation,
                            const float *const *members, int64_t k, int64_t n);

/* Scores of a table of events. */
GEN_API gen_category_scores gen_contingency_scores(const gen_contingency *table);

/* Of one forecast [h,w]; events are >= threshold. */
GEN_API gen_status gen_fss(gen_number *out, const float *observation, const float *forecast,
                           int64_t h, int64_t w, double threshold, int64_t window);

/* Radially averaged power spectral density of a field [h,w], as pysteps defines it: power/(h*w),
 * averaged over rings of rounded index radius 0 ... L/2-1 (to (L-1)/2 for odd L), L = max(h,w);
 * frequency r/L. power [gen_rapsd_length(h,w)]. The transform is in float after the mean is taken
 * off: of rain, within 1e-5 of double; within 2e-4 in rings that hold 1e-10 of the strongest, and
 * noise below 1e-14. `normalise` divides by the sum. EDATA: a missing cell. */
GEN_API int64_t gen_rapsd_length(int64_t h, int64_t w);
GEN_API gen_status gen_rapsd(double *power, const float *field, int64_t h, int64_t w,
                             bool normalise);

/* Cells by the number j of members (of k) that have the event: cells[j], and those of them in which
 * it was observed, events[j]; both [k+1]. */
typedef struct gen_probability_counts {
    int64_t k;
    const int64_t *cells, *events;
} gen_probability_counts;
GEN_API gen_number gen_brier(const gen_probability_counts *c);
GEN_API void gen_reliability(gen_reliability_bin *out, int bins, int64_t min_count,
                             const gen_probability_counts *c);
GEN_API void gen_roc(gen_roc_point *out, int points, gen_number *area,
                     const gen_probability_counts *c);
GEN_API gen_number gen_economic_value(double ratio, const gen_probability_counts *c);

/* Do the scores a and b of n independent units (DGMR: weeks) differ? Two-sided p of the paired
 * permutation test: how often their mean difference is as far from 0 when each difference may have
 * either sign. All 2^n ways where those are no more than `permutations` (0 = 1000000), else so many
 * drawn by seed. Not known for n < 1, n > 4096, or scores that are not finite. */
GEN_API gen_number gen_permutation_test(const double *a, const double *b, int64_t n,
                                        int64_t permutations, uint64_t seed);

#ifdef __cplusplus
}
#endif
#endif
