/* SPDX-License-Identifier: Apache-2.0
 *
 * How long one radar file takes: reads it N times in this process by gen_radar_read and prints the
 * best time in milliseconds. tests/bench/readers.py sets it beside pysteps.
 *
 *     build/tests/bench/read_radar N FILE [interval in s | native]
 *
 * native: by gen_radar_inspect, what is no rain or has gaps, without conversion to mm/h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libgen/weather.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* Milliseconds of one read, or below 0. */
static double read_once(const char *path, const char *how)
{
    gen_radar_sequence *s = NULL;
    gen_radar_contents *c = NULL;
    bool native = how && strcmp(how, "native") == 0;
    gen_radar_read_options o = { .interval = how && !native ? atof(how) : 0 };
    double start = now();
    gen_status status = native ? gen_radar_inspect(&c, path, &o) : gen_radar_read(&s, &path, 1, &o);
    double taken = now() - start;
    gen_radar_contents_free(&c);
    gen_radar_free(&s);
    return status == GEN_OK ? taken : -1;
}

int main(int argc, char **argv)
{
    double best = 1e9;
    if (argc < 3) {
        fprintf(stderr, "usage: read_radar N FILE [interval in s | native]\n");
        return 2;
    }
    for (int i = 0; i < atoi(argv[1]); i++) {
        double taken = read_once(argv[2], argc > 3 ? argv[3] : NULL);
        if (taken < 0) {
            fprintf(stderr, "%s\n", gen_last_error());
            return 1;
        }
        best = taken < best ? taken : best;
    }
    printf("%.3f\n", best);
    return 0;
}
