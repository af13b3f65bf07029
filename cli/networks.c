/* SPDX-License-Identifier: Apache-2.0
 *
 * Every network that the program knows: the rooms' gen_arch tables, registered before any verb
 * runs. A new network adds its line here.
 */
#include "cli/networks.h"

#ifdef GEN_WITH_WEATHER
#include "weather/dgmr.h"
#include "weather/dgmr_discriminator.h"
#endif

gen_status gen_networks_register(void)
{
#ifdef GEN_WITH_WEATHER
    GEN_TRY(gen_arch_register(&gen_dgmr_arch));
    GEN_TRY(gen_arch_register(&gen_dgmr_ocf_arch));
    GEN_TRY(gen_arch_register(&gen_dgmr_d_arch));
    GEN_TRY(gen_arch_register(&gen_dgmr_ocf_d_arch));
#endif
    return GEN_OK;
}

gen_status gen_network_named(const char *name, const gen_arch **out)
{
    const char *names[64];
    int n = 0;
    *out = gen_arch_find(name);
    if (*out)
        return GEN_OK;
    for (; n < gen_arch_count() && n < GEN_LEN(names); n++)
        names[n] = gen_arch_at(n)->name;
    const char *near = gen_nearest_word(name, names, n);
    if (near)
        return gen_fail(GEN_EINVAL, "unknown network '%s'; did you mean '%s'?", name, near);
    char known[256] = "none";
    for (int i = 0, at = 0; i < n && at < (int)sizeof known; i++)
        at += snprintf(known + at, sizeof known - (size_t)at, "%s%s", i ? ", " : "", names[i]);
    return gen_fail(GEN_EINVAL, "unknown network '%s' (known: %s)", name, known);
}
