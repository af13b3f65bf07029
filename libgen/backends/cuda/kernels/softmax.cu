/* SPDX-License-Identifier: Apache-2.0
 *
 * Softmax: a line is read three times, for its largest element, for the sum, for the result. It is
 * short enough to be in the cache from the second time on.
 */
#include "libgen/backends/cuda/kernels/softmax.h"

#include <math.h>

#include "libgen/backends/cuda/kernels/sums.cuh"

struct largest {
    static __device__ double join(double a, double b) { return b > a ? b : a; }
};

struct total {
    static __device__ double join(double a, double b) { return a + b; }
};

template <class T, int V> struct line {
    struct raw {
        float v[V];
    };
    const T *x;
    T *y;
    int64_t step;
    bool wide;

    __device__ line(const gen_cuda_softmax_args &a, const gen_place &p)
    {
        const gen_cuda_cut &c = a.cut;
        int64_t start = c.inner ? p.column * a.size : p.kept * a.size * c.columns + p.column;
        x = static_cast<const T *>(a.x) + start;
        y = static_cast<T *>(a.y) + start;
        step = c.inner ? V : c.columns;
        wide = a.wide;
    }
    __device__ void load(raw &r, int64_t row) const { gen_load_some(r.v, x + row * step, wide); }
};

/* F over all lanes of a line, given to each of them. */
template <class F>
static __device__ __forceinline__ double joined(double (*s)[GEN_CUDA_THREADS], double mine,
                                                const gen_place &p, const gen_cuda_cut &c)
{
    s[0][threadIdx.x] = mine;
    gen_fold<F, 1>(s, p, c);
    __syncthreads();
    double all = p.on ? s[0][p.head(c)] : 0;
    __syncthreads();
    return all;
}

template <class T, int V> static __global__ void softmax_kernel(const gen_cuda_softmax_args a)
{
    typedef typename line<T, V>::raw raw;
    __shared__ double s[1][GEN_CUDA_THREADS];
    const gen_cuda_cut &c = a.cut;
    gen_place p(c, 1);
    line<T, V> l(a, p);
    double top = -HUGE_VAL, sum = 0;
    if (p.on)
        gen_walk_rows(l, p, c, [&](const raw &r, int64_t) {
            for (int i = 0; i < V; i++)
                top = largest::join(top, r.v[i]);
        });
    float most = static_cast<float>(joined<largest>(s, top, p, c));
    if (p.on)
        gen_walk_rows(l, p, c, [&](const raw &r, int64_t) {
            for (int i = 0; i < V; i++)
                sum += expf(r.v[i] - most);
        });
    float share = static_cast<float>(1 / joined<total>(s, sum, p, c));
    if (p.on)
        gen_walk_rows(l, p, c, [&](const raw &r, int64_t row) {
            float y[V];
            for (int i = 0; i < V; i++)
                y[i] = expf(r.v[i] - most) * share;
            gen_store_some(l.y + row * l.step, y, l.wide);
        });
}

template <class T> static cudaError_t softmax(const gen_cuda_softmax_args &a, cudaStream_t s)
{
    return gen_launch(a.v == 1 ? softmax_kernel<T, 1> : softmax_kernel<T, gen_wide<T>::N>,
                      static_cast<unsigned>(gen_cuda_cut_blocks(&a.cut)), GEN_CUDA_THREADS, s, a);
}

cudaError_t gen_cuda_softmax(const gen_cuda_softmax_args *a, cudaStream_t s)
{
    return a->bf16 ? softmax<__nv_bfloat16>(*a, s) : softmax<float>(*a, s);
}
