/* SPDX-License-Identifier: Apache-2.0
 *
 * Films as GIF or MP4, frame by frame. Without FFmpeg, opening one is EUNSUPPORTED.
 */
#ifndef MEDIA_FILM_H
#define MEDIA_FILM_H

#include <string.h>

#include "media/media.h"

typedef struct gen_film_options {
    gen_media_info info;
    int width, height;
    double fps;          /* frames a second, 0.01 to 120; GIF, which counts in 1/100 s, to 50 */
    const char *encoder; /* of MP4, by FFmpeg's name; NULL = libx264, libopenh264 or mpeg4, the
                            first that is there */
    const uint32_t
        *colours;  /* [n_colours] 0xRRGGBB that frames may have, or NULL: GIF is smaller */
    int n_colours; /* where its palette need not change; beyond 256 they are ignored */
} gen_film_options;

typedef struct gen_film gen_film;

/* Does the name end in .gif or .mp4? */
static inline bool gen_film_named(const char *path)
{
    size_t n = strlen(path);
    return n > 4 && (strcmp(path + n - 4, ".gif") == 0 || strcmp(path + n - 4, ".mp4") == 0);
}

/* A film that appears at `path`, whole, when committed; EEXIST without force. The name decides:
 * .gif: loops for ever, colours exact where a frame has no more than 256 (media/palette.h).
 * .mp4: bt709, limited range, 4:2:0; an odd side is made even by repeating the last row or column;
 * can be played while it loads. One thread at a time per film. While a film is open FFmpeg logs
 * nothing, for the whole process. */
gen_status gen_film_open(gen_film **out, const char *path, const gen_film_options *options);
/* rgb [height,width,3]. */
gen_status gen_film_add(gen_film *f, const uint8_t *rgb);
/* EINVAL: no frame was added. Free the film after it. */
gen_status gen_film_commit(gen_film *f);
/* Removes what was not committed. */
void gen_film_free(gen_film **f);

#endif
