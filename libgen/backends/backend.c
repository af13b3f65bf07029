/* SPDX-License-Identifier: Apache-2.0 */
#include "libgen/backends/backend.h"

#include <string.h>

#include "libgen/backends/cpu/cpu.h"
#include "libgen/backends/cuda_library.h"

/* The first GPU, or the processor where there is none that can be used. */
static gen_status open_any(gen_backend **out, int threads)
{
    gen_status s = gen_cuda_library_open(out, "cuda", threads);
    if (s == GEN_OK)
        gen_log(GEN_LOG_INFO, "device auto: on %s, %s", (*out)->name, (*out)->text);
    if (s != GEN_EDEVICE)
        return s;
    gen_log(GEN_LOG_INFO, "device auto: on the CPU; %s", gen_last_error());
    return gen_cpu_open(out, threads);
}

gen_status gen_backend_open(gen_backend **out, const char *device, int threads)
{
    *out = NULL;
    if (!device || strcmp(device, "cpu") == 0)
        return gen_cpu_open(out, threads);
    if (strcmp(device, "auto") == 0)
        return open_any(out, threads);
    if (strncmp(device, "cuda", 4) == 0 && (device[4] == 0 || device[4] == ':'))
        return gen_cuda_library_open(out, device, threads);
    return gen_fail(GEN_EINVAL, "device '%s': " GEN_DEVICES_EXPECTED, device);
}

void gen_backend_close(gen_backend **b)
{
    if (*b)
        (*b)->close(*b);
    *b = NULL;
}

bool gen_kernel_serves(const gen_kernel *k, const gen_op *op)
{
    if (op->flags & (GEN_OP_SOURCE | GEN_OP_VIEW))
        return false;
    return k->op ? k->op == op : !k->serves || k->serves(op);
}

const gen_kernel *gen_backend_choose_after(const gen_backend *b, const gen_node *n,
                                           const bool *is_const, const gen_kernel *after)
{
    bool behind = !after;
    for (const gen_kernel *const *k = b->kernels; *k; k++) {
        if (!behind || !gen_kernel_serves(*k, n->op)) {
            behind |= *k == after;
            continue;
        }
        if (b->fast_math_off && strncmp((*k)->name, "reference", 9) != 0)
            continue;
        if (!(*k)->accepts || (*k)->accepts(n, b, is_const))
            return *k;
    }
    return NULL;
}

const gen_kernel *gen_backend_choose(const gen_backend *b, const gen_node *n, const bool *is_const)
{
    return gen_backend_choose_after(b, n, is_const, NULL);
}
