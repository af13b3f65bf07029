/* SPDX-License-Identifier: Apache-2.0
 *
 * Every call of oneDNN. Descriptors are structs in 2.6 and handles in 3.x: MD() passes either.
 * Packing reorders are primitives of their own, made by the _prepare functions.
 */
#include "libgen/backends/cpu/dnnl.h"

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <string.h>

#if DNNL_VERSION_MAJOR >= 3
#define MD(m) (m)
typedef const_dnnl_memory_desc_t md_ref;
#else
#define MD(m) (&(m))
typedef const dnnl_memory_desc_t *md_ref;
#endif

enum { X, W, BIAS, Y, SCRATCH, N_ARGS };
enum { MAX_PARTS = 64, PART_CHANNELS = 64 };

struct gen_dnnl {
    dnnl_engine_t engine;
    int threads;
    dnnl_stream_t *stream; /* [threads] */
    gen_dnnl_unit *units;  /* alive, newest first */
};

enum { FORWARD, WEIGHTS, MATMUL };

/* What makes two units equal; zeroed before it is filled. */
typedef struct key {
    int64_t kind, lanes;
    gen_dnnl_conv conv;
    gen_dnnl_matmul matmul;
} key;

typedef struct pack {
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t primitive;
    dnnl_memory_t *memory; /* [lanes][3]: from, to, scratch */
    int lanes;
    uint64_t offset;       /* elements of the plain side before this part */
} pack;

struct gen_dnnl_packer {
    gen_dnnl_unit *u;
    pack pack;
    uint64_t scratch;
};

struct gen_dnnl_unit {
    gen_dnnl *d;
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t primitive;
    dnnl_memory_t *memory;  /* [lanes][N_ARGS]; NULL where the unit has none */
    int lanes;
    int arg[N_ARGS];        /* DNNL_ARG_ of each operand */
    md_ref weights;         /* owned by desc */
    int64_t plain[6];       /* dims of the weights: [g,]cout,cin/g,*k */
    int plain_rank;
    uint64_t weight_bytes, scratch_bytes;
    pack *to_plain; /* [parts] */
    int parts;
    key key;
    int users;
    gen_dnnl_unit *next;
    char layout[GEN_DNNL_LAYOUT];
};

/* ---- engine and threads ---------------------------------------------------------------------- */

static gen_status check(dnnl_status_t s, const char *what)
{
    if (s == dnnl_success)
        return GEN_OK;
    if (s == dnnl_unimplemented)
        return gen_fail(GEN_EUNSUPPORTED, "oneDNN has no %s for this shape", what);
    if (s == dnnl_out_of_memory)
        return gen_fail(GEN_ENOMEM, "oneDNN is out of memory in %s", what);
    return gen_fail(GEN_EBUG, "oneDNN fails in %s with status %d", what, (int)s);
}

static void limit_isa(gen_isa isa)
{
#if defined(__x86_64__)
    static const dnnl_cpu_isa_t most[] = {
        [GEN_ISA_BASE] = dnnl_cpu_isa_sse41,
        [GEN_ISA_AVX2] = dnnl_cpu_isa_avx2,
        [GEN_ISA_AVX512] = dnnl_cpu_isa_avx512_core,
    };
    if (isa < GEN_ISA_AVX512_BF16)
        (void)dnnl_set_max_cpu_isa(most[isa]); /* refused after the first primitive */
#else
    (void)isa;
#endif
}

gen_status gen_dnnl_open(gen_dnnl **out, int threads, gen_isa isa)
{
    gen_status status = GEN_OK;
    gen_dnnl *d;
    *out = NULL;
    limit_isa(isa);
    GEN_TRY(GEN_ALLOC(&d, 1, "oneDNN"));
    d->threads = threads;
    GEN_GOTO(GEN_ALLOC(&d->stream, threads, "oneDNN"));
    GEN_GOTO(check(dnnl_engine_create(&d->engine, dnnl_cpu, 0), "engine"));
    for (int i = 0; i < threads; i++)
        GEN_GOTO(check(dnnl_stream_create(&d->stream[i], d->engine, dnnl_stream_default_flags),
                       "stream"));
    *out = d;
    d = NULL;
done:
    gen_dnnl_close(&d);
    return status;
}

void gen_dnnl_close(gen_dnnl **pd)
{
    gen_dnnl *d = *pd;
    if (!d)
        return;
    for (int i = 0; d->stream && i < d->threads; i++)
        if (d->stream[i])
            dnnl_stream_destroy(d->stream[i]);
    if (d->engine)
        dnnl_engine_destroy(d->engine);
    gen_free(d->stream);
    gen_free(d);
    *pd = NULL;
}

void gen_dnnl_one_thread(void)
{
    omp_set_num_threads(1);
}

int gen_dnnl_enter(void)
{
    int before = omp_get_max_threads();
    if (before != 1)
        omp_set_num_threads(1);
    return before;
}

void gen_dnnl_leave(int entered)
{
    if (entered != 1)
        omp_set_num_threads(entered);
}

/* ---- descriptors ----------------------------------------------------------------------------- */

static dnnl_data_type_t type_of(int64_t t)
{
    return t == GEN_BF16 ? dnnl_bf16 : dnnl_f32;
}

static gen_status md_strided(dnnl_memory_desc_t *m, int rank, const int64_t *dim,
                             const int64_t *step, dnnl_data_type_t t)
{
    dnnl_dims_t d = { 0 }, s = { 0 };
    memcpy(d, dim, (size_t)rank * sizeof *dim);
    memcpy(s, step, (size_t)rank * sizeof *step);
#if DNNL_VERSION_MAJOR >= 3
    return check(dnnl_memory_desc_create_with_strides(m, rank, d, t, s), "descriptor");
#else
    return check(dnnl_memory_desc_init_by_strides(m, rank, d, t, s), "descriptor");
#endif
}

static gen_status md_any(dnnl_memory_desc_t *m, int rank, const int64_t *dim, dnnl_data_type_t t)
{
    dnnl_dims_t d = { 0 };
    memcpy(d, dim, (size_t)rank * sizeof *dim);
#if DNNL_VERSION_MAJOR >= 3
    return check(dnnl_memory_desc_create_with_tag(m, rank, d, t, dnnl_format_tag_any),
                 "descriptor");
#else
    return check(dnnl_memory_desc_init_by_tag(m, rank, d, t, dnnl_format_tag_any),
                 "descriptor");
#endif
}

static void md_free(dnnl_memory_desc_t *m)
{
#if DNNL_VERSION_MAJOR >= 3
    if (*m)
        dnnl_memory_desc_destroy(*m);
    *m = NULL;
#else
    (void)m;
#endif
}

#if DNNL_VERSION_MAJOR >= 3
#define MD_NONE NULL
#else
#define MD_NONE { 0 }
#endif

static void dense_steps(int rank, const int64_t *dim, int64_t *step)
{
    int64_t s = 1;
    for (int i = rank - 1; i >= 0; i--) {
        step[i] = s;
        s *= dim[i];
    }
}

/* Channels last in memory, [N,C,*] in oneDNN's order of dimensions. */
static gen_status md_image(dnnl_memory_desc_t *m, int axes, int64_t n, int64_t c,
                           const int64_t *size, dnnl_data_type_t t)
{
    int64_t dim[5] = { n, c }, step[5], s = c;
    step[1] = 1;
    for (int i = axes - 1; i >= 0; i--) {
        dim[2 + i] = size[i];
        step[2 + i] = s;
        s *= size[i];
    }
    step[0] = s;
    return md_strided(m, axes + 2, dim, step, t);
}

/* Equal text for equal layouts of equal dims. */
static void layout_text(md_ref m, char *text)
{
#if DNNL_VERSION_MAJOR >= 3
    int rank = 0, blocks = 0;
    dnnl_data_type_t type = dnnl_f32;
    const dnnl_dims_t *step = NULL, *blk = NULL, *idx = NULL;
    dnnl_memory_desc_query(m, dnnl_query_ndims_s32, &rank);
    dnnl_memory_desc_query(m, dnnl_query_data_type, &type);
    dnnl_memory_desc_query(m, dnnl_query_strides, &step);
    dnnl_memory_desc_query(m, dnnl_query_inner_nblks_s32, &blocks);
    dnnl_memory_desc_query(m, dnnl_query_inner_blks, &blk);
    dnnl_memory_desc_query(m, dnnl_query_inner_idxs, &idx);
#define AT(p, i) ((long long)(*(p))[i])
#else
    const dnnl_blocking_desc_t *b = &m->format_desc.blocking;
    int rank = m->ndims, blocks = b->inner_nblks;
    dnnl_data_type_t type = m->data_type;
    const dnnl_dim_t *step = b->strides, *blk = b->inner_blks, *idx = b->inner_idxs;
#define AT(p, i) ((long long)(p)[i])
#endif
    int n = snprintf(text, GEN_DNNL_LAYOUT, "%d", (int)type);
    for (int i = 0; i < rank && n < GEN_DNNL_LAYOUT; i++)
        n += snprintf(text + n, (size_t)(GEN_DNNL_LAYOUT - n), ",%lld", AT(step, i));
    for (int i = 0; i < blocks && n < GEN_DNNL_LAYOUT; i++)
        n += snprintf(text + n, (size_t)(GEN_DNNL_LAYOUT - n), ";%lld@%lld", AT(blk, i),
                      AT(idx, i));
#undef AT
}

/* ---- units ----------------------------------------------------------------------------------- */

static gen_status memory_new(dnnl_memory_t *out, md_ref m, const gen_dnnl *d)
{
    return check(dnnl_memory_create(out, m, d->engine, DNNL_MEMORY_NONE), "memory");
}

/* The unit alive that has this key, or NULL. */
static gen_dnnl_unit *unit_find(gen_dnnl *d, const key *k)
{
    for (gen_dnnl_unit *u = d->units; u; u = u->next)
        if (memcmp(&u->key, k, sizeof *k) == 0) {
            u->users++;
            return u;
        }
    return NULL;
}

static gen_status unit_new(gen_dnnl_unit **out, gen_dnnl *d, const key *k)
{
    GEN_TRY(GEN_ALLOC(out, 1, "oneDNN primitive"));
    gen_dnnl_unit *u = *out;
    u->d = d;
    u->key = *k;
    u->lanes = (int)k->lanes;
    u->users = 1;
    u->next = d->units;
    d->units = u;
    return GEN_OK;
}

static void unit_unlink(gen_dnnl_unit *u)
{
    gen_dnnl_unit **at = &u->d->units;
    while (*at != u)
        at = &(*at)->next;
    *at = u->next;
}

static md_ref query(const gen_dnnl_unit *u, dnnl_query_t what)
{
    return dnnl_primitive_desc_query_md(u->desc, what, 0);
}

/* Makes the primitive of u->desc and its memory objects; md[] NULL for operands it has not. */
static gen_status unit_finish(gen_dnnl_unit *u, md_ref md[N_ARGS])
{
    GEN_TRY(check(dnnl_primitive_create(&u->primitive, u->desc), "primitive"));
    md[SCRATCH] = query(u, dnnl_query_scratchpad_md);
    u->arg[SCRATCH] = DNNL_ARG_SCRATCHPAD;
    u->scratch_bytes = md[SCRATCH] ? dnnl_memory_desc_get_size(md[SCRATCH]) : 0;
    if (!u->scratch_bytes)
        md[SCRATCH] = NULL;
    u->weights = md[W];
    u->weight_bytes = dnnl_memory_desc_get_size(md[W]);
    layout_text(md[W], u->layout);
    GEN_TRY(GEN_ALLOC(&u->memory, u->lanes * N_ARGS, "oneDNN memory"));
    for (int t = 0; t < u->lanes; t++)
        for (int i = 0; i < N_ARGS; i++)
            if (md[i])
                GEN_TRY(memory_new(&u->memory[t * N_ARGS + i], md[i], u->d));
    return GEN_OK;
}

static void pack_free(pack *p)
{
    for (int i = 0; p->memory && i < p->lanes * 3; i++)
        if (p->memory[i])
            dnnl_memory_destroy(p->memory[i]);
    gen_free(p->memory);
    if (p->primitive)
        dnnl_primitive_destroy(p->primitive);
    if (p->desc)
        dnnl_primitive_desc_destroy(p->desc);
    *p = (pack){ 0 };
}

void gen_dnnl_unit_free(gen_dnnl_unit **pu)
{
    gen_dnnl_unit *u = *pu;
    *pu = NULL;
    if (!u || --u->users > 0)
        return;
    unit_unlink(u);
    for (int i = 0; u->to_plain && i < u->parts; i++)
        pack_free(&u->to_plain[i]);
    gen_free(u->to_plain);
    for (int i = 0; u->memory && i < u->lanes * N_ARGS; i++)
        if (u->memory[i])
            dnnl_memory_destroy(u->memory[i]);
    gen_free(u->memory);
    if (u->primitive)
        dnnl_primitive_destroy(u->primitive);
    if (u->desc)
        dnnl_primitive_desc_destroy(u->desc);
    gen_free(u);
}

const char *gen_dnnl_layout(const gen_dnnl_unit *u)
{
    return u->layout;
}

uint64_t gen_dnnl_weight_bytes(const gen_dnnl_unit *u)
{
    return u->weight_bytes;
}

uint64_t gen_dnnl_scratch_bytes(const gen_dnnl_unit *u)
{
    return u->scratch_bytes;
}

const char *gen_dnnl_kernel_name(const gen_dnnl_unit *u)
{
    const char *name = "?";
    dnnl_primitive_desc_query(u->desc, dnnl_query_impl_info_str, 0, &name);
    return name;
}

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
    return check(dnnl_post_ops_append_eltwise(ops, kind[c->act], slope, 0), "activation");
#else
    return check(dnnl_post_ops_append_eltwise(ops, 1, kind[c->act], slope, 0), "activation");
#endif
}

static gen_status add_sum(dnnl_post_ops_t ops, dnnl_data_type_t t)
{
#if DNNL_VERSION_MAJOR >= 3
    return check(dnnl_post_ops_append_sum(ops, 1, 0, t), "sum");
#else
    (void)t;
    return check(dnnl_post_ops_append_sum(ops, 1), "sum");
#endif
}

static gen_status set_post_ops(dnnl_primitive_attr_t a, const gen_dnnl_conv *c)
{
    dnnl_post_ops_t ops;
    gen_status status = GEN_OK;
    GEN_TRY(check(dnnl_post_ops_create(&ops), "post-ops"));
    if (c->sum)
        GEN_GOTO(add_sum(ops, type_of(c->y)));
    if (c->act)
        GEN_GOTO(add_act(ops, c));
    GEN_GOTO(check(dnnl_primitive_attr_set_post_ops(a, ops), "post-ops"));
done:
    dnnl_post_ops_destroy(ops);
    return status;
}

/* conv NULL: no post-ops. */
static gen_status attr_new(dnnl_primitive_attr_t *out, const gen_dnnl_conv *conv)
{
    gen_status status = GEN_OK;
    GEN_TRY(check(dnnl_primitive_attr_create(out), "attributes"));
    GEN_GOTO(check(dnnl_primitive_attr_set_scratchpad_mode(*out, dnnl_scratchpad_mode_user),
                   "attributes"));
    if (conv && (conv->sum || conv->act))
        GEN_GOTO(set_post_ops(*out, conv));
done:
    if (status != GEN_OK)
        dnnl_primitive_attr_destroy(*out);
    return status;
}

/* ---- convolution ----------------------------------------------------------------------------- */

typedef struct conv_mds {
    dnnl_memory_desc_t x, w, b, y;
    dnnl_dims_t stride, dilation, lo, hi;
} conv_mds;

static void conv_mds_free(conv_mds *m)
{
    md_free(&m->x);
    md_free(&m->w);
    md_free(&m->b);
    md_free(&m->y);
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
    GEN_TRY(md_image(&m->x, axes, c->n, c->cin, c->in, type_of(c->x)));
    GEN_TRY(md_image(&m->y, axes, c->n, c->cout, c->out, type_of(c->y)));
    GEN_TRY(md_any(&m->w, u->plain_rank, u->plain, weights));
    if (c->has_bias)
        GEN_TRY(md_strided(&m->b, 1, &c->cout, &one, dnnl_f32));
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
    key k = { .kind = FORWARD, .lanes = lanes };
    k.conv = *c;
    *out = unit_find(d, &k);
    if (*out)
        return GEN_OK;
    GEN_TRY(unit_new(out, d, &k));
    gen_dnnl_unit *u = *out;
    GEN_GOTO(conv_mds_new(&m, u, c, type_of(c->x)));
    GEN_GOTO(attr_new(&a, c));
    GEN_GOTO(check(forward_desc(u, c, &m, a, &u->desc), "convolution"));
    u->arg[X] = DNNL_ARG_SRC;
    u->arg[W] = DNNL_ARG_WEIGHTS;
    u->arg[BIAS] = DNNL_ARG_BIAS;
    u->arg[Y] = DNNL_ARG_DST;
    GEN_GOTO(unit_finish(u, (md_ref[N_ARGS]){
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
    key k = { .kind = WEIGHTS, .lanes = lanes };
    k.conv = *c;
    *out = unit_find(d, &k);
    if (*out)
        return GEN_OK;
    GEN_TRY(unit_new(out, d, &k));
    gen_dnnl_unit *u = *out;
    GEN_GOTO(conv_mds_new(&fwd, u, c, type_of(c->x)));
    GEN_GOTO(conv_mds_new(&m, u, c, dnnl_f32));
    GEN_GOTO(attr_new(&a, NULL));
    GEN_GOTO(check(forward_desc(u, c, &fwd, a, &hint), "convolution"));
    GEN_GOTO(check(weights_desc(u, &m, a, hint, &u->desc), "gradient of weights"));
    u->arg[X] = DNNL_ARG_SRC;
    u->arg[W] = DNNL_ARG_DIFF_WEIGHTS;
    u->arg[Y] = DNNL_ARG_DIFF_DST;
    GEN_GOTO(unit_finish(u, (md_ref[N_ARGS]){ query(u, dnnl_query_src_md),
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
    int64_t dim[3][3] = { { m->batch, m->m, m->k }, { m->batch, m->k, m->n },
                          { m->batch, m->m, m->n } };
    key k = { .kind = MATMUL, .lanes = lanes };
    k.matmul = *m;
    *out = unit_find(d, &k);
    if (*out)
        return GEN_OK;
    GEN_TRY(unit_new(out, d, &k));
    gen_dnnl_unit *u = *out;
    GEN_GOTO(md_strided(&md[0], rank, dim[0] + skip, m->a_step + skip, t));
    GEN_GOTO(md_strided(&md[1], rank, dim[1] + skip, m->b_step + skip, t));
    GEN_GOTO(md_strided(&md[2], rank, dim[2] + skip, m->c_step + skip, t));
    GEN_GOTO(attr_new(&a, NULL));
    GEN_GOTO(check(matmul_desc(u, md, a, &u->desc), "matrix product"));
    u->arg[X] = DNNL_ARG_SRC;
    u->arg[W] = DNNL_ARG_WEIGHTS;
    u->arg[Y] = DNNL_ARG_DST;
    GEN_GOTO(unit_finish(u, (md_ref[N_ARGS]){ query(u, dnnl_query_src_md),
                                              query(u, dnnl_query_weights_md), NULL,
                                              query(u, dnnl_query_dst_md) }));
done:
    for (int i = 0; i < 3; i++)
        md_free(&md[i]);
    if (a)
        dnnl_primitive_attr_destroy(a);
    if (status != GEN_OK)
        gen_dnnl_unit_free(out);
    return status;
}

/* ---- packing --------------------------------------------------------------------------------- */

static gen_status pack_new(pack *p, gen_dnnl_unit *u, md_ref from, md_ref to, int lanes,
                           uint64_t *scratch_bytes)
{
    gen_status status = GEN_OK;
    dnnl_primitive_attr_t a = NULL;
    GEN_TRY(attr_new(&a, NULL));
    GEN_GOTO(check(dnnl_reorder_primitive_desc_create(&p->desc, from, u->d->engine, to,
                                                      u->d->engine, a), "reorder"));
    GEN_GOTO(check(dnnl_primitive_create(&p->primitive, p->desc), "reorder"));
    md_ref scratch = dnnl_primitive_desc_query_md(p->desc, dnnl_query_scratchpad_md, 0);
    uint64_t need = scratch ? dnnl_memory_desc_get_size(scratch) : 0;
    if (need > *scratch_bytes)
        *scratch_bytes = need;
    GEN_GOTO(GEN_ALLOC(&p->memory, lanes * 3, "oneDNN memory"));
    p->lanes = lanes;
    for (int t = 0; t < lanes; t++) {
        GEN_GOTO(memory_new(&p->memory[t * 3], from, u->d));
        GEN_GOTO(memory_new(&p->memory[t * 3 + 1], to, u->d));
        if (need)
            GEN_GOTO(memory_new(&p->memory[t * 3 + 2], scratch, u->d));
    }
done:
    dnnl_primitive_attr_destroy(a);
    return status;
}

static gen_status set(dnnl_memory_t m, const void *p)
{
    return check(dnnl_memory_set_data_handle(m, (void *)(uintptr_t)p), "operand");
}

static gen_status pack_run(const gen_dnnl_unit *u, pack *p, int lane, const void *from, void *to,
                           void *scratch)
{
    dnnl_memory_t *m = p->memory + lane * 3;
    dnnl_exec_arg_t arg[3] = { { DNNL_ARG_FROM, m[0] }, { DNNL_ARG_TO, m[1] },
                               { DNNL_ARG_SCRATCHPAD, m[2] } };
    GEN_TRY(set(m[0], from));
    GEN_TRY(set(m[1], to));
    if (m[2])
        GEN_TRY(set(m[2], scratch));
    return check(dnnl_primitive_execute(p->primitive, u->d->stream[lane], m[2] ? 3 : 2, arg),
                 "reorder");
}

gen_status gen_dnnl_packer_new(gen_dnnl_packer **out, gen_dnnl_unit *u, int lanes)
{
    gen_status status = GEN_OK;
    int64_t step[6];
    dnnl_memory_desc_t plain = MD_NONE;
    GEN_TRY(GEN_ALLOC(out, 1, "oneDNN reorder"));
    (*out)->u = u;
    dense_steps(u->plain_rank, u->plain, step);
    GEN_GOTO(md_strided(&plain, u->plain_rank, u->plain, step, dnnl_f32));
    GEN_GOTO(pack_new(&(*out)->pack, u, MD(plain), u->weights, lanes, &(*out)->scratch));
done:
    md_free(&plain);
    if (status != GEN_OK)
        gen_dnnl_packer_free(out);
    return status;
}

void gen_dnnl_packer_free(gen_dnnl_packer **p)
{
    if (*p)
        pack_free(&(*p)->pack);
    gen_free(*p);
    *p = NULL;
}

uint64_t gen_dnnl_packer_scratch(const gen_dnnl_packer *p)
{
    return p->scratch;
}

gen_status gen_dnnl_pack(gen_dnnl_packer *p, int lane, const float *plain, void *packed,
                         void *scratch)
{
    return pack_run(p->u, &p->pack, lane, plain, packed, scratch);
}

/* Share [first, first + count) of dimension 0 (groups, or output channels). */
static gen_status unpack_part(gen_dnnl_unit *u, pack *p, int64_t first, int64_t count)
{
    int64_t step[6], dim[6];
    dnnl_dims_t part = { 0 }, offset = { first };
    dnnl_memory_desc_t plain = MD_NONE, share = MD_NONE;
    gen_status status = GEN_OK;
    memcpy(dim, u->plain, sizeof dim);
    dense_steps(u->plain_rank, dim, step);
    p->offset = (uint64_t)(first * step[0]);
    dim[0] = count;
    memcpy(part, dim, sizeof dim);
    GEN_GOTO(md_strided(&plain, u->plain_rank, dim, step, dnnl_f32));
#if DNNL_VERSION_MAJOR >= 3
    GEN_GOTO(check(dnnl_memory_desc_create_submemory(&share, u->weights, part, offset), "share"));
#else
    GEN_GOTO(check(dnnl_memory_desc_init_submemory(&share, u->weights, part, offset), "share"));
#endif
    GEN_GOTO(pack_new(p, u, MD(share), MD(plain), 1, &u->scratch_bytes));
done:
    md_free(&plain);
    md_free(&share);
    return status;
}

gen_status gen_dnnl_unpack_prepare(gen_dnnl_unit *u, int *parts)
{
    int64_t n = u->plain[0], each = PART_CHANNELS;
    while ((n + each - 1) / each > MAX_PARTS)
        each *= 2;
    u->parts = (int)((n + each - 1) / each);
    *parts = u->parts;
    if (u->to_plain)
        return GEN_OK;
    GEN_TRY(GEN_ALLOC(&u->to_plain, u->parts, "oneDNN reorders"));
    for (int i = 0; i < u->parts; i++) {
        int64_t first = i * each, count = n - first < each ? n - first : each;
        GEN_TRY(unpack_part(u, &u->to_plain[i], first, count));
    }
    return GEN_OK;
}

gen_status gen_dnnl_unpack(gen_dnnl_unit *u, int part, const void *packed, float *plain,
                           void *scratch)
{
    pack *p = &u->to_plain[part];
    return pack_run(u, p, 0, packed, plain + p->offset, scratch);
}

/* ---- running --------------------------------------------------------------------------------- */

gen_status gen_dnnl_slot_new(gen_dnnl_slot **out, const gen_dnnl_unit *u)
{
    return memory_new(out, u->weights, u->d);
}

gen_status gen_dnnl_slot_set(gen_dnnl_slot *slot, const void *weights)
{
    void *now;
    GEN_TRY(check(dnnl_memory_get_data_handle(slot, &now), "weights"));
    return now == weights ? GEN_OK : set(slot, weights);
}

void gen_dnnl_slot_free(gen_dnnl_slot **slot)
{
    if (*slot)
        dnnl_memory_destroy(*slot);
    *slot = NULL;
}

gen_status gen_dnnl_run(gen_dnnl_unit *u, int lane, const gen_dnnl_operands *o)
{
    const void *data[N_ARGS] = { o->x, o->w, o->bias, o->y, o->scratch };
    dnnl_memory_t *m = u->memory + lane * N_ARGS;
    dnnl_exec_arg_t arg[N_ARGS];
    int n = 0;
    for (int i = 0; i < N_ARGS; i++) {
        if (!m[i])
            continue;
        arg[n] = (dnnl_exec_arg_t){ u->arg[i], m[i] };
        if (i == W && !o->w)
            arg[n].memory = o->slot;
        else
            GEN_TRY(set(m[i], data[i]));
        n++;
    }
    return check(dnnl_primitive_execute(u->primitive, u->d->stream[lane], n, arg), "primitive");
}
