/* SPDX-License-Identifier: Apache-2.0
 *
 * Shapes, dtypes, conversion and comparison.
 */
#include <libgen/tensor.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "libgen/tensor/half.h"

gen_shape gen_shape_make(int rank, const int64_t *dim)
{
    gen_shape s = { .rank = rank };
    for (int i = 0; i < rank && i < GEN_MAX_RANK; i++)
        s.dim[i] = dim[i];
    return s;
}

bool gen_shape_equal(gen_shape a, gen_shape b)
{
    if (a.rank != b.rank)
        return false;
    for (int i = 0; i < a.rank; i++)
        if (a.dim[i] != b.dim[i])
            return false;
    return true;
}

int64_t gen_shape_count(gen_shape s)
{
    int64_t n = 1;
    if (s.rank < 0 || s.rank > GEN_MAX_RANK)
        return -1;
    for (int i = 0; i < s.rank; i++) {
        if (s.dim[i] < 1 || s.dim[i] > INT64_MAX / 16 / n)
            return -1;
        n *= s.dim[i];
    }
    return n;
}

const char *gen_shape_text(gen_shape s, char buf[GEN_SHAPE_TEXT])
{
    size_t n = 0;
    buf[n++] = '[';
    for (int i = 0; i < s.rank && i < GEN_MAX_RANK; i++)
        n += (size_t)snprintf(buf + n, GEN_SHAPE_TEXT - n - 2, "%s%lld", i ? "," : "",
                              (long long)s.dim[i]);
    buf[n] = ']';
    buf[n + 1] = 0;
    return buf;
}

static const struct {
    const char *name;
    size_t size;
    bool is_float;
} types[] = {
    [GEN_F32] = { "f32", 4, true },   [GEN_F64] = { "f64", 8, true },
    [GEN_BF16] = { "bf16", 2, true }, [GEN_F16] = { "f16", 2, true },
    [GEN_I32] = { "i32", 4, false },  [GEN_I64] = { "i64", 8, false },
    [GEN_U8] = { "u8", 1, false },
};

size_t gen_dtype_size(gen_dtype t)
{
    return (unsigned)t < (unsigned)GEN_LEN(types) ? types[t].size : 0;
}

const char *gen_dtype_name(gen_dtype t)
{
    return (unsigned)t < (unsigned)GEN_LEN(types) ? types[t].name : "?";
}

bool gen_dtype_is_float(gen_dtype t)
{
    return (unsigned)t < (unsigned)GEN_LEN(types) && types[t].is_float;
}

size_t gen_tensor_bytes(const gen_tensor *t)
{
    int64_t n = gen_shape_count(t->shape);
    return n < 0 ? 0 : (size_t)n * gen_dtype_size(t->dtype);
}

static double load(const void *p, gen_dtype t, int64_t i)
{
    switch (t) {
    case GEN_F32:
        return ((const float *)p)[i];
    case GEN_F64:
        return ((const double *)p)[i];
    case GEN_BF16:
        return gen_bf16_to_f32(((const uint16_t *)p)[i]);
    case GEN_F16:
        return gen_f16_to_f32(((const uint16_t *)p)[i]);
    case GEN_I32:
        return ((const int32_t *)p)[i];
    case GEN_I64:
        return (double)((const int64_t *)p)[i];
    case GEN_U8:
        return ((const uint8_t *)p)[i];
    }
    return 0;
}

/* Rounds to nearest even; NaN becomes 0. */
static double to_integer(double v, double lo, double hi)
{
    if (isnan(v))
        return 0;
    v = nearbyint(v);
    return v < lo ? lo : v > hi ? hi : v;
}

static void store(void *p, gen_dtype t, int64_t i, double v)
{
    switch (t) {
    case GEN_F32:
        ((float *)p)[i] = (float)v;
        break;
    case GEN_F64:
        ((double *)p)[i] = v;
        break;
    case GEN_BF16:
        ((uint16_t *)p)[i] = gen_f32_to_bf16((float)v);
        break;
    case GEN_F16:
        ((uint16_t *)p)[i] = gen_f32_to_f16((float)v);
        break;
    case GEN_I32:
        ((int32_t *)p)[i] = (int32_t)to_integer(v, INT32_MIN, INT32_MAX);
        break;
    case GEN_I64: /* the largest double below 2^63 */
        ((int64_t *)p)[i] = (int64_t)to_integer(v, -9223372036854775808.0, 9223372036854774784.0);
        break;
    case GEN_U8:
        ((uint8_t *)p)[i] = (uint8_t)to_integer(v, 0, 255);
        break;
    }
}

void gen_convert(void *dst, gen_dtype dt, const void *src, gen_dtype st, int64_t n)
{
    if (dt == st) {
        memcpy(dst, src, (size_t)n * gen_dtype_size(dt));
        return;
    }
    if (dt == GEN_I64 && !gen_dtype_is_float(st)) { /* exact, not through double */
        for (int64_t i = 0; i < n; i++)
            ((int64_t *)dst)[i] =
                st == GEN_I32 ? ((const int32_t *)src)[i] : ((const uint8_t *)src)[i];
        return;
    }
    if (dt == GEN_F64 && st == GEN_F32) {
        for (int64_t i = 0; i < n; i++)
            ((double *)dst)[i] = ((const float *)src)[i];
    } else if (dt == GEN_F32 && st == GEN_F64) {
        for (int64_t i = 0; i < n; i++)
            ((float *)dst)[i] = (float)((const double *)src)[i];
    } else if (dt == GEN_BF16 && st == GEN_F32) {
        for (int64_t i = 0; i < n; i++)
            ((uint16_t *)dst)[i] = gen_f32_to_bf16(((const float *)src)[i]);
    } else if (dt == GEN_F32 && st == GEN_BF16) {
        for (int64_t i = 0; i < n; i++)
            ((float *)dst)[i] = gen_bf16_to_f32(((const uint16_t *)src)[i]);
    } else {
        for (int64_t i = 0; i < n; i++)
            store(dst, dt, i, load(src, st, i));
    }
}

gen_difference gen_compare(const gen_tensor *a, const gen_tensor *b)
{
    gen_difference d = { 0 };
    int64_t n = gen_shape_count(a->shape);
    double top = 0, scale = 0, dd = 0, bb = 0;
    for (int64_t i = 0; i < n; i++) {
        double x = load(a->data, a->dtype, i), y = load(b->data, b->dtype, i);
        double e = fabs(x - y);
        if (isnan(x) && isnan(y))
            e = 0, y = 0;
        else if (!isfinite(x) || !isfinite(y))
            e = x == y ? 0 : INFINITY, y = 0;
        if (e > top) {
            top = e;
            d.worst = i;
        }
        scale = fabs(y) > scale ? fabs(y) : scale;
        dd += e * e;
        bb += y * y;
    }
    d.relative = scale > 0 ? top / scale : top;
    d.norm = bb > 0 ? sqrt(dd / bb) : sqrt(dd);
    return d;
}

gen_status gen_tensor_create(gen_tensor *out, gen_dtype dtype, gen_shape shape)
{
    int64_t n = gen_shape_count(shape);
    char text[GEN_SHAPE_TEXT];
    *out = (gen_tensor){ .dtype = dtype, .shape = shape };
    if (n < 0)
        return gen_fail(GEN_EINVAL, "tensor: shape %s has no size", gen_shape_text(shape, text));
    return gen_alloc(&out->data, (uint64_t)n, gen_dtype_size(dtype), "tensor");
}

void gen_tensor_free(gen_tensor *t)
{
    gen_free(t->data);
    t->data = NULL;
}
