/* SPDX-License-Identifier: Apache-2.0
 *
 * Maps: what a picture shows is what the field holds, lines lie where pyproj says, and a film is
 * whole or absent.
 */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>
#include <math.h>

#include <libgen/plot.h>

#include "libgen/base/alloc.h"
#include "tests/picture.h"

static char folder[] = "/tmp/gen-plot-XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void expect_sentence(gen_status found, gen_status expected, const char *part)
{
    if (found != expected || !strstr(gen_last_error(), part))
        fail_msg("status %s, sentence '%s', expected %s and '%s'", gen_status_name(found),
                 gen_last_error(), gen_status_name(expected), part);
}

/* ---- the field ----------------------------------------------------------------------------- */

/* Each class and the missing cells cover their share of the map in their own colour. */
static void map_shows_the_rain(void **state)
{
    (void)state;
    static const struct {
        float rain;
        uint32_t rgb;
    } part[5] = { { 0.2f, 0xcfe8f7 },
                  { 4, 0x1f9e52 },
                  { 31.9f, 0xf59b23 },
                  { 500, 0x9c1a86 },
                  { NAN, 0xc9c9c9 } };
    static float rain[100 * 100];
    static double axis[100];
    char path[] = "/tmp/gen-plot-XXXXXX";
    close(mkstemp(path));
    for (int i = 0; i < 100; i++)
        axis[i] = i * 0.01;
    for (int i = 0; i < 100 * 100; i++)
        rain[i] = part[i / 2000].rain;
    gen_radar_grid grid = { .height = 100, .width = 100, .y = axis, .x = axis, .degrees = true };
    gen_plot_panel panel = { rain, "title", "note" };
    gen_plot_options o = { .title = "R\303\251union", .made = "by a test", .size = 300 };
    assert_int_equal(gen_plot(path, &grid, &panel, 1, &o), GEN_EEXIST);
    o.force = true;
    assert_int_equal(gen_plot(path, &grid, &panel, 1, &o), GEN_OK);
    picture p = picture_read(path);
    assert_string_equal(p.title, "R\303\251union");
    for (int i = 0; i < 5; i++) { /* grid lines cover a few per cent, the legend adds a few */
        long n = picture_count(&p, part[i].rgb);
        assert_true(n > 300 * 60 * 0.85 && n < 300 * 60 * 1.1);
    }
    picture_free(&p);
    remove(path);
    assert_int_equal(gen_plot("/nowhere/a.png", &grid, &panel, 1, &o), GEN_EIO);
    assert_int_equal(gen_plot(path, &grid, &panel, 0, &o), GEN_EINVAL);
}

/* A value below and one at the edge of a class have different colours. */
static void scales_have_their_own_classes(void **state)
{
    (void)state;
    static const struct {
        gen_plot_scale scale;
        float below, above;
    } cases[] = { { GEN_PLOT_RATE, 3.99f, 4 },
                  { GEN_PLOT_DEPTH, 4.99f, 5 },
                  { GEN_PLOT_PROBABILITY, 89.9f, 90 },
                  { GEN_PLOT_PROBABILITY, 4.9f, 5 } };
    static float field[20 * 20];
    double axis[20];
    for (int i = 0; i < 20; i++)
        axis[i] = 1000.0 * i;
    gen_radar_grid grid = { .height = 20, .width = 20, .y = axis, .x = axis };
    gen_plot_panel panel = { .rain = field };
    for (int i = 0; i < GEN_LEN(cases); i++) {
        picture p[2];
        for (int k = 0; k < 2; k++) {
            for (int c = 0; c < 20 * 20; c++)
                field[c] = k ? cases[i].above : cases[i].below;
            gen_plot_options o = { .scale = cases[i].scale, .size = 200, .force = true };
            assert_int_equal(gen_plot(in_folder("a.png"), &grid, &panel, 1, &o), GEN_OK);
            p[k] = picture_read(in_folder("a.png"));
        }
        int middle = 3 * ((14 + 22 + 105) * p[0].width + 60 + 107);
        assert_memory_not_equal(p[0].rgb + middle, p[1].rgb + middle, 3);
        picture_free(&p[0]);
        picture_free(&p[1]);
    }
    remove(in_folder("a.png"));
    gen_plot_options o = { .scale = (gen_plot_scale)17 };
    expect_sentence(gen_plot(in_folder("a.png"), &grid, &panel, 1, &o), GEN_EINVAL, "17");
}

/* A pixel of 2 x 2 cells shows the mean of those that were measured. */
static void small_cells_are_averaged(void **state)
{
    (void)state;
    static float field[400 * 400];
    double axis[400];
    for (int i = 0; i < 400; i++)
        axis[i] = 1000.0 * i;
    gen_radar_grid grid = { .height = 400, .width = 400, .y = axis, .x = axis };
    /* Means of 4.25 (green), 3.75 (blue) and, of the one measured cell, 40 (red). */
    static const float block[3][4] = { { 17, 0, 0, 0 }, { 0, 0, 15, 0 }, { NAN, NAN, NAN, 40 } };
    for (int y = 0; y < 400; y++)
        for (int x = 0; x < 400; x++)
            field[y * 400 + x] = block[x / 2 % 3][2 * (y % 2) + x % 2];
    gen_plot_panel panel = { .rain = field };
    gen_plot_options o = { .size = 200 };
    assert_int_equal(gen_plot(in_folder("a.png"), &grid, &panel, 1, &o), GEN_OK);
    picture p = picture_read(in_folder("a.png"));
    static const unsigned colours[3] = { 0x1f9e52, 0x2463b4, 0xdf2a1f };
    for (int k = 0; k < 3; k++) /* a third each, less the lines */
        assert_true(picture_count(&p, colours[k]) > 200 * 200 / 3 * 0.9);
    assert_true(picture_count(&p, 0xc9c9c9) < 22 * 15); /* the legend's box */
    picture_free(&p);
    remove(in_folder("a.png"));
}

/* ---- where it is --------------------------------------------------------------------------- */

/* Without coordinates there are no lines: the map has every pixel in the colour of its rain. */
static void a_map_of_nowhere_has_no_lines(void **state)
{
    (void)state;
    static float field[20 * 20];
    double axis[20] = { 0 };
    for (int i = 0; i < 20 * 20; i++)
        field[i] = 4;
    gen_radar_grid grid = { .height = 20, .width = 20, .y = axis, .x = axis };
    gen_plot_panel panel = { .rain = field };
    gen_plot_options o = { .size = 200, .force = true };
    for (int known = 0; known < 2; known++) {
        for (int i = 0; i < 20; i++)
            axis[i] = known * 1000.0 * i;
        assert_int_equal(gen_plot(in_folder("a.png"), &grid, &panel, 1, &o), GEN_OK);
        picture p = picture_read(in_folder("a.png"));
        assert_true((picture_count(&p, 0x1f9e52) >= 200 * 200) == !known);
        picture_free(&p);
    }
    remove(in_folder("a.png"));
}

/* By tests/golden/graticule.py. */
static const struct {
    const char *proj;
    double left, top, cell;
    int columns, rows;
    double km; /* of the middle row, were all of it as its middle */
} grids[] = {
    { "+proj=stere +lat_0=90 +lon_0=0 +lat_ts=60 +a=6378140 +b=6356750 +no_defs", 10e3, -3650e3,
      1e3, 640, 700, 616.21 },
    { "+proj=laea +lat_0=55 +lon_0=10 +x_0=1950000 +y_0=-2100000 +ellps=WGS84", 0, 0, 1e4, 380, 440,
      3799.98 },
    { "+proj=lcc +lat_1=-18 +lat_2=-36 +lat_0=-27 +lon_0=178 +ellps=GRS80", -1.5e6, 1.25e6, 1e4,
      300, 250, 3037.22 },
    { "+proj=longlat +ellps=WGS84", 170, -5, 0.1, 300, 200, 3226.51 },
};

static const struct {
    int grid;
    bool on;     /* a line, else between two */
    double u, v; /* shares of the map's width and height from the upper left corner */
} points[] = {
    { 0, false, 0.72034, 0.07503 }, { 0, true, 0.63593, 0.45351 },  { 0, false, 0.61927, 0.08596 },
    { 0, false, 0.36621, 0.93372 }, { 0, false, 0.58393, 0.75138 }, { 0, true, 0.86390, 0.50744 },
    { 0, true, 0.76425, 0.59287 },  { 0, false, 0.36621, 0.93372 }, { 0, true, 0.47375, 0.13975 },
    { 0, false, 0.81129, 0.72861 }, { 0, true, 0.80545, 0.12723 },  { 0, true, 0.38642, 0.47457 },
    { 0, true, 0.40086, 0.23117 },  { 0, false, 0.87261, 0.38667 }, { 0, true, 0.67547, 0.79741 },
    { 0, false, 0.95051, 0.20954 }, { 1, true, 0.30103, 0.74814 },  { 1, true, 0.49810, 0.60362 },
    { 1, false, 0.51862, 0.79887 }, { 1, true, 0.66078, 0.34856 },  { 1, false, 0.89725, 0.52183 },
    { 1, false, 0.24847, 0.15398 }, { 1, false, 0.55179, 0.19208 }, { 1, false, 0.06167, 0.68944 },
    { 1, false, 0.36363, 0.12924 }, { 1, false, 0.56818, 0.11546 }, { 1, true, 0.14217, 0.81901 },
    { 1, false, 0.13634, 0.30814 }, { 1, true, 0.51316, 0.81696 },  { 1, true, 0.62766, 0.34516 },
    { 1, true, 0.41716, 0.06600 },  { 1, true, 0.25743, 0.22146 },  { 2, true, 0.22938, 0.33378 },
    { 2, false, 0.66121, 0.80035 }, { 2, true, 0.89056, 0.53491 },  { 2, true, 0.19173, 0.20599 },
    { 2, false, 0.71734, 0.18837 }, { 2, false, 0.82421, 0.15207 }, { 2, false, 0.64907, 0.14077 },
    { 2, true, 0.56238, 0.72473 },  { 2, false, 0.69554, 0.71408 }, { 2, true, 0.24540, 0.63532 },
    { 2, false, 0.08656, 0.91194 }, { 2, true, 0.92390, 0.11730 },  { 2, true, 0.88462, 0.60944 },
    { 2, true, 0.96260, 0.22242 },  { 2, false, 0.87776, 0.37797 }, { 2, false, 0.31508, 0.58171 },
    { 3, false, 0.27500, 0.48750 }, { 3, false, 0.14167, 0.88750 }, { 3, false, 0.27500, 0.48750 },
    { 3, false, 0.34167, 0.63750 }, { 3, false, 0.40833, 0.23750 }, { 3, true, 0.37788, 0.75000 },
    { 3, false, 0.34167, 0.13750 }, { 3, true, 0.66667, 0.38432 },  { 3, false, 0.70833, 0.73750 },
    { 3, true, 0.66667, 0.82138 },  { 3, false, 0.54167, 0.88750 }, { 3, true, 0.11164, 0.75000 },
    { 3, true, 0.56696, 0.25000 },  { 3, true, 0.75478, 0.25000 },  { 3, true, 0.81246, 0.25000 },
    { 3, true, 0.66667, 0.76403 },
};

typedef struct map {
    picture p;
    int left, top, width, height; /* of the map in the picture */
} map;

static bool is_colour(const picture *p, int x, int y, unsigned rgb)
{
    const unsigned char *v = p->rgb + 3 * (y * p->width + x);
    return ((unsigned)v[0] << 16 | (unsigned)v[1] << 8 | v[2]) == rgb;
}

static int run_right(const picture *p, int x, int y, unsigned rgb)
{
    int n = 0;
    while (x + n < p->width && is_colour(p, x + n, y, rgb))
        n++;
    return n;
}

/* The map's place, by its dark frame. */
static map find_map(const char *path)
{
    map m = { .p = picture_read(path) };
    for (int y = 0; y < m.p.height && !m.width; y++)
        for (int x = 0; x < m.p.width && !m.width; x++)
            if (run_right(&m.p, x, y, 0x222222) > 150) {
                m.left = x + 1;
                m.top = y + 1;
                m.width = run_right(&m.p, x, y, 0x222222) - 2;
            }
    assert_true(m.width > 0);
    while (run_right(&m.p, m.left, m.top + m.height, 0x222222) < m.width)
        m.height++;
    return m;
}

static map dry_map(int g, int size)
{
    static float dry[700 * 640];
    static double x[700], y[700];
    char proj[200];
    snprintf(proj, sizeof proj, "%s", grids[g].proj);
    for (int i = 0; i < grids[g].columns; i++)
        x[i] = grids[g].left + (i + 0.5) * grids[g].cell;
    for (int i = 0; i < grids[g].rows; i++)
        y[i] = grids[g].top - (i + 0.5) * grids[g].cell;
    gen_radar_grid grid = { .height = grids[g].rows,
                            .width = grids[g].columns,
                            .y = y,
                            .x = x,
                            .proj4 = proj,
                            .degrees = grids[g].cell < 1 };
    gen_plot_panel panel = { .rain = dry };
    gen_plot_options o = { .size = size, .force = true };
    assert_int_equal(gen_plot(in_folder("a.png"), &grid, &panel, 1, &o), GEN_OK);
    return find_map(in_folder("a.png"));
}

/* The darkest of the 3 x 3 pixels around a point of the map. */
static int darkest(const map *m, double u, double v)
{
    int least = 255, x = m->left + (int)(u * m->width), y = m->top + (int)(v * m->height);
    for (int k = 0; k < 9; k++) {
        int level = m->p.rgb[3 * ((y + k / 3 - 1) * m->p.width + x + k % 3 - 1)];
        least = level < least ? level : least;
    }
    return least;
}

static void lines_lie_where_pyproj_says(void **state)
{
    (void)state;
    for (int g = 0; g < GEN_LEN(grids); g++) {
        map m = dry_map(g, 1000);
        for (int i = 0; i < GEN_LEN(points); i++) {
            if (points[i].grid != g)
                continue;
            int level = darkest(&m, points[i].u, points[i].v);
            if (points[i].on ? level > 210 : level != 255)
                fail_msg("point %d: level %d, expected %s", i, level,
                         points[i].on ? "a line" : "none");
        }
        picture_free(&m.p);
    }
    remove(in_folder("a.png"));
}

static void scale_bar_is_true(void **state)
{
    (void)state;
    for (int g = 0; g < GEN_LEN(grids); g++) {
        map m = dry_map(g, 1000);
        int y = m.top + m.height + 26, length = 0;
        for (int x = m.left; x < m.left + m.width && length < 20; x++)
            length = run_right(&m.p, x, y, 0x444444);
        double km = length * grids[g].km / m.width, power = pow(10, floor(log10(km * 1.1)));
        double digit = km / power; /* 1, 2 or 5 */
        double error = fmin(fmin(fabs(digit - 1), fabs(digit / 2 - 1)), fabs(digit / 5 - 1));
        if (!(error < 0.015) || length > 0.3 * m.width || length < 0.1 * m.width)
            fail_msg("grid %d: a bar of %d px would be %g km", g, length, km);
        picture_free(&m.p);
    }
    remove(in_folder("a.png"));
}

/* Any grid gives a picture: one cell, no projection, a nonsensical one, the pole within. */
static void any_grid_can_be_drawn(void **state)
{
    (void)state;
    static char nonsense[] = "+proj=nonsense", polar[] = "+proj=stere +lat_0=90 +lon_0=0";
    static char *const projs[] = { NULL, nonsense, polar };
    static float field[60 * 60];
    double axis[60], one[1] = { 5 }, same[60] = { 0 };
    for (int i = 0; i < 60; i++)
        axis[i] = 1e5 * (i - 30);
    for (int i = 0; i < 3; i++) {
        gen_radar_grid grid[] = {
            { .height = 60, .width = 60, .y = axis, .x = axis, .proj4 = projs[i] },
            { .height = 1, .width = 1, .y = one, .x = one, .proj4 = projs[i] },
            { .height = 1, .width = 60, .y = one, .x = axis, .proj4 = projs[i] },
            { .height = 60, .width = 60, .y = same, .x = same, .proj4 = projs[i] },
            { .height = 1, .width = 1, .y = one, .x = one, .degrees = true }
        };
        for (int g = 0; g < GEN_LEN(grid); g++) {
            gen_plot_panel panel = { .rain = field };
            gen_plot_options o = { .size = g % 2 ? 16 : 300, .force = true };
            assert_int_equal(gen_plot(in_folder("a.png"), &grid[g], &panel, 1, &o), GEN_OK);
        }
    }
    remove(in_folder("a.png"));
}

static void a_picture_too_large_is_refused(void **state)
{
    (void)state;
    static float field[4];
    static gen_plot_panel panel[1000];
    double axis[2] = { 0, 1000 };
    gen_radar_grid grid = { .height = 2, .width = 2, .y = axis, .x = axis };
    for (int i = 0; i < 1000; i++)
        panel[i].rain = field;
    gen_plot_options o = { .size = 2000, .columns = 40 };
    expect_sentence(gen_plot(in_folder("a.png"), &grid, panel, 1000, &o), GEN_EINVAL,
                    "1000 maps of 2000 x 2000 px make a picture of");
    o.size = -1;
    expect_sentence(gen_plot(in_folder("a.png"), &grid, panel, 1, &o), GEN_EINVAL, "-1 px");
    o.size = 20;
    assert_int_equal(gen_plot(in_folder("a.png"), &grid, panel, 1000, &o), GEN_OK);
    remove(in_folder("a.png"));
}

/* A map with a grid of its own is the map of a page of that grid. */
static void panels_may_have_their_own_grids(void **state)
{
    (void)state;
    static float a[60 * 60], b[30 * 60];
    static char proj[] = "+proj=laea +lat_0=55 +lon_0=10 +ellps=WGS84";
    double axis[60], degrees[60];
    for (int i = 0; i < 60; i++) {
        axis[i] = 1e4 * i;
        degrees[i] = i / 4.0;
    }
    for (int i = 0; i < 60 * 60; i++)
        a[i] = b[i / 2] = (float)(i % 47);
    gen_radar_grid one = { .height = 60, .width = 60, .y = axis, .x = axis, .proj4 = proj };
    gen_radar_grid two = { .height = 30, .width = 60, .y = degrees, .x = degrees, .degrees = true };
    gen_plot_panel panel[3] = { { a, "a", NULL, &one },
                                { b, "b", NULL, &two },
                                { a, "a", NULL, &one } };
    gen_plot_options o = { .size = 200, .force = true };
    assert_int_equal(gen_plot(in_folder("a.png"), NULL, panel, 3, &o), GEN_OK);
    map all = find_map(in_folder("a.png"));
    for (int i = 0; i < 3; i++) {
        const gen_radar_grid *grid = panel[i].grid;
        panel[i].grid = NULL;
        assert_int_equal(gen_plot(in_folder("a.png"), grid, &panel[i], 1, &o), GEN_OK);
        map m = find_map(in_folder("a.png"));
        for (int y = 0; y < m.height; y++)
            assert_memory_equal(
                all.p.rgb + 3 * ((all.top + y) * all.p.width + all.left + i * (46 + 200 + 14)),
                m.p.rgb + 3 * ((m.top + y) * m.p.width + m.left), 3 * (size_t)m.width);
        picture_free(&m.p);
    }
    picture_free(&all.p);
    expect_sentence(gen_plot(in_folder("b.png"), NULL, panel, 1, &o), GEN_EINVAL, "0 x 0 cells");
    remove(in_folder("a.png"));
}

/* Texts of any bytes and any length: each picture is drawn to the end, which the legend's label is.
 */
static void any_text_can_be_drawn(void **state)
{
    (void)state;
    static char long_text[5000];
    memset(long_text, 'W', sizeof long_text - 1);
    memcpy(long_text + 300, "\303\251\342\202\254\360\237\214\247", 9);
    static const char *const texts[] = { "",
                                         "caf\351.nc",
                                         "\xff\xfe",
                                         "\303",
                                         "a\nb\tc\177",
                                         "\355\240\200", /* a surrogate */
                                         "\300\257",     /* too long a form */
                                         "\364\220\200\200",
                                         "\360\237\214\247 rain \342\202\254",
                                         long_text };
    static float field[4];
    double axis[2] = { 0, 1000 };
    gen_radar_grid grid = { .height = 2, .width = 2, .y = axis, .x = axis };
    for (int i = 0; i < GEN_LEN(texts); i++) {
        gen_plot_panel panel = { field, texts[i], texts[i] };
        gen_plot_options o = { texts[i], texts[i], .made = "test", .size = 200, .force = true };
        assert_int_equal(gen_plot(in_folder("a.png"), &grid, &panel, 1, &o), GEN_OK);
        picture p = picture_read(in_folder("a.png"));
        int heading = 0; /* dark pixels right of the page's edge of text: there are none */
        for (int y = 0; y < 60; y++)
            for (int x = p.width - 10; x < p.width; x++)
                heading += !is_colour(&p, x, y, 0xffffff);
        assert_int_equal(heading, 0);
        picture_free(&p);
    }
    remove(in_folder("a.png"));
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    static float field[4];
    static char proj[] = "+proj=laea +lat_0=55 +lon_0=10 +ellps=WGS84";
    double axis[2] = { 0, 1000 };
    gen_radar_grid grid = { .height = 2, .width = 2, .y = axis, .x = axis, .proj4 = proj };
    gen_plot_panel panel = { .rain = field };
    gen_plot_options o = { .size = 50, .force = true };
    uint64_t before = gen_alloc_bytes();
    gen_status status = GEN_ENOMEM;
    for (uint64_t n = 1; status != GEN_OK && n < 100; n++) {
        gen_alloc_fail_at(n);
        status = gen_plot(in_folder("a.png"), &grid, &panel, 1, &o);
        gen_alloc_fail_at(0);
        assert_true(status == GEN_OK || status == GEN_ENOMEM);
        assert_int_equal(gen_alloc_bytes(), before);
    }
    assert_int_equal(status, GEN_OK);
    remove(in_folder("a.png"));
}

/* ---- films --------------------------------------------------------------------------------- */

static void a_film_is_whole_or_absent(void **state)
{
    (void)state;
    static float field[50 * 50];
    double axis[50];
    for (int i = 0; i < 50; i++)
        axis[i] = 1000.0 * i;
    gen_radar_grid grid = { .height = 50, .width = 50, .y = axis, .x = axis };
    gen_plot_options o = { .title = "Rain", .size = 100, .fps = 5 };
    gen_plot_panel panel = { .rain = field, .title = "one" };
    uint64_t before = gen_alloc_bytes();
    gen_plot_film *f;
    gen_status status = gen_plot_film_open(&f, in_folder("a.gif"), &grid, 1, &o);
    if (status == GEN_EUNSUPPORTED) {
        assert_null(f);
        skip();
    }
    assert_int_equal(status, GEN_OK);
    assert_int_equal(gen_plot_film_add(f, &panel), GEN_OK);
    gen_plot_film_free(&f);
    assert_int_equal(access(in_folder("a.gif"), F_OK), -1);
    assert_int_equal(gen_plot_film_open(&f, in_folder("a.gif"), &grid, 1, &o), GEN_OK);
    expect_sentence(gen_plot_film_commit(f), GEN_EINVAL, "no frames");
    gen_plot_film_free(&f);
    assert_int_equal(gen_plot_film_open(&f, in_folder("a.gif"), &grid, 1, &o), GEN_OK);
    for (int i = 0; i < 5; i++)
        assert_int_equal(gen_plot_film_add(f, &panel), GEN_OK);
    assert_int_equal(gen_plot_film_commit(f), GEN_OK);
    gen_plot_film_free(&f);
    gen_plot_film_free(&f);
    expect_sentence(gen_plot_film_open(&f, in_folder("a.gif"), &grid, 1, &o), GEN_EEXIST, "exists");
    expect_sentence(gen_plot_film_open(&f, in_folder("a.png"), &grid, 1, &o), GEN_EINVAL, ".gif");
    expect_sentence(gen_plot_film_open(&f, in_folder("b.gif"), &grid, 0, &o), GEN_EINVAL, "0 maps");
    remove(in_folder("a.gif"));
    assert_int_equal(gen_alloc_bytes(), before);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map_shows_the_rain),
        cmocka_unit_test(scales_have_their_own_classes),
        cmocka_unit_test(small_cells_are_averaged),
        cmocka_unit_test(a_map_of_nowhere_has_no_lines),
        cmocka_unit_test(lines_lie_where_pyproj_says),
        cmocka_unit_test(scale_bar_is_true),
        cmocka_unit_test(any_grid_can_be_drawn),
        cmocka_unit_test(panels_may_have_their_own_grids),
        cmocka_unit_test(any_text_can_be_drawn),
        cmocka_unit_test(a_picture_too_large_is_refused),
        cmocka_unit_test(any_allocation_may_fail),
        cmocka_unit_test(a_film_is_whole_or_absent),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
