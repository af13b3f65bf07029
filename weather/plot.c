/* SPDX-License-Identifier: Apache-2.0
 *
 * Maps as pictures and films: a page (plot_page.c) drawn once, or once a frame.
 */
#include "libgen/base/alloc.h"
#include "media/film.h"
#include "media/png.h"
#include "weather/plot_page.h"

#define DEFAULT_FPS 6

static gen_media_info info_of(const gen_plot_page *p)
{
    return (gen_media_info){ p->o.title ? p->o.title : p->legend->title, p->o.made, p->o.force };
}

static gen_status new_pixels(const gen_plot_page *p, uint8_t **rgb)
{
    return gen_alloc_raw((void **)rgb, 3 * (uint64_t)p->width * (uint64_t)p->height, 1,
                         "a picture");
}

gen_status gen_plot(const char *path, const gen_radar_grid *grid, const gen_plot_panel *panels,
                    int n, const gen_plot_options *options)
{
    gen_status status;
    gen_plot_page page;
    uint8_t *rgb = NULL;
    GEN_GOTO(gen_plot_page_open(&page, grid, n, options));
    GEN_GOTO(new_pixels(&page, &rgb));
    GEN_GOTO(gen_plot_page_draw(&page, panels, rgb));
    gen_media_info info = info_of(&page);
    GEN_GOTO(gen_png_write(path, rgb, page.width, page.height, &info));
done:
    gen_plot_page_close(&page);
    gen_free(rgb);
    return status;
}

/* ---- films ------------------------------------------------------------------------------- */

/* What 8-bit channels become under a line. */
static uint32_t under_line(uint32_t rgb)
{
    uint32_t out = 0;
    for (int k = 16; k >= 0; k -= 8)
        out = out << 8 | (uint32_t)((rgb >> k & 255) * (1 - GEN_PLOT_LINE) + 0.5);
    return out;
}

/* All colours of any page: of the classes, also under one line and two; and greys, of which are
 * text, missing cells and white. */
static int page_colours(const gen_plot_legend *l, uint32_t out[256])
{
    int n = 0;
    for (int k = 0; k < l->n; k++) {
        out[n++] = l->classes[k].colour;
        out[n++] = under_line(l->classes[k].colour);
        out[n++] = under_line(under_line(l->classes[k].colour));
    }
    for (uint32_t grey = GEN_INK & 255; grey < 256 && n < 256; grey++)
        out[n++] = grey * 0x010101u;
    return n;
}

struct gen_plot_film {
    gen_plot_page page;
    gen_film *film;
    uint8_t *rgb;
};

gen_status gen_plot_film_open(gen_plot_film **out, const char *path, const gen_radar_grid *grid,
                              int n, const gen_plot_options *options)
{
    gen_status status;
    gen_plot_film *f = NULL;
    uint32_t colours[256];
    *out = NULL;
    GEN_TRY(GEN_ALLOC(&f, 1, "a film"));
    gen_plot_page *p = &f->page;
    GEN_GOTO(gen_plot_page_open(p, grid, n, options));
    GEN_GOTO(new_pixels(p, &f->rgb));
    int n_colours = page_colours(p->legend, colours);
    gen_film_options o = { .info = info_of(p),
                           .width = p->width,
                           .height = p->height,
                           .colours = colours,
                           .n_colours = n_colours,
                           .fps = p->o.fps != 0 ? p->o.fps : DEFAULT_FPS };
    GEN_GOTO(gen_film_open(&f->film, path, &o));
    *out = f;
    f = NULL;
done:
    gen_plot_film_free(&f);
    return status;
}

gen_status gen_plot_film_add(gen_plot_film *f, const gen_plot_panel *panels)
{
    GEN_TRY(gen_plot_page_draw(&f->page, panels, f->rgb));
    return gen_film_add(f->film, f->rgb);
}

gen_status gen_plot_film_commit(gen_plot_film *f)
{
    return gen_film_commit(f->film);
}

void gen_plot_film_free(gen_plot_film **film)
{
    gen_plot_film *f = *film;
    *film = NULL;
    if (!f)
        return;
    gen_film_free(&f->film);
    gen_plot_page_close(&f->page);
    gen_free(f->rgb);
    gen_free(f);
}
