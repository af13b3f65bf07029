/* SPDX-License-Identifier: Apache-2.0
 *
 * PNG by libpng, which, unlike Cairo's writer, can say in the file how it was made.
 */
#include "media/png.h"

#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "libgen/base/file.h"

#define DEFLATE_MOST 1040 /* bytes that one packed byte can become */

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

/* ---- reading --------------------------------------------------------------------------------- */

struct reading {
    const uint8_t *bytes;
    uint64_t left;
    png_bytep *row; /* [height] where each row goes */
};

static void more(png_structp png, png_bytep out, size_t n)
{
    struct reading *r = png_get_io_ptr(png);
    if (n > r->left)
        png_error(png, "cut");
    memcpy(out, r->bytes, n);
    r->bytes += n;
    r->left -= n;
}

/* Up to the pixels; libpng jumps out of it. */
static void read_head(png_structp png, png_infop head, gen_png *out, struct reading *r)
{
    png_set_read_fn(png, r, more);
    png_read_info(png, head);
    int type = png_get_color_type(png, head);
    out->width = (int)png_get_image_width(png, head); /* libpng keeps both below 10^6 */
    out->height = (int)png_get_image_height(png, head);
    out->indexed = type == PNG_COLOR_TYPE_PALETTE;
    if (out->indexed) {
        png_set_packing(png);
    } else {
        png_set_strip_16(png);
        png_set_expand(png);
        png_set_gray_to_rgb(png);
        png_set_add_alpha(png, 0xff, PNG_FILLER_AFTER);
    }
    png_set_interlace_handling(png);
    png_read_update_info(png, head);
}

static void take_palette(png_structp png, png_infop head, gen_png *out)
{
    png_colorp colour = NULL;
    png_bytep alpha = NULL;
    int n = 0, n_alpha = 0;
    png_get_PLTE(png, head, &colour, &n);
    png_get_tRNS(png, head, &alpha, &n_alpha, NULL);
    for (int i = 0; i < n && i < 256; i++) {
        const uint8_t entry[4] = { colour[i].red, colour[i].green, colour[i].blue,
                                   alpha && i < n_alpha ? alpha[i] : 255 };
        memcpy(out->palette[i], entry, 4);
    }
}

/* Memory for the pixels, when the bytes can hold so many. */
static gen_status make_room(gen_png *out, struct reading *r, uint64_t size, const char *path)
{
    uint64_t line = (uint64_t)out->width * (out->indexed ? 1 : 4);
    uint64_t bytes = line * (uint64_t)out->height;
    if (bytes / 32 / DEFLATE_MOST > size) /* a bit a pixel may become 4 bytes */
        return gen_fail(GEN_EDATA, "'%s' is cut: %d x %d pixels are not in %llu bytes", path,
                        out->width, out->height, (unsigned long long)size);
    GEN_TRY(gen_alloc((void **)&out->pixels, bytes, 1, "a picture"));
    GEN_TRY(GEN_ALLOC(&r->row, out->height, "rows of a picture"));
    for (int y = 0; y < out->height; y++)
        r->row[y] = out->pixels + line * (uint64_t)y;
    return GEN_OK;
}

/* The only function that libpng jumps back to when it reads. */
static gen_status decode(png_structp png, png_infop head, jmp_buf *back, gen_png *out,
                         struct reading *r, uint64_t size, const char *path)
{
    if (setjmp(*back) != 0)
        return gen_fail(GEN_EDATA, "'%s' is damaged or cut", path);
    read_head(png, head, out, r);
    GEN_TRY(make_room(out, r, size, path));
    png_read_image(png, r->row);
    png_read_end(png, NULL);
    return GEN_OK;
}

gen_status gen_png_read(gen_png *out, const uint8_t *bytes, uint64_t size, const char *path)
{
    jmp_buf back;
    struct reading r = { .bytes = bytes, .left = size };
    png_infop head = NULL;
    gen_status status = GEN_ENOMEM;
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &back, failed, warned);
    memset(out, 0, sizeof *out);
    if (png)
        head = png_create_info_struct(png);
    status = head ? decode(png, head, &back, out, &r, size, path)
                  : gen_fail(GEN_ENOMEM, "'%s': out of memory", path);
    if (status == GEN_OK && out->indexed)
        take_palette(png, head, out);
    png_destroy_read_struct(&png, &head, NULL);
    gen_free(r.row);
    if (status != GEN_OK) {
        gen_free(out->pixels);
        out->pixels = NULL;
    }
    return status;
}
