/* SPDX-License-Identifier: Apache-2.0
 *
 * A graph is symbolic: plain function calls build nodes in an arena, with shapes but no values.
 * <libgen/ops.h> has the operations, <libgen/nn.h> layers made of them, <libgen/plan.h> runs them.
 *
 *     gen_graph *g;  gen_graph_create(&g);
 *     gen_node *x = gen_input(g, "x", GEN_F32, GEN_SHAPE(1, 64, 64, 4));
 *     gen_node *y = gen_relu(g, gen_conv(g, x, w, b, &(gen_conv_attr){ .groups = 1 }));
 *     if (gen_graph_status(g)) show(gen_last_error());
 *
 * Building is sticky: builders return a node, never a status. The first error (op, name, shapes)
 * poisons the graph, later builders do nothing and may be given NULL; gen_graph_status is asked
 * once. Ops never mutate: new state (a running mean, a power-iteration vector) is an extra output.
 * A graph belongs to one thread at a time. Nodes live as long as their graph.
 */
#ifndef LIBGEN_GRAPH_H
#define LIBGEN_GRAPH_H

#include <stdio.h>

#include <libgen/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_graph gen_graph;
typedef struct gen_node gen_node;

GEN_API gen_status gen_graph_create(gen_graph **out);
GEN_API void gen_graph_free(gen_graph **g);

/* The first error of building; its sentence is put back into gen_last_error(). */
GEN_API gen_status gen_graph_status(const gen_graph *g);

/* A value given anew at each run. Names of inputs are not scoped and must differ. */
GEN_API gen_node *gen_input(gen_graph *g, const char *name, gen_dtype dtype, gen_shape shape);

/* A named value that lives in a gen_params: weights, biases, running statistics. The name is
 * scoped; asking twice for a name gives the same node (the shape must agree). f32. */
typedef enum gen_init {
    GEN_INIT_ZEROS,
    GEN_INIT_ONES,
    GEN_INIT_ORTHOGONAL, /* flattened to [dim 0, rest]; Q of a normal matrix, gain 1 */
    GEN_INIT_NORMAL,     /* N(0,1) */
    GEN_INIT_UNIT        /* N(0,1) scaled to length 1: power-iteration vectors */
} gen_init;
GEN_API gen_node *gen_param(gen_graph *g, const char *name, gen_shape shape, gen_init init);

/* As gen_param, for values that are not trained (running statistics, power-iteration vectors). */
GEN_API gen_node *gen_state(gen_graph *g, const char *name, gen_shape shape, gen_init init);

/* A constant filled with one value; and one with given f32 values (copied). */
GEN_API gen_node *gen_fill(gen_graph *g, gen_shape shape, double value);
GEN_API gen_node *gen_const(gen_graph *g, gen_shape shape, const float *values);

/* Output i of a node with several outputs. A node itself stands for its output 0. */
GEN_API gen_node *gen_node_output(gen_graph *g, gen_node *n, int i);

GEN_API gen_shape gen_node_shape(const gen_node *n); /* rank 0 for NULL */
GEN_API gen_dtype gen_node_dtype(const gen_node *n);
GEN_API const char *gen_node_name(const gen_node *n); /* scope path of the node */

/* Scopes name parameters and nodes: "sampler/level4/gru/update/w". */
typedef struct gen_scope {
    size_t length;
} gen_scope;
GEN_API gen_scope gen_scope_push(gen_graph *g, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
GEN_API void gen_scope_pop(gen_graph *g, gen_scope s);

/* Reverse mode, graph to graph: adds nodes that compute d sum(y * dy) / d wrt[i] and stores them in
 * grads[i] (NULL where y does not depend on wrt[i]). dy NULL = ones. Second-order gradients are not
 * supported and asking for them is an error. Errors are sticky, like those of builders. */
GEN_API void gen_grad(gen_graph *g, gen_node *y, gen_node *dy, gen_node *const wrt[], int n,
                      gen_node *grads[]);

/* Writes one line a node: id, op, name, attributes, inputs, shape. */
GEN_API gen_status gen_graph_dump(const gen_graph *g, FILE *out);

/* Number of parameters asked for so far, and the i-th in order of creation. */
GEN_API int gen_graph_params(const gen_graph *g);
GEN_API gen_node *gen_graph_param(const gen_graph *g, int i);

#ifdef __cplusplus
}
#endif
#endif
