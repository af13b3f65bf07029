/* SPDX-License-Identifier: Apache-2.0
 *
 * The trained models that come with the program: where they are looked for.
 */
#ifndef CLI_MODELS_H
#define CLI_MODELS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* The folders, in the order in which they are looked into: that of the environment variable
 * GEN_MODELS alone, where it is set; else beside the program that was installed, in the source tree
 * that it was built in, and where `make install` puts them by default. Returns their number. */
#define MODEL_FOLDERS 3
int models_folders(char folder[MODEL_FOLDERS][PATH_MAX]);

/* The bundled model of a name, like "nowcast"; false: there is none. */
bool models_find(const char *name, char path[PATH_MAX]);

/* The folders as text, for an error sentence: "a, b, c". */
const char *models_places(char *text, size_t size);

/* Names of the models that may come with the program; NULL ends the list. */
extern const char *const models_names[];

#endif
