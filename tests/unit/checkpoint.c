/* SPDX-License-Identifier: Apache-2.0
 *
 * Checkpoints: what is loaded is what was saved; damage, other configurations, a full disk, a
 * second run; and a training that is killed again and again ends as the one that was not.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <libgen/nn.h>
#include <libgen/random.h>
#include <libgen/train.h>

#include "libgen/base/alloc.h"
#include "libgen/base/file.h"
#include "libgen/base/json.h"
#include "libgen/tensor/half.h"
#include "tests/toy.h"

static int remove_folders(void **state)
{
    (void)state;
    toy_remove_all();
    return 0;
}

/* ---- a run without a network ----------------------------------------------------------------- */

typedef struct run {
    gen_params *params;
    gen_saved *saved;
    gen_checkpoints *c;
    float *w; /* [5] */
    int64_t position;
    char *state, *skipped;
    int64_t step;
} run;

#define CONFIG "{\"width\":5}"

static void prepare(run *r)
{
    *r = (run){ 0 };
    assert_int_equal(gen_params_create(&r->params), GEN_OK);
    assert_int_equal(gen_params_add(r->params, "w", GEN_SHAPE(5), true, &r->w), GEN_OK);
    assert_int_equal(gen_saved_create(&r->saved), GEN_OK);
    assert_int_equal(gen_saved_params(r->saved, "model", r->params), GEN_OK);
    assert_int_equal(gen_saved_counter(r->saved, "position", &r->position), GEN_OK);
}

static void open_run(run *r, const char *folder, const char *config, int64_t keep)
{
    prepare(r);
    if (gen_checkpoints_open(&r->c, folder, config, keep) != GEN_OK)
        fail_msg("%s", gen_last_error());
}

static void close_run(run *r)
{
    gen_checkpoints_close(&r->c);
    gen_saved_free(&r->saved);
    gen_params_free(&r->params);
    gen_free(r->state);
    gen_free(r->skipped);
}

/* Values by step. */
static gen_status save(run *r, int64_t step, double metric)
{
    for (int i = 0; i < 5; i++)
        r->w[i] = (float)step + 0.1f * (float)i;
    r->position = step * 1000 - 7;
    return gen_checkpoint_save(r->c, r->saved, step, metric, "{\"history\":[1,2]}");
}

static gen_status load(run *r)
{
    gen_free(r->state);
    gen_free(r->skipped);
    memset(r->w, 0, 5 * sizeof *r->w);
    return gen_checkpoint_load(r->c, r->saved, &r->step, &r->state, &r->skipped);
}

static void expect_loaded(run *r, int64_t step, const char *skipped)
{
    if (load(r) != GEN_OK)
        fail_msg("%s", gen_last_error());
    assert_string_equal(r->skipped, skipped);
    assert_int_equal(r->step, step);
    for (int i = 0; i < 5; i++)
        assert_true(r->w[i] == (float)step + 0.1f * (float)i);
    assert_int_equal(r->position, step * 1000 - 7);
    assert_string_equal(r->state, "{\"history\":[1,2]}");
}

static const char *in(const char *folder, const char *name)
{
    static char path[4][600];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/checkpoints/%s", folder, name);
    return p;
}

static bool there(const char *folder, const char *name)
{
    return access(in(folder, name), F_OK) == 0;
}

static int entries(const char *path)
{
    DIR *d = opendir(path);
    int n = 0;
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void expect_latest(const char *folder, const char *expected)
{
    char *latest;
    uint64_t n;
    assert_int_equal(gen_file_read(in(folder, "LATEST"), 100, &latest, &n), GEN_OK);
    assert_string_equal(latest, expected);
    gen_free(latest);
}

static void what_was_saved_is_loaded(void **state)
{
    (void)state;
    run r;
    char folder[512], command[700];
    strcpy(folder, toy_path("whole"));
    open_run(&r, folder, CONFIG, 0);
    assert_int_equal(gen_checkpoints_newest(r.c), -1);
    assert_int_equal(load(&r), GEN_OK);
    assert_true(r.step == -1 && !r.state && !*r.skipped);
    assert_int_equal(save(&r, 10, NAN), GEN_OK);
    assert_int_equal(save(&r, 20, NAN), GEN_OK);
    assert_int_equal(save(&r, 20, NAN), GEN_OK); /* again */
    assert_int_equal(gen_checkpoints_newest(r.c), 20);
    assert_int_equal(gen_checkpoints_best(r.c), -1);
    expect_loaded(&r, 20, "");
    close_run(&r);
    open_run(&r, folder, CONFIG, 0);
    expect_loaded(&r, 20, "");
    close_run(&r);
    expect_latest(folder, "step-00000020\n");
    assert_int_equal(entries(in(folder, "")), 3);
    assert_int_equal(entries(in(folder, "step-00000020")), 4);
    snprintf(command, sizeof command, "cd '%s' && sha256sum --status -c SHA256SUMS",
             in(folder, "step-00000020"));
    assert_int_equal(system(command), 0);
}

/* Masters, moments, average and count come back; bf16 copies follow the masters, sums are empty. */
static void an_optimiser_is_restored(void **state)
{
    (void)state;
    const gen_adam_options options = { .beta1 = 0.5, .average = 0.9, .bf16 = 1 };
    const float g[5] = { 1, -2, 3, 0.5f, 0.25f };
    float after[2][5], average[2][5];
    gen_backend *backend;
    gen_optimiser *adam;
    run r;
    open_run(&r, toy_path("optimiser"), CONFIG, 0);
    assert_int_equal(gen_backend_open(&backend, "cpu", 1), GEN_OK);
    assert_int_equal(gen_optimiser_create(&adam, r.params, NULL, 0, &options, backend), GEN_OK);
    assert_int_equal(gen_saved_optimiser(r.saved, "adam", adam), GEN_OK);
    for (int i = 0; i < 4; i++) {
        if (i == 2)
            assert_int_equal(gen_checkpoint_save(r.c, r.saved, 2, NAN, "{}"), GEN_OK);
        gen_optimiser_add(adam, (const float *[]){ g });
        assert_int_equal(gen_optimiser_step(adam, 0.1), GEN_OK);
    }
    for (int turn = 0; turn < 2; turn++) {
        gen_optimiser_add(adam, (const float *[]){ g });
        assert_int_equal(load(&r), GEN_OK);
        assert_int_equal(gen_optimiser_steps(adam), 2);
        assert_int_equal(gen_optimiser_step(adam, 0.1), GEN_EINVAL);
        const uint16_t *half = gen_optimiser_bf16(adam, 0).data;
        for (int i = 0; i < 5; i++)
            assert_int_equal(half[i], gen_f32_to_bf16(r.w[i]));
        gen_optimiser_add(adam, (const float *[]){ g });
        assert_int_equal(gen_optimiser_step(adam, 0.1), GEN_OK);
        memcpy(after[turn], r.w, sizeof after[0]);
        memcpy(average[turn], gen_optimiser_average(adam, 0).data, sizeof average[0]);
    }
    assert_memory_equal(after[0], after[1], sizeof after[0]);
    assert_memory_equal(average[0], average[1], sizeof average[0]);
    gen_optimiser_free(&adam);
    gen_backend_close(&backend);
    close_run(&r);
}

static void the_newest_and_the_best_are_kept(void **state)
{
    (void)state;
    static const double metric[] = { 5, 1, 3, NAN, 2, 7 };
    run r;
    char folder[512];
    strcpy(folder, toy_path("keep"));
    open_run(&r, folder, CONFIG, 2);
    for (int i = 0; i < 6; i++)
        assert_int_equal(save(&r, 10 * (i + 1), metric[i]), GEN_OK);
    assert_int_equal(gen_checkpoints_best(r.c), 20);
    assert_int_equal(entries(in(folder, "")), 4); /* 20, 50, 60, LATEST */
    assert_true(there(folder, "step-00000020") && there(folder, "step-00000050"));
    close_run(&r);
    open_run(&r, folder, CONFIG, 2);
    assert_int_equal(gen_checkpoints_best(r.c), 20);
    assert_int_equal(save(&r, 70, 0.5), GEN_OK);
    assert_false(there(folder, "step-00000020"));
    assert_int_equal(save(&r, 65, NAN), GEN_EEXIST);
    assert_non_null(strstr(gen_last_error(), "has step 70, later than the step 65 to be saved"));
    close_run(&r);
}

/* ---- damage ---------------------------------------------------------------------------------- */

static void cut_tensors(const char *folder)
{
    assert_int_equal(truncate(in(folder, "step-00000030/tensors.safetensors"), 50), 0);
}

static void lose_state(const char *folder)
{
    assert_int_equal(unlink(in(folder, "step-00000030/state.json")), 0);
}

static void flip_bit(const char *folder)
{
    FILE *f = fopen(in(folder, "step-00000030/tensors.safetensors"), "r+b");
    assert_int_equal(fseek(f, -3, SEEK_END), 0);
    int c = fgetc(f);
    assert_int_equal(fseek(f, -3, SEEK_END), 0);
    fputc(c ^ 16, f);
    fclose(f);
}

static void lose_sums(const char *folder)
{
    assert_int_equal(unlink(in(folder, "step-00000030/SHA256SUMS")), 0);
}

static void garble_about(const char *folder)
{
    assert_int_equal(truncate(in(folder, "step-00000030/checkpoint.json"), 9), 0);
}

static void empty_folder(const char *folder)
{
    char command[700];
    snprintf(command, sizeof command, "rm -f '%s'/*", in(folder, "step-00000030"));
    assert_int_equal(system(command), 0);
}

static void damage_is_passed_over(void **state)
{
    (void)state;
    static const struct {
        void (*damage)(const char *folder);
        const char *said;
    } cases[] = {
        { cut_tensors, "its files do not have the digests in SHA256SUMS" },
        { flip_bit, "its files do not have the digests in SHA256SUMS" },
        { lose_state, "state.json is missing" },
        { lose_sums, "SHA256SUMS is missing or too long" },
        { garble_about, "checkpoint.json: " },
        { empty_folder, "checkpoint.json cannot be read" },
    };
    for (int i = 0; i < GEN_LEN(cases); i++) {
        run r;
        char folder[512];
        snprintf(folder, sizeof folder, "%s-%d", toy_path("damage"), i);
        open_run(&r, folder, CONFIG, 2);
        for (int k = 1; k <= 3; k++)
            assert_int_equal(save(&r, 10 * k, NAN), GEN_OK);
        close_run(&r);
        cases[i].damage(folder);
        open_run(&r, folder, CONFIG, 2);
        assert_int_equal(load(&r), GEN_OK);
        if (strncmp(r.skipped, "step-00000030: ", 15) || !strstr(r.skipped, cases[i].said))
            fail_msg("case %d: '%s'", i, r.skipped);
        assert_int_equal(r.step, 20);
        assert_true(r.w[4] == 20.4f);
        assert_int_equal(save(&r, 25, NAN), GEN_OK); /* goes on from 20; the damaged one goes */
        assert_false(there(folder, "step-00000030"));
        assert_true(there(folder, "step-00000020"));
        close_run(&r);
    }
}

static void other_runs_are_left_alone(void **state)
{
    (void)state;
    run r;
    char folder[512];
    float more[2] = { 0 };
    strcpy(folder, toy_path("other"));
    open_run(&r, folder, CONFIG, 2);
    assert_int_equal(save(&r, 10, NAN), GEN_OK);
    close_run(&r);
    open_run(&r, folder, "{\"width\":6}", 2);
    assert_int_equal(gen_checkpoints_newest(r.c), -1);
    assert_int_equal(load(&r), GEN_EMODEL);
    assert_non_null(strstr(gen_last_error(), "no checkpoint can be used: step-00000010: its "
                                             "configuration is another one"));
    assert_int_equal(save(&r, 10, NAN), GEN_EEXIST);
    assert_true(there(folder, "step-00000010"));
    close_run(&r);
    open_run(&r, folder, CONFIG, 2);
    assert_int_equal(gen_saved_tensor(r.saved, "more", (gen_tensor){ GEN_F32, GEN_SHAPE(2), more }),
                     GEN_OK);
    assert_int_equal(load(&r), GEN_EMODEL);
    assert_non_null(strstr(gen_last_error(), "step-00000010: has no tensor 'more'"));
    close_run(&r);
    open_run(&r, folder, CONFIG, 2);
    expect_loaded(&r, 10, "");
    close_run(&r);
}

static void leftovers_of_a_killed_process(void **state)
{
    (void)state;
    run r;
    char folder[512];
    strcpy(folder, toy_path("leftovers"));
    open_run(&r, folder, CONFIG, 2);
    assert_int_equal(save(&r, 10, NAN), GEN_OK);
    assert_int_equal(save(&r, 20, NAN), GEN_OK);
    close_run(&r);
    /* Whole but for its rename; cut in the writing; cut in the removing. */
    assert_int_equal(rename(in(folder, "step-00000020"), in(folder, "step-00000020.writing")), 0);
    assert_int_equal(mkdir(in(folder, "step-00000030.writing"), 0777), 0);
    toy_write(in(folder, "step-00000030.writing/state.json"), "{}", 2);
    assert_int_equal(mkdir(in(folder, "step-00000005.removing"), 0777), 0);
    toy_write(in(folder, "step-00000005.removing/state.json"), "{}", 2);
    toy_write(in(folder, "LATEST"), "step-00000010\n", 14); /* killed before it was written */
    open_run(&r, folder, CONFIG, 2);
    expect_loaded(&r, 20, "");
    expect_latest(folder, "step-00000020\n");
    assert_int_equal(entries(in(folder, "")), 3);
    close_run(&r);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void a_second_run_is_refused(void **state)
{
    (void)state;
    run r;
    gen_checkpoints *second;
    char folder[512], expected[40];
    strcpy(folder, toy_path("lock"));
    open_run(&r, folder, CONFIG, 2);
    assert_int_equal(gen_checkpoints_open(&second, folder, CONFIG, 2), GEN_EIO);
    snprintf(expected, sizeof expected, "/lock': process %ld since ", (long)getpid());
    assert_non_null(strstr(gen_last_error(), expected));
    assert_null(second);
    close_run(&r);
    open_run(&r, folder, CONFIG, 2);
    close_run(&r);
}

static void bad_input(void **state)
{
    (void)state;
    run r;
    gen_checkpoints *c;
    uint16_t half[2];
    assert_int_equal(gen_checkpoints_open(&c, toy_path("bad"), "width 5", 0), GEN_EINVAL);
    assert_int_equal(gen_checkpoints_open(&c, toy_path("bad"), CONFIG, -1), GEN_EINVAL);
    assert_int_equal(gen_checkpoints_open(&c, toy_path("no/such"), CONFIG, 0), GEN_EIO);
    open_run(&r, toy_path("bad"), CONFIG, 0);
    assert_int_equal(gen_checkpoint_save(r.c, r.saved, 1, NAN, "[1,"), GEN_EINVAL);
    assert_int_equal(gen_checkpoint_save(r.c, r.saved, -1, NAN, "{}"), GEN_EINVAL);
    assert_int_equal(gen_saved_params(r.saved, "model", r.params), GEN_EINVAL);
    assert_string_equal(gen_last_error(), "checkpoint: 'model/w' is named twice");
    gen_tensor t = { GEN_BF16, GEN_SHAPE(2), half };
    assert_int_equal(gen_saved_tensor(r.saved, "half", t), GEN_EINVAL);
    close_run(&r);
}

static void a_full_disk_is_survived(void **state)
{
    (void)state;
    run r;
    char folder[512];
    struct rlimit before, small;
    float *big;
    const gen_shape shape = GEN_SHAPE(100000);
    strcpy(folder, toy_path("full"));
    open_run(&r, folder, CONFIG, INT64_C(1) << 40);
    assert_int_equal(gen_params_add(r.params, "z", shape, true, &big), GEN_OK);
    assert_int_equal(gen_saved_tensor(r.saved, "z", gen_params_get(r.params, "z")), GEN_OK);
    assert_int_equal(gen_checkpoints_space(r.c, r.saved, 0), GEN_ENOMEM);
    assert_non_null(strstr(gen_last_error(), " checkpoints of 0.5 MB take "));
    close_run(&r);
    open_run(&r, folder, CONFIG, 2);
    assert_int_equal(gen_checkpoints_space(r.c, r.saved, 1000), GEN_OK);
    assert_int_equal(gen_params_add(r.params, "z", shape, true, &big), GEN_OK);
    assert_int_equal(gen_saved_tensor(r.saved, "z", gen_params_get(r.params, "z")), GEN_OK);
    assert_int_equal(save(&r, 10, NAN), GEN_OK);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    for (rlim_t most = 0; most < 400000; most += 70001) { /* none of these hold z */
        small = (struct rlimit){ most, before.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        assert_int_equal(save(&r, 20, NAN), GEN_ENOMEM);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(entries(in(folder, "")), 2);
        expect_loaded(&r, 10, "");
    }
    assert_int_equal(save(&r, 20, NAN), GEN_OK);
    expect_loaded(&r, 20, "");
    close_run(&r);
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    char folder[512];
    int failed = 0, last = 20;
    strcpy(folder, toy_path("memory"));
    for (int n = 1; n < last + 20; n++) { /* some failures cost durability only */
        run r;
        prepare(&r);
        uint64_t before = gen_alloc_bytes();
        gen_alloc_fail_at((uint64_t)n);
        gen_status status = gen_checkpoints_open(&r.c, folder, CONFIG, 0);
        if (status == GEN_OK)
            status = save(&r, 10, NAN);
        if (status == GEN_OK)
            status = load(&r);
        gen_alloc_fail_at(0);
        if (status != GEN_OK && status != GEN_ENOMEM)
            fail_msg("allocation %d: %s", n, gen_last_error());
        gen_checkpoints_close(&r.c);
        if (status != GEN_OK)
            assert_int_equal(gen_alloc_bytes(), before);
        last = status != GEN_OK ? n : last;
        failed += status != GEN_OK;
        close_run(&r);
    }
    assert_in_range(failed, 25, 200);
}

/* ---- a training that is killed --------------------------------------------------------------- */

#define STEPS 240
#define SIDE 6
#define BATCH 4

typedef struct training {
    gen_graph *g;
    gen_net net;
    gen_backend *backend;
    gen_params *params;
    gen_plan *plan;
    gen_optimiser *adam;
    gen_pending *states;
    gen_saved *saved;
    gen_checkpoints *c;
    gen_guard guard;
    int n_trained, n_statistics;
    int64_t sample; /* loader: batches drawn so far */
    float loss[STEPS];
} training;

static void must(gen_status status)
{
    if (status != GEN_OK) {
        fprintf(stderr, "training: %s\n", gen_last_error());
        _exit(3);
    }
}

/* Spectral norm, batch norm; outputs: loss, gradients, statistics. */
static void build(training *t)
{
    const gen_layer_attr sn = { .sn = GEN_SN_TORCH }, last = { .kernel = 1 };
    gen_node *out[40], *trained[16], *gradient[16];
    const char *names[16];
    must(gen_graph_create(&t->g));
    t->net = (gen_net){ .g = t->g, .training = true };
    gen_node *x = gen_input(t->g, "x", GEN_F32, GEN_SHAPE(BATCH, SIDE, SIDE, 3));
    gen_node *y = gen_input(t->g, "y", GEN_F32, GEN_SHAPE(BATCH, SIDE, SIDE, 2));
    gen_node *h = gen_conv_layer(&t->net, "body", x, 8, &sn);
    h = gen_relu(t->g, gen_norm_layer(&t->net, "norm", h, NULL));
    h = gen_conv_layer(&t->net, "last", h, 2, &last);
    gen_node *loss = gen_mean(t->g, gen_square(t->g, gen_sub(t->g, h, y)), 15);
    must(gen_graph_status(t->g));
    must(gen_params_create(&t->params));
    must(gen_params_init(t->params, t->g, 4));
    for (int i = 0; i < gen_params_count(t->params); i++) {
        bool is_trained;
        const char *name;
        (void)gen_params_at(t->params, i, &name, &is_trained);
        for (int k = 0; is_trained && k < gen_graph_params(t->g); k++)
            if (!strcmp(gen_node_name(gen_graph_param(t->g, k)), name)) {
                names[t->n_trained] = name;
                trained[t->n_trained++] = gen_graph_param(t->g, k);
            }
    }
    gen_grad(t->g, loss, NULL, trained, t->n_trained, gradient);
    out[0] = loss;
    for (int i = 0; i < t->n_trained; i++)
        out[1 + i] = gradient[i];
    t->n_statistics = gen_net_statistics(&t->net, out + 1 + t->n_trained);
    must(gen_backend_open(&t->backend, "cpu", 2));
    must(gen_plan_create(&t->plan, t->g, out, 1 + t->n_trained + t->n_statistics, t->params,
                         t->backend, &(gen_plan_options){ .params_vary = 1 }));
    must(gen_optimiser_create(&t->adam, t->params, names, t->n_trained,
                              &(gen_adam_options){ .beta1 = 0.5, .average = 0.95 }, t->backend));
    must(gen_pending_create(&t->states, t->params, &t->net, t->backend));
    must(gen_saved_create(&t->saved));
    must(gen_saved_params(t->saved, "model", t->params));
    must(gen_saved_optimiser(t->saved, "adam", t->adam));
    must(gen_saved_counter(t->saved, "sample", &t->sample));
    must(gen_saved_counter(t->saved, "guard/bad", &t->guard.bad));
}

static gen_status micro_batch(training *t, float *loss)
{
    const float *gradient[16], *statistic[16];
    gen_tensor x = gen_plan_input(t->plan, "x"), y = gen_plan_input(t->plan, "y");
    int64_t nx = gen_shape_count(x.shape), ny = gen_shape_count(y.shape);
    uint64_t turn = (uint64_t)t->sample++;
    gen_random_normal(x.data, nx, 8, 1, turn * (uint64_t)nx);
    gen_random_normal(y.data, ny, 8, 2, turn * (uint64_t)ny);
    if (turn % 37 == 30) /* a bad sample now and then: its step is skipped */
        ((float *)x.data)[5] = NAN;
    must(gen_plan_run(t->plan, NULL));
    for (int i = 0; i < t->n_trained; i++)
        gradient[i] = gen_plan_output(t->plan, 1 + i).data;
    for (int i = 0; i < t->n_statistics; i++)
        statistic[i] = gen_plan_output(t->plan, 1 + t->n_trained + i).data;
    gen_optimiser_add(t->adam, gradient);
    gen_pending_add(t->states, statistic);
    gen_tensor found = gen_plan_output(t->plan, 0);
    *loss += 0.5f * *(float *)found.data;
    return gen_look_at(&(gen_look){ .step = 0 }, "loss", found);
}

/* One logical step of two micro-batches; tried again with the next ones where it is skipped. */
static void one_step(training *t, int64_t step)
{
    const gen_schedule schedule = {
        .kind = GEN_SCHEDULE_COSINE, .rate = 0.01, .warmup = 20, .steps = STEPS
    };
    const gen_look look = { .step = step };
    for (;;) {
        gen_verdict verdict;
        float loss = 0;
        gen_status a = micro_batch(t, &loss), b = micro_batch(t, &loss);
        gen_status looked = a ? a : b ? b : gen_optimiser_look(t->adam, &look);
        looked = looked ? looked : gen_pending_look(t->states, &look);
        must(gen_guard_judge(&t->guard, looked, &verdict));
        if (verdict == GEN_COMMIT) {
            must(gen_optimiser_step(t->adam, gen_schedule_rate(&schedule, step)));
            gen_pending_commit(t->states);
            t->loss[step] = loss;
            return;
        }
        gen_optimiser_discard(t->adam);
        gen_pending_discard(t->states);
    }
}

static void save_training(training *t, int64_t step)
{
    gen_json_writer w = { 0 };
    char *text;
    gen_json_open(&w, NULL, '[');
    for (int64_t i = 0; i < step; i++)
        gen_json_put_real(&w, NULL, (double)t->loss[i]); /* shortest that reads back the same */
    gen_json_close(&w, ']');
    must(gen_json_finish(&w, &text));
    must(gen_checkpoint_save(t->c, t->saved, step, (double)t->loss[step - 1], text));
    gen_free(text);
}

static int64_t resume(training *t)
{
    char *text, *skipped;
    int64_t step;
    gen_json *json;
    must(gen_checkpoint_load(t->c, t->saved, &step, &text, &skipped));
    if (*skipped) {
        fprintf(stderr, "training: skipped %s\n", skipped); /* a kill damages nothing */
        _exit(4);
    }
    if (step < 0)
        return 0;
    must(gen_json_parse(&json, text, strlen(text), 1 << 20));
    const gen_json *v = gen_json_first(json);
    for (int64_t i = 0; i < step; i++, v = gen_json_next(v)) {
        double loss;
        must(gen_json_real(v, NULL, &loss));
        t->loss[i] = (float)loss;
    }
    return step;
}

/* In a process of its own. Leaves RUN/end: losses, and every tensor. */
static void train(const char *folder)
{
    static training t;
    char path[700];
    gen_output out;
    t.guard.policy = GEN_ON_NAN_SKIP;
    build(&t);
    must(gen_checkpoints_open(&t.c, folder, "{\"steps\":240}", 2));
    for (int64_t step = resume(&t); step < STEPS; step++) {
        one_step(&t, step);
        if ((step + 1) % 6 == 0)
            save_training(&t, step + 1);
    }
    snprintf(path, sizeof path, "%s/end", folder);
    must(gen_output_open(&out, path, true, false));
    fwrite(t.loss, sizeof t.loss, 1, out.file);
    for (int i = 0; i < gen_params_count(t.params); i++) {
        gen_tensor v = gen_params_at(t.params, i, NULL, NULL);
        fwrite(v.data, gen_tensor_bytes(&v), 1, out.file);
    }
    for (int i = 0; i < t.n_trained; i++) {
        gen_tensor v = gen_optimiser_average(t.adam, i);
        fwrite(v.data, gen_tensor_bytes(&v), 1, out.file);
    }
    fwrite(&t.guard.bad, sizeof t.guard.bad, 1, out.file);
    must(gen_output_commit(&out));
    _exit(0);
}

static pid_t start(const char *folder)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        train(folder);
    return child;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void sleep_for(double s)
{
    nanosleep(&(struct timespec){ (time_t)s, (long)((s - floor(s)) * 1e9) }, NULL);
}

/* True where it ended by itself, before `after` seconds. */
static bool ended(pid_t child, double after)
{
    int status;
    for (double left = after; left > 0; left -= 0.002) {
        pid_t done = waitpid(child, &status, WNOHANG);
        if (done == child) {
            if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                fail_msg("the training ended with status %d", status);
            return true;
        }
        sleep_for(left < 0.002 ? left : 0.002);
    }
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    return false;
}

static void expect_same_end(const char *a, const char *b)
{
    char path[2][700];
    size_t n[2];
    snprintf(path[0], sizeof path[0], "%s/end", a);
    snprintf(path[1], sizeof path[1], "%s/end", b);
    char *x = toy_read(path[0], &n[0]), *y = toy_read(path[1], &n[1]);
    assert_int_equal(n[0], n[1]);
    assert_memory_equal(x, y, n[0]);
    free(x);
    free(y);
}

/* GEN_KILL_SECONDS=600 for longer. */
static void killed_again_and_again(void **state)
{
    (void)state;
    const char *asked = getenv("GEN_KILL_SECONDS");
    double budget = asked ? atof(asked) : 20, from = seconds();
    char whole[512], folder[512];
    int kills = 0, runs = 0;
    strcpy(whole, toy_path("unbroken"));
    assert_true(ended(start(whole), 1e6));
    double length = seconds() - from;
    for (uint64_t turn = 0; seconds() - from < budget || runs == 0; runs++) {
        snprintf(folder, sizeof folder, "%s-%d", toy_path("killed"), runs);
        for (bool done = false; !done; turn++) {
            float u; /* of the length of the whole: many lives end before their first save */
            gen_random_uniform(&u, 1, (uint64_t)getpid(), 1, turn);
            bool let = seconds() - from > budget && kills > 0;
            done = ended(start(folder), let ? 1e6 : 0.4 * length * (double)u);
            kills += !done;
        }
        expect_same_end(whole, folder);
    }
    print_message("%d kills in %d trainings of %.2f s\n", kills, runs, length);
    assert_true(kills > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_again_and_again), /* first: forks before there are threads */
        cmocka_unit_test(what_was_saved_is_loaded),
        cmocka_unit_test(an_optimiser_is_restored),
        cmocka_unit_test(the_newest_and_the_best_are_kept),
        cmocka_unit_test(damage_is_passed_over),
        cmocka_unit_test(other_runs_are_left_alone),
        cmocka_unit_test(leftovers_of_a_killed_process),
        cmocka_unit_test(a_second_run_is_refused),
        cmocka_unit_test(bad_input),
        cmocka_unit_test(a_full_disk_is_survived),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("checkpoint", tests, NULL, remove_folders);
}
