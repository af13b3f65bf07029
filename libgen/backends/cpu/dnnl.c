/* SPDX-License-Identifier: Apache-2.0
 *
 * oneDNN: engine, threads, descriptors of memory, units and running them.
 */
#include <omp.h>
#include <stdio.h>

#include "libgen/backends/cpu/dnnl_unit.h"

/* ---- engine and threads ---------------------------------------------------------------------- */

gen_status gen_dnnl_check(dnnl_status_t s, const char *what)
{
    if (s == dnnl_success)
        return GEN_OK;
    if (s == dnnl_unimplemented || s == dnnl_runtime_error) /* code that it could not generate */
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
    GEN_GOTO(gen_dnnl_check(dnnl_engine_create(&d->engine, dnnl_cpu, 0), "engine"));
    for (int i = 0; i < threads; i++)
        GEN_GOTO(gen_dnnl_check(
            dnnl_stream_create(&d->stream[i], d->engine, dnnl_stream_default_flags), "stream"));
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

gen_status gen_dnnl_md_strided(dnnl_memory_desc_t *m, int rank, const int64_t *dim,
                               const int64_t *step, dnnl_data_type_t t)
{
    dnnl_dims_t d = { 0 }, s = { 0 };
    memcpy(d, dim, (size_t)rank * sizeof *dim);
    memcpy(s, step, (size_t)rank * sizeof *step);
#if DNNL_VERSION_MAJOR >= 3
    return gen_dnnl_check(dnnl_memory_desc_create_with_strides(m, rank, d, t, s), "descriptor");
#else
    return gen_dnnl_check(dnnl_memory_desc_init_by_strides(m, rank, d, t, s), "descriptor");
#endif
}

gen_status gen_dnnl_md_any(dnnl_memory_desc_t *m, int rank, const int64_t *dim, dnnl_data_type_t t)
{
    dnnl_dims_t d = { 0 };
    memcpy(d, dim, (size_t)rank * sizeof *dim);
#if DNNL_VERSION_MAJOR >= 3
    return gen_dnnl_check(dnnl_memory_desc_create_with_tag(m, rank, d, t, dnnl_format_tag_any),
                          "descriptor");
#else
    return gen_dnnl_check(dnnl_memory_desc_init_by_tag(m, rank, d, t, dnnl_format_tag_any),
                          "descriptor");
#endif
}

void gen_dnnl_md_free(dnnl_memory_desc_t *m)
{
#if DNNL_VERSION_MAJOR >= 3
    if (*m)
        dnnl_memory_desc_destroy(*m);
    *m = NULL;
#else
    (void)m;
#endif
}

/* Channels last in memory, [N,C,*] in oneDNN's order of dimensions. */
gen_status gen_dnnl_md_image(dnnl_memory_desc_t *m, int axes, int64_t n, int64_t c,
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
    return gen_dnnl_md_strided(m, axes + 2, dim, step, t);
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
        n +=
            snprintf(text + n, (size_t)(GEN_DNNL_LAYOUT - n), ";%lld@%lld", AT(blk, i), AT(idx, i));
#undef AT
}

/* ---- units ----------------------------------------------------------------------------------- */

gen_status gen_dnnl_memory_new(dnnl_memory_t *out, md_ref m, const gen_dnnl *d)
{
    return gen_dnnl_check(dnnl_memory_create(out, m, d->engine, DNNL_MEMORY_NONE), "memory");
}

/* The unit alive that has this key, or NULL. */
gen_dnnl_unit *gen_dnnl_unit_find(gen_dnnl *d, const gen_dnnl_key *k)
{
    for (gen_dnnl_unit *u = d->units; u; u = u->next)
        if (memcmp(&u->key, k, sizeof *k) == 0) {
            u->users++;
            return u;
        }
    return NULL;
}

gen_status gen_dnnl_unit_new(gen_dnnl_unit **out, gen_dnnl *d, const gen_dnnl_key *k)
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

/* Makes the primitive of u->desc and its memory objects; md[] NULL for operands it has not. */
gen_status gen_dnnl_unit_finish(gen_dnnl_unit *u, md_ref md[N_ARGS])
{
    GEN_TRY(gen_dnnl_check(dnnl_primitive_create(&u->primitive, u->desc), "primitive"));
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
                GEN_TRY(gen_dnnl_memory_new(&u->memory[t * N_ARGS + i], md[i], u->d));
    return GEN_OK;
}

void gen_dnnl_unit_free(gen_dnnl_unit **pu)
{
    gen_dnnl_unit *u = *pu;
    *pu = NULL;
    if (!u || --u->users > 0)
        return;
    unit_unlink(u);
    for (int i = 0; u->to_plain && i < u->parts; i++)
        gen_dnnl_pack_free(&u->to_plain[i]);
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

/* ---- running --------------------------------------------------------------------------------- */

gen_status gen_dnnl_set(dnnl_memory_t m, const void *p)
{
    return gen_dnnl_check(dnnl_memory_set_data_handle(m, (void *)(uintptr_t)p), "operand");
}

gen_status gen_dnnl_slot_new(gen_dnnl_slot **out, const gen_dnnl_unit *u)
{
    return gen_dnnl_memory_new(out, u->weights, u->d);
}

gen_status gen_dnnl_slot_set(gen_dnnl_slot *slot, const void *weights)
{
    void *now;
    GEN_TRY(gen_dnnl_check(dnnl_memory_get_data_handle(slot, &now), "weights"));
    return now == weights ? GEN_OK : gen_dnnl_set(slot, weights);
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
            GEN_TRY(gen_dnnl_set(m[i], data[i]));
        n++;
    }
    return gen_dnnl_check(dnnl_primitive_execute(u->primitive, u->d->stream[lane], n, arg),
                          "primitive");
}
