/* SPDX-License-Identifier: Apache-2.0
 *
 * Sections 5 to 7 of GRIB 2: the numbers. value = (R + X 2^E) / 10^D, X as it is packed.
 *
 * PNG (template 5.41, all that MRMS sends) is decoded here (grib_png.c), in a fifth of the time
 * that ecCodes takes, and silently. ecCodes decodes every other packing. What it gets is a message
 * of ours around sections 5 to 7 of the file, so that no other header of the file reaches it.
 */
#include <eccodes.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "weather/codec/grib.h"

#define NO_VALUE (-1e34) /* what ecCodes gives for cells that the bitmap leaves out */

typedef struct packing {
    double reference, binary, decimal; /* R, 2^E, 10^-D */
    int template, bits;
    uint64_t n; /* values in section 7 */
} packing;

/* ---- section 5 ----------------------------------------------------------------------------- */

static gen_status read_packing(const gen_radar_file *f, const grib_field *g, int64_t cells,
                               packing *k)
{
    const grib_section *s = &g->section[5];
    uint32_t bits;
    float reference;
    GEN_TRY(gen_grib_need(f, g, 5, 11));
    k->n = gen_grib_unsigned(s, 6, 4);
    k->template = (int)gen_grib_unsigned(s, 10, 2);
    bool bitmap = gen_grib_unsigned(&g->section[6], 6, 1) != 255;
    if (k->n > (uint64_t)cells || (k->n != (uint64_t)cells && !bitmap))
        return gen_fail(GEN_EDATA, "'%s': message %d holds %llu values, expected %lld", f->path,
                        g->message, (unsigned long long)k->n, (long long)cells);
    if (k->template == 4) /* IEEE floating point: nothing more */
        return GEN_OK;
    GEN_TRY(gen_grib_need(f, g, 5, 20));
    bits = (uint32_t)gen_grib_unsigned(s, 12, 4);
    memcpy(&reference, &bits, sizeof reference);
    k->reference = (double)reference;
    k->binary = ldexp(1, (int)gen_grib_signed(s, 16, 2));
    k->decimal = pow(10, -(double)gen_grib_signed(s, 18, 2));
    k->bits = (int)gen_grib_unsigned(s, 20, 1);
    if (!isfinite(k->reference) || !isfinite(k->binary) || !(k->decimal > 0 && k->decimal < 1e300))
        return gen_fail(GEN_EDATA,
                        "'%s': message %d has a reference value of %g and scale factors "
                        "of %d and %d: no numbers come of that",
                        f->path, g->message, k->reference, (int)gen_grib_signed(s, 16, 2),
                        (int)gen_grib_signed(s, 18, 2));
    return GEN_OK;
}

static float meaning(const grib_parameter *p, double value)
{
    float v = (float)value;
    if (v == p->missing || !isfinite(v))
        return NAN;
    return v == p->nothing ? GEN_UNDETECTED : v;
}

/* ---- where values go ----------------------------------------------------------------------- */

/* Takes values in the order of the file, and puts them where row 0 is north and column 0 west. */
typedef struct cursor {
    const gen_radar_grid *grid;
    grib_scan scan;
    const unsigned char *bitmap; /* bit of each cell; NULL = all have a value */
    float *values;
    int64_t row, column; /* of the next cell, as the file counts */
} cursor;

static float *row_of(const cursor *k, int64_t row)
{
    return k->values + (k->scan.north ? k->grid->height - 1 - row : row) * k->grid->width;
}

static void put_cell(cursor *k, float v)
{
    int64_t w = k->grid->width;
    row_of(k, k->row)[k->scan.west ? w - 1 - k->column : k->column] = v;
    if (++k->column == w) {
        k->column = 0;
        k->row++;
    }
}

/* Cells without a value before the next one that has one. */
static void skip_cells(cursor *k)
{
    while (k->bitmap && k->row < k->grid->height) {
        int64_t cell = k->row * k->grid->width + k->column;
        if (k->bitmap[cell / 8] >> (7 - cell % 8) & 1)
            return;
        put_cell(k, NAN);
    }
}

static void put_line(cursor *k, const float *line, int64_t n)
{
    if (!k->bitmap && k->column == 0 && n == k->grid->width && !k->scan.west &&
        k->row < k->grid->height) {
        memcpy(row_of(k, k->row++), line, (size_t)n * sizeof *line);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        skip_cells(k);
        if (k->row < k->grid->height)
            put_cell(k, line[i]);
    }
}

/* The cells that got nothing. */
static void put_end(cursor *k)
{
    while (k->row < k->grid->height)
        put_cell(k, NAN);
}

/* ---- PNG ---------------------------------------------------------------------------------- */

/* Section 7 to the end of IHDR, whose first octets are always these. */
enum { PNG_HEADER = 5 + 33 };
static const unsigned char png_start[16] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n',
                                             0,    0,   0,   13,  'I',  'H',  'D',  'R' };

/* Number i of a row. */
static uint32_t number_at(const unsigned char *row, int64_t i, int bits)
{
    uint32_t x = 0;
    if (bits < 8)
        return (uint32_t)(row[i * bits / 8] >> (8 - bits - i * bits % 8)) & ((1u << bits) - 1);
    for (int b = 0; b < bits / 8; b++)
        x = x << 8 | row[i * (bits / 8) + b];
    return x;
}

static float value_of(const packing *k, const grib_parameter *parameter, uint32_t x)
{
    return meaning(parameter, (k->reference + x * k->binary) * k->decimal);
}

static gen_status read_png(const gen_radar_file *f, const grib_field *g, const packing *k,
                           const grib_parameter *parameter, cursor *to)
{
    gen_status status;
    grib_png png;
    float *table = NULL, *line = NULL; /* value of each X of 16 bits; of a row */
    GEN_TRY(gen_grib_png_unpack(f, g, &png));
    GEN_GOTO(GEN_ALLOC(&table, 1 << 16, "GRIB values"));
    GEN_GOTO(GEN_ALLOC(&line, png.width, "GRIB row"));
    for (uint32_t x = 0; x < 1 << 16; x++)
        table[x] = value_of(k, parameter, x);
    for (uint32_t j = 0; j < png.height; j++) {
        const unsigned char *row = png.rows + j * png.stride + 1;
        for (int64_t i = 0; i < png.width && png.bits == 16; i++) /* MRMS */
            line[i] = table[row[2 * i] << 8 | row[2 * i + 1]];
        for (int64_t i = 0; i < png.width && png.bits < 16; i++)
            line[i] = table[number_at(row, i, png.bits)];
        for (int64_t i = 0; i < png.width && png.bits > 16; i++)
            line[i] = value_of(k, parameter, number_at(row, i, png.bits));
        put_line(to, line, png.width);
    }
    put_end(to);
done:
    gen_free(line);
    gen_free(table);
    gen_free(png.rows);
    return status;
}

/* ---- other packings, by ecCodes ---------------------------------------------------------------
 */

/* ecCodes keeps a global context. */
static pthread_mutex_t eccodes_lock = PTHREAD_MUTEX_INITIALIZER;

static void no_log(const codes_context *c, int level, const char *text)
{
    (void)c;
    (void)level;
    (void)text;
}

/* ecCodes would abort the program. What it held is lost. */
static jmp_buf asserted;

static void assertion_failed(const char *why)
{
    (void)why;
    longjmp(asserted, 1);
}

static void put(unsigned char **to, uint64_t value, int octets)
{
    for (int i = octets - 1; i >= 0; i--)
        *(*to)++ = (unsigned char)(value >> (8 * i));
}

static void put_section(unsigned char **to, const grib_section *s)
{
    memcpy(*to, s->p, s->n);
    *to += s->n;
}

enum { OWN_BYTES = 16 + 21 + 72 + 34 + 4 }; /* sections 0, 1, 3, 4, 8 */

/* A message without any header of the file: an analysis of 2000-01-01 on one row of cells. */
static void own_message(const grib_field *g, uint64_t cells, unsigned char *to, uint64_t size)
{
    unsigned char *begin = to;
    memcpy(to, "GRIB\0\0\0\2", 8);
    to += 8;
    put(&to, size, 8);
    put(&to, 21, 4); /* section 1 */
    put(&to, 1, 1);
    put(&to, 0, 4);
    put(&to, 4, 1); /* version of the tables */
    put(&to, 0, 2);
    put(&to, 2000, 2);
    put(&to, 0x01010000, 4);
    put(&to, 0, 3);
    put(&to, 72, 4); /* section 3: latitude and longitude */
    put(&to, 3, 1);
    put(&to, 0, 1);
    put(&to, cells, 4);
    put(&to, 0, 4);
    put(&to, 6, 1);
    to += 15;
    put(&to, cells, 4);
    put(&to, 1, 4);
    to = begin + 16 + 21 + 72;
    put(&to, 34, 4); /* section 4: template 4.0 */
    put(&to, 4, 1);
    to = begin + 16 + 21 + 72 + 34;
    for (int i = 5; i <= 7; i++)
        put_section(&to, &g->section[i]);
    memcpy(to, "7777", 4);
}

/* The error of ecCodes, and how many values it has. */
static int decode(const unsigned char *message, uint64_t size, double *values, uint64_t cells,
                  uint64_t *found)
{
    size_t n = (size_t)cells, has = 0;
    codes_context *context = codes_context_get_default();
    codes_context_set_logging_proc(context, no_log);
    codes_handle *h = codes_handle_new_from_message(context, message, (size_t)size);
    if (!h)
        return CODES_INVALID_MESSAGE;
    int code = codes_set_double(h, "missingValue", NO_VALUE);
    code = code ? code : codes_get_size(h, "values", &has);
    if (!code && has == n)
        code = codes_get_double_array(h, "values", values, &n);
    codes_handle_delete(h);
    *found = has == cells ? n : has;
    return code;
}

/* What the library's assertions jump back to: nothing of its own changes after setjmp. */
static int decode_guarded(const unsigned char *message, uint64_t size, double *values,
                          uint64_t cells, uint64_t *found)
{
    if (setjmp(asserted) != 0)
        return CODES_INTERNAL_ERROR;
    return decode(message, size, values, cells, found);
}

static gen_status decode_alone(const gen_radar_file *f, const grib_field *g,
                               const unsigned char *message, uint64_t size, double *values,
                               uint64_t cells)
{
    uint64_t found = 0;
    pthread_mutex_lock(&eccodes_lock);
    codes_set_codes_assertion_failed_proc(assertion_failed);
    int code = decode_guarded(message, size, values, cells, &found);
    codes_set_codes_assertion_failed_proc(NULL);
    pthread_mutex_unlock(&eccodes_lock);
    if (code == CODES_INVALID_MESSAGE)
        return gen_fail(GEN_EDATA,
                        "'%s': message %d: ecCodes cannot open it (are its definitions "
                        "installed?)",
                        f->path, g->message);
    if (code)
        return gen_fail(GEN_EDATA, "'%s': message %d cannot be decoded: %s", f->path, g->message,
                        codes_get_error_message(code));
    if (found != cells)
        return gen_fail(GEN_EDATA, "'%s': message %d decodes to %llu values, expected %llu",
                        f->path, g->message, (unsigned long long)found, (unsigned long long)cells);
    return GEN_OK;
}

/* A picture in section 7 has as many pixels as there are values, before a decoder believes it. */
static gen_status check_picture(const gen_radar_file *f, const grib_field *g, const packing *k)
{
    const grib_section *s = &g->section[7];
    static const unsigned char jpeg_start[4] = { 0xff, 0x4f, 0xff, 0x51 };
    uint64_t width = 0, height = 0;
    if (k->bits == 0 || k->n == 0) /* all cells alike: no picture */
        return GEN_OK;
    if (k->template == 41 && s->n >= PNG_HEADER &&
        memcmp(s->p + 5, png_start, sizeof png_start) == 0) {
        width = gen_grib_unsigned(s, 22, 4);
        height = gen_grib_unsigned(s, 26, 4);
    }
    if (k->template == 40 && s->n >= 5 + 24 && memcmp(s->p + 5, jpeg_start, 4) == 0) {
        width = gen_grib_unsigned(s, 14, 4) - gen_grib_unsigned(s, 22, 4);
        height = gen_grib_unsigned(s, 18, 4) - gen_grib_unsigned(s, 26, 4);
    }
    if (width > k->n || height > k->n || width * height != k->n)
        return gen_fail(GEN_EDATA, "'%s': message %d has no picture of %llu pixels in section 7",
                        f->path, g->message, (unsigned long long)k->n);
    return GEN_OK;
}

/* n bits from bit *at on; the caller has checked that they are there. */
static uint64_t take_bits(const unsigned char *p, uint64_t *at, int n)
{
    uint64_t v = 0;
    for (int i = 0; i < n; i++, (*at)++)
        v = v << 1 | (p[*at / 8] >> (7 - *at % 8) & 1);
    return v;
}

/* Complex packing (templates 5.2, 5.3): lengths and widths of its groups fit the values and the
 * section. ecCodes (2.28) reads beyond it where they do not. */
static gen_status check_groups(const gen_radar_file *f, const grib_field *g, const packing *k)
{
    const grib_section *s = &g->section[5];
    GEN_TRY(gen_grib_need(f, g, 5, k->template == 2 ? 47 : 49));
    uint64_t groups = gen_grib_unsigned(s, 32, 4), values = 0, used = 0;
    uint64_t least_width = gen_grib_unsigned(s, 36, 1), least = gen_grib_unsigned(s, 38, 4);
    int width_bits = (int)gen_grib_unsigned(s, 37, 1),
        length_bits = (int)gen_grib_unsigned(s, 47, 1);
    uint64_t step = gen_grib_unsigned(s, 42, 1), last = gen_grib_unsigned(s, 43, 4);
    int order = k->template == 2 ? 0 : (int)gen_grib_unsigned(s, 48, 1);
    uint64_t extra = order ? (uint64_t)(order + 1) * gen_grib_unsigned(s, 49, 1) : 0;
    uint64_t widths = 8 * (extra + (groups * (uint64_t)k->bits + 7) / 8);
    uint64_t lengths = widths + (groups * (uint64_t)width_bits + 7) / 8 * 8;
    uint64_t data = lengths + (groups * (uint64_t)length_bits + 7) / 8 * 8;
    uint64_t room = 8 * (g->section[7].n - 5);
    bool fine = groups >= 1 && groups <= k->n && width_bits <= 32 && length_bits <= 32 &&
                order <= 2 && extra <= 12 && data <= room;
    for (uint64_t i = 0; i < groups && fine; i++) {
        uint64_t width = least_width + take_bits(g->section[7].p + 5, &widths, width_bits);
        uint64_t length = least + step * take_bits(g->section[7].p + 5, &lengths, length_bits);
        length = i + 1 == groups ? last : length;
        fine = width <= 32 && length <= k->n - values;
        values += length;
        used += fine ? width * length : 0;
    }
    if (!fine || values != k->n || used > room - data)
        return gen_fail(GEN_EDATA,
                        "'%s': message %d: its %llu groups of values do not fit section 7", f->path,
                        g->message, (unsigned long long)groups);
    return GEN_OK;
}

static gen_status check_data(const gen_radar_file *f, const grib_field *g, const packing *k)
{
    static const int known[] = { 0, 2, 3, 4, 40, 41, 42 };
    bool found = false;
    for (int i = 0; i < GEN_LEN(known); i++)
        found = found || known[i] == k->template;
    if (!found)
        return gen_fail(GEN_EDATA,
                        "'%s': message %d has data representation template %d, expected "
                        "0, 2, 3, 4, 40, 41 or 42",
                        f->path, g->message, k->template);
    if (k->bits > 32)
        return gen_fail(GEN_EDATA,
                        "'%s': message %d packs values into %d bits, expected 32 at "
                        "most",
                        f->path, g->message, k->bits);
    uint64_t least = k->template == 0 ? (k->n * (uint64_t)k->bits + 7) / 8 : 0;
    if (g->section[7].n - 5 < least)
        return gen_fail(GEN_EDATA, "'%s': message %d has %llu bytes of data, expected %llu",
                        f->path, g->message, (unsigned long long)(g->section[7].n - 5),
                        (unsigned long long)least);
    if (k->template == 2 || k->template == 3)
        return check_groups(f, g, k);
    return k->template == 40 || k->template == 41 ? check_picture(f, g, k) : GEN_OK;
}

static gen_status check_bitmap(const gen_radar_file *f, const grib_field *g, uint64_t cells)
{
    int kind = (int)gen_grib_unsigned(&g->section[6], 6, 1);
    if (kind == 255)
        return GEN_OK;
    if (kind != 0)
        return gen_fail(GEN_EDATA, "'%s': message %d has bit-map indicator %d, expected 0 or 255",
                        f->path, g->message, kind);
    return gen_grib_need(f, g, 6, 6 + (cells + 7) / 8);
}

static gen_status read_by_eccodes(const gen_radar_file *f, const grib_field *g,
                                  const grib_parameter *parameter, cursor *to)
{
    gen_status status;
    int64_t w = f->grid.width, h = f->grid.height;
    uint64_t size = OWN_BYTES + g->section[5].n + g->section[6].n + g->section[7].n;
    unsigned char *message = NULL;
    double *decoded = NULL;
    GEN_GOTO(GEN_ALLOC(&message, size, "GRIB message"));
    GEN_GOTO(gen_alloc_raw((void **)&decoded, (uint64_t)(w * h), sizeof *decoded, "GRIB values"));
    own_message(g, (uint64_t)(w * h), message, size);
    GEN_GOTO(decode_alone(f, g, message, size, decoded, (uint64_t)(w * h)));
    for (int64_t i = 0; i < w * h; i++)
        put_cell(to, decoded[i] == NO_VALUE ? NAN : meaning(parameter, decoded[i]));
done:
    gen_free(decoded);
    gen_free(message);
    return status;
}

gen_status gen_grib_values(const gen_radar_file *f, const grib_field *g,
                           const grib_parameter *parameter, grib_scan scan, float *values)
{
    packing k = { 0 };
    cursor to = { .grid = &f->grid, .scan = scan, .values = values };
    int64_t cells = f->grid.height * f->grid.width;
    GEN_TRY(gen_grib_need(f, g, 6, 6));
    GEN_TRY(gen_grib_need(f, g, 7, 5));
    GEN_TRY(read_packing(f, g, cells, &k));
    GEN_TRY(check_bitmap(f, g, (uint64_t)cells));
    GEN_TRY(check_data(f, g, &k));
    if (k.template != 41 || k.bits == 0)
        return read_by_eccodes(f, g, parameter, &to);
    if (gen_grib_unsigned(&g->section[6], 6, 1) == 0)
        to.bitmap = g->section[6].p + 6;
    return read_png(f, g, &k, parameter, &to);
}
