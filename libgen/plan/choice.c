/* SPDX-License-Identifier: Apache-2.0
 *
 * What to compute again. The time at which most memory is in use is looked up; of the values that
 * wait there for a gradient, the one that frees most bytes for a second of computing is given up;
 * and again, until nothing lowers the peak any more. What a value is computed from must be there
 * when it is computed again: what would be gone by then is given up with it, or kept longer where
 * it is small. Values of which one is computed from another are all there at a time: the more bytes
 * such a group has, the less a value that would join it is worth, and some stay between groups.
 *
 * Bytes are those of values, in order of steps; writing in place and gaps in the slab are left out.
 * The plan is laid out for each number of rounds that is tried, so these estimates only rank.
 */
#include <stdlib.h>
#include <string.h>

#include "libgen/plan/recompute.h"

/* A fixed machine, so that the choice is a function of the graph. */
#define FLOPS 2e11 /* a second */
#define BYTES 2e10 /* a second */
#define STEP 5e-6  /* seconds for any step */

enum {
    TRIES = 32,    /* values that are tried in a round before giving up */
    SMALL = 16,    /* inputs of 1/16 of what they make are kept rather than computed again */
    FRACTION = 64, /* values of less than this part of the largest are not worth a step */
    ROUND = 200    /* a round gives up this part of the peak, or one value */
};

struct choice {
    const struct gen_plan *p;
    int nodes;
    gen_late late;
    int *round;
    /* [nodes], of the plan */
    bool *computes, *output;
    int *base; /* node whose value it is, or is a view of */
    int *home; /* node in whose memory that is: a concat that it is a part of, or itself */
    uint64_t *bytes, *workspace;
    double *cost;        /* seconds */
    int *user, *user_at; /* readers of node i that are no gradients: user[user_at[i]...] */
    /* of the present choice */
    bool *dead;                   /* [nodes]: the first computation is read by nobody */
    int *birth, *last;            /* [2 nodes]: steps; i: first computation, nodes + i: second */
    int *last_early, *first_late; /* [nodes]: of its first computation's memory */
    int64_t *change;              /* [2 nodes + 2]: bytes that come and go at a step */
    uint64_t peak;
    int peak_at, steps;
    int *group;      /* [nodes]: values given up that need one another; a tree to its first */
    uint64_t *crowd; /* [nodes]: bytes of the group, at its first */
    /* what is given up together */
    int *set, n_set;
    bool *in_set;
    int *seen, stamp; /* [nodes]: groups that were counted */
};

/* ---- once ------------------------------------------------------------------------------------ */

static bool is_late(const struct choice *c, int id)
{
    return gen_graph_node(c->p->graph, id)->is_gradient;
}

static uint64_t bytes_of(const gen_node *n)
{
    uint64_t sum = 0;
    for (int i = 0; i < n->n_out; i++)
        sum += (uint64_t)gen_shape_count(n->shape[i]) * gen_dtype_size(n->dtype[i]);
    return sum;
}

/* Parts that the plan computes in the memory of their concat. */
static void find_homes(struct choice *c, const struct gen_step *step)
{
    const gen_node *n = step->node;
    for (int i = 0; i < n->n_in; i++) {
        bool copied = false;
        for (int k = 0; k < step->n_copies; k++)
            copied |= step->copy[k].from == c->p->value_of[n->in[i]->id];
        if (!copied)
            c->home[c->base[n->in[i]->id]] = n->id;
    }
}

static gen_status list_users(struct choice *c)
{
    const gen_graph *g = c->p->graph;
    int count = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < c->nodes; i++) {
            const gen_node *n = gen_graph_node(g, i);
            for (int j = 0; c->computes[i] && !is_late(c, i) && j < n->n_in; j++) {
                int b = c->base[n->in[j]->id];
                if (pass)
                    c->user[c->user_at[b]++] = i;
                else
                    c->user_at[b + 1]++;
                count++;
            }
        }
        if (!pass) {
            GEN_TRY(GEN_ALLOC(&c->user, count, "recomputing"));
            for (int i = 0; i < c->nodes; i++)
                c->user_at[i + 1] += c->user_at[i];
        }
    }
    for (int i = c->nodes; i > 0; i--) /* filling moved each to the next one's place */
        c->user_at[i] = c->user_at[i - 1];
    c->user_at[0] = 0;
    return GEN_OK;
}

static void look_at_nodes(struct choice *c)
{
    const struct gen_plan *p = c->p;
    for (int i = 0; i < c->nodes; i++) {
        const gen_node *n = gen_graph_node(p->graph, i);
        bool view = (n->op->flags & GEN_OP_VIEW) || gen_is_outer_slice(n);
        c->home[i] = i;
        c->base[i] = view ? c->base[n->in[0]->id] : i;
        c->bytes[i] = n->n_in && !view && !p->constant[i] ? bytes_of(n) : 0;
        gen_cost cost = gen_node_cost(n);
        c->cost[i] = cost.flops / FLOPS + cost.bytes / BYTES + STEP;
    }
    for (int s = 0; s < p->n_steps; s++) {
        const struct gen_step *step = &p->step[s];
        c->computes[step->node->id] = true;
        c->workspace[step->node->id] = step->workspace;
        if (!step->kernel)
            find_homes(c, step);
    }
    for (int i = 0; i < p->n_outputs; i++)
        c->output[c->base[p->output[i]->id]] = true;
}

static gen_status create(struct choice *c)
{
    uint64_t n = (uint64_t)c->nodes;
    GEN_TRY(gen_late_create(&c->late, c->p->graph));
    GEN_TRY(GEN_ALLOC(&c->computes, n, "recomputing"));
    GEN_TRY(GEN_ALLOC(&c->output, n, "recomputing"));
    GEN_TRY(GEN_ALLOC(&c->base, n, "recomputing"));
    GEN_TRY(GEN_ALLOC(&c->home, n, "recomputing"));
    GEN_TRY(GEN_ALLOC(&c->bytes, n, "recomputing"));
    GEN_TRY(GEN_ALLOC(&c->workspace, n, "recomputing"));
    GEN_TRY(GEN_ALLOC(&c->cost, n, "recomputing"));
    GEN_TRY(GEN_ALLOC(&c->user_at, n + 1, "recomputing"));
    GEN_TRY(GEN_ALLOC(&c->dead, n, "recomputing"));
    GEN_TRY(GEN_ALLOC(&c->birth, 2 * n, "recomputing"));
    GEN_TRY(GEN_ALLOC(&c->last, 2 * n, "recomputing"));
    GEN_TRY(GEN_ALLOC(&c->last_early, n, "recomputing"));
    GEN_TRY(GEN_ALLOC(&c->first_late, n, "recomputing"));
    GEN_TRY(GEN_ALLOC(&c->change, 2 * n + 2, "recomputing"));
    GEN_TRY(GEN_ALLOC(&c->group, n, "recomputing"));
    GEN_TRY(GEN_ALLOC(&c->crowd, n, "recomputing"));
    GEN_TRY(GEN_ALLOC(&c->seen, n, "recomputing"));
    GEN_TRY(GEN_ALLOC(&c->set, n, "recomputing"));
    GEN_TRY(GEN_ALLOC(&c->in_set, n, "recomputing"));
    look_at_nodes(c);
    return list_users(c);
}

static void destroy(struct choice *c)
{
    void *all[] = { c->computes,  c->output, c->base,       c->home,       c->bytes,
                    c->workspace, c->cost,   c->user,       c->user_at,    c->dead,
                    c->birth,     c->last,   c->last_early, c->first_late, c->change,
                    c->set,       c->in_set, c->group,      c->crowd,      c->seen };
    for (int i = 0; i < GEN_LEN(all); i++)
        gen_free(all[i]);
    gen_late_free(&c->late);
}

/* ---- memory over time ------------------------------------------------------------------------ */

/* First computations that nobody reads once gradients read second ones. */
static void find_dead(struct choice *c)
{
    for (int i = c->nodes - 1; i >= 0; i--) {
        c->dead[i] = c->round[i] > 0 && !c->output[i];
        for (int k = c->user_at[i]; c->dead[i] && k < c->user_at[i + 1]; k++)
            c->dead[i] = c->dead[c->user[k]];
    }
}

static void note_read(struct choice *c, int memory, int step)
{
    if (c->last[memory] < step)
        c->last[memory] = step;
}

static void note_birth(struct choice *c, int memory, int step)
{
    if (c->birth[memory] < 0)
        c->birth[memory] = step;
    note_read(c, memory, step);
}

/* One step: node `id` computed a first or second time. */
static void walk_step(struct choice *c, int id, bool second)
{
    const gen_node *n = gen_graph_node(c->p->graph, id);
    bool late = second || n->is_gradient;
    int step = c->steps++, home = c->home[id];
    for (int j = 0; j < n->n_in; j++) {
        int b = c->base[n->in[j]->id], h = c->home[b];
        if (late && c->round[b]) {
            note_read(c, c->nodes + (c->round[h] ? h : b), step);
        } else {
            note_read(c, h, step);
            if (!late)
                c->last_early[h] = step;
        }
        if (late && c->first_late[h] < 0)
            c->first_late[h] = step;
    }
    note_birth(c, !second ? home : c->nodes + (c->round[home] ? home : id), step);
    c->change[step] += (int64_t)c->workspace[id];
    c->change[step + 1] -= (int64_t)c->workspace[id];
}

static void add_up(struct choice *c)
{
    for (int i = 0; i < 2 * c->nodes; i++) {
        int id = i % c->nodes;
        if (c->birth[i] < 0)
            continue;
        bool forever = i < c->nodes && c->output[id];
        c->change[c->birth[i]] += (int64_t)c->bytes[id];
        c->change[forever ? c->steps : c->last[i] + 1] -= (int64_t)c->bytes[id];
    }
    int64_t live = 0;
    c->peak = 0;
    for (int s = 0; s < c->steps; s++) {
        live += c->change[s];
        if ((uint64_t)live > c->peak) {
            c->peak = (uint64_t)live;
            c->peak_at = s;
        }
    }
}

/* Goes through the steps as they would run with the present choice. */
static void walk(struct choice *c)
{
    const gen_graph *g = c->p->graph;
    gen_late_begin(&c->late, c->round, c->nodes);
    find_dead(c);
    memset(c->change, 0, (2 * (size_t)c->nodes + 2) * sizeof *c->change);
    for (int i = 0; i < 2 * c->nodes; i++)
        c->birth[i] = c->last[i] = -1;
    for (int i = 0; i < c->nodes; i++)
        c->last_early[i] = c->first_late[i] = -1;
    c->steps = 0;
    for (int i = 0; i < c->nodes; i++) {
        const gen_node *n = gen_graph_node(g, i);
        if (!c->computes[i] || c->dead[i])
            continue;
        if (n->is_gradient) {
            gen_late_gather(&c->late, n);
            for (int k = 0; k < c->late.n; k++)
                if (c->computes[c->late.list[k]])
                    walk_step(c, c->late.list[k], true);
        }
        walk_step(c, i, false);
    }
    add_up(c);
}

/* ---- one value and what goes with it --------------------------------------------------------- */

static bool lives_at(const struct choice *c, int id, int step)
{
    int h = c->home[id];
    return c->birth[h] >= 0 && c->birth[h] <= step && (c->output[h] || c->last[h] >= step);
}

static bool can_be_given_up(const struct choice *c, int id)
{
    return c->computes[id] && !c->round[id] && !is_late(c, id) && !c->p->slow[id] && !c->output[id];
}

static void add(struct choice *c, int id)
{
    if (c->in_set[id])
        return;
    c->in_set[id] = true;
    c->set[c->n_set++] = id;
}

/* set = value `id` and what must be computed again for it; *kept: bytes of inputs that would have
 * to live longer. False: it cannot be. */
static bool close_set(struct choice *c, int id, uint64_t *kept)
{
    const int when = c->first_late[id];
    c->n_set = 0;
    *kept = 0;
    add(c, id);
    for (int k = 0; k < c->n_set; k++) {
        const gen_node *n = gen_graph_node(c->p->graph, c->set[k]);
        for (int j = 0; j < n->n_in; j++) {
            int b = c->base[n->in[j]->id];
            if (!c->computes[b] || c->round[b] || c->in_set[b])
                continue;
            bool part = c->home[b] == n->id;
            if (!part && lives_at(c, b, when))
                continue;
            if (!part && c->bytes[b] <= c->bytes[id] / SMALL) {
                *kept += lives_at(c, b, c->peak_at) ? 0 : c->bytes[b];
                continue;
            }
            if (!can_be_given_up(c, b))
                return false;
            add(c, b);
        }
    }
    return true;
}

static void forget_set(struct choice *c)
{
    for (int k = 0; k < c->n_set; k++)
        c->in_set[c->set[k]] = false;
}

/* True when the first computation of `id` is not needed either, once the set is given up: moved, it
 * costs nothing. */
static bool only_moves(const struct choice *c, int id)
{
    for (int k = c->user_at[id]; k < c->user_at[id + 1]; k++)
        if (!c->dead[c->user[k]])
            return false;
    return true;
}

/* ---- values that are computed again together ------------------------------------------------- */

static int first_of(struct choice *c, int id)
{
    while (c->group[id] != id)
        id = c->group[id] = c->group[c->group[id]];
    return id;
}

/* Values given up of which one is computed from another: they wait for their gradients together. */
static void find_groups(struct choice *c)
{
    for (int i = 0; i < c->nodes; i++) {
        const gen_node *n = gen_graph_node(c->p->graph, i);
        c->group[i] = i;
        c->crowd[i] = c->bytes[i];
        for (int j = 0; c->round[i] && j < n->n_in; j++) {
            int b = c->base[n->in[j]->id];
            if (!c->round[b])
                continue;
            int x = first_of(c, i), y = first_of(c, b);
            c->group[x] = y;
            c->crowd[y] += x == y ? 0 : c->crowd[x];
        }
    }
}

static uint64_t crowd_of(struct choice *c, int id)
{
    int first = first_of(c, id);
    if (!c->round[id] || c->seen[first] == c->stamp)
        return 0;
    c->seen[first] = c->stamp;
    return c->crowd[first];
}

/* Bytes of the group that the set would be part of. */
static uint64_t crowd_of_set(struct choice *c)
{
    uint64_t sum = 0;
    c->stamp++;
    for (int k = 0; k < c->n_set; k++) {
        int id = c->set[k];
        const gen_node *n = gen_graph_node(c->p->graph, id);
        sum += c->bytes[id];
        for (int j = 0; j < n->n_in; j++)
            sum += crowd_of(c, c->base[n->in[j]->id]);
        for (int u = c->user_at[id]; u < c->user_at[id + 1]; u++)
            sum += crowd_of(c, c->user[u]);
    }
    return sum;
}

/* ---- rounds ---------------------------------------------------------------------------------- */

struct candidate {
    int id;
    uint64_t freed;
    double score;
};

/* Bytes freed at the peak for a second of computing, less where much is computed again together:
 * all of that is there at a time. 0: none. */
static struct candidate candidate_of(struct choice *c, int id)
{
    struct candidate to = { .id = id };
    uint64_t kept;
    double cost = 0;
    if (close_set(c, id, &kept)) {
        for (int k = 0; k < c->n_set; k++) {
            int u = c->set[k];
            if (c->home[u] == u && lives_at(c, u, c->peak_at))
                to.freed += c->bytes[u];
            cost += only_moves(c, u) ? STEP : c->cost[u];
        }
        to.freed = to.freed > kept ? to.freed - kept : 0;
        double crowd = (double)crowd_of_set(c) / (double)c->peak;
        to.score = (double)to.freed / cost / (1 + crowd);
    }
    forget_set(c);
    return to;
}

static int best_first(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return x->id - y->id;
}

static int list_candidates(struct choice *c, struct candidate *to)
{
    int n = 0, worth = 0;
    uint64_t most = 0;
    find_groups(c);
    for (int i = 0; i < c->nodes; i++) {
        if (!can_be_given_up(c, i) || c->home[i] != i || !lives_at(c, i, c->peak_at) ||
            c->first_late[i] <= c->peak_at || c->last_early[i] >= c->peak_at)
            continue;
        to[n] = candidate_of(c, i);
        most = to[n].freed > most ? to[n].freed : most;
        n++;
    }
    for (int i = 0; i < n; i++)
        if (to[i].freed * FRACTION > most)
            to[worth++] = to[i];
    qsort(to, (size_t)worth, sizeof *to, best_first);
    return worth;
}

/* True when a node of the set is computed from one of this round, or the other way round. */
static bool touches(const struct choice *c, int round)
{
    for (int k = 0; k < c->n_set; k++) {
        int id = c->set[k];
        const gen_node *n = gen_graph_node(c->p->graph, id);
        for (int j = 0; j < n->n_in; j++)
            if (c->round[c->base[n->in[j]->id]] == round)
                return true;
        for (int u = c->user_at[id]; u < c->user_at[id + 1]; u++)
            if (c->round[c->user[u]] == round)
                return true;
    }
    return false;
}

/* Gives up the best of n candidates, or a part of the peak; those that have nothing to do with one
 * another. */
static void give_up(struct choice *c, const struct candidate *from, int n, int round)
{
    uint64_t kept, freed = 0;
    for (int i = 0; i < n && freed * ROUND < c->peak; i++) {
        if (close_set(c, from[i].id, &kept) && !touches(c, round)) {
            for (int k = 0; k < c->n_set; k++)
                c->round[c->set[k]] = round;
            freed += from[i].freed;
        }
        forget_set(c);
    }
}

/* True when giving them up does not raise the peak; else all is as before. */
static bool try_round(struct choice *c, const struct candidate *from, int n, int round)
{
    uint64_t before = c->peak;
    give_up(c, from, n, round);
    walk(c);
    if (c->peak <= before)
        return true;
    for (int i = 0; i < c->nodes; i++)
        if (c->round[i] == round)
            c->round[i] = 0;
    walk(c);
    return false;
}

gen_status gen_recompute_choose(const struct gen_plan *p, uint64_t budget, int *round, int *rounds)
{
    gen_status status = GEN_OK;
    struct choice c = { .p = p, .nodes = gen_graph_count(p->graph), .round = round };
    struct candidate *candidate = NULL;
    bool found = true;
    *rounds = 0;
    GEN_GOTO(create(&c));
    GEN_GOTO(GEN_ALLOC(&candidate, c.nodes, "recomputing"));
    walk(&c);
    while (found && c.peak > budget / 2) {
        int n = list_candidates(&c, candidate);
        found = n > 1 && try_round(&c, candidate, n, *rounds + 1);
        for (int k = 0; k < n && k < TRIES && !found; k++)
            found = try_round(&c, candidate + k, 1, *rounds + 1);
        *rounds += found;
    }
done:
    destroy(&c);
    gen_free(candidate);
    return status;
}
