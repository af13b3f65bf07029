/* SPDX-License-Identifier: Apache-2.0
 *
 * gen radar plot: maps side by side in one PNG, or one after the other in a GIF or MP4.
 */
#include <string.h>

#include <libgen/plot.h>

#include "cli/weather_files.h"
#include "libgen/base/alloc.h"

#define COLUMNS 6
#define MAX_MAPS 10000 /* in a picture */

typedef struct settings {
    const char *at;
    int64_t frames, columns, size;
    double fps;
} settings;

#define AT(field) .offset = offsetof(settings, field)
static const gen_option options[] = {
    { GEN_OPT_STRING, "at", AT(at), .value = "TIME",
      .help = "newest frame to draw, UTC like 2017-01-31T10:00; default the newest there is" },
    { GEN_OPT_INT, "frames", AT(frames), .preset = 0, .min = 1, .max = 1000000, .value = "N",
      .help = "frames to draw, at most; default 1 in a picture, all in a film" },
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

/* What the name of the output asks for. */
static gen_status choose_film(const gen_run *r, bool *film)
{
    const char *path = r->common.output;
    *film = ends_in(path, ".gif") || ends_in(path, ".mp4");
    if (!*film && !ends_in(path, ".png"))
        return gen_fail(GEN_EINVAL, "-o '%s': expected a name that ends in .png, .gif or .mp4",
                        path);
    if (*film && gen_run_given(r, "columns"))
        return gen_fail(GEN_EINVAL, "--columns: a film shows one map at a time");
    if (!*film && gen_run_given(r, "fps"))
        return gen_fail(GEN_EINVAL, "--fps: '%s' is a picture, not a film", path);
    return GEN_OK;
}

static gen_status draw_picture(const gen_run *r, const gen_radar_sequence *s,
                               const gen_plot_options *o)
{
    gen_status status;
    gen_plot_panel *panel = NULL;
    char(*title)[40] = NULL;
    int64_t cells = s->grid.height * s->grid.width;
    if (s->frames > MAX_MAPS)
        return gen_fail(GEN_EINVAL, "--frames: %lld maps in a picture, expected at most %d",
                        (long long)s->frames, MAX_MAPS);
    GEN_GOTO(GEN_ALLOC(&panel, s->frames, "maps"));
    GEN_GOTO(GEN_ALLOC(&title, s->frames, "maps"));
    for (int64_t i = 0; i < s->frames; i++)
        panel[i] = (gen_plot_panel){ .rain = s->rain + i * cells,
                                     .title = time_title(s->time[i], title[i]) };
    GEN_GOTO(gen_plot(r->common.output, &s->grid, panel, (int)s->frames, o));
done:
    gen_free(panel);
    gen_free(title);
    return status;
}

static gen_status draw_film(const gen_run *r, const gen_radar_sequence *s,
                            const gen_plot_options *o)
{
    gen_status status;
    gen_plot_film *f = NULL;
    char title[40];
    int64_t cells = s->grid.height * s->grid.width;
    GEN_GOTO(gen_plot_film_open(&f, r->common.output, &s->grid, 1, o));
    for (int64_t i = 0; i < s->frames; i++) {
        gen_plot_panel panel = { .rain = s->rain + i * cells,
                                 .title = time_title(s->time[i], title) };
        GEN_GOTO(gen_progress_report(&r->progress, "frames", (double)i, (double)s->frames));
        GEN_GOTO(gen_plot_film_add(f, &panel));
    }
    GEN_GOTO(gen_plot_film_commit(f));
done:
    gen_plot_film_free(&f);
    return status;
}

static gen_status run(gen_run *r)
{
    gen_status status;
    const settings *o = r->settings;
    file_list files = { 0 };
    gen_radar_sequence *s = NULL;
    char *made = NULL;
    bool film = false;
    if (!r->common.output)
        return gen_fail(GEN_EINVAL, "radar plot: where to? give -o FILE.png, .gif or .mp4");
    GEN_GOTO(file_list_fill(&files, r));
    GEN_GOTO(refuse_input(&files, r->common.output));
    GEN_GOTO(choose_film(r, &film));
    int64_t frames = o->frames ? o->frames : film ? 0 : 1;
    GEN_GOTO(read_until(&s, r, &files, o->at, frames));
    GEN_GOTO(history_text(&made, r));
    gen_plot_options p = { .title = "Rain rate",
                           .subtitle = s->source,
                           .made = made,
                           .columns = (int)o->columns,
                           .size = (int)o->size,
                           .force = r->common.force,
                           .fps = o->fps };
    GEN_GOTO(film ? draw_film(r, s, &p) : draw_picture(r, s, &p));
done:
    gen_free(made);
    gen_radar_free(&s);
    file_list_free(&files);
    return status;
}

const gen_command gen_commands_plot[] = {
    { .name = "radar plot",
      .operands = "FILE|DIR...",
      .min_operands = 1,
      .max_operands = -1,
      .help = "Maps of the newest frames, or of those up to a time: a PNG, or a GIF or MP4 of all.",
      .options = options,
      .settings_size = sizeof(settings),
      .takes = GEN_TAKES_OUTPUT | GEN_TAKES_RADAR,
      .run = run,
      .examples = "gen radar plot rain.nc --frames 6 -o rain.png\n"
                  "gen radar plot radar/2017/*.nc --fps 10 -o rain.gif\n" },
    { 0 },
};
