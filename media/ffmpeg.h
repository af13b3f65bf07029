/* SPDX-License-Identifier: Apache-2.0
 *
 * FFmpeg's functions, loaded when the first film is opened: its libraries bring some sixty others,
 * and a program that writes no film would spend 40 ms on loading them.
 */
#ifndef MEDIA_FFMPEG_H
#define MEDIA_FFMPEG_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>

#include "libgen/base/fail.h"

#define GEN_FFMPEG_FUNCTIONS(X)                                                                    \
    X(avutil, av_d2q)                                                                              \
    X(avutil, av_dict_free)                                                                        \
    X(avutil, av_dict_set)                                                                         \
    X(avutil, av_frame_alloc)                                                                      \
    X(avutil, av_frame_free)                                                                       \
    X(avutil, av_frame_get_buffer)                                                                 \
    X(avutil, av_log_get_level)                                                                    \
    X(avutil, av_log_set_level)                                                                    \
    X(avutil, av_opt_set_int)                                                                      \
    X(avutil, av_strerror)                                                                         \
    X(avcodec, av_packet_alloc)                                                                    \
    X(avcodec, av_packet_free)                                                                     \
    X(avcodec, av_packet_rescale_ts)                                                               \
    X(avcodec, avcodec_alloc_context3)                                                             \
    X(avcodec, avcodec_find_encoder_by_name)                                                       \
    X(avcodec, avcodec_free_context)                                                               \
    X(avcodec, avcodec_open2)                                                                      \
    X(avcodec, avcodec_parameters_from_context)                                                    \
    X(avcodec, avcodec_receive_packet)                                                             \
    X(avcodec, avcodec_send_frame)                                                                 \
    X(avformat, av_interleaved_write_frame)                                                        \
    X(avformat, av_write_trailer)                                                                  \
    X(avformat, avformat_alloc_output_context2)                                                    \
    X(avformat, avformat_free_context)                                                             \
    X(avformat, avformat_new_stream)                                                               \
    X(avformat, avformat_write_header)                                                             \
    X(avformat, avio_closep)                                                                       \
    X(avformat, avio_open)                                                                         \
    X(swscale, sws_freeContext)                                                                    \
    X(swscale, sws_getCoefficients)                                                                \
    X(swscale, sws_getContext)                                                                     \
    X(swscale, sws_scale)                                                                          \
    X(swscale, sws_setColorspaceDetails)

typedef struct gen_ffmpeg {
#define GEN_FFMPEG_MEMBER(library, name) __typeof__(name) *name;
    GEN_FFMPEG_FUNCTIONS(GEN_FFMPEG_MEMBER)
#undef GEN_FFMPEG_MEMBER
} gen_ffmpeg;

/* EUNSUPPORTED: not on this machine, or of another major version than the one compiled with. */
gen_status gen_ffmpeg_load(const gen_ffmpeg **out);

/* FFmpeg and its encoders write to stderr, which a library may not. Between these two it is
 * silent; its log level, which the whole process shares, is then as it was. */
void gen_ffmpeg_hush(void);
void gen_ffmpeg_unhush(void);

#endif
