/* SPDX-License-Identifier: Apache-2.0
 *
 * The checkpoints of a run: saving, keeping, finding the newest that is whole. A folder for each
 * rather than one file: the state stays JSON that any tool reads, however long a history is in it,
 * the digests are checked by sha256sum, and one rename makes all of it appear.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "libgen/base/file.h"
#include "libgen/base/json.h"
#include "libgen/base/sha256.h"
#include "libgen/train/run_folder.h"
#include "libgen/train/saved.h"

#define FORMAT "libgen checkpoint 1"
#define MOST_ABOUT ((uint64_t)16 << 20)
#define MOST_STATE ((uint64_t)1 << 30)

typedef enum gen_standing {
    GEN_STANDING_GOOD,    /* as far as is known */
    GEN_STANDING_DAMAGED, /* removed when a newer one is whole */
    GEN_STANDING_OTHER    /* of another configuration: not ours, never removed */
} gen_standing;

typedef struct gen_known {
    int64_t step;
    double metric; /* NaN: none */
    gen_standing standing;
    char why[240]; /* not GOOD */
} gen_known;

struct gen_checkpoints {
    char *folder; /* RUN/checkpoints */
    char config[GEN_SHA256_TEXT];
    int64_t keep;
    int lock;
    gen_known *known; /* newest first */
    uint64_t n, room;
};

/* ---- what is there --------------------------------------------------------------------------- */

static void set_standing(gen_known *k, gen_standing standing, const char *why)
{
    k->standing = standing;
    snprintf(k->why, sizeof k->why, "%s", why);
}

/* Step, metric and configuration of checkpoint.json; counters too where s is given. */
static gen_status read_about(const gen_json *json, gen_known *k, const char *config,
                             const gen_saved *s)
{
    const char *text;
    int64_t step;
    GEN_TRY(gen_json_string(json, "format", &text));
    if (strcmp(text, FORMAT) != 0)
        return gen_fail(GEN_EDATA, "its format is '%.40s', expected '%s'", text, FORMAT);
    GEN_TRY(gen_json_int(json, "step", k->step, k->step, &step));
    k->metric = NAN;
    if (gen_json_kind_of(gen_json_get(json, "metric")) != GEN_JSON_NULL)
        GEN_TRY(gen_json_real(json, "metric", &k->metric));
    GEN_TRY(gen_json_string(json, "config_sha256", &text));
    if (strcmp(text, config) != 0)
        return gen_fail(GEN_EMODEL, "its configuration is another one");
    const gen_json *counters = gen_json_get(json, "counters");
    for (uint64_t i = 0; s && i < s->n_counters; i++)
        GEN_TRY(gen_json_int(counters, s->counter[i].name, -(INT64_C(1) << 53), INT64_C(1) << 53,
                             s->counter[i].value));
    if (s && (uint64_t)gen_json_count(counters) != s->n_counters)
        return gen_fail(GEN_EMODEL, "has %d counters, expected %d", gen_json_count(counters),
                        (int)s->n_counters);
    return GEN_OK;
}

static gen_status open_about(const gen_checkpoints *c, gen_known *k, const gen_saved *s)
{
    char path[GEN_RUN_PATH];
    char *text = NULL;
    uint64_t size;
    gen_json *json = NULL;
    gen_status status;
    GEN_TRY(gen_run_path(path, c->folder, k->step, "", GEN_RUN_ABOUT));
    status = gen_file_read(path, MOST_ABOUT, &text, &size);
    if (status != GEN_OK) /* want of memory is no damage */
        return status == GEN_ENOMEM ? status
                                    : gen_fail(GEN_EDATA, "%s cannot be read", GEN_RUN_ABOUT);
    status = gen_json_parse(&json, text, size, MOST_ABOUT);
    if (status == GEN_OK)
        status = read_about(json, k, c->config, s);
    else if (status == GEN_EDATA)
        (void)gen_fail_in(status, "%s", GEN_RUN_ABOUT);
    gen_json_free(&json);
    gen_free(text);
    return status;
}

static int newest_first(const void *a, const void *b)
{
    const gen_known *x = a, *y = b;
    return x->step < y->step ? 1 : x->step > y->step ? -1 : 0;
}

static gen_known *find(const gen_checkpoints *c, int64_t step)
{
    for (uint64_t i = 0; i < c->n; i++)
        if (c->known[i].step == step)
            return &c->known[i];
    return NULL;
}

static gen_status learn(gen_checkpoints *c, const gen_known *k)
{
    GEN_TRY(GEN_GROW(&c->known, &c->room, c->n + 1));
    c->known[c->n++] = *k;
    qsort(c->known, c->n, sizeof *c->known, newest_first);
    return GEN_OK;
}

static gen_status see(void *ctx, int64_t step, const char *suffix)
{
    gen_checkpoints *c = ctx;
    gen_known k = { .step = step };
    if (*suffix)
        return GEN_OK;
    gen_status status = open_about(c, &k, NULL);
    if (status == GEN_ENOMEM)
        return status;
    if (status != GEN_OK)
        set_standing(&k, status == GEN_EMODEL ? GEN_STANDING_OTHER : GEN_STANDING_DAMAGED,
                     gen_last_error());
    return learn(c, &k);
}

/* Leftovers of a process that was killed. What was written whole, but for its rename, is kept. */
typedef struct leftovers {
    const gen_checkpoints *c;
    struct {
        int64_t step;
        const char *suffix;
    } at[32]; /* the rest is found by the next run */
    int n;
} leftovers;

static gen_status see_leftover(void *ctx, int64_t step, const char *suffix)
{
    leftovers *l = ctx;
    if (*suffix && l->n < GEN_LEN(l->at)) {
        l->at[l->n].step = step;
        l->at[l->n++].suffix = suffix;
    }
    return GEN_OK;
}

static gen_status clear_leftovers(const gen_checkpoints *c)
{
    char path[GEN_RUN_PATH], name[GEN_RUN_PATH];
    leftovers l = { .c = c };
    GEN_TRY(gen_run_scan(c->folder, see_leftover, &l));
    for (int i = 0; i < l.n; i++) {
        GEN_TRY(gen_run_path(path, c->folder, l.at[i].step, l.at[i].suffix, NULL));
        GEN_TRY(gen_run_path(name, c->folder, l.at[i].step, "", NULL));
        bool written = !strcmp(l.at[i].suffix, GEN_RUN_WRITING) && access(name, F_OK) != 0;
        gen_status whole =
            written ? gen_run_verify(c->folder, l.at[i].step, GEN_RUN_WRITING) : GEN_EDATA;
        if (whole == GEN_ENOMEM)
            return whole;
        if (whole != GEN_OK || rename(path, name) != 0)
            gen_run_remove_folder(path);
    }
    gen_folder_sync(c->folder);
    return GEN_OK;
}

/* ---- opening --------------------------------------------------------------------------------- */

static gen_status check_json(const char *what, const char *text)
{
    gen_json *json;
    gen_status status = gen_json_parse(&json, text, strlen(text), MOST_STATE);
    gen_json_free(&json);
    if (status == GEN_EDATA)
        return gen_fail_in(GEN_EINVAL, "checkpoint, %s", what);
    return status;
}

static gen_status take_lock(gen_checkpoints *c, const char *run)
{
    char path[GEN_RUN_PATH], who[80], date[32] = "";
    bool busy;
    time_t now = time(NULL);
    struct tm t;
    if (snprintf(path, sizeof path, "%s/lock", run) >= GEN_RUN_PATH)
        return gen_fail(GEN_EINVAL, "the name of the folder is too long");
    if (gmtime_r(&now, &t))
        (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &t);
    snprintf(who, sizeof who, "process %ld since %s", (long)getpid(), date);
    return gen_file_lock(&c->lock, &busy, path, who);
}

gen_status gen_checkpoints_open(gen_checkpoints **out, const char *run, const char *config,
                                int64_t keep)
{
    gen_status status;
    gen_checkpoints *c = NULL;
    *out = NULL;
    GEN_TRY(check_json("configuration", config));
    if (keep < 0)
        return gen_fail(GEN_EINVAL, "checkpoints to keep: found %" PRId64 ", expected 0 or more",
                        keep);
    GEN_GOTO(GEN_ALLOC(&c, 1, "checkpoints"));
    c->lock = -1;
    c->keep = keep ? keep : 3;
    gen_sha256_text(config, strlen(config), c->config);
    GEN_GOTO(gen_alloc((void **)&c->folder, strlen(run) + 16, 1, "checkpoints"));
    sprintf(c->folder, "%s/checkpoints", run);
    GEN_GOTO(gen_run_make_folder(run));
    GEN_GOTO(take_lock(c, run));
    GEN_GOTO(gen_run_make_folder(c->folder));
    gen_folder_sync(run);
    GEN_GOTO(clear_leftovers(c));
    GEN_GOTO(gen_run_scan(c->folder, see, c));
    *out = c;
    c = NULL;
done:
    gen_checkpoints_close(&c);
    return status;
}

void gen_checkpoints_close(gen_checkpoints **checkpoints)
{
    gen_checkpoints *c = *checkpoints;
    if (!c)
        return;
    if (c->lock >= 0)
        close(c->lock);
    gen_free(c->folder);
    gen_free(c->known);
    gen_free(c);
    *checkpoints = NULL;
}

int gen_checkpoints_count(const gen_checkpoints *c)
{
    return (int)c->n;
}

int64_t gen_checkpoints_newest(const gen_checkpoints *c)
{
    for (uint64_t i = 0; i < c->n; i++)
        if (c->known[i].standing == GEN_STANDING_GOOD)
            return c->known[i].step;
    return -1;
}

int64_t gen_checkpoints_best(const gen_checkpoints *c)
{
    const gen_known *best = NULL;
    for (uint64_t i = 0; i < c->n; i++) {
        const gen_known *k = &c->known[i];
        if (k->standing == GEN_STANDING_GOOD && !isnan(k->metric) &&
            (!best || k->metric < best->metric))
            best = k;
    }
    return best ? best->step : -1;
}

gen_status gen_checkpoints_space(const gen_checkpoints *c, const gen_saved *s, uint64_t state_bytes)
{
    struct statvfs disk;
    double each = (double)gen_saved_bytes(s) + (double)state_bytes + 65536;
    double most = (double)c->keep + 2, there = 0;
    for (uint64_t i = 0; i < c->n; i++)
        there += c->known[i].standing == GEN_STANDING_GOOD;
    double needed = each * (there < most ? most - there : 1);
    if (statvfs(c->folder, &disk) != 0)
        return gen_fail(GEN_EIO, "%s: cannot ask for free space: %s", c->folder, strerror(errno));
    double free_bytes = (double)disk.f_bavail * (double)disk.f_frsize;
    if (needed <= free_bytes)
        return GEN_OK;
    return gen_fail(GEN_ENOMEM,
                    "%s: %.0f checkpoints of %.1f MB take %.1f MB more than lie there, the disk"
                    " has %.1f MB left",
                    c->folder, most, each / 1e6, needed / 1e6, free_bytes / 1e6);
}

/* ---- saving ---------------------------------------------------------------------------------- */

static gen_status write_text(const char *path, const char *text)
{
    gen_output o;
    GEN_TRY(gen_output_open(&o, path, true, false));
    if (fputs(text, o.file) == EOF) {
        gen_status status = gen_output_error(path, errno);
        gen_output_abort(&o);
        return status;
    }
    return gen_output_commit(&o);
}

static gen_status write_about(const gen_checkpoints *c, const gen_saved *s, const gen_known *k,
                              const char *path)
{
    gen_json_writer w = { 0 };
    char *text;
    gen_json_open(&w, NULL, '{');
    gen_json_put_string(&w, "format", FORMAT);
    gen_json_put_int(&w, "step", k->step);
    gen_json_put_real(&w, "metric", k->metric); /* NaN: null */
    gen_json_put_string(&w, "config_sha256", c->config);
    gen_json_open(&w, "counters", '{');
    for (uint64_t i = 0; i < s->n_counters; i++)
        gen_json_put_int(&w, s->counter[i].name, *s->counter[i].value);
    gen_json_close(&w, '}');
    gen_json_close(&w, '}');
    GEN_TRY(gen_json_finish(&w, &text));
    gen_status status = write_text(path, text);
    gen_free(text);
    return status;
}

static gen_status write_files(const gen_checkpoints *c, const gen_saved *s, const gen_known *k,
                              const char *state)
{
    char path[GEN_RUN_PATH], sums[GEN_RUN_SUMS_TEXT];
    GEN_TRY(gen_run_path(path, c->folder, k->step, GEN_RUN_WRITING, GEN_RUN_TENSORS));
    GEN_TRY(gen_saved_write(s, path));
    GEN_TRY(gen_run_path(path, c->folder, k->step, GEN_RUN_WRITING, GEN_RUN_STATE));
    GEN_TRY(write_text(path, state));
    GEN_TRY(gen_run_path(path, c->folder, k->step, GEN_RUN_WRITING, GEN_RUN_ABOUT));
    GEN_TRY(write_about(c, s, k, path));
    GEN_TRY(gen_run_sums(sums, c->folder, k->step, GEN_RUN_WRITING));
    GEN_TRY(gen_run_path(path, c->folder, k->step, GEN_RUN_WRITING, GEN_RUN_SUMS));
    return write_text(path, sums);
}

static void remove_checkpoint(const gen_checkpoints *c, int64_t step)
{
    char path[GEN_RUN_PATH], going[GEN_RUN_PATH];
    if (gen_run_path(path, c->folder, step, "", NULL) != GEN_OK ||
        gen_run_path(going, c->folder, step, GEN_RUN_REMOVING, NULL) != GEN_OK)
        return;
    gen_run_remove_folder(going);
    if (rename(path, going) == 0)
        gen_run_remove_folder(going);
}

/* Neither one of the newest nor the best. */
static void prune(gen_checkpoints *c)
{
    int64_t best = gen_checkpoints_best(c), good = 0;
    uint64_t kept = 0;
    for (uint64_t i = 0; i < c->n; i++) {
        const gen_known *k = &c->known[i];
        bool newest = k->standing == GEN_STANDING_GOOD && good++ < c->keep;
        if (newest || k->step == best || k->standing == GEN_STANDING_OTHER)
            c->known[kept++] = *k;
        else
            remove_checkpoint(c, k->step);
    }
    c->n = kept;
}

static gen_status check_step(const gen_checkpoints *c, int64_t step)
{
    int64_t newest = gen_checkpoints_newest(c);
    const gen_known *same = find(c, step);
    if (step < 0)
        return gen_fail(GEN_EINVAL, "checkpoint: found step %" PRId64 ", expected 0 or more", step);
    if (newest > step)
        return gen_fail(GEN_EEXIST,
                        "%s: has step %" PRId64 ", later than the step %" PRId64
                        " to be saved: resume, or train in another folder",
                        c->folder, newest, step);
    if (same && same->standing == GEN_STANDING_OTHER)
        return gen_fail(GEN_EEXIST, "%s: step %" PRId64 " cannot be replaced: %s", c->folder, step,
                        same->why);
    return GEN_OK;
}

/* LATEST names this step: nothing is written where it does already. */
static gen_status name_latest(const gen_checkpoints *c, int64_t step)
{
    char path[GEN_RUN_PATH], name[GEN_STEP_NAME], *there = NULL;
    uint64_t size;
    if (snprintf(path, sizeof path, "%s/LATEST", c->folder) >= GEN_RUN_PATH)
        return gen_fail(GEN_EINVAL, "the name of the folder is too long");
    snprintf(name, sizeof name, "step-%08" PRId64 "\n", step);
    bool right = gen_file_read(path, sizeof name, &there, &size) == GEN_OK && !strcmp(there, name);
    gen_free(there);
    return right ? GEN_OK : write_text(path, name);
}

static gen_status appear(gen_checkpoints *c, const gen_known *k)
{
    char path[GEN_RUN_PATH], writing[GEN_RUN_PATH];
    GEN_TRY(gen_run_path(path, c->folder, k->step, "", NULL));
    GEN_TRY(gen_run_path(writing, c->folder, k->step, GEN_RUN_WRITING, NULL));
    gen_known *same = find(c, k->step);
    if (same)
        remove_checkpoint(c, k->step); /* killed here: `writing` is whole, and is taken up */
    if (rename(writing, path) != 0)
        return gen_output_error(path, errno);
    gen_folder_sync(c->folder);
    if (same)
        *same = *k;
    else
        GEN_TRY(learn(c, k));
    return name_latest(c, k->step);
}

gen_status gen_checkpoint_save(gen_checkpoints *c, const gen_saved *s, int64_t step, double metric,
                               const char *state)
{
    char writing[GEN_RUN_PATH];
    gen_known k = { .step = step, .metric = isfinite(metric) ? metric : (double)NAN };
    GEN_TRY(check_step(c, step));
    GEN_TRY(check_json("state", state));
    GEN_TRY(gen_run_path(writing, c->folder, step, GEN_RUN_WRITING, NULL));
    gen_run_remove_folder(writing);
    GEN_TRY(gen_run_make_folder(writing));
    gen_status status = write_files(c, s, &k, state);
    if (status != GEN_OK) {
        gen_run_remove_folder(writing);
        return status;
    }
    GEN_TRY(appear(c, &k));
    prune(c);
    return GEN_OK;
}

/* ---- loading --------------------------------------------------------------------------------- */

/* EDATA: damaged. EMODEL: not ours. */
static gen_status try_load(const gen_checkpoints *c, gen_known *k, gen_saved *s, char **state)
{
    char path[GEN_RUN_PATH];
    uint64_t size;
    GEN_TRY(gen_run_verify(c->folder, k->step, ""));
    GEN_TRY(gen_run_path(path, c->folder, k->step, "", GEN_RUN_TENSORS));
    GEN_TRY(gen_saved_matches(s, path));
    GEN_TRY(open_about(c, k, s));
    GEN_TRY(gen_saved_read(s, path));
    GEN_TRY(gen_run_path(path, c->folder, k->step, "", GEN_RUN_STATE));
    return gen_file_read(path, MOST_STATE, state, &size);
}

/* A line for what is passed over. */
static gen_status note(char **text, uint64_t *room, const gen_known *k)
{
    char line[sizeof k->why + GEN_STEP_NAME];
    size_t used = *text ? strlen(*text) : 0;
    int n =
        snprintf(line, sizeof line, "%sstep-%08" PRId64 ": %s", used ? "\n" : "", k->step, k->why);
    GEN_TRY(GEN_GROW(text, room, used + (size_t)n + 1));
    memcpy(*text + used, line, (size_t)n + 1);
    return GEN_OK;
}

gen_status gen_checkpoint_load(gen_checkpoints *c, gen_saved *s, int64_t *step, char **state,
                               char **skipped)
{
    gen_status status = GEN_OK;
    char *text = NULL;
    uint64_t room = 0;
    *step = -1;
    *state = *skipped = NULL;
    for (uint64_t i = 0; *step < 0 && i < c->n; i++) {
        gen_known *k = &c->known[i];
        status = k->standing == GEN_STANDING_GOOD ? try_load(c, k, s, state) : GEN_EDATA;
        if (status == GEN_OK)
            *step = k->step;
        else if (status == GEN_ENOMEM)
            GEN_GOTO(status);
        else if (k->standing == GEN_STANDING_GOOD)
            set_standing(k, status == GEN_EMODEL ? GEN_STANDING_OTHER : GEN_STANDING_DAMAGED,
                         gen_last_error());
        if (*step < 0)
            GEN_GOTO(note(&text, &room, k));
    }
    for (char *end = text; *step < 0 && end && (end = strchr(end, '\n')); end++)
        *end = ';'; /* one sentence */
    if (*step < 0 && c->n)
        GEN_GOTO(gen_fail(GEN_EMODEL, "%s: no checkpoint can be used: %s", c->folder, text));
    if (!text)
        GEN_GOTO(gen_strdup(&text, ""));
    if (*step >= 0) /* a kill may have come between a checkpoint and its name */
        GEN_GOTO(name_latest(c, *step));
    *skipped = text;
    text = NULL;
    status = GEN_OK;
done:
    gen_free(text);
    if (status != GEN_OK) {
        gen_free(*state);
        *state = NULL;
    }
    return status;
}
