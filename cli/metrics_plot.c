/* SPDX-License-Identifier: Apache-2.0
 *
 * Forecast scores as charts: against lead time, against scale, and of probabilities.
 */
#include <math.h>
#include <string.h>

#include "cli/chart_page.h"
#include "cli/metrics.h"
#include "cli/weather_files.h"
#include "libgen/base/file.h"

#define MAX_SHOWN 3 /* lead times of spectra and probabilities */

/* A page of charts with what they show. */
typedef struct page {
    const scores *s;
    chart_page *charts;
    double *lead; /* [leads] minutes */
} page;

static double shown(gen_number v)
{
    return v.known ? v.value : NAN;
}

/* ---- against lead time --------------------------------------------------------------------- */

typedef gen_number score_of(const gen_score_result *r, int threshold, int window);

static gen_number crps_of(const gen_score_result *r, int t, int w)
{
    (void)t;
    (void)w;
    return r->crps.standard;
}
static gen_number rmse_of(const gen_score_result *r, int t, int w)
{
    (void)t;
    (void)w;
    return r->rmse;
}
static gen_number spread_of(const gen_score_result *r, int t, int w)
{
    (void)t;
    (void)w;
    return r->spread;
}
static gen_number mean_of(const gen_score_result *r, int t, int w)
{
    (void)t;
    (void)w;
    return r->forecast;
}
static gen_number observed_of(const gen_score_result *r, int t, int w)
{
    (void)t;
    (void)w;
    return r->observed;
}
static gen_number csi_of(const gen_score_result *r, int t, int w)
{
    (void)w;
    return r->at[t].members.csi;
}
static gen_number fss_of(const gen_score_result *r, int t, int w)
{
    return r->at[t].fss[w].members;
}

static void lead_line(page *p, const char *label, int method, score_of *of, const int index[2],
                      gen_chart_style style, int colour)
{
    int64_t leads = p->s->view->leads;
    double *y = chart_line(p->charts, label, p->lead, leads, style, colour);
    for (int64_t i = 0; y && i < leads; i++)
        y[i] = shown(of(p->s->at[method][i], index[0], index[1]));
}

/* One line a method. */
static void methods_chart(page *p, const char *title, score_of *of)
{
    static const gen_chart_style style[] = { GEN_CHART_POINTS, GEN_CHART_DASHED, GEN_CHART_DASHED,
                                             GEN_CHART_POINTS };
    chart_add(p->charts, title, "lead time (min)", "mm/h");
    for (int m = 0; m < GEN_VERIFY_METHODS; m++)
        if (p->s->at[m])
            lead_line(p, score_method_names[m], m, of, (const int[2]){ 0 }, style[m], m);
}

/* One line a threshold; advection dashed beside it. */
static void thresholds_chart(page *p, const char *title, score_of *of, int window)
{
    const gen_score_result *r = p->s->at[0][0];
    gen_chart *c = chart_add(p->charts, title, "lead time (min)", NULL);
    c->y_high = 1;
    for (int t = 0; t < r->thresholds; t++) {
        const int index[2] = { t, window };
        lead_line(p, chart_text(p->charts, "%g mm/h", r->at[t].threshold), GEN_VERIFY_FORECAST, of,
                  index, GEN_CHART_POINTS, t);
        if (p->s->at[GEN_VERIFY_ADVECTION])
            lead_line(p, t ? NULL : "advection", GEN_VERIFY_ADVECTION, of, index, GEN_CHART_DASHED,
                      t);
    }
}

static void score_charts(page *p)
{
    const gen_score_result *r = p->s->at[0][0];
    const int none[2] = { 0 };
    methods_chart(p, p->s->view->members > 1 ? "CRPS" : "CRPS (mean absolute error)", crps_of);
    thresholds_chart(p, "Critical success index", csi_of, 0);
    if (r->windows)
        thresholds_chart(p,
                         chart_text(p->charts, "Fractions skill score, %g cells",
                                    (double)r->at[0].fss[r->windows / 2].window),
                         fss_of, r->windows / 2);
    if (p->s->view->members > 1) {
        chart_add(p->charts, "Spread and error of the mean", "lead time (min)", "mm/h");
        lead_line(p, "spread", 0, spread_of, none, GEN_CHART_POINTS, 0);
        lead_line(p, "RMSE of the mean", 0, rmse_of, none, GEN_CHART_POINTS, 1);
    } else {
        methods_chart(p, "Root mean square error", rmse_of);
    }
    methods_chart(p, "Mean rain", mean_of);
    lead_line(p, "observed", 0, observed_of, none, GEN_CHART_LINE, -1);
}

/* ---- against scale ------------------------------------------------------------------------- */

/* Lead times that are drawn: evenly, ending with the last. */
static int choose_leads(const page *p, int64_t lead[MAX_SHOWN])
{
    int64_t leads = p->s->view->leads;
    int n = (int)(leads < MAX_SHOWN ? leads : MAX_SHOWN);
    for (int i = 0; i < n; i++)
        lead[i] = (i + 1) * leads / n - 1;
    return n;
}

static void psd_line(page *p, const char *label, const double *x, const gen_score_result *r,
                     const gen_number *psd, gen_chart_style style, int colour)
{
    double *y = chart_line(p->charts, label, x, r->frequencies - 1, style, colour);
    for (int64_t i = 1; y && psd && i < r->frequencies; i++)
        y[i - 1] = shown(psd[i]);
}

static void spectrum_charts(page *p)
{
    const gen_verify_view *v = p->s->view;
    int64_t lead[MAX_SHOWN];
    int n = choose_leads(p, lead);
    bool km = v->cell > 0 && !v->degrees;
    for (int i = 0; i < n; i++) {
        const gen_score_result *r = p->s->at[0][lead[i]];
        gen_chart *c = chart_add(
            p->charts, chart_text(p->charts, "Power spectrum at %g min", p->lead[lead[i]]),
            km ? "wavelength (km)" : "wavelength (cells)", NULL);
        c->log_x = c->log_y = true;
        double *x = chart_values(p->charts, r->frequencies);
        for (int64_t k = 1; x && k < r->frequencies; k++)
            x[k - 1] = (km ? v->cell / 1000 : 1) / r->frequency[k];
        if (!x || r->frequencies < 2)
            continue;
        psd_line(p, "observed", x, r, r->psd_observed, GEN_CHART_LINE, -1);
        psd_line(p, "forecast", x, r, r->psd_members, GEN_CHART_LINE, 0);
        if (v->members > 1)
            psd_line(p, "ensemble mean", x, r, r->psd_mean, GEN_CHART_DASHED, 0);
        if (p->s->at[GEN_VERIFY_ADVECTION])
            psd_line(p, "advection", x, r, p->s->at[GEN_VERIFY_ADVECTION][lead[i]]->psd_members,
                     GEN_CHART_DASHED, 2);
    }
}

/* ---- probabilities ------------------------------------------------------------------------- */

/* Two numbers of each of n structs of `size` bytes, as a curve. */
static void curve(page *p, const char *label, const void *first, size_t size, int n, size_t x_at,
                  size_t y_at, int colour)
{
    double *x = chart_values(p->charts, n);
    double *y = x ? chart_line(p->charts, label, x, n, GEN_CHART_POINTS, colour) : NULL;
    for (int i = 0; y && i < n; i++) {
        const char *at = (const char *)first + (size_t)i * size;
        gen_number a, b;
        memcpy(&a, at + x_at, sizeof a);
        memcpy(&b, at + y_at, sizeof b);
        x[i] = shown(a);
        y[i] = shown(b);
    }
}

static void diagonal(page *p)
{
    static const double ends[2] = { 0, 1 };
    double *y = chart_line(p->charts, NULL, ends, 2, GEN_CHART_DASHED, -1);
    if (y)
        memcpy(y, ends, sizeof ends);
}

static void value_curve(page *p, const char *label, const gen_threshold_scores *t, int n,
                        int colour)
{
    double *x = chart_values(p->charts, n);
    double *y = x ? chart_line(p->charts, label, x, n, GEN_CHART_LINE, colour) : NULL;
    for (int i = 0; y && i < n; i++) {
        x[i] = t->value[i].ratio;
        y[i] = t->value[i].value.known ? fmax(t->value[i].value.value, 0) : NAN;
    }
}

static void rank_chart(page *p, const gen_score_result *r, double minutes)
{
    chart_add(p->charts, chart_text(p->charts, "Rank of the observation at %g min", minutes),
              "rank", "share");
    double *x = chart_values(p->charts, r->ranks);
    double *y = x ? chart_line(p->charts, NULL, x, r->ranks, GEN_CHART_BARS, 0) : NULL;
    for (int64_t i = 0; y && i < r->ranks; i++) {
        x[i] = (double)i;
        y[i] = shown(r->rank[i]);
    }
    y = x ? chart_line(p->charts, NULL, x, r->ranks, GEN_CHART_DASHED, -1) : NULL;
    for (int64_t i = 0; y && i < r->ranks; i++)
        y[i] = 1 / (double)r->ranks;
}

/* Reliability, ROC, value and ranks, in the middle and at the end. */
static void probability_charts(page *p)
{
    int64_t lead[MAX_SHOWN];
    int n = choose_leads(p, lead);
    for (int i = n > 2 ? 1 : 0; i < n && p->charts->n + 4 <= 8; i++) {
        const gen_score_result *r = p->s->at[0][lead[i]];
        double minutes = p->lead[lead[i]];
        gen_chart *c = chart_add(p->charts, chart_text(p->charts, "Reliability at %g min", minutes),
                                 "forecast probability", "observed frequency");
        c->y_high = 1;
        diagonal(p);
        for (int t = 0; t < r->thresholds; t++)
            curve(p, chart_text(p->charts, "%g mm/h", r->at[t].threshold), r->at[t].reliability,
                  sizeof(gen_reliability_bin), r->bins, offsetof(gen_reliability_bin, forecast),
                  offsetof(gen_reliability_bin, observed), t);
        c = chart_add(p->charts, chart_text(p->charts, "ROC at %g min", minutes),
                      "false alarm rate", "probability of detection");
        c->y_high = 1;
        diagonal(p);
        for (int t = 0; t < r->thresholds; t++)
            curve(p, chart_text(p->charts, "%g mm/h", r->at[t].threshold), r->at[t].roc,
                  sizeof(gen_roc_point), r->roc_points, offsetof(gen_roc_point, fa),
                  offsetof(gen_roc_point, pod), t);
        c = chart_add(p->charts, chart_text(p->charts, "Economic value at %g min", minutes),
                      "cost / loss", NULL);
        c->log_x = true;
        c->y_high = 1;
        for (int t = 0; t < r->thresholds; t++)
            value_curve(p, chart_text(p->charts, "%g mm/h", r->at[t].threshold), &r->at[t],
                        r->ratios, t);
        rank_chart(p, r, minutes);
    }
}

/* ---- files --------------------------------------------------------------------------------- */

static gen_status save(const gen_run *r, const scores *s, const char *folder, const char *file,
                       void (*draw)(page *p), int columns)
{
    gen_status status;
    page p = { .s = s };
    char heading[200];
    GEN_TRY(chart_page_create(&p.charts));
    p.lead = chart_values(p.charts, s->view->leads);
    for (int64_t i = 0; p.lead && i < s->view->leads; i++)
        p.lead[i] = (double)s->view->lead[i] / 60;
    if (p.lead)
        draw(&p);
    snprintf(heading, sizeof heading, "%lld forecast%s of %lld member%s, %lld x %lld cells",
             (long long)s->view->cases, s->view->cases > 1 ? "s" : "", (long long)s->view->members,
             s->view->members > 1 ? "s" : "", (long long)s->view->crop[2],
             (long long)s->view->crop[3]);
    status = chart_page_save(p.charts, r, folder, file, "Forecast scores", heading, columns);
    chart_page_free(&p.charts);
    return status;
}

static const char *const files[] = { "scores.png", "spectra.png", "probabilities.png" };

gen_status scores_plot_check(const gen_run *r, const char *folder, bool *made)
{
    GEN_TRY(output_folder(folder, made));
    for (int i = 0; i < GEN_LEN(files); i++)
        GEN_TRY(picture_check(folder, files[i], r->common.force));
    return GEN_OK;
}

gen_status scores_plot(const gen_run *r, const scores *s, const char *folder)
{
    GEN_TRY(save(r, s, folder, files[0], score_charts, 3));
    GEN_TRY(save(r, s, folder, files[1], spectrum_charts, 3));
    if (s->view->members > 1)
        GEN_TRY(save(r, s, folder, files[2], probability_charts, 4));
    return GEN_OK;
}
