/* SPDX-License-Identifier: Apache-2.0
 *
 * The learning rate as a function of the step alone, so that a resumed run needs no state for it.
 */
#include <math.h>

#include <libgen/train.h>

#include "libgen/base/fail.h"

static bool finite_positive(double v)
{
    return isfinite(v) && v > 0;
}

gen_status gen_schedule_check(const gen_schedule *s)
{
    if (!finite_positive(s->rate))
        return gen_fail(GEN_EINVAL, "learning rate: found %g, expected a number above 0", s->rate);
    if (s->warmup < 0)
        return gen_fail(GEN_EINVAL, "warm-up: found %lld steps, expected 0 or more",
                        (long long)s->warmup);
    if (s->kind == GEN_SCHEDULE_COSINE && s->steps <= s->warmup)
        return gen_fail(GEN_EINVAL,
                        "cosine schedule: found %lld steps, expected more than the"
                        " %lld of the warm-up",
                        (long long)s->steps, (long long)s->warmup);
    if (s->kind == GEN_SCHEDULE_COSINE && !(s->last >= 0 && s->last <= s->rate))
        return gen_fail(GEN_EINVAL, "last learning rate: found %g, expected 0 to %g", s->last,
                        s->rate);
    if (s->kind != GEN_SCHEDULE_DROPS)
        return GEN_OK;
    if (s->n_drops < 0 || s->n_drops > GEN_MAX_DROPS)
        return gen_fail(GEN_EINVAL, "learning rate: found %d drops, expected at most %d",
                        s->n_drops, GEN_MAX_DROPS);
    if (s->factor != 0 && !finite_positive(s->factor))
        return gen_fail(GEN_EINVAL, "factor of drops: found %g, expected a number above 0",
                        s->factor);
    for (int i = 1; i < s->n_drops; i++)
        if (s->drops[i] <= s->drops[i - 1])
            return gen_fail(GEN_EINVAL, "drops of the learning rate: step %lld follows %lld",
                            (long long)s->drops[i], (long long)s->drops[i - 1]);
    return GEN_OK;
}

static double cosine(const gen_schedule *s, int64_t step)
{
    if (step >= s->steps)
        return s->last;
    double done = (double)(step - s->warmup) / (double)(s->steps - s->warmup);
    return s->last + 0.5 * (s->rate - s->last) * (1 + cos(3.14159265358979323846 * done));
}

static double drops(const gen_schedule *s, int64_t step)
{
    double rate = s->rate;
    for (int i = 0; i < s->n_drops && step >= s->drops[i]; i++)
        rate *= s->factor != 0 ? s->factor : 0.1;
    return rate;
}

double gen_schedule_rate(const gen_schedule *s, int64_t step)
{
    if (step < s->warmup)
        return s->rate * (double)(step + 1) / (double)s->warmup;
    if (s->kind == GEN_SCHEDULE_COSINE)
        return cosine(s, step);
    return s->kind == GEN_SCHEDULE_DROPS ? drops(s, step) : s->rate;
}
