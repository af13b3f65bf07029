/* SPDX-License-Identifier: Apache-2.0
 *
 * The Winograd convolution against the op's reference (plain sums in double), for every instruction
 * set of this machine: borders, odd sizes, few and many channels, fused bias, residual and
 * activations, the forms with up-sampling and pooling; the same bytes at any thread count; what it
 * refuses.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "libgen/backends/backend.h"
#include "libgen/backends/cpu/kernels/winograd.h"
#include "libgen/ops/list.h"

extern const gen_kernel gen_winograd_conv;

/* Largest error as a part of the largest output; the kernel promises 5e-5 on such data. */
#define LIMIT 2e-5

typedef struct conv_case {
    const char *what;
    int64_t n, h, w, c, k;
    gen_conv_attr attr;
    bool bias, residual;
} conv_case;

#define PAD(a, b, c, d) .pad_lo = { a, b }, .pad_hi = { c, d }
#define UP .up = { 2, 2 }, PAD(1, 1, 1, 1)
#define POOL .pool = { 2, 2 }

static const conv_case cases[] = {
    { "whole tiles", 2, 8, 8, 32, 48, { PAD(1, 1, 1, 1) }, false, false },
    { "ragged tiles", 3, 11, 14, 16, 16, { PAD(1, 1, 1, 1) }, true, false },
    { "no padding, 2 and 1 vectors", 4, 12, 13, 48, 80, { PAD(0, 0, 0, 0) }, true, false },
    { "uneven padding", 2, 17, 9, 64, 64, { PAD(2, 0, 1, 2) }, true, true },
    { "few tiles", 1, 5, 6, 32, 112, { PAD(1, 1, 1, 1), .act = GEN_ACT_RELU }, true, true },
    { "few cells", 1, 3, 3, 16, 32, { PAD(1, 1, 1, 1) }, false, true },
    { "sums in parts", 2, 8, 9, 784, 32, { PAD(1, 1, 1, 1) }, true, false },
    { "all threads on a block",
      3,
      9,
      10,
      400,
      384,
      { PAD(1, 1, 1, 1), .act = GEN_ACT_TANH },
      true,
      true },
    { "several shared blocks", 9, 16, 16, 384, 400, { PAD(1, 1, 1, 1) }, false, false },
    { "several own blocks",
      2,
      40,
      44,
      96,
      48,
      { PAD(1, 1, 1, 1), .act = GEN_ACT_LEAKY_RELU, .slope = 0.2 },
      true,
      true },
    { "sigmoid", 1, 20, 20, 32, 32, { PAD(1, 1, 1, 1), .act = GEN_ACT_SIGMOID }, true, false },
    { "up, few tiles", 1, 4, 4, 32, 48, { UP }, true, false },
    { "up, ragged", 2, 3, 7, 48, 16, { UP, .act = GEN_ACT_RELU }, true, true },
    { "up, whole tiles", 2, 8, 12, 32, 64, { UP }, true, false },
    { "up, large ragged tiles",
      3,
      13,
      9,
      32,
      48,
      { UP, .act = GEN_ACT_LEAKY_RELU, .slope = 0.1 },
      true,
      true },
    { "up, sums in parts, shared", 2, 8, 8, 400, 416, { UP }, true, false },
    { "pool, whole tiles", 2, 8, 16, 32, 48, { POOL, PAD(1, 1, 1, 1) }, true, true },
    { "pool, odd sizes",
      2,
      13,
      11,
      16,
      64,
      { POOL, PAD(1, 1, 1, 1), .act = GEN_ACT_RELU },
      true,
      false },
    { "pool, uneven padding", 1, 9, 12, 32, 16, { POOL, PAD(0, 2, 1, 0) }, false, true },
    { "pool, sums in parts, shared", 2, 8, 8, 400, 416, { POOL, PAD(1, 1, 1, 1) }, true, false },
};

/* Normal enough: a sum of uniforms. */
static uint64_t random_state;
static float normal(void)
{
    float sum = -6;
    for (int i = 0; i < 12; i++) {
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        sum += (float)(random_state >> 40) / 16777216.0f;
    }
    return sum;
}

/* Inputs 0 x, 1 w, then bias and residual, as floats and as doubles. */
typedef struct bench {
    gen_graph *g;
    gen_node *n;
    gen_backend backend;
    float *in[4], *out;
    double *in_d[4], *out_d;
    void *weights, *workspace;
    int64_t count[4], out_count;
} bench;

static void *room(int64_t bytes)
{
    void *p = aligned_alloc(64, (size_t)(bytes + 63) / 64 * 64);
    assert_non_null(p);
    memset(p, 0xff, (size_t)bytes); /* NaN: nothing may be read before it is written */
    return p;
}

static gen_shape shape4(int64_t a, int64_t b, int64_t c, int64_t d)
{
    return (gen_shape){ 4, { a, b, c, d } };
}

static void set_up(bench *b, const conv_case *c)
{
    memset(b, 0, sizeof *b);
    assert_int_equal(gen_graph_create(&b->g), GEN_OK);
    bool up = c->attr.up[0] == 2;
    int64_t pool = c->attr.pool[0] ? c->attr.pool[0] : 1;
    int64_t oh = up ? 2 * c->h : (c->h + c->attr.pad_lo[0] + c->attr.pad_hi[0] - 2) / pool;
    int64_t ow = up ? 2 * c->w : (c->w + c->attr.pad_lo[1] + c->attr.pad_hi[1] - 2) / pool;
    gen_node *x = gen_input(b->g, "x", GEN_F32, shape4(c->n, c->h, c->w, c->c));
    gen_node *w = gen_input(b->g, "w", GEN_F32, shape4(c->k, c->c, 3, 3));
    gen_node *bias = c->bias ? gen_input(b->g, "b", GEN_F32, (gen_shape){ 1, { c->k } }) : NULL;
    gen_node *r = c->residual ? gen_input(b->g, "r", GEN_F32, shape4(c->n, oh, ow, c->k)) : NULL;
    b->n = gen_conv_fused(b->g, x, w, bias, r, &c->attr);
    assert_non_null(b->n);
    random_state = 1;
    for (int i = 0; i < b->n->n_in; i++) {
        b->count[i] = gen_shape_count(gen_node_shape(b->n->in[i]));
        b->in[i] = room(b->count[i] * 4);
        b->in_d[i] = room(b->count[i] * 8);
        double scale = i == 1 ? 1 / sqrt(9.0 * (double)c->c) : 1;
        for (int64_t j = 0; j < b->count[i]; j++)
            b->in_d[i][j] = b->in[i][j] = normal() * (float)scale;
    }
    b->out_count = gen_shape_count(b->n->shape[0]);
    b->out = room(b->out_count * 4);
    b->out_d = room(b->out_count * 8);
    b->n->op->ref(b->n, (const double *const *)b->in_d, &b->out_d);
}

static void tear_down(bench *b)
{
    for (int i = 0; i < 4; i++) {
        free(b->in[i]);
        free(b->in_d[i]);
    }
    free(b->out);
    free(b->out_d);
    gen_graph_free(&b->g);
}

static gen_status constant(gen_prepare *p, int i, const float **values)
{
    *values = ((bench *)p->plan)->in[i];
    return GEN_OK;
}

static gen_status packed(gen_prepare *p, int i, const char *layout, uint64_t bytes,
                         gen_status (*fill)(void *ctx, void *to), void *ctx, const void **out)
{
    (void)layout;
    assert_int_equal(i, 1);
    bench *b = p->plan;
    *out = b->weights = room((int64_t)bytes);
    return fill(ctx, b->weights);
}

static bool run_kernel(bench *b, int threads, bool in_place)
{
    bool is_const[4] = { false, true, ((const gen_conv_attr *)b->n->attr)->has_bias, false };
    assert_int_equal(gen_pool_create(&b->backend.pool, threads), GEN_OK);
    gen_prepare p = { .node = b->n,
                      .backend = &b->backend,
                      .is_const = is_const,
                      .constant = constant,
                      .packed = packed,
                      .plan = b };
    bool taken = gen_winograd_conv.accepts(b->n, &b->backend, is_const);
    if (taken) {
        assert_int_equal(gen_winograd_conv.prepare(&p), GEN_OK);
        const void *in[4];
        void *out[1] = { b->out };
        for (int i = 0; i < b->n->n_in; i++)
            in[i] = p.consumed >> i & 1 ? NULL : b->in[i];
        memset(b->out, 0xff, (size_t)b->out_count * 4);
        if (in_place) {
            int last = b->n->n_in - 1;
            memcpy(b->out, b->in[last], (size_t)b->out_count * 4);
            in[last] = b->out;
        }
        b->workspace = room((int64_t)p.workspace);
        gen_status s = gen_winograd_conv.run(p.state, in, out, b->workspace, &b->backend);
        assert_int_equal(s, GEN_OK);
        gen_winograd_conv.free(p.state);
        free(b->workspace);
        free(b->weights);
    }
    gen_pool_free(&b->backend.pool);
    return taken;
}

static void compare(const bench *b, const char *what, const char *isa)
{
    double error = 0, largest = 0;
    for (int64_t i = 0; i < b->out_count; i++) {
        double e = fabs(b->out[i] - b->out_d[i]);
        error = e > error || isnan(e) ? e : error;
        largest = fabs(b->out_d[i]) > largest ? fabs(b->out_d[i]) : largest;
    }
    if (!(error <= LIMIT * largest))
        fail_msg("%s, %s: error %g of %g", what, isa, error, largest);
}

static int instruction_sets(gen_isa out[2], const char *name[2])
{
    int n = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        name[n] = "avx2";
        out[n++] = GEN_ISA_AVX2;
    }
    if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl")) {
        name[n] = "avx512";
        out[n++] = GEN_ISA_AVX512;
    }
#endif
    return n;
}

static void test_values(void **unused)
{
    (void)unused;
    gen_isa isa[2] = { GEN_ISA_BASE };
    const char *name[2];
    int sets = instruction_sets(isa, name);
    if (!sets)
        skip();
    for (int c = 0; c < GEN_LEN(cases); c++) {
        bench b;
        set_up(&b, &cases[c]);
        float *first = room(b.out_count * 4);
        for (int i = 0; i < sets; i++) {
            b.backend.isa = isa[i];
            if (!run_kernel(&b, 1, false))
                fail_msg("%s, %s: refused", cases[c].what, name[i]);
            compare(&b, cases[c].what, name[i]);
            memcpy(first, b.out, (size_t)b.out_count * 4);
            for (int threads = 2; threads <= 3; threads++) {
                run_kernel(&b, threads, cases[c].residual);
                if (memcmp(first, b.out, (size_t)b.out_count * 4))
                    fail_msg("%s, %s: other bytes, %d threads", cases[c].what, name[i], threads);
            }
        }
        free(first);
        tear_down(&b);
    }
}

/* The forms of up-sampling (the small one) and of pooling have coefficients 1, -1 and powers of
 * two: small integers must come out exactly. */
static void test_exact(void **unused)
{
    (void)unused;
    gen_isa isa[2] = { GEN_ISA_BASE };
    const char *name[2];
    int sets = instruction_sets(isa, name);
    static const conv_case exact[] = {
        { "up, integers", 1, 4, 2, 16, 16, { UP }, false, false },
        { "pool, integers", 1, 6, 10, 16, 16, { POOL, PAD(1, 1, 1, 1) }, false, false },
    };
    for (int i = 0; i < 2 * sets; i++) {
        bench b;
        set_up(&b, &exact[i / sets]);
        for (int k = 0; k < 2; k++)
            for (int64_t j = 0; j < b.count[k]; j++)
                b.in_d[k][j] = b.in[k][j] = (float)((int)(j * 7 % 11) - 5);
        b.n->op->ref(b.n, (const double *const *)b.in_d, &b.out_d);
        b.backend.isa = isa[i % sets];
        assert_true(run_kernel(&b, 1, false));
        for (int64_t j = 0; j < b.out_count; j++)
            assert_true(b.out[j] == b.out_d[j]);
        tear_down(&b);
    }
}

static void test_refused(void **unused)
{
    (void)unused;
    static const conv_case refused[] = {
        { "channels", 1, 8, 8, 24, 16, { PAD(1, 1, 1, 1) }, false, false },
        { "outputs", 1, 8, 8, 16, 8, { PAD(1, 1, 1, 1) }, false, false },
        { "padding", 1, 8, 8, 16, 16, { PAD(3, 1, 1, 1) }, false, false },
        { "up, padding", 1, 8, 8, 16, 16, { .up = { 2, 2 }, PAD(0, 1, 1, 1) }, false, false },
        { "up by 3", 1, 8, 8, 16, 16, { .up = { 3, 3 }, PAD(1, 1, 1, 1) }, false, false },
        { "one cell", 1, 1, 1, 16, 16, { PAD(1, 1, 1, 1) }, false, false },
        { "few cells, many weights", 1, 4, 4, 256, 256, { PAD(1, 1, 1, 1) }, false, false },
        { "stride", 1, 8, 8, 16, 16, { .stride = { 2, 1 }, PAD(1, 1, 1, 1) }, false, false },
        { "dilation", 1, 8, 8, 16, 16, { .dilation = { 1, 2 }, PAD(1, 1, 1, 1) }, false, false },
        { "pool of 3", 1, 9, 9, 16, 16, { .pool = { 3, 3 }, PAD(1, 1, 1, 1) }, false, false },
        { "pool of rows", 1, 8, 8, 16, 16, { .pool = { 2, 1 }, PAD(1, 1, 1, 1) }, false, false },
        { "up and pool", 1, 8, 8, 16, 16, { POOL, UP }, false, false },
    };
    gen_isa isa[2] = { GEN_ISA_BASE };
    const char *name[2];
    if (!instruction_sets(isa, name))
        skip();
    bool is_const[4] = { false, true, true, false };
    gen_backend backend = { .isa = isa[0] };
    for (int c = 0; c < GEN_LEN(refused); c++) {
        gen_graph *g;
        assert_int_equal(gen_graph_create(&g), GEN_OK);
        const conv_case *r = &refused[c];
        gen_node *x = gen_input(g, "x", GEN_F32, shape4(r->n, r->h, r->w, r->c));
        gen_node *w = gen_input(g, "w", GEN_F32, shape4(r->k, r->c, 3, 3));
        gen_node *n = gen_conv_fused(g, x, w, NULL, NULL, &r->attr);
        assert_non_null(n);
        if (gen_winograd_conv.accepts(n, &backend, is_const))
            fail_msg("%s: accepted", r->what);
        gen_graph_free(&g);
    }
    const conv_case *few_cells = &cases[0];
    while (strcmp(few_cells->what, "few cells") != 0)
        few_cells++;
    bench b;
    set_up(&b, &cases[0]);
    assert_true(gen_winograd_conv.accepts(b.n, &backend, is_const));
    is_const[1] = false; /* transformed in each run: it pays for some cells, not for a few */
    assert_true(gen_winograd_conv.accepts(b.n, &backend, is_const));
    tear_down(&b);
    set_up(&b, few_cells);
    assert_false(gen_winograd_conv.accepts(b.n, &backend, is_const));
    is_const[1] = true;
    assert_true(gen_winograd_conv.accepts(b.n, &backend, is_const));
    backend.isa = GEN_ISA_BASE;
    assert_false(gen_winograd_conv.accepts(b.n, &backend, is_const));
    backend.isa = isa[0];
    backend.fast_math_off = true;
    assert_false(gen_winograd_conv.accepts(b.n, &backend, is_const));
    tear_down(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests_name("winograd", tests, NULL, NULL);
}
