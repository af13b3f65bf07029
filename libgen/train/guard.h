/* SPDX-License-Identifier: Apache-2.0
 *
 * The sentence about a value that is not finite.
 */
#ifndef LIBGEN_TRAIN_GUARD_H
#define LIBGEN_TRAIN_GUARD_H

#include <libgen/train.h>

gen_status gen_look_failed(const gen_look *l, const char *name, gen_shape shape, int64_t element,
                           double value, const char *expected);

#endif
