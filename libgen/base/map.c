/* SPDX-License-Identifier: Apache-2.0 */
#include "libgen/base/map.h"

#include <string.h>

#include "libgen/base/alloc.h"

struct gen_map_entry {
    char *key; /* NULL: free */
    void *value;
    uint64_t hash;
};

static uint64_t hash_text(const char *s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    return h ^ h >> 29;
}

/* The entry that holds the key, or the free one where it belongs. Capacity is a power of two. */
static struct gen_map_entry *find(const gen_map *m, const char *key, uint64_t hash)
{
    for (uint64_t i = hash & (m->capacity - 1);; i = (i + 1) & (m->capacity - 1)) {
        struct gen_map_entry *e = &m->entry[i];
        if (!e->key || (e->hash == hash && !strcmp(e->key, key)))
            return e;
    }
}

void *gen_map_get(const gen_map *m, const char *key)
{
    return m->capacity ? find(m, key, hash_text(key))->value : NULL;
}

static gen_status enlarge(gen_map *m)
{
    gen_map bigger = { .capacity = m->capacity ? m->capacity * 2 : 64, .count = m->count };
    GEN_TRY(GEN_ALLOC(&bigger.entry, bigger.capacity, "map"));
    for (uint64_t i = 0; i < m->capacity; i++)
        if (m->entry[i].key)
            *find(&bigger, m->entry[i].key, m->entry[i].hash) = m->entry[i];
    gen_free(m->entry);
    *m = bigger;
    return GEN_OK;
}

gen_status gen_map_set(gen_map *m, const char *key, void *value)
{
    if ((m->count + 1) * 2 > m->capacity)
        GEN_TRY(enlarge(m));
    uint64_t hash = hash_text(key);
    struct gen_map_entry *e = find(m, key, hash);
    if (!e->key) {
        GEN_TRY(gen_strdup(&e->key, key));
        e->hash = hash;
        m->count++;
    }
    e->value = value;
    return GEN_OK;
}

void gen_map_free(gen_map *m)
{
    for (uint64_t i = 0; i < m->capacity; i++)
        gen_free(m->entry[i].key);
    gen_free(m->entry);
    *m = (gen_map){ 0 };
}
