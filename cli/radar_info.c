/* SPDX-License-Identifier: Apache-2.0
 *
 * gen radar info: what is in radar files, joined in time as mm/h; or, with --native, each file as
 * it is, in its own units.
 */
#include <math.h>

#include "cli/terminal.h"
#include "cli/weather_files.h"
#include "libgen/base/alloc.h"
#include "libgen/base/json.h"

typedef struct info_settings {
    int64_t native;
} info_settings;

static const gen_option info_options[] = {
    { GEN_OPT_FLAG, "native", .offset = offsetof(info_settings, native),
      .help = "each file by itself and whole, with its own units, before they become mm/h" },
    { 0 },
};

static void print_json(gen_json_writer *w, const gen_radar_sequence *s)
{
    const gen_radar_grid *g = &s->grid;
    gen_radar_summary sum = gen_radar_summarise(s);
    char text[32];
    gen_json_open(w, NULL, '{');
    gen_json_put_string(w, "source", s->source);
    gen_json_put_int(w, "frames", s->frames);
    gen_json_put_int(w, "step_seconds", s->step);
    gen_json_open(w, "times", '[');
    for (int64_t i = 0; i < s->frames; i++)
        gen_json_put_string(w, NULL, gen_time_text(s->time[i], text));
    gen_json_close(w, ']');
    gen_json_open(w, "grid", '{');
    gen_json_put_int(w, "height", g->height);
    gen_json_put_int(w, "width", g->width);
    gen_json_put_string(w, "unit", g->degrees ? "degrees" : "m");
    const char *const names[2] = { "x", "y" };
    const double *const axes[2] = { g->x, g->y };
    const int64_t lengths[2] = { g->width, g->height };
    for (int a = 0; a < 2; a++) {
        gen_json_open(w, names[a], '[');
        gen_json_put_real(w, NULL, axes[a][0]);
        gen_json_put_real(w, NULL, axes[a][lengths[a] - 1]);
        gen_json_close(w, ']');
    }
    gen_json_close(w, '}');
    gen_json_open(w, "projection", '{');
    gen_json_put_string(w, "grid_mapping_name", g->mapping_name);
    gen_json_put_string(w, "proj4", g->proj4);
    gen_json_close(w, '}');
    gen_json_put_string(w, "units", "mm/h");
    gen_json_put_real(w, "wet_share", sum.wet_share);
    gen_json_put_real(w, "missing_share", sum.missing_share);
    gen_json_put_real(w, "min", sum.min);
    gen_json_put_real(w, "max", sum.max);
    gen_json_put_real(w, "mean", sum.mean);
    gen_json_close(w, '}');
}

/* Text of a file, as a line. */
static void print_plain(const char *text)
{
    for (; *text; text++)
        putchar(gen_terminal_plain(*text));
    putchar('\n');
}

static void print_text(const gen_radar_sequence *s)
{
    const gen_radar_grid *g = &s->grid;
    gen_radar_summary sum = gen_radar_summarise(s);
    char a[32], b[32];
    printf("files       ");
    print_plain(s->source);
    printf("times       %s to %s, %lld frame%s", gen_time_text(s->time[0], a),
           gen_time_text(s->time[s->frames - 1], b), (long long)s->frames,
           s->frames > 1 ? "s" : "");
    if (s->step)
        printf(" every %g min", (double)s->step / 60);
    printf("\ngrid        %lld x %lld cells", (long long)g->height, (long long)g->width);
    if (g->width > 1)
        printf(" of %g %s", gen_radar_cell(g).x, g->degrees ? "degrees" : "m");
    printf("\nprojection  ");
    print_plain(g->proj4 ? g->proj4 : g->mapping_name ? g->mapping_name : "none");
    printf("missing     %.1f %%\n", 100 * sum.missing_share);
    printf("wet         %.1f %% of the measured cells have 0.1 mm/h or more\n",
           100 * sum.wet_share);
    printf("rain rate   %.4g to %.4g, mean %.4g mm/h\n", sum.min, sum.max, sum.mean);
}

static gen_status print_joined(gen_run *r, const file_list *files)
{
    gen_status status;
    gen_radar_sequence *s = NULL;
    gen_json_writer w = { 0 };
    char *text = NULL;
    GEN_GOTO(read_until(&s, r, files, NULL, 0));
    if (!r->common.json) {
        print_text(s);
        goto done;
    }
    print_json(&w, s);
    GEN_GOTO(gen_json_finish(&w, &text));
    printf("%s\n", text);
done:
    gen_free(text);
    gen_radar_free(&s);
    return status;
}

/* ---- native ------------------------------------------------------------------------------ */

/* Of all frames: cells that were not measured, those with nothing to detect, and the rest. */
typedef struct native_count {
    int64_t missing, undetected, valid, positive;
    double min, max, mean;
} native_count;

static native_count count_values(const gen_radar_contents *c)
{
    native_count k = { 0 };
    int64_t n = c->frames * c->grid.height * c->grid.width;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double v = (double)c->values[i];
        if (isnan(v)) {
            k.missing++;
            continue;
        }
        if (v == -HUGE_VAL) {
            k.undetected++;
            continue;
        }
        k.min = k.valid && k.min < v ? k.min : v;
        k.max = k.valid && k.max > v ? k.max : v;
        k.valid++;
        k.positive += v > 0;
        sum += v;
    }
    k.mean = k.valid ? sum / (double)k.valid : 0;
    return k;
}

static const char *quantity_name(gen_radar_quantity q)
{
    static const char *const names[] = { "other", "rain rate", "rain depth", "reflectivity" };
    return names[q];
}

static const char *native_time(const gen_radar_contents *c, int64_t frame, char buf[32])
{
    return c->time[frame] == INT64_MIN ? NULL : gen_time_text(c->time[frame], buf);
}

static void native_json(gen_json_writer *w, const char *path, const gen_radar_contents *c)
{
    native_count k = count_values(c);
    char text[32];
    gen_json_open(w, NULL, '{');
    gen_json_put_string(w, "file", path);
    gen_json_put_string(w, "format", c->format);
    gen_json_put_string(w, "name", c->name);
    gen_json_put_string(w, "quantity", quantity_name(c->quantity));
    gen_json_put_string(w, "units", c->units);
    if (c->interval > 0)
        gen_json_put_real(w, "interval_minutes", c->interval / 60);
    if (c->zr_a > 0)
        gen_json_put_real(w, "zr_a", c->zr_a);
    if (c->zr_b > 0)
        gen_json_put_real(w, "zr_b", c->zr_b);
    gen_json_open(w, "times", '[');
    for (int64_t i = 0; i < c->frames; i++)
        gen_json_put_string(w, NULL, native_time(c, i, text));
    gen_json_close(w, ']');
    gen_json_put_int(w, "frames", c->frames);
    gen_json_put_int(w, "height", c->grid.height);
    gen_json_put_int(w, "width", c->grid.width);
    gen_json_put_string(w, "proj4", c->grid.proj4);
    gen_json_put_int(w, "missing", k.missing);
    gen_json_put_int(w, "undetected", k.undetected);
    gen_json_put_int(w, "valid", k.valid);
    gen_json_put_int(w, "positive", k.positive);
    if (k.valid) {
        gen_json_put_real(w, "min", k.min);
        gen_json_put_real(w, "max", k.max);
        gen_json_put_real(w, "mean", k.mean);
    }
    gen_json_close(w, '}');
}

static void native_text(const char *path, const gen_radar_contents *c)
{
    native_count k = count_values(c);
    char a[32], b[32];
    printf("file        ");
    print_plain(path);
    printf("format      %s\nvariable    ", c->format);
    print_plain(c->name ? c->name : "without a name");
    printf("values      %s, in ", quantity_name(c->quantity));
    print_plain(c->units ? c->units : "no unit");
    if (c->interval > 0)
        printf("interval    %g min\n", c->interval / 60);
    if (c->zr_a > 0 && c->zr_b > 0)
        printf("Z-R         Z = %g R^%g\n", c->zr_a, c->zr_b);
    const char *first = native_time(c, 0, a), *last = native_time(c, c->frames - 1, b);
    printf("times       %s%s%s, %lld frame%s\n", first ? first : "not in the file",
           c->frames > 1 ? " to " : "", c->frames > 1 && last ? last : "", (long long)c->frames,
           c->frames > 1 ? "s" : "");
    printf("grid        %lld x %lld cells\nprojection  ", (long long)c->grid.height,
           (long long)c->grid.width);
    print_plain(c->grid.proj4          ? c->grid.proj4
                : c->grid.mapping_name ? c->grid.mapping_name
                                       : "none");
    printf("missing     %lld\nundetected  %lld\nvalid       %lld", (long long)k.missing,
           (long long)k.undetected, (long long)k.valid);
    if (k.valid)
        printf(", %.6g to %.6g, mean %.6g; %lld above 0", k.min, k.max, k.mean,
               (long long)k.positive);
    printf("\n");
}

static gen_status print_native(gen_run *r, const file_list *files)
{
    gen_status status = GEN_OK;
    gen_json_writer w = { 0 };
    gen_radar_read_options o;
    char *text = NULL;
    GEN_TRY(radar_options(&o, r));
    if (r->common.json)
        gen_json_open(&w, NULL, '[');
    for (int i = 0; i < files->n && status == GEN_OK; i++) {
        gen_radar_contents *c = NULL;
        status = gen_radar_inspect(&c, files->path[i], &o);
        if (status == GEN_OK && r->common.json)
            native_json(&w, files->path[i], c);
        else if (status == GEN_OK)
            native_text(files->path[i], c);
        gen_radar_contents_free(&c);
    }
    if (!r->common.json)
        return status;
    gen_json_close(&w, ']');
    gen_status finished = gen_json_finish(&w, &text);
    if (status == GEN_OK && finished == GEN_OK)
        printf("%s\n", text);
    gen_free(text);
    return status ? status : finished;
}

static gen_status run_info(gen_run *r)
{
    gen_status status;
    file_list files = { 0 };
    const info_settings *o = r->settings;
    if (o->native && (r->common.radar.crop || r->common.radar.bbox || r->common.radar.upscale > 1))
        return gen_fail(GEN_EINVAL,
                        "radar info: --native shows files whole: give no --crop, --bbox "
                        "or --upscale with it");
    GEN_GOTO(file_list_fill(&files, r));
    GEN_GOTO(o->native ? print_native(r, &files) : print_joined(r, &files));
done:
    file_list_free(&files);
    return status;
}

const gen_command gen_commands_radar_info[] = {
    { .name = "radar info",
      .operands = "FILE|DIR...",
      .min_operands = 1,
      .max_operands = -1,
      .help = "Times, grid, projection and statistics of radar files, joined in time.",
      .options = info_options,
      .settings_size = sizeof(info_settings),
      .takes = GEN_TAKES_JSON | GEN_TAKES_RADAR,
      .run = run_info,
      .examples = "gen radar info rain.nc\ngen radar info --json radar/2017/*.nc\n"
                  "gen radar info --native T_PAAH21_C_EUOC_20180824180000.hdf --variable QIND\n" },
    { 0 },
};
