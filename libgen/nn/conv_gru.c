/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolutional GRU of DVD-GAN and DGMR (reference 1.7), in its textbook form: one convolution a
 * gate and step on the concatenation.
 *
 *     r = sigmoid(read   * [x; h])       c  = relu(output * [x; r h])
 *     u = sigmoid(update * [x; h])       h' = u h + (1 - u) c
 *
 * Unlike textbooks' GRUs the candidate has a ReLU and u keeps the old state. That the convolution
 * of x does not depend on the state, and may run for all steps at once, is for the plan to use.
 */
#include "libgen/graph/op.h"
#include "libgen/nn/net.h"

/* x [N,H,W,Cx], h [N,H,W,C] -> h' */
static gen_node *cell(gen_net *net, gen_node *x, gen_node *h, const gen_layer_attr *attr)
{
    gen_graph *g = net->g;
    if (gen_graph_failed(g))
        return NULL;
    gen_shape shape = gen_node_shape(h);
    int last = shape.rank - 1;
    int64_t channels = shape.dim[last];
    gen_node *xh = gen_concat(g, last, (gen_node *[]){ x, h }, 2);
    gen_node *r = gen_sigmoid(g, gen_conv_layer(net, "read", xh, channels, attr));
    gen_node *u = gen_sigmoid(g, gen_conv_layer(net, "update", xh, channels, attr));
    gen_node *xrh = gen_concat(g, last, (gen_node *[]){ x, gen_mul(g, r, h) }, 2);
    gen_node *c = gen_relu(g, gen_conv_layer(net, "output", xrh, channels, attr));
    return gen_lerp(g, u, h, c);
}

static gen_shape with_time(gen_shape s)
{
    gen_shape t = { .rank = s.rank + 1, .dim = { 1 } };
    for (int i = 0; i < s.rank; i++)
        t.dim[i + 1] = s.dim[i];
    return t;
}

static gen_node *step_of(gen_graph *g, gen_node *x, int64_t t)
{
    gen_shape all = gen_node_shape(x), one = { .rank = all.rank - 1 };
    for (int i = 1; i < all.rank; i++)
        one.dim[i - 1] = all.dim[i];
    return gen_reshape(g, gen_slice(g, x, 0, t, 1), one);
}

gen_node *gen_conv_gru(gen_net *net, const char *name, gen_node *x, gen_node *h, int64_t steps,
                       const gen_layer_attr *attr)
{
    gen_graph *g = net->g;
    if (gen_graph_failed(g))
        return NULL;
    gen_shape xs = gen_node_shape(x), hs = gen_node_shape(h);
    bool timed = xs.rank == hs.rank + 1; /* else the same x at every step */
    if (steps < 1 || hs.rank < 3 || (!timed && xs.rank != hs.rank) ||
        (timed && xs.dim[0] != steps)) {
        char a[GEN_SHAPE_TEXT], b[GEN_SHAPE_TEXT];
        return gen_graph_fail(g, "conv gru", "'%s' of %lld steps cannot take x %s with state %s",
                              name, (long long)steps, gen_shape_text(xs, a), gen_shape_text(hs, b));
    }
    gen_node **states;
    if (GEN_ALLOC(&states, steps, "steps of a ConvGRU"))
        return gen_graph_fail_as(g, GEN_ENOMEM);

    gen_scope s = gen_scope_push(g, "%s", name);
    for (int64_t t = 0; t < steps; t++) {
        h = cell(net, timed ? step_of(g, x, t) : x, h, attr);
        states[t] = gen_reshape(g, h, with_time(hs));
    }
    gen_node *y = gen_concat(g, 0, states, (int)steps); /* [T,N,H,W,C] */
    gen_scope_pop(g, s);
    gen_free(states);
    return y;
}
