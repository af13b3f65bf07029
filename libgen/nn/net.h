/* SPDX-License-Identifier: Apache-2.0
 *
 * What the layer files share: the cache of normalised weights, and those of a convolution.
 */
#ifndef LIBGEN_NN_NET_H
#define LIBGEN_NN_NET_H

#include <libgen/nn.h>

/* Raw weight -> the node of its normalised form, so that a weight used at many time steps or in
 * many layers of one net goes through one power iteration. */
struct gen_sn_cache {
    int n;
    uint64_t capacity;
    struct gen_sn_entry {
        const gen_node *raw;
        gen_node *normal;
    } * entry;
};

/* NULL when w has not been normalised in this net yet. */
gen_node *gen_sn_find(const gen_net *net, const gen_node *w);
/* Poisons the graph when memory runs out. */
void gen_sn_remember(gen_net *net, const gen_node *w, gen_node *normal);

/* Weights (normalised), bias or NULL, and geometry of the convolution layer `name`, for inputs of
 * x's rank with cin channels. All zero when the graph has failed. */
typedef struct gen_conv_weights {
    gen_node *w, *b;
    gen_conv_attr attr;
} gen_conv_weights;
gen_conv_weights gen_conv_weights_of(gen_net *net, const char *name, gen_node *x, int64_t cin,
                                     int64_t channels, const gen_layer_attr *attr);

#endif
