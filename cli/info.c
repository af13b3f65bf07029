/* SPDX-License-Identifier: Apache-2.0
 *
 * gen info: what this program was built with and what it finds.
 */
#include <stddef.h>

#include "cli/command.h"
#include "libgen/base/alloc.h"
#include "libgen/base/json.h"

static gen_status run_info(gen_run *r)
{
    (void)r;
    printf("gen %s\n", gen_version());
    return GEN_OK;
}

const gen_command gen_commands_info[] = {
    { .name = "info",
      .help = "Version, instruction set, threads and built-in features.",
      .takes = GEN_TAKES_JSON,
      .run = run_info,
      .examples = "gen info\ngen info --json\n" },
    { 0 },
};
