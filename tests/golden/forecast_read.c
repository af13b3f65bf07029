/* SPDX-License-Identifier: Apache-2.0
 *
 * Forecasts of other programs as we read them, against forecast_read.json (by forecast_read.py:
 * pysteps and netCDF4), our own read back, and files that are none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libgen/base/alloc.h"
#include "libgen/base/file.h"
#include "libgen/base/json.h"
#include "libgen/base/options.h"

#include <libgen/weather.h>

#define FOLDER "tests/golden/forecasts/"

static gen_json *expected;

static int64_t integer(const gen_json *k, const char *key)
{
    int64_t v = 0;
    assert_int_equal(gen_json_int(k, key, 0, INT64_MAX, &v), GEN_OK);
    return v;
}

static void check_rain(gen_forecast_file *f, const gen_json *rain, const char *name)
{
    float field[35];
    const gen_json *e = gen_json_first(rain);
    assert_int_equal(f->grid.height * f->grid.width, GEN_LEN(field));
    for (int64_t m = 0; m < f->members; m++)
        for (int64_t t = 0; t < f->lead_steps; t++) {
            assert_int_equal(gen_forecast_read(f, m, t, field), GEN_OK);
            for (int i = 0; i < GEN_LEN(field); i++, e = gen_json_next(e)) {
                double v = NAN;
                assert_non_null(e);
                if (gen_json_kind_of(e) == GEN_JSON_NUMBER)
                    assert_int_equal(gen_json_real(e, NULL, &v), GEN_OK);
                if (isnan(v) ? !isnan(field[i]) : !(fabs(field[i] - v) <= 1e-5))
                    fail_msg("%s: member %d at lead %d, cell %d: %g, expected %g", name, (int)m,
                             (int)t, i, (double)field[i], v);
            }
        }
    assert_null(e);
}

static void check_case(const gen_json *k, bool own_process)
{
    const char *file = NULL;
    char path[200];
    gen_forecast_file *f = NULL;
    gen_radar_read_options o = { .own_process = own_process,
                                 .interval = (double)integer(k, "interval") };
    assert_int_equal(gen_json_string(k, "file", &file), GEN_OK);
    snprintf(path, sizeof path, FOLDER "%s", file);
    if (gen_forecast_open(&f, path, &o) != GEN_OK)
        fail_msg("%s", gen_last_error());
    assert_int_equal(f->members, integer(k, "members"));
    assert_int_equal(f->reference_time, integer(k, "reference"));
    int64_t step = 0, n = 0, lead;
    for (const gen_json *e = gen_json_first(gen_json_get(k, "leads")); e; e = gen_json_next(e)) {
        assert_int_equal(gen_json_int(e, NULL, 0, 1 << 20, &lead), GEN_OK);
        assert_true(n < f->lead_steps);
        assert_int_equal(f->time[n++] - f->reference_time, lead);
        step = n == 1 ? lead : step;
    }
    assert_int_equal(f->lead_steps, n);
    assert_int_equal(f->step, step);
    check_rain(f, gen_json_get(k, "rain"), file);
    float field[35];
    assert_int_equal(gen_forecast_read(f, f->members, 0, field), GEN_EINVAL);
    assert_int_equal(gen_forecast_read(f, 0, -1, field), GEN_EINVAL);
    gen_forecast_close(&f);
}

static void forecasts_of_others(void **state)
{
    (void)state;
    int n = 0;
    for (const gen_json *k = gen_json_first(gen_json_get(expected, "cases")); k;
         k = gen_json_next(k), n++) {
        check_case(k, false);
        check_case(k, true);
    }
    assert_int_equal(n, 4);
}

/* An ensemble is no observation, and an observation is a forecast of one member. */
static void ensembles_are_no_sequences(void **state)
{
    (void)state;
    const char *path = FOLDER "pysteps.nc";
    gen_radar_sequence *s = NULL;
    assert_int_equal(gen_radar_read(&s, &path, 1, NULL), GEN_EDATA);
    assert_non_null(strstr(gen_last_error(), "3 members"));
    gen_forecast_file *f = NULL;
    assert_int_equal(gen_forecast_open(&f, "examples/rain.nc", NULL), GEN_OK);
    assert_int_equal(f->members, 1);
    assert_int_equal(f->lead_steps, 24);
    gen_forecast_close(&f);
}

static void our_own(void **state)
{
    (void)state;
    enum { H = 4, W = 3, MEMBERS = 3, LEADS = 2 };
    char folder[] = "/tmp/gen_forecast_XXXXXX", path[60];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/f.nc", folder);
    double y[H] = { 3, 2, 1, 0 }, x[W] = { 0, 1, 2 };
    gen_radar_grid grid = { .height = H, .width = W, .y = y, .x = x };
    gen_forecast_info info = { .grid = &grid,
                               .reference_time = 1000000200,
                               .step = 150,
                               .lead_steps = LEADS,
                               .members = MEMBERS };
    float rain[MEMBERS][LEADS][H * W], field[H * W];
    gen_forecast *w = NULL;
    assert_int_equal(gen_forecast_create(&w, path, &info), GEN_OK);
    for (int m = 0; m < MEMBERS; m++) {
        for (int i = 0; i < LEADS * H * W; i++)
            rain[m][i / (H * W)][i % (H * W)] = i % 5 ? (float)(m * 100 + i) / 128 : NAN;
        assert_int_equal(gen_forecast_write(w, m, rain[m][0]), GEN_OK);
    }
    assert_int_equal(gen_forecast_commit(w), GEN_OK);
    gen_forecast_free(&w);
    gen_forecast_file *f = NULL;
    if (gen_forecast_open(&f, path, NULL) != GEN_OK)
        fail_msg("%s", gen_last_error());
    assert_int_equal(f->reference_time, info.reference_time);
    assert_int_equal(f->step, 150);
    assert_int_equal(f->lead_steps, LEADS);
    assert_int_equal(f->members, MEMBERS);
    for (int m = 0; m < MEMBERS; m++)
        for (int t = 0; t < LEADS; t++) {
            assert_int_equal(gen_forecast_read(f, m, t, field), GEN_OK);
            for (int i = 0; i < H * W; i++)
                assert_true(isnan(rain[m][t][i]) ? isnan(field[i]) : field[i] == rain[m][t][i]);
        }
    gen_forecast_close(&f);
    unlink(path);
    rmdir(folder);
}

/* Every shortened copy and every eighth byte turned round: an error or a forecast, no crash. */
static void damaged_files(void **state)
{
    (void)state;
    char *data = NULL, path[] = "/tmp/gen_forecast_XXXXXX";
    uint64_t size = 0;
    float *field = NULL;
    const gen_radar_read_options o = { .own_process = true };
    assert_int_equal(gen_file_read(FOLDER "hours.nc", 1 << 20, &data, &size), GEN_OK);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    for (uint64_t at = 0; at < size; at += 509) {
        for (int way = 0; way < 2; way++) {
            gen_forecast_file *f = NULL;
            FILE *out = fopen(path, "wb");
            assert_non_null(out);
            data[at] = (char)~data[at];
            fwrite(data, 1, way ? at : size, out);
            data[at] = (char)~data[at];
            fclose(out);
            gen_status status = gen_forecast_open(&f, path, &o);
            if (status == GEN_OK) {
                gen_free(field);
                assert_int_equal(GEN_ALLOC(&field, f->grid.height * f->grid.width, "a field"),
                                 GEN_OK);
                status = gen_forecast_read(f, f->members - 1, f->lead_steps - 1, field);
            }
            assert_true(status == GEN_OK || status == GEN_EDATA || status == GEN_ENOMEM);
            gen_forecast_close(&f);
        }
    }
    unlink(path);
    gen_free(field);
    gen_free(data);
}

int main(void)
{
    char *text = NULL;
    uint64_t size = 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forecasts_of_others),
        cmocka_unit_test(ensembles_are_no_sequences),
        cmocka_unit_test(our_own),
        cmocka_unit_test(damaged_files),
    };
    if (gen_file_read("tests/golden/forecast_read.json", 1 << 20, &text, &size) != GEN_OK ||
        gen_json_parse(&expected, text, size, 1 << 20) != GEN_OK) {
        fprintf(stderr, "%s\n", gen_last_error());
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    gen_json_free(&expected);
    gen_free(text);
    return failed;
}
