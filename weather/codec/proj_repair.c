/* SPDX-License-Identifier: Apache-2.0
 *
 * Repairs of PROJ strings: see proj_repair.h. KNMI writes "+a=6378.14 +b=6356.75 +x_0=0 y_0=0".
 */
#include "weather/codec/proj_repair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "weather/projection.h"

#define MAX_TEXT 1000
#define LEAST_AXIS 1e5 /* metres: less are kilometres */

bool gen_proj_is_degrees(const char *proj)
{
    static const char *const words[] = { "proj=longlat", "proj=latlong", "proj=lonlat",
                                         "proj=latlon" };
    for (int i = 0; i < GEN_LEN(words); i++)
        if (strstr(proj, words[i]))
            return true;
    return false;
}

/* The number behind "key=", or 0. */
static double number(const char *word, const char *key)
{
    size_t n = strlen(key);
    return strncmp(word, key, n) == 0 && word[n] == '=' ? strtod(word + n + 1, NULL) : 0;
}

static bool is_length(const char *word)
{
    static const char *const keys[] = { "a", "b", "R", "x_0", "y_0" };
    for (int i = 0; i < GEN_LEN(keys); i++)
        if (number(word, keys[i]) != 0)
            return true;
    return false;
}

static const char *next_word(const char *at, char word[64], bool *fits)
{
    at += strspn(at, " \t\n+");
    size_t n = strcspn(at, " \t\n");
    *fits = n < 64;
    snprintf(word, 64, "%.*s", *fits ? (int)n : 0, at);
    return at + n;
}

static bool in_kilometres(const char *proj)
{
    char word[64];
    bool fits = true;
    for (const char *at = proj; *at && fits;) {
        at = next_word(at, word, &fits);
        double axis = number(word, "a") + number(word, "R");
        if (axis > 0)
            return axis < LEAST_AXIS;
    }
    return false;
}

static gen_status tidy(const char *proj, char out[2 * MAX_TEXT])
{
    char word[64];
    bool fits = true, kilometres = in_kilometres(proj);
    size_t used = 0;
    for (const char *at = proj; *at && used < MAX_TEXT;) {
        at = next_word(at, word, &fits);
        if (!fits)
            return gen_fail(GEN_EDATA, "projection '%.100s' is none that PROJ understands", proj);
        if (!word[0] || (kilometres && strncmp(word, "units=", 6) == 0))
            continue;
        size_t key = strcspn(word, "=");
        if (kilometres && is_length(word))
            used += (size_t)snprintf(out + used, 100, "%s+%.*s=%.12g", used ? " " : "", (int)key,
                                     word, 1000 * strtod(word + key + 1, NULL));
        else
            used += (size_t)snprintf(out + used, 100, "%s+%s", used ? " " : "", word);
    }
    return GEN_OK;
}

gen_status gen_proj_repair(const char *proj, char **out)
{
    char text[2 * MAX_TEXT];
    gen_radar_grid g = { .proj4 = text };
    *out = NULL;
    if (strlen(proj) > MAX_TEXT)
        return gen_fail(GEN_EDATA, "projection of %zu bytes, expected at most %d", strlen(proj),
                        MAX_TEXT);
    if (strstr(proj, "proj="))
        GEN_TRY(tidy(proj, text));
    else
        snprintf(text, sizeof text, "%s", proj);
    return gen_projection_string(&g, out);
}
