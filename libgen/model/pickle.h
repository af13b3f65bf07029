/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads a Python pickle (protocol 2 to 5) as data. Nothing is imported, called or executed: a
 * pickle is a program for a stack machine, and only the instructions are known here that build
 * numbers, text, tuples, lists, dicts and the handful of objects in a PyTorch state dict, or those
 * in a NumPy array of times. Any other name is an error that says it.
 *
 * Limits: instructions, depth of the stack, bytes of values. What is built may share parts or even
 * contain itself: whoever walks it bounds the depth.
 */
#ifndef LIBGEN_MODEL_PICKLE_H
#define LIBGEN_MODEL_PICKLE_H

#include <stdbool.h>

#include <libgen/tensor.h>

#include "libgen/base/alloc.h"

typedef enum gen_pickle_kind {
    GEN_PICKLE_NONE,
    GEN_PICKLE_BOOL,
    GEN_PICKLE_INT,
    GEN_PICKLE_LONG, /* beyond 64 bits: its bytes, little-endian, in text and length */
    GEN_PICKLE_REAL,
    GEN_PICKLE_TEXT, /* may hold 0 bytes: compare with length */
    GEN_PICKLE_BYTES,
    GEN_PICKLE_TUPLE,
    GEN_PICKLE_LIST,   /* sets too */
    GEN_PICKLE_DICT,   /* item: key, value, key, value...; equal keys may repeat, the last counts */
    GEN_PICKLE_GLOBAL, /* an allowed name of Python: text, and what it stands for */
    GEN_PICKLE_STORAGE, /* a block of elements elsewhere in the file */
    GEN_PICKLE_TENSOR,  /* a view of a storage */
    GEN_PICKLE_OPAQUE,  /* known and of no use here: torch.device, a dtype */
    GEN_PICKLE_TIME     /* datetime.datetime: its 10 bytes in text, big-endian: year (2), month,
                           day, hour, minute, second, microseconds (3) */
} gen_pickle_kind;

typedef struct gen_pickle_value gen_pickle_value;
struct gen_pickle_value {
    gen_pickle_kind kind;
    int what;                  /* global: private; storage: index in dtype names */
    uint64_t length, capacity; /* of text; items of tuple, list, dict (dict: keys + values) */
    union {
        int64_t i;
        double real;
        const char *text; /* with a 0 byte behind it */
        gen_pickle_value **item;
        struct {
            const char *dtype;      /* "F32"... as in safetensors */
            const char *key;        /* name of its bytes in the file */
            uint64_t count;         /* elements */
            gen_pickle_value *next; /* the storage met before this one, or NULL */
        } storage;
        struct {
            gen_pickle_value *storage;
            int64_t offset;  /* elements; checked by the caller against storage.count */
            gen_shape shape; /* dimensions >= 0 */
            int64_t stride[GEN_MAX_RANK];
        } * tensor;
    };
};

/* Where the bytes come from: n more bytes into out. EMODEL at the end. */
typedef struct gen_pickle_source {
    int fd;           /* -1: the memory at data */
    uint64_t at, end; /* position and end, in the file or in data */
    const unsigned char *data;
    unsigned char *window; /* of a file: buffered bytes from window_at on */
    uint64_t window_at, window_size;
    gen_pickle_value *storages; /* out: every storage met, newest first */
    bool times; /* a NumPy array of datetime objects (a list here), instead of a state dict */
} gen_pickle_source;

/* Reads one pickle; values live in `arena`. Leaves source->at behind the pickle. Every error is
 * EMODEL with a sentence, or ENOMEM. */
GEN_API gen_status gen_pickle_read(gen_pickle_value **out, gen_pickle_source *source,
                                   gen_arena *arena);
GEN_API void gen_pickle_source_free(gen_pickle_source *source);

/* The value of a text key in a dict, or NULL. */
GEN_API gen_pickle_value *gen_pickle_get(const gen_pickle_value *dict, const char *key);
GEN_API bool gen_pickle_is_text(const gen_pickle_value *v, const char *text);

#endif
