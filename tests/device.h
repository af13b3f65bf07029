/* SPDX-License-Identifier: Apache-2.0
 *
 * The device of a test program: the emulated one of tests/cuda for what is tested without a GPU;
 * GEN_TEST_DEVICE (default cpu) for tests that `make check-gpu` repeats on a real one.
 */
#ifndef TESTS_DEVICE_H
#define TESTS_DEVICE_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <dlfcn.h>

#include <libgen/plan.h>

static inline const char *test_device(void)
{
    const char *asked = getenv("GEN_TEST_DEVICE");
    return asked && *asked ? asked : "cpu";
}

static inline bool test_on_cpu(void)
{
    return strcmp(test_device(), "cpu") == 0;
}

/* threads: of the CPU's. */
static inline gen_status test_backend_open(gen_backend **out, int threads)
{
    return gen_backend_open(out, test_device(), threads);
}

/* Some sums of few values agree better on the CPU than what is asked of every device: 1e-4 of
 * outputs, 1e-3 of gradients. */
static inline double test_tolerance(double on_cpu, double asked)
{
    return test_on_cpu() || on_cpu > asked ? on_cpu : asked;
}

/* What a test may do with the emulated device; the same names in tests/cuda/emulated.h. */
static struct emulated {
    void *library;
    void (*fail_at)(const char *what, long nth); /* emulated_fail: cmocka has a macro fail() */
    long (*count)(const char *what);
    void (*set_memory)(uint64_t bytes);
    void (*devices)(int n);
    uint64_t (*live_bytes)(void);
    long (*live_objects)(void);
    void (*revive)(void);
} emulated;

/* False where there is none: CUDA's headers were not there when the tests were built. `from`: the
 * folder build/tests/cuda from this program's folder, "../cuda" for build/tests/unit. Call it
 * before anything opens a device. */
static inline int emulated_load(const char *from)
{
    char path[PATH_MAX + 64], program[PATH_MAX] = "";
    if (readlink("/proc/self/exe", program, sizeof program - 1) < 0 || !strrchr(program, '/'))
        return 0;
    *strrchr(program, '/') = 0;
    snprintf(path, sizeof path, "%s/%s/libgen-cuda.so", program, from);
    if (access(path, R_OK) != 0)
        return 0;
    setenv("GEN_CUDA_LIBRARY", path, 1);
    setenv("GEN_CACHE_DIR", "", 0); /* no plans of the stand-in's among the user's */
    emulated.library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!emulated.library) {
        fprintf(stderr, "%s\n", dlerror());
        abort();
    }
#define EMULATED_FIND(member, symbol)                                                              \
    do {                                                                                           \
        void *found_ = dlsym(emulated.library, "emulated_" symbol);                                \
        if (!found_) {                                                                             \
            fprintf(stderr, "the emulator lacks emulated_" symbol "\n");                           \
            abort();                                                                               \
        }                                                                                          \
        memcpy(&emulated.member, &found_, sizeof found_);                                          \
    } while (0)
    EMULATED_FIND(fail_at, "fail");
    EMULATED_FIND(count, "count");
    EMULATED_FIND(set_memory, "set_memory");
    EMULATED_FIND(devices, "devices");
    EMULATED_FIND(live_bytes, "live_bytes");
    EMULATED_FIND(live_objects, "live_objects");
    EMULATED_FIND(revive, "revive");
#undef EMULATED_FIND
    return 1;
}

#endif
