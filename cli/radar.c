/* SPDX-License-Identifier: Apache-2.0
 *
 * gen radar simulate: rain of our own making, for examples and tests.
 */
#include "cli/weather_files.h"
#include "libgen/base/alloc.h"

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
    GEN_GOTO(history_text(&history, r, NULL));
    GEN_GOTO(gen_radar_write(s, r->common.output, o->precision, history, r->common.force));
done:
    gen_free(history);
    gen_radar_free(&s);
    return status;
}

const gen_command gen_commands_radar[] = {
    { .name = "radar simulate",
      .help = "Simulated rain: cells at several scales that drift, grow and decay. For examples.",
      .options = simulate_options,
      .settings_size = sizeof(simulate_settings),
      .takes = GEN_TAKES_OUTPUT | GEN_TAKES_SEED,
      .run = run_simulate,
      .examples = "gen radar simulate --seed 7 --range 125 -o rain.nc\n" },
    { 0 },
};
