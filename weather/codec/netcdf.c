/* SPDX-License-Identifier: Apache-2.0
 *
 * Reader of netCDF files (classic and HDF5) that follow the CF conventions, more or less.
 *
 * What is read
 *   rain        the variable that is asked for, or the only rain rate, depth of rain or
 * reflectivity (netcdf_rain.c), in any units of these (netcdf_units.c). (y,x), with time and
 *               dimensions of size 1 before, or (x,y). Packed by scale_factor and add_offset;
 *               missing by _FillValue, missing_value, valid_min, valid_max, valid_range and NaN.
 *   time        the coordinate variable of its dimension, or one number for the file: "seconds
 * since 1970-01-01", also minutes, hours, days and other zones, in the standard calendar
 *               (netcdf_time.c); the interval of a depth.
 *   y, x        coordinate variables of the last two dimensions, or cell numbers when there are
 *               none. Rows that run from south to north are turned, columns from east to west too.
 *   projection  the variable named by grid_mapping: all its attributes as JSON; proj4 from there,
 *               from the global attribute, or made of the attributes (netcdf_grid.c).
 *
 * The file is hostile: the sizes it declares are compared with its own size before anything is
 * allocated, and text where a number belongs is an error that names the attribute.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "libgen/base/alloc.h"
#include "weather/codec/netcdf_reader.h"

#define BEST_RATIO 1100 /* deflate cannot shrink more than 1032 times */
#define SPARE_BYTES ((uint64_t)64 << 20)

/* What the variable declares against what the file can hold. */
static gen_status check_size(gen_radar_file *f)
{
    const gen_netcdf_state *k = f->state;
    struct stat info;
    size_t type_size = 8;
    nc_inq_type(k->nc, k->type, NULL, &type_size);
    uint64_t bytes = (uint64_t)f->members * (uint64_t)f->frames * (uint64_t)f->grid.height *
                     (uint64_t)f->grid.width * type_size; /* < 2^59 */
    if (stat(f->path, &info) != 0)
        return gen_fail(GEN_EDATA, "cannot read '%s'", f->path);
    if (bytes / BEST_RATIO > (uint64_t)info.st_size + SPARE_BYTES / BEST_RATIO)
        return gen_fail(GEN_EDATA, "'%s': variable %s declares %llu bytes, but the file has %llu",
                        f->path, f->name, (unsigned long long)bytes,
                        (unsigned long long)info.st_size);
    return gen_netcdf_check_chunks(f, k->rain);
}

/* ---- packing ----------------------------------------------------------------------------- */

static double default_fill(nc_type type)
{
    switch (type) {
    case NC_SHORT:
        return NC_FILL_SHORT;
    case NC_INT:
        return NC_FILL_INT;
    case NC_USHORT:
        return NC_FILL_USHORT;
    case NC_UINT:
        return NC_FILL_UINT;
    case NC_FLOAT:
        return (double)NC_FILL_FLOAT;
    case NC_DOUBLE:
        return NC_FILL_DOUBLE;
    default:
        return NAN; /* bytes have none; 64 bit integers are no rain */
    }
}

static double unwrap(const gen_netcdf_state *k, double v)
{
    if (!k->wrap || v >= 0)
        return v;
    return v + (k->type == NC_BYTE ? 256 : k->type == NC_SHORT ? 65536 : 4294967296.0);
}

/* valid_min, valid_max, valid_range: of packed values when they have the packed type. */
static gen_status valid_limits(gen_radar_file *f)
{
    gen_netcdf_state *k = f->state;
    static const char *const names[] = { "valid_min", "valid_max", "valid_range" };
    k->low = k->low_native = -HUGE_VAL;
    k->high = k->high_native = HUGE_VAL;
    for (int i = 0; i < GEN_LEN(names); i++) {
        double value[2];
        int n = i == 2 ? 2 : 1, expected = n;
        nc_type type = NC_NAT;
        GEN_TRY(gen_netcdf_read_numbers(f, k->rain, names[i], value, &n));
        if (n == 0)
            continue;
        nc_inq_atttype(k->nc, k->rain, names[i], &type);
        for (int j = 0; j < n && type == k->type; j++)
            value[j] = unwrap(k, value[j]);
        if (n != expected || isnan(value[0]) || isnan(value[n - 1]) || value[0] > value[n - 1])
            return gen_fail(GEN_EDATA, "'%s': attribute '%s' begins with %g, expected %s", f->path,
                            names[i], value[0], i == 2 ? "two numbers that rise" : "a number");
        double *low = type == k->type ? &k->low : &k->low_native;
        double *high = type == k->type ? &k->high : &k->high_native;
        if (i != 1)
            *low = value[0];
        if (i != 0)
            *high = value[n - 1];
    }
    return GEN_OK;
}

static gen_status packing(gen_radar_file *f)
{
    gen_netcdf_state *k = f->state;
    char name[NC_MAX_NAME + 1], word[GEN_NETCDF_WORD];
    gen_netcdf_variable_name(f, k->rain, name);
    GEN_TRY(gen_netcdf_read_number(f, k->rain, "scale_factor", 1, &k->scale));
    GEN_TRY(gen_netcdf_read_number(f, k->rain, "add_offset", 0, &k->offset));
    if (k->scale == 0)
        return gen_fail(GEN_EDATA, "'%s': attribute '%s:scale_factor' is 0", f->path, name);
    int n = 1;
    GEN_TRY(gen_netcdf_read_numbers(f, k->rain, "_FillValue", k->fill, &n));
    if (n == 0)
        k->fill[0] = default_fill(k->type);
    k->n_fill = 1;
    n = 3;
    GEN_TRY(gen_netcdf_read_numbers(f, k->rain, "missing_value", k->fill + 1, &n));
    k->n_fill += n;
    k->wrap = strcmp(gen_netcdf_read_word(f, k->rain, "_Unsigned", word), "true") == 0 &&
              (k->type == NC_BYTE || k->type == NC_SHORT || k->type == NC_INT);
    return valid_limits(f);
}

/* ---- the format -------------------------------------------------------------------------- */

static bool recognises(const unsigned char *head, size_t n)
{
    static const unsigned char hdf5[8] = { 0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n' };
    return (n >= 8 && memcmp(head, hdf5, 8) == 0) ||
           (n >= 4 && memcmp(head, "CDF", 3) == 0 &&
            (head[3] == 1 || head[3] == 2 || head[3] == 5));
}

/* The first bytes were looked at unpacked, but netCDF opens what is on the disk. */
static bool is_gzip(const char *path)
{
    FILE *file = fopen(path, "rb");
    bool yes = file && fgetc(file) == 0x1f && fgetc(file) == 0x8b;
    if (file)
        fclose(file);
    return yes;
}

static gen_status open_locked(gen_radar_file *f)
{
    gen_netcdf_state *k = f->state;
    if (strstr(f->path, "://")) /* netCDF would take it for an address and go to the network */
        return gen_fail(GEN_EDATA, "'%s': a file name must not hold '://'", f->path);
    if (strchr(f->path, '\\')) /* netCDF would take it for a '/' and open another file */
        return gen_fail(GEN_EDATA, "'%s': a file name must not hold a backslash", f->path);
    int code = nc_open(f->path, NC_NOWRITE, &k->file);
    if (code != NC_NOERR) {
        k->file = -1;
        if (is_gzip(f->path))
            return gen_fail(GEN_EDATA, "'%s' is a gzip of netCDF or HDF5: gunzip it first",
                            f->path);
        return gen_fail(GEN_EDATA, "'%s' is a damaged netCDF or HDF5 file: %s", f->path,
                        nc_strerror(code));
    }
    GEN_TRY(gen_netcdf_find_rain(f));
    GEN_TRY(gen_netcdf_find_axes(f));
    GEN_TRY(check_size(f));
    GEN_TRY(packing(f));
    GEN_TRY(gen_netcdf_read_times(f));
    return gen_netcdf_read_grid(f);
}

static gen_status netcdf_open(gen_radar_file *f)
{
    gen_netcdf_state *k = NULL;
    GEN_TRY(GEN_ALLOC(&k, 1, "netCDF file"));
    k->file = -1;
    k->metres = 1;
    f->state = k;
    gen_netcdf_lock();
    gen_status status = open_locked(f);
    gen_netcdf_unlock();
    return status;
}

static float unpack(const gen_netcdf_state *k, double v)
{
    for (int i = 0; i < k->n_fill; i++)
        if (v == k->fill[i])
            return NAN;
    v = unwrap(k, v);
    if (!(v >= k->low && v <= k->high))
        return NAN;
    v = v * k->scale + k->offset;
    return v >= k->low_native && v <= k->high_native && fabs(v) <= 1e30 ? (float)v : NAN;
}

/* Row j, column i of the frame as it lies in the file. */
static int64_t place(const gen_radar_file *f, int64_t j, int64_t i)
{
    const gen_netcdf_state *k = f->state;
    int64_t h = f->grid.height, w = f->grid.width;
    j = k->south_first ? h - 1 - j : j;
    i = k->east_first ? w - 1 - i : i;
    return k->transposed ? i * h + j : j * w + i;
}

static size_t small_size(const gen_netcdf_state *k)
{
    bool byte = k->type == NC_BYTE || k->type == NC_UBYTE;
    return byte ? 1 : k->type == NC_SHORT || k->type == NC_USHORT ? 2 : 0;
}

/* Packed values have few bits as a rule: each of them is unpacked once. */
static gen_status make_table(gen_netcdf_state *k)
{
    int n = small_size(k) == 1 ? 256 : 65536;
    bool is_signed = k->type == NC_BYTE || k->type == NC_SHORT;
    GEN_TRY(gen_alloc_raw((void **)&k->table, (uint64_t)n, sizeof *k->table, "packed values"));
    for (int i = 0; i < n; i++)
        k->table[i] = unpack(k, is_signed && i >= n / 2 ? i - n : i);
    return GEN_OK;
}

static gen_status prepare_read(gen_radar_file *f)
{
    gen_netcdf_state *k = f->state;
    size_t size = small_size(k);
    if (k->packed)
        return GEN_OK;
    if (size)
        GEN_TRY(make_table(k));
    return gen_alloc_raw(&k->packed, (uint64_t)(f->grid.height * f->grid.width),
                         size ? size : sizeof(double), "a radar frame");
}

/* One row, whose cells lie `step` apart in the file. */
static void unpack_row(const gen_netcdf_state *k, int64_t from, int64_t step, int64_t n, float *to)
{
    const uint8_t *bytes = k->packed;
    const uint16_t *shorts = k->packed;
    const double *doubles = k->packed;
    size_t size = small_size(k);
    if (size == 1)
        for (int64_t i = 0; i < n; i++)
            to[i] = k->table[bytes[from + i * step]];
    else if (size == 2)
        for (int64_t i = 0; i < n; i++)
            to[i] = k->table[shorts[from + i * step]];
    else
        for (int64_t i = 0; i < n; i++)
            to[i] = unpack(k, doubles[from + i * step]);
}

static gen_status netcdf_read(gen_radar_file *f, int64_t frame, float *values)
{
    gen_netcdf_state *k = f->state;
    int64_t h = f->grid.height, w = f->grid.width;
    size_t start[GEN_NETCDF_RANK] = { 0 }, count[GEN_NETCDF_RANK] = { 1, 1, 1, 1, 1, 1 };
    GEN_TRY(prepare_read(f));
    if (k->time_axis >= 0)
        start[k->time_axis] = (size_t)(frame % f->frames);
    if (k->member_axis >= 0)
        start[k->member_axis] = (size_t)(frame / f->frames);
    count[k->rank - 2] = (size_t)(k->transposed ? w : h);
    count[k->rank - 1] = (size_t)(k->transposed ? h : w);
    gen_netcdf_lock();
    int code = k->table ? nc_get_vara(k->nc, k->rain, start, count, k->packed)
                        : nc_get_vara_double(k->nc, k->rain, start, count, k->packed);
    gen_netcdf_unlock();
    if (code != NC_NOERR && code != NC_ERANGE)
        return gen_fail(GEN_EDATA, "'%s': frame %lld cannot be read: %s", f->path, (long long)frame,
                        nc_strerror(code));
    int64_t step = place(f, 0, 1) - place(f, 0, 0);
    for (int64_t j = 0; j < h; j++)
        unpack_row(k, place(f, j, 0), step, w, values + j * w);
    return GEN_OK;
}

static void netcdf_close(gen_radar_file *f)
{
    gen_netcdf_state *k = f->state;
    if (!k)
        return;
    gen_netcdf_lock();
    if (k->file >= 0)
        nc_close(k->file);
    gen_netcdf_unlock();
    gen_free(k->packed);
    gen_free(k->table);
    gen_free(k);
    f->state = NULL;
}

const gen_radar_format gen_radar_netcdf = { .name = "netCDF",
                                            .recognises = recognises,
                                            .open = netcdf_open,
                                            .read = netcdf_read,
                                            .close = netcdf_close,
                                            .risky = true };
