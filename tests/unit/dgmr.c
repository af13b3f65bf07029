/* SPDX-License-Identifier: Apache-2.0
 *
 * DGMR's generator: parameter counts of the paper and of openclimatefix, any width, foreign names;
 * and the runner: a few lead times at a time give what all at once give, members stand alone, any
 * grid, cancelling; coordinates that move with the rain.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <libgen/plan.h>
#include <libgen/random.h>
#include <libgen/weather.h>

#include "libgen/graph/op.h"
#include "weather/dgmr.h"
#include "weather/dgmr_run.h"
#include "weather/trace.h"

static gen_dgmr_config config_of(const gen_arch *arch, double width)
{
    gen_dgmr_config c;
    gen_options_defaults(arch->config, &c);
    c.width = width;
    c.steps = 1;
    return c;
}

static gen_status build(gen_net *net, const gen_arch *arch, const gen_dgmr_config *c)
{
    gen_port in[GEN_MAX_PORTS], out[GEN_MAX_PORTS];
    int n = GEN_MAX_PORTS, n_out = GEN_MAX_PORTS;
    assert_int_equal(gen_graph_create(&net->g), GEN_OK);
    assert_int_equal(arch->inputs(c, in, &n), GEN_OK);
    for (int i = 0; i < n; i++)
        in[i].node = gen_input(net->g, in[i].name, GEN_F32, in[i].shape);
    arch->build(net, c, in, n, out, &n_out);
    return gen_graph_status(net->g);
}

static void free_net(gen_net *net)
{
    gen_graph *g = net->g;
    gen_net_free(net);
    gen_graph_free(&g);
}

/* Trained values whose name begins with `part`. */
static int64_t count(const gen_net *net, const char *part)
{
    int64_t n = 0;
    for (int i = 0; i < gen_graph_params(net->g); i++) {
        const gen_node *p = gen_graph_param(net->g, i);
        if (((const gen_param_attr *)p->attr)->trained && !strncmp(p->name, part, strlen(part)))
            n += gen_shape_count(p->shape[0]);
    }
    return n;
}

/* Reference 5.2-5.4; openclimatefix stores four 1x1 convolutions that it never uses: 784 800. */
static void counts_of_the_paper_and_of_ocf(void **state)
{
    (void)state;
    gen_net net = { 0 };
    gen_dgmr_config c = config_of(&gen_dgmr_arch, 1);
    assert_int_equal(build(&net, &gen_dgmr_arch, &c), GEN_OK);
    assert_int_equal(count(&net, "conditioning/"), 9785280);
    assert_int_equal(count(&net, "latent/"), 7228305);
    assert_int_equal(count(&net, "sampler/"), 36053572);
    free_net(&net);

    c = config_of(&gen_dgmr_ocf_arch, 1);
    assert_int_equal(build(&net, &gen_dgmr_ocf_arch, &c), GEN_OK);
    assert_int_equal(count(&net, "conditioning/"), 4210440);
    assert_int_equal(count(&net, "latent/"), 7228305);
    assert_int_equal(count(&net, "sampler/"), 42128212 - 784800);
    assert_int_equal(count(&net, ""), 53566957 - 784800);
    free_net(&net);
}

static void any_width_builds(void **state)
{
    (void)state;
    const gen_arch *const archs[] = { &gen_dgmr_arch, &gen_dgmr_ocf_arch };
    const double widths[] = { 0.001, 0.03, 0.1, 0.25, 0.3, 0.77, 1.5, 2 };
    for (int i = 0; i < GEN_LEN(archs); i++)
        for (int k = 0; k < GEN_LEN(widths); k++) {
            gen_net net = { .training = k % 2 };
            gen_dgmr_config c = config_of(archs[i], widths[k]);
            if (build(&net, archs[i], &c))
                fail_msg("width %g: %s", widths[k], gen_last_error());
            free_net(&net);
        }
}

static void wrong_shapes_are_named(void **state)
{
    (void)state;
    static const struct {
        gen_shape frames, z;
        const char *says;
    } wrong[] = {
        { { 5, { 1, 4, 64, 60, 1 } }, { 4, { 1, 2, 2, 8 } }, "[1,4,64,60,1]" },
        { { 5, { 1, 3, 64, 64, 1 } }, { 4, { 1, 2, 2, 8 } }, "[1,3,64,64,1]" },
        { { 5, { 1, 4, 64, 64, 1 } }, { 4, { 1, 2, 3, 8 } }, "[1,2,3,8]" },
        { { 5, { 1, 4, 64, 64, 1 } }, { 4, { 1, 2, 2, 7 } }, "[1,2,2,7]" },
        { { 4, { 4, 64, 64, 1 } }, { 4, { 1, 2, 2, 8 } }, "[4,64,64,1]" },
    };
    for (int i = 0; i < GEN_LEN(wrong); i++) {
        gen_net net = { 0 };
        gen_dgmr_config c = config_of(&gen_dgmr_arch, 0.1);
        gen_port in[2] = { { .name = "frames" }, { .name = "z" } }, out[GEN_MAX_PORTS];
        int n_out = GEN_MAX_PORTS;
        assert_int_equal(gen_graph_create(&net.g), GEN_OK);
        in[0].node = gen_input(net.g, "frames", GEN_F32, wrong[i].frames);
        in[1].node = gen_input(net.g, "z", GEN_F32, wrong[i].z);
        gen_dgmr_arch.build(&net, &c, in, 2, out, &n_out);
        assert_int_equal(gen_graph_status(net.g), GEN_EINVAL);
        assert_non_null(strstr(gen_last_error(), wrong[i].says));
        free_net(&net);
    }
}

/* ---- the runner ------------------------------------------------------------------------------ */

enum { HEIGHT = 50, WIDTH = 70, STEPS = 17, CELLS = HEIGHT * WIDTH };

struct kept {
    float *rain; /* [members,STEPS,HEIGHT,WIDTH] */
    int64_t members, stop_after;
    double last;
    bool went_back;
};

static gen_status keep(void *cookie, int64_t member, const float *rain)
{
    struct kept *k = cookie;
    assert_int_equal(member, k->members);
    memcpy(k->rain + member * STEPS * CELLS, rain, STEPS * CELLS * sizeof *rain);
    k->members++;
    return k->members == k->stop_after ? gen_fail(GEN_EIO, "disk full") : GEN_OK;
}

static int watch(void *cookie, const char *what, double done, double total)
{
    struct kept *k = cookie;
    assert_string_equal(what, "members");
    assert_true(done >= 0 && done <= total);
    k->went_back |= done < k->last;
    k->last = done;
    return 0;
}

static int cancel(void *cookie, const char *what, double done, double total)
{
    (void)cookie, (void)what;
    return done > 0.5 * total;
}

static gen_model *model_in(int64_t coordinates)
{
    gen_model *m;
    gen_dgmr_config c = config_of(&gen_dgmr_arch, 0.1);
    assert_int_equal(c.coordinates, GEN_DGMR_GROUND);
    c.coordinates = coordinates;
    assert_int_equal(gen_model_create(&m, &gen_dgmr_arch, &c, 5), GEN_OK);
    return m;
}

static gen_model *small_model(void)
{
    return model_in(GEN_DGMR_GROUND);
}

static void fill_frames(float *frames)
{
    gen_random_uniform(frames, 4 * CELLS, 9, gen_stream("frames"), 0);
    for (int i = 0; i < 4 * CELLS; i++)
        frames[i] = fmaxf(20 * (frames[i] - 0.5f), 0);
}

static gen_nowcast_options options_of(const gen_model *m, int64_t members)
{
    return (gen_nowcast_options){ .method = GEN_NOWCAST_DGMR,
                                  .lead_steps = STEPS,
                                  .members = members,
                                  .seed = 11,
                                  .threads = 2,
                                  .model = m };
}

static struct kept run(const gen_nowcast_options *o, gen_status expected)
{
    static float frames[4 * CELLS];
    struct kept k = { .rain = calloc((size_t)(o->members * STEPS * CELLS), sizeof(float)) };
    gen_nowcast_options watched = *o;
    if (!o->progress.fn)
        watched.progress = (gen_progress){ watch, &k };
    fill_frames(frames);
    gen_status status = gen_dgmr_nowcast(frames, HEIGHT, WIDTH, &watched, keep, &k);
    if (status != expected)
        fail_msg("%s: %s", gen_status_name(status), gen_last_error());
    assert_false(k.went_back);
    return k;
}

static double distance(const float *a, const float *b, int64_t n)
{
    gen_tensor x = { GEN_F32, GEN_SHAPE(n), (void *)(uintptr_t)a };
    gen_tensor y = { GEN_F32, GEN_SHAPE(n), (void *)(uintptr_t)b };
    return gen_compare(&x, &y).relative;
}

/* Bit t of the cookie: t lead times at a time were tried. */
static void note_chunk(void *cookie, gen_log_level level, const char *message)
{
    int at;
    (void)level;
    if (sscanf(message, "sampler: %d of 17 lead times", &at) == 1)
        *(int *)cookie |= 1 << at;
}

/* From budgets that are too small up to sixteen that work: nothing changes. */
static void few_lead_times_at_a_time(void **state)
{
    (void)state;
    gen_model *m = small_model();
    gen_nowcast_options o = options_of(m, 2);
    struct kept whole = run(&o, GEN_OK), parts = { 0 };
    assert_int_equal(whole.members, 2);
    assert_true(whole.last == 2);

    /* Members differ, rain is not negative and not all dry. */
    double sum = 0;
    for (int i = 0; i < 2 * STEPS * CELLS; i++) {
        assert_true(whole.rain[i] >= 0);
        sum += (double)whole.rain[i];
    }
    assert_true(sum > 0);
    assert_true(distance(whole.rain, whole.rain + STEPS * CELLS, STEPS * CELLS) > 1e-4);

    o.memory_budget = 1;
    parts = run(&o, GEN_ENOMEM);
    free(parts.rain);
    int fits = 0, chunks = 0;
    gen_log_set(note_chunk, &chunks, GEN_LOG_INFO);
    for (uint64_t budget = 1 << 18; budget <= (uint64_t)1 << 26; budget += budget / 8) {
        static float frames[4 * CELLS];
        fill_frames(frames);
        parts = (struct kept){ .rain = calloc(2 * STEPS * CELLS, sizeof(float)) };
        o.memory_budget = budget;
        gen_status status = gen_dgmr_nowcast(frames, HEIGHT, WIDTH, &o, keep, &parts);
        assert_true(status == GEN_OK || status == GEN_ENOMEM);
        if (status == GEN_OK) {
            double off = distance(parts.rain, whole.rain, 2 * STEPS * CELLS);
            if (!(off <= 1e-5))
                fail_msg("budget %llu: distance %g", (unsigned long long)budget, off);
            fits++;
        }
        free(parts.rain);
        if (fits == 16)
            break;
    }
    gen_log_set(NULL, NULL, GEN_LOG_WARN);
    assert_int_equal(fits, 16);
    assert_true(chunks & 1 << 9); /* nine at a time, which does not divide 17 */
    assert_true(chunks & ~(1 << 9));
    free(whole.rain);
    gen_model_free(&m);
}

/* The same bytes at one thread, for a member made with fewer beside it, from a model that is
 * consumed (which then holds no weights). */
static void same_bytes(void **state)
{
    (void)state;
    gen_model *m = small_model();
    gen_nowcast_options o = options_of(m, 3);
    struct kept a = run(&o, GEN_OK);
    o.members = 2;
    o.threads = 1;
    struct kept b = run(&o, GEN_OK);
    assert_memory_equal(a.rain, b.rain, 2 * STEPS * CELLS * sizeof(float));
    free(b.rain);
    o.consume_model = 1;
    b = run(&o, GEN_OK);
    assert_memory_equal(a.rain, b.rain, 2 * STEPS * CELLS * sizeof(float));
    assert_null(gen_params_get(m->params, "sampler/level4/gru/update/w").data);
    free(a.rain);
    free(b.rain);
    gen_model_free(&m);
}

static void stops_when_told(void **state)
{
    (void)state;
    gen_model *m = small_model();
    gen_nowcast_options o = options_of(m, 4);
    o.progress.fn = cancel;
    struct kept k = run(&o, GEN_ECANCELED);
    assert_true(k.members >= 1 && k.members <= 2);
    free(k.rain);

    static float frames[4 * CELLS];
    fill_frames(frames);
    k = (struct kept){ .rain = calloc(4 * STEPS * CELLS, sizeof(float)), .stop_after = 2 };
    o.progress.fn = NULL;
    assert_int_equal(gen_dgmr_nowcast(frames, HEIGHT, WIDTH, &o, keep, &k), GEN_EIO);
    assert_int_equal(k.members, 2);
    assert_string_equal(gen_last_error(), "disk full");
    free(k.rain);
    gen_model_free(&m);
}

static void bad_values_are_reported(void **state)
{
    (void)state;
    gen_model *m = small_model();
    ((float *)gen_params_get(m->params, "sampler/out/b").data)[1] = NAN;
    gen_nowcast_options o = options_of(m, 1);
    struct kept k = run(&o, GEN_ENUMERIC);
    assert_non_null(strstr(gen_last_error(), "member 0"));
    free(k.rain);
    gen_model_free(&m);
}

/* ---- coordinates that move with the rain ----------------------------------------------------- */

/* Showers that drift by (east, south) a frame; the newest frame is the same for every drift. */
static void drifting_frames(float *frames, double east, double south)
{
    for (int t = 0; t < 4; t++)
        for (int i = 0; i < CELLS; i++) {
            double y = i / WIDTH - south * (t - 3), x = i % WIDTH - east * (t - 3);
            double rain = 6 * sin(x / 5) * cos(y / 4) + 4 * sin(x / 9 + y / 7) + 1;
            frames[t * CELLS + i] = rain > 0 ? (float)rain : 0;
        }
}

static struct kept forecast(const float *frames, int64_t coordinates, int threads)
{
    gen_model *m = model_in(coordinates);
    gen_nowcast_options o = options_of(m, 2);
    struct kept k = { .rain = calloc(2 * STEPS * CELLS, sizeof(float)) };
    o.threads = threads;
    if (gen_dgmr_nowcast(frames, HEIGHT, WIDTH, &o, keep, &k))
        fail_msg("%s", gen_last_error());
    gen_model_free(&m);
    return k;
}

/* In place, by the motion, `steps` steps back. */
static void warp(float *rain, const gen_motion *motion, int64_t steps)
{
    static float out[CELLS];
    gen_trace t;
    assert_int_equal(gen_trace_create(&t, motion, NULL, 1), GEN_OK);
    for (int64_t k = 0; k < steps; k++)
        gen_trace_step(&t, motion, 1, NULL);
    gen_trace_warp(out, &t, rain, GEN_TRACE_CUBIC, NULL);
    memcpy(rain, out, sizeof out);
    gen_trace_free(&t);
}

/* What a network of the ground makes of frames that were moved, moved on: to the byte, at any
 * number of threads. */
static void rain_coordinates_move_frames_and_forecast(void **state)
{
    (void)state;
    static float frames[4 * CELLS], still[4 * CELLS];
    gen_motion motion;
    drifting_frames(frames, 1.4, -0.8);
    for (int i = 0; i < 4 * CELLS; i++)
        if (i % WIDTH < 6 && i % CELLS < 20 * WIDTH)
            frames[i] = NAN;
    struct kept got = forecast(frames, GEN_DGMR_RAIN, 1),
                again = forecast(frames, GEN_DGMR_RAIN, 2);
    assert_memory_equal(got.rain, again.rain, 2 * STEPS * CELLS * sizeof(float));

    assert_int_equal(gen_motion_estimate(&motion, frames + CELLS, 3, HEIGHT, WIDTH, NULL), GEN_OK);
    memcpy(still, frames, sizeof still);
    for (int t = 0; t < 3; t++)
        warp(still + t * CELLS, &motion, 3 - t);
    struct kept expected = forecast(still, GEN_DGMR_GROUND, 2);
    int64_t missing = 0, newest = 0;
    for (int64_t t = 0; t < 2 * STEPS; t++)
        warp(expected.rain + t * CELLS, &motion, t % STEPS + 1);
    for (int64_t i = 0; i < 2 * STEPS * CELLS; i++) {
        float e = expected.rain[i], g = got.rain[i];
        assert_true(isnan(e) ? isnan(g) : g == e && g >= 0);
        missing += isnan(g);
        newest += isnan(frames[3 * CELLS + i % CELLS]);
    }
    assert_true(missing > newest && missing < STEPS * CELLS);
    free(got.rain);
    free(again.rain);
    free(expected.rain);
    gen_motion_free(&motion);
}

/* Rain that drifts is forecast as the same rain that stands is, and moved: with the drift that is
 * true, not the one that was found. Away from what came in over the edge. */
static void drift_changes_only_the_place(void **state)
{
    (void)state;
    static float frames[4 * CELLS];
    enum { EAST = 1, LEADS = 8, EDGE = 12 };
    double apart[2] = { 0 };
    for (int coordinates = GEN_DGMR_GROUND; coordinates <= GEN_DGMR_RAIN; coordinates++) {
        drifting_frames(frames, 0, 0);
        struct kept stands = forecast(frames, coordinates, 2);
        drifting_frames(frames, EAST, 0);
        struct kept drifts = forecast(frames, coordinates, 2);
        double off = 0, size = 0;
        for (int t = 0; t < LEADS; t++)
            for (int y = EDGE; y < HEIGHT - EDGE; y++)
                for (int x = EDGE; x < WIDTH - EDGE - LEADS; x++) {
                    const float *a = stands.rain + t * CELLS + y * WIDTH + x;
                    const float *b = drifts.rain + t * CELLS + y * WIDTH + x + EAST * (t + 1);
                    off += fabs((double)*a - (double)*b);
                    size += (double)*a;
                }
        apart[coordinates] = off / size;
        free(stands.rain);
        free(drifts.rain);
    }
    print_message("apart: ground %g, rain %g\n", apart[0], apart[1]);
    assert_true(apart[GEN_DGMR_RAIN] < 0.2 * apart[GEN_DGMR_GROUND]);
}

/* One forecast field [64,64] of a small network of random weights, of dry newest frames: nothing
 * goes past the network. */
static void one_field(float rain[64 * 64], int64_t smooth)
{
    gen_model *m;
    gen_backend *backend;
    gen_plan *plan;
    gen_node *out, *frames, *z;
    gen_net net = { 0 };
    gen_dgmr_config c = config_of(&gen_dgmr_arch, 0.05);
    c.norm = GEN_DGMR_NORM_NONE;
    c.sn = GEN_SN_NONE;
    c.skip = GEN_DGMR_SKIP_GATE;
    c.smooth = smooth;
    assert_int_equal(gen_model_create(&m, &gen_dgmr_arch, &c, 3), GEN_OK);
    assert_int_equal(gen_backend_open(&backend, "cpu", 1), GEN_OK);
    assert_int_equal(gen_graph_create(&net.g), GEN_OK);
    frames = gen_input(net.g, "frames", GEN_F32, GEN_SHAPE(1, 4, 64, 64, 1));
    z = gen_input(net.g, "z", GEN_F32, GEN_SHAPE(1, 2, 2, c.z_channels));
    const gen_port in[] = { { .name = "frames", .node = frames }, { .name = "z", .node = z } };
    gen_port port[GEN_MAX_PORTS];
    int n = GEN_MAX_PORTS;
    gen_dgmr_arch.build(&net, &c, in, 2, port, &n);
    out = port[0].node;
    assert_int_equal(gen_plan_create(&plan, net.g, &out, 1, m->params, backend, NULL), GEN_OK);
    float *f = gen_plan_input(plan, "frames").data;
    gen_random_uniform(f, 3 * 64 * 64, 1, 1, 0);
    memset(f + 3 * 64 * 64, 0, 64 * 64 * sizeof *f);
    gen_random_normal(gen_plan_input(plan, "z").data, 4 * c.z_channels, 1, 2, 0);
    assert_int_equal(gen_plan_run(plan, NULL), GEN_OK);
    memcpy(rain, gen_plan_output(plan, 0).data, 64 * 64 * sizeof *rain);
    gen_plan_free(&plan);
    gen_backend_close(&backend);
    free_net(&net);
    gen_model_free(&m);
}

static void smoothing_is_the_binomial_filter(void **state)
{
    static const double tap[3] = { 0.25, 0.5, 0.25 };
    static float plain[64 * 64], smooth[64 * 64];
    (void)state;
    one_field(plain, GEN_DGMR_SMOOTH_NONE);
    one_field(smooth, GEN_DGMR_SMOOTH_BINOMIAL);
    double largest = 0;
    for (int y = 0; y < 64; y++)
        for (int x = 0; x < 64; x++) {
            double sum = 0, weight = 0;
            for (int i = -1; i <= 1; i++)
                for (int k = -1; k <= 1; k++)
                    if (y + i >= 0 && y + i < 64 && x + k >= 0 && x + k < 64) {
                        double w = tap[i + 1] * tap[k + 1];
                        sum += w * (double)plain[(y + i) * 64 + x + k];
                        weight += w;
                    }
            assert_true(fabs(sum / weight - (double)smooth[y * 64 + x]) < 1e-5);
            largest = fmax(largest, fabs((double)(plain[y * 64 + x] - smooth[y * 64 + x])));
        }
    assert_true(largest > 1e-3); /* there was something to smooth */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_of_the_paper_and_of_ocf),
        cmocka_unit_test(any_width_builds),
        cmocka_unit_test(wrong_shapes_are_named),
        cmocka_unit_test(few_lead_times_at_a_time),
        cmocka_unit_test(same_bytes),
        cmocka_unit_test(stops_when_told),
        cmocka_unit_test(bad_values_are_reported),
        cmocka_unit_test(rain_coordinates_move_frames_and_forecast),
        cmocka_unit_test(drift_changes_only_the_place),
        cmocka_unit_test(smoothing_is_the_binomial_filter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
