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
typedef gen_status devices_fn(gen_gpu *out, int most, int *n);
typedef gen_status open_fn(gen_backend **out, int device, gen_backend *host);
typedef const char *version_fn(void);

static struct {
    pthread_once_t once;
    list_fn *list;
    devices_fn *devices;
    open_fn *open;       /* NULL: it is not there */
    char sentence[1024]; /* why not, and what to do */
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

/* A library that is there but lacks another is not taken for one that is not there. */
static bool is_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f)
        (void)fclose(f);
    return f != NULL;
}

static void *load(void)
{
    const char *wanted = getenv("GEN_CUDA_LIBRARY");
    char folder[PATH_MAX], path[PATH_MAX + 64];
    static const char *const places[] = { "%s/" FILE_NAME, "%s/../lib/" FILE_NAME };
    bool known = own_folder(folder);
    if (wanted && *wanted && is_file(wanted))
        return dlopen(wanted, RTLD_NOW | RTLD_LOCAL);
    if (wanted && *wanted) {
        snprintf(cuda.sentence, sizeof cuda.sentence,
                 "GEN_CUDA_LIBRARY=%.600s: there is no such "
                 "file",
                 wanted);
        return NULL;
    }
    for (int i = 0; known && i < GEN_LEN(places); i++) {
        snprintf(path, sizeof path, places[i], folder);
        if (is_file(path))
            return dlopen(path, RTLD_NOW | RTLD_LOCAL);
    }
    return dlopen(FILE_NAME, RTLD_NOW | RTLD_LOCAL);
}

/* dlerror begins with the file that is not there or cannot be used. */
static void say_why(const char *why)
{
    static const char absent[] = FILE_NAME ": cannot open";
    if (*cuda.sentence)
        return;
    if (!why || strncmp(why, absent, sizeof absent - 1) == 0)
        snprintf(
            cuda.sentence, sizeof cuda.sentence,
            "%s is not there: libgen was built without CUDA (WITH_CUDA=yes builds it), or that "
            "file was not installed with it",
            FILE_NAME);
    else
        snprintf(cuda.sentence, sizeof cuda.sentence,
                 "%s cannot be loaded, which needs cuDNN 9 and cuBLASLt of CUDA 13: %s", FILE_NAME,
                 why);
}

static void load_once(void)
{
    void *library = load();
    if (!library) {
        say_why(dlerror());
        return;
    }
    version_fn *version = (version_fn *)(uintptr_t)dlsym(library, "gen_cuda_version");
    if (!version || strcmp(version(), GEN_VERSION) != 0) {
        snprintf(cuda.sentence, sizeof cuda.sentence, "%s is of version %s, expected %s", FILE_NAME,
                 version ? version() : "unknown", GEN_VERSION);
        return;
    }
    cuda.list = (list_fn *)(uintptr_t)dlsym(library, "gen_cuda_kernels");
    cuda.devices = (devices_fn *)(uintptr_t)dlsym(library, "gen_cuda_devices");
    cuda.open = (open_fn *)(uintptr_t)dlsym(library, "gen_cuda_open");
    if (!cuda.list || !cuda.devices || !cuda.open) {
        cuda.open = NULL;
        snprintf(cuda.sentence, sizeof cuda.sentence, "%s lacks its entry points", FILE_NAME);
    }
}

static gen_status loaded(void)
{
    (void)pthread_once(&cuda.once, load_once);
    return cuda.open ? GEN_OK : gen_fail(GEN_EDEVICE, "%s", cuda.sentence);
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
        return gen_fail(GEN_EINVAL, "device '%s': " GEN_DEVICES_EXPECTED, device);
    *number = (int)n;
    return GEN_OK;
}

gen_status gen_cuda_library_open(gen_backend **out, const char *device, int threads)
{
    gen_backend *host = NULL;
    int number;
    *out = NULL;
    GEN_TRY(parse(device, &number));
    gen_status s = loaded();
    if (s == GEN_OK)
        GEN_TRY(gen_backend_open(&host, "cpu", threads));
    if (s == GEN_OK && (s = cuda.open(out, number, host)) != GEN_OK)
        gen_backend_close(&host);
    return s == GEN_OK ? s : gen_fail_in(s, "device '%s'", device);
}

const gen_kernel *const *gen_cuda_kernels_built(void)
{
    return loaded() == GEN_OK ? cuda.list() : NULL;
}

gen_status gen_cuda_gpus(gen_gpu *out, int most, int *n)
{
    *n = 0;
    GEN_TRY(loaded());
    return cuda.devices(out, most, n);
}

const char *gen_cuda_ran_on(void)
{
    return GEN_CUDA_RAN_ON;
}
