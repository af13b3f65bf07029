/* SPDX-License-Identifier: Apache-2.0
 *
 * PNG by libpng, which, unlike Cairo's writer, can say in the file how it was made.
 */
#include "media/png.h"

#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <stdio.h>

#include "libgen/base/file.h"

static void failed(png_structp png, png_const_charp message)
{
    (void)message;
    longjmp(*(jmp_buf *)png_get_error_ptr(png), 1);
}

static void warned(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static png_text text(const char *key, const char *value)
{
    return (png_text){ .compression = PNG_ITXT_COMPRESSION_NONE,
                       .key = (char *)(uintptr_t)key,
                       .text = (char *)(uintptr_t)value };
}

static void write_all(png_structp png, png_infop head, const uint8_t *rgb, const int size[2],
                      const gen_media_info *info)
{
    char software[64];
    snprintf(software, sizeof software, "libgen %s", gen_version());
    png_text texts[3] = { text("Software", software) };
    int n = 1;
    if (info && info->title)
        texts[n++] = text("Title", info->title);
    if (info && info->made)
        texts[n++] = text("Source", info->made);
    png_set_IHDR(png, head, (png_uint_32)size[0], (png_uint_32)size[1], 8, PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_text(png, head, texts, n);
    png_set_compression_level(png, 6);
    png_write_info(png, head);
    for (int y = 0; y < size[1]; y++)
        png_write_row(png, rgb + (size_t)y * 3 * (size_t)size[0]);
    png_write_end(png, head);
}

/* The only function that libpng jumps back to: what it owns is its caller's. */
static gen_status encode(const gen_output *output, const uint8_t *rgb, const int size[2],
                         const gen_media_info *info)
{
    jmp_buf back;
    png_infop head = NULL;
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &back, failed, warned);
    if (png)
        head = png_create_info_struct(png);
    if (!head) {
        png_destroy_write_struct(&png, NULL);
        return gen_fail(GEN_ENOMEM, "%s: out of memory", output->path);
    }
    png_structp volatile png_kept = png;
    png_infop volatile head_kept = head;
    volatile int code = 0;
    if (setjmp(back) == 0) {
        png_init_io(png, output->file);
        errno = 0;
        write_all(png, head, rgb, size, info);
    } else
        code = ferror(output->file) && errno ? errno : EIO;
    png = png_kept;
    head = head_kept;
    png_destroy_write_struct(&png, &head);
    return code ? gen_output_error(output->path, code) : GEN_OK;
}

gen_status gen_png_write(const char *path, const uint8_t *rgb, int width, int height,
                         const gen_media_info *info)
{
    gen_status status;
    gen_output output = { 0 };
    int size[2] = { width, height };
    if (width < 1 || height < 1)
        return gen_fail(GEN_EINVAL, "%s: a picture of %d x %d pixels, expected 1 x 1 or more", path,
                        width, height);
    GEN_GOTO(gen_output_open(&output, path, info && info->force, false));
    GEN_GOTO(encode(&output, rgb, size, info));
    GEN_GOTO(gen_output_commit(&output));
done:
    gen_output_abort(&output);
    return status;
}
