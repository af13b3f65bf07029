/* SPDX-License-Identifier: Apache-2.0
 *
 * Making and running a plan: rewrite the graph, choose and prepare a kernel per node, lay out
 * memory, fix addresses. Running walks the steps.
 */
#include "libgen/plan/plan.h"

#include <string.h>

#include "libgen/graph/graph.h"

/* ---- steps
 * ------------------------------------------------------------------------------------------ */

static bool computes(const struct gen_plan *p, const gen_node *n)
{
    return !p->constant[n->id] && !(n->op->flags & (GEN_OP_SOURCE | GEN_OP_VIEW)) &&
           !gen_is_outer_slice(n);
}

bool gen_plan_names(const char *const *list, const char *name)
{
    for (; list && *list; list++)
        if (!strcmp(*list, name))
            return true;
    return false;
}

/* What is constant, what is slow, and the values' indices. */
static gen_status classify(struct gen_plan *p)
{
    int nodes = gen_graph_count(p->graph);
    bool hoist = p->options.slow && !(p->options.rules_off & GEN_RULE_HOIST);
    GEN_TRY(GEN_ALLOC(&p->constant, nodes, "plan"));
    GEN_TRY(GEN_ALLOC(&p->slow, nodes, "plan"));
    GEN_TRY(GEN_ALLOC(&p->value_of, nodes, "plan"));
    for (int i = 0; i < nodes; i++) {
        const gen_node *n = gen_graph_node(p->graph, i);
        p->constant[i] = gen_node_is_constant(n, p->options.params_vary, p->constant);
        bool slow = hoist && (n->n_in || (n->op == &gen_op_input &&
                                          gen_plan_names(p->options.slow, n->name)));
        for (int j = 0; j < n->n_in; j++)
            slow &= p->slow[n->in[j]->id] || p->constant[n->in[j]->id];
        p->slow[i] = slow && !p->constant[i];
        if (n->op == &gen_op_output) {
            p->value_of[i] =
                p->value_of[n->in[0]->id] + (int)((const gen_output_attr *)n->attr)->index;
        } else {
            p->value_of[i] = p->n_values;
            p->n_values += n->n_out;
        }
    }
    GEN_TRY(GEN_ALLOC(&p->value, p->n_values, "plan"));
    for (int i = 0; i < p->n_values; i++)
        p->value[i].buffer = p->value[i].next = -1;
    return GEN_OK;
}

static gen_status check_params(struct gen_plan *p)
{
    char a[GEN_SHAPE_TEXT], b[GEN_SHAPE_TEXT];
    for (int i = 0; i < gen_graph_count(p->graph); i++) {
        const gen_node *n = gen_graph_node(p->graph, i);
        if (n->op != &gen_op_param || p->constant[i])
            continue;
        gen_tensor t = gen_params_get(p->params, n->name);
        if (!t.data && p->options.estimate_only)
            continue;
        if (!t.data)
            return gen_fail(GEN_EINVAL, "parameter '%s' has no value", n->name);
        if (!gen_shape_equal(t.shape, n->shape[0]))
            return gen_fail(GEN_EINVAL, "parameter '%s' has shape %s, expected %s", n->name,
                            gen_shape_text(t.shape, a), gen_shape_text(n->shape[0], b));
    }
    return GEN_OK;
}

/* ---- constants that run time reads
 * ----------------------------------------------------------------- */

static gen_status keep_constant(struct gen_plan *p, gen_node *n)
{
    struct gen_value *v = &p->value[p->value_of[n->id]];
    const void *value;
    void *owned;
    size_t bytes = (size_t)gen_shape_count(n->shape[0]) * gen_dtype_size(n->dtype[0]);
    const gen_far *far = p->backend->far;
    if (v->outside)
        return GEN_OK;
    GEN_TRY(GEN_GROW(&p->owned, &p->owned_capacity, p->n_owned + 1));
    GEN_TRY(gen_constant_value(p, n, &value, &owned));
    void *kept = far ? NULL : owned;
    gen_status s = GEN_OK;
    if (!kept) { /* parameters may be released, literals go with the graph: copy */
        s = gen_far_take(far, &kept, bytes, "constant");
        s = s == GEN_OK ? gen_far_write(far, kept, value, bytes) : s;
        gen_free(owned);
    }
    if (s != GEN_OK) {
        gen_far_release(far, kept);
        return s;
    }
    p->owned[p->n_owned++] = kept;
    v->outside = kept;
    v->bytes = bytes;
    return GEN_OK;
}

/* Values that the step reads at run time are computed and kept. */
static gen_status keep_constants(struct gen_plan *p, const struct gen_step *step)
{
    for (int i = 0; i < step->node->n_in; i++) {
        gen_node *in = step->node->in[i];
        if (p->constant[in->id] && !(i < 32 && step->consumed >> i & 1))
            GEN_TRY(keep_constant(p, in));
    }
    return GEN_OK;
}

/* last[id] = the last step whose preparation needs constant id; steps are numbered as made. */
static gen_status last_needs(struct gen_plan *p, int **out)
{
    int nodes = gen_graph_count(p->graph);
    GEN_TRY(GEN_ALLOC(out, nodes, "plan"));
    int *last = *out;
    for (int s = 0; s < p->n_steps; s++)
        for (int i = 0; i < p->step[s].node->n_in; i++) {
            int id = p->step[s].node->in[i]->id;
            last[id] = s > last[id] ? s : last[id];
        }
    for (int i = 0; i < p->n_outputs; i++)
        last[p->output[i]->id] = p->n_steps;
    for (int id = nodes - 1; id >= 0; id--) {
        const gen_node *n = gen_graph_node(p->graph, id);
        for (int i = 0; p->constant[id] && i < n->n_in; i++)
            if (last[id] > last[n->in[i]->id])
                last[n->in[i]->id] = last[id];
    }
    return GEN_OK;
}

/* Frees the parameters that no later step needs. */
static void drop_params(struct gen_plan *p, const int *last, int step)
{
    for (int i = 0; i < gen_graph_params(p->graph); i++) {
        const gen_node *n = gen_graph_param(p->graph, i);
        if (last[n->id] == step)
            gen_params_drop(p->params, n->name);
    }
}

static gen_status prepare_step(struct gen_plan *p, struct gen_step *step, bool *is_const)
{
    gen_node *n = step->node;
    for (int i = 0; i < n->n_in; i++)
        is_const[i] = p->constant[n->in[i]->id];
    if (gen_is_outer_concat(n))
        return GEN_OK; /* a run of memory for each part: copies, or nothing */
    const gen_kernel *k = gen_plan_choose(p->backend, &p->options, n, is_const);
    if (!k)
        return gen_fail(GEN_EUNSUPPORTED, "op '%s' (%s) has no kernel on %s", n->op->name, n->name,
                        p->backend->name);
    gen_prepare prepared;
    gen_status s = gen_prepare_kernel(p, p->backend, k, n, is_const, &prepared);
    while (s == GEN_EUNSUPPORTED && /* a library may accept more than it can do */
           (k = gen_backend_choose_after(p->backend, n, is_const, k)))
        s = gen_prepare_kernel(p, p->backend, k, n, is_const, &prepared);
    step->kernel = k;
    step->state = prepared.state;
    step->workspace = prepared.workspace;
    step->consumed = prepared.consumed;
    step->more = prepared.more;
    return s == GEN_OK ? s : gen_fail_in(s, "%s '%s'", n->op->name, n->name);
}

static gen_status make_steps(struct gen_plan *p)
{
    int nodes = gen_graph_count(p->graph);
    gen_status status = GEN_OK;
    bool *is_const = NULL;
    int *last = NULL;
    uint64_t capacity = 0;
    for (int i = 0; i < nodes; i++)
        p->n_steps += computes(p, gen_graph_node(p->graph, i));
    GEN_TRY(GEN_ALLOC(&p->step, p->n_steps, "plan"));
    int at = 0;
    for (int slow = 1; slow >= 0; slow--) {
        for (int i = 0; i < nodes; i++)
            if (computes(p, gen_graph_node(p->graph, i)) && p->slow[i] == slow)
                p->step[at++] =
                    (struct gen_step){ .node = gen_graph_node(p->graph, i), .slow = slow };
        p->n_slow = slow ? at : p->n_slow;
    }
    GEN_GOTO(last_needs(p, &last));
    for (int s = 0; s < p->n_steps; s++) {
        GEN_GOTO(GEN_GROW(&is_const, &capacity, p->step[s].node->n_in + 1));
        GEN_GOTO(prepare_step(p, &p->step[s], is_const));
        if (p->options.estimate_only)
            continue;
        GEN_GOTO(keep_constants(p, &p->step[s]));
        if (p->options.consume_params && !p->options.params_vary)
            drop_params(p, last, s);
    }
    for (int i = 0; i < p->n_outputs && !p->options.estimate_only; i++)
        if (p->constant[p->output[i]->id])
            GEN_GOTO(keep_constant(p, p->output[i]));
done:
    gen_free(is_const);
    gen_free(last);
    return status;
}

/* ---- addresses
 * ----------------------------------------------------------------------------------------- */

static gen_status fix_addresses(struct gen_plan *p)
{
    GEN_TRY(gen_far_take(p->backend->far, (void **)&p->slab, p->slab_bytes, "plan slab"));
    if (p->backend->far)
        GEN_TRY(gen_plan_add_host(p));
    for (int i = 0; i < gen_graph_count(p->graph) && !p->backend->far; i++) {
        const gen_node *n = gen_graph_node(p->graph, i); /* an input never filled is zero */
        if (n->op == &gen_op_input)
            memset(gen_value_address(p, p->value_of[i]), 0, p->value[p->value_of[i]].bytes);
    }
    for (int s = 0; s < p->n_steps; s++) {
        struct gen_step *step = &p->step[s];
        const gen_node *n = step->node;
        step->in = gen_arena_alloc(&p->arena, sizeof *step->in * (size_t)(n->n_in + 1));
        step->out = gen_arena_alloc(&p->arena, sizeof *step->out * (size_t)n->n_out);
        if (!step->in || !step->out)
            return GEN_ENOMEM;
        for (int i = 0; i < n->n_in; i++)
            if (!(i < 32 && step->consumed >> i & 1))
                step->in[i] = gen_value_address(p, p->value_of[n->in[i]->id]);
        for (int i = 0; i < n->n_out; i++)
            step->out[i] = gen_value_address(p, p->value_of[n->id] + i);
    }
    return GEN_OK;
}

/* A budget that is too small is an error that says what it would take. */
static gen_status check_budget(const struct gen_plan *p)
{
    if (p->options.memory_budget && p->slab_bytes > p->options.memory_budget)
        return gen_fail(GEN_ENOMEM, "the plan takes %.1f MB, the memory budget is %.1f MB",
                        (double)p->slab_bytes / 1e6, (double)p->options.memory_budget / 1e6);
    return GEN_OK;
}

gen_status gen_plan_lay_out(struct gen_plan *p)
{
    GEN_TRY(classify(p));
    GEN_TRY(check_params(p));
    GEN_TRY(gen_constant_hashes(p));
    GEN_TRY(make_steps(p));
    return gen_plan_layout(p);
}

static gen_status new_plan(struct gen_plan **out, int n_outputs, gen_params *params,
                           gen_backend *backend, const gen_plan_options *options)
{
    gen_plan *p;
    GEN_TRY(GEN_ALLOC(out, 1, "plan"));
    p = *out;
    p->params = params;
    p->backend = backend;
    p->options = *options;
    p->n_outputs = n_outputs;
    return GEN_ALLOC(&p->output, n_outputs, "plan");
}

gen_status gen_plan_trial(struct gen_plan **out, const struct gen_plan *p)
{
    gen_plan_options o = p->options;
    o.estimate_only = 1;
    o.memory_budget = 0;
    return new_plan(out, p->n_outputs, p->params, p->backend, &o);
}

gen_status gen_plan_create(gen_plan **out, gen_graph *g, gen_node *const outputs[], int n_outputs,
                           gen_params *params, gen_backend *backend,
                           const gen_plan_options *options)
{
    static const gen_plan_options defaults;
    gen_status status = GEN_OK;
    gen_plan *p = NULL;
    *out = NULL;
    GEN_TRY(gen_graph_status(g));
    for (int i = 0; i < n_outputs; i++)
        if (!outputs[i])
            return gen_fail(GEN_EINVAL, "plan: output %d is missing", i);
    GEN_GOTO(new_plan(&p, n_outputs, params, backend, options ? options : &defaults));
    if (!params) {
        GEN_GOTO(gen_params_create(&p->own_params));
        p->params = p->own_params;
    }
    GEN_GOTO(gen_params_fetch(p->params)); /* what is folded and packed is the host's */
    memcpy(p->output, outputs, sizeof *outputs * (size_t)n_outputs);
    p->graph = g;
    status = gen_rewrite_run(&p->graph, p->output, n_outputs, backend, &p->options);
    if (status != GEN_OK) {
        p->graph = NULL;
        goto done;
    }
    GEN_GOTO(gen_recompute(p));
    GEN_GOTO(gen_plan_lay_out(p));
    GEN_GOTO(check_budget(p));
    if (!p->options.estimate_only)
        GEN_GOTO(fix_addresses(p));
    *out = p;
    p = NULL;
done:
    gen_plan_free(&p);
    return status;
}

void gen_plan_free(gen_plan **plan)
{
    gen_plan *p = *plan;
    if (!p)
        return;
    for (int s = 0; p->step && s < p->n_steps; s++)
        if (p->step[s].kernel && p->step[s].state)
            (p->step[s].kernel->free ? p->step[s].kernel->free : gen_free)(p->step[s].state);
    gen_plan_free_far(p);
    for (int i = 0; i < p->n_owned; i++)
        gen_far_release(p->backend->far, p->owned[i]);
    gen_free(p->owned);
    for (int i = 0; i < p->n_packs; i++)
        gen_params_release(p->params, p->pack[i]);
    gen_free(p->pack);
    gen_free(p->step);
    gen_free(p->value);
    gen_free(p->buffer);
    gen_free(p->value_of);
    gen_free(p->constant);
    gen_free(p->slow);
    gen_free(p->hash);
    gen_free(p->output);
    gen_far_release(p->backend->far, p->slab);
    gen_arena_free(&p->arena);
    gen_graph_free(&p->graph);
    gen_params_free(&p->own_params);
    gen_free(p);
    *plan = NULL;
}

/* ---- running
 * ------------------------------------------------------------------------------------------ */

/* Memory of a value that the caller may read and write. */
static void *host_address(const struct gen_plan *p, int value)
{
    return p->backend->far ? p->host_of[value] : gen_value_address(p, value);
}

const gen_node *gen_plan_find_input(const gen_plan *p, const char *name)
{
    char key[768];
    snprintf(key, sizeof key, "i:%s", name);
    return gen_map_get(&p->graph->names, key);
}

gen_tensor gen_plan_input(gen_plan *p, const char *name)
{
    const gen_node *n = gen_plan_find_input(p, name);
    if (!n || !p->slab)
        return (gen_tensor){ 0 };
    return (gen_tensor){ .dtype = n->dtype[0], .shape = n->shape[0],
                         .data = host_address(p, p->value_of[n->id]) };
}

gen_tensor gen_plan_output(gen_plan *p, int i)
{
    if (i < 0 || i >= p->n_outputs || !p->slab)
        return (gen_tensor){ 0 };
    const gen_node *n = p->output[i];
    return (gen_tensor){ .dtype = n->dtype[0], .shape = n->shape[0],
                         .data = host_address(p, p->value_of[n->id]) };
}

gen_status gen_plan_run_step(struct gen_plan *p, int s)
{
    struct gen_step *step = &p->step[s];
    if (step->kernel) {
        char *scratch = step->scratch < 0 ? NULL : p->slab + p->buffer[step->scratch].offset;
        gen_status status =
            step->kernel->run(step->state, step->in, step->out, scratch, p->backend);
        return status == GEN_OK ? status : gen_fail_in(status, "%s '%s'", step->node->op->name,
                                                       step->node->name);
    }
    for (int i = 0; i < step->n_copies; i++) {
        const struct gen_copy *c = &step->copy[i];
        GEN_TRY(gen_far_copy(p->backend->far, (char *)step->out[0] + c->offset,
                             gen_value_address(p, c->from), p->value[c->from].bytes));
    }
    return GEN_OK;
}

void gen_plan_changed(gen_plan *p)
{
    p->slow_done = false;
}

gen_status gen_plan_run(gen_plan *p, const gen_progress *progress)
{
    if (!p->slab)
        return gen_fail(GEN_EINVAL, "the plan was made to estimate only");
    if (p->backend->far)
        return gen_plan_run_far(p, progress);
    int first = p->slow_done ? p->n_slow : 0;
    for (int s = first; s < p->n_steps; s++) {
        GEN_TRY(gen_progress_report(progress, "step", s - first, p->n_steps - first));
        GEN_TRY(gen_plan_run_step(p, s));
    }
    p->slow_done = true;
    return gen_progress_report(progress, "step", p->n_steps - first, p->n_steps - first);
}

gen_plan_info gen_plan_describe(const gen_plan *p)
{
    gen_plan_info info = { .steps = p->n_steps, .again = p->n_again, .slab_bytes = p->slab_bytes,
                           .packed_bytes = gen_params_packed_bytes(p->params) };
    for (int s = 0; s < p->n_steps; s++)
        info.flops += gen_node_cost(p->step[s].node).flops;
    return info;
}
