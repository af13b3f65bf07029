/* SPDX-License-Identifier: Apache-2.0
 *
 * gen radar info: what is in radar files. gen radar plot: pictures of it. gen radar simulate: rain
 * of our own making, for examples and tests.
 */
#include <math.h>

#include <libgen/plot.h>

#include "cli/weather_files.h"
#include "libgen/base/alloc.h"
#include "libgen/base/json.h"

/* ---- info -------------------------------------------------------------------------------- */

typedef struct info_settings {
    int64_t fill_gap;
} info_settings;

static const gen_option info_options[] = {
    { GEN_OPT_FLAG, "fill-gap", .offset = offsetof(info_settings, fill_gap),
      .help = "take missing frames as frames of missing cells" },
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

/* Text of a file, as a line: a terminal would obey its control characters. */
static void print_plain(const char *text)
{
    for (; *text; text++)
        putchar((unsigned char)*text < 32 || *text == 127 ? '?' : *text);
    putchar('\n');
}

static void print_text(const gen_radar_sequence *s)
{
    const gen_radar_grid *g = &s->grid;
    gen_radar_summary sum = gen_radar_summarise(s);
    char a[32], b[32];
    printf("files       ");
    print_plain(s->source);
    printf("times       %s to %s, %lld frames", gen_time_text(s->time[0], a),
           gen_time_text(s->time[s->frames - 1], b), (long long)s->frames);
    if (s->step)
        printf(" every %g min", (double)s->step / 60);
    printf("\ngrid        %lld x %lld cells", (long long)g->height, (long long)g->width);
    if (g->width > 1)
        printf(" of %g %s", fabs(g->x[g->width - 1] - g->x[0]) / (double)(g->width - 1),
               g->degrees ? "degrees" : "m");
    printf("\nprojection  ");
    print_plain(g->proj4 ? g->proj4 : g->mapping_name ? g->mapping_name : "none");
    printf("missing     %.1f %%\n", 100 * sum.missing_share);
    printf("wet         %.1f %% of the measured cells have 0.1 mm/h or more\n",
           100 * sum.wet_share);
    printf("rain rate   %.4g to %.4g, mean %.4g mm/h\n", sum.min, sum.max, sum.mean);
}

static gen_status run_info(gen_run *r)
{
    gen_status status;
    file_list files = { 0 };
    gen_radar_sequence *s = NULL;
    gen_json_writer w = { 0 };
    char *text = NULL;
    const info_settings *o = r->settings;
    GEN_GOTO(file_list_fill(&files, r->operands, r->n_operands));
    GEN_GOTO(read_until(&s, &files, NULL, 0, o->fill_gap));
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
    file_list_free(&files);
    return status;
}

/* ---- plot -------------------------------------------------------------------------------- */

typedef struct plot_settings {
    const char *at;
    int64_t frames, columns, fill_gap;
} plot_settings;

static const gen_option plot_options[] = {
    { GEN_OPT_STRING, "at", .offset = offsetof(plot_settings, at), .value = "TIME",
      .help = "newest frame to draw, UTC like 2017-01-31T10:00; default the newest there is" },
    { GEN_OPT_INT, "frames", .offset = offsetof(plot_settings, frames), .preset = 1, .min = 1,
      .max = 48, .value = "N", .help = "frames to draw, side by side" },
    { GEN_OPT_INT, "columns", .offset = offsetof(plot_settings, columns), .preset = 6, .min = 1,
      .max = 48, .value = "N", .help = "maps in a row" },
    { GEN_OPT_FLAG, "fill-gap", .offset = offsetof(plot_settings, fill_gap),
      .help = "take missing frames as frames of missing cells" },
    { 0 },
};

static gen_status run_plot(gen_run *r)
{
    gen_status status;
    const plot_settings *o = r->settings;
    file_list files = { 0 };
    gen_radar_sequence *s = NULL;
    gen_plot_panel panel[48];
    char title[48][32], *made = NULL;
    if (!r->common.output)
        return gen_fail(GEN_EINVAL, "radar plot: where to? give -o FILE.png");
    GEN_GOTO(file_list_fill(&files, r->operands, r->n_operands));
    GEN_GOTO(refuse_input(&files, r->common.output));
    GEN_GOTO(read_until(&s, &files, o->at, o->frames, o->fill_gap));
    GEN_GOTO(history_text(&made, r));
    int64_t cells = s->grid.height * s->grid.width;
    for (int64_t i = 0; i < s->frames; i++)
        panel[i] = (gen_plot_panel){ .rain = s->rain + i * cells,
                                     .title = gen_time_text(s->time[i], title[i]) };
    gen_plot_options p = { .title = "Rain rate",
                           .subtitle = s->source,
                           .made = made,
                           .columns = (int)o->columns,
                           .force = r->common.force };
    GEN_GOTO(gen_plot(r->common.output, &s->grid, panel, (int)s->frames, &p));
done:
    gen_free(made);
    gen_radar_free(&s);
    file_list_free(&files);
    return status;
}

/* ---- simulate ---------------------------------------------------------------------------- */

typedef struct simulate_settings {
    gen_simulate_options o;
    const char *start;
    double precision;
} simulate_settings;

#define AT(field) .offset = offsetof(simulate_settings, field)
static const gen_option simulate_options[] = {
    { GEN_OPT_INT, "frames", AT(o.frames), .preset = 24, .min = 1, .max = 100000, .value = "N",
      .help = "frames" },
    { GEN_OPT_INT, "height", AT(o.height), .preset = 256, .min = 1, .max = 16384, .value = "N",
      .help = "rows of cells, 1 km each" },
    { GEN_OPT_INT, "width", AT(o.width), .preset = 256, .min = 1, .max = 16384, .value = "N",
      .help = "columns of cells" },
    { GEN_OPT_INT, "step", AT(o.step), .preset = 300, .min = 1, .max = 86400, .value = "S",
      .help = "seconds between frames" },
    { GEN_OPT_STRING, "start", AT(start), .text = "2026-01-01T00:00", .value = "TIME",
      .help = "time of the first frame, UTC" },
    { GEN_OPT_REAL, "cover", AT(o.cover), .preset = 0.25, .min = 0.001, .max = 0.999, .value = "X",
      .help = "share of rainy cells, about" },
    { GEN_OPT_REAL, "east", AT(o.east), .preset = 3, .min = -100, .max = 100, .value = "PX",
      .help = "drift to the east, cells per step" },
    { GEN_OPT_REAL, "south", AT(o.south), .preset = 1, .min = -100, .max = 100, .value = "PX",
      .help = "drift to the south, cells per step" },
    { GEN_OPT_REAL, "range", AT(o.range), .preset = 0, .min = 0, .max = 20000, .value = "PX",
      .help = "of the radar, in cells; beyond it cells are missing; 0 = everything is seen" },
    { GEN_OPT_REAL, "precision", AT(precision), .preset = 0.01, .min = 0.001, .max = 1,
      .value = "MM/H", .help = "step of the values in the file" },
    { 0 },
};

static gen_status run_simulate(gen_run *r)
{
    gen_status status;
    simulate_settings *o = r->settings;
    gen_radar_sequence *s = NULL;
    char *history = NULL;
    if (!r->common.output)
        return gen_fail(GEN_EINVAL, "radar simulate: where to? give -o FILE.nc");
    o->o.seed = (uint64_t)r->common.seed;
    o->o.progress = r->progress;
    GEN_TRY(gen_time_parse(o->start, &o->o.start));
    leave_hdf5_at_exit();
    GEN_GOTO(gen_radar_simulate(&s, &o->o));
    GEN_GOTO(history_text(&history, r));
    GEN_GOTO(gen_radar_write(s, r->common.output, o->precision, history, r->common.force));
done:
    gen_free(history);
    gen_radar_free(&s);
    return status;
}

const gen_command gen_commands_radar[] = {
    { .name = "radar info",
      .operands = "FILE|DIR...",
      .min_operands = 1,
      .max_operands = -1,
      .help = "Times, grid, projection and statistics of radar files, joined in time.",
      .options = info_options,
      .settings_size = sizeof(info_settings),
      .takes = GEN_TAKES_JSON,
      .run = run_info,
      .examples = "gen radar info rain.nc\ngen radar info --json radar/2017/*.nc\n" },
    { .name = "radar plot",
      .operands = "FILE|DIR...",
      .min_operands = 1,
      .max_operands = -1,
      .help = "Maps of the newest frames, or of those up to a time, as one PNG.",
      .options = plot_options,
      .settings_size = sizeof(plot_settings),
      .takes = GEN_TAKES_OUTPUT,
      .run = run_plot,
      .examples = "gen radar plot rain.nc --frames 6 -o rain.png\n" },
    { .name = "radar simulate",
      .help = "Simulated rain: cells at several scales that drift, grow and decay. For examples.",
      .options = simulate_options,
      .settings_size = sizeof(simulate_settings),
      .takes = GEN_TAKES_OUTPUT | GEN_TAKES_SEED,
      .run = run_simulate,
      .examples = "gen radar simulate --seed 7 --range 125 -o rain.nc\n" },
    { 0 },
};
