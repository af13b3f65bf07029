/* SPDX-License-Identifier: Apache-2.0
 *
 * Ops that only move elements, as copies (copy.h): transpose, broadcast, slice, nearest
 * up-sampling, blocks to channels and back; concat as one copy an input; pad row by row. For every
 * dtype.
 */
#include <string.h>

#include "libgen/backends/cpu/copy.h"
#include "libgen/backends/cpu/vector.h"
#include "libgen/ops/strides.h"

/* ---- one source, one copy ------------------------------------------------------------------ */

static bool describe_transpose(const gen_node *n, gen_copy *c)
{
    const gen_transpose_attr *k = n->attr;
    int64_t to[GEN_MAX_RANK], from[GEN_MAX_RANK];
    gen_steps_dense(n->shape[0], to);
    gen_steps_dense(n->in[0]->shape[0], from);
    for (int i = 0; i < n->shape[0].rank; i++)
        gen_copy_axis(c, n->shape[0].dim[i], to[i], from[k->order[i]]);
    return true;
}

static bool describe_broadcast(const gen_node *n, gen_copy *c)
{
    int64_t to[GEN_MAX_RANK], from[GEN_MAX_RANK];
    gen_steps_dense(n->shape[0], to);
    gen_steps_under(n->in[0]->shape[0], n->shape[0], from);
    for (int i = 0; i < n->shape[0].rank; i++)
        gen_copy_axis(c, n->shape[0].dim[i], to[i], from[i]);
    return true;
}

static bool describe_slice(const gen_node *n, gen_copy *c)
{
    const gen_slice_attr *k = n->attr;
    int64_t to[GEN_MAX_RANK], from[GEN_MAX_RANK];
    gen_steps_dense(n->shape[0], to);
    gen_steps_dense(n->in[0]->shape[0], from);
    for (int i = 0; i < n->shape[0].rank; i++)
        gen_copy_axis(c, n->shape[0].dim[i], to[i], from[i]);
    c->from_first = k->first * from[k->axis];
    return true;
}

/* x [N,*,C] as [N,D,1,H,1,W,1,C], the result as [N,D,f,H,f,W,f,C]. */
static bool describe_upsample(const gen_node *n, gen_copy *c)
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
        gen_copy_axis(c, x.dim[i], to[i] * f, from[i]);
        if (i > 0 && i < x.rank - 1 && k->factor[i - 1] > 1)
            gen_copy_axis(c, f, to[i], 0);
    }
    return true;
}

/* fine [N,H,W,C] as [N,H/b,row,W/b,col,C]; deep [N,H/b,W/b,(row,col,C) or (C,row,col)]. */
static bool describe_fold(const gen_node *n, gen_copy *c)
{
    const gen_fold_attr *k = n->attr;
    bool to_deep = n->op == &gen_op_space_to_depth;
    gen_shape fine = to_deep ? n->in[0]->shape[0] : n->shape[0];
    int64_t b = k->block, channels = fine.dim[3], height = fine.dim[1] / b, width = fine.dim[2] / b;
    int64_t cell = channels * b * b; /* of deep */
    int64_t in_cell = k->block_major ? channels : 1;
    struct axis {
        int64_t dim, fine, deep;
    } axis[] = {
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
        struct axis a = axis[order[i]];
        gen_copy_axis(c, a.dim, to_deep ? a.deep : a.fine, to_deep ? a.fine : a.deep);
    }
    return true;
}

/* Views, when a plan wants them in a place of their own. */
static bool describe_whole(const gen_node *n, gen_copy *c)
{
    gen_copy_axis(c, gen_shape_count(n->shape[0]), 1, 1);
    return true;
}

static const struct {
    const gen_op *op;
    bool (*describe)(const gen_node *n, gen_copy *c);
} copies[] = {
    { &gen_op_transpose, describe_transpose },   { &gen_op_broadcast, describe_broadcast },
    { &gen_op_slice, describe_slice },           { &gen_op_upsample, describe_upsample },
    { &gen_op_space_to_depth, describe_fold },   { &gen_op_depth_to_space, describe_fold },
    { &gen_op_reshape, describe_whole },         { &gen_op_stop_gradient, describe_whole },
};

static bool describe(const gen_node *n, gen_copy *c)
{
    *c = (gen_copy){ .size = (int64_t)gen_dtype_size(n->dtype[0]) };
    for (int i = 0; i < GEN_LEN(copies); i++)
        if (copies[i].op == n->op)
            return copies[i].describe(n, c);
    return false;
}

static bool copy_accepts(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    gen_copy c;
    (void)b, (void)is_const;
    return describe(n, &c);
}

static gen_status copy_prepare(gen_prepare *p)
{
    gen_copy *c;
    GEN_TRY(GEN_ALLOC(&c, 1, "copy kernel"));
    describe(p->node, c);
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
    int64_t axis = ((const gen_concat_attr *)n->attr)->axis, first = 0;
    int64_t to[GEN_MAX_RANK], from[GEN_MAX_RANK];
    gen_status status = GEN_OK;
    concat_state *s;
    GEN_TRY(GEN_ALLOC(&s, 1, "concat kernel"));
    GEN_GOTO(GEN_ALLOC(&s->part, n->n_in, "concat kernel"));
    s->n = n->n_in;
    gen_steps_dense(n->shape[0], to);
    for (int i = 0; i < n->n_in; i++) {
        gen_shape x = n->in[i]->shape[0];
        gen_copy *c = &s->part[i];
        c->size = (int64_t)gen_dtype_size(n->dtype[0]);
        c->to_first = first * to[axis];
        first += x.dim[axis];
        gen_steps_dense(x, from);
        for (int k = 0; k < x.rank; k++)
            gen_copy_axis(c, x.dim[k], to[k], from[k]);
        gen_copy_prepare(c);
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
    if (s->copy.rank) {
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

static void describe_places(gen_copy *c, const gen_node *n)
{
    const gen_pad_attr *k = n->attr;
    gen_shape x = n->in[0]->shape[0];
    int64_t to[GEN_MAX_RANK], from[GEN_MAX_RANK];
    gen_steps_dense(n->shape[0], to);
    gen_steps_dense(x, from);
    c->size = (int64_t)gen_dtype_size(n->dtype[0]);
    for (int i = 0; i < x.rank; i++) {
        c->to_first += k->lo[i] * to[i];
        gen_copy_axis(c, x.dim[i], to[i], from[i]);
    }
    gen_copy_prepare(c);
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
    if (s->before + s->run + s->after < SHORT_ROW && s->rows > 1)
        describe_places(&s->copy, n);
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
    if (s->copy.rank)
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
