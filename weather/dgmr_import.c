/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads checkpoints of openclimatefix/skillful_nowcasting into our "dgmr-ocf" and
 * "dgmr-ocf-discriminators" (reference 6.1, 6.2):
 * widths from the shapes of weights, lead times from config.json, then one rule a layer. Its levels
 * count from the bottom: convGRU1, g1 and up_g1 are our level 4.
 */
#include "weather/dgmr.h"
#include "weather/dgmr_discriminator.h"

#include <stdio.h>
#include <string.h>

#include "libgen/base/json.h"

bool gen_dgmr_ocf_recognises(const gen_import *im)
{
    static const char *const probe[] = { "conditioning_stack.conv4.bias",
                                         "latent_stack.att_block.gamma",
                                         "sampler.convGRU1.cell.read_gate_conv.bias" };
    for (int i = 0; i < GEN_LEN(probe); i++)
        if (gen_import_shape(im, probe[i]).rank != 1)
            return false;
    return true;
}

/* Length of the bias called `name`; one of another rank is a foreign file that lies. */
static gen_status channels(const gen_import *im, const char *name, int64_t *out)
{
    gen_shape s = gen_import_shape(im, name);
    if (s.rank != 1) {
        char text[GEN_SHAPE_TEXT];
        return gen_fail(GEN_EMODEL, "tensor '%s' is %s, expected [C]", name,
                        s.rank < 0 ? "missing" : gen_shape_text(s, text));
    }
    *out = s.dim[0];
    return GEN_OK;
}

static gen_status widths_of(const gen_import *im, gen_dgmr_config *c)
{
    int64_t latent, context, z, blocks;
    GEN_TRY(channels(im, "latent_stack.l_block4.last_conv_3x3.bias", &latent));
    GEN_TRY(channels(im, "conditioning_stack.conv4.bias", &context));
    GEN_TRY(channels(im, "latent_stack.conv_3x3.bias", &z));
    GEN_TRY(channels(im, "conditioning_stack.d4.last_conv_3x3.bias", &blocks));
    if (latent % 32 || context % 16 || latent > 16384 || context > 16384 || z > 1024)
        return gen_fail(GEN_EMODEL,
                        "latent and context of %lld and %lld channels, z of %lld: expected "
                        "multiples of 32 and 16, at most 16384, and at most 1024",
                        (long long)latent, (long long)context, (long long)z);
    c->latent_channels = latent;
    c->context_channels = context;
    c->z_channels = z;
    c->width = 1;
    c->cond_width = (double)blocks / (double)context;
    return GEN_OK;
}

/* ---- config.json ----------------------------------------------------------------------------- */

/* The keys that mean something to a generator. */
struct keys {
    int64_t forecast_steps, input_channels, latent_channels, context_channels, conv_type;
};

/* clang-format off */
#define FIELD(f) offsetof(struct keys, f)
static const gen_option key_table[] = {
    { .type = GEN_OPT_INT, .name = "forecast-steps", .offset = FIELD(forecast_steps), .preset = 18,
      .min = 1, .max = 1000 },
    { .type = GEN_OPT_INT, .name = "input-channels", .offset = FIELD(input_channels), .preset = 1,
      .min = 1, .max = 1000 },
    { .type = GEN_OPT_INT, .name = "latent-channels", .offset = FIELD(latent_channels),
      .min = 1, .max = 1e6 },
    { .type = GEN_OPT_INT, .name = "context-channels", .offset = FIELD(context_channels),
      .min = 1, .max = 1e6 },
    { .type = GEN_OPT_CHOICE, .name = "conv-type", .offset = FIELD(conv_type),
      .choices = "standard|coord|3d" },
    { .type = GEN_OPT_END }
};
/* clang-format on */

struct unused_keys {
    char text[512];
};

static void note_unused(void *cookie, const char *key)
{
    struct unused_keys *unused = cookie;
    size_t n = strlen(unused->text);
    snprintf(unused->text + n, sizeof unused->text - n, "%s%s", n ? ", " : "", key);
}

static gen_status check_keys(const struct keys *k, const gen_dgmr_config *c)
{
    if (k->conv_type != 0)
        return gen_fail(GEN_EMODEL, "the config's conv_type is not 'standard', the only one known");
    if (k->input_channels != 1)
        return gen_fail(GEN_EMODEL, "the config's input_channels is %lld, expected 1",
                        (long long)k->input_channels);
    if (k->latent_channels != c->latent_channels || k->context_channels != c->context_channels)
        return gen_fail(GEN_EMODEL,
                        "the config has %lld latent and %lld context channels, the weights "
                        "have %lld and %lld",
                        (long long)k->latent_channels, (long long)k->context_channels,
                        (long long)c->latent_channels, (long long)c->context_channels);
    return GEN_OK;
}

static gen_status read_config(gen_import *im, gen_dgmr_config *c, const char *text)
{
    struct unused_keys unused = { "" };
    struct keys keys;
    gen_json *json = NULL;
    gen_options_defaults(key_table, &keys);
    keys.latent_channels = c->latent_channels;
    keys.context_channels = c->context_channels;
    gen_status status = gen_json_parse(&json, text, strlen(text), 1 << 20);
    if (!status)
        status = gen_options_from_json(key_table, &keys, json, note_unused, &unused);
    gen_json_free(&json);
    if (status)
        return gen_fail_in(GEN_EMODEL, "config");
    c->steps = keys.forecast_steps;
    GEN_TRY(check_keys(&keys, c));
    return unused.text[0] ? gen_import_note(im, "config keys not used: %s", unused.text) : GEN_OK;
}

/* ---- layers ---------------------------------------------------------------------------------- */

/* Where a layer comes from and goes to. '#' stands for their number in `from` and for our level or
 * block in `to`; their number 1 is not written after '_'. */
struct rule {
    enum { LAYER, NORM, COPY, UNUSED } kind;
    const char *from, *to;
};

static const struct rule conditioning[] = {
    /* levels 1-4, the same number on both sides */
    { LAYER, "conditioning_stack.d#.conv_1x1", "conditioning/level#/block/skip" },
    { LAYER, "conditioning_stack.d#.first_conv_3x3", "conditioning/level#/block/conv1" },
    { LAYER, "conditioning_stack.d#.last_conv_3x3", "conditioning/level#/block/conv2" },
    { LAYER, "conditioning_stack.conv#", "conditioning/level#/mix" },
};

static const struct rule latent_blocks[] = {
    /* blocks 1-4 */
    { LAYER, "latent_stack.l_block#.first_conv_3x3", "latent/block#/conv1" },
    { LAYER, "latent_stack.l_block#.last_conv_3x3", "latent/block#/conv2" },
};
static const struct rule latent_skip = { LAYER, "latent_stack.l_block#.conv_1x1",
                                         "latent/block#/skip" };

static const struct rule sampler[] = {
    /* their 1-4 are our levels 4-1 */
    { LAYER, "sampler.convGRU#.cell.read_gate_conv", "sampler/level#/gru/read" },
    { LAYER, "sampler.convGRU#.cell.update_gate_conv", "sampler/level#/gru/update" },
    { LAYER, "sampler.convGRU#.cell.output_conv", "sampler/level#/gru/output" },
    { LAYER, "sampler.gru_conv_1x1_#", "sampler/level#/conv" },
    { NORM, "sampler.g#.bn1", "sampler/level#/block/norm1" },
    { NORM, "sampler.g#.bn2", "sampler/level#/block/norm2" },
    { LAYER, "sampler.g#.first_conv_3x3", "sampler/level#/block/conv1" },
    { LAYER, "sampler.g#.last_conv_3x3", "sampler/level#/block/conv2" },
    { UNUSED, "sampler.g#.conv_1x1.", "the block's widths match, so its 1x1 is never applied" },
    { NORM, "sampler.up_g#.bn1", "sampler/level#/up/norm1" },
    { NORM, "sampler.up_g#.bn2", "sampler/level#/up/norm2" },
    { LAYER, "sampler.up_g#.conv_1x1", "sampler/level#/up/skip" },
    { LAYER, "sampler.up_g#.first_conv_3x3", "sampler/level#/up/conv1" },
    { LAYER, "sampler.up_g#.last_conv_3x3", "sampler/level#/up/conv2" },
};

static const struct rule others[] = {
    { LAYER, "latent_stack.conv_3x3", "latent/conv" },
    { LAYER, "latent_stack.att_block.query", "latent/attention/query" },
    { LAYER, "latent_stack.att_block.key", "latent/attention/key" },
    { LAYER, "latent_stack.att_block.value", "latent/attention/value" },
    { LAYER, "latent_stack.att_block.last_conv", "latent/attention/out" },
    { COPY, "latent_stack.att_block.gamma", "latent/attention/gamma" },
    { NORM, "sampler.bn", "sampler/norm" },
    { LAYER, "sampler.conv_1x1", "sampler/out" },
    { UNUSED, "discriminator.", "the network dgmr-ocf-discriminators takes them" },
};

/* `pattern` with '#' replaced by the digit `number`. */
static void write_name(char out[96], const char *pattern, int number)
{
    size_t n = 0;
    for (; *pattern && n < 95; pattern++) {
        if (pattern[0] == '_' && pattern[1] == '#' && number == 1)
            pattern++;
        else
            out[n++] = *pattern == '#' ? (char)('0' + number) : *pattern;
    }
    out[n] = 0;
}

static gen_status apply(gen_import *im, const struct rule *r, int theirs, int ours)
{
    char from[96], to[96];
    write_name(from, r->from, theirs);
    write_name(to, r->to, ours);
    switch (r->kind) {
    case LAYER:
        return gen_import_layer(im, from, to, NULL);
    case NORM:
        return gen_import_norm(im, from, to);
    case COPY:
        return gen_import_copy(im, from, to);
    case UNUSED:
        return gen_import_ignore(im, from, r->to);
    }
    return GEN_OK;
}

static gen_status apply_all(gen_import *im, const struct rule *rules, int n, int theirs, int ours)
{
    for (int i = 0; i < n; i++)
        GEN_TRY(apply(im, &rules[i], theirs, ours));
    return GEN_OK;
}

gen_status gen_dgmr_ocf_import(gen_import *im, void *config, const char *json)
{
    gen_dgmr_config *c = config;
    GEN_TRY(widths_of(im, c));
    if (json)
        GEN_TRY(read_config(im, c, json));
    for (int i = 1; i <= GEN_DGMR_LEVELS; i++) {
        GEN_TRY(apply_all(im, conditioning, GEN_LEN(conditioning), i, i));
        GEN_TRY(apply_all(im, latent_blocks, GEN_LEN(latent_blocks), i, i));
        GEN_TRY(apply_all(im, sampler, GEN_LEN(sampler), i, GEN_DGMR_LEVELS + 1 - i));
        if (i > 1 || c->z_channels != gen_dgmr_latent_width(c) / 32) /* else it does not widen */
            GEN_TRY(apply(im, &latent_skip, i, i));
    }
    return apply_all(im, others, GEN_LEN(others), 0, 0);
}

/* ---- discriminators -------------------------------------------------------------------------- */

/* Their blocks are d1, then (in 3-D d2,) numbers from 0, then d6 or d_last. */
struct part {
    const char *name; /* in front of it "discriminator." or nothing */
    const char *block[6];
    const char *to;
};

static const struct part parts[] = {
    { "spatial_discriminator",
      { "d1", "intermediate_dblocks.0", "intermediate_dblocks.1", "intermediate_dblocks.2",
        "intermediate_dblocks.3", "d6" },
      "discriminator/spatial" },
    { "temporal_discriminator",
      { "d1", "d2", "intermediate_dblocks.0", "intermediate_dblocks.1", "intermediate_dblocks.2",
        "d_last" },
      "discriminator/temporal" },
};

/* "discriminator." in a checkpoint of the whole model, nothing in one of the discriminators;
 * NULL: there are none. */
static const char *discriminator_prefix(const gen_import *im)
{
    if (gen_import_shape(im, "discriminator.spatial_discriminator.d1.conv_1x1.bias").rank == 1)
        return "discriminator.";
    if (gen_import_shape(im, "spatial_discriminator.d1.conv_1x1.bias").rank == 1)
        return "";
    return NULL;
}

/* A file with a generator too is taken for one, unless a network is named. */
bool gen_dgmr_ocf_d_recognises(const gen_import *im)
{
    return discriminator_prefix(im) && !gen_dgmr_ocf_recognises(im);
}

static gen_status import_block(gen_import *im, const char *from, const char *to, bool last)
{
    static const char *const layer[][2] = { { "conv_1x1", "skip" },
                                            { "first_conv_3x3", "conv1" },
                                            { "last_conv_3x3", "conv2" } };
    char theirs[128], ours[64];
    for (int i = 0; i < GEN_LEN(layer); i++) {
        snprintf(theirs, sizeof theirs, "%s.%s", from, layer[i][0]);
        snprintf(ours, sizeof ours, "%s/%s", to, layer[i][1]);
        if (last && i == 0)
            GEN_TRY(gen_import_ignore(im, theirs,
                                      "the block's widths match, so its 1x1 is never applied"));
        else
            GEN_TRY(gen_import_layer(im, theirs, ours, NULL));
    }
    return GEN_OK;
}

static gen_status import_part(gen_import *im, const char *prefix, const struct part *p)
{
    char from[96], to[48];
    for (int i = 0; i < GEN_LEN(p->block); i++) {
        snprintf(from, sizeof from, "%s%s.%s", prefix, p->name, p->block[i]);
        snprintf(to, sizeof to, "%s/block%d", p->to, i + 1);
        GEN_TRY(import_block(im, from, to, i + 1 == GEN_LEN(p->block)));
    }
    snprintf(from, sizeof from, "%s%s.fc", prefix, p->name);
    snprintf(to, sizeof to, "%s/linear", p->to);
    GEN_TRY(gen_import_layer(im, from, to, NULL));
    snprintf(from, sizeof from, "%s%s.bn", prefix, p->name);
    snprintf(to, sizeof to, "%s/norm", p->to);
    return gen_import_norm(im, from, to);
}

/* config.json says nothing of widths: it is not used. */
gen_status gen_dgmr_ocf_d_import(gen_import *im, void *config, const char *json)
{
    static const char *const generator[] = { "conditioning_stack.", "latent_stack.", "sampler.",
                                             "generator." };
    gen_dgmr_d_config *c = config;
    const char *prefix = discriminator_prefix(im);
    (void)json;
    if (!prefix)
        return gen_fail(GEN_EMODEL, "no tensor 'discriminator.spatial_discriminator.*': this "
                                    "file has no discriminators");
    char first[96];
    snprintf(first, sizeof first, "%sspatial_discriminator.d1.conv_1x1.bias", prefix);
    GEN_TRY(channels(im, first, &c->channels));
    if (c->channels % 2 || c->channels > 1024)
        return gen_fail(GEN_EMODEL,
                        "first block of %lld channels: expected an even number, at "
                        "most 1024",
                        (long long)c->channels);
    for (int i = 0; i < GEN_LEN(parts); i++)
        GEN_TRY(import_part(im, prefix, &parts[i]));
    for (int i = 0; i < GEN_LEN(generator); i++)
        GEN_TRY(gen_import_ignore(im, generator[i], "the network dgmr-ocf takes the generator"));
    return GEN_OK;
}
