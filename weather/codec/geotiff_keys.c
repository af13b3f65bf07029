/* SPDX-License-Identifier: Apache-2.0
 *
 * Geo keys of GeoTIFF 1.1 as PROJ strings, and back. libgeotiff reads and writes the keys and looks
 * codes up; strings are made here, because those of libgeotiff (1.7) overflow on long numbers and
 * round scales to six digits.
 */
#include <geotiff/geo_normalize.h>
#include <geotiff/geotiff.h>
#include <geotiff/geovalues.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "libgen/base/options.h"
#include "weather/codec/geotiff.h"
#include "weather/projection.h"

#define MAX_PROJ 512
#define PARAMETERS 7 /* of GTIFDefn.ProjParm that mean something */

/* A parameter: its PROJ name, and its key; without a name it must be `always`. Places are those of
 * GTIFDefn.ProjParm. */
typedef struct parameter {
    const char *name;
    geokey_t key;
    double always;
} parameter;

#define FALSE_EN                                                                                   \
    { "x_0", ProjFalseEastingGeoKey },                                                             \
    {                                                                                              \
        "y_0", ProjFalseNorthingGeoKey                                                             \
    }
#define SCALE                                                                                      \
    {                                                                                              \
        "k_0", ProjScaleAtNatOriginGeoKey                                                          \
    }
#define ORIGIN                                                                                     \
    { "lat_0", ProjNatOriginLatGeoKey },                                                           \
    {                                                                                              \
        "lon_0", ProjNatOriginLongGeoKey                                                           \
    }
#define CENTRE                                                                                     \
    { "lat_0", ProjCenterLatGeoKey },                                                              \
    {                                                                                              \
        "lon_0", ProjCenterLongGeoKey                                                              \
    }
#define NONE                                                                                       \
    {                                                                                              \
        NULL, 0                                                                                    \
    }

/* Of rows with the same PROJ name the first is written that `values_of` finds fit. */
static const struct method {
    int code;
    const char *proj;
    parameter parameters[PARAMETERS];
} methods[] = {
    { CT_TransverseMercator, "tmerc", { ORIGIN, NONE, NONE, SCALE, FALSE_EN } },
    { CT_Mercator,
      "merc",
      { NONE,
        { "lon_0", ProjNatOriginLongGeoKey },
        { "lat_ts", ProjStdParallel1GeoKey },
        NONE,
        SCALE,
        FALSE_EN } },
    { CT_LambertConfConic_2SP,
      "lcc",
      { { "lat_0", ProjFalseOriginLatGeoKey },
        { "lon_0", ProjFalseOriginLongGeoKey },
        { "lat_1", ProjStdParallel1GeoKey },
        { "lat_2", ProjStdParallel2GeoKey },
        NONE,
        { "x_0", ProjFalseOriginEastingGeoKey },
        { "y_0", ProjFalseOriginNorthingGeoKey } } },
    { CT_LambertConfConic_1SP, "lcc", { ORIGIN, NONE, NONE, SCALE, FALSE_EN } },
    { CT_LambertAzimEqualArea, "laea", { CENTRE, NONE, NONE, NONE, FALSE_EN } },
    { CT_AlbersEqualArea,
      "aea",
      { { "lat_1", ProjStdParallel1GeoKey },
        { "lat_2", ProjStdParallel2GeoKey },
        ORIGIN,
        NONE,
        FALSE_EN } },
    { CT_AzimuthalEquidistant, "aeqd", { CENTRE, NONE, NONE, NONE, FALSE_EN } },
    { CT_PolarStereographic,
      "stere",
      { { "lat_ts", ProjNatOriginLatGeoKey },
        { "lon_0", ProjStraightVertPoleLongGeoKey },
        NONE,
        NONE,
        SCALE,
        FALSE_EN } },
    { CT_Stereographic, "stere", { CENTRE, NONE, NONE, SCALE, FALSE_EN } },
    { CT_ObliqueStereographic, "sterea", { ORIGIN, NONE, NONE, SCALE, FALSE_EN } },
    { CT_Equirectangular,
      "eqc",
      { CENTRE, { "lat_ts", ProjStdParallel1GeoKey }, NONE, NONE, FALSE_EN } },
    { CT_Gnomonic, "gnom", { CENTRE, NONE, NONE, NONE, FALSE_EN } },
    { CT_HotineObliqueMercatorAzimuthCenter,
      "somerc",
      { CENTRE,
        { NULL, ProjAzimuthAngleGeoKey, 90 },
        { NULL, ProjRectifiedGridAngleGeoKey, 90 },
        { "k_0", ProjScaleAtCenterGeoKey },
        FALSE_EN } },
};

/* ---- reading ------------------------------------------------------------------------------- */

static void no_geo_error(GTIF *keys, int level, const char *format, ...)
{
    (void)keys;
    (void)level;
    (void)format;
}

typedef struct text {
    char s[MAX_PROJ];
    size_t n;
} text;

static void add(text *t, const char *name, double value)
{
    char number[GEN_REAL_TEXT];
    t->n += (size_t)snprintf(t->s + t->n, MAX_PROJ - t->n, " +%s=%s", name,
                             gen_real_text(value, number));
}

static void add_ellipsoid(text *t, const GTIFDefn *d)
{
    if (!(d->SemiMajor > 0))
        t->n += (size_t)snprintf(t->s + t->n, MAX_PROJ - t->n, " +ellps=WGS84");
    else if (d->Ellipsoid == Ellipse_WGS_84 || d->Ellipsoid == Ellipse_GRS_1980)
        t->n += (size_t)snprintf(t->s + t->n, MAX_PROJ - t->n, " +ellps=%s",
                                 d->Ellipsoid == Ellipse_WGS_84 ? "WGS84" : "GRS80");
    else if (d->SemiMajor == d->SemiMinor)
        add(t, "R", d->SemiMajor);
    else {
        add(t, "a", d->SemiMajor);
        add(t, "b", d->SemiMinor > 0 ? d->SemiMinor : d->SemiMajor);
    }
    if (d->PMLongToGreenwich != 0)
        add(t, "pm", d->PMLongToGreenwich);
}

/* The method and parameters of a system without a code. */
static gen_status from_parameters(const GTIFDefn *d, char **out)
{
    const struct method *m = NULL;
    text t = { .n = 0 };
    const double *v = d->ProjParm;
    for (int i = 0; i < GEN_LEN(methods) && !m; i++)
        if (methods[i].code == d->CTProjection)
            m = &methods[i];
    if (!m)
        return gen_fail(GEN_EDATA, "coordinate transformation %d is none that we know",
                        d->CTProjection);
    t.n = (size_t)snprintf(t.s, MAX_PROJ, "+proj=%s", m->proj);
    if (m->code == CT_PolarStereographic)
        add(&t, "lat_0", v[0] < 0 ? -90 : 90);
    if (m->code == CT_LambertConfConic_1SP)
        add(&t, "lat_1", v[0]);
    for (int i = 0; i < PARAMETERS; i++) { /* of scale and lat_ts one is not there: 0 */
        const char *name = m->parameters[i].name;
        if (m->parameters[i].always != 0 && fabs(v[i] - m->parameters[i].always) > 1e-4)
            return gen_fail(GEN_EDATA, "an oblique Mercator at %g degrees, expected %g", v[i],
                            m->parameters[i].always);
        bool either = name && (strcmp(name, "k_0") == 0 || strcmp(name, "lat_ts") == 0);
        if (name && !(either && v[i] == 0))
            add(&t, name, v[i]);
    }
    add_ellipsoid(&t, d);
    t.n += (size_t)snprintf(t.s + t.n, MAX_PROJ - t.n, " +units=m +no_defs");
    gen_radar_grid g = { .proj4 = t.s };
    return gen_projection_string(&g, out);
}

static gen_status projected(const GTIFDefn *d, char **out)
{
    char code[32];
    gen_radar_grid g = { .proj4 = code };
    snprintf(code, sizeof code, "EPSG:%d", d->PCS);
    if (d->PCS <= 0 || d->PCS >= KvUserDefined)
        return from_parameters(d, out);
    return gen_projection_string(&g, out);
}

static gen_status geographic(const GTIFDefn *d, char **out)
{
    char code[32];
    text t = { .n = 0 };
    snprintf(code, sizeof code, "EPSG:%d", d->GCS);
    if (d->GCS > 0 && d->GCS < KvUserDefined && gen_proj_from_wkt(code, out) == GEN_OK) {
        char *type = strstr(*out, " +type=crs");
        if (type)
            *type = 0;
        return GEN_OK;
    }
    t.n = (size_t)snprintf(t.s, MAX_PROJ, "+proj=longlat");
    add_ellipsoid(&t, d);
    snprintf(t.s + t.n, MAX_PROJ - t.n, " +no_defs");
    return gen_strdup(out, t.s);
}

gen_status gen_geotiff_read_keys(gen_radar_file *f, TIFF *tif, bool *points, double *unit)
{
    gen_status status;
    unsigned short raster = RasterPixelIsArea;
    void *context = NULL;
    GTIFDefn *d = NULL;
    GTIF *keys = GTIFNewEx(tif, no_geo_error, NULL);
    *points = false;
    *unit = 1;
    if (!keys) /* damaged ones are as none */
        return GEN_OK;
    GEN_GOTO(gen_proj_context_open(&context));
    GTIFAttachPROJContext(keys, context);
    d = GTIFAllocDefn();
    if (!d)
        GEN_GOTO(gen_fail(GEN_ENOMEM, "out of memory for '%s'", f->path));
    if (GTIFKeyGetSHORT(keys, GTRasterTypeGeoKey, &raster, 0, 1))
        *points = raster == RasterPixelIsPoint;
    bool known = GTIFGetDefn(keys, d) != 0;
    f->grid.degrees = known && d->Model == ModelTypeGeographic;
    if (f->grid.degrees)
        GEN_GOTO(geographic(d, &f->grid.proj4));
    if (known && d->Model == ModelTypeProjected) {
        *unit = d->UOMLengthInMeters;
        if (!(*unit >= 1e-3 && *unit <= 1e5))
            GEN_GOTO(gen_fail(GEN_EDATA, "'%s': geo keys: a unit of %g m", f->path, *unit));
        status = projected(d, &f->grid.proj4);
        if (status != GEN_OK)
            gen_fail_in(status, "'%s': geo keys", f->path);
    }
done:
    if (d)
        GTIFFreeDefn(d);
    GTIFFree(keys);
    gen_proj_context_close(context);
    return status;
}

/* ---- writing ------------------------------------------------------------------------------- */

/* A number of a PROJ string, angles as "25E" too; false when it is not there. */
static bool find(const char *proj, const char *name, double *out)
{
    char value[64];
    size_t n = strlen(name);
    for (const char *p = strchr(proj, '+'); p; p = strchr(p + 1, '+')) {
        if (strncmp(p + 1, name, n) != 0 || p[n + 1] != '=')
            continue;
        snprintf(value, sizeof value, "%.*s", (int)strcspn(p + n + 2, " "), p + n + 2);
        return gen_parse_real(value, name, 0, 0, out) == GEN_OK || gen_proj_angle(value, out);
    }
    return false;
}

static bool is_projection(const char *proj, const char *name)
{
    size_t n = strlen(name);
    const char *p = strstr(proj, "+proj=");
    return p && strncmp(p + 6, name, n) == 0 && (p[6 + n] == ' ' || p[6 + n] == 0);
}

/* The values of a method's parameters; false when the string says what its keys cannot. */
static bool values_of(const struct method *m, const char *proj, double v[PARAMETERS])
{
    double lat_0 = 0, lat_1 = 0, lat_2 = 0, scale = 1;
    find(proj, "lat_0", &lat_0);
    bool scaled = (find(proj, "k_0", &scale) || find(proj, "k", &scale)) && scale != 1;
    bool parallel = find(proj, "lat_1", &lat_1), second = find(proj, "lat_2", &lat_2);
    bool has_scale = false;
    for (int i = 0; i < PARAMETERS; i++) {
        const char *name = m->parameters[i].name;
        v[i] = m->parameters[i].always;
        if (!name)
            continue;
        bool is_scale = strcmp(name, "k_0") == 0;
        has_scale = has_scale || is_scale;
        if (is_scale)
            v[i] = scale;
        else
            find(proj, name, &v[i]);
        if (strcmp(name, "lat_2") == 0 && !second)
            v[i] = lat_1;
    }
    if (scaled && !has_scale)
        return false;
    switch (m->code) {
    case CT_LambertConfConic_2SP:
        return parallel;
    case CT_LambertConfConic_1SP:
        return !second && (!parallel || lat_1 == lat_0);
    case CT_PolarStereographic:
        if (v[0] == 0) /* without a latitude of true scale it has a scale at the pole */
            v[0] = lat_0;
        v[0] = copysign(v[0], lat_0);
        return fabs(lat_0) == 90 && !(scaled && fabs(v[0]) != 90);
    default:
        return true;
    }
}

/* utm is a transverse Mercator with numbers of its own. */
static bool from_utm(const char *proj, double v[PARAMETERS])
{
    double zone;
    if (!is_projection(proj, "utm") || !find(proj, "zone", &zone) || !(zone >= 1 && zone <= 60))
        return false;
    const double all[PARAMETERS] = {
        0, 6 * zone - 183, 0, 0, 0.9996, 500000, strstr(proj, "+south") ? 1e7 : 0
    };
    memcpy(v, all, sizeof all);
    return true;
}

static void put_short(GTIF *keys, geokey_t key, int value)
{
    GTIFKeySet(keys, key, TYPE_SHORT, 1, value);
}

static void put_double(GTIF *keys, geokey_t key, double value)
{
    GTIFKeySet(keys, key, TYPE_DOUBLE, 1, value);
}

static gen_status put_ellipsoid(GTIF *keys, const char *proj)
{
    gen_earth e;
    GEN_TRY(gen_proj_earth(proj, &e));
    put_short(keys, GeogAngularUnitsGeoKey, Angular_Degree);
    if (e.a == 6378137 && fabs(e.inverse_flattening - 298.257223563) < 1e-9 &&
        e.prime_meridian == 0 && !strstr(proj, "+towgs84")) {
        put_short(keys, GeographicTypeGeoKey, GCS_WGS_84);
        return GEN_OK;
    }
    put_short(keys, GeographicTypeGeoKey, KvUserDefined);
    put_short(keys, GeogGeodeticDatumGeoKey, KvUserDefined);
    put_short(keys, GeogEllipsoidGeoKey, KvUserDefined);
    put_double(keys, GeogSemiMajorAxisGeoKey, e.a);
    put_double(keys, GeogInvFlatteningGeoKey, e.inverse_flattening); /* 0: a sphere */
    if (e.prime_meridian != 0) {
        put_short(keys, GeogPrimeMeridianGeoKey, KvUserDefined);
        put_double(keys, GeogPrimeMeridianLongGeoKey, e.prime_meridian);
    }
    return GEN_OK;
}

static gen_status put_projection(GTIF *keys, const char *proj)
{
    double v[PARAMETERS] = { 0 };
    const struct method *m = NULL;
    if (from_utm(proj, v))
        m = &methods[0];
    for (int i = 0; i < GEN_LEN(methods) && !m; i++)
        if (is_projection(proj, methods[i].proj) && values_of(&methods[i], proj, v))
            m = &methods[i];
    if (!m)
        return gen_fail(GEN_EDATA, "GeoTIFF has no keys for the projection '%.120s'", proj);
    put_short(keys, ProjectedCSTypeGeoKey, KvUserDefined);
    put_short(keys, ProjectionGeoKey, KvUserDefined);
    put_short(keys, ProjCoordTransGeoKey, m->code);
    put_short(keys, ProjLinearUnitsGeoKey, Linear_Meter);
    for (int i = 0; i < PARAMETERS; i++)
        if (m->parameters[i].key)
            put_double(keys, m->parameters[i].key, v[i]);
    return GEN_OK;
}

gen_status gen_geotiff_write_keys(TIFF *tif, const gen_radar_grid *grid)
{
    gen_status status = GEN_OK;
    char *proj = NULL;
    GTIF *keys = NULL;
    if (!grid->degrees)
        GEN_GOTO(gen_projection_string(grid, &proj));
    if (!grid->degrees && !proj)
        goto done;
    keys = GTIFNewEx(tif, no_geo_error, NULL);
    if (!keys)
        GEN_GOTO(gen_fail(GEN_ENOMEM, "out of memory for geo keys"));
    put_short(keys, GTModelTypeGeoKey, grid->degrees ? ModelTypeGeographic : ModelTypeProjected);
    put_short(keys, GTRasterTypeGeoKey, RasterPixelIsArea);
    if (proj)
        GEN_GOTO(put_projection(keys, proj));
    GEN_GOTO(put_ellipsoid(keys, proj          ? proj
                                 : grid->proj4 ? grid->proj4
                                               : "+proj=longlat +datum=WGS84"));
    if (!GTIFWriteKeys(keys))
        status = gen_fail(GEN_ENOMEM, "out of memory for geo keys");
done:
    if (keys)
        GTIFFree(keys);
    gen_free(proj);
    return status;
}
