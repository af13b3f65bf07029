/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs DGMR's generator for a nowcast, on any grid and for any number of lead times.
 *
 * Three plans. The conditioning stack does not know the noise: it runs once, and its plan is gone
 * before the others take memory. Latent stack and sampler run once a member. The sampler carries
 * its states, so that it can run a few lead times at a time: as many as fit the memory budget. On a
 * device it runs for several members at a time, as many as the size of the device's memory (or the
 * budget) and the number of members let: each call the same. Its states stay there.
 *
 * The grid is padded with dry cells at its south and east edge to multiples of 32; rain is clamped
 * at 0 on the way in and out. Cells that the newest frame does not measure are missing in the
 * output.
 *
 * A network in the rain's coordinates gets its frames as they are seen along the motion that they
 * show, from where the rain is in the newest one, and each of its frames is moved on by its lead
 * time.
 */
#include "weather/dgmr_run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <libgen/plan.h>
#include <libgen/random.h>

#include "libgen/backends/backend.h"
#include "libgen/base/alloc.h"
#include "libgen/base/pool.h"
#include "libgen/plan/plan.h"
#include "weather/dgmr.h"
#include "weather/trace.h"

/* Bytes of activations where the caller names none: few lead times at a time cost little speed. */
#define BUDGET_A_CELL 1500
#define LARGEST_BUDGET ((uint64_t)2 << 30)

/* More than any slab takes for a cell and lead time at full width (measured: 190 bytes). Below the
 * budget by this, no estimate is asked for. */
#define CELL_BYTES 1024

/* Lead times at a time, at most: more in one batch is not faster, and the plan would be long. */
#define MOST_STEPS 36

/* On a device. Who names no budget gets this part of its memory; the rest is for weights and other
 * programs. Members at a time, at most; and of the sampler's largest tensor, about cells * width /
 * 32, the values, which kernels count in 31 bits. */
#define DEVICE_PART 2
#define MOST_MEMBERS 32
#define MOST_VALUES 2147483647.0

enum { RAIN, LAST, SAMPLER_OUTPUTS = 1 + GEN_DGMR_LEVELS }; /* of the sampler's plan */

struct run {
    const gen_nowcast_options *o;
    const gen_dgmr_config *c;
    int64_t height, width; /* of the caller's grid */
    int64_t padded_h, padded_w;
    int64_t chunk;                      /* lead times the sampler's plan computes at a time */
    int64_t together;                   /* members it computes at a time; 1 on the CPU */
    uint64_t room;                      /* the device's memory; 0 on the CPU */
    bool estimate;                      /* plans are described, not run */
    gen_backend *backend, *own_backend; /* own: when none was given */
    gen_plan *latent, *sampler;
    float *state[GEN_DGMR_LEVELS]; /* the conditioning stack's */
    float *kept;         /* [padded_h,padded_w] the newest frame, for a sampler that takes it */
    const float *newest; /* [height,width] of the frames */
    gen_motion motion;   /* of the rain; without nodes where the network's cells are of
                            the ground */
    gen_pool *pool;      /* that moves the rain; NULL as well */
    float *frame;        /* [height,width] that is moved; NULL as well */
    float *rain;         /* [held,lead_steps,height,width] */
    int64_t held; /* members: all that are computed together, where each comes in parts; else 1 */
    gen_nowcast_sink *sink;
    void *cookie;
};

static const char *const state_name[GEN_DGMR_LEVELS] = { "state1", "state2", "state3", "state4" };

static gen_shape state_shape(const struct run *r, int level)
{
    int64_t cells = 2 << level; /* of the padded grid along a side of one of the state's */
    return GEN_SHAPE(r->together, r->padded_h / cells, r->padded_w / cells,
                     gen_dgmr_state_width(r->c, level));
}

/* Progress of one plan's run as a share of the whole nowcast. */
struct share {
    const gen_progress *whole;
    double from, size, total; /* in members */
};

static int report_share(void *cookie, const char *what, double done, double total)
{
    (void)what;
    const struct share *s = cookie;
    double here = s->from + (total > 0 ? s->size * done / total : 0);
    return s->whole->fn ? s->whole->fn(s->whole->cookie, "members", here, s->total) : 0;
}

/* ---- plans ----------------------------------------------------------------------------------- */

static gen_plan_options plan_options(const struct run *r)
{
    return (gen_plan_options){ .precision = (gen_dtype)r->o->precision,
                               .tf32 = r->o->tf32,
                               .memory_budget = r->o->memory_budget,
                               .consume_params = r->o->consume_model,
                               .estimate_only = r->estimate };
}

static gen_status plan_conditioning(const struct run *r, gen_plan **out)
{
    const gen_plan_options options = plan_options(r);
    gen_net net = { 0 };
    gen_node *state[GEN_DGMR_LEVELS];
    GEN_TRY(gen_graph_create(&net.g));
    gen_node *frames = gen_input(net.g, "frames", GEN_F32,
                                 GEN_SHAPE(1, r->c->frames, r->padded_h, r->padded_w, 1));
    gen_dgmr_conditioning(&net, r->c, frames, state);
    gen_status status = gen_graph_status(net.g);
    if (!status)
        status = gen_plan_create(out, net.g, state, GEN_DGMR_LEVELS, r->o->model->params,
                                 r->backend, &options);
    gen_net_free(&net);
    gen_graph_free(&net.g);
    return status;
}

static gen_status plan_latent(const struct run *r, gen_plan **out)
{
    const gen_plan_options options = plan_options(r);
    gen_net net = { 0 };
    GEN_TRY(gen_graph_create(&net.g));
    gen_node *z = gen_input(net.g, "z", GEN_F32,
                            GEN_SHAPE(1, r->padded_h / 32, r->padded_w / 32, r->c->z_channels));
    gen_node *latent = gen_dgmr_latent(&net, r->c, z);
    gen_status status = gen_graph_status(net.g);
    if (!status)
        status = gen_plan_create(out, net.g, &latent, 1, r->o->model->params, r->backend, &options);
    gen_net_free(&net);
    gen_graph_free(&net.g);
    return status;
}

/* For a sampler of `steps` lead times at a time: what the latent stack's plan leaves of the
 * caller's budget (never 0, which would be no limit), or our own, which one lead time may pass. */
static uint64_t sampler_budget(const struct run *r, int64_t steps)
{
    uint64_t budget = r->o->memory_budget, taken = gen_plan_describe(r->latent).slab_bytes;
    if (!budget)
        budget = r->room / DEVICE_PART;
    if (budget)
        return budget > taken ? budget - taken : 1;
    budget = (uint64_t)(r->padded_h * r->padded_w) * BUDGET_A_CELL;
    return steps == 1 ? 0 : budget < LARGEST_BUDGET ? budget : LARGEST_BUDGET;
}

/* For `steps` lead times at a time. What changes rarely depends on that: all at once, the states
 * (the conditioning stack's, for every member); a few at a time, the latent (for a member). */
static gen_status plan_sampler(const struct run *r, int64_t steps, bool estimate, gen_plan **out)
{
    static const char *const states[] = { "state1", "state2", "state3", "state4", "newest", NULL };
    static const char *const latents[] = { "latent", NULL };
    bool whole = steps >= r->o->lead_steps;
    gen_plan_options options = plan_options(r);
    options.memory_budget = estimate ? 0 : sampler_budget(r, steps);
    options.estimate_only = estimate || r->estimate;
    options.slow = whole ? states : latents;
    options.inputs_there = states;
    options.outputs_fetched = 1;

    gen_net net = { 0 };
    gen_node *state[GEN_DGMR_LEVELS], *output[SAMPLER_OUTPUTS];
    GEN_TRY(gen_graph_create(&net.g));
    for (int i = 0; i < GEN_DGMR_LEVELS; i++)
        state[i] = gen_input(net.g, state_name[i], GEN_F32, state_shape(r, i + 1));
    gen_node *latent = gen_input(
        net.g, "latent", GEN_F32,
        GEN_SHAPE(r->together, r->padded_h / 32, r->padded_w / 32, gen_dgmr_latent_width(r->c)));
    gen_node *newest = NULL;
    if (r->c->skip)
        newest = gen_input(net.g, "newest", GEN_F32,
                           GEN_SHAPE(r->together, r->padded_h, r->padded_w, 1));
    output[RAIN] =
        gen_dgmr_sampler(&net, r->c, latent, state, newest, steps, whole ? NULL : output + LAST);
    gen_status status = gen_graph_status(net.g);
    if (!status)
        status = gen_plan_create(out, net.g, output, whole ? 1 : SAMPLER_OUTPUTS,
                                 r->o->model->params, r->backend, &options);
    gen_net_free(&net);
    gen_graph_free(&net.g);
    return status;
}

/* The most lead times at a time, not above `most`, of which at most 1/16 are computed in vain in
 * the last turn. */
static int64_t even_chunk(int64_t steps, int64_t most)
{
    int64_t t = most < steps ? most : steps;
    while (t > 1 && ((steps + t - 1) / t * t - steps) * 16 > steps)
        t--;
    return t;
}

static bool surely_fits(const struct run *r)
{
    double cells = (double)r->padded_h * (double)r->padded_w;
    double width = fmax((double)gen_dgmr_latent_width(r->c) / 768, 1);
    return cells * (double)r->chunk * width * CELL_BYTES < (double)sampler_budget(r, r->chunk);
}

static gen_status sampler_bytes(const struct run *r, uint64_t *bytes)
{
    gen_plan *trial = NULL;
    GEN_TRY(plan_sampler(r, r->chunk, true, &trial));
    *bytes = gen_plan_describe(trial).slab_bytes;
    gen_plan_free(&trial);
    return GEN_OK;
}

/* All lead times at a time (up to MOST_STEPS) when they fit; else as many as the slab's size, which
 * grows with their number, lets expect, and fewer while that is too much. */
static gen_status choose_chunk(struct run *r)
{
    int64_t steps = r->o->lead_steps;
    r->chunk = even_chunk(steps, MOST_STEPS);
    while (!surely_fits(r) && r->chunk > 1) {
        uint64_t bytes;
        GEN_TRY(sampler_bytes(r, &bytes));
        double share = (double)sampler_budget(r, r->chunk) / (double)bytes;
        if (share >= 1)
            break;
        int64_t fewer = (int64_t)((double)r->chunk * share);
        r->chunk = even_chunk(steps, fewer > 1 ? fewer : 1);
    }
    if (r->chunk < steps)
        gen_log(GEN_LOG_INFO, "sampler: %lld of %lld lead times at a time", (long long)r->chunk,
                (long long)steps);
    return GEN_OK;
}

/* Not above `most`, in as few turns, the last of which is as full as can be. */
static int64_t even_members(int64_t members, int64_t most)
{
    int64_t turns = most > 1 ? (members + most - 1) / most : members;
    return (members + turns - 1) / turns;
}

/* On a device: as many members at a time as the slab for one of them lets expect, and fewer while
 * that is too much. */
static gen_status choose_together(struct run *r)
{
    uint64_t bytes, budget = sampler_budget(r, r->chunk);
    double values =
        (double)(r->chunk * r->padded_h * r->padded_w) * (double)gen_dgmr_latent_width(r->c) / 32;
    double most = fmin(MOST_VALUES / values, MOST_MEMBERS);
    if (!r->room || r->o->members == 1 || most < 2)
        return GEN_OK;
    GEN_TRY(sampler_bytes(r, &bytes));
    most = fmin(most, (double)budget / (double)bytes);
    r->together = even_members(r->o->members, (int64_t)most);
    while (r->together > 1) {
        GEN_TRY(sampler_bytes(r, &bytes));
        if (bytes <= budget)
            break;
        r->together = even_members(r->o->members, r->together - 1);
    }
    gen_log(GEN_LOG_INFO, "sampler: %lld of %lld members at a time on %s", (long long)r->together,
            (long long)r->o->members, r->backend->name);
    return GEN_OK;
}

/* ---- running --------------------------------------------------------------------------------- */

/* What is needed to move rain, if the network's cells move. */
static gen_status find_motion(struct run *r, const float *frames)
{
    int64_t cells = r->height * r->width;
    int64_t n = r->c->frames < GEN_MOTION_FRAMES ? r->c->frames : GEN_MOTION_FRAMES;
    if (r->c->coordinates != GEN_DGMR_RAIN)
        return GEN_OK;
    GEN_TRY(gen_pool_create(&r->pool, r->o->threads));
    GEN_TRY(gen_alloc_raw((void **)&r->frame, (uint64_t)cells, sizeof *r->frame,
                          "nowcast: a frame that moves"));
    return gen_motion_estimate(&r->motion, frames + (r->c->frames - n) * cells, n, r->height,
                               r->width, r->pool);
}

/* A frame [height,width] onto the padded grid. */
static void pad_frame(const struct run *r, float *to, const float *frame)
{
    for (int64_t y = 0; y < r->height; y++)
        for (int64_t x = 0; x < r->width; x++)
            to[y * r->padded_w + x] = fmaxf(frame[y * r->width + x], 0); /* 0 of NaN too */
}

/* All frames [F,height,width] onto the padded grid, as the network's cells see them. */
static gen_status lay_out_frames(const struct run *r, float *to, const float *frames)
{
    gen_trace trace = { 0 };
    int64_t padded = r->padded_h * r->padded_w;
    memset(to, 0, (size_t)(r->c->frames * padded) * sizeof *to);
    if (r->frame)
        GEN_TRY(gen_trace_create(&trace, &r->motion, NULL, gen_pool_threads(r->pool)));
    for (int64_t f = r->c->frames - 1; f >= 0; f--) {
        const float *frame = frames + f * r->height * r->width;
        if (r->frame) {
            gen_trace_warp(r->frame, &trace, frame, GEN_TRACE_CUBIC, r->pool);
            gen_trace_step(&trace, &r->motion, 1, r->pool);
            frame = r->frame;
        }
        pad_frame(r, to + f * padded, frame);
    }
    gen_trace_free(&trace);
    return GEN_OK;
}

static float *rain_of(const struct run *r, int64_t slot)
{
    return r->rain + slot % r->held * r->o->lead_steps * r->height * r->width;
}

/* The member's frames from where its rain is in the newest frame to where it will be. */
static gen_status move_on(const struct run *r, int64_t slot)
{
    gen_trace trace;
    if (!r->frame)
        return GEN_OK;
    GEN_TRY(gen_trace_create(&trace, &r->motion, NULL, gen_pool_threads(r->pool)));
    for (int64_t lead = 0; lead < r->o->lead_steps; lead++) {
        float *rain = rain_of(r, slot) + lead * r->height * r->width;
        gen_trace_step(&trace, &r->motion, 1, r->pool);
        gen_trace_warp(r->frame, &trace, rain, GEN_TRACE_CUBIC, r->pool);
        memcpy(rain, r->frame, (size_t)(r->height * r->width) * sizeof *rain);
    }
    gen_trace_free(&trace);
    return GEN_OK;
}

/* The states that follow from frames [F,height,width]. */
static gen_status run_conditioning(struct run *r, const float *frames)
{
    gen_plan *plan = NULL;
    gen_status status = plan_conditioning(r, &plan);
    if (status)
        return status;
    float *laid_out = gen_plan_input(plan, "frames").data;
    GEN_GOTO(lay_out_frames(r, laid_out, frames));
    if (r->c->skip) {
        int64_t padded = r->padded_h * r->padded_w;
        GEN_GOTO(gen_alloc_raw((void **)&r->kept, (uint64_t)padded, sizeof *r->kept, "a frame"));
        memcpy(r->kept, laid_out + (r->c->frames - 1) * padded, (size_t)padded * sizeof *r->kept);
    }
    struct share share = { .whole = &r->o->progress, .total = (double)r->o->members };
    GEN_GOTO(gen_plan_run(plan, &(gen_progress){ report_share, &share }));
    for (int i = 0; i < GEN_DGMR_LEVELS; i++) {
        gen_tensor state = gen_plan_output(plan, i);
        GEN_GOTO(gen_alloc_raw((void **)&r->state[i], gen_tensor_bytes(&state), 1, "states"));
        memcpy(r->state[i], state.data, gen_tensor_bytes(&state));
    }
done:
    gen_plan_free(&plan);
    return status;
}

/* The latent tensor of a member, from (seed, member) alone, into its slot. */
static gen_status run_latent(struct run *r, int64_t member, int64_t slot)
{
    char name[48];
    snprintf(name, sizeof name, "dgmr/member%lld/z", (long long)member);
    gen_tensor z = gen_plan_input(r->latent, "z");
    gen_random_normal(z.data, gen_shape_count(z.shape), r->o->seed, gen_stream(name), 0);
    GEN_TRY(gen_plan_run(r->latent, NULL));
    gen_tensor from = gen_plan_output(r->latent, 0);
    char *to = gen_plan_input(r->sampler, "latent").data;
    memcpy(to + (uint64_t)slot * gen_tensor_bytes(&from), from.data, gen_tensor_bytes(&from));
    return GEN_OK;
}

/* One value as the sampler's input for every slot. */
static gen_status set_all(struct run *r, const char *name, const float *value, gen_shape shape)
{
    const gen_far *far = r->backend->far;
    char *to = gen_plan_input_place(r->sampler, name);
    uint64_t bytes = (uint64_t)(gen_shape_count(shape) / r->together) * sizeof *value;
    if (!to)
        return GEN_OK;
    GEN_TRY(gen_far_write(far, to, value, bytes));
    for (int64_t slot = 1; slot < r->together; slot++)
        GEN_TRY(gen_far_copy(far, to + (uint64_t)slot * bytes, to, bytes));
    return GEN_OK;
}

static gen_status set_states(struct run *r)
{
    const gen_shape frame = GEN_SHAPE(r->together, r->padded_h, r->padded_w, 1);
    for (int i = 0; i < GEN_DGMR_LEVELS; i++)
        GEN_TRY(set_all(r, state_name[i], r->state[i], state_shape(r, i + 1)));
    return r->kept ? set_all(r, "newest", r->kept, frame) : GEN_OK;
}

/* The states that the sampler ended with are those it goes on from. */
static gen_status carry_states(struct run *r)
{
    for (int i = 0; i < GEN_DGMR_LEVELS; i++) {
        void *to = gen_plan_input_place(r->sampler, state_name[i]);
        const void *last = gen_plan_place(r->sampler, LAST + i);
        uint64_t bytes = (uint64_t)gen_shape_count(state_shape(r, i + 1)) * sizeof(float);
        GEN_TRY(gen_far_copy(r->backend->far, to, last, bytes));
    }
    return GEN_OK;
}

/* The slot's rain of the plan's [together,chunk,H,W,1] from lead time `first` on, cropped, clamped
 * and masked, into its member. */
static gen_status take_rain(struct run *r, int64_t member, int64_t slot, int64_t first,
                            int64_t count)
{
    const float *from = gen_plan_output(r->sampler, RAIN).data;
    float *rain = rain_of(r, slot);
    bool finite = true;
    from += slot * r->chunk * r->padded_h * r->padded_w;
    for (int64_t y = 0; y < count * r->height; y++) {
        const float *row = from + (y / r->height * r->padded_h + y % r->height) * r->padded_w;
        float *to = rain + (first * r->height + y) * r->width;
        const float *seen = r->newest + y % r->height * r->width;
        for (int64_t x = 0; x < r->width; x++) {
            finite &= isfinite(row[x]) != 0;
            to[x] = isnan(seen[x]) ? NAN : row[x] > 0 ? row[x] : 0;
        }
    }
    if (!finite)
        return gen_fail(GEN_ENUMERIC,
                        "member %lld has values that are not finite in lead times %lld "
                        "to %lld",
                        (long long)member, (long long)first + 1, (long long)(first + count));
    return GEN_OK;
}

static gen_status hand_over(struct run *r, int64_t member, int64_t slot)
{
    if (r->chunk >= r->o->lead_steps)
        GEN_TRY(take_rain(r, member, slot, 0, r->o->lead_steps));
    GEN_TRY(move_on(r, slot));
    GEN_TRY(r->sink(r->cookie, member, rain_of(r, slot)));
    return gen_progress_report(&r->o->progress, "members", (double)(member + 1),
                               (double)r->o->members);
}

/* Members [member, member + n), n not above r->together; further slots hold what they held. */
static gen_status run_members(struct run *r, int64_t member, int64_t n)
{
    int64_t steps = r->o->lead_steps;
    if (member == 0 || r->chunk < steps)
        GEN_TRY(set_states(r));
    for (int64_t slot = 0; slot < n; slot++)
        GEN_TRY(run_latent(r, member + slot, slot));
    if (r->chunk < steps)
        gen_plan_changed(r->sampler);
    for (int64_t first = 0; first < steps; first += r->chunk) {
        int64_t count = steps - first < r->chunk ? steps - first : r->chunk;
        struct share share = { .whole = &r->o->progress,
                               .from = (double)member + (double)(n * first) / (double)steps,
                               .size = (double)(n * count) / (double)steps,
                               .total = (double)r->o->members };
        if (first > 0)
            GEN_TRY(carry_states(r));
        GEN_TRY(gen_plan_run(r->sampler, &(gen_progress){ report_share, &share }));
        for (int64_t slot = 0; slot < n && r->chunk < steps; slot++)
            GEN_TRY(take_rain(r, member + slot, slot, first, count));
    }
    for (int64_t slot = 0; slot < n; slot++)
        GEN_TRY(hand_over(r, member + slot, slot));
    return GEN_OK;
}

/* ---- all together ---------------------------------------------------------------------------- */

static gen_status check(const struct run *r)
{
    const gen_model *m = r->o->model;
    if (!m || (m->arch != &gen_dgmr_arch && m->arch != &gen_dgmr_ocf_arch))
        return gen_fail(GEN_EMODEL, "nowcast: the model is a '%s', expected '%s' or '%s'",
                        m ? m->arch->name : "", gen_dgmr_arch.name, gen_dgmr_ocf_arch.name);
    const gen_dgmr_config *c = m->config;
    if (c->frames != 4)
        return gen_fail(GEN_EMODEL, "nowcast: the model wants %lld frames of context, expected 4",
                        (long long)c->frames);
    return GEN_OK;
}

static gen_status make_plans(struct run *r)
{
    GEN_TRY(plan_latent(r, &r->latent));
    GEN_TRY(choose_chunk(r));
    GEN_TRY(choose_together(r));
    return plan_sampler(r, r->chunk, false, &r->sampler);
}

static gen_status begin(struct run *r, int64_t height, int64_t width,
                        const gen_nowcast_options *options)
{
    uint64_t left;
    *r = (struct run){ .o = options, .height = height, .width = width, .together = 1 };
    GEN_TRY(check(r));
    r->c = options->model->config;
    r->padded_h = (height + 31) / 32 * 32;
    r->padded_w = (width + 31) / 32 * 32;
    if (!options->backend)
        GEN_TRY(gen_backend_open(&r->own_backend, options->device, options->threads));
    r->backend = options->backend ? options->backend : r->own_backend;
    const gen_far *far = r->backend->far;
    return far ? far->room(far->ctx, &left, &r->room) : GEN_OK;
}

static void end(struct run *r)
{
    gen_plan_free(&r->sampler);
    gen_plan_free(&r->latent);
    gen_backend_close(&r->own_backend);
    for (int i = 0; i < GEN_DGMR_LEVELS; i++)
        gen_free(r->state[i]);
    gen_motion_free(&r->motion);
    gen_pool_free(&r->pool);
    gen_free(r->frame);
    gen_free(r->kept);
    gen_free(r->rain);
}

gen_status gen_dgmr_describe(int64_t height, int64_t width, const gen_nowcast_options *options,
                             gen_nowcast_needs *out)
{
    gen_status status;
    gen_plan *conditioning = NULL;
    struct run r;
    GEN_GOTO(begin(&r, height, width, options));
    r.estimate = true;
    GEN_GOTO(plan_conditioning(&r, &conditioning));
    GEN_GOTO(make_plans(&r));
    *out = (gen_nowcast_needs){ .members_together = r.together,
                                .steps_together = r.chunk,
                                .conditioning = gen_plan_describe(conditioning).slab_bytes,
                                .latent = gen_plan_describe(r.latent).slab_bytes,
                                .sampler = gen_plan_describe(r.sampler).slab_bytes,
                                .device_memory = r.room };
    for (int i = 0; i < gen_params_count(options->model->params); i++) {
        gen_tensor t = gen_params_at(options->model->params, i, NULL, NULL);
        out->weights += gen_tensor_bytes(&t);
    }
done:
    gen_plan_free(&conditioning);
    end(&r);
    return status;
}

gen_status gen_dgmr_nowcast(const float *frames, int64_t height, int64_t width,
                            const gen_nowcast_options *options, gen_nowcast_sink *sink,
                            void *cookie)
{
    gen_status status;
    struct run r;
    GEN_GOTO(begin(&r, height, width, options));
    r.sink = sink;
    r.cookie = cookie;
    r.newest = frames + (r.c->frames - 1) * height * width;
    GEN_GOTO(find_motion(&r, frames));
    GEN_GOTO(run_conditioning(&r, frames));
    GEN_GOTO(make_plans(&r));
    r.held = r.chunk < options->lead_steps ? r.together : 1;
    GEN_GOTO(gen_alloc_raw((void **)&r.rain,
                           (uint64_t)(r.held * options->lead_steps * height * width),
                           sizeof *r.rain, "nowcast: members"));
    for (int64_t member = 0; member < options->members; member += r.together) {
        int64_t left = options->members - member;
        GEN_GOTO(run_members(&r, member, left < r.together ? left : r.together));
    }
done:
    end(&r);
    return status;
}
