/* SPDX-License-Identifier: Apache-2.0
 *
 * Products of a matrix and one vector, whose time is that of reading the matrix; and a plain matrix
 * product for what cuBLASLt does not take.
 */
#include "libgen/backends/cuda/kernels/matmul.h"

#include "libgen/backends/cuda/kernels/sums.cuh"

/* ---- one vector ------------------------------------------------------------------------------ */

/* What both forms share; ACROSS as in kernels/sums.cuh. */
template <class T, int ACROSS_> struct product {
    typedef gen_cuda_matvec_args args;
    static const int VALUES = 1, ACROSS = ACROSS_;
    static __device__ __host__ const gen_cuda_cut &cut(const args &a) { return a.sums.cut; }
    static __device__ double ZERO() { return 0; }
    static __device__ double join(double a, double b) { return a + b; }
    template <int N>
    static __device__ void emit(const args &a, int64_t, int64_t column, const double (&sum)[1][N])
    {
        for (int i = 0; i < N; i++)
            gen_store(static_cast<T *>(a.y) + column + i, static_cast<float>(sum[0][i]));
    }
};

/* Rows of the matrix lie there: V elements of one and of the vector at once. */
template <class T, int V> struct dot : product<T, 1> {
    struct raw {
        float m[V], v[V];
    };
    const T *matrix, *vector;
    bool wide;

    __device__ dot(const gen_cuda_matvec_args &a, int64_t, int64_t column)
        : matrix(static_cast<const T *>(a.matrix) + column * a.k),
          vector(static_cast<const T *>(a.vector)), wide(a.wide)
    {
    }
    __device__ void load(raw &r, int64_t row) const
    {
        gen_load_some(r.m, matrix + row * V, wide);
        gen_load_some(r.v, vector + row * V, wide);
    }
    __device__ void add(double (&sum)[1][1], const raw &r) const
    {
        double all = 0;
        for (int i = 0; i < V; i++)
            all += static_cast<double>(r.m[i]) * r.v[i];
        sum[0][0] += all;
    }
};

/* Columns of the result lie side by side: V of them are one thread's. */
template <class T, int V> struct combination : product<T, V> {
    struct raw {
        float m[V], v;
    };
    const T *matrix, *vector;
    int64_t columns;
    bool wide;

    __device__ combination(const gen_cuda_matvec_args &a, int64_t, int64_t column)
        : matrix(static_cast<const T *>(a.matrix) + column),
          vector(static_cast<const T *>(a.vector)), columns(a.sums.cut.columns), wide(a.wide)
    {
    }
    __device__ void load(raw &r, int64_t row) const
    {
        gen_load_some(r.m, matrix + row * columns, wide);
        r.v = gen_load(vector + row);
    }
    __device__ void add(double (&sum)[1][V], const raw &r) const
    {
        for (int i = 0; i < V; i++)
            sum[0][i] += static_cast<double>(r.m[i]) * r.v;
    }
};

template <class T> static cudaError_t matvec(const gen_cuda_matvec_args &a, cudaStream_t s)
{
    const int V = gen_wide<T>::N;
    typedef dot<T, 1> last; /* of it, only emit */
    if (a.sums.cut.inner)
        return a.v == 1 ? gen_sum<dot<T, 1>, last>(a, s) : gen_sum<dot<T, V>, last>(a, s);
    return a.v == 1 ? gen_sum<combination<T, 1>, last>(a, s)
                    : gen_sum<combination<T, V>, last>(a, s);
}

cudaError_t gen_cuda_matvec(const gen_cuda_matvec_args *a, cudaStream_t s)
{
    return a->bf16 ? matvec<__nv_bfloat16>(*a, s) : matvec<float>(*a, s);
}

/* ---- two matrices ---------------------------------------------------------------------------- */

enum { TILE = 32, EACH = TILE * TILE / GEN_CUDA_THREADS };

/* A tile of [rows][columns] to shared memory, zeros outside; neighbouring threads read neighbouring
 * elements whichever axis that is. */
template <class T>
static __device__ __forceinline__ void load_tile(float (*to)[TILE + 1], const T *from,
                                                 const int64_t step[2], int64_t row, int64_t column,
                                                 int64_t rows, int64_t columns)
{
    for (int i = threadIdx.x; i < TILE * TILE; i += GEN_CUDA_THREADS) {
        int r = step[1] == 1 ? i / TILE : i % TILE, c = step[1] == 1 ? i % TILE : i / TILE;
        bool inside = row + r < rows && column + c < columns;
        to[r][c] = inside ? gen_load(from + (row + r) * step[0] + (column + c) * step[1]) : 0;
    }
}

template <class T> static __global__ void matmul_kernel(const gen_cuda_matmul_args a)
{
    __shared__ float left[TILE][TILE + 1], right[TILE][TILE + 1];
    int64_t across = (a.n + TILE - 1) / TILE, down = (a.m + TILE - 1) / TILE;
    int64_t b = blockIdx.x, column = b % across * TILE, row = b / across % down * TILE;
    b /= across * down;
    const T *x = static_cast<const T *>(a.a) + b * a.a_batch;
    const T *w = static_cast<const T *>(a.b) + b * a.b_batch;
    T *y = static_cast<T *>(a.y) + b * a.m * a.n;
    int c = threadIdx.x % TILE, r = threadIdx.x / TILE * EACH;
    float sum[EACH] = { 0 };
    for (int64_t k = 0; k < a.k; k += TILE) {
        float part[EACH] = { 0 };
        load_tile(left, x, a.a_step, row, k, a.m, a.k);
        load_tile(right, w, a.b_step, k, column, a.k, a.n);
        __syncthreads();
        for (int t = 0; t < TILE; t++)
            for (int i = 0; i < EACH; i++)
                part[i] += left[r + i][t] * right[t][c];
        for (int i = 0; i < EACH; i++)
            sum[i] += part[i];
        __syncthreads();
    }
    for (int i = 0; i < EACH; i++)
        if (row + r + i < a.m && column + c < a.n)
            gen_store(y + (row + r + i) * a.n + column + c, sum[i]);
}

cudaError_t gen_cuda_matmul(const gen_cuda_matmul_args *a, cudaStream_t s)
{
    int64_t tiles = (a->m + TILE - 1) / TILE * ((a->n + TILE - 1) / TILE);
    return gen_launch(a->bf16 ? matmul_kernel<__nv_bfloat16> : matmul_kernel<float>,
                      static_cast<unsigned>(tiles * a->batch), GEN_CUDA_THREADS, s, *a);
}
