/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory of the emulated device and pinned memory of the host: who has what, and whether anybody
 * wrote beside it.
 */
#ifndef LIBGEN_TESTS_CUDA_MEMORY_H
#define LIBGEN_TESTS_CUDA_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include <string>

/* The device's memory lies in one range of addresses that the host cannot touch (it is killed by
 * SIGSEGV if it tries) except while one of these lives: while the device works. Where more than
 * 1 MB is in use the range stays open, for speed. */
struct memory_open {
    memory_open();
    ~memory_open();
    memory_open(const memory_open &) = delete;
    memory_open &operator=(const memory_open &) = delete;
};

/* NULL: no room. Filled with 0xff. */
void *memory_alloc(uint64_t bytes, uint64_t limit);
/* "": freed; else what is wrong with it: no allocation, freed before, or written beside. */
std::string memory_free(void *p, bool *freed);
/* Bytes in use. */
uint64_t memory_live();
long memory_count();
/* What was written beside an allocation, or "". */
std::string memory_damage();

/* Some byte lies in the device's range. */
bool memory_on_device(const void *p);
/* The number of the allocation that has all of it, 0: none. Numbers are not used again. */
uint64_t memory_holds(const void *p, uint64_t bytes);
bool memory_is_live(uint64_t number);

void *pinned_alloc(uint64_t bytes);
bool pinned_free(void *p);
long pinned_count();
/* As memory_holds. */
uint64_t pinned_holds(const void *p, uint64_t bytes);
bool pinned_is_live(uint64_t number);

#endif
