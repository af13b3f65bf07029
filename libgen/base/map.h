/* SPDX-License-Identifier: Apache-2.0
 *
 * A hash map from strings to pointers: open addressing, keys copied. For names.
 */
#ifndef LIBGEN_BASE_MAP_H
#define LIBGEN_BASE_MAP_H

#include <stdint.h>

#include "libgen/base/fail.h"

typedef struct gen_map {
    struct gen_map_entry *entry;
    uint64_t capacity, count;
} gen_map; /* zeroed = empty */

GEN_API void *gen_map_get(const gen_map *m, const char *key); /* NULL: not there */
GEN_API gen_status gen_map_set(gen_map *m, const char *key, void *value); /* value not NULL */
GEN_API void gen_map_free(gen_map *m);

#endif
