/* SPDX-License-Identifier: Apache-2.0
 *
 * Radar files into memory, gunzipped where they are gzip. Memory grows with what really comes out,
 * never with what a header promises.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "libgen/base/alloc.h"
#include "libgen/base/file.h"
#include "weather/codec/codec.h"

#define BLOCK ((uint64_t)1 << 20)

static gen_status open_gzip(gzFile *z, const char *path)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &info) != 0) {
        gen_fail(GEN_EDATA, "cannot read '%s': %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return GEN_EDATA;
    }
    if (!S_ISREG(info.st_mode)) {
        close(fd);
        return gen_fail(GEN_EDATA, "'%s' is not a regular file", path);
    }
    *z = gzdopen(fd, "rb"); /* reads other files as they are */
    if (*z)
        return GEN_OK;
    close(fd);
    return gen_fail(GEN_ENOMEM, "out of memory for unpacking '%s'", path);
}

gen_status gen_radar_load_head(const char *path, unsigned char head[GEN_RADAR_HEAD], size_t *n)
{
    gzFile z;
    GEN_TRY(open_gzip(&z, path));
    int got = gzread(z, head, GEN_RADAR_HEAD);
    *n = got > 0 ? (size_t)got : 0;
    gzclose(z);
    if (got < 0)
        return gen_fail(GEN_EDATA, "'%s' is damaged: it cannot be unpacked", path);
    return GEN_OK;
}

gen_status gen_radar_load(const char *path, uint64_t limit, unsigned char **bytes, uint64_t *size)
{
    gen_status status;
    gzFile z;
    uint64_t capacity = 0;
    int code;
    *bytes = NULL;
    *size = 0;
    GEN_TRY(open_gzip(&z, path));
    for (;;) {
        GEN_GOTO(GEN_GROW(bytes, &capacity, *size + BLOCK));
        uint64_t room = capacity - *size;
        int got = gzread(z, *bytes + *size, (unsigned)(room < 1u << 30 ? room : 1u << 30));
        if (got < 0)
            GEN_GOTO(gen_fail(GEN_EDATA, "'%s' is damaged: %s", path, gzerror(z, &code)));
        if (got == 0)
            break;
        *size += (uint64_t)got;
        if (*size > limit)
            GEN_GOTO(
                gen_fail(GEN_EDATA, "'%s' holds more than %.1f GB", path, (double)limit * 1e-9));
    }
    gzerror(z, &code); /* Z_BUF_ERROR: the end came too early */
    if (code != Z_OK && code != Z_STREAM_END)
        GEN_GOTO(gen_fail(GEN_EDATA, "'%s' is cut: its packed data end too early", path));
done:
    gzclose(z);
    if (status != GEN_OK) {
        gen_free(*bytes);
        *bytes = NULL;
    }
    return status;
}
