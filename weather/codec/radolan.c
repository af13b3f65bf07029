/* SPDX-License-Identifier: Apache-2.0
 *
 * Reader of RADOLAN and RADVOR composites of Deutscher Wetterdienst, in their binary format.
 *
 * The format (DWD's description of the RADOLAN/RADVOR-OP composite format)
 *   header  text that ends with byte 3: "RW102050100000814" is product RW of the 10th, 20:50 UTC,
 *           place 10000 (all radars), August 2014; then words without blanks between them:
 *           BY bytes of the product, header included   VS version of the format
 *           PR precision, " E-01" = 0.1                INT interval, minutes (days where U is 1)
 *           GP rows x columns                          VV forecast minutes, added to the time
 *           MS <radars>, and others that are of no use here
 *   cells   row 0 south. Of RX, EX and WX one byte: RVP-6 counts, dBZ = count / 2 - 32.5; 250 is
 *           no data, 249 clutter. Else two, little-endian: 12 bits of value; bit 13 is secondary
 *           (adjusted, interpolated, hail), 14 no data, 15 negative, 16 clutter.
 *   place   polar stereographic, true at 60 N, 10 E upwards; a sphere of 6370.04 km, from version 5
 *           on WGS 84. The grids lie around 51 N 9 E, in whole kilometres.
 * Depths of rain (RW, RY, RV, SF ...) are mm in the interval. Other products are read as numbers.
 * Reflectivity: Z = 256 R^1.42, DWD's. Cells with 0 counts hold nothing that could be detected.
 *
 * RADVOR forecasts come as a tar file of one composite for each lead time, packed with bzip2
 * (libarchive): each is a frame. One composite may be packed with bzip2 as well.
 */
#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "weather/codec/raster.h"

#define END_OF_HEADER 3
#define FIXED 17 /* characters of the header before the words */
#define MAX_HEADER 4096
#define MAX_COMPOSITE ((uint64_t)64 << 20) /* bytes; 4800 x 4400 cells take 42 MB */
#define MAX_UNPACKED ((uint64_t)1 << 30)   /* of all, unless the caller says */
#define MAX_COMPOSITES 10000

/* Cells of 1 km and the reference point, 51 N 9 E, in the projection, m. */
static const struct earth {
    const char *proj4;
    double x, y;
} sphere = { "+proj=stere +lat_0=90 +lat_ts=60 +lon_0=10 +R=6370040 +units=m +no_defs",
             -73462.1669218565, -4208644.72426557 },
  wgs84 = { "+proj=stere +lat_0=90 +lat_ts=60 +lon_0=10 +ellps=WGS84 +units=m +no_defs",
            -73696.8352177, -4222088.86193059 };

/* How far the south-west corner lies from the reference point, km. */
static const struct known_grid {
    int64_t rows, columns;
    double west, south, cell;
} grids[] = {
    { 900, 900, 450, 450, 1 },      /* national */
    { 1100, 900, 370, 550, 1 },     /* national, extended */
    { 1200, 1100, 470, 600, 1 },    /* DE1200 */
    { 4800, 4400, 470, 600, 0.25 }, /* DE4800 */
    { 1500, 1400, 600, 800, 1 },    /* central Europe */
};

typedef struct composite {
    unsigned char *loaded; /* unpacked by us, or NULL */
    const unsigned char *cells;
    char product[3];
    int64_t version, interval, rows, columns, size; /* size of a cell */
    int decimals;
    int64_t time;
} composite;

typedef struct radolan_state {
    composite *item; /* [frames] */
    uint64_t capacity;
    float value[4096]; /* of each number of a cell */
} radolan_state;

static bool in_words(const char *product, const char *words)
{
    const char *p = strstr(words, product);
    return p && (p - words) % 3 == 0;
}

static bool is_counts(const char *product)
{
    return in_words(product, "RX EX WX");
}

static bool is_reflectivity(const char *product)
{
    return in_words(product, "RX EX WX WN");
}

static bool is_depth(const char *product)
{
    return in_words(product, "RY RZ RW RH RB RL RU RV RQ RS EY EZ EW EH EB YW SQ SH SF W1 W2 W3 W4 "
                             "S2 S3 D2 D3");
}

/* ---- the header ------------------------------------------------------------------------------ */

/* The text behind a word of the header, before the names of the radars; NULL: it has none. */
static const char *word(const char *header, const char *name)
{
    const char *p = strstr(header + FIXED, name), *names = strchr(header, '<');
    return p && !(names && p > names) ? p + strlen(name) : NULL;
}

static gen_status number(const gen_radar_file *f, const char *header, const char *name,
                         int64_t most, int64_t *out)
{
    const char *p = word(header, name);
    int digits = 0;
    if (p)
        p += strspn(p, " ");
    while (p && p[digits] >= '0' && p[digits] <= '9' && digits < 12)
        digits++;
    if (!p || !digits || !gen_raster_digits(p, digits, out) || *out > most)
        return gen_fail(GEN_EDATA, "'%s': %s of the header is '%.10s', expected 0 to %lld", f->path,
                        name, p ? p : "missing", (long long)most);
    return GEN_OK;
}

/* " E-02" */
static gen_status precision(const gen_radar_file *f, const char *header, int *decimals)
{
    const char *p = word(header, "PR");
    int64_t n = 0;
    if (p)
        p += strspn(p, " ");
    bool fine = p && p[0] == 'E' && (p[1] == '-' || p[1] == '+') && gen_raster_digits(p + 2, 2, &n);
    if (!fine || n > 9)
        return gen_fail(GEN_EDATA, "'%s': PR of the header is '%.5s', expected E-01 or the like",
                        f->path, p ? p : "missing");
    *decimals = p[1] == '-' ? (int)n : -(int)n;
    return GEN_OK;
}

/* " 900x 900" */
static gen_status rows_and_columns(const gen_radar_file *f, const char *header, composite *c)
{
    const char *p = word(header, "GP");
    long long rows = 0, columns = 0;
    if (!p || sscanf(p, "%4lldx%4lld", &rows, &columns) != 2 || rows < 1 || columns < 1)
        return gen_fail(GEN_EDATA, "'%s': GP of the header is '%.9s', expected 900x 900 or so%s",
                        f->path, p ? p : "missing",
                        in_words(c->product, "PG PC PZ") ? " (run-length coded pictures are not "
                                                           "read)"
                                                         : "");
    c->rows = rows;
    c->columns = columns;
    return GEN_OK;
}

static gen_status header_time(const gen_radar_file *f, const char *h, composite *c)
{
    int64_t part[6] = { 0 }, lead = 0;
    gen_raster_digits(h + 2, 2, &part[2]); /* recognised: digits they are */
    gen_raster_digits(h + 4, 2, &part[3]);
    gen_raster_digits(h + 6, 2, &part[4]);
    gen_raster_digits(h + 13, 2, &part[1]);
    gen_raster_digits(h + 15, 2, &part[0]);
    part[0] += 2000;
    GEN_TRY(gen_raster_time(f, "the time of the header", part, &c->time));
    if (word(h, "VV"))
        GEN_TRY(number(f, h, "VV", 9999, &lead));
    c->time += lead * 60;
    return GEN_OK;
}

static gen_status header_interval(const gen_radar_file *f, const char *h, composite *c)
{
    int64_t unit = 0;
    const char *p;
    GEN_TRY(number(f, h, "INT", 99999, &c->interval));
    p = word(h, "INT");
    p += strspn(p, " ");
    p += strspn(p, "0123456789");
    if (*p == 'U' && gen_raster_digits(p + 1, 1, &unit) && unit == 1)
        c->interval *= 1440;
    c->interval *= 60;
    return GEN_OK;
}

static bool is_header(const char *p, size_t n)
{
    int64_t ignored;
    return n >= FIXED + 2 && ((p[0] >= 'A' && p[0] <= 'Z') || p[0] == '%') &&
           ((p[1] >= 'A' && p[1] <= 'Z') || (p[1] >= '0' && p[1] <= '9')) &&
           gen_raster_digits(p + 2, 15, &ignored) && memcmp(p + FIXED, "BY", 2) == 0;
}

/* A composite of n bytes. */
static gen_status parse(gen_radar_file *f, const unsigned char *bytes, uint64_t n, composite *c)
{
    char header[MAX_HEADER];
    const unsigned char *end = memchr(bytes, END_OF_HEADER, n < MAX_HEADER ? n : MAX_HEADER);
    int64_t total;
    if (!is_header((const char *)bytes, n))
        return gen_fail(GEN_EDATA, "'%s' holds something that is no RADOLAN composite", f->path);
    if (!end)
        return gen_fail(GEN_EDATA, "'%s' is cut: its header has no end", f->path);
    uint64_t length = (uint64_t)(end - bytes);
    memcpy(header, bytes, length);
    header[length++] = 0;
    memcpy(c->product, header, 2);
    GEN_TRY(rows_and_columns(f, header, c));
    GEN_TRY(number(f, header, "BY", (int64_t)MAX_COMPOSITE, &total));
    GEN_TRY(number(f, header, "VS", 99, &c->version));
    GEN_TRY(precision(f, header, &c->decimals));
    GEN_TRY(header_interval(f, header, c));
    GEN_TRY(header_time(f, header, c));
    c->size = is_counts(c->product) ? 1 : 2;
    c->cells = bytes + length;
    if ((uint64_t)total != n)
        return gen_fail(GEN_EDATA, "'%s' %s: BY of the header is %lld bytes, found %llu", f->path,
                        n < (uint64_t)total ? "is cut" : "is too long", (long long)total,
                        (unsigned long long)n);
    return gen_raster_size(f, c->rows, c->columns, c->size, n - length);
}

/* ---- archives -------------------------------------------------------------------------------- */

static bool is_bzip2(const unsigned char *head, size_t n)
{
    return n >= 10 && memcmp(head, "BZh", 3) == 0 && head[3] >= '1' && head[3] <= '9' &&
           memcmp(head + 4, "1AY&SY", 6) == 0;
}

static bool is_tar(const unsigned char *head, size_t n)
{
    return n >= 262 && memcmp(head + 257, "ustar", 5) == 0;
}

static gen_status damaged(const gen_radar_file *f, struct archive *a)
{
    const char *why = archive_error_string(a);
    return gen_fail(GEN_EDATA, "'%s' is damaged: %.100s", f->path, why ? why : "it ends too early");
}

/* The data of an entry; *used counts what all of them take. */
static gen_status load_entry(gen_radar_file *f, struct archive *a, composite *c, uint64_t *size,
                             uint64_t *used)
{
    uint64_t capacity = 0, limit = f->options->max_bytes ? f->options->max_bytes : MAX_UNPACKED;
    *size = 0;
    for (;;) {
        GEN_TRY(GEN_GROW(&c->loaded, &capacity, *size + 65536));
        la_ssize_t got = archive_read_data(a, c->loaded + *size, capacity - *size);
        if (got < 0)
            return damaged(f, a);
        if (got == 0)
            break;
        *size += (uint64_t)got;
        *used += (uint64_t)got;
        if (*size > MAX_COMPOSITE || *used > limit)
            return gen_fail(GEN_EDATA, "'%s' holds more than %.1f GB", f->path,
                            (double)(*used > limit ? limit : MAX_COMPOSITE) * 1e-9);
    }
    return GEN_OK;
}

static gen_status add(gen_radar_file *f, composite **out)
{
    radolan_state *k = f->state;
    if (f->frames >= MAX_COMPOSITES)
        return gen_fail(GEN_EDATA, "'%s' holds more than %d composites", f->path, MAX_COMPOSITES);
    GEN_TRY(GEN_GROW(&k->item, &k->capacity, (uint64_t)f->frames + 1));
    *out = &k->item[f->frames++];
    **out = (composite){ 0 };
    return GEN_OK;
}

static gen_status read_entries(gen_radar_file *f, struct archive *a)
{
    struct archive_entry *entry;
    uint64_t size, used = 0;
    composite *c;
    int code;
    while ((code = archive_read_next_header(a, &entry)) == ARCHIVE_OK || code == ARCHIVE_WARN) {
        mode_t type = archive_entry_filetype(entry);
        if (type != AE_IFREG && type != 0) /* a folder, a link */
            continue;
        GEN_TRY(add(f, &c));
        GEN_TRY(load_entry(f, a, c, &size, &used));
        GEN_TRY(parse(f, c->loaded, size, c));
    }
    return code == ARCHIVE_EOF ? GEN_OK : damaged(f, a);
}

static gen_status read_archive(gen_radar_file *f)
{
    gen_status status;
    struct archive *a = archive_read_new();
    if (!a)
        return gen_fail(GEN_ENOMEM, "out of memory for unpacking '%s'", f->path);
    if (archive_read_support_filter_bzip2(a) != ARCHIVE_OK ||
        archive_read_support_format_tar(a) != ARCHIVE_OK ||
        (!is_tar(f->bytes, f->size) && archive_read_support_format_raw(a) != ARCHIVE_OK))
        GEN_GOTO(gen_fail(GEN_EDATA, "'%s': this libarchive has no tar or bzip2", f->path));
    if (archive_read_open_memory(a, f->bytes, (size_t)f->size) != ARCHIVE_OK)
        GEN_GOTO(damaged(f, a));
    status = read_entries(f, a);
done:
    archive_read_free(a);
    return status;
}

/* ---- what the headers mean ------------------------------------------------------------------- */

/* All composites of an archive are of one kind. */
static gen_status same_kind(const gen_radar_file *f)
{
    const radolan_state *k = f->state;
    const composite *a = &k->item[0];
    for (int64_t i = 1; i < f->frames; i++) {
        const composite *b = &k->item[i];
        if (strcmp(a->product, b->product) != 0 || a->rows != b->rows || a->columns != b->columns ||
            a->decimals != b->decimals || a->version != b->version || a->interval != b->interval)
            return gen_fail(GEN_EDATA,
                            "'%s': composite %lld (%s, %lld x %lld cells, %lld s) differs from the "
                            "first (%s, %lld x %lld cells, %lld s)",
                            f->path, (long long)i + 1, b->product, (long long)b->rows,
                            (long long)b->columns, (long long)b->interval, a->product,
                            (long long)a->rows, (long long)a->columns, (long long)a->interval);
    }
    return GEN_OK;
}

/* RVP-6 counts, which WN has in steps of a tenth. */
static float dbz_of(double counts)
{
    return counts >= 249 ? NAN : counts == 0 ? GEN_UNDETECTED : (float)(counts / 2 - 32.5);
}

static gen_status take_values(gen_radar_file *f)
{
    radolan_state *k = f->state;
    const composite *c = &k->item[0];
    bool dbz = is_reflectivity(c->product);
    double unit = pow(10, c->decimals); /* divided by: 0.1 has no exact double */
    for (int i = 0; i < GEN_LEN(k->value); i++)
        k->value[i] = dbz ? dbz_of(i / unit) : (float)(i / unit);
    f->quantity = dbz ? GEN_RADAR_DBZ : is_depth(c->product) ? GEN_RADAR_DEPTH : GEN_RADAR_OTHER;
    GEN_TRY(gen_strdup(&f->name, c->product));
    if (f->quantity == GEN_RADAR_OTHER)
        return GEN_OK;
    f->interval = dbz ? 0 : (double)c->interval;
    f->zr_a = dbz ? 256 : 0;
    f->zr_b = dbz ? 1.42 : 0;
    return gen_strdup(&f->units, dbz ? "dBZ" : "mm");
}

static gen_status take_grid(gen_radar_file *f)
{
    const radolan_state *k = f->state;
    const composite *c = &k->item[0];
    const struct earth *earth = c->version >= 5 ? &wgs84 : &sphere;
    for (int i = 0; i < GEN_LEN(grids); i++) {
        const struct known_grid *g = &grids[i];
        if (g->rows != c->rows || g->columns != c->columns)
            continue;
        gen_raster_edges e = { .west = earth->x - g->west * 1000,
                               .south = earth->y - g->south * 1000 };
        e.east = e.west + (double)g->columns * g->cell * 1000;
        e.north = e.south + (double)g->rows * g->cell * 1000;
        GEN_TRY(gen_strdup(&f->grid.proj4, earth->proj4));
        return gen_raster_axes(f, &e);
    }
    return gen_raster_axes(f, NULL);
}

/* ---- the format ------------------------------------------------------------------------------ */

static bool recognises(const unsigned char *head, size_t n)
{
    return is_header((const char *)head, n) || is_bzip2(head, n) || is_tar(head, n);
}

static gen_status radolan_open(gen_radar_file *f)
{
    radolan_state *k = NULL;
    composite *c;
    GEN_TRY(GEN_ALLOC(&k, 1, "RADOLAN composite"));
    f->state = k;
    if (is_bzip2(f->bytes, f->size) || is_tar(f->bytes, f->size)) {
        GEN_TRY(read_archive(f));
    } else {
        GEN_TRY(add(f, &c));
        GEN_TRY(parse(f, f->bytes, f->size, c));
    }
    if (f->frames == 0)
        return gen_fail(GEN_EDATA, "'%s' is an archive without files", f->path);
    GEN_TRY(same_kind(f));
    GEN_TRY(GEN_ALLOC(&f->time, f->frames, "times"));
    for (int64_t i = 0; i < f->frames; i++)
        f->time[i] = k->item[i].time;
    GEN_TRY(take_values(f));
    return take_grid(f);
}

static float value_of(const radolan_state *k, unsigned raw)
{
    enum { NO_DATA = 0x2000, NEGATIVE = 0x4000, CLUTTER = 0x8000 };
    if (raw & (NO_DATA | CLUTTER))
        return NAN;
    float v = k->value[raw & 0xfff];
    return raw & NEGATIVE ? -v : v;
}

static gen_status radolan_read(gen_radar_file *f, int64_t frame, float *values)
{
    const radolan_state *k = f->state;
    const composite *c = &k->item[frame];
    int64_t height = f->grid.height, width = f->grid.width;
    for (int64_t j = 0; j < height; j++) {
        const unsigned char *row = c->cells + (height - 1 - j) * width * c->size;
        float *out = values + j * width;
        for (int64_t i = 0; i < width && c->size == 1; i++)
            out[i] = k->value[row[i]];
        for (int64_t i = 0; i < width && c->size == 2; i++)
            out[i] = value_of(k, row[2 * i] | (unsigned)row[2 * i + 1] << 8);
    }
    return GEN_OK;
}

static void radolan_close(gen_radar_file *f)
{
    radolan_state *k = f->state;
    for (int64_t i = 0; k && i < f->frames; i++)
        gen_free(k->item[i].loaded);
    if (k)
        gen_free(k->item);
    gen_free(k);
    f->state = NULL;
}

const gen_radar_format gen_radar_radolan = { .name = "RADOLAN",
                                             .recognises = recognises,
                                             .open = radolan_open,
                                             .read = radolan_read,
                                             .close = radolan_close,
                                             .in_memory = true };
