/* SPDX-License-Identifier: Apache-2.0
 *
 * Named values: weights, biases, running statistics. A gen_params is made from the parameters a
 * graph asks for (or read from a model file, <libgen/model.h>); a plan binds them by name and
 * checks shapes. Values are f32. Every tensor is aligned to 64 bytes; names are sorted.
 */
#ifndef LIBGEN_PARAMS_H
#define LIBGEN_PARAMS_H

#include <libgen/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_params gen_params;

/* Every parameter and state of g, initialised as asked from (seed, name): independent of the order
 * of creation. Several graphs of one network may share a gen_params: names present are kept. */
GEN_API gen_status gen_params_create(gen_params **out);
GEN_API gen_status gen_params_init(gen_params *p, const gen_graph *g, uint64_t seed);
GEN_API void gen_params_free(gen_params **p);

/* Adds a tensor (EINVAL when the name is there); *values points to its zeroed data. */
GEN_API gen_status gen_params_add(gen_params *p, const char *name, gen_shape shape, bool trained,
                                  float **values);

/* Adds copies of all tensors of `from` (EINVAL when one's name is there, or its values were
 * released), to bring networks that are trained together into one gen_params. */
GEN_API gen_status gen_params_copy(gen_params *p, const gen_params *from);

/* A view of one tensor; data NULL when there is none of that name. */
GEN_API gen_tensor gen_params_get(const gen_params *p, const char *name);

GEN_API int gen_params_count(const gen_params *p);
/* The i-th in order of name. Any out-pointer may be NULL. */
GEN_API gen_tensor gen_params_at(const gen_params *p, int i, const char **name, bool *trained);

/* Says that values were changed: the next plan packs them anew. A plan made before keeps the copies
 * of the values that it was made with; they go when it is freed. */
GEN_API void gen_params_touch(gen_params *p);

/* Brings values that training has changed on a device: to be called before the views are read or
 * written then. Model files, checkpoints and plans do it themselves. */
GEN_API gen_status gen_params_fetch(gen_params *p);

#ifdef __cplusplus
}
#endif
#endif
