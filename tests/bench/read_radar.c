/* SPDX-License-Identifier: Apache-2.0
 *
 * How long one radar file takes: reads it N times in this process by gen_radar_read and prints the
 * best time in milliseconds. tests/bench/readers.py sets it beside pysteps.
 *
 *     build/tests/bench/read_radar N FILE [interval in s]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <libgen/weather.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

int main(int argc, char **argv)
{
    double best = 1e9;
    if (argc < 3) {
        fprintf(stderr, "usage: read_radar N FILE [interval in s]\n");
        return 2;
    }
    const char *path = argv[2];
    gen_radar_read_options o = { .interval = argc > 3 ? atof(argv[3]) : 0 };
    for (int i = 0; i < atoi(argv[1]); i++) {
        gen_radar_sequence *s = NULL;
        double start = now();
        if (gen_radar_read(&s, &path, 1, &o) != GEN_OK) {
            fprintf(stderr, "%s\n", gen_last_error());
            return 1;
        }
        double taken = now() - start;
        best = taken < best ? taken : best;
        gen_radar_free(&s);
    }
    printf("%.3f\n", best);
    return 0;
}
