/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans of DGMR in words, for tests/bench/roofline.py: kernels, bytes, operations and launches of
 * each step. Nothing is computed and nothing allocated, so any size can be asked for, and a device
 * that is emulated does. Weights have no values.
 *
 *     plans forecast HEIGHT WIDTH f32|tf32|bf16 DEVICE [MEMBERS [LEADS [WIDTH_OF_NETWORK]]]
 *     plans turn SIZE BATCH f32|tf32|bf16 DEVICE [LEADS [WIDTH_OF_NETWORK]]
 *
 * A turn has two phases; in one turn the first, the discriminators', is done twice.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libgen/plan.h>

#include "weather/dgmr_train.h"

static gen_plan_options options_of(const char *precision)
{
    return (gen_plan_options){ .precision = strcmp(precision, "bf16") ? GEN_F32 : GEN_BF16,
                               .tf32 = !strcmp(precision, "tf32"),
                               .estimate_only = 1 };
}

static gen_status forecast(gen_backend *b, int argc, char **argv)
{
    gen_status status = GEN_OK;
    gen_net net = { 0 };
    gen_plan *plan = NULL;
    gen_dgmr_config c;
    gen_options_defaults(gen_dgmr_arch.config, &c);
    c.steps = argc > 7 ? atoll(argv[7]) : c.steps;
    c.width = argc > 8 ? atof(argv[8]) : c.width;
    int64_t h = atoll(argv[2]), w = atoll(argv[3]), members = argc > 6 ? atoll(argv[6]) : 1;
    gen_plan_options o = options_of(argv[4]);
    GEN_TRY(gen_graph_create(&net.g));
    gen_node *frames = gen_input(net.g, "frames", GEN_F32, GEN_SHAPE(1, c.frames, h, w, 1));
    gen_node *z = gen_input(net.g, "z", GEN_F32, GEN_SHAPE(members, h / 32, w / 32, c.z_channels));
    gen_node *rain = gen_dgmr_draws(&net, &c, frames, z);
    GEN_GOTO(gen_graph_status(net.g));
    GEN_GOTO(gen_plan_create(&plan, net.g, &rain, 1, NULL, b, &o));
    GEN_GOTO(gen_plan_dump(plan, 0, stdout));
done:
    gen_plan_free(&plan);
    gen_net_free(&net);
    gen_graph_free(&net.g);
    return status;
}

static gen_status no_sample(void *cookie, int64_t index, float *rain, float *mask,
                            const char **source)
{
    (void)cookie, (void)index, (void)rain, (void)mask, (void)source;
    return gen_fail(GEN_EBUG, "plans: nothing is trained");
}

static gen_status turn(gen_backend *b, int argc, char **argv)
{
    gen_status status = GEN_OK;
    gen_params *params = NULL;
    gen_dgmr_trainer *trainer = NULL;
    gen_dgmr_training t = { .sample = no_sample, .plan = options_of(argv[4]) };
    gen_options_defaults(gen_dgmr_recipe_options, &t.recipe);
    gen_options_defaults(gen_dgmr_arch.config, &t.generator);
    gen_options_defaults(gen_dgmr_d_options, &t.discriminator);
    t.recipe.crop = atoll(argv[2]);
    t.recipe.batch = atoll(argv[3]);
    t.generator.steps = argc > 6 ? atoll(argv[6]) : t.generator.steps;
    t.generator.width = t.discriminator.width = argc > 7 ? atof(argv[7]) : 1;
    GEN_GOTO(gen_params_create(&params));
    GEN_GOTO(gen_dgmr_trainer_create(&trainer, params, b, &t));
    GEN_GOTO(gen_phase_dump(gen_dgmr_trainer_d(trainer), 0, stdout));
    GEN_GOTO(gen_phase_dump(gen_dgmr_trainer_g(trainer), 0, stdout));
done:
    gen_dgmr_trainer_free(&trainer);
    gen_params_free(&params);
    return status;
}

int main(int argc, char **argv)
{
    bool forecasts = argc > 5 && !strcmp(argv[1], "forecast");
    gen_backend *b = NULL;
    if (!forecasts && (argc < 6 || strcmp(argv[1], "turn"))) {
        fprintf(stderr, "usage: plans forecast HEIGHT WIDTH f32|tf32|bf16 DEVICE [MEMBERS [LEADS "
                        "[WIDTH]]]\n       plans turn SIZE BATCH f32|tf32|bf16 DEVICE [LEADS "
                        "[WIDTH]]\n");
        return 2;
    }
    gen_status s = gen_backend_open(&b, argv[5], 1);
    if (!s)
        s = forecasts ? forecast(b, argc, argv) : turn(b, argc, argv);
    if (s)
        fprintf(stderr, "plans: %s\n", gen_last_error());
    gen_backend_close(&b);
    return s != GEN_OK;
}
