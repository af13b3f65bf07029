/* SPDX-License-Identifier: Apache-2.0
 *
 * A phase of training: the graph of a loss with its gradients and new states, planned once; steps
 * that are looked at before they are committed.
 *
 * On a device nothing but inputs, losses and watched values passes between it and the host. A
 * micro-batch is one recording, the commit another: kernels look at the sums, set a word where a
 * step is not fit to be taken, and the commit, queued behind without waiting, obeys it.
 */
#include <math.h>
#include <string.h>

#include <libgen/train.h>

#include "libgen/base/alloc.h"
#include "libgen/graph/op.h"
#include "libgen/graph/params.h"
#include "libgen/plan/plan.h"
#include "libgen/train/optimiser.h"
#include "libgen/train/pending.h"

struct gen_phase {
    gen_phase_options o;
    gen_params *params;
    gen_backend *backend;
    gen_plan *plan;
    gen_optimiser *adam;
    gen_pending *states;
    gen_mirror bad;          /* an int32_t: the step is not to be taken */
    void *micro, *commit;    /* recordings, or NULL */
    bool ran;                /* a micro-batch was, and what its kernels make at first is made */
    double *seen;            /* [o.n_watched], summed over the steps of this turn */
    double *seeing;          /* the same over the micro-batches of this step */
    int n_trained, n_statistics;
    gen_phase_info info;
    int64_t steps; /* committed in this turn */
};

/* What is made of the graph, while it is built. */
typedef struct gen_phase_graph {
    gen_graph *g;
    gen_net net;
    gen_node *loss;
    gen_node **wrt, **out, **gradient; /* gradient: among out */
    const char **name; /* of trained parameters */
    int n;             /* trained */
    int statistics;
} gen_phase_graph;

static bool wanted(const gen_phase_options *o, const char *name)
{
    for (const char *const *p = o->prefixes; *p; p++)
        if (strncmp(name, *p, strlen(*p)) == 0)
            return true;
    return false;
}

/* Outputs: the loss, watched values (these the host reads), gradients, statistics. */
static gen_status build(gen_phase_graph *b, gen_params *params, uint64_t seed,
                        const gen_phase_options *o)
{
    GEN_TRY(gen_graph_create(&b->g));
    b->net = (gen_net){ .g = b->g, .training = true };
    b->loss = o->build(&b->net, o->cookie);
    GEN_TRY(gen_graph_status(b->g));
    if (gen_shape_count(gen_node_shape(b->loss)) != 1)
        return gen_fail(GEN_EINVAL, "phase %s: the loss has %lld elements, expected 1", o->name,
                        (long long)gen_shape_count(gen_node_shape(b->loss)));
    if (!o->plan.estimate_only)
        GEN_TRY(gen_params_init(params, b->g, seed));
    int all = gen_graph_params(b->g), statistics = gen_net_statistics(&b->net, NULL);
    GEN_TRY(GEN_ALLOC(&b->wrt, all, "phase"));
    GEN_TRY(GEN_ALLOC(&b->out, 1 + all + statistics + o->n_watched, "phase"));
    GEN_TRY(GEN_ALLOC(&b->name, all, "phase"));
    for (int i = 0; i < all; i++) {
        gen_node *param = gen_graph_param(b->g, i);
        const gen_param_attr *attr = param->attr;
        if (!attr->trained || !wanted(o, gen_node_name(param)))
            continue;
        b->wrt[b->n] = param;
        b->name[b->n++] = gen_node_name(param);
    }
    if (!b->n)
        return gen_fail(GEN_EINVAL, "phase %s: there is nothing to train", o->name);
    b->out[0] = b->loss;
    for (int i = 0; i < o->n_watched; i++) {
        b->out[1 + i] = o->watched[i];
        if (gen_shape_count(gen_node_shape(o->watched[i])) != 1)
            return gen_fail(GEN_EINVAL, "phase %s: watched value %d is not one element", o->name,
                            i);
    }
    b->gradient = b->out + 1 + o->n_watched;
    gen_grad(b->g, b->loss, NULL, b->wrt, b->n, b->gradient);
    b->statistics = gen_net_statistics(&b->net, b->gradient + b->n);
    GEN_TRY(gen_graph_status(b->g));
    for (int i = 0; i < b->n; i++)
        if (!b->gradient[i])
            return gen_fail(GEN_EINVAL, "phase %s: its loss does not depend on '%s'", o->name,
                            b->name[i]);
    return GEN_OK;
}

static void describe(gen_phase *p, const gen_phase_graph *b)
{
    p->info.plan = gen_plan_describe(p->plan);
    for (int i = 0; i < gen_graph_params(b->g); i++)
        p->info.param_bytes +=
            sizeof(float) * (uint64_t)gen_shape_count(gen_node_shape(gen_graph_param(b->g, i)));
    for (int i = 0; i < b->n; i++)
        p->info.trained += gen_shape_count(gen_node_shape(b->wrt[i]));
    p->info.held_bytes = gen_adam_bytes(&p->o.adam, p->info.trained);
    for (int i = 0; i < b->statistics; i++)
        p->info.held_bytes +=
            sizeof(double) * (uint64_t)gen_shape_count(gen_node_shape(b->gradient[b->n + i]));
}

/* ---- work of a step, queued on a device ------------------------------------------------------ */

static gen_status discard(gen_phase *p)
{
    GEN_TRY(gen_optimiser_discard(p->adam));
    GEN_TRY(gen_pending_discard(p->states));
    return gen_far_clear(p->backend->far, p->bad.kernel, p->bad.bytes);
}

static gen_status queue_micro_batch(void *ctx)
{
    gen_phase *p = ctx;
    int32_t *bad = p->bad.kernel;
    GEN_TRY(gen_plan_queue(p->plan));
    GEN_TRY(gen_optimiser_queue_add(p->adam));
    GEN_TRY(gen_pending_queue_add(p->states));
    GEN_TRY(p->backend->train->finite(p->backend, gen_plan_place(p->plan, 0), 1, bad));
    GEN_TRY(gen_optimiser_queue_look(p->adam, bad));
    GEN_TRY(gen_pending_queue_look(p->states, bad));
    return gen_mirror_down(p->backend->far, &p->bad);
}

static gen_status queue_commit(void *ctx)
{
    gen_phase *p = ctx;
    GEN_TRY(gen_optimiser_queue_step(p->adam, p->bad.kernel));
    return gen_pending_queue_commit(p->states, p->bad.kernel);
}

/* A kernel's code is loaded when it first runs, which is not to happen while its work is written
 * down: so at first a commit that is refused. */
static gen_status warm_up(gen_phase *p)
{
    const gen_far *far = p->backend->far;
    if (!far)
        return GEN_OK;
    *(int32_t *)p->bad.host = 1;
    GEN_TRY(gen_mirror_up(far, &p->bad));
    GEN_TRY(queue_commit(p));
    return gen_far_wait(far);
}

/* ---- creation -------------------------------------------------------------------------------- */

/* Where the plan leaves gradients and statistics is told once. */
static gen_status bind(gen_phase *p)
{
    gen_status status;
    const float **from = NULL;
    int first = 1 + p->o.n_watched, n = p->n_trained + p->n_statistics;
    GEN_TRY(GEN_ALLOC(&from, n, "phase"));
    for (int i = 0; i < n; i++)
        from[i] = gen_plan_place(p->plan, first + i);
    GEN_GOTO(gen_optimiser_bind(p->adam, from));
    GEN_GOTO(gen_pending_bind(p->states, from + p->n_trained));
done:
    gen_free(from);
    return status;
}

/* What steps need and an estimate does without. */
static gen_status make_steps(gen_phase *p, const gen_phase_graph *b)
{
    GEN_TRY(gen_optimiser_create(&p->adam, p->params, b->name, b->n, &p->o.adam, p->backend));
    GEN_TRY(gen_pending_create(&p->states, p->params, &b->net, p->backend));
    GEN_TRY(gen_mirror_create(p->backend->far, &p->bad, sizeof(int32_t), "phase"));
    GEN_TRY(GEN_ALLOC(&p->seen, p->o.n_watched, "phase"));
    GEN_TRY(GEN_ALLOC(&p->seeing, p->o.n_watched, "phase"));
    GEN_TRY(bind(p));
    return warm_up(p);
}

gen_status gen_phase_create(gen_phase **out, gen_params *params, uint64_t seed,
                            gen_backend *backend, const gen_phase_options *options)
{
    gen_status status;
    gen_phase *p = NULL;
    gen_phase_graph b = { 0 };
    *out = NULL;
    GEN_TRY(gen_schedule_check(&options->schedule));
    GEN_GOTO(GEN_ALLOC(&p, 1, "phase"));
    p->o = *options;
    p->params = params;
    p->backend = backend;
    p->o.plan.params_vary = 1;
    p->o.plan.outputs_fetched = 1 + options->n_watched;
    GEN_GOTO(build(&b, params, seed, options));
    p->n_trained = b.n;
    p->n_statistics = b.statistics;
    GEN_GOTO(gen_plan_create(&p->plan, b.g, b.out, 1 + b.n + b.statistics + p->o.n_watched, params,
                             backend, &p->o.plan));
    describe(p, &b);
    if (!options->plan.estimate_only)
        GEN_GOTO(make_steps(p, &b));
    *out = p;
    p = NULL;
done:
    gen_phase_free(&p);
    gen_net_free(&b.net);
    gen_graph_free(&b.g);
    gen_free(b.wrt);
    gen_free(b.out);
    gen_free(b.name);
    return status;
}

void gen_phase_free(gen_phase **phase)
{
    gen_phase *p = *phase;
    if (!p)
        return;
    gen_plan_free(&p->plan);
    gen_optimiser_free(&p->adam);
    gen_pending_free(&p->states);
    gen_mirror_free(p->backend->far, &p->bad);
    if (p->backend->far) {
        p->backend->far->free_recording(p->micro);
        p->backend->far->free_recording(p->commit);
    }
    gen_free(p->seen);
    gen_free(p->seeing);
    gen_free(p);
    *phase = NULL;
}

gen_optimiser *gen_phase_optimiser(gen_phase *p)
{
    return p->adam;
}

gen_phase_info gen_phase_describe(const gen_phase *p)
{
    return p->info;
}

gen_status gen_phase_dump(gen_phase *p, int runs, FILE *out)
{
    return gen_plan_dump(p->plan, runs, out);
}

/* ---- steps ----------------------------------------------------------------------------------- */

/* The first one is not recorded: a failure names the step. */
static gen_status run_micro_batch(gen_phase *p)
{
    p->adam->added++;
    gen_pending_count(p->states);
    GEN_TRY(gen_params_put(p->params));
    if (!p->ran)
        GEN_TRY(queue_micro_batch(p));
    else
        GEN_TRY(gen_far_repeat(p->backend->far, &p->micro, queue_micro_batch, p));
    p->ran = true;
    return GEN_OK;
}

/* Always a recording, so that all of it is queued, or nothing. */
static gen_status run_commit(gen_phase *p, int64_t step)
{
    gen_optimiser_plan_step(p->adam, gen_schedule_rate(&p->o.schedule, step));
    if (p->backend->far)
        gen_params_far_changed(p->params);
    return gen_far_repeat(p->backend->far, &p->commit, queue_commit, p);
}

/* What kernels found bad, by name. */
static gen_status say(gen_phase *p, const gen_look *look)
{
    char name[80];
    snprintf(name, sizeof name, "loss of %s", p->o.name);
    GEN_TRY(gen_look_at(look, name, gen_plan_output(p->plan, 0)));
    GEN_TRY(gen_optimiser_say(p->adam, look));
    GEN_TRY(gen_pending_say(p->states, look));
    return gen_fail(GEN_ENUMERIC, "step %lld: a value of phase %s is not finite",
                    (long long)look->step, p->o.name);
}

/* Looked at each by itself, so that the sentence names the sample. The commit stands behind the
 * last one, and does nothing where that is bad. */
static gen_status micro_batch(gen_phase *p, int64_t step, bool last, double *loss)
{
    gen_look look = { .step = step };
    GEN_TRY(p->o.fill(p->o.cookie, p->plan, &look.sample));
    GEN_TRY(run_micro_batch(p));
    gen_status status = last ? run_commit(p, step) : GEN_OK;
    gen_status waited = gen_far_wait(p->backend->far);
    GEN_TRY(status != GEN_OK ? status : waited);
    if (*(const int32_t *)p->bad.host)
        return say(p, &look);
    *loss += (double)*(const float *)gen_plan_output(p->plan, 0).data;
    for (int i = 0; i < p->o.n_watched; i++)
        p->seeing[i] += (double)*(const float *)gen_plan_output(p->plan, 1 + i).data;
    return GEN_OK;
}

static gen_status take_step(gen_phase *p, int64_t step, double *loss)
{
    int64_t n = p->o.micro_batches > 0 ? p->o.micro_batches : 1;
    *loss = 0;
    for (int i = 0; i < p->o.n_watched; i++)
        p->seeing[i] = 0;
    for (int64_t i = 0; i < n; i++)
        GEN_TRY(micro_batch(p, step, i == n - 1, loss));
    gen_optimiser_stepped(p->adam);
    gen_pending_committed(p->states);
    *loss /= (double)n;
    for (int i = 0; i < p->o.n_watched; i++)
        p->seeing[i] /= (double)n;
    return GEN_OK;
}

gen_status gen_phase_run(gen_phase *p, gen_guard *guard, int64_t step, double *loss,
                         gen_verdict *verdict)
{
    int64_t repeats = p->o.repeats > 0 ? p->o.repeats : 1;
    double sum = 0;
    *verdict = GEN_COMMIT;
    *loss = (double)NAN;
    if (!p->adam)
        return gen_fail(GEN_EINVAL, "phase %s was made to estimate only", p->o.name);
    GEN_TRY(discard(p)); /* of a turn that was cancelled */
    p->steps = 0;
    for (int i = 0; i < p->o.n_watched; i++)
        p->seen[i] = 0;
    for (int64_t i = 0; i < repeats && *verdict == GEN_COMMIT; i++) {
        double one;
        GEN_TRY(gen_guard_judge(guard, take_step(p, step, &one), verdict));
        if (*verdict != GEN_COMMIT)
            return discard(p);
        sum += one;
        *loss = sum / (double)++p->steps;
        for (int k = 0; k < p->o.n_watched; k++)
            p->seen[k] += p->seeing[k];
    }
    return GEN_OK;
}

double gen_phase_watched(const gen_phase *p, int i)
{
    return p->steps ? p->seen[i] / (double)p->steps : (double)NAN;
}
