/* SPDX-License-Identifier: Apache-2.0
 *
 * Writer of sequences as npy.c reads them: uint16 steps of `precision` in x.npy, 65535 where not
 * measured, and what the array cannot tell in x.json.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "libgen/base/file.h"
#include "libgen/base/json.h"
#include "weather/codec/codec.h"

enum { HEADER = 128, MISSING = 65535 };

/* Half a cell before the first centre and after the last. */
static void edges(const double *centre, int64_t n, double out[2])
{
    double half = n > 1 ? (centre[n - 1] - centre[0]) / (double)(n - 1) / 2 : 0.5;
    out[0] = centre[0] - half;
    out[1] = centre[n - 1] + half;
}

static gen_status describe(const gen_radar_sequence *s, double step, const char *history,
                           char **out)
{
    gen_json_writer w = { 0 };
    char start[32];
    const gen_radar_grid *g = &s->grid;
    double x[2], y[2]; /* y falls */
    edges(g->x, g->width, x);
    edges(g->y, g->height, y);
    gen_json_open(&w, NULL, '{');
    gen_json_put_string(&w, "start", gen_time_text(s->time[0], start));
    gen_json_put_int(&w, "step", s->step > 0 ? s->step : 1);
    gen_json_put_real(&w, "scale", step);
    gen_json_put_int(&w, "missing", MISSING);
    gen_json_open(&w, "edges", '[');
    gen_json_put_real(&w, NULL, x[0]);
    gen_json_put_real(&w, NULL, y[1]);
    gen_json_put_real(&w, NULL, x[1]);
    gen_json_put_real(&w, NULL, y[0]);
    gen_json_close(&w, ']');
    gen_json_put_bool(&w, "degrees", g->degrees);
    if (g->proj4)
        gen_json_put_string(&w, "proj4", g->proj4);
    if (s->source)
        gen_json_put_string(&w, "source", s->source);
    if (history)
        gen_json_put_string(&w, "history", history);
    gen_json_close(&w, '}');
    return gen_json_finish(&w, out);
}

static bool put_header(FILE *f, const gen_radar_sequence *s)
{
    char text[HEADER];
    const unsigned char magic[10] = { 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, HEADER - 10, 0 };
    snprintf(text, sizeof text,
             "{'descr': '<u2', 'fortran_order': False, 'shape': (%lld, %lld, %lld), }",
             (long long)s->frames, (long long)s->grid.height, (long long)s->grid.width);
    return fwrite(magic, 1, sizeof magic, f) == sizeof magic &&
           fprintf(f, "%-*s\n", HEADER - 11, text) == HEADER - 10;
}

static gen_status put_frames(FILE *f, const gen_radar_sequence *s, double step, bool *fine)
{
    uint16_t *packed;
    int64_t n = s->grid.height * s->grid.width;
    GEN_TRY(GEN_ALLOC(&packed, n, "a frame"));
    for (int64_t t = 0; t < s->frames && *fine; t++) {
        const float *from = s->rain + t * n;
        for (int64_t i = 0; i < n; i++) {
            double v = floor((double)from[i] / step + 0.5);
            packed[i] = isnan(from[i]) ? MISSING : (uint16_t)fmin(fmax(v, 0), MISSING - 1);
        }
        *fine = fwrite(packed, sizeof *packed, (size_t)n, f) == (size_t)n;
    }
    gen_free(packed);
    return GEN_OK;
}

/* x.json of x.npy. */
static gen_status beside(const char *path, char **out)
{
    size_t n = strlen(path);
    if (n < 5 || strcmp(path + n - 4, ".npy") != 0)
        return gen_fail(GEN_EINVAL, "'%s': expected a name that ends in .npy", path);
    GEN_TRY(GEN_ALLOC(out, n + 2, "a name"));
    snprintf(*out, n + 2, "%.*s.json", (int)(n - 4), path);
    return GEN_OK;
}

gen_status gen_radar_write_npy(const gen_radar_sequence *s, const char *path, double precision,
                               const char *history, bool force)
{
    gen_status status;
    gen_output array = { 0 }, about = { 0 };
    char *name = NULL, *text = NULL;
    double step = precision > 0 ? precision : 0.01;
    bool fine;
    GEN_GOTO(beside(path, &name));
    GEN_GOTO(describe(s, step, history, &text));
    GEN_GOTO(gen_output_open(&array, path, force, false));
    GEN_GOTO(gen_output_open(&about, name, force, false));
    fine = put_header(array.file, s);
    GEN_GOTO(put_frames(array.file, s, step, &fine));
    if (!fine || fprintf(about.file, "%s\n", text) < 0)
        GEN_GOTO(gen_output_error(path, errno));
    GEN_GOTO(gen_output_commit(&about)); /* first: the array is nothing without it */
    GEN_GOTO(gen_output_commit(&array));
done:
    gen_output_abort(&about);
    gen_output_abort(&array);
    gen_free(text);
    gen_free(name);
    return status;
}
