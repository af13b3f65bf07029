/* SPDX-License-Identifier: Apache-2.0
 *
 * Initial values of parameters, from (seed, name): nothing depends on the order of creation.
 * Orthogonal matrices as in reference 1.2: [dim 0, rest], Q of a QR of normal numbers with the
 * signs of diag(R) multiplied in. Power-iteration vectors u and v that stand beside a w start as
 * singular vectors of it (torch iterates 15 times at registration): an untrained net can be run in
 * eval.
 */
#include <lapacke.h>
#include <math.h>
#include <omp.h>
#include <string.h>

#include <libgen/params.h>
#include <libgen/random.h>

#include "libgen/graph/op.h"

/* values [rows,cols] hold normal numbers and become orthogonal (rows or columns, the fewer). In
 * double, so that rounding of the LAPACK at hand does not reach the f32 values. */
static gen_status orthogonalise(float *values, int64_t rows, int64_t cols)
{
    bool tall = rows >= cols;
    int64_t m = tall ? rows : cols, k = tall ? cols : rows;
    gen_status status = GEN_OK;
    double *a = NULL, *tau = NULL; /* a: m x k, column after column */
    float *sign = NULL;
    GEN_GOTO(GEN_ALLOC(&a, m * k, "orthogonal matrix"));
    GEN_GOTO(GEN_ALLOC(&tau, k, "orthogonal matrix"));
    GEN_GOTO(GEN_ALLOC(&sign, k, "orthogonal matrix"));
    for (int64_t j = 0; j < k; j++)
        for (int64_t i = 0; i < m; i++)
            a[j * m + i] = values[tall ? i * cols + j : j * cols + i];

    /* One thread: the same bits on every machine, and no OpenMP team that waits for a scheduler
     * tick at each of the QR's many small products when a core is busy elsewhere. */
    int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    lapack_int info =
        LAPACKE_dgeqrf(LAPACK_COL_MAJOR, (lapack_int)m, (lapack_int)k, a, (lapack_int)m, tau);
    for (int64_t j = 0; j < k; j++)
        sign[j] = a[j * m + j] < 0 ? -1.0f : 1.0f;
    if (info == 0)
        info = LAPACKE_dorgqr(LAPACK_COL_MAJOR, (lapack_int)m, (lapack_int)k, (lapack_int)k, a,
                              (lapack_int)m, tau);
    omp_set_num_threads(threads);
    if (info != 0) {
        status = info < -1000 ? gen_fail(GEN_ENOMEM, "no memory for a QR of %lld x %lld",
                                         (long long)m, (long long)k)
                              : gen_fail(GEN_EBUG, "QR of %lld x %lld: info %d", (long long)m,
                                         (long long)k, (int)info);
        goto done;
    }
    for (int64_t j = 0; j < k; j++)
        for (int64_t i = 0; i < m; i++)
            values[tall ? i * cols + j : j * cols + i] = sign[j] * (float)a[j * m + i];
done:
    gen_free(a);
    gen_free(tau);
    gen_free(sign);
    return status;
}

static void normalise(float *v, int64_t n)
{
    double square = 0;
    for (int64_t i = 0; i < n; i++)
        square += (double)v[i] * v[i];
    double inverse = square > 0 ? 1 / sqrt(square) : 0;
    for (int64_t i = 0; i < n; i++)
        v[i] = (float)(v[i] * inverse);
}

static gen_status fill(float *values, const char *name, gen_shape shape, gen_init init,
                       uint64_t seed)
{
    int64_t n = gen_shape_count(shape);
    if (init == GEN_INIT_ZEROS)
        return GEN_OK;
    if (init == GEN_INIT_ONES) {
        for (int64_t i = 0; i < n; i++)
            values[i] = 1;
        return GEN_OK;
    }
    gen_random_normal(values, n, seed, gen_stream(name), 0);
    if (init == GEN_INIT_UNIT)
        normalise(values, n);
    if (init == GEN_INIT_ORTHOGONAL) {
        int64_t rows = shape.rank ? shape.dim[0] : 1;
        gen_status status = orthogonalise(values, rows, n / rows);
        return status ? gen_fail_in(status, "parameter '%s'", name) : GEN_OK;
    }
    return GEN_OK;
}

/* u [rows], v [cols]: u <- W v, v <- W' u until sigma rests, at most 15 times. */
static gen_status settle(const float *w, int64_t rows, int64_t cols, float *u, float *v)
{
    double *sum, sigma = 0;
    GEN_TRY(GEN_ALLOC(&sum, cols, "power iteration"));
    for (int round = 0; round < 15; round++) {
        for (int64_t i = 0; i < rows; i++) {
            double dot = 0;
            for (int64_t j = 0; j < cols; j++)
                dot += (double)w[i * cols + j] * v[j];
            u[i] = (float)dot;
        }
        normalise(u, rows);
        memset(sum, 0, (size_t)cols * sizeof(*sum));
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < cols; j++)
                sum[j] += (double)u[i] * w[i * cols + j];
        double square = 0;
        for (int64_t j = 0; j < cols; j++) {
            square += sum[j] * sum[j];
            v[j] = (float)sum[j];
        }
        normalise(v, cols);
        double last = sigma;
        sigma = sqrt(square);
        if (fabs(sigma - last) <= 1e-7 * sigma)
            break;
    }
    gen_free(sum);
    return GEN_OK;
}

/* `name` is ".../u", newly made: settles it with the v and w beside it, if there are any. */
static gen_status settle_beside(gen_params *p, const char *name)
{
    size_t n = strlen(name);
    char *other;
    GEN_TRY(gen_strdup(&other, name));
    gen_tensor u = gen_params_get(p, name);
    other[n - 1] = 'v';
    gen_tensor v = gen_params_get(p, other);
    other[n - 1] = 'w';
    gen_tensor w = gen_params_get(p, other);
    gen_free(other);
    if (!v.data || !w.data)
        return GEN_OK;
    int64_t rows = gen_shape_count(u.shape), cols = gen_shape_count(v.shape);
    if (gen_shape_count(w.shape) != rows * cols)
        return GEN_OK;
    return settle(w.data, rows, cols, u.data, v.data);
}

static bool is_u(const char *name)
{
    size_t n = strlen(name);
    return name[n - 1] == 'u' && (n == 1 || name[n - 2] == '/');
}

gen_status gen_params_init(gen_params *p, const gen_graph *g, uint64_t seed)
{
    int n = gen_graph_params(g);
    bool *fresh; /* parameter i was made here */
    GEN_TRY(gen_graph_status(g));
    gen_status status = GEN_ALLOC(&fresh, n, "parameter list");
    if (status)
        return status;
    for (int i = 0; i < n; i++) {
        const gen_node *node = gen_graph_param(g, i);
        const gen_param_attr *attr = node->attr;
        gen_tensor known = gen_params_get(p, node->name);
        if (known.data && !gen_shape_equal(known.shape, node->shape[0])) {
            char a[GEN_SHAPE_TEXT], b[GEN_SHAPE_TEXT];
            status =
                gen_fail(GEN_EMODEL, "parameter '%s' is %s, the network expects %s", node->name,
                         gen_shape_text(known.shape, a), gen_shape_text(node->shape[0], b));
            goto done;
        }
        if (known.data)
            continue;
        float *values;
        GEN_GOTO(gen_params_add(p, node->name, node->shape[0], attr->trained, &values));
        GEN_GOTO(fill(values, node->name, node->shape[0], (gen_init)attr->init, seed));
        fresh[i] = true;
    }
    for (int i = 0; i < n; i++) {
        const gen_node *node = gen_graph_param(g, i);
        const gen_param_attr *attr = node->attr;
        if (fresh[i] && attr->init == GEN_INIT_UNIT && is_u(node->name))
            GEN_GOTO(settle_beside(p, node->name));
    }
done:
    gen_free(fresh);
    return status;
}
