/* SPDX-License-Identifier: Apache-2.0
 *
 * Readers of PGM, RADOLAN and NIMROD, with files built here as the formats' descriptions say:
 * values, flags, times, places; damaged ones end in a sentence that names the file and the field.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <archive.h>
#include <archive_entry.h>
#include <unistd.h>
#include <zlib.h>

#include "tests/radar_bytes.h"
#include "weather/codec/codec.h"

static gen_radar_file *opened(const gen_radar_format *format, const bytes *b,
                              const gen_radar_read_options *o)
{
    static const gen_radar_read_options none;
    gen_radar_file *f = NULL;
    if (gen_radar_file_open_bytes(&f, "a/file", format, b->p, b->n, o ? o : &none) != GEN_OK)
        fail_msg("%s", gen_last_error());
    return f;
}

static int64_t seconds(const char *text)
{
    int64_t t = 0;
    assert_int_equal(gen_time_parse(text, &t), GEN_OK);
    return t;
}

/* ---- PGM ------------------------------------------------------------------------------------- */

#define FMI_PLACE                                                                                  \
    "# type stereographic\n# centrallongitude 25\n# centrallatitude 90\n# truelatitude 60\n"       \
    "# bottomleft 18.6 57.93\n# topright 34.903 69.005\n"

static bytes pgm(const char *comments, const char *sizes, const void *cells, size_t n)
{
    bytes b = { 0 };
    add_text(&b, "P5\n");
    add_text(&b, comments);
    add_text(&b, sizes);
    add(&b, cells, n);
    return b;
}

static void pgm_of_fmi_is_read(void **state)
{
    (void)state;
    static const unsigned char cells[] = { 0, 1, 64, 65, 254, 255 };
    static const float dbz[] = { -INFINITY, -31.5f, 0, 0.5f, 95, NAN };
    float found[6];
    bytes b = pgm("# obstime 201609281445\r\n# param CorrectedReflectivity\n" FMI_PLACE,
                  "3 2\n255\n", cells, 6);
    gen_radar_file *f = opened(&gen_radar_pgm, &b, NULL);
    assert_int_equal(gen_radar_file_read(f, 0, found), GEN_OK);
    check_values(found, dbz, 6);
    assert_int_equal(f->quantity, GEN_RADAR_DBZ);
    assert_int_equal(f->time[0], seconds("2016-09-28T14:45Z"));
    assert_true(f->zr_a == 223 && f->zr_b == 1.53);
    /* The composite is 760 x 1226 cells of 999.674 x 999.629 m. */
    assert_true(fabs(f->grid.x[1] - f->grid.x[0] - 759752.28 / 3) < 0.01);
    assert_true(fabs(f->grid.y[0] - f->grid.y[1] - 1225544.65 / 2) < 0.01);
    gen_radar_file_close(&f);
    check_hostile(&gen_radar_pgm, &b, NULL, b.n);
    free(b.p);
}

static void pgm_of_16_bits_is_read_as_it_is(void **state)
{
    (void)state;
    static const unsigned char cells[] = { 0, 0, 1, 2, 0xff, 0xff, 0x12, 0x34 };
    static const float expected[] = { 0, 258, NAN, 4660 };
    float found[4];
    bytes b = pgm("# param Something\n", "2 2 65535 ", cells, 8);
    gen_radar_file *f = opened(&gen_radar_pgm, &b, NULL);
    assert_int_equal(gen_radar_file_read(f, 0, found), GEN_OK);
    check_values(found, expected, 4);
    assert_int_equal(f->quantity, GEN_RADAR_OTHER);
    assert_string_equal(f->name, "Something");
    assert_true(f->numbered && f->time[0] == GEN_TIME_UNKNOWN);
    gen_radar_file_close(&f);
    check_hostile(&gen_radar_pgm, &b, NULL, b.n);
    free(b.p);
}

static void pgm_that_is_wrong_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *comments, *sizes, *part;
    } cases[] = {
        { "", "99999999 99999999 255\n", "the width of the graymap is '99999999'" },
        { "", "65535 65535 255\n", "is cut: 65535 x 65535 cells take 4294836225 bytes, found 6" },
        { "", "3 x 255\n", "the height of the graymap is 'x'" },
        { "", "3 -2 255\n", "the height of the graymap is '-2'" },
        { "", "3 2 0\n", "the largest value of the graymap is '0'" },
        { "", "3 2 65536\n", "the largest value of the graymap is '65536'" },
        { "", "3 2 nan\n", "the largest value" },
        { "", "2 2 255\n", "is too long" },
        { "# obstime 2016\n", "3 2 255\n", "obstime is '2016'" },
        { "# obstime 201613281445\n", "3 2 255\n", "obstime is 2016-13-28" },
        { "# obstime yesterday\n", "3 2 255\n", "obstime is 'yesterday'" },
        { FMI_PLACE "# truelatitude north\n", "3 2 255\n", "truelatitude is 'north'" },
        { FMI_PLACE "# truelatitude 1e999\n", "3 2 255\n", "truelatitude is '1e999'" },
        { FMI_PLACE "# bottomleft nan 57\n", "3 2 255\n", "bottomleft is 'nan'" },
        { FMI_PLACE "# bottomleft 18\n", "3 2 255\n", "bottomleft is ''" },
        { FMI_PLACE "# topright 34 99\n", "3 2 255\n", "topright is 34 99" },
        { FMI_PLACE "# topright 10 50\n", "3 2 255\n", "the grid goes from" },
    };
    for (int i = 0; i < GEN_LEN(cases); i++) {
        bytes b = pgm(cases[i].comments, cases[i].sizes, "abcdef", 6);
        expect_data(&gen_radar_pgm, &b, NULL, cases[i].part);
        free(b.p);
    }
}

/* 16 MB of zeros behind a header of 2 x 2 cells, packed to 16 kB. */
static void gzip_that_swells_is_stopped(void **state)
{
    (void)state;
    char path[] = "/tmp/gen-bomb-XXXXXX";
    static char zeros[1 << 16];
    const gen_radar_read_options o = { .max_bytes = 1 << 20 };
    gen_radar_contents *c = NULL;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    gzFile z = gzdopen(fd, "wb");
    gzputs(z, "P5 2 2 255\n");
    for (int i = 0; i < 256; i++)
        gzwrite(z, zeros, sizeof zeros);
    gzclose(z);
    uint64_t before = gen_alloc_bytes();
    expect(gen_radar_inspect(&c, path, &o), GEN_EDATA, "holds more than");
    assert_true(gen_alloc_bytes() == before);
    assert_true(gen_alloc_peak() < before + (8u << 20));
    unlink(path);
}

/* ---- RADOLAN --------------------------------------------------------------------------------- */

/* "RW102050100000814BY...": words are what follows BY's number. */
static bytes radolan(const char *product, const char *words, const void *cells, size_t n)
{
    char header[300];
    bytes b = { 0 };
    int length = snprintf(NULL, 0, "%s102050100000814BY%10d%s", product, 0, words) + 1;
    snprintf(header, sizeof header, "%s102050100000814BY%10d%s\3", product, length + (int)n, words);
    add_text(&b, header);
    add(&b, cells, n);
    return b;
}

#define RW_WORDS "VS 3SW   2.13.1PR E-01INT  60GP   2x   3MS 10<boo,ros,PR> "
/* South row first: 0.1 mm, no data, clutter; secondary 25.5 mm, negative, largest. */
static const unsigned char rw_cells[] = {
    1, 0, 0xc4, 0x29, 5, 0x80, 0xff, 0x10, 7, 0x40, 0xff, 0x0f
};

static void radolan_depths_have_flags(void **state)
{
    (void)state;
    static const float expected[] = { 25.5f, NAN, 409.5f, 0.1f, NAN, NAN };
    float found[6];
    bytes b = radolan("RW", RW_WORDS, rw_cells, sizeof rw_cells);
    gen_radar_file *f = opened(&gen_radar_radolan, &b, NULL);
    assert_int_equal(gen_radar_file_read(f, 0, found), GEN_OK);
    check_values(found, expected, 6);
    assert_int_equal(f->quantity, GEN_RADAR_DEPTH);
    assert_true(f->interval == 3600 && f->numbered);
    assert_int_equal(f->time[0], seconds("2014-08-10T20:50Z"));
    assert_string_equal(f->name, "RW");
    gen_radar_file_close(&f);
    check_hostile(&gen_radar_radolan, &b, NULL, b.n);
    free(b.p);
}

static void radolan_words_are_read(void **state)
{
    (void)state;
    static const unsigned char counts[] = { 0, 1, 65, 248, 249, 250 };
    static const float dbz[] = { 91.5f, NAN, NAN, -INFINITY, -32, 0 };
    static const unsigned char tenths[] = {
        0, 0, 0x8a, 2, 0xba, 0x89
    }; /* 0, 650, 2490 + clutter */
    static const float fine[] = { -INFINITY, 0, NAN };
    float found[6];
    bytes b = radolan("RX", "VS 3PR E+00INT   5GP   2x   3", counts, 6);
    assert_int_equal(try_bytes(&gen_radar_radolan, "f", &b, NULL, 0, found), GEN_OK);
    check_values(found, dbz, 6);
    free(b.p);
    b = radolan("WN", "VS 5PR E-01INT   5GP   1x   3VV 030", tenths, 6);
    gen_radar_file *f = opened(&gen_radar_radolan, &b, NULL);
    assert_int_equal(gen_radar_file_read(f, 0, found), GEN_OK);
    check_values(found, fine, 3);
    assert_int_equal(f->time[0], seconds("2014-08-10T21:20Z")); /* half an hour ahead */
    assert_true(f->zr_a == 256 && f->zr_b == 1.42);
    gen_radar_file_close(&f);
    free(b.p);
    b = radolan("SF", "VS 5PR E-01INT   7U1GP   1x   3", tenths, 6);
    f = opened(&gen_radar_radolan, &b, NULL);
    assert_true(f->interval == 7 * 86400.0);
    gen_radar_file_close(&f);
    free(b.p);
    b = radolan("%M", "VS 5PR E-01INT   7GP   1x   3", tenths, 6);
    f = opened(&gen_radar_radolan, &b, NULL);
    assert_int_equal(f->quantity, GEN_RADAR_OTHER);
    gen_radar_file_close(&f);
    free(b.p);
}

/* South-west corners of DWD's grids in km, as its description prints them; DE1200 and the earth of
 * version 5 by wradlib 2.9.6. */
static void radolan_grids_lie_where_dwd_says(void **state)
{
    (void)state;
    static const struct {
        int rows, columns, version;
        double west, south, cell;
    } cases[] = { { 900, 900, 3, -523.4622, -4658.6447, 1 },
                  { 1100, 900, 3, -443.4622, -4758.6447, 1 },
                  { 1500, 1400, 3, -673.4622, -5008.6447, 1 },
                  { 1200, 1100, 5, -543.6968, -4822.0889, 1 },
                  { 4800, 4400, 5, -543.6968, -4822.0889, 0.25 } };
    for (int i = 0; i < GEN_LEN(cases); i++) {
        size_t n = (size_t)(cases[i].rows * cases[i].columns);
        unsigned char *cells = calloc(n, 1);
        char words[100];
        snprintf(words, sizeof words, "VS %dPR E+00INT   5GP%4dx%4d", cases[i].version,
                 cases[i].rows, cases[i].columns);
        bytes b = radolan("RX", words, cells, n);
        gen_radar_file *f = opened(&gen_radar_radolan, &b, NULL);
        double half = cases[i].cell * 500, *y = f->grid.y;
        assert_true(fabs(f->grid.x[0] - half - cases[i].west * 1000) < 0.1);
        assert_true(fabs(y[cases[i].rows - 1] - half - cases[i].south * 1000) < 0.1);
        assert_true(fabs(y[0] - y[1] - 2 * half) < 1e-6 && !f->numbered);
        gen_radar_file_close(&f);
        free(b.p);
        free(cells);
    }
}

static void radolan_that_is_wrong_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *product, *words, *part;
    } cases[] = {
        { "RW", "VS 3PR E-01INT  60GP9999x9999", "is cut: 9999 x 9999 cells" },
        { "RW", "VS 3PR E-01INT  60GP   0x   3", "GP of the header is '   0x   3'" },
        { "RW", "VS 3PR E-01INT  60GPnanx   3", "GP of the header" },
        { "RW", "VS 3PR E-01INT  60", "GP of the header is 'missing'" },
        { "PG", "VS 3LV 6BG460460", "run-length coded" },
        { "RW", "VS 3PR E-99INT  60GP   2x   3", "PR of the header is 'E-99" },
        { "RW", "VS 3PR 0.01INT  60GP   2x   3", "PR of the header is '0.01" },
        { "RW", "VS 3PR E-01INT nanGP   2x   3", "INT of the header is 'nanGP" },
        { "RW", "VS xPR E-01INT  60GP   2x   3", "VS of the header is 'x" },
        { "RW", "VS 3PR E-01INT  60GP   2x   3VV abc", "VV of the header is 'abc" },
    };
    for (int i = 0; i < GEN_LEN(cases); i++) {
        bytes b = radolan(cases[i].product, cases[i].words, rw_cells, sizeof rw_cells);
        expect_data(&gen_radar_radolan, &b, NULL, cases[i].part);
        free(b.p);
    }
    bytes b = radolan("RW", RW_WORDS, rw_cells, sizeof rw_cells);
    b.p[26] = '9'; /* of BY */
    expect_data(&gen_radar_radolan, &b, NULL, "is cut: BY of the header is ");
    memcpy(b.p + 13, "9999", 4);
    expect_data(&gen_radar_radolan, &b, NULL, "the time of the header is 2099-99-10");
    free(b.p);
}

/* A bzip2 tar of files; sizes may be larger than their bytes: zeros follow. */
static bytes packed(const bytes *files, const size_t *sizes, int n)
{
    static unsigned char zeros[1 << 16];
    bytes out = { malloc(1 << 20), 0, 1 << 20 };
    struct archive *a = archive_write_new();
    archive_write_set_format_ustar(a);
    archive_write_add_filter_bzip2(a);
    archive_write_open_memory(a, out.p, out.room, &out.n);
    for (int i = 0; i < n; i++) {
        struct archive_entry *e = archive_entry_new();
        char name[20];
        size_t left = sizes ? sizes[i] - files[i].n : 0;
        snprintf(name, sizeof name, "RV_%03d", i * 5);
        archive_entry_set_pathname(e, name);
        archive_entry_set_filetype(e, AE_IFREG);
        archive_entry_set_size(e, (la_int64_t)(files[i].n + left));
        archive_write_header(a, e);
        archive_write_data(a, files[i].p, files[i].n);
        for (size_t m; left; left -= m) {
            m = left < sizeof zeros ? left : sizeof zeros;
            archive_write_data(a, zeros, m);
        }
        archive_entry_free(e);
    }
    archive_write_close(a);
    archive_write_free(a);
    return out;
}

static void radolan_archives_are_frames(void **state)
{
    (void)state;
    bytes item[3], none = { 0 };
    float found[6];
    for (int i = 0; i < 3; i++) {
        char words[80];
        unsigned char cells[12] = { 0 };
        cells[0] = (unsigned char)(10 * (i + 1));
        snprintf(words, sizeof words, "VS 5PR E-02INT   5GP   2x   3VV%4d", i * 5);
        item[i] = radolan("RV", words, cells, 12);
    }
    bytes tar = packed(item, NULL, 3);
    gen_radar_file *f = opened(&gen_radar_radolan, &tar, NULL);
    assert_int_equal(f->frames, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(f->time[i], seconds("2014-08-10T20:50Z") + 300 * i);
        assert_int_equal(gen_radar_file_read(f, i, found), GEN_OK);
        assert_true(found[3] == 0.1f * (float)(i + 1));
    }
    gen_radar_file_close(&f);
    check_hostile(&gen_radar_radolan, &tar, NULL, 0);
    free(tar.p);
    free(item[1].p);
    item[1] = radolan("RV", "VS 5PR E-01INT   5GP   2x   3", rw_cells, 12);
    tar = packed(item, NULL, 3);
    expect_data(&gen_radar_radolan, &tar, NULL, "composite 2 (RV, 2 x 3 cells, 300 s) differs");
    free(tar.p);
    tar = packed(item, (size_t[]){ 65u << 20 }, 1); /* a bomb: 65 MB in a few hundred bytes */
    assert_true(tar.n < 10000);
    expect_data(&gen_radar_radolan, &tar, NULL, "holds more than 0.1 GB");
    free(tar.p);
    tar = packed(&none, NULL, 0);
    expect_data(&gen_radar_radolan, &tar, NULL, "archive without files");
    free(tar.p);
    bytes other = { (unsigned char *)"not a composite", 15, 15 };
    tar = packed(&other, NULL, 1);
    expect_data(&gen_radar_radolan, &tar, NULL, "no RADOLAN composite");
    free(tar.p);
    for (int i = 0; i < 3; i++)
        free(item[i].p);
}

/* ---- NIMROD ---------------------------------------------------------------------------------- */

typedef struct field {
    int minute, type, size, grid, rows, columns, corner, period;
    float x, y, step;
    const char *units, *title;
} field;

static const field rain = { .type = 1,
                            .size = 2,
                            .rows = 2,
                            .columns = 3,
                            .x = 102000,
                            .y = 98000,
                            .step = 2000,
                            .units = "mm/hr*32",
                            .title = "Rain rate" };

static void put_int(unsigned char *h, int at, int v)
{
    h[at] = (unsigned char)((unsigned)v >> 8);
    h[at + 1] = (unsigned char)v;
}

static void put_big32(unsigned char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)(v >> (24 - 8 * i));
}

static void put_real(unsigned char *h, int at, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, 4);
    put_big32(h + at, bits);
}

/* Bytes of the header by the Met Office's numbering (1 is the first): int16 at 1, float at 63. */
static void add_field(bytes *b, const field *k, const void *cells)
{
    unsigned char h[512], length[4];
    for (int i = 0; i < 512; i += 2)
        put_int(h, i, -32767);
    for (int i = 62; i < 354; i += 4)
        put_real(h, i, -32767);
    const int ints[][2] = { { 0, 2020 },        { 2, 1 },          { 4, 28 },
                            { 6, 5 },           { 8, k->minute },  { 22, k->type },
                            { 24, k->size },    { 28, k->grid },   { 30, k->rows },
                            { 32, k->columns }, { 46, k->corner }, { 50, k->period } };
    for (int i = 0; i < GEN_LEN(ints); i++)
        put_int(h, ints[i][0], ints[i][1]);
    put_real(h, 70, k->y);
    put_real(h, 74, k->step);
    put_real(h, 78, k->x);
    put_real(h, 82, k->step);
    memset(h + 354, ' ', 56);
    memcpy(h + 354, k->units, strlen(k->units));
    memcpy(h + 386, k->title, strlen(k->title));
    size_t n = (size_t)(k->rows * k->columns * k->size);
    put_big32(length, 512);
    add(b, length, 4);
    add(b, h, 512);
    add(b, length, 4);
    put_big32(length, (uint32_t)n);
    add(b, length, 4);
    add(b, cells, n);
    add(b, length, 4);
}

static const unsigned char six_ints[] = { 0, 0, 0, 32, 0, 1, 0x80, 1, 1, 0, 0xff, 0xff };
static const float six_rates[] = { 0, 1, 0.03125f, NAN, 8, NAN }; /* -32767; below 0 is missing */

static void nimrod_fields_are_read(void **state)
{
    (void)state;
    float found[6];
    field k = rain;
    bytes b = { 0 };
    add_field(&b, &k, six_ints);
    gen_radar_file *f = opened(&gen_radar_nimrod, &b, NULL);
    assert_int_equal(gen_radar_file_read(f, 0, found), GEN_OK);
    check_values(found, six_rates, 6);
    assert_int_equal(f->quantity, GEN_RADAR_RATE);
    assert_string_equal(f->name, "Rain rate");
    assert_string_equal(f->units, "mm/h");
    assert_int_equal(f->time[0], seconds("2020-01-28T05:00Z"));
    assert_true(f->grid.x[0] == 102000 && f->grid.y[0] == 98000 && f->grid.y[1] == 96000);
    assert_non_null(strstr(f->grid.proj4, "+k=0.9996012717"));
    gen_radar_file_close(&f);
    check_hostile(&gen_radar_nimrod, &b, NULL, b.n);
    free(b.p);
    b = (bytes){ 0 };
    k.corner = 1; /* south row first */
    add_field(&b, &k, six_ints);
    f = opened(&gen_radar_nimrod, &b, NULL);
    assert_int_equal(gen_radar_file_read(f, 0, found), GEN_OK);
    check_values(found, six_rates + 3, 3);
    check_values(found + 3, six_rates, 3);
    assert_true(f->grid.y[0] == 100000 && f->grid.y[1] == 98000);
    gen_radar_file_close(&f);
    free(b.p);
}

static void nimrod_types_and_units_are_read(void **state)
{
    (void)state;
    float found[6];
    unsigned char reals[24];
    static const unsigned char ones[] = { 0, 1, 2, 127, 128, 255 };
    static const float wanted[3][6] = { { 0.5f, NAN, 3e9f, 2, 1, NAN },
                                        { 50000, 50002, 50004, 50254, 49744, 49998 },
                                        { 0, 0.01f, 0.02f, 1.27f, 1.28f, 2.55f } };
    for (int i = 0; i < 6; i++)
        put_real(reals, 4 * i, i == 1 ? -32767 : i == 5 ? NAN : wanted[0][i]);
    const field cases[] = {
        { .type = 0, .size = 4, .units = "dBZ", .title = "Z" },
        { .type = 1, .size = 1, .units = "m/2-25k", .title = "Visibility" },
        { .type = 2, .size = 1, .units = "mm*10^2", .title = "Accumulation", .period = 15 },
    };
    static const gen_radar_quantity quantities[] = { GEN_RADAR_DBZ, GEN_RADAR_OTHER,
                                                     GEN_RADAR_DEPTH };
    for (int i = 0; i < 3; i++) {
        field k = cases[i];
        bytes b = { 0 };
        k.rows = 2, k.columns = 3, k.step = 0.5f, k.grid = 1, k.y = 55, k.x = -3;
        add_field(&b, &k, i ? ones : reals);
        gen_radar_file *f = opened(&gen_radar_nimrod, &b, NULL);
        assert_int_equal(gen_radar_file_read(f, 0, found), GEN_OK);
        check_values(found, wanted[i], 6);
        assert_int_equal(f->quantity, quantities[i]);
        assert_true(f->interval == (i == 2 ? 900 : 0) && f->grid.degrees);
        gen_radar_file_close(&f);
        free(b.p);
    }
}

static void nimrod_fields_are_chosen(void **state)
{
    (void)state;
    bytes b = { 0 };
    field k = rain;
    add_field(&b, &k, six_ints);
    k.minute = 15; /* the same at another time: a frame */
    add_field(&b, &k, six_ints);
    k.title = "Max rainrate";
    add_field(&b, &k, six_ints);
    gen_radar_file *f = opened(&gen_radar_nimrod, &b, NULL);
    assert_int_equal(f->frames, 2);
    assert_int_equal(f->time[1] - f->time[0], 900);
    gen_radar_file_close(&f);
    static const struct {
        const char *variable, *name;
        int64_t frames;
    } cases[] = { { "1", "Rain rate", 1 },
                  { "3", "Max rainrate", 1 },
                  { "Max rainrate", "Max rainrate", 1 },
                  { "Rain rate", "Rain rate", 2 } };
    for (int i = 0; i < GEN_LEN(cases); i++) {
        const gen_radar_read_options o = { .variable = cases[i].variable };
        f = opened(&gen_radar_nimrod, &b, &o);
        assert_string_equal(f->name, cases[i].name);
        assert_int_equal(f->frames, cases[i].frames);
        gen_radar_file_close(&f);
    }
    const gen_radar_read_options o = { .variable = "Snow" };
    expect_data(&gen_radar_nimrod, &b, &o, "has 3 fields, none of them 'Snow'");
    free(b.p);
}

static void nimrod_that_is_wrong_is_told(void **state)
{
    (void)state;
    const struct {
        int at;
        uint32_t value;
        int size;
        const char *part;
    } cases[] = {
        { 4 + 24, 8, 2, "cells are of type 1 and 8 bytes" },
        { 4 + 22, 7, 2, "cells are of type 7" },
        { 4 + 46, 2, 2, "the origin is corner 2" },
        { 4 + 28, 3, 2, "the grid is of type 3" },
        { 4 + 30, 0x7fff, 2, "is cut: 32767 x 3 cells" },
        { 4 + 30, 0xffff, 2, "declares -1 x 3 cells" },
        { 4 + 2, 13, 2, "the time of validity is 2020-13-28" },
        { 4 + 74, 0x7fc00000, 4, "the grid goes from" }, /* NaN */
        { 4 + 78, 0x7f800000, 4, "the grid goes from" }, /* infinity */
        { 4 + 354 + 6, 0x6e61, 2, "the factor of the units is 'na'" },
        { 4 + 354 + 6, 0x3020, 2, "the units have the factor 0" },
        { 516, 511, 4, "the header of field 1 has 512 bytes" },
        { 520, 0xffffffff, 4, "the data of field 1 take 4294967295 bytes" },
        { 524 + 12, 11, 4, "the data of field 1 end with length 11" },
    };
    for (int i = 0; i < GEN_LEN(cases); i++) {
        bytes b = { 0 };
        add_field(&b, &rain, six_ints);
        if (cases[i].size == 2)
            put_int(b.p, cases[i].at, (int)cases[i].value);
        else
            put_big32(b.p + cases[i].at, cases[i].value);
        expect_data(&gen_radar_nimrod, &b, NULL, cases[i].part);
        free(b.p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pgm_of_fmi_is_read),
        cmocka_unit_test(pgm_of_16_bits_is_read_as_it_is),
        cmocka_unit_test(pgm_that_is_wrong_is_told),
        cmocka_unit_test(gzip_that_swells_is_stopped),
        cmocka_unit_test(radolan_depths_have_flags),
        cmocka_unit_test(radolan_words_are_read),
        cmocka_unit_test(radolan_grids_lie_where_dwd_says),
        cmocka_unit_test(radolan_that_is_wrong_is_told),
        cmocka_unit_test(radolan_archives_are_frames),
        cmocka_unit_test(nimrod_fields_are_read),
        cmocka_unit_test(nimrod_types_and_units_are_read),
        cmocka_unit_test(nimrod_fields_are_chosen),
        cmocka_unit_test(nimrod_that_is_wrong_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
