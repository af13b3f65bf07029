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
    void *far; /* its copy in far memory, or NULL */
    bool trained;
};

struct gen_pack {
    struct gen_pack *next, *before;
    void *data;
    uint64_t bytes;
    void (*free)(void *p);
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
    const gen_far *far;
    void (*free_far)(void *p); /* far may be gone by then */
    enum { BOTH_ALIKE, HOST_NEWER, FAR_NEWER } newer;
};

gen_status gen_params_create(gen_params **out)
{
    return GEN_ALLOC(out, 1, "parameters");
}

static void free_entry(const gen_params *p, struct entry *e)
{
    if (e->far)
        p->free_far(e->far);
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
    k->free(k->data);
    gen_free(k);
}

void gen_params_free(gen_params **params)
{
    gen_params *p = *params;
    if (!p)
        return;
    for (int i = 0; i < p->count; i++)
        free_entry(p, p->entry[i]);
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
        free_entry(p, e);
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

static void forget_packs(gen_params *p)
{
    for (gen_pack *k = p->first_pack, *next; k; k = next) {
        next = k->next;
        k->stale = true;
        if (!k->users)
            drop_pack(p, k);
    }
    gen_map_free(&p->packs);
}

void gen_params_touch(gen_params *p)
{
    forget_packs(p);
    p->newer = HOST_NEWER;
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
                           gen_status (*fill)(void *ctx, void *to), void *ctx, const gen_far *far,
                           gen_pack **out)
{
    gen_status status = GEN_OK;
    gen_pack *k = NULL;
    void *filled = NULL;
    *out = NULL;
    GEN_TRY(GEN_ALLOC(&k, 1, "packed weights"));
    k->free = far ? far->free : gen_free;
    GEN_GOTO(gen_alloc_raw(&filled, bytes, 1, "packed weights"));
    GEN_GOTO(fill(ctx, filled));
    if (far) {
        GEN_GOTO(far->alloc(far->ctx, &k->data, bytes, "packed weights"));
        GEN_GOTO(far->put(far->ctx, k->data, filled, bytes));
    } else {
        k->data = filled;
        filled = NULL;
    }
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
        if (k->data)
            k->free(k->data);
        gen_free(k);
    }
    gen_free(filled);
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

/* ---- values in far memory -------------------------------------------------------------------- */

gen_status gen_params_far(gen_params *p, const char *name, const gen_far *far, void **out)
{
    struct entry *e = gen_map_get(&p->names, name);
    *out = NULL;
    if (!e || !e->tensor.data)
        return gen_fail(GEN_EINVAL, "parameter '%s' has no value", name);
    p->far = far;
    p->free_far = far->free;
    if (!e->far) {
        GEN_TRY(far->alloc(far->ctx, &e->far, gen_tensor_bytes(&e->tensor), name));
        GEN_TRY(far->put(far->ctx, e->far, e->tensor.data, gen_tensor_bytes(&e->tensor)));
    }
    *out = e->far;
    return GEN_OK;
}

gen_status gen_params_put(gen_params *p)
{
    for (int i = 0; p->far && p->newer == HOST_NEWER && i < p->count; i++) {
        const struct entry *e = p->entry[i];
        if (e->far && e->tensor.data)
            GEN_TRY(p->far->put(p->far->ctx, e->far, e->tensor.data,
                                gen_tensor_bytes(&e->tensor)));
    }
    if (p->newer == HOST_NEWER)
        p->newer = BOTH_ALIKE;
    return GEN_OK;
}

void gen_params_far_changed(gen_params *p)
{
    p->newer = FAR_NEWER;
}

gen_status gen_params_fetch(gen_params *p)
{
    if (!p->far || p->newer != FAR_NEWER)
        return GEN_OK;
    for (int i = 0; i < p->count; i++) {
        const struct entry *e = p->entry[i];
        if (e->far)
            GEN_TRY(p->far->get(p->far->ctx, e->tensor.data, e->far,
                                gen_tensor_bytes(&e->tensor)));
    }
    forget_packs(p);
    p->newer = BOTH_ALIKE;
    return GEN_OK;
}
