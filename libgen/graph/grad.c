/* SPDX-License-Identifier: Apache-2.0
 *
 * Reverse mode, graph to graph. Gradients are ordinary nodes made by each op's `grad`, so they are
 * planned, dumped and tested like any other. A value used several times sums what its users send.
 *
 * Only nodes on a path from wrt[] to y are visited: `needs` marks what depends on a wrt, and a node
 * that no gradient reaches is skipped. Nodes made here are marked, so that a second derivative is
 * refused instead of silently wrong.
 */
#include <string.h>

#include <libgen/ops.h>

#include "libgen/graph/graph.h"

struct reverse {
    gen_graph *g;
    int limit;          /* nodes that existed before */
    gen_node **dy;      /* [limit * GEN_MAX_OUTPUTS] gradient of each output, NULL = none yet */
    bool *needs;        /* [limit] depends on a wrt */
};

static void send(struct reverse *r, gen_node *to, int output, gen_node *grad)
{
    if (!grad || !r->needs[to->id])
        return;
    gen_node **slot = &r->dy[to->id * GEN_MAX_OUTPUTS + output];
    char found[GEN_SHAPE_TEXT], expected[GEN_SHAPE_TEXT];
    if (!gen_shape_equal(grad->shape[0], to->shape[output])) {
        gen_graph_fail(r->g, "gradient", "of %s '%s' has shape %s, expected %s", to->op->name,
                       to->name, gen_shape_text(grad->shape[0], found),
                       gen_shape_text(to->shape[output], expected));
        return;
    }
    *slot = *slot ? gen_add(r->g, *slot, grad) : grad;
}

/* Lets node n hand its gradients to its inputs. */
static void step_back(struct reverse *r, gen_node *n)
{
    gen_node **dy = &r->dy[n->id * GEN_MAX_OUTPUTS];
    bool any = false;
    for (int i = 0; i < n->n_out; i++)
        any |= dy[i] != NULL;
    if (!any || !r->needs[n->id] || (n->op->flags & GEN_OP_SOURCE))
        return;
    if (n->op == &gen_op_output) {
        send(r, n->in[0], (int)((const gen_output_attr *)n->attr)->index, dy[0]);
        return;
    }
    bool through = false;
    for (int i = 0; i < n->n_in; i++)
        through |= r->needs[n->in[i]->id];
    if (!through) /* a wrt itself: nothing behind it is asked for */
        return;
    if (n->is_gradient) {
        gen_graph_fail(r->g, "gradient", "of a gradient (%s '%s'): second order is not supported",
                       n->op->name, n->name);
        return;
    }
    if (!n->op->grad) {
        gen_graph_fail(r->g, "gradient", "%s '%s' has none", n->op->name, n->name);
        return;
    }
    gen_node **dx = gen_arena_alloc(&r->g->arena, sizeof *dx * (size_t)(n->n_in + 1));
    bool *needs = gen_arena_alloc(&r->g->arena, sizeof *needs * (size_t)(n->n_in + 1));
    if (!dx || !needs) {
        gen_graph_fail_as(r->g, GEN_ENOMEM);
        return;
    }
    for (int i = 0; i < n->n_in; i++)
        needs[i] = r->needs[n->in[i]->id];
    snprintf(r->g->scope, sizeof r->g->scope, "%s", n->name);
    r->g->scope_node = n->name;
    n->op->grad(r->g, n, dy, needs, dx);
    for (int i = 0; i < n->n_in && !gen_graph_failed(r->g); i++)
        send(r, n->in[i], 0, dx[i]);
}

static gen_status prepare(struct reverse *r, gen_node *const wrt[], int n)
{
    GEN_TRY(GEN_ALLOC(&r->dy, (uint64_t)r->limit * GEN_MAX_OUTPUTS, "gradients"));
    GEN_TRY(GEN_ALLOC(&r->needs, r->limit, "gradients"));
    for (int i = 0; i < n; i++)
        if (wrt[i])
            r->needs[wrt[i]->id] = true;
    for (int i = 0; i < r->limit; i++) {
        gen_node *node = r->g->node[i];
        for (int j = 0; j < node->n_in; j++)
            r->needs[i] |= r->needs[node->in[j]->id];
    }
    return GEN_OK;
}

void gen_grad(gen_graph *g, gen_node *y, gen_node *dy, gen_node *const wrt[], int n,
              gen_node *grads[])
{
    struct reverse r = { .g = g, .limit = g->n_nodes };
    char scope[sizeof g->scope];
    memset(grads, 0, sizeof *grads * (size_t)n);
    if (gen_graph_failed(g) || !y) {
        gen_graph_fail(g, "gradient", "of nothing");
        return;
    }
    memcpy(scope, g->scope, sizeof scope);
    bool was = g->building_gradient;
    g->building_gradient = true;
    if (prepare(&r, wrt, n) != GEN_OK) {
        gen_graph_fail_as(g, GEN_ENOMEM);
    } else {
        if (!dy)
            dy = gen_fill(g, y->shape[0], 1);
        send(&r, y, 0, dy);
        for (int i = y->id; i >= 0 && !gen_graph_failed(g); i--)
            step_back(&r, g->node[i]);
        for (int i = 0; i < n && !gen_graph_failed(g); i++)
            grads[i] = wrt[i] ? r.dy[wrt[i]->id * GEN_MAX_OUTPUTS] : NULL;
    }
    g->building_gradient = was;
    memcpy(g->scope, scope, sizeof scope);
    g->scope_node = NULL;
    gen_free(r.dy);
    gen_free(r.needs);
}
