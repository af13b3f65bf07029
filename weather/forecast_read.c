/* SPDX-License-Identifier: Apache-2.0
 *
 * Forecasts as they are read back: a radar file whose frames are those of one member behind the
 * other (weather/codec), so that units, packing, orientation and hostile files are dealt with in
 * one place.
 */
#include "libgen/base/alloc.h"
#include "weather/codec/codec.h"

typedef struct reader {
    gen_radar_read_options options; /* the file borrows them */
    gen_radar_file *file;
} reader;

/* Lead times rise and follow a reference. */
static gen_status find_times(gen_forecast_file *f, const gen_radar_file *file)
{
    int64_t n = f->lead_steps;
    char text[32];
    for (int64_t i = 0; i < n; i++) {
        f->time[i] = file->time[i];
        if (f->time[i] == GEN_TIME_UNKNOWN)
            return gen_fail(GEN_EDATA, "'%s' does not tell its times", f->path);
        if (i > 0 && f->time[i] <= f->time[i - 1])
            return gen_fail(GEN_EDATA, "'%s': lead times do not rise at %s", f->path,
                            gen_time_text(f->time[i], text));
    }
    if (file->reference == GEN_TIME_UNKNOWN && n == 1)
        return gen_fail(GEN_EDATA,
                        "'%s' holds one lead time, and no forecast_reference_time: how far "
                        "ahead it is, nobody can tell",
                        f->path);
    int64_t first = n > 1 ? f->time[1] - f->time[0] : f->time[0] - file->reference;
    f->reference_time = file->reference == GEN_TIME_UNKNOWN ? f->time[0] - first : file->reference;
    f->step = first > 0 ? first : 0;
    for (int64_t i = 0; i < n; i++)
        if (f->time[i] - f->reference_time != (i + 1) * f->step)
            f->step = 0;
    return GEN_OK;
}

gen_status gen_forecast_open(gen_forecast_file **out, const char *path,
                             const gen_radar_read_options *options)
{
    gen_status status;
    gen_forecast_file *f = NULL;
    reader *r = NULL;
    *out = NULL;
    GEN_TRY(GEN_ALLOC(&f, 1, "forecast file"));
    GEN_GOTO(GEN_ALLOC(&r, 1, "forecast file"));
    f->state = r;
    if (options)
        r->options = *options;
    GEN_GOTO(gen_strdup(&f->path, path));
    GEN_GOTO(gen_radar_file_open_ensemble(&r->file, path, &r->options));
    GEN_GOTO(gen_radar_rate_prepare(r->file));
    GEN_GOTO(gen_radar_grid_copy(&f->grid, &r->file->grid));
    f->members = r->file->members;
    f->lead_steps = r->file->frames;
    GEN_GOTO(GEN_ALLOC(&f->time, f->lead_steps, "lead times"));
    GEN_GOTO(find_times(f, r->file));
    *out = f;
    f = NULL;
done:
    gen_forecast_close(&f);
    return status;
}

gen_status gen_forecast_read(gen_forecast_file *f, int64_t member, int64_t lead, float *rain)
{
    const reader *r = f->state;
    if (member < 0 || member >= f->members || lead < 0 || lead >= f->lead_steps)
        return gen_fail(GEN_EINVAL, "'%s': member %lld at lead time %lld, but it holds %lld x %lld",
                        f->path, (long long)member, (long long)lead, (long long)f->members,
                        (long long)f->lead_steps);
    return gen_radar_file_read_rain(r->file, member * f->lead_steps + lead, rain);
}

void gen_forecast_close(gen_forecast_file **file)
{
    gen_forecast_file *f = *file;
    reader *r = f ? f->state : NULL;
    *file = NULL;
    if (!f)
        return;
    if (r)
        gen_radar_file_close(&r->file);
    gen_free(r);
    gen_radar_grid_clear(&f->grid);
    gen_free(f->time);
    gen_free(f->path);
    gen_free(f);
}
