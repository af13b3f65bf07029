/* SPDX-License-Identifier: Apache-2.0 */
#include "media/ffmpeg.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static gen_ffmpeg loaded;
static bool is_loaded;
static int hushed, level_before;

static gen_status open_library(const char *name, int major, void **out)
{
    char file[64];
    snprintf(file, sizeof file, "lib%s.so.%d", name, major);
    *out = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    return *out ? GEN_OK
                : gen_fail(GEN_EUNSUPPORTED, "films need FFmpeg, which cannot be loaded: %s",
                           dlerror());
}

/* Libraries stay loaded: their threads and tables do not like to go. */
static gen_status load(void)
{
    void *avutil, *avcodec, *avformat, *swscale, *symbol;
    GEN_TRY(open_library("avutil", LIBAVUTIL_VERSION_MAJOR, &avutil));
    GEN_TRY(open_library("avcodec", LIBAVCODEC_VERSION_MAJOR, &avcodec));
    GEN_TRY(open_library("avformat", LIBAVFORMAT_VERSION_MAJOR, &avformat));
    GEN_TRY(open_library("swscale", LIBSWSCALE_VERSION_MAJOR, &swscale));
/* memcpy: ISO C has no cast from a pointer to data to one to a function. */
#define LOAD(library, name)                                                                        \
    symbol = dlsym(library, #name);                                                                \
    if (!symbol)                                                                                   \
        return gen_fail(GEN_EUNSUPPORTED, "films need FFmpeg, whose lib%s has no %s", #library,    \
                        #name);                                                                    \
    memcpy(&loaded.name, &symbol, sizeof symbol);
    GEN_FFMPEG_FUNCTIONS(LOAD)
#undef LOAD
    is_loaded = true;
    return GEN_OK;
}

gen_status gen_ffmpeg_load(const gen_ffmpeg **out)
{
    pthread_mutex_lock(&lock);
    gen_status status = is_loaded ? GEN_OK : load();
    pthread_mutex_unlock(&lock);
    *out = &loaded;
    return status;
}

void gen_ffmpeg_hush(void)
{
    pthread_mutex_lock(&lock);
    if (hushed++ == 0) {
        level_before = loaded.av_log_get_level();
        loaded.av_log_set_level(AV_LOG_QUIET);
    }
    pthread_mutex_unlock(&lock);
}

void gen_ffmpeg_unhush(void)
{
    pthread_mutex_lock(&lock);
    if (--hushed == 0)
        loaded.av_log_set_level(level_before);
    pthread_mutex_unlock(&lock);
}
