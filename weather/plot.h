/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures of rain: maps with a legend, side by side in one PNG, or one after the other in a film.
 */
#ifndef LIBGEN_PLOT_H
#define LIBGEN_PLOT_H

#include <libgen/weather.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the values are, and so their classes and colours. */
typedef enum gen_plot_scale {
    GEN_PLOT_RATE,       /* rain rate, mm/h */
    GEN_PLOT_DEPTH,      /* accumulated rain, mm */
    GEN_PLOT_PROBABILITY /* %, 0 to 100 */
} gen_plot_scale;

typedef struct gen_plot_panel {
    const float *rain;          /* [height,width] in the unit of the scale, NaN = missing: grey */
    const char *title;          /* above the map, left; may be NULL */
    const char *note;           /* above the map, right; may be NULL */
    const gen_radar_grid *grid; /* of this map; NULL: the picture's */
} gen_plot_panel;

typedef struct gen_plot_options {
    const char *title, *subtitle; /* of the picture; may be NULL */
    const char *made;             /* how it was made: metadata of the file */
    int columns;                  /* panels in a row; 0 = all */
    int size;                     /* longer side of a map, px; 0 = 640, less for many panels */
    bool force;                   /* overwrite */
    gen_plot_scale scale;
    double fps; /* frames a second, films only; 0 = 6 */
} gen_plot_options;

/* One PNG of n maps, with one legend. With a grid of NULL each panel has one of its own, and all
 * maps the same longer side. Where the grid has a projection, parallels and meridians are drawn,
 * else km, or nothing where all its coordinates are 0: not known. Appears whole or not at all;
 * EEXIST without force. EINVAL: more than 250 000 000 pixels. options may be NULL. */
GEN_API gen_status gen_plot(const char *path, const gen_radar_grid *grid,
                            const gen_plot_panel *panels, int n, const gen_plot_options *options);

/* ---- films ------------------------------------------------------------------------------- */

/* A film whose frames are pictures of n maps, as of gen_plot:
 *
 *     gen_plot_film *f;
 *     gen_status status = gen_plot_film_open(&f, "rain.gif", &s->grid, 1, NULL);
 *     for (int64_t i = 0; i < s->frames && status == GEN_OK; i++)
 *         status = gen_plot_film_add(f, &(gen_plot_panel){ s->rain + i * cells, title, NULL });
 *     if (status == GEN_OK)
 *         status = gen_plot_film_commit(f);
 *     gen_plot_film_free(&f);
 *
 * The path ends in .gif or .mp4 (else EINVAL). EUNSUPPORTED: built without FFmpeg, or it is not
 * there. The film appears whole when committed; EEXIST without force. FFmpeg's log, which a
 * process has one of, is silent while a film is open. */
typedef struct gen_plot_film gen_plot_film;

/* grid and the texts in options are borrowed until the film is freed; options may be NULL. */
GEN_API gen_status gen_plot_film_open(gen_plot_film **out, const char *path,
                                      const gen_radar_grid *grid, int n,
                                      const gen_plot_options *options);
/* The next frame: panels [n], borrowed during the call. */
GEN_API gen_status gen_plot_film_add(gen_plot_film *f, const gen_plot_panel *panels);
/* EINVAL when there was no frame. Free the handle after it. */
GEN_API gen_status gen_plot_film_commit(gen_plot_film *f);
/* Removes what was not committed. */
GEN_API void gen_plot_film_free(gen_plot_film **f);

#ifdef __cplusplus
}
#endif
#endif
