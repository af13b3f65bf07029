/* SPDX-License-Identifier: Apache-2.0
 *
 * Writer of one frame as ODIM_H5 2.4: a composite (COMP) of RATE, in whole steps of `precision` as
 * 16 bit integers, or 32 where the rain does not fit. Dry is undetect, not measured is nodata. One
 * file a time, as those who exchange ODIM expect it. What made it stands in /how.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "weather/codec/codec.h"
#include "weather/codec/hdf5_writer.h"
#include "weather/projection.h"

#define DRY 0u
#define MOST_SHORT 65534.0 /* steps; one more is nodata */
#define MOST_WIDE 4294967294.0

/* ---- place ------------------------------------------------------------------------------- */

/* Distance of cells, which ODIM wants to be equal. */
static gen_status spacing(const double *v, int64_t n, const char *name, double sign, double *out)
{
    double cell = n > 1 ? (v[n - 1] - v[0]) / (double)(n - 1) : 0;
    bool regular = sign * cell > 0;
    for (int64_t i = 0; i < n; i++)
        regular = regular && fabs(v[i] - v[0] - cell * (double)i) <= 0.01 * fabs(cell);
    *out = fabs(cell);
    if (!regular)
        return gen_fail(GEN_EDATA, "the cells are not equally far apart in %s, as ODIM wants them",
                        name);
    return GEN_OK;
}

static gen_status put_corners(gen_hdf5_writer *w, const gen_radar_grid *g, const double cell[2])
{
    const double x[2] = { g->x[0] - cell[0] / 2, g->x[g->width - 1] + cell[0] / 2 };
    const double y[2] = { g->y[g->height - 1] - cell[1] / 2, g->y[0] + cell[1] / 2 };
    const struct {
        const char *lon, *lat;
        int x, y;
    } corners[] = { { "LL_lon", "LL_lat", 0, 0 },
                    { "UL_lon", "UL_lat", 0, 1 },
                    { "UR_lon", "UR_lat", 1, 1 },
                    { "LR_lon", "LR_lat", 1, 0 } };
    gen_projection *p = NULL;
    GEN_TRY(gen_projection_open(&p, g));
    gen_status status = GEN_OK;
    for (int i = 0; i < 4 && status == GEN_OK; i++) {
        double lat, lon, at_x = x[corners[i].x], at_y = y[corners[i].y];
        if (!gen_projection_inverse(p, at_x, at_y, &lat, &lon))
            status = gen_fail(
                GEN_EDATA, "the corner %g, %g of the grid lies outside its projection", at_x, at_y);
        gen_hdf5_put_real(w, "where", corners[i].lon, lon);
        gen_hdf5_put_real(w, "where", corners[i].lat, lat);
    }
    gen_projection_free(&p);
    return status;
}

static gen_status put_where(gen_hdf5_writer *w, const gen_radar_grid *g)
{
    char *proj = NULL;
    double cell[2];
    GEN_TRY(spacing(g->x, g->width, "x", 1, &cell[0]));
    GEN_TRY(spacing(g->y, g->height, "y", -1, &cell[1]));
    GEN_TRY(gen_projection_string(g, &proj));
    if (!proj && !g->degrees)
        return gen_fail(GEN_EDATA, "the grid has no projection, which ODIM needs");
    gen_hdf5_put_text(w, "where", "projdef", proj ? proj : "+proj=longlat +datum=WGS84 +no_defs");
    gen_free(proj);
    gen_hdf5_put_int(w, "where", "xsize", g->width);
    gen_hdf5_put_int(w, "where", "ysize", g->height);
    gen_hdf5_put_real(w, "where", "xscale", cell[0]);
    gen_hdf5_put_real(w, "where", "yscale", cell[1]);
    return put_corners(w, g, cell);
}

/* ---- values ------------------------------------------------------------------------------ */

static gen_status put_values(gen_hdf5_writer *w, const float *rain, int64_t h, int64_t width,
                             double step)
{
    static const char what[] = "dataset1/data1/what";
    uint32_t *packed = NULL;
    float highest = 0;
    GEN_TRY(gen_alloc_raw((void **)&packed, (uint64_t)(h * width), sizeof *packed, "a frame"));
    for (int64_t i = 0; i < h * width; i++)
        highest = rain[i] > highest ? rain[i] : highest;
    bool wide = floor((double)highest / step + 0.5) > MOST_SHORT;
    double most = wide ? MOST_WIDE : MOST_SHORT;
    uint32_t missing = wide ? UINT32_MAX : UINT16_MAX;
    for (int64_t i = 0; i < h * width; i++) {
        double v = floor((double)rain[i] / step + 0.5);
        packed[i] = isnan(rain[i]) ? missing : !(v > 0) ? DRY : (uint32_t)(v < most ? v : most);
    }
    gen_hdf5_put_grid(w, "dataset1/data1/data", packed, h, width, wide);
    gen_free(packed);
    gen_hdf5_put_text(w, "dataset1/data1/data", "CLASS", "IMAGE");
    gen_hdf5_put_text(w, "dataset1/data1/data", "IMAGE_VERSION", "1.2");
    gen_hdf5_put_text(w, what, "quantity", "RATE");
    gen_hdf5_put_real(w, what, "gain", step);
    gen_hdf5_put_real(w, what, "offset", 0);
    gen_hdf5_put_real(w, what, "nodata", missing);
    gen_hdf5_put_real(w, what, "undetect", DRY);
    return GEN_OK;
}

/* "20180824" and "180500". */
static void put_time(gen_hdf5_writer *w, const char *object, const char *date_name,
                     const char *time_name, int64_t t)
{
    char iso[32], digits[32];
    size_t n = 0;
    gen_time_text(t, iso);
    for (const char *c = iso; *c; c++)
        if (*c >= '0' && *c <= '9')
            digits[n++] = *c;
    digits[n] = 0;
    gen_hdf5_put_text(w, object, time_name, n > 8 ? digits + 8 : "");
    digits[n > 8 ? 8 : n] = 0;
    gen_hdf5_put_text(w, object, date_name, digits);
}

/* HDF5 has attributes of up to 64 kB, and names of many files may be more. */
static void put_words(gen_hdf5_writer *w, const char *name, const char *words)
{
    char text[4096];
    snprintf(text, sizeof text, "%s", words);
    gen_hdf5_put_text(w, "how", name, text);
}

static gen_status put_all(gen_hdf5_writer *w, const gen_radar_sequence *s, int64_t frame,
                          double step, const char *history)
{
    const gen_radar_grid *g = &s->grid;
    gen_hdf5_put_text(w, "", "Conventions", "ODIM_H5/V2_4");
    gen_hdf5_put_text(w, "what", "object", "COMP");
    gen_hdf5_put_text(w, "what", "version", "H5rad 2.4");
    gen_hdf5_put_text(w, "what", "source", "CMT:libgen");
    put_time(w, "what", "date", "time", s->time[frame]);
    GEN_TRY(put_where(w, g));
    gen_hdf5_put_text(w, "how", "software", "libgen");
    gen_hdf5_put_text(w, "how", "sw_version", gen_version());
    if (s->source)
        put_words(w, "input_files", s->source);
    if (history)
        put_words(w, "comment", history);
    gen_hdf5_put_text(w, "dataset1/what", "product", "SURF");
    put_time(w, "dataset1/what", "startdate", "starttime", s->time[frame]);
    put_time(w, "dataset1/what", "enddate", "endtime", s->time[frame]);
    return put_values(w, s->rain + frame * g->height * g->width, g->height, g->width, step);
}

gen_status gen_radar_write_odim(const gen_radar_sequence *s, int64_t frame, const char *path,
                                double precision, const char *history, bool force)
{
    gen_hdf5_quiet quiet;
    gen_hdf5_writer w;
    if (frame < 0 || frame >= s->frames)
        return gen_fail(GEN_EINVAL, "frame %lld of a sequence of %lld", (long long)frame,
                        (long long)s->frames);
    gen_hdf5_enter(&quiet);
    gen_hdf5_create(&w);
    gen_status status = put_all(&w, s, frame, precision > 0 ? precision : 0.01, history);
    if (status == GEN_OK)
        status = gen_hdf5_commit(&w, path, force);
    gen_hdf5_writer_close(&w);
    gen_hdf5_leave(&quiet);
    return status == GEN_EDATA ? gen_fail_in(status, "'%s'", path) : status;
}
