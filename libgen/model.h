/* SPDX-License-Identifier: Apache-2.0
 *
 * Model files and what a network is to the rest of the library.
 *
 * A model file is safetensors: the tensors by our scope names, and in __metadata__ `libgen.arch`,
 * `libgen.config` (JSON of the config table) and free keys (licence, training data, scores). A file
 * may hold companions of its network: others that it was trained with, and that are needed to train
 * on. Files are hostile: nothing in them is executed, sizes are checked against the file before
 * anything is allocated, and every error names the file.
 */
#ifndef LIBGEN_MODEL_H
#define LIBGEN_MODEL_H

#include <libgen/log.h>
#include <libgen/nn.h>
#include <libgen/params.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gen_option;

/* One named input or output of a network. */
typedef struct gen_port {
    const char *name;
    gen_shape shape; /* channels last, e.g. [N,T,H,W,C] */
    gen_node *node;
    bool latent;     /* input: N(0,1) noise, drawn from the seed when it is not given */
} gen_port;
#define GEN_MAX_PORTS 16

typedef struct gen_import gen_import; /* see below */

/* A network. Each room has a table of them; the program registers them all. */
typedef struct gen_arch {
    const char *name;                /* "dgmr" */
    const char *summary;             /* one line for `gen model info` */
    const struct gen_option *config; /* table of the config struct */
    size_t config_size;
    /* Default shapes of the inputs (the training size); *n in: capacity, out: count. */
    gen_status (*inputs)(const void *config, gen_port *in, int *n);
    /* Makes the shapes of the inputs that are not given fit the given ones (another grid or batch
     * size). NULL: the default shapes stay. */
    void (*adapt)(const void *config, gen_port *in, const bool *given, int n);
    /* Builds the network in net->g for inputs of these shapes (ports with the names of `inputs`, in
     * any order); sets out[] and *n_out. Shape errors are sticky in the graph. */
    void (*build)(gen_net *net, const void *config, const gen_port *in, int n_in, gen_port *out,
                  int *n_out);
    /* Foreign layouts: true when the names look like one of this arch's; sets config from shapes
     * (and from `json`, the text of a config.json beside the file, or NULL), then declares with
     * gen_import_* where each of our parameters comes from. NULL: none known. */
    bool (*recognises)(const gen_import *im);
    gen_status (*import)(gen_import *im, void *config, const char *json);
} gen_arch;

/* Architectures known to this process: gen_arch_register is called before threads start. */
GEN_API gen_status gen_arch_register(const gen_arch *arch);
GEN_API const gen_arch *gen_arch_find(const char *name); /* NULL: not known */
GEN_API int gen_arch_count(void);
GEN_API const gen_arch *gen_arch_at(int i);

/* ---- a loaded model ------------------------------------------------------------------------- */

#define GEN_MAX_COMPANIONS 4

typedef struct gen_model {
    const gen_arch *arch;
    void *config;        /* arch->config_size bytes, owned */
    gen_params *params;  /* owned */
    char *metadata;      /* JSON text of __metadata__, owned; "{}" when none */
    int file;            /* descriptor of the file it came from, for the digest; -1 when none */
    /* The networks beside it in that file, for gen_model_load_companion. */
    const gen_arch *companion[GEN_MAX_COMPANIONS];
    int n_companions;
} gen_model;

/* SHA-256 of the file, in hex; "" for a model that came from no file. Computed here, not by load:
 * it reads the file (0.15 s for 200 MB with the processor's instructions, 1 s without). */
GEN_API gen_status gen_model_digest(const gen_model *m, char hex[65]);

/* Reads our own format: every network in the file must be known, and every tensor match their
 * configs exactly; otherwise EMODEL, with a sentence that lists the differences (missing, extra,
 * wrong shape). Values are read of the main network only. */
GEN_API gen_status gen_model_load(gen_model **out, const char *path);
/* The companion of that network instead, under its own names, checked in the same way; the metadata
 * are those of the file. EMODEL when the file holds none: the sentence says what it holds. */
GEN_API gen_status gen_model_load_companion(gen_model **out, const char *path, const char *arch);
/* A new model with seeded initial values. config NULL = defaults. */
GEN_API gen_status gen_model_create(gen_model **out, const gen_arch *arch, const void *config,
                                    uint64_t seed);
GEN_API void gen_model_free(gen_model **m);
/* Writes the parameters that the network asks for: those that params hold besides are left out, one
 * that is missing, released or of another shape is EINVAL. dtype GEN_F32 or GEN_BF16 storage (of
 * vectors always f32). `extra` JSON object of metadata to add, or NULL; m->metadata may be NULL.
 * Written beside, synced, renamed; EEXIST without force. m is only read, and a caller may fill one
 * in: arch, config and params are enough. Companions that m came with are not written. */
GEN_API gen_status gen_model_save(const gen_model *m, const char *path, gen_dtype dtype,
                                  const char *extra, bool force);
/* As above, with n companions (at most GEN_MAX_COMPANIONS, each of another network; else EINVAL).
 * All may share one gen_params, where the names of their networks differ. Metadata are those of m.
 */
GEN_API gen_status gen_model_save_with(const gen_model *m, const gen_model *const *companion, int n,
                                       const char *path, gen_dtype dtype, const char *extra,
                                       bool force);

/* Reads a foreign file (.safetensors, .pth/.bin zip, older .pth stream) by `arch` or, when NULL,
 * the first arch that recognises it. *report gets a text (free with gen_text_free) listing what was
 * ignored. */
GEN_API gen_status gen_model_import(gen_model **out, const char *path, const gen_arch *arch,
                                    char **report);
GEN_API void gen_text_free(char *text);

/* ---- declaring an import (inside gen_arch.import) -------------------------------------------- */

/* gen_arch.import completes the config first: the first declaration below builds our network from
 * it. What is missing, of the wrong shape or contradictory is collected, and reported by
 * gen_model_import in one sentence; a declaration fails only for want of memory, on unreadable
 * files and when the config builds no network. */

/* A foreign tensor by name; data NULL when there is none. An optional common prefix such as
 * "generator." is tried by itself; duplicates must be bit-equal. f32; valid until the import ends.
 */
GEN_API gen_tensor gen_import_find(gen_import *im, const char *name);
/* The shape of a foreign tensor, without reading values: rank -1 when there is none. For recognises
 * and for widths. */
GEN_API gen_shape gen_import_shape(const gen_import *im, const char *name);
GEN_API int gen_import_count(const gen_import *im);
GEN_API const char *gen_import_name(const gen_import *im, int i);
/* Weight at foreign path `from` in any of the three spellings of spectral norm
 * (parametrizations.weight.original|0._u|0._v; weight_orig|weight_u|weight_v; weight), with its
 * bias, to scope `to`: w, b and, when our network has them, u, v (a folded weight sets u, v so that
 * u.(W v) = 1). `permute` reorders input channels (permute[i] = foreign channel of our channel i),
 * or NULL. */
GEN_API gen_status gen_import_layer(gen_import *im, const char *from, const char *to,
                                    const int64_t *permute);
/* PyTorch batch norm weight, bias, running_mean, running_var -> gamma, beta, mean, var. */
GEN_API gen_status gen_import_norm(gen_import *im, const char *from, const char *to);
GEN_API gen_status gen_import_copy(gen_import *im, const char *from, const char *to);
/* Foreign names that are known and not used (listed apart from the unknown), by their prefix. */
GEN_API gen_status gen_import_ignore(gen_import *im, const char *prefix, const char *why);
/* A line for the report, e.g. config keys that are not used. */
GEN_API gen_status gen_import_note(gen_import *im, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif
#endif
