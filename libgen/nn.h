/* SPDX-License-Identifier: Apache-2.0
 *
 * Layers: functions that create their parameters by name in the graph's scope and return a node. A
 * network file includes this header and <libgen/ops.h> only, and reads like the table in its paper.
 * Images are channels last. Names: convolutions and linears "w", "b", and under spectral norm the
 * states "u" [Cout], "v" [rest]; batch norms "gamma", "beta", states "mean", "var".
 */
#ifndef LIBGEN_NN_H
#define LIBGEN_NN_H

#include <libgen/ops.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a state becomes when a step is committed. The graph gives statistics of its batch only; the
 * owner joins those of the micro-batches of a step, and the state then moves as if they had been
 * one batch (gen_pending of <libgen/train.h>). For one group after the other,
 *     state <- (1 - momentum) state + momentum * s
 * where s is the mean of all micro-batches; or, with `variance`, the unbiased variance of all their
 * values, that between their means included. Updates of one state follow each other. */
typedef struct gen_update {
    gen_node *state;    /* [*] */
    gen_node *mean;     /* [groups,*] or, of one group, [*] */
    gen_node *variance; /* as mean: the mean square around `mean`; NULL: none */
    double momentum;    /* 0 = 1: s itself, for what depends on weights only */
    int64_t count;      /* with variance: values behind one element of it */
} gen_update;

/* A network being built: its graph, whether it is for training, and the updates of states that
 * training forward brings (the owner commits them once per logical step). One gen_net per graph.
 * Zero it, set g and training, and free it with gen_net_free. */
typedef struct gen_net {
    gen_graph *g;
    bool training;
    int n_updates;
    gen_update *update; /* [n_updates] */
    uint64_t capacity;
    struct gen_sn_cache *cache; /* one power iteration per weight, however often it is used */
} gen_net;
GEN_API void gen_net_free(gen_net *net);
/* Records an update; its nodes belong to the graph. */
GEN_API void gen_net_update(gen_net *net, gen_update update);
/* The nodes that the updates are made of, to be outputs of a plan: of each update its mean, then
 * its variance where it has one. Returns their number; out may be NULL. */
GEN_API int gen_net_statistics(const gen_net *net, gen_node *out[]);

/* How spectral norm divides: t / max(|t|, eps) as PyTorch, or t * rsqrt(sum t^2 + eps) as Sonnet.
 */
typedef enum gen_sn_kind { GEN_SN_NONE, GEN_SN_TORCH, GEN_SN_SONNET } gen_sn_kind;

/* w [Cout,*rest] under spectral norm, states "u" [Cout] and "v" [rest count] in the present scope.
 * Eval: w / (u.(W v)) of the stored vectors. Training: one power iteration first (v from u... in
 * the order of the kind), gradients through w and sigma, vectors constant; updates recorded. The
 * same w asked for again in one net gives the same node. Reference 1.1. */
GEN_API gen_node *gen_spectral_norm(gen_net *net, gen_node *w, gen_sn_kind kind, double eps);

typedef struct gen_layer_attr {
    int64_t kernel;     /* 0 = 3; the same along each spatial axis; "same" padding */
    int64_t stride;     /* 0 = 1 */
    int64_t dilation;   /* 0 = 1 */
    int64_t no_bias;
    int64_t sn;         /* gen_sn_kind */
    double sn_eps;      /* 0 = 1e-4 */
} gen_layer_attr;

/* Convolution to `channels`, in scope `name` (spatial axes by the rank of x); orthogonal w. */
GEN_API gen_node *gen_conv_layer(gen_net *net, const char *name, gen_node *x, int64_t channels,
                                 const gen_layer_attr *attr);
GEN_API gen_node *gen_linear_layer(gen_net *net, const char *name, gen_node *x, int64_t channels,
                                   const gen_layer_attr *attr);

typedef struct gen_norm_attr {
    int64_t groups;     /* of gen_batch_norm in training, 0 = 1 */
    double eps;         /* 0 = 1e-5 */
    double momentum;    /* 0 = 0.1: running = (1-m) running + m batch (unbiased var) */
    int64_t no_scale;   /* subtract the mean only */
    int64_t no_affine;  /* no gamma and beta */
    int64_t off;        /* 1: no norm, the layer gives what it is given */
} gen_norm_attr;

/* Batch norm: batch statistics in training (updates of mean and variance recorded, each of all
 * groups in order), running ones in eval. */
GEN_API gen_node *gen_norm_layer(gen_net *net, const char *name, gen_node *x,
                                 const gen_norm_attr *attr);

/* Residual blocks, reference 1.5 and 5.3. `norm` may be NULL (defaults). */
typedef struct gen_block_attr {
    gen_layer_attr conv;   /* spectral norm of every conv; kernel is set by the block */
    gen_norm_attr norm;
    int64_t up;            /* G block: 2 = nearest up-sampling; D block: 2 = average pooling */
    int64_t hidden;        /* width between the two 3x3 convs: 0 = output (pseudo-code) */
    int64_t no_preact;     /* D block: skip the first ReLU */
} gen_block_attr;
/* BN, relu, (up), conv3, BN, relu, conv3; shortcut (up), conv1 if widths differ or up-sampling. */
GEN_API gen_node *gen_g_block(gen_net *net, const char *name, gen_node *x, int64_t channels,
                              const gen_block_attr *attr);
/* relu, conv3, relu, conv3, (pool); shortcut conv1 if widths differ or pooling, (pool). An axis of
 * one cell is not pooled. */
GEN_API gen_node *gen_d_block(gen_net *net, const char *name, gen_node *x, int64_t channels,
                              const gen_block_attr *attr);
/* relu, conv3, relu, conv3; shortcut concat[x, conv1(x) to the missing channels]. */
GEN_API gen_node *gen_l_block(gen_net *net, const char *name, gen_node *x, int64_t channels,
                              const gen_block_attr *attr);

/* ConvGRU over T steps, reference 1.7 (ReLU candidate, u keeps the old state, order [x;h] and
 * [x; r*h]). x [T,N,H,W,Cx], or [N,H,W,Cx] used at every step; h [N,H,W,C] -> all states
 * [T,N,H,W,C]. Names read/w ... update/w ... output/w ... each under spectral norm of its own. */
GEN_API gen_node *gen_conv_gru(gen_net *net, const char *name, gen_node *x, gen_node *h,
                               int64_t steps, const gen_layer_attr *attr);

/* Self-attention, reference 1.6: x + gamma * out, gamma [1] initially 0; widths C/8, C/8, C/8. */
typedef enum gen_attention_kind {
    GEN_ATTENTION_SPATIAL,       /* over all H*W positions */
    GEN_ATTENTION_CHANNEL_ROWS   /* openclimatefix: positions (C/8)*H, features W */
} gen_attention_kind;
GEN_API gen_node *gen_self_attention(gen_net *net, const char *name, gen_node *x,
                                     gen_attention_kind kind);

#ifdef __cplusplus
}
#endif
#endif
