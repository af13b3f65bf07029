/* SPDX-License-Identifier: Apache-2.0
 *
 * Models written in our own format. What is written is what the networks ask for, not all that
 * their parameters hold: a trainer keeps those of several networks together.
 */
#include <string.h>

#include "libgen/model/parts.h"
#include "libgen/model/safetensors.h"

#define MAX_EXTRA ((uint64_t)16 << 20)

/* ---- metadata ------------------------------------------------------------------------------- */

static bool is_reserved(const char *key)
{
    return strcmp(key, GEN_METADATA_ARCH) == 0 || strcmp(key, GEN_METADATA_CONFIG) == 0 ||
           strcmp(key, GEN_METADATA_COMPANIONS) == 0;
}

static void put_json(gen_json_writer *w, const char *key, const gen_json *v)
{
    const char *s = NULL;
    double real = 0;
    bool flag = false;
    switch (gen_json_kind_of(v)) {
    case GEN_JSON_NULL:
        gen_json_put_null(w, key);
        return;
    case GEN_JSON_BOOL:
        (void)gen_json_bool(v, NULL, &flag);
        gen_json_put_bool(w, key, flag);
        return;
    case GEN_JSON_NUMBER:
        (void)gen_json_real(v, NULL, &real);
        gen_json_put_real(w, key, real);
        return;
    case GEN_JSON_STRING:
        (void)gen_json_string(v, NULL, &s);
        gen_json_put_string(w, key, s);
        return;
    case GEN_JSON_ARRAY:
    case GEN_JSON_OBJECT:
        break;
    }
    bool array = gen_json_kind_of(v) == GEN_JSON_ARRAY;
    gen_json_open(w, key, array ? '[' : '{');
    for (const gen_json *c = gen_json_first(v); c; c = gen_json_next(c))
        put_json(w, array ? NULL : gen_json_key(c), c);
    gen_json_close(w, array ? ']' : '}');
}

/* One more key; values other than strings are stored as their JSON text. */
static gen_status put_value(gen_json_writer *w, const gen_json *v)
{
    const char *s;
    char *text = NULL;
    if (gen_json_kind_of(v) == GEN_JSON_STRING) {
        GEN_TRY(gen_json_string(v, NULL, &s));
    } else {
        gen_json_writer inner = { 0 };
        put_json(&inner, NULL, v);
        GEN_TRY(gen_json_finish(&inner, &text));
        s = text;
    }
    gen_json_put_string(w, gen_json_key(v), s);
    gen_free(text);
    return GEN_OK;
}

static gen_status put_config(gen_json_writer *w, const gen_model *m)
{
    gen_json_writer config = { 0 };
    char *text;
    gen_json_put_options(&config, NULL, m->arch->config, m->config);
    GEN_TRY(gen_json_finish(&config, &text));
    gen_json_put_string(w, GEN_METADATA_CONFIG, text);
    gen_free(text);
    return GEN_OK;
}

static gen_status put_companions(gen_json_writer *w, const gen_model *const *companion, int n)
{
    gen_json_writer list = { 0 };
    char *text;
    if (!n)
        return GEN_OK;
    gen_json_open(&list, NULL, '[');
    for (int i = 0; i < n; i++) {
        gen_json_open(&list, NULL, '{');
        gen_json_put_string(&list, "arch", companion[i]->arch->name);
        gen_json_put_options(&list, "config", companion[i]->arch->config, companion[i]->config);
        gen_json_close(&list, '}');
    }
    gen_json_close(&list, ']');
    GEN_TRY(gen_json_finish(&list, &text));
    gen_json_put_string(w, GEN_METADATA_COMPANIONS, text);
    gen_free(text);
    return GEN_OK;
}

/* The networks, `extra`, and what the model brought that extra does not replace. */
static gen_status make_metadata(const gen_model *m, const gen_model *const *companion, int n,
                                const char *extra, char **out)
{
    gen_status status = GEN_OK;
    gen_json *old = NULL, *new = NULL;
    gen_json_writer w = { 0 };
    const char *brought = m->metadata ? m->metadata : "{}";
    *out = NULL;
    GEN_GOTO(gen_json_parse(&old, brought, strlen(brought), UINT64_MAX));
    GEN_GOTO(gen_json_parse(&new, extra ? extra : "{}", extra ? strlen(extra) : 2, MAX_EXTRA));
    if (gen_json_kind_of(new) != GEN_JSON_OBJECT || gen_json_kind_of(old) != GEN_JSON_OBJECT)
        GEN_GOTO(gen_fail(GEN_EINVAL, "metadata to add must be a JSON object"));
    gen_json_open(&w, NULL, '{');
    gen_json_put_string(&w, GEN_METADATA_ARCH, m->arch->name);
    GEN_GOTO(put_config(&w, m));
    GEN_GOTO(put_companions(&w, companion, n));
    for (const gen_json *v = gen_json_first(old); v; v = gen_json_next(v))
        if (!is_reserved(gen_json_key(v)) && !gen_json_get(new, gen_json_key(v)))
            GEN_GOTO(put_value(&w, v));
    for (const gen_json *v = gen_json_first(new); v; v = gen_json_next(v))
        if (!is_reserved(gen_json_key(v)))
            GEN_GOTO(put_value(&w, v));
    gen_json_close(&w, '}');
    GEN_GOTO(gen_json_finish(&w, out));
done:
    gen_free(w.text);
    gen_json_free(&old);
    gen_json_free(&new);
    return status;
}

/* ---- tensors -------------------------------------------------------------------------------- */

/* What will be written; names are in the arena, values are borrowed. */
struct list {
    gen_parts parts;
    gen_safetensor *tensor;
    uint64_t capacity;
    int n;
    gen_arena arena;
};

static void list_free(struct list *l)
{
    gen_parts_free(&l->parts);
    gen_free(l->tensor);
    gen_arena_free(&l->arena);
}

/* The value of a parameter of the network, found in the model. */
static gen_status find_value(gen_tensor *out, const gen_model *m, const char *name, gen_shape shape)
{
    char found[GEN_SHAPE_TEXT], expected[GEN_SHAPE_TEXT];
    gen_tensor t = gen_params_get(m->params, name);
    if (t.shape.rank == 0 && !t.data)
        return gen_fail(GEN_EINVAL, "%s: the parameters hold no '%s' %s", m->arch->name, name,
                        gen_shape_text(shape, expected));
    if (!t.data)
        return gen_fail(GEN_EINVAL, "the values of '%s' were released", name);
    if (!gen_shape_equal(t.shape, shape))
        return gen_fail(GEN_EINVAL, "%s: '%s' is %s, expected %s", m->arch->name, name,
                        gen_shape_text(t.shape, found), gen_shape_text(shape, expected));
    *out = t;
    return GEN_OK;
}

/* The tensors of a model become those of the next part. */
static gen_status list_model(struct list *l, const gen_model *m, gen_dtype dtype)
{
    int at = l->parts.n++;
    gen_part *part = &l->parts.part[at];
    part->arch = m->arch;
    GEN_TRY(gen_network_build(&part->network, m->arch, m->config, NULL, 0));
    int count = gen_graph_params(part->network.g);
    GEN_TRY(GEN_GROW(&l->tensor, &l->capacity, l->n + count));
    for (int i = 0; i < count; i++) {
        const char *name;
        gen_safetensor *t = &l->tensor[l->n];
        gen_shape shape = gen_network_param(&part->network, i, &name, NULL);
        if (*name == GEN_COMPANION_MARK)
            return gen_fail(GEN_EINVAL,
                            "%s: names that begin with '%c' are those of companions, "
                            "found '%s'",
                            m->arch->name, GEN_COMPANION_MARK, name);
        GEN_TRY(find_value(&t->value, m, name, shape));
        GEN_TRY(gen_part_name(&l->parts, at, name, &l->arena, &t->name));
        /* vectors are small and sensitive (biases, statistics, power-iteration vectors) */
        t->store = shape.rank < 2 ? GEN_F32 : dtype;
        l->n++;
    }
    return GEN_OK;
}

static gen_status check_call(const gen_model *const *companion, int n, gen_dtype dtype)
{
    if (dtype != GEN_F32 && dtype != GEN_BF16)
        return gen_fail(GEN_EINVAL, "models are saved in f32 or bf16, not %s",
                        gen_dtype_name(dtype));
    if (n < 0 || n > GEN_MAX_COMPANIONS)
        return gen_fail(GEN_EINVAL, "a model file has at most %d companions, found %d",
                        GEN_MAX_COMPANIONS, n);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < i; k++)
            if (companion[i]->arch == companion[k]->arch)
                return gen_fail(GEN_EINVAL, "companion '%s' is given twice",
                                companion[i]->arch->name);
    return GEN_OK;
}

gen_status gen_model_save_with(const gen_model *m, const gen_model *const *companion, int n,
                               const char *path, gen_dtype dtype, const char *extra, bool force)
{
    gen_status status;
    struct list l = { 0 };
    char *metadata = NULL;
    GEN_TRY(check_call(companion, n, dtype));
    GEN_TRY(gen_params_fetch(m->params));
    GEN_GOTO(list_model(&l, m, dtype));
    for (int i = 0; i < n; i++) {
        GEN_GOTO(gen_params_fetch(companion[i]->params));
        GEN_GOTO(list_model(&l, companion[i], dtype));
    }
    GEN_GOTO(make_metadata(m, companion, n, extra, &metadata));
    GEN_GOTO(gen_safetensors_write(path, force, l.tensor, l.n, metadata));
done:
    gen_free(metadata);
    list_free(&l);
    return status;
}

gen_status gen_model_save(const gen_model *m, const char *path, gen_dtype dtype, const char *extra,
                          bool force)
{
    return gen_model_save_with(m, NULL, 0, path, dtype, extra, force);
}
