/* SPDX-License-Identifier: Apache-2.0
 *
 * What drawings share: a white Cairo surface, its fonts and colours, and the way to a PNG.
 */
#ifndef MEDIA_CANVAS_H
#define MEDIA_CANVAS_H

#include <cairo.h>

#include "media/media.h"

#define GEN_INK 0x222222

typedef struct gen_canvas {
    int width, height; /* px */
    cairo_surface_t *surface;
    cairo_t *c;
} gen_canvas;

/* White. EINVAL: a side beyond 30000 px; `what` begins the sentence. */
gen_status gen_canvas_open(gen_canvas *v, int width, int height, const char *what);
/* What Cairo says of all that was drawn. */
gen_status gen_canvas_check(const gen_canvas *v, const char *what);
/* What was drawn, as rgb [height,width,3]. */
void gen_canvas_copy(const gen_canvas *v, uint8_t *rgb);
gen_status gen_canvas_save(const gen_canvas *v, const char *path, const gen_media_info *info);
void gen_canvas_close(gen_canvas *v); /* zeroed is fine */

void gen_canvas_colour(cairo_t *c, uint32_t rgb);
void gen_canvas_font(cairo_t *c, double size, bool bold); /* in ink */
/* Texts hold names of files, in any bytes; Cairo draws nothing after one that is no UTF-8: what
 * is none becomes '?', what is longer than GEN_CANVAS_TEXT is cut. The two below do it, too. */
#define GEN_CANVAS_TEXT 512
void gen_canvas_clean(const char *s, char out[GEN_CANVAS_TEXT]);
double gen_canvas_text_width(cairo_t *c, const char *s);
/* align: 0 left, 0.5 centre, 1 right of x. */
void gen_canvas_text(cairo_t *c, double x, double y, double align, const char *s);

/* 1, 2 or 5 times a power of ten, so that about n steps fit into span. */
double gen_nice_step(double span, double n);

#endif
