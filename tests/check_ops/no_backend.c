/* SPDX-License-Identifier: Apache-2.0
 *
 * Stands in for the cpu backend until it has landed: one kernel that runs the op's reference on f32
 * and bf16 data. To be deleted then.
 */
#include <libgen/plan.h>

#include "libgen/backends/backend.h"

typedef struct state {
    const gen_node *n;
    double *in[8], *out[GEN_MAX_OUTPUTS];
} state;

static void free_state(void *p)
{
    state *s = p;
    for (int i = 0; i < 8; i++)
        gen_free(s->in[i]);
    for (int i = 0; i < GEN_MAX_OUTPUTS; i++)
        gen_free(s->out[i]);
    gen_free(s);
}

static gen_status prepare(gen_prepare *p)
{
    state *s;
    GEN_TRY(GEN_ALLOC(&s, 1, "kernel"));
    p->state = s;
    s->n = p->node;
    for (int i = 0; i < s->n->n_in; i++)
        GEN_TRY(GEN_ALLOC(&s->in[i], gen_shape_count(s->n->in[i]->shape[0]), "kernel"));
    for (int i = 0; i < s->n->n_out; i++)
        GEN_TRY(GEN_ALLOC(&s->out[i], gen_shape_count(s->n->shape[i]), "kernel"));
    return GEN_OK;
}

static gen_status run(void *state_, const void *const in[], void *const out[], void *workspace,
                      gen_backend *b)
{
    state *s = state_;
    (void)workspace, (void)b;
    for (int i = 0; i < s->n->n_in; i++)
        gen_convert(s->in[i], GEN_F64, in[i], s->n->in[i]->dtype[0],
                    gen_shape_count(s->n->in[i]->shape[0]));
    s->n->op->ref(s->n, (const double *const *)s->in, s->out);
    for (int i = 0; i < s->n->n_out; i++)
        gen_convert(out[i], s->n->dtype[i], s->out[i], GEN_F64, gen_shape_count(s->n->shape[i]));
    return GEN_OK;
}

static const gen_kernel reference = { .name = "reference", .prepare = prepare, .run = run,
                                      .free = free_state, .flags = GEN_KERNEL_IN_PLACE };
static const gen_kernel *const list[] = { &reference, NULL };

gen_status gen_backend_open(gen_backend **out, const char *device, int threads)
{
    (void)device, (void)threads;
    GEN_TRY(GEN_ALLOC(out, 1, "backend"));
    (*out)->name = "cpu";
    (*out)->kernels = list;
    return GEN_OK;
}

void gen_backend_close(gen_backend **b)
{
    gen_free(*b);
    *b = NULL;
}
