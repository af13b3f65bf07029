/* SPDX-License-Identifier: Apache-2.0
 *
 * What a generator is worth while it trains: scores of a small ensemble on crops that training does
 * not see, always the same ones, with the same noise. Private to the weather room.
 */
#ifndef WEATHER_DGMR_VALIDATE_H
#define WEATHER_DGMR_VALIDATE_H

#include "weather/dgmr_train.h"

typedef struct gen_dgmr_validation gen_dgmr_validation;

/* Takes `crops` samples 0, 1 ... of sample(cookie) of `size` cells a side (a multiple of 32), and
 * scores `members` draws of each. step_s: seconds of a frame, for the names of lead times. params
 * and backend must outlive it. The generator's parameters must be in params. */
GEN_API gen_status gen_dgmr_validation_create(gen_dgmr_validation **out, gen_params *params,
                                              gen_backend *backend, const gen_dgmr_config *c,
                                              gen_dgmr_sample_fn *sample, void *cookie,
                                              int64_t crops, int64_t size, int64_t members,
                                              int64_t step_s);
GEN_API void gen_dgmr_validation_free(gen_dgmr_validation **v);

/* With the values that params have now. *crps: of all lead times, mm/h. *json: for the log
 * (gen_free): scores, leads_min, crps, baselines/persistence (of the newest frame as it is given,
 * so that in the rain's coordinates it is advection), wavelength_px, psd_ratio (generated over
 * observed, half way through the lead times). */
GEN_API gen_status gen_dgmr_validate(gen_dgmr_validation *v, double *crps, char **json);

/* The crop with most rain and what the last gen_dgmr_validate drew for it, as .npy:
 * [1+members,frames,H,W] mm/h; first the observation; NaN where it was not measured. */
GEN_API gen_status gen_dgmr_validation_write(const gen_dgmr_validation *v, const char *path);

#endif
