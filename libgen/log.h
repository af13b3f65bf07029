/* SPDX-License-Identifier: Apache-2.0
 *
 * The log sink: the library's only global state. Set it before other calls; NULL (the default) is
 * silent. The callback may be called from any thread that calls libgen, never from two at once.
 */
#ifndef LIBGEN_LOG_H
#define LIBGEN_LOG_H

#include <libgen/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum gen_log_level { GEN_LOG_WARN = 1, GEN_LOG_INFO = 2, GEN_LOG_DEBUG = 3 } gen_log_level;

typedef void gen_log_fn(void *cookie, gen_log_level level, const char *message);

/* Messages up to `level` go to `fn`. */
GEN_API void gen_log_set(gen_log_fn *fn, void *cookie, gen_log_level level);

/* Progress of long work: `done` of `total` units of `what`. Returning non-zero cancels: the
 * function then stops soon and returns GEN_ECANCELED. */
typedef int gen_progress_fn(void *cookie, const char *what, double done, double total);

typedef struct gen_progress {
    gen_progress_fn *fn; /* NULL: no reports, no cancelling */
    void *cookie;
} gen_progress;

#ifdef __cplusplus
}
#endif
#endif
