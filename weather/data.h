/* SPDX-License-Identifier: Apache-2.0
 *
 * Training samples for nowcasts: crops of radar sequences, drawn more often where it rains. Private
 * to the weather room.
 *
 * Sample i is a function of (seed, i) alone: nothing has to be saved of a loader but the number of
 * the next sample, and a run that goes on sees what the unbroken one would have seen.
 */
#ifndef WEATHER_DATA_H
#define WEATHER_DATA_H

#include <libgen/weather.h>

/* A band of columns of each sequence, as wide as a crop, at 3/4 of what is measured, is held out:
 * training never sees a value of it. Crops for validation lie in it, though those that move see
 * what is beyond it on their way. */
typedef enum gen_samples_part {
    GEN_SAMPLES_ALL, /* nothing is held out */
    GEN_SAMPLES_TRAIN,
    GEN_SAMPLES_VALIDATE /* with `as_is` a fixed set, by index */
} gen_samples_part;

/* All zero but `frames` and `size` is a good choice. */
typedef struct gen_samples_options {
    int64_t frames;  /* of a sample: context and lead times */
    int64_t size;    /* cells a side; a multiple of 8 */
    int64_t stride;  /* every n-th frame of the files; 0 = 1 */
    double cap;      /* mm/h, above is cut; 0 = 128 */
    int64_t context; /* frames of it; 0 = not said */
    /* The crop lies still in the newest frame of the context, and moves with the rain in the
     * others, along the motion that the newest GEN_MOTION_FRAMES of the context show on the whole
     * field: estimated once for each first frame of a sequence, when a sample first needs it, and
     * kept (0.5 byte a cell). Needs a context of 2 or more. The mask is 0 where the way leaves the
     * field or meets what is held out from training, and next to what was not measured. */
    bool moving;
    gen_samples_part part;
    /* A crop is taken with probability min(1, q_min + m mean(1 - exp(-rain/s))), the mean over its
     * frames and measured cells (DGMR, supplement A.1); 0 = 2e-4, 0.1, 1 mm/h. With `context` over
     * its frames only, so that what follows is not drawn wetter than it is. */
    double q_min, m, s;
    double missing; /* most of a crop's cells that may be missing; 0 = 0.1, negative = none */
    bool as_is;     /* no flips and rotations */
    uint64_t seed;
    int threads; /* that make samples in the background; 0 = 1 */
    int ahead;   /* samples kept ready; 0 = 16 */
} gen_samples_options;

typedef struct gen_samples gen_samples;

/* Where a sample is from, and how likely a crop like it was to be taken. */
typedef struct gen_sample_origin {
    const char *source;  /* file names; valid while the samples are */
    int64_t time;        /* of its first frame */
    int64_t row, column; /* where it lies, in the newest frame of the context if it moves */
    int turn;            /* 0 to 7: quarter turns, + 4 mirrored */
    double q;
} gen_sample_origin;

/* Takes over the n sequences, which are freed with the samples, and packs them to 16 bits: 2 bytes
 * a cell. EDATA names the sequence that is too short or too small, or has no room to hold out a
 * part. */
gen_status gen_samples_create(gen_samples **out, gen_radar_sequence **sequences, int n,
                              const gen_samples_options *options);
void gen_samples_free(gen_samples **s);

/* Sample `index`: rain [frames,size,size] mm/h, 0 where missing; mask the same, 1 where measured.
 * Any order; those that follow the last one asked for are made in the background. One caller at a
 * time. origin may be NULL. EDATA: no crop could be found that has enough measured cells. */
gen_status gen_samples_get(gen_samples *s, int64_t index, float *rain, float *mask,
                           gen_sample_origin *origin);

#endif
