/* SPDX-License-Identifier: Apache-2.0
 *
 * The only door to oneDNN (2.6 and 3.x). A unit is one primitive on dense blocks, channels last,
 * built for ONE thread. It has memory objects for as many lanes as it was asked for, so that
 * running it allocates nothing; a lane is used by one thread at a time (gen_cpu_lane picks it).
 * Making one is slow, and a recurrent network asks for the same hundreds of times: equal
 * descriptions share a unit.
 *
 * The invariant that bites: oneDNN asks OpenMP how many threads there are when a primitive is made
 * and when it runs. Workers are pinned to one when they start (gen_dnnl_one_thread); the caller
 * brackets both with gen_dnnl_enter and gen_dnnl_leave, which leaves its own setting as it was.
 */
#ifndef LIBGEN_BACKENDS_CPU_DNNL_H
#define LIBGEN_BACKENDS_CPU_DNNL_H

#include <libgen/ops.h>

#include "libgen/backends/backend.h"

typedef struct gen_dnnl gen_dnnl; /* engine, and a stream for each lane */
typedef struct gen_dnnl_unit gen_dnnl_unit;
typedef struct gen_dnnl_packer gen_dnnl_packer;
typedef struct dnnl_memory gen_dnnl_slot;

/* isa: the most oneDNN may use; it obeys only before its first primitive in this process. */
gen_status gen_dnnl_open(gen_dnnl **out, int threads, gen_isa isa);
void gen_dnnl_close(gen_dnnl **d);

void gen_dnnl_one_thread(void);
int gen_dnnl_enter(void);
void gen_dnnl_leave(int entered);

/* A convolution y [n,*out,cout] of x [n,*in,cin], weights [cout,cin/groups,*kernel]; forward, or
 * the gradient of the weights. All fields count in cmp: zero what is not used. */
typedef struct gen_dnnl_conv {
    int64_t axes, n, cin, cout, groups;
    int64_t in[3], out[3], kernel[3], stride[3], dilation[3], pad_lo[3], pad_hi[3];
    int64_t x, y;                   /* gen_dtype of x and y: f32 or bf16 */
    int64_t has_bias, sum;          /* forward: + bias [cout] (f32), + what y holds before */
    int64_t act;                    /* forward: gen_act */
    double slope;
} gen_dnnl_conv;

gen_status gen_dnnl_conv_forward(gen_dnnl_unit **out, gen_dnnl *d, const gen_dnnl_conv *c,
                                 int lanes);
/* run: x, packed f32 dw (written), -, dy. */
gen_status gen_dnnl_conv_weights(gen_dnnl_unit **out, gen_dnnl *d, const gen_dnnl_conv *c,
                                 int lanes);

/* c [b,m,n] = a [b,m,k] x b [b,k,n]; steps in elements, so transposes are free. Operands: x is a,
 * w is b, y is c. */
typedef struct gen_dnnl_matmul {
    int64_t batch, m, n, k;
    int64_t a_step[3], b_step[3], c_step[3];
    int64_t dtype; /* of a, b and c */
} gen_dnnl_matmul;
gen_status gen_dnnl_matmul_unit(gen_dnnl_unit **out, gen_dnnl *d, const gen_dnnl_matmul *m,
                                int lanes);

void gen_dnnl_unit_free(gen_dnnl_unit **u);

/* Layout of the packed weights: equal text, equal bytes. */
#define GEN_DNNL_LAYOUT 160
const char *gen_dnnl_layout(const gen_dnnl_unit *u);
uint64_t gen_dnnl_weight_bytes(const gen_dnnl_unit *u);
uint64_t gen_dnnl_scratch_bytes(const gen_dnnl_unit *u); /* of each lane */

/* Reorders f32 [cout,cin/groups,*kernel] to the packed layout of a unit, which must outlive it. */
gen_status gen_dnnl_packer_new(gen_dnnl_packer **out, gen_dnnl_unit *u, int lanes);
void gen_dnnl_packer_free(gen_dnnl_packer **p);
uint64_t gen_dnnl_packer_scratch(const gen_dnnl_packer *p);
gen_status gen_dnnl_pack(gen_dnnl_packer *p, int lane, const float *plain, void *packed,
                         void *scratch);

/* For conv_weights: the other way, in `parts` shares of the output channels (a function of the
 * shape only) that different threads may do. */
gen_status gen_dnnl_unpack_prepare(gen_dnnl_unit *u, int *parts);
gen_status gen_dnnl_unpack(gen_dnnl_unit *u, int part, const void *packed, float *plain,
                           void *scratch);

/* Weights that are only read live in slots, shared by the threads: giving oneDNN an address may
 * write the zeros behind the last channel, which must not happen while others read. slot_set
 * belongs to the caller's thread, before the pool runs. */
gen_status gen_dnnl_slot_new(gen_dnnl_slot **out, const gen_dnnl_unit *u);
gen_status gen_dnnl_slot_set(gen_dnnl_slot *slot, const void *weights);
void gen_dnnl_slot_free(gen_dnnl_slot **slot);

typedef struct gen_dnnl_operands {
    const void *x;
    const void *w; /* NULL: the weights of `slot` */
    gen_dnnl_slot *slot;
    const void *bias;
    void *y;
    void *scratch;
} gen_dnnl_operands;
gen_status gen_dnnl_run(gen_dnnl_unit *u, int lane, const gen_dnnl_operands *o);

#endif
