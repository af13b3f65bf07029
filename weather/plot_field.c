/* SPDX-License-Identifier: Apache-2.0
 *
 * A field as pixels: the classes of each scale, and the mean of the cells that a pixel covers.
 *
 * Rain doubles from class to class, so that drizzle and downpour both show. Cells smaller than a
 * pixel are averaged over those that were measured; larger ones are drawn as squares, not smoothed:
 * what looks like data is data.
 */
#include <math.h>
#include <stddef.h>

#include "weather/plot_page.h"

static const gen_plot_legend legends[] = {
    [GEN_PLOT_RATE] = { .title = "Rain rate",
                        .unit = "mm/h",
                        .below = "dry",
                        .n = 9,
                        .classes = { { 0.1f, 0xcfe8f7, "0.1" },
                                     { 0.5f, 0x93c4ea, "0.5" },
                                     { 1, 0x4f97d6, "1" },
                                     { 2, 0x2463b4, "2" },
                                     { 4, 0x1f9e52, "4" },
                                     { 8, 0xf5e23d, "8" },
                                     { 16, 0xf59b23, "16" },
                                     { 32, 0xdf2a1f, "32" },
                                     { 64, 0x9c1a86, "64" } } },
    [GEN_PLOT_DEPTH] = { .title = "Rain",
                         .unit = "mm",
                         .below = "dry",
                         .n = 9,
                         .classes = { { 0.1f, 0xcfe8f7, "0.1" },
                                      { 0.5f, 0x93c4ea, "0.5" },
                                      { 1, 0x4f97d6, "1" },
                                      { 2, 0x2463b4, "2" },
                                      { 5, 0x1f9e52, "5" },
                                      { 10, 0xf5e23d, "10" },
                                      { 20, 0xf59b23, "20" },
                                      { 50, 0xdf2a1f, "50" },
                                      { 100, 0x9c1a86, "100" } } },
    /* One hue after the other from light to dark, unlike those of rain. */
    [GEN_PLOT_PROBABILITY] = { .title = "Probability",
                               .unit = "%",
                               .below = "less",
                               .n = 10,
                               .classes = { { 5, 0xfdf3c4, "5" },
                                            { 10, 0xf3e39a, "10" },
                                            { 20, 0xd3d983, "20" },
                                            { 30, 0xa5cc83, "30" },
                                            { 40, 0x74bb8b, "40" },
                                            { 50, 0x46a693, "50" },
                                            { 60, 0x298c95, "60" },
                                            { 70, 0x28708e, "70" },
                                            { 80, 0x355380, "80" },
                                            { 90, 0x3d2f66, "90" } } },
};

const gen_plot_legend *gen_plot_legend_of(gen_plot_scale scale)
{
    return (unsigned)scale < GEN_LEN(legends) ? &legends[scale] : NULL;
}

static uint32_t class_colour(const gen_plot_legend *l, float v)
{
    uint32_t rgb = GEN_PLOT_WHITE;
    for (int k = 0; k < l->n && v >= l->classes[k].from; k++)
        rgb = l->classes[k].colour;
    return rgb;
}

/* Mean of the measured cells of a block, NaN when there is none. */
static float block_mean(const float *field, int64_t width, const int64_t j[2], const int64_t i[2])
{
    double sum = 0;
    int64_t n = 0;
    for (int64_t row = j[0]; row < j[1]; row++)
        for (int64_t k = i[0]; k < i[1]; k++) {
            float v = field[row * width + k];
            sum += v == v ? v : 0;
            n += v == v;
        }
    return n ? (float)(sum / (double)n) : NAN;
}

/* The cells that a pixel covers; at least one. */
static void cells_of(int64_t pixel, int64_t pixels, int64_t cells, int64_t out[2])
{
    out[0] = pixel * cells / pixels;
    out[1] = (pixel + 1) * cells / pixels;
    if (out[1] == out[0])
        out[1]++;
}

void gen_plot_field(gen_plot_page *p, const float *field, int left, int top)
{
    cairo_surface_flush(p->canvas.surface);
    unsigned char *data = cairo_image_surface_get_data(p->canvas.surface);
    int stride = cairo_image_surface_get_stride(p->canvas.surface);
    int64_t i[2], j[2];
    for (int y = 0; y < p->map_height; y++) {
        uint32_t *row = (uint32_t *)(void *)(data + (int64_t)(top + y) * stride) + left;
        cells_of(y, p->map_height, p->grid->height, j);
        for (int x = 0; x < p->map_width; x++) {
            cells_of(x, p->map_width, p->grid->width, i);
            float v = block_mean(field, p->grid->width, j, i);
            row[x] = 0xff000000u | (isnan(v) ? GEN_PLOT_MISSING : class_colour(p->legend, v));
        }
    }
    cairo_surface_mark_dirty(p->canvas.surface);
}
