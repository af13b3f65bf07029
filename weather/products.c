/* SPDX-License-Identifier: Apache-2.0
 *
 * Products of an ensemble, field by field: a field is the rain of all members at a lead time, or
 * their sums over a window. Of a field as many rows as fit the memory (a block) are held for all
 * members; products are made of a few rows of it (a part) at a time, in pieces of cells by a pool.
 */
#include <libgen/products.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "libgen/base/pool.h"

#define BLOCK_MEMORY ((uint64_t)160 << 20)
#define PART 65536   /* cells, about */
#define PIECE 4096   /* cells of one thread at a time */
#define BINS 65536   /* of the pooled distribution */
#define BIN_SIZE 128 /* in a mm/h or mm */
#define INSERTION 40 /* members up to which insertion sort is fastest */

typedef struct job {
    const gen_products_shape *s;
    const gen_products_options *o;
    gen_products_source *source;
    gen_products_sink *sink;
    void *source_cookie, *sink_cookie;
    gen_pool *pool;
    int64_t cells, windows, window_steps;
    int64_t block_rows, part_rows;
    bool sum;             /* the field now in work */
    int64_t step;         /* of it */
    const double *exceed; /* of it */
    int n_exceed;
    int64_t held;        /* cells of the block now in work */
    int64_t first, part; /* cells of the part of it now in work, and how many */
    float *rain;         /* [members,held] */
    float *product;      /* [n_exceed + n_percentiles + 1,part]: probabilities, percentiles, mean */
    float *frame;        /* [height,width], as it is read */
    float *mean;         /* [height,width], of the matched mean only */
    float *matched;      /* [height,width] */
    uint64_t *order;     /* [height,width] */
    uint64_t *pooled;    /* [BINS] how many values of valid cells */
    float *sorted;       /* [threads,members] */
} job;

/* ---- statistics of a cell ---------------------------------------------------------------- */

static int rising(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void sort(float *v, int64_t n)
{
    if (n > INSERTION) {
        qsort(v, (size_t)n, sizeof *v, rising);
        return;
    }
    for (int64_t i = 1; i < n; i++) {
        float x = v[i];
        int64_t j = i;
        for (; j > 0 && v[j - 1] > x; j--)
            v[j] = v[j - 1];
        v[j] = x;
    }
}

static double percentile(const float *sorted, int64_t n, double percent)
{
    double at = percent / 100 * (double)(n - 1);
    int64_t i = (int64_t)at;
    if (i >= n - 1)
        return (double)sorted[n - 1];
    double a = (double)sorted[i], b = (double)sorted[i + 1], part = at - (double)i;
    return a + (b - a) * part;
}

static void fill(const job *j, int64_t cell, float value)
{
    int n = j->n_exceed + j->o->n_percentiles + 1;
    for (int k = 0; k < n; k++)
        j->product[k * j->part + cell] = value;
}

/* Rain of the members at a cell of the part into v; false when it is the same nothing in all of
 * them. */
static bool gather(const job *j, int64_t cell, float *v)
{
    bool wet = false, missing = false;
    for (int64_t m = 0; m < j->s->members; m++) {
        v[m] = j->rain[m * j->held + j->first + cell];
        missing = missing || isnan(v[m]);
        wet = wet || v[m] != 0;
    }
    if (missing || !wet)
        fill(j, cell, missing ? NAN : 0);
    return wet && !missing;
}

static void work_on_piece(void *ctx, int piece, int thread)
{
    const job *j = ctx;
    int64_t members = j->s->members, first = (int64_t)piece * PIECE;
    int64_t end = first + PIECE < j->part ? first + PIECE : j->part;
    float *v = j->sorted + thread * members;
    for (int64_t i = first; i < end; i++) {
        float *to = j->product + i;
        double total = 0;
        if (!gather(j, i, v))
            continue;
        for (int k = 0; k < j->n_exceed; k++, to += j->part) {
            int64_t count = 0;
            for (int64_t m = 0; m < members; m++)
                count += (double)v[m] >= j->exceed[k];
            *to = (float)((double)count / (double)members);
        }
        for (int64_t m = 0; m < members; m++)
            total += (double)v[m];
        if (j->o->n_percentiles)
            sort(v, members);
        for (int k = 0; k < j->o->n_percentiles; k++, to += j->part)
            *to = (float)percentile(v, members, j->o->percentiles[k]);
        *to = (float)(total / (double)members);
    }
}

/* ---- the probability-matched mean -------------------------------------------------------- */

static void pool_part(const job *j)
{
    const float *mean = j->product + (j->n_exceed + j->o->n_percentiles) * j->part;
    for (int64_t m = 0; m < j->s->members; m++)
        for (int64_t i = 0; i < j->part; i++) {
            if (isnan(mean[i]))
                continue;
            float v = j->rain[m * j->held + j->first + i] * BIN_SIZE + 0.5f;
            j->pooled[v < BINS ? (int)v : BINS - 1]++;
        }
}

static int by_mean(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Cells with rain in order of the mean: its bits, which rise as it does, above the cell's number.
 * *dry: how many have none. */
static int64_t order_cells(const job *j, int64_t *dry)
{
    int64_t n = 0;
    *dry = 0;
    for (int64_t i = 0; i < j->cells; i++) {
        uint32_t bits;
        memcpy(&bits, &j->mean[i], sizeof bits);
        j->matched[i] = j->mean[i] == 0 ? 0 : NAN;
        *dry += j->mean[i] == 0;
        if (j->mean[i] > 0)
            j->order[n++] = (uint64_t)bits << 32 | (uint64_t)i;
    }
    qsort(j->order, (size_t)n, sizeof *j->order, by_mean);
    return n;
}

/* Ranks from the driest cell on walk through the pooled distribution; cells of equal mean get the
 * mean of theirs. */
static void match(const job *j)
{
    int64_t dry, n = order_cells(j, &dry), members = j->s->members, bin = 0;
    uint64_t below = 0; /* pooled values in bins before `bin` */
    for (int64_t first = 0, end; first < n; first = end) {
        double total = 0;
        for (end = first; end < n && j->order[end] >> 32 == j->order[first] >> 32; end++) {
            uint64_t rank = (uint64_t)((dry + end) * members + members / 2);
            while (bin < BINS - 1 && below + j->pooled[bin] <= rank)
                below += j->pooled[bin++];
            total += (double)bin / BIN_SIZE;
        }
        for (int64_t i = first; i < end; i++)
            j->matched[j->order[i] & UINT32_MAX] = (float)(total / (double)(end - first));
    }
}

/* ---- a block of rows --------------------------------------------------------------------- */

static gen_status hand_on(const job *j, gen_product_kind kind, int64_t which, int64_t first,
                          int64_t rows, const float *values)
{
    const gen_product p = { kind, j->sum, which, j->step };
    return j->sink(j->sink_cookie, &p, first, rows, values);
}

/* Rain of every member; of a window its sum, in mm. */
static gen_status load(job *j, int64_t first, int64_t rows)
{
    int64_t width = j->s->width, steps = j->sum ? j->window_steps : 1;
    double hours = j->sum ? (double)j->s->step / 3600 : 1;
    j->held = rows * width;
    for (int64_t m = 0; m < j->s->members; m++) {
        float *to = j->rain + m * j->held;
        for (int64_t t = 0; t < steps; t++) {
            GEN_TRY(j->source(j->source_cookie, m, j->step * steps + t, j->frame));
            const float *from = j->frame + first * width;
            for (int64_t i = 0; i < j->held; i++)
                to[i] = t ? to[i] + from[i] : from[i];
        }
        for (int64_t i = 0; i < j->held && j->sum; i++)
            to[i] = (float)((double)to[i] * hours);
        if (j->sum && j->o->member_sums)
            GEN_TRY(hand_on(j, GEN_PRODUCT_MEMBER_SUM, m, first, rows, to));
    }
    return GEN_OK;
}

/* Rows of the field; `first` is the first of them. */
static gen_status do_part(job *j, int64_t first, int64_t rows)
{
    const gen_products_options *o = j->o;
    j->part = rows * j->s->width;
    gen_pool_run(j->pool, (int)((j->part + PIECE - 1) / PIECE), work_on_piece, j);
    const float *values = j->product;
    for (int k = 0; k < j->n_exceed; k++, values += j->part)
        GEN_TRY(hand_on(j, GEN_PRODUCT_PROBABILITY, k, first, rows, values));
    for (int k = 0; k < o->n_percentiles; k++, values += j->part)
        GEN_TRY(hand_on(j, GEN_PRODUCT_PERCENTILE, k, first, rows, values));
    if (o->mean)
        GEN_TRY(hand_on(j, GEN_PRODUCT_MEAN, 0, first, rows, values));
    if (o->matched_mean) {
        memcpy(j->mean + first * j->s->width, values, (size_t)j->part * sizeof *values);
        pool_part(j);
    }
    return GEN_OK;
}

static gen_status do_block(job *j, int64_t first, int64_t rows)
{
    GEN_TRY(load(j, first, rows));
    for (int64_t row = 0; row < rows; row += j->part_rows) {
        j->first = row * j->s->width;
        GEN_TRY(do_part(j, first + row, rows - row < j->part_rows ? rows - row : j->part_rows));
    }
    return GEN_OK;
}

static gen_status do_field(job *j, bool sum, int64_t step)
{
    j->sum = sum;
    j->step = step;
    j->exceed = sum ? j->o->exceed_sum : j->o->exceed;
    j->n_exceed = sum ? j->o->n_exceed_sum : j->o->n_exceed;
    if (j->pooled)
        memset(j->pooled, 0, BINS * sizeof *j->pooled);
    for (int64_t first = 0; first < j->s->height; first += j->block_rows) {
        int64_t left = j->s->height - first;
        GEN_TRY(do_block(j, first, left < j->block_rows ? left : j->block_rows));
    }
    if (!j->o->matched_mean)
        return GEN_OK;
    match(j);
    return hand_on(j, GEN_PRODUCT_MATCHED_MEAN, 0, 0, j->s->height, j->matched);
}

/* ---- all of it --------------------------------------------------------------------------- */

static gen_status check_list(const double *v, int n, double above, double most, const char *what)
{
    for (int i = 0; i < n; i++)
        if (!(v[i] >= above && v[i] <= most && (i == 0 || v[i] > v[i - 1])))
            return gen_fail(GEN_EINVAL, "products: %s %g is number %d, expected %g to %g, rising",
                            what, v[i], i + 1, above, most);
    return GEN_OK;
}

gen_status gen_products_check(const gen_products_shape *s, const gen_products_options *o)
{
    if (s->members < 1 || s->lead_steps < 1 || s->height < 1 || s->width < 1 ||
        s->height > UINT32_MAX / s->width)
        return gen_fail(GEN_EINVAL,
                        "products: %lld members of %lld lead times on %lld x %lld cells",
                        (long long)s->members, (long long)s->lead_steps, (long long)s->height,
                        (long long)s->width);
    GEN_TRY(check_list(o->exceed, o->n_exceed, 0.001, 1e6, "threshold"));
    GEN_TRY(check_list(o->exceed_sum, o->n_exceed_sum, 0.001, 1e6, "threshold"));
    GEN_TRY(check_list(o->percentiles, o->n_percentiles, 0, 100, "percentile"));
    if (o->accumulate == 0)
        return o->n_exceed_sum == 0
                   ? GEN_OK
                   : gen_fail(GEN_EINVAL, "products: thresholds of sums, but no accumulation");
    if (s->step < 1 || o->accumulate < 0 || o->accumulate % s->step != 0)
        return gen_fail(GEN_EINVAL,
                        "products: sums over %g min, expected a multiple of the lead times' step, "
                        "%g min",
                        (double)o->accumulate / 60, (double)s->step / 60);
    if (o->accumulate / s->step > s->lead_steps)
        return gen_fail(GEN_EINVAL, "products: sums over %g min, but the forecast ends at %g min",
                        (double)o->accumulate / 60, (double)(s->lead_steps * s->step) / 60);
    return GEN_OK;
}

int64_t gen_products_windows(const gen_products_shape *s, const gen_products_options *o)
{
    return o->accumulate > 0 && s->step > 0 ? s->lead_steps * s->step / o->accumulate : 0;
}

/* As many rows of all members as the memory holds; parts of about PART cells. */
static gen_status allocate(job *j)
{
    const gen_products_shape *s = j->s;
    const gen_products_options *o = j->o;
    int exceed = o->n_exceed > o->n_exceed_sum ? o->n_exceed : o->n_exceed_sum;
    int64_t products = exceed + o->n_percentiles + 1;
    uint64_t row = (uint64_t)s->members * (uint64_t)s->width * sizeof(float);
    uint64_t rows = (o->memory ? o->memory : BLOCK_MEMORY) / row;
    j->block_rows = rows < 1 ? 1 : rows < (uint64_t)s->height ? (int64_t)rows : s->height;
    int64_t blocks = (s->height + j->block_rows - 1) / j->block_rows;
    j->block_rows = (s->height + blocks - 1) / blocks; /* of even size */
    if (s->row_group > 0 && j->block_rows < s->height && rows >= (uint64_t)s->row_group)
        j->block_rows = (int64_t)rows / s->row_group * s->row_group;
    int64_t group = s->row_group > 0 ? s->row_group : 1;
    j->part_rows = PART / (group * s->width) * group;
    j->part_rows = j->part_rows < group ? group : j->part_rows;
    j->part_rows = j->part_rows < j->block_rows ? j->part_rows : j->block_rows;
    uint64_t held = (uint64_t)(j->block_rows * s->width), cells = (uint64_t)j->cells;
    uint64_t part = (uint64_t)(j->part_rows * s->width);
    GEN_TRY(gen_pool_create(&j->pool, o->threads));
    GEN_TRY(gen_alloc_raw((void **)&j->rain, (uint64_t)s->members * held, sizeof(float),
                          "products: members"));
    GEN_TRY(
        gen_alloc_raw((void **)&j->product, (uint64_t)products * part, sizeof(float), "products"));
    GEN_TRY(gen_alloc_raw((void **)&j->frame, cells, sizeof(float), "products: a frame"));
    GEN_TRY(GEN_ALLOC(&j->sorted, gen_pool_threads(j->pool) * s->members, "products: a cell"));
    if (!o->matched_mean)
        return GEN_OK;
    GEN_TRY(GEN_ALLOC(&j->pooled, BINS, "products: distribution"));
    GEN_TRY(gen_alloc_raw((void **)&j->order, cells, sizeof(uint64_t), "products: ranks"));
    GEN_TRY(gen_alloc_raw((void **)&j->mean, cells, sizeof(float), "products: mean"));
    return gen_alloc_raw((void **)&j->matched, cells, sizeof(float), "products: matched mean");
}

gen_status gen_products_compute(const gen_products_shape *shape,
                                const gen_products_options *options, gen_products_source *source,
                                void *source_cookie, gen_products_sink *sink, void *sink_cookie)
{
    gen_status status;
    const gen_products_options *o = options;
    GEN_TRY(gen_products_check(shape, o));
    job j = { .s = shape,
              .o = o,
              .source = source,
              .source_cookie = source_cookie,
              .sink = sink,
              .sink_cookie = sink_cookie,
              .cells = shape->height * shape->width,
              .windows = gen_products_windows(shape, o) };
    bool both = o->mean || o->matched_mean || o->n_percentiles;
    int64_t rates = both || o->n_exceed ? shape->lead_steps : 0;
    int64_t sums = both || o->n_exceed_sum || o->member_sums ? j.windows : 0;
    j.window_steps = j.windows ? o->accumulate / shape->step : 0;
    GEN_GOTO(allocate(&j));
    for (int64_t i = 0; i < rates + sums; i++) {
        GEN_GOTO(do_field(&j, i >= rates, i < rates ? i : i - rates));
        GEN_GOTO(
            gen_progress_report(&o->progress, "products", (double)(i + 1), (double)(rates + sums)));
    }
done:
    gen_pool_free(&j.pool);
    gen_free(j.rain);
    gen_free(j.product);
    gen_free(j.frame);
    gen_free(j.sorted);
    gen_free(j.pooled);
    gen_free(j.order);
    gen_free(j.mean);
    gen_free(j.matched);
    return status;
}
