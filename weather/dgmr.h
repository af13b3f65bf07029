/* SPDX-License-Identifier: Apache-2.0
 *
 * DGMR's generator in three parts, that a runner may run apart: the conditioning stack once for all
 * members, latent stack and sampler once a member, the sampler a few lead times at a time.
 */
#ifndef LIBGEN_WEATHER_DGMR_H
#define LIBGEN_WEATHER_DGMR_H

#include <libgen/model.h>

#include "libgen/base/options.h"

enum { GEN_DGMR_LEVELS = 4 }; /* as the paper counts: level 1 is the finest, 4 the coarsest */

/* Order of channels where the frames' features are joined for the mixing convolutions. */
enum { GEN_DGMR_FRAME_MAJOR, GEN_DGMR_CHANNEL_MAJOR };
/* Width between the two 3x3 convolutions of an up-sampling block. */
enum { GEN_DGMR_HIDDEN_OUTPUT, GEN_DGMR_HIDDEN_INPUT };

/* Batch norm of the sampler: in training each lead time by statistics of its own (the paper); or
 * none, for training with few sequences a batch, whose statistics are no good. */
enum { GEN_DGMR_NORM_LEADS, GEN_DGMR_NORM_NONE };

/* Whether the newest frame reaches the rain past the network, each cell and lead time through a
 * gate of its own: rain = network + gate * newest. What is fine, and still true, then need not fit
 * into the states, which are few in a narrow network; a network in the rain's coordinates begins as
 * advection. */
enum { GEN_DGMR_SKIP_NONE, GEN_DGMR_SKIP_GATE };

/* Whether what the last convolutions give is smoothed, by 1/4 1/2 1/4 along both axes. They make
 * four cells of one position each, which know nothing of their neighbours: a short training leaves
 * a pattern of two cells' length, that this filter takes away and no other. Gates are smoothed
 * too; the newest frame is not. */
enum { GEN_DGMR_SMOOTH_NONE, GEN_DGMR_SMOOTH_BINOMIAL };

/* What the network's cells stand for: places on the ground, or in the air that moves with the rain
 * and lies over them in the newest frame. Of no concern to the network itself. */
enum { GEN_DGMR_GROUND, GEN_DGMR_RAIN };

/* The paper's and openclimatefix's networks differ in the defaults only: one table each. */
typedef struct gen_dgmr_config {
    int64_t steps;            /* lead times of the arch's build; any number may be run */
    int64_t frames;           /* of the context */
    int64_t latent_channels;  /* of the latent tensor before `width` */
    int64_t context_channels; /* of the coarsest state before `width` */
    int64_t z_channels;
    double width;          /* multiplies both; rounded so that every level is whole */
    double cond_width;     /* D blocks of the conditioning stack: 1 pseudo-code, 0.5 others */
    int64_t up_hidden;     /* GEN_DGMR_HIDDEN_* */
    int64_t sn;            /* gen_sn_kind */
    double sn_eps;         /* conditioning stack, latent convolution, 1x1 convolutions */
    double sn_eps_sampler; /* ConvGRUs and G blocks */
    int64_t norm;          /* GEN_DGMR_NORM_* */
    int64_t attention;     /* gen_attention_kind */
    int64_t mix_order;     /* GEN_DGMR_*_MAJOR */
    int64_t skip;          /* GEN_DGMR_SKIP_* */
    int64_t smooth;        /* GEN_DGMR_SMOOTH_* */
    int64_t coordinates;   /* GEN_DGMR_GROUND, GEN_DGMR_RAIN */
} gen_dgmr_config;

extern GEN_API const gen_arch gen_dgmr_arch;     /* "dgmr": paper and pseudo-code */
extern GEN_API const gen_arch gen_dgmr_ocf_arch; /* "dgmr-ocf": openclimatefix, reference 6.3 */

/* Widths after rounding: latent a multiple of 32, context of 16. */
GEN_API int64_t gen_dgmr_latent_width(const gen_dgmr_config *c);
GEN_API int64_t gen_dgmr_context_width(const gen_dgmr_config *c);
/* Channels of the state of `level`; it is [N, H/(2*2^level), W/(2*2^level), channels]. */
GEN_API int64_t gen_dgmr_state_width(const gen_dgmr_config *c, int level);

/* frames [N,frames,H,W,1] mm/h, H and W multiples of 32 -> state[level-1] of each level. */
GEN_API void gen_dgmr_conditioning(gen_net *net, const gen_dgmr_config *c, gen_node *frames,
                                   gen_node *state[GEN_DGMR_LEVELS]);

/* z [N,H/32,W/32,z_channels] -> [N,H/32,W/32,latent]. */
GEN_API gen_node *gen_dgmr_latent(gen_net *net, const gen_dgmr_config *c, gen_node *z);

/* The newest frame [N,H,W,1] of frames [N,F,H,W,1], which the sampler takes; NULL where it takes
 * none. */
GEN_API gen_node *gen_dgmr_newest(gen_graph *g, const gen_dgmr_config *c, gen_node *frames);

/* The next `steps` lead times from the states: rain [N,steps,H,W,1] mm/h (not clamped). `last`,
 * when not NULL, gets the states after them. latent, states and newest have the same N. */
GEN_API gen_node *gen_dgmr_sampler(gen_net *net, const gen_dgmr_config *c, gen_node *latent,
                                   gen_node *const state[GEN_DGMR_LEVELS], gen_node *newest,
                                   int64_t steps, gen_node *last[GEN_DGMR_LEVELS]);

/* openclimatefix checkpoints, in weather/dgmr_import.c. */
bool gen_dgmr_ocf_recognises(const gen_import *im);
gen_status gen_dgmr_ocf_import(gen_import *im, void *config, const char *json);

#endif
