/* SPDX-License-Identifier: Apache-2.0
 *
 * Named values, and the packed copies that kernels made of them. Tensors are separate allocations
 * (a file may be read straight into them, and those that are packed can be freed one by one); the
 * order is that of their names, so that nothing depends on the order of creation.
 */
#include "libgen/graph/params.h"

#include <stdlib.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "libgen/base/map.h"

struct entry {
    char *name;
    gen_tensor tensor;
    bool trained;
};

struct gen_pack {
    struct gen_pack *next, *before;
    void *data;
    uint64_t bytes;
    int users;
    bool stale; /* of values that were changed since: not in the map, freed with its last user */
};

struct gen_params {
    struct entry **entry;
    uint64_t capacity;
    int count;
    bool sorted;
    gen_map names; /* name -> entry */
    gen_map packs; /* key -> pack, of the present values */
    gen_pack *first_pack;
    uint64_t pack_bytes;
};

gen_status gen_params_create(gen_params **out)
{
    return GEN_ALLOC(out, 1, "parameters");
}

static void free_entry(struct entry *e)
{
    gen_free(e->name);
    gen_tensor_free(&e->tensor);
    gen_free(e);
}

static void drop_pack(gen_params *p, gen_pack *k)
{
    if (k->next)
        k->next->before = k->before;
    if (k->before)
        k->before->next = k->next;
    else
        p->first_pack = k->next;
    p->pack_bytes -= k->bytes;
    gen_free(k->data);
    gen_free(k);
}

void gen_params_free(gen_params **params)
{
    gen_params *p = *params;
    if (!p)
        return;
    for (int i = 0; i < p->count; i++)
        free_entry(p->entry[i]);
    gen_free(p->entry);
    gen_map_free(&p->names);
    while (p->first_pack)
        drop_pack(p, p->first_pack);
    gen_map_free(&p->packs);
    gen_free(p);
    *params = NULL;
}

gen_status gen_params_add(gen_params *p, const char *name, gen_shape shape, bool trained,
                          float **values)
{
    gen_status status = GEN_OK;
    struct entry *e = NULL;
    if (gen_map_get(&p->names, name))
        return gen_fail(GEN_EINVAL, "parameter '%s' is there already", name);
    GEN_TRY(GEN_GROW(&p->entry, &p->capacity, p->count + 1));
    GEN_GOTO(GEN_ALLOC(&e, 1, "parameter"));
    e->trained = trained;
    GEN_GOTO(gen_strdup(&e->name, name));
    GEN_GOTO(gen_tensor_create(&e->tensor, GEN_F32, shape));
    GEN_GOTO(gen_map_set(&p->names, name, e));
    p->entry[p->count++] = e;
    p->sorted = false;
    if (values)
        *values = e->tensor.data;
    e = NULL;
done:
    if (e)
        free_entry(e);
    return status;
}

gen_status gen_params_copy(gen_params *p, const gen_params *from)
{
    for (int i = 0; i < from->count; i++) {
        const struct entry *e = from->entry[i];
        float *values;
        if (!e->tensor.data)
            return gen_fail(GEN_EINVAL, "the values of '%s' were released", e->name);
        GEN_TRY(gen_params_add(p, e->name, e->tensor.shape, e->trained, &values));
        memcpy(values, e->tensor.data, gen_tensor_bytes(&e->tensor));
    }
    return GEN_OK;
}

gen_tensor gen_params_get(const gen_params *p, const char *name)
{
    const struct entry *e = gen_map_get(&p->names, name);
    return e ? e->tensor : (gen_tensor){ 0 };
}

int gen_params_count(const gen_params *p)
{
    return p->count;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct entry *const *)a)->name, (*(struct entry *const *)b)->name);
}

gen_tensor gen_params_at(const gen_params *params, int i, const char **name, bool *trained)
{
    gen_params *p = (gen_params *)params; /* sorting is not a visible change */
    if (!p->sorted) {
        qsort(p->entry, (size_t)p->count, sizeof *p->entry, by_name);
        p->sorted = true;
    }
    if (i < 0 || i >= p->count)
        return (gen_tensor){ 0 };
    if (name)
        *name = p->entry[i]->name;
    if (trained)
        *trained = p->entry[i]->trained;
    return p->entry[i]->tensor;
}

void gen_params_touch(gen_params *p)
{
    for (gen_pack *k = p->first_pack, *next; k; k = next) {
        next = k->next;
        k->stale = true;
        if (!k->users)
            drop_pack(p, k);
    }
    gen_map_free(&p->packs);
}

void gen_params_drop(gen_params *p, const char *name)
{
    struct entry *e = gen_map_get(&p->names, name);
    if (e)
        gen_tensor_free(&e->tensor);
}

/* ---- packed copies --------------------------------------------------------------------------- */

gen_pack *gen_params_packed(gen_params *p, const char *key)
{
    gen_pack *k = gen_map_get(&p->packs, key);
    if (k)
        k->users++;
    return k;
}

gen_status gen_params_pack(gen_params *p, const char *key, uint64_t bytes,
                           gen_status (*fill)(void *ctx, void *to), void *ctx, gen_pack **out)
{
    gen_status status = GEN_OK;
    gen_pack *k = NULL;
    *out = NULL;
    GEN_TRY(GEN_ALLOC(&k, 1, "packed weights"));
    GEN_GOTO(gen_alloc_raw(&k->data, bytes, 1, "packed weights"));
    GEN_GOTO(fill(ctx, k->data));
    GEN_GOTO(gen_map_set(&p->packs, key, k));
    k->bytes = bytes;
    k->users = 1;
    k->next = p->first_pack;
    if (k->next)
        k->next->before = k;
    p->first_pack = k;
    p->pack_bytes += bytes;
    *out = k;
    k = NULL;
done:
    if (k) {
        gen_free(k->data);
        gen_free(k);
    }
    return status;
}

const void *gen_pack_data(const gen_pack *k)
{
    return k->data;
}

void gen_params_release(gen_params *p, gen_pack *k)
{
    if (--k->users == 0 && k->stale)
        drop_pack(p, k);
}

uint64_t gen_params_packed_bytes(const gen_params *p)
{
    return p->pack_bytes;
}
