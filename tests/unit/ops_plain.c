/* SPDX-License-Identifier: Apache-2.0
 *
 * What builders of the plain ops refuse, in which words, and when they give back their input; where
 * gradients stop; that the gradients of movers are movers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <libgen/ops.h>

#include "libgen/ops/list.h"

struct made {
    gen_graph *g;
    gen_node *x, *i; /* x [2,3,4], i32 [5] */
};

static struct made make(void)
{
    struct made m;
    assert_int_equal(gen_graph_create(&m.g), GEN_OK);
    m.x = gen_input(m.g, "x", GEN_F32, GEN_SHAPE(2, 3, 4));
    m.i = gen_input(m.g, "i", GEN_I32, GEN_SHAPE(5));
    return m;
}

/* Building failed with a sentence that holds both words. */
static void refused(struct made *m, const gen_node *y, const char *what, const char *expected)
{
    assert_null(y);
    assert_int_equal(gen_graph_status(m->g), GEN_EINVAL);
    if (!strstr(gen_last_error(), what) || !strstr(gen_last_error(), expected))
        fail_msg("'%s' holds no '%s' or no '%s'", gen_last_error(), what, expected);
    gen_graph_free(&m->g);
    *m = make();
}

static void sentences(void **state)
{
    struct made m = make();
    (void)state;
    int order[GEN_MAX_RANK] = { 0, 1, 1 };
    int64_t lo[GEN_MAX_RANK] = { 0, -1 }, hi[GEN_MAX_RANK] = { 0 };
    gen_shape deep = { .rank = 9 };
    gen_node *other = gen_input(m.g, "o", GEN_F32, GEN_SHAPE(2, 4));
    refused(&m, gen_add(m.g, m.x, other), "[2,3,4]", "[2,4]");
    refused(&m, gen_mul(m.g, m.x, m.i), "i32", "expected one type");
    refused(&m, gen_relu(m.g, m.i), "i32", "expected a floating-point type");
    refused(&m, gen_clamp(m.g, m.x, 2, 1), "lo 2", "expected lo <= hi");
    refused(&m, gen_lerp(m.g, m.x, m.x, gen_slice(m.g, m.x, 0, 0, 1)), "b is [1,3,4]", "[2,3,4]");
    refused(&m, gen_softmax(m.g, m.x, 3), "axis is 3", "0 to 2");
    refused(&m, gen_sum(m.g, m.x, 8), "0x8", "below 3");
    refused(&m, gen_sum_to(m.g, m.x, GEN_SHAPE(2, 1)), "[2,3,4]", "[2,1]");
    refused(&m, gen_reshape(m.g, m.x, GEN_SHAPE(5, -1)), "[2,3,4]", "[5,-1]");
    refused(&m, gen_reshape(m.g, m.x, GEN_SHAPE(-1, -1)), "[2,3,4]", "[-1,-1]");
    refused(&m, gen_reshape(m.g, m.x, deep), "rank is 9", "0 to 8");
    refused(&m, gen_transpose(m.g, m.x, order), "order[2] is 1", "each of 0 to 2 once");
    refused(&m, gen_broadcast(m.g, m.x, GEN_SHAPE(2, 3, 5)), "[2,3,4]", "[2,3,5]");
    refused(&m, gen_concat(m.g, 0, (gen_node *[]){ m.x, m.i }, 2), "x[1] is [5]", "[2,3,4]");
    refused(&m, gen_concat(m.g, 3, (gen_node *[]){ m.x, m.x }, 2), "axis is 3", "0 to 2");
    refused(&m, gen_slice(m.g, m.x, 1, 2, 2), "2 cells from 2", "inside x [2,3,4]");
    refused(&m, gen_slice(m.g, m.x, 1, INT64_MAX, INT64_MAX), "axis 1", "inside x [2,3,4]");
    refused(&m, gen_pad(m.g, m.x, lo, hi, 0), "axis 1 is -1,0", "0 or more");
    refused(&m, gen_gather(m.g, m.x, m.x, 0), "index is f32", "i32 or i64");
    refused(&m, gen_gather(m.g, m.x, m.i, 4), "axis is 4", "0 to 2");
    refused(&m, gen_crop(m.g, m.x, m.i, 1, 1), "[2,3,4]", "[N,H,W,C]");
    gen_graph_free(&m.g);
}

static void nothing_to_do(void **state)
{
    struct made m = make();
    int64_t none[GEN_MAX_RANK] = { 0 };
    int order[GEN_MAX_RANK] = { 0, 1, 2 };
    (void)state;
    assert_ptr_equal(gen_cast(m.g, m.x, GEN_F32), m.x);
    assert_ptr_equal(gen_reshape(m.g, m.x, GEN_SHAPE(2, -1, 4)), m.x);
    assert_ptr_equal(gen_transpose(m.g, m.x, order), m.x);
    assert_ptr_equal(gen_broadcast(m.g, m.x, GEN_SHAPE(2, 3, 4)), m.x);
    assert_ptr_equal(gen_sum_to(m.g, m.x, GEN_SHAPE(2, 3, 4)), m.x);
    assert_ptr_equal(gen_sum(m.g, m.x, 0), m.x);
    assert_ptr_equal(gen_concat(m.g, 1, &m.x, 1), m.x);
    assert_ptr_equal(gen_slice(m.g, m.x, 1, 0, 3), m.x);
    assert_ptr_equal(gen_pad(m.g, m.x, none, none, 1), m.x);
    assert_int_equal(gen_graph_status(m.g), GEN_OK);
    gen_graph_free(&m.g);
}

static void gradients_stop(void **state)
{
    struct made m = make();
    gen_node *d[1];
    (void)state;
    gen_grad(m.g, gen_stop_gradient(m.g, gen_exp(m.g, m.x)), NULL, &m.x, 1, d);
    assert_null(d[0]);
    gen_grad(m.g, gen_greater(m.g, m.x, gen_fill(m.g, GEN_SHAPE(1), 0)), NULL, &m.x, 1, d);
    assert_null(d[0]);
    gen_grad(m.g, gen_cast(m.g, gen_cast(m.g, m.x, GEN_I32), GEN_F32), NULL, &m.x, 1, d);
    assert_null(d[0]);
    assert_int_equal(gen_graph_status(m.g), GEN_OK);
    gen_graph_free(&m.g);
}

/* With respect to a node that has no gradient of its own, or is one: nothing behind it is asked. */
static void gradients_of_what_has_none(void **state)
{
    struct made m = make();
    gen_node *d[1], *e[1];
    (void)state;
    gen_node *above = gen_tanh(m.g, m.x);
    gen_grad(m.g, gen_square(m.g, above), NULL, &m.x, 1, d);
    assert_non_null(d[0]);
    gen_grad(m.g, gen_square(m.g, d[0]), NULL, d, 1, e);
    assert_int_equal(gen_graph_status(m.g), GEN_OK);
    assert_non_null(e[0]);
    gen_grad(m.g, gen_square(m.g, d[0]), NULL, &m.x, 1, e);
    assert_int_equal(gen_graph_status(m.g), GEN_EINVAL); /* second order */
    gen_graph_free(&m.g);
}

/* x * stop(x): only one of the two factors has a gradient. */
static void stops_one_way_only(void **state)
{
    struct made m = make();
    gen_node *d[1];
    (void)state;
    gen_node *held = gen_stop_gradient(m.g, m.x);
    gen_grad(m.g, gen_mul(m.g, m.x, held), NULL, &m.x, 1, d);
    assert_int_equal(gen_graph_status(m.g), GEN_OK);
    assert_ptr_equal(d[0]->op, &gen_op_mul);
    assert_ptr_equal(d[0]->in[1], held);
    gen_graph_free(&m.g);
}

static void movers_have_movers(void **state)
{
    struct made m = make();
    gen_node *d[1];
    int64_t lo[GEN_MAX_RANK] = { 1, 0, 2 }, hi[GEN_MAX_RANK] = { 0 };
    (void)state;
    gen_grad(m.g, gen_broadcast(m.g, m.x, GEN_SHAPE(5, 2, 3, 4)), NULL, &m.x, 1, d);
    assert_ptr_equal(d[0]->op, &gen_op_sum_to);
    gen_grad(m.g, gen_sum(m.g, m.x, 2), NULL, &m.x, 1, d);
    assert_ptr_equal(d[0]->op, &gen_op_broadcast);
    gen_grad(m.g, gen_slice(m.g, m.x, 1, 1, 2), NULL, &m.x, 1, d);
    assert_ptr_equal(d[0]->op, &gen_op_pad);
    gen_grad(m.g, gen_pad(m.g, m.x, lo, hi, 3), NULL, &m.x, 1, d);
    assert_ptr_equal(d[0]->op, &gen_op_slice);
    gen_grad(m.g, gen_gather(m.g, m.x, m.i, 1), NULL, &m.x, 1, d);
    assert_ptr_equal(d[0]->op, &gen_op_gather_dx);
    assert_int_equal(gen_graph_status(m.g), GEN_OK);
    gen_graph_free(&m.g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentences),          cmocka_unit_test(nothing_to_do),
        cmocka_unit_test(gradients_stop),
        cmocka_unit_test(gradients_of_what_has_none),     cmocka_unit_test(stops_one_way_only),
        cmocka_unit_test(movers_have_movers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
