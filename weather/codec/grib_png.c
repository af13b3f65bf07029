/* SPDX-License-Identifier: Apache-2.0
 *
 * The PNG in section 7 of GRIB 2 (template 5.41): a grid of numbers, of 1 to 32 bits. Not through
 * libpng, which inflates row by row with zlib: all of it at once with libdeflate, and the filters
 * of the PNG specification undone here, take a third of its time for 3500 x 7000 numbers.
 */
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "weather/codec/grib.h"

#define CHUNK 12 /* bytes of a chunk beside its data: length, type, CRC */

/* ---- chunks -------------------------------------------------------------------------------- */

static gen_status damaged(const gen_radar_file *f, const grib_field *g, const char *why)
{
    return gen_fail(GEN_EDATA, "'%s': message %d: its PNG is damaged: %s", f->path, g->message,
                    why);
}

/* The chunk at `at`, CRC checked. */
static gen_status read_chunk(const gen_radar_file *f, const grib_field *g, grib_section png,
                             uint64_t at, grib_section *data)
{
    if (png.n - at < CHUNK)
        return damaged(f, g, "the data end too early");
    grib_section head = { png.p + at, 8 };
    uint64_t n = gen_grib_unsigned(&head, 1, 4);
    if (n > png.n - at - CHUNK)
        return damaged(f, g, "the data end too early");
    *data = (grib_section){ head.p + 8, n };
    grib_section crc = { data->p + n, 4 };
    if (libdeflate_crc32(0, head.p + 4, (size_t)n + 4) != gen_grib_unsigned(&crc, 1, 4))
        return damaged(f, g, "a CRC is wrong");
    return GEN_OK;
}

/* The data of all IDAT chunks, one after another. */
static gen_status join_data(const gen_radar_file *f, const grib_field *g, grib_section png,
                            unsigned char *out, uint64_t *n)
{
    grib_section data;
    *n = 0;
    for (uint64_t at = 8; at < png.n; at += CHUNK + data.n) {
        GEN_TRY(read_chunk(f, g, png, at, &data));
        const unsigned char *type = png.p + at + 4;
        if (memcmp(type, "IEND", 4) == 0)
            break;
        if (memcmp(type, "IDAT", 4) != 0)
            continue;
        memcpy(out + *n, data.p, data.n);
        *n += data.n;
    }
    return GEN_OK;
}

static gen_status read_kind(const gen_radar_file *f, const grib_field *g, grib_section png,
                            grib_png *out)
{
    grib_section head;
    GEN_TRY(read_chunk(f, g, png, 8, &head));
    if (head.n != 13)
        return damaged(f, g, "its header has no 13 bytes");
    int depth = (int)gen_grib_unsigned(&head, 9, 1), colour = (int)gen_grib_unsigned(&head, 10, 1);
    bool grey =
        colour == 0 && (depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16);
    bool rgb = (colour == 2 || colour == 6) && depth == 8;
    if (!(grey || rgb) || gen_grib_unsigned(&head, 11, 3) != 0)
        return gen_fail(GEN_EDATA,
                        "'%s': message %d: a PNG of colour type %d, %d bits, method, "
                        "filter and interlace %06x: expected numbers in rows",
                        f->path, g->message, colour, depth,
                        (unsigned)gen_grib_unsigned(&head, 11, 3));
    out->width = (uint32_t)gen_grib_unsigned(&head, 1, 4);
    out->height = (uint32_t)gen_grib_unsigned(&head, 5, 4);
    out->bits = grey ? depth : colour == 2 ? 24 : 32;
    out->stride = 1 + ((uint64_t)out->width * (uint64_t)out->bits + 7) / 8;
    return GEN_OK;
}

static gen_status inflate(const gen_radar_file *f, const grib_field *g, grib_section png,
                          grib_png *out)
{
    gen_status status;
    unsigned char *packed = NULL;
    struct libdeflate_decompressor *d = NULL;
    uint64_t n, size = out->stride * out->height;
    size_t got = 0;
    GEN_GOTO(gen_alloc_raw((void **)&packed, png.n, 1, "a packed picture"));
    GEN_GOTO(join_data(f, g, png, packed, &n));
    GEN_GOTO(gen_alloc_raw((void **)&out->rows, size, 1, "a picture"));
    d = libdeflate_alloc_decompressor();
    if (!d)
        GEN_GOTO(gen_fail(GEN_ENOMEM, "out of memory for '%s'", f->path));
    if (libdeflate_zlib_decompress(d, packed, n, out->rows, size, &got) != LIBDEFLATE_SUCCESS ||
        got != size)
        GEN_GOTO(damaged(f, g, "its rows cannot be unpacked"));
done:
    if (d)
        libdeflate_free_decompressor(d);
    gen_free(packed);
    return status;
}

/* ---- filters ------------------------------------------------------------------------------- */

/* Each byte was written less a guess from the bytes to its left, above, and left above. */
static int paeth(int left, int up, int corner)
{
    int by_left = abs(up - corner), by_up = abs(left - corner);
    int by_corner = abs(left + up - 2 * corner);
    if (by_left <= by_up && by_left <= by_corner)
        return left;
    return by_up <= by_corner ? up : corner;
}

/* A row of n bytes, `step` bytes a pixel. Outside the picture all is 0. */
static void unfilter(int kind, unsigned char *row, const unsigned char *above, uint64_t n,
                     uint64_t step)
{
    switch (kind) {
    case 1:
        for (uint64_t i = step; i < n; i++)
            row[i] = (unsigned char)(row[i] + row[i - step]);
        break;
    case 2:
        for (uint64_t i = 0; i < n; i++)
            row[i] = (unsigned char)(row[i] + above[i]);
        break;
    case 3:
        for (uint64_t i = 0; i < step && i < n; i++)
            row[i] = (unsigned char)(row[i] + above[i] / 2);
        for (uint64_t i = step; i < n; i++)
            row[i] = (unsigned char)(row[i] + (row[i - step] + above[i]) / 2);
        break;
    case 4:
        for (uint64_t i = 0; i < step && i < n; i++)
            row[i] = (unsigned char)(row[i] + above[i]);
        for (uint64_t i = step; i < n; i++)
            row[i] = (unsigned char)(row[i] + paeth(row[i - step], above[i], above[i - step]));
        break;
    default:
        break;
    }
}

static gen_status unfilter_rows(const gen_radar_file *f, const grib_field *g, grib_png *out)
{
    uint64_t step = out->bits < 8 ? 1 : (uint64_t)out->bits / 8, n = out->stride - 1;
    unsigned char *zero = NULL;
    GEN_TRY(GEN_ALLOC(&zero, n, "a row"));
    const unsigned char *above = zero;
    bool known = true;
    for (uint32_t j = 0; j < out->height && known; j++) {
        unsigned char *row = out->rows + j * out->stride;
        known = row[0] <= 4;
        if (step == 2) /* what MRMS sends, in a loop of its own */
            unfilter(row[0], row + 1, above, n, 2);
        else
            unfilter(row[0], row + 1, above, n, step);
        above = row + 1;
    }
    gen_free(zero);
    return known ? GEN_OK : damaged(f, g, "a row has a filter that is none");
}

gen_status gen_grib_png_unpack(const gen_radar_file *f, const grib_field *g, grib_png *out)
{
    grib_section png = { g->section[7].p + 5, g->section[7].n - 5 };
    *out = (grib_png){ .rows = NULL };
    GEN_TRY(read_kind(f, g, png, out));
    gen_status status = inflate(f, g, png, out);
    if (status == GEN_OK)
        status = unfilter_rows(f, g, out);
    if (status != GEN_OK) {
        gen_free(out->rows);
        out->rows = NULL;
    }
    return status;
}
