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

#endif
