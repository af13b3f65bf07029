/* SPDX-License-Identifier: Apache-2.0
 *
 * Training, whatever the network: Adam on f32 masters with accumulation and an average of the
 * parameters, schedules of the learning rate, a look at each step before it is committed,
 * phases of a GAN, checkpoints.
 *
 * gen_phase does one turn of a GAN's discriminators or generator; the other parts are what it is
 * made of, for trainers that need more. Plans compute losses, gradients and statistics that new
 * states are made of (<libgen/plan.h>); parameters and states change by a commit only, once per
 * logical step:
 *
 *     for each micro-batch:
 *         gen_plan_run(plan, NULL);
 *         gen_optimiser_add(adam, gradients);  gen_pending_add(states, statistics);
 *     look at the losses, gen_optimiser_look(adam, &look), gen_pending_look(states, &look);
 *     gen_guard_judge(&guard, what they said, &verdict);
 *     GEN_COMMIT:  gen_optimiser_step(adam, gen_schedule_rate(&schedule, step));
 *                  gen_pending_commit(states);
 *     else:        gen_optimiser_discard(adam);  gen_pending_discard(states);  ...
 *
 * Results are the same bytes at any number of threads. Objects belong to one thread at a time.
 */
#ifndef LIBGEN_TRAIN_H
#define LIBGEN_TRAIN_H

#include <libgen/nn.h>
#include <libgen/params.h>
#include <libgen/plan.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- schedule.c: the learning rate of a step ------------------------------------------------- */

typedef enum gen_schedule_kind {
    GEN_SCHEDULE_CONSTANT,
    GEN_SCHEDULE_COSINE, /* half a cosine from rate at the end of the warm-up to `last` at `steps`
                          */
    GEN_SCHEDULE_DROPS   /* times `factor` at each step of the list */
} gen_schedule_kind;

#define GEN_MAX_DROPS 16

typedef struct gen_schedule {
    gen_schedule_kind kind;
    double rate;
    int64_t warmup;               /* steps 0..warmup-1 have rate * (step + 1) / warmup; 0 = none */
    int64_t steps;                /* COSINE */
    double last;                  /* COSINE: rate from `steps` on */
    double factor;                /* DROPS: 0 = 0.1 */
    int64_t drops[GEN_MAX_DROPS]; /* DROPS: ascending; n_drops of them */
    int n_drops;
} gen_schedule;

/* EINVAL: what a schedule cannot be (no rate, a list that descends ...). */
GEN_API gen_status gen_schedule_check(const gen_schedule *s);
/* `step` counts from 0. Of a schedule that was checked. */
GEN_API double gen_schedule_rate(const gen_schedule *s, int64_t step);

/* ---- optimiser.c: Adam ----------------------------------------------------------------------- */

/* Adam (Kingma and Ba 2015) with the bias corrections of torch.optim.Adam:
 *     g += weight_decay * w;  m = beta1 m + (1-beta1) g;  v = beta2 v + (1-beta2) g^2
 *     w -= rate / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
 *     average = decay average + (1-decay) w
 * All zero is what GANs use: beta (0, 0.999), eps 1e-8, no decay, no average. */
typedef struct gen_adam_options {
    double beta1;        /* 0 keeps no first moment at all */
    double beta2;        /* 0 = 0.999 */
    double eps;          /* 0 = 1e-8 */
    double weight_decay; /* added to the gradient, as torch.optim.Adam (not AdamW) */
    double average;      /* decay of the exponential moving average of the parameters; 0 = none */
    int64_t bf16;        /* 1: a bf16 copy of each parameter follows its f32 master */
} gen_adam_options;

typedef struct gen_optimiser gen_optimiser;

/* Optimises `names` of params (NULL: every trained tensor, in order of name); their values in
 * params are the f32 masters, changed in place by gen_optimiser_step. The average begins with the
 * values that params has now. params and backend (whose threads are used) must outlive it. EINVAL:
 * an option out of range, a name that params does not have or that comes twice. */
GEN_API gen_status gen_optimiser_create(gen_optimiser **out, gen_params *params,
                                        const char *const names[], int n,
                                        const gen_adam_options *options, gen_backend *backend);
GEN_API void gen_optimiser_free(gen_optimiser **o);
/* What it keeps beside n numbers that it trains. */
GEN_API uint64_t gen_adam_bytes(const gen_adam_options *options, int64_t n);

/* The parameters, in the order in which gradients are given. */
GEN_API int gen_optimiser_count(const gen_optimiser *o);
GEN_API const char *gen_optimiser_name(const gen_optimiser *o, int i);

/* Adds the gradients of one micro-batch: gradient[i] is f32, of the shape of parameter i; NULL
 * counts as 0. On a device they lie there. */
GEN_API gen_status gen_optimiser_add(gen_optimiser *o, const float *const gradient[]);
/* One step with the mean of the gradients added since the last one; EINVAL when there are none. */
GEN_API gen_status gen_optimiser_step(gen_optimiser *o, double rate);
/* Forgets the gradients added since the last step. */
GEN_API gen_status gen_optimiser_discard(gen_optimiser *o);

/* Steps taken: t of the bias corrections. */
GEN_API int64_t gen_optimiser_steps(const gen_optimiser *o);

/* Views; data NULL where the options ask for none. The sum is that of gen_optimiser_add. On a
 * device their data lie there. */
GEN_API gen_tensor gen_optimiser_average(const gen_optimiser *o, int i); /* f32 */
GEN_API gen_tensor gen_optimiser_bf16(const gen_optimiser *o, int i);    /* bf16 */
GEN_API gen_tensor gen_optimiser_sum(const gen_optimiser *o, int i);     /* f32 */

/* Exchanges parameters and their average: once before validation or a save of the averaged model,
 * once after. EINVAL without an average. */
GEN_API gen_status gen_optimiser_swap(gen_optimiser *o);

/* ---- guard.c: a step is looked at before it is committed --------------------------------------
 */

/* What the sentence says of a value that is not finite. */
typedef struct gen_look {
    int64_t step;
    const char *sample; /* where the data came from, a file's name; NULL: not said */
} gen_look;

/* ENUMERIC: "step 7, sample a.h5: NAME, element 3 of [2,4], is nan, ..." of the first value of `t`
 * (f32) that is not finite. `name` says what it is: "loss of D". */
GEN_API gen_status gen_look_at(const gen_look *l, const char *name, gen_tensor t);
/* The same for the gradients added so far, in order of parameters: nothing else can make a step
 * that is not finite. Gradients whose squares overflow are refused as well. */
GEN_API gen_status gen_optimiser_look(const gen_optimiser *o, const gen_look *l);

/* New values of states (power-iteration vectors, running statistics), kept beside until the step is
 * committed. Statistics of its micro-batches, all of one size, are joined as gen_update says
 * (<libgen/nn.h>): vectors that depend on weights only move once, running means and variances by
 * those of all values of the step, the variance between micro-batches included.
 *
 * A step of several micro-batches is that of one batch of all their samples, but for rounding:
 *   - gradients, new parameters and new states, where the loss is a mean over samples and no layer
 *     looks at a whole batch (spectral norm does not);
 *   - with batch norm in training, the new states of those norms only whose input hangs on no other
 *     batch norm. Every micro-batch is normalised by its own statistics, and gradients pass through
 *     these: outputs, gradients, and the statistics of norms further on differ from the big batch's
 *     by as much as the statistics differ from one micro-batch to the next. */
typedef struct gen_pending gen_pending;

/* For the updates of `net`, which may be freed after. EINVAL: a state that params does not have.
 * params and backend must outlive it. */
GEN_API gen_status gen_pending_create(gen_pending **out, gen_params *params, const gen_net *net,
                                      gen_backend *backend);
GEN_API void gen_pending_free(gen_pending **p);
/* Values (f32) of the nodes of gen_net_statistics, in that order, from one micro-batch. On a device
 * they lie there. */
GEN_API gen_status gen_pending_add(gen_pending *p, const float *const statistic[]);
/* ENUMERIC: a new value that is not finite. */
GEN_API gen_status gen_pending_look(const gen_pending *p, const gen_look *l);
/* Into params; nothing where nothing was added. */
GEN_API gen_status gen_pending_commit(gen_pending *p);
GEN_API gen_status gen_pending_discard(gen_pending *p);

typedef enum gen_on_nan { GEN_ON_NAN_STOP, GEN_ON_NAN_SKIP, GEN_ON_NAN_ROLLBACK } gen_on_nan;

typedef enum gen_verdict {
    GEN_COMMIT,
    GEN_SKIP,    /* discard the step, go on with the next batch */
    GEN_ROLLBACK /* discard it, load the newest checkpoint, go on with the next batch: not with that
                    of the checkpoint, or the same would happen again */
} gen_verdict;

typedef struct gen_guard {
    gen_on_nan policy;
    int64_t patience; /* bad steps in a row (SKIP), or rollbacks since a checkpoint was saved
                         (ROLLBACK), that end the run; 0 = 10 */
    int64_t bad;      /* steps that were not committed, in all; save it with the run's counters */
    int64_t in_a_row;
} gen_guard;

/* What to do with a step of which gen_..._look said `looked`. A bad step goes to the log as a
 * warning. ENUMERIC: the policy is STOP, or patience is at its end; other failures of looking are
 * returned as they are. */
GEN_API gen_status gen_guard_judge(gen_guard *g, gen_status looked, gen_verdict *out);
GEN_API void gen_guard_saved(gen_guard *g); /* a checkpoint was saved */

/* ---- phase.c: one loss and the parameters that it trains --------------------------------------
 */

/* A GAN alternates two phases over one gen_params: that of the discriminators, whose loss sees real
 * and generated samples, and that of the generator. Each has a graph of its own, an optimiser, and
 * the states that its forward passes change (of both networks). */
typedef struct gen_phase gen_phase;

/* Builds inputs, networks and the loss (one element), and returns it. */
typedef gen_node *gen_loss_fn(gen_net *net, void *cookie);
/* Fills the inputs of the next micro-batch; *sample: where it came from (valid until the next
 * call), or NULL. */
typedef gen_status gen_fill_fn(void *cookie, gen_plan *plan, const char **sample);

typedef struct gen_phase_options {
    const char *name; /* "D", for sentences; must outlive the phase */
    gen_loss_fn *build;
    gen_fill_fn *fill;
    void *cookie;                /* of both */
    const char *const *prefixes; /* of the names of the parameters that are trained; NULL-ended */
    gen_adam_options adam;
    gen_schedule schedule;
    int64_t micro_batches; /* a step; 0 = 1. The loss is their mean; see gen_pending */
    int64_t repeats;       /* steps a turn, each with batches of its own; 0 = 1: the D:G ratio */
    gen_node *const *watched; /* [n_watched] further values of one element, parts of the loss or
                                 scores, that `build` puts there: see gen_phase_watched */
    int n_watched;
    gen_plan_options plan; /* params_vary is set */
} gen_phase_options;

/* Parameters that the graph asks for and `params` lacks are initialised from `seed`. EINVAL:
 * nothing to train. params and backend must outlive it. With plan.estimate_only nothing is
 * initialised and no memory is spent on steps: it can only be described. */
GEN_API gen_status gen_phase_create(gen_phase **out, gen_params *params, uint64_t seed,
                                    gen_backend *backend, const gen_phase_options *options);
GEN_API void gen_phase_free(gen_phase **p);
GEN_API gen_optimiser *gen_phase_optimiser(gen_phase *p); /* NULL: it only estimates */

/* What a phase takes. In all: param_bytes once for the phases of one gen_params, and slab, packed
 * and held bytes of each phase. */
typedef struct gen_phase_info {
    gen_plan_info plan;   /* of one micro-batch: slab_bytes, packed_bytes, flops */
    int64_t trained;      /* numbers that it trains */
    uint64_t param_bytes; /* values of all parameters and states of its graph */
    uint64_t held_bytes;  /* moments, sums of gradients, averages, states that wait */
} gen_phase_info;
GEN_API gen_phase_info gen_phase_describe(const gen_phase *p);
/* gen_plan_dump of its plan; timing runs leave the phase as it was. */
GEN_API gen_status gen_phase_dump(gen_phase *p, int runs, FILE *out);

/* One turn: `repeats` steps, each looked at and judged before it is committed. *loss: mean over the
 * steps that were committed, NaN when there was none. Anything but GEN_COMMIT in *verdict ends the
 * turn: that step was discarded, those before it stand. */
GEN_API gen_status gen_phase_run(gen_phase *p, gen_guard *guard, int64_t step, double *loss,
                                 gen_verdict *verdict);
/* Watched value i: mean over the steps of the last turn that were committed; NaN without any. */
GEN_API double gen_phase_watched(const gen_phase *p, int i);

/* ---- saved.c: what a checkpoint holds ---------------------------------------------------------
 */

/* Named views of a run's memory: a checkpoint writes them, and loading one fills them. Names
 * differ; "PREFIX/..." of the functions below keeps apart what would be called the same. The
 * objects must outlive the list. */
typedef struct gen_saved gen_saved;

GEN_API gen_status gen_saved_create(gen_saved **out);
GEN_API void gen_saved_free(gen_saved **s);
GEN_API gen_status gen_saved_tensor(gen_saved *s, const char *name, gen_tensor t);    /* f32 */
GEN_API gen_status gen_saved_counter(gen_saved *s, const char *name, int64_t *value); /* +-2^53 */
GEN_API gen_status gen_saved_params(gen_saved *s, const char *prefix, gen_params *params);
/* Moments, average and steps; what was added since the last step is forgotten by a load. */
GEN_API gen_status gen_saved_optimiser(gen_saved *s, const char *prefix, gen_optimiser *o);

/* ---- checkpoint.c -----------------------------------------------------------------------------
 */

/* The checkpoints of one run, in its folder:
 *
 *     RUN/lock                              held by the process that trains
 *     RUN/checkpoints/LATEST                name of the newest, for other programs
 *     RUN/checkpoints/step-00001234/        appears whole, by one rename
 *         checkpoint.json                   step, metric, counters, digest of the configuration
 *         state.json                        the caller's own
 *         tensors.safetensors
 *         SHA256SUMS                        of these three: sha256sum -c SHA256SUMS
 *
 * A process that is killed at any moment, or a full disk, leaves the checkpoints before. */
typedef struct gen_checkpoints gen_checkpoints;

/* Makes the folders where they are not, takes the lock, and sees what is there. `config`: JSON text
 * of all that must be equal for a run to go on; compared byte by byte. keep: how many of the newest
 * are kept, 0 = 3; the one of the lowest metric is kept besides. EIO: another run holds the folder.
 * EINVAL: config is no JSON. */
GEN_API gen_status gen_checkpoints_open(gen_checkpoints **out, const char *run, const char *config,
                                        int64_t keep);
GEN_API void gen_checkpoints_close(gen_checkpoints **c);

/* How many are there, damaged ones and those of another configuration with them. */
GEN_API int gen_checkpoints_count(const gen_checkpoints *c);
/* Steps of the newest and of the best that are not known to be damaged; -1 when there is none. */
GEN_API int64_t gen_checkpoints_newest(const gen_checkpoints *c);
GEN_API int64_t gen_checkpoints_best(const gen_checkpoints *c);

/* ENOMEM, with the figures, when the disk has no room for all checkpoints that a run holds at a
 * time: keep, the best, and the one that is written. `state_bytes`: the most that state.json takes.
 */
GEN_API gen_status gen_checkpoints_space(const gen_checkpoints *c, const gen_saved *s,
                                         uint64_t state_bytes);

/* Saves `step`; a checkpoint of the same step is replaced. metric: lower is better, NaN when there
 * is none. `state`: JSON text of the caller's own (loader position, history). On failure the
 * checkpoints before are untouched, and saving may be tried again: ENOMEM when the disk is full.
 * EINVAL: state is no JSON; EEXIST: this run has a later checkpoint, or the step is that of one of
 * another configuration. */
GEN_API gen_status gen_checkpoint_save(gen_checkpoints *c, const gen_saved *s, int64_t step,
                                       double metric, const char *state);

/* Fills `s` from the newest checkpoint that is whole, of this configuration and of these tensors.
 * *step -1 and *state NULL: there are no checkpoints. *skipped: a line for each newer one and what
 * is wrong with it ("" when none). *state and *skipped: free with gen_text_free (<libgen/model.h>).
 * EMODEL: there are checkpoints, and none that can be used; the sentence says why. On any failure
 * values of `s` may be changed. */
GEN_API gen_status gen_checkpoint_load(gen_checkpoints *c, gen_saved *s, int64_t *step,
                                       char **state, char **skipped);

/* ---- loop.c: a run from its first step to its last --------------------------------------------
 */

/* One number that a turn says: "losses" "D" 1.9. NaN: nothing to say this time. */
typedef struct gen_say {
    const char *group, *name; /* of constant strings */
    double value;
} gen_say;
#define GEN_MAX_SAY 16

/* A turn of all phases, number `turn` (it chooses the data) for step `step` (it sets the rates).
 * Sets say[0 .. *n). */
typedef gen_status gen_turn_fn(void *cookie, gen_guard *guard, int64_t turn, int64_t step,
                               gen_say *say, int *n, gen_verdict *verdict);
/* Measures what the parameters are worth at `step`. *metric: lower is better. *json: a JSON object
 * for the log (gen_free), or NULL. best: the lowest metric before, NaN when there is none. */
typedef gen_status gen_validate_fn(void *cookie, int64_t step, double best, double *metric,
                                   char **json);

/* How a run stands, for who shows it. */
typedef struct gen_training_state {
    int64_t step, steps;          /* done; wanted, 0 = no limit */
    double seconds, limit;        /* of this process; wanted, 0 = no limit */
    double step_seconds;          /* of late */
    double metric, best;          /* the last one and the lowest; NaN when there is none */
    int64_t bad;                  /* steps that were not committed */
    const gen_say *say;           /* means of late */
    int n;
    const char *doing;            /* "train", "validate", "save" */
} gen_training_state;
typedef void gen_watch_fn(void *cookie, const gen_training_state *s);

typedef struct gen_training_options {
    const char *run;    /* the folder: checkpoints/, log.jsonl, run.json */
    const char *config; /* JSON of all that must be equal for a run to go on */
    const char *about;  /* JSON object for run.json, for people and reports */
    gen_params *params;
    gen_phase *phases[4];
    int n_phases;
    gen_turn_fn *turn;
    gen_validate_fn *validate; /* NULL: none */
    gen_watch_fn *watch;       /* NULL: none */
    void *cookie;
    gen_progress cancel;    /* asked between turns: non-zero saves and ends */
    int64_t steps;          /* in all; 0 = no limit */
    double seconds;         /* of this process; 0 = no limit */
    int64_t validate_every; /* steps; 0 = at the end only */
    int64_t log_every;      /* steps between lines of the log; 0 = about one a second */
    double save_seconds;    /* most between checkpoints; 0 = 300 */
    int64_t keep;           /* checkpoints, besides the best; 0 = 3 */
    gen_on_nan on_nan;
    int64_t patience; /* see gen_guard */
    bool resume;      /* go on from the newest checkpoint, if there is one */
} gen_training_options;

/* Trains until `steps` or `seconds` are reached, or the cancel function says so: then everything is
 * saved, and the call returns GEN_OK or GEN_ECANCELED. RUN/log.jsonl tells what happened, a line
 * each: starts, steps (means), validations, events. A checkpoint is saved at the start, at each
 * validation, every save_seconds, at the end, and before a failure ends the run; where saving, or
 * what `validate` writes, fails for want of room (ENOMEM, EIO) the run goes on, tries again, and
 * fails at its end if that did not help.
 *
 * EEXIST: the folder has a run, and resume is not asked for; EIO: another process trains there;
 * EMODEL: it is of another configuration; ENOMEM: the disk has no room for its checkpoints;
 * ENUMERIC: a step was not finite, and on_nan or patience says to stop (state saved before). */
GEN_API gen_status gen_training_run(const gen_training_options *o, gen_training_state *end);

#ifdef __cplusplus
}
#endif
#endif
