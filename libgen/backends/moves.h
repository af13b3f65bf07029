/* SPDX-License-Identifier: Apache-2.0
 *
 * Moving elements: what the ops that only rearrange have in common, for every backend. A move is a
 * shape and, per axis, the step of the result and that of the source: 0 repeats, any order
 * transposes, steps below 0 go backwards.
 */
#ifndef LIBGEN_BACKENDS_MOVES_H
#define LIBGEN_BACKENDS_MOVES_H

#include "libgen/graph/op.h"

typedef struct gen_move {
    int rank;
    int64_t dim[GEN_MAX_RANK], to[GEN_MAX_RANK], from[GEN_MAX_RANK]; /* steps in elements */
    int64_t to_first, from_first;                                    /* offsets in elements */
    int64_t size;                                                    /* bytes of an element */
} gen_move;

/* Ops whose result is one move of their input: transpose, broadcast, slice, upsample, the two of
 * blocks and channels, turn. */
GEN_API bool gen_is_move(const gen_op *op);
/* The node as that move. False: it is none, or has too many axes. */
GEN_API bool gen_move_of(const gen_node *n, gen_move *m);
/* Input i of a concat to its place. */
GEN_API void gen_move_part(const gen_node *concat, int i, gen_move *m);
/* The input of a pad to its place. */
GEN_API void gen_move_inside(const gen_node *pad, gen_move *m);

/* Drops axes of size 1, joins neighbours that both sides cross with one step. At least one axis
 * remains. */
GEN_API void gen_move_join(gen_move *m);

#endif
