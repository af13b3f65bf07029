/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolutional GRU of DVD-GAN and DGMR (reference 1.7):
 *
 *     r = sigmoid(read   * [x; h])       c  = relu(output * [x; r h])
 *     u = sigmoid(update * [x; h])       h' = u h + (1 - u) c
 *
 * Unlike textbooks' GRUs the candidate has a ReLU and u keeps the old state. A gate's convolution
 * of [x; h] is that of x plus that of h. The first does not depend on the state: it is one
 * convolution for all steps, and so are its gradients.
 */
#include "libgen/graph/op.h"
#include "libgen/nn/net.h"

/* What a gate needs at each step: its share of x, [T*N,H,W,C] or [N,H,W,C], with the bias; and the
 * weights of h. */
typedef struct gate {
    gen_node *of_x, *w;
    gen_conv_attr attr;
} gate;

static gate gate_of(gen_net *net, const char *name, gen_node *x, int64_t channels,
                    const gen_layer_attr *attr)
{
    gen_graph *g = net->g;
    gen_shape shape = gen_node_shape(x);
    int64_t cx = shape.rank ? shape.dim[shape.rank - 1] : 0;
    gen_conv_weights c = gen_conv_weights_of(net, name, x, cx + channels, channels, attr);
    gate out = { .attr = c.attr };
    if (gen_graph_failed(g))
        return out;
    gen_scope s = gen_scope_push(g, "%s", name);
    out.of_x = gen_conv(g, x, gen_slice(g, c.w, 1, 0, cx), c.b, &c.attr);
    out.w = gen_slice(g, c.w, 1, cx, channels);
    gen_scope_pop(g, s);
    return out;
}

/* The gate's sum at step t, before its activation; h [N,H,W,C], or r h. */
static gen_node *sum_at(gen_graph *g, const gate *q, gen_node *h, int64_t t)
{
    if (gen_graph_failed(g))
        return NULL;
    int64_t n = gen_node_shape(h).dim[0];
    bool timed = gen_node_shape(q->of_x).dim[0] != n;
    gen_node *x = timed ? gen_slice(g, q->of_x, 0, t * n, n) : q->of_x;
    return gen_add(g, gen_conv(g, h, q->w, NULL, &q->attr), x);
}

static gen_shape with_time(gen_shape s)
{
    gen_shape t = { .rank = s.rank + 1, .dim = { 1 } };
    for (int i = 0; i < s.rank; i++)
        t.dim[i + 1] = s.dim[i];
    return t;
}

/* [T,N,*] -> [T*N,*] */
static gen_node *join_time(gen_graph *g, gen_node *x)
{
    gen_shape all = gen_node_shape(x), joined = { .rank = all.rank - 1 };
    for (int i = 1; i < all.rank; i++)
        joined.dim[i - 1] = all.dim[i];
    joined.dim[0] *= all.dim[0];
    return gen_reshape(g, x, joined);
}

/* Images and spatial sizes agree. */
static bool fits(gen_shape x, gen_shape h, bool timed)
{
    for (int i = 0; i < h.rank - 1; i++)
        if (x.dim[i + timed] != h.dim[i])
            return false;
    return true;
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
        (timed && xs.dim[0] != steps) || !fits(xs, hs, timed)) {
        char a[GEN_SHAPE_TEXT], b[GEN_SHAPE_TEXT];
        return gen_graph_fail(g, "conv gru", "'%s' of %lld steps cannot take x %s with state %s",
                              name, (long long)steps, gen_shape_text(xs, a), gen_shape_text(hs, b));
    }
    gen_node **states;
    if (GEN_ALLOC(&states, steps, "steps of a ConvGRU"))
        return gen_graph_fail_as(g, GEN_ENOMEM);

    gen_scope s = gen_scope_push(g, "%s", name);
    if (timed)
        x = join_time(g, x);
    int64_t channels = hs.dim[hs.rank - 1];
    gate read = gate_of(net, "read", x, channels, attr);
    gate update = gate_of(net, "update", x, channels, attr);
    gate output = gate_of(net, "output", x, channels, attr);
    for (int64_t t = 0; t < steps; t++) {
        gen_node *r = gen_sigmoid(g, sum_at(g, &read, h, t));
        gen_node *u = gen_sigmoid(g, sum_at(g, &update, h, t));
        gen_node *c = gen_relu(g, sum_at(g, &output, gen_mul(g, r, h), t));
        h = gen_lerp(g, u, h, c);
        states[t] = gen_reshape(g, h, with_time(hs));
    }
    gen_node *y = gen_concat(g, 0, states, (int)steps); /* [T,N,H,W,C] */
    gen_scope_pop(g, s);
    gen_free(states);
    return y;
}
