/* SPDX-License-Identifier: Apache-2.0
 *
 * Options of products, and series at points as CSV and JSON.
 */
#include "cli/products.h"

#include <math.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "libgen/base/file.h"
#include "libgen/base/json.h"
#include "libgen/base/options.h"

/* ---- options ----------------------------------------------------------------------------- */

static gen_status parse_list(const char *text, const char *what, double min, double max,
                             double out[MOST_VALUES], int *n)
{
    *n = 0;
    if (!text)
        return GEN_OK;
    *n = MOST_VALUES;
    GEN_TRY(gen_parse_reals(text, what, min, max, out, n));
    for (int i = 1; i < *n; i++)
        if (!(out[i] > out[i - 1]))
            return gen_fail(GEN_EINVAL, "%s '%.60s': expected numbers that rise", what, text);
    return GEN_OK;
}

static gen_status parse_points(product_call *c)
{
    int n = gen_run_given(c->run, "at-point");
    if (n > MOST_POINTS)
        return gen_fail(GEN_EINVAL, "option --at-point: %d points, expected at most %d", n,
                        MOST_POINTS);
    GEN_TRY(GEN_ALLOC(&c->points, n, "points"));
    for (int i = 0; i < n; i++) {
        double at[2];
        int count = 2;
        const char *text = gen_run_text(c->run, "at-point", i);
        GEN_TRY(gen_parse_reals(text, "option --at-point", -360, 360, at, &count));
        if (count != 2 || fabs(at[0]) > 90)
            return gen_fail(GEN_EINVAL,
                            "option --at-point '%.60s': expected latitude,longitude in degrees, "
                            "e.g. 52.1,5.18",
                            text);
        c->points[i] = (gen_products_point){ .lat = at[0], .lon = at[1] };
        c->n_points++;
    }
    return GEN_OK;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

static gen_status check_point_output(const product_call *c)
{
    const char *path = c->settings->point_output;
    if (!path)
        return GEN_OK;
    if (c->n_points == 0)
        return gen_fail(GEN_EINVAL,
                        "option --point-output: no points, expected --at-point LAT,LON");
    if (!ends_with(path, ".csv") && !ends_with(path, ".json"))
        return gen_fail(GEN_EINVAL,
                        "option --point-output '%.200s': expected a name in .csv or "
                        ".json",
                        path);
    GEN_TRY(gen_output_check(path, c->run->common.force));
    if (c->run->common.output && strcmp(path, c->run->common.output) == 0)
        return gen_fail(GEN_EINVAL, "option --point-output '%.200s': is -o too", path);
    return GEN_OK;
}

gen_status products_parse(product_call *c, const gen_run *r, const product_settings *s)
{
    gen_products_options *o = &c->o;
    *c = (product_call){ .run = r, .settings = s };
    GEN_TRY(parse_list(s->exceed, "option --exceed", 0.001, 1e6, c->exceed, &o->n_exceed));
    GEN_TRY(parse_list(s->exceed_sum, "option --exceed-sum", 0.001, 1e6, c->exceed_sum,
                       &o->n_exceed_sum));
    GEN_TRY(parse_list(s->percentiles, "option --percentiles", 0, 100, c->percentiles,
                       &o->n_percentiles));
    o->exceed = c->exceed;
    o->exceed_sum = c->exceed_sum;
    o->percentiles = c->percentiles;
    o->mean = s->mean;
    o->matched_mean = s->matched_mean;
    o->accumulate = s->accumulate * 60;
    o->member_sums = s->accumulate > 0 && !s->without_members;
    o->threads = (int)r->common.threads;
    o->progress = r->progress;
    if (s->exceed_sum && s->accumulate == 0)
        return gen_fail(GEN_EINVAL, "option --exceed-sum: of which amounts? give --accumulate MIN");
    if (s->accumulate > 0 && !s->exceed_sum) {
        o->exceed_sum = c->exceed;
        o->n_exceed_sum = o->n_exceed;
    }
    c->any = o->n_exceed || o->n_percentiles || o->mean || o->matched_mean || o->n_exceed_sum ||
             o->member_sums;
    GEN_TRY(parse_points(c));
    return check_point_output(c);
}

gen_status products_prepare(product_call *c, const gen_products_shape *shape,
                            const gen_radar_grid *grid, int64_t reference, const int64_t *time)
{
    GEN_TRY(gen_products_check(shape, &c->o));
    if (c->n_points == 0)
        return GEN_OK;
    for (int i = 0; i < c->n_points; i++) {
        gen_products_point *p = &c->points[i];
        GEN_TRY(gen_products_locate(p, grid, p->lat, p->lon));
    }
    c->members = c->room = shape->members;
    c->lead_steps = shape->lead_steps;
    c->reference = reference;
    GEN_TRY(GEN_ALLOC(&c->time, c->lead_steps, "series"));
    memcpy(c->time, time, (size_t)c->lead_steps * sizeof *time);
    uint64_t n = (uint64_t)c->n_points * (uint64_t)c->lead_steps;
    return gen_alloc((void **)&c->series, n, (size_t)c->room * sizeof *c->series, "series");
}

void products_shorten(product_call *c, int64_t members)
{
    c->members = members < c->room ? members : c->room;
}

void products_free(product_call *c)
{
    gen_free(c->points);
    gen_free(c->time);
    gen_free(c->series);
    *c = (product_call){ 0 };
}

/* ---- series ------------------------------------------------------------------------------ */

static float *members_at(const product_call *c, int point, int64_t lead)
{
    return c->series + (point * c->lead_steps + lead) * c->room;
}

void products_keep(product_call *c, int64_t width, int64_t member, int64_t lead, const float *rain)
{
    for (int i = 0; i < c->n_points; i++)
        members_at(c, i, lead)[member] = rain[c->points[i].row * width + c->points[i].column];
}

bool products_on_stdout(const product_call *c)
{
    return c->n_points > 0 && !c->settings->point_output;
}

/* NaN as soon as one member is. */
static double mean_of(const float *v, int64_t n)
{
    double total = 0;
    for (int64_t i = 0; i < n; i++)
        total += (double)v[i];
    return total / (double)n;
}

static double share_above(const float *v, int64_t n, double threshold)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(v[i]))
            return NAN;
        count += (double)v[i] >= threshold;
    }
    return (double)count / (double)n;
}

/* ---- CSV --------------------------------------------------------------------------------- */

static void put_number(FILE *to, double v)
{
    char text[GEN_REAL_TEXT];
    fprintf(to, ",%s", isnan(v) ? "" : gen_real_text(v, text));
}

/* Rain has no more than 6 digits that mean something. */
static double tidy(double v)
{
    return isnan(v) ? v : round(v * 1e6) / 1e6;
}

static void put_row(const product_call *c, FILE *to, int point, int64_t lead)
{
    const gen_products_point *p = &c->points[point];
    const float *v = members_at(c, point, lead);
    char text[GEN_REAL_TEXT], time[32];
    fprintf(to, "%s", gen_real_text(p->lat, text));
    put_number(to, p->lon);
    put_number(to, (double)(c->time[lead] - c->reference) / 60);
    fprintf(to, ",%s", gen_time_text(c->time[lead], time));
    for (int64_t m = 0; m < c->members; m++)
        put_number(to, tidy((double)v[m]));
    put_number(to, tidy(mean_of(v, c->members)));
    for (int k = 0; k < c->o.n_exceed; k++)
        put_number(to, tidy(share_above(v, c->members, c->exceed[k])));
    fputc('\n', to);
}

static void put_csv(const product_call *c, FILE *to)
{
    char text[GEN_REAL_TEXT];
    fprintf(to, "latitude,longitude,lead_minutes,time");
    for (int64_t m = 0; m < c->members; m++)
        fprintf(to, ",member_%lld", (long long)m);
    fprintf(to, ",mean");
    for (int k = 0; k < c->o.n_exceed; k++)
        fprintf(to, ",probability_%s", gen_real_text(c->exceed[k], text));
    fputc('\n', to);
    for (int i = 0; i < c->n_points; i++)
        for (int64_t t = 0; t < c->lead_steps; t++)
            put_row(c, to, i, t);
}

/* ---- JSON -------------------------------------------------------------------------------- */

static void put_lead(const product_call *c, gen_json_writer *w, int point, int64_t lead)
{
    const float *v = members_at(c, point, lead);
    char time[32];
    gen_json_open(w, NULL, '{');
    gen_json_put_real(w, "lead_minutes", (double)(c->time[lead] - c->reference) / 60);
    gen_json_put_string(w, "time", gen_time_text(c->time[lead], time));
    gen_json_open(w, "members", '[');
    for (int64_t m = 0; m < c->members; m++)
        gen_json_put_real(w, NULL, tidy((double)v[m]));
    gen_json_close(w, ']');
    gen_json_put_real(w, "mean", tidy(mean_of(v, c->members)));
    gen_json_open(w, "probabilities", '[');
    for (int k = 0; k < c->o.n_exceed; k++)
        gen_json_put_real(w, NULL, tidy(share_above(v, c->members, c->exceed[k])));
    gen_json_close(w, ']');
    gen_json_close(w, '}');
}

static void put_json(const product_call *c, gen_json_writer *w)
{
    gen_json_put_string(w, "units", "mm/h");
    gen_json_open(w, "thresholds", '[');
    for (int k = 0; k < c->o.n_exceed; k++)
        gen_json_put_real(w, NULL, c->exceed[k]);
    gen_json_close(w, ']');
    gen_json_open(w, "points", '[');
    for (int i = 0; i < c->n_points; i++) {
        const gen_products_point *p = &c->points[i];
        gen_json_open(w, NULL, '{');
        gen_json_put_real(w, "latitude", p->lat);
        gen_json_put_real(w, "longitude", p->lon);
        gen_json_open(w, "cell", '{');
        gen_json_put_int(w, "row", p->row);
        gen_json_put_int(w, "column", p->column);
        gen_json_put_real(w, "latitude", tidy(p->cell_lat));
        gen_json_put_real(w, "longitude", tidy(p->cell_lon));
        gen_json_close(w, '}');
        gen_json_open(w, "leads", '[');
        for (int64_t t = 0; t < c->lead_steps; t++)
            put_lead(c, w, i, t);
        gen_json_close(w, ']');
        gen_json_close(w, '}');
    }
    gen_json_close(w, ']');
}

gen_status products_series_json(const product_call *c, gen_json_writer *w)
{
    if (products_on_stdout(c))
        put_json(c, w);
    return GEN_OK;
}

static gen_status json_text(const product_call *c, char **text)
{
    gen_json_writer w = { 0 };
    gen_json_open(&w, NULL, '{');
    put_json(c, &w);
    gen_json_close(&w, '}');
    return gen_json_finish(&w, text);
}

/* ---- where they go ----------------------------------------------------------------------- */

gen_status products_put_series(const product_call *c)
{
    gen_status status;
    const char *path = c->settings->point_output;
    gen_output out = { 0 };
    char *text = NULL;
    if (c->n_points == 0)
        return GEN_OK;
    if (!path) {
        if (!c->run->common.json)
            put_csv(c, stdout);
        return GEN_OK;
    }
    GEN_GOTO(gen_output_open(&out, path, c->run->common.force, false));
    if (ends_with(path, ".csv")) {
        put_csv(c, out.file);
    } else {
        GEN_GOTO(json_text(c, &text));
        fprintf(out.file, "%s\n", text);
    }
    GEN_GOTO(gen_output_commit(&out));
done:
    gen_output_abort(&out);
    gen_free(text);
    return status;
}
