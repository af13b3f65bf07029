/* SPDX-License-Identifier: Apache-2.0
 *
 * What a training's log says, as a few lines of text or as JSON.
 */
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "cli/arguments.h"
#include "cli/terminal.h"
#include "cli/train_report.h"
#include "libgen/base/alloc.h"
#include "libgen/train/curve.h"

enum {
    RECENT = 50, /* lines whose median is "lately" */
    LAST_EVENTS = 5,
    MOST_WORDS = 16, /* different kinds of events that are counted apart */
    INDENT = 12
};

/* ---- numbers --------------------------------------------------------------------------------- */

/* Seconds that the steps took, without validations and what was done again. */
static double time_in_steps(const train_report *t)
{
    int64_t n, before = 0;
    double sum = 0;
    const gen_history_line *l = gen_history_lines(t->log, GEN_HISTORY_STEP, &n);
    for (int64_t i = 0; i < n; i++) {
        double each = gen_history_number(t->log, &l[i], "step_seconds");
        sum += isnan(each) ? 0 : each * (double)(l[i].step - before);
        before = l[i].step;
    }
    return sum;
}

/* The median at a path in the last lines about steps. */
static double lately(const train_report *t, const char *path)
{
    double v[RECENT], scratch[RECENT];
    int64_t n, m = 0;
    const gen_history_line *l = gen_history_lines(t->log, GEN_HISTORY_STEP, &n);
    for (int64_t i = n > RECENT ? n - RECENT : 0; i < n; i++)
        v[m++] = gen_history_number(t->log, &l[i], path);
    return gen_curve_median(v, m, scratch);
}

/* Events by what they are, in the order in which they first came; the last may be "other". */
typedef struct tally {
    const char *what[MOST_WORDS];
    int64_t count[MOST_WORDS], all;
    int n;
} tally;

static tally count_events(const train_report *t)
{
    tally c = { 0 };
    const gen_history_line *l = gen_history_lines(t->log, GEN_HISTORY_EVENT, &c.all);
    for (int64_t i = 0; i < c.all; i++) {
        int k = 0;
        while (k < c.n && k < MOST_WORDS - 1 && strcmp(c.what[k], l[i].what) != 0)
            k++;
        if (k == c.n)
            c.what[c.n++] = k < MOST_WORDS - 1 ? l[i].what : "other";
        c.count[k]++;
    }
    return c;
}

/* ---- text ------------------------------------------------------------------------------------ */

/* A line while it is put together; what is too long ends in dots. */
typedef struct words {
    char text[2000];
    size_t n;
} words;

static void put(words *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(words *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(w->text + w->n, sizeof w->text - w->n, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof w->text - w->n) {
        w->n += (size_t)n;
        return;
    }
    w->n = sizeof w->text - 4;
    while (((unsigned char)w->text[w->n] >> 6) == 2)
        w->n--; /* to the first byte of a sign */
    memcpy(w->text + w->n, "...", 4);
    w->n = sizeof w->text - 1; /* and nothing behind */
}

static void print(const char *label, words *w)
{
    for (char *c = w->text; *c; c++)
        *c = gen_terminal_plain(*c);
    printf("%-*s", INDENT, label);
    gen_arguments_print(stdout, w->text, INDENT, INDENT);
}

static void put_duration(words *w, double seconds)
{
    double minutes = seconds / 60, hours = seconds / 3600;
    if (hours >= 2)
        put(w, "%.1f h", hours);
    else if (minutes >= 2)
        put(w, "%.1f min", minutes);
    else
        put(w, "%.0f s", seconds);
}

static const char *comma(int *n)
{
    return (*n)++ ? ", " : "";
}

/* What run.json says in one word or number each. */
static void print_config(const train_report *t)
{
    words w = { 0 };
    int n = 0;
    for (const gen_json *v = gen_json_first(t->config); v; v = gen_json_next(v)) {
        const char *text;
        double number;
        bool flag;
        if (gen_json_kind_of(v) == GEN_JSON_STRING && gen_json_string(v, NULL, &text) == GEN_OK)
            put(&w, "%s%s %s", comma(&n), gen_json_key(v), text);
        if (gen_json_kind_of(v) == GEN_JSON_NUMBER && gen_json_real(v, NULL, &number) == GEN_OK)
            put(&w, "%s%s %.10g", comma(&n), gen_json_key(v), number);
        if (gen_json_kind_of(v) == GEN_JSON_BOOL && gen_json_bool(v, NULL, &flag) == GEN_OK)
            put(&w, "%s%s %s", comma(&n), gen_json_key(v), flag ? "yes" : "no");
    }
    if (n)
        print("", &w);
}

static void print_steps(const train_report *t)
{
    words w = { 0 };
    int64_t starts, resumed = 0;
    const gen_history_line *l = gen_history_lines(t->log, GEN_HISTORY_START, &starts);
    double seconds = time_in_steps(t);
    put(&w, "%lld", (long long)t->steps);
    if (seconds > 0) {
        put(&w, " in ");
        put_duration(&w, seconds);
        put(&w, ", %.3g s a step, lately %.3g", seconds / (double)t->steps,
            lately(t, "step_seconds"));
    }
    for (int64_t i = 0; i < starts; i++)
        resumed += l[i].resumed;
    if (starts && *l[0].time)
        put(&w, "; since %s", l[0].time);
    if (resumed)
        put(&w, "; resumed %lld time%s", (long long)resumed, resumed > 1 ? "s" : "");
    print("steps", &w);
}

static void print_losses(const train_report *t)
{
    words w = { 0 };
    int n = 0, i = 0;
    for (const char *path; (path = gen_history_name(t->log, GEN_HISTORY_STEP, "losses/", &i));)
        put(&w, "%s%s %.3g", comma(&n), path + strlen("losses/"), lately(t, path));
    if (n)
        print("losses", &w);
}

static void print_validation(const train_report *t, const char *label, const gen_history_line *v)
{
    words w = { 0 };
    int n = 0, i = 0;
    const char *path;
    put(&w, "step %lld: ", (long long)v->step);
    while ((path = gen_history_name(t->log, GEN_HISTORY_VALIDATION, "scores/", &i)))
        put(&w, "%s%s %.4g", comma(&n), path + strlen("scores/"),
            gen_history_number(t->log, v, path));
    n = i = 0;
    while ((path = gen_history_name(t->log, GEN_HISTORY_VALIDATION, "baselines/", &i)))
        put(&w, "%s%s %.4g", n++ ? ", " : "; CRPS of ", report_leaf(path), report_mean(t, v, path));
    print(label, &w);
}

static void print_events(const train_report *t)
{
    words w = { 0 };
    int n = 0;
    const tally c = count_events(t);
    int64_t all;
    const gen_history_line *l = gen_history_lines(t->log, GEN_HISTORY_EVENT, &all);
    if (all == 0)
        return;
    for (int k = 0; k < c.n; k++)
        put(&w, "%s%s %lld", comma(&n), c.what[k], (long long)c.count[k]);
    print("events", &w);
    for (int64_t i = all > LAST_EVENTS ? all - LAST_EVENTS : 0; i < all; i++) {
        w = (words){ 0 };
        put(&w, "%lld %s%s%s", (long long)l[i].step, l[i].what, *l[i].text ? ": " : "", l[i].text);
        print("", &w);
    }
}

static void print_notes(const train_report *t)
{
    words w = { 0 };
    const char *sentence;
    int64_t broken = gen_history_broken(t->log, &sentence);
    if (broken)
        put(&w, "passed over %lld line%s that a kill or a full disk has cut: %s%s",
            (long long)broken, broken > 1 ? "s" : "", broken > 1 ? "first " : "", sentence);
    if (broken)
        print("note", &w);
    w = (words){ 0 };
    put(&w, "the last line of log.jsonl is not whole: it is being written, or was cut by a kill");
    if (gen_history_cut(t->log))
        print("note", &w);
}

static void print_text(const train_report *t)
{
    words w = { 0 };
    put(&w, "%s", t->folder);
    print("run", &w);
    print_config(t);
    print_steps(t);
    print_losses(t);
    if (t->newest)
        print_validation(t, "validation", t->newest);
    if (t->best && t->best != t->newest)
        print_validation(t, "best", t->best);
    else if (t->best)
        printf("%-*sthe newest\n", INDENT, "best");
    print_events(t);
    print_notes(t);
    w = (words){ 0 };
    put(&w, t->pictures ? "%s:" : "none", t->pictures_in);
    for (int i = 0, n = 0; i < t->pictures; i++)
        put(&w, "%s%s", n++ ? ", " : " ", t->picture[i].name);
    print("pictures", &w);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void put_validation(gen_json_writer *w, const train_report *t, const char *key,
                           const gen_history_line *v)
{
    const char *path;
    if (!v) {
        gen_json_put_null(w, key);
        return;
    }
    gen_json_open(w, key, '{');
    gen_json_put_int(w, "step", v->step);
    gen_json_open(w, "scores", '{');
    for (int i = 0; (path = gen_history_name(t->log, GEN_HISTORY_VALIDATION, "scores/", &i));)
        gen_json_put_real(w, path + strlen("scores/"), gen_history_number(t->log, v, path));
    gen_json_close(w, '}');
    gen_json_open(w, "baselines", '{');
    for (int i = 0; (path = gen_history_name(t->log, GEN_HISTORY_VALIDATION, "baselines/", &i));)
        gen_json_put_real(w, path + strlen("baselines/"), report_mean(t, v, path));
    gen_json_close(w, '}');
    gen_json_close(w, '}');
}

static void put_events(gen_json_writer *w, const train_report *t)
{
    const tally c = count_events(t);
    int64_t all;
    const gen_history_line *l = gen_history_lines(t->log, GEN_HISTORY_EVENT, &all);
    gen_json_open(w, "events", '{');
    for (int k = 0; k < c.n; k++)
        gen_json_put_int(w, c.what[k], c.count[k]);
    gen_json_close(w, '}');
    gen_json_open(w, "last_events", '[');
    for (int64_t i = all > LAST_EVENTS ? all - LAST_EVENTS : 0; i < all; i++) {
        gen_json_open(w, NULL, '{');
        gen_json_put_int(w, "step", l[i].step);
        gen_json_put_string(w, "what", l[i].what);
        gen_json_put_string(w, "text", l[i].text);
        gen_json_close(w, '}');
    }
    gen_json_close(w, ']');
}

static gen_status print_json(const train_report *t)
{
    gen_json_writer w = { 0 };
    const char *path;
    char *text;
    double seconds = time_in_steps(t);
    gen_json_open(&w, NULL, '{');
    gen_json_put_string(&w, "run", t->folder);
    gen_json_put_raw(&w, "config", t->config ? t->config_text : "null");
    gen_json_put_int(&w, "steps", t->steps);
    gen_json_put_real(&w, "seconds_in_steps", seconds);
    gen_json_put_real(&w, "step_seconds", lately(t, "step_seconds"));
    gen_json_open(&w, "losses", '{');
    for (int i = 0; (path = gen_history_name(t->log, GEN_HISTORY_STEP, "losses/", &i));)
        gen_json_put_real(&w, path + strlen("losses/"), lately(t, path));
    gen_json_close(&w, '}');
    put_validation(&w, t, "validation", t->newest);
    put_validation(&w, t, "best", t->best);
    put_events(&w, t);
    gen_json_put_bool(&w, "log_cut", gen_history_cut(t->log));
    gen_json_put_int(&w, "log_broken_lines", gen_history_broken(t->log, &path));
    gen_json_put_string(&w, "pictures_in", t->pictures_in);
    gen_json_open(&w, "pictures", '[');
    for (int i = 0; i < t->pictures; i++)
        gen_json_put_string(&w, NULL, t->picture[i].name);
    gen_json_close(&w, ']');
    gen_json_close(&w, '}');
    GEN_TRY(gen_json_finish(&w, &text));
    puts(text);
    gen_free(text);
    return GEN_OK;
}

gen_status report_print(const train_report *t)
{
    if (t->run->common.json)
        return print_json(t);
    print_text(t);
    return GEN_OK;
}
