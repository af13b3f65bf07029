/* SPDX-License-Identifier: Apache-2.0
 *
 * Films by FFmpeg: one stream, one encoder, frames in order.
 */
#include "media/film.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "libgen/base/alloc.h"
#include "libgen/base/file.h"
#include "media/ffmpeg.h"
#include "media/palette.h"

#define MAX_SIDE 16384

struct gen_film {
    const gen_ffmpeg *av;
    gen_output output;
    bool gif, begun;     /* begun: has a header and no trailer */
    int width, height;   /* of the frames that come */
    gen_palette palette; /* GIF */
    uint8_t *index;      /* GIF [height,width] */
    char *made;
    int64_t frames;
    gen_status failed; /* of a frame: the film is not to be committed */
    AVFormatContext *format;
    AVStream *stream;
    AVCodecContext *codec;
    AVFrame *frame, *rgb; /* for the encoder; MP4: before the conversion, sides even */
    AVPacket *packet;
    struct SwsContext *scaler;
};

/* A code of FFmpeg: those of the system are negative errno. */
static gen_status fail_av(const gen_film *f, int code)
{
    char text[128] = "unknown error";
    if (code == AVERROR(ENOMEM))
        return gen_fail(GEN_ENOMEM, "%s: out of memory", f->output.path);
    if (code > -4096 && code < 0)
        return gen_output_error(f->output.path, -code);
    f->av->av_strerror(code, text, sizeof text);
    return gen_fail(GEN_EIO, "%s: cannot write: %s", f->output.path, text);
}

#define TRY_AV(x)                                                                                  \
    do {                                                                                           \
        int code_ = (x);                                                                           \
        if (code_ < 0)                                                                             \
            return fail_av(f, code_);                                                              \
    } while (0)

static gen_status need(const gen_film *f, const void *p)
{
    return p ? GEN_OK : gen_fail(GEN_ENOMEM, "%s: out of memory", f->output.path);
}

/* ---- opening ------------------------------------------------------------------------------- */

static gen_status check(const char *path, const gen_film_options *o)
{
    if (!gen_film_named(path))
        return gen_fail(GEN_EINVAL, "%s: a film's name ends in .gif or .mp4", path);
    double most = strcmp(path + strlen(path) - 4, ".gif") == 0 ? 50 : 120;
    if (!(o->fps >= 0.01 && o->fps <= most))
        return gen_fail(GEN_EINVAL, "%s: %g frames a second, expected 0.01 to %g", path, o->fps,
                        most);
    if (o->width < 1 || o->height < 1 || o->width > MAX_SIDE || o->height > MAX_SIDE)
        return gen_fail(GEN_EINVAL, "%s: frames of %d x %d pixels, expected 1 to %d a side", path,
                        o->width, o->height, MAX_SIDE);
    return GEN_OK;
}

static void set_codec(const gen_film *f, const gen_film_options *o, AVCodecContext *c)
{
    AVRational rate = f->av->av_d2q(o->fps, 60000);
    c->width = f->gif ? f->width : (f->width + 1) / 2 * 2;
    c->height = f->gif ? f->height : (f->height + 1) / 2 * 2;
    c->time_base = (AVRational){ rate.den, rate.num };
    c->framerate = rate;
    c->thread_count = 1; /* the bytes do not depend on the machine */
    if (f->format->oformat->flags & AVFMT_GLOBALHEADER)
        c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    c->pix_fmt = f->gif ? AV_PIX_FMT_PAL8 : AV_PIX_FMT_YUV420P;
    if (f->gif)
        return;
    c->color_primaries = AVCOL_PRI_BT709;
    c->color_trc = AVCOL_TRC_BT709;
    c->colorspace = AVCOL_SPC_BT709;
    c->color_range = AVCOL_RANGE_MPEG;
    c->flags |= AV_CODEC_FLAG_QSCALE; /* for mpeg4: even quality, near the best */
    c->global_quality = 2 * FF_QP2LAMBDA;
    c->gop_size = 24;
}

/* GEN_EUNSUPPORTED when FFmpeg has no such encoder or it does not open. */
static gen_status open_encoder(gen_film *f, const gen_film_options *o, const char *name)
{
    const gen_ffmpeg *av = f->av;
    AVDictionary *settings = NULL;
    const AVCodec *codec = av->avcodec_find_encoder_by_name(name);
    if (codec) {
        f->codec = av->avcodec_alloc_context3(codec);
        GEN_TRY(need(f, f->codec));
        set_codec(f, o, f->codec);
        if (strcmp(name, "libx264") == 0) {
            f->codec->flags &= ~AV_CODEC_FLAG_QSCALE;
            f->codec->global_quality = 0;
            av->av_dict_set(&settings, "crf", "18", 0);
            /* x264's AVX-512 reads memory it never wrote there: other bytes each time. */
            av->av_dict_set(&settings, "x264-params", "mbtree=0", 0);
        }
        int code = av->avcodec_open2(f->codec, codec, &settings);
        av->av_dict_free(&settings);
        if (code >= 0)
            return GEN_OK;
        av->avcodec_free_context(&f->codec);
    }
    return gen_fail(GEN_EUNSUPPORTED, "%s: FFmpeg has no encoder '%s' for %d x %d pixels",
                    f->output.path, name, f->width, f->height);
}

static gen_status choose_encoder(gen_film *f, const gen_film_options *o)
{
    static const char *const names[] = { "libx264", "libopenh264", "mpeg4" };
    gen_status status = GEN_EUNSUPPORTED;
    if (f->gif || o->encoder)
        return open_encoder(f, o, f->gif ? "gif" : o->encoder);
    for (int i = 0; i < GEN_LEN(names) && status == GEN_EUNSUPPORTED; i++)
        status = open_encoder(f, o, names[i]);
    return status;
}

static gen_status open_stream(gen_film *f, const gen_film_options *o)
{
    const gen_ffmpeg *av = f->av;
    size_t size = strlen(f->output.temporary) + 8;
    char *url = NULL;
    GEN_TRY(GEN_ALLOC(&url, size, "name of the output"));
    snprintf(url, size, "file:%s", f->output.temporary); /* a colon in the name is no protocol */
    int code = av->avformat_alloc_output_context2(&f->format, NULL, f->gif ? "gif" : "mp4", url);
    if (code >= 0)
        code = av->avio_open(&f->format->pb, url, AVIO_FLAG_WRITE);
    gen_free(url);
    TRY_AV(code);
    GEN_TRY(choose_encoder(f, o));
    f->stream = av->avformat_new_stream(f->format, NULL);
    GEN_TRY(need(f, f->stream));
    f->stream->time_base = f->codec->time_base;
    f->stream->avg_frame_rate = f->codec->framerate;
    TRY_AV(av->avcodec_parameters_from_context(f->stream->codecpar, f->codec));
    AVDictionary *settings = NULL;
    if (!f->gif)
        av->av_dict_set(&settings, "movflags", "+faststart", 0);
    if (o->info.title)
        av->av_dict_set(&f->format->metadata, "title", o->info.title, 0);
    if (f->made)
        av->av_dict_set(&f->format->metadata, "comment", f->made, 0);
    code = av->avformat_write_header(f->format, &settings);
    av->av_dict_free(&settings);
    TRY_AV(code);
    f->begun = true;
    return GEN_OK;
}

/* Zeroed: scalers and encoders read, and let bytes depend on, what stands beside the pixels. */
static gen_status new_frame(const gen_film *f, enum AVPixelFormat format, AVFrame **out)
{
    *out = f->av->av_frame_alloc();
    GEN_TRY(need(f, *out));
    (*out)->format = format;
    (*out)->width = f->codec->width;
    (*out)->height = f->codec->height;
    TRY_AV(f->av->av_frame_get_buffer(*out, 0));
    for (int i = 0; i < AV_NUM_DATA_POINTERS && (*out)->buf[i]; i++)
        memset((*out)->buf[i]->data, 0, (size_t)(*out)->buf[i]->size);
    return GEN_OK;
}

static gen_status open_frame(gen_film *f)
{
    const gen_ffmpeg *av = f->av;
    int width = f->codec->width, height = f->codec->height;
    f->packet = av->av_packet_alloc();
    GEN_TRY(need(f, f->packet));
    if (f->gif)
        return GEN_ALLOC(&f->index, (int64_t)width * height, "a frame");
    GEN_TRY(new_frame(f, AV_PIX_FMT_RGB24, &f->rgb));
    f->scaler =
        av->sws_getContext(width, height, AV_PIX_FMT_RGB24, width, height, AV_PIX_FMT_YUV420P,
                           SWS_AREA | SWS_ACCURATE_RND, NULL, NULL, NULL);
    GEN_TRY(need(f, f->scaler));
    const int *bt709 = av->sws_getCoefficients(SWS_CS_ITU709);
    TRY_AV(av->sws_setColorspaceDetails(f->scaler, bt709, 1, bt709, 0, 0, 1 << 16, 1 << 16));
    return GEN_OK;
}

gen_status gen_film_open(gen_film **out, const char *path, const gen_film_options *o)
{
    gen_status status;
    const gen_ffmpeg *av;
    gen_film *f = NULL;
    *out = NULL;
    GEN_TRY(check(path, o));
    GEN_TRY(gen_ffmpeg_load(&av));
    GEN_TRY(GEN_ALLOC(&f, 1, "a film"));
    f->av = av;
    gen_ffmpeg_hush();
    f->width = o->width;
    f->height = o->height;
    f->gif = strcmp(path + strlen(path) - 4, ".gif") == 0;
    for (int i = 0; i < o->n_colours && i < 256; i++)
        f->palette.colour[f->palette.n++] = o->colours[i];
    if (o->info.made)
        GEN_GOTO(gen_strdup(&f->made, o->info.made));
    GEN_GOTO(gen_output_open(&f->output, path, o->info.force, true));
    GEN_GOTO(open_stream(f, o));
    GEN_GOTO(open_frame(f));
    *out = f;
    f = NULL;
done:
    gen_film_free(&f);
    return status;
}

/* ---- frames -------------------------------------------------------------------------------- */

static gen_status fill_indexed(gen_film *f, const uint8_t *rgb)
{
    AVFrame *frame = f->frame;
    GEN_TRY(gen_palette_apply(&f->palette, rgb, (int64_t)f->width * f->height, f->index));
    /* FFmpeg 5.1 writes only what differs from the frame before where the palette is that of the
     * first frame, but compares numbers even if the frame before had another palette. */
    if (f->palette.renewed)
        f->av->av_opt_set_int(f->codec->priv_data, "gifflags", 0, 0);
    for (int y = 0; y < f->height; y++)
        memcpy(frame->data[0] + (int64_t)y * frame->linesize[0], f->index + (int64_t)y * f->width,
               (size_t)f->width);
    for (int k = 0; k < 256; k++) {
        uint32_t argb = 0xff000000u | (k < f->palette.n ? f->palette.colour[k] : 0);
        memcpy(frame->data[1] + 4 * k, &argb, 4);
    }
    return GEN_OK;
}

/* Through a frame of FFmpeg's: swscale reads beyond the end of a row. Where the encoder wants even
 * sides, the last row and column come once more. */
static void fill_yuv(gen_film *f, const uint8_t *rgb)
{
    AVFrame *wide = f->rgb;
    for (int y = 0; y < wide->height; y++) {
        const uint8_t *from = rgb + 3 * (int64_t)f->width * (y < f->height ? y : f->height - 1);
        uint8_t *to = wide->data[0] + (int64_t)y * wide->linesize[0];
        memcpy(to, from, 3 * (size_t)f->width);
        if (wide->width > f->width)
            memcpy(to + 3 * f->width, from + 3 * (f->width - 1), 3);
    }
    f->av->sws_scale(f->scaler, (const uint8_t *const *)wide->data, wide->linesize, 0, wide->height,
                     f->frame->data, f->frame->linesize);
}

/* Writes what the encoder has ready; after a NULL frame, all the rest. */
static gen_status encode(gen_film *f, const AVFrame *frame)
{
    const gen_ffmpeg *av = f->av;
    TRY_AV(av->avcodec_send_frame(f->codec, frame));
    for (;;) {
        int code = av->avcodec_receive_packet(f->codec, f->packet);
        if (code == AVERROR(EAGAIN) || code == AVERROR_EOF)
            return GEN_OK;
        TRY_AV(code);
        f->packet->duration = 1;
        av->av_packet_rescale_ts(f->packet, f->codec->time_base, f->stream->time_base);
        f->packet->stream_index = f->stream->index;
        TRY_AV(av->av_interleaved_write_frame(f->format, f->packet));
        TRY_AV(f->format->pb->error);
    }
}

static gen_status add(gen_film *f, const uint8_t *rgb)
{
    f->av->av_frame_free(&f->frame); /* the encoder may keep the frame before */
    GEN_TRY(new_frame(f, f->codec->pix_fmt, &f->frame));
    if (f->gif)
        GEN_TRY(fill_indexed(f, rgb));
    else
        fill_yuv(f, rgb);
    f->frame->pts = f->frames++;
    return encode(f, f->frame);
}

gen_status gen_film_add(gen_film *f, const uint8_t *rgb)
{
    if (f->failed == GEN_OK)
        f->failed = add(f, rgb);
    return f->failed;
}

/* ---- committing ---------------------------------------------------------------------------- */

/* FFmpeg's GIF has no comment: it goes before the last byte, the trailer. */
static gen_status write_comment(const gen_film *f)
{
    FILE *file = fopen(f->output.temporary, "rb+");
    if (!file)
        return gen_output_error(f->output.path, errno);
    bool bad = fseek(file, -1, SEEK_END) != 0 || fwrite("\x21\xfe", 1, 2, file) != 2;
    for (size_t left = strlen(f->made); left && !bad;) {
        const char *from = f->made + strlen(f->made) - left;
        unsigned char n = (unsigned char)(left < 255 ? left : 255); /* of a block */
        bad = fwrite(&n, 1, 1, file) != 1 || fwrite(from, 1, n, file) != n;
        left -= n;
    }
    bad = bad || fwrite("\0\x3b", 1, 2, file) != 2;
    int code = errno;
    if (fclose(file) != 0 && !bad) {
        bad = true;
        code = errno;
    }
    return bad ? gen_output_error(f->output.path, code) : GEN_OK;
}

gen_status gen_film_commit(gen_film *f)
{
    GEN_TRY(f->failed);
    if (f->frames == 0)
        return gen_fail(GEN_EINVAL, "%s: a film of no frames", f->output.path);
    f->failed = GEN_EINVAL; /* until it is done; and it is done once */
    GEN_TRY(encode(f, NULL));
    f->begun = false;
    TRY_AV(f->av->av_write_trailer(f->format));
    TRY_AV(f->format->pb->error);
    TRY_AV(f->av->avio_closep(&f->format->pb));
    if (f->gif && f->made && *f->made)
        GEN_TRY(write_comment(f));
    return gen_output_commit(&f->output);
}

void gen_film_free(gen_film **film)
{
    gen_film *f = *film;
    *film = NULL;
    if (!f)
        return;
    const gen_ffmpeg *av = f->av;
    if (f->begun && f->gif)
        av->av_write_trailer(f->format); /* its writer frees its packet only there */
    if (f->format && f->format->pb)
        av->avio_closep(&f->format->pb);
    av->avformat_free_context(f->format);
    av->avcodec_free_context(&f->codec);
    av->av_frame_free(&f->frame);
    av->av_frame_free(&f->rgb);
    av->av_packet_free(&f->packet);
    av->sws_freeContext(f->scaler);
    gen_output_abort(&f->output);
    gen_free(f->index);
    gen_free(f->made);
    gen_free(f);
    gen_ffmpeg_unhush();
}
