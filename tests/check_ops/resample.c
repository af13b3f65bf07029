/* SPDX-License-Identifier: Apache-2.0
 *
 * Cases of upsample, the pools and their adjoints, space_to_depth and depth_to_space.
 */
#include <string.h>

#include "tests/check_ops/check_ops.h"

/* ---- upsample -------------------------------------------------------------------------------- */

typedef struct up_case {
    gen_shape x;
    int64_t factor[3];
} up_case;

static gen_node *build_up(check *c)
{
    const up_case *k = c->arg;
    return gen_upsample(c->g, check_in(c, k->x), k->factor);
}

/* clang-format off */
static const up_case
    up_one   = { { 4, { 1, 1, 1, 1 } }, { 2, 2 } },
    up_plane = { { 4, { 2, 3, 5, 7 } }, { 2, 2 } },
    up_mixed = { { 4, { 1, 4, 3, 16 } }, { 3, 1 } },
    up_line  = { { 3, { 2, 9, 3 } }, { 5 } },
    up_solid = { { 5, { 1, 2, 3, 2, 5 } }, { 1, 2, 3 } },
    up_large = { { 4, { 2, 31, 33, 20 } }, { 2, 2 } },
    up_bench = { { 4, { 1, 128, 128, 96 } }, { 2, 2 } };

/* ---- pools ----------------------------------------------------------------------------------- */

typedef struct pool_case {
    gen_shape x;
    gen_pool_attr attr;
} pool_case;

static const pool_case
    pool_one     = { { 4, { 1, 1, 1, 1 } }, { .kernel = { 1, 1 } } },
    pool_2       = { { 4, { 2, 6, 8, 3 } }, { .kernel = { 2, 2 } } },
    pool_2_odd   = { { 4, { 1, 7, 9, 5 } }, { .kernel = { 2, 2 } } },
    pool_2_wide  = { { 4, { 1, 8, 6, 40 } }, { .kernel = { 2, 2 } } },
    pool_overlap = { { 4, { 1, 7, 8, 6 } }, { .kernel = { 3, 3 }, .stride = { 2, 2 } } },
    pool_padded  = { { 4, { 1, 7, 8, 6 } },
                     { .kernel = { 3, 3 }, .stride = { 2, 2 }, .pad_lo = { 1, 1 },
                       .pad_hi = { 1, 1 } } },
    pool_inside  = { { 4, { 1, 7, 8, 6 } },
                     { .kernel = { 3, 3 }, .stride = { 2, 2 }, .pad_lo = { 1, 1 },
                       .pad_hi = { 1, 1 }, .exclude_pad = 1 } },
    pool_same    = { { 4, { 1, 5, 6, 17 } },
                     { .kernel = { 3, 3 }, .stride = { 1, 1 }, .pad_lo = { 1, 1 },
                       .pad_hi = { 1, 1 }, .exclude_pad = 1 } },
    pool_askew   = { { 4, { 1, 6, 7, 3 } },
                     { .kernel = { 3, 4 }, .stride = { 1, 2 }, .pad_lo = { 0, 2 },
                       .pad_hi = { 2, 1 }, .exclude_pad = 1 } },
    pool_askew_2 = { { 4, { 1, 6, 7, 3 } },
                     { .kernel = { 3, 4 }, .stride = { 1, 2 }, .pad_lo = { 0, 2 },
                       .pad_hi = { 2, 1 } } },
    pool_gaps    = { { 4, { 1, 9, 9, 4 } }, { .kernel = { 2, 1 }, .stride = { 3, 2 } } },
    pool_line    = { { 3, { 2, 13, 5 } }, { .kernel = { 4 }, .stride = { 3 }, .pad_lo = { 1 } } },
    pool_solid   = { { 5, { 1, 4, 5, 6, 8 } }, { .kernel = { 2, 2, 2 } } },
    pool_solid_p = { { 5, { 1, 5, 4, 5, 3 } },
                     { .kernel = { 3, 2, 3 }, .stride = { 2, 1, 2 }, .pad_lo = { 1, 0, 1 },
                       .pad_hi = { 1, 1, 0 }, .exclude_pad = 1 } },
    pool_pieces  = { { 4, { 2, 62, 65, 20 } }, { .kernel = { 2, 2 } } },
    pool_over    = { { 4, { 1, 60, 61, 37 } },
                     { .kernel = { 3, 3 }, .stride = { 2, 1 }, .pad_lo = { 1, 1 } } },
    pool_vectors = { { 4, { 2, 19, 27, 24 } },
                     { .kernel = { 3, 3 }, .stride = { 2, 1 }, .pad_lo = { 1, 1 },
                       .pad_hi = { 0, 1 }, .exclude_pad = 1 } },
    pool_bench   = { { 4, { 4, 128, 128, 48 } }, { .kernel = { 2, 2 } } },
    pool_bench_3 = { { 4, { 1, 73, 73, 192 } }, { .kernel = { 3, 3 }, .stride = { 2, 2 } } };

#define POOLS(X)                                                                                   \
    X(pool_one, 0) X(pool_2, 0) X(pool_2_odd, 0) X(pool_2_wide, 0) X(pool_overlap, 0)              \
    X(pool_padded, 0) X(pool_inside, 0) X(pool_same, 0) X(pool_askew, 0) X(pool_askew_2, 0)        \
    X(pool_gaps, 0) X(pool_line, 0) X(pool_solid, 0) X(pool_solid_p, 0) X(pool_pieces, 0)          \
    X(pool_over, 0) X(pool_vectors, 0)                                                             \
    X(pool_bench, CHECK_BENCH) X(pool_bench_3, CHECK_BENCH)
/* clang-format on */

static gen_node *build_avg(check *c)
{
    const pool_case *k = c->arg;
    return gen_avg_pool(c->g, check_in(c, k->x), &k->attr);
}

static gen_node *build_max(check *c)
{
    const pool_case *k = c->arg;
    return gen_max_pool(c->g, check_in_apart(c, k->x), &k->attr);
}

/* Attributes and result shape of the pool, from a throw-away graph. */
static gen_shape pooled(const pool_case *k, gen_pool_dx_attr *a)
{
    gen_graph *g;
    gen_shape s = { 0 };
    if (gen_graph_create(&g) != GEN_OK)
        return s;
    gen_node *y = gen_avg_pool(g, gen_fill(g, k->x, 0), &k->attr);
    if (y) {
        s = gen_node_shape(y);
        a->pool = *(const gen_pool_attr *)y->attr;
    }
    for (int i = 0; i < 3; i++)
        a->size[i] = i < k->x.rank - 2 ? k->x.dim[1 + i] : 1;
    gen_graph_free(&g);
    return s;
}

static gen_node *build_avg_dx(check *c)
{
    gen_pool_dx_attr a = { 0 };
    gen_node *dy = check_in(c, pooled(c->arg, &a));
    return gen_node_add(c->g, &gen_op_avg_pool_dx, &a, &dy, 1);
}

static gen_node *build_max_dx(check *c)
{
    const pool_case *k = c->arg;
    gen_pool_dx_attr a = { 0 };
    gen_shape s = pooled(k, &a);
    gen_node *in[2];
    in[0] = check_in_apart(c, k->x);
    in[1] = check_in(c, s);
    return gen_node_add(c->g, &gen_op_max_pool_dx, &a, in, 2);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

typedef struct block_case {
    gen_shape x;
    int b;
    bool block_major;
} block_case;

static gen_node *build_to_depth(check *c)
{
    const block_case *k = c->arg;
    return gen_space_to_depth(c->g, check_in(c, k->x), k->b, k->block_major);
}

static gen_node *build_to_space(check *c)
{
    const block_case *k = c->arg;
    return gen_depth_to_space(c->g, check_in(c, k->x), k->b, k->block_major);
}

/* clang-format off */
static const block_case
    block_1     = { { 4, { 1, 3, 2, 4 } }, 1, false },
    block_2     = { { 4, { 2, 4, 6, 8 } }, 2, false },
    block_2_tf  = { { 4, { 2, 4, 6, 8 } }, 2, true },
    block_3     = { { 4, { 1, 6, 9, 9 } }, 3, false },
    block_3_tf  = { { 4, { 1, 6, 9, 9 } }, 3, true },
    block_c1    = { { 4, { 1, 8, 8, 1 } }, 2, false },
    block_to_1  = { { 4, { 1, 3, 4, 4 } }, 2, true },
    block_large = { { 4, { 2, 64, 66, 8 } }, 2, false },
    block_bench = { { 4, { 4, 256, 256, 4 } }, 2, false };
/* clang-format on */

#define UP(name, f) { &gen_op_upsample, #name, build_up, &name, f },
#define AVG(name, f) { &gen_op_avg_pool, #name, build_avg, &name, f },
#define MAX(name, f) { &gen_op_max_pool, #name, build_max, &name, f },
#define AVG_DX(name, f) { &gen_op_avg_pool_dx, #name, build_avg_dx, &name, f },
#define MAX_DX(name, f) { &gen_op_max_pool_dx, #name, build_max_dx, &name, f },
#define DEPTH(name, f) { &gen_op_space_to_depth, #name, build_to_depth, &name, f },
#define SPACE(name, f) { &gen_op_depth_to_space, #name, build_to_space, &name, f },

/* clang-format off */
const check_case check_resample[] = {
    UP(up_one, 0) UP(up_plane, 0) UP(up_mixed, 0) UP(up_line, 0) UP(up_solid, 0)
    UP(up_large, 0)
    UP(up_bench, CHECK_BENCH)
    POOLS(AVG) POOLS(MAX) POOLS(AVG_DX) POOLS(MAX_DX)
    DEPTH(block_1, 0) DEPTH(block_2, 0) DEPTH(block_2_tf, 0) DEPTH(block_3, 0) DEPTH(block_3_tf, 0)
    DEPTH(block_c1, 0) DEPTH(block_large, 0) DEPTH(block_bench, CHECK_BENCH)
    SPACE(block_1, 0) SPACE(block_2, 0) SPACE(block_2_tf, 0) SPACE(block_3, 0) SPACE(block_3_tf, 0)
    SPACE(block_to_1, 0) SPACE(block_large, 0) SPACE(block_bench, CHECK_BENCH)
    { 0 },
};
/* clang-format on */
