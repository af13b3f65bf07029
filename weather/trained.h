/* SPDX-License-Identifier: Apache-2.0
 *
 * What a model of rain was trained on: written by the trainer, kept in the model file's metadata,
 * and held against the input of a forecast. Private to the weather room and the program.
 *
 * The key `libgen.training` holds a JSON object (text that is none tells nothing):
 *
 *     steps_s    [240, 300]    seconds from frame to frame
 *     cell_m     [500, 1100]   size of the cells on the ground, metres
 *     wet_share  [0.02, 0.94]  1st and 99th percentile, over the windows, of the share of measured
 *                              cells that have 0.1 mm/h or more
 *     rate_max   128           highest rate, mm/h
 *     units      "mm/h"        of all rates
 *     leads      12            lead times
 *     crop       64            cells along a side of a window
 *
 * Each may be missing: then nothing is said about it. Other keys (sources, hours, scores) are the
 * trainer's own, and passed over here.
 */
#ifndef WEATHER_TRAINED_H
#define WEATHER_TRAINED_H

#include <libgen/weather.h>

#include "libgen/base/json.h"

#define GEN_TRAINED_KEY "libgen.training"
#define GEN_TRAINED_MOST 32

/* All zero: nothing is told. */
typedef struct gen_trained {
    double step[GEN_TRAINED_MOST]; /* s, rising */
    double cell[GEN_TRAINED_MOST]; /* m, rising */
    int steps, cells;
    bool has_wet_share;
    double wet_share[2];
    double rate_max;     /* mm/h; 0 = not told */
    int64_t leads, crop; /* 0 = not told */
} gen_trained;

/* ---- for the trainer ----------------------------------------------------------------------- */

/* Counts of windows by the share of their wet cells; zero it first. */
typedef struct gen_trained_windows {
    int64_t windows[1001]; /* by share, in thousandths */
    double rate_max;
} gen_trained_windows;

/* A grid and a step (s) that the model sees. Those that are there already, to a hundredth, are not
 * added again, nor what would be one more than GEN_TRAINED_MOST. */
void gen_trained_add(gen_trained *t, const gen_radar_grid *grid, double step);
/* A window of n cells in all its frames: rain in mm/h, mask 1 where measured (NULL: everywhere). */
void gen_trained_window(gen_trained_windows *w, const float *rain, const float *mask, int64_t n);
/* Sets wet_share, from one window or more, and raises rate_max to the highest rate in them. */
void gen_trained_range(gen_trained *t, const gen_trained_windows *w);
/* Puts the keys into the object that is open. */
void gen_trained_put(gen_json_writer *w, const gen_trained *t);

/* ---- for the forecast ---------------------------------------------------------------------- */

/* From the metadata of a model file (JSON text). EMODEL names the key that is not understood; *out
 * then tells nothing. */
gen_status gen_trained_read(gen_trained *out, const char *metadata);

/* Calls `say` with a sentence for each thing in which a forecast of lead_steps frames from s is
 * unlike the training: the step by more than a tenth, the cells by more than half, rain beyond the
 * highest rate, more lead times, a share of wet cells that is higher than the range, or lower even
 * in the wettest window. A status other than GEN_OK ends it. */
typedef gen_status gen_trained_say(void *cookie, const char *sentence);
gen_status gen_trained_compare(const gen_trained *t, const gen_radar_sequence *s,
                               int64_t lead_steps, gen_trained_say *say, void *cookie);

#endif
