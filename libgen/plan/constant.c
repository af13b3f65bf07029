/* SPDX-License-Identifier: Apache-2.0
 *
 * Constants: what depends on parameters and literals only is computed while the plan is made, on
 * the host, when a kernel asks for it, and forgotten when the kernel has packed it: at no time is
 * more than one weight held twice. The store of packed copies is keyed by a hash of the expression,
 * so that a second plan of a model (another grid) finds them without computing anything.
 */
#include <stdio.h>
#include <string.h>

#include "libgen/plan/plan.h"

static uint64_t mix(uint64_t h, const void *data, size_t n)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h ^ h >> 32;
}

gen_status gen_constant_hashes(struct gen_plan *p)
{
    GEN_TRY(GEN_ALLOC(&p->hash, gen_graph_count(p->graph), "plan"));
    for (int i = 0; i < gen_graph_count(p->graph); i++) {
        const gen_node *n = gen_graph_node(p->graph, i);
        for (int k = 0; p->constant[i] && k < 2; k++) {
            uint64_t h = k ? 0x9E3779B97F4A7C15u : 0xcbf29ce484222325u;
            h = mix(h, n->op->name, strlen(n->op->name));
            if (n->op == &gen_op_param)
                h = mix(h, n->name, strlen(n->name));
            else if (n->op == &gen_op_const)
                h = mix(h, ((const gen_const_attr *)n->attr)->values,
                        sizeof(float) * (size_t)gen_shape_count(n->shape[0]));
            else if (n->op->attr_size)
                h = mix(h, n->attr, n->op->attr_size);
            h = mix(h, n->shape[0].dim, sizeof n->shape[0].dim);
            h = mix(h, &n->dtype[0], sizeof n->dtype[0]);
            for (int j = 0; j < n->n_in; j++)
                h = mix(h, &p->hash[n->in[j]->id][k], 8);
            p->hash[i][k] = h;
        }
    }
    return GEN_OK;
}

/* ---- values
 * -------------------------------------------------------------------------------------- */

static gen_status source_value(struct gen_plan *p, const gen_node *n, const void **value,
                               void **free_me)
{
    char a[GEN_SHAPE_TEXT], b[GEN_SHAPE_TEXT];
    if (n->op == &gen_op_const) {
        *value = ((const gen_const_attr *)n->attr)->values;
        return GEN_OK;
    }
    if (n->op == &gen_op_param) {
        gen_tensor t = gen_params_get(p->params, n->name);
        if (!t.data)
            return gen_fail(GEN_EINVAL, "parameter '%s' has no value", n->name);
        if (!gen_shape_equal(t.shape, n->shape[0]))
            return gen_fail(GEN_EINVAL, "parameter '%s' has shape %s, expected %s", n->name,
                            gen_shape_text(t.shape, a), gen_shape_text(n->shape[0], b));
        *value = t.data;
        return GEN_OK;
    }
    float *f, v = (float)((const gen_fill_attr *)n->attr)->value;
    int64_t count = gen_shape_count(n->shape[0]);
    GEN_TRY(gen_alloc_raw((void **)&f, (uint64_t)count, sizeof *f, "constant"));
    for (int64_t i = 0; i < count; i++)
        f[i] = v;
    *value = *free_me = f;
    return GEN_OK;
}

/* Temporary memory of one evaluation. */
struct scratch {
    const void **in;
    void **out, **in_free;
    void *workspace;
    bool *variable;
};

/* The value of output `pick`. */
static gen_status compute(struct gen_plan *p, gen_node *n, int pick, void **out, struct scratch *s)
{
    gen_status status = GEN_OK;
    gen_prepare prepared = { 0 };
    const gen_kernel *k = NULL;
    GEN_TRY(GEN_ALLOC(&s->in, n->n_in, "constant"));
    GEN_TRY(GEN_ALLOC(&s->in_free, n->n_in, "constant"));
    GEN_TRY(GEN_ALLOC(&s->variable, n->n_in, "constant"));
    GEN_TRY(GEN_ALLOC(&s->out, n->n_out, "constant"));
    for (int i = 0; i < n->n_in; i++)
        GEN_TRY(gen_constant_value(p, n->in[i], &s->in[i], &s->in_free[i]));
    for (int i = 0; i < n->n_out; i++)
        GEN_TRY(gen_alloc_raw(&s->out[i], (uint64_t)gen_shape_count(n->shape[i]),
                              gen_dtype_size(n->dtype[i]), "constant"));
    gen_backend *host = p->backend->host ? p->backend->host : p->backend;
    k = gen_plan_choose(host, &p->options, n, s->variable);
    if (!k)
        return gen_fail(GEN_EUNSUPPORTED, "op '%s' has no kernel on %s", n->op->name, host->name);
    GEN_GOTO(gen_prepare_kernel(p, host, k, n, s->variable, &prepared));
    if (prepared.workspace)
        GEN_GOTO(gen_alloc_raw(&s->workspace, prepared.workspace, 1, "constant"));
    GEN_GOTO(k->run(prepared.state, s->in, s->out, s->workspace, host));
    *out = s->out[pick];
    s->out[pick] = NULL;
done:
    if (k && prepared.state)
        (k->free ? k->free : gen_free)(prepared.state);
    return status;
}

gen_status gen_constant_value(struct gen_plan *p, gen_node *n, const void **value, void **free_me)
{
    *value = NULL;
    *free_me = NULL;
    if (n->op->flags & GEN_OP_SOURCE)
        return source_value(p, n, value, free_me);
    if ((n->op->flags & GEN_OP_VIEW) && n->op != &gen_op_output)
        return gen_constant_value(p, n->in[0], value, free_me);
    int pick = 0;
    if (n->op == &gen_op_output) {
        pick = (int)((const gen_output_attr *)n->attr)->index;
        n = n->in[0];
    }
    struct scratch s = { 0 };
    gen_status status = compute(p, n, pick, free_me, &s);
    *value = *free_me;
    for (int i = 0; s.in_free && i < n->n_in; i++)
        gen_free(s.in_free[i]);
    for (int i = 0; s.out && i < n->n_out; i++)
        gen_free(s.out[i]);
    gen_free(s.in_free);
    gen_free(s.in);
    gen_free(s.out);
    gen_free(s.variable);
    gen_free(s.workspace);
    return status;
}

/* ---- what kernels ask for
 * ------------------------------------------------------------------------ */

/* Constants given to one kernel, freed when it is prepared. */
struct asked {
    struct gen_plan *plan;
    void *free_me[16];
    const void *value[16];
    const gen_kernel *kernel;
};

/* *value as f32: kernels pack from that, whatever the node stores. */
static gen_status as_f32(const gen_node *n, const void **value, void **free_me)
{
    int64_t count = gen_shape_count(n->shape[0]);
    void *f = NULL;
    gen_status s = gen_alloc_raw(&f, (uint64_t)count, sizeof(float), "constant");
    if (s == GEN_OK)
        gen_convert(f, GEN_F32, *value, n->dtype[0], count);
    gen_free(*free_me);
    *value = *free_me = f;
    return s;
}

static gen_status give_constant(gen_prepare *prep, int i, const float **values)
{
    struct asked *a = prep->plan;
    gen_node *n = prep->node->in[i];
    if (i >= GEN_LEN(a->value) || !prep->is_const[i])
        return gen_fail(GEN_EBUG, "input %d of %s is no constant", i, prep->node->op->name);
    if (!a->value[i]) {
        GEN_TRY(gen_constant_value(a->plan, n, &a->value[i], &a->free_me[i]));
        if (n->dtype[0] != GEN_F32)
            GEN_TRY(as_f32(n, &a->value[i], &a->free_me[i]));
    }
    *values = a->value[i];
    return GEN_OK;
}

static gen_status give_packed(gen_prepare *prep, int i, const char *layout, uint64_t bytes,
                              gen_status (*fill)(void *ctx, void *to), void *ctx, const void **out)
{
    struct asked *a = prep->plan;
    const uint64_t *h = a->plan->hash[prep->node->in[i]->id];
    const gen_backend *b = a->plan->backend;
    char key[192]; /* layouts are long texts: hashed, or keys would be cut and meet */
    snprintf(key, sizeof key, "%016llx%016llx|%s|%s|%016llx%016llx|%llu", (unsigned long long)h[0],
             (unsigned long long)h[1], b->far ? b->name : "", a->kernel->name,
             (unsigned long long)mix(0xcbf29ce484222325u, layout, strlen(layout)),
             (unsigned long long)mix(0x9E3779B97F4A7C15u, layout, strlen(layout)),
             (unsigned long long)bytes);
    struct gen_plan *p = a->plan;
    GEN_TRY(GEN_GROW(&p->pack, &p->pack_capacity, p->n_packs + 1));
    gen_pack *k = gen_params_packed(p->params, key);
    if (!k && p->options.estimate_only) {
        *out = prep; /* an address that nobody reads */
        return GEN_OK;
    }
    if (!k)
        GEN_TRY(gen_params_pack(p->params, key, bytes, fill, ctx, b->far, &k));
    p->pack[p->n_packs++] = k;
    *out = gen_pack_data(k);
    return GEN_OK;
}

gen_status gen_prepare_kernel(struct gen_plan *p, gen_backend *b, const gen_kernel *k, gen_node *n,
                              const bool *is_const, gen_prepare *out)
{
    struct asked a = { .plan = p, .kernel = k };
    *out = (gen_prepare){ .node = n, .backend = b, .is_const = is_const,
                          .constant = give_constant, .packed = give_packed, .plan = &a,
                          .tf32 = p->options.tf32 != 0 };
    gen_status s = k->prepare ? k->prepare(out) : GEN_OK;
    for (int i = 0; i < GEN_LEN(a.free_me); i++)
        gen_free(a.free_me[i]);
    out->plan = NULL;
    return s;
}
