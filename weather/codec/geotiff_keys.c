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

/* A parameter: its PROJ name, and its key. Places are those of GTIFDefn.ProjParm. */
typedef struct parameter {
    const char *name;
    geokey_t key;
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

/* Of rows with the same PROJ name the first is written whose parameters are all there. */
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
        *unit = d->UOMLengthInMeters > 0 ? d->UOMLengthInMeters : 1;
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
