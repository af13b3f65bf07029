/* SPDX-License-Identifier: Apache-2.0
 *
 * Ops that only move elements, as copies (copy.h): transpose, broadcast, slice, nearest
 * up-sampling, blocks to channels and back; concat as one copy an input; pad row by row. For every
 * dtype.
 */
#include <string.h>

#include "libgen/backends/cpu/copy.h"
#include "libgen/backends/cpu/vector.h"
#include "libgen/ops/list.h"

/* ---- one source, one copy ------------------------------------------------------------------ */

static bool copy_serves(const gen_op *op)
{
    return op != &gen_op_turn && gen_is_move(op); /* turn.c has a faster way */
}

static bool copy_accepts(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    gen_move m;
    (void)b, (void)is_const;
    return gen_move_of(n, &m);
}

static gen_status copy_prepare(gen_prepare *p)
{
    gen_copy *c;
    GEN_TRY(GEN_ALLOC(&c, 1, "copy kernel"));
    gen_move_of(p->node, &c->move);
    gen_copy_prepare(c);
    p->state = c;
    return GEN_OK;
}

static gen_status copy_run(void *state, const void *const in[], void *const out[], void *workspace,
                           gen_backend *b)
{
    (void)workspace;
    gen_copy_run(state, out[0], in[0], b);
    return GEN_OK;
}

const gen_kernel gen_vec_copy_kernel = {
    .name = "vector/copy",
    .serves = copy_serves,
    .accepts = copy_accepts,
    .prepare = copy_prepare,
    .run = copy_run,
};

/* ---- concat: one copy an input --------------------------------------------------------------- */

typedef struct concat_state {
    int n;
    gen_copy *part;
} concat_state;

static bool always(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    (void)n, (void)b, (void)is_const;
    return true;
}

static void concat_free(void *state)
{
    concat_state *s = state;
    if (s)
        gen_free(s->part);
    gen_free(s);
}

static gen_status concat_prepare(gen_prepare *p)
{
    const gen_node *n = p->node;
    gen_status status = GEN_OK;
    concat_state *s;
    GEN_TRY(GEN_ALLOC(&s, 1, "concat kernel"));
    GEN_GOTO(GEN_ALLOC(&s->part, n->n_in, "concat kernel"));
    s->n = n->n_in;
    for (int i = 0; i < n->n_in; i++) {
        gen_move_part(n, i, &s->part[i].move);
        gen_copy_prepare(&s->part[i]);
    }
    p->state = s;
    s = NULL;
done:
    concat_free(s);
    return status;
}

static gen_status concat_run(void *state, const void *const in[], void *const out[],
                             void *workspace, gen_backend *b)
{
    const concat_state *s = state;
    (void)workspace;
    for (int i = 0; i < s->n; i++)
        gen_copy_run(&s->part[i], out[0], in[i], b);
    return GEN_OK;
}

const gen_kernel gen_vec_concat_kernel = {
    .name = "vector/concat",
    .op = &gen_op_concat,
    .accepts = always,
    .prepare = concat_prepare,
    .run = concat_run,
    .free = concat_free,
};

/* ---- pad ----------------------------------------------------------------------------------- */

/* The result as rows that end with the last padded axis: a row is padding, or padding, a run of x,
 * padding. Where rows are short all is filled first, and x copied to its places. */
enum { SHORT_ROW = 32 };

typedef struct pad_state {
    int axes; /* before the row's */
    int64_t dim[GEN_MAX_RANK], lo[GEN_MAX_RANK], size[GEN_MAX_RANK]; /* size: of x */
    int64_t rows, together, pieces;
    int64_t before, run, after; /* elements of a row */
    int64_t bytes;              /* of an element */
    uint8_t value[8];
    gen_copy copy; /* of x, where rows are short; rank 0: they are not */
} pad_state;

typedef struct pad_args {
    const pad_state *s;
    char *to;
    const char *from;
} pad_args;

/* The row of x that row of the result holds, -1 when it is padding. */
static int64_t source_row(const pad_state *s, int64_t row)
{
    int64_t source = 0, step = 1;
    for (int i = s->axes - 1; i >= 0; i--) {
        int64_t at = row % s->dim[i] - s->lo[i];
        row /= s->dim[i];
        if (at < 0 || at >= s->size[i])
            return -1;
        source += at * step;
        step *= s->size[i];
    }
    return source;
}

static void pad_piece(void *ctx, int piece, int thread)
{
    const pad_args *a = ctx;
    const pad_state *s = a->s;
    int64_t row = piece * s->together, width = s->before + s->run + s->after;
    int64_t end = row + s->together < s->rows ? row + s->together : s->rows;
    (void)thread;
    if (s->copy.move.rank) {
        gen_copy_fill(a->to + row * width * s->bytes, s->value, (end - row) * width, s->bytes);
        return;
    }
    for (; row < end; row++) {
        char *to = a->to + row * width * s->bytes;
        int64_t source = source_row(s, row);
        if (source < 0) {
            gen_copy_fill(to, s->value, width, s->bytes);
            continue;
        }
        gen_copy_fill(to, s->value, s->before, s->bytes);
        to += s->before * s->bytes;
        memcpy(to, a->from + source * s->run * s->bytes, (size_t)(s->run * s->bytes));
        gen_copy_fill(to + s->run * s->bytes, s->value, s->after, s->bytes);
    }
}

static gen_status pad_prepare(gen_prepare *p)
{
    const gen_node *n = p->node;
    const gen_pad_attr *k = n->attr;
    gen_shape x = n->in[0]->shape[0];
    int last = x.rank - 1;
    int64_t inner = 1;
    pad_state *s;
    GEN_TRY(GEN_ALLOC(&s, 1, "pad kernel"));
    for (; last > 0 && k->lo[last] == 0 && k->hi[last] == 0; last--)
        inner *= x.dim[last];
    s->rows = 1;
    if (last >= 0) {
        s->before = k->lo[last] * inner;
        s->after = k->hi[last] * inner;
        inner *= x.dim[last];
    }
    s->run = inner;
    for (int i = 0; i < last; i++) {
        s->dim[i] = n->shape[0].dim[i];
        s->lo[i] = k->lo[i];
        s->size[i] = x.dim[i];
        s->rows *= s->dim[i];
        s->axes++;
    }
    s->bytes = (int64_t)gen_dtype_size(n->dtype[0]);
    gen_convert(s->value, n->dtype[0], &k->value, GEN_F64, 1);
    if (s->before + s->run + s->after < SHORT_ROW && s->rows > 1) {
        gen_move_inside(n, &s->copy.move);
        gen_copy_prepare(&s->copy);
    }
    s->together = gen_vec_ceil(GEN_PIECE, s->before + s->run + s->after);
    s->pieces = gen_vec_ceil(s->rows, s->together);
    p->state = s;
    return GEN_OK;
}

static gen_status pad_run(void *state, const void *const in[], void *const out[], void *workspace,
                          gen_backend *b)
{
    const pad_state *s = state;
    pad_args a = { s, out[0], in[0] };
    (void)workspace;
    gen_vec_run(b, s->pieces, s->rows * (s->before + s->run + s->after), pad_piece, &a);
    if (s->copy.move.rank)
        gen_copy_run(&s->copy, out[0], in[0], b);
    return GEN_OK;
}

const gen_kernel gen_vec_pad_kernel = {
    .name = "vector/pad",
    .op = &gen_op_pad,
    .accepts = always,
    .prepare = pad_prepare,
    .run = pad_run,
};
