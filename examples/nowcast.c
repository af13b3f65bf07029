/* SPDX-License-Identifier: Apache-2.0
 *
 * A nowcast with <libgen/weather.h>: reads radar frames, extrapolates them along the motion of the
 * rain, and prints the mean rain rate of each forecast frame.
 *
 *     cc nowcast.c $(pkg-config --cflags --libs libgen-weather) -o nowcast
 *     ./nowcast radar.nc
 */
#include <math.h>
#include <stdio.h>

#include <libgen/weather.h>

/* Called once for each member of the ensemble; advection has one. */
static gen_status print_member(void *cookie, int64_t member, const float *rain)
{
    const gen_radar_sequence *s = cookie;
    int64_t cells = s->grid.height * s->grid.width;
    for (int step = 0; step < 6; step++) {
        double sum = 0, n = 0;
        for (int64_t i = 0; i < cells; i++) {
            float r = rain[step * cells + i]; /* [lead_steps,height,width] mm/h, NaN = missing */
            if (!isnan(r)) {
                sum += r;
                n++;
            }
        }
        printf("member %d, +%d min: %.3f mm/h\n", (int)member, (int)(s->step * (step + 1) / 60),
               n > 0 ? sum / n : 0.0);
    }
    return GEN_OK;
}

int main(int argc, char **argv)
{
    gen_radar_sequence *s = NULL;
    gen_nowcast_options options = { .method = GEN_NOWCAST_ADVECTION, .lead_steps = 6 };
    gen_status status = gen_radar_read(&s, (const char *const *)argv + 1, argc - 1, NULL);
    if (status == GEN_OK)
        status = gen_nowcast(s, &options, print_member, s);
    if (status != GEN_OK)
        fprintf(stderr, "nowcast: %s\n", gen_last_error());
    gen_radar_free(&s);
    return status == GEN_OK ? 0 : 1;
}
