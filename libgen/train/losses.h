/* SPDX-License-Identifier: Apache-2.0
 *
 * Adversarial losses as graphs: scores in, one value [1] out. Of several discriminators each has
 * its own loss, and whoever trains adds them.
 */
#ifndef LIBGEN_TRAIN_LOSSES_H
#define LIBGEN_TRAIN_LOSSES_H

#include <libgen/ops.h>

/* Hinge loss of a discriminator: mean relu(1 - real) + mean relu(1 + generated). Scores of any
 * shape, the summed score of one sample each. */
GEN_API gen_node *gen_hinge_discriminator(gen_graph *g, gen_node *real, gen_node *generated);

/* Of the generator, to be made small: -mean generated. */
GEN_API gen_node *gen_hinge_generator(gen_graph *g, gen_node *generated);

/* The mean of all elements of x as [1]. */
GEN_API gen_node *gen_mean_of_all(gen_graph *g, gen_node *x);

#endif
