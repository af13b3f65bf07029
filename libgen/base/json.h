/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON in and out: the only place that calls cJSON. Reading is strict (RFC 8259: grammar, UTF-8,
 * one value, no key twice) with limits on size, depth and number of values, because model files are
 * hostile. Writing never gives NaN or infinity: they become null.
 */
#ifndef LIBGEN_BASE_JSON_H
#define LIBGEN_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "libgen/base/fail.h"
#include "libgen/base/options.h"

typedef struct cJSON gen_json;

typedef enum gen_json_kind {
    GEN_JSON_NULL,
    GEN_JSON_BOOL,
    GEN_JSON_NUMBER,
    GEN_JSON_STRING,
    GEN_JSON_ARRAY,
    GEN_JSON_OBJECT
} gen_json_kind;

#define GEN_JSON_MAX_DEPTH 64
#define GEN_JSON_MAX_VALUES 2000000

/* Length of the UTF-8 sequence at p, which ends before `end`; 0 when it is none (RFC 3629). */
GEN_API int gen_utf8_length(const unsigned char *p, const unsigned char *end);

/* Parses `size` bytes (no 0 needed behind them); larger than `limit` is refused. EDATA: line,
 * column and what was found. Free with gen_json_free. */
GEN_API gen_status gen_json_parse(gen_json **out, const char *text, uint64_t size, uint64_t limit);
GEN_API void gen_json_free(gen_json **json);

GEN_API gen_json_kind gen_json_kind_of(const gen_json *v);
GEN_API int gen_json_count(const gen_json *v);            /* children of an array or object */
GEN_API const gen_json *gen_json_first(const gen_json *v); /* first child, or NULL */
GEN_API const gen_json *gen_json_next(const gen_json *v);  /* next sibling, or NULL */
GEN_API const char *gen_json_key(const gen_json *v);       /* in its object; "" elsewhere */

/* The child called `key`, or, where `key` begins with '/', the value at that path from v
 * ("/config/widths/0"). NULL when there is none. */
GEN_API const gen_json *gen_json_get(const gen_json *v, const char *key);

/* Typed values of `key` (as in gen_json_get). EDATA, naming the key, what was found and what was
 * expected; missing is an error too: ask gen_json_get first where it may be. Numbers must be
 * integers (up to 2^53) for _int. Text is borrowed from the tree. key NULL: v itself. */
GEN_API gen_status gen_json_int(const gen_json *v, const char *key, int64_t min, int64_t max,
                                int64_t *out);
GEN_API gen_status gen_json_real(const gen_json *v, const char *key, double *out);
GEN_API gen_status gen_json_bool(const gen_json *v, const char *key, bool *out);
GEN_API gen_status gen_json_string(const gen_json *v, const char *key, const char **out);
GEN_API gen_status gen_json_array(const gen_json *v, const char *key, const gen_json **out);

/* Settings from an object with the table's names as keys ('-' and '_' alike). Call
 * gen_options_defaults first. A key that is not in the table is an error, unless `unknown` is
 * given: it is then called. Strings are borrowed from the tree. EDATA. */
typedef void gen_json_unknown_fn(void *cookie, const char *key);
GEN_API gen_status gen_options_from_json(const gen_option *table, void *settings,
                                         const gen_json *object, gen_json_unknown_fn *unknown,
                                         void *cookie);

/* ---- writing -------------------------------------------------------------------------------- */

/* Text that grows; zero it first. Errors stick: only gen_json_finish reports them. `key` is NULL
 * inside arrays and at the top. */
typedef struct gen_json_writer {
    char *text;
    uint64_t size, capacity;
    gen_status status;
    bool comma;
} gen_json_writer;

GEN_API void gen_json_open(gen_json_writer *w, const char *key, char bracket); /* '{' or '[' */
GEN_API void gen_json_close(gen_json_writer *w, char bracket);                 /* '}' or ']' */
GEN_API void gen_json_put_string(gen_json_writer *w, const char *key,
                                 const char *s); /* NULL: null */
GEN_API void gen_json_put_int(gen_json_writer *w, const char *key, int64_t v);
GEN_API void gen_json_put_real(gen_json_writer *w, const char *key, double v); /* shortest */
GEN_API void gen_json_put_bool(gen_json_writer *w, const char *key, bool v);
GEN_API void gen_json_put_null(gen_json_writer *w, const char *key);
GEN_API void gen_json_put_raw(gen_json_writer *w, const char *key, const char *json);
/* Every setting of the table, keys with '_'. */
GEN_API void gen_json_put_options(gen_json_writer *w, const char *key, const gen_option *table,
                                  const void *settings);
/* The text, owned by the caller (gen_free); w is zeroed. On error *out is NULL. */
GEN_API gen_status gen_json_finish(gen_json_writer *w, char **out);

#endif
