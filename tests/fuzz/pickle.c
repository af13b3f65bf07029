/* SPDX-License-Identifier: Apache-2.0
 *
 * Pickles of any bytes: a sentence or a value that can be walked to a bounded depth; the same
 * whether the bytes come from memory or, in pieces, from a file.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libgen/model/pickle.h"

/* A sum over the value, so that everything reachable is touched. */
static uint64_t walk(const gen_pickle_value *v, int depth, int *left)
{
    uint64_t sum = (uint64_t)v->kind * 31 + v->length;
    if (depth > 20 || --*left < 0)
        return sum;
    switch (v->kind) {
    case GEN_PICKLE_TUPLE:
    case GEN_PICKLE_LIST:
    case GEN_PICKLE_DICT:
        for (uint64_t i = 0; i < v->length; i++)
            sum = sum * 7 + walk(v->item[i], depth + 1, left);
        break;
    case GEN_PICKLE_TEXT:
    case GEN_PICKLE_BYTES:
    case GEN_PICKLE_LONG:
        sum += strlen(v->text);
        break;
    case GEN_PICKLE_STORAGE:
        sum += strlen(v->storage.dtype) + strlen(v->storage.key) + v->storage.count;
        break;
    case GEN_PICKLE_TENSOR:
        sum += (uint64_t)v->tensor->offset + (uint64_t)v->tensor->shape.rank;
        sum += walk(v->tensor->storage, depth + 1, left);
        break;
    default:
        break;
    }
    return sum;
}

static gen_status read_one(gen_pickle_source *s, uint64_t *sum)
{
    gen_arena arena = { 0 };
    gen_pickle_value *v;
    int left = 100000;
    gen_status status = gen_pickle_read(&v, s, &arena);
    if (status == GEN_OK)
        *sum = walk(v, 0, &left);
    else if (!*gen_last_error())
        abort();
    gen_arena_free(&arena);
    gen_pickle_source_free(s);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t a = 0, b = 0;
    gen_pickle_source memory = { .fd = -1, .data = data, .end = size };
    gen_status status = read_one(&memory, &a);
    if (status != GEN_OK && status != GEN_EMODEL)
        abort();
    FILE *f = tmpfile();
    if (!f || fwrite(data, 1, size, f) != size || fflush(f) != 0)
        abort();
    gen_pickle_source file = { .fd = fileno(f), .end = size };
    if (read_one(&file, &b) != status || a != b || (status == GEN_OK && file.at != memory.at))
        abort();
    fclose(f);
    return 0;
}
