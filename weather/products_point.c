/* SPDX-License-Identifier: Apache-2.0
 *
 * The cell of a grid in which a place lies.
 */
#include <libgen/products.h>

#include <math.h>

#include "weather/projection.h"

/* The cell whose centre is nearest, or -1 beyond half a cell from the outermost centres. */
static int64_t nearest(const double *centre, int64_t n, double cell, double v)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (fabs(centre[i] - v) < fabs(centre[best] - v))
            best = i;
    double left = best > 0 ? fabs(centre[best] - centre[best - 1]) : 0;
    double right = best < n - 1 ? fabs(centre[best + 1] - centre[best]) : 0;
    double size = left > right ? left : right > 0 ? right : cell;
    return fabs(centre[best] - v) <= size / 2 * (1 + 1e-9) ? best : -1;
}

static double cell_size(const double *centre, int64_t n)
{
    return n > 1 ? fabs(centre[n - 1] - centre[0]) / (double)(n - 1) : 0;
}

/* Where the grid is, as far as its outermost cells tell. */
static gen_status outside(const gen_projection *p, const gen_radar_grid *g, double lat, double lon)
{
    double low[2] = { HUGE_VAL, HUGE_VAL }, high[2] = { -HUGE_VAL, -HUGE_VAL }, at[2];
    int64_t around = g->width + g->height;
    for (int64_t i = 0; i < 2 * around; i++) {
        int64_t k = i % around, side = i / around;
        int64_t row = k < g->width ? side * (g->height - 1) : k - g->width;
        int64_t column = k < g->width ? k : side * (g->width - 1);
        if (!gen_projection_inverse(p, g->x[column], g->y[row], &at[0], &at[1]))
            continue;
        for (int a = 0; a < 2; a++) {
            low[a] = at[a] < low[a] ? at[a] : low[a];
            high[a] = at[a] > high[a] ? at[a] : high[a];
        }
    }
    return gen_fail(GEN_EINVAL,
                    "point %g,%g: outside the grid, whose cells lie from %.4f to %.4f in latitude "
                    "and %.4f to %.4f in longitude",
                    lat, lon, low[0], high[0], low[1], high[1]);
}

gen_status gen_products_locate(gen_products_point *out, const gen_radar_grid *g, double lat,
                               double lon)
{
    gen_status status;
    gen_projection *p = NULL;
    double x, y, dx = cell_size(g->x, g->width), dy = cell_size(g->y, g->height);
    *out = (gen_products_point){ .lat = lat, .lon = lon, .row = -1, .column = -1 };
    status = gen_projection_open(&p, g);
    if (status != GEN_OK)
        return gen_fail_in(GEN_EINVAL, "point %g,%g: the grid has no place on the earth", lat, lon);
    if (gen_projection_forward(p, lat, lon, &x, &y)) {
        out->row = nearest(g->y, g->height, dy > 0 ? dy : dx, y);
        out->column = nearest(g->x, g->width, dx > 0 ? dx : dy, x);
    }
    if (out->row < 0 || out->column < 0)
        status = outside(p, g, lat, lon);
    else
        gen_projection_inverse(p, g->x[out->column], g->y[out->row], &out->cell_lat,
                               &out->cell_lon);
    gen_projection_free(&p);
    return status;
}
