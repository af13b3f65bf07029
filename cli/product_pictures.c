/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures of products of gen nowcast: for each threshold of --exceed the probability at the lead
 * times of the overview, and rain amounts of up to six windows.
 */
#include <math.h>
#include <string.h>

#include <libgen/plot.h>

#include "cli/nowcast.h"
#include "libgen/base/alloc.h"
#include "libgen/base/options.h"

struct product_pictures {
    int windows;        /* that are shown, the first ones */
    float *probability; /* [n_exceed,columns,cells], % */
    float *amount;      /* [windows,cells]: mean of the members, or the first */
};

/* Of picture i, whose last one is that of the amounts. */
static void picture_name(const forecast *f, int i, char name[64])
{
    char text[GEN_REAL_TEXT];
    if (i < f->products.o.n_exceed)
        snprintf(name, 64, "probability_%smmh.png", gen_real_text(f->products.exceed[i], text));
    else
        snprintf(name, 64, "amount.png");
}

static int n_pictures(const forecast *f)
{
    return f->products.o.n_exceed + (f->products.o.accumulate > 0);
}

gen_status prepare_product_pictures(forecast *f)
{
    const gen_products_options *o = &f->products.o;
    char name[64];
    for (int i = 0; i < n_pictures(f); i++) {
        picture_name(f, i, name);
        GEN_TRY(check_picture(f, name));
    }
    int64_t windows = o->accumulate > 0 ? f->nowcast.lead_steps * f->s->step / o->accumulate : 0;
    GEN_TRY(GEN_ALLOC(&f->product_pictures, 1, "pictures"));
    struct product_pictures *p = f->product_pictures;
    p->windows = (int)(windows < NOWCAST_COLUMNS ? windows : NOWCAST_COLUMNS);
    if (o->n_exceed)
        GEN_TRY(GEN_ALLOC(&p->probability, o->n_exceed * f->columns * f->cells, "pictures"));
    return p->windows ? GEN_ALLOC(&p->amount, p->windows * f->cells, "pictures") : GEN_OK;
}

/* A sink of products: keeps what the pictures show. */
gen_status keep_product(void *cookie, const gen_product *what, int64_t first, int64_t rows,
                        const float *values)
{
    forecast *f = cookie;
    const struct product_pictures *p = f->product_pictures;
    int64_t at = first * f->s->grid.width, n = rows * f->s->grid.width;
    gen_product_kind amount = f->products.o.mean ? GEN_PRODUCT_MEAN : GEN_PRODUCT_MEMBER_SUM;
    if (what->sum && what->kind == amount && what->which == 0 && what->step < p->windows)
        memcpy(p->amount + what->step * f->cells + at, values, (size_t)n * sizeof *values);
    for (int k = 0; k < f->columns && !what->sum && what->kind == GEN_PRODUCT_PROBABILITY; k++) {
        float *to = p->probability + (what->which * f->columns + k) * f->cells + at;
        for (int64_t i = 0; i < n && f->column[k] == what->step; i++)
            to[i] = 100 * values[i];
    }
    return GEN_OK;
}

static gen_status draw(forecast *f, const char *name, const gen_plot_panel *panels, int n,
                       const char *title, gen_plot_scale scale)
{
    char subtitle[400], from[40], *path = NULL;
    snprintf(subtitle, sizeof subtitle, "from %s, method %s, %lld member%s; %.200s",
             time_title(f->reference, from), method_names[f->nowcast.method],
             (long long)f->nowcast.members, f->nowcast.members > 1 ? "s" : "", f->s->source);
    const gen_plot_options o = { .title = title,
                                 .subtitle = subtitle,
                                 .made = f->history,
                                 .columns = n,
                                 .force = f->run->common.force,
                                 .scale = scale };
    GEN_TRY(picture_path(f, name, &path));
    gen_status status = gen_plot(path, &f->s->grid, panels, n, &o);
    gen_free(path);
    f->pictures += status == GEN_OK;
    return status;
}

static gen_status draw_probability(forecast *f, int threshold)
{
    gen_plot_panel panel[NOWCAST_COLUMNS];
    char title[100], name[64], when[NOWCAST_COLUMNS][40], lead[NOWCAST_COLUMNS][40];
    const struct product_pictures *p = f->product_pictures;
    for (int k = 0; k < f->columns; k++) {
        int64_t ahead = (f->column[k] + 1) * f->s->step;
        snprintf(lead[k], sizeof lead[k], "+%g min", (double)ahead / 60);
        panel[k] =
            (gen_plot_panel){ .rain = p->probability + (threshold * f->columns + k) * f->cells,
                              .title = time_title(f->reference + ahead, when[k]),
                              .note = lead[k] };
    }
    snprintf(title, sizeof title, "Probability of at least %g mm/h", f->products.exceed[threshold]);
    picture_name(f, threshold, name);
    return draw(f, name, panel, f->columns, title, GEN_PLOT_PROBABILITY);
}

static gen_status draw_amounts(forecast *f)
{
    gen_plot_panel panel[NOWCAST_COLUMNS];
    char name[64], title[100], when[NOWCAST_COLUMNS][40], lead[NOWCAST_COLUMNS][60];
    const struct product_pictures *p = f->product_pictures;
    int64_t length = f->products.o.accumulate;
    for (int w = 0; w < p->windows; w++) {
        snprintf(lead[w], sizeof lead[w], "+%g to +%g min", (double)(w * length) / 60,
                 (double)((w + 1) * length) / 60);
        panel[w] = (gen_plot_panel){ .rain = p->amount + w * f->cells,
                                     .title = time_title(f->reference + (w + 1) * length, when[w]),
                                     .note = lead[w] };
    }
    snprintf(title, sizeof title, "Rain in %g min, %s", (double)length / 60,
             f->products.o.mean ? "mean of the members" : "member 0");
    picture_name(f, f->products.o.n_exceed, name);
    return draw(f, name, panel, p->windows, title, GEN_PLOT_DEPTH);
}

gen_status draw_product_pictures(forecast *f)
{
    bool amounts = f->products.o.mean || f->products.o.member_sums;
    for (int i = 0; i < f->products.o.n_exceed; i++)
        GEN_TRY(draw_probability(f, i));
    return f->product_pictures->windows && amounts ? draw_amounts(f) : GEN_OK;
}

void free_product_pictures(forecast *f)
{
    if (!f->product_pictures)
        return;
    gen_free(f->product_pictures->probability);
    gen_free(f->product_pictures->amount);
    gen_free(f->product_pictures);
    f->product_pictures = NULL;
}
