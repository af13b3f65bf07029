/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a graph, for libgen/graph only; others use op.h.
 */
#ifndef LIBGEN_GRAPH_GRAPH_H
#define LIBGEN_GRAPH_GRAPH_H

#include "libgen/base/map.h"
#include "libgen/graph/op.h"

struct gen_graph {
    gen_arena arena;
    gen_node **node;
    uint64_t node_capacity;
    int n_nodes;
    gen_node **param; /* parameters and states, in order of creation */
    uint64_t param_capacity;
    int n_params;
    gen_map names;          /* "i:NAME" inputs, "p:NAME" parameters -> node */
    char scope[512];
    const char *scope_node; /* the present path in the arena, or NULL */
    bool building_gradient;
    gen_status status;
    char sentence[1024];
};

#endif
