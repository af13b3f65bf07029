/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums of many, as reverse mode leaves them where a value was used many times:
 *
 *   weights     the gradient of a convolution's weights at T steps is one such gradient of the T*N
 *               images, where they are small: each one alone passes over all of the weights
 *   pieces      gradients of slices, each padded to the whole, are the pieces one behind the other
 */
#include <stdlib.h>
#include <string.h>

#include "libgen/plan/rewrite.h"

enum { SMALL = 1 << 16 }; /* elements of x and dy: a call costs more than copying them */

/* ---- which additions are one sum ------------------------------------------------------------- */

struct sums {
    bool *inner; /* [nodes]: an addition that only one other addition reads */
};

static bool is_sum(const gen_node *n)
{
    return n->op == &gen_op_add && gen_shape_equal(n->in[0]->shape[0], n->shape[0]) &&
           gen_shape_equal(n->in[1]->shape[0], n->shape[0]);
}

gen_status gen_survey_sums(gen_rewrite *r, void **data)
{
    int nodes = gen_graph_count(r->from);
    struct sums *s;
    GEN_TRY(gen_alloc((void **)&s, sizeof *s + (uint64_t)nodes * sizeof(bool), 1, "plan sums"));
    s->inner = (bool *)(s + 1);
    *data = s;
    for (int i = 0; i < nodes; i++) {
        const gen_node *n = gen_graph_node(r->from, i);
        if (!r->needed[i] || !is_sum(n))
            continue;
        for (int j = 0; j < 2; j++)
            if (is_sum(n->in[j]) && r->uses[n->in[j]->id] == 1)
                s->inner[n->in[j]->id] = true;
    }
    return GEN_OK;
}

/* What is added up, in the new graph, and whether only this sum reads it. */
struct term {
    gen_node *node;
    bool own, done;
};

static int count_terms(const struct sums *s, const gen_node *n)
{
    int count = 1;
    /* The left side is the long one: reverse mode adds what comes to what is there. */
    for (; n->op == &gen_op_add; n = n->in[0]) {
        count += s->inner[n->in[1]->id] ? count_terms(s, n->in[1]) : 1;
        if (!s->inner[n->in[0]->id])
            break;
    }
    return count;
}

static void collect(gen_rewrite *r, const gen_node *n, struct term *to, int *count)
{
    const struct sums *s = r->data;
    for (;;) {
        const gen_node *last = n->in[1];
        if (s->inner[last->id])
            collect(r, last, to, count);
        else
            to[(*count)++] = (struct term){ r->image[last->id], r->uses[last->id] == 1 };
        if (!s->inner[n->in[0]->id])
            break;
        n = n->in[0];
    }
    const gen_node *first = n->in[0];
    to[(*count)++] = (struct term){ r->image[first->id], r->uses[first->id] == 1 };
}

/* ---- gradients of one convolution's weights -------------------------------------------------- */

static bool is_small_dw(const struct term *t)
{
    const gen_node *n = t->node;
    if (n->op != &gen_op_conv_dw || !t->own)
        return false;
    int64_t read = gen_shape_count(n->in[0]->shape[0]) + gen_shape_count(n->in[1]->shape[0]);
    return read <= SMALL || read <= 4 * gen_shape_count(n->shape[0]);
}

/* The same images but for their number. */
static bool same_images(const gen_node *a, const gen_node *b)
{
    gen_shape x = a->shape[0], y = b->shape[0];
    x.dim[0] = y.dim[0] = 1;
    return gen_shape_equal(x, y) && a->dtype[0] == b->dtype[0];
}

static bool same_dw(const gen_node *a, const gen_node *b)
{
    return !memcmp(a->attr, b->attr, a->op->attr_size) && same_images(a->in[0], b->in[0]) &&
           same_images(a->in[1], b->in[1]);
}

/* Terms first and later ones like it as one; they are in the order of reverse mode, which is that
 * of time backwards. */
static gen_node *join_weights(gen_rewrite *r, struct term *t, int first, int n, gen_node **part)
{
    int found = 0;
    for (int i = n - 1; i >= first; i--) {
        if (t[i].done || !is_small_dw(&t[i]) || !same_dw(t[i].node, t[first].node))
            continue;
        t[i].done = true;
        part[found] = t[i].node->in[0];
        part[n + found++] = t[i].node->in[1];
    }
    const gen_conv_dw_attr *a = t[first].node->attr;
    return gen_conv_dw(r->to, gen_concat(r->to, 0, part, found),
                       gen_concat(r->to, 0, part + n, found), a->kernel, &a->conv);
}

/* ---- padded pieces --------------------------------------------------------------------------- */

/* The only axis along which n is padded, with zeros; -1: there is none, or more. */
static int piece_axis(const struct term *t)
{
    const gen_pad_attr *a = t->node->attr;
    int axis = -1;
    if (t->node->op != &gen_op_pad || a->value != 0 || !t->own)
        return -1;
    for (int i = 0; i < t->node->shape[0].rank; i++) {
        if (!a->lo[i] && !a->hi[i])
            continue;
        if (axis >= 0)
            return -1;
        axis = i;
    }
    return axis;
}

static int64_t piece_first(const struct term *t, int axis)
{
    return ((const gen_pad_attr *)t->node->attr)->lo[axis];
}

static int64_t piece_end(const struct term *t, int axis)
{
    return t->node->shape[0].dim[axis] - ((const gen_pad_attr *)t->node->attr)->hi[axis];
}

/* Terms that lie one behind the other along the axis, from `first` in both directions. */
static gen_node *join_pieces(gen_rewrite *r, struct term *t, int first, int n, gen_node **part)
{
    int axis = piece_axis(&t[first]), lo = n, hi = n, i = first;
    int64_t begin = piece_first(&t[first], axis), end = piece_end(&t[first], axis);
    gen_pad_attr pad = { .value = 0 };
    t[first].done = true;
    part[hi++] = t[first].node->in[0];
    for (int missed = 0; missed < n; missed++) { /* round and round until a round finds none */
        i = i + 1 < n ? i + 1 : 0;
        if (t[i].done || piece_axis(&t[i]) != axis)
            continue;
        int64_t a = piece_first(&t[i], axis), b = piece_end(&t[i], axis);
        if (a != end && b != begin)
            continue;
        missed = -1;
        t[i].done = true;
        if (a == end) {
            part[hi++] = t[i].node->in[0];
            end = b;
        } else {
            part[--lo] = t[i].node->in[0];
            begin = a;
        }
    }
    pad.lo[axis] = begin;
    pad.hi[axis] = t[first].node->shape[0].dim[axis] - end;
    gen_node *all = gen_concat(r->to, axis, part + lo, hi - lo);
    return pad.lo[axis] || pad.hi[axis] ? gen_pad(r->to, all, pad.lo, pad.hi, 0) : all;
}

/* ---- the rule -------------------------------------------------------------------------------- */

/* Whether some term has another to be joined with. */
static bool worth(const struct term *t, int n)
{
    for (int i = 0; i < n; i++) {
        bool dw = is_small_dw(&t[i]);
        int axis = piece_axis(&t[i]);
        for (int j = i + 1; (dw || axis >= 0) && j < n; j++) {
            if (dw && is_small_dw(&t[j]) && same_dw(t[i].node, t[j].node))
                return true;
            if (axis >= 0 && piece_axis(&t[j]) == axis &&
                (piece_first(&t[i], axis) == piece_end(&t[j], axis) ||
                 piece_end(&t[i], axis) == piece_first(&t[j], axis)))
                return true;
        }
    }
    return false;
}

gen_node *gen_rule_sums(gen_rewrite *r, gen_node *old, gen_node *const in[])
{
    const struct sums *s = r->data;
    (void)in;
    if (!is_sum(old) || s->inner[old->id])
        return NULL;
    int n = count_terms(s, old), found = 0;
    gen_arena *arena = gen_graph_arena(r->to);
    struct term *t = gen_arena_alloc(arena, sizeof *t * (size_t)n);
    gen_node **part = gen_arena_alloc(arena, sizeof *part * 2 * (size_t)n);
    if (!t || !part)
        return gen_graph_fail_as(r->to, GEN_ENOMEM);
    collect(r, old, t, &found);
    if (!worth(t, n))
        return NULL;
    gen_node *sum = NULL;
    for (int i = 0; i < n; i++) {
        if (t[i].done)
            continue;
        gen_node *one = t[i].node;
        if (is_small_dw(&t[i]))
            one = join_weights(r, t, i, n, part);
        else if (piece_axis(&t[i]) >= 0)
            one = join_pieces(r, t, i, n, part);
        sum = sum ? gen_add(r->to, sum, one) : one;
    }
    return sum;
}
