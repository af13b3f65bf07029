/* SPDX-License-Identifier: Apache-2.0
 *
 * Ops that move elements without changing them: reshape, transpose, broadcast, concat, slice, pad.
 * They work for every dtype. A builder whose op would change nothing gives back its input.
 */
#include <string.h>

#include "libgen/ops/list.h"
#include "libgen/ops/shape_rules.h"
#include "libgen/ops/strides.h"

static gen_cost no_flops(const gen_node *n)
{
    (void)n;
    return (gen_cost){ .flops = 0 };
}

/* Cells before, along and behind an axis: [outer, size, inner]. */
typedef struct lines {
    int64_t outer, size, inner;
} lines;

static lines lines_of(gen_shape s, int64_t axis)
{
    lines l = { .outer = 1, .size = s.dim[axis], .inner = 1 };
    for (int i = 0; i < axis; i++)
        l.outer *= s.dim[i];
    for (int i = (int)axis + 1; i < s.rank; i++)
        l.inner *= s.dim[i];
    return l;
}

static gen_status check_axis(int64_t axis, gen_shape s)
{
    char text[GEN_SHAPE_TEXT];
    if (axis < 0 || axis >= s.rank)
        return gen_fail(GEN_EINVAL, "axis is %lld, expected 0 to %d for x %s", (long long)axis,
                        s.rank - 1, gen_shape_text(s, text));
    return GEN_OK;
}

/* ---- reshape ------------------------------------------------------------------------------- */

static gen_status reshape_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    gen_shape to = gen_shape_from_attr(n->attr), from = gen_node_shape(n->in[0]);
    char a[GEN_SHAPE_TEXT], b[GEN_SHAPE_TEXT];
    if (gen_shape_count(to) != gen_shape_count(from))
        return gen_fail(GEN_EINVAL, "x is %s, expected the number of elements of %s",
                        gen_shape_text(from, a), gen_shape_text(to, b));
    shape[0] = to;
    dtype[0] = gen_node_dtype(n->in[0]);
    return GEN_OK;
}

static void reshape_grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                         gen_node *dx[])
{
    if (needs[0])
        dx[0] = gen_reshape(g, dy[0], gen_node_shape(n->in[0]));
}

static void reshape_ref(const gen_node *n, const double *const in[], double *const out[])
{
    memcpy(out[0], in[0], (size_t)gen_shape_count(n->shape[0]) * sizeof(double));
}

const gen_op gen_op_reshape = {
    .name = "reshape",
    .flags = GEN_OP_VIEW,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(gen_shape_attr),
    .infer = reshape_infer,
    .grad = reshape_grad,
    .ref = reshape_ref,
    .cost = no_flops,
};

/* The one dim of -1, if any, becomes what is left of `count`. */
static void fill_in(gen_shape *s, int64_t count)
{
    int64_t known = 1, *open = NULL;
    for (int i = 0; i < s->rank; i++) {
        if (s->dim[i] == -1 && !open)
            open = &s->dim[i];
        else if (s->dim[i] < 1 || known > count / s->dim[i])
            return; /* refused by infer */
        else
            known *= s->dim[i];
    }
    if (open && count % known == 0)
        *open = count / known;
}

gen_node *gen_reshape(gen_graph *g, gen_node *x, gen_shape shape)
{
    if (shape.rank < 0 || shape.rank > GEN_MAX_RANK)
        return gen_graph_fail(g, "reshape", "rank is %d, expected 0 to %d", shape.rank,
                              GEN_MAX_RANK);
    if (x)
        fill_in(&shape, gen_shape_count(gen_node_shape(x)));
    if (x && gen_shape_equal(gen_node_shape(x), shape))
        return x;
    gen_shape_attr attr = gen_shape_to_attr(shape);
    return gen_node_add(g, &gen_op_reshape, &attr, &x, 1);
}

/* ---- transpose ----------------------------------------------------------------------------- */

static gen_status transpose_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    const gen_transpose_attr *k = n->attr;
    gen_shape s = gen_node_shape(n->in[0]);
    unsigned seen = 0;
    shape[0].rank = s.rank;
    for (int i = 0; i < s.rank; i++) {
        int64_t from = k->order[i];
        if (from < 0 || from >= s.rank || seen >> from & 1)
            return gen_fail(GEN_EINVAL, "order[%d] is %lld, expected each of 0 to %d once", i,
                            (long long)from, s.rank - 1);
        seen |= 1u << from;
        shape[0].dim[i] = s.dim[from];
    }
    dtype[0] = gen_node_dtype(n->in[0]);
    return GEN_OK;
}

static void transpose_grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                           gen_node *dx[])
{
    const gen_transpose_attr *k = n->attr;
    int back[GEN_MAX_RANK] = { 0 };
    for (int i = 0; i < n->shape[0].rank; i++)
        back[k->order[i]] = i;
    if (needs[0])
        dx[0] = gen_transpose(g, dy[0], back);
}

static void transpose_ref(const gen_node *n, const double *const in[], double *const out[])
{
    const gen_transpose_attr *k = n->attr;
    gen_walk w = { .shape = n->shape[0] };
    int64_t step[GEN_MAX_RANK], count = gen_shape_count(n->shape[0]);
    gen_steps_dense(gen_node_shape(n->in[0]), step);
    for (int i = 0; i < w.shape.rank; i++)
        w.step[0][i] = step[k->order[i]];
    for (int64_t i = 0; i < count; i++, gen_walk_next(&w))
        out[0][i] = in[0][w.offset[0]];
}

static const gen_option transpose_options[] = {
    { .type = GEN_OPT_INT3, .name = "order", .offset = offsetof(gen_transpose_attr, order) },
    { .type = GEN_OPT_INT3, .name = "order3", .offset = offsetof(gen_transpose_attr, order[3]) },
    { .type = GEN_OPT_INT3, .name = "order6", .offset = offsetof(gen_transpose_attr, order[6]) },
    { .type = GEN_OPT_END },
};

const gen_op gen_op_transpose = {
    .name = "transpose",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(gen_transpose_attr),
    .attrs = transpose_options,
    .infer = transpose_infer,
    .grad = transpose_grad,
    .ref = transpose_ref,
    .cost = no_flops,
};

gen_node *gen_transpose(gen_graph *g, gen_node *x, const int order[GEN_MAX_RANK])
{
    gen_transpose_attr attr = { .order = { 0 } };
    int rank = gen_node_shape(x).rank;
    bool moves = false;
    for (int i = 0; i < rank; i++) {
        attr.order[i] = order[i];
        moves |= order[i] != i;
    }
    return x && !moves ? x : gen_node_add(g, &gen_op_transpose, &attr, &x, 1);
}

/* ---- broadcast ----------------------------------------------------------------------------- */

static gen_status broadcast_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    gen_shape to = gen_shape_from_attr(n->attr), from = gen_node_shape(n->in[0]);
    int64_t step[GEN_MAX_RANK];
    char a[GEN_SHAPE_TEXT], b[GEN_SHAPE_TEXT];
    if (gen_shape_count(to) < 1 || !gen_steps_under(from, to, step))
        return gen_fail(GEN_EINVAL, "x is %s, expected sizes that are 1 or those of %s",
                        gen_shape_text(from, a), gen_shape_text(to, b));
    shape[0] = to;
    dtype[0] = gen_node_dtype(n->in[0]);
    return GEN_OK;
}

static void broadcast_grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                           gen_node *dx[])
{
    if (needs[0])
        dx[0] = gen_sum_to(g, dy[0], gen_node_shape(n->in[0]));
}

static void broadcast_ref(const gen_node *n, const double *const in[], double *const out[])
{
    gen_walk w = { .shape = n->shape[0] };
    int64_t count = gen_shape_count(n->shape[0]);
    gen_steps_under(gen_node_shape(n->in[0]), w.shape, w.step[0]);
    for (int64_t i = 0; i < count; i++, gen_walk_next(&w))
        out[0][i] = in[0][w.offset[0]];
}

const gen_op gen_op_broadcast = {
    .name = "broadcast",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(gen_shape_attr),
    .infer = broadcast_infer,
    .grad = broadcast_grad,
    .ref = broadcast_ref,
    .cost = no_flops,
};

gen_node *gen_broadcast(gen_graph *g, gen_node *x, gen_shape shape)
{
    if (shape.rank < 0 || shape.rank > GEN_MAX_RANK)
        return gen_graph_fail(g, "broadcast", "rank is %d, expected 0 to %d", shape.rank,
                              GEN_MAX_RANK);
    if (x && gen_shape_equal(gen_node_shape(x), shape))
        return x;
    gen_shape_attr attr = gen_shape_to_attr(shape);
    return gen_node_add(g, &gen_op_broadcast, &attr, &x, 1);
}

/* ---- concat -------------------------------------------------------------------------------- */

static gen_status concat_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    const gen_concat_attr *k = n->attr;
    gen_shape first = gen_node_shape(n->in[0]), sum = first;
    char a[GEN_SHAPE_TEXT], b[GEN_SHAPE_TEXT];
    GEN_TRY(check_axis(k->axis, first));
    dtype[0] = gen_node_dtype(n->in[0]);
    for (int i = 1; i < n->n_in; i++) {
        gen_shape s = gen_node_shape(n->in[i]), like = first;
        if (s.rank == first.rank)
            like.dim[k->axis] = s.dim[k->axis];
        if (!gen_shape_equal(s, like))
            return gen_fail(GEN_EINVAL, "x[%d] is %s, expected %s except along axis %lld", i,
                            gen_shape_text(s, a), gen_shape_text(first, b), (long long)k->axis);
        if (gen_node_dtype(n->in[i]) != dtype[0])
            return gen_fail(GEN_EINVAL, "x[%d] is %s, expected %s as x[0]", i,
                            gen_dtype_name(gen_node_dtype(n->in[i])), gen_dtype_name(dtype[0]));
        sum.dim[k->axis] += s.dim[k->axis];
    }
    shape[0] = sum;
    return GEN_OK;
}

static void concat_grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                        gen_node *dx[])
{
    int axis = (int)((const gen_concat_attr *)n->attr)->axis;
    int64_t first = 0;
    for (int i = 0; i < n->n_in; i++) {
        int64_t size = gen_node_shape(n->in[i]).dim[axis];
        if (needs[i])
            dx[i] = gen_slice(g, dy[0], axis, first, size);
        first += size;
    }
}

static void concat_ref(const gen_node *n, const double *const in[], double *const out[])
{
    int64_t axis = ((const gen_concat_attr *)n->attr)->axis;
    lines y = lines_of(n->shape[0], axis);
    int64_t first = 0;
    for (int i = 0; i < n->n_in; i++) {
        lines x = lines_of(gen_node_shape(n->in[i]), axis);
        int64_t run = x.size * x.inner;
        for (int64_t o = 0; o < x.outer; o++)
            memcpy(out[0] + (o * y.size + first) * y.inner, in[i] + o * run,
                   (size_t)run * sizeof(double));
        first += x.size;
    }
}

static const gen_option concat_options[] = {
    { .type = GEN_OPT_INT,
      .name = "axis",
      .offset = offsetof(gen_concat_attr, axis),
      .preset = -1 },
    { .type = GEN_OPT_END },
};

const gen_op gen_op_concat = {
    .name = "concat",
    .min_in = 1,
    .max_in = INT32_MAX,
    .n_out = 1,
    .attr_size = sizeof(gen_concat_attr),
    .attrs = concat_options,
    .infer = concat_infer,
    .grad = concat_grad,
    .ref = concat_ref,
    .cost = no_flops,
};

gen_node *gen_concat(gen_graph *g, int axis, gen_node *const x[], int n)
{
    if (n == 1 && x[0] && axis >= 0 && axis < gen_node_shape(x[0]).rank)
        return x[0];
    return gen_node_add(g, &gen_op_concat, &(gen_concat_attr){ .axis = axis }, x, n);
}

/* ---- slice --------------------------------------------------------------------------------- */

static gen_status slice_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    const gen_slice_attr *k = n->attr;
    gen_shape s = gen_node_shape(n->in[0]);
    char text[GEN_SHAPE_TEXT];
    GEN_TRY(check_axis(k->axis, s));
    int64_t size = s.dim[k->axis];
    if (k->first < 0 || k->count < 1 || k->first >= size || k->count > size - k->first)
        return gen_fail(GEN_EINVAL,
                        "slice is %lld cells from %lld along axis %lld, expected it inside x %s",
                        (long long)k->count, (long long)k->first, (long long)k->axis,
                        gen_shape_text(s, text));
    s.dim[k->axis] = k->count;
    shape[0] = s;
    dtype[0] = gen_node_dtype(n->in[0]);
    return GEN_OK;
}

static void slice_grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                       gen_node *dx[])
{
    const gen_slice_attr *k = n->attr;
    int64_t lo[GEN_MAX_RANK] = { 0 }, hi[GEN_MAX_RANK] = { 0 };
    lo[k->axis] = k->first;
    hi[k->axis] = gen_node_shape(n->in[0]).dim[k->axis] - k->first - k->count;
    if (needs[0])
        dx[0] = gen_pad(g, dy[0], lo, hi, 0);
}

static void slice_ref(const gen_node *n, const double *const in[], double *const out[])
{
    const gen_slice_attr *k = n->attr;
    lines x = lines_of(gen_node_shape(n->in[0]), k->axis);
    int64_t run = k->count * x.inner;
    for (int64_t o = 0; o < x.outer; o++)
        memcpy(out[0] + o * run, in[0] + (o * x.size + k->first) * x.inner,
               (size_t)run * sizeof(double));
}

static const gen_option slice_options[] = {
    { .type = GEN_OPT_INT,
      .name = "axis",
      .offset = offsetof(gen_slice_attr, axis),
      .preset = -1 },
    { .type = GEN_OPT_INT,
      .name = "first",
      .offset = offsetof(gen_slice_attr, first),
      .preset = -1 },
    { .type = GEN_OPT_INT, .name = "count", .offset = offsetof(gen_slice_attr, count) },
    { .type = GEN_OPT_END },
};

const gen_op gen_op_slice = {
    .name = "slice",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(gen_slice_attr),
    .attrs = slice_options,
    .infer = slice_infer,
    .grad = slice_grad,
    .ref = slice_ref,
    .cost = no_flops,
};

gen_node *gen_slice(gen_graph *g, gen_node *x, int axis, int64_t first, int64_t count)
{
    gen_shape s = gen_node_shape(x);
    if (x && axis >= 0 && axis < s.rank && first == 0 && count == s.dim[axis])
        return x;
    gen_slice_attr attr = { .axis = axis, .first = first, .count = count };
    return gen_node_add(g, &gen_op_slice, &attr, &x, 1);
}

/* ---- pad ----------------------------------------------------------------------------------- */

static gen_status pad_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    const gen_pad_attr *k = n->attr;
    gen_shape s = gen_node_shape(n->in[0]);
    for (int i = 0; i < s.rank; i++) {
        if (k->lo[i] < 0 || k->hi[i] < 0 || k->lo[i] > INT32_MAX || k->hi[i] > INT32_MAX)
            return gen_fail(GEN_EINVAL, "pad along axis %d is %lld,%lld, expected 0 or more", i,
                            (long long)k->lo[i], (long long)k->hi[i]);
        s.dim[i] += k->lo[i] + k->hi[i];
    }
    shape[0] = s;
    dtype[0] = gen_node_dtype(n->in[0]);
    return GEN_OK;
}

static void pad_grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                     gen_node *dx[])
{
    const gen_pad_attr *k = n->attr;
    gen_shape s = gen_node_shape(n->in[0]);
    gen_node *d = dy[0];
    for (int i = 0; i < s.rank; i++)
        d = gen_slice(g, d, i, k->lo[i], s.dim[i]);
    if (needs[0])
        dx[0] = d;
}

static void pad_ref(const gen_node *n, const double *const in[], double *const out[])
{
    const gen_pad_attr *k = n->attr;
    gen_walk w = { .shape = gen_node_shape(n->in[0]) };
    int64_t count = gen_shape_count(n->shape[0]);
    for (int64_t i = 0; i < count; i++)
        out[0][i] = k->value;
    gen_steps_dense(n->shape[0], w.step[0]);
    for (int i = 0; i < w.shape.rank; i++)
        w.offset[0] += k->lo[i] * w.step[0][i];
    count = gen_shape_count(w.shape);
    for (int64_t i = 0; i < count; i++, gen_walk_next(&w))
        out[0][w.offset[0]] = in[0][i];
}

static const gen_option pad_options[] = {
    { .type = GEN_OPT_INT3, .name = "lo", .offset = offsetof(gen_pad_attr, lo) },
    { .type = GEN_OPT_INT3, .name = "lo3", .offset = offsetof(gen_pad_attr, lo[3]) },
    { .type = GEN_OPT_INT3, .name = "lo6", .offset = offsetof(gen_pad_attr, lo[6]) },
    { .type = GEN_OPT_INT3, .name = "hi", .offset = offsetof(gen_pad_attr, hi) },
    { .type = GEN_OPT_INT3, .name = "hi3", .offset = offsetof(gen_pad_attr, hi[3]) },
    { .type = GEN_OPT_INT3, .name = "hi6", .offset = offsetof(gen_pad_attr, hi[6]) },
    { .type = GEN_OPT_REAL, .name = "value", .offset = offsetof(gen_pad_attr, value) },
    { .type = GEN_OPT_END },
};

const gen_op gen_op_pad = {
    .name = "pad",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(gen_pad_attr),
    .attrs = pad_options,
    .infer = pad_infer,
    .grad = pad_grad,
    .ref = pad_ref,
    .cost = no_flops,
};

gen_node *gen_pad(gen_graph *g, gen_node *x, const int64_t lo[GEN_MAX_RANK],
                  const int64_t hi[GEN_MAX_RANK], double value)
{
    gen_pad_attr attr = { .value = value };
    int rank = gen_node_shape(x).rank;
    bool grows = false;
    for (int i = 0; i < rank; i++) {
        attr.lo[i] = lo[i];
        attr.hi[i] = hi[i];
        grows |= lo[i] != 0 || hi[i] != 0;
    }
    return x && !grows ? x : gen_node_add(g, &gen_op_pad, &attr, &x, 1);
}
