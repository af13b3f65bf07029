/* SPDX-License-Identifier: Apache-2.0
 *
 * gather and crop move rows chosen by a tensor of integers, for every dtype; gather_dx adds them up
 * in the order of the index. Neither trusts an index: see <libgen/ops.h> for those outside.
 */
#include <string.h>

#include "libgen/backends/cpu/vector.h"

enum { ADD_BLOCK = 1024 }; /* elements of bf16 that are added in f32 at a time */

static int64_t index_at(const void *index, gen_dtype t, int64_t i)
{
    return t == GEN_I32 ? ((const int32_t *)index)[i] : ((const int64_t *)index)[i];
}

static bool index_is_integer(const gen_node *n)
{
    return n->in[1]->dtype[0] == GEN_I32 || n->in[1]->dtype[0] == GEN_I64;
}

/* ---- gather, gather_dx --------------------------------------------------------------------- */

/* x [outer, dim, inner], y [outer, K, inner]. */
typedef struct gather_state {
    const gen_vec *vec;
    int64_t outer, dim, inner, rows, bytes; /* rows: K; bytes of an element */
    gen_dtype index;
    int64_t together; /* gather: rows of y in a piece; gather_dx: columns of x */
    int64_t pieces;
} gather_state;

typedef struct index_args {
    const void *state;
    const void *x, *index;
    void *y;
} index_args;

static gen_status gather_state_make(gen_prepare *p, gen_shape x)
{
    const gen_node *n = p->node;
    int axis = (int)((const gen_gather_attr *)n->attr)->axis;
    gather_state *s;
    GEN_TRY(GEN_ALLOC(&s, 1, "gather kernel"));
    s->vec = gen_vec_of(p->backend->isa);
    s->outer = s->inner = 1;
    for (int i = 0; i < axis; i++)
        s->outer *= x.dim[i];
    for (int i = axis + 1; i < x.rank; i++)
        s->inner *= x.dim[i];
    s->dim = x.dim[axis];
    s->rows = n->in[1]->shape[0].dim[0];
    s->bytes = (int64_t)gen_dtype_size(n->dtype[0]);
    s->index = n->in[1]->dtype[0];
    p->state = s;
    return GEN_OK;
}

static bool gather_accepts(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    (void)b, (void)is_const;
    return index_is_integer(n);
}

static gen_status gather_prepare(gen_prepare *p)
{
    GEN_TRY(gather_state_make(p, p->node->in[0]->shape[0]));
    gather_state *s = p->state;
    s->together = gen_vec_ceil(GEN_PIECE, s->inner);
    s->pieces = gen_vec_ceil(s->outer * s->rows, s->together);
    return GEN_OK;
}

static void gather_piece(void *ctx, int piece, int thread)
{
    const index_args *a = ctx;
    const gather_state *s = a->state;
    int64_t row = piece * s->together, all = s->outer * s->rows, bytes = s->inner * s->bytes;
    int64_t end = row + s->together < all ? row + s->together : all;
    (void)thread;
    for (; row < end; row++) {
        int64_t i = index_at(a->index, s->index, row % s->rows);
        char *to = (char *)a->y + row * bytes;
        if (i < 0 || i >= s->dim)
            memset(to, 0, (size_t)bytes);
        else
            memcpy(to, (const char *)a->x + (row / s->rows * s->dim + i) * bytes, (size_t)bytes);
    }
}

static gen_status gather_run(void *state, const void *const in[], void *const out[],
                             void *workspace, gen_backend *b)
{
    const gather_state *s = state;
    index_args a = { s, in[0], in[1], out[0] };
    (void)workspace;
    gen_vec_run(b, s->pieces, s->outer * s->rows * s->inner, gather_piece, &a);
    return GEN_OK;
}

const gen_kernel gen_vec_gather_kernel = {
    .name = "vector/gather",
    .op = &gen_op_gather,
    .accepts = gather_accepts,
    .prepare = gather_prepare,
    .run = gather_run,
};

static bool gather_dx_accepts(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    (void)b, (void)is_const;
    return index_is_integer(n) && gen_vec_is_float(n->dtype[0]);
}

/* A piece is a run of columns of one outer index: pieces never add to the same place. */
static gen_status gather_dx_prepare(gen_prepare *p)
{
    GEN_TRY(gather_state_make(p, p->node->shape[0]));
    gather_state *s = p->state;
    int64_t width = gen_vec_ceil(gen_vec_ceil(GEN_PIECE, s->rows + s->dim), 1024) * 1024;
    s->together = width < s->inner ? width : s->inner;
    s->pieces = s->outer * gen_vec_ceil(s->inner, s->together);
    return GEN_OK;
}

/* n elements of dy added to those of dx. */
static void add_row(const gather_state *s, char *dx, const char *dy, int64_t n)
{
    float a[ADD_BLOCK], b[ADD_BLOCK];
    if (s->bytes == sizeof(float)) {
        s->vec->binary[GEN_BINARY_ADD]((float *)dx, (float *)dx, (const float *)dy, n);
        return;
    }
    for (int64_t i = 0; i < n; i += ADD_BLOCK) {
        int64_t m = n - i < ADD_BLOCK ? n - i : ADD_BLOCK;
        s->vec->from_bf16(a, (const uint16_t *)dx + i, m);
        s->vec->from_bf16(b, (const uint16_t *)dy + i, m);
        s->vec->binary[GEN_BINARY_ADD](a, a, b, m);
        s->vec->to_bf16((uint16_t *)dx + i, a, m);
    }
}

static void gather_dx_piece(void *ctx, int piece, int thread)
{
    const index_args *a = ctx;
    const gather_state *s = a->state;
    int64_t parts = gen_vec_ceil(s->inner, s->together), outer = piece / parts;
    int64_t first = piece % parts * s->together;
    int64_t n = s->inner - first < s->together ? s->inner - first : s->together;
    const char *dy = (const char *)a->x + (outer * s->rows * s->inner + first) * s->bytes;
    char *dx = (char *)a->y + (outer * s->dim * s->inner + first) * s->bytes;
    (void)thread;
    for (int64_t i = 0; i < s->dim; i++)
        memset(dx + i * s->inner * s->bytes, 0, (size_t)(n * s->bytes));
    for (int64_t r = 0; r < s->rows; r++) {
        int64_t i = index_at(a->index, s->index, r);
        if (i < 0 || i >= s->dim)
            continue;
        add_row(s, dx + i * s->inner * s->bytes, dy + r * s->inner * s->bytes, n);
    }
}

static gen_status gather_dx_run(void *state, const void *const in[], void *const out[],
                                void *workspace, gen_backend *b)
{
    const gather_state *s = state;
    index_args a = { s, in[0], in[1], out[0] };
    (void)workspace;
    gen_vec_run(b, s->pieces, s->outer * (s->rows + s->dim) * s->inner, gather_dx_piece, &a);
    return GEN_OK;
}

const gen_kernel gen_vec_gather_dx_kernel = {
    .name = "vector/gather_dx",
    .op = &gen_op_gather_dx,
    .accepts = gather_dx_accepts,
    .prepare = gather_dx_prepare,
    .run = gather_dx_run,
};

/* ---- crop, crop_dx ------------------------------------------------------------------------- */

/* image [N,H,W,C], window [N,h,w,C]; a piece is an image. */
typedef struct crop_state {
    int64_t images, height, width, h, w, bytes; /* bytes of a cell, all channels */
    gen_dtype index;
    bool per_image, back; /* back: window -> image, the rest 0 */
} crop_state;

static bool crop_serves(const gen_op *op)
{
    return op == &gen_op_crop || op == &gen_op_crop_dx;
}

static bool crop_accepts(const gen_node *n, const gen_backend *b, const bool *is_const)
{
    (void)b, (void)is_const;
    return index_is_integer(n);
}

static gen_status crop_prepare(gen_prepare *p)
{
    const gen_node *n = p->node;
    bool back = n->op == &gen_op_crop_dx;
    gen_shape image = back ? n->shape[0] : n->in[0]->shape[0];
    gen_shape window = back ? n->in[0]->shape[0] : n->shape[0];
    crop_state *s;
    GEN_TRY(GEN_ALLOC(&s, 1, "crop kernel"));
    *s = (crop_state){ .images = image.dim[0],
                       .height = image.dim[1],
                       .width = image.dim[2],
                       .h = window.dim[1],
                       .w = window.dim[2],
                       .bytes = image.dim[3] * (int64_t)gen_dtype_size(n->dtype[0]),
                       .index = n->in[1]->dtype[0],
                       .per_image = n->in[1]->shape[0].dim[0] > 1,
                       .back = back };
    p->state = s;
    return GEN_OK;
}

static int64_t limit(int64_t at, int64_t room)
{
    return at < 0 ? 0 : at < room ? at : room;
}

static void crop_piece(void *ctx, int piece, int thread)
{
    const index_args *a = ctx;
    const crop_state *s = a->state;
    int64_t image = s->height * s->width * s->bytes, window = s->h * s->w * s->bytes;
    int64_t at = s->per_image ? 2 * piece : 0;
    int64_t row = limit(index_at(a->index, s->index, at), s->height - s->h);
    int64_t col = limit(index_at(a->index, s->index, at + 1), s->width - s->w);
    const char *from = (const char *)a->x + piece * (s->back ? window : image);
    char *to = (char *)a->y + piece * (s->back ? image : window);
    (void)thread;
    if (s->back)
        memset(to, 0, (size_t)image);
    for (int64_t y = 0; y < s->h; y++) {
        int64_t large = ((row + y) * s->width + col) * s->bytes, small = y * s->w * s->bytes;
        memcpy(to + (s->back ? large : small), from + (s->back ? small : large),
               (size_t)(s->w * s->bytes));
    }
}

static gen_status crop_run(void *state, const void *const in[], void *const out[], void *workspace,
                           gen_backend *b)
{
    const crop_state *s = state;
    index_args a = { s, in[0], in[1], out[0] };
    int64_t cells = s->back ? s->height * s->width : s->h * s->w;
    (void)workspace;
    gen_vec_run(b, s->images, s->images * cells * s->bytes / 4, crop_piece, &a);
    return GEN_OK;
}

const gen_kernel gen_vec_crop_kernel = {
    .name = "vector/crop",
    .serves = crop_serves,
    .accepts = crop_accepts,
    .prepare = crop_prepare,
    .run = crop_run,
};
