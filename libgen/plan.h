/* SPDX-License-Identifier: Apache-2.0
 *
 * A plan runs a graph: shapes fixed, rewrites applied, kernels chosen, weights packed, memory laid
 * out by liveness in one slab. Creating it says how many bytes it takes before they are spent;
 * running it allocates nothing.
 *
 *     gen_backend_open(&backend, "cpu", 0);
 *     gen_plan_create(&plan, g, &y, 1, params, backend, NULL);
 *     gen_tensor x = gen_plan_input(plan, "x");        // fill x.data
 *     gen_plan_run(plan, NULL);
 *     gen_tensor out = gen_plan_output(plan, 0);       // read out.data
 */
#ifndef LIBGEN_PLAN_H
#define LIBGEN_PLAN_H

#include <libgen/graph.h>
#include <libgen/log.h>
#include <libgen/params.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_backend gen_backend;
typedef struct gen_plan gen_plan;

/* device "cpu"; "cuda" or "cuda:NUMBER" (EDEVICE: libgen-cuda.so, a driver or the device is not
 * there, and the sentence says which); "auto": "cuda" where that can be used, else "cpu". threads 0
 * = all this process may use. May be shared by plans; one thread runs at a time. */
GEN_API gen_status gen_backend_open(gen_backend **out, const char *device, int threads);
GEN_API void gen_backend_close(gen_backend **b);

/* The plan's rules, each switchable (design section 4). */
enum {
    GEN_RULE_CSE = 1 << 0,        /* equal nodes computed once */
    GEN_RULE_UPSAMPLE = 1 << 1,   /* 4.1: up-sampling folded into the conv after it */
    GEN_RULE_POOL = 1 << 2,       /* 4.1: average pooling folded into the conv before it */
    GEN_RULE_COMMUTE = 1 << 3,    /* 4.2: 1x1 conv on the small side of resampling */
    GEN_RULE_SPLIT = 1 << 4,      /* 4.3: conv of a concat = sum of convs, where a part is shared */
    GEN_RULE_BATCH = 1 << 5,      /* 4.3: convs of slices of one tensor = one batched conv */
    GEN_RULE_HOIST = 1 << 6,      /* 4.4: what depends on slow inputs only runs once for them */
    GEN_RULE_FOLD = 1 << 7,       /* 4.6: scale-shift into the weights of the conv before it */
    GEN_RULE_FUSE = 1 << 8,       /* 4.6: residual add and activation into the conv before them */
    GEN_RULE_IN_PLACE = 1 << 9,   /* outputs over dead inputs, concat parts written in place */
    GEN_RULE_WINOGRAD = 1 << 10,  /* 4.5: kernel choice */
    GEN_RULE_SUMS = 1 << 11,      /* 3: gradients of a weight used many times, and of slices: one */
    GEN_RULE_TRIM = 1 << 12,      /* taps that see padding only are left out */
    GEN_RULE_ADJOINTS = 1 << 13,  /* gradients in forward ops, which other rules serve */
    GEN_RULE_RECOMPUTE = 1 << 14, /* 4.8: within a memory budget, values that gradients read are
                                     computed again instead of kept */
    GEN_RULES_ALL = (1 << 15) - 1
};

typedef struct gen_plan_options {
    gen_dtype precision;         /* GEN_F32 (0) or GEN_BF16: storage of activations, conv inputs */
    unsigned rules_off;          /* GEN_RULE_* not to apply */
    uint64_t memory_budget;      /* bytes for the slab, 0 = none. Where a graph has gradients, as
                                    many values as that takes are computed again instead of kept;
                                    results are the same bytes. ENOMEM: what it takes at least. */
    int64_t params_vary;         /* 1: parameters may change between runs (training) */
    const char *const *slow; /* names of inputs that change rarely (GEN_RULE_HOIST); NULL-ended */
    int64_t consume_params;  /* 1: values are freed as soon as this plan has packed them, so that a
                                large model is not held twice; what stays is the packed form, which
                                later plans of the same weights and kernels find */
    int64_t tf32;                /* 1: where f32 convolutions and products are much faster when what
                                    they multiply is rounded to 10 bits (NVIDIA's TF32), they are;
                                    nothing on the CPU */
    const char *const *inputs_there; /* names of inputs that on a device are written there, by who
                                    owns the plan, and have no data on the host; NULL-ended */
    int64_t outputs_fetched;     /* of a device's outputs, the first so many come to the host after
                                    a run; 0 = all. The others have no data on the host. */
    int64_t estimate_only;       /* 1: lay out, choose kernels, but allocate no slab; cannot run.
                                    Parameters that vary need no values. */
} gen_plan_options;

/* `params` may be NULL when the graph has none. graph may be freed afterwards; params and backend
 * must outlive the plan. options NULL = all zero. */
GEN_API gen_status gen_plan_create(gen_plan **out, gen_graph *g, gen_node *const outputs[],
                                   int n_outputs, gen_params *params, gen_backend *backend,
                                   const gen_plan_options *options);
GEN_API void gen_plan_free(gen_plan **plan);

/* Buffers at fixed addresses, in the dtype of the graph. data NULL for a name that is not there. Of
 * a plan on a device they are host memory beside it, copied there and back by each run: inputs that
 * are `slow` only when they changed. */
GEN_API gen_tensor gen_plan_input(gen_plan *plan, const char *name);
GEN_API gen_tensor gen_plan_output(gen_plan *plan, int i);

/* Runs all steps. After the first run, `slow` inputs are taken to be unchanged unless
 * gen_plan_changed was called. Progress counts steps. ECANCELED leaves outputs undefined. */
GEN_API gen_status gen_plan_run(gen_plan *plan, const gen_progress *progress);
GEN_API void gen_plan_changed(gen_plan *plan); /* a slow input was written */

typedef struct gen_plan_info {
    int steps;
    int again;             /* of them, those that compute a value a second time */
    uint64_t slab_bytes;   /* activations and workspace */
    uint64_t packed_bytes; /* weights held for this model's plans */
    double flops;          /* of one run of all steps */
} gen_plan_info;
GEN_API gen_plan_info gen_plan_describe(const gen_plan *plan);

/* One line a step: op, shape, kernel; bytes, operations and launches, or, when `runs` > 0 (the plan
 * is run that often), measured microseconds and share of the register peak. */
GEN_API gen_status gen_plan_dump(gen_plan *plan, int runs, FILE *out);

#ifdef __cplusplus
}
#endif
#endif
