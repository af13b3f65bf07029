/* SPDX-License-Identifier: Apache-2.0
 *
 * New values of states, committed once per logical step. Statistics of micro-batches are joined as
 * they come (Welford's and Chan's way: nothing is lost where a mean is large beside its variance),
 * in double: the mean of equal floats is that float.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "libgen/train/guard.h"

typedef struct gen_waiting {
    char *name;
    gen_shape shape;
    int64_t size;  /* elements of the state */
    int64_t all;   /* groups * size: elements of a statistic */
    int64_t count; /* values behind an element of one micro-batch's variance */
    double momentum;
    float *value;   /* borrowed from params */
    double *mean;   /* [all], of what was added */
    double *square; /* [all], sum over micro-batches: variance, and square of the distance of
                       its mean; NULL: the state follows the mean */
} gen_waiting;

struct gen_pending {
    gen_waiting *state;
    int n;
    int64_t added; /* micro-batches */
};

static gen_status add_state(gen_pending *p, const gen_params *params, const gen_update *u)
{
    gen_tensor t = gen_params_get(params, gen_node_name(u->state));
    if (!t.data)
        return gen_fail(GEN_EINVAL, "states of a step: there is no '%s'", gen_node_name(u->state));
    gen_waiting *s = &p->state[p->n++];
    *s = (gen_waiting){ .shape = t.shape,
                        .size = gen_shape_count(t.shape),
                        .all = gen_shape_count(gen_node_shape(u->mean)),
                        .count = u->count,
                        .momentum = u->momentum > 0 ? u->momentum : 1,
                        .value = t.data };
    GEN_TRY(gen_strdup(&s->name, gen_node_name(u->state)));
    GEN_TRY(GEN_ALLOC(&s->mean, s->all, "states of a step"));
    return u->variance ? GEN_ALLOC(&s->square, s->all, "states of a step") : GEN_OK;
}

gen_status gen_pending_create(gen_pending **out, gen_params *params, const gen_net *net)
{
    gen_status status;
    gen_pending *p = NULL;
    *out = NULL;
    GEN_GOTO(GEN_ALLOC(&p, 1, "states of a step"));
    GEN_GOTO(GEN_ALLOC(&p->state, net->n_updates, "states of a step"));
    for (int i = 0; i < net->n_updates; i++)
        GEN_GOTO(add_state(p, params, &net->update[i]));
    *out = p;
    p = NULL;
done:
    gen_pending_free(&p);
    return status;
}

void gen_pending_free(gen_pending **pending)
{
    gen_pending *p = *pending;
    if (!p)
        return;
    for (int i = 0; i < p->n; i++) {
        gen_free(p->state[i].name);
        gen_free(p->state[i].mean);
        gen_free(p->state[i].square);
    }
    gen_free(p->state);
    gen_free(p);
    *pending = NULL;
}

/* ---- micro-batches --------------------------------------------------------------------------- */

static void join(gen_waiting *s, const float *mean, const float *variance, int64_t nth)
{
    for (int64_t k = 0; k < s->all; k++) {
        double off = (double)mean[k] - s->mean[k];
        s->mean[k] += off / (double)nth;
        if (variance)
            s->square[k] += (double)variance[k] + off * ((double)mean[k] - s->mean[k]);
    }
}

void gen_pending_add(gen_pending *p, const float *const statistic[])
{
    p->added++;
    for (int i = 0; i < p->n; i++) {
        gen_waiting *s = &p->state[i];
        const float *mean = *statistic++, *variance = s->square ? *statistic++ : NULL;
        join(s, mean, variance, p->added);
    }
}

/* ---- the new value --------------------------------------------------------------------------- */

static double next_value(const gen_pending *p, const gen_waiting *s, int64_t element)
{
    double n = (double)s->count * (double)p->added, next = (double)s->value[element];
    double unbiased = n > 1 ? n / (n - 1) : 1;
    for (int64_t k = element; k < s->all; k += s->size) {
        double found = s->square ? s->square[k] / (double)p->added * unbiased : s->mean[k];
        next = s->momentum < 1 ? (1 - s->momentum) * next + s->momentum * found : found;
    }
    return next;
}

gen_status gen_pending_look(const gen_pending *p, const gen_look *l)
{
    for (int i = 0; p->added && i < p->n; i++) {
        const gen_waiting *s = &p->state[i];
        for (int64_t k = 0; k < s->size; k++) {
            double next = next_value(p, s, k);
            if (!(fabs(next) <= (double)FLT_MAX))
                return gen_look_failed(l, s->name, s->shape, k, next, "a finite number");
        }
    }
    return GEN_OK;
}

/* In order: an update of a state that has had one goes on from there. */
void gen_pending_commit(gen_pending *p)
{
    for (int i = 0; p->added && i < p->n; i++) {
        const gen_waiting *s = &p->state[i];
        for (int64_t k = 0; k < s->size; k++)
            s->value[k] = (float)next_value(p, s, k);
    }
    gen_pending_discard(p);
}

void gen_pending_discard(gen_pending *p)
{
    for (int i = 0; i < p->n; i++) {
        gen_waiting *s = &p->state[i];
        memset(s->mean, 0, (size_t)s->all * sizeof *s->mean);
        if (s->square)
            memset(s->square, 0, (size_t)s->all * sizeof *s->square);
    }
    p->added = 0;
}
