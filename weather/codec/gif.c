/* SPDX-License-Identifier: Apache-2.0
 *
 * Reader of GIF pictures whose palette entries stand for rain.
 *
 * What is read
 *   Any picture, with a table of what its colours stand for (`palette`; see picture_table.h). Of a
 *   film the first picture.
 *   Without a table: MeteoSwiss' AQC and CPC composites, which say what they are in a comment:
 *     PRDT=AQC151351545   product, year (15), day of the year (135), hour and minute, UTC
 *     ACCUm=000005        minutes in which the rain fell
 *   Entry i is 10^((i - 71.5) / 20) of mm6 m-3 per interval, through Z = 316 R^1.5, as mm per 5
 *   minutes; 0, 1 and 251 to 254 are dry, 255 is missing (pysteps has the same). The picture is
 *   the Swiss radar domain, 710 x 640 km of the old national grid, CH1903 / LV03.
 *
 * giflib reads the records; the codes of the pixels are unpacked here. Sizes are compared with the
 * file's first.
 */
#include <gif_lib.h>
#include <stdio.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "weather/codec/picture_table.h"

#define LZW_MOST 4096 /* pixels that one byte can become, and more */
#define MAX_COMMENT 4096
#define STRIDE 16 /* bytes that are copied at once */

#define SWISS_PROJECTION                                                                           \
    "+proj=somerc +lat_0=46.9524055555556 +lon_0=7.43958333333333 +k_0=1 +x_0=600000 +y_0=200000 " \
    "+ellps=bessel +towgs84=674.374,15.056,405.346,0,0,0,0 +units=m +no_defs"
static const gen_raster_edges swiss_domain = { 255000, -160000, 965000, 480000 };
enum { SWISS_HEIGHT = 640, SWISS_WIDTH = 710 };

typedef struct gif_state {
    unsigned char *cells; /* [height,width] palette entries */
    uint32_t rgb[256];
    float value[256];
    uint64_t at; /* giflib has read so many bytes */
    char comment[MAX_COMMENT];
} gif_state;

/* ---- decoding -------------------------------------------------------------------------------- */

static int more(GifFileType *gif, GifByteType *out, int n)
{
    const gen_radar_file *f = gif->UserData;
    gif_state *k = f->state;
    uint64_t left = f->size - k->at, got = (uint64_t)n < left ? (uint64_t)n : left;
    memcpy(out, f->bytes + k->at, got);
    k->at += got;
    return (int)got;
}

static gen_status damaged(const gen_radar_file *f, int code)
{
    const char *why = GifErrorString(code);
    return gen_fail(GEN_EDATA, "'%s' is damaged or cut: %s", f->path,
                    why ? why : "it is no GIF picture");
}

static gen_status read_extension(gen_radar_file *f, GifFileType *gif)
{
    gif_state *k = f->state;
    GifByteType *block = NULL;
    int code = 0;
    if (DGifGetExtension(gif, &code, &block) == GIF_ERROR)
        return damaged(f, gif->Error);
    while (block) {
        size_t used = strlen(k->comment), room = sizeof k->comment - 1 - used;
        size_t n = block[0] < room ? block[0] : room;
        if (code == COMMENT_EXT_FUNC_CODE)
            memcpy(k->comment + used, block + 1, n);
        if (DGifGetExtensionNext(gif, &block) == GIF_ERROR)
            return damaged(f, gif->Error);
    }
    return GEN_OK;
}

static void take_colours(gif_state *k, const GifFileType *gif)
{
    const ColorMapObject *map = gif->Image.ColorMap ? gif->Image.ColorMap : gif->SColorMap;
    for (int i = 0; i < 256; i++) {
        bool there = map && i < map->ColorCount;
        k->rgb[i] = there ? (uint32_t)map->Colors[i].Red << 16 |
                                (uint32_t)map->Colors[i].Green << 8 | map->Colors[i].Blue
                          : UINT32_MAX; /* no colour */
    }
}

/* Codes of the picture, from the blocks that giflib gives. */
typedef struct codes {
    GifFileType *gif;
    GifByteType *block; /* its length, then bytes; NULL behind the last */
    int at;             /* bytes of the block that are taken */
    uint64_t bits;
    int held; /* bits in `bits` */
} codes;

/* As many bits as fit; false at the end. */
static bool refill(codes *c)
{
    if (c->block && c->at == c->block[0]) {
        c->at = 0;
        if (DGifGetCodeNext(c->gif, &c->block) == GIF_ERROR)
            return false;
    }
    while (c->block && c->at < c->block[0] && c->held <= 56) {
        c->bits |= (uint64_t)c->block[1 + c->at++] << c->held;
        c->held += 8;
    }
    return c->block != NULL;
}

/* The next code of `width` bits; -1 at the end. */
static int next_code(codes *c, int width)
{
    while (c->held < width)
        if (!refill(c))
            return -1;
    int code = (int)(c->bits & ((1u << width) - 1));
    c->bits >>= width;
    c->held -= width;
    return code;
}

/* Where in the picture the pixels of a code already stand: a code is the pixels of an earlier one
 * and the pixel that followed them. */
typedef struct run {
    uint64_t from;
    uint32_t length;
} run;

/* Appends the pixels of a run, which may go on into what it writes. There is room for n, and for
 * STRIDE behind them. */
static uint64_t repeat(unsigned char *out, uint64_t used, uint64_t n, run r)
{
    uint64_t length = r.length < n - used ? r.length : n - used;
    if (used - r.from >= STRIDE) {
        for (uint64_t i = 0; i < length; i += STRIDE)
            memcpy(out + used + i, out + r.from + i, STRIDE);
        return length;
    }
    for (uint64_t i = 0; i < length; i++)
        out[used + i] = out[r.from + i];
    return length;
}

/* LZW of `root` bits into n pixels; returns how many there are. */
static uint64_t unpack(codes *c, int root, unsigned char *out, uint64_t n)
{
    enum { MOST = 4096 };
    run known[MOST], last = { 0 };
    const int clear = 1 << root, end = clear + 1;
    int width = root + 1, next = end + 1;
    uint64_t used = 0;
    while (used < n) {
        int code = next_code(c, width);
        if (code < 0 || code == end)
            break;
        if (code == clear) {
            width = root + 1;
            next = end + 1;
            last.length = 0;
            continue;
        }
        if (last.length && next < MOST) {
            known[next++] = (run){ last.from, last.length + 1 };
            width += next == 1 << width && width < 12;
        }
        if (code >= next)
            break; /* no writer's */
        last.from = used;
        last.length = 1;
        if (code < clear) {
            out[used++] = (unsigned char)code;
            continue;
        }
        last.length = (uint32_t)repeat(out, used, n, known[code]);
        used += last.length;
    }
    return used;
}

/* Rows as they were sent, every eighth first, to their places. */
static gen_status put_in_order(gen_radar_file *f)
{
    static const int start[] = { 0, 4, 2, 1 }, step[] = { 8, 8, 4, 2 };
    gif_state *k = f->state;
    int64_t width = f->grid.width, row = 0;
    unsigned char *sent = k->cells;
    k->cells = NULL;
    gen_status status =
        gen_alloc_raw((void **)&k->cells, (uint64_t)(f->grid.height * width), 1, "a picture");
    for (int pass = 0; pass < 4 && status == GEN_OK; pass++)
        for (int64_t y = start[pass]; y < f->grid.height; y += step[pass])
            memcpy(k->cells + y * width, sent + row++ * width, (size_t)width);
    gen_free(sent);
    return status;
}

/* The pixels of a picture, whose blocks giflib takes from the file. Its own decoder hands over one
 * pixel at a time, and takes three times as long. */
static gen_status read_pixels(gen_radar_file *f, GifFileType *gif, uint64_t cells)
{
    gif_state *k = f->state;
    codes c = { .gif = gif };
    int root = 0;
    if (DGifGetCode(gif, &root, &c.block) == GIF_ERROR)
        return damaged(f, gif->Error);
    if (root < 1 || root > 8)
        return gen_fail(GEN_EDATA, "'%s': codes begin with %d bits, expected 2 to 8", f->path,
                        root);
    uint64_t found = unpack(&c, root, k->cells, cells);
    if (found < cells)
        return gen_fail(GEN_EDATA, "'%s' is damaged or cut: found %llu pixels of %llu", f->path,
                        (unsigned long long)found, (unsigned long long)cells);
    while (c.block)
        if (DGifGetCodeNext(gif, &c.block) == GIF_ERROR)
            return damaged(f, gif->Error);
    return gif->Image.Interlace ? put_in_order(f) : GEN_OK;
}

static gen_status read_picture(gen_radar_file *f, GifFileType *gif)
{
    gif_state *k = f->state;
    if (DGifGetImageDesc(gif) == GIF_ERROR)
        return damaged(f, gif->Error);
    const GifImageDesc *image = &gif->Image;
    if (image->Left != 0 || image->Top != 0 || image->Width != gif->SWidth ||
        image->Height != gif->SHeight || image->Width < 1 || image->Height < 1)
        return gen_fail(GEN_EDATA, "'%s': a picture of %d x %d pixels at %d, %d in one of %d x %d",
                        f->path, image->Width, image->Height, image->Left, image->Top, gif->SWidth,
                        gif->SHeight);
    uint64_t cells = (uint64_t)image->Width * (uint64_t)image->Height;
    if (cells > f->size * LZW_MOST)
        return gen_fail(GEN_EDATA, "'%s' is cut: %d x %d pixels are not in %llu bytes", f->path,
                        image->Width, image->Height, (unsigned long long)f->size);
    GEN_TRY(gen_raster_size(f, image->Height, image->Width, 1, cells));
    GEN_TRY(gen_alloc_raw((void **)&k->cells, cells + STRIDE, 1, "a picture"));
    take_colours(k, gif);
    return read_pixels(f, gif, cells);
}

static gen_status read_records(gen_radar_file *f, GifFileType *gif)
{
    const gif_state *k = f->state;
    GifRecordType type = UNDEFINED_RECORD_TYPE;
    while (!k->cells) {
        if (DGifGetRecordType(gif, &type) == GIF_ERROR)
            return damaged(f, gif->Error);
        if (type == TERMINATE_RECORD_TYPE)
            return gen_fail(GEN_EDATA, "'%s' holds no picture", f->path);
        GEN_TRY(type == EXTENSION_RECORD_TYPE ? read_extension(f, gif) : read_picture(f, gif));
    }
    return DGifGetRecordType(gif, &type) == GIF_ERROR ? damaged(f, gif->Error) : GEN_OK;
}

static gen_status decode(gen_radar_file *f)
{
    int code = 0;
    GifFileType *gif = DGifOpen(f, more, &code);
    if (!gif)
        return damaged(f, code);
    gen_status status = read_records(f, gif);
    DGifCloseFile(gif, &code);
    return status;
}

/* ---- MeteoSwiss ------------------------------------------------------------------------------ */

/* The text behind a key of the comment, or NULL. */
static const char *said(const gif_state *k, const char *key)
{
    const char *p = strstr(k->comment, key);
    return p ? p + strlen(key) : NULL;
}

/* "AQC151351545"; false where the comment has none. */
static bool product_time(const gif_state *k, int64_t *time)
{
    const char *p = said(k, "PRDT=");
    int64_t year, day, hour, minute, start;
    char text[32];
    if (!p || strlen(p) < 12 || !gen_raster_digits(p + 3, 2, &year) ||
        !gen_raster_digits(p + 5, 3, &day) || !gen_raster_digits(p + 8, 2, &hour) ||
        !gen_raster_digits(p + 10, 2, &minute) || day < 1 || day > 366 || hour > 23 || minute > 59)
        return false;
    snprintf(text, sizeof text, "20%02d-01-01T00:00Z", (int)year);
    if (gen_time_parse(text, &start) != GEN_OK)
        return false;
    *time = start + (day - 1) * 86400 + hour * 3600 + minute * 60;
    return true;
}

static gen_status take_swiss(gen_radar_file *f)
{
    gif_state *k = f->state;
    const char *p = said(k, "PRDT="), *minutes = said(k, "ACCUm=");
    int64_t n = 0;
    char name[4] = "";
    if (!p || (strncmp(p, "AQC", 3) != 0 && strncmp(p, "CPC", 3) != 0))
        return gen_fail(GEN_EDATA,
                        "'%s' is a picture that does not say what its colours stand for: give a "
                        "table (--palette)",
                        f->path);
    for (int i = 0; i < 256; i++)
        k->value[i] = i == 255           ? NAN
                      : i < 2 || i > 250 ? 0
                                         : (float)pow(pow(10, (i - 71.5) / 20) / 316, 1 / 1.5);
    if (minutes && (!gen_raster_digits(minutes, 6, &n) || n < 1))
        return gen_fail(GEN_EDATA, "'%s': ACCUm of the comment is '%.6s', expected minutes",
                        f->path, minutes);
    f->quantity = GEN_RADAR_DEPTH;
    f->interval = minutes ? (double)n * 60 : 300;
    memcpy(name, p, 3);
    GEN_TRY(gen_strdup(&f->name, name));
    GEN_TRY(gen_strdup(&f->units, "mm"));
    bool whole = f->grid.height == SWISS_HEIGHT && f->grid.width == SWISS_WIDTH;
    if (whole)
        GEN_TRY(gen_strdup(&f->grid.proj4, SWISS_PROJECTION));
    return gen_raster_axes(f, whole ? &swiss_domain : NULL);
}

/* ---- the format ------------------------------------------------------------------------------ */

static gen_status take_table(gen_radar_file *f)
{
    gif_state *k = f->state;
    gen_picture_table t;
    gen_status status = gen_picture_table_read(&t, f->options->palette);
    for (int i = 0; i < 256 && status == GEN_OK; i++)
        k->value[i] = gen_picture_table_entry(&t, i, k->rgb[i]);
    if (status == GEN_OK)
        status = gen_picture_table_describe(f, &t);
    gen_picture_table_free(&t);
    return status;
}

static bool recognises(const unsigned char *head, size_t n)
{
    return n >= 6 && (memcmp(head, "GIF87a", 6) == 0 || memcmp(head, "GIF89a", 6) == 0);
}

static gen_status gif_open(gen_radar_file *f)
{
    gif_state *k = NULL;
    GEN_TRY(GEN_ALLOC(&k, 1, "GIF picture"));
    f->state = k;
    GEN_TRY(decode(f));
    GEN_TRY(GEN_ALLOC(&f->time, 1, "time"));
    f->frames = 1;
    if (!product_time(k, &f->time[0]))
        f->time[0] = GEN_TIME_UNKNOWN;
    return f->options->palette ? take_table(f) : take_swiss(f);
}

static gen_status gif_read(gen_radar_file *f, int64_t frame, float *values)
{
    const gif_state *k = f->state;
    int64_t n = f->grid.height * f->grid.width;
    (void)frame;
    for (int64_t i = 0; i < n; i++)
        values[i] = k->value[k->cells[i]];
    return GEN_OK;
}

static void gif_close(gen_radar_file *f)
{
    gif_state *k = f->state;
    if (k)
        gen_free(k->cells);
    gen_free(k);
    f->state = NULL;
}

const gen_radar_format gen_radar_gif = { .name = "GIF",
                                         .recognises = recognises,
                                         .open = gif_open,
                                         .read = gif_read,
                                         .close = gif_close,
                                         .in_memory = true };
