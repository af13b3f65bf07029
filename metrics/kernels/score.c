/* SPDX-License-Identifier: Apache-2.0
 *
 * The loops of score.h, built once per instruction set with -DGEN_KERNEL_ISA=<isa>, exporting
 * gen_score_loops_<isa>. Loops that keep sums in registers are written in the compiler's vector
 * extension; the others it vectorises by itself. Sums have the same lanes for every instruction
 * set, so that results are the same.
 */
#include "metrics/kernels/score.h"

#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

enum { LANES = 16, WIDE = GEN_SUM_LANES };
typedef float lanes __attribute__((vector_size(64)));
typedef int32_t words __attribute__((vector_size(64)));
typedef float narrow __attribute__((vector_size(32)));
typedef double wide __attribute__((vector_size(64)));
typedef int64_t mask __attribute__((vector_size(64)));

INLINE lanes row(const float *x)
{
    lanes v;
    memcpy(&v, x, sizeof v);
    return v;
}

INLINE wide widened(const float *x)
{
    narrow v;
    memcpy(&v, x, sizeof v);
#if defined(__AVX512F__)
    return (wide)_mm512_cvtps_pd((__m256)v); /* the compiler takes five instructions */
#else
    return __builtin_convertvector(v, wide);
#endif
}

INLINE wide magnitude(wide v)
{
    return (wide)((mask)v & INT64_MAX);
}

INLINE void add_to(double *sum, wide v)
{
    wide s;
    memcpy(&s, sum, sizeof s);
    s += v;
    memcpy(sum, &s, sizeof s);
}

static void load(float *x, float *y, int32_t *valid, const float *observation,
                 const float *const *members, int64_t k, int64_t at, int64_t left)
{
    int64_t n = left < GEN_TILE ? left : GEN_TILE;
    if (n < GEN_TILE) {
        memset(y, 0, GEN_TILE * sizeof *y);
        memset(x, 0, (size_t)k * GEN_TILE * sizeof *x);
    }
    memcpy(y, observation + at, (size_t)n * sizeof *y);
    for (int i = 0; i < GEN_TILE; i++)
        valid[i] = i < n && y[i] - y[i] == 0; /* not for NaN and infinity */
    for (int64_t m = 0; m < k; m++) {
        const float *from = members[m] + at;
        float *restrict r = x + m * GEN_TILE;
        for (int i = GEN_TILE; left >= 2 * GEN_TILE && i < 2 * GEN_TILE; i += LANES)
            __builtin_prefetch(from + i); /* more streams than the hardware follows */
        for (int64_t i = 0; i < n; i++) {
            r[i] = from[i];
            valid[i] &= from[i] - from[i] == 0;
        }
    }
    int32_t all = 1;
    for (int i = 0; i < GEN_TILE; i++)
        all &= valid[i];
    if (all)
        return;
    for (int i = 0; i < GEN_TILE; i++)
        y[i] = valid[i] ? y[i] : 0;
    for (int64_t m = 0; m < k; m++)
        for (int i = 0; i < GEN_TILE; i++)
            x[m * GEN_TILE + i] = valid[i] ? x[m * GEN_TILE + i] : 0;
}

static void sort(float *x, const int32_t (*network)[2], int64_t comparators)
{
    for (int64_t c = 0; c < comparators; c++) {
        float *restrict a = x + network[c][0] * GEN_TILE;
        float *restrict b = x + network[c][1] * GEN_TILE;
        for (int i = 0; i < GEN_TILE; i++) {
            float u = a[i], v = b[i];
            a[i] = u < v ? u : v;
            b[i] = v > u ? v : u;
        }
    }
}

/* Everything is taken from the smallest member: members that are equal have no variance at all, and
 * the order of members that were equal does not matter. */
static void moments(double (*sum)[GEN_SUM_LANES], float *mean, const float *x, const float *y,
                    int64_t k)
{
    double unbias = k > 1 ? 1.0 / (double)(k - 1) : 0;
    for (int64_t i = 0; i < GEN_TILE; i += WIDE) {
        wide first = widened(x + i), seen = widened(y + i);
        wide e1 = { 0 }, e2 = { 0 }, apart = { 0 }, off = { 0 };
        double weight = (double)(1 - k);
        for (int64_t m = 0; m < k; m++) {
            wide v = widened(x + m * GEN_TILE + i), e = v - first;
            e1 += e;
            e2 += e * e;
            apart += e * weight;
            weight += 2;
            off += magnitude(v - seen);
        }
        wide under = first - seen, squares = e2 + under * (2.0 * e1 + under * (double)k);
        wide average = first + e1 / (double)k, error = average - seen;
        wide variance = (e2 - e1 * e1 / (double)k) * unbias;
        variance = (wide)((mask)variance & (mask)(variance > 0));
        add_to(sum[GEN_SUM_OBSERVED], seen);
        add_to(sum[GEN_SUM_FORECAST], average);
        add_to(sum[GEN_SUM_MEAN_ABS], magnitude(error));
        add_to(sum[GEN_SUM_MEAN_SQUARE], error * error);
        add_to(sum[GEN_SUM_ABS], off);
        add_to(sum[GEN_SUM_SQUARE], squares);
        add_to(sum[GEN_SUM_VARIANCE], variance);
        add_to(sum[GEN_SUM_APART], apart);
        narrow kept = __builtin_convertvector(average, narrow);
        memcpy(mean + i, &kept, sizeof kept);
    }
}

/* The integral of (F - step(y))^2 over each interval between members. pysteps compares strictly, so
 * an interval that ends at y, on either side, gives nothing. */
static void pysteps(double *sum, const float *x, const float *y, int64_t k)
{
    for (int64_t i = 0; i < GEN_TILE; i += WIDE) {
        wide seen = widened(y + i), low = widened(x + i), total;
        total = (wide)((mask)(low - seen) & (mask)(seen < low));
        for (int64_t m = 1; m < k; m++) {
            double p = (double)m / (double)k;
            wide high = widened(x + m * GEN_TILE + i), length = high - low;
            wide within = seen - low;
            mask under = (mask)(seen < low), over = (mask)(seen > high);
            within = (wide)((mask)within & ~under & ~over) + (wide)((mask)length & over);
            mask counts = (mask)(seen != low) & (mask)(seen != high);
            wide part = within * (p * p) + (length - within) * ((1 - p) * (1 - p));
            total += (wide)((mask)part & counts);
            low = high;
        }
        total += (wide)((mask)(seen - low) & (mask)(seen > low));
        add_to(sum, total);
    }
}

static void above(int32_t *count, const float *x, int64_t k, float threshold)
{
    const float *most = x + (k - 1) * GEN_TILE;
    int32_t any = 0;
    for (int i = 0; i < GEN_TILE; i++)
        any |= most[i] > threshold;
    if (!any) { /* rain is mostly dry */
        memset(count, 0, GEN_TILE * sizeof *count);
        return;
    }
    lanes t = threshold - (lanes){ 0 };
    for (int i = 0; i < GEN_TILE; i += LANES) {
        words c = { 0 };
        for (int64_t m = 0; m < k; m++)
            c -= (words)(row(x + m * GEN_TILE + i) > t);
        memcpy(count + i, &c, sizeof c);
    }
}

static void rank(int32_t *less, int32_t *equal, const float *x, const float *y, int64_t k)
{
    for (int i = 0; i < GEN_TILE; i += LANES) {
        words a = { 0 }, b = { 0 };
        lanes seen = row(y + i);
        for (int64_t m = 0; m < k; m++) {
            lanes v = row(x + m * GEN_TILE + i);
            a -= (words)(v < seen);
            b -= (words)(v == seen);
        }
        memcpy(less + i, &a, sizeof a);
        memcpy(equal + i, &b, sizeof b);
    }
}

static void events(uint32_t *count, const float *x, const uint8_t *valid, float threshold,
                   int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        count[i] += (uint32_t)(x[i] > threshold) & valid[i];
}

static void box(uint32_t *count, const uint32_t *top, const uint32_t *bottom, int64_t w,
                int64_t before, int64_t after, uint32_t *edge)
{
    /* edge[before + j] is the column sum left of column j; outside the field nothing is added. */
    memset(edge, 0, (size_t)before * sizeof *edge);
    for (int64_t j = 0; j <= w; j++)
        edge[before + j] = bottom[j] - top[j];
    for (int64_t j = 1; j <= after; j++)
        edge[before + w + j] = edge[before + w];
    for (int64_t i = 0; i < w; i++)
        count[i] = edge[i + before + after + 1] - edge[i];
}

static void products(uint64_t out[2], const uint32_t *f, const uint32_t *o, int64_t n)
{
    uint64_t ff = 0, fo = 0;
    for (int64_t i = 0; i < n; i++) {
        ff += (uint64_t)f[i] * f[i];
        fo += (uint64_t)f[i] * o[i];
    }
    out[0] = ff;
    out[1] = fo;
}

static void add(double *to, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        to[i] += (double)x[i];
}

static void largest(float *to, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = x[i] > to[i] ? x[i] : to[i];
}

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
extern const gen_score_loops PASTE(gen_score_loops_, GEN_KERNEL_ISA);
const gen_score_loops PASTE(gen_score_loops_, GEN_KERNEL_ISA) = {
    .load = load,
    .sort = sort,
    .moments = moments,
    .pysteps = pysteps,
    .above = above,
    .rank = rank,
    .events = events,
    .box = box,
    .products = products,
    .add = add,
    .largest = largest,
};
