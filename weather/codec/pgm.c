/* SPDX-License-Identifier: Apache-2.0
 *
 * Reader of portable graymaps (PGM) that hold a radar composite, as the Finnish Meteorological
 * Institute writes them.
 *
 * The format (netpbm's P5)
 *   P5, then comments and three numbers in text: columns, rows, the largest value; one blank; the
 *   cells, row 0 north, a byte each, or two, big-endian, when the largest value is above 255.
 *   The largest value marks cells without data, 0 cells where nothing was detected.
 *
 * What FMI says in comments ("# key words")
 *   obstime 201609281445                 UTC
 *   param CorrectedReflectivity          dBZ = value / 2 - 32, of one byte
 *   type stereographic, centrallongitude 25, centrallatitude 90, truelatitude 60
 *   bottomleft 18.6 57.93, topright ...  longitude, latitude of the outer corners
 * The earth is FMI's sphere of 6371.288 km, and Z = 223 R^1.53, which no comment says. Of a graymap
 * with another param, or none, the numbers are given as they are.
 */
#include <stdio.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "libgen/base/options.h"
#include "libgen/model/tensor_file.h"
#include "weather/codec/raster.h"
#include "weather/projection.h"

#define EARTH_RADIUS "6371288"
#define MAX_LINE 256 /* of a comment that we know */

enum { PARAM, TIME, TYPE, LONGITUDE, LATITUDE, TRUE_LATITUDE, BOTTOM_LEFT, TOP_RIGHT, KEYS };
static const char *const keys[KEYS] = {
    "param",           "obstime",      "type",       "centrallongitude",
    "centrallatitude", "truelatitude", "bottomleft", "topright"
};

typedef struct pgm_state {
    const unsigned char *cells;
    bool wide;            /* two bytes a cell */
    int64_t most;         /* the largest value */
    float value[65536];   /* of each number of a cell */
    char said[KEYS][128]; /* words behind each key; "" = not there */
} pgm_state;

/* ---- the header ------------------------------------------------------------------------------ */

static void take_comment(pgm_state *k, const char *line, size_t n)
{
    char text[MAX_LINE];
    if (n >= sizeof text)
        return;
    memcpy(text, line, n);
    text[n] = 0;
    char *key = text + strspn(text, "# \t\r");
    char *end = key + strcspn(key, " \t\r");
    char *words = end + strspn(end, " \t\r");
    *end = 0;
    words[strcspn(words, "\r")] = 0;
    for (int i = 0; i < KEYS; i++)
        if (strcmp(key, keys[i]) == 0)
            snprintf(k->said[i], sizeof k->said[i], "%s", words);
}

/* The next number of the header; *at is left behind it. */
static gen_status header_number(gen_radar_file *f, uint64_t *at, const char *what, int64_t *out)
{
    pgm_state *k = f->state;
    const char *p = (const char *)f->bytes;
    char text[24];
    int n = 0;
    while (*at < f->size && strchr(" \t\r\n#", p[*at]) && p[*at]) {
        if (p[*at] == '#') {
            const char *end = memchr(p + *at, '\n', f->size - *at);
            uint64_t next = end ? (uint64_t)(end - p) : f->size;
            take_comment(k, p + *at, next - *at);
            *at = next;
        } else {
            (*at)++;
        }
    }
    while (*at < f->size && n < (int)sizeof text - 1 && p[*at] > ' ' && p[*at] < 127)
        text[n++] = p[(*at)++];
    text[n] = 0;
    if (gen_parse_int(text, what, 1, 65535, out) != GEN_OK)
        return gen_fail(GEN_EDATA, "'%s': %s of the graymap is '%s', expected 1 to 65535", f->path,
                        what, text);
    return GEN_OK;
}

static gen_status read_header(gen_radar_file *f)
{
    pgm_state *k = f->state;
    uint64_t at = 2;
    int64_t rows, columns;
    GEN_TRY(header_number(f, &at, "the width", &columns));
    GEN_TRY(header_number(f, &at, "the height", &rows));
    GEN_TRY(header_number(f, &at, "the largest value", &k->most));
    if (at >= f->size)
        return gen_fail(GEN_EDATA, "'%s' is cut: it ends with its header", f->path);
    at++; /* one blank */
    k->wide = k->most > 255;
    k->cells = f->bytes + at;
    return gen_raster_size(f, rows, columns, k->wide ? 2 : 1, f->size - at);
}

/* ---- what the comments mean ------------------------------------------------------------------ */

static gen_status take_values(gen_radar_file *f)
{
    pgm_state *k = f->state;
    char name[GEN_QUOTE];
    bool dbz = strstr(k->said[PARAM], "Reflectivity") && !k->wide;
    for (int i = 0; i < GEN_LEN(k->value); i++)
        k->value[i] = i >= k->most ? NAN
                      : !dbz       ? (float)i
                      : i == 0     ? GEN_UNDETECTED
                                   : 0.5f * (float)i - 32;
    f->quantity = dbz ? GEN_RADAR_DBZ : GEN_RADAR_OTHER;
    GEN_TRY(gen_strdup(&f->name, *k->said[PARAM] ? gen_quote(k->said[PARAM], name) : "graymap"));
    if (!dbz)
        return GEN_OK;
    f->zr_a = 223;
    f->zr_b = 1.53;
    return gen_strdup(&f->units, "dBZ");
}

static gen_status take_time(gen_radar_file *f)
{
    const pgm_state *k = f->state;
    const char *text = k->said[TIME];
    int64_t part[6] = { 0 };
    GEN_TRY(GEN_ALLOC(&f->time, 1, "time"));
    f->frames = 1;
    f->time[0] = GEN_TIME_UNKNOWN;
    if (!*text)
        return GEN_OK;
    bool fine = strlen(text) == 12 && gen_raster_digits(text, 4, &part[0]);
    for (int i = 1; i < 5; i++)
        fine = fine && gen_raster_digits(text + 2 + 2 * i, 2, &part[i]);
    if (!fine)
        return gen_fail(GEN_EDATA, "'%s': obstime is '%.20s', expected YYYYMMDDhhmm", f->path,
                        text);
    return gen_raster_time(f, "obstime", part, &f->time[0]);
}

static gen_status number_of(const gen_radar_file *f, int key, double *out)
{
    const pgm_state *k = f->state;
    return gen_raster_number(f, keys[key], k->said[key], out);
}

/* x and y of "18.600000 57.930000". */
static gen_status corner(const gen_radar_file *f, const gen_projection *p, int key, double *x,
                         double *y)
{
    const pgm_state *k = f->state;
    char text[sizeof k->said[0]];
    double lon, lat;
    snprintf(text, sizeof text, "%s", k->said[key]);
    char *second = text + strcspn(text, " \t");
    if (*second)
        *second++ = 0;
    second += strspn(second, " \t");
    GEN_TRY(gen_raster_number(f, keys[key], text, &lon));
    GEN_TRY(gen_raster_number(f, keys[key], second, &lat));
    if (!(lat >= -90 && lat <= 90 && lon >= -360 && lon <= 360) ||
        !gen_projection_forward(p, lat, lon, x, y))
        return gen_fail(GEN_EDATA, "'%s': %s is %g %g, expected longitude and latitude", f->path,
                        keys[key], lon, lat);
    return GEN_OK;
}

static gen_status take_projection(gen_radar_file *f)
{
    double lon, lat, lat_ts;
    char text[200], a[GEN_REAL_TEXT], b[GEN_REAL_TEXT], c[GEN_REAL_TEXT];
    GEN_TRY(number_of(f, LONGITUDE, &lon));
    GEN_TRY(number_of(f, LATITUDE, &lat));
    GEN_TRY(number_of(f, TRUE_LATITUDE, &lat_ts));
    snprintf(text, sizeof text,
             "+proj=stere +lat_0=%s +lon_0=%s +lat_ts=%s +R=" EARTH_RADIUS " +units=m +no_defs",
             gen_real_text(lat, a), gen_real_text(lon, b), gen_real_text(lat_ts, c));
    return gen_strdup(&f->grid.proj4, text);
}

static gen_status take_grid(gen_radar_file *f)
{
    const pgm_state *k = f->state;
    gen_projection *p = NULL;
    gen_raster_edges e = { 0 };
    gen_status status;
    if (strcmp(k->said[TYPE], "stereographic") != 0)
        return gen_raster_axes(f, NULL);
    GEN_TRY(take_projection(f));
    const gen_radar_grid place = { .proj4 = f->grid.proj4 }; /* without axes yet */
    status = gen_projection_open(&p, &place);
    if (status != GEN_OK)
        return gen_fail_in(status, "'%s'", f->path);
    GEN_GOTO(corner(f, p, BOTTOM_LEFT, &e.west, &e.south));
    GEN_GOTO(corner(f, p, TOP_RIGHT, &e.east, &e.north));
    status = gen_raster_axes(f, &e);
done:
    gen_projection_free(&p);
    return status;
}

/* ---- the format ------------------------------------------------------------------------------ */

static bool recognises(const unsigned char *head, size_t n)
{
    return n >= 3 && memcmp(head, "P5", 2) == 0 && strchr(" \t\r\n#", head[2]) && head[2];
}

static gen_status pgm_open(gen_radar_file *f)
{
    pgm_state *k = NULL;
    GEN_TRY(GEN_ALLOC(&k, 1, "graymap"));
    f->state = k;
    GEN_TRY(read_header(f));
    GEN_TRY(take_values(f));
    GEN_TRY(take_time(f));
    return take_grid(f);
}

static gen_status pgm_read(gen_radar_file *f, int64_t frame, float *values)
{
    const pgm_state *k = f->state;
    int64_t n = f->grid.height * f->grid.width;
    (void)frame;
    for (int64_t i = 0; i < n && !k->wide; i++)
        values[i] = k->value[k->cells[i]];
    for (int64_t i = 0; i < n && k->wide; i++)
        values[i] = k->value[gen_big16(k->cells + 2 * i)];
    return GEN_OK;
}

static void pgm_close(gen_radar_file *f)
{
    gen_free(f->state);
    f->state = NULL;
}

const gen_radar_format gen_radar_pgm = { .name = "PGM",
                                         .recognises = recognises,
                                         .open = pgm_open,
                                         .read = pgm_read,
                                         .close = pgm_close,
                                         .in_memory = true };
