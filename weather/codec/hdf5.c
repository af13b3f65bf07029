/* SPDX-License-Identifier: Apache-2.0
 *
 * HDF5 for radar readers: see hdf5.h.
 */
#include "weather/codec/hdf5.h"

#include <ctype.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "libgen/base/alloc.h"
#include "weather/codec/codec.h"

#define MAX_SIDE 65536                /* cells along an axis */
#define MAX_PATH 256                  /* bytes of an object's name */
#define MAX_CHUNK ((uint64_t)1 << 30) /* bytes; a chunk is inflated whole */
#define BEST_RATIO 1100               /* deflate cannot shrink more than 1032 times */
#define SPARE_BYTES ((uint64_t)64 << 20)
#define BLOCK_BYTES ((uint64_t)64 << 20) /* read at once, at most */
#define FEW_BYTES ((uint64_t)1 << 20)    /* read at once of data that have no chunks */

bool gen_hdf5_recognises(const unsigned char *head, size_t n)
{
    static const unsigned char signature[8] = { 0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n' };
    return n >= 8 && memcmp(head, signature, 8) == 0;
}

void gen_hdf5_enter(gen_hdf5_quiet *q)
{
    gen_netcdf_lock();
    H5Eget_auto2(H5E_DEFAULT, &q->report, &q->cookie);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void gen_hdf5_leave(const gen_hdf5_quiet *q)
{
    H5Eclear2(H5E_DEFAULT);
    H5Eset_auto2(H5E_DEFAULT, q->report, q->cookie);
    gen_netcdf_unlock();
}

gen_status gen_hdf5_open(gen_hdf5 *h, const char *path)
{
    struct stat info;
    *h = (gen_hdf5){ .path = path, .file = H5I_INVALID_HID };
    if (stat(path, &info) != 0)
        return gen_fail(GEN_EDATA, "cannot read '%s'", path);
    h->size = (uint64_t)info.st_size;
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access < 0)
        return gen_fail(GEN_ENOMEM, "no memory for HDF5");
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    h->file = H5Fopen(path, H5F_ACC_RDONLY, access);
    H5Pclose(access);
    if (h->file < 0)
        return gen_fail(GEN_EDATA, "'%s' is damaged: HDF5 cannot open it", path);
    return GEN_OK;
}

void gen_hdf5_close(gen_hdf5 *h)
{
    if (h->path && h->file >= 0)
        H5Fclose(h->file);
    *h = (gen_hdf5){ .file = H5I_INVALID_HID };
}

/* ---- objects ----------------------------------------------------------------------------- */

/* H5Oopen follows links of every kind: so each link on the way is looked at first. */
static hid_t open_object(const gen_hdf5 *h, const char *object)
{
    char path[MAX_PATH];
    H5L_info_t link;
    size_t length = strlen(object);
    if (length >= sizeof path)
        return H5I_INVALID_HID;
    for (size_t end = 0; end < length; end++) {
        end += strcspn(object + end, "/");
        memcpy(path, object, end);
        path[end] = 0;
        if (H5Lexists(h->file, path, H5P_DEFAULT) <= 0 ||
            H5Lget_info(h->file, path, &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD)
            return H5I_INVALID_HID;
    }
    return H5Oopen(h->file, length ? object : "/", H5P_DEFAULT);
}

bool gen_hdf5_has(const gen_hdf5 *h, const char *object)
{
    hid_t id = open_object(h, object);
    if (id >= 0)
        H5Oclose(id);
    return id >= 0;
}

bool gen_hdf5_has_attribute(const gen_hdf5 *h, const char *object, const char *name)
{
    hid_t id = open_object(h, object);
    bool has = id >= 0 && H5Aexists(id, name) > 0;
    if (id >= 0)
        H5Oclose(id);
    return has;
}

/* ---- attributes -------------------------------------------------------------------------- */

typedef struct attribute {
    const char *path, *object, *name;
    hid_t owner, id, type, space;
    H5T_class_t kind;
    hssize_t count;
} attribute;

static void attribute_close(attribute *a)
{
    if (a->space >= 0)
        H5Sclose(a->space);
    if (a->type >= 0)
        H5Tclose(a->type);
    if (a->id >= 0)
        H5Aclose(a->id);
    if (a->owner >= 0)
        H5Oclose(a->owner);
}

static gen_status attribute_fail(const attribute *a, const char *what)
{
    return gen_fail(GEN_EDATA, "'%s': attribute '%s' of '/%s' %s", a->path, a->name, a->object,
                    what);
}

/* a->id < 0: there is none. Close it in any case. */
static gen_status attribute_open(attribute *a, const gen_hdf5 *h, const char *object,
                                 const char *name)
{
    hid_t none = H5I_INVALID_HID;
    *a = (attribute){ h->path, object, name, .id = none, .type = none, .space = none };
    a->owner = open_object(h, object);
    if (a->owner < 0 || H5Aexists(a->owner, name) <= 0)
        return GEN_OK;
    a->id = H5Aopen(a->owner, name, H5P_DEFAULT);
    if (a->id >= 0) {
        a->type = H5Aget_type(a->id);
        a->space = H5Aget_space(a->id);
    }
    if (a->type < 0 || a->space < 0)
        return attribute_fail(a, "cannot be read");
    a->kind = H5Tget_class(a->type);
    a->count = H5Sget_simple_extent_npoints(a->space);
    return GEN_OK;
}

static void cut_blanks(char *text)
{
    size_t n = strlen(text);
    while (n && isspace((unsigned char)text[n - 1]))
        text[--n] = 0;
}

/* Text of any length, which HDF5 allocates. */
static gen_status read_variable_text(const attribute *a, char out[GEN_HDF5_TEXT])
{
    char *text = NULL;
    gen_status status = GEN_OK;
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5Tget_cset(a->type));
    if (H5Aread(a->id, type, &text) < 0)
        status = attribute_fail(a, "cannot be read");
    else if (text && strlen(text) >= GEN_HDF5_TEXT)
        status = attribute_fail(a, "is too long a text");
    else
        snprintf(out, GEN_HDF5_TEXT, "%s", text ? text : "");
    H5free_memory(text);
    H5Tclose(type);
    return status;
}

static gen_status read_text(const attribute *a, char out[GEN_HDF5_TEXT])
{
    if (a->kind != H5T_STRING || a->count != 1)
        return attribute_fail(a, a->kind != H5T_STRING ? "is no text" : "is not one text");
    if (H5Tis_variable_str(a->type) > 0)
        return read_variable_text(a, out);
    size_t size = H5Tget_size(a->type);
    if (size >= GEN_HDF5_TEXT)
        return attribute_fail(a, "is too long a text");
    memset(out, 0, GEN_HDF5_TEXT);
    return H5Aread(a->id, a->type, out) < 0 ? attribute_fail(a, "cannot be read") : GEN_OK;
}

gen_status gen_hdf5_text(const gen_hdf5 *h, const char *object, const char *name,
                         char out[GEN_HDF5_TEXT])
{
    attribute a;
    out[0] = 0;
    gen_status status = attribute_open(&a, h, object, name);
    if (status == GEN_OK && a.id >= 0)
        status = read_text(&a, out);
    attribute_close(&a);
    cut_blanks(out);
    return status;
}

static gen_status read_numbers(const attribute *a, double *out, int *n)
{
    char what[120];
    if (a->kind != H5T_INTEGER && a->kind != H5T_FLOAT)
        return attribute_fail(a, a->kind == H5T_STRING ? "is text, expected a number"
                                                       : "is no number");
    if (a->count < 1 || a->count > *n) {
        snprintf(what, sizeof what, "holds %lld numbers, expected %s%d", (long long)a->count,
                 *n > 1 ? "at most " : "", *n);
        return attribute_fail(a, what);
    }
    if (H5Aread(a->id, H5T_NATIVE_DOUBLE, out) < 0)
        return attribute_fail(a, "cannot be read");
    *n = (int)a->count;
    for (int i = 0; i < *n; i++)
        if (!isfinite(out[i]))
            return attribute_fail(a, "is not finite");
    return GEN_OK;
}

gen_status gen_hdf5_numbers(const gen_hdf5 *h, const char *object, const char *name, double *out,
                            int *n)
{
    attribute a;
    gen_status status = attribute_open(&a, h, object, name);
    if (status == GEN_OK && a.id >= 0)
        status = read_numbers(&a, out, n);
    else
        *n = 0;
    attribute_close(&a);
    return status;
}

gen_status gen_hdf5_number(const gen_hdf5 *h, const char *object, const char *name, double preset,
                           double *out)
{
    int n = 1;
    *out = preset;
    return gen_hdf5_numbers(h, object, name, out, &n);
}

/* ---- datasets ---------------------------------------------------------------------------- */

/* What a cell is in memory. */
typedef enum cell_type { U8, I8, U16, I16, I32, F32, F64 /* also larger integers */ } cell_type;

typedef struct grid {
    const gen_hdf5 *h;
    const char *object;
    hid_t data;
    int64_t height, width;
    cell_type cell;
    int64_t rows; /* read at once: a row of chunks */
} grid;

static gen_status grid_fail(const grid *g, const char *what)
{
    return gen_fail(GEN_EDATA, "'%s': dataset '/%s' %s", g->h->path, g->object, what);
}

static gen_status check_type(grid *g)
{
    hid_t type = H5Dget_type(g->data);
    if (type < 0)
        return grid_fail(g, "cannot be read");
    H5T_class_t kind = H5Tget_class(type);
    size_t size = H5Tget_size(type);
    bool is_signed = kind == H5T_INTEGER && H5Tget_sign(type) != H5T_SGN_NONE;
    H5Tclose(type);
    if ((kind != H5T_INTEGER && kind != H5T_FLOAT) || size < 1 || size > 8)
        return grid_fail(g, "holds no numbers of 8 to 64 bits");
    if (kind == H5T_FLOAT)
        g->cell = size <= 4 ? F32 : F64;
    else if (size == 1)
        g->cell = is_signed ? I8 : U8;
    else if (size == 2)
        g->cell = is_signed ? I16 : U16;
    else
        g->cell = size <= 4 && is_signed ? I32 : F64;
    return GEN_OK;
}

static uint64_t cell_bytes(cell_type cell)
{
    static const uint64_t bytes[] = { 1, 1, 2, 2, 4, 4, 8 };
    return bytes[cell];
}

static gen_status check_shape(grid *g)
{
    hsize_t side[2] = { 0, 0 };
    char what[160];
    hid_t space = H5Dget_space(g->data);
    int rank = space < 0 ? -1 : H5Sget_simple_extent_ndims(space);
    if (rank == 2)
        H5Sget_simple_extent_dims(space, side, NULL);
    if (space >= 0)
        H5Sclose(space);
    if (rank != 2 || side[0] < 1 || side[0] > MAX_SIDE || side[1] < 1 || side[1] > MAX_SIDE) {
        snprintf(what, sizeof what, "has %d dimensions, %llu x %llu, expected two of 1 to %d cells",
                 rank, (unsigned long long)side[0], (unsigned long long)side[1], MAX_SIDE);
        return grid_fail(g, what);
    }
    uint64_t bytes = side[0] * side[1] * cell_bytes(g->cell); /* < 2^36 */
    if (bytes / BEST_RATIO > g->h->size + SPARE_BYTES / BEST_RATIO) {
        snprintf(what, sizeof what, "declares %llu bytes, but the file has %llu",
                 (unsigned long long)bytes, (unsigned long long)g->h->size);
        return grid_fail(g, what);
    }
    g->height = (int64_t)side[0];
    g->width = (int64_t)side[1];
    return GEN_OK;
}

/* Filters beyond those of the library itself are loaded from files. */
static gen_status check_filters(const grid *g, hid_t how)
{
    int n = H5Pget_nfilters(how);
    for (int i = 0; i < n; i++) {
        unsigned flags, config;
        size_t values = 0;
        H5Z_filter_t filter =
            H5Pget_filter2(how, (unsigned)i, &flags, &values, NULL, 0, NULL, &config);
        if (filter < 0 || filter >= H5Z_FILTER_RESERVED)
            return grid_fail(g, "is packed by a filter that is no part of HDF5");
    }
    return n < 0 ? grid_fail(g, "cannot be read") : GEN_OK;
}

static gen_status check_storage(grid *g, hid_t how)
{
    hsize_t chunk[2] = { 0, 0 };
    uint64_t row = (uint64_t)g->width * cell_bytes(g->cell), rows = FEW_BYTES / row;
    H5D_layout_t layout = H5Pget_layout(how);
    if (layout == H5D_VIRTUAL || H5Pget_external_count(how) != 0)
        return grid_fail(g, "has its data in other files");
    if (layout == H5D_CHUNKED) {
        if (H5Pget_chunk(how, 2, chunk) != 2)
            return grid_fail(g, "cannot be read");
        if (chunk[0] > MAX_CHUNK || chunk[1] > MAX_CHUNK ||
            chunk[0] * chunk[1] > MAX_CHUNK / cell_bytes(g->cell))
            return grid_fail(g, "has chunks of more than 1 GB");
        rows = chunk[0];
        GEN_TRY(check_filters(g, how));
    }
    rows = rows * row > BLOCK_BYTES ? BLOCK_BYTES / row : rows;
    g->rows = rows < 1 ? 1 : rows > (uint64_t)g->height ? g->height : (int64_t)rows;
    return GEN_OK;
}

/* Close it in any case. */
static gen_status grid_open(grid *g, const gen_hdf5 *h, const char *object)
{
    *g = (grid){ h, object, .data = open_object(h, object) };
    if (g->data < 0 || H5Iget_type(g->data) != H5I_DATASET)
        return gen_fail(GEN_EDATA, "'%s' has no dataset '/%s'", h->path, object);
    GEN_TRY(check_type(g));
    GEN_TRY(check_shape(g));
    hid_t how = H5Dget_create_plist(g->data);
    if (how < 0)
        return grid_fail(g, "cannot be read");
    gen_status status = check_storage(g, how);
    H5Pclose(how);
    return status;
}

static void grid_close(grid *g)
{
    if (g->data >= 0)
        H5Oclose(g->data);
}

gen_status gen_hdf5_shape(const gen_hdf5 *h, const char *object, int64_t *height, int64_t *width)
{
    grid g;
    gen_status status = grid_open(&g, h, object);
    *height = g.height;
    *width = g.width;
    grid_close(&g);
    return status;
}

/* ---- values ------------------------------------------------------------------------------ */

static float value(const gen_hdf5_packing *p, double packed)
{
    if (packed == p->missing[0] || packed == p->missing[1])
        return NAN;
    if (packed == p->undetected)
        return GEN_UNDETECTED;
    double v = packed * p->gain + p->offset;
    return fabs(v) <= (double)FLT_MAX ? (float)v : NAN;
}

static void unpack(const gen_hdf5_packing *p, cell_type cell, const void *from, float *to,
                   int64_t n)
{
#define UNPACK(type)                                                                               \
    for (int64_t i = 0; i < n; i++)                                                                \
        to[i] = value(p, (double)((const type *)from)[i]);                                         \
    return
    switch (cell) {
    case U8:
        UNPACK(uint8_t);
    case I8:
        UNPACK(int8_t);
    case U16:
        UNPACK(uint16_t);
    case I16:
        UNPACK(int16_t);
    case I32:
        UNPACK(int32_t);
    case F32:
        UNPACK(float);
    case F64:
        UNPACK(double);
    }
#undef UNPACK
}

static hid_t memory_type(cell_type cell)
{
    switch (cell) {
    case U8:
        return H5T_NATIVE_UINT8;
    case I8:
        return H5T_NATIVE_INT8;
    case U16:
        return H5T_NATIVE_UINT16;
    case I16:
        return H5T_NATIVE_INT16;
    case I32:
        return H5T_NATIVE_INT32;
    case F32:
        return H5T_NATIVE_FLOAT;
    default:
        return H5T_NATIVE_DOUBLE;
    }
}

static bool read_rows(const grid *g, int64_t first, int64_t rows, void *out)
{
    hsize_t start[2] = { (hsize_t)first, 0 }, count[2] = { (hsize_t)rows, (hsize_t)g->width };
    hid_t from = H5Dget_space(g->data), to = H5Screate_simple(2, count, NULL);
    bool fine = from >= 0 && to >= 0 &&
                H5Sselect_hyperslab(from, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
                H5Dread(g->data, memory_type(g->cell), to, from, H5P_DEFAULT, out) >= 0;
    if (from >= 0)
        H5Sclose(from);
    if (to >= 0)
        H5Sclose(to);
    return fine;
}

/* A number that a file gives in double is rounded as the cells are. */
static double as_cell(const grid *g, double v)
{
    return g->cell == F32 && fabs(v) <= (double)FLT_MAX ? (double)(float)v : v;
}

static gen_status read_values(const grid *g, const gen_hdf5_packing *p, float *values)
{
    void *block = NULL;
    gen_hdf5_packing q = *p;
    gen_status status = GEN_OK;
    q.missing[0] = as_cell(g, p->missing[0]);
    q.missing[1] = as_cell(g, p->missing[1]);
    q.undetected = as_cell(g, p->undetected);
    GEN_TRY(gen_alloc_raw(&block, (uint64_t)(g->rows * g->width), cell_bytes(g->cell),
                          "rows of a radar file"));
    for (int64_t y = 0; y < g->height && status == GEN_OK; y += g->rows) {
        int64_t rows = g->height - y < g->rows ? g->height - y : g->rows;
        if (read_rows(g, y, rows, block))
            unpack(&q, g->cell, block, values + y * g->width, rows * g->width);
        else
            status = grid_fail(g, "is damaged: its data cannot be read");
    }
    gen_free(block);
    return status;
}

gen_status gen_hdf5_read(const gen_hdf5 *h, const char *object, const gen_hdf5_packing *p,
                         int64_t height, int64_t width, float *values)
{
    grid g;
    gen_status status = grid_open(&g, h, object);
    if (status == GEN_OK && (g.height != height || g.width != width))
        status = grid_fail(&g, "changed its shape while it was read");
    if (status == GEN_OK)
        status = read_values(&g, p, values);
    grid_close(&g);
    return status;
}
