/* SPDX-License-Identifier: Apache-2.0
 *
 * Ops that only move elements, as the moves of moves.h.
 */
#include "libgen/backends/moves.h"

#include "libgen/ops/list.h"
#include "libgen/ops/strides.h"

/* Adds an axis behind those that are there. */
static void axis(gen_move *m, int64_t dim, int64_t to, int64_t from)
{
    m->dim[m->rank] = dim;
    m->to[m->rank] = to;
    m->from[m->rank] = from;
    m->rank++;
}

/* ---- one source, one move ------------------------------------------------------------------ */

static bool describe_transpose(const gen_node *n, gen_move *m)
{
    const gen_transpose_attr *k = n->attr;
    int64_t to[GEN_MAX_RANK], from[GEN_MAX_RANK];
    gen_steps_dense(n->shape[0], to);
    gen_steps_dense(n->in[0]->shape[0], from);
    for (int i = 0; i < n->shape[0].rank; i++)
        axis(m, n->shape[0].dim[i], to[i], from[k->order[i]]);
    return true;
}

static bool describe_broadcast(const gen_node *n, gen_move *m)
{
    int64_t to[GEN_MAX_RANK], from[GEN_MAX_RANK];
    gen_steps_dense(n->shape[0], to);
    gen_steps_under(n->in[0]->shape[0], n->shape[0], from);
    for (int i = 0; i < n->shape[0].rank; i++)
        axis(m, n->shape[0].dim[i], to[i], from[i]);
    return true;
}

static bool describe_slice(const gen_node *n, gen_move *m)
{
    const gen_slice_attr *k = n->attr;
    int64_t to[GEN_MAX_RANK], from[GEN_MAX_RANK];
    gen_steps_dense(n->shape[0], to);
    gen_steps_dense(n->in[0]->shape[0], from);
    for (int i = 0; i < n->shape[0].rank; i++)
        axis(m, n->shape[0].dim[i], to[i], from[i]);
    m->from_first = k->first * from[k->axis];
    return true;
}

/* x [N,*,C] as [N,D,1,H,1,W,1,C], the result as [N,D,f,H,f,W,f,C]. */
static bool describe_upsample(const gen_node *n, gen_move *m)
{
    const gen_upsample_attr *k = n->attr;
    gen_shape x = n->in[0]->shape[0];
    int64_t to[GEN_MAX_RANK], from[GEN_MAX_RANK];
    if (x.rank > 5)
        return false;
    gen_steps_dense(n->shape[0], to);
    gen_steps_dense(x, from);
    for (int i = 0; i < x.rank; i++) {
        int64_t f = n->shape[0].dim[i] / x.dim[i];
        axis(m, x.dim[i], to[i] * f, from[i]);
        if (i > 0 && i < x.rank - 1 && k->factor[i - 1] > 1)
            axis(m, f, to[i], 0);
    }
    return true;
}

/* fine [N,H,W,C] as [N,H/b,row,W/b,col,C]; deep [N,H/b,W/b,(row,col,C) or (C,row,col)]. */
static bool describe_fold(const gen_node *n, gen_move *m)
{
    const gen_fold_attr *k = n->attr;
    bool to_deep = n->op == &gen_op_space_to_depth;
    gen_shape fine = to_deep ? n->in[0]->shape[0] : n->shape[0];
    int64_t b = k->block, channels = fine.dim[3], height = fine.dim[1] / b, width = fine.dim[2] / b;
    int64_t cell = channels * b * b; /* of deep */
    int64_t in_cell = k->block_major ? channels : 1;
    struct pair {
        int64_t dim, fine, deep;
    } pairs[] = {
        { fine.dim[0] * height, b * fine.dim[2] * channels, width * cell },
        { b, fine.dim[2] * channels, b * in_cell }, /* row */
        { width, b * channels, cell },
        { b, channels, in_cell }, /* col */
        { channels, 1, k->block_major ? 1 : b * b },
    };
    /* In the order of the result's memory. */
    static const int fine_order[] = { 0, 1, 2, 3, 4 };
    static const int block_order[] = { 0, 2, 1, 3, 4 }, channel_order[] = { 0, 2, 4, 1, 3 };
    const int *order = !to_deep ? fine_order : k->block_major ? block_order : channel_order;
    for (int i = 0; i < 5; i++) {
        struct pair a = pairs[order[i]];
        axis(m, a.dim, to_deep ? a.deep : a.fine, to_deep ? a.fine : a.deep);
    }
    return true;
}

/* [Cout,Cin,taps] -> [Cin,Cout,taps], taps backwards. */
static bool describe_turn(const gen_node *n, gen_move *m)
{
    gen_shape w = n->in[0]->shape[0];
    int64_t cout = w.dim[0], cin = w.dim[1], taps = gen_shape_count(w) / (cout * cin);
    axis(m, cin, cout * taps, taps);
    axis(m, cout, taps, cin * taps);
    axis(m, taps, 1, -1);
    m->from_first = taps - 1;
    return true;
}

static const struct {
    const gen_op *op;
    bool (*describe)(const gen_node *n, gen_move *m);
} moves[] = {
    { &gen_op_transpose, describe_transpose }, { &gen_op_broadcast, describe_broadcast },
    { &gen_op_slice, describe_slice },         { &gen_op_upsample, describe_upsample },
    { &gen_op_space_to_depth, describe_fold }, { &gen_op_depth_to_space, describe_fold },
    { &gen_op_turn, describe_turn },
};

bool gen_is_move(const gen_op *op)
{
    for (int i = 0; i < GEN_LEN(moves); i++)
        if (moves[i].op == op)
            return true;
    return false;
}

bool gen_move_of(const gen_node *n, gen_move *m)
{
    *m = (gen_move){ .size = (int64_t)gen_dtype_size(n->dtype[0]) };
    for (int i = 0; i < GEN_LEN(moves); i++)
        if (moves[i].op == n->op)
            return moves[i].describe(n, m);
    return false;
}

/* ---- to a place in the result -------------------------------------------------------------- */

static void describe_place(gen_move *m, const gen_node *n, gen_shape x)
{
    int64_t to[GEN_MAX_RANK], from[GEN_MAX_RANK];
    *m = (gen_move){ .size = (int64_t)gen_dtype_size(n->dtype[0]) };
    gen_steps_dense(n->shape[0], to);
    gen_steps_dense(x, from);
    for (int i = 0; i < x.rank; i++)
        axis(m, x.dim[i], to[i], from[i]);
}

void gen_move_part(const gen_node *concat, int i, gen_move *m)
{
    int64_t along = ((const gen_concat_attr *)concat->attr)->axis, to[GEN_MAX_RANK];
    gen_steps_dense(concat->shape[0], to);
    describe_place(m, concat, concat->in[i]->shape[0]);
    for (int k = 0; k < i; k++)
        m->to_first += concat->in[k]->shape[0].dim[along] * to[along];
}

void gen_move_inside(const gen_node *pad, gen_move *m)
{
    const gen_pad_attr *k = pad->attr;
    describe_place(m, pad, pad->in[0]->shape[0]);
    for (int i = 0; i < m->rank; i++)
        m->to_first += k->lo[i] * m->to[i];
}

/* ---- fewer axes ---------------------------------------------------------------------------- */

void gen_move_join(gen_move *m)
{
    int n = 0;
    for (int i = 0; i < m->rank; i++) {
        int64_t dim = m->dim[i];
        if (dim == 1)
            continue;
        bool joins = n > 0 && m->to[n - 1] == m->to[i] * dim && m->from[n - 1] == m->from[i] * dim;
        n -= joins;
        m->dim[n] = joins ? m->dim[n] * dim : dim;
        m->to[n] = m->to[i];
        m->from[n] = m->from[i];
        n++;
    }
    m->rank = n;
    if (n == 0)
        axis(m, 1, 1, 1);
}
