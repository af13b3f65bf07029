/* SPDX-License-Identifier: Apache-2.0
 *
 * New values of states, committed once per logical step. Summed in double: the mean of equal floats
 * is that float.
 */
#include <math.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "libgen/train/guard.h"

typedef struct gen_waiting {
    char *name;
    gen_shape shape;
    int64_t count;
    float *value; /* borrowed from params */
    double *sum;
} gen_waiting;

struct gen_pending {
    gen_waiting *state;
    int n;
    int64_t added; /* micro-batches */
};

static gen_status add_state(gen_pending *p, const gen_params *params, const char *name)
{
    gen_tensor t = gen_params_get(params, name);
    if (!t.data)
        return gen_fail(GEN_EINVAL, "states of a step: there is no '%s'", name);
    gen_waiting *s = &p->state[p->n++];
    *s = (gen_waiting){ .shape = t.shape, .count = gen_shape_count(t.shape), .value = t.data };
    GEN_TRY(gen_strdup(&s->name, name));
    return GEN_ALLOC(&s->sum, s->count, "states of a step");
}

gen_status gen_pending_create(gen_pending **out, gen_params *params, const char *const names[],
                              int n)
{
    gen_status status;
    gen_pending *p = NULL;
    *out = NULL;
    GEN_GOTO(GEN_ALLOC(&p, 1, "states of a step"));
    GEN_GOTO(GEN_ALLOC(&p->state, n, "states of a step"));
    for (int i = 0; i < n; i++)
        GEN_GOTO(add_state(p, params, names[i]));
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
        gen_free(p->state[i].sum);
    }
    gen_free(p->state);
    gen_free(p);
    *pending = NULL;
}

void gen_pending_add(gen_pending *p, const float *const next[])
{
    for (int i = 0; i < p->n; i++)
        for (int64_t k = 0; k < p->state[i].count; k++)
            p->state[i].sum[k] += (double)next[i][k];
    p->added++;
}

gen_status gen_pending_look(const gen_pending *p, const gen_look *l)
{
    for (int i = 0; i < p->n; i++) {
        const gen_waiting *s = &p->state[i];
        for (int64_t k = 0; k < s->count; k++)
            if (!isfinite(s->sum[k]))
                return gen_look_failed(l, s->name, s->shape, k, s->sum[k], "a finite number");
    }
    return GEN_OK;
}

void gen_pending_commit(gen_pending *p)
{
    for (int i = 0; p->added && i < p->n; i++)
        for (int64_t k = 0; k < p->state[i].count; k++)
            p->state[i].value[k] = (float)(p->state[i].sum[k] / (double)p->added);
    gen_pending_discard(p);
}

void gen_pending_discard(gen_pending *p)
{
    for (int i = 0; i < p->n; i++)
        memset(p->state[i].sum, 0, (size_t)p->state[i].count * sizeof *p->state[i].sum);
    p->added = 0;
}
