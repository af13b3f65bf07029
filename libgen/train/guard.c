/* SPDX-License-Identifier: Apache-2.0
 *
 * Is a step fit to be committed, and what happens when it is not. Everything is asked before the
 * first master changes, so that a bad step leaves no trace.
 */
#include "libgen/train/guard.h"

#include <math.h>

#include "libgen/base/alloc.h"
#include "libgen/train/optimiser.h"

/* ---- looking --------------------------------------------------------------------------------- */

gen_status gen_look_failed(const gen_look *l, const char *name, gen_shape shape, int64_t element,
                           double value, const char *expected)
{
    char text[GEN_SHAPE_TEXT];
    bool known = l->sample && *l->sample;
    return gen_fail(GEN_ENUMERIC, "step %lld%s%s: %s, element %lld of %s, is %g, expected %s",
                    (long long)l->step, known ? ", sample " : "", known ? l->sample : "", name,
                    (long long)element, gen_shape_text(shape, text), value, expected);
}

static int64_t first_not_below(const float *x, int64_t n, float limit)
{
    for (int64_t i = 0; i < n; i++)
        if (!(fabsf(x[i]) < limit))
            return i;
    return -1;
}

gen_status gen_look_at(const gen_look *l, const char *name, gen_tensor t)
{
    const float *x = t.data;
    int64_t at = first_not_below(x, gen_shape_count(t.shape), INFINITY);
    return at < 0 ? GEN_OK
                  : gen_look_failed(l, name, t.shape, at, (double)x[at], "a finite number");
}

gen_status gen_optimiser_look(const gen_optimiser *o, const gen_look *l)
{
    const gen_far *far = o->backend->far;
    int32_t *bad = o->bad.host;
    *bad = 0;
    GEN_TRY(gen_mirror_up(far, &o->bad));
    GEN_TRY(gen_optimiser_queue_look(o, o->bad.kernel));
    GEN_TRY(gen_mirror_down(far, &o->bad));
    GEN_TRY(gen_far_wait(far));
    return *bad ? gen_optimiser_say(o, l) : GEN_OK;
}

static gen_status say(const gen_look *l, const gen_slot *s, const float *sum)
{
    char name[300];
    int64_t at = first_not_below(sum, s->count, GEN_MOST_GRADIENT);
    if (at < 0)
        return GEN_OK;
    snprintf(name, sizeof name, "gradient of '%s'", s->name);
    return gen_look_failed(l, name, s->shape, at, (double)sum[at], "less than 9e18 in size");
}

gen_status gen_optimiser_say(const gen_optimiser *o, const gen_look *l)
{
    gen_status status = GEN_OK;
    for (int i = 0; i < o->n && status == GEN_OK; i++) {
        const gen_slot *s = &o->slot[i];
        uint64_t bytes = (uint64_t)s->count * sizeof(float);
        float *sum;
        GEN_TRY(gen_alloc_raw((void **)&sum, bytes, 1, "gradients"));
        status = gen_far_read(o->backend->far, sum, s->at.sum, bytes);
        status = status != GEN_OK ? status : say(l, s, sum);
        gen_free(sum);
    }
    return status;
}

/* ---- judging --------------------------------------------------------------------------------- */

gen_status gen_guard_judge(gen_guard *g, gen_status looked, gen_verdict *out)
{
    int64_t patience = g->patience > 0 ? g->patience : 10;
    bool rollback = g->policy == GEN_ON_NAN_ROLLBACK;
    *out = GEN_COMMIT;
    if (looked == GEN_OK) {
        g->in_a_row = rollback ? g->in_a_row : 0;
        return GEN_OK;
    }
    if (looked != GEN_ENUMERIC)
        return looked;
    g->bad++;
    if (g->policy == GEN_ON_NAN_STOP)
        return looked;
    if (++g->in_a_row > patience)
        return gen_fail_in(looked, "%lld %s", (long long)patience,
                           rollback ? "rollbacks without a checkpoint between them"
                                    : "steps in a row were skipped");
    *out = rollback ? GEN_ROLLBACK : GEN_SKIP;
    gen_log(GEN_LOG_WARN, "%s; %s", gen_last_error(),
            rollback ? "back to the newest checkpoint" : "the step is skipped");
    return GEN_OK;
}

void gen_guard_saved(gen_guard *g)
{
    if (g->policy == GEN_ON_NAN_ROLLBACK)
        g->in_a_row = 0;
}
