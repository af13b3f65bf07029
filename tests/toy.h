/* SPDX-License-Identifier: Apache-2.0
 *
 * A small network with everything that model files must carry (spectral norm, batch norm, plain
 * convolution, a scalar), its importer, the rule that gives tensors their values in C and in
 * tests/golden/model_files.py, and temporary files.
 */
#ifndef TESTS_TOY_H
#define TESTS_TOY_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libgen/model.h>

#include "libgen/base/options.h"

typedef struct toy_config {
    int64_t width, folds; /* folds 1: `mix` is a plain convolution of ours */
    double scale;
    int64_t kind;
} toy_config;

static const gen_option toy_options[] = {
    { GEN_OPT_INT, "width", .offset = offsetof(toy_config, width), .preset = 6, .min = 1,
      .max = 64 },
    { GEN_OPT_FLAG, "folds", .offset = offsetof(toy_config, folds) },
    { GEN_OPT_REAL, "scale", .offset = offsetof(toy_config, scale), .preset = 1, .min = 0,
      .max = 10 },
    { GEN_OPT_CHOICE, "kind", .offset = offsetof(toy_config, kind), .choices = "plain|odd" },
    { GEN_OPT_END },
};

static inline gen_status toy_inputs(const void *config, gen_port *in, int *n)
{
    (void)config;
    in[0] = (gen_port){ .name = "x", .shape = GEN_SHAPE(1, 8, 8, 4) };
    in[1] = (gen_port){ .name = "z", .shape = GEN_SHAPE(1, 8, 8, 1), .latent = true };
    *n = 2;
    return GEN_OK;
}

static inline void toy_build(gen_net *net, const void *config, const gen_port *in, int n_in,
                             gen_port *out, int *n_out)
{
    const toy_config *c = config;
    const gen_layer_attr sn = { .sn = GEN_SN_TORCH, .sn_eps = 1e-12 };
    const gen_layer_attr sn1 = { .kernel = 1, .sn = c->folds ? GEN_SN_NONE : GEN_SN_TORCH };
    const gen_layer_attr plain = { .kernel = 1, .no_bias = 1 };
    (void)n_in;
    gen_node *x = gen_conv_layer(net, "body", in[0].node, c->width, &sn);
    x = gen_relu(net->g, gen_norm_layer(net, "norm", x, NULL));
    x = gen_add(net->g, gen_conv_layer(net, "mix", x, 5, &sn1), in[1].node);
    x = gen_conv_layer(net, "out", x, 2, &plain);
    x = gen_mul(net->g, x, gen_param(net->g, "gain", GEN_SHAPE(1), GEN_INIT_ONES));
    out[0] = (gen_port){ .name = "y", .shape = gen_node_shape(x), .node = x };
    *n_out = 1;
}

static inline bool toy_recognises(const gen_import *im)
{
    return gen_import_shape(im, "body.bias").rank == 1 && gen_import_shape(im, "gain").rank == 1;
}

/* Foreign channel of our channel i of `body`. */
static const int64_t toy_order[4] = { 2, 0, 3, 1 };

static inline gen_status toy_import(gen_import *im, void *config, const char *json)
{
    toy_config *c = config;
    (void)json;
    c->width = gen_import_shape(im, "body.bias").dim[0];
    gen_status s = gen_import_layer(im, "body", "body", toy_order);
    s = s ? s : gen_import_norm(im, "norm", "norm");
    s = s ? s : gen_import_layer(im, "mix", "mix", NULL);
    s = s ? s : gen_import_layer(im, "out", "out", NULL);
    s = s ? s : gen_import_copy(im, "gain", "gain");
    return s ? s : gen_import_ignore(im, "discriminator.", "not part of the generator");
}

/* As above, with `mix` folded into a plain convolution. */
static inline gen_status toy_import_folding(gen_import *im, void *config, const char *json)
{
    ((toy_config *)config)->folds = 1;
    return toy_import(im, config, json);
}

static const gen_arch toy_arch = {
    .name = "toy",
    .summary = "test network",
    .config = toy_options,
    .config_size = sizeof(toy_config),
    .inputs = toy_inputs,
    .build = toy_build,
    .recognises = toy_recognises,
    .import = toy_import,
};
static const gen_arch toy_folding_arch = {
    .name = "toy-folding",
    .summary = "test network",
    .config = toy_options,
    .config_size = sizeof(toy_config),
    .inputs = toy_inputs,
    .build = toy_build,
    .import = toy_import_folding,
};

/* The rule: multiples of 1/128 in [-1, 1). */
static inline float toy_value(const char *name, uint64_t i)
{
    uint32_t h = 2166136261u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 16777619u;
    return (float)((int)((uint32_t)(h + i * 2654435761u) >> 24) - 128) / 128;
}

/* A path in a folder of its own under TMPDIR; toy_remove_all at the end. */
static char toy_folder[256];

static inline const char *toy_path(const char *name)
{
    static char path[4][512];
    static int turn;
    if (!*toy_folder) {
        snprintf(toy_folder, sizeof toy_folder, "%s/libgen-test-XXXXXX",
                 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
        if (!mkdtemp(toy_folder))
            abort();
    }
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", toy_folder, name);
    return path[turn];
}

static inline void toy_remove_all(void)
{
    char command[300];
    if (!*toy_folder)
        return;
    snprintf(command, sizeof command, "rm -rf '%s'", toy_folder);
    if (system(command) != 0)
        fprintf(stderr, "cannot remove %s\n", toy_folder);
}

static inline void toy_write(const char *path, const void *data, size_t n)
{
    (void)remove(path); /* truncating an old file would wait for the disk */
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, n, f) != n || fclose(f) != 0)
        abort();
}

static inline char *toy_read(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        abort();
    char *data = malloc(1 << 20);
    *n = fread(data, 1, 1 << 20, f);
    fclose(f);
    return data;
}

#endif
