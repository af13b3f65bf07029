/* SPDX-License-Identifier: Apache-2.0
 *
 * An ensemble by perturbed extrapolation, after STEPS (Bowler, Pierce and Seed 2006, Quarterly
 * Journal 132; Seed 2003, Journal of Applied Meteorology 42). Private to the weather room.
 */
#ifndef WEATHER_STEPS_H
#define WEATHER_STEPS_H

#include <libgen/weather.h>

/* Members from the newest frames (2, or 3 for a second-order process) of s, as gen_nowcast says. */
gen_status gen_steps_nowcast(const gen_radar_sequence *s, const gen_nowcast_options *o,
                             gen_nowcast_sink *sink, void *cookie);

#endif
