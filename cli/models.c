/* SPDX-License-Identifier: Apache-2.0
 *
 * Where bundled models lie. Beside the program first, so that an installation may be moved as a
 * whole, and one that was staged with DESTDIR or another PREFIX needs no other binary.
 */
#include "cli/models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef GEN_DATADIR
#define GEN_DATADIR "/usr/local/share/libgen"
#endif

const char *const models_names[] = {
#ifdef GEN_WITH_WEATHER
    "nowcast",
#endif
    NULL,
};

/* The folder above that of the program: "/usr" for /usr/bin/gen; false: not known. */
static bool above_program(char out[PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
    if (n <= 0)
        return false;
    out[n] = 0;
    for (int i = 0; i < 2; i++) {
        char *slash = strrchr(out, '/');
        if (!slash)
            return false;
        *slash = 0;
    }
    return true;
}

/* Adds a folder, unless it is there or too long. */
static int add(char folder[MODEL_FOLDERS][PATH_MAX], int n, const char *root, const char *rest)
{
    int length = snprintf(folder[n], PATH_MAX, "%s%s", root, rest);
    for (int i = 0; i < n; i++)
        if (strcmp(folder[i], folder[n]) == 0)
            return n;
    return length < PATH_MAX ? n + 1 : n;
}

int models_folders(char folder[MODEL_FOLDERS][PATH_MAX])
{
    char root[PATH_MAX];
    const char *given = getenv("GEN_MODELS");
    int n = 0;
    if (given && *given)
        return add(folder, 0, given, "");
    if (above_program(root)) {
        n = add(folder, n, root, "/share/libgen/models");
        n = add(folder, n, root, "/weather/models");
    }
    return add(folder, n, GEN_DATADIR, "/models");
}

bool models_find(const char *name, char path[PATH_MAX])
{
    char folder[MODEL_FOLDERS][PATH_MAX];
    int n = models_folders(folder);
    for (int i = 0; i < n; i++)
        if (snprintf(path, PATH_MAX, "%s/%s.safetensors", folder[i], name) < PATH_MAX &&
            access(path, F_OK) == 0)
            return true;
    return false;
}

const char *models_places(char *text, size_t size)
{
    char folder[MODEL_FOLDERS][PATH_MAX];
    int n = models_folders(folder);
    size_t at = 0;
    *text = 0;
    for (int i = 0; i < n && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%s", i ? ", " : "", folder[i]);
    return text;
}
