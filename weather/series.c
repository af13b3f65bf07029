/* SPDX-License-Identifier: Apache-2.0
 *
 * Radar sequences: files joined in time. Times and grids of files are read first; only the frames
 * that are kept are decoded.
 *
 * The step is the smallest difference of time in all files (in lenient reading the most frequent
 * one), so that a missing frame shows even when only two frames are kept. A file that is not opened
 * counts with the time in its name.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "libgen/base/alloc.h"
#include "weather/codec/codec.h"
#include "weather/fill.h"

#define MAX_BYTES ((uint64_t)8 << 30)
#define KEPT_OPEN 16           /* files; a nowcast needs four */
#define MOST_TIME 300000000000 /* s; of the years until 9999 */
#define MORE_FRAMES 64         /* how far a lenient search goes back beyond the newest frames */

typedef struct entry {
    int64_t time;
    int file, frame;
} entry;

typedef struct source {
    const char *path;
    int64_t named;   /* time in its name, or GEN_TIME_UNKNOWN */
    int64_t changed; /* seconds; of lenient reading */
    bool opened, left_out;
    gen_radar_file *file; /* while it is kept open */
} source;

typedef struct turn {
    int64_t named;
    const char *path;
    int file;
} turn;

typedef struct series {
    const gen_radar_read_options *o;
    source *files;
    int n, n_open, kept;
    turn *turns; /* [n] files in the order of opening: newest name first, or as given */
    bool by_name;
    int64_t want; /* frames to look for, when by_name */
    entry *entries;
    uint64_t capacity;
    int64_t n_entries;
    int reference;       /* file that the others are compared with, -1 until one is open */
    gen_radar_grid grid; /* its grid */
    int64_t step;
    double interval;                 /* of the rates; 0 when files differ */
    int disagree, first_disagreeing; /* files whose time is not that of the name */
    int64_t own_time;
    int failed; /* file that could not be decoded, or -1 */
} series;

/* ---- opening ----------------------------------------------------------------------------- */

static bool text_equal(const char *a, const char *b)
{
    return !a || !b ? a == b : strcmp(a, b) == 0;
}

static gen_status same_grid(const series *s, const gen_radar_file *f)
{
    const gen_radar_grid *a = &s->grid, *b = &f->grid;
    const char *path = s->files[s->reference].path;
    if (a->height != b->height || a->width != b->width)
        return gen_fail(GEN_EDATA, "'%s' has a grid of %lld x %lld cells, but '%s' %lld x %lld",
                        path, (long long)a->height, (long long)a->width, f->path,
                        (long long)b->height, (long long)b->width);
    if (!gen_radar_same_cells(a, b))
        return gen_fail(GEN_EDATA, "'%s' and '%s' have grids at different places", path, f->path);
    if (!text_equal(a->proj4, b->proj4) || !text_equal(a->mapping_name, b->mapping_name))
        return gen_fail(GEN_EDATA, "'%s' and '%s' have different projections", path, f->path);
    return GEN_OK;
}

/* Of the first file only: the others have the same grid. */
static void warn(const gen_radar_file *f)
{
    if (f->numbered)
        gen_log(GEN_LOG_WARN, "'%s' has no coordinates: cells are numbered", f->path);
    if (!f->grid.mapping_name && !f->grid.proj4 && !f->grid.degrees)
        gen_log(GEN_LOG_WARN, "'%s' has no projection: the output will carry none", f->path);
}

/* A file's own time wins over its name, which helps out where there is none. */
static gen_status settle_times(series *s, int index, gen_radar_file *f)
{
    int64_t named = s->files[index].named;
    bool agrees = named == GEN_TIME_UNKNOWN;
    for (int64_t i = 0; i < f->frames; i++) {
        if (f->time[i] == GEN_TIME_UNKNOWN && (named == GEN_TIME_UNKNOWN || f->frames > 1))
            return gen_fail(GEN_EDATA,
                            "'%s' does not say when it was measured: give a pattern with the time "
                            "in its name (--pattern '%%Y%%m%%d%%H%%M*')",
                            f->path);
        if (f->time[i] == GEN_TIME_UNKNOWN)
            f->time[i] = named;
        if (f->time[i] < -MOST_TIME || f->time[i] > MOST_TIME)
            return gen_fail(GEN_EDATA, "'%s': a time of %lld s is beyond the calendar", f->path,
                            (long long)f->time[i]);
        agrees = agrees || f->time[i] == named;
    }
    if (!agrees && s->disagree++ == 0) {
        s->first_disagreeing = index;
        s->own_time = f->time[0];
    }
    return GEN_OK;
}

static void warn_of_names(const series *s)
{
    char a[32], b[32], more[40] = "";
    if (!s->disagree)
        return;
    const source *f = &s->files[s->first_disagreeing];
    if (s->disagree > 1)
        snprintf(more, sizeof more, " (and %d files more)", s->disagree - 1);
    gen_log(GEN_LOG_WARN, "'%s' says %s, but its name %s%s: the file's own time is taken", f->path,
            gen_time_text(s->own_time, a), gen_time_text(f->named, b), more);
}

static gen_status open_one(const series *s, int index, gen_radar_file **f)
{
    gen_status status = gen_radar_file_open(f, s->files[index].path, s->o);
    if (status == GEN_OK)
        status = gen_radar_rate_prepare(*f);
    if (status != GEN_OK)
        gen_radar_file_close(f);
    return status;
}

static void leave_out(series *s, int index)
{
    gen_log(GEN_LOG_WARN, "%s: this file is left out", gen_last_error());
    s->files[index].left_out = true;
    int64_t n = 0;
    for (int64_t i = 0; i < s->n_entries; i++)
        if (s->entries[i].file != index)
            s->entries[n++] = s->entries[i];
    s->n_entries = n;
}

static gen_status add_file(series *s, int index)
{
    gen_status status;
    gen_radar_file *f = NULL;
    source *from = &s->files[index];
    from->opened = true;
    status = open_one(s, index, &f);
    if (status == GEN_EDATA && s->o->lenient) {
        leave_out(s, index);
        return GEN_OK;
    }
    GEN_GOTO(status);
    GEN_GOTO(settle_times(s, index, f));
    if (s->reference < 0) {
        GEN_GOTO(gen_radar_grid_copy(&s->grid, &f->grid));
        s->reference = index;
        s->interval = f->interval;
        warn(f);
    } else {
        GEN_GOTO(same_grid(s, f));
        s->interval = f->interval == s->interval ? s->interval : 0;
    }
    GEN_GOTO(GEN_GROW(&s->entries, &s->capacity, s->n_entries + f->frames));
    for (int64_t i = 0; i < f->frames; i++)
        s->entries[s->n_entries++] = (entry){ f->time[i], index, (int)i };
    if (s->kept < KEPT_OPEN) {
        s->kept++;
        from->file = f;
        f = NULL;
    }
done:
    gen_radar_file_close(&f);
    return status;
}

/* ---- which files ------------------------------------------------------------------------- */

static int newest_name_first(const void *a, const void *b)
{
    const turn *x = a, *y = b;
    if (x->named != y->named)
        return x->named > y->named ? -1 : 1;
    return strcmp(x->path, y->path);
}

static gen_status list_files(series *s, const char *const *paths, int n)
{
    const gen_radar_read_options *o = s->o;
    bool matches;
    s->n = n;
    GEN_TRY(GEN_ALLOC(&s->files, n, "radar files"));
    GEN_TRY(GEN_ALLOC(&s->turns, n, "radar files"));
    s->by_name = o->pattern && o->max_frames > 0;
    for (int i = 0; i < n; i++) {
        struct stat info;
        source *f = &s->files[i];
        *f = (source){ .path = paths[i], .named = GEN_TIME_UNKNOWN };
        if (o->pattern)
            GEN_TRY(gen_name_match(o->pattern, paths[i], &matches, &f->named));
        if (o->lenient && stat(paths[i], &info) == 0)
            f->changed = (int64_t)info.st_mtime;
        s->by_name = s->by_name && f->named != GEN_TIME_UNKNOWN;
        s->turns[i] = (turn){ f->named, f->path, i };
    }
    s->want = o->lenient ? 2 * o->max_frames : o->max_frames; /* a gap may stand between */
    if (s->by_name)
        qsort(s->turns, (size_t)n, sizeof *s->turns, newest_name_first);
    return GEN_OK;
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

/* Two frames of one time: an error, or the file changed last wins. */
static gen_status join_duplicates(series *s)
{
    char text[32];
    int64_t n = 0;
    for (int64_t i = 0; i < s->n_entries; i++) {
        entry *e = &s->entries[i], *last = n ? &s->entries[n - 1] : NULL;
        if (!last || e->time != last->time) {
            s->entries[n++] = *e;
            continue;
        }
        const source *a = &s->files[last->file], *b = &s->files[e->file];
        if (!s->o->lenient)
            return gen_fail(GEN_EDATA, "time %s is there twice, in '%s' and in '%s'",
                            gen_time_text(e->time, text), a->path, b->path);
        bool later =
            a->changed != b->changed ? b->changed > a->changed : strcmp(b->path, a->path) > 0;
        if (later)
            *last = *e;
        gen_log(GEN_LOG_WARN, "time %s is there twice, in '%s' and in '%s': the second is taken",
                gen_time_text(e->time, text), later ? a->path : b->path, later ? b->path : a->path);
    }
    s->n_entries = n;
    return GEN_OK;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Of values that rise; of several, the smallest. */
static int64_t most_frequent(const int64_t *v, int64_t n)
{
    int64_t best = v[0], most = 0;
    for (int64_t i = 0, next; i < n; i = next) {
        for (next = i; next < n && v[next] == v[i];)
            next++;
        if (next - i > most) {
            most = next - i;
            best = v[i];
        }
    }
    return best;
}

/* From the times of the frames, and of the names of files that were not opened. In a feed one frame
 * at an odd time must not make the step that of its neighbours. */
static gen_status find_step(series *s)
{
    int64_t *times = NULL, n = 0;
    GEN_TRY(GEN_ALLOC(&times, s->n_entries + s->n, "radar times"));
    for (int64_t i = 0; i < s->n_entries; i++)
        times[n++] = s->entries[i].time;
    for (int i = 0; i < s->n; i++)
        if (!s->files[i].opened && s->files[i].named != GEN_TIME_UNKNOWN)
            times[n++] = s->files[i].named;
    qsort(times, (size_t)n, sizeof *times, by_value);
    int64_t differences = 0;
    for (int64_t i = 1; i < n; i++)
        if (times[i] > times[i - 1])
            times[differences++] = times[i] - times[i - 1];
    qsort(times, (size_t)differences, sizeof *times, by_value);
    s->step = differences == 0 ? 0 : s->o->lenient ? most_frequent(times, differences) : times[0];
    gen_free(times);
    return GEN_OK;
}

static bool in_limits(const series *s, int64_t time)
{
    const gen_radar_read_options *o = s->o;
    return !(o->first || o->last) || (time >= o->first && time <= o->last);
}

/* Opens files: all, or newest names first until as many frames as wanted are there. */
static gen_status gather(series *s)
{
    for (;;) {
        int64_t found = 0;
        for (int64_t i = 0; s->by_name && i < s->n_entries; i++)
            found += in_limits(s, s->entries[i].time);
        if (s->n_open == s->n || (s->by_name && found >= s->want))
            break;
        int index = s->turns[s->n_open++].file;
        const source *f = &s->files[index];
        if (!s->by_name || in_limits(s, f->named) || s->n_open == s->n)
            GEN_TRY(add_file(s, index));
        if (s->n_entries && (s->by_name || s->n_open == s->n)) {
            qsort(s->entries, (size_t)s->n_entries, sizeof *s->entries, by_time);
            GEN_TRY(join_duplicates(s));
        }
    }
    if (s->n_entries == 0)
        return gen_fail_in(GEN_EDATA, "none of %d files can be read; the last one", s->n);
    return find_step(s);
}

/* ---- which frames ------------------------------------------------------------------------ */

/* Frames of the future, in a feed: a clock is wrong somewhere. */
static void warn_of_late_frames(const series *s)
{
    char a[32], b[32];
    int64_t n = 0, newest = INT64_MIN;
    for (int64_t i = 0; i < s->n_entries; i++)
        if (s->entries[i].time > s->o->last) {
            n++;
            newest = s->entries[i].time > newest ? s->entries[i].time : newest;
        }
    for (int i = 0; i < s->n; i++)
        if (!s->files[i].opened && s->files[i].named > s->o->last) {
            n++;
            newest = s->files[i].named > newest ? s->files[i].named : newest;
        }
    if (n)
        gen_log(GEN_LOG_WARN, "%lld frame%s later than %s, up to %s: left out", (long long)n,
                n > 1 ? "s are" : " is", gen_time_text(s->o->last, a), gen_time_text(newest, b));
}

/* The first and last entry within the limits of time. */
static gen_status limit(const series *s, int64_t *first, int64_t *last)
{
    const gen_radar_read_options *o = s->o;
    char a[32], b[32], c[32], d[32];
    const char *path = s->files[s->reference].path;
    *first = 0;
    *last = s->n_entries - 1;
    while (*first < s->n_entries && !in_limits(s, s->entries[*first].time))
        (*first)++;
    while (*last >= 0 && !in_limits(s, s->entries[*last].time))
        (*last)--;
    if (*first <= *last)
        return GEN_OK;
    gen_time_text(s->entries[0].time, c);
    gen_time_text(s->entries[s->n_entries - 1].time, d);
    if (o->first == INT64_MIN)
        return gen_fail(GEN_EDATA, "no frame until %s: '%s' holds %s to %s",
                        gen_time_text(o->last, b), path, c, d);
    return gen_fail(GEN_EDATA, "no frame from %s to %s: '%s' holds %s to %s",
                    gen_time_text(o->first, a), gen_time_text(o->last, b), path, c, d);
}

/* Whether entry i may follow entry i - 1; an error that says why not. */
static gen_status check_gap(const series *s, int64_t i)
{
    char a[32], b[32];
    int64_t from = s->entries[i - 1].time, to = s->entries[i].time;
    int64_t missing = (to - from) / s->step - 1;
    gen_time_text(from, a);
    gen_time_text(to, b);
    if ((to - from) % s->step != 0)
        return gen_fail(GEN_EDATA, "times are not regular: %s follows %s, but the step is %lld s",
                        b, a, (long long)s->step);
    if (missing && s->o->fill == GEN_RADAR_NO_GAPS)
        return gen_fail(GEN_EDATA, "frames are missing between %s and %s (the step is %lld s)", a,
                        b, (long long)s->step);
    if (missing > GEN_FILL_MOST && s->o->fill == GEN_RADAR_FILL_ADVECT)
        return gen_fail(GEN_EDATA,
                        "%lld frames are missing between %s and %s: at most %d are advected",
                        (long long)missing, a, b, GEN_FILL_MOST);
    return GEN_OK;
}

static int64_t frames_between(const series *s, int64_t first, int64_t last)
{
    return first == last ? 1 : (s->entries[last].time - s->entries[first].time) / s->step + 1;
}

/* The earliest entry from which all follow one another up to `last`, not below `least`, and no
 * more of them than make `most` frames (0 = any). *why: what stands before it, GEN_OK if nothing.
 */
static int64_t run_start(const series *s, int64_t least, int64_t last, int64_t most,
                         gen_status *why)
{
    int64_t i = last;
    *why = GEN_OK;
    while (i > least && (!most || frames_between(s, i, last) < most)) {
        *why = check_gap(s, i);
        if (*why != GEN_OK)
            break;
        i--;
    }
    return i;
}

/* The first and last entry to read. */
static gen_status choose(const series *s, int64_t *first, int64_t *last)
{
    const gen_radar_read_options *o = s->o;
    gen_status why;
    int64_t least;
    char a[32], b[32];
    GEN_TRY(limit(s, &least, last));
    if (!o->lenient) {
        *first = run_start(s, least, *last, o->max_frames, &why);
        return why;
    }
    int64_t newest = *last, end = newest;
    for (; end >= least; end = *first - 1) {
        *first = run_start(s, least, end, o->max_frames, &why);
        if (frames_between(s, *first, end) >= o->min_frames)
            break;
    }
    if (end < least)
        return gen_fail(GEN_EDATA,
                        "no %lld frames follow one another until %s (the step is %lld s)",
                        (long long)o->min_frames, gen_time_text(s->entries[newest].time, a),
                        (long long)s->step);
    if (end < newest)
        gen_log(GEN_LOG_WARN, "frames are missing before %s: those until %s are taken",
                gen_time_text(s->entries[end + 1].time, a), gen_time_text(s->entries[end].time, b));
    *last = end;
    return GEN_OK;
}

/* ---- reading ----------------------------------------------------------------------------- */

/* The files of the frames that are kept, in order of time. */
static gen_status source_text(char **out, const series *s, int64_t first, int64_t last, int made)
{
    char text[600];
    size_t used = 0, most = 512;
    int n = 0, before = -1;
    text[0] = 0;
    for (int64_t i = first; i <= last; i++) {
        int file = s->entries[i].file;
        const char *path = s->files[file].path;
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
        if (file == before)
            continue;
        before = file;
        if (used + strlen(name) + 40 <= most)
            used += (size_t)snprintf(text + used, most - used, "%s%s", n ? ", " : "", name);
        else
            most = 0;
        n++;
    }
    if (!most)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s... (%d files)",
                                 used ? ", " : "", n);
    if (made)
        snprintf(text + used, sizeof text - used, "; %d missing frame%s advected", made,
                 made > 1 ? "s" : "");
    return gen_strdup(out, text);
}

/* The file of an entry: kept open, or opened again as *later (of index *index). */
static gen_status file_of(series *s, const entry *e, gen_radar_file **later, int *index,
                          gen_radar_file **out)
{
    *out = s->files[e->file].file;
    if (*out)
        return GEN_OK;
    if (*index != e->file) {
        gen_radar_file_close(later);
        *index = -1;
        GEN_TRY(open_one(s, e->file, later));
        *index = e->file;
    }
    *out = *later;
    if ((*out)->frames <= e->frame || (*out)->grid.height != s->grid.height ||
        (*out)->grid.width != s->grid.width)
        return gen_fail(GEN_EDATA, "'%s' changed while it was read", (*out)->path);
    return GEN_OK;
}

/* Decodes the chosen frames into q->rain; a file is opened once. The grid is that of the newest
 * frame, so that it does not depend on the order of the files. */
static gen_status decode(gen_radar_sequence *q, series *s, int64_t first, int64_t last, bool *there)
{
    gen_status status = GEN_OK;
    gen_radar_file *later = NULL, *f = NULL;
    int64_t cells = q->grid.height * q->grid.width;
    int index = -1;
    for (int64_t i = first; i <= last; i++) {
        const entry *e = &s->entries[i];
        int64_t at = s->step ? (e->time - q->time[0]) / s->step : 0;
        s->failed = e->file;
        GEN_GOTO(file_of(s, e, &later, &index, &f));
        GEN_GOTO(gen_radar_file_read_rain(f, e->frame, q->rain + at * cells));
        there[at] = true;
        s->failed = -1;
        if (i == last) {
            gen_radar_grid_clear(&q->grid);
            GEN_GOTO(gen_radar_grid_copy(&q->grid, &f->grid));
        }
    }
    for (int64_t at = 0; at < q->frames; at++)
        for (int64_t i = 0; i < cells && !there[at]; i++)
            q->rain[at * cells + i] = NAN;
done:
    gen_radar_file_close(&later);
    return status;
}

static gen_status check_measured(const series *s, const gen_radar_sequence *q)
{
    int64_t n = q->frames * q->grid.height * q->grid.width, i = 0;
    while (i < n && isnan(q->rain[i]))
        i++;
    if (i == n)
        return gen_fail(GEN_EDATA, "'%s': every cell is missing in %lld frames",
                        s->files[s->reference].path, (long long)q->frames);
    return GEN_OK;
}

static gen_status allocate(gen_radar_sequence *q, const series *s)
{
    uint64_t limit = s->o->max_bytes ? s->o->max_bytes : MAX_BYTES, bytes = 0;
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
    return GEN_ALLOC(&q->time, q->frames, "radar times");
}

/* Keeps the newest frames: a gap at their beginning was filled from a frame before it. */
static void keep_newest(gen_radar_sequence *q, int64_t most)
{
    int64_t cells = q->grid.height * q->grid.width, drop = q->frames - most;
    if (!most || drop <= 0)
        return;
    memmove(q->rain, q->rain + drop * cells, (size_t)(most * cells) * sizeof *q->rain);
    memmove(q->time, q->time + drop, (size_t)most * sizeof *q->time);
    q->frames = most;
}

static gen_status take(gen_radar_sequence **out, series *s)
{
    gen_status status;
    gen_radar_sequence *q = NULL;
    bool *there = NULL;
    int64_t first = 0, last = 0;
    int made = 0;
    GEN_GOTO(choose(s, &first, &last));
    GEN_GOTO(GEN_ALLOC(&q, 1, "radar sequence"));
    q->frames = frames_between(s, first, last);
    q->step = s->step;
    q->interval = s->interval;
    GEN_GOTO(allocate(q, s));
    GEN_GOTO(GEN_ALLOC(&there, q->frames, "radar frames"));
    for (int64_t i = 0; i < q->frames; i++)
        q->time[i] = s->entries[last].time - (q->frames - 1 - i) * s->step;
    GEN_GOTO(decode(q, s, first, last, there));
    if (s->o->fill == GEN_RADAR_FILL_ADVECT)
        GEN_GOTO(gen_fill_by_advection(q, there, &made));
    keep_newest(q, s->o->max_frames);
    GEN_GOTO(source_text(&q->source, s, first, last, made));
    GEN_GOTO(check_measured(s, q));
    *out = q;
    q = NULL;
done:
    gen_radar_free(&q);
    gen_free(there);
    return status;
}

/* Whether another try is worth it, without the file that failed or with older ones. */
static bool recover(series *s)
{
    if (!s->o->lenient)
        return false;
    if (s->failed >= 0)
        leave_out(s, s->failed);
    else if (s->by_name && s->n_open < s->n && s->want < s->o->max_frames + MORE_FRAMES)
        s->want++;
    else
        return false;
    s->failed = -1;
    return true;
}

gen_status gen_radar_read(gen_radar_sequence **out, const char *const *paths, int n,
                          const gen_radar_read_options *options)
{
    gen_status status;
    const gen_radar_read_options none = { 0 };
    series s = { .o = options ? options : &none, .reference = -1, .failed = -1 };
    *out = NULL;
    if (n < 1)
        return gen_fail(GEN_EINVAL, "no radar file given");
    GEN_GOTO(list_files(&s, paths, n));
    do {
        GEN_GOTO(gather(&s));
        status = take(out, &s);
    } while (status == GEN_EDATA && recover(&s));
    if (status == GEN_OK)
        warn_of_names(&s);
    if (s.o->lenient && s.o->last)
        warn_of_late_frames(&s);
done:
    for (int i = 0; i < s.n && s.files; i++)
        gen_radar_file_close(&s.files[i].file);
    gen_radar_grid_clear(&s.grid);
    gen_free(s.files);
    gen_free(s.turns);
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
