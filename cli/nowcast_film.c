/* SPDX-License-Identifier: Apache-2.0
 *
 * The film of gen nowcast: the frames that the forecast starts from, then the lead times of its
 * first member.
 */
#include <stdio.h>

#include "cli/nowcast.h"

static gen_status add_frame(forecast *f, const float *rain, int64_t time, const char *what)
{
    char clock[40], title[60], note[40] = "observed";
    int64_t ahead = time - f->reference;
    snprintf(title, sizeof title, "%s", time_title(time, clock));
    if (ahead > 0)
        snprintf(note, sizeof note, "%s, +%g min", what, (double)ahead / 60);
    gen_plot_panel panel = { rain, title, note };
    return gen_plot_film_add(f->film, &panel);
}

/* Before anything is computed, so that a film in the way is found at once. */
gen_status open_film(forecast *f)
{
    gen_plot_options o = { .title = "Rain forecast",
                           .subtitle = f->s->source,
                           .made = f->history,
                           .force = f->run->common.force };
    GEN_TRY(refuse_input(&f->files, f->o->film));
    GEN_TRY(gen_plot_film_open(&f->film, f->o->film, &f->s->grid, 1, &o));
    for (int64_t i = 0; i < f->s->frames; i++)
        GEN_TRY(add_frame(f, f->s->rain + i * f->cells, f->s->time[i], ""));
    return GEN_OK;
}

gen_status film_member(forecast *f, int64_t member, const float *rain)
{
    if (member != 0)
        return GEN_OK;
    const char *what = f->nowcast.members > 1 ? "member 0" : "forecast";
    for (int64_t s = 0; s < f->nowcast.lead_steps; s++) {
        GEN_TRY(add_frame(f, rain + s * f->cells, f->reference + (s + 1) * f->s->step, what));
        GEN_TRY(gen_progress_report(&f->run->progress, "film", (double)(s + 1),
                                    (double)f->nowcast.lead_steps));
    }
    return GEN_OK;
}
