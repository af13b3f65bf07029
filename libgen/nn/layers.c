/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolution, linear and batch norm layers: an op together with its parameters, made in a scope of
 * the layer's name. The same name asked for again means the same parameters.
 */
#include "libgen/graph/op.h"
#include "libgen/nn/net.h"

static const gen_layer_attr no_layer_attr;
static const gen_norm_attr no_norm_attr;

static gen_node *normalised(gen_net *net, gen_node *w, const gen_layer_attr *attr)
{
    return gen_spectral_norm(net, w, (gen_sn_kind)attr->sn, attr->sn_eps > 0 ? attr->sn_eps : 1e-4);
}

gen_conv_weights gen_conv_weights_of(gen_net *net, const char *name, gen_node *x, int64_t cin,
                                     int64_t channels, const gen_layer_attr *attr)
{
    gen_graph *g = net->g;
    gen_conv_weights c = { 0 };
    if (gen_graph_failed(g))
        return c;
    attr = attr ? attr : &no_layer_attr;
    int spatial = gen_node_shape(x).rank - 2;
    if (spatial < 1 || spatial > 3) {
        char text[GEN_SHAPE_TEXT];
        gen_graph_fail(g, "conv layer", "'%s' expects [N,*,C] with 1-3 spatial axes, found %s",
                       name, gen_shape_text(gen_node_shape(x), text));
        return c;
    }

    int64_t kernel = attr->kernel ? attr->kernel : 3;
    int64_t dilation = attr->dilation ? attr->dilation : 1;
    gen_shape shape = { .rank = spatial + 2, .dim = { channels, cin } }; /* [Cout,Cin,*k] */
    for (int i = 0; i < spatial; i++) {
        shape.dim[2 + i] = kernel;
        c.attr.stride[i] = attr->stride;
        c.attr.dilation[i] = attr->dilation;
        c.attr.pad_lo[i] = dilation * (kernel - 1) / 2;
        c.attr.pad_hi[i] = dilation * (kernel - 1) - c.attr.pad_lo[i];
    }

    gen_scope s = gen_scope_push(g, "%s", name);
    c.w = normalised(net, gen_param(g, "w", shape, GEN_INIT_ORTHOGONAL), attr);
    c.b = attr->no_bias ? NULL : gen_param(g, "b", GEN_SHAPE(channels), GEN_INIT_ZEROS);
    gen_scope_pop(g, s);
    return c;
}

gen_node *gen_conv_layer(gen_net *net, const char *name, gen_node *x, int64_t channels,
                         const gen_layer_attr *attr)
{
    gen_graph *g = net->g;
    gen_shape in = gen_node_shape(x);
    gen_conv_weights c =
        gen_conv_weights_of(net, name, x, in.rank ? in.dim[in.rank - 1] : 0, channels, attr);
    gen_scope s = gen_scope_push(g, "%s", name);
    gen_node *y = gen_graph_failed(g) ? NULL : gen_conv(g, x, c.w, c.b, &c.attr);
    gen_scope_pop(g, s);
    return y;
}

gen_node *gen_linear_layer(gen_net *net, const char *name, gen_node *x, int64_t channels,
                           const gen_layer_attr *attr)
{
    gen_graph *g = net->g;
    if (gen_graph_failed(g))
        return NULL;
    attr = attr ? attr : &no_layer_attr;
    gen_shape in = gen_node_shape(x);
    if (in.rank < 1)
        return gen_graph_fail(g, "linear layer", "'%s' expects [*,C], found a scalar", name);

    gen_scope s = gen_scope_push(g, "%s", name);
    gen_node *w = gen_param(g, "w", GEN_SHAPE(channels, in.dim[in.rank - 1]), GEN_INIT_ORTHOGONAL);
    gen_node *b = attr->no_bias ? NULL : gen_param(g, "b", GEN_SHAPE(channels), GEN_INIT_ZEROS);
    gen_node *y = gen_linear(g, x, normalised(net, w, attr), b);
    gen_scope_pop(g, s);
    return y;
}

/* ---- batch norm ---------------------------------------------------------------------------- */

static gen_node *norm_training(gen_net *net, gen_node *x, const gen_norm_attr *attr, gen_node *mean,
                               gen_node *var)
{
    gen_graph *g = net->g;
    double momentum = attr->momentum > 0 ? attr->momentum : 0.1;
    int64_t groups = attr->groups ? attr->groups : 1;
    gen_shape shape = gen_node_shape(x);
    int64_t channels = shape.dim[shape.rank - 1];
    int64_t count = gen_shape_count(shape) / channels / groups; /* values behind one statistic */

    if (attr->no_scale) {
        gen_node *rows = gen_reshape(g, x, GEN_SHAPE(groups, count, channels));
        gen_node *m = gen_mean(g, rows, 1u << 1); /* [groups,1,C] */
        gen_net_update(net, (gen_update){ .state = mean, .mean = m, .momentum = momentum });
        return gen_reshape(g, gen_sub(g, rows, m), shape);
    }
    gen_node *y =
        gen_batch_norm(g, x, &(gen_batch_norm_attr){ .groups = groups, .eps = attr->eps });
    gen_update u = { .state = mean, .mean = gen_node_output(g, y, 1), .momentum = momentum };
    gen_net_update(net, u);
    u.state = var;
    u.variance = gen_node_output(g, y, 2);
    u.count = count;
    gen_net_update(net, u);
    return y;
}

/* (x - mean) / sqrt(var + eps) * gamma + beta as x * a + b, with a and b constant in eval. */
static gen_node *norm_eval(gen_graph *g, gen_node *x, const gen_norm_attr *attr, gen_node *mean,
                           gen_node *var, gen_node *gamma, gen_node *beta)
{
    double eps = attr->eps > 0 ? attr->eps : 1e-5;
    gen_node *a = var ? gen_rsqrt(g, gen_affine(g, var, 1, eps)) : NULL;
    if (gamma)
        a = a ? gen_mul(g, gamma, a) : gamma;
    gen_node *b = gen_affine(g, a ? gen_mul(g, mean, a) : mean, -1, 0);
    if (beta)
        b = gen_add(g, beta, b);
    return gen_scale_shift(g, x, a, b, NULL);
}

gen_node *gen_norm_layer(gen_net *net, const char *name, gen_node *x, const gen_norm_attr *attr)
{
    gen_graph *g = net->g;
    if (gen_graph_failed(g))
        return NULL;
    attr = attr ? attr : &no_norm_attr;
    if (attr->off)
        return x;
    gen_shape shape = gen_node_shape(x);
    int64_t groups = attr->groups ? attr->groups : 1;
    if (shape.rank < 2 || (net->training && (groups < 1 || shape.dim[0] % groups))) {
        char text[GEN_SHAPE_TEXT];
        return gen_graph_fail(g, "norm layer",
                              "'%s' expects [N,*,C] with N in %lld groups, found %s", name,
                              (long long)groups, gen_shape_text(shape, text));
    }

    gen_shape row = GEN_SHAPE(shape.dim[shape.rank - 1]); /* [C] */
    gen_scope s = gen_scope_push(g, "%s", name);
    gen_node *gamma = NULL, *beta = NULL;
    if (!attr->no_affine) {
        gamma = attr->no_scale ? NULL : gen_param(g, "gamma", row, GEN_INIT_ONES);
        beta = gen_param(g, "beta", row, GEN_INIT_ZEROS);
    }
    gen_node *mean = gen_state(g, "mean", row, GEN_INIT_ZEROS);
    gen_node *var = attr->no_scale ? NULL : gen_state(g, "var", row, GEN_INIT_ONES);
    gen_node *y;
    if (net->training) {
        y = norm_training(net, x, attr, mean, var);
        if (gamma || beta)
            y = gen_scale_shift(g, y, gamma, beta, NULL);
    } else {
        y = norm_eval(g, x, attr, mean, var, gamma, beta);
    }
    gen_scope_pop(g, s);
    return y;
}
