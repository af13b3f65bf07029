/* SPDX-License-Identifier: Apache-2.0
 *
 * From argv to a gen_run, and from a command's tables to its --help.
 */
#ifndef CLI_ARGUMENTS_H
#define CLI_ARGUMENTS_H

#include "cli/command.h"

struct gen_given {
    const gen_option *option;
    const char *text;
};

/* Parses the words behind the verb. *help is set, and the rest not judged, where --help is among
 * them. EINVAL. Free with gen_arguments_free. */
gen_status gen_arguments_parse(gen_run *r, const gen_command *c, char *const *words, int n,
                               bool *help);
void gen_arguments_free(gen_run *r);

void gen_arguments_help(FILE *out, const gen_command *c);

/* Words in lines of at most 96 columns, the first from `column` on, the others from `indent`. */
void gen_arguments_print(FILE *out, const char *text, int indent, int column);

/* "gen nowcast 'a b.nc' -o out.nc"; free with gen_free. */
gen_status gen_arguments_join(char **out, int argc, char *const *argv);

#endif
