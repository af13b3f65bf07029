/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolutions and transposed convolutions through oneDNN, one single-threaded primitive a piece of
 * work. Pieces are images, rows and output channels; how many there are follows from the shape
 * only, so the bytes do not depend on the number of threads.
 *
 * Rows of an image are contiguous, so a share of rows is a view with padding of its own; the first,
 * middle and last shares differ, the middle ones share a primitive. A share of output channels, and
 * a phase of a form, goes to a stage buffer and from there to its place ('finish'): the stage stays
 * in cache, which makes the phases faster than one deconvolution at every width.
 */
#include "libgen/backends/cpu/conv.h"

#include <string.h>

#include "libgen/backends/cpu/finish.h"

enum {
    STAGE_BYTES = 1 << 18, /* of a phase's result: stays in L2 */
    FETCH_BYTES = 4 << 20, /* x that does not */
    LINE_ROWS = 512,
    MIN_PIXELS = 48,
    MIN_CHANNELS = 64
};

typedef struct unit {
    gen_dnnl_conv desc;
    gen_dnnl_unit *u;
} unit;

/* Packed weights of one phase in one layout: [oc_parts] shares of `bytes`. */
typedef struct block {
    int phase;
    gen_dnnl_unit *u; /* one that has this layout */
    gen_dnnl_packer *packer;
    uint64_t offset, bytes;
} block;

struct gen_conv_job {
    gen_conv_form form;
    gen_conv_spec spec;
    int64_t n_each;
    int n_parts, row_parts, oc_parts, pieces, lanes;
    bool staged;
    unit *unit;
    uint64_t unit_capacity;
    int units;
    int *unit_of; /* [2][row_parts][phases]: but for the last share of images, for it; -1: empty */
    block *block;
    int blocks;
    int *block_of;        /* [units][phases], -1: not used together */
    gen_dnnl_slot **slot; /* [units][phases][oc_parts] */
    uint64_t packed_bytes, fold_bytes, scratch_bytes, stage_bytes;
    uint64_t bias_bytes; /* end of the stage: the bias, aligned; see sse() */
    const void *packed; /* NULL: weights vary and are packed in run */
    gen_finish_fn *finish;
};

typedef struct rows {
    int64_t x0, x1, y0, y1; /* rows read and written (of the phase) */
    int64_t pad_lo, pad_hi;
} rows;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* ---- cutting --------------------------------------------------------------------------------- */

/* Operations of the whole convolution in f32 equivalents; a small one counts its weights. */
static double work_of(const gen_conv_job *j)
{
    const gen_conv_form *f = &j->form;
    double channels = (double)f->cout * (double)(f->cin / f->groups), work = 0, weights = 0;
    for (int i = 0; i < f->phases; i++) {
        double taps = 1, pixels = (double)f->n;
        for (int a = 0; a < f->axes; a++) {
            taps *= (double)f->phase[i].taps[a];
            pixels *= (double)f->phase[i].out[a];
        }
        work += 2 * taps * pixels * channels;
        weights += taps * channels;
    }
    if (j->spec.dtype == GEN_BF16)
        work /= 2, weights /= 2;
    return work > 32 * weights ? work : 32 * weights;
}

static int wanted_pieces(double work)
{
    static const double limit[] = { 4e6, 32e6, 64e6, 128e6, 512e6, 2e9 };
    int n = 1;
    for (int i = 0; i < GEN_LEN(limit) && work >= limit[i]; i++)
        n *= 2;
    return n;
}

/* The largest power of two of shares of output channels, up to `wanted`, each wide enough. */
static int channel_parts(const gen_conv_form *f, int64_t wanted)
{
    int n = 1;
    while (f->groups == 1 && n < wanted && f->cout % (n * 2) == 0 &&
           f->cout / (n * 2) % 16 == 0 && f->cout / (n * 2) >= MIN_CHANNELS)
        n *= 2;
    return n;
}

static int64_t up_to_power(int64_t v)
{
    int64_t p = 1;
    while (p < v)
        p *= 2;
    return p;
}

/* True where some row, along some axis, is computed from padding only. */
static bool has_bare_rows(const gen_conv_form *f)
{
    const gen_conv_phase *p = &f->phase[0];
    for (int a = 0; a < f->axes; a++)
        for (int64_t y = 0; y < p->out[a]; y++) {
            bool bare = true;
            for (int64_t t = 0; t < p->taps[a] && bare; t++) {
                int64_t x = y * p->stride[a] - p->pad_lo[a] + t * p->dilation[a];
                bare = x < 0 || x >= f->in[a];
            }
            if (bare)
                return true;
        }
    return false;
}

static void choose_cut(gen_conv_job *j)
{
    const gen_conv_form *f = &j->form;
    int64_t wanted = wanted_pieces(work_of(j)), rows_all = f->phase[0].out[0], row = 1;
    for (int a = 1; a < f->axes; a++)
        row *= f->phase[0].out[a];
    bool line = f->axes == 1 && rows_all > LINE_ROWS; /* making a long line's primitive is slow */
    j->n_each = line || f->n <= 2 * wanted ? 1 : f->n / wanted;
    if (wanted == 1 && !line)
        j->n_each = f->n;
    j->n_parts = (int)((f->n + j->n_each - 1) / j->n_each);
    int64_t rest = up_to_power((wanted + j->n_parts - 1) / j->n_parts);
    if (rest == 1 && j->n_parts % 2 && j->n_parts > 1 && j->n_parts < 16)
        rest = 2; /* an odd number of pieces leaves one of two threads waiting */
    j->row_parts = 1;
    if (j->n_each == 1) {
        int64_t r = least(rest, rows_all * row / MIN_PIXELS);
        while (r & (r - 1))
            r &= r - 1; /* a power of two, as rest is: shares of equal size */
        if (line)
            r = most(r, (rows_all + LINE_ROWS - 1) / LINE_ROWS);
        if (f->phases > 1)
            r = most(r, rows_all * row * f->cout * 4 / STAGE_BYTES);
        j->row_parts = (int)most(1, least(r, rows_all));
    }
    j->oc_parts = channel_parts(f, (rest + j->row_parts - 1) / j->row_parts);
    j->staged = f->phases > 1 || j->oc_parts > 1;
    /* There, after a sum, oneDNN 2.6's brgconv leaves out the bias, and crashes in activations. */
    if (j->spec.has_residual && !j->staged)
        j->staged = has_bare_rows(f);
}

/* Rows of phase p that share `part` covers; false when there are none. */
static bool rows_of(const gen_conv_job *j, const gen_conv_phase *p, int part, rows *r)
{
    int64_t all = j->form.phase[0].out[0], reach = (p->taps[0] - 1) * p->dilation[0] + 1;
    r->y0 = part * all / j->row_parts;
    r->y1 = least((part + 1) * all / j->row_parts, p->out[0]);
    if (r->y0 >= r->y1)
        return false;
    int64_t lo = r->y0 * p->stride[0] - p->pad_lo[0];
    int64_t hi = (r->y1 - 1) * p->stride[0] - p->pad_lo[0] + reach;
    if (j->row_parts == 1) {
        r->x0 = 0;
        r->x1 = j->form.in[0];
    } else {
        r->x0 = most(lo, 0);
        r->x1 = least(hi, j->form.in[0]);
    }
    r->pad_lo = r->x0 - lo;
    r->pad_hi = hi - r->x1;
    return true;
}

/* Every share must read at least one row. */
static bool rows_valid(const gen_conv_job *j)
{
    for (int p = 0; p < j->form.phases; p++)
        for (int i = 0; i < j->row_parts; i++) {
            rows r;
            if (rows_of(j, &j->form.phase[p], i, &r) && (r.x0 >= r.x1 || r.pad_lo < 0))
                return false;
        }
    return true;
}

/* ---- units ----------------------------------------------------------------------------------- */

static void describe(const gen_conv_job *j, const gen_conv_phase *p, const rows *r, int64_t n,
                     gen_dnnl_conv *d)
{
    const gen_conv_form *f = &j->form;
    bool fused_residual = j->spec.has_residual && !j->staged;
    memset(d, 0, sizeof *d);
    d->axes = f->axes;
    d->n = n;
    d->cin = f->cin;
    d->cout = f->cout / j->oc_parts;
    d->groups = f->groups;
    for (int a = 0; a < f->axes; a++) {
        d->in[a] = f->in[a];
        d->out[a] = p->out[a];
        d->kernel[a] = p->taps[a];
        d->stride[a] = p->stride[a];
        d->dilation[a] = p->dilation[a];
        d->pad_lo[a] = p->pad_lo[a];
        d->pad_hi[a] = (p->out[a] - 1) * p->stride[a] + (p->taps[a] - 1) * p->dilation[a] + 1 -
                       p->pad_lo[a] - f->in[a];
    }
    d->in[0] = r->x1 - r->x0;
    d->out[0] = r->y1 - r->y0;
    d->pad_lo[0] = r->pad_lo;
    d->pad_hi[0] = r->pad_hi;
    d->x = j->spec.dtype;
    d->y = j->staged && j->spec.has_residual ? GEN_F32 : j->spec.dtype;
    d->has_bias = j->spec.has_bias;
    d->sum = fused_residual;
    if (!j->spec.has_residual || fused_residual) {
        d->act = j->spec.act;
        d->slope = j->spec.slope;
    }
}

static gen_status unit_for(gen_conv_job *j, gen_dnnl *dnnl, const gen_dnnl_conv *d, int *out)
{
    for (*out = 0; *out < j->units; ++*out)
        if (memcmp(&j->unit[*out].desc, d, sizeof *d) == 0)
            return GEN_OK;
    GEN_TRY(GEN_GROW(&j->unit, &j->unit_capacity, j->units + 1));
    unit *u = &j->unit[j->units++];
    u->desc = *d;
    u->u = NULL;
    return gen_dnnl_conv_forward(&u->u, dnnl, d, j->lanes);
}

static gen_status make_units(gen_conv_job *j, gen_dnnl *dnnl)
{
    const gen_conv_form *f = &j->form;
    int64_t last = f->n - (j->n_parts - 1) * j->n_each;
    GEN_TRY(GEN_ALLOC(&j->unit_of, 2 * j->row_parts * f->phases, "convolution pieces"));
    for (int v = 0; v < 2; v++)
        for (int r = 0; r < j->row_parts; r++)
            for (int p = 0; p < f->phases; p++) {
                int *to = &j->unit_of[(v * j->row_parts + r) * f->phases + p];
                rows share;
                gen_dnnl_conv d;
                *to = -1;
                if (!rows_of(j, &f->phase[p], r, &share))
                    continue;
                describe(j, &f->phase[p], &share, v ? last : j->n_each, &d);
                GEN_TRY(unit_for(j, dnnl, &d, to));
                uint64_t stage = 4u * (uint64_t)(d.n * d.cout * d.out[0]);
                for (int a = 1; a < f->axes; a++)
                    stage *= (uint64_t)d.out[a];
                if (j->staged && stage > j->stage_bytes)
                    j->stage_bytes = gen_cpu_align(stage);
            }
    return GEN_OK;
}

/* ---- weights --------------------------------------------------------------------------------- */

static int64_t phase_weights(const gen_conv_job *j, int phase)
{
    int64_t n = j->form.cout / j->oc_parts * (j->form.cin / j->form.groups);
    for (int a = 0; a < j->form.axes; a++)
        n *= j->form.phase[phase].taps[a];
    return n;
}

static gen_status block_for(gen_conv_job *j, gen_dnnl_unit *u, int phase, int *out)
{
    for (*out = 0; *out < j->blocks; ++*out)
        if (j->block[*out].phase == phase &&
            strcmp(gen_dnnl_layout(j->block[*out].u), gen_dnnl_layout(u)) == 0)
            return GEN_OK;
    block *b = &j->block[j->blocks++];
    *b = (block){ .phase = phase, .u = u, .offset = j->packed_bytes };
    b->bytes = gen_cpu_align(gen_dnnl_weight_bytes(u));
    j->packed_bytes += b->bytes * (uint64_t)j->oc_parts;
    return GEN_OK;
}

static gen_status make_blocks(gen_conv_job *j)
{
    int phases = j->form.phases;
    GEN_TRY(GEN_ALLOC(&j->block, j->units * phases, "packed weights"));
    GEN_TRY(GEN_ALLOC(&j->block_of, j->units * phases, "packed weights"));
    for (int i = 0; i < j->units * phases; i++)
        j->block_of[i] = -1;
    for (int i = 0; i < 2 * j->row_parts * phases; i++) {
        int u = j->unit_of[i], phase = i % phases;
        if (u >= 0 && j->block_of[u * phases + phase] < 0)
            GEN_TRY(block_for(j, j->unit[u].u, phase, &j->block_of[u * phases + phase]));
    }
    GEN_TRY(GEN_ALLOC(&j->slot, j->units * phases * j->oc_parts, "packed weights"));
    for (int i = 0; i < j->units * phases * j->oc_parts; i++)
        if (j->block_of[i / j->oc_parts] >= 0)
            GEN_TRY(gen_dnnl_slot_new(&j->slot[i], j->unit[i / j->oc_parts / phases].u));
    for (int p = 0; p < phases && !j->form.identity; p++)
        j->fold_bytes = (uint64_t)most((int64_t)j->fold_bytes, phase_weights(j, p) * 4);
    j->fold_bytes = gen_cpu_align(j->fold_bytes);
    for (int u = 0; u < j->units; u++)
        if (gen_dnnl_scratch_bytes(j->unit[u].u) > j->scratch_bytes)
            j->scratch_bytes = gen_cpu_align(gen_dnnl_scratch_bytes(j->unit[u].u));
    return GEN_OK;
}

typedef struct packing {
    gen_conv_job *j;
    gen_backend *b;
    gen_prepare *p; /* constant weights: who knows them */
    const float *w;
    char *to, *scratch; /* scratch: [lanes] x (fold + scratch) */
    _Atomic int status;
} packing;

static void pack_piece(void *ctx, int piece, int thread)
{
    packing *k = ctx;
    gen_conv_job *j = k->j;
    int lane = gen_cpu_lane(k->b, j->blocks * j->oc_parts, piece, thread);
    const block *b = &j->block[piece / j->oc_parts];
    int part = piece % j->oc_parts;
    int64_t channels = j->form.cout / j->oc_parts;
    char *scratch = k->scratch + (j->fold_bytes + j->scratch_bytes) * (uint64_t)lane;
    const float *plain = k->w + phase_weights(j, b->phase) * part;
    if (!j->form.identity) {
        gen_conv_form_weights(&j->form, b->phase, part * channels, channels, k->w,
                              (float *)scratch);
        plain = (const float *)scratch;
    }
    gen_status s = gen_dnnl_pack(b->packer, lane, plain,
                                 k->to + b->offset + b->bytes * (uint64_t)part,
                                 scratch + j->fold_bytes);
    if (s != GEN_OK)
        atomic_store(&k->status, s);
}

/* Reorders for the lanes of packing; they may need more scratch than the units. */
static gen_status pack_prepare(gen_conv_job *j, const gen_backend *b)
{
    int lanes = gen_cpu_lanes(b, j->blocks * j->oc_parts);
    for (int i = 0; i < j->blocks; i++) {
        GEN_TRY(gen_dnnl_packer_new(&j->block[i].packer, j->block[i].u, lanes));
        if (gen_dnnl_packer_scratch(j->block[i].packer) > j->scratch_bytes)
            j->scratch_bytes = gen_cpu_align(gen_dnnl_packer_scratch(j->block[i].packer));
    }
    return GEN_OK;
}

static uint64_t pack_scratch(const gen_conv_job *j, const gen_backend *b)
{
    return (j->fold_bytes + j->scratch_bytes) *
           (uint64_t)gen_cpu_lanes(b, j->blocks * j->oc_parts);
}

static gen_status pack_all(packing *k)
{
    gen_pool_run(k->b->pool, k->j->blocks * k->j->oc_parts, pack_piece, k);
    return (gen_status)atomic_load(&k->status);
}

static gen_status set_slots(gen_conv_job *j, const char *packed)
{
    int phases = j->form.phases;
    for (int i = 0; i < j->units * phases; i++) {
        if (j->block_of[i] < 0)
            continue;
        const block *b = &j->block[j->block_of[i]];
        for (int o = 0; o < j->oc_parts; o++)
            GEN_TRY(gen_dnnl_slot_set(j->slot[i * j->oc_parts + o],
                                      packed + b->offset + b->bytes * (uint64_t)o));
    }
    return GEN_OK;
}

static gen_status fill_packed(void *ctx, void *to)
{
    packing *k = ctx;
    gen_status status = GEN_OK;
    k->to = to;
    GEN_GOTO(k->p->constant(k->p, 1, &k->w));
    GEN_GOTO(pack_prepare(k->j, k->b));
    GEN_GOTO(gen_alloc_raw((void **)&k->scratch, pack_scratch(k->j, k->b), 1, "packing"));
    GEN_GOTO(pack_all(k));
done:
    gen_free(k->scratch);
    for (int i = 0; i < k->j->blocks; i++)
        gen_dnnl_packer_free(&k->j->block[i].packer);
    return status;
}

static gen_status pack_constant(gen_prepare *p, gen_conv_job *j)
{
    packing k = { .j = j, .b = p->backend, .p = p };
    gen_status status = GEN_OK;
    gen_arena a = { 0 };
    const char *text = gen_arena_printf(&a, "%d/%d", j->form.phases, j->oc_parts);
    for (int i = 0; i < j->form.phases && text; i++) {
        const gen_conv_phase *f = &j->form.phase[i];
        for (int t = 0; t < f->n_terms && text && !j->form.identity; t++)
            text = gen_arena_printf(&a, "%s %d>%d*%a", text, f->term[t].from, f->term[t].to,
                                    (double)f->term[t].k);
    }
    for (int i = 0; i < j->blocks && text; i++)
        text = gen_arena_printf(&a, "%s %d:%s", text, j->block[i].phase,
                                gen_dnnl_layout(j->block[i].u));
    GEN_GOTO(text ? GEN_OK : GEN_ENOMEM);
    GEN_GOTO(p->packed(p, 1, text, j->packed_bytes, fill_packed, &k, &j->packed));
    GEN_GOTO(set_slots(j, j->packed));
    p->consumed |= 1u << 1;
done:
    gen_arena_free(&a);
    return status;
}

/* ---- prepare --------------------------------------------------------------------------------- */

void gen_conv_job_free(void *job)
{
    gen_conv_job *j = job;
    if (!j)
        return;
    for (int i = 0; j->slot && i < j->units * j->form.phases * j->oc_parts; i++)
        gen_dnnl_slot_free(&j->slot[i]);
    gen_free(j->slot);
    for (int i = 0; i < j->blocks; i++)
        gen_dnnl_packer_free(&j->block[i].packer);
    for (int i = 0; i < j->units; i++)
        gen_dnnl_unit_free(&j->unit[i].u);
    gen_free(j->unit);
    gen_free(j->unit_of);
    gen_free(j->block);
    gen_free(j->block_of);
    gen_conv_form_free(&j->form);
    gen_free(j);
}

/* Before AVX an operand in memory must be aligned to 16 bytes, and oneDNN's kernels have the bias
 * and y as such: both are then staged, because ours may lie anywhere inside larger tensors. */
static bool sse(const gen_backend *b)
{
#if defined(__x86_64__)
    return b->isa == GEN_ISA_BASE;
#else
    (void)b;
    return false;
#endif
}

gen_status gen_conv_job_prepare(gen_prepare *p, gen_conv_form *form, const gen_conv_spec *spec)
{
    gen_status status = GEN_OK;
    gen_conv_job *j;
    int entered = gen_dnnl_enter();
    GEN_GOTO(GEN_ALLOC(&j, 1, "convolution"));
    p->state = j;
    j->form = *form;
    form->phase = NULL;
    j->spec = *spec;
    j->finish = gen_finish_for(p->backend->isa);
    choose_cut(j);
    if (sse(p->backend)) {
        j->staged = true;
        j->bias_bytes = spec->has_bias ? gen_cpu_align((uint64_t)j->form.cout * sizeof(float)) : 0;
    }
    if (!rows_valid(j))
        j->row_parts = 1;
    j->pieces = j->n_parts * j->row_parts * j->oc_parts;
    j->lanes = gen_cpu_lanes(p->backend, j->pieces);
    GEN_GOTO(make_units(j, gen_cpu_dnnl(p->backend)));
    j->stage_bytes += j->bias_bytes;
    GEN_GOTO(make_blocks(j));
    if (p->is_const[1])
        GEN_GOTO(pack_constant(p, j));
    else
        GEN_GOTO(pack_prepare(j, p->backend));
    p->workspace = (j->scratch_bytes + j->stage_bytes) * (uint64_t)j->lanes;
    if (!j->packed)
        p->workspace += j->packed_bytes + pack_scratch(j, p->backend);
done:
    gen_dnnl_leave(entered);
    if (status != GEN_OK) {
        gen_conv_job_free(p->state);
        p->state = NULL;
    }
    return status;
}

/* ---- run ------------------------------------------------------------------------------------- */

typedef struct running {
    gen_conv_job *j;
    const gen_backend *b;
    const char *x, *residual;
    const float *bias;
    char *y, *scratch;
    int64_t x_row, y_row, y_step[3]; /* bytes a row of x and y; elements a step of y */
    _Atomic int status;
} running;

typedef struct piece {
    int n_part, row_part, oc_part, lane;
} piece;

/* The address in y where a phase's share begins, in elements from y. */
static int64_t place_of(const running *r, const gen_conv_phase *p, const piece *w, int64_t y0)
{
    const gen_conv_form *f = &r->j->form;
    int64_t at = w->n_part * r->j->n_each * f->out[0] * r->y_step[0];
    for (int a = 0; a < f->axes; a++)
        at += ((a == 0 ? y0 * f->every[0] : 0) + p->at[a]) * r->y_step[a];
    return at + w->oc_part * (f->cout / r->j->oc_parts);
}

static void finish_phase(const running *r, const gen_dnnl_conv *d, const void *stage,
                         int64_t place)
{
    const gen_conv_job *j = r->j;
    int64_t size = (int64_t)gen_dtype_size(j->spec.dtype);
    gen_finish f = { .from = stage,
                     .y = r->y + place * size,
                     .residual = r->residual ? r->residual + place * size : NULL,
                     .n = d->n,
                     .size = { 1, 1, 1 },
                     .count = d->cout,
                     .n_step = j->form.out[0] * r->y_step[0],
                     .from_type = (gen_dtype)d->y,
                     .type = j->spec.dtype,
                     .act = j->spec.act,
                     .slope = (float)j->spec.slope };
    for (int a = 0; a < j->form.axes; a++) {
        f.size[a] = d->out[a];
        f.step[a] = r->y_step[a] * j->form.every[a];
    }
    j->finish(&f);
}

/* A 1x1 convolution of a large x waits for memory: the share after the one that the other thread is
 * likely at is fetched meanwhile (measured: 6-20 % of the time). */
static void fetch_ahead(const running *r, const rows *s, const char *x)
{
    int64_t bytes = (s->x1 - s->x0) * r->x_row;
    const char *next = x + 2 * bytes, *end = r->x + r->j->form.in[0] * r->x_row;
    if (end - r->x < FETCH_BYTES)
        return;
    for (int64_t i = 0; i < bytes && next + i < end; i += 64)
        __builtin_prefetch(next + i, 0, 2);
}

static gen_status run_phase(const running *r, int phase, const piece *w)
{
    gen_conv_job *j = r->j;
    const gen_conv_form *f = &j->form;
    const gen_conv_phase *p = &f->phase[phase];
    int last = w->n_part == j->n_parts - 1;
    int u = j->unit_of[(last * j->row_parts + w->row_part) * f->phases + phase];
    rows s;
    if (u < 0 || !rows_of(j, p, w->row_part, &s))
        return GEN_OK;
    const gen_dnnl_conv *d = &j->unit[u].desc;
    int64_t place = place_of(r, p, w, s.y0), size = (int64_t)gen_dtype_size(j->spec.dtype);
    char *own = r->scratch + (j->scratch_bytes + j->stage_bytes) * (uint64_t)w->lane;
    char *y = r->y + place * size;
    gen_dnnl_operands o = {
        .x = r->x + (w->n_part * j->n_each * f->in[0] + s.x0) * r->x_row,
        .bias = r->bias ? r->bias + w->oc_part * d->cout : NULL,
        .y = j->staged ? own + j->scratch_bytes : y,
        .scratch = own,
        .slot = j->slot[(u * f->phases + phase) * j->oc_parts + w->oc_part],
    };
    if (o.bias && j->bias_bytes && (uintptr_t)o.bias % 16)
        o.bias = memcpy(own + j->scratch_bytes + j->stage_bytes - j->bias_bytes, o.bias,
                        (size_t)d->cout * sizeof(float));
    if (d->sum && r->residual != r->y)
        memcpy(y, r->residual + place * size, (size_t)(d->n * d->out[0] * r->y_row));
    if (f->axes == 1 && p->taps[0] == 1 && f->n == 1)
        fetch_ahead(r, &s, o.x);
    GEN_TRY(gen_dnnl_run(j->unit[u].u, w->lane, &o));
    if (j->staged)
        finish_phase(r, d, o.y, place);
    return GEN_OK;
}

static void run_piece(void *ctx, int index, int thread)
{
    running *r = ctx;
    const gen_conv_job *j = r->j;
    piece w = { .lane = gen_cpu_lane(r->b, j->pieces, index, thread) };
    w.row_part = index % j->row_parts;
    w.oc_part = index / j->row_parts % j->oc_parts;
    w.n_part = index / j->row_parts / j->oc_parts;
    for (int p = 0; p < j->form.phases; p++) {
        gen_status s = run_phase(r, p, &w);
        if (s != GEN_OK)
            atomic_store(&r->status, s);
    }
}

static gen_status pack_varying(gen_conv_job *j, const float *w, char *workspace, gen_backend *b)
{
    char *at = workspace + (j->scratch_bytes + j->stage_bytes) * (uint64_t)j->lanes;
    packing k = { .j = j, .b = b, .w = w, .to = at };
    k.scratch = at + j->packed_bytes;
    GEN_TRY(set_slots(j, k.to));
    return pack_all(&k);
}

gen_status gen_conv_job_run(void *job, const void *const in[], void *const out[], void *workspace,
                            gen_backend *b)
{
    gen_conv_job *j = job;
    gen_status status = GEN_OK;
    int64_t size = (int64_t)gen_dtype_size(j->spec.dtype), step = j->form.cout;
    running r = { .j = j, .b = b, .x = in[0], .y = out[0], .scratch = workspace };
    r.bias = j->spec.has_bias ? in[2] : NULL;
    r.residual = j->spec.has_residual ? in[2 + j->spec.has_bias] : NULL;
    r.x_row = j->form.cin * size;
    for (int a = j->form.axes - 1; a >= 0; a--) {
        r.y_step[a] = step;
        step *= j->form.out[a];
        r.x_row *= a ? j->form.in[a] : 1;
    }
    r.y_row = r.y_step[0] * size;
    int entered = gen_dnnl_enter();
    if (!j->packed)
        GEN_GOTO(pack_varying(j, in[1], workspace, b));
    gen_pool_run(b->pool, j->pieces, run_piece, &r);
    status = (gen_status)atomic_load(&r.status);
done:
    gen_dnnl_leave(entered);
    return status;
}
