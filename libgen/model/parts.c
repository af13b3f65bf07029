/* SPDX-License-Identifier: Apache-2.0
 *
 * The networks of a model file, from its metadata, and the comparison of all of them with its
 * tensors.
 */
#include "libgen/model/parts.h"

#include <string.h>

void gen_parts_free(gen_parts *p)
{
    for (int i = 0; i < p->n; i++) {
        gen_network_free(&p->part[i].network);
        gen_free(p->part[i].config);
    }
    memset(p, 0, sizeof *p);
}

/* ---- metadata ------------------------------------------------------------------------------- */

static gen_status find_arch(const char *name, const gen_arch **out)
{
    char names[256] = "", q[GEN_QUOTE];
    *out = gen_arch_find(name);
    if (*out)
        return GEN_OK;
    for (int i = 0; i < gen_arch_count(); i++)
        strncat(strncat(names, i ? ", " : "", sizeof names - strlen(names) - 1),
                gen_arch_at(i)->name, sizeof names - strlen(names) - 1);
    return gen_fail(GEN_EMODEL, "network '%s' is not known here; known are: %s", gen_quote(name, q),
                    *names ? names : "none");
}

/* The text of a key as JSON of a kind. */
static gen_status parse(gen_json **out, const gen_json *metadata, const char *key,
                        gen_json_kind kind)
{
    const char *text;
    GEN_TRY(gen_json_string(metadata, key, &text));
    gen_status status = gen_json_parse(out, text, strlen(text), UINT64_MAX);
    if (status != GEN_OK)
        return gen_fail_in(status == GEN_EDATA ? GEN_EMODEL : status, "%s", key);
    if (gen_json_kind_of(*out) != kind)
        return gen_fail(GEN_EMODEL, "%s is not a JSON %s", key,
                        kind == GEN_JSON_ARRAY ? "array" : "object");
    return GEN_OK;
}

static gen_status add_part(gen_parts *p, const char *name, const gen_json *config)
{
    const gen_arch *arch;
    gen_part *part = &p->part[p->n];
    GEN_TRY(find_arch(name, &arch));
    for (int i = 1; i < p->n; i++)
        if (p->part[i].arch == arch)
            return gen_fail(GEN_EMODEL, "companion '%s' is there twice", arch->name);
    GEN_TRY(gen_alloc(&part->config, 1, arch->config_size, "config"));
    part->arch = arch;
    p->n++;
    GEN_TRY(gen_config_read(arch, part->config, config));
    return gen_network_build(&part->network, arch, part->config, NULL, 0);
}

static gen_status add_main(gen_parts *p, const gen_json *metadata)
{
    gen_json *config = NULL;
    const char *name;
    if (!gen_json_get(metadata, GEN_METADATA_ARCH))
        return gen_fail(GEN_EMODEL, "it does not say which network it is (no " GEN_METADATA_ARCH
                                    "): a foreign file, for `gen model convert`");
    GEN_TRY(gen_json_string(metadata, GEN_METADATA_ARCH, &name));
    if (!gen_json_get(metadata, GEN_METADATA_CONFIG))
        return gen_fail(GEN_EMODEL, "it has no " GEN_METADATA_CONFIG);
    gen_status status = parse(&config, metadata, GEN_METADATA_CONFIG, GEN_JSON_OBJECT);
    if (status == GEN_OK)
        status = add_part(p, name, config);
    gen_json_free(&config);
    return status;
}

/* {"arch": name, "config": object}, and nothing else. */
static gen_status add_companion(gen_parts *p, const gen_json *v)
{
    const char *name;
    const gen_json *config = gen_json_get(v, "config");
    if (gen_json_kind_of(v) != GEN_JSON_OBJECT || gen_json_count(v) != 2 || !config ||
        gen_json_kind_of(config) != GEN_JSON_OBJECT || !gen_json_get(v, "arch"))
        return gen_fail(GEN_EMODEL, "expected {\"arch\": name, \"config\": object}");
    GEN_TRY(gen_json_string(v, "arch", &name));
    return add_part(p, name, config);
}

static gen_status add_companions(gen_parts *p, const gen_json *metadata)
{
    gen_json *list = NULL;
    if (!gen_json_get(metadata, GEN_METADATA_COMPANIONS))
        return GEN_OK;
    gen_status status = parse(&list, metadata, GEN_METADATA_COMPANIONS, GEN_JSON_ARRAY);
    if (status == GEN_OK && gen_json_count(list) > GEN_MAX_COMPANIONS)
        status = gen_fail(GEN_EMODEL, GEN_METADATA_COMPANIONS ": %d networks, at most %d",
                          gen_json_count(list), GEN_MAX_COMPANIONS);
    for (const gen_json *v = gen_json_first(list); v && status == GEN_OK; v = gen_json_next(v)) {
        status = add_companion(p, v);
        if (status != GEN_OK)
            status = gen_fail_in(status, GEN_METADATA_COMPANIONS);
    }
    gen_json_free(&list);
    return status;
}

gen_status gen_parts_read(gen_parts *out, const gen_tensor_file *f)
{
    gen_json *metadata = NULL;
    const char *arch;
    memset(out, 0, sizeof *out);
    gen_status status = gen_metadata_read(f->metadata, &metadata, &arch);
    if (status == GEN_OK)
        status = add_main(out, metadata);
    if (status == GEN_OK)
        status = add_companions(out, metadata);
    gen_json_free(&metadata);
    return status == GEN_OK || status == GEN_ENOMEM ? status : GEN_EMODEL;
}

/* ---- tensors -------------------------------------------------------------------------------- */

gen_status gen_part_name(const gen_parts *p, int i, const char *name, gen_arena *arena,
                         const char **out)
{
    *out = name;
    if (i > 0)
        *out = gen_arena_printf(arena, "%c%s/%s", GEN_COMPANION_MARK, p->part[i].arch->name, name);
    return *out ? GEN_OK : GEN_ENOMEM;
}

static gen_status compare_one(gen_text *list, const gen_tensor_file *f, const char *name,
                              gen_shape shape, bool *wanted)
{
    char a[GEN_SHAPE_TEXT], b[GEN_SHAPE_TEXT];
    int k = gen_tensor_file_find(f, name);
    if (k < 0)
        return gen_text_list(list, "missing '%s' %s", name, gen_shape_text(shape, a));
    const gen_file_tensor *t = &f->tensor[k];
    wanted[k] = true;
    if (!gen_shape_equal(shape, t->shape))
        return gen_text_list(list, "'%s' is %s, expected %s", name, gen_shape_text(t->shape, a),
                             gen_shape_text(shape, b));
    if (t->dtype < 0 || !gen_dtype_is_float((gen_dtype)t->dtype))
        return gen_text_list(list, "'%s' is of type %s, expected F32 or BF16", name, t->dtype_text);
    return GEN_OK;
}

gen_status gen_parts_check(const gen_parts *p, const gen_tensor_file *f)
{
    gen_status status = GEN_OK;
    gen_text list = { 0 };
    gen_arena arena = { 0 };
    bool *wanted = NULL;
    char text[GEN_SHAPE_TEXT];
    GEN_TRY(GEN_ALLOC(&wanted, f->count, "comparison"));
    for (int i = 0; i < p->n; i++) {
        const gen_network *n = &p->part[i].network;
        for (int k = 0; k < gen_graph_params(n->g); k++) {
            const char *name;
            gen_shape shape = gen_network_param(n, k, &name, NULL);
            GEN_GOTO(gen_part_name(p, i, name, &arena, &name));
            GEN_GOTO(compare_one(&list, f, name, shape, wanted));
        }
    }
    for (int k = 0; k < f->count; k++)
        if (!wanted[k])
            GEN_GOTO(gen_text_list(&list, "extra '%s' %s", f->tensor[k].name,
                                   gen_shape_text(f->tensor[k].shape, text)));
    if (list.pieces)
        GEN_GOTO(gen_text_fail(&list, f->path, "the tensors are not those of the network"));
done:
    gen_arena_free(&arena);
    gen_free(list.text);
    gen_free(wanted);
    return status;
}
