/* SPDX-License-Identifier: Apache-2.0
 *
 * gen radar plot: maps side by side in one PNG, or one after the other in a GIF or MP4.
 */
#include <string.h>

#include "cli/plot.h"
#include "libgen/base/alloc.h"

#define COLUMNS 6
#define MAX_MAPS 10000 /* in a picture */

#define AT(field) .offset = offsetof(plot_settings, field)
static const gen_option options[] = {
    { GEN_OPT_STRING, "at", AT(at), .value = "TIME",
      .help = "newest frame to draw, UTC like 2017-01-31T10:00; default the newest there is" },
    { GEN_OPT_INT, "frames", AT(frames), .preset = 0, .min = 1, .max = 1000000, .value = "N",
      .help = "frames to draw, at most; default 1 in a picture, all in a film or of a forecast" },
    { GEN_OPT_FLAG, "each", AT(each),
      .help = "the newest frame of each file by itself, side by side: grids may differ" },
    { GEN_OPT_STRING, "label", AT(label), .value = "TEXT",
      .help = "name of the first map of --each; again: of the next" },
    { GEN_OPT_INT, "member", AT(member), .preset = -1, .min = 0, .max = 1000000, .value = "N",
      .help = "of a forecast: the lead times of this member" },
    { GEN_OPT_FLAG, "mean", AT(mean), .help = "of a forecast: the mean of its members" },
    { GEN_OPT_REAL, "over", AT(over), .preset = -1, .min = 0, .max = 1000, .value = "MM/H",
      .help = "of a forecast: the probability of this rain rate or more, as its members have it" },
    { GEN_OPT_STRING, "title", AT(title), .value = "TEXT",
      .help = "of the picture, instead of what it shows" },
    { GEN_OPT_INT, "columns", AT(columns), .preset = COLUMNS, .min = 1, .max = MAX_MAPS,
      .value = "N", .help = "maps in a row of a picture" },
    { GEN_OPT_INT, "size", AT(size), .preset = 0, .min = 16, .max = 16384, .value = "PX",
      .help = "longer side of a map; default 640, in a picture of several less" },
    { GEN_OPT_REAL, "fps", AT(fps), .preset = 6, .min = 0.1, .max = 50, .value = "X",
      .help = "frames a second of a film" },
    { 0 },
};

static bool ends_in(const char *path, const char *suffix)
{
    size_t n = strlen(path), m = strlen(suffix);
    return n > m && strcmp(path + n - m, suffix) == 0;
}

/* What the name of the output asks for, and what does not go with it. */
static gen_status choose_film(const gen_run *r, bool *film)
{
    const char *path = r->common.output;
    const plot_settings *o = r->settings;
    *film = ends_in(path, ".gif") || ends_in(path, ".mp4");
    if (!*film && !ends_in(path, ".png"))
        return gen_fail(GEN_EINVAL, "-o '%s': expected a name that ends in .png, .gif or .mp4",
                        path);
    if (*film && (gen_run_given(r, "columns") || o->each))
        return gen_fail(GEN_EINVAL, "--%s: a film shows one map at a time",
                        o->each ? "each" : "columns");
    if (!*film && gen_run_given(r, "fps"))
        return gen_fail(GEN_EINVAL, "--fps: '%s' is a picture, not a film", path);
    if (gen_run_given(r, "label") && !o->each)
        return gen_fail(GEN_EINVAL, "--label: expected --each as well");
    return GEN_OK;
}

static gen_status draw_picture(const gen_run *r, const plot_maps *m, const gen_plot_options *o)
{
    if (m->n > MAX_MAPS)
        return gen_fail(GEN_EINVAL, "--frames: %lld maps in a picture, expected at most %d",
                        (long long)m->n, MAX_MAPS);
    return gen_plot(r->common.output, m->grid, m->panel, (int)m->n, o);
}

static gen_status draw_film(const gen_run *r, const plot_maps *m, const gen_plot_options *o)
{
    gen_status status;
    gen_plot_film *f = NULL;
    GEN_GOTO(gen_plot_film_open(&f, r->common.output, m->grid, 1, o));
    for (int64_t i = 0; i < m->n; i++) {
        GEN_GOTO(gen_progress_report(&r->progress, "frames", (double)i, (double)m->n));
        GEN_GOTO(gen_plot_film_add(f, &m->panel[i]));
    }
    GEN_GOTO(gen_plot_film_commit(f));
done:
    gen_plot_film_free(&f);
    return status;
}

static gen_status run(gen_run *r)
{
    gen_status status;
    const plot_settings *o = r->settings;
    file_list files = { 0 };
    plot_maps maps = { 0 };
    char *made = NULL;
    bool film = false;
    if (!r->common.output)
        return gen_fail(GEN_EINVAL, "radar plot: where to? give -o FILE.png, .gif or .mp4");
    GEN_GOTO(file_list_fill(&files, r));
    GEN_GOTO(refuse_input(&files, r->common.output));
    GEN_GOTO(choose_film(r, &film));
    GEN_GOTO(plot_maps_read(&maps, r, &files, film));
    GEN_GOTO(history_text(&made, r, NULL));
    gen_plot_options p = { .title = o->title ? o->title : maps.heading,
                           .subtitle = *maps.source ? maps.source : NULL,
                           .made = made,
                           .columns = (int)o->columns,
                           .size = (int)o->size,
                           .force = r->common.force,
                           .scale = maps.scale,
                           .fps = o->fps };
    GEN_GOTO(film ? draw_film(r, &maps, &p) : draw_picture(r, &maps, &p));
done:
    gen_free(made);
    plot_maps_free(&maps);
    file_list_free(&files);
    return status;
}

const gen_command gen_commands_plot[] = {
    { .name = "radar plot",
      .operands = "FILE|DIR...",
      .min_operands = 1,
      .max_operands = -1,
      .help = "Maps of radar frames, several sources or a forecast, as PNG; or a film, GIF or MP4.",
      .options = options,
      .settings_size = sizeof(plot_settings),
      .takes = GEN_TAKES_OUTPUT | GEN_TAKES_RADAR,
      .run = run,
      .examples =
          "gen radar plot rain.nc --frames 6 -o rain.png\n"
          "gen radar plot radar/2017/*.nc --fps 10 -o rain.gif\n"
          "gen radar plot forecast.nc --over 1 -o probability.mp4\n"
          "gen radar plot --each knmi.h5 opera.hdf --label KNMI --label OPERA -o two.png\n" },
    { 0 },
};
