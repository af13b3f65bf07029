/* SPDX-License-Identifier: Apache-2.0
 *
 * DGMR's generator (Ravuri et al., "Skilful precipitation nowcasting using deep generative models
 * of radar", Nature 597, 2021): four radar frames and noise to a sequence of rain fields, in mm/h
 * at both ends, without any transform. Reference sections 5.2-5.4; 6.3 for openclimatefix's
 * version.
 *
 * No output non-linearity: rain may come out slightly negative, and whoever runs the network clamps
 * it. Inside the sampler time is outermost, [T,N,H,W,C], so that all lead times are one batch for
 * everything but the ConvGRUs, and the statistics of batch norm in training are one set a lead
 * time.
 */
#include "weather/dgmr.h"

#include <math.h>
#include <string.h>

#include "libgen/graph/op.h"

/* ---- widths ---------------------------------------------------------------------------------- */

static int64_t rounded(double channels, int64_t multiple)
{
    int64_t n = (int64_t)floor(channels / (double)multiple + 0.5) * multiple;
    return n < multiple ? multiple : n;
}

/* The first L block has 1/32 of it, each of the sampler's levels half of the one below. */
int64_t gen_dgmr_latent_width(const gen_dgmr_config *c)
{
    return rounded((double)c->latent_channels * c->width, 32);
}

/* Level 1 has 1/8 of it, and D blocks of half the width 1/16. */
int64_t gen_dgmr_context_width(const gen_dgmr_config *c)
{
    return rounded((double)c->context_channels * c->width, 16);
}

int64_t gen_dgmr_state_width(const gen_dgmr_config *c, int level)
{
    return gen_dgmr_context_width(c) >> (GEN_DGMR_LEVELS - level);
}

/* Width of the sampler's residual blocks: 768, 384, 192, 96 from level 4 to level 1. */
static int64_t block_width(const gen_dgmr_config *c, int level)
{
    return gen_dgmr_latent_width(c) >> (GEN_DGMR_LEVELS - level);
}

static int64_t d_block_width(const gen_dgmr_config *c, int level)
{
    return rounded((double)gen_dgmr_state_width(c, level) * c->cond_width, 1);
}

static gen_layer_attr normalised(const gen_dgmr_config *c, int64_t kernel, double eps)
{
    return (gen_layer_attr){ .kernel = kernel, .sn = c->sn, .sn_eps = eps };
}

static gen_norm_attr norm_of(const gen_dgmr_config *c, int64_t steps)
{
    return (gen_norm_attr){ .groups = steps, .off = c->norm == GEN_DGMR_NORM_NONE };
}

/* ---- conditioning stack (5.2) ---------------------------------------------------------------- */

/* Features of all frames on the channel axis: [N*F,h,w,C] -> [N,h,w,F*C], order t*C+c or c*F+t. */
static gen_node *join_frames(gen_graph *g, const gen_dgmr_config *c, gen_node *x)
{
    gen_shape s = gen_node_shape(x);
    int64_t n = s.dim[0] / c->frames;
    x = gen_reshape(g, x, GEN_SHAPE(n, c->frames, s.dim[1], s.dim[2], s.dim[3]));
    if (c->mix_order == GEN_DGMR_FRAME_MAJOR)
        x = gen_transpose(g, x, (int[GEN_MAX_RANK]){ 0, 2, 3, 1, 4 }); /* [N,h,w,F,C] */
    else
        x = gen_transpose(g, x, (int[GEN_MAX_RANK]){ 0, 2, 3, 4, 1 }); /* [N,h,w,C,F] */
    return gen_reshape(g, x, GEN_SHAPE(n, s.dim[1], s.dim[2], c->frames * s.dim[3]));
}

void gen_dgmr_conditioning(gen_net *net, const gen_dgmr_config *c, gen_node *frames,
                           gen_node *state[GEN_DGMR_LEVELS])
{
    gen_graph *g = net->g;
    memset(state, 0, GEN_DGMR_LEVELS * sizeof(state[0]));
    if (gen_graph_failed(g))
        return;
    gen_shape s = gen_node_shape(frames); /* [N,F,H,W,1] */
    if (s.rank != 5 || s.dim[1] != c->frames || s.dim[2] % 32 || s.dim[3] % 32 || s.dim[4] != 1) {
        char text[GEN_SHAPE_TEXT];
        gen_graph_fail(g, "dgmr", "frames are %s, expected [N,%lld,H,W,1], H and W multiples of 32",
                       gen_shape_text(s, text), (long long)c->frames);
        return;
    }

    const gen_layer_attr mix = normalised(c, 3, c->sn_eps);
    const gen_block_attr half = { .conv = mix, .up = 2 };
    gen_scope scope = gen_scope_push(g, "conditioning");
    gen_node *x = gen_reshape(g, frames, GEN_SHAPE(s.dim[0] * c->frames, s.dim[2], s.dim[3], 1));
    x = gen_space_to_depth(g, x, 2, true); /* [N*F,H/2,W/2,4] */
    for (int level = 1; level <= GEN_DGMR_LEVELS; level++) {
        gen_scope inner = gen_scope_push(g, "level%d", level);
        x = gen_d_block(net, "block", x, d_block_width(c, level), &half);
        gen_node *y =
            gen_conv_layer(net, "mix", join_frames(g, c, x), gen_dgmr_state_width(c, level), &mix);
        state[level - 1] = gen_relu(g, y);
        gen_scope_pop(g, inner);
    }
    gen_scope_pop(g, scope);
}

/* ---- latent conditioning stack (5.3) --------------------------------------------------------- */

gen_node *gen_dgmr_latent(gen_net *net, const gen_dgmr_config *c, gen_node *z)
{
    gen_graph *g = net->g;
    if (gen_graph_failed(g))
        return NULL;
    gen_shape s = gen_node_shape(z); /* [N,h,w,Z] */
    if (s.rank != 4 || s.dim[3] != c->z_channels) {
        char text[GEN_SHAPE_TEXT];
        return gen_graph_fail(g, "dgmr", "z is %s, expected [N,H/32,W/32,%lld]",
                              gen_shape_text(s, text), (long long)c->z_channels);
    }

    int64_t width = gen_dgmr_latent_width(c); /* 768: blocks of 24, 48, 192, 768 */
    const gen_layer_attr first = normalised(c, 3, c->sn_eps);
    gen_scope scope = gen_scope_push(g, "latent");
    gen_node *x = gen_conv_layer(net, "conv", z, c->z_channels, &first);
    x = gen_l_block(net, "block1", x, width / 32, NULL);
    x = gen_l_block(net, "block2", x, width / 16, NULL);
    x = gen_l_block(net, "block3", x, width / 4, NULL);
    x = gen_self_attention(net, "attention", x, (gen_attention_kind)c->attention);
    x = gen_l_block(net, "block4", x, width, NULL);
    gen_scope_pop(g, scope);
    return x;
}

/* ---- sampler (5.4) --------------------------------------------------------------------------- */

/* [T,N,H,W,C] <-> [T*N,H,W,C]: the same memory. */
static gen_node *join_time(gen_graph *g, gen_node *x)
{
    gen_shape s = gen_node_shape(x);
    return gen_reshape(g, x, GEN_SHAPE(s.dim[0] * s.dim[1], s.dim[2], s.dim[3], s.dim[4]));
}

static gen_node *split_time(gen_graph *g, gen_node *x, int64_t steps)
{
    gen_shape s = gen_node_shape(x);
    return gen_reshape(g, x, GEN_SHAPE(steps, s.dim[0] / steps, s.dim[1], s.dim[2], s.dim[3]));
}

/* The state after the last step: [T,N,h,w,C] -> [N,h,w,C]. */
static gen_node *last_step(gen_graph *g, gen_node *x)
{
    gen_shape s = gen_node_shape(x);
    x = gen_slice(g, x, 0, s.dim[0] - 1, 1);
    return gen_reshape(g, x, GEN_SHAPE(s.dim[1], s.dim[2], s.dim[3], s.dim[4]));
}

/* One level: x [T,N,h,w,C] (or [N,h,w,C], the same at every step) and its state [N,h,w,S] ->
 * [T,N,2h,2w,C/2]; *last the state after T steps. */
static gen_node *level_of(gen_net *net, const gen_dgmr_config *c, int level, gen_node *x,
                          gen_node *state, int64_t steps, gen_node **last)
{
    gen_graph *g = net->g;
    int64_t width = block_width(c, level);
    const gen_layer_attr gru = normalised(c, 3, c->sn_eps_sampler);
    const gen_layer_attr widen = normalised(c, 1, c->sn_eps);
    const gen_block_attr block = { .conv = gru, .norm = norm_of(c, steps) };
    gen_block_attr up = block;
    up.up = 2;
    up.hidden = c->up_hidden == GEN_DGMR_HIDDEN_INPUT ? width : 0;

    gen_scope scope = gen_scope_push(g, "level%d", level);
    x = gen_conv_gru(net, "gru", x, state, steps, &gru); /* [T,N,h,w,S] */
    if (last && !gen_graph_failed(g))
        *last = last_step(g, x);
    if (!gen_graph_failed(g)) {
        x = gen_conv_layer(net, "conv", join_time(g, x), width, &widen);
        x = gen_g_block(net, "block", x, width, &block);
        x = gen_g_block(net, "up", x, width / 2, &up);
    }
    x = gen_graph_failed(g) ? NULL : split_time(g, x, steps);
    gen_scope_pop(g, scope);
    return x;
}

gen_node *gen_dgmr_newest(gen_graph *g, const gen_dgmr_config *c, gen_node *frames)
{
    if (c->skip == GEN_DGMR_SKIP_NONE || gen_graph_failed(g))
        return NULL;
    gen_shape s = gen_node_shape(frames);
    frames = gen_slice(g, frames, 1, c->frames - 1, 1);
    return gen_reshape(g, frames, GEN_SHAPE(s.dim[0], s.dim[2], s.dim[3], 1));
}

/* The binomial filter for cells that lie in four channels, 2 * row + column of each 2x2 block: a
 * 3x3 convolution of the blocks. w [4,4,3,3]. */
static void binomial(float w[4 * 4 * 9])
{
    static const float tap[3] = { 0.25f, 0.5f, 0.25f };
    memset(w, 0, 4 * 4 * 9 * sizeof *w);
    for (int to = 0; to < 4; to++)
        for (int i = 0; i < 9; i++) {
            int row = to / 2 + i / 3 - 1 + 2, column = to % 2 + i % 3 - 1 + 2; /* 2: no negatives */
            int from = row % 2 * 2 + column % 2, block = row / 2 * 3 + column / 2;
            w[(to * 4 + from) * 9 + block] = tap[i / 3] * tap[i % 3];
        }
}

/* x [B,h,w,4]. At the edge the mean of what is there. */
static gen_node *smoothed(gen_graph *g, gen_node *x)
{
    float taps[4 * 4 * 9];
    if (gen_graph_failed(g))
        return NULL;
    gen_shape s = gen_node_shape(x);
    binomial(taps);
    gen_node *w = gen_const(g, GEN_SHAPE(4, 4, 3, 3), taps);
    const gen_conv_attr same = gen_conv_same(w);
    gen_node *all = gen_fill(g, GEN_SHAPE(1, s.dim[1], s.dim[2], 4), 1);
    return gen_div(g, gen_conv(g, x, w, NULL, &same), gen_conv(g, all, w, NULL, &same));
}

/* Features [T*N,H/2,W/2,C] -> one value a cell [T,N,H,W,1]. */
static gen_node *cells_of(gen_net *net, const gen_dgmr_config *c, const char *name, gen_node *x,
                          int64_t steps)
{
    const gen_layer_attr layer = normalised(c, 1, c->sn_eps);
    x = gen_conv_layer(net, name, x, 4, &layer);
    if (c->smooth == GEN_DGMR_SMOOTH_BINOMIAL)
        x = smoothed(net->g, x);
    return split_time(net->g, gen_depth_to_space(net->g, x, 2, true), steps);
}

/* gate * newest; the gates begin nearly open. */
static gen_node *kept(gen_net *net, const gen_dgmr_config *c, gen_node *x, gen_node *newest,
                      int64_t steps)
{
    gen_graph *g = net->g;
    gen_shape s = gen_node_shape(newest);
    gen_node *gate = cells_of(net, c, "gate", x, steps);
    gate = gen_sigmoid(g, gen_affine(g, gate, 1, 2));
    return gen_mul(g, gate, gen_reshape(g, newest, GEN_SHAPE(1, s.dim[0], s.dim[1], s.dim[2], 1)));
}

gen_node *gen_dgmr_sampler(gen_net *net, const gen_dgmr_config *c, gen_node *latent,
                           gen_node *const state[GEN_DGMR_LEVELS], gen_node *newest, int64_t steps,
                           gen_node *last[GEN_DGMR_LEVELS])
{
    gen_graph *g = net->g;
    if (steps < 1)
        return gen_graph_fail(g, "dgmr", "%lld lead times, expected at least 1", (long long)steps);
    if (c->skip == GEN_DGMR_SKIP_GATE && !newest)
        return gen_graph_fail(g, "dgmr", "the sampler wants the newest frame, and is given none");

    gen_scope scope = gen_scope_push(g, "sampler");
    gen_node *x = latent;
    for (int level = GEN_DGMR_LEVELS; level >= 1; level--)
        x = level_of(net, c, level, x, state[level - 1], steps, last ? &last[level - 1] : NULL);
    if (!gen_graph_failed(g)) {
        const gen_norm_attr norm = norm_of(c, steps);
        x = gen_relu(g, gen_norm_layer(net, "norm", join_time(g, x), &norm));
        gen_node *rain = gen_graph_failed(g) ? NULL : cells_of(net, c, "out", x, steps);
        if (c->skip == GEN_DGMR_SKIP_GATE && !gen_graph_failed(g))
            rain = gen_add(g, rain, kept(net, c, x, newest, steps));
        x = rain;
        x = gen_transpose(g, x, (int[GEN_MAX_RANK]){ 1, 0, 2, 3, 4 });
    }
    gen_scope_pop(g, scope);
    return gen_graph_failed(g) ? NULL : x;
}

/* ---- the networks ---------------------------------------------------------------------------- */

enum { FRAMES, Z, INPUTS };

static gen_status inputs(const void *config, gen_port *in, int *n)
{
    const gen_dgmr_config *c = config;
    if (*n < INPUTS)
        return gen_fail(GEN_EBUG, "dgmr: room for %d inputs, %d expected", *n, INPUTS);
    in[FRAMES] = (gen_port){ .name = "frames", .shape = GEN_SHAPE(1, c->frames, 256, 256, 1) };
    in[Z] = (gen_port){ .name = "z", .shape = GEN_SHAPE(1, 8, 8, c->z_channels), .latent = true };
    *n = INPUTS;
    return GEN_OK;
}

static void adapt(const void *config, gen_port *in, const bool *given, int n)
{
    const gen_dgmr_config *c = config;
    if (n != INPUTS)
        return;
    const gen_shape f = in[FRAMES].shape, z = in[Z].shape;
    if (given[FRAMES] && !given[Z] && f.rank == 5)
        in[Z].shape = GEN_SHAPE(f.dim[0], f.dim[2] / 32, f.dim[3] / 32, c->z_channels);
    if (given[Z] && !given[FRAMES] && z.rank == 4)
        in[FRAMES].shape = GEN_SHAPE(z.dim[0], c->frames, z.dim[1] * 32, z.dim[2] * 32, 1);
}

static void build(gen_net *net, const void *config, const gen_port *in, int n_in, gen_port *out,
                  int *n_out)
{
    const gen_dgmr_config *c = config;
    gen_node *frames = NULL, *z = NULL, *state[GEN_DGMR_LEVELS];
    for (int i = 0; i < n_in; i++) {
        if (!strcmp(in[i].name, "frames"))
            frames = in[i].node;
        if (!strcmp(in[i].name, "z"))
            z = in[i].node;
    }
    gen_shape f = gen_node_shape(frames), l = gen_node_shape(z);
    if (!gen_graph_failed(net->g) && f.rank == 5 && l.rank == 4 &&
        (l.dim[0] != f.dim[0] || l.dim[1] * 32 != f.dim[2] || l.dim[2] * 32 != f.dim[3])) {
        char a[GEN_SHAPE_TEXT], b[GEN_SHAPE_TEXT];
        gen_graph_fail(net->g, "dgmr", "z is %s, expected [N,H/32,W/32,Z] for frames %s",
                       gen_shape_text(l, a), gen_shape_text(f, b));
    }
    gen_dgmr_conditioning(net, c, frames, state);
    gen_node *rain = gen_dgmr_sampler(net, c, gen_dgmr_latent(net, c, z), state,
                                      gen_dgmr_newest(net->g, c, frames), c->steps, NULL);
    out[0] = (gen_port){ .name = "rain", .shape = gen_node_shape(rain), .node = rain };
    *n_out = 1;
}

/* clang-format off */
#define FIELD(f) offsetof(gen_dgmr_config, f)
#define CONFIG(cond, hidden, kind, eps, axes, order)                                               \
    { .type = GEN_OPT_INT, .name = "steps", .offset = FIELD(steps), .preset = 18,                  \
      .min = 1, .max = 1000, .value = "N", .help = "lead times" },                                 \
    { .type = GEN_OPT_INT, .name = "frames", .offset = FIELD(frames), .preset = 4,                 \
      .min = 1, .max = 64, .value = "N", .help = "frames of the context" },                        \
    { .type = GEN_OPT_INT, .name = "latent-channels", .offset = FIELD(latent_channels),            \
      .preset = 768, .min = 1, .max = 16384, .value = "N",                                         \
      .help = "channels of the latent tensor" },                                                   \
    { .type = GEN_OPT_INT, .name = "context-channels", .offset = FIELD(context_channels),          \
      .preset = 384, .min = 1, .max = 16384, .value = "N",                                         \
      .help = "channels of the coarsest state" },                                                  \
    { .type = GEN_OPT_INT, .name = "z-channels", .offset = FIELD(z_channels), .preset = 8,         \
      .min = 1, .max = 1024, .value = "N", .help = "channels of the noise" },                      \
    { .type = GEN_OPT_REAL, .name = "width", .offset = FIELD(width), .preset = 1,                  \
      .min = 0.001, .max = 16, .value = "X", .help = "multiplies the two channel counts" },        \
    { .type = GEN_OPT_REAL, .name = "cond-width", .offset = FIELD(cond_width), .preset = cond,     \
      .min = 0.01, .max = 16, .value = "X", .help = "width of the conditioning stack's blocks" },  \
    { .type = GEN_OPT_CHOICE, .name = "up-hidden", .offset = FIELD(up_hidden), .preset = hidden,   \
      .choices = "output|input", .help = "width inside the up-sampling blocks" },                  \
    { .type = GEN_OPT_CHOICE, .name = "sn", .offset = FIELD(sn), .preset = kind,                   \
      .choices = "none|torch|sonnet", .help = "kind of spectral norm" },                           \
    { .type = GEN_OPT_REAL, .name = "sn-eps", .offset = FIELD(sn_eps), .preset = eps,              \
      .min = 1e-30, .max = 1, .value = "X", .help = "eps of spectral norm" },                      \
    { .type = GEN_OPT_REAL, .name = "sn-eps-sampler", .offset = FIELD(sn_eps_sampler),             \
      .preset = 1e-4, .min = 1e-30, .max = 1, .value = "X",                                        \
      .help = "eps of spectral norm in ConvGRUs and G blocks" },                                   \
    { .type = GEN_OPT_CHOICE, .name = "norm", .offset = FIELD(norm), .preset = 0,                  \
      .choices = "leads|none", .help = "batch norm of the sampler" },                              \
    { .type = GEN_OPT_CHOICE, .name = "attention", .offset = FIELD(attention), .preset = axes,     \
      .choices = "spatial|channel-rows", .help = "axes of the self-attention" },                   \
    { .type = GEN_OPT_CHOICE, .name = "mix-order", .offset = FIELD(mix_order), .preset = order,    \
      .choices = "frame|channel", .help = "outermost in the channels of the mixing convolutions" },\
    { .type = GEN_OPT_CHOICE, .name = "skip", .offset = FIELD(skip), .choices = "none|gate",       \
      .help = "the newest frame also goes past the network, through gates" },                      \
    { .type = GEN_OPT_CHOICE, .name = "smooth", .offset = FIELD(smooth),                           \
      .choices = "none|binomial", .help = "filter of what the last convolutions give" },           \
    { .type = GEN_OPT_CHOICE, .name = "coordinates", .offset = FIELD(coordinates),                 \
      .preset = GEN_DGMR_GROUND, .choices = "ground|rain",                                         \
      .help = "cells lie on the ground, or move with the rain" },                                  \
    { .type = GEN_OPT_END }

static const gen_option paper_config[] = { CONFIG(
    1, GEN_DGMR_HIDDEN_OUTPUT, GEN_SN_SONNET, 1e-4, GEN_ATTENTION_SPATIAL, GEN_DGMR_FRAME_MAJOR) };
static const gen_option ocf_config[] = { CONFIG(
    0.5, GEN_DGMR_HIDDEN_INPUT, GEN_SN_TORCH, 1e-12, GEN_ATTENTION_CHANNEL_ROWS,
    GEN_DGMR_CHANNEL_MAJOR) };
/* clang-format on */

const gen_arch gen_dgmr_arch = {
    .name = "dgmr",
    .summary = "radar nowcasting, generator of the paper (Ravuri et al. 2021)",
    .config = paper_config,
    .config_size = sizeof(gen_dgmr_config),
    .inputs = inputs,
    .adapt = adapt,
    .build = build,
};

const gen_arch gen_dgmr_ocf_arch = {
    .name = "dgmr-ocf",
    .summary = "radar nowcasting, generator as openclimatefix built and trained it",
    .config = ocf_config,
    .config_size = sizeof(gen_dgmr_config),
    .inputs = inputs,
    .adapt = adapt,
    .build = build,
    .recognises = gen_dgmr_ocf_recognises,
    .import = gen_dgmr_ocf_import,
};
