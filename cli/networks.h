/* SPDX-License-Identifier: Apache-2.0
 *
 * The networks of the program, and what the commands of `gen model` share.
 */
#ifndef CLI_NETWORKS_H
#define CLI_NETWORKS_H

#include <libgen/model.h>

#include "cli/command.h"

gen_status gen_networks_register(void);

/* By name, with "did you mean". EINVAL. */
gen_status gen_network_named(const char *name, const gen_arch **out);

/* In cli/model_run.c. */
gen_status gen_model_verb_run(gen_run *r);
gen_status gen_model_verb_bench(gen_run *r);
gen_status gen_model_verb_check(gen_run *r);

typedef struct gen_model_run_settings {
    const char *input, *output, *shape; /* repeated: read with gen_run_text */
    int64_t force, runs;
} gen_model_run_settings;

#endif
