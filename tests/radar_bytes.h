/* SPDX-License-Identifier: Apache-2.0
 *
 * Radar files built byte by byte, and what every reader of them must do with damaged ones. Included
 * by test programs of readers; needs cmocka.
 */
#ifndef TESTS_RADAR_BYTES_H
#define TESTS_RADAR_BYTES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <math.h>

#include "libgen/base/alloc.h"
#include "weather/codec/codec.h"

typedef struct bytes {
    unsigned char *p;
    size_t n, room;
} bytes;

static void add(bytes *b, const void *data, size_t n)
{
    if (b->n + n > b->room) {
        b->room = 2 * (b->n + n);
        b->p = realloc(b->p, b->room);
        assert_non_null(b->p);
    }
    if (n)
        memcpy(b->p + b->n, data, n);
    b->n += n;
}

static void add_text(bytes *b, const char *text)
{
    add(b, text, strlen(text));
}

static void expect(gen_status found, gen_status expected, const char *part)
{
    if (found != expected || !strstr(gen_last_error(), part))
        fail_msg("status %s, sentence '%s', expected %s and '%s'", gen_status_name(found),
                 gen_last_error(), gen_status_name(expected), part);
}

/* The file and its frame, or the status of what failed. values may be NULL: then room is made. */
static gen_status try_bytes(const gen_radar_format *format, const char *path, const bytes *b,
                            const gen_radar_read_options *o, int64_t frame, float *values)
{
    static const gen_radar_read_options none;
    gen_radar_file *f = NULL;
    float *room = NULL;
    gen_status status = gen_radar_file_open_bytes(&f, path, format, b->p, b->n, o ? o : &none);
    if (status != GEN_OK)
        return status;
    if (!values)
        status = gen_alloc_raw((void **)&room, (uint64_t)(f->grid.height * f->grid.width),
                               sizeof *room, "a frame");
    if (status == GEN_OK)
        status = gen_radar_file_read(f, frame, values ? values : room);
    gen_free(room);
    gen_radar_file_close(&f);
    return status;
}

/* Sentences of a damaged file name it. */
static void expect_data(const gen_radar_format *format, const bytes *b,
                        const gen_radar_read_options *o, const char *part)
{
    expect(try_bytes(format, "a/file", b, o, 0, NULL), GEN_EDATA, part);
    expect(GEN_EDATA, GEN_EDATA, "'a/file'");
}

/* A copy in a block of its own size, so that a sanitizer sees what is read behind its end. */
static bytes copy_of(const bytes *b, size_t n)
{
    bytes out = { malloc(n ? n : 1), n, n };
    assert_non_null(out.p);
    memcpy(out.p, b->p, n);
    return out;
}

static void check_mutant(const gen_radar_format *format, const bytes *b,
                         const gen_radar_read_options *o)
{
    gen_status status = try_bytes(format, "a/file", b, o, 0, NULL);
    if (status != GEN_OK && status != GEN_EDATA)
        fail_msg("a damaged file gives %s: %s", gen_status_name(status), gen_last_error());
}

/* Cut at every length it is an error, or (cuts from `whole` on) may be read; with any bit turned
 * it is read or an error; and each allocation that fails is an error that leaks nothing. */
static void check_hostile(const gen_radar_format *format, const bytes *b,
                          const gen_radar_read_options *o, size_t whole)
{
    for (size_t n = 0; n<b->n; n += b->n> 4000 ? 97 : 1) {
        bytes cut = copy_of(b, n);
        if (n < whole)
            expect_data(format, &cut, o, "");
        check_mutant(format, &cut, o);
        free(cut.p);
    }
    bytes turned = copy_of(b, b->n);
    for (size_t i = 0; i<b->n * 8; i += b->n> 4000 ? 389 : 3) {
        turned.p[i / 8] ^= (unsigned char)(1u << i % 8);
        check_mutant(format, &turned, o);
        turned.p[i / 8] = b->p[i / 8];
    }
    free(turned.p);
    for (uint64_t n = 1; n < 1000; n++) {
        gen_alloc_fail_at(n);
        gen_status status = try_bytes(format, "a/file", b, o, 0, NULL);
        gen_alloc_fail_at(0);
        if (status == GEN_OK)
            break;
        assert_int_equal(status, GEN_ENOMEM);
    }
}

static void check_values(const float *found, const float *expected, int n)
{
    for (int i = 0; i < n; i++)
        if (!(found[i] == expected[i] || (isnan(found[i]) && isnan(expected[i]))))
            fail_msg("cell %d is %.9g, expected %.9g", i, (double)found[i], (double)expected[i]);
}

#endif
