/* SPDX-License-Identifier: Apache-2.0
 *
 * From a heap of radar files to sequences of even steps.
 */
#include "weather/archive.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "libgen/base/alloc.h"

typedef struct reading {
    const gen_archive_options *o;
    gen_archive *out;
    gen_radar_sequence **single; /* files of one frame */
    uint64_t n_single, room_single;
    int too_short;
    int64_t longest; /* frames, of those */
} reading;

void gen_archive_free(gen_archive *a)
{
    for (int i = 0; i < a->n; i++)
        gen_radar_free(&a->sequence[i]);
    gen_free(a->sequence);
    *a = (gen_archive){ 0 };
}

/* ---- sequences ------------------------------------------------------------------------------- */

/* Takes `s` over. */
static gen_status keep(reading *r, gen_radar_sequence *s)
{
    gen_archive *a = r->out;
    if (s->frames < r->o->least) {
        r->too_short++;
        r->longest = s->frames > r->longest ? s->frames : r->longest;
        gen_log(GEN_LOG_INFO, "'%s' is left out: %lld frames, %lld are needed", s->source,
                (long long)s->frames, (long long)r->o->least);
        gen_radar_free(&s);
        return GEN_OK;
    }
    gen_status status = GEN_GROW(&a->sequence, &a->room, a->n + 1);
    if (status != GEN_OK) {
        gen_radar_free(&s);
        return status;
    }
    a->sequence[a->n++] = s;
    double step = (double)s->step;
    a->step = a->n == 1 || step < a->step ? step : a->step;
    return GEN_OK;
}

/* A sequence of `frames` frames on the grid of `like`. */
static gen_status make_like(gen_radar_sequence **out, const gen_radar_sequence *like,
                            int64_t frames)
{
    gen_status status;
    const gen_radar_grid *g = &like->grid;
    gen_radar_sequence *s = NULL;
    *out = NULL;
    GEN_GOTO(GEN_ALLOC(&s, 1, "sequence"));
    s->frames = frames;
    s->grid = (gen_radar_grid){ .height = g->height, .width = g->width, .degrees = g->degrees };
    GEN_GOTO(GEN_ALLOC(&s->time, frames, "sequence"));
    GEN_GOTO(GEN_ALLOC(&s->grid.y, g->height, "sequence"));
    GEN_GOTO(GEN_ALLOC(&s->grid.x, g->width, "sequence"));
    memcpy(s->grid.y, g->y, (size_t)g->height * sizeof *g->y);
    memcpy(s->grid.x, g->x, (size_t)g->width * sizeof *g->x);
    if (g->proj4)
        GEN_GOTO(gen_strdup(&s->grid.proj4, g->proj4));
    GEN_GOTO(gen_strdup(&s->source, like->source ? like->source : ""));
    GEN_GOTO(gen_alloc_raw((void **)&s->rain, (uint64_t)(frames * g->height * g->width),
                           sizeof *s->rain, "sequence"));
    *out = s;
    s = NULL;
done:
    gen_radar_free(&s);
    return status;
}

static void copy_frame(gen_radar_sequence *to, int64_t at, const gen_radar_sequence *from,
                       int64_t frame)
{
    int64_t cells = from->grid.height * from->grid.width;
    to->time[at] = from->time[frame];
    memcpy(to->rain + at * cells, from->rain + frame * cells, (size_t)cells * sizeof *to->rain);
}

/* Every n-th frame, in n sequences. Takes `s` over. */
static gen_status thin(reading *r, gen_radar_sequence *s, int64_t n)
{
    gen_status status = GEN_OK;
    for (int64_t first = 0; first < n && first < s->frames && status == GEN_OK; first++) {
        gen_radar_sequence *part;
        status = make_like(&part, s, (s->frames - first + n - 1) / n);
        if (status != GEN_OK)
            break;
        part->step = s->step * n;
        for (int64_t t = 0; t < part->frames; t++)
            copy_frame(part, t, s, first + t * n);
        status = keep(r, part);
    }
    gen_radar_free(&s);
    return status;
}

/* Takes `s` over. */
static gen_status take(reading *r, gen_radar_sequence *s)
{
    const gen_archive_options *o = r->o;
    int64_t n = llround(o->step / (double)s->step);
    n = n < 1 ? 1 : n;
    /* A tie (5 min wanted, frames of 2 min) goes to the shorter step. */
    if (n > 1 &&
        fabs((double)((n - 1) * s->step) - o->step) <= fabs((double)(n * s->step) - o->step))
        n--;
    double step = (double)(n * s->step);
    if (!o->any_step && (step > 1.5 * o->step || step < o->step / 1.5)) {
        gen_status status = gen_fail(GEN_EDATA,
                                     "'%s' has frames %g min apart, expected about %g: leave it "
                                     "out, or ask for any step",
                                     s->source, (double)s->step / 60, o->step / 60);
        gen_radar_free(&s);
        return status;
    }
    return n > 1 ? thin(r, s, n) : keep(r, s);
}

/* ---- files of one frame ---------------------------------------------------------------------- */

static bool same_grid(const gen_radar_grid *a, const gen_radar_grid *b)
{
    return a->height == b->height && a->width == b->width &&
           !memcmp(a->y, b->y, (size_t)a->height * sizeof *a->y) &&
           !memcmp(a->x, b->x, (size_t)a->width * sizeof *a->x);
}

static int by_grid_and_time(const void *x, const void *y)
{
    const gen_radar_sequence *a = *(gen_radar_sequence *const *)x,
                             *b = *(gen_radar_sequence *const *)y;
    if (a->grid.height != b->grid.height)
        return a->grid.height < b->grid.height ? -1 : 1;
    if (a->grid.width != b->grid.width)
        return a->grid.width < b->grid.width ? -1 : 1;
    int corner = memcmp(a->grid.y, b->grid.y, sizeof(double));
    corner = corner ? corner : memcmp(a->grid.x, b->grid.x, sizeof(double));
    if (corner)
        return corner;
    return a->time[0] < b->time[0] ? -1 : a->time[0] > b->time[0] ? 1 : 0;
}

/* Frames first to last, one step apart, become one sequence. */
static gen_status join_run(reading *r, uint64_t first, uint64_t end)
{
    gen_radar_sequence *s;
    if (end - first < 2) {
        r->too_short++;
        r->longest = r->longest > 1 ? r->longest : 1;
        return GEN_OK;
    }
    GEN_TRY(make_like(&s, r->single[first], (int64_t)(end - first)));
    for (uint64_t i = first; i < end; i++) {
        copy_frame(s, (int64_t)(i - first), r->single[i], 0);
        gen_radar_free(&r->single[i]);
    }
    s->step = s->time[1] - s->time[0];
    return take(r, s);
}

/* The step of a run is that between its first two frames. */
static gen_status join_singles(reading *r)
{
    gen_radar_sequence **f = r->single;
    if (r->n_single)
        qsort(f, r->n_single, sizeof *f, by_grid_and_time);
    for (uint64_t first = 0, end; first < r->n_single; first = end) {
        for (end = first + 1; end < r->n_single; end++) {
            if (!same_grid(&f[end]->grid, &f[end - 1]->grid))
                break;
            int64_t step = f[end]->time[0] - f[end - 1]->time[0];
            if (step <= 0)
                return gen_fail(GEN_EDATA, "'%s' and '%s' are of the same time", f[end - 1]->source,
                                f[end]->source);
            if (end > first + 1 && step != f[first + 1]->time[0] - f[first]->time[0])
                break;
        }
        GEN_TRY(join_run(r, first, end));
    }
    return GEN_OK;
}

/* ---- files ----------------------------------------------------------------------------------- */

static gen_status read_file(reading *r, const char *path)
{
    gen_radar_sequence *s;
    gen_status status = gen_radar_read(&s, &path, 1, &r->o->read);
    if (status == GEN_EDATA) {
        gen_log(GEN_LOG_WARN, "%s; the file is left out", gen_last_error());
        r->out->unreadable++;
        return GEN_OK;
    }
    GEN_TRY(status);
    if (s->frames > 1)
        return take(r, s);
    status = GEN_GROW(&r->single, &r->room_single, r->n_single + 1);
    if (status != GEN_OK)
        gen_radar_free(&s);
    else
        r->single[r->n_single++] = s;
    return status;
}

static gen_status nothing_left(const reading *r, int n)
{
    if (r->out->unreadable == n)
        return gen_fail(GEN_EDATA, "none of %d radar files could be read", n);
    return gen_fail(GEN_EDATA,
                    "%d sequences in %d radar files are too short: the longest has %lld frames, "
                    "%lld are needed",
                    r->too_short, n, (long long)r->longest, (long long)r->o->least);
}

gen_status gen_archive_read(gen_archive *a, const char *const *paths, int n,
                            const gen_archive_options *options)
{
    gen_status status = GEN_OK;
    reading r = { .o = options, .out = a };
    *a = (gen_archive){ 0 };
    if (n < 1)
        return gen_fail(GEN_EDATA, "there are no radar files to train on");
    for (int i = 0; i < n; i++) {
        GEN_GOTO(gen_progress_report(&options->progress, "reading", i, n));
        GEN_GOTO(read_file(&r, paths[i]));
    }
    GEN_GOTO(join_singles(&r));
    if (!a->n)
        GEN_GOTO(nothing_left(&r, n));
done:
    for (uint64_t i = 0; i < r.n_single; i++)
        gen_radar_free(&r.single[i]);
    gen_free(r.single);
    return status;
}
