/* SPDX-License-Identifier: Apache-2.0
 *
 * Counted allocation: every byte libgen owns passes here. 64-byte aligned, zeroed,
 * overflow-checked. A test hook fails the n-th call. gen_arena is a bump allocator freed whole.
 */
#ifndef LIBGEN_BASE_ALLOC_H
#define LIBGEN_BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

#include "libgen/base/fail.h"

/* Zeroed memory for n * size bytes. On failure *out is NULL and the sentence names `what`. A zero
 * size gives a valid pointer. out is `T **`. */
#define GEN_ALLOC(out, n, what) gen_alloc((void **)(out), (uint64_t)(n), sizeof **(out), what)
GEN_API gen_status gen_alloc(void **out, uint64_t n, size_t size, const char *what);

/* As gen_alloc, without zeroing: for large buffers that are written whole. */
GEN_API gen_status gen_alloc_raw(void **out, uint64_t n, size_t size, const char *what);

/* Grows an array of *capacity elements to at least `need`, keeping its content. */
#define GEN_GROW(array, capacity, need)                                                            \
    gen_grow((void **)(array), (capacity), (uint64_t)(need), sizeof **(array))
GEN_API gen_status gen_grow(void **array, uint64_t *capacity, uint64_t need, size_t size);

GEN_API void gen_free(void *p); /* NULL is fine */
GEN_API gen_status gen_strdup(char **out, const char *s);

GEN_API uint64_t gen_alloc_bytes(void); /* held now */
GEN_API uint64_t gen_alloc_peak(void);  /* most ever held */

/* Test hook: the n-th allocation from now (1 = the next) fails once; 0 switches it off. */
GEN_API void gen_alloc_fail_at(uint64_t n);

typedef struct gen_arena {
    struct gen_arena_block *head;
    uint64_t used;
} gen_arena;

/* Zeroed, 16-byte aligned; NULL when out of memory (the sentence is set). */
GEN_API void *gen_arena_alloc(gen_arena *a, size_t size);
GEN_API char *gen_arena_printf(gen_arena *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
GEN_API void gen_arena_free(gen_arena *a);

#endif
