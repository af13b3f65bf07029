/* SPDX-License-Identifier: Apache-2.0
 *
 * The progress bar, messages, signals. Only async-signal-safe calls in the handlers.
 */
#include "cli/terminal.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/command.h"
#include "libgen/base/file.h"

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
    if (caught) {
        gen_outputs_remove_all();
        _exit(128 + number);
    }
    caught = number;
}

static void on_closed_pipe(int number)
{
    (void)number;
    gen_outputs_remove_all();
    _exit(0);
}

/* nohup and shell scripts start programs that are to ignore a signal. */
static void catch(int number, void (*handler)(int))
{
    struct sigaction action = { .sa_handler = handler }, old;
    if (!sigaction(number, NULL, &old) && old.sa_handler == SIG_IGN)
        return;
    sigaction(number, &action, NULL);
}

void gen_terminal_signals(void)
{
    catch(SIGINT, on_signal);
    catch(SIGTERM, on_signal);
    catch(SIGHUP, on_signal);
    sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = on_closed_pipe }, NULL);
    signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files becomes a failed write */
}

int gen_terminal_signal(void)
{
    return caught;
}

int gen_run_canceled(void)
{
    return caught != 0;
}

/* ---- messages ------------------------------------------------------------------------------- */

char gen_terminal_plain(char c)
{
    return (unsigned char)c < 32 || c == 127 ? '?' : c;
}

/* One line, because messages quote files. A closed stderr must not hide the exit code of an error.
 */
static void say(const char *prefix, const char *message)
{
    char line[1100];
    snprintf(line, sizeof line, "%s", message);
    for (char *c = line; *c; c++)
        *c = gen_terminal_plain(*c);
    struct sigaction ignore = { .sa_handler = SIG_IGN }, old;
    sigaction(SIGPIPE, &ignore, &old);
    gen_terminal_progress_end();
    fprintf(stderr, "gen: %s%s\n", prefix, line);
    fflush(stderr);
    sigaction(SIGPIPE, &old, NULL);
}

void gen_terminal_error(const char *message)
{
    say("", message);
}

static struct {
    bool quiet;
    gen_log_fn *watch;
    void *cookie;
} messages;

static void on_message(void *cookie, gen_log_level level, const char *message)
{
    (void)cookie;
    if (!messages.quiet)
        say(level == GEN_LOG_WARN ? "warning: " : "", message);
    if (messages.watch && level == GEN_LOG_WARN)
        messages.watch(messages.cookie, level, message);
}

void gen_terminal_log(bool quiet, bool verbose)
{
    messages.quiet = quiet;
    gen_log_set(on_message, NULL, verbose && !quiet ? GEN_LOG_DEBUG : GEN_LOG_WARN);
}

void gen_terminal_watch(gen_log_fn *fn, void *cookie)
{
    messages.watch = fn;
    messages.cookie = cookie;
}

/* ---- progress ------------------------------------------------------------------------------- */

static struct {
    double start, drawn; /* seconds; drawn 0: nothing on the line */
    char what[64];       /* the work whose time is measured */
} bar;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* "1:02:03" or "42 s" */
static void time_text(double seconds, char buf[32])
{
    long s = seconds > 359999 ? 359999 : (long)(seconds + 0.5);
    if (s < 100)
        snprintf(buf, 32, "%ld s", s);
    else if (s < 3600)
        snprintf(buf, 32, "%ld:%02ld min", s / 60, s % 60);
    else
        snprintf(buf, 32, "%ld:%02ld:%02ld h", s / 3600, s / 60 % 60, s % 60);
}

static void draw(const char *what, double share, double seconds)
{
    char left[32], line[128];
    int full = (int)(share * 30);
    time_text(share > 0 ? seconds * (1 - share) / share : 0, left);
    snprintf(line, sizeof line, "%-16.40s [%.*s%.*s] %3.0f %%  %s left", what, full,
             "##############################", 30 - full, "..............................",
             share * 100, left);
    fprintf(stderr, "\r\033[K%s", line);
    fflush(stderr);
}

static int on_progress(void *cookie, const char *what, double done, double total)
{
    bool visible = cookie != NULL;
    double t = visible ? now() : 0;
    if (visible && strncmp(bar.what, what, sizeof bar.what - 1)) {
        snprintf(bar.what, sizeof bar.what, "%s", what);
        bar.start = t;
    }
    if (visible && t - bar.start > 0.5 && t - bar.drawn > 0.1 && total > 0) {
        double share = done / total;
        draw(what, share < 0 ? 0 : share > 1 ? 1 : share, t - bar.start);
        bar.drawn = t;
    }
    return caught;
}

gen_progress gen_terminal_progress(bool quiet)
{
    bool visible = !quiet && isatty(STDERR_FILENO);
    return (gen_progress){ on_progress, visible ? &bar : NULL };
}

void gen_terminal_progress_end(void)
{
    if (bar.drawn > 0)
        fprintf(stderr, "\r\033[K");
    bar.drawn = 0;
}
