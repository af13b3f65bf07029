/* SPDX-License-Identifier: Apache-2.0
 *
 * Simulated rain: no data, no licence, any size. For examples and tests, not for science.
 *
 * A sum of noise fields, from large and long-lived cells to small and short-lived ones, is carried
 * by a drift with a slow turn, and read as rain in decibels above a threshold. In the frame that
 * moves with the air each field is a smooth interpolation of normal numbers on a lattice in space
 * and time; fading from one lattice to the next lets its cells grow and decay. Numbers come from
 * <libgen/random.h>, so a seed gives the same rain everywhere, up to the last digit of exp and cos.
 */
#include <math.h>

#include <libgen/random.h>

#include "libgen/base/alloc.h"
#include "weather/codec/codec.h"

#define PI 3.14159265358979323846
#define TURN 0.004         /* rad per step, about the middle */
#define DB_PER_SIGMA 12.0  /* one standard deviation above the threshold: 1.6 mm/h */
#define EDGE_DB (-10.0)    /* the weakest rain, 0.1 mm/h */
#define SPLINE_SIGMA 0.479 /* of a cubic B-spline over unit normals in two dimensions */

static const struct octave {
    double size;   /* lattice constant, px */
    double life;   /* steps from one lattice to the next */
    double weight; /* standard deviation */
} octaves[] = { { 40, 30, 0.80 }, { 18, 14, 0.46 }, { 8, 7, 0.30 }, { 3.5, 4, 0.18 } };

/* The lattices of one octave that lie before and after a moment. */
typedef struct lattice {
    int64_t rows, columns, layer; /* layer: number of the earlier one, -1 = none yet */
    float *before, *after;
} lattice;

typedef struct simulation {
    gen_simulate_options o;
    double centre_y, centre_x; /* of the turn */
    double low_y, low_x;       /* corner of the lattices in the moving frame */
    double span_y, span_x;
    double threshold; /* in standard deviations */
    lattice field[GEN_LEN(octaves)];
    uint64_t stream[GEN_LEN(octaves)];
} simulation;

/* Where the air at (y, x) was `t` steps before: a rotation about the point that stays in place. */
static void origin(const simulation *s, double y, double x, double t, double out[2])
{
    double still_x = s->centre_x - s->o.south / TURN, still_y = s->centre_y + s->o.east / TURN;
    double c = cos(TURN * t), n = sin(TURN * t), dx = x - still_x, dy = y - still_y;
    out[0] = still_y - n * dx + c * dy;
    out[1] = still_x + c * dx + n * dy;
}

/* x such that a standard normal exceeds it with probability p. */
static double normal_quantile(double p)
{
    double low = -6, high = 6;
    for (int i = 0; i < 60; i++) {
        double middle = 0.5 * (low + high);
        if (0.5 * erfc(middle / sqrt(2)) > p)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static void spline(double t, double w[4])
{
    double u = 1 - t;
    w[0] = u * u * u / 6;
    w[1] = (3 * t * t * t - 6 * t * t + 4) / 6;
    w[2] = (3 * u * u * u - 6 * u * u + 4) / 6;
    w[3] = t * t * t / 6;
}

/* The box that all frames cover in the moving frame. */
static void find_box(simulation *s)
{
    double high_y = -HUGE_VAL, high_x = -HUGE_VAL, p[2];
    s->low_y = s->low_x = HUGE_VAL;
    for (int64_t t = 0; t < s->o.frames; t++)
        for (int corner = 0; corner < 4; corner++) {
            origin(s, corner & 1 ? (double)s->o.height : 0, corner & 2 ? (double)s->o.width : 0,
                   (double)t, p);
            s->low_y = fmin(s->low_y, p[0]);
            s->low_x = fmin(s->low_x, p[1]);
            high_y = fmax(high_y, p[0]);
            high_x = fmax(high_x, p[1]);
        }
    s->span_y = high_y - s->low_y;
    s->span_x = high_x - s->low_x;
}

static void fill_layer(const simulation *s, int k, int64_t layer, float *out)
{
    int64_t n = s->field[k].rows * s->field[k].columns;
    gen_random_normal(out, n, s->o.seed, s->stream[k], (uint64_t)(layer * n));
}

/* Lattices of every octave for frame t, and how far it is from the earlier to the later. */
static void move_to(simulation *s, int64_t t, double share[GEN_LEN(octaves)])
{
    for (int k = 0; k < GEN_LEN(octaves); k++) {
        lattice *f = &s->field[k];
        double at = (double)t / octaves[k].life;
        int64_t layer = (int64_t)at;
        share[k] = at - (double)layer;
        if (layer == f->layer)
            continue;
        fill_layer(s, k, layer, f->before);
        fill_layer(s, k, layer + 1, f->after);
        f->layer = layer;
    }
}

static double noise(const simulation *s, int k, double share, const double p[2])
{
    const lattice *f = &s->field[k];
    double y = (p[0] - s->low_y) / octaves[k].size, x = (p[1] - s->low_x) / octaves[k].size;
    int64_t j = (int64_t)y, i = (int64_t)x;
    double wy[4], wx[4], sum = 0, a = cos(0.5 * PI * share), b = sin(0.5 * PI * share);
    spline(y - (double)j, wy);
    spline(x - (double)i, wx);
    for (int r = 0; r < 4; r++)
        for (int c = 0; c < 4; c++) {
            int64_t n = (j + r) * f->columns + i + c;
            sum += wy[r] * wx[c] * (a * (double)f->before[n] + b * (double)f->after[n]);
        }
    return sum / SPLINE_SIGMA;
}

/* Not seen: beyond the range, and a narrow sector in the south-west, behind a hill. */
static bool hidden(const simulation *s, int64_t y, int64_t x)
{
    if (s->o.range <= 0)
        return false;
    double dy = (double)y - s->centre_y, dx = (double)x - s->centre_x, r = sqrt(dx * dx + dy * dy);
    double angle = atan2(dy, -dx); /* 0 = west, rising to the south */
    return r > s->o.range || (r > 0.35 * s->o.range && angle > 0.60 && angle < 0.66);
}

static void make_frame(simulation *s, int64_t t, float *rain)
{
    double share[GEN_LEN(octaves)], p[2];
    move_to(s, t, share);
    for (int64_t y = 0; y < s->o.height; y++)
        for (int64_t x = 0; x < s->o.width; x++) {
            double sum = 0;
            origin(s, (double)y, (double)x, (double)t, p);
            for (int k = 0; k < GEN_LEN(octaves); k++)
                sum += octaves[k].weight * noise(s, k, share[k], p);
            double db = EDGE_DB + DB_PER_SIGMA * (sum - s->threshold);
            float *out = &rain[y * s->o.width + x];
            *out = hidden(s, y, x) ? NAN : db < EDGE_DB ? 0 : (float)fmin(pow(10, db / 10), 120);
        }
}

static gen_status make_grid(gen_radar_grid *g, int64_t height, int64_t width)
{
    g->height = height;
    g->width = width;
    GEN_TRY(GEN_ALLOC(&g->y, height, "grid: y"));
    GEN_TRY(GEN_ALLOC(&g->x, width, "grid: x"));
    for (int64_t j = 0; j < height; j++)
        g->y[j] = 1000 * (0.5 * (double)(height - 1) - (double)j);
    for (int64_t i = 0; i < width; i++)
        g->x[i] = 1000 * ((double)i - 0.5 * (double)(width - 1));
    GEN_TRY(gen_strdup(&g->mapping_name, "azimuthal_equidistant"));
    GEN_TRY(gen_strdup(&g->proj4, "+proj=aeqd +lat_0=52 +lon_0=5 +ellps=WGS84 +units=m +no_defs"));
    return gen_strdup(&g->attributes,
                      "{\"grid_mapping_name\":\"azimuthal_equidistant\","
                      "\"latitude_of_projection_origin\":52,\"longitude_of_projection_origin\":5,"
                      "\"false_easting\":0,\"false_northing\":0,\"semi_major_axis\":6378137,"
                      "\"inverse_flattening\":298.257223563,\"proj4\":\"+proj=aeqd +lat_0=52 "
                      "+lon_0=5 +ellps=WGS84 +units=m +no_defs\"}");
}

static gen_status prepare(simulation *s)
{
    static const char *const names[] = { "simulate/0", "simulate/1", "simulate/2", "simulate/3" };
    double variance = 0;
    find_box(s);
    for (int k = 0; k < GEN_LEN(octaves); k++) {
        lattice *f = &s->field[k];
        f->rows = (int64_t)(s->span_y / octaves[k].size) + 5;
        f->columns = (int64_t)(s->span_x / octaves[k].size) + 5;
        f->layer = -1;
        s->stream[k] = gen_stream(names[k]);
        variance += octaves[k].weight * octaves[k].weight;
        GEN_TRY(GEN_ALLOC(&f->before, f->rows * f->columns, "simulated rain"));
        GEN_TRY(GEN_ALLOC(&f->after, f->rows * f->columns, "simulated rain"));
    }
    s->threshold = normal_quantile(s->o.cover) * sqrt(variance);
    return GEN_OK;
}

static gen_status check(gen_simulate_options *o)
{
    o->frames = o->frames ? o->frames : 24;
    o->height = o->height ? o->height : 256;
    o->width = o->width ? o->width : 256;
    o->step = o->step ? o->step : 300;
    o->cover = o->cover != 0 ? o->cover : 0.25;
    if (o->east == 0 && o->south == 0) {
        o->east = 3;
        o->south = 1;
    }
    if (o->frames < 1 || o->frames > 100000 || o->height < 1 || o->height > 16384 || o->width < 1 ||
        o->width > 16384 || o->step < 1)
        return gen_fail(GEN_EINVAL,
                        "simulation: %lld frames of %lld x %lld cells every %lld s, "
                        "expected 1 to 16384 cells a side",
                        (long long)o->frames, (long long)o->height, (long long)o->width,
                        (long long)o->step);
    if (!(o->cover > 0 && o->cover < 1) || !(fabs(o->east) <= 100) || !(fabs(o->south) <= 100))
        return gen_fail(GEN_EINVAL,
                        "simulation: cover %g and drift %g, %g px, expected a cover "
                        "between 0 and 1 and at most 100 px",
                        o->cover, o->east, o->south);
    return GEN_OK;
}

gen_status gen_radar_simulate(gen_radar_sequence **out, const gen_simulate_options *options)
{
    gen_status status;
    gen_radar_sequence *q = NULL;
    simulation s = { 0 };
    *out = NULL;
    if (options)
        s.o = *options;
    GEN_TRY(check(&s.o));
    s.centre_y = 0.5 * (double)(s.o.height - 1);
    s.centre_x = 0.5 * (double)(s.o.width - 1);
    GEN_GOTO(prepare(&s));
    int64_t cells = s.o.height * s.o.width;
    GEN_GOTO(GEN_ALLOC(&q, 1, "simulated rain"));
    GEN_GOTO(make_grid(&q->grid, s.o.height, s.o.width));
    GEN_GOTO(GEN_ALLOC(&q->time, s.o.frames, "simulated rain"));
    GEN_GOTO(gen_alloc_raw((void **)&q->rain, (uint64_t)(s.o.frames * cells), sizeof(float),
                           "simulated rain"));
    GEN_GOTO(gen_strdup(&q->source, "simulated rain, libgen"));
    q->frames = s.o.frames;
    q->step = s.o.frames > 1 ? s.o.step : 0;
    for (int64_t t = 0; t < s.o.frames; t++) {
        q->time[t] = s.o.start + t * s.o.step;
        make_frame(&s, t, q->rain + t * cells);
        GEN_GOTO(gen_progress_report(&s.o.progress, "rain", (double)(t + 1), (double)s.o.frames));
    }
    *out = q;
    q = NULL;
done:
    for (int k = 0; k < GEN_LEN(octaves); k++) {
        gen_free(s.field[k].before);
        gen_free(s.field[k].after);
    }
    gen_radar_free(&q);
    return status;
}
