/* SPDX-License-Identifier: Apache-2.0
 *
 * A plan in words: one line a step.
 */
#include <string.h>
#include <time.h>

#include "libgen/plan/plan.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static gen_status time_steps(struct gen_plan *p, int runs)
{
    for (int r = 0; r < runs; r++)
        for (int s = 0; s < p->n_steps; s++) {
            double t = now();
            GEN_TRY(gen_plan_run_step(p, s));
            t = now() - t;
            if (r == 0 || t < p->step[s].seconds)
                p->step[s].seconds = t;
        }
    return GEN_OK;
}

gen_status gen_plan_dump(gen_plan *p, int runs, FILE *out)
{
    char text[1024];
    double total = 0, peak = 0;
    if (runs > 0 && !p->slab)
        return gen_fail(GEN_EINVAL, "the plan was made to estimate only: it cannot be timed");
    GEN_TRY(time_steps(p, runs));
    for (int s = 0; s < p->n_steps; s++) {
        const struct gen_step *step = &p->step[s];
        total += step->seconds;
        gen_cost c = gen_node_cost(step->node);
        if (step->seconds > 0 && c.flops / step->seconds > peak)
            peak = c.flops / step->seconds;
    }
    fprintf(out, "# %d steps (%d of them once per slow input), slab %.1f MB, packed %.1f MB\n",
            p->n_steps, p->n_slow, (double)p->slab_bytes / 1e6,
            (double)gen_plan_describe(p).packed_bytes / 1e6);
    if (runs > 0)
        fprintf(out, "# best of %d runs, %.2f ms; GFLOP/s count multiplications done directly\n",
                runs, total * 1e3);
    for (int s = 0; s < p->n_steps; s++) {
        const struct gen_step *step = &p->step[s];
        gen_cost c = gen_node_cost(step->node);
        fprintf(out, "%4d %-18s", s, step->kernel ? step->kernel->name : step->n_copies ? "copy"
                                                                                        : "-");
        if (runs > 0)
            fprintf(out, " %9.1f us %7.1f GFLOP/s %6.1f GB/s", step->seconds * 1e6,
                    step->seconds > 0 ? c.flops / step->seconds * 1e-9 : 0,
                    step->seconds > 0 ? c.bytes / step->seconds * 1e-9 : 0);
        else
            fprintf(out, " %8.2f MB", c.bytes / 1e6);
        fprintf(out, " %s\n", gen_node_text(step->node, text, sizeof text));
    }
    return ferror(out) ? gen_fail(GEN_EIO, "plan dump: writing failed") : GEN_OK;
}
