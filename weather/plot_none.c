/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures in a build without codecs (no Cairo, no libpng): a sentence.
 */
#include <libgen/plot.h>

#include "libgen/base/fail.h"

static gen_status none(const char *path)
{
    return gen_fail(GEN_EUNSUPPORTED, "'%s': pictures need Cairo, and this build has none", path);
}

gen_status gen_plot(const char *path, const gen_radar_grid *grid, const gen_plot_panel *panels,
                    int n, const gen_plot_options *options)
{
    (void)grid, (void)panels, (void)n, (void)options;
    return none(path);
}

gen_status gen_plot_film_open(gen_plot_film **out, const char *path, const gen_radar_grid *grid,
                              int n, const gen_plot_options *options)
{
    (void)grid, (void)n, (void)options;
    *out = NULL;
    return none(path);
}

gen_status gen_plot_film_add(gen_plot_film *f, const gen_plot_panel *panels)
{
    (void)f, (void)panels;
    return none("film");
}

gen_status gen_plot_film_commit(gen_plot_film *f)
{
    (void)f;
    return none("film");
}

void gen_plot_film_free(gen_plot_film **f)
{
    (void)f;
}
