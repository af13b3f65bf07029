/* SPDX-License-Identifier: Apache-2.0
 *
 * Self-attention as in DGMR's latent stack (reference 1.6): 1x1 projections without bias and
 * without spectral norm to C/8 channels, no scale, x + gamma * out with gamma 0 at the start.
 *
 * CHANNEL_ROWS is what openclimatefix's code computes: it reads its [C/8,H,W] maps as if they were
 * [h,w,c], so positions are the (C/8)*H rows of all channel maps and features run along W
 * (reference 6.3.1). Wrong, but its published weights were trained with it.
 */
#include "libgen/graph/op.h"
#include "libgen/nn/net.h"

enum { REDUCTION = 8 };

/* softmax(q k') v for q, k, v [N,positions,features]. */
static gen_node *attend(gen_graph *g, gen_node *q, gen_node *k, gen_node *v)
{
    gen_node *match = gen_matmul(g, q, k, &(gen_matmul_attr){ .transpose_b = 1 }); /* [N,L,L] */
    return gen_matmul(g, gen_softmax(g, match, 2), v, NULL);
}

/* [N,H,W,c] -> [N,H*W,c], or [N,c*H,W]. */
static gen_node *rows(gen_graph *g, gen_node *x, gen_attention_kind kind)
{
    gen_shape s = gen_node_shape(x);
    if (kind == GEN_ATTENTION_SPATIAL)
        return gen_reshape(g, x, GEN_SHAPE(s.dim[0], s.dim[1] * s.dim[2], s.dim[3]));
    x = gen_transpose(g, x, (int[GEN_MAX_RANK]){ 0, 3, 1, 2 }); /* [N,c,H,W] */
    return gen_reshape(g, x, GEN_SHAPE(s.dim[0], s.dim[3] * s.dim[1], s.dim[2]));
}

static gen_node *maps(gen_graph *g, gen_node *x, gen_shape s, gen_attention_kind kind)
{
    if (kind == GEN_ATTENTION_SPATIAL)
        return gen_reshape(g, x, s);
    x = gen_reshape(g, x, GEN_SHAPE(s.dim[0], s.dim[3], s.dim[1], s.dim[2]));
    return gen_transpose(g, x, (int[GEN_MAX_RANK]){ 0, 2, 3, 1 });
}

gen_node *gen_self_attention(gen_net *net, const char *name, gen_node *x, gen_attention_kind kind)
{
    gen_graph *g = net->g;
    if (gen_graph_failed(g))
        return NULL;
    gen_shape shape = gen_node_shape(x); /* [N,H,W,C] */
    int64_t channels = shape.dim[3], narrow = channels / REDUCTION;
    if (shape.rank != 4 || narrow < 1) {
        char text[GEN_SHAPE_TEXT];
        return gen_graph_fail(g, "self-attention", "'%s' expects [N,H,W,C] with C >= %d, found %s",
                              name, REDUCTION, gen_shape_text(shape, text));
    }

    const gen_layer_attr plain = { .kernel = 1, .no_bias = 1 };
    gen_scope s = gen_scope_push(g, "%s", name);
    gen_node *q = gen_conv_layer(net, "query", x, narrow, &plain); /* [N,H,W,C/8] */
    gen_node *k = gen_conv_layer(net, "key", x, narrow, &plain);
    gen_node *v = gen_conv_layer(net, "value", x, narrow, &plain);
    gen_shape small = gen_node_shape(q);
    gen_node *out = attend(g, rows(g, q, kind), rows(g, k, kind), rows(g, v, kind));
    out = gen_conv_layer(net, "out", maps(g, out, small, kind), channels, &plain);
    gen_node *gamma = gen_param(g, "gamma", GEN_SHAPE(1), GEN_INIT_ZEROS);
    gen_node *y = gen_add(g, x, gen_mul(g, out, gamma));
    gen_scope_pop(g, s);
    return y;
}
