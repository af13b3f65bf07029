/* SPDX-License-Identifier: Apache-2.0
 *
 * Named views of what a run must not lose, and the file of tensors that they make: the same file
 * wherever the values lie.
 */
#include "libgen/train/saved.h"

#include <string.h>

#include "libgen/graph/params.h"
#include "libgen/model/safetensors.h"
#include "libgen/model/tensor_file.h"
#include "libgen/train/optimiser.h"

gen_status gen_saved_create(gen_saved **out)
{
    return GEN_ALLOC(out, 1, "list of what is saved");
}

void gen_saved_free(gen_saved **saved)
{
    gen_saved *s = *saved;
    if (!s)
        return;
    gen_map_free(&s->names);
    gen_arena_free(&s->arena);
    gen_free(s->tensor);
    gen_free(s->counter);
    gen_free(s->optimiser);
    gen_free(s->params);
    gen_free(s);
    *saved = NULL;
}

/* The name in the arena, listed; it must be new. */
static gen_status take_name(gen_saved *s, const char *name, const char **out)
{
    if (gen_map_get(&s->names, name))
        return gen_fail(GEN_EINVAL, "checkpoint: '%s' is named twice", name);
    char *copy = gen_arena_printf(&s->arena, "%s", name);
    if (!copy)
        return GEN_ENOMEM;
    *out = copy;
    return gen_map_set(&s->names, copy, copy);
}

static gen_status add_tensor(gen_saved *s, const char *name, gen_tensor t, const gen_far *far)
{
    if (t.dtype != GEN_F32 || !t.data)
        return gen_fail(GEN_EINVAL, "checkpoint: '%s' is not a tensor of f32", name);
    GEN_TRY(GEN_GROW(&s->tensor, &s->tensor_room, s->n_tensors + 1));
    gen_saved_item *item = &s->tensor[s->n_tensors];
    GEN_TRY(take_name(s, name, &item->name));
    item->value = t;
    item->far = far;
    s->n_tensors++;
    return GEN_OK;
}

gen_status gen_saved_tensor(gen_saved *s, const char *name, gen_tensor t)
{
    return add_tensor(s, name, t, NULL);
}

gen_status gen_saved_counter(gen_saved *s, const char *name, int64_t *value)
{
    GEN_TRY(GEN_GROW(&s->counter, &s->counter_room, s->n_counters + 1));
    gen_saved_count *count = &s->counter[s->n_counters];
    GEN_TRY(take_name(s, name, &count->name));
    count->value = value;
    s->n_counters++;
    return GEN_OK;
}

gen_status gen_saved_params(gen_saved *s, const char *prefix, gen_params *params)
{
    for (int i = 0; i < gen_params_count(params); i++) {
        const char *name;
        gen_tensor t = gen_params_at(params, i, &name, NULL);
        const char *full = gen_arena_printf(&s->arena, "%s/%s", prefix, name);
        GEN_TRY(full ? gen_saved_tensor(s, full, t) : GEN_ENOMEM);
    }
    GEN_TRY(GEN_GROW(&s->params, &s->params_room, s->n_params + 1));
    s->params[s->n_params++] = params;
    return GEN_OK;
}

static gen_status take_array(gen_saved *s, const char *prefix, const char *what,
                             const gen_slot *slot, float *data, const gen_far *far)
{
    if (!data)
        return GEN_OK;
    const char *name = gen_arena_printf(&s->arena, "%s/%s/%s", prefix, what, slot->name);
    return name ? add_tensor(s, name, (gen_tensor){ GEN_F32, slot->shape, data }, far)
                : GEN_ENOMEM;
}

gen_status gen_saved_optimiser(gen_saved *s, const char *prefix, gen_optimiser *o)
{
    for (int i = 0; i < o->n; i++) {
        const gen_slot *slot = &o->slot[i];
        const gen_adam_arrays *at = &slot->at;
        GEN_TRY(take_array(s, prefix, "m", slot, at->m, o->backend->far));
        GEN_TRY(take_array(s, prefix, "v", slot, at->v, o->backend->far));
        GEN_TRY(take_array(s, prefix, "average", slot, at->average, o->backend->far));
    }
    const char *steps = gen_arena_printf(&s->arena, "%s/steps", prefix);
    GEN_TRY(steps ? gen_saved_counter(s, steps, &o->steps) : GEN_ENOMEM);
    GEN_TRY(GEN_GROW(&s->optimiser, &s->optimiser_room, s->n_optimisers + 1));
    s->optimiser[s->n_optimisers++] = o;
    return GEN_OK;
}

/* ---- the file -------------------------------------------------------------------------------- */

uint64_t gen_saved_bytes(const gen_saved *s)
{
    uint64_t bytes = 4096;
    for (uint64_t i = 0; i < s->n_tensors; i++)
        bytes += gen_tensor_bytes(&s->tensor[i].value) + strlen(s->tensor[i].name) + 256;
    return bytes;
}

/* What lies far is brought here, into `room`. */
static gen_status list_all(const gen_saved *s, gen_safetensor *list, char *room)
{
    for (uint64_t i = 0; i < s->n_params; i++)
        GEN_TRY(gen_params_fetch(s->params[i]));
    for (uint64_t i = 0; i < s->n_tensors; i++) {
        const gen_saved_item *item = &s->tensor[i];
        list[i] = (gen_safetensor){ item->name, item->value, GEN_F32 };
        if (!item->far)
            continue;
        list[i].value.data = room;
        GEN_TRY(gen_far_read(item->far, room, item->value.data, gen_tensor_bytes(&item->value)));
        room += gen_tensor_bytes(&item->value);
    }
    return GEN_OK;
}

gen_status gen_saved_write(const gen_saved *s, const char *file)
{
    gen_status status;
    gen_safetensor *list = NULL;
    char *room = NULL;
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < s->n_tensors; i++)
        bytes += s->tensor[i].far ? gen_tensor_bytes(&s->tensor[i].value) : 0;
    GEN_GOTO(GEN_ALLOC(&list, s->n_tensors, "checkpoint"));
    GEN_GOTO(gen_alloc_raw((void **)&room, bytes, 1, "checkpoint"));
    GEN_GOTO(list_all(s, list, room));
    GEN_GOTO(gen_safetensors_write(file, true, list, (int)s->n_tensors, "{}"));
done:
    gen_free(list);
    gen_free(room);
    return status;
}

static gen_status match(const gen_saved *s, const gen_tensor_file *f)
{
    char found[GEN_SHAPE_TEXT], expected[GEN_SHAPE_TEXT];
    for (uint64_t i = 0; i < s->n_tensors; i++) {
        const gen_saved_item *item = &s->tensor[i];
        int at = gen_tensor_file_find(f, item->name);
        if (at < 0)
            return gen_fail(GEN_EMODEL, "has no tensor '%s'", item->name);
        if (!gen_shape_equal(f->tensor[at].shape, item->value.shape) ||
            f->tensor[at].dtype != GEN_F32)
            return gen_fail(GEN_EMODEL, "tensor '%s' is %s %s, expected %s F32", item->name,
                            gen_shape_text(f->tensor[at].shape, found), f->tensor[at].dtype_text,
                            gen_shape_text(item->value.shape, expected));
    }
    if ((uint64_t)f->count != s->n_tensors)
        return gen_fail(GEN_EMODEL, "has %d tensors, expected %d", f->count, (int)s->n_tensors);
    return GEN_OK;
}

gen_status gen_saved_matches(const gen_saved *s, const char *file)
{
    gen_tensor_file *f;
    GEN_TRY(gen_tensor_file_open(&f, file));
    gen_status status = match(s, f);
    gen_tensor_file_close(&f);
    return status;
}

static gen_status read_item(const gen_saved_item *item, gen_tensor_file *f)
{
    int at = gen_tensor_file_find(f, item->name);
    uint64_t bytes = gen_tensor_bytes(&item->value);
    void *room;
    if (!item->far)
        return gen_tensor_file_read(f, at, item->value.data);
    GEN_TRY(gen_alloc_raw(&room, bytes, 1, "checkpoint"));
    gen_status status = gen_tensor_file_read(f, at, room);
    status = status != GEN_OK ? status : gen_far_write(item->far, item->value.data, room, bytes);
    gen_free(room);
    return status;
}

gen_status gen_saved_read(gen_saved *s, const char *file)
{
    gen_tensor_file *f;
    gen_status status = GEN_OK;
    GEN_TRY(gen_tensor_file_open(&f, file));
    for (uint64_t i = 0; i < s->n_tensors; i++)
        GEN_GOTO(read_item(&s->tensor[i], f));
    for (uint64_t i = 0; i < s->n_params; i++)
        gen_params_touch(s->params[i]);
    for (uint64_t i = 0; i < s->n_optimisers; i++)
        GEN_GOTO(gen_optimiser_loaded(s->optimiser[i]));
done:
    gen_tensor_file_close(&f);
    return status;
}
