/* SPDX-License-Identifier: Apache-2.0
 *
 * GRIB: what ecCodes writes is read (packings, scanning modes, bitmaps, parameters, times, grids),
 * and what nobody should write ends in a sentence: cut at every byte, flipped, with sizes, numbers
 * and pictures that do not fit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <eccodes.h>
#include <math.h>
#include <zlib.h>

#include "libgen/base/alloc.h"
#include "weather/codec/codec.h"
#include "weather/projection.h"

/* ecCodes fails on pictures that are larger as PNG than as they are: no smaller grid. */
#define W 40
#define H 25

typedef struct message {
    unsigned char bytes[8192];
    size_t n;
} message;

static const gen_radar_read_options no_options;

/* ---- written by ecCodes -------------------------------------------------------------------- */

static codes_handle *new_handle(void)
{
    codes_handle *h = codes_grib_handle_new_from_samples(NULL, "GRIB2");
    assert_non_null(h);
    return h;
}

static void set(codes_handle *h, const char *key, long value)
{
    int code = codes_set_long(h, key, value);
    if (code)
        fail_msg("%s = %ld: %s", key, value, codes_get_error_message(code));
}

static void set_text(codes_handle *h, const char *key, const char *value)
{
    size_t n = strlen(value);
    int code = codes_set_string(h, key, value, &n);
    if (code)
        fail_msg("%s = %s: %s", key, value, codes_get_error_message(code));
}

/* A part of MRMS' grid, as MRMS describes it. */
static void mrms_grid(codes_handle *h)
{
    set_text(h, "gridType", "regular_ll");
    set(h, "Ni", W);
    set(h, "Nj", H);
    set(h, "shapeOfTheEarth", 2);
    set(h, "latitudeOfFirstGridPoint", 54995000);
    set(h, "longitudeOfFirstGridPoint", 230005000);
    set(h, "latitudeOfLastGridPoint", 54755001);
    set(h, "longitudeOfLastGridPoint", 230394998);
    set(h, "iDirectionIncrement", 10000);
    set(h, "jDirectionIncrement", 10000);
}

static void parameter(codes_handle *h, int discipline, int category, int number)
{
    set(h, "discipline", discipline);
    set(h, "parameterCategory", category);
    set(h, "parameterNumber", number);
    set(h, "dataDate", 20190610);
    set(h, "dataTime", 5);
    set(h, "second", 0);
}

/* Multiples of 0.5, which every packing holds exactly. */
static double value_at(int64_t i)
{
    return (double)(i % 61) * 0.5;
}

static void put_values(codes_handle *h, const char *packing)
{
    double values[W * H];
    for (int64_t i = 0; i < W * H; i++)
        values[i] = value_at(i);
    set(h, "bitsPerValue", 8);
    set(h, "decimalScaleFactor", 0);
    assert_int_equal(codes_set_double_array(h, "values", values, W * H), 0);
    set_text(h, "packingType", packing);
}

static void take(message *m, codes_handle *h)
{
    const void *bytes;
    size_t n;
    assert_int_equal(codes_get_message(h, &bytes, &n), 0);
    assert_true(m->n + n <= sizeof m->bytes);
    memcpy(m->bytes + m->n, bytes, n);
    m->n += n;
    codes_handle_delete(h);
}

static void add_mrms(message *m, int number, const char *packing, int minute)
{
    codes_handle *h = new_handle();
    mrms_grid(h);
    parameter(h, 209, 6, number);
    set(h, "dataTime", minute);
    put_values(h, packing);
    take(m, h);
}

static gen_status open_message(gen_radar_file **f, const message *m,
                               const gen_radar_read_options *o)
{
    return gen_radar_file_open_bytes(f, "x.grib2", &gen_radar_grib, m->bytes, m->n,
                                     o ? o : &no_options);
}

static void expect_sentence(gen_status found, const char *part)
{
    if (found != GEN_EDATA || !strstr(gen_last_error(), part))
        fail_msg("status %s, sentence '%s', expected '%s'", gen_status_name(found),
                 gen_last_error(), part);
}

static void refused(const message *m, const char *part)
{
    float values[W * H];
    gen_radar_file *f = NULL;
    gen_status status = open_message(&f, m, NULL);
    if (status == GEN_OK)
        status = gen_radar_file_read(f, 0, values);
    gen_radar_file_close(&f);
    expect_sentence(status, part);
}

static void expect_near(double found, double expected, double most)
{
    if (!(fabs(found - expected) <= most))
        fail_msg("%.17g, expected %.17g", found, expected);
}

/* ---- what is read -----------------------------------------------------------------------------
 */

static void mrms_is_understood(void **state)
{
    (void)state;
    message m = { .n = 0 };
    gen_radar_file *f;
    float values[W * H];
    add_mrms(&m, 1, "grid_png", 5);
    assert_int_equal(open_message(&f, &m, NULL), GEN_OK);
    assert_int_equal(f->frames, 1);
    assert_int_equal(f->time[0], 1560125100); /* date -u -d 2019-06-10T00:05Z +%s */
    assert_int_equal(f->grid.height, H);
    assert_int_equal(f->grid.width, W);
    assert_true(f->grid.degrees);
    assert_string_equal(f->grid.proj4, "+proj=longlat +a=6378160 +b=6356775 +no_defs");
    for (int i = 0; i < W; i++)
        expect_near(f->grid.x[i], -129.995 + 0.01 * i, 1e-9);
    for (int j = 0; j < H; j++)
        expect_near(f->grid.y[j], 54.995 - 0.01 * j, 1e-9);
    assert_int_equal(f->quantity, GEN_RADAR_RATE);
    assert_string_equal(f->name, "PrecipRate");
    assert_string_equal(f->units, "mm/h");
    assert_int_equal(gen_radar_file_read(f, 0, values), GEN_OK);
    for (int64_t i = 0; i < W * H; i++)
        assert_true(values[i] == (float)value_at(i));
    gen_radar_file_close(&f);
}

static void every_packing_is_read(void **state)
{
    (void)state;
    static const char *const packings[] = { "grid_simple",
                                            "grid_png",
                                            "grid_jpeg",
                                            "grid_complex",
                                            "grid_ieee",
                                            "grid_ccsds",
                                            "grid_complex_spatial_differencing" };
    for (int i = 0; i < GEN_LEN(packings); i++) {
        message m = { .n = 0 };
        gen_radar_file *f;
        float values[W * H];
        add_mrms(&m, 1, packings[i], 0);
        if (open_message(&f, &m, NULL) || gen_radar_file_read(f, 0, values))
            fail_msg("%s: %s", packings[i], gen_last_error());
        for (int64_t c = 0; c < W * H; c++)
            if (!(fabs((double)values[c] - value_at(c)) <= 0.1))
                fail_msg("%s: cell %d is %g, expected %g", packings[i], (int)c, (double)values[c],
                         value_at(c));
        gen_radar_file_close(&f);
    }
}

/* Rows to the north and columns to the west come out north first, west first. */
static void scanning_modes(void **state)
{
    (void)state;
    static const char *const packings[] = { "grid_png", "grid_simple" };
    for (int mode = 0; mode < 8; mode++) {
        bool west = mode & 1, north = mode & 2;
        message m = { .n = 0 };
        gen_radar_file *f;
        float values[W * H];
        codes_handle *h = new_handle();
        mrms_grid(h);
        set(h, "iScansNegatively", west);
        set(h, "jScansPositively", north);
        if (west) {
            set(h, "longitudeOfFirstGridPoint", 230395000);
            set(h, "longitudeOfLastGridPoint", 230005000);
        }
        if (north) {
            set(h, "latitudeOfFirstGridPoint", 54755000);
            set(h, "latitudeOfLastGridPoint", 54995000);
        }
        parameter(h, 209, 6, 1);
        put_values(h, packings[mode / 4]);
        take(&m, h);
        assert_int_equal(open_message(&f, &m, NULL), GEN_OK);
        assert_int_equal(gen_radar_file_read(f, 0, values), GEN_OK);
        expect_near(f->grid.x[0], -129.995, 1e-9);
        expect_near(f->grid.x[W - 1], -129.605, 1e-9);
        expect_near(f->grid.y[0], 54.995, 1e-9);
        expect_near(f->grid.y[H - 1], 54.755, 1e-9);
        for (int j = 0; j < H; j++)
            for (int i = 0; i < W; i++) {
                int from = (north ? H - 1 - j : j) * W + (west ? W - 1 - i : i);
                assert_true(values[j * W + i] == (float)value_at(from));
            }
        gen_radar_file_close(&f);
    }
}

static void values_that_are_none(void **state)
{
    (void)state;
    static const struct {
        int category, number;
        double values[4];
        float expected[4];
    } cases[] = {
        { 6, 1, { -3, 0, 2.5, -3 }, { NAN, 0, 2.5f, NAN } },
        { 6, 30, { -3, -1, 0, 4 }, { NAN, NAN, 0, 4 } }, /* -1: missing, in the tables of MRMS */
        { 10, 0, { -999, -99, -5, 40 }, { NAN, GEN_UNDETECTED, -5, 40 } },
    };
    static const char *const packings[] = { "grid_simple", "grid_png" };
    for (int i = 0; i < 2 * GEN_LEN(cases); i++) {
        message m = { .n = 0 };
        gen_radar_file *f;
        float found[W * H];
        double values[W * H] = { 0 };
        codes_handle *h = new_handle();
        mrms_grid(h);
        parameter(h, 209, cases[i / 2].category, cases[i / 2].number);
        memcpy(values, cases[i / 2].values, sizeof cases[0].values);
        set(h, "bitsPerValue", 16);
        set(h, "decimalScaleFactor", 1);
        assert_int_equal(codes_set_double_array(h, "values", values, W * H), 0);
        set_text(h, "packingType", packings[i % 2]);
        take(&m, h);
        assert_int_equal(open_message(&f, &m, NULL), GEN_OK);
        assert_int_equal(gen_radar_file_read(f, 0, found), GEN_OK);
        for (int c = 0; c < 4; c++) {
            float e = cases[i / 2].expected[c];
            if (!(isnan(e) ? isnan(found[c]) : found[c] == e || fabsf(found[c] - e) < 1e-3f))
                fail_msg("%d.%d: %g, expected %g", cases[i / 2].category, cases[i / 2].number,
                         (double)found[c], (double)e);
        }
        gen_radar_file_close(&f);
    }
}

static void bitmap_is_missing(void **state)
{
    (void)state;
    static const char *const packings[] = { "grid_simple", "grid_png" };
    for (int p = 0; p < GEN_LEN(packings); p++) {
        message m = { .n = 0 };
        gen_radar_file *f;
        float found[W * H];
        double values[W * H];
        codes_handle *h = new_handle();
        mrms_grid(h);
        parameter(h, 0, 1, 7);
        for (int i = 0; i < W * H; i++)
            values[i] = i % 5 == 2 ? 9999 : value_at(i);
        set(h, "bitmapPresent", 1);
        set(h, "bitsPerValue", 16);
        assert_int_equal(codes_set_double(h, "missingValue", 9999), 0);
        assert_int_equal(codes_set_double_array(h, "values", values, W * H), 0);
        set_text(h, "packingType", packings[p]);
        take(&m, h);
        assert_int_equal(open_message(&f, &m, NULL), GEN_OK);
        assert_int_equal(f->quantity, GEN_RADAR_RATE);
        assert_string_equal(f->units, "kg m-2 s-1");
        assert_true(f->factor == 3600);
        assert_int_equal(gen_radar_file_read(f, 0, found), GEN_OK);
        for (int i = 0; i < W * H; i++)
            if (i % 5 == 2)
                assert_true(isnan(found[i]));
            else
                expect_near((double)found[i], value_at(i), 1e-3);
        gen_radar_file_close(&f);
    }
}

/* PNG in grey of 4, 8 and 16 bits, and as colours of 24 and 32. */
static void pictures_of_any_depth(void **state)
{
    (void)state;
    static const int bits[] = { 4, 8, 16, 24, 32 };
    for (int b = 0; b < GEN_LEN(bits); b++) {
        message m = { .n = 0 };
        gen_radar_file *f;
        float found[W * H];
        double values[W * H];
        codes_handle *h = new_handle();
        mrms_grid(h);
        parameter(h, 209, 6, 1);
        for (int i = 0; i < W * H; i++)
            values[i] = i % W % 16;
        set(h, "bitsPerValue", bits[b]);
        assert_int_equal(codes_set_double_array(h, "values", values, W * H), 0);
        set_text(h, "packingType", "grid_png");
        take(&m, h);
        assert_int_equal(open_message(&f, &m, NULL), GEN_OK);
        assert_int_equal(gen_radar_file_read(f, 0, found), GEN_OK);
        for (int i = 0; i < W * H; i++)
            expect_near((double)found[i], values[i], 1e-3);
        gen_radar_file_close(&f);
    }
}

/* Where section `number` begins. */
static size_t section(const message *m, int number)
{
    for (size_t at = 16; at + 5 < m->n;) {
        if (m->bytes[at + 4] == number)
            return at;
        at += (size_t)m->bytes[at] << 24 | (size_t)m->bytes[at + 1] << 16 |
              (size_t)m->bytes[at + 2] << 8 | m->bytes[at + 3];
    }
    fail_msg("no section %d", number);
    return 0;
}

static void put_long(unsigned char *to, uint64_t v)
{
    for (int i = 3; i >= 0; i--, v >>= 8)
        to[i] = (unsigned char)v;
}

static unsigned char *chunk(unsigned char *to, const char *type, const unsigned char *data,
                            size_t n)
{
    put_long(to, n);
    memcpy(to + 4, type, 4);
    memcpy(to + 8, data, n);
    put_long(to + 8 + n, crc32(0, to + 4, (unsigned)n + 4));
    return to + 12 + n;
}

/* Fewer than 8 bits, which ecCodes does not write: a picture by zlib, of numbers i % 2^bits. */
static void pictures_of_few_bits(void **state)
{
    (void)state;
    static const int bits[] = { 1, 2, 4 };
    for (int b = 0; b < GEN_LEN(bits); b++) {
        unsigned char rows[H * (1 + W)] = { 0 }, head[13] = { 0 }, packed[2 * sizeof rows];
        size_t stride = 1 + (size_t)(W * bits[b] / 8), at;
        uLongf n = sizeof packed;
        message m = { .n = 0 };
        gen_radar_file *f;
        float found[W * H];
        for (int j = 0; j < H; j++)
            for (int i = 0; i < W; i++)
                rows[(size_t)j * stride + 1 + (size_t)(i * bits[b] / 8)] |=
                    (unsigned char)(((j + i) % (1 << bits[b])) << (8 - bits[b] - i * bits[b] % 8));
        assert_int_equal(compress(packed, &n, rows, H * stride), Z_OK);
        add_mrms(&m, 1, "grid_png", 5);
        put_long(head, W);
        put_long(head + 4, H);
        head[8] = (unsigned char)bits[b];
        at = section(&m, 7);
        unsigned char *end = chunk(m.bytes + at + 5 + 8, "IHDR", head, 13);
        end = chunk(end, "IDAT", packed, n);
        end = chunk(end, "IEND", head, 0);
        put_long(m.bytes + at, (uint64_t)(end - m.bytes) - at);
        memcpy(end, "7777", 4);
        m.n = (size_t)(end + 4 - m.bytes);
        put_long(m.bytes + 12, m.n);
        if (open_message(&f, &m, NULL) || gen_radar_file_read(f, 0, found))
            fail_msg("%s", gen_last_error());
        double step = (double)(found[1] - found[0]); /* as the packing of add_mrms has it */
        assert_true(step > 0);
        for (int i = 0; i < W * H; i++)
            expect_near((double)found[i], step * ((i / W + i % W) % (1 << bits[b])), 1e-3);
        gen_radar_file_close(&f);
    }
}

/* Cells lie where ecCodes, without PROJ, says that they do. */
static void projected_grids(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        int template;
        struct {
            const char *key;
            long value;
        } keys[12];
    } cases[] = {
        { "lambert",
          30,
          { { "Nx", W },
            { "Ny", H },
            { "latitudeOfFirstGridPoint", 21138000 },
            { "longitudeOfFirstGridPoint", 237280000 },
            { "LaD", 38500000 },
            { "LoV", 262500000 },
            { "DxInMetres", 30000 },
            { "DyInMetres", 40000 },
            { "Latin1", 38500000 },
            { "Latin2", 45000000 },
            { "jScansPositively", 1 } } },
        { "polar_stereographic",
          20,
          { { "Nx", W },
            { "Ny", H },
            { "latitudeOfFirstGridPoint", 58000000 },
            { "longitudeOfFirstGridPoint", 340000000 },
            { "LaD", 60000000 },
            { "orientationOfTheGrid", 10000000 },
            { "DxInMetres", 30000 },
            { "DyInMetres", 20000 },
            { "jScansPositively", 1 } } },
        { "mercator",
          10,
          { { "Ni", W },
            { "Nj", H },
            { "latitudeOfFirstGridPoint", -10000000 },
            { "longitudeOfFirstGridPoint", 120000000 },
            { "LaD", 20000000 },
            { "DiInMetres", 15000 },
            { "DjInMetres", 15000 },
            { "jScansPositively", 1 },
            { "latitudeOfLastGridPoint", -7716000 },
            { "longitudeOfLastGridPoint", 125596000 } } },
        { "lambert_azimuthal_equal_area",
          140,
          { { "Nx", W },
            { "Ny", H },
            { "latitudeOfFirstGridPoint", 60000000 },
            { "longitudeOfFirstGridPoint", 5000000 },
            { "standardParallelInMicrodegrees", 52000000 },
            { "centralLongitudeInMicrodegrees", 10000000 },
            { "xDirectionGridLengthInMillimetres", 25000000 },
            { "yDirectionGridLengthInMillimetres", 20000000 },
            { "jScansPositively", 0 } } },
    };
    for (int c = 0; c < GEN_LEN(cases); c++) {
        message m = { .n = 0 };
        gen_radar_file *f;
        gen_projection *p;
        static double lat[W * H], lon[W * H], values[W * H];
        codes_handle *h = new_handle();
        set(h, "gridDefinitionTemplateNumber", cases[c].template);
        set(h, "shapeOfTheEarth", 6);
        set(h, "numberOfDataPoints", W * H);
        for (int i = 0; i < GEN_LEN(cases[0].keys) && cases[c].keys[i].key; i++)
            set(h, cases[c].keys[i].key, cases[c].keys[i].value);
        parameter(h, 0, 1, 7);
        put_values(h, "grid_simple");
        assert_int_equal(codes_grib_get_data(h, lat, lon, values), 0);
        take(&m, h);
        if (open_message(&f, &m, NULL) != GEN_OK)
            fail_msg("%s: %s", cases[c].type, gen_last_error());
        assert_int_equal(gen_projection_open(&p, &f->grid), GEN_OK);
        bool north = cases[c].template != 140;
        for (int j = 0; j < H; j++)
            for (int i = 0; i < W; i++) {
                int at = (north ? H - 1 - j : j) * W + i;
                double y, x;
                assert_true(gen_projection_inverse(p, f->grid.x[i], f->grid.y[j], &y, &x));
                if (!(fabs(y - lat[at]) < 2e-5 && fabs(remainder(x - lon[at], 360)) < 4e-5))
                    fail_msg("%s, row %d, column %d: %.6f %.6f, expected %.6f %.6f", cases[c].type,
                             j, i, y, x, lat[at], lon[at]);
            }
        gen_projection_free(&p);
        gen_radar_file_close(&f);
    }
}

/* ---- times and parameters ----------------------------------------------------------------------
 */

static void add_depth(message *m, int first_hour, int last_hour)
{
    codes_handle *h = new_handle();
    mrms_grid(h);
    set(h, "productDefinitionTemplateNumber", 8);
    parameter(h, 0, 1, 8);
    set_text(h, "stepType", "accum");
    char steps[32];
    snprintf(steps, sizeof steps, "%d-%d", first_hour, last_hour);
    set_text(h, "stepRange", steps);
    put_values(h, "grid_simple");
    take(m, h);
}

static void depths_have_an_interval(void **state)
{
    (void)state;
    message m = { .n = 0 };
    gen_radar_file *f;
    add_depth(&m, 0, 1);
    add_depth(&m, 1, 2);
    assert_int_equal(open_message(&f, &m, NULL), GEN_OK);
    assert_int_equal(f->frames, 2);
    assert_int_equal(f->quantity, GEN_RADAR_DEPTH);
    assert_true(f->interval == 3600);
    assert_int_equal(f->time[0], 1560125100 + 3600); /* the end */
    assert_int_equal(f->time[1], 1560125100 + 7200);
    gen_radar_file_close(&f);
    add_depth(&m, 0, 3);
    refused(&m, "message 3 is a depth of 10800 s, but message 1 of 3600 s");
    m.n = 0;
    add_mrms(&m, 33, "grid_png", 0);
    assert_int_equal(open_message(&f, &m, NULL), GEN_OK);
    assert_string_equal(f->name, "MultiSensor_QPE_12H_Pass1");
    assert_true(f->interval == 12 * 3600);
    gen_radar_file_close(&f);
}

static void forecasts_have_later_times(void **state)
{
    (void)state;
    message m = { .n = 0 };
    gen_radar_file *f;
    codes_handle *h = new_handle();
    mrms_grid(h);
    parameter(h, 0, 1, 7);
    set(h, "indicatorOfUnitOfTimeRange", 0);
    set(h, "forecastTime", 25);
    put_values(h, "grid_simple");
    take(&m, h);
    assert_int_equal(open_message(&f, &m, NULL), GEN_OK);
    assert_int_equal(f->time[0], 1560125100 + 25 * 60);
    gen_radar_file_close(&f);
}

static void a_parameter_is_chosen(void **state)
{
    (void)state;
    message m = { .n = 0 };
    gen_radar_file *f;
    gen_radar_read_options by_name = { .variable = "PrecipRate" }, flag = { .variable = "209.6.0" },
                           none = { .variable = "rain" };
    add_mrms(&m, 0, "grid_png", 0); /* PrecipFlag: no rain */
    add_mrms(&m, 1, "grid_png", 0);
    memcpy(m.bytes + m.n, "\r\r\nZZZZ", 7); /* a bulletin's end, and its next head */
    m.n += 7;
    add_mrms(&m, 1, "grid_png", 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(open_message(&f, &m, i ? &by_name : NULL), GEN_OK);
        assert_string_equal(f->name, "PrecipRate");
        assert_int_equal(f->frames, 2);
        assert_int_equal(f->time[1] - f->time[0], 120);
        gen_radar_file_close(&f);
    }
    assert_int_equal(open_message(&f, &m, &flag), GEN_OK);
    assert_int_equal(f->frames, 1);
    assert_int_equal(f->quantity, GEN_RADAR_OTHER);
    gen_radar_file_close(&f);
    expect_sentence(open_message(&f, &m, &none), "no parameter 'rain'");
}

/* ---- what nobody should write -------------------------------------------------------------------
 */

static void headers_are_checked_first(void **state)
{
    (void)state;
    static const struct {
        int section, octet, n;
        unsigned char bytes[8];
        const char *sentence;
    } cases[] = {
        { 3, 31, 4, { 0x80 }, "a grid of 25 x 2147483648 cells" },
        { 3, 31, 8, { 0x80, 0, 0, 0, 0x80 }, "a grid of 2147483648 x 2147483648 cells" },
        { 3, 35, 4, { 0, 0, 0, 0 }, "a grid of 0 x 40 cells" },
        { 3, 35, 4, { 0, 0, 0, 26 }, "1000 points, but a grid of 26 x 40" },
        { 3, 7, 4, { 0xff, 0xff, 0xff, 0xff }, "4294967295 points, but a grid of 25 x 40" },
        { 3, 11, 1, { 4 }, "list of row lengths is 4" },
        { 3, 13, 2, { 0, 50 }, "grid definition template is 50" },
        { 3, 15, 1, { 77 }, "shape of the earth is 77" },
        { 3, 47, 4, { 0x7f, 0xff, 0xff, 0xff }, "a latitude is 2147.48" },
        { 3, 51, 4, { 0x7f, 0xff, 0xff, 0xff }, "a longitude is 2147.48" },
        { 3, 72, 1, { 0x20 }, "scanning mode is 32" },
        { 3, 1, 4, { 0xff, 0xff, 0xff, 0xff }, "begins no section" },
        { 3, 1, 4, { 0, 0, 0, 4 }, "begins no section" },
        { 3, 5, 1, { 9 }, "begins no section" },
        { 4, 8, 2, { 0, 15 }, "product definition template 15" },
        { 4, 8, 2, { 0, 8 }, "section 4 of message 1 has 34 bytes, expected 58" },
        { 4, 18, 5, { 4, 0, 0, 0, 1 }, "unit of time 4" },
        { 1, 15, 1, { 13 }, "'2019-13-10T00:05:00Z' is no date" },
        { 5, 6, 4, { 0, 0, 3, 0xe7 }, "holds 999 values, expected 1000" },
        { 5, 6, 4, { 0xff, 0xff, 0xff, 0xff }, "holds 4294967295 values, expected 1000" },
        { 5, 10, 2, { 0, 200 }, "data representation template 200" },
        { 5, 12, 4, { 0x7f, 0xc0 }, "a reference value of nan" },
        { 5, 16, 2, { 0x7f, 0xff }, "scale factors of 32767 and 0" },
        { 5, 18, 2, { 0xff, 0xff }, "scale factors of" },
        { 6, 6, 1, { 0 }, "section 6 of message 1 has 6 bytes, expected 131" },
        { 6, 6, 1, { 254 }, "bit-map indicator 254" },
        { 7, 22, 4, { 0, 0, 0x80, 0 }, "no picture of 1000 pixels" },
        { 7, 26, 4, { 0xff, 0xff, 0xff, 0xff }, "no picture of 1000 pixels" },
        { 7, 6, 1, { 'x' }, "no picture of 1000 pixels" },
        { 7, 50, 1, { 0x55 }, "its PNG is damaged" },
    };
    for (int i = 0; i < GEN_LEN(cases); i++) {
        message m = { .n = 0 };
        add_mrms(&m, 1, "grid_png", 5);
        memcpy(m.bytes + section(&m, cases[i].section) + cases[i].octet - 1, cases[i].bytes,
               (size_t)cases[i].n);
        refused(&m, cases[i].sentence);
    }
}

static void groups_are_checked_first(void **state)
{
    (void)state;
    static const struct {
        int octet, n;
        unsigned char bytes[4];
    } cases[] = {
        { 32, 4, { 0xff, 0xff, 0xff, 0xff } },
        { 32, 4, { 0 } },
        { 36, 1, { 200 } },
        { 37, 1, { 40 } },
        { 43, 4, { 0x7f, 0xff } },
        { 47, 1, { 33 } },
    };
    for (int i = 0; i < GEN_LEN(cases); i++) {
        message m = { .n = 0 };
        add_mrms(&m, 1, "grid_complex", 5);
        memcpy(m.bytes + section(&m, 5) + cases[i].octet - 1, cases[i].bytes, (size_t)cases[i].n);
        refused(&m, "groups of values do not fit section 7");
    }
}

static void messages_are_checked_first(void **state)
{
    (void)state;
    message m = { .n = 0 };
    add_mrms(&m, 1, "grid_png", 5);
    m.bytes[7] = 1;
    refused(&m, "GRIB edition 1");
    m.bytes[7] = 2;
    m.bytes[8] = 0x80; /* of 8 octets */
    refused(&m, "is cut");
    m.bytes[8] = 0;
    m.bytes[m.n - 1] = 'x';
    refused(&m, "does not end with 7777");
    m.n = 4;
    refused(&m, "no GRIB field");
}

/* Each length, and each byte set to other values: a result or a sentence, and nothing kept. */
static void damaged_files_end_in_a_sentence(void **state)
{
    (void)state;
    static const char *const packings[] = { "grid_png", "grid_simple", "grid_complex" };
    uint64_t held = gen_alloc_bytes();
    for (int p = 0; p < GEN_LEN(packings); p++) {
        message whole = { .n = 0 };
        float values[1 << 16];
        gen_radar_file *f;
        add_mrms(&whole, 1, packings[p], 5);
        for (size_t n = 0; n < whole.n; n++) {
            message m = whole;
            m.n = n;
            assert_int_equal(open_message(&f, &m, NULL), GEN_EDATA);
        }
        /* ecCodes is not given damaged data here: it may crash, and has a process of its own. */
        size_t end = p ? section(&whole, 5) : whole.n;
        for (size_t at = 0; at < end; at++)
            for (int v = 0; v < 4; v++) {
                message m = whole;
                m.bytes[at] =
                    (unsigned char[]){ 0, 0xff, 0x7f, (unsigned char)(m.bytes[at] ^ 1) }[v];
                if (open_message(&f, &m, NULL) != GEN_OK)
                    continue;
                if (f->grid.height * f->grid.width <= GEN_LEN(values))
                    gen_radar_file_read(f, 0, values);
                gen_radar_file_close(&f);
            }
    }
    assert_int_equal(gen_alloc_bytes(), held);
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    message m = { .n = 0 };
    gen_radar_file *f;
    float values[W * H];
    gen_status status = GEN_ENOMEM;
    add_mrms(&m, 1, "grid_png", 5);
    uint64_t held = gen_alloc_bytes();
    for (uint64_t n = 1; status == GEN_ENOMEM; n++) {
        assert_true(n < 1000);
        gen_alloc_fail_at(n);
        status = open_message(&f, &m, NULL);
        if (status == GEN_OK)
            status = gen_radar_file_read(f, 0, values);
        gen_radar_file_close(&f);
        gen_alloc_fail_at(0);
        assert_int_equal(gen_alloc_bytes(), held);
    }
    assert_int_equal(status, GEN_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mrms_is_understood),
        cmocka_unit_test(every_packing_is_read),
        cmocka_unit_test(scanning_modes),
        cmocka_unit_test(values_that_are_none),
        cmocka_unit_test(bitmap_is_missing),
        cmocka_unit_test(pictures_of_any_depth),
        cmocka_unit_test(pictures_of_few_bits),
        cmocka_unit_test(projected_grids),
        cmocka_unit_test(depths_have_an_interval),
        cmocka_unit_test(forecasts_have_later_times),
        cmocka_unit_test(a_parameter_is_chosen),
        cmocka_unit_test(headers_are_checked_first),
        cmocka_unit_test(groups_are_checked_first),
        cmocka_unit_test(messages_are_checked_first),
        cmocka_unit_test(damaged_files_end_in_a_sentence),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
