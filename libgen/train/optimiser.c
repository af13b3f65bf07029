/* SPDX-License-Identifier: Apache-2.0
 *
 * Adam. The parameters are cut into pieces, as a function of their sizes only; what computes them
 * is the backend's, and lies where its kernels have their data.
 */
#include "libgen/train/optimiser.h"

#include <math.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "libgen/graph/params.h"
#include "libgen/train/guard.h"

enum {
    PIECE = 16384, /* elements: long against the cost of a piece, short against a parameter */
    ALIGN = 64     /* elements between the arrays of parameters: 256 bytes of f32 */
};

/* ---- creation -------------------------------------------------------------------------------- */

static gen_status check_share(const char *what, double v)
{
    if (v >= 0 && v < 1)
        return GEN_OK;
    return gen_fail(GEN_EINVAL, "Adam, %s: found %g, expected 0 or more and less than 1", what, v);
}

static gen_status check_options(gen_adam_options *a)
{
    a->beta2 = a->beta2 != 0 ? a->beta2 : 0.999;
    a->eps = a->eps != 0 ? a->eps : 1e-8;
    GEN_TRY(check_share("beta1", a->beta1));
    GEN_TRY(check_share("beta2", a->beta2));
    GEN_TRY(check_share("average", a->average));
    if (!(a->eps >= 1e-30 && a->eps <= 1)) /* smaller is 0 in f32, and 0 / 0 is no step */
        return gen_fail(GEN_EINVAL, "Adam, eps: found %g, expected 1e-30 to 1", a->eps);
    if (!(a->weight_decay >= 0 && a->weight_decay <= 1))
        return gen_fail(GEN_EINVAL, "Adam, weight_decay: found %g, expected 0 to 1",
                        a->weight_decay);
    return GEN_OK;
}

static const gen_far *far_of(const gen_optimiser *o)
{
    return o->backend->far;
}

/* Where the parameter is for kernels. */
static gen_status master(const gen_optimiser *o, const char *name, gen_tensor t, float **out)
{
    void *far;
    *out = t.data;
    if (!far_of(o))
        return GEN_OK;
    GEN_TRY(gen_params_far(o->params, name, far_of(o), &far));
    *out = far;
    return GEN_OK;
}

static gen_status add_slot(gen_optimiser *o, const char *name)
{
    gen_tensor t = gen_params_get(o->params, name);
    float *w;
    if (!t.data)
        return gen_fail(GEN_EINVAL, "Adam: there is no parameter '%s'", name);
    GEN_TRY(master(o, name, t, &w));
    for (int i = 0; i < o->n; i++)
        if (o->slot[i].at.w == w)
            return gen_fail(GEN_EINVAL, "Adam: parameter '%s' is named twice", name);
    gen_slot *s = &o->slot[o->n++];
    *s = (gen_slot){ .shape = t.shape, .count = gen_shape_count(t.shape), .at.w = w };
    return gen_strdup(&s->name, name);
}

static gen_status add_slots(gen_optimiser *o, const char *const names[], int n)
{
    int capacity = names ? n : gen_params_count(o->params);
    GEN_TRY(GEN_ALLOC(&o->slot, capacity, "optimiser"));
    for (int i = 0; i < capacity; i++) {
        const char *name = names ? names[i] : NULL;
        bool trained = true;
        if (!names)
            (void)gen_params_at(o->params, i, &name, &trained);
        if (trained)
            GEN_TRY(add_slot(o, name));
    }
    return GEN_OK;
}

static int64_t room_of(const gen_slot *s)
{
    return (s->count + ALIGN - 1) / ALIGN * ALIGN;
}

static gen_status hold_arrays(gen_optimiser *o)
{
    const struct {
        bool wanted;
        const char *what;
    } array[GEN_ADAM_ARRAYS] = { { true, "second moments" },
                                 { true, "sums of gradients" },
                                 { o->adam.beta1 > 0, "first moments" },
                                 { o->adam.average > 0, "average of parameters" },
                                 { o->adam.bf16 != 0, "bf16 parameters" } };
    int64_t all = 0, at = 0;
    for (int i = 0; i < o->n; i++)
        all += room_of(&o->slot[i]);
    o->sum_bytes = (uint64_t)all * sizeof(float);
    for (int k = 0; k < GEN_ADAM_ARRAYS; k++) {
        uint64_t size = k == GEN_ADAM_BF16 ? sizeof(uint16_t) : sizeof(float);
        if (array[k].wanted)
            GEN_TRY(gen_far_hold(far_of(o), &o->block[k], (uint64_t)all * size, array[k].what));
    }
    for (int i = 0; i < o->n; at += room_of(&o->slot[i++])) {
        gen_adam_arrays *a = &o->slot[i].at;
        a->v = (float *)o->block[GEN_ADAM_V] + at;
        a->sum = (float *)o->block[GEN_ADAM_SUM] + at;
        a->m = o->block[GEN_ADAM_M] ? (float *)o->block[GEN_ADAM_M] + at : NULL;
        a->average = o->block[GEN_ADAM_AVERAGE] ? (float *)o->block[GEN_ADAM_AVERAGE] + at : NULL;
        a->bf16 = o->block[GEN_ADAM_BF16] ? (uint16_t *)o->block[GEN_ADAM_BF16] + at : NULL;
    }
    return GEN_OK;
}

/* Rounded copies of the masters as the host has them. */
static gen_status round_masters(gen_optimiser *o)
{
    gen_status status = GEN_OK;
    for (int i = 0; o->adam.bf16 && i < o->n && status == GEN_OK; i++) {
        const gen_slot *s = &o->slot[i];
        uint16_t *half;
        GEN_TRY(GEN_ALLOC(&half, s->count, "bf16 parameters"));
        gen_convert(half, GEN_BF16, gen_params_get(o->params, s->name).data, GEN_F32, s->count);
        status = gen_far_write(far_of(o), s->at.bf16, half, (uint64_t)s->count * sizeof *half);
        gen_free(half);
    }
    return status;
}

static gen_status begin_average(gen_optimiser *o)
{
    for (int i = 0; o->adam.average > 0 && i < o->n; i++)
        GEN_TRY(gen_far_write(far_of(o), o->slot[i].at.average,
                              gen_params_get(o->params, o->slot[i].name).data,
                              (uint64_t)o->slot[i].count * sizeof(float)));
    return GEN_OK;
}

/* The table as kernels see it. */
static gen_status make_table(gen_optimiser *o)
{
    gen_status status = GEN_OK;
    gen_adam_piece *list = NULL, *p;
    void *slot = NULL, *piece = NULL;
    int64_t pieces = 0;
    for (int i = 0; i < o->n; i++)
        pieces += (o->slot[i].count + PIECE - 1) / PIECE;
    GEN_TRY(GEN_ALLOC(&o->bound, o->n, "optimiser"));
    for (int i = 0; i < o->n; i++)
        o->bound[i] = o->slot[i].at;
    GEN_TRY(GEN_ALLOC(&list, pieces, "optimiser"));
    p = list;
    for (int i = 0; i < o->n; i++)
        for (int64_t at = 0; at < o->slot[i].count; at += PIECE, p++) {
            int64_t left = o->slot[i].count - at;
            left = left < PIECE ? left : PIECE;
            *p = (gen_adam_piece){ .slot = i, .at = at, .n = (int32_t)left };
        }
    uint64_t slot_bytes = (uint64_t)o->n * sizeof *o->bound;
    uint64_t piece_bytes = (uint64_t)pieces * sizeof *list;
    GEN_GOTO(gen_far_hold(far_of(o), &slot, slot_bytes, "optimiser"));
    o->table.slot = slot;
    GEN_GOTO(gen_far_hold(far_of(o), &piece, piece_bytes, "optimiser"));
    o->table.piece = piece;
    o->table.pieces = (int32_t)pieces;
    GEN_GOTO(gen_far_write(far_of(o), slot, o->bound, slot_bytes));
    GEN_GOTO(gen_far_write(far_of(o), piece, list, piece_bytes));
done:
    gen_free(list);
    return status;
}

gen_status gen_optimiser_create(gen_optimiser **out, gen_params *params, const char *const names[],
                                int n, const gen_adam_options *options, gen_backend *backend)
{
    gen_status status;
    gen_optimiser *o = NULL;
    *out = NULL;
    if (!backend->train)
        return gen_fail(GEN_EUNSUPPORTED, "Adam has no kernels on %s", backend->name);
    GEN_TRY(gen_params_fetch(params));
    GEN_GOTO(GEN_ALLOC(&o, 1, "optimiser"));
    o->params = params;
    o->backend = backend;
    if (options)
        o->adam = *options;
    GEN_GOTO(check_options(&o->adam));
    GEN_GOTO(add_slots(o, names, n));
    GEN_GOTO(hold_arrays(o));
    GEN_GOTO(make_table(o));
    GEN_GOTO(round_masters(o));
    GEN_GOTO(begin_average(o));
    GEN_GOTO(gen_mirror_create(far_of(o), &o->step, sizeof(gen_adam_step), "optimiser"));
    GEN_GOTO(gen_mirror_create(far_of(o), &o->bad, sizeof(int32_t), "optimiser"));
    *out = o;
    o = NULL;
done:
    gen_optimiser_free(&o);
    return status;
}

void gen_optimiser_free(gen_optimiser **optimiser)
{
    gen_optimiser *o = *optimiser;
    if (!o)
        return;
    (void)gen_far_wait(far_of(o)); /* a step that failed may have left work behind */
    for (int i = 0; i < o->n; i++)
        gen_free(o->slot[i].name);
    for (int k = 0; k < GEN_ADAM_ARRAYS; k++)
        gen_far_release(far_of(o), o->block[k]);
    gen_far_release(far_of(o), (void *)o->table.slot);
    gen_far_release(far_of(o), (void *)o->table.piece);
    gen_mirror_free(far_of(o), &o->step);
    gen_mirror_free(far_of(o), &o->bad);
    gen_free(o->bound);
    gen_free(o->slot);
    gen_free(o);
    *optimiser = NULL;
}

uint64_t gen_adam_bytes(const gen_adam_options *a, int64_t n)
{
    uint64_t floats = 2 + (a->beta1 > 0) + (a->average > 0); /* v, sum, m, average */
    return (uint64_t)n * (floats * sizeof(float) + (a->bf16 ? sizeof(uint16_t) : 0));
}

/* ---- steps ----------------------------------------------------------------------------------- */

gen_status gen_optimiser_bind(gen_optimiser *o, const float *const gradient[])
{
    bool moved = false;
    for (int i = 0; i < o->n; i++) {
        moved |= o->bound[i].gradient != gradient[i];
        o->bound[i].gradient = gradient[i];
    }
    return moved ? gen_far_write(far_of(o), (void *)o->table.slot, o->bound,
                                 (uint64_t)o->n * sizeof *o->bound)
                 : GEN_OK;
}

gen_status gen_optimiser_queue_add(gen_optimiser *o)
{
    return o->backend->train->add(o->backend, &o->table);
}

gen_status gen_optimiser_add(gen_optimiser *o, const float *const gradient[])
{
    GEN_TRY(gen_optimiser_bind(o, gradient));
    o->added++;
    return gen_optimiser_queue_add(o);
}

gen_status gen_optimiser_queue_look(const gen_optimiser *o, int32_t *bad)
{
    return o->backend->train->below(o->backend, &o->table, GEN_MOST_GRADIENT, bad);
}

void gen_optimiser_plan_step(gen_optimiser *o, double rate)
{
    const gen_adam_options *a = &o->adam;
    double t = (double)(o->steps + 1);
    *(gen_adam_step *)o->step.host = (gen_adam_step){
        .count = (float)o->added,
        .weight_decay = (float)a->weight_decay,
        .beta2 = (float)a->beta2,
        .first = (float)(1 - a->beta1),
        .second = (float)(1 - a->beta2),
        .rate = (float)(rate / (1 - pow(a->beta1, t))),
        .root = (float)sqrt(1 - pow(a->beta2, t)),
        .eps = (float)a->eps,
        .follow = (float)(1 - a->average),
    };
}

gen_status gen_optimiser_queue_step(gen_optimiser *o, const int32_t *bad)
{
    GEN_TRY(gen_mirror_up(far_of(o), &o->step));
    return o->backend->train->step(o->backend, &o->table, o->step.kernel, bad);
}

void gen_optimiser_stepped(gen_optimiser *o)
{
    o->steps++;
    o->added = 0;
}

/* Queued work that changes masters. */
static gen_status changed(gen_optimiser *o)
{
    if (far_of(o))
        gen_params_far_changed(o->params);
    return gen_far_wait(far_of(o));
}

gen_status gen_optimiser_step(gen_optimiser *o, double rate)
{
    if (!o->added)
        return gen_fail(GEN_EINVAL, "Adam: a step without gradients");
    GEN_TRY(gen_params_put(o->params));
    gen_optimiser_plan_step(o, rate);
    GEN_TRY(gen_optimiser_queue_step(o, NULL));
    GEN_TRY(changed(o));
    gen_optimiser_stepped(o);
    return GEN_OK;
}

gen_status gen_optimiser_discard(gen_optimiser *o)
{
    if (!o->added)
        return GEN_OK;
    GEN_TRY(gen_far_clear(far_of(o), o->block[GEN_ADAM_SUM], o->sum_bytes));
    o->added = 0;
    return GEN_OK;
}

gen_status gen_optimiser_swap(gen_optimiser *o)
{
    if (!(o->adam.average > 0))
        return gen_fail(GEN_EINVAL, "Adam: no average of the parameters is kept");
    GEN_TRY(gen_params_put(o->params));
    GEN_TRY(o->backend->train->swap(o->backend, &o->table));
    return changed(o);
}

gen_status gen_optimiser_loaded(gen_optimiser *o)
{
    GEN_TRY(gen_params_fetch(o->params));
    GEN_TRY(round_masters(o));
    return gen_optimiser_discard(o);
}

/* ---- views ----------------------------------------------------------------------------------- */

int gen_optimiser_count(const gen_optimiser *o)
{
    return o->n;
}

const char *gen_optimiser_name(const gen_optimiser *o, int i)
{
    return o->slot[i].name;
}

int64_t gen_optimiser_steps(const gen_optimiser *o)
{
    return o->steps;
}

gen_tensor gen_optimiser_average(const gen_optimiser *o, int i)
{
    return (gen_tensor){ GEN_F32, o->slot[i].shape, o->slot[i].at.average };
}

gen_tensor gen_optimiser_bf16(const gen_optimiser *o, int i)
{
    return (gen_tensor){ GEN_BF16, o->slot[i].shape, o->slot[i].at.bf16 };
}

gen_tensor gen_optimiser_sum(const gen_optimiser *o, int i)
{
    return (gen_tensor){ GEN_F32, o->slot[i].shape, o->slot[i].at.sum };
}
