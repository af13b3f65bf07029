/* SPDX-License-Identifier: Apache-2.0
 *
 * Foreign state dicts into our networks. An arch's import function says where each parameter comes
 * from; here are the names (common prefixes, three spellings of spectral norm, batch norm), the
 * copying, and the account: every parameter of ours must get a value of the right shape, every
 * foreign tensor is used, ignored for a reason, or listed as unknown.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "libgen/base/map.h"
#include "libgen/model/network.h"
#include "libgen/model/tensor_file.h"

#define NAME 512

enum { UNKNOWN, USED, IGNORED };

struct gen_import {
    gen_tensor_file *file;
    const gen_arch *arch;
    void *config;
    gen_params *params;
    gen_network network; /* built by the first declaration */
    bool built;
    gen_map ours;        /* name -> index + 1 of the parameter */
    unsigned char *fate; /* [file->count] */
    float **value;       /* [file->count], of gen_import_find */
    gen_text problems;   /* a list: each makes the import fail */
    gen_text report;     /* lines */
};

/* A checkpoint may hold the same network inside wrappers; the plain name comes first. */
static const char *const prefixes[] = { "",          "generator.",       "module.",
                                        "model.",    "model.generator.", "module.generator.",
                                        "_orig_mod." };

/* ---- foreign names -------------------------------------------------------------------------- */

static int find_plain(const gen_import *im, const char *prefix, const char *name)
{
    char full[NAME];
    if (snprintf(full, sizeof full, "%s%s", prefix, name) >= (int)sizeof full)
        return -1;
    int i = gen_tensor_file_find(im->file, full);
    return i >= 0 && gen_file_tensor_count(&im->file->tensor[i]) ? i : -1;
}

static int find_any(const gen_import *im, const char *name)
{
    for (int p = 0; p < GEN_LEN(prefixes); p++) {
        int i = find_plain(im, prefixes[p], name);
        if (i >= 0)
            return i;
    }
    return -1;
}

static gen_status same_values(const gen_import *im, int a, int b, bool *same)
{
    gen_status status = GEN_OK;
    const gen_file_tensor *x = &im->file->tensor[a], *y = &im->file->tensor[b];
    char *p = NULL, *q = NULL;
    uint64_t n = gen_file_tensor_count(x);
    *same = strcmp(x->dtype_text, y->dtype_text) == 0 && gen_shape_equal(x->shape, y->shape);
    if (!*same)
        return GEN_OK;
    GEN_GOTO(gen_alloc_raw((void **)&p, n, x->item, "comparison"));
    GEN_GOTO(gen_alloc_raw((void **)&q, n, x->item, "comparison"));
    GEN_GOTO(gen_tensor_file_read_raw(im->file, a, p));
    GEN_GOTO(gen_tensor_file_read_raw(im->file, b, q));
    *same = memcmp(p, q, n * x->item) == 0;
done:
    gen_free(p);
    gen_free(q);
    return status;
}

/* The foreign tensor of that name, marked as used with its copies; -1: none. */
static gen_status take(gen_import *im, const char *name, int *index)
{
    *index = -1;
    for (int p = 0; p < GEN_LEN(prefixes); p++) {
        int i = find_plain(im, prefixes[p], name);
        bool same = true;
        if (i < 0)
            continue;
        if (*index >= 0 && im->fate[i] != USED)
            GEN_TRY(same_values(im, *index, i, &same));
        if (!same)
            GEN_TRY(gen_text_list(&im->problems, "'%s' and '%s' differ, which is right?",
                                  im->file->tensor[*index].name, im->file->tensor[i].name));
        im->fate[i] = USED;
        *index = *index < 0 ? i : *index;
    }
    return GEN_OK;
}

static gen_status take_suffixed(gen_import *im, const char *from, const char *suffix, int *index)
{
    char name[NAME];
    *index = -1;
    if (snprintf(name, sizeof name, "%s%s", from, suffix) >= (int)sizeof name)
        return GEN_OK;
    return take(im, name, index);
}

gen_shape gen_import_shape(const gen_import *im, const char *name)
{
    int i = find_any(im, name);
    return i < 0 ? (gen_shape){ .rank = -1 } : im->file->tensor[i].shape;
}

gen_tensor gen_import_find(gen_import *im, const char *name)
{
    int i;
    float *values = NULL;
    if (take(im, name, &i) != GEN_OK || i < 0)
        return (gen_tensor){ 0 };
    const gen_file_tensor *t = &im->file->tensor[i];
    if (!im->value[i]) {
        if (gen_alloc_raw((void **)&values, gen_file_tensor_count(t), sizeof *values, name) ||
            gen_tensor_file_read(im->file, i, values)) {
            gen_free(values);
            return (gen_tensor){ 0 };
        }
        im->value[i] = values;
    }
    return (gen_tensor){ .dtype = GEN_F32, .shape = t->shape, .data = im->value[i] };
}

int gen_import_count(const gen_import *im)
{
    return im->file->count;
}

const char *gen_import_name(const gen_import *im, int i)
{
    return i >= 0 && i < im->file->count ? im->file->tensor[i].name : NULL;
}

/* ---- our parameters ------------------------------------------------------------------------- */

static gen_status build(gen_import *im)
{
    if (im->built)
        return GEN_OK;
    GEN_TRY(gen_config_check(im->arch, im->config));
    GEN_TRY(gen_network_build(&im->network, im->arch, im->config, NULL, 0));
    for (int i = 0; i < gen_graph_params(im->network.g); i++) {
        const char *name;
        (void)gen_network_param(&im->network, i, &name, NULL);
        GEN_TRY(gen_map_set(&im->ours, name, (void *)((intptr_t)i + 1)));
    }
    im->built = true;
    return GEN_OK;
}

/* Index of our parameter scope/name, or -1. */
static int our_index(const gen_import *im, const char *scope, const char *name)
{
    char full[NAME];
    if (snprintf(full, sizeof full, "%s%s%s", scope, name ? "/" : "", name ? name : "") >=
        (int)sizeof full)
        return -1;
    return (int)(intptr_t)gen_map_get(&im->ours, full) - 1;
}

static bool same_count(gen_shape a, gen_shape b)
{
    return gen_shape_count(a) == gen_shape_count(b);
}

/* Reads foreign tensor i into our parameter k. Vectors may differ in rank ([C] and [1,C]).
 * *values NULL: not done, the problem is noted. */
static gen_status fill(gen_import *im, int k, int i, float **values)
{
    const gen_file_tensor *t = &im->file->tensor[i];
    const char *name;
    bool trained;
    char a[GEN_SHAPE_TEXT], b[GEN_SHAPE_TEXT];
    gen_shape shape = gen_network_param(&im->network, k, &name, &trained);
    *values = NULL;
    if (!gen_shape_equal(shape, t->shape) && !(shape.rank == 1 && same_count(shape, t->shape)))
        return gen_text_list(&im->problems, "'%s' is %s, expected %s", t->name,
                             gen_shape_text(t->shape, a), gen_shape_text(shape, b));
    if (t->dtype < 0)
        return gen_text_list(&im->problems, "'%s' is of type %s", t->name, t->dtype_text);
    if (gen_params_get(im->params, name).data)
        return gen_fail(GEN_EBUG, "import of %s: '%s' is declared twice", im->arch->name, name);
    GEN_TRY(gen_params_add(im->params, name, shape, trained, values));
    return gen_tensor_file_read(im->file, i, *values);
}

/* from + suffix -> to/name. `needed` false: fine when our network has no such parameter. */
static gen_status copy_one(gen_import *im, const char *from, const char *suffix, const char *to,
                           const char *name)
{
    int i, k = our_index(im, to, name);
    float *values;
    if (k < 0)
        return GEN_OK; /* a foreign tensor that is there all the same shows up as unknown */
    GEN_TRY(take_suffixed(im, from, suffix, &i));
    if (i < 0)
        return gen_text_list(&im->problems, "missing '%s%s'", from, suffix);
    return fill(im, k, i, &values);
}

gen_status gen_import_copy(gen_import *im, const char *from, const char *to)
{
    GEN_TRY(build(im));
    if (our_index(im, to, NULL) < 0)
        return gen_text_list(&im->problems, "%s has no '%s'", im->arch->name, to);
    return copy_one(im, from, "", to, NULL);
}

gen_status gen_import_norm(gen_import *im, const char *from, const char *to)
{
    int i;
    GEN_TRY(build(im));
    if (our_index(im, to, "mean") < 0)
        return gen_text_list(&im->problems, "%s has no batch norm '%s'", im->arch->name, to);
    GEN_TRY(copy_one(im, from, ".weight", to, "gamma"));
    GEN_TRY(copy_one(im, from, ".bias", to, "beta"));
    GEN_TRY(copy_one(im, from, ".running_mean", to, "mean"));
    GEN_TRY(copy_one(im, from, ".running_var", to, "var"));
    return take_suffixed(im, from, ".num_batches_tracked", &i); /* a counter, of no use */
}

/* ---- layers --------------------------------------------------------------------------------- */

/* A matrix [rows,inputs,inner]: channels of input in the middle, the kernel's cells inside. */
struct matrix {
    float *w;
    int64_t rows, inputs, inner;
};

/* Input channels of `rows` rows into our order. */
static gen_status permute_inputs(const struct matrix *m, const int64_t *permute)
{
    gen_status status = GEN_OK;
    float *old = NULL;
    bool *seen = NULL;
    const int64_t row = m->inputs * m->inner;
    GEN_GOTO(GEN_ALLOC(&seen, m->inputs, "permutation"));
    for (int64_t i = 0; i < m->inputs; i++) {
        if (permute[i] < 0 || permute[i] >= m->inputs || seen[permute[i]])
            GEN_GOTO(gen_fail(GEN_EBUG, "order of input channels is no permutation at %lld",
                              (long long)i));
        seen[permute[i]] = true;
    }
    GEN_GOTO(GEN_ALLOC(&old, row, "permutation"));
    for (int64_t r = 0; r < m->rows; r++) {
        float *w = m->w + r * row;
        memcpy(old, w, (size_t)row * sizeof *w);
        for (int64_t i = 0; i < m->inputs; i++)
            memcpy(w + i * m->inner, old + permute[i] * m->inner, (size_t)m->inner * sizeof *w);
    }
done:
    gen_free(old);
    gen_free(seen);
    return status;
}

/* out = W v [rows], in double. */
static void times(const struct matrix *m, const double *v, double *out)
{
    const int64_t row = m->inputs * m->inner;
    for (int64_t r = 0; r < m->rows; r++) {
        double sum = 0;
        for (int64_t i = 0; i < row; i++)
            sum += (double)m->w[r * row + i] * v[i];
        out[r] = sum;
    }
}

static double norm_of(const double *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sqrt(sum);
}

/* For a folded weight: v of length 1 near the first singular vector, u so that u.(W v) = 1. */
static gen_status make_vectors(const struct matrix *m, float *u, float *v, bool *zero)
{
    gen_status status = GEN_OK;
    const int64_t row = m->inputs * m->inner;
    double *a = NULL, *b = NULL;
    GEN_GOTO(GEN_ALLOC(&a, m->rows, "power iteration"));
    GEN_GOTO(GEN_ALLOC(&b, row, "power iteration"));
    *zero = false;
    for (int64_t r = 0; r < m->rows; r++)
        a[r] = 1 + 0.25 * sin(1.0 + 2.3 * (double)r); /* any start that no weight is made for */
    for (int step = 0; step < 15; step++) {
        memset(b, 0, (size_t)row * sizeof *b);
        for (int64_t r = 0; r < m->rows; r++)
            for (int64_t i = 0; i < row; i++)
                b[i] += m->w[r * row + i] * a[r];
        double n = norm_of(b, row);
        for (int64_t i = 0; i < row && n > 0; i++)
            b[i] /= n;
        times(m, b, a);
        n = norm_of(a, m->rows);
        if (!(n > 0)) {
            *zero = true;
            goto done;
        }
        for (int64_t r = 0; r < m->rows; r++)
            a[r] /= n;
    }
    for (int64_t i = 0; i < row; i++)
        b[i] = v[i] = (float)b[i]; /* of the rounded v, so that the product is 1 */
    times(m, b, a);
    double n = norm_of(a, m->rows);
    for (int64_t r = 0; r < m->rows; r++)
        u[r] = (float)(a[r] / (n * n));
done:
    gen_free(a);
    gen_free(b);
    return status;
}

/* Our u and v for a weight that has none, because it was folded. */
static gen_status add_vectors(gen_import *im, const struct matrix *m, const char *from, int ku,
                              int kv)
{
    const char *name;
    float *u, *v;
    bool zero;
    gen_shape s = gen_network_param(&im->network, ku, &name, NULL);
    if (gen_shape_count(s) != m->rows)
        return gen_fail(GEN_EBUG, "'%s' has %lld values for %lld rows", name,
                        (long long)gen_shape_count(s), (long long)m->rows);
    GEN_TRY(gen_params_add(im->params, name, s, false, &u));
    s = gen_network_param(&im->network, kv, &name, NULL);
    if (gen_shape_count(s) != m->inputs * m->inner)
        return gen_fail(GEN_EBUG, "'%s' does not fit its weight", name);
    GEN_TRY(gen_params_add(im->params, name, s, false, &v));
    GEN_TRY(make_vectors(m, u, v, &zero));
    return zero ? gen_text_list(&im->problems, "'%s.weight' is zero: it has no spectral norm", from)
                : GEN_OK;
}

/* The network divides by no norm here, but the file's weight is to be divided: w / (u.(W v)). */
static gen_status fold(gen_import *im, const struct matrix *m, int iu, int iv)
{
    gen_status status = GEN_OK;
    float *u = NULL, *v = NULL;
    double *a = NULL, *b = NULL, sigma = 0;
    const int64_t row = m->inputs * m->inner;
    const gen_file_tensor *tu = &im->file->tensor[iu], *tv = &im->file->tensor[iv];
    if (gen_file_tensor_count(tu) != (uint64_t)m->rows ||
        gen_file_tensor_count(tv) != (uint64_t)row)
        return gen_text_list(&im->problems, "'%s' does not fit its weight", tu->name);
    GEN_GOTO(GEN_ALLOC(&u, m->rows, "spectral norm"));
    GEN_GOTO(GEN_ALLOC(&v, row, "spectral norm"));
    GEN_GOTO(GEN_ALLOC(&a, m->rows, "spectral norm"));
    GEN_GOTO(GEN_ALLOC(&b, row, "spectral norm"));
    GEN_GOTO(gen_tensor_file_read(im->file, iu, u));
    GEN_GOTO(gen_tensor_file_read(im->file, iv, v));
    for (int64_t i = 0; i < row; i++)
        b[i] = v[i];
    times(m, b, a);
    for (int64_t r = 0; r < m->rows; r++)
        sigma += u[r] * a[r];
    if (!isfinite(sigma) || sigma == 0)
        GEN_GOTO(gen_text_list(&im->problems, "'%s' gives a spectral norm of %g", tu->name, sigma));
    else
        for (int64_t i = 0; i < m->rows * row; i++)
            m->w[i] = (float)(m->w[i] / sigma);
done:
    gen_free(u);
    gen_free(v);
    gen_free(a);
    gen_free(b);
    return status;
}

/* How the three spellings name weight, u and v. The folded one comes last. */
static const char *const spelling[3][3] = {
    { ".parametrizations.weight.original", ".parametrizations.weight.0._u",
      ".parametrizations.weight.0._v" },
    { ".weight_orig", ".weight_u", ".weight_v" },
    { ".weight", NULL, NULL },
};

/* Index of weight, u and v in the file; u and v -1 where folded, missing ones are noted. */
static gen_status find_weight(gen_import *im, const char *from, int index[3])
{
    index[1] = index[2] = -1;
    for (int s = 0; s < 3; s++) {
        GEN_TRY(take_suffixed(im, from, spelling[s][0], &index[0]));
        if (index[0] < 0)
            continue;
        for (int k = 1; k < 3 && spelling[s][k]; k++) {
            GEN_TRY(take_suffixed(im, from, spelling[s][k], &index[k]));
            if (index[k] < 0) {
                index[0] = -1;
                return gen_text_list(&im->problems, "missing '%s%s'", from, spelling[s][k]);
            }
        }
        return GEN_OK;
    }
    return gen_text_list(&im->problems, "missing '%s.weight'", from);
}

static gen_status import_weight(gen_import *im, const char *from, const char *to,
                                const int64_t *permute)
{
    int index[3], k = our_index(im, to, "w"), ku = our_index(im, to, "u"),
                  kv = our_index(im, to, "v");
    const char *name;
    struct matrix m;
    float *u, *v;
    GEN_TRY(find_weight(im, from, index));
    if (index[0] < 0)
        return GEN_OK;
    GEN_TRY(fill(im, k, index[0], &m.w));
    if (!m.w)
        return GEN_OK;
    gen_shape s = gen_network_param(&im->network, k, &name, NULL);
    m.rows = s.dim[0];
    m.inputs = s.rank > 1 ? s.dim[1] : 1;
    m.inner = gen_shape_count(s) / (m.rows * m.inputs);
    if (index[1] >= 0 && ku < 0)
        GEN_TRY(fold(im, &m, index[1], index[2])); /* before the channels move */
    if (permute)
        GEN_TRY(permute_inputs(&m, permute));
    if (ku < 0)
        return GEN_OK;
    if (index[1] < 0)
        return add_vectors(im, &m, from, ku, kv);
    GEN_TRY(fill(im, ku, index[1], &u));
    GEN_TRY(fill(im, kv, index[2], &v));
    if (!v || !permute)
        return GEN_OK;
    return permute_inputs(&(struct matrix){ v, 1, m.inputs, m.inner }, permute);
}

gen_status gen_import_layer(gen_import *im, const char *from, const char *to,
                            const int64_t *permute)
{
    GEN_TRY(build(im));
    if (our_index(im, to, "w") < 0)
        return gen_text_list(&im->problems, "%s has no layer '%s'", im->arch->name, to);
    GEN_TRY(import_weight(im, from, to, permute));
    return copy_one(im, from, ".bias", to, "b");
}

/* ---- the account ---------------------------------------------------------------------------- */

static bool has_prefix(const char *name, const char *prefix)
{
    for (int p = 0; p < GEN_LEN(prefixes); p++) {
        size_t n = strlen(prefixes[p]);
        if (strncmp(name, prefixes[p], n) == 0 && strncmp(name + n, prefix, strlen(prefix)) == 0)
            return true;
    }
    return false;
}

gen_status gen_import_ignore(gen_import *im, const char *prefix, const char *why)
{
    int n = 0;
    for (int i = 0; i < im->file->count; i++)
        if (im->fate[i] == UNKNOWN && has_prefix(im->file->tensor[i].name, prefix)) {
            im->fate[i] = IGNORED;
            n++;
        }
    return n ? gen_text_add(&im->report, "ignored %d tensor%s '%s*': %s\n", n, n == 1 ? "" : "s",
                            prefix, why)
             : GEN_OK;
}

gen_status gen_import_note(gen_import *im, const char *format, ...)
{
    char line[1024];
    va_list ap;
    va_start(ap, format);
    vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    return gen_text_add(&im->report, "%s\n", line);
}

static gen_status close_account(gen_import *im)
{
    char text[GEN_SHAPE_TEXT];
    int unknown = 0;
    GEN_TRY(build(im));
    for (int k = 0; k < gen_graph_params(im->network.g) && !im->problems.pieces; k++) {
        const char *name;
        gen_shape shape = gen_network_param(&im->network, k, &name, NULL);
        if (!gen_params_get(im->params, name).data)
            GEN_TRY(gen_text_list(&im->problems, "nothing gives our '%s' %s", name,
                                  gen_shape_text(shape, text)));
    }
    if (im->problems.pieces)
        return gen_text_fail(&im->problems, im->file->path, "it does not fit the network");
    for (int i = 0; i < im->file->count; i++)
        unknown += im->fate[i] == UNKNOWN;
    if (unknown)
        GEN_TRY(gen_text_add(&im->report, "unknown %d tensor%s, not used:\n", unknown,
                             unknown == 1 ? "" : "s"));
    for (int i = 0, shown = 0; i < im->file->count && shown < 20; i++)
        if (im->fate[i] == UNKNOWN) {
            GEN_TRY(gen_text_add(&im->report, "    %s %s\n", im->file->tensor[i].name,
                                 gen_shape_text(im->file->tensor[i].shape, text)));
            shown++;
        }
    if (unknown > 20)
        GEN_TRY(gen_text_add(&im->report, "    and %d more\n", unknown - 20));
    if (im->file->note)
        GEN_TRY(gen_text_add(&im->report, "%s\n", im->file->note));
    return GEN_OK;
}

/* ---- the import ----------------------------------------------------------------------------- */

static const gen_arch *recognised(const gen_import *im)
{
    for (int i = 0; i < gen_arch_count(); i++)
        if (gen_arch_at(i)->recognises && gen_arch_at(i)->recognises(im))
            return gen_arch_at(i);
    return NULL;
}

const gen_arch *gen_recognise(struct gen_tensor_file *f)
{
    return recognised(&(gen_import){ .file = f });
}

static gen_status choose_arch(gen_import *im, const gen_arch *arch)
{
    if (!arch)
        arch = recognised(im);
    if (!arch)
        return gen_fail(GEN_EMODEL, "'%s': no known network has its %d tensors ('%s', ...)",
                        im->file->path, im->file->count,
                        im->file->count ? im->file->tensor[0].name : "");
    if (!arch->import)
        return gen_fail(GEN_EMODEL, "'%s': there is no importer for '%s'", im->file->path,
                        arch->name);
    im->arch = arch;
    return GEN_OK;
}

static void free_import(gen_import *im)
{
    for (int i = 0; im->value && i < im->file->count; i++)
        gen_free(im->value[i]);
    gen_free(im->value);
    gen_free(im->fate);
    gen_map_free(&im->ours);
    gen_network_free(&im->network);
    gen_params_free(&im->params);
    gen_free(im->config);
    gen_free(im->problems.text);
    gen_free(im->report.text);
    gen_tensor_file_close(&im->file);
}

static gen_status run_import(gen_import *im, const gen_arch *arch)
{
    gen_status status;
    char *beside = NULL;
    GEN_TRY(GEN_ALLOC(&im->fate, im->file->count, "import"));
    GEN_TRY(GEN_ALLOC(&im->value, im->file->count, "import"));
    GEN_TRY(choose_arch(im, arch));
    GEN_TRY(gen_alloc(&im->config, 1, im->arch->config_size, "config"));
    gen_options_defaults(im->arch->config, im->config);
    GEN_TRY(gen_params_create(&im->params));
    GEN_GOTO(gen_tensor_file_config(im->file, &beside));
    status = im->arch->import(im, im->config, beside);
    if (status == GEN_OK)
        GEN_GOTO(close_account(im));
    else if (status == GEN_EINVAL || status == GEN_EDATA || status == GEN_EMODEL)
        status = gen_fail_in(GEN_EMODEL, "'%s'", im->file->path);
done:
    gen_free(beside);
    return status;
}

static gen_status hand_over(gen_import *im, gen_model **out, char **report)
{
    gen_status status;
    gen_model *m;
    GEN_TRY(GEN_ALLOC(&m, 1, "model"));
    m->file = -1;
    GEN_GOTO(gen_strdup(&m->metadata, "{}"));
    if (report && !im->report.text)
        GEN_GOTO(gen_strdup(&im->report.text, ""));
    m->arch = im->arch;
    m->config = im->config;
    m->params = im->params;
    m->file = im->file->fd;
    im->config = NULL;
    im->params = NULL;
    im->file->fd = -1;
    if (report) {
        *report = im->report.text;
        im->report.text = NULL;
    }
    *out = m;
    m = NULL;
done:
    gen_model_free(&m);
    return status;
}

gen_status gen_model_import(gen_model **out, const char *path, const gen_arch *arch, char **report)
{
    gen_import im = { 0 };
    *out = NULL;
    if (report)
        *report = NULL;
    GEN_TRY(gen_tensor_file_open(&im.file, path));
    gen_status status = run_import(&im, arch);
    if (status == GEN_OK)
        status = hand_over(&im, out, report);
    free_import(&im);
    return status;
}

void gen_text_free(char *text)
{
    gen_free(text);
}
