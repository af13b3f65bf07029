/* SPDX-License-Identifier: Apache-2.0
 *
 * oneDNN: the primitives that units are made of.
 */
#include "libgen/backends/cpu/dnnl_unit.h"

/* ---- attributes ------------------------------------------------------------------------------ */

static gen_status add_act(dnnl_post_ops_t ops, const gen_dnnl_conv *c)
{
    static const dnnl_alg_kind_t kind[] = {
        [GEN_ACT_RELU] = dnnl_eltwise_relu,
        [GEN_ACT_LEAKY_RELU] = dnnl_eltwise_relu,
        [GEN_ACT_SIGMOID] = dnnl_eltwise_logistic,
        [GEN_ACT_TANH] = dnnl_eltwise_tanh,
    };
    float slope = c->act == GEN_ACT_LEAKY_RELU ? (float)c->slope : 0;
#if DNNL_VERSION_MAJOR >= 3
    return gen_dnnl_check(dnnl_post_ops_append_eltwise(ops, kind[c->act], slope, 0), "activation");
#else
    return gen_dnnl_check(dnnl_post_ops_append_eltwise(ops, 1, kind[c->act], slope, 0),
                          "activation");
#endif
}

static gen_status add_sum(dnnl_post_ops_t ops, dnnl_data_type_t t)
{
#if DNNL_VERSION_MAJOR >= 3
    return gen_dnnl_check(dnnl_post_ops_append_sum(ops, 1, 0, t), "sum");
#else
    (void)t;
    return gen_dnnl_check(dnnl_post_ops_append_sum(ops, 1), "sum");
#endif
}

static gen_status set_post_ops(dnnl_primitive_attr_t a, const gen_dnnl_conv *c)
{
    dnnl_post_ops_t ops;
    gen_status status = GEN_OK;
    GEN_TRY(gen_dnnl_check(dnnl_post_ops_create(&ops), "post-ops"));
    if (c->sum)
        GEN_GOTO(add_sum(ops, type_of(c->y)));
    if (c->act)
        GEN_GOTO(add_act(ops, c));
    GEN_GOTO(gen_dnnl_check(dnnl_primitive_attr_set_post_ops(a, ops), "post-ops"));
done:
    dnnl_post_ops_destroy(ops);
    return status;
}

/* conv NULL: no post-ops. */
gen_status gen_dnnl_attr_new(dnnl_primitive_attr_t *out, const gen_dnnl_conv *conv)
{
    gen_status status = GEN_OK;
    GEN_TRY(gen_dnnl_check(dnnl_primitive_attr_create(out), "attributes"));
    GEN_GOTO(gen_dnnl_check(
        dnnl_primitive_attr_set_scratchpad_mode(*out, dnnl_scratchpad_mode_user), "attributes"));
    if (conv && (conv->sum || conv->act))
        GEN_GOTO(set_post_ops(*out, conv));
done:
    if (status != GEN_OK) {
        dnnl_primitive_attr_destroy(*out);
        *out = NULL; /* callers free what is there */
    }
    return status;
}

/* ---- convolution ----------------------------------------------------------------------------- */

typedef struct conv_mds {
    dnnl_memory_desc_t x, w, b, y;
    dnnl_dims_t stride, dilation, lo, hi;
} conv_mds;

static void conv_mds_free(conv_mds *m)
{
    gen_dnnl_md_free(&m->x);
    gen_dnnl_md_free(&m->w);
    gen_dnnl_md_free(&m->b);
    gen_dnnl_md_free(&m->y);
}

static void plain_dims(gen_dnnl_unit *u, const gen_dnnl_conv *c)
{
    int n = 0;
    if (c->groups > 1)
        u->plain[n++] = c->groups;
    u->plain[n++] = c->cout / c->groups;
    u->plain[n++] = c->cin / c->groups;
    for (int i = 0; i < c->axes; i++)
        u->plain[n++] = c->kernel[i];
    u->plain_rank = n;
}

static gen_status conv_mds_new(conv_mds *m, gen_dnnl_unit *u, const gen_dnnl_conv *c,
                               dnnl_data_type_t weights)
{
    int axes = (int)c->axes;
    int64_t one = 1;
    plain_dims(u, c);
    for (int i = 0; i < axes; i++) {
        m->stride[i] = c->stride[i];
        m->dilation[i] = c->dilation[i] - 1;
        m->lo[i] = c->pad_lo[i];
        m->hi[i] = c->pad_hi[i];
    }
    GEN_TRY(gen_dnnl_md_image(&m->x, axes, c->n, c->cin, c->in, type_of(c->x)));
    GEN_TRY(gen_dnnl_md_image(&m->y, axes, c->n, c->cout, c->out, type_of(c->y)));
    GEN_TRY(gen_dnnl_md_any(&m->w, u->plain_rank, u->plain, weights));
    if (c->has_bias)
        GEN_TRY(gen_dnnl_md_strided(&m->b, 1, &c->cout, &one, dnnl_f32));
    return GEN_OK;
}

static dnnl_status_t forward_desc(gen_dnnl_unit *u, const gen_dnnl_conv *c, conv_mds *m,
                                  const_dnnl_primitive_attr_t a, dnnl_primitive_desc_t *out)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_convolution_forward_primitive_desc_create(
        out, u->d->engine, dnnl_forward_inference, dnnl_convolution_direct, m->x, m->w,
        c->has_bias ? m->b : NULL, m->y, m->stride, m->dilation, m->lo, m->hi, a);
#else
    dnnl_convolution_desc_t d;
    dnnl_status_t s = dnnl_dilated_convolution_forward_desc_init(
        &d, dnnl_forward_inference, dnnl_convolution_direct, &m->x, &m->w,
        c->has_bias ? &m->b : NULL, &m->y, m->stride, m->dilation, m->lo, m->hi);
    return s ? s : dnnl_primitive_desc_create(out, &d, a, u->d->engine, NULL);
#endif
}

gen_status gen_dnnl_conv_forward(gen_dnnl_unit **out, gen_dnnl *d, const gen_dnnl_conv *c,
                                 int lanes)
{
    gen_status status = GEN_OK;
    conv_mds m = { MD_NONE, MD_NONE, MD_NONE, MD_NONE, { 0 }, { 0 }, { 0 }, { 0 } };
    dnnl_primitive_attr_t a = NULL;
    gen_dnnl_key k = { .kind = FORWARD, .lanes = lanes };
    k.conv = *c;
    *out = gen_dnnl_unit_find(d, &k);
    if (*out)
        return GEN_OK;
    GEN_TRY(gen_dnnl_unit_new(out, d, &k));
    gen_dnnl_unit *u = *out;
    GEN_GOTO(conv_mds_new(&m, u, c, type_of(c->x)));
    GEN_GOTO(gen_dnnl_attr_new(&a, c));
    GEN_GOTO(gen_dnnl_check(forward_desc(u, c, &m, a, &u->desc), "convolution"));
    u->arg[X] = DNNL_ARG_SRC;
    u->arg[W] = DNNL_ARG_WEIGHTS;
    u->arg[BIAS] = DNNL_ARG_BIAS;
    u->arg[Y] = DNNL_ARG_DST;
    GEN_GOTO(gen_dnnl_unit_finish(
        u, (md_ref[N_ARGS]){
               query(u, dnnl_query_src_md), query(u, dnnl_query_weights_md),
               c->has_bias ? dnnl_primitive_desc_query_md(u->desc, dnnl_query_weights_md, 1) : NULL,
               query(u, dnnl_query_dst_md) }));
done:
    conv_mds_free(&m);
    if (a)
        dnnl_primitive_attr_destroy(a);
    if (status != GEN_OK)
        gen_dnnl_unit_free(out);
    return status;
}

static dnnl_status_t weights_desc(gen_dnnl_unit *u, conv_mds *m, const_dnnl_primitive_attr_t a,
                                  dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *out)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_convolution_backward_weights_primitive_desc_create(
        out, u->d->engine, dnnl_convolution_direct, m->x, m->w, NULL, m->y, m->stride, m->dilation,
        m->lo, m->hi, hint, a);
#else
    dnnl_convolution_desc_t d;
    dnnl_status_t s = dnnl_dilated_convolution_backward_weights_desc_init(
        &d, dnnl_convolution_direct, &m->x, &m->w, NULL, &m->y, m->stride, m->dilation, m->lo,
        m->hi);
    return s ? s : dnnl_primitive_desc_create(out, &d, a, u->d->engine, hint);
#endif
}

gen_status gen_dnnl_conv_weights(gen_dnnl_unit **out, gen_dnnl *d, const gen_dnnl_conv *c,
                                 int lanes)
{
    gen_status status = GEN_OK;
    conv_mds fwd = { MD_NONE, MD_NONE, MD_NONE, MD_NONE, { 0 }, { 0 }, { 0 }, { 0 } }, m = fwd;
    dnnl_primitive_attr_t a = NULL;
    dnnl_primitive_desc_t hint = NULL;
    gen_dnnl_key k = { .kind = WEIGHTS, .lanes = lanes };
    k.conv = *c;
    *out = gen_dnnl_unit_find(d, &k);
    if (*out)
        return GEN_OK;
    GEN_TRY(gen_dnnl_unit_new(out, d, &k));
    gen_dnnl_unit *u = *out;
    GEN_GOTO(conv_mds_new(&fwd, u, c, type_of(c->x)));
    GEN_GOTO(conv_mds_new(&m, u, c, dnnl_f32));
    GEN_GOTO(gen_dnnl_attr_new(&a, NULL));
    GEN_GOTO(gen_dnnl_check(forward_desc(u, c, &fwd, a, &hint), "convolution"));
    GEN_GOTO(gen_dnnl_check(weights_desc(u, &m, a, hint, &u->desc), "gradient of weights"));
    u->arg[X] = DNNL_ARG_SRC;
    u->arg[W] = DNNL_ARG_DIFF_WEIGHTS;
    u->arg[Y] = DNNL_ARG_DIFF_DST;
    GEN_GOTO(gen_dnnl_unit_finish(u, (md_ref[N_ARGS]){ query(u, dnnl_query_src_md),
                                                       query(u, dnnl_query_diff_weights_md), NULL,
                                                       query(u, dnnl_query_diff_dst_md) }));
done:
    conv_mds_free(&fwd);
    conv_mds_free(&m);
    if (hint)
        dnnl_primitive_desc_destroy(hint);
    if (a)
        dnnl_primitive_attr_destroy(a);
    if (status != GEN_OK)
        gen_dnnl_unit_free(out);
    return status;
}

/* ---- matmul ---------------------------------------------------------------------------------- */

static dnnl_status_t matmul_desc(gen_dnnl_unit *u, dnnl_memory_desc_t md[3],
                                 const_dnnl_primitive_attr_t a, dnnl_primitive_desc_t *out)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_matmul_primitive_desc_create(out, u->d->engine, md[0], md[1], NULL, md[2], a);
#else
    dnnl_matmul_desc_t d;
    dnnl_status_t s = dnnl_matmul_desc_init(&d, &md[0], &md[1], NULL, &md[2]);
    return s ? s : dnnl_primitive_desc_create(out, &d, a, u->d->engine, NULL);
#endif
}

gen_status gen_dnnl_matmul_unit(gen_dnnl_unit **out, gen_dnnl *d, const gen_dnnl_matmul *m,
                                int lanes)
{
    gen_status status = GEN_OK;
    dnnl_memory_desc_t md[3] = { MD_NONE, MD_NONE, MD_NONE };
    dnnl_primitive_attr_t a = NULL;
    dnnl_data_type_t t = type_of(m->dtype);
    int skip = m->batch == 1, rank = 3 - skip;
    int64_t dim[3][3] = { { m->batch, m->m, m->k },
                          { m->batch, m->k, m->n },
                          { m->batch, m->m, m->n } };
    gen_dnnl_key k = { .kind = MATMUL, .lanes = lanes };
    k.matmul = *m;
    *out = gen_dnnl_unit_find(d, &k);
    if (*out)
        return GEN_OK;
    GEN_TRY(gen_dnnl_unit_new(out, d, &k));
    gen_dnnl_unit *u = *out;
    GEN_GOTO(gen_dnnl_md_strided(&md[0], rank, dim[0] + skip, m->a_step + skip, t));
    GEN_GOTO(gen_dnnl_md_strided(&md[1], rank, dim[1] + skip, m->b_step + skip, t));
    GEN_GOTO(gen_dnnl_md_strided(&md[2], rank, dim[2] + skip, m->c_step + skip, t));
    GEN_GOTO(gen_dnnl_attr_new(&a, NULL));
    GEN_GOTO(gen_dnnl_check(matmul_desc(u, md, a, &u->desc), "matrix product"));
    u->arg[X] = DNNL_ARG_SRC;
    u->arg[W] = DNNL_ARG_WEIGHTS;
    u->arg[Y] = DNNL_ARG_DST;
    GEN_GOTO(gen_dnnl_unit_finish(u, (md_ref[N_ARGS]){ query(u, dnnl_query_src_md),
                                                       query(u, dnnl_query_weights_md), NULL,
                                                       query(u, dnnl_query_dst_md) }));
done:
    for (int i = 0; i < 3; i++)
        gen_dnnl_md_free(&md[i]);
    if (a)
        dnnl_primitive_attr_destroy(a);
    if (status != GEN_OK)
        gen_dnnl_unit_free(out);
    return status;
}
