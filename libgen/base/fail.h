/* SPDX-License-Identifier: Apache-2.0
 *
 * Failing with a sentence. Two control macros, no more: GEN_TRY returns, and is used only while
 * nothing is owned; GEN_GOTO jumps to `done:`, the single exit of a function that owns something.
 */
#ifndef LIBGEN_BASE_FAIL_H
#define LIBGEN_BASE_FAIL_H

#include <libgen/log.h>
#include <libgen/status.h>

/* Stores the sentence for this thread and returns `s`. */
GEN_API gen_status gen_fail(gen_status s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " before the current sentence and returns `s` (to add a file or tensor name). */
GEN_API gen_status gen_fail_in(gen_status s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

GEN_API void gen_log(gen_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Reports progress; GEN_ECANCELED when the callback asked to stop. `p` may be NULL. */
GEN_API gen_status gen_progress_report(const gen_progress *p, const char *what, double done,
                                       double total);

#define GEN_TRY(x)                                                                                 \
    do {                                                                                           \
        gen_status try_ = (x);                                                                     \
        if (try_ != GEN_OK)                                                                        \
            return try_;                                                                           \
    } while (0)

/* Needs a local `gen_status status` and a label `done`. */
#define GEN_GOTO(x)                                                                                \
    do {                                                                                           \
        status = (x);                                                                              \
        if (status != GEN_OK)                                                                      \
            goto done;                                                                             \
    } while (0)

#define GEN_LEN(a) ((int)(sizeof(a) / sizeof((a)[0])))

#endif
