/* SPDX-License-Identifier: Apache-2.0
 *
 * Semi-Lagrangian extrapolation: along the steady motion, a step at a time, by the midpoint rule
 * (Germann and Zawadzki 2002). A field is interpolated once, however many steps there are, so that
 * it is not blurred more at longer lead times.
 */
#include "weather/trace.h"

#include <math.h>
#include <stdbool.h>

#include "libgen/base/alloc.h"

#define CELL GEN_MOTION_CELL
#define BAND 8 /* rows of cells per piece of work */

typedef struct trace_work {
    const gen_trace *t;
    const gen_motion *m; /* of this step */
    float steps;
    const float *rain;
    gen_rectangle reach; /* of `rain` */
    gen_trace_kind kind;
    float *out; /* [part.height,part.width] */
} trace_work;

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int pieces(int64_t height, int64_t band)
{
    return (int)((height + band - 1) / band);
}

/* ---- where it comes from ----------------------------------------------------------------- */

/* Nodes [first,first+count) with one more on both sides, where there is one, of n. */
static void nodes_around(int64_t first, int64_t count, int64_t n, int64_t *from, int64_t *length)
{
    *from = larger(first / CELL - 1, 0);
    *length = smaller((first + count + CELL - 1) / CELL + 1, n) - *from;
}

/* Of a row of displacements, as the warp wants it, and what that needs. */
static int64_t row_length(const gen_trace *t)
{
    return CELL * t->nodes.width;
}

static int64_t line_length(const gen_trace *t)
{
    return 2 * t->nodes.width + 2 * row_length(t);
}

gen_status gen_trace_create(gen_trace *t, const gen_motion *m, const gen_rectangle *part,
                            int threads)
{
    gen_status status;
    *t = (gen_trace){ .m = m, .part = { .height = m->height, .width = m->width } };
    if (part)
        t->part = *part;
    nodes_around(t->part.row, t->part.height, m->rows, &t->nodes.row, &t->nodes.height);
    nodes_around(t->part.column, t->part.width, m->columns, &t->nodes.column, &t->nodes.width);
    int64_t count = t->nodes.height * t->nodes.width;
    GEN_GOTO(GEN_ALLOC(&t->dx, count, "advection: displacement"));
    GEN_GOTO(GEN_ALLOC(&t->dy, count, "advection: displacement"));
    GEN_GOTO(GEN_ALLOC(&t->line, threads * line_length(t), "advection: a row"));
done:
    if (status != GEN_OK)
        gen_trace_free(t);
    return status;
}

void gen_trace_free(gen_trace *t)
{
    gen_free(t->dx);
    gen_free(t->dy);
    gen_free(t->line);
    *t = (gen_trace){ 0 };
}

/* The nodes of a band go on by the motion at the middle of the step. */
static void trace_band(void *ctx, int piece, int thread)
{
    (void)thread;
    const trace_work *k = ctx;
    const gen_rectangle *nodes = &k->t->nodes;
    float *dx = k->t->dx, *dy = k->t->dy;
    double half = 0.5 * (double)k->steps;
    for (int64_t j = piece * BAND; j < (piece + 1) * BAND && j < nodes->height; j++)
        for (int64_t i = 0; i < nodes->width; i++) {
            int64_t n = j * nodes->width + i;
            double row = (double)(nodes->row + j) * CELL + 0.5 * (CELL - 1) + (double)dy[n];
            double column = (double)(nodes->column + i) * CELL + 0.5 * (CELL - 1) + (double)dx[n];
            float uv[2];
            gen_motion_at(k->m, row, column, uv);
            gen_motion_at(k->m, row - half * (double)uv[1], column - half * (double)uv[0], uv);
            dx[n] -= k->steps * uv[0];
            dy[n] -= k->steps * uv[1];
        }
}

void gen_trace_step(gen_trace *t, const gen_motion *m, float steps, gen_pool *pool)
{
    trace_work k = { .t = t, .m = m, .steps = steps };
    gen_pool_run(pool, pieces(t->nodes.height, BAND), trace_band, &k);
}

/* ---- what is there ----------------------------------------------------------------------- */

/* Cells that values at [first,first+count) moved by `shift` [n] are made of, of all cells; and
 * those themselves. */
static void reach_of(int64_t first, int64_t count, const float *shift, int64_t n, int64_t cells,
                     int64_t *from, int64_t *length)
{
    float least = 0, most = 0;
    for (int64_t i = 0; i < n; i++) {
        least = fminf(least, shift[i]);
        most = fmaxf(most, shift[i]);
    }
    /* However far the trace goes, nothing is read beyond the field. */
    double low = fmax((double)first + floor((double)least) - 2, 0);
    double high = fmin((double)(first + count) + ceil((double)most) + 3, (double)cells);
    *from = (int64_t)fmin(low, (double)first);
    *length = (int64_t)fmax(high, (double)(first + count)) - *from;
}

gen_rectangle gen_trace_reach(const gen_trace *t)
{
    gen_rectangle r = { .height = t->m->height, .width = t->m->width };
    if (t->part.height == r.height && t->part.width == r.width)
        return r;
    int64_t n = t->nodes.height * t->nodes.width;
    reach_of(t->part.row, t->part.height, t->dy, n, t->m->height, &r.row, &r.height);
    reach_of(t->part.column, t->part.width, t->dx, n, t->m->width, &r.column, &r.width);
    return r;
}

/* The four cells around a place of the field, the shares of the lower and the right ones. */
typedef struct corners {
    const float *at; /* the upper left one */
    int64_t right, down;
    float a, b;
    bool inner; /* so have these four cells around them */
} corners;

/* Positions up to half a cell beyond the outermost centres belong to their cell. False: outside. */
static bool find_corners(const trace_work *k, float y, float x, corners *c)
{
    int64_t height = k->t->m->height, width = k->t->m->width, line = k->reach.width;
    if (!(x >= -0.5f && y >= -0.5f && x <= (float)width - 0.5f && y <= (float)height - 0.5f))
        return false;
    x = x < 0 ? 0 : x > (float)(width - 1) ? (float)(width - 1) : x;
    y = y < 0 ? 0 : y > (float)(height - 1) ? (float)(height - 1) : y;
    int64_t i = (int64_t)x, j = (int64_t)y;
    *c = (corners){ .at = k->rain + (j - k->reach.row) * line + i - k->reach.column,
                    .right = i < width - 1 ? 1 : 0,
                    .down = j < height - 1 ? line : 0,
                    .a = x - (float)i,
                    .b = y - (float)j,
                    .inner = i > 0 && j > 0 && i < width - 2 && j < height - 2 };
    return true;
}

/* Missing where less than half of the weight is measured. */
static float linear(const corners *c)
{
    const float part[4] = { c->at[0], c->at[c->right], c->at[c->down], c->at[c->down + c->right] };
    float a = c->a, b = c->b;
    float upper = part[0] + a * (part[1] - part[0]), lower = part[2] + a * (part[3] - part[2]);
    float value = upper + b * (lower - upper);
    if (!isnan(value))
        return value;
    const float share[4] = { (1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b };
    float sum = 0, weight = 0;
    for (int i = 0; i < 4; i++)
        if (!isnan(part[i])) {
            sum += share[i] * part[i];
            weight += share[i];
        }
    return weight >= 0.5f ? sum / weight : NAN;
}

/* Of the cells before, at, after and behind a place whose share of the third is a. */
static inline void cubic_weights(float w[4], float a)
{
    float rest = 1 - a;
    w[0] = -0.5f * a * rest * rest;
    w[1] = 1 + a * a * (1.5f * a - 2.5f);
    w[2] = 1 + rest * rest * (1.5f * rest - 2.5f);
    w[3] = -0.5f * rest * a * a;
}

/* NaN where one of the 16 cells is missing. */
static float cubic(const corners *c)
{
    const float around[4] = { c->at[0], c->at[1], c->at[c->down], c->at[c->down + 1] };
    if (around[0] == around[1] && around[0] == around[2] && around[0] == around[3])
        return around[0]; /* dry, mostly; the sum would be cut to it */
    float least = around[0], most = around[0], across[4], along[4], column[4] = { 0 };
    for (int i = 1; i < 4; i++) {
        least = around[i] < least ? around[i] : least;
        most = around[i] > most ? around[i] : most;
    }
    cubic_weights(across, c->a);
    cubic_weights(along, c->b);
    const float *row = c->at - c->down - 1;
    for (int j = 0; j < 4; j++, row += c->down)
        for (int i = 0; i < 4; i++)
            column[i] += along[j] * row[i];
    float value = across[0] * column[0] + across[1] * column[1] + across[2] * column[2] +
                  across[3] * column[3];
    return value < least ? least : value > most ? most : value;
}

static float rain_at(const trace_work *k, float y, float x)
{
    corners c;
    if (!find_corners(k, y, x, &c))
        return NAN;
    float value = k->kind == GEN_TRACE_CUBIC && c.inner ? cubic(&c) : NAN;
    return isnan(value) ? linear(&c) : value;
}

static void warp_band(void *ctx, int piece, int thread)
{
    const trace_work *k = ctx;
    const gen_trace *t = k->t;
    const gen_rectangle *part = &t->part, *nodes = &t->nodes;
    float *line = t->line + thread * line_length(t);
    float *dx = line + 2 * nodes->width, *dy = dx + row_length(t);
    int64_t skipped = part->column - nodes->column * CELL;
    int64_t end = smaller((piece + 1) * BAND * CELL, part->height);
    for (int64_t i = piece * BAND * CELL; i < end; i++) {
        int64_t y = part->row + i;
        gen_motion_row(t->dx, t->dy, nodes->height, nodes->width, y - nodes->row * CELL,
                       row_length(t), dx, dy, line);
        const float *here =
            k->rain + (y - k->reach.row) * k->reach.width + part->column - k->reach.column;
        float *out = k->out + i * part->width;
        for (int64_t x = 0; x < part->width; x++)
            out[x] = isnan(here[x]) ? NAN
                                    : rain_at(k, (float)y + dy[skipped + x],
                                              (float)(part->column + x) + dx[skipped + x]);
    }
}

void gen_trace_warp(float *out, const gen_trace *t, const float *rain, gen_trace_kind kind,
                    gen_pool *pool)
{
    trace_work k = { .t = t, .rain = rain, .reach = gen_trace_reach(t), .kind = kind, .out = out };
    gen_pool_run(pool, pieces(t->part.height, BAND * CELL), warp_band, &k);
}

gen_status gen_advect(float *out, const gen_motion *m, const float *rain, int64_t steps,
                      gen_pool *pool, const gen_progress *progress)
{
    gen_status status = GEN_OK;
    gen_trace t;
    GEN_TRY(gen_trace_create(&t, m, NULL, pool ? gen_pool_threads(pool) : 1));
    for (int64_t s = 0; s < steps && status == GEN_OK; s++) {
        gen_trace_step(&t, m, 1, pool);
        gen_trace_warp(out + s * m->height * m->width, &t, rain, GEN_TRACE_LINEAR, pool);
        status = gen_progress_report(progress, "nowcast", (double)(s + 1), (double)steps);
    }
    gen_trace_free(&t);
    return status;
}
