/* SPDX-License-Identifier: Apache-2.0
 *
 * What the layer files share: the cache of normalised weights, and defaults of the attribute
 * structs.
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

#endif
