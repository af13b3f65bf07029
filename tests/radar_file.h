/* SPDX-License-Identifier: Apache-2.0
 *
 * Radar files in a folder of the test's own, and what is expected of reading them.
 */
#ifndef TESTS_RADAR_FILE_H
#define TESTS_RADAR_FILE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <libgen/weather.h>

#include "libgen/base/fail.h"

static char folder[] = "/tmp/gen-radar-XXXXXX";

static inline const char *in_folder(const char *name)
{
    static char path[4][256];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static inline gen_status status_of(const char *path, const gen_radar_read_options *o)
{
    gen_radar_contents *c = NULL;
    gen_status status = gen_radar_inspect(&c, path, o);
    assert_true((status == GEN_OK) == (c != NULL));
    gen_radar_contents_free(&c);
    return status;
}

static inline void expect_sentence(const char *path, const char *part)
{
    gen_status status = status_of(path, NULL);
    if (status != GEN_EDATA || !strstr(gen_last_error(), part))
        fail_msg("%s: '%s', expected GEN_EDATA and '%s'", gen_status_name(status), gen_last_error(),
                 part);
    assert_non_null(strstr(gen_last_error(), path));
}

static inline gen_radar_contents *contents(const char *path, const char *variable)
{
    gen_radar_contents *c = NULL;
    gen_radar_read_options o = { .variable = variable };
    if (gen_radar_inspect(&c, path, &o) != GEN_OK)
        fail_msg("%s", gen_last_error());
    return c;
}

static inline int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static inline int remove_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

#endif
