/* SPDX-License-Identifier: Apache-2.0
 *
 * DGMR's discriminators (Ravuri et al. 2021; reference sections 5.5 and 6.3): the spatial one sees
 * a few frames one by one at half the resolution, the temporal one all frames, in the beginning by
 * 3-D convolutions. Both end in the same blocks and head.
 *
 * Frames are outermost inside, [F*N,h,w,C], so that a frame may have statistics of its own. A field
 * of 256 x 256 leaves 2 x 2 cells to the head; on smaller ones a block leaves axes of one cell as
 * they are.
 */
#include "weather/dgmr_discriminator.h"

#include <math.h>
#include <string.h>

#include <libgen/random.h>

#include "libgen/graph/op.h"

enum { BLOCKS = 6 };

/* Of block 1 to 6: 48, 96, 192, 384, 768, 768. */
static int64_t block_width(const gen_dgmr_d_config *c, int block)
{
    int64_t first = (int64_t)floor((double)c->channels * c->width / 2 + 0.5) * 2;
    return (first < 2 ? 2 : first) << (block < BLOCKS ? block - 1 : BLOCKS - 2);
}

/* Blocks `first` to `last` on x [N,*,C]: block 1 without its first ReLU, block 6 without pooling.
 */
static gen_node *blocks(gen_net *net, const gen_dgmr_d_config *c, gen_node *x, int first, int last)
{
    static const char *const name[BLOCKS] = { "block1", "block2", "block3",
                                              "block4", "block5", "block6" };
    for (int i = first; i <= last; i++) {
        const gen_block_attr block = { .conv = { .sn = c->sn, .sn_eps = c->sn_eps },
                                       .no_preact = i == 1,
                                       .up = i < BLOCKS ? 2 : 0 };
        x = gen_d_block(net, name[i - 1], x, block_width(c, i), &block);
    }
    return x;
}

/* Features [F*N,h,w,C] of F frames -> score [N,1]. */
static gen_node *head(gen_net *net, const gen_dgmr_d_config *c, gen_node *x, int64_t frames)
{
    gen_graph *g = net->g;
    const bool full = c->head == GEN_DGMR_HEAD_FULL;
    const gen_norm_attr norm = { .groups = full ? frames : 1, .no_scale = !full };
    const gen_layer_attr linear = { .sn = c->sn, .sn_eps = c->sn_eps };
    if (gen_graph_failed(g))
        return NULL;
    gen_shape s = gen_node_shape(x);
    x = gen_sum(g, gen_relu(g, x), 1u << 1 | 1u << 2);
    x = gen_norm_layer(net, "norm", gen_reshape(g, x, GEN_SHAPE(s.dim[0], s.dim[3])), &norm);
    x = gen_linear_layer(net, "linear", x, 1, &linear); /* [F*N,1] */
    x = gen_sum(g, gen_reshape(g, x, GEN_SHAPE(frames, s.dim[0] / frames)), 1u << 0);
    return gen_reshape(g, x, GEN_SHAPE(s.dim[0] / frames, 1));
}

/* [N,T,H,W,1] -> [N*T,H,W,1]; the graph fails when frames are of another shape. */
static gen_node *join_frames(gen_graph *g, gen_node *frames)
{
    if (gen_graph_failed(g))
        return NULL;
    gen_shape s = gen_node_shape(frames);
    if (s.rank != 5 || s.dim[2] % 4 || s.dim[3] % 4 || s.dim[4] != 1) {
        char text[GEN_SHAPE_TEXT];
        return gen_graph_fail(g, "dgmr",
                              "frames are %s, expected [N,T,H,W,1], H and W multiples of 4",
                              gen_shape_text(s, text));
    }
    return gen_reshape(g, frames, GEN_SHAPE(s.dim[0] * s.dim[1], s.dim[2], s.dim[3], 1));
}

static gen_node *half_resolution(gen_graph *g, gen_node *x)
{
    return gen_avg_pool(g, x, &(gen_pool_attr){ .kernel = { 2, 2 } });
}

gen_node *gen_dgmr_spatial(gen_net *net, const gen_dgmr_d_config *c, gen_node *frames,
                           gen_node *index)
{
    gen_graph *g = net->g;
    gen_node *x = join_frames(g, frames);
    if (gen_graph_failed(g))
        return NULL;
    int64_t n = gen_node_shape(frames).dim[0];
    gen_shape i = gen_node_shape(index);
    if (i.rank != 1 || i.dim[0] != c->picked * n) {
        char text[GEN_SHAPE_TEXT];
        return gen_graph_fail(g, "dgmr", "index is %s, expected [%lld] for %lld of %lld sequences",
                              gen_shape_text(i, text), (long long)(c->picked * n),
                              (long long)c->picked, (long long)n);
    }

    gen_scope s = gen_scope_push(g, "discriminator/spatial");
    x = half_resolution(g, gen_gather(g, x, index, 0)); /* [F*N,H/2,W/2,1] */
    x = gen_space_to_depth(g, x, 2, true);              /* [F*N,H/4,W/4,4] */
    x = head(net, c, blocks(net, c, x, 1, BLOCKS), c->picked);
    gen_scope_pop(g, s);
    return x;
}

/* What the temporal discriminator sees of each frame: [N*T,H,W,1] -> [N*T,H/2,W/2,1]. */
static gen_node *view(gen_graph *g, const gen_dgmr_d_config *c, gen_node *x, gen_node *offset)
{
    if (c->view == GEN_DGMR_VIEW_POOL)
        return half_resolution(g, x);
    gen_shape s = gen_node_shape(x);
    return gen_crop(g, x, offset, s.dim[1] / 2, s.dim[2] / 2);
}

gen_node *gen_dgmr_temporal(gen_net *net, const gen_dgmr_d_config *c, gen_node *frames,
                            gen_node *offset)
{
    gen_graph *g = net->g;
    gen_node *x = join_frames(g, frames);
    if (gen_graph_failed(g))
        return NULL;
    gen_shape f = gen_node_shape(frames);

    gen_scope scope = gen_scope_push(g, "discriminator/temporal");
    x = gen_space_to_depth(g, view(g, c, x, offset), 2, true); /* [N*T,H/4,W/4,4] */
    x = gen_reshape(g, x, GEN_SHAPE(f.dim[0], f.dim[1], f.dim[2] / 4, f.dim[3] / 4, 4));
    x = blocks(net, c, x, 1, 2); /* 3-D: [N,T/4,H/16,W/16,C] */
    if (!gen_graph_failed(g)) {
        gen_shape s = gen_node_shape(x);
        x = gen_transpose(g, x, (int[GEN_MAX_RANK]){ 1, 0, 2, 3, 4 });
        x = gen_reshape(g, x, GEN_SHAPE(s.dim[1] * s.dim[0], s.dim[2], s.dim[3], s.dim[4]));
        x = head(net, c, blocks(net, c, x, 3, BLOCKS), s.dim[1]);
    }
    gen_scope_pop(g, scope);
    return gen_graph_failed(g) ? NULL : x;
}

/* ---- chance ---------------------------------------------------------------------------------- */

enum { STEP_BITS = 20, MOST_FRAMES = 1 << 24 };

/* Uniform in [0, n): number `at` of those of step `step`, of which there are 2^STEP_BITS. */
static int64_t draw(const char *stream, uint64_t seed, uint64_t step, int64_t at, int64_t n)
{
    uint32_t word[4];
    gen_philox(word, seed, gen_stream(stream), (step << STEP_BITS) + (uint64_t)at);
    return (int64_t)((uint64_t)word[0] * (uint64_t)n >> 32);
}

static bool among(const int32_t *x, int64_t stride, int64_t n, int64_t value)
{
    for (int64_t i = 0; i < n; i++)
        if (x[i * stride] == value)
            return true;
    return false;
}

gen_status gen_dgmr_pick(const gen_dgmr_d_config *c, int64_t n, int64_t frames, int64_t context,
                         uint64_t seed, uint64_t step, int32_t *index)
{
    static const char stream[] = "discriminator/spatial/index";
    const bool any = c->pick == GEN_DGMR_PICK_ANY;
    const int64_t first = any ? 0 : context, count = frames - first, k = c->picked;
    if (n < 1 || context < 0 || count < (any ? 1 : k))
        return gen_fail(GEN_EINVAL,
                        "the spatial discriminator sees %lld lead times, but there are %lld",
                        (long long)k, (long long)(frames - context));
    if (n > MOST_FRAMES / frames || n > (1 << STEP_BITS) / k)
        return gen_fail(GEN_EINVAL, "%lld sequences of %lld frames are too many", (long long)n,
                        (long long)frames);
    for (int64_t i = 0; i < n; i++)
        for (int64_t p = 0; p < k; p++) {
            /* None twice, by Floyd's method: one more may be drawn each time, and takes the place
             * of what was there already. */
            int64_t last = count - k + p, row = i * frames + first;
            int64_t t = any ? draw(stream, seed, step, p, count)
                            : draw(stream, seed, step, i * k + p, last + 1);
            if (!any && among(index + i, n, p, row + t))
                t = last;
            index[p * n + i] = (int32_t)(row + t);
        }
    return GEN_OK;
}

void gen_dgmr_place(int64_t h, int64_t w, uint64_t seed, uint64_t step, int32_t offset[2])
{
    static const char stream[] = "discriminator/temporal/offset";
    offset[0] = (int32_t)draw(stream, seed, step, 0, h / 2);
    offset[1] = (int32_t)draw(stream, seed, step, 1, w / 2);
}

/* ---- the two forms --------------------------------------------------------------------------- */

/* clang-format off */
#define FIELD(f) offsetof(gen_dgmr_d_config, f)
#define CONFIG(frames, window, norm, kind, eps)                                                    \
    { .type = GEN_OPT_INT, .name = "channels", .offset = FIELD(channels), .preset = 48,            \
      .min = 2, .max = 1024, .value = "N", .help = "channels of the first block" },                \
    { .type = GEN_OPT_REAL, .name = "width", .offset = FIELD(width), .preset = 1,                  \
      .min = 0.01, .max = 8, .value = "X", .help = "factor on all widths" },                       \
    { .type = GEN_OPT_INT, .name = "picked", .offset = FIELD(picked), .preset = 8,                 \
      .min = 1, .max = 1000, .value = "N", .help = "frames that the spatial one sees" },           \
    { .type = GEN_OPT_CHOICE, .name = "pick", .offset = FIELD(pick), .preset = frames,             \
      .choices = "leads|any", .help = "from which frames, and whether each sequence has its own" },\
    { .type = GEN_OPT_CHOICE, .name = "view", .offset = FIELD(view), .preset = window,             \
      .choices = "crop|pool", .help = "what the temporal one sees of a field" },                   \
    { .type = GEN_OPT_CHOICE, .name = "head", .offset = FIELD(head), .preset = norm,               \
      .choices = "mean|full", .help = "batch norm of the head" },                                  \
    { .type = GEN_OPT_CHOICE, .name = "sn", .offset = FIELD(sn), .preset = kind,                   \
      .choices = "none|torch|sonnet", .help = "kind of spectral norm" },                           \
    { .type = GEN_OPT_REAL, .name = "sn-eps", .offset = FIELD(sn_eps), .preset = eps,              \
      .min = 1e-30, .max = 1, .value = "X", .help = "eps of spectral norm" },                      \
    { .type = GEN_OPT_END }

const gen_option gen_dgmr_d_options[] = { CONFIG(
    GEN_DGMR_PICK_LEADS, GEN_DGMR_VIEW_CROP, GEN_DGMR_HEAD_MEAN, GEN_SN_SONNET, 1e-4) };
const gen_option gen_dgmr_ocf_d_options[] = { CONFIG(
    GEN_DGMR_PICK_ANY, GEN_DGMR_VIEW_POOL, GEN_DGMR_HEAD_FULL, GEN_SN_TORCH, 1e-12) };
/* clang-format on */

enum { FRAMES, INDEX, OFFSET, INPUTS };

static gen_status inputs(const void *config, gen_port *in, int *n)
{
    const gen_dgmr_d_config *c = config;
    int count = c->view == GEN_DGMR_VIEW_CROP ? INPUTS : OFFSET;
    if (*n < count)
        return gen_fail(GEN_EBUG, "dgmr: room for %d inputs, %d expected", *n, count);
    in[FRAMES] = (gen_port){ .name = "frames", .shape = GEN_SHAPE(1, 22, 256, 256, 1) };
    in[INDEX] = (gen_port){ .name = "index", .shape = GEN_SHAPE(c->picked) };
    if (count == INPUTS)
        in[OFFSET] = (gen_port){ .name = "offset", .shape = GEN_SHAPE(1, 2) };
    *n = count;
    return GEN_OK;
}

static void adapt(const void *config, gen_port *in, const bool *given, int n)
{
    const gen_dgmr_d_config *c = config;
    if (n > INDEX && given[FRAMES] && !given[INDEX] && in[FRAMES].shape.rank == 5)
        in[INDEX].shape = GEN_SHAPE(c->picked * in[FRAMES].shape.dim[0]);
}

static gen_node *port(const gen_port *in, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(in[i].name, name))
            return in[i].node;
    return NULL;
}

static void build(gen_net *net, const void *config, const gen_port *in, int n_in, gen_port *out,
                  int *n_out)
{
    gen_graph *g = net->g;
    gen_node *frames = port(in, n_in, "frames"), *offset = port(in, n_in, "offset");
    gen_node *index = gen_cast(g, port(in, n_in, "index"), GEN_I32);
    if (offset)
        offset = gen_cast(g, offset, GEN_I32);
    gen_node *spatial = gen_dgmr_spatial(net, config, frames, index);
    gen_node *temporal = gen_dgmr_temporal(net, config, frames, offset);
    out[0] = (gen_port){ .name = "spatial", .shape = gen_node_shape(spatial), .node = spatial };
    out[1] = (gen_port){ .name = "temporal", .shape = gen_node_shape(temporal), .node = temporal };
    *n_out = 2;
}

const gen_arch gen_dgmr_d_arch = {
    .name = "dgmr-discriminators",
    .summary = "radar nowcasting, both discriminators of the paper (Ravuri et al. 2021)",
    .config = gen_dgmr_d_options,
    .config_size = sizeof(gen_dgmr_d_config),
    .inputs = inputs,
    .adapt = adapt,
    .build = build,
};

const gen_arch gen_dgmr_ocf_d_arch = {
    .name = "dgmr-ocf-discriminators",
    .summary = "radar nowcasting, both discriminators as openclimatefix built and trained them",
    .config = gen_dgmr_ocf_d_options,
    .config_size = sizeof(gen_dgmr_d_config),
    .inputs = inputs,
    .adapt = adapt,
    .build = build,
    .recognises = gen_dgmr_ocf_d_recognises,
    .import = gen_dgmr_ocf_d_import,
};
