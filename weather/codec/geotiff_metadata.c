/* SPDX-License-Identifier: Apache-2.0
 *
 * GDAL_METADATA: XML whose items have a name and, for those of a band, a role:
 *
 *     <Item name="SCALE" sample="0" role="scale">0.5</Item>       GDAL; also offset, unittype
 *     <Item name="Gain">0.5</Item>                                 FMI; Offset, Nodata, Undetect,
 *     <Item name="Quantity" unit="dBZ">...</Item>                  Observation time
 *
 * In FMI's files the XML stands in an item of itself, escaped.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "libgen/base/options.h"
#include "weather/codec/geotiff.h"

#define MAX_DEPTH 3 /* of XML in XML */

/* A piece of the XML. */
typedef struct piece {
    const char *p;
    size_t n;
} piece;

/* &lt; and the like, in place; false when there was none. */
static bool unescape(char *text)
{
    static const struct {
        const char *name;
        char c;
    } names[] = {
        { "&lt;", '<' }, { "&gt;", '>' }, { "&quot;", '"' }, { "&apos;", '\'' }, { "&amp;", '&' }
    };
    char *to = text;
    bool found = false;
    for (const char *from = text; *from;) {
        int i = 0;
        while (i < GEN_LEN(names) && strncmp(from, names[i].name, strlen(names[i].name)) != 0)
            i++;
        bool known = i < GEN_LEN(names);
        *to++ = known ? names[i].c : *from;
        from += known ? strlen(names[i].name) : 1;
        found = found || known;
    }
    *to = 0;
    return found;
}

/* The value of name="..." in a tag; p is NULL when it has none. */
static piece attribute(piece tag, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 1; i + n + 2 <= tag.n; i++) {
        const char *at = tag.p + i;
        if (at[-1] != ' ' || strncmp(at, name, n) != 0 || at[n] != '=' || at[n + 1] != '"')
            continue;
        const char *value = at + n + 2, *end = memchr(value, '"', (size_t)(tag.p + tag.n - value));
        if (end)
            return (piece){ value, (size_t)(end - value) };
    }
    return (piece){ NULL, 0 };
}

static bool equal(piece text, const char *word)
{
    return text.p && text.n == strlen(word) && strncasecmp(text.p, word, text.n) == 0;
}

/* The content of the first item with that name or role, and its tag. */
static bool item(const char *text, const char *name, piece *tag, piece *content)
{
    for (const char *p = text; (p = strstr(p, "<Item ")) != NULL; p++) {
        const char *close = strchr(p, '>'), *end = close ? strchr(close, '<') : NULL;
        if (!end)
            return false;
        *tag = (piece){ p, (size_t)(close - p) };
        *content = (piece){ close + 1, (size_t)(end - close - 1) };
        if (equal(attribute(*tag, "name"), name) || equal(attribute(*tag, "role"), name))
            return true;
    }
    return false;
}

/* Without blanks around it, cut to what `out` holds. */
static void copy(piece from, char *out, size_t size)
{
    while (from.n && (*from.p == ' ' || *from.p == '\n'))
        from = (piece){ from.p + 1, from.n - 1 };
    while (from.n && (from.p[from.n - 1] == ' ' || from.p[from.n - 1] == '\n'))
        from.n--;
    size_t n = from.n < size ? from.n : size - 1;
    memcpy(out, from.p, n);
    out[n] = 0;
}

gen_status gen_geotiff_number(const gen_radar_file *f, const char *what, const char *text,
                              double *out)
{
    char number[64];
    copy((piece){ text, strlen(text) }, number, sizeof number);
    if (strcasecmp(number, "nan") == 0) {
        *out = NAN;
        return GEN_OK;
    }
    if (gen_parse_real(number, what, 0, 0, out) != GEN_OK)
        return gen_fail(GEN_EDATA, "'%s': %s is '%.40s', expected a number", f->path, what, number);
    return GEN_OK;
}

static gen_status number_item(const gen_radar_file *f, const char *text, const char *name,
                              double *out)
{
    piece tag, content;
    char value[64];
    if (!item(text, name, &tag, &content))
        return GEN_OK;
    copy(content, value, sizeof value);
    return gen_geotiff_number(f, name, value, out);
}

static void text_item(const char *text, const char *name, char *out, size_t size)
{
    piece tag, content;
    if (!out[0] && item(text, name, &tag, &content))
        copy(content, out, size);
}

gen_status gen_geotiff_metadata(const gen_radar_file *f, char *text, geotiff_meaning *out)
{
    piece tag, content;
    for (int depth = 0; depth < MAX_DEPTH && unescape(text); depth++) {
    }
    GEN_TRY(number_item(f, text, "Gain", &out->scale));
    GEN_TRY(number_item(f, text, "scale", &out->scale));
    GEN_TRY(number_item(f, text, "offset", &out->offset)); /* FMI's and GDAL's */
    GEN_TRY(number_item(f, text, "Nodata", &out->missing));
    GEN_TRY(number_item(f, text, "Undetect", &out->nothing));
    text_item(text, "Observation time", out->time, sizeof out->time);
    text_item(text, "VALID_TIME", out->time, sizeof out->time);
    text_item(text, "unittype", out->units, sizeof out->units);
    text_item(text, "description", out->quantity, sizeof out->quantity);
    text_item(text, "Quantity", out->quantity, sizeof out->quantity);
    if (!out->units[0] && item(text, "Quantity", &tag, &content) && attribute(tag, "unit").p)
        copy(attribute(tag, "unit"), out->units, sizeof out->units);
    return GEN_OK;
}

gen_status gen_geotiff_time(const gen_radar_file *f, const char *text, int64_t *out)
{
    char digits[15] = "", iso[32];
    int n = 0;
    for (const char *p = text; *p; p++)
        if (*p >= '0' && *p <= '9' && n < 15)
            digits[n++ < 14 ? n - 1 : 14] = *p;
    bool only = strspn(text, "0123456789:-T Z") == strlen(text);
    digits[14] = 0;
    if (n == 12)
        memcpy(digits + 12, "00", 2);
    snprintf(iso, sizeof iso, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", digits, digits + 4, digits + 6,
             digits + 8, digits + 10, digits + 12);
    if (!only || (n != 12 && n != 14) || gen_time_parse(iso, out) != GEN_OK)
        return gen_fail(GEN_EDATA,
                        "'%s': its time is '%.60s', expected one as 2016-09-28T14:45:00Z", f->path,
                        text);
    return GEN_OK;
}
