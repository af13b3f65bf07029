/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs DGMR's generator for a nowcast. Private to the weather room.
 */
#ifndef WEATHER_DGMR_RUN_H
#define WEATHER_DGMR_RUN_H

#include <libgen/weather.h>

/* frames [4,height,width] mm/h, oldest first; missing cells (NaN) are read as 0. The sink gets each
 * member whole, [lead_steps,height,width] mm/h, missing where the newest frame is, and for a
 * network in the rain's coordinates also where gen_advect leaves cells missing; options have their
 * defaults filled in. */
gen_status gen_dgmr_nowcast(const float *frames, int64_t height, int64_t width,
                            const gen_nowcast_options *options, gen_nowcast_sink *sink,
                            void *cookie);

gen_status gen_dgmr_describe(int64_t height, int64_t width, const gen_nowcast_options *options,
                             gen_nowcast_needs *out);

#endif
