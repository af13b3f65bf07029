/* SPDX-License-Identifier: Apache-2.0
 *
 * Films in a build without FFmpeg: a sentence.
 */
#include "media/film.h"

gen_status gen_film_open(gen_film **out, const char *path, const gen_film_options *options)
{
    (void)options;
    *out = NULL;
    return gen_fail(GEN_EUNSUPPORTED, "%s: films need FFmpeg, and this build has none", path);
}

gen_status gen_film_add(gen_film *f, const uint8_t *rgb)
{
    (void)f;
    (void)rgb;
    return gen_fail(GEN_EUNSUPPORTED, "films need FFmpeg, and this build has none");
}

gen_status gen_film_commit(gen_film *f)
{
    return gen_film_add(f, NULL);
}

void gen_film_free(gen_film **f)
{
    (void)f;
}
