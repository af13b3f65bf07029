/* SPDX-License-Identifier: Apache-2.0
 *
 * Every call of PROJ. Each object has a context of its own, without network and without messages.
 */
#include "weather/projection.h"

#include <math.h>
#include <proj.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libgen/base/alloc.h"

#define MAX_WKT 65536

struct gen_projection {
    PJ_CONTEXT *context;
    PJ *pj;        /* NULL: degrees as they are */
    bool angular;  /* x and y are degrees */
    double middle; /* of x, when angular */
};

static void no_message(void *cookie, int level, const char *text)
{
    (void)cookie;
    (void)level;
    (void)text;
}

static gen_status open_context(PJ_CONTEXT **out)
{
    *out = proj_context_create();
    if (!*out)
        return gen_fail(GEN_ENOMEM, "no memory for PROJ");
    proj_log_func(*out, NULL, no_message);
    proj_context_set_enable_network(*out, 0);
    return GEN_OK;
}

gen_status gen_proj_context_open(void **out)
{
    PJ_CONTEXT *context = NULL;
    gen_status status = open_context(&context);
    *out = context;
    return status;
}

void gen_proj_context_close(void *context)
{
    if (context)
        proj_context_destroy(context);
}

static gen_status not_understood(PJ_CONTEXT *context, const char *text)
{
    int code = proj_context_errno(context);
    const char *why = code ? proj_context_errno_string(context, code) : NULL;
    return gen_fail(GEN_EDATA, "projection '%.100s%s' is none that PROJ understands%s%s", text,
                    strlen(text) > 100 ? "..." : "", why ? ": " : "", why ? why : "");
}

/* ---- coordinates ------------------------------------------------------------------------- */

static bool rotated(const char *proj)
{
    return strstr(proj, "proj=ob_tran") != NULL;
}

static gen_status create(gen_projection *p, const char *proj)
{
    GEN_TRY(open_context(&p->context));
    p->pj = proj_create(p->context, proj);
    if (!p->pj)
        return not_understood(p->context, proj);
    if (!proj_angular_input(p->pj, PJ_FWD))
        return gen_fail(GEN_EDATA, "'%.100s' is no map projection", proj);
    /* The pole of a rotated grid: PROJ does not say that its output is an angle. */
    p->angular = proj_angular_output(p->pj, PJ_FWD) || rotated(proj);
    return GEN_OK;
}

gen_status gen_projection_open(gen_projection **out, const gen_radar_grid *g)
{
    gen_status status;
    gen_projection *p = NULL;
    char *proj = NULL;
    *out = NULL;
    GEN_TRY(gen_projection_string(g, &proj));
    if (!proj && !g->degrees)
        return gen_fail(GEN_EDATA, "the grid has no projection: no PROJ string and no CF mapping");
    GEN_GOTO(GEN_ALLOC(&p, 1, "projection"));
    p->angular = g->degrees;
    if (g->width > 0)
        p->middle = g->x[0] + (g->x[g->width - 1] - g->x[0]) / 2;
    if (!g->degrees || (proj && rotated(proj)))
        GEN_GOTO(create(p, proj));
    *out = p;
    p = NULL;
done:
    gen_projection_free(&p);
    gen_free(proj);
    return status;
}

void gen_projection_free(gen_projection **projection)
{
    gen_projection *p = *projection;
    *projection = NULL;
    if (!p)
        return;
    proj_destroy(p->pj);
    if (p->context)
        proj_context_destroy(p->context);
    gen_free(p);
}

bool gen_projection_is_rotated(const gen_projection *p)
{
    return p->pj && p->angular;
}

/* The same direction within half a turn of `middle`. */
static double turned(double degrees, double middle)
{
    return degrees + 360 * floor((middle - degrees) / 360 + 0.5);
}

bool gen_projection_forward(const gen_projection *p, double lat, double lon, double *x, double *y)
{
    if (!(lat >= -90 && lat <= 90) || !isfinite(lon) || fabs(lon) > 1e6)
        return false;
    PJ_COORD c = proj_coord(lon, lat, 0, 0);
    if (p->pj) {
        c = proj_coord(proj_torad(turned(lon, 0)), proj_torad(lat), 0, 0);
        proj_errno_reset(p->pj);
        c = proj_trans(p->pj, PJ_FWD, c);
        if (!isfinite(c.xy.x) || !isfinite(c.xy.y))
            return false;
        if (p->angular)
            c = proj_coord(proj_todeg(c.xy.x), proj_todeg(c.xy.y), 0, 0);
    }
    *x = p->angular ? turned(c.xy.x, p->middle) : c.xy.x;
    *y = c.xy.y;
    return true;
}

bool gen_projection_inverse(const gen_projection *p, double x, double y, double *lat, double *lon)
{
    if (!isfinite(x) || !isfinite(y) || (p->angular && !(fabs(y) <= 90 && fabs(x) <= 1e6)))
        return false;
    PJ_COORD c = proj_coord(x, y, 0, 0);
    if (p->pj) {
        if (p->angular)
            c = proj_coord(proj_torad(turned(x, 0)), proj_torad(y), 0, 0);
        proj_errno_reset(p->pj);
        c = proj_trans(p->pj, PJ_INV, c);
        if (!isfinite(c.xy.x) || !isfinite(c.xy.y))
            return false;
        c = proj_coord(proj_todeg(c.xy.x), proj_todeg(c.xy.y), 0, 0);
    }
    *lat = c.xy.y;
    *lon = turned(c.xy.x, 0);
    return true;
}

/* ---- descriptions ------------------------------------------------------------------------ */

/* A coordinate reference system from a PROJ string, WKT or a code. */
static gen_status create_crs(PJ_CONTEXT *context, const char *text, PJ **out)
{
    *out = proj_create(context, text);
    if (!*out)
        return not_understood(context, text);
    return proj_is_crs(*out)
               ? GEN_OK
               : gen_fail(GEN_EDATA, "'%.100s' is no coordinate reference system", text);
}

static gen_status typed(const char *proj, char **out)
{
    size_t size = strlen(proj) + sizeof " +type=crs";
    GEN_TRY(GEN_ALLOC(out, size, "projection"));
    snprintf(*out, size, "%s +type=crs", proj);
    return GEN_OK;
}

gen_status gen_proj_earth(const char *proj, gen_earth *e)
{
    gen_status status;
    PJ_CONTEXT *context = NULL;
    PJ *crs = NULL, *ellipsoid = NULL, *meridian = NULL;
    char *text = NULL;
    double unit = 0;
    memset(e, 0, sizeof *e);
    GEN_GOTO(typed(proj, &text));
    GEN_GOTO(open_context(&context));
    GEN_GOTO(create_crs(context, text, &crs));
    ellipsoid = proj_get_ellipsoid(context, crs);
    meridian = proj_get_prime_meridian(context, crs);
    if (!ellipsoid || !proj_ellipsoid_get_parameters(context, ellipsoid, &e->a, &e->b, NULL,
                                                     &e->inverse_flattening))
        GEN_GOTO(gen_fail(GEN_EDATA, "projection '%.100s' has no ellipsoid", proj));
    if (meridian &&
        proj_prime_meridian_get_parameters(context, meridian, &e->prime_meridian, &unit, NULL))
        e->prime_meridian = proj_todeg(e->prime_meridian * unit);
done:
    proj_destroy(meridian);
    proj_destroy(ellipsoid);
    proj_destroy(crs);
    if (context)
        proj_context_destroy(context);
    gen_free(text);
    return status;
}

gen_status gen_proj_to_wkt(const char *proj, char **out)
{
    static const char *const options[] = { "MULTILINE=NO", NULL };
    gen_status status;
    PJ_CONTEXT *context = NULL;
    PJ *crs = NULL;
    char *text = NULL;
    *out = NULL;
    GEN_GOTO(typed(proj, &text));
    GEN_GOTO(open_context(&context));
    GEN_GOTO(create_crs(context, text, &crs));
    const char *wkt = proj_as_wkt(context, crs, PJ_WKT2_2015, options);
    if (!wkt) /* a rotated pole of another kind: the older one has no words for it */
        wkt = proj_as_wkt(context, crs, PJ_WKT2_2019, options);
    if (!wkt)
        GEN_GOTO(gen_fail(GEN_EDATA, "projection '%.100s' has no WKT", proj));
    GEN_GOTO(gen_strdup(out, wkt));
done:
    proj_destroy(crs);
    if (context)
        proj_context_destroy(context);
    gen_free(text);
    return status;
}

gen_status gen_proj_from_wkt(const char *text, char **out)
{
    gen_status status;
    PJ_CONTEXT *context = NULL;
    PJ *crs = NULL;
    *out = NULL;
    if (strlen(text) > MAX_WKT)
        return gen_fail(GEN_EDATA, "projection of %zu bytes, expected at most %d", strlen(text),
                        MAX_WKT);
    GEN_GOTO(open_context(&context));
    GEN_GOTO(create_crs(context, text, &crs));
    const char *proj = proj_as_proj_string(context, crs, PJ_PROJ_4, NULL);
    if (!proj)
        GEN_GOTO(gen_fail(GEN_EDATA, "projection '%.100s' has no PROJ string", text));
    GEN_GOTO(gen_strdup(out, proj));
done:
    proj_destroy(crs);
    if (context)
        proj_context_destroy(context);
    return status;
}

bool gen_proj_angle(const char *text, double *degrees)
{
    char *end = NULL, tidy[32];
    double v = proj_todeg(proj_dmstor(text, &end));
    if (end == text || !end || *end || !isfinite(v))
        return false;
    snprintf(tidy, sizeof tidy, "%.13g", v); /* both in the same locale */
    *degrees = strtod(tidy, NULL);           /* 25 again, after a visit in radians */
    return true;
}
