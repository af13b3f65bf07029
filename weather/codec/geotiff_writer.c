/* SPDX-License-Identifier: Apache-2.0
 *
 * Writer of one frame as GeoTIFF: tiles of 256 x 256, deflate. Whole steps as uint16 with scale and
 * nodata as GDAL has them, or float32 with NaN. How it was made stands in ImageDescription and in
 * GDAL_METADATA; the time, UTC, in DateTime and in its item VALID_TIME.
 *
 * libtiff writes to memory: a disk that is full is then our sentence, in one place.
 */
#include <errno.h>
#include <geotiff/xtiffio.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tiffio.h>

#include "libgen/base/alloc.h"
#include "libgen/base/file.h"
#include "libgen/base/options.h"
#include "weather/codec/geotiff.h"

#define SIDE 256 /* of a tile */
#define MISSING 65535
#define MAX_TEXT 2000 /* of the history and the source */

typedef struct memory {
    unsigned char *bytes;
    uint64_t size, capacity, at;
    bool failed;
} memory;

/* ---- libtiff on memory --------------------------------------------------------------------- */

static tmsize_t read_memory(thandle_t handle, void *out, tmsize_t n)
{
    memory *m = handle;
    uint64_t left = m->at < m->size ? m->size - m->at : 0;
    uint64_t got = n > 0 && (uint64_t)n < left ? (uint64_t)n : left;
    memcpy(out, m->bytes + m->at, got);
    m->at += got;
    return (tmsize_t)got;
}

static tmsize_t write_memory(thandle_t handle, void *bytes, tmsize_t n)
{
    memory *m = handle;
    uint64_t end = m->at + (uint64_t)n;
    if (m->failed || GEN_GROW(&m->bytes, &m->capacity, end) != GEN_OK) {
        m->failed = true;
        return 0;
    }
    if (m->at > m->size)
        memset(m->bytes + m->size, 0, m->at - m->size);
    memcpy(m->bytes + m->at, bytes, (size_t)n);
    m->at = end;
    m->size = end > m->size ? end : m->size;
    return n;
}

static toff_t seek_memory(thandle_t handle, toff_t to, int whence)
{
    memory *m = handle;
    m->at = to + (whence == SEEK_CUR ? m->at : whence == SEEK_END ? m->size : 0);
    return m->at;
}

static int close_memory(thandle_t handle)
{
    (void)handle;
    return 0;
}

static toff_t size_of_memory(thandle_t handle)
{
    const memory *m = handle;
    return m->size;
}

static int no_message(TIFF *tif, void *cookie, const char *module, const char *format, va_list list)
{
    (void)tif;
    (void)cookie;
    (void)module;
    (void)format;
    (void)list;
    return 1;
}

static gen_status open_memory(TIFF **out, memory *m, const char *path)
{
    static const TIFFFieldInfo gdal[] = {
        { TIFF_GDAL_METADATA, -1, -1, TIFF_ASCII, FIELD_CUSTOM, true, false, "GDALMetadata" },
        { TIFF_GDAL_NODATA, -1, -1, TIFF_ASCII, FIELD_CUSTOM, true, false, "GDALNoData" },
    };
    gen_geotiff_tags();
    TIFFOpenOptions *o = TIFFOpenOptionsAlloc();
    if (o) {
        TIFFOpenOptionsSetErrorHandlerExtR(o, no_message, NULL);
        TIFFOpenOptionsSetWarningHandlerExtR(o, no_message, NULL);
        *out = TIFFClientOpenExt(path, "w8", m, read_memory, write_memory, seek_memory,
                                 close_memory, size_of_memory, NULL, NULL, o);
        TIFFOpenOptionsFree(o);
    }
    if (!*out)
        return gen_fail(GEN_ENOMEM, "out of memory for '%s'", path);
    TIFFMergeFieldInfo(*out, gdal, GEN_LEN(gdal));
    return GEN_OK;
}

/* ---- tags ---------------------------------------------------------------------------------- */

/* Step of an axis whose cells are equally far apart. */
static gen_status step_of(const double *v, int64_t n, const char *axis, double *step)
{
    *step = n > 1 ? (v[n - 1] - v[0]) / (double)(n - 1) : 0;
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(v[i] - (v[0] + (double)i * *step)) <= 1e-3 * fabs(*step)))
            return gen_fail(GEN_EDATA, "%s[%lld] is %.10g: GeoTIFF wants cells equally far apart",
                            axis, (long long)i, v[i]);
    return GEN_OK;
}

static gen_status put_place(TIFF *tif, const gen_radar_grid *g)
{
    double dx, dy;
    GEN_TRY(step_of(g->x, g->width, "x", &dx));
    GEN_TRY(step_of(g->y, g->height, "y", &dy));
    dx = g->width > 1 ? dx : fabs(dy);
    dy = g->height > 1 ? -dy : dx;
    if (!(dx > 0) || !(dy > 0))
        return gen_fail(GEN_EDATA,
                        "one cell, or cells of %g x %g: GeoTIFF wants rows to the south "
                        "and columns to the east",
                        dx, dy);
    const double scale[3] = { dx, dy, 0 };
    const double tie[6] = { 0, 0, 0, g->x[0] - dx / 2, g->y[0] + dy / 2, 0 };
    TIFFSetField(tif, TIFFTAG_GEOPIXELSCALE, 3, scale);
    TIFFSetField(tif, TIFFTAG_GEOTIEPOINTS, 6, tie);
    return gen_geotiff_write_keys(tif, g);
}

/* Text as GDAL has it, escaped for XML twice, cut to MAX_TEXT bytes before; without control
 * characters. */
static void escape(const char *text, char *out, size_t size)
{
    size_t used = 0, n = strlen(text) < MAX_TEXT ? strlen(text) : MAX_TEXT;
    for (size_t i = 0; i < n && used + 16 < size; i++) {
        const char *name = text[i] == '<'   ? "&amp;lt;"
                           : text[i] == '>' ? "&amp;gt;"
                           : text[i] == '&' ? "&amp;amp;"
                           : text[i] == '"' ? "&amp;quot;"
                                            : NULL;
        if (name)
            used += (size_t)snprintf(out + used, size - used, "%s", name);
        else
            out[used++] = (unsigned char)text[i] < ' ' ? ' ' : text[i];
    }
    out[used] = 0;
}

static gen_status put_texts(TIFF *tif, const gen_radar_sequence *s, int64_t frame, double step,
                            const char *history)
{
    gen_status status;
    char *xml = NULL, *escaped = NULL, time[32], date[20], number[GEN_REAL_TEXT];
    const size_t size = 10 * MAX_TEXT; /* the longest name has 10 bytes */
    GEN_GOTO(GEN_ALLOC(&xml, 3 * size, "GDAL_METADATA"));
    GEN_GOTO(GEN_ALLOC(&escaped, 2 * size, "GDAL_METADATA"));
    escape(history ? history : "", escaped, size);
    escape(s->source ? s->source : "", escaped + size, size);
    gen_time_text(s->time[frame], time);
    int n =
        snprintf(xml, 3 * size,
                 "<GDALMetadata>\n"
                 "  <Item name=\"VALID_TIME\">%s</Item>\n"
                 "  <Item name=\"history\">%s</Item>\n"
                 "  <Item name=\"source\">%s</Item>\n"
                 "  <Item name=\"DESCRIPTION\" sample=\"0\" role=\"description\">rain_rate</Item>\n"
                 "  <Item name=\"UNITTYPE\" sample=\"0\" role=\"unittype\">mm/h</Item>\n",
                 time, escaped, escaped + size);
    if (step > 0)
        n += snprintf(xml + n, 3 * size - (size_t)n,
                      "  <Item name=\"OFFSET\" sample=\"0\" role=\"offset\">0</Item>\n"
                      "  <Item name=\"SCALE\" sample=\"0\" role=\"scale\">%s</Item>\n",
                      gen_real_text(step, number));
    snprintf(xml + n, 3 * size - (size_t)n, "</GDALMetadata>\n");
    TIFFSetField(tif, TIFF_GDAL_METADATA, xml);
    TIFFSetField(tif, TIFF_GDAL_NODATA, step > 0 ? "65535" : "nan");
    if (history && *history)
        TIFFSetField(tif, TIFFTAG_IMAGEDESCRIPTION, history);
    TIFFSetField(tif, TIFFTAG_SOFTWARE, "libgen " GEN_VERSION);
    snprintf(date, sizeof date, "%.4s:%.2s:%.2s %.8s", time, time + 5, time + 8, time + 11);
    if (strlen(time) == 20) /* years 1 to 9999 */
        TIFFSetField(tif, TIFFTAG_DATETIME, date);
done:
    gen_free(escaped);
    gen_free(xml);
    return status;
}

/* ---- values -------------------------------------------------------------------------------- */

/* Rows and columns beyond the grid repeat nothing: they are missing. */
static void fill_tile(const gen_radar_grid *g, const float *rain, int64_t top, int64_t left,
                      double step, void *tile)
{
    uint16_t *whole = tile;
    float *real = tile;
    for (int64_t j = 0; j < SIDE; j++)
        for (int64_t i = 0; i < SIDE; i++) {
            bool inside = top + j < g->height && left + i < g->width;
            float v = inside ? rain[(top + j) * g->width + left + i] : NAN;
            if (step > 0)
                whole[j * SIDE + i] = isnan(v) ? MISSING : (uint16_t)floor((double)v / step + 0.5);
            else
                real[j * SIDE + i] = v;
        }
}

static gen_status put_values(TIFF *tif, const gen_radar_grid *g, const float *rain, double step)
{
    gen_status status = GEN_OK;
    const tmsize_t bytes = SIDE * SIDE * (step > 0 ? 2 : 4);
    void *tile = NULL;
    uint32_t index = 0;
    GEN_TRY(gen_alloc_raw(&tile, (uint64_t)bytes, 1, "TIFF tile"));
    for (int64_t top = 0; top < g->height && status == GEN_OK; top += SIDE)
        for (int64_t left = 0; left < g->width && status == GEN_OK; left += SIDE) {
            fill_tile(g, rain, top, left, step, tile);
            if (TIFFWriteEncodedTile(tif, index++, tile, bytes) < 0)
                status = gen_fail(GEN_ENOMEM, "out of memory for a TIFF tile");
        }
    gen_free(tile);
    return status;
}

static void put_kind(TIFF *tif, const gen_radar_grid *g, double step)
{
    TIFFSetField(tif, TIFFTAG_IMAGEWIDTH, (uint32_t)g->width);
    TIFFSetField(tif, TIFFTAG_IMAGELENGTH, (uint32_t)g->height);
    TIFFSetField(tif, TIFFTAG_TILEWIDTH, SIDE);
    TIFFSetField(tif, TIFFTAG_TILELENGTH, SIDE);
    TIFFSetField(tif, TIFFTAG_SAMPLESPERPIXEL, 1);
    TIFFSetField(tif, TIFFTAG_BITSPERSAMPLE, step > 0 ? 16 : 32);
    TIFFSetField(tif, TIFFTAG_SAMPLEFORMAT, step > 0 ? SAMPLEFORMAT_UINT : SAMPLEFORMAT_IEEEFP);
    TIFFSetField(tif, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
    TIFFSetField(tif, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    TIFFSetField(tif, TIFFTAG_COMPRESSION, COMPRESSION_ADOBE_DEFLATE);
    TIFFSetField(tif, TIFFTAG_PREDICTOR, step > 0 ? PREDICTOR_HORIZONTAL : PREDICTOR_FLOATINGPOINT);
}

/* 0 when a value has no code of 16 bits. */
static double usable_step(const float *rain, int64_t n, double step)
{
    for (int64_t i = 0; i < n && step > 0; i++)
        if (rain[i] < 0 || (double)rain[i] / step + 0.5 >= MISSING)
            step = 0;
    return step;
}

static gen_status put_picture(const gen_radar_sequence *s, int64_t frame, double precision,
                              const char *history, TIFF *tif)
{
    const gen_radar_grid *g = &s->grid;
    const float *rain = s->rain + frame * g->height * g->width;
    double step = usable_step(rain, g->height * g->width, precision > 0 ? precision : 0);
    put_kind(tif, g, step);
    GEN_TRY(put_place(tif, g));
    GEN_TRY(put_texts(tif, s, frame, step, history));
    GEN_TRY(put_values(tif, g, rain, step));
    return TIFFFlush(tif) ? GEN_OK : gen_fail(GEN_ENOMEM, "out of memory for TIFF tags");
}

gen_status gen_radar_write_geotiff(const gen_radar_sequence *s, int64_t frame, const char *path,
                                   double precision, const char *history, bool force)
{
    gen_status status;
    gen_output o = { .path = NULL };
    memory m = { .bytes = NULL };
    TIFF *tif = NULL;
    if (frame < 0 || frame >= s->frames)
        return gen_fail(GEN_EINVAL, "frame %lld of %lld", (long long)frame, (long long)s->frames);
    GEN_GOTO(gen_output_open(&o, path, force, false));
    GEN_GOTO(open_memory(&tif, &m, path));
    status = put_picture(s, frame, precision, history, tif);
    TIFFClose(tif);
    if (status == GEN_OK && m.failed)
        status = gen_fail(GEN_ENOMEM, "out of memory for '%s'", path);
    if (status != GEN_OK)
        GEN_GOTO(gen_fail_in(status, "'%s'", path));
    if (fwrite(m.bytes, 1, m.size, o.file) != m.size)
        GEN_GOTO(gen_output_error(path, errno));
    GEN_GOTO(gen_output_commit(&o));
done:
    gen_free(m.bytes);
    gen_output_abort(&o);
    return status;
}
