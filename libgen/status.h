/* SPDX-License-Identifier: Apache-2.0
 *
 * What every function of libgen returns, and the sentence behind it.
 *
 * A function that can fail returns gen_status: 0, or one of the negative codes below. The sentence
 * that says what was wrong (the thing, the value found, the one expected) is kept per thread and
 * read by gen_last_error(). The library never prints, exits or aborts.
 */
#ifndef LIBGEN_STATUS_H
#define LIBGEN_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define GEN_API __attribute__((visibility("default")))
#else
#define GEN_API
#endif

/* name, value, meaning. The one list from which enum, names and the program's exit codes come. */
#define GEN_STATUS_LIST(X)                                                                         \
    X(EINVAL, -1, "invalid argument")                                                              \
    X(EEXIST, -2, "output exists")                                                                 \
    X(EDATA, -3, "data missing or invalid")                                                        \
    X(EMODEL, -4, "model rejected")                                                                \
    X(ENOMEM, -5, "memory or disk limit")                                                          \
    X(ENUMERIC, -6, "numerical failure")                                                           \
    X(EDEVICE, -7, "device not available")                                                         \
    X(ECANCELED, -8, "canceled")                                                                   \
    X(EUNSUPPORTED, -9, "not supported")                                                           \
    X(EIO, -10, "input or output failed")                                                          \
    X(EBUG, -11, "internal error")

typedef enum gen_status {
    GEN_OK = 0,
#define X(name, value, text) GEN_##name = value,
    GEN_STATUS_LIST(X)
#undef X
} gen_status;

/* "EINVAL" and the like; "?" for a number that is no status. Never NULL, static. */
GEN_API const char *gen_status_name(gen_status s);

/* The sentence of the last failure in this thread; "" when none. Valid until the next failure. */
GEN_API const char *gen_last_error(void);

/* "MAJOR.MINOR.PATCH" of the library. */
GEN_API const char *gen_version(void);

#ifdef __cplusplus
}
#endif
#endif
