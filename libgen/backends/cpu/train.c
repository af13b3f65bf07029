/* SPDX-License-Identifier: Apache-2.0
 *
 * Training kernels: pieces of parameters are shared by the threads; states are few.
 */
#include <math.h>
#include <stdatomic.h>

#include "libgen/backends/cpu/cpu.h"
#include "libgen/backends/cpu/kernels/adam.h"

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

/* ---- Adam ------------------------------------------------------------------------------------ */

typedef struct job {
    const gen_adam_table *t;
    const gen_adam_loops *loops;
    const gen_adam_step *k;
    float limit;
    atomic_bool bad;
} job;

static gen_status run(gen_backend *b, job *j, gen_pool_fn *piece)
{
    j->loops = gen_adam_loops_of(b->isa);
    gen_pool_run(b->pool, j->t->pieces, piece, j);
    return GEN_OK;
}

static void add_piece(void *ctx, int piece, int thread)
{
    const job *j = ctx;
    const gen_adam_piece *p = &j->t->piece[piece];
    const gen_adam_arrays *s = &j->t->slot[p->slot];
    (void)thread;
    if (s->gradient)
        j->loops->add(s->sum + p->at, s->gradient + p->at, p->n);
}

static gen_status add(gen_backend *b, const gen_adam_table *t)
{
    return run(b, &(job){ .t = t }, add_piece);
}

static void below_piece(void *ctx, int piece, int thread)
{
    job *j = ctx;
    const gen_adam_piece *p = &j->t->piece[piece];
    (void)thread;
    if (!j->loops->below(j->t->slot[p->slot].sum + p->at, p->n, j->limit))
        atomic_store(&j->bad, true);
}

static gen_status below(gen_backend *b, const gen_adam_table *t, float limit, int32_t *bad)
{
    job j = { .t = t, .limit = limit };
    GEN_TRY(run(b, &j, below_piece));
    if (atomic_load(&j.bad))
        *bad = 1;
    return GEN_OK;
}

static void step_piece(void *ctx, int piece, int thread)
{
    const job *j = ctx;
    const gen_adam_piece *p = &j->t->piece[piece];
    const gen_adam_arrays *s = &j->t->slot[p->slot];
    gen_adam_arrays a = { .w = s->w + p->at, .v = s->v + p->at, .sum = s->sum + p->at };
    (void)thread;
    a.m = s->m ? s->m + p->at : NULL;
    a.average = s->average ? s->average + p->at : NULL;
    a.bf16 = s->bf16 ? s->bf16 + p->at : NULL;
    j->loops->step(&a, p->n, j->k);
}

static gen_status step(gen_backend *b, const gen_adam_table *t, const gen_adam_step *k,
                       const int32_t *bad)
{
    if (bad && *bad)
        return GEN_OK;
    return run(b, &(job){ .t = t, .k = k }, step_piece);
}

static void swap_piece(void *ctx, int piece, int thread)
{
    const job *j = ctx;
    const gen_adam_piece *p = &j->t->piece[piece];
    const gen_adam_arrays *s = &j->t->slot[p->slot];
    (void)thread;
    for (int64_t k = p->at; k < p->at + p->n; k++) {
        float w = s->w[k];
        s->w[k] = s->average[k];
        s->average[k] = w;
    }
}

static gen_status swap(gen_backend *b, const gen_adam_table *t)
{
    return run(b, &(job){ .t = t }, swap_piece);
}

/* ---- states ---------------------------------------------------------------------------------- */

static gen_status join(gen_backend *b, const gen_state_table *t)
{
    (void)b;
    for (int i = 0; i < t->n; i++)
        for (int64_t k = 0; k < t->state[i].all; k++)
            gen_state_join(&t->state[i], k, *t->added);
    return GEN_OK;
}

static gen_status look(gen_backend *b, const gen_state_table *t, int32_t *bad)
{
    (void)b;
    for (int i = 0; *t->added && i < t->n; i++)
        for (int64_t e = 0; e < t->state[i].size; e++)
            if (!gen_state_is_finite(gen_state_next(&t->state[i], e, *t->added)))
                *bad = 1;
    return GEN_OK;
}

static gen_status commit(gen_backend *b, const gen_state_table *t, const int32_t *bad)
{
    (void)b;
    if ((bad && *bad) || !*t->added)
        return GEN_OK;
    for (int i = 0; i < t->n; i++)
        for (int64_t e = 0; e < t->state[i].size; e++)
            gen_state_commit(&t->state[i], e, *t->added);
    return GEN_OK;
}

static gen_status finite(gen_backend *b, const float *x, int64_t n, int32_t *bad)
{
    (void)b;
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            *bad = 1;
    return GEN_OK;
}

const gen_train_kernels gen_cpu_train = { .add = add,
                                          .below = below,
                                          .step = step,
                                          .swap = swap,
                                          .join = join,
                                          .look = look,
                                          .commit = commit,
                                          .finite = finite };
