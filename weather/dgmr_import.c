/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads checkpoints of openclimatefix/skillful_nowcasting into our "dgmr-ocf" (reference 6.1, 6.2):
 * widths from the shapes of weights, lead times from config.json, then one rule a layer. Its levels
 * count from the bottom: convGRU1, g1 and up_g1 are our level 4.
 */
#include <cJSON.h>
#include <stdio.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "weather/dgmr.h"

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
        return gen_fail(GEN_EMODEL, "latent and context of %lld and %lld channels, z of %lld: expected "
                        "multiples of 32 and 16, at most 16384, and at most 1024", (long long)latent,
                        (long long)context, (long long)z);
    c->latent_channels = latent;
    c->context_channels = context;
    c->z_channels = z;
    c->width = 1;
    c->cond_width = (double)blocks / (double)context;
    return GEN_OK;
}

/* ---- config.json ----------------------------------------------------------------------------- */

static gen_status number(const cJSON *item, const char *key, double min, double max, double *out)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= min && item->valuedouble <= max))
        return gen_fail(GEN_EMODEL, "config key '%s' must be a number from %g to %g", key, min, max);
    *out = item->valuedouble;
    return GEN_OK;
}

static gen_status agrees(const cJSON *item, const char *key, int64_t found)
{
    double value = 0;
    GEN_TRY(number(item, key, 1, 1e6, &value));
    if (value != (double)found)
        return gen_fail(GEN_EMODEL, "config says %s %g, the weights have %lld", key, value,
                        (long long)found);
    return GEN_OK;
}

/* One key; *used says whether it means something to us. */
static gen_status read_key(const cJSON *item, gen_dgmr_config *c, bool *used)
{
    const char *key = item->string;
    double value = 0;
    *used = true;
    if (!strcmp(key, "forecast_steps")) {
        GEN_TRY(number(item, key, 1, 1000, &value));
        c->steps = (int64_t)value;
        return value == (double)c->steps
                   ? GEN_OK
                   : gen_fail(GEN_EMODEL, "config key '%s' is %g, expected a whole number", key, value);
    }
    if (!strcmp(key, "input_channels"))
        return agrees(item, key, 1);
    if (!strcmp(key, "latent_channels"))
        return agrees(item, key, c->latent_channels);
    if (!strcmp(key, "context_channels"))
        return agrees(item, key, c->context_channels);
    if (!strcmp(key, "conv_type")) {
        if (!cJSON_IsString(item) || strcmp(item->valuestring, "standard"))
            return gen_fail(GEN_EMODEL, "config key 'conv_type' must be \"standard\"");
        return GEN_OK;
    }
    *used = false;
    return GEN_OK;
}

static gen_status read_config(gen_import *im, gen_dgmr_config *c, const char *text)
{
    char ignored[512] = "";
    cJSON *json = cJSON_Parse(text);
    if (!json || !cJSON_IsObject(json)) {
        cJSON_Delete(json);
        return gen_fail(GEN_EMODEL, "the config is not a JSON object");
    }
    gen_status status = GEN_OK;
    for (const cJSON *item = json->child; item && !status; item = item->next) {
        bool used;
        status = read_key(item, c, &used);
        size_t n = strlen(ignored);
        if (!status && !used)
            snprintf(ignored + n, sizeof ignored - n, "%s%s", n ? ", " : "", item->string);
    }
    cJSON_Delete(json);
    if (!status && ignored[0])
        status = gen_import_note(im, "config keys not used: %s", ignored);
    return status;
}

/* ---- layers ---------------------------------------------------------------------------------- */

/* Where a layer comes from and goes to. '#' stands for their number in `from` and for our level or
 * block in `to`; their number 1 is not written after '_'. */
struct rule {
    enum { LAYER, NORM, COPY, UNUSED } kind;
    const char *from, *to;
};

static const struct rule conditioning[] = { /* levels 1-4, the same number on both sides */
    { LAYER, "conditioning_stack.d#.conv_1x1", "conditioning/level#/block/skip" },
    { LAYER, "conditioning_stack.d#.first_conv_3x3", "conditioning/level#/block/conv1" },
    { LAYER, "conditioning_stack.d#.last_conv_3x3", "conditioning/level#/block/conv2" },
    { LAYER, "conditioning_stack.conv#", "conditioning/level#/mix" },
};

static const struct rule latent_blocks[] = { /* blocks 1-4 */
    { LAYER, "latent_stack.l_block#.first_conv_3x3", "latent/block#/conv1" },
    { LAYER, "latent_stack.l_block#.last_conv_3x3", "latent/block#/conv2" },
};
static const struct rule latent_skip = { LAYER, "latent_stack.l_block#.conv_1x1",
                                         "latent/block#/skip" };

static const struct rule sampler[] = { /* their 1-4 are our levels 4-1 */
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
    { UNUSED, "discriminator.", "the discriminators are no part of the generator" },
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
