/* SPDX-License-Identifier: Apache-2.0
 *
 * Motion of rain between frames. Private to the weather room.
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

/* Frames that motion is best taken from: two pairs steady it, older ones blur it. */
#define GEN_MOTION_FRAMES 3

/* Motion from n >= 2 frames [n,height,width] mm/h, oldest first, one step apart; NaN = missing. Dry
 * or wholly missing frames give zero motion. Same bytes at any number of threads. */
GEN_API gen_status gen_motion_estimate(gen_motion *m, const float *frames, int64_t n,
                                       int64_t height, int64_t width, gen_pool *pool);
GEN_API void gen_motion_free(gen_motion *m);

/* Bilinear motion at a pixel, held constant beyond the outermost nodes. */
GEN_API void gen_motion_at(const gen_motion *m, double row, double column, float uv[2]);

/* Displacement or motion of pixel row y, column by column, from nodes u, v [rows,columns] whose
 * first stands in the middle of the cell at pixel 0: out_u, out_v [width]. line: [2,columns]. */
void gen_motion_row(const float *u, const float *v, int64_t rows, int64_t columns, int64_t y,
                    int64_t width, float *out_u, float *out_v, float *line);

#endif
