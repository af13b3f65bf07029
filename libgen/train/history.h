/* SPDX-License-Identifier: Apache-2.0
 *
 * What a training has written down: RUN/log.jsonl, one JSON object a line, in order of time.
 *
 *     {"kind":"start","step":0,"time":"2026-11-23T12:00:00Z","resumed":false}
 *     {"kind":"step","step":120,"seconds":51.2,"step_seconds":0.41,"losses":{"D":1.9,"G":2.1}}
 *     {"kind":"validation","step":500,"scores":{"crps":0.31},"leads_min":[5,10],"crps":[0.2,null]}
 *     {"kind":"event","step":777,"what":"skip","text":"step 777, sample a.nc: loss of G is nan"}
 *
 * Numbers are found by their path in the line, "losses/D": one, or an array of them; null is NaN.
 * What is not known here (keys, kinds of lines) is kept where it is a number, else passed over.
 *
 * A training goes back to an earlier step when it is resumed or rolls back. A step or validation
 * that comes later in the file then replaces what there was of its kind from that step on, and of
 * the other kind behind it; a start replaces what lies behind its step. Events stay.
 *
 * A kill cuts the last line, a full disk any line, and a run that goes on writes behind it. So a
 * line that is no JSON is passed over and counted, and a last one without its newline is not
 * looked at. A line that is JSON and not of this form is an error.
 */
#ifndef LIBGEN_TRAIN_HISTORY_H
#define LIBGEN_TRAIN_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "libgen/base/fail.h"

/* Larger is EDATA. A step's line has some 300 bytes: two weeks of one a second. */
#define GEN_HISTORY_MAX_BYTES (512u << 20)
#define GEN_HISTORY_MAX_LINE (1u << 20)
#define GEN_HISTORY_MAX_NAMES 1000 /* different paths of numbers */
#define GEN_HISTORY_MAX_NAME 200   /* bytes of a path; numbers of longer ones are passed over */
#define GEN_HISTORY_MAX_NUMBERS (1u << 26)

typedef enum gen_history_kind {
    GEN_HISTORY_START,
    GEN_HISTORY_STEP,
    GEN_HISTORY_VALIDATION,
    GEN_HISTORY_EVENT,
    GEN_HISTORY_KINDS
} gen_history_kind;

typedef struct gen_history gen_history;

/* A line. Borrowed from the history, as all that is got from it. */
typedef struct gen_history_line {
    int64_t number; /* in the file, from 1 */
    int64_t step;
    bool resumed;                   /* of a start */
    const char *time, *what, *text; /* "" where the line has none */
    uint64_t first;                 /* private */
    int items;
} gen_history_line;

/* Reads the file as far as it is written. EDATA: it is not there, too large, or has a line that is
 * no JSON object with a kind and a step; the sentence names file and line. */
gen_status gen_history_read(gen_history **out, const char *path);
/* The same of `size` bytes of text; path is for sentences. */
gen_status gen_history_parse(gen_history **out, const char *text, uint64_t size, const char *path);
void gen_history_free(gen_history **h);

/* Lines of a kind that hold, by rising step; events and starts: all, in order of time. */
const gen_history_line *gen_history_lines(const gen_history *h, gen_history_kind kind, int64_t *n);

/* The numbers at a path; *v [n] where there are some (n may be 0 for an empty array), NULL and 0
 * where there are none. */
int gen_history_numbers(const gen_history *h, const gen_history_line *line, const char *name,
                        const double **v);
/* The single number there, or NaN. */
double gen_history_number(const gen_history *h, const gen_history_line *line, const char *name);

/* Paths that begin with `prefix` in lines of a kind that hold, in the order in which they first
 * came; NULL behind the last. *i begins with 0. */
const char *gen_history_name(const gen_history *h, gen_history_kind kind, const char *prefix,
                             int *i);

/* Lines that are no JSON. *sentence: about the first, with file and line; "" where there is none.
 */
int64_t gen_history_broken(const gen_history *h, const char **sentence);
/* Is the last line without its newline: being written, or cut? */
bool gen_history_cut(const gen_history *h);

#endif
