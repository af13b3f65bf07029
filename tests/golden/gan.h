/* SPDX-License-Identifier: Apache-2.0
 *
 * A toy GAN with all that training has to do with: batch norm, spectral norm, two discriminators,
 * several micro-batches and steps a turn; values by rule, so that any run of it is the same.
 */
#ifndef TESTS_GOLDEN_GAN_H
#define TESTS_GOLDEN_GAN_H

#include "tests/golden/rule.h"

#include <libgen/train.h>

#include "libgen/train/losses.h"

#define TURNS 10
#define BATCH 2
#define SIDE 5

static inline gen_node *generator(gen_net *net)
{
    gen_node *x = gen_input(net->g, "z", GEN_F32, GEN_SHAPE(BATCH, SIDE, SIDE, 3));
    x = gen_conv_layer(net, "g/first", x, 6, &(gen_layer_attr){ .no_bias = 1 });
    x = gen_relu(net->g, gen_norm_layer(net, "g/norm", x, NULL));
    return gen_conv_layer(net, "g/last", x, 2, &(gen_layer_attr){ 0 });
}

static inline gen_node *score(gen_net *net, const char *name, gen_node *x, int64_t channels)
{
    const gen_layer_attr sn = { .sn = GEN_SN_TORCH };
    char out[16];
    snprintf(out, sizeof out, "%s_out", name);
    x = gen_relu(net->g, gen_conv_layer(net, name, x, channels, &sn));
    x = gen_reshape(net->g, gen_mean(net->g, x, 6), GEN_SHAPE(BATCH, channels));
    return gen_linear_layer(net, out, x, 1, &sn);
}

static inline gen_node *loss_of_d(gen_net *net, void *cookie)
{
    (void)cookie;
    gen_node *fake = generator(net);
    gen_node *real = gen_input(net->g, "real", GEN_F32, GEN_SHAPE(BATCH, SIDE, SIDE, 2));
    gen_node *a =
        gen_hinge_discriminator(net->g, score(net, "d/a", real, 5), score(net, "d/a", fake, 5));
    gen_node *b =
        gen_hinge_discriminator(net->g, score(net, "d/b", real, 4), score(net, "d/b", fake, 4));
    return gen_add(net->g, a, b);
}

static inline gen_node *loss_of_g(gen_net *net, void *cookie)
{
    (void)cookie;
    gen_node *fake = generator(net);
    gen_node *a = gen_hinge_generator(net->g, score(net, "d/a", fake, 5));
    return gen_add(net->g, a, gen_hinge_generator(net->g, score(net, "d/b", fake, 4)));
}

typedef struct loader {
    int z, real; /* drawn so far */
    int bad;     /* the draw of z that is spoilt; -1: none */
} loader;

static inline gen_status fill(void *cookie, gen_plan *plan, const char **sample)
{
    loader *l = cookie;
    char name[32];
    gen_tensor z = gen_plan_input(plan, "z"), real = gen_plan_input(plan, "real");
    snprintf(name, sizeof name, "z/%d/x", l->z);
    rule_values(z.data, name, z.shape);
    if (l->z++ == l->bad)
        ((float *)z.data)[3] = INFINITY;
    if (real.data) {
        snprintf(name, sizeof name, "real/%d/x", l->real++);
        rule_values(real.data, name, real.shape);
    }
    *sample = "a.h5";
    return GEN_OK;
}

typedef struct gan {
    gen_backend *backend;
    gen_params *params;
    gen_phase *d, *g;
    loader loader;
} gan;

static inline void open_gan(gan *t, const char *device)
{
    static const char *const of_d[] = { "d/", NULL }, *const of_g[] = { "g/", NULL };
    *t = (gan){ .loader.bad = -1 };
    gen_net net = { .training = true };
    assert_int_equal(gen_graph_create(&net.g), GEN_OK);
    loss_of_d(&net, NULL); /* asks for every parameter */
    rule_graph_is_whole(net.g);
    t->params = rule_params(net.g);
    gen_graph_free(&net.g);
    gen_net_free(&net);
    const gen_phase_options d = { .name = "D",
                                  .build = loss_of_d,
                                  .fill = fill,
                                  .cookie = &t->loader,
                                  .prefixes = of_d,
                                  .schedule.rate = 0.002,
                                  .micro_batches = 2,
                                  .repeats = 2 };
    const gen_phase_options g = { .name = "G",
                                  .build = loss_of_g,
                                  .fill = fill,
                                  .cookie = &t->loader,
                                  .prefixes = of_g,
                                  .schedule.rate = 0.001,
                                  .micro_batches = 2 };
    assert_int_equal(gen_backend_open(&t->backend, device, 2), GEN_OK);
    if (gen_phase_create(&t->d, t->params, 1, t->backend, &d) ||
        gen_phase_create(&t->g, t->params, 1, t->backend, &g))
        fail_msg("%s", gen_last_error());
}

static inline void close_gan(gan *t)
{
    gen_phase_free(&t->d);
    gen_phase_free(&t->g);
    gen_params_free(&t->params);
    gen_backend_close(&t->backend);
}

#endif
