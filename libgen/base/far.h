/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory that the processor cannot read: a GPU's. Who owns values there (a plan, packed weights,
 * parameters, the optimiser) knows it by this table only; a backend that has such memory gives it
 * (libgen/backends/backend.h).
 *
 * Work is queued in order, kernels among it, and is done later: `wait` says when, and is where
 * their failures come to light. Host memory that queued copies read or write is from alloc_host,
 * and is left alone until then. put and get are done when they return, and take any host memory.
 */
#ifndef LIBGEN_BASE_FAR_H
#define LIBGEN_BASE_FAR_H

#include <stdint.h>

#include "libgen/base/fail.h"

typedef struct gen_far {
    void *ctx;
    /* 256-byte aligned, of any content. ENOMEM names `what` and how much there was. */
    gen_status (*alloc)(void *ctx, void **out, uint64_t bytes, const char *what);
    void (*free)(void *p); /* NULL is fine; also after the backend was closed */
    /* Host memory for queued copies, zeroed. */
    gen_status (*alloc_host)(void *ctx, void **out, uint64_t bytes, const char *what);
    void (*free_host)(void *p);

    gen_status (*put)(void *ctx, void *far, const void *host, uint64_t bytes);
    gen_status (*get)(void *ctx, void *host, const void *far, uint64_t bytes);

    gen_status (*upload)(void *ctx, void *far, const void *host, uint64_t bytes);
    gen_status (*download)(void *ctx, void *host, const void *far, uint64_t bytes);
    gen_status (*copy)(void *ctx, void *to, const void *from, uint64_t bytes); /* both far */
    gen_status (*zero)(void *ctx, void *far, uint64_t bytes);
    gen_status (*wait)(void *ctx);

    /* Between record and recorded, work is written down, not done; replay queues all of it at once,
     * at the same addresses. recorded with out NULL forgets what was written. */
    gen_status (*record)(void *ctx);
    gen_status (*recorded)(void *ctx, void **out);
    gen_status (*replay)(void *ctx, void *recording);
    void (*free_recording)(void *recording); /* NULL is fine */

    /* Bytes that can be had now, and in all. */
    gen_status (*room)(void *ctx, uint64_t *left, uint64_t *total);
} gen_far;

/* ---- far.c: the same for either memory ----
 *
 * Who owns values calls these with its backend's table; NULL: the host's memory, and what would be
 * queued is done. */

/* Of any content; zeroed. */
GEN_API gen_status gen_far_take(const gen_far *far, void **out, uint64_t bytes, const char *what);
GEN_API gen_status gen_far_hold(const gen_far *far, void **out, uint64_t bytes, const char *what);
GEN_API void gen_far_release(const gen_far *far, void *p);
/* Copies from and to any host memory, done when they return. */
GEN_API gen_status gen_far_write(const gen_far *far, void *to, const void *host, uint64_t bytes);
GEN_API gen_status gen_far_read(const gen_far *far, void *host, const void *from, uint64_t bytes);
/* From place to place in one memory; zeros; both queued on a device. */
GEN_API gen_status gen_far_copy(const gen_far *far, void *to, const void *from, uint64_t bytes);
GEN_API gen_status gen_far_clear(const gen_far *far, void *p, uint64_t bytes);
GEN_API gen_status gen_far_wait(const gen_far *far);

/* Queues what `work` queues, as one recording: written down once, then replayed.
 * A failure of `work` leaves nothing queued. */
GEN_API gen_status gen_far_repeat(const gen_far *far, void **recording,
                                  gen_status (*work)(void *ctx), void *ctx);

/* A few bytes that the host and kernels both read and write; one place in one memory. */
typedef struct gen_mirror {
    void *host, *kernel;
    uint64_t bytes;
} gen_mirror;
GEN_API gen_status gen_mirror_create(const gen_far *far, gen_mirror *m, uint64_t bytes,
                                     const char *what);
GEN_API void gen_mirror_free(const gen_far *far, gen_mirror *m);
/* The host's bytes for kernels, and back; queued. */
GEN_API gen_status gen_mirror_up(const gen_far *far, const gen_mirror *m);
GEN_API gen_status gen_mirror_down(const gen_far *far, const gen_mirror *m);

#endif
