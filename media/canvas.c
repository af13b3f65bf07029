/* SPDX-License-Identifier: Apache-2.0 */
#include "media/canvas.h"

#include <math.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "media/png.h"

#define MAX_SIDE 30000 /* px */

gen_status gen_canvas_open(gen_canvas *v, int width, int height, const char *what)
{
    if (width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE)
        return gen_fail(GEN_EINVAL, "%s: a picture of %d x %d px, expected 1 to %d a side", what,
                        width, height, MAX_SIDE);
    *v = (gen_canvas){ .width = width, .height = height };
    v->surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
    v->c = cairo_create(v->surface);
    gen_canvas_colour(v->c, 0xffffff);
    cairo_paint(v->c);
    gen_status status = gen_canvas_check(v, what);
    if (status != GEN_OK)
        gen_canvas_close(v);
    return status;
}

gen_status gen_canvas_check(const gen_canvas *v, const char *what)
{
    cairo_status_t code = cairo_status(v->c);
    if (code == CAIRO_STATUS_SUCCESS)
        return GEN_OK;
    return gen_fail(code == CAIRO_STATUS_NO_MEMORY ? GEN_ENOMEM : GEN_EUNSUPPORTED,
                    "%s: cannot draw: %s", what, cairo_status_to_string(code));
}

gen_status gen_canvas_pixels(const gen_canvas *v, uint8_t **rgb)
{
    uint64_t n = (uint64_t)v->width * (uint64_t)v->height;
    GEN_TRY(gen_alloc_raw((void **)rgb, 3 * n, 1, "a picture"));
    cairo_surface_flush(v->surface);
    const unsigned char *data = cairo_image_surface_get_data(v->surface);
    size_t stride = (size_t)cairo_image_surface_get_stride(v->surface);
    uint8_t *to = *rgb;
    for (int y = 0; y < v->height; y++)
        for (int x = 0; x < v->width; x++, to += 3) {
            uint32_t p;
            memcpy(&p, data + (size_t)y * stride + 4 * (size_t)x, sizeof p);
            to[0] = (uint8_t)(p >> 16);
            to[1] = (uint8_t)(p >> 8);
            to[2] = (uint8_t)p;
        }
    return GEN_OK;
}

gen_status gen_canvas_save(const gen_canvas *v, const char *path, const gen_media_info *info)
{
    uint8_t *rgb = NULL;
    GEN_TRY(gen_canvas_pixels(v, &rgb));
    gen_status status = gen_png_write(path, rgb, v->width, v->height, info);
    gen_free(rgb);
    return status;
}

void gen_canvas_close(gen_canvas *v)
{
    if (v->c)
        cairo_destroy(v->c);
    if (v->surface)
        cairo_surface_destroy(v->surface);
    *v = (gen_canvas){ 0 };
}

void gen_canvas_colour(cairo_t *c, uint32_t rgb)
{
    cairo_set_source_rgb(c, (rgb >> 16 & 255) / 255.0, (rgb >> 8 & 255) / 255.0,
                         (rgb & 255) / 255.0);
}

void gen_canvas_font(cairo_t *c, double size, bool bold)
{
    cairo_select_font_face(c, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(c, size);
    gen_canvas_colour(c, GEN_INK);
}

void gen_canvas_text(cairo_t *c, double x, double y, double align, const char *s)
{
    cairo_text_extents_t e;
    cairo_text_extents(c, s, &e);
    cairo_move_to(c, floor(x - align * e.x_advance), floor(y));
    cairo_show_text(c, s);
}

double gen_nice_step(double span, double n)
{
    double raw = span / n, power = pow(10, floor(log10(raw))), m = raw / power;
    return power * (m <= 1 ? 1 : m <= 2 ? 2 : m <= 5 ? 5 : 10);
}
