/* SPDX-License-Identifier: Apache-2.0
 *
 * A turn of DGMR's training, for tests/bench/train_step.py: two steps of the discriminators, one of
 * the generator with two draws. Says "ready SECONDS", then does a turn for each line on stdin and
 * answers with its seconds and losses; a line that begins with d dumps both plans instead.
 *
 *     train_step WIDTH SIZE BATCH LEADS f32|tf32|bf16 THREADS [DRAWS_AT_ONCE [DEVICE]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libgen/random.h>

#include "weather/dgmr_train.h"

enum { CONTEXT = 4, SAMPLES = 8 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int give_up(const char *what)
{
    fprintf(stderr, "train_step: %s: %s\n", what, gen_last_error());
    return 1;
}

/* ---- samples --------------------------------------------------------------------------------- */

typedef struct samples {
    int64_t size, frames;
    float *rain[SAMPLES]; /* [frames,size,size] mm/h; NULL: not made yet */
} samples;

/* Showers: a few moving blobs, so that losses mean something. */
static float *showers(const samples *s, int64_t index)
{
    enum { BLOBS = 4 };
    float r[BLOBS][4], *rain = malloc(sizeof *rain * (size_t)(s->frames * s->size * s->size));
    float *to = rain, side = (float)s->size;
    gen_random_uniform(&r[0][0], BLOBS * 4, 1, gen_stream("blobs"), (uint64_t)index * BLOBS * 4);
    for (int64_t i = 0; rain && i < s->frames * s->size * s->size; i++) {
        int64_t t = i / (s->size * s->size), y = i / s->size % s->size, x = i % s->size;
        float sum = 0;
        for (int b = 0; b < BLOBS; b++) {
            float dy = (float)y - side * r[b][0] - (float)t * r[b][2];
            float dx = (float)x - side * r[b][1] - (float)t * r[b][3];
            float d = 1 - (dx * dx + dy * dy) * 64 / (side * side);
            sum += d > 0 ? 10 * d * d : 0;
        }
        *to++ = sum;
    }
    return rain;
}

static gen_status sample(void *cookie, int64_t index, float *rain, float *mask,
                         const char **source)
{
    samples *s = cookie;
    float **made = &s->rain[index % SAMPLES];
    int64_t n = s->frames * s->size * s->size;
    *source = NULL;
    if (!*made)
        *made = showers(s, index % SAMPLES);
    if (!*made)
        return GEN_ENOMEM;
    memcpy(rain, *made, sizeof *rain * (size_t)n);
    for (int64_t i = 0; i < n; i++)
        mask[i] = 1;
    return GEN_OK;
}

/* ---- the program ----------------------------------------------------------------------------- */

static gen_dgmr_training training_of(char **argv, samples *s)
{
    gen_dgmr_training t = { .sample = sample, .cookie = s };
    gen_options_defaults(gen_dgmr_recipe_options, &t.recipe);
    gen_options_defaults(gen_dgmr_arch.config, &t.generator);
    gen_options_defaults(gen_dgmr_d_options, &t.discriminator);
    t.generator.width = t.discriminator.width = atof(argv[1]);
    t.recipe.crop = s->size = atoll(argv[2]);
    t.recipe.batch = atoll(argv[3]);
    t.generator.steps = atoll(argv[4]);
    t.recipe.average = 0; /* as the peer */
    s->frames = CONTEXT + t.generator.steps;
    t.plan.precision = strcmp(argv[5], "bf16") ? GEN_F32 : GEN_BF16;
    t.plan.tf32 = !strcmp(argv[5], "tf32");
    return t;
}

int main(int argc, char **argv)
{
    double start = now();
    samples s = { 0 };
    gen_backend *backend;
    gen_params *params;
    gen_dgmr_trainer *trainer;
    gen_guard guard = { .policy = GEN_ON_NAN_STOP };
    if (argc < 7) {
        fprintf(
            stderr,
            "usage: train_step WIDTH SIZE BATCH LEADS f32|tf32|bf16 THREADS [AT_ONCE [DEVICE]]\n");
        return 2;
    }
    gen_dgmr_training t = training_of(argv, &s);
    t.recipe.draws_at_once = argc > 7 ? atoll(argv[7]) : 0;
    if (gen_backend_open(&backend, argc > 8 ? argv[8] : "cpu", atoi(argv[6])) ||
        gen_params_create(&params) || gen_dgmr_trainer_create(&trainer, params, backend, &t))
        return give_up("trainer");
    printf("ready %.3f\n", now() - start);
    fflush(stdout);
    char line[64];
    for (int64_t turn = 0; fgets(line, sizeof line, stdin); fflush(stdout)) {
        gen_dgmr_turn said;
        gen_verdict verdict;
        if (line[0] == 'd') {
            gen_phase_dump(gen_dgmr_trainer_d(trainer), 5, stdout);
            gen_phase_dump(gen_dgmr_trainer_g(trainer), 5, stdout);
            continue;
        }
        double begin = now();
        if (gen_dgmr_trainer_run(trainer, &guard, turn, turn, &said, &verdict))
            return give_up("turn");
        turn++;
        printf("%.6f %.6f %.6f\n", now() - begin, said.d_loss, said.g_loss);
    }
    gen_dgmr_trainer_free(&trainer);
    gen_params_free(&params);
    gen_backend_close(&backend);
    for (int i = 0; i < SAMPLES; i++)
        free(s.rain[i]);
    return 0;
}
