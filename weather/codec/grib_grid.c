/* SPDX-License-Identifier: Apache-2.0
 *
 * Section 3 of GRIB 2: where the cells lie. Latitude-longitude (template 3.0), Mercator (3.10),
 * polar stereographic (3.20), Lambert conformal (3.30) and Lambert azimuthal equal-area (3.140)
 * grids. The first point is given in degrees; the rest follows from the cell size, in the
 * projection.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "libgen/base/options.h"
#include "weather/codec/grib.h"
#include "weather/projection.h"

#define MAX_SIDE 65536
#define MAX_TEXT 320
#define MAX_CELLS ((int64_t)1 << 27)
#define MISSING 4294967295.0 /* four octets of ones */
#define MICRO 1e6            /* in a degree */
#define MILLI 1e3            /* in a metre */

/* Octets of what all templates have, each at a place of its own. */
typedef struct layout {
    int template, length;
    int latitude, longitude, dx, dy, scan;
} layout;

static const layout layouts[] = {
    { 0, 72, 47, 51, 64, 68, 72 },  { 10, 72, 39, 43, 65, 69, 60 },  { 20, 65, 39, 43, 56, 60, 65 },
    { 30, 81, 39, 43, 56, 60, 65 }, { 140, 64, 39, 43, 56, 60, 64 },
};

typedef struct shape {
    const gen_radar_file *file;
    const grib_field *field;
    const grib_section *s;
    const layout *at;
} shape;

static gen_status wrong(const shape *k, const char *what, double found, const char *expected)
{
    return gen_fail(GEN_EDATA, "'%s': message %d: %s is %.10g, expected %s", k->file->path,
                    k->field->message, what, found, expected);
}

static double degrees(const shape *k, int octet)
{
    return (double)gen_grib_signed(k->s, octet, 4) / MICRO;
}

/* ---- the earth ----------------------------------------------------------------------------- */

/* A number with a decimal scale factor before it. */
static double scaled(const shape *k, int octet)
{
    return (double)gen_grib_unsigned(k->s, octet + 1, 4) *
           pow(10, -(double)gen_grib_signed(k->s, octet, 1));
}

/* Code table 3.2 as PROJ has it. */
static gen_status earth(const shape *k, char text[80])
{
    int code = (int)gen_grib_unsigned(k->s, 15, 1);
    double a = 0, b = 0;
    switch (code) {
    case 0:
        a = b = 6367470;
        break;
    case 1:
        a = b = scaled(k, 16);
        break;
    case 2: /* IAU 1965 */
        a = 6378160;
        b = 6356775;
        break;
    case 3:
        a = scaled(k, 21) * 1000;
        b = scaled(k, 26) * 1000;
        break;
    case 4:
        snprintf(text, 80, "+ellps=GRS80");
        return GEN_OK;
    case 5:
        snprintf(text, 80, "+ellps=WGS84");
        return GEN_OK;
    case 6:
        a = b = 6371229;
        break;
    case 7:
        a = scaled(k, 21);
        b = scaled(k, 26);
        break;
    case 8:
        a = b = 6371200;
        break;
    case 9: /* Airy 1830 */
        snprintf(text, 80, "+ellps=airy");
        return GEN_OK;
    default:
        return wrong(k, "the shape of the earth", code, "0 to 9");
    }
    if (!(a > 6e6 && a < 7e6) || !(b > 6e6 && b < 7e6))
        return wrong(k, "the radius of the earth", a > 6e6 && a < 7e6 ? b : a, "about 6371000");
    char ra[GEN_REAL_TEXT], rb[GEN_REAL_TEXT];
    gen_real_text(a, ra);
    gen_real_text(b, rb);
    if (a == b)
        snprintf(text, 80, "+R=%s", ra);
    else
        snprintf(text, 80, "+a=%s +b=%s", ra, rb);
    return GEN_OK;
}

/* ---- axes ---------------------------------------------------------------------------------- */

static gen_status sizes(const shape *k, gen_radar_grid *grid)
{
    uint64_t points = gen_grib_unsigned(k->s, 7, 4);
    uint64_t width = gen_grib_unsigned(k->s, 31, 4), height = gen_grib_unsigned(k->s, 35, 4);
    if (gen_grib_unsigned(k->s, 11, 1) != 0)
        return wrong(k, "the size of the list of row lengths",
                     (double)gen_grib_unsigned(k->s, 11, 1), "0, a regular grid");
    if (width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE ||
        (int64_t)(width * height) > MAX_CELLS)
        return gen_fail(GEN_EDATA, "'%s': message %d has a grid of %llu x %llu cells",
                        k->file->path, k->field->message, (unsigned long long)height,
                        (unsigned long long)width);
    if (points != width * height)
        return gen_fail(GEN_EDATA, "'%s': message %d has %llu points, but a grid of %llu x %llu",
                        k->file->path, k->field->message, (unsigned long long)points,
                        (unsigned long long)height, (unsigned long long)width);
    grid->width = (int64_t)width;
    grid->height = (int64_t)height;
    GEN_TRY(GEN_ALLOC(&grid->x, grid->width, "grid: x"));
    return GEN_ALLOC(&grid->y, grid->height, "grid: y");
}

static gen_status scanning(const shape *k, grib_scan *scan)
{
    int mode = (int)gen_grib_unsigned(k->s, k->at->scan, 1);
    if (mode & 0x3f)
        return wrong(k, "the scanning mode", mode, "rows, one after another and all alike");
    scan->west = (mode & 0x80) != 0;
    scan->north = (mode & 0x40) != 0;
    return GEN_OK;
}

/* n places from `first`, in file order, as an axis that rises (x) or falls (y). */
static void fill(double *axis, int64_t n, double first, double step, bool reversed)
{
    for (int64_t i = 0; i < n; i++)
        axis[reversed ? n - 1 - i : i] = first + (double)i * step;
}

/* Step of a latitude or longitude axis: the increment that the file gives, where it leads to the
 * last point (MRMS rounds that), else from the first and the last. */
static double angular_step(double first, double last, int64_t n, double given, int sign)
{
    if (n < 2)
        return sign * (given > 0 ? given : 1);
    double whole = last - first, by_given = sign * given * (double)(n - 1);
    return given > 0 && fabs(by_given - whole) < given / 2 ? sign * given : whole / (double)(n - 1);
}

static gen_status latitude_longitude(const shape *k, gen_radar_grid *grid, grib_scan scan)
{
    double basic = (double)gen_grib_unsigned(k->s, 39, 4);
    double parts = (double)gen_grib_unsigned(k->s, 43, 4), units = MICRO; /* in a degree */
    char ellipsoid[80], text[120];
    if (basic > 0 && basic < MISSING && parts > 0 && parts < MISSING)
        units = parts / basic;
    double lat = (double)gen_grib_signed(k->s, 47, 4) / units;
    double lon = (double)gen_grib_signed(k->s, 51, 4) / units;
    double lat_last = (double)gen_grib_signed(k->s, 56, 4) / units;
    double lon_last = (double)gen_grib_signed(k->s, 60, 4) / units;
    int flags = (int)gen_grib_unsigned(k->s, 55, 1), turn = scan.west ? -1 : 1;
    double dx = flags & 0x20 ? (double)gen_grib_unsigned(k->s, 64, 4) / units : 0;
    double dy = flags & 0x10 ? (double)gen_grib_unsigned(k->s, 68, 4) / units : 0;
    while (grid->width > 1 && (lon_last - lon) * turn <= 0 && fabs(lon_last) < 1080)
        lon_last += 360 * turn; /* across the meridian where longitudes begin anew */
    dx = angular_step(lon, lon_last, grid->width, dx, turn);
    dy = angular_step(lat, lat_last, grid->height, dy, scan.north ? 1 : -1);
    double top = lat + dy * (double)(grid->height - 1), span = dx * (double)(grid->width - 1);
    if (!(fabs(lat) <= 90.0001) || !(fabs(top) <= 90.0001))
        return wrong(k, "a latitude", fabs(lat) <= 90.0001 ? top : lat, "-90 to 90");
    if (!(fabs(lon) <= 720) || !(fabs(span) <= 361))
        return wrong(k, "a longitude", fabs(lon) <= 720 ? lon + span : lon, "a turn at most");
    if (!(dx * turn > 0) || !(scan.north ? dy > 0 : dy < 0))
        return wrong(k, "the cell size", dx * turn > 0 ? dy : dx,
                     "one that fits the scanning mode");
    lon -= 360 * floor((lon + span / 2 + 180) / 360); /* the middle within -180 to 180 */
    fill(grid->x, grid->width, lon, dx, scan.west);
    fill(grid->y, grid->height, lat, dy, scan.north);
    grid->degrees = true;
    GEN_TRY(earth(k, ellipsoid));
    snprintf(text, sizeof text, "+proj=longlat %s +no_defs", ellipsoid);
    return gen_strdup(&grid->proj4, text);
}

static gen_status projection_text(const shape *k, char out[MAX_TEXT])
{
    char e[80], lat[GEN_REAL_TEXT], lon[GEN_REAL_TEXT], a[GEN_REAL_TEXT], b[GEN_REAL_TEXT];
    bool mercator = k->at->template == 10, equal_area = k->at->template == 140;
    GEN_TRY(earth(k, e));
    gen_real_text(degrees(k, equal_area ? 47 : 48), lat); /* LaD: true scale, or the centre */
    gen_real_text(degrees(k, mercator ? 43 : equal_area ? 51 : 52), lon);
    switch (k->at->template) {
    case 10:
        snprintf(out, MAX_TEXT, "+proj=merc +lat_ts=%s +lon_0=%s", lat, lon);
        break;
    case 20:
        snprintf(out, MAX_TEXT, "+proj=stere +lat_0=%d +lat_ts=%s +lon_0=%s",
                 gen_grib_unsigned(k->s, 64, 1) & 0x80 ? -90 : 90, lat, lon);
        break;
    case 30:
        snprintf(out, MAX_TEXT, "+proj=lcc +lat_0=%s +lat_1=%s +lat_2=%s +lon_0=%s", lat,
                 gen_real_text(degrees(k, 66), a), gen_real_text(degrees(k, 70), b), lon);
        break;
    default:
        snprintf(out, MAX_TEXT, "+proj=laea +lat_0=%s +lon_0=%s", lat, lon);
    }
    size_t n = strlen(out);
    snprintf(out + n, MAX_TEXT - n, " %s +units=m +no_defs", e);
    return GEN_OK;
}

static gen_status projected(const shape *k, gen_radar_grid *grid, grib_scan scan)
{
    char text[MAX_TEXT];
    double x, y, zero = 0;
    gen_projection *p = NULL;
    double dx = (double)gen_grib_unsigned(k->s, k->at->dx, 4) / MILLI;
    double dy = (double)gen_grib_unsigned(k->s, k->at->dy, 4) / MILLI;
    GEN_TRY(projection_text(k, text));
    gen_radar_grid one = { .height = 1, .width = 1, .y = &zero, .x = &zero, .proj4 = text };
    gen_status status = gen_projection_open(&p, &one);
    if (status != GEN_OK)
        return gen_fail_in(status, "'%s': message %d", k->file->path, k->field->message);
    bool fine = gen_projection_forward(p, degrees(k, k->at->latitude), degrees(k, k->at->longitude),
                                       &x, &y);
    gen_projection_free(&p);
    if (!fine)
        return wrong(k, "the latitude of the first point", degrees(k, k->at->latitude),
                     "one that the projection has");
    if (!(dx > 0) || !(dy > 0))
        return wrong(k, "the cell size in metres", dx > 0 ? dy : dx, "more than 0");
    fill(grid->x, grid->width, x, scan.west ? -dx : dx, scan.west);
    fill(grid->y, grid->height, y, scan.north ? dy : -dy, scan.north);
    return gen_strdup(&grid->proj4, text);
}

gen_status gen_grib_grid(const gen_radar_file *f, const grib_field *field, gen_radar_grid *grid,
                         grib_scan *scan)
{
    shape k = { f, field, &field->section[3], NULL };
    GEN_TRY(gen_grib_need(f, field, 3, 14));
    int template = (int)gen_grib_unsigned(k.s, 13, 2);
    for (int i = 0; i < GEN_LEN(layouts); i++)
        if (layouts[i].template == template)
            k.at = &layouts[i];
    if (!k.at)
        return wrong(&k, "the grid definition template", template, "0, 10, 20, 30 or 140");
    GEN_TRY(gen_grib_need(f, field, 3, (uint64_t)k.at->length));
    GEN_TRY(sizes(&k, grid));
    GEN_TRY(scanning(&k, scan));
    return template == 0 ? latitude_longitude(&k, grid, *scan) : projected(&k, grid, *scan);
}
