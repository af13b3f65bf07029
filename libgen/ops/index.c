/* SPDX-License-Identifier: Apache-2.0
 *
 * Ops that read positions from a tensor of integers: gather (embeddings, frame indices) and crop
 * (random windows). Their adjoints gather_dx and crop_dx add into zeros, in order of the index, and
 * have the ops themselves as gradients.
 */
#include "libgen/ops/list.h"
#include "libgen/ops/shape_rules.h"

static gen_status check_integer(const gen_node *index, const char *what)
{
    gen_dtype t = gen_node_dtype(index);
    if (t != GEN_I32 && t != GEN_I64)
        return gen_fail(GEN_EINVAL, "%s is %s, expected i32 or i64", what, gen_dtype_name(t));
    return GEN_OK;
}

/* ---- gather -------------------------------------------------------------------------------- */

static gen_status gather_check(const gen_node *n, const char *what)
{
    const gen_gather_attr *k = n->attr;
    gen_shape s = gen_node_shape(n->in[0]), i = gen_node_shape(n->in[1]);
    char text[GEN_SHAPE_TEXT];
    GEN_TRY(check_integer(n->in[1], "index"));
    if (i.rank != 1)
        return gen_fail(GEN_EINVAL, "index is %s, expected [K]", gen_shape_text(i, text));
    if (k->axis < 0 || k->axis >= s.rank)
        return gen_fail(GEN_EINVAL, "axis is %lld, expected 0 to %d for %s %s",
                        (long long)k->axis, s.rank - 1, what, gen_shape_text(s, text));
    return GEN_OK;
}

static gen_status gather_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    const gen_gather_attr *k = n->attr;
    GEN_TRY(gather_check(n, "x"));
    GEN_TRY(gen_rule_same(n, shape, dtype));
    if (k->dim != shape[0].dim[k->axis])
        return gen_fail(GEN_EINVAL, "dim is %lld, expected %lld", (long long)k->dim,
                        (long long)shape[0].dim[k->axis]);
    shape[0].dim[k->axis] = gen_node_shape(n->in[1]).dim[0];
    return GEN_OK;
}

static gen_status gather_dx_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    const gen_gather_attr *k = n->attr;
    char text[GEN_SHAPE_TEXT];
    GEN_TRY(gen_rule_float(n, 0, "dy"));
    GEN_TRY(gather_check(n, "dy"));
    GEN_TRY(gen_rule_same(n, shape, dtype));
    int64_t rows = gen_node_shape(n->in[1]).dim[0];
    if (shape[0].dim[k->axis] != rows || k->dim < 1)
        return gen_fail(GEN_EINVAL, "dy is %s, expected %lld rows along axis %lld",
                        gen_shape_text(shape[0], text), (long long)rows, (long long)k->axis);
    shape[0].dim[k->axis] = k->dim;
    return GEN_OK;
}

static gen_node *gather_node(gen_graph *g, const gen_op *op, gen_node *const in[2],
                             gen_gather_attr attr)
{
    return gen_node_add(g, op, &attr, in, 2);
}

static void gather_grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                        gen_node *dx[])
{
    const gen_gather_attr *k = n->attr;
    if (needs[0])
        dx[0] = gather_node(g, &gen_op_gather_dx, (gen_node *[]){ dy[0], n->in[1] }, *k);
}

static void gather_dx_grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                           gen_node *dx[])
{
    const gen_gather_attr *k = n->attr;
    if (needs[0])
        dx[0] = gather_node(g, &gen_op_gather, (gen_node *[]){ dy[0], n->in[1] }, *k);
}

/* x [outer, dim, inner], y [outer, rows, inner]. */
typedef struct rows {
    int64_t outer, dim, inner, rows;
} rows;

static rows rows_of(const gen_node *n, gen_shape x)
{
    int axis = (int)((const gen_gather_attr *)n->attr)->axis;
    rows s = { 1, x.dim[axis], 1, gen_node_shape(n->in[1]).dim[0] };
    for (int i = 0; i < axis; i++)
        s.outer *= x.dim[i];
    for (int i = axis + 1; i < x.rank; i++)
        s.inner *= x.dim[i];
    return s;
}

/* The row of x (counted through all outer indices) that is row r of y; -1 when there is none. */
static int64_t row_of(const rows *s, const double *index, int64_t r)
{
    double i = index[r % s->rows];
    return i >= 0 && i < (double)s->dim ? r / s->rows * s->dim + (int64_t)i : -1;
}

static void gather_ref(const gen_node *n, const double *const in[], double *const out[])
{
    rows s = rows_of(n, gen_node_shape(n->in[0]));
    for (int64_t r = 0; r < s.outer * s.rows; r++) {
        int64_t from = row_of(&s, in[1], r);
        for (int64_t i = 0; i < s.inner; i++)
            out[0][r * s.inner + i] = from < 0 ? 0 : in[0][from * s.inner + i];
    }
}

static void zero(const gen_node *n, double *y)
{
    int64_t count = gen_shape_count(n->shape[0]);
    for (int64_t i = 0; i < count; i++)
        y[i] = 0;
}

static void gather_dx_ref(const gen_node *n, const double *const in[], double *const out[])
{
    rows s = rows_of(n, n->shape[0]);
    zero(n, out[0]);
    for (int64_t r = 0; r < s.outer * s.rows; r++) {
        int64_t to = row_of(&s, in[1], r);
        for (int64_t i = 0; i < s.inner && to >= 0; i++)
            out[0][to * s.inner + i] += in[0][r * s.inner + i];
    }
}

static gen_cost copy_cost(const gen_node *n)
{
    (void)n;
    return (gen_cost){ .flops = 0 };
}

static gen_cost add_cost(const gen_node *n)
{
    return (gen_cost){ .flops = (double)gen_shape_count(gen_node_shape(n->in[0])) };
}

static const gen_option gather_options[] = {
    { .type = GEN_OPT_INT,
      .name = "axis",
      .offset = offsetof(gen_gather_attr, axis),
      .preset = -1 },
    { .type = GEN_OPT_INT, .name = "dim", .offset = offsetof(gen_gather_attr, dim) },
    { .type = GEN_OPT_END },
};

const gen_op gen_op_gather = {
    .name = "gather",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attr_size = sizeof(gen_gather_attr),
    .attrs = gather_options,
    .infer = gather_infer,
    .grad = gather_grad,
    .ref = gather_ref,
    .cost = copy_cost,
};

const gen_op gen_op_gather_dx = {
    .name = "gather_dx",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attr_size = sizeof(gen_gather_attr),
    .attrs = gather_options,
    .infer = gather_dx_infer,
    .grad = gather_dx_grad,
    .ref = gather_dx_ref,
    .cost = add_cost,
};

gen_node *gen_gather(gen_graph *g, gen_node *x, gen_node *index, int axis)
{
    gen_shape s = gen_node_shape(x);
    gen_gather_attr attr = { .axis = axis };
    if (axis >= 0 && axis < s.rank)
        attr.dim = s.dim[axis];
    return gather_node(g, &gen_op_gather, (gen_node *[]){ x, index }, attr);
}

/* ---- crop ---------------------------------------------------------------------------------- */

static gen_status crop_check(const gen_node *n, const char *what)
{
    gen_shape s = gen_node_shape(n->in[0]), o = gen_node_shape(n->in[1]);
    char a[GEN_SHAPE_TEXT], b[GEN_SHAPE_TEXT];
    GEN_TRY(check_integer(n->in[1], "offset"));
    if (s.rank != 4)
        return gen_fail(GEN_EINVAL, "%s is %s, expected [N,H,W,C]", what, gen_shape_text(s, a));
    if (o.rank != 2 || o.dim[1] != 2 || (o.dim[0] != 1 && o.dim[0] != s.dim[0]))
        return gen_fail(GEN_EINVAL, "offset is %s, expected [1,2] or [N,2] for %s %s",
                        gen_shape_text(o, a), what, gen_shape_text(s, b));
    return GEN_OK;
}

static gen_status crop_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    const gen_crop_attr *k = n->attr;
    char text[GEN_SHAPE_TEXT];
    GEN_TRY(crop_check(n, "x"));
    GEN_TRY(gen_rule_same(n, shape, dtype));
    if (k->h < 1 || k->w < 1 || k->h > shape[0].dim[1] || k->w > shape[0].dim[2])
        return gen_fail(GEN_EINVAL, "window is %lldx%lld, expected it to fit into x %s",
                        (long long)k->h, (long long)k->w, gen_shape_text(shape[0], text));
    shape[0].dim[1] = k->h;
    shape[0].dim[2] = k->w;
    return GEN_OK;
}

static gen_status crop_dx_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    const gen_crop_attr *k = n->attr;
    char text[GEN_SHAPE_TEXT];
    GEN_TRY(gen_rule_float(n, 0, "dy"));
    GEN_TRY(crop_check(n, "dy"));
    GEN_TRY(gen_rule_same(n, shape, dtype));
    if (k->h < shape[0].dim[1] || k->w < shape[0].dim[2])
        return gen_fail(GEN_EINVAL, "image is %lldx%lld, expected it to hold dy %s",
                        (long long)k->h, (long long)k->w, gen_shape_text(shape[0], text));
    shape[0].dim[1] = k->h;
    shape[0].dim[2] = k->w;
    return GEN_OK;
}

static void crop_grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                      gen_node *dx[])
{
    gen_shape s = gen_node_shape(n->in[0]);
    gen_crop_attr whole = { .h = s.dim[1], .w = s.dim[2] };
    if (needs[0])
        dx[0] = gen_node_add(g, &gen_op_crop_dx, &whole, (gen_node *[]){ dy[0], n->in[1] }, 2);
}

static void crop_dx_grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                         gen_node *dx[])
{
    gen_shape s = gen_node_shape(n->in[0]);
    if (needs[0])
        dx[0] = gen_crop(g, dy[0], n->in[1], s.dim[1], s.dim[2]);
}

static int64_t limit(double at, int64_t room)
{
    return at > 0 ? at < (double)room ? (int64_t)at : room : 0;
}

/* image [N,H,W,C], window [N,h,w,C]: the element of image that is element i of window. */
static int64_t place_of(gen_shape image, gen_shape window, const gen_node *offset,
                        const double *value, int64_t i)
{
    int64_t height = image.dim[1], width = image.dim[2], channels = image.dim[3];
    int64_t h = window.dim[1], w = window.dim[2];
    int64_t c = i % channels, x = i / channels % w, y = i / channels / w % h;
    int64_t n = i / channels / w / h;
    const double *at = value + (gen_node_shape(offset).dim[0] > 1 ? 2 * n : 0);
    y += limit(at[0], height - h);
    x += limit(at[1], width - w);
    return ((n * height + y) * width + x) * channels + c;
}

static void crop_ref(const gen_node *n, const double *const in[], double *const out[])
{
    gen_shape image = gen_node_shape(n->in[0]), window = n->shape[0];
    int64_t count = gen_shape_count(window);
    for (int64_t i = 0; i < count; i++)
        out[0][i] = in[0][place_of(image, window, n->in[1], in[1], i)];
}

static void crop_dx_ref(const gen_node *n, const double *const in[], double *const out[])
{
    gen_shape image = n->shape[0], window = gen_node_shape(n->in[0]);
    int64_t count = gen_shape_count(window);
    zero(n, out[0]);
    for (int64_t i = 0; i < count; i++)
        out[0][place_of(image, window, n->in[1], in[1], i)] = in[0][i];
}

static const gen_option crop_options[] = {
    { .type = GEN_OPT_INT, .name = "h", .offset = offsetof(gen_crop_attr, h) },
    { .type = GEN_OPT_INT, .name = "w", .offset = offsetof(gen_crop_attr, w) },
    { .type = GEN_OPT_END },
};

const gen_op gen_op_crop = {
    .name = "crop",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attr_size = sizeof(gen_crop_attr),
    .attrs = crop_options,
    .infer = crop_infer,
    .grad = crop_grad,
    .ref = crop_ref,
    .cost = copy_cost,
};

const gen_op gen_op_crop_dx = {
    .name = "crop_dx",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attr_size = sizeof(gen_crop_attr),
    .attrs = crop_options,
    .infer = crop_dx_infer,
    .grad = crop_dx_grad,
    .ref = crop_dx_ref,
    .cost = copy_cost,
};

gen_node *gen_crop(gen_graph *g, gen_node *x, gen_node *offset, int64_t h, int64_t w)
{
    gen_crop_attr attr = { .h = h, .w = w };
    return gen_node_add(g, &gen_op_crop, &attr, (gen_node *[]){ x, offset }, 2);
}
