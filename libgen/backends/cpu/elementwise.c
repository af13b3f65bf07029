/* SPDX-License-Identifier: Apache-2.0
 *
 * Elementwise kernels, f32 and bf16: functions of one and two tensors with broadcasting, lerp,
 * scale-shift with activation, cast between the two types.
 *
 * All are one scheme. The result is seen as `outer` rows of `run` elements. In a row an input is
 * dense, one scalar, or periodic (a short row of channels repeated for each cell). A piece is a
 * range of rows, or a range within one; it is worked on in blocks, for which every input is given
 * as `block` contiguous floats (or one): where it lies if it is dense f32, else copied to a small
 * buffer that stays in L1 (bf16 converted, short rows laid out again and again).
 */
#include <string.h>

#include "libgen/backends/cpu/vector.h"
#include "libgen/ops/strides.h"

#define INPUTS 3
#define BLOCK 1024 /* elements of a buffer: 4 KiB */

enum kind { DENSE, SCALAR, PERIODIC };

typedef struct job job;

/* Computes n elements; x[i] points at n floats, or at 1 for a SCALAR. */
typedef void block_fn(const job *j, float *y, const float *const x[INPUTS], int64_t n);

struct job {
    const gen_vec *vec;
    block_fn *block;
    int op;     /* gen_unary, gen_binary or gen_act */
    float p, q; /* parameters of a unary op or activation */

    int inputs;
    gen_dtype in[INPUTS], out;
    enum kind kind[INPUTS];
    bool given[INPUTS]; /* false: x[i] is NULL (scale_shift without a or b) */
    int input[INPUTS];  /* x[i] is this input of the node */
    bool spread;        /* block takes no SCALAR: they are laid out as PERIODIC */

    gen_walk rows;   /* over the outer axes; offsets of the inputs */
    int64_t outer, run;
    int64_t period;  /* of PERIODIC inputs */
    int64_t size;    /* of a block */
    int64_t parts;   /* pieces of a row, when it is long */
    int64_t part;    /* elements of one; a multiple of size */
    int64_t together; /* rows in a piece, when they are short */
    int64_t pieces;
};

typedef struct run_args {
    const job *j;
    const void *const *in;
    void *out;
} run_args;

/* ---- running ------------------------------------------------------------------------------- */

static const char *address(const void *base, gen_dtype t, int64_t i)
{
    return (const char *)base + i * (t == GEN_F32 ? 4 : 2);
}

/* n floats of an input from element `at`: in place when they are f32, else converted. */
static const float *load(const job *j, const void *base, gen_dtype t, int64_t at, int64_t n,
                         float *buffer)
{
    const char *from = address(base, t, at);
    if (t == GEN_F32)
        return (const float *)from;
    j->vec->from_bf16(buffer, (const uint16_t *)from, n);
    return buffer;
}

/* `period` floats laid out until they fill a block. */
static void repeat(const job *j, const void *base, gen_dtype t, int64_t at, float *buffer)
{
    const float *x = load(j, base, t, at, j->period, buffer);
    if (x != buffer)
        memcpy(buffer, x, (size_t)j->period * sizeof *buffer);
    for (int64_t have = j->period; have < j->size;) {
        int64_t n = have < j->size - have ? have : j->size - have;
        memcpy(buffer + have, buffer, (size_t)n * sizeof *buffer);
        have += n;
    }
}

/* Elements first..last of a row; `from` are the offsets of its inputs. */
static void run_row(const run_args *a, const int64_t from[INPUTS], int64_t row, int64_t first,
                    int64_t last)
{
    const job *j = a->j;
    float buffer[INPUTS + 1][BLOCK];
    const float *x[INPUTS] = { NULL };
    for (int i = 0; i < j->inputs; i++) {
        if (!j->given[i])
            continue;
        const void *base = a->in[j->input[i]];
        x[i] = buffer[i];
        if (j->kind[i] == PERIODIC)
            repeat(j, base, j->in[i], from[i], buffer[i]);
        else if (j->kind[i] == SCALAR)
            x[i] = load(j, base, j->in[i], from[i], 1, buffer[i]);
    }
    for (int64_t at = first; at < last; at += j->size) {
        int64_t n = last - at < j->size ? last - at : j->size;
        char *to = (char *)address(a->out, j->out, row * j->run + at);
        for (int i = 0; i < j->inputs; i++)
            if (j->given[i] && j->kind[i] == DENSE)
                x[i] = load(j, a->in[j->input[i]], j->in[i], from[i] + at, n, buffer[i]);
        if (j->out == GEN_F32) {
            j->block(j, (float *)to, x, n);
        } else {
            j->block(j, buffer[INPUTS], x, n);
            j->vec->to_bf16((uint16_t *)to, buffer[INPUTS], n);
        }
    }
}

static void run_piece(void *ctx, int piece, int thread)
{
    const run_args *a = ctx;
    const job *j = a->j;
    (void)thread;
    int64_t row = piece / j->parts * j->together, first = piece % j->parts * j->part;
    int64_t end = row + j->together < j->outer ? row + j->together : j->outer;
    int64_t last = first + j->part < j->run ? first + j->part : j->run;
    gen_walk w = j->rows;
    for (int64_t i = w.shape.rank - 1, rest = row; i >= 0; i--) {
        w.at[i] = rest % w.shape.dim[i];
        rest /= w.shape.dim[i];
        for (int k = 0; k < INPUTS; k++)
            w.offset[k] += w.at[i] * w.step[k][i];
    }
    for (; row < end; row++, gen_walk_next(&w))
        run_row(a, w.offset, row, first, last);
}

static gen_status run_job(void *state, const void *const in[], void *const out[], void *workspace,
                          gen_backend *b)
{
    const job *j = state;
    run_args a = { j, in, out[0] };
    (void)workspace;
    gen_vec_run(b, j->pieces, j->outer * j->run, run_piece, &a);
    return GEN_OK;
}

/* ---- preparing ----------------------------------------------------------------------------- */

static int64_t count_rows(const gen_walk *w)
{
    int64_t n = 1;
    for (int i = 0; i < w->shape.rank; i++)
        n *= w->shape.dim[i];
    return n;
}

/* Takes the innermost axis as the run; joins the next one to it when the run is short and each
 * input goes on densely or starts again there. */
static void choose_run(job *j)
{
    gen_walk *w = &j->rows;
    int r = w->shape.rank;
    j->run = r ? w->shape.dim[r - 1] : 1;
    for (int i = 0; i < j->inputs; i++)
        j->kind[i] = r && w->step[i][r - 1] == 0 && j->run > 1 ? SCALAR : DENSE;
    w->shape.rank = r ? r - 1 : 0;
    bool joins = r > 1 && j->run <= BLOCK / 2;
    for (int i = 0; i < j->inputs && joins; i++) {
        int64_t next = w->step[i][r - 2];
        joins = j->kind[i] == DENSE ? next == j->run || next == 0 : next == 0;
    }
    j->period = joins ? j->run : 0;
    if (!joins)
        return;
    for (int i = 0; i < j->inputs; i++)
        if (j->kind[i] == DENSE && w->step[i][r - 2] == 0)
            j->kind[i] = PERIODIC;
    j->run *= w->shape.dim[r - 2];
    w->shape.rank = r - 2;
}

/* With a SCALAR in a row nothing is PERIODIC by more than one element (scale_shift with C = 1). */
static void spread_scalars(job *j)
{
    for (int i = 0; i < j->inputs; i++) {
        if (j->given[i] && j->kind[i] == SCALAR) {
            j->kind[i] = PERIODIC;
            j->period = 1;
        }
    }
}

static void cut(job *j)
{
    bool buffered = j->out != GEN_F32;
    for (int i = 0; i < j->inputs; i++)
        buffered |= j->kind[i] == PERIODIC || (j->given[i] && j->in[i] != GEN_F32);
    j->outer = count_rows(&j->rows);
    j->size = j->period ? BLOCK / j->period * j->period : BLOCK;
    j->part = GEN_PIECE / j->size * j->size;
    if (!buffered)
        j->size = j->part;
    j->parts = gen_vec_ceil(j->run, j->part);
    j->together = j->parts > 1 ? 1 : gen_vec_ceil(GEN_PIECE, j->run);
    j->pieces = gen_vec_ceil(j->outer, j->together) * j->parts;
}

/* Fills in what all elementwise ops share; walk: shape of the result and steps of the inputs. */
static gen_status make_job(gen_prepare *p, const job *like, const gen_walk *walk)
{
    const gen_node *n = p->node;
    job *j;
    GEN_TRY(GEN_ALLOC(&j, 1, "elementwise kernel"));
    *j = *like;
    j->vec = gen_vec_of(p->backend->isa);
    j->rows = *walk;
    j->out = n->dtype[0];
    for (int i = 0, used = 0; i < j->inputs; i++) {
        if (!j->given[i])
            continue;
        j->input[i] = used++;
        j->in[i] = n->in[j->input[i]]->dtype[0];
    }
    gen_walk_join(&j->rows);
    choose_run(j);
    if (like->spread)
        spread_scalars(j);
    cut(j);
    p->state = j;
    return GEN_OK;
}

static gen_status make_broadcast(gen_prepare *p, job like)
{
    gen_walk w = { .shape = p->node->shape[0] };
    like.inputs = p->node->n_in;
    for (int i = 0; i < like.inputs; i++) {
        like.given[i] = true;
        gen_steps_under(p->node->in[i]->shape[0], w.shape, w.step[i]);
    }
    return make_job(p, &like, &w);
}

static bool all_float(const gen_node *n)
{
    bool fits = gen_vec_is_float(n->dtype[0]);
    for (int i = 0; i < n->n_in; i++)
        fits &= gen_vec_is_float(n->in[i]->dtype[0]);
    return fits;
}

/* ---- unary, cast --------------------------------------------------------------------------- */

static void unary_block(const job *j, float *y, const float *const x[INPUTS], int64_t n)
{
    j->vec->unary[j->op](y, x[0], n, j->p, j->q);
}

static bool unary_serves(const gen_op *op)
{
    return gen_unary_of(op) >= 0;
}

static bool unary_accepts(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    (void)b, (void)is_const;
    return all_float(n);
}

static gen_status unary_prepare(gen_prepare *p)
{
    const gen_unary_attr *k = p->node->attr;
    job j = { .block = unary_block, .op = gen_unary_of(p->node->op) };
    if (p->node->op->attr_size) {
        j.p = (float)k->p;
        j.q = (float)k->q;
    }
    return make_broadcast(p, j);
}

const gen_kernel gen_vec_unary_kernel = {
    .name = "vector/unary",
    .serves = unary_serves,
    .accepts = unary_accepts,
    .prepare = unary_prepare,
    .run = run_job,
    .flags = GEN_KERNEL_IN_PLACE,
};

static void copy_block(const job *j, float *y, const float *const x[INPUTS], int64_t n)
{
    (void)j;
    memmove(y, x[0], (size_t)n * sizeof *y);
}

static bool float_accepts(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    (void)b, (void)is_const;
    return all_float(n);
}

static gen_status cast_prepare(gen_prepare *p)
{
    return make_broadcast(p, (job){ .block = copy_block });
}

const gen_kernel gen_vec_cast_kernel = {
    .name = "vector/cast",
    .op = &gen_op_cast,
    .accepts = float_accepts,
    .prepare = cast_prepare,
    .run = run_job,
};

/* ---- binary, lerp -------------------------------------------------------------------------- */

static void binary_block(const job *j, float *y, const float *const x[INPUTS], int64_t n)
{
    const gen_vec *v = j->vec;
    gen_vec_binary *const *table = j->kind[1] == SCALAR   ? v->binary_s
                                   : j->kind[0] == SCALAR ? v->s_binary
                                                          : v->binary;
    table[j->op](y, x[0], x[1], n);
}

static bool binary_serves(const gen_op *op)
{
    return gen_binary_of(op) >= 0;
}

static bool binary_accepts(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    (void)b, (void)is_const;
    return all_float(n);
}

static gen_status binary_prepare(gen_prepare *p)
{
    return make_broadcast(p, (job){ .block = binary_block, .op = gen_binary_of(p->node->op) });
}

const gen_kernel gen_vec_binary_kernel = {
    .name = "vector/binary",
    .serves = binary_serves,
    .accepts = binary_accepts,
    .prepare = binary_prepare,
    .run = run_job,
    .flags = GEN_KERNEL_IN_PLACE,
};

static void lerp_block(const job *j, float *y, const float *const x[INPUTS], int64_t n)
{
    j->vec->lerp(y, x[0], x[1], x[2], n);
}

static gen_status lerp_prepare(gen_prepare *p)
{
    return make_broadcast(p, (job){ .block = lerp_block });
}

const gen_kernel gen_vec_lerp_kernel = {
    .name = "vector/lerp",
    .op = &gen_op_lerp,
    .accepts = float_accepts,
    .prepare = lerp_prepare,
    .run = run_job,
    .flags = GEN_KERNEL_IN_PLACE,
};

/* ---- scale_shift: x * a + b, then the activation ------------------------------------------- */

static const int act_op[] = {
    [GEN_ACT_RELU] = GEN_UNARY_RELU,
    [GEN_ACT_LEAKY_RELU] = GEN_UNARY_LEAKY_RELU,
    [GEN_ACT_SIGMOID] = GEN_UNARY_SIGMOID,
    [GEN_ACT_TANH] = GEN_UNARY_TANH,
};

static void scale_shift_block(const job *j, float *y, const float *const x[INPUTS], int64_t n)
{
    const gen_vec *v = j->vec;
    const float *a = x[1], *b = x[2];
    if (a && b && j->op == GEN_ACT_RELU) {
        v->scale_shift_relu(y, x[0], a, b, n);
        return;
    }
    if (a && b)
        v->scale_shift(y, x[0], a, b, n);
    else if (a)
        v->binary[GEN_BINARY_MUL](y, x[0], a, n);
    else if (b)
        v->binary[GEN_BINARY_ADD](y, x[0], b, n);
    else
        memmove(y, x[0], (size_t)n * sizeof *y);
    if (j->op != GEN_ACT_NONE)
        v->unary[act_op[j->op]](y, y, n, j->p, 0);
}

static bool scale_shift_accepts(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    const gen_scale_shift_attr *k = n->attr;
    (void)b, (void)is_const;
    return all_float(n) && k->act >= GEN_ACT_NONE && k->act <= GEN_ACT_TANH;
}

/* x as [N,P,C]; a and b have steps (C or 0, 0, 1). */
static gen_status scale_shift_prepare(gen_prepare *p)
{
    const gen_node *n = p->node;
    const gen_scale_shift_attr *k = n->attr;
    gen_shape s = n->shape[0];
    int64_t outer = s.rank > 1 ? s.dim[0] : 1, channels = s.dim[s.rank - 1];
    int64_t cells = gen_shape_count(s) / outer / channels;
    job j = { .block = scale_shift_block, .op = (int)k->act, .p = (float)k->slope, .inputs = 3,
              .spread = true };
    gen_walk w = { .shape = { .rank = 3, .dim = { outer, cells, channels } } };
    j.given[0] = true;
    j.given[1] = k->has_scale;
    j.given[2] = k->has_shift;
    gen_steps_dense(w.shape, w.step[0]);
    for (int i = 1, used = 1; i < 3; i++) {
        if (!j.given[i])
            continue;
        w.step[i][0] = n->in[used++]->shape[0].rank == 2 ? channels : 0;
        w.step[i][2] = 1;
    }
    return make_job(p, &j, &w);
}

const gen_kernel gen_vec_scale_shift_kernel = {
    .name = "vector/scale_shift",
    .op = &gen_op_scale_shift,
    .accepts = scale_shift_accepts,
    .prepare = scale_shift_prepare,
    .run = run_job,
    .flags = GEN_KERNEL_IN_PLACE,
};
