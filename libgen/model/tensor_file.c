/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening a file of tensors by its first bytes, and reading values with conversion. Values are read
 * with pread into the caller's memory, in pieces where they must be converted: a model is never
 * resident twice.
 */
#include "libgen/model/tensor_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libgen/base/file.h"

#define MAX_CONFIG ((uint64_t)1 << 20)
#define PIECE (256u * 1024u) /* bytes converted at a time */

static const struct dtype_name {
    const char *name;
    int dtype;
    uint32_t item;
} dtype_names[] = {
    { "F32", GEN_F32, 4 }, { "F64", GEN_F64, 8 }, { "F16", GEN_F16, 2 }, { "BF16", GEN_BF16, 2 },
    { "I64", GEN_I64, 8 }, { "I32", GEN_I32, 4 }, { "U8", GEN_U8, 1 },   { "BOOL", GEN_U8, 1 },
    { "I16", -1, 2 },      { "I8", -1, 1 },       { "U16", -1, 2 },      { "U32", -1, 4 },
    { "U64", -1, 8 },      { "F8_E4M3", -1, 1 },  { "F8_E5M2", -1, 1 },  { "C64", -1, 8 },
};

bool gen_file_dtype(gen_file_tensor *t, const char *name)
{
    for (int i = 0; i < GEN_LEN(dtype_names); i++)
        if (strcmp(dtype_names[i].name, name) == 0) {
            t->dtype_text = dtype_names[i].name;
            t->dtype = dtype_names[i].dtype;
            t->item = dtype_names[i].item;
            return true;
        }
    return false;
}

const char *gen_file_format_name(gen_file_format f)
{
    static const char *const names[] = { "safetensors", "PyTorch zip",
                                         "PyTorch stream (before 1.6)" };
    return names[f];
}

const char *gen_quote(const char *s, char buf[GEN_QUOTE])
{
    size_t n = 0;
    for (; s[n] && n < GEN_QUOTE - 1; n++)
        buf[n] = (unsigned char)s[n] < 32 || s[n] == 127 ? '?' : s[n];
    buf[n] = 0;
    if (s[n]) {
        n -= 3;
        while (n && ((unsigned char)buf[n] & 0xc0) == 0x80) /* not inside a UTF-8 sequence */
            n--;
        memcpy(buf + n, "...", 4);
    }
    return buf;
}

bool gen_file_count(gen_shape s, uint64_t *count)
{
    uint64_t n = 1;
    bool zero = false;
    for (int i = 0; i < s.rank; i++) {
        if (s.dim[i] == 0)
            zero = true;
        else if (s.dim[i] < 0 || n > ((uint64_t)1 << 62) / (uint64_t)s.dim[i])
            return false;
        else
            n *= (uint64_t)s.dim[i];
    }
    *count = zero ? 0 : n;
    return true;
}

void gen_file_set_dense(gen_file_tensor *t)
{
    int64_t n = 1;
    for (int i = t->shape.rank - 1; i >= 0; i--) {
        t->stride[i] = n;
        n *= t->shape.dim[i] ? t->shape.dim[i] : 1;
    }
    t->dense = true;
}

uint64_t gen_file_tensor_count(const gen_file_tensor *t)
{
    uint64_t n = 0;
    return gen_file_count(t->shape, &n) ? n : 0;
}

/* ---- names ---------------------------------------------------------------------------------- */

/* UTF-8 without control characters; every name passes here before it is shown. */
static bool is_text(const char *s)
{
    const unsigned char *p = (const unsigned char *)s;
    while (*p) {
        int more = *p < 0x80                 ? 0
                   : *p >= 0xc2 && *p < 0xe0 ? 1
                   : (*p & 0xf0) == 0xe0     ? 2
                   : *p >= 0xf0 && *p < 0xf5 ? 3
                                             : -1;
        if (more < 0 || *p < 32 || *p == 127)
            return false;
        for (p++; more > 0; more--, p++)
            if ((*p & 0xc0) != 0x80)
                return false;
    }
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const gen_file_tensor *)a)->name, ((const gen_file_tensor *)b)->name);
}

gen_status gen_file_sort(gen_tensor_file *f)
{
    char q[GEN_QUOTE];
    qsort(f->tensor, (size_t)f->count, sizeof *f->tensor, by_name);
    for (int i = 0; i < f->count; i++) {
        const char *name = f->tensor[i].name;
        if (!*name || !is_text(name))
            return gen_fail(GEN_EMODEL, "tensor name '%s' is not printable text",
                            gen_quote(name, q));
        if (i && strcmp(f->tensor[i - 1].name, name) == 0)
            return gen_fail(GEN_EMODEL, "tensor '%s' comes twice", gen_quote(name, q));
    }
    return GEN_OK;
}

int gen_tensor_file_find(const gen_tensor_file *f, const char *name)
{
    int low = 0, high = f->count;
    while (low < high) {
        int mid = low + (high - low) / 2;
        int c = strcmp(f->tensor[mid].name, name);
        if (c == 0)
            return mid;
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return -1;
}

/* ---- reading -------------------------------------------------------------------------------- */

gen_status gen_read_at(int fd, uint64_t offset, void *out, uint64_t n)
{
    char *p = out;
    while (n) {
        ssize_t got = pread(fd, p, n < (1u << 30) ? n : (1u << 30), (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return gen_fail(GEN_EIO, "reading failed: %s", strerror(errno));
        if (got == 0)
            return gen_fail(GEN_EMODEL, "the file ends %llu bytes early", (unsigned long long)n);
        p += got;
        offset += (uint64_t)got;
        n -= (uint64_t)got;
    }
    return GEN_OK;
}

static gen_status read_bytes(const gen_tensor_file *f, const gen_file_tensor *t, uint64_t at,
                             void *out, uint64_t n)
{
    if (t->entry >= 0)
        return gen_torch_zip_read(f, t->entry, t->offset + at, out, n);
    return gen_read_at(f->fd, t->offset + at, out, n);
}

/* Last element's position, in elements from element 0. The open functions made sure it fits. */
static uint64_t span(const gen_file_tensor *t)
{
    uint64_t n = 0;
    for (int i = 0; i < t->shape.rank; i++)
        n += (uint64_t)(t->shape.dim[i] - 1) * (uint64_t)t->stride[i];
    return n;
}

/* A view with strides: its stretch of the storage is read, then gathered in row-major order. */
static gen_status read_strided(const gen_tensor_file *f, const gen_file_tensor *t, char *out)
{
    gen_status status;
    char *all = NULL;
    int64_t at[GEN_MAX_RANK] = { 0 };
    uint64_t count = gen_file_tensor_count(t), bytes = (span(t) + 1) * t->item;
    GEN_GOTO(gen_alloc_raw((void **)&all, bytes, 1, "tensor with strides"));
    GEN_GOTO(read_bytes(f, t, 0, all, bytes));
    for (uint64_t i = 0; i < count; i++) {
        uint64_t from = 0;
        for (int d = 0; d < t->shape.rank; d++)
            from += (uint64_t)(at[d] * t->stride[d]);
        memcpy(out + i * t->item, all + from * t->item, t->item);
        for (int d = t->shape.rank - 1; d >= 0 && ++at[d] == t->shape.dim[d]; d--)
            at[d] = 0;
    }
done:
    gen_free(all);
    return status;
}

gen_status gen_tensor_file_read_raw(const gen_tensor_file *f, int i, void *out)
{
    const gen_file_tensor *t = &f->tensor[i];
    uint64_t count = gen_file_tensor_count(t);
    if (!count)
        return GEN_OK;
    gen_status status =
        t->dense ? read_bytes(f, t, 0, out, count * t->item) : read_strided(f, t, out);
    if (status != GEN_OK)
        return gen_fail_in(status, "'%s', tensor '%s'", f->path, t->name);
    return GEN_OK;
}

static gen_status read_converted(const gen_tensor_file *f, const gen_file_tensor *t, float *out)
{
    gen_status status = GEN_OK;
    char *piece = NULL;
    uint64_t count = gen_file_tensor_count(t);
    uint64_t step = t->dense ? PIECE / t->item : count;
    GEN_GOTO(gen_alloc_raw((void **)&piece, step < count ? step : count, t->item, "conversion"));
    for (uint64_t i = 0; i < count; i += step) {
        uint64_t n = count - i < step ? count - i : step;
        if (t->dense)
            GEN_GOTO(read_bytes(f, t, i * t->item, piece, n * t->item));
        else
            GEN_GOTO(read_strided(f, t, piece));
        gen_convert(out + i, GEN_F32, piece, (gen_dtype)t->dtype, (int64_t)n);
    }
done:
    gen_free(piece);
    return status;
}

gen_status gen_tensor_file_read(const gen_tensor_file *f, int i, float *out)
{
    const gen_file_tensor *t = &f->tensor[i];
    if (t->dtype < 0)
        return gen_fail(GEN_EMODEL, "'%s', tensor '%s': elements of type %s are not supported",
                        f->path, t->name, t->dtype_text);
    if (t->dtype == GEN_F32)
        return gen_tensor_file_read_raw(f, i, out);
    if (!gen_file_tensor_count(t))
        return GEN_OK;
    gen_status status = read_converted(f, t, out);
    if (status != GEN_OK)
        return gen_fail_in(status, "'%s', tensor '%s'", f->path, t->name);
    return GEN_OK;
}

/* ---- opening -------------------------------------------------------------------------------- */

static bool starts(const unsigned char *head, uint64_t n, const char *magic, size_t length)
{
    return n >= length && memcmp(head, magic, length) == 0;
}

/* By the first bytes: the formats we read, and a word for those that people often have instead. */
static gen_status open_format(gen_tensor_file *f)
{
    unsigned char head[16] = { 0 };
    uint64_t n = f->size < sizeof head ? f->size : sizeof head;
    GEN_TRY(gen_read_at(f->fd, 0, head, n));
    if (n == 0)
        return gen_fail(GEN_EMODEL, "the file is empty");
    if (starts(head, n, "PK\3\4", 4) || starts(head, n, "PK\5\6", 4))
        return gen_torch_zip_open(f);
    if (n > 8 && head[8] == '{') /* before the stream: a length may well begin with 0x80 0x02 */
        return gen_safetensors_open(f);
    if (n >= 2 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5)
        return gen_torch_stream_open(f);
    static const struct {
        const char *magic;
        size_t length;
        const char *what;
    } others[] = {
        { "\211HDF\r\n\032\n", 8, "HDF5 (a Keras model or netCDF-4 data)" },
        { "CDF", 3, "netCDF data" },
        { "GGUF", 4, "GGUF" },
        { "\x93NUMPY", 6, "a NumPy array" },
        { "version https://", 16, "a Git LFS pointer: the file itself was not downloaded" },
        { "\037\213", 2, "gzip: unpack it first" },
        { "<", 1, "HTML or XML: perhaps an error page saved under this name" },
        { "{", 1, "JSON: perhaps the config.json beside the model" },
        { "\010", 1, "ONNX or another protobuf" },
    };
    for (int i = 0; i < GEN_LEN(others); i++)
        if (starts(head, n, others[i].magic, others[i].length))
            return gen_fail(GEN_EMODEL, "not a model file: it looks like %s", others[i].what);
    return gen_fail(GEN_EMODEL, "not a model file: neither safetensors nor saved by PyTorch");
}

gen_status gen_tensor_file_open(gen_tensor_file **out, const char *path)
{
    gen_status status;
    gen_tensor_file *f = NULL;
    struct stat st;
    *out = NULL;
    GEN_TRY(GEN_ALLOC(&f, 1, "model file"));
    f->fd = -1;
    f->metadata = "{}";
    GEN_GOTO(gen_strdup(&f->path, path));
    do
        f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not block us */
    while (f->fd < 0 && errno == EINTR);
    if (f->fd < 0 || fstat(f->fd, &st) != 0) {
        status = gen_fail(GEN_EDATA, "'%s': %s", path, strerror(errno));
        goto done;
    }
    if (!S_ISREG(st.st_mode)) {
        status = gen_fail(GEN_EDATA, "'%s' is not a file", path);
        goto done;
    }
    f->size = (uint64_t)st.st_size;
    status = open_format(f);
    if (status != GEN_OK)
        (void)gen_fail_in(status, "'%s'", path);
done:
    if (status != GEN_OK)
        gen_tensor_file_close(&f);
    *out = f;
    return status;
}

gen_status gen_tensor_file_config(const gen_tensor_file *f, char **text)
{
    char path[4096];
    uint64_t size;
    const char *slash = strrchr(f->path, '/');
    int folder = slash ? (int)(slash - f->path) + 1 : 0;
    *text = NULL;
    if (snprintf(path, sizeof path, "%.*sconfig.json", folder, f->path) >= (int)sizeof path ||
        access(path, F_OK) != 0)
        return GEN_OK;
    return gen_file_read(path, MAX_CONFIG, text, &size);
}

void gen_tensor_file_close(gen_tensor_file **file)
{
    gen_tensor_file *f = *file;
    if (!f)
        return;
    if (f->zip)
        gen_torch_zip_close(f);
    if (f->fd >= 0)
        close(f->fd);
    gen_arena_free(&f->arena);
    gen_free(f->path);
    gen_free(f);
    *file = NULL;
}
