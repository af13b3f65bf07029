/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop of a training: turns, a look at the clock, checkpoints, the log. What is trained, and on
 * what, is the caller's.
 *
 * The number of a turn only ever grows, also where a step is skipped or the run goes back to a
 * checkpoint: the data that made a step fail are not met again.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libgen/model.h>
#include <libgen/train.h>

#include "libgen/base/alloc.h"
#include "libgen/base/file.h"
#include "libgen/base/json.h"
#include "libgen/train/run_folder.h"

#define LINE_SECONDS 1.0 /* between lines of the log */
#define SAVE_SECONDS 300.0
#define MOST_STATE 4096

/* Means of what turns said since the last line. */
typedef struct means {
    gen_say say[GEN_MAX_SAY];
    int64_t count[GEN_MAX_SAY];
    int n;
    int64_t turns;
    double since; /* clock */
} means;

typedef struct loop {
    const gen_training_options *o;
    gen_checkpoints *checkpoints;
    gen_saved *saved;
    gen_guard guard;
    int log;
    int64_t turn;                     /* the next one's number */
    double started, saved_at, before; /* clock; seconds of earlier processes */
    gen_training_state state;
    means now;
    gen_say shown[GEN_MAX_SAY];
    bool unsaved;   /* the last attempt to save failed */
    bool unwritten; /* what the last validation wrote is not there */
    bool lost;      /* going back has failed: what there is, is of no step */
} loop;

static double clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the log --------------------------------------------------------------------------------- */

static void begin_line(const loop *l, gen_json_writer *w, const char *kind)
{
    gen_json_open(w, NULL, '{');
    gen_json_put_string(w, "kind", kind);
    gen_json_put_int(w, "step", l->state.step);
    gen_json_put_real(w, "seconds", l->before + l->state.seconds);
}

/* A whole line or, where there is no room for it, none: that does not end a run. */
static gen_status append(const loop *l, const char *text, const char *more)
{
    char *line;
    size_t size = strlen(text) + strlen(more) + 1;
    off_t before = lseek(l->log, 0, SEEK_END);
    GEN_TRY(GEN_ALLOC(&line, size + 1, "a line of the log"));
    snprintf(line, size + 1, "%s%s\n", text, more);
    errno = ENOSPC; /* of a write that is cut */
    if (write(l->log, line, size) != (ssize_t)size) {
        gen_log(GEN_LOG_WARN, "%s/log.jsonl: cannot be written: %s", l->o->run, strerror(errno));
        if (before < 0 || ftruncate(l->log, before) != 0)
            gen_log(GEN_LOG_WARN, "%s/log.jsonl: has half a line", l->o->run);
    }
    gen_free(line);
    return GEN_OK;
}

static gen_status end_line_with(loop *l, gen_json_writer *w, const char *more)
{
    char *text;
    gen_json_close(w, '}');
    GEN_TRY(gen_json_finish(w, &text));
    if (more && more[0] == '{' && more[1] != '}') /* the members of another object behind ours */
        text[strlen(text) - 1] = ',';
    else
        more = "{";
    gen_status status = append(l, text, more + 1);
    gen_free(text);
    return status;
}

static gen_status end_line(loop *l, gen_json_writer *w)
{
    return end_line_with(l, w, NULL);
}

static gen_status log_event(loop *l, const char *what, const char *text)
{
    gen_json_writer w = { 0 };
    begin_line(l, &w, "event");
    gen_json_put_string(&w, "what", what);
    gen_json_put_string(&w, "text", text);
    return end_line(l, &w);
}

static gen_status log_start(loop *l, bool resumed)
{
    gen_json_writer w = { 0 };
    char text[32] = "";
    time_t now = time(NULL);
    struct tm t;
    if (gmtime_r(&now, &t))
        (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &t);
    begin_line(l, &w, "start");
    gen_json_put_string(&w, "time", text);
    gen_json_put_bool(&w, "resumed", resumed);
    return end_line(l, &w);
}

/* Groups are written one after the other, in order of their first number. */
static void put_say(gen_json_writer *w, const gen_say *say, int n)
{
    for (int i = 0; i < n; i++) {
        bool first = true;
        for (int k = 0; k < i; k++)
            first &= strcmp(say[k].group, say[i].group) != 0;
        if (!first)
            continue;
        gen_json_open(w, say[i].group, '{');
        for (int k = i; k < n; k++)
            if (!strcmp(say[k].group, say[i].group))
                gen_json_put_real(w, say[k].name, say[k].value);
        gen_json_close(w, '}');
    }
}

static gen_status open_log(loop *l)
{
    char path[4200], last;
    if (snprintf(path, sizeof path, "%s/log.jsonl", l->o->run) >= (int)sizeof path)
        return gen_fail(GEN_EINVAL, "the name of the folder is too long");
    l->log = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (l->log < 0)
        return gen_fail(GEN_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    off_t end = lseek(l->log, 0, SEEK_END);
    if (end > 0 && pread(l->log, &last, 1, end - 1) == 1 && last != '\n')
        GEN_TRY(append(l, "", "")); /* a kill cut the last line */
    return GEN_OK;
}

/* ---- means ----------------------------------------------------------------------------------- */

static void add_to_means(means *m, const gen_say *say, int n)
{
    m->turns++;
    for (int i = 0; i < n; i++) {
        int k = 0;
        while (k < m->n &&
               (strcmp(m->say[k].name, say[i].name) || strcmp(m->say[k].group, say[i].group)))
            k++;
        if (k == GEN_MAX_SAY)
            continue;
        if (k == m->n) {
            m->say[m->n] = (gen_say){ say[i].group, say[i].name, 0 };
            m->count[m->n++] = 0;
        }
        if (isfinite(say[i].value)) {
            m->say[k].value += say[i].value;
            m->count[k]++;
        }
    }
}

/* What was said becomes what is shown; a line for it. */
static gen_status end_means(loop *l, double now)
{
    means *m = &l->now;
    gen_json_writer w = { 0 };
    if (!m->turns)
        return GEN_OK;
    l->state.step_seconds = (now - m->since) / (double)m->turns;
    l->state.n = m->n;
    for (int i = 0; i < m->n; i++) {
        double mean = m->count[i] ? m->say[i].value / (double)m->count[i] : (double)NAN;
        l->shown[i] = (gen_say){ m->say[i].group, m->say[i].name, mean };
    }
    begin_line(l, &w, "step");
    gen_json_put_real(&w, "step_seconds", l->state.step_seconds);
    put_say(&w, l->shown, l->state.n);
    *m = (means){ .since = now };
    return end_line(l, &w);
}

static void show(loop *l, const char *doing)
{
    l->state.doing = doing;
    l->state.bad = l->guard.bad;
    l->state.say = l->shown;
    if (l->o->watch)
        l->o->watch(l->o->cookie, &l->state);
}

/* ---- checkpoints ----------------------------------------------------------------------------- */

static gen_status collect(loop *l)
{
    char name[64];
    GEN_TRY(gen_saved_create(&l->saved));
    GEN_TRY(gen_saved_params(l->saved, "params", l->o->params));
    for (int i = 0; i < l->o->n_phases; i++) {
        snprintf(name, sizeof name, "adam%d", i);
        GEN_TRY(gen_saved_optimiser(l->saved, name, gen_phase_optimiser(l->o->phases[i])));
    }
    GEN_TRY(gen_saved_counter(l->saved, "turn", &l->turn));
    return gen_saved_counter(l->saved, "bad", &l->guard.bad);
}

/* Want of room is survived: the next attempt may find some. */
static gen_status survive(loop *l, gen_status failure)
{
    if (failure != GEN_ENOMEM && failure != GEN_EIO)
        return failure;
    gen_log(GEN_LOG_WARN, "%s; the run goes on and tries again", gen_last_error());
    return log_event(l, "unsaved", gen_last_error());
}

static gen_status save(loop *l, double metric)
{
    char *text;
    gen_json_writer w = { 0 };
    show(l, "save");
    gen_json_open(&w, NULL, '{');
    gen_json_put_real(&w, "seconds", l->before + l->state.seconds);
    gen_json_put_real(&w, "metric", l->state.metric);
    gen_json_put_real(&w, "best", l->state.best);
    gen_json_close(&w, '}');
    GEN_TRY(gen_json_finish(&w, &text));
    gen_status status = gen_checkpoint_save(l->checkpoints, l->saved, l->state.step, metric, text);
    gen_free(text);
    l->saved_at = clock_now();
    l->unsaved = status != GEN_OK;
    if (status != GEN_OK)
        return survive(l, status);
    gen_guard_saved(&l->guard);
    return GEN_OK;
}

static double real_or_nan(const gen_json *json, const char *key)
{
    double v;
    const gen_json *item = gen_json_get(json, key);
    bool there = item && gen_json_kind_of(item) == GEN_JSON_NUMBER;
    return there && gen_json_real(json, key, &v) == GEN_OK ? v : (double)NAN;
}

static gen_status read_state(loop *l, const char *text)
{
    gen_json *json;
    GEN_TRY(gen_json_parse(&json, text, strlen(text), MOST_STATE));
    double seconds = real_or_nan(json, "seconds");
    l->before = isfinite(seconds) ? seconds - l->state.seconds : 0;
    l->state.metric = real_or_nan(json, "metric");
    l->state.best = real_or_nan(json, "best");
    gen_json_free(&json);
    return GEN_OK;
}

/* *found: there was one. Its turn and count of bad steps are taken up by the caller. */
static gen_status load(loop *l, bool *found)
{
    char *text = NULL, *skipped = NULL;
    int64_t step;
    gen_status status = gen_checkpoint_load(l->checkpoints, l->saved, &step, &text, &skipped);
    *found = status == GEN_OK && step >= 0;
    if (*found) {
        l->state.step = step;
        status = read_state(l, text);
    }
    if (status == GEN_OK && skipped && *skipped) {
        gen_log(GEN_LOG_WARN, "%s: passed over %s", l->o->run, skipped);
        status = log_event(l, "passed over", skipped);
    }
    gen_text_free(text);
    gen_text_free(skipped);
    return status;
}

static gen_status go_back(loop *l)
{
    char text[120];
    int64_t turn = l->turn, bad = l->guard.bad, from = l->state.step;
    double before = l->before;
    bool found;
    l->lost = true;
    GEN_TRY(load(l, &found));
    l->lost = !found;
    if (!found)
        return gen_fail(GEN_ENUMERIC, "%s: there is no checkpoint to go back to", l->o->run);
    l->turn = turn;
    l->guard.bad = bad;
    l->before = before;
    l->now = (means){ .since = clock_now() };
    snprintf(text, sizeof text, "back from step %lld to step %lld", (long long)from,
             (long long)l->state.step);
    return log_event(l, "rollback", text);
}

/* ---- turns ----------------------------------------------------------------------------------- */

static gen_status validate(loop *l, double *metric)
{
    char *json = NULL;
    gen_json_writer w = { 0 };
    *metric = (double)NAN;
    if (!l->o->validate)
        return GEN_OK;
    GEN_TRY(end_means(l, clock_now()));
    show(l, "validate");
    gen_status status = l->o->validate(l->o->cookie, l->state.step, l->state.best, metric, &json);
    l->now.since = clock_now();
    l->state.seconds = l->now.since - l->started;
    l->unwritten = status != GEN_OK;
    status = status == GEN_OK ? GEN_OK : survive(l, status);
    if (status == GEN_OK) {
        l->state.metric = *metric;
        if (isfinite(*metric) && !(l->state.best <= *metric) && !l->unwritten)
            l->state.best = *metric;
        begin_line(l, &w, "validation");
        gen_json_put_real(&w, "metric", *metric);
        status = end_line_with(l, &w, json);
    }
    gen_free(json);
    return status;
}

static gen_status take_turn(loop *l)
{
    gen_say say[GEN_MAX_SAY];
    gen_verdict verdict = GEN_COMMIT;
    int n = 0;
    gen_status status =
        l->o->turn(l->o->cookie, &l->guard, l->turn, l->state.step, say, &n, &verdict);
    l->turn++;
    if (status != GEN_OK) {
        (void)log_event(l, "failed", gen_last_error());
        return status;
    }
    if (verdict != GEN_COMMIT) {
        GEN_TRY(log_event(l, "skip", gen_last_error()));
        return verdict == GEN_ROLLBACK ? go_back(l) : GEN_OK;
    }
    l->state.step++;
    add_to_means(&l->now, say, n);
    return GEN_OK;
}

static bool canceled(const loop *l)
{
    const gen_progress *p = &l->o->cancel;
    double total = l->o->steps ? (double)l->o->steps : 0;
    return p->fn && p->fn(p->cookie, "steps", (double)l->state.step, total) != 0;
}

static bool finished(const loop *l)
{
    return (l->o->steps && l->state.step >= l->o->steps) ||
           (l->o->seconds > 0 && l->state.seconds >= l->o->seconds);
}

static bool is_saved(const loop *l)
{
    return !l->unsaved && gen_checkpoints_newest(l->checkpoints) == l->state.step;
}

/* A step that is saved already is not saved again: else a run that goes back to it time and again
 * would never be at the end of its patience. */
static bool save_is_due(const loop *l, double now)
{
    double most = l->o->save_seconds > 0 ? l->o->save_seconds : SAVE_SECONDS;
    return now - l->saved_at >= most && !is_saved(l);
}

static bool line_is_due(const loop *l, bool stepped, double now)
{
    if (l->o->log_every > 0)
        return stepped && l->state.step % l->o->log_every == 0;
    return now - l->now.since >= LINE_SECONDS;
}

static gen_status turns(loop *l, bool *interrupted)
{
    int64_t validated = -1; /* in this process: a run that goes on ends with its models written */
    double metric;
    l->now.since = clock_now();
    while (!finished(l) && !(*interrupted = canceled(l))) {
        int64_t before = l->state.step;
        GEN_TRY(take_turn(l));
        double now = clock_now();
        l->state.seconds = now - l->started;
        if (line_is_due(l, l->state.step != before, now))
            GEN_TRY(end_means(l, now));
        show(l, "train");
        bool due = l->o->validate_every && l->state.step != before &&
                   l->state.step % l->o->validate_every == 0;
        if (due) {
            GEN_TRY(validate(l, &metric));
            validated = l->state.step;
            GEN_TRY(save(l, metric));
        } else if (save_is_due(l, now)) {
            GEN_TRY(save(l, (double)NAN));
        }
    }
    GEN_TRY(end_means(l, clock_now()));
    metric = (double)NAN;
    if (!*interrupted && validated != l->state.step)
        GEN_TRY(validate(l, &metric));
    if (!is_saved(l))
        GEN_TRY(save(l, metric));
    return log_event(l, *interrupted ? "interrupted" : "done", "");
}

/* Saves what there is; the sentence of the failure stays. */
static gen_status save_and_fail(loop *l, gen_status failure)
{
    char sentence[1000];
    snprintf(sentence, sizeof sentence, "%s", gen_last_error());
    if (save(l, (double)NAN) != GEN_OK)
        gen_log(GEN_LOG_WARN, "%s", gen_last_error());
    return gen_fail(failure, "%s", sentence);
}

/* ---- a run ----------------------------------------------------------------------------------- */

static gen_status write_about(const gen_training_options *o)
{
    char path[4200];
    gen_output out;
    if (snprintf(path, sizeof path, "%s/run.json", o->run) >= (int)sizeof path)
        return gen_fail(GEN_EINVAL, "the name of the folder is too long");
    GEN_TRY(gen_output_open(&out, path, true, false));
    if (fprintf(out.file, "%s\n", o->about ? o->about : "{}") < 0) {
        gen_status status = gen_output_error(path, errno);
        gen_output_abort(&out);
        return status;
    }
    return gen_output_commit(&out);
}

static gen_status begin(loop *l)
{
    const gen_training_options *o = l->o;
    char samples[GEN_RUN_PATH];
    bool found = false;
    GEN_TRY(gen_checkpoints_open(&l->checkpoints, o->run, o->config, o->keep));
    gen_run_clear(o->run);
    if (snprintf(samples, sizeof samples, "%s/samples", o->run) < (int)sizeof samples)
        gen_run_clear(samples);
    int64_t newest = gen_checkpoints_newest(l->checkpoints);
    if (newest >= 0 && !o->resume)
        return gen_fail(GEN_EEXIST,
                        "%s: has a run up to step %lld: resume it, or train in another folder",
                        o->run, (long long)newest);
    if (gen_checkpoints_count(l->checkpoints) && !o->resume)
        return gen_fail(GEN_EEXIST,
                        "%s: has checkpoints, damaged or of another configuration: train in "
                        "another folder",
                        o->run);
    GEN_TRY(collect(l));
    GEN_TRY(gen_checkpoints_space(l->checkpoints, l->saved, MOST_STATE));
    GEN_TRY(open_log(l));
    if (o->resume)
        GEN_TRY(load(l, &found));
    GEN_TRY(write_about(o));
    GEN_TRY(log_start(l, found));
    return found ? GEN_OK : save(l, (double)NAN);
}

gen_status gen_training_run(const gen_training_options *o, gen_training_state *end)
{
    gen_status status;
    bool interrupted = false;
    const double none = (double)NAN;
    loop l = { .o = o,
               .log = -1,
               .guard = { .policy = o->on_nan, .patience = o->patience },
               .started = clock_now(),
               .state = { .steps = o->steps, .limit = o->seconds, .metric = none, .best = none } };
    l.saved_at = l.started;
    GEN_GOTO(begin(&l));
    status = turns(&l, &interrupted);
    /* The steps before are good, but what a device that failed still holds, nobody knows. */
    if (status != GEN_OK && status != GEN_EDEVICE && !l.lost && !is_saved(&l))
        status = save_and_fail(&l, status);
    GEN_GOTO(status);
    if (l.unsaved || l.unwritten)
        GEN_GOTO(gen_fail(GEN_ENOMEM, "%s: step %lld could not be saved: no room on the disk",
                          o->run, (long long)l.state.step));
    if (interrupted)
        status = gen_fail(GEN_ECANCELED, "interrupted at step %lld", (long long)l.state.step);
done:
    if (end) {
        *end = l.state;
        end->bad = l.guard.bad;
        end->say = NULL;
        end->n = 0;
    }
    if (l.log >= 0)
        close(l.log);
    gen_saved_free(&l.saved);
    gen_checkpoints_close(&l.checkpoints);
    return status;
}
