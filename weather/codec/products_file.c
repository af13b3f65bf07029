/* SPDX-License-Identifier: Apache-2.0
 *
 * Writer of products of an ensemble, CF-1.8. Of rain rates, along time:
 *   probability_of_rain_rate_above_threshold(threshold,time,y,x), rain_rate_percentile(percentile,
 *   time,y,x), rain_rate_mean(time,y,x), rain_rate_matched_mean(time,y,x)
 * and of accumulations, along accumulation_time, which has bounds: the same with rain_amount and
 * threshold_amount, and rain_amount(realization,accumulation_time,y,x) itself.
 *
 * Rain is packed as in forecasts. A probability is a signed byte of steps of 1/200, so that those
 * of 10, 20, 25, 40, 50, 100 members are exact; -128 is missing. A chunk is a few rows, and blocks
 * of rows are whole chunks, so that none is compressed twice.
 */
#include "weather/codec/products_file.h"

#include <math.h>
#include <string.h>

#include "libgen/base/alloc.h"

#define CHUNK_CELLS 65536
#define PROBABILITY_STEPS 200
#define PROBABILITY_MISSING (-128)

enum { RATE, SUM };

typedef struct products {
    const gen_products_file *f;
    const gen_products_options *o;
    const gen_products_info *info;
    int64_t windows, chunk_rows;
    int steps[2];                  /* dimensions: time, accumulation_time */
    int thresholds[2], percentile; /* dimensions */
    gen_netcdf_rain rain[2][GEN_PRODUCT_KINDS];
    int probability[2];
    signed char *bytes; /* probabilities as they are written */
    uint64_t room;
} products;

static const char *const units[2] = { "mm h-1", "mm" };
static const char *const standard[2] = { "lwe_precipitation_rate",
                                         "lwe_thickness_of_precipitation_amount" };
static const char *const names[2][GEN_PRODUCT_KINDS] = {
    [RATE] = { "probability_of_rain_rate_above_threshold", "rain_rate_percentile", "rain_rate_mean",
               "rain_rate_matched_mean", NULL },
    [SUM] = { "probability_of_rain_amount_above_threshold", "rain_amount_percentile",
              "rain_amount_mean", "rain_amount_matched_mean", "rain_amount" },
};
static const char *const long_names[2][GEN_PRODUCT_KINDS] = {
    [RATE] = { "share of the members whose rain rate is at least the threshold",
               "percentile of the members' rain rates", "mean of the members' rain rates",
               "probability-matched mean of the members' rain rates", NULL },
    [SUM] = { "share of the members whose rain amount is at least the threshold",
              "percentile of the members' rain amounts", "mean of the members' rain amounts",
              "probability-matched mean of the members' rain amounts", "forecast rain amount" },
};
static const char *const methods[2][GEN_PRODUCT_KINDS] = {
    [RATE] = { NULL, NULL, "realization: mean", "realization: mean (probability-matched)",
               NULL },
    [SUM] = { NULL, NULL, "accumulation_time: sum realization: mean",
              "accumulation_time: sum realization: mean (probability-matched)",
              "accumulation_time: sum" },
};
static const char *const coordinates[2] = { GEN_NETCDF_LEADS,
                                            "accumulation_period forecast_reference_time" };

/* ---- definitions ------------------------------------------------------------------------- */

/* A coordinate of its own dimension: thresholds, percentiles. */
static int define_list(products *p, const char *name, const double *v, int n, const char *unit,
                       const char *const *texts)
{
    gen_netcdf_writer *w = p->f->w;
    int dimension = gen_netcdf_dimension(w, name, n);
    int id = gen_netcdf_variable(w, name, NC_DOUBLE, 1, &dimension);
    gen_netcdf_text(w, id, "units", unit);
    gen_netcdf_texts(w, id, texts);
    for (int i = 0; i < n; i++)
        gen_netcdf_put(w, id, (size_t)i, v[i]);
    return dimension;
}

static void define_thresholds(products *p, int sum)
{
    const gen_products_options *o = p->o;
    const double *v = sum ? o->exceed_sum : o->exceed;
    int n = sum ? o->n_exceed_sum : o->n_exceed;
    const char *const texts[] = { "standard_name",
                                  standard[sum],
                                  "long_name",
                                  sum ? "threshold of rain amount" : "threshold of rain rate",
                                  "spp__relative_to_threshold",
                                  "greater_than_or_equal_to",
                                  NULL };
    if (n)
        p->thresholds[sum] =
            define_list(p, sum ? "threshold_amount" : "threshold", v, n, units[sum], texts);
}

/* Ends of the windows, with bounds and lead times. */
static void define_windows(products *p)
{
    gen_netcdf_writer *w = p->f->w;
    int bounds, *dimension = &p->steps[SUM];
    int time = gen_netcdf_define_time(w, "accumulation_time", p->windows, dimension, &bounds);
    int period = gen_netcdf_variable(w, "accumulation_period", NC_DOUBLE, 1, dimension);
    gen_netcdf_texts(w, period,
                     (const char *const[]){ "standard_name", "forecast_period", "long_name",
                                            "lead time of the end", "units", "minutes", NULL });
    for (int64_t i = 0; i < p->windows; i++) {
        double from = (double)(p->f->reference_time + i * p->o->accumulate);
        const double ends[2] = { from, from + (double)p->o->accumulate };
        const size_t start[2] = { (size_t)i, 0 }, count[2] = { 1, 2 };
        gen_netcdf_put(w, time, (size_t)i, ends[1]);
        gen_netcdf_put(w, period, (size_t)i, (double)((i + 1) * p->o->accumulate) / 60);
        if (w->code == NC_NOERR)
            gen_netcdf_failed(w, nc_put_vara_double(w->nc, bounds, start, count, ends), "bounds");
    }
}

static void describe(products *p, int id, int sum, gen_product_kind kind)
{
    gen_netcdf_writer *w = p->f->w;
    if (kind != GEN_PRODUCT_PROBABILITY)
        gen_netcdf_text(w, id, "standard_name", standard[sum]);
    gen_netcdf_text(w, id, "long_name", long_names[sum][kind]);
    gen_netcdf_text(w, id, "cell_methods", methods[sum][kind]);
    gen_netcdf_place(w, id, p->f->grid, coordinates[sum]);
}

static void define_probability(products *p, int sum)
{
    gen_netcdf_writer *w = p->f->w;
    const signed char missing = PROBABILITY_MISSING;
    const float scale = 1.0f / PROBABILITY_STEPS, offset = 0.5f;
    const int dims[4] = { p->thresholds[sum], p->steps[sum], p->f->grid->dims[0],
                          p->f->grid->dims[1] };
    int id = gen_netcdf_variable(w, names[sum][GEN_PRODUCT_PROBABILITY], NC_BYTE, 4, dims);
    gen_netcdf_chunk(w, id, 4, p->chunk_rows, p->f->shape.width, 1);
    p->probability[sum] = id;
    if (w->code != NC_NOERR)
        return;
    gen_netcdf_failed(w, nc_put_att_schar(w->nc, id, "_FillValue", NC_BYTE, 1, &missing),
                      "_FillValue");
    gen_netcdf_failed(w, nc_put_att_float(w->nc, id, "scale_factor", NC_FLOAT, 1, &scale), "scale");
    gen_netcdf_failed(w, nc_put_att_float(w->nc, id, "add_offset", NC_FLOAT, 1, &offset), "offset");
    gen_netcdf_text(w, id, "units", "1");
    describe(p, id, sum, GEN_PRODUCT_PROBABILITY);
}

/* `leading`: the dimension before time; -1 = none. */
static void define_rain(products *p, int sum, gen_product_kind kind, int leading)
{
    gen_netcdf_rain *v = &p->rain[sum][kind];
    const int dims[4] = { leading, p->steps[sum], p->f->grid->dims[0], p->f->grid->dims[1] };
    int skip = leading < 0;
    v->floats = p->f->floats;
    gen_netcdf_define_rain(p->f->w, names[sum][kind], 4 - skip, dims + skip, p->chunk_rows,
                           p->f->shape.width, 1, units[sum], v);
    describe(p, v->id, sum, kind);
}

/* The members' dimension: the forecast's own, or a new one. */
static int member_dimension(products *p)
{
    gen_netcdf_writer *w = p->f->w;
    int id = -1;
    if (w->code == NC_NOERR && nc_inq_dimid(w->nc, "realization", &id) == NC_NOERR)
        return id;
    id = gen_netcdf_dimension(w, "realization", p->f->shape.members);
    int variable = gen_netcdf_variable(w, "realization", NC_INT, 1, &id);
    gen_netcdf_texts(w, variable,
                     (const char *const[]){ "standard_name", "realization", "long_name",
                                            "number of the member", "units", "1", NULL });
    for (int64_t i = 0; i < p->f->shape.members; i++)
        gen_netcdf_put(w, variable, (size_t)i, (double)i);
    return id;
}

static gen_status define(products *p)
{
    const gen_products_options *o = p->o;
    gen_netcdf_writer *w = p->f->w;
    static const char *const texts[] = { "long_name", "percentile of the members", NULL };
    p->steps[RATE] = p->f->leads;
    if (p->windows)
        define_windows(p);
    define_thresholds(p, RATE);
    define_thresholds(p, SUM);
    if (o->n_percentiles)
        p->percentile =
            define_list(p, "percentile", o->percentiles, o->n_percentiles, "percent", texts);
    for (int sum = RATE; sum <= (p->windows ? SUM : RATE); sum++) {
        if (sum ? o->n_exceed_sum : o->n_exceed)
            define_probability(p, sum);
        if (o->n_percentiles)
            define_rain(p, sum, GEN_PRODUCT_PERCENTILE, p->percentile);
        if (o->mean)
            define_rain(p, sum, GEN_PRODUCT_MEAN, -1);
        if (o->matched_mean)
            define_rain(p, sum, GEN_PRODUCT_MATCHED_MEAN, -1);
    }
    if (p->windows && o->member_sums)
        define_rain(p, SUM, GEN_PRODUCT_MEMBER_SUM, member_dimension(p));
    return gen_netcdf_writer_status(w);
}

/* ---- values ------------------------------------------------------------------------------ */

static gen_status put_probability(products *p, const gen_product *what, int64_t first, int64_t rows,
                                  const float *values)
{
    gen_netcdf_writer *w = p->f->w;
    int64_t n = rows * p->f->shape.width;
    if ((uint64_t)n > p->room) {
        gen_free(p->bytes);
        p->room = 0;
        GEN_TRY(gen_alloc_raw((void **)&p->bytes, (uint64_t)n, 1, "probabilities"));
        p->room = (uint64_t)n;
    }
    for (int64_t i = 0; i < n; i++)
        p->bytes[i] = isnan(values[i]) ? PROBABILITY_MISSING
                                       : (signed char)((int)(values[i] * PROBABILITY_STEPS + 0.5f) -
                                                       PROBABILITY_STEPS / 2);
    const size_t start[4] = { (size_t)what->which, (size_t)what->step, (size_t)first, 0 };
    const size_t count[4] = { 1, 1, (size_t)rows, (size_t)p->f->shape.width };
    int id = p->probability[what->sum];
    gen_netcdf_failed(w, nc_put_vara_schar(w->nc, id, start, count, p->bytes), "probabilities");
    return gen_netcdf_writer_status(w);
}

static gen_status put_rain(products *p, const gen_product *what, int64_t first, int64_t rows,
                           const float *values)
{
    gen_netcdf_rain *v = &p->rain[what->sum][what->kind];
    const size_t start[4] = { (size_t)what->which, (size_t)what->step, (size_t)first, 0 };
    return gen_netcdf_put_rain(p->f->w, v, start + (v->rank == 3), rows, values);
}

static gen_status take(void *cookie, const gen_product *what, int64_t first, int64_t rows,
                       const float *values)
{
    products *p = cookie;
    gen_netcdf_lock();
    gen_status status = what->kind == GEN_PRODUCT_PROBABILITY
                            ? put_probability(p, what, first, rows, values)
                            : put_rain(p, what, first, rows, values);
    gen_netcdf_unlock();
    if (status == GEN_OK && p->info->also)
        status = p->info->also(p->info->cookie, what, first, rows, values);
    return status;
}

/* Cells of a row and more lie in one chunk; blocks of rows are multiples of it. */
static int64_t rows_of_a_chunk(const gen_products_shape *s)
{
    int64_t rows = CHUNK_CELLS / s->width;
    return rows < 1 ? 1 : rows < s->height ? rows : s->height;
}

gen_status gen_products_into(const gen_products_file *file, const gen_products_options *options,
                             const gen_products_info *info, gen_products_source *source,
                             void *cookie)
{
    gen_status status;
    int64_t clipped = 0;
    products p = { .f = file, .o = options, .info = info };
    gen_products_shape shape = file->shape;
    GEN_TRY(gen_products_check(&shape, options));
    p.windows = gen_products_windows(&shape, options);
    p.chunk_rows = shape.row_group = rows_of_a_chunk(&shape);
    gen_netcdf_lock();
    status = define(&p);
    gen_netcdf_unlock();
    GEN_GOTO(status);
    GEN_GOTO(gen_products_compute(&shape, options, source, cookie, take, &p));
    for (int i = 0; i < 2 * GEN_PRODUCT_KINDS; i++)
        clipped += p.rain[i / GEN_PRODUCT_KINDS][i % GEN_PRODUCT_KINDS].clipped;
    if (clipped)
        gen_log(GEN_LOG_WARN, "products: %lld values above %.0f are written as that",
                (long long)clipped, GEN_NETCDF_MOST_RAIN);
done:
    for (int i = 0; i < 2 * GEN_PRODUCT_KINDS; i++)
        gen_netcdf_rain_free(&p.rain[i / GEN_PRODUCT_KINDS][i % GEN_PRODUCT_KINDS]);
    gen_free(p.bytes);
    return status;
}

/* ---- products of a file ------------------------------------------------------------------ */

static gen_status read_file(void *cookie, int64_t member, int64_t lead, float *rain)
{
    return gen_forecast_read(cookie, member, lead, rain);
}

static gen_status begin(gen_netcdf_writer *w, const gen_forecast_file *f, const char *path,
                        const gen_products_info *info, gen_netcdf_grid *grid,
                        gen_netcdf_leads *leads)
{
    GEN_TRY(gen_netcdf_create(w, path, info->force));
    gen_netcdf_define_leads(w, f->lead_steps, leads);
    GEN_TRY(gen_netcdf_define_grid(w, &f->grid, false, grid));
    gen_netcdf_texts(w, NC_GLOBAL,
                     (const char *const[]){ "Conventions", "CF-1.8", "title",
                                            info->title ? info->title : "Products of a forecast",
                                            "source", info->source, "history", info->history,
                                            NULL });
    gen_netcdf_end_definitions(w);
    GEN_TRY(gen_netcdf_put_grid(w, grid));
    for (int64_t i = 0; i < f->lead_steps; i++) {
        gen_netcdf_put(w, leads->time, (size_t)i, (double)f->time[i]);
        gen_netcdf_put(w, leads->period, (size_t)i, (double)(f->time[i] - f->reference_time) / 60);
    }
    gen_netcdf_put(w, leads->reference, 0, (double)f->reference_time);
    return gen_netcdf_writer_status(w);
}

gen_status gen_products_write(gen_forecast_file *f, const char *path,
                              const gen_products_options *options, const gen_products_info *info)
{
    gen_status status;
    gen_netcdf_writer w = { .nc = -1 };
    gen_netcdf_grid grid;
    gen_netcdf_leads leads;
    gen_netcdf_lock();
    status = begin(&w, f, path, info, &grid, &leads);
    gen_netcdf_unlock();
    GEN_GOTO(status);
    const gen_products_file file = { .w = &w,
                                     .grid = &grid,
                                     .leads = leads.dimension,
                                     .reference_time = f->reference_time,
                                     .floats = info->floats,
                                     .shape = { f->members, f->lead_steps, f->grid.height,
                                                f->grid.width, f->step } };
    GEN_GOTO(gen_products_into(&file, options, info, read_file, f));
    gen_netcdf_lock();
    status = gen_netcdf_commit(&w);
    gen_netcdf_unlock();
done:
    gen_netcdf_lock();
    gen_netcdf_abort(&w);
    gen_netcdf_unlock();
    return status;
}
