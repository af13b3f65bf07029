/* SPDX-License-Identifier: Apache-2.0
 *
 * gen model info|convert|diff|new: model files as files. What runs a network is in model_run.c.
 */
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "cli/networks.h"
#include "libgen/base/file.h"
#include "libgen/base/json.h"
#include "libgen/base/sha256.h"
#include "libgen/model/parts.h"

#define MAX_METADATA ((uint64_t)1 << 20)

/* ---- info ----------------------------------------------------------------------------------- */

/* What `info` says of a file; texts point into the JSON and the file. */
struct description {
    gen_tensor_file *file;
    gen_json *metadata, *config;
    gen_json *companions;  /* as the file lists them; NULL: none, or not understood */
    const char *arch;      /* as the file says, NULL: foreign */
    const gen_arch *known; /* the network of that name, or the one that recognises the names */
    gen_parts parts;       /* of ours, when all networks are known */
    uint64_t elements;
};

/* Parameters of a part that are trained, or all, as the network of its config counts them. */
static uint64_t part_elements(const gen_part *p, bool only_trained)
{
    uint64_t sum = 0;
    for (int i = 0; i < gen_graph_params(p->network.g); i++) {
        const char *name;
        bool trained;
        gen_shape s = gen_network_param(&p->network, i, &name, &trained);
        sum += trained || !only_trained ? (uint64_t)gen_shape_count(s) : 0;
    }
    return sum;
}

static uint64_t all_trained(const struct description *d)
{
    uint64_t sum = 0;
    for (int i = 0; i < d->parts.n; i++)
        sum += part_elements(&d->parts.part[i], true);
    return sum;
}

static gen_status parse_value(gen_json **out, const gen_json *metadata, const char *key)
{
    const char *text;
    GEN_TRY(gen_json_string(metadata, key, &text));
    return gen_json_parse(out, text, strlen(text), UINT64_MAX);
}

/* `check` and every use say what is wrong; info describes what it can. */
static void describe_networks(struct description *d)
{
    (void)parse_value(&d->config, d->metadata, GEN_METADATA_CONFIG);
    if (gen_parts_read(&d->parts, d->file) != GEN_OK)
        gen_parts_free(&d->parts);
    if (d->parts.n > 1)
        (void)parse_value(&d->companions, d->metadata, GEN_METADATA_COMPANIONS);
}

static void describe_free(struct description *d)
{
    gen_parts_free(&d->parts);
    gen_json_free(&d->metadata);
    gen_json_free(&d->config);
    gen_json_free(&d->companions);
    gen_tensor_file_close(&d->file);
}

static gen_status describe(struct description *d, const char *path)
{
    *d = (struct description){ 0 };
    GEN_TRY(gen_tensor_file_open(&d->file, path));
    gen_status status = gen_metadata_read(d->file->metadata, &d->metadata, &d->arch);
    if (status != GEN_OK) {
        describe_free(d);
        return gen_fail_in(GEN_EMODEL, "'%s'", path);
    }
    for (int i = 0; i < d->file->count; i++)
        d->elements += gen_file_tensor_count(&d->file->tensor[i]);
    d->known = d->arch ? gen_arch_find(d->arch) : gen_recognise(d->file);
    if (d->arch)
        describe_networks(d);
    return GEN_OK;
}

/* How many tensors of each type; the texts of types are shared, so that addresses tell them apart.
 */
static void put_types(const gen_tensor_file *f, gen_json_writer *w)
{
    const char *type[32];
    int count[32], n = 0;
    for (int i = 0; i < f->count; i++) {
        int k = 0;
        while (k < n && type[k] != f->tensor[i].dtype_text)
            k++;
        if (k == GEN_LEN(type))
            continue;
        if (k == n) {
            type[n] = f->tensor[i].dtype_text;
            count[n++] = 0;
        }
        count[k]++;
    }
    for (int k = 0; k < n; k++)
        if (w)
            gen_json_put_int(w, type[k], count[k]);
        else
            printf("%s %s x %d", k ? "," : "", type[k], count[k]);
}

static void put_companions(const struct description *d, gen_json_writer *w)
{
    gen_json_open(w, "companions", '[');
    for (int i = 1; i < d->parts.n; i++) {
        const gen_part *p = &d->parts.part[i];
        gen_json_open(w, NULL, '{');
        gen_json_put_string(w, "network", p->arch->name);
        gen_json_put_options(w, "config", p->arch->config, p->config);
        gen_json_put_int(w, "elements", (int64_t)part_elements(p, false));
        gen_json_put_int(w, "trained", (int64_t)part_elements(p, true));
        gen_json_close(w, '}');
    }
    gen_json_close(w, ']');
}

static gen_status print_json(const struct description *d)
{
    gen_json_writer w = { 0 };
    char *text;
    gen_json_open(&w, NULL, '{');
    gen_json_put_string(&w, "file", d->file->path);
    gen_json_put_string(&w, "format", gen_file_format_name(d->file->format));
    gen_json_put_int(&w, "bytes", (int64_t)d->file->size);
    gen_json_put_string(&w, "network", d->arch);
    gen_json_put_string(&w, "recognised_as", d->arch || !d->known ? NULL : d->known->name);
    gen_json_put_int(&w, "elements", (int64_t)d->elements);
    if (d->parts.n)
        gen_json_put_int(&w, "trained", (int64_t)all_trained(d));
    put_companions(d, &w);
    gen_json_open(&w, "types", '{');
    put_types(d->file, &w);
    gen_json_close(&w, '}');
    gen_json_put_raw(&w, "metadata", d->file->metadata);
    gen_json_open(&w, "tensors", '[');
    for (int i = 0; i < d->file->count; i++) {
        const gen_file_tensor *t = &d->file->tensor[i];
        gen_json_open(&w, NULL, '{');
        gen_json_put_string(&w, "name", t->name);
        gen_json_put_string(&w, "dtype", t->dtype_text);
        gen_json_open(&w, "shape", '[');
        for (int k = 0; k < t->shape.rank; k++)
            gen_json_put_int(&w, NULL, t->shape.dim[k]);
        gen_json_close(&w, ']');
        gen_json_close(&w, '}');
    }
    gen_json_close(&w, ']');
    gen_json_close(&w, '}');
    GEN_TRY(gen_json_finish(&w, &text));
    printf("%s\n", text);
    gen_free(text);
    return GEN_OK;
}

static void print_config(const gen_json *config)
{
    char text[GEN_SHAPE_TEXT], q[GEN_QUOTE], key[GEN_QUOTE];
    for (const gen_json *v = gen_json_first(config); v; v = gen_json_next(v)) {
        const char *s;
        double x;
        if (gen_json_kind_of(v) == GEN_JSON_STRING && gen_json_string(v, NULL, &s) == GEN_OK)
            printf("  %-24s %s\n", gen_quote(gen_json_key(v), key), gen_quote(s, q));
        else if (gen_json_kind_of(v) == GEN_JSON_NUMBER && gen_json_real(v, NULL, &x) == GEN_OK)
            printf("  %-24s %s\n", gen_quote(gen_json_key(v), key), gen_real_text(x, text));
    }
}

static void print_elements(const struct description *d)
{
    printf("elements   %" PRIu64, d->elements);
    if (d->parts.n)
        printf(", of which %" PRIu64 " are trained", all_trained(d));
    for (int i = 0; d->parts.n > 1 && i < d->parts.n; i++)
        printf("%s%s %" PRIu64 "%s", i ? ", " : " (", d->parts.part[i].arch->name,
               part_elements(&d->parts.part[i], true), i == d->parts.n - 1 ? ")" : "");
    printf("\n");
}

/* Free keys; what is shown above is left out. */
static void print_metadata(const struct description *d)
{
    char q[GEN_QUOTE], key[GEN_QUOTE];
    for (const gen_json *v = gen_json_first(d->metadata); v; v = gen_json_next(v)) {
        const char *s = "";
        (void)gen_json_string(v, NULL, &s);
        if (strcmp(gen_json_key(v), GEN_METADATA_ARCH) &&
            strcmp(gen_json_key(v), GEN_METADATA_CONFIG) &&
            (strcmp(gen_json_key(v), GEN_METADATA_COMPANIONS) || !d->companions))
            printf("metadata   %s: %s\n", gen_quote(gen_json_key(v), key), gen_quote(s, q));
    }
}

static void print_text(const struct description *d, bool tensors)
{
    char text[GEN_SHAPE_TEXT], q[GEN_QUOTE];
    printf("file       %s\n", d->file->path);
    printf("format     %s, %.1f MB\n", gen_file_format_name(d->file->format),
           (double)d->file->size / 1e6);
    if (d->arch)
        printf("network    %s: %s\n", gen_quote(d->arch, q),
               d->known ? d->known->summary : "not known to this program");
    else if (d->known)
        printf("network    foreign; its names are those of %s (gen model convert)\n",
               d->known->name);
    else
        printf("network    foreign, and none of ours has its names\n");
    print_config(d->config);
    int i = 1;
    for (const gen_json *v = gen_json_first(d->companions); v; v = gen_json_next(v), i++) {
        printf("companion  %s: %s\n", d->parts.part[i].arch->name, d->parts.part[i].arch->summary);
        print_config(gen_json_get(v, "config"));
    }
    printf("tensors    %d:", d->file->count);
    put_types(d->file, NULL);
    printf("\n");
    print_elements(d);
    print_metadata(d);
    if (d->file->note)
        printf("note       %s\n", d->file->note);
    for (i = 0; tensors && i < d->file->count; i++)
        printf("  %-60s %-5s %s\n", d->file->tensor[i].name, d->file->tensor[i].dtype_text,
               gen_shape_text(d->file->tensor[i].shape, text));
}

static gen_status run_info(gen_run *r)
{
    struct description d;
    gen_status status = GEN_OK;
    GEN_TRY(describe(&d, r->operands[0]));
    if (r->common.json)
        status = print_json(&d);
    else
        print_text(&d, r->common.verbose);
    describe_free(&d);
    return status;
}

/* ---- convert -------------------------------------------------------------------------------- */

struct convert_settings {
    const char *arch, *metadata;
    int64_t bf16, alone;
};

static const gen_option convert_options[] = {
    { GEN_OPT_STRING, "arch", 0, offsetof(struct convert_settings, arch), .value = "NAME",
      .help = "network to convert to; default: the one whose names the file has" },
    { GEN_OPT_FLAG, "bf16", 0, offsetof(struct convert_settings, bf16),
      .help = "store weights in bf16: half the size" },
    { GEN_OPT_FLAG, "alone", 0, offsetof(struct convert_settings, alone),
      .help = "without the networks that the file holds to be trained on with" },
    { GEN_OPT_STRING, "metadata", 0, offsetof(struct convert_settings, metadata),
      .value = "FILE.json",
      .help = "adds the keys of this JSON object to the metadata: licence, training, scores" },
    { GEN_OPT_END },
};

static bool is_ours(const char *path)
{
    gen_tensor_file *f;
    gen_json *json = NULL;
    const char *arch = NULL;
    if (gen_tensor_file_open(&f, path) != GEN_OK)
        return false;
    bool ours = gen_metadata_read(f->metadata, &json, &arch) == GEN_OK && arch;
    gen_json_free(&json);
    gen_tensor_file_close(&f);
    return ours;
}

/* {"source": "name of the file", "source_sha256": "..."} for a model that came from another file.
 */
static gen_status make_source(const gen_model *m, const char *path, char **out)
{
    char hex[GEN_SHA256_TEXT];
    gen_json_writer w = { 0 };
    const char *slash = strrchr(path, '/');
    GEN_TRY(gen_model_digest(m, hex));
    gen_json_open(&w, NULL, '{');
    gen_json_put_string(&w, "libgen.source", slash ? slash + 1 : path);
    gen_json_put_string(&w, "libgen.source_sha256", hex);
    gen_json_close(&w, '}');
    return gen_json_finish(&w, out);
}

/* A model and its companions. */
struct bundle {
    gen_model *model, *companion[GEN_MAX_COMPANIONS];
    int n;
};

static void bundle_free(struct bundle *b)
{
    gen_model_free(&b->model);
    for (int i = 0; i < b->n; i++)
        gen_model_free(&b->companion[i]);
}

static gen_status bundle_load(struct bundle *b, const char *path, bool alone)
{
    GEN_TRY(gen_model_load(&b->model, path));
    for (; !alone && b->n < b->model->n_companions; b->n++)
        GEN_TRY(
            gen_model_load_companion(&b->companion[b->n], path, b->model->companion[b->n]->name));
    return GEN_OK;
}

static gen_status bundle_save(const struct bundle *b, const gen_run *r, bool bf16,
                              const char *metadata)
{
    return gen_model_save_with(b->model, (const gen_model *const *)b->companion, b->n,
                               r->common.output, bf16 ? GEN_BF16 : GEN_F32, metadata,
                               r->common.force);
}

/* What --metadata adds goes with what we say of the source: the model brings it along. */
static gen_status add_metadata(gen_model *m, const char *path, char **extra)
{
    char *text = NULL;
    uint64_t size;
    if (!path)
        return GEN_OK;
    GEN_TRY(gen_file_read(path, MAX_METADATA, &text, &size));
    if (strlen(text) != size) {
        gen_free(text);
        return gen_fail(GEN_EDATA, "'%s' is not text", path);
    }
    char **to = *extra ? &m->metadata : extra;
    gen_free(*to);
    *to = text;
    return GEN_OK;
}

static gen_status run_convert(gen_run *r)
{
    const struct convert_settings *s = r->settings;
    const char *in = r->operands[0];
    const gen_arch *arch = NULL;
    struct bundle b = { 0 };
    char *report = NULL, *source = NULL;
    gen_status status;
    if (!r->common.output)
        return gen_fail(GEN_EINVAL, "convert: -o FILE is missing");
    if (s->arch)
        GEN_TRY(gen_network_named(s->arch, &arch));
    if (is_ours(in)) {
        GEN_GOTO(bundle_load(&b, in, s->alone));
        if (arch && arch != b.model->arch)
            GEN_GOTO(gen_fail(GEN_EMODEL, "'%s' is of network '%s', not '%s'", in,
                              b.model->arch->name, arch->name));
    } else {
        GEN_GOTO(gen_model_import(&b.model, in, arch, &report));
        GEN_GOTO(make_source(b.model, in, &source));
    }
    GEN_GOTO(add_metadata(b.model, s->metadata, &source));
    GEN_GOTO(bundle_save(&b, r, s->bf16, source));
    if (!r->common.quiet) {
        printf("%s: %s, %d tensors", r->common.output, b.model->arch->name,
               gen_params_count(b.model->params));
        for (int i = 0; i < b.n; i++)
            printf("; %s, %d tensors", b.companion[i]->arch->name,
                   gen_params_count(b.companion[i]->params));
        printf("\n%s", report ? report : "");
    }
done:
    bundle_free(&b);
    gen_text_free(report);
    gen_free(source);
    return status;
}

/* ---- new ------------------------------------------------------------------------------------ */

struct new_settings {
    const char *arch, *config, *companion;
    int64_t bf16;
};

static const gen_option new_options[] = {
    { GEN_OPT_STRING, "arch", 0, offsetof(struct new_settings, arch), .value = "NAME",
      .help = "network" },
    { GEN_OPT_STRING, "config", 0, offsetof(struct new_settings, config), .value = "K=V,...",
      .help = "its configuration, e.g. width=0.25,steps=6; others keep their defaults" },
    { GEN_OPT_STRING, "companion", 0, offsetof(struct new_settings, companion),
      .value = "NAME[:K=V,...]",
      .help = "another network for the same file, like dgmr-discriminators:width=0.25; may be "
              "repeated" },
    { GEN_OPT_FLAG, "bf16", 0, offsetof(struct new_settings, bf16), .help = "store in bf16" },
    { GEN_OPT_END },
};

static gen_status make_new(gen_model **out, const gen_run *r, const char *name, const char *pairs)
{
    const gen_arch *arch;
    void *config = NULL;
    gen_status status;
    GEN_TRY(gen_network_named(name, &arch));
    GEN_TRY(gen_alloc(&config, 1, arch->config_size, "config"));
    gen_options_defaults(arch->config, config);
    GEN_GOTO(gen_options_set_pairs(arch->config, config, "config", pairs));
    GEN_GOTO(gen_model_create(out, arch, config, (uint64_t)r->common.seed));
done:
    gen_free(config);
    return status;
}

/* "NAME:K=V,..." */
static gen_status make_companion(gen_model **out, const gen_run *r, const char *text)
{
    char name[64];
    size_t n = strcspn(text, ":");
    snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), text);
    return make_new(out, r, name, text[n] ? text + n + 1 : NULL);
}

static gen_status run_new(gen_run *r)
{
    const struct new_settings *s = r->settings;
    struct bundle b = { 0 };
    gen_status status;
    int n = gen_run_given(r, "companion");
    if (!s->arch || !r->common.output)
        return gen_fail(GEN_EINVAL, "new: --arch NAME and -o FILE are wanted");
    if (n > GEN_MAX_COMPANIONS)
        return gen_fail(GEN_EINVAL, "new: %d companions, expected at most %d", n,
                        GEN_MAX_COMPANIONS);
    GEN_GOTO(make_new(&b.model, r, s->arch, s->config));
    for (; b.n < n; b.n++)
        GEN_GOTO(make_companion(&b.companion[b.n], r, gen_run_text(r, "companion", b.n)));
    GEN_GOTO(
        bundle_save(&b, r, s->bf16, "{\"libgen.training\": \"none: random initial weights\"}"));
done:
    bundle_free(&b);
    return status;
}

/* ---- diff ----------------------------------------------------------------------------------- */

struct diff_settings {
    double fail_over;
};

static const gen_option diff_options[] = {
    { GEN_OPT_REAL, "fail-over", 0, offsetof(struct diff_settings, fail_over), .preset = -1,
      .min = 0, .max = 1e300, .value = "X",
      .help = "exit 8 when a tensor differs by more than X (max|a-b|/max|b|), or is "
              "in one file only" },
    { GEN_OPT_END },
};

struct diff {
    gen_tensor_file *a, *b;
    double worst;
    int alone, different, equal;
};

/* Values of one tensor in both files. */
static gen_status diff_tensor(struct diff *d, int i, int k)
{
    const gen_file_tensor *x = &d->a->tensor[i], *y = &d->b->tensor[k];
    char s[GEN_SHAPE_TEXT], t[GEN_SHAPE_TEXT];
    float *p = NULL, *q = NULL;
    gen_status status = GEN_OK;
    uint64_t n = gen_file_tensor_count(x);
    if (!gen_shape_equal(x->shape, y->shape)) {
        printf("shape      %s: %s and %s\n", x->name, gen_shape_text(x->shape, s),
               gen_shape_text(y->shape, t));
        d->alone++;
        return GEN_OK;
    }
    if (!n)
        return GEN_OK;
    GEN_GOTO(GEN_ALLOC(&p, n, "tensor"));
    GEN_GOTO(GEN_ALLOC(&q, n, "tensor"));
    GEN_GOTO(gen_tensor_file_read(d->a, i, p));
    GEN_GOTO(gen_tensor_file_read(d->b, k, q));
    if (memcmp(p, q, n * sizeof *p) == 0) {
        d->equal++;
        goto done;
    }
    gen_tensor u = { GEN_F32, x->shape, p }, v = { GEN_F32, y->shape, q };
    gen_difference g = gen_compare(&u, &v);
    printf("differs    %s: %.3g (max|a-b|/max|b|), %.3g (norms)\n", x->name, g.relative, g.norm);
    d->different++;
    d->worst = g.relative > d->worst || isnan(g.relative) ? g.relative : d->worst;
done:
    gen_free(p);
    gen_free(q);
    return status;
}

/* Keys of metadata that one file lacks or that have other values. */
static gen_status diff_metadata(struct diff *d)
{
    gen_status status;
    gen_json *a = NULL, *b = NULL;
    const char *arch, *s, *t;
    char q[GEN_QUOTE], p[GEN_QUOTE], key[GEN_QUOTE];
    GEN_GOTO(gen_metadata_read(d->a->metadata, &a, &arch));
    GEN_GOTO(gen_metadata_read(d->b->metadata, &b, &arch));
    for (int side = 0; side < 2; side++)
        for (const gen_json *v = gen_json_first(side ? b : a); v; v = gen_json_next(v)) {
            const gen_json *o = gen_json_get(side ? a : b, gen_json_key(v));
            GEN_GOTO(gen_json_string(v, NULL, &s));
            t = "(none)";
            if (o)
                GEN_GOTO(gen_json_string(o, NULL, &t));
            if ((!o || !side) && strcmp(s, t))
                printf("metadata   %s: %s and %s\n", gen_quote(gen_json_key(v), key),
                       gen_quote(side ? t : s, p), gen_quote(side ? s : t, q));
        }
done:
    gen_json_free(&a);
    gen_json_free(&b);
    return status;
}

static gen_status run_diff(gen_run *r)
{
    const struct diff_settings *s = r->settings;
    struct diff d = { 0 };
    gen_status status;
    GEN_GOTO(gen_tensor_file_open(&d.a, r->operands[0]));
    GEN_GOTO(gen_tensor_file_open(&d.b, r->operands[1]));
    GEN_GOTO(diff_metadata(&d));
    for (int i = 0; i < d.a->count; i++) {
        int k = gen_tensor_file_find(d.b, d.a->tensor[i].name);
        if (k >= 0) {
            GEN_GOTO(diff_tensor(&d, i, k));
        } else {
            printf("first only %s\n", d.a->tensor[i].name);
            d.alone++;
        }
    }
    for (int k = 0; k < d.b->count; k++)
        if (gen_tensor_file_find(d.a, d.b->tensor[k].name) < 0) {
            printf("last only  %s\n", d.b->tensor[k].name);
            d.alone++;
        }
    printf("%d tensors equal, %d differ (at most %.3g), %d in one file or of two shapes\n", d.equal,
           d.different, d.worst, d.alone);
    r->gate_failed = s->fail_over >= 0 && (d.alone || !(d.worst <= s->fail_over));
done:
    gen_tensor_file_close(&d.a);
    gen_tensor_file_close(&d.b);
    return status;
}

/* ---- the table ------------------------------------------------------------------------------ */

static const gen_option run_options[] = {
    { GEN_OPT_STRING, "input", 'i', offsetof(gen_model_run_settings, input), .value = "NAME=X.npy",
      .help = "an input, float32, channels last; may be repeated. Noise that is not given is drawn "
              "from the seed" },
    { GEN_OPT_STRING, "output", 'o', offsetof(gen_model_run_settings, output),
      .value = "NAME=Y.npy", .help = "where an output goes; may be repeated" },
    { GEN_OPT_FLAG, "force", 0, offsetof(gen_model_run_settings, force),
      .help = "replace outputs that are there" },
    { GEN_OPT_END },
};

static const gen_option bench_options[] = {
    { GEN_OPT_STRING, "shape", 0, offsetof(gen_model_run_settings, shape), .value = "NAME=1x4x256",
      .help = "shape of an input; default: that of its training. May be repeated" },
    { GEN_OPT_INT, "runs", 0, offsetof(gen_model_run_settings, runs), .preset = 3, .min = 1,
      .max = 1000, .value = "N", .help = "timed runs" },
    { GEN_OPT_END },
};

const gen_command gen_commands_model[] = {
    { .name = "model info",
      .operands = "FILE",
      .min_operands = 1,
      .max_operands = 1,
      .help = "What a model file holds, ours or foreign; -v lists its tensors.",
      .takes = GEN_TAKES_JSON,
      .run = run_info,
      .examples = "gen model info nowcast.safetensors\ngen model info pytorch_model.bin --json\n" },
    { .name = "model check",
      .operands = "FILE",
      .min_operands = 1,
      .max_operands = 1,
      .help = "Whether a model can be used: names, shapes, finite values, error of bf16; on a GPU "
              "that of f32, tf32 and bf16 beside f32 on the CPU.",
      .takes = GEN_TAKES_COMPUTE | GEN_TAKES_SEED | GEN_TAKES_JSON,
      .run = gen_model_verb_check,
      .examples = "gen model check nowcast.safetensors\n"
                  "gen model check nowcast.safetensors --device cuda\n" },
    { .name = "model convert",
      .operands = "FILE",
      .min_operands = 1,
      .max_operands = 1,
      .help = "Makes a model of ours from .safetensors, .pth or .bin of PyTorch.",
      .options = convert_options,
      .settings_size = sizeof(struct convert_settings),
      .takes = GEN_TAKES_OUTPUT,
      .run = run_convert,
      .examples = "gen model convert pytorch_model.bin -o dgmr.safetensors\n"
                  "gen model convert dgmr.safetensors --bf16 --alone -o small.safetensors\n" },
    { .name = "model run",
      .operands = "MODEL",
      .min_operands = 1,
      .max_operands = 1,
      .help = "Runs a network on arrays in .npy files.",
      .options = run_options,
      .settings_size = sizeof(gen_model_run_settings),
      .takes = GEN_TAKES_COMPUTE | GEN_TAKES_SEED | GEN_TAKES_PLAN,
      .run = gen_model_verb_run,
      .examples = "gen model run dgmr.safetensors --input frames=x.npy --output rain=y.npy\n" },
    { .name = "model bench",
      .operands = "MODEL",
      .min_operands = 1,
      .max_operands = 1,
      .help = "Times a network and every step of its plan; on a GPU, where a run is one recording, "
              "steps are timed apart from it, queued one by one.",
      .options = bench_options,
      .settings_size = sizeof(gen_model_run_settings),
      .takes = GEN_TAKES_COMPUTE | GEN_TAKES_SEED,
      .run = gen_model_verb_bench,
      .examples = "gen model bench dgmr.safetensors --shape frames=1x4x512x512x1\n"
                  "gen model bench dgmr.safetensors --device cuda --precision bf16\n" },
    { .name = "model diff",
      .operands = "FILE FILE",
      .min_operands = 2,
      .max_operands = 2,
      .help = "Compares the metadata and tensors of two model files.",
      .options = diff_options,
      .settings_size = sizeof(struct diff_settings),
      .run = run_diff,
      .examples = "gen model diff old.safetensors new.safetensors --fail-over 1e-6\n" },
    { .name = "model new",
      .help = "Makes a model with random weights, for tests and benchmarks.",
      .options = new_options,
      .settings_size = sizeof(struct new_settings),
      .takes = GEN_TAKES_OUTPUT | GEN_TAKES_SEED,
      .run = run_new,
      .examples =
          "gen model new --arch dgmr-ocf --config width=0.25 -o small.safetensors\n"
          "gen model new --arch dgmr --companion dgmr-discriminators -o pair.safetensors\n" },
    { 0 },
};
