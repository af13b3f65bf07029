/* SPDX-License-Identifier: Apache-2.0
 *
 * The last kernel of the list: any op, by its definition in doubles. Slow and always right; it
 * takes eight bytes an element of all inputs and outputs as workspace.
 */
#include <string.h>

#include "libgen/backends/cpu/cpu.h"

typedef struct reference {
    gen_arena arena;
    gen_node *node; /* a copy with its inputs' shapes: the graph may go before the plan */
} reference;

static gen_node *copy_node(gen_arena *a, const gen_node *from)
{
    size_t shapes = (size_t)from->n_out * sizeof *from->shape;
    size_t dtypes = (size_t)from->n_out * sizeof *from->dtype;
    gen_node *to = gen_arena_alloc(a, sizeof *to);
    if (!to)
        return NULL;
    *to = *from;
    to->name = gen_arena_printf(a, "%s", from->name ? from->name : "");
    to->shape = gen_arena_alloc(a, shapes);
    to->dtype = gen_arena_alloc(a, dtypes);
    void *attr = gen_arena_alloc(a, from->op->attr_size + 1);
    to->in = gen_arena_alloc(a, ((size_t)from->n_in + 1) * sizeof *to->in);
    if (!to->name || !to->shape || !to->dtype || !attr || !to->in)
        return NULL;
    memcpy(to->shape, from->shape, shapes);
    memcpy(to->dtype, from->dtype, dtypes);
    if (from->op->attr_size)
        memcpy(attr, from->attr, from->op->attr_size);
    to->attr = from->op->attr_size ? attr : NULL;
    return to;
}

static void free_reference(void *state)
{
    reference *r = state;
    if (!r)
        return;
    gen_arena_free(&r->arena);
    gen_free(r);
}

/* The inputs' own inputs are not copied: a reference may look at shapes only. */
static gen_status copy_inputs(reference *r, const gen_node *from)
{
    for (int i = 0; i < from->n_in; i++) {
        gen_node *in = copy_node(&r->arena, from->in[i]);
        if (!in)
            return GEN_ENOMEM;
        in->n_in = 0;
        r->node->in[i] = in;
    }
    return GEN_OK;
}

static uint64_t doubles(const gen_node *n, int output)
{
    return gen_cpu_align((uint64_t)gen_shape_count(n->shape[output]) * sizeof(double));
}

static bool accepts(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    (void)b, (void)is_const;
    return n->op->ref != NULL;
}

static gen_status prepare(gen_prepare *p)
{
    gen_status status = GEN_OK;
    reference *r;
    GEN_TRY(GEN_ALLOC(&r, 1, "reference kernel"));
    r->node = copy_node(&r->arena, p->node);
    GEN_GOTO(r->node ? copy_inputs(r, p->node) : GEN_ENOMEM);
    for (int i = 0; i < p->node->n_in; i++)
        p->workspace += doubles(p->node->in[i], 0);
    for (int i = 0; i < p->node->n_out; i++)
        p->workspace += doubles(p->node, i);
    p->workspace += gen_cpu_align((uint64_t)p->node->n_in * sizeof(double *));
    p->state = r;
    r = NULL;
done:
    free_reference(r);
    return status;
}

static gen_status run(void *state, const void *const in[], void *const out[], void *workspace,
                      gen_backend *b)
{
    const gen_node *n = ((reference *)state)->node;
    char *at = workspace;
    const double **x = workspace;
    double *y[GEN_MAX_OUTPUTS];
    (void)b;
    at += gen_cpu_align((uint64_t)n->n_in * sizeof(double *));
    for (int i = 0; i < n->n_in; i++) {
        const gen_node *from = n->in[i];
        gen_convert(at, GEN_F64, in[i], from->dtype[0], gen_shape_count(from->shape[0]));
        x[i] = (double *)at;
        at += doubles(from, 0);
    }
    for (int i = 0; i < n->n_out; i++) {
        y[i] = (double *)at;
        at += doubles(n, i);
    }
    n->op->ref(n, x, y);
    for (int i = 0; i < n->n_out; i++)
        if (out[i])
            gen_convert(out[i], n->dtype[i], y[i], GEN_F64, gen_shape_count(n->shape[i]));
    return GEN_OK;
}

const gen_kernel gen_reference_kernel = {
    .name = "reference",
    .accepts = accepts,
    .prepare = prepare,
    .run = run,
    .free = free_reference,
};
