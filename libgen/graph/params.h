/* SPDX-License-Identifier: Apache-2.0
 *
 * What plans need of a gen_params: the store of packed copies, shared by all the plans of a model.
 * An entry is keyed by text that names the value (an expression over parameter names, see
 * libgen/plan/constant.c), the kernel and the layout.
 */
#ifndef LIBGEN_GRAPH_PARAMS_H
#define LIBGEN_GRAPH_PARAMS_H

#include <libgen/params.h>

#include "libgen/base/fail.h"

/* The packed copy for `key`, or NULL. */
GEN_API const void *gen_params_packed(gen_params *p, const char *key);
/* Room for a packed copy (not zeroed); dropped by gen_params_touch. */
GEN_API gen_status gen_params_pack(gen_params *p, const char *key, uint64_t bytes, void **out);
GEN_API void gen_params_unpack(gen_params *p, const char *key); /* after a failed fill */
GEN_API uint64_t gen_params_packed_bytes(const gen_params *p);
/* Frees the value of one parameter (a name that is not there is fine). */
GEN_API void gen_params_drop(gen_params *p, const char *name);

#endif
