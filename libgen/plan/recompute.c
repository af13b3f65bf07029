/* SPDX-License-Identifier: Apache-2.0
 *
 * Less memory for more time: values of the forward pass that only gradients read again are not kept
 * but computed a second time, just before the first gradient that reads them (Chen et al. 2016,
 * "Training Deep Nets with Sublinear Memory Cost").
 *
 * Which ones, choice.c says, as a list of rounds, each of which lowers the most that lives at a
 * time; as many rounds are taken as the budget asks for. The copy is made here, after all rules and
 * without merging equal nodes. Steps run in the order of nodes, so a second computation happens
 * where its nodes are put: that is all there is to it. Gradients alone read it: what else the
 * forward pass gives (losses, new states) comes from the first.
 */
#include <stdlib.h>
#include <string.h>

#include "libgen/graph/graph.h"
#include "libgen/plan/recompute.h"

/* ---- what a late reader needs ---------------------------------------------------------------- */

gen_status gen_late_create(gen_late *l, const gen_graph *g)
{
    int nodes = gen_graph_count(g);
    l->graph = g;
    GEN_TRY(GEN_ALLOC(&l->again, nodes, "recomputing"));
    GEN_TRY(GEN_ALLOC(&l->made, nodes, "recomputing"));
    return GEN_ALLOC(&l->list, nodes, "recomputing");
}

void gen_late_free(gen_late *l)
{
    gen_free(l->again);
    gen_free(l->made);
    gen_free(l->list);
}

void gen_late_begin(gen_late *l, const int *round, int last)
{
    int nodes = gen_graph_count(l->graph);
    memset(l->made, 0, (size_t)nodes * sizeof *l->made);
    for (int i = 0; i < nodes; i++) {
        const gen_node *n = gen_graph_node(l->graph, i);
        bool view = (n->op->flags & GEN_OP_VIEW) || gen_is_outer_slice(n);
        l->again[i] = (round[i] > 0 && round[i] <= last) || (view && l->again[n->in[0]->id]);
    }
}

static int by_id(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

void gen_late_gather(gen_late *l, const gen_node *reader)
{
    int done = 0;
    l->n = 0;
    for (const gen_node *n = reader;; n = gen_graph_node(l->graph, l->list[done++])) {
        for (int j = 0; j < n->n_in; j++) {
            int id = n->in[j]->id;
            if (!l->again[id] || l->made[id])
                continue;
            l->made[id] = true;
            l->list[l->n++] = id;
        }
        if (done == l->n)
            break;
    }
    if (l->n > 1)
        qsort(l->list, (size_t)l->n, sizeof *l->list, by_id);
}

/* ---- the copy -------------------------------------------------------------------------------- */

typedef struct copying {
    gen_late late;
    gen_node **again; /* [nodes of from]: the second image */
    gen_node **in;
    uint64_t capacity;
} copying;

static gen_node *second(gen_rewrite *r, copying *c, const gen_node *old)
{
    if (GEN_GROW(&c->in, &c->capacity, old->n_in + 1) != GEN_OK)
        return gen_graph_fail_as(r->to, GEN_ENOMEM);
    for (int j = 0; j < old->n_in; j++) {
        int id = old->in[j]->id;
        c->in[j] = c->late.again[id] ? c->again[id] : r->image[id];
    }
    gen_rewrite_scope(r->to, old->name);
    return gen_node_add(r->to, old->op, old->attr, c->in, old->n_in);
}

static gen_node *read_late(gen_rewrite *r, gen_node *old, gen_node *const in[])
{
    copying *c = r->data;
    (void)in;
    if (!old->is_gradient)
        return NULL;
    gen_late_gather(&c->late, old);
    for (int i = 0; i < c->late.n; i++) {
        int id = c->late.list[i];
        c->again[id] = second(r, c, gen_graph_node(r->from, id));
    }
    return second(r, c, old);
}

/* *out: p's graph with all rounds up to `last` computed a second time; output[] its outputs. */
static gen_status copy_with(const struct gen_plan *p, const int *round, int last, gen_graph **out,
                            gen_node **output)
{
    static const gen_pass recompute = { .name = "recompute", .rule = read_late };
    static const gen_pass clean = { .name = "recompute" }; /* first computations nobody reads now */
    gen_status status = GEN_OK;
    gen_graph *both = NULL;
    copying c = { .late = { 0 } };
    *out = NULL;
    memcpy(output, p->output, sizeof *output * (size_t)p->n_outputs);
    GEN_GOTO(gen_late_create(&c.late, p->graph));
    GEN_GOTO(GEN_ALLOC(&c.again, gen_graph_count(p->graph), "recomputing"));
    gen_late_begin(&c.late, round, last);
    GEN_GOTO(gen_rewrite_copy(p->graph, &recompute, &c, &both, output, p->n_outputs));
    GEN_GOTO(gen_rewrite_copy(both, &clean, NULL, out, output, p->n_outputs));
done:
    gen_graph_free(&both);
    gen_late_free(&c.late);
    gen_free(c.again);
    gen_free(c.in);
    return status;
}

/* ---- how much of it -------------------------------------------------------------------------- */

/* The slab with all rounds up to `last`. */
static gen_status try_rounds(const struct gen_plan *p, const int *round, int last, uint64_t *bytes)
{
    gen_status status = GEN_OK;
    struct gen_plan *trial = NULL;
    GEN_GOTO(gen_plan_trial(&trial, p));
    GEN_GOTO(copy_with(p, round, last, &trial->graph, trial->output));
    GEN_GOTO(gen_plan_lay_out(trial));
    *bytes = trial->slab_bytes;
done:
    gen_plan_free(&trial);
    return status;
}

/* The fewest rounds that fit; -1: none do. *least: the least slab that was found. More rounds mean
 * less memory but for gaps in the slab: near the end fewer may be better. */
static gen_status search(const struct gen_plan *p, const int *round, int rounds, int *out,
                         uint64_t *least)
{
    const uint64_t budget = p->options.memory_budget;
    uint64_t bytes = UINT64_MAX;
    int low = 0, high = rounds;
    for (int back = 0; high > 0; high = rounds - back) {
        GEN_TRY(try_rounds(p, round, high, &bytes));
        *least = bytes < *least ? bytes : *least;
        if (bytes <= budget)
            break;
        back = back ? 2 * back : 1;
    }
    *out = bytes <= budget ? high : -1;
    while (*out > low + 1) {
        int k = (low + *out) / 2;
        GEN_TRY(try_rounds(p, round, k, &bytes));
        if (bytes <= budget)
            *out = k;
        else
            low = k;
    }
    return GEN_OK;
}

static bool has_gradients(const gen_graph *g)
{
    for (int i = 0; i < gen_graph_count(g); i++)
        if (gen_graph_node(g, i)->is_gradient)
            return true;
    return false;
}

/* Nodes that compute. */
static int count_steps(const gen_graph *g)
{
    int count = 0;
    for (int i = 0; i < gen_graph_count(g); i++) {
        const gen_node *n = gen_graph_node(g, i);
        count += !(n->op->flags & (GEN_OP_SOURCE | GEN_OP_VIEW)) && !gen_is_outer_slice(n);
    }
    return count;
}

static gen_status take_rounds(struct gen_plan *p, const int *round, int last)
{
    gen_graph *g = NULL;
    gen_node **output;
    GEN_TRY(GEN_ALLOC(&output, p->n_outputs, "plan"));
    gen_status s = copy_with(p, round, last, &g, output);
    if (s != GEN_OK) {
        gen_free(output);
        return s;
    }
    p->n_again = count_steps(g) - count_steps(p->graph);
    gen_graph_free(&p->graph);
    gen_free(p->output);
    p->graph = g;
    p->output = output;
    return GEN_OK;
}

gen_status gen_recompute(struct gen_plan *p)
{
    gen_status status = GEN_OK;
    const uint64_t budget = p->options.memory_budget;
    struct gen_plan *whole = NULL;
    int *round = NULL, rounds = 0, last = -1;
    if (!budget || (p->options.rules_off & GEN_RULE_RECOMPUTE) || !has_gradients(p->graph))
        return GEN_OK;
    GEN_GOTO(gen_plan_trial(&whole, p));
    whole->graph = p->graph;
    memcpy(whole->output, p->output, sizeof *p->output * (size_t)p->n_outputs);
    GEN_GOTO(gen_plan_lay_out(whole));
    uint64_t least = whole->slab_bytes;
    if (least <= budget)
        goto done;
    GEN_GOTO(GEN_ALLOC(&round, gen_graph_count(p->graph), "recomputing"));
    GEN_GOTO(gen_recompute_choose(whole, budget, round, &rounds));
    GEN_GOTO(search(p, round, rounds, &last, &least));
    if (last < 0) {
        status =
            gen_fail(GEN_ENOMEM,
                     "the plan takes %.1f MB, and at least %.1f MB when values are computed "
                     "again instead of kept; the memory budget is %.1f MB",
                     (double)whole->slab_bytes / 1e6, (double)least / 1e6, (double)budget / 1e6);
        goto done;
    }
    GEN_GOTO(take_rounds(p, round, last));
done:
    if (whole)
        whole->graph = NULL; /* p's */
    gen_plan_free(&whole);
    gen_free(round);
    return status;
}
