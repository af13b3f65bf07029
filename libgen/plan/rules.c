/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules (design 4.1-4.4, 4.6). None knows a network: each looks at ops and shapes only. Rules
 * that fuse ask the backend first: a fused node that only the reference could run is not made.
 */
#include <string.h>

#include "libgen/plan/rewrite.h"

static const gen_conv_attr *conv_of(const gen_node *n)
{
    return n->op == &gen_op_conv ? n->attr : NULL;
}

static bool all_are(const int64_t v[3], int64_t value)
{
    return v[0] == value && v[1] == value && v[2] == value;
}

/* conv(x, w) + b and nothing else: no up-sampling, pooling, residual, activation. */
static bool is_plain(const gen_conv_attr *a)
{
    return all_are(a->up, 1) && all_are(a->pool, 1) && !a->act && !a->has_residual;
}

static bool is_pointwise(const gen_node *n)
{
    const gen_conv_attr *a = conv_of(n);
    if (!a || !is_plain(a) || !all_are(a->stride, 1) || !all_are(a->pad_lo, 0) ||
        !all_are(a->pad_hi, 0))
        return false;
    for (int i = 2; i < n->in[1]->shape[0].rank; i++)
        if (n->in[1]->shape[0].dim[i] != 1)
            return false;
    return true;
}

/* Average pooling of disjoint windows that lie inside. */
static bool is_plain_pool(const gen_node *n)
{
    const gen_pool_attr *a = n->attr;
    return n->op == &gen_op_avg_pool && !memcmp(a->kernel, a->stride, sizeof a->kernel) &&
           all_are(a->pad_lo, 0) && all_are(a->pad_hi, 0);
}

static gen_node *bias_of(const gen_conv_attr *a, gen_node *const in[])
{
    return a->has_bias ? in[2] : NULL;
}

static gen_node *residual_of(const gen_conv_attr *a, gen_node *const in[])
{
    return a->has_residual ? in[2 + a->has_bias] : NULL;
}

/* conv with other attributes, kept only if the backend has a kernel for it. */
static gen_node *try_conv(gen_rewrite *r, gen_node *x, gen_node *w, gen_node *b, gen_node *res,
                          const gen_conv_attr *attr)
{
    gen_node *n = gen_conv_fused(r->to, x, w, b, res, attr);
    return gen_rewrite_acceptable(r, n) ? n : NULL;
}

/* ---- 4.2: a 1x1 conv commutes with up-sampling and pooling: run it on the small side --------- */

static gen_node *commute(gen_rewrite *r, gen_node *old, gen_node *const in[])
{
    if (is_pointwise(old) && in[0]->op == &gen_op_upsample) {
        const gen_conv_attr *a = old->attr;
        gen_node *y = gen_conv_fused(r->to, in[0]->in[0], in[1], bias_of(a, in), NULL, a);
        return gen_upsample(r->to, y, ((const gen_upsample_attr *)in[0]->attr)->factor);
    }
    if (is_plain_pool(old) && is_pointwise(in[0]) && r->uses[old->in[0]->id] == 1) {
        const gen_conv_attr *a = in[0]->attr;
        gen_node *y = gen_avg_pool(r->to, in[0]->in[0], old->attr);
        return gen_conv_fused(r->to, y, in[0]->in[1], bias_of(a, in[0]->in), NULL, a);
    }
    return NULL;
}

/* ---- 4.1: up-sampling before a conv, average pooling after it -------------------------------- */

static gen_node *fold_upsample(gen_rewrite *r, gen_node *old, gen_node *const in[])
{
    const gen_conv_attr *a = conv_of(old);
    if (!a || !all_are(a->up, 1) || in[0]->op != &gen_op_upsample)
        return NULL;
    gen_conv_attr fused = *a;
    memcpy(fused.up, ((const gen_upsample_attr *)in[0]->attr)->factor, sizeof fused.up);
    return try_conv(r, in[0]->in[0], in[1], bias_of(a, in), residual_of(a, in), &fused);
}

static gen_node *fold_pool(gen_rewrite *r, gen_node *old, gen_node *const in[])
{
    const gen_conv_attr *a = conv_of(in[0]);
    if (!is_plain_pool(old) || !a || !is_plain(a) || r->uses[old->in[0]->id] != 1)
        return NULL;
    gen_conv_attr fused = *a;
    memcpy(fused.pool, ((const gen_pool_attr *)old->attr)->kernel, sizeof fused.pool);
    return try_conv(r, in[0]->in[0], in[0]->in[1], bias_of(a, in[0]->in), NULL, &fused);
}

/* ---- groups of convs that share their weights ------------------------------------------------ */

/* A family of nodes of the old graph; members[id] = its index + 1. */
struct family {
    int first;          /* id of the first member */
    int count;
    bool worth;         /* the rule applies */
    uint64_t shared;    /* split: bit p = part p is the same, or runs of one tensor, in all */
    int base;           /* batch: id of the tensor that all inputs are runs of */
    int64_t lo, hi;     /* batch: elements of it that they cover */
    gen_node *image;    /* batch: the one conv */
};

struct families {
    struct family *family;
    int *member;
    int *slot;          /* hash of the key -> family + 1 */
    uint64_t slots;
    int count;
};

typedef bool same_fn(const gen_node *a, const gen_node *b);

static bool same_weights(const gen_node *a, const gen_node *b)
{
    const gen_conv_attr *x = a->attr;
    return !memcmp(a->attr, b->attr, sizeof(gen_conv_attr)) && a->in[1] == b->in[1] &&
           (!x->has_bias || a->in[2] == b->in[2]);
}

/* The data of a survey is one block: the struct, then its arrays. */
static gen_status families_create(struct families **out, int nodes)
{
    uint64_t slots = 64;
    while (slots < 2 * (uint64_t)nodes)
        slots *= 2;
    uint64_t bytes = sizeof(struct families) + 16 + sizeof(struct family) * (uint64_t)nodes +
                     sizeof(int) * ((uint64_t)nodes + slots);
    GEN_TRY(gen_alloc((void **)out, bytes, 1, "plan families"));
    struct families *f = *out;
    f->family = (struct family *)(f + 1);
    f->member = (int *)(f->family + nodes);
    f->slot = f->member + nodes;
    f->slots = slots;
    return GEN_OK;
}

/* Adds n to the family of nodes that `same` finds alike and whose `key` agrees. */
static struct family *families_add(struct families *f, const gen_rewrite *r, const gen_node *n,
                                   uint64_t key, same_fn *same)
{
    for (uint64_t i = key * 0x9E3779B97F4A7C15u >> 20 & (f->slots - 1);;
         i = (i + 1) & (f->slots - 1)) {
        if (!f->slot[i]) {
            f->family[f->count] = (struct family){ .first = n->id };
            f->slot[i] = ++f->count;
        }
        struct family *m = &f->family[f->slot[i] - 1];
        if (m->first == n->id || same(gen_graph_node(r->from, m->first), n)) {
            f->member[n->id] = f->slot[i];
            m->count++;
            return m;
        }
    }
}

/* ---- 4.3: conv of a concat is a sum of convs; worth it where a part is shared ---------------- */

static bool splits(const gen_rewrite *r, const gen_node *n)
{
    const gen_conv_attr *a = conv_of(n);
    if (!a || !is_plain(a) || a->groups != 1 || !r->needed[n->id])
        return false;
    const gen_node *c = n->in[0];
    return c->op == &gen_op_concat && c->n_in <= 64 &&
           ((const gen_concat_attr *)c->attr)->axis == c->shape[0].rank - 1;
}

static bool same_split(const gen_node *a, const gen_node *b)
{
    if (!same_weights(a, b) || a->in[0]->n_in != b->in[0]->n_in)
        return false;
    for (int i = 0; i < a->in[0]->n_in; i++)
        if (!gen_shape_equal(a->in[0]->in[i]->shape[0], b->in[0]->in[i]->shape[0]))
            return false;
    return true;
}

static bool runs_of_one(gen_node *a, gen_node *b)
{
    int64_t i, j;
    gen_node *base = gen_outer_base(a, &i);
    return base != a && base == gen_outer_base(b, &j);
}

static gen_status survey_split(gen_rewrite *r, void **data)
{
    struct families *f;
    int nodes = gen_graph_count(r->from);
    GEN_TRY(families_create(&f, nodes));
    *data = f;
    for (int i = 0; i < nodes; i++) {
        gen_node *n = gen_graph_node(r->from, i);
        if (!splits(r, n))
            continue;
        struct family *m = families_add(f, r, n, (uint64_t)n->in[1]->id, same_split);
        const gen_node *first = gen_graph_node(r->from, m->first)->in[0], *here = n->in[0];
        uint64_t shared = 0;
        for (int p = 0; p < here->n_in; p++)
            if (m->count > 1 &&
                (here->in[p] == first->in[p] || runs_of_one(here->in[p], first->in[p])))
                shared |= (uint64_t)1 << p;
        m->shared = m->count == 2 ? shared : m->shared & shared;
        m->worth = m->shared != 0;
    }
    return GEN_OK;
}

static gen_node *split(gen_rewrite *r, gen_node *old, gen_node *const in[])
{
    const struct families *f = r->data;
    int k = f->member[old->id];
    if (!k || !f->family[k - 1].worth || !gen_rewrite_constant(r, in[1]))
        return NULL;
    uint64_t shared = f->family[k - 1].shared;
    gen_node *sum = NULL, *concat = r->image[old->in[0]->id];
    if (concat->op != &gen_op_concat)
        return NULL;
    for (int pass = 0; pass < 2; pass++) { /* shared parts first, with the bias */
        int64_t channel = 0;
        for (int p = 0; p < concat->n_in; p++) {
            gen_node *x = concat->in[p];
            int64_t c = x->shape[0].dim[x->shape[0].rank - 1];
            if ((shared >> p & 1) == (pass == 0)) {
                gen_node *w = gen_slice(r->to, in[1], 1, channel, c);
                const gen_conv_attr *a = old->attr;
                gen_node *y = gen_conv_fused(r->to, x, w, sum ? NULL : bias_of(a, in), NULL, a);
                sum = sum ? gen_add(r->to, sum, y) : y;
            }
            channel += c;
        }
    }
    return sum;
}

/* ---- 4.3: convs of runs of one tensor are one conv, of which each takes its run -------------- */

static bool same_batch(const gen_node *a, const gen_node *b)
{
    return same_weights(a, b) && gen_shape_equal(a->in[0]->shape[0], b->in[0]->shape[0]) &&
           runs_of_one(a->in[0], b->in[0]);
}

static gen_status survey_batch(gen_rewrite *r, void **data)
{
    struct families *f;
    int nodes = gen_graph_count(r->from);
    GEN_TRY(families_create(&f, nodes));
    *data = f;
    for (int i = 0; i < nodes; i++) {
        gen_node *n = gen_graph_node(r->from, i);
        const gen_conv_attr *a = conv_of(n);
        int64_t offset;
        if (!a || a->has_residual || !r->needed[i])
            continue;
        gen_node *base = gen_outer_base(n->in[0], &offset);
        int64_t size = gen_shape_count(n->in[0]->shape[0]);
        int64_t image = size / n->in[0]->shape[0].dim[0];
        if (base == n->in[0] || offset % image || gen_shape_count(base->shape[0]) % image)
            continue;
        struct family *m = families_add(f, r, n, (uint64_t)n->in[1]->id << 32 | (uint64_t)base->id,
                                        same_batch);
        m->base = base->id;
        m->lo = m->count == 1 || offset < m->lo ? offset : m->lo;
        m->hi = m->count == 1 || offset + size > m->hi ? offset + size : m->hi;
        m->worth = m->count > 1 && m->hi - m->lo == m->count * size; /* no gaps, no overlap */
    }
    return GEN_OK;
}

/* The conv of the whole run lo..hi of the base. */
static gen_node *batched(gen_rewrite *r, const struct family *m, gen_node *old,
                         gen_node *const in[])
{
    const gen_conv_attr *a = old->attr;
    gen_shape rows = in[0]->shape[0];
    int64_t image = gen_shape_count(rows) / rows.dim[0];
    gen_node *base = r->image[m->base];
    rows.dim[0] = gen_shape_count(base->shape[0]) / image;
    gen_node *x = gen_reshape(r->to, base, rows);
    if (m->hi - m->lo != rows.dim[0] * image)
        x = gen_slice(r->to, x, 0, m->lo / image, (m->hi - m->lo) / image);
    return gen_conv_fused(r->to, x, in[1], bias_of(a, in), NULL, a);
}

static gen_node *batch(gen_rewrite *r, gen_node *old, gen_node *const in[])
{
    struct families *f = r->data;
    int k = f->member[old->id];
    if (!k || !f->family[k - 1].worth)
        return NULL;
    struct family *m = &f->family[k - 1];
    int64_t offset;
    gen_outer_base(old->in[0], &offset);
    if (!m->image)
        m->image = batched(r, m, old, in);
    int64_t rows = in[0]->shape[0].dim[0];
    int64_t image = gen_shape_count(in[0]->shape[0]) / rows;
    return gen_slice(r->to, m->image, 0, (offset - m->lo) / image, rows);
}

/* ---- 4.6: scale-shift into the weights before it --------------------------------------------- */

static gen_node *fold_scale(gen_rewrite *r, gen_node *old, gen_node *const in[])
{
    const gen_scale_shift_attr *s = old->attr;
    if (old->op != &gen_op_scale_shift)
        return NULL;
    const gen_conv_attr *a = conv_of(in[0]);
    if (!a || a->act || a->has_residual || r->uses[old->in[0]->id] != 1)
        return NULL;
    for (int i = 1; i < old->n_in; i++) /* [C] only, and constant */
        if (!gen_rewrite_constant(r, in[i]) || in[i]->shape[0].rank != 1)
            return NULL;
    gen_node *x = in[0]->in[0], *w = in[0]->in[1], *b = bias_of(a, in[0]->in);
    gen_node *scale = s->has_scale ? in[1] : NULL;
    gen_node *shift = s->has_shift ? in[1 + s->has_scale] : NULL;
    if (!gen_rewrite_constant(r, w))
        return NULL;
    if (scale) {
        gen_shape column = { .rank = w->shape[0].rank, .dim = { scale->shape[0].dim[0] } };
        for (int i = 1; i < column.rank; i++)
            column.dim[i] = 1;
        w = gen_mul(r->to, w, gen_reshape(r->to, scale, column));
        b = b ? gen_mul(r->to, b, scale) : NULL;
    }
    if (shift)
        b = b ? gen_add(r->to, b, shift) : shift;
    gen_conv_attr attr = *a;
    attr.act = s->act;
    attr.slope = s->slope;
    return try_conv(r, x, w, b, NULL, &attr);
}

/* ---- 4.6: residual add and activation into the conv, or scale-shift, before them ------------- */

static int64_t act_of(const gen_op *op)
{
    static const struct {
        const gen_op *op;
        gen_act act;
    } acts[] = {
        { &gen_op_relu, GEN_ACT_RELU },
        { &gen_op_sigmoid, GEN_ACT_SIGMOID },
        { &gen_op_tanh, GEN_ACT_TANH },
    };
    for (int i = 0; i < GEN_LEN(acts); i++)
        if (acts[i].op == op)
            return acts[i].act;
    return GEN_ACT_NONE;
}

static gen_node *fuse_act(gen_rewrite *r, gen_node *old, gen_node *const in[])
{
    int64_t act = act_of(old->op);
    if (!act || r->uses[old->in[0]->id] != 1)
        return NULL;
    const gen_conv_attr *a = conv_of(in[0]);
    if (a && !a->act) {
        gen_conv_attr attr = *a;
        attr.act = act;
        return try_conv(r, in[0]->in[0], in[0]->in[1], bias_of(a, in[0]->in),
                        residual_of(a, in[0]->in), &attr);
    }
    const gen_scale_shift_attr *s = in[0]->attr;
    if (in[0]->op != &gen_op_scale_shift || s->act)
        return NULL;
    gen_scale_shift_attr attr = *s;
    attr.act = act;
    gen_node *n = gen_scale_shift(r->to, in[0]->in[0], s->has_scale ? in[0]->in[1] : NULL,
                                  s->has_shift ? in[0]->in[1 + s->has_scale] : NULL, &attr);
    return gen_rewrite_acceptable(r, n) ? n : NULL;
}

/* add(conv, r): the costlier conv takes the other as its residual. */
static gen_node *fuse_residual(gen_rewrite *r, gen_node *old, gen_node *const in[])
{
    if (old->op != &gen_op_add || !gen_shape_equal(in[0]->shape[0], in[1]->shape[0]))
        return NULL;
    int best = -1;
    double flops = -1;
    for (int i = 0; i < 2; i++) {
        const gen_conv_attr *a = conv_of(in[i]);
        if (a && !a->act && !a->has_residual && r->uses[old->in[i]->id] == 1 &&
            in[0] != in[1] && gen_node_cost(in[i]).flops > flops) {
            best = i;
            flops = gen_node_cost(in[i]).flops;
        }
    }
    if (best < 0)
        return NULL;
    const gen_node *c = in[best];
    const gen_conv_attr *a = c->attr;
    return try_conv(r, c->in[0], c->in[1], bias_of(a, c->in), in[1 - best], a);
}

static gen_node *fuse(gen_rewrite *r, gen_node *old, gen_node *const in[])
{
    gen_node *n = fuse_act(r, old, in);
    return n ? n : fuse_residual(r, old, in);
}

/* ---- bf16: activations and the inputs of kernels
 * -------------------------------------------------- */

static gen_node *lowered(gen_rewrite *r, gen_node *x)
{
    return x->dtype[0] == GEN_F32 ? gen_cast(r->to, x, GEN_BF16) : x;
}

/* Activations are bf16 from the inputs on. What follows from parameters, and from the gradients of
 * weights, which are sums in f32, stays f32: spectral norm, statistics. */
static gen_node *lower(gen_rewrite *r, gen_node *old, gen_node *const in[])
{
    bool activation = false;
    if (r->options->precision != GEN_BF16 || old->op == &gen_op_cast)
        return NULL;
    for (int i = 0; i < old->n_in; i++) {
        bool keep = i < 32 && old->op->keep_f32 >> i & 1;
        activation |= !keep && (in[i]->dtype[0] == GEN_BF16 ||
                                (in[i]->op == &gen_op_input && in[i]->dtype[0] == GEN_F32));
    }
    if (!activation)
        return NULL;
    gen_node **lower_in = gen_arena_alloc(gen_graph_arena(r->to),
                                          sizeof *lower_in * (size_t)(old->n_in + 1));
    if (!lower_in)
        return gen_graph_fail_as(r->to, GEN_ENOMEM);
    for (int i = 0; i < old->n_in; i++)
        lower_in[i] = i < 32 && old->op->keep_f32 >> i & 1 ? in[i] : lowered(r, in[i]);
    return gen_node_add(r->to, old->op, old->attr, lower_in, old->n_in);
}

/* ---- in this order
 * --------------------------------------------------------------------------------- */

static gen_node *adjoints(gen_rewrite *r, gen_node *old, gen_node *const in[])
{
    gen_node *n = gen_rule_turn(r, old, in);
    n = n ? n : gen_rule_unpool(r, old, in);
    return n ? n : gen_rule_pointwise_dw(r, old, in);
}

/* An empty pass after rules that leave equal nodes behind lets the next ones see them as one. */
const gen_pass gen_passes[] = {
    { .name = "identity", .rule = gen_rule_identity },
    { .name = "lower", .rule = lower }, /* first: kernels are asked about the dtype that they get */
    { .name = "trim", .needs = GEN_RULE_TRIM, .rule = gen_rule_trim },
    { .name = "sums", .needs = GEN_RULE_SUMS, .rule = gen_rule_sums, .survey = gen_survey_sums },
    { .name = "adjoints", .needs = GEN_RULE_ADJOINTS, .rule = adjoints },
    { .name = "commute", .needs = GEN_RULE_COMMUTE, .rule = commute },
    { .name = "split", .needs = GEN_RULE_SPLIT, .rule = split, .survey = survey_split },
    { .name = "clean", .needs = GEN_RULE_CSE },
    { .name = "batch", .needs = GEN_RULE_BATCH, .rule = batch, .survey = survey_batch },
    { .name = "up-sample", .needs = GEN_RULE_UPSAMPLE, .rule = fold_upsample },
    { .name = "pool", .needs = GEN_RULE_POOL, .rule = fold_pool },
    { .name = "fold", .needs = GEN_RULE_FOLD, .rule = fold_scale },
    { .name = "fuse", .needs = GEN_RULE_FUSE, .rule = fuse },
    { .name = "clean" },
    { 0 },
};
