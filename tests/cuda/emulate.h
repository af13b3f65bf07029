/* SPDX-License-Identifier: Apache-2.0
 *
 * CUDA's language for g++: what a .cu file of libgen/backends/cuda/kernels sees instead of nvcc's
 * own when GEN_EMULATED is defined. Blocks run one after the other, the threads of a block as
 * fibers (grid.cc).
 */
#ifndef LIBGEN_TESTS_CUDA_EMULATE_H
#define LIBGEN_TESTS_CUDA_EMULATE_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <functional>
#include <type_traits>

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#undef __global__
#define __global__
#undef __device__
#define __device__
#undef __host__
#define __host__
#undef __constant__
#define __constant__
/* In a section of their own, so that their extent is known and they can be filled with garbage. */
#undef __shared__
#define __shared__ static __attribute__((section("emulated_shared")))
#undef __launch_bounds__
#define __launch_bounds__(...)

/* ---- where a thread is ----------------------------------------------------------------------- */

struct emulated_place {
    uint3 thread, block;
    dim3 block_dim, grid_dim;
};
extern emulated_place emulated_here; /* of the fiber that runs */
#define threadIdx (const_cast<const uint3 &>(emulated_here.thread))
#define blockIdx (const_cast<const uint3 &>(emulated_here.block))
#define blockDim (const_cast<const dim3 &>(emulated_here.block_dim))
#define gridDim (const_cast<const dim3 &>(emulated_here.grid_dim))
static constexpr int warpSize = 32;

/* ---- launching ------------------------------------------------------------------------------- */

/* `bytes` at `args` are the kernel's argument: pointers in it are held to memory that is there. */
cudaError_t emulated_launch(const char *name, dim3 grid, dim3 block, cudaStream_t s,
                            const void *args, size_t bytes, std::function<void()> thread);

template <class Args>
static cudaError_t gen_launch(void (*kernel)(const Args), dim3 grid, dim3 block, cudaStream_t s,
                              const Args &args)
{
    static_assert(std::is_trivially_copyable<Args>::value, "arguments are copied to the device");
    static_assert(sizeof(Args) <= 4096, "a kernel's argument has 4096 bytes at most");
    return emulated_launch(__PRETTY_FUNCTION__, grid, block, s, &args, sizeof args,
                           [kernel, args] { kernel(args); });
}

/* ---- threads meet ---------------------------------------------------------------------------- */

/* All threads of the block, or the kernel fails; how many came with something other than 0. */
int emulated_barrier(int flag);
/* All lanes of the warp, or the kernel fails: each brings up to 16 bytes, and sees those of all
 * until it meets the others again. `who`: the function, which must be the same in every lane. */
struct emulated_value {
    alignas(16) unsigned char bytes[16];
};
const emulated_value *emulated_meet(const char *who, unsigned mask, const void *p, size_t bytes);
[[noreturn]] void emulated_trap(const char *why);

static inline void __syncthreads() { emulated_barrier(0); }
static inline int __syncthreads_count(int flag) { return emulated_barrier(flag); }
static inline int __syncthreads_or(int flag) { return emulated_barrier(flag) > 0; }
static inline int __syncthreads_and(int flag) { return emulated_barrier(!flag) == 0; }
static inline void __syncwarp(unsigned mask = 0xffffffffu)
{
    emulated_meet("__syncwarp", mask, "", 1);
}
static inline void __threadfence() {}
static inline void __threadfence_block() {}
[[noreturn]] static inline void __trap() { emulated_trap("__trap"); }

template <class T>
static T emulated_shuffle(const char *who, unsigned mask, T v, unsigned from, int width)
{
    static_assert(std::is_trivially_copyable<T>::value && sizeof(T) <= 16, "a register or four");
    if (width != 32)
        emulated_trap("a shuffle of a width that is not 32");
    const emulated_value *all = emulated_meet(who, mask, &v, sizeof v);
    if (from < 32)
        memcpy(&v, all[from].bytes, sizeof v);
    return v;
}
static inline unsigned emulated_lane() { return threadIdx.x % 32; }
template <class T> static T __shfl_sync(unsigned mask, T v, int lane, int width = 32)
{
    return emulated_shuffle("__shfl_sync", mask, v, static_cast<unsigned>(lane) % 32, width);
}
template <class T> static T __shfl_xor_sync(unsigned mask, T v, int bits, int width = 32)
{
    return emulated_shuffle("__shfl_xor_sync", mask, v,
                            emulated_lane() ^ static_cast<unsigned>(bits), width);
}
template <class T> static T __shfl_down_sync(unsigned mask, T v, unsigned by, int width = 32)
{
    return emulated_shuffle("__shfl_down_sync", mask, v, emulated_lane() + by, width);
}
template <class T> static T __shfl_up_sync(unsigned mask, T v, unsigned by, int width = 32)
{
    return emulated_shuffle("__shfl_up_sync", mask, v, emulated_lane() - by, width);
}
static inline unsigned __ballot_sync(unsigned mask, int flag)
{
    unsigned r = 0;
    unsigned char c = flag != 0;
    const emulated_value *all = emulated_meet("__ballot_sync", mask, &c, 1);
    for (int i = 0; i < 32; i++)
        r |= static_cast<unsigned>(all[i].bytes[0]) << i;
    return r;
}
static inline int __any_sync(unsigned mask, int flag) { return __ballot_sync(mask, flag) != 0; }
static inline int __all_sync(unsigned mask, int flag) { return __ballot_sync(mask, !flag) == 0; }

/* ---- atomics, of whole numbers only ---------------------------------------------------------- */

template <class T, class F> static T emulated_atomic(T *p, F f)
{
    static_assert(std::is_integral<T>::value, "atomics on floating-point numbers have no order");
    T old = *p;
    *p = f(old);
    return old;
}
#define EMULATED_ATOMIC(name, now)                                                                 \
    template <class T> static T name(T *p, typename std::common_type<T>::type v)                   \
    {                                                                                              \
        return emulated_atomic(p, [v](T old) -> T { return static_cast<T>(now); });                \
    }
EMULATED_ATOMIC(atomicAdd, old + v)
EMULATED_ATOMIC(atomicSub, old - v)
EMULATED_ATOMIC(atomicOr, old | v)
EMULATED_ATOMIC(atomicAnd, (old & v))
EMULATED_ATOMIC(atomicXor, old ^ v)
EMULATED_ATOMIC(atomicMax, old > v ? old : v)
EMULATED_ATOMIC(atomicMin, old < v ? old : v)
EMULATED_ATOMIC(atomicExch, ((void)old, v))
#undef EMULATED_ATOMIC
template <class T>
static T atomicCAS(T *p, typename std::common_type<T>::type seen,
                   typename std::common_type<T>::type v)
{
    return emulated_atomic(p, [=](T old) -> T { return old == seen ? v : old; });
}

/* ---- functions of one thread ----------------------------------------------------------------- */

template <class T> static inline T __ldg(const T *p) { return *p; }
template <class T> static inline T __ldcs(const T *p) { return *p; }
template <class T> static inline T __ldcg(const T *p) { return *p; }
template <class T> static inline void __stcs(T *p, T v) { *p = v; }
template <class T> static inline void __stcg(T *p, T v) { *p = v; }

template <class To, class From> static inline To emulated_bits(From v)
{
    static_assert(sizeof(To) == sizeof(From), "the same bits");
    To r;
    memcpy(&r, &v, sizeof r);
    return r;
}
static inline int __float_as_int(float v) { return emulated_bits<int>(v); }
static inline unsigned __float_as_uint(float v) { return emulated_bits<unsigned>(v); }
static inline float __int_as_float(int v) { return emulated_bits<float>(v); }
static inline float __uint_as_float(unsigned v) { return emulated_bits<float>(v); }
static inline long long __double_as_longlong(double v) { return emulated_bits<long long>(v); }
static inline double __longlong_as_double(long long v) { return emulated_bits<double>(v); }

static inline int __popc(unsigned v) { return __builtin_popcount(v); }
static inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
static inline int __clz(int v) { return v ? __builtin_clz(static_cast<unsigned>(v)) : 32; }
static inline int __ffs(int v) { return __builtin_ffs(v); }
static inline unsigned __umulhi(unsigned a, unsigned b)
{
    return static_cast<unsigned>(static_cast<uint64_t>(a) * b >> 32);
}
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b)
{
    return static_cast<unsigned long long>(static_cast<unsigned __int128>(a) * b >> 64);
}

/* The device's fast forms are less exact than these. The C library has functions of some of their
 * names, hence macros. */
static inline float rsqrtf(float x) { return 1 / sqrtf(x); }
static inline double rsqrt(double x) { return 1 / sqrt(x); }
#define __expf(x) expf(x)
#define __logf(x) logf(x)
#define __log2f(x) log2f(x)
#define __powf(x, y) powf(x, y)
#define __sinf(x) sinf(x)
#define __cosf(x) cosf(x)
static inline float __fdividef(float a, float b) { return a / b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __frcp_rn(float x) { return 1 / x; }
static inline float __fsqrt_rn(float x) { return sqrtf(x); }
static inline float __frsqrt_rn(float x) { return 1 / sqrtf(x); }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1) : 0; }
static inline int __float2int_rn(float x) { return static_cast<int>(rintf(x)); }
static inline int __float2int_rd(float x) { return static_cast<int>(floorf(x)); }
static inline float __int2float_rn(int x) { return static_cast<float>(x); }

template <class A, class B> static inline typename std::common_type<A, B>::type min(A a, B b)
{
    typedef typename std::common_type<A, B>::type T;
    T x = a, y = b; /* of a number and a NaN the number, as fminf has it */
    return y < x || x != x ? y : x;
}
template <class A, class B> static inline typename std::common_type<A, B>::type max(A a, B b)
{
    typedef typename std::common_type<A, B>::type T;
    T x = a, y = b;
    return y > x || x != x ? y : x;
}
using std::isfinite;
using std::isinf;
using std::isnan;

#endif
