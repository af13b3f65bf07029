/* SPDX-License-Identifier: Apache-2.0
 *
 * Reader of rain rates in a .npy file (or .npy.gz), with a JSON file beside it that says the rest:
 * what a program of a few lines can write, and what needs no library here.
 *
 * The array: [times,rows,columns], row 0 north, C order; '<f4' (mm/h, NaN not measured) or '<u2'.
 * Of x.npy the other file is x.json, an object of which these keys are read:
 *   start    of the first frame, "2010-08-26T00:00:00Z"
 *   step     seconds from frame to frame
 *   scale    mm/h = number x scale; 1
 *   missing  the number of a cell that was not measured; none ('<u2')
 *   edges    [west,south,east,north] of the grid; without them cells are numbered
 *   degrees  true: edges are degrees, else metres
 *   proj4    of the grid
 * Without that file an array has one frame, and its time stands in its name.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libgen/base/alloc.h"
#include "libgen/base/file.h"
#include "libgen/base/json.h"
#include "libgen/tensor/npy.h"
#include "weather/codec/raster.h"

#define MAX_JSON ((uint64_t)1 << 20)

typedef struct npy_state {
    uint64_t data; /* byte where the values begin */
    bool floats;
    double missing; /* of '<u2'; -1 = none */
} npy_state;

static bool recognises(const unsigned char *head, size_t n)
{
    return n >= 10 && memcmp(head, "\x93NUMPY", 6) == 0;
}

/* x.json of x.npy and x.npy.gz; false: there is none. */
static bool companion(const char *path, char *out, size_t size)
{
    size_t n = strlen(path);
    if (n > 3 && strcmp(path + n - 3, ".gz") == 0)
        n -= 3;
    if (n > 4 && strncmp(path + n - 4, ".npy", 4) == 0)
        n -= 4;
    int length = snprintf(out, size, "%.*s.json", (int)n, path);
    return length > 0 && (size_t)length < size && access(out, R_OK) == 0;
}

/* The number called key, or what it is without. */
static gen_status number_of(const gen_json *json, const char *key, double preset, double *out)
{
    *out = preset;
    return gen_json_get(json, key) ? gen_json_real(json, key, out) : GEN_OK;
}

static gen_status take_times(gen_radar_file *f, const gen_json *json)
{
    const char *text;
    int64_t start, step;
    GEN_TRY(gen_json_string(json, "start", &text));
    GEN_TRY(gen_json_int(json, "step", 1, 1 << 24, &step));
    if (gen_time_parse(text, &start) != GEN_OK)
        return gen_fail(GEN_EDATA, "start is '%.40s', expected a time", text);
    for (int64_t i = 0; i < f->frames; i++)
        f->time[i] = start + i * step;
    return GEN_OK;
}

static gen_status take_place(gen_radar_file *f, const gen_json *json)
{
    const gen_json *list;
    const char *proj4;
    double edge[4];
    if (gen_json_get(json, "proj4")) {
        GEN_TRY(gen_json_string(json, "proj4", &proj4));
        GEN_TRY(gen_strdup(&f->grid.proj4, proj4));
    }
    if (gen_json_get(json, "degrees"))
        GEN_TRY(gen_json_bool(json, "degrees", &f->grid.degrees));
    if (!gen_json_get(json, "edges"))
        return gen_raster_axes(f, NULL);
    GEN_TRY(gen_json_array(json, "edges", &list));
    if (gen_json_count(list) != 4)
        return gen_fail(GEN_EDATA, "edges are %d numbers, expected west, south, east, north",
                        gen_json_count(list));
    const gen_json *v = gen_json_first(list);
    for (int i = 0; i < 4; i++, v = gen_json_next(v))
        GEN_TRY(gen_json_real(v, NULL, &edge[i]));
    return gen_raster_axes(f, &(gen_raster_edges){ edge[0], edge[1], edge[2], edge[3] });
}

static gen_status take_all(gen_radar_file *f, const gen_json *json)
{
    npy_state *k = f->state;
    GEN_TRY(take_times(f, json));
    GEN_TRY(number_of(json, "scale", 1, &f->factor));
    GEN_TRY(number_of(json, "missing", -1, &k->missing));
    if (!(f->factor > 0 && f->factor < 1e6))
        return gen_fail(GEN_EDATA, "scale is %g, expected more than 0", f->factor);
    return take_place(f, json);
}

/* What the file beside tells. */
static gen_status take_companion(gen_radar_file *f, const char *path)
{
    gen_json *json = NULL;
    char *text;
    uint64_t size;
    GEN_TRY(gen_file_read(path, MAX_JSON, &text, &size));
    gen_status status = gen_json_parse(&json, text, size, MAX_JSON);
    if (status == GEN_OK)
        status = take_all(f, json);
    gen_json_free(&json);
    gen_free(text);
    return status == GEN_OK ? GEN_OK : gen_fail_in(status, "'%s'", path);
}

static gen_status npy_open(gen_radar_file *f)
{
    npy_state *k;
    gen_npy_header h;
    char path[4096];
    GEN_TRY(GEN_ALLOC(&k, 1, "array"));
    f->state = k;
    k->missing = -1;
    GEN_TRY(gen_npy_header_read(&h, f->bytes, f->size, f->path));
    k->data = h.data;
    k->floats = strcmp(h.type, "<f4") == 0;
    if ((!k->floats && strcmp(h.type, "<u2") != 0) || h.shape.rank != 3)
        return gen_fail(GEN_EDATA,
                        "'%s' is of type %s and %d dimensions, expected <f4 or <u2 and 3", f->path,
                        h.type, (int)h.shape.rank);
    const int64_t *dim = h.shape.dim;
    uint64_t bytes = f->size - h.data;
    if (bytes % (uint64_t)dim[0])
        return gen_fail(GEN_EDATA, "'%s' is cut: %llu bytes are no %lld frames", f->path,
                        (unsigned long long)bytes, (long long)dim[0]);
    GEN_TRY(gen_raster_size(f, dim[1], dim[2], k->floats ? 4 : 2, bytes / (uint64_t)dim[0]));
    f->frames = dim[0];
    f->quantity = GEN_RADAR_RATE;
    GEN_TRY(gen_strdup(&f->name, "rain_rate"));
    GEN_TRY(gen_strdup(&f->units, "mm/h"));
    GEN_TRY(GEN_ALLOC(&f->time, f->frames, "times"));
    if (companion(f->path, path, sizeof path))
        return take_companion(f, path);
    if (f->frames > 1)
        return gen_fail(GEN_EDATA,
                        "'%s' has %lld frames, expected a JSON file beside it with "
                        "their start and step",
                        f->path, (long long)f->frames);
    f->time[0] = GEN_TIME_UNKNOWN;
    return gen_raster_axes(f, NULL);
}

static gen_status npy_read(gen_radar_file *f, int64_t frame, float *values)
{
    const npy_state *k = f->state;
    int64_t n = f->grid.height * f->grid.width;
    const unsigned char *p = f->bytes + k->data + frame * n * (k->floats ? 4 : 2);
    if (k->floats) {
        memcpy(values, p, (size_t)n * sizeof *values);
        return GEN_OK;
    }
    for (int64_t i = 0; i < n; i++) {
        int v = p[2 * i] | p[2 * i + 1] << 8;
        values[i] = v == k->missing ? NAN : (float)v;
    }
    return GEN_OK;
}

static void npy_close(gen_radar_file *f)
{
    gen_free(f->state);
    f->state = NULL;
}

const gen_radar_format gen_radar_npy = { .name = "NumPy array",
                                         .recognises = recognises,
                                         .open = npy_open,
                                         .read = npy_read,
                                         .close = npy_close,
                                         .in_memory = true };
