/* SPDX-License-Identifier: Apache-2.0
 *
 * PNG pictures, and tables of what colours stand for, of any bytes: an error or what was asked for,
 * never a crash.
 */
#include <string.h>

#include "media/png.h"
#include "tests/fuzz/radar_frames.h"
#include "weather/codec/picture_table.h"

static void fuzz_png(const uint8_t *data, size_t size)
{
    gen_png p;
    uint64_t sum = 0;
    if (gen_png_read(&p, data, size, "fuzz") != GEN_OK)
        return;
    size_t n = (size_t)p.width * (size_t)p.height * (p.indexed ? 1 : 4);
    for (size_t i = 0; i < n; i++)
        sum += p.pixels[i];
    if (sum > 255 * (uint64_t)n)
        abort();
    gen_free(p.pixels);
}

static void fuzz_table(const uint8_t *data, size_t size)
{
    gen_picture_table t;
    char *text = malloc(size + 1);
    if (!text)
        abort();
    memcpy(text, data, size);
    text[size] = 0;
    if (gen_picture_table_parse(&t, text, "fuzz") == GEN_OK)
        for (int i = 0; i < 256; i++)
            if (gen_picture_table_entry(&t, i, (uint32_t)i * 65793) > 1e9f)
                abort();
    gen_picture_table_free(&t);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (gen_radar_png.recognises(data, size))
        fuzz_png(data, size);
    else
        fuzz_table(data, size);
    if (gen_alloc_bytes() != 0)
        abort();
    return 0;
}
