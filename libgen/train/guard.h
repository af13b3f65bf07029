/* SPDX-License-Identifier: Apache-2.0
 *
 * The sentence about a value that is not fit, and what makes a gradient unfit.
 */
#ifndef LIBGEN_TRAIN_GUARD_H
#define LIBGEN_TRAIN_GUARD_H

#include <libgen/train.h>

/* The square of a gradient below this is finite, and with it second moment and step. */
#define GEN_MOST_GRADIENT 0x1p63f

gen_status gen_look_failed(const gen_look *l, const char *name, gen_shape shape, int64_t element,
                           double value, const char *expected);

#endif
