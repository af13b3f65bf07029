/* SPDX-License-Identifier: Apache-2.0
 *
 * Two-dimensional datasets of HDF5 as values: see hdf5.h.
 *
 * Radar maps are nearly always chunks that are deflated, and most of the time of reading them goes
 * into inflating. So the packed chunks are taken from HDF5 as they are and inflated by libdeflate,
 * which is two to three times as fast as zlib below HDF5. HDF5 reads everything else.
 */
#include <float.h>
#include <libdeflate.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "weather/codec/codec.h"
#include "weather/codec/hdf5.h"

#define MAX_SIDE 65536                /* cells along an axis */
#define MAX_CHUNK ((uint64_t)1 << 30) /* bytes; a chunk is inflated whole */
#define BEST_RATIO 1100               /* deflate cannot shrink more than 1032 times */
#define SPARE_BYTES ((uint64_t)64 << 20)
#define BLOCK_BYTES ((uint64_t)64 << 20) /* read at once, at most */
#define FEW_BYTES ((uint64_t)1 << 20)    /* read at once of data that have no chunks */

/* What a cell is in memory. */
typedef enum cell_type { U8, I8, U16, I16, I32, F32, F64 /* also larger integers */ } cell_type;

typedef struct grid {
    const gen_hdf5 *h;
    const char *object;
    hid_t data;
    int64_t height, width;
    cell_type cell;
    int64_t rows; /* read at once */
    hsize_t chunk[2];
    bool deflated, shuffled; /* chunks that we unpack ourselves */
} grid;

/* ---- what the file declares -------------------------------------------------------------- */

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

static gen_status check_bytes(const grid *g, const char *what, uint64_t bytes)
{
    if (bytes / BEST_RATIO > g->h->size + SPARE_BYTES / BEST_RATIO)
        return gen_fail(GEN_EDATA, "'%s': dataset '/%s' %s %llu bytes, but the file has %llu",
                        g->h->path, g->object, what, (unsigned long long)bytes,
                        (unsigned long long)g->h->size);
    return GEN_OK;
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
    GEN_TRY(check_bytes(g, "declares", bytes));
    g->height = (int64_t)side[0];
    g->width = (int64_t)side[1];
    return GEN_OK;
}

/* Filters beyond those of the library itself are loaded from files. */
static gen_status check_filters(grid *g, hid_t how)
{
    int n = H5Pget_nfilters(how);
    bool ours = n == 1 || n == 2;
    for (int i = 0; i < n; i++) {
        unsigned flags, config;
        size_t values = 0;
        H5Z_filter_t filter =
            H5Pget_filter2(how, (unsigned)i, &flags, &values, NULL, 0, NULL, &config);
        if (filter < 0 || filter >= H5Z_FILTER_RESERVED)
            return grid_fail(g, "is packed by a filter that is no part of HDF5");
        ours = ours && filter == (i == n - 1 ? H5Z_FILTER_DEFLATE : H5Z_FILTER_SHUFFLE);
    }
    g->deflated = ours;
    g->shuffled = ours && n == 2;
    return n < 0 ? grid_fail(g, "cannot be read") : GEN_OK;
}

static gen_status check_chunks(grid *g, hid_t how)
{
    uint64_t most = MAX_CHUNK / cell_bytes(g->cell);
    if (H5Pget_chunk(how, 2, g->chunk) != 2 || g->chunk[0] < 1 || g->chunk[1] < 1)
        return grid_fail(g, "cannot be read");
    if (g->chunk[0] > most || g->chunk[1] > most || g->chunk[0] * g->chunk[1] > most)
        return grid_fail(g, "has chunks of more than 1 GB");
    GEN_TRY(check_bytes(g, "declares chunks of", g->chunk[0] * g->chunk[1] * cell_bytes(g->cell)));
    return check_filters(g, how);
}

static gen_status check_storage(grid *g, hid_t how)
{
    uint64_t row = (uint64_t)g->width * cell_bytes(g->cell), rows = FEW_BYTES / row;
    H5D_layout_t layout = H5Pget_layout(how);
    if (layout == H5D_VIRTUAL || H5Pget_external_count(how) != 0)
        return grid_fail(g, "has its data in other files");
    if (layout == H5D_CHUNKED) {
        GEN_TRY(check_chunks(g, how));
        rows = g->chunk[0];
    }
    rows = rows > BLOCK_BYTES / row ? BLOCK_BYTES / row : rows;
    g->rows = rows < 1 ? 1 : rows > (uint64_t)g->height ? g->height : (int64_t)rows;
    return GEN_OK;
}

/* Close it in any case. */
static gen_status grid_open(grid *g, const gen_hdf5 *h, const char *object)
{
    *g = (grid){ h, object, .data = gen_hdf5_open_object(h, object) };
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

static gen_status damaged(const grid *g)
{
    return grid_fail(g, "is damaged: its data cannot be read");
}

static gen_status read_by_rows(const grid *g, const gen_hdf5_packing *p, float *values)
{
    void *block = NULL;
    gen_status status = GEN_OK;
    GEN_TRY(gen_alloc_raw(&block, (uint64_t)(g->rows * g->width), cell_bytes(g->cell),
                          "rows of a radar file"));
    for (int64_t y = 0; y < g->height && status == GEN_OK; y += g->rows) {
        int64_t rows = g->height - y < g->rows ? g->height - y : g->rows;
        if (read_rows(g, y, rows, block))
            unpack(p, g->cell, block, values + y * g->width, rows * g->width);
        else
            status = damaged(g);
    }
    gen_free(block);
    return status;
}

/* ---- chunks ------------------------------------------------------------------------------ */

typedef struct unpacker {
    struct libdeflate_decompressor *inflate;
    unsigned char *packed, *plain, *shuffled; /* one chunk */
    uint64_t capacity;                        /* of packed */
    uint64_t bytes;                           /* of the others */
} unpacker;

static gen_status unpacker_open(unpacker *u, const grid *g)
{
    u->bytes = g->chunk[0] * g->chunk[1] * cell_bytes(g->cell);
    u->inflate = libdeflate_alloc_decompressor();
    if (!u->inflate)
        return gen_fail(GEN_ENOMEM, "no memory for inflating '%s'", g->h->path);
    GEN_TRY(gen_alloc_raw((void **)&u->plain, u->bytes, 1, "a chunk of a radar file"));
    if (g->shuffled)
        GEN_TRY(gen_alloc_raw((void **)&u->shuffled, u->bytes, 1, "a chunk of a radar file"));
    return GEN_OK;
}

static void unpacker_close(unpacker *u)
{
    if (u->inflate)
        libdeflate_free_decompressor(u->inflate);
    gen_free(u->packed);
    gen_free(u->plain);
    gen_free(u->shuffled);
}

/* Shuffled data have the first byte of every cell first, then the second ones ... */
static void unshuffle(const unsigned char *from, unsigned char *to, uint64_t cells, uint64_t size)
{
    for (uint64_t b = 0; b < size; b++)
        for (uint64_t i = 0; i < cells; i++)
            to[i * size + b] = from[b * cells + i];
}

/* The chunk at `at` into u->plain. False: HDF5 must read the dataset (a chunk that is not there, or
 * packed otherwise than the others). */
static gen_status unpack_chunk(unpacker *u, const grid *g, const hsize_t at[2], bool *taken)
{
    hsize_t size = 0;
    uint32_t skipped = 0;
    uint64_t cell = cell_bytes(g->cell);
    *taken = H5Dget_chunk_storage_size(g->data, at, &size) >= 0 && size > 0;
    if (!*taken)
        return GEN_OK;
    if (size > g->h->size)
        return damaged(g);
    GEN_TRY(GEN_GROW(&u->packed, &u->capacity, size));
    if (H5Dread_chunk(g->data, H5P_DEFAULT, at, &skipped, u->packed) < 0)
        return damaged(g);
    *taken = skipped == 0;
    if (!*taken)
        return GEN_OK;
    if (libdeflate_zlib_decompress(u->inflate, u->packed, size,
                                   g->shuffled ? u->shuffled : u->plain, u->bytes,
                                   NULL) != LIBDEFLATE_SUCCESS)
        return damaged(g);
    if (g->shuffled)
        unshuffle(u->shuffled, u->plain, u->bytes / cell, cell);
    return GEN_OK;
}

static void place_chunk(const unpacker *u, const grid *g, const gen_hdf5_packing *p,
                        const hsize_t at[2], float *values)
{
    int64_t y = (int64_t)at[0], x = (int64_t)at[1], h = (int64_t)g->chunk[0],
            w = (int64_t)g->chunk[1];
    int64_t rows = g->height - y < h ? g->height - y : h;
    int64_t columns = g->width - x < w ? g->width - x : w;
    for (int64_t j = 0; j < rows; j++)
        unpack(p, g->cell, u->plain + (uint64_t)(j * w) * cell_bytes(g->cell),
               values + (y + j) * g->width + x, columns);
}

static gen_status read_chunks(const grid *g, const gen_hdf5_packing *p, float *values, bool *taken)
{
    gen_status status;
    unpacker u = { 0 };
    *taken = true;
    GEN_GOTO(unpacker_open(&u, g));
    for (hsize_t y = 0; y < (hsize_t)g->height && *taken; y += g->chunk[0])
        for (hsize_t x = 0; x < (hsize_t)g->width && *taken; x += g->chunk[1]) {
            const hsize_t at[2] = { y, x };
            GEN_GOTO(unpack_chunk(&u, g, at, taken));
            if (*taken)
                place_chunk(&u, g, p, at, values);
        }
    status = GEN_OK;
done:
    unpacker_close(&u);
    return status;
}

/* Cells in memory are as they are in the file. */
static bool is_native(const grid *g)
{
    hid_t type = H5Dget_type(g->data);
    bool same = type >= 0 && H5Tequal(type, memory_type(g->cell)) > 0;
    if (type >= 0)
        H5Tclose(type);
    return same;
}

gen_status gen_hdf5_read(const gen_hdf5 *h, const char *object, const gen_hdf5_packing *packing,
                         int64_t height, int64_t width, float *values)
{
    grid g;
    gen_hdf5_packing p = *packing;
    bool taken = false;
    gen_status status = grid_open(&g, h, object);
    if (status == GEN_OK && (g.height != height || g.width != width))
        status = grid_fail(&g, "changed its shape while it was read");
    p.missing[0] = as_cell(&g, p.missing[0]);
    p.missing[1] = as_cell(&g, p.missing[1]);
    p.undetected = as_cell(&g, p.undetected);
    if (status == GEN_OK && g.deflated && is_native(&g))
        status = read_chunks(&g, &p, values, &taken);
    if (status == GEN_OK && !taken)
        status = read_by_rows(&g, &p, values);
    grid_close(&g);
    return status;
}
