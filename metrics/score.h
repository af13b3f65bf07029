/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of this folder share.
 */
#ifndef LIBGEN_METRICS_SCORE_H
#define LIBGEN_METRICS_SCORE_H

#include <math.h>

#include <libgen/metrics.h>

#include "libgen/base/alloc.h"

/* numerator / denominator, unknown where that is no finite number. */
gen_number gen_ratio(double numerator, double denominator);

#endif
