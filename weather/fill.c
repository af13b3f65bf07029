/* SPDX-License-Identifier: Apache-2.0
 *
 * Missing frames made by advection from both sides.
 */
#include "weather/fill.h"

#include <math.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "libgen/base/pool.h"
#include "weather/trace.h"

/* Of one gap of n frames. */
typedef struct gap {
    const gen_radar_sequence *s;
    gen_pool *pool;
    int64_t before, n, cells;
    float *ends;         /* [2,cells]: the frames on both sides */
    float *there, *back; /* [n,cells]: forward from `before`, backward from behind */
} gap;

static void scale(gen_motion *m, float factor)
{
    for (int64_t i = 0; i < m->rows * m->columns; i++) {
        m->u[i] *= factor;
        m->v[i] *= factor;
    }
}

/* Both sides' answers; the backward one counts its steps from behind. */
static gen_status advect_both(gap *g)
{
    gen_status status;
    gen_motion m = { 0 };
    const gen_radar_grid *grid = &g->s->grid;
    GEN_GOTO(gen_motion_estimate(&m, g->ends, 2, grid->height, grid->width, g->pool));
    scale(&m, 1.0f / (float)(g->n + 1));
    GEN_GOTO(gen_advect(g->there, &m, g->ends, g->n, g->pool, NULL));
    scale(&m, -1);
    GEN_GOTO(gen_advect(g->back, &m, g->ends + g->cells, g->n, g->pool, NULL));
done:
    gen_motion_free(&m);
    return status;
}

static void blend(const gap *g, int64_t k)
{
    float *to = g->s->rain + (g->before + 1 + k) * g->cells;
    const float *a = g->there + k * g->cells, *b = g->back + (g->n - 1 - k) * g->cells;
    float w = (float)(k + 1) / (float)(g->n + 1);
    for (int64_t i = 0; i < g->cells; i++)
        to[i] = isnan(a[i]) ? b[i] : isnan(b[i]) ? a[i] : (1 - w) * a[i] + w * b[i];
}

static gen_status fill(gen_radar_sequence *s, int64_t before, int64_t n, gen_pool *pool)
{
    gen_status status;
    char text[32];
    gap g = { .s = s, .pool = pool, .before = before, .n = n };
    g.cells = s->grid.height * s->grid.width;
    uint64_t cells = (uint64_t)g.cells, frames = (uint64_t)n;
    GEN_GOTO(gen_alloc_raw((void **)&g.ends, 2 * cells, sizeof(float), "frames of a gap"));
    GEN_GOTO(gen_alloc_raw((void **)&g.there, frames * cells, sizeof(float), "frames of a gap"));
    GEN_GOTO(gen_alloc_raw((void **)&g.back, frames * cells, sizeof(float), "frames of a gap"));
    memcpy(g.ends, s->rain + before * g.cells, cells * sizeof(float));
    memcpy(g.ends + cells, s->rain + (before + n + 1) * g.cells, cells * sizeof(float));
    GEN_GOTO(advect_both(&g));
    for (int64_t k = 0; k < n; k++) {
        blend(&g, k);
        gen_log(GEN_LOG_WARN, "frame %s is missing: it is advected from its neighbours",
                gen_time_text(s->time[before + 1 + k], text));
    }
done:
    gen_free(g.ends);
    gen_free(g.there);
    gen_free(g.back);
    return status;
}

gen_status gen_fill_by_advection(gen_radar_sequence *s, const bool *there, int *made)
{
    gen_status status = GEN_OK;
    gen_pool *pool = NULL;
    *made = 0;
    for (int64_t i = 1; i < s->frames; i++) {
        int64_t n = 0;
        while (i + n < s->frames && !there[i + n])
            n++;
        if (n == 0)
            continue;
        if (n > GEN_FILL_MOST)
            GEN_GOTO(gen_fail(GEN_EDATA, "a gap of %lld frames: at most %d are advected",
                              (long long)n, GEN_FILL_MOST));
        if (!pool)
            GEN_GOTO(gen_pool_create(&pool, 0));
        GEN_GOTO(fill(s, i - 1, n, pool));
        *made += (int)n;
        i += n;
    }
done:
    gen_pool_free(&pool);
    return status;
}
