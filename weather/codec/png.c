/* SPDX-License-Identifier: Apache-2.0
 *
 * Reader of PNG pictures whose colours stand for rain, with a table of what they stand for
 * (`palette`; see picture_table.h). The picture says no time: the file's name must (`pattern`).
 */
#include <string.h>

#include "libgen/base/alloc.h"
#include "media/png.h"
#include "weather/codec/picture_table.h"

static bool recognises(const unsigned char *head, size_t n)
{
    return n >= 8 && memcmp(head, "\x89PNG\r\n\x1a\n", 8) == 0;
}

static uint32_t colour_of(const uint8_t *rgba)
{
    return (uint32_t)rgba[0] << 16 | (uint32_t)rgba[1] << 8 | rgba[2];
}

/* Of each palette entry, or of each pixel with a colour of its own. */
static void values_of(const gen_png *p, const gen_picture_table *t, float *out)
{
    float entry[256];
    uint32_t last = 0;
    float value = gen_picture_table_colour(t, 0);
    size_t n = (size_t)p->width * (size_t)p->height;
    for (int i = 0; i < 256 && p->indexed; i++)
        entry[i] = p->palette[i][3] ? gen_picture_table_entry(t, i, colour_of(p->palette[i])) : NAN;
    for (size_t i = 0; i < n && p->indexed; i++)
        out[i] = entry[p->pixels[i]];
    for (size_t i = 0; i < n && !p->indexed; i++) {
        const uint8_t *rgba = p->pixels + 4 * i;
        if (colour_of(rgba) != last) {
            last = colour_of(rgba);
            value = gen_picture_table_colour(t, last);
        }
        out[i] = rgba[3] ? value : NAN;
    }
}

static gen_status take(gen_radar_file *f, const gen_png *p)
{
    gen_picture_table t;
    gen_status status;
    float *values;
    uint64_t cells = (uint64_t)p->width * (uint64_t)p->height;
    GEN_TRY(gen_raster_size(f, p->height, p->width, 1, cells));
    GEN_GOTO(gen_picture_table_read(&t, f->options->palette));
    GEN_GOTO(gen_alloc_raw((void **)&values, cells, sizeof *values, "a picture"));
    f->state = values;
    values_of(p, &t, values);
    status = gen_picture_table_describe(f, &t);
done:
    gen_picture_table_free(&t);
    return status;
}

static gen_status png_open(gen_radar_file *f)
{
    gen_png p = { 0 };
    if (!f->options->palette)
        return gen_fail(GEN_EDATA,
                        "'%s' is a picture that does not say what its colours stand for: give a "
                        "table (--palette)",
                        f->path);
    GEN_TRY(gen_png_read(&p, f->bytes, f->size, f->path));
    gen_status status = take(f, &p);
    gen_free(p.pixels);
    GEN_TRY(status);
    f->frames = 1;
    GEN_TRY(GEN_ALLOC(&f->time, 1, "time"));
    f->time[0] = GEN_TIME_UNKNOWN;
    return GEN_OK;
}

static gen_status png_read(gen_radar_file *f, int64_t frame, float *values)
{
    (void)frame;
    memcpy(values, f->state, (size_t)(f->grid.height * f->grid.width) * sizeof *values);
    return GEN_OK;
}

static void png_close(gen_radar_file *f)
{
    gen_free(f->state);
    f->state = NULL;
}

const gen_radar_format gen_radar_png = { .name = "PNG",
                                         .recognises = recognises,
                                         .open = png_open,
                                         .read = png_read,
                                         .close = png_close,
                                         .in_memory = true };
