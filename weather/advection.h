/* SPDX-License-Identifier: Apache-2.0
 *
 * Motion of rain between frames, and extrapolation along it. Private to the weather room.
 */
#ifndef WEATHER_ADVECTION_H
#define WEATHER_ADVECTION_H

#include <stdint.h>

#include "libgen/base/fail.h"
#include "libgen/base/pool.h"

/* A smooth motion field on nodes GEN_MOTION_CELL pixels apart: node (j, i) stands in the middle of
 * its cell, at pixel (4 j + 1.5, 4 i + 1.5). Pixels per frame step; u to the east (+column), v to
 * the south (+row). */
#define GEN_MOTION_CELL 4
typedef struct gen_motion {
    int64_t height, width; /* of the frames, px */
    int64_t rows, columns; /* of nodes */
    float *u, *v;          /* [rows,columns] px per step */
} gen_motion;

/* Motion from n >= 2 frames [n,height,width] mm/h, oldest first, one step apart; NaN = missing. Dry
 * or wholly missing frames give zero motion. Same bytes at any number of threads. */
GEN_API gen_status gen_motion_estimate(gen_motion *m, const float *frames, int64_t n,
                                       int64_t height, int64_t width, gen_pool *pool);
GEN_API void gen_motion_free(gen_motion *m);

/* Bilinear motion at a pixel, held constant beyond the outermost nodes. */
GEN_API void gen_motion_at(const gen_motion *m, double row, double column, float uv[2]);

/* Where the rain of each cell comes from, a step at a time, so that the field may change on its way
 * and the motion from step to step. */
typedef struct gen_trace {
    const gen_motion *m; /* the shape; each step may have its own motion */
    float *dx, *dy;      /* [rows,columns] displacement of nodes back to the start, px */
    float *line;         /* per thread */
} gen_trace;
gen_status gen_trace_create(gen_trace *t, const gen_motion *m, int threads);
void gen_trace_free(gen_trace *t);
/* One step further, along `m`, which has the shape of t->m. */
void gen_trace_step(gen_trace *t, const gen_motion *m, gen_pool *pool);
/* `rain` [height,width] as it lies at the start, seen from now: NaN as gen_advect says. */
void gen_trace_warp(float *out, const gen_trace *t, const float *rain, gen_pool *pool);

/* Moves `rain` [height,width] along the motion for `steps` steps: out [steps,height,width]. A cell
 * is NaN where `rain` is NaN, and where its rain would come from outside the grid or from cells
 * that were not measured. */
GEN_API gen_status gen_advect(float *out, const gen_motion *m, const float *rain, int64_t steps,
                              gen_pool *pool, const gen_progress *progress);

#endif
