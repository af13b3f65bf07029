/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a plan.
 *
 * Every output of every node of the rewritten graph is a value: a run of bytes in a buffer, or
 * memory outside the slab (parameters that vary, constants). Views and outer slices are values in
 * the buffer of what they look at. Steps are the nodes that compute.
 */
#ifndef LIBGEN_PLAN_PLAN_H
#define LIBGEN_PLAN_PLAN_H

#include "libgen/base/map.h"
#include "libgen/graph/params.h"
#include "libgen/plan/rewrite.h"

struct gen_value {
    int buffer;          /* index, or -1 */
    uint64_t offset;     /* in the buffer, bytes */
    uint64_t bytes;
    int last_read;       /* step that reads it last; -1: none; GEN_FOREVER */
    const void *outside; /* buffer -1: its memory */
    int next;            /* next value of the same buffer, or -1 */
};
#define GEN_FOREVER (1 << 30)

struct gen_buffer {
    uint64_t bytes, offset; /* offset in the slab */
    int first, last;        /* steps between which it is in use */
    int values;             /* head of the list of its values, or -1 */
};

/* A run of bytes to copy: the part of a concat that could not be computed in place. */
struct gen_copy {
    int from; /* value */
    uint64_t offset;
};

struct gen_step {
    gen_node *node;
    const gen_kernel *kernel; /* NULL: copies */
    void *state;
    uint64_t workspace;
    int scratch;              /* buffer of the workspace, in use at this step only; or -1 */
    unsigned consumed;
    gen_more more;
    bool slow;                /* depends on slow inputs and constants only */
    struct gen_copy *copy;    /* in the plan's arena */
    int n_copies;
    const void **in;
    void **out;
    double seconds; /* best of the dump's runs */
};

struct gen_plan {
    gen_graph *graph; /* rewritten, owned */
    gen_node **output;
    int n_outputs;
    gen_params *params, *own_params; /* own: when none were given */
    gen_backend *backend;
    gen_plan_options options;
    gen_arena arena;
    bool *constant, *slow;   /* [nodes] */
    uint64_t (*hash)[2];     /* [nodes]: name of a constant's value in the store */
    int *value_of;           /* [nodes]: index of the value of output 0; the others follow */
    struct gen_value *value;
    int n_values;
    struct gen_buffer *buffer;
    uint64_t buffer_capacity;
    int n_buffers;
    struct gen_step *step;
    int n_steps, n_slow;     /* slow steps come first */
    int n_again;             /* steps that are there for the memory budget */
    void **owned;            /* constants kept for running */
    uint64_t owned_capacity;
    int n_owned;
    gen_pack **pack;         /* packed copies that kernels read */
    uint64_t pack_capacity;
    int n_packs;
    uint64_t slab_bytes;
    char *slab;              /* in the backend's far memory, where it has such */
    bool slow_done;
    /* With far memory, see far.c. */
    void **host_of;          /* [n_values]: copies of inputs and outputs on the host, or NULL */
    void *recording[2];      /* all steps; those behind the slow ones */
    bool ran[2];
};

/* constant.c: value of constant node n, f32 (or its dtype), computed now. *free_me is NULL or must
 * be freed with gen_free. */
gen_status gen_constant_value(struct gen_plan *p, gen_node *n, const void **value, void **free_me);
gen_status gen_constant_hashes(struct gen_plan *p);
/* Prepares the kernel of a node: gives it constants and the store of packed weights. */
gen_status gen_prepare_kernel(struct gen_plan *p, gen_backend *b, const gen_kernel *k, gen_node *n,
                              const bool *is_const, gen_prepare *out);

/* memory.c: fills value, buffer and the slab's size from the steps. */
gen_status gen_plan_layout(struct gen_plan *p);
void *gen_value_address(const struct gen_plan *p, int value);

/* plan.c: a plan of the same outputs, to be given a graph, that only estimates. */
gen_status gen_plan_trial(struct gen_plan **out, const struct gen_plan *p);
/* From the graph to the places in the slab. */
gen_status gen_plan_lay_out(struct gen_plan *p);

/* recompute.c: replaces p's graph where its slab does not fit the budget, and gradients read what
 * could be computed again instead of kept. ENOMEM says what it would take. */
gen_status gen_recompute(struct gen_plan *p);

gen_status gen_plan_run_step(struct gen_plan *p, int step);

/* far.c: a plan on a device. Host copies of inputs and outputs. */
gen_status gen_plan_add_host(struct gen_plan *p);
void gen_plan_free_far(struct gen_plan *p);
gen_status gen_plan_run_far(struct gen_plan *p, const gen_progress *progress);

/* For trainers: on a device, queues one run as gen_plan_run does, without waiting, and without
 * recording it: the caller may record it together with work of its own. Else it is a run. */
GEN_API gen_status gen_plan_queue(gen_plan *p);
/* Where output i lies, for kernels, and an input (NULL: there is none of this name). */
GEN_API void *gen_plan_place(const gen_plan *p, int i);
GEN_API void *gen_plan_input_place(const gen_plan *p, const char *name);

/* The input of this name in the rewritten graph, or NULL. */
const gen_node *gen_plan_find_input(const gen_plan *p, const char *name);
bool gen_plan_names(const char *const *list, const char *name);

#endif
