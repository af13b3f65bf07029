/* SPDX-License-Identifier: Apache-2.0
 *
 * A phase of training: the graph of a loss with its gradients and new states, planned once; steps
 * that are looked at before they are committed.
 */
#include <math.h>
#include <string.h>

#include <libgen/train.h>

#include "libgen/base/alloc.h"
#include "libgen/graph/op.h"

struct gen_phase {
    gen_phase_options o;
    gen_plan *plan;
    gen_optimiser *adam;
    gen_pending *states;
    const float **gradient;  /* [trained], outputs of the plan from 1 on */
    const float **statistic; /* [n_statistics], those behind: of which new states are made */
    const float **watched;   /* [o.n_watched], the last ones */
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
    gen_node **wrt, **out;
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

/* Outputs: the loss, gradients, statistics, watched values. */
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
    gen_grad(b->g, b->loss, NULL, b->wrt, b->n, b->out + 1);
    b->out[0] = b->loss;
    b->statistics = gen_net_statistics(&b->net, b->out + 1 + b->n);
    for (int i = 0; i < o->n_watched; i++) {
        b->out[1 + b->n + b->statistics + i] = o->watched[i];
        if (gen_shape_count(gen_node_shape(o->watched[i])) != 1)
            return gen_fail(GEN_EINVAL, "phase %s: watched value %d is not one element", o->name,
                            i);
    }
    GEN_TRY(gen_graph_status(b->g));
    for (int i = 0; i < b->n; i++)
        if (!b->out[1 + i])
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
            sizeof(double) * (uint64_t)gen_shape_count(gen_node_shape(b->out[1 + b->n + i]));
}

/* What steps need and an estimate does without. */
static gen_status make_steps(gen_phase *p, const gen_phase_graph *b, gen_params *params,
                             gen_backend *backend)
{
    GEN_TRY(gen_optimiser_create(&p->adam, params, b->name, b->n, &p->o.adam, backend));
    GEN_TRY(gen_pending_create(&p->states, params, &b->net));
    GEN_TRY(GEN_ALLOC(&p->gradient, p->n_trained, "phase"));
    GEN_TRY(GEN_ALLOC(&p->statistic, p->n_statistics, "phase"));
    GEN_TRY(GEN_ALLOC(&p->watched, p->o.n_watched, "phase"));
    GEN_TRY(GEN_ALLOC(&p->seen, p->o.n_watched, "phase"));
    GEN_TRY(GEN_ALLOC(&p->seeing, p->o.n_watched, "phase"));
    for (int i = 0; i < p->n_trained; i++)
        p->gradient[i] = gen_plan_output(p->plan, 1 + i).data;
    for (int i = 0; i < p->n_statistics; i++)
        p->statistic[i] = gen_plan_output(p->plan, 1 + p->n_trained + i).data;
    for (int i = 0; i < p->o.n_watched; i++)
        p->watched[i] = gen_plan_output(p->plan, 1 + p->n_trained + p->n_statistics + i).data;
    return GEN_OK;
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
    p->o.plan.params_vary = 1;
    GEN_GOTO(build(&b, params, seed, options));
    p->n_trained = b.n;
    p->n_statistics = b.statistics;
    GEN_GOTO(gen_plan_create(&p->plan, b.g, b.out, 1 + b.n + b.statistics + p->o.n_watched, params,
                             backend, &p->o.plan));
    describe(p, &b);
    if (!options->plan.estimate_only)
        GEN_GOTO(make_steps(p, &b, params, backend));
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
    gen_free(p->gradient);
    gen_free(p->statistic);
    gen_free(p->watched);
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

static void discard(gen_phase *p)
{
    gen_optimiser_discard(p->adam);
    gen_pending_discard(p->states);
}

/* Each micro-batch by itself, so that the sentence names the sample: a sum of finite gradients that
 * overflows is found at the end. */
static gen_status micro_batch(gen_phase *p, int64_t step, double *loss, gen_look *look)
{
    char name[80];
    *look = (gen_look){ .step = step };
    GEN_TRY(p->o.fill(p->o.cookie, p->plan, &look->sample));
    GEN_TRY(gen_plan_run(p->plan, NULL));
    gen_tensor value = gen_plan_output(p->plan, 0);
    snprintf(name, sizeof name, "loss of %s", p->o.name);
    GEN_TRY(gen_look_at(look, name, value));
    *loss += (double)*(const float *)value.data;
    for (int i = 0; i < p->o.n_watched; i++)
        p->seeing[i] += (double)*p->watched[i];
    gen_optimiser_add(p->adam, p->gradient);
    gen_pending_add(p->states, p->statistic);
    GEN_TRY(gen_optimiser_look(p->adam, look));
    return gen_pending_look(p->states, look);
}

static gen_status accumulate(gen_phase *p, int64_t step, double *loss)
{
    int64_t n = p->o.micro_batches > 0 ? p->o.micro_batches : 1;
    gen_look look;
    *loss = 0;
    for (int i = 0; i < p->o.n_watched; i++)
        p->seeing[i] = 0;
    for (int64_t i = 0; i < n; i++)
        GEN_TRY(micro_batch(p, step, loss, &look));
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
    discard(p); /* of a turn that was cancelled */
    p->steps = 0;
    for (int i = 0; i < p->o.n_watched; i++)
        p->seen[i] = 0;
    for (int64_t i = 0; i < repeats && *verdict == GEN_COMMIT; i++) {
        double one;
        gen_status status = gen_guard_judge(guard, accumulate(p, step, &one), verdict);
        if (status != GEN_OK || *verdict != GEN_COMMIT) {
            discard(p);
            GEN_TRY(status);
            continue;
        }
        GEN_TRY(gen_optimiser_step(p->adam, gen_schedule_rate(&p->o.schedule, step)));
        gen_pending_commit(p->states);
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
