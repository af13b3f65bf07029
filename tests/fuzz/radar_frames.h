/* SPDX-License-Identifier: Apache-2.0
 *
 * For fuzz targets of radar readers: bytes as a file of one format. What is taken must be a grid
 * that holds together; small frames are read.
 */
#ifndef TESTS_FUZZ_RADAR_FRAMES_H
#define TESTS_FUZZ_RADAR_FRAMES_H

#include <math.h>
#include <stdlib.h>

#include "libgen/base/alloc.h"
#include "weather/codec/codec.h"

/* Reads the first frames of an open file, and closes it. */
static inline void fuzz_frames(gen_radar_file *f)
{
    enum { MOST_CELLS = 1 << 18 };
    float *values = NULL;
    int64_t h = f->grid.height, w = f->grid.width;
    if (f->frames < 1 || h < 1 || w < 1 || !f->time)
        abort();
    for (int64_t i = 0; i < h; i++)
        if (!isfinite(f->grid.y[i]) || (i && f->grid.y[i] >= f->grid.y[i - 1]))
            abort();
    for (int64_t i = 0; i < w; i++)
        if (!isfinite(f->grid.x[i]) || (i && f->grid.x[i] <= f->grid.x[i - 1]))
            abort();
    if (h * w <= MOST_CELLS && GEN_ALLOC(&values, h * w, "values") == GEN_OK)
        for (int64_t i = 0; i < f->frames && i < 3; i++)
            (void)gen_radar_file_read(f, i, values);
    gen_free(values);
    gen_radar_file_close(&f);
    if (gen_alloc_bytes() != 0)
        abort();
}

static inline void fuzz_radar(const gen_radar_format *format, const uint8_t *data, size_t size)
{
    static const gen_radar_read_options options;
    gen_radar_file *f = NULL;
    if (gen_radar_file_open_bytes(&f, "fuzz", format, data, size, &options) == GEN_OK)
        fuzz_frames(f);
}

#endif
