/* SPDX-License-Identifier: Apache-2.0
 *
 * Reader of ODIM_H5 2.0 to 2.4 (EUMETNET OPERA weather radar information model for HDF5), maps
 * only: /what object is COMP or IMAGE.
 *
 * What is read
 *   values      datasetN/dataM/data, quality groups too. `variable` names a quantity ("DBZH"), the
 *               task of a quality group, or a path ("dataset2/data1", "dataset1/data1/quality1");
 *               else the first of `quantities` that the file holds.
 *   packing     gain, offset, nodata (missing), undetect (nothing there). As every attribute of a
 *               what, where or how, they hold for the groups below the one that has them.
 *   time        /what date and time. The same quantity in several datasets is several frames when
 *               they end at different times (enddate, endtime), else an error.
 *   interval    of a depth: from startdate, starttime to enddate, endtime
 *   Z-R         how zr_a, zr_b
 *   y, x        where projdef and the corners, which are those of the outermost cells. The corners
 *               place the grid, xscale and yscale say how large its cells are; what is known to go
 *               wrong with them is in `place_axis`. Row 0 is the north edge.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "weather/codec/codec.h"
#include "weather/codec/hdf5.h"
#include "weather/codec/proj_repair.h"
#include "weather/projection.h"

#define MAX_FIELDS 4096
#define MAX_PATH 100
#define ROUND                                                                                      \
    0.01 /* metres: a place of the grid is rounded to it, since corners come in degrees            \
          */

/* In the order in which they are taken. */
static const struct {
    const char *name;
    gen_radar_quantity quantity;
    const char *units;
} quantities[] = {
    { "RATE", GEN_RADAR_RATE, "mm/h" }, { "URATE", GEN_RADAR_RATE, "mm/h" },
    { "ACRR", GEN_RADAR_DEPTH, "mm" },  { "DBZH", GEN_RADAR_DBZ, "dBZ" },
    { "DBZV", GEN_RADAR_DBZ, "dBZ" },   { "TH", GEN_RADAR_DBZ, "dBZ" },
    { "TV", GEN_RADAR_DBZ, "dBZ" },
};

typedef struct field {
    char path[MAX_PATH]; /* "dataset1/data1" */
    char name[64];       /* quantity, or task of a quality group; "" = none */
    int64_t start, end;  /* GEN_TIME_UNKNOWN where the file does not say */
    gen_hdf5_packing packing;
} field;

typedef struct odim_state {
    gen_hdf5 h;
    field *fields; /* first those that are read, one a frame */
    uint64_t capacity;
    int64_t n;
} odim_state;

/* ---- attributes -------------------------------------------------------------------------- */

/* The group, "what" of the object at `path` or of one above it, that has the attribute. */
static bool find(const gen_hdf5 *h, const char *path, const char *group, const char *name,
                 char owner[MAX_PATH + 8])
{
    size_t n = strlen(path);
    for (;;) {
        snprintf(owner, MAX_PATH + 8, "%.*s%s%s", (int)n, path, n ? "/" : "", group);
        if (gen_hdf5_has_attribute(h, owner, name))
            return true;
        if (n == 0)
            return false;
        while (n > 0 && path[n - 1] != '/')
            n--;
        n = n > 0 ? n - 1 : 0;
    }
}

/* `preset` where no level has it. */
static gen_status number(const gen_hdf5 *h, const char *path, const char *group, const char *name,
                         double preset, double *out)
{
    char owner[MAX_PATH + 8];
    *out = preset;
    if (!find(h, path, group, name, owner))
        return GEN_OK;
    return gen_hdf5_number(h, owner, name, preset, out);
}

/* A packed value with a meaning; NAN where no level has one. */
static gen_status code(const gen_hdf5 *h, const char *path, const char *name, double *out)
{
    char owner[MAX_PATH + 8];
    *out = NAN;
    return find(h, path, "what", name, owner) ? gen_hdf5_code(h, owner, name, out) : GEN_OK;
}

static gen_status text(const gen_hdf5 *h, const char *path, const char *group, const char *name,
                       char out[GEN_HDF5_TEXT])
{
    char owner[MAX_PATH + 8];
    out[0] = 0;
    if (!find(h, path, group, name, owner))
        return GEN_OK;
    return gen_hdf5_text(h, owner, name, out);
}

/* "20180824" and "180500" or "1805". */
static gen_status date_and_time(const gen_hdf5 *h, const char *path, const char *date_name,
                                const char *time_name, int64_t *out)
{
    char date[GEN_HDF5_TEXT], time[GEN_HDF5_TEXT], iso[32];
    *out = GEN_TIME_UNKNOWN;
    GEN_TRY(text(h, path, "what", date_name, date));
    GEN_TRY(text(h, path, "what", time_name, time));
    if (!date[0] && !time[0])
        return GEN_OK;
    size_t days = strspn(date, "0123456789"), seconds = strspn(time, "0123456789");
    if (days == 8 && !date[8] && (seconds == 4 || seconds == 6) && !time[seconds]) {
        snprintf(iso, sizeof iso, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", date, date + 4, date + 6, time,
                 time + 2, seconds == 6 ? time + 4 : "00");
        if (gen_time_parse(iso, out) == GEN_OK)
            return GEN_OK;
    }
    return gen_fail(GEN_EDATA,
                    "'%s': attributes '%s' and '%s' of '/%s%swhat' are '%.40s' and '%.40s', "
                    "expected YYYYMMDD and HHmmss",
                    h->path, date_name, time_name, path, path[0] ? "/" : "", date, time);
}

/* ---- what the file holds ----------------------------------------------------------------- */

static gen_status add_field(odim_state *k, const char *path, bool quality)
{
    char name[GEN_HDF5_TEXT], own[MAX_PATH + 8];
    if (k->n == MAX_FIELDS)
        return gen_fail(GEN_EDATA, "'%s' holds more than %d groups of data", k->h.path, MAX_FIELDS);
    GEN_TRY(GEN_GROW(&k->fields, &k->capacity, k->n + 1));
    field *f = &k->fields[k->n++];
    *f = (field){ .start = GEN_TIME_UNKNOWN, .end = GEN_TIME_UNKNOWN };
    snprintf(f->path, sizeof f->path, "%s", path);
    if (!quality) {
        GEN_TRY(text(&k->h, path, "what", "quantity", name));
    } else { /* which does not inherit the quantity */
        snprintf(own, sizeof own, "%s/what", path);
        GEN_TRY(gen_hdf5_text(&k->h, own, "quantity", name));
        snprintf(own, sizeof own, "%s/how", path);
        if (!name[0])
            GEN_TRY(gen_hdf5_text(&k->h, own, "task", name));
    }
    snprintf(f->name, sizeof f->name, "%s", name);
    return GEN_OK;
}

static gen_status add_qualities(odim_state *k, const char *parent)
{
    char path[MAX_PATH];
    for (int i = 1; i <= MAX_FIELDS; i++) {
        snprintf(path, sizeof path, "%s/quality%d", parent, i);
        if (!gen_hdf5_has(&k->h, path))
            break;
        GEN_TRY(add_field(k, path, true));
    }
    return GEN_OK;
}

static gen_status list_fields(odim_state *k)
{
    char path[MAX_PATH], dataset[40];
    for (int i = 1; i <= MAX_FIELDS; i++) {
        snprintf(dataset, sizeof dataset, "dataset%d", i);
        if (!gen_hdf5_has(&k->h, dataset))
            break;
        for (int j = 1; j <= MAX_FIELDS; j++) {
            snprintf(path, sizeof path, "%s/data%d", dataset, j);
            if (!gen_hdf5_has(&k->h, path))
                break;
            GEN_TRY(add_field(k, path, false));
            GEN_TRY(add_qualities(k, path));
        }
        GEN_TRY(add_qualities(k, dataset));
    }
    if (k->n == 0)
        return gen_fail(GEN_EDATA, "'%s' has no group '/dataset1/data1'", k->h.path);
    return GEN_OK;
}

/* Fields of that path or name move to the front, in their order. */
static int64_t select_fields(odim_state *k, const char *wanted)
{
    int64_t n = 0;
    for (int64_t i = 0; i < k->n; i++)
        if (strcmp(k->fields[i].path, wanted) == 0 || strcmp(k->fields[i].name, wanted) == 0)
            k->fields[n++] = k->fields[i];
    return n;
}

static gen_status not_found(const odim_state *k, const char *wanted)
{
    char names[300] = "";
    size_t used = 0;
    for (int64_t i = 0; i < k->n && used < 200; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%.60s (%s)", i ? ", " : "",
                                 k->fields[i].name, k->fields[i].path);
    return gen_fail(GEN_EDATA, "'%s' holds %s%s, expected %.60s", k->h.path, names,
                    used < 200 ? "" : " ...", wanted);
}

static gen_status choose(gen_radar_file *f)
{
    odim_state *k = f->state;
    char wanted[MAX_PATH];
    int64_t n = 0;
    if (f->options->variable) {
        const char *v = f->options->variable;
        snprintf(wanted, sizeof wanted, "%s", v + (v[0] == '/'));
        n = select_fields(k, wanted);
        if (n == 0)
            return not_found(k, wanted);
    }
    for (int i = 0; i < GEN_LEN(quantities) && n == 0; i++)
        n = select_fields(k, quantities[i].name);
    if (n == 0)
        return not_found(k, "RATE, ACRR or DBZH");
    k->n = f->frames = n;
    const char *name = k->fields[0].name;
    for (int i = 0; i < GEN_LEN(quantities); i++)
        if (strcmp(name, quantities[i].name) == 0) {
            f->quantity = quantities[i].quantity;
            GEN_TRY(gen_strdup(&f->units, quantities[i].units));
        }
    return name[0] ? gen_strdup(&f->name, name) : GEN_OK;
}

/* ---- time and packing -------------------------------------------------------------------- */

static gen_status read_packing(const gen_hdf5 *h, field *d)
{
    static const char *const names[] = { "gain", "offset" };
    gen_hdf5_packing *p = &d->packing;
    double *const packing[] = { &p->gain, &p->offset };
    for (int i = 0; i < 2; i++) {
        GEN_TRY(number(h, d->path, "what", names[i], NAN, packing[i]));
        if (!isnan(*packing[i]))
            continue;
        *packing[i] = i == 0 ? 1 : 0;
        gen_log(GEN_LOG_WARN, "'%s': '/%s' has no '%s': taken as %g", h->path, d->path, names[i],
                *packing[i]);
    }
    if (p->gain == 0)
        return gen_fail(GEN_EDATA, "'%s': attribute 'gain' of '/%s' is 0", h->path, d->path);
    p->missing[1] = NAN;
    GEN_TRY(code(h, d->path, "nodata", &p->missing[0]));
    return code(h, d->path, "undetect", &p->undetected);
}

/* The field before `at` that ends when it does; -1: none. */
static int64_t same_time(const odim_state *k, int64_t at)
{
    for (int64_t i = 0; i < at; i++)
        if (k->fields[i].end == k->fields[at].end)
            return i;
    return -1;
}

static gen_status read_times(gen_radar_file *f)
{
    odim_state *k = f->state;
    const gen_hdf5 *h = &k->h;
    GEN_TRY(GEN_ALLOC(&f->time, f->frames, "times"));
    for (int64_t i = 0; i < f->frames; i++) {
        field *d = &k->fields[i];
        GEN_TRY(date_and_time(h, d->path, "startdate", "starttime", &d->start));
        GEN_TRY(date_and_time(h, d->path, "enddate", "endtime", &d->end));
        int64_t other = same_time(k, i);
        if (other >= 0)
            return gen_fail(GEN_EDATA,
                            "'%s' holds %s at one time in /%s and in /%s: name one of them",
                            f->path, d->name, k->fields[other].path, d->path);
        f->time[i] = d->end;
    }
    const field *first = &k->fields[0];
    if (first->start != GEN_TIME_UNKNOWN && first->end > first->start)
        f->interval = (double)(first->end - first->start);
    if (f->frames > 1)
        return GEN_OK;
    GEN_TRY(date_and_time(h, "", "date", "time", &f->time[0]));
    f->time[0] = f->time[0] == GEN_TIME_UNKNOWN ? first->end : f->time[0];
    return GEN_OK;
}

/* ---- place ------------------------------------------------------------------------------- */

typedef struct corner {
    const char *name;
    bool known;
    double x, y; /* in the projection */
} corner;

enum { LL, UL, UR, LR };

static gen_status read_corners(const gen_radar_file *f, corner c[4])
{
    const odim_state *k = f->state;
    const char *path = k->fields[0].path;
    gen_projection *p = NULL;
    gen_status status = gen_projection_open(&p, &f->grid);
    if (status != GEN_OK)
        return gen_fail_in(status, "'%s': attribute 'projdef' of '/where'", f->path);
    for (int i = 0; i < 4; i++) {
        char name[8];
        double lat, lon;
        snprintf(name, sizeof name, "%s_lat", c[i].name);
        GEN_GOTO(number(&k->h, path, "where", name, NAN, &lat));
        snprintf(name, sizeof name, "%s_lon", c[i].name);
        GEN_GOTO(number(&k->h, path, "where", name, NAN, &lon));
        if (isnan(lat) || isnan(lon))
            continue;
        c[i].known = gen_projection_forward(p, lat, lon, &c[i].x, &c[i].y);
        if (!c[i].known)
            GEN_GOTO(gen_fail(GEN_EDATA,
                              "'%s': attributes '%s_lat' and '%s_lon' of '/where' are %g and %g, "
                              "which its projection does not reach",
                              f->path, c[i].name, c[i].name, lat, lon));
    }
done:
    gen_projection_free(&p);
    return status;
}

/* Mean of one or two known values, and how far they are apart. */
static double side(const corner *a, const corner *b, bool of_x, double *apart)
{
    double u = of_x ? a->x : a->y, v = of_x ? b->x : b->y;
    if (a->known && b->known) {
        *apart = fmax(*apart, fabs(u - v));
        return u + (v - u) / 2;
    }
    return a->known ? u : v;
}

/* Centres of cells between two edges, `scale` wide as the file says (NAN: it does not). */
static void place_axis(const gen_radar_file *f, const char *name, double low, double high,
                       double scale, int64_t n, bool centres, double *out)
{
    double extent = high - low, cell = extent / (double)n;
    const double scales[] = { scale, 1000 * scale }; /* kilometres, where metres belong */
    bool fits = isnan(scale);
    for (int i = 0; i < GEN_LEN(scales) && !fits; i++) {
        fits = fabs(extent / scales[i] - (double)(centres ? n - 1 : n)) <= 0.5;
        cell = fits ? scales[i] : cell;
    }
    if (!fits)
        gen_log(GEN_LOG_WARN,
                "'%s': the corners are %.10g apart in %s, but %lld cells of %g: the corners are "
                "taken",
                f->path, extent, name, (long long)n, scale);
    double first = low + extent / 2 - cell * (double)(n - 1) / 2;
    if (!f->grid.degrees)
        first = floor(first / ROUND + 0.5) * ROUND;
    for (int64_t i = 0; i < n; i++)
        out[i] = first + cell * (double)i;
}

/* The corners are centres of cells, as some write them: then one cell is missing both ways. */
static bool corners_are_centres(const gen_radar_grid *g, const double extent[2],
                                const double scale[2])
{
    const int64_t n[2] = { g->width, g->height };
    for (int i = 0; i < 2; i++)
        if (!(fabs(extent[i] / scale[i] - (double)(n[i] - 1)) < 0.1))
            return false;
    return true;
}

static void turn(double *v, int64_t n)
{
    for (int64_t i = 0; i < n / 2; i++) {
        double t = v[i];
        v[i] = v[n - 1 - i];
        v[n - 1 - i] = t;
    }
}

static gen_status place_grid(gen_radar_file *f)
{
    odim_state *k = f->state;
    gen_radar_grid *g = &f->grid;
    corner c[4] = { { "LL" }, { "UL" }, { "UR" }, { "LR" } };
    double apart = 0, scale[2];
    GEN_TRY(GEN_ALLOC(&g->x, g->width, "grid: x"));
    GEN_TRY(GEN_ALLOC(&g->y, g->height, "grid: y"));
    GEN_TRY(read_corners(f, c));
    if (!(c[LL].known && c[UR].known) && !(c[UL].known && c[LR].known))
        return gen_fail(GEN_EDATA,
                        "'%s': '/where' has no two opposite corners (LL_lat, LL_lon, "
                        "UR_lat, UR_lon)",
                        f->path);
    double left = side(&c[LL], &c[UL], true, &apart), right = side(&c[LR], &c[UR], true, &apart);
    double low = side(&c[LL], &c[LR], false, &apart), high = side(&c[UL], &c[UR], false, &apart);
    right += g->degrees && right < left ? 360 : 0; /* across the date line */
    double extent[2] = { right - left, high - low };
    if (!(extent[0] > 0) || !(extent[1] > 0) || apart > 0.02 * fmax(extent[0], extent[1]))
        return gen_fail(GEN_EDATA,
                        "'%s': the corners of '/where' make no rectangle in its projection '%s'",
                        f->path, g->proj4);
    GEN_TRY(number(&k->h, k->fields[0].path, "where", "xscale", NAN, &scale[0]));
    GEN_TRY(number(&k->h, k->fields[0].path, "where", "yscale", NAN, &scale[1]));
    bool centres = corners_are_centres(g, extent, scale);
    place_axis(f, "x", left, right, scale[0], g->width, centres, g->x);
    place_axis(f, "y", low, high, scale[1], g->height, centres, g->y);
    turn(g->y, g->height);
    return gen_radar_check_axes(f);
}

static gen_status read_projection(gen_radar_file *f)
{
    odim_state *k = f->state;
    char projdef[GEN_HDF5_TEXT];
    GEN_TRY(text(&k->h, k->fields[0].path, "where", "projdef", projdef));
    if (!projdef[0])
        return gen_fail(GEN_EDATA, "'%s': '/where' has no attribute 'projdef'", f->path);
    f->grid.degrees = gen_proj_is_degrees(projdef);
    gen_status status = gen_proj_repair(projdef, &f->grid.proj4);
    return status ? gen_fail_in(status, "'%s': attribute 'projdef' of '/where'", f->path) : GEN_OK;
}

/* Every frame has the shape that `where` tells. */
static gen_status check_shapes(gen_radar_file *f)
{
    odim_state *k = f->state;
    char path[MAX_PATH + 8];
    for (int64_t i = 0; i < f->frames; i++) {
        const field *d = &k->fields[i];
        int64_t height, width;
        double xsize, ysize;
        snprintf(path, sizeof path, "%s/data", d->path);
        GEN_TRY(gen_hdf5_shape(&k->h, path, &height, &width));
        GEN_TRY(number(&k->h, d->path, "where", "xsize", (double)width, &xsize));
        GEN_TRY(number(&k->h, d->path, "where", "ysize", (double)height, &ysize));
        f->grid.width = i ? f->grid.width : width;
        f->grid.height = i ? f->grid.height : height;
        if (xsize != (double)width || ysize != (double)height || width != f->grid.width ||
            height != f->grid.height)
            return gen_fail(GEN_EDATA,
                            "'%s': dataset '/%s' is %lld x %lld, but 'ysize' x 'xsize' of '/where' "
                            "%g x %g",
                            f->path, path, (long long)height, (long long)width, ysize, xsize);
    }
    return GEN_OK;
}

/* ---- the format -------------------------------------------------------------------------- */

static bool odim_owns(const char *path)
{
    char conventions[GEN_HDF5_TEXT] = "";
    gen_hdf5 h;
    gen_hdf5_quiet quiet;
    gen_hdf5_enter(&quiet);
    bool owns = gen_hdf5_open(&h, path) == GEN_OK &&
                ((gen_hdf5_text(&h, "", "Conventions", conventions) == GEN_OK &&
                  strncmp(conventions, "ODIM_H5", 7) == 0) ||
                 gen_hdf5_has_attribute(&h, "what", "object"));
    gen_hdf5_close(&h);
    gen_hdf5_leave(&quiet);
    return owns;
}

static gen_status check_object(const gen_radar_file *f)
{
    const odim_state *k = f->state;
    char object[GEN_HDF5_TEXT];
    GEN_TRY(gen_hdf5_text(&k->h, "what", "object", object));
    if (object[0] && strcmp(object, "COMP") != 0 && strcmp(object, "IMAGE") != 0)
        return gen_fail(GEN_EDATA,
                        "'%s': attribute 'object' of '/what' is '%.20s', expected COMP or IMAGE: "
                        "maps are read, no volumes or scans",
                        f->path, object);
    return GEN_OK;
}

static gen_status open_entered(gen_radar_file *f)
{
    odim_state *k = f->state;
    GEN_TRY(gen_hdf5_open(&k->h, f->path));
    GEN_TRY(check_object(f));
    GEN_TRY(list_fields(k));
    GEN_TRY(choose(f));
    for (int64_t i = 0; i < f->frames; i++)
        GEN_TRY(read_packing(&k->h, &k->fields[i]));
    GEN_TRY(number(&k->h, k->fields[0].path, "how", "zr_a", 0, &f->zr_a));
    GEN_TRY(number(&k->h, k->fields[0].path, "how", "zr_b", 0, &f->zr_b));
    GEN_TRY(read_times(f));
    GEN_TRY(check_shapes(f));
    GEN_TRY(read_projection(f));
    return place_grid(f);
}

static gen_status odim_open(gen_radar_file *f)
{
    odim_state *k = NULL;
    gen_hdf5_quiet quiet;
    GEN_TRY(GEN_ALLOC(&k, 1, "ODIM file"));
    f->state = k;
    gen_hdf5_enter(&quiet);
    gen_status status = open_entered(f);
    gen_hdf5_leave(&quiet);
    return status;
}

static gen_status odim_read(gen_radar_file *f, int64_t frame, float *values)
{
    const odim_state *k = f->state;
    const field *d = &k->fields[frame];
    char path[MAX_PATH + 8];
    gen_hdf5_quiet quiet;
    snprintf(path, sizeof path, "%s/data", d->path);
    gen_hdf5_enter(&quiet);
    gen_status status =
        gen_hdf5_read(&k->h, path, &d->packing, f->grid.height, f->grid.width, values);
    gen_hdf5_leave(&quiet);
    return status;
}

static void odim_close(gen_radar_file *f)
{
    odim_state *k = f->state;
    gen_hdf5_quiet quiet;
    if (!k)
        return;
    gen_hdf5_enter(&quiet);
    gen_hdf5_close(&k->h);
    gen_hdf5_leave(&quiet);
    gen_free(k->fields);
    gen_free(k);
    f->state = NULL;
}

const gen_radar_format gen_radar_odim = { .name = "ODIM HDF5",
                                          .recognises = gen_hdf5_recognises,
                                          .owns = odim_owns,
                                          .open = odim_open,
                                          .read = odim_read,
                                          .close = odim_close,
                                          .risky = true };
