/* SPDX-License-Identifier: Apache-2.0
 *
 * libgen-cuda.so: found and loaded when a GPU is asked for, never before, so that a program that
 * has libgen starts on machines without CUDA. Once loaded it stays: device memory may outlive the
 * backend that took it.
 */
#define _GNU_SOURCE /* dladdr */
#include "libgen/backends/cuda_library.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libgen/backends/cuda/ran_on.h"

#define FILE_NAME "libgen-cuda.so." GEN_SOVERSION

typedef const gen_kernel *const *list_fn(void);
typedef gen_status open_fn(gen_backend **out, int device, gen_backend *host);
typedef const char *version_fn(void);

static struct {
    pthread_once_t once;
    list_fn *list;
    open_fn *open;
    char sentence[1024]; /* why it is not there */
} cuda = { .once = PTHREAD_ONCE_INIT };

/* The folder of the program or library that this function is in. */
static bool own_folder(char path[PATH_MAX])
{
    Dl_info info;
    if (!dladdr((void *)(uintptr_t)gen_backend_open, &info) || !info.dli_fname ||
        !realpath(info.dli_fname, path))
        return false;
    /* libgen.so may itself have been loaded for one plug-in only: what libgen-cuda.so asks of it
     * must be seen. */
    if (strstr(path, ".so"))
        (void)dlopen(path, RTLD_NOW | RTLD_NOLOAD | RTLD_GLOBAL);
    char *slash = strrchr(path, '/');
    if (slash)
        *slash = 0;
    return slash != NULL;
}

static void *load(void)
{
    const char *wanted = getenv("GEN_CUDA_LIBRARY");
    char folder[PATH_MAX], path[PATH_MAX + 64];
    static const char *const places[] = { "%s/" FILE_NAME, "%s/../lib/" FILE_NAME };
    bool known = own_folder(folder);
    if (wanted && *wanted)
        return dlopen(wanted, RTLD_NOW | RTLD_LOCAL);
    for (int i = 0; known && i < GEN_LEN(places); i++) {
        snprintf(path, sizeof path, places[i], folder);
        FILE *f = fopen(path, "rb"); /* a library that is there but lacks another says so */
        if (f) {
            (void)fclose(f);
            return dlopen(path, RTLD_NOW | RTLD_LOCAL);
        }
    }
    return dlopen(FILE_NAME, RTLD_NOW | RTLD_LOCAL);
}

static void load_once(void)
{
    void *library = load();
    if (!library) {
        const char *why = dlerror();
        snprintf(cuda.sentence, sizeof cuda.sentence, "%s", why ? why : FILE_NAME " not found");
        return;
    }
    version_fn *version = (version_fn *)(uintptr_t)dlsym(library, "gen_cuda_version");
    if (!version || strcmp(version(), GEN_VERSION) != 0) {
        snprintf(cuda.sentence, sizeof cuda.sentence, "%s is of version %s, expected %s", FILE_NAME,
                 version ? version() : "unknown", GEN_VERSION);
        return;
    }
    cuda.list = (list_fn *)(uintptr_t)dlsym(library, "gen_cuda_kernels");
    cuda.open = (open_fn *)(uintptr_t)dlsym(library, "gen_cuda_open");
    if (!cuda.list || !cuda.open) {
        cuda.open = NULL;
        snprintf(cuda.sentence, sizeof cuda.sentence, "%s lacks its entry points", FILE_NAME);
    }
}

/* "cuda" or "cuda:NUMBER". */
static gen_status parse(const char *device, int *number)
{
    char *end;
    *number = 0;
    if (!device[4])
        return GEN_OK;
    long n = strtol(device + 5, &end, 10);
    if (end == device + 5 || *end || n < 0 || n > 1000)
        return gen_fail(GEN_EINVAL, "device '%s': expected cpu, cuda or cuda:NUMBER", device);
    *number = (int)n;
    return GEN_OK;
}

gen_status gen_cuda_library_open(gen_backend **out, const char *device, int threads)
{
    gen_backend *host;
    int number;
    *out = NULL;
    GEN_TRY(parse(device, &number));
    (void)pthread_once(&cuda.once, load_once);
    if (!cuda.open)
        return gen_fail(GEN_EDEVICE, "device '%s': %s", device, cuda.sentence);
    GEN_TRY(gen_backend_open(&host, "cpu", threads));
    gen_status s = cuda.open(out, number, host);
    if (s != GEN_OK) {
        gen_backend_close(&host);
        return gen_fail_in(s, "device '%s'", device);
    }
    return GEN_OK;
}

const gen_kernel *const *gen_cuda_kernels_built(void)
{
    (void)pthread_once(&cuda.once, load_once);
    return cuda.open ? cuda.list() : NULL;
}

const char *gen_cuda_ran_on(void)
{
    return GEN_CUDA_RAN_ON;
}
