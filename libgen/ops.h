/* SPDX-License-Identifier: Apache-2.0
 *
 * The operations a graph is made of. Each is described once, in libgen/ops/<family>.c: attributes,
 * shape rule, gradient, cost and a reference in plain double loops, which is the definition.
 *
 * Attribute structs hold only int64_t and double (no padding: they are compared and hashed as
 * bytes); zero means "usual", so a call names only what differs. Spatial arrays are outermost
 * first: [0] is the first spatial axis of the tensor (D or H or L). All images are channels last:
 * 1-D [N,L,C], 2-D [N,H,W,C], 3-D [N,D,H,W,C]. Results have the dtype of the first input unless
 * said otherwise. Every builder returns NULL once the graph has failed.
 */
#ifndef LIBGEN_OPS_H
#define LIBGEN_OPS_H

#include <libgen/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- conv.c -------------------------------------------------------------------------------- */

typedef enum gen_act {
    GEN_ACT_NONE,
    GEN_ACT_RELU,
    GEN_ACT_LEAKY_RELU, /* slope: attr.slope */
    GEN_ACT_SIGMOID,
    GEN_ACT_TANH
} gen_act;

/* Convolution (cross-correlation, as PyTorch): 1, 2 or 3 spatial axes by the rank of x.
 * y = act(pool(conv(up(x), w)) + b + r). */
typedef struct gen_conv_attr {
    int64_t stride[3];   /* 0 = 1 */
    int64_t dilation[3]; /* 0 = 1 */
    int64_t pad_lo[3];   /* zeros before; with up: counted on the up-sampled x */
    int64_t pad_hi[3];   /* zeros after */
    int64_t groups;      /* 0 = 1 */
    /* What the plan fuses; builders of networks leave these zero. No gradient then. */
    int64_t up[3];   /* nearest up-sampling of x before; 0 = 1 */
    int64_t pool[3]; /* average pooling of the result (before b and r); 0 = 1 */
    int64_t act;     /* gen_act */
    double slope;
    /* Set by the builder: which optional inputs there are, in this order after x and w. */
    int64_t has_bias, has_residual;
} gen_conv_attr;

/* x [N,*,Cin], w [Cout,Cin/groups,*k] (PyTorch's order), b [Cout] or NULL -> [N,*,Cout]. */
GEN_API gen_node *gen_conv(gen_graph *g, gen_node *x, gen_node *w, gen_node *b,
                           const gen_conv_attr *attr);
/* With a residual r (shape of the result) or NULL; used by the plan's rules. */
GEN_API gen_node *gen_conv_fused(gen_graph *g, gen_node *x, gen_node *w, gen_node *b, gen_node *r,
                                 const gen_conv_attr *attr);
/* attr with "same" padding for weights w and their dilation: k/2 on both sides. */
GEN_API gen_conv_attr gen_conv_same(const gen_node *w);

/* Adjoint of gen_conv with respect to x, and so transposed convolution: y [N,*,Cout],
 * w [Cout,Cin/groups,*k] -> [N,*size,Cin]; `size` are the spatial sizes of x (they fix the output
 * padding). attr.up, pool, act must be zero. PyTorch's conv_transpose(y, w) has its weight
 * [in,out/groups,*k] = our [Cout,Cin/groups,*k] unchanged. */
GEN_API gen_node *gen_conv_transpose(gen_graph *g, gen_node *y, gen_node *w, gen_node *b,
                                     const int64_t size[3], const gen_conv_attr *attr);

/* Adjoint with respect to w: x [N,*,Cin], dy [N,*,Cout] -> [Cout,Cin/groups,*k]. */
GEN_API gen_node *gen_conv_dw(gen_graph *g, gen_node *x, gen_node *dy, const int64_t kernel[3],
                              const gen_conv_attr *attr);

/* ---- turn.c -------------------------------------------------------------------------------- */

/* [Cout,Cin,*k] -> [Cin,Cout,*k], taps in reverse: the weights of the adjoint for stride 1. */
GEN_API gen_node *gen_turn(gen_graph *g, gen_node *w);

/* ---- matmul.c ------------------------------------------------------------------------------ */

/* a [*B,M,K], b [*B,K,N] -> [*B,M,N]; leading axes equal, or b of rank 2 shared by all. */
typedef struct gen_matmul_attr {
    int64_t transpose_a, transpose_b; /* last two axes swapped */
} gen_matmul_attr;
GEN_API gen_node *gen_matmul(gen_graph *g, gen_node *a, gen_node *b, const gen_matmul_attr *attr);
/* x [*,K], w [N,K] (PyTorch's order), b [N] or NULL -> [*,N]. */
GEN_API gen_node *gen_linear(gen_graph *g, gen_node *x, gen_node *w, gen_node *b);

/* ---- norm.c -------------------------------------------------------------------------------- */

/* y = act(x * a + b), a and b [C] or [N,C] (one row for each outermost index of x: a conditional
 * batch norm) or NULL; the eval form of batch norm. */
typedef struct gen_scale_shift_attr {
    int64_t act; /* gen_act; no gradient when set (the plan sets it) */
    double slope;
    int64_t has_scale, has_shift; /* set by the builder */
} gen_scale_shift_attr;
GEN_API gen_node *gen_scale_shift(gen_graph *g, gen_node *x, gen_node *a, gen_node *b,
                                  const gen_scale_shift_attr *attr);

/* Normalisation by batch statistics: x [N,*,C], N divisible by groups; group i takes the i-th run
 * of N/groups outermost indices and has statistics of its own (time steps batched as [T*N]).
 * y = (x - mean) / sqrt(var + eps), var biased. Outputs: 0 y; 1 mean and 2 var, [groups,C]. */
typedef struct gen_batch_norm_attr {
    int64_t groups; /* 0 = 1 */
    double eps;     /* 0 = 1e-5 */
} gen_batch_norm_attr;
GEN_API gen_node *gen_batch_norm(gen_graph *g, gen_node *x, const gen_batch_norm_attr *attr);

/* All of x as one vector of length 1: x / sqrt(|x|^2 + eps), or, with at_least, x / max(|x|, eps).
 * No gradient. */
typedef struct gen_unit_attr {
    double eps;
    int64_t at_least;
} gen_unit_attr;
GEN_API gen_node *gen_unit(gen_graph *g, gen_node *x, const gen_unit_attr *attr);

/* ---- elementwise.c ------------------------------------------------------------------------- */

GEN_API gen_node *gen_relu(gen_graph *g, gen_node *x);
GEN_API gen_node *gen_leaky_relu(gen_graph *g, gen_node *x, double slope);
GEN_API gen_node *gen_sigmoid(gen_graph *g, gen_node *x);
GEN_API gen_node *gen_tanh(gen_graph *g, gen_node *x);
GEN_API gen_node *gen_exp(gen_graph *g, gen_node *x);
GEN_API gen_node *gen_log_of(gen_graph *g, gen_node *x);
GEN_API gen_node *gen_sqrt(gen_graph *g, gen_node *x);
GEN_API gen_node *gen_rsqrt(gen_graph *g, gen_node *x);
GEN_API gen_node *gen_reciprocal(gen_graph *g, gen_node *x);
GEN_API gen_node *gen_square(gen_graph *g, gen_node *x);
GEN_API gen_node *gen_abs(gen_graph *g, gen_node *x);
GEN_API gen_node *gen_softplus(gen_graph *g, gen_node *x);
GEN_API gen_node *gen_affine(gen_graph *g, gen_node *x, double scale, double shift); /* x*s+t */
GEN_API gen_node *gen_clamp(gen_graph *g, gen_node *x, double lo, double hi);
GEN_API gen_node *gen_cast(gen_graph *g, gen_node *x, gen_dtype to); /* gradient casts back */
GEN_API gen_node *gen_stop_gradient(gen_graph *g, gen_node *x);      /* identity; no gradient */

/* Binary, with NumPy broadcasting (shapes aligned at the innermost axis). */
GEN_API gen_node *gen_add(gen_graph *g, gen_node *a, gen_node *b);
GEN_API gen_node *gen_sub(gen_graph *g, gen_node *a, gen_node *b);
GEN_API gen_node *gen_mul(gen_graph *g, gen_node *a, gen_node *b);
GEN_API gen_node *gen_div(gen_graph *g, gen_node *a, gen_node *b);
GEN_API gen_node *gen_max(gen_graph *g, gen_node *a, gen_node *b);
GEN_API gen_node *gen_min(gen_graph *g, gen_node *a, gen_node *b);
/* 1 where a > b, else 0; no gradient. */
GEN_API gen_node *gen_greater(gen_graph *g, gen_node *a, gen_node *b);

/* Gates: u*a + (1-u)*b, all of one shape (the update of a ConvGRU). */
GEN_API gen_node *gen_lerp(gen_graph *g, gen_node *u, gen_node *a, gen_node *b);

/* ---- softmax.c, reduce.c ------------------------------------------------------------------- */

GEN_API gen_node *gen_softmax(gen_graph *g, gen_node *x, int axis);

/* Over the axes whose bit is set in `axes` (bit i = axis i); the axes are kept with size 1. */
GEN_API gen_node *gen_sum(gen_graph *g, gen_node *x, unsigned axes);
GEN_API gen_node *gen_mean(gen_graph *g, gen_node *x, unsigned axes);
GEN_API gen_node *gen_max_over(gen_graph *g, gen_node *x, unsigned axes); /* ties share gradient */
/* Sums x over the axes that broadcasting `shape` to x's shape had stretched. */
GEN_API gen_node *gen_sum_to(gen_graph *g, gen_node *x, gen_shape shape);

/* ---- resample.c ---------------------------------------------------------------------------- */

/* x [N,*,C]; nearest: each cell repeated factor times along each spatial axis. */
GEN_API gen_node *gen_upsample(gen_graph *g, gen_node *x, const int64_t factor[3]);

/* Average and max pooling, 1-3 spatial axes. Sizes as PyTorch's with ceil_mode off. */
typedef struct gen_pool_attr {
    int64_t kernel[3];
    int64_t stride[3];           /* 0 = kernel */
    int64_t pad_lo[3], pad_hi[3];
    int64_t exclude_pad;         /* average: divide by the cells inside x only */
} gen_pool_attr;
GEN_API gen_node *gen_avg_pool(gen_graph *g, gen_node *x, const gen_pool_attr *attr);
GEN_API gen_node *gen_max_pool(gen_graph *g, gen_node *x, const gen_pool_attr *attr);

/* 2-D blocks of b x b cells to channels and back: [N,H,W,C] <-> [N,H/b,W/b,C*b*b]. Order of the new
 * channels: block_major (row, col, c) as TensorFlow, else (c, row, col) as PyTorch's
 * pixel_unshuffle. The two are equal for C = 1. */
GEN_API gen_node *gen_space_to_depth(gen_graph *g, gen_node *x, int b, bool block_major);
GEN_API gen_node *gen_depth_to_space(gen_graph *g, gen_node *x, int b, bool block_major);

/* ---- shape.c ------------------------------------------------------------------------------- */

GEN_API gen_node *gen_reshape(gen_graph *g, gen_node *x, gen_shape shape); /* one dim may be -1 */
/* axis i of the result is axis order[i] of x. */
GEN_API gen_node *gen_transpose(gen_graph *g, gen_node *x, const int order[GEN_MAX_RANK]);
GEN_API gen_node *gen_broadcast(gen_graph *g, gen_node *x, gen_shape shape); /* NumPy's rule */
GEN_API gen_node *gen_concat(gen_graph *g, int axis, gen_node *const x[], int n);
GEN_API gen_node *gen_slice(gen_graph *g, gen_node *x, int axis, int64_t first, int64_t count);
/* `value` around x: lo[i] before and hi[i] after along axis i; may not be negative. */
GEN_API gen_node *gen_pad(gen_graph *g, gen_node *x, const int64_t lo[GEN_MAX_RANK],
                          const int64_t hi[GEN_MAX_RANK], double value);

/* ---- index.c ------------------------------------------------------------------------------- */

/* Rows of x along `axis`, chosen by index [K] (i32 or i64): embedding is axis 0. An index outside
 * 0 <= i < dim gives a row of zeros, and takes no gradient. */
GEN_API gen_node *gen_gather(gen_graph *g, gen_node *x, gen_node *index, int axis);
/* x [N,H,W,C], offset [N,2] or [1,2] i32 (row, col; clamped so that the window lies inside)
 * -> [N,h,w,C]. */
GEN_API gen_node *gen_crop(gen_graph *g, gen_node *x, gen_node *offset, int64_t h, int64_t w);

#ifdef __cplusplus
}
#endif
#endif
