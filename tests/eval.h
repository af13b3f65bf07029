/* SPDX-License-Identifier: Apache-2.0
 *
 * Evaluates a graph in double by walking it in order of node id and calling each op's reference:
 * what a graph means, without plan, kernels or backends. For tests of ops, gradients and layers.
 *
 *     eval e;
 *     eval_open(&e, g);
 *     double *x = eval_value(&e, node);       // fill inputs, parameters, states (zero otherwise)
 *     eval_run(&e);                           // may be called again after changing them
 *     const double *y = eval_value(&e, out);  // any node; eval_output(&e, n, i) for output i
 *     eval_close(&e);
 *
 * Nothing is rounded: every node is held in double whatever its dtype. Nodes added after eval_open
 * (a gradient, say) are picked up by the next eval_run.
 */
#ifndef TESTS_EVAL_H
#define TESTS_EVAL_H

#include <stdlib.h>
#include <string.h>

#include "libgen/graph/op.h"

typedef struct eval {
    const gen_graph *g;
    double **value; /* [id * GEN_MAX_OUTPUTS + output], NULL until asked for */
    size_t capacity;
} eval;

static inline void eval_open(eval *e, const gen_graph *g)
{
    *e = (eval){ .g = g };
}

static inline void eval_close(eval *e)
{
    for (size_t i = 0; i < e->capacity; i++)
        free(e->value[i]);
    free(e->value);
    *e = (eval){ 0 };
}

static inline double *eval_output(eval *e, const gen_node *n, int output)
{
    size_t slots = (size_t)gen_graph_count(e->g) * GEN_MAX_OUTPUTS;
    size_t at = (size_t)n->id * GEN_MAX_OUTPUTS + (size_t)output;
    if (e->capacity < slots) {
        e->value = realloc(e->value, slots * sizeof *e->value);
        if (!e->value)
            abort();
        memset(e->value + e->capacity, 0, (slots - e->capacity) * sizeof *e->value);
        e->capacity = slots;
    }
    if (!e->value[at]) {
        e->value[at] = calloc((size_t)gen_shape_count(n->shape[output]), sizeof(double));
        if (!e->value[at])
            abort();
    }
    return e->value[at];
}

static inline double *eval_value(eval *e, const gen_node *n)
{
    return eval_output(e, n, 0);
}

/* Computes one node from the values of its inputs. */
static inline void eval_node(eval *e, const gen_node *n)
{
    const double *local[16];
    const double **in = n->n_in > 16 ? malloc((size_t)n->n_in * sizeof *in) : local;
    double *out[GEN_MAX_OUTPUTS] = { 0 };
    bool bound = n->op == &gen_op_input || n->op == &gen_op_param; /* by the caller */
    for (int i = 0; i < n->n_out; i++)
        out[i] = eval_output(e, n, i);
    for (int i = 0; i < n->n_in; i++) {
        bool picked = n->op == &gen_op_output;
        in[i] = eval_output(e, n->in[i],
                            picked ? (int)((const gen_output_attr *)n->attr)->index : 0);
    }
    if (!bound)
        n->op->ref(n, in, out);
    if (in != local)
        free(in);
}

static inline void eval_run(eval *e)
{
    for (int i = 0; i < gen_graph_count(e->g); i++)
        eval_node(e, gen_graph_node(e->g, i));
}

#endif
