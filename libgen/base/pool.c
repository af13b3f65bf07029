/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "libgen/base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "libgen/base/alloc.h"

#define MAX_THREADS 256
#define SPIN_NS 40000 /* longer than the gap between two steps of a plan, shorter than a tick */

/* `ticket` packs generation (high 32 bits), and pieces taken so far (low 32): a worker that wakes
 * late sees another generation and cannot take a piece of the wrong job. */
struct gen_pool {
    pthread_mutex_t lock;
    pthread_cond_t wake, finished;
    int threads, sleeping;
    bool waiting;
    _Atomic bool stop;
    gen_pool_start_fn *start;
    gen_pool_fn *fn;
    void *ctx;
    _Atomic int pieces;
    _Atomic uint64_t ticket;
    _Atomic int left; /* pieces not finished */
    _Atomic uint32_t generation;
    pthread_t worker[MAX_THREADS];
    int started;
};

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Takes pieces of job `generation` until none are left. */
static void work(gen_pool *p, uint32_t generation, int thread)
{
    for (;;) {
        uint64_t t = atomic_load(&p->ticket);
        do {
            if ((uint32_t)(t >> 32) != generation || (int)(uint32_t)t >= p->pieces)
                return;
        } while (!atomic_compare_exchange_weak(&p->ticket, &t, t + 1));
        p->fn(p->ctx, (int)(uint32_t)t, thread);
        if (atomic_fetch_sub(&p->left, 1) == 1) {
            pthread_mutex_lock(&p->lock);
            if (p->waiting)
                pthread_cond_signal(&p->finished);
            pthread_mutex_unlock(&p->lock);
        }
    }
}

struct start_arg {
    gen_pool *pool;
    int index;
};

static void *worker_main(void *arg)
{
    gen_pool *p = ((struct start_arg *)arg)->pool;
    int index = ((struct start_arg *)arg)->index;
    gen_free(arg);
    if (p->start)
        p->start();
    uint32_t seen = 0;
    for (;;) {
        int64_t until = now_ns() + SPIN_NS;
        int turn = 0;
        while (atomic_load_explicit(&p->generation, memory_order_acquire) == seen) {
            relax();
            if ((++turn & 63) == 0 && now_ns() > until) {
                pthread_mutex_lock(&p->lock);
                p->sleeping++;
                while (atomic_load(&p->generation) == seen && !p->stop)
                    pthread_cond_wait(&p->wake, &p->lock);
                p->sleeping--;
                pthread_mutex_unlock(&p->lock);
            }
        }
        if (p->stop)
            return NULL;
        seen = atomic_load(&p->generation);
        work(p, seen, index);
    }
}

/* Processors this process may use: its affinity mask, cut by the cgroup's quota. */
static int usable_processors(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "r");
    if (f) {
        long quota, period;
        if (fscanf(f, "%ld %ld", &quota, &period) == 2 && quota > 0 && period > 0) {
            int q = (int)((quota + period - 1) / period);
            n = q < n ? q : n;
        }
        fclose(f);
    }
    return n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : n;
}

gen_status gen_pool_create(gen_pool **out, int threads)
{
    return gen_pool_create_with(out, threads, NULL);
}

gen_status gen_pool_create_with(gen_pool **out, int threads, gen_pool_start_fn *start)
{
    *out = NULL;
    if (threads < 0 || threads > MAX_THREADS)
        return gen_fail(GEN_EINVAL, "threads: found %d, expected 0 to %d", threads, MAX_THREADS);
    gen_pool *p;
    GEN_TRY(GEN_ALLOC(&p, 1, "thread pool"));
    p->threads = threads ? threads : usable_processors();
    p->start = start;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->finished, NULL);
    *out = p;
    gen_status status = GEN_OK;
    for (int i = 1; i < p->threads; i++) {
        struct start_arg *arg;
        GEN_GOTO(GEN_ALLOC(&arg, 1, "thread"));
        *arg = (struct start_arg){ p, i };
        if (pthread_create(&p->worker[i], NULL, worker_main, arg)) {
            gen_free(arg);
            GEN_GOTO(gen_fail(GEN_ENOMEM, "could not start thread %d of %d", i + 1, p->threads));
        }
        p->started = i;
    }
done:
    if (status != GEN_OK)
        gen_pool_free(out);
    return status;
}

void gen_pool_free(gen_pool **pool)
{
    gen_pool *p = *pool;
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    atomic_fetch_add(&p->generation, 1);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (int i = 1; i <= p->started; i++)
        pthread_join(p->worker[i], NULL);
    pthread_cond_destroy(&p->wake);
    pthread_cond_destroy(&p->finished);
    pthread_mutex_destroy(&p->lock);
    gen_free(p);
    *pool = NULL;
}

int gen_pool_threads(const gen_pool *p)
{
    return p ? p->threads : 1;
}

static void wait_finished(gen_pool *p)
{
    int64_t until = now_ns() + SPIN_NS;
    int turn = 0;
    while (atomic_load(&p->left) > 0) {
        relax();
        if ((++turn & 63) == 0 && now_ns() > until) {
            pthread_mutex_lock(&p->lock);
            p->waiting = true;
            while (atomic_load(&p->left) > 0)
                pthread_cond_wait(&p->finished, &p->lock);
            p->waiting = false;
            pthread_mutex_unlock(&p->lock);
        }
    }
}

void gen_pool_run(gen_pool *p, int pieces, gen_pool_fn *fn, void *ctx)
{
    if (!p || p->threads == 1 || pieces <= 1) {
        for (int i = 0; i < pieces; i++)
            fn(ctx, i, 0);
        return;
    }
    /* A worker that woke late for the last job may be about to take a piece: the ticket changes
     * first, so its exchange fails; fn and ctx are read only after one that succeeded. */
    uint32_t g = atomic_load(&p->generation) + 1;
    atomic_store(&p->ticket, (uint64_t)g << 32 | INT32_MAX);
    p->fn = fn;
    p->ctx = ctx;
    atomic_store(&p->pieces, pieces);
    atomic_store(&p->left, pieces);
    atomic_store(&p->ticket, (uint64_t)g << 32);
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->generation, g);
    if (p->sleeping)
        pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    work(p, g, 0);
    wait_finished(p);
}
