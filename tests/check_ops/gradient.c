/* SPDX-License-Identifier: Apache-2.0
 *
 * Building cases, drawing their values, and checking gradients: for each output k and a random
 * direction r, the graph's gradient of <r, y_k> with respect to input i, projected on a random
 * direction d, must equal (<r, y_k(x + eps d)> - <r, y_k(x - eps d)>) / (2 eps). The gradient graph
 * is evaluated by the references as well (tests/eval.h), all in double.
 */
#include <math.h>
#include <stdio.h>

#include <libgen/random.h>

#include "tests/check_ops/harness.h"
#include "tests/eval.h"

/* ---- cases ----------------------------------------------------------------------------------- */

static gen_node *add_input(check *c, gen_shape s, gen_dtype t, check_input in)
{
    char name[16];
    if (c->n_in == CHECK_MAX_IN)
        return gen_graph_fail(c->g, "check_ops", "more than %d inputs", CHECK_MAX_IN);
    snprintf(name, sizeof name, "x%d", c->n_in);
    in.node = gen_input(c->g, name, t, s);
    c->in[c->n_in++] = in;
    return in.node;
}

static gen_dtype usual_type(const check *c)
{
    return c->op->keep_f32 >> c->n_in & 1 ? GEN_F32 : c->dtype;
}

gen_node *check_in_range(check *c, gen_shape s, double lo, double hi)
{
    return add_input(c, s, usual_type(c), (check_input){ .lo = lo, .hi = hi });
}

gen_node *check_in(check *c, gen_shape s)
{
    return check_in_range(c, s, -1, 1);
}

gen_node *check_in_low(check *c, gen_shape s)
{
    return add_input(c, s, c->dtype, (check_input){ .lo = -1, .hi = 1 });
}

gen_node *check_in_f32(check *c, gen_shape s)
{
    return add_input(c, s, GEN_F32, (check_input){ .lo = -1, .hi = 1 });
}

gen_node *check_in_apart(check *c, gen_shape s)
{
    return add_input(c, s, usual_type(c),
                     (check_input){ .values = CHECK_APART, .lo = -1, .hi = 1 });
}

gen_node *check_in_index(check *c, gen_shape s, gen_dtype t, int64_t lo, int64_t hi)
{
    return add_input(
        c, s, t,
        (check_input){ .values = CHECK_INTEGER, .lo = (double)lo, .hi = (double)hi });
}

gen_node *check_build(const check_case *k, check *c, gen_dtype dtype)
{
    *c = (check){ .arg = k->arg, .op = k->op, .dtype = dtype };
    if (gen_graph_create(&c->g) != GEN_OK)
        abort();
    gen_node *n = k->build(c);
    if (gen_graph_status(c->g) != GEN_OK) {
        print_error("%s, %s: %s\n", k->op->name, k->name, gen_last_error());
        return NULL;
    }
    if (n->op != k->op) {
        print_error("%s, %s: the builder returned a node of op '%s'\n", k->op->name, k->name,
                    n->op->name);
        return NULL;
    }
    for (int i = 0; i < n->n_in || i < c->n_in; i++)
        if (i >= n->n_in || i >= c->n_in || n->in[i] != c->in[i].node) {
            print_error("%s, %s: input %d of the node is not the case's input %d\n", k->op->name,
                        k->name, i, i);
            return NULL;
        }
    return n;
}

/* Whole numbers of 53 bits to [0,1). */
static double unit(uint64_t salt, uint64_t stream, uint64_t index)
{
    uint32_t w[4];
    gen_philox(w, check_seed * 1000003 + salt, stream, index);
    return (w[0] + (w[1] >> 11) * 4294967296.0) / 9007199254740992.0;
}

/* A random permutation p of 0..n-1, as (p + f) / n with f in (0, 0.5) different for each input. */
static void draw_apart(double *v, int64_t n, uint64_t salt, int input)
{
    for (int64_t i = 0; i < n; i++)
        v[i] = ((double)i + 0.13 + 0.07 * input) / (double)n;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)(unit(salt, (uint64_t)input, (uint64_t)i) * (double)(i + 1));
        double t = v[i];
        v[i] = v[j];
        v[j] = t;
    }
}

void check_draw(const check *c, int input, uint64_t salt, double *v)
{
    const check_input *in = &c->in[input];
    int64_t n = gen_shape_count(gen_node_shape(in->node));
    if (in->values == CHECK_APART)
        draw_apart(v, n, salt, input);
    else
        for (int64_t i = 0; i < n; i++)
            v[i] = unit(salt, (uint64_t)input, (uint64_t)i);
    for (int64_t i = 0; i < n; i++) {
        v[i] = in->lo + v[i] * (in->hi - in->lo);
        if (in->values == CHECK_INTEGER)
            v[i] = floor(v[i]);
    }
}

/* ---- gradients ------------------------------------------------------------------------------- */

enum { DIRECTIONS = 3 };
static const double eps = 1e-5, allowed = 1e-6;

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static double length(const double *a, int64_t n)
{
    return sqrt(dot(a, a, n));
}

typedef struct probe {
    const check_case *k;
    const check *c;
    eval *e;
    gen_node *n, *dy; /* dy holds the direction r */
    int output;
} probe;

/* <r, y> with input i moved by step * d. */
static double moved(const probe *p, int i, const double *d, double step)
{
    const gen_node *x = p->c->in[i].node;
    int64_t n = gen_shape_count(x->shape[0]);
    double *v = eval_value(p->e, x);
    for (int64_t j = 0; j < n; j++)
        v[j] += step * d[j];
    eval_node(p->e, p->n);
    for (int64_t j = 0; j < n; j++)
        v[j] -= step * d[j];
    return dot(eval_value(p->e, p->dy), eval_output(p->e, p->n, p->output),
               gen_shape_count(p->n->shape[p->output]));
}

static int check_input_gradient(const probe *p, int i, const gen_node *grad)
{
    const gen_node *x = p->c->in[i].node;
    int64_t n = gen_shape_count(x->shape[0]);
    double *d = calloc((size_t)n, sizeof *d);
    int failed = 0;
    if (!d)
        abort();
    for (int t = 0; t < DIRECTIONS && !failed; t++) {
        for (int64_t j = 0; j < n; j++)
            d[j] = 2 * unit(100 + (uint64_t)t, (uint64_t)i, (uint64_t)j) - 1;
        double found = grad ? dot(eval_value(p->e, grad), d, n) : 0;
        double expected = (moved(p, i, d, eps) - moved(p, i, d, -eps)) / (2 * eps);
        double scale = grad ? length(eval_value(p->e, grad), n) * length(d, n) : 0;
        if (!(fabs(found - expected) <= allowed * (scale + 1e-3))) {
            print_error("%s, %s: gradient of output %d with respect to input %d: along direction "
                        "%d found %.9g, differences give %.9g%s\n",
                        p->k->op->name, p->k->name, p->output, i, t, found, expected,
                        grad ? "" : " (no gradient was built)");
            failed = 1;
        }
    }
    free(d);
    return failed;
}

static int check_output_gradient(const check_case *k, int output)
{
    check c;
    eval e;
    gen_node *n = check_build(k, &c, GEN_F32), *wrt[CHECK_MAX_IN], *grads[CHECK_MAX_IN];
    int failed = 0;
    if (!n) {
        gen_graph_free(&c.g);
        return 1;
    }
    gen_node *dy = gen_input(c.g, "dy", GEN_F32, n->shape[output]);
    for (int i = 0; i < c.n_in; i++)
        wrt[i] = c.in[i].node;
    gen_grad(c.g, gen_node_output(c.g, n, output), dy, wrt, c.n_in, grads);
    if (gen_graph_status(c.g) != GEN_OK) {
        print_error("%s, %s: %s\n", k->op->name, k->name, gen_last_error());
        gen_graph_free(&c.g);
        return 1;
    }
    eval_open(&e, c.g);
    for (int i = 0; i < c.n_in; i++)
        check_draw(&c, i, 0, eval_value(&e, wrt[i]));
    double *r = eval_value(&e, dy);
    for (int64_t i = 0; i < gen_shape_count(n->shape[output]); i++)
        r[i] = 2 * unit(7, (uint64_t)output, (uint64_t)i) - 1;
    eval_run(&e);
    probe p = { .k = k, .c = &c, .e = &e, .n = n, .dy = dy, .output = output };
    for (int i = 0; i < c.n_in; i++)
        if (gen_dtype_is_float(wrt[i]->dtype[0]))
            failed |= check_input_gradient(&p, i, grads[i]);
    eval_close(&e);
    gen_graph_free(&c.g);
    return failed;
}

/* Asking for what is not there must poison the graph with a sentence. */
static int check_refused(const check_case *k)
{
    check c;
    gen_node *n = check_build(k, &c, GEN_F32), *grad = NULL;
    int failed = !n;
    if (n) {
        gen_grad(c.g, n, NULL, &c.in[0].node, 1, &grad);
        if (gen_graph_status(c.g) == GEN_OK) {
            print_error("%s, %s: has no gradient, but asking for it was no error\n", k->op->name,
                        k->name);
            failed = 1;
        }
    }
    gen_graph_free(&c.g);
    return failed;
}

int check_gradient(const check_case *k)
{
    int failed = 0;
    if (!k->op->grad || k->flags & CHECK_REFUSED)
        return check_refused(k);
    if (k->flags & CHECK_NO_GRAD)
        return 0;
    for (int i = 0; i < k->op->n_out; i++)
        failed |= check_output_gradient(k, i);
    return failed;
}
