/* SPDX-License-Identifier: Apache-2.0
 *
 * The CPU backend: its convolutions (all forms: strides, groups, fused up-sampling and pooling,
 * residual, activations, transposed, gradient of weights) and products against the references of
 * the ops, at 1, 2 and 3 threads: the same bytes; which kernel is chosen; devices that are not
 * there.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <libgen/plan.h>

#include "libgen/backends/cpu/cpu.h"
#include "libgen/ops/list.h"

enum { MAX_IN = 4 };

/* One node with values for its inputs, and what the reference makes of them. */
typedef struct trial {
    gen_graph *g;
    gen_node *n;
    void *in[MAX_IN];
    double *in_d[MAX_IN];
    float *constant; /* f32 values of input 1 */
    double *out_d;
    int64_t count;
    void *packed;
} trial;

static uint64_t random_state = 1;

static double uniform(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (double)(random_state >> 40) / (1 << 23) - 1;
}

static void *room(uint64_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 127) / 64 * 64);
    assert_non_null(p);
    memset(p, 0xff, bytes + 64); /* NaN: nothing may be read before it is written */
    return p;
}

static void trial_start(trial *t, gen_graph *g, gen_node *n)
{
    memset(t, 0, sizeof *t);
    if (gen_graph_status(g) != GEN_OK)
        fail_msg("%s", gen_last_error());
    t->g = g;
    t->n = n;
    for (int i = 0; i < n->n_in; i++) {
        int64_t count = gen_shape_count(gen_node_shape(n->in[i]));
        gen_dtype dtype = gen_node_dtype(n->in[i]);
        t->in[i] = room((uint64_t)count * gen_dtype_size(dtype));
        t->in_d[i] = room((uint64_t)count * sizeof(double));
        for (int64_t j = 0; j < count; j++)
            t->in_d[i][j] = uniform();
        gen_convert(t->in[i], dtype, t->in_d[i], GEN_F64, count);
        gen_convert(t->in_d[i], GEN_F64, t->in[i], dtype, count);
        if (i == 1) {
            t->constant = room((uint64_t)count * sizeof(float));
            gen_convert(t->constant, GEN_F32, t->in[i], dtype, count);
        }
    }
    t->count = gen_shape_count(n->shape[0]);
    t->out_d = room((uint64_t)t->count * sizeof(double));
    n->op->ref(n, (const double *const *)t->in_d, &t->out_d);
}

static void trial_end(trial *t)
{
    for (int i = 0; i < MAX_IN; i++) {
        free(t->in[i]);
        free(t->in_d[i]);
    }
    free(t->constant);
    free(t->out_d);
    gen_graph_free(&t->g);
}

static gen_status constant_value(gen_prepare *p, int i, const float **values)
{
    assert_int_equal(i, 1);
    *values = ((trial *)p->plan)->constant;
    return GEN_OK;
}

static gen_status pack(gen_prepare *p, int i, const char *layout, uint64_t bytes,
                       gen_status (*fill)(void *ctx, void *to), void *ctx, const void **out)
{
    trial *t = p->plan;
    assert_int_equal(i, 1);
    assert_true(strlen(layout) > 0);
    t->packed = room(bytes);
    *out = t->packed;
    return fill(ctx, t->packed);
}

/* Runs the node with kernel k; the result as doubles. in_place: the residual's buffer is y. */
static double *trial_run(trial *t, const gen_kernel *k, gen_backend *b, bool constant,
                         bool in_place, char **bytes)
{
    bool is_const[MAX_IN] = { false, constant };
    gen_prepare p = { .node = t->n, .backend = b, .is_const = is_const,
                      .constant = constant_value, .packed = pack, .plan = t };
    const void *in[MAX_IN];
    size_t size = (size_t)t->count * gen_dtype_size(t->n->dtype[0]);
    if (k->accepts && !k->accepts(t->n, b, is_const))
        fail_msg("%s refuses the node", k->name);
    if (k->prepare(&p) != GEN_OK)
        fail_msg("%s: %s", k->name, gen_last_error());
    void *work = room(p.workspace), *y = room(size);
    for (int i = 0; i < t->n->n_in; i++)
        in[i] = p.consumed & 1u << i ? NULL : t->in[i];
    if (in_place) {
        memcpy(y, t->in[t->n->n_in - 1], size);
        in[t->n->n_in - 1] = y;
    }
    uint64_t before = gen_alloc_bytes();
    assert_int_equal(k->run(p.state, in, (void *[]){ y }, work, b), GEN_OK);
    assert_true(gen_alloc_bytes() <= before); /* a worker that starts may free its argument */
    for (int i = 0; i < 64; i++) /* guard behind the result */
        assert_int_equal(((unsigned char *)y)[size + (size_t)i], 0xff);
    double *out = room((uint64_t)t->count * sizeof *out);
    gen_convert(out, GEN_F64, y, t->n->dtype[0], t->count);
    k->free(p.state);
    free(work);
    free(t->packed);
    t->packed = NULL;
    *bytes = y;
    return out;
}

static double error_of(const trial *t, const double *out)
{
    double worst = 0, largest = 0;
    for (int64_t i = 0; i < t->count; i++) {
        double d = fabs(out[i] - t->out_d[i]);
        worst = d > worst || !isfinite(d) ? d : worst;
        largest = fabs(t->out_d[i]) > largest ? fabs(t->out_d[i]) : largest;
    }
    return largest > 0 ? worst / largest : worst;
}

/* Against the reference at 1, 2, 3 threads with equal bytes. */
static void check_kernel(trial *t, const gen_kernel *k, const char *what, bool constant,
                         bool in_place, double limit)
{
    char *first = NULL;
    for (int threads = 1; threads <= 3; threads++) {
        gen_backend *b;
        char *bytes;
        assert_int_equal(gen_backend_open(&b, "cpu", threads), GEN_OK);
        double *out = trial_run(t, k, b, constant, in_place, &bytes), e = error_of(t, out);
        if (!(e <= limit))
            fail_msg("%s, %s, %d threads: error %g, expected at most %g", k->name, what, threads, e,
                     limit);
        if (first && memcmp(first, bytes, (size_t)t->count * gen_dtype_size(t->n->dtype[0])))
            fail_msg("%s, %s: other bytes at %d threads", k->name, what, threads);
        free(out);
        if (first)
            free(bytes);
        else
            first = bytes;
        gen_backend_close(&b);
    }
    free(first);
}

static bool has_bf16(void)
{
    gen_backend *b;
    assert_int_equal(gen_backend_open(&b, "cpu", 1), GEN_OK);
    bool has = b->isa >= GEN_ISA_AVX512;
    gen_backend_close(&b);
    return has;
}

/* ---- convolutions ---------------------------------------------------------------------------- */

typedef struct conv_case {
    const char *what;
    gen_shape x;
    int64_t cout, kernel[3];
    gen_conv_attr attr;
    bool bias, residual;
} conv_case;

#define P1(a) .pad_lo = { a }, .pad_hi = { a }
#define P2(a) .pad_lo = { a, a }, .pad_hi = { a, a }
#define P3(a) .pad_lo = { a, a, a }, .pad_hi = { a, a, a }

static const conv_case conv_cases[] = {
    { "3x3", { 4, { 2, 9, 11, 20 } }, 24, { 3, 3 }, { P2(1) }, true, false },
    { "one cell", { 4, { 1, 1, 1, 3 } }, 5, { 3, 3 }, { P2(1) }, true, false },
    { "channel shares", { 4, { 1, 4, 4, 192 } }, 256, { 3, 3 }, { P2(1), .act = 1 }, true, true },
    { "row shares", { 4, { 1, 32, 24, 64 } }, 64, { 3, 3 }, { P2(1) }, true, true },
    { "row shares, stride", { 4, { 1, 33, 30, 64 } }, 64, { 3, 3 },
      { .stride = { 2, 3 }, .pad_lo = { 1, 0 }, .pad_hi = { 2, 1 }, .act = 2, .slope = 0.1 },
      true, false },
    { "image shares", { 4, { 5, 14, 15, 64 } }, 80, { 3, 3 }, { P2(1) }, false, false },
    { "1x1", { 4, { 2, 20, 21, 96 } }, 96, { 1, 1 }, { .act = 3 }, true, true },
    { "1x1 strided", { 4, { 2, 9, 8, 16 } }, 8, { 1, 1 }, { .stride = { 2, 2 } }, true, false },
    { "groups", { 4, { 2, 9, 9, 24 } }, 36, { 3, 3 }, { P2(1), .groups = 4 }, true, false },
    { "depthwise", { 4, { 2, 9, 9, 24 } }, 24, { 3, 3 }, { P2(1), .groups = 24 }, true, false },
    { "dilated", { 4, { 1, 16, 17, 8 } }, 8, { 3, 3 }, { .dilation = { 2, 3 }, P2(3) }, true,
      true },
    { "rows of padding only", { 4, { 2, 9, 7, 24 } }, 128, { 3, 3 },
      { .pad_lo = { 4, 1 }, .pad_hi = { 1, 1 } }, true, true },
    { "the same, activated", { 5, { 2, 9, 7, 4, 24 } }, 128, { 3, 3, 3 },
      { .pad_lo = { 1, 3, 0 }, .pad_hi = { 1, 1, 1 }, .act = 1 }, true, true },
    { "line", { 3, { 2, 1500, 8 } }, 12, { 3 }, { .dilation = { 4 }, P1(4), .act = 4 }, true,
      true },
    { "volume", { 5, { 2, 5, 6, 7, 12 } }, 16, { 3, 3, 3 }, { P3(1), .act = 1 }, true, false },
    { "up 2", { 4, { 2, 5, 7, 20 } }, 24, { 3, 3 }, { P2(1), .up = { 2, 2 } }, true, true },
    { "up 2, row shares", { 4, { 1, 24, 24, 64 } }, 64, { 3, 3 },
      { P2(1), .up = { 2, 2 }, .act = 1 }, true, false },
    { "up 2, channel shares", { 4, { 1, 4, 4, 256 } }, 256, { 3, 3 },
      { P2(1), .up = { 2, 2 }, .act = 2, .slope = 0.2 }, true, true },
    { "up 2 and 3, uneven padding", { 4, { 2, 5, 4, 6 } }, 7, { 3, 5 },
      { .pad_lo = { 0, 2 }, .pad_hi = { 1, 3 }, .up = { 2, 3 } }, true, false },
    { "up 2, no padding", { 4, { 1, 5, 4, 6 } }, 7, { 3, 3 }, { .up = { 2, 2 } }, true, false },
    { "up 2, dilated", { 4, { 1, 6, 7, 6 } }, 7, { 3, 3 }, { P2(2), .dilation = { 2, 2 },
      .up = { 2, 2 } }, true, false },
    { "up 5 of a line", { 3, { 2, 700, 16 } }, 16, { 3 }, { P1(1), .up = { 5 } }, true, true },
    { "up 3 of a line", { 3, { 1, 31, 16 } }, 8, { 3 }, { P1(1), .up = { 3 } }, false, false },
    { "up 2 of a volume", { 5, { 1, 3, 4, 3, 8 } }, 8, { 3, 3, 3 }, { P3(1), .up = { 2, 2, 2 } },
      true, false },
    { "pool 2", { 4, { 2, 8, 10, 16 } }, 20, { 3, 3 }, { P2(1), .pool = { 2, 2 } }, true, true },
    { "pool 2, odd", { 4, { 2, 9, 7, 16 } }, 20, { 3, 3 }, { P2(1), .pool = { 2, 2 }, .act = 1 },
      true, false },
    { "pool 2, row shares", { 4, { 1, 64, 48, 48 } }, 64, { 3, 3 }, { P2(1), .pool = { 2, 2 } },
      true, true },
    { "pool of 1x1", { 4, { 2, 8, 6, 8 } }, 9, { 1, 1 }, { .pool = { 2, 2 } }, true, true },
    { "pool of a strided line", { 3, { 2, 40, 8 } }, 9, { 5 }, { P1(2), .stride = { 2 },
      .pool = { 3 } }, true, false },
};

static gen_node *conv_node(gen_graph *g, const conv_case *c, gen_dtype dtype)
{
    gen_shape w = c->x, b = { 1, { c->cout } };
    int64_t groups = c->attr.groups ? c->attr.groups : 1;
    w.dim[0] = c->cout;
    w.dim[1] = c->x.dim[c->x.rank - 1] / groups;
    for (int i = 2; i < w.rank; i++)
        w.dim[i] = c->kernel[i - 2];
    gen_node *x = gen_input(g, "x", dtype, c->x), *r = NULL;
    gen_node *weights = gen_input(g, "w", GEN_F32, w);
    gen_node *bias = c->bias ? gen_input(g, "b", GEN_F32, b) : NULL;
    if (c->residual)
        r = gen_input(g, "r", dtype, gen_node_shape(gen_conv(g, x, weights, bias, &c->attr)));
    return gen_conv_fused(g, x, weights, bias, r, &c->attr);
}

static void check_conv(gen_dtype dtype, double limit)
{
    for (int i = 0; i < GEN_LEN(conv_cases); i++) {
        const conv_case *c = &conv_cases[i];
        gen_graph *g;
        trial t;
        assert_int_equal(gen_graph_create(&g), GEN_OK);
        trial_start(&t, g, conv_node(g, c, dtype));
        check_kernel(&t, &gen_dnnl_conv_kernel, c->what, true, false, limit);
        check_kernel(&t, &gen_dnnl_conv_kernel, c->what, false, c->residual, limit);
        trial_end(&t);
    }
}

static void conv_f32(void **state)
{
    (void)state;
    check_conv(GEN_F32, 2e-6);
}

static void conv_bf16(void **state)
{
    (void)state;
    if (!has_bf16())
        skip();
    check_conv(GEN_BF16, 1e-2);
}

typedef struct transpose_case {
    const char *what;
    gen_shape x; /* of the result */
    int64_t cout, kernel[3];
    gen_conv_attr attr;
} transpose_case;

static const transpose_case transpose_cases[] = {
    { "3x3", { 4, { 2, 9, 11, 20 } }, 24, { 3, 3 }, { P2(1) } },
    { "3x3, wide", { 4, { 1, 8, 8, 256 } }, 128, { 3, 3 }, { P2(1) } },
    { "1x1", { 4, { 2, 9, 11, 20 } }, 24, { 1, 1 }, { .groups = 1 } },
    { "4x4 stride 2", { 4, { 2, 10, 12, 20 } }, 24, { 4, 4 }, { P2(1), .stride = { 2, 2 } } },
    { "3x3 stride 2, odd", { 4, { 2, 9, 8, 20 } }, 24, { 3, 3 }, { P2(1), .stride = { 2, 2 } } },
    { "narrower than its padding", { 4, { 3, 9, 1, 32 } }, 32, { 3, 3 },
      { .stride = { 3, 3 }, .pad_lo = { 1, 2 } } },
    { "1x1 stride 3", { 4, { 2, 9, 8, 5 } }, 6, { 1, 1 }, { .stride = { 3, 3 } } },
    { "1x1, padded, stride 2", { 4, { 2, 9, 8, 5 } }, 6, { 1, 1 }, { P2(1), .stride = { 2, 2 } } },
    { "1x1, padded", { 4, { 2, 9, 8, 5 } }, 6, { 1, 1 }, { P2(1) } },
    { "no padding", { 4, { 2, 9, 8, 5 } }, 6, { 3, 2 }, { .groups = 1 } },
    { "wide padding", { 4, { 2, 9, 8, 5 } }, 6, { 3, 3 }, { P2(2) } },
    { "stride 4, dilated", { 4, { 1, 21, 23, 5 } }, 6, { 3, 3 },
      { P2(2), .stride = { 4, 3 }, .dilation = { 2, 2 } } },
    { "groups", { 4, { 2, 9, 8, 12 } }, 24, { 3, 3 }, { P2(1), .groups = 4 } },
    { "line, stride 8", { 3, { 2, 800, 16 } }, 24, { 16 }, { P1(4), .stride = { 8 } } },
    { "dilated line", { 3, { 1, 1200, 16 } }, 24, { 3 }, { P1(8), .dilation = { 8 } } },
    { "volume", { 5, { 1, 4, 6, 5, 8 } }, 16, { 3, 3, 3 }, { P3(1), .stride = { 1, 2, 2 } } },
};

static gen_shape forward_shape(gen_graph *g, gen_shape x, int64_t cout, const int64_t kernel[3],
                               const gen_conv_attr *a, gen_shape *w)
{
    *w = x;
    w->dim[0] = cout;
    w->dim[1] = x.dim[x.rank - 1] / (a->groups ? a->groups : 1);
    for (int i = 2; i < x.rank; i++)
        w->dim[i] = kernel[i - 2];
    return gen_node_shape(gen_conv(g, gen_input(g, "x", GEN_F32, x),
                                   gen_input(g, "forward w", GEN_F32, *w), NULL, a));
}

static void check_transpose(gen_dtype dtype, double limit)
{
    for (int i = 0; i < GEN_LEN(transpose_cases); i++) {
        const transpose_case *c = &transpose_cases[i];
        gen_graph *g;
        gen_shape w, y, bias = { 1, { c->x.dim[c->x.rank - 1] } };
        trial t;
        assert_int_equal(gen_graph_create(&g), GEN_OK);
        y = forward_shape(g, c->x, c->cout, c->kernel, &c->attr, &w);
        trial_start(&t, g, gen_conv_transpose(g, gen_input(g, "y", dtype, y),
                                              gen_input(g, "w", GEN_F32, w),
                                              gen_input(g, "b", GEN_F32, bias), c->x.dim + 1,
                                              &c->attr));
        check_kernel(&t, &gen_dnnl_conv_transpose_kernel, c->what, true, false, limit);
        check_kernel(&t, &gen_dnnl_conv_transpose_kernel, c->what, false, false, limit);
        trial_end(&t);
    }
}

static void transpose_f32(void **state)
{
    (void)state;
    check_transpose(GEN_F32, 2e-6);
}

static void transpose_bf16(void **state)
{
    (void)state;
    if (!has_bf16())
        skip();
    check_transpose(GEN_BF16, 1e-2);
}

static void check_dw(gen_dtype dtype, double limit)
{
    static const gen_shape big = { 4, { 9, 16, 14, 48 } };
    for (int i = 0; i <= GEN_LEN(transpose_cases); i++) {
        const transpose_case *c = &transpose_cases[i % GEN_LEN(transpose_cases)];
        bool last = i == GEN_LEN(transpose_cases);
        gen_shape x = last ? big : c->x, w, y;
        gen_graph *g;
        trial t;
        assert_int_equal(gen_graph_create(&g), GEN_OK);
        y = forward_shape(g, x, c->cout, c->kernel, &c->attr, &w);
        trial_start(&t, g, gen_conv_dw(g, gen_input(g, "x2", dtype, x),
                                       gen_input(g, "dy", dtype, y), c->kernel, &c->attr));
        check_kernel(&t, &gen_dnnl_conv_dw_kernel, last ? "shares" : c->what, false, false, limit);
        trial_end(&t);
    }
}

static void dw_f32(void **state)
{
    (void)state;
    check_dw(GEN_F32, 2e-6);
}

static void dw_bf16(void **state)
{
    (void)state;
    if (!has_bf16())
        skip();
    check_dw(GEN_BF16, 2e-6); /* sums in f32 of exact products */
}

/* ---- products -------------------------------------------------------------------------------- */

static void check_products(gen_dtype dtype, double limit)
{
    static const struct {
        gen_shape a, b;
        gen_matmul_attr attr;
    } cases[] = {
        { { 2, { 70, 33 } }, { 2, { 33, 65 } }, { 0 } },
        { { 2, { 33, 70 } }, { 2, { 65, 33 } }, { 1, 1 } },
        { { 2, { 300, 256 } }, { 2, { 256, 512 } }, { 0, 1 } },
        { { 2, { 1, 700 } }, { 2, { 700, 900 } }, { 0 } },
        { { 2, { 900, 700 } }, { 2, { 700, 1 } }, { 0 } },
        { { 3, { 7, 20, 30 } }, { 3, { 7, 30, 11 } }, { 0 } },
        { { 4, { 2, 3, 20, 30 } }, { 4, { 2, 3, 11, 30 } }, { 0, 1 } },
        { { 3, { 5, 20, 30 } }, { 2, { 30, 16 } }, { 0 } },
        { { 3, { 5, 30, 20 } }, { 2, { 30, 16 } }, { 1, 0 } },
    };
    for (int i = 0; i < GEN_LEN(cases); i++) {
        gen_graph *g;
        trial t;
        gen_shape b = cases[i].b;
        char what[32];
        snprintf(what, sizeof what, "product %d", i);
        if (i == 2)
            b = (gen_shape){ 2, { 512, 256 } };
        assert_int_equal(gen_graph_create(&g), GEN_OK);
        trial_start(&t, g, gen_matmul(g, gen_input(g, "a", dtype, cases[i].a),
                                      gen_input(g, "b", dtype, b), &cases[i].attr));
        check_kernel(&t, &gen_dnnl_matmul_kernel, what, false, false, limit);
        if (b.rank == 2 && !cases[i].attr.transpose_a)
            check_kernel(&t, &gen_dnnl_linear_kernel, what, true, false, limit);
        trial_end(&t);
    }
}

static void product_f32(void **state)
{
    (void)state;
    check_products(GEN_F32, 2e-6);
}

static void product_bf16(void **state)
{
    (void)state;
    if (!has_bf16())
        skip();
    check_products(GEN_BF16, 1e-2);
}

/* ---- the backend itself ---------------------------------------------------------------------- */

static void reference_copies_the_node(void **state)
{
    (void)state;
    gen_graph *g;
    trial t;
    assert_int_equal(gen_graph_create(&g), GEN_OK);
    trial_start(&t, g, conv_node(g, &conv_cases[0], GEN_F32));
    check_kernel(&t, &gen_reference_kernel, "3x3", false, false, 1e-7);
    trial_end(&t);
}

static void kernels_are_chosen(void **state)
{
    (void)state;
    gen_graph *g;
    gen_backend *b;
    bool constant[MAX_IN] = { false, true };
    assert_int_equal(gen_graph_create(&g), GEN_OK);
    assert_int_equal(gen_backend_open(&b, "cpu", 1), GEN_OK);
    gen_node *n = conv_node(g, &conv_cases[4], GEN_F32); /* strided: not Winograd's */
    assert_string_equal(gen_backend_choose(b, n, constant)->name, "onednn/conv");
    assert_null(gen_backend_choose(b, n->in[0], constant));
    b->fast_math_off = true;
    assert_string_equal(gen_backend_choose(b, n, constant)->name, "reference");
    gen_backend_close(&b);
    gen_graph_free(&g);
}

static void devices(void **state)
{
    (void)state;
    gen_backend *b;
    assert_int_equal(gen_backend_open(&b, "cuda:0", 0), GEN_EDEVICE);
    assert_null(b);
    assert_int_equal(gen_backend_open(&b, "abacus", 0), GEN_EINVAL);
    assert_int_equal(gen_backend_open(&b, "cpu", -1), GEN_EINVAL);
    assert_int_equal(gen_backend_open(&b, "cpu", 0), GEN_OK);
    gen_backend_close(&b);
    gen_backend_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv_f32),          cmocka_unit_test(conv_bf16),
        cmocka_unit_test(transpose_f32),     cmocka_unit_test(transpose_bf16),
        cmocka_unit_test(dw_f32),            cmocka_unit_test(dw_bf16),
        cmocka_unit_test(product_f32),       cmocka_unit_test(product_bf16),
        cmocka_unit_test(reference_copies_the_node),
        cmocka_unit_test(kernels_are_chosen), cmocka_unit_test(devices),
    };
    return cmocka_run_group_tests_name("backend", tests, NULL, NULL);
}
