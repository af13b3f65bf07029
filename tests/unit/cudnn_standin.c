/* SPDX-License-Identifier: Apache-2.0
 *
 * The stand-ins for cuDNN and cuBLASLt themselves: what they compute against the references of our
 * ops, and that they refuse what is wrong. Without them the code that builds descriptors could
 * only be tested on a GPU.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <libgen/graph.h>
#include <libgen/ops.h>

#include "libgen/graph/op.h"
#include "tests/cuda/emulated.h"
#include "tests/cuda/mistakes.h"
#include "tests/cuda/standin.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* ---- a convolution as our op, and as memory ------------------------------------------------- */

typedef struct problem {
    const conv_case *c;
    gen_graph *g;
    gen_node *n;
    double *value[8]; /* by X, W, Y, RESIDUAL, BIAS: in the op's layout; the result by the op */
    void *memory[8];  /* channels last, weights too */
    int64_t count[8];
    int64_t taps, per_group;
} problem;

static gen_shape image(const conv_case *c, int64_t channels, const int64_t *spatial)
{
    gen_shape s = { .rank = c->axes + 2 };
    s.dim[0] = c->n;
    memcpy(s.dim + 1, spatial, (size_t)c->axes * sizeof *spatial);
    s.dim[c->axes + 1] = channels;
    return s;
}

static bool is_bf16(const conv_case *c, int which)
{
    int result = c->dir == FORWARD ? Y : c->dir == DATA ? X : W;
    cudnnDataType_t t = which == BIAS                           ? CUDNN_DATA_FLOAT
                        : which == result || which == RESIDUAL ? c->out
                                                               : c->type;
    return t == CUDNN_DATA_BFLOAT16;
}

static int result_of(const problem *p)
{
    return p->c->dir == FORWARD ? Y : p->c->dir == DATA ? X : W;
}

/* Our weights are [k,c,*taps], the library's memory is [k,*taps,c]. */
static int64_t place(const problem *p, int which, int64_t i)
{
    if (which != W)
        return i;
    int64_t tap = i % p->taps, c = i / p->taps % p->per_group, k = i / p->taps / p->per_group;
    return (k * p->taps + tap) * p->per_group + c;
}

static void set_up(problem *p, const conv_case *c)
{
    int64_t y[3];
    gen_conv_attr a = { .groups = c->groups, .act = GEN_ACT_NONE };
    gen_shape w = { .rank = c->axes + 2, .dim = { c->k, c->c / c->groups } };
    memset(p, 0, sizeof *p);
    p->c = c;
    p->taps = 1;
    p->per_group = c->c / c->groups;
    for (int i = 0; i < c->axes; i++) {
        y[i] = size_of_y(c, i);
        w.dim[2 + i] = c->kernel[i];
        p->taps *= c->kernel[i];
        a.stride[i] = c->stride[i];
        a.dilation[i] = c->dilation[i];
        a.pad_lo[i] = c->lo[i];
        a.pad_hi[i] = c->hi[i];
    }
    if (c->relu)
        a.act = c->slope != 0 ? GEN_ACT_LEAKY_RELU : GEN_ACT_RELU;
    a.slope = c->slope;
    assert_int_equal(gen_graph_create(&p->g), GEN_OK);
    gen_node *nx = gen_input(p->g, "x", GEN_F32, image(c, c->c, c->x));
    gen_node *ny = gen_input(p->g, "y", GEN_F32, image(c, c->k, y));
    gen_node *nw = gen_input(p->g, "w", GEN_F32, w);
    gen_node *nb = c->bias ? gen_input(p->g, "b", GEN_F32, (gen_shape){ 1, { c->k } }) : NULL;
    p->n = c->dir == FORWARD ? gen_conv_fused(p->g, nx, nw, nb, c->residual ? ny : NULL, &a)
           : c->dir == DATA  ? gen_conv_transpose(p->g, ny, nw, NULL, c->x, &a)
                             : gen_conv_dw(p->g, nx, ny, c->kernel, &a);
    assert_non_null(p->n);
    p->count[X] = gen_shape_count(gen_node_shape(nx));
    p->count[W] = gen_shape_count(w);
    p->count[Y] = p->count[RESIDUAL] = gen_shape_count(gen_node_shape(ny));
    p->count[BIAS] = c->k;
    for (int i = X; i <= BIAS; i++) {
        p->value[i] = room(p->count[i] * 8);
        p->memory[i] = room(p->count[i] * 4);
        for (int64_t j = 0; j < p->count[i] && i != result_of(p); j++)
            put(p->memory[i], place(p, i, j), p->value[i][j] = draw(), is_bf16(c, i));
    }
    const double *in[4] = { p->value[c->dir == DATA ? Y : X], p->value[c->dir == FILTER ? Y : W] };
    in[2] = p->value[c->bias ? BIAS : RESIDUAL];
    in[3] = p->value[RESIDUAL];
    p->n->op->ref(p->n, in, &p->value[result_of(p)]);
}

static void tear_down(problem *p)
{
    for (int i = 0; i < 8; i++) {
        free(p->value[i]);
        free(p->memory[i]);
    }
    gen_graph_free(&p->g);
}

/* Largest error, as a part of the largest value. */
static double error_of(const problem *p)
{
    double error = 0, largest = 0;
    int r = result_of(p);
    for (int64_t i = 0; i < p->count[r]; i++) {
        double v = get(p->memory[r], place(p, r, i), is_bf16(p->c, r));
        double e = fabs(v - p->value[r][i]);
        error = !(e <= error) ? e : error;
        largest = fmax(largest, fabs(p->value[r][i]));
    }
    return error / largest;
}

/* ---- from a graph to an execution ------------------------------------------------------------ */

typedef struct plan {
    described d;
    cudnnBackendDescriptor_t plan, pack;
    int64_t workspace_bytes;
    void *workspace;
} plan;

static void set_ok(described *d, cudnnStatus_t s)
{
    if (d->status == CUDNN_STATUS_SUCCESS)
        d->status = s;
}

static bool has_note(cudnnBackendDescriptor_t engine, cudnnBackendNumericalNote_t note)
{
    cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    int64_t n = 0;
    assert_int_equal(cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                              CUDNN_TYPE_NUMERICAL_NOTE, COUNT(notes), &n, notes),
                     CUDNN_STATUS_SUCCESS);
    for (int64_t i = 0; i < n; i++)
        if (notes[i] == note)
            return true;
    return false;
}

/* The configurations that a heuristic gives, at most 4; their engines. */
static int64_t configurations(described *d, cudnnBackendHeurMode_t mode,
                              cudnnBackendDescriptor_t config[4],
                              cudnnBackendDescriptor_t engine[4])
{
    int64_t n = 0, one;
    cudnnBackendDescriptor_t heuristic = create(d, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    set_link(d, heuristic, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, d->graph);
    set(d, heuristic, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    finalize(d, heuristic);
    for (int i = 0; i < 4; i++) {
        config[i] = create(d, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
        engine[i] = create(d, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    }
    if (d->status == CUDNN_STATUS_SUCCESS)
        set_ok(d, cudnnBackendGetAttribute(heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                           CUDNN_TYPE_BACKEND_DESCRIPTOR, 4, &n, config));
    for (int64_t i = 0; i < n && d->status == CUDNN_STATUS_SUCCESS; i++)
        set_ok(d, cudnnBackendGetAttribute(config[i], CUDNN_ATTR_ENGINECFG_ENGINE,
                                           CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &one, &engine[i]));
    return d->status == CUDNN_STATUS_SUCCESS ? n : 0;
}

static void plan_for(plan *p, cudnnHandle_t h, cudnnBackendDescriptor_t config)
{
    described *d = &p->d;
    int64_t n;
    p->plan = create(d, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    set(d, p->plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &h);
    set_link(d, p->plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
    finalize(d, p->plan);
    if (d->status == CUDNN_STATUS_SUCCESS)
        set_ok(d, cudnnBackendGetAttribute(p->plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                           CUDNN_TYPE_INT64, 1, &n, &p->workspace_bytes));
    if (d->status == CUDNN_STATUS_SUCCESS && p->workspace_bytes)
        p->workspace = room(p->workspace_bytes);
}

/* The memory of `data`; `skip` is left out. */
static void pack(plan *p, const problem *data, int skip)
{
    described *d = &p->d;
    int64_t uids[5];
    void *at[5];
    int n = 0;
    for (int i = X; i <= BIAS; i++)
        if (i != skip && (i <= Y || (i == BIAS ? data->c->bias : data->c->residual))) {
            uids[n] = i;
            at[n++] = data->memory[i];
        }
    p->pack = create(d, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    set(d, p->pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, n, uids);
    if (d->status == CUDNN_STATUS_SUCCESS)
        set_ok(d, cudnnBackendSetAttribute(p->pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS,
                                           CUDNN_TYPE_VOID_PTR, n, at));
    if (p->workspace && d->status == CUDNN_STATUS_SUCCESS)
        set_ok(d, cudnnBackendSetAttribute(p->pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE,
                                           CUDNN_TYPE_VOID_PTR, 1, &p->workspace));
    finalize(d, p->pack);
}

enum { NOISY = 1, TF32 = 2 };

/* The first configuration with exactly these traits. */
static cudnnStatus_t prepare(plan *p, const problem *data, const mistake *wrong, unsigned traits,
                             cudnnHandle_t h)
{
    cudnnBackendDescriptor_t config[4], engine[4];
    memset(p, 0, sizeof *p);
    describe(&p->d, data->c, wrong, h);
    int64_t n = configurations(&p->d, CUDNN_HEUR_MODE_A, config, engine);
    for (int64_t i = 0; i < n; i++) {
        bool tf32 = has_note(engine[i], CUDNN_NUMERICAL_NOTE_TENSOR_CORE) &&
                    data->c->type == CUDNN_DATA_FLOAT;
        if ((has_note(engine[i], CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC) ? NOISY : 0u) +
                (tf32 ? TF32 : 0u) != traits)
            continue;
        plan_for(p, h, config[i]);
        pack(p, data, 0);
        return p->d.status;
    }
    return p->d.status != CUDNN_STATUS_SUCCESS ? p->d.status : CUDNN_STATUS_NOT_SUPPORTED;
}

static void end(plan *p)
{
    free(p->workspace);
    forget(&p->d);
}

static cudnnHandle_t open_dnn(void)
{
    cudnnHandle_t h;
    assert_int_equal(cudnnCreate(&h), CUDNN_STATUS_SUCCESS);
    assert_int_equal(cudnnSetStream(h, stream()), CUDNN_STATUS_SUCCESS);
    emulated_cudnn("default");
    return h;
}

/* ---- numbers --------------------------------------------------------------------------------- */

#define F32 CUDNN_DATA_FLOAT
#define BF16 CUDNN_DATA_BFLOAT16
#define WINDOW                                                                                     \
    { 9, 11, 6 }, { 3, 2, 2 }, { 2, 1, 3 }, { 1, 2, 1 }, { 1, 0, 2 }, { 2, 3, 1 }
#define SAME { 6, 5, 4 }, { 3, 3, 3 }, { 1, 1, 1 }, { 1, 1, 1 }, { 1, 1, 1 }, { 1, 1, 1 }

static const conv_case cases[] = {
    { "forward", FORWARD, 2, 2, 6, 10, 1, WINDOW, F32, F32 },
    { "forward, groups", FORWARD, 2, 2, 6, 9, 3, WINDOW, F32, F32 },
    { "forward, depthwise", FORWARD, 2, 1, 4, 8, 4, SAME, F32, F32 },
    { "forward, 3-D", FORWARD, 3, 2, 3, 5, 1, WINDOW, F32, F32 },
    { "forward, 3-D, groups", FORWARD, 3, 1, 4, 6, 2, WINDOW, F32, F32 },
    { "forward, bf16", FORWARD, 2, 2, 8, 16, 1, WINDOW, BF16, BF16 },
    { "forward, bf16 to f32", FORWARD, 2, 2, 8, 16, 2, WINDOW, BF16, F32 },
    { "data", DATA, 2, 2, 6, 10, 1, WINDOW, F32, F32 },
    { "data, groups", DATA, 2, 2, 6, 9, 3, WINDOW, F32, F32 },
    { "data, 3-D", DATA, 3, 1, 3, 5, 1, WINDOW, F32, F32 },
    { "data, bf16", DATA, 2, 1, 8, 16, 1, WINDOW, BF16, BF16 },
    { "filter", FILTER, 2, 2, 6, 10, 1, WINDOW, F32, F32 },
    { "filter, groups", FILTER, 2, 2, 6, 9, 3, WINDOW, F32, F32 },
    { "filter, 3-D", FILTER, 3, 1, 3, 5, 1, WINDOW, F32, F32 },
    { "filter, bf16 to f32", FILTER, 2, 2, 8, 16, 1, WINDOW, BF16, F32 },
    { "bias", FORWARD, 2, 2, 6, 10, 1, WINDOW, F32, F32, .bias = true },
    { "residual", FORWARD, 2, 2, 6, 10, 1, WINDOW, F32, F32, .residual = true },
    { "bias, relu", FORWARD, 2, 2, 6, 10, 1, WINDOW, F32, F32, .bias = true, .relu = true },
    { "all", FORWARD, 2, 2, 6, 10, 2, WINDOW, F32, F32, .bias = true, .residual = true,
      .relu = true },
    { "all, leaky", FORWARD, 3, 1, 4, 6, 1, SAME, F32, F32, .bias = true, .residual = true,
      .relu = true, .slope = 0.25 },
    { "all, bf16", FORWARD, 2, 2, 8, 16, 1, SAME, BF16, BF16, .bias = true, .residual = true,
      .relu = true },
};

static void numbers(void **state)
{
    cudnnHandle_t h = open_dnn();
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        problem data;
        plan p;
        set_up(&data, &cases[i]);
        assert_int_equal(prepare(&p, &data, NULL, 0, h), CUDNN_STATUS_SUCCESS);
        assert_true(p.workspace_bytes > 0);
        if (i % 2 && cases[i].residual) { /* the residual's memory is the result's */
            memcpy(data.memory[Y], data.memory[RESIDUAL], (size_t)data.count[Y] * 4);
            free(data.memory[RESIDUAL]);
            data.memory[RESIDUAL] = data.memory[Y];
            pack(&p, &data, 0);
        }
        assert_int_equal(cudnnBackendExecute(h, p.plan, p.pack), CUDNN_STATUS_SUCCESS);
        double error = error_of(&data), limit = cases[i].out == BF16 ? 0.004 : 1e-6;
        if (!(error <= limit))
            fail_msg("%s: error %g", cases[i].what, error);
        end(&p);
        if (data.memory[RESIDUAL] == data.memory[Y])
            data.memory[RESIDUAL] = NULL;
        tear_down(&data);
    }
    assert_int_equal(cudnnDestroy(h), CUDNN_STATUS_SUCCESS);
}

/* Descriptors that are whole, but say something else: the numbers show it. */
static void other_numbers(void **state)
{
    static const mistake wrong[] = {
        { "x as [n,w,h,c]", CUDNN_ATTR_TENSOR_STRIDES, 0, SWAPPED, 3, 2, MISSED },
        { "w as [k,s,r,c]", CUDNN_ATTR_TENSOR_STRIDES, 1, SWAPPED, 3, 2, MISSED },
        { "w as [c,r,s,k]", CUDNN_ATTR_TENSOR_STRIDES, 1, SWAPPED, 1, 0, MISSED },
        { "y as [n,w,h,c]", CUDNN_ATTR_TENSOR_STRIDES, 2, SWAPPED, 3, 2, MISSED },
        { "paddings", CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, 0, OTHER_VALUE, 2, 0, MISSED },
        { "clip", CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, 0, LEFT_OUT, 0, 0, MISSED },
        { "mode", CUDNN_ATTR_POINTWISE_MODE, 0, OTHER_VALUE, CUDNN_POINTWISE_MUL, 0, MISSED },
    };
    /* Square, so that swapped axes overlap nowhere: only their meaning is another. */
    conv_case c = { "square", FORWARD, 2, 2, 8, 8, 1, { 6, 6 }, { 3, 3 }, { 2, 2 }, { 1, 1 },
                    { 1, 1 }, { 2, 2 }, F32, F32, .bias = true, .relu = true, .slope = 0.5 };
    cudnnHandle_t h = open_dnn();
    (void)state;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        problem data;
        plan p;
        set_up(&data, &c);
        assert_int_equal(prepare(&p, &data, &wrong[i], 0, h), CUDNN_STATUS_SUCCESS);
        assert_true(p.d.made_it);
        assert_int_equal(cudnnBackendExecute(h, p.plan, p.pack), CUDNN_STATUS_SUCCESS);
        if (!(error_of(&data) > 0.01))
            fail_msg("%s: error %g", wrong[i].what, error_of(&data));
        end(&p);
        tear_down(&data);
    }
    assert_int_equal(cudnnDestroy(h), CUDNN_STATUS_SUCCESS);
}

static void engines(void **state)
{
    cudnnHandle_t h = open_dnn();
    problem data;
    plan p;
    double first;
    (void)state;
    set_up(&data, &plain_case);
    assert_int_equal(prepare(&p, &data, NULL, NOISY, h), CUDNN_STATUS_SUCCESS);
    assert_int_equal(cudnnBackendExecute(h, p.plan, p.pack), CUDNN_STATUS_SUCCESS);
    first = get(data.memory[Y], 0, false);
    assert_true(error_of(&data) > 0.01);
    assert_int_equal(cudnnBackendExecute(h, p.plan, p.pack), CUDNN_STATUS_SUCCESS);
    assert_true(get(data.memory[Y], 0, false) != first);
    end(&p);
    /* 1 + 2^-11 is no TF32. */
    for (int64_t i = 0; i < data.count[X]; i++)
        put(data.memory[X], i, 1 + 1.0 / 2048, false);
    for (int64_t i = 0; i < data.count[W]; i++)
        put(data.memory[W], i, 1, false);
    for (unsigned traits = 0; traits <= TF32; traits += TF32) {
        assert_int_equal(prepare(&p, &data, NULL, traits, h), CUDNN_STATUS_SUCCESS);
        assert_int_equal(cudnnBackendExecute(h, p.plan, p.pack), CUDNN_STATUS_SUCCESS);
        double v = get(data.memory[Y], 0, false);
        assert_true((v == round(v)) == (traits == TF32));
        end(&p);
    }
    tear_down(&data);
    assert_int_equal(cudnnDestroy(h), CUDNN_STATUS_SUCCESS);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void mistakes_are_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(all_mistakes); i++)
        for (const mistake *m = all_mistakes[i].list; m->what; m++) {
            described d;
            char why[256] = "";
            cudnnStatus_t s = describe(&d, all_mistakes[i].of, m, NULL);
            cudnnGetLastErrorString(why, sizeof why);
            if (s == CUDNN_STATUS_SUCCESS || !*why)
                fail_msg("%s: taken", m->what);
            assert_true(d.made_it);
            forget(&d);
        }
}

static void executions_are_checked(void **state)
{
    cudnnHandle_t h = open_dnn(), other = open_dnn();
    problem data;
    plan p;
    void *kept;
    (void)state;
    set_up(&data, &fused_case);
    assert_int_equal(prepare(&p, &data, NULL, 0, h), CUDNN_STATUS_SUCCESS);
#define REFUSED() assert_int_not_equal(cudnnBackendExecute(h, p.plan, p.pack), CUDNN_STATUS_SUCCESS)
    assert_int_not_equal(cudnnBackendExecute(other, p.plan, p.pack), CUDNN_STATUS_SUCCESS);
    assert_int_not_equal(cudnnBackendExecute(h, p.pack, p.plan), CUDNN_STATUS_SUCCESS);
    for (int i = X; i <= BIAS; i++) { /* one that is not named; misaligned; NULL */
        pack(&p, &data, i);
        REFUSED();
        kept = data.memory[i];
        data.memory[i] = (char *)kept + 8;
        pack(&p, &data, 0);
        REFUSED();
        data.memory[i] = NULL;
        pack(&p, &data, 0);
        REFUSED();
        data.memory[i] = kept;
    }
    kept = data.memory[Y]; /* the result over what the convolution reads */
    data.memory[Y] = data.memory[X];
    pack(&p, &data, 0);
    REFUSED();
    data.memory[Y] = kept;
    kept = p.workspace;
    p.workspace = NULL;
    pack(&p, &data, 0);
    REFUSED();
    p.workspace = data.memory[X];
    pack(&p, &data, 0);
    REFUSED();
    p.workspace = kept;
    assert_int_equal(cudnnSetStream(h, NULL), CUDNN_STATUS_SUCCESS);
    pack(&p, &data, 0);
    REFUSED();
    assert_int_equal(cudnnSetStream(h, stream()), CUDNN_STATUS_SUCCESS);
    assert_int_equal(cudnnBackendExecute(h, p.plan, p.pack), CUDNN_STATUS_SUCCESS);
    assert_true(error_of(&data) < 0.004);
    int64_t uid = 1; /* after finalising */
    assert_int_not_equal(cudnnBackendSetAttribute(p.d.tensor[X], CUDNN_ATTR_TENSOR_UNIQUE_ID,
                                                  CUDNN_TYPE_INT64, 1, &uid),
                         CUDNN_STATUS_SUCCESS);
    assert_int_not_equal(cudnnBackendFinalize(p.d.tensor[X]), CUDNN_STATUS_SUCCESS);
    end(&p);
    tear_down(&data);
    assert_int_not_equal(cudnnBackendDestroyDescriptor(p.d.made[0]), CUDNN_STATUS_SUCCESS);
    assert_int_equal(cudnnDestroy(h), CUDNN_STATUS_SUCCESS);
    assert_int_equal(cudnnDestroy(other), CUDNN_STATUS_SUCCESS);
    assert_int_not_equal(cudnnDestroy(other), CUDNN_STATUS_SUCCESS);
    assert_int_equal(emulated_live_cudnn(), 0);
}

/* How many configurations a heuristic gives under each behaviour. */
static void behaviours(void **state)
{
    static const conv_case odd = { "odd", FORWARD, 2, 1, 7, 8, 1, SAME, F32, F32 };
    static const conv_case dw = { "dw", FILTER, 2, 1, 8, 8, 1, SAME, BF16, F32 };
    static const struct {
        const char *what;
        const conv_case *c;
        int a, fallback;
    } expected[] = {
        { "default", &plain_case, 3, 1 },    { "default", &fused_case, 2, 1 },
        { "no_fusion", &plain_case, 3, 1 },  { "no_fusion", &fused_case, 0, 0 },
        { "no_engines", &plain_case, 0, 0 }, { "unaligned", &plain_case, 3, 1 },
        { "unaligned", &odd, 0, 0 },         { "f32_dw", &dw, 0, 0 },
        { "f32_dw", &plain_case, 3, 1 },     { "default", &dw, 2, 1 },
    };
    cudnnHandle_t h = open_dnn();
    cudnnBackendDescriptor_t config[4], engine[4];
    plan p = { 0 };
    (void)state;
    for (size_t i = 0; i < COUNT(expected); i++) {
        emulated_cudnn(expected[i].what);
        assert_int_equal(describe(&p.d, expected[i].c, NULL, h), CUDNN_STATUS_SUCCESS);
        assert_int_equal(configurations(&p.d, CUDNN_HEUR_MODE_A, config, engine), expected[i].a);
        assert_int_equal(configurations(&p.d, CUDNN_HEUR_MODE_FALLBACK, config, engine),
                         expected[i].fallback);
        forget(&p.d);
    }
    emulated_cudnn("refused");
    describe(&p.d, &plain_case, NULL, h);
    assert_int_equal(configurations(&p.d, CUDNN_HEUR_MODE_A, config, engine), 3);
    plan_for(&p, h, config[2]);
    assert_int_equal(p.d.status, CUDNN_STATUS_NOT_SUPPORTED);
    p.d.status = CUDNN_STATUS_SUCCESS;
    assert_int_equal(configurations(&p.d, CUDNN_HEUR_MODE_FALLBACK, config, engine), 1);
    plan_for(&p, h, config[0]);
    assert_int_equal(p.d.status, CUDNN_STATUS_SUCCESS);
    assert_int_equal(p.workspace_bytes, 0);
    end(&p);
    assert_int_equal(cudnnDestroy(h), CUDNN_STATUS_SUCCESS);
}

/* Every call in turn is told to fail. */
static void failing_calls(void **state)
{
    cudnnHandle_t h = open_dnn();
    problem data;
    plan p;
    long calls = 0;
    (void)state;
    set_up(&data, &fused_case);
    for (long nth = 1; nth == 1 || nth <= calls; nth++) {
        long before = emulated_count("cudnn");
        emulated_fail("cudnn", nth == 1 ? 0 : nth);
        cudnnStatus_t s = describe(&p.d, data.c, NULL, h);
        cudnnBackendDescriptor_t config[4], engine[4];
        int64_t n = configurations(&p.d, CUDNN_HEUR_MODE_B, config, engine);
        assert_true((nth == 1) == (s == CUDNN_STATUS_SUCCESS && n == 2));
        if (nth == 1)
            calls = emulated_count("cudnn") - before;
        forget(&p.d);
    }
    emulated_fail("cudnn", 0);
    assert_true(calls > 50);
    tear_down(&data);
    assert_int_equal(cudnnDestroy(h), CUDNN_STATUS_SUCCESS);
}

/* A plan written as JSON is the same plan under another handle, long after its graph. */
static void json(void **state)
{
    cudnnHandle_t h = open_dnn(), other = open_dnn();
    problem data;
    plan p;
    char text[8192];
    int64_t n, most;
    (void)state;
    set_up(&data, &cases[COUNT(cases) - 2]);
    assert_int_equal(prepare(&p, &data, NULL, 0, h), CUDNN_STATUS_SUCCESS);
#define JSON CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR
    assert_int_equal(cudnnBackendGetAttribute(p.plan, JSON, 0, &most, NULL), CUDNN_STATUS_SUCCESS);
    assert_true(most <= (int64_t)sizeof text);
    assert_int_equal(cudnnBackendGetAttribute(p.plan, JSON, most, &n, text), CUDNN_STATUS_SUCCESS);
    assert_int_equal(n, most);
    int64_t workspace_bytes = p.workspace_bytes;
    end(&p);
    assert_int_equal(cudnnDestroy(h), CUDNN_STATUS_SUCCESS);
    for (int damaged = 1; damaged >= 0; damaged--) {
        memset(&p, 0, sizeof p);
        p.plan = create(&p.d, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
        set(&p.d, p.plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &other);
        text[n / 2] ^= (char)damaged;
        assert_int_equal(cudnnBackendSetAttribute(p.plan, JSON, n, text), CUDNN_STATUS_SUCCESS);
        finalize(&p.d, p.plan);
        assert_int_equal(p.d.status == CUDNN_STATUS_SUCCESS, !damaged);
        text[n / 2] ^= (char)damaged;
        if (damaged)
            forget(&p.d);
    }
    p.workspace = room(workspace_bytes);
    pack(&p, &data, 0);
    assert_int_equal(cudnnBackendExecute(other, p.plan, p.pack), CUDNN_STATUS_SUCCESS);
    assert_true(error_of(&data) < 1e-6);
    end(&p);
    tear_down(&data);
    assert_int_equal(cudnnDestroy(other), CUDNN_STATUS_SUCCESS);
    assert_int_equal(emulated_live_cudnn(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(other_numbers),
        cmocka_unit_test(engines),
        cmocka_unit_test(mistakes_are_found),
        cmocka_unit_test(executions_are_checked),
        cmocka_unit_test(behaviours),
        cmocka_unit_test(failing_calls),
        cmocka_unit_test(json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
