/* SPDX-License-Identifier: Apache-2.0
 *
 * Files: read whole with a limit; written beside, synced and renamed, so that a file is whole or
 * absent.
 */
#ifndef LIBGEN_BASE_FILE_H
#define LIBGEN_BASE_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "libgen/base/fail.h"

/* Reads at most `limit` bytes; more, or no file, is EDATA. *data gets a 0 byte behind the end (not
 * counted in *size); free with gen_free. */
GEN_API gen_status gen_file_read(const char *path, uint64_t limit, char **data, uint64_t *size);

/* An output that appears at `path` only when committed. The temporary stands in the same folder, so
 * that the rename is atomic. `force` false: EEXIST if `path` is there, at open and at commit. */
typedef struct gen_output {
    char *path, *temporary;
    bool force;
    FILE *file; /* NULL when a library (netCDF, Cairo) writes to `temporary` by name */
} gen_output;

/* Whether an output may be opened there: EEXIST without force, EINVAL where it is no file. For
 * outputs that are written long after they could be refused. */
GEN_API gen_status gen_output_check(const char *path, bool force);
GEN_API gen_status gen_output_open(gen_output *o, const char *path, bool force, bool by_name);
/* Flushes, syncs, renames, syncs the folder. On failure the temporary is removed. */
GEN_API gen_status gen_output_commit(gen_output *o);
/* The failure of a write, for those that write with a library's calls: a full disk, quota or size
 * limit is ENOMEM, everything else EIO. code is an errno. */
GEN_API gen_status gen_output_error(const char *path, int code);
/* Removes the temporary. Does nothing after a commit or on a zeroed struct. */
GEN_API void gen_output_abort(gen_output *o);

/* A folder's entries on disk, after a rename in it. */
GEN_API void gen_folder_sync(const char *folder);

/* Locks the file `path`, made when it is not there, for one holder; the kernel lets the lock go
 * with its process, however that ended. `who` is left in it as text. EIO, naming the holder, with
 * *busy where another one has it. Close *fd to let go. */
GEN_API gen_status gen_file_lock(int *fd, bool *busy, const char *path, const char *who);

/* Removes every temporary now open: async-signal-safe, for a program's SIGINT handler. */
GEN_API void gen_outputs_remove_all(void);

#endif
