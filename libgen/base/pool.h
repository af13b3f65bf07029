/* SPDX-License-Identifier: Apache-2.0
 *
 * The one thread pool. Work is cut into pieces by the caller, as a function of shapes only, so that
 * results are the same bytes at any thread count; threads take pieces from a shared counter.
 * Workers spin for some tens of microseconds and then sleep: with a core busy elsewhere a spinning
 * OpenMP team waits a scheduler tick per region, a sleeping one costs 50 us per region when idle.
 */
#ifndef LIBGEN_BASE_POOL_H
#define LIBGEN_BASE_POOL_H

#include "libgen/base/fail.h"

typedef struct gen_pool gen_pool;

/* `piece` in [0, pieces); `thread` in [0, gen_pool_threads): index for per-thread scratch. */
typedef void gen_pool_fn(void *ctx, int piece, int thread);

/* threads 0 = the number of processors this process may use (affinity and cgroup quota). */
GEN_API gen_status gen_pool_create(gen_pool **out, int threads);
GEN_API void gen_pool_free(gen_pool **pool);
GEN_API int gen_pool_threads(const gen_pool *pool);

/* Runs every piece and returns when all are done. The caller works too. One caller at a time;
 * not from inside a piece. pool NULL runs in the caller. */
GEN_API void gen_pool_run(gen_pool *pool, int pieces, gen_pool_fn *fn, void *ctx);

/* Called once in each worker when it starts (backends use it to pin OpenMP to one thread). Set
 * before gen_pool_create. */
typedef void gen_pool_start_fn(void);
GEN_API gen_status gen_pool_create_with(gen_pool **out, int threads, gen_pool_start_fn *start);

#endif
