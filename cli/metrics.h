/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to the verb metrics: scores of one call, by method and lead time.
 */
#ifndef CLI_METRICS_H
#define CLI_METRICS_H

#include <libgen/verify.h>

#include "cli/command.h"

typedef struct scores {
    const gen_verify_view *view;
    gen_score_result **at[GEN_VERIFY_METHODS]; /* [leads] each; NULL: not asked for */
    gen_score_result *all[GEN_VERIFY_METHODS]; /* lead times together */
} scores;

extern const char *const score_method_names[GEN_VERIFY_METHODS];

/* The report as one JSON object, without NaN: what is not known is null. Free with gen_free. */
gen_status scores_json(char **out, const gen_run *r, const scores *s);

/* scores.png, spectra.png and, of ensembles, probabilities.png in `folder`. */
/* Makes the folder (*made); EEXIST where a picture is there, without --force. */
gen_status scores_plot_check(const gen_run *r, const char *folder, bool *made);
gen_status scores_plot(const gen_run *r, const scores *s, const char *folder);

#endif
