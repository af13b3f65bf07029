/* SPDX-License-Identifier: Apache-2.0
 *
 * A plan on a device: the slab and what kernels read lie in far memory; inputs and outputs have
 * copies on the host, which the caller fills and reads as it does those of any plan. The first run
 * queues step after step, so that a failure names the step; the second writes all of it down,
 * copies included, and from then on a run is one replay.
 */
#include "libgen/graph/graph.h"
#include "libgen/plan/plan.h"

static gen_status add_host(struct gen_plan *p, int value)
{
    const gen_far *far = p->backend->far;
    if (p->host_of[value])
        return GEN_OK;
    return far->alloc_host(far->ctx, &p->host_of[value], p->value[value].bytes,
                           "inputs and outputs of a plan");
}

/* An input that each run brings over. */
static bool is_uploaded(const struct gen_plan *p, int node)
{
    const gen_node *n = gen_graph_node(p->graph, node);
    return n->op == &gen_op_input && !gen_plan_names(p->options.inputs_there, n->name);
}

static int fetched(const struct gen_plan *p)
{
    int64_t n = p->options.outputs_fetched;
    return n > 0 && n < p->n_outputs ? (int)n : p->n_outputs;
}

gen_status gen_plan_add_host(struct gen_plan *p)
{
    GEN_TRY(GEN_ALLOC(&p->host_of, p->n_values, "plan"));
    for (int i = 0; i < gen_graph_count(p->graph); i++)
        if (is_uploaded(p, i))
            GEN_TRY(add_host(p, p->value_of[i]));
    for (int i = 0; i < fetched(p); i++)
        GEN_TRY(add_host(p, p->value_of[p->output[i]->id]));
    return GEN_OK;
}

void gen_plan_free_far(struct gen_plan *p)
{
    const gen_far *far = p->backend->far;
    if (!far)
        return;
    if (p->host_of)
        (void)far->wait(far->ctx); /* a run that failed may have left copies behind */
    for (int i = 0; i < GEN_LEN(p->recording); i++)
        far->free_recording(p->recording[i]);
    for (int i = 0; p->host_of && i < p->n_values; i++)
        far->free_host(p->host_of[i]);
    gen_free(p->host_of);
}

/* ---- running --------------------------------------------------------------------------------- */

static gen_status queue_from(struct gen_plan *p, int first)
{
    const gen_far *far = p->backend->far;
    for (int i = 0; i < gen_graph_count(p->graph); i++) {
        int v = p->value_of[i];
        if (is_uploaded(p, i) && !(first && p->slow[i]))
            GEN_TRY(
                far->upload(far->ctx, gen_value_address(p, v), p->host_of[v], p->value[v].bytes));
    }
    for (int s = first; s < p->n_steps; s++)
        GEN_TRY(gen_plan_run_step(p, s));
    for (int i = 0; i < fetched(p); i++) {
        int v = p->value_of[p->output[i]->id];
        GEN_TRY(far->download(far->ctx, p->host_of[v], gen_value_address(p, v), p->value[v].bytes));
    }
    return GEN_OK;
}

/* What a recording of a plan holds. */
struct part {
    struct gen_plan *plan;
    int first; /* step */
};

static gen_status queue_part(void *ctx)
{
    const struct part *part = ctx;
    return queue_from(part->plan, part->first);
}

gen_status gen_plan_run_far(struct gen_plan *p, const gen_progress *progress)
{
    const gen_far *far = p->backend->far;
    int first = p->slow_done ? p->n_slow : 0, steps = p->n_steps - first, form = first > 0;
    GEN_TRY(gen_progress_report(progress, "step", 0, steps));
    GEN_TRY(gen_params_put(p->params));
    if (p->ran[form])
        GEN_TRY(gen_far_repeat(far, &p->recording[form], queue_part, &(struct part){ p, first }));
    else
        GEN_TRY(queue_from(p, first));
    p->ran[form] = true;
    GEN_TRY(far->wait(far->ctx));
    p->slow_done = true;
    return gen_progress_report(progress, "step", steps, steps);
}

gen_status gen_plan_queue(gen_plan *p)
{
    if (!p->backend->far)
        return gen_plan_run(p, NULL);
    if (!p->slab)
        return gen_fail(GEN_EINVAL, "the plan was made to estimate only");
    return queue_from(p, 0);
}

void *gen_plan_place(const gen_plan *p, int i)
{
    return gen_value_address(p, p->value_of[p->output[i]->id]);
}

void *gen_plan_input_place(const gen_plan *p, const char *name)
{
    const gen_node *n = gen_plan_find_input(p, name);
    return n && p->slab ? gen_value_address(p, p->value_of[n->id]) : NULL;
}
