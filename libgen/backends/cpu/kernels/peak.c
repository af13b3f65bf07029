/* SPDX-License-Identifier: Apache-2.0
 *
 * The most that a core's arithmetic does: multiply-adds between registers, twelve independent
 * chains. Dumps set each step against it.
 */
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define PASTE2(a, b) a##b
#define PASTE(a, b) PASTE2(a, b)
#define NAME PASTE(gen_peak_, GEN_KERNEL_ISA)

/* n rounds of multiply-adds; the sum keeps the compiler from dropping them. Returns flops a round.
 */
double NAME(long n, float *sink);

#if defined(__AVX512F__)
typedef __m512 vec;
#define SET _mm512_set1_ps
#define FMA(a) a = _mm512_fmadd_ps(a, x, y);
#elif defined(__AVX2__)
typedef __m256 vec;
#define SET _mm256_set1_ps
#define FMA(a) a = _mm256_fmadd_ps(a, x, y);
#else
typedef float vec __attribute__((vector_size(16)));
#define SET(v) ((vec){ v, v, v, v })
#define FMA(a) a = a * x + y;
#endif
#if defined(__AVX512F__)
#define IN_REGISTER "+v"
#elif defined(__x86_64__)
#define IN_REGISTER "+x"
#else
#define IN_REGISTER "+w"
#endif
#define EACH(X) X(a0) X(a1) X(a2) X(a3) X(a4) X(a5) X(a6) X(a7) X(a8) X(a9) X(a10) X(a11)

double NAME(long n, float *sink)
{
    vec x = SET(0.999f), y = SET(1e-3f), sum = SET(0.0f);
/* Hidden from the compiler, which would otherwise see twelve times the same sum. */
#define HIDE(a) __asm__ volatile("" : IN_REGISTER(a));
#define DECLARE(a) vec a = SET(1.0f);
    EACH(DECLARE)
    for (long k = 0; k < n; k++) {
        EACH(HIDE)
        EACH(FMA)
    }
#define ADD(a) sum += a;
    EACH(ADD)
    *sink += sum[0];
    return 12.0 * 2 * (double)(sizeof(vec) / sizeof(float));
}
