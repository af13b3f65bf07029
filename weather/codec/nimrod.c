/* SPDX-License-Identifier: Apache-2.0
 *
 * Reader of NIMROD files, the binary format of the UK Met Office's radar composites and nowcasts.
 *
 * The format: Fortran records, big-endian (length, bytes, length again), two for each field.
 *   header  512 bytes: 31 int16, 28 float32, 45 float32, 56 characters, 51 int16. Those that are
 *           read have a name in `enum` below, with their byte.
 *   data    rows x columns of float32, int of 1, 2 or 4 bytes, or bytes
 * A value that the header calls missing is missing. Units tell the scale: in "mm/hr*32" the numbers
 * are mm/h times 32; "m/2-25k" is half of the metres less 25000.
 * Times are of validity, UTC. The origin is the centre of the first cell: top left, or bottom left.
 * Grids: the British National Grid (also where its parameters are left out, or in kilometres),
 * other transverse Mercator grids, longitude and latitude.
 *
 * A file may hold several fields. The first is read, and those that differ from it in time only
 * are its further frames; `variable` names another by its title or its number (1 is the first; a
 * number reads that field alone).
 */
#include <stdio.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "libgen/base/options.h"
#include "libgen/model/tensor_file.h"
#include "weather/codec/raster.h"

#define HEADER 512u
#define MAX_FIELDS 100000

/* Where they stand in the header, bytes from 0. */
enum {
    VALID = 0, /* year, month, day, hour, minute, second */
    DATA_TYPE = 22,
    DATA_SIZE = 24,
    GRID_TYPE = 28,
    ROWS = 30,
    COLUMNS = 32,
    FIELD_CODE = 36,
    ORIGIN_CORNER = 46,
    MISSING_INT = 48,
    PERIOD_MINUTES = 50,
    ELLIPSOID = 54,
    MEMBER = 56,
    AVERAGING = 60,
    VERTICAL = 62,
    Y_ORIGIN = 70,
    Y_STEP = 74,
    X_ORIGIN = 78,
    X_STEP = 82,
    MISSING_REAL = 86,
    TRUE_LATITUDE = 106,
    TRUE_LONGITUDE = 110,
    FALSE_EASTING = 114,
    FALSE_NORTHING = 118,
    MERIDIAN_SCALE = 122,
    THRESHOLD = 126,
    UNITS = 354,
    TITLE = 386,
    PERIOD_SECONDS = 510
};
enum { NATIONAL_GRID = 0, LONGITUDE_LATITUDE = 1, TRANSVERSE_MERCATOR = 4 };
enum { REAL = 0, INTEGER = 1, BYTE = 2 };
#define NO_INT (-32767)

typedef struct nimrod_state {
    const unsigned char **header; /* [frames] of the fields that are read; their data follow */
    uint64_t capacity;
    int type, size;       /* of a cell */
    double scale, offset; /* native = number x scale + offset */
    bool south_first;
} nimrod_state;

static int int_at(const unsigned char *header, int at)
{
    return (int16_t)gen_big16(header + at);
}

static double real_at(const unsigned char *header, int at)
{
    uint32_t bits = gen_big32(header + at);
    float v;
    memcpy(&v, &bits, sizeof v);
    return (double)v;
}

/* Not there: the missing value of its kind. */
static bool real_is_missing(const unsigned char *header, int at)
{
    double v = real_at(header, at);
    return !isfinite(v) || v == real_at(header, MISSING_REAL) || v <= -32766;
}

/* Characters of the header without the blanks behind them. */
static void text_at(const unsigned char *header, int at, int n, char *out)
{
    memcpy(out, header + at, (size_t)n);
    while (n > 0 && ((unsigned char)out[n - 1] <= ' ' || (unsigned char)out[n - 1] > 126))
        n--;
    out[n] = 0;
}

/* ---- fields of the file ---------------------------------------------------------------------- */

/* The field at *at: its header, and *at behind its data. */
static gen_status next_field(const gen_radar_file *f, uint64_t *at, int number,
                             const unsigned char **header)
{
    const unsigned char *p = f->bytes + *at;
    uint64_t left = f->size - *at;
    if (left < HEADER + 12)
        return gen_fail(GEN_EDATA, "'%s' is cut: field %d ends in its header", f->path, number);
    if (gen_big32(p) != HEADER || gen_big32(p + 4 + HEADER) != HEADER)
        return gen_fail(GEN_EDATA, "'%s': the header of field %d has %u bytes, expected 512",
                        f->path, number, gen_big32(p));
    uint64_t n = gen_big32(p + 8 + HEADER);
    if (n > left - HEADER - 12 || left - HEADER - 12 - n < 4)
        return gen_fail(GEN_EDATA, "'%s' is cut: the data of field %d take %llu bytes, found %llu",
                        f->path, number, (unsigned long long)n,
                        (unsigned long long)(left - HEADER - 12));
    if (gen_big32(p + HEADER + 12 + n) != n)
        return gen_fail(GEN_EDATA, "'%s': the data of field %d end with length %u, expected %llu",
                        f->path, number, gen_big32(p + HEADER + 12 + n), (unsigned long long)n);
    *header = p + 4;
    *at += HEADER + 16 + n;
    return GEN_OK;
}

static uint64_t data_bytes(const unsigned char *header)
{
    return gen_big32(header + HEADER + 4);
}

/* Alike but for the time. */
static bool same_kind(const unsigned char *a, const unsigned char *b)
{
    static const struct {
        int at, n;
    } parts[] = { { DATA_TYPE, 4 }, { GRID_TYPE, 6 }, { FIELD_CODE, 6 },    { ORIGIN_CORNER, 10 },
                  { MEMBER, 2 },    { AVERAGING, 2 }, { VERTICAL, 64 },     { THRESHOLD, 8 },
                  { UNITS, 8 },     { TITLE, 24 },    { PERIOD_SECONDS, 2 } };
    for (int i = 0; i < GEN_LEN(parts); i++)
        if (memcmp(a + parts[i].at, b + parts[i].at, (size_t)parts[i].n) != 0)
            return false;
    return true;
}

static bool is_wanted(const char *variable, const unsigned char *header, int number)
{
    char title[25], text[12];
    if (!variable)
        return number == 1;
    text_at(header, TITLE, 24, title);
    snprintf(text, sizeof text, "%d", number);
    return strcmp(variable, text) == 0 || strcmp(variable, title) == 0;
}

/* Only frames of a field of their own time. */
static bool is_new_time(const nimrod_state *k, int64_t frames, const unsigned char *header)
{
    for (int64_t i = 0; i < frames; i++)
        if (memcmp(k->header[i] + VALID, header + VALID, 12) == 0)
            return false;
    return true;
}

static gen_status find_fields(gen_radar_file *f)
{
    nimrod_state *k = f->state;
    const char *variable = f->options->variable;
    const unsigned char *header = NULL;
    uint64_t at = 0;
    int number = 0;
    bool alone = variable && *variable >= '0' && *variable <= '9';
    while (at < f->size) {
        if (++number > MAX_FIELDS)
            return gen_fail(GEN_EDATA, "'%s' has more than %d fields", f->path, MAX_FIELDS);
        GEN_TRY(next_field(f, &at, number, &header));
        bool more = f->frames > 0 && !alone && same_kind(k->header[0], header) &&
                    is_new_time(k, f->frames, header);
        if (!more && !(f->frames == 0 && is_wanted(variable, header, number)))
            continue;
        GEN_TRY(GEN_GROW(&k->header, &k->capacity, (uint64_t)f->frames + 1));
        k->header[f->frames++] = header;
    }
    if (f->frames == 0)
        return gen_fail(GEN_EDATA, "'%s' has %d field%s, none of them '%.60s'", f->path, number,
                        number == 1 ? "" : "s", variable ? variable : "1");
    return GEN_OK;
}

/* ---- what a header means --------------------------------------------------------------------- */

static gen_status take_layout(gen_radar_file *f)
{
    nimrod_state *k = f->state;
    const unsigned char *h = k->header[0];
    int corner = int_at(h, ORIGIN_CORNER);
    k->type = int_at(h, DATA_TYPE);
    k->size = int_at(h, DATA_SIZE);
    bool fine = (k->type == REAL && k->size == 4) || (k->type == BYTE && k->size == 1) ||
                (k->type == INTEGER && (k->size == 1 || k->size == 2 || k->size == 4));
    if (!fine)
        return gen_fail(GEN_EDATA,
                        "'%s': cells are of type %d and %d bytes, expected reals of 4, integers "
                        "of 1, 2 or 4, or bytes",
                        f->path, k->type, k->size);
    if (corner != 0 && corner != 1)
        return gen_fail(GEN_EDATA, "'%s': the origin is corner %d, expected 0 (top left) or 1",
                        f->path, corner);
    k->south_first = corner == 1;
    for (int64_t i = 0; i < f->frames; i++)
        GEN_TRY(gen_raster_size(f, int_at(h, ROWS), int_at(h, COLUMNS), k->size,
                                data_bytes(k->header[i])));
    return GEN_OK;
}

/* "mm/hr*32": base "mm/hr", scale 1/32; also "*10^2". */
static gen_status split_units(const gen_radar_file *f, char *units, double *scale)
{
    char *star = strchr(units, '*'), *power;
    double divisor = 1, exponent = 1;
    *scale = 1;
    if (!star)
        return GEN_OK;
    *star++ = 0;
    power = strchr(star, '^');
    if (power)
        *power++ = 0;
    GEN_TRY(gen_raster_number(f, "the factor of the units", star, &divisor));
    if (power)
        GEN_TRY(gen_raster_number(f, "the exponent of the units", power, &exponent));
    *scale = 1 / pow(divisor, exponent);
    if (!(*scale > 0 && *scale < 1e12))
        return gen_fail(GEN_EDATA, "'%s': the units have the factor %g", f->path, divisor);
    return GEN_OK;
}

static gen_status take_units(gen_radar_file *f)
{
    nimrod_state *k = f->state;
    const unsigned char *h = k->header[0];
    char units[9], title[25], name[GEN_QUOTE];
    text_at(h, UNITS, 8, units);
    text_at(h, TITLE, 24, title);
    k->scale = 1;
    if (strcmp(units, "m/2-25k") == 0) {
        k->scale = 2;
        k->offset = 50000;
        units[1] = 0;
    } else {
        GEN_TRY(split_units(f, units, &k->scale));
    }
    if (strcmp(units, "mm/hr") == 0 || strcmp(units, "mm/h") == 0)
        f->quantity = GEN_RADAR_RATE;
    if (strcmp(units, "mm") == 0)
        f->quantity = GEN_RADAR_DEPTH;
    if (strcmp(units, "dBZ") == 0)
        f->quantity = GEN_RADAR_DBZ;
    int seconds = int_at(h, PERIOD_SECONDS), minutes = int_at(h, PERIOD_MINUTES);
    if (f->quantity == GEN_RADAR_DEPTH)
        f->interval = seconds > 0 ? seconds : minutes > 0 ? minutes * 60.0 : 0;
    GEN_TRY(gen_strdup(&f->name, gen_quote(title, name)));
    return gen_strdup(&f->units, gen_quote(strcmp(units, "mm/hr") == 0 ? "mm/h" : units, name));
}

static gen_status take_times(gen_radar_file *f)
{
    const nimrod_state *k = f->state;
    GEN_TRY(GEN_ALLOC(&f->time, f->frames, "times"));
    for (int64_t i = 0; i < f->frames; i++) {
        int64_t part[6];
        for (int j = 0; j < 6; j++)
            part[j] = int_at(k->header[i], VALID + 2 * j);
        part[5] = part[5] == NO_INT ? 0 : part[5];
        GEN_TRY(gen_raster_time(f, "the time of validity", part, &f->time[i]));
    }
    return GEN_OK;
}

/* A parameter of the projection, or what the National Grid has; old files give kilometres. */
static double parameter(const unsigned char *h, int at, double national)
{
    double v = real_at(h, at);
    if (int_at(h, GRID_TYPE) != NATIONAL_GRID)
        return v;
    bool km = fabs(national) > 1000 && fabs(v * 1000 - national) < 1;
    bool near = fabs(v - national) <= 1e-6 * fabs(national); /* of float32 */
    return real_is_missing(h, at) || km || near ? national : v;
}

static gen_status transverse_mercator(gen_radar_file *f)
{
    const nimrod_state *k = f->state;
    const unsigned char *h = k->header[0];
    char text[300], t[5][GEN_REAL_TEXT];
    bool national = int_at(h, GRID_TYPE) == NATIONAL_GRID;
    int ellipsoid = int_at(h, ELLIPSOID);
    bool airy = ellipsoid == 0 || (ellipsoid == NO_INT && national);
    for (int at = TRUE_LATITUDE; at <= MERIDIAN_SCALE && !national; at += 4)
        if (real_is_missing(h, at))
            return gen_fail(GEN_EDATA, "'%s': parameter %d of the projection is missing", f->path,
                            (at - TRUE_LATITUDE) / 4 + 1);
    snprintf(text, sizeof text,
             "+proj=tmerc +lat_0=%s +lon_0=%s +k=%s +x_0=%s +y_0=%s +ellps=%s %s+units=m +no_defs",
             gen_real_text(parameter(h, TRUE_LATITUDE, 49), t[0]),
             gen_real_text(parameter(h, TRUE_LONGITUDE, -2), t[1]),
             gen_real_text(parameter(h, MERIDIAN_SCALE, 0.9996012717), t[2]),
             gen_real_text(parameter(h, FALSE_EASTING, 400000), t[3]),
             gen_real_text(parameter(h, FALSE_NORTHING, -100000), t[4]), airy ? "airy" : "intl",
             /* from OSGB36 to WGS 84, as the Ordnance Survey has it (within 5 m) */
             national && airy ? "+towgs84=446.448,-125.157,542.06,0.15,0.247,0.842,-20.489 " : "");
    return gen_strdup(&f->grid.proj4, text);
}

static gen_status take_grid(gen_radar_file *f)
{
    const nimrod_state *k = f->state;
    const unsigned char *h = k->header[0];
    double x = real_at(h, X_ORIGIN), y = real_at(h, Y_ORIGIN);
    double dx = fabs(real_at(h, X_STEP)), dy = fabs(real_at(h, Y_STEP));
    double height = (double)f->grid.height, width = (double)f->grid.width;
    int type = int_at(h, GRID_TYPE);
    if (type == NATIONAL_GRID || type == TRANSVERSE_MERCATOR)
        GEN_TRY(transverse_mercator(f));
    else if (type == LONGITUDE_LATITUDE)
        GEN_TRY(gen_strdup(&f->grid.proj4, int_at(h, ELLIPSOID) == 0
                                               ? "+proj=longlat +ellps=airy +no_defs"
                                               : "+proj=longlat +ellps=intl +no_defs"));
    else
        return gen_fail(GEN_EDATA,
                        "'%s': the grid is of type %d, expected 0 (National Grid), 1 (longitude "
                        "and latitude) or 4 (transverse Mercator)",
                        f->path, type);
    f->grid.degrees = type == LONGITUDE_LATITUDE;
    gen_raster_edges e = { .west = x - dx / 2, .east = x + (width - 0.5) * dx };
    e.north = k->south_first ? y + (height - 0.5) * dy : y + dy / 2;
    e.south = e.north - height * dy;
    return gen_raster_axes(f, &e);
}

/* ---- the format ------------------------------------------------------------------------------ */

static bool recognises(const unsigned char *head, size_t n)
{
    if (n < 64 || gen_big32(head) != HEADER)
        return false;
    const unsigned char *h = head + 4;
    return int_at(h, DATA_TYPE) >= 0 && int_at(h, DATA_TYPE) <= 2 && int_at(h, DATA_SIZE) >= 1 &&
           int_at(h, DATA_SIZE) <= 4 && int_at(h, VALID + 2) <= 12;
}

static gen_status nimrod_open(gen_radar_file *f)
{
    nimrod_state *k = NULL;
    GEN_TRY(GEN_ALLOC(&k, 1, "NIMROD file"));
    f->state = k;
    GEN_TRY(find_fields(f));
    GEN_TRY(take_layout(f));
    GEN_TRY(take_units(f));
    GEN_TRY(take_times(f));
    return take_grid(f);
}

static double cell_at(const nimrod_state *k, const unsigned char *p)
{
    if (k->size == 1)
        return k->type == BYTE ? (double)*p : (double)(int8_t)*p;
    return k->type == REAL ? real_at(p, 0) : (double)(int32_t)gen_big32(p);
}

/* Of two bytes, as nearly all files have them. */
static void read_row16(const nimrod_state *k, const unsigned char *row, int64_t n, int missing,
                       float *out)
{
    for (int64_t i = 0; i < n; i++) {
        int v = (int16_t)(uint16_t)(row[2 * i] << 8 | row[2 * i + 1]);
        out[i] = v != missing ? (float)(v * k->scale + k->offset) : NAN;
    }
}

static void read_row(const nimrod_state *k, const unsigned char *row, int64_t n, double missing,
                     float *out)
{
    for (int64_t i = 0; i < n; i++) {
        double v = cell_at(k, row + i * k->size);
        bool there = v != missing && fabs(v) < 1e30;
        out[i] = there ? (float)(v * k->scale + k->offset) : NAN;
    }
}

static gen_status nimrod_read(gen_radar_file *f, int64_t frame, float *values)
{
    const nimrod_state *k = f->state;
    const unsigned char *h = k->header[frame], *data = h + HEADER + 8;
    int64_t height = f->grid.height, width = f->grid.width;
    int missing = int_at(h, MISSING_INT);
    for (int64_t j = 0; j < height; j++) {
        const unsigned char *row = data + (k->south_first ? height - 1 - j : j) * width * k->size;
        if (k->size == 2)
            read_row16(k, row, width, missing, values + j * width);
        else
            read_row(k, row, width, k->type == REAL ? real_at(h, MISSING_REAL) : missing,
                     values + j * width);
    }
    return GEN_OK;
}

static void nimrod_close(gen_radar_file *f)
{
    nimrod_state *k = f->state;
    if (k)
        gen_free(k->header);
    gen_free(k);
    f->state = NULL;
}

const gen_radar_format gen_radar_nimrod = { .name = "NIMROD",
                                            .recognises = recognises,
                                            .open = nimrod_open,
                                            .read = nimrod_read,
                                            .close = nimrod_close,
                                            .in_memory = true };
