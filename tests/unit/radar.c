/* SPDX-License-Identifier: Apache-2.0
 *
 * Radar sequences: times and their text, files written and read back, joining, and hostile files:
 * cut at many lengths and with bytes flipped, they end in a result or a sentence, never in a crash.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <math.h>
#include <netcdf.h>

#include <libgen/weather.h>

#include "libgen/base/alloc.h"
#include "libgen/base/file.h"
#include "weather/codec/codec.h"

#define H 9
#define W 7
#define T0 1280000100

static char folder[] = "/tmp/gen-radar-XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[4][256];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static gen_radar_sequence sequence(int64_t frames, int64_t t0)
{
    static float rain[8 * H * W];
    static int64_t time[8];
    static double y[H], x[W];
    static char proj4[] = "+proj=stere +lat_0=90 +lon_0=25 +lat_ts=60 +a=6371288 +no_defs";
    static char name[] = "polar_stereographic";
    static char attributes[] =
        "{\"grid_mapping_name\":\"polar_stereographic\",\"standard_parallel\":"
        "60,\"towgs84\":[1.5,2,3],\"note\":\"a \\\"quoted\\\" text\"}";
    static char source[] = "test";
    for (int64_t f = 0; f < frames; f++) {
        time[f] = t0 + f * 300;
        for (int64_t i = 0; i < H * W; i++)
            rain[f * H * W + i] = i % 11 == 3 ? NAN : i % 3 ? 0.25f * (float)(i + f) : 0;
    }
    for (int64_t j = 0; j < H; j++)
        y[j] = 4000 - 1000.0 * (double)j;
    for (int64_t i = 0; i < W; i++)
        x[i] = 1000.0 * (double)i;
    return (gen_radar_sequence){ .frames = frames,
                                 .step = 300,
                                 .time = time,
                                 .rain = rain,
                                 .source = source,
                                 .grid = { .height = H,
                                           .width = W,
                                           .y = y,
                                           .x = x,
                                           .proj4 = proj4,
                                           .mapping_name = name,
                                           .attributes = attributes } };
}

static const char *write_sequence(const char *name, int64_t frames, int64_t t0)
{
    gen_radar_sequence s = sequence(frames, t0);
    const char *path = in_folder(name);
    assert_int_equal(gen_radar_write(&s, path, 0.01, "made by a test", true), GEN_OK);
    return path;
}

static void expect_sentence(gen_status found, gen_status expected, const char *part)
{
    if (found != expected || !strstr(gen_last_error(), part))
        fail_msg("status %s, sentence '%s', expected %s and '%s'", gen_status_name(found),
                 gen_last_error(), gen_status_name(expected), part);
}

static gen_status read_status(int n, const char *const *paths, const gen_radar_read_options *o)
{
    gen_radar_sequence *s = NULL;
    gen_status status = gen_radar_read(&s, paths, n, o);
    assert_true((status == GEN_OK) == (s != NULL));
    gen_radar_free(&s);
    return status;
}

static gen_status read_one(const char *path)
{
    return read_status(1, &path, NULL);
}

/* ---- time -------------------------------------------------------------------------------- */

static void time_is_read_and_written(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds; /* from date -u -d TEXT +%s */
    } cases[] = { { "1970-01-01T00:00:00Z", 0 },        { "2010-08-26T00:05:00Z", 1282781100 },
                  { "2010-08-26 00:05", 1282781100 },   { "2000-02-29T23:59:59", 951868799 },
                  { "1969-12-31T23:59:59Z", -1 },       { "2100-03-01T00:00Z", 4107542400 },
                  { "1600-02-29T12:00Z", -11670955200 } };
    for (int i = 0; i < GEN_LEN(cases); i++) {
        int64_t t = 7;
        assert_int_equal(gen_time_parse(cases[i].text, &t), GEN_OK);
        assert_int_equal(t, cases[i].seconds);
    }
    char text[32];
    assert_string_equal(gen_time_text(1282781100, text), "2010-08-26T00:05:00Z");
    assert_string_equal(gen_time_text(-1, text), "1969-12-31T23:59:59Z");
    for (int64_t t = -62135596800; t < 253402300799; t += 86400 * 97 + 12345) {
        int64_t back;
        assert_int_equal(gen_time_parse(gen_time_text(t, text), &back), GEN_OK);
        assert_int_equal(back, t);
    }
    static const char *const bad[] = { "",
                                       "2010",
                                       "2010-08-26",
                                       "2010-13-01T00:00",
                                       "26.8.2010 00:05",
                                       "2010-02-29T00:00",
                                       "2010-08-26T24:00",
                                       "2010-08-26T00:60",
                                       "2010-08-26T00:05:00+02:00",
                                       "2010-08-26T00:05x",
                                       "2010-8-26T00:05",
                                       "2010-08-26T00:05:0" };
    for (int i = 0; i < GEN_LEN(bad); i++) {
        int64_t t;
        if (gen_time_parse(bad[i], &t) != GEN_EINVAL)
            fail_msg("'%s' was taken for a time", bad[i]);
    }
}

/* ---- sequences --------------------------------------------------------------------------- */

static void sequence_survives_a_file(void **state)
{
    (void)state;
    gen_radar_sequence s = sequence(5, T0), *r = NULL;
    const char *path = write_sequence("five.nc", 5, T0);
    assert_int_equal(gen_radar_read(&r, &path, 1, NULL), GEN_OK);
    assert_int_equal(r->frames, 5);
    assert_int_equal(r->step, 300);
    assert_int_equal(r->time[4], T0 + 1200);
    assert_memory_equal(r->grid.y, s.grid.y, sizeof(double) * H);
    assert_memory_equal(r->grid.x, s.grid.x, sizeof(double) * W);
    assert_string_equal(r->grid.proj4, s.grid.proj4);
    assert_string_equal(r->grid.mapping_name, "polar_stereographic");
    assert_non_null(strstr(r->grid.attributes, "\"standard_parallel\":60"));
    assert_non_null(strstr(r->grid.attributes, "\"towgs84\":[1.5,2,3]"));
    assert_false(r->grid.degrees);
    for (int64_t i = 0; i < 5 * H * W; i++)
        if (isnan(s.rain[i]))
            assert_true(isnan(r->rain[i]));
        else
            assert_float_equal(r->rain[i], s.rain[i], 1e-5);
    gen_radar_summary sum = gen_radar_summarise(r);
    assert_float_equal(sum.missing_share, 6.0 / 63, 1e-12);
    assert_true(sum.min == 0 && sum.max == (double)r->rain[4 * H * W + 62]);
    gen_radar_free(&r);
    gen_radar_free(&r);
    expect_sentence(gen_radar_write(&s, path, 0, NULL, false), GEN_EEXIST, "exists");
}

static void context_is_chosen_by_time(void **state)
{
    (void)state;
    const char *path = write_sequence("five.nc", 5, T0);
    gen_radar_sequence *r = NULL;
    assert_int_equal(gen_radar_read(&r, &path, 1, &(gen_radar_read_options){ .max_frames = 2 }),
                     GEN_OK);
    assert_int_equal(r->frames, 2);
    assert_int_equal(r->time[0], T0 + 900);
    gen_radar_free(&r);
    gen_radar_read_options o = { .first = INT64_MIN, .last = T0 + 700, .max_frames = 2 };
    assert_int_equal(gen_radar_read(&r, &path, 1, &o), GEN_OK);
    assert_int_equal(r->frames, 2);
    assert_int_equal(r->time[1], T0 + 600);
    gen_radar_free(&r);
    o.last = T0 - 1;
    expect_sentence(gen_radar_read(&r, &path, 1, &o), GEN_EDATA, "no frame until");
    o = (gen_radar_read_options){ .max_bytes = 1000 };
    expect_sentence(gen_radar_read(&r, &path, 1, &o), GEN_ENOMEM, "the limit is");
}

static void files_are_joined_in_order(void **state)
{
    (void)state;
    const char *late = write_sequence("late.nc", 3, T0 + 900);
    const char *early = write_sequence("early.nc", 3, T0);
    const char *gap = write_sequence("gap.nc", 2, T0 + 2100);
    const char *odd = write_sequence("odd.nc", 2, T0 + 1900);
    gen_radar_sequence *r = NULL;
    assert_int_equal(gen_radar_read(&r, (const char *const[]){ late, early }, 2, NULL), GEN_OK);
    assert_int_equal(r->frames, 6);
    for (int i = 0; i < 6; i++)
        assert_int_equal(r->time[i], T0 + 300 * i);
    assert_string_equal(r->source, "early.nc, late.nc");
    gen_radar_free(&r);
    expect_sentence(read_status(2, (const char *const[]){ late, late }, NULL), GEN_EDATA,
                    "is there twice");
    expect_sentence(read_status(2, (const char *const[]){ late, gap }, NULL), GEN_EDATA,
                    "frames are missing between 2010-07-24T20:00:00Z and 2010-07-24T20:10:00Z");
    expect_sentence(read_status(2, (const char *const[]){ late, odd }, NULL), GEN_EDATA,
                    "not regular");
    gen_radar_read_options newest = { .max_frames = 2 };
    assert_int_equal(read_status(2, (const char *const[]){ late, gap }, &newest), GEN_OK);
    gen_radar_read_options fill = { .fill = GEN_RADAR_FILL_MISSING };
    assert_int_equal(gen_radar_read(&r, (const char *const[]){ late, gap }, 2, &fill), GEN_OK);
    assert_int_equal(r->frames, 6);
    assert_true(isnan(r->rain[3 * H * W]) && !isnan(r->rain[4 * H * W]));
    gen_radar_free(&r);
}

static void grids_must_agree(void **state)
{
    (void)state;
    const char *first = write_sequence("first.nc", 2, T0), *second = in_folder("second.nc");
    gen_radar_sequence s = sequence(2, T0 + 600);
    s.grid.y[3] += 10;
    for (int i = 4; i < H; i++)
        s.grid.y[i] += 10;
    assert_int_equal(gen_radar_write(&s, second, 0, NULL, true), GEN_OK);
    expect_sentence(read_status(2, (const char *const[]){ first, second }, NULL), GEN_EDATA,
                    "grids at different places");
    s = sequence(2, T0 + 600);
    s.grid.width = W - 1;
    assert_int_equal(gen_radar_write(&s, second, 0, NULL, true), GEN_OK);
    expect_sentence(read_status(2, (const char *const[]){ first, second }, NULL), GEN_EDATA,
                    "9 x 7 cells");
    s = sequence(2, T0 + 600);
    s.grid.attributes = NULL;
    s.grid.proj4 = "+proj=longlat";
    assert_int_equal(gen_radar_write(&s, second, 0, NULL, true), GEN_OK);
    expect_sentence(read_status(2, (const char *const[]){ first, second }, NULL), GEN_EDATA,
                    "different projections");
}

/* ---- foreign and broken attributes ------------------------------------------------------- */

typedef struct odd_file {
    const char *time_units, *calendar, *units;
    nc_type type;
    const char *scale_text; /* scale_factor as text */
    double time1;           /* second of two times */
    bool south_first, no_time, no_axes;
    const float *rain; /* [2,2,3] */
    const char *limit; /* attribute with the numbers limits[0..n_limits-1] */
    double limits[2];
    int n_limits;
    bool wrap;         /* _Unsigned */
    const char *proj4; /* by a grid mapping */
    size_t time_chunk;
} odd_file;

static const char *write_odd(const odd_file *o)
{
    static const float preset[12] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
    const char *path = in_folder("odd.nc");
    int nc, dims[3], v, time = 0, x = 0, y = 0;
    assert_int_equal(nc_create(path, NC_NETCDF4 | NC_CLOBBER, &nc), 0);
    nc_def_dim(nc, "time", o->time_chunk ? NC_UNLIMITED : 2, &dims[0]);
    nc_def_dim(nc, "y", 2, &dims[1]);
    nc_def_dim(nc, "x", 3, &dims[2]);
    if (!o->no_time) {
        nc_def_var(nc, "time", NC_DOUBLE, 1, &dims[0], &time);
        if (o->time_chunk)
            nc_def_var_chunking(nc, time, NC_CHUNKED, &o->time_chunk);
        const char *units = o->time_units ? o->time_units : "minutes since 2018-08-24 18:00";
        nc_put_att_text(nc, time, "units", strlen(units), units);
        if (o->calendar)
            nc_put_att_text(nc, time, "calendar", strlen(o->calendar), o->calendar);
    }
    if (!o->no_axes) {
        nc_def_var(nc, "y", NC_DOUBLE, 1, &dims[1], &y);
        nc_def_var(nc, "x", NC_FLOAT, 1, &dims[2], &x);
    }
    nc_def_var(nc, "precip", o->type ? o->type : NC_FLOAT, 3, dims, &v);
    const char *units = o->units ? o->units : "mm/h";
    nc_put_att_text(nc, v, "units", strlen(units), units);
    if (o->scale_text)
        nc_put_att_text(nc, v, "scale_factor", strlen(o->scale_text), o->scale_text);
    if (o->limit)
        nc_put_att_double(nc, v, o->limit, o->type ? o->type : NC_FLOAT, (size_t)o->n_limits,
                          o->limits);
    if (o->wrap)
        nc_put_att_text(nc, v, "_Unsigned", 4, "true");
    if (o->proj4) {
        int crs;
        nc_def_var(nc, "crs", NC_INT, 0, NULL, &crs);
        nc_put_att_text(nc, crs, "proj4", strlen(o->proj4), o->proj4);
        nc_put_att_text(nc, v, "grid_mapping", 3, "crs");
    }
    nc_enddef(nc);
    const double times[2] = { 0, o->time1 != 0 ? o->time1 : 5 };
    if (!o->no_time && !o->time_chunk) /* a chunk of gigabytes is declared, not written */
        nc_put_var_double(nc, time, times);
    if (!o->no_axes) {
        nc_put_var_double(nc, y, o->south_first ? (double[]){ 1, 2 } : (double[]){ 2, 1 });
        nc_put_var_double(nc, x, (double[]){ 5, 6, 7 });
    }
    static const size_t start[3] = { 0 }, count[3] = { 2, 2, 3 }; /* time may be unlimited */
    if (o->type != NC_CHAR)
        nc_put_vara_float(nc, v, start, count, o->rain ? o->rain : preset);
    assert_int_equal(nc_close(nc), 0);
    return path;
}

static void foreign_files_are_understood(void **state)
{
    (void)state;
    const char *path = write_odd(&(odd_file){ .south_first = true, .units = "kg m-2 s-1" });
    gen_radar_sequence *r = NULL;
    assert_int_equal(gen_radar_read(&r, &path, 1, NULL), GEN_OK);
    assert_int_equal(r->step, 300);
    int64_t t;
    gen_time_parse("2018-08-24T18:00Z", &t);
    assert_int_equal(r->time[0], t);
    assert_true(r->grid.y[0] == 2 && r->grid.y[1] == 1);
    assert_float_equal(r->rain[0], 4 * 3600, 1e-2); /* the northern row stands second in the file */
    assert_float_equal(r->rain[3], 1 * 3600, 1e-2);
    gen_radar_free(&r);
    const float strange[12] = { NAN, -3, INFINITY, 9.96921e36f, 5, 6, 7, 8, 9, 10, 11, 12 };
    path = write_odd(&(odd_file){ .rain = strange, .no_axes = true });
    assert_int_equal(gen_radar_read(&r, &path, 1, NULL), GEN_OK);
    for (int i = 0; i < 4; i++)
        assert_true(isnan(r->rain[i]));
    assert_true(r->rain[4] == 5);
    gen_radar_free(&r);
}

static void count_message(void *cookie, gen_log_level level, const char *message)
{
    (void)level;
    (void)message;
    ++*(int *)cookie;
}

/* What lacks is said once for all files, which have one grid. */
static void warnings_are_said_once(void **state)
{
    (void)state;
    int n = 0;
    const char *paths[2] = { NULL, in_folder("odd2.nc") };
    write_odd(&(odd_file){ .no_axes = true, .time_units = "minutes since 2018-08-24 18:10" });
    assert_int_equal(rename(in_folder("odd.nc"), paths[1]), 0);
    paths[0] = write_odd(&(odd_file){ .no_axes = true });
    gen_log_set(count_message, &n, GEN_LOG_WARN);
    assert_int_equal(read_status(2, paths, NULL), GEN_OK);
    gen_log_set(NULL, NULL, GEN_LOG_WARN);
    assert_int_equal(n, 2); /* no coordinates, no projection */
}

static void bytes_hold_unsigned_values(void **state)
{
    (void)state;
    const float packed[12] = { -56, -1, 1, -2, 1, 1, 1, 1, 1, 1, 1, 1 }; /* 200, 255, 1, 254 */
    const char *path = write_odd(&(odd_file){ .type = NC_BYTE,
                                              .rain = packed,
                                              .wrap = true,
                                              .limit = "valid_range",
                                              .limits = { 0, -2 }, /* to 254 */
                                              .n_limits = 2 });
    gen_radar_sequence *r = NULL;
    assert_int_equal(gen_radar_read(&r, &path, 1, NULL), GEN_OK);
    assert_true(r->rain[0] == 200 && isnan(r->rain[1]) && r->rain[2] == 1 && r->rain[3] == 254);
    gen_radar_free(&r);
}

/* Attributes in Latin-1, as older programs write them, must not stand in the way of a forecast. */
static void attributes_that_are_not_utf8(void **state)
{
    (void)state;
    const char *path = write_odd(&(odd_file){ .proj4 = "+proj=longlat +title=M\xe9t\xe9o\xff" });
    gen_radar_sequence *r = NULL;
    assert_int_equal(gen_radar_read(&r, &path, 1, NULL), GEN_OK);
    assert_int_equal(gen_radar_write(r, in_folder("again.nc"), 0, NULL, true), GEN_OK);
    assert_string_equal(r->grid.attributes,
                        "{\"proj4\":\"+proj=longlat +title=M\xef\xbf\xbdt\xef\xbf\xbdo"
                        "\xef\xbf\xbd\"}");
    gen_radar_free(&r);
}

static void chunks_are_checked_first(void **state)
{
    (void)state;
    expect_sentence(read_one(write_odd(&(odd_file){ .time_chunk = 400000000 })), GEN_EDATA,
                    "time has chunks of more than 1 GB");
}

static void broken_attributes_are_named(void **state)
{
    (void)state;
    static const struct {
        odd_file file;
        const char *part;
    } cases[] = {
        { { .no_time = true }, "has no time coordinate" },
        { { .time_units = "fortnights since 1970-01-01" },
          "attribute 'time:units' is 'fortnights" },
        { { .time_units = "seconds since yesterday" }, "'time:units': found 'yesterday'" },
        { { .time_units = "seconds" }, "attribute 'time:units' is 'seconds'" },
        { { .calendar = "360_day" }, "attribute 'time:calendar' is '360_day'" },
        { { .units = "K" }, "holds no rain" },
        { { .type = NC_CHAR }, "is text" },
        { { .scale_text = "0.1" }, "'precip:scale_factor' is text, expected a number" },
        { { .time1 = NAN }, "time[1] is nan" },
        { { .time1 = 1e300 }, "time[1] is 1e+300" },
        { { .limit = "valid_min", .limits = { NAN }, .n_limits = 1 },
          "'valid_min' begins with nan" },
        { { .limit = "valid_range", .limits = { 3 }, .n_limits = 1 }, "expected two numbers" },
        { { .limit = "valid_range", .limits = { 9, 0 }, .n_limits = 2 }, "that rise" },
        { { .limit = "scale_factor", .limits = { NAN }, .n_limits = 1 }, "not finite" },
    };
    for (int i = 0; i < GEN_LEN(cases); i++)
        expect_sentence(read_one(write_odd(&cases[i].file)), GEN_EDATA, cases[i].part);
    const float missing[12] = { NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN };
    expect_sentence(read_one(write_odd(&(odd_file){ .rain = missing })), GEN_EDATA,
                    "every cell is missing");
}

static void sizes_are_checked_first(void **state)
{
    (void)state;
    const char *path = in_folder("huge.nc");
    static const size_t sizes[3][3] = { { 1000000, 50000, 50000 },
                                        { 1, 70000, 8 },
                                        { 2000, 4000, 4000 } };
    static const char *const part[3] = { "declares", "at most 65536", "declares" };
    for (int i = 0; i < 3; i++) {
        int nc, dims[3], v;
        nc_create(path, NC_NETCDF4 | NC_CLOBBER, &nc);
        for (int d = 0; d < 3; d++)
            nc_def_dim(nc, (const char *const[]){ "time", "y", "x" }[d], sizes[i][d], &dims[d]);
        nc_def_var(nc, "rain_rate", NC_FLOAT, 3, dims, &v);
        nc_def_var_chunking(nc, v, NC_CHUNKED, (const size_t[]){ 1, 100, 8 });
        nc_put_att_text(nc, v, "units", 4, "mm/h");
        nc_close(nc);
        uint64_t before = gen_alloc_peak();
        expect_sentence(read_one(path), GEN_EDATA, part[i]);
        assert_true(gen_alloc_peak() < before + 100000);
    }
}

/* ---- hostile bytes ----------------------------------------------------------------------- */

static void put_file(const char *path, const char *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
}

static void not_our_files(void **state)
{
    (void)state;
    const char *path = in_folder("junk.nc");
    put_file(path, "", 0);
    expect_sentence(read_one(path), GEN_EDATA, "is empty");
    put_file(path, "rain rain rain rain rain", 24);
    expect_sentence(read_one(path), GEN_EDATA, "unknown format");
    put_file(path, "CDF\001 and then nothing good", 26);
    expect_sentence(read_one(path), GEN_EDATA, "damaged");
    expect_sentence(read_one("/nowhere/a.nc"), GEN_EDATA, "cannot read");
    expect_sentence(read_one(folder), GEN_EDATA, "not a regular file");
    expect_sentence(read_status(0, NULL, NULL), GEN_EINVAL, "no radar file");
}

static void damaged_files_end_in_a_sentence(void **state)
{
    (void)state;
    const char *path = write_sequence("whole.nc", 2, T0), *bad = in_folder("bad.nc");
    gen_radar_read_options apart = { .own_process = true }; /* HDF5 itself crashes on some */
    char *data = NULL;
    uint64_t n = 0;
    assert_int_equal(gen_file_read(path, 1 << 24, &data, &n), GEN_OK);
    for (uint64_t cut = 0; cut < n; cut += 1 + n / 120) {
        put_file(bad, data, cut);
        gen_status status = read_status(1, &bad, &apart);
        assert_true(status == GEN_EDATA && gen_last_error()[0]);
    }
    uint32_t random = 1;
    int fine = 0;
    for (int turn = 0; turn < 150; turn++) {
        random = random * 1664525u + 1013904223u;
        uint64_t at = random % n;
        char was = data[at];
        data[at] ^= (char)(1 << (random >> 29));
        put_file(bad, data, n);
        data[at] = was;
        gen_status status = read_status(1, &bad, &apart);
        assert_true(status == GEN_OK || status == GEN_EDATA || status == GEN_ENOMEM);
        fine += status == GEN_OK;
    }
    assert_true(fine > 0 && fine < 150);
    gen_free(data);
}

static gen_status crash(gen_radar_file *f)
{
    (void)f;
    raise(SIGKILL);
    return GEN_OK;
}

static gen_status open_two_frames(gen_radar_file *f)
{
    f->frames = 2;
    f->grid.height = f->grid.width = 2;
    GEN_TRY(GEN_ALLOC(&f->time, 2, "test"));
    GEN_TRY(GEN_ALLOC(&f->grid.y, 2, "test"));
    GEN_TRY(gen_strdup(&f->grid.proj4, "+proj=longlat"));
    return GEN_ALLOC(&f->grid.x, 2, "test");
}

static gen_status read_first_only(gen_radar_file *f, int64_t frame, float *rain)
{
    (void)f;
    for (int i = 0; i < 4; i++)
        rain[i] = (float)i;
    return frame == 0 ? GEN_OK : frame == 1 ? gen_fail(GEN_EDATA, "not this one") : crash(f);
}

static void close_nothing(gen_radar_file *f)
{
    (void)f;
}

/* What a reader does in its own process, crashing included, arrives as in this one. */
static void a_reader_may_crash(void **state)
{
    (void)state;
    static const gen_radar_format bad = { .name = "bad", .open = crash, .close = close_nothing };
    static const gen_radar_format good = {
        .name = "good", .open = open_two_frames, .read = read_first_only, .close = close_nothing
    };
    uint64_t before = gen_alloc_bytes();
    for (int i = 0; i < 2; i++) {
        gen_radar_file *f = NULL;
        float rain[4];
        assert_int_equal(GEN_ALLOC(&f, 1, "test"), GEN_OK);
        assert_int_equal(gen_strdup(&f->path, "some.nc"), GEN_OK);
        f->format = i ? &good : &bad;
        f->options = &(gen_radar_read_options){ 0 };
        gen_status status = gen_radar_isolate(f, NULL, 0);
        if (i == 0) {
            expect_sentence(status, GEN_EDATA,
                            "'some.nc' is damaged: the library that reads it fails");
        } else {
            assert_int_equal(status, GEN_OK);
            assert_string_equal(f->grid.proj4, "+proj=longlat");
            assert_int_equal(f->format->read(f, 0, rain), GEN_OK);
            assert_true(rain[3] == 3);
            expect_sentence(f->format->read(f, 1, rain), GEN_EDATA, "not this one");
            expect_sentence(f->format->read(f, 2, rain), GEN_EDATA, "is damaged");
            expect_sentence(f->format->read(f, 0, rain), GEN_EDATA, "is damaged");
        }
        gen_radar_file_close(&f);
    }
    assert_int_equal(gen_alloc_bytes(), before);
}

/* The same sequence, whoever reads it. */
static void own_process_changes_nothing(void **state)
{
    (void)state;
    const char *path = write_sequence("five.nc", 5, T0);
    gen_radar_sequence *a = NULL, *b = NULL;
    gen_radar_read_options apart = { .own_process = true };
    assert_int_equal(gen_radar_read(&a, &path, 1, NULL), GEN_OK);
    assert_int_equal(gen_radar_read(&b, &path, 1, &apart), GEN_OK);
    assert_memory_equal(a->rain, b->rain, sizeof(float) * 5 * H * W);
    assert_memory_equal(a->time, b->time, sizeof(int64_t) * 5);
    assert_memory_equal(a->grid.y, b->grid.y, sizeof(double) * H);
    assert_string_equal(a->grid.attributes, b->grid.attributes);
    assert_string_equal(a->grid.mapping_name, b->grid.mapping_name);
    gen_radar_free(&a);
    gen_radar_free(&b);
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    const char *path = write_sequence("five.nc", 5, T0);
    uint64_t before = gen_alloc_bytes();
    gen_status status = GEN_ENOMEM;
    int n = 1;
    for (; status != GEN_OK && n < 200; n++) {
        gen_alloc_fail_at((uint64_t)n);
        status = read_one(path);
        gen_alloc_fail_at(0);
        assert_true(status == GEN_OK || status == GEN_ENOMEM);
        assert_int_equal(gen_alloc_bytes(), before);
    }
    assert_int_equal(status, GEN_OK);
    assert_true(n > 10);
}

/* ---- forecasts --------------------------------------------------------------------------- */

static void forecast_survives_a_file(void **state)
{
    (void)state;
    gen_radar_sequence s = sequence(3, T0), *r = NULL;
    const char *path = in_folder("forecast.nc");
    for (int floats = 0; floats < 2; floats++) {
        gen_forecast_info info = { .grid = &s.grid,
                                   .reference_time = T0,
                                   .step = 300,
                                   .lead_steps = 3,
                                   .members = 1,
                                   .floats = floats,
                                   .force = true };
        gen_forecast *f = NULL;
        assert_int_equal(gen_forecast_create(&f, path, &info), GEN_OK);
        expect_sentence(gen_forecast_commit(f), GEN_EINVAL, "member 0 of 1 was not written");
        assert_int_equal(gen_forecast_write(f, 0, s.rain), GEN_OK);
        expect_sentence(gen_forecast_write(f, 0, s.rain), GEN_EINVAL, "is written already");
        expect_sentence(gen_forecast_write(f, 1, s.rain), GEN_EINVAL, "does not exist");
        assert_int_equal(gen_forecast_commit(f), GEN_OK);
        gen_forecast_free(&f);
        assert_int_equal(gen_radar_read(&r, &path, 1, NULL), GEN_OK);
        assert_int_equal(r->frames, 3);
        assert_int_equal(r->time[0], T0 + 300);
        assert_string_equal(r->grid.proj4, s.grid.proj4);
        assert_non_null(strstr(r->grid.attributes, "\"towgs84\":[1.5,2,3]"));
        for (int64_t i = 0; i < 3 * H * W; i++)
            assert_true(isnan(s.rain[i]) ? isnan(r->rain[i]) : r->rain[i] == s.rain[i]);
        gen_radar_free(&r);
    }
}

static void forecast_is_whole_or_absent(void **state)
{
    (void)state;
    gen_radar_sequence s = sequence(3, T0);
    const char *path = in_folder("absent.nc");
    gen_forecast_info info = {
        .grid = &s.grid, .reference_time = T0, .step = 300, .lead_steps = 3, .members = 2
    };
    gen_forecast *f = NULL;
    assert_int_equal(gen_forecast_create(&f, path, &info), GEN_OK);
    assert_int_equal(gen_forecast_write(f, 1, s.rain), GEN_OK);
    gen_forecast_free(&f);
    assert_int_not_equal(access(path, F_OK), 0);
    uint64_t before = gen_alloc_bytes();
    gen_status status = GEN_ENOMEM;
    for (int n = 1; status != GEN_OK && n < 100; n++) {
        gen_alloc_fail_at((uint64_t)n);
        status = gen_forecast_create(&f, path, &info);
        gen_alloc_fail_at(0);
        gen_forecast_free(&f);
        assert_int_equal(gen_alloc_bytes(), before);
    }
    assert_int_equal(status, GEN_OK);
    info.members = 0;
    expect_sentence(gen_forecast_create(&f, path, &info), GEN_EINVAL,
                    "expected 1 to 100000 members and steps");
    put_file(path, "mine", 4);
    info.members = 1;
    expect_sentence(gen_forecast_create(&f, path, &info), GEN_EEXIST, "exists");
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = { "five.nc",   "late.nc",  "early.nc",  "gap.nc",
                                         "odd.nc",    "first.nc", "second.nc", "huge.nc",
                                         "junk.nc",   "whole.nc", "bad.nc",    "forecast.nc",
                                         "absent.nc", "odd2.nc",  "again.nc" };
    for (int i = 0; i < GEN_LEN(names); i++)
        remove(in_folder(names[i]));
    return rmdir(folder); /* fails when a temporary was left */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_is_read_and_written),
        cmocka_unit_test(sequence_survives_a_file),
        cmocka_unit_test(context_is_chosen_by_time),
        cmocka_unit_test(files_are_joined_in_order),
        cmocka_unit_test(grids_must_agree),
        cmocka_unit_test(foreign_files_are_understood),
        cmocka_unit_test(attributes_that_are_not_utf8),
        cmocka_unit_test(broken_attributes_are_named),
        cmocka_unit_test(bytes_hold_unsigned_values),
        cmocka_unit_test(chunks_are_checked_first),
        cmocka_unit_test(warnings_are_said_once),
        cmocka_unit_test(sizes_are_checked_first),
        cmocka_unit_test(not_our_files),
        cmocka_unit_test(damaged_files_end_in_a_sentence),
        cmocka_unit_test(a_reader_may_crash),
        cmocka_unit_test(own_process_changes_nothing),
        cmocka_unit_test(any_allocation_may_fail),
        cmocka_unit_test(forecast_survives_a_file),
        cmocka_unit_test(forecast_is_whole_or_absent),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
