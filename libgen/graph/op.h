/* SPDX-License-Identifier: Apache-2.0
 *
 * What an op is, and what a node holds. To add an op: one struct gen_op in libgen/ops/<family>.c, a
 * builder in <libgen/ops.h>, its entry in libgen/ops/list.c, cases in tests/check_ops.
 */
#ifndef LIBGEN_GRAPH_OP_H
#define LIBGEN_GRAPH_OP_H

#include <libgen/graph.h>

#include "libgen/base/alloc.h"
#include "libgen/base/options.h"

#define GEN_MAX_OUTPUTS 4

typedef struct gen_op gen_op;

struct gen_node {
    const gen_op *op;
    const void *attr;    /* op->attr_size bytes in the arena; NULL when 0 */
    const char *name;    /* scope path in which it was made; inputs, params, states: their name */
    int id;              /* index in graph->nodes: inputs come before users */
    int n_in, n_out;
    gen_node **in;
    gen_shape *shape;    /* [n_out] */
    gen_dtype *dtype;    /* [n_out] */
    bool is_gradient;    /* made by gen_grad: asking for its gradient is an error */
};

typedef struct gen_cost {
    double flops; /* 2 x multiply-accumulates; others: 1 an element */
    double bytes; /* inputs and outputs, once */
} gen_cost;

enum {
    GEN_OP_SOURCE = 1,  /* no inputs, no kernel: input, param, state, const, fill */
    GEN_OP_VIEW = 2,    /* output 0 is input 0's memory under another shape: reshape, output */
    GEN_OP_IN_PLACE = 4 /* output 0 may overwrite input 0 when shape and dtype agree */
};

struct gen_op {
    const char *name;
    unsigned flags;
    int min_in, max_in, n_out;
    size_t attr_size;
    const gen_option *attrs; /* for printing; NULL when none */
    /* Bit i: input i keeps f32 when the plan lowers the precision (weights, scales). */
    unsigned keep_f32;
    /* Shapes and dtypes of the outputs from inputs and attributes; a sentence on error. */
    gen_status (*infer)(const gen_node *n, gen_shape *shape, gen_dtype *dtype);
    /* Adds nodes for d/d input: dy[i] is the gradient of output i (NULL = none); sets dx[i]
     * (preset NULL = none). NULL: the op has no gradient (asking is an error unless it is a
     * stop). needs[i] false: dx[i] is not wanted. */
    void (*grad)(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                 gen_node *dx[]);
    /* The definition: all inputs and outputs as double (integers too), dense. */
    void (*ref)(const gen_node *n, const double *const in[], double *const out[]);
    gen_cost (*cost)(const gen_node *n); /* NULL: flops = elements of output 0 */
};

/* Adds a node; attr is copied. in[] may hold NULL only when the graph has already failed. */
GEN_API gen_node *gen_node_add(gen_graph *g, const gen_op *op, const void *attr,
                               gen_node *const in[], int n_in);

/* Poisons the graph with a sentence "op 'scope': ..." and returns NULL. */
GEN_API gen_node *gen_graph_fail(gen_graph *g, const char *op, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with the present sentence and its status: for functions below that failed. NULL. */
GEN_API gen_node *gen_graph_fail_as(gen_graph *g, gen_status s);

GEN_API bool gen_graph_failed(const gen_graph *g);
GEN_API int gen_graph_count(const gen_graph *g);
GEN_API gen_node *gen_graph_node(const gen_graph *g, int id);
GEN_API gen_arena *gen_graph_arena(gen_graph *g);

GEN_API gen_cost gen_node_cost(const gen_node *n); /* op->cost or the default; fills bytes */

/* One line of text: "conv x[..] w[..] stride=2,2 -> [..]" for dumps and errors. */
GEN_API const char *gen_node_text(const gen_node *n, char *buf, size_t size);

/* Sources, in libgen/graph/source.c. */
typedef struct gen_param_attr {
    int64_t init;    /* gen_init */
    int64_t trained; /* 0: state */
} gen_param_attr;
typedef struct gen_fill_attr {
    double value;
} gen_fill_attr;
typedef struct gen_output_attr {
    int64_t index;
} gen_output_attr;
typedef struct gen_const_attr {
    const float *values; /* in the arena of the graph */
    uint64_t hash;
} gen_const_attr;
extern GEN_API const gen_op gen_op_input, gen_op_param, gen_op_const, gen_op_fill, gen_op_output;

/* Every op, for check_ops and `gen info --ops`; in libgen/ops/list.c. */
GEN_API const gen_op *const *gen_ops(int *n);

#endif
