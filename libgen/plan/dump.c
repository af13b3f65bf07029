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

/* On a device a step is queued several times before it is waited for, which would else be most of
 * what is timed. Writing in place, it sees what it made; times do not depend on values. */
static gen_status time_steps(struct gen_plan *p, int runs)
{
    int often = p->backend->far ? 16 : 1;
    for (int r = 0; r < runs; r++)
        for (int s = 0; s < p->n_steps; s++) {
            double t = now();
            for (int i = 0; i < often; i++)
                GEN_TRY(gen_plan_run_step(p, s));
            GEN_TRY(gen_far_wait(p->backend->far));
            t = (now() - t) / often;
            if (r == 0 || t < p->step[s].seconds)
                p->step[s].seconds = t;
        }
    return GEN_OK;
}

/* Why a step is below 85 % of the peak; "" when it is not. */
static const char *reason(const struct gen_step *step, gen_cost c, const gen_peak *peak,
                          double flops_peak)
{
    if (c.flops >= 0.85 * flops_peak * step->seconds)
        return c.flops > flops_peak * step->seconds ? "fewer products" : "";
    if (step->node->op != &gen_op_conv && step->node->op != &gen_op_matmul)
        return "";
    if (!strcmp(step->kernel->name, "reference"))
        return "reference loops";
    if (c.bytes / peak->bytes > 0.6 * step->seconds)
        return "memory";
    if (step->seconds < 300e-6)
        return "small";
    const gen_node *x = step->node->in[0];
    int64_t in = x->shape[0].dim[x->shape[0].rank - 1];
    if (in % 16 || step->node->shape[0].dim[step->node->shape[0].rank - 1] % 16)
        return "channels are no multiple of 16";
    if (step->node->op == &gen_op_conv &&
        gen_shape_count(step->node->in[1]->shape[0]) == in * step->node->in[1]->shape[0].dim[0])
        return "1x1: a product for each load";
    if (x->shape[0].dim[0] == 1)
        return "one image, cut for threads";
    return c.bytes / peak->bytes > 0.1 * step->seconds ? "memory, partly" : "unexplained";
}

static void print_times(const struct gen_step *step, const gen_peak *peak, FILE *out)
{
    gen_cost c = gen_node_cost(step->node);
    double most = step->node->dtype[0] == GEN_BF16 ? peak->bf16 : peak->f32;
    double t = step->seconds > 0 ? step->seconds : 1e-9;
    if (most <= 0) {
        fprintf(out, " %9.1f us %7.1f GFLOP/s %6.1f GB/s", t * 1e6, c.flops / t * 1e-9,
                c.bytes / t * 1e-9);
        return;
    }
    fprintf(out, " %9.1f us %7.1f GFLOP/s %4.0f %% %6.1f GB/s %-14s", t * 1e6, c.flops / t * 1e-9,
            100 * c.flops / t / most, c.bytes / t * 1e-9,
            step->kernel ? reason(step, c, peak, most) : "");
}

/* A concat without kernel copies what could not be computed in place. */
static void print_cost(const struct gen_step *step, FILE *out)
{
    gen_cost c = gen_node_cost(step->node);
    int launches = step->kernel ? 1 + step->more.launches : step->n_copies;
    fprintf(out, " %8.2f + %.2f MB %9.4f GFLOP %2d launches",
            step->kernel || step->n_copies ? c.bytes / 1e6 : 0, step->more.bytes / 1e6,
            step->kernel ? c.flops / 1e9 : 0, launches);
}

gen_status gen_plan_dump(gen_plan *p, int runs, FILE *out)
{
    char text[1024];
    double total = 0;
    gen_peak peak = { 0 };
    if (runs > 0 && !p->slab)
        return gen_fail(GEN_EINVAL, "the plan was made to estimate only: it cannot be timed");
    if (runs > 0 && p->backend->peak)
        GEN_TRY(p->backend->peak(p->backend, &peak));
    GEN_TRY(time_steps(p, runs));
    for (int s = 0; s < p->n_steps; s++)
        total += p->step[s].seconds;
    fprintf(out,
            "# %d steps (%d of them once per slow input, %d to keep less), slab %.1f MB, "
            "packed %.1f MB\n",
            p->n_steps, p->n_slow, p->n_again, (double)p->slab_bytes / 1e6,
            (double)gen_plan_describe(p).packed_bytes / 1e6);
    if (runs > 0)
        fprintf(out, "# best of %d runs, %.2f ms%s\n", runs, total * 1e3,
                p->backend->far ? ", the sum of steps queued one by one: one replay has no gaps"
                                : "");
    if (runs > 0 && peak.f32 > 0)
        fprintf(
            out,
            "# peak %.0f GFLOP/s f32, %.0f bf16, copies %.0f GB/s\n"
            "# GFLOP/s count the multiplications of the definition: above 100 %% of the peak, the\n"
            "# kernel does fewer. The word after GB/s says why a convolution is below 85 %%.\n",
            peak.f32 * 1e-9, peak.bf16 * 1e-9, peak.bytes * 1e-9);
    for (int s = 0; s < p->n_steps; s++) {
        const struct gen_step *step = &p->step[s];
        const char *copies = step->n_copies ? "copy" : "-";
        fprintf(out, "%4d %-18s", s, step->kernel ? step->kernel->name : copies);
        if (runs > 0)
            print_times(step, &peak, out);
        else
            print_cost(step, out);
        fprintf(out, " %s\n", gen_node_text(step->node, text, sizeof text));
    }
    return ferror(out) ? gen_fail(GEN_EIO, "plan dump: writing failed") : GEN_OK;
}
