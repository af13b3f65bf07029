/* SPDX-License-Identifier: Apache-2.0
 *
 * Maps: what a picture shows is what the field holds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>
#include <math.h>

#include <libgen/plot.h>

#include "tests/picture.h"

/* Each class and the missing cells cover their share of the map in their own colour. */
static void map_shows_the_rain(void **state)
{
    (void)state;
    static const struct {
        float rain;
        uint32_t rgb;
    } part[5] = { { 0.2f, 0xcfe8f7 },
                  { 4, 0x1f9e52 },
                  { 31.9f, 0xf59b23 },
                  { 500, 0x9c1a86 },
                  { NAN, 0xc9c9c9 } };
    static float rain[100 * 100];
    static double axis[100];
    char path[] = "/tmp/gen-plot-XXXXXX";
    close(mkstemp(path));
    for (int i = 0; i < 100; i++)
        axis[i] = i * 0.01;
    for (int i = 0; i < 100 * 100; i++)
        rain[i] = part[i / 2000].rain;
    gen_radar_grid grid = { .height = 100, .width = 100, .y = axis, .x = axis, .degrees = true };
    gen_plot_panel panel = { rain, "title", "note" };
    gen_plot_options o = { .title = "R\303\251union", .made = "by a test", .size = 300 };
    assert_int_equal(gen_plot(path, &grid, &panel, 1, &o), GEN_EEXIST);
    o.force = true;
    assert_int_equal(gen_plot(path, &grid, &panel, 1, &o), GEN_OK);
    picture p = picture_read(path);
    assert_string_equal(p.title, "R\303\251union");
    for (int i = 0; i < 5; i++) { /* grid lines cover a few per cent, the legend adds a few */
        long n = picture_count(&p, part[i].rgb);
        assert_true(n > 300 * 60 * 0.85 && n < 300 * 60 * 1.1);
    }
    picture_free(&p);
    remove(path);
    assert_int_equal(gen_plot("/nowhere/a.png", &grid, &panel, 1, &o), GEN_EIO);
    assert_int_equal(gen_plot(path, &grid, &panel, 0, &o), GEN_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map_shows_the_rain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
