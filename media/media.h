/* SPDX-License-Identifier: Apache-2.0
 *
 * What a written picture or film says about itself, in the metadata of its format.
 */
#ifndef MEDIA_MEDIA_H
#define MEDIA_MEDIA_H

#include <stdbool.h>
#include <stdint.h>

#include "libgen/base/fail.h"

typedef struct gen_media_info {
    const char *title; /* may be NULL */
    const char *made;  /* how it was made: program, version, options; may be NULL */
    bool force;        /* overwrite */
} gen_media_info;

#endif
