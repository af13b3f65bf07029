/* SPDX-License-Identifier: Apache-2.0
 *
 * Products of ensembles on the command line: the options that gen nowcast and gen radar products
 * share, and series at points.
 */
#ifndef CLI_PRODUCTS_H
#define CLI_PRODUCTS_H

#include <libgen/products.h>

#include "cli/command.h"
#include "libgen/base/json.h"

#define MOST_VALUES 64 /* in a list of an option */
#define MOST_POINTS 1000

typedef struct product_settings {
    const char *exceed, *exceed_sum, *percentiles, *point, *point_output;
    int64_t accumulate, mean, matched_mean; /* accumulate in minutes */
    int64_t without_members;
} product_settings;

/* Entries of an option table; `place` is the offset of the product_settings. */
#define PRODUCT_AT(place, field) .offset = (place) + offsetof(product_settings, field)
#define PRODUCT_OPTIONS(place)                                                                     \
    { GEN_OPT_STRING, "exceed", PRODUCT_AT(place, exceed), .value = "LIST",                        \
      .help = "probability of at least so many mm/h, e.g. 1,5,10; with --accumulate also of at "   \
              "least so many mm" },                                                                \
        { GEN_OPT_STRING, "exceed-sum", PRODUCT_AT(place, exceed_sum), .value = "LIST",            \
          .help = "thresholds of accumulations, mm, instead of those of --exceed" },               \
        { GEN_OPT_FLAG, "mean", PRODUCT_AT(place, mean), .help = "mean of the members" },          \
        { GEN_OPT_FLAG, "matched-mean", PRODUCT_AT(place, matched_mean),                           \
          .help =                                                                                  \
              "probability-matched mean: where the mean has rain, with the intensities of the "    \
              "members" },                                                                         \
        { GEN_OPT_STRING, "percentiles", PRODUCT_AT(place, percentiles), .value = "LIST",          \
          .help = "percentiles of the members, 0 to 100, e.g. 10,50,90" },                         \
        { GEN_OPT_INT,                                                                             \
          "accumulate",                                                                            \
          PRODUCT_AT(place, accumulate),                                                           \
          .min = 0,                                                                                \
          .max = 14400,                                                                            \
          .value = "MIN",                                                                          \
          .help = "rain amounts of each member, and the products above of them: mm in windows of " \
                  "so many minutes, one after the other from the reference time" },                \
        { GEN_OPT_STRING, "at-point", PRODUCT_AT(place, point), .value = "LAT,LON",                \
          .help = "series of the cell with this place, every member; may be given often" },        \
    {                                                                                              \
        GEN_OPT_STRING, "point-output", PRODUCT_AT(place, point_output),                           \
            .value = "FILE",                                                                       \
            .help = "where series go: FILE.csv or FILE.json; default CSV on stdout"                \
    }

/* The options of one call, as the library wants them. */
typedef struct product_call {
    const gen_run *run;
    const product_settings *settings;
    gen_products_options o;
    bool any; /* something for the file */
    double exceed[MOST_VALUES], exceed_sum[MOST_VALUES], percentiles[MOST_VALUES];

    gen_products_point *points;
    int n_points;
    int64_t members, lead_steps, reference, *time; /* of the series */
    int64_t room;                                  /* for members */
    float *series;                                 /* [points,lead_steps,room] */
} product_call;

/* Reads the options. EINVAL: names the option. Free with products_free, also after a failure. */
gen_status products_parse(product_call *c, const gen_run *r, const product_settings *s);
/* Checks them against the forecast, before anything is computed. time [lead_steps]. */
gen_status products_prepare(product_call *c, const gen_products_shape *shape,
                            const gen_radar_grid *grid, int64_t reference, const int64_t *time);
void products_free(product_call *c);
/* The forecast has fewer members than it was planned to have. */
void products_shorten(product_call *c, int64_t members);

/* Keeps what the series need of a field [height,width]. */
void products_keep(product_call *c, int64_t width, int64_t member, int64_t lead, const float *rain);
/* To --point-output. Where there is none: as CSV to stdout, or, with --json, not at all. */
gen_status products_put_series(const product_call *c);
/* "points" of a JSON object, when there are any that have no file. */
gen_status products_series_json(const product_call *c, gen_json_writer *w);
/* Do series own stdout? */
bool products_on_stdout(const product_call *c);

#endif
