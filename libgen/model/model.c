/* SPDX-License-Identifier: Apache-2.0
 *
 * Models in our own format: register of networks, load, create, save. Loading compares the file
 * with the network that its config describes before any memory is taken for values, and reads each
 * tensor straight into its place.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "libgen/base/sha256.h"
#include "libgen/model/network.h"
#include "libgen/model/safetensors.h"
#include "libgen/model/tensor_file.h"

#define MAX_ARCHS 32
#define MAX_EXTRA ((uint64_t)16 << 20)

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

static gen_status find_arch(const char *name, const gen_arch **out)
{
    char names[256] = "", q[GEN_QUOTE];
    *out = gen_arch_find(name);
    if (*out)
        return GEN_OK;
    for (int i = 0; i < n_archs; i++)
        strncat(strncat(names, i ? ", " : "", sizeof names - strlen(names) - 1), archs[i]->name,
                sizeof names - strlen(names) - 1);
    return gen_fail(GEN_EMODEL, "network '%s' is not known here; known are: %s", gen_quote(name, q),
                    *names ? names : "none");
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

/* Every tensor that the network wants is there in its shape, and nothing else. */
static gen_status compare(const gen_network *n, const gen_tensor_file *f)
{
    gen_status status = GEN_OK;
    gen_text list = { 0 };
    bool *wanted = NULL;
    char a[GEN_SHAPE_TEXT], b[GEN_SHAPE_TEXT];
    GEN_TRY(GEN_ALLOC(&wanted, f->count, "comparison"));
    for (int i = 0; i < gen_graph_params(n->g); i++) {
        const char *name;
        gen_shape shape = gen_network_param(n, i, &name, NULL);
        int k = gen_tensor_file_find(f, name);
        if (k < 0) {
            GEN_GOTO(gen_text_list(&list, "missing '%s' %s", name, gen_shape_text(shape, a)));
            continue;
        }
        const gen_file_tensor *t = &f->tensor[k];
        wanted[k] = true;
        if (!gen_shape_equal(shape, t->shape))
            GEN_GOTO(gen_text_list(&list, "'%s' is %s, expected %s", name,
                                   gen_shape_text(t->shape, a), gen_shape_text(shape, b)));
        else if (t->dtype < 0 || !gen_dtype_is_float((gen_dtype)t->dtype))
            GEN_GOTO(gen_text_list(&list, "'%s' is of type %s, expected F32 or BF16", name,
                                   t->dtype_text));
    }
    for (int k = 0; k < f->count; k++)
        if (!wanted[k])
            GEN_GOTO(gen_text_list(&list, "extra '%s' %s", f->tensor[k].name,
                                   gen_shape_text(f->tensor[k].shape, a)));
    if (list.pieces)
        GEN_GOTO(gen_text_fail(&list, f->path, "the tensors are not those of the network"));
done:
    gen_free(list.text);
    gen_free(wanted);
    return status;
}

static gen_status read_values(gen_model *m, const gen_network *n, const gen_tensor_file *f)
{
    for (int i = 0; i < gen_graph_params(n->g); i++) {
        const char *name;
        bool trained;
        float *values;
        gen_shape shape = gen_network_param(n, i, &name, &trained);
        GEN_TRY(gen_params_add(m->params, name, shape, trained, &values));
        GEN_TRY(gen_tensor_file_read(f, gen_tensor_file_find(f, name), values));
    }
    return GEN_OK;
}

/* The network and its config from the metadata; sentences without the path. */
static gen_status read_description(gen_model **out, const gen_tensor_file *f)
{
    gen_status status;
    gen_json *json = NULL, *config = NULL;
    const char *name, *text;
    const gen_arch *arch;
    GEN_GOTO(gen_metadata_read(f->metadata, &json, &name));
    if (!name)
        GEN_GOTO(gen_fail(GEN_EMODEL, "it does not say which network it is (no libgen.arch): a "
                                      "foreign file, for `gen model convert`"));
    GEN_GOTO(find_arch(name, &arch));
    if (!gen_json_get(json, "libgen.config"))
        GEN_GOTO(gen_fail(GEN_EMODEL, "it has no libgen.config"));
    GEN_GOTO(gen_json_string(json, "libgen.config", &text));
    status = gen_json_parse(&config, text, strlen(text), UINT64_MAX);
    if (status != GEN_OK)
        GEN_GOTO(gen_fail_in(status == GEN_EDATA ? GEN_EMODEL : status, "libgen.config"));
    if (gen_json_kind_of(config) != GEN_JSON_OBJECT)
        GEN_GOTO(gen_fail(GEN_EMODEL, "libgen.config is not a JSON object"));
    GEN_GOTO(new_model(out, arch));
    GEN_GOTO(gen_config_read(arch, (*out)->config, config));
    GEN_GOTO(gen_strdup(&(*out)->metadata, f->metadata));
done:
    gen_json_free(&config);
    gen_json_free(&json);
    return status;
}

gen_status gen_model_load(gen_model **out, const char *path)
{
    gen_status status;
    gen_model *m = NULL;
    gen_tensor_file *f = NULL;
    gen_network n = { 0 };
    *out = NULL;
    GEN_TRY(gen_tensor_file_open(&f, path));
    if (f->format != GEN_FILE_SAFETENSORS)
        GEN_GOTO(gen_fail(GEN_EMODEL, "'%s' is a %s file: convert it once with `gen model convert`",
                          path, gen_file_format_name(f->format)));
    status = read_description(&m, f);
    if (status == GEN_OK)
        status = gen_network_build(&n, m->arch, m->config, NULL, 0);
    if (status != GEN_OK)
        GEN_GOTO(gen_fail_in(status == GEN_ENOMEM ? status : GEN_EMODEL, "'%s'", path));
    GEN_GOTO(compare(&n, f));
    GEN_GOTO(read_values(m, &n, f));
    m->file = f->fd;
    f->fd = -1;
    *out = m;
    m = NULL;
done:
    gen_network_free(&n);
    gen_tensor_file_close(&f);
    gen_model_free(&m);
    return status;
}

/* ---- saving --------------------------------------------------------------------------------- */

static bool is_reserved(const char *key)
{
    return strcmp(key, "libgen.arch") == 0 || strcmp(key, "libgen.config") == 0;
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

/* libgen.arch, libgen.config, `extra`, and what the model brought that extra does not replace. */
static gen_status make_metadata(const gen_model *m, const char *extra, char **out)
{
    gen_status status = GEN_OK;
    gen_json *old = NULL, *new = NULL;
    gen_json_writer w = { 0 }, config = { 0 };
    char *config_text = NULL;
    *out = NULL;
    gen_json_put_options(&config, NULL, m->arch->config, m->config);
    GEN_GOTO(gen_json_finish(&config, &config_text));
    GEN_GOTO(gen_json_parse(&old, m->metadata, strlen(m->metadata), UINT64_MAX));
    GEN_GOTO(gen_json_parse(&new, extra ? extra : "{}", extra ? strlen(extra) : 2, MAX_EXTRA));
    if (gen_json_kind_of(new) != GEN_JSON_OBJECT)
        GEN_GOTO(gen_fail(GEN_EINVAL, "metadata to add must be a JSON object"));
    gen_json_open(&w, NULL, '{');
    gen_json_put_string(&w, "libgen.arch", m->arch->name);
    gen_json_put_string(&w, "libgen.config", config_text);
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
    gen_free(config_text);
    gen_json_free(&old);
    gen_json_free(&new);
    return status;
}

gen_status gen_model_save(const gen_model *m, const char *path, gen_dtype dtype, const char *extra,
                          bool force)
{
    gen_status status;
    gen_safetensor *tensor = NULL;
    char *metadata = NULL;
    int n = gen_params_count(m->params);
    if (dtype != GEN_F32 && dtype != GEN_BF16)
        return gen_fail(GEN_EINVAL, "models are saved in f32 or bf16, not %s",
                        gen_dtype_name(dtype));
    GEN_TRY(GEN_ALLOC(&tensor, n, "model"));
    for (int i = 0; i < n; i++) {
        tensor[i].value = gen_params_at(m->params, i, &tensor[i].name, NULL);
        if (!tensor[i].value.data)
            GEN_GOTO(gen_fail(GEN_EINVAL, "the values of '%s' were released", tensor[i].name));
        /* vectors are small and sensitive (biases, statistics, power-iteration vectors) */
        tensor[i].store = tensor[i].value.shape.rank < 2 ? GEN_F32 : dtype;
    }
    GEN_GOTO(make_metadata(m, extra, &metadata));
    GEN_GOTO(gen_safetensors_write(path, force, tensor, n, metadata));
done:
    gen_free(metadata);
    gen_free(tensor);
    return status;
}
