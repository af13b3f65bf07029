/* SPDX-License-Identifier: Apache-2.0
 *
 * Radar sequences: files joined in time. Times and grids of all files are read first; only the
 * frames that are kept are decoded.
 *
 * The step is the smallest difference of time in all files, so that a missing frame shows even when
 * only two frames are kept.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "weather/codec/codec.h"

#define MAX_BYTES ((uint64_t)8 << 30)
#define KEPT_OPEN 16 /* a nowcast needs four */

typedef struct entry {
    int64_t time;
    int file, frame;
} entry;

typedef struct series {
    const char *const *paths;
    entry *entries;
    uint64_t capacity;
    int64_t n;
    gen_radar_grid grid; /* of the first file */
    int64_t step;
    const gen_radar_read_options *o;
    gen_radar_file *open[KEPT_OPEN]; /* the first files, so that they are opened once */
} series;

/* ---- joining ----------------------------------------------------------------------------- */

static bool axis_equal(const double *a, const double *b, int64_t n)
{
    double cell = n > 1 ? fabs(a[n - 1] - a[0]) / (double)(n - 1) : fabs(a[0]) + 1;
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(a[i] - b[i]) <= 1e-3 * cell))
            return false;
    return true;
}

static bool text_equal(const char *a, const char *b)
{
    return !a || !b ? a == b : strcmp(a, b) == 0;
}

static gen_status same_grid(const series *s, const gen_radar_file *f)
{
    const gen_radar_grid *a = &s->grid, *b = &f->grid;
    if (a->height != b->height || a->width != b->width)
        return gen_fail(GEN_EDATA, "'%s' has a grid of %lld x %lld cells, but '%s' %lld x %lld",
                        s->paths[0], (long long)a->height, (long long)a->width, f->path,
                        (long long)b->height, (long long)b->width);
    if (a->degrees != b->degrees || !axis_equal(a->y, b->y, a->height) ||
        !axis_equal(a->x, b->x, a->width))
        return gen_fail(GEN_EDATA, "'%s' and '%s' have grids at different places", s->paths[0],
                        f->path);
    if (!text_equal(a->proj4, b->proj4) || !text_equal(a->mapping_name, b->mapping_name))
        return gen_fail(GEN_EDATA, "'%s' and '%s' have different projections", s->paths[0],
                        f->path);
    return GEN_OK;
}

/* Of the first file only: the others have the same grid. */
static void warn(const gen_radar_file *f)
{
    if (f->numbered)
        gen_log(GEN_LOG_WARN, "'%s' has no coordinates: cells are numbered", f->path);
    if (!f->grid.mapping_name && !f->grid.proj4)
        gen_log(GEN_LOG_WARN, "'%s' has no projection: the output will carry none", f->path);
}

static gen_status add_file(series *s, int index)
{
    gen_status status;
    gen_radar_file *f = NULL;
    GEN_GOTO(gen_radar_file_open(&f, s->paths[index], s->o));
    GEN_GOTO(gen_radar_rate_prepare(f));
    if (index == 0) {
        GEN_GOTO(gen_radar_grid_copy(&s->grid, &f->grid));
        warn(f);
    } else {
        GEN_GOTO(same_grid(s, f));
    }
    GEN_GOTO(GEN_GROW(&s->entries, &s->capacity, s->n + f->frames));
    for (int64_t i = 0; i < f->frames; i++)
        s->entries[s->n++] = (entry){ f->time[i], index, (int)i };
    if (index < KEPT_OPEN) {
        s->open[index] = f;
        f = NULL;
    }
done:
    gen_radar_file_close(&f);
    return status;
}

static int by_time(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    return (x->frame > y->frame) - (x->frame < y->frame);
}

/* Sorts, refuses duplicates, finds the step. */
static gen_status order(series *s)
{
    char text[32];
    qsort(s->entries, (size_t)s->n, sizeof *s->entries, by_time);
    for (int64_t i = 1; i < s->n; i++) {
        const entry *a = &s->entries[i - 1], *b = &s->entries[i];
        int64_t d = b->time - a->time;
        if (d == 0)
            return gen_fail(GEN_EDATA, "time %s is there twice, in '%s' and in '%s'",
                            gen_time_text(b->time, text), s->paths[a->file], s->paths[b->file]);
        if (s->step == 0 || d < s->step)
            s->step = d;
    }
    return GEN_OK;
}

/* ---- choosing ---------------------------------------------------------------------------- */

/* The first and last entry to keep. */
static gen_status choose(const series *s, const gen_radar_read_options *o, int64_t *first,
                         int64_t *last)
{
    char a[32], b[32], c[32], d[32];
    bool limited = o->first || o->last;
    *first = 0;
    *last = s->n - 1;
    while (limited && *first < s->n && s->entries[*first].time < o->first)
        (*first)++;
    while (limited && *last >= 0 && s->entries[*last].time > o->last)
        (*last)--;
    if (*first > *last && o->first == INT64_MIN)
        return gen_fail(GEN_EDATA, "no frame until %s: '%s' holds %s to %s",
                        gen_time_text(o->last, b), s->paths[0],
                        gen_time_text(s->entries[0].time, c),
                        gen_time_text(s->entries[s->n - 1].time, d));
    if (*first > *last)
        return gen_fail(GEN_EDATA, "no frame from %s to %s: '%s' holds %s to %s",
                        gen_time_text(o->first, a), gen_time_text(o->last, b), s->paths[0],
                        gen_time_text(s->entries[0].time, c),
                        gen_time_text(s->entries[s->n - 1].time, d));
    if (o->max_frames && *last - *first + 1 > o->max_frames)
        *first = *last - o->max_frames + 1;
    return GEN_OK;
}

/* Frames with the gaps counted, or an error that names the first gap. */
static gen_status count_frames(const series *s, const gen_radar_read_options *o, int64_t *first,
                               int64_t last, int64_t *frames)
{
    char a[32], b[32];
    for (int64_t i = *first + 1; i <= last; i++) {
        int64_t d = s->entries[i].time - s->entries[i - 1].time;
        if (d % s->step != 0)
            return gen_fail(GEN_EDATA,
                            "times are not regular: %s follows %s, but the step is %lld s",
                            gen_time_text(s->entries[i].time, a),
                            gen_time_text(s->entries[i - 1].time, b), (long long)s->step);
        if (d != s->step && o->fill == GEN_RADAR_NO_GAPS)
            return gen_fail(GEN_EDATA, "frames are missing between %s and %s (the step is %lld s)",
                            gen_time_text(s->entries[i - 1].time, a),
                            gen_time_text(s->entries[i].time, b), (long long)s->step);
    }
    *frames = s->step ? (s->entries[last].time - s->entries[*first].time) / s->step + 1 : 1;
    if (o->max_frames && *frames > o->max_frames) { /* filled gaps count as frames */
        *frames = o->max_frames;
        int64_t from = s->entries[last].time - (o->max_frames - 1) * s->step;
        while (s->entries[*first].time < from)
            (*first)++;
    }
    return GEN_OK;
}

static gen_status source_text(char **out, const char *const *paths, int n)
{
    char text[512];
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; i < n; i++) {
        const char *slash = strrchr(paths[i], '/'), *name = slash ? slash + 1 : paths[i];
        if (used + strlen(name) + 40 > sizeof text) {
            snprintf(text + used, sizeof text - used, "%s... (%d files)", i ? ", " : "", n);
            break;
        }
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i ? ", " : "", name);
    }
    return gen_strdup(out, text);
}

/* Decodes the chosen frames into q->rain; a file is opened once. */
static gen_status decode(gen_radar_sequence *q, const series *s, int64_t first, int64_t last)
{
    gen_status status = GEN_OK;
    gen_radar_file *later = NULL; /* a file that was not kept open */
    int64_t cells = q->grid.height * q->grid.width;
    int open = -1;
    for (int64_t i = 0; i < q->frames * cells; i++)
        q->rain[i] = NAN;
    for (int64_t i = first; i <= last; i++) {
        const entry *e = &s->entries[i];
        int64_t at = s->step ? (e->time - q->time[0]) / s->step : 0;
        gen_radar_file *f = e->file < KEPT_OPEN ? s->open[e->file] : later;
        if (!f || (f == later && e->file != open)) {
            gen_radar_file_close(&later);
            GEN_GOTO(gen_radar_file_open(&later, s->paths[e->file], s->o));
            GEN_GOTO(gen_radar_rate_prepare(later));
            open = e->file;
            f = later;
            if (f->frames <= e->frame || f->grid.height != q->grid.height ||
                f->grid.width != q->grid.width)
                GEN_GOTO(gen_fail(GEN_EDATA, "'%s' changed while it was read", f->path));
        }
        GEN_GOTO(gen_radar_file_read_rain(f, e->frame, q->rain + at * cells));
    }
done:
    gen_radar_file_close(&later);
    return status;
}

static gen_status take(gen_radar_sequence *q, const series *s, int n,
                       const gen_radar_read_options *o)
{
    int64_t first, last;
    uint64_t limit = o->max_bytes ? o->max_bytes : MAX_BYTES, bytes = 0;
    GEN_TRY(choose(s, o, &first, &last));
    GEN_TRY(count_frames(s, o, &first, last, &q->frames));
    GEN_TRY(gen_radar_grid_copy(&q->grid, &s->grid));
    uint64_t cells = (uint64_t)(q->grid.height * q->grid.width);
    if (__builtin_mul_overflow((uint64_t)q->frames, cells * sizeof(float), &bytes) || bytes > limit)
        return gen_fail(GEN_ENOMEM,
                        "%lld frames of %lld x %lld cells take %.1f GB, the limit is "
                        "%.1f GB",
                        (long long)q->frames, (long long)q->grid.height, (long long)q->grid.width,
                        (double)q->frames * (double)cells * 4e-9, (double)limit * 1e-9);
    GEN_TRY(gen_alloc_raw((void **)&q->rain, (uint64_t)q->frames * cells, sizeof(float),
                          "radar frames"));
    GEN_TRY(GEN_ALLOC(&q->time, q->frames, "radar times"));
    q->step = s->step;
    for (int64_t i = 0; i < q->frames; i++)
        q->time[i] = s->entries[last].time - (q->frames - 1 - i) * s->step;
    GEN_TRY(source_text(&q->source, s->paths, n));
    return decode(q, s, first, last);
}

gen_status gen_radar_read(gen_radar_sequence **out, const char *const *paths, int n,
                          const gen_radar_read_options *options)
{
    gen_status status;
    series s = { .paths = paths };
    gen_radar_sequence *q = NULL;
    const gen_radar_read_options none = { 0 }, *o = options ? options : &none;
    *out = NULL;
    s.o = o;
    if (n < 1)
        return gen_fail(GEN_EINVAL, "no radar file given");
    for (int i = 0; i < n; i++)
        GEN_GOTO(add_file(&s, i));
    GEN_GOTO(order(&s));
    GEN_GOTO(GEN_ALLOC(&q, 1, "radar sequence"));
    GEN_GOTO(take(q, &s, n, o));
    bool measured = false;
    for (int64_t i = 0; i < q->frames * q->grid.height * q->grid.width && !measured; i++)
        measured = !isnan(q->rain[i]);
    if (!measured)
        GEN_GOTO(gen_fail(GEN_EDATA, "'%s': every cell is missing in %lld frames", paths[0],
                          (long long)q->frames));
    *out = q;
    q = NULL;
done:
    gen_radar_free(&q);
    for (int i = 0; i < KEPT_OPEN; i++)
        gen_radar_file_close(&s.open[i]);
    gen_radar_grid_clear(&s.grid);
    gen_free(s.entries);
    return status;
}

void gen_radar_free(gen_radar_sequence **s)
{
    gen_radar_sequence *q = *s;
    *s = NULL;
    if (!q)
        return;
    gen_radar_grid_clear(&q->grid);
    gen_free(q->time);
    gen_free(q->rain);
    gen_free(q->source);
    gen_free(q);
}

gen_radar_summary gen_radar_summarise(const gen_radar_sequence *s)
{
    gen_radar_summary r = { .min = HUGE_VAL, .max = -HUGE_VAL };
    int64_t n = s->frames * s->grid.height * s->grid.width, measured = 0, wet = 0;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double v = (double)s->rain[i];
        if (isnan(v))
            continue;
        measured++;
        wet += s->rain[i] >= 0.1f;
        sum += v;
        r.min = v < r.min ? v : r.min;
        r.max = v > r.max ? v : r.max;
    }
    if (measured == 0)
        return (gen_radar_summary){ .missing_share = n ? 1 : 0 };
    r.missing_share = 1 - (double)measured / (double)n;
    r.wet_share = (double)wet / (double)measured;
    r.mean = sum / (double)measured;
    return r;
}
