/* SPDX-License-Identifier: Apache-2.0 */
#include "libgen/base/fail.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char sentence[1024];

static struct {
    gen_log_fn *fn;
    void *cookie;
    gen_log_level level;
} sink;
static pthread_mutex_t sink_lock = PTHREAD_MUTEX_INITIALIZER;

const char *gen_status_name(gen_status s)
{
    switch (s) {
    case GEN_OK:
        return "OK";
#define X(name, value, text)                                                                       \
    case GEN_##name:                                                                               \
        return #name;
        GEN_STATUS_LIST(X)
#undef X
    }
    return "?";
}

const char *gen_last_error(void)
{
    return sentence;
}

const char *gen_version(void)
{
    return GEN_VERSION;
}

gen_status gen_fail(gen_status s, const char *format, ...)
{
    char text[sizeof sentence]; /* the arguments may point into the old sentence */
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    memcpy(sentence, text, sizeof sentence);
    return s;
}

gen_status gen_fail_in(gen_status s, const char *format, ...)
{
    char text[sizeof sentence];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    strncat(text, ": ", sizeof text - 1 - strlen(text));
    strncat(text, sentence, sizeof text - 1 - strlen(text));
    memcpy(sentence, text, sizeof sentence);
    return s;
}

void gen_log_set(gen_log_fn *fn, void *cookie, gen_log_level level)
{
    pthread_mutex_lock(&sink_lock);
    sink.fn = fn;
    sink.cookie = cookie;
    sink.level = level;
    pthread_mutex_unlock(&sink_lock);
}

void gen_log(gen_log_level level, const char *format, ...)
{
    char text[1024];
    va_list ap;
    pthread_mutex_lock(&sink_lock);
    if (sink.fn && level <= sink.level) {
        va_start(ap, format);
        vsnprintf(text, sizeof text, format, ap);
        va_end(ap);
        sink.fn(sink.cookie, level, text);
    }
    pthread_mutex_unlock(&sink_lock);
}

gen_status gen_progress_report(const gen_progress *p, const char *what, double done, double total)
{
    if (p && p->fn && p->fn(p->cookie, what, done, total))
        return gen_fail(GEN_ECANCELED, "%s: canceled after %.0f of %.0f", what, done, total);
    return GEN_OK;
}
