/* SPDX-License-Identifier: Apache-2.0
 *
 * What plans need of a gen_params: the store of packed copies, shared by all the plans of a model.
 * An entry is keyed by text that names the value (an expression over parameter names, see
 * libgen/plan/constant.c), the kernel and the layout.
 */
#ifndef LIBGEN_GRAPH_PARAMS_H
#define LIBGEN_GRAPH_PARAMS_H

#include <libgen/params.h>

#include "libgen/base/far.h"

typedef struct gen_pack gen_pack;

/* The packed copy for `key`, or NULL; used until gen_params_release. */
GEN_API gen_pack *gen_params_packed(gen_params *p, const char *key);
/* Makes it: `fill` writes its bytes (not zeroed before), which then are put into far memory where
 * that is not NULL. */
GEN_API gen_status gen_params_pack(gen_params *p, const char *key, uint64_t bytes,
                                   gen_status (*fill)(void *ctx, void *to), void *ctx,
                                   const gen_far *far, gen_pack **out);
GEN_API const void *gen_pack_data(const gen_pack *k);
/* One user less. A copy of the present values stays for plans to come (the values themselves may be
 * gone, see consume_params); one of values that were touched goes with its last user. */
GEN_API void gen_params_release(gen_params *p, gen_pack *k);
GEN_API uint64_t gen_params_packed_bytes(const gen_params *p);
/* ---- values in far memory, for plans whose parameters vary ----
 *
 * Host and device each have a copy; one of them may be newer. gen_params_touch says that the host's
 * values were changed (after gen_params_fetch, or what a device changed is lost). */

/* The address of one value there, made at first asking; it stays until the parameters are freed. */
GEN_API gen_status gen_params_far(gen_params *p, const char *name, const gen_far *far, void **out);
/* Brings the host's values over where they are newer. */
GEN_API gen_status gen_params_put(gen_params *p);
/* Kernels change, or changed, the values there: the host's are old until they are fetched. */
GEN_API void gen_params_far_changed(gen_params *p);

/* Frees the value of one parameter (a name that is not there is fine). */
GEN_API void gen_params_drop(gen_params *p, const char *name);

#endif
