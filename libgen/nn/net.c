/* SPDX-License-Identifier: Apache-2.0
 *
 * A network under construction: the list of state updates and the cache of normalised weights.
 * Builders return no status, so running out of memory here poisons the graph.
 */
#include "libgen/nn/net.h"

#include "libgen/base/alloc.h"
#include "libgen/graph/op.h"

void gen_net_free(gen_net *net)
{
    if (!net)
        return;
    if (net->cache)
        gen_free(net->cache->entry);
    gen_free(net->cache);
    gen_free(net->state);
    gen_free(net->next);
    *net = (gen_net){ .g = net->g, .training = net->training };
}

/* Both arrays grow together; capacity is what both hold. */
static gen_status reserve(gen_net *net)
{
    uint64_t need = (uint64_t)net->n_updates + 1;
    uint64_t states = net->capacity, nexts = net->capacity;
    GEN_TRY(GEN_GROW(&net->state, &states, need));
    GEN_TRY(GEN_GROW(&net->next, &nexts, need));
    net->capacity = states < nexts ? states : nexts;
    return GEN_OK;
}

void gen_net_update(gen_net *net, gen_node *s, gen_node *next)
{
    if (gen_graph_failed(net->g))
        return;
    if (!gen_shape_equal(gen_node_shape(s), gen_node_shape(next))) {
        char a[GEN_SHAPE_TEXT], b[GEN_SHAPE_TEXT];
        gen_graph_fail(net->g, "update", "state '%s' is %s, its next value %s", gen_node_name(s),
                       gen_shape_text(gen_node_shape(s), a),
                       gen_shape_text(gen_node_shape(next), b));
        return;
    }
    if (reserve(net)) {
        gen_graph_fail_as(net->g, GEN_ENOMEM);
        return;
    }
    net->state[net->n_updates] = s;
    net->next[net->n_updates++] = next;
}

gen_node *gen_sn_find(const gen_net *net, const gen_node *w)
{
    for (int i = 0; net->cache && i < net->cache->n; i++)
        if (net->cache->entry[i].raw == w)
            return net->cache->entry[i].normal;
    return NULL;
}

void gen_sn_remember(gen_net *net, const gen_node *w, gen_node *normal)
{
    if (gen_graph_failed(net->g))
        return;
    gen_status status = net->cache ? GEN_OK : GEN_ALLOC(&net->cache, 1, "weight cache");
    if (!status)
        status = GEN_GROW(&net->cache->entry, &net->cache->capacity, net->cache->n + 1);
    if (status) {
        gen_graph_fail_as(net->g, status);
        return;
    }
    net->cache->entry[net->cache->n++] = (struct gen_sn_entry){ w, normal };
}
