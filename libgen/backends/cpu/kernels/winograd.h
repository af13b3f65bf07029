/* SPDX-License-Identifier: Apache-2.0
 *
 * What the driver of the Winograd convolution (../winograd.c, where the algorithm is explained) and
 * its parts that are built per instruction set (winograd.c beside this) share.
 */
#ifndef LIBGEN_BACKENDS_CPU_KERNELS_WINOGRAD_H
#define LIBGEN_BACKENDS_CPU_KERNELS_WINOGRAD_H

#include <stdbool.h>
#include <stdint.h>

/* The bilinear algorithms, one side; the 2-D one is the product of two. */
typedef enum gen_wino_kind {
    GEN_WINO_F2,  /* F(2,3) */
    GEN_WINO_F4,  /* F(4,3) */
    GEN_WINO_UP2, /* 3 taps on the x2 up-sampled input: 4 outputs from 2 + 2 cells, 5 products */
    GEN_WINO_UP4, /* the same, 8 outputs from 4 + 2 cells, 9 products */
    GEN_WINO_POOL /* 3 taps, then means of two: 2 outputs from 4 + 2 cells, 5 products */
} gen_wino_kind;

typedef struct gen_wino_form {
    const char *name;
    int window;   /* input cells that a tile reads */
    int step;     /* input cells from one tile to the next */
    int out;      /* outputs of a tile */
    int inputs;   /* transformed inputs */
    int products; /* multiplications */
    int sums;     /* of products, from which the outputs are made */
    int input[9];   /* [products]: which input it takes */
    int sum[9];     /* [products], rising: to which sum it goes */
    double g[9][3]; /* [products]: its combination of the three weights */
} gen_wino_form;

/* One convolution. A block of up to `rows` tiles has its transformed inputs at
 * v[inputs^2][c/lanes][rows][lanes] and its sums at m[sums^2][k/lanes][rows][lanes], planes v_plane
 * and m_plane floats apart. u is [products^2][panel][c][panel's width], products in the order of
 * their sums. */
typedef struct gen_wino {
    const gen_wino_form *form;
    gen_wino_kind kind;
    int lanes;
    int n, h, w, c, k, oh, ow;
    int pad_y, pad_x; /* cells of the input that the first tile begins before it */
    int tiles_y, tiles_x, tiles;
    int rows;
    int64_t v_plane, m_plane;
    int split; /* channels accumulated in one go, a multiple of lanes */
    const float *u, *bias, *zeros; /* bias [k], zeros [c] */
    int act;                       /* gen_act */
    float slope;
    bool stream; /* write past the caches */
    bool vary;   /* weights are transformed in each run: they stay in the caches */
} gen_wino;

/* A range of tiles of a block that begins with tile `first` of the image. */
typedef struct gen_wino_range {
    int first, from, to;
} gen_wino_range;

#define GEN_WINO_MOST_ROWS 64 /* of a block whose input is fetched ahead */

/* Input that the next block will read, to be fetched meanwhile: runs of cache lines. */
typedef struct gen_wino_soon {
    const char *run[GEN_WINO_MOST_ROWS * 4];
    int runs, lines; /* lines of a run */
    int at, line;    /* the next one */
    int step;        /* lines in one go */
} gen_wino_soon;

typedef struct gen_wino_isa {
    int lanes; /* 0: this build has no kernel */
    /* Fills the columns of panel `panel` for channels c0 <= c < c1. w [k][c][3][3]. */
    void (*weights)(const gen_wino *o, const float *w, float *u, int panel, int c0, int c1);
    /* Channels from vector q0 to vector q1. */
    void (*input)(const gen_wino *o, const float *x, float *v, gen_wino_range t, int q0, int q1);
    /* Panels p0 <= p < p1 of one sum's plane; between calls of the micro-kernel, some of `soon`
     * (which may be NULL). */
    void (*gemm)(const gen_wino *o, const float *v, float *m, int rows, int plane, int p0, int p1,
                 gen_wino_soon *soon);
    void (*output)(const gen_wino *o, const float *m, const float *r, float *y, gen_wino_range t,
                   int q0, int q1);
} gen_wino_isa;

extern const gen_wino_isa gen_wino_base, gen_wino_avx2, gen_wino_avx512;

/* The products of sum `s`, one side: from the first, so many. */
static inline int gen_wino_terms(const gen_wino_form *f, int s, int *first)
{
    int i = 0, n = 0;
    while (f->sum[i] < s)
        i++;
    while (i + n < f->products && f->sum[i + n] == s)
        n++;
    *first = i;
    return n;
}

/* Columns are cut into panels of 3 vectors, and 2 or 1 where that does not divide. */
static inline int gen_wino_panels(const gen_wino *o)
{
    return (o->k / o->lanes + 2) / 3;
}
static inline void gen_wino_panel(const gen_wino *o, int i, int *first, int *vectors)
{
    int n = o->k / o->lanes, threes = n % 3 == 1 && n > 1 ? (n - 4) / 3 : n / 3;
    *first = i < threes ? 3 * i : 3 * threes + 2 * (i - threes);
    *vectors = n == 1 ? 1 : i < threes ? 3 : 2;
}

#endif
