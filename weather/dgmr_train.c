/* SPDX-License-Identifier: Apache-2.0
 *
 * DGMR's training step. The discriminators see a real and a generated sequence; the generator's
 * loss is what they say of its draws, and the regulariser that holds the draws to the observation.
 *
 * A step takes `batch` sequences in `pieces` micro-batches. The generator's step has `draws` draws
 * of each: all in one graph, or, where memory is short, in two passes: the first computes all draws
 * without gradients, the second goes through them again, some at a time, and knows from the first
 * what the regulariser says of each.
 */
#include "weather/dgmr_train.h"

#include <math.h>
#include <string.h>

#include <libgen/random.h>

#include "libgen/base/alloc.h"
#include "libgen/graph/op.h"
#include "libgen/train/losses.h"

const gen_option gen_dgmr_recipe_options[] = { GEN_DGMR_RECIPE(0), { .type = GEN_OPT_END } };

enum { REAL, GENERATED, D_WATCHED };
enum { ADVERSARIAL, REGULARISER, G_WATCHED };
enum { MOST_WATCHED = 2 };

/* One of the two phases, as its callbacks see it. */
typedef struct side {
    gen_dgmr_trainer *t;
    gen_phase *phase;
    bool generator;
    int64_t draws;  /* of a sequence in one micro-batch */
    int64_t groups; /* of so many draws make all of them */
    int64_t next;   /* micro-batch of this turn */
    gen_node *watched[MOST_WATCHED];
} side;

struct gen_dgmr_trainer {
    gen_dgmr_training o;
    int64_t n;      /* sequences a micro-batch */
    int64_t frames; /* context and lead times */
    int64_t cells;  /* of a field */
    side d, g;
    gen_plan *first;    /* the first of two passes: draws of n sequences; NULL where not needed */
    float *drawn;       /* [draws*n,T,crop,crop] of it */
    float *rain, *mask; /* [batch,frames,cells] */
    double measured;    /* cells of the whole batch */
    char *source;       /* of its samples */
    uint64_t source_room;
    int64_t turn;
};

/* ---- graphs ---------------------------------------------------------------------------------- */

gen_node *gen_dgmr_draws(gen_net *net, const gen_dgmr_config *c, gen_node *frames, gen_node *z)
{
    gen_node *state[GEN_DGMR_LEVELS];
    gen_graph *g = net->g;
    gen_dgmr_conditioning(net, c, frames, state);
    gen_node *latent = gen_dgmr_latent(net, c, z);
    if (gen_graph_failed(g))
        return NULL;
    int64_t k = gen_node_shape(z).dim[0] / gen_node_shape(frames).dim[0];
    for (int i = 0; i < GEN_DGMR_LEVELS; i++)
        state[i] = gen_dgmr_repeat(g, state[i], k);
    gen_node *newest = gen_dgmr_newest(g, c, frames);
    newest = newest ? gen_dgmr_repeat(g, newest, k) : NULL;
    return gen_dgmr_sampler(net, c, latent, state, newest, c->steps, NULL);
}

static gen_node *field(gen_graph *g, const gen_dgmr_trainer *t, const char *name, int64_t n,
                       int64_t frames)
{
    return gen_input(g, name, GEN_F32, GEN_SHAPE(n, frames, t->o.recipe.crop, t->o.recipe.crop, 1));
}

/* The micro-batch's inputs, and draws of its sequences. */
typedef struct inputs {
    gen_node *context, *target, *mask, *drawn;
} inputs;

static inputs sequences(gen_net *net, const gen_dgmr_trainer *t, int64_t draws)
{
    const gen_dgmr_config *c = &t->o.generator;
    gen_graph *g = net->g;
    int64_t cells = t->o.recipe.crop / 32;
    gen_node *z = gen_input(g, "z", GEN_F32, GEN_SHAPE(draws * t->n, cells, cells, c->z_channels));
    inputs in = { .context = field(g, t, "context", t->n, c->frames),
                  .target = field(g, t, "target", t->n, c->steps),
                  .mask = field(g, t, "mask", t->n, c->steps) };
    in.drawn = gen_dgmr_draws(net, c, in.context, z);
    return in;
}

/* Scores of both discriminators: [0] the spatial's, [1] the temporal's. */
typedef struct scores {
    gen_node *real[2], *generated[2];
} scores;

static scores judge(gen_net *net, const gen_dgmr_trainer *t, const inputs *in, gen_node *drawn,
                    int64_t draws)
{
    const gen_dgmr_d_config *c = &t->o.discriminator;
    gen_graph *g = net->g;
    scores s;
    gen_node *index = gen_input(g, "index", GEN_I32, GEN_SHAPE(c->picked * (1 + draws) * t->n));
    gen_node *offset = NULL;
    if (c->view == GEN_DGMR_VIEW_CROP)
        offset = gen_input(g, "offset", GEN_I32, GEN_SHAPE(1, 2));
    if (t->o.recipe.clamp)
        drawn = gen_relu(g, drawn);
    gen_node *all = gen_dgmr_pair(g, in->context, in->target, drawn, in->mask);
    gen_node *spatial = gen_dgmr_spatial(net, c, all, index);
    gen_node *temporal = gen_dgmr_temporal(net, c, all, offset);
    gen_dgmr_split(g, spatial, t->n, &s.real[0], &s.generated[0]);
    gen_dgmr_split(g, temporal, t->n, &s.real[1], &s.generated[1]);
    return s;
}

static gen_node *mean_score(gen_graph *g, gen_node *const score[2])
{
    return gen_add(g, gen_mean_of_all(g, score[0]), gen_mean_of_all(g, score[1]));
}

static gen_node *loss_of_d(gen_net *net, void *cookie)
{
    side *p = cookie;
    gen_graph *g = net->g;
    inputs in = sequences(net, p->t, 1);
    scores s = judge(net, p->t, &in, gen_stop_gradient(g, in.drawn), 1);
    p->watched[REAL] = mean_score(g, s.real);
    p->watched[GENERATED] = mean_score(g, s.generated);
    return gen_add(g, gen_hinge_discriminator(g, s.real[0], s.generated[0]),
                   gen_hinge_discriminator(g, s.real[1], s.generated[1]));
}

static gen_node *loss_of_g(gen_net *net, void *cookie)
{
    side *p = cookie;
    gen_graph *g = net->g;
    const gen_dgmr_recipe *r = &p->t->o.recipe;
    const gen_dgmr_hold hold = { .kind = (gen_dgmr_regulariser)r->regulariser,
                                 .weight = (gen_dgmr_weight)r->weight,
                                 .draws = r->draws,
                                 .clamp = r->clamp != 0,
                                 .octaves = r->octaves };
    inputs in = sequences(net, p->t, p->draws);
    gen_node *cells = gen_input(g, "cells", GEN_F32, GEN_SHAPE(1));
    gen_node *draws = p->groups > 1
                          ? field(g, p->t, "draws", r->draws * p->t->n, p->t->o.generator.steps)
                          : gen_stop_gradient(g, in.drawn);
    gen_node *own = in.drawn, *target = in.target;
    if (r->calm > 0) {
        own = gen_dgmr_calm(g, own, in.context, r->calm);
        draws = gen_dgmr_calm(g, draws, in.context, r->calm);
        target = gen_dgmr_calm(g, target, in.context, r->calm);
    }
    gen_node *held = gen_dgmr_hold_loss(g, &hold, own, draws, target, in.mask, cells);
    gen_node *adversarial = gen_fill(g, GEN_SHAPE(1), 0);
    if (r->adversarial > 0) {
        scores s = judge(net, p->t, &in, in.drawn, p->draws);
        adversarial = gen_add(g, gen_hinge_generator(g, s.generated[0]),
                              gen_hinge_generator(g, s.generated[1]));
    }
    p->watched[ADVERSARIAL] = adversarial;
    p->watched[REGULARISER] = held;
    return gen_add(g, gen_affine(g, adversarial, r->adversarial, 0),
                   gen_affine(g, held, r->lambda, 0));
}

/* ---- filling --------------------------------------------------------------------------------- */

/* Batches of a turn: the discriminators' first. Each has numbers of its own for all it draws. */
static int64_t batch_number(const side *p, int64_t step_of_turn)
{
    const gen_dgmr_recipe *r = &p->t->o.recipe;
    int64_t d_steps = r->adversarial > 0 ? r->d_steps : 0;
    return p->t->turn * (d_steps + 1) + (p->generator ? d_steps : step_of_turn);
}

static gen_status name_sources(gen_dgmr_trainer *t, const char *name)
{
    size_t used = strlen(t->source), more = strlen(name);
    if (used && strstr(t->source, name))
        return GEN_OK;
    GEN_TRY(GEN_GROW(&t->source, &t->source_room, used + more + 3));
    sprintf(t->source + used, "%s%s", used ? ", " : "", name);
    return GEN_OK;
}

static gen_status load_batch(gen_dgmr_trainer *t, int64_t number)
{
    int64_t size = t->frames * t->cells, context = t->o.generator.frames * t->cells;
    const char *source;
    t->measured = 0;
    t->source[0] = 0;
    for (int64_t i = 0; i < t->o.recipe.batch; i++) {
        float *mask = t->mask + i * size;
        GEN_TRY(t->o.sample(t->o.cookie, number * t->o.recipe.batch + i, t->rain + i * size, mask,
                            &source));
        GEN_TRY(name_sources(t, source ? source : ""));
        for (int64_t k = context; k < size; k++)
            t->measured += (double)mask[k];
    }
    return GEN_OK;
}

/* Frames first to last of each of the n sequences from `from` on. */
static void copy_frames(const gen_dgmr_trainer *t, gen_tensor to, const float *from, int64_t first)
{
    float *out = to.data;
    int64_t size = to.shape.dim[1] * t->cells;
    for (int64_t i = 0; i < t->n; i++)
        memcpy(out + i * size, from + (i * t->frames + first) * t->cells,
               (size_t)size * sizeof *out);
}

/* Noise of draws first ... of the n sequences of a piece; the same however a batch is cut. */
static void draw_noise(const gen_dgmr_trainer *t, gen_tensor z, int64_t number, int64_t piece,
                       int64_t first)
{
    const gen_dgmr_recipe *r = &t->o.recipe;
    int64_t size = gen_shape_count(z.shape) / z.shape.dim[0], draws = z.shape.dim[0] / t->n;
    for (int64_t k = 0; k < draws; k++) {
        int64_t at = (number * r->draws + first + k) * r->batch + piece * t->n;
        gen_random_normal((float *)z.data + k * t->n * size, t->n * size, (uint64_t)r->seed,
                          gen_stream("dgmr/train/z"), (uint64_t)(at * size));
    }
}

/* All draws of the piece, as many at a time as in the second pass: batch norm looks at them all. */
static gen_status first_pass(gen_dgmr_trainer *t, int64_t number, int64_t piece, const float *rain)
{
    int64_t size = t->n * t->o.generator.steps * t->cells, at_once = t->g.draws;
    copy_frames(t, gen_plan_input(t->first, "context"), rain, 0);
    for (int64_t k = 0; k < t->o.recipe.draws; k += at_once) {
        draw_noise(t, gen_plan_input(t->first, "z"), number, piece, k);
        GEN_TRY(gen_plan_run(t->first, NULL));
        memcpy(t->drawn + k * size, gen_plan_output(t->first, 0).data,
               (size_t)(at_once * size) * sizeof *t->drawn);
    }
    return GEN_OK;
}

static gen_status choose_views(const side *p, gen_plan *plan, uint64_t number)
{
    const gen_dgmr_trainer *t = p->t;
    const gen_dgmr_recipe *r = &t->o.recipe;
    gen_tensor index = gen_plan_input(plan, "index"), offset = gen_plan_input(plan, "offset");
    if (index.data)
        GEN_TRY(gen_dgmr_pick(&t->o.discriminator, (1 + p->draws) * t->n, t->frames,
                              t->o.generator.frames, (uint64_t)r->seed, number, index.data));
    if (offset.data)
        gen_dgmr_place(r->crop, r->crop, (uint64_t)r->seed, number, offset.data);
    return GEN_OK;
}

static gen_status fill(void *cookie, gen_plan *plan, const char **sample)
{
    side *p = cookie;
    gen_dgmr_trainer *t = p->t;
    int64_t a_step = t->o.recipe.pieces * p->groups, at = p->next++;
    int64_t number = batch_number(p, at / a_step), micro = at % a_step;
    int64_t piece = micro / p->groups, group = micro % p->groups;
    if (micro == 0)
        GEN_TRY(load_batch(t, number));
    *sample = t->source;
    const float *rain = t->rain + piece * t->n * t->frames * t->cells;
    const float *mask = t->mask + piece * t->n * t->frames * t->cells;
    copy_frames(t, gen_plan_input(plan, "context"), rain, 0);
    copy_frames(t, gen_plan_input(plan, "target"), rain, t->o.generator.frames);
    copy_frames(t, gen_plan_input(plan, "mask"), mask, t->o.generator.frames);
    draw_noise(t, gen_plan_input(plan, "z"), number, piece, group * p->draws);
    GEN_TRY(choose_views(p, plan, (uint64_t)(number * t->o.recipe.batch + piece)));
    gen_tensor cells = gen_plan_input(plan, "cells"), draws = gen_plan_input(plan, "draws");
    if (cells.data) /* the pieces' losses are averaged, and their sum is the batch's */
        *(float *)cells.data = (float)(t->measured / (double)t->o.recipe.pieces);
    if (!draws.data)
        return GEN_OK;
    if (group == 0)
        GEN_TRY(first_pass(t, number, piece, rain));
    memcpy(draws.data, t->drawn, gen_tensor_bytes(&draws));
    return GEN_OK;
}

/* ---- creation -------------------------------------------------------------------------------- */

static gen_status check(const gen_dgmr_training *o)
{
    const gen_dgmr_recipe *r = &o->recipe;
    if (r->crop < 32 || r->crop % 32)
        return gen_fail(GEN_EINVAL, "crop: found %lld cells, expected a multiple of 32",
                        (long long)r->crop);
    if (r->pieces < 1 || r->batch % r->pieces)
        return gen_fail(GEN_EINVAL, "pieces: found %lld, expected a divisor of the batch, %lld",
                        (long long)r->pieces, (long long)r->batch);
    if (r->draws_at_once && (r->draws_at_once > r->draws || r->draws % r->draws_at_once))
        return gen_fail(GEN_EINVAL, "draws at once: found %lld, expected a divisor of %lld",
                        (long long)r->draws_at_once, (long long)r->draws);
    if (r->regulariser == GEN_DGMR_REGULARISE_CRPS && r->draws < 2)
        return gen_fail(GEN_EINVAL, "the CRPS as regulariser needs 2 draws or more, found %lld",
                        (long long)r->draws);
    if (r->regulariser == GEN_DGMR_REGULARISE_MEAN && r->octaves)
        return gen_fail(GEN_EINVAL, "octaves are of the CRPS as regulariser");
    if (r->clamp && r->regulariser == GEN_DGMR_REGULARISE_MEAN)
        return gen_fail(GEN_EINVAL, "clamp: the regulariser must be the CRPS then");
    if (r->calm > 0 && r->weight != GEN_DGMR_WEIGHT_EVEN)
        return gen_fail(GEN_EINVAL, "calm: the weight of cells must be even then");
    if (r->adversarial > 0 && o->discriminator.pick == GEN_DGMR_PICK_LEADS &&
        o->discriminator.picked > o->generator.steps)
        return gen_fail(GEN_EINVAL,
                        "the spatial discriminator sees %lld lead times, but there are %lld",
                        (long long)o->discriminator.picked, (long long)o->generator.steps);
    if (!(r->adversarial > 0) && !(r->lambda > 0))
        return gen_fail(GEN_EINVAL, "without discriminators and regulariser there is no loss");
    return GEN_OK;
}

static gen_schedule schedule_of(const gen_dgmr_training *o, double rate)
{
    const gen_dgmr_recipe *r = &o->recipe;
    gen_schedule s = { .kind = GEN_SCHEDULE_CONSTANT, .rate = rate, .warmup = r->warmup };
    if (r->schedule && o->steps > r->warmup) {
        s.kind = GEN_SCHEDULE_COSINE;
        s.steps = o->steps;
        s.last = rate / 100;
    }
    return s;
}

static const char *const of_d[] = { "discriminator/", NULL };
static const char *const of_g[] = { "conditioning/", "latent/", "sampler/", NULL };

static gen_status make_side(gen_dgmr_trainer *t, side *p, gen_params *params, gen_backend *backend)
{
    const gen_dgmr_recipe *r = &t->o.recipe;
    p->t = t;
    p->draws = !p->generator ? 1 : r->draws_at_once ? r->draws_at_once : r->draws;
    p->groups = p->generator ? r->draws / p->draws : 1;
    const gen_phase_options o = {
        .name = p->generator ? "G" : "D",
        .build = p->generator ? loss_of_g : loss_of_d,
        .fill = fill,
        .cookie = p,
        .prefixes = p->generator ? of_g : of_d,
        .adam = { .average = p->generator ? r->average : 0,
                  .bf16 = t->o.plan.precision == GEN_BF16 },
        .schedule = schedule_of(&t->o, p->generator ? r->rate : r->d_rate),
        .micro_batches = r->pieces * p->groups,
        .repeats = p->generator ? 1 : r->d_steps,
        .watched = p->watched,
        .n_watched = p->generator ? (int)G_WATCHED : (int)D_WATCHED,
        .plan = t->o.plan,
    };
    return gen_phase_create(&p->phase, params, (uint64_t)r->seed, backend, &o);
}

static gen_status plan_first_pass(gen_dgmr_trainer *t, gen_params *params, gen_backend *backend)
{
    gen_plan_options options = t->o.plan;
    gen_net net = { .training = true };
    options.params_vary = 1;
    GEN_TRY(
        GEN_ALLOC(&t->drawn, t->o.recipe.draws * t->n * t->o.generator.steps * t->cells, "draws"));
    GEN_TRY(gen_graph_create(&net.g));
    gen_node *rain = sequences(&net, t, t->g.draws).drawn;
    gen_status status = gen_graph_status(net.g);
    if (!status)
        status = gen_plan_create(&t->first, net.g, &rain, 1, params, backend, &options);
    gen_net_free(&net);
    gen_graph_free(&net.g);
    return status;
}

gen_status gen_dgmr_trainer_create(gen_dgmr_trainer **out, gen_params *params, gen_backend *backend,
                                   const gen_dgmr_training *training)
{
    gen_status status;
    gen_dgmr_trainer *t = NULL;
    *out = NULL;
    GEN_TRY(check(training));
    GEN_GOTO(GEN_ALLOC(&t, 1, "trainer"));
    t->o = *training;
    t->n = t->o.recipe.batch / t->o.recipe.pieces;
    t->frames = t->o.generator.frames + t->o.generator.steps;
    t->cells = t->o.recipe.crop * t->o.recipe.crop;
    GEN_GOTO(GEN_ALLOC(&t->rain, t->o.recipe.batch * t->frames * t->cells, "a batch"));
    GEN_GOTO(GEN_ALLOC(&t->mask, t->o.recipe.batch * t->frames * t->cells, "a batch"));
    GEN_GOTO(GEN_GROW(&t->source, &t->source_room, 1));
    t->source[0] = 0;
    t->g.generator = true;
    GEN_GOTO(make_side(t, &t->g, params, backend));
    if (t->o.recipe.adversarial > 0)
        GEN_GOTO(make_side(t, &t->d, params, backend));
    if (t->g.groups > 1)
        GEN_GOTO(plan_first_pass(t, params, backend));
    *out = t;
    t = NULL;
done:
    gen_dgmr_trainer_free(&t);
    return status;
}

void gen_dgmr_trainer_free(gen_dgmr_trainer **trainer)
{
    gen_dgmr_trainer *t = *trainer;
    *trainer = NULL;
    if (!t)
        return;
    gen_phase_free(&t->d.phase);
    gen_phase_free(&t->g.phase);
    gen_plan_free(&t->first);
    gen_free(t->drawn);
    gen_free(t->rain);
    gen_free(t->mask);
    gen_free(t->source);
    gen_free(t);
}

gen_phase *gen_dgmr_trainer_d(gen_dgmr_trainer *t)
{
    return t->d.phase;
}

gen_phase *gen_dgmr_trainer_g(gen_dgmr_trainer *t)
{
    return t->g.phase;
}

/* ---- running --------------------------------------------------------------------------------- */

gen_status gen_dgmr_trainer_run(gen_dgmr_trainer *t, gen_guard *guard, int64_t turn, int64_t step,
                                gen_dgmr_turn *said, gen_verdict *verdict)
{
    const gen_schedule d = schedule_of(&t->o, t->o.recipe.d_rate),
                       g = schedule_of(&t->o, t->o.recipe.rate);
    const double none = (double)NAN;
    *said = (gen_dgmr_turn){ none, none, none, none, none, none, none, none };
    *verdict = GEN_COMMIT;
    t->turn = turn;
    t->d.next = t->g.next = 0;
    if (t->d.phase) {
        GEN_TRY(gen_phase_run(t->d.phase, guard, step, &said->d_loss, verdict));
        said->score_real = gen_phase_watched(t->d.phase, REAL);
        said->score_generated = gen_phase_watched(t->d.phase, GENERATED);
        said->d_rate = gen_schedule_rate(&d, step);
    }
    if (*verdict != GEN_COMMIT)
        return GEN_OK;
    GEN_TRY(gen_phase_run(t->g.phase, guard, step, &said->g_loss, verdict));
    said->adversarial = gen_phase_watched(t->g.phase, ADVERSARIAL);
    said->regulariser = gen_phase_watched(t->g.phase, REGULARISER);
    said->g_rate = gen_schedule_rate(&g, step);
    return GEN_OK;
}
