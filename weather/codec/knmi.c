/* SPDX-License-Identifier: Apache-2.0
 *
 * Reader of KNMI's HDF5 radar maps (KNMI HDF5 Data Format Specification 3.5, IR-2003-05).
 *
 * What is read
 *   values      imageN/image_data; `variable` names the image ("image2"), else image1.
 *   packing     imageN/calibration: calibration_formulas "GEO=0.01*PV+0.0"; missing are
 *               calibration_missing_data and calibration_out_of_image. Of a reflectivity the packed
 *               value 0 is a cell where nothing was detected.
 *   units       in brackets in image_geo_parameter: "PRECIP_[MM]", "REFLECTIVITY_[DBZ]"
 *   time        overview product_datetime_end; the interval of a depth begins at
 *               product_datetime_start
 *   y, x        geographic geo_column_offset, geo_row_offset (of the upper left corner, in cells
 *               from the origin of the projection), geo_pixel_size_x, geo_pixel_size_y (kilometres)
 *               in map_projection projection_proj4_params, whose axes are kilometres too.
 *               geo_product_corners are rounded; they must agree within a few cells.
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "weather/codec/codec.h"
#include "weather/codec/hdf5.h"
#include "weather/codec/proj_repair.h"
#include "weather/projection.h"

#define CORNERS_OFF 3 /* cells that the corners may be away: they are rounded */

typedef struct knmi_state {
    gen_hdf5 h;
    char image[16];
    gen_hdf5_packing packing;
} knmi_state;

/* ---- values ------------------------------------------------------------------------------ */

/* "GEO=0.500000*PV+-32.0", blanks anywhere but in numbers. */
static bool parse_formula(const char *formula, double *gain, double *offset)
{
    char text[GEN_HDF5_TEXT], *end;
    size_t n = 0;
    for (const char *c = formula; *c; c++)
        if (!isspace((unsigned char)*c))
            text[n++] = *c;
    text[n] = 0;
    if (strncmp(text, "GEO=", 4) != 0)
        return false;
    *gain = strtod(text + 4, &end);
    if (end == text + 4 || strncmp(end, "*PV", 3) != 0 || (end[3] != '+' && end[3] != '-'))
        return false;
    const char *second = end + 3 + (end[3] == '+');
    *offset = strtod(second, &end);
    return end != second && *end == 0 && isfinite(*gain) && *gain != 0 && isfinite(*offset);
}

static gen_status read_packing(knmi_state *k, bool reflectivity)
{
    const gen_hdf5 *h = &k->h;
    gen_hdf5_packing *p = &k->packing;
    char object[40], formula[GEN_HDF5_TEXT];
    snprintf(object, sizeof object, "%s/calibration", k->image);
    GEN_TRY(gen_hdf5_text(h, object, "calibration_formulas", formula));
    if (!parse_formula(formula, &p->gain, &p->offset))
        return gen_fail(GEN_EDATA,
                        "'%s': attribute 'calibration_formulas' of '/%s' is '%.60s', expected as "
                        "'GEO=0.01*PV+0.0'",
                        h->path, object, formula);
    GEN_TRY(gen_hdf5_code(h, object, "calibration_missing_data", &p->missing[0]));
    GEN_TRY(gen_hdf5_code(h, object, "calibration_out_of_image", &p->missing[1]));
    p->undetected = reflectivity ? 0 : NAN;
    return GEN_OK;
}

static const struct {
    const char *brackets;
    gen_radar_quantity quantity;
    const char *units;
} known[] = {
    { "[MM]", GEN_RADAR_DEPTH, "mm" },
    { "[MM/H]", GEN_RADAR_RATE, "mm/h" },
    { "[DBZ]", GEN_RADAR_DBZ, "dBZ" },
};

static gen_status read_quantity(gen_radar_file *f)
{
    knmi_state *k = f->state;
    char name[GEN_HDF5_TEXT];
    GEN_TRY(gen_hdf5_text(&k->h, k->image, "image_geo_parameter", name));
    for (char *c = name; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    for (int i = 0; i < GEN_LEN(known); i++)
        if (strstr(name, known[i].brackets)) {
            f->quantity = known[i].quantity;
            GEN_TRY(gen_strdup(&f->units, known[i].units));
        }
    return name[0] ? gen_strdup(&f->name, name) : GEN_OK;
}

static gen_status choose_image(gen_radar_file *f)
{
    knmi_state *k = f->state;
    const char *wanted = f->options->variable ? f->options->variable : "image1";
    if (strncmp(wanted, "image", 5) != 0 || strlen(wanted) >= sizeof k->image ||
        strchr(wanted, '/') || !gen_hdf5_has(&k->h, wanted))
        return gen_fail(GEN_EDATA, "'%s' has no group '/%.40s', expected image1, image2 ...",
                        f->path, wanted);
    snprintf(k->image, sizeof k->image, "%s", wanted);
    return GEN_OK;
}

/* ---- time -------------------------------------------------------------------------------- */

/* "26-AUG-2010;00:05:00.000"; GEN_TIME_UNKNOWN when there is none. */
static gen_status read_time(const gen_hdf5 *h, const char *name, int64_t *out)
{
    static const char months[] = "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC";
    char text[GEN_HDF5_TEXT], month[4] = "", iso[64];
    int day, year, hour, minute, second, used = 0;
    *out = GEN_TIME_UNKNOWN;
    GEN_TRY(gen_hdf5_text(h, "overview", name, text));
    if (!text[0])
        return GEN_OK;
    if (sscanf(text, "%2d-%3[A-Za-z]-%4d;%2d:%2d:%2d%n", &day, month, &year, &hour, &minute,
               &second, &used) == 6 &&
        strspn(text + used, ".0") == strlen(text + used) && strlen(month) == 3) {
        for (int i = 0; i < 3; i++)
            month[i] = (char)toupper((unsigned char)month[i]);
        const char *at = strstr(months, month);
        snprintf(iso, sizeof iso, "%04d-%02d-%02dT%02d:%02d:%02dZ", year,
                 at && (at - months) % 3 == 0 ? (int)(at - months) / 3 + 1 : 0, day, hour, minute,
                 second);
        if (gen_time_parse(iso, out) == GEN_OK)
            return GEN_OK;
    }
    return gen_fail(GEN_EDATA,
                    "'%s': attribute '%s' of '/overview' is '%.40s', expected as "
                    "'26-AUG-2010;00:05:00.000'",
                    h->path, name, text);
}

static gen_status read_times(gen_radar_file *f)
{
    const knmi_state *k = f->state;
    int64_t start;
    GEN_TRY(GEN_ALLOC(&f->time, 1, "times"));
    f->frames = 1;
    GEN_TRY(read_time(&k->h, "product_datetime_start", &start));
    GEN_TRY(read_time(&k->h, "product_datetime_end", &f->time[0]));
    if (start != GEN_TIME_UNKNOWN && f->time[0] > start)
        f->interval = (double)(f->time[0] - start);
    return GEN_OK;
}

/* ---- place ------------------------------------------------------------------------------- */

static gen_status required(const gen_hdf5 *h, const char *name, double *out)
{
    GEN_TRY(gen_hdf5_number(h, "geographic", name, NAN, out));
    if (isnan(*out))
        return gen_fail(GEN_EDATA, "'%s': '/geographic' has no attribute '%s'", h->path, name);
    return GEN_OK;
}

/* Kilometres, unless the file says metres. */
static gen_status pixel_unit(const gen_hdf5 *h, double *metres)
{
    char unit[GEN_HDF5_TEXT];
    GEN_TRY(gen_hdf5_text(h, "geographic", "geo_dim_pixel", unit));
    *metres = strncmp(unit, "M,", 2) == 0 ? 1 : 1000;
    if (unit[0] && *metres != 1 && strncmp(unit, "KM,", 3) != 0)
        return gen_fail(GEN_EDATA,
                        "'%s': attribute 'geo_dim_pixel' of '/geographic' is '%.20s', expected "
                        "KM,KM or M,M",
                        h->path, unit);
    return GEN_OK;
}

/* Centres of n cells behind `offset` cells. */
static gen_status place_axis(const gen_radar_file *f, const char *offset_name,
                             const char *size_name, int sign, int64_t n, double *out)
{
    const knmi_state *k = f->state;
    double offset, size, metres;
    GEN_TRY(required(&k->h, offset_name, &offset));
    GEN_TRY(required(&k->h, size_name, &size));
    GEN_TRY(pixel_unit(&k->h, &metres));
    size *= metres;
    if (!(sign * size > 0))
        return gen_fail(GEN_EDATA,
                        "'%s': attribute '%s' of '/geographic' is %g, expected a number %s 0",
                        f->path, size_name, size / metres, sign > 0 ? "above" : "below");
    for (int64_t i = 0; i < n; i++)
        out[i] = (offset + (double)i + 0.5) * size;
    return GEN_OK;
}

/* geo_product_corners: longitude, latitude of lower left, upper left, upper right, lower right. */
static gen_status check_corners(const gen_radar_file *f)
{
    const knmi_state *k = f->state;
    const gen_radar_grid *g = &f->grid;
    gen_projection *p = NULL;
    double c[8];
    int n = 8;
    GEN_TRY(gen_hdf5_numbers(&k->h, "geographic", "geo_product_corners", c, &n));
    if (n < 8 || g->width < 2 || g->height < 2)
        return GEN_OK;
    gen_status status = gen_projection_open(&p, g);
    if (status != GEN_OK)
        return gen_fail_in(status, "'%s': attribute 'projection_proj4_params'", f->path);
    double cell_x = g->x[1] - g->x[0], cell_y = g->y[0] - g->y[1];
    for (int i = 0; i < 4 && status == GEN_OK; i++) {
        double px = 0, py = 0;
        double x = i < 2 ? g->x[0] - cell_x / 2 : g->x[g->width - 1] + cell_x / 2;
        double y = i == 1 || i == 2 ? g->y[0] + cell_y / 2 : g->y[g->height - 1] - cell_y / 2;
        bool there = gen_projection_forward(p, c[2 * i + 1], c[2 * i], &px, &py);
        if (!there || fabs(px - x) > CORNERS_OFF * cell_x || fabs(py - y) > CORNERS_OFF * cell_y)
            status = gen_fail(GEN_EDATA,
                              "'%s': attribute 'geo_product_corners' of '/geographic' has a corner "
                              "at %g E %g N, %.0f m and %.0f m in the projection, expected %.0f m "
                              "and %.0f m",
                              f->path, c[2 * i], c[2 * i + 1], px, py, x, y);
    }
    gen_projection_free(&p);
    return status;
}

static gen_status read_place(gen_radar_file *f)
{
    static const char where[] = "geographic/map_projection";
    knmi_state *k = f->state;
    gen_radar_grid *g = &f->grid;
    char proj[GEN_HDF5_TEXT];
    GEN_TRY(gen_hdf5_text(&k->h, where, "projection_proj4_params", proj));
    if (!proj[0])
        return gen_fail(GEN_EDATA, "'%s': '/%s' has no attribute 'projection_proj4_params'",
                        f->path, where);
    gen_status status = gen_proj_repair(proj, &g->proj4);
    if (status != GEN_OK)
        return gen_fail_in(status, "'%s': attribute 'projection_proj4_params'", f->path);
    GEN_TRY(GEN_ALLOC(&g->x, g->width, "grid: x"));
    GEN_TRY(GEN_ALLOC(&g->y, g->height, "grid: y"));
    GEN_TRY(place_axis(f, "geo_column_offset", "geo_pixel_size_x", 1, g->width, g->x));
    GEN_TRY(place_axis(f, "geo_row_offset", "geo_pixel_size_y", -1, g->height, g->y));
    GEN_TRY(gen_radar_check_axes(f));
    return check_corners(f);
}

static gen_status read_shape(gen_radar_file *f)
{
    knmi_state *k = f->state;
    char path[40];
    gen_radar_grid *g = &f->grid;
    double rows, columns;
    snprintf(path, sizeof path, "%s/image_data", k->image);
    GEN_TRY(gen_hdf5_shape(&k->h, path, &g->height, &g->width));
    GEN_TRY(gen_hdf5_number(&k->h, "geographic", "geo_number_rows", (double)g->height, &rows));
    GEN_TRY(gen_hdf5_number(&k->h, "geographic", "geo_number_columns", (double)g->width, &columns));
    if (rows != (double)g->height || columns != (double)g->width)
        return gen_fail(GEN_EDATA,
                        "'%s': dataset '/%s' is %lld x %lld, but 'geo_number_rows' x "
                        "'geo_number_columns' of '/geographic' %g x %g",
                        f->path, path, (long long)g->height, (long long)g->width, rows, columns);
    return GEN_OK;
}

/* ---- the format -------------------------------------------------------------------------- */

static bool knmi_owns(const char *path)
{
    gen_hdf5 h;
    gen_hdf5_quiet quiet;
    gen_hdf5_enter(&quiet);
    bool owns = gen_hdf5_open(&h, path) == GEN_OK && gen_hdf5_has(&h, "overview") &&
                gen_hdf5_has(&h, "image1/calibration");
    gen_hdf5_close(&h);
    gen_hdf5_leave(&quiet);
    return owns;
}

static gen_status open_entered(gen_radar_file *f)
{
    knmi_state *k = f->state;
    GEN_TRY(gen_hdf5_open(&k->h, f->path));
    GEN_TRY(choose_image(f));
    GEN_TRY(read_quantity(f));
    GEN_TRY(read_packing(k, f->quantity == GEN_RADAR_DBZ));
    GEN_TRY(read_times(f));
    GEN_TRY(read_shape(f));
    return read_place(f);
}

static gen_status knmi_open(gen_radar_file *f)
{
    knmi_state *k = NULL;
    gen_hdf5_quiet quiet;
    GEN_TRY(GEN_ALLOC(&k, 1, "KNMI file"));
    f->state = k;
    gen_hdf5_enter(&quiet);
    gen_status status = open_entered(f);
    gen_hdf5_leave(&quiet);
    return status;
}

static gen_status knmi_read(gen_radar_file *f, int64_t frame, float *values)
{
    const knmi_state *k = f->state;
    char path[40];
    gen_hdf5_quiet quiet;
    (void)frame; /* a file holds one time */
    snprintf(path, sizeof path, "%s/image_data", k->image);
    gen_hdf5_enter(&quiet);
    gen_status status =
        gen_hdf5_read(&k->h, path, &k->packing, f->grid.height, f->grid.width, values);
    gen_hdf5_leave(&quiet);
    return status;
}

static void knmi_close(gen_radar_file *f)
{
    knmi_state *k = f->state;
    gen_hdf5_quiet quiet;
    if (!k)
        return;
    gen_hdf5_enter(&quiet);
    gen_hdf5_close(&k->h);
    gen_hdf5_leave(&quiet);
    gen_free(k);
    f->state = NULL;
}

const gen_radar_format gen_radar_knmi = { .name = "KNMI HDF5",
                                          .recognises = gen_hdf5_recognises,
                                          .owns = knmi_owns,
                                          .open = knmi_open,
                                          .read = knmi_read,
                                          .close = knmi_close,
                                          .risky = true };
