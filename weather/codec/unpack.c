/* SPDX-License-Identifier: Apache-2.0
 *
 * Radar files into memory, gunzipped where they are gzip. Memory is bounded by what so many packed
 * bytes can become, never by what a header promises. libdeflate inflates whole files more than
 * twice as fast as zlib, which takes the first bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <libdeflate.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "libgen/base/alloc.h"
#include "libgen/base/file.h"
#include "weather/codec/codec.h"

#define DEFLATE_MOST 1032 /* bytes that one packed byte can become */

static gen_status open_file(const char *path, int *fd, uint64_t *size)
{
    struct stat info;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0)
        return gen_fail(GEN_EDATA, "cannot read '%s': %s", path, strerror(errno));
    bool fine = fstat(*fd, &info) == 0;
    if (fine && S_ISREG(info.st_mode)) {
        *size = (uint64_t)info.st_size;
        return GEN_OK;
    }
    gen_fail(GEN_EDATA, fine ? "'%s' is not a regular file" : "cannot read '%s'", path);
    close(*fd);
    return GEN_EDATA;
}

gen_status gen_radar_load_head(const char *path, unsigned char head[GEN_RADAR_HEAD], size_t *n)
{
    int fd;
    uint64_t size;
    GEN_TRY(open_file(path, &fd, &size));
    gzFile z = gzdopen(fd, "rb"); /* reads other files as they are */
    if (!z) {
        close(fd);
        return gen_fail(GEN_ENOMEM, "out of memory for unpacking '%s'", path);
    }
    int got = gzread(z, head, GEN_RADAR_HEAD);
    *n = got > 0 ? (size_t)got : 0;
    gzclose(z);
    if (got < 0)
        return gen_fail(GEN_EDATA, "'%s' is damaged: it cannot be unpacked", path);
    return GEN_OK;
}

/* Up to *size bytes as they are; *size becomes what is there. */
static gen_status read_file(const char *path, int fd, unsigned char *out, uint64_t *size)
{
    uint64_t n = 0;
    while (n < *size) {
        ssize_t got = read(fd, out + n, *size - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return gen_fail(GEN_EDATA, "cannot read '%s': %s", path, strerror(errno));
        if (got == 0)
            break;
        n += (uint64_t)got;
    }
    *size = n;
    return GEN_OK;
}

static gen_status too_large(const char *path, uint64_t limit)
{
    return gen_fail(GEN_EDATA, "'%s' holds more than %.1f GB", path, (double)limit * 1e-9);
}

static bool is_gzip(const unsigned char *p, uint64_t n)
{
    return n >= 18 && p[0] == 0x1f && p[1] == 0x8b;
}

/* More room for what is unpacked, at most `most`. */
static gen_status enlarge(unsigned char **out, uint64_t used, uint64_t *room, uint64_t most)
{
    unsigned char *larger;
    uint64_t n = *room > most / 2 ? most : *room * 2;
    GEN_TRY(gen_alloc_raw((void **)&larger, n, 1, "a radar file"));
    memcpy(larger, *out, used);
    gen_free(*out);
    *out = larger;
    *room = n;
    return GEN_OK;
}

/* The members of a gzip file, one behind the other; what follows them is left out, as gzip does. */
static gen_status inflate_members(const char *path, struct libdeflate_decompressor *d,
                                  const unsigned char *p, uint64_t left, uint64_t limit,
                                  unsigned char **out, uint64_t *size)
{
    uint64_t most = left > limit / DEFLATE_MOST ? limit : left * DEFLATE_MOST;
    uint64_t room = p[left - 4] | (uint64_t)p[left - 3] << 8 | (uint64_t)p[left - 2] << 16 |
                    (uint64_t)p[left - 1] << 24; /* bytes of the last member, modulo 2^32 */
    room = room < 1024 ? 1024 : room;
    room = room > most ? most : room;
    GEN_TRY(gen_alloc_raw((void **)out, room, 1, "a radar file"));
    while (is_gzip(p, left)) {
        size_t taken = 0, made = 0;
        enum libdeflate_result code =
            libdeflate_gzip_decompress_ex(d, p, left, *out + *size, room - *size, &taken, &made);
        if (code == LIBDEFLATE_INSUFFICIENT_SPACE && room >= most)
            return too_large(path, most);
        if (code == LIBDEFLATE_INSUFFICIENT_SPACE) {
            GEN_TRY(enlarge(out, *size, &room, most));
            continue;
        }
        if (code != LIBDEFLATE_SUCCESS)
            return gen_fail(GEN_EDATA, "'%s' is damaged or cut: it cannot be unpacked", path);
        *size += made;
        p += taken;
        left -= taken;
    }
    return GEN_OK;
}

static gen_status gunzip(const char *path, uint64_t limit, unsigned char **bytes, uint64_t *size)
{
    unsigned char *unpacked = NULL;
    uint64_t n = 0;
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    gen_status status = d ? inflate_members(path, d, *bytes, *size, limit, &unpacked, &n)
                          : gen_fail(GEN_ENOMEM, "out of memory for unpacking '%s'", path);
    libdeflate_free_decompressor(d);
    gen_free(*bytes);
    *bytes = unpacked;
    *size = n;
    return status;
}

gen_status gen_radar_load(const char *path, uint64_t limit, unsigned char **bytes, uint64_t *size)
{
    gen_status status;
    int fd;
    *bytes = NULL;
    GEN_TRY(open_file(path, &fd, size));
    if (*size > limit)
        GEN_GOTO(too_large(path, limit));
    GEN_GOTO(gen_alloc_raw((void **)bytes, *size, 1, "a radar file"));
    GEN_GOTO(read_file(path, fd, *bytes, size));
    if (is_gzip(*bytes, *size))
        status = gunzip(path, limit, bytes, size);
done:
    close(fd);
    if (status != GEN_OK) {
        gen_free(*bytes);
        *bytes = NULL;
    }
    return status;
}
