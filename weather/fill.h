/* SPDX-License-Identifier: Apache-2.0
 *
 * Missing frames of a sequence, made from their neighbours. Private to the weather room.
 */
#ifndef WEATHER_FILL_H
#define WEATHER_FILL_H

#include "libgen/base/fail.h"
#include <libgen/weather.h>

#define GEN_FILL_MOST 3 /* frames: longer gaps are a guess */

/* Frames that are not `there` [frames] lie between two that are. Each is advected forward from the
 * one before the gap and backward from the one behind it, along the motion between these two, and
 * blended linearly in time; where only one of the two knows a cell, that one counts. *made: how
 * many. A gap of more than GEN_FILL_MOST is EDATA. */
gen_status gen_fill_by_advection(gen_radar_sequence *s, const bool *there, int *made);

#endif
