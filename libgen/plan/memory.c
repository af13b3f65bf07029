/* SPDX-License-Identifier: Apache-2.0
 *
 * Where everything lies. Values get buffers in the order of the steps; views and outer slices are
 * values in the buffer of what they look at; the parts of an outer concat are computed in its
 * buffer where they can be; an op may write over an input that nobody reads again. Then buffers
 * whose times overlap get places that do not: largest first, lowest place that fits.
 */
#include <stdlib.h>
#include <string.h>

#include "libgen/plan/plan.h"

#define ALIGN 64u

struct layout {
    struct gen_plan *p;
    int *step_of;       /* [nodes]: step that computes it, or -1 */
    int *claim;         /* [nodes]: concat in whose buffer it is computed, or -1 */
    uint64_t *claim_at; /* [nodes]: bytes from the start of that concat */
    int *first_view, *next_view; /* [nodes]: views of a node */
};

static uint64_t bytes_of(const gen_node *n, int output)
{
    return (uint64_t)gen_shape_count(n->shape[output]) * gen_dtype_size(n->dtype[output]);
}

static bool is_view(const gen_node *n)
{
    return (n->op->flags & GEN_OP_VIEW) || gen_is_outer_slice(n);
}

static uint64_t view_offset(const gen_node *n)
{
    if (!gen_is_outer_slice(n))
        return 0;
    const gen_slice_attr *a = n->attr;
    return (uint64_t)a->first * (bytes_of(n, 0) / (uint64_t)a->count);
}

/* ---- who reads what last --------------------------------------------------------------------- */

static void note_reads(struct gen_plan *p)
{
    for (int i = 0; i < p->n_values; i++)
        p->value[i].last_read = -1;
    for (int s = 0; s < p->n_steps; s++) {
        const struct gen_step *step = &p->step[s];
        for (int i = 0; i < step->node->n_in; i++) {
            const gen_node *in = step->node->in[i];
            struct gen_value *v = &p->value[p->value_of[in->id]];
            if (i < 32 && step->consumed >> i & 1)
                continue;
            bool crosses = p->slow[in->id] && !step->slow; /* read again in later runs */
            v->last_read = crosses ? GEN_FOREVER : v->last_read < s ? s : v->last_read;
        }
    }
    for (int i = 0; i < p->n_outputs; i++)
        p->value[p->value_of[p->output[i]->id]].last_read = GEN_FOREVER;
}

/* ---- buffers
 * --------------------------------------------------------------------------------------- */

static gen_status new_buffer(struct gen_plan *p, uint64_t bytes, int step, int *out)
{
    GEN_TRY(GEN_GROW(&p->buffer, &p->buffer_capacity, p->n_buffers + 1));
    p->buffer[p->n_buffers] = (struct gen_buffer){
        .bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN, .first = step, .last = step, .values = -1
    };
    *out = p->n_buffers++;
    return GEN_OK;
}

/* Puts a value, and every view of its node, into a buffer (or outside memory). */
static void place(struct layout *l, const gen_node *n, int output, int buffer, uint64_t offset,
                  const void *outside, int step)
{
    struct gen_plan *p = l->p;
    struct gen_value *v = &p->value[p->value_of[n->id] + output];
    v->buffer = buffer;
    v->offset = offset;
    v->bytes = bytes_of(n, output);
    v->outside = outside;
    if (buffer >= 0) {
        struct gen_buffer *b = &p->buffer[buffer];
        v->next = b->values;
        b->values = (int)(v - p->value);
        int last = v->last_read > step ? v->last_read : step;
        b->last = last > b->last ? last : b->last;
        b->first = step < b->first ? step : b->first;
    }
    if (output > 0)
        return;
    for (int i = l->first_view[n->id]; i >= 0; i = l->next_view[i]) {
        const gen_node *view = gen_graph_node(p->graph, i);
        if (view->op == &gen_op_output)
            continue; /* shares the value itself */
        uint64_t at = view_offset(view);
        place(l, view, 0, buffer, offset + at, outside ? (const char *)outside + at : NULL, step);
    }
}

/* Views of output i > 0 of a node hang on the `output` node that picks it. */
static void place_picked(struct layout *l, const gen_node *n, int output, int buffer, int step)
{
    struct gen_plan *p = l->p;
    place(l, n, output, buffer, 0, NULL, step);
    for (int i = l->first_view[n->id]; i >= 0; i = l->next_view[i]) {
        const gen_node *pick = gen_graph_node(p->graph, i);
        if (pick->op != &gen_op_output ||
            ((const gen_output_attr *)pick->attr)->index != output)
            continue;
        for (int j = l->first_view[i]; j >= 0; j = l->next_view[j]) {
            const gen_node *view = gen_graph_node(p->graph, j);
            place(l, view, 0, buffer, view_offset(view), NULL, step);
        }
    }
}

/* ---- parts of a concat computed where they belong
 * ------------------------------------------------ */

static bool can_claim(const struct layout *l, const gen_node *part, const gen_node *whole)
{
    return l->step_of[part->id] >= 0 && l->claim[part->id] < 0 && part->n_out == 1 &&
           part != whole && part->dtype[0] == whole->dtype[0];
}

static gen_status claim_parts(struct layout *l, struct gen_step *step)
{
    struct gen_plan *p = l->p;
    const gen_node *c = step->node;
    uint64_t at = 0;
    step->copy = gen_arena_alloc(&p->arena, sizeof *step->copy * (size_t)c->n_in);
    if (!step->copy)
        return GEN_ENOMEM;
    for (int i = 0; i < c->n_in; i++) {
        const gen_node *part = c->in[i];
        while ((part->op->flags & GEN_OP_VIEW) && part->op != &gen_op_output)
            part = part->in[0];
        if (!(p->options.rules_off & GEN_RULE_IN_PLACE) && can_claim(l, part, c)) {
            l->claim[part->id] = c->id;
            l->claim_at[part->id] = at;
        } else {
            step->copy[step->n_copies++] =
                (struct gen_copy){ .from = p->value_of[c->in[i]->id], .offset = at };
        }
        at += bytes_of(c->in[i], 0);
    }
    return GEN_OK;
}

/* The buffer and offset of a node that is a concat or part of one; made when first asked for. */
static gen_status locate(struct layout *l, const gen_node *n, int step, int *buffer,
                         uint64_t *offset)
{
    struct gen_plan *p = l->p;
    if (l->claim[n->id] >= 0) {
        GEN_TRY(locate(l, gen_graph_node(p->graph, l->claim[n->id]), step, buffer, offset));
        *offset += l->claim_at[n->id];
        return GEN_OK;
    }
    struct gen_value *v = &p->value[p->value_of[n->id]];
    if (v->buffer < 0) {
        GEN_TRY(new_buffer(p, bytes_of(n, 0), step, buffer));
        place(l, n, 0, *buffer, 0, NULL, step);
    }
    *buffer = v->buffer;
    *offset = v->offset;
    return GEN_OK;
}

/* ---- writing over an input that nobody reads again ------------------------------------------- */

static bool dead_after(const struct gen_plan *p, int value, int step)
{
    const struct gen_value *v = &p->value[value];
    for (int i = p->buffer[v->buffer].values; i >= 0; i = p->value[i].next) {
        const struct gen_value *w = &p->value[i];
        bool overlaps = w->offset < v->offset + v->bytes && v->offset < w->offset + w->bytes;
        bool same = w->offset == v->offset && w->bytes == v->bytes;
        if (overlaps && (w->last_read > step || (!same && w->last_read == step)))
            return false;
    }
    return true;
}

/* The input whose memory output 0 may take, or -1. */
static int input_to_overwrite(const struct gen_plan *p, const struct gen_step *step, int s)
{
    const gen_node *n = step->node;
    int i = -1;
    if (p->options.rules_off & GEN_RULE_IN_PLACE)
        return -1;
    if ((step->kernel->flags & GEN_KERNEL_IN_PLACE) && (n->op->flags & GEN_OP_IN_PLACE))
        i = 0;
    else if ((step->kernel->flags & GEN_KERNEL_RESIDUAL_IN_PLACE) && n->op == &gen_op_conv &&
             ((const gen_conv_attr *)n->attr)->has_residual)
        i = 2 + (int)((const gen_conv_attr *)n->attr)->has_bias;
    if (i < 0 || n->in[i]->dtype[0] != n->dtype[0] ||
        (p->slow[n->in[i]->id] && !step->slow))
        return -1;
    const struct gen_value *v = &p->value[p->value_of[n->in[i]->id]];
    if (v->buffer < 0 || v->bytes != bytes_of(n, 0) || p->buffer[v->buffer].last == GEN_FOREVER)
        return -1;
    /* Another input in the same buffer would be read while it is written over. */
    for (int j = 0; i > 0 && j < n->n_in; j++)
        if (j != i && p->value[p->value_of[n->in[j]->id]].buffer == v->buffer)
            return -1;
    return dead_after(p, p->value_of[n->in[i]->id], s) ? i : -1;
}

static gen_status place_step(struct layout *l, int s)
{
    struct gen_plan *p = l->p;
    struct gen_step *step = &p->step[s];
    const gen_node *n = step->node;
    int buffer;
    uint64_t offset = 0;
    if (l->claim[n->id] >= 0 && gen_is_outer_concat(n)) {
        if (p->value[p->value_of[n->id]].buffer < 0) {
            GEN_TRY(locate(l, n, s, &buffer, &offset));
            place(l, n, 0, buffer, offset, NULL, s);
        }
        return GEN_OK;
    }
    if (l->claim[n->id] >= 0) {
        GEN_TRY(locate(l, n, s, &buffer, &offset));
        place(l, n, 0, buffer, offset, NULL, s);
        return GEN_OK;
    }
    if (!step->kernel)
        return locate(l, n, s, &buffer, &offset);
    int over = input_to_overwrite(p, step, s);
    if (over >= 0) {
        const struct gen_value v = p->value[p->value_of[n->in[over]->id]];
        place(l, n, 0, v.buffer, v.offset, NULL, s);
    } else {
        GEN_TRY(new_buffer(p, bytes_of(n, 0), s, &buffer));
        place(l, n, 0, buffer, 0, NULL, s);
    }
    for (int i = 1; i < n->n_out; i++) {
        GEN_TRY(new_buffer(p, bytes_of(n, i), s, &buffer));
        place_picked(l, n, i, buffer, s);
    }
    return GEN_OK;
}

/* ---- places in the slab
 * ----------------------------------------------------------------------------- */

struct placed {
    int buffer;
    uint64_t at, bytes;
};

static int larger_first(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->buffer - y->buffer;
}

/* Lowest place for buffer b among those placed already (in order of place). */
static uint64_t lowest_fit(const struct gen_plan *p, const struct placed *done, int n,
                           const struct gen_buffer *b)
{
    uint64_t at = 0;
    for (int i = 0; i < n; i++) {
        const struct gen_buffer *other = &p->buffer[done[i].buffer];
        if (other->last < b->first || other->first > b->last)
            continue;
        if (done[i].at >= at + b->bytes)
            break;
        if (done[i].at + done[i].bytes > at)
            at = done[i].at + done[i].bytes;
    }
    return at;
}

static gen_status place_buffers(struct gen_plan *p)
{
    struct placed *order = NULL, *done = NULL;
    gen_status status = GEN_OK;
    GEN_GOTO(GEN_ALLOC(&order, p->n_buffers, "plan"));
    GEN_GOTO(GEN_ALLOC(&done, p->n_buffers, "plan"));
    for (int i = 0; i < p->n_buffers; i++)
        order[i] = (struct placed){ .buffer = i, .bytes = p->buffer[i].bytes };
    qsort(order, (size_t)p->n_buffers, sizeof *order, larger_first);
    for (int i = 0; i < p->n_buffers; i++) {
        struct placed here = order[i];
        here.at = lowest_fit(p, done, i, &p->buffer[here.buffer]);
        p->buffer[here.buffer].offset = here.at;
        int j = i;
        for (; j > 0 && done[j - 1].at > here.at; j--)
            done[j] = done[j - 1];
        done[j] = here;
        if (here.at + here.bytes > p->slab_bytes)
            p->slab_bytes = here.at + here.bytes;
    }
done:
    gen_free(order);
    gen_free(done);
    return status;
}

/* ---- all together
 * -------------------------------------------------------------------------------- */

static gen_status index_nodes(struct layout *l)
{
    struct gen_plan *p = l->p;
    int nodes = gen_graph_count(p->graph);
    GEN_TRY(GEN_ALLOC(&l->step_of, nodes, "plan"));
    GEN_TRY(GEN_ALLOC(&l->claim, nodes, "plan"));
    GEN_TRY(GEN_ALLOC(&l->claim_at, nodes, "plan"));
    GEN_TRY(GEN_ALLOC(&l->first_view, nodes, "plan"));
    GEN_TRY(GEN_ALLOC(&l->next_view, nodes, "plan"));
    for (int i = 0; i < nodes; i++)
        l->step_of[i] = l->claim[i] = l->first_view[i] = l->next_view[i] = -1;
    for (int s = 0; s < p->n_steps; s++)
        l->step_of[p->step[s].node->id] = s;
    for (int i = 0; i < nodes; i++) {
        const gen_node *n = gen_graph_node(p->graph, i);
        if (!is_view(n))
            continue;
        l->next_view[i] = l->first_view[n->in[0]->id];
        l->first_view[n->in[0]->id] = i;
    }
    return GEN_OK;
}

static gen_status place_inputs(struct layout *l)
{
    struct gen_plan *p = l->p;
    for (int i = 0; i < gen_graph_count(p->graph); i++) {
        const gen_node *n = gen_graph_node(p->graph, i);
        if (n->op == &gen_op_input) {
            int buffer;
            GEN_TRY(new_buffer(p, bytes_of(n, 0), 0, &buffer));
            p->buffer[buffer].last = GEN_FOREVER; /* the user's: filled when it likes */
            place(l, n, 0, buffer, 0, NULL, 0);
        } else if (n->op == &gen_op_param && !p->constant[i]) {
            void *at = gen_params_get(p->params, n->name).data;
            if (p->backend->far && !p->options.estimate_only)
                GEN_TRY(gen_params_far(p->params, n->name, p->backend->far, &at));
            place(l, n, 0, -1, 0, at, 0);
        }
    }
    return GEN_OK;
}

gen_status gen_plan_layout(struct gen_plan *p)
{
    struct layout l = { .p = p };
    gen_status status = GEN_OK;
    GEN_GOTO(index_nodes(&l));
    note_reads(p);
    for (int s = 0; s < p->n_steps; s++)
        if (!p->step[s].kernel)
            GEN_GOTO(claim_parts(&l, &p->step[s]));
    GEN_GOTO(place_inputs(&l));
    for (int s = 0; s < p->n_steps; s++) {
        GEN_GOTO(place_step(&l, s));
        p->step[s].scratch = -1;
        if (p->step[s].workspace)
            GEN_GOTO(new_buffer(p, p->step[s].workspace, s, &p->step[s].scratch));
    }
    GEN_GOTO(place_buffers(p));
done:
    gen_free(l.step_of);
    gen_free(l.claim);
    gen_free(l.claim_at);
    gen_free(l.first_view);
    gen_free(l.next_view);
    return status;
}

void *gen_value_address(const struct gen_plan *p, int value)
{
    const struct gen_value *v = &p->value[value];
    if (v->buffer < 0)
        return (void *)v->outside;
    return p->slab + p->buffer[v->buffer].offset + v->offset;
}
