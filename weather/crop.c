/* SPDX-License-Identifier: Apache-2.0
 *
 * Size of cells, parts of a sequence, and coarser grids. All in place: frames become smaller, the
 * memory stays.
 */
#include <math.h>
#include <string.h>

#include "libgen/base/fail.h"
#include "weather/projection.h"

#define EDGE_POINTS 200 /* along each edge of a box of degrees */

#define DEGREE 111200.0 /* m, of latitude */

/* ---- size of cells ----------------------------------------------------------------------- */

static double spacing(const double *v, int64_t n)
{
    return n > 1 ? fabs(v[n - 1] - v[0]) / (double)(n - 1) : 0;
}

gen_radar_cell_size gen_radar_cell(const gen_radar_grid *g)
{
    double x = spacing(g->x, g->width), y = spacing(g->y, g->height);
    gen_radar_cell_size size = { .x = x, .y = y, .ground_x = x, .ground_y = y };
    if (g->degrees) {
        double latitude = g->height > 0 ? 0.5 * (g->y[0] + g->y[g->height - 1]) : 0;
        size.ground_x = x * DEGREE * cos(latitude * 3.14159265358979323846 / 180);
        size.ground_y = y * DEGREE;
    }
    return size;
}

/* ---- rows and columns -------------------------------------------------------------------- */

gen_status gen_radar_crop(gen_radar_sequence *s, int64_t y, int64_t x, int64_t height,
                          int64_t width)
{
    gen_radar_grid *g = &s->grid;
    if (y < 0 || x < 0 || height < 1 || width < 1 || height > g->height || width > g->width ||
        y > g->height - height || x > g->width - width)
        return gen_fail(GEN_EINVAL,
                        "crop: %lld x %lld cells from row %lld, column %lld; the grid has %lld x "
                        "%lld",
                        (long long)height, (long long)width, (long long)y, (long long)x,
                        (long long)g->height, (long long)g->width);
    for (int64_t f = 0; f < s->frames; f++)
        for (int64_t j = 0; j < height; j++)
            memmove(s->rain + (f * height + j) * width,
                    s->rain + (f * g->height + y + j) * g->width + x,
                    (size_t)width * sizeof *s->rain);
    memmove(g->y, g->y + y, (size_t)height * sizeof *g->y);
    memmove(g->x, g->x + x, (size_t)width * sizeof *g->x);
    g->height = height;
    g->width = width;
    return GEN_OK;
}

/* ---- degrees ----------------------------------------------------------------------------- */

typedef struct box {
    double left, right, bottom, top; /* in the grid's x and y */
} box;

static void stretch(box *b, double x, double y)
{
    b->left = x < b->left ? x : b->left;
    b->right = x > b->right ? x : b->right;
    b->bottom = y < b->bottom ? y : b->bottom;
    b->top = y > b->top ? y : b->top;
}

/* The smallest box of x and y around one of degrees. Its edges are curves in a projection, so
 * points along all of them are looked at. */
static gen_status project_box(const gen_projection *p, double south, double west, double north,
                              double east, box *out)
{
    double x, y;
    *out = (box){ HUGE_VAL, -HUGE_VAL, HUGE_VAL, -HUGE_VAL };
    for (int i = 0; i <= EDGE_POINTS; i++) {
        double t = (double)i / EDGE_POINTS, lat = south + t * (north - south);
        double lon = west + t * (east - west);
        const double points[4][2] = {
            { south, lon }, { north, lon }, { lat, west }, { lat, east }
        };
        for (int k = 0; k < 4; k++)
            if (gen_projection_forward(p, points[k][0], points[k][1], &x, &y))
                stretch(out, x, y);
    }
    if (!(out->left <= out->right))
        return gen_fail(GEN_EDATA, "the grid's projection has no place for %g to %g N, %g to %g E",
                        south, north, west, east);
    return GEN_OK;
}

/* Longitudes as they are, within half a turn of the grid's middle. */
static box degrees_box(const gen_radar_grid *g, double south, double west, double north,
                       double east)
{
    double middle = g->x[0] + (g->x[g->width - 1] - g->x[0]) / 2, centre = (west + east) / 2;
    double turn = 360 * floor((middle - centre) / 360 + 0.5);
    return (box){ west + turn, east + turn, south, north };
}

/* First and last of n cells with centres v (that rise, or fall) that have a part in low to high;
 * false: none. */
static bool cells_within(const double *v, int64_t n, double low, double high, int64_t *first,
                         int64_t *last)
{
    *first = -1;
    for (int64_t i = 0; i < n; i++) {
        double before = i > 0 ? (v[i] - v[i - 1]) / 2 : n > 1 ? (v[1] - v[0]) / 2 : 0;
        double behind = i < n - 1 ? (v[i + 1] - v[i]) / 2 : before;
        double a = v[i] - before, b = v[i] + behind;
        bool inside = (a < b ? a : b) < high && (a < b ? b : a) > low;
        if (n == 1)
            inside = low <= v[0] && v[0] <= high; /* one cell tells no size */
        if (!inside)
            continue;
        if (*first < 0)
            *first = i;
        *last = i;
    }
    return *first >= 0;
}

gen_status gen_radar_cells_within(const gen_radar_grid *g, double south, double west, double north,
                                  double east, int64_t cells[4])
{
    gen_projection *p = NULL;
    int64_t y0, y1, x0, x1;
    box b;
    if (!(south >= -90 && south < north && north <= 90))
        return gen_fail(GEN_EINVAL,
                        "box of degrees: from %g to %g N, expected to rise in -90 to 90", south,
                        north);
    if (!(fabs(west) <= 360 && fabs(east) <= 360) || west == east)
        return gen_fail(GEN_EINVAL, "box of degrees: from %g to %g E, expected two in -360 to 360",
                        west, east);
    east += east < west ? 360 : 0; /* across the date line */
    GEN_TRY(gen_projection_open(&p, g));
    bool plain = g->degrees && !gen_projection_is_rotated(p);
    gen_status status = plain ? GEN_OK : project_box(p, south, west, north, east, &b);
    gen_projection_free(&p);
    GEN_TRY(status);
    if (plain)
        b = degrees_box(g, south, west, north, east);
    if (!cells_within(g->y, g->height, b.bottom, b.top, &y0, &y1) ||
        !cells_within(g->x, g->width, b.left, b.right, &x0, &x1))
        return gen_fail(GEN_EDATA, "no cell lies within %g to %g N, %g to %g E", south, north, west,
                        east);
    cells[0] = y0;
    cells[1] = x0;
    cells[2] = y1 - y0 + 1;
    cells[3] = x1 - x0 + 1;
    return GEN_OK;
}

gen_status gen_radar_crop_degrees(gen_radar_sequence *s, double south, double west, double north,
                                  double east)
{
    int64_t cells[4];
    GEN_TRY(gen_radar_cells_within(&s->grid, south, west, north, east, cells));
    return gen_radar_crop(s, cells[0], cells[1], cells[2], cells[3]);
}

/* ---- coarser ----------------------------------------------------------------------------- */

/* Mean of the measured cells of a block; missing when fewer than half of them are. */
static float block_mean(const float *from, int64_t stride, int64_t k)
{
    double sum = 0;
    int64_t n = 0;
    for (int64_t j = 0; j < k; j++)
        for (int64_t i = 0; i < k; i++) {
            float v = from[j * stride + i];
            if (!isnan(v)) {
                sum += (double)v;
                n++;
            }
        }
    return 2 * n >= k * k ? (float)(sum / (double)n) : NAN;
}

static void mean_axis(double *v, int64_t n, int64_t k)
{
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t j = 0; j < k; j++)
            sum += v[i * k + j];
        v[i] = sum / (double)k;
    }
}

gen_status gen_radar_upscale(gen_radar_sequence *s, int64_t k)
{
    gen_radar_grid *g = &s->grid;
    if (k < 1 || k > g->height || k > g->width)
        return gen_fail(GEN_EINVAL, "upscale: means of %lld x %lld cells; the grid has %lld x %lld",
                        (long long)k, (long long)k, (long long)g->height, (long long)g->width);
    int64_t height = g->height / k, width = g->width / k;
    /* What is written never lies behind what is still to be read. */
    for (int64_t f = 0; f < s->frames; f++)
        for (int64_t j = 0; j < height; j++)
            for (int64_t i = 0; i < width; i++)
                s->rain[(f * height + j) * width + i] =
                    block_mean(s->rain + (f * g->height + j * k) * g->width + i * k, g->width, k);
    mean_axis(g->y, height, k);
    mean_axis(g->x, width, k);
    g->height = height;
    g->width = width;
    return GEN_OK;
}
