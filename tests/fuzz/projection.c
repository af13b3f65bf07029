/* SPDX-License-Identifier: Apache-2.0
 *
 * Projections of any text: a PROJ string or WKT, or, when it begins with '{', the attributes of a
 * CF grid mapping. What is taken must survive its own CF attributes.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "weather/projection.h"

enum { MOST = 4096 };

static void use(const gen_projection *p)
{
    static const double places[][2] = {
        { 52, 5 }, { -37, 145 }, { 90, 0 }, { -90, 180 }, { 0, 0 }
    };
    for (int i = 0; i < GEN_LEN(places); i++) {
        double x = 0, y = 0, lat, lon;
        if (gen_projection_forward(p, places[i][0], places[i][1], &x, &y) &&
            (!isfinite(x) || !isfinite(y)))
            abort();
        if (gen_projection_inverse(p, x, y, &lat, &lon) && (!isfinite(lat) || !isfinite(lon)))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[MOST + 1];
    double axis[2] = { -1000, 1000 };
    gen_radar_grid g = { .height = 2, .width = 2, .x = axis, .y = axis };
    gen_projection *p = NULL;
    char *name = NULL, *attributes = NULL;
    size = size > MOST ? MOST : size;
    memcpy(text, data, size);
    text[size] = 0;
    g.proj4 = text[0] == '{' ? NULL : text;
    g.attributes = text[0] == '{' ? text : NULL;
    if (gen_projection_open(&p, &g) == GEN_OK)
        use(p);
    gen_projection_free(&p);
    if (g.proj4 && gen_projection_cf(text, &name, &attributes) == GEN_OK) {
        gen_radar_grid again = { .height = 2, .width = 2, .x = axis, .y = axis };
        again.attributes = attributes;
        (void)gen_projection_open(&p, &again);
        gen_projection_free(&p);
    }
    gen_free(name);
    gen_free(attributes);
    if (gen_alloc_bytes() != 0)
        abort();
    return 0;
}
