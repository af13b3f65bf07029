/* SPDX-License-Identifier: Apache-2.0
 *
 * Projections in a build without codecs (no PROJ): a sentence.
 */
#include "weather/projection.h"

gen_status gen_projection_open(gen_projection **out, const gen_radar_grid *grid)
{
    (void)grid;
    *out = NULL;
    return gen_fail(GEN_EUNSUPPORTED, "projections need PROJ, and this build has none");
}

void gen_projection_free(gen_projection **p)
{
    (void)p;
}

bool gen_projection_forward(const gen_projection *p, double lat, double lon, double *x, double *y)
{
    (void)p, (void)lat, (void)lon, (void)x, (void)y;
    return false;
}

bool gen_projection_inverse(const gen_projection *p, double x, double y, double *lat, double *lon)
{
    (void)p, (void)x, (void)y, (void)lat, (void)lon;
    return false;
}

bool gen_projection_is_rotated(const gen_projection *p)
{
    (void)p;
    return false;
}
