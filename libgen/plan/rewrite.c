/* SPDX-License-Identifier: Apache-2.0
 *
 * The machinery of rewriting; the rules are in rules.c.
 */
#include "libgen/plan/rewrite.h"

#include <string.h>

#include "libgen/graph/graph.h"

/* ---- equal nodes become one ------------------------------------------------------------------ */

struct gen_cse {
    gen_node **slot; /* open addressing */
    uint64_t capacity;
};

static uint64_t mix(uint64_t h, const void *data, size_t n)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

static uint64_t node_hash(const gen_op *op, const void *attr, gen_node *const in[], int n_in)
{
    uint64_t h = mix(0xcbf29ce484222325u, &op, sizeof op);
    if (op == &gen_op_const)
        h = mix(h, &((const gen_const_attr *)attr)->hash, 8);
    else if (op->attr_size)
        h = mix(h, attr, op->attr_size);
    for (int i = 0; i < n_in; i++)
        h = mix(h, &in[i]->id, sizeof in[i]->id);
    return h ^ h >> 31;
}

static bool same_attr(const gen_node *a, const gen_op *op, const void *attr)
{
    if (op == &gen_op_const) {
        const gen_const_attr *x = a->attr, *y = attr;
        return x->hash == y->hash &&
               !memcmp(x->values, y->values,
                       sizeof(float) * (size_t)gen_shape_count(a->shape[0]));
    }
    return !op->attr_size || !memcmp(a->attr, attr, op->attr_size);
}

/* The node in `to` equal to old-with-inputs-in, or NULL; *slot gets the place for a new one. */
static gen_node *find_equal(struct gen_cse *c, const gen_node *old, gen_node *const in[],
                            gen_node ***slot)
{
    uint64_t h = node_hash(old->op, old->attr, in, old->n_in);
    for (uint64_t i = h & (c->capacity - 1);; i = (i + 1) & (c->capacity - 1)) {
        gen_node *n = c->slot[i];
        *slot = &c->slot[i];
        if (!n)
            return NULL;
        /* Shapes of sources are not attributes; those of others follow. */
        if (n->op == old->op && n->n_in == old->n_in &&
            gen_shape_equal(n->shape[0], old->shape[0]) && same_attr(n, old->op, old->attr) &&
            (!n->n_in || !memcmp(n->in, in, sizeof *in * (size_t)n->n_in)))
            return n;
    }
}

/* ---- constants
 * ----------------------------------------------------------------------------------- */

bool gen_node_is_constant(const gen_node *n, bool params_vary, const bool *constant)
{
    if (n->op == &gen_op_input)
        return false;
    if (n->op == &gen_op_param)
        return !params_vary;
    for (int i = 0; i < n->n_in; i++)
        if (!constant[n->in[i]->id])
            return false;
    return true;
}

bool gen_rewrite_constant(gen_rewrite *r, const gen_node *n)
{
    int count = gen_graph_count(r->to);
    if (GEN_GROW(&r->constant, &r->constant_capacity, count) != GEN_OK)
        return false;
    for (; r->constant_known < count; r->constant_known++) {
        const gen_node *m = gen_graph_node(r->to, r->constant_known);
        r->constant[m->id] = gen_node_is_constant(m, r->options->params_vary, r->constant);
    }
    return r->constant[n->id];
}

const gen_kernel *gen_plan_choose(const gen_backend *b, const gen_plan_options *o,
                                  const gen_node *n, const bool *is_const)
{
    const gen_kernel *k = gen_backend_choose(b, n, is_const);
    while (k && (o->rules_off & GEN_RULE_WINOGRAD) && !strncmp(k->name, "winograd", 8))
        k = gen_backend_choose_after(b, n, is_const, k);
    return k;
}

bool gen_rewrite_acceptable(gen_rewrite *r, gen_node *n)
{
    bool is_const[64];
    if (!n || n->n_in > GEN_LEN(is_const))
        return false;
    for (int i = 0; i < n->n_in; i++)
        is_const[i] = gen_rewrite_constant(r, n->in[i]);
    const gen_kernel *k = gen_plan_choose(r->backend, r->options, n, is_const);
    return k && strcmp(k->name, "reference");
}

/* ---- copying
 * ------------------------------------------------------------------------------------- */

static gen_node *copy_source(gen_rewrite *r, gen_node *old)
{
    gen_graph *to = r->to;
    if (old->op == &gen_op_input)
        return gen_input(to, old->name, old->dtype[0], old->shape[0]);
    if (old->op == &gen_op_param) {
        const gen_param_attr *a = old->attr;
        return (a->trained ? gen_param : gen_state)(to, old->name, old->shape[0],
                                                    (gen_init)a->init);
    }
    if (old->op == &gen_op_const)
        return gen_const(to, old->shape[0], ((const gen_const_attr *)old->attr)->values);
    return gen_fill(to, old->shape[0], ((const gen_fill_attr *)old->attr)->value);
}

static gen_node *copy_node(gen_rewrite *r, gen_node *old, gen_node *const in[])
{
    gen_node **slot = NULL;
    bool cse = (r->rules & GEN_RULE_CSE) && old->op != &gen_op_input && old->op != &gen_op_param;
    if (cse) {
        gen_node *equal = find_equal(r->cse, old, in, &slot);
        if (equal)
            return equal;
    }
    gen_node *n = old->op->flags & GEN_OP_SOURCE
                      ? copy_source(r, old)
                      : gen_node_add(r->to, old->op, old->attr, in, old->n_in);
    if (cse)
        *slot = n;
    return n;
}

void gen_rewrite_scope(gen_graph *g, const char *name)
{
    if (strcmp(g->scope, name)) {
        snprintf(g->scope, sizeof g->scope, "%s", name);
        g->scope_node = NULL;
    }
}

static gen_status copy_all(gen_rewrite *r, const gen_pass *pass)
{
    gen_node **in = NULL;
    uint64_t capacity = 0;
    gen_status status = GEN_OK;
    for (int i = 0; i < gen_graph_count(r->from) && !gen_graph_failed(r->to); i++) {
        gen_node *old = gen_graph_node(r->from, i);
        if (!r->needed[i])
            continue;
        GEN_GOTO(GEN_GROW(&in, &capacity, old->n_in + 1));
        for (int j = 0; j < old->n_in; j++)
            in[j] = r->image[old->in[j]->id];
        gen_rewrite_scope(r->to, old->op->flags & GEN_OP_SOURCE ? "" : old->name);
        gen_node *n = NULL;
        r->to->building_gradient = old->is_gradient;
        if (pass->rule && !(old->op->flags & GEN_OP_SOURCE))
            n = pass->rule(r, old, in);
        r->image[i] = n ? n : copy_node(r, old, in);
    }
    r->to->building_gradient = false;
    status = gen_graph_status(r->to);
done:
    gen_free(in);
    return status;
}

static gen_status mark_needed(gen_rewrite *r, gen_node *const outputs[], int n_outputs)
{
    int count = gen_graph_count(r->from);
    GEN_TRY(GEN_ALLOC(&r->image, count, "rewrite"));
    GEN_TRY(GEN_ALLOC(&r->needed, count, "rewrite"));
    GEN_TRY(GEN_ALLOC(&r->uses, count, "rewrite"));
    for (int i = 0; i < n_outputs; i++) {
        r->needed[outputs[i]->id] = true;
        r->uses[outputs[i]->id]++;
    }
    for (int i = count - 1; i >= 0; i--) {
        const gen_node *n = gen_graph_node(r->from, i);
        for (int j = 0; r->needed[i] && j < n->n_in; j++) {
            r->needed[n->in[j]->id] = true;
            r->uses[n->in[j]->id]++;
        }
    }
    return GEN_OK;
}

/* Copies `from` into *out through one pass; outputs[] become the images. */
static gen_status run_pass(gen_rewrite *r, const gen_pass *pass, gen_graph *from, gen_graph **out,
                           gen_node *outputs[], int n_outputs)
{
    gen_status status = GEN_OK;
    struct gen_cse cse = { .capacity = 256 };
    r->from = from;
    r->cse = &cse;
    r->constant_known = 0;
    while (cse.capacity < 2 * (uint64_t)gen_graph_count(from) + 2)
        cse.capacity *= 2;
    GEN_GOTO(gen_graph_create(&r->to));
    GEN_GOTO(GEN_ALLOC(&cse.slot, cse.capacity, "rewrite"));
    GEN_GOTO(mark_needed(r, outputs, n_outputs));
    /* Inputs that nothing needs stay: the user may fill them all the same. */
    for (int i = 0; i < gen_graph_count(from); i++)
        r->needed[i] |= gen_graph_node(from, i)->op == &gen_op_input;
    if (pass->survey)
        GEN_GOTO(pass->survey(r, &r->data));
    GEN_GOTO(copy_all(r, pass));
    for (int i = 0; i < n_outputs; i++)
        outputs[i] = r->image[outputs[i]->id];
    *out = r->to;
    r->to = NULL;
done:
    if (status != GEN_OK)
        status = gen_fail_in(status, "plan rule '%s'", pass->name);
    gen_graph_free(&r->to);
    gen_free(cse.slot);
    gen_free(r->image);
    gen_free(r->needed);
    gen_free(r->uses);
    if (pass->survey)
        gen_free(r->data);
    r->image = NULL;
    r->needed = NULL;
    r->uses = NULL;
    r->data = NULL;
    return status;
}

gen_status gen_rewrite_copy(gen_graph *from, const gen_pass *pass, void *data, gen_graph **out,
                            gen_node *outputs[], int n_outputs)
{
    gen_rewrite r = { .data = data };
    return run_pass(&r, pass, from, out, outputs, n_outputs);
}

gen_status gen_rewrite_run(gen_graph **graph, gen_node *outputs[], int n_outputs,
                           const gen_backend *backend, const gen_plan_options *options)
{
    static const gen_pass copy = { .name = "copy" };
    gen_status status = GEN_OK;
    gen_graph *own = NULL, *next = NULL;
    gen_dtype *wanted = NULL;
    gen_rewrite r = { .backend = backend, .options = options,
                      .rules = GEN_RULES_ALL & ~options->rules_off };
    GEN_GOTO(GEN_ALLOC(&wanted, n_outputs, "plan"));
    for (int i = 0; i < n_outputs; i++)
        wanted[i] = outputs[i]->dtype[0];
    GEN_GOTO(run_pass(&r, &copy, *graph, &own, outputs, n_outputs));
    for (const gen_pass *p = gen_passes; p->name; p++) {
        if ((p->needs & r.rules) != p->needs)
            continue;
        GEN_GOTO(run_pass(&r, p, own, &next, outputs, n_outputs));
        gen_graph_free(&own);
        own = next;
        next = NULL;
    }
    for (int i = 0; i < n_outputs; i++) /* what the caller reads keeps its type */
        if (outputs[i]->dtype[0] != wanted[i])
            outputs[i] = gen_cast(own, outputs[i], wanted[i]);
    GEN_GOTO(gen_graph_status(own));
    *graph = own;
    own = NULL;
done:
    gen_graph_free(&own);
    gen_free(wanted);
    gen_free(r.constant);
    return status;
}

/* ---- runs of memory
 * -------------------------------------------------------------------------------- */

static bool leading_ones(const gen_node *n, int64_t axis)
{
    for (int64_t i = 0; i < axis; i++)
        if (n->shape[0].dim[i] != 1)
            return false;
    return true;
}

bool gen_is_outer_slice(const gen_node *n)
{
    return n->op == &gen_op_slice && leading_ones(n, ((const gen_slice_attr *)n->attr)->axis);
}

bool gen_is_outer_concat(const gen_node *n)
{
    return n->op == &gen_op_concat && leading_ones(n, ((const gen_concat_attr *)n->attr)->axis);
}

gen_node *gen_outer_base(gen_node *n, int64_t *offset)
{
    *offset = 0;
    for (;;) {
        if (gen_is_outer_slice(n)) {
            const gen_slice_attr *a = n->attr;
            *offset += a->first * (gen_shape_count(n->shape[0]) / a->count);
        } else if (!(n->op->flags & GEN_OP_VIEW) || n->op == &gen_op_output) {
            return n;
        }
        n = n->in[0];
    }
}
