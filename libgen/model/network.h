/* SPDX-License-Identifier: Apache-2.0
 *
 * A gen_arch turned into a graph for given inputs, its config as JSON, and text that grows: what
 * model.c, import.c and the program's model verb share.
 */
#ifndef LIBGEN_MODEL_NETWORK_H
#define LIBGEN_MODEL_NETWORK_H

#include <libgen/model.h>

#include "libgen/base/alloc.h"
#include "libgen/base/json.h"

typedef struct gen_network {
    gen_graph *g;
    gen_net net;
    gen_port in[GEN_MAX_PORTS], out[GEN_MAX_PORTS];
    int n_in, n_out;
} gen_network;

/* Builds the network. given[i] (name and shape) replace the default inputs of those names, the
 * others adapt; EINVAL for a name that the network lacks, or a shape that it refuses. Also after a
 * failure: gen_network_free. */
GEN_API gen_status gen_network_build(gen_network *out, const gen_arch *arch, const void *config,
                                     const gen_port *given, int n_given);
GEN_API void gen_network_free(gen_network *n);

/* The parameter i of the graph: its name, shape, whether it is trained. */
GEN_API gen_shape gen_network_param(const gen_network *n, int i, const char **name, bool *trained);

/* Defaults, then the values in `json` (NULL: none). EMODEL names the key. Also checks ranges. */
GEN_API gen_status gen_config_read(const gen_arch *arch, void *config, const gen_json *json);
/* The values of `config` are in the ranges of the table. */
GEN_API gen_status gen_config_check(const gen_arch *arch, const void *config);

/* Text that grows; zero it first, free `text` with gen_free. */
typedef struct gen_text {
    char *text; /* NULL when empty */
    uint64_t size, capacity;
    int pieces, shown; /* of gen_text_list */
} gen_text;
GEN_API gen_status gen_text_add(gen_text *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Adds a piece to a list "a; b; c" that will be an error sentence: pieces beyond what fits are only
 * counted. */
GEN_API gen_status gen_text_list(gen_text *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* EMODEL with the list: "path: what: a; b; ... and 12 more". */
GEN_API gen_status gen_text_fail(const gen_text *t, const char *path, const char *what);

/* The network whose importer recognises the names of a foreign file, or NULL. */
struct gen_tensor_file;
GEN_API const gen_arch *gen_recognise(struct gen_tensor_file *f);

/* Reads "libgen.arch" from a file's metadata (JSON text); NULL when it is not one of ours. The text
 * is in `json`, which the caller frees. */
GEN_API gen_status gen_metadata_read(const char *metadata, gen_json **json, const char **arch);

#endif
