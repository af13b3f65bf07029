/* SPDX-License-Identifier: Apache-2.0
 *
 * Scale and shift per channel, and normalisation by batch statistics with its gradient. Batch norm
 * proper (with gamma, beta, running statistics) is a layer of <libgen/nn.h> made of these; running
 * statistics are updated by their owner from outputs 1 and 2.
 *
 * Ioffe and Szegedy, "Batch Normalization", 2015. The variance that normalises is biased (1/M).
 */
#include "libgen/ops/shape_rules.h"

#include <math.h>
#include <string.h>

/* ---- scale_shift ----------------------------------------------------------------------------- */

#define FIELD(f) offsetof(gen_scale_shift_attr, f)
static const gen_option scale_options[] = {
    { GEN_OPT_CHOICE, "act", .offset = FIELD(act), .choices = "none|relu|leaky_relu|sigmoid|tanh" },
    { GEN_OPT_REAL, "slope", .offset = FIELD(slope) },
    { GEN_OPT_FLAG, "scale", .offset = FIELD(has_scale) },
    { GEN_OPT_FLAG, "shift", .offset = FIELD(has_shift) },
    { GEN_OPT_END },
};

/* s is [C], or [N,C] with x [N,...,C]. */
static gen_status check_row(const gen_node *n, int i, const char *what)
{
    gen_shape x = gen_node_shape(n->in[0]), s = gen_node_shape(n->in[i]);
    char found[GEN_SHAPE_TEXT], image[GEN_SHAPE_TEXT];
    int64_t c = x.dim[x.rank - 1];
    GEN_TRY(gen_rule_float(n, i, what));
    if ((s.rank == 1 && s.dim[0] == c) ||
        (s.rank == 2 && x.rank >= 2 && s.dim[0] == x.dim[0] && s.dim[1] == c))
        return GEN_OK;
    return gen_fail(GEN_EINVAL, "%s is %s, expected [%lld] or [%lld,%lld] for x %s", what,
                    gen_shape_text(s, found), (long long)c, (long long)x.dim[0], (long long)c,
                    gen_shape_text(x, image));
}

static gen_status scale_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    const gen_scale_shift_attr *a = n->attr;
    if (gen_node_shape(n->in[0]).rank < 1)
        return gen_fail(GEN_EINVAL, "x is [], expected [...,C]");
    if (a->act < GEN_ACT_NONE || a->act > GEN_ACT_TANH)
        return gen_fail(GEN_EINVAL, "activation is %lld, expected 0 to %d", (long long)a->act,
                        GEN_ACT_TANH);
    GEN_TRY(gen_rule_float(n, 0, "x"));
    if (a->has_scale)
        GEN_TRY(check_row(n, 1, "scale"));
    if (a->has_shift)
        GEN_TRY(check_row(n, 1 + (int)a->has_scale, "shift"));
    return gen_rule_same(n, shape, dtype);
}

/* Sums v [N,...,C] to the shape of a scale: [C] or [N,C]. */
static gen_node *sum_rows(gen_graph *g, gen_node *v, gen_shape to)
{
    int rank = gen_node_shape(v).rank;
    if (to.rank == 1)
        return gen_sum_to(g, v, to);
    if (rank == 2)
        return v;
    return gen_reshape(g, gen_sum(g, v, (1u << (rank - 1)) - 2), to);
}

static void scale_grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                       gen_node *dx[])
{
    const gen_scale_shift_attr *a = n->attr;
    int shift = 1 + (int)a->has_scale;
    if (a->act != GEN_ACT_NONE) {
        gen_graph_fail(g, "scale_shift",
                       "the fused form has no gradient; take it of the unfused graph");
        return;
    }
    if (needs[0])
        dx[0] = a->has_scale ? gen_scale_shift(g, dy[0], n->in[1], NULL, NULL) : dy[0];
    if (a->has_scale && needs[1])
        dx[1] = sum_rows(g, gen_mul(g, dy[0], n->in[0]), gen_node_shape(n->in[1]));
    if (a->has_shift && needs[shift])
        dx[shift] = sum_rows(g, dy[0], gen_node_shape(n->in[shift]));
}

static void scale_ref(const gen_node *n, const double *const in[], double *const out[])
{
    const gen_scale_shift_attr *a = n->attr;
    gen_shape x = n->shape[0];
    int64_t c = x.dim[x.rank - 1], images = x.rank > 1 ? x.dim[0] : 1;
    int64_t cells = gen_shape_count(x) / images / c;
    int shift = 1 + (int)a->has_scale;
    int64_t step_a = a->has_scale && gen_node_shape(n->in[1]).rank == 2 ? c : 0;
    int64_t step_b = a->has_shift && gen_node_shape(n->in[shift]).rank == 2 ? c : 0;
    for (int64_t i = 0; i < images * cells; i++) {
        const double *s = a->has_scale ? in[1] + i / cells * step_a : NULL;
        const double *t = a->has_shift ? in[shift] + i / cells * step_b : NULL;
        for (int64_t j = 0; j < c; j++) {
            double v = in[0][i * c + j] * (s ? s[j] : 1) + (t ? t[j] : 0);
            out[0][i * c + j] = gen_rule_act(a->act, a->slope, v);
        }
    }
}

static gen_cost scale_cost(const gen_node *n)
{
    return (gen_cost){ .flops = 2.0 * (double)gen_shape_count(n->shape[0]) };
}

const gen_op gen_op_scale_shift = {
    .name = "scale_shift",
    .flags = GEN_OP_IN_PLACE,
    .min_in = 1,
    .max_in = 3,
    .n_out = 1,
    .attr_size = sizeof(gen_scale_shift_attr),
    .attrs = scale_options,
    .keep_f32 = 1 << 1 | 1 << 2,
    .infer = scale_infer,
    .grad = scale_grad,
    .ref = scale_ref,
    .cost = scale_cost,
};

gen_node *gen_scale_shift(gen_graph *g, gen_node *x, gen_node *a, gen_node *b,
                          const gen_scale_shift_attr *attr)
{
    gen_scale_shift_attr s = { 0 };
    gen_node *in[3] = { x };
    int n = 1;
    if (gen_graph_failed(g))
        return NULL;
    if (attr) {
        s.act = attr->act;
        s.slope = attr->act == GEN_ACT_LEAKY_RELU ? attr->slope : 0;
    }
    s.has_scale = a != NULL;
    s.has_shift = b != NULL;
    if (a)
        in[n++] = a;
    if (b)
        in[n++] = b;
    return gen_node_add(g, &gen_op_scale_shift, &s, in, n);
}

/* ---- batch_norm ------------------------------------------------------------------------------ */

static const gen_option norm_options[] = {
    { GEN_OPT_INT, "groups", .offset = offsetof(gen_batch_norm_attr, groups), .preset = 1 },
    { GEN_OPT_REAL, "eps", .offset = offsetof(gen_batch_norm_attr, eps), .preset = 1e-5 },
    { GEN_OPT_END },
};

/* x as [groups][cells][c]. */
typedef struct dims {
    int64_t groups, cells, c;
} dims;

static dims dims_of(const gen_node *n)
{
    gen_shape x = gen_node_shape(n->in[0]);
    dims d = { .groups = ((const gen_batch_norm_attr *)n->attr)->groups };
    d.c = x.dim[x.rank - 1];
    d.cells = gen_shape_count(x) / d.c / d.groups;
    return d;
}

static gen_status norm_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    const gen_batch_norm_attr *a = n->attr;
    gen_shape x = gen_node_shape(n->in[0]);
    char text[GEN_SHAPE_TEXT];
    GEN_TRY(gen_rule_float(n, 0, "x"));
    if (x.rank < 2)
        return gen_fail(GEN_EINVAL, "x is %s, expected [N,...,C]", gen_shape_text(x, text));
    if (a->groups < 1 || x.dim[0] % a->groups)
        return gen_fail(GEN_EINVAL, "x is %s: its axis 0 cannot be cut into %lld groups",
                        gen_shape_text(x, text), (long long)a->groups);
    if (!(a->eps > 0))
        return gen_fail(GEN_EINVAL, "eps is %g, expected more than 0", a->eps);
    shape[0] = x;
    shape[1] = shape[2] = GEN_SHAPE(a->groups, x.dim[x.rank - 1]);
    dtype[0] = gen_node_dtype(n->in[0]);
    dtype[1] = dtype[2] = dtype[0] == GEN_F64 ? GEN_F64 : GEN_F32;
    return GEN_OK;
}

/* Gradient that arrives through the mean and variance outputs: (dmean + 2 (x - mean) dvar) / M. */
static gen_node *grad_of_statistics(gen_graph *g, gen_node *n, gen_node *dmean, gen_node *dvar)
{
    dims d = dims_of(n);
    gen_shape rows = GEN_SHAPE(d.groups, d.cells, d.c), row = GEN_SHAPE(d.groups, 1, d.c);
    gen_node *sum = NULL;
    if (dvar) {
        gen_node *centred = gen_sub(g, gen_reshape(g, n->in[0], rows),
                                    gen_reshape(g, gen_node_output(g, n, 1), row));
        sum = gen_affine(g, gen_mul(g, centred, gen_reshape(g, dvar, row)), 2, 0);
    }
    if (dmean) {
        gen_node *all = gen_broadcast(g, gen_reshape(g, dmean, row), rows);
        sum = sum ? gen_add(g, sum, all) : all;
    }
    sum = gen_affine(g, sum, 1.0 / (double)d.cells, 0);
    return gen_reshape(g, sum, gen_node_shape(n->in[0]));
}

static void norm_grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                      gen_node *dx[])
{
    if (!needs[0])
        return;
    if (dy[0]) {
        gen_node *in[4] = { n->in[0], gen_node_output(g, n, 1), gen_node_output(g, n, 2), dy[0] };
        dx[0] = gen_node_add(g, &gen_op_batch_norm_dx, n->attr, in, 4);
    }
    if (dy[1] || dy[2]) {
        gen_node *more = grad_of_statistics(g, n, dy[1], dy[2]);
        dx[0] = dx[0] ? gen_add(g, dx[0], more) : more;
    }
}

/* One group: x [cells,c] -> y, mean [c], var [c]. Two passes: no cancellation in the variance. */
static void normalise(const dims *d, double eps, const double *x, double *y, double *mean,
                      double *var)
{
    memset(mean, 0, (size_t)d->c * sizeof *mean);
    memset(var, 0, (size_t)d->c * sizeof *var);
    for (int64_t i = 0; i < d->cells; i++)
        for (int64_t j = 0; j < d->c; j++)
            mean[j] += x[i * d->c + j];
    for (int64_t j = 0; j < d->c; j++)
        mean[j] /= (double)d->cells;
    for (int64_t i = 0; i < d->cells; i++)
        for (int64_t j = 0; j < d->c; j++)
            var[j] += (x[i * d->c + j] - mean[j]) * (x[i * d->c + j] - mean[j]);
    for (int64_t j = 0; j < d->c; j++)
        var[j] /= (double)d->cells;
    for (int64_t i = 0; i < d->cells; i++)
        for (int64_t j = 0; j < d->c; j++)
            y[i * d->c + j] = (x[i * d->c + j] - mean[j]) / sqrt(var[j] + eps);
}

static void norm_ref(const gen_node *n, const double *const in[], double *const out[])
{
    const gen_batch_norm_attr *a = n->attr;
    dims d = dims_of(n);
    for (int64_t g = 0; g < d.groups; g++)
        normalise(&d, a->eps, in[0] + g * d.cells * d.c, out[0] + g * d.cells * d.c,
                  out[1] + g * d.c, out[2] + g * d.c);
}

const gen_op gen_op_batch_norm = {
    .name = "batch_norm",
    .flags = GEN_OP_IN_PLACE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 3,
    .attr_size = sizeof(gen_batch_norm_attr),
    .attrs = norm_options,
    .infer = norm_infer,
    .grad = norm_grad,
    .ref = norm_ref,
};

gen_node *gen_batch_norm(gen_graph *g, gen_node *x, const gen_batch_norm_attr *attr)
{
    gen_batch_norm_attr a = { 0 };
    if (attr)
        a = *attr;
    if (a.groups == 0)
        a.groups = 1;
    if (a.eps == 0)
        a.eps = 1e-5;
    return gen_node_add(g, &gen_op_batch_norm, &a, &x, 1);
}

/* ---- batch_norm_dx --------------------------------------------------------------------------- */

static gen_status dx_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    static const char *const what[] = { "x", "mean", "var", "dy" };
    const gen_batch_norm_attr *a = n->attr;
    gen_shape x = gen_node_shape(n->in[0]);
    char found[GEN_SHAPE_TEXT], expected[GEN_SHAPE_TEXT];
    if (x.rank < 2 || a->groups < 1 || x.dim[0] % a->groups)
        return gen_fail(GEN_EINVAL, "x is %s: its axis 0 cannot be cut into %lld groups",
                        gen_shape_text(x, found), (long long)a->groups);
    for (int i = 0; i < 4; i++) {
        gen_shape s = gen_node_shape(n->in[i]);
        gen_shape want = i == 0 || i == 3 ? x : GEN_SHAPE(a->groups, x.dim[x.rank - 1]);
        GEN_TRY(gen_rule_float(n, i, what[i]));
        if (!gen_shape_equal(s, want))
            return gen_fail(GEN_EINVAL, "%s is %s, expected %s", what[i], gen_shape_text(s, found),
                            gen_shape_text(want, expected));
    }
    return gen_rule_same(n, shape, dtype);
}

/* One group, channels [first, first + count): dx = (dy - mean(dy) - n mean(dy n)) / sqrt(var + eps)
 * with n the normalised x. */
enum { BLOCK = 64 };
static void dx_block(const dims *d, double eps, const double *const in[], int64_t group,
                     int64_t first, double *out)
{
    double rstd[BLOCK], sum[BLOCK] = { 0 }, dot[BLOCK] = { 0 };
    int64_t count = d->c - first < BLOCK ? d->c - first : BLOCK;
    int64_t start = group * d->cells * d->c + first;
    const double *mean = in[1] + group * d->c + first, *var = in[2] + group * d->c + first;
    for (int64_t j = 0; j < count; j++)
        rstd[j] = 1 / sqrt(var[j] + eps);
    for (int64_t i = 0; i < d->cells; i++) {
        const double *x = in[0] + start + i * d->c, *dy = in[3] + start + i * d->c;
        for (int64_t j = 0; j < count; j++) {
            sum[j] += dy[j];
            dot[j] += dy[j] * (x[j] - mean[j]) * rstd[j];
        }
    }
    for (int64_t i = 0; i < d->cells; i++) {
        const double *x = in[0] + start + i * d->c, *dy = in[3] + start + i * d->c;
        double *dx = out + start + i * d->c;
        for (int64_t j = 0; j < count; j++)
            dx[j] = rstd[j] * (dy[j] - (sum[j] + (x[j] - mean[j]) * rstd[j] * dot[j]) /
                                           (double)d->cells);
    }
}

static void dx_ref(const gen_node *n, const double *const in[], double *const out[])
{
    const gen_batch_norm_attr *a = n->attr;
    dims d = dims_of(n);
    for (int64_t g = 0; g < d.groups; g++)
        for (int64_t c = 0; c < d.c; c += BLOCK)
            dx_block(&d, a->eps, in, g, c, out[0]);
}

const gen_op gen_op_batch_norm_dx = {
    .name = "batch_norm_dx",
    .min_in = 4,
    .max_in = 4,
    .n_out = 1,
    .attr_size = sizeof(gen_batch_norm_attr),
    .attrs = norm_options,
    .keep_f32 = 1 << 1 | 1 << 2,
    .infer = dx_infer,
    .ref = dx_ref,
};

/* ---- unit ------------------------------------------------------------------------------------ */

static const gen_option unit_options[] = {
    { GEN_OPT_REAL, "eps", .offset = offsetof(gen_unit_attr, eps) },
    { GEN_OPT_FLAG, "at_least", .offset = offsetof(gen_unit_attr, at_least) },
    { GEN_OPT_END },
};

static gen_status unit_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    GEN_TRY(gen_rule_float(n, 0, "x"));
    return gen_rule_same(n, shape, dtype);
}

static void unit_ref(const gen_node *n, const double *const in[], double *const out[])
{
    int64_t count = gen_shape_count(n->shape[0]);
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += in[0][i] * in[0][i];
    double scale = gen_unit_scale(n->attr, sum);
    for (int64_t i = 0; i < count; i++)
        out[0][i] = in[0][i] * scale;
}

static gen_cost unit_cost(const gen_node *n)
{
    return (gen_cost){ .flops = 3.0 * (double)gen_shape_count(n->shape[0]) };
}

const gen_op gen_op_unit = {
    .name = "unit",
    .flags = GEN_OP_IN_PLACE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(gen_unit_attr),
    .attrs = unit_options,
    .infer = unit_infer,
    .ref = unit_ref,
    .cost = unit_cost,
};

gen_node *gen_unit(gen_graph *g, gen_node *x, const gen_unit_attr *attr)
{
    return gen_node_add(g, &gen_op_unit, attr, &x, 1);
}
