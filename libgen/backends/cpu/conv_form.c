/* SPDX-License-Identifier: Apache-2.0 */
#include "libgen/backends/cpu/conv_form.h"

#include <string.h>

#include "libgen/base/alloc.h"

enum { MAX_EVERY = 16, MAX_PHASES = 64 };

/* One spatial axis of the op, and one phase of it. */
typedef struct axis {
    int64_t in, out, kernel, stride, dilation, pad, up, pool;
    bool transposed;
} axis;

typedef struct phase {
    int64_t taps, stride, dilation, out;
    int64_t first; /* tap 0 of phase index 0 reads x[first] */
} phase;

static int64_t floor_div(int64_t a, int64_t b)
{
    return a >= 0 ? a / b : -((-a + b - 1) / b);
}

static int64_t every(const axis *a)
{
    return a->transposed ? a->stride : a->up;
}

static int64_t gcd(int64_t a, int64_t b)
{
    while (b) {
        int64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

/* The cell of x, relative to phase index 0, that tap i reaches; false when it reaches none. */
static bool reach(const axis *a, int64_t at, int64_t i, int64_t *cell)
{
    if (!a->transposed) {
        *cell = floor_div(at + i * a->dilation - a->pad, a->up);
        return true;
    }
    int64_t v = at + a->pad - i * a->dilation;
    *cell = floor_div(v, a->stride);
    return v % a->stride == 0;
}

/* Phases that gather single cells: up-sampling and the transposed convolution. */
static bool gather_phase(const axis *a, int64_t at, phase *p)
{
    int64_t lo = 0, hi = 0, cell, e = every(a);
    bool any = false;
    p->stride = 1;
    p->out = (a->out - at + e - 1) / e;
    p->dilation = a->transposed ? a->dilation / gcd(a->stride, a->dilation) : 1;
    for (int64_t i = 0; i < a->kernel; i++) {
        if (!reach(a, at, i, &cell))
            continue;
        lo = !any || cell < lo ? cell : lo;
        hi = !any || cell > hi ? cell : hi;
        any = true;
    }
    /* oneDNN takes no negative padding: taps of weight zero reach the border instead. */
    while (lo > 0)
        lo -= p->dilation;
    while (p->out - 1 + hi < a->in - 1)
        hi += p->dilation;
    p->first = lo;
    p->taps = (hi - lo) / p->dilation + 1;
    return p->taps <= 4 * a->kernel + 8;
}

static bool axis_phase(const axis *a, int64_t at, phase *p)
{
    if (a->transposed || a->up > 1)
        return gather_phase(a, at, p);
    p->first = -a->pad;
    p->out = a->out;
    p->stride = a->stride * a->pool;
    p->dilation = a->pool > 1 ? 1 : a->dilation;
    p->taps = a->kernel + (a->pool - 1) * a->stride;
    return true;
}

/* Weight of tap i in the phase's tap t. */
static float coefficient(const axis *a, int64_t at, const phase *p, int64_t i, int64_t t)
{
    int64_t cell;
    if (a->transposed || a->up > 1)
        return reach(a, at, i, &cell) && cell == p->first + t * p->dilation;
    if (a->pool == 1)
        return t == i;
    int64_t v = t - i;
    return v >= 0 && v % a->stride == 0 && v / a->stride < a->pool ? 1.0f / (float)a->pool : 0;
}

static bool axis_supported(const axis *a)
{
    phase p;
    if (a->transposed ? a->stride > MAX_EVERY : a->up > MAX_EVERY)
        return false;
    if (a->up > 1 && (a->stride > 1 || a->pool > 1))
        return false;
    if (a->pool > 1 && a->dilation > 1 && a->kernel > 1)
        return false;
    for (int64_t at = 0; at < every(a) && at < a->out; at++)
        if (!axis_phase(a, at, &p))
            return false;
    return true;
}

static int axes_of(const gen_node *n, axis a[3], gen_conv_dims *d)
{
    bool transposed = n->op == &gen_op_conv_transpose;
    *d = gen_conv_dims_of(n);
    for (int i = 0; i < d->axes; i++) {
        int j = 3 - d->axes + i;
        a[i] = (axis){ .in = transposed ? d->y[j] : d->x[j],
                       .out = transposed ? d->x[j] : d->y[j],
                       .kernel = d->kernel[j],
                       .stride = d->stride[j],
                       .dilation = d->dilation[j],
                       .pad = d->pad_lo[j],
                       .up = d->up[j],
                       .pool = d->pool[j],
                       .transposed = transposed };
    }
    return d->axes;
}

bool gen_conv_form_supported(const gen_node *n)
{
    gen_conv_dims d;
    axis a[3];
    int64_t phases = 1, up = 1, pool = 1;
    int axes = axes_of(n, a, &d);
    for (int i = 0; i < axes; i++) {
        if (!axis_supported(&a[i]))
            return false;
        phases *= every(&a[i]);
        up *= a[i].up;
        pool *= a[i].pool;
    }
    return phases <= MAX_PHASES && (up == 1 || pool == 1);
}

/* The terms of all axes together; two passes, counting and writing. */
static int write_terms(const gen_conv_form *f, const axis a[3], const phase p[3],
                       const gen_conv_phase *c, gen_conv_term *term)
{
    int64_t from = 1, to = 1;
    int n = 0;
    for (int i = 0; i < f->axes; i++) {
        from *= f->kernel[i];
        to *= c->taps[i];
    }
    for (int64_t t = 0; t < to; t++) {
        for (int64_t i = 0; i < from; i++) {
            int64_t ti = t, ii = i;
            float k = 1;
            for (int j = f->axes - 1; j >= 0 && k != 0; j--) {
                k *= coefficient(&a[j], c->at[j], &p[j], ii % f->kernel[j], ti % c->taps[j]);
                ii /= f->kernel[j];
                ti /= c->taps[j];
            }
            if (k == 0)
                continue;
            if (term)
                term[n] = (gen_conv_term){ (int)i, (int)t, k };
            n++;
        }
    }
    return n;
}

static gen_status fill_phase(const gen_conv_form *f, const axis a[3], gen_conv_phase *c)
{
    phase p[3];
    for (int i = 0; i < f->axes; i++) {
        axis_phase(&a[i], c->at[i], &p[i]);
        c->taps[i] = p[i].taps;
        c->stride[i] = p[i].stride;
        c->dilation[i] = p[i].dilation;
        c->pad_lo[i] = -p[i].first;
        c->out[i] = p[i].out;
    }
    c->n_terms = write_terms(f, a, p, c, NULL);
    GEN_TRY(GEN_ALLOC(&c->term, c->n_terms, "convolution taps"));
    write_terms(f, a, p, c, c->term);
    return GEN_OK;
}

/* Without padding or kernel, images and pixels are one axis. */
static bool is_pointwise(const axis *a, int axes)
{
    for (int i = 0; i < axes; i++)
        if (a[i].kernel > 1 || a[i].stride > 1 || a[i].up > 1 || a[i].pool > 1 ||
            a[i].in != a[i].out || a[i].pad)
            return false;
    return true;
}

static gen_status build(gen_conv_form *f, const axis a[3])
{
    f->phases = 1;
    for (int i = 0; i < f->axes; i++) {
        f->in[i] = a[i].in;
        f->out[i] = a[i].out;
        f->kernel[i] = a[i].kernel;
        f->every[i] = every(&a[i]) < a[i].out ? every(&a[i]) : a[i].out;
        f->phases *= (int)f->every[i];
    }
    GEN_TRY(GEN_ALLOC(&f->phase, f->phases, "convolution phases"));
    for (int i = 0; i < f->phases; i++) {
        int64_t rest = i;
        for (int j = f->axes - 1; j >= 0; j--) {
            f->phase[i].at[j] = rest % f->every[j];
            rest /= f->every[j];
        }
        GEN_TRY(fill_phase(f, a, &f->phase[i]));
    }
    f->identity = f->phases == 1 && !f->transposed;
    for (int i = 0; i < f->axes; i++)
        f->identity = f->identity && a[i].pool == 1 && a[i].up == 1;
    return GEN_OK;
}

gen_status gen_conv_form_create(gen_conv_form *f, const gen_node *n)
{
    gen_conv_dims d;
    axis a[3];
    memset(f, 0, sizeof *f);
    f->axes = axes_of(n, a, &d);
    f->transposed = a[0].transposed;
    f->n = d.n;
    f->groups = d.groups;
    f->cin = f->transposed ? d.cout : d.cin;
    f->cout = f->transposed ? d.cin : d.cout;
    if (is_pointwise(a, f->axes)) {
        for (int i = 1; i < f->axes; i++)
            a[0].in *= a[i].in;
        a[0].in *= f->n;
        a[0].out = a[0].in;
        f->n = 1;
        f->axes = 1;
    }
    gen_status s = build(f, a);
    if (s != GEN_OK)
        gen_conv_form_free(f);
    return s;
}

gen_status gen_conv_form_linear(gen_conv_form *f, int64_t rows, int64_t cin, int64_t cout,
                                bool transposed)
{
    axis a[3] = { { rows, rows, 1, 1, 1, 0, 1, 1, transposed } };
    *f = (gen_conv_form){ .axes = 1, .n = 1, .groups = 1, .cin = cin, .cout = cout,
                          .transposed = transposed };
    gen_status s = build(f, a);
    if (s != GEN_OK)
        gen_conv_form_free(f);
    return s;
}

void gen_conv_form_free(gen_conv_form *f)
{
    for (int i = 0; f->phase && i < f->phases; i++)
        gen_free(f->phase[i].term);
    gen_free(f->phase);
    f->phase = NULL;
}

void gen_conv_form_weights(const gen_conv_form *f, int phase_index, int64_t first, int64_t count,
                           const float *w, float *to)
{
    const gen_conv_phase *p = &f->phase[phase_index];
    int64_t icg = f->cin / f->groups, ocg = f->cout / f->groups, taps = 1, kernel = 1;
    for (int i = 0; i < f->axes; i++) {
        taps *= p->taps[i];
        kernel *= f->kernel[i];
    }
    memset(to, 0, (size_t)(count * icg * taps) * sizeof *to);
    for (int64_t o = first; o < first + count; o++) {
        for (int64_t c = 0; c < icg; c++, to += taps) {
            const float *from = f->transposed
                                    ? w + ((o / ocg * icg + c) * ocg + o % ocg) * kernel
                                    : w + (o * icg + c) * kernel;
            for (int i = 0; i < p->n_terms; i++)
                to[p->term[i].to] += p->term[i].k * from[p->term[i].from];
        }
    }
}
