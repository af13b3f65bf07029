/* SPDX-License-Identifier: Apache-2.0
 *
 * Extrapolation of rain along its motion, and rain seen in coordinates that move with it. Private
 * to the weather room.
 *
 * A trace says, for each cell of a field or of a part of it, where the air that is there now is
 * some steps earlier or later. With a field of the time of that place, the warp gives the field as
 * it is seen along the trace:
 *
 *   steps back, with the newest field:    the newest rain where it has gone to (gen_advect);
 *   k steps back, with the field k before the newest: that field in the coordinates of the newest
 *   one, in which rain that only moves stands still;
 *   k steps forward, with the field k after it:       that one in the same coordinates;
 *   k steps back, with a field in those coordinates:  the field on the ground, k steps later.
 */
#ifndef WEATHER_TRACE_H
#define WEATHER_TRACE_H

#include "weather/advection.h"

typedef struct gen_rectangle {
    int64_t row, column, height, width;
} gen_rectangle;

/* How a field is read between its cells. */
typedef enum gen_trace_kind {
    GEN_TRACE_LINEAR,
    /* Cubic convolution (Keys 1981, a = -1/2), kept within the four cells around, so that it is
     * never negative; it keeps more of small scales. Linear next to missing cells and the edge. */
    GEN_TRACE_CUBIC
} gen_trace_kind;

/* A step at a time, so that the field may change on its way and the motion from step to step. */
typedef struct gen_trace {
    const gen_motion *m; /* the shape; each step may have its own motion */
    gen_rectangle part;  /* the cells that are traced */
    gen_rectangle nodes; /* those around them */
    float *dx, *dy;      /* [nodes.height,nodes.width] displacement of nodes, px */
    float *line;         /* per thread */
} gen_trace;
/* `part`: its row and column are multiples of GEN_MOTION_CELL; NULL = the whole field. A part gives
 * the same bytes as the whole gives there. */
gen_status gen_trace_create(gen_trace *t, const gen_motion *m, const gen_rectangle *part,
                            int threads);
void gen_trace_free(gen_trace *t);

/* `steps` further, along `m`, which has the shape of t->m: 1 is one step back in time, -1 one
 * forward. */
void gen_trace_step(gen_trace *t, const gen_motion *m, float steps, gen_pool *pool);

/* What the warp reads of a field: all of it for a trace of the whole field. */
gen_rectangle gen_trace_reach(const gen_trace *t);

/* out [part.height,part.width]: `rain`, the cells of gen_trace_reach, as it is seen along the
 * trace. A cell is NaN where `rain` is NaN in the cell itself, beyond the field's edge, and where
 * more than half of what the value is made of was not measured. */
void gen_trace_warp(float *out, const gen_trace *t, const float *rain, gen_trace_kind kind,
                    gen_pool *pool);

/* Moves `rain` [height,width] along the motion for `steps` steps: out [steps,height,width], read
 * linearly. A cell is NaN where `rain` is NaN, and where its rain would come from outside the grid
 * or from cells that were not measured. */
GEN_API gen_status gen_advect(float *out, const gen_motion *m, const float *rain, int64_t steps,
                              gen_pool *pool, const gen_progress *progress);

#endif
