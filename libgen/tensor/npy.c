/* SPDX-License-Identifier: Apache-2.0
 *
 * NumPy's .npy, versions 1 to 3:
 *
 *     "\x93NUMPY" major minor  header length (2 bytes in v1, 4 in v2 and v3, little endian)
 *     a Python dict literal: {'descr': '<f4', 'fortran_order': False, 'shape': (4, 256), }
 *     data, little endian, C order
 *
 * The header is hostile text: we look for the three keys and take nothing else.
 */
#include <libgen/tensor.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "libgen/base/alloc.h"
#include "libgen/base/file.h"
#include "libgen/tensor/npy.h"

#define MAX_HEADER 65536

static const struct {
    const char *descr;
    gen_dtype dtype;
    int raw; /* bytes of an element that needs widening to i32: 2 signed, -2 unsigned; else 0 */
} formats[] = {
    { "<f4", GEN_F32, 0 }, { "<f8", GEN_F64, 0 }, { "<f2", GEN_F16, 0 }, { "<i4", GEN_I32, 0 },
    { "<i8", GEN_I64, 0 }, { "|u1", GEN_U8, 0 },  { "<i2", GEN_I32, 2 }, { "<u2", GEN_I32, -2 },
};

/* The text after 'key': in the header, or NULL. */
static const char *value_of(const char *header, const char *key)
{
    char quoted[32];
    snprintf(quoted, sizeof quoted, "'%s':", key);
    const char *p = strstr(header, quoted);
    if (!p)
        return NULL;
    p += strlen(quoted);
    while (*p == ' ')
        p++;
    return p;
}

static gen_status parse_shape(const char *p, gen_shape *s, const char *path)
{
    *s = (gen_shape){ 0 };
    if (!p || *p++ != '(')
        return gen_fail(GEN_EDATA, "'%s': .npy header has no shape tuple", path);
    for (;;) {
        while (*p == ' ' || *p == ',')
            p++;
        if (*p == ')')
            return GEN_OK;
        char *end;
        errno = 0;
        long long v = strtoll(p, &end, 10);
        if (end == p || errno || v < 1 || s->rank == GEN_MAX_RANK)
            return gen_fail(GEN_EDATA, "'%s': .npy shape has a size below 1 or more than %d axes",
                            path, GEN_MAX_RANK);
        s->dim[s->rank++] = v;
        p = end;
    }
}

static gen_status parse_header(const char *header, gen_npy_header *out, const char *path)
{
    const char *descr = value_of(header, "descr"), *order = value_of(header, "fortran_order");
    GEN_TRY(parse_shape(value_of(header, "shape"), &out->shape, path));
    if (!order || strncmp(order, "False", 5))
        return gen_fail(GEN_EDATA, "'%s': .npy is in Fortran order, expected C order", path);
    bool text = descr && *descr == '\'';
    snprintf(out->type, sizeof out->type, "%.*s", text ? (int)strcspn(descr + 1, "'\n") : 1,
             text    ? descr + 1
             : descr ? descr
                     : "");
    return GEN_OK;
}

/* Bytes of the text behind the first `at` bytes of a header. */
static uint64_t header_length(const unsigned char *head, uint64_t *at)
{
    uint64_t n = head[8] | (uint64_t)head[9] << 8;
    *at = head[6] > 1 ? 12 : 10;
    return head[6] > 1 ? n | (uint64_t)head[10] << 16 | (uint64_t)head[11] << 24 : n;
}

gen_status gen_npy_header_read(gen_npy_header *out, const unsigned char *bytes, uint64_t size,
                               const char *path)
{
    char *text;
    uint64_t at;
    *out = (gen_npy_header){ 0 };
    if (size < 10 || memcmp(bytes, "\x93NUMPY", 6))
        return gen_fail(GEN_EDATA, "'%s' is not a .npy file", path);
    if (size < 12)
        return gen_fail(GEN_EDATA, "'%s': .npy header is cut short", path);
    uint64_t n = header_length(bytes, &at);
    if (n > MAX_HEADER)
        return gen_fail(GEN_EDATA, "'%s': .npy header has %llu bytes, expected at most %d", path,
                        (unsigned long long)n, MAX_HEADER);
    if (n > size - at)
        return gen_fail(GEN_EDATA, "'%s': .npy header is cut short", path);
    GEN_TRY(GEN_ALLOC(&text, n + 1, "npy header"));
    memcpy(text, bytes + at, n);
    out->data = at + n;
    gen_status status = parse_header(text, out, path);
    gen_free(text);
    return status;
}

static gen_status known_type(const gen_npy_header *h, gen_tensor *t, int *raw, const char *path)
{
    for (int i = 0; i < GEN_LEN(formats); i++)
        if (strcmp(h->type, formats[i].descr) == 0) {
            t->dtype = formats[i].dtype;
            t->shape = h->shape;
            *raw = formats[i].raw;
            return GEN_OK;
        }
    return gen_fail(GEN_EDATA, "'%s': .npy type is '%s', expected one of f2 f4 f8 i2 i4 i8 u1 u2",
                    path, h->type);
}

/* Leaves the file where its data begin. */
static gen_status read_header(FILE *f, gen_tensor *t, int *raw, const char *path)
{
    gen_npy_header h;
    unsigned char *bytes;
    GEN_TRY(GEN_ALLOC(&bytes, MAX_HEADER + 12, "npy header"));
    size_t n = fread(bytes, 1, MAX_HEADER + 12, f);
    gen_status status = gen_npy_header_read(&h, bytes, n, path);
    gen_free(bytes);
    GEN_TRY(status);
    if (fseek(f, (long)h.data, SEEK_SET) != 0)
        return gen_fail(GEN_EIO, "'%s': reading failed", path);
    return known_type(&h, t, raw, path);
}

static void widen(int32_t *dst, const unsigned char *src, int raw, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint16_t v = (uint16_t)(src[2 * i] | src[2 * i + 1] << 8);
        dst[i] = raw > 0 ? (int16_t)v : v;
    }
}

gen_status gen_npy_read(gen_tensor *out, const char *path, uint64_t max_bytes)
{
    gen_status status = GEN_OK;
    gen_tensor t = { 0 };
    unsigned char *narrow = NULL;
    int raw = 0;
    *out = t;
    struct stat st;
    if (stat(path, &st))
        return gen_fail(GEN_EDATA, "'%s': %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode)) /* a FIFO would make us wait for ever */
        return gen_fail(GEN_EDATA, "'%s' is not a regular file, expected a .npy file", path);
    FILE *f = fopen(path, "rb");
    if (!f)
        return gen_fail(GEN_EDATA, "'%s': %s", path, strerror(errno));
    GEN_GOTO(read_header(f, &t, &raw, path));
    int64_t n = gen_shape_count(t.shape);
    if (n < 0 || (uint64_t)n > max_bytes / gen_dtype_size(t.dtype))
        GEN_GOTO(gen_fail(GEN_EDATA, "'%s': data of more than the %llu bytes allowed", path,
                          (unsigned long long)max_bytes));
    /* The file must hold the data before memory is spent on it. */
    size_t size = (size_t)n * (raw ? 2 : gen_dtype_size(t.dtype));
    long at = ftell(f);
    if (at < 0 || fseek(f, 0, SEEK_END) || ftell(f) - at < (long)size || fseek(f, at, SEEK_SET))
        GEN_GOTO(
            gen_fail(GEN_EDATA, "'%s': .npy data is cut short: expected %zu bytes", path, size));
    GEN_GOTO(gen_tensor_create(&t, t.dtype, t.shape));
    if (raw)
        GEN_GOTO(GEN_ALLOC(&narrow, size, "npy data"));
    if (fread(raw ? (void *)narrow : t.data, 1, size, f) != size)
        GEN_GOTO(gen_fail(GEN_EIO, "'%s': reading failed", path));
    if (raw)
        widen(t.data, narrow, raw, n);
    *out = t;
done:
    if (status != GEN_OK)
        gen_tensor_free(&t);
    gen_free(narrow);
    fclose(f);
    return status;
}

gen_status gen_npy_write(const char *path, const gen_tensor *t)
{
    gen_status status = GEN_OK;
    gen_output o = { 0 };
    float *wide = NULL;
    char header[256], dims[200] = "";
    int64_t n = gen_shape_count(t->shape);
    bool half = t->dtype == GEN_BF16 || t->dtype == GEN_F16;
    gen_dtype dtype = half ? GEN_F32 : t->dtype;
    const void *data = t->data;
    if (n < 0 || !data)
        return gen_fail(GEN_EINVAL, "'%s': tensor to write has no data", path);
    const char *descr = "|u1";
    for (int i = 0; i < GEN_LEN(formats); i++)
        if (formats[i].dtype == dtype && !formats[i].raw)
            descr = formats[i].descr;
    for (int i = 0; i < t->shape.rank; i++)
        snprintf(dims + strlen(dims), sizeof dims - strlen(dims), "%lld, ",
                 (long long)t->shape.dim[i]);
    int len = snprintf(header, sizeof header,
                       "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, dims);
    int total = (10 + len + 1 + 63) / 64 * 64 - 10;
    GEN_GOTO(gen_output_open(&o, path, true, false));
    if (half) {
        GEN_GOTO(GEN_ALLOC(&wide, n, "npy data"));
        gen_convert(wide, GEN_F32, t->data, t->dtype, n);
        data = wide;
    }
    unsigned char head[10] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)total, (unsigned char)(total >> 8)
    };
    fwrite(head, 1, 10, o.file);
    fprintf(o.file, "%s%*s\n", header, total - len - 1, "");
    fwrite(data, gen_dtype_size(dtype), (size_t)n, o.file);
    GEN_GOTO(gen_output_commit(&o));
done:
    gen_output_abort(&o);
    gen_free(wide);
    return status;
}
