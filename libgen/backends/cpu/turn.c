/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights turned round, in f32: blocks of input channels, so that what is read of an output
 * channel is a few cache lines.
 */
#include "libgen/backends/cpu/vector.h"
#include "libgen/ops/list.h"

extern const gen_kernel gen_turn_kernel;

enum { BLOCK = 16 }; /* input channels of a piece */

typedef struct turn {
    int64_t cout, cin, taps;
} turn;

typedef struct running {
    const turn *s;
    const float *w;
    float *to;
} running;

static bool accepts(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    (void)b, (void)is_const;
    return n->dtype[0] == GEN_F32;
}

static gen_status prepare(gen_prepare *p)
{
    gen_shape w = gen_node_shape(p->node->in[0]);
    turn *s;
    GEN_TRY(GEN_ALLOC(&s, 1, "turned weights"));
    *s = (turn){ .cout = w.dim[0], .cin = w.dim[1] };
    s->taps = gen_shape_count(w) / (s->cout * s->cin);
    p->state = s;
    return GEN_OK;
}

/* Inlined with the number of taps known, the copy is a few moves. */
static inline __attribute__((always_inline)) void turn_block(const running *r, int64_t first,
                                                             int64_t end, int64_t taps)
{
    const turn *s = r->s;
    for (int64_t o = 0; o < s->cout; o++)
        for (int64_t c = first; c < end; c++) {
            const float *from = r->w + (o * s->cin + c) * taps;
            float *to = r->to + (c * s->cout + o) * taps;
            for (int64_t t = 0; t < taps; t++)
                to[taps - 1 - t] = from[t];
        }
}

static void run_piece(void *ctx, int piece, int thread)
{
    const running *r = ctx;
    int64_t first = (int64_t)piece * BLOCK;
    int64_t end = first + BLOCK < r->s->cin ? first + BLOCK : r->s->cin;
    (void)thread;
    switch (r->s->taps) {
    case 1:
        turn_block(r, first, end, 1);
        break;
    case 9:
        turn_block(r, first, end, 9);
        break;
    case 27:
        turn_block(r, first, end, 27);
        break;
    default:
        turn_block(r, first, end, r->s->taps);
    }
}

static gen_status run(void *state, const void *const in[], void *const out[], void *workspace,
                      gen_backend *b)
{
    const turn *s = state;
    running r = { s, in[0], out[0] };
    (void)workspace;
    gen_vec_run(b, gen_vec_ceil(s->cin, BLOCK), s->cout * s->cin * s->taps, run_piece, &r);
    return GEN_OK;
}

const gen_kernel gen_turn_kernel = {
    .name = "turn",
    .op = &gen_op_turn,
    .accepts = accepts,
    .prepare = prepare,
    .run = run,
};
