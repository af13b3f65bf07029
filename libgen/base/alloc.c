/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE /* MADV_HUGEPAGE */
#include "libgen/base/alloc.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ALIGN 64u
#define LARGE ((uint64_t)16 << 20)
#define ARENA_BLOCK (64u * 1024u)

static _Atomic uint64_t held, peak, fail_at;

/* The size is kept in front of the block, so that freeing can count. */
typedef struct header {
    uint64_t bytes;
} header;

static bool should_fail(void)
{
    uint64_t n = atomic_load(&fail_at);
    return n && atomic_fetch_sub(&fail_at, 1) == 1;
}

/* Asks for pages of 2 MB where the system leaves that to programs: the first touch of a large block
 * costs a fifth. A refusal changes nothing. */
static void prefer_huge_pages(char *p, uint64_t n)
{
#ifdef MADV_HUGEPAGE
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), skip = -(uintptr_t)p & (page - 1);
    if (n >= LARGE)
        (void)madvise(p + skip, (n - skip) / page * page, MADV_HUGEPAGE);
#else
    (void)p;
    (void)n;
#endif
}

gen_status gen_alloc_raw(void **out, uint64_t n, size_t size, const char *what)
{
    *out = NULL;
    uint64_t limit = (UINT64_MAX >> 2);
    if (size && n > limit / size)
        return gen_fail(GEN_ENOMEM, "%s: %llu elements of %zu bytes are more than can be addressed",
                        what, (unsigned long long)n, size);
    uint64_t bytes = n * size;
    uint64_t total = (bytes + 2 * ALIGN - 1) / ALIGN * ALIGN;
    char *p = should_fail() ? NULL : aligned_alloc(ALIGN, total + (total == 0 ? ALIGN : 0));
    if (!p)
        return gen_fail(GEN_ENOMEM, "%s: out of memory asking for %.1f MB", what,
                        (double)bytes / 1e6);
    prefer_huge_pages(p, total);
    ((header *)p)->bytes = total;
    uint64_t now = atomic_fetch_add(&held, total) + total;
    uint64_t old = atomic_load(&peak);
    while (now > old && !atomic_compare_exchange_weak(&peak, &old, now))
        ;
    *out = p + ALIGN;
    return GEN_OK;
}

gen_status gen_alloc(void **out, uint64_t n, size_t size, const char *what)
{
    GEN_TRY(gen_alloc_raw(out, n, size, what));
    memset(*out, 0, n * size);
    return GEN_OK;
}

gen_status gen_grow(void **array, uint64_t *capacity, uint64_t need, size_t size)
{
    if (need <= *capacity)
        return GEN_OK;
    uint64_t n = *capacity < 8 ? 8 : *capacity;
    while (n < need)
        n += n / 2 + 8;
    void *p;
    GEN_TRY(gen_alloc(&p, n, size, "array"));
    if (*capacity)
        memcpy(p, *array, *capacity * size);
    gen_free(*array);
    *array = p;
    *capacity = n;
    return GEN_OK;
}

void gen_free(void *p)
{
    if (!p)
        return;
    header *h = (header *)((char *)p - ALIGN);
    atomic_fetch_sub(&held, h->bytes);
    free(h);
}

gen_status gen_strdup(char **out, const char *s)
{
    size_t n = strlen(s) + 1;
    GEN_TRY(GEN_ALLOC(out, n, "string"));
    memcpy(*out, s, n);
    return GEN_OK;
}

uint64_t gen_alloc_bytes(void)
{
    return atomic_load(&held);
}

uint64_t gen_alloc_peak(void)
{
    return atomic_load(&peak);
}

void gen_alloc_fail_at(uint64_t n)
{
    atomic_store(&fail_at, n);
}

struct gen_arena_block {
    struct gen_arena_block *next;
    size_t used, size;
};

void *gen_arena_alloc(gen_arena *a, size_t size)
{
    const size_t head = (sizeof(struct gen_arena_block) + 15) / 16 * 16;
    if (size > SIZE_MAX / 4) {
        (void)gen_fail(GEN_ENOMEM, "arena: %zu bytes asked for", size);
        return NULL;
    }
    size = (size + 15) / 16 * 16;
    if (!a->head || a->head->size - a->head->used < size) {
        size_t n = size > ARENA_BLOCK - head ? size + head : ARENA_BLOCK;
        struct gen_arena_block *b;
        if (gen_alloc((void **)&b, 1, n, "arena") != GEN_OK)
            return NULL;
        b->next = a->head;
        b->used = head;
        b->size = n;
        a->head = b;
    }
    void *p = (char *)a->head + a->head->used;
    a->head->used += size;
    a->used += size;
    return p;
}

char *gen_arena_printf(gen_arena *a, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    char *s = n < 0 ? NULL : gen_arena_alloc(a, (size_t)n + 1);
    if (!s)
        return NULL;
    va_start(ap, format);
    vsnprintf(s, (size_t)n + 1, format, ap);
    va_end(ap);
    return s;
}

void gen_arena_free(gen_arena *a)
{
    while (a->head) {
        struct gen_arena_block *next = a->head->next;
        gen_free(a->head);
        a->head = next;
    }
    a->used = 0;
}
