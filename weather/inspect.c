/* SPDX-License-Identifier: Apache-2.0
 *
 * One radar file as it is: its own numbers, before they become mm/h.
 */
#include <string.h>

#include "libgen/base/alloc.h"
#include "weather/codec/codec.h"

#define MAX_BYTES ((uint64_t)8 << 30)

static gen_status read_all(gen_radar_contents *c, gen_radar_file *f)
{
    uint64_t cells = (uint64_t)(f->grid.height * f->grid.width), bytes;
    uint64_t limit = f->options->max_bytes ? f->options->max_bytes : MAX_BYTES;
    if (__builtin_mul_overflow((uint64_t)f->frames, cells * sizeof(float), &bytes) || bytes > limit)
        return gen_fail(
            GEN_ENOMEM, "'%s': %lld frames of %lld x %lld cells take %.1f GB, the limit is %.1f GB",
            f->path, (long long)f->frames, (long long)f->grid.height, (long long)f->grid.width,
            (double)f->frames * (double)cells * 4e-9, (double)limit * 1e-9);
    GEN_TRY(gen_alloc_raw((void **)&c->values, (uint64_t)f->frames * cells, sizeof(float),
                          "radar frames"));
    for (int64_t i = 0; i < f->frames; i++)
        GEN_TRY(gen_radar_file_read(f, i, c->values + i * (int64_t)cells));
    return GEN_OK;
}

/* Takes over what open found. */
static void move(gen_radar_contents *c, gen_radar_file *f)
{
    c->name = f->name;
    c->units = f->units;
    c->time = f->time;
    c->grid = f->grid;
    f->name = f->units = NULL;
    f->time = NULL;
    f->grid = (gen_radar_grid){ 0 };
}

gen_status gen_radar_inspect(gen_radar_contents **out, const char *path,
                             const gen_radar_read_options *options)
{
    gen_status status;
    const gen_radar_read_options none = { 0 }, *o = options ? options : &none;
    gen_radar_file *f = NULL;
    gen_radar_contents *c = NULL;
    *out = NULL;
    GEN_GOTO(gen_radar_file_open(&f, path, o));
    GEN_GOTO(GEN_ALLOC(&c, 1, "radar contents"));
    GEN_GOTO(gen_strdup(&c->format, gen_radar_file_format_name(f)));
    c->quantity = f->quantity;
    c->interval = f->interval;
    c->zr_a = f->zr_a;
    c->zr_b = f->zr_b;
    c->frames = f->frames;
    GEN_GOTO(read_all(c, f));
    move(c, f);
    *out = c;
    c = NULL;
done:
    gen_radar_contents_free(&c);
    gen_radar_file_close(&f);
    return status;
}

void gen_radar_contents_free(gen_radar_contents **contents)
{
    gen_radar_contents *c = *contents;
    *contents = NULL;
    if (!c)
        return;
    gen_radar_grid_clear(&c->grid);
    gen_free(c->format);
    gen_free(c->name);
    gen_free(c->units);
    gen_free(c->time);
    gen_free(c->values);
    gen_free(c);
}
