/* SPDX-License-Identifier: Apache-2.0
 *
 * The program: finds the verb, parses, runs, and turns a status into an exit code. It knows nothing
 * of what the verbs do. `gen-nowcast` and the like are links to it that name the verb.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/arguments.h"
#include "cli/networks.h"
#include "cli/terminal.h"
#include "libgen/base/alloc.h"

/* Every verb's table, in the order of `gen --help`. */
static const gen_command *const tables[] = {
    gen_commands_info,
    gen_commands_model,
#ifdef GEN_WITH_WEATHER
    gen_commands_nowcast,
    gen_commands_train,
    gen_commands_metrics,
    gen_commands_radar_info,
    gen_commands_radar_convert,
    gen_commands_radar_products,
    gen_commands_plot,
    gen_commands_radar,
    gen_commands_train_report,
#endif
};

static const struct {
    const char *link, *verb;
} links[] = {
    { "gen-nowcast", "nowcast" },
    { "gen-video", "video" },
    { "gen-speech", "speech" },
    { "gen-metrics", "metrics" },
};

/* The one table from status to exit code. Not listed: 1. */
static const struct {
    gen_status status;
    int code;
} exit_codes[] = {
    { GEN_OK, 0 },     { GEN_EINVAL, 2 },   { GEN_EEXIST, 2 },  { GEN_EDATA, 3 },
    { GEN_EMODEL, 4 }, { GEN_ENOMEM, 5 },   { GEN_ENUMERIC, 6 }, { GEN_EDEVICE, 7 },
};
enum { EXIT_GATE = 8, EXIT_SIGNAL = 128 };

int gen_exit_code(gen_status s)
{
    if (s == GEN_ECANCELED && gen_terminal_signal())
        return EXIT_SIGNAL + gen_terminal_signal();
    for (int i = 0; i < GEN_LEN(exit_codes); i++)
        if (exit_codes[i].status == s)
            return exit_codes[i].code;
    return 1;
}

/* ---- verbs ---------------------------------------------------------------------------------- */

/* "model info" has the verb "model". */
static bool has_verb(const gen_command *c, const char *verb)
{
    size_t n = strlen(verb);
    return !strncmp(c->name, verb, n) && (c->name[n] == ' ' || !c->name[n]);
}

static const char *sub_verb(const gen_command *c)
{
    const char *blank = strchr(c->name, ' ');
    return blank ? blank + 1 : "";
}

/* Lists the commands of a verb, or all of them. */
static void list(FILE *out, const char *verb)
{
    fprintf(out, "Usage: gen %s%s [OPTION...]\n\n", verb ? verb : "VERB",
            verb ? " COMMAND" : "");
    for (int t = 0; t < GEN_LEN(tables); t++)
        for (const gen_command *c = tables[t]; c->name; c++)
            if (!verb || has_verb(c, verb))
                gen_arguments_print(out, c->help, 23, fprintf(out, "  gen %-16s ", c->name));
    fprintf(out, "\ngen %s --help says more about one of them%s.\n", verb ? "VERB COMMAND" : "VERB",
            verb ? "" : "; gen --version prints the version");
}

static gen_status unknown_word(const char *word, const char *verb)
{
    const char *names[128];
    int n = 0;
    for (int t = 0; t < GEN_LEN(tables); t++)
        for (const gen_command *c = tables[t]; c->name && n < GEN_LEN(names); c++)
            if (!verb)
                names[n++] = c->name;
            else if (has_verb(c, verb))
                names[n++] = sub_verb(c);
    char first[128][32]; /* "model info" offers "model" */
    for (int i = 0; i < n && !verb; i++) {
        snprintf(first[i], sizeof first[i], "%.*s", (int)strcspn(names[i], " "), names[i]);
        names[i] = first[i];
    }
    const char *near = gen_nearest_word(word, names, n);
    const char *lead = verb ? verb : "", *blank = verb ? " " : "";
    if (near)
        return gen_fail(GEN_EINVAL, "unknown command 'gen %s%s%s'; did you mean 'gen %s%s%s'?",
                        lead, blank, word, lead, blank, near);
    return gen_fail(GEN_EINVAL, "unknown command 'gen %s%s%s' (gen %s%s--help lists them)", lead,
                    blank, word, lead, blank);
}

/* Finds the command that words name; *used: how many of them. NULL with a listing or an error
 * already given, *status then says which. */
static const gen_command *find_command(char *const *words, int n, int *used, gen_status *status)
{
    const gen_command *group = NULL;
    for (int t = 0; t < GEN_LEN(tables); t++) {
        for (const gen_command *c = tables[t]; c->name; c++) {
            if (!has_verb(c, words[0]))
                continue;
            group = c;
            *used = *sub_verb(c) ? 2 : 1;
            if (!*sub_verb(c) || (n > 1 && !strcmp(sub_verb(c), words[1])))
                return c;
        }
    }
    if (!group) {
        *status = unknown_word(words[0], NULL);
    } else if (n > 1 && strcmp(words[1], "--help") && strcmp(words[1], "-h")) {
        *status = unknown_word(words[1], words[0]);
    } else {
        *status = n > 1 ? GEN_OK : gen_fail(GEN_EINVAL, "gen %s wants a command", words[0]);
        list(n > 1 ? stdout : stderr, words[0]);
    }
    return NULL;
}

/* ---- running -------------------------------------------------------------------------------- */

/* Everything printed has arrived, or the program has failed. */
static gen_status flush_output(void)
{
    errno = 0;
    if ((!fflush(stdout) && !ferror(stdout)) || errno == EPIPE)
        return GEN_OK; /* a reader that has gone is no failure */
    return gen_fail(errno == ENOSPC || errno == EFBIG ? GEN_ENOMEM : GEN_EIO,
                    "cannot write to standard output: %s", strerror(errno ? errno : EIO));
}

static gen_status run_command(const gen_command *c, char *const *words, int n, gen_run *r)
{
    bool help;
    GEN_TRY(gen_arguments_parse(r, c, words, n, &help));
    if (help) {
        gen_arguments_help(stdout, c);
        return GEN_OK;
    }
    gen_terminal_log(r->common.quiet, r->common.verbose);
    if (r->common.output && !strcmp(r->common.output, "-"))
        return gen_fail(GEN_EINVAL, "%s: -o - : it writes a file, not stdout (./- is a file)",
                        c->name);
    GEN_TRY(gen_networks_register());
    r->progress = gen_terminal_progress(r->common.quiet);
    gen_status status = c->run(r);
    gen_terminal_progress_end();
    return status;
}

static gen_status start(int n, char *const *words, gen_run *r)
{
    if (n == 0) {
        list(stderr, NULL);
        return gen_fail(GEN_EINVAL, "a verb is missing");
    }
    bool help = !strcmp(words[0], "help");
    if (help && n > 1)
        words++, n--;
    else if (help || !strcmp(words[0], "--help") || !strcmp(words[0], "-h")) {
        list(stdout, NULL);
        return GEN_OK;
    }
    if (!strcmp(words[0], "--version")) {
        printf("gen %s\n", gen_version());
        return GEN_OK;
    }
    if (words[0][0] == '-')
        return gen_fail(GEN_EINVAL, "'%s' stands before the verb (gen --help lists verbs)",
                        words[0]);
    int used;
    gen_status status;
    char *const group[] = { words[0], "--help" }; /* `gen help model` is `gen model --help` */
    bool one = help && n == 1;
    const gen_command *c = find_command(one ? group : words, one ? 2 : n, &used, &status);
    if (!c)
        return status;
    if (help) {
        gen_arguments_help(stdout, c);
        return GEN_OK;
    }
    return run_command(c, words + used, n - used, r);
}

/* Where a caller closed one of the first three files, the next file opened would take its number:
 * a warning would then be written into the forecast. The wrong mode keeps its use an error. */
static void hold_standard_files(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_RDONLY : O_WRONLY) < 0)
            return;
}

int main(int argc, char **argv)
{
    hold_standard_files();
    gen_run r = { 0 };
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    r.started = (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
    char *command_line = NULL;
    char **words = NULL;
    gen_terminal_signals();
    const char *name = argc ? strrchr(argv[0], '/') : NULL;
    name = name ? name + 1 : argc ? argv[0] : "gen";
    gen_status status = GEN_ALLOC(&words, argc + 2, "arguments");
    int n = 0;
    if (status == GEN_OK) {
        words[n++] = "gen";
        for (int i = 0; i < GEN_LEN(links); i++)
            if (!strcmp(name, links[i].link))
                words[n++] = (char *)links[i].verb;
        for (int i = 1; i < argc; i++)
            words[n++] = argv[i];
        status = gen_arguments_join(&command_line, n, words);
    }
    if (status == GEN_OK) {
        r.command_line = command_line;
        status = start(n - 1, words + 1, &r);
    }
    gen_status flushed = flush_output();
    if (status == GEN_OK)
        status = flushed;
    int code = status == GEN_OK && r.gate_failed ? EXIT_GATE : gen_exit_code(status);
    if (status != GEN_OK && !(status == GEN_ECANCELED && gen_terminal_signal()))
        gen_terminal_error(gen_last_error());
    gen_arguments_free(&r);
    gen_free(command_line);
    gen_free(words);
    if (code) { /* HDF5 tidies up at exit, and dies of what a full disk has left half written */
        fflush(NULL);
        _exit(code);
    }
    return 0;
}
