/* SPDX-License-Identifier: Apache-2.0
 *
 * The networks that a model file of ours holds: the main one, and its companions. Metadata:
 *
 *     libgen.arch, libgen.config   of the main network, whose tensors have their own names
 *     libgen.companions            [{"arch":"dgmr-discriminators","config":{...}}, ...]; a tensor
 *                                  of one is called "@dgmr-discriminators/" and its own name
 *
 * No network has a parameter whose name begins with '@' (gen_model_save_with refuses it), so that
 * names cannot clash.
 */
#ifndef LIBGEN_MODEL_PARTS_H
#define LIBGEN_MODEL_PARTS_H

#include "libgen/model/network.h"
#include "libgen/model/tensor_file.h"

#define GEN_COMPANION_MARK '@'
#define GEN_METADATA_ARCH "libgen.arch"
#define GEN_METADATA_CONFIG "libgen.config"
#define GEN_METADATA_COMPANIONS "libgen.companions"

typedef struct gen_part {
    const gen_arch *arch;
    void *config; /* owned */
    gen_network network;
} gen_part;

/* part[0] is the main network. */
typedef struct gen_parts {
    gen_part part[1 + GEN_MAX_COMPANIONS];
    int n;
} gen_parts;

/* The networks that the metadata of a file describes, built with default inputs. EMODEL, without
 * the path. Also after a failure: gen_parts_free. */
GEN_API gen_status gen_parts_read(gen_parts *out, const gen_tensor_file *f);
GEN_API void gen_parts_free(gen_parts *p);

/* Whether the file holds every tensor of every network in its shape, and nothing else. EMODEL lists
 * the differences. */
GEN_API gen_status gen_parts_check(const gen_parts *p, const gen_tensor_file *f);

/* The name in the file of a tensor of part i, made in the arena. */
GEN_API gen_status gen_part_name(const gen_parts *p, int i, const char *name, gen_arena *arena,
                                 const char **out);

#endif
