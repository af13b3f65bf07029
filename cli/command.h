/* SPDX-License-Identifier: Apache-2.0
 *
 * What a verb of the program is. Each cli/<verb>.c exports one table of commands, ended by an entry
 * without a name; cli/main.c joins the tables, parses the arguments, calls run, prints the error
 * once and maps its status to an exit code. To add a verb: a file here, its line in CLI (Makefile)
 * and in the list of cli/main.c. Imitate cli/info.c.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <libgen/log.h>
#include <libgen/tensor.h>

#include "libgen/base/options.h"

/* Options that mean the same in every verb; a command names those it takes. -q and -v always. */
enum {
    GEN_TAKES_MODEL = 1 << 0,     /* -m, --model FILE */
    GEN_TAKES_OUTPUT = 1 << 1,    /* -o, --output FILE ('-' is refused by main.c); --force */
    GEN_TAKES_COMPUTE = 1 << 2,   /* -t, --threads; --device; --precision; --memory-budget */
    GEN_TAKES_SEED = 1 << 3,      /* --seed */
    GEN_TAKES_SAMPLES = 1 << 4,   /* -n, --num-samples; --members is the same */
    GEN_TAKES_JSON = 1 << 5,      /* --json */
    GEN_TAKES_PLAN = 1 << 6,      /* --plan */
    GEN_TAKES_RADAR_FILES = 1 << 7, /* how radar files are read: see gen_radar_input */
    GEN_TAKES_RADAR_PART = 1 << 8,  /* which part of them: --bbox, --crop, --upscale */
    GEN_TAKES_RADAR = GEN_TAKES_RADAR_FILES | GEN_TAKES_RADAR_PART
};

/* --variable, --units ... of every verb that reads radar files; cli/weather_files.c uses them. */
typedef struct gen_radar_input {
    const char *variable, *units, *zr, *palette, *pattern, *bbox, *crop;
    double interval;              /* minutes */
    double threshold;             /* mm/h */
    int64_t upscale, untrusted;
    int64_t fill_gap;             /* gen_radar_fill */
} gen_radar_input;

enum { GEN_PRECISION_F32, GEN_PRECISION_BF16, GEN_PRECISION_TF32 };

typedef struct gen_common {
    const char *model, *output;   /* NULL when not given */
    int64_t force;
    int64_t threads;              /* 0 = all */
    const char *device;           /* "cpu" */
    int64_t precision;            /* GEN_PRECISION_*; gen_run_dtype(), gen_run_tf32() */
    const char *memory_budget_text;
    uint64_t memory_budget;       /* bytes; 0 = not given. Filled by main from the text */
    int64_t seed, samples;        /* samples: 1 when not given */
    int64_t json, plan, quiet, verbose;
    gen_radar_input radar;
} gen_common;

/* One call of a verb. Everything is borrowed and lives until the program ends. */
typedef struct gen_run {
    void *settings;               /* the command's own struct, filled from its table */
    gen_common common;
    const char *const *operands;  /* words that are no options: files */
    int n_operands;
    gen_progress progress;        /* pass it to the library: bar on a terminal, Ctrl-C cancels */
    const char *command_line;     /* "gen nowcast a.nc -o b.nc", for history attributes */
    double started;               /* CLOCK_MONOTONIC seconds when the program began */
    bool gate_failed;             /* set by run: exit 8 (a --fail-under gate, unlike protocols) */
    struct gen_given *given;      /* private: see gen_run_given */
    int n_given;
} gen_run;

typedef struct gen_command {
    const char *name;             /* "nowcast"; with a sub-verb "model info" */
    const char *operands;         /* usage line: "FILE..."; NULL: none */
    int min_operands, max_operands; /* max -1: any number */
    const char *help;             /* one line */
    const gen_option *options;    /* own options, or NULL */
    size_t settings_size;         /* of the struct behind `options` */
    unsigned takes;               /* GEN_TAKES_* */
    gen_status (*run)(gen_run *r);
    const char *examples;         /* lines under "Examples:", "gen nowcast a.nc -o b.nc\n" */
} gen_command;

/* How often the option was given (0 = default holds); its last text, or text i. */
int gen_run_given(const gen_run *r, const char *name);
const char *gen_run_text(const gen_run *r, const char *name, int i);

/* --precision as a dtype, and whether it is tf32, which stores f32. */
gen_dtype gen_run_dtype(const gen_run *r);
bool gen_run_tf32(const gen_run *r);

/* Non-zero after SIGINT or SIGTERM, for loops of the verb's own. run then returns GEN_ECANCELED. */
int gen_run_canceled(void);

/* What the program ends with after this status. */
int gen_exit_code(gen_status s);

/* The tables, one a file. */
extern const gen_command gen_commands_info[];
extern const gen_command gen_commands_model[];
extern const gen_command gen_commands_metrics[]; /* GEN_WITH_WEATHER, as those below */
extern const gen_command gen_commands_nowcast[];
extern const gen_command gen_commands_plot[];
extern const gen_command gen_commands_radar[];
extern const gen_command gen_commands_radar_convert[];
extern const gen_command gen_commands_radar_info[];
extern const gen_command gen_commands_radar_products[];
extern const gen_command gen_commands_train_report[];
extern const gen_command gen_commands_train[];

#endif
