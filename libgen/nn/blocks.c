/* SPDX-License-Identifier: Apache-2.0
 *
 * Residual blocks of the DVD-GAN and DGMR families (reference 1.5, 5.3). Names inside a block:
 * norm1, conv1, norm2, conv2 along the trunk, skip for the 1x1 convolution of the shortcut.
 *
 * Written plainly (up-sample, then convolve; convolve, then pool): the plan folds resampling into
 * the convolutions beside it and runs 1x1 convolutions on the small side.
 */
#include "libgen/graph/op.h"
#include "libgen/nn/net.h"

static const gen_block_attr no_block_attr;

static int64_t channels_of(const gen_node *x)
{
    gen_shape s = gen_node_shape(x);
    return s.rank ? s.dim[s.rank - 1] : 0;
}

static gen_node *conv(gen_net *net, const char *name, gen_node *x, int64_t channels, int64_t kernel,
                      const gen_block_attr *attr)
{
    gen_layer_attr layer = attr->conv;
    layer.kernel = kernel;
    return gen_conv_layer(net, name, x, channels, &layer);
}

static gen_node *upsample(gen_graph *g, gen_node *x, int64_t factor)
{
    return factor > 1 ? gen_upsample(g, x, (int64_t[3]){ factor, factor, factor }) : x;
}

static gen_node *pool(gen_graph *g, gen_node *x, int64_t factor)
{
    gen_shape s = gen_node_shape(x);
    gen_pool_attr attr = { { 0 } };
    if (factor <= 1)
        return x;
    for (int i = 0; i < s.rank - 2 && i < 3; i++)
        attr.kernel[i] = s.dim[1 + i] > 1 ? factor : 1;
    return gen_avg_pool(g, x, &attr);
}

gen_node *gen_g_block(gen_net *net, const char *name, gen_node *x, int64_t channels,
                      const gen_block_attr *attr)
{
    gen_graph *g = net->g;
    if (gen_graph_failed(g))
        return NULL;
    attr = attr ? attr : &no_block_attr;
    int64_t hidden = attr->hidden ? attr->hidden : channels;

    gen_scope s = gen_scope_push(g, "%s", name);
    gen_node *skip = upsample(g, x, attr->up);
    if (channels != channels_of(x) || attr->up > 1)
        skip = conv(net, "skip", skip, channels, 1, attr);
    gen_node *y = gen_relu(g, gen_norm_layer(net, "norm1", x, &attr->norm));
    y = conv(net, "conv1", upsample(g, y, attr->up), hidden, 3, attr);
    y = gen_relu(g, gen_norm_layer(net, "norm2", y, &attr->norm));
    y = conv(net, "conv2", y, channels, 3, attr);
    y = gen_add(g, y, skip);
    gen_scope_pop(g, s);
    return y;
}

gen_node *gen_d_block(gen_net *net, const char *name, gen_node *x, int64_t channels,
                      const gen_block_attr *attr)
{
    gen_graph *g = net->g;
    if (gen_graph_failed(g))
        return NULL;
    attr = attr ? attr : &no_block_attr;
    int64_t hidden = attr->hidden ? attr->hidden : channels;

    gen_scope s = gen_scope_push(g, "%s", name);
    gen_node *skip = x;
    if (channels != channels_of(x) || attr->up > 1)
        skip = pool(g, conv(net, "skip", x, channels, 1, attr), attr->up);
    gen_node *y = attr->no_preact ? x : gen_relu(g, x);
    y = gen_relu(g, conv(net, "conv1", y, hidden, 3, attr));
    y = pool(g, conv(net, "conv2", y, channels, 3, attr), attr->up);
    y = gen_add(g, y, skip);
    gen_scope_pop(g, s);
    return y;
}

/* Where x is wider than the result (the paper never is: narrow models of ours with 8 latent
 * channels), the shortcut is a 1x1 convolution. */
gen_node *gen_l_block(gen_net *net, const char *name, gen_node *x, int64_t channels,
                      const gen_block_attr *attr)
{
    gen_graph *g = net->g;
    if (gen_graph_failed(g))
        return NULL;
    attr = attr ? attr : &no_block_attr;
    int64_t more = channels - channels_of(x);

    gen_scope s = gen_scope_push(g, "%s", name);
    gen_node *skip = x;
    if (more > 0) {
        gen_node *parts[2] = { x, conv(net, "skip", x, more, 1, attr) };
        skip = gen_concat(g, gen_node_shape(x).rank - 1, parts, 2);
    } else if (more < 0) {
        skip = conv(net, "skip", x, channels, 1, attr);
    }
    gen_node *y = conv(net, "conv1", gen_relu(g, x), channels, 3, attr);
    y = conv(net, "conv2", gen_relu(g, y), channels, 3, attr);
    y = gen_add(g, y, skip);
    gen_scope_pop(g, s);
    return y;
}
