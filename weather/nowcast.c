/* SPDX-License-Identifier: Apache-2.0
 *
 * Nowcasts from the newest frames of a sequence, by any method. Cells that the newest frame does
 * not measure are missing in every frame of the output, whatever the method says.
 */
#include <math.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "libgen/base/pool.h"
#include "weather/dgmr_run.h"
#include "weather/steps.h"
#include "weather/trace.h"

#define DGMR_FRAMES 4

static const struct {
    const char *name;
    int64_t frames; /* least */
} methods[] = {
    [GEN_NOWCAST_ADVECTION] = { "advection", 2 },
    [GEN_NOWCAST_PERSISTENCE] = { "persistence", 1 },
    [GEN_NOWCAST_DGMR] = { "dgmr", DGMR_FRAMES },
    [GEN_NOWCAST_STEPS] = { "steps", 2 },
};

typedef struct job {
    const gen_radar_sequence *s;
    gen_nowcast_options o; /* with defaults filled in */
    gen_nowcast_sink *sink;
    void *cookie;
    int64_t cells;
    const float *newest; /* [height,width] */
    float *out;          /* [lead_steps,height,width]; of methods with one answer */
} job;

static gen_status allocate_out(job *j)
{
    return gen_alloc_raw((void **)&j->out, (uint64_t)j->o.lead_steps,
                         (size_t)j->cells * sizeof(float), "nowcast: a member");
}

static gen_status hand_over(job *j)
{
    for (int64_t m = 0; m < j->o.members; m++) {
        GEN_TRY(j->sink(j->cookie, m, j->out));
        GEN_TRY(
            gen_progress_report(&j->o.progress, "members", (double)(m + 1), (double)j->o.members));
    }
    return GEN_OK;
}

static gen_status persist(job *j)
{
    GEN_TRY(allocate_out(j));
    for (int64_t s = 0; s < j->o.lead_steps; s++)
        memcpy(j->out + s * j->cells, j->newest, (size_t)j->cells * sizeof(float));
    return hand_over(j);
}

static gen_status advect(job *j)
{
    gen_status status;
    gen_motion motion = { 0 };
    gen_pool *pool = NULL;
    const gen_radar_sequence *s = j->s;
    int64_t n = s->frames < GEN_MOTION_FRAMES ? s->frames : GEN_MOTION_FRAMES;
    GEN_GOTO(gen_pool_create(&pool, j->o.threads));
    GEN_GOTO(gen_progress_report(&j->o.progress, "motion", 0, 1));
    GEN_GOTO(gen_motion_estimate(&motion, s->rain + (s->frames - n) * j->cells, n, s->grid.height,
                                 s->grid.width, pool));
    GEN_GOTO(allocate_out(j));
    GEN_GOTO(gen_advect(j->out, &motion, j->newest, j->o.lead_steps, pool, &j->o.progress));
    GEN_GOTO(hand_over(j));
done:
    gen_motion_free(&motion);
    gen_pool_free(&pool);
    return status;
}

static gen_status generate(job *j)
{
    const gen_radar_sequence *s = j->s;
    return gen_dgmr_nowcast(s->rain + (s->frames - DGMR_FRAMES) * j->cells, s->grid.height,
                            s->grid.width, &j->o, j->sink, j->cookie);
}

/* Frames that stand for a gap hold nothing: they do not count. */
static gen_status check_measured(const job *j)
{
    int64_t used =
        methods[j->o.method].frames == 2 ? GEN_MOTION_FRAMES : methods[j->o.method].frames;
    int64_t least = methods[j->o.method].frames, found = 0;
    used = used < j->s->frames ? used : j->s->frames;
    for (int64_t f = 0; f < used; f++) {
        const float *frame = j->newest - f * j->cells;
        int64_t i = 0;
        while (i < j->cells && isnan(frame[i]))
            i++;
        if (i == j->cells && f == 0)
            return gen_fail(GEN_EDATA, "nowcast: every cell of the newest frame is missing");
        found += i < j->cells;
    }
    if (found < least)
        return gen_fail(GEN_EDATA,
                        "nowcast: %s needs %lld measured frames, found %lld in the newest "
                        "%lld",
                        methods[j->o.method].name, (long long)least, (long long)found,
                        (long long)used);
    return GEN_OK;
}

static gen_status check(const job *j)
{
    const gen_nowcast_options *o = &j->o;
    const gen_radar_sequence *s = j->s;
    if ((int)o->method < 0 || (int)o->method >= GEN_LEN(methods))
        return gen_fail(GEN_EINVAL, "nowcast: method %d is none", (int)o->method);
    if (o->lead_steps < 1 || o->members < 1 || o->lead_steps > 100000)
        return gen_fail(GEN_EINVAL,
                        "nowcast: %lld members of %lld steps, expected 1 or more of each",
                        (long long)o->members, (long long)o->lead_steps);
    if (s->frames < methods[o->method].frames)
        return gen_fail(GEN_EDATA, "nowcast: %s needs %lld frames, found %lld",
                        methods[o->method].name, (long long)methods[o->method].frames,
                        (long long)s->frames);
    if (o->method == GEN_NOWCAST_DGMR && !o->model)
        return gen_fail(GEN_EMODEL, "nowcast: method dgmr needs a model (-m FILE)");
    return check_measured(j);
}

int64_t gen_nowcast_frames(gen_nowcast_method method)
{
    return methods[method].frames;
}

static gen_status start(job *j, const gen_radar_sequence *s, const gen_nowcast_options *options)
{
    *j = (job){ .s = s, .cells = s->grid.height * s->grid.width };
    if (options)
        j->o = *options;
    j->o.lead_steps = j->o.lead_steps ? j->o.lead_steps : 18;
    j->o.members = j->o.members ? j->o.members : 1;
    if (s->frames < 1 || j->cells < 1)
        return gen_fail(GEN_EDATA, "nowcast: the sequence holds no frame");
    j->newest = s->rain + (s->frames - 1) * j->cells;
    return check(j);
}

gen_status gen_nowcast_check(const gen_radar_sequence *s, const gen_nowcast_options *options)
{
    job j;
    return start(&j, s, options);
}

gen_status gen_nowcast_describe(const gen_radar_sequence *s, const gen_nowcast_options *options,
                                gen_nowcast_needs *out)
{
    job j;
    *out = (gen_nowcast_needs){ 0 };
    GEN_TRY(start(&j, s, options));
    if (j.o.method != GEN_NOWCAST_DGMR)
        return gen_fail(GEN_EUNSUPPORTED,
                        "nowcast: %s has no network: there is no plan to describe",
                        methods[j.o.method].name);
    return gen_dgmr_describe(s->grid.height, s->grid.width, &j.o, out);
}

gen_status gen_nowcast(const gen_radar_sequence *s, const gen_nowcast_options *options,
                       gen_nowcast_sink *sink, void *cookie)
{
    job j;
    GEN_TRY(start(&j, s, options));
    j.sink = sink;
    j.cookie = cookie;
    gen_status status = GEN_EINVAL;
    switch (j.o.method) {
    case GEN_NOWCAST_ADVECTION:
        status = advect(&j);
        break;
    case GEN_NOWCAST_PERSISTENCE:
        status = persist(&j);
        break;
    case GEN_NOWCAST_DGMR:
        status = generate(&j);
        break;
    case GEN_NOWCAST_STEPS:
        status = gen_steps_nowcast(s, &j.o, sink, cookie);
        break;
    }
    gen_free(j.out);
    return status;
}
