/* SPDX-License-Identifier: Apache-2.0
 *
 * See picture_table.h.
 */
#include "weather/codec/picture_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "libgen/base/file.h"
#include "libgen/base/options.h"
#include "libgen/model/tensor_file.h"

#define MAX_TABLE ((uint64_t)1 << 20) /* bytes */

/* A line that is not what it should be. */
static gen_status wrong(const char *path, int line, const char *text, const char *expected)
{
    char quoted[GEN_QUOTE];
    return gen_fail(GEN_EDATA, "'%s', line %d: found '%s', expected %s", path, line,
                    gen_quote(text, quoted), expected);
}

/* n numbers with commas between them. */
static bool numbers(char *text, int n, double *out)
{
    for (int i = 0; i < n; i++) {
        char *end = text + strcspn(text, ",");
        bool last = *end == 0;
        *end = 0;
        if (last != (i == n - 1) || gen_parse_real(text, "a number", -1e9, 1e9, &out[i]) != GEN_OK)
            return false;
        text = end + 1;
    }
    return true;
}

static gen_status take_units(gen_picture_table *t, const char *words, bool *fine)
{
    *fine = true;
    t->quantity = strcmp(words, "mm/h") == 0  ? GEN_RADAR_RATE
                  : strcmp(words, "mm") == 0  ? GEN_RADAR_DEPTH
                  : strcmp(words, "dBZ") == 0 ? GEN_RADAR_DBZ
                                              : GEN_RADAR_OTHER;
    gen_free(t->units);
    return gen_strdup(&t->units, words);
}

/* key=words */
static gen_status take_key(gen_picture_table *t, const char *path, int line, char *key, char *words)
{
    bool fine = false;
    double v[4];
    if (strcmp(key, "units") == 0) {
        GEN_TRY(take_units(t, words, &fine));
    } else if (strcmp(key, "interval") == 0) {
        fine = numbers(words, 1, v) && v[0] > 0;
        t->interval = v[0];
    } else if (strcmp(key, "zr") == 0) {
        fine = numbers(words, 2, v) && v[0] > 0 && v[1] > 0;
        t->zr_a = v[0];
        t->zr_b = v[1];
    } else if (strcmp(key, "extent") == 0) {
        fine = t->placed = numbers(words, 4, v) && v[0] < v[2] && v[1] < v[3];
        t->edges = (gen_raster_edges){ v[0], v[1], v[2], v[3] };
    } else if (strcmp(key, "proj") == 0) {
        fine = true;
        gen_free(t->proj4);
        GEN_TRY(gen_strdup(&t->proj4, words));
    } else {
        return wrong(path, line, key, "units, interval, zr, extent or proj");
    }
    return fine ? GEN_OK : wrong(path, line, words, "numbers that fit");
}

/* "255,missing" or "FF8800,12.5" */
static gen_status take_value(gen_picture_table *t, const char *path, int line, char *text)
{
    char *comma = strchr(text, ',');
    double v = 0;
    if (!comma)
        return wrong(path, line, text, "an entry or a colour, a comma and a value");
    *comma++ = 0;
    bool missing = strcmp(comma, "missing") == 0, undetected = strcmp(comma, "undetected") == 0;
    if (!missing && !undetected && !numbers(comma, 1, &v))
        return wrong(path, line, comma, "a number, missing or undetected");
    float value = missing ? NAN : undetected ? GEN_UNDETECTED : (float)v;
    if (strlen(text) == 6 && strspn(text, "0123456789abcdefABCDEF") == 6) {
        GEN_TRY(GEN_GROW(&t->colour, &t->capacity, t->colours + 1));
        t->colour[t->colours++] =
            (gen_picture_colour){ .rgb = (uint32_t)strtoul(text, NULL, 16), .value = value };
        return GEN_OK;
    }
    int64_t index;
    if (gen_parse_int(text, "entry", 0, 255, &index) != GEN_OK)
        return wrong(path, line, text, "0 to 255, or a colour RRGGBB");
    t->known[index] = true;
    t->value[index] = value;
    return GEN_OK;
}

static int by_colour(const void *a, const void *b)
{
    const gen_picture_colour *p = a, *q = b;
    return (p->rgb > q->rgb) - (p->rgb < q->rgb);
}

/* Without blanks at its ends and without a comment. */
static char *trimmed(char *line)
{
    line += strspn(line, " \t");
    if (*line == '#')
        *line = 0;
    size_t n = strlen(line);
    while (n > 0 && strchr(" \t\r", line[n - 1]))
        line[--n] = 0;
    return line;
}

gen_status gen_picture_table_parse(gen_picture_table *t, char *text, const char *path)
{
    int number = 0;
    *t = (gen_picture_table){ 0 };
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        number++;
        line = trimmed(line);
        char *equals = strchr(line, '=');
        if (equals)
            *equals++ = 0;
        if (*line)
            GEN_TRY(equals ? take_key(t, path, number, line, equals)
                           : take_value(t, path, number, line));
    }
    if (t->colours)
        qsort(t->colour, t->colours, sizeof *t->colour, by_colour);
    return GEN_OK;
}

gen_status gen_picture_table_read(gen_picture_table *t, const char *path)
{
    char *text;
    uint64_t size;
    *t = (gen_picture_table){ 0 };
    GEN_TRY(gen_file_read(path, MAX_TABLE, &text, &size));
    gen_status status = gen_picture_table_parse(t, text, path);
    gen_free(text);
    return status;
}

void gen_picture_table_free(gen_picture_table *t)
{
    gen_free(t->units);
    gen_free(t->proj4);
    gen_free(t->colour);
    *t = (gen_picture_table){ 0 };
}

float gen_picture_table_colour(const gen_picture_table *t, uint32_t rgb)
{
    const gen_picture_colour key = { .rgb = rgb };
    const gen_picture_colour *found =
        t->colours ? bsearch(&key, t->colour, t->colours, sizeof key, by_colour) : NULL;
    return found ? found->value : NAN;
}

float gen_picture_table_entry(const gen_picture_table *t, int index, uint32_t rgb)
{
    return t->known[index] ? t->value[index] : gen_picture_table_colour(t, rgb);
}

gen_status gen_picture_table_describe(gen_radar_file *f, const gen_picture_table *t)
{
    f->quantity = t->quantity;
    f->interval = t->interval;
    f->zr_a = t->zr_a;
    f->zr_b = t->zr_b;
    GEN_TRY(gen_strdup(&f->name, "picture"));
    if (t->units)
        GEN_TRY(gen_strdup(&f->units, t->units));
    if (t->proj4) {
        GEN_TRY(gen_strdup(&f->grid.proj4, t->proj4));
        f->grid.degrees = strstr(t->proj4, "+proj=longlat") || strstr(t->proj4, "+proj=latlong");
    }
    return gen_raster_axes(f, t->placed ? &t->edges : NULL);
}
