/* SPDX-License-Identifier: Apache-2.0
 *
 * What dnnl.c (engine, descriptors, units), dnnl_ops.c (the primitives) and dnnl_pack.c (reorders
 * of weights) share; for these three only. Descriptors are structs in 2.6 and handles in 3.x: MD()
 * passes either.
 */
#ifndef LIBGEN_BACKENDS_CPU_DNNL_UNIT_H
#define LIBGEN_BACKENDS_CPU_DNNL_UNIT_H

#include <oneapi/dnnl/dnnl.h>
#include <string.h>

#include "libgen/backends/cpu/dnnl.h"

#if DNNL_VERSION_MAJOR >= 3
#define MD(m) (m)
typedef const_dnnl_memory_desc_t md_ref;
#else
#define MD(m) (&(m))
typedef const dnnl_memory_desc_t *md_ref;
#endif

enum { X, W, BIAS, Y, SCRATCH, N_ARGS };

struct gen_dnnl {
    dnnl_engine_t engine;
    int threads;
    dnnl_stream_t *stream; /* [threads] */
    gen_dnnl_unit *units;  /* alive, newest first */
};

enum { FORWARD, WEIGHTS, MATMUL };

/* What makes two units equal; zeroed before it is filled. */
typedef struct gen_dnnl_key {
    int64_t kind, lanes;
    gen_dnnl_conv conv;
    gen_dnnl_matmul matmul;
} gen_dnnl_key;

typedef struct gen_dnnl_pack_step {
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t primitive;
    dnnl_memory_t *memory; /* [lanes][3]: from, to, scratch */
    int lanes;
    uint64_t offset;       /* elements of the plain side before this part */
} gen_dnnl_pack_step;

struct gen_dnnl_packer {
    gen_dnnl_unit *u;
    gen_dnnl_pack_step pack;
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
    gen_dnnl_pack_step *to_plain; /* [parts] */
    int parts;
    gen_dnnl_key key;
    int users;
    gen_dnnl_unit *next;
    char layout[GEN_DNNL_LAYOUT];
};

#if DNNL_VERSION_MAJOR >= 3
#define MD_NONE NULL
#else
#define MD_NONE { 0 }
#endif

static inline dnnl_data_type_t type_of(int64_t t)
{
    return t == GEN_BF16 ? dnnl_bf16 : dnnl_f32;
}

static inline void dense_steps(int rank, const int64_t *dim, int64_t *step)
{
    int64_t s = 1;
    for (int i = rank - 1; i >= 0; i--) {
        step[i] = s;
        s *= dim[i];
    }
}

static inline md_ref query(const gen_dnnl_unit *u, dnnl_query_t what)
{
    return dnnl_primitive_desc_query_md(u->desc, what, 0);
}

/* The status of a call of oneDNN, with a sentence. */
gen_status gen_dnnl_check(dnnl_status_t s, const char *what);

gen_status gen_dnnl_md_strided(dnnl_memory_desc_t *m, int rank, const int64_t *dim,
                               const int64_t *step, dnnl_data_type_t t);
gen_status gen_dnnl_md_any(dnnl_memory_desc_t *m, int rank, const int64_t *dim,
                           dnnl_data_type_t t);
/* Channels last in memory, [N,C,*] in oneDNN's order of dimensions. */
gen_status gen_dnnl_md_image(dnnl_memory_desc_t *m, int axes, int64_t n, int64_t c,
                             const int64_t *size, dnnl_data_type_t t);
void gen_dnnl_md_free(dnnl_memory_desc_t *m);

gen_status gen_dnnl_memory_new(dnnl_memory_t *out, md_ref m, const gen_dnnl *d);
gen_status gen_dnnl_set(dnnl_memory_t m, const void *p);

/* The unit alive that has this key, one user more, or NULL. */
gen_dnnl_unit *gen_dnnl_unit_find(gen_dnnl *d, const gen_dnnl_key *k);
gen_status gen_dnnl_unit_new(gen_dnnl_unit **out, gen_dnnl *d, const gen_dnnl_key *k);
/* Makes the primitive of u->desc and its memory objects; md[] NULL for operands it has not. */
gen_status gen_dnnl_unit_finish(gen_dnnl_unit *u, md_ref md[N_ARGS]);

/* Scratchpad of the user; post-ops of conv, which may be NULL. */
gen_status gen_dnnl_attr_new(dnnl_primitive_attr_t *out, const gen_dnnl_conv *conv);

void gen_dnnl_pack_free(gen_dnnl_pack_step *p);

#endif
