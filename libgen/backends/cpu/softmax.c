/* SPDX-License-Identifier: Apache-2.0
 *
 * Softmax along the last axis (or one with nothing but 1s behind it), f32 and bf16. A piece is some
 * rows; a row passes L1 four times: largest, exponentials, their sum in double, scaling.
 */
#include "libgen/backends/cpu/vector.h"

typedef struct softmax_state {
    const gen_vec *vec;
    int64_t rows, size, together, pieces;
    bool bf16;
} softmax_state;

typedef struct softmax_args {
    const softmax_state *s;
    const void *x;
    void *y;
    float *row; /* [threads, size], for bf16 */
} softmax_args;

static int64_t count_behind(const gen_node *n)
{
    int64_t inner = 1;
    for (int i = (int)((const gen_softmax_attr *)n->attr)->axis + 1; i < n->shape[0].rank; i++)
        inner *= n->shape[0].dim[i];
    return inner;
}

static bool softmax_accepts(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    (void)b, (void)is_const;
    return gen_vec_is_float(n->dtype[0]) && n->in[0]->dtype[0] == n->dtype[0] &&
           count_behind(n) == 1;
}

static gen_status softmax_prepare(gen_prepare *p)
{
    const gen_node *n = p->node;
    softmax_state *s;
    GEN_TRY(GEN_ALLOC(&s, 1, "softmax kernel"));
    s->vec = gen_vec_of(p->backend->isa);
    s->size = n->shape[0].dim[((const gen_softmax_attr *)n->attr)->axis];
    s->rows = gen_shape_count(n->shape[0]) / s->size;
    s->bf16 = n->dtype[0] == GEN_BF16;
    s->together = gen_vec_ceil(GEN_PIECE / 4, s->size); /* an exp is some ten moves */
    s->pieces = gen_vec_ceil(s->rows, s->together);
    if (s->bf16)
        p->workspace = (uint64_t)s->size * sizeof(float) *
                       (uint64_t)(p->backend->pool ? gen_pool_threads(p->backend->pool) : 1);
    p->state = s;
    return GEN_OK;
}

static void softmax_row(const gen_vec *v, float *y, const float *x, int64_t n)
{
    v->exp_minus(y, x, n, v->max(x, n));
    v->unary[GEN_UNARY_AFFINE](y, y, n, (float)(1.0 / v->sum(y, n)), 0);
}

static void softmax_piece(void *ctx, int piece, int thread)
{
    const softmax_args *a = ctx;
    const softmax_state *s = a->s;
    int64_t row = piece * s->together;
    int64_t end = row + s->together < s->rows ? row + s->together : s->rows;
    for (; row < end; row++) {
        int64_t at = row * s->size;
        if (!s->bf16) {
            softmax_row(s->vec, (float *)a->y + at, (const float *)a->x + at, s->size);
            continue;
        }
        float *buffer = a->row + thread * s->size;
        s->vec->from_bf16(buffer, (const uint16_t *)a->x + at, s->size);
        softmax_row(s->vec, buffer, buffer, s->size);
        s->vec->to_bf16((uint16_t *)a->y + at, buffer, s->size);
    }
}

static gen_status softmax_run(void *state, const void *const in[], void *const out[],
                              void *workspace, gen_backend *b)
{
    const softmax_state *s = state;
    softmax_args a = { s, in[0], out[0], workspace };
    gen_vec_run(b, s->pieces, s->rows * s->size * 4, softmax_piece, &a);
    return GEN_OK;
}

const gen_kernel gen_vec_softmax_kernel = {
    .name = "vector/softmax",
    .op = &gen_op_softmax,
    .accepts = softmax_accepts,
    .prepare = softmax_prepare,
    .run = softmax_run,
    .flags = GEN_KERNEL_IN_PLACE,
};
