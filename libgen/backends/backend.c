/* SPDX-License-Identifier: Apache-2.0 */
#include "libgen/backends/backend.h"

#include <string.h>

#include "libgen/backends/cpu/cpu.h"
#include "libgen/backends/cuda_library.h"

gen_status gen_backend_open(gen_backend **out, const char *device, int threads)
{
    *out = NULL;
    if (!device || strcmp(device, "cpu") == 0)
        return gen_cpu_open(out, threads);
    if (strncmp(device, "cuda", 4) == 0 && (device[4] == 0 || device[4] == ':'))
        return gen_cuda_library_open(out, device, threads);
    return gen_fail(GEN_EINVAL, "device '%s': expected cpu, cuda or cuda:NUMBER", device);
}

void gen_backend_close(gen_backend **b)
{
    if (*b)
        (*b)->close(*b);
    *b = NULL;
}

const gen_kernel *gen_backend_choose_after(const gen_backend *b, const gen_node *n,
                                           const bool *is_const, const gen_kernel *after)
{
    bool behind = !after;
    if (n->op->flags & (GEN_OP_SOURCE | GEN_OP_VIEW))
        return NULL;
    for (const gen_kernel *const *k = b->kernels; *k; k++) {
        if (!behind || ((*k)->op && (*k)->op != n->op)) {
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
