/* SPDX-License-Identifier: Apache-2.0
 *
 * Adam. The parameters are cut into pieces, as a function of their sizes only, that the threads of
 * the backend share.
 */
#include <math.h>
#include <string.h>

#include <libgen/train.h>

#include "libgen/base/alloc.h"
#include "libgen/train/kernels/adam.h"
#include "libgen/train/optimiser.h"

enum { PIECE = 32768 }; /* elements: long against the cost of a piece, short against a parameter */

extern const gen_adam_loops gen_adam_loops_base, gen_adam_loops_avx2, gen_adam_loops_avx512;

const gen_adam_loops *gen_adam_loops_of(gen_isa isa)
{
#if defined(__x86_64__)
    if (isa >= GEN_ISA_AVX512)
        return &gen_adam_loops_avx512;
    if (isa == GEN_ISA_AVX2)
        return &gen_adam_loops_avx2;
#endif
    (void)isa;
    return &gen_adam_loops_base;
}

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

static gen_status add_slot(gen_optimiser *o, const char *name)
{
    gen_tensor t = gen_params_get(o->params, name);
    if (!t.data)
        return gen_fail(GEN_EINVAL, "Adam: there is no parameter '%s'", name);
    for (int i = 0; i < o->n; i++)
        if (o->slot[i].w == t.data)
            return gen_fail(GEN_EINVAL, "Adam: parameter '%s' is named twice", name);
    gen_slot *s = &o->slot[o->n++];
    *s = (gen_slot){ .shape = t.shape, .count = gen_shape_count(t.shape), .w = t.data };
    GEN_TRY(gen_strdup(&s->name, name));
    GEN_TRY(GEN_ALLOC(&s->v, s->count, "second moments"));
    GEN_TRY(GEN_ALLOC(&s->sum, s->count, "sum of gradients"));
    if (o->adam.beta1 > 0)
        GEN_TRY(GEN_ALLOC(&s->m, s->count, "first moments"));
    if (o->adam.average > 0) {
        GEN_TRY(GEN_ALLOC(&s->average, s->count, "average of parameters"));
        memcpy(s->average, s->w, (size_t)s->count * sizeof *s->average);
    }
    if (o->adam.bf16) {
        GEN_TRY(GEN_ALLOC(&s->bf16, s->count, "bf16 parameters"));
        gen_convert(s->bf16, GEN_BF16, s->w, GEN_F32, s->count);
    }
    o->pieces += (int)((s->count + PIECE - 1) / PIECE);
    return GEN_OK;
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

static gen_status cut(gen_optimiser *o)
{
    gen_piece *p;
    GEN_TRY(GEN_ALLOC(&o->piece, o->pieces, "optimiser"));
    p = o->piece;
    for (int i = 0; i < o->n; i++)
        for (int64_t at = 0; at < o->slot[i].count; at += PIECE, p++) {
            int64_t left = o->slot[i].count - at;
            *p = (gen_piece){ .slot = i, .at = at, .n = left < PIECE ? left : PIECE };
        }
    return GEN_OK;
}

gen_status gen_optimiser_create(gen_optimiser **out, gen_params *params, const char *const names[],
                                int n, const gen_adam_options *options, gen_backend *backend)
{
    gen_status status;
    gen_optimiser *o = NULL;
    *out = NULL;
    GEN_GOTO(GEN_ALLOC(&o, 1, "optimiser"));
    o->params = params;
    o->backend = backend;
    o->loops = gen_adam_loops_of(backend->isa);
    if (options)
        o->adam = *options;
    GEN_GOTO(check_options(&o->adam));
    GEN_GOTO(add_slots(o, names, n));
    GEN_GOTO(cut(o));
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
    for (int i = 0; i < o->n; i++) {
        gen_slot *s = &o->slot[i];
        gen_free(s->name);
        gen_free(s->v);
        gen_free(s->sum);
        gen_free(s->m);
        gen_free(s->average);
        gen_free(s->bf16);
    }
    gen_free(o->slot);
    gen_free(o->piece);
    gen_free(o);
    *optimiser = NULL;
}

uint64_t gen_adam_bytes(const gen_adam_options *a, int64_t n)
{
    uint64_t floats = 2 + (a->beta1 > 0) + (a->average > 0); /* v, sum, m, average */
    return (uint64_t)n * (floats * sizeof(float) + (a->bf16 ? sizeof(uint16_t) : 0));
}

/* ---- steps ----------------------------------------------------------------------------------- */

typedef struct adding {
    gen_optimiser *o;
    const float *const *gradient;
} adding;

static void add_piece(void *ctx, int piece, int thread)
{
    const adding *a = ctx;
    const gen_piece *p = &a->o->piece[piece];
    const float *from = a->gradient[p->slot];
    (void)thread;
    if (from)
        a->o->loops->add(a->o->slot[p->slot].sum + p->at, from + p->at, p->n);
}

void gen_optimiser_add(gen_optimiser *o, const float *const gradient[])
{
    adding a = { o, gradient };
    gen_pool_run(o->backend->pool, o->pieces, add_piece, &a);
    o->added++;
}

typedef struct stepping {
    gen_optimiser *o;
    gen_adam_step k;
} stepping;

static void step_piece(void *ctx, int piece, int thread)
{
    const stepping *c = ctx;
    const gen_piece *p = &c->o->piece[piece];
    const gen_slot *s = &c->o->slot[p->slot];
    gen_adam_arrays a = { .w = s->w + p->at, .v = s->v + p->at, .sum = s->sum + p->at };
    (void)thread;
    a.m = s->m ? s->m + p->at : NULL;
    a.average = s->average ? s->average + p->at : NULL;
    a.bf16 = s->bf16 ? s->bf16 + p->at : NULL;
    c->o->loops->step(&a, p->n, &c->k);
}

gen_status gen_optimiser_step(gen_optimiser *o, double rate)
{
    const gen_adam_options *a = &o->adam;
    if (!o->added)
        return gen_fail(GEN_EINVAL, "Adam: a step without gradients");
    double t = (double)++o->steps;
    stepping c = { .o = o };
    c.k = (gen_adam_step){
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
    gen_pool_run(o->backend->pool, o->pieces, step_piece, &c);
    o->added = 0;
    return GEN_OK;
}

void gen_optimiser_discard(gen_optimiser *o)
{
    for (int i = 0; i < o->n; i++)
        memset(o->slot[i].sum, 0, (size_t)o->slot[i].count * sizeof *o->slot[i].sum);
    o->added = 0;
}

gen_status gen_optimiser_swap(gen_optimiser *o)
{
    if (!(o->adam.average > 0))
        return gen_fail(GEN_EINVAL, "Adam: no average of the parameters is kept");
    for (int i = 0; i < o->n; i++)
        for (int64_t k = 0; k < o->slot[i].count; k++) {
            float w = o->slot[i].w[k];
            o->slot[i].w[k] = o->slot[i].average[k];
            o->slot[i].average[k] = w;
        }
    return GEN_OK;
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
    return (gen_tensor){ GEN_F32, o->slot[i].shape, o->slot[i].average };
}

gen_tensor gen_optimiser_bf16(const gen_optimiser *o, int i)
{
    return (gen_tensor){ GEN_BF16, o->slot[i].shape, o->slot[i].bf16 };
}

gen_tensor gen_optimiser_sum(const gen_optimiser *o, int i)
{
    return (gen_tensor){ GEN_F32, o->slot[i].shape, o->slot[i].sum };
}
