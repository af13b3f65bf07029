/* SPDX-License-Identifier: Apache-2.0
 *
 * Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011),
 * and normal values by the inverse distribution function: algorithm AS 241 (Wichura 1988, PPND16),
 * with a logarithm of our own, so that the bits depend on IEEE arithmetic only. No contraction
 * (-ffp-contract=off) is part of the contract.
 */
#include <libgen/random.h>

#include <math.h>
#include <string.h>

uint64_t gen_stream(const char *name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    return h;
}

void gen_philox(uint32_t out[4], uint64_t seed, uint64_t stream, uint64_t index)
{
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32);
    uint32_t c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* Walks the words of a stream, computing each block once. */
struct words {
    uint64_t seed, stream, block;
    uint32_t word[4];
    int have;
};

static uint32_t next_word(struct words *w, uint64_t i)
{
    if (!w->have || w->block != i / 4) {
        w->block = i / 4;
        gen_philox(w->word, w->seed, w->stream, w->block);
        w->have = 1;
    }
    return w->word[i % 4];
}

void gen_random_uniform(float *out, int64_t n, uint64_t seed, uint64_t stream, uint64_t first)
{
    struct words w = { .seed = seed, .stream = stream };
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)(next_word(&w, first + (uint64_t)i) >> 8) * 0x1p-24f;
}

/* ln x for x in (0, 1): mantissa in [sqrt(1/2), sqrt 2), atanh series; error below 1e-15. */
static double ln(double x)
{
    int e;
    double m = frexp(x, &e);
    if (m < 0.70710678118654752) {
        m *= 2;
        e--;
    }
    double t = (m - 1) / (m + 1), t2 = t * t, s = 0;
    for (int k = 19; k >= 1; k -= 2)
        s = s * t2 + 1.0 / k;
    return 2 * t * s + e * 0.69314718055994531;
}

static double rational(const double *a, const double *b, double r)
{
    double p = a[7], q = b[7];
    for (int i = 6; i >= 0; i--) {
        p = p * r + a[i];
        q = q * r + b[i];
    }
    return p / q;
}

/* Normal quantile of p in (0,1), AS 241. */
static double quantile(double p)
{
    static const double a[8] = { 3.3871328727963666080e0,  1.3314166789178437745e2,
                                 1.9715909503065514427e3,  1.3731693765509461125e4,
                                 4.5921953931549871457e4,  6.7265770927008700853e4,
                                 3.3430575583588128105e4,  2.5090809287301226727e3 };
    static const double b[8] = { 1.0, 4.2313330701600911252e1, 6.8718700749205790830e2,
                                 5.3941960214247511077e3, 2.1213794301586595867e4,
                                 3.9307895800092710610e4, 2.8729085735721942674e4,
                                 5.2264952788528545610e3 };
    static const double c[8] = { 1.42343711074968357734e0,  4.63033784615654529590e0,
                                 5.76949722146069140550e0,  3.64784832476320460504e0,
                                 1.27045825245236838258e0,  2.41780725177450611770e-1,
                                 2.27238449892691845833e-2, 7.74545014278341407640e-4 };
    static const double d[8] = { 1.0, 2.05319162663775882187e0, 1.67638483018380384940e0,
                                 6.89767334985100004550e-1, 1.48103976427480074590e-1,
                                 1.51986665636164571966e-2, 5.47593808499534494600e-4,
                                 1.05075007164441684324e-9 };
    static const double e[8] = { 6.65790464350110377720e0,  5.46378491116411436990e0,
                                 1.78482653991729133580e0,  2.96560571828504891230e-1,
                                 2.65321895265761230930e-2, 1.24266094738807843860e-3,
                                 2.71155556874348757815e-5, 2.01033439929228813265e-7 };
    static const double f[8] = { 1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1,
                                 1.48753612908506148525e-2, 7.86869131145613259100e-4,
                                 1.84631831751005468180e-5, 1.42151175831644588870e-7,
                                 2.04426310338993978564e-15 };
    double q = p - 0.5;
    if (fabs(q) <= 0.425)
        return q * rational(a, b, 0.180625 - q * q);
    double r = sqrt(-ln(q < 0 ? p : 1 - p));
    double v = r <= 5 ? rational(c, d, r - 1.6) : rational(e, f, r - 5);
    return q < 0 ? -v : v;
}

void gen_random_normal(float *out, int64_t n, uint64_t seed, uint64_t stream, uint64_t first)
{
    struct words w = { .seed = seed, .stream = stream };
    for (int64_t i = 0; i < n; i++) /* never 0 or 1 */
        out[i] = (float)quantile(((double)next_word(&w, first + (uint64_t)i) + 0.5) * 0x1p-32);
}
