/* SPDX-License-Identifier: Apache-2.0
 *
 * Series of radar files: times in names, any order, files that are not opened, feeds that are being
 * written, and gaps filled by advection.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utime.h>

#include <cmocka.h>
#include <math.h>

#include <libgen/weather.h>

#include "libgen/base/alloc.h"

#define H 80
#define W 96
#define CELLS (H * W)
#define T0 1280000100 /* 2010-07-24T19:35:00Z */
#define PATTERN "rain_%Y%m%d%H%M.nc"
#define MOST 16

static char folder[] = "/tmp/gen-series-XXXXXX";

static void expect_sentence(gen_status found, gen_status expected, const char *part)
{
    if (found != expected || !strstr(gen_last_error(), part))
        fail_msg("status %s, sentence '%s', expected %s and '%s'", gen_status_name(found),
                 gen_last_error(), gen_status_name(expected), part);
}

/* ---- a moving field ---------------------------------------------------------------------- */

/* Three blobs that drift by (u, v) = (2.5, 1) px a step: the truth at any step, also broken ones.
 */
static void truth(float *rain, double step)
{
    static const double blob[3][4] = { { 30, 30, 6, 8 }, { 50, 40, 9, 4 }, { 25, 60, 5, 12 } };
    for (int64_t i = 0; i < CELLS; i++) {
        double y = (double)(i / W) - 1.0 * step, x = (double)(i % W) - 2.5 * step, sum = 0;
        for (int k = 0; k < 3; k++) {
            double dy = y - blob[k][0], dx = x - blob[k][1], r = blob[k][2];
            sum += blob[k][3] * exp(-(dy * dy + dx * dx) / (2 * r * r));
        }
        rain[i] = sum < 0.05 ? 0 : (float)sum;
    }
}

static const char *path_of(const char *name)
{
    static char path[MOST][256];
    static int turn;
    char *p = path[turn++ % MOST];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static const char *name_at(int64_t step)
{
    char name[64];
    assert_int_equal(gen_name_print(name, sizeof name, PATTERN, T0 + 300 * step), GEN_OK);
    return path_of(name);
}

/* Frames from `step` on, as a file. */
static const char *write_frames(const char *path, int64_t step, int64_t frames, const char *note)
{
    static float rain[8 * CELLS];
    static double y[H], x[W];
    static char proj4[] = "+proj=aeqd +lat_0=52 +lon_0=5";
    static char mapping[] = "azimuthal_equidistant";
    int64_t time[8];
    char attributes[128];
    snprintf(attributes, sizeof attributes,
             "{\"grid_mapping_name\":\"azimuthal_equidistant\",\"note\":\"%s\"}", note);
    for (int64_t i = 0; i < frames; i++) {
        time[i] = T0 + 300 * (step + i);
        truth(rain + i * CELLS, (double)(step + i));
    }
    for (int j = 0; j < H; j++)
        y[j] = -1000.0 * j;
    for (int i = 0; i < W; i++)
        x[i] = 1000.0 * i;
    gen_radar_sequence s = { .frames = frames, .step = 300, .time = time, .rain = rain };
    s.grid = (gen_radar_grid){ .height = H, .width = W, .y = y, .x = x };
    s.grid.proj4 = proj4;
    s.grid.mapping_name = mapping;
    s.grid.attributes = attributes;
    assert_int_equal(gen_radar_write(&s, path, 0.01, NULL, true), GEN_OK);
    return path;
}

static const char *write_step(int64_t step)
{
    return write_frames(name_at(step), step, 1, "one");
}

static const char *write_junk(const char *path)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs("no rain at all", f);
    fclose(f);
    return path;
}

static int clear_folder(void **state)
{
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "rm -rf %s/*", folder);
    return system(command);
}

typedef struct messages {
    int n;
    char last[512], all[4096];
} messages;

static void keep_message(void *cookie, gen_log_level level, const char *text)
{
    messages *m = cookie;
    (void)level;
    m->n++;
    snprintf(m->last, sizeof m->last, "%s", text);
    size_t used = strlen(m->all);
    snprintf(m->all + used, sizeof m->all - used, "%s\n", text);
}

/* Reads with the warnings kept. */
static gen_status read_kept(gen_radar_sequence **s, messages *m, int n, const char *const *paths,
                            const gen_radar_read_options *o)
{
    *m = (messages){ 0 };
    gen_log_set(keep_message, m, GEN_LOG_WARN);
    gen_status status = gen_radar_read(s, paths, n, o);
    gen_log_set(NULL, NULL, GEN_LOG_WARN);
    assert_true((status == GEN_OK) == (*s != NULL));
    return status;
}

/* ---- names ------------------------------------------------------------------------------- */

#define NONE INT64_MIN
#define NO (INT64_MIN + 1)

static void names_are_matched(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *path;
        int64_t time; /* from date -u -d TEXT +%s; NONE: matches without a time; NO: does not */
    } cases[] = {
        { "%Y%m%d%H%M.h5", "201008260005.h5", 1282781100 },
        { "%Y%m%d%H%M.h5", "in/some/folder/201008260005.h5", 1282781100 },
        { "%Y%m%d%H%M.h5", "201008260005.h5.tmp", NO },
        { "%Y%m%d%H%M.h5", "x201008260005.h5", NO },
        { "%Y%m%d%H%M.h5", "20100826000.h5", NO },
        { "%Y%m%d%H%M.h5", "201013260005.h5", NO },
        { "%Y%m%d%H%M.h5", "201002290005.h5", NO },
        { "%Y%m%d%H%M.h5", "201008262405.h5", NO },
        { "%Y%m%d%H%M%S", "20000229235959", 951868799 },
        { "%Y-%j_%H%M", "2000-060_2359", 951868740 },
        { "%Y-%j_%H%M", "2001-366_2359", NO },
        { "%Y%j", "2010238", 1282780800 },
        { "%y%m%d", "100826", 1282780800 },
        { "%y%m%d", "691231", -86400 },
        { "%d%b%Y", "26Aug2010", 1282780800 },
        { "%d%b%Y", "26AUG2010", 1282780800 },
        { "%d%b%Y", "26Agu2010", NO },
        { "*_%Y%m%d%H%M*", "RAD_NL25_RAP_5min_201008260005.h5", 1282781100 },
        { "*%Y%m%d%H%M.h5", "19_201008260005.h5", 1282781100 },
        { "*%Y%m%d*.pgm", "99999999_20100826_x.pgm", 1282780800 },
        { "*a*b*c", "xaybzc", NONE },
        { "*a*b*c", "xaybzcd", NO },
        { "*.h5", "a.h5", NONE },
        { "?.h5", "a.h5", NONE },
        { "?.h5", "ab.h5", NO },
        { "a*", "b/a", NONE },
        { "a*c", "a/c", NO },
        { "%Y/%m/%d/%H%M.h5", "2010/08/26/0005.h5", 1282781100 },
        { "%Y/%m/%d/%H%M.h5", "/data/2010/08/26/0005.h5", 1282781100 },
        { "%Y/%m/%d/%H%M.h5", "08/26/0005.h5", NO },
        { "%Y/%Y%m%d.h5", "2010/20100826.h5", 1282780800 },
        { "%Y/%Y%m%d.h5", "2011/20100826.h5", NO },
        { "%%%Y%m%d", "%20100826", 1282780800 },
        { "%Y%m%d", "", NO },
        { "*", "", NONE },
    };
    for (int i = 0; i < GEN_LEN(cases); i++) {
        bool matches;
        int64_t t;
        assert_int_equal(gen_name_match(cases[i].pattern, cases[i].path, &matches, &t), GEN_OK);
        if (matches != (cases[i].time != NO) || (matches && t != cases[i].time))
            fail_msg("'%s' and '%s': %d, %lld", cases[i].pattern, cases[i].path, matches,
                     (long long)t);
    }
}

/* Whatever stands in a pattern and in a name: an answer, and the same for the same. */
static void any_pattern_ends(void **state)
{
    (void)state;
    static const char letters[] = "%%%%YmdHMSjyb**?/a012";
    uint32_t random = 5;
    int matched = 0;
    for (int turn = 0; turn < 200000; turn++) {
        char text[2][16], printed[64];
        for (int k = 0; k < 2; k++) {
            int n = (int)(random >> 9) % 15;
            for (int i = 0; i < n; i++) {
                random = random * 1664525u + 1013904223u;
                text[k][i] = letters[(random >> 16) % (sizeof letters - 1)];
            }
            random = random * 1664525u + 1013904223u;
            text[k][n] = 0;
        }
        bool a, b;
        int64_t t, u;
        gen_status status = gen_name_match(text[0], text[1], &a, &t);
        assert_true(status == GEN_OK || status == GEN_EINVAL);
        assert_int_equal(gen_name_match(text[0], text[1], &b, &u), status);
        assert_true(a == b && t == u);
        matched += a;
        gen_name_print(printed, sizeof printed, text[0], 1282781100);
    }
    assert_true(matched > 100);
}

static void bad_patterns_name_the_conversion(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *part;
    } cases[] = {
        { "%Y%m%d%q.h5", "'%q' is none of %Y" }, { "%Y%m%d%", "'%' is none of" },
        { "%H%M.h5", "tells no date" },          { "%Y%m.h5", "tells no date" },
        { "", "expected the name of a file" },   { "/%Y%m%d", "expected the name" },
    };
    for (int i = 0; i < GEN_LEN(cases); i++) {
        bool matches;
        int64_t t;
        expect_sentence(gen_name_match(cases[i].pattern, "a", &matches, &t), GEN_EINVAL,
                        cases[i].part);
    }
}

/* What is printed is matched, and the time comes back. */
static void names_are_printed(void **state)
{
    (void)state;
    char name[64];
    bool matches;
    int64_t back;
    assert_int_equal(gen_name_print(name, sizeof name, "n_%Y%m%dT%H%M%S_%j_%b%y%%.nc", 951868799),
                     GEN_OK);
    assert_string_equal(name, "n_20000229T235959_060_Feb00%.nc");
    for (int64_t t = -30000000000; t < 250000000000; t += 86400 * 97 + 12345) {
        assert_int_equal(gen_name_print(name, sizeof name, "%Y/%j_%H-%M-%S", t), GEN_OK);
        assert_int_equal(gen_name_match("%Y/%j_%H-%M-%S", name, &matches, &back), GEN_OK);
        assert_true(matches && back == t);
    }
    expect_sentence(gen_name_print(name, sizeof name, "%q", 0), GEN_EINVAL, "'%q' is none of");
    expect_sentence(gen_name_print(name, 8, "12345678", 0), GEN_EINVAL, "too long");
}

/* ---- joining ----------------------------------------------------------------------------- */

static void order_of_files_does_not_matter(void **state)
{
    (void)state;
    const char *paths[6], *turned[6];
    for (int i = 0; i < 6; i++) {
        char note[8];
        snprintf(note, sizeof note, "%d", i);
        paths[i] = write_frames(name_at(2 * i), 2 * i, i == 3 ? 1 : 2, note);
    }
    gen_radar_read_options o = { .fill = GEN_RADAR_FILL_ADVECT };
    gen_radar_sequence *a = NULL, *b = NULL;
    messages m;
    assert_int_equal(read_kept(&a, &m, 6, paths, &o), GEN_OK);
    assert_int_equal(a->frames, 12);
    uint32_t random = 7;
    for (int turn = 0; turn < 20; turn++) {
        memcpy(turned, paths, sizeof paths);
        for (int i = 5; i > 0; i--) {
            random = random * 1664525u + 1013904223u;
            int k = (int)(random >> 8) % (i + 1);
            const char *t = turned[i];
            turned[i] = turned[k];
            turned[k] = t;
        }
        assert_int_equal(read_kept(&b, &m, 6, turned, &o), GEN_OK);
        assert_memory_equal(a->rain, b->rain, sizeof(float) * 12 * CELLS);
        assert_memory_equal(a->time, b->time, sizeof(int64_t) * 12);
        assert_string_equal(a->source, b->source);
        assert_string_equal(a->grid.attributes, b->grid.attributes);
        gen_radar_free(&b);
    }
    gen_radar_free(&a);
}

/* Older files are junk here: who opened them would fail. Their names still tell the step. */
static void only_the_newest_names_are_opened(void **state)
{
    (void)state;
    const char *paths[8];
    for (int i = 0; i < 8; i++)
        paths[7 - i] = i < 5 ? write_junk(name_at(i)) : write_step(i);
    gen_radar_read_options o = { .max_frames = 3, .pattern = PATTERN };
    gen_radar_sequence *s = NULL;
    messages m;
    assert_int_equal(read_kept(&s, &m, 8, paths, &o), GEN_OK);
    assert_true(s->frames == 3 && s->time[2] == T0 + 7 * 300 && s->step == 300 && m.n == 0);
    assert_string_equal(s->source, "rain_201007242000.nc, rain_201007242005.nc, "
                                   "rain_201007242010.nc");
    gen_radar_free(&s);
    o.max_frames = 4;
    expect_sentence(read_kept(&s, &m, 8, paths, &o), GEN_EDATA, "rain_201007241955.nc");
    o = (gen_radar_read_options){
        .max_frames = 1, .pattern = PATTERN, .first = INT64_MIN, .last = T0 + 6 * 300
    };
    assert_int_equal(read_kept(&s, &m, 8, paths, &o), GEN_OK);
    assert_true(s->frames == 1 && s->time[0] == T0 + 6 * 300 && s->step == 300);
    gen_radar_free(&s);
    /* without the file of step 6, the names still tell that a frame is missing */
    o = (gen_radar_read_options){ .max_frames = 2, .pattern = PATTERN };
    const char *gap[] = { paths[0], paths[2], paths[3], paths[4] };
    expect_sentence(read_kept(&s, &m, 4, gap, &o), GEN_EDATA, "frames are missing between");
}

static void the_files_own_time_wins(void **state)
{
    (void)state;
    const char *paths[3] = { write_step(0), write_frames(name_at(5), 1, 1, "n"),
                             write_frames(name_at(6), 2, 1, "n") };
    gen_radar_sequence *s = NULL;
    messages m;
    assert_int_equal(read_kept(&s, &m, 3, paths, &(gen_radar_read_options){ .pattern = PATTERN }),
                     GEN_OK);
    assert_true(s->frames == 3 && s->time[2] == T0 + 600);
    assert_int_equal(m.n, 1);
    assert_non_null(strstr(m.last, "rain_201007242000.nc' says 2010-07-24T19:40:00Z, but its name "
                                   "2010-07-24T20:00:00Z (and 1 files more)"));
    gen_radar_free(&s);
    expect_sentence(gen_radar_read(&s, paths, 3, &(gen_radar_read_options){ .pattern = "%Q" }),
                    GEN_EINVAL, "'%Q' is none of");
}

/* A graymap without a comment: no time, no place, no quantity. */
static const char *write_graymap(int64_t step)
{
    char name[64];
    assert_int_equal(gen_name_print(name, sizeof name, "%Y%m%d%H%M.pgm", T0 + 300 * step), GEN_OK);
    const char *path = path_of(name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs("P5\n3 2\n255\n", f);
    for (int i = 0; i < 6; i++)
        fputc((int)(10 * step) + i, f);
    fclose(f);
    return path;
}

static void names_help_where_files_are_silent(void **state)
{
    (void)state;
    const char *paths[3] = { write_graymap(2), write_graymap(0), write_graymap(1) };
    gen_radar_sequence *s = NULL;
    messages m;
    gen_radar_read_options o = { .units = "mm/h" };
    expect_sentence(read_kept(&s, &m, 3, paths, &o), GEN_EDATA,
                    "201007241945.pgm' does not say when it was measured: give a pattern");
    o.pattern = "%Y%m%d%H%M.pgm";
    for (int frames = 0; frames < 2; frames++) {
        o.max_frames = frames;
        assert_int_equal(read_kept(&s, &m, 3, paths, &o), GEN_OK);
        assert_true(s->frames == (frames ? 1 : 3) && s->step == 300);
        assert_true(s->time[s->frames - 1] == T0 + 600);
        assert_true(s->rain[s->frames * 6 - 1] == 25);
        gen_radar_free(&s);
    }
}

/* ---- feeds ------------------------------------------------------------------------------- */

static void a_feed_has_bad_files(void **state)
{
    (void)state;
    const char *paths[6];
    for (int i = 0; i < 5; i++)
        paths[i] = write_step(i);
    paths[5] = write_junk(name_at(5));
    gen_radar_sequence *s = NULL;
    messages m;
    gen_radar_read_options o = { .max_frames = 4, .min_frames = 4 };
    expect_sentence(read_kept(&s, &m, 6, paths, &o), GEN_EDATA, "unknown format");
    o.lenient = true;
    for (int by_name = 0; by_name < 2; by_name++) {
        o.pattern = by_name ? PATTERN : NULL;
        assert_int_equal(read_kept(&s, &m, 6, paths, &o), GEN_OK);
        assert_true(s->frames == 4 && s->time[3] == T0 + 4 * 300);
        assert_int_equal(m.n, 1);
        assert_non_null(strstr(m.last, "is left out"));
        gen_radar_free(&s);
    }
    write_junk(paths[1]); /* now no four follow one another */
    for (int by_name = 0; by_name < 2; by_name++) {
        o.pattern = by_name ? PATTERN : NULL;
        expect_sentence(read_kept(&s, &m, 6, paths, &o), GEN_EDATA, "no 4 frames follow one");
    }
    for (int i = 0; i < 6; i++)
        write_junk(paths[i]);
    expect_sentence(read_kept(&s, &m, 6, paths, &o), GEN_EDATA, "none of 6 files can be read");
}

/* A cut file may open and fail later: the frames are chosen again without it. */
static void a_feed_has_cut_files(void **state)
{
    (void)state;
    const char *paths[3] = { write_step(0), write_step(1), write_step(2) };
    FILE *f = fopen(paths[2], "rb+");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    fclose(f);
    gen_radar_read_options o = { .max_frames = 2, .min_frames = 2, .lenient = true };
    o.own_process = true;
    for (int part = 1; part < 8; part++) {
        gen_radar_sequence *s = NULL;
        messages m;
        write_step(2);
        assert_int_equal(truncate(paths[2], size * part / 8), 0);
        assert_int_equal(read_kept(&s, &m, 3, paths, &o), GEN_OK);
        assert_true(s->time[1] == T0 + 300 && m.n == 1);
        gen_radar_free(&s);
    }
}

static void a_feed_has_gaps_and_copies(void **state)
{
    (void)state;
    const char *paths[6] = { write_step(0), write_step(1), write_step(2), write_step(4) };
    gen_radar_sequence *s = NULL;
    messages m;
    gen_radar_read_options o = { .max_frames = 3, .min_frames = 2, .lenient = true };
    for (int by_name = 0; by_name < 2; by_name++) {
        o.pattern = by_name ? PATTERN : NULL;
        assert_int_equal(read_kept(&s, &m, 4, paths, &o), GEN_OK);
        assert_true(s->frames == 3 && s->time[2] == T0 + 600);
        assert_non_null(strstr(m.all, "frames are missing before 2010-07-24T19:55:00Z"));
        gen_radar_free(&s);
    }
    o.min_frames = 1; /* one frame is a run */
    assert_int_equal(read_kept(&s, &m, 4, paths, &o), GEN_OK);
    assert_true(s->frames == 1 && s->time[0] == T0 + 1200 && s->step == 300);
    gen_radar_free(&s);
    o.min_frames = 2;
    o.fill = GEN_RADAR_FILL_ADVECT;
    assert_int_equal(read_kept(&s, &m, 4, paths, &o), GEN_OK);
    assert_true(s->frames == 3 && s->time[2] == T0 + 1200);
    gen_radar_free(&s);

    /* step 2 came again, corrected, under a name that sorts first, and was written later */
    o.fill = GEN_RADAR_NO_GAPS;
    o.pattern = NULL;
    paths[3] = write_frames(path_of("again.nc"), 2, 1, "again");
    assert_int_equal(utime(paths[2], &(struct utimbuf){ 1000, 1000 }), 0);
    assert_int_equal(utime(paths[3], &(struct utimbuf){ 2000, 2000 }), 0);
    assert_int_equal(read_kept(&s, &m, 4, paths, &o), GEN_OK);
    assert_non_null(strstr(s->source, "again.nc"));
    assert_null(strstr(s->source, "rain_201007241945.nc"));
    assert_non_null(strstr(m.all, "is there twice"));
    gen_radar_free(&s);
    assert_int_equal(utime(paths[3], &(struct utimbuf){ 500, 500 }), 0);
    assert_int_equal(read_kept(&s, &m, 4, paths, &o), GEN_OK);
    assert_null(strstr(s->source, "again.nc"));
    gen_radar_free(&s);
    o.lenient = false;
    expect_sentence(read_kept(&s, &m, 4, paths, &o), GEN_EDATA, "is there twice");
}

/* One frame between the others, a minute after the third: without it four follow one another. */
static void a_feed_has_odd_times(void **state)
{
    (void)state;
    const char *paths[7];
    for (int i = 0; i < 6; i++)
        paths[i] = write_step(i + (i > 2)); /* 0 1 2 4 5 6 */
    gen_radar_sequence *s = NULL;
    messages m;
    char name[64];
    static float rain[CELLS];
    int64_t time = T0 + 3 * 300 + 60;
    assert_int_equal(gen_radar_read(&s, paths, 1, NULL), GEN_OK);
    gen_radar_sequence odd = *s;
    odd.time = &time;
    odd.rain = rain;
    assert_int_equal(gen_name_print(name, sizeof name, PATTERN, time), GEN_OK);
    paths[6] = path_of(name);
    assert_int_equal(gen_radar_write(&odd, paths[6], 0, NULL, true), GEN_OK);
    gen_radar_free(&s);
    gen_radar_read_options o = { .max_frames = 3, .min_frames = 3 };
    expect_sentence(read_kept(&s, &m, 7, paths, &o), GEN_EDATA, "not regular");
    o.lenient = true;
    for (int by_name = 0; by_name < 2; by_name++) {
        o.pattern = by_name ? PATTERN : NULL;
        assert_int_equal(read_kept(&s, &m, 7, paths, &o), GEN_OK);
        assert_true(s->step == 300 && s->frames == 3 && s->time[2] == T0 + 6 * 300);
        gen_radar_free(&s);
    }
}

/* ---- gaps -------------------------------------------------------------------------------- */

/* Over the cells that `a` knows: nearly all. In two corners rain comes from outside on both sides.
 */
static double mean_square(const float *a, const float *b)
{
    double sum = 0;
    int64_t n = 0;
    for (int64_t i = 0; i < CELLS; i++) {
        if (isnan(a[i]))
            continue;
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        n++;
    }
    assert_true(n > CELLS * 0.98);
    return sum / (double)n;
}

/* Frames made for a gap of 1 to 3 are near the truth: far nearer than the frame before (whose error
 * is that of standing still) and than the mean of both neighbours. */
static void an_advected_gap_is_near_the_truth(void **state)
{
    (void)state;
    static float right[CELLS], mean[CELLS];
    for (int missing = 1; missing <= 3; missing++) {
        const char *paths[4] = { write_step(0), write_step(1), write_step(2 + missing),
                                 write_step(3 + missing) };
        gen_radar_sequence *s = NULL;
        messages m;
        gen_radar_read_options o = { .fill = GEN_RADAR_FILL_ADVECT };
        assert_int_equal(read_kept(&s, &m, 4, paths, &o), GEN_OK);
        assert_int_equal(s->frames, 4 + missing);
        assert_int_equal(m.n, missing);
        assert_non_null(strstr(m.all, "frame 2010-07-24T19:45:00Z is missing: it is advected"));
        char part[64];
        snprintf(part, sizeof part, "; %d missing frame%s advected", missing,
                 missing > 1 ? "s" : "");
        assert_non_null(strstr(s->source, part));
        const float *before = s->rain + CELLS, *behind = s->rain + (2 + missing) * CELLS;
        for (int k = 0; k < missing; k++) {
            truth(right, 2 + k);
            float w = (float)(k + 1) / (float)(missing + 1);
            for (int i = 0; i < CELLS; i++)
                mean[i] = (1 - w) * before[i] + w * behind[i];
            double made = mean_square(s->rain + (2 + k) * CELLS, right);
            assert_true(made < 0.01 * mean_square(before, right));
            assert_true(made < 0.05 * mean_square(mean, right));
        }
        gen_radar_free(&s);
        clear_folder(NULL);
    }
}

static void long_gaps_are_no_guess(void **state)
{
    (void)state;
    const char *paths[4] = { write_step(0), write_step(1), write_step(6), write_step(7) };
    gen_radar_sequence *s = NULL;
    messages m;
    gen_radar_read_options o = { .fill = GEN_RADAR_FILL_ADVECT };
    expect_sentence(read_kept(&s, &m, 4, paths, &o), GEN_EDATA,
                    "4 frames are missing between 2010-07-24T19:40:00Z and 2010-07-24T20:05:00Z: "
                    "at most 3 are advected");
    o.fill = GEN_RADAR_FILL_MISSING;
    assert_int_equal(read_kept(&s, &m, 4, paths, &o), GEN_OK);
    assert_true(s->frames == 8 && isnan(s->rain[5 * CELLS]) && !isnan(s->rain[6 * CELLS]));
    gen_radar_free(&s);
}

/* The frames wanted begin within a gap: the one before it is read as well, and let go. */
static void a_gap_may_begin_the_frames(void **state)
{
    (void)state;
    const char *paths[4] = { write_step(0), write_step(1), write_step(4), write_step(5) };
    gen_radar_sequence *s = NULL, *all = NULL;
    messages m;
    for (int by_name = 0; by_name < 2; by_name++) {
        gen_radar_read_options o = { .fill = GEN_RADAR_FILL_ADVECT };
        o.pattern = by_name ? PATTERN : NULL;
        assert_int_equal(read_kept(&all, &m, 4, paths, &o), GEN_OK);
        o.max_frames = 3;
        assert_int_equal(read_kept(&s, &m, 4, paths, &o), GEN_OK);
        assert_true(s->frames == 3 && s->time[0] == T0 + 900 && s->time[2] == T0 + 1500);
        assert_memory_equal(s->rain, all->rain + 3 * CELLS, 3 * CELLS * sizeof(float));
        gen_radar_free(&s);
        gen_radar_free(&all);
    }
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    const char *paths[3] = { write_step(0), write_step(1), write_step(3) };
    gen_radar_read_options o = { .fill = GEN_RADAR_FILL_ADVECT,
                                 .max_frames = 4,
                                 .pattern = PATTERN };
    uint64_t before = gen_alloc_bytes();
    gen_status status = GEN_ENOMEM;
    int n = 1;
    for (; status != GEN_OK && n < 400; n++) {
        gen_radar_sequence *s = NULL;
        gen_alloc_fail_at((uint64_t)n);
        status = gen_radar_read(&s, paths, 3, &o);
        gen_alloc_fail_at(0);
        assert_true(status == GEN_OK || status == GEN_ENOMEM);
        gen_radar_free(&s);
        assert_int_equal(gen_alloc_bytes(), before);
    }
    assert_true(status == GEN_OK && n > 30);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    clear_folder(state);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_matched),
        cmocka_unit_test(any_pattern_ends),
        cmocka_unit_test(bad_patterns_name_the_conversion),
        cmocka_unit_test(names_are_printed),
        cmocka_unit_test_teardown(order_of_files_does_not_matter, clear_folder),
        cmocka_unit_test_teardown(only_the_newest_names_are_opened, clear_folder),
        cmocka_unit_test_teardown(the_files_own_time_wins, clear_folder),
        cmocka_unit_test_teardown(names_help_where_files_are_silent, clear_folder),
        cmocka_unit_test_teardown(a_feed_has_bad_files, clear_folder),
        cmocka_unit_test_teardown(a_feed_has_cut_files, clear_folder),
        cmocka_unit_test_teardown(a_feed_has_gaps_and_copies, clear_folder),
        cmocka_unit_test_teardown(a_feed_has_odd_times, clear_folder),
        cmocka_unit_test_teardown(an_advected_gap_is_near_the_truth, clear_folder),
        cmocka_unit_test_teardown(long_gaps_are_no_guess, clear_folder),
        cmocka_unit_test_teardown(a_gap_may_begin_the_frames, clear_folder),
        cmocka_unit_test_teardown(any_allocation_may_fail, clear_folder),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
