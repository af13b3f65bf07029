/* SPDX-License-Identifier: Apache-2.0 */
#include "weather/dgmr_run.h"

#include "libgen/base/fail.h"

gen_status gen_dgmr_nowcast(const float *frames, int64_t height, int64_t width,
                            const gen_nowcast_options *options, gen_nowcast_sink *sink,
                            void *cookie)
{
    (void)frames, (void)height, (void)width, (void)options, (void)sink, (void)cookie;
    return gen_fail(GEN_EUNSUPPORTED, "nowcast: method dgmr is not in this build, use advection");
}
