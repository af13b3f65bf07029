/* SPDX-License-Identifier: Apache-2.0
 *
 * Scores of the probability of an event. An ensemble of k members has k + 1 probabilities j/k, so
 * counts of cells and of events for each j hold all that these scores ask for, exactly.
 */
#include <string.h>

#include "metrics/score.h"

static double total(const int64_t *count, int64_t from, int64_t k)
{
    int64_t sum = 0;
    for (int64_t j = from; j <= k; j++)
        sum += count[j];
    return (double)sum;
}

gen_number gen_brier(const gen_probability_counts *c)
{
    double sum = 0;
    for (int64_t j = 0; j <= c->k; j++) {
        double p = (double)j / (double)c->k, events = (double)c->events[j];
        sum += events * (1 - p) * (1 - p) + ((double)c->cells[j] - events) * p * p;
    }
    return gen_ratio(sum, total(c->cells, 0, c->k));
}

/* The bin of probability p: edges are spread evenly from -1e-6 to 1+1e-6, the upper belongs to it.
 * Rounded as numpy.linspace is: 0.5 lies on an edge, and the last bit decides on its side. */
static int bin_of(double p, int bins)
{
    double step = ((1 + 1e-6) + 1e-6) / bins;
    int bin = 0;
    while (bin < bins - 1 && p > step * (bin + 1) + -1e-6)
        bin++;
    return bin;
}

void gen_reliability(gen_reliability_bin *out, int bins, int64_t min_count,
                     const gen_probability_counts *c)
{
    memset(out, 0, (size_t)bins * sizeof *out);
    for (int bin = 0; bin < bins; bin++) {
        double forecast = 0, events = 0;
        for (int64_t j = 0; j <= c->k; j++) {
            double p = (double)j / (double)c->k;
            if (bin_of(p, bins) != bin)
                continue;
            out[bin].cells += c->cells[j];
            forecast += p * (double)c->cells[j];
            events += (double)c->events[j];
        }
        if (out[bin].cells < min_count)
            continue;
        out[bin].forecast = gen_ratio(forecast, (double)out[bin].cells);
        out[bin].observed = gen_ratio(events, (double)out[bin].cells);
    }
}

/* Hit rate and false-alarm rate of forecasting the event where `least` members or more have it. */
static gen_roc_point rates(int64_t least, const gen_probability_counts *c)
{
    double hits = total(c->events, least, c->k), yes = total(c->cells, least, c->k);
    double events = total(c->events, 0, c->k), cells = total(c->cells, 0, c->k);
    return (gen_roc_point){ .pod = gen_ratio(hits, events),
                            .fa = gen_ratio(yes - hits, cells - events) };
}

void gen_roc(gen_roc_point *out, int points, gen_number *area, const gen_probability_counts *c)
{
    *area = (gen_number){ 0, false };
    for (int i = 0; i < points; i++) {
        double p = i == points - 1 && i > 0 ? 1 : i * (1.0 / (points > 1 ? points - 1 : 1));
        int64_t least = 0;
        while (least <= c->k && (double)least / (double)c->k < p)
            least++;
        out[i] = rates(least, c);
        out[i].probability = p;
        if (!out[i].pod.known || !out[i].fa.known)
            continue;
        /* The curve starts at (1,1); each point adds the trapezoid from the one before. */
        double last_fa = i ? out[i - 1].fa.value : 1, last_pod = i ? out[i - 1].pod.value : 1;
        area->value += (last_fa - out[i].fa.value) * (last_pod + out[i].pod.value) / 2;
        area->known = true;
    }
    if (area->known)
        area->value += out[points - 1].fa.value * out[points - 1].pod.value / 2;
}

gen_number gen_economic_value(double ratio, const gen_probability_counts *c)
{
    gen_number best = { 0, false };
    double cells = total(c->cells, 0, c->k), events = total(c->events, 0, c->k);
    if (events == 0 || events == cells)
        return best;
    /* Expenses per loss: of who knows only the climate, of who knows all, of who follows us. */
    double s = events / cells, climate = ratio < s ? ratio : s, perfect = s * ratio;
    double yes = 0, hits = 0;
    for (int64_t least = c->k; least >= 0; least--) {
        yes += (double)c->cells[least];
        hits += (double)c->events[least];
        double pod = hits / events, fa = (yes - hits) / (cells - events);
        double ours = fa * (1 - s) * ratio + pod * s * ratio + (1 - pod) * s;
        gen_number v = gen_ratio(climate - ours, climate - perfect);
        if (v.known && (!best.known || v.value > best.value))
            best = v;
    }
    return best;
}
