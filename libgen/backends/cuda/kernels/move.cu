/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves of elements, for every size of one. What is moved at a time is as wide as addresses, runs
 * and steps allow, up to 16 bytes. Two ways: element by element in the order of the result, and,
 * where the source is dense along another axis than the result, in tiles through shared memory, so
 * that both sides are read and written in whole lines.
 */
#include "libgen/backends/cuda/kernels/move.h"

#include "libgen/backends/cuda/kernels/index.cuh"
#include "libgen/backends/cuda/kernels/vector.cuh"

enum { THREADS = 256, UNITS = 4, LEAST = 16 }; /* LEAST: of the sides of a tile */

/* Sizes and steps in units. */
typedef struct move {
    const void *from;
    void *to;
    int64_t units;
    int rank;
    gen_divisor dim[GEN_MAX_RANK];
    int64_t to_step[GEN_MAX_RANK], from_step[GEN_MAX_RANK];
    int64_t lo[GEN_MAX_RANK], size[GEN_MAX_RANK];
    uint4 value;
} move;

/* ---- in the order of the result -------------------------------------------------------------- */

template <class U, bool WINDOW>
static __global__ void move_kernel(const move a)
{
    int64_t first = static_cast<int64_t>(blockIdx.x) * (THREADS * UNITS) + threadIdx.x;
    int64_t to[UNITS];
    U x[UNITS];
#pragma unroll
    for (int u = 0; u < UNITS; u++) {
        int64_t i = first + u * THREADS, from = 0;
        bool inside = true;
        to[u] = -1;
        if (i >= a.units)
            continue;
        to[u] = 0;
        for (int k = a.rank - 1; k >= 0; k--) {
            int64_t at = k ? gen_split(&i, a.dim[k]) : i;
            to[u] += at * a.to_step[k];
            if (WINDOW) {
                at -= a.lo[k];
                inside &= at >= 0 && at < a.size[k];
            }
            from += at * a.from_step[k];
        }
        if (WINDOW)
            memcpy(&x[u], &a.value, sizeof x[u]);
        if (inside)
            x[u] = static_cast<const U *>(a.from)[from];
    }
#pragma unroll
    for (int u = 0; u < UNITS; u++)
        if (to[u] >= 0)
            static_cast<U *>(a.to)[to[u]] = x[u];
}

/* ---- in tiles -------------------------------------------------------------------------------- */

/* The last axis is dense in the result, the one before it in the source. */
typedef struct tiles {
    const void *from;
    void *to;
    int64_t dim[2];  /* of the last axis but one, and of the last */
    int64_t step[2]; /* of the result along the former, of the source along the latter */
    gen_divisor count[2]; /* tiles along them */
    int outer;
    gen_divisor outer_dim[GEN_MAX_RANK];
    int64_t to_step[GEN_MAX_RANK], from_step[GEN_MAX_RANK];
} tiles;

/* A side is a line of 128 bytes, where that is not less than 32 units. */
template <class U> struct tile { enum { SIDE = sizeof(U) < 4 ? 64 : 32 }; };

template <class U>
static __global__ void tile_kernel(const tiles a)
{
    enum { SIDE = tile<U>::SIDE, ROWS = THREADS / 32 };
    /* Columns lie in different banks: a row is one word longer. */
    __shared__ U cells[SIDE][SIDE + (sizeof(U) < 4 ? 4 / sizeof(U) : 1)];
    int64_t block = blockIdx.x, to = 0, from = 0;
    int64_t last = SIDE * gen_split(&block, a.count[1]);
    int64_t before = SIDE * gen_split(&block, a.count[0]);
    for (int k = a.outer - 1; k >= 0; k--) {
        int64_t at = k ? gen_split(&block, a.outer_dim[k]) : block;
        to += at * a.to_step[k];
        from += at * a.from_step[k];
    }
    int column = threadIdx.x % 32, row = threadIdx.x / 32;
#pragma unroll
    for (int i = 0; i < SIDE; i += ROWS)
#pragma unroll
        for (int c = 0; c < SIDE; c += 32)
            if (last + i + row < a.dim[1] && before + c + column < a.dim[0])
                cells[i + row][c + column] =
                    static_cast<const U *>(a.from)[from + (last + i + row) * a.step[1] +
                                                   before + c + column];
    __syncthreads();
#pragma unroll
    for (int i = 0; i < SIDE; i += ROWS)
#pragma unroll
        for (int c = 0; c < SIDE; c += 32)
            if (before + i + row < a.dim[0] && last + c + column < a.dim[1])
                static_cast<U *>(a.to)[to + (before + i + row) * a.step[0] + last + c + column] =
                    cells[c + column][i + row];
}

/* ---- launching ------------------------------------------------------------------------------- */

/* How many elements, a power of two, can be moved as one. */
static int64_t unit_of(const gen_cuda_move_args *a)
{
    const gen_move *m = &a->move;
    int last = m->rank - 1;
    if (m->to[last] != 1 || m->from[last] != 1)
        return 1;
    for (int64_t n = 16 / m->size; n > 1; n /= 2) {
        bool fits = m->dim[last] % n == 0 && gen_aligned(a->to, n * m->size) &&
                    gen_aligned(a->from, n * m->size) && m->to_first % n == 0 &&
                    m->from_first % n == 0;
        for (int k = 0; k < last; k++)
            fits = fits && m->to[k] % n == 0 && m->from[k] % n == 0;
        if (a->window)
            fits = fits && a->lo[last] % n == 0 && a->size[last] % n == 0;
        if (fits)
            return n;
    }
    return 1;
}

/* The same move of units of n elements. */
static gen_cuda_move_args in_units(const gen_cuda_move_args *a, int64_t n)
{
    gen_cuda_move_args u = *a;
    gen_move *m = &u.move;
    int last = m->rank - 1;
    m->size *= n;
    m->to_first /= n;
    m->from_first /= n;
    m->dim[last] /= n;
    u.lo[last] /= n;
    u.size[last] /= n;
    for (int k = 0; k < last; k++) {
        m->to[k] /= n;
        m->from[k] /= n;
    }
    if (last > 0 && m->dim[last] == 1)
        m->rank--;
    u.to = static_cast<char *>(u.to) + m->to_first * m->size;
    u.from = static_cast<const char *>(u.from) + m->from_first * m->size;
    return u;
}

/* The axis along which the source is dense, for tiles; -1: no tiles. */
static int tiled_axis(const gen_cuda_move_args *a)
{
    const gen_move *m = &a->move;
    int last = m->rank - 1;
    if (a->window || m->to[last] != 1 || m->dim[last] < LEAST || m->from[last] < LEAST)
        return -1;
    for (int k = 0; k < last; k++)
        if (m->from[k] == 1 && m->dim[k] >= LEAST)
            return k;
    return -1;
}

template <class U>
static cudaError_t launch_tiles(const gen_cuda_move_args *a, int axis, cudaStream_t s)
{
    const gen_move *m = &a->move;
    int last = m->rank - 1, side = tile<U>::SIDE;
    tiles t = { a->from, a->to, { m->dim[axis], m->dim[last] }, { m->to[axis], m->from[last] },
                {}, 0, {}, {}, {} };
    int64_t count[2] = { (t.dim[0] + side - 1) / side, (t.dim[1] + side - 1) / side };
    int64_t blocks = count[0] * count[1];
    for (int k = 0; k < last; k++)
        blocks *= k == axis ? 1 : m->dim[k];
    for (int k = 0; k < last; k++)
        if (k != axis) {
            t.outer_dim[t.outer] = gen_divisor_of(m->dim[k], blocks);
            t.to_step[t.outer] = m->to[k];
            t.from_step[t.outer++] = m->from[k];
        }
    for (int i = 0; i < 2; i++)
        t.count[i] = gen_divisor_of(count[i], blocks);
    return gen_launch(tile_kernel<U>, static_cast<unsigned>(blocks), THREADS, s, t);
}

template <class U>
static cudaError_t launch(const gen_cuda_move_args *a, cudaStream_t s)
{
    const gen_move *m = &a->move;
    int axis = tiled_axis(a);
    if (axis >= 0)
        return launch_tiles<U>(a, axis, s);
    move v = { a->from, a->to, 1, m->rank, {}, {}, {}, {}, {}, {} };
    for (int k = 0; k < m->rank; k++)
        v.units *= m->dim[k];
    for (int k = 0; k < m->rank; k++) {
        v.dim[k] = gen_divisor_of(m->dim[k], v.units);
        v.to_step[k] = m->to[k];
        v.from_step[k] = m->from[k];
        v.lo[k] = a->lo[k];
        v.size[k] = a->size[k];
    }
    memcpy(&v.value, a->value, sizeof v.value);
    unsigned blocks = gen_blocks(v.units, THREADS * UNITS);
    if (a->window)
        return gen_launch(move_kernel<U, true>, blocks, THREADS, s, v);
    return gen_launch(move_kernel<U, false>, blocks, THREADS, s, v);
}

cudaError_t gen_cuda_move(const gen_cuda_move_args *a, cudaStream_t s)
{
    gen_cuda_move_args u = in_units(a, unit_of(a));
    switch (u.move.size) {
    case 1: return launch<gen_raw<1>::type>(&u, s);
    case 2: return launch<gen_raw<2>::type>(&u, s);
    case 4: return launch<gen_raw<4>::type>(&u, s);
    case 8: return launch<gen_raw<8>::type>(&u, s);
    default: return launch<gen_raw<16>::type>(&u, s);
    }
}
