/* SPDX-License-Identifier: Apache-2.0
 *
 * The readers of HDF5 radar formats on small files that HDF5 makes here: what each attribute means,
 * types and storage, and the faults that real files have.
 */
#include <math.h>

#include "libgen/base/alloc.h"
#include "tests/hdf5_file.h"
#include "tests/radar_file.h"

#define NOON5 1593605100 /* date -u -d 2020-07-01T12:05:00Z +%s */

/* missing, undetected: packed values, -1 = none. */
static void expect_values(const gen_radar_contents *c, double gain, double offset, int missing,
                          int undetected)
{
    assert_int_equal(c->grid.height, ODIM_H);
    assert_int_equal(c->grid.width, ODIM_W);
    for (int i = 0; i < (int)c->frames * ODIM_H * ODIM_W; i++) {
        int packed = hdf5_packed(i / ODIM_W % ODIM_H, i % ODIM_W);
        float expected = (float)(packed * gain + offset);
        bool amount = c->quantity == GEN_RADAR_RATE || c->quantity == GEN_RADAR_DEPTH;
        if (packed == missing || (amount && packed != undetected && expected < 0))
            expected = NAN;
        if (packed == undetected)
            expected = -HUGE_VALF;
        if (c->values[i] != expected && !(isnan(c->values[i]) && isnan(expected)))
            fail_msg("cell %d is %g, expected %g", i, (double)c->values[i], (double)expected);
    }
}

static void expect_axis(const double *v, int64_t n, double first, double cell)
{
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(v[i] - first - cell * (double)i) < 0.02))
            fail_msg("place %d is %.9g, expected %.9g", (int)i, v[i], first + cell * (double)i);
}

static void expect_odim_grid(const gen_radar_contents *c)
{
    expect_axis(c->grid.x, ODIM_W, ODIM_LEFT + ODIM_CELL / 2, ODIM_CELL);
    expect_axis(c->grid.y, ODIM_H, ODIM_TOP - ODIM_CELL / 2, -ODIM_CELL);
    assert_non_null(c->grid.proj4);
    assert_false(c->grid.degrees);
}

static int warnings;

static void count_warning(void *cookie, gen_log_level level, const char *message)
{
    (void)cookie;
    (void)message;
    warnings += level == GEN_LOG_WARN;
}

/* ---- ODIM -------------------------------------------------------------------------------- */

static void odim_is_read(void **state)
{
    (void)state;
    const char *path = in_folder("rate.h5");
    hid_t file = hdf5_odim(path);
    hdf5_set_number(file, "how", "zr_a", 316);
    hdf5_set_number(file, "how", "zr_b", 1.5);
    H5Fclose(file);
    gen_radar_contents *c = contents(path, NULL);
    assert_string_equal(c->format, "ODIM HDF5");
    assert_string_equal(c->name, "RATE");
    assert_string_equal(c->units, "mm/h");
    assert_int_equal(c->quantity, GEN_RADAR_RATE);
    assert_int_equal(c->frames, 1);
    assert_int_equal(c->time[0], NOON5);
    assert_float_equal(c->zr_a, 316, 0);
    assert_float_equal(c->zr_b, 1.5, 0);
    expect_odim_grid(c);
    expect_values(c, 0.5, -1, 250, 0);
    gen_radar_contents_free(&c);
}

static void odim_attributes_hold_for_groups_below(void **state)
{
    (void)state;
    static const char *const levels[] = { "dataset1/data1/what", "dataset1/what", "what" };
    static const char *const names[] = { "gain", "offset", "nodata", "undetect", "quantity" };
    const char *path = in_folder("levels.h5");
    for (int at = 0; at < 3; at++) {
        hid_t file = hdf5_odim(path);
        for (int i = 0; i < 5; i++)
            hdf5_delete(file, levels[0], names[i]);
        for (int upper = at; upper < 3; upper++) { /* the nearest counts */
            hdf5_set_number(file, levels[upper], "gain", upper == at ? 2 : 99);
            hdf5_set_number(file, levels[upper], "offset", upper == at ? 3 : 99);
            hdf5_set_number(file, levels[upper], "nodata", upper == at ? 9 : 99);
            hdf5_set_number(file, levels[upper], "undetect", upper == at ? 12 : 99);
            hdf5_set_text(file, levels[upper], "quantity", upper == at ? "ACRR" : "TH");
        }
        H5Fclose(file);
        gen_radar_contents *c = contents(path, NULL);
        assert_string_equal(c->name, "ACRR");
        assert_int_equal(c->quantity, GEN_RADAR_DEPTH);
        assert_float_equal(c->interval, 300, 0);
        expect_values(c, 2, 3, 9, 12);
        gen_radar_contents_free(&c);
    }
}

static void odim_without_packing_is_plain(void **state)
{
    (void)state;
    static const char *const names[] = { "gain", "offset", "nodata", "undetect" };
    const char *path = in_folder("plain.h5");
    hid_t file = hdf5_odim(path);
    for (int i = 0; i < 4; i++)
        hdf5_delete(file, "dataset1/data1/what", names[i]);
    H5Fclose(file);
    warnings = 0;
    gen_log_set(count_warning, NULL, GEN_LOG_WARN);
    gen_radar_contents *c = contents(path, NULL);
    gen_log_set(NULL, NULL, GEN_LOG_WARN);
    assert_int_equal(warnings, 2);
    expect_values(c, 1, 0, -1, -1);
    gen_radar_contents_free(&c);
}

/* Every type of cell and kind of storage gives the same values. */
static void odim_types_and_storage(void **state)
{
    (void)state;
    const hid_t types[] = { H5T_STD_U8LE,   H5T_STD_I16LE,  H5T_STD_U16BE,  H5T_STD_U16LE,
                            H5T_STD_I32LE,  H5T_STD_U32LE,  H5T_STD_I64BE,  H5T_STD_U64LE,
                            H5T_IEEE_F32LE, H5T_IEEE_F64LE, H5T_IEEE_F64BE, H5T_IEEE_F32BE };
    static const hsize_t chunks[][2] = { { 5, 3 }, { 12, 10 }, { 1, 1 }, { 40, 70 } };
    const char *path = in_folder("types.h5");
    for (int i = 0; i < GEN_LEN(types); i++)
        for (int kind = 0; kind < 9; kind++) {
            hid_t file = hdf5_odim(path), how = H5Pcreate(H5P_DATASET_CREATE);
            if (kind > 0) /* a chunk larger than the grid needs one that may grow */
                H5Pset_chunk(how, 2, chunks[kind % 3]);
            if (kind == 3 || kind == 5 || kind == 7)
                H5Pset_shuffle(how);
            if (kind > 3)
                H5Pset_deflate(how, 6);
            if (kind > 7)
                H5Pset_fletcher32(how);
            hdf5_put_grid(file, "dataset1/data1/data", types[i], how, ODIM_H, ODIM_W);
            H5Pclose(how);
            H5Fclose(file);
            gen_radar_contents *c = contents(path, NULL);
            expect_values(c, 0.5, -1, 250, 0);
            gen_radar_contents_free(&c);
        }
}

/* Chunks that were never written have the fill value. */
static void odim_chunks_that_are_not_there(void **state)
{
    (void)state;
    const char *path = in_folder("sparse.h5");
    const hsize_t chunk[2] = { 4, 4 }, size[2] = { ODIM_H, ODIM_W };
    unsigned char fill = 250;
    hid_t file = hdf5_odim(path), how = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(how, 2, chunk);
    H5Pset_deflate(how, 1);
    H5Pset_fill_value(how, H5T_NATIVE_UCHAR, &fill);
    hdf5_remove(file, "dataset1/data1/data");
    hid_t space = H5Screate_simple(2, size, NULL);
    H5Dclose(H5Dcreate2(file, "dataset1/data1/data", H5T_STD_U8LE, space, H5P_DEFAULT, how,
                        H5P_DEFAULT));
    H5Sclose(space);
    H5Pclose(how);
    H5Fclose(file);
    gen_radar_contents *c = contents(path, NULL);
    for (int i = 0; i < ODIM_H * ODIM_W; i++)
        assert_true(isnan(c->values[i]));
    gen_radar_contents_free(&c);
}

static void odim_not_finite_is_missing(void **state)
{
    (void)state;
    const char *path = in_folder("nan.h5");
    double v[ODIM_H * ODIM_W] = { NAN, INFINITY, -INFINITY, 1e308, -1e39, 4 };
    hid_t file = hdf5_odim(path);
    hdf5_set_number(file, "dataset1/data1/what", "gain", 10);
    hdf5_set_number(file, "dataset1/data1/what", "offset", 0);
    hdf5_set_number(file, "dataset1/data1/what", "nodata", NAN);
    hdf5_set_number(file, "dataset1/data1/what", "undetect", -INFINITY);
    hdf5_set_text(file, "dataset1/data1/what", "quantity", "DBZH");
    hdf5_put_grid(file, "dataset1/data1/data", H5T_IEEE_F64LE, H5P_DEFAULT, ODIM_H, ODIM_W);
    hid_t data = H5Dopen2(file, "dataset1/data1/data", H5P_DEFAULT);
    H5Dwrite(data, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, v);
    H5Dclose(data);
    H5Fclose(file);
    gen_radar_contents *c = contents(path, NULL);
    for (int i = 0; i < 5; i++)
        assert_true(i == 2 ? c->values[i] == -HUGE_VALF : isnan(c->values[i]));
    assert_float_equal(c->values[5], 40, 0);
    gen_radar_contents_free(&c);
}

static hid_t two_datasets(const char *path, const char *second, const char *endtime)
{
    hid_t file = hdf5_odim(path);
    hdf5_put_field(file, "dataset2", second);
    hdf5_set_text(file, "dataset2/what", "enddate", "20200701");
    hdf5_set_text(file, "dataset2/what", "endtime", endtime);
    return file;
}

static void odim_variables(void **state)
{
    (void)state;
    const char *path = in_folder("two.h5");
    gen_radar_read_options o = { .variable = "VRADH" };
    hid_t file = two_datasets(path, "DBZH", "120500");
    hdf5_set_number(file, "dataset2/data1/what", "gain", 0.25);
    hdf5_put_grid(file, "dataset1/data1/quality1/data", H5T_STD_U8LE, H5P_DEFAULT, ODIM_H, ODIM_W);
    hdf5_set_number(file, "dataset1/data1/quality1/what", "gain", 4);
    hdf5_set_text(file, "dataset1/data1/quality1/how", "task", "a.quality");
    H5Fclose(file);
    static const struct {
        const char *variable, *name;
        gen_radar_quantity quantity;
        double gain;
    } cases[] = { { NULL, "RATE", GEN_RADAR_RATE, 0.5 },
                  { "DBZH", "DBZH", GEN_RADAR_DBZ, 0.25 },
                  { "dataset2/data1", "DBZH", GEN_RADAR_DBZ, 0.25 },
                  { "/dataset1/data1", "RATE", GEN_RADAR_RATE, 0.5 },
                  { "a.quality", "a.quality", GEN_RADAR_OTHER, 4 },
                  { "dataset1/data1/quality1", "a.quality", GEN_RADAR_OTHER, 4 } };
    for (int i = 0; i < GEN_LEN(cases); i++) {
        gen_radar_contents *c = contents(path, cases[i].variable);
        assert_string_equal(c->name, cases[i].name);
        assert_int_equal(c->quantity, cases[i].quantity);
        expect_values(c, cases[i].gain, -1, 250, 0);
        gen_radar_contents_free(&c);
    }
    assert_int_equal(status_of(path, &o), GEN_EDATA);
    assert_non_null(strstr(gen_last_error(), "VRADH"));
    assert_non_null(strstr(gen_last_error(), "DBZH (dataset2/data1)"));
}

static void odim_frames(void **state)
{
    (void)state;
    const char *path = in_folder("frames.h5");
    H5Fclose(two_datasets(path, "RATE", "121000"));
    gen_radar_contents *c = contents(path, NULL);
    assert_int_equal(c->frames, 2);
    assert_int_equal(c->time[0], NOON5);
    assert_int_equal(c->time[1], NOON5 + 300);
    expect_values(c, 0.5, -1, 250, 0);
    gen_radar_contents_free(&c);
    H5Fclose(two_datasets(path, "RATE", "120500"));
    expect_sentence(path, "holds RATE at one time in /dataset1/data1 and in /dataset2/data1");
    c = contents(path, "dataset2/data1");
    assert_int_equal(c->frames, 1);
    gen_radar_contents_free(&c);
}

/* What is known to go wrong in real files. */
static void odim_places(void **state)
{
    (void)state;
    static const char *const corners[] = { "LL_lon", "LL_lat", "UL_lon", "UL_lat",
                                           "UR_lon", "UR_lat", "LR_lon", "LR_lat" };
    static const double centres[] = { -9.267598089395024, 63.46358848473601,  -9.397606554501724,
                                      63.652473939854424, -9.048858103930604, 63.69755346394285,
                                      -8.920888009434165, 63.50834444452643 };
    const char *path = in_folder("place.h5");
    for (int fault = 0; fault < 8; fault++) {
        hid_t file = hdf5_odim(path);
        for (int i = 0; i < 8 && fault == 1; i++) /* centres of the outermost cells */
            hdf5_set_number(file, "where", corners[i], centres[i]);
        for (int i = 2; i < 8 && fault == 2; i += i == 3 ? 3 : 1) /* two corners only */
            hdf5_delete(file, "where", corners[i]);
        if (fault == 3) { /* kilometres */
            hdf5_set_number(file, "where", "xscale", ODIM_CELL / 1000);
            hdf5_set_number(file, "where", "yscale", ODIM_CELL / 1000);
        }
        if (fault == 4)
            hdf5_set_text(file, "where", "projdef",
                          "+proj=laea +lat_0=55 +lon_0=10 +x_0=1950000 +y_0=-2100000 +units=km "
                          "+ellps=WGS84");
        if (fault == 5) { /* no size of cells */
            hdf5_delete(file, "where", "xscale");
            hdf5_delete(file, "where", "yscale");
        }
        if (fault == 7) /* no ellipsoid */
            hdf5_set_text(file, "where", "projdef",
                          "+proj=laea +lat_0=55 +lon_0=10 +x_0=1950000 +y_0=-2100000 +units=m");
        if (fault == 6) /* the corners are believed */
            hdf5_set_number(file, "where", "xscale", 1234);
        H5Fclose(file);
        warnings = 0;
        gen_log_set(count_warning, NULL, GEN_LOG_WARN);
        gen_radar_contents *c = contents(path, NULL);
        gen_log_set(NULL, NULL, GEN_LOG_WARN);
        assert_int_equal(warnings, fault == 6);
        expect_odim_grid(c);
        gen_radar_contents_free(&c);
    }
}

static void odim_degrees(void **state)
{
    (void)state;
    const char *path = in_folder("degrees.h5");
    static const char *const names[] = { "LL_lon", "UL_lon", "LR_lon", "UR_lon",
                                         "LL_lat", "LR_lat", "UL_lat", "UR_lat" };
    hid_t file = hdf5_odim(path);
    for (int i = 0; i < 8; i++)
        hdf5_set_number(file, "where", names[i], (i < 2 ? 175 : i < 4 ? -175 : i < 6 ? 40 : 46));
    hdf5_set_number(file, "where", "xscale", 1);
    hdf5_set_number(file, "where", "yscale", 0.5);
    hdf5_set_text(file, "where", "projdef", "+proj=longlat +ellps=WGS84");
    H5Fclose(file);
    gen_radar_contents *c = contents(path, NULL);
    assert_true(c->grid.degrees);
    for (int i = 0; i < ODIM_W; i++)
        assert_float_equal(c->grid.x[i], 175.5 + i, 1e-9);
    for (int i = 0; i < ODIM_H; i++)
        assert_float_equal(c->grid.y[i], 45.75 - 0.5 * i, 1e-9);
    gen_radar_contents_free(&c);
}

typedef struct fault {
    const char *object, *attribute;
    const char *text; /* NULL: number; "-": the attribute goes */
    double number;
    const char *sentence;
} fault;

static void expect_faults(hid_t (*make)(const char *), const fault *faults, int n)
{
    const char *path = in_folder("fault.h5");
    for (int i = 0; i < n; i++) {
        const fault *k = &faults[i];
        hid_t file = make(path);
        if (k->text && strcmp(k->text, "-") == 0)
            hdf5_delete(file, k->object, k->attribute);
        else if (k->text)
            hdf5_set_text(file, k->object, k->attribute, k->text);
        else
            hdf5_set_number(file, k->object, k->attribute, k->number);
        H5Fclose(file);
        expect_sentence(path, k->sentence);
    }
}

static void odim_faults_are_named(void **state)
{
    (void)state;
    static const fault faults[] = {
        { "what", "object", "PVOL", 0, "'object' of '/what' is 'PVOL', expected COMP or IMAGE" },
        { "what", "object", "CVOL", 0, "expected COMP or IMAGE" },
        { "what", "object", NULL, 1, "'object' of '/what' is no text" },
        { "what", "date", "2020-07-01", 0, "expected YYYYMMDD and HHmmss" },
        { "what", "time", "", 0, "expected YYYYMMDD and HHmmss" },
        { "what", "time", "250000", 0, "expected YYYYMMDD and HHmmss" },
        { "dataset1/what", "endtime", "noon", 0, "'endtime'" },
        { "dataset1/data1/what", "gain", "one", 0, "'gain' of '/dataset1/data1/what' is text" },
        { "dataset1/data1/what", "gain", NULL, NAN, "is not finite" },
        { "dataset1/data1/what", "gain", NULL, 0, "'gain' of '/dataset1/data1' is 0" },
        { "dataset1/data1/what", "offset", NULL, INFINITY, "is not finite" },
        { "dataset1/data1/what", "nodata", "", 0, "is text, expected a number" },
        { "dataset1/data1/what", "quantity", "VRADH", 0, "VRADH (dataset1/data1), expected RATE" },
        { "where", "xsize", NULL, 11, "is 12 x 10, but 'ysize' x 'xsize' of '/where' 12 x 11" },
        { "where", "projdef", "-", 0, "no attribute 'projdef'" },
        { "where", "projdef", "+proj=nonsense", 0, "none that PROJ understands" },
        { "where", "projdef", "+proj=laea +nadgrids=/etc/passwd", 0, "not allowed" },
        { "where", "UL_lat", NULL, 91, "which its projection does not reach" },
        { "where", "LL_lat", NULL, 68, "make no rectangle" },
        { "how", "zr_a", "many", 0, "'zr_a' of '/how' is text" },
    };
    expect_faults(hdf5_odim, faults, GEN_LEN(faults));
}

/* ---- ODIM that we write ------------------------------------------------------------------ */

static gen_radar_sequence drawn(char *proj4, double left, double cell)
{
    static double x[5], y[4];
    static float rain[2 * 20];
    static int64_t time[2] = { NOON5, NOON5 + 300 };
    for (int i = 0; i < 40; i++)
        rain[i] = i % 7 == 2 ? NAN : i % 3 ? (float)(0.25 * i) : 0;
    for (int i = 0; i < 5; i++)
        x[i] = left + cell * (i + 0.5);
    for (int i = 0; i < 4; i++)
        y[i] = 55 - cell * (i + 0.5);
    return (
        gen_radar_sequence){ .frames = 2,
                             .step = 300,
                             .time = time,
                             .rain = rain,
                             .grid = { .height = 4, .width = 5, .x = x, .y = y, .proj4 = proj4 } };
}

static void odim_survives_a_file(void **state)
{
    (void)state;
    static char laea[] = "+proj=laea +lat_0=55 +lon_0=10 +ellps=WGS84 +units=m +no_defs";
    const char *path = in_folder("written.h5");
    for (int degrees = 0; degrees < 2; degrees++)
        for (int frame = 0; frame < 2; frame++) {
            gen_radar_sequence s = drawn(degrees ? NULL : laea, 3, degrees ? 0.125 : 500),
                               *t = NULL;
            s.grid.degrees = degrees;
            assert_int_equal(gen_radar_write_odim(&s, frame, path, 0.25, "by a test", true),
                             GEN_OK);
            if (gen_radar_read(&t, &path, 1, NULL) != GEN_OK)
                fail_msg("%s", gen_last_error());
            assert_int_equal(t->time[0], s.time[frame]);
            assert_int_equal(t->grid.degrees, degrees);
            for (int i = 0; i < 5; i++)
                assert_float_equal(t->grid.x[i], s.grid.x[i], degrees ? 1e-9 : 0.011);
            for (int i = 0; i < 4; i++)
                assert_float_equal(t->grid.y[i], s.grid.y[i], degrees ? 1e-9 : 0.011);
            for (int i = 0; i < 20; i++)
                assert_true(isnan(s.rain[20 * frame + i]) ? isnan(t->rain[i])
                                                          : t->rain[i] == s.rain[20 * frame + i]);
            gen_radar_free(&t);
        }
}

static void odim_cannot_hold_everything(void **state)
{
    (void)state;
    static char laea[] = "+proj=laea +lat_0=55 +lon_0=10 +ellps=WGS84 +units=m +no_defs";
    const char *path = in_folder("refused.h5");
    gen_radar_sequence s = drawn(laea, 0, 1000);
    assert_int_equal(gen_radar_write_odim(&s, 2, path, 0, NULL, false), GEN_EINVAL);
    s.grid.x[2] += 20;
    assert_int_equal(gen_radar_write_odim(&s, 0, path, 0, NULL, false), GEN_EDATA);
    assert_non_null(strstr(gen_last_error(), "not equally far apart in x"));
    s = drawn(NULL, 0, 1000);
    assert_int_equal(gen_radar_write_odim(&s, 0, path, 0, NULL, false), GEN_EDATA);
    assert_non_null(strstr(gen_last_error(), "no projection"));
    s = drawn(laea, 1e9, 1000);
    assert_int_equal(gen_radar_write_odim(&s, 0, path, 0, NULL, false), GEN_EDATA);
    assert_non_null(strstr(gen_last_error(), "outside its projection"));
    assert_int_not_equal(access(path, F_OK), 0);
    s = drawn(laea, 0, 1000);
    uint64_t before = gen_alloc_bytes();
    gen_status status = GEN_ENOMEM;
    for (uint64_t n = 1; status != GEN_OK; n++) {
        gen_alloc_fail_at(n);
        status = gen_radar_write_odim(&s, 0, path, 0, NULL, false);
        gen_alloc_fail_at(0);
        assert_true(n < 100 && (status == GEN_OK || status == GEN_ENOMEM));
        assert_int_equal(access(path, F_OK) == 0, status == GEN_OK);
        assert_int_equal(gen_alloc_bytes(), before);
    }
    assert_int_equal(gen_radar_write_odim(&s, 0, path, 0, NULL, false), GEN_EEXIST);
}

/* ---- KNMI -------------------------------------------------------------------------------- */

static void knmi_is_read(void **state)
{
    (void)state;
    static const char *const projections[] = {
        "+proj=stere +lat_0=90 +lon_0=0 +lat_ts=60 +a=6378.14 +b=6356.75 +x_0=0 y_0=0",
        "+proj=stere +lat_0=90 +lon_0=0.0 +lat_ts=60.0 +a=6378137 +b=6356752 +x_0=0 +y_0=0",
    };
    const char *path = in_folder("knmi.h5");
    for (int i = -1; i < GEN_LEN(projections); i++) {
        hid_t file = hdf5_knmi(path);
        if (i >= 0)
            hdf5_set_text(file, "geographic/map_projection", "projection_proj4_params",
                          projections[i]);
        H5Fclose(file);
        gen_radar_contents *c = contents(path, NULL);
        assert_string_equal(c->format, "KNMI HDF5");
        assert_string_equal(c->units, "mm");
        assert_int_equal(c->quantity, GEN_RADAR_DEPTH);
        assert_int_equal(c->time[0], NOON5);
        assert_float_equal(c->interval, 300, 0);
        assert_non_null(strstr(c->grid.proj4, i == 0 ? "+a=6378140" : "+a=6378137"));
        assert_non_null(strstr(c->grid.proj4, "+y_0=0"));
        expect_axis(c->grid.x, ODIM_W, 100500, 1000);
        expect_axis(c->grid.y, ODIM_H, -3700500, -1000);
        for (int k = 0; k < ODIM_H * ODIM_W; k++) {
            int packed = hdf5_packed(k / ODIM_W, k % ODIM_W);
            assert_true(packed == 250 || packed == 7 ? isnan(c->values[k])
                                                     : c->values[k] == (float)(packed * 0.01));
        }
        gen_radar_contents_free(&c);
    }
}

static void knmi_reflectivity(void **state)
{
    (void)state;
    const char *path = in_folder("dbz.h5");
    hid_t file = hdf5_knmi(path);
    hdf5_set_text(file, "image1", "image_geo_parameter", "REFLECTIVITY_[DBZ]");
    hdf5_set_text(file, "image1/calibration", "calibration_formulas", "GEO=0.500000*PV+-32.0");
    hdf5_delete(file, "image1/calibration", "calibration_out_of_image");
    H5Fclose(file);
    gen_radar_contents *c = contents(path, NULL);
    assert_int_equal(c->quantity, GEN_RADAR_DBZ);
    expect_values(c, 0.5, -32, 250, 0);
    gen_radar_contents_free(&c);
}

static void knmi_formulas(void **state)
{
    (void)state;
    static const struct {
        const char *formula;
        double gain, offset; /* gain 0: refused */
    } cases[] = { { "GEO=0.01*PV+0.0", 0.01, 0 },
                  { "GEO = 2 * PV + 3", 2, 3 },
                  { "GEO=1e-2*PV-1.5", 0.01, -1.5 },
                  { "GEO=0.5*PV+-32", 0.5, -32 },
                  { "GEO=0.01*PV", 0, 0 },
                  { "GEO=0*PV+1", 0, 0 },
                  { "GEO=nan*PV+1", 0, 0 },
                  { "GEO=1*PV+inf", 0, 0 },
                  { "GEO=0.01*PV+0.0;system", 0, 0 },
                  { "PV", 0, 0 },
                  { "", 0, 0 },
                  { "GEO=*PV+", 0, 0 } };
    const char *path = in_folder("formula.h5");
    for (int i = 0; i < GEN_LEN(cases); i++) {
        hid_t file = hdf5_knmi(path);
        hdf5_set_text(file, "image1", "image_geo_parameter", "ECHOTOP_[KM]");
        hdf5_set_text(file, "image1/calibration", "calibration_formulas", cases[i].formula);
        hdf5_delete(file, "image1/calibration", "calibration_out_of_image");
        H5Fclose(file);
        if (cases[i].gain == 0) {
            expect_sentence(path, "expected as 'GEO=0.01*PV+0.0'");
            continue;
        }
        gen_radar_contents *c = contents(path, "image1");
        assert_int_equal(c->quantity, GEN_RADAR_OTHER);
        expect_values(c, cases[i].gain, cases[i].offset, 250, -1);
        gen_radar_contents_free(&c);
    }
}

static void knmi_faults_are_named(void **state)
{
    (void)state;
    static const fault faults[] = {
        { "overview", "product_datetime_end", "26-XYZ-2010;00:00:00.000", 0,
          "expected as '26-AUG" },
        { "overview", "product_datetime_end", "ANF-JUL-2020;00:00:00", 0, "expected as '26-AUG" },
        { "overview", "product_datetime_end", "01-ULA-2020;00:00:00", 0, "expected as '26-AUG" },
        { "overview", "product_datetime_end", "41-JUL-2020;00:00:00", 0, "expected as '26-AUG" },
        { "overview", "product_datetime_end", "1-JUL-2020;00:00:00.5", 0, "expected as '26-AUG" },
        { "geographic", "geo_row_offset", "-", 0, "no attribute 'geo_row_offset'" },
        { "geographic", "geo_row_offset", NULL, 3000, "'geo_product_corners' of '/geographic'" },
        { "geographic", "geo_pixel_size_y", NULL, 1, "expected a number below 0" },
        { "geographic", "geo_pixel_size_x", NULL, -1, "expected a number above 0" },
        { "geographic", "geo_pixel_size_x", "1", 0, "is text, expected a number" },
        { "geographic", "geo_dim_pixel", "DEG,DEG", 0, "expected KM,KM or M,M" },
        { "geographic", "geo_number_rows", NULL, 13, "geo_number_rows" },
        { "geographic/map_projection", "projection_proj4_params", "-", 0, "no attribute" },
        { "geographic/map_projection", "projection_proj4_params", "+proj=x", 0,
          "PROJ understands" },
        { "image1/calibration", "calibration_missing_data", "none", 0, "is text, expected" },
    };
    expect_faults(hdf5_knmi, faults, GEN_LEN(faults));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odim_is_read),
        cmocka_unit_test(odim_attributes_hold_for_groups_below),
        cmocka_unit_test(odim_without_packing_is_plain),
        cmocka_unit_test(odim_types_and_storage),
        cmocka_unit_test(odim_chunks_that_are_not_there),
        cmocka_unit_test(odim_not_finite_is_missing),
        cmocka_unit_test(odim_variables),
        cmocka_unit_test(odim_frames),
        cmocka_unit_test(odim_places),
        cmocka_unit_test(odim_degrees),
        cmocka_unit_test(odim_faults_are_named),
        cmocka_unit_test(odim_survives_a_file),
        cmocka_unit_test(odim_cannot_hold_everything),
        cmocka_unit_test(knmi_is_read),
        cmocka_unit_test(knmi_reflectivity),
        cmocka_unit_test(knmi_formulas),
        cmocka_unit_test(knmi_faults_are_named),
    };
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* of the test; the readers are silent themselves */
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
