/* SPDX-License-Identifier: Apache-2.0
 *
 * gen nowcast --latest: one run of many, every few minutes, on a feed that is being written. It
 * takes the newest frames that are fit, refuses old ones, holds a lock, keeps its deadline, and
 * says how it went in a status file.
 *
 * The deadline: advection, and the products of one lead time, are computed first, to know how long
 * they take; so much time is kept for them. When the members of a network come too slowly, the file
 * ends with those that are there; when not even the first comes in time, advection stands in for
 * the network.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/nowcast.h"
#include "cli/terminal.h"
#include "libgen/base/alloc.h"
#include "libgen/base/file.h"
#include "libgen/base/json.h"
#include "weather/codec/codec.h"

#define SETTLE 3  /* s that a file must have been left alone */
#define AHEAD 120 /* s that a frame may be in the future: clocks differ */
#define WARNINGS 32
#define SENTENCE 600
#define RESERVE 3      /* times what advection and products took is kept for them, */
#define RESERVE_MORE 1 /* and seconds for the file */

struct live {
    double max_age, deadline; /* s; 0 = none */
    int64_t now;
    int lock;            /* -1: not held */
    const char *outcome; /* of the status; NULL: by the status of the run */
    char lock_path[PATH_MAX], output[PATH_MAX], plot[PATH_MAX], film[PATH_MAX], points[PATH_MAX],
        comment[SENTENCE];
    bool named; /* output is known */
    gen_nowcast_method planned;
    int64_t members_planned, written;
    double pretended;    /* s that each member is said to take more, for tests */
    int64_t begun;       /* members */
    double stop_at;      /* s since the start: what is computed then is given up */
    double member_began; /* s since the start */
    bool late;
    int n_warnings;
    char warning[WARNINGS][SENTENCE];
};

/* Seconds since the program began. */
static double elapsed(const forecast *f)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9 - f->run->started +
           f->live->pretended * (double)f->live->begun;
}

static void keep_warning(void *cookie, gen_log_level level, const char *message)
{
    struct live *l = cookie;
    (void)level;
    if (l->n_warnings < WARNINGS)
        snprintf(l->warning[l->n_warnings++], SENTENCE, "%s", message);
}

/* ---- options and lock -------------------------------------------------------------------- */

gen_status check_live(const gen_run *r, const nowcast_settings *o)
{
    static const char *const words[] = { "max-age", "deadline", "lock", "status", "now" };
    for (int i = 0; i < GEN_LEN(words) && !o->latest; i++)
        if (gen_run_given(r, words[i]))
            return gen_fail(GEN_EINVAL, "nowcast: --%s goes with --latest", words[i]);
    if (o->latest && o->at)
        return gen_fail(GEN_EINVAL, "nowcast: --at and --latest exclude each other");
    return GEN_OK;
}

static gen_status take_options(struct live *l, const nowcast_settings *o)
{
    const char *pretended = getenv("GEN_TEST_MEMBER_SECONDS");
    l->pretended = pretended ? strtod(pretended, NULL) : 0;
    l->now = (int64_t)time(NULL);
    if (o->now)
        GEN_TRY(gen_time_parse(o->now, &l->now));
    if (o->max_age)
        GEN_TRY(gen_parse_duration(o->max_age, "option --max-age", &l->max_age));
    if (o->deadline)
        GEN_TRY(gen_parse_duration(o->deadline, "option --deadline", &l->deadline));
    return GEN_OK;
}

/* "out/nowcast_%Y.nc" has "out/.nowcast_%Y.nc.lock": the same for every time. */
static gen_status name_lock(struct live *l, const char *output, const char *given)
{
    const char *slash = strrchr(output, '/');
    int folder = slash ? (int)(slash + 1 - output) : 0;
    int n = given ? snprintf(l->lock_path, sizeof l->lock_path, "%s", given)
                  : snprintf(l->lock_path, sizeof l->lock_path, "%.*s.%s.lock", folder, output,
                             output + folder);
    if (n >= (int)sizeof l->lock_path)
        return gen_fail(GEN_EINVAL, "the name of the lock is too long: '%.80s'", l->lock_path);
    return GEN_OK;
}

/* The kernel lets a lock go with its holder, however that ended; the text only says who it is. */
static gen_status take_lock(struct live *l)
{
    char who[80], date[32];
    bool busy;
    snprintf(who, sizeof who, "process %ld since %s", (long)getpid(),
             gen_time_text((int64_t)time(NULL), date));
    gen_status status = gen_file_lock(&l->lock, &busy, l->lock_path, who);
    if (busy)
        l->outcome = "busy";
    return status;
}

gen_status live_start(forecast *f)
{
    struct live *l;
    GEN_TRY(GEN_ALLOC(&l, 1, "a run"));
    f->live = l;
    l->lock = -1;
    l->planned = f->choice.method;
    l->members_planned = f->run->common.samples ? f->run->common.samples : 1;
    gen_terminal_watch(keep_warning, l);
    GEN_TRY(take_options(l, f->o));
    GEN_TRY(name_lock(l, f->run->common.output, f->o->lock));
    return take_lock(l);
}

/* ---- the newest frames ------------------------------------------------------------------- */

/* Files that were changed just now may not be whole. */
static gen_status drop_growing(forecast *f)
{
    int n = 0, all = f->files.n;
    for (int i = 0; i < all; i++) {
        struct stat info;
        char *path = f->files.path[i];
        int64_t age = SETTLE;
        if (stat(path, &info) == 0)
            age = f->live->now - (int64_t)info.st_mtime;
        if (age >= SETTLE || age <= -SETTLE) { /* of another clock: it says nothing */
            f->files.path[n++] = path;
            continue;
        }
        gen_log(GEN_LOG_WARN, "'%s' was changed %lld s ago and may still grow: left out", path,
                (long long)age);
        gen_free(path);
    }
    f->files.n = n;
    if (n == 0)
        return gen_fail(GEN_EDATA, "all %d files were changed within the last %d s", all, SETTLE);
    return GEN_OK;
}

/* A radar that is stuck sends its last picture again. */
static void warn_of_repeats(const forecast *f)
{
    char a[32];
    const gen_radar_sequence *s = f->s;
    int64_t cells = s->grid.height * s->grid.width;
    for (int64_t t = 1; t < s->frames; t++) {
        const float *here = s->rain + t * cells, *before = here - cells;
        bool wet = false;
        for (int64_t i = 0; i < cells && !wet; i++)
            wet = here[i] > 0;
        if (wet && memcmp(here, before, (size_t)cells * sizeof *here) == 0)
            gen_log(GEN_LOG_WARN, "frame %s is the same as the one before: is the radar stuck?",
                    gen_time_text(s->time[t], a));
    }
}

static gen_status check_age(const forecast *f)
{
    char a[32], b[32];
    struct live *l = f->live;
    double age = (double)(l->now - f->reference);
    if (!f->o->max_age || age <= l->max_age)
        return GEN_OK;
    l->outcome = "stale";
    return gen_fail(
        GEN_EDATA, "the newest frames end at %s, %.0f min before %s: older than --max-age %s",
        gen_time_text(f->reference, a), age / 60, gen_time_text(l->now, b), f->o->max_age);
}

/* ---- the output -------------------------------------------------------------------------- */

/* A forecast among the observations would be read as one the next time. */
static gen_status refuse_feed(const forecast *f, const char *output)
{
    char folder[PATH_MAX];
    struct stat a, b;
    bool matches = true;
    int64_t t;
    snprintf(folder, sizeof folder, "%s", output);
    char *slash = strrchr(folder, '/');
    snprintf(slash ? slash + 1 : folder, 2, "%s", slash ? "" : ".");
    const char *pattern = f->run->common.radar.pattern;
    if (pattern)
        GEN_TRY(gen_name_match(pattern, output, &matches, &t));
    for (int i = 0; matches && i < f->run->n_operands; i++)
        if (stat(folder, &a) == 0 && stat(f->run->operands[i], &b) == 0 && a.st_dev == b.st_dev &&
            a.st_ino == b.st_ino)
            return gen_fail(GEN_EINVAL,
                            "-o '%s': the forecast would lie among the radar files of '%s', and be "
                            "read as one",
                            output, f->run->operands[i]);
    return GEN_OK;
}

static gen_status name_one(const forecast *f, const char **pattern, char name[PATH_MAX])
{
    if (*pattern) {
        GEN_TRY(gen_name_print(name, PATH_MAX, *pattern, f->reference));
        *pattern = name;
    }
    return GEN_OK;
}

static gen_status name_outputs(forecast *f)
{
    struct live *l = f->live;
    gen_common *c = &f->run->common;
    GEN_TRY(name_one(f, &c->output, l->output));
    l->named = true;
    GEN_TRY(name_one(f, &f->o->plot, l->plot));
    GEN_TRY(name_one(f, &f->o->film, l->film));
    GEN_TRY(name_one(f, &f->o->products.point_output, l->points));
    GEN_TRY(refuse_feed(f, l->output));
    return refuse_input(&f->files, l->output);
}

/* Whether the output is a forecast from the same time. */
static bool is_there(const forecast *f)
{
    const gen_radar_read_options o = { .own_process = true };
    gen_radar_file *old = NULL;
    if (access(f->live->output, F_OK) != 0 ||
        gen_radar_file_open(&old, f->live->output, &o) != GEN_OK)
        return false;
    bool same = old->reference == f->reference;
    gen_radar_file_close(&old);
    return same;
}

static gen_status say_nothing_new(const forecast *f)
{
    gen_json_writer w = { 0 };
    char *text = NULL, from[32];
    gen_time_text(f->reference, from);
    if (!f->run->common.json) {
        if (!f->run->common.quiet && !products_on_stdout(&f->products))
            printf("%s: nothing new, the newest frame is still that of %s\n", f->live->output,
                   from);
        return GEN_OK;
    }
    gen_json_open(&w, NULL, '{');
    gen_json_put_string(&w, "output", f->live->output);
    gen_json_put_string(&w, "reference_time", from);
    gen_json_put_bool(&w, "nothing_new", true);
    gen_json_close(&w, '}');
    GEN_TRY(gen_json_finish(&w, &text));
    printf("%s\n", text);
    gen_free(text);
    return GEN_OK;
}

gen_status live_read(forecast *f, int64_t frames, bool *nothing_new)
{
    struct live *l = f->live;
    gen_radar_read_options o;
    GEN_TRY(drop_growing(f));
    GEN_TRY(radar_options(&o, f->run));
    o.lenient = true;
    o.max_frames = frames;
    o.min_frames = gen_nowcast_frames(f->choice.ours ? GEN_NOWCAST_ADVECTION : l->planned);
    o.first = INT64_MIN;
    o.last = l->now + AHEAD;
    GEN_TRY(gen_radar_read(&f->s, (const char *const *)f->files.path, f->files.n, &o));
    GEN_TRY(radar_part(f->s, f->run));
    f->reference = f->s->time[f->s->frames - 1];
    warn_of_repeats(f);
    GEN_TRY(check_age(f));
    GEN_TRY(name_outputs(f));
    *nothing_new = is_there(f);
    if (!*nothing_new)
        return GEN_OK;
    l->outcome = "unchanged";
    return say_nothing_new(f);
}

/* ---- in time ----------------------------------------------------------------------------- */

static gen_status take_in_time(void *cookie, int64_t member, const float *rain)
{
    forecast *f = cookie;
    struct live *l = f->live;
    GEN_TRY(take_member(f, member, rain));
    l->written++;
    /* The first member holds the making of the plans: it says too much of the next, which is given
     * up on the way if need be. */
    double now = elapsed(f), next = member ? now - l->member_began : 0;
    l->member_began = now;
    if (l->written == l->members_planned)
        return GEN_OK;
    if (now + next <= l->stop_at) {
        l->begun++;
        return GEN_OK;
    }
    l->late = true;
    return gen_fail(GEN_ECANCELED, "the next member would come too late");
}

static int stop_in_time(void *cookie, const char *what, double done, double total)
{
    const forecast *f = cookie;
    struct live *l = f->live;
    const gen_progress *shown = &f->run->progress;
    l->late = l->late || elapsed(f) > l->stop_at;
    return (shown->fn && shown->fn(shown->cookie, what, done, total)) || l->late;
}

static gen_status newest_frame(void *cookie, int64_t member, int64_t lead, float *rain)
{
    const forecast *f = cookie;
    (void)member;
    (void)lead;
    memcpy(rain, f->s->rain + (f->s->frames - 1) * f->cells, (size_t)f->cells * sizeof *rain);
    return GEN_OK;
}

static gen_status drop_product(void *cookie, const gen_product *product, int64_t first,
                               int64_t rows, const float *values)
{
    (void)cookie;
    (void)product;
    (void)first;
    (void)rows;
    (void)values;
    return GEN_OK;
}

/* Seconds that the products of all lead times may take: each like those of the newest frame. */
static gen_status time_products(forecast *f, double *seconds)
{
    double began = elapsed(f);
    gen_products_options o = f->products.o;
    const gen_products_shape shape = { .members = f->nowcast.members,
                                       .lead_steps = 1,
                                       .height = f->s->grid.height,
                                       .width = f->s->grid.width,
                                       .step = f->s->step };
    *seconds = 0;
    if (!f->products.any)
        return GEN_OK;
    double windows = o.accumulate ? 2 : 1; /* sums are made like rates */
    o.accumulate = 0;
    o.member_sums = false;
    o.n_exceed_sum = 0;
    o.mean = true; /* something, where only sums are wanted */
    GEN_TRY(gen_products_compute(&shape, &o, newest_frame, f, drop_product, NULL));
    *seconds = (elapsed(f) - began) * (double)f->nowcast.lead_steps * windows;
    return GEN_OK;
}

static gen_status take_nothing(void *cookie, int64_t member, const float *rain)
{
    (void)cookie;
    (void)member;
    (void)rain;
    return GEN_OK;
}

static gen_status advection(forecast *f, gen_nowcast_sink *sink)
{
    gen_nowcast_options o = f->nowcast;
    o.method = GEN_NOWCAST_ADVECTION;
    o.members = 1;
    return gen_nowcast(f->s, &o, sink, f);
}

/* What was done about lack of time, on stderr, in the status and in the file. */
static gen_status say_late(forecast *f)
{
    f->live->outcome = "degraded";
    return remark(f, f->live->comment);
}

static gen_status end_early(forecast *f)
{
    struct live *l = f->live;
    snprintf(l->comment, sizeof l->comment,
             "%lld of %lld members: the others would have come after the deadline of %s",
             (long long)l->written, (long long)l->members_planned, f->o->deadline);
    f->nowcast.members = l->written;
    GEN_TRY(gen_forecast_shorten(f->file, l->written));
    if (f->first)
        shorten_pictures(f, l->members_planned, l->written);
    return say_late(f);
}

static gen_status stand_in(forecast *f)
{
    struct live *l = f->live;
    snprintf(l->comment, sizeof l->comment,
             "advection instead of %s, whose first member would have come after the deadline of %s",
             method_names[l->planned], f->o->deadline);
    if (f->first)
        shorten_pictures(f, 1, 1);
    gen_forecast_free(&f->file);
    f->nowcast.method = GEN_NOWCAST_ADVECTION;
    f->nowcast.members = 1;
    gen_free(f->comment); /* of the model, which is not used */
    f->comment = NULL;
    GEN_TRY(describe_forecast(f));
    GEN_TRY(open_forecast(f));
    GEN_TRY(advection(f, take_member));
    l->written = 1;
    return say_late(f);
}

/* Members, within what the deadline leaves when advection must stand in. */
static gen_status members_in_time(forecast *f)
{
    struct live *l = f->live;
    double began = elapsed(f), products;
    GEN_TRY(advection(f, take_nothing));
    double spare = elapsed(f) - began;
    GEN_TRY(time_products(f, &products));
    double now = elapsed(f);
    l->stop_at = l->deadline - RESERVE * (spare + products) - RESERVE_MORE;
    l->late = now > l->stop_at;
    if (l->late)
        return stand_in(f);
    l->begun = 1;
    f->nowcast.progress = (gen_progress){ stop_in_time, f };
    gen_status status = gen_nowcast(f->s, &f->nowcast, take_in_time, f);
    f->nowcast.progress = f->run->progress;
    if (status != GEN_ECANCELED || !l->late || gen_run_canceled())
        return status;
    return l->written ? end_early(f) : stand_in(f);
}

gen_status live_nowcast(forecast *f)
{
    struct live *l = f->live;
    gen_nowcast_method method = f->nowcast.method;
    bool one_answer = method == GEN_NOWCAST_ADVECTION || method == GEN_NOWCAST_PERSISTENCE;
    if (method != l->planned) {
        snprintf(l->comment, sizeof l->comment, "%s", f->comment ? f->comment : "");
        l->outcome = "degraded";
    }
    if (l->deadline > 0 && !one_answer)
        return members_in_time(f);
    GEN_TRY(gen_nowcast(f->s, &f->nowcast, take_member, f));
    l->written = f->nowcast.members;
    return GEN_OK;
}

/* ---- the status -------------------------------------------------------------------------- */

static const char *outcome_of(const forecast *f, gen_status status)
{
    if (status == GEN_ECANCELED)
        return "interrupted";
    if (f->live->outcome)
        return f->live->outcome;
    return status == GEN_OK ? "ok" : "failed";
}

static void put_number(gen_json_writer *w, const char *key, bool known, double v)
{
    if (known)
        gen_json_put_real(w, key, v);
    else
        gen_json_put_null(w, key);
}

static gen_status status_text(const forecast *f, gen_status status, char **out)
{
    const struct live *l = f->live;
    bool done = status == GEN_OK && f->s && strcmp(outcome_of(f, status), "unchanged") != 0;
    char reference[32] = "", now[32], message[SENTENCE] = "";
    gen_json_writer w = { 0 };
    if (f->s)
        gen_time_text(f->reference, reference);
    if (status != GEN_OK)
        snprintf(message, sizeof message, "%s", gen_last_error());
    else
        snprintf(message, sizeof message, "%s", l->comment);
    gen_json_open(&w, NULL, '{');
    gen_json_put_string(&w, "status", outcome_of(f, status));
    gen_json_put_int(&w, "exit_code", gen_exit_code(status));
    gen_json_put_string(&w, "message", message[0] ? message : NULL);
    gen_json_put_string(&w, "now", gen_time_text(l->now, now));
    gen_json_put_string(&w, "reference_time", reference[0] ? reference : NULL);
    put_number(&w, "age_seconds", f->s, (double)(l->now - f->reference));
    gen_json_put_string(&w, "method_planned", method_names[l->planned]);
    gen_json_put_string(&w, "method_used", done ? method_names[f->nowcast.method] : NULL);
    gen_json_put_int(&w, "members_planned", l->members_planned);
    gen_json_put_int(&w, "members_written", done ? l->written : 0);
    put_number(&w, "deadline_seconds", l->deadline > 0, l->deadline);
    gen_json_put_real(&w, "seconds", elapsed(f));
    gen_json_put_string(&w, "output", l->named ? l->output : NULL);
    gen_json_open(&w, "warnings", '[');
    for (int i = 0; i < l->n_warnings; i++)
        gen_json_put_string(&w, NULL, l->warning[i]);
    gen_json_close(&w, ']');
    gen_json_close(&w, '}');
    return gen_json_finish(&w, out);
}

static gen_status write_status(const forecast *f, gen_status status)
{
    gen_output o = { 0 };
    char *text = NULL;
    gen_status written = status_text(f, status, &text);
    if (written == GEN_OK)
        written = gen_output_open(&o, f->o->status, true, false);
    if (written == GEN_OK && fprintf(o.file, "%s\n", text) < 0)
        written = gen_output_error(f->o->status, errno);
    if (written == GEN_OK)
        written = gen_output_commit(&o);
    gen_output_abort(&o);
    gen_free(text);
    return written;
}

void live_end(forecast *f, gen_status status)
{
    struct live *l = f->live;
    char sentence[1024];
    if (!l)
        return;
    if (status == GEN_OK && l->deadline > 0 && elapsed(f) > l->deadline)
        gen_log(GEN_LOG_WARN, "the run took %.1f s, longer than --deadline %s", elapsed(f),
                f->o->deadline);
    snprintf(sentence, sizeof sentence, "%s", gen_last_error());
    if (f->o->status && write_status(f, status) != GEN_OK)
        gen_log(GEN_LOG_WARN, "the status is not written: %s", gen_last_error());
    if (status != GEN_OK)
        gen_fail(status, "%s", sentence); /* the first failure is the one to tell */
    gen_terminal_watch(NULL, NULL);
    if (l->lock >= 0)
        close(l->lock);
    f->run->common.output = NULL; /* it may lie in l */
    gen_free(l);
    f->live = NULL;
}
