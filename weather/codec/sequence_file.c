/* SPDX-License-Identifier: Apache-2.0
 *
 * Writer of sequences as CF-1.8 netCDF-4: rain_rate(time,y,x). Whole steps of `precision` as int32,
 * because CF 1.8 knows no unsigned types: dry is exactly 0, and nothing is clipped.
 */
#include <limits.h>
#include <math.h>

#include "libgen/base/alloc.h"
#include "weather/codec/netcdf_writer.h"

#define MISSING (-1)
#define DEFLATE 9

static gen_status define(gen_netcdf_writer *w, const gen_radar_sequence *s, double step,
                         const char *history, int *rain)
{
    gen_netcdf_grid grid;
    int time_dim, bounds = -1;
    const int missing = MISSING;
    bool means = s->interval > 0;
    int time = gen_netcdf_define_time(w, "time", s->frames, &time_dim, means ? &bounds : NULL);
    GEN_TRY(gen_netcdf_define_grid(w, &s->grid, false, &grid));
    const int dims[3] = { time_dim, grid.dims[0], grid.dims[1] };
    *rain = gen_netcdf_variable(w, "rain_rate", NC_INT, 3, dims);
    GEN_TRY(gen_netcdf_writer_status(w));
    gen_netcdf_chunk(w, *rain, 3, s->grid.height, s->grid.width, DEFLATE);
    gen_netcdf_failed(w, nc_put_att_int(w->nc, *rain, "_FillValue", NC_INT, 1, &missing),
                      "_FillValue");
    gen_netcdf_number(w, *rain, "scale_factor", step);
    gen_netcdf_number(w, *rain, "add_offset", 0);
    gen_netcdf_texts(w, *rain,
                     (const char *const[]){ "standard_name", "lwe_precipitation_rate", "long_name",
                                            "rain rate", "units", "mm h-1", "cell_methods",
                                            means ? "time: mean" : NULL, NULL });
    gen_netcdf_place(w, *rain, &grid, NULL);
    gen_netcdf_texts(w, NC_GLOBAL,
                     (const char *const[]){ "Conventions", "CF-1.8", "title", "Rain rate by radar",
                                            "source", s->source, "history", history, NULL });
    gen_netcdf_number(w, NC_GLOBAL, "time_step_seconds", (double)s->step);
    gen_netcdf_end_definitions(w);
    GEN_TRY(gen_netcdf_put_grid(w, &grid));
    for (int64_t i = 0; i < s->frames; i++)
        gen_netcdf_put(w, time, (size_t)i, (double)s->time[i]);
    for (int64_t i = 0; i < s->frames && means; i++)
        gen_netcdf_put_pair(w, bounds, (size_t)i, (double)s->time[i] - s->interval,
                            (double)s->time[i]);
    return gen_netcdf_writer_status(w);
}

static gen_status put_frames(gen_netcdf_writer *w, const gen_radar_sequence *s, double step,
                             int rain)
{
    int *packed = NULL;
    int64_t n = s->grid.height * s->grid.width;
    GEN_TRY(GEN_ALLOC(&packed, n, "a frame"));
    for (int64_t f = 0; f < s->frames && w->code == NC_NOERR; f++) {
        const float *from = s->rain + f * n;
        for (int64_t i = 0; i < n; i++) {
            double v = floor((double)from[i] / step + 0.5);
            packed[i] = isnan(from[i]) ? MISSING : v < 0 ? 0 : v > INT_MAX ? INT_MAX : (int)v;
        }
        const size_t start[3] = { (size_t)f, 0, 0 };
        const size_t count[3] = { 1, (size_t)s->grid.height, (size_t)s->grid.width };
        gen_netcdf_failed(w, nc_put_vara_int(w->nc, rain, start, count, packed), "rain_rate");
    }
    gen_free(packed);
    return gen_netcdf_writer_status(w);
}

gen_status gen_radar_write(const gen_radar_sequence *s, const char *path, double precision,
                           const char *history, bool force)
{
    gen_status status;
    gen_netcdf_writer w = { .nc = -1 };
    double step = precision > 0 ? precision : 0.01;
    int rain;
    gen_netcdf_lock();
    GEN_GOTO(gen_netcdf_create(&w, path, force));
    GEN_GOTO(define(&w, s, step, history, &rain));
    GEN_GOTO(put_frames(&w, s, step, rain));
    GEN_GOTO(gen_netcdf_commit(&w));
done:
    gen_netcdf_abort(&w);
    gen_netcdf_unlock();
    return status;
}
