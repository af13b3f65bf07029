/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading and writing safetensors. Every field of a header is checked before it is used: the length
 * against the file, types, shapes (their product may overflow), offsets (in range, the size that
 * the shape asks for, no overlap, no gap, the whole file).
 */
#include "libgen/model/safetensors.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "libgen/base/file.h"
#include "libgen/base/json.h"
#include "libgen/model/tensor_file.h"

#define MAX_HEADER ((uint64_t)16 << 20) /* 100 000 tensors; DGMR has 508 */
#define ALIGN 64u                       /* of the data in files that we write */
#define PIECE 65536                     /* elements converted at a time */

/* ---- reading -------------------------------------------------------------------------------- */

struct range {
    uint64_t begin, end;
    const char *name;
};

static gen_status read_shape(const gen_json *object, gen_shape *shape)
{
    const gen_json *array;
    GEN_TRY(gen_json_array(object, "shape", &array));
    int rank = gen_json_count(array);
    if (rank > GEN_MAX_RANK)
        return gen_fail(GEN_EMODEL, "%d dimensions, at most %d are supported", rank, GEN_MAX_RANK);
    shape->rank = rank;
    const gen_json *v = gen_json_first(array);
    for (int i = 0; i < rank; i++, v = gen_json_next(v))
        GEN_TRY(gen_json_int(v, NULL, 0, INT64_C(1) << 53, &shape->dim[i]));
    return GEN_OK;
}

static gen_status read_offsets(const gen_json *object, struct range *range)
{
    const gen_json *array;
    int64_t at[2];
    GEN_TRY(gen_json_array(object, "data_offsets", &array));
    if (gen_json_count(array) != 2)
        return gen_fail(GEN_EMODEL, "data_offsets has %d numbers, expected 2",
                        gen_json_count(array));
    GEN_TRY(gen_json_int(gen_json_first(array), NULL, 0, INT64_C(1) << 53, &at[0]));
    GEN_TRY(gen_json_int(gen_json_next(gen_json_first(array)), NULL, 0, INT64_C(1) << 53, &at[1]));
    range->begin = (uint64_t)at[0];
    range->end = (uint64_t)at[1];
    return GEN_OK;
}

/* One entry of the header; `size` is that of the data. */
static gen_status read_tensor(const gen_json *object, uint64_t size, gen_file_tensor *t,
                              struct range *range)
{
    const char *dtype;
    uint64_t count;
    char text[GEN_SHAPE_TEXT], q[GEN_QUOTE];
    if (gen_json_kind_of(object) != GEN_JSON_OBJECT)
        return gen_fail(GEN_EMODEL, "its entry is not an object");
    for (const gen_json *v = gen_json_first(object); v; v = gen_json_next(v))
        if (strcmp(gen_json_key(v), "dtype") && strcmp(gen_json_key(v), "shape") &&
            strcmp(gen_json_key(v), "data_offsets"))
            return gen_fail(GEN_EMODEL, "unknown key '%s'", gen_quote(gen_json_key(v), q));
    GEN_TRY(gen_json_string(object, "dtype", &dtype));
    if (!gen_file_dtype(t, dtype))
        return gen_fail(GEN_EMODEL, "unknown type '%s'", gen_quote(dtype, q));
    GEN_TRY(read_shape(object, &t->shape));
    GEN_TRY(read_offsets(object, range));
    if (!gen_file_count(t->shape, &count))
        return gen_fail(GEN_EMODEL, "shape %s has more elements than can be counted",
                        gen_shape_text(t->shape, text));
    if (range->begin > range->end || range->end > size)
        return gen_fail(GEN_EMODEL,
                        "bytes %" PRIu64 " to %" PRIu64 " are not in the %" PRIu64 " bytes of data",
                        range->begin, range->end, size);
    uint64_t bytes = range->end - range->begin;
    if (bytes / t->item != count || bytes % t->item)
        return gen_fail(GEN_EMODEL, "shape %s of %s does not fit %" PRIu64 " bytes",
                        gen_shape_text(t->shape, text), t->dtype_text, bytes);
    gen_file_set_dense(t);
    t->entry = -1;
    return GEN_OK;
}

static int by_begin(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* The data belong to exactly one tensor each. */
static gen_status check_cover(struct range *range, int n, uint64_t size)
{
    char q[GEN_QUOTE];
    uint64_t at = 0;
    qsort(range, (size_t)n, sizeof *range, by_begin);
    for (int i = 0; i < n; i++) {
        if (range[i].begin < at)
            return gen_fail(GEN_EMODEL, "tensor '%s' overlaps the one before it",
                            gen_quote(range[i].name, q));
        if (range[i].begin > at)
            return gen_fail(GEN_EMODEL, "%" PRIu64 " bytes before tensor '%s' belong to no tensor",
                            range[i].begin - at, gen_quote(range[i].name, q));
        at = range[i].end;
    }
    if (at != size)
        return gen_fail(GEN_EMODEL, "%" PRIu64 " bytes at the end belong to no tensor", size - at);
    return GEN_OK;
}

static gen_status read_metadata(gen_tensor_file *f, const gen_json *object)
{
    gen_json_writer w = { 0 };
    char *text, q[GEN_QUOTE];
    if (gen_json_kind_of(object) != GEN_JSON_OBJECT)
        return gen_fail(GEN_EMODEL, "__metadata__ is not an object");
    for (const gen_json *v = gen_json_first(object); v; v = gen_json_next(v))
        if (gen_json_kind_of(v) != GEN_JSON_STRING)
            return gen_fail(GEN_EMODEL, "__metadata__ key '%s' is not text",
                            gen_quote(gen_json_key(v), q));
    gen_json_open(&w, NULL, '{');
    for (const gen_json *v = gen_json_first(object); v; v = gen_json_next(v)) {
        const char *s = "";
        (void)gen_json_string(v, NULL, &s);
        gen_json_put_string(&w, gen_json_key(v), s);
    }
    gen_json_close(&w, '}');
    GEN_TRY(gen_json_finish(&w, &text));
    f->metadata = gen_arena_printf(&f->arena, "%s", text);
    gen_free(text);
    return f->metadata ? GEN_OK : GEN_ENOMEM;
}

static gen_status read_entries(gen_tensor_file *f, const gen_json *header, uint64_t start)
{
    gen_status status = GEN_OK;
    struct range *range = NULL;
    char q[GEN_QUOTE];
    uint64_t size = f->size - start;
    int n = gen_json_count(header);
    f->tensor = gen_arena_alloc(&f->arena, ((size_t)n + 1) * sizeof *f->tensor);
    if (!f->tensor)
        return GEN_ENOMEM;
    GEN_GOTO(GEN_ALLOC(&range, n, "model header"));
    for (const gen_json *v = gen_json_first(header); v; v = gen_json_next(v)) {
        if (strcmp(gen_json_key(v), "__metadata__") == 0) {
            GEN_GOTO(read_metadata(f, v));
            continue;
        }
        gen_file_tensor *t = &f->tensor[f->count];
        t->name = gen_arena_printf(&f->arena, "%s", gen_json_key(v));
        if (!t->name)
            GEN_GOTO(GEN_ENOMEM);
        status = read_tensor(v, size, t, &range[f->count]);
        if (status != GEN_OK)
            GEN_GOTO(gen_fail_in(status, "tensor '%s'", gen_quote(t->name, q)));
        t->offset = start + range[f->count].begin;
        range[f->count++].name = t->name;
    }
    GEN_GOTO(check_cover(range, f->count, size));
    GEN_GOTO(gen_file_sort(f));
done:
    gen_free(range);
    return status;
}

gen_status gen_safetensors_open(gen_tensor_file *f)
{
    gen_status status;
    unsigned char length[8];
    char *text = NULL;
    gen_json *header = NULL;
    uint64_t n = 0;
    f->format = GEN_FILE_SAFETENSORS;
    GEN_TRY(gen_read_at(f->fd, 0, length, sizeof length));
    for (int i = 7; i >= 0; i--)
        n = n << 8 | length[i];
    if (n > f->size - 8)
        return gen_fail(GEN_EMODEL, "the header claims %" PRIu64 " bytes, the file has %" PRIu64, n,
                        f->size);
    if (n > MAX_HEADER)
        return gen_fail(GEN_EMODEL,
                        "the header has %" PRIu64 " bytes, at most %" PRIu64 " are accepted", n,
                        MAX_HEADER);
    GEN_GOTO(gen_alloc_raw((void **)&text, n, 1, "model header"));
    GEN_GOTO(gen_read_at(f->fd, 8, text, n));
    GEN_GOTO(gen_json_parse(&header, text, n, MAX_HEADER));
    if (gen_json_kind_of(header) != GEN_JSON_OBJECT)
        GEN_GOTO(gen_fail(GEN_EMODEL, "the header is not a JSON object"));
    GEN_GOTO(read_entries(f, header, 8 + n));
done:
    if (status == GEN_EDATA) /* of the JSON functions */
        status = GEN_EMODEL;
    if (status != GEN_OK)
        (void)gen_fail_in(status, "safetensors header");
    gen_json_free(&header);
    gen_free(text);
    return status;
}

/* ---- writing -------------------------------------------------------------------------------- */

static int in_order(const void *a, const void *b)
{
    const gen_safetensor *x = a, *y = b;
    size_t nx = gen_dtype_size(x->store), ny = gen_dtype_size(y->store);
    if (nx != ny)
        return nx > ny ? -1 : 1;
    return strcmp(x->name, y->name);
}

static const char *type_name(gen_dtype t)
{
    return t == GEN_BF16 ? "BF16" : t == GEN_F16 ? "F16" : "F32";
}

static gen_status make_header(const gen_safetensor *tensor, int n, const char *metadata, char **out)
{
    gen_json_writer w = { 0 };
    uint64_t at = 0;
    gen_json_open(&w, NULL, '{');
    gen_json_put_raw(&w, "__metadata__", metadata);
    for (int i = 0; i < n; i++) {
        gen_shape s = tensor[i].value.shape;
        uint64_t bytes = (uint64_t)gen_shape_count(s) * gen_dtype_size(tensor[i].store);
        gen_json_open(&w, tensor[i].name, '{');
        gen_json_put_string(&w, "dtype", type_name(tensor[i].store));
        gen_json_open(&w, "shape", '[');
        for (int d = 0; d < s.rank; d++)
            gen_json_put_int(&w, NULL, s.dim[d]);
        gen_json_close(&w, ']');
        gen_json_open(&w, "data_offsets", '[');
        gen_json_put_int(&w, NULL, (int64_t)at);
        gen_json_put_int(&w, NULL, (int64_t)(at + bytes));
        gen_json_close(&w, ']');
        gen_json_close(&w, '}');
        at += bytes;
    }
    gen_json_close(&w, '}');
    return gen_json_finish(&w, out);
}

static gen_status put(const gen_output *out, const void *data, uint64_t n)
{
    if (fwrite(data, 1, n, out->file) == n)
        return GEN_OK;
    return gen_output_error(out->path, errno);
}

static gen_status put_tensor(const gen_output *out, const gen_safetensor *t, char *piece)
{
    const float *from = t->value.data;
    int64_t count = gen_shape_count(t->value.shape);
    if (t->store == GEN_F32)
        return put(out, from, (uint64_t)count * 4);
    for (int64_t i = 0; i < count; i += PIECE) {
        int64_t n = count - i < PIECE ? count - i : PIECE;
        gen_convert(piece, t->store, from + i, GEN_F32, n);
        GEN_TRY(put(out, piece, (uint64_t)n * gen_dtype_size(t->store)));
    }
    return GEN_OK;
}

gen_status gen_safetensors_write(const char *path, bool force, gen_safetensor *tensor, int n,
                                 const char *metadata)
{
    gen_status status;
    gen_output out = { 0 };
    char *header = NULL, *piece = NULL;
    unsigned char length[8];
    static const char spaces[ALIGN + 1] =
        "                                                                ";
    qsort(tensor, (size_t)n, sizeof *tensor, in_order);
    GEN_GOTO(make_header(tensor, n, metadata, &header));
    GEN_GOTO(gen_alloc_raw((void **)&piece, PIECE, 4, "conversion"));
    GEN_GOTO(gen_output_open(&out, path, force, false));
    uint64_t used = strlen(header), padded = (used + 8 + ALIGN - 1) / ALIGN * ALIGN - 8;
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)(padded >> 8 * i);
    GEN_GOTO(put(&out, length, 8));
    GEN_GOTO(put(&out, header, used));
    GEN_GOTO(put(&out, spaces, padded - used));
    for (int i = 0; i < n; i++)
        GEN_GOTO(put_tensor(&out, &tensor[i], piece));
    GEN_GOTO(gen_output_commit(&out));
done:
    if (status != GEN_OK)
        gen_output_abort(&out);
    gen_free(piece);
    gen_free(header);
    return status;
}
