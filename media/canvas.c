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

void gen_canvas_copy(const gen_canvas *v, uint8_t *rgb)
{
    cairo_surface_flush(v->surface);
    const unsigned char *data = cairo_image_surface_get_data(v->surface);
    size_t stride = (size_t)cairo_image_surface_get_stride(v->surface);
    for (int y = 0; y < v->height; y++)
        for (int x = 0; x < v->width; x++, rgb += 3) {
            uint32_t p;
            memcpy(&p, data + (size_t)y * stride + 4 * (size_t)x, sizeof p);
            rgb[0] = (uint8_t)(p >> 16);
            rgb[1] = (uint8_t)(p >> 8);
            rgb[2] = (uint8_t)p;
        }
}

gen_status gen_canvas_save(const gen_canvas *v, const char *path, const gen_media_info *info)
{
    uint8_t *rgb = NULL;
    uint64_t n = (uint64_t)v->width * (uint64_t)v->height;
    GEN_TRY(gen_alloc_raw((void **)&rgb, 3 * n, 1, "a picture"));
    gen_canvas_copy(v, rgb);
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

/* Bytes of the UTF-8 sign at s, 0 where there is none that can be drawn. */
static int sign_length(const unsigned char *s)
{
    static const unsigned least[5] = { 0, 0x20, 0x80, 0x800, 0x10000 };
    int n = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
    unsigned code = n == 1 ? s[0] : s[0] & 0x7fu >> n;
    for (int i = 1; i < n; i++) {
        if (s[i] >> 6 != 2)
            return 0;
        code = code << 6 | (s[i] & 63u);
    }
    bool surrogate = code >> 11 == 27;
    return n && code >= least[n] && code < 0x110000 && code != 127 && !surrogate ? n : 0;
}

void gen_canvas_clean(const char *s, char out[GEN_CANVAS_TEXT])
{
    size_t at = 0;
    while (*s && at + 4 < GEN_CANVAS_TEXT) {
        int n = sign_length((const unsigned char *)s);
        if (n)
            memcpy(out + at, s, (size_t)n);
        else
            out[at] = '?';
        at += n ? (size_t)n : 1;
        s += n ? n : 1;
    }
    out[at] = 0;
}

double gen_canvas_text_width(cairo_t *c, const char *s)
{
    char text[GEN_CANVAS_TEXT];
    cairo_text_extents_t e;
    gen_canvas_clean(s, text);
    cairo_text_extents(c, text, &e);
    return e.x_advance;
}

void gen_canvas_text(cairo_t *c, double x, double y, double align, const char *s)
{
    char text[GEN_CANVAS_TEXT];
    gen_canvas_clean(s, text);
    cairo_move_to(c, floor(x - align * gen_canvas_text_width(c, text)), y);
    cairo_show_text(c, text);
}

double gen_nice_step(double span, double n)
{
    double raw = span / n, power = pow(10, floor(log10(raw))), m = raw / power;
    return power * (m <= 1 ? 1 : m <= 2 ? 2 : m <= 5 ? 5 : 10);
}
