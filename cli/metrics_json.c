/* SPDX-License-Identifier: Apache-2.0
 *
 * Forecast scores as JSON: parallel arrays over the lead times, `lead_minutes` first.
 */
#include <stddef.h>
#include <string.h>

#include "cli/metrics.h"
#include "libgen/base/json.h"

const char *const score_method_names[GEN_VERIFY_METHODS] = { "forecast", "persistence", "advection",
                                                             "steps" };

/* Where a number lies in a struct, and its name in the report. */
typedef struct field {
    const char *key;
    size_t at;
} field;

#define OF(type, key, member)                                                                      \
    {                                                                                              \
        key, offsetof(type, member)                                                                \
    }

static const field result_fields[] = {
    OF(gen_score_result, "observed_mean", observed),
    OF(gen_score_result, "forecast_mean", forecast),
    OF(gen_score_result, "crps", crps.standard),
    OF(gen_score_result, "crps_fair", crps.fair),
    OF(gen_score_result, "crps_pysteps", crps.pysteps),
    OF(gen_score_result, "mae", mae),
    OF(gen_score_result, "rmse", rmse),
    OF(gen_score_result, "bias", bias),
    OF(gen_score_result, "members_mae", members_mae),
    OF(gen_score_result, "members_rmse", members_rmse),
    OF(gen_score_result, "spread", spread),
    OF(gen_score_result, "spread_skill", spread_skill),
    OF(gen_score_result, "spread_skill_corrected", spread_skill_corrected),
};
static const field crps_fields[] = {
    OF(gen_crps_scores, "crps", standard),
    OF(gen_crps_scores, "crps_fair", fair),
    OF(gen_crps_scores, "crps_pysteps", pysteps),
};
static const field category_fields[] = {
    OF(gen_category_scores, "csi", csi),   OF(gen_category_scores, "pod", pod),
    OF(gen_category_scores, "far", far),   OF(gen_category_scores, "false_alarm_rate", fa),
    OF(gen_category_scores, "bias", bias), OF(gen_category_scores, "ets", ets),
    OF(gen_category_scores, "hss", hss),   OF(gen_category_scores, "hk", hk),
};
static const field category_counts[] = {
    OF(gen_category_scores, "hits", table.hits),
    OF(gen_category_scores, "misses", table.misses),
    OF(gen_category_scores, "false_alarms", table.false_alarms),
    OF(gen_category_scores, "correct_negatives", table.correct_negatives),
};
static const field threshold_fields[] = {
    OF(gen_threshold_scores, "base_rate", base_rate),
    OF(gen_threshold_scores, "brier", brier),
    OF(gen_threshold_scores, "roc_area", roc_area),
};
static const field fss_fields[] = {
    OF(gen_fss_scores, "members", members),
    OF(gen_fss_scores, "mean", mean),
    OF(gen_fss_scores, "probabilities", probabilities),
};
static const field bin_fields[] = {
    OF(gen_reliability_bin, "forecast", forecast),
    OF(gen_reliability_bin, "observed", observed),
};
static const field roc_fields[] = {
    OF(gen_roc_point, "pod", pod),
    OF(gen_roc_point, "false_alarm_rate", fa),
};
static const field value_fields[] = { OF(gen_value_point, "value", value) };
static const field psd_fields[] = {
    OF(gen_score_result, "observed", psd_observed),
    OF(gen_score_result, "members", psd_members),
    OF(gen_score_result, "mean", psd_mean),
};

/* The struct that a field lies in, of one lead time. */
typedef const void *part(const gen_score_result *r, const int index[2]);

static const void *whole(const gen_score_result *r, const int index[2])
{
    (void)index;
    return r;
}
static const void *average_pool(const gen_score_result *r, const int index[2])
{
    return &r->average[index[0]];
}
static const void *maximum_pool(const gen_score_result *r, const int index[2])
{
    return &r->maximum[index[0]];
}
static const void *threshold(const gen_score_result *r, const int index[2])
{
    return &r->at[index[0]];
}
static const void *members_table(const gen_score_result *r, const int index[2])
{
    return &r->at[index[0]].members;
}
static const void *mean_table(const gen_score_result *r, const int index[2])
{
    return &r->at[index[0]].mean;
}
static const void *fss_window(const gen_score_result *r, const int index[2])
{
    return &r->at[index[0]].fss[index[1]];
}

/* What every function below writes for: one method's lead times. */
typedef struct writer {
    gen_json_writer *w;
    gen_score_result *const *r;
    int64_t leads;
} writer;

static void put_number(gen_json_writer *w, const char *key, gen_number v)
{
    if (v.known)
        gen_json_put_real(w, key, v.value);
    else
        gen_json_put_null(w, key);
}

static void put_fields(const writer *o, const field *f, int n, part *of, const int index[2])
{
    for (int i = 0; i < n; i++) {
        gen_json_open(o->w, f[i].key, '[');
        for (int64_t t = 0; t < o->leads; t++)
            put_number(
                o->w, NULL,
                *(const gen_number *)(const void *)((const char *)of(o->r[t], index) + f[i].at));
        gen_json_close(o->w, ']');
    }
}

static void put_counts(const writer *o, const field *f, int n, part *of, const int index[2])
{
    for (int i = 0; i < n; i++) {
        gen_json_open(o->w, f[i].key, '[');
        for (int64_t t = 0; t < o->leads; t++)
            gen_json_put_int(
                o->w, NULL,
                *(const int64_t *)(const void *)((const char *)of(o->r[t], index) + f[i].at));
        gen_json_close(o->w, ']');
    }
}

/* Arrays of points within each lead time: key: [[...], [...] ...]. */
static void put_points(const writer *o, const field *f, int n,
                       const char *(*points)(const gen_score_result *, int), size_t size, int count,
                       int index)
{
    for (int i = 0; i < n; i++) {
        gen_json_open(o->w, f[i].key, '[');
        for (int64_t t = 0; t < o->leads; t++) {
            gen_json_open(o->w, NULL, '[');
            const char *p = points(o->r[t], index);
            for (int k = 0; k < count; k++)
                put_number(o->w, NULL,
                           *(const gen_number *)(const void *)(p + (size_t)k * size + f[i].at));
            gen_json_close(o->w, ']');
        }
        gen_json_close(o->w, ']');
    }
}

static const char *reliability_points(const gen_score_result *r, int index)
{
    return (const char *)r->at[index].reliability;
}
static const char *roc_points(const gen_score_result *r, int index)
{
    return (const char *)r->at[index].roc;
}
static const char *value_points(const gen_score_result *r, int index)
{
    return (const char *)r->at[index].value;
}

#define WITH_LENGTH(f) f, GEN_LEN(f)

static void put_pools(const writer *o)
{
    gen_json_open(o->w, "crps_pooled", '[');
    for (int i = 0; i < o->r[0]->pools; i++) {
        const int index[2] = { i, 0 };
        gen_json_open(o->w, NULL, '{');
        gen_json_put_int(o->w, "window", o->r[0]->average[i].window);
        gen_json_open(o->w, "average", '{');
        put_fields(o, WITH_LENGTH(crps_fields), average_pool, index);
        gen_json_close(o->w, '}');
        gen_json_open(o->w, "maximum", '{');
        put_fields(o, WITH_LENGTH(crps_fields), maximum_pool, index);
        gen_json_close(o->w, '}');
        gen_json_close(o->w, '}');
    }
    gen_json_close(o->w, ']');
}

static void put_table(const writer *o, const char *key, part *of, const int index[2])
{
    gen_json_open(o->w, key, '{');
    put_counts(o, WITH_LENGTH(category_counts), of, index);
    put_fields(o, WITH_LENGTH(category_fields), of, index);
    gen_json_close(o->w, '}');
}

static void put_probabilities(const writer *o, int i)
{
    const gen_score_result *r = o->r[0];
    gen_json_open(o->w, "reliability", '{');
    put_points(o, WITH_LENGTH(bin_fields), reliability_points, sizeof(gen_reliability_bin), r->bins,
               i);
    gen_json_close(o->w, '}');
    gen_json_open(o->w, "roc", '{');
    gen_json_open(o->w, "probability", '[');
    for (int k = 0; k < r->roc_points; k++)
        gen_json_put_real(o->w, NULL, r->at[i].roc[k].probability);
    gen_json_close(o->w, ']');
    put_points(o, WITH_LENGTH(roc_fields), roc_points, sizeof(gen_roc_point), r->roc_points, i);
    gen_json_close(o->w, '}');
    gen_json_open(o->w, "economic_value", '{');
    gen_json_open(o->w, "cost_loss_ratio", '[');
    for (int k = 0; k < r->ratios; k++)
        gen_json_put_real(o->w, NULL, r->at[i].value[k].ratio);
    gen_json_close(o->w, ']');
    put_points(o, WITH_LENGTH(value_fields), value_points, sizeof(gen_value_point), r->ratios, i);
    gen_json_close(o->w, '}');
}

static void put_thresholds(const writer *o)
{
    gen_json_open(o->w, "thresholds", '[');
    for (int i = 0; i < o->r[0]->thresholds; i++) {
        const gen_threshold_scores *k = &o->r[0]->at[i];
        int index[2] = { i, 0 };
        gen_json_open(o->w, NULL, '{');
        gen_json_put_real(o->w, "threshold", k->threshold);
        put_table(o, "members", members_table, index);
        put_table(o, "mean", mean_table, index);
        put_fields(o, WITH_LENGTH(threshold_fields), threshold, index);
        put_probabilities(o, i);
        gen_json_open(o->w, "fss", '[');
        for (; index[1] < o->r[0]->windows; index[1]++) {
            gen_json_open(o->w, NULL, '{');
            gen_json_put_int(o->w, "window", k->fss[index[1]].window);
            put_fields(o, WITH_LENGTH(fss_fields), fss_window, index);
            gen_json_close(o->w, '}');
        }
        gen_json_close(o->w, ']');
        gen_json_close(o->w, '}');
    }
    gen_json_close(o->w, ']');
}

static void put_spectra(const writer *o, double cell)
{
    const gen_score_result *r = o->r[0];
    gen_json_open(o->w, "psd", '{');
    gen_json_open(o->w, "frequency_per_cell", '[');
    for (int64_t i = 0; i < r->frequencies; i++)
        gen_json_put_real(o->w, NULL, r->frequency[i]);
    gen_json_close(o->w, ']');
    gen_json_open(o->w, "wavelength_cells", '[');
    for (int64_t i = 0; i < r->frequencies; i++)
        put_number(o->w, NULL,
                   r->frequency[i] > 0 ? (gen_number){ 1 / r->frequency[i], true }
                                       : (gen_number){ 0 });
    gen_json_close(o->w, ']');
    if (cell > 0)
        gen_json_put_real(o->w, "cell", cell);
    for (int i = 0; i < GEN_LEN(psd_fields); i++) {
        gen_json_open(o->w, psd_fields[i].key, '[');
        for (int64_t t = 0; t < o->leads; t++) {
            const gen_number *p;
            memcpy(&p, (const char *)o->r[t] + psd_fields[i].at, sizeof p);
            gen_json_open(o->w, NULL, '[');
            for (int64_t k = 0; k < r->frequencies; k++)
                put_number(o->w, NULL, p[k]);
            gen_json_close(o->w, ']');
        }
        gen_json_close(o->w, ']');
    }
    gen_json_close(o->w, '}');
}

static void put_ranks(const writer *o)
{
    gen_json_open(o->w, "rank_histogram", '[');
    for (int64_t t = 0; t < o->leads; t++) {
        gen_json_open(o->w, NULL, '[');
        for (int64_t k = 0; k < o->r[t]->ranks; k++)
            put_number(o->w, NULL, o->r[t]->rank[k]);
        gen_json_close(o->w, ']');
    }
    gen_json_close(o->w, ']');
}

static void put_method(gen_json_writer *w, const scores *s, int m)
{
    static const field counts[] = {
        OF(gen_score_result, "cases", cases),
        OF(gen_score_result, "cells", cells),
        OF(gen_score_result, "missing", missing),
    };
    const writer o = { w, s->at[m], s->view->leads };
    gen_json_open(w, score_method_names[m], '{');
    put_counts(&o, WITH_LENGTH(counts), whole, NULL);
    put_fields(&o, WITH_LENGTH(result_fields), whole, NULL);
    put_pools(&o);
    put_thresholds(&o);
    put_ranks(&o);
    put_spectra(&o, s->view->cell);
    gen_json_close(w, '}');
}

/* What the numbers depend on. */
static void put_protocol(gen_json_writer *w, const gen_run *r, const scores *s)
{
    static const char *const events[] = { "pysteps", "above", "at-least" };
    const gen_score_options *o = gen_score_options_of(s->view->score[0]);
    gen_json_open(w, "protocol", '{');
    gen_json_put_string(w, "made_by", r->command_line);
    gen_json_put_string(w, "libgen", gen_version());
    gen_json_put_int(w, "cases", s->view->cases);
    gen_json_put_int(w, "members", s->view->members);
    gen_json_open(w, "crop", '[');
    for (int i = 0; i < 4; i++)
        gen_json_put_int(w, NULL, s->view->crop[i]);
    gen_json_close(w, ']');
    gen_json_put_string(w, "units", "mm/h");
    gen_json_put_string(w, "event", events[o->event]);
    gen_json_put_string(w, "rank_ties", o->ties == GEN_TIES_DRAWN ? "drawn" : "shared");
    gen_json_put_real(w, "rank_minimum", o->rank_min);
    gen_json_close(w, '}');
}

gen_status scores_json(char **out, const gen_run *r, const scores *s)
{
    gen_json_writer w = { 0 };
    gen_json_open(&w, NULL, '{');
    gen_json_open(&w, "lead_minutes", '[');
    for (int64_t i = 0; i < s->view->leads; i++)
        gen_json_put_real(&w, NULL, (double)s->view->lead[i] / 60);
    gen_json_close(&w, ']');
    gen_json_open(&w, "unobserved", '[');
    for (int64_t i = 0; i < s->view->leads; i++)
        gen_json_put_int(&w, NULL, s->view->unobserved[i]);
    gen_json_close(&w, ']');
    put_protocol(&w, r, s);
    for (int m = 0; m < GEN_VERIFY_METHODS; m++)
        if (s->at[m])
            put_method(&w, s, m);
    gen_json_close(&w, '}');
    return gen_json_finish(&w, out);
}
