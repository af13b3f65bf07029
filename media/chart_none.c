/* SPDX-License-Identifier: Apache-2.0
 *
 * Charts in a build without codecs (no Cairo): a sentence.
 */
#include "media/chart.h"

gen_status gen_charts_write(const char *path, const gen_chart *charts, int n, int columns,
                            const char *heading, const gen_media_info *info)
{
    (void)charts, (void)n, (void)columns, (void)heading, (void)info;
    return gen_fail(GEN_EUNSUPPORTED, "'%s': charts need Cairo, and this build has none", path);
}
