/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of gen nowcast share: nowcast.c has the verb, nowcast_pictures.c its pictures,
 * nowcast_film.c its film.
 */
#ifndef GEN_CLI_NOWCAST_H
#define GEN_CLI_NOWCAST_H

#include <limits.h>

#include <libgen/model.h>
#include <libgen/plan.h>
#include <libgen/plot.h>

#include "cli/products.h"
#include "cli/weather_files.h"
#include "weather/trained.h"

#define NOWCAST_COLUMNS 6 /* lead times in the overview */

typedef struct nowcast_settings {
    const char *at, *plot, *film;
    const char *max_age, *deadline, *lock, *status, *now; /* of nowcast_live.c */
    int64_t latest;
    int64_t lead, choice, encoding, latitudes;
    product_settings products;
} nowcast_settings;

extern const char *const method_names[]; /* by gen_nowcast_method */

/* What --method and -m come to. */
typedef struct nowcast_choice {
    gen_nowcast_method method;
    bool ours;            /* not asked for by name: advection may stand in for it */
    char model[PATH_MAX]; /* of method dgmr, else empty */
} nowcast_choice;

typedef struct forecast {
    gen_run *run;
    nowcast_settings *o;
    nowcast_choice choice;
    struct live *live; /* of --latest, else NULL */
    file_list files;
    gen_radar_sequence *s;
    gen_model *model; /* of method dgmr, else NULL */
    char digest[65];  /* its */
    gen_trained trained;
    gen_backend *backend; /* of method dgmr, else NULL */
    gen_nowcast_options nowcast;
    gen_forecast *file;
    product_call products;
    char *history, *source;
    char *comment; /* what happened on the way, "a; b"; NULL: nothing */
    int64_t cells, reference;
    int64_t column[NOWCAST_COLUMNS]; /* lead steps in the overview, from 0 */
    int columns;
    float *first;                              /* first member, [lead_steps,cells]; plots only */
    float *second;                             /* second member at the columns, or NULL */
    float *mean;                               /* ensemble mean at the columns, or NULL */
    gen_radar_sequence *observed;              /* after the reference time, or NULL */
    gen_plot_film *film;                       /* --film, else NULL */
    struct product_pictures *product_pictures; /* product_pictures.c, else NULL */
    int pictures;
    bool made_folder; /* of the pictures, by us */
} forecast;

/* Before anything is computed: the folder of --plot is there, and no picture is in the way. */
gen_status prepare_pictures(forecast *);

/* Keeps of rain [lead_steps,cells] of a member what the pictures need. */
void keep_for_pictures(forecast *, int64_t member, const float *rain);

gen_status draw_pictures(forecast *);
gen_status picture_path(const forecast *, const char *name, char **out);
/* EEXIST: a picture of that name is in the way. */
gen_status check_picture(const forecast *, const char *name);

/* Pictures of products: product_pictures.c. Called by those above, but for the sink. */
gen_status prepare_product_pictures(forecast *);
gen_products_sink keep_product;
gen_status draw_product_pictures(forecast *);
void free_product_pictures(forecast *);
void free_pictures(forecast *);
/* Only the first members came: what was kept for `planned` of them is made that for `members`. */
void shorten_pictures(forecast *, int64_t planned, int64_t members);

/* nowcast.c: text of the source and the file, for the method in f->nowcast. */
gen_status describe_forecast(forecast *);
gen_status open_forecast(forecast *);
gen_nowcast_sink take_member;
/* A warning that the file's `comment` repeats, also when it is open already. */
gen_status remark(forecast *, const char *text);

/* ---- --latest: nowcast_live.c ------------------------------------------------------------ */

/* Whether options go together. EINVAL. */
gen_status check_live(const gen_run *, const nowcast_settings *);
/* Takes the lock, for which it may fail; sets f->live. live_end is called in any case. */
gen_status live_start(forecast *);
/* Reads the newest frames (f->s), refuses old ones, names the output. *nothing_new: their forecast
 * is there already. */
gen_status live_read(forecast *, int64_t frames, bool *nothing_new);
/* gen_nowcast, so that something is there before the deadline. */
gen_status live_nowcast(forecast *);
/* Writes the status, lets the lock go. f->s may be NULL. */
void live_end(forecast *, gen_status status);

/* nowcast_film.c. Opened before anything is computed; committed by gen_plot_film_commit. */
gen_status open_film(forecast *);
gen_status film_member(forecast *, int64_t member, const float *rain);

#endif
