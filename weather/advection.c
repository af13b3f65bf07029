/* SPDX-License-Identifier: Apache-2.0
 *
 * Optical flow of rain.
 *
 * The flow is the combined local-global method (Bruhn, Weickert, Schnoerr 2005): rain is taken in
 * decibels, the structure tensor of Lucas and Kanade is gathered over a window around each node,
 * and the quadratic forms of all nodes are joined by a smoothness term, so that dry areas take the
 * motion of the rain around them. It is solved coarse to fine with warping; pixels that grow or
 * decay count less (Geman-McClure weights). All pairs of frames share one motion.
 *
 * What bites: work is cut into bands of rows by shape only, and each sum is made within one band,
 * so that the bytes do not depend on the number of threads.
 */
#include "weather/advection.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "libgen/base/alloc.h"

#define CELL GEN_MOTION_CELL
#define BAND 8 /* rows of cells per piece of work */
#define MAX_LEVELS 6
#define MIN_LEVEL_SIZE 24 /* px: smaller levels hold too little structure */

/* Chosen on the training events by mean absolute error; all within 1 % over a factor of two. */
#define DRY_MM_H 0.1f   /* below: dry */
#define EDGE_DB 2.0f    /* step from dry to the weakest rain */
#define ROBUST_DB 8.0f  /* difference at which a pixel counts a quarter */
#define SMOOTHNESS 2.0f /* of the global term, in units of the mean tensor */
#define WINDOW_PASSES 3 /* of the window's 1-2-1 filter over cells */
#define WARPS 3         /* per level */
#define SWEEPS 40       /* of the solver, per warp */
#define OVER_RELAXATION 1.8f
#define REPEAT_SHARE 0.75 /* of unchanged rainy cells from which on a frame counts as a repeat */

/* ---- images ------------------------------------------------------------------------------ */

/* One level of the pyramid of all frames. */
typedef struct level {
    int64_t height, width;
    int64_t rows, columns; /* cells */
    float *db;             /* [n,height,width], smooth; NaN where missing */
    float *u, *v;          /* [rows,columns] px of this level per step */
    float *tensor;         /* [5,rows,columns]: xx xy yy xt yt, xt and yt of the total motion */
    float *scratch;        /* [5,rows,columns] */
} level;

static int64_t cells(int64_t pixels)
{
    return (pixels + CELL - 1) / CELL;
}

static void level_free(level *l)
{
    gen_free(l->db);
    gen_free(l->u);
    gen_free(l->v);
    gen_free(l->tensor);
    gen_free(l->scratch);
    memset(l, 0, sizeof *l);
}

static gen_status level_create(level *l, int64_t n, int64_t height, int64_t width)
{
    gen_status status;
    *l =
        (level){ .height = height, .width = width, .rows = cells(height), .columns = cells(width) };
    uint64_t count = (uint64_t)(l->rows * l->columns);
    GEN_GOTO(gen_alloc_raw((void **)&l->db, (uint64_t)(n * height * width), sizeof(float),
                           "motion: frames in dB"));
    GEN_GOTO(GEN_ALLOC(&l->u, count, "motion: eastward"));
    GEN_GOTO(GEN_ALLOC(&l->v, count, "motion: southward"));
    GEN_GOTO(GEN_ALLOC(&l->tensor, 5 * count, "motion: structure tensor"));
    GEN_GOTO(GEN_ALLOC(&l->scratch, 5 * count, "motion: scratch"));
done:
    if (status != GEN_OK)
        level_free(l);
    return status;
}

static float decibels(float rain)
{
    if (isnan(rain))
        return NAN;
    return rain < DRY_MM_H ? 0 : EDGE_DB + 10 * log10f(rain / DRY_MM_H);
}

typedef struct image_work {
    const float *from; /* rain, or the finer level */
    float *to;
    int64_t from_height, from_width, height, width;
    float *rows_scratch; /* for smoothing: [height,width] */
    int64_t band;
    int stage;
} image_work;

static void to_decibels(void *ctx, int piece, int thread)
{
    (void)thread;
    image_work *w = ctx;
    int64_t from = piece * w->band, to = from + w->band;
    for (int64_t i = from * w->width; i < (to < w->height ? to : w->height) * w->width; i++)
        w->to[i] = decibels(w->from[i]);
}

/* 1-2-1 along a line; a missing neighbour counts as the cell itself, a missing cell stays. */
static float soften(float before, float here, float after)
{
    if (isnan(before))
        before = here;
    if (isnan(after))
        after = here;
    return 0.25f * (before + after) + 0.5f * here;
}

static void smooth_band(void *ctx, int piece, int thread)
{
    (void)thread;
    image_work *w = ctx;
    int64_t first = piece * w->band, last = first + w->band;
    for (int64_t y = first; y < last && y < w->height; y++) {
        int64_t n = w->width;
        if (w->stage == 0) {
            const float *in = w->from + y * n;
            float *out = w->rows_scratch + y * n;
            for (int64_t x = 0; x < n; x++)
                out[x] = soften(in[x ? x - 1 : 0], in[x], in[x < n - 1 ? x + 1 : x]);
        } else {
            const float *in = w->rows_scratch + y * n;
            const float *above = y ? in - n : in, *below = y < w->height - 1 ? in + n : in;
            float *out = w->to + y * n;
            for (int64_t x = 0; x < n; x++)
                out[x] = soften(above[x], in[x], below[x]);
        }
    }
}

/* Mean of the measured among 2x2 pixels. */
static void halve_band(void *ctx, int piece, int thread)
{
    (void)thread;
    image_work *w = ctx;
    int64_t first = piece * w->band, last = first + w->band;
    for (int64_t y = first; y < last && y < w->height; y++) {
        const float *a = w->from + 2 * y * w->from_width;
        const float *b = 2 * y + 1 < w->from_height ? a + w->from_width : a;
        for (int64_t x = 0; x < w->width; x++) {
            int64_t i = 2 * x, k = i + 1 < w->from_width ? i + 1 : i;
            float value[4] = { a[i], a[k], b[i], b[k] }, sum = 0;
            int count = 0;
            for (int j = 0; j < 4; j++)
                if (!isnan(value[j])) {
                    sum += value[j];
                    count++;
                }
            w->to[y * w->width + x] = count >= 2 ? sum / (float)count : NAN;
        }
    }
}

static int bands(int64_t height, int64_t band)
{
    return (int)((height + band - 1) / band);
}

static void smooth(float *image, float *scratch, int64_t height, int64_t width, gen_pool *pool)
{
    image_work w = { .from = image,
                     .to = image,
                     .rows_scratch = scratch,
                     .height = height,
                     .width = width,
                     .band = BAND * CELL };
    gen_pool_run(pool, bands(height, w.band), smooth_band, &w);
    w.stage = 1;
    gen_pool_run(pool, bands(height, w.band), smooth_band, &w);
}

/* The pyramid: level 0 smoothed rain in dB, each next level half the size of the one before. */
static gen_status pyramid(level *levels, int *n_levels, const float *frames, int64_t n,
                          int64_t height, int64_t width, gen_pool *pool)
{
    gen_status status;
    float *scratch = NULL;
    GEN_GOTO(gen_alloc_raw((void **)&scratch, (uint64_t)(height * width), sizeof(float),
                           "motion: smoothing"));
    for (int l = 0; l < MAX_LEVELS; l++) {
        if (l && (height < MIN_LEVEL_SIZE || width < MIN_LEVEL_SIZE))
            break;
        GEN_GOTO(level_create(&levels[l], n, height, width));
        *n_levels = l + 1;
        for (int64_t f = 0; f < n; f++) {
            float *to = levels[l].db + f * height * width;
            image_work w = { .to = to, .height = height, .width = width, .band = BAND * CELL };
            if (l == 0) {
                w.from = frames + f * height * width;
                gen_pool_run(pool, bands(height, w.band), to_decibels, &w);
            } else {
                const level *finer = &levels[l - 1];
                w.from_height = finer->height;
                w.from_width = finer->width;
                w.from = finer->db + f * finer->height * finer->width;
                gen_pool_run(pool, bands(height, w.band), halve_band, &w);
            }
            smooth(to, scratch, height, width, pool);
        }
        height = (height + 1) / 2;
        width = (width + 1) / 2;
    }
done:
    gen_free(scratch);
    return status;
}

/* ---- structure tensors ------------------------------------------------------------------- */

/* Bilinear weights of nodes for pixel p along one axis: nodes i and i + 1 of n, share of the
 * second. */
static void node_share(int64_t p, int64_t n, int64_t *i, float *share)
{
    float at = ((float)p - 0.5f * (CELL - 1)) / CELL;
    if (at <= 0 || n < 2) {
        *i = 0;
        *share = 0;
    } else if (at >= (float)(n - 1)) {
        *i = n - 2;
        *share = 1;
    } else {
        *i = (int64_t)at;
        *share = at - (float)*i;
    }
}

/* A row of pixels from one of nodes, by the shares that node_share gives. */
static void spread(const float *line, int64_t columns, float *out, int64_t width)
{
    int64_t x = 0;
    for (; x < width && (x < CELL / 2 || columns < 2); x++)
        out[x] = line[0];
    for (int64_t i = 0; i < columns - 1; i++)
        for (int64_t c = 0; c < CELL && x < width; c++, x++)
            out[x] = line[i] + (0.5f + (float)c) / CELL * (line[i + 1] - line[i]);
    for (; x < width; x++)
        out[x] = line[columns - 2] + (line[columns - 1] - line[columns - 2]);
}

void gen_motion_row(const float *u, const float *v, int64_t rows, int64_t columns, int64_t y,
                    int64_t width, float *out_u, float *out_v, float *line)
{
    int64_t j;
    float b;
    node_share(y, rows, &j, &b);
    const int64_t next = rows > 1 ? columns : 0;
    for (int64_t i = 0; i < columns; i++) {
        const float *pu = u + j * columns + i, *pv = v + j * columns + i;
        line[i] = pu[0] + b * (pu[next] - pu[0]);
        line[columns + i] = pv[0] + b * (pv[next] - pv[0]);
    }
    spread(line, columns, out_u, width);
    spread(line + columns, columns, out_v, width);
}

/* Value and gradient of a bilinear image at (y, x); false outside or where a corner is missing. */
static bool sample(const float *image, int64_t height, int64_t width, float y, float x,
                   float out[3])
{
    if (!(x >= 0 && y >= 0 && x <= (float)(width - 1) && y <= (float)(height - 1)))
        return false;
    int64_t i = (int64_t)x, j = (int64_t)y;
    i = i > width - 2 ? width - 2 : i;
    j = j > height - 2 ? height - 2 : j;
    const float *p = image + j * width + i;
    float a = x - (float)i, b = y - (float)j;
    float top = p[1] - p[0], bottom = p[width + 1] - p[width];
    float upper = p[0] + a * top, lower = p[width] + a * bottom;
    out[0] = upper + b * (lower - upper);
    out[1] = top + b * (bottom - top);
    out[2] = lower - upper;
    return !isnan(out[0]);
}

/* Two frames that are compared, and the steps between them. */
typedef struct pair {
    int64_t first, steps;
} pair;

typedef struct tensor_work {
    level *l;
    const pair *pairs;
    int64_t n_pairs;
    float *line; /* per thread: [2 * columns + 2 * width] */
    int64_t line_length;
} tensor_work;

/* motion: of the pixel over the whole time between the frames; steps: how many steps that is. */
static void add_pixel(float sum[5], const level *l, const float *first, const float *second,
                      const int64_t at[2], const float motion[3])
{
    int64_t y = at[0], x = at[1], w = l->width;
    const float *p = first + y * w + x;
    float moved[3];
    if (!sample(second, l->height, w, (float)y + motion[1], (float)x + motion[0], moved))
        return;
    float gx = 0.25f * (p[1] - p[-1]) + 0.5f * moved[1];
    float gy = 0.25f * (p[w] - p[-w]) + 0.5f * moved[2];
    float gt = moved[0] - p[0];
    if (isnan(gx) || isnan(gy) || isnan(gt))
        return;
    float ratio = gt / ROBUST_DB, weight = 1 / (1 + ratio * ratio);
    weight *= weight;
    /* Linear in the total motion: gt + g.(v - motion), so xt holds g (gt - g.motion). */
    gt -= gx * motion[0] + gy * motion[1];
    gx *= motion[2]; /* the gradient by the motion of one step */
    gy *= motion[2];
    sum[0] += weight * gx * gx;
    sum[1] += weight * gx * gy;
    sum[2] += weight * gy * gy;
    sum[3] += weight * gx * gt;
    sum[4] += weight * gy * gt;
}

/* Sums over the pixels of each cell in one band of cells. */
static void tensor_band(void *ctx, int piece, int thread)
{
    tensor_work *k = ctx;
    level *l = k->l;
    float *line = k->line + thread * k->line_length;
    float *mu = line + 2 * l->columns, *mv = mu + l->width;
    int64_t plane = l->rows * l->columns, frame = l->height * l->width;
    int64_t end = (piece + 1) * BAND < l->rows ? (piece + 1) * BAND : l->rows;
    for (int64_t j = piece * BAND; j < end; j++)
        for (int c = 0; c < 5; c++)
            memset(l->tensor + c * plane + j * l->columns, 0, (size_t)l->columns * sizeof(float));
    int64_t bottom = end * CELL < l->height - 1 ? end * CELL : l->height - 1;
    for (int64_t y = piece * BAND * CELL; y < bottom; y++) {
        if (y == 0)
            continue;
        gen_motion_row(l->u, l->v, l->rows, l->columns, y, l->width, mu, mv, line);
        for (int64_t i = 0; i < l->columns; i++) {
            float sum[5] = { 0 };
            int64_t from = i ? i * CELL : 1, to = (i + 1) * CELL;
            to = to < l->width - 1 ? to : l->width - 1;
            for (int64_t p = 0; p < k->n_pairs; p++) {
                const pair *q = &k->pairs[p];
                const float *first = l->db + q->first * frame, steps = (float)q->steps;
                for (int64_t x = from; x < to; x++)
                    add_pixel(sum, l, first, first + q->steps * frame, (int64_t[2]){ y, x },
                              (float[3]){ steps * mu[x], steps * mv[x], steps });
            }
            for (int c = 0; c < 5; c++)
                l->tensor[c * plane + y / CELL * l->columns + i] += sum[c];
        }
    }
}

/* The window: passes of 1-2-1 in both directions over cells. */
static void gather_window(level *l)
{
    int64_t h = l->rows, w = l->columns;
    for (int c = 0; c < 5; c++) {
        float *t = l->tensor + c * h * w, *s = l->scratch + c * h * w;
        for (int pass = 0; pass < WINDOW_PASSES; pass++) {
            for (int64_t j = 0; j < h; j++)
                for (int64_t i = 0; i < w; i++)
                    s[j * w + i] =
                        0.5f * t[j * w + i] +
                        0.25f * (t[j * w + (i ? i - 1 : 0)] + t[j * w + (i < w - 1 ? i + 1 : i)]);
            for (int64_t j = 0; j < h; j++) {
                const float *up = s + (j ? j - 1 : 0) * w, *down = s + (j < h - 1 ? j + 1 : j) * w;
                for (int64_t i = 0; i < w; i++)
                    t[j * w + i] = 0.5f * s[j * w + i] + 0.25f * (up[i] + down[i]);
            }
        }
    }
}

/* Minimises sum of the nodes' quadratic forms + smoothness * mean trace * sum |v_i - v_j|^2 over
 * neighbours, by successive over-relaxation. */
static void solve(level *l)
{
    int64_t h = l->rows, w = l->columns, plane = h * w;
    const float *t = l->tensor;
    double total = 0;
    int64_t rainy = 0;
    for (int64_t i = 0; i < plane; i++) {
        total += (double)t[i] + t[2 * plane + i];
        rainy += t[i] + t[2 * plane + i] > 0;
    }
    if (total <= 0)
        return;
    float lambda = SMOOTHNESS * (float)(total / (double)rainy);
    for (int sweep = 0; sweep < SWEEPS; sweep++)
        for (int64_t j = 0; j < h; j++)
            for (int64_t i = 0; i < w; i++) {
                int64_t k = j * w + i;
                float su = 0, sv = 0, n = 0;
                const int64_t near[4] = { j ? k - w : -1, j < h - 1 ? k + w : -1, i ? k - 1 : -1,
                                          i < w - 1 ? k + 1 : -1 };
                for (int e = 0; e < 4; e++)
                    if (near[e] >= 0) {
                        su += l->u[near[e]];
                        sv += l->v[near[e]];
                        n += lambda;
                    }
                float xx = t[k] + n, xy = t[plane + k], yy = t[2 * plane + k] + n;
                float bx = lambda * su - t[3 * plane + k], by = lambda * sv - t[4 * plane + k];
                float determinant = xx * yy - xy * xy;
                if (!(determinant > 0))
                    continue;
                float u = (yy * bx - xy * by) / determinant, v = (xx * by - xy * bx) / determinant;
                l->u[k] += OVER_RELAXATION * (u - l->u[k]);
                l->v[k] += OVER_RELAXATION * (v - l->v[k]);
            }
}

/* Starts a level from the next coarser one. */
static void refine(level *fine, const level *coarse)
{
    gen_motion m = {
        .rows = coarse->rows, .columns = coarse->columns, .u = coarse->u, .v = coarse->v
    };
    for (int64_t j = 0; j < fine->rows; j++)
        for (int64_t i = 0; i < fine->columns; i++) {
            float uv[2]; /* a fine pixel p lies at (p - 0.5) / 2 of the coarse level */
            double row = ((double)j * CELL + 0.5 * (CELL - 1) - 0.5) / 2;
            double column = ((double)i * CELL + 0.5 * (CELL - 1) - 0.5) / 2;
            gen_motion_at(&m, row, column, uv);
            fine->u[j * fine->columns + i] = 2 * uv[0];
            fine->v[j * fine->columns + i] = 2 * uv[1];
        }
}

static gen_status estimate_level(level *l, const pair *pairs, int64_t n_pairs, gen_pool *pool)
{
    gen_status status;
    tensor_work k = {
        .l = l, .pairs = pairs, .n_pairs = n_pairs, .line_length = 2 * l->columns + 2 * l->width
    };
    int threads = pool ? gen_pool_threads(pool) : 1;
    GEN_GOTO(GEN_ALLOC(&k.line, threads * k.line_length, "motion: a row"));
    for (int warp = 0; warp < WARPS; warp++) {
        gen_pool_run(pool, bands(l->rows, BAND), tensor_band, &k);
        gather_window(l);
        solve(l);
    }
done:
    gen_free(k.line);
    return status;
}

/* A radar that had nothing new sends the last frame again: such a pair tells of no motion. */
static bool is_repeat(const float *first, const float *second, int64_t n)
{
    int64_t rainy = 0, same = 0;
    for (int64_t i = 0; i < n; i++)
        if (first[i] >= DRY_MM_H || second[i] >= DRY_MM_H) {
            rainy++;
            same += first[i] == second[i];
        }
    return rainy && (double)same >= REPEAT_SHARE * (double)rainy;
}

static bool is_measured(const float *frame, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isnan(frame[i]))
            return true;
    return false;
}

/* Consecutive frames that were measured, across gaps, without repeats. */
static int64_t choose_pairs(pair *pairs, const float *frames, int64_t n, int64_t cells_of_frame)
{
    int64_t last = -1, count = 0, repeats = 0;
    for (int64_t f = 0; f < n; f++) {
        const float *frame = frames + f * cells_of_frame;
        if (!is_measured(frame, cells_of_frame))
            continue;
        if (last >= 0 && is_repeat(frames + last * cells_of_frame, frame, cells_of_frame))
            repeats++;
        else if (last >= 0)
            pairs[count++] = (pair){ last, f - last };
        last = f;
    }
    if (repeats)
        gen_log(GEN_LOG_WARN, "motion: %lld of %lld frames repeat the one before, and tell nothing",
                (long long)repeats, (long long)n);
    return count;
}

gen_status gen_motion_estimate(gen_motion *m, const float *frames, int64_t n, int64_t height,
                               int64_t width, gen_pool *pool)
{
    gen_status status;
    level levels[MAX_LEVELS] = { 0 };
    pair *pairs = NULL;
    int n_levels = 0;
    *m = (gen_motion){
        .height = height, .width = width, .rows = cells(height), .columns = cells(width)
    };
    if (n < 2)
        return gen_fail(GEN_EDATA, "advection needs 2 frames, found %lld", (long long)n);
    GEN_GOTO(GEN_ALLOC(&pairs, n - 1, "motion: pairs"));
    int64_t n_pairs = choose_pairs(pairs, frames, n, height * width);
    if (n_pairs == 0 || height < 2 || width < 2) { /* nothing to follow */
        GEN_GOTO(GEN_ALLOC(&m->u, m->rows * m->columns, "motion"));
        GEN_GOTO(GEN_ALLOC(&m->v, m->rows * m->columns, "motion"));
        goto done;
    }
    GEN_GOTO(pyramid(levels, &n_levels, frames, n, height, width, pool));
    for (int l = n_levels - 1; l >= 0; l--) {
        if (l < n_levels - 1)
            refine(&levels[l], &levels[l + 1]);
        GEN_GOTO(estimate_level(&levels[l], pairs, n_pairs, pool));
    }
    m->u = levels[0].u;
    m->v = levels[0].v;
    levels[0].u = levels[0].v = NULL;
done:
    gen_free(pairs);
    for (int l = 0; l < n_levels; l++)
        level_free(&levels[l]);
    if (status != GEN_OK)
        gen_motion_free(m);
    return status;
}

void gen_motion_free(gen_motion *m)
{
    gen_free(m->u);
    gen_free(m->v);
    m->u = m->v = NULL;
}

/* Node index and share along one axis for a real pixel position. */
static int64_t node_at(double p, int64_t n, float *share)
{
    double at = (p - 0.5 * (CELL - 1)) / CELL;
    if (!(at > 0) || n < 2) {
        *share = 0;
        return 0;
    }
    if (at >= (double)(n - 1)) {
        *share = 1;
        return n - 2;
    }
    *share = (float)(at - floor(at));
    return (int64_t)at;
}

void gen_motion_at(const gen_motion *m, double row, double column, float uv[2])
{
    float a, b;
    int64_t j = node_at(row, m->rows, &b), i = node_at(column, m->columns, &a);
    int64_t down = m->rows > 1 ? m->columns : 0, right = m->columns > 1 ? 1 : 0;
    const float *field[2] = { m->u, m->v };
    for (int c = 0; c < 2; c++) {
        const float *p = field[c] + j * m->columns + i;
        float upper = p[0] + a * (p[right] - p[0]);
        float lower = p[down] + a * (p[down + right] - p[down]);
        uv[c] = upper + b * (lower - upper);
    }
}
