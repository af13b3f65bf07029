/* SPDX-License-Identifier: Apache-2.0
 *
 * PROJ strings of radar files as they should be.
 */
#ifndef WEATHER_CODEC_PROJ_REPAIR_H
#define WEATHER_CODEC_PROJ_REPAIR_H

#include <stdbool.h>

#include "libgen/base/fail.h"

/* The PROJ string in metres ("+proj=... +units=m +no_defs"; degrees stay degrees) of one that may
 * have the axes of the earth in kilometres, words without a '+', or units=km. Codes and WKT are
 * understood too. EDATA: none that PROJ understands. Free with gen_free. */
gen_status gen_proj_repair(const char *proj, char **out);

/* Its x and y are longitude and latitude. */
bool gen_proj_is_degrees(const char *proj);

#endif
