/* SPDX-License-Identifier: Apache-2.0
 *
 * Models in our own format: register of networks, create, load. Loading compares the file with the
 * networks that its metadata describes before any memory is taken for values, and reads each tensor
 * straight into its place.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "libgen/base/sha256.h"
#include "libgen/model/parts.h"

#define MAX_ARCHS 32

/* ---- register ------------------------------------------------------------------------------- */

static const gen_arch *archs[MAX_ARCHS];
static int n_archs;

gen_status gen_arch_register(const gen_arch *arch)
{
    if (gen_arch_find(arch->name) == arch)
        return GEN_OK;
    if (gen_arch_find(arch->name) || n_archs == MAX_ARCHS)
        return gen_fail(GEN_EINVAL, "network '%s' is registered already, or %d others are",
                        arch->name, MAX_ARCHS);
    for (const gen_option *o = arch->config; o->type != GEN_OPT_END; o++)
        if (o->type == GEN_OPT_STRING)
            return gen_fail(GEN_EINVAL, "network '%s': config '%s' is text, which nobody would own",
                            arch->name, o->name);
    archs[n_archs++] = arch;
    return GEN_OK;
}

const gen_arch *gen_arch_find(const char *name)
{
    for (int i = 0; i < n_archs; i++)
        if (strcmp(archs[i]->name, name) == 0)
            return archs[i];
    return NULL;
}

int gen_arch_count(void)
{
    return n_archs;
}

const gen_arch *gen_arch_at(int i)
{
    return i >= 0 && i < n_archs ? archs[i] : NULL;
}

/* ---- life of a model ------------------------------------------------------------------------ */

void gen_model_free(gen_model **model)
{
    gen_model *m = *model;
    if (!m)
        return;
    if (m->file >= 0)
        close(m->file);
    gen_params_free(&m->params);
    gen_free(m->metadata);
    gen_free(m->config);
    gen_free(m);
    *model = NULL;
}

static gen_status new_model(gen_model **out, const gen_arch *arch)
{
    gen_status status;
    gen_model *m;
    GEN_TRY(GEN_ALLOC(&m, 1, "model"));
    m->arch = arch;
    m->file = -1;
    GEN_GOTO(gen_alloc(&m->config, 1, arch->config_size, "config"));
    GEN_GOTO(gen_params_create(&m->params));
done:
    if (status != GEN_OK)
        gen_model_free(&m);
    *out = m;
    return status;
}

gen_status gen_model_create(gen_model **out, const gen_arch *arch, const void *config,
                            uint64_t seed)
{
    gen_status status;
    gen_model *m = NULL;
    gen_network n = { 0 };
    *out = NULL;
    GEN_GOTO(new_model(&m, arch));
    if (config)
        memcpy(m->config, config, arch->config_size);
    else
        gen_options_defaults(arch->config, m->config);
    GEN_GOTO(gen_strdup(&m->metadata, "{}"));
    GEN_GOTO(gen_network_build(&n, arch, m->config, NULL, 0));
    GEN_GOTO(gen_params_init(m->params, n.g, seed));
    *out = m;
    m = NULL;
done:
    gen_network_free(&n);
    gen_model_free(&m);
    return status;
}

gen_status gen_model_digest(const gen_model *m, char hex[65])
{
    gen_status status = GEN_OK;
    char *piece = NULL;
    const size_t size = (size_t)1 << 20;
    gen_sha256 h;
    hex[0] = 0;
    if (m->file < 0)
        return GEN_OK;
    GEN_TRY(gen_alloc_raw((void **)&piece, size, 1, "digest"));
    gen_sha256_start(&h);
    for (off_t at = 0;;) {
        ssize_t got = pread(m->file, piece, size, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            GEN_GOTO(gen_fail(GEN_EIO, "reading the model file: %s", strerror(errno)));
        if (got == 0)
            break;
        gen_sha256_add(&h, piece, (size_t)got);
        at += got;
    }
    gen_sha256_finish(&h, hex);
done:
    gen_free(piece);
    return status;
}

/* ---- loading -------------------------------------------------------------------------------- */

/* The file, and the networks in it, whose tensors are all there. */
static gen_status open_checked(gen_tensor_file **f, gen_parts *p, const char *path)
{
    GEN_TRY(gen_tensor_file_open(f, path));
    if ((*f)->format != GEN_FILE_SAFETENSORS)
        return gen_fail(GEN_EMODEL, "'%s' is a %s file: convert it once with `gen model convert`",
                        path, gen_file_format_name((*f)->format));
    gen_status status = gen_parts_read(p, *f);
    if (status != GEN_OK)
        return gen_fail_in(status, "'%s'", path);
    return gen_parts_check(p, *f);
}

static gen_status read_values(gen_params *params, const gen_parts *p, int part,
                              const gen_tensor_file *f)
{
    gen_status status = GEN_OK;
    gen_arena arena = { 0 };
    const gen_network *n = &p->part[part].network;
    for (int i = 0; i < gen_graph_params(n->g); i++) {
        const char *name, *in_file;
        bool trained;
        float *values;
        gen_shape shape = gen_network_param(n, i, &name, &trained);
        GEN_GOTO(gen_params_add(params, name, shape, trained, &values));
        GEN_GOTO(gen_part_name(p, part, name, &arena, &in_file));
        GEN_GOTO(gen_tensor_file_read(f, gen_tensor_file_find(f, in_file), values));
    }
done:
    gen_arena_free(&arena);
    return status;
}

/* The model of a part, which loses its config to it; so does the file its descriptor. */
static gen_status take_part(gen_model **out, gen_parts *p, int part, gen_tensor_file *f)
{
    gen_status status;
    gen_model *m = NULL;
    GEN_TRY(new_model(&m, p->part[part].arch));
    memcpy(m->config, p->part[part].config, m->arch->config_size);
    GEN_GOTO(gen_strdup(&m->metadata, f->metadata));
    GEN_GOTO(read_values(m->params, p, part, f));
    for (int i = 1; part == 0 && i < p->n; i++)
        m->companion[m->n_companions++] = p->part[i].arch;
    m->file = f->fd;
    f->fd = -1;
    *out = m;
    m = NULL;
done:
    gen_model_free(&m);
    return status;
}

gen_status gen_model_load(gen_model **out, const char *path)
{
    gen_tensor_file *f = NULL;
    gen_parts parts = { 0 };
    *out = NULL;
    gen_status status = open_checked(&f, &parts, path);
    if (status == GEN_OK)
        status = take_part(out, &parts, 0, f);
    gen_parts_free(&parts);
    gen_tensor_file_close(&f);
    return status;
}

static gen_status no_companion(const gen_parts *p, const char *path, const char *arch)
{
    char names[256] = "";
    for (int i = 1; i < p->n; i++)
        strncat(strncat(names, i > 1 ? ", " : "", sizeof names - strlen(names) - 1),
                p->part[i].arch->name, sizeof names - strlen(names) - 1);
    return gen_fail(GEN_EMODEL, "'%s' holds no '%s' beside its %s; it holds %s", path, arch,
                    p->part[0].arch->name, *names ? names : "no companion");
}

gen_status gen_model_load_companion(gen_model **out, const char *path, const char *arch)
{
    gen_tensor_file *f = NULL;
    gen_parts parts = { 0 };
    int i = 1;
    *out = NULL;
    gen_status status = open_checked(&f, &parts, path);
    while (i < parts.n && strcmp(parts.part[i].arch->name, arch))
        i++;
    if (status == GEN_OK)
        status = i < parts.n ? take_part(out, &parts, i, f) : no_companion(&parts, path, arch);
    gen_parts_free(&parts);
    gen_tensor_file_close(&f);
    return status;
}
