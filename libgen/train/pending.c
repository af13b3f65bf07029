/* SPDX-License-Identifier: Apache-2.0
 *
 * New values of states, committed once per logical step. Their arithmetic is in
 * libgen/backends/train.h, one for all backends.
 */
#include "libgen/train/pending.h"

#include "libgen/backends/backend.h"
#include "libgen/base/alloc.h"
#include "libgen/graph/params.h"
#include "libgen/train/guard.h"

typedef struct gen_waiting {
    char *name;
    gen_shape shape;
} gen_waiting;

struct gen_pending {
    gen_backend *backend;
    gen_params *params;
    gen_waiting *state;
    gen_state_arrays *bound; /* [n], what the table says */
    gen_state_table table;   /* for kernels */
    double *sums;            /* means and squares of all */
    uint64_t sum_bytes;
    gen_mirror added; /* an int64_t: micro-batches */
    gen_mirror bad;   /* an int32_t, of gen_pending_look */
    int n;
};

static const gen_far *far_of(const gen_pending *p)
{
    return p->backend->far;
}

static int64_t *added(const gen_pending *p)
{
    return p->added.host;
}

static gen_status add_state(gen_pending *p, const gen_update *u)
{
    const char *name = gen_node_name(u->state);
    gen_tensor t = gen_params_get(p->params, name);
    void *value = t.data;
    if (!t.data)
        return gen_fail(GEN_EINVAL, "states of a step: there is no '%s'", name);
    if (far_of(p))
        GEN_TRY(gen_params_far(p->params, name, far_of(p), &value));
    gen_state_arrays *s = &p->bound[p->n];
    *s = (gen_state_arrays){ .size = gen_shape_count(t.shape),
                             .all = gen_shape_count(gen_node_shape(u->mean)),
                             .count = u->count,
                             .momentum = u->momentum > 0 ? u->momentum : 1,
                             .value = value,
                             .first = 1,
                             .next = -1 };
    for (int i = 0; i < p->n; i++) {
        if (p->bound[i].value != s->value)
            continue;
        s->first = 0;
        p->bound[i].next = p->bound[i].next < 0 ? p->n : p->bound[i].next;
    }
    p->state[p->n].shape = t.shape;
    p->sum_bytes += (uint64_t)s->all * (u->variance ? 2 : 1) * sizeof(double);
    return gen_strdup(&p->state[p->n++].name, name);
}

static gen_status hold(gen_pending *p, const gen_net *net)
{
    uint64_t bytes = (uint64_t)p->n * sizeof *p->bound;
    void *sums, *table;
    GEN_TRY(gen_far_hold(far_of(p), &sums, p->sum_bytes, "states of a step"));
    double *at = p->sums = sums;
    for (int i = 0; i < p->n; i++) {
        p->bound[i].mean = at;
        at += p->bound[i].all;
        if (!net->update[i].variance)
            continue;
        p->bound[i].square = at;
        at += p->bound[i].all;
    }
    GEN_TRY(gen_mirror_create(far_of(p), &p->added, sizeof(int64_t), "states of a step"));
    GEN_TRY(gen_mirror_create(far_of(p), &p->bad, sizeof(int32_t), "states of a step"));
    GEN_TRY(gen_far_hold(far_of(p), &table, bytes, "states of a step"));
    p->table = (gen_state_table){ .state = table, .added = p->added.kernel, .n = p->n };
    return gen_far_write(far_of(p), table, p->bound, bytes);
}

gen_status gen_pending_create(gen_pending **out, gen_params *params, const gen_net *net,
                              gen_backend *backend)
{
    gen_status status;
    gen_pending *p = NULL;
    *out = NULL;
    if (!backend->train)
        return gen_fail(GEN_EUNSUPPORTED, "states of a step have no kernels on %s", backend->name);
    GEN_GOTO(GEN_ALLOC(&p, 1, "states of a step"));
    p->backend = backend;
    p->params = params;
    GEN_GOTO(GEN_ALLOC(&p->state, net->n_updates, "states of a step"));
    GEN_GOTO(GEN_ALLOC(&p->bound, net->n_updates, "states of a step"));
    for (int i = 0; i < net->n_updates; i++)
        GEN_GOTO(add_state(p, &net->update[i]));
    GEN_GOTO(hold(p, net));
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
    (void)gen_far_wait(far_of(p)); /* a step that failed may have left work behind */
    for (int i = 0; i < p->n; i++)
        gen_free(p->state[i].name);
    gen_far_release(far_of(p), p->sums);
    gen_far_release(far_of(p), (void *)p->table.state);
    gen_mirror_free(far_of(p), &p->added);
    gen_mirror_free(far_of(p), &p->bad);
    gen_free(p->state);
    gen_free(p->bound);
    gen_free(p);
    *pending = NULL;
}

/* ---- micro-batches --------------------------------------------------------------------------- */

gen_status gen_pending_bind(gen_pending *p, const float *const statistic[])
{
    bool moved = false;
    for (int i = 0; i < p->n; i++) {
        gen_state_arrays *s = &p->bound[i];
        const float *mean = *statistic++, *variance = s->square ? *statistic++ : NULL;
        moved |= s->mean_of != mean || s->variance_of != variance;
        s->mean_of = mean;
        s->variance_of = variance;
    }
    return moved ? gen_far_write(far_of(p), (void *)p->table.state, p->bound,
                                 (uint64_t)p->n * sizeof *p->bound)
                 : GEN_OK;
}

void gen_pending_count(gen_pending *p)
{
    ++*added(p);
}

gen_status gen_pending_queue_add(gen_pending *p)
{
    GEN_TRY(gen_mirror_up(far_of(p), &p->added));
    return p->backend->train->join(p->backend, &p->table);
}

gen_status gen_pending_add(gen_pending *p, const float *const statistic[])
{
    GEN_TRY(gen_pending_bind(p, statistic));
    gen_pending_count(p);
    GEN_TRY(gen_pending_queue_add(p));
    return gen_far_wait(far_of(p)); /* the count is the host's again */
}

/* ---- looking --------------------------------------------------------------------------------- */

gen_status gen_pending_queue_look(const gen_pending *p, int32_t *bad)
{
    return p->backend->train->look(p->backend, &p->table, bad);
}

gen_status gen_pending_look(const gen_pending *p, const gen_look *l)
{
    int32_t *bad = p->bad.host;
    *bad = 0;
    GEN_TRY(gen_mirror_up(far_of(p), &p->bad));
    GEN_TRY(gen_pending_queue_look(p, p->bad.kernel));
    GEN_TRY(gen_mirror_down(far_of(p), &p->bad));
    GEN_TRY(gen_far_wait(far_of(p)));
    return *bad ? gen_pending_say(p, l) : GEN_OK;
}

/* `values`: room for the state's own and what was added to it. */
static gen_status say(const gen_pending *p, int i, const gen_look *l, double *room)
{
    gen_state_arrays s = p->bound[i];
    uint64_t all = (uint64_t)s.all, size = (uint64_t)s.size;
    double *square = room + s.all;
    s.value = (float *)(square + s.all);
    GEN_TRY(gen_far_read(far_of(p), room, s.mean, all * sizeof *room));
    GEN_TRY(gen_far_read(far_of(p), s.value, p->bound[i].value, size * sizeof *s.value));
    s.mean = room;
    if (s.square)
        GEN_TRY(gen_far_read(far_of(p), square, s.square, all * sizeof *square));
    s.square = s.square ? square : NULL;
    for (int64_t e = 0; e < s.size; e++) {
        double next = gen_state_next(&s, e, *added(p));
        if (!gen_state_is_finite(next))
            return gen_look_failed(l, p->state[i].name, p->state[i].shape, e, next,
                                   "a finite number");
    }
    return GEN_OK;
}

gen_status gen_pending_say(const gen_pending *p, const gen_look *l)
{
    gen_status status = GEN_OK;
    for (int i = 0; i < p->n && status == GEN_OK; i++) {
        double *room;
        GEN_TRY(GEN_ALLOC(&room, 2 * p->bound[i].all + p->bound[i].size, "states of a step"));
        status = say(p, i, l, room);
        gen_free(room);
    }
    return status;
}

/* ---- the new value --------------------------------------------------------------------------- */

gen_status gen_pending_queue_commit(gen_pending *p, const int32_t *bad)
{
    return p->backend->train->commit(p->backend, &p->table, bad);
}

void gen_pending_committed(gen_pending *p)
{
    *added(p) = 0;
}

gen_status gen_pending_commit(gen_pending *p)
{
    if (!*added(p))
        return GEN_OK;
    GEN_TRY(gen_params_put(p->params));
    GEN_TRY(gen_pending_queue_commit(p, NULL));
    if (far_of(p))
        gen_params_far_changed(p->params);
    GEN_TRY(gen_far_wait(far_of(p)));
    gen_pending_committed(p);
    return GEN_OK;
}

gen_status gen_pending_discard(gen_pending *p)
{
    if (!*added(p))
        return GEN_OK;
    GEN_TRY(gen_far_clear(far_of(p), p->sums, p->sum_bytes));
    GEN_TRY(gen_far_wait(far_of(p)));
    gen_pending_committed(p);
    return GEN_OK;
}
