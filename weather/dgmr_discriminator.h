/* SPDX-License-Identifier: Apache-2.0
 *
 * DGMR's two discriminators. Both see whole sequences, context and lead times; a sequence's score
 * is one number. All chance is an input: which frames, and where the window lies.
 *
 * Real and generated sequences go through together, as one batch (gen_dgmr_pair of dgmr_loss.h), so
 * that in training they share the statistics of batch norm.
 */
#ifndef LIBGEN_WEATHER_DGMR_DISCRIMINATOR_H
#define LIBGEN_WEATHER_DGMR_DISCRIMINATOR_H

#include <libgen/model.h>

#include "libgen/base/options.h"

/* What the temporal discriminator sees: a window of half the field, or all of it at half the
 * resolution. */
enum { GEN_DGMR_VIEW_CROP, GEN_DGMR_VIEW_POOL };
/* Which frames the spatial one sees: lead times, each sequence its own, none twice; or frames of
 * the whole sequence, one choice for the batch, repeats allowed. */
enum { GEN_DGMR_PICK_LEADS, GEN_DGMR_PICK_ANY };
/* Batch norm of the head: the mean alone, over all sequences and frames; or mean and variance, each
 * frame its own. */
enum { GEN_DGMR_HEAD_MEAN, GEN_DGMR_HEAD_FULL };

/* The paper's and openclimatefix's differ in the defaults only: one table each. */
typedef struct gen_dgmr_d_config {
    int64_t channels; /* of the first block before `width`: 48 */
    double width;     /* multiplies it; rounded to an even number */
    int64_t picked;   /* frames that the spatial one sees: 8 */
    int64_t pick;     /* GEN_DGMR_PICK_* */
    int64_t view;     /* GEN_DGMR_VIEW_* */
    int64_t head;     /* GEN_DGMR_HEAD_* */
    int64_t sn;       /* gen_sn_kind */
    double sn_eps;
} gen_dgmr_d_config;

extern GEN_API const gen_option gen_dgmr_d_options[];     /* paper and pseudo-code */
extern GEN_API const gen_option gen_dgmr_ocf_d_options[]; /* openclimatefix, reference 6.3 */

/* Both discriminators as one network, so that they can be kept in a model file and imported:
 * "dgmr-discriminators" and "dgmr-ocf-discriminators". Inputs frames, index and, for a window,
 * offset (whole numbers in f32); outputs spatial and temporal, the scores. */
extern GEN_API const gen_arch gen_dgmr_d_arch;
extern GEN_API const gen_arch gen_dgmr_ocf_d_arch;

/* frames [N,T,H,W,1] mm/h, H and W multiples of 4; index i32 [picked*N], as gen_dgmr_pick fills it:
 * element p*N + n is the row n*T + t of frame t of sequence n -> score [N,1]. */
GEN_API gen_node *gen_dgmr_spatial(gen_net *net, const gen_dgmr_d_config *c, gen_node *frames,
                                   gen_node *index);

/* frames as above, H and W multiples of 4; offset i32 [1,2], row and column of the window of
 * H/2 x W/2, as gen_dgmr_place fills it (NULL for GEN_DGMR_VIEW_POOL) -> score [N,1]. */
GEN_API gen_node *gen_dgmr_temporal(gen_net *net, const gen_dgmr_d_config *c, gen_node *frames,
                                    gen_node *offset);

/* Draws the frames of step `step`: index [picked*n] for n sequences of `frames` frames, the first
 * `context` of which are the context. EINVAL when there are too few lead times. */
GEN_API gen_status gen_dgmr_pick(const gen_dgmr_d_config *c, int64_t n, int64_t frames,
                                 int64_t context, uint64_t seed, uint64_t step, int32_t *index);

/* Draws the window of step `step` in a field of h x w: offset [2], uniform in 0..h/2, 0..w/2 (end
 * excluded). */
GEN_API void gen_dgmr_place(int64_t h, int64_t w, uint64_t seed, uint64_t step, int32_t offset[2]);

/* openclimatefix checkpoints, in weather/dgmr_import.c. */
bool gen_dgmr_ocf_d_recognises(const gen_import *im);
gen_status gen_dgmr_ocf_d_import(gen_import *im, void *config, const char *json);

#endif
