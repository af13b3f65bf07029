/* SPDX-License-Identifier: Apache-2.0
 *
 * How a large sum is cut into blocks. What is added up is seen as [kept][rows][columns], with one
 * result for each kept index and column. A block of threads takes `across` columns (or neighbours
 * of `v` columns) and adds `each` rows with `lanes` threads a column; the parts of the rows are
 * sums in the workspace, which a second launch adds. All that is a function of the sizes only, so
 * that the same sum has the same bytes each time.
 *
 * Where rows lie behind one another in memory (inner), neighbouring threads are the lanes of one
 * result; else they are the columns. In both cases they read neighbouring elements.
 */
#ifndef LIBGEN_BACKENDS_CUDA_KERNELS_SUMS_H
#define LIBGEN_BACKENDS_CUDA_KERNELS_SUMS_H

#include <stdbool.h>
#include <stdint.h>

enum { GEN_CUDA_THREADS = 256 }; /* of a block */

typedef struct gen_cuda_cut {
    int64_t kept, rows, columns;
    int64_t each;      /* rows of a part */
    int parts, tiles;  /* blocks of one kept index: parts of the rows, tiles of the columns */
    int across, lanes; /* threads of a block */
    bool inner;
} gen_cuda_cut;

/* First member of what the kernels of kernels/sums.cuh take. */
typedef struct gen_cuda_sums {
    gen_cuda_cut cut, last; /* last: of the second launch */
    double *part;           /* [kept][parts][values][columns], where there is more than one part */
} gen_cuda_sums;

#ifdef __cplusplus
extern "C" {
#endif

/* v: columns that a thread takes at once. */
gen_cuda_cut gen_cuda_cut_columns(int64_t kept, int64_t rows, int64_t columns, int v);
/* Each of `results` adds `rows` that lie behind one another. */
gen_cuda_cut gen_cuda_cut_runs(int64_t results, int64_t rows);
/* Rows of the same columns that each do something of their own: no sums, so many parts. */
gen_cuda_cut gen_cuda_cut_map(int64_t kept, int64_t rows, int64_t columns, int v);

/* The second cut, and the bytes that the parts need: 0 where there is one. */
uint64_t gen_cuda_cut_parts(gen_cuda_sums *s, int values);

/* Blocks of a launch. */
static inline int64_t gen_cuda_cut_blocks(const gen_cuda_cut *c)
{
    return c->kept * c->parts * c->tiles;
}

#ifdef __cplusplus
}
#endif
#endif
