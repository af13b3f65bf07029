/* SPDX-License-Identifier: Apache-2.0
 *
 * The inner loops of the plain kernels, for each instruction set this machine has: accuracy of our
 * exp and its kin against libm in double, special values, the same bits wherever an element lies,
 * bf16 against gen_convert.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <libgen/plan.h>

#include "libgen/backends/cpu/kernels/vec.h"

enum { MOST = 5000 };

static gen_isa best(void)
{
    gen_backend *b;
    assert_int_equal(gen_backend_open(&b, "cpu", 1), GEN_OK);
    gen_isa isa = b->isa;
    gen_backend_close(&b);
    return isa;
}

/* ---- accuracy -------------------------------------------------------------------------------- */

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double softplus(double x)
{
    return (x < 0 ? 0 : x) + log1p(exp(-fabs(x)));
}

static const struct claim {
    gen_unary op;
    double (*truth)(double);
    double lo, hi;   /* range in which the result is a normal number */
    double allowed;  /* relative error */
} claims[] = {
    { GEN_UNARY_EXP, exp, -87.3, 88.7, 3e-7 },     { GEN_UNARY_EXP, exp, -1, 1, 3e-7 },
    { GEN_UNARY_LOG, log, 1e-38, 3e38, 3e-7 },     { GEN_UNARY_LOG, log, 0.5, 2, 3e-7 },
    { GEN_UNARY_TANH, tanh, -10, 10, 3e-7 },       { GEN_UNARY_TANH, tanh, -1e-3, 1e-3, 3e-7 },
    { GEN_UNARY_SIGMOID, sigmoid, -80, 90, 4e-7 }, { GEN_UNARY_SOFTPLUS, softplus, -80, 90, 4e-7 },
};

static void close_to_libm(void **state)
{
    static float x[MOST], y[MOST];
    (void)state;
    for (gen_isa isa = GEN_ISA_BASE; isa <= best(); isa++) {
        const gen_vec *v = gen_vec_of(isa);
        for (size_t c = 0; c < sizeof claims / sizeof *claims; c++) {
            const struct claim *k = &claims[c];
            bool wide = k->hi / k->lo > 1e10; /* spread over the exponents */
            double worst = 0, where = 0;
            for (int i = 0; i < MOST; i++) {
                double t = (i + 0.37) / MOST;
                x[i] = (float)(wide ? k->lo * pow(k->hi / k->lo, t) : k->lo + t * (k->hi - k->lo));
            }
            v->unary[k->op](y, x, MOST, 0, 0);
            for (int i = 0; i < MOST; i++) {
                double truth = k->truth((double)x[i]);
                double off = fabs((double)y[i] - truth) / (truth == 0 ? 1 : fabs(truth));
                if (!(off <= worst)) {
                    worst = off;
                    where = (double)x[i];
                }
            }
            if (!(worst <= k->allowed))
                fail_msg("isa %d, function %d: off by %g at %g, allowed %g", (int)isa, (int)k->op,
                         worst, where, k->allowed);
        }
    }
}

/* ---- special values -------------------------------------------------------------------------- */

static float one(const gen_vec *v, gen_unary op, float x)
{
    float in[37], out[37];
    for (int i = 0; i < 37; i++)
        in[i] = x;
    v->unary[op](out, in, 37, -1, 1);
    for (int i = 1; i < 37; i++)
        assert_memory_equal(&out[i], &out[0], sizeof *out);
    return out[0];
}

static void special_values(void **state)
{
    (void)state;
    for (gen_isa isa = GEN_ISA_BASE; isa <= best(); isa++) {
        const gen_vec *v = gen_vec_of(isa);
        for (int op = 0; op < GEN_UNARY_COUNT; op++)
            assert_true(isnan(one(v, (gen_unary)op, NAN)));
        assert_true(one(v, GEN_UNARY_EXP, INFINITY) == INFINITY);
        assert_true(one(v, GEN_UNARY_EXP, 89) == INFINITY);
        assert_true(one(v, GEN_UNARY_EXP, 88.7f) < INFINITY);
        assert_true(one(v, GEN_UNARY_EXP, -INFINITY) == 0);
        assert_true(one(v, GEN_UNARY_EXP, -200) == 0);
        assert_true(fabs((double)one(v, GEN_UNARY_EXP, -95) / exp(-95) - 1) < 1e-3); /* denormal */
        assert_true(one(v, GEN_UNARY_EXP, 0) == 1);
        assert_true(one(v, GEN_UNARY_LOG, 0) == -INFINITY);
        assert_true(isnan(one(v, GEN_UNARY_LOG, -1)));
        assert_true(one(v, GEN_UNARY_LOG, INFINITY) == INFINITY);
        assert_true(one(v, GEN_UNARY_LOG, 1) == 0);
        assert_true(fabs((double)one(v, GEN_UNARY_LOG, 1e-42f) / log((double)1e-42f) - 1) < 1e-6);
        assert_true(one(v, GEN_UNARY_TANH, INFINITY) == 1 && one(v, GEN_UNARY_TANH, -50) == -1);
        assert_true(one(v, GEN_UNARY_TANH, 0) == 0);
        assert_true(one(v, GEN_UNARY_SIGMOID, INFINITY) == 1);
        assert_true(one(v, GEN_UNARY_SIGMOID, -INFINITY) == 0);
        assert_true(one(v, GEN_UNARY_SIGMOID, 0) == 0.5f);
        assert_true(one(v, GEN_UNARY_SOFTPLUS, 200) == 200);
        assert_true(one(v, GEN_UNARY_SOFTPLUS, -200) == 0);
        assert_true(one(v, GEN_UNARY_RELU, -INFINITY) == 0);
    }
}

/* ---- the same bits everywhere ---------------------------------------------------------------- */

/* A whole array at once, and cut at odd places and off alignment. */
static void position_does_not_matter(void **state)
{
    static float x[MOST + 1], whole[MOST], parts[MOST];
    (void)state;
    for (int i = 0; i < MOST; i++)
        x[i] = (float)sin(i * 0.7) * 6 + 6.5f;
    for (gen_isa isa = GEN_ISA_BASE; isa <= best(); isa++) {
        const gen_vec *v = gen_vec_of(isa);
        for (int op = 0; op < GEN_UNARY_COUNT; op++) {
            v->unary[op](whole, x, MOST, 0.3f, 7);
            for (int i = 0, n = 1; i < MOST; i += n, n = n % 71 + 1)
                v->unary[op](parts + i, x + i, i + n < MOST ? n : MOST - i, 0.3f, 7);
            assert_memory_equal(whole, parts, sizeof whole);
        }
        v->scale_shift(whole, x, x, x, MOST);
        for (int i = 0; i < MOST; i++)
            v->scale_shift(parts + i, x + i, x + i, x + i, 1);
        assert_memory_equal(whole, parts, sizeof whole);
        v->lerp(whole, x, x + 1, x, MOST);
        for (int i = 0; i < MOST; i++)
            v->lerp(parts + i, x + i, x + i + 1, x + i, 1);
        assert_memory_equal(whole, parts, sizeof whole);
    }
}

/* y may be an input. */
static void in_place(void **state)
{
    static float x[MOST], y[MOST], z[MOST];
    (void)state;
    for (gen_isa isa = GEN_ISA_BASE; isa <= best(); isa++) {
        const gen_vec *v = gen_vec_of(isa);
        for (int op = 0; op < GEN_BINARY_COUNT; op++) {
            for (int i = 0; i < MOST; i++) {
                x[i] = (float)(i % 17) - 7.5f;
                z[i] = (float)(i % 5) + 0.5f;
            }
            v->binary[op](y, x, z, MOST);
            v->binary[op](x, x, z, MOST);
            assert_memory_equal(x, y, sizeof x);
        }
    }
}

/* ---- bf16, reductions ------------------------------------------------------------------------ */

/* Every pattern of the upper half, with lower halves around the tie. */
static void bf16_as_the_library_converts(void **state)
{
    static float x[65536];
    static uint16_t y[65536], expected[65536];
    static const uint32_t lower[] = { 0, 1, 0x7fff, 0x8000, 0x8001, 0xffff };
    (void)state;
    for (gen_isa isa = GEN_ISA_BASE; isa <= best(); isa++) {
        const gen_vec *v = gen_vec_of(isa);
        for (size_t k = 0; k < sizeof lower / sizeof *lower; k++) {
            for (uint32_t i = 0; i < 65536; i++) {
                uint32_t bits = i << 16 | lower[k];
                memcpy(&x[i], &bits, 4);
            }
            v->to_bf16(y, x, 65536);
            gen_convert(expected, GEN_BF16, x, GEN_F32, 65536);
            assert_memory_equal(y, expected, sizeof y);
        }
        for (uint32_t i = 0; i < 65536; i++)
            y[i] = (uint16_t)i;
        v->from_bf16(x, y, 65536);
        for (uint32_t i = 0; i < 65536; i++) {
            uint32_t bits;
            memcpy(&bits, &x[i], 4);
            assert_int_equal(bits, i << 16);
        }
    }
}

static void sums_and_tops(void **state)
{
    static float x[MOST];
    (void)state;
    for (int i = 0; i < MOST; i++)
        x[i] = (float)((i * 37) % 1001) - 500; /* whole numbers: sums in double are exact */
    for (gen_isa isa = GEN_ISA_BASE; isa <= best(); isa++) {
        const gen_vec *v = gen_vec_of(isa);
        for (int n = 1; n < 300; n += n < 140 ? 1 : 53) {
            double sum = 0;
            float top = -INFINITY;
            for (int i = 0; i < n; i++) {
                sum += (double)x[i];
                top = x[i] > top ? x[i] : top;
            }
            assert_true(v->sum(x, n) == sum);
            assert_true(v->max(x, n) == top);
            for (int bad = 0; bad < n; bad += 13) {
                float kept = x[bad];
                x[bad] = NAN;
                assert_true(isnan(v->max(x, n)));
                x[bad] = kept;
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(close_to_libm),
        cmocka_unit_test(special_values),
        cmocka_unit_test(position_does_not_matter),
        cmocka_unit_test(in_place),
        cmocka_unit_test(bf16_as_the_library_converts),
        cmocka_unit_test(sums_and_tops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
