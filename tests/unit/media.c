/* SPDX-License-Identifier: Apache-2.0
 *
 * PNG files written and read back; palettes: exact where colours are few, near where they are many.
 */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "libgen/base/alloc.h"
#include "media/film.h"
#include "media/palette.h"
#include "media/png.h"
#include "tests/picture.h"

static char folder[] = "/tmp/gen-media-XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void expect_sentence(gen_status found, gen_status expected, const char *part)
{
    if (found != expected || !strstr(gen_last_error(), part))
        fail_msg("status %s, sentence '%s', expected %s and '%s'", gen_status_name(found),
                 gen_last_error(), gen_status_name(expected), part);
}

static uint32_t scramble(uint32_t v)
{
    v = (v ^ v >> 16) * 2246822519u;
    v = (v ^ v >> 13) * 3266489917u;
    return v ^ v >> 16;
}

static void fill_noise(uint8_t *rgb, int n)
{
    for (int i = 0; i < n; i++)
        rgb[i] = (uint8_t)scramble((uint32_t)i);
}

/* ---- PNG ----------------------------------------------------------------------------------- */

static void png_comes_back(void **state)
{
    (void)state;
    static const int sizes[][2] = { { 1, 1 }, { 7, 5 }, { 1, 300 }, { 640, 3 } };
    static uint8_t rgb[3 * 640 * 3];
    fill_noise(rgb, sizeof rgb);
    gen_media_info info = { "R\303\251union", "made by a test", true };
    for (int i = 0; i < GEN_LEN(sizes); i++) {
        int w = sizes[i][0], h = sizes[i][1];
        assert_int_equal(gen_png_write(in_folder("a.png"), rgb, w, h, &info), GEN_OK);
        picture p = picture_read(in_folder("a.png"));
        assert_int_equal(p.width, w);
        assert_int_equal(p.height, h);
        assert_memory_equal(p.rgb, rgb, 3 * (size_t)w * (size_t)h);
        assert_string_equal(p.title, info.title);
        assert_string_equal(p.source, info.made);
        assert_non_null(strstr(p.software, "libgen"));
        picture_free(&p);
    }
    expect_sentence(gen_png_write(in_folder("a.png"), rgb, 1, 1, NULL), GEN_EEXIST, "exists");
    remove(in_folder("a.png"));
    expect_sentence(gen_png_write(in_folder("a.png"), rgb, 0, 1, NULL), GEN_EINVAL, "0 x 1");
    expect_sentence(gen_png_write("/nowhere/a.png", rgb, 1, 1, NULL), GEN_EIO, "/nowhere/a.png");
}

/* A limit on file size stands for a full disk. */
static void a_full_disk_leaves_nothing(void **state)
{
    (void)state;
    static uint8_t rgb[3 * 100 * 100];
    struct rlimit old, small;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    fill_noise(rgb, sizeof rgb);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    for (rlim_t limit = 0; limit < 30000; limit += 5000) {
        small = (struct rlimit){ limit, old.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        gen_status status = gen_png_write(in_folder("a.png"), rgb, 100, 100, NULL);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        expect_sentence(status, GEN_ENOMEM, "a.png");
    }
    signal(SIGXFSZ, handler);
    assert_int_equal(rmdir(folder), 0); /* it is empty */
    assert_int_equal(mkdir(folder, 0700), 0);
}

/* ---- palettes ------------------------------------------------------------------------------ */

#define PIXELS 90000
static uint8_t rgb[3 * PIXELS], numbers[PIXELS];

static void put(int pixel, uint32_t colour)
{
    rgb[3 * pixel] = (uint8_t)(colour >> 16);
    rgb[3 * pixel + 1] = (uint8_t)(colour >> 8);
    rgb[3 * pixel + 2] = (uint8_t)colour;
}

static uint32_t shown(const gen_palette *p, int pixel)
{
    assert_true(numbers[pixel] < p->n);
    return p->colour[numbers[pixel]];
}

static void few_colours_are_exact(void **state)
{
    (void)state;
    static gen_palette p;
    for (int n = 1; n <= 256; n = n < 250 ? 3 * n : n + 1) {
        p = (gen_palette){ 0 };
        for (int i = 0; i < 3000; i++)
            put(i, scramble((uint32_t)(i * i % n)) & 0xffffff);
        assert_int_equal(gen_palette_apply(&p, rgb, 3000, numbers), GEN_OK);
        assert_true(p.n <= n && !p.renewed);
        for (int i = 0; i < 3000; i++)
            assert_int_equal(shown(&p, i), scramble((uint32_t)(i * i % n)) & 0xffffff);
    }
}

static void a_palette_grows_until_it_is_full(void **state)
{
    (void)state;
    static gen_palette p, before;
    for (int frame = 0; frame < 4; frame++) { /* 80 new colours each: the fourth does not fit */
        before = p;
        for (int i = 0; i < 80; i++)
            put(i, (uint32_t)(frame * 80 + i) * 1000);
        assert_int_equal(gen_palette_apply(&p, rgb, 80, numbers), GEN_OK);
        for (int i = 0; i < 80; i++)
            assert_int_equal(shown(&p, i), (frame * 80 + i) * 1000);
        if (frame < 3)
            assert_memory_equal(p.colour, before.colour, (size_t)before.n * sizeof p.colour[0]);
        assert_int_equal(p.n, frame < 3 ? 80 * (frame + 1) : 80);
        assert_int_equal(p.renewed, frame == 3);
    }
}

/* A map of ten colours and text in many: the ten stay exact, the others near. */
static void common_colours_stay_exact(void **state)
{
    (void)state;
    static gen_palette p;
    for (int i = 0; i < PIXELS; i++)
        put(i, i % 9 ? scramble((uint32_t)(i % 10)) & 0xffffff : (uint32_t)(i / 9) % 700 * 0x5555u);
    assert_int_equal(gen_palette_apply(&p, rgb, PIXELS, numbers), GEN_OK);
    assert_int_equal(p.n, 256);
    double sum = 0;
    for (int i = 0; i < PIXELS; i++) {
        uint32_t v = shown(&p, i);
        if (i % 9)
            assert_int_equal(v, scramble((uint32_t)(i % 10)) & 0xffffff);
        for (int k = 0; k < 24; k += 8) {
            double d = (double)(v >> k & 255) - rgb[3 * i + 2 - k / 8];
            sum += d * d;
        }
    }
    assert_true(sum / PIXELS < 12); /* squared distance, of 3 x 255^2 */
}

/* 90 000 colours evenly in a cube, halved eight times: boxes of 32 x 32 x 64. */
static void many_colours_are_near(void **state)
{
    (void)state;
    static gen_palette p;
    for (int i = 0; i < PIXELS; i++)
        put(i, (uint32_t)(i * 186ll % 16777216));
    assert_int_equal(gen_palette_apply(&p, rgb, PIXELS, numbers), GEN_OK);
    assert_int_equal(p.n, 256);
    double sum = 0;
    for (int i = 0; i < PIXELS; i++)
        for (int k = 0; k < 24; k += 8) {
            double d = (double)(shown(&p, i) >> k & 255) - rgb[3 * i + 2 - k / 8];
            sum += d * d;
        }
    assert_true(sum / PIXELS < 1.1 * (32 * 32 + 32 * 32 + 64 * 64) / 12);
}

static void a_film_or_a_sentence(void **state)
{
    (void)state;
    gen_film *f;
    gen_film_options o = { .width = 4, .height = 4, .fps = 5 };
    gen_status status = gen_film_open(&f, in_folder("a.gif"), &o);
    if (status != GEN_OK)
        expect_sentence(status, GEN_EUNSUPPORTED, "FFmpeg");
    gen_film_free(&f);
    assert_int_equal(access(in_folder("a.gif"), F_OK), -1);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(png_comes_back),
        cmocka_unit_test(a_full_disk_leaves_nothing),
        cmocka_unit_test(few_colours_are_exact),
        cmocka_unit_test(a_palette_grows_until_it_is_full),
        cmocka_unit_test(common_colours_stay_exact),
        cmocka_unit_test(many_colours_are_near),
        cmocka_unit_test(a_film_or_a_sentence),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
