/* SPDX-License-Identifier: Apache-2.0
 *
 * DGMR's discriminators and losses: parameter counts of the paper and of openclimatefix, small
 * grids, the drawing of frames and windows, losses of batches in pieces and of batches without any
 * measured cell.
 */
#include "libgen/train/losses.h"
#include "tests/golden/rule.h"
#include "weather/dgmr_discriminator.h"
#include "weather/dgmr_loss.h"

static gen_dgmr_d_config config_of(const gen_option *table, double width)
{
    gen_dgmr_d_config c;
    gen_options_defaults(table, &c);
    c.width = width;
    return c;
}

static void build(gen_net *net, const gen_dgmr_d_config *c, gen_shape frames, gen_node *score[2])
{
    assert_int_equal(gen_graph_create(&net->g), GEN_OK);
    gen_node *x = gen_input(net->g, "frames", GEN_F32, frames);
    gen_node *index = gen_input(net->g, "index", GEN_I32, GEN_SHAPE(c->picked * frames.dim[0]));
    gen_node *offset = gen_input(net->g, "offset", GEN_I32, GEN_SHAPE(1, 2));
    score[0] = gen_dgmr_spatial(net, c, x, index);
    score[1] = gen_dgmr_temporal(net, c, x, offset);
}

static void free_net(gen_net *net)
{
    gen_graph *g = net->g;
    gen_net_free(net);
    gen_graph_free(&g);
}

static int64_t count(const gen_net *net, const char *part)
{
    int64_t n = 0;
    for (int i = 0; i < gen_graph_params(net->g); i++) {
        const gen_node *p = gen_graph_param(net->g, i);
        if (((const gen_param_attr *)p->attr)->trained && !strncmp(p->name, part, strlen(part)))
            n += gen_shape_count(p->shape[0]);
    }
    return n;
}

/* Reference 5.5 and 6.2; the package also stores a 1x1 convolution [768,768] in each last block,
 * which it never applies. */
static void parameter_counts(void **state)
{
    (void)state;
    static const struct {
        const gen_option *table;
        int64_t spatial, temporal;
    } known[] = { { gen_dgmr_d_options, 21614065, 21907825 },
                  { gen_dgmr_ocf_d_options, 22205425 - 590592, 22499185 - 590592 } };
    for (int i = 0; i < GEN_LEN(known); i++) {
        gen_net net = { .training = true };
        gen_node *score[2];
        const gen_dgmr_d_config c = config_of(known[i].table, 1);
        build(&net, &c, GEN_SHAPE(2, 22, 256, 256, 1), score);
        rule_graph_is_whole(net.g);
        assert_int_equal(count(&net, "discriminator/spatial/"), known[i].spatial);
        assert_int_equal(count(&net, "discriminator/temporal/"), known[i].temporal);
        free_net(&net);
    }
}

/* Fields and sequences that are too short for all the pooling still have a score, and kernels and
 * references agree on it. */
static void small_grids(void **state)
{
    (void)state;
    static const int64_t size[][4] = { { 2, 16, 64, 64 }, { 1, 9, 32, 96 }, { 3, 10, 4, 8 } };
    static const int32_t index[8 * 3] = { 5, 4, 6, 7, 8, 4, 5, 6 }, offset[2] = { 1, 2 };
    rule_given[0].name = "index";
    rule_given[0].value = index;
    rule_given[1].name = "offset";
    rule_given[1].value = offset;
    for (int i = 0; i < GEN_LEN(size); i++) {
        gen_net net = { .training = true };
        gen_node *score[2];
        const gen_dgmr_d_config c = config_of(gen_dgmr_d_options, 0.25);
        const int64_t *s = size[i];
        build(&net, &c, GEN_SHAPE(s[0], s[1], s[2], s[3], 1), score);
        rule_graph_is_whole(net.g);
        for (int k = 0; k < 2; k++)
            assert_true(gen_shape_equal(gen_node_shape(score[k]), GEN_SHAPE(s[0], 1)));
        float *exact = rule_reference(net.g, score, 2);
        float *planned = rule_planned(net.g, score, 2, NULL);
        double distance = rule_distance(planned, exact, 2 * s[0]);
        if (!(distance <= 1e-4))
            fail_msg("size %d: distance %g", i, distance);
        free(exact);
        free(planned);
        free_net(&net);
    }
}

static void expect(gen_net *net, const char *text)
{
    assert_int_not_equal(gen_graph_status(net->g), GEN_OK);
    if (!strstr(gen_last_error(), text))
        fail_msg("'%s' does not say '%s'", gen_last_error(), text);
    free_net(net);
}

static void wrong_shapes(void **state)
{
    (void)state;
    const gen_dgmr_d_config c = config_of(gen_dgmr_d_options, 0.25);
    gen_net net = { .training = true };
    gen_node *score[2];
    build(&net, &c, GEN_SHAPE(2, 16, 66, 64, 1), score);
    expect(&net, "multiples of 4");

    net = (gen_net){ .training = true };
    assert_int_equal(gen_graph_create(&net.g), GEN_OK);
    gen_dgmr_spatial(&net, &c, gen_input(net.g, "x", GEN_F32, GEN_SHAPE(2, 16, 64, 64, 1)),
                     gen_input(net.g, "index", GEN_I32, GEN_SHAPE(8)));
    expect(&net, "index is [8], expected [16] for 8 of 2 sequences");
}

/* ---- chance ---------------------------------------------------------------------------------- */

/* Each sequence has lead times of its own, none twice, all equally often. */
static void picks_of_the_paper(void **state)
{
    (void)state;
    enum { SEQUENCES = 3, FRAMES = 22, CONTEXT = 4, STEPS = 6000 };
    const gen_dgmr_d_config c = config_of(gen_dgmr_d_options, 1);
    int32_t index[8 * SEQUENCES];
    int64_t often[FRAMES] = { 0 }, alike = 0;
    for (uint64_t step = 0; step < STEPS; step++) {
        uint32_t seen[SEQUENCES] = { 0 };
        assert_int_equal(gen_dgmr_pick(&c, SEQUENCES, FRAMES, CONTEXT, 7, step, index), GEN_OK);
        for (int p = 0; p < 8; p++)
            for (int i = 0; i < SEQUENCES; i++) {
                int t = index[p * SEQUENCES + i] - i * FRAMES;
                assert_true(t >= CONTEXT && t < FRAMES);
                assert_false(seen[i] >> t & 1);
                seen[i] |= 1u << t;
                often[t]++;
            }
        alike += seen[0] == seen[1];
    }
    assert_true(alike < STEPS / 1000);
    /* Binomial, n = 18000, p = 8/18: five standard deviations are 333. */
    for (int t = CONTEXT; t < FRAMES; t++)
        assert_true(llabs(often[t] - (long long)SEQUENCES * STEPS * 8 / 18) < 340);
}

/* One choice for the batch, of all frames; the same again for the same step. */
static void picks_of_openclimatefix(void **state)
{
    (void)state;
    const gen_dgmr_d_config c = config_of(gen_dgmr_ocf_d_options, 1);
    int32_t index[16], again[16];
    uint32_t seen = 0;
    for (uint64_t step = 0; step < 200; step++) {
        assert_int_equal(gen_dgmr_pick(&c, 2, 5, 4, 1, step, index), GEN_OK);
        assert_int_equal(gen_dgmr_pick(&c, 2, 5, 4, 1, step, again), GEN_OK);
        assert_memory_equal(index, again, sizeof index);
        for (int p = 0; p < 8; p++) {
            assert_true(index[2 * p] >= 0 && index[2 * p] < 5);
            assert_int_equal(index[2 * p + 1], index[2 * p] + 5);
            seen |= 1u << index[2 * p];
        }
    }
    assert_int_equal(seen, 31);
}

static void picks_and_windows_within(void **state)
{
    (void)state;
    const gen_dgmr_d_config c = config_of(gen_dgmr_d_options, 1);
    int32_t index[8], offset[2], least[2] = { 99, 99 }, most[2] = { 0, 0 };
    assert_int_equal(gen_dgmr_pick(&c, 1, 11, 4, 0, 0, index), GEN_EINVAL);
    assert_non_null(strstr(gen_last_error(), "sees 8 lead times, but there are 7"));
    assert_int_equal(gen_dgmr_pick(&c, 1, 12, 4, 0, 0, index), GEN_OK);
    for (uint64_t step = 0; step < 2000; step++) {
        gen_dgmr_place(64, 32, 3, step, offset);
        for (int i = 0; i < 2; i++) {
            least[i] = offset[i] < least[i] ? offset[i] : least[i];
            most[i] = offset[i] > most[i] ? offset[i] : most[i];
        }
    }
    assert_int_equal(least[0] + least[1], 0);
    assert_int_equal(most[0], 31);
    assert_int_equal(most[1], 15);
}

/* ---- losses ---------------------------------------------------------------------------------- */

static gen_node *field(gen_graph *g, const char *name, int64_t n)
{
    return gen_input(g, name, GEN_F32, GEN_SHAPE(n, 3, 4, 4, 1));
}

/* Two pieces of a batch, each with the cells of the whole batch: their losses add up. No cell
 * measured: no loss, and no division by zero. Without a mask: all cells. */
static void cells_of_the_whole_batch(void **state)
{
    (void)state;
    gen_graph *g;
    assert_int_equal(gen_graph_create(&g), GEN_OK);
    gen_node *mean = field(g, "mean/frames", 4), *target = field(g, "target/frames", 4);
    gen_node *mask = gen_greater(g, field(g, "mask", 4), gen_fill(g, GEN_SHAPE(1), 0));
    gen_node *cells = gen_reshape(g, gen_sum(g, mask, 31), GEN_SHAPE(1));
    gen_node *none = gen_affine(g, mask, 0, 0), *full = gen_affine(g, mask, 0, 1), *out[8];
    int n = 0;
    const gen_dgmr_weight kind = GEN_DGMR_WEIGHT_PAPER;
    out[n++] = gen_dgmr_cell_loss(g, mean, target, mask, NULL, kind);
    for (int i = 0; i < 2; i++)
        out[n++] = gen_dgmr_cell_loss(g, gen_slice(g, mean, 0, 2 * i, 2),
                                      gen_slice(g, target, 0, 2 * i, 2),
                                      gen_slice(g, mask, 0, 2 * i, 2), cells, kind);
    out[n++] = gen_dgmr_cell_loss(g, mean, target, none, NULL, kind);
    out[n++] = gen_dgmr_cell_loss(g, mean, target, full, NULL, kind);
    out[n++] = gen_dgmr_cell_loss(g, mean, target, NULL, NULL, kind);
    rule_graph_is_whole(g);
    float *found = rule_reference(g, out, n);
    assert_true(found[0] > 1);
    assert_true(fabsf(found[1] + found[2] - found[0]) < 1e-5f * found[0]);
    assert_true(found[3] == 0);
    assert_true(fabsf(found[4] - found[5]) < 1e-6f * found[4]);
    free(found);
    gen_graph_free(&g);
}

/* By hand: scores 0.5, 3 and -2, 0.25. */
static void hinge_by_hand(void **state)
{
    (void)state;
    static const float real[2] = { 0.5f, 3 }, generated[2] = { -2, 0.25f };
    gen_graph *g;
    assert_int_equal(gen_graph_create(&g), GEN_OK);
    gen_node *r = gen_const(g, GEN_SHAPE(2, 1), real),
             *f = gen_const(g, GEN_SHAPE(2, 1), generated);
    gen_node *out[2] = { gen_hinge_discriminator(g, r, f), gen_hinge_generator(g, f) };
    float *found = rule_reference(g, out, 2);
    assert_true(fabsf(found[0] - (0.5f + 0) / 2 - (0 + 1.25f) / 2) < 1e-6f);
    assert_true(fabsf(found[1] - 0.875f) < 1e-6f);
    free(found);
    gen_graph_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameter_counts),
        cmocka_unit_test(small_grids),
        cmocka_unit_test(wrong_shapes),
        cmocka_unit_test(picks_of_the_paper),
        cmocka_unit_test(picks_of_openclimatefix),
        cmocka_unit_test(picks_and_windows_within),
        cmocka_unit_test(cells_of_the_whole_batch),
        cmocka_unit_test(hinge_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
