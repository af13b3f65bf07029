/* SPDX-License-Identifier: Apache-2.0
 *
 * Writer of forecasts as CF-1.8 netCDF-4: rain_rate(realization,time,y,x), streamed member by
 * member. The dimension of the members is unlimited, so that late ones can be left out.
 *
 * Products are computed from what was written and added to the same file, or, without members, to
 * one of its own: then the file of the members never appears.
 *
 * A chunk is one frame and is compressed lightly: at level 1 deflate costs less than the disk.
 */
#include "libgen/base/alloc.h"
#include "weather/codec/products_file.h"

#define DIMENSION_LIMIT 65536

struct gen_forecast {
    gen_netcdf_writer w;
    gen_netcdf_rain rain;
    int realization;
    gen_netcdf_grid grid;
    gen_netcdf_leads leads;
    gen_forecast_info info; /* without what was borrowed */
    int64_t height, width;
    bool *written; /* [members] */
    bool with_products;

    /* Without members: what the file of the products needs. */
    gen_radar_grid place;
    char *text[4]; /* title, source, history, comment */
    gen_netcdf_writer products;
};

static gen_status check_info(const gen_forecast_info *o)
{
    const gen_radar_grid *g = o->grid;
    if (!g || g->height < 1 || g->width < 1 || g->height > DIMENSION_LIMIT ||
        g->width > DIMENSION_LIMIT)
        return gen_fail(GEN_EINVAL, "forecast: no grid, or one of more than %d cells a side",
                        DIMENSION_LIMIT);
    if (o->lead_steps < 1 || o->members < 1 || o->step < 1 || o->lead_steps > 100000 ||
        o->members > 100000)
        return gen_fail(GEN_EINVAL,
                        "forecast: %lld members of %lld steps of %lld s, expected 1 to 100000 "
                        "members and steps, of 1 s or more",
                        (long long)o->members, (long long)o->lead_steps, (long long)o->step);
    if (o->deflate < -1 || o->deflate > 9)
        return gen_fail(GEN_EINVAL, "forecast: compression %d, expected -1 to 9", o->deflate);
    return GEN_OK;
}

static void put_texts(gen_netcdf_writer *w, const gen_forecast_info *o, const char *comment)
{
    gen_netcdf_texts(w, NC_GLOBAL,
                     (const char *const[]){ "Conventions", "CF-1.8", "title",
                                            o->title ? o->title : "Rain rate forecast", NULL });
    gen_netcdf_text(w, NC_GLOBAL, "source", o->source);
    gen_netcdf_text(w, NC_GLOBAL, "history", o->history);
    gen_netcdf_text(w, NC_GLOBAL, "comment", comment);
}

static gen_status define_forecast(gen_forecast *f, const gen_forecast_info *o)
{
    gen_netcdf_writer *w = &f->w;
    int members = gen_netcdf_dimension(w, "realization", 0);
    f->realization = gen_netcdf_variable(w, "realization", NC_INT, 1, &members);
    gen_netcdf_texts(w, f->realization,
                     (const char *const[]){ "standard_name", "realization", "long_name",
                                            "number of the member", "units", "1", NULL });
    gen_netcdf_define_leads(w, o->lead_steps, &f->leads);
    GEN_TRY(gen_netcdf_define_grid(w, o->grid, o->latitudes, &f->grid));
    const int dims[4] = { members, f->leads.dimension, f->grid.dims[0], f->grid.dims[1] };
    gen_netcdf_define_rain(w, "rain_rate", 4, dims, f->height, f->width,
                           o->deflate ? o->deflate : 1, "mm h-1", &f->rain);
    gen_netcdf_texts(w, f->rain.id,
                     (const char *const[]){ "standard_name", "lwe_precipitation_rate", "long_name",
                                            "forecast rain rate", NULL });
    gen_netcdf_place(w, f->rain.id, &f->grid, GEN_NETCDF_LEADS);
    put_texts(w, o, NULL);
    gen_netcdf_end_definitions(w);
    GEN_TRY(gen_netcdf_put_grid(w, &f->grid));
    gen_netcdf_put_leads(w, &f->leads, o->reference_time, o->step, o->lead_steps);
    return gen_netcdf_writer_status(w);
}

/* What outlives gen_forecast_create. */
static gen_status keep_info(gen_forecast *f, const gen_forecast_info *o)
{
    const char *const text[3] = { o->title, o->source, o->history };
    f->info = *o;
    for (int i = 0; i < 3; i++)
        if (text[i])
            GEN_TRY(gen_strdup(&f->text[i], text[i]));
    GEN_TRY(gen_radar_grid_copy(&f->place, o->grid));
    f->info.grid = &f->place;
    f->info.title = f->text[0];
    f->info.source = f->text[1];
    f->info.history = f->text[2];
    return GEN_OK;
}

gen_status gen_forecast_create(gen_forecast **out, const char *path, const gen_forecast_info *o)
{
    gen_status status;
    gen_forecast *f = NULL;
    *out = NULL;
    GEN_TRY(check_info(o));
    GEN_TRY(GEN_ALLOC(&f, 1, "forecast"));
    f->w.nc = f->products.nc = -1;
    f->height = o->grid->height;
    f->width = o->grid->width;
    f->rain.floats = o->floats;
    GEN_GOTO(keep_info(f, o));
    GEN_GOTO(GEN_ALLOC(&f->written, o->members, "forecast: members"));
    gen_netcdf_lock();
    status = gen_netcdf_create(&f->w, path, o->force);
    if (status == GEN_OK)
        status = define_forecast(f, o);
    gen_netcdf_unlock();
    if (status == GEN_OK) {
        *out = f;
        f = NULL;
    }
done:
    gen_forecast_free(&f);
    return status;
}

gen_status gen_forecast_write(gen_forecast *f, int64_t member, const float *rain)
{
    gen_status status = GEN_OK;
    if (member < 0 || member >= f->info.members || f->written[member])
        return gen_fail(GEN_EINVAL, "forecast: member %lld of %lld %s", (long long)member,
                        (long long)f->info.members,
                        member >= 0 && member < f->info.members ? "is written already"
                                                                : "does not exist");
    gen_netcdf_lock();
    gen_netcdf_put(&f->w, f->realization, (size_t)member, (double)member);
    for (int64_t s = 0; s < f->info.lead_steps && status == GEN_OK; s++)
        status =
            gen_netcdf_put_rain(&f->w, &f->rain, (const size_t[4]){ (size_t)member, (size_t)s },
                                f->height, rain + s * f->height * f->width);
    gen_netcdf_unlock();
    f->written[member] = status == GEN_OK;
    return status;
}

gen_status gen_forecast_shorten(gen_forecast *f, int64_t members)
{
    if (members < 1 || members > f->info.members)
        return gen_fail(GEN_EINVAL, "forecast: %lld members, expected 1 to %lld",
                        (long long)members, (long long)f->info.members);
    for (int64_t i = members; i < f->info.members; i++)
        if (f->written[i])
            return gen_fail(GEN_EINVAL, "forecast: member %lld is written, so %lld are too few",
                            (long long)i, (long long)members);
    f->info.members = members;
    return GEN_OK;
}

gen_status gen_forecast_comment(gen_forecast *f, const char *text)
{
    gen_netcdf_writer *w = f->products.nc >= 0 ? &f->products : &f->w;
    gen_free(f->text[3]);
    GEN_TRY(gen_strdup(&f->text[3], text));
    gen_netcdf_lock();
    gen_netcdf_text(w, NC_GLOBAL, "comment", text);
    gen_netcdf_unlock();
    return gen_netcdf_writer_status(w);
}

/* ---- products ---------------------------------------------------------------------------- */

static gen_status read_back(void *cookie, int64_t member, int64_t lead, float *rain)
{
    gen_forecast *f = cookie;
    const size_t start[4] = { (size_t)member, (size_t)lead };
    gen_netcdf_lock();
    gen_status status = gen_netcdf_get_rain(&f->w, &f->rain, start, f->height, rain);
    gen_netcdf_unlock();
    return status;
}

static gen_status all_written(const gen_forecast *f)
{
    for (int64_t i = 0; i < f->info.members; i++)
        if (!f->written[i])
            return gen_fail(GEN_EINVAL, "forecast: member %lld of %lld was not written",
                            (long long)i, (long long)f->info.members);
    return GEN_OK;
}

/* The file of products that stands in for that of the members. */
static gen_status open_products(gen_forecast *f)
{
    gen_netcdf_writer *w = &f->products;
    const gen_forecast_info *o = &f->info;
    GEN_TRY(gen_netcdf_create(w, f->w.output.path, o->force));
    gen_netcdf_define_leads(w, o->lead_steps, &f->leads);
    GEN_TRY(gen_netcdf_define_grid(w, o->grid, o->latitudes, &f->grid));
    put_texts(w, o, f->text[3]);
    gen_netcdf_end_definitions(w);
    GEN_TRY(gen_netcdf_put_grid(w, &f->grid));
    gen_netcdf_put_leads(w, &f->leads, o->reference_time, o->step, o->lead_steps);
    return gen_netcdf_writer_status(w);
}

gen_status gen_products_add(gen_forecast *f, const gen_products_options *options,
                            const gen_products_info *info)
{
    GEN_TRY(all_written(f));
    if (f->with_products)
        return gen_fail(GEN_EINVAL, "forecast: has its products already");
    gen_netcdf_lock();
    gen_status status = f->info.without_members ? open_products(f) : GEN_OK;
    gen_netcdf_unlock();
    GEN_TRY(status);
    f->with_products = true;
    const gen_products_file file = { .w = f->info.without_members ? &f->products : &f->w,
                                     .grid = &f->grid,
                                     .leads = f->leads.dimension,
                                     .reference_time = f->info.reference_time,
                                     .floats = f->info.floats,
                                     .shape = { f->info.members, f->info.lead_steps, f->height,
                                                f->width, f->info.step } };
    return gen_products_into(&file, options, info, read_back, f);
}

/* ---- the end ----------------------------------------------------------------------------- */

gen_status gen_forecast_commit(gen_forecast *f)
{
    GEN_TRY(all_written(f));
    if (f->info.without_members && !f->with_products)
        return gen_fail(GEN_EINVAL, "forecast: neither members nor products");
    if (f->rain.clipped)
        gen_log(GEN_LOG_WARN, "forecast: %lld values above %.0f mm/h are written as that",
                (long long)f->rain.clipped, GEN_NETCDF_MOST_RAIN);
    gen_netcdf_lock();
    gen_status status = gen_netcdf_commit(f->info.without_members ? &f->products : &f->w);
    gen_netcdf_unlock();
    return status;
}

void gen_forecast_free(gen_forecast **forecast)
{
    gen_forecast *f = *forecast;
    *forecast = NULL;
    if (!f)
        return;
    gen_netcdf_lock();
    gen_netcdf_abort(&f->w);
    gen_netcdf_abort(&f->products);
    gen_netcdf_unlock();
    gen_netcdf_rain_free(&f->rain);
    gen_radar_grid_clear(&f->place);
    for (int i = 0; i < 4; i++)
        gen_free(f->text[i]);
    gen_free(f->written);
    gen_free(f);
}
