/* SPDX-License-Identifier: Apache-2.0
 *
 * Writer of forecasts as CF-1.8 netCDF-4: rain_rate(realization,time,y,x), streamed member by
 * member. The dimension of the members is unlimited, so that late ones can be left out.
 *
 * Packed as int16, because CF 1.8 knows no unsigned types: rate = n / 128 + 32767/128. Scale and
 * offset are exact in float32, so that dry cells unpack to exactly 0; -32768 is missing. A chunk is
 * one frame and is compressed lightly: at level 1 deflate costs less than the disk.
 */
#include <math.h>

#include "libgen/base/alloc.h"
#include "weather/codec/netcdf_writer.h"

#define PACKED_STEP (1.0f / 128) /* mm/h */
#define PACKED_OFFSET (32767.0f / 128)
#define PACKED_MISSING (-32768)
#define PACKED_MAX (65534.0f / 128)
#define DIMENSION_LIMIT 65536

struct gen_forecast {
    gen_netcdf_writer w;
    int rain, realization;
    int64_t height, width, lead_steps, members;
    bool floats;
    bool *written; /* [members] */
    int64_t clipped;
    void *packed; /* one frame */
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
                        "forecast: %lld members of %lld steps of %lld s, expected 1 or "
                        "more of each",
                        (long long)o->members, (long long)o->lead_steps, (long long)o->step);
    if (o->deflate < -1 || o->deflate > 9)
        return gen_fail(GEN_EINVAL, "forecast: compression %d, expected -1 to 9", o->deflate);
    return GEN_OK;
}

static void define_rain(gen_forecast *f, const gen_forecast_info *o, int members, int leads,
                        const gen_netcdf_grid *grid)
{
    gen_netcdf_writer *w = &f->w;
    const int dims[4] = { members, leads, grid->dims[0], grid->dims[1] };
    const short missing = PACKED_MISSING;
    const float no_number = NAN, scale = PACKED_STEP, offset = PACKED_OFFSET;
    f->rain = gen_netcdf_variable(w, "rain_rate", o->floats ? NC_FLOAT : NC_SHORT, 4, dims);
    gen_netcdf_chunk(w, f->rain, 4, f->height, f->width, o->deflate ? o->deflate : 1);
    if (w->code != NC_NOERR)
        return;
    gen_netcdf_failed(w,
                      nc_put_att(w->nc, f->rain, "_FillValue", o->floats ? NC_FLOAT : NC_SHORT, 1,
                                 o->floats ? (const void *)&no_number : &missing),
                      "_FillValue");
    if (!o->floats) {
        nc_type type = NC_FLOAT;
        gen_netcdf_failed(w, nc_put_att_float(w->nc, f->rain, "scale_factor", type, 1, &scale),
                          "scale");
        gen_netcdf_failed(w, nc_put_att_float(w->nc, f->rain, "add_offset", type, 1, &offset),
                          "offset");
    }
    gen_netcdf_texts(w, f->rain,
                     (const char *const[]){ "standard_name", "lwe_precipitation_rate", "long_name",
                                            "forecast rain rate", "units", "mm h-1", NULL });
    gen_netcdf_place(w, f->rain, grid, GEN_NETCDF_LEADS);
}

static gen_status define_forecast(gen_forecast *f, const gen_forecast_info *o)
{
    gen_netcdf_writer *w = &f->w;
    gen_netcdf_grid grid;
    gen_netcdf_leads leads;
    int members = gen_netcdf_dimension(w, "realization", 0);
    f->realization = gen_netcdf_variable(w, "realization", NC_INT, 1, &members);
    gen_netcdf_texts(w, f->realization,
                     (const char *const[]){ "standard_name", "realization", "long_name",
                                            "number of the member", "units", "1", NULL });
    gen_netcdf_define_leads(w, f->lead_steps, &leads);
    GEN_TRY(gen_netcdf_define_grid(w, o->grid, o->latitudes, &grid));
    define_rain(f, o, members, leads.dimension, &grid);
    gen_netcdf_texts(w, NC_GLOBAL,
                     (const char *const[]){ "Conventions", "CF-1.8", "title",
                                            o->title ? o->title : "Rain rate forecast", "source",
                                            o->source, "history", o->history, NULL });
    gen_netcdf_end_definitions(w);
    GEN_TRY(gen_netcdf_put_grid(w, &grid));
    gen_netcdf_put_leads(w, &leads, o->reference_time, o->step, f->lead_steps);
    return gen_netcdf_writer_status(w);
}

gen_status gen_forecast_create(gen_forecast **out, const char *path, const gen_forecast_info *o)
{
    gen_status status;
    gen_forecast *f = NULL;
    *out = NULL;
    GEN_TRY(check_info(o));
    GEN_TRY(GEN_ALLOC(&f, 1, "forecast"));
    f->w.nc = -1;
    f->height = o->grid->height;
    f->width = o->grid->width;
    f->lead_steps = o->lead_steps;
    f->members = o->members;
    f->floats = o->floats;
    GEN_GOTO(GEN_ALLOC(&f->written, f->members, "forecast: members"));
    if (!f->floats)
        GEN_GOTO(gen_alloc_raw(&f->packed, (uint64_t)(f->height * f->width), sizeof(int16_t),
                               "forecast: a frame"));
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

/* Packs one frame; counts what does not fit. */
static void pack(gen_forecast *f, const float *rain)
{
    int16_t *to = f->packed;
    int64_t n = f->height * f->width, clipped = 0;
    for (int64_t i = 0; i < n; i++) {
        float v = rain[i];
        if (isnan(v)) {
            to[i] = PACKED_MISSING;
            continue;
        }
        clipped += v > PACKED_MAX;
        v = v < 0 ? 0 : v > PACKED_MAX ? PACKED_MAX : v;
        to[i] = (int16_t)((int)(v * 128 + 0.5f) - 32767);
    }
    f->clipped += clipped;
}

gen_status gen_forecast_write(gen_forecast *f, int64_t member, const float *rain)
{
    if (member < 0 || member >= f->members || f->written[member])
        return gen_fail(GEN_EINVAL, "forecast: member %lld of %lld %s", (long long)member,
                        (long long)f->members,
                        member >= 0 && member < f->members ? "is written already"
                                                           : "does not exist");
    gen_netcdf_writer *w = &f->w;
    gen_netcdf_lock();
    gen_netcdf_put(w, f->realization, (size_t)member, (double)member);
    for (int64_t s = 0; s < f->lead_steps && w->code == NC_NOERR; s++) {
        const float *frame = rain + s * f->height * f->width;
        const size_t start[4] = { (size_t)member, (size_t)s, 0, 0 };
        const size_t count[4] = { 1, 1, (size_t)f->height, (size_t)f->width };
        if (f->floats) {
            gen_netcdf_failed(w, nc_put_vara_float(w->nc, f->rain, start, count, frame),
                              "rain_rate");
        } else {
            pack(f, frame);
            gen_netcdf_failed(w, nc_put_vara_short(w->nc, f->rain, start, count, f->packed),
                              "rain_rate");
        }
    }
    gen_netcdf_unlock();
    f->written[member] = w->code == NC_NOERR;
    return gen_netcdf_writer_status(w);
}

gen_status gen_forecast_shorten(gen_forecast *f, int64_t members)
{
    if (members < 1 || members > f->members)
        return gen_fail(GEN_EINVAL, "forecast: %lld members, expected 1 to %lld",
                        (long long)members, (long long)f->members);
    for (int64_t i = members; i < f->members; i++)
        if (f->written[i])
            return gen_fail(GEN_EINVAL, "forecast: member %lld is written, so %lld are too few",
                            (long long)i, (long long)members);
    f->members = members;
    return GEN_OK;
}

gen_status gen_forecast_comment(gen_forecast *f, const char *text)
{
    gen_netcdf_lock();
    gen_netcdf_text(&f->w, NC_GLOBAL, "comment", text);
    gen_netcdf_unlock();
    return gen_netcdf_writer_status(&f->w);
}

gen_status gen_forecast_commit(gen_forecast *f)
{
    for (int64_t i = 0; i < f->members; i++)
        if (!f->written[i])
            return gen_fail(GEN_EINVAL, "forecast: member %lld of %lld was not written",
                            (long long)i, (long long)f->members);
    if (f->clipped)
        gen_log(GEN_LOG_WARN, "forecast: %lld values above %.0f mm/h are written as that",
                (long long)f->clipped, (double)PACKED_MAX);
    gen_netcdf_lock();
    gen_status status = gen_netcdf_commit(&f->w);
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
    gen_netcdf_unlock();
    gen_free(f->written);
    gen_free(f->packed);
    gen_free(f);
}
