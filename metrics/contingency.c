/* SPDX-License-Identifier: Apache-2.0
 *
 * Scores of a 2x2 table of events: forecast and observed (hits H), observed only (misses M),
 * forecast only (false alarms F), neither (correct negatives R).
 */
#include "metrics/score.h"

gen_number gen_ratio(double numerator, double denominator)
{
    gen_number none = { 0, false };
    double value = numerator / denominator;
    return denominator != 0 && isfinite(value) ? (gen_number){ value, true } : none;
}

/* Equitable threat score: hits beyond those that chance would give, H* = (H+M)(H+F)/N. */
static gen_number equitable(double h, double m, double f, double n)
{
    if (n == 0)
        return (gen_number){ 0, false };
    double chance = (h + m) / n * (h + f);
    return gen_ratio(h - chance, h + m + f - chance);
}

gen_category_scores gen_contingency_scores(const gen_contingency *t)
{
    double h = (double)t->hits, m = (double)t->misses;
    double f = (double)t->false_alarms, r = (double)t->correct_negatives;
    gen_category_scores s = { .table = *t };
    s.csi = gen_ratio(h, h + m + f);
    s.pod = gen_ratio(h, h + m);
    s.far = gen_ratio(f, h + f);
    s.fa = gen_ratio(f, f + r);
    s.bias = gen_ratio(h + f, h + m);
    s.ets = equitable(h, m, f, h + m + f + r);
    s.hss = gen_ratio(2 * (h * r - f * m), (h + m) * (m + r) + (h + f) * (f + r));
    if (s.pod.known && s.fa.known)
        s.hk = (gen_number){ s.pod.value - s.fa.value, true };
    return s;
}
