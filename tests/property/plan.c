/* SPDX-License-Identifier: Apache-2.0
 *
 * Random graphs give the same values with all rules and kernels as with none and the references:
 * for constant and varying parameters, slow inputs that change and that do not, any rules switched
 * off. Slabs are filled with NaN first, so that nothing may be read before it is written. Their
 * gradients within any memory budget are the same bytes as without one.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <libgen/ops.h>
#include <libgen/plan.h>
#include <libgen/random.h>

#include "libgen/plan/plan.h"
#include "tests/device.h"

enum { GRAPHS = 400, MOST_NODES = 64, MOST_OUT = 3, MOST_CELLS = 20000 };

typedef struct made {
    gen_graph *g;
    gen_node *node[MOST_NODES]; /* [N,H,W,C] */
    int nodes, params;
    gen_node *out[MOST_OUT];
    uint64_t random;
} made;

static gen_backend *fast, *reference;

static int open_backends(void **state)
{
    (void)state;
    if (gen_backend_open(&reference, "cpu", 1))
        return 1;
    reference->fast_math_off = true;
    return test_backend_open(&fast, 2);
}

static int close_backends(void **state)
{
    (void)state;
    gen_backend_close(&reference);
    gen_backend_close(&fast);
    return 0;
}

/* ---- graphs ---------------------------------------------------------------------------------- */

static int64_t below(made *m, int64_t n)
{
    m->random = m->random * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((m->random >> 33) % (uint64_t)n);
}

static gen_node *any(made *m)
{
    return m->node[below(m, m->nodes)];
}

/* A constant vector: a parameter, a literal or one number. */
static gen_node *vector(made *m, gen_shape s)
{
    char name[16];
    snprintf(name, sizeof name, "p%d", m->params++);
    return below(m, 3) ? gen_param(m->g, name, s, GEN_INIT_ZEROS) : gen_fill(m->g, s, 0.25);
}

static gen_node *random_conv(made *m, gen_node *x)
{
    static const int64_t channels[] = { 1, 3, 8, 16, 32 };
    gen_shape s = gen_node_shape(x);
    int64_t k = below(m, 3) ? 3 : 1, cout = channels[below(m, 5)];
    char name[16];
    snprintf(name, sizeof name, "p%d", m->params++);
    gen_node *w = gen_param(m->g, name, GEN_SHAPE(cout, s.dim[3], k, k), GEN_INIT_ORTHOGONAL);
    gen_conv_attr a = gen_conv_same(w);
    for (int i = 0; i < 2 && below(m, 3) == 0; i++) {
        a.pad_lo[i] += below(m, 3);
        a.pad_hi[i] += below(m, 2);
        a.stride[i] = 1 + below(m, 3);
    }
    return gen_conv(m->g, x, w, below(m, 2) ? vector(m, GEN_SHAPE(cout)) : NULL, &a);
}

/* Outermost rows of x and of nodes and constants that fit, behind one another. */
static gen_node *random_concat(made *m, gen_node *x)
{
    gen_shape s = gen_node_shape(x), row = s;
    row.dim[0] = 1;
    gen_node *part[3] = { x, vector(m, row), gen_slice(m->g, x, 0, below(m, s.dim[0]), 1) };
    for (int i = 0; i < m->nodes; i++) {
        gen_shape t = gen_node_shape(m->node[i]);
        if (!memcmp(t.dim + 1, s.dim + 1, 3 * sizeof *t.dim) && below(m, 2))
            part[1 + below(m, 2)] = m->node[i];
    }
    int64_t first = below(m, 3);
    gen_node *order[3] = { part[first], part[(first + 1) % 3], part[(first + 2) % 3] };
    return gen_concat(m->g, 0, order, 2 + (int)below(m, 2));
}

/* One weight at every row, with a state: what splitting and batching look for. */
static gen_node *random_recurrence(made *m, gen_node *x)
{
    gen_shape s = gen_node_shape(x);
    gen_node *h = gen_fill(m->g, GEN_SHAPE(1, s.dim[1], s.dim[2], 4), 0.5), *all[8];
    char name[16];
    int n = 0;
    snprintf(name, sizeof name, "p%d", m->params++);
    gen_node *w = gen_param(m->g, name, GEN_SHAPE(4, s.dim[3] + 4, 3, 3), GEN_INIT_ORTHOGONAL);
    gen_conv_attr a = gen_conv_same(w);
    for (; n < s.dim[0] && n < GEN_LEN(all); n++) {
        gen_node *xh[] = { gen_slice(m->g, x, 0, n, 1), h };
        gen_node *u = gen_conv(m->g, gen_concat(m->g, 3, xh, 2), w, NULL, &a);
        h = all[n] = gen_lerp(m->g, gen_sigmoid(m->g, u), h, gen_tanh(m->g, u));
    }
    return gen_concat(m->g, 0, all, n);
}

static gen_node *random_norm(made *m, gen_node *x)
{
    gen_shape s = gen_node_shape(x);
    gen_node *y = gen_batch_norm(m->g, x, NULL);
    gen_node *var = gen_reshape(m->g, gen_node_output(m->g, y, 2), GEN_SHAPE(s.dim[3]));
    return below(m, 2) ? y : gen_scale_shift(m->g, x, NULL, var, NULL);
}

/* y and the newest node of its shape; else a bias. */
static gen_node *random_residual(made *m, gen_node *y)
{
    gen_shape s = gen_node_shape(y);
    int i = m->nodes - 1;
    while (i >= 0 && !gen_shape_equal(gen_node_shape(m->node[i]), s))
        i--;
    gen_node *r = i < 0 ? vector(m, GEN_SHAPE(s.rank ? s.dim[3] : 1)) : m->node[i];
    return gen_relu(m->g, below(m, 2) ? gen_add(m->g, y, r) : gen_add(m->g, r, y));
}

static gen_node *random_node(made *m)
{
    gen_node *x = any(m), *y;
    gen_shape s = gen_node_shape(x);
    switch (below(m, 10)) {
    case 0: return gen_relu(m->g, x);
    case 1: return gen_tanh(m->g, x);
    case 2: return random_conv(m, x);
    case 3: return random_conv(m, gen_upsample(m->g, x, (const int64_t[3]){ 2, 2 }));
    case 4: /* for the rule that folds the mean into the convolution */
        y = random_conv(m, x);
        s = gen_node_shape(y);
        return s.rank == 4 && s.dim[1] > 1 && s.dim[2] > 1
                   ? gen_avg_pool(m->g, y, &(gen_pool_attr){ .kernel = { 2, 2 } })
                   : y;
    case 5: return random_residual(m, random_conv(m, x));
    case 6: return random_concat(m, x);
    case 7: return random_recurrence(m, x);
    case 8: return random_norm(m, x);
    default:
        y = random_conv(m, x);
        s = GEN_SHAPE(y ? gen_node_shape(y).dim[3] : 1);
        return gen_relu(m->g, gen_scale_shift(m->g, y, vector(m, s), vector(m, s), NULL));
    }
}

/* False for a graph that could not be built: a shape that does not fit. */
static bool build(made *m, uint64_t seed)
{
    *m = (made){ .random = seed };
    assert_int_equal(gen_graph_create(&m->g), GEN_OK);
    gen_shape s = GEN_SHAPE(1 + below(m, 4), 1 + below(m, 8), 1 + below(m, 8), 1 << below(m, 6));
    m->node[m->nodes++] = gen_input(m->g, "x", GEN_F32, s);
    m->node[m->nodes++] = gen_input(m->g, "z", GEN_F32, s);
    for (int64_t n = 4 + below(m, 16); n > 0 && !gen_graph_failed(m->g); n--) {
        gen_node *y = random_node(m);
        if (y && gen_shape_count(gen_node_shape(y)) <= MOST_CELLS)
            m->node[m->nodes++] = y;
    }
    for (int i = 0; i < MOST_OUT; i++)
        m->out[i] = i ? any(m) : m->node[m->nodes - 1];
    return gen_graph_status(m->g) == GEN_OK;
}

static gen_params *fill_params(const gen_graph *g)
{
    gen_params *p;
    assert_int_equal(gen_params_create(&p), GEN_OK);
    for (int i = 0; i < gen_graph_params(g); i++) {
        const gen_node *n = gen_graph_param(g, i);
        gen_shape s = gen_node_shape(n);
        int64_t count = gen_shape_count(s);
        float *v, scale = s.rank > 1 ? 1.5f / sqrtf((float)(count / s.dim[0])) : 1;
        assert_int_equal(gen_params_add(p, gen_node_name(n), s, true, &v), GEN_OK);
        gen_random_normal(v, count, 1, gen_stream(gen_node_name(n)), 0);
        for (int64_t j = 0; j < count; j++)
            v[j] *= scale;
    }
    return p;
}

/* ---- plans of them --------------------------------------------------------------------------- */

static gen_plan *plan_of(const made *m, gen_params *params, gen_backend *b,
                         const gen_plan_options *o)
{
    gen_plan *p;
    if (gen_plan_create(&p, m->g, (gen_node *const *)m->out, MOST_OUT, params, b, o) != GEN_OK)
        fail_msg("%s", gen_last_error());
    if (b == reference || test_on_cpu()) /* else the slab is not of this memory */
        memset(p->slab, 0xff, p->slab_bytes);
    return p;
}

static void run(gen_plan *p, uint64_t x, uint64_t z)
{
    for (int i = 0; i < 2; i++) {
        gen_tensor t = gen_plan_input(p, i ? "z" : "x");
        gen_random_normal(t.data, gen_shape_count(t.shape), i ? z : x, (uint64_t)i, 0);
    }
    if (gen_plan_run(p, NULL) != GEN_OK)
        fail_msg("%s", gen_last_error());
}

static void check_same(gen_plan *p, gen_plan *expected, uint64_t seed, const char *what)
{
    for (int i = 0; i < MOST_OUT; i++) {
        gen_tensor a = gen_plan_output(p, i), b = gen_plan_output(expected, i);
        const float *x = a.data, *y = b.data;
        double worst = 0, largest = 1e-2;
        assert_true(gen_shape_equal(a.shape, b.shape));
        for (int64_t j = 0; j < gen_shape_count(a.shape); j++) {
            double d = fabs((double)x[j] - (double)y[j]);
            worst = d > worst || !isfinite(d) ? d : worst;
            largest = fmax(largest, fabs((double)y[j]));
        }
        if (!(worst <= 2e-3 * largest)) /* normalised cells that are nearly equal */
            fail_msg("graph %d, %s: output %d differs by %g of %g", (int)seed, what, i, worst,
                     largest);
    }
}

static void random_graphs(void **state)
{
    static const char *const slow[] = { "x", NULL };
    int built = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= GRAPHS; seed++) {
        made m;
        if (!build(&m, seed)) {
            gen_graph_free(&m.g);
            continue;
        }
        built++;
        gen_params *params = fill_params(m.g);
        gen_plan *none = plan_of(&m, params, reference,
                                 &(gen_plan_options){ .rules_off = GEN_RULES_ALL });
        gen_plan *all = plan_of(&m, params, fast, &(gen_plan_options){ .slow = slow });
        gen_plan *some = plan_of(&m, params, fast,
                                 &(gen_plan_options){ .params_vary = 1,
                                                      .rules_off = (unsigned)below(&m, 2048) });
        for (int turn = 0; turn < 4; turn++) {
            uint64_t x = turn < 2 ? 1 : 2, z = (uint64_t)turn; /* x changes at turn 2 */
            if (turn == 2)
                gen_plan_changed(all);
            run(none, x, z);
            run(all, x, z);
            run(some, x, z);
            check_same(all, none, seed, "all rules");
            check_same(some, none, seed, "some rules");
        }
        gen_plan_free(&none);
        gen_plan_free(&all);
        gen_plan_free(&some);
        gen_params_free(&params);
        gen_graph_free(&m.g);
    }
    print_message("%d of %d graphs\n", built, (int)GRAPHS);
    assert_true(built > GRAPHS / 2);
}

/* ---- gradients within a budget --------------------------------------------------------------- */

enum { MOST_GRADIENTS = 200 };

/* Loss and gradients of what `build` made; 0 when some op has no gradient. */
static int differentiate(made *m, gen_node *out[])
{
    gen_node *wrt[MOST_GRADIENTS], *grad[MOST_GRADIENTS];
    int n = 0, count = 1;
    out[0] = NULL;
    for (int i = 0; i < MOST_OUT; i++) {
        gen_node *y = m->out[i],
                 *sum = gen_mean(m->g, gen_reshape(m->g, gen_mul(m->g, y, y), GEN_SHAPE(-1)), 1);
        out[0] = out[0] ? gen_add(m->g, out[0], sum) : sum;
    }
    for (; n < gen_graph_params(m->g) && n < MOST_GRADIENTS; n++)
        wrt[n] = gen_graph_param(m->g, n);
    gen_grad(m->g, out[0], NULL, wrt, n, grad);
    if (gen_graph_status(m->g) != GEN_OK)
        return 0;
    for (int i = 0; i < n; i++)
        if (grad[i])
            out[count++] = grad[i];
    return count;
}

static void check_equal(gen_plan *p, gen_plan *expected, int n, uint64_t seed)
{
    for (int i = 0; i < n; i++) {
        gen_tensor a = gen_plan_output(p, i), b = gen_plan_output(expected, i);
        if (memcmp(a.data, b.data, gen_tensor_bytes(&a)) != 0)
            fail_msg("graph %d: output %d is another within the budget", (int)seed, i);
    }
}

static void gradients_within_a_budget(void **state)
{
    gen_node *out[MOST_GRADIENTS + 1];
    int graphs = 0, fewer = 0, more = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= GRAPHS; seed++) {
        made m;
        gen_plan *whole, *p;
        int n = build(&m, seed) ? differentiate(&m, out) : 0;
        if (!n) {
            gen_graph_free(&m.g);
            continue;
        }
        graphs++;
        gen_params *params = fill_params(m.g);
        gen_plan_options o = { .params_vary = 1 };
        if (gen_plan_create(&whole, m.g, out, n, params, fast, &o) != GEN_OK)
            fail_msg("%s", gen_last_error());
        run(whole, 1, 2);
        const uint64_t bytes = gen_plan_describe(whole).slab_bytes;
        for (uint64_t part = 10; part < 20; part++) {
            o.memory_budget = bytes * part / 20;
            gen_status status = gen_plan_create(&p, m.g, out, n, params, fast, &o);
            assert_true(status == GEN_OK || status == GEN_ENOMEM);
            if (status != GEN_OK)
                continue;
            if (test_on_cpu())
                memset(p->slab, 0xff, p->slab_bytes);
            run(p, 1, 2);
            run(p, 1, 2);
            check_equal(p, whole, n, seed);
            assert_true(gen_plan_describe(p).slab_bytes <= o.memory_budget);
            fewer++;
            more += gen_plan_describe(p).again > 0;
            gen_plan_free(&p);
        }
        gen_plan_free(&whole);
        gen_params_free(&params);
        gen_graph_free(&m.g);
    }
    print_message("%d graphs; %d plans within budgets, %d of them compute again\n", graphs, fewer,
                  more);
    assert_true(fewer > GRAPHS / 4 && more > GRAPHS / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(random_graphs),
                                        cmocka_unit_test(gradients_within_a_budget) };
    return cmocka_run_group_tests_name("random plans", tests, open_backends, close_backends);
}
