/* SPDX-License-Identifier: Apache-2.0
 *
 * Moving elements: one engine for every op that only rearranges (backends/moves.h). Preparing a
 * copy joins axes and turns short runs into wider elements, so that running it is mostly memcpy.
 */
#ifndef LIBGEN_BACKENDS_CPU_COPY_H
#define LIBGEN_BACKENDS_CPU_COPY_H

#include "libgen/backends/backend.h"
#include "libgen/backends/moves.h"

typedef struct gen_copy {
    gen_move move;
    /* Set by gen_copy_prepare. */
    bool grid;        /* the last two axes are copied together, in tiles */
    int64_t rows;     /* product of the axes before the innermost, or before the grid */
    int64_t parts;    /* pieces of a row */
    int64_t part;     /* elements of the innermost axis in one */
    int64_t together; /* rows in a piece */
} gen_copy;

void gen_copy_prepare(gen_copy *c);
void gen_copy_run(const gen_copy *c, void *to, const void *from, gen_backend *b);

/* n elements of `size` bytes (1, 2, 4, 8), all equal to the one at `value`. */
void gen_copy_fill(void *to, const void *value, int64_t n, int64_t size);

#endif
