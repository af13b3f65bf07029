/* SPDX-License-Identifier: Apache-2.0
 *
 * Is one forecast better than another? The paired permutation test: where they are alike, each
 * unit's difference could as well have had the other sign.
 */
#include <libgen/random.h>

#include "metrics/score.h"

/* Sum of the differences, negative where the bit is set. */
static double signed_sum(const double *a, const double *b, int64_t n, const uint32_t *bits)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += bits[i / 32] >> (i % 32) & 1 ? b[i] - a[i] : a[i] - b[i];
    return sum;
}

enum { UNITS_MAX = 4096 };

static void draw_bits(uint32_t *bits, int64_t n, uint64_t seed, int64_t permutation)
{
    for (int64_t block = 0; 128 * block < n; block++)
        gen_philox(bits + 4 * block, seed, gen_stream("permutation test"),
                   (uint64_t)(permutation * (UNITS_MAX / 128) + block));
}

gen_number gen_permutation_test(const double *a, const double *b, int64_t n, int64_t permutations,
                                uint64_t seed)
{
    uint32_t bits[UNITS_MAX / 32] = { 0 };
    double size = 0;
    permutations = permutations > 0 ? permutations : 1000000;
    if (n < 1 || n > UNITS_MAX)
        return (gen_number){ 0, false };
    for (int64_t i = 0; i < n; i++)
        size += fabs(a[i] - b[i]);
    if (!isfinite(size))
        return (gen_number){ 0, false };
    /* As far from 0 as what was seen, but for rounding. */
    double least = fabs(signed_sum(a, b, n, bits)) - 1e-12 * size;
    bool all = n < 32 && (int64_t)1 << n <= permutations; /* signs fit one word */
    int64_t count = 0, total = all ? (int64_t)1 << n : permutations;
    for (int64_t i = 0; i < total; i++) {
        bits[0] = (uint32_t)i;
        if (!all)
            draw_bits(bits, n, seed, i);
        count += fabs(signed_sum(a, b, n, bits)) >= least;
    }
    if (all)
        return gen_ratio((double)count, (double)total);
    return gen_ratio((double)count + 1, (double)total + 1);
}
