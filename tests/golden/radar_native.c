/* SPDX-License-Identifier: Apache-2.0
 *
 * Real files of each radar format against values decoded by independent readers: shape, numbers of
 * missing, valid and positive cells, minimum, maximum, mean and single cells of every entry of
 * ../shared/data/radar/native/expected.json whose folder stands in `folders`. Skipped where
 * ../shared is absent (GEN_SHARED names another place).
 *
 * To add a folder: its row, and its test in `tests`.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include <libgen/weather.h>

#include "libgen/base/alloc.h"
#include "libgen/base/file.h"
#include "libgen/base/json.h"

/* How expected.json counts in a folder. An entry belongs to the first row whose prefix it has. */
static const struct folder {
    const char *prefix;
    double undetected;    /* value there of cells where nothing was detected; NAN = missing */
    bool south_first;     /* its row 0 is the south edge */
    double gain, offset;  /* its value = ours * gain + offset; gain 0 = 1 */
    const char *variable; /* what of a file it has */
} folders[] = {
    { .prefix = "bom_netcdf/", .undetected = 0 },
    { .prefix = "fmi_geotiff/", .undetected = NAN },
    { .prefix = "fmi_pgm/", .undetected = NAN },
    { .prefix = "knmi_hdf5/", .undetected = 0 },
    { .prefix = "mch_gif/" },
    { .prefix = "meteonet_npz/", .undetected = 0 },
    { .prefix = "nimrod/", .south_first = true, .variable = "1" },
    { .prefix = "opera_hdf5_odim/", .undetected = NAN },
    { .prefix = "radolan/raa01-rx", .south_first = true, .gain = 2, .offset = 65 }, /* counts */
    { .prefix = "radolan/", .south_first = true },
    { .prefix = "mrms_grib2/", .undetected = NAN },
};

static gen_json *expected;

static const struct folder *folder_of(const char *entry)
{
    for (int i = 0; i < GEN_LEN(folders); i++)
        if (strncmp(entry, folders[i].prefix, strlen(folders[i].prefix)) == 0)
            return &folders[i];
    return NULL;
}

static double number(const gen_json *v, const char *key)
{
    double out = 0;
    assert_int_equal(gen_json_real(v, key, &out), GEN_OK);
    return out;
}

/* In double: as near as float32 comes to it. */
static void check_real(const char *entry, const char *what, double found, double wanted)
{
    if (!(fabs(found - wanted) <= 2e-7 * fabs(wanted) + 1e-9))
        fail_msg("%s: %s is %.9g, expected %.9g", entry, what, found, wanted);
}

static void check_count(const char *entry, const char *what, int64_t found, double wanted)
{
    if (found != (int64_t)wanted)
        fail_msg("%s: %s is %lld, expected %.0f", entry, what, (long long)found, wanted);
}

/* The values as expected.json has them, in its row order. */
static double *values_of(const gen_radar_contents *c, const struct folder *f)
{
    int64_t h = c->grid.height, w = c->grid.width;
    double gain = f->gain != 0 ? f->gain : 1, *out = NULL;
    assert_int_equal(GEN_ALLOC(&out, c->frames * h * w, "values"), GEN_OK);
    for (int64_t row = 0; row < c->frames * h; row++) {
        int64_t frame = row / h, y = row % h;
        const float *from = c->values + (frame * h + (f->south_first ? h - 1 - y : y)) * w;
        for (int64_t x = 0; x < w; x++)
            out[row * w + x] =
                from[x] == -HUGE_VALF ? f->undetected : (double)from[x] * gain + f->offset;
    }
    return out;
}

static void check_shape(const char *entry, const gen_json *shape, const gen_radar_contents *c)
{
    const int64_t size[3] = { c->frames, c->grid.height, c->grid.width };
    int rank = gen_json_count(shape), i = 3 - rank;
    assert_true(rank == 2 || rank == 3);
    for (const gen_json *v = gen_json_first(shape); v; v = gen_json_next(v), i++)
        check_count(entry, "a side of the grid", size[i], number(v, NULL));
    if (rank == 2)
        check_count(entry, "the number of frames", c->frames, 1);
}

static void check_values(const char *entry, const gen_json *k, const double *v, int64_t n)
{
    int64_t missing = 0, positive = 0;
    double low = HUGE_VAL, high = -HUGE_VAL, sum = 0;
    for (int64_t i = 0; i < n; i++) {
        missing += isnan(v[i]);
        if (isnan(v[i]))
            continue;
        positive += v[i] > 0;
        low = v[i] < low ? v[i] : low;
        high = v[i] > high ? v[i] : high;
        sum += v[i];
    }
    check_count(entry, "the number of missing cells", missing, number(k, "missing"));
    check_count(entry, "the number of valid cells", n - missing, number(k, "valid"));
    check_count(entry, "the number of cells above 0", positive, number(k, "n_positive"));
    check_real(entry, "the minimum", low, number(k, "min"));
    check_real(entry, "the maximum", high, number(k, "max"));
    check_real(entry, "the mean", sum / (double)(n - missing), number(k, "mean"));
}

/* "folder/file.hdf:dataset2/data1": a file, and what is read of it. */
static void check_entry(const char *entry, const gen_json *k, const struct folder *f)
{
    char path[1024];
    gen_radar_contents *c = NULL;
    gen_radar_read_options o = { .variable = f->variable };
    snprintf(path, sizeof path, "%s/data/radar/native/%s", getenv("GEN_SHARED"), entry);
    char *colon = strchr(path + strlen(getenv("GEN_SHARED")), ':');
    if (colon) {
        *colon = 0;
        o.variable = colon + 1;
    }
    if (gen_radar_inspect(&c, path, &o) != GEN_OK)
        fail_msg("%s: %s", entry, gen_last_error());
    check_shape(entry, gen_json_get(k, "shape"), c);
    int64_t cells = c->grid.height * c->grid.width;
    double *v = values_of(c, f);
    check_values(entry, k, v, c->frames * cells);
    const gen_json *pixel = gen_json_first(gen_json_get(k, "pixels"));
    for (; pixel; pixel = gen_json_next(pixel)) {
        int64_t row, col;
        char where[64];
        assert_int_equal(gen_json_int(pixel, "row", 0, c->grid.height - 1, &row), GEN_OK);
        assert_int_equal(gen_json_int(pixel, "col", 0, c->grid.width - 1, &col), GEN_OK);
        snprintf(where, sizeof where, "the cell %lld, %lld", (long long)row, (long long)col);
        check_real(entry, where, v[row * c->grid.width + col], number(pixel, "value"));
    }
    gen_free(v);
    gen_radar_contents_free(&c);
}

static void check_folder(const char *prefix)
{
    int n = 0;
    if (!expected)
        skip();
    for (const gen_json *k = gen_json_first(expected); k; k = gen_json_next(k)) {
        const char *entry = gen_json_key(k);
        if (strncmp(entry, prefix, strlen(prefix)) != 0)
            continue;
        const struct folder *f = folder_of(entry);
        assert_non_null(f);
        check_entry(entry, k, f);
        n++;
    }
    assert_true(n > 0);
}

static void bom_netcdf_equals_netcdf4(void **state)
{
    (void)state;
    check_folder("bom_netcdf/");
}

static void knmi_hdf5_equals_h5py(void **state)
{
    (void)state;
    check_folder("knmi_hdf5/");
}

static void odim_hdf5_equals_h5py(void **state)
{
    (void)state;
    check_folder("opera_hdf5_odim/");
}

static void pgm_equals_pillow(void **state)
{
    (void)state;
    check_folder("fmi_pgm/");
}

static void gif_equals_pysteps(void **state)
{
    (void)state;
    check_folder("mch_gif/");
}

static void npz_equals_numpy(void **state)
{
    (void)state;
    check_folder("meteonet_npz/");
}

static void nimrod_equals_iris(void **state)
{
    (void)state;
    check_folder("nimrod/");
}

static void radolan_equals_wradlib(void **state)
{
    (void)state;
    check_folder("radolan/");
}

static void mrms_grib_equals_eccodes(void **state)
{
    (void)state;
    check_folder("mrms_grib2/");
}

static void fmi_geotiff_equals_gdal(void **state)
{
    (void)state;
    check_folder("fmi_geotiff/");
}

int main(void)
{
    char path[1024], *text = NULL;
    uint64_t size = 0;
    const char *shared = getenv("GEN_SHARED");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bom_netcdf_equals_netcdf4), cmocka_unit_test(knmi_hdf5_equals_h5py),
        cmocka_unit_test(odim_hdf5_equals_h5py),     cmocka_unit_test(pgm_equals_pillow),
        cmocka_unit_test(gif_equals_pysteps),        cmocka_unit_test(npz_equals_numpy),
        cmocka_unit_test(nimrod_equals_iris),        cmocka_unit_test(radolan_equals_wradlib),
        cmocka_unit_test(mrms_grib_equals_eccodes),  cmocka_unit_test(fmi_geotiff_equals_gdal),
    };
    snprintf(path, sizeof path, "%s/data/radar/native/expected.json", shared ? shared : "");
    if (shared && gen_file_read(path, 1 << 22, &text, &size) == GEN_OK &&
        gen_json_parse(&expected, text, size, 1 << 22) != GEN_OK) {
        fprintf(stderr, "%s: %s\n", path, gen_last_error());
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    gen_json_free(&expected);
    gen_free(text);
    return failed;
}
