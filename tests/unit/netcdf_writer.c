/* SPDX-License-Identifier: Apache-2.0
 *
 * Files that we write: the grid mapping of any projection, latitudes and longitudes, forecasts that
 * end with fewer members than planned. That files are read back as they were is in radar.c; what
 * a CF checker says of them in tests/cli/cf.sh.
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
#include <netcdf.h>

#include <libgen/weather.h>

#include "libgen/base/fail.h"

#define H 4
#define W 5
#define T0 1280000100

static char path[] = "/tmp/gen-netcdf-writer-XXXXXX";
static double y[H] = { 2000, 0, -2000, -4000 }, x[W] = { -1000, 0, 1000, 2000, 3000 };
static float rain[3 * H * W];

static gen_radar_grid grid(const char *proj4)
{
    return (gen_radar_grid){ .height = H, .width = W, .y = y, .x = x, .proj4 = (char *)proj4 };
}

static gen_forecast *create(const gen_radar_grid *g, int64_t members, bool latitudes)
{
    gen_forecast_info info = { .grid = g,
                               .reference_time = T0,
                               .step = 300,
                               .lead_steps = 3,
                               .members = members,
                               .latitudes = latitudes,
                               .force = true };
    gen_forecast *f = NULL;
    if (gen_forecast_create(&f, path, &info) != GEN_OK)
        fail_msg("%s", gen_last_error());
    return f;
}

static int written(const char *proj4, bool latitudes)
{
    gen_radar_grid g = grid(proj4);
    gen_forecast *f = create(&g, 1, latitudes);
    int nc;
    assert_int_equal(gen_forecast_write(f, 0, rain), GEN_OK);
    assert_int_equal(gen_forecast_commit(f), GEN_OK);
    gen_forecast_free(&f);
    assert_int_equal(nc_open(path, NC_NOWRITE, &nc), NC_NOERR);
    return nc;
}

static int variable(int nc, const char *name)
{
    int id;
    if (nc_inq_varid(nc, name, &id) != NC_NOERR)
        fail_msg("there is no variable %s", name);
    return id;
}

static void expect_text(int nc, const char *owner, const char *name, const char *text)
{
    char found[4096] = "";
    int id = owner ? variable(nc, owner) : NC_GLOBAL;
    if (nc_get_att_text(nc, id, name, found) != NC_NOERR || strcmp(found, text) != 0)
        fail_msg("attribute %s:%s is '%s', expected '%s'", owner ? owner : "", name, found, text);
}

static void expect_number(int nc, const char *owner, const char *name, double v)
{
    double found = NAN;
    nc_get_att_double(nc, variable(nc, owner), name, &found);
    if (!(fabs(found - v) <= 1e-12 * fabs(v)))
        fail_msg("attribute %s:%s is %g, expected %g", owner, name, found, v);
}

static void a_string_becomes_a_grid_mapping(void **state)
{
    (void)state;
    int nc =
        written("+proj=stere +lat_0=90 +lon_0=25E +lat_ts=60 +a=6371288 +x_0=380886.31", false);
    expect_text(nc, "rain_rate", "grid_mapping", "crs");
    expect_text(nc, "rain_rate", "coordinates", "forecast_period forecast_reference_time");
    expect_text(nc, "crs", "grid_mapping_name", "polar_stereographic");
    expect_number(nc, "crs", "straight_vertical_longitude_from_pole", 25);
    expect_number(nc, "crs", "standard_parallel", 60);
    expect_number(nc, "crs", "false_easting", 380886.31);
    expect_number(nc, "crs", "earth_radius", 6371288);
    expect_text(nc, "x", "units", "m");
    nc_type type;
    assert_int_equal(nc_inq_atttype(nc, variable(nc, "crs"), "crs_wkt", &type), NC_NOERR);
    int id;
    assert_int_not_equal(nc_inq_varid(nc, "lat", &id), NC_NOERR);
    nc_close(nc);
}

/* A gnomonic projection: CF has no name for it, so each cell has its latitude. */
static void a_projection_without_a_name_has_latitudes(void **state)
{
    (void)state;
    double lat[H * W], lon[H * W];
    char text[100] = "";
    int nc = written("+proj=gnom +lat_0=50 +lon_0=5 +R=6371000", false);
    assert_int_not_equal(nc_get_att_text(nc, variable(nc, "crs"), "grid_mapping_name", text),
                         NC_NOERR);
    expect_text(nc, "rain_rate", "coordinates", "forecast_period forecast_reference_time lat lon");
    assert_int_equal(nc_get_var_double(nc, variable(nc, "lat"), lat), NC_NOERR);
    assert_int_equal(nc_get_var_double(nc, variable(nc, "lon"), lon), NC_NOERR);
    /* on the meridian of the centre: y = R tan(lat - 50) */
    for (int j = 0; j < H; j++) {
        assert_float_equal(lat[j * W + 1], 50 + atan(y[j] / 6371000) * 180 / acos(-1), 1e-9);
        assert_float_equal(lon[j * W + 1], 5, 1e-9);
    }
    assert_true(lon[0] < 5 && lon[W - 1] > 5);
    nc_close(nc);
    nc = written("+proj=laea +lat_0=50 +lon_0=5 +R=6371000", true); /* asked for */
    assert_int_equal(nc_get_var_double(nc, variable(nc, "lat"), lat), NC_NOERR);
    assert_float_equal(lat[W + 1], 50, 1e-9);
    nc_close(nc);
    nc = written(NULL, true); /* of no projection: no latitudes, no error */
    nc_close(nc);
}

static void axes_are_called_what_they_are(void **state)
{
    (void)state;
    double found[W];
    int nc = written("+proj=ob_tran +o_proj=longlat +o_lat_p=39.25 +o_lon_p=0 +lon_0=18", false);
    expect_text(nc, "x", "standard_name", "grid_longitude");
    expect_text(nc, "y", "units", "degrees");
    nc_close(nc);
    nc = written("+proj=geos +h=35785831 +lon_0=0 +ellps=GRS80", false);
    expect_text(nc, "x", "units", "radian");
    assert_int_equal(nc_get_var_double(nc, variable(nc, "x"), found), NC_NOERR);
    assert_float_equal(found[4], 3000 / 35785831.0, 1e-15);
    nc_close(nc);
}

/* What a program did not understand it still carries. */
static void a_strange_string_is_carried(void **state)
{
    (void)state;
    int nc = written("+proj=cubist +lat_0=3", false);
    expect_text(nc, "crs", "proj4", "+proj=cubist +lat_0=3");
    nc_close(nc);
}

static void late_members_are_left_out(void **state)
{
    (void)state;
    gen_radar_grid g = grid(NULL);
    gen_forecast *f = create(&g, 5, false);
    size_t n = 0;
    int nc, dims[4], number[2];
    rain[7] = 2.5f;
    assert_int_equal(gen_forecast_write(f, 1, rain), GEN_OK);
    assert_int_equal(gen_forecast_shorten(f, 0), GEN_EINVAL);
    assert_int_equal(gen_forecast_shorten(f, 6), GEN_EINVAL);
    assert_int_equal(gen_forecast_shorten(f, 1), GEN_EINVAL); /* the second is there */
    assert_int_equal(gen_forecast_shorten(f, 2), GEN_OK);
    assert_int_equal(gen_forecast_commit(f), GEN_EINVAL); /* the first is not */
    assert_int_equal(gen_forecast_write(f, 0, rain), GEN_OK);
    assert_int_equal(gen_forecast_write(f, 2, rain), GEN_EINVAL);
    assert_int_equal(gen_forecast_comment(f, "3 members came too late"), GEN_OK);
    assert_int_equal(gen_forecast_commit(f), GEN_OK);
    gen_forecast_free(&f);
    assert_int_equal(nc_open(path, NC_NOWRITE, &nc), NC_NOERR);
    assert_int_equal(nc_inq_vardimid(nc, variable(nc, "rain_rate"), dims), NC_NOERR);
    assert_int_equal(nc_inq_dimlen(nc, dims[0], &n), NC_NOERR);
    assert_int_equal(n, 2);
    assert_int_equal(nc_get_var_int(nc, variable(nc, "realization"), number), NC_NOERR);
    assert_true(number[0] == 0 && number[1] == 1);
    expect_text(nc, NULL, "comment", "3 members came too late");
    short packed;
    const size_t at[4] = { 1, 0, 1, 2 };
    assert_int_equal(nc_get_var1_short(nc, variable(nc, "rain_rate"), at, &packed), NC_NOERR);
    assert_int_equal(packed + 32767, 2.5 * 128);
    nc_close(nc);
}

static int make_file(void **state)
{
    (void)state;
    int f = mkstemp(path);
    return f < 0 ? -1 : close(f);
}

static int remove_file(void **state)
{
    (void)state;
    return remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_string_becomes_a_grid_mapping),
        cmocka_unit_test(a_projection_without_a_name_has_latitudes),
        cmocka_unit_test(axes_are_called_what_they_are),
        cmocka_unit_test(a_strange_string_is_carried),
        cmocka_unit_test(late_members_are_left_out),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
