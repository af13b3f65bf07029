/* SPDX-License-Identifier: Apache-2.0
 *
 * 2-D blocks of b x b cells to channels and back, [N,H,W,C] <-> [N,H/b,W/b,C*b*b]: pure movement,
 * each the other's inverse and adjoint. The new channels are ordered (row, col, c) with block_major
 * (TensorFlow), else (c, row, col) (PyTorch's pixel_unshuffle).
 */
#include "libgen/ops/shape_rules.h"

static const gen_option options[] = {
    { GEN_OPT_INT, "block", .offset = offsetof(gen_fold_attr, block) },
    { GEN_OPT_FLAG, "block_major", .offset = offsetof(gen_fold_attr, block_major) },
    { GEN_OPT_END },
};

static gen_status check(const gen_node *n, gen_shape *x)
{
    char text[GEN_SHAPE_TEXT];
    int64_t b = ((const gen_fold_attr *)n->attr)->block;
    *x = gen_node_shape(n->in[0]);
    if (x->rank != 4)
        return gen_fail(GEN_EINVAL, "x is %s, expected [N,H,W,C]", gen_shape_text(*x, text));
    if (b < 1 || b > 1024)
        return gen_fail(GEN_EINVAL, "block is %lld, expected 1 to 1024", (long long)b);
    return GEN_OK;
}

static gen_status to_depth_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    char text[GEN_SHAPE_TEXT];
    gen_shape x;
    GEN_TRY(check(n, &x));
    int64_t b = ((const gen_fold_attr *)n->attr)->block;
    if (x.dim[1] % b || x.dim[2] % b)
        return gen_fail(GEN_EINVAL, "x is %s, expected height and width divisible by %lld",
                        gen_shape_text(x, text), (long long)b);
    shape[0] = GEN_SHAPE(x.dim[0], x.dim[1] / b, x.dim[2] / b, x.dim[3] * b * b);
    dtype[0] = gen_node_dtype(n->in[0]);
    return GEN_OK;
}

static gen_status to_space_infer(const gen_node *n, gen_shape *shape, gen_dtype *dtype)
{
    char text[GEN_SHAPE_TEXT];
    gen_shape x;
    GEN_TRY(check(n, &x));
    int64_t b = ((const gen_fold_attr *)n->attr)->block;
    if (x.dim[3] % (b * b))
        return gen_fail(GEN_EINVAL, "x is %s, expected channels divisible by %lld",
                        gen_shape_text(x, text), (long long)(b * b));
    shape[0] = GEN_SHAPE(x.dim[0], x.dim[1] * b, x.dim[2] * b, x.dim[3] / (b * b));
    dtype[0] = gen_node_dtype(n->in[0]);
    return GEN_OK;
}

/* Copies between `fine` [N,H,W,C] and `deep` [N,H/b,W/b,C*b*b]. */
static void move(const gen_fold_attr *a, gen_shape fine, double *to, const double *from,
                 bool to_deep)
{
    int64_t b = a->block, c = fine.dim[3], width = fine.dim[2] / b;
    int64_t step = a->block_major ? 1 : b * b; /* between channels of one cell in deep */
    for (int64_t y = 0; y < fine.dim[0] * fine.dim[1]; y++) /* height is divisible by b */
        for (int64_t x = 0; x < fine.dim[2]; x++) {
            int64_t in_block = y % b * b + x % b;
            int64_t deep = (y / b * width + x / b) * c * b * b +
                           (a->block_major ? in_block * c : in_block);
            int64_t at = (y * fine.dim[2] + x) * c;
            for (int64_t i = 0; i < c; i++)
                *(to_deep ? &to[deep + i * step] : &to[at + i]) =
                    from[to_deep ? at + i : deep + i * step];
        }
}

static void to_depth_ref(const gen_node *n, const double *const in[], double *const out[])
{
    move(n->attr, gen_node_shape(n->in[0]), out[0], in[0], true);
}

static void to_space_ref(const gen_node *n, const double *const in[], double *const out[])
{
    move(n->attr, n->shape[0], out[0], in[0], false);
}

static void to_depth_grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                          gen_node *dx[])
{
    const gen_fold_attr *a = n->attr;
    if (needs[0])
        dx[0] = gen_depth_to_space(g, dy[0], (int)a->block, a->block_major);
}

static void to_space_grad(gen_graph *g, gen_node *n, gen_node *const dy[], const bool needs[],
                          gen_node *dx[])
{
    const gen_fold_attr *a = n->attr;
    if (needs[0])
        dx[0] = gen_space_to_depth(g, dy[0], (int)a->block, a->block_major);
}

const gen_op gen_op_space_to_depth = {
    .name = "space_to_depth",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(gen_fold_attr),
    .attrs = options,
    .infer = to_depth_infer,
    .grad = to_depth_grad,
    .ref = to_depth_ref,
};

const gen_op gen_op_depth_to_space = {
    .name = "depth_to_space",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(gen_fold_attr),
    .attrs = options,
    .infer = to_space_infer,
    .grad = to_space_grad,
    .ref = to_space_ref,
};

gen_node *gen_space_to_depth(gen_graph *g, gen_node *x, int b, bool block_major)
{
    gen_fold_attr a = { .block = b, .block_major = block_major };
    return gen_node_add(g, &gen_op_space_to_depth, &a, &x, 1);
}

gen_node *gen_depth_to_space(gen_graph *g, gen_node *x, int b, bool block_major)
{
    gen_fold_attr a = { .block = b, .block_major = block_major };
    return gen_node_add(g, &gen_op_depth_to_space, &a, &x, 1);
}
