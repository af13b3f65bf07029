/* SPDX-License-Identifier: Apache-2.0
 *
 * What the verbs of the weather room share: operands that name radar files or folders of them.
 */
#ifndef CLI_WEATHER_FILES_H
#define CLI_WEATHER_FILES_H

#include <libgen/plan.h>
#include <libgen/weather.h>

#include "cli/command.h"

/* The operands of a run with each folder replaced by its radar files in order of name: those that
 * match --pattern, or without one those whose content is known. A pattern with '/' goes as deep
 * into a folder as it has '/'. Hidden files are never taken. */
typedef struct file_list {
    char **path;
    int n;
    uint64_t capacity;
} file_list;

gen_status file_list_fill(file_list *l, const gen_run *r);
/* The same of an option that may be given several times. Both add to what the list has. */
gen_status file_list_fill_option(file_list *l, const gen_run *r, const char *name);
void file_list_free(file_list *l);

/* EINVAL where the output is one of the inputs: --force is not meant for observations. */
gen_status refuse_input(const file_list *l, const char *output);

/* A folder for outputs is there and can be written to; *made: by us, for who fails later to remove
 * it while it is empty. EINVAL: something else of that name is there. */
gen_status output_folder(const char *folder, bool *made);
/* "folder/name"; free with gen_free. */
gen_status picture_file(const char *folder, const char *name, char **out);
/* EEXIST: a picture of that name is in the way. */
gen_status picture_check(const char *folder, const char *name, bool force);

/* Options of the library from those of the command line. EINVAL. */
gen_status radar_options(gen_radar_read_options *out, const gen_run *r);

/* Numbers of --bbox (S,W,N,E) or --crop (Y,X,H,W); *given: 'b', 'c' or 0. EINVAL. */
gen_status radar_box(const gen_run *r, char *given, double v[4]);

/* The part of s that --bbox, --crop and --upscale ask for. */
gen_status radar_part(gen_radar_sequence *s, const gen_run *r);

/* Reads up to `frames` frames (0 = all), the newest at time `at` (text, or NULL: the newest there
 * is), the part of them that the command line asks for. EDATA when no frame has that time. */
gen_status read_until(gen_radar_sequence **out, const gen_run *r, const file_list *l,
                      const char *at, int64_t frames);

/* "gen nowcast a.nc -o b.nc (libgen 0.1.0, on cpu)": no date, so that the same call gives the same
 * bytes. b: what a network was computed on, or NULL. */
gen_status history_text(char **out, const gen_run *r, const gen_backend *b);

/* "2010-08-26 00:05 UTC", with seconds where there are some: for people. Returns buf. */
const char *time_title(int64_t t, char buf[40]);

/* To be called before the first file. After a write that failed, on a full disk, HDF5 (1.10) cannot
 * close its file, and crashes when the program ends and it tries again. Nothing of ours waits for
 * the end, so it need not try. Only a program may decide that, not a library. */
void leave_hdf5_at_exit(void);

#endif
