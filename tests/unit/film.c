/* SPDX-License-Identifier: Apache-2.0
 *
 * Films, read back with FFmpeg: number, size and time of frames, exact colours in GIF, near ones
 * in MP4, tags; and outputs that are whole or absent.
 */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include <math.h>
#include <malloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>

#include <libgen/plot.h>

#include "libgen/base/alloc.h"
#include "media/film.h"
#include "tests/picture.h"

#define MAX_FRAMES 40

static char folder[] = "/tmp/gen-film-XXXXXX";

static const char *in_folder(const char *name)
{
    static char paths[2][256];
    static int turn;
    char *path = paths[turn++ % 2];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static int files_there(void)
{
    char command[300];
    int n = -1;
    snprintf(command, sizeof command, "ls -A %s | wc -l", folder);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%d", &n), 1);
    pclose(f);
    return n;
}

/* ---- reading back -------------------------------------------------------------------------- */

typedef struct film {
    int frames, width, height;
    uint8_t *rgb[MAX_FRAMES]; /* [height,width,3] */
    double seconds[MAX_FRAMES];
    char title[100], comment[100];
    enum AVCodecID codec;
    AVRational rate;
    enum AVColorSpace space;
    enum AVColorRange range;
} film;

static void take_frame(film *f, const AVFrame *frame, AVRational base)
{
    assert_true(f->frames < MAX_FRAMES);
    struct SwsContext *s =
        sws_getContext(frame->width, frame->height, frame->format, frame->width, frame->height,
                       AV_PIX_FMT_RGB24, SWS_POINT | SWS_ACCURATE_RND, NULL, NULL, NULL);
    const int *bt709 = sws_getCoefficients(SWS_CS_ITU709);
    sws_setColorspaceDetails(s, bt709, 0, bt709, 1, 0, 1 << 16, 1 << 16);
    f->width = frame->width;
    f->height = frame->height;
    int step = 3 * f->width;
    uint8_t *to = malloc((size_t)(step * f->height));
    /* 16 spare bytes a row for swscale's vector code. */
    uint8_t *wide = malloc((size_t)((step + 64) * f->height + 64));
    uint8_t *const planes[4] = { wide };
    int steps[4] = { step + 64 };
    assert_non_null(to);
    assert_non_null(wide);
    sws_scale(s, (const uint8_t *const *)frame->data, frame->linesize, 0, frame->height, planes,
              steps);
    for (int y = 0; y < f->height; y++)
        memcpy(to + y * step, wide + y * (step + 64), (size_t)step);
    free(wide);
    sws_freeContext(s);
    f->seconds[f->frames] = (double)frame->pts * base.num / base.den;
    f->rgb[f->frames++] = to;
}

static void copy_tag(AVDictionary *d, const char *key, char out[100])
{
    AVDictionaryEntry *e = av_dict_get(d, key, NULL, 0);
    snprintf(out, 100, "%s", e ? e->value : "");
}

static film read_film(const char *path)
{
    film f = { 0 };
    AVFormatContext *c = NULL;
    assert_int_equal(avformat_open_input(&c, path, NULL, NULL), 0);
    assert_true(avformat_find_stream_info(c, NULL) >= 0);
    assert_int_equal(c->nb_streams, 1);
    AVStream *stream = c->streams[0];
    const AVCodec *codec = avcodec_find_decoder(stream->codecpar->codec_id);
    AVCodecContext *d = avcodec_alloc_context3(codec);
    AVPacket *packet = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();
    avcodec_parameters_to_context(d, stream->codecpar);
    d->thread_count = 1;
    assert_int_equal(avcodec_open2(d, codec, NULL), 0);
    for (bool more = true; more;) {
        more = av_read_frame(c, packet) >= 0;
        assert_int_equal(avcodec_send_packet(d, more ? packet : NULL), 0);
        av_packet_unref(packet);
        while (avcodec_receive_frame(d, frame) >= 0)
            take_frame(&f, frame, stream->time_base);
    }
    f.codec = codec->id;
    f.rate = stream->avg_frame_rate;
    f.space = stream->codecpar->color_space;
    f.range = stream->codecpar->color_range;
    copy_tag(c->metadata, "title", f.title);
    copy_tag(c->metadata, "comment", f.comment);
    av_frame_free(&frame);
    av_packet_free(&packet);
    avcodec_free_context(&d);
    avformat_close_input(&c);
    return f;
}

static void film_free(film *f)
{
    for (int i = 0; i < f->frames; i++)
        free(f->rgb[i]);
}

/* ---- writing ------------------------------------------------------------------------------- */

typedef void painter(int frame, int x, int y, uint8_t rgb[3]);

/* Flat areas of few colours, other ones in every frame. */
static void flat(int frame, int x, int y, uint8_t rgb[3])
{
    int part = (x / 8 + y / 8 + frame) % 7;
    rgb[0] = (uint8_t)(36 * part);
    rgb[1] = (uint8_t)(255 - 30 * part);
    rgb[2] = (uint8_t)(frame * 9);
}

static uint8_t *paint(painter *p, int frame, int width, int height)
{
    uint8_t *rgb = malloc((size_t)(3 * width * height));
    assert_non_null(rgb);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            p(frame, x, y, rgb + 3 * (y * width + x));
    return rgb;
}

static gen_status write_film(const char *path, painter *p, int frames, const gen_film_options *o)
{
    gen_film *f;
    gen_status status = gen_film_open(&f, path, o);
    for (int i = 0; i < frames && status == GEN_OK; i++) {
        uint8_t *rgb = paint(p, i, o->width, o->height);
        status = gen_film_add(f, rgb);
        free(rgb);
    }
    if (status == GEN_OK)
        status = gen_film_commit(f);
    gen_film_free(&f);
    assert_null(f);
    return status;
}

static void expect_frames(const film *f, painter *p, int frames, const gen_film_options *o,
                          int tolerance)
{
    assert_int_equal(f->frames, frames);
    for (int i = 0; i < frames; i++) {
        uint8_t *rgb = paint(p, i, o->width, o->height);
        assert_true(fabs(f->seconds[i] - i / o->fps) < 0.006);
        for (int y = 0; y < o->height; y++)
            for (int x = 0; x < o->width; x++)
                for (int k = 0; k < 3; k++) {
                    int found = f->rgb[i][3 * (y * f->width + x) + k];
                    int expected = rgb[3 * (y * o->width + x) + k];
                    if (abs(found - expected) > tolerance)
                        fail_msg("frame %d, pixel %d,%d,%d: found %d, expected %d", i, y, x, k,
                                 found, expected);
                }
        free(rgb);
    }
}

static void gif_is_exact(void **state)
{
    (void)state;
    static const int sizes[][2] = { { 64, 48 }, { 33, 21 }, { 1, 1 }, { 1, 9 }, { 200, 3 } };
    for (int i = 0; i < GEN_LEN(sizes); i++) {
        gen_film_options o = { { "Title", "made by a test", true }, sizes[i][0], sizes[i][1], 5 };
        assert_int_equal(write_film(in_folder("a.gif"), flat, 12, &o), GEN_OK);
        film f = read_film(in_folder("a.gif"));
        assert_int_equal(f.codec, AV_CODEC_ID_GIF);
        assert_int_equal(f.width, o.width);
        assert_int_equal(f.height, o.height);
        assert_string_equal(f.comment, "made by a test");
        expect_frames(&f, flat, 12, &o, 0);
        film_free(&f);
    }
    remove(in_folder("a.gif"));
}

/* 250 greys, then 250 blues, then the greys again: palettes that cannot be joined. */
static void turn(int frame, int x, int y, uint8_t rgb[3])
{
    int v = (x + 16 * y) % 250;
    rgb[0] = rgb[1] = (uint8_t)(frame % 2 ? 0 : v);
    rgb[2] = (uint8_t)v;
}

static void gif_changes_its_palette(void **state)
{
    (void)state;
    gen_film_options o = { { .force = true }, 16, 16, 10 };
    assert_int_equal(write_film(in_folder("a.gif"), turn, 9, &o), GEN_OK);
    film f = read_film(in_folder("a.gif"));
    expect_frames(&f, turn, 9, &o, 0);
    film_free(&f);
    remove(in_folder("a.gif"));
}

static void gif_loops_for_ever(void **state)
{
    (void)state;
    unsigned char data[2000];
    gen_film_options o = { { .force = true }, 8, 8, 10 };
    assert_int_equal(write_film(in_folder("a.gif"), flat, 2, &o), GEN_OK);
    FILE *f = fopen(in_folder("a.gif"), "rb");
    size_t n = fread(data, 1, sizeof data, f), at = 0;
    fclose(f);
    while (at + 16 < n && memcmp(data + at, "NETSCAPE2.0\3\1", 13) != 0)
        at++;
    assert_true(at + 16 < n);
    assert_int_equal(data[at + 13] | data[at + 14] << 8, 0); /* times; 0 = for ever */
    assert_int_equal(data[n - 1], 0x3b);
    remove(in_folder("a.gif"));
}

/* Colours that change slowly, so that 4:2:0 loses little. */
static void smooth(int frame, int x, int y, uint8_t rgb[3])
{
    rgb[0] = (uint8_t)(40 + 2 * x);
    rgb[1] = (uint8_t)(220 - 2 * y);
    rgb[2] = (uint8_t)(90 + 3 * frame);
}

static void mp4_is_near(const char *encoder, enum AVCodecID id)
{
    static const int sizes[][2] = { { 64, 48 }, { 63, 47 }, { 64, 31 }, { 1, 1 }, { 2, 30 } };
    for (int i = 0; i < GEN_LEN(sizes); i++) {
        gen_film_options o = {
            { "Rain", "made by a test", true }, sizes[i][0], sizes[i][1], 7.5, encoder
        };
        assert_int_equal(write_film(in_folder("a.mp4"), smooth, 16, &o), GEN_OK);
        film f = read_film(in_folder("a.mp4"));
        assert_int_equal(f.codec, id);
        assert_int_equal(f.width, (o.width + 1) / 2 * 2);
        assert_int_equal(f.height, (o.height + 1) / 2 * 2);
        assert_int_equal(f.space, AVCOL_SPC_BT709);
        if (id == AV_CODEC_ID_H264)
            assert_int_equal(f.range, AVCOL_RANGE_MPEG);
        assert_int_equal(f.rate.num * 2, f.rate.den * 15);
        assert_string_equal(f.title, "Rain");
        assert_string_equal(f.comment, "made by a test");
        expect_frames(&f, smooth, 16, &o, 12);
        /* The row and column that make it even repeat their neighbours. */
        int end = 3 * (f.width * f.height - 1),
            before = 3 * ((o.height - 1) * f.width + o.width - 1);
        for (int k = 0; k < 3; k++)
            assert_true(abs(f.rgb[3][end + k] - f.rgb[3][before + k]) < 8);
        film_free(&f);
    }
    remove(in_folder("a.mp4"));
}

static void h264_is_near(void **state)
{
    (void)state;
    if (!avcodec_find_encoder_by_name("libx264"))
        skip();
    mp4_is_near(NULL, AV_CODEC_ID_H264);
}

static void mpeg4_is_near(void **state)
{
    (void)state;
    mp4_is_near("mpeg4", AV_CODEC_ID_MPEG4);
}

/* So that it plays while it loads, the index stands before the pictures. */
static void mp4_starts_fast(void **state)
{
    (void)state;
    static char data[100000];
    gen_film_options o = { { .force = true }, 64, 48, 10 };
    assert_int_equal(write_film(in_folder("a.mp4"), flat, 8, &o), GEN_OK);
    FILE *f = fopen(in_folder("a.mp4"), "rb");
    size_t n = fread(data, 1, sizeof data, f), moov = 0, mdat = 0;
    fclose(f);
    for (size_t i = 0; i + 4 < n; i++) {
        moov = !moov && memcmp(data + i, "moov", 4) == 0 ? i : moov;
        mdat = !mdat && memcmp(data + i, "mdat", 4) == 0 ? i : mdat;
    }
    assert_true(moov > 0 && mdat > moov);
    remove(in_folder("a.mp4"));
}

static void same_frames_same_bytes(void **state)
{
    (void)state;
    static const char *const names[] = { "a.gif", "a.mp4" };
    static char data[2][200000];
    for (int k = 0; k < 2; k++) {
        size_t n[2];
        gen_film_options o = { { "T", "M", true }, 64, 48, 10 };
        for (int i = 0; i < 2; i++) {
            mallopt(M_PERTURB, i ? 255 : 85); /* memory that nobody wrote holds other bytes */
            assert_int_equal(write_film(in_folder(names[k]), flat, 8, &o), GEN_OK);
            mallopt(M_PERTURB, 0);
            FILE *f = fopen(in_folder(names[k]), "rb");
            n[i] = fread(data[i], 1, sizeof data[i], f);
            fclose(f);
        }
        assert_true(n[0] == n[1] && n[0] < sizeof data[0]);
        assert_memory_equal(data[0], data[1], n[0]);
        remove(in_folder(names[k]));
    }
}

/* Every pixel of every frame of a GIF is that of the picture, whatever the scale. */
static void a_film_of_maps_is_its_pictures(void **state)
{
    (void)state;
    static float field[12][90 * 80];
    static char proj[] = "+proj=laea +lat_0=55 +lon_0=10 +ellps=WGS84";
    double x[80], y[90];
    for (int i = 0; i < 90; i++)
        y[i] = -1e4 * i;
    for (int i = 0; i < 80; i++)
        x[i] = 1e4 * i;
    for (int k = 0; k < 12; k++)
        for (int i = 0; i < 90 * 80; i++)
            field[k][i] = i % 37 == k ? NAN : (float)(pow((i / 3 + 9 * k) % 100 / 14.0, 3) / 3);
    gen_radar_grid grid = { .height = 90, .width = 80, .y = y, .x = x, .proj4 = proj };
    for (int scale = GEN_PLOT_RATE; scale <= GEN_PLOT_PROBABILITY; scale++) {
        gen_plot_options o = { .title = "Rain",
                               .subtitle = "of a test",
                               .size = 300,
                               .force = true,
                               .scale = (gen_plot_scale)scale };
        gen_plot_film *f;
        char title[20];
        gen_plot_panel panel = { .title = title, .note = "note" };
        assert_int_equal(gen_plot_film_open(&f, in_folder("g.gif"), &grid, 1, &o), GEN_OK);
        for (int k = 0; k < 12; k++) {
            snprintf(title, sizeof title, "frame %d", k);
            panel.rain = field[k];
            assert_int_equal(gen_plot_film_add(f, &panel), GEN_OK);
        }
        assert_int_equal(gen_plot_film_commit(f), GEN_OK);
        gen_plot_film_free(&f);
        film read = read_film(in_folder("g.gif"));
        assert_int_equal(read.frames, 12);
        for (int k = 0; k < 12; k++) {
            snprintf(title, sizeof title, "frame %d", k);
            panel.rain = field[k];
            assert_int_equal(gen_plot(in_folder("g.png"), &grid, &panel, 1, &o), GEN_OK);
            picture p = picture_read(in_folder("g.png"));
            assert_int_equal(p.width, read.width);
            assert_int_equal(p.height, read.height);
            assert_memory_equal(p.rgb, read.rgb[k], 3 * (size_t)p.width * (size_t)p.height);
            picture_free(&p);
        }
        film_free(&read);
    }
    remove(in_folder("g.gif"));
    remove(in_folder("g.png"));
}

/* ---- mistakes ------------------------------------------------------------------------------ */

static void expect_sentence(gen_status found, gen_status expected, const char *part)
{
    if (found != expected || !strstr(gen_last_error(), part))
        fail_msg("status %s, sentence '%s', expected %s and '%s'", gen_status_name(found),
                 gen_last_error(), gen_status_name(expected), part);
}

static void mistakes_have_sentences(void **state)
{
    (void)state;
    static const char *const names[] = { "b.gif", "b.mp4" };
    gen_film_options o = { { .force = false }, 16, 16, 10 };
    expect_sentence(write_film(in_folder("b.avi"), flat, 1, &o), GEN_EINVAL, ".gif or .mp4");
    for (int i = 0; i < 2; i++) {
        const char *path = in_folder(names[i]);
        gen_film_options bad = o;
        expect_sentence(write_film(path, flat, 0, &o), GEN_EINVAL, "no frames");
        bad.fps = 0;
        expect_sentence(write_film(path, flat, 1, &bad), GEN_EINVAL, "frames a second");
        bad.fps = NAN;
        expect_sentence(write_film(path, flat, 1, &bad), GEN_EINVAL, "frames a second");
        bad.fps = 121;
        expect_sentence(write_film(path, flat, 1, &bad), GEN_EINVAL, "frames a second");
        bad = o;
        bad.width = 0;
        expect_sentence(write_film(path, flat, 1, &bad), GEN_EINVAL, "0 x 16 pixels");
        bad.width = 1 << 20;
        expect_sentence(write_film(path, flat, 0, &bad), GEN_EINVAL, "pixels");
        assert_int_equal(files_there(), 0);
        assert_int_equal(write_film(path, flat, 2, &o), GEN_OK);
        expect_sentence(write_film(path, flat, 2, &o), GEN_EEXIST, "exists");
        assert_int_equal(files_there(), 1);
        remove(path);
    }
    gen_film_options wrong = { { .force = true }, 16, 16, 10, "nosuchencoder" };
    expect_sentence(write_film(in_folder("b.mp4"), flat, 1, &wrong), GEN_EUNSUPPORTED,
                    "nosuchencoder");
    expect_sentence(write_film("/nowhere/b.mp4", flat, 1, &o), GEN_EIO, "/nowhere/b.mp4");
    assert_int_equal(files_there(), 0);
}

/* What is freed without a commit leaves nothing, at any length. */
static void an_abandoned_film_leaves_nothing(void **state)
{
    (void)state;
    static const char *const names[] = { "c.gif", "c:d.mp4" };
    uint64_t before = gen_alloc_bytes();
    for (int i = 0; i < 6; i++) {
        gen_film_options o = { { .made = "test" }, 31, 16, 10 };
        gen_film *f;
        assert_int_equal(gen_film_open(&f, in_folder(names[i % 2]), &o), GEN_OK);
        for (int k = 0; k < i / 2 * 20; k++) {
            uint8_t *rgb = paint(flat, k, o.width, o.height);
            assert_int_equal(gen_film_add(f, rgb), GEN_OK);
            free(rgb);
        }
        gen_film_free(&f);
        assert_int_equal(files_there(), 0);
    }
    assert_int_equal(gen_alloc_bytes(), before);
}

static void noise(int frame, int x, int y, uint8_t rgb[3])
{
    uint32_t v = (uint32_t)(frame * 7919 + x * 104729 + y * 1299709) * 2654435761u;
    v ^= v >> 15;
    v *= 2246822519u;
    rgb[0] = (uint8_t)(v >> 8);
    rgb[1] = (uint8_t)(v >> 16);
    rgb[2] = (uint8_t)(v >> 24);
}

/* A limit on file size stands for a full disk. */
static void a_full_disk_leaves_nothing(void **state)
{
    (void)state;
    static const char *const names[] = { "d.gif", "d.mp4" };
    struct rlimit old, small;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    for (int i = 0; i < 2; i++)
        for (rlim_t limit = 0; limit < 40000; limit += limit < 4000 ? 500 : 9000) {
            small = (struct rlimit){ limit, old.rlim_max };
            gen_film_options o = { { "a title", "made by a test", false }, 128, 128, 10 };
            assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
            gen_status status = write_film(in_folder(names[i]), noise, 6, &o);
            assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
            expect_sentence(status, GEN_ENOMEM, names[i]);
            assert_int_equal(files_there(), 0);
        }
    signal(SIGXFSZ, handler);
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    static const char *const names[] = { "e.gif", "e.mp4" };
    uint64_t before = gen_alloc_bytes();
    for (int i = 0; i < 2; i++) {
        gen_status status = GEN_ENOMEM;
        gen_film_options o = { { "a title", "made by a test", false }, 15, 16, 10 };
        for (uint64_t n = 1; status != GEN_OK && n < 60; n++) {
            gen_alloc_fail_at(n);
            status = write_film(in_folder(names[i]), flat, 2, &o);
            gen_alloc_fail_at(0);
            assert_true(status == GEN_OK || status == GEN_ENOMEM);
            assert_int_equal(gen_alloc_bytes(), before);
            assert_int_equal(files_there(), status == GEN_OK);
        }
        assert_int_equal(status, GEN_OK);
        remove(in_folder(names[i]));
    }
}

/* FFmpeg's log level is the process's own: as it was before and after. */
static void ffmpeg_is_hushed_only_meanwhile(void **state)
{
    (void)state;
    gen_film *a, *b;
    gen_film_options o = { { .force = true }, 16, 16, 10 };
    av_log_set_level(AV_LOG_WARNING);
    assert_int_equal(gen_film_open(&a, in_folder("f.gif"), &o), GEN_OK);
    assert_int_equal(gen_film_open(&b, in_folder("f.mp4"), &o), GEN_OK);
    gen_film_free(&a);
    assert_int_equal(av_log_get_level(), AV_LOG_QUIET);
    gen_film_free(&b);
    assert_int_equal(av_log_get_level(), AV_LOG_WARNING);
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
        cmocka_unit_test(gif_is_exact),
        cmocka_unit_test(gif_changes_its_palette),
        cmocka_unit_test(gif_loops_for_ever),
        cmocka_unit_test(h264_is_near),
        cmocka_unit_test(mpeg4_is_near),
        cmocka_unit_test(mp4_starts_fast),
        cmocka_unit_test(same_frames_same_bytes),
        cmocka_unit_test(a_film_of_maps_is_its_pictures),
        cmocka_unit_test(mistakes_have_sentences),
        cmocka_unit_test(an_abandoned_film_leaves_nothing),
        cmocka_unit_test(a_full_disk_leaves_nothing),
        cmocka_unit_test(any_allocation_may_fail),
        cmocka_unit_test(ffmpeg_is_hushed_only_meanwhile),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
