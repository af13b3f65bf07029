/* SPDX-License-Identifier: Apache-2.0
 *
 * Options described once: one table a struct gives defaults, command-line flags, --help, JSON
 * configurations, model metadata and the printing of op attributes. Parsing is strict: the whole
 * string, in range, with "did you mean".
 */
#ifndef LIBGEN_BASE_OPTIONS_H
#define LIBGEN_BASE_OPTIONS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "libgen/base/fail.h"

typedef enum gen_option_type {
    GEN_OPT_END, /* ends a table */
    GEN_OPT_INT,    /* int64_t */
    GEN_OPT_INT3,   /* int64_t[3] (attributes of ops only) */
    GEN_OPT_REAL,   /* double */
    GEN_OPT_FLAG,   /* int64_t, 0 or 1; on the command line it takes no value */
    GEN_OPT_STRING, /* const char *, borrowed */
    GEN_OPT_CHOICE  /* int64_t: index into choices, "a|b|c" */
} gen_option_type;

typedef struct gen_option {
    gen_option_type type;
    const char *name; /* "max-age": --max-age, JSON key max_age */
    char letter;      /* 'o' for -o, or 0 */
    size_t offset;
    double preset;         /* default of numbers, flags and choices */
    const char *text;      /* default of strings, may be NULL */
    double min, max;       /* numbers; both 0 = any */
    const char *choices;   /* "a|b|c" */
    const char *value;     /* word for the value in --help: "FILE", "N" */
    const char *help;
} gen_option;

/* Writes every default into `settings`. */
GEN_API void gen_options_defaults(const gen_option *table, void *settings);

/* Sets one option from text. EINVAL: names the option, the text and what was expected. */
GEN_API gen_status gen_option_set(const gen_option *table, void *settings, const char *name,
                                  const char *text);

/* Sets options from "a=1,b=2", the value of an option --`what`; the others stay as they are. EINVAL
 * names `what` and the pair. */
GEN_API gen_status gen_options_set_pairs(const gen_option *table, void *settings, const char *what,
                                         const char *text);

/* The entry called name ('-' and '_' are alike), or NULL. */
GEN_API const gen_option *gen_option_find(const gen_option *table, const char *name);

/* The nearest of the names to `word` within two edits, for "did you mean", or NULL. */
GEN_API const char *gen_nearest_word(const char *word, const char *const *names, int n);

/* Strict numbers: the whole text, finite, in range. EINVAL. */
GEN_API gen_status gen_parse_int(const char *text, const char *what, int64_t min, int64_t max,
                                 int64_t *out);
GEN_API gen_status gen_parse_real(const char *text, const char *what, double min, double max,
                                  double *out);

/* "1,4,8": *n in capacity, out how many there are; each strict as above. EINVAL. */
GEN_API gen_status gen_parse_reals(const char *text, const char *what, double min, double max,
                                   double *out, int *n);

/* "6G", "512MiB", "1000": decimal or binary units. EINVAL. */
GEN_API gen_status gen_parse_bytes(const char *text, const char *what, uint64_t *out);

/* "90s", "15min", "1.5h", "2d" as seconds. A bare number is no duration. EINVAL. */
GEN_API gen_status gen_parse_duration(const char *text, const char *what, double *seconds);

/* The shortest text that reads back as v, the same in every locale; "nan", "inf". Returns buf. */
#define GEN_REAL_TEXT 40
GEN_API const char *gen_real_text(double v, char buf[GEN_REAL_TEXT]);

/* Sets the option from text. The text is borrowed by strings. */
GEN_API gen_status gen_option_apply(const gen_option *o, void *settings, const char *text);

/* The value as text that gen_option_apply reads back; "" for a string that is not set. */
GEN_API const char *gen_option_value(const gen_option *o, const void *settings, char *buf,
                                     size_t size);

/* Word `index` of the choices into buf ("" when there is none); returns buf. */
#define GEN_CHOICE_TEXT 32
GEN_API const char *gen_option_choice(const gen_option *o, int64_t index,
                                      char buf[GEN_CHOICE_TEXT]);

/* " stride=2,2 pad=1" of what differs from the default, into buf (cut at size). */
GEN_API void gen_options_text(const gen_option *table, const void *settings, char *buf,
                              size_t size);

#endif
