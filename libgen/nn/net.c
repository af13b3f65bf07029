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
    gen_free(net->update);
    *net = (gen_net){ .g = net->g, .training = net->training };
}

/* A statistic holds the state once per group; the two statistics are of one shape. */
static bool fits(const gen_update *u)
{
    int64_t one = gen_shape_count(gen_node_shape(u->state));
    gen_shape mean = gen_node_shape(u->mean);
    return one > 0 && gen_shape_count(mean) % one == 0 &&
           (!u->variance || gen_shape_equal(mean, gen_node_shape(u->variance)));
}

void gen_net_update(gen_net *net, gen_update update)
{
    if (gen_graph_failed(net->g))
        return;
    if (!fits(&update)) {
        char a[GEN_SHAPE_TEXT], b[GEN_SHAPE_TEXT];
        gen_graph_fail(net->g, "update", "state '%s' is %s, its statistic %s",
                       gen_node_name(update.state),
                       gen_shape_text(gen_node_shape(update.state), a),
                       gen_shape_text(gen_node_shape(update.mean), b));
        return;
    }
    if (GEN_GROW(&net->update, &net->capacity, (uint64_t)net->n_updates + 1)) {
        gen_graph_fail_as(net->g, GEN_ENOMEM);
        return;
    }
    net->update[net->n_updates++] = update;
}

int gen_net_statistics(const gen_net *net, gen_node *out[])
{
    int n = 0;
    for (int i = 0; i < net->n_updates; i++) {
        gen_node *const of[2] = { net->update[i].mean, net->update[i].variance };
        for (int k = 0; k < 2 && of[k]; k++, n++)
            if (out)
                out[n] = of[k];
    }
    return n;
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
