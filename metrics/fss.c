/* SPDX-License-Identifier: Apache-2.0
 *
 * Fractions skill score (Roberts and Lean 2008): shares of a window with the event, of observation
 * and forecast, compared at every cell. Windows are counted from a summed-area table, so that a
 * cell costs the same for any window. All is in integers until a row's sums are added: exact.
 *
 * Forecast fields are each member, the ensemble mean, and the number of members with the event.
 */
#include <string.h>

#include "libgen/base/fail.h"
#include "metrics/score.h"

typedef struct field_sums {
    gen_sum ff, fo;
} field_sums;

/* Of one thread. Sums wrap at 2^32, differences of windows do not. */
typedef struct scratch {
    uint32_t *table; /* [h+1, w+1] */
    uint32_t *event; /* [w] */
    uint32_t *count; /* [w] */
    uint32_t *edge;  /* [3w+1] */
} scratch;

struct gen_fss {
    scratch *thread;
    int threads;
    uint32_t *observed; /* [windows][h,w]: events in the window at each cell */
    field_sums *part;   /* [members + 2][windows] */
};

gen_status gen_fss_create(gen_score *s)
{
    int64_t h = s->o.height, w = s->o.width;
    GEN_TRY(GEN_ALLOC(&s->fss, 1, "scratch of the FSS"));
    struct gen_fss *f = s->fss;
    int threads = gen_pool_threads(s->pool);
    GEN_TRY(GEN_ALLOC(&f->thread, threads, "scratch of the FSS"));
    f->threads = threads;
    for (int i = 0; i < threads; i++) {
        GEN_TRY(GEN_ALLOC(&f->thread[i].table, (h + 1) * (w + 1), "summed-area table"));
        GEN_TRY(GEN_ALLOC(&f->thread[i].event, w, "scratch of the FSS"));
        GEN_TRY(GEN_ALLOC(&f->thread[i].count, w, "scratch of the FSS"));
        GEN_TRY(GEN_ALLOC(&f->thread[i].edge, 3 * w + 1, "scratch of the FSS"));
    }
    GEN_TRY(GEN_ALLOC(&f->observed, s->o.windows * h * w, "events in windows"));
    return GEN_ALLOC(&f->part, (s->o.members + 2) * s->o.windows, "sums of the FSS");
}

void gen_fss_free(gen_score *s)
{
    if (!s->fss)
        return;
    for (int i = 0; i < s->fss->threads; i++) {
        gen_free(s->fss->thread[i].table);
        gen_free(s->fss->thread[i].event);
        gen_free(s->fss->thread[i].count);
        gen_free(s->fss->thread[i].edge);
    }
    gen_free(s->fss->thread);
    gen_free(s->fss->observed);
    gen_free(s->fss->part);
    gen_free(s->fss);
}

typedef struct job {
    const gen_case *c;
    float bound;
} job;

/* table[y][x] = events in rows < y and columns < x of the fields' sum. */
static void fill_table(const job *j, scratch *t, const float *const *fields, int64_t n)
{
    const gen_score *s = j->c->s;
    int64_t h = s->o.height, w = s->o.width;
    memset(t->table, 0, (size_t)(w + 1) * sizeof *t->table);
    for (int64_t y = 0; y < h; y++) {
        const uint32_t *above = t->table + y * (w + 1);
        uint32_t *row = t->table + (y + 1) * (w + 1), sum = 0;
        memset(t->event, 0, (size_t)w * sizeof *t->event);
        for (int64_t i = 0; i < n; i++)
            s->loops->events(t->event, fields[i] + y * w, s->valid + y * w, j->bound, w);
        row[0] = 0;
        for (int64_t x = 0; x < w; x++) {
            sum += t->event[x];
            row[x + 1] = above[x + 1] + sum;
        }
    }
}

/* Events in the window at each cell of row y; even windows reach one further up and left. */
static void count_row(const gen_score *s, scratch *t, uint32_t *count, int64_t window, int64_t y)
{
    int64_t h = s->o.height, w = s->o.width, before = window / 2, after = window - 1 - before;
    int64_t top = y > before ? y - before : 0, bottom = h - 1 - y > after ? y + after + 1 : h;
    s->loops->box(count, t->table + top * (w + 1), t->table + bottom * (w + 1), w,
                  before < w ? before : w, after < w ? after : w, t->edge);
}

static void count_observed(void *ctx, int piece, int thread)
{
    const job *j = ctx;
    const gen_score *s = j->c->s;
    scratch *t = &s->fss->thread[thread];
    int64_t h = s->o.height, w = s->o.width;
    (void)piece;
    fill_table(j, t, &j->c->observation, 1);
    for (int i = 0; i < s->o.windows; i++)
        for (int64_t y = 0; y < h; y++)
            count_row(s, t, s->fss->observed + (i * h + y) * w, s->o.window[i], y);
}

static void add_exactly(gen_sum *s, uint64_t v)
{
    gen_sum_add(s, (double)(v >> 32) * 4294967296.0);
    gen_sum_add(s, (double)(v & UINT32_MAX));
}

/* Cells whose products fit in 64 bits together, for counts up to `most`. */
static int64_t cells_at_once(int64_t w, double most)
{
    double n = 0x1p63 / (most * most);
    return n < 1 ? 1 : n < (double)w ? (int64_t)n : w;
}

/* Field 0 to members - 1 are the members, then the mean, then the members' events added. */
static void compare_field(void *ctx, int field, int thread)
{
    const job *j = ctx;
    const gen_score *s = j->c->s;
    scratch *t = &s->fss->thread[thread];
    int64_t h = s->o.height, w = s->o.width, k = s->o.members;
    const float *mean = s->mean, *const *from = field == k ? &mean : j->c->members;
    fill_table(j, t, field < k ? from + field : from, field == k + 1 ? k : 1);
    for (int i = 0; i < s->o.windows; i++) {
        field_sums *sums = &s->fss->part[field * s->o.windows + i];
        double side = (double)s->o.window[i], area = side * side;
        double cells = (double)h * (double)w;
        int64_t step = cells_at_once(w, (area < cells ? area : cells) * (double)k);
        *sums = (field_sums){ 0 };
        for (int64_t y = 0; y < h; y++) {
            const uint32_t *seen = s->fss->observed + (i * h + y) * w;
            count_row(s, t, t->count, s->o.window[i], y);
            for (int64_t x = 0; x < w; x += step) {
                uint64_t out[2];
                int64_t n = w - x < step ? w - x : step;
                s->loops->products(out, t->count + x, seen + x, n);
                add_exactly(&sums->ff, out[0]);
                add_exactly(&sums->fo, out[1]);
            }
        }
    }
}

static void add_observed(const gen_score *s, int window, gen_sum *to)
{
    int64_t cells = gen_score_cells(s);
    const uint32_t *o = s->fss->observed + window * cells;
    double area = (double)s->o.window[window] * (double)s->o.window[window];
    int64_t step = cells_at_once(s->o.width, area < (double)cells ? area : (double)cells);
    for (int64_t i = 0; i < cells; i += step) {
        uint64_t out[2];
        s->loops->products(out, o + i, o + i, cells - i < step ? cells - i : step);
        add_exactly(to, out[0]);
    }
}

static void add_threshold(gen_case *c, int threshold)
{
    gen_score *s = c->s;
    int64_t k = s->o.members;
    job j = { c, gen_event_bound(s->o.threshold[threshold], s->o.event != GEN_EVENT_ABOVE) };
    gen_pool_run(s->pool, 1, count_observed, &j);
    gen_pool_run(s->pool, (int)k + 2, compare_field, &j);
    for (int i = 0; i < s->o.windows; i++) {
        gen_sum *to = c->sum + s->at.fss + ((int64_t)threshold * s->o.windows + i) * GEN_FSS_SUMS;
        const field_sums *part = s->fss->part + i;
        add_observed(s, i, &to[GEN_FSS_OO]);
        for (int64_t m = 0; m < k; m++)
            gen_sum_merge(&to[GEN_FSS_MEMBERS_FF], &part[m * s->o.windows].ff);
        gen_sum_merge(&to[GEN_FSS_MEAN_FF], &part[k * s->o.windows].ff);
        gen_sum_merge(&to[GEN_FSS_MEAN_FO], &part[k * s->o.windows].fo);
        gen_sum_merge(&to[GEN_FSS_SHARES_FF], &part[(k + 1) * s->o.windows].ff);
        gen_sum_merge(&to[GEN_FSS_FO],
                      &part[(k + 1) * s->o.windows].fo); /* of the members, added */
    }
}

void gen_fss_add(gen_case *c)
{
    for (int i = 0; i < c->s->o.thresholds; i++)
        add_threshold(c, i);
}
