/* SPDX-License-Identifier: Apache-2.0
 *
 * A cached plan is "<magic> <digest of what follows>\n<key>\n<text>": a cut, changed or renamed
 * file is seen as such.
 */
#include "libgen/backends/cuda/plan_cache.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "libgen/base/alloc.h"
#include "libgen/base/file.h"

#define MAGIC "libgen-cudnn-plan-1 "

enum {
    DIGEST = GEN_SHA256_TEXT - 1,
    KEY_AT = sizeof MAGIC - 1 + DIGEST + 1,
    TEXT_AT = KEY_AT + DIGEST + 1,
    MOST = 1 << 26
};

/* False where there is to be no cache. */
static bool folder(char out[PATH_MAX])
{
    const char *own = getenv("GEN_CACHE_DIR"), *xdg = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    int n = 0;
    if (own)
        n = snprintf(out, PATH_MAX, "%s", own);
    else if (xdg && *xdg)
        n = snprintf(out, PATH_MAX, "%s/libgen", xdg);
    else if (home && *home)
        n = snprintf(out, PATH_MAX, "%s/.cache/libgen", home);
    return n > 0 && n < PATH_MAX - 80; /* room for a name and what a temporary adds */
}

static bool place(char out[PATH_MAX], const char *key)
{
    if (!folder(out))
        return false;
    size_t n = strlen(out);
    snprintf(out + n, PATH_MAX - n, "/%s", key);
    return true;
}

/* The folders above the file; one that cannot be made is told by the writing. */
static void make_folders(char *path)
{
    for (char *p = path + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        (void)mkdir(path, 0777);
        *p = '/';
    }
}

bool gen_plan_cache_read(const char key[GEN_SHA256_TEXT], char **text, uint64_t *size)
{
    char path[PATH_MAX], digest[GEN_SHA256_TEXT], *data;
    struct stat s;
    uint64_t n;
    if (!place(path, key) || stat(path, &s) != 0 || gen_file_read(path, MOST, &data, &n) != GEN_OK)
        return false;
    bool whole = n > TEXT_AT && memcmp(data, MAGIC, sizeof MAGIC - 1) == 0;
    if (whole) {
        gen_sha256_text(data + KEY_AT, n - KEY_AT, digest);
        whole = memcmp(data + sizeof MAGIC - 1, digest, DIGEST) == 0 &&
                memcmp(data + KEY_AT, key, DIGEST) == 0;
    }
    if (!whole) {
        gen_log(GEN_LOG_DEBUG, "plan cache: '%s' is damaged", path);
        gen_free(data);
        return false;
    }
    *size = n - TEXT_AT;
    memmove(data, data + TEXT_AT, *size + 1); /* the 0 behind the end comes with it */
    *text = data;
    return true;
}

static gen_status write_to(const char *path, const char *key, const char *text, uint64_t size)
{
    gen_status status = GEN_OK;
    gen_output o = { 0 };
    gen_sha256 h;
    char digest[GEN_SHA256_TEXT];
    gen_sha256_start(&h);
    gen_sha256_add(&h, key, DIGEST);
    gen_sha256_add(&h, "\n", 1);
    gen_sha256_add(&h, text, size);
    gen_sha256_finish(&h, digest);
    GEN_GOTO(gen_output_open(&o, path, true, false));
    if (fprintf(o.file, MAGIC "%s\n%s\n", digest, key) < 0 ||
        fwrite(text, 1, size, o.file) != size)
        GEN_GOTO(gen_fail(GEN_EIO, "cannot write '%s'", path));
    GEN_GOTO(gen_output_commit(&o));
done:
    gen_output_abort(&o);
    return status;
}

void gen_plan_cache_write(const char key[GEN_SHA256_TEXT], const char *text, uint64_t size)
{
    char path[PATH_MAX];
    if (size > MOST - TEXT_AT || !place(path, key))
        return;
    make_folders(path);
    if (write_to(path, key, text, size) != GEN_OK)
        gen_log(GEN_LOG_DEBUG, "plan cache: %s", gen_last_error());
}
