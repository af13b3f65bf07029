/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures as PNG files.
 */
#ifndef MEDIA_PNG_H
#define MEDIA_PNG_H

#include "media/media.h"

/* rgb [height,width,3]. Appears whole or not at all; EEXIST without force. Title and origin become
 * the texts "Title" and "Source". info may be NULL. */
gen_status gen_png_write(const char *path, const uint8_t *rgb, int width, int height,
                         const gen_media_info *info);

typedef struct gen_png {
    int width, height;
    bool indexed;    /* pixels are entries of the palette */
    uint8_t *pixels; /* [height,width] entries, or [height,width,4] red, green, blue, alpha */
    uint8_t palette[256][4]; /* of an indexed picture, with alpha; 0 where there is no entry */
} gen_png;

/* A picture in memory; path is for the sentence. Colours as they are stored: no gamma is applied;
 * 16 bits become 8. EDATA: damaged, cut, or larger than its bytes can hold. Free pixels with
 * gen_free. */
gen_status gen_png_read(gen_png *out, const uint8_t *bytes, uint64_t size, const char *path);

#endif
