/* SPDX-License-Identifier: Apache-2.0
 *
 * At most 256 colours for pictures that can hold no more (GIF).
 */
#ifndef MEDIA_PALETTE_H
#define MEDIA_PALETTE_H

#include "media/media.h"

typedef struct gen_palette {
    int n;
    bool renewed;         /* colours of an earlier frame were dropped */
    uint32_t colour[256]; /* 0xRRGGBB */
} gen_palette;

/* Writes the number of each pixel's colour to index [pixels], from rgb [pixels,3]. The palette of
 * earlier frames is kept, with new colours added, while all fit: every colour is then exact. Else
 * it is made anew from this frame: exact up to 256 colours; of more, the commonest stay exact and
 * rare ones share. Begin with a zeroed palette. */
gen_status gen_palette_apply(gen_palette *p, const uint8_t *rgb, int64_t pixels, uint8_t *index);

#endif
