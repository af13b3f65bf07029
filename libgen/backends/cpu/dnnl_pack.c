/* SPDX-License-Identifier: Apache-2.0
 *
 * oneDNN: reorders of weights into the layout of a unit, and of their gradient out of it.
 */
#include "libgen/backends/cpu/dnnl_unit.h"

enum { MAX_PARTS = 64, PART_CHANNELS = 64 };

void gen_dnnl_pack_free(gen_dnnl_pack_step *p)
{
    for (int i = 0; p->memory && i < p->lanes * 3; i++)
        if (p->memory[i])
            dnnl_memory_destroy(p->memory[i]);
    gen_free(p->memory);
    if (p->primitive)
        dnnl_primitive_destroy(p->primitive);
    if (p->desc)
        dnnl_primitive_desc_destroy(p->desc);
    *p = (gen_dnnl_pack_step){ 0 };
}

/* ---- packing --------------------------------------------------------------------------------- */

static gen_status pack_new(gen_dnnl_pack_step *p, gen_dnnl_unit *u, md_ref from, md_ref to,
                           int lanes, uint64_t *scratch_bytes)
{
    gen_status status = GEN_OK;
    dnnl_primitive_attr_t a = NULL;
    GEN_TRY(gen_dnnl_attr_new(&a, NULL));
    GEN_GOTO(gen_dnnl_check(
        dnnl_reorder_primitive_desc_create(&p->desc, from, u->d->engine, to, u->d->engine, a),
        "reorder"));
    GEN_GOTO(gen_dnnl_check(dnnl_primitive_create(&p->primitive, p->desc), "reorder"));
    md_ref scratch = dnnl_primitive_desc_query_md(p->desc, dnnl_query_scratchpad_md, 0);
    uint64_t need = scratch ? dnnl_memory_desc_get_size(scratch) : 0;
    if (need > *scratch_bytes)
        *scratch_bytes = need;
    GEN_GOTO(GEN_ALLOC(&p->memory, lanes * 3, "oneDNN memory"));
    p->lanes = lanes;
    for (int t = 0; t < lanes; t++) {
        GEN_GOTO(gen_dnnl_memory_new(&p->memory[t * 3], from, u->d));
        GEN_GOTO(gen_dnnl_memory_new(&p->memory[t * 3 + 1], to, u->d));
        if (need)
            GEN_GOTO(gen_dnnl_memory_new(&p->memory[t * 3 + 2], scratch, u->d));
    }
done:
    dnnl_primitive_attr_destroy(a);
    return status;
}

static gen_status pack_run(const gen_dnnl_unit *u, gen_dnnl_pack_step *p, int lane,
                           const void *from, void *to, void *scratch)
{
    dnnl_memory_t *m = p->memory + lane * 3;
    dnnl_exec_arg_t arg[3] = { { DNNL_ARG_FROM, m[0] },
                               { DNNL_ARG_TO, m[1] },
                               { DNNL_ARG_SCRATCHPAD, m[2] } };
    GEN_TRY(gen_dnnl_set(m[0], from));
    GEN_TRY(gen_dnnl_set(m[1], to));
    if (m[2])
        GEN_TRY(gen_dnnl_set(m[2], scratch));
    return gen_dnnl_check(
        dnnl_primitive_execute(p->primitive, u->d->stream[lane], m[2] ? 3 : 2, arg), "reorder");
}

gen_status gen_dnnl_packer_new(gen_dnnl_packer **out, gen_dnnl_unit *u, int lanes)
{
    gen_status status = GEN_OK;
    int64_t step[6];
    dnnl_memory_desc_t plain = MD_NONE;
    GEN_TRY(GEN_ALLOC(out, 1, "oneDNN reorder"));
    (*out)->u = u;
    dense_steps(u->plain_rank, u->plain, step);
    GEN_GOTO(gen_dnnl_md_strided(&plain, u->plain_rank, u->plain, step, dnnl_f32));
    GEN_GOTO(pack_new(&(*out)->pack, u, MD(plain), u->weights, lanes, &(*out)->scratch));
done:
    gen_dnnl_md_free(&plain);
    if (status != GEN_OK)
        gen_dnnl_packer_free(out);
    return status;
}

void gen_dnnl_packer_free(gen_dnnl_packer **p)
{
    if (*p)
        gen_dnnl_pack_free(&(*p)->pack);
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
static gen_status unpack_part(gen_dnnl_unit *u, gen_dnnl_pack_step *p, int64_t first, int64_t count)
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
    GEN_GOTO(gen_dnnl_md_strided(&plain, u->plain_rank, dim, step, dnnl_f32));
#if DNNL_VERSION_MAJOR >= 3
    GEN_GOTO(gen_dnnl_check(dnnl_memory_desc_create_submemory(&share, u->weights, part, offset),
                            "share"));
#else
    GEN_GOTO(
        gen_dnnl_check(dnnl_memory_desc_init_submemory(&share, u->weights, part, offset), "share"));
#endif
    GEN_GOTO(pack_new(p, u, MD(share), MD(plain), 1, &u->scratch_bytes));
done:
    gen_dnnl_md_free(&plain);
    gen_dnnl_md_free(&share);
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
    gen_dnnl_pack_step *p = &u->to_plain[part];
    return pack_run(u, p, 0, packed, plain + p->offset, scratch);
}
