/* SPDX-License-Identifier: Apache-2.0
 *
 * An ensemble by perturbed extrapolation, after STEPS. In the frame that moves with the rain, each
 * level of a cascade of scales is an autoregressive process of second order, whose memory is what
 * the last frames show: large scales live long, small ones are soon replaced by noise that has the
 * spectrum of the rain. Each member then has
 *   - its rain only near where it rained a step before (a mask that grows by RIM cells a step),
 *   - exactly the observed distribution of rain rates, given to its cells by rank,
 *   - a motion of its own, off the estimated one by as much as such motions are found to be off.
 *
 * The processes run in the Fourier domain: they are linear there, white noise needs no transform,
 * and one inverse transform a lead time suffices. A member is one thread's work from beginning to
 * end, so that the bytes do not depend on the number of threads.
 */
#include "weather/steps.h"

#include <libgen/random.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "weather/cascade.h"
#include "weather/trace.h"

#define FRAMES 3
#define WET 0.1f                     /* mm/h: less is dry */
#define WET_DB -10                   /* the same in decibels */
#define DRY_DB -15                   /* of dry cells: a step below the weakest rain (pysteps) */
#define RIM 10                       /* cells over which the mask falls from 1 to 0 */
#define MAX_WORK ((uint64_t)1 << 30) /* bytes of members that are made at the same time */

/* Errors of the motion along and across it, km/h after t minutes: a t^b + c (Bowler et al. 2006,
 * as fitted in pysteps). */
static const double error_along[3] = { 10.88, 0.23, -7.68 };
static const double error_across[3] = { 5.76, 0.31, -2.72 };

typedef kiss_fft_cpx complex_number;

/* What all members share. */
typedef struct steps {
    const gen_radar_sequence *s;
    const gen_nowcast_options *o;
    int64_t cells;
    const float *newest;
    gen_motion motion;
    gen_cascade cascade;
    complex_number *start[2]; /* spectra [n]: newest frame, and the one before it, moved along */
    float *amplitude;         /* [n] of the noise */
    double sigma[GEN_CASCADE_LEVELS];  /* of the newest frame, dB */
    double phi[GEN_CASCADE_LEVELS][3]; /* newest, before, noise */
    double noise[GEN_CASCADE_LEVELS];  /* makes a level of the noise as large as the state */
    float *rates;                      /* [wet] mm/h of the newest frame, falling */
    int64_t wet;
    double km; /* of a cell */
} steps;

/* What one member needs. */
typedef struct worker {
    gen_fourier fourier;
    gen_trace trace;
    gen_motion motion;           /* perturbed */
    complex_number *state[2];    /* [levels,n] newest and before */
    complex_number *white, *sum; /* [n] */
    float *normal;               /* [2 n] */
    float *db, *mask, *rain;     /* [cells] */
    uint32_t *key[2], *cell[2];  /* [cells] for sorting */
    float *out;                  /* [lead_steps,cells] */
} worker;

/* ---- the observed rain --------------------------------------------------------------------- */

static float decibels(float rain)
{
    return rain >= WET ? 10 * log10f(rain) : DRY_DB; /* NaN is dry, too */
}

/* Frame `age` steps before the newest, as it would lie now, in decibels, which are what is
 * interpolated: means of rates would wet every cell beside rain and look like growth. Cells of
 * which nothing is known from then are as they are now: no change that nobody saw. */
static gen_status moved_frame(const steps *k, int64_t age, float *db, float *scratch,
                              gen_pool *pool)
{
    gen_trace t;
    const float *frame = k->newest - age * k->cells;
    GEN_TRY(gen_trace_create(&t, &k->motion, NULL, pool ? gen_pool_threads(pool) : 1));
    for (int64_t i = 0; i < k->cells; i++)
        scratch[i] = isnan(frame[i]) ? NAN : decibels(frame[i]);
    for (int64_t i = 0; i < age; i++)
        gen_trace_step(&t, &k->motion, 1, pool);
    gen_trace_warp(db, &t, scratch, GEN_TRACE_LINEAR, pool);
    for (int64_t i = 0; i < k->cells; i++)
        db[i] = isnan(db[i]) ? decibels(k->newest[i]) : db[i];
    gen_trace_free(&t);
    return GEN_OK;
}

/* Falling to 0 at the edges, so that the spectrum is the rain's and not the border's. */
static double window(int64_t i, int64_t n)
{
    return 0.5 - 0.5 * cos(2 * 3.14159265358979323846 * ((double)i + 0.5) / (double)n);
}

/* The amplitude spectrum of the newest frame shapes the noise. The step from dry to wet is taken
 * out: it would make the noise rougher than rain is. */
static void find_amplitude(steps *k, gen_fourier *f, const float *db, float *scratch)
{
    const gen_cascade *c = &k->cascade;
    complex_number *spectrum = k->start[1]; /* not yet used */
    for (int64_t y = 0; y < c->height; y++)
        for (int64_t x = 0; x < c->width; x++) {
            double v = fmax((double)db[y * c->width + x] - WET_DB, 0);
            scratch[y * c->width + x] = (float)(v * window(y, c->height) * window(x, c->width));
        }
    gen_fourier_forward(f, c, scratch, 0, spectrum);
    for (int64_t i = 0; i < c->n; i++)
        k->amplitude[i] = hypotf(spectrum[i].r, spectrum[i].i);
    k->amplitude[0] = 0;
}

/* Size of each level of the noise, from its expectation. */
static void scale_noise(steps *k)
{
    const gen_cascade *c = &k->cascade;
    double places = (double)(c->rows * c->columns);
    for (int l = 0; l < c->levels; l++) {
        const float *w = c->weight + l * c->n;
        double sum = 0;
        for (int64_t i = 0; i < c->n; i++) {
            double a = (double)(w[i] * k->amplitude[i]);
            sum += a * a * (i % c->half == 0 || i % c->half == c->half - 1 ? 1 : 2);
        }
        k->noise[l] = sum > 0 ? places / sqrt(sum) : 0;
    }
}

/* ---- the process --------------------------------------------------------------------------- */

/* Coefficients from correlations with one and two steps before (Yule and Walker), after the second
 * is kept where the process is stationary. */
static void fit(double phi[3], double one, double two, bool second_order)
{
    one = fmin(fmax(one, -0.9999), 0.9999);
    if (second_order) {
        double root = 1 - one * one;
        two = fmax(two, 2 * one * one - 1);
        if (fabs(one) > 1e-6)
            two = fmax(two, (3 * one * one - 2 + 2 * root * sqrt(root)) / (one * one));
        two = fmin(two, 0.9999);
        phi[0] = one * (1 - two) / root;
        phi[1] = (two - one * one) / root;
    } else {
        two = 0;
        phi[0] = one;
        phi[1] = 0;
    }
    phi[2] = sqrt(fmax(1 - phi[0] * one - phi[1] * two, 0));
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

/* frame: spectra of the newest frame and those before it, moved along. */
static void fit_levels(steps *k, complex_number *const frame[FRAMES], int frames)
{
    const gen_cascade *c = &k->cascade;
    double places = (double)(c->rows * c->columns);
    for (int l = 0; l < c->levels; l++) {
        const float *w = c->weight + l * c->n;
        double size[FRAMES] = { 0 }, with[FRAMES] = { 0 };
        for (int i = 0; i < frames; i++) {
            size[i] = sqrt(gen_cascade_product(c, w, frame[i], frame[i]));
            with[i] = gen_cascade_product(c, w, frame[0], frame[i]);
        }
        k->sigma[l] = size[0] / places;
        fit(k->phi[l], ratio(with[1], size[0] * size[1]),
            frames > 2 ? ratio(with[2], size[0] * size[2]) : 0, frames > 2);
    }
}

static int measured_frames(const steps *k)
{
    int n = 0;
    for (; n < FRAMES && n < k->s->frames; n++) {
        const float *frame = k->newest - n * k->cells;
        int64_t i = 0;
        while (i < k->cells && isnan(frame[i]))
            i++;
        if (i == k->cells)
            break;
    }
    return n;
}

static int falling(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

static gen_status sort_rates(steps *k)
{
    GEN_TRY(gen_alloc_raw((void **)&k->rates, (uint64_t)k->cells, sizeof(float), "rain rates"));
    for (int64_t i = 0; i < k->cells; i++)
        if (k->newest[i] >= WET)
            k->rates[k->wet++] = k->newest[i];
    qsort(k->rates, (size_t)k->wet, sizeof *k->rates, falling);
    return GEN_OK;
}

/* Width on the ground, or 1 where the grid does not tell a likely one. */
static double cell_km(const gen_radar_grid *g)
{
    double km = gen_radar_cell(g).ground_x / 1000;
    return km > 1e-3 && km < 1e3 ? km : 1;
}

static gen_status prepare(steps *k, gen_pool *pool)
{
    gen_status status;
    gen_fourier f = { 0 };
    complex_number *frame[FRAMES] = { 0 };
    float *db = NULL, *scratch = NULL;
    const gen_radar_grid *g = &k->s->grid;
    int frames = measured_frames(k);
    uint64_t n;
    if (frames < 2)
        return gen_fail(GEN_EDATA, "nowcast: steps needs 2 measured frames one step apart, but the "
                                   "one before the newest is missing");
    GEN_GOTO(gen_motion_estimate(&k->motion, k->newest - (frames - 1) * k->cells, frames, g->height,
                                 g->width, pool));
    GEN_GOTO(gen_cascade_create(&k->cascade, g->height, g->width));
    n = (uint64_t)k->cascade.n;
    GEN_GOTO(gen_fourier_create(&f, &k->cascade));
    GEN_GOTO(gen_alloc_raw((void **)&db, (uint64_t)k->cells, sizeof(float), "a frame"));
    GEN_GOTO(gen_alloc_raw((void **)&scratch, (uint64_t)k->cells, sizeof(float), "a frame"));
    GEN_GOTO(gen_alloc_raw((void **)&k->amplitude, n, sizeof(float), "spectrum of the noise"));
    for (int i = 0; i < frames; i++) {
        GEN_GOTO(gen_alloc_raw((void **)&frame[i], n, sizeof **frame, "spectrum of a frame"));
        if (i < 2)
            k->start[i] = frame[i];
    }
    GEN_GOTO(moved_frame(k, 0, db, scratch, pool));
    find_amplitude(k, &f, db, scratch);
    scale_noise(k);
    for (int i = 0; i < frames; i++) {
        GEN_GOTO(moved_frame(k, i, db, scratch, pool));
        gen_fourier_forward(&f, &k->cascade, db, DRY_DB, frame[i]);
    }
    fit_levels(k, frame, frames);
    k->km = cell_km(g);
    GEN_GOTO(sort_rates(k));
done:
    gen_free(frame[2]);
    gen_free(db);
    gen_free(scratch);
    gen_fourier_free(&f);
    return status;
}

/* ---- one member ---------------------------------------------------------------------------- */

/* Both frames in units of the newest, so that their difference is what really changed. */
static void begin_state(const steps *k, worker *w)
{
    const gen_cascade *c = &k->cascade;
    for (int l = 0; l < c->levels; l++)
        for (int t = 0; t < 2; t++) {
            float scale = (float)ratio(1, k->sigma[l]);
            complex_number *to = w->state[t] + l * c->n;
            for (int64_t i = 0; i < c->n; i++) {
                float v = scale * c->weight[l * c->n + i];
                to[i] = (complex_number){ v * k->start[t][i].r, v * k->start[t][i].i };
            }
        }
}

/* White noise as the transform of a real field: variance 1 a place, and conjugate where two places
 * of the first or last column mirror each other. Shaped by the spectrum of the rain. */
static void draw_noise(const steps *k, worker *w, int64_t member, int64_t step)
{
    const gen_cascade *c = &k->cascade;
    const float part = 0.70710678118654752f;
    uint64_t first = (uint64_t)(member * k->o->lead_steps + step) * (uint64_t)(2 * c->n);
    gen_random_normal(w->normal, 2 * c->n, k->o->seed, gen_stream("steps.noise"), first);
    for (int64_t i = 0; i < c->n; i++)
        w->white[i] = (complex_number){ w->normal[2 * i] * part, w->normal[2 * i + 1] * part };
    for (int64_t edge = 0; edge < 2; edge++)
        for (int64_t j = 0; j <= c->rows / 2; j++) {
            int64_t a = j * c->half + edge * (c->half - 1);
            int64_t b = (c->rows - j) % c->rows * c->half + edge * (c->half - 1);
            if (a == b)
                w->white[a] = (complex_number){ w->white[a].r / part, 0 };
            else
                w->white[b] = (complex_number){ w->white[a].r, -w->white[a].i };
        }
    for (int64_t i = 0; i < c->n; i++) {
        w->white[i].r *= k->amplitude[i];
        w->white[i].i *= k->amplitude[i];
    }
}

/* One step of all levels, and the field that they make together: in w->db. */
static void step_levels(const steps *k, worker *w)
{
    const gen_cascade *c = &k->cascade;
    memset(w->sum, 0, (size_t)c->n * sizeof *w->sum);
    for (int l = 0; l < c->levels; l++) {
        const float *weight = c->weight + l * c->n;
        complex_number *newest = w->state[0] + l * c->n, *before = w->state[1] + l * c->n;
        float a = (float)k->phi[l][0], b = (float)k->phi[l][1], s = (float)k->sigma[l];
        float e = (float)(k->phi[l][2] * k->noise[l]);
        for (int64_t i = 0; i < c->n; i++) {
            float n = e * weight[i];
            complex_number z = { a * newest[i].r + b * before[i].r + n * w->white[i].r,
                                 a * newest[i].i + b * before[i].i + n * w->white[i].i };
            before[i] = newest[i];
            newest[i] = z;
            w->sum[i].r += s * z.r;
            w->sum[i].i += s * z.i;
        }
    }
    w->sum[0] = k->start[0][0]; /* the mean stays */
    gen_fourier_inverse(&w->fourier, c, w->sum, w->db);
}

/* 1 where it rains, falling to 0 within RIM cells of it: a distance by two passes, with steps of 1
 * and sqrt 2. */
static void grow_mask(const steps *k, worker *w, const float *rain)
{
    int64_t height = k->s->grid.height, width = k->s->grid.width;
    const float side = 1.0f / (RIM + 1), corner = 1.41421356f * side;
    float *m = w->mask;
    for (int64_t i = 0; i < k->cells; i++)
        m[i] = rain[i] >= WET ? 1 : 0;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t t = 0; t < k->cells; t++) {
            int64_t i = pass ? k->cells - 1 - t : t, y = i / width, x = i % width;
            int64_t up = pass ? width : -width, back = pass ? 1 : -1;
            bool above = pass ? y < height - 1 : y > 0, left = pass ? x < width - 1 : x > 0;
            bool right = pass ? x > 0 : x < width - 1;
            float v = m[i];
            if (left)
                v = fmaxf(v, m[i + back] - side);
            if (above)
                v = fmaxf(v, m[i + up] - side);
            if (above && left)
                v = fmaxf(v, m[i + up + back] - corner);
            if (above && right)
                v = fmaxf(v, m[i + up - back] - corner);
            m[i] = v;
        }
}

/* Sorts n keys with their cells, falling; returns which of the two buffers holds them. */
static int sort_cells(worker *w, int64_t n)
{
    int from = 0;
    for (int shift = 0; shift < 33; shift += 11, from = !from) {
        int64_t count[2049] = { 0 };
        for (int64_t i = 0; i < n; i++)
            count[2047 - (w->key[from][i] >> shift & 2047) + 1]++;
        for (int b = 0; b < 2048; b++)
            count[b + 1] += count[b];
        for (int64_t i = 0; i < n; i++) {
            int64_t at = count[2047 - (w->key[from][i] >> shift & 2047)]++;
            w->key[!from][at] = w->key[from][i];
            w->cell[!from][at] = w->cell[from][i];
        }
    }
    return from;
}

/* The masked field in decibels becomes rain: its highest cells get the observed rates by rank. */
static void match_rates(const steps *k, worker *w)
{
    int64_t n = 0;
    for (int64_t i = 0; i < k->cells; i++) {
        float v = (w->db[i] - DRY_DB) * w->mask[i]; /* above dry: positive, so bits sort as it */
        w->rain[i] = isnan(k->newest[i]) ? NAN : 0;
        if (!(v > 0) || isnan(k->newest[i]))
            continue;
        memcpy(&w->key[0][n], &v, sizeof v);
        w->cell[0][n++] = (uint32_t)i;
    }
    int in = sort_cells(w, n);
    for (int64_t i = 0; i < n && i < k->wet; i++)
        w->rain[w->cell[in][i]] = k->rates[i];
}

/* Exponential on both sides of 0, of variance 1. */
static double laplace(float uniform)
{
    double u = (double)uniform - 0.5 + 2.9e-8; /* never the end of the range */
    return -copysign(log(1 - 2 * fabs(u)), u) * 0.70710678118654752;
}

static double motion_error(const double p[3], double minutes)
{
    return p[0] * pow(minutes, p[1]) + p[2];
}

/* The member's motion at a lead time: along and across the estimated one, off by as much as grows
 * with time. */
static void perturb_motion(const steps *k, worker *w, const double draw[2], double minutes)
{
    const gen_motion *m = &k->motion;
    double cells = (double)k->s->step / 3600 / k->km; /* a step, of 1 km/h */
    double along = draw[0] * motion_error(error_along, minutes) * cells;
    double across = draw[1] * motion_error(error_across, minutes) * cells;
    for (int64_t i = 0; i < m->rows * m->columns; i++) {
        double u = (double)m->u[i], v = (double)m->v[i], speed = hypot(u, v);
        double x = speed > 1e-6 ? u / speed : 1, y = speed > 1e-6 ? v / speed : 0;
        w->motion.u[i] = (float)(u + along * x - across * y);
        w->motion.v[i] = (float)(v + along * y + across * x);
    }
}

static void make_member(const steps *k, worker *w, int64_t member)
{
    float uniform[2];
    gen_random_uniform(uniform, 2, k->o->seed, gen_stream("steps.motion"), (uint64_t)(2 * member));
    const double draw[2] = { laplace(uniform[0]), laplace(uniform[1]) };
    size_t nodes = (size_t)(k->motion.rows * k->motion.columns) * sizeof(float);
    memset(w->trace.dx, 0, nodes);
    memset(w->trace.dy, 0, nodes);
    begin_state(k, w);
    grow_mask(k, w, k->newest);
    for (int64_t s = 0; s < k->o->lead_steps; s++) {
        draw_noise(k, w, member, s);
        step_levels(k, w);
        match_rates(k, w);
        grow_mask(k, w, w->rain);
        perturb_motion(k, w, draw, (double)((s + 1) * k->s->step) / 60);
        gen_trace_step(&w->trace, &w->motion, 1, NULL);
        gen_trace_warp(w->out + s * k->cells, &w->trace, w->rain, GEN_TRACE_LINEAR, NULL);
    }
}

/* ---- all members --------------------------------------------------------------------------- */

static void worker_free(worker *w)
{
    gen_fourier_free(&w->fourier);
    gen_trace_free(&w->trace);
    gen_motion_free(&w->motion);
    void *const all[] = { w->state[0], w->state[1], w->white, w->sum,    w->normal,
                          w->db,       w->mask,     w->rain,  w->key[0], w->key[1],
                          w->cell[0],  w->cell[1],  w->out };
    for (int i = 0; i < GEN_LEN(all); i++)
        gen_free(all[i]);
}

static gen_status worker_create(worker *w, const steps *k)
{
    const gen_cascade *c = &k->cascade;
    uint64_t n = (uint64_t)c->n, cells = (uint64_t)k->cells;
    w->motion = k->motion;
    w->motion.u = w->motion.v = NULL;
    GEN_TRY(gen_fourier_create(&w->fourier, c));
    GEN_TRY(gen_trace_create(&w->trace, &k->motion, NULL, 1));
    GEN_TRY(GEN_ALLOC(&w->motion.u, k->motion.rows * k->motion.columns, "motion"));
    GEN_TRY(GEN_ALLOC(&w->motion.v, k->motion.rows * k->motion.columns, "motion"));
    for (int t = 0; t < 2; t++) {
        GEN_TRY(gen_alloc_raw((void **)&w->state[t], (uint64_t)c->levels * n, sizeof **w->state,
                              "cascade of a member"));
        GEN_TRY(gen_alloc_raw((void **)&w->key[t], cells, sizeof **w->key, "ranks"));
        GEN_TRY(gen_alloc_raw((void **)&w->cell[t], cells, sizeof **w->cell, "ranks"));
    }
    GEN_TRY(gen_alloc_raw((void **)&w->white, n, sizeof *w->white, "noise"));
    GEN_TRY(gen_alloc_raw((void **)&w->sum, n, sizeof *w->sum, "spectrum of a member"));
    GEN_TRY(gen_alloc_raw((void **)&w->normal, 2 * n, sizeof *w->normal, "noise"));
    GEN_TRY(gen_alloc_raw((void **)&w->db, cells, sizeof(float), "a member"));
    GEN_TRY(gen_alloc_raw((void **)&w->mask, cells, sizeof(float), "a member"));
    GEN_TRY(gen_alloc_raw((void **)&w->rain, cells, sizeof(float), "a member"));
    return gen_alloc_raw((void **)&w->out, (uint64_t)k->o->lead_steps * cells, sizeof(float),
                         "a member");
}

/* Members that are made at the same time, one a thread. */
typedef struct batch {
    const steps *k;
    worker *w;
    int64_t first;
} batch;

static void make_one(void *ctx, int piece, int thread)
{
    const batch *b = ctx;
    (void)thread;
    make_member(b->k, &b->w[piece], b->first + piece);
}

/* As many as there are threads, members and memory for. */
static int workers(const steps *k, int threads)
{
    uint64_t each =
        (uint64_t)(k->o->lead_steps + 8) * (uint64_t)k->cells * sizeof(float) +
        (uint64_t)(2 * k->cascade.levels + 4) * (uint64_t)k->cascade.n * sizeof(complex_number);
    uint64_t fit_in = MAX_WORK / each;
    int n = k->o->members < threads ? (int)k->o->members : threads;
    return fit_in < 1 ? 1 : fit_in < (uint64_t)n ? (int)fit_in : n;
}

static gen_status make_members(steps *k, gen_pool *pool, gen_nowcast_sink *sink, void *cookie)
{
    gen_status status;
    int n = workers(k, gen_pool_threads(pool));
    batch b = { .k = k };
    GEN_GOTO(GEN_ALLOC(&b.w, n, "members"));
    for (int i = 0; i < n; i++)
        GEN_GOTO(worker_create(&b.w[i], k));
    for (; b.first < k->o->members; b.first += n) {
        int count = (int)(k->o->members - b.first < n ? k->o->members - b.first : n);
        gen_pool_run(pool, count, make_one, &b);
        for (int i = 0; i < count; i++) {
            GEN_GOTO(sink(cookie, b.first + i, b.w[i].out));
            GEN_GOTO(gen_progress_report(&k->o->progress, "members", (double)(b.first + i + 1),
                                         (double)k->o->members));
        }
    }
done:
    for (int i = 0; b.w && i < n; i++)
        worker_free(&b.w[i]);
    gen_free(b.w);
    return status;
}

gen_status gen_steps_nowcast(const gen_radar_sequence *s, const gen_nowcast_options *o,
                             gen_nowcast_sink *sink, void *cookie)
{
    gen_status status;
    gen_pool *pool = NULL;
    steps k = { .s = s, .o = o, .cells = s->grid.height * s->grid.width };
    k.newest = s->rain + (s->frames - 1) * k.cells;
    if (k.cells > UINT32_MAX)
        return gen_fail(GEN_EINVAL, "nowcast: steps takes at most 4294967295 cells");
    GEN_GOTO(gen_pool_create(&pool, o->threads));
    GEN_GOTO(gen_progress_report(&o->progress, "motion", 0, 1));
    GEN_GOTO(prepare(&k, pool));
    GEN_GOTO(make_members(&k, pool, sink, cookie));
done:
    gen_motion_free(&k.motion);
    gen_cascade_free(&k.cascade);
    gen_free(k.start[0]);
    gen_free(k.start[1]);
    gen_free(k.amplitude);
    gen_free(k.rates);
    gen_pool_free(&pool);
    return status;
}
