/* SPDX-License-Identifier: Apache-2.0
 *
 * Launchers of kernels/conv.cu: what stands around cuDNN's convolutions (packing, padding,
 * finishing), and convolutions of our own.
 *
 * Weights are packed as [Cout][tap][Cin/groups]: the order in which cuDNN takes them for channels
 * last, with zeros where channels are padded.
 */
#ifndef LIBGEN_BACKENDS_CUDA_KERNELS_CONV_H
#define LIBGEN_BACKENDS_CUDA_KERNELS_CONV_H

#include <stdbool.h>
#include <stdint.h>

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

/* to[o][t][c] = w[o][c][t], 0 for o >= cout or c >= cin; w f32. */
typedef struct gen_cuda_pack_args {
    const float *w;
    void *to;
    int64_t n; /* elements of `to` */
    int cout, cin, taps, to_cin;
    bool bf16; /* of `to` */
} gen_cuda_pack_args;
cudaError_t gen_cuda_pack_weights(const gen_cuda_pack_args *a, cudaStream_t s);

/* dw[o][c][t] = the sum over parts of from[part][o][t][c], in their order. */
typedef struct gen_cuda_unpack_args {
    const void *from;
    float *dw;
    int64_t part; /* elements of one part */
    int parts, cout, cin, taps, from_cin;
    bool bf16; /* of `from` */
} gen_cuda_unpack_args;
cudaError_t gen_cuda_unpack_weights(const gen_cuda_unpack_args *a, cudaStream_t s);

/* to[i][c] = from[i][c], 0 for c >= from_c. */
typedef struct gen_cuda_pad_channels_args {
    const void *from;
    void *to;
    int64_t n; /* cells */
    int from_c, to_c;
    bool bf16;
} gen_cuda_pad_channels_args;
cudaError_t gen_cuda_pad_channels(const gen_cuda_pad_channels_args *a, cudaStream_t s);

/* y[i][c] = act(from[i][c] + bias[c] + residual[i][c]); from may be y. With h and w: the cells of y
 * are images of h x w, both even, and `from` has those around each corner between 2x2 cells, and of
 * the border, as channels (row, column, c): [n / (h w)][h / 2 + 1][w / 2 + 1][from_c]. */
typedef struct gen_cuda_finish_args {
    const void *from, *residual; /* residual NULL: none */
    const float *bias;           /* NULL: none */
    void *y;
    int64_t n; /* cells of y */
    int c, from_c;
    int h, w; /* 0: cell i of y is cell i of `from` */
    int act; /* GEN_ACT_ */
    float slope;
    bool bf16;
} gen_cuda_finish_args;
cudaError_t gen_cuda_finish(const gen_cuda_finish_args *a, cudaStream_t s);

enum { GEN_CUDA_CONV_FORWARD, GEN_CUDA_CONV_DATA, GEN_CUDA_CONV_FILTER };

/* A convolution x -> y by w seen from the forward side, (D,H,W). Cells of x and of y, and a
 * kernel's taps times its channels, number fewer than 2^31. */
typedef struct gen_cuda_conv_args {
    const void *x, *w, *y; /* the two that are read */
    void *to;              /* x or y; f32 [parts][Cout][tap][Cin/groups] for FILTER */
    const float *bias;     /* of `to`; NULL: none */
    const void *residual;  /* NULL: none */
    int way;               /* GEN_CUDA_CONV_ */
    int n, groups, cin, cout;
    int in[3], out[3], kernel[3], stride[3], dilation[3], pad[3];
    int w_cin; /* channels of a tap in the packed weights */
    int parts; /* FILTER: shares of the positions, each with a sum of its own */
    int act;
    float slope;
    bool bf16; /* of x, w, y; sums are f32 */
} gen_cuda_conv_args;
cudaError_t gen_cuda_conv(const gen_cuda_conv_args *a, cudaStream_t s);

#ifdef __cplusplus
}
#endif
#endif
