/* SPDX-License-Identifier: Apache-2.0
 *
 * Computing again instead of keeping: what recompute.c (the copy, the budget) and choice.c (what is
 * worth it) share.
 */
#ifndef LIBGEN_PLAN_RECOMPUTE_H
#define LIBGEN_PLAN_RECOMPUTE_H

#include "libgen/plan/plan.h"

/* A walk over a graph in which gradients read second computations. */
typedef struct gen_late {
    const gen_graph *graph;
    bool *again; /* [nodes]: gradients read its second computation */
    bool *made;  /* [nodes]: that is there */
    int *list;   /* [n]: what gen_late_gather found */
    int n;
} gen_late;

gen_status gen_late_create(gen_late *l, const gen_graph *g);
void gen_late_free(gen_late *l);
/* Begins a walk with the nodes of rounds 1 to `last`, and views of them. */
void gen_late_begin(gen_late *l, const int *round, int last);
/* What must be computed a second time before `reader` can run, in order. */
void gen_late_gather(gen_late *l, const gen_node *reader);

/* choice.c: round[id] of a laid out plan is set to 1 ... *rounds for what is worth computing again;
 * each round lowers the most that lives at a time, until that is far below the budget, or nothing
 * helps. */
gen_status gen_recompute_choose(const struct gen_plan *p, uint64_t budget, int *round, int *rounds);

#endif
