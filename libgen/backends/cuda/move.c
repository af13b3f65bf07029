/* SPDX-License-Identifier: Apache-2.0
 *
 * Ops that only move elements, of every type: one launch each (concat: one an input).
 */
#include "libgen/backends/cuda/cuda.h"

#include <string.h>

#include "libgen/backends/cuda/kernels/move.h"
#include "libgen/base/alloc.h"
#include "libgen/ops/list.h"

static gen_status run_move(void *state, const void *const in[], void *const out[], void *workspace,
                           gen_backend *b)
{
    gen_cuda_move_args a = *(const gen_cuda_move_args *)state;
    (void)workspace;
    a.from = in[0];
    a.to = out[0];
    GEN_CUDA(gen_cuda_move(&a, gen_cuda_stream(b)));
    return GEN_OK;
}

/* ---- transpose, broadcast, slice, ... -------------------------------------------------------- */

static bool accepts_move(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    gen_move m;
    (void)b, (void)is_const;
    return gen_move_of(n, &m);
}

static gen_status prepare_move(gen_prepare *p)
{
    gen_cuda_move_args *a;
    GEN_TRY(GEN_ALLOC(&a, 1, "copy kernel"));
    gen_move_of(p->node, &a->move);
    gen_move_join(&a->move);
    p->state = a;
    return GEN_OK;
}

static const gen_kernel kernel_move = {
    .name = "cuda/move",
    .serves = gen_is_move,
    .accepts = accepts_move,
    .prepare = prepare_move,
    .run = run_move,
};

/* ---- concat ---------------------------------------------------------------------------------- */

typedef struct concat_state {
    int n;
    gen_cuda_move_args part[];
} concat_state;

static bool always(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    (void)n, (void)b, (void)is_const;
    return true;
}

static gen_status prepare_concat(gen_prepare *p)
{
    const gen_node *n = p->node;
    concat_state *s;
    GEN_TRY(gen_alloc((void **)&s, 1, sizeof *s + (size_t)n->n_in * sizeof s->part[0],
                      "concat kernel"));
    s->n = n->n_in;
    for (int i = 0; i < n->n_in; i++) {
        gen_move_part(n, i, &s->part[i].move);
        gen_move_join(&s->part[i].move);
    }
    p->state = s;
    p->more.launches = s->n - 1;
    return GEN_OK;
}

static gen_status run_concat(void *state, const void *const in[], void *const out[],
                             void *workspace, gen_backend *b)
{
    concat_state *s = state;
    for (int i = 0; i < s->n; i++)
        GEN_TRY(run_move(&s->part[i], &in[i], out, workspace, b));
    return GEN_OK;
}

static const gen_kernel kernel_concat = {
    .name = "cuda/concat",
    .op = &gen_op_concat,
    .accepts = always,
    .prepare = prepare_concat,
    .run = run_concat,
};

/* ---- pad ------------------------------------------------------------------------------------- */

/* In the order of the result; axes without padding are joined to the one before them. */
static void describe_window(const gen_node *n, gen_cuda_move_args *a)
{
    const gen_pad_attr *k = n->attr;
    gen_shape y = n->shape[0], x = n->in[0]->shape[0];
    gen_move *m = &a->move;
    int64_t to = 1, from = 1;
    a->window = true;
    for (int i = 0; i < y.rank; i++) {
        bool joins = m->rank > 0 && y.dim[i] == x.dim[i];
        int at = joins ? m->rank - 1 : m->rank++;
        m->dim[at] = y.dim[i] * (joins ? m->dim[at] : 1);
        a->size[at] = x.dim[i] * (joins ? a->size[at] : 1);
        a->lo[at] = joins ? a->lo[at] * y.dim[i] : k->lo[i];
    }
    for (int i = m->rank - 1; i >= 0; i--) {
        m->to[i] = to;
        m->from[i] = from;
        to *= m->dim[i];
        from *= a->size[i];
    }
}

static gen_status prepare_pad(gen_prepare *p)
{
    const gen_node *n = p->node;
    const gen_pad_attr *k = n->attr;
    size_t size = gen_dtype_size(n->dtype[0]);
    gen_cuda_move_args *a;
    GEN_TRY(GEN_ALLOC(&a, 1, "pad kernel"));
    a->move.size = (int64_t)size;
    describe_window(n, a);
    for (size_t i = 0; i < sizeof a->value; i += size)
        gen_convert(a->value + i, n->dtype[0], &k->value, GEN_F64, 1);
    p->state = a;
    return GEN_OK;
}

static const gen_kernel kernel_pad = {
    .name = "cuda/pad",
    .op = &gen_op_pad,
    .accepts = always,
    .prepare = prepare_pad,
    .run = run_move,
};

const gen_kernel *const gen_cuda_move_kernels[] = { &kernel_move, &kernel_concat, &kernel_pad,
                                                    NULL };
