/* SPDX-License-Identifier: Apache-2.0
 *
 * The arithmetic of the stand-in for cuDNN: plain loops over the descriptors' dimensions and
 * strides, sums in double. A tensor that no memory belongs to is rounded to its type all the same.
 */
#include "tests/cuda/graph.h"

#include <algorithm>
#include <cmath>
#include <functional>

typedef std::vector<double> values; /* dense, the order of tensor.dim */

namespace
{

/* Calls fn(offset) for the cells of dim in their order. */
template <class F> void each_cell(const sizes &dim, const sizes &stride, F fn)
{
    sizes at(dim.size(), 0);
    for (int64_t offset = 0;;) {
        fn(offset);
        size_t i = dim.size();
        for (; i > 0; i--) {
            offset += stride[i - 1];
            if (++at[i - 1] < dim[i - 1])
                break;
            offset -= dim[i - 1] * stride[i - 1];
            at[i - 1] = 0;
        }
        if (i == 0)
            return;
    }
}

values load(const tensor &t, const void *from)
{
    values v;
    v.reserve((size_t)t.count());
    each_cell(t.dim, t.stride, [&](int64_t o) { v.push_back(read_at(t.type, from, o)); });
    return v;
}

void store(const tensor &t, const values &v, void *to)
{
    size_t i = 0;
    each_cell(t.dim, t.stride, [&](int64_t o) { write_at(t.type, to, o, v[i++]); });
}

sizes dense(const sizes &dim)
{
    sizes s(dim.size(), 1);
    for (size_t i = dim.size() - 1; i > 0; i--)
        s[i - 1] = s[i] * dim[i];
    return s;
}

/* Strides in `dim` order of memory in which the axes `order` follow one another. */
sizes strides_of(const sizes &dim, const std::vector<size_t> &order)
{
    sizes s(dim.size());
    int64_t step = 1;
    for (size_t i = order.size(); i > 0; i--) {
        s[order[i - 1]] = step;
        step *= dim[order[i - 1]];
    }
    return s;
}

/* [a,b,*] as [a,*,b], or as [*,b,a]. */
sizes channels_last(const sizes &dim, bool weights)
{
    std::vector<size_t> order;
    if (!weights)
        order.push_back(0);
    for (size_t i = 2; i < dim.size(); i++)
        order.push_back(i);
    order.push_back(1);
    if (weights)
        order.push_back(0);
    return strides_of(dim, order);
}

values turned(const sizes &dim, const sizes &stride, const values &v)
{
    values to(v.size());
    size_t i = 0;
    each_cell(dim, stride, [&](int64_t o) { to[(size_t)o] = v[i++]; });
    return to;
}

values turned_back(const sizes &dim, const sizes &stride, const values &v)
{
    values to;
    to.reserve(v.size());
    each_cell(dim, stride, [&](int64_t o) { to.push_back(v[(size_t)o]); });
    return to;
}

/* Three spatial axes, the missing ones in front with size 1. */
struct window {
    int64_t x[3], y[3], kernel[3], stride[3], dilation[3], lo[3];
    int64_t n, c, k, per_group, groups; /* per_group: channels of x */
};

void fill3(int64_t to[3], const sizes &from, size_t skip, int64_t preset)
{
    size_t axes = from.size() - skip;
    for (size_t i = 0; i < 3; i++)
        to[i] = i < 3 - axes ? preset : from[skip + i - (3 - axes)];
}

window window_of(const convolution &c, const sizes &x, const sizes &w, const sizes &y)
{
    window d;
    fill3(d.x, x, 2, 1);
    fill3(d.y, y, 2, 1);
    fill3(d.kernel, w, 2, 1);
    fill3(d.stride, c.stride, 0, 1);
    fill3(d.dilation, c.dilation, 0, 1);
    fill3(d.lo, c.lo, 0, 0);
    d.n = x[0];
    d.c = x[1];
    d.k = w[0];
    d.per_group = w[1];
    d.groups = x[1] / w[1];
    return d;
}

/* Calls fn(cell of x, cell of y, tap) for all that meet. */
template <class F> void each_pair(const window &d, F fn)
{
    int64_t q[3], t[3], p[3];
    for (int64_t n = 0, y = 0; n < d.n; n++)
        for (q[0] = 0; q[0] < d.y[0]; q[0]++)
            for (q[1] = 0; q[1] < d.y[1]; q[1]++)
                for (q[2] = 0; q[2] < d.y[2]; q[2]++, y++)
                    for (t[0] = 0; t[0] < d.kernel[0]; t[0]++)
                        for (t[1] = 0; t[1] < d.kernel[1]; t[1]++)
                            for (t[2] = 0; t[2] < d.kernel[2]; t[2]++) {
                                bool inside = true;
                                for (int i = 0; i < 3; i++) {
                                    p[i] = q[i] * d.stride[i] + t[i] * d.dilation[i] - d.lo[i];
                                    inside = inside && p[i] >= 0 && p[i] < d.x[i];
                                }
                                if (inside)
                                    fn(((n * d.x[0] + p[0]) * d.x[1] + p[1]) * d.x[2] + p[2], y,
                                       (t[0] * d.kernel[1] + t[1]) * d.kernel[2] + t[2]);
                            }
}

/* x [cell,c], y [cell,k], w [tap,c/groups,k]. */
void multiply(operation::what kind, const window &d, double *x, double *y, double *w)
{
    int64_t wide = d.k / d.groups;
    each_pair(d, [&](int64_t cx, int64_t cy, int64_t tap) {
        for (int64_t g = 0; g < d.groups; g++)
            for (int64_t c = 0; c < d.per_group; c++) {
                double *px = x + cx * d.c + g * d.per_group + c;
                double *py = y + cy * d.k + g * wide;
                double *pw = w + (tap * d.per_group + c) * d.k + g * wide;
                if (kind == operation::forward) {
                    double v = *px;
                    for (int64_t j = 0; j < wide; j++)
                        py[j] += v * pw[j];
                } else if (kind == operation::data) {
                    double v = 0;
                    for (int64_t j = 0; j < wide; j++)
                        v += py[j] * pw[j];
                    *px += v;
                } else {
                    double v = *px;
                    for (int64_t j = 0; j < wide; j++)
                        pw[j] += v * py[j];
                }
            }
    });
}

values convolve(const operation &op, const values &first, const values &second)
{
    bool forward = op.kind == operation::forward, data = op.kind == operation::data;
    const tensor &x = data ? op.out : op.in[0];
    const tensor &w = op.kind == operation::filter ? op.out : op.in[1];
    const tensor &y = forward ? op.out : data ? op.in[0] : op.in[1];
    window d = window_of(op.conv, x.dim, w.dim, y.dim);
    sizes sx = channels_last(x.dim, false), sy = channels_last(y.dim, false);
    sizes sw = channels_last(w.dim, true);
    values zero((size_t)op.out.count(), 0.0);
    values vx = data ? zero : turned(x.dim, sx, first);
    values vw = op.kind == operation::filter ? zero : turned(w.dim, sw, second);
    values vy = forward ? zero : turned(y.dim, sy, data ? first : second);
    multiply(op.kind, d, vx.data(), vy.data(), vw.data());
    if (forward)
        return turned_back(y.dim, sy, vy);
    return data ? turned_back(x.dim, sx, vx) : turned_back(w.dim, sw, vw);
}

/* Strides of `from` where sizes of 1 stand for all of `to`. */
sizes broadcast(const sizes &from, const sizes &to)
{
    sizes s = dense(from);
    for (size_t i = 0; i < s.size(); i++)
        if (from[i] == 1 && to[i] != 1)
            s[i] = 0;
    return s;
}

double apply(const pointwise &p, double a, double b)
{
    switch (p.mode) {
    case CUDNN_POINTWISE_ADD:
        return a + b;
    case CUDNN_POINTWISE_SUB:
        return a - b;
    case CUDNN_POINTWISE_MUL:
        return a * b;
    case CUDNN_POINTWISE_MAX:
        return a > b ? a : b;
    case CUDNN_POINTWISE_MIN:
        return a < b ? a : b;
    case CUDNN_POINTWISE_RELU_FWD:
        if (p.has_upper && a > p.upper)
            return p.upper;
        return a > p.lower ? a : p.slope ? p.lower + (a - p.lower) * p.slope : a != a ? a : p.lower;
    case CUDNN_POINTWISE_SIGMOID_FWD:
        return 1 / (1 + std::exp(-a));
    case CUDNN_POINTWISE_TANH_FWD:
        return std::tanh(a);
    default:
        return a; /* IDENTITY: finalising let no other one through */
    }
}

values pointwise_of(const operation &op, const values &a, const values *b)
{
    const sizes &to = op.out.dim;
    sizes sa = broadcast(op.in[0].dim, to), sb = b ? broadcast(op.in[1].dim, to) : sa;
    std::vector<int64_t> at_b;
    if (b)
        each_cell(to, sb, [&](int64_t o) { at_b.push_back(o); });
    values y;
    y.reserve((size_t)op.out.count());
    each_cell(to, sa, [&](int64_t o) {
        double second = b ? op.alpha2 * (*b)[(size_t)at_b[y.size()]] : 0;
        y.push_back(apply(op.pw, op.alpha * a[(size_t)o], second));
    });
    return y;
}

/* [*,m,k] by [*,k,n]; leading sizes of 1 stand for all. */
values product_of(const operation &op, const values &a, const values &b)
{
    const sizes &to = op.out.dim;
    size_t rank = to.size();
    int64_t k = op.in[0].dim[rank - 1];
    sizes sa = broadcast(op.in[0].dim, to), sb = broadcast(op.in[1].dim, to);
    int64_t step_a = 1, step_b = dense(op.in[1].dim)[rank - 2];
    sa[rank - 1] = 0;
    sa[rank - 2] = k;
    sb[rank - 2] = 0;
    sb[rank - 1] = 1;
    std::vector<int64_t> at_b;
    each_cell(to, sb, [&](int64_t o) { at_b.push_back(o); });
    values y;
    each_cell(to, sa, [&](int64_t o) {
        double sum = 0;
        int64_t ob = at_b[y.size()];
        for (int64_t i = 0; i < k; i++)
            sum += a[(size_t)(o + i * step_a)] * b[(size_t)(ob + i * step_b)];
        y.push_back(sum);
    });
    return y;
}

} // namespace

void run_graph(const std::vector<operation> &ops, const std::map<int64_t, void *> &at,
               const habits &how)
{
    std::map<int64_t, values> known;
    for (const operation &op : ops) {
        std::vector<values> in;
        for (const tensor &t : op.in) {
            if (!known.count(t.uid))
                known[t.uid] = load(t, at.at(t.uid));
            in.push_back(known[t.uid]);
            if (how.tf32 && op.kind != operation::point && t.type == storage::f32)
                for (double &v : in.back())
                    v = to_tf32(v);
        }
        values y;
        if (op.kind == operation::point) {
            y = pointwise_of(op, in[0], in.size() > 1 ? &in[1] : nullptr);
        } else {
            values old;
            if (op.beta != 0)
                old = load(op.out, at.at(op.out.uid));
            y = op.kind == operation::product ? product_of(op, in[0], in[1])
                                              : convolve(op, in[0], in[1]);
            for (size_t i = 0; i < y.size(); i++)
                y[i] = op.alpha * y[i] * (1 + how.noise) + (old.empty() ? 0 : op.beta * old[i]);
        }
        for (double &v : y)
            v = rounded(op.out.type, v);
        known[op.out.uid] = std::move(y);
    }
    for (const operation &op : ops)
        if (!op.out.is_virtual)
            store(op.out, known[op.out.uid], at.at(op.out.uid));
}
