/* SPDX-License-Identifier: Apache-2.0
 *
 * A stand-in for cuDNN's backend API: takes the descriptors that a caller builds, refuses what is
 * not right in them, and computes what they say on the CPU. Stricter than the library: whatever it
 * documents as undefined, or would only find on a device, is an error here. What descriptors mean
 * is in cudnn_graph.cc, the arithmetic in cudnn_math.cc.
 */
#include "tests/cuda/descriptor.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <set>

#include "tests/cuda/emulated.h"

struct cudnnContext {
    cudaStream_t stream = nullptr;
    bool has_stream = false;
};

namespace
{

/* What a caller holds; its content may live on in others that refer to it. */
struct handle {
    descriptor_ref d;
};

std::mutex lock;
std::set<void *> contexts, handles;
std::string behaviour;
thread_local std::string last_error;

#define ENTER()                                                                                    \
    std::lock_guard<std::mutex> guard(lock);                                                       \
    if (emulated_failing("cudnn"))                                                                 \
    return refuse(CUDNN_STATUS_INTERNAL_ERROR, "%s was told to fail", __func__)

descriptor_ref *find(void *p)
{
    return handles.count(p) ? &((handle *)p)->d : nullptr;
}

/* One row per attribute that may be set: its types, how many, whether it has to be there. For
 * descriptors: of which kind. */
struct rule {
    int kind, name;
    std::vector<cudnnBackendAttributeType_t> types;
    int64_t least, most;
    bool required;
    int refers = -1;
};

enum { ANY_OPERATION = -2, MOST = 1 << 20 };
#define KIND(k) CUDNN_BACKEND_##k##_DESCRIPTOR
#define A(n) CUDNN_ATTR_##n
#define ONE(t) { CUDNN_TYPE_##t }, 1, 1
#define REAL { CUDNN_TYPE_FLOAT, CUDNN_TYPE_DOUBLE }, 1, 1
#define LINK(k) { CUDNN_TYPE_BACKEND_DESCRIPTOR }, 1, 1, true, KIND(k)

const std::vector<rule> rules = {
    { KIND(TENSOR), A(TENSOR_UNIQUE_ID), ONE(INT64), true },
    { KIND(TENSOR), A(TENSOR_DATA_TYPE), ONE(DATA_TYPE), true },
    { KIND(TENSOR), A(TENSOR_BYTE_ALIGNMENT), ONE(INT64), true },
    { KIND(TENSOR), A(TENSOR_DIMENSIONS), { CUDNN_TYPE_INT64 }, 1, CUDNN_DIM_MAX, true },
    { KIND(TENSOR), A(TENSOR_STRIDES), { CUDNN_TYPE_INT64 }, 1, CUDNN_DIM_MAX, true },
    { KIND(TENSOR), A(TENSOR_IS_VIRTUAL), ONE(BOOLEAN), false },
    { KIND(TENSOR), A(TENSOR_IS_BY_VALUE), ONE(BOOLEAN), false },

    { KIND(CONVOLUTION), A(CONVOLUTION_COMP_TYPE), ONE(DATA_TYPE), true },
    { KIND(CONVOLUTION), A(CONVOLUTION_CONV_MODE), ONE(CONVOLUTION_MODE), true },
    { KIND(CONVOLUTION), A(CONVOLUTION_SPATIAL_DIMS), ONE(INT64), true },
    { KIND(CONVOLUTION), A(CONVOLUTION_DILATIONS), { CUDNN_TYPE_INT64 }, 2, 3, true },
    { KIND(CONVOLUTION), A(CONVOLUTION_FILTER_STRIDES), { CUDNN_TYPE_INT64 }, 2, 3, true },
    { KIND(CONVOLUTION), A(CONVOLUTION_PRE_PADDINGS), { CUDNN_TYPE_INT64 }, 2, 3, true },
    { KIND(CONVOLUTION), A(CONVOLUTION_POST_PADDINGS), { CUDNN_TYPE_INT64 }, 2, 3, true },

#define CONV(k, p, a, b, c)                                                                        \
    { KIND(k), A(OPERATION_CONVOLUTION_##p##_ALPHA), REAL, true },                                 \
        { KIND(k), A(OPERATION_CONVOLUTION_##p##_BETA), REAL, true },                              \
        { KIND(k), A(OPERATION_CONVOLUTION_##p##_CONV_DESC), LINK(CONVOLUTION) },                  \
        { KIND(k), A(OPERATION_CONVOLUTION_##p##_##a), LINK(TENSOR) },                             \
        { KIND(k), A(OPERATION_CONVOLUTION_##p##_##b), LINK(TENSOR) },                             \
    {                                                                                              \
        KIND(k), A(OPERATION_CONVOLUTION_##p##_##c), LINK(TENSOR)                                  \
    }
    CONV(OPERATION_CONVOLUTION_FORWARD, FORWARD, X, W, Y),
    CONV(OPERATION_CONVOLUTION_BACKWARD_DATA, BWD_DATA, DY, W, DX),
    CONV(OPERATION_CONVOLUTION_BACKWARD_FILTER, BWD_FILTER, X, DY, DW),

    { KIND(POINTWISE), A(POINTWISE_MODE), ONE(POINTWISE_MODE), true },
    { KIND(POINTWISE), A(POINTWISE_MATH_PREC), ONE(DATA_TYPE), true },
    { KIND(POINTWISE), A(POINTWISE_RELU_LOWER_CLIP), REAL, false },
    { KIND(POINTWISE), A(POINTWISE_RELU_UPPER_CLIP), REAL, false },
    { KIND(POINTWISE), A(POINTWISE_RELU_LOWER_CLIP_SLOPE), REAL, false },
    { KIND(OPERATION_POINTWISE), A(OPERATION_POINTWISE_PW_DESCRIPTOR), LINK(POINTWISE) },
    { KIND(OPERATION_POINTWISE), A(OPERATION_POINTWISE_XDESC), LINK(TENSOR) },
    { KIND(OPERATION_POINTWISE), A(OPERATION_POINTWISE_YDESC), LINK(TENSOR) },
    { KIND(OPERATION_POINTWISE), A(OPERATION_POINTWISE_BDESC), ONE(BACKEND_DESCRIPTOR), false,
      KIND(TENSOR) },
    { KIND(OPERATION_POINTWISE), A(OPERATION_POINTWISE_ALPHA1), REAL, false },
    { KIND(OPERATION_POINTWISE), A(OPERATION_POINTWISE_ALPHA2), REAL, false },

    { KIND(MATMUL), A(MATMUL_COMP_TYPE), ONE(DATA_TYPE), true },
    { KIND(OPERATION_MATMUL), A(OPERATION_MATMUL_DESC), LINK(MATMUL) },
    { KIND(OPERATION_MATMUL), A(OPERATION_MATMUL_ADESC), LINK(TENSOR) },
    { KIND(OPERATION_MATMUL), A(OPERATION_MATMUL_BDESC), LINK(TENSOR) },
    { KIND(OPERATION_MATMUL), A(OPERATION_MATMUL_CDESC), LINK(TENSOR) },

    { KIND(OPERATIONGRAPH), A(OPERATIONGRAPH_HANDLE), ONE(HANDLE), false },
    { KIND(OPERATIONGRAPH), A(OPERATIONGRAPH_OPS), { CUDNN_TYPE_BACKEND_DESCRIPTOR }, 1, MOST,
      true, ANY_OPERATION },
    { KIND(ENGINEHEUR), A(ENGINEHEUR_OPERATION_GRAPH), LINK(OPERATIONGRAPH) },
    { KIND(ENGINEHEUR), A(ENGINEHEUR_MODE), ONE(HEUR_MODE), true },
    { KIND(ENGINE), A(ENGINE_OPERATION_GRAPH), LINK(OPERATIONGRAPH) },
    { KIND(ENGINE), A(ENGINE_GLOBAL_INDEX), ONE(INT64), true },
    { KIND(ENGINECFG), A(ENGINECFG_ENGINE), LINK(ENGINE) },
    { KIND(EXECUTION_PLAN), A(EXECUTION_PLAN_HANDLE), ONE(HANDLE), true },
    { KIND(EXECUTION_PLAN), A(EXECUTION_PLAN_ENGINE_CONFIG), ONE(BACKEND_DESCRIPTOR), false,
      KIND(ENGINECFG) },
    { KIND(EXECUTION_PLAN), A(EXECUTION_PLAN_JSON_REPRESENTATION), { CUDNN_TYPE_CHAR }, 1, MOST,
      false },

    { KIND(VARIANT_PACK), A(VARIANT_PACK_UNIQUE_IDS), { CUDNN_TYPE_INT64 }, 1, MOST, true },
    { KIND(VARIANT_PACK), A(VARIANT_PACK_DATA_POINTERS), { CUDNN_TYPE_VOID_PTR }, 1, MOST, true },
    { KIND(VARIANT_PACK), A(VARIANT_PACK_WORKSPACE), ONE(VOID_PTR), false },
};

const rule *rule_of(int kind, int name)
{
    for (const rule &r : rules)
        if (r.kind == kind && r.name == name)
            return &r;
    return nullptr;
}

size_t bytes_of(cudnnBackendAttributeType_t type)
{
    switch (type) {
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
        return sizeof(void *);
    case CUDNN_TYPE_INT64:
        return sizeof(int64_t);
    case CUDNN_TYPE_DOUBLE:
        return sizeof(double);
    case CUDNN_TYPE_BOOLEAN:
        return sizeof(bool);
    case CUDNN_TYPE_CHAR:
        return 1;
    default:
        return sizeof(int); /* enumerations and float */
    }
}

bool is_operation(int kind)
{
    return kind == KIND(OPERATION_CONVOLUTION_FORWARD) ||
           kind == KIND(OPERATION_CONVOLUTION_BACKWARD_DATA) ||
           kind == KIND(OPERATION_CONVOLUTION_BACKWARD_FILTER) ||
           kind == KIND(OPERATION_POINTWISE) || kind == KIND(OPERATION_MATMUL);
}

/* The descriptors that an array of them holds: alive, of the right kind, finalised. */
cudnnStatus_t links(const rule &r, int64_t count, const void *from, std::vector<descriptor_ref> *to)
{
    for (int64_t i = 0; i < count; i++) {
        descriptor_ref *d = find(((void *const *)from)[i]);
        if (!d)
            return refuse(CUDNN_STATUS_BAD_PARAM, "attribute %d: no living descriptor", r.name);
        if (r.refers == ANY_OPERATION ? !is_operation((*d)->kind) : (*d)->kind != r.refers)
            return refuse(CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE,
                          "attribute %d: a descriptor of kind %d, expected %d", r.name, (*d)->kind,
                          r.refers);
        if (!(*d)->finalized)
            return refuse(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED,
                          "attribute %d: the descriptor was not finalised", r.name);
        to->push_back(*d);
    }
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t finalize_plan(descriptor &d)
{
    bool text = d.has(A(EXECUTION_PLAN_JSON_REPRESENTATION));
    if (!contexts.count(d.get<void *>(A(EXECUTION_PLAN_HANDLE))))
        return refuse(CUDNN_STATUS_BAD_PARAM, "the plan's handle is not one of this library");
    if (text == d.has(A(EXECUTION_PLAN_ENGINE_CONFIG)))
        return refuse(CUDNN_STATUS_BAD_PARAM, "a plan is of a configuration or of a JSON text");
    if (text) {
        const attribute &a = d.set.at(A(EXECUTION_PLAN_JSON_REPRESENTATION));
        auto g = std::make_shared<graph>();
        if (!plan_of_text(std::string(a.bytes.begin(), a.bytes.end()), g.get(), &d.engine))
            return refuse(CUDNN_STATUS_BAD_PARAM, "the JSON is of no plan");
        g->handle = d.get<void *>(A(EXECUTION_PLAN_HANDLE));
        d.graph = g;
        return CUDNN_STATUS_SUCCESS;
    }
    const descriptor &config = *d.link(A(EXECUTION_PLAN_ENGINE_CONFIG));
    if (behaviour == "refused" && config.engine != ENGINE_FALLBACK)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "engine %d: refused", config.engine);
    if (config.graph->handle != d.get<void *>(A(EXECUTION_PLAN_HANDLE)))
        return refuse(CUDNN_STATUS_BAD_PARAM, "the plan's handle is not its graph's");
    d.graph = config.graph;
    d.engine = config.engine;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t finalize_engine(descriptor &d)
{
    if (d.kind == KIND(ENGINECFG)) {
        d.graph = d.link(A(ENGINECFG_ENGINE))->graph;
        d.engine = d.link(A(ENGINECFG_ENGINE))->engine;
        return CUDNN_STATUS_SUCCESS;
    }
    bool heuristic = d.kind == KIND(ENGINEHEUR);
    d.graph = d.link(heuristic ? A(ENGINEHEUR_OPERATION_GRAPH) : A(ENGINE_OPERATION_GRAPH))->graph;
    if (!contexts.count(d.graph->handle))
        return refuse(CUDNN_STATUS_BAD_PARAM, "engines of a graph that has no handle");
    if (heuristic) {
        int mode = d.get<int>(A(ENGINEHEUR_MODE));
        if (mode < 0 || mode >= CUDNN_HEUR_MODES_COUNT)
            return refuse(CUDNN_STATUS_BAD_PARAM, "heuristic mode %d", mode);
        d.offered = engines_of(*d.graph, mode == CUDNN_HEUR_MODE_FALLBACK, behaviour);
        return CUDNN_STATUS_SUCCESS;
    }
    d.engine = (int)d.get<int64_t>(A(ENGINE_GLOBAL_INDEX));
    for (bool fallback : { false, true })
        for (int e : engines_of(*d.graph, fallback, behaviour))
            if (e == d.engine)
                return CUDNN_STATUS_SUCCESS;
    return refuse(CUDNN_STATUS_NOT_SUPPORTED, "engine %d does not run this graph", d.engine);
}

/* The caller's empty descriptors become what is asked for. */
cudnnStatus_t hand_out(const descriptor &from, int kind, const std::vector<int> &engines,
                       int64_t room, int64_t *count, void *to)
{
    *count = (int64_t)engines.size();
    if (!to || room == 0)
        return CUDNN_STATUS_SUCCESS;
    if (*count > room)
        *count = room;
    for (int64_t i = 0; i < *count; i++) {
        descriptor_ref *d = find(((void **)to)[i]);
        if (!d || (*d)->kind != kind || (*d)->finalized)
            return refuse(CUDNN_STATUS_BAD_PARAM, "result %lld is to be an empty descriptor of "
                          "kind %d", (long long)i, kind);
        (*d)->finalized = true;
        (*d)->graph = from.graph;
        (*d)->engine = engines[(size_t)i];
    }
    return CUDNN_STATUS_SUCCESS;
}

template <class T>
cudnnStatus_t give(const std::vector<T> &from, int64_t room, int64_t *count, void *to)
{
    *count = (int64_t)from.size();
    if (!to || room == 0)
        return CUDNN_STATUS_SUCCESS;
    if (room < *count)
        return refuse(CUDNN_STATUS_BAD_PARAM_SIZE_INSUFFICIENT, "room for %lld, expected %lld",
                      (long long)room, (long long)*count);
    std::copy(from.begin(), from.end(), (T *)to);
    return CUDNN_STATUS_SUCCESS;
}

/* Attributes that are computed. NOT_INITIALIZED: it is none of them. */
cudnnStatus_t get_computed(descriptor_ref &d, int name, int type, int64_t room, int64_t *count,
                           void *to)
{
    auto is = [&](int kind, int n, int t) { return d->kind == kind && n == name && t == type; };
    if (is(KIND(ENGINEHEUR), A(ENGINEHEUR_RESULTS), CUDNN_TYPE_BACKEND_DESCRIPTOR))
        return hand_out(*d, KIND(ENGINECFG), d->offered, room, count, to);
    if (is(KIND(ENGINECFG), A(ENGINECFG_ENGINE), CUDNN_TYPE_BACKEND_DESCRIPTOR))
        return hand_out(*d, KIND(ENGINE), { d->engine }, room, count, to);
    if (is(KIND(ENGINECFG), A(ENGINECFG_KNOB_CHOICES), CUDNN_TYPE_BACKEND_DESCRIPTOR))
        return hand_out(*d, KIND(KNOB_CHOICE), {}, room, count, to);
    if (is(KIND(ENGINE), A(ENGINE_GLOBAL_INDEX), CUDNN_TYPE_INT64))
        return give<int64_t>({ d->engine }, room, count, to);
    if (is(KIND(ENGINE), A(ENGINE_NUMERICAL_NOTE), CUDNN_TYPE_NUMERICAL_NOTE))
        return give(notes_of(*d->graph, d->engine), room, count, to);
    if (is(KIND(ENGINE), A(ENGINE_BEHAVIOR_NOTE), CUDNN_TYPE_BEHAVIOR_NOTE))
        return give(behaviour_of(*d->graph, d->engine), room, count, to);
    if (is(KIND(OPERATIONGRAPH), A(OPERATIONGRAPH_ENGINE_GLOBAL_COUNT), CUDNN_TYPE_INT64))
        return give<int64_t>({ ENGINE_COUNT }, room, count, to);
    if (is(KIND(EXECUTION_PLAN), A(EXECUTION_PLAN_WORKSPACE_SIZE), CUDNN_TYPE_INT64) ||
        is(KIND(ENGINECFG), A(ENGINECFG_WORKSPACE_SIZE), CUDNN_TYPE_INT64))
        return give<int64_t>({ workspace_of(*d->graph, d->engine) }, room, count, to);
    if (is(KIND(EXECUTION_PLAN), A(EXECUTION_PLAN_JSON_REPRESENTATION), CUDNN_TYPE_CHAR)) {
        std::string json = plan_text(*d->graph, d->engine);
        return give(std::vector<char>(json.begin(), json.end()), room, count, to);
    }
    return CUDNN_STATUS_NOT_INITIALIZED;
}

} // namespace

cudnnStatus_t refuse(cudnnStatus_t status, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    last_error = text;
    return status;
}

extern "C" {

EMULATED_API void emulated_cudnn(const char *what)
{
    std::lock_guard<std::mutex> guard(lock);
    behaviour = what;
}

EMULATED_API long emulated_live_cudnn(void)
{
    std::lock_guard<std::mutex> guard(lock);
    return (long)(contexts.size() + handles.size());
}

EMULATED_API size_t cudnnGetVersion(void)
{
    return CUDNN_VERSION;
}

EMULATED_API size_t cudnnGetCudartVersion(void)
{
    return CUDART_VERSION;
}

EMULATED_API const char *cudnnGetErrorString(cudnnStatus_t status)
{
    if (status == CUDNN_STATUS_SUCCESS)
        return "CUDNN_STATUS_SUCCESS";
    static thread_local char text[32];
    std::snprintf(text, sizeof text, "cuDNN status %d", (int)status);
    return text;
}

EMULATED_API void cudnnGetLastErrorString(char *message, size_t max_size)
{
    if (message && max_size)
        std::snprintf(message, max_size, "%s", last_error.c_str());
    last_error.clear();
}

EMULATED_API cudnnStatus_t cudnnCreate(cudnnHandle_t *h)
{
    ENTER();
    if (!h)
        return refuse(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "cudnnCreate: NULL");
    if (const char *what = std::getenv("GEN_EMULATED_CUDNN"))
        behaviour = what;
    *h = new cudnnContext;
    contexts.insert(*h);
    return CUDNN_STATUS_SUCCESS;
}

EMULATED_API cudnnStatus_t cudnnDestroy(cudnnHandle_t h)
{
    std::lock_guard<std::mutex> guard(lock);
    if (!contexts.erase(h))
        return refuse(CUDNN_STATUS_BAD_PARAM, "cudnnDestroy: no handle");
    delete h;
    return CUDNN_STATUS_SUCCESS;
}

EMULATED_API cudnnStatus_t cudnnSetStream(cudnnHandle_t h, cudaStream_t stream)
{
    ENTER();
    if (!contexts.count(h))
        return refuse(CUDNN_STATUS_BAD_PARAM, "cudnnSetStream: no handle");
    h->stream = stream;
    h->has_stream = true;
    return CUDNN_STATUS_SUCCESS;
}

EMULATED_API cudnnStatus_t cudnnGetStream(cudnnHandle_t h, cudaStream_t *stream)
{
    ENTER();
    if (!contexts.count(h) || !stream)
        return refuse(CUDNN_STATUS_BAD_PARAM, "cudnnGetStream: no handle");
    *stream = h->stream;
    return CUDNN_STATUS_SUCCESS;
}

EMULATED_API cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                                  cudnnBackendDescriptor_t *out)
{
    ENTER();
    bool known = false;
    for (const rule &r : rules)
        known = known || r.kind == type;
    if (!out)
        return refuse(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "no room for the descriptor");
    if (!known)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "descriptors of kind %d are not imitated", type);
    handle *h = new handle{ std::make_shared<descriptor>() };
    h->d->kind = type;
    handles.insert(h);
    *out = h;
    return CUDNN_STATUS_SUCCESS;
}

EMULATED_API cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t d)
{
    std::lock_guard<std::mutex> guard(lock);
    if (!handles.erase(d))
        return refuse(CUDNN_STATUS_BAD_PARAM, "destroyed twice, or no descriptor");
    delete (handle *)d;
    return CUDNN_STATUS_SUCCESS;
}

EMULATED_API cudnnStatus_t cudnnBackendInitialize(cudnnBackendDescriptor_t d)
{
    ENTER();
    return find(d) ? CUDNN_STATUS_SUCCESS : refuse(CUDNN_STATUS_BAD_PARAM, "no descriptor");
}

EMULATED_API cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t p,
                                              cudnnBackendAttributeName_t name,
                                              cudnnBackendAttributeType_t type, int64_t count,
                                              const void *from)
{
    ENTER();
    descriptor_ref *d = find(p);
    if (!d)
        return refuse(CUDNN_STATUS_BAD_PARAM, "attribute %d of no descriptor", name);
    const rule *r = rule_of((*d)->kind, name);
    if ((*d)->finalized)
        return refuse(CUDNN_STATUS_BAD_PARAM, "attribute %d is set after finalising", name);
    if (!r)
        return refuse(CUDNN_STATUS_BAD_PARAM, "kind %d has no attribute %d", (*d)->kind, name);
    if (!from)
        return refuse(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "attribute %d is NULL", name);
    bool fits = false;
    for (cudnnBackendAttributeType_t t : r->types)
        fits = fits || t == type;
    if (!fits)
        return refuse(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, "attribute %d has type %d, expected "
                      "%d", name, type, r->types[0]);
    if (count < r->least || count > r->most)
        return refuse(CUDNN_STATUS_BAD_PARAM, "attribute %d has %lld elements, expected %lld to "
                      "%lld", name, (long long)count, (long long)r->least, (long long)r->most);
    attribute a;
    a.type = type;
    a.count = count;
    a.bytes.assign((const char *)from, (const char *)from + (size_t)count * bytes_of(type));
    if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
        cudnnStatus_t s = links(*r, count, from, &a.links);
        if (s != CUDNN_STATUS_SUCCESS)
            return s;
    }
    (*d)->set[name] = a;
    return CUDNN_STATUS_SUCCESS;
}

EMULATED_API cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const p,
                                              cudnnBackendAttributeName_t name,
                                              cudnnBackendAttributeType_t type, int64_t room,
                                              int64_t *count, void *to)
{
    ENTER();
    int64_t unused;
    descriptor_ref *d = find(p);
    if (!d || !(*d)->finalized || room < 0)
        return refuse(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "attribute %d of no finalised "
                      "descriptor", name);
    count = count ? count : &unused;
    cudnnStatus_t s = get_computed(*d, name, type, room, count, to);
    if (s != CUDNN_STATUS_NOT_INITIALIZED)
        return s;
    if (!(*d)->has(name) || type == CUDNN_TYPE_BACKEND_DESCRIPTOR)
        return refuse(CUDNN_STATUS_BAD_PARAM, "attribute %d of kind %d cannot be had", name,
                      (*d)->kind);
    const attribute &a = (*d)->set[name];
    if (a.type != type)
        return refuse(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, "attribute %d has type %d, asked %d",
                      name, a.type, type);
    s = give(a.bytes, room * (int64_t)bytes_of(type), count, to);
    *count = a.count;
    return s;
}

EMULATED_API cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t p)
{
    ENTER();
    descriptor_ref *found = find(p);
    if (!found || (*found)->finalized)
        return refuse(CUDNN_STATUS_BAD_PARAM, "finalised twice, or no descriptor");
    descriptor &d = **found;
    for (const rule &r : rules)
        if (r.kind == d.kind && r.required && !d.has(r.name))
            return refuse(CUDNN_STATUS_BAD_PARAM, "kind %d lacks attribute %d", d.kind, r.name);
    cudnnStatus_t s = CUDNN_STATUS_SUCCESS;
    if (d.kind == KIND(OPERATIONGRAPH) && d.has(A(OPERATIONGRAPH_HANDLE)) &&
        !contexts.count(d.get<void *>(A(OPERATIONGRAPH_HANDLE))))
        s = refuse(CUDNN_STATUS_BAD_PARAM, "the graph's handle is not one of this library");
    else if (d.kind == KIND(EXECUTION_PLAN))
        s = finalize_plan(d);
    else if (d.kind == KIND(ENGINE) || d.kind == KIND(ENGINECFG) || d.kind == KIND(ENGINEHEUR))
        s = finalize_engine(d);
    else
        s = interpret(d);
    d.finalized = s == CUDNN_STATUS_SUCCESS;
    return s;
}

EMULATED_API cudnnStatus_t cudnnBackendExecute(cudnnHandle_t h, cudnnBackendDescriptor_t plan,
                                         cudnnBackendDescriptor_t pack)
{
    ENTER();
    descriptor_ref *d = find(plan), *v = find(pack);
    if (!contexts.count(h) || !h->has_stream || !h->stream)
        return refuse(CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH, "the handle has no stream");
    if (!d || (*d)->kind != KIND(EXECUTION_PLAN) || !(*d)->finalized)
        return refuse(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "no finalised plan");
    if (!v || (*v)->kind != KIND(VARIANT_PACK) || !(*v)->finalized)
        return refuse(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "no finalised variant pack");
    if ((*d)->get<void *>(A(EXECUTION_PLAN_HANDLE)) != h)
        return refuse(CUDNN_STATUS_BAD_PARAM, "the plan is another handle's");
    execution e;
    cudnnStatus_t s = prepare_execution(**d, **v, &e);
    if (s == CUDNN_STATUS_SUCCESS && emulated_enqueue(h->stream, e) != cudaSuccess)
        return refuse(CUDNN_STATUS_EXECUTION_FAILED_CUDART, "the stream takes no work");
    return s;
}

} // extern "C"
