/* SPDX-License-Identifier: Apache-2.0
 *
 * Reader of GeoTIFF with one band: 8, 16 and 32 bit integers and floats, in strips or tiles, of the
 * lossless compressions that libtiff has. The first picture only; smaller copies (overviews) stand
 * behind it.
 *
 * grid       ModelTiepoint and ModelPixelScale, or ModelTransformation without rotation; the
 *            projection of the geo keys, by libgeotiff
 * values     raw * scale + offset. The raw values of GDAL_NODATA and of the item Nodata are
 * missing, that of Undetect is GEN_UNDETECTED, blocks that a sparse file leaves out are missing
 * quantity   from the unit
 * time       from GDAL_METADATA, else the tag DateTime, as UTC
 */
#include <geotiff/xtiffio.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <tiffio.h>

#include "libgen/base/alloc.h"
#include "weather/codec/geotiff.h"

#define MAX_SIDE 65536
#define MAX_CELLS ((int64_t)1 << 27)
#define MAX_BLOCK                                                                                  \
    ((uint64_t)1 << 28) /* bytes of a strip or tile, and of anything libtiff wants                 \
                         */
#define LEAST_CELL 1e-6 /* so that cells next to each other have different places */
#define MAX_TEXT 65536

typedef struct geotiff_state {
    TIFF *tif;
    uint64_t at; /* in the file */
    char why[200];
    geotiff_meaning meaning;
    uint16_t bits, format;
    bool tiled, south_first;
    uint32_t block_width, block_height;
    uint64_t block_bytes;
    unsigned char *block;
    float *table; /* value of each raw value of 8 or 16 bits */
} geotiff_state;

/* ---- libtiff, on memory and silent --------------------------------------------------------- */

static tmsize_t read_bytes(thandle_t handle, void *out, tmsize_t n)
{
    const gen_radar_file *f = handle;
    geotiff_state *k = f->state;
    uint64_t left = k->at < f->size ? f->size - k->at : 0, wanted = n > 0 ? (uint64_t)n : 0;
    uint64_t got = wanted < left ? wanted : left;
    if (got)
        memcpy(out, f->bytes + k->at, got);
    k->at += got;
    return (tmsize_t)got;
}

static tmsize_t write_nothing(thandle_t handle, void *bytes, tmsize_t n)
{
    (void)handle;
    (void)bytes;
    (void)n;
    return 0;
}

static toff_t seek_bytes(thandle_t handle, toff_t to, int whence)
{
    const gen_radar_file *f = handle;
    geotiff_state *k = f->state;
    k->at = to + (whence == SEEK_CUR ? k->at : whence == SEEK_END ? f->size : 0);
    return k->at;
}

static int close_nothing(thandle_t handle)
{
    (void)handle;
    return 0;
}

static toff_t size_of_bytes(thandle_t handle)
{
    const gen_radar_file *f = handle;
    return f->size;
}

/* libtiff then takes the file's bytes where they are. It does not write to them. */
static int map_bytes(thandle_t handle, void **base, toff_t *size)
{
    const gen_radar_file *f = handle;
    *base = (void *)(uintptr_t)f->bytes;
    *size = f->size;
    return 1;
}

static void unmap_nothing(thandle_t handle, void *base, toff_t size)
{
    (void)handle;
    (void)base;
    (void)size;
}

/* The first error is the cause. */
static int keep_error(TIFF *tif, void *cookie, const char *module, const char *format, va_list list)
{
    const gen_radar_file *f = cookie;
    geotiff_state *k = f->state;
    (void)tif;
    (void)module;
    if (!k->why[0])
        vsnprintf(k->why, sizeof k->why, format, list);
    return 1;
}

static int no_warning(TIFF *tif, void *cookie, const char *module, const char *format, va_list list)
{
    (void)tif;
    (void)cookie;
    (void)module;
    (void)format;
    (void)list;
    return 1;
}

/* libgeotiff tells libtiff once, without a lock. */
static pthread_once_t tags_once = PTHREAD_ONCE_INIT;

void gen_geotiff_tags(void)
{
    pthread_once(&tags_once, XTIFFInitialize);
}

static gen_status damaged(const gen_radar_file *f, const char *what)
{
    const geotiff_state *k = f->state;
    return gen_fail(GEN_EDATA, "'%s': %s%s%s", f->path, what, k->why[0] ? ": " : "", k->why);
}

static gen_status open_tiff(gen_radar_file *f)
{
    geotiff_state *k = f->state;
    gen_geotiff_tags();
    TIFFOpenOptions *o = TIFFOpenOptionsAlloc();
    if (!o)
        return gen_fail(GEN_ENOMEM, "out of memory for '%s'", f->path);
    TIFFOpenOptionsSetErrorHandlerExtR(o, keep_error, f);
    TIFFOpenOptionsSetWarningHandlerExtR(o, no_warning, f);
    TIFFOpenOptionsSetMaxSingleMemAlloc(o, (tmsize_t)MAX_BLOCK);
    k->tif = TIFFClientOpenExt(f->path, "r", f, read_bytes, write_nothing, seek_bytes,
                               close_nothing, size_of_bytes, map_bytes, unmap_nothing, o);
    TIFFOpenOptionsFree(o);
    return k->tif ? GEN_OK : damaged(f, "it is damaged or no TIFF file");
}

/* ---- the picture --------------------------------------------------------------------------- */

static gen_status expect_tag(const gen_radar_file *f, const char *name, int found,
                             const int *allowed, int n, const char *expected)
{
    for (int i = 0; i < n; i++)
        if (allowed[i] == found)
            return GEN_OK;
    return gen_fail(GEN_EDATA, "'%s': %s is %d, expected %s", f->path, name, found, expected);
}

static int short_tag(TIFF *tif, uint32_t tag)
{
    uint16_t v = 0;
    return TIFFGetFieldDefaulted(tif, tag, &v) ? v : 0;
}

static gen_status read_kind(gen_radar_file *f)
{
    geotiff_state *k = f->state;
    static const int one[] = { 1 }, grey[] = { 0, 1 }, depths[] = { 8, 16, 32, 64 };
    static const int kinds[] = { SAMPLEFORMAT_UINT, SAMPLEFORMAT_INT, SAMPLEFORMAT_IEEEFP };
    static const int lossless[] = { COMPRESSION_NONE,          COMPRESSION_LZW,
                                    COMPRESSION_ADOBE_DEFLATE, COMPRESSION_DEFLATE,
                                    COMPRESSION_LZMA,          COMPRESSION_ZSTD,
                                    COMPRESSION_PACKBITS };
    k->bits = (uint16_t)short_tag(k->tif, TIFFTAG_BITSPERSAMPLE);
    k->format = (uint16_t)short_tag(k->tif, TIFFTAG_SAMPLEFORMAT);
    GEN_TRY(expect_tag(f, "SamplesPerPixel", short_tag(k->tif, TIFFTAG_SAMPLESPERPIXEL), one, 1,
                       "1, a picture of one band"));
    GEN_TRY(expect_tag(f, "PhotometricInterpretation", short_tag(k->tif, TIFFTAG_PHOTOMETRIC), grey,
                       2, "0 or 1, grey values"));
    GEN_TRY(expect_tag(f, "Compression", short_tag(k->tif, TIFFTAG_COMPRESSION), lossless,
                       GEN_LEN(lossless), "none, LZW, deflate, PackBits, LZMA or ZSTD"));
    GEN_TRY(expect_tag(f, "BitsPerSample", k->bits, depths, GEN_LEN(depths), "8, 16, 32 or 64"));
    GEN_TRY(expect_tag(f, "SampleFormat", k->format, kinds, GEN_LEN(kinds),
                       "1, 2 or 3: integers or floats"));
    bool floats = k->format == SAMPLEFORMAT_IEEEFP;
    if (floats ? k->bits < 32 : k->bits > 32)
        return gen_fail(GEN_EDATA, "'%s': BitsPerSample is %d, expected %s", f->path, k->bits,
                        floats ? "32 or 64 for floats" : "8, 16 or 32 for integers");
    return GEN_OK;
}

static gen_status read_sizes(gen_radar_file *f)
{
    geotiff_state *k = f->state;
    uint32_t width = 0, height = 0;
    TIFFGetField(k->tif, TIFFTAG_IMAGEWIDTH, &width);
    TIFFGetField(k->tif, TIFFTAG_IMAGELENGTH, &height);
    if (width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE ||
        (int64_t)width * height > MAX_CELLS)
        return gen_fail(GEN_EDATA, "'%s' has %u x %u cells", f->path, height, width);
    k->tiled = TIFFIsTiled(k->tif) != 0;
    k->block_width = width;
    if (k->tiled) {
        TIFFGetField(k->tif, TIFFTAG_TILEWIDTH, &k->block_width);
        TIFFGetField(k->tif, TIFFTAG_TILELENGTH, &k->block_height);
    } else {
        TIFFGetFieldDefaulted(k->tif, TIFFTAG_ROWSPERSTRIP, &k->block_height);
        k->block_height = k->block_height < height ? k->block_height : height;
    }
    uint64_t bytes = (uint64_t)k->block_width * k->block_height * k->bits / 8;
    if (k->block_width < 1 || k->block_height < 1 || k->block_width > 2 * MAX_SIDE ||
        k->block_height > 2 * MAX_SIDE || bytes > MAX_BLOCK)
        return gen_fail(GEN_EDATA, "'%s' has blocks of %u x %u cells", f->path, k->block_height,
                        k->block_width);
    k->block_bytes = bytes;
    f->grid.width = width;
    f->grid.height = height;
    return GEN_OK;
}

/* ---- where --------------------------------------------------------------------------------- */

/* x = first + step * column, y likewise, of the corner of pixel 0, 0. False when there is none. */
static gen_status read_affine(const gen_radar_file *f, double x[2], double y[2], bool *found)
{
    const geotiff_state *k = f->state;
    uint16_t n = 0, m = 0;
    double *scale = NULL, *tie = NULL, *matrix = NULL;
    *found = true;
    if (TIFFGetField(k->tif, TIFFTAG_GEOPIXELSCALE, &n, &scale) && n >= 2 &&
        TIFFGetField(k->tif, TIFFTAG_GEOTIEPOINTS, &m, &tie) && m >= 6) {
        x[1] = scale[0];
        y[1] = -scale[1];
        x[0] = tie[3] - tie[0] * x[1];
        y[0] = tie[4] - tie[1] * y[1];
    } else if (TIFFGetField(k->tif, TIFFTAG_GEOTRANSMATRIX, &n, &matrix) && n >= 16) {
        if (matrix[1] != 0 || matrix[4] != 0)
            return gen_fail(GEN_EDATA,
                            "'%s': ModelTransformation turns the grid by %g and %g, "
                            "expected 0",
                            f->path, matrix[1], matrix[4]);
        x[1] = matrix[0];
        x[0] = matrix[3];
        y[1] = matrix[5];
        y[0] = matrix[7];
    } else {
        *found = false;
        x[0] = y[0] = 0;
        x[1] = y[1] = 1;
    }
    bool near = fabs(x[0]) < 1e9 && fabs(y[0]) < 1e9;
    if (!near || !(x[1] > LEAST_CELL && x[1] < 1e6 && fabs(y[1]) > LEAST_CELL && fabs(y[1]) < 1e6))
        return gen_fail(GEN_EDATA, "'%s': pixels of %g x %g begin at %g, %g: that is no grid",
                        f->path, x[1], y[1], x[0], y[0]);
    return GEN_OK;
}

static gen_status read_grid(gen_radar_file *f)
{
    geotiff_state *k = f->state;
    gen_radar_grid *g = &f->grid;
    double x[2] = { 0 }, y[2] = { 0 }, unit;
    bool found, points;
    GEN_TRY(read_affine(f, x, y, &found));
    GEN_TRY(gen_geotiff_read_keys(f, k->tif, &points, &unit));
    GEN_TRY(GEN_ALLOC(&g->x, g->width, "grid: x"));
    GEN_TRY(GEN_ALLOC(&g->y, g->height, "grid: y"));
    f->numbered = !found;
    k->south_first = found && y[1] > 0;
    double middle = points ? 0 : 0.5;
    for (int64_t i = 0; i < g->width; i++)
        g->x[i] = found ? (x[0] + ((double)i + middle) * x[1]) * unit : (double)i;
    for (int64_t j = 0; j < g->height; j++) {
        int64_t to = k->south_first ? g->height - 1 - j : j;
        g->y[to] =
            found ? (y[0] + ((double)j + middle) * y[1]) * unit : (double)(g->height - 1 - j);
    }
    return GEN_OK;
}

/* ---- what and when ------------------------------------------------------------------------- */

/* Copies an ASCII tag; *out stays NULL when there is none. */
static gen_status read_text(const gen_radar_file *f, uint32_t tag, char **out)
{
    const geotiff_state *k = f->state;
    uint32_t n = 0;
    const char *text = NULL;
    if (!TIFFGetField(k->tif, tag, &n, &text) || !text || n == 0)
        return GEN_OK;
    if (n > MAX_TEXT)
        return gen_fail(GEN_EDATA, "'%s': tag %u has %u bytes, expected %d at most", f->path, tag,
                        n, MAX_TEXT);
    GEN_TRY(GEN_ALLOC(out, (uint64_t)n + 1, "a TIFF tag"));
    memcpy(*out, text, n);
    return GEN_OK;
}

static gen_status read_quantity(gen_radar_file *f)
{
    const geotiff_state *k = f->state;
    static const struct {
        const char *units;
        gen_radar_quantity quantity;
        double factor;
    } known[] = { { "mm/h", GEN_RADAR_RATE, 1 },  { "mm h-1", GEN_RADAR_RATE, 1 },
                  { "mm/hr", GEN_RADAR_RATE, 1 }, { "kg m-2 s-1", GEN_RADAR_RATE, 3600 },
                  { "mm", GEN_RADAR_DEPTH, 1 },   { "kg m-2", GEN_RADAR_DEPTH, 1 },
                  { "dBZ", GEN_RADAR_DBZ, 1 } };
    for (int i = 0; i < GEN_LEN(known); i++)
        if (strcmp(k->meaning.units, known[i].units) == 0) {
            f->quantity = known[i].quantity;
            f->factor = known[i].factor;
        }
    if (k->meaning.units[0])
        GEN_TRY(gen_strdup(&f->units, k->meaning.units));
    return k->meaning.quantity[0] ? gen_strdup(&f->name, k->meaning.quantity) : GEN_OK;
}

static gen_status read_meaning(gen_radar_file *f)
{
    gen_status status;
    geotiff_state *k = f->state;
    char *xml = NULL, *nodata = NULL, *date = NULL;
    k->meaning = (geotiff_meaning){ .scale = 1, .missing = NAN, .nothing = NAN };
    GEN_GOTO(read_text(f, TIFF_GDAL_METADATA, &xml));
    GEN_GOTO(read_text(f, TIFF_GDAL_NODATA, &nodata));
    if (xml)
        GEN_GOTO(gen_geotiff_metadata(f, xml, &k->meaning));
    if (nodata)
        GEN_GOTO(gen_geotiff_number(f, "GDAL_NODATA", nodata, &k->meaning.missing));
    if (!isfinite(k->meaning.scale) || k->meaning.scale == 0 || !isfinite(k->meaning.offset))
        GEN_GOTO(gen_fail(GEN_EDATA, "'%s': scale %g and offset %g make no values", f->path,
                          k->meaning.scale, k->meaning.offset));
    GEN_GOTO(GEN_ALLOC(&f->time, 1, "times"));
    f->time[0] = GEN_TIME_UNKNOWN;
    f->frames = 1;
    if (!k->meaning.time[0] && TIFFGetField(k->tif, TIFFTAG_DATETIME, &date) && date)
        snprintf(k->meaning.time, sizeof k->meaning.time, "%s", date);
    if (k->meaning.time[0])
        GEN_GOTO(gen_geotiff_time(f, k->meaning.time, &f->time[0]));
    GEN_GOTO(read_quantity(f));
done:
    gen_free(xml);
    gen_free(nodata);
    return status;
}

static gen_status geotiff_open(gen_radar_file *f)
{
    geotiff_state *k = NULL;
    GEN_TRY(GEN_ALLOC(&k, 1, "TIFF file"));
    f->state = k;
    GEN_TRY(open_tiff(f));
    GEN_TRY(read_kind(f));
    GEN_TRY(read_sizes(f));
    GEN_TRY(read_meaning(f));
    return read_grid(f);
}

/* ---- values -------------------------------------------------------------------------------- */

static float value_of(const geotiff_meaning *m, double raw)
{
    if (raw == m->missing || !isfinite(raw))
        return NAN;
    return raw == m->nothing ? GEN_UNDETECTED : (float)(raw * m->scale + m->offset);
}

/* Sample i of a row: libtiff has put the bytes in our order. */
static double raw_of(const geotiff_state *k, const unsigned char *row, int64_t i)
{
    bool negative = k->format == SAMPLEFORMAT_INT;
    uint16_t h;
    uint32_t w;
    float s;
    double d;
    switch (k->bits) {
    case 8:
        return negative ? (double)(int8_t)row[i] : (double)row[i];
    case 16:
        memcpy(&h, row + 2 * i, sizeof h);
        return negative ? (double)(int16_t)h : (double)h;
    case 32:
        if (k->format == SAMPLEFORMAT_IEEEFP) {
            memcpy(&s, row + 4 * i, sizeof s);
            return (double)s;
        }
        memcpy(&w, row + 4 * i, sizeof w);
        return negative ? (double)(int32_t)w : (double)w;
    default:
        memcpy(&d, row + 8 * i, sizeof d);
        return d;
    }
}

/* Values of all raw values of 8 or 16 bits. */
static gen_status make_table(geotiff_state *k)
{
    if (k->bits > 16)
        return GEN_OK;
    GEN_TRY(GEN_ALLOC(&k->table, 1 << k->bits, "TIFF values"));
    for (uint32_t i = 0; i < 1u << k->bits; i++) {
        uint8_t byte = (uint8_t)i;
        uint16_t pair = (uint16_t)i;
        unsigned char row[2] = { byte };
        if (k->bits == 16)
            memcpy(row, &pair, sizeof pair);
        k->table[i] = value_of(&k->meaning, raw_of(k, row, 0));
    }
    return GEN_OK;
}

static void convert(const geotiff_state *k, const unsigned char *row, float *to, int64_t n)
{
    if (k->bits == 8) {
        for (int64_t i = 0; i < n; i++)
            to[i] = k->table[row[i]];
    } else if (k->bits == 16) {
        for (int64_t i = 0; i < n; i++) {
            uint16_t raw;
            memcpy(&raw, row + 2 * i, sizeof raw);
            to[i] = k->table[raw];
        }
    } else {
        for (int64_t i = 0; i < n; i++)
            to[i] = value_of(&k->meaning, raw_of(k, row, i));
    }
}

/* Block `index` into k->block; *sparse when the file leaves it out. */
static gen_status read_block(gen_radar_file *f, uint32_t index, bool *sparse)
{
    geotiff_state *k = f->state;
    k->why[0] = 0;
    *sparse = TIFFGetStrileByteCount(k->tif, index) == 0 && !k->why[0];
    if (*sparse)
        return GEN_OK;
    tmsize_t room = (tmsize_t)k->block_bytes;
    tmsize_t n = k->tiled ? TIFFReadEncodedTile(k->tif, index, k->block, room)
                          : TIFFReadEncodedStrip(k->tif, index, k->block, room);
    if (n < 0)
        return damaged(f, "its picture is damaged");
    memset(k->block + n, 0, (size_t)(room - n)); /* the last strip is shorter */
    return GEN_OK;
}

static gen_status geotiff_read(gen_radar_file *f, int64_t frame, float *values)
{
    geotiff_state *k = f->state;
    int64_t width = f->grid.width, height = f->grid.height;
    uint32_t index = 0;
    (void)frame;
    if (!k->block) {
        GEN_TRY(make_table(k));
        GEN_TRY(gen_alloc_raw((void **)&k->block, k->block_bytes, 1, "TIFF block"));
    }
    for (int64_t top = 0; top < height; top += k->block_height)
        for (int64_t left = 0; left < width; left += k->block_width, index++) {
            bool sparse;
            GEN_TRY(read_block(f, index, &sparse));
            int64_t rows = height - top < k->block_height ? height - top : k->block_height;
            int64_t n = width - left < k->block_width ? width - left : k->block_width;
            for (int64_t j = 0; j < rows; j++) {
                int64_t y = k->south_first ? height - 1 - top - j : top + j;
                float *to = values + y * width + left;
                if (!sparse)
                    convert(k, k->block + (uint64_t)j * k->block_width * k->bits / 8, to, n);
                for (int64_t i = 0; i < n && sparse; i++)
                    to[i] = NAN;
            }
        }
    return GEN_OK;
}

static void geotiff_close(gen_radar_file *f)
{
    geotiff_state *k = f->state;
    if (!k)
        return;
    if (k->tif)
        TIFFClose(k->tif);
    gen_free(k->block);
    gen_free(k->table);
    gen_free(k);
    f->state = NULL;
}

static bool recognises(const unsigned char *head, size_t n)
{
    static const unsigned char starts[4][4] = {
        { 'I', 'I', 42, 0 }, { 'M', 'M', 0, 42 }, { 'I', 'I', 43, 0 }, { 'M', 'M', 0, 43 }
    };
    for (int i = 0; i < GEN_LEN(starts) && n >= 4; i++)
        if (memcmp(head, starts[i], 4) == 0)
            return true;
    return false;
}

const gen_radar_format gen_radar_geotiff = { .name = "GeoTIFF",
                                             .recognises = recognises,
                                             .open = geotiff_open,
                                             .read = geotiff_read,
                                             .close = geotiff_close,
                                             .in_memory = true };
