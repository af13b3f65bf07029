/* SPDX-License-Identifier: Apache-2.0
 *
 * Forecast files beside observations. What belongs together is found by time and by the place of
 * the cells, never by position in a file.
 *
 * All methods are scored on the same cells: those measured by the observation, by every member and
 * by every baseline. The observation is made missing elsewhere, so that metrics/ drops the rest.
 */
#include "weather/verify.h"

#include <math.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "weather/codec/codec.h"
#include "weather/projection.h"

#define CONTEXT 3                        /* frames that advection uses */
#define MAX_BASELINE ((uint64_t)4 << 30) /* bytes */

/* When an observation file has frames. */
typedef struct span {
    char *path;
    int64_t first, last;
} span;

struct gen_verify {
    gen_verify_options o;
    gen_verify_view view;
    gen_radar_grid grid; /* of the first forecast */
    int64_t *lead, *unobserved;
    span *span; /* [spans] of the observation files of the newest case */
    int spans;
};

/* One forecast while it is scored. */
typedef struct verify_case {
    gen_verify *v;
    gen_forecast_file *f;
    int64_t *lead;            /* [lead_steps] seconds after the reference time */
    gen_radar_sequence *seen; /* observations */
    int64_t row, column;      /* of the forecast's first cell in them */
    int64_t step;             /* seconds between lead times, for baselines */
    /* Scored cells of the methods but the forecast: [members,lead_steps,h,w]; NULL: not asked for
     */
    float *baseline[GEN_VERIFY_METHODS];
    float *observed;      /* [h,w] of the scored cells */
    float *block;         /* [members,h,w] of the forecast */
    float *frame;         /* [H,W] of the forecast */
    const float **member; /* as many as any method has */
} verify_case;

/* Members of a method; 0: it is not asked for. */
static int64_t members_of(const gen_verify *v, int method)
{
    switch (method) {
    case GEN_VERIFY_FORECAST:
        return v->view.members;
    case GEN_VERIFY_STEPS:
        return v->o.steps_members;
    default:
        return v->o.baselines;
    }
}

static bool has_baselines(const gen_verify *v)
{
    return v->o.baselines || v->o.steps_members;
}

/* ---- the first case decides what is scored ------------------------------------------------- */

static gen_status check_crop(const gen_radar_grid *g, const int64_t crop[4], const char *path)
{
    if (crop[0] < 0 || crop[1] < 0 || crop[2] < 1 || crop[3] < 1 || crop[2] > g->height - crop[0] ||
        crop[3] > g->width - crop[1])
        return gen_fail(GEN_EINVAL,
                        "crop %lld,%lld,%lld,%lld: expected rows and columns within the %lld x "
                        "%lld cells of '%s'",
                        (long long)crop[0], (long long)crop[1], (long long)crop[2],
                        (long long)crop[3], (long long)g->height, (long long)g->width, path);
    return GEN_OK;
}

static gen_status create_scores(gen_verify *v)
{
    gen_score_options o = v->o.scores;
    o.height = v->view.crop[2];
    o.width = v->view.crop[3];
    o.leads = v->view.leads;
    for (int m = 0; m < GEN_VERIFY_METHODS; m++) {
        o.members = members_of(v, m);
        if (o.members)
            GEN_TRY(gen_score_create(&v->view.score[m], &o));
    }
    return GEN_OK;
}

static gen_status begin(gen_verify *v, const verify_case *c)
{
    gen_verify_view *w = &v->view;
    const gen_radar_grid *g = &c->f->grid;
    const int64_t all[4] = { 0, 0, g->height, g->width };
    memcpy(w->crop, v->o.crop[2] ? v->o.crop : all, sizeof all);
    if (v->o.in_degrees)
        GEN_TRY(gen_radar_cells_within(g, v->o.degrees[0], v->o.degrees[1], v->o.degrees[2],
                                       v->o.degrees[3], w->crop));
    GEN_TRY(check_crop(g, w->crop, c->f->path));
    GEN_TRY(gen_radar_grid_copy(&v->grid, g));
    GEN_TRY(GEN_ALLOC(&v->lead, c->f->lead_steps, "lead times"));
    GEN_TRY(GEN_ALLOC(&v->unobserved, c->f->lead_steps, "lead times"));
    memcpy(v->lead, c->lead, (size_t)c->f->lead_steps * sizeof *v->lead);
    w->lead = v->lead;
    w->unobserved = v->unobserved;
    w->leads = c->f->lead_steps;
    w->members = c->f->members;
    w->degrees = g->degrees;
    w->cell = gen_radar_cell(g).x;
    return create_scores(v);
}

static gen_status like_the_first(const gen_verify *v, const verify_case *c)
{
    const gen_verify_view *w = &v->view;
    const gen_forecast_file *f = c->f;
    if (f->members != w->members)
        return gen_fail(GEN_EDATA, "'%s' has %lld members, but the forecasts before it %lld",
                        f->path, (long long)f->members, (long long)w->members);
    if (f->lead_steps != w->leads ||
        memcmp(c->lead, w->lead, (size_t)w->leads * sizeof *w->lead) != 0)
        return gen_fail(GEN_EDATA, "'%s' has other lead times than the forecasts before it",
                        f->path);
    if (!gen_radar_same_cells(&v->grid, &f->grid))
        return gen_fail(GEN_EDATA, "'%s' has other cells than the forecasts before it", f->path);
    return GEN_OK;
}

/* ---- observations -------------------------------------------------------------------------- */

/* Where `part` begins in `all`, along one axis, to a hundredth of a cell (0: of a unit); -1:
 * nowhere. */
static int64_t find_axis(const double *all, int64_t n, const double *part, int64_t m, double cell)
{
    cell = cell > 0 ? cell : 1;
    for (int64_t at = 0; at + m <= n; at++)
        if (fabs(all[at] - part[0]) <= 1e-2 * cell &&
            fabs(all[at + m - 1] - part[m - 1]) <= 1e-2 * cell)
            return at;
    return -1;
}

/* Whether a corner of the forecast means the same place on earth in both projections, to a quarter
 * of a cell. What has no projection is taken at its word. */
static bool same_place(const gen_radar_grid *a, const gen_radar_grid *b)
{
    gen_projection *p = NULL, *q = NULL;
    double lat[2], lon[2], x = b->x[0], y = b->y[0];
    bool same = true;
    if (gen_projection_open(&p, a) == GEN_OK && gen_projection_open(&q, b) == GEN_OK &&
        gen_projection_inverse(p, x, y, &lat[0], &lon[0]) &&
        gen_projection_inverse(q, x, y, &lat[1], &lon[1])) {
        double cell = b->width > 1 ? gen_radar_cell(b).x : 1;
        double degrees = b->degrees ? cell : cell / 111200;
        double east = remainder(lon[0] - lon[1], 360) * cos(lat[0] * 3.14159265358979323846 / 180);
        same = hypot(lat[0] - lat[1], east) <= 0.25 * degrees;
    }
    gen_projection_free(&p);
    gen_projection_free(&q);
    return same;
}

static gen_status place(verify_case *c)
{
    const gen_radar_grid *all = &c->seen->grid, *part = &c->f->grid;
    const gen_radar_cell_size cell = gen_radar_cell(all);
    c->row = find_axis(all->y, all->height, part->y, part->height, cell.y);
    c->column = find_axis(all->x, all->width, part->x, part->width, cell.x);
    if (all->degrees != part->degrees || c->row < 0 || c->column < 0)
        return gen_fail(GEN_EDATA,
                        "the cells of '%s' (%lld x %lld) are not among those of the observations "
                        "(%lld x %lld, '%s')",
                        c->f->path, (long long)part->height, (long long)part->width,
                        (long long)all->height, (long long)all->width, c->seen->source);
    if (!same_place(all, part))
        return gen_fail(GEN_EDATA,
                        "'%s' and the observations ('%s') have different projections: the same x "
                        "and y are other places",
                        c->f->path, c->seen->source);
    return GEN_OK;
}

static void forget_spans(gen_verify *v)
{
    for (int i = 0; i < v->spans; i++)
        gen_free(v->span[i].path);
    gen_free(v->span);
    v->span = NULL;
    v->spans = 0;
}

static gen_status find_span(span *s, const char *path, const gen_radar_read_options *o)
{
    gen_radar_file *f = NULL;
    GEN_TRY(gen_radar_file_open(&f, path, o));
    s->first = s->last = f->time[0];
    for (int64_t i = 0; i < f->frames; i++) {
        s->first = f->time[i] < s->first ? f->time[i] : s->first;
        s->last = f->time[i] > s->last ? f->time[i] : s->last;
    }
    if (s->first == GEN_TIME_UNKNOWN) /* its name may tell: any time */
        s->last = INT64_MAX;
    gen_radar_file_close(&f);
    return gen_strdup(&s->path, path);
}

/* Opens every file once, not once a case: there may be thousands of both. */
static gen_status find_spans(gen_verify *v, const char *const *paths, int n,
                             const gen_radar_read_options *o)
{
    bool same = n == v->spans;
    for (int i = 0; i < n && same; i++)
        same = strcmp(paths[i], v->span[i].path) == 0;
    if (same)
        return GEN_OK;
    forget_spans(v);
    GEN_TRY(GEN_ALLOC(&v->span, n, "observations"));
    while (v->spans < n) {
        GEN_TRY(find_span(&v->span[v->spans], paths[v->spans], o));
        v->spans++;
        GEN_TRY(gen_progress_report(&v->o.progress, "observations", v->spans, n));
    }
    return GEN_OK;
}

/* Reads the files that have frames from o->first to o->last; all, for the sentence, if none has. */
static gen_status read_spans(verify_case *c, const char *const *paths, int n,
                             const gen_radar_read_options *o)
{
    const char **needed = NULL;
    int found = 0;
    GEN_TRY(GEN_ALLOC(&needed, n, "observations"));
    for (int i = 0; i < n; i++)
        if (c->v->span[i].first <= o->last && c->v->span[i].last >= o->first)
            needed[found++] = paths[i];
    gen_status status = gen_radar_read(&c->seen, found ? needed : paths, found ? found : n, o);
    gen_free(needed);
    return status;
}

static gen_status read_observations(verify_case *c, const char *const *paths, int n,
                                    const gen_radar_read_options *read)
{
    gen_radar_read_options o = read ? *read : (gen_radar_read_options){ 0 };
    int64_t before = has_baselines(c->v) ? (CONTEXT - 1) * c->step : -c->lead[0];
    o.first = c->f->reference_time - before;
    o.last = c->f->reference_time + c->lead[c->f->lead_steps - 1];
    o.fill = o.fill == GEN_RADAR_NO_GAPS ? GEN_RADAR_FILL_MISSING : o.fill;
    o.max_frames = 0;
    gen_status status = find_spans(c->v, paths, n, &o);
    if (status == GEN_OK)
        status = read_spans(c, paths, n, &o);
    if (status != GEN_OK)
        return gen_fail_in(status, "observations for '%s'", c->f->path);
    if (c->v->o.upscale > 1)
        GEN_TRY(gen_radar_upscale(c->seen, c->v->o.upscale));
    return place(c);
}

/* The frame at time t, or NULL. A frame without any measured cell is none. */
static const float *observed_at(const verify_case *c, int64_t t)
{
    const gen_radar_sequence *s = c->seen;
    int64_t cells = s->grid.height * s->grid.width;
    for (int64_t i = 0; i < s->frames; i++)
        if (s->time[i] == t)
            for (int64_t k = 0; k < cells; k++)
                if (!isnan(s->rain[i * cells + k]))
                    return s->rain + i * cells;
    return NULL;
}

/* The cells of a frame of the observations that a rectangle of the forecast's grid covers. */
static void cut(const verify_case *c, const float *frame, const int64_t crop[4], float *out)
{
    int64_t width = c->seen->grid.width;
    for (int64_t j = 0; j < crop[2]; j++)
        memcpy(out + j * crop[3], frame + (c->row + crop[0] + j) * width + c->column + crop[1],
               (size_t)crop[3] * sizeof *out);
}

/* ---- baselines ----------------------------------------------------------------------------- */

/* Lead times, which must rise. Those of a baseline come in equal steps, of which they must be
 * multiples. */
static gen_status find_leads(verify_case *c)
{
    const gen_forecast_file *f = c->f;
    GEN_TRY(GEN_ALLOC(&c->lead, f->lead_steps, "lead times"));
    for (int64_t i = 0; i < f->lead_steps; i++) {
        c->lead[i] = f->time[i] - f->reference_time;
        int64_t before = i ? c->lead[i - 1] : 0;
        if (c->lead[i] <= before)
            return gen_fail(GEN_EDATA, "'%s': lead times do not rise from above 0", f->path);
        if (i == 0 || c->lead[i] - before < c->step)
            c->step = c->lead[i] - before;
    }
    for (int64_t i = 0; i < f->lead_steps && has_baselines(c->v); i++)
        if (c->lead[i] % c->step != 0)
            return gen_fail(GEN_EDATA,
                            "'%s': the lead time of %g min is no multiple of %g min, as baselines "
                            "need it",
                            f->path, (double)c->lead[i] / 60, (double)c->step / 60);
    return GEN_OK;
}

/* The scored cells of a frame on the forecast's grid. */
static void cut_forecast(const verify_case *c, const float *frame, float *out)
{
    const int64_t *crop = c->v->view.crop;
    for (int64_t j = 0; j < crop[2]; j++)
        memcpy(out + j * crop[3], frame + (crop[0] + j) * c->f->grid.width + crop[1],
               (size_t)crop[3] * sizeof *out);
}

/* The frames at and before the reference time, as many as there are without a gap. */
static gen_status take_context(const verify_case *c, gen_radar_sequence *context)
{
    const gen_forecast_file *f = c->f;
    const int64_t all[4] = { 0, 0, f->grid.height, f->grid.width };
    const float *frame[CONTEXT];
    char text[32];
    int n = 0;
    while (n < CONTEXT && (frame[n] = observed_at(c, f->reference_time - n * c->step)))
        n++;
    if (n < 2)
        return gen_fail(GEN_EDATA,
                        "'%s': baselines need observations at %s and %g min before, found %d of "
                        "them",
                        f->path, gen_time_text(f->reference_time, text), (double)c->step / 60, n);
    GEN_TRY(GEN_ALLOC(&context->rain, n * all[2] * all[3], "context"));
    GEN_TRY(GEN_ALLOC(&context->time, n, "context"));
    GEN_TRY(gen_radar_grid_copy(&context->grid, &f->grid));
    context->frames = n;
    context->step = c->step;
    for (int i = 0; i < n; i++) {
        context->time[i] = f->reference_time - (n - 1 - i) * c->step;
        cut(c, frame[n - 1 - i], all, context->rain + i * all[2] * all[3]);
    }
    return GEN_OK;
}

typedef struct baseline_sink {
    const verify_case *c;
    float *to; /* [members,lead_steps,h,w] */
} baseline_sink;

static gen_status keep_baseline(void *cookie, int64_t member, const float *rain)
{
    const baseline_sink *s = cookie;
    const verify_case *c = s->c;
    int64_t n = c->v->view.crop[2] * c->v->view.crop[3], leads = c->f->lead_steps;
    for (int64_t i = 0; i < leads; i++)
        cut_forecast(c, rain + (c->lead[i] / c->step - 1) * c->f->grid.height * c->f->grid.width,
                     s->to + (member * leads + i) * n);
    return GEN_OK;
}

static gen_status make_baselines(verify_case *c)
{
    static const gen_nowcast_method method[GEN_VERIFY_METHODS] = {
        [GEN_VERIFY_PERSISTENCE] = GEN_NOWCAST_PERSISTENCE,
        [GEN_VERIFY_ADVECTION] = GEN_NOWCAST_ADVECTION,
        [GEN_VERIFY_STEPS] = GEN_NOWCAST_STEPS
    };
    gen_status status;
    gen_radar_sequence *context = NULL;
    int64_t leads = c->f->lead_steps, cells = c->v->view.crop[2] * c->v->view.crop[3];
    GEN_GOTO(GEN_ALLOC(&context, 1, "context"));
    GEN_GOTO(take_context(c, context));
    for (int m = GEN_VERIFY_FORECAST + 1; m < GEN_VERIFY_METHODS; m++) {
        gen_nowcast_options o = { .method = method[m],
                                  .lead_steps = c->lead[leads - 1] / c->step,
                                  .members = members_of(c->v, m),
                                  .seed = c->v->o.scores.seed,
                                  .threads = c->v->o.scores.threads,
                                  .progress = c->v->o.progress };
        if (!o.members)
            continue;
        uint64_t n = (uint64_t)(o.members * leads) * (uint64_t)cells;
        if (n * sizeof(float) > MAX_BASELINE)
            GEN_GOTO(gen_fail(GEN_ENOMEM,
                              "the baseline of %lld members would take %.1f GB, the limit is %.1f "
                              "GB: score fewer cells",
                              (long long)o.members, (double)n * 4e-9, (double)MAX_BASELINE * 1e-9));
        GEN_GOTO(gen_alloc_raw((void **)&c->baseline[m], n, sizeof(float), "a baseline"));
        baseline_sink sink = { c, c->baseline[m] };
        GEN_GOTO(gen_nowcast(context, &o, keep_baseline, &sink));
    }
done:
    gen_radar_free(&context);
    return status;
}

/* ---- scoring ------------------------------------------------------------------------------- */

/* Fields of a method's members at a lead time. */
static void list_members(const verify_case *c, int method, int64_t lead)
{
    int64_t n = c->v->view.crop[2] * c->v->view.crop[3], leads = c->f->lead_steps;
    for (int64_t k = 0; k < members_of(c->v, method); k++)
        c->member[k] = method == GEN_VERIFY_FORECAST ? c->block + k * n
                                                     : c->baseline[method] + (k * leads + lead) * n;
}

static gen_status score_lead(verify_case *c, int64_t lead, const float *frame)
{
    gen_verify_view *w = &c->v->view;
    int64_t n = w->crop[2] * w->crop[3];
    cut(c, frame, w->crop, c->observed);
    for (int64_t k = 0; k < w->members; k++) {
        GEN_TRY(gen_forecast_read(c->f, k, lead, c->frame));
        cut_forecast(c, c->frame, c->block + k * n);
    }
    for (int m = 0; m < GEN_VERIFY_METHODS; m++) {
        list_members(c, m, lead);
        for (int64_t k = 0; k < members_of(c->v, m); k++)
            for (int64_t i = 0; i < n; i++)
                c->observed[i] = isnan(c->member[k][i]) ? NAN : c->observed[i];
    }
    for (int m = 0; m < GEN_VERIFY_METHODS; m++) {
        list_members(c, m, lead);
        if (w->score[m])
            GEN_TRY(gen_score_add(w->score[m], lead, c->observed, c->member));
    }
    return GEN_OK;
}

static gen_status score_leads(verify_case *c)
{
    gen_verify *v = c->v;
    const gen_forecast_file *f = c->f;
    int64_t n = v->view.crop[2] * v->view.crop[3], leads = f->lead_steps, found = 0;
    int64_t most = f->members > v->o.steps_members ? f->members : v->o.steps_members;
    char a[32], b[32];
    GEN_TRY(GEN_ALLOC(&c->observed, n, "scored cells"));
    GEN_TRY(GEN_ALLOC(&c->member, most, "members"));
    GEN_TRY(
        gen_alloc_raw((void **)&c->block, (uint64_t)(f->members * n), sizeof(float), "members"));
    GEN_TRY(gen_alloc_raw((void **)&c->frame, (uint64_t)(f->grid.height * f->grid.width),
                          sizeof(float), "a frame"));
    for (int64_t i = 0; i < leads; i++) {
        const float *frame = observed_at(c, f->time[i]);
        if (frame)
            GEN_TRY(score_lead(c, i, frame));
        else
            v->unobserved[i]++;
        found += frame != NULL;
        GEN_TRY(gen_progress_report(&v->o.progress, "lead times", (double)(i + 1), (double)leads));
    }
    if (found)
        return GEN_OK;
    return gen_fail(GEN_EDATA, "'%s': no observation at any of its %lld times, %s to %s", f->path,
                    (long long)leads, gen_time_text(f->time[0], a),
                    gen_time_text(f->time[leads - 1], b));
}

/* What is said of observations is not said of forecasts, which tell their units. */
static gen_radar_read_options of_forecasts(const gen_radar_read_options *read)
{
    gen_radar_read_options o = read ? *read : (gen_radar_read_options){ 0 };
    o.variable = o.units = o.pattern = o.palette = NULL;
    o.interval = o.zr_a = o.zr_b = 0;
    return o;
}

gen_status gen_verify_case(gen_verify *v, const char *forecast, const char *const *observations,
                           int n, const gen_radar_read_options *read)
{
    gen_status status;
    verify_case c = { .v = v };
    const gen_radar_read_options own = of_forecasts(read);
    GEN_GOTO(gen_forecast_open(&c.f, forecast, &own));
    GEN_GOTO(find_leads(&c));
    GEN_GOTO(v->view.leads ? like_the_first(v, &c) : begin(v, &c));
    GEN_GOTO(read_observations(&c, observations, n, read));
    if (has_baselines(v))
        GEN_GOTO(make_baselines(&c));
    GEN_GOTO(score_leads(&c));
    v->view.cases++;
done:
    gen_forecast_close(&c.f);
    gen_radar_free(&c.seen);
    for (int m = 0; m < GEN_VERIFY_METHODS; m++)
        gen_free(c.baseline[m]);
    gen_free(c.lead);
    gen_free(c.observed);
    gen_free(c.block);
    gen_free(c.frame);
    gen_free(c.member);
    return status;
}

gen_status gen_verify_create(gen_verify **out, const gen_verify_options *options)
{
    GEN_TRY(GEN_ALLOC(out, 1, "verification"));
    if (options)
        (*out)->o = *options;
    return GEN_OK;
}

void gen_verify_free(gen_verify **verify)
{
    gen_verify *v = *verify;
    *verify = NULL;
    if (!v)
        return;
    for (int m = 0; m < GEN_VERIFY_METHODS; m++)
        gen_score_free(&v->view.score[m]);
    gen_radar_grid_clear(&v->grid);
    forget_spans(v);
    gen_free(v->lead);
    gen_free(v->unobserved);
    gen_free(v);
}

const gen_verify_view *gen_verify_scores(const gen_verify *v)
{
    return &v->view;
}
