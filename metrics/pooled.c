/* SPDX-License-Identifier: Apache-2.0
 *
 * CRPS of pooled fields: averages or maxima of windows that lie side by side from the north-west
 * corner. A window with a missing cell is missing; windows that the edge cuts are left out. Pooled
 * values are rounded to float, as the fields are.
 */
#include <string.h>

#include "metrics/score.h"

struct gen_pooled {
    float *field;         /* [1 + members][rows, columns]: the observation first */
    const float **member; /* [members]: into field */
    double *sums;         /* [1 + members][w]: columns of a window */
    float *tops;
};

gen_status gen_pooled_create(gen_score *s)
{
    if (s->o.pools == 0)
        return GEN_OK;
    int64_t fields = s->o.members + 1, smallest = s->o.pool[0];
    for (int i = 1; i < s->o.pools; i++)
        smallest = s->o.pool[i] < smallest ? s->o.pool[i] : smallest;
    int64_t cells = (s->o.height / smallest) * (s->o.width / smallest);
    GEN_TRY(GEN_ALLOC(&s->pooled, 1, "pooled fields"));
    struct gen_pooled *p = s->pooled;
    GEN_TRY(GEN_ALLOC(&p->field, fields * cells, "pooled fields"));
    GEN_TRY(GEN_ALLOC(&p->member, s->o.members, "pooled fields"));
    GEN_TRY(GEN_ALLOC(&p->sums, fields * s->o.width, "pooled fields"));
    return GEN_ALLOC(&p->tops, fields * s->o.width, "pooled fields");
}

void gen_pooled_free(gen_score *s)
{
    if (!s->pooled)
        return;
    gen_free(s->pooled->field);
    gen_free(s->pooled->member);
    gen_free(s->pooled->sums);
    gen_free(s->pooled->tops);
    gen_free(s->pooled);
}

typedef struct job {
    const gen_case *c;
    int64_t window, rows, columns;
    bool maximum;
} job;

static void average_row(float *out, const job *j, const float *x, double *sums)
{
    int64_t w = j->c->s->o.width, p = j->window;
    memset(sums, 0, (size_t)w * sizeof *sums);
    for (int64_t i = 0; i < p; i++)
        j->c->s->loops->add(sums, x + i * w, w);
    for (int64_t i = 0; i < j->columns; i++) {
        double sum = 0;
        for (int64_t n = 0; n < p; n++)
            sum += sums[i * p + n];
        out[i] = (float)(sum / (double)(p * p));
    }
}

static void maximum_row(float *out, const job *j, const float *x, float *tops)
{
    int64_t w = j->c->s->o.width, p = j->window;
    memcpy(tops, x, (size_t)w * sizeof *tops);
    for (int64_t i = 1; i < p; i++)
        j->c->s->loops->largest(tops, x + i * w, w);
    for (int64_t i = 0; i < j->columns; i++) {
        out[i] = tops[i * p];
        for (int64_t n = 1; n < p; n++)
            out[i] = tops[i * p + n] > out[i] ? tops[i * p + n] : out[i];
    }
}

/* NaN where a cell of the window is missing. Only the observation is marked: that is enough. */
static void mark_missing(float *out, const job *j, const uint8_t *valid)
{
    int64_t w = j->c->s->o.width, p = j->window;
    for (int64_t n = 0; n < p; n++)
        for (int64_t i = 0; i < j->columns * p; i++)
            if (!valid[n * w + i])
                out[i / p] = NAN;
}

static void pool_field(void *ctx, int field, int thread)
{
    const job *j = ctx;
    gen_score *s = j->c->s;
    int64_t w = s->o.width;
    const float *x = field ? j->c->members[field - 1] : j->c->observation;
    (void)thread;
    for (int64_t r = 0; r < j->rows; r++) {
        float *out = s->pooled->field + (field * j->rows + r) * j->columns;
        if (j->maximum)
            maximum_row(out, j, x + r * j->window * w, s->pooled->tops + field * w);
        else
            average_row(out, j, x + r * j->window * w, s->pooled->sums + field * w);
        if (field == 0)
            mark_missing(out, j, s->valid + r * j->window * w);
    }
}

/* Pools of one size; `place` counts them, averages first. */
static void add_pool(gen_case *c, int64_t window, bool maximum, int place)
{
    gen_score *s = c->s;
    job j = { c, window, s->o.height / window, s->o.width / window, maximum };
    gen_sum all[GEN_SUMS] = { 0 };
    gen_sum *to = c->sum + s->at.pooled + (int64_t)place * GEN_POOLED_SUMS;
    if (j.rows == 0 || j.columns == 0)
        return;
    gen_pool_run(s->pool, (int)s->o.members + 1, pool_field, &j);
    for (int64_t m = 0; m < s->o.members; m++)
        s->pooled->member[m] = s->pooled->field + (m + 1) * j.rows * j.columns;
    c->count[s->at.pooled_cells + place] +=
        gen_cells_crps(c, all, s->pooled->field, s->pooled->member, j.rows * j.columns);
    gen_sum_merge(&to[GEN_POOLED_ABS], &all[GEN_SUM_ABS]);
    gen_sum_merge(&to[GEN_POOLED_APART], &all[GEN_SUM_APART]);
    gen_sum_merge(&to[GEN_POOLED_PYSTEPS], &all[GEN_SUM_PYSTEPS]);
}

void gen_pooled_add(gen_case *c)
{
    for (int i = 0; i < c->s->o.pools; i++) {
        add_pool(c, c->s->o.pool[i], false, i);
        add_pool(c, c->s->o.pool[i], true, c->s->o.pools + i);
    }
}
