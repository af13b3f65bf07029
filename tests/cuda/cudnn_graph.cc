/* SPDX-License-Identifier: Apache-2.0
 *
 * What the descriptors of the stand-in for cuDNN mean: sizes that must follow from one another,
 * the order of a graph's operations, which engines take it, the memory that an execution touches.
 */
#include "tests/cuda/descriptor.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "tests/cuda/emulated.h"

namespace
{

const cudnnStatus_t OK = CUDNN_STATUS_SUCCESS, BAD = CUDNN_STATUS_BAD_PARAM,
                    MISMATCH = CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH;

#define A(n) CUDNN_ATTR_##n
#define TRY(call)                                                                                  \
    do {                                                                                           \
        cudnnStatus_t try_status = (call);                                                         \
        if (try_status != OK)                                                                      \
            return try_status;                                                                     \
    } while (0)

std::string text(const sizes &s)
{
    std::string t;
    for (int64_t v : s)
        t += (t.empty() ? "[" : ",") + std::to_string(v);
    return t + "]";
}

/* Different cells have different places. */
bool is_distinct(const tensor &t)
{
    std::vector<std::pair<int64_t, int64_t>> axes;
    for (size_t i = 0; i < t.dim.size(); i++)
        if (t.dim[i] > 1)
            axes.push_back({ t.stride[i], t.dim[i] });
    std::sort(axes.begin(), axes.end());
    int64_t reach = 1;
    for (auto &a : axes) {
        if (a.first < reach)
            return false;
        reach = a.first * (a.second - 1) + reach;
    }
    return true;
}

cudnnStatus_t interpret_tensor(descriptor &d)
{
    tensor &t = d.shape;
    int type = d.get<int>(A(TENSOR_DATA_TYPE));
    t.uid = d.get<int64_t>(A(TENSOR_UNIQUE_ID));
    t.alignment = d.get<int64_t>(A(TENSOR_BYTE_ALIGNMENT));
    t.dim = d.list(A(TENSOR_DIMENSIONS));
    t.stride = d.list(A(TENSOR_STRIDES));
    t.is_virtual = d.has(A(TENSOR_IS_VIRTUAL)) && d.get<bool>(A(TENSOR_IS_VIRTUAL));
    t.by_value = d.has(A(TENSOR_IS_BY_VALUE)) && d.get<bool>(A(TENSOR_IS_BY_VALUE));
    if (type != CUDNN_DATA_FLOAT && type != CUDNN_DATA_BFLOAT16)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE, "tensor %lld has data type %d, "
                      "expected float or bfloat16", (long long)t.uid, type);
    t.type = type == CUDNN_DATA_FLOAT ? storage::f32 : storage::bf16;
    if (t.alignment < size_of(t.type) || (t.alignment & (t.alignment - 1)))
        return refuse(BAD, "tensor %lld is aligned to %lld bytes", (long long)t.uid,
                      (long long)t.alignment);
    if (t.dim.size() != t.stride.size() || t.dim.size() < 3)
        return refuse(BAD, "tensor %lld has %zu sizes and %zu strides, expected 3 or more, as many",
                      (long long)t.uid, t.dim.size(), t.stride.size());
    for (size_t i = 0; i < t.dim.size(); i++)
        if (t.dim[i] < 1 || t.stride[i] < 1)
            return refuse(BAD, "tensor %lld has sizes %s and strides %s, expected 1 or more",
                          (long long)t.uid, text(t.dim).c_str(), text(t.stride).c_str());
    if (!is_distinct(t))
        return refuse(BAD, "tensor %lld: cells of %s fall on one another with strides %s",
                      (long long)t.uid, text(t.dim).c_str(), text(t.stride).c_str());
    if (t.is_virtual && t.by_value)
        return refuse(BAD, "tensor %lld is virtual and by value", (long long)t.uid);
    if (t.by_value && t.count() != 1)
        return refuse(BAD, "tensor %lld by value has sizes %s", (long long)t.uid,
                      text(t.dim).c_str());
    return OK;
}

cudnnStatus_t float_only(const descriptor &d, int name)
{
    if (d.get<int>(name) == CUDNN_DATA_FLOAT)
        return OK;
    return refuse(CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE, "attribute %d: compute type %d, expected "
                  "float", name, d.get<int>(name));
}

cudnnStatus_t interpret_convolution(descriptor &d)
{
    convolution &c = d.conv;
    int64_t axes = d.get<int64_t>(A(CONVOLUTION_SPATIAL_DIMS));
    TRY(float_only(d, A(CONVOLUTION_COMP_TYPE)));
    if (d.get<int>(A(CONVOLUTION_CONV_MODE)) != CUDNN_CROSS_CORRELATION)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "the mode is not cross-correlation");
    c.stride = d.list(A(CONVOLUTION_FILTER_STRIDES));
    c.dilation = d.list(A(CONVOLUTION_DILATIONS));
    c.lo = d.list(A(CONVOLUTION_PRE_PADDINGS));
    c.hi = d.list(A(CONVOLUTION_POST_PADDINGS));
    if (axes < 2 || axes > 3)
        return refuse(BAD, "%lld spatial dimensions, expected 2 or 3", (long long)axes);
    for (const sizes *s : { &c.stride, &c.dilation, &c.lo, &c.hi }) {
        if ((int64_t)s->size() != axes)
            return refuse(BAD, "a list of %zu for %lld spatial dimensions", s->size(),
                          (long long)axes);
        for (int64_t v : *s)
            if (v < (s == &c.lo || s == &c.hi ? 0 : 1))
                return refuse(BAD, "strides, dilations or paddings are %s", text(*s).c_str());
    }
    return OK;
}

cudnnStatus_t interpret_pointwise(descriptor &d)
{
    pointwise &p = d.pw;
    bool relu = false;
    TRY(float_only(d, A(POINTWISE_MATH_PREC)));
    int mode = d.get<int>(A(POINTWISE_MODE));
    switch (mode) {
    case CUDNN_POINTWISE_RELU_FWD:
        relu = true;
        break;
    case CUDNN_POINTWISE_ADD:
    case CUDNN_POINTWISE_SUB:
    case CUDNN_POINTWISE_MUL:
    case CUDNN_POINTWISE_MAX:
    case CUDNN_POINTWISE_MIN:
    case CUDNN_POINTWISE_SIGMOID_FWD:
    case CUDNN_POINTWISE_TANH_FWD:
    case CUDNN_POINTWISE_IDENTITY:
        break;
    default:
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "pointwise mode %d is not imitated", mode);
    }
    p.mode = (cudnnPointwiseMode_t)mode;
    p.has_upper = d.has(A(POINTWISE_RELU_UPPER_CLIP));
    if (!relu && (p.has_upper || d.has(A(POINTWISE_RELU_LOWER_CLIP)) ||
                  d.has(A(POINTWISE_RELU_LOWER_CLIP_SLOPE))))
        return refuse(BAD, "clips and slope are RELU's, the mode is %d", mode);
    p.lower = d.real(A(POINTWISE_RELU_LOWER_CLIP), 0);
    p.upper = d.real(A(POINTWISE_RELU_UPPER_CLIP), 0);
    p.slope = d.real(A(POINTWISE_RELU_LOWER_CLIP_SLOPE), 0);
    return OK;
}

/* x, w and y of a convolution in any of its three directions. */
cudnnStatus_t check_convolution(const operation &op, const tensor &x, const tensor &w,
                                const tensor &y)
{
    const convolution &c = op.conv;
    size_t rank = c.stride.size() + 2;
    sizes expected = x.dim;
    if (op.in[0].type != op.in[1].type)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE, "the inputs of a convolution have "
                      "different types");
    if (x.dim.size() != rank || w.dim.size() != rank || y.dim.size() != rank)
        return refuse(MISMATCH, "x %s, w %s, y %s: expected rank %zu", text(x.dim).c_str(),
                      text(w.dim).c_str(), text(y.dim).c_str(), rank);
    if (x.dim[1] % w.dim[1] || w.dim[0] % (x.dim[1] / w.dim[1]))
        return refuse(MISMATCH, "x %s and w %s make no whole groups", text(x.dim).c_str(),
                      text(w.dim).c_str());
    expected[1] = w.dim[0];
    for (size_t i = 0; i + 2 < rank; i++) {
        int64_t room = x.dim[i + 2] + c.lo[i] + c.hi[i] - c.dilation[i] * (w.dim[i + 2] - 1) - 1;
        expected[i + 2] = room < 0 ? 0 : room / c.stride[i] + 1;
    }
    if (y.dim != expected)
        return refuse(MISMATCH, "y is %s, expected %s of x %s and w %s", text(y.dim).c_str(),
                      text(expected).c_str(), text(x.dim).c_str(), text(w.dim).c_str());
    return OK;
}

cudnnStatus_t interpret_convolution_op(descriptor &d)
{
    operation &op = d.op;
#define TAKE(p, a, b, c)                                                                           \
    do {                                                                                           \
        op.in = { d.link(A(OPERATION_CONVOLUTION_##p##_##a))->shape,                               \
                  d.link(A(OPERATION_CONVOLUTION_##p##_##b))->shape };                             \
        op.out = d.link(A(OPERATION_CONVOLUTION_##p##_##c))->shape;                                \
        op.conv = d.link(A(OPERATION_CONVOLUTION_##p##_CONV_DESC))->conv;                          \
        op.alpha = d.real(A(OPERATION_CONVOLUTION_##p##_ALPHA), 1);                                \
        op.beta = d.real(A(OPERATION_CONVOLUTION_##p##_BETA), 0);                                  \
    } while (0)
    if (d.kind == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR) {
        op.kind = operation::forward;
        TAKE(FORWARD, X, W, Y);
        TRY(check_convolution(op, op.in[0], op.in[1], op.out));
    } else if (d.kind == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR) {
        op.kind = operation::data;
        TAKE(BWD_DATA, DY, W, DX);
        TRY(check_convolution(op, op.out, op.in[1], op.in[0]));
    } else {
        op.kind = operation::filter;
        TAKE(BWD_FILTER, X, DY, DW);
        TRY(check_convolution(op, op.in[0], op.out, op.in[1]));
    }
    if (op.beta != 0 && op.out.is_virtual)
        return refuse(BAD, "beta is %g, but the result is virtual", op.beta);
    return OK;
}

/* Sizes of 1 stand for any; `skip` last axes are not looked at. */
bool broadcasts(const sizes &from, const sizes &to, size_t skip)
{
    if (from.size() != to.size())
        return false;
    for (size_t i = 0; i + skip < to.size(); i++)
        if (from[i] != to[i] && from[i] != 1)
            return false;
    return true;
}

cudnnStatus_t interpret_pointwise_op(descriptor &d)
{
    operation &op = d.op;
    op.kind = operation::point;
    op.pw = d.link(A(OPERATION_POINTWISE_PW_DESCRIPTOR))->pw;
    op.in = { d.link(A(OPERATION_POINTWISE_XDESC))->shape };
    op.out = d.link(A(OPERATION_POINTWISE_YDESC))->shape;
    op.alpha = d.real(A(OPERATION_POINTWISE_ALPHA1), 1);
    op.alpha2 = d.real(A(OPERATION_POINTWISE_ALPHA2), 1);
    bool two = op.pw.mode < CUDNN_POINTWISE_ABS && op.pw.mode != CUDNN_POINTWISE_SQRT;
    if (two != d.has(A(OPERATION_POINTWISE_BDESC)))
        return refuse(BAD, "pointwise mode %d with%s a second input", op.pw.mode,
                      two ? "out" : "");
    if (!two && d.has(A(OPERATION_POINTWISE_ALPHA2)))
        return refuse(BAD, "pointwise mode %d with a second factor", op.pw.mode);
    if (two)
        op.in.push_back(d.link(A(OPERATION_POINTWISE_BDESC))->shape);
    if (op.in[0].dim != op.out.dim || (two && !broadcasts(op.in[1].dim, op.out.dim, 0)))
        return refuse(MISMATCH, "pointwise: x is %s, b %s, y %s: expected x as y, and b as y or 1",
                      text(op.in[0].dim).c_str(), text(op.in.back().dim).c_str(),
                      text(op.out.dim).c_str());
    return OK;
}

cudnnStatus_t interpret_product(descriptor &d)
{
    operation &op = d.op;
    op.kind = operation::product;
    op.in = { d.link(A(OPERATION_MATMUL_ADESC))->shape, d.link(A(OPERATION_MATMUL_BDESC))->shape };
    op.out = d.link(A(OPERATION_MATMUL_CDESC))->shape;
    const sizes &a = op.in[0].dim, &b = op.in[1].dim, &c = op.out.dim;
    size_t rank = c.size();
    if (op.in[0].type != op.in[1].type)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE, "a and b have different types");
    if (!broadcasts(a, c, 2) || !broadcasts(b, c, 2) || a[rank - 2] != c[rank - 2] ||
        b[rank - 1] != c[rank - 1] || a[rank - 1] != b[rank - 2])
        return refuse(MISMATCH, "a is %s, b %s, c %s: no matrix product", text(a).c_str(),
                      text(b).c_str(), text(c).c_str());
    return OK;
}

cudnnStatus_t interpret_graph(descriptor &d)
{
    auto g = std::make_shared<::graph>();
    std::vector<const operation *> left;
    std::set<int64_t> made, used;
    if (d.has(A(OPERATIONGRAPH_HANDLE)))
        g->handle = d.get<void *>(A(OPERATIONGRAPH_HANDLE));
    for (const descriptor_ref &o : d.set.at(A(OPERATIONGRAPH_OPS)).links) {
        left.push_back(&o->op);
        if (!made.insert(o->op.out.uid).second)
            return refuse(BAD, "tensor %lld is made twice", (long long)o->op.out.uid);
        std::vector<tensor> all = o->op.in;
        for (const tensor &t : all)
            used.insert(t.uid);
        all.push_back(o->op.out);
        for (const tensor &t : all)
            if (!(g->tensors.insert({ t.uid, t }).first->second == t))
                return refuse(CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES,
                              "identifier %lld names two different tensors", (long long)t.uid);
        if (o->op.out.by_value)
            return refuse(BAD, "result %lld is by value", (long long)o->op.out.uid);
    }
    for (auto &t : g->tensors)
        if (t.second.is_virtual && (!made.count(t.first) || !used.count(t.first)))
            return refuse(BAD, "tensor %lld is virtual, but is not both made and used in the graph",
                          (long long)t.first);
    while (!left.empty()) {
        size_t before = left.size();
        for (size_t i = 0; i < left.size();) {
            bool ready = true;
            for (const operation *o : left)
                for (const tensor &t : left[i]->in)
                    ready = ready && t.uid != o->out.uid;
            if (ready) {
                g->ops.push_back(*left[i]);
                left.erase(left.begin() + (long)i);
            } else {
                i++;
            }
        }
        if (left.size() == before)
            return refuse(BAD, "operations depend on each other in a circle");
    }
    d.graph = g;
    return OK;
}

cudnnStatus_t interpret_pack(descriptor &d)
{
    sizes uids = d.list(A(VARIANT_PACK_UNIQUE_IDS));
    std::set<int64_t> seen(uids.begin(), uids.end());
    if (seen.size() != uids.size())
        return refuse(CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES, "an identifier is named twice");
    if (uids.size() != (size_t)d.set.at(A(VARIANT_PACK_DATA_POINTERS)).count)
        return refuse(BAD, "%zu identifiers, but %lld addresses", uids.size(),
                      (long long)d.set.at(A(VARIANT_PACK_DATA_POINTERS)).count);
    return OK;
}

bool all_bf16(const graph &g)
{
    return g.ops[0].kind != operation::point && g.ops[0].in[0].type == storage::bf16;
}

struct range {
    const tensor *t; /* NULL: the workspace */
    uintptr_t from, to;
    bool is_out, only_pointwise;
};

/* A result may only stand where nothing else does, or exactly on what a pointwise operation reads
 * cell by cell. */
cudnnStatus_t check_overlap(const std::vector<range> &all)
{
    for (const range &o : all)
        for (const range &r : all) {
            if (&o == &r || !o.is_out || o.to <= r.from || r.to <= o.from)
                continue;
            if (o.t && r.t && r.only_pointwise && !r.is_out && o.from == r.from &&
                o.t->dim == r.t->dim && o.t->stride == r.t->stride && o.t->type == r.t->type)
                continue;
            return refuse(BAD, "tensor %lld is written over other memory of the same execution",
                          o.t ? (long long)o.t->uid : -1LL);
        }
    return OK;
}

cudnnStatus_t check_place(const void *p, int64_t bytes, int64_t alignment, long long uid)
{
    if (!p)
        return refuse(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "the address of %lld is NULL", uid);
    if ((uintptr_t)p % (uintptr_t)alignment)
        return refuse(CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER, "the address of %lld is no "
                      "multiple of %lld", uid, (long long)alignment);
    if (!emulated_owns(p, (uint64_t)bytes))
        return refuse(BAD, "%lld bytes of %lld are not in device memory", (long long)bytes, uid);
    return OK;
}

bool only_pointwise_reads(const graph &g, int64_t uid)
{
    for (const operation &op : g.ops)
        for (const tensor &t : op.in)
            if (t.uid == uid && op.kind != operation::point)
                return false;
    return true;
}

} // namespace

cudnnStatus_t interpret(descriptor &d)
{
    switch (d.kind) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR:
        return interpret_tensor(d);
    case CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR:
        return interpret_convolution(d);
    case CUDNN_BACKEND_POINTWISE_DESCRIPTOR:
        return interpret_pointwise(d);
    case CUDNN_BACKEND_MATMUL_DESCRIPTOR:
        return float_only(d, A(MATMUL_COMP_TYPE));
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
        return interpret_pointwise_op(d);
    case CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR:
        return interpret_product(d);
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
        return interpret_graph(d);
    case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR:
        return interpret_pack(d);
    default:
        return interpret_convolution_op(d);
    }
}

std::vector<int> engines_of(const graph &g, bool fallback, const std::string &behaviour)
{
    for (const operation &op : g.ops) {
        if (op.kind == operation::point || op.kind == operation::product)
            continue;
        int64_t whole = op.in[0].type == storage::bf16 ? 8 : 4;
        const tensor &x = op.kind == operation::data ? op.out : op.in[0];
        const tensor &w = op.kind == operation::filter ? op.out : op.in[1];
        if (behaviour == "unaligned" && (x.dim[1] % whole || w.dim[0] % whole))
            return {};
        if (behaviour == "f32_dw" && op.kind == operation::filter &&
            op.in[0].type == storage::bf16 && op.out.type == storage::f32)
            return {};
    }
    if (behaviour == "no_engines" || (behaviour == "no_fusion" && g.ops.size() > 1))
        return {};
    if (fallback)
        return { ENGINE_FALLBACK };
    if (all_bf16(g))
        return { ENGINE_NOISY, ENGINE_PLAIN };
    return { ENGINE_NOISY, ENGINE_TF32, ENGINE_PLAIN };
}

std::vector<cudnnBackendNumericalNote_t> notes_of(const graph &g, int engine)
{
    std::vector<cudnnBackendNumericalNote_t> notes;
    if (engine == ENGINE_TF32 || (all_bf16(g) && engine != ENGINE_FALLBACK))
        notes.push_back(CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
    if (engine == ENGINE_NOISY)
        notes.push_back(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC);
    return notes;
}

std::vector<cudnnBackendBehaviorNote_t> behaviour_of(const graph &g, int)
{
    if (g.ops.size() > 1)
        return { CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION };
    return {};
}

int64_t workspace_of(const graph &g, int engine)
{
    return engine == ENGINE_PLAIN ? 1040 + 16 * (int64_t)g.ops.size() : 0;
}

cudnnStatus_t prepare_execution(const descriptor &plan, const descriptor &pack, execution *out)
{
    std::shared_ptr<const ::graph> g = plan.graph;
    sizes uids = pack.list(A(VARIANT_PACK_UNIQUE_IDS));
    void *const *given = (void *const *)pack.set.at(A(VARIANT_PACK_DATA_POINTERS)).bytes.data();
    std::map<int64_t, void *> at;
    std::map<int64_t, std::vector<char>> values;
    std::vector<range> ranges;
    int64_t room = workspace_of(*g, plan.engine);
    void *workspace = nullptr;
    static unsigned runs;
    if (pack.has(A(VARIANT_PACK_WORKSPACE)))
        workspace = pack.get<void *>(A(VARIANT_PACK_WORKSPACE));
    for (size_t i = 0; i < uids.size(); i++) {
        auto t = g->tensors.find(uids[i]);
        if (t == g->tensors.end() || t->second.is_virtual)
            return refuse(BAD, "the variant pack names tensor %lld, which the plan does not read "
                          "or write", (long long)uids[i]);
        at[uids[i]] = given[i];
    }
    for (auto &entry : g->tensors) {
        const tensor &t = entry.second;
        if (t.is_virtual)
            continue;
        if (!at.count(t.uid))
            return refuse(BAD, "the variant pack lacks tensor %lld", (long long)t.uid);
        void *p = at[t.uid];
        if (t.by_value) {
            if (!p)
                return refuse(BAD, "the value of tensor %lld is NULL", (long long)t.uid);
            values[t.uid].assign((char *)p, (char *)p + size_of(t.type));
            continue;
        }
        TRY(check_place(p, t.span(), t.alignment, t.uid));
        bool is_out = false;
        for (const operation &op : g->ops)
            is_out = is_out || op.out.uid == t.uid;
        ranges.push_back({ &t, (uintptr_t)p, (uintptr_t)p + (uintptr_t)t.span(), is_out,
                           only_pointwise_reads(*g, t.uid) });
    }
    if (room) {
        TRY(check_place(workspace, room, 16, -1));
        ranges.push_back({ nullptr, (uintptr_t)workspace, (uintptr_t)workspace + (uintptr_t)room,
                           true, false });
    }
    TRY(check_overlap(ranges));
    habits how;
    how.tf32 = plan.engine == ENGINE_TF32;
    if (plan.engine == ENGINE_NOISY)
        how.noise = runs++ % 2 ? 0.03 : -0.03;
    *out = [g, at, values, workspace, room, how]() {
        std::map<int64_t, void *> places = at;
        std::map<int64_t, std::vector<char>> copies = values;
        for (auto &v : copies)
            places[v.first] = v.second.data();
        run_graph(g->ops, places, how);
        if (room)
            std::memset(workspace, 0xff, (size_t)room);
    };
    return OK;
}
