/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolutions of our own, and what stands around cuDNN's.
 *
 * All three directions are products of two matrices that are never built (m rows, n columns, sums
 * over k): each block makes a tile of the result, and fetches the two strips that it needs by the
 * geometry. FORWARD: m = cell of y, n = channel of y, k = (tap, channel of x). DATA: m = cell of x,
 * n = channel of x, k = (tap, channel of y). FILTER: m = channel of y, n = (tap, channel of x), k =
 * cell of y.
 */
#include "libgen/backends/cuda/kernels/conv.h"

#include "libgen/backends/cuda/kernels/activation.cuh"
#include "libgen/backends/cuda/kernels/index.cuh"
#include "libgen/backends/cuda/kernels/vector.cuh"

enum { THREADS = 256 };

static __device__ __forceinline__ int64_t thread_index()
{
    return static_cast<int64_t>(blockIdx.x) * THREADS + threadIdx.x;
}

/* ---- weights --------------------------------------------------------------------------------- */

template <class T> static __global__ void pack_kernel(const gen_cuda_pack_args a)
{
    int64_t i = thread_index();
    if (i >= a.n)
        return;
    int c = static_cast<int>(i % a.to_cin);
    int64_t row = i / a.to_cin;
    int t = static_cast<int>(row % a.taps);
    int64_t o = row / a.taps;
    bool inside = o < a.cout && c < a.cin;
    gen_store(static_cast<T *>(a.to) + i, inside ? a.w[(o * a.cin + c) * a.taps + t] : 0);
}

cudaError_t gen_cuda_pack_weights(const gen_cuda_pack_args *a, cudaStream_t s)
{
    unsigned blocks = gen_blocks(a->n, THREADS);
    if (a->bf16)
        return gen_launch(pack_kernel<__nv_bfloat16>, blocks, THREADS, s, *a);
    return gen_launch(pack_kernel<float>, blocks, THREADS, s, *a);
}

template <class T> static __global__ void unpack_kernel(const gen_cuda_unpack_args a)
{
    int64_t i = thread_index(), n = static_cast<int64_t>(a.cout) * a.taps * a.cin;
    if (i >= n)
        return;
    int c = static_cast<int>(i % a.cin);
    int64_t row = i / a.cin;
    int t = static_cast<int>(row % a.taps);
    int64_t o = row / a.taps;
    const T *from = static_cast<const T *>(a.from) + row * a.from_cin + c;
    float sum = 0;
    for (int p = 0; p < a.parts; p++)
        sum += gen_load(from + p * a.part);
    a.dw[(o * a.cin + c) * a.taps + t] = sum;
}

cudaError_t gen_cuda_unpack_weights(const gen_cuda_unpack_args *a, cudaStream_t s)
{
    unsigned blocks = gen_blocks(static_cast<int64_t>(a->cout) * a->taps * a->cin, THREADS);
    if (a->bf16)
        return gen_launch(unpack_kernel<__nv_bfloat16>, blocks, THREADS, s, *a);
    return gen_launch(unpack_kernel<float>, blocks, THREADS, s, *a);
}

/* ---- padding, finishing ---------------------------------------------------------------------- */

template <class T> static __global__ void pad_kernel(const gen_cuda_pad_channels_args a)
{
    int64_t i = thread_index();
    if (i >= a.n * a.to_c)
        return;
    int64_t cell = i / a.to_c;
    int c = static_cast<int>(i % a.to_c);
    const T *from = static_cast<const T *>(a.from);
    gen_store(static_cast<T *>(a.to) + i, c < a.from_c ? gen_load(from + cell * a.from_c + c) : 0);
}

cudaError_t gen_cuda_pad_channels(const gen_cuda_pad_channels_args *a, cudaStream_t s)
{
    unsigned blocks = gen_blocks(a->n * a->to_c, THREADS);
    if (a->bf16)
        return gen_launch(pad_kernel<__nv_bfloat16>, blocks, THREADS, s, *a);
    return gen_launch(pad_kernel<float>, blocks, THREADS, s, *a);
}

typedef struct finishing {
    gen_cuda_finish_args a;
    int64_t units; /* of V channels */
    gen_divisor per_cell, width, height;
} finishing;

/* Where cell `cell` of y has its channels in `from`. */
static __device__ __forceinline__ int64_t source_of(const finishing &f, int64_t cell)
{
    const gen_cuda_finish_args &a = f.a;
    if (!a.h)
        return cell * a.from_c;
    int column = static_cast<int>(gen_split(&cell, f.width)) + 1;
    int row = static_cast<int>(gen_split(&cell, f.height)) + 1;
    int64_t corner = (cell * (a.h / 2 + 1) + row / 2) * (a.w / 2 + 1) + column / 2;
    return corner * a.from_c + (row % 2 * 2 + column % 2) * a.c;
}

/* V channels of one cell a thread. */
template <class T, int V> static __global__ void finish_kernel(const finishing f)
{
    const gen_cuda_finish_args &a = f.a;
    int64_t cell = thread_index(), at = cell * V;
    if (cell >= f.units)
        return;
    int c = static_cast<int>(gen_split(&cell, f.per_cell)) * V;
    float v[V], r[V] = {};
    gen_load_vector<V>(static_cast<const T *>(a.from) + source_of(f, cell) + c, v);
    if (a.residual)
        gen_load_vector<V>(static_cast<const T *>(a.residual) + at, r);
    for (int j = 0; j < V; j++)
        v[j] = gen_activated(a.act, a.slope, v[j] + (a.bias ? a.bias[c + j] : 0) + r[j]);
    gen_store_vector<V>(static_cast<T *>(a.y) + at, v);
}

template <class T, int V>
static cudaError_t launch_finish(const gen_cuda_finish_args &a, cudaStream_t s)
{
    int64_t units = a.n * (a.c / V);
    finishing f = { a, units, gen_divisor_of(a.c / V, units), gen_divisor_of(a.h ? a.w : 1, a.n),
                    gen_divisor_of(a.h ? a.h : 1, a.n) };
    return gen_launch(finish_kernel<T, V>, gen_blocks(units, THREADS), THREADS, s, f);
}

template <class T> static cudaError_t finish(const gen_cuda_finish_args &a, cudaStream_t s)
{
    enum { V = gen_wide<T>::N };
    if (a.c % V == 0 && a.from_c % V == 0 && gen_aligned(a.from, 16) &&
        gen_aligned(a.residual, 16) && gen_aligned(a.y, 16))
        return launch_finish<T, V>(a, s);
    return launch_finish<T, 1>(a, s);
}

cudaError_t gen_cuda_finish(const gen_cuda_finish_args *a, cudaStream_t s)
{
    return a->bf16 ? finish<__nv_bfloat16>(*a, s) : finish<float>(*a, s);
}

/* ---- convolution ----------------------------------------------------------------------------- */

enum {
    TILE = 64,  /* rows and columns of the result that a block makes */
    DEPTH = 16, /* of k at a time */
    EACH = 4,   /* rows and columns of a thread; and what it fetches of a strip */
    SIDE = TILE / EACH
};

typedef float strips[DEPTH][TILE + 1];

struct triple {
    int v[3];
};

/* Cell i of n images of the given size; also: tap i of a kernel. */
static __device__ __forceinline__ triple unfold(unsigned i, const int size[3], int *n)
{
    triple p;
    p.v[2] = static_cast<int>(i % static_cast<unsigned>(size[2]));
    i /= static_cast<unsigned>(size[2]);
    p.v[1] = static_cast<int>(i % static_cast<unsigned>(size[1]));
    i /= static_cast<unsigned>(size[1]);
    p.v[0] = static_cast<int>(i % static_cast<unsigned>(size[0]));
    *n = static_cast<int>(i / static_cast<unsigned>(size[0]));
    return p;
}

/* The cell of x that tap k of position q of y reads, or -1. */
static __device__ __forceinline__ int64_t cell_of_x(const gen_cuda_conv_args &a, int n,
                                                    const triple &q, const triple &k)
{
    int64_t cell = n;
    for (int i = 0; i < 3; i++) {
        int64_t p = static_cast<int64_t>(q.v[i]) * a.stride[i] - a.pad[i] +
                    static_cast<int64_t>(k.v[i]) * a.dilation[i];
        if (p < 0 || p >= a.in[i])
            return -1;
        cell = cell * a.in[i] + p;
    }
    return cell;
}

/* The cell of y that reads position p of x with tap k, or -1. */
static __device__ __forceinline__ int64_t cell_of_y(const gen_cuda_conv_args &a, int n,
                                                    const triple &p, const triple &k)
{
    int64_t cell = n;
    for (int i = 0; i < 3; i++) {
        int64_t q = static_cast<int64_t>(p.v[i]) + a.pad[i] -
                    static_cast<int64_t>(k.v[i]) * a.dilation[i];
        if (q < 0 || q % a.stride[i])
            return -1;
        q /= a.stride[i];
        if (q >= a.out[i])
            return -1;
        cell = cell * a.out[i] + q;
    }
    return cell;
}

/* What a block makes: rows from m0, columns from n0, of one group; sums over [k0, k1). */
struct task {
    int m, n; /* of the whole product, a group */
    int m0, n0, k0, k1, group;
};

/* The element of a strip that this thread fetches in round i: neighbours run along k where memory
 * does, else along the rows. */
static __device__ __forceinline__ void along_k(int i, int *row, int *k)
{
    *k = static_cast<int>(threadIdx.x) % DEPTH;
    *row = static_cast<int>(threadIdx.x) / DEPTH + i * (THREADS / DEPTH);
}

static __device__ __forceinline__ void along_rows(int i, int *row, int *k)
{
    *row = static_cast<int>(threadIdx.x) % TILE;
    *k = static_cast<int>(threadIdx.x) / TILE + i * (THREADS / TILE);
}

/* FORWARD and DATA: rows are cells, k is (tap, channel of what is read). */
template <class T, int WAY> struct cells {
    const T *from;
    int64_t channels, first; /* of what is read: in a cell, of the group */
    int each;                /* channels of the group */
    triple at[EACH];
    int image[EACH]; /* -1: behind the last row */

    __device__ cells(const gen_cuda_conv_args &a, const task &t)
    {
        channels = WAY == GEN_CUDA_CONV_FORWARD ? a.cin : a.cout;
        each = static_cast<int>(channels / a.groups);
        first = static_cast<int64_t>(t.group) * each;
        from = static_cast<const T *>(WAY == GEN_CUDA_CONV_FORWARD ? a.x : a.y);
        for (int i = 0; i < EACH; i++) {
            int row, k;
            along_k(i, &row, &k);
            image[i] = -1;
            if (t.m0 + row < t.m)
                at[i] = unfold(static_cast<unsigned>(t.m0 + row),
                               WAY == GEN_CUDA_CONV_FORWARD ? a.out : a.in, &image[i]);
        }
    }

    __device__ void load(const gen_cuda_conv_args &a, const task &t, int k0, strips to) const
    {
        int row, k, unused;
        along_k(0, &row, &k);
        bool inside = k0 + k < t.k1;
        triple tap = unfold(static_cast<unsigned>((k0 + k) / each), a.kernel, &unused);
        int64_t channel = first + (k0 + k) % each;
        for (int i = 0; i < EACH; i++) {
            int64_t cell = -1;
            along_k(i, &row, &k);
            if (inside && image[i] >= 0)
                cell = WAY == GEN_CUDA_CONV_FORWARD ? cell_of_x(a, image[i], at[i], tap)
                                                    : cell_of_y(a, image[i], at[i], tap);
            to[k][row] = cell < 0 ? 0 : gen_load(from + cell * channels + channel);
        }
    }
};

/* FORWARD and DATA: the packed weights, columns are channels of the result. */
template <class T, int WAY> struct weights {
    __device__ weights(const gen_cuda_conv_args &, const task &) {}

    __device__ void load(const gen_cuda_conv_args &a, const task &t, int k0, strips to) const
    {
        const T *w = static_cast<const T *>(a.w);
        int cin = a.cin / a.groups, cout = a.cout / a.groups;
        int taps = a.kernel[0] * a.kernel[1] * a.kernel[2];
        for (int i = 0; i < EACH; i++) {
            int col, k;
            float v = 0;
            if (WAY == GEN_CUDA_CONV_FORWARD)
                along_k(i, &col, &k);
            else
                along_rows(i, &col, &k);
            if (k0 + k < t.k1 && t.n0 + col < t.n) {
                int each = WAY == GEN_CUDA_CONV_FORWARD ? cin : cout;
                int tap = (k0 + k) / each, c = (k0 + k) % each;
                int64_t o = static_cast<int64_t>(t.group) * cout +
                            (WAY == GEN_CUDA_CONV_FORWARD ? t.n0 + col : c);
                int in = WAY == GEN_CUDA_CONV_FORWARD ? c : t.n0 + col;
                v = gen_load(w + (o * taps + tap) * a.w_cin + in);
            }
            to[k][col] = v;
        }
    }
};

/* FILTER: rows are channels of y, k its cells. */
template <class T> struct channels_of_y {
    __device__ channels_of_y(const gen_cuda_conv_args &, const task &) {}

    __device__ void load(const gen_cuda_conv_args &a, const task &t, int k0, strips to) const
    {
        const T *y = static_cast<const T *>(a.y);
        for (int i = 0; i < EACH; i++) {
            int row, k;
            along_rows(i, &row, &k);
            bool inside = k0 + k < t.k1 && t.m0 + row < t.m;
            int64_t channel = static_cast<int64_t>(t.group) * t.m + t.m0 + row;
            to[k][row] = inside ? gen_load(y + static_cast<int64_t>(k0 + k) * a.cout + channel) : 0;
        }
    }
};

/* FILTER: columns are (tap, channel of x). */
template <class T> struct windows_of_x {
    triple tap;
    int64_t channel;
    bool inside;

    __device__ windows_of_x(const gen_cuda_conv_args &a, const task &t)
    {
        int col, k, unused, each = a.cin / a.groups;
        along_rows(0, &col, &k);
        inside = t.n0 + col < t.n;
        tap = unfold(static_cast<unsigned>((t.n0 + col) / each), a.kernel, &unused);
        channel = static_cast<int64_t>(t.group) * each + (t.n0 + col) % each;
    }

    __device__ void load(const gen_cuda_conv_args &a, const task &t, int k0, strips to) const
    {
        const T *x = static_cast<const T *>(a.x);
        for (int i = 0; i < EACH; i++) {
            int col, k, n;
            int64_t cell = -1;
            along_rows(i, &col, &k);
            if (inside && k0 + k < t.k1) {
                triple q = unfold(static_cast<unsigned>(k0 + k), a.out, &n);
                cell = cell_of_x(a, n, q, tap);
            }
            to[k][col] = cell < 0 ? 0 : gen_load(x + cell * a.cin + channel);
        }
    }
};

/* sum[i][j] += the product's row SIDE*i + thread/SIDE, column SIDE*j + thread%SIDE of the tile. */
template <class Rows, class Columns>
static __device__ __forceinline__ void multiply(const gen_cuda_conv_args &a, const task &t,
                                                strips rows, strips columns,
                                                float sum[EACH][EACH])
{
    Rows r(a, t);
    Columns c(a, t);
    int top = static_cast<int>(threadIdx.x) / SIDE, left = static_cast<int>(threadIdx.x) % SIDE;
    for (int k0 = t.k0; k0 < t.k1; k0 += DEPTH) {
        r.load(a, t, k0, rows);
        c.load(a, t, k0, columns);
        __syncthreads();
        for (int k = 0; k < DEPTH; k++) {
            float u[EACH], v[EACH];
            for (int i = 0; i < EACH; i++) {
                u[i] = rows[k][top + SIDE * i];
                v[i] = columns[k][left + SIDE * i];
            }
            for (int i = 0; i < EACH; i++)
                for (int j = 0; j < EACH; j++)
                    sum[i][j] += u[i] * v[j];
        }
        __syncthreads();
    }
}

/* The product's sizes a group, and how blocks divide it: columns run fastest, then rows, groups,
 * parts. */
struct layout {
    int m, n, k, rows, columns;
};

static __host__ __device__ inline layout layout_of(const gen_cuda_conv_args &a)
{
    int taps = a.kernel[0] * a.kernel[1] * a.kernel[2];
    int x = a.n * a.in[0] * a.in[1] * a.in[2], y = a.n * a.out[0] * a.out[1] * a.out[2];
    int cin = a.cin / a.groups, cout = a.cout / a.groups;
    layout l;
    l.m = a.way == GEN_CUDA_CONV_FORWARD ? y : a.way == GEN_CUDA_CONV_DATA ? x : cout;
    l.n = a.way == GEN_CUDA_CONV_FORWARD ? cout : a.way == GEN_CUDA_CONV_DATA ? cin : taps * cin;
    l.k = a.way == GEN_CUDA_CONV_FORWARD ? taps * cin
          : a.way == GEN_CUDA_CONV_DATA  ? taps * cout
                                         : y;
    l.rows = (l.m - 1) / TILE + 1;
    l.columns = (l.n - 1) / TILE + 1;
    return l;
}

static __device__ __forceinline__ task task_of(const gen_cuda_conv_args &a, const layout &l,
                                               int *part)
{
    unsigned b = blockIdx.x;
    task t;
    t.m = l.m;
    t.n = l.n;
    t.n0 = static_cast<int>(b % static_cast<unsigned>(l.columns)) * TILE;
    b /= static_cast<unsigned>(l.columns);
    t.m0 = static_cast<int>(b % static_cast<unsigned>(l.rows)) * TILE;
    b /= static_cast<unsigned>(l.rows);
    t.group = static_cast<int>(b % static_cast<unsigned>(a.groups));
    *part = static_cast<int>(b / static_cast<unsigned>(a.groups));
    t.k0 = static_cast<int>(static_cast<int64_t>(l.k) * *part / a.parts);
    t.k1 = static_cast<int>(static_cast<int64_t>(l.k) * (*part + 1) / a.parts);
    return t;
}

/* FORWARD and DATA. */
template <class T, int WAY> static __global__ void conv_kernel(const gen_cuda_conv_args a)
{
    __shared__ strips rows, columns;
    float sum[EACH][EACH] = {};
    int part;
    task t = task_of(a, layout_of(a), &part);
    multiply<cells<T, WAY>, weights<T, WAY>>(a, t, rows, columns, sum);
    int64_t channels = WAY == GEN_CUDA_CONV_FORWARD ? a.cout : a.cin;
    for (int i = 0; i < EACH; i++)
        for (int j = 0; j < EACH; j++) {
            int row = t.m0 + static_cast<int>(threadIdx.x) / SIDE + SIDE * i;
            int col = t.n0 + static_cast<int>(threadIdx.x) % SIDE + SIDE * j;
            if (row >= t.m || col >= t.n)
                continue;
            int64_t c = static_cast<int64_t>(t.group) * t.n + col, at = row * channels + c;
            float v = sum[i][j] + (a.bias ? a.bias[c] : 0);
            if (a.residual)
                v += gen_load(static_cast<const T *>(a.residual) + at);
            gen_store(static_cast<T *>(a.to) + at, gen_activated(a.act, a.slope, v));
        }
}

template <class T> static __global__ void filter_kernel(const gen_cuda_conv_args a)
{
    __shared__ strips rows, columns;
    float sum[EACH][EACH] = {};
    int part;
    task t = task_of(a, layout_of(a), &part);
    multiply<channels_of_y<T>, windows_of_x<T>>(a, t, rows, columns, sum);
    for (int i = 0; i < EACH; i++)
        for (int j = 0; j < EACH; j++) {
            int row = t.m0 + static_cast<int>(threadIdx.x) / SIDE + SIDE * i;
            int col = t.n0 + static_cast<int>(threadIdx.x) % SIDE + SIDE * j;
            int64_t o = static_cast<int64_t>(part) * a.cout + t.group * t.m + row;
            if (row < t.m && col < t.n)
                static_cast<float *>(a.to)[o * t.n + col] = sum[i][j];
        }
}

template <class T> static cudaError_t launch_conv(const gen_cuda_conv_args &a, cudaStream_t s)
{
    layout l = layout_of(a);
    unsigned blocks = static_cast<unsigned>(static_cast<int64_t>(l.rows) * l.columns * a.groups *
                                            a.parts);
    if (a.way == GEN_CUDA_CONV_FORWARD)
        return gen_launch(conv_kernel<T, GEN_CUDA_CONV_FORWARD>, blocks, THREADS, s, a);
    if (a.way == GEN_CUDA_CONV_DATA)
        return gen_launch(conv_kernel<T, GEN_CUDA_CONV_DATA>, blocks, THREADS, s, a);
    return gen_launch(filter_kernel<T>, blocks, THREADS, s, a);
}

cudaError_t gen_cuda_conv(const gen_cuda_conv_args *a, cudaStream_t s)
{
    return a->bf16 ? launch_conv<__nv_bfloat16>(*a, s) : launch_conv<float>(*a, s);
}
