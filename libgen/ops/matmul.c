/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix products, batched over equal leading axes or with one matrix b shared by all; gen_linear
 * is made of it. Not a general tensor contraction: no broadcasting of leading axes.
 */
#include "libgen/ops/shape_rules.h"

#include <string.h>

static const gen_option options[] = {
    { GEN_OPT_FLAG, "transpose_a", .offset = offsetof(gen_matmul_attr, transpose_a) },
    { GEN_OPT_FLAG, "transpose_b", .offset = offsetof(gen_matmul_attr, transpose_b) },
    { GEN_OPT_END },
};

/* y [M,N] = a [M,K] b [K,N] for each of `batch` matrices. */
typedef struct dims {
    int64_t batch, m, n, k;
    bool shared; /* b has rank 2 and a more */
} dims;

static dims dims_of(const gen_node *n)
{
    const gen_matmul_attr *t = n->attr;
    gen_shape a = gen_node_shape(n->in[0]), b = gen_node_shape(n->in[1]);
    dims d = { .batch = 1, .shared = b.rank == 2 && a.rank > 2 };
    for (int i = 0; i < a.rank - 2; i++)
        d.batch *= a.dim[i];
    d.m = a.dim[a.rank - (t->transpose_a ? 1 : 2)];
    d.k = a.dim[a.rank - (t->transpose_a ? 2 : 1)];
    d.n = b.dim[b.rank - (t->transpose_b ? 2 : 1)];
    return d;
}

static gen_status infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    const gen_matmul_attr *t = n->attr;
    gen_shape a = gen_node_shape(n->in[0]), b = gen_node_shape(n->in[1]), y = a;
    char found_a[GEN_SHAPE_TEXT], found_b[GEN_SHAPE_TEXT];
    gen_shape_text(a, found_a);
    gen_shape_text(b, found_b);
    GEN_TRY(gen_rule_float(n, 0, "a"));
    GEN_TRY(gen_rule_float(n, 1, "b"));
    bool leading = a.rank >= 2 && b.rank >= 2 && (b.rank == 2 || b.rank == a.rank);
    for (int i = 0; leading && b.rank > 2 && i < b.rank - 2; i++)
        leading = a.dim[i] == b.dim[i];
    if (!leading)
        return gen_fail(GEN_EINVAL, "a is %s and b is %s, expected rank 2 or more with equal "
                        "leading axes, or b of rank 2", found_a, found_b);
    dims d = dims_of(n);
    int64_t k = b.dim[b.rank - (t->transpose_b ? 1 : 2)];
    if (k != d.k)
        return gen_fail(GEN_EINVAL, "a is %s%s and b is %s%s: the inner sizes are %lld and %lld, "
                        "expected equal", found_a, t->transpose_a ? " transposed" : "", found_b,
                        t->transpose_b ? " transposed" : "", (long long)d.k, (long long)k);
    y.dim[y.rank - 2] = d.m;
    y.dim[y.rank - 1] = d.n;
    shape[0] = y;
    dtype[0] = gen_node_dtype(n->in[0]);
    return GEN_OK;
}

/* ---- gradient -------------------------------------------------------------------------------- */

static gen_node *product(gen_graph *g, gen_node *a, bool ta, gen_node *b, bool tb)
{
    return gen_matmul(g, a, b, &(gen_matmul_attr){ .transpose_a = ta, .transpose_b = tb });
}

static gen_node *swap_last(gen_graph *g, gen_node *x)
{
    int order[GEN_MAX_RANK], rank = gen_node_shape(x).rank;
    for (int i = 0; i < GEN_MAX_RANK; i++)
        order[i] = i;
    if (rank >= 2) {
        order[rank - 2] = rank - 1;
        order[rank - 1] = rank - 2;
    }
    return gen_transpose(g, x, order);
}

static gen_node *grad_a(gen_graph *g, gen_node *n, gen_node *dy)
{
    const gen_matmul_attr *t = n->attr;
    if (!t->transpose_a)
        return product(g, dy, false, n->in[1], !t->transpose_b);
    if (!dims_of(n).shared)
        return product(g, n->in[1], t->transpose_b, dy, true);
    return swap_last(g, product(g, dy, false, n->in[1], !t->transpose_b));
}

/* For a shared b the batch is one more axis to sum over: by flattening it into the rows where the
 * rows are outermost, else by a sum of the batch's products. */
static gen_node *grad_b(gen_graph *g, gen_node *n, gen_node *dy)
{
    const gen_matmul_attr *t = n->attr;
    dims d = dims_of(n);
    gen_node *a = n->in[0];
    if (d.shared && !t->transpose_a) {
        a = gen_reshape(g, a, GEN_SHAPE(d.batch * d.m, d.k));
        dy = gen_reshape(g, dy, GEN_SHAPE(d.batch * d.m, d.n));
    }
    gen_node *db = t->transpose_b ? product(g, dy, true, a, t->transpose_a)
                                  : product(g, a, !t->transpose_a, dy, false);
    if (d.shared && t->transpose_a)
        db = gen_sum_to(g, db, gen_node_shape(n->in[1]));
    return db;
}

static void grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                 gen_node *dx[])
{
    if (needs[0])
        dx[0] = grad_a(g, n, dy[0]);
    if (needs[1])
        dx[1] = grad_b(g, n, dy[0]);
}

/* ---- reference ------------------------------------------------------------------------------- */

static void multiply(const dims *d, const gen_matmul_attr *t, const double *a, const double *b,
                     double *y)
{
    int64_t row = t->transpose_a ? 1 : d->k, col = t->transpose_a ? d->m : 1;
    memset(y, 0, (size_t)(d->m * d->n) * sizeof *y);
    for (int64_t i = 0; i < d->m; i++, y += d->n) {
        for (int64_t k = 0; !t->transpose_b && k < d->k; k++) {
            double v = a[i * row + k * col];
            for (int64_t j = 0; j < d->n; j++)
                y[j] += v * b[k * d->n + j];
        }
        for (int64_t j = 0; t->transpose_b && j < d->n; j++) {
            double sum = 0;
            for (int64_t k = 0; k < d->k; k++)
                sum += a[i * row + k * col] * b[j * d->k + k];
            y[j] = sum;
        }
    }
}

static void ref(const gen_node *n, const double *const in[], double *const out[])
{
    dims d = dims_of(n);
    for (int64_t i = 0; i < d.batch; i++)
        multiply(&d, n->attr, in[0] + i * d.m * d.k, in[1] + (d.shared ? 0 : i * d.k * d.n),
                 out[0] + i * d.m * d.n);
}

static gen_cost cost(const gen_node *n)
{
    dims d = dims_of(n);
    return (gen_cost){ .flops = 2.0 * (double)d.batch * (double)d.m * (double)d.n * (double)d.k };
}

const gen_op gen_op_matmul = {
    .name = "matmul",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attr_size = sizeof(gen_matmul_attr),
    .attrs = options,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
};

gen_node *gen_matmul(gen_graph *g, gen_node *a, gen_node *b, const gen_matmul_attr *attr)
{
    gen_matmul_attr t = { 0 };
    if (attr) {
        t.transpose_a = attr->transpose_a != 0;
        t.transpose_b = attr->transpose_b != 0;
    }
    return gen_node_add(g, &gen_op_matmul, &t, (gen_node *[]){ a, b }, 2);
}

gen_node *gen_linear(gen_graph *g, gen_node *x, gen_node *w, gen_node *b)
{
    gen_shape s = gen_node_shape(x);
    bool vector = s.rank == 1;
    if (gen_graph_failed(g))
        return NULL;
    if (vector)
        x = gen_reshape(g, x, GEN_SHAPE(1, s.dim[0]));
    gen_node *y = product(g, x, false, w, true);
    if (vector && y)
        y = gen_reshape(g, y, GEN_SHAPE(gen_node_shape(y).dim[1]));
    return b ? gen_add(g, y, b) : y;
}
