/* SPDX-License-Identifier: Apache-2.0
 *
 * netCDF files as others make them: which variable is the rain, its units, times and intervals of
 * every kind, axes in any order, projections. Our own files are in radar.c.
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
#include "weather/codec/netcdf_reader.h"

#define T0 1535133600 /* 2018-08-24T18:00:00Z */

static char path[] = "/tmp/gen-netcdf-XXXXXX";

/* ---- making files ------------------------------------------------------------------------ */

static int nc;

static void begin(void)
{
    assert_int_equal(nc_create(path, NC_NETCDF4 | NC_CLOBBER, &nc), NC_NOERR);
    nc_set_fill(nc, NC_NOFILL, NULL);
}

static int dim(const char *name, size_t n)
{
    int id = -1;
    assert_int_equal(nc_def_dim(nc, name, n, &id), NC_NOERR);
    return id;
}

/* A variable with text attributes, pairs ended by NULL. */
static int var(const char *name, nc_type type, int rank, const int *dims,
               const char *const *attributes)
{
    int id = -1;
    assert_int_equal(nc_def_var(nc, name, type, rank, dims, &id), NC_NOERR);
    for (; *attributes; attributes += 2)
        nc_put_att_text(nc, id, attributes[0], strlen(attributes[1]), attributes[1]);
    return id;
}
#define TEXTS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void number(int variable, const char *name, double v)
{
    assert_int_equal(nc_put_att_double(nc, variable, name, NC_DOUBLE, 1, &v), NC_NOERR);
}

static void values(int variable, const double *v)
{
    assert_int_equal(nc_put_var_double(nc, variable, v), NC_NOERR);
}

static void end(void)
{
    assert_int_equal(nc_close(nc), NC_NOERR);
}

/* y, x of 2 x 3 cells with coordinates, the first row in the north; ids of the dimensions. */
static void axes(int dims[2], const char *units)
{
    dims[0] = dim("y", 2);
    dims[1] = dim("x", 3);
    values(var("y", NC_DOUBLE, 1, &dims[0], TEXTS("units", units)), (double[]){ 2, 1 });
    values(var("x", NC_DOUBLE, 1, &dims[1], TEXTS("units", units)), (double[]){ 5, 6, 7 });
}

static const double six[6] = { 1, 2, 3, 4, 5, 6 };

/* ---- reading them ------------------------------------------------------------------------ */

static gen_radar_sequence *read_with(const gen_radar_read_options *o)
{
    gen_radar_sequence *s = NULL;
    const char *const paths[] = { path };
    if (gen_radar_read(&s, paths, 1, o) != GEN_OK)
        fail_msg("%s", gen_last_error());
    return s;
}

static void expect_sentence(const gen_radar_read_options *o, const char *part)
{
    gen_radar_sequence *s = NULL;
    const char *const paths[] = { path };
    gen_status status = gen_radar_read(&s, paths, 1, o);
    gen_radar_free(&s);
    if (status != GEN_EDATA || !strstr(gen_last_error(), part))
        fail_msg("status %s, sentence '%s', expected EDATA and '%s'", gen_status_name(status),
                 gen_last_error(), part);
}

static void expect_rain(const gen_radar_sequence *s, const double *rain, double tolerance)
{
    for (int i = 0; i < 6; i++)
        if (!(fabs((double)s->rain[i] - rain[i]) <= tolerance))
            fail_msg("cell %d is %g mm/h, expected %g", i, (double)s->rain[i], rain[i]);
}

/* ---- units ------------------------------------------------------------------------------- */

static void units_are_parsed(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        gen_radar_quantity quantity;
        double factor;
    } cases[] = {
        { "mm h-1", GEN_RADAR_RATE, 1 },
        { "mm/h", GEN_RADAR_RATE, 1 },
        { "mm/hr", GEN_RADAR_RATE, 1 },
        { "mm hour-1", GEN_RADAR_RATE, 1 },
        { "mm.h^-1", GEN_RADAR_RATE, 1 },
        { "mm h**-1", GEN_RADAR_RATE, 1 },
        { "millimeters per hour", GEN_RADAR_RATE, 1 },
        { "kg m-2 h-1", GEN_RADAR_RATE, 1 },
        { "kg/m2/s", GEN_RADAR_RATE, 3600 },
        { "kg m-2 s-1", GEN_RADAR_RATE, 3600 },
        { "m s-1", GEN_RADAR_RATE, 3.6e6 },
        { "mm s-1", GEN_RADAR_RATE, 3600 },
        { "mm/day", GEN_RADAR_RATE, 1.0 / 24 },
        { "mm/5min", GEN_RADAR_RATE, 12 },
        { "0.1 mm h-1", GEN_RADAR_RATE, 0.1 },
        { "mm", GEN_RADAR_DEPTH, 1 },
        { "kg m-2", GEN_RADAR_DEPTH, 1 },
        { "cm", GEN_RADAR_DEPTH, 10 },
        { "m", GEN_RADAR_DEPTH, 1000 },
        { "inches", GEN_RADAR_DEPTH, 25.4 },
        { "dBZ", GEN_RADAR_DBZ, 1 },
        { "DBZ", GEN_RADAR_DBZ, 1 },
        { "K", GEN_RADAR_OTHER, 1 },
        { "", GEN_RADAR_OTHER, 1 },
        { "1", GEN_RADAR_OTHER, 1 },
        { "m2", GEN_RADAR_OTHER, 1 },
        { "mm h-2", GEN_RADAR_OTHER, 1 },
        { "kg m-3", GEN_RADAR_OTHER, 1 },
        { "%", GEN_RADAR_OTHER, 1 },
        { "mm/", GEN_RADAR_DEPTH, 1 },
        { "/", GEN_RADAR_OTHER, 1 },
        { "99999999999999999999999999", GEN_RADAR_OTHER, 1 },
        { "1e300 mm", GEN_RADAR_OTHER, 1 },
        { "s", GEN_RADAR_OTHER, 1 },
    };
    for (int i = 0; i < GEN_LEN(cases); i++) {
        double factor = 0;
        gen_radar_quantity q = gen_netcdf_quantity(cases[i].text, &factor);
        if (q != cases[i].quantity || !(fabs(factor - cases[i].factor) <= 1e-15 * factor))
            fail_msg("'%s' is of quantity %d, factor %.17g", cases[i].text, (int)q, factor);
    }
    assert_true(gen_netcdf_seconds("hours", 5) == 3600 && gen_netcdf_seconds("mm", 2) == 0);
    assert_true(gen_netcdf_metres("km") == 1000 && gen_netcdf_metres("s") == 0);
}

/* ---- depths and intervals ---------------------------------------------------------------- */

/* As the Australian Bureau of Meteorology writes: no time dimension, kilometres, two times, and
 * false eastings in the units of x. */
static void a_field_with_two_times(void **state)
{
    (void)state;
    int dims[2];
    double fill = -1;
    begin();
    axes(dims, "km");
    const char *since = "seconds since 1970-01-01 00:00:00 UTC";
    double end_time = T0, start_time = T0 - 360;
    int valid =
        var("valid_time", NC_INT64, 0, NULL, TEXTS("standard_name", "time", "units", since));
    int start = var("start_time", NC_INT64, 0, NULL, TEXTS("units", since));
    int proj =
        var("proj", NC_BYTE, 0, NULL, TEXTS("grid_mapping_name", "lambert_azimuthal_equal_area"));
    number(proj, "longitude_of_projection_origin", 10);
    number(proj, "latitude_of_projection_origin", 50);
    number(proj, "false_easting", 3);
    number(proj, "false_northing", -4);
    int rain = var(
        "precipitation", NC_SHORT, 2, dims,
        TEXTS("units", "kg m-2", "standard_name", "precipitation_amount", "grid_mapping", "proj"));
    number(rain, "scale_factor", 0.05);
    nc_put_att_double(nc, rain, "_FillValue", NC_SHORT, 1, &fill);
    values(valid, &end_time);
    values(start, &start_time);
    values(rain, (double[]){ 20, 0, -1, -2, 4, 2 });
    end();
    gen_radar_sequence *s = read_with(NULL);
    assert_int_equal(s->time[0], T0);
    assert_float_equal(s->rain[0], 10, 1e-6); /* 1 mm in 6 minutes */
    assert_true(s->rain[1] == 0 && isnan(s->rain[2]) && isnan(s->rain[3]));
    assert_true(s->grid.x[0] == 5000 && s->grid.y[0] == 2000);
    assert_non_null(strstr(s->grid.attributes, "\"false_easting\":3000"));
    assert_non_null(strstr(s->grid.proj4, "+x_0=3000 +y_0=-4000"));
    gen_radar_free(&s);
    gen_radar_contents *c = NULL;
    assert_int_equal(gen_radar_inspect(&c, path, NULL), GEN_OK);
    assert_true(c->quantity == GEN_RADAR_DEPTH && c->interval == 360);
    assert_string_equal(c->name, "precipitation");
    assert_string_equal(c->units, "kg m-2");
    gen_radar_contents_free(&c);
}

/* tp(time,y,x) in mm, two frames, bounds of time as given (4 numbers, or none). */
static void make_depth(const double *bounds, const char *methods)
{
    int dims[3];
    begin();
    dims[0] = dim("time", 2);
    axes(dims + 1, "m");
    int time = var("time", NC_DOUBLE, 1, dims,
                   TEXTS("units", "hours since 2018-08-24 18:00", "bounds", "time_bnds"));
    if (bounds) {
        const int b[2] = { dims[0], dim("nv", 2) };
        values(var("time_bnds", NC_DOUBLE, 2, b, TEXTS(NULL)), bounds);
    }
    int rain = var("tp", NC_FLOAT, 3, dims,
                   TEXTS("units", "mm", "standard_name", "lwe_thickness_of_precipitation_amount",
                         "cell_methods", methods));
    values(time, (double[]){ 1, 2 });
    values(rain, (double[]){ 1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6 });
    end();
}

static void depths_need_an_interval(void **state)
{
    (void)state;
    make_depth((double[]){ 0.5, 1, 1.5, 2 }, "");
    gen_radar_sequence *s = read_with(NULL);
    expect_rain(s, (double[]){ 2, 4, 6, 8, 10, 12 }, 1e-6);
    assert_true(s->time[0] == T0 + 3600 && s->interval == 1800);
    assert_int_equal(gen_radar_write(s, path, 0, NULL, true), GEN_OK); /* a rate with bounds */
    gen_radar_free(&s);
    s = read_with(NULL);
    expect_rain(s, (double[]){ 2, 4, 6, 8, 10, 12 }, 1e-6);
    assert_true(s->time[0] == T0 + 3600 && s->interval == 1800);
    gen_radar_free(&s);
    make_depth((double[]){ 0.75, 1.25, 1.75, 2.25 }, ""); /* times in the middle */
    s = read_with(NULL);
    assert_true(s->time[0] == T0 + 4500 && s->time[1] == T0 + 8100);
    gen_radar_free(&s);
    make_depth((double[]){ 0.5, 1, 1, 2 }, "");
    expect_sentence(NULL, "time_bnds gives frame 1 3600 s, but the first 1800 s");
    make_depth(NULL, "time: sum (interval: 15 minutes) area: mean");
    s = read_with(NULL);
    expect_rain(s, (double[]){ 4, 8, 12, 16, 20, 24 }, 1e-5);
    gen_radar_free(&s);
    make_depth(NULL, "time: sum");
    expect_sentence(NULL, "tp is a depth of rain, but the file does not say in which time");
    gen_radar_read_options hour = { .interval = 3600 };
    s = read_with(&hour);
    expect_rain(s, six, 1e-6);
    gen_radar_free(&s);
    make_depth((double[]){ 1, 0.5, 2, 1.5 }, ""); /* back in time: no interval */
    expect_sentence(NULL, "tp is a depth of rain");
}

/* ---- reflectivity, fluxes, other units --------------------------------------------------- */

static void make_field(const char *name, const char *units, const char *standard,
                       const double *field)
{
    int dims[3];
    begin();
    dims[0] = dim("time", 1);
    axes(dims + 1, "m");
    int time = var("time", NC_DOUBLE, 1, dims, TEXTS("units", "minutes since 2018-08-24 18:00"));
    int v = var(name, NC_DOUBLE, 3, dims, TEXTS("units", units, "standard_name", standard));
    values(time, (double[]){ 5 });
    values(v, field);
    end();
}

static void reflectivity_becomes_rain(void **state)
{
    (void)state;
    /* 10 log10(200 R^1.6) of 1 and 10 mm/h; what is far below is little rain */
    const double dbz[6] = {
        23.010299956639813, 39.01029995663981, -31.5, NAN, 23.010299956639813, 0
    };
    make_field("CZ", "dBZ", "equivalent_reflectivity_factor", dbz);
    gen_radar_sequence *s = read_with(NULL);
    assert_float_equal(s->rain[0], 1, 1e-6);
    assert_float_equal(s->rain[1], 10, 1e-5);
    assert_true(s->rain[2] > 0 && s->rain[2] < 1e-3f && isnan(s->rain[3]));
    gen_radar_free(&s);
    make_field("Z", "1", "equivalent_reflectivity_factor", dbz);
    s = read_with(NULL);
    assert_float_equal(s->rain[1], 10, 1e-5);
    gen_radar_free(&s);
}

static void words_decide_where_units_do_not(void **state)
{
    (void)state;
    make_field("pr", "kg m-2 s-1", "precipitation_flux", six);
    gen_radar_sequence *s = read_with(NULL);
    assert_float_equal(s->rain[0], 3600, 1e-3);
    gen_radar_free(&s);
    make_field("RAINRATE", "m s-1", "", six);
    s = read_with(NULL);
    gen_radar_free(&s);
    make_field("height_above_sea", "m", "altitude", six);
    expect_sentence(NULL, "holds no rain");
    make_field("wind", "m s-1", "wind_speed", six);
    expect_sentence(NULL, "holds no rain");
    make_field("evaporation", "kg m-2 s-1", "water_evapotranspiration_flux", six);
    expect_sentence(NULL, "holds no rain");
    gen_radar_read_options o = { .variable = "evaporation", .units = "mm/h" };
    s = read_with(&o);
    expect_rain(s, six, 0);
    gen_radar_free(&s);
}

static void make_many(bool words)
{
    int dims[2], group;
    begin();
    axes(dims, "m");
    double t = 3;
    values(var("time", NC_DOUBLE, 0, NULL, TEXTS("units", "minutes since 2018-08-24 18:00")), &t);
    values(var("a", NC_FLOAT, 2, dims, TEXTS("units", "mm/h")), six);
    values(var("b", NC_FLOAT, 2, dims, TEXTS("units", "mm/h")), (double[]){ 6, 5, 4, 3, 2, 1 });
    values(var("quality", NC_FLOAT, 2, dims, TEXTS("units", "1")), six);
    if (words)
        values(var("c", NC_FLOAT, 2, dims, TEXTS("units", "mm/h", "long_name", "Rain rate")), six);
    nc_def_grp(nc, "more", &group);
    int id;
    nc_def_var(group, "c", NC_FLOAT, 2, dims, &id);
    nc_put_att_text(group, id, "units", 4, "mm/h");
    nc_put_var_double(group, id, (double[]){ 7, 7, 7, 7, 7, 7 });
    end();
}

static void variables_are_chosen_by_name(void **state)
{
    (void)state;
    make_many(true);
    gen_radar_contents *c = NULL;
    assert_int_equal(gen_radar_inspect(&c, path, NULL), GEN_OK);
    assert_string_equal(c->name, "c"); /* its words speak of rain */
    gen_radar_contents_free(&c);
    make_many(false);
    expect_sentence(NULL, "several fields of rain, 'a' and 'b': name the variable");
    gen_radar_read_options o = { .variable = "b" };
    gen_radar_sequence *s = read_with(&o);
    assert_true(s->rain[0] == 6 && s->time[0] == T0 + 180);
    gen_radar_free(&s);
    o.variable = "quality";
    assert_int_equal(gen_radar_inspect(&c, path, &o), GEN_OK);
    assert_true(c->quantity == GEN_RADAR_OTHER && c->values[5] == 6);
    gen_radar_contents_free(&c);
    expect_sentence(&o, "quality is no rain");
    o.variable = "more/c";
    assert_int_equal(gen_radar_inspect(&c, path, &o), GEN_OK);
    assert_string_equal(c->name, "more/c");
    assert_true(c->values[0] == 7 && c->time[0] == INT64_MIN); /* its group tells no time */
    gen_radar_contents_free(&c);
    o.variable = "nothing";
    expect_sentence(&o, "holds no variable 'nothing'");
    o.variable = "no/such/group";
    expect_sentence(&o, "holds no variable 'no/such/group'");
    o.variable = "time";
    expect_sentence(&o, "has 0 dimensions");
}

/* ---- times ------------------------------------------------------------------------------- */

static void make_time(const char *units, const char *calendar)
{
    int dims[3];
    begin();
    dims[0] = dim("time", 1);
    axes(dims + 1, "m");
    int time = var("time", NC_DOUBLE, 1, dims, TEXTS("units", units, "calendar", calendar));
    values(var("rain", NC_DOUBLE, 3, dims, TEXTS("units", "mm/h")), six);
    values(time, (double[]){ 30 });
    end();
}

static int64_t first_time(const char *units)
{
    make_time(units, "standard");
    gen_radar_sequence *s = read_with(NULL);
    int64_t t = s->time[0];
    gen_radar_free(&s);
    return t;
}

static void other_zones_are_understood(void **state)
{
    (void)state;
    assert_int_equal(first_time("minutes since 2018-08-24 18:00 UTC"), T0 + 1800);
    assert_int_equal(first_time("minutes since 2018-08-25T04:00:00+10:00"), T0 + 1800);
    assert_int_equal(first_time("minutes since 2018-08-25 3:30 +9:30"), T0 + 1800);
    assert_int_equal(first_time("minutes since 2018-08-24 12:00:00 -0600"), T0 + 1800);
    assert_int_equal(first_time("seconds since 2018-08-24 12:00:00 -6"), T0 + 30);
    assert_int_equal(first_time("milliseconds since 2018-08-24 18:00:00.0"), T0);
    assert_int_equal(first_time("days since 2018-07-25 18:00"), T0);
    assert_int_equal(first_time("seconds since 1980-01-06 00:00:00 UTC"), 315964830);
    make_time("minutes since 2018-08-24 18:00", "julian"); /* of one mind with ours, these years */
    gen_radar_sequence *s = read_with(NULL);
    assert_int_equal(s->time[0], T0 + 1800);
    gen_radar_free(&s);
    make_time("days since 1800-01-01", "julian");
    expect_sentence(NULL, "'time:calendar' is 'julian', expected standard");
    static const char *const bad[] = { "minutes since 2018-08-24 18:00 +25:00",
                                       "minutes since 2018-08-24 18:00 +5:99",
                                       "minutes since 2018-08-24 18:00 +",
                                       "minutes since 2018-08-24 18:00 CET" };
    for (int i = 0; i < GEN_LEN(bad); i++) {
        int64_t t;
        assert_int_equal(gen_time_reference(strstr(bad[i], "since ") + 6, &t), GEN_EDATA);
    }
}

/* (member,time,level,y,x), all but y and x of size 1, and a variable of the time that is not called
 * like its dimension. */
static void dimensions_of_one_are_passed_over(void **state)
{
    (void)state;
    int dims[5];
    for (int members = 1; members < 3; members++) {
        begin();
        dims[0] = dim("member", (size_t)members);
        dims[1] = dim("t", 1);
        dims[2] = dim("level", 1);
        axes(dims + 3, "m");
        int time =
            var("when", NC_DOUBLE, 1, &dims[1], TEXTS("units", "minutes since 2018-08-24 18:00"));
        int v = var("rain", NC_DOUBLE, 5, dims, TEXTS("units", "mm/h"));
        values(time, (double[]){ 10 });
        values(v, (double[]){ 1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6 });
        end();
        if (members == 2) {
            expect_sentence(NULL, "holds 2 members of an ensemble, expected one");
            continue;
        }
        gen_radar_sequence *s = read_with(NULL);
        assert_int_equal(s->time[0], T0 + 600);
        expect_rain(s, six, 0);
        gen_radar_free(&s);
    }
}

/* ---- axes and projections ---------------------------------------------------------------- */

/* (time, lon, lat), lat from the south, lon from the east. */
static void axes_may_come_in_any_order(void **state)
{
    (void)state;
    int dims[3];
    begin();
    dims[0] = dim("time", 1);
    dims[1] = dim("lon", 3);
    dims[2] = dim("lat", 2);
    values(var("lon", NC_DOUBLE, 1, &dims[1], TEXTS("units", "degrees_east")),
           (double[]){ 7, 6, 5 });
    values(var("lat", NC_DOUBLE, 1, &dims[2], TEXTS("units", "degrees_north")),
           (double[]){ 50, 51 });
    values(var("time", NC_DOUBLE, 1, dims, TEXTS("units", "minutes since 2018-08-24 18:00")),
           (double[]){ 0 });
    /* rain is 10 for each degree north of 50, and the longitude */
    values(var("rain", NC_DOUBLE, 3, dims, TEXTS("units", "mm/h")),
           (double[]){ 7, 17, 6, 16, 5, 15 });
    end();
    gen_radar_sequence *s = read_with(NULL);
    assert_true(s->grid.degrees && s->grid.height == 2 && s->grid.width == 3);
    assert_true(s->grid.x[0] == 5 && s->grid.x[2] == 7 && s->grid.y[0] == 51);
    expect_rain(s, (double[]){ 15, 16, 17, 5, 6, 7 }, 0);
    gen_radar_free(&s);
}

static void mappings_are_found(void **state)
{
    (void)state;
    for (int named = 0; named < 2; named++) {
        int dims[2];
        double t = 3;
        begin();
        axes(dims, "radian");
        int crs = var("geos", NC_INT, 0, NULL, TEXTS("grid_mapping_name", "geostationary"));
        number(crs, "perspective_point_height", 35785831);
        number(crs, "longitude_of_projection_origin", 9.5);
        values(var("time", NC_DOUBLE, 0, NULL, TEXTS("units", "minutes since 2018-08-24 18:00")),
               &t);
        values(var("rain", NC_FLOAT, 2, dims,
                   named ? TEXTS("units", "mm/h", "grid_mapping", "geos: x y")
                         : TEXTS("units", "mm/h")),
               six);
        end();
        gen_radar_sequence *s = read_with(NULL);
        assert_string_equal(s->grid.mapping_name, "geostationary");
        assert_true(s->grid.x[0] == 5 * 35785831.0 && s->grid.y[1] == 35785831.0);
        assert_non_null(strstr(s->grid.proj4, "+proj=geos"));
        assert_non_null(strstr(s->grid.proj4, "+lon_0=9.5"));
        gen_radar_free(&s);
    }
}

/* A mapping that nobody knows is carried, and said once. */
static void strange_mappings_are_carried(void **state)
{
    (void)state;
    int dims[2];
    double t = 3;
    begin();
    axes(dims, "m");
    var("crs", NC_INT, 0, NULL, TEXTS("grid_mapping_name", "cubist", "note", "1911"));
    values(var("time", NC_DOUBLE, 0, NULL, TEXTS("units", "minutes since 2018-08-24 18:00")), &t);
    values(var("rain", NC_FLOAT, 2, dims, TEXTS("units", "mm/h", "grid_mapping", "crs")), six);
    end();
    gen_radar_sequence *s = read_with(NULL);
    assert_string_equal(s->grid.mapping_name, "cubist");
    assert_null(s->grid.proj4);
    assert_non_null(strstr(s->grid.attributes, "\"note\":\"1911\""));
    gen_radar_free(&s);
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
        cmocka_unit_test(units_are_parsed),
        cmocka_unit_test(a_field_with_two_times),
        cmocka_unit_test(depths_need_an_interval),
        cmocka_unit_test(reflectivity_becomes_rain),
        cmocka_unit_test(words_decide_where_units_do_not),
        cmocka_unit_test(variables_are_chosen_by_name),
        cmocka_unit_test(other_zones_are_understood),
        cmocka_unit_test(dimensions_of_one_are_passed_over),
        cmocka_unit_test(axes_may_come_in_any_order),
        cmocka_unit_test(mappings_are_found),
        cmocka_unit_test(strange_mappings_are_carried),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
