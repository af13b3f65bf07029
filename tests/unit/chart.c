/* SPDX-License-Identifier: Apache-2.0
 *
 * Charts, read back as pixels: lines where their values say, gaps, logarithmic axes, charts without
 * data; outputs that are whole or absent.
 */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <png.h>

#include "media/chart.h"

static char folder[] = "/tmp/gen-chart-XXXXXX";
static char path[64];

typedef struct picture {
    int width, height;
    uint8_t *rgb;
} picture;

static picture draw(const gen_chart *charts, int n)
{
    const gen_media_info info = { .force = true };
    assert_int_equal(gen_charts_write(path, charts, n, 0, "heading", &info), GEN_OK);
    png_image image = { .version = PNG_IMAGE_VERSION };
    assert_true(png_image_begin_read_from_file(&image, path));
    image.format = PNG_FORMAT_RGB;
    picture p = { (int)image.width, (int)image.height, malloc(PNG_IMAGE_SIZE(image)) };
    assert_true(png_image_finish_read(&image, NULL, p.rgb, 0, NULL));
    return p;
}

/* Rows and columns between which pixels have the colour of line 0; count of them. */
static int find_line(const picture *p, int box[4])
{
    int n = 0;
    box[0] = box[1] = 1 << 20;
    box[2] = box[3] = -1;
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++) {
            const uint8_t *v = p->rgb + 3 * (y * p->width + x);
            if (v[0] > 0x30 || abs(v[1] - 0x72) > 0x30 || abs(v[2] - 0xb2) > 0x30) /* edges blend */
                continue;
            n++;
            box[0] = y < box[0] ? y : box[0];
            box[1] = x < box[1] ? x : box[1];
            box[2] = y > box[2] ? y : box[2];
            box[3] = x > box[3] ? x : box[3];
        }
    return n;
}

static void lines_lie_where_their_values_say(void **state)
{
    (void)state;
    const double x[3] = { 0, 1, 2 }, low[3] = { 1, 1, 1 }, high[3] = { 9, 9, 9 };
    const gen_chart_line a = { .x = x, .y = low, .n = 3 }, b = { .x = x, .y = high, .n = 3 };
    const gen_chart charts[2] = { { .lines = &a, .n = 1, .y_low = 0, .y_high = 10 },
                                  { .lines = &b, .n = 1, .y_low = 0, .y_high = 10 } };
    int at[2];
    for (int i = 0; i < 2; i++) {
        int box[4];
        picture p = draw(&charts[i], 1);
        assert_true(find_line(&p, box) > 100);
        assert_true(box[2] - box[0] <= 3);            /* level */
        assert_true(box[3] - box[1] > p.width * 0.7); /* from edge to edge */
        at[i] = box[0];
        free(p.rgb);
    }
    assert_true(at[0] - at[1] > 150 && at[0] - at[1] < 190); /* 8 tenths of the 214 px inside */
}

static void gaps_and_unlogarithmic_values_are_left_out(void **state)
{
    (void)state;
    const double x[5] = { 1, 10, 100, 1000, 10000 };
    const double gap[5] = { 1, 1, NAN, NAN, NAN }, zero[5] = { 0, -1, 1, 10, INFINITY };
    const gen_chart_line cut = { .x = x, .y = gap, .n = 5 }, some = { .x = x, .y = zero, .n = 5 };
    gen_chart c = { .lines = &cut, .n = 1, .log_x = true, .log_y = true };
    int box[4];
    picture p = draw(&c, 1);
    assert_true(find_line(&p, box) > 100);
    free(p.rgb);
    c.lines = &some;
    p = draw(&c, 1);
    assert_true(find_line(&p, box) > 10); /* few pixels of a slanted line have its full colour */
    assert_true(box[2] - box[0] > 150);   /* a decade fills the height */
    free(p.rgb);
}

static void charts_without_data_are_drawn(void **state)
{
    (void)state;
    const double none[2] = { NAN, NAN };
    const gen_chart_line l = { .name = "nothing", .x = none, .y = none, .n = 2 }, empty = { 0 };
    const gen_chart charts[4] = { { .lines = &l, .n = 1 },
                                  { .lines = &empty, .n = 1 },
                                  { 0 },
                                  { .title = "t", .x_label = "x", .y_label = "y" } };
    int box[4];
    picture p = draw(charts, 4);
    assert_int_equal(find_line(&p, box), 0);
    assert_int_equal(p.width, 3 * 380);
    free(p.rgb);
}

/* A line's colour, a third of it: (170,208,229) of (0,114,178). */
static void faint_lines_are_light(void **state)
{
    (void)state;
    const double x[2] = { 0, 1 }, y[2] = { 5, 5 };
    gen_chart_line l = { .x = x, .y = y, .n = 2, .style = GEN_CHART_FAINT };
    const gen_chart c = { .lines = &l, .n = 1, .y_high = 10 };
    int box[4], light = 0;
    picture p = draw(&c, 1);
    assert_int_equal(find_line(&p, box), 0);
    for (int i = 0; i < p.width * p.height; i++) {
        const uint8_t *v = p.rgb + 3 * i;
        light += abs((255 - v[0]) - 3 * (255 - v[2])) < 20 && 255 - v[0] > 30 && v[0] > 160;
    }
    assert_true(light > 200);
    free(p.rgb);
    l.style = GEN_CHART_LINE;
    p = draw(&c, 1);
    assert_true(find_line(&p, box) > 100);
    free(p.rgb);
}

static void one_point_and_huge_values_are_drawn(void **state)
{
    (void)state;
    const double x[2] = { 5, 5 }, y[2] = { 1e300, -1e300 };
    const gen_chart_line one = { .x = x, .y = y, .n = 1 }, two = { .x = x, .y = y, .n = 2 };
    int box[4];
    gen_chart c = { .lines = &one, .n = 1 };
    picture p = draw(&c, 1);
    assert_true(find_line(&p, box) > 10);
    free(p.rgb);
    c.lines = &two;
    p = draw(&c, 1);
    free(p.rgb);
}

static void what_exists_is_kept(void **state)
{
    (void)state;
    const gen_chart c = { 0 };
    FILE *f = fopen(path, "w");
    fputs("mine", f);
    fclose(f);
    assert_int_equal(gen_charts_write(path, &c, 1, 0, NULL, NULL), GEN_EEXIST);
    char text[8] = "";
    f = fopen(path, "r");
    assert_non_null(fgets(text, sizeof text, f));
    fclose(f);
    assert_string_equal(text, "mine");
    assert_int_equal(gen_charts_write(path, &c, 0, 0, NULL, NULL), GEN_EINVAL);
    assert_int_equal(gen_charts_write(path, &c, 1000, 0, NULL, NULL), GEN_EINVAL);
}

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/chart.png", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    remove(path);
    return rmdir(folder); /* fails where a temporary was left */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_lie_where_their_values_say),
        cmocka_unit_test(gaps_and_unlogarithmic_values_are_left_out),
        cmocka_unit_test(charts_without_data_are_drawn),
        cmocka_unit_test(faint_lines_are_light),
        cmocka_unit_test(one_point_and_huge_values_are_drawn),
        cmocka_unit_test(what_exists_is_kept),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
