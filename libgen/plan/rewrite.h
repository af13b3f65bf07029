/* SPDX-License-Identifier: Apache-2.0
 *
 * Rewriting: a pass copies the needed nodes of one graph into a new one, in order, and lets rules
 * replace a node while it is copied. Equal nodes become one (hash-consing). A rule sees the old
 * node and the images of its inputs; it returns the image, or NULL for "not me". What a rule leaves
 * unused is dropped by the next pass, which copies only what the outputs need.
 */
#ifndef LIBGEN_PLAN_REWRITE_H
#define LIBGEN_PLAN_REWRITE_H

#include <libgen/ops.h>
#include <libgen/plan.h>

#include "libgen/backends/backend.h"
#include "libgen/ops/list.h"

typedef struct gen_rewrite gen_rewrite;
typedef gen_node *gen_rule(gen_rewrite *r, gen_node *old, gen_node *const in[]);

typedef struct gen_pass {
    const char *name;
    unsigned needs;     /* GEN_RULE_* that must be on; 0 = always */
    gen_rule *rule;     /* NULL: only clean up */
    /* Looks at the whole old graph before the pass; *data is freed with gen_free. */
    gen_status (*survey)(gen_rewrite *r, void **data);
} gen_pass;

struct gen_rewrite {
    gen_graph *from, *to;
    const gen_backend *backend;
    const gen_plan_options *options;
    unsigned rules;      /* GEN_RULE_* that are on */
    gen_node **image;    /* [nodes of from] */
    bool *needed;        /* [nodes of from] */
    int *uses;           /* [nodes of from]: by needed nodes, and as outputs */
    bool *constant;      /* [nodes of to]: one value for the life of the plan */
    uint64_t constant_capacity;
    int constant_known;
    struct gen_cse *cse;
    void *data;          /* of the pass's survey, or of gen_rewrite_copy */
};

/* True when n, a node of r->to, has one value for the life of the plan. */
bool gen_rewrite_constant(gen_rewrite *r, const gen_node *n);

/* The kernel that runs n: the backend's choice among those that the options leave on. */
const gen_kernel *gen_plan_choose(const gen_backend *b, const gen_plan_options *o,
                                  const gen_node *n, const bool *is_const);

/* True when a kernel other than the reference takes n (a node of r->to). */
bool gen_rewrite_acceptable(gen_rewrite *r, gen_node *n);

/* The same for any graph; constant[id] is known for all nodes before n. */
bool gen_node_is_constant(const gen_node *n, bool params_vary, const bool *constant);

/* Replaces *graph and outputs[] by their rewritten forms, owned by the caller; the graph given is
 * left as it is. */
gen_status gen_rewrite_run(gen_graph **graph, gen_node *outputs[], int n_outputs,
                           const gen_backend *backend, const gen_plan_options *options);

/* One pass that merges nothing, in *out; `data` is for its rule. */
gen_status gen_rewrite_copy(gen_graph *from, const gen_pass *pass, void *data, gen_graph **out,
                            gen_node *outputs[], int n_outputs);
/* Nodes that are added from now on get this name. */
void gen_rewrite_scope(gen_graph *g, const char *name);

/* sums.c: sums of many gradients as one. */
gen_status gen_survey_sums(gen_rewrite *r, void **data);
gen_rule gen_rule_sums;

/* adjoints.c: what only reverse mode reads; convolutions smaller than their kernels; gradients said
 * in forward ops. */
gen_rule gen_rule_identity, gen_rule_trim, gen_rule_turn, gen_rule_unpool, gen_rule_pointwise_dw;

/* The passes in order, in rules.c. Ends with a NULL name. */
extern const gen_pass gen_passes[];

/* Follows reshapes and slices of outermost axes from n to the tensor whose memory it is a run of.
 * *offset gets the first element. */
gen_node *gen_outer_base(gen_node *n, int64_t *offset);

/* True for a slice, or concat, along an axis that only axes of size 1 precede: a run of memory. */
bool gen_is_outer_slice(const gen_node *n);
bool gen_is_outer_concat(const gen_node *n);

#endif
