/* SPDX-License-Identifier: Apache-2.0
 *
 * A turn of DGMR's training (Ravuri et al. 2021, reference 5.6): some steps of the discriminators,
 * then one of the generator, as two gen_phase over one gen_params. Private to the weather room.
 *
 * Everything drawn (noise, frames, windows) and the samples' numbers are functions of (seed, turn):
 * nothing of a trainer needs saving but its parameters, optimisers and the number of the turn.
 */
#ifndef WEATHER_DGMR_TRAIN_H
#define WEATHER_DGMR_TRAIN_H

#include <libgen/train.h>

#include "weather/dgmr.h"
#include "weather/dgmr_discriminator.h"
#include "weather/dgmr_loss.h"

/* How a model is trained; a table of options for the command line and for a run's record. */
typedef struct gen_dgmr_recipe {
    int64_t batch;         /* sequences a step */
    int64_t pieces;        /* micro-batches that it is cut into */
    int64_t crop;          /* cells a side, a multiple of 32 */
    int64_t d_steps;       /* of the discriminators, for one of the generator */
    int64_t draws;         /* of the generator for each sequence, in its step */
    int64_t draws_at_once; /* fewer than draws: two passes, first all draws without gradients, then
                              so many at a time; 0 = all in one pass */
    double lambda;         /* weight of the regulariser */
    double adversarial;    /* weight of the discriminators' word; 0 = there are none */
    int64_t regulariser;   /* gen_dgmr_regulariser */
    int64_t weight;        /* gen_dgmr_weight */
    int64_t octaves;       /* of the CRPS: see gen_dgmr_hold */
    int64_t
        clamp; /* discriminators and CRPS see rain as a forecast shows it, 0 where it is below 0 */
    double calm;         /* mm/h of gen_dgmr_calm; 0 = sequences count by their rain */
    double rate, d_rate; /* of Adam: generator, discriminators */
    int64_t schedule;    /* 0 = constant, 1 = cosine down to a hundredth at the last step */
    int64_t warmup;      /* steps of a rising rate */
    double average;      /* decay of the parameters' average; 0 = none */
    int64_t seed;
} gen_dgmr_recipe;

/* Its options, for a table of a struct that holds a recipe at `at`. */
#define GEN_DGMR_AT(at, field) (at) + offsetof(gen_dgmr_recipe, field)
#define GEN_DGMR_RECIPE(at)                                                                        \
    { .type = GEN_OPT_INT,                                                                         \
      .name = "batch",                                                                             \
      .offset = GEN_DGMR_AT(at, batch),                                                            \
      .preset = 4,                                                                                 \
      .min = 1,                                                                                    \
      .max = 4096,                                                                                 \
      .value = "N",                                                                                \
      .help = "sequences a step" },                                                                \
        { .type = GEN_OPT_INT,                                                                     \
          .name = "pieces",                                                                        \
          .offset = GEN_DGMR_AT(at, pieces),                                                       \
          .preset = 1,                                                                             \
          .min = 1,                                                                                \
          .max = 4096,                                                                             \
          .value = "N",                                                                            \
          .help = "micro-batches that a batch is cut into, for less memory; divides the batch" },  \
        { .type = GEN_OPT_INT,                                                                     \
          .name = "crop",                                                                          \
          .offset = GEN_DGMR_AT(at, crop),                                                         \
          .preset = 64,                                                                            \
          .min = 32,                                                                               \
          .max = 4096,                                                                             \
          .value = "CELLS",                                                                        \
          .help = "side of the training crops, a multiple of 32" },                                \
        { .type = GEN_OPT_INT,                                                                     \
          .name = "d-steps",                                                                       \
          .offset = GEN_DGMR_AT(at, d_steps),                                                      \
          .preset = 2,                                                                             \
          .min = 1,                                                                                \
          .max = 100,                                                                              \
          .value = "N",                                                                            \
          .help = "steps of the discriminators for one of the generator" },                        \
        { .type = GEN_OPT_INT,                                                                     \
          .name = "draws",                                                                         \
          .offset = GEN_DGMR_AT(at, draws),                                                        \
          .preset = 2,                                                                             \
          .min = 1,                                                                                \
          .max = 64,                                                                               \
          .value = "N",                                                                            \
          .help = "draws of the generator for each sequence, in its step" },                       \
        { .type = GEN_OPT_INT,                                                                     \
          .name = "draws-at-once",                                                                 \
          .offset = GEN_DGMR_AT(at, draws_at_once),                                                \
          .min = 0,                                                                                \
          .max = 64,                                                                               \
          .value = "N",                                                                            \
          .help = "less than --draws: in two passes, for less memory; 0: all at once" },           \
        { .type = GEN_OPT_REAL,                                                                    \
          .name = "lambda",                                                                        \
          .offset = GEN_DGMR_AT(at, lambda),                                                       \
          .preset = 20,                                                                            \
          .min = 0,                                                                                \
          .max = 1e6,                                                                              \
          .value = "X",                                                                            \
          .help = "weight of the regulariser" },                                                   \
        { .type = GEN_OPT_REAL,                                                                    \
          .name = "adversarial",                                                                   \
          .offset = GEN_DGMR_AT(at, adversarial),                                                  \
          .preset = 1,                                                                             \
          .min = 0,                                                                                \
          .max = 1e6,                                                                              \
          .value = "X",                                                                            \
          .help = "weight of what the discriminators say; 0: train without them" },                \
        { .type = GEN_OPT_CHOICE,                                                                  \
          .name = "regulariser",                                                                   \
          .offset = GEN_DGMR_AT(at, regulariser),                                                  \
          .choices = GEN_DGMR_REGULARISER_CHOICES,                                                 \
          .help = "what holds the draws to the observation: their mean (the paper), or the CRPS "  \
                  "of the "                                                                        \
                  "ensemble" },                                                                    \
        { .type = GEN_OPT_CHOICE,                                                                  \
          .name = "weight",                                                                        \
          .offset = GEN_DGMR_AT(at, weight),                                                       \
          .choices = GEN_DGMR_WEIGHT_CHOICES,                                                      \
          .help = "of a cell by its rain, in the regulariser" },                                   \
        { .type = GEN_OPT_INT,                                                                     \
          .name = "octaves",                                                                       \
          .offset = GEN_DGMR_AT(at, octaves),                                                      \
          .min = 0,                                                                                \
          .max = 5,                                                                                \
          .value = "N",                                                                            \
          .help = "of the CRPS: also of means over 2x2, 4x4 ... cells" },                          \
        { .type = GEN_OPT_FLAG,                                                                    \
          .name = "clamp",                                                                         \
          .offset = GEN_DGMR_AT(at, clamp),                                                        \
          .help = "train on rain as forecasts show it, 0 where the network gives less" },          \
        { .type = GEN_OPT_REAL,                                                                    \
          .name = "calm",                                                                          \
          .offset = GEN_DGMR_AT(at, calm),                                                         \
          .min = 0,                                                                                \
          .max = 1e6,                                                                              \
          .value = "MM/H",                                                                         \
          .help =                                                                                  \
              "in the regulariser, sequences whose context has this mean rain count half; 0: all " \
              "count alike, and heavy rain most" },                                                \
        { .type = GEN_OPT_REAL,                                                                    \
          .name = "rate",                                                                          \
          .offset = GEN_DGMR_AT(at, rate),                                                         \
          .preset = 5e-5,                                                                          \
          .min = 1e-12,                                                                            \
          .max = 1,                                                                                \
          .value = "X",                                                                            \
          .help = "learning rate of the generator" },                                              \
        { .type = GEN_OPT_REAL,                                                                    \
          .name = "d-rate",                                                                        \
          .offset = GEN_DGMR_AT(at, d_rate),                                                       \
          .preset = 2e-4,                                                                          \
          .min = 1e-12,                                                                            \
          .max = 1,                                                                                \
          .value = "X",                                                                            \
          .help = "learning rate of the discriminators" },                                         \
        { .type = GEN_OPT_CHOICE,                                                                  \
          .name = "schedule",                                                                      \
          .offset = GEN_DGMR_AT(at, schedule),                                                     \
          .choices = "constant|cosine",                                                            \
          .help = "of both rates" },                                                               \
        { .type = GEN_OPT_INT,                                                                     \
          .name = "warmup",                                                                        \
          .offset = GEN_DGMR_AT(at, warmup),                                                       \
          .min = 0,                                                                                \
          .max = 1000000,                                                                          \
          .value = "N",                                                                            \
          .help = "steps at the beginning in which the rates rise" },                              \
        { .type = GEN_OPT_REAL,                                                                    \
          .name = "average",                                                                       \
          .offset = GEN_DGMR_AT(at, average),                                                      \
          .preset = 0.999,                                                                         \
          .min = 0,                                                                                \
          .max = 0.999999,                                                                         \
          .value = "X",                                                                            \
          .help =                                                                                  \
              "decay of the average of the parameters, which is what is validated and saved; 0: "  \
              "none" },                                                                            \
    {                                                                                              \
        .type = GEN_OPT_INT, .name = "seed", .offset = GEN_DGMR_AT(at, seed), .min = 0,            \
        .max = 9e15, .value = "N", .help = "of everything drawn"                                   \
    }

extern GEN_API const gen_option gen_dgmr_recipe_options[];

/* Sample `index`: rain [frames,crop,crop] mm/h (0 where missing), mask the same (1 where measured),
 * first the context; *source: where it is from, valid until the next call. */
typedef gen_status gen_dgmr_sample_fn(void *cookie, int64_t index, float *rain, float *mask,
                                      const char **source);

typedef struct gen_dgmr_training {
    gen_dgmr_recipe recipe;
    gen_dgmr_config generator; /* steps: lead times */
    gen_dgmr_d_config discriminator;
    gen_dgmr_sample_fn *sample;
    void *cookie;
    int64_t steps;         /* of the run, for the schedule; 0 = not known: constant */
    gen_plan_options plan; /* precision, memory_budget, estimate_only of each phase */
} gen_dgmr_training;

/* What a turn says: means over its steps, NaN where there was none. */
typedef struct gen_dgmr_turn {
    double d_loss, g_loss;
    double adversarial, regulariser;    /* parts of g_loss, before their weights */
    double score_real, score_generated; /* of both discriminators, added, in their own steps */
    double d_rate, g_rate;
} gen_dgmr_turn;

typedef struct gen_dgmr_trainer gen_dgmr_trainer;

/* params has what is there already (of the generator, of the discriminators); the rest is
 * initialised from the recipe's seed. params and backend must outlive it. EINVAL names the setting.
 */
GEN_API gen_status gen_dgmr_trainer_create(gen_dgmr_trainer **out, gen_params *params,
                                           gen_backend *backend, const gen_dgmr_training *t);
GEN_API void gen_dgmr_trainer_free(gen_dgmr_trainer **t);

/* The discriminators' phase (NULL without), the generator's. */
GEN_API gen_phase *gen_dgmr_trainer_d(gen_dgmr_trainer *t);
GEN_API gen_phase *gen_dgmr_trainer_g(gen_dgmr_trainer *t);

/* One turn: number `turn` chooses what is drawn, `step` the rates. A verdict other than GEN_COMMIT
 * ends it; the steps before stand. */
GEN_API gen_status gen_dgmr_trainer_run(gen_dgmr_trainer *t, gen_guard *guard, int64_t turn,
                                        int64_t step, gen_dgmr_turn *said, gen_verdict *verdict);

/* k draws for each of n sequences: frames [n,F,H,W,1] mm/h, z [k*n,H/32,W/32,Z] -> [k*n,T,H,W,1],
 * the conditioning stack computed once for all draws of a sequence. */
GEN_API gen_node *gen_dgmr_draws(gen_net *net, const gen_dgmr_config *c, gen_node *frames,
                                 gen_node *z);

#endif
