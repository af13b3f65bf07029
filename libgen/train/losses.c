/* SPDX-License-Identifier: Apache-2.0
 *
 * The hinge loss of DVD-GAN, TrIVD-GAN, GAN-TTS and DGMR (reference 1.8).
 */
#include "libgen/train/losses.h"

#include "libgen/graph/op.h"

gen_node *gen_mean_of_all(gen_graph *g, gen_node *x)
{
    if (gen_graph_failed(g))
        return NULL;
    x = gen_reshape(g, x, GEN_SHAPE(-1));
    return gen_mean(g, x, 1u << 0);
}

gen_node *gen_hinge_discriminator(gen_graph *g, gen_node *real, gen_node *generated)
{
    gen_node *below = gen_relu(g, gen_affine(g, real, -1, 1));
    gen_node *above = gen_relu(g, gen_affine(g, generated, 1, 1));
    return gen_add(g, gen_mean_of_all(g, below), gen_mean_of_all(g, above));
}

gen_node *gen_hinge_generator(gen_graph *g, gen_node *generated)
{
    return gen_affine(g, gen_mean_of_all(g, generated), -1, 0);
}
