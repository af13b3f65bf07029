/* SPDX-License-Identifier: Apache-2.0
 *
 * A run from its first step to its last (gen_training_run), of a toy: what a bad step, a failure, a
 * full disk and a second process leave, and that a run in parts is the unbroken one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <signal.h>
#include <sys/resource.h>

#include <libgen/random.h>
#include <libgen/train.h>

#include "libgen/train/losses.h"
#include "tests/toy.h"

enum { SIDE = 48, ROWS = 4, MOST = 64 };
#define EVERY_TURN INT64_MAX

typedef struct run {
    gen_training_options o;
    gen_training_state end;
    gen_backend *backend;
    gen_params *params;
    gen_phase *phase;
    int64_t turn;                  /* the one at hand */
    int64_t bad_from, bad_to;      /* turns whose sample is spoilt */
    int64_t failing;               /* the turn that fails */
    int64_t stop_at;               /* step at which somebody presses Ctrl-C; 0: never */
    int64_t full_from, full_to;    /* turns at which the disk is full */
    int64_t unwritten;             /* validation at this step fails to write */
    int64_t turns[MOST], at[MOST]; /* numbers and steps, as they were asked for */
    float weight[MOST];            /* at the start of each turn */
    int n;
} run;

static float *weights(const run *r)
{
    return gen_params_get(r->params, "w/w").data;
}

static gen_node *build(gen_net *net, void *cookie)
{
    (void)cookie;
    gen_node *x = gen_input(net->g, "x", GEN_F32, GEN_SHAPE(ROWS, SIDE));
    gen_node *y = gen_linear_layer(net, "w", x, SIDE, &(gen_layer_attr){ 0 });
    return gen_mean_of_all(net->g, gen_square(net->g, gen_affine(net->g, y, 1, -1)));
}

static gen_status fill(void *cookie, gen_plan *plan, const char **sample)
{
    const run *r = cookie;
    gen_tensor x = gen_plan_input(plan, "x");
    int64_t n = gen_shape_count(x.shape);
    gen_random_normal(x.data, n, 5, 1, (uint64_t)(r->turn * n));
    if (r->turn >= r->bad_from && r->turn < r->bad_to)
        ((float *)x.data)[7] = NAN;
    *sample = "spoilt.h5";
    return GEN_OK;
}

static void limit_files(rlim_t bytes)
{
    struct rlimit l;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &l), 0);
    l.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static gen_status turn(void *cookie, gen_guard *guard, int64_t number, int64_t step, gen_say *say,
                       int *n, gen_verdict *verdict)
{
    run *r = cookie;
    double loss;
    r->turn = number;
    if (r->full_to)
        limit_files(number >= r->full_from && number < r->full_to ? 8000 : RLIM_INFINITY);
    if (r->n < MOST) {
        r->turns[r->n] = number;
        r->at[r->n] = step;
        r->weight[r->n++] = weights(r)[0];
    }
    if (number == r->failing)
        return gen_fail(GEN_EDATA, "the sample is gone");
    gen_status status = gen_phase_run(r->phase, guard, step, &loss, verdict);
    say[0] = (gen_say){ "losses", "G", loss };
    *n = 1;
    return status;
}

/* Lower from step to step. */
static gen_status validate(void *cookie, int64_t step, double best, double *metric, char **json)
{
    const run *r = cookie;
    (void)best;
    (void)json;
    *metric = 1 / (1 + (double)step);
    return step == r->unwritten ? gen_fail(GEN_EIO, "the model is not there") : GEN_OK;
}

static int cancel(void *cookie, const char *what, double done, double total)
{
    const run *r = cookie;
    (void)what;
    (void)total;
    return r->stop_at && done >= (double)r->stop_at;
}

static void open_run(run *r, const char *folder, int64_t steps)
{
    static const char *const all[] = { "w/", NULL };
    const gen_phase_options o = { .name = "G",
                                  .build = build,
                                  .fill = fill,
                                  .cookie = r,
                                  .prefixes = all,
                                  .adam = { .beta1 = 0.5, .average = 0.9 },
                                  .schedule.rate = 0.01 };
    *r = (run){ .bad_from = -1, .bad_to = -1, .failing = -1, .unwritten = -1 };
    assert_int_equal(gen_params_create(&r->params), GEN_OK);
    assert_int_equal(gen_backend_open(&r->backend, "cpu", 1), GEN_OK);
    if (gen_phase_create(&r->phase, r->params, 3, r->backend, &o) != GEN_OK)
        fail_msg("%s", gen_last_error());
    r->o = (gen_training_options){ .run = folder,
                                   .config = "{\"a\":1}",
                                   .params = r->params,
                                   .phases = { r->phase },
                                   .n_phases = 1,
                                   .turn = turn,
                                   .validate = validate,
                                   .cookie = r,
                                   .cancel = { cancel, r },
                                   .steps = steps,
                                   .validate_every = 5,
                                   .log_every = 1,
                                   .save_seconds = 1e9,
                                   .on_nan = GEN_ON_NAN_ROLLBACK,
                                   .patience = 3 };
}

static gen_status go(run *r)
{
    gen_status status = gen_training_run(&r->o, &r->end);
    if (r->full_to)
        limit_files(RLIM_INFINITY);
    return status;
}

static void close_run(run *r)
{
    gen_phase_free(&r->phase);
    gen_params_free(&r->params);
    gen_backend_close(&r->backend);
}

static void expect_status(run *r, gen_status expected, const char *words)
{
    gen_status status = go(r);
    if (status != expected || (words && !strstr(gen_last_error(), words)))
        fail_msg("%s: '%s', expected %s and '%s'", gen_status_name(status), gen_last_error(),
                 gen_status_name(expected), words ? words : "");
}

static int logged(const char *folder, const char *words)
{
    char path[600];
    size_t n;
    int found = 0;
    snprintf(path, sizeof path, "%s/log.jsonl", folder);
    char *text = toy_read(path, &n);
    for (size_t i = 0; i + strlen(words) <= n; i++)
        found += !memcmp(text + i, words, strlen(words));
    free(text);
    return found;
}

/* Final weights of an unbroken run of 12 steps. */
static void unbroken(float out[SIDE * SIDE])
{
    run r;
    open_run(&r, toy_path("unbroken"), 12);
    r.o.resume = true;
    expect_status(&r, GEN_OK, NULL);
    assert_int_equal(r.end.step, 12);
    memcpy(out, weights(&r), SIDE * SIDE * sizeof *out);
    close_run(&r);
}

static void parts_are_the_whole(void **state)
{
    (void)state;
    float whole[SIDE * SIDE];
    char folder[512];
    unbroken(whole);
    strcpy(folder, toy_path("parts"));
    for (int64_t stop = 3; stop <= 12; stop += 3) {
        run r;
        open_run(&r, folder, 12);
        r.stop_at = stop;
        r.o.resume = stop > 3;
        expect_status(&r, stop < 12 ? GEN_ECANCELED : GEN_OK, NULL);
        assert_int_equal(r.at[0], stop - 3);
        assert_int_equal(r.turns[0], stop - 3);
        if (stop == 12)
            assert_memory_equal(weights(&r), whole, sizeof whole);
        close_run(&r);
    }
    assert_int_equal(logged(folder, "\"kind\":\"step\""), 12);
    assert_int_equal(logged(folder, "\"what\":\"interrupted\""), 3);
}

/* Turn 7 is bad: the run goes back to step 5, with its weights, and on with turn 8. */
static void rollback_goes_back(void **state)
{
    (void)state;
    run r;
    char folder[512];
    strcpy(folder, toy_path("rollback"));
    open_run(&r, folder, 10);
    r.bad_from = 7;
    r.bad_to = 8;
    expect_status(&r, GEN_OK, NULL);
    assert_int_equal(r.end.step, 10);
    assert_int_equal(r.end.bad, 1);
    assert_int_equal(r.n, 13);
    for (int i = 0; i < r.n; i++)
        assert_int_equal(r.turns[i], i); /* none is met again */
    assert_int_equal(r.at[7], 7);
    assert_int_equal(r.at[8], 5);
    assert_true(r.weight[8] == r.weight[5]);
    assert_true(r.weight[7] != r.weight[5]);
    assert_int_equal(logged(folder, "back from step 7 to step 5"), 1);
    assert_int_equal(logged(folder, "step 7, sample spoilt.h5: loss of G"), 1);
    close_run(&r);
}

static void skip_goes_on(void **state)
{
    (void)state;
    run r;
    open_run(&r, toy_path("skip"), 6);
    r.o.on_nan = GEN_ON_NAN_SKIP;
    r.bad_from = 2;
    r.bad_to = 4;
    expect_status(&r, GEN_OK, NULL);
    assert_int_equal(r.n, 8);
    assert_true(r.at[2] == 2 && r.at[3] == 2 && r.at[4] == 2 && r.at[7] == 5);
    assert_true(r.weight[4] == r.weight[2]);
    close_run(&r);
}

static void stop_saves(void **state)
{
    (void)state;
    run r;
    char folder[512];
    strcpy(folder, toy_path("stop"));
    open_run(&r, folder, 9);
    r.o.on_nan = GEN_ON_NAN_STOP;
    r.bad_from = 3;
    r.bad_to = 4;
    expect_status(&r, GEN_ENUMERIC, "step 3, sample spoilt.h5: loss of G");
    close_run(&r);
    open_run(&r, folder, 9);
    r.o.resume = true;
    expect_status(&r, GEN_OK, NULL);
    assert_true(r.at[0] == 3 && r.turns[0] == 4);
    close_run(&r);
}

/* However often the clock says that it is time to save: the step is the same. */
static void patience_ends(void **state)
{
    (void)state;
    run r;
    open_run(&r, toy_path("patience"), 9);
    r.o.save_seconds = 1e-9;
    r.bad_from = 3;
    r.bad_to = EVERY_TURN;
    expect_status(&r, GEN_ENUMERIC, "3 rollbacks without a checkpoint between them");
    assert_int_equal(r.n, 7);
    close_run(&r);
}

static void a_failure_is_saved_before(void **state)
{
    (void)state;
    run r;
    char folder[512];
    strcpy(folder, toy_path("failure"));
    open_run(&r, folder, 9);
    r.failing = 4;
    expect_status(&r, GEN_EDATA, "the sample is gone");
    close_run(&r);
    open_run(&r, folder, 9);
    r.o.resume = true;
    expect_status(&r, GEN_OK, NULL);
    assert_int_equal(r.at[0], 4);
    close_run(&r);
}

static void a_full_disk_is_survived(void **state)
{
    (void)state;
    run r;
    float whole[SIDE * SIDE];
    char folder[512];
    unbroken(whole);
    strcpy(folder, toy_path("full"));
    open_run(&r, folder, 12);
    r.full_from = 3; /* the checkpoint of step 5 */
    r.full_to = 7;
    expect_status(&r, GEN_OK, NULL);
    assert_int_equal(logged(folder, "\"what\":\"unsaved\""), 1);
    assert_memory_equal(weights(&r), whole, sizeof whole);
    close_run(&r);
    open_run(&r, folder, 20);
    r.o.resume = true;
    r.full_from = 14;
    r.full_to = EVERY_TURN;
    expect_status(&r, GEN_ENOMEM, "step 20 could not be saved");
    close_run(&r);
    open_run(&r, folder, 20);
    r.o.resume = true;
    expect_status(&r, GEN_OK, NULL);
    assert_int_equal(r.at[0], 12);
    close_run(&r);
}

static void models_that_cannot_be_written(void **state)
{
    (void)state;
    run r;
    char folder[512];
    strcpy(folder, toy_path("models"));
    open_run(&r, folder, 10);
    r.unwritten = 5;
    expect_status(&r, GEN_OK, NULL);
    assert_int_equal(logged(folder, "the model is not there"), 1);
    close_run(&r);
    open_run(&r, folder, 15);
    r.o.resume = true;
    r.unwritten = 15;
    expect_status(&r, GEN_ENOMEM, "step 15 could not be saved");
    close_run(&r);
    open_run(&r, folder, 15);
    r.o.resume = true; /* nothing to train, but the model to write */
    expect_status(&r, GEN_OK, NULL);
    assert_int_equal(r.n, 0);
    assert_true(fabs(r.end.best - 1.0 / 16) < 1e-12);
    close_run(&r);
}

static void folders_that_are_taken(void **state)
{
    (void)state;
    run r;
    char folder[512];
    strcpy(folder, toy_path("taken"));
    open_run(&r, folder, 5);
    expect_status(&r, GEN_OK, NULL);
    close_run(&r);
    open_run(&r, folder, 5);
    expect_status(&r, GEN_EEXIST, "has a run up to step 5");
    r.o.config = "{\"a\":2}";
    expect_status(&r, GEN_EEXIST, "of another configuration");
    r.o.resume = true;
    expect_status(&r, GEN_EMODEL, "its configuration is another one");
    assert_int_equal(r.n, 0);
    close_run(&r);
    assert_int_equal(logged(folder, "\"kind\":\"step\""), 5);
}

static int remove_folders(void **state)
{
    (void)state;
    toy_remove_all();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_the_whole),
        cmocka_unit_test(rollback_goes_back),
        cmocka_unit_test(skip_goes_on),
        cmocka_unit_test(stop_saves),
        cmocka_unit_test(patience_ends),
        cmocka_unit_test(a_failure_is_saved_before),
        cmocka_unit_test(a_full_disk_is_survived),
        cmocka_unit_test(models_that_cannot_be_written),
        cmocka_unit_test(folders_that_are_taken),
    };
    signal(SIGXFSZ, SIG_IGN);
    return cmocka_run_group_tests_name("training_run", tests, NULL, remove_folders);
}
