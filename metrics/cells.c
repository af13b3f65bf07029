/* SPDX-License-Identifier: Apache-2.0
 *
 * Scores of single cells: errors, spread, CRPS, events, ranks. One pass over the fields: pieces of
 * cells are shared by the threads, tiles of a piece pass through the loops of kernels/score.h while
 * they are in the cache.
 *
 * Members are sorted in every tile, whatever is asked for: then no result depends on their order.
 */
#include <string.h>

#include <libgen/random.h>

#include "metrics/score.h"

enum { PIECE = 64 * GEN_TILE };

/* Of one thread. */
typedef struct gen_cells_scratch {
    float *x;       /* [members][GEN_TILE] */
    int64_t *count; /* as of one lead time */
} gen_cells_scratch;

/* Batcher's odd-even merge sort, for any number of rows; counts only where out is NULL. */
static int64_t sorting_network(int32_t (*out)[2], int64_t rows)
{
    int64_t n = 0;
    for (int64_t p = 1; p < rows; p *= 2)
        for (int64_t q = p; q >= 1; q /= 2)
            for (int64_t j = q % p; j + q < rows; j += 2 * q)
                for (int64_t i = j; i < j + q && i + q < rows; i++)
                    if (i / (2 * p) == (i + q) / (2 * p)) {
                        if (out) {
                            out[n][0] = (int32_t)i;
                            out[n][1] = (int32_t)(i + q);
                        }
                        n++;
                    }
    return n;
}

gen_status gen_cells_create(gen_score *s)
{
    int threads = gen_pool_threads(s->pool);
    int64_t pieces = (gen_score_cells(s) + PIECE - 1) / PIECE;
    s->comparators = sorting_network(NULL, s->o.members);
    GEN_TRY(GEN_ALLOC(&s->network, s->comparators, "sorting network"));
    sorting_network(s->network, s->o.members);
    GEN_TRY(GEN_ALLOC(&s->cells, threads, "scratch of scores"));
    for (int i = 0; i < threads; i++) {
        GEN_TRY(GEN_ALLOC(&s->cells[i].x, s->o.members * GEN_TILE, "scratch of scores"));
        GEN_TRY(GEN_ALLOC(&s->cells[i].count, s->at.counts, "scratch of scores"));
    }
    GEN_TRY(GEN_ALLOC(&s->part, pieces * GEN_SUMS, "sums of pieces"));
    GEN_TRY(GEN_ALLOC(&s->mean, gen_score_cells(s), "ensemble mean"));
    return GEN_ALLOC(&s->valid, gen_score_cells(s), "valid cells");
}

void gen_cells_free(gen_score *s)
{
    for (int i = 0; s->cells && i < gen_pool_threads(s->pool); i++) {
        gen_free(s->cells[i].x);
        gen_free(s->cells[i].count);
    }
    gen_free(s->cells);
    gen_free(s->network);
    gen_free(s->part);
    gen_free(s->mean);
    gen_free(s->valid);
}

/* ---- events and ranks of a tile -------------------------------------------------------------- */

typedef struct tile {
    const float *x; /* sorted members */
    float y[GEN_TILE], mean[GEN_TILE];
    int32_t valid[GEN_TILE];
    int64_t at; /* index of the first cell */
} tile;

static bool at_least(const gen_score *s, int kind)
{
    if (s->o.event != GEN_EVENT_PYSTEPS)
        return s->o.event == GEN_EVENT_AT_LEAST;
    return kind > 0 || !gen_score_does(s, GEN_SCORE_CATEGORIES);
}

/* Cells by (event observed, members with the event). */
static void add_joint(const gen_score *s, int64_t *count, const tile *t, float bound)
{
    int32_t members[GEN_TILE];
    s->loops->above(members, t->x, s->o.members, bound);
    for (int i = 0; i < GEN_TILE; i++) {
        int64_t place = (t->y[i] > bound) * (s->o.members + 1) + members[i];
        count[place] += t->valid[i];
    }
}

/* hits, misses, false alarms, correct negatives of the ensemble mean */
static void add_table(int64_t *count, const tile *t, float bound)
{
    for (int i = 0; i < GEN_TILE; i++) {
        bool seen = t->y[i] > bound, said = t->mean[i] > bound;
        count[said ? seen ? 0 : 2 : seen ? 1 : 3] += t->valid[i];
    }
}

static void add_events(const gen_score *s, int64_t *count, const tile *t)
{
    int64_t *joint = count + s->at.joint;
    for (int i = 0; i < s->o.thresholds; i++) {
        for (int kind = 0; kind < s->at.kinds; kind++) {
            add_joint(s, joint, t, gen_event_bound(s->o.threshold[i], at_least(s, kind)));
            joint += 2 * (s->o.members + 1);
        }
        if (gen_score_does(s, GEN_SCORE_CATEGORIES))
            add_table(count + s->at.tables + (int64_t)4 * i, t,
                      gen_event_bound(s->o.threshold[i], at_least(s, 0)));
    }
}

/* What a case is drawn by: its lead time and observation, not its place among the cases, so that
 * merging does not show. FNV-1a over words. */
static uint64_t digest_of(const gen_case *c)
{
    uint64_t h = 0xcbf29ce484222325 ^ (uint64_t)c->lead;
    for (int64_t i = 0; i < gen_score_cells(c->s); i++) {
        uint32_t word;
        memcpy(&word, c->observation + i, sizeof word);
        h = (h ^ word) * 0x100000001b3;
    }
    return h;
}

/* One of the `equal` + 1 admissible ranks above `less`. */
static int64_t draw(const gen_case *c, int64_t cell, int64_t less, int64_t equal)
{
    uint32_t word[4];
    gen_philox(word, c->s->o.seed, c->digest, (uint64_t)cell);
    return less + (int64_t)((uint64_t)word[0] * (uint64_t)(equal + 1) >> 32);
}

static void add_ranks(const gen_case *c, int64_t *count, const tile *t)
{
    const gen_score *s = c->s;
    int64_t k = s->o.members;
    int32_t less[GEN_TILE], equal[GEN_TILE], wet[GEN_TILE];
    float least = s->o.rank_min > 0 ? (float)s->o.rank_min : -INFINITY;
    s->loops->rank(less, equal, t->x, t->y, k);
    s->loops->above(wet, t->x, k, nextafterf(least, -INFINITY));
    for (int i = 0; i < GEN_TILE; i++) {
        int64_t low = less[i], ties = equal[i];
        if (!t->valid[i] || (t->y[i] < least && wet[i] == 0))
            continue;
        if (t->y[i] < least) { /* all that is below the minimum is alike */
            low = 0;
            ties = k - wet[i];
        }
        if (ties && s->o.ties == GEN_TIES_DRAWN) {
            low = draw(c, t->at + i, low, ties);
            ties = 0;
        }
        count[s->at.ranks + low * (k + 1) + ties]++;
    }
}

/* ---- the pass -------------------------------------------------------------------------------- */

typedef struct pass {
    const gen_case *c;
    const float *observation;
    const float *const *members;
    int64_t cells;
    bool all; /* not only CRPS */
} pass;

static void do_tile(const pass *p, gen_cells_scratch *scratch, tile *t,
                    double (*sum)[GEN_SUM_LANES])
{
    const gen_score *s = p->c->s;
    int64_t n = p->cells - t->at < GEN_TILE ? p->cells - t->at : GEN_TILE;
    s->loops->load(scratch->x, t->y, t->valid, p->observation, p->members, s->o.members, t->at,
                   p->cells - t->at);
    s->loops->sort(scratch->x, (const int32_t(*)[2])s->network, s->comparators);
    s->loops->moments(sum, t->mean, scratch->x, t->y, s->o.members);
    if (gen_score_does(s, GEN_SCORE_CRPS_PYSTEPS))
        s->loops->pysteps(sum[GEN_SUM_PYSTEPS], scratch->x, t->y, s->o.members);
    for (int i = 0; i < GEN_TILE; i++)
        scratch->count[GEN_COUNT_CELLS] += t->valid[i];
    if (!p->all)
        return;
    t->x = scratch->x;
    add_events(s, scratch->count, t);
    if (gen_score_does(s, GEN_SCORE_RANKS))
        add_ranks(p->c, scratch->count, t);
    memcpy(s->mean + t->at, t->mean, (size_t)n * sizeof *s->mean);
    for (int64_t i = 0; i < n; i++)
        s->valid[t->at + i] = (uint8_t)t->valid[i];
}

static void piece_of(void *ctx, int piece, int thread)
{
    const pass *p = ctx;
    gen_score *s = p->c->s;
    double sum[GEN_SUMS][GEN_SUM_LANES] = { 0 };
    int64_t first = (int64_t)piece * PIECE;
    int64_t last = first + PIECE < p->cells ? first + PIECE : p->cells;
    tile t;
    for (t.at = first; t.at < last; t.at += GEN_TILE)
        do_tile(p, &s->cells[thread], &t, sum);
    for (int i = 0; i < GEN_SUMS; i++) {
        double total = 0;
        for (int lane = 0; lane < GEN_SUM_LANES; lane++)
            total += sum[i][lane];
        s->part[(int64_t)piece * GEN_SUMS + i] = total;
    }
}

/* Sums are added to `sum` [GEN_SUMS], pieces in their order; counts stay with the threads. */
static void run(pass *p, gen_sum *sum)
{
    gen_score *s = p->c->s;
    int64_t pieces = (p->cells + PIECE - 1) / PIECE;
    for (int i = 0; i < gen_pool_threads(s->pool); i++)
        memset(s->cells[i].count, 0, (size_t)s->at.counts * sizeof(int64_t));
    gen_pool_run(s->pool, (int)pieces, piece_of, p);
    for (int64_t i = 0; i < pieces; i++)
        for (int j = 0; j < GEN_SUMS; j++)
            gen_sum_add(&sum[j], s->part[i * GEN_SUMS + j]);
}

void gen_cells_add(gen_case *c)
{
    gen_score *s = c->s;
    int64_t before = c->count[GEN_COUNT_CELLS], cells = gen_score_cells(s);
    pass p = { c, c->observation, c->members, cells, true };
    if (gen_score_does(s, GEN_SCORE_RANKS) && s->o.ties == GEN_TIES_DRAWN)
        c->digest = digest_of(c);
    run(&p, c->sum);
    for (int i = 0; i < gen_pool_threads(s->pool); i++)
        for (int64_t j = 0; j < s->at.counts; j++)
            c->count[j] += s->cells[i].count[j];
    int64_t missing = cells - (c->count[GEN_COUNT_CELLS] - before);
    c->count[GEN_COUNT_MISSING] += missing;
    c->count[GEN_COUNT_FILLED] += missing > 0;
}

int64_t gen_cells_crps(gen_case *c, gen_sum *sum, const float *observation,
                       const float *const *members, int64_t n)
{
    pass p = { c, observation, members, n, false };
    int64_t cells = 0;
    run(&p, sum);
    for (int i = 0; i < gen_pool_threads(c->s->pool); i++)
        cells += c->s->cells[i].count[GEN_COUNT_CELLS];
    return cells;
}
