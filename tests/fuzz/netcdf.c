/* SPDX-License-Identifier: Apache-2.0
 *
 * netCDF, structure-aware: the bytes choose dimensions, variables, attributes, types and values of
 * a classic file, from words and numbers that matter to the reader and from any others. Its header
 * is well formed, so that it is our reader that is tried and not the library, whose faults a child
 * process contains (tests/unit/radar.c: damaged_files_end_in_a_sentence).
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/fuzz/radar_frames.h"

enum { MOST = 1 << 17, DIMS = 6, VARIABLES = 8, ATTRIBUTES = 6 };
enum { BYTE = 1, CHAR, SHORT, INT, FLOAT, DOUBLE }; /* of the classic format */

static const uint8_t *input;
static size_t left;
static uint8_t out[2 * MOST];
static size_t used;

/* ---- choices ----------------------------------------------------------------------------- */

static uint8_t take(void)
{
    if (left == 0)
        return 0;
    left--;
    return *input++;
}

static unsigned below(unsigned n)
{
    return take() % n;
}

#define WORD(list) (list)[below(GEN_LEN(list))]

static const char *const dim_names[] = { "time", "y", "x", "lat", "lon", "realization", "nv", "t" };
static const char *const variable_names[] = { "rain_rate", "precip",     "time",       "y",
                                              "x",         "lat",        "lon",        "crs",
                                              "time_bnds", "valid_time", "start_time", "dbz" };
static const char *const text_attributes[] = {
    "units", "standard_name", "long_name",    "grid_mapping", "bounds",  "grid_mapping_name",
    "proj4", "axis",          "cell_methods", "calendar",     "crs_wkt", "_Unsigned",
};
static const char *const number_attributes[] = {
    "scale_factor",      "add_offset",   "_FillValue",    "missing_value",
    "valid_min",         "valid_max",    "valid_range",   "semi_major_axis",
    "towgs84",           "earth_radius", "false_easting", "perspective_point_height",
    "standard_parallel",
};
static const char *const texts[] = { "mm h-1",
                                     "mm",
                                     "kg m-2",
                                     "kg m-2 s-1",
                                     "dBZ",
                                     "km",
                                     "m",
                                     "degrees_east",
                                     "degrees_north",
                                     "1",
                                     "mm/5min",
                                     "radian",
                                     "seconds since 1970-01-01",
                                     "minutes since 2018-08-24 18:00 +10:00",
                                     "days since -4713-01-01",
                                     "hours since 2018",
                                     "precipitation_flux",
                                     "precipitation_amount",
                                     "equivalent_reflectivity_factor",
                                     "time",
                                     "projection_x_coordinate",
                                     "latitude",
                                     "X",
                                     "Y",
                                     "T",
                                     "time_bnds",
                                     "crs",
                                     "crs: x y",
                                     "polar_stereographic",
                                     "lambert_conformal_conic",
                                     "geostationary",
                                     "rotated_latitude_longitude",
                                     "oblique_mercator",
                                     "latitude_longitude",
                                     "+proj=stere +lat_0=90 +lon_0=5 +units=km",
                                     "+proj=longlat",
                                     "+proj=utm +zone=33",
                                     "EPSG:3067",
                                     "PROJCRS[\"x\"]",
                                     "true",
                                     "standard",
                                     "360_day",
                                     "time: sum (interval: 5 minutes)",
                                     "time: sum (interval: 1e9 days)",
                                     "",
                                     "rain" };

static double real(void)
{
    static const double some[] = { 0,    1,    -1,    0.5,   1e30,   -1e308, 1e308, 300,
                                   3600, 1e-9, 65535, 9.9e9, 6371e3, 25,     90,    -32768 };
    if (below(4)) /* as often as all others: a value and its neighbours */
        return (double)(int8_t)take();
    double v = some[below(GEN_LEN(some))];
    return below(16) == 15 ? NAN : v;
}

/* ---- the file ---------------------------------------------------------------------------- */

static void put(const void *data, size_t n)
{
    if (used + n <= sizeof out) {
        memcpy(out + used, data, n);
        used += n;
    }
}

static void put_integer(uint64_t v, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        put(&(uint8_t){ (uint8_t)(v >> 8 * i) }, 1);
}

static void pad(void)
{
    while (used % 4)
        put("", 1);
}

static void put_text(const char *text)
{
    put_integer(strlen(text), 4);
    put(text, strlen(text));
    pad();
}

static void put_value(int type, double v)
{
    float single = (float)v;
    uint32_t bits;
    uint64_t wide;
    bool whole = v >= -2147483648.0 && v <= 2147483647.0;
    memcpy(&bits, &single, 4);
    memcpy(&wide, &v, 8);
    uint64_t n = (uint64_t)(whole ? (int64_t)v : 0);
    if (type == FLOAT || type == DOUBLE)
        put_integer(type == FLOAT ? bits : wide, type == FLOAT ? 4 : 8);
    else
        put_integer(n, type == INT ? 4 : type == SHORT ? 2 : 1);
}

static void put_attribute(void)
{
    bool words = below(3) != 0, other = below(16) == 0; /* other: text where a number belongs */
    put_text(words != other ? WORD(text_attributes) : WORD(number_attributes));
    if (words) {
        const char *text = WORD(texts);
        put_integer(CHAR, 4);
        put_text(text);
        return;
    }
    unsigned kind = below(8), n = below(4) ? 1 : 1 + below(3);
    int type = kind < 6 ? (int)kind + 1 : DOUBLE;
    put_integer((uint64_t)type, 4);
    put_integer(n, 4);
    for (unsigned i = 0; i < n; i++)
        put_value(type, type == CHAR ? (double)(int8_t)take() : real());
    pad();
}

/* `units` comes first, unless it is NULL. */
static void put_attributes(unsigned most, const char *units)
{
    unsigned n = below(most + 1) + (units ? 1 : 0);
    put_integer(n ? 12 : 0, 4);
    put_integer(n, 4);
    if (units) {
        put_text("units");
        put_integer(CHAR, 4);
        put_text(units);
    }
    for (unsigned i = units ? 1 : 0; i < n; i++)
        put_attribute();
}

static uint64_t dimension_size(void)
{
    static const uint32_t large[] = { 65536, 65537, 100000, 0x7fffffff, 1000, 300 };
    unsigned kind = below(16);
    return kind == 15 ? large[below(GEN_LEN(large))] : kind % 5 + 1;
}

/* Dimensions 0 to n-1, different names; size 0 is the unlimited one. */
static void put_dimensions(uint64_t size[DIMS], unsigned n, uint64_t records)
{
    put_integer(10, 4);
    put_integer(n, 4);
    unsigned first = below(4) ? 0 : below(GEN_LEN(dim_names));
    for (unsigned i = 0; i < n; i++) {
        size[i] = dimension_size();
        put_text(dim_names[(first + i) % GEN_LEN(dim_names)]);
        put_integer(i == 0 && records ? 0 : size[i], 4);
    }
    if (records)
        size[0] = 0;
}

/* Units that go with a name, most of the time. */
static const char *units_of(const char *name)
{
    if (below(4) == 0)
        return NULL;
    if (strncmp(name, "rain", 4) == 0 || strcmp(name, "precip") == 0 || strcmp(name, "dbz") == 0)
        return texts[below(5)];
    return strstr(name, "time") ? texts[12 + below(4)] : texts[5 + below(4)];
}

/* Where values begin is not known before the header ends: 4 bytes at the returned place. A record
 * dimension (size 0) may only come first. */
static size_t put_variable(unsigned number, const uint64_t size[DIMS], unsigned dims, bool *record)
{
    static const int width[] = { 0, 1, 1, 2, 4, 4, 8 };
    static const uint8_t ranks[] = { 0, 1, 1, 1, 2, 3, 3, 4 };
    const char *name = variable_names[number * 5 % GEN_LEN(variable_names)];
    bool field = number % 7 == 0;
    unsigned rank = field && below(8) ? 2 + below(3) : WORD(ranks);
    put_text(name);
    put_integer(rank, 4);
    unsigned first = rank == 1 ? number % dims : below(4) ? 0 : below(dims);
    int type = field && below(4) ? SHORT + (int)below(4) : 1 + (int)below(6);
    uint64_t bytes = (uint64_t)width[type];
    *record = rank > 0 && size[first % dims] == 0;
    for (unsigned i = 0; i < rank; i++) {
        unsigned dim = (first + i) % dims;
        dim = i > 0 && size[dim] == 0 ? (dim + 1) % dims : dim;
        put_integer(dim, 4);
        bytes = bytes < (uint64_t)1 << 32 ? bytes * (size[dim] ? size[dim] : 1) : bytes;
    }
    put_attributes(ATTRIBUTES, units_of(name));
    put_integer((uint64_t)type, 4);
    put_integer(bytes > 0xffffffffu ? 0xffffffffu : (bytes + 3) / 4 * 4, 4);
    put_integer(0, 4);
    return used - 4;
}

static void build(void)
{
    uint64_t size[DIMS];
    size_t begin[VARIABLES];
    bool record[VARIABLES];
    unsigned records = below(4) ? 0 : 1 + below(4), dims = 1 + below(DIMS),
             n = 1 + below(VARIABLES);
    used = 0;
    put("CDF\1", 4);
    put_integer(records, 4);
    put_dimensions(size, dims, records);
    put_attributes(2, NULL);
    put_integer(11, 4);
    put_integer(n, 4);
    for (unsigned i = 0; i < n; i++)
        begin[i] = put_variable(i, size, dims, &record[i]);
    size_t header = used;
    for (unsigned i = 0; i < n && begin[i] + 4 <= sizeof out; i++) {
        /* they may overlap: values are any; records come last */
        size_t at = header + (record[i] ? n + i : i) * 4096;
        used = begin[i];
        put_integer(at, 4);
    }
    used = header;
    for (int kind = 0; used < header + 4096 * (2 * n + 1) && used + 16 < sizeof out; kind++)
        put_value(kind % 32 < 24 ? DOUBLE : FLOAT, left ? real() : kind % 97);
}

/* ---- the target -------------------------------------------------------------------------- */

static char path[64];

static void leave(void)
{
    (void)remove(path);
}

static void write_file(const uint8_t *data, size_t size)
{
    int f = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (f < 0 || write(f, data, size) != (ssize_t)size || close(f) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gen_radar_read_options options = { 0 };
    gen_radar_file *f = NULL;
    if (!path[0]) {
        snprintf(path, sizeof path, "/tmp/libgen-fuzz-netcdf-%d", (int)getpid());
        atexit(leave);
    }
    input = data;
    left = size;
    options.variable = below(8) ? NULL : WORD(variable_names);
    build();
    write_file(out, used);
    if (gen_radar_file_open(&f, path, &options) == GEN_OK)
        fuzz_frames(f);
    if (gen_alloc_bytes() != 0 || gen_alloc_peak() > (uint64_t)512 << 20)
        abort();
    return 0;
}
