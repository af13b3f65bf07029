/* SPDX-License-Identifier: Apache-2.0
 *
 * Walking arrays by strides: NumPy's broadcasting rule, and an odometer that keeps the offsets of
 * several arrays while one goes through all elements of a shape in memory order. Steps count
 * elements; a step of 0 repeats an element along that axis.
 */
#ifndef LIBGEN_OPS_STRIDES_H
#define LIBGEN_OPS_STRIDES_H

#include <libgen/tensor.h>

/* Shape of the result of a binary op: aligned at the innermost axis, sizes equal or one of them 1.
 * False when they do not fit. */
GEN_API bool gen_shape_join(gen_shape a, gen_shape b, gen_shape *out);

/* Steps of a dense array of shape s. */
GEN_API void gen_steps_dense(gen_shape s, int64_t step[GEN_MAX_RANK]);

/* Steps of a dense array of shape s when it is read as shape `to`, 0 where it is stretched. False
 * when s does not broadcast to `to`. */
GEN_API bool gen_steps_under(gen_shape s, gen_shape to, int64_t step[GEN_MAX_RANK]);

#define GEN_WALK_ARRAYS 3

typedef struct gen_walk {
    gen_shape shape;
    int64_t step[GEN_WALK_ARRAYS][GEN_MAX_RANK]; /* unused arrays: all 0 */
    int64_t at[GEN_MAX_RANK];
    int64_t offset[GEN_WALK_ARRAYS]; /* of the current element; may start anywhere */
} gen_walk;

/* To the next element in row-major order; after the last one back to the start. */
GEN_API void gen_walk_next(gen_walk *w);

/* Drops axes of size 1 and joins neighbours that every array crosses with one step: the same walk
 * along fewer axes. */
GEN_API void gen_walk_join(gen_walk *w);

/* Shapes as attributes (no padding bytes). */
typedef struct gen_shape_attr {
    int64_t rank, dim[GEN_MAX_RANK];
} gen_shape_attr;
GEN_API gen_shape_attr gen_shape_to_attr(gen_shape s);
GEN_API gen_shape gen_shape_from_attr(const gen_shape_attr *a);

/* For sums over axes of x, those in which out_step (gen_steps_under) is 0: the axes without those
 * of size 1, neighbours of one kind joined, and which are kept. Returns how many. */
GEN_API int gen_steps_collapse(gen_shape x, const int64_t out_step[GEN_MAX_RANK],
                               int64_t dim[GEN_MAX_RANK], bool keep[GEN_MAX_RANK]);

#endif
