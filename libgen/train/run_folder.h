/* SPDX-License-Identifier: Apache-2.0
 *
 * The folder of a run as the file system sees it: which checkpoints lie in it, whether one is
 * whole, how one appears and goes.
 */
#ifndef LIBGEN_TRAIN_RUN_FOLDER_H
#define LIBGEN_TRAIN_RUN_FOLDER_H

#include "libgen/base/alloc.h"

#define GEN_STEP_NAME 40 /* "step-00001234", with a suffix while it is written or removed */
#define GEN_RUN_PATH 4096

/* Files of a checkpoint. */
#define GEN_RUN_ABOUT "checkpoint.json"
#define GEN_RUN_STATE "state.json"
#define GEN_RUN_TENSORS "tensors.safetensors"
#define GEN_RUN_SUMS "SHA256SUMS"

#define GEN_RUN_WRITING ".writing"
#define GEN_RUN_REMOVING ".removing"

/* "FOLDER/step-00001234SUFFIX/FILE", the last part where file is not NULL; EINVAL: too long. */
gen_status gen_run_path(char out[GEN_RUN_PATH], const char *folder, int64_t step,
                        const char *suffix, const char *file);
gen_status gen_run_make_folder(const char *path);
/* Removes what outputs (libgen/base/file.h) of processes that are no more have left half written.
 */
void gen_run_clear(const char *folder);
/* Removes files and folder. */
void gen_run_remove_folder(const char *path);

/* The text that SHA256SUMS of a checkpoint must have, from its other files; EDATA: one is missing.
 */
#define GEN_RUN_SUMS_TEXT 512
gen_status gen_run_sums(char out[GEN_RUN_SUMS_TEXT], const char *folder, int64_t step,
                        const char *suffix);
/* EDATA: not whole; the sentence says what is wrong, without the name of the folder. */
gen_status gen_run_verify(const char *folder, int64_t step, const char *suffix);

/* Calls fn with the step and suffix ("" or one of the above) of each entry of that form. */
gen_status gen_run_scan(const char *folder,
                        gen_status (*fn)(void *ctx, int64_t step, const char *suffix), void *ctx);

#endif
