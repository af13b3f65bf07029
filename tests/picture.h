/* SPDX-License-Identifier: Apache-2.0
 *
 * PNG files read back with libpng, for the tests of pictures.
 */
#ifndef TESTS_PICTURE_H
#define TESTS_PICTURE_H

#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct picture {
    int width, height;
    unsigned char *rgb; /* [height,width,3]; picture_free */
    char title[200], source[200], software[200];
} picture;

static inline void picture_text(picture *p, const png_text *t)
{
    char *to = strcmp(t->key, "Title") == 0      ? p->title
               : strcmp(t->key, "Source") == 0   ? p->source
               : strcmp(t->key, "Software") == 0 ? p->software
                                                 : NULL;
    if (to)
        snprintf(to, sizeof p->title, "%s", t->text);
}

static inline picture picture_read(const char *path)
{
    picture p = { 0 };
    png_textp text;
    int n = 0;
    FILE *f = fopen(path, "rb");
    if (!f) {
        fprintf(stderr, "%s: not there\n", path);
        exit(1);
    }
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_init_io(png, f);
    png_read_png(png, info, PNG_TRANSFORM_IDENTITY, NULL);
    p.width = (int)png_get_image_width(png, info);
    p.height = (int)png_get_image_height(png, info);
    png_get_text(png, info, &text, &n);
    for (int i = 0; i < n; i++)
        picture_text(&p, &text[i]);
    p.rgb = malloc(3 * (size_t)p.width * (size_t)p.height);
    png_bytepp rows = png_get_rows(png, info);
    for (int y = 0; p.rgb && y < p.height; y++)
        memcpy(p.rgb + 3 * (size_t)y * (size_t)p.width, rows[y], 3 * (size_t)p.width);
    png_destroy_read_struct(&png, &info, NULL);
    fclose(f);
    return p;
}

static inline void picture_free(picture *p)
{
    free(p->rgb);
    p->rgb = NULL;
}

/* Pixels of a colour, 0xRRGGBB. */
static inline long picture_count(const picture *p, unsigned rgb)
{
    long n = 0;
    const unsigned char *v = p->rgb;
    for (long i = 0; i < (long)p->width * p->height; i++, v += 3)
        n += ((unsigned)v[0] << 16 | (unsigned)v[1] << 8 | v[2]) == rgb;
    return n;
}

#endif
