/* SPDX-License-Identifier: Apache-2.0
 *
 * Files read whole, and outputs that are whole or absent. The temporaries now open stand in a fixed
 * table that a signal handler can walk; an entry is taken and given back with atomic operations.
 */
#define _XOPEN_SOURCE 700 /* realpath */
#include "libgen/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libgen/base/alloc.h"

#define MAX_OUTPUTS 64

static _Atomic(const char *) temporaries[MAX_OUTPUTS];

static bool enlist(const char *path)
{
    for (int i = 0; i < MAX_OUTPUTS; i++) {
        const char *none = NULL;
        if (atomic_compare_exchange_strong(&temporaries[i], &none, path))
            return true;
    }
    return false;
}

static void delist(const char *path)
{
    for (int i = 0; i < MAX_OUTPUTS; i++) {
        const char *p = path;
        if (atomic_compare_exchange_strong(&temporaries[i], &p, NULL))
            return;
    }
}

void gen_outputs_remove_all(void)
{
    for (int i = 0; i < MAX_OUTPUTS; i++) {
        const char *p = atomic_load(&temporaries[i]);
        if (p)
            unlink(p);
    }
}

gen_status gen_output_error(const char *path, int code)
{
    gen_status s = code == ENOSPC || code == EDQUOT || code == EFBIG ? GEN_ENOMEM : GEN_EIO;
    return gen_fail(s, "%s: cannot write: %s", path, strerror(code));
}

/* ---- reading -------------------------------------------------------------------------------- */

static gen_status open_regular(const char *path, int *fd, struct stat *st)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO without a writer must not hang */
    if (*fd < 0)
        return gen_fail(GEN_EDATA, "%s: cannot open: %s", path, strerror(errno));
    if (fstat(*fd, st))
        return gen_fail(GEN_EDATA, "%s: cannot read: %s", path, strerror(errno));
    if (S_ISDIR(st->st_mode))
        return gen_fail(GEN_EDATA, "%s: is a folder, expected a file", path);
    if (!S_ISREG(st->st_mode))
        return gen_fail(GEN_EDATA, "%s: is not a regular file", path);
    return GEN_OK;
}

gen_status gen_file_read(const char *path, uint64_t limit, char **data, uint64_t *size)
{
    gen_status status = GEN_OK;
    struct stat st;
    char *text = NULL;
    int fd = -1;
    *data = NULL;
    *size = 0;
    GEN_GOTO(open_regular(path, &fd, &st));
    uint64_t n = (uint64_t)st.st_size, got = 0;
    if (n > limit)
        GEN_GOTO(gen_fail(GEN_EDATA, "%s: has %llu bytes, expected at most %llu", path,
                          (unsigned long long)n, (unsigned long long)limit));
    GEN_GOTO(gen_alloc_raw((void **)&text, n + 1, 1, path));
    while (got < n) {
        ssize_t r = read(fd, text + got, n - got);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            GEN_GOTO(gen_fail(GEN_EDATA, "%s: cannot read: %s", path, strerror(errno)));
        if (r == 0)
            break; /* the file shrank while we read */
        got += (uint64_t)r;
    }
    text[got] = 0;
    *data = text;
    *size = got;
    text = NULL;
done:
    if (fd >= 0)
        close(fd);
    gen_free(text);
    return status;
}

/* ---- writing -------------------------------------------------------------------------------- */

gen_status gen_output_check(const char *path, bool force)
{
    struct stat st;
    bool dangling = stat(path, &st) != 0;
    if (dangling && lstat(path, &st) != 0)
        return GEN_OK;
    if (dangling)
        return gen_fail(GEN_EINVAL, "%s: is a link to nothing, expected a file name", path);
    if (S_ISDIR(st.st_mode))
        return gen_fail(GEN_EINVAL, "%s: is a folder, expected a file name", path);
    if (!S_ISREG(st.st_mode)) /* no name but a regular file's can be replaced by a whole file */
        return gen_fail(GEN_EINVAL, "%s: is not a regular file", path);
    if (!force)
        return gen_fail(GEN_EEXIST, "%s: exists (--force overwrites)", path);
    return GEN_OK;
}

/* The folder of path with its last '/', or "". */
static int folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (int)(slash - path) + 1 : 0;
}

gen_status gen_output_open(gen_output *o, const char *path, bool force, bool by_name)
{
    gen_status status = GEN_OK;
    int fd = -1;
    *o = (gen_output){ .force = force };
    if (!*path)
        return gen_fail(GEN_EINVAL, "the name of the output is empty");
    GEN_TRY(gen_output_check(path, force));
    struct stat st;
    char *behind = lstat(path, &st) == 0 && S_ISLNK(st.st_mode) ? realpath(path, NULL) : NULL;
    path = behind ? behind : path; /* a link stays a link; what it points to is replaced */
    int folder = folder_length(path);
    const char *dot = strrchr(path + folder, '.');
    const char *suffix = dot && dot != path + folder ? dot : ""; /* some libraries look at it */
    size_t size = strlen(path) + 16;
    GEN_GOTO(gen_strdup(&o->path, path));
    GEN_GOTO(GEN_ALLOC(&o->temporary, size, "name of the output"));
    /* Not mkstemp: its mode is 0600 whatever the umask, and it knows no suffix in POSIX. */
    for (unsigned turn = 0; fd < 0; turn++) {
        snprintf(o->temporary, size, "%.*s.gen-%lx-%x%s", folder, path, (unsigned long)getpid(),
                 turn, suffix);
        fd = open(o->temporary, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666);
        if (fd < 0 && (errno != EEXIST || turn == 1000))
            GEN_GOTO(gen_output_error(path, errno));
    }
    if (!enlist(o->temporary)) {
        unlink(o->temporary);
        GEN_GOTO(gen_fail(GEN_EBUG, "%s: more than %d outputs are open", path, MAX_OUTPUTS));
    }
    if (!by_name) {
        o->file = fdopen(fd, "wb+");
        if (!o->file)
            GEN_GOTO(gen_output_error(path, errno));
        fd = -1;
    }
done:
    free(behind);
    if (fd >= 0)
        close(fd);
    if (status != GEN_OK)
        gen_output_abort(o);
    return status;
}

/* Data on disk before the name points to it. */
static gen_status sync_output(gen_output *o)
{
    if (o->file) {
        bool bad = fflush(o->file) || ferror(o->file) || fsync(fileno(o->file));
        int code = errno ? errno : EIO;
        FILE *f = o->file;
        o->file = NULL;
        if (bad) {
            fclose(f);
            return gen_output_error(o->path, code);
        }
        return fclose(f) ? gen_output_error(o->path, errno) : GEN_OK;
    }
    int fd = open(o->temporary, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return gen_output_error(o->path, errno);
    bool bad = fsync(fd);
    int code = errno;
    close(fd);
    return bad ? gen_output_error(o->path, code) : GEN_OK;
}

void gen_folder_sync(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
}

static void sync_folder(const char *path)
{
    char *folder;
    int n = folder_length(path);
    if (gen_strdup(&folder, n ? path : ".") != GEN_OK)
        return; /* the file is there; only its durability is at stake */
    if (n)
        folder[n] = 0;
    gen_folder_sync(folder);
    gen_free(folder);
}

gen_status gen_output_commit(gen_output *o)
{
    gen_status status = GEN_OK;
    errno = 0;
    GEN_GOTO(sync_output(o));
    if (o->force) {
        if (rename(o->temporary, o->path))
            GEN_GOTO(gen_output_error(o->path, errno));
    } else if (link(o->temporary, o->path)) { /* rename would overwrite; link refuses */
        if (errno == EEXIST)
            GEN_GOTO(gen_fail(GEN_EEXIST, "%s: exists (--force overwrites)", o->path));
        /* No hard links on this file system: a check and a rename are the best there is. */
        GEN_GOTO(gen_output_check(o->path, false));
        if (rename(o->temporary, o->path))
            GEN_GOTO(gen_output_error(o->path, errno));
    }
    sync_folder(o->path);
done:
    gen_output_abort(o); /* unlinks the temporary where it still has that name */
    return status;
}

void gen_output_abort(gen_output *o)
{
    if (o->file)
        fclose(o->file);
    if (o->temporary) {
        unlink(o->temporary);
        delist(o->temporary);
    }
    gen_free(o->temporary);
    gen_free(o->path);
    *o = (gen_output){ 0 };
}

/* ---- locks ------------------------------------------------------------------------------------
 */

gen_status gen_file_lock(int *lock, bool *busy, const char *path, const char *who)
{
    char text[80] = "";
    *busy = false;
    *lock = -1;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return gen_fail(GEN_EIO, "cannot open the lock '%s': %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        *busy = errno == EWOULDBLOCK;
        const char *why = strerror(errno);
        ssize_t n = read(fd, text, sizeof text - 1);
        text[n > 0 ? n : 0] = 0;
        text[strcspn(text, "\n")] = 0;
        close(fd);
        if (!*busy)
            return gen_fail(GEN_EIO, "cannot lock '%s': %s", path, why);
        return gen_fail(GEN_EIO, "another run holds '%s': %s", path,
                        text[0] ? text : "it has not said which");
    }
    int n = snprintf(text, sizeof text, "%.78s\n", who);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n)
        gen_log(GEN_LOG_WARN, "cannot write to the lock '%s': %s", path, strerror(errno));
    *lock = fd;
    return GEN_OK;
}
