/* SPDX-License-Identifier: Apache-2.0
 *
 * What the program shares with its terminal: the progress bar, messages, signals.
 */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>

#include <libgen/log.h>

/* SIGINT, SIGTERM, SIGHUP ask the work to stop; a second one ends the program at once, without its
 * temporaries. A reader of ours that goes away (SIGPIPE) ends it quietly. */
void gen_terminal_signals(void);
int gen_terminal_signal(void); /* the signal that came, or 0 */

/* Log sink: warnings; with -v more. */
void gen_terminal_log(bool quiet, bool verbose);

/* Warnings also go to fn, even where they are not shown. NULL ends it. */
void gen_terminal_watch(gen_log_fn *fn, void *cookie);

/* A character of a text that a file holds, for a terminal, which would obey control characters. */
char gen_terminal_plain(char c);

/* "gen: message" on stderr, whatever has become of stderr. */
void gen_terminal_error(const char *message);

/* The bar appears only where stderr is a terminal, and after half a second. Cancels on signals. */
gen_progress gen_terminal_progress(bool quiet);
void gen_terminal_progress_end(void); /* clears the line */

#endif
