/* SPDX-License-Identifier: Apache-2.0
 *
 * A build without oneDNN: its kernels are not in the list (cpu.c), so there is nothing to open.
 */
#include "libgen/backends/cpu/dnnl.h"

gen_status gen_dnnl_open(gen_dnnl **out, int threads, gen_isa isa)
{
    (void)threads, (void)isa;
    *out = NULL;
    return GEN_OK;
}

void gen_dnnl_close(gen_dnnl **d)
{
    (void)d;
}

void gen_dnnl_one_thread(void)
{
}
