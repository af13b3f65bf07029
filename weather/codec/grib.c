/* SPDX-License-Identifier: Apache-2.0
 *
 * Reader of GRIB edition 2: MRMS products (discipline 209), precipitation rates and depths, radar
 * reflectivities.
 *
 * A file is a row of messages "GRIB" ... "7777", each a row of numbered sections; sections 2 to 7
 * may repeat in a message. The fields of one parameter are the frames. All lengths are checked here
 * before anything is read.
 *
 * time       product templates 4.0, 4.1: reference time (section 1) + forecast time;
 *            4.8, 4.11: end of the interval
 * interval   of a depth: from the name of the MRMS product, else that of templates 4.8 and 4.11
 * values     MRMS: -3 or -999 not measured, -99 no echo; cells that the bitmap leaves out are
 * missing
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "weather/codec/grib.h"

#define HOUR 3600.0
#define MAX_FIELDS 100000

typedef struct grib_state {
    grib_field *field; /* one a frame */
    uint64_t capacity;
    int64_t n;
    grib_parameter parameter;
    grib_scan scan;
} grib_state;

/* ---- octets -------------------------------------------------------------------------------- */

uint64_t gen_grib_unsigned(const grib_section *s, int at, int octets)
{
    uint64_t v = 0;
    for (int i = 0; i < octets; i++)
        v = v << 8 | s->p[at - 1 + i];
    return v;
}

int64_t gen_grib_signed(const grib_section *s, int at, int octets)
{
    uint64_t v = gen_grib_unsigned(s, at, octets), sign = (uint64_t)1 << (8 * octets - 1);
    return v & sign ? -(int64_t)(v ^ sign) : (int64_t)v;
}

gen_status gen_grib_need(const gen_radar_file *f, const grib_field *g, int section, uint64_t n)
{
    if (g->section[section].n < n)
        return gen_fail(GEN_EDATA, "'%s': section %d of message %d has %llu bytes, expected %llu",
                        f->path, section, g->message, (unsigned long long)g->section[section].n,
                        (unsigned long long)n);
    return GEN_OK;
}

/* ---- parameters ---------------------------------------------------------------------------- */

#define MM_H GEN_RADAR_RATE, "mm/h", 1, 0
#define WATER_RATE GEN_RADAR_RATE, "kg m-2 s-1", 3600, 0
#define WATER GEN_RADAR_DEPTH, "kg m-2", 1, 0
#define DBZ GEN_RADAR_DBZ, "dBZ", 1, 0
#define MRMS_DBZ DBZ, -999, -99

static const grib_parameter known[] = {
    { 209, 6, 1, "PrecipRate", MM_H, -3, NAN },
    { 209, 3, 52, "Reflectivity_0C", MRMS_DBZ },
    { 209, 3, 53, "Reflectivity_-5C", MRMS_DBZ },
    { 209, 3, 54, "Reflectivity_-10C", MRMS_DBZ },
    { 209, 3, 55, "Reflectivity_-15C", MRMS_DBZ },
    { 209, 3, 56, "Reflectivity_-20C", MRMS_DBZ },
    { 209, 3, 57, "ReflectivityAtLowestAltitude", MRMS_DBZ },
    { 209, 3, 58, "MergedReflectivityAtLowestAltitude", MRMS_DBZ },
    { 209, 8, 8, "SeamlessHSR", MRMS_DBZ },
    { 209, 9, 0, "MergedReflectivityQC", MRMS_DBZ },
    { 209, 10, 0, "MergedReflectivityQCComposite", MRMS_DBZ },
    { 209, 10, 2, "LowLevelCompositeReflectivity", MRMS_DBZ },
    { 209, 10, 4, "LayerCompositeReflectivity_Low", MRMS_DBZ },
    { 209, 10, 5, "LayerCompositeReflectivity_High", MRMS_DBZ },
    { 209, 10, 6, "LayerCompositeReflectivity_Super", MRMS_DBZ },
    { 209, 10, 7, "CREF_1HR_MAX", MRMS_DBZ },
    { 209, 11, 0, "MergedBaseReflectivityQC", MRMS_DBZ },
    { 209, 11, 1, "MergedReflectivityComposite", MRMS_DBZ },
    { 209, 11, 2, "MergedReflectivityQComposite", MRMS_DBZ },
    { 0, 1, 7, "prate", WATER_RATE, NAN, NAN },
    { 0, 1, 52, "tprate", WATER_RATE, NAN, NAN },
    { 0, 1, 65, "rprate", WATER_RATE, NAN, NAN },
    { 0, 15, 17, "radar_prate", WATER_RATE, NAN, NAN },
    { 0, 1, 8, "tp", WATER, NAN, NAN },
    { 0, 15, 5, "radar_tp", WATER, NAN, NAN },
    { 0, 15, 1, "refd", DBZ, NAN, NAN },
    { 0, 15, 4, "refc", DBZ, NAN, NAN },
    { 0, 16, 4, "refd", DBZ, NAN, NAN },
    { 0, 16, 5, "refc", DBZ, NAN, NAN },
    { 0, 16, 195, "refd", DBZ, NAN, NAN }, /* NCEP */
    { 0, 16, 196, "refc", DBZ, NAN, NAN }, /* NCEP */
};

/* MRMS has five and two ways to estimate depths, each for seven times. */
static bool mrms_depth(int number, grib_parameter *p)
{
    static const char *const ways[] = {
        "RadarOnly_QPE_%02dH",      "GaugeCorr_QPE_%02dH",         "GaugeOnly_QPE_%02dH",
        "MountainMapper_QPE_%02dH", "MultiSensor_QPE_%02dH_Pass1", "MultiSensor_QPE_%02dH_Pass2"
    };
    static const int hours[] = { 1, 3, 6, 12, 24, 48, 72 };
    int way = (number - 2) / GEN_LEN(hours);
    if (number < 2 || way >= GEN_LEN(ways))
        return false;
    int h = hours[(number - 2) % GEN_LEN(hours)];
    *p = (grib_parameter){ 209, 6, number, "", GEN_RADAR_DEPTH, "mm", 1, HOUR * h, -3, NAN };
    snprintf(p->name, sizeof p->name, ways[way], h);
    return true;
}

/* What field g holds; of a parameter that we do not know only the numbers. */
static grib_parameter parameter_of(const grib_field *g)
{
    int category = (int)gen_grib_unsigned(&g->section[4], 10, 1);
    int number = (int)gen_grib_unsigned(&g->section[4], 11, 1);
    grib_parameter p = {
        g->discipline, category, number, "", GEN_RADAR_OTHER, NULL, 1, 0, NAN, NAN
    };
    for (int i = 0; i < GEN_LEN(known); i++)
        if (known[i].discipline == g->discipline && known[i].category == category &&
            known[i].number == number)
            return known[i];
    if (g->discipline == 209 && category == 6 && mrms_depth(number, &p))
        return p;
    snprintf(p.name, sizeof p.name, "%d.%d.%d", g->discipline, category, number);
    return p;
}

/* `variable` is a name or "209.6.1". */
static bool is_called(const grib_parameter *p, const char *variable)
{
    char triple[40];
    snprintf(triple, sizeof triple, "%d.%d.%d", p->discipline, p->category, p->number);
    return strcmp(variable, p->name) == 0 || strcmp(variable, triple) == 0;
}

static bool same_parameter(const grib_parameter *a, const grib_parameter *b)
{
    return a->discipline == b->discipline && a->category == b->category && a->number == b->number;
}

/* ---- messages ------------------------------------------------------------------------------ */

static gen_status add_field(gen_radar_file *f, const grib_field *g)
{
    grib_state *k = f->state;
    if (k->n >= MAX_FIELDS)
        return gen_fail(GEN_EDATA, "'%s' has more than %d fields", f->path, MAX_FIELDS);
    GEN_TRY(gen_grib_need(f, g, 1, 21));
    GEN_TRY(gen_grib_need(f, g, 3, 14));
    GEN_TRY(gen_grib_need(f, g, 4, 34));
    GEN_TRY(GEN_GROW(&k->field, &k->capacity, k->n + 1));
    k->field[k->n++] = *g;
    return GEN_OK;
}

/* Sections from `at` to `end`, both within the file; a field is whole at each section 7. */
static gen_status read_sections(gen_radar_file *f, int message, uint64_t at, uint64_t end)
{
    grib_field g = { .message = message, .discipline = f->bytes[at + 6] };
    for (at += 16; at < end;) {
        grib_section s = { f->bytes + at, end - at };
        uint64_t n = s.n < 5 ? 0 : gen_grib_unsigned(&s, 1, 4);
        int number = n < 5 ? 0 : s.p[4];
        if (n < 5 || n > s.n || number < 1 || number > 7)
            return gen_fail(GEN_EDATA,
                            "'%s': message %d is damaged: at byte %llu begins no section", f->path,
                            message, (unsigned long long)at);
        g.section[number] = (grib_section){ s.p, n };
        if (number == 7)
            GEN_TRY(add_field(f, &g));
        at += n;
    }
    return GEN_OK;
}

/* The next "GRIB" from `at` on; `size` when there is none. Bulletins stand between messages. */
static uint64_t next_message(const gen_radar_file *f, uint64_t at)
{
    while (at + 16 <= f->size) {
        const unsigned char *g = memchr(f->bytes + at, 'G', f->size - at);
        if (!g)
            break;
        at = (uint64_t)(g - f->bytes);
        if (at + 16 <= f->size && memcmp(g, "GRIB", 4) == 0)
            return at;
        at++;
    }
    return f->size;
}

static gen_status read_messages(gen_radar_file *f)
{
    int message = 1;
    for (uint64_t at = next_message(f, 0); at < f->size; at = next_message(f, at), message++) {
        grib_section s = { f->bytes + at, f->size - at };
        int edition = s.p[7];
        if (edition != 2)
            return gen_fail(GEN_EDATA, "'%s': message %d is of GRIB edition %d, expected 2",
                            f->path, message, edition);
        uint64_t n = gen_grib_unsigned(&s, 9, 8);
        if (n < 20 || n > s.n)
            return gen_fail(GEN_EDATA,
                            "'%s' is cut: message %d declares %llu bytes, but the file has %llu",
                            f->path, message, (unsigned long long)n, (unsigned long long)s.n);
        if (memcmp(s.p + n - 4, "7777", 4) != 0)
            return gen_fail(GEN_EDATA, "'%s': message %d does not end with 7777", f->path, message);
        GEN_TRY(read_sections(f, message, at, at + n - 4));
        at += n;
    }
    return GEN_OK;
}

/* ---- times --------------------------------------------------------------------------------- */

/* Year (2 octets) to second. */
static gen_status read_date(const gen_radar_file *f, const grib_field *g, int section, int at,
                            int64_t *out)
{
    const grib_section *s = &g->section[section];
    char text[48];
    snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02dZ", (int)gen_grib_unsigned(s, at, 2),
             (int)gen_grib_unsigned(s, at + 2, 1), (int)gen_grib_unsigned(s, at + 3, 1),
             (int)gen_grib_unsigned(s, at + 4, 1), (int)gen_grib_unsigned(s, at + 5, 1),
             (int)gen_grib_unsigned(s, at + 6, 1));
    if (gen_time_parse(text, out) != GEN_OK)
        return gen_fail(GEN_EDATA, "'%s': message %d: '%s' is no date", f->path, g->message, text);
    return GEN_OK;
}

/* Seconds of code table 4.4; 0 = no fixed time. */
static double time_unit(int code)
{
    static const double seconds[] = { 60, HOUR, 24 * HOUR, 0,        0,        0,         0,
                                      0,  0,    0,         3 * HOUR, 6 * HOUR, 12 * HOUR, 1 };
    return code >= 0 && code < GEN_LEN(seconds) ? seconds[code] : 0;
}

/* n units of time, in octets `at` (unit) and at + 1 to at + 4. */
static gen_status read_duration(const gen_radar_file *f, const grib_field *g, int at, double *out)
{
    int unit = (int)gen_grib_unsigned(&g->section[4], at, 1);
    int64_t n = gen_grib_signed(&g->section[4], at + 1, 4);
    *out = (double)n * time_unit(unit);
    if (n != 0 && time_unit(unit) == 0)
        return gen_fail(GEN_EDATA, "'%s': message %d: unit of time %d, expected a fixed time",
                        f->path, g->message, unit);
    if (!(fabs(*out) < 4e9))
        return gen_fail(GEN_EDATA, "'%s': message %d: a time of %g s", f->path, g->message, *out);
    return GEN_OK;
}

static gen_status read_time(const gen_radar_file *f, grib_field *g)
{
    int template = (int)gen_grib_unsigned(&g->section[4], 8, 2);
    int more = template == 1 || template == 11 ? 3 : 0; /* octets of an ensemble */
    if (template == 0 || template == 1) {
        double forecast;
        GEN_TRY(read_date(f, g, 1, 13, &g->time));
        GEN_TRY(read_duration(f, g, 18, &forecast));
        g->time += (int64_t)forecast;
        return GEN_OK;
    }
    if (template != 8 && template != 11)
        return gen_fail(GEN_EDATA,
                        "'%s': message %d has product definition template %d, expected "
                        "0, 1, 8 or 11",
                        f->path, g->message, template);
    GEN_TRY(gen_grib_need(f, g, 4, (uint64_t)(58 + more)));
    GEN_TRY(read_date(f, g, 4, 35 + more, &g->time));
    return read_duration(f, g, 49 + more, &g->interval);
}

/* ---- the format ---------------------------------------------------------------------------- */

/* The parameter to read: the one asked for, else the first that is rain, else the first. */
static gen_status choose(gen_radar_file *f)
{
    grib_state *k = f->state;
    const char *variable = f->options->variable;
    int64_t at = -1;
    for (int64_t i = 0; i < k->n && at < 0; i++) {
        grib_parameter p = parameter_of(&k->field[i]);
        if (variable ? is_called(&p, variable) : p.quantity != GEN_RADAR_OTHER)
            at = i;
    }
    if (at < 0 && variable) {
        grib_parameter p = parameter_of(&k->field[0]);
        return gen_fail(GEN_EDATA,
                        "'%s' has no parameter '%.60s'; the first of its %lld fields is "
                        "'%s' (%d.%d.%d)",
                        f->path, variable, (long long)k->n, p.name, p.discipline, p.category,
                        p.number);
    }
    k->parameter = parameter_of(&k->field[at < 0 ? 0 : at]);
    int64_t kept = 0;
    for (int64_t i = 0; i < k->n; i++) {
        grib_parameter p = parameter_of(&k->field[i]);
        if (same_parameter(&p, &k->parameter))
            k->field[kept++] = k->field[i];
    }
    k->n = kept;
    return GEN_OK;
}

/* A depth has one interval throughout. */
static gen_status read_interval(gen_radar_file *f)
{
    const grib_state *k = f->state;
    f->interval = k->parameter.interval;
    if (k->parameter.quantity != GEN_RADAR_DEPTH || f->interval > 0)
        return GEN_OK;
    f->interval = k->field[0].interval > 0 ? k->field[0].interval : 0;
    for (int64_t i = 1; i < k->n; i++)
        if (k->field[i].interval != k->field[0].interval)
            return gen_fail(GEN_EDATA,
                            "'%s': message %d is a depth of %g s, but message %d of %g s", f->path,
                            k->field[i].message, k->field[i].interval, k->field[0].message,
                            k->field[0].interval);
    return GEN_OK;
}

static bool same_bytes(const grib_section *a, const grib_section *b)
{
    return a->n == b->n && memcmp(a->p, b->p, a->n) == 0;
}

static gen_status grib_open(gen_radar_file *f)
{
    grib_state *k = NULL;
    GEN_TRY(GEN_ALLOC(&k, 1, "GRIB file"));
    f->state = k;
    GEN_TRY(read_messages(f));
    if (k->n == 0)
        return gen_fail(GEN_EDATA, "'%s' holds no GRIB field", f->path);
    GEN_TRY(choose(f));
    f->frames = k->n;
    f->quantity = k->parameter.quantity;
    f->factor = k->parameter.factor;
    GEN_TRY(gen_strdup(&f->name, k->parameter.name));
    if (k->parameter.units)
        GEN_TRY(gen_strdup(&f->units, k->parameter.units));
    GEN_TRY(GEN_ALLOC(&f->time, f->frames, "times"));
    for (int64_t i = 0; i < k->n; i++) {
        GEN_TRY(read_time(f, &k->field[i]));
        f->time[i] = k->field[i].time;
        if (!same_bytes(&k->field[i].section[3], &k->field[0].section[3]))
            return gen_fail(GEN_EDATA, "'%s': messages %d and %d have different grids", f->path,
                            k->field[0].message, k->field[i].message);
    }
    GEN_TRY(read_interval(f));
    return gen_grib_grid(f, &k->field[0], &f->grid, &k->scan);
}

static gen_status grib_read(gen_radar_file *f, int64_t frame, float *values)
{
    const grib_state *k = f->state;
    return gen_grib_values(f, &k->field[frame], &k->parameter, k->scan, values);
}

static void grib_close(gen_radar_file *f)
{
    grib_state *k = f->state;
    if (k)
        gen_free(k->field);
    gen_free(k);
    f->state = NULL;
}

static bool recognises(const unsigned char *head, size_t n)
{
    return n >= 4 && memcmp(head, "GRIB", 4) == 0;
}

const gen_radar_format gen_radar_grib = { .name = "GRIB",
                                          .recognises = recognises,
                                          .open = grib_open,
                                          .read = grib_read,
                                          .close = grib_close,
                                          .in_memory = true,
                                          .risky = true };
