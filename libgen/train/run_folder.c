/* SPDX-License-Identifier: Apache-2.0
 *
 * Folders of checkpoints. One appears and goes by a rename of its folder: under its own name it is
 * whole, or it was damaged later.
 */
#include "libgen/train/run_folder.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libgen/base/file.h"
#include "libgen/base/sha256.h"

gen_status gen_run_path(char out[GEN_RUN_PATH], const char *folder, int64_t step,
                        const char *suffix, const char *file)
{
    int n = snprintf(out, GEN_RUN_PATH, "%s/step-%08" PRId64 "%s%s%s", folder, step, suffix,
                     file ? "/" : "", file ? file : "");
    if (n >= GEN_RUN_PATH)
        return gen_fail(GEN_EINVAL, "the name of the folder has %d characters, expected fewer",
                        (int)strlen(folder));
    return GEN_OK;
}

gen_status gen_run_make_folder(const char *path)
{
    struct stat st;
    if (mkdir(path, 0777) == 0)
        return GEN_OK;
    int code = errno;
    if (code == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return GEN_OK;
    return gen_output_error(path, code);
}

void gen_run_clear(const char *folder)
{
    char entry[GEN_RUN_PATH + 300], *end;
    DIR *d = opendir(folder);
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));) {
        if (strncmp(e->d_name, ".gen-", 5) != 0)
            continue;
        long process = strtol(e->d_name + 5, &end, 16); /* ".gen-PROCESS-NUMBER" */
        if (*end != '-' || process <= 0 || (kill((pid_t)process, 0) == 0 || errno != ESRCH))
            continue;
        snprintf(entry, sizeof entry, "%s/%s", folder, e->d_name);
        (void)unlink(entry);
    }
    closedir(d);
}

void gen_run_remove_folder(const char *path)
{
    char entry[GEN_RUN_PATH + 300];
    DIR *d = opendir(path);
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));) {
        snprintf(entry, sizeof entry, "%s/%s", path, e->d_name);
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            (void)unlink(entry);
    }
    closedir(d);
    (void)rmdir(path);
}

/* ---- digests --------------------------------------------------------------------------------- */

static gen_status digest(const char *path, const char *name, char text[GEN_SHA256_TEXT])
{
    enum { BLOCK = 1 << 18 };
    char *block;
    gen_sha256 h;
    size_t n;
    FILE *f = fopen(path, "rb");
    if (!f)
        return gen_fail(GEN_EDATA, "%s is missing", name);
    gen_status status = gen_alloc_raw((void **)&block, BLOCK, 1, "digest");
    if (status == GEN_OK) {
        gen_sha256_start(&h);
        while ((n = fread(block, 1, BLOCK, f)) > 0)
            gen_sha256_add(&h, block, n);
        gen_sha256_finish(&h, text);
        if (ferror(f))
            status = gen_fail(GEN_EDATA, "%s cannot be read: %s", name, strerror(errno));
    }
    gen_free(block);
    fclose(f);
    return status;
}

gen_status gen_run_sums(char out[GEN_RUN_SUMS_TEXT], const char *folder, int64_t step,
                        const char *suffix)
{
    static const char *const files[] = { GEN_RUN_ABOUT, GEN_RUN_STATE, GEN_RUN_TENSORS };
    char path[GEN_RUN_PATH], hex[GEN_SHA256_TEXT];
    size_t used = 0;
    for (int i = 0; i < GEN_LEN(files); i++) {
        GEN_TRY(gen_run_path(path, folder, step, suffix, files[i]));
        GEN_TRY(digest(path, files[i], hex));
        used += (size_t)snprintf(out + used, GEN_RUN_SUMS_TEXT - used, "%s  %s\n", hex, files[i]);
    }
    return GEN_OK;
}

gen_status gen_run_verify(const char *folder, int64_t step, const char *suffix)
{
    char path[GEN_RUN_PATH], found[GEN_RUN_SUMS_TEXT];
    char *expected;
    uint64_t size;
    GEN_TRY(gen_run_path(path, folder, step, suffix, GEN_RUN_SUMS));
    gen_status status = gen_file_read(path, GEN_RUN_SUMS_TEXT, &expected, &size);
    if (status != GEN_OK) /* want of memory is no damage */
        return status == GEN_ENOMEM
                   ? status
                   : gen_fail(GEN_EDATA, "%s is missing or too long", GEN_RUN_SUMS);
    status = gen_run_sums(found, folder, step, suffix);
    if (status == GEN_OK && (strlen(found) != size || memcmp(found, expected, size) != 0))
        status = gen_fail(GEN_EDATA, "its files do not have the digests in %s", GEN_RUN_SUMS);
    gen_free(expected);
    return status;
}

/* ---- what is there --------------------------------------------------------------------------- */

/* "step-DIGITS" and one of the suffixes. */
static bool parse_name(const char *name, int64_t *step, const char **suffix)
{
    static const char *const suffixes[] = { "", GEN_RUN_WRITING, GEN_RUN_REMOVING };
    if (strncmp(name, "step-", 5) != 0)
        return false;
    *step = strtoll(name + 5, NULL, 10); /* beyond its range: no name that we write */
    for (int i = 0; i < GEN_LEN(suffixes); i++) {
        char ours[GEN_STEP_NAME];
        snprintf(ours, sizeof ours, "step-%08" PRId64 "%s", *step, suffixes[i]);
        if (*step >= 0 && strcmp(name, ours) == 0) {
            *suffix = suffixes[i];
            return true;
        }
    }
    return false;
}

gen_status gen_run_scan(const char *folder,
                        gen_status (*fn)(void *ctx, int64_t step, const char *suffix), void *ctx)
{
    gen_status status = GEN_OK;
    int64_t step;
    const char *suffix;
    DIR *d = opendir(folder);
    if (!d)
        return gen_fail(GEN_EIO, "%s: cannot read the folder: %s", folder, strerror(errno));
    for (struct dirent *e; status == GEN_OK && (e = readdir(d));)
        if (parse_name(e->d_name, &step, &suffix))
            status = fn(ctx, step, suffix);
    closedir(d);
    return status;
}
