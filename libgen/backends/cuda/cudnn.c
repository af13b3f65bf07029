/* SPDX-License-Identifier: Apache-2.0
 *
 * cuDNN's graph API, from C.
 *
 * Which engine runs a convolution follows from cuDNN's heuristics and from what the engine says of
 * itself, never from timing: the same engine each time, on every device of one kind. Refused are
 * engines whose bytes differ from run to run, that round their inputs or their sums below f32, and,
 * for f32 without TF32, all that use tensor cores. So are FFT and Winograd engines: where they
 * are fast (channels first, f32) is not where we are, and they lose digits that check_ops asks for.
 * Whether a relu inside an engine keeps NaN is the engine's affair.
 */
#include "libgen/backends/cuda/cudnn.h"

#include <string.h>

#include <libgen/ops.h>

#include "libgen/backends/cuda/kernels/conv.h"
#include "libgen/backends/cuda/plan_cache.h"
#include "libgen/base/alloc.h"

enum { MAX_CONFIGS = 64, NOTES = CUDNN_NUMERICAL_NOTE_TYPE_COUNT, MOST_ROOM = 256 << 20 };

typedef cudnnBackendDescriptor_t descriptor;

/* ---- descriptors ----------------------------------------------------------------------------- */

static void destroy(descriptor *d)
{
    if (*d)
        (void)cudnnBackendDestroyDescriptor(*d);
    *d = NULL;
}

/* What cuDNN does not take is no error as long as another kernel can run the node. */
static gen_status check(cudnnStatus_t e, const char *call)
{
    if (e == CUDNN_STATUS_SUCCESS)
        return GEN_OK;
    gen_status s = gen_cudnn_fail(e, call);
    bool refused = e / 1000 * 1000 == CUDNN_STATUS_NOT_SUPPORTED; /* it counts in classes */
    return refused ? gen_fail_in(GEN_EUNSUPPORTED, "not taken") : s;
}

static gen_status create(descriptor *out, cudnnBackendDescriptorType_t type)
{
    *out = NULL;
    return check(cudnnBackendCreateDescriptor(type, out), "cudnnBackendCreateDescriptor");
}

static gen_status set(descriptor d, cudnnBackendAttributeName_t name,
                      cudnnBackendAttributeType_t type, int64_t count, const void *values)
{
    return check(cudnnBackendSetAttribute(d, name, type, count, values),
                 "cudnnBackendSetAttribute");
}

static gen_status get(descriptor d, cudnnBackendAttributeName_t name,
                      cudnnBackendAttributeType_t type, int64_t room, int64_t *count, void *values)
{
    return check(cudnnBackendGetAttribute(d, name, type, room, count, values),
                 "cudnnBackendGetAttribute");
}

/* What cuDNN does not take is found here. Its reasons are many (a size, an alignment, a compiler
 * that is not there), and none of them is an error as long as another kernel can run the node. */
static gen_status finalize(descriptor d)
{
    cudnnStatus_t e = cudnnBackendFinalize(d);
    if (e == CUDNN_STATUS_SUCCESS)
        return GEN_OK;
    gen_status s = gen_cudnn_fail(e, "cudnnBackendFinalize");
    if (s == GEN_ENOMEM || e == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED)
        return GEN_ENOMEM;
    return gen_fail_in(GEN_EUNSUPPORTED, "not taken");
}

/* A descriptor that the graph keeps. */
static gen_status create_in(gen_cudnn_graph *g, descriptor *out, cudnnBackendDescriptorType_t type)
{
    if (g->n == GEN_LEN(g->made))
        return gen_fail(GEN_EUNSUPPORTED, "cuDNN: a graph of more than %d descriptors", g->n);
    GEN_TRY(create(out, type));
    g->made[g->n++] = *out;
    return GEN_OK;
}

void gen_cudnn_graph_free(gen_cudnn_graph *g)
{
    while (g->n > 0)
        destroy(&g->made[--g->n]);
    g->graph = NULL;
}

static gen_status set_descriptor(descriptor d, cudnnBackendAttributeName_t name, descriptor value)
{
    return set(d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

static gen_status set_type(descriptor d, cudnnBackendAttributeName_t name, cudnnDataType_t type)
{
    return set(d, name, CUDNN_TYPE_DATA_TYPE, 1, &type);
}

static gen_status set_int(descriptor d, cudnnBackendAttributeName_t name, int64_t v)
{
    return set(d, name, CUDNN_TYPE_INT64, 1, &v);
}

static gen_status set_float(descriptor d, cudnnBackendAttributeName_t name, float v)
{
    return set(d, name, CUDNN_TYPE_FLOAT, 1, &v);
}

static gen_status set_double(descriptor d, cudnnBackendAttributeName_t name, double v)
{
    return set(d, name, CUDNN_TYPE_DOUBLE, 1, &v);
}

/* ---- the operation graph --------------------------------------------------------------------- */

/* [first, second, spatial...] whose memory runs first, spatial, second: NHWC, KRSC. */
static gen_status tensor(gen_cudnn_graph *g, descriptor *out, const gen_cudnn_conv *c, int64_t id,
                         int64_t dtype, int64_t first, int64_t second, const int64_t space[3],
                         bool is_virtual)
{
    int axes = (int)c->axes, rank = axes + 2;
    int64_t dim[5] = { first, second }, stride[5] = { 0, 1 }, step = second;
    descriptor d;
    for (int i = rank - 1; i >= 2; i--) {
        dim[i] = space[3 - axes + i - 2];
        stride[i] = step;
        step *= dim[i];
    }
    stride[0] = step;
    GEN_TRY(create_in(g, &d, CUDNN_BACKEND_TENSOR_DESCRIPTOR));
    GEN_TRY(set_type(d, CUDNN_ATTR_TENSOR_DATA_TYPE,
                     dtype == GEN_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT));
    GEN_TRY(set(d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, rank, dim));
    GEN_TRY(set(d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, rank, stride));
    GEN_TRY(set_int(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, id + 1));
    GEN_TRY(set_int(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, GEN_CUDNN_ALIGNMENT));
    if (is_virtual)
        GEN_TRY(set(d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual));
    *out = d;
    return finalize(d);
}

static gen_status geometry(gen_cudnn_graph *g, descriptor *out, const gen_cudnn_conv *c)
{
    cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    int64_t skip = 3 - c->axes;
    descriptor d;
    GEN_TRY(create_in(g, &d, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR));
    GEN_TRY(set_type(d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT));
    GEN_TRY(set(d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode));
    GEN_TRY(set_int(d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, c->axes));
#define LIST(name, of) GEN_TRY(set(d, CUDNN_ATTR_CONVOLUTION_##name, CUDNN_TYPE_INT64, c->axes, of))
    LIST(DILATIONS, c->dilation + skip);
    LIST(FILTER_STRIDES, c->stride + skip);
    LIST(PRE_PADDINGS, c->pad_lo + skip);
    LIST(POST_PADDINGS, c->pad_hi + skip);
#undef LIST
    *out = d;
    return finalize(d);
}

/* The operation of one direction; t: its x, w and y. */
static gen_status convolution(gen_cudnn_graph *g, descriptor *out, const gen_cudnn_conv *c,
                              const descriptor t[3])
{
    descriptor d, conv;
    GEN_TRY(geometry(g, &conv, c));
#define OPERATION(TYPE, NAME, X_, W_, Y_)                                                          \
    do {                                                                                           \
        GEN_TRY(create_in(g, &d, CUDNN_BACKEND_OPERATION_CONVOLUTION_##TYPE##_DESCRIPTOR));        \
        GEN_TRY(set_descriptor(d, CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_CONV_DESC, conv));     \
        GEN_TRY(set_descriptor(d, CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_##X_, t[0]));          \
        GEN_TRY(set_descriptor(d, CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_##W_, t[1]));          \
        GEN_TRY(set_descriptor(d, CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_##Y_, t[2]));          \
        GEN_TRY(set_float(d, CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_ALPHA, 1));                 \
        GEN_TRY(set_float(d, CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_BETA, 0));                  \
    } while (0)
    if (c->way == GEN_CUDA_CONV_FORWARD)
        OPERATION(FORWARD, FORWARD, X, W, Y);
    else if (c->way == GEN_CUDA_CONV_DATA)
        OPERATION(BACKWARD_DATA, BWD_DATA, DX, W, DY);
    else
        OPERATION(BACKWARD_FILTER, BWD_FILTER, X, DW, DY);
#undef OPERATION
    *out = d;
    return finalize(d);
}

/* out = mode(x), or x + b. */
static gen_status pointwise(gen_cudnn_graph *g, descriptor *op, const gen_cudnn_conv *c,
                            cudnnPointwiseMode_t mode, descriptor x, descriptor b, descriptor out)
{
    descriptor d, o;
    GEN_TRY(create_in(g, &d, CUDNN_BACKEND_POINTWISE_DESCRIPTOR));
    GEN_TRY(set(d, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode));
    GEN_TRY(set_type(d, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT));
    if (!b && c->act == GEN_ACT_LEAKY_RELU)
        GEN_TRY(set_double(d, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, c->slope));
    GEN_TRY(finalize(d));
    GEN_TRY(create_in(g, &o, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR));
    GEN_TRY(set_descriptor(o, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, d));
    GEN_TRY(set_descriptor(o, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x));
    if (b)
        GEN_TRY(set_descriptor(o, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b));
    GEN_TRY(set_descriptor(o, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, out));
    *op = o;
    return finalize(o);
}

static cudnnPointwiseMode_t mode_of(int64_t act)
{
    if (act == GEN_ACT_SIGMOID)
        return CUDNN_POINTWISE_SIGMOID_FWD;
    return act == GEN_ACT_TANH ? CUDNN_POINTWISE_TANH_FWD : CUDNN_POINTWISE_RELU_FWD;
}

gen_status gen_cudnn_graph_make(gen_cudnn_graph *g, const gen_cudnn_conv *c, cudnnHandle_t handle)
{
    static const int64_t one[3] = { 1, 1, 1 };
    bool to_x = c->way == GEN_CUDA_CONV_DATA, filter = c->way == GEN_CUDA_CONV_FILTER;
    int result = to_x ? GEN_CUDNN_X : filter ? GEN_CUDNN_W : GEN_CUDNN_Y;
    int after = !!c->bias + !!c->residual + (c->act != GEN_ACT_NONE), n = 0, id = GEN_CUDNN_TENSORS;
    int64_t channels = to_x ? c->cin : c->cout;
    const int64_t *space = to_x ? c->x : c->y;
    descriptor t[3], op[4], add[2], made, next;
    struct {
        int64_t first, second;
        const int64_t *space;
    } size[3] = { { c->n, c->cin, c->x }, { c->cout, c->cin / c->groups, c->kernel },
                  { c->n, c->cout, c->y } };
    memset(g, 0, sizeof *g);
    for (int i = 0; i < 3; i++) { /* what operations follow is f32 and not in memory */
        bool passed = i == result && after;
        int64_t type = i != result ? c->from : passed ? GEN_F32 : c->to;
        GEN_TRY(tensor(g, &t[i], c, passed ? id++ : i, type, size[i].first, size[i].second,
                       size[i].space, passed));
    }
    GEN_TRY(convolution(g, &op[n++], c, t));
    /* The residual before the bias: the order of cuDNN's compiled engines. */
    add[0] = add[1] = NULL;
    if (c->residual)
        GEN_TRY(tensor(g, &add[0], c, GEN_CUDNN_RESIDUAL, c->to, c->n, channels, space, false));
    if (c->bias)
        GEN_TRY(tensor(g, &add[1], c, GEN_CUDNN_BIAS, GEN_F32, 1, channels, one, false));
    made = t[result];
    for (int i = 0; i < 3; i++) {
        if (i < 2 ? !add[i] : c->act == GEN_ACT_NONE)
            continue;
        bool last = --after == 0;
        GEN_TRY(tensor(g, &next, c, last ? result : id++, last ? c->to : GEN_F32, c->n, channels,
                       space, !last));
        GEN_TRY(pointwise(g, &op[n++], c, i < 2 ? CUDNN_POINTWISE_ADD : mode_of(c->act), made,
                          i < 2 ? add[i] : NULL, next));
        made = next;
    }
    GEN_TRY(create_in(g, &g->graph, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR));
    GEN_TRY(set(g->graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, n, op));
    if (handle)
        GEN_TRY(set(g->graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle));
    return finalize(g->graph);
}

/* ---- choosing an engine ---------------------------------------------------------------------- */

static bool may_have(const gen_cudnn_conv *c, cudnnBackendNumericalNote_t note)
{
    switch (note) {
    case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:
        return c->from != GEN_F32 || c->tf32;
    case CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP:
        return true;
    default: /* also one that is not known yet */
        return false;
    }
}

static gen_status check_notes(const gen_cudnn_conv *c, descriptor config, bool *fits)
{
    gen_status status = GEN_OK;
    cudnnBackendNumericalNote_t note[NOTES];
    descriptor engine = NULL;
    int64_t n = 0;
    *fits = true;
    GEN_GOTO(create(&engine, CUDNN_BACKEND_ENGINE_DESCRIPTOR));
    GEN_GOTO(get(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &n,
                 &engine));
    GEN_GOTO(get(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, NOTES, &n,
                 note));
    for (int64_t i = 0; i < n && i < NOTES; i++)
        *fits = *fits && may_have(c, note[i]);
done:
    destroy(&engine);
    return status;
}

/* EUNSUPPORTED: it needs more than `room`. */
static gen_status read_workspace(gen_cudnn_plan *p, int64_t room)
{
    int64_t bytes = 0, n;
    GEN_TRY(get(p->plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &n,
                &bytes));
    if (bytes < 0 || bytes > room)
        return gen_fail(GEN_EUNSUPPORTED, "cuDNN: an engine wants %lld bytes, expected up to %lld",
                        (long long)bytes, (long long)room);
    p->workspace = (uint64_t)bytes;
    return GEN_OK;
}

/* p->plan, of a configuration or (config NULL) of a text that an earlier plan was kept as. */
static gen_status make_plan(gen_cudnn_plan *p, cudnnHandle_t handle, descriptor config,
                            const char *json, uint64_t size, int64_t room)
{
    gen_status status = GEN_OK;
    GEN_GOTO(create(&p->plan, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR));
    GEN_GOTO(set(p->plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle));
    if (config)
        GEN_GOTO(set_descriptor(p->plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config));
    else
        GEN_GOTO(set(p->plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                     (int64_t)size, json));
    GEN_GOTO(finalize(p->plan));
    GEN_GOTO(read_workspace(p, room));
done:
    if (status != GEN_OK)
        destroy(&p->plan);
    return status;
}

/* The first configuration of this heuristic that fits: p->plan stays NULL where none does. */
static gen_status try_mode(gen_cudnn_plan *p, cudnnHandle_t handle, cudnnBackendHeurMode_t mode,
                           int64_t room)
{
    gen_status status = GEN_OK;
    descriptor heuristic = NULL, config[MAX_CONFIGS] = { NULL };
    int64_t n = 0;
    GEN_GOTO(create(&heuristic, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR));
    GEN_GOTO(set_descriptor(heuristic, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, p->from.graph));
    GEN_GOTO(set(heuristic, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode));
    GEN_GOTO(finalize(heuristic));
    GEN_GOTO(get(heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &n,
                 NULL));
    n = n > MAX_CONFIGS ? MAX_CONFIGS : n;
    for (int64_t i = 0; i < n; i++)
        GEN_GOTO(create(&config[i], CUDNN_BACKEND_ENGINECFG_DESCRIPTOR));
    if (n > 0)
        GEN_GOTO(get(heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, n,
                     &n, config));
    for (int64_t i = 0; i < n && i < MAX_CONFIGS && !p->plan; i++) {
        bool fits;
        GEN_GOTO(check_notes(&p->conv, config[i], &fits));
        if (!fits)
            continue;
        status = make_plan(p, handle, config[i], NULL, 0, room);
        if (status != GEN_OK && status != GEN_EUNSUPPORTED)
            goto done;
        status = GEN_OK;
        if (p->plan && p->from.n < GEN_LEN(p->from.made)) { /* the plan refers to it */
            p->from.made[p->from.n++] = config[i];
            config[i] = NULL;
        }
    }
done:
    for (int i = 0; i < MAX_CONFIGS; i++)
        destroy(&config[i]);
    destroy(&heuristic);
    return status == GEN_EUNSUPPORTED ? GEN_OK : status;
}

static bool is_fused(const gen_cudnn_conv *c)
{
    return c->bias || c->residual || c->act != GEN_ACT_NONE;
}

/* Engines of last resort are for the plain convolution only: where cuDNN's table has nothing for a
 * fused one, the plain one's best engine and a pass over its result are faster than such (f32
 * conv_transpose with a bias: one that is compiled for this graph and uses no tensor cores). */
static gen_status search(gen_cudnn_plan *p, cudnnHandle_t handle, int64_t room)
{
    gen_status s = gen_cudnn_graph_make(&p->from, &p->conv, handle);
    if (s == GEN_OK)
        s = try_mode(p, handle, CUDNN_HEUR_MODE_A, room);
    if (s == GEN_OK && !p->plan && !is_fused(&p->conv))
        s = try_mode(p, handle, CUDNN_HEUR_MODE_FALLBACK, room);
    if (!p->plan)
        gen_cudnn_graph_free(&p->from);
    return s == GEN_EUNSUPPORTED ? GEN_OK : s;
}

/* ---- plans that are kept --------------------------------------------------------------------- */

/* The backend's text has the device, its compute capability and memory, and cuDNN's version. */
static void key_of(char key[GEN_SHA256_TEXT], const gen_cuda *cuda, const gen_cudnn_conv *c)
{
    gen_sha256 h;
    gen_sha256_start(&h);
    gen_sha256_add(&h, cuda->text, strlen(cuda->text) + 1);
    gen_sha256_add(&h, c, sizeof *c);
    gen_sha256_finish(&h, key);
}

static bool restore(gen_cudnn_plan *p, cudnnHandle_t handle, const char *key, int64_t room)
{
    char *json;
    uint64_t size;
    if (!gen_plan_cache_read(key, &json, &size))
        return false;
    if (make_plan(p, handle, NULL, json, size, room) != GEN_OK)
        gen_log(GEN_LOG_DEBUG, "plan cache: %s", gen_last_error());
    gen_free(json);
    return p->plan != NULL;
}

static void keep(const gen_cudnn_plan *p, const char *key)
{
    char *json = NULL;
    int64_t n = 0;
    if (get(p->plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, 0, &n, NULL) ==
            GEN_OK &&
        n > 0 && GEN_ALLOC(&json, n + 1, "cuDNN's plan") == GEN_OK &&
        get(p->plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, n, &n, json) ==
            GEN_OK)
        gen_plan_cache_write(key, json, (uint64_t)n);
    else
        gen_log(GEN_LOG_DEBUG, "plan cache: %s", gen_last_error());
    gen_free(json);
}

static gen_status find_plan(gen_cudnn_plan *p, gen_cuda *cuda)
{
    char key[GEN_SHA256_TEXT];
    uint64_t left, total;
    GEN_TRY(cuda->far.room(cuda->far.ctx, &left, &total));
    int64_t room = (int64_t)(total / 16 < MOST_ROOM ? total / 16 : MOST_ROOM);
    key_of(key, cuda, &p->conv);
    if (restore(p, cuda->dnn, key, room))
        return GEN_OK;
    gen_log(GEN_LOG_DEBUG, "cuDNN: looks for an engine, %lld x %lld channels, %s",
            (long long)p->conv.cin, (long long)p->conv.cout,
            is_fused(&p->conv) ? "fused" : "plain");
    GEN_TRY(search(p, cuda->dnn, room));
    if (p->plan)
        keep(p, key);
    return GEN_OK;
}

gen_status gen_cudnn_plan_get(gen_cuda *cuda, const gen_cudnn_conv *c, const gen_cudnn_plan **out)
{
    gen_cudnn_plan *p = cuda->plans;
    while (p && memcmp(&p->conv, c, sizeof *c) != 0)
        p = p->next;
    if (!p) {
        GEN_TRY(GEN_ALLOC(&p, 1, "cuDNN's plan"));
        p->conv = *c;
        gen_status s = find_plan(p, cuda);
        if (s != GEN_OK) {
            gen_cudnn_plans_free(p);
            return s;
        }
        p->next = cuda->plans;
        cuda->plans = p;
    }
    *out = p;
    if (!p->plan)
        return gen_fail(GEN_EUNSUPPORTED, "cuDNN has no engine that may run it");
    return GEN_OK;
}

void gen_cudnn_plans_free(gen_cudnn_plan *list)
{
    while (list) {
        gen_cudnn_plan *next = list->next;
        destroy(&list->plan);
        gen_cudnn_graph_free(&list->from);
        gen_free(list);
        list = next;
    }
}

/* ---- execution ------------------------------------------------------------------------------- */

void gen_cudnn_pack_free(gen_cudnn_pack *pack)
{
    destroy(&pack->pack);
}

static gen_status make_pack(gen_cudnn_pack *pack, void *const at[GEN_CUDNN_TENSORS],
                            void *workspace)
{
    int64_t id[GEN_CUDNN_TENSORS];
    void *where[GEN_CUDNN_TENSORS];
    int n = 0;
    for (int i = 0; i < GEN_CUDNN_TENSORS; i++)
        if (at[i]) {
            id[n] = i + 1;
            where[n++] = at[i];
        }
    destroy(&pack->pack);
    GEN_TRY(create(&pack->pack, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR));
    GEN_TRY(set(pack->pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, n, id));
    GEN_TRY(set(pack->pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, n, where));
    GEN_TRY(set(pack->pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace));
    GEN_CUDNN(cudnnBackendFinalize(pack->pack));
    memcpy(pack->at, at, sizeof pack->at);
    pack->workspace = workspace;
    return GEN_OK;
}

gen_status gen_cudnn_run(gen_cuda *cuda, const gen_cudnn_plan *p, gen_cudnn_pack *pack,
                         void *const at[GEN_CUDNN_TENSORS], void *workspace)
{
    if (!pack->pack || pack->workspace != workspace || memcmp(pack->at, at, sizeof pack->at) != 0) {
        gen_status s = make_pack(pack, at, workspace);
        if (s != GEN_OK) {
            destroy(&pack->pack);
            return s;
        }
    }
    GEN_CUDNN(cudnnBackendExecute(cuda->dnn, p->plan, pack->pack));
    return GEN_OK;
}
