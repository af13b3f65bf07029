/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs every kernel that accepts a case by itself and compares it with the op's reference, which
 * sees the same (rounded) inputs in double. Besides max |d| / max |ref| it checks that
 *   - no byte around an input, output or the workspace is written, and no input (guards, copies);
 *   - run works on outputs and workspace of any content, and allocates nothing;
 *   - inputs 1.. may be constant (packed weights) or not, and data may lie inside a larger tensor;
 *   - in place works where the kernel says so;
 *   - a second run and any thread count give the same bytes; lower instruction sets are right too;
 *   - each failing allocation in prepare is an error without a leak.
 * On a device (--device) the buffers are copied there, guards and all, and back after the run; and
 * since it has no reference loops, each case must be taken by some kernel.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libgen/plan.h>

#include "libgen/backends/backend.h"
#include "tests/check_ops/harness.h"

enum { GUARD = 128, CANARY = 0xA5, GARBAGE = 0xFF, MAX_PACKED = 16, MAX_CONFIGS = 8 };

/* max |d| / max |ref| by storage. */
static double allowed_difference(gen_dtype t)
{
    return t == GEN_BF16 || t == GEN_F16 ? 1e-2 : 1e-4;
}

/* ---- backends: the cpu at several thread counts and instruction sets ------------------------- */

typedef struct config {
    gen_backend *b;
    gen_backend lowered; /* copy with a lower isa */
    int threads;
    bool same_bytes_as_first;
} config;

static gen_backend *opened[3];
static config configs[MAX_CONFIGS];
static int n_opened, n_configs;

void check_kernels_open(const char *device, int bench_threads)
{
    if (device) {
        gen_status s = gen_backend_open(&opened[n_opened], device, 1);
        if (s != GEN_OK) {
            print_error("backend: %s\n", gen_last_error());
            exit(s == GEN_EDEVICE ? 7 : 1);
        }
        configs[n_configs++] = (config){ .b = opened[n_opened++], .threads = 1,
                                         .same_bytes_as_first = true };
        return;
    }
    int first = bench_threads ? bench_threads : 1, last = bench_threads ? bench_threads : 3;
    for (int t = first; t <= last; t++) {
        if (gen_backend_open(&opened[n_opened], "cpu", t) != GEN_OK) {
            print_error("backend: %s\n", gen_last_error());
            exit(1);
        }
        configs[n_configs++] = (config){ .b = opened[n_opened++], .threads = t,
                                         .same_bytes_as_first = true };
    }
    for (int isa = (int)opened[0]->isa - 1; isa >= 0 && !bench_threads; isa--) {
        config *c = &configs[n_configs++];
        c->lowered = *opened[0];
        c->lowered.isa = (gen_isa)isa;
        c->b = &c->lowered;
        c->threads = 1;
    }
}

void check_kernels_close(void)
{
    for (int i = 0; i < n_opened; i++)
        gen_backend_close(&opened[i]);
}

void check_kernels_list(void)
{
    for (const gen_kernel *const *k = configs[0].b->kernels; *k; k++)
        printf("kernel %-28s %s\n", (*k)->name,
               (*k)->op ? (*k)->op->name : (*k)->serves ? "(several ops)" : "(any op)");
}

/* ---- guarded buffers ------------------------------------------------------------------------- */

typedef struct buffer {
    uint8_t *raw, *data;
    size_t size, total;
    uint8_t *far; /* the same on the device, or NULL */
} buffer;

/* Where a kernel finds the data. */
static void *buffer_at(const buffer *b)
{
    return b->far ? b->far + (b->data - b->raw) : b->data;
}

static gen_status buffer_send(buffer *b, const gen_far *far)
{
    void *there;
    if (!far)
        return GEN_OK;
    GEN_TRY(far->alloc(far->ctx, &there, b->total, "a buffer of check_ops"));
    b->far = there;
    return far->put(far->ctx, b->far, b->raw, b->total);
}

static gen_status buffer_fetch(const buffer *b, const gen_far *far)
{
    return b->far ? far->get(far->ctx, b->raw, b->far, b->total) : GEN_OK;
}

static void buffer_free(buffer *b, const gen_far *far)
{
    if (b->far)
        far->free(b->far);
    free(b->raw);
}

/* `offset` bytes behind a 64-byte boundary. */
static void buffer_make(buffer *b, size_t size, size_t offset, int fill)
{
    b->size = size;
    b->far = NULL;
    b->total = (size + offset + 2 * GUARD + 63) / 64 * 64;
    b->raw = aligned_alloc(64, b->total);
    if (!b->raw)
        abort();
    memset(b->raw, CANARY, b->total);
    b->data = b->raw + GUARD + offset;
    memset(b->data, fill, size);
}

static bool buffer_intact(const buffer *b)
{
    for (size_t i = 0; i < b->total; i++)
        if (b->raw[i] != CANARY && (b->raw + i < b->data || b->raw + i >= b->data + b->size))
            return false;
    return true;
}

/* ---- a case with its values ------------------------------------------------------------------ */

typedef struct trial {
    const check_case *k;
    check c;
    gen_node *n;
    gen_dtype dtype;
    void *in[CHECK_MAX_IN]; /* in storage dtype, dense */
    size_t in_bytes[CHECK_MAX_IN], out_bytes[GEN_MAX_OUTPUTS];
    double *ref[GEN_MAX_OUTPUTS];
    uint8_t *first[GEN_MAX_OUTPUTS]; /* bytes of the first configuration's result */
    bool taken;                      /* some kernel ran it */
} trial;

static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

static size_t bytes_of(gen_shape s, gen_dtype t)
{
    return (size_t)gen_shape_count(s) * gen_dtype_size(t);
}

static void trial_close(trial *t)
{
    for (int i = 0; i < CHECK_MAX_IN; i++)
        free(t->in[i]);
    for (int i = 0; i < GEN_MAX_OUTPUTS; i++) {
        free(t->ref[i]);
        free(t->first[i]);
    }
    gen_graph_free(&t->c.g);
}

/* Weights that stay f32 too: a kernel may hold them in the lower type, and that is no error. */
static void round_to(double *v, gen_dtype t, int64_t count)
{
    uint8_t stored[8];
    for (int64_t i = 0; i < count; i++) {
        gen_convert(stored, t, &v[i], GEN_F64, 1);
        gen_convert(&v[i], GEN_F64, stored, t, 1);
    }
}

typedef enum extent { SHAPES_ONLY, VALUES, VALUES_AND_REFERENCE } extent;

/* Rounds drawn values to storage, and computes the reference from the rounded ones. */
static bool trial_open(trial *t, const check_case *k, gen_dtype dtype, extent what)
{
    double *exact[CHECK_MAX_IN] = { 0 };
    *t = (trial){ .k = k, .dtype = dtype };
    t->n = check_build(k, &t->c, dtype);
    if (!t->n) {
        trial_close(t);
        return false;
    }
    if (what == SHAPES_ONLY)
        return true;
    for (int i = 0; i < t->n->n_in; i++) {
        const gen_node *x = t->n->in[i];
        int64_t count = gen_shape_count(x->shape[0]);
        t->in_bytes[i] = bytes_of(x->shape[0], x->dtype[0]);
        t->in[i] = must(malloc(t->in_bytes[i]));
        exact[i] = must(malloc((size_t)count * sizeof(double)));
        check_draw(&t->c, i, 0, exact[i]);
        if (gen_dtype_is_float(x->dtype[0]))
            round_to(exact[i], dtype, count);
        gen_convert(t->in[i], x->dtype[0], exact[i], GEN_F64, count);
        gen_convert(exact[i], GEN_F64, t->in[i], x->dtype[0], count);
    }
    for (int i = 0; i < t->n->n_out; i++) {
        t->out_bytes[i] = bytes_of(t->n->shape[i], t->n->dtype[i]);
        t->ref[i] = must(malloc((size_t)gen_shape_count(t->n->shape[i]) * sizeof(double)));
        t->first[i] = must(calloc(1, t->out_bytes[i]));
    }
    if (what == VALUES_AND_REFERENCE)
        t->n->op->ref(t->n, (const double *const *)exact, t->ref);
    for (int i = 0; i < CHECK_MAX_IN; i++)
        free(exact[i]);
    return true;
}

/* ---- a host for kernels, in place of a plan -------------------------------------------------- */

typedef struct host {
    gen_prepare p;
    const trial *t;
    const gen_kernel *kernel;
    bool is_const[CHECK_MAX_IN];
    float *value[CHECK_MAX_IN];
    void *packed[MAX_PACKED];
    int n_packed;
} host;

static gen_status host_constant(gen_prepare *p, int i, const float **values)
{
    host *h = p->plan;
    const gen_node *x = p->node->in[i];
    int64_t count = gen_shape_count(x->shape[0]);
    if (!h->is_const[i])
        return gen_fail(GEN_EBUG, "input %d is not constant", i);
    if (!h->value[i]) {
        h->value[i] = must(malloc((size_t)count * sizeof(float)));
        gen_convert(h->value[i], GEN_F32, h->t->in[i], x->dtype[0], count);
    }
    *values = h->value[i];
    return GEN_OK;
}

static gen_status host_packed(gen_prepare *p, int i, const char *layout, uint64_t bytes,
                              gen_status (*fill)(void *ctx, void *to), void *ctx, const void **out)
{
    host *h = p->plan;
    (void)layout;
    if (!h->is_const[i] || h->n_packed == MAX_PACKED)
        return gen_fail(GEN_EBUG, "input %d: not constant, or packed more than %d times", i,
                        MAX_PACKED);
    const gen_far *far = p->backend->far;
    void *to = must(aligned_alloc(64, (size_t)(bytes + 63) / 64 * 64)), *there;
    gen_status s = fill(ctx, to);
    *out = to;
    if (far && s == GEN_OK) {
        s = far->alloc(far->ctx, &there, bytes, "packed weights");
        s = s == GEN_OK ? far->put(far->ctx, there, to, bytes) : s;
        free(to);
        to = there;
        *out = to;
    }
    if (to)
        h->packed[h->n_packed++] = to;
    return s;
}

static void host_close(host *h)
{
    if (h->p.state)
        (h->kernel->free ? h->kernel->free : gen_free)(h->p.state);
    for (int i = 0; i < CHECK_MAX_IN; i++)
        free(h->value[i]);
    const gen_far *far = h->p.backend->far;
    for (int i = 0; i < h->n_packed; i++)
        (far ? far->free : free)(h->packed[i]);
}

/* constants: inputs 1.. have one value for the life of the plan. */
static void host_open(host *h, const trial *t, const gen_kernel *k, gen_backend *b, bool constants)
{
    *h = (host){ .t = t, .kernel = k };
    for (int i = 1; i < t->n->n_in; i++)
        h->is_const[i] = constants;
    h->p = (gen_prepare){ .node = t->n, .backend = b, .is_const = h->is_const,
                          .constant = host_constant, .packed = host_packed, .plan = h };
}

/* After prepare: what was asked for by `constant` is gone. */
static void host_release_values(host *h)
{
    for (int i = 0; i < CHECK_MAX_IN; i++) {
        free(h->value[i]);
        h->value[i] = NULL;
    }
}

/* ---- one run --------------------------------------------------------------------------------- */

typedef struct variant {
    const config *at;
    bool constants;
    int alias;     /* input whose buffer is output 0's, or -1 */
    bool shifted;  /* data off the 64-byte boundary by one element */
    const char *what;
} variant;

static int complain(const trial *t, const gen_kernel *k, const variant *v, const char *what)
{
    char text[512];
    print_error("%s, %s, %s, kernel %s, %d thread%s, isa %d, %s: %s\n    %s\n", t->k->op->name,
                t->k->name, gen_dtype_name(t->dtype), k->name, v->at->threads,
                v->at->threads > 1 ? "s" : "", (int)v->at->b->isa, v->what, what,
                gen_node_text(t->n, text, sizeof text));
    return 1;
}

static int compare_output(const trial *t, const gen_kernel *k, const variant *v, int o,
                          const void *data)
{
    const gen_node *n = t->n;
    int64_t count = gen_shape_count(n->shape[o]);
    double *got = must(malloc((size_t)count * sizeof *got));
    gen_convert(got, GEN_F64, data, n->dtype[o], count);
    gen_difference d = gen_compare(&(gen_tensor){ GEN_F64, n->shape[o], got },
                                   &(gen_tensor){ GEN_F64, n->shape[o], t->ref[o] });
    double found = got[d.worst], expected = t->ref[o][d.worst];
    free(got);
    double allowed = fmax(allowed_difference(t->dtype), allowed_difference(n->dtype[o]));
    if (d.relative <= allowed)
        return 0;
    char text[160];
    snprintf(text, sizeof text,
             "output %d is off by %.3g of its largest value, at element %lld: found %g, "
             "expected %g", o, d.relative, (long long)d.worst, found, expected);
    return complain(t, k, v, text);
}

typedef struct buffers {
    buffer in[CHECK_MAX_IN], out[GEN_MAX_OUTPUTS], workspace;
    const void *in_at[CHECK_MAX_IN];
    void *out_at[GEN_MAX_OUTPUTS];
} buffers;

static void buffers_open(buffers *m, const trial *t, const host *h, const variant *v)
{
    *m = (buffers){ 0 };
    for (int i = 0; i < t->n->n_in; i++) {
        size_t offset = v->shifted ? gen_dtype_size(t->n->in[i]->dtype[0]) : 0;
        buffer_make(&m->in[i], t->in_bytes[i], offset, 0);
        memcpy(m->in[i].data, t->in[i], t->in_bytes[i]);
        m->in_at[i] = h->p.consumed >> i & 1 ? NULL : m->in[i].data;
    }
    for (int i = 0; i < t->n->n_out; i++) {
        size_t offset = v->shifted ? gen_dtype_size(t->n->dtype[i]) : 0;
        buffer_make(&m->out[i], t->out_bytes[i], offset, GARBAGE);
        m->out_at[i] = m->out[i].data;
    }
    if (v->alias >= 0)
        m->out_at[0] = m->in[v->alias].data;
    buffer_make(&m->workspace, (size_t)h->p.workspace, 0, GARBAGE);
}

static void buffers_close(buffers *m, const gen_far *far)
{
    for (int i = 0; i < CHECK_MAX_IN; i++)
        buffer_free(&m->in[i], far);
    for (int i = 0; i < GEN_MAX_OUTPUTS; i++)
        buffer_free(&m->out[i], far);
    buffer_free(&m->workspace, far);
}

static int check_guards(const trial *t, const gen_kernel *k, const variant *v, const buffers *m)
{
    int failed = 0;
    for (int i = 0; i < t->n->n_in; i++) {
        if (!buffer_intact(&m->in[i]))
            failed = complain(t, k, v, "bytes around an input were written");
        if (i != v->alias && memcmp(m->in[i].data, t->in[i], t->in_bytes[i]) != 0)
            failed = complain(t, k, v, "an input was written");
    }
    for (int i = 0; i < t->n->n_out; i++)
        if (!buffer_intact(&m->out[i]))
            failed = complain(t, k, v, "bytes around an output were written");
    if (!buffer_intact(&m->workspace))
        failed = complain(t, k, v, "bytes around the workspace were written");
    return failed;
}

/* Same bytes as the first run of the first configuration. */
static int check_bytes(trial *t, const gen_kernel *k, const variant *v, const buffers *m,
                       bool first)
{
    for (int i = 0; i < t->n->n_out; i++) {
        if (first)
            memcpy(t->first[i], m->out_at[i], t->out_bytes[i]);
        else if (memcmp(t->first[i], m->out_at[i], t->out_bytes[i]) != 0)
            return complain(t, k, v, "other bytes than in the first run");
    }
    return 0;
}

/* in_at and out_at are on the host, also of a device: checks read them there. */
static gen_status run_there(const host *h, buffers *m, int alias)
{
    const gen_far *far = h->p.backend->far;
    const gen_node *n = h->t->n;
    const void *in[CHECK_MAX_IN] = { NULL };
    void *out[GEN_MAX_OUTPUTS] = { NULL };
    for (int i = 0; i < n->n_in; i++) {
        if (!m->in[i].far)
            GEN_TRY(buffer_send(&m->in[i], far));
        in[i] = m->in_at[i] ? buffer_at(&m->in[i]) : NULL;
    }
    for (int i = 0; i < n->n_out; i++) {
        if (!m->out[i].far)
            GEN_TRY(buffer_send(&m->out[i], far));
        out[i] = i == 0 && alias >= 0 ? buffer_at(&m->in[alias]) : buffer_at(&m->out[i]);
    }
    if (!m->workspace.far)
        GEN_TRY(buffer_send(&m->workspace, far));
    gen_alloc_fail_at(1); /* run allocates nothing */
    gen_status s = h->kernel->run(h->p.state, in, out,
                                  h->p.workspace ? buffer_at(&m->workspace) : NULL, h->p.backend);
    gen_alloc_fail_at(0);
    GEN_TRY(s);
    for (int i = 0; i < n->n_in; i++)
        GEN_TRY(buffer_fetch(&m->in[i], far));
    for (int i = 0; i < n->n_out; i++)
        GEN_TRY(buffer_fetch(&m->out[i], far));
    return buffer_fetch(&m->workspace, far);
}

/* first: this run's bytes are those that the others must repeat; again: run twice. */
static int run_variant(trial *t, const gen_kernel *k, const variant *v, bool first)
{
    host h;
    buffers m;
    int failed = 0;
    host_open(&h, t, k, v->at->b, v->constants);
    gen_status s = k->prepare(&h.p);
    if (s != GEN_OK) { /* a library may do less than its kernel accepts: the next one is asked */
        failed = s == GEN_EUNSUPPORTED ? 0 : complain(t, k, v, gen_last_error());
        host_close(&h);
        return failed;
    }
    t->taken = true;
    host_release_values(&h);
    buffers_open(&m, t, &h, v);
    if (run_there(&h, &m, v->alias) != GEN_OK)
        failed = complain(t, k, v, gen_last_error());
    if (!failed)
        failed |= check_guards(t, k, v, &m);
    for (int i = 0; i < t->n->n_out && !failed; i++)
        failed |= compare_output(t, k, v, i, m.out_at[i]);
    if (!failed && v->at->same_bytes_as_first && v->alias < 0 && !v->shifted)
        failed |= check_bytes(t, k, v, &m, first);
    if (!failed && first && run_there(&h, &m, v->alias) == GEN_OK)
        failed |= check_bytes(t, k, v, &m, false);
    buffers_close(&m, h.p.backend->far);
    host_close(&h);
    return failed;
}

/* ---- one kernel ------------------------------------------------------------------------------ */

static bool takes(const gen_kernel *k, const trial *t, const gen_backend *b, bool constants)
{
    bool is_const[CHECK_MAX_IN] = { false };
    for (int i = 1; i < t->n->n_in; i++)
        is_const[i] = constants;
    return gen_kernel_serves(k, t->n->op) && (!k->accepts || k->accepts(t->n, b, is_const));
}

static int aliased_input(const trial *t, const gen_kernel *k)
{
    const gen_node *n = t->n;
    if (k->flags & GEN_KERNEL_IN_PLACE && n->op->flags & GEN_OP_IN_PLACE && n->n_in &&
        gen_shape_equal(n->in[0]->shape[0], n->shape[0]) && n->in[0]->dtype[0] == n->dtype[0])
        return 0;
    if (k->flags & GEN_KERNEL_RESIDUAL_IN_PLACE && n->op == &gen_op_conv) {
        const gen_conv_attr *a = n->attr;
        int r = 2 + (int)a->has_bias;
        if (a->has_residual && n->in[r]->dtype[0] == n->dtype[0])
            return r;
    }
    return -1;
}

/* Fails each allocation of prepare in turn. */
static int check_allocations(trial *t, const gen_kernel *k, const variant *v)
{
    for (uint64_t i = 1; i < 100; i++) {
        host h;
        uint64_t before = gen_alloc_bytes();
        host_open(&h, t, k, v->at->b, v->constants);
        gen_alloc_fail_at(i);
        gen_status s = k->prepare(&h.p);
        gen_alloc_fail_at(0);
        host_close(&h);
        if (gen_alloc_bytes() != before)
            return complain(t, k, v, "prepare leaks when an allocation fails");
        if (s == GEN_OK || s == GEN_EUNSUPPORTED)
            return 0;
        if (s != GEN_ENOMEM)
            return complain(t, k, v, "prepare without memory does not end in ENOMEM");
    }
    return complain(t, k, v, "prepare allocates more than 100 times");
}

static int check_kernel(trial *t, const gen_kernel *k)
{
    int failed = 0, alias = aliased_input(t, k);
    bool first = true;
    for (int i = 0; i < n_configs && !failed; i++) {
        variant v = { .at = &configs[i], .constants = true, .alias = -1 };
        v.what = "constant inputs";
        if (!takes(k, t, v.at->b, true))
            continue;
        failed |= run_variant(t, k, &v, first);
        if (first && !failed)
            failed |= check_allocations(t, k, &v);
        first = false;
        v.what = "constant inputs, shifted";
        v.shifted = true;
        if (!failed)
            failed |= run_variant(t, k, &v, false);
        v.what = "constant inputs, in place";
        v.shifted = false;
        v.alias = alias;
        if (!failed && alias >= 0)
            failed |= run_variant(t, k, &v, false);
    }
    first = true;
    for (int i = 0; i < n_configs && !failed; i++) {
        variant v = { .at = &configs[i], .alias = -1, .what = "no constant" };
        if (!takes(k, t, v.at->b, false) || t->n->n_in < 2)
            continue;
        failed |= run_variant(t, k, &v, first);
        first = false;
    }
    return failed;
}

static const gen_dtype dtypes[] = { GEN_F32, GEN_BF16 };

int check_kernels(const check_case *k)
{
    int failed = 0;
    for (int d = 0; d < GEN_LEN(dtypes); d++) {
        trial t;
        if (!trial_open(&t, k, dtypes[d], VALUES_AND_REFERENCE))
            return 1;
        for (const gen_kernel *const *i = configs[0].b->kernels; *i; i++)
            if (takes(*i, &t, configs[0].b, true) || takes(*i, &t, configs[0].b, false))
                failed |= check_kernel(&t, *i);
        if (!t.taken && !(t.n->op->flags & GEN_OP_VIEW) && !(k->flags & CHECK_OPTIONAL)) {
            print_error("%s, %s, %s: no kernel of %s takes it\n", k->op->name, k->name,
                        gen_dtype_name(t.dtype), configs[0].b->name);
            failed = 1;
        }
        trial_close(&t);
    }
    return failed;
}

/* ---- --support ------------------------------------------------------------------------------- */

enum { MAX_ROWS = 1024 };
static struct support {
    const gen_op *op;
    const gen_kernel *kernel;
    int cases[GEN_LEN(dtypes)], chosen[GEN_LEN(dtypes)];
} support[MAX_ROWS];
static int n_support;

static struct support *support_row(const gen_op *op, const gen_kernel *k)
{
    for (int i = 0; i < n_support; i++)
        if (support[i].op == op && support[i].kernel == k)
            return &support[i];
    if (n_support == MAX_ROWS)
        abort();
    support[n_support] = (struct support){ .op = op, .kernel = k };
    return &support[n_support++];
}

void check_support(const check_case *k)
{
    for (int d = 0; d < GEN_LEN(dtypes); d++) {
        trial t;
        bool chosen = false;
        if (!trial_open(&t, k, dtypes[d], SHAPES_ONLY))
            continue;
        for (const gen_kernel *const *i = configs[0].b->kernels; *i; i++)
            if (takes(*i, &t, configs[0].b, true)) {
                struct support *row = support_row(k->op, *i);
                row->cases[d]++;
                row->chosen[d] += !chosen;
                chosen = true;
            }
        trial_close(&t);
    }
}

void check_support_print(void)
{
    printf("%-16s %-28s %14s %14s\n", "op", "kernel", "f32: takes/1st", "bf16");
    for (int i = 0; i < n_support; i++)
        printf("%-16s %-28s %8d/%-5d %8d/%-5d\n", support[i].op->name, support[i].kernel->name,
               support[i].cases[0], support[i].chosen[0], support[i].cases[1],
               support[i].chosen[1]);
}

/* ---- --bench --------------------------------------------------------------------------------- */

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Without copies; what was not sent yet is. */
static gen_status run_timed(const host *h, buffers *m)
{
    const gen_far *far = h->p.backend->far;
    if (!far || !m->workspace.far)
        return run_there(h, m, -1);
    const void *in[CHECK_MAX_IN];
    void *out[GEN_MAX_OUTPUTS];
    for (int i = 0; i < h->t->n->n_in; i++)
        in[i] = m->in_at[i] ? buffer_at(&m->in[i]) : NULL;
    for (int i = 0; i < h->t->n->n_out; i++)
        out[i] = buffer_at(&m->out[i]);
    GEN_TRY(h->kernel->run(h->p.state, in, out, buffer_at(&m->workspace), h->p.backend));
    return far->wait(far->ctx);
}

static void bench_kernel(trial *t, const gen_kernel *k)
{
    host h;
    buffers m;
    variant v = { .at = &configs[0], .constants = true, .alias = -1 };
    double best = INFINITY, start = seconds();
    host_open(&h, t, k, v.at->b, true);
    if (k->prepare(&h.p) != GEN_OK) {
        printf("%s: %s\n", k->name, gen_last_error());
        host_close(&h);
        return;
    }
    buffers_open(&m, t, &h, &v);
    for (int i = 0; i < 200 && (i < 3 || seconds() - start < 0.4); i++) {
        double from = seconds();
        if (run_timed(&h, &m) != GEN_OK)
            break;
        double took = seconds() - from;
        best = took < best ? took : best;
        if (took > 1)
            break;
    }
    gen_cost cost = gen_node_cost(t->n);
    printf("%-14s %-30s %-5s %-24s %9.3f ms %8.1f GFLOP/s %7.1f GB/s\n", t->k->op->name,
           t->k->name, gen_dtype_name(t->dtype), k->name, best * 1e3, cost.flops / best / 1e9,
           cost.bytes / best / 1e9);
    fflush(stdout);
    buffers_close(&m, h.p.backend->far);
    host_close(&h);
}

void check_bench(const check_case *k)
{
    if (!(k->flags & CHECK_BENCH))
        return;
    for (int d = 0; d < GEN_LEN(dtypes); d++) {
        trial t;
        if (!trial_open(&t, k, dtypes[d], VALUES))
            continue;
        for (const gen_kernel *const *i = configs[0].b->kernels; *i; i++)
            if (takes(*i, &t, configs[0].b, true) && !strstr((*i)->name, "reference"))
                bench_kernel(&t, *i);
        trial_close(&t);
    }
}
