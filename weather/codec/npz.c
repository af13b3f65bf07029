/* SPDX-License-Identifier: Apache-2.0
 *
 * Reader of MeteoNet's radar files: NumPy archives (.npz) of Météo-France.
 *
 * The format: a zip file of .npy arrays
 *   data        int16 [times,rows,columns], row 0 north
 *   dates       [times] datetime objects of Python, pickled, UTC; read by our own pickle machine,
 *               which knows this one class and executes nothing
 *   miss_dates  times without a map; not read: what is not there is a gap anyway
 * No array says what the numbers are; the file's name does, by its producer's rule:
 *   rainfall_*      1/100 mm in 5 minutes, -1 missing
 *   reflectivity_*  dBZ, 255 missing, 0 nothing detected
 * Of a file of another name the numbers are read as they are.
 *
 * Places lie in a file beside it, radar_coords_ZONE.npz, where ZONE is a part of the name (as in
 * rainfall_NW_2016_08.3.npz): lats and lons, float64 [rows,columns], of the cells' centres, a grid
 * regular in degrees. Without that file the cells are numbered.
 */
#include <libdeflate.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

#include "libgen/base/alloc.h"
#include "libgen/model/pickle.h"
#include "libgen/tensor/npy.h"
#include "weather/codec/raster.h"

#define MAX_UNPACKED ((uint64_t)1 << 30) /* bytes of an array, unless the caller says */
#define MAX_PLACES ((uint64_t)256 << 20)
#define DEFLATE_MOST 1040 /* bytes that one packed byte can become */

typedef struct npz_state {
    unsigned char *data; /* the array with its header */
    gen_npy_header header;
    float value[65536]; /* of each number of a cell */
} npz_state;

/* ---- arrays of an archive -------------------------------------------------------------------- */

static gen_status open_zip(const char *path, const unsigned char *bytes, uint64_t size, zip_t **out)
{
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(bytes, size, 0, &error);
    *out = source ? zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error) : NULL;
    if (!*out) {
        gen_fail(GEN_EDATA, "'%s' is damaged: %s", path, zip_error_strerror(&error));
        zip_source_free(source);
    }
    zip_error_fini(&error);
    return *out ? GEN_OK : GEN_EDATA;
}

/* n bytes of an entry, as they lie in the file (packed) or unpacked by libzip. */
static gen_status read_entry(zip_t *z, const char *path, const char *name, const zip_stat_t *st,
                             bool packed, unsigned char *out, uint64_t n)
{
    unsigned char more;
    zip_file_t *entry = zip_fopen_index(z, st->index, packed ? ZIP_FL_COMPRESSED : 0);
    if (!entry)
        return gen_fail(GEN_EDATA, "'%s': %s: %s", path, name, zip_strerror(z));
    zip_int64_t got = zip_fread(entry, out, n);
    bool fine = got >= 0 && (uint64_t)got == n && zip_fread(entry, &more, 1) == 0; /* and the CRC */
    if (!fine)
        gen_fail(GEN_EDATA, "'%s': %s is damaged: %s", path, name,
                 got >= 0 && (uint64_t)got < n ? "it ends too early" : zip_file_strerror(entry));
    zip_fclose(entry);
    return fine ? GEN_OK : GEN_EDATA;
}

/* By libdeflate, which takes half of zlib's time. */
static gen_status inflate(const char *path, const char *name, const zip_stat_t *st,
                          const unsigned char *packed, unsigned char *out)
{
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    if (!d)
        return gen_fail(GEN_ENOMEM, "out of memory for unpacking '%s'", path);
    enum libdeflate_result code =
        libdeflate_deflate_decompress(d, packed, st->comp_size, out, st->size, NULL);
    libdeflate_free_decompressor(d);
    if (code != LIBDEFLATE_SUCCESS || libdeflate_crc32(0, out, st->size) != st->crc)
        return gen_fail(GEN_EDATA, "'%s': %s is damaged: it cannot be unpacked", path, name);
    return GEN_OK;
}

static gen_status read_whole(zip_t *z, const char *path, const char *name, const zip_stat_t *st,
                             unsigned char *out)
{
    unsigned char *packed;
    if (st->comp_method != ZIP_CM_DEFLATE || st->encryption_method != ZIP_EM_NONE)
        return read_entry(z, path, name, st, false, out, st->size);
    GEN_TRY(gen_alloc_raw((void **)&packed, st->comp_size, 1, "a packed array"));
    gen_status status = read_entry(z, path, name, st, true, packed, st->comp_size);
    if (status == GEN_OK)
        status = inflate(path, name, st, packed, out);
    gen_free(packed);
    return status;
}

/* The array called name, with its header; free *out with gen_free. */
static gen_status load_array(zip_t *z, const char *path, const char *name, uint64_t limit,
                             unsigned char **out, uint64_t *size, gen_npy_header *header)
{
    const zip_uint64_t needed = ZIP_STAT_INDEX | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_CRC |
                                ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    zip_stat_t st;
    zip_int64_t index = zip_name_locate(z, name, ZIP_FL_ENC_RAW);
    *out = NULL;
    if (index < 0 || zip_stat_index(z, (zip_uint64_t)index, 0, &st) != 0 ||
        (st.valid & needed) != needed)
        return gen_fail(GEN_EDATA, "'%s' has no array %s", path, name);
    if (st.size > limit || st.size / DEFLATE_MOST > st.comp_size + 1)
        return gen_fail(
            GEN_EDATA, "'%s': %s declares %llu bytes, expected at most %llu", path, name,
            (unsigned long long)st.size,
            (unsigned long long)(st.size > limit ? limit : st.comp_size * DEFLATE_MOST));
    *size = st.size;
    GEN_TRY(gen_alloc_raw((void **)out, *size + 1, 1, "a radar array"));
    gen_status status = read_whole(z, path, name, &st, *out);
    if (status == GEN_OK)
        status = gen_npy_header_read(header, *out, *size, path);
    if (status != GEN_OK) {
        gen_free(*out);
        *out = NULL;
    }
    return status;
}

/* An array of `type` whose data are whole. */
static gen_status check_array(const char *path, const char *name, const gen_npy_header *h,
                              uint64_t size, const char *type, int rank)
{
    uint64_t cell = (uint64_t)(type[2] - '0');
    int64_t n = gen_shape_count(h->shape);
    if (strcmp(h->type, type) != 0 || h->shape.rank != rank)
        return gen_fail(GEN_EDATA, "'%s': %s is of type %s in %d dimensions, expected %s in %d",
                        path, name, h->type, h->shape.rank, type, rank);
    if (n < 0 || (uint64_t)n > (size - h->data) / cell || (uint64_t)n * cell != size - h->data)
        return gen_fail(GEN_EDATA, "'%s': the data of %s take %llu bytes, not what its shape says",
                        path, name, (unsigned long long)(size - h->data));
    return GEN_OK;
}

/* ---- times ----------------------------------------------------------------------------------- */

static gen_status one_time(const gen_radar_file *f, const gen_pickle_value *v, int64_t *out)
{
    if (v->kind != GEN_PICKLE_TIME)
        return gen_fail(GEN_EDATA, "'%s': dates.npy holds something that is no time", f->path);
    const unsigned char *p = (const unsigned char *)v->text;
    const int64_t part[6] = { gen_big16(p), p[2], p[3], p[4], p[5], p[6] };
    return gen_raster_time(f, "an item of dates.npy", part, out);
}

static gen_status take_times(gen_radar_file *f, zip_t *z)
{
    gen_status status;
    gen_arena arena = { 0 };
    gen_pickle_source source = { .fd = -1, .times = true };
    gen_pickle_value *list;
    unsigned char *bytes = NULL;
    gen_npy_header h;
    GEN_GOTO(load_array(z, f->path, "dates.npy", (uint64_t)64 << 20, &bytes, &source.end, &h));
    if (strcmp(h.type, "|O") != 0)
        GEN_GOTO(
            gen_fail(GEN_EDATA, "'%s': dates.npy is of type %s, expected |O", f->path, h.type));
    source.data = bytes;
    source.at = h.data;
    status = gen_pickle_read(&list, &source, &arena);
    if (status != GEN_OK)
        GEN_GOTO(
            gen_fail_in(status == GEN_EMODEL ? GEN_EDATA : status, "'%s': dates.npy", f->path));
    if (list->kind != GEN_PICKLE_LIST || list->length != (uint64_t)f->frames)
        GEN_GOTO(gen_fail(GEN_EDATA, "'%s': dates.npy has %llu times, expected %lld", f->path,
                          (unsigned long long)(list->kind == GEN_PICKLE_LIST ? list->length : 0),
                          (long long)f->frames));
    GEN_GOTO(GEN_ALLOC(&f->time, f->frames, "times"));
    for (int64_t i = 0; i < f->frames; i++)
        GEN_GOTO(one_time(f, list->item[i], &f->time[i]));
done:
    gen_pickle_source_free(&source);
    gen_arena_free(&arena);
    gen_free(bytes);
    return status;
}

/* ---- places ---------------------------------------------------------------------------------- */

/* radar_coords_ZONE.npz in the same folder, for the part of the name that makes such a file. */
static bool companion(const char *path, char *out, size_t size)
{
    const char *base = strrchr(path, '/');
    char name[256];
    int folder = base ? (int)(base + 1 - path) : 0;
    snprintf(name, sizeof name, "%s", base ? base + 1 : path);
    for (char *p = name, *end; *p; p = end) {
        p += strspn(p, "_.");
        end = p + strcspn(p, "_.");
        int n = snprintf(out, size, "%.*sradar_coords_%.*s.npz", folder, path, (int)(end - p), p);
        if (end > p && n > 0 && (size_t)n < size && access(out, R_OK) == 0)
            return true;
    }
    return false;
}

static double double_at(const unsigned char *array, const gen_npy_header *h, int64_t i)
{
    double v;
    memcpy(&v, array + h->data + (size_t)i * sizeof v, sizeof v);
    return v;
}

/* Places of the rows (along 0) or columns (along 1): evenly spaced, and the same everywhere. */
static gen_status axis(const gen_radar_file *f, const char *path, const unsigned char *array,
                       const gen_npy_header *h, int along, double *out)
{
    int64_t height = f->grid.height, width = f->grid.width, n = along ? width : height;
    int64_t step = along ? 1 : width;
    double first = double_at(array, h, 0), last = double_at(array, h, (n - 1) * step);
    double cell = n > 1 ? (last - first) / (double)(n - 1) : along ? 1 : -1;
    bool fine =
        isfinite(first) && fabs(first) <= 360 && isfinite(cell) && (along ? cell > 0 : cell < 0);
    for (int64_t i = 0; i < n; i++)
        out[i] = first + cell * (double)i;
    for (int64_t i = 0; i < height * width && fine; i++)
        fine =
            fabs(double_at(array, h, i) - out[along ? i % width : i / width]) <= 0.01 * fabs(cell);
    return fine ? GEN_OK
                : gen_fail(GEN_EDATA,
                           "'%s': %s do not %s evenly from cell to cell: expected a grid that is "
                           "regular in degrees",
                           path, along ? "lons" : "lats", along ? "rise" : "fall");
}

static gen_status one_axis(gen_radar_file *f, zip_t *z, const char *path, int along, double *out)
{
    const char *name = along ? "lons.npy" : "lats.npy";
    unsigned char *array = NULL;
    uint64_t size;
    gen_npy_header h;
    GEN_TRY(load_array(z, path, name, MAX_PLACES, &array, &size, &h));
    gen_status status = check_array(path, name, &h, size, "<f8", 2);
    if (status == GEN_OK && (h.shape.dim[0] != f->grid.height || h.shape.dim[1] != f->grid.width))
        status = gen_fail(GEN_EDATA, "'%s' has places of %lld x %lld cells, but '%s' %lld x %lld",
                          path, (long long)h.shape.dim[0], (long long)h.shape.dim[1], f->path,
                          (long long)f->grid.height, (long long)f->grid.width);
    if (status == GEN_OK)
        status = axis(f, path, array, &h, along, out);
    gen_free(array);
    return status;
}

static gen_status take_places(gen_radar_file *f)
{
    gen_status status;
    char path[4096];
    unsigned char *bytes = NULL;
    uint64_t size;
    zip_t *z = NULL;
    GEN_TRY(gen_raster_axes(f, NULL));
    if (!companion(f->path, path, sizeof path))
        return GEN_OK;
    GEN_GOTO(gen_radar_load(path, MAX_PLACES, &bytes, &size));
    GEN_GOTO(open_zip(path, bytes, size, &z));
    GEN_GOTO(one_axis(f, z, path, 0, f->grid.y));
    GEN_GOTO(one_axis(f, z, path, 1, f->grid.x));
    GEN_GOTO(gen_strdup(&f->grid.proj4, "+proj=longlat +datum=WGS84 +no_defs"));
    f->grid.degrees = true;
    f->numbered = false;
done:
    if (z)
        zip_discard(z);
    gen_free(bytes);
    return status;
}

/* ---- the format ------------------------------------------------------------------------------ */

static bool recognises(const unsigned char *head, size_t n)
{
    if (n < 40 || memcmp(head, "PK\3\4", 4) != 0)
        return false;
    size_t length = head[26] | (size_t)head[27] << 8; /* of the first entry's name, at 30 */
    return length >= 4 && 30 + length <= n && memcmp(head + 30 + length - 4, ".npy", 4) == 0;
}

static float value_of(gen_radar_quantity quantity, int v)
{
    switch (quantity) {
    case GEN_RADAR_DEPTH:
        return v == -1 ? NAN : (float)v / 100;
    case GEN_RADAR_DBZ:
        return v == 255 ? NAN : v == 0 ? GEN_UNDETECTED : (float)v;
    default:
        return (float)v;
    }
}

/* By the name: see above. */
static gen_status take_quantity(gen_radar_file *f)
{
    npz_state *k = f->state;
    const char *base = strrchr(f->path, '/');
    base = base ? base + 1 : f->path;
    bool rain = strncmp(base, "rainfall_", 9) == 0, dbz = strncmp(base, "reflectivity_", 13) == 0;
    f->quantity = rain ? GEN_RADAR_DEPTH : dbz ? GEN_RADAR_DBZ : GEN_RADAR_OTHER;
    f->interval = rain ? 300 : 0;
    for (int i = 0; i < GEN_LEN(k->value); i++)
        k->value[i] = value_of(f->quantity, (int16_t)(uint16_t)i);
    GEN_TRY(gen_strdup(&f->name, rain ? "rainfall" : dbz ? "reflectivity" : "data"));
    return rain || dbz ? gen_strdup(&f->units, rain ? "mm" : "dBZ") : GEN_OK;
}

static gen_status open_archive(gen_radar_file *f, zip_t *z)
{
    npz_state *k = f->state;
    uint64_t size, limit = f->options->max_bytes ? f->options->max_bytes : MAX_UNPACKED;
    const int64_t *dim = k->header.shape.dim;
    GEN_TRY(load_array(z, f->path, "data.npy", limit, &k->data, &size, &k->header));
    GEN_TRY(check_array(f->path, "data.npy", &k->header, size, "<i2", 3));
    GEN_TRY(gen_raster_size(f, dim[1], dim[2], 2, (size - k->header.data) / (uint64_t)dim[0]));
    f->frames = dim[0];
    GEN_TRY(take_times(f, z));
    GEN_TRY(take_quantity(f));
    return take_places(f);
}

static gen_status npz_open(gen_radar_file *f)
{
    npz_state *k = NULL;
    zip_t *z;
    GEN_TRY(GEN_ALLOC(&k, 1, "NumPy archive"));
    f->state = k;
    GEN_TRY(open_zip(f->path, f->bytes, f->size, &z));
    gen_status status = open_archive(f, z);
    zip_discard(z);
    return status;
}

static gen_status npz_read(gen_radar_file *f, int64_t frame, float *values)
{
    const npz_state *k = f->state;
    int64_t n = f->grid.height * f->grid.width;
    const unsigned char *p = k->data + k->header.data + frame * n * 2;
    for (int64_t i = 0; i < n; i++)
        values[i] = k->value[p[2 * i] | (unsigned)p[2 * i + 1] << 8];
    return GEN_OK;
}

static void npz_close(gen_radar_file *f)
{
    npz_state *k = f->state;
    if (k)
        gen_free(k->data);
    gen_free(k);
    f->state = NULL;
}

const gen_radar_format gen_radar_npz = { .name = "NumPy archive",
                                         .recognises = recognises,
                                         .open = npz_open,
                                         .read = npz_read,
                                         .close = npz_close,
                                         .in_memory = true };
