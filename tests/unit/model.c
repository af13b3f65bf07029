/* SPDX-License-Identifier: Apache-2.0
 *
 * Our own model files: what is saved is loaded again; a file that differs from its network in any
 * way is refused with the differences; headers and pickles that lie or attack end in one sentence,
 * with nothing allocated in proportion to what they claim.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libgen/base/alloc.h"
#include "libgen/base/sha256.h"
#include "libgen/model/pickle.h"
#include "libgen/model/safetensors.h"
#include "tests/toy.h"

static gen_model *make(void)
{
    gen_model *m;
    toy_config c = { .width = 7, .scale = 0.5, .kind = 1 };
    assert_int_equal(gen_model_create(&m, &toy_arch, &c, 5), GEN_OK);
    return m;
}

static void save(const gen_model *m, const char *path, gen_dtype dtype, const char *extra)
{
    gen_status status = gen_model_save(m, path, dtype, extra, true);
    if (status != GEN_OK)
        print_message("%s\n", gen_last_error());
    assert_int_equal(status, GEN_OK);
}

static gen_model *load(const char *path)
{
    gen_model *m = NULL;
    gen_status status = gen_model_load(&m, path);
    if (status != GEN_OK)
        print_message("%s\n", gen_last_error());
    assert_int_equal(status, GEN_OK);
    return m;
}

static void saved_is_loaded_again(void **state)
{
    (void)state;
    const char *path = toy_path("a.safetensors");
    gen_model *m = make();
    save(m, path, GEN_F32, "{\"licence\": \"CC0\", \"scores\": {\"csi\": 0.5, \"n\": [1, null]}}");
    gen_model *n = load(path);
    assert_ptr_equal(n->arch, &toy_arch);
    assert_memory_equal(n->config, m->config, sizeof(toy_config));
    assert_int_equal(gen_params_count(n->params), gen_params_count(m->params));
    for (int i = 0; i < gen_params_count(m->params); i++) {
        const char *a, *b;
        bool p, q;
        gen_tensor x = gen_params_at(m->params, i, &a, &p), y = gen_params_at(n->params, i, &b, &q);
        assert_string_equal(a, b);
        assert_true(p == q && gen_shape_equal(x.shape, y.shape));
        assert_memory_equal(x.data, y.data, gen_tensor_bytes(&x));
    }
    assert_non_null(strstr(n->metadata, "\"licence\":\"CC0\""));
    assert_non_null(strstr(n->metadata, "{\\\"csi\\\":0.5,\\\"n\\\":[1,null]}"));
    const char *again = toy_path("b.safetensors");
    save(n, again, GEN_F32, "{\"licence\": \"other\"}");
    gen_model *o = load(again);
    assert_non_null(strstr(o->metadata, "\"licence\":\"other\""));
    assert_non_null(strstr(o->metadata, "scores"));
    gen_model_free(&m);
    gen_model_free(&n);
    gen_model_free(&o);
}

static void same_model_same_bytes(void **state)
{
    (void)state;
    size_t n, k;
    gen_model *a = make(), *b = make();
    save(a, toy_path("a"), GEN_F32, NULL);
    save(b, toy_path("b"), GEN_F32, NULL);
    char *x = toy_read(toy_path("a"), &n), *y = toy_read(toy_path("b"), &k);
    assert_int_equal(n, k);
    assert_memory_equal(x, y, n);
    uint64_t header;
    memcpy(&header, x, 8);
    assert_int_equal((header + 8) % 64, 0);
    free(x);
    free(y);
    gen_model_free(&a);
    gen_model_free(&b);
}

static void bf16_rounds_weights_only(void **state)
{
    (void)state;
    const char *path = toy_path("half.safetensors");
    gen_model *m = make();
    save(m, path, GEN_BF16, NULL);
    gen_model *n = load(path);
    for (int i = 0; i < gen_params_count(m->params); i++) {
        gen_tensor x = gen_params_at(m->params, i, NULL, NULL),
                   y = gen_params_at(n->params, i, NULL, NULL);
        double limit = x.shape.rank < 2 ? 0 : 1.0 / 256;
        for (int64_t k = 0; k < gen_shape_count(x.shape); k++)
            assert_true(fabs((double)((float *)x.data)[k] - ((float *)y.data)[k]) <=
                        limit * fabs(((float *)x.data)[k]));
    }
    gen_model_free(&m);
    gen_model_free(&n);
}

static void digest_is_that_of_the_file(void **state)
{
    (void)state;
    size_t n;
    char hex[65], expected[65];
    const char *path = toy_path("a.safetensors");
    gen_model *m = make();
    assert_int_equal(gen_model_digest(m, hex), GEN_OK);
    assert_string_equal(hex, "");
    save(m, path, GEN_F32, NULL);
    gen_model_free(&m);
    m = load(path);
    char *data = toy_read(path, &n);
    toy_write(path, "replaced", 8); /* the digest is of what was loaded */
    gen_sha256_text(data, n, expected);
    free(data);
    assert_int_equal(gen_model_digest(m, hex), GEN_OK);
    assert_string_equal(hex, expected);
    gen_model_free(&m);
}

static void files_are_not_overwritten(void **state)
{
    (void)state;
    size_t n;
    const char *path = toy_path("there");
    gen_model *m = make();
    toy_write(path, "precious", 8);
    assert_int_equal(gen_model_save(m, path, GEN_F32, NULL, false), GEN_EEXIST);
    assert_int_equal(gen_model_save(m, path, GEN_F32, "[1]", true), GEN_EINVAL);
    assert_int_equal(gen_model_save(m, path, GEN_F16, NULL, true), GEN_EINVAL);
    assert_int_not_equal(gen_model_save(m, toy_path("no/such/folder"), GEN_F32, NULL, true),
                         GEN_OK);
    char *data = toy_read(path, &n);
    assert_int_equal(n, 8);
    assert_memory_equal(data, "precious", 8);
    free(data);
    gen_model_free(&m);
}

/* ---- strictness ----------------------------------------------------------------------------- */

static void refused(const char *path, const char *words)
{
    gen_model *m = (gen_model *)1;
    uint64_t before = gen_alloc_bytes();
    gen_status status = gen_model_load(&m, path);
    if (status != GEN_EMODEL || !strstr(gen_last_error(), words))
        print_message("%s: %s\n  expected: %s\n", gen_status_name(status), gen_last_error(), words);
    assert_int_equal(status, GEN_EMODEL);
    assert_non_null(strstr(gen_last_error(), words));
    assert_null(m);
    assert_true(gen_alloc_bytes() == before);
}

/* The tensors of a model, changed by `change`, under other metadata. */
static void write_changed(const char *path, void (*change)(gen_safetensor *, int *),
                          const char *metadata)
{
    gen_model *m = make();
    gen_safetensor t[64];
    int n = gen_params_count(m->params);
    memset(t, 0, sizeof t);
    for (int i = 0; i < n; i++)
        t[i].value = gen_params_at(m->params, i, &t[i].name, NULL);
    if (change)
        change(t, &n);
    assert_int_equal(gen_safetensors_write(path, true, t, n, metadata), GEN_OK);
    gen_model_free(&m);
}

static void drop(gen_safetensor *t, int *n)
{
    t[0] = t[--*n];
}

static void rename_one(gen_safetensor *t, int *n)
{
    (void)n;
    t[1].name = "stranger";
}

static void reshape(gen_safetensor *t, int *n)
{
    for (int i = 0; i < *n; i++)
        if (strcmp(t[i].name, "body/w") == 0)
            t[i].value.shape = GEN_SHAPE(4, 7, 3, 3);
}

#define CONFIG "\"libgen.config\":\"{\\\"width\\\":7}\"}"

static void differences_are_listed(void **state)
{
    (void)state;
    const char *path = toy_path("changed.safetensors");
    const char *good = "{\"libgen.arch\":\"toy\"," CONFIG;
    static const struct {
        void (*change)(gen_safetensor *, int *);
        const char *words;
    } changes[] = {
        { drop, "missing 'body/b' [7]" },
        { rename_one, "extra 'stranger'" },
        { rename_one, "missing 'body/u'" },
        { reshape, "'body/w' is [4,7,3,3], expected [7,4,3,3]" },
    };
    write_changed(path, NULL, good);
    gen_model *m = load(path);
    gen_model_free(&m);
    for (int i = 0; i < GEN_LEN(changes); i++) {
        write_changed(path, changes[i].change, good);
        refused(path, changes[i].words);
    }
    static const struct {
        const char *metadata, *words;
    } others[] = {
        { "{}", "does not say which network" },
        { "{\"libgen.arch\":\"toys\"," CONFIG, "network 'toys' is not known here; known are: toy" },
        { "{\"libgen.arch\":\"toy\"}", "no libgen.config" },
        { "{\"libgen.arch\":\"toy\",\"libgen.config\":\"{\"}", "libgen.config" },
        { "{\"libgen.arch\":\"toy\",\"libgen.config\":\"[7]\"}", "not a JSON object" },
        { "{\"libgen.arch\":\"toy\",\"libgen.config\":\"{\\\"widht\\\":7}\"}", "widht" },
        { "{\"libgen.arch\":\"toy\",\"libgen.config\":\"{\\\"width\\\":65}\"}", "width" },
        { "{\"libgen.arch\":\"toy\",\"libgen.config\":\"{\\\"width\\\":1e99}\"}", "width" },
        { "{\"libgen.arch\":\"toy\",\"libgen.config\":\"{\\\"kind\\\":\\\"?\\\"}\"}", "kind" },
        { "{\"libgen.arch\":\"toy\",\"libgen.config\":\"{\\\"width\\\":8}\"}",
          "'body/w' is [7,4,3,3], expected [8,4,3,3]" },
    };
    for (int i = 0; i < GEN_LEN(others); i++) {
        write_changed(path, NULL, others[i].metadata);
        refused(path, others[i].words);
    }
}

/* ---- companions ----------------------------------------------------------------------------- */

/* A second network, whose names are the first one's below another scope, as a GAN's are. */
static void other_build(gen_net *net, const void *config, const gen_port *in, int n_in,
                        gen_port *out, int *n_out)
{
    gen_scope s = gen_scope_push(net->g, "other");
    toy_build(net, config, in, n_in, out, n_out);
    gen_scope_pop(net->g, s);
}

static gen_arch other_arch; /* toy_arch with that */

static gen_model *make_other(void)
{
    gen_model *m;
    toy_config c = { .width = 3, .scale = 2 };
    assert_int_equal(gen_model_create(&m, &other_arch, &c, 6), GEN_OK);
    return m;
}

static void save_with(const gen_model *m, const gen_model *o, const char *path, gen_dtype dtype)
{
    gen_status status = gen_model_save_with(m, &o, 1, path, dtype, "{\"licence\": \"CC0\"}", true);
    if (status != GEN_OK)
        print_message("%s\n", gen_last_error());
    assert_int_equal(status, GEN_OK);
}

static gen_model *load_companion(const char *path, const char *arch)
{
    gen_model *m = NULL;
    gen_status status = gen_model_load_companion(&m, path, arch);
    if (status != GEN_OK)
        print_message("%s\n", gen_last_error());
    assert_int_equal(status, GEN_OK);
    return m;
}

/* All names, shapes, kinds and, where vectors are told, values of `a` are those of `b`. */
static void same_params(const gen_params *a, const gen_params *b, double limit)
{
    assert_int_equal(gen_params_count(a), gen_params_count(b));
    for (int i = 0; i < gen_params_count(a); i++) {
        const char *name[2];
        bool trained[2];
        gen_tensor x = gen_params_at(a, i, &name[0], &trained[0]);
        gen_tensor y = gen_params_at(b, i, &name[1], &trained[1]);
        assert_string_equal(name[0], name[1]);
        assert_true(trained[0] == trained[1] && gen_shape_equal(x.shape, y.shape));
        for (int64_t k = 0; k < gen_shape_count(x.shape); k++) {
            double v = ((float *)x.data)[k], w = ((float *)y.data)[k];
            assert_true(fabs(v - w) <= (x.shape.rank < 2 ? 0 : limit) * fabs(v));
        }
    }
}

static void companions_are_loaded_again(void **state)
{
    (void)state;
    const char *path = toy_path("both.safetensors");
    gen_model *m = make(), *o = make_other();
    for (int bf16 = 0; bf16 < 2; bf16++) {
        save_with(m, o, path, bf16 ? GEN_BF16 : GEN_F32);
        gen_model *a = load(path), *b = load_companion(path, "other");
        same_params(m->params, a->params, bf16 ? 1.0 / 256 : 0);
        same_params(o->params, b->params, bf16 ? 1.0 / 256 : 0);
        assert_memory_equal(b->config, o->config, sizeof(toy_config));
        assert_int_equal(a->n_companions, 1);
        assert_ptr_equal(a->companion[0], &other_arch);
        assert_int_equal(b->n_companions, 0);
        assert_non_null(strstr(a->metadata, "\"licence\":\"CC0\""));
        assert_non_null(strstr(b->metadata, "\"licence\":\"CC0\""));
        save(a, path, GEN_F32, NULL); /* without it */
        gen_model *c = load(path);
        assert_int_equal(c->n_companions, 0);
        assert_null(strstr(c->metadata, "companions"));
        gen_model_free(&a);
        gen_model_free(&b);
        gen_model_free(&c);
    }
    gen_model_free(&m);
    gen_model_free(&o);
}

/* A trainer's way: one gen_params with everything, and more, gives the same bytes. */
static void one_params_for_all(void **state)
{
    (void)state;
    gen_model *m = make(), *o = make_other();
    gen_params *all;
    size_t n, k;
    assert_int_equal(gen_params_create(&all), GEN_OK);
    assert_int_equal(gen_params_copy(all, m->params), GEN_OK);
    assert_int_equal(gen_params_copy(all, o->params), GEN_OK);
    assert_int_equal(gen_params_copy(all, o->params), GEN_EINVAL);
    assert_int_equal(gen_params_add(all, "stranger", GEN_SHAPE(2), true, NULL), GEN_OK);
    assert_int_equal(gen_params_count(all),
                     gen_params_count(m->params) + gen_params_count(o->params) + 1);
    save_with(m, o, toy_path("a"), GEN_BF16);
    gen_model first = { .arch = &toy_arch, .config = m->config, .params = all, .file = -1 };
    gen_model last = { .arch = &other_arch, .config = o->config, .params = all, .file = -1 };
    save_with(&first, &last, toy_path("b"), GEN_BF16);
    char *x = toy_read(toy_path("a"), &n), *y = toy_read(toy_path("b"), &k);
    assert_int_equal(n, k);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
    gen_params_free(&all);
    gen_model_free(&m);
    gen_model_free(&o);
}

static void saving_is_refused(void **state)
{
    (void)state;
    const char *path = toy_path("no.safetensors");
    gen_model *m = make(), *o = make_other(), *wide;
    const gen_model *twice[2] = { o, o }, *many[GEN_MAX_COMPANIONS + 1] = { o };
    toy_config c = { .width = 8 };
    assert_int_equal(gen_model_create(&wide, &toy_arch, &c, 5), GEN_OK);
    assert_int_equal(gen_model_save_with(m, twice, 2, path, GEN_F32, NULL, true), GEN_EINVAL);
    assert_non_null(strstr(gen_last_error(), "'other' is given twice"));
    assert_int_equal(gen_model_save_with(m, many, GEN_LEN(many), path, GEN_F32, NULL, true),
                     GEN_EINVAL);
    gen_model wrong = { .arch = &other_arch, .config = o->config, .params = m->params };
    assert_int_equal(gen_model_save(&wrong, path, GEN_F32, NULL, true), GEN_EINVAL);
    assert_non_null(strstr(gen_last_error(), "hold no 'other/body/w'"));
    wrong = (gen_model){ .arch = &toy_arch, .config = m->config, .params = wide->params };
    assert_int_equal(gen_model_save(&wrong, path, GEN_F32, NULL, true), GEN_EINVAL);
    assert_non_null(strstr(gen_last_error(), "is [8,4,3,3], expected [7,4,3,3]"));
    assert_int_not_equal(access(path, F_OK), 0);
    gen_model_free(&wide);
    gen_model_free(&m);
    gen_model_free(&o);
}

/* Tensors of both networks, `changed` of the companion's given another name, or shape. */
static void write_both(const char *path, const char *changed, const char *to, gen_shape shape,
                       const char *companions)
{
    gen_model *m = make(), *o = make_other();
    gen_safetensor t[64];
    gen_arena names = { 0 };
    char metadata[512];
    int n = 0;
    memset(t, 0, sizeof t);
    for (int i = 0; i < gen_params_count(m->params); i++, n++)
        t[n].value = gen_params_at(m->params, i, &t[n].name, NULL);
    for (int i = 0; i < gen_params_count(o->params); i++, n++) {
        t[n].value = gen_params_at(o->params, i, &t[n].name, NULL);
        bool here = changed && strcmp(t[n].name, changed) == 0;
        t[n].name = gen_arena_printf(&names, "@other/%s", t[n].name);
        t[n].name = here && to ? to : t[n].name;
        t[n].value.shape = here && !to ? shape : t[n].value.shape;
    }
    snprintf(metadata, sizeof metadata,
             "{\"libgen.arch\":\"toy\",\"libgen.companions\":\"%s\"," CONFIG, companions);
    assert_int_equal(gen_safetensors_write(path, true, t, n, metadata), GEN_OK);
    gen_arena_free(&names);
    gen_model_free(&m);
    gen_model_free(&o);
}

#define WITH_OTHER "[{\\\"arch\\\":\\\"other\\\",\\\"config\\\":{\\\"width\\\":3}}]"

static void companions_are_checked(void **state)
{
    (void)state;
    const char *path = toy_path("both.safetensors");
    const gen_shape none = { 0 }, turned = GEN_SHAPE(4, 3, 3, 3);
    write_both(path, NULL, NULL, none, WITH_OTHER);
    gen_model *m = load(path), *o = load_companion(path, "other");
    gen_model_free(&m);
    gen_model_free(&o);
    write_both(path, "other/gain", "@other/gain", none, WITH_OTHER);
    refused(path, "missing '@other/other/gain' [1]");
    refused(path, "extra '@other/gain' [1]");
    write_both(path, "other/body/w", NULL, turned, WITH_OTHER);
    refused(path, "'@other/other/body/w' is [4,3,3,3], expected [3,4,3,3]");
    static const struct {
        const char *companions, *words;
    } cases[] = {
        { "[]", "extra '@other/other/body/b'" },
        { "[{\\\"arch\\\":\\\"toy\\\",\\\"config\\\":{}}]", "missing '@toy/body/b'" },
        { "[{\\\"arch\\\":\\\"others\\\",\\\"config\\\":{}}]", "'others' is not known here" },
        { "[{\\\"arch\\\":\\\"other\\\",\\\"config\\\":{\\\"widht\\\":3}}]", "widht" },
        { "[{\\\"arch\\\":\\\"other\\\",\\\"config\\\":{\\\"width\\\":65}}]", "width" },
        { "[{\\\"arch\\\":\\\"other\\\",\\\"config\\\":{}},{\\\"arch\\\":\\\"other\\\","
          "\\\"config\\\":{}}]",
          "'other' is there twice" },
        { "[{\\\"arch\\\":\\\"other\\\"}]", "expected {\"arch\": name, \"config\": object}" },
        { "[{\\\"arch\\\":7,\\\"config\\\":{}}]", "arch" },
        { "[{\\\"arch\\\":\\\"other\\\",\\\"config\\\":[]}]", "config\": object" },
        { "[{\\\"arch\\\":\\\"other\\\",\\\"config\\\":{},\\\"x\\\":1}]", "expected {\"arch\"" },
        { "[\\\"other\\\"]", "expected {\"arch\"" },
        { "[7,7,7,7,7]", "5 networks, at most 4" },
        { "{}", "libgen.companions is not a JSON array" },
        { "[", "libgen.companions" },
    };
    for (int i = 0; i < GEN_LEN(cases); i++) {
        write_both(path, NULL, NULL, none, cases[i].companions);
        refused(path, cases[i].words);
    }
    m = make();
    save(m, path, GEN_F32, NULL);
    assert_int_equal(gen_model_load_companion(&o, path, "other"), GEN_EMODEL);
    assert_null(o);
    assert_non_null(
        strstr(gen_last_error(), "holds no 'other' beside its toy; it holds no companion"));
    gen_model_free(&m);
}

/* ---- headers -------------------------------------------------------------------------------- */

static void write_header(const char *path, uint64_t length, const char *header, size_t data)
{
    char *file = calloc(1, 8 + strlen(header) + data);
    memcpy(file, &length, 8);
    memcpy(file + 8, header, strlen(header));
    toy_write(path, file, 8 + strlen(header) + data);
    free(file);
}

#define T(dtype, shape, a, b)                                                                      \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" a "," b "]}"

static void headers_that_lie(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t data;
        const char *words;
    } cases[] = {
        { "{\"a\":" T("F32", "[2]", "0", "8") "}", 7, "not in the 7 bytes" },
        { "{\"a\":" T("F32", "[2]", "0", "8") "}", 9, "1 bytes at the end belong to no tensor" },
        { "{\"a\":" T("F32", "[2]", "4", "12") "}", 12, "4 bytes before tensor 'a'" },
        { "{\"a\":" T("F32", "[2]", "8", "0") "}", 8, "not in the 8 bytes" },
        { "{\"a\":" T("F32", "[3]", "0", "8") "}", 8, "does not fit 8 bytes" },
        { "{\"a\":" T("F32", "[2]", "0", "8") ",\"b\":" T("F32", "[2]", "4", "12") "}", 12,
          "'b' overlaps" },
        { "{\"a\":" T("F32", "[2]", "0", "8") ",\"b\":" T("F32", "[2]", "0", "8") "}", 8,
          "overlaps" },
        { "{\"a\":" T("F32", "[2]", "0", "8") ",\"a\":" T("F32", "[2]", "8", "16") "}", 16, "'a'" },
        { "{\"a\":" T("F32", "[4294967296,4294967296]", "0", "0") "}", 0, "more elements than" },
        { "{\"a\":" T("F32", "[9007199254740992,9007199254740992]", "0", "8") "}", 8,
          "more elements than" },
        { "{\"a\":" T("F32", "[4294967296,1073741824]", "0", "0") "}", 0, "does not fit" },
        { "{\"a\":" T("F32", "[-2]", "0", "8") "}", 8, "found -2" },
        { "{\"a\":" T("F32", "[2.5]", "0", "8") "}", 8, "integer" },
        { "{\"a\":" T("F32", "[1e300]", "0", "8") "}", 8, "integer" },
        { "{\"a\":" T("F32", "[1,1,1,1,1,1,1,1,2]", "0", "8") "}", 8, "9 dimensions" },
        { "{\"a\":" T("F99", "[2]", "0", "8") "}", 8, "unknown type 'F99'" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "data_offsets" },
        { "{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "dtype" },
        { "{\"a\":{\"dtype\":3,\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "dtype" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":{},\"data_offsets\":[0,8]}}", 8, "shape" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,9]}}", 8, "3 numbers" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"x\":1}}", 8,
          "unknown key 'x'" },
        { "{\"a\":7}", 0, "not an object" },
        { "{\"__metadata__\":7}", 0, "__metadata__ is not an object" },
        { "{\"__metadata__\":{\"k\":7}}", 0, "'k' is not text" },
        { "{\"a\\nb\":" T("F32", "[2]", "0", "8") "}", 8, "not printable" },
        { "{\"\":" T("F32", "[2]", "0", "8") "}", 8, "not printable" },
        { "{\"a\":", 0, "header" },
        { "{\"a\":1}}", 0, "header" },
        { "{} x", 0, "header" },
    };
    const char *path = toy_path("lie.safetensors");
    for (int i = 0; i < GEN_LEN(cases); i++) {
        write_header(path, strlen(cases[i].header), cases[i].header, cases[i].data);
        refused(path, cases[i].words);
    }
    static const uint64_t lengths[] = { UINT64_C(1) << 63, UINT64_MAX, UINT64_MAX - 7, 100, 3 };
    for (int i = 0; i < GEN_LEN(lengths); i++) {
        write_header(path, lengths[i], "{}", 0);
        refused(path, lengths[i] == 3 ? "claims 3" : "claims");
    }
}

/* A header of 20 MB of blanks, and one of many values, stay within bounds. */
static void headers_that_are_large(void **state)
{
    (void)state;
    const char *path = toy_path("large.safetensors");
    size_t n = (size_t)20 << 20;
    char *text = malloc(n + 1);
    memset(text, ' ', n);
    text[n] = 0;
    text[0] = '{';
    text[n - 1] = '}';
    write_header(path, n, text, 0);
    refused(path, "at most");
    n = (size_t)4 << 20;
    text[n] = 0;
    memset(text, '[', n);
    memcpy(text, "{\"a\":", 5);
    write_header(path, n, text, 0);
    refused(path, "header");
    free(text);
}

static gen_status one_of(int what, const gen_model *m, const gen_model *o, gen_model **k,
                         const char *path, const char *other)
{
    switch (what) {
    case 0:
        return gen_model_load(k, path);
    case 1:
        return gen_model_load_companion(k, path, "other");
    default:
        return gen_model_save_with(m, &o, 1, other, GEN_BF16, "{\"a\":[1]}", true);
    }
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    const char *path = toy_path("a.safetensors"), *other = toy_path("c.safetensors");
    gen_model *m = make(), *o = make_other();
    save_with(m, o, path, GEN_F32);
    for (int what = 0; what < 3; what++) {
        gen_status status = GEN_ENOMEM;
        for (uint64_t n = 1; status != GEN_OK; n++) {
            gen_model *k = NULL;
            uint64_t before = gen_alloc_bytes();
            gen_alloc_fail_at(n);
            status = one_of(what, m, o, &k, path, other);
            gen_alloc_fail_at(0);
            gen_model_free(&k);
            /* the graph's builders report a lack of memory as EINVAL */
            assert_true(status == GEN_OK || status == GEN_ENOMEM ||
                        strstr(gen_last_error(), "out of memory"));
            assert_true(gen_alloc_bytes() == before);
            assert_true(n < 5000);
            if (what == 2 && status != GEN_OK)
                assert_int_not_equal(access(other, F_OK), 0);
        }
    }
    gen_model_free(&m);
    gen_model_free(&o);
}

/* ---- pickles -------------------------------------------------------------------------------- */

static gen_status unpickle(const void *data, size_t n, gen_pickle_value **v, gen_arena *arena)
{
    gen_pickle_source s = { .fd = -1, .data = data, .end = n };
    gen_status status = gen_pickle_read(v, &s, arena);
    gen_pickle_source_free(&s);
    return status;
}

static void pickles_that_attack(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        size_t n;
        const char *words;
    } cases[] = {
#define P(text, words) { text, sizeof text - 1, words }
        P("\200\2cos\nsystem\n(X\2\0\0\0ls\205R.", "'os.system'"),
        P("\200\2cposix\nsystem\n.", "'posix.system'"),
        P("\200\4\214\2os\214\6system\223.", "'os.system'"),
        P("\200\2cbuiltins\neval\n.", "'builtins.eval'"),
        P("\200\2c__builtin__\ngetattr\n.", "'__builtin__.getattr'"),
        P("\200\2ctorch\nload\n.", "'torch.load'"),
        P("\200\2ctorch.storage\n_load_from_bytes\n.", "_load_from_bytes"),
        P("\200\2cnumpy.core.multiarray\nscalar\n.", "scalar"),
        P("\200\2(S'ls'\nios\nsystem\n.", "instruction"),
        P("\200\2}\201.", "instruction 0x81"),
        P("\200\2\202\1.", "instruction 0x82"),
        P("\200\2Pid\n.", "instruction"),
        P("\200\2ctorch\nFloatStorage\n)R.", "calls 'torch.FloatStorage'"),
        P("\200\2h\0.", "memo 0, which was never"),
        P("\200\2j\377\377\377\377.", "memo 4294967295, which was never"),
        P("\200\2}r\377\377\377\177.", "writes memo 2147483647"),
        P("\200\2q\0.", "empty stack"),
        P("\200\2.", "empty stack"),
        P("\200\2}s.", "empty stack"),
        P("\200\2}K\1s.", "empty stack"),
        P("\200\2K\1K\2K\3s.", "adds items to an int"),
        P("\200\2}(K\1u.", "without a value"),
        P("\200\2u.", "did not open"),
        P("\200\2(.", "empty stack"),
        P("\200\2](0.", "empty stack"),
        P("\200\2X\377\377\377\377a.", "announces a text of 4294967295"),
        P("\200\2\216\377\377\377\377\377\377\377\377.", "announces a text of"),
        P("\200\2\213\377\377\377\177.", "announces a text of"),
        P("\200\2X\5\0\0\0ab", "announces a text of 5"),
        P("\200\2X\1\0", "ends in the middle"),
        P("\200\2}", "ends in the middle"),
        P("\200\377.", "protocol 255"),
        P("\200\2K\1Q.", "not a tensor's storage"),
        P("\200\2(X\7\0\0\0storageK\1K\1K\1K\1tQ.", "not a tensor's storage"),
        P("\200\2(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"
          "0NJ\377\377\377\377tQ.",
          "not a tensor's storage"),
        P("\200\2ctorch._utils\n_rebuild_tensor_v2\n(K\1K\1K\1K\1tR.", "from the wrong things"),
        P("\200\2ctorch._utils\n_rebuild_parameter\n)R.", "from the wrong things"),
        P("\200\2K\1)R.", "calls an int"),
        P("\200\2K\1}b.", "attributes of an int"),
        P("\200\2ccollections\nOrderedDict\n(]K\1atR.", "fills a dict with an int"),
#undef P
    };
    for (int i = 0; i < GEN_LEN(cases); i++) {
        gen_pickle_value *v;
        gen_arena arena = { 0 };
        gen_status status = unpickle(cases[i].data, cases[i].n, &v, &arena);
        if (status != GEN_EMODEL || !strstr(gen_last_error(), cases[i].words))
            print_message("case %d: %s\n  expected: %s\n", i, gen_last_error(), cases[i].words);
        assert_int_equal(status, GEN_EMODEL);
        assert_non_null(strstr(gen_last_error(), cases[i].words));
        gen_arena_free(&arena);
    }
}

/* n times `unit`, between the protocol and STOP: what it ends in, and the memory it took. */
static uint64_t repeat(const char *unit, size_t length, size_t n, const char *words)
{
    gen_pickle_value *v;
    gen_arena arena = { 0 };
    char *data = malloc(length * n + 3);
    memcpy(data, "\200\2", 2);
    for (size_t i = 0; i < n; i++)
        memcpy(data + 2 + i * length, unit, length);
    data[2 + n * length] = '.';
    gen_status status = unpickle(data, 3 + n * length, &v, &arena);
    free(data);
    uint64_t used = arena.used;
    gen_arena_free(&arena);
    if (words) {
        assert_int_equal(status, GEN_EMODEL);
        if (!strstr(gen_last_error(), words))
            print_message("%s\n  expected: %s\n", gen_last_error(), words);
        assert_non_null(strstr(gen_last_error(), words));
    }
    return used;
}

static void pickles_that_grow(void **state)
{
    (void)state;
    repeat("(", 1, 100000, "deeper than 1000");
    repeat("N", 1, 2000000, "stack grows");
    assert_true(repeat("]q\0"
                       "0",
                       4, 3000000, "instructions") <= (uint64_t)300 << 20);
    repeat("h\0"
           "0",
           3, 10, "never written");
    repeat("N0", 2, 5000000, "");
    /* lists inside lists cost nothing but their own bytes: nothing walks them */
    assert_true(repeat("]", 1, 1000, NULL) < 1 << 20);
    assert_true(repeat("\205", 1, 1, NULL) < 1 << 20);
    /* a value that contains itself */
    gen_pickle_value *v;
    gen_arena arena = { 0 };
    assert_int_equal(unpickle("\200\2]q\0h\0a.", 10, &v, &arena), GEN_OK);
    assert_ptr_equal(v->item[0], v);
    gen_arena_free(&arena);
}

static void pickle_values(void **state)
{
    (void)state;
    gen_pickle_value *v;
    gen_arena arena = { 0 };
    static const char data[] = "\200\2}(X\1\0\0\0aJ\376\377\377\377X\1\0\0\0b\212\2\0\200"
                               "X\1\0\0\0cG\277\350\0\0\0\0\0\0X\1\0\0\0dK\1K\2\206X\1\0\0\0a"
                               "M\1\2u.";
    assert_int_equal(unpickle(data, sizeof data - 1, &v, &arena), GEN_OK);
    assert_int_equal(gen_pickle_get(v, "a")->i, 513); /* the last one counts */
    assert_int_equal(gen_pickle_get(v, "b")->i, -32768);
    assert_true(gen_pickle_get(v, "c")->real == -0.75);
    assert_int_equal(gen_pickle_get(v, "d")->length, 2);
    assert_int_equal(v->item[1]->i, -2);
    assert_null(gen_pickle_get(v, "e"));
    gen_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(saved_is_loaded_again),
        cmocka_unit_test(same_model_same_bytes),
        cmocka_unit_test(bf16_rounds_weights_only),
        cmocka_unit_test(digest_is_that_of_the_file),
        cmocka_unit_test(files_are_not_overwritten),
        cmocka_unit_test(differences_are_listed),
        cmocka_unit_test(headers_that_lie),
        cmocka_unit_test(headers_that_are_large),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(pickles_that_attack),
        cmocka_unit_test(pickles_that_grow),
        cmocka_unit_test(pickle_values),
        cmocka_unit_test(companions_are_loaded_again),
        cmocka_unit_test(one_params_for_all),
        cmocka_unit_test(saving_is_refused),
        cmocka_unit_test(companions_are_checked),
    };
    other_arch = toy_arch;
    other_arch.name = "other";
    other_arch.build = other_build;
    (void)gen_arch_register(&toy_arch);
    (void)gen_arch_register(&other_arch);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    toy_remove_all();
    return failed;
}
