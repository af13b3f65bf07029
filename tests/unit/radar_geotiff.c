/* SPDX-License-Identifier: Apache-2.0
 *
 * GeoTIFF that nobody should write ends in a sentence: tags of the seeds in
 * tests/fuzz/corpus/geotiff are changed, files are cut at every byte and flipped. What GDAL writes
 * is read by tests/golden/radar_geotiff.c. What we write is read back here by ourselves, and by
 * GDAL in tests/golden/geotiff_readback.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <math.h>

#include "libgen/base/alloc.h"
#include "libgen/base/file.h"
#include "weather/codec/codec.h"
#include "weather/projection.h"

#define W 12
#define H 7

typedef struct picture {
    unsigned char bytes[4096];
    size_t n;
} picture;

static const gen_radar_read_options no_options;

static void load(picture *p, const char *name)
{
    char path[128], *data = NULL;
    uint64_t n = 0;
    snprintf(path, sizeof path, "tests/fuzz/corpus/geotiff/%s", name);
    if (gen_file_read(path, sizeof p->bytes, &data, &n) != GEN_OK)
        fail_msg("%s", gen_last_error());
    memcpy(p->bytes, data, n);
    p->n = n;
    gen_free(data);
}

static gen_status open_picture(gen_radar_file **f, const picture *p)
{
    return gen_radar_file_open_bytes(f, "x.tif", &gen_radar_geotiff, p->bytes, p->n, &no_options);
}

static gen_status read_picture(const picture *p)
{
    float values[1 << 16];
    gen_radar_file *f = NULL;
    gen_status status = open_picture(&f, p);
    if (status == GEN_OK && f->grid.height * f->grid.width <= GEN_LEN(values))
        status = gen_radar_file_read(f, 0, values);
    gen_radar_file_close(&f);
    return status;
}

/* The 12 bytes of a tag of a little-endian file: number, type, count, value or place. */
static unsigned char *tag(picture *p, int number)
{
    uint32_t at;
    memcpy(&at, p->bytes + 4, sizeof at);
    int n = p->bytes[at] | p->bytes[at + 1] << 8;
    for (unsigned char *e = p->bytes + at + 2; n > 0; n--, e += 12)
        if ((e[0] | e[1] << 8) == number)
            return e;
    fail_msg("no tag %d", number);
    return NULL;
}

/* Its values, where they do not fit into the tag. */
static unsigned char *far_value(picture *p, int number)
{
    uint32_t at;
    memcpy(&at, tag(p, number) + 8, sizeof at);
    return p->bytes + at;
}

static void refused(const picture *p, const char *part)
{
    gen_status found = read_picture(p);
    if (found != GEN_EDATA || !strstr(gen_last_error(), part))
        fail_msg("status %s, sentence '%s', expected '%s'", gen_status_name(found),
                 gen_last_error(), part);
}

static void fmi_is_understood(void **state)
{
    (void)state;
    picture p;
    gen_radar_file *f;
    float values[W * H];
    load(&p, "fmi.tif");
    assert_int_equal(open_picture(&f, &p), GEN_OK);
    assert_int_equal(f->quantity, GEN_RADAR_DBZ);
    assert_string_equal(f->units, "dBZ");
    assert_int_equal(f->time[0], 1475073900); /* date -u -d 2016-09-28T14:45Z +%s */
    assert_string_equal(f->grid.proj4, "+proj=utm +zone=35 +ellps=GRS80 +units=m +no_defs");
    assert_true(f->grid.x[0] == 400500 && f->grid.x[W - 1] == 411500);
    assert_true(f->grid.y[0] == 6799500 && f->grid.y[H - 1] == 6793500);
    assert_int_equal(gen_radar_file_read(f, 0, values), GEN_OK);
    for (int j = 0; j < H; j++)
        for (int i = 0; i < W; i++) {
            int raw = (j * 16 + i) % 256; /* a tile of 16 x 16 */
            assert_true(values[j * W + i] == (raw ? (float)raw * 0.5f - 32 : GEN_UNDETECTED));
        }
    gen_radar_file_close(&f);
}

static void set_long(picture *p, int number, uint32_t value)
{
    unsigned char *t = tag(p, number);
    t[2] = 4; /* LONG */
    memcpy(t + 8, &value, 4);
}

static void tags_are_checked_first(void **state)
{
    (void)state;
    static const struct {
        int number;
        uint32_t value;
        const char *sentence;
    } cases[] = {
        { 256, 0x80000000, "it is damaged" },
        { 257, 0xffffffff, "it is damaged" },
        { 256, 0, "it is damaged" },
        { 322, 0x10000000, "blocks of 16 x 268435456 cells" },
        { 323, 0x10000000, "blocks of 268435456 x 16 cells" },
        { 322, 0, "it is damaged" },
        { 258, 12, "BitsPerSample is 12" },
        { 258, 64, "BitsPerSample is 64, expected 8, 16 or 32 for integers" },
        { 259, 7, "Compression is 7, expected none, LZW, deflate" },
        { 259, 6, "Compression is 6" },
        { 262, 2, "PhotometricInterpretation is 2" },
        { 277, 3, "SamplesPerPixel is 3" },
        { 339, 5, "SampleFormat is 5" },
        { 324, 0x7fffffff, "its picture is damaged" },
        { 325, 0x7fffffff, "its picture is damaged" },
        { 325, 3, "its picture is damaged" },
    };
    for (int i = 0; i < GEN_LEN(cases); i++) {
        picture p;
        load(&p, "fmi.tif");
        set_long(&p, cases[i].number, cases[i].value);
        refused(&p, cases[i].sentence);
    }
}

/* One strip, so that libtiff sees no wrong number of them. */
static void sizes_are_checked_first(void **state)
{
    (void)state;
    picture p;
    load(&p, "lambert.tif");
    set_long(&p, 278, 0xffffffff);
    set_long(&p, 257, 0x80000000);
    refused(&p, "has 2147483648 x 12 cells");
    set_long(&p, 256, 60000);
    set_long(&p, 257, 60000);
    refused(&p, "has 60000 x 60000 cells");
    set_long(&p, 259, 8); /* deflate: libtiff makes no smaller strips of it */
    set_long(&p, 256, 8192);
    set_long(&p, 257, 16384);
    refused(&p, "has blocks of 16384 x 8192 cells"); /* of 0.5 GB */
}

static void places_are_checked_first(void **state)
{
    (void)state;
    static const struct {
        int number, index;
        double value;
        const char *sentence;
    } cases[] = {
        { 33550, 0, 0, "pixels of 0 x -1000 begin at" },
        { 33550, 0, NAN, "pixels of nan x -1000 begin at" },
        { 33550, 1, INFINITY, "that is no grid" },
        { 33550, 0, -1000, "that is no grid" },
        { 33922, 3, NAN, "that is no grid" },
        { 33922, 4, 1e300, "that is no grid" },
    };
    for (int i = 0; i < GEN_LEN(cases); i++) {
        picture p;
        load(&p, "fmi.tif");
        memcpy(far_value(&p, cases[i].number) + 8 * cases[i].index, &cases[i].value, 8);
        refused(&p, cases[i].sentence);
    }
}

static void replace(picture *p, const char *from, const char *to)
{
    for (size_t i = 0; i + strlen(from) <= p->n; i++)
        if (memcmp(p->bytes + i, from, strlen(from)) == 0) {
            assert_true(strlen(from) == strlen(to));
            memcpy(p->bytes + i, to, strlen(to));
            return;
        }
    fail_msg("no '%s'", from);
}

static void texts_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *file, *from, *to, *sentence;
    } cases[] = {
        { "fmi.tif", "gt;0.5&", "gt;x.5&", "Gain is 'x.5', expected a number" },
        { "fmi.tif", "gt;0.5&", "gt;0.0&", "scale 0 and offset -32 make no values" },
        { "fmi.tif", "gt;0.5&", "gt;nan&", "scale nan and offset -32 make no values" },
        { "fmi.tif", "gt;-32&", "gt;-3y&", "offset is '-3y', expected a number" },
        { "fmi.tif", "gt;255&", "gt;2 5&", "Nodata is '2 5', expected a number" },
        { "fmi.tif", "201609281445", "201613281445", "its time is '201613281445'" },
        { "fmi.tif", "201609281445", "2016-09-28  ", "its time is '2016-09-28'" },
        { "strips.tif", "65535", "6553x", "GDAL_NODATA is '6553x', expected a number" },
        { "strips.tif", "2016:09:28 14:45:00", "2016:09:28 14:65:00", "its time is" },
    };
    for (int i = 0; i < GEN_LEN(cases); i++) {
        picture p;
        load(&p, cases[i].file);
        replace(&p, cases[i].from, cases[i].to);
        refused(&p, cases[i].sentence);
    }
}

/* An unknown coordinate system is an error; its EPSG code stands in the geo keys. */
static void unknown_systems_are_named(void **state)
{
    (void)state;
    picture p;
    load(&p, "fmi.tif");
    uint16_t code = 9999;
    memcpy(far_value(&p, 34735) + 2 * (4 + 2 * 4 + 3), &code, 2);
    refused(&p, "geo keys: ");
}

static void damaged_files_end_in_a_sentence(void **state)
{
    (void)state;
    static const char *const files[] = { "fmi.tif", "strips.tif", "lambert.tif", "packbits.tif" };
    uint64_t held = gen_alloc_bytes();
    for (int i = 0; i < GEN_LEN(files); i++) {
        picture whole;
        load(&whole, files[i]);
        for (size_t n = 0; n < whole.n; n++) {
            picture p = whole;
            p.n = n;
            (void)read_picture(&p); /* the end of a text may be missed by nobody */
        }
        for (size_t at = 0; at < whole.n; at++) {
            picture p = whole;
            p.bytes[at] =
                (unsigned char[]){ 0, 0xff, 0x7f, (unsigned char)(p.bytes[at] ^ 1) }[at % 4];
            (void)read_picture(&p);
        }
    }
    assert_int_equal(gen_alloc_bytes(), held);
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    picture p;
    gen_status status = GEN_ENOMEM;
    load(&p, "fmi.tif");
    uint64_t held = gen_alloc_bytes();
    for (uint64_t n = 1; status == GEN_ENOMEM; n++) {
        assert_true(n < 1000);
        gen_alloc_fail_at(n);
        status = read_picture(&p);
        gen_alloc_fail_at(0);
        assert_int_equal(gen_alloc_bytes(), held);
    }
    assert_int_equal(status, GEN_OK);
}

/* ---- written --------------------------------------------------------------------------------- */

static char folder[] = "/tmp/gen-geotiff-XXXXXX";

/* One frame of 3 x 4 cells of 1 km. */
static gen_radar_sequence one_frame(char *proj4)
{
    static float rain[12];
    static int64_t time[1] = { 1475073900 };
    static double y[3] = { 2000, 1000, 0 }, x[4] = { 0, 1000, 2000, 3000 };
    static char source[] = "test";
    for (int i = 0; i < 12; i++)
        rain[i] = i == 5 ? NAN : 0.25f * (float)i;
    return (gen_radar_sequence){ .frames = 1,
                                 .time = time,
                                 .rain = rain,
                                 .source = source,
                                 .grid = { 3, 4, y, x, proj4, NULL, false, NULL } };
}

static gen_status write_frame(const gen_radar_sequence *s, const char *name, double precision)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return gen_radar_write_geotiff(s, 0, path, precision, "made by a test", true);
}

static void frames_survive_a_file(void **state)
{
    (void)state;
    char proj4[] = "+proj=stere +lat_0=90 +lat_ts=60 +lon_0=25 +R=6371288 +units=m +no_defs";
    static const double precisions[] = { 0, 0.25, 1e-6 }; /* the last has no 16 bits for 2.75 */
    for (int i = 0; i < GEN_LEN(precisions); i++) {
        char path[128];
        gen_radar_contents *c = NULL;
        gen_radar_sequence s = one_frame(proj4);
        assert_int_equal(write_frame(&s, "a.tif", precisions[i]), GEN_OK);
        snprintf(path, sizeof path, "%s/a.tif", folder);
        assert_int_equal(gen_radar_inspect(&c, path, NULL), GEN_OK);
        assert_int_equal(c->quantity, GEN_RADAR_RATE);
        assert_int_equal(c->time[0], s.time[0]);
        for (int k = 0; k < 12; k++)
            assert_true(k == 5 ? isnan(c->values[k]) : c->values[k] == s.rain[k]);
        for (int k = 0; k < 4; k++)
            assert_true(c->grid.x[k] == s.grid.x[k] && (k == 3 || c->grid.y[k] == s.grid.y[k]));
        gen_radar_contents_free(&c);
    }
}

/* Cells of what is read back lie where they lay (GDAL says so of more, in geotiff_readback.py). */
static void projections_survive_a_file(void **state)
{
    (void)state;
    static const char *const projections[] = {
        "+proj=utm +zone=35 +ellps=GRS80 +units=m",
        "+proj=utm +zone=56 +south +ellps=WGS84 +units=m",
        "+proj=stere +lat_0=90 +lon_0=10 +k_0=0.93 +R=6370040 +units=m",
        "+proj=stere +lat_0=-90 +lat_ts=-71 +lon_0=10 +ellps=WGS84 +units=m",
        "+proj=stere +lat_0=46 +lon_0=25E +ellps=WGS84 +units=m",
        "+proj=lcc +lat_0=38.5 +lat_1=38.5 +lon_0=-97.5 +R=6371229 +units=m",
        "+proj=lcc +lat_0=46 +lat_1=49 +lat_2=44 +lon_0=3 +x_0=700000 +y_0=6600000 +ellps=GRS80",
        "+proj=merc +lat_ts=30 +lon_0=10 +ellps=WGS84 +units=m",
        "+proj=merc +k_0=0.997 +lon_0=110 +ellps=bessel +units=m",
        "+proj=tmerc +lat_0=49 +lon_0=-2 +k_0=0.9996012717 +x_0=400000 +y_0=-100000 +ellps=airy",
        "+proj=laea +lat_0=55 +lon_0=10 +x_0=1950000 +y_0=-2100000 +ellps=WGS84 +units=m",
        "+proj=aeqd +lat_0=52 +lon_0=5 +ellps=WGS84 +units=m",
        "+proj=aea +lat_1=29.5 +lat_2=45.5 +lat_0=23 +lon_0=-96 +ellps=GRS80 +units=m",
        "+proj=eqc +lat_ts=40 +lon_0=5 +ellps=WGS84 +units=m",
        "+proj=sterea +lat_0=52.156 +lon_0=5.3876 +k_0=0.9999079 +x_0=155000 +ellps=bessel",
        "+proj=somerc +lat_0=46.95 +lon_0=7.44 +k_0=1 +x_0=600000 +y_0=200000 +ellps=bessel",
        "+proj=gnom +lat_0=47 +lon_0=8 +R=6371000 +units=m",
    };
    for (int i = 0; i < GEN_LEN(projections); i++) {
        char path[128], proj4[128];
        gen_radar_contents *c = NULL;
        gen_projection *before = NULL, *after = NULL;
        snprintf(proj4, sizeof proj4, "%s", projections[i]);
        snprintf(path, sizeof path, "%s/a.tif", folder);
        gen_radar_sequence s = one_frame(proj4);
        if (write_frame(&s, "a.tif", 0) != GEN_OK || gen_radar_inspect(&c, path, NULL) != GEN_OK)
            fail_msg("%s: %s", proj4, gen_last_error());
        assert_int_equal(gen_projection_open(&before, &s.grid), GEN_OK);
        assert_int_equal(gen_projection_open(&after, &c->grid), GEN_OK);
        for (int k = 0; k < 4; k++) {
            double lat[2], lon[2];
            assert_true(gen_projection_inverse(before, s.grid.x[k], s.grid.y[k % 3], lat, lon));
            assert_true(
                gen_projection_inverse(after, c->grid.x[k], c->grid.y[k % 3], lat + 1, lon + 1));
            if (!(fabs(lat[0] - lat[1]) < 1e-9 && fabs(lon[0] - lon[1]) < 1e-9))
                fail_msg("%s became %s", proj4, c->grid.proj4);
        }
        gen_projection_free(&before);
        gen_projection_free(&after);
        gen_radar_contents_free(&c);
    }
}

static void frames_that_no_geotiff_holds(void **state)
{
    (void)state;
    char rotated[] = "+proj=ob_tran +o_proj=longlat +o_lat_p=39.25 +o_lon_p=0 +lon_0=18 +R=6371000";
    char plain[] = "+proj=utm +zone=35 +ellps=GRS80 +units=m +no_defs";
    gen_radar_sequence s = one_frame(rotated);
    assert_int_equal(write_frame(&s, "b.tif", 0), GEN_EDATA);
    assert_non_null(strstr(gen_last_error(), "b.tif': GeoTIFF has no keys for the projection"));
    double uneven[4] = { 0, 1000, 2500, 3000 };
    s = one_frame(plain);
    s.grid.x = uneven;
    assert_int_equal(write_frame(&s, "b.tif", 0), GEN_EDATA);
    assert_non_null(strstr(gen_last_error(), "x[2] is 2500: GeoTIFF wants cells equally far"));
    assert_int_equal(gen_radar_write_geotiff(&s, 1, "/tmp/x.tif", 0, NULL, true), GEN_EINVAL);
}

static void any_allocation_of_the_writer_may_fail(void **state)
{
    (void)state;
    char proj4[] = "+proj=utm +zone=35 +ellps=GRS80 +units=m +no_defs";
    gen_radar_sequence s = one_frame(proj4);
    gen_status status = GEN_ENOMEM;
    uint64_t held = gen_alloc_bytes();
    for (uint64_t n = 1; status == GEN_ENOMEM; n++) {
        assert_true(n < 1000);
        gen_alloc_fail_at(n);
        status = write_frame(&s, "c.tif", 0.01);
        gen_alloc_fail_at(0);
        assert_int_equal(gen_alloc_bytes(), held);
    }
    assert_int_equal(status, GEN_OK);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char path[128];
    for (const char *name = "ac"; *name; name++) {
        snprintf(path, sizeof path, "%s/%c.tif", folder, *name);
        unlink(path);
    }
    return rmdir(folder); /* fails when something else was left */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fmi_is_understood),
        cmocka_unit_test(tags_are_checked_first),
        cmocka_unit_test(sizes_are_checked_first),
        cmocka_unit_test(places_are_checked_first),
        cmocka_unit_test(texts_are_checked),
        cmocka_unit_test(unknown_systems_are_named),
        cmocka_unit_test(damaged_files_end_in_a_sentence),
        cmocka_unit_test(any_allocation_may_fail),
        cmocka_unit_test(frames_survive_a_file),
        cmocka_unit_test(projections_survive_a_file),
        cmocka_unit_test(frames_that_no_geotiff_holds),
        cmocka_unit_test(any_allocation_of_the_writer_may_fail),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
