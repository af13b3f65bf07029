/* SPDX-License-Identifier: Apache-2.0
 *
 * PROJ strings and the grid mappings of CF 1.8 (appendix F): one table, read in both directions.
 * What the table cannot say exactly (a Lambert cone of one parallel with a scale, a double
 * stereographic) goes into crs_wkt alone.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "libgen/base/json.h"
#include "weather/projection.h"

#define MAX_STRING 2000 /* bytes of a PROJ string */
#define MAX_PARTS 64
#define MAX_KEY 32
#define MAX_VALUE 128

typedef struct part {
    char key[MAX_KEY], value[MAX_VALUE];
} part;

/* A PROJ string in parts. */
typedef struct parts {
    int n;
    part part[MAX_PARTS];
} parts;

typedef struct parameter {
    const char *cf, *proj;
    double preset;
    double offset; /* degrees from PROJ's angle to CF's */
} parameter;

#define PLACE                                                                                      \
    { "false_easting", "x_0", 0, 0 },                                                              \
    {                                                                                              \
        "false_northing", "y_0", 0, 0                                                              \
    }
#define CENTRE                                                                                     \
    { "latitude_of_projection_origin", "lat_0", 0, 0 },                                            \
    {                                                                                              \
        "longitude_of_projection_origin", "lon_0", 0, 0                                            \
    }
#define CONE                                                                                       \
    { "standard_parallel", "lat_1", 0, 0 }, { "latitude_of_projection_origin", "lat_0", 0, 0 },    \
    {                                                                                              \
        "longitude_of_central_meridian", "lon_0", 0, 0                                             \
    }
#define SCALE                                                                                      \
    {                                                                                              \
        "scale_factor_at_projection_origin", "k_0", 1, 0                                           \
    }

static const struct mapping {
    const char *cf, *proj;
    parameter parameter[7];
} mappings[] = {
    { "latitude_longitude", "longlat", { { 0 } } },
    { "albers_conical_equal_area", "aea", { CONE, PLACE } },
    { "azimuthal_equidistant", "aeqd", { CENTRE, PLACE } },
    { "geostationary", "geos", { CENTRE, { "perspective_point_height", "h", 0, 0 }, PLACE } },
    { "lambert_azimuthal_equal_area", "laea", { CENTRE, PLACE } },
    { "lambert_conformal_conic", "lcc", { CONE, PLACE } },
    { "lambert_cylindrical_equal_area",
      "cea",
      { { "longitude_of_central_meridian", "lon_0", 0, 0 },
        { "standard_parallel", "lat_ts", 0, 0 },
        SCALE,
        PLACE } },
    { "mercator",
      "merc",
      { { "longitude_of_projection_origin", "lon_0", 0, 0 },
        { "standard_parallel", "lat_ts", 0, 0 },
        SCALE,
        PLACE } },
    { "oblique_mercator",
      "omerc",
      { { "azimuth_of_central_line", "alpha", 0, 0 },
        { "latitude_of_projection_origin", "lat_0", 0, 0 },
        { "longitude_of_projection_origin", "lonc", 0, 0 },
        SCALE,
        PLACE } },
    { "orthographic", "ortho", { CENTRE, PLACE } },
    { "polar_stereographic",
      "stere",
      { { "straight_vertical_longitude_from_pole", "lon_0", 0, 0 },
        { "latitude_of_projection_origin", "lat_0", 90, 0 },
        { "standard_parallel", "lat_ts", 90, 0 },
        SCALE,
        PLACE } },
    { "rotated_latitude_longitude",
      "ob_tran",
      { { "grid_north_pole_latitude", "o_lat_p", 90, 0 },
        { "grid_north_pole_longitude", "lon_0", 0, -180 },
        { "north_pole_grid_longitude", "o_lon_p", 0, 0 } } },
    { "sinusoidal", "sinu", { { "longitude_of_projection_origin", "lon_0", 0, 0 }, PLACE } },
    { "stereographic", "stere", { CENTRE, SCALE, PLACE } },
    { "transverse_mercator",
      "tmerc",
      { { "latitude_of_projection_origin", "lat_0", 0, 0 },
        { "longitude_of_central_meridian", "lon_0", 0, 0 },
        { "scale_factor_at_central_meridian", "k_0", 1, 0 },
        PLACE } },
    { "vertical_perspective",
      "nsper",
      { CENTRE, { "perspective_point_height", "h", 0, 0 }, PLACE } },
};

/* ---- a PROJ string in parts --------------------------------------------------------------- */

static bool one_of(const char *word, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

static const part *find(const parts *p, const char *key)
{
    for (int i = 0; i < p->n; i++)
        if (strcmp(p->part[i].key, key) == 0)
            return &p->part[i];
    return NULL;
}

static const char *text_of(const parts *p, const char *key)
{
    const part *found = find(p, key);
    return found ? found->value : "";
}

/* Degrees, metres or a factor. */
static gen_status number_of(const parts *p, const char *key, double preset, double *out)
{
    const part *found = find(p, key);
    *out = preset;
    if (!found || gen_parse_real(found->value, key, 0, 0, out) == GEN_OK ||
        gen_proj_angle(found->value, out))
        return GEN_OK;
    return gen_fail(GEN_EDATA, "projection: +%s is '%.40s', expected a number", key, found->value);
}

static gen_status put(parts *p, const char *key, const char *value)
{
    part *to = (part *)find(p, key);
    if (!to && p->n == MAX_PARTS)
        return gen_fail(GEN_EDATA, "projection of more than %d parts", MAX_PARTS);
    if (strlen(key) >= MAX_KEY || strlen(value) >= MAX_VALUE)
        return gen_fail(GEN_EDATA, "projection: '+%.40s=%.40s' is too long", key, value);
    to = to ? to : &p->part[p->n++];
    snprintf(to->key, sizeof to->key, "%s", key);
    snprintf(to->value, sizeof to->value, "%s", value);
    return GEN_OK;
}

static gen_status put_number(parts *p, const char *key, double v)
{
    char text[GEN_REAL_TEXT];
    return put(p, key, gen_real_text(v, text));
}

static gen_status join(const parts *p, char **out)
{
    size_t size = (size_t)p->n * (MAX_KEY + MAX_VALUE + 3) + 1, used = 0;
    GEN_TRY(GEN_ALLOC(out, size, "projection"));
    for (int i = 0; i < p->n; i++)
        used += (size_t)snprintf(*out + used, size - used, "%s+%s%s%s", i ? " " : "",
                                 p->part[i].key, p->part[i].value[0] ? "=" : "", p->part[i].value);
    return GEN_OK;
}

/* Units and the order of axes belong to x and y, which are metres to the east and the north here;
 * the rest says nothing about the projection. */
static const char *const dropped[] = { "units",   "to_meter", "vunits", "vto_meter", "axis",
                                       "no_defs", "wktext",   "type",   "title",     NULL };
static const char *const earth_keys[] = { "a", "b", "rf",    "f",     "es",
                                          "e", "R", "ellps", "datum", NULL };

/* Parts that make PROJ open a file that the string names, or do more than project. */
static bool forbidden(const char *key, const char *value)
{
    static const char *const keys[] = { "init", "model", "file", "catalog", "step", NULL };
    size_t n = strlen(key);
    return one_of(key, keys) || (n >= 5 && strcmp(key + n - 5, "grids") == 0) ||
           strcmp(value, "pipeline") == 0;
}

static gen_status add_part(parts *p, const char *word, size_t n)
{
    char key[MAX_KEY], value[MAX_VALUE] = "";
    const char *equals = memchr(word, '=', n);
    size_t key_size = equals ? (size_t)(equals - word) : n, size = equals ? n - key_size - 1 : 0;
    if (key_size == 0 || key_size >= sizeof key || size >= sizeof value)
        return gen_fail(GEN_EDATA, "projection: '%.*s' is no part of a PROJ string",
                        n > 60 ? 60 : (int)n, word);
    memcpy(key, word, key_size);
    key[key_size] = 0;
    if (equals)
        memcpy(value, equals + 1, size);
    value[size] = 0;
    if (one_of(key, dropped) || (strcmp(key, "nadgrids") == 0 && strcmp(value, "@null") == 0))
        return GEN_OK;
    if (forbidden(key, value))
        return gen_fail(GEN_EDATA, "projection: '+%s=%.60s' is not allowed in a file", key, value);
    if (find(p, key)) /* PROJ takes the first */
        return GEN_OK;
    return put(p, strcmp(key, "k") == 0 ? "k_0" : key, value);
}

/* PROJ reads a word as 0. */
static const char *const numeric[] = { "lat_0", "lon_0", "lat_1", "lat_2",   "lat_ts",
                                       "x_0",   "y_0",   "k_0",   "alpha",   "gamma",
                                       "lonc",  "h",     "zone",  "o_lat_p", "o_lon_p",
                                       "a",     "b",     "rf",    "R",       NULL };

/* PROJ projects with a parallel in the hemisphere of the pole, whatever its sign, but writes WKT of
 * the other pole. */
static gen_status settle_pole(parts *p)
{
    double pole, parallel;
    if (strcmp(text_of(p, "proj"), "stere") != 0 || !find(p, "lat_ts"))
        return GEN_OK;
    GEN_TRY(number_of(p, "lat_0", 0, &pole));
    GEN_TRY(number_of(p, "lat_ts", 0, &parallel));
    if (fabs(fabs(pole) - 90) > 1e-9 || pole * parallel >= 0)
        return GEN_OK;
    return put_number(p, "lat_ts", -parallel);
}

static gen_status split(const char *text, parts *p)
{
    p->n = 0;
    for (const char *at = text; *at;) {
        size_t blank = strspn(at, " \t\r\n+"), n = strcspn(at + blank, " \t\r\n");
        if (n)
            GEN_TRY(add_part(p, at + blank, n));
        at += blank + n;
    }
    bool figure = false;
    for (int i = 0; i < p->n; i++) {
        double v;
        figure = figure || one_of(p->part[i].key, earth_keys);
        if (one_of(p->part[i].key, numeric))
            GEN_TRY(number_of(p, p->part[i].key, 0, &v));
    }
    if (!figure)
        GEN_TRY(put(p, "datum", "WGS84"));
    GEN_TRY(settle_pole(p));
    return find(p, "proj") ? GEN_OK
                           : gen_fail(GEN_EDATA, "projection '%.100s' has no +proj=", text);
}

/* From a file's text: a PROJ string, "+init=epsg:3067", "EPSG:3067" or WKT. */
static gen_status split_any(const char *text, parts *p)
{
    char code[40];
    char *proj = NULL;
    unsigned number;
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < 32 && !strchr("\t\r\n", text[i]))
            return gen_fail(GEN_EDATA, "projection: a text with control characters");
    const char *init = strstr(text, "init=epsg:");
    init = init ? init : strstr(text, "init=EPSG:");
    if (init && sscanf(init + 10, "%6u", &number) == 1)
        snprintf(code, sizeof code, "EPSG:%u", number);
    else if (strncmp(text, "EPSG:", 5) == 0 && sscanf(text + 5, "%6u", &number) == 1)
        snprintf(code, sizeof code, "EPSG:%u", number);
    else if (strchr(text, '['))
        code[0] = 0;
    else if (n <= MAX_STRING)
        return split(text, p);
    else
        return gen_fail(GEN_EDATA, "projection of %zu bytes, expected at most %d", n, MAX_STRING);
    GEN_TRY(gen_proj_from_wkt(code[0] ? code : text, &proj));
    gen_status status = split(proj, p);
    gen_free(proj);
    return status;
}

static gen_status finish(parts *p, char **out)
{
    static const char *const degrees[] = {
        "longlat", "latlong", "lonlat", "latlon", "ob_tran", NULL
    };
    if (!one_of(text_of(p, "proj"), degrees))
        GEN_TRY(put(p, "units", "m"));
    GEN_TRY(put(p, "no_defs", ""));
    return join(p, out);
}

/* ---- CF to PROJ --------------------------------------------------------------------------- */

/* One or two numbers; *n is 0 when there is no such attribute. */
static gen_status attribute(const gen_json *attributes, const char *name, double v[2], int *n)
{
    const gen_json *found = gen_json_get(attributes, name);
    *n = 0;
    if (!found)
        return GEN_OK;
    if (gen_json_kind_of(found) != GEN_JSON_ARRAY) {
        *n = 1;
        return gen_json_real(attributes, name, v);
    }
    for (const gen_json *e = gen_json_first(found); e; e = gen_json_next(e)) {
        if (*n == 2)
            return gen_fail(GEN_EDATA, "attribute '%s' holds more than 2 numbers", name);
        GEN_TRY(gen_json_real(e, NULL, &v[(*n)++]));
    }
    return GEN_OK;
}

static gen_status earth_from_cf(const gen_json *cf, parts *p)
{
    double radius[2], a[2], b[2], flattening[2], pm[2];
    int has_radius, has_a, has_b, has_flattening, has_pm;
    GEN_TRY(attribute(cf, "earth_radius", radius, &has_radius));
    GEN_TRY(attribute(cf, "semi_major_axis", a, &has_a));
    GEN_TRY(attribute(cf, "semi_minor_axis", b, &has_b));
    GEN_TRY(attribute(cf, "inverse_flattening", flattening, &has_flattening));
    GEN_TRY(attribute(cf, "longitude_of_prime_meridian", pm, &has_pm));
    if (has_a) {
        GEN_TRY(put_number(p, "a", a[0]));
        if (has_flattening && flattening[0] > 0)
            GEN_TRY(put_number(p, "rf", flattening[0]));
        else
            GEN_TRY(put_number(p, "b", has_b ? b[0] : a[0]));
    } else if (has_radius) {
        GEN_TRY(put_number(p, "R", radius[0]));
    } else {
        GEN_TRY(put(p, "datum", "WGS84"));
    }
    if (has_pm && pm[0] != 0)
        GEN_TRY(put_number(p, "pm", pm[0]));
    const gen_json *shift = gen_json_get(cf, "towgs84");
    char text[MAX_VALUE] = "", number[GEN_REAL_TEXT];
    size_t used = 0;
    if (!shift || gen_json_kind_of(shift) != GEN_JSON_ARRAY)
        return GEN_OK;
    for (const gen_json *e = gen_json_first(shift); e && used < sizeof text; e = gen_json_next(e)) {
        double v;
        GEN_TRY(gen_json_real(e, NULL, &v));
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", used ? "," : "",
                                 gen_real_text(v, number));
    }
    return put(p, "towgs84", text);
}

/* An axis that CF names and PROJ too; a sweep along x is fixed along y. */
static gen_status sweep_from_cf(const gen_json *cf, parts *p)
{
    const char *text = "y";
    if (gen_json_get(cf, "sweep_angle_axis")) {
        GEN_TRY(gen_json_string(cf, "sweep_angle_axis", &text));
    } else if (gen_json_get(cf, "fixed_angle_axis")) {
        GEN_TRY(gen_json_string(cf, "fixed_angle_axis", &text));
        text = strcmp(text, "x") == 0 ? "y" : "x";
    }
    return put(p, "sweep", strcmp(text, "x") == 0 ? "x" : "y");
}

/* A name that files use for another one of the table. */
static const char *other_name(const char *cf)
{
    static const char *const others[][2] = {
        { "longitude_of_central_meridian", "longitude_of_projection_origin" },
        { "longitude_of_projection_origin", "longitude_of_central_meridian" },
        { "straight_vertical_longitude_from_pole", "longitude_of_projection_origin" },
        { "scale_factor_at_central_meridian", "scale_factor_at_projection_origin" },
    };
    for (int i = 0; i < GEN_LEN(others); i++)
        if (strcmp(cf, others[i][0]) == 0)
            return others[i][1];
    return cf;
}

static gen_status parameter_from_cf(const gen_json *cf, const parameter *a, parts *p)
{
    double v[2];
    int n;
    GEN_TRY(attribute(cf, a->cf, v, &n));
    if (n == 0)
        GEN_TRY(attribute(cf, other_name(a->cf), v, &n));
    if (n == 0)
        return GEN_OK;
    if (a->offset != 0)
        v[0] = fmod(v[0] - a->offset + 540, 360) - 180;
    GEN_TRY(put_number(p, a->proj, v[0]));
    return strcmp(a->proj, "lat_1") == 0 ? put_number(p, "lat_2", v[n - 1]) : GEN_OK;
}

/* A parallel beside a scale factor is the one where the scale counts: PROJ would take the parallel
 * alone. */
static gen_status keep_scale(parts *p)
{
    double k;
    part *parallel = (part *)find(p, "lat_ts");
    GEN_TRY(number_of(p, "k_0", 1, &k));
    if (parallel && k != 1)
        *parallel = p->part[--p->n];
    return GEN_OK;
}

/* A cone of one parallel is tangent there, when nothing else is said. Swiss oblique Mercator has a
 * name of its own in PROJ. */
static gen_status adjust_from_cf(const struct mapping *m, const gen_json *cf, parts *p)
{
    double alpha;
    GEN_TRY(keep_scale(p));
    if (strcmp(m->proj, "geos") == 0)
        return sweep_from_cf(cf, p);
    if (strcmp(m->proj, "ob_tran") == 0)
        return put(p, "o_proj", "longlat");
    if (strcmp(m->proj, "lcc") == 0 && !find(p, "lat_0"))
        return put(p, "lat_0", text_of(p, "lat_1"));
    if (strcmp(m->cf, "polar_stereographic") == 0 && !find(p, "lat_0"))
        return put_number(p, "lat_0", text_of(p, "lat_ts")[0] == '-' ? -90 : 90);
    if (strcmp(m->proj, "omerc") != 0)
        return GEN_OK;
    GEN_TRY(number_of(p, "alpha", 0, &alpha));
    if (alpha != 90)
        return GEN_OK;
    GEN_TRY(put(p, "proj", "somerc"));
    part *centre = (part *)find(p, "lonc");
    if (centre)
        snprintf(centre->key, sizeof centre->key, "lon_0");
    return GEN_OK;
}

static gen_status from_cf(const gen_json *cf, parts *p)
{
    const char *name = "", *text;
    if (gen_json_get(cf, "grid_mapping_name"))
        GEN_TRY(gen_json_string(cf, "grid_mapping_name", &name));
    for (int i = 0; i < GEN_LEN(mappings); i++) {
        const struct mapping *m = &mappings[i];
        if (strcmp(name, m->cf) != 0)
            continue;
        p->n = 0;
        GEN_TRY(put(p, "proj", m->proj));
        for (const parameter *a = m->parameter; a < m->parameter + 7 && a->cf; a++)
            GEN_TRY(parameter_from_cf(cf, a, p));
        GEN_TRY(adjust_from_cf(m, cf, p));
        return earth_from_cf(cf, p);
    }
    static const char *const texts[] = { "crs_wkt",   "spatial_ref",  "proj4",
                                         "proj4text", "proj4_params", NULL };
    for (int i = 0; texts[i]; i++)
        if (gen_json_get(cf, texts[i])) {
            GEN_TRY(gen_json_string(cf, texts[i], &text));
            return split_any(text, p);
        }
    return gen_fail(GEN_EDATA, "grid_mapping_name '%.60s' is none of CF's, and there is no crs_wkt",
                    name);
}

gen_status gen_projection_string(const gen_radar_grid *g, char **out)
{
    gen_status status;
    gen_json *cf = NULL;
    parts *p = NULL;
    *out = NULL;
    if (!g->proj4 && !g->attributes)
        return GEN_OK;
    GEN_TRY(GEN_ALLOC(&p, 1, "projection"));
    if (g->proj4) {
        GEN_GOTO(split_any(g->proj4, p));
    } else {
        GEN_GOTO(gen_json_parse(&cf, g->attributes, strlen(g->attributes), 1 << 24));
        GEN_GOTO(from_cf(cf, p));
    }
    GEN_GOTO(finish(p, out));
done:
    gen_json_free(&cf);
    gen_free(p);
    return status;
}

/* ---- PROJ to CF --------------------------------------------------------------------------- */

/* Other names of a projection of the table. */
static gen_status normalise(parts *p)
{
    const char *name = text_of(p, "proj");
    double zone, lat;
    if (strcmp(name, "utm") == 0 && find(p, "zone")) {
        bool south = find(p, "south") != NULL;
        GEN_TRY(number_of(p, "zone", 0, &zone));
        GEN_TRY(put(p, "proj", "tmerc"));
        GEN_TRY(put_number(p, "lon_0", 6 * zone - 183));
        GEN_TRY(put(p, "k_0", "0.9996"));
        GEN_TRY(put(p, "x_0", "500000"));
        return put(p, "y_0", south ? "10000000" : "0");
    }
    if (strcmp(name, "ups") == 0) {
        GEN_TRY(put(p, "lat_0", find(p, "south") ? "-90" : "90"));
        GEN_TRY(put(p, "k_0", "0.994"));
        GEN_TRY(put(p, "x_0", "2000000"));
        GEN_TRY(put(p, "y_0", "2000000"));
        return put(p, "proj", "stere");
    }
    if (strcmp(name, "somerc") == 0) {
        GEN_TRY(put(p, "lonc", find(p, "lon_0") ? text_of(p, "lon_0") : "0"));
        GEN_TRY(put(p, "alpha", "90"));
        return put(p, "proj", "omerc");
    }
    if (strcmp(name, "aea") == 0 && !find(p, "lat_2"))
        return put(p, "lat_2", "0");
    if (strcmp(name, "lcc") == 0 && !find(p, "lat_2") && !find(p, "lat_0")) {
        GEN_TRY(number_of(p, "lat_1", 0, &lat));
        return put_number(p, "lat_0", lat);
    }
    if (strcmp(name, "etmerc") == 0)
        return put(p, "proj", "tmerc");
    if (name[0] == 'l' && (strcmp(name, "latlong") == 0 || strcmp(name, "lonlat") == 0 ||
                           strcmp(name, "latlon") == 0))
        return put(p, "proj", "longlat");
    return GEN_OK;
}

/* Does the mapping say all that the string says? */
static gen_status says_all(const struct mapping *m, const parts *p, bool *all)
{
    static const char *const harmless[] = { "proj",  "over",  "approx",  "lat_0", "lon_0",
                                            "lat_1", "lat_2", "lat_ts",  "pm",    "towgs84",
                                            "zone",  "south", "no_defs", "sweep", "o_proj",
                                            "h",     NULL };
    double k, alpha, gamma;
    *all = true;
    for (int i = 0; i < p->n && *all; i++) {
        const char *key = p->part[i].key;
        bool known = one_of(key, harmless) || one_of(key, earth_keys);
        for (const parameter *a = m->parameter; a < m->parameter + 7 && a->cf; a++)
            known = known || strcmp(key, a->proj) == 0;
        if (!known && strcmp(key, "k_0") == 0) {
            GEN_TRY(number_of(p, key, 1, &k));
            known = k == 1;
        }
        if (!known && strcmp(key, "gamma") == 0 && find(p, "alpha")) {
            GEN_TRY(number_of(p, "gamma", 0, &gamma));
            GEN_TRY(number_of(p, "alpha", 0, &alpha));
            known = gamma == alpha;
        }
        *all = known;
    }
    return GEN_OK;
}

static gen_status mapping_of(const parts *p, const struct mapping **out)
{
    const char *name = text_of(p, "proj");
    double lat;
    bool all;
    *out = NULL;
    GEN_TRY(number_of(p, "lat_0", 0, &lat));
    bool polar = fabs(fabs(lat) - 90) < 1e-9;
    static const char *const turned[] = { "longlat", "latlong", "lonlat", "latlon", NULL };
    if (strcmp(name, "ob_tran") == 0 && !one_of(text_of(p, "o_proj"), turned))
        return GEN_OK;
    for (int i = 0; i < GEN_LEN(mappings); i++) {
        const struct mapping *m = &mappings[i];
        if (strcmp(name, m->proj) != 0 ||
            (strcmp(name, "stere") == 0 && polar != (strcmp(m->cf, "polar_stereographic") == 0)))
            continue;
        GEN_TRY(says_all(m, p, &all));
        *out = all ? m : NULL;
    }
    return GEN_OK;
}

static gen_status earth_to_cf(gen_json_writer *w, const char *proj, const parts *p)
{
    gen_earth e;
    GEN_TRY(gen_proj_earth(proj, &e));
    if (e.inverse_flattening > 0) {
        gen_json_put_real(w, "semi_major_axis", e.a);
        gen_json_put_real(w, "semi_minor_axis", e.b);
        gen_json_put_real(w, "inverse_flattening", e.inverse_flattening);
    } else {
        gen_json_put_real(w, "earth_radius", e.a);
    }
    gen_json_put_real(w, "longitude_of_prime_meridian", e.prime_meridian);
    const char *shift = text_of(p, "towgs84");
    char number[MAX_VALUE];
    if (!shift[0])
        return GEN_OK;
    gen_json_open(w, "towgs84", '[');
    for (const char *at = shift; *at;) {
        size_t n = strcspn(at, ",");
        double v;
        snprintf(number, sizeof number, "%.*s", (int)n, at);
        GEN_TRY(gen_parse_real(number, "projection: +towgs84", 0, 0, &v));
        gen_json_put_real(w, NULL, v);
        at += n + (at[n] == ',');
    }
    gen_json_close(w, ']');
    return GEN_OK;
}

static gen_status parallels_to_cf(gen_json_writer *w, const parts *p)
{
    double first, second;
    GEN_TRY(number_of(p, "lat_1", 0, &first));
    GEN_TRY(number_of(p, "lat_2", 0, &second));
    if (!find(p, "lat_2")) {
        gen_json_put_real(w, "standard_parallel", first);
        return GEN_OK;
    }
    gen_json_open(w, "standard_parallel", '[');
    gen_json_put_real(w, NULL, first);
    gen_json_put_real(w, NULL, second);
    gen_json_close(w, ']');
    return GEN_OK;
}

/* A parallel at true scale or a scale factor, not both: PROJ takes the parallel. */
static bool left_out(const struct mapping *m, const parts *p, const parameter *a)
{
    bool both = false;
    for (const parameter *b = m->parameter; b < m->parameter + 7 && b->cf; b++)
        both = both || strcmp(b->proj, "lat_ts") == 0;
    bool by_scale = find(p, "k_0") && !find(p, "lat_ts");
    return both && ((strcmp(a->proj, "lat_ts") == 0 && by_scale) ||
                    (strcmp(a->proj, "k_0") == 0 && !by_scale));
}

static gen_status parameter_to_cf(gen_json_writer *w, const struct mapping *m, const parts *p,
                                  const parameter *a)
{
    double v;
    if (left_out(m, p, a))
        return GEN_OK;
    if (strcmp(a->proj, "lat_1") == 0)
        return parallels_to_cf(w, p);
    GEN_TRY(number_of(p, a->proj, a->preset, &v));
    if (a->offset != 0)
        v = fmod(v + a->offset + 540, 360) - 180;
    gen_json_put_real(w, a->cf, v);
    return GEN_OK;
}

static gen_status mapping_to_cf(gen_json_writer *w, const struct mapping *m, const parts *p)
{
    gen_json_put_string(w, "grid_mapping_name", m->cf);
    for (const parameter *a = m->parameter; a < m->parameter + 7 && a->cf; a++)
        GEN_TRY(parameter_to_cf(w, m, p, a));
    if (strcmp(m->proj, "geos") == 0)
        gen_json_put_string(w, "sweep_angle_axis", find(p, "sweep") ? text_of(p, "sweep") : "y");
    return GEN_OK;
}

gen_status gen_projection_cf(const char *text, char **name, char **attributes)
{
    gen_status status;
    gen_json_writer w = { 0 };
    const struct mapping *m;
    char *proj = NULL, *wkt = NULL;
    parts *p = NULL;
    *name = *attributes = NULL;
    GEN_GOTO(GEN_ALLOC(&p, 1, "projection"));
    GEN_GOTO(split_any(text, p));
    GEN_GOTO(join(p, &proj));
    GEN_GOTO(gen_proj_to_wkt(proj, &wkt));
    GEN_GOTO(normalise(p));
    GEN_GOTO(mapping_of(p, &m));
    gen_json_open(&w, NULL, '{');
    if (m)
        GEN_GOTO(mapping_to_cf(&w, m, p));
    GEN_GOTO(earth_to_cf(&w, proj, p));
    gen_json_put_string(&w, "crs_wkt", wkt);
    gen_json_close(&w, '}');
    if (m)
        GEN_GOTO(gen_strdup(name, m->cf));
    GEN_GOTO(gen_json_finish(&w, attributes));
done:
    if (status != GEN_OK) {
        char *unfinished = NULL;
        (void)gen_json_finish(&w, &unfinished);
        gen_free(unfinished);
        gen_free(*name);
        *name = NULL;
    }
    gen_free(p);
    gen_free(proj);
    gen_free(wkt);
    return status;
}
