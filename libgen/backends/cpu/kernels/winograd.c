/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of the Winograd convolution that depend on the instruction set: transforms of weights,
 * input and output, and the matrix product between them. Built with AVX-512 (16 lanes, 8 x 48
 * micro-kernel) and AVX2 (8 lanes, 4 x 24); the base build has none. ../winograd.c explains the
 * algorithm and holds the constants of the weight transform; the other two transforms are written
 * out here and must agree with it (tests/unit/winograd.c compares with the plain sum).
 */
#include "libgen/backends/cpu/kernels/winograd.h"

#include <stddef.h>

#include <libgen/ops.h>

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#define TABLE PASTE(gen_wino_, GEN_KERNEL_ISA)

#if defined(__AVX512F__) || (defined(__AVX2__) && defined(__FMA__))

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

#if defined(__AVX512F__)
#define LANES 16
#define ROWS 8 /* of the micro-kernel: 8 x 3 accumulators of 32 registers */
typedef __m512 vec;
INLINE vec load(const float *p) { return _mm512_loadu_ps(p); }
INLINE void store(float *p, vec a) { _mm512_storeu_ps(p, a); }
INLINE void store_past(float *p, vec a) { _mm512_stream_ps(p, a); }
INLINE vec all(float a) { return _mm512_set1_ps(a); }
INLINE vec add(vec a, vec b) { return _mm512_add_ps(a, b); }
INLINE vec sub(vec a, vec b) { return _mm512_sub_ps(a, b); }
INLINE vec mul(vec a, vec b) { return _mm512_mul_ps(a, b); }
INLINE vec quotient(vec a, vec b) { return _mm512_div_ps(a, b); }
INLINE vec fma_(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }   /* ab + c */
INLINE vec fnma_(vec a, vec b, vec c) { return _mm512_fnmadd_ps(a, b, c); } /* c - ab */
INLINE vec max_(vec a, vec b) { return _mm512_max_ps(a, b); } /* b where either is NaN */
INLINE vec min_(vec a, vec b) { return _mm512_min_ps(a, b); }
INLINE vec nearest(vec a) { return _mm512_roundscale_ps(a, 8); }
INLINE vec times_power_of_2(vec a, vec n) { return _mm512_scalef_ps(a, n); }
INLINE vec magnitude(vec a) { return _mm512_abs_ps(a); }
/* a < b ? c : d */
INLINE vec if_less(vec a, vec b, vec c, vec d)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), d, c);
}
/* |a| with b's sign */
INLINE vec with_sign(vec a, vec b)
{
    __m512i s = _mm512_set1_epi32((int)0x80000000u);
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_castps_si512(a),
                                                         _mm512_castps_si512(b), s, 0xd8));
}
#else
#define LANES 8
#define ROWS 4 /* 4 x 3 accumulators of 16 registers */
typedef __m256 vec;
INLINE vec load(const float *p) { return _mm256_loadu_ps(p); }
INLINE void store(float *p, vec a) { _mm256_storeu_ps(p, a); }
INLINE void store_past(float *p, vec a) { _mm256_stream_ps(p, a); }
INLINE vec all(float a) { return _mm256_set1_ps(a); }
INLINE vec add(vec a, vec b) { return _mm256_add_ps(a, b); }
INLINE vec sub(vec a, vec b) { return _mm256_sub_ps(a, b); }
INLINE vec mul(vec a, vec b) { return _mm256_mul_ps(a, b); }
INLINE vec quotient(vec a, vec b) { return _mm256_div_ps(a, b); }
INLINE vec fma_(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
INLINE vec fnma_(vec a, vec b, vec c) { return _mm256_fnmadd_ps(a, b, c); }
INLINE vec max_(vec a, vec b) { return _mm256_max_ps(a, b); }
INLINE vec min_(vec a, vec b) { return _mm256_min_ps(a, b); }
INLINE vec nearest(vec a) { return _mm256_round_ps(a, 8); }
INLINE vec times_power_of_2(vec a, vec n)
{
    __m256i e = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23); /* |n| <= 126 and a near 1 */
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), e));
}
INLINE vec magnitude(vec a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}
INLINE vec if_less(vec a, vec b, vec c, vec d)
{
    return _mm256_blendv_ps(d, c, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}
INLINE vec with_sign(vec a, vec b)
{
    vec s = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(s, a), _mm256_and_ps(s, b));
}
#endif

/* ---- weights -------------------------------------------------------------------------------- */

/* Where the weights of product (i, j) are, in planes. */
static int weight_plane(const gen_wino_form *f, int i, int j)
{
    int i0, rows = gen_wino_terms(f, f->sum[i], &i0);
    int j0, columns = gen_wino_terms(f, f->sum[j], &j0);
    return i0 * f->products + rows * j0 + (i - i0) * columns + j - j0;
}

/* w[0] a + w[1] b + w[2] c; coefficients are rounded once. */
INLINE vec combine(const double w[3], vec a, vec b, vec c)
{
    return fma_(all((float)w[0]), a, fma_(all((float)w[1]), b, mul(all((float)w[2]), c)));
}

#define MAX_PRODUCTS 9

static void weights(const gen_wino *o, const float *w, float *u, int panel, int c0, int c1)
{
    const gen_wino_form *f = o->form;
    int first, vectors, np = f->products;
    gen_wino_panel(o, panel, &first, &vectors);
    int64_t plane = (int64_t)o->c * o->k, row = (int64_t)o->c * 9;
    int64_t place_of[MAX_PRODUCTS * MAX_PRODUCTS];
    for (int i = 0; i < np * np; i++)
        place_of[i] = weight_plane(f, i / np, i % np) * plane;
    for (int c = c0; c < c1; c++) {
        for (int v = 0; v < vectors; v++) {
            int k0 = (first + v) * LANES;
            float taps[9][LANES];
            for (int k = 0; k < LANES; k++)
                for (int t = 0; t < 9; t++)
                    taps[t][k] = w[(k0 + k) * row + c * 9 + t];
            vec side[MAX_PRODUCTS][3];
            for (int i = 0; i < np; i++)
                for (int s = 0; s < 3; s++)
                    side[i][s] =
                        combine(f->g[i], load(taps[s]), load(taps[3 + s]), load(taps[6 + s]));
            float *to = u + (int64_t)first * LANES * o->c + ((int64_t)c * vectors + v) * LANES;
            for (int i = 0; i < np; i++)
                for (int j = 0; j < np; j++) {
                    vec g = combine(f->g[j], side[i][0], side[i][1], side[i][2]);
                    (o->vary ? store : store_past)(to + place_of[i * np + j], g);
                }
        }
    }
    _mm_sfence();
}

/* ---- input transforms, one side ------------------------------------------------------------- */

INLINE void input_f2(const vec d[], vec r[])
{
    r[0] = sub(d[0], d[2]);
    r[1] = add(d[1], d[2]);
    r[2] = sub(d[2], d[1]);
    r[3] = sub(d[1], d[3]);
}

/* Points 0, 3/4, -3/4, 3/2, -3/2, infinity. */
INLINE void input_f4(const vec d[], vec r[])
{
    const vec a = all(0.75f), b = all(1.5f), a2 = all(0.5625f), b2 = all(2.25f);
    const vec product = all(1.265625f), sum = all(2.8125f); /* of the squares */
    r[0] = fma_(product, d[0], fnma_(sum, d[2], d[4]));
    vec e = fnma_(b2, d[2], d[4]), o = fnma_(b2, d[1], d[3]);
    r[1] = fma_(a, o, e);
    r[2] = fnma_(a, o, e);
    e = fnma_(a2, d[2], d[4]), o = fnma_(a2, d[1], d[3]);
    r[3] = fma_(b, o, e);
    r[4] = fnma_(b, o, e);
    r[5] = fma_(product, d[1], fnma_(sum, d[3], d[5]));
}

INLINE void input_up2(const vec d[], vec r[])
{
    r[0] = sub(d[2], d[0]);
    r[1] = add(d[1], d[2]);
    r[2] = sub(d[2], d[1]);
    r[3] = sub(d[3], d[1]);
}

/* Points 0, 1, -1, 1/2, -2, infinity. */
INLINE void input_up4(const vec d[], vec r[])
{
    const vec c = all(1.5f);
    vec e = sub(d[4], d[2]), o = sub(d[3], d[1]);
    r[0] = add(fma_(c, o, e), sub(d[0], d[2]));
    vec s = fma_(c, d[3], e), t = fma_(c, d[2], o);
    r[1] = add(s, t);
    r[2] = sub(s, t);
    r[3] = fma_(all(2.0f), o, e);
    r[4] = fnma_(all(0.5f), o, e);
    r[5] = add(fma_(c, e, sub(d[5], d[3])), sub(d[1], d[3]));
}

INLINE void input_pool(const vec d[], vec r[])
{
    r[0] = sub(d[0], d[2]);
    r[1] = sub(d[1], d[3]);
    r[2] = add(d[2], d[3]);
    r[3] = sub(d[2], d[4]);
    r[4] = sub(d[3], d[5]);
}

/* ---- output transforms, one side ------------------------------------------------------------ */

INLINE void output_f2(const vec m[], vec y[])
{
    y[0] = add(m[0], add(m[1], m[2]));
    y[1] = sub(sub(m[1], m[2]), m[3]);
}

INLINE void output_f4(const vec m[], vec y[])
{
    vec s = add(m[1], m[2]), d = sub(m[1], m[2]), t = add(m[3], m[4]), e = sub(m[3], m[4]);
    y[0] = add(m[0], add(s, t));
    y[1] = fma_(all(0.75f), d, mul(all(1.5f), e));
    y[2] = fma_(all(0.5625f), s, mul(all(2.25f), t));
    y[3] = fma_(all(0.421875f), d, fma_(all(3.375f), e, m[5]));
}

INLINE void output_up2(const vec m[], vec y[])
{
    y[0] = sub(sub(m[1], m[2]), m[0]);
    y[1] = sub(m[1], m[3]);
    y[2] = add(m[1], m[2]);
    y[3] = add(add(m[1], m[3]), m[4]);
}

INLINE void output_up4(const vec m[], vec y[])
{
    vec s = add(m[1], m[2]), d = sub(m[1], m[2]);
    y[0] = add(add(m[0], s), add(m[4], m[6]));
    y[2] = fma_(all(0.5f), m[4], fnma_(all(2.0f), m[6], d));
    y[4] = fma_(all(0.25f), m[4], fma_(all(4.0f), m[6], s));
    y[6] = fma_(all(0.125f), m[4], fnma_(all(8.0f), m[6], d));
    s = add(m[1], m[3]), d = sub(m[1], m[3]);
    y[1] = add(s, add(m[5], m[7]));
    y[3] = fma_(all(0.5f), m[5], fnma_(all(2.0f), m[7], d));
    y[5] = fma_(all(0.25f), m[5], fma_(all(4.0f), m[7], s));
    y[7] = fma_(all(0.125f), m[5], fnma_(all(8.0f), m[7], add(d, m[8])));
}

INLINE void output_pool(const vec m[], vec y[])
{
    y[0] = add(m[0], m[1]);
    y[1] = sub(m[1], m[2]);
}

/* ---- input: from the image to v ------------------------------------------------------------- */

typedef struct tile_place {
    int n, y, x; /* in tiles */
} tile_place;

static tile_place place(const gen_wino *o, int tile)
{
    int image = o->tiles_y * o->tiles_x, in = tile % image;
    return (tile_place){ tile / image, in / o->tiles_x, in % o->tiles_x };
}

#define IN_SIDE 6

#define INPUT_1D(kind, d, r)                                                                       \
    do {                                                                                           \
        if ((kind) == GEN_WINO_F2)                                                                 \
            input_f2(d, r);                                                                        \
        else if ((kind) == GEN_WINO_F4)                                                            \
            input_f4(d, r);                                                                        \
        else if ((kind) == GEN_WINO_UP2)                                                           \
            input_up2(d, r);                                                                       \
        else if ((kind) == GEN_WINO_UP4)                                                           \
            input_up4(d, r);                                                                       \
        else                                                                                       \
            input_pool(d, r);                                                                      \
    } while (0)

/* Cells of a tile: cell[i * side + j] is channel 0 of one, or zeros outside the image. `inner`: all
 * are in the image, and lie at cell[0] + i * row + j * c. Columns are done by halves, so that the
 * values between the two sides stay in registers. */
INLINE void input_tile(const gen_wino *o, const float *const cell[], float *v, int q0, int q1,
                       const gen_wino_kind kind, const int side, const int inputs, const bool inner)
{
    const int half = side / 2;
    int64_t row = (int64_t)o->w * o->c, column = o->c;
    for (int q = q0; q < q1; q++) {
        const float *at = cell[0] + q * LANES;
        float *to = v + (int64_t)q * o->rows * LANES;
        UNROLL
        for (int first = 0; first < side; first += half) {
            vec t[IN_SIDE / 2][IN_SIDE];
            UNROLL
            for (int i = 0; i < side; i++) {
                vec d[IN_SIDE], r[IN_SIDE];
                UNROLL
                for (int j = 0; j < side; j++)
                    d[j] = load(inner ? at + i * row + j * column : cell[i * side + j] + q * LANES);
                INPUT_1D(kind, d, r);
                UNROLL
                for (int j = 0; j < half; j++)
                    if (first + j < inputs)
                        t[j][i] = r[first + j];
            }
            UNROLL
            for (int j = 0; j < half; j++) {
                vec r[IN_SIDE];
                if (first + j == inputs)
                    break;
                INPUT_1D(kind, t[j], r);
                UNROLL
                for (int i = 0; i < inputs; i++)
                    store(to + (i * inputs + first + j) * o->v_plane, r[i]);
            }
        }
    }
}

#define INPUT_TILE(kind, side, inputs)                                                             \
    case kind:                                                                                     \
        if (inner)                                                                                 \
            input_tile(o, cell, to, q0, q1, kind, side, inputs, true);                             \
        else                                                                                       \
            input_tile(o, cell, to, q0, q1, kind, side, inputs, false);                            \
        break

static void input(const gen_wino *o, const float *x, float *v, gen_wino_range range, int q0, int q1)
{
    int side = o->form->window, step = o->form->step;
    for (int i = range.from; i < range.to; i++) {
        tile_place p = place(o, range.first + i);
        int y0 = p.y * step - o->pad_y, x0 = p.x * step - o->pad_x;
        const float *image = x + (int64_t)p.n * o->h * o->w * o->c;
        const float *cell[IN_SIDE * IN_SIDE];
        bool inner = y0 >= 0 && x0 >= 0 && y0 + side <= o->h && x0 + side <= o->w;
        if (inner)
            cell[0] = image + ((int64_t)y0 * o->w + x0) * o->c;
        for (int r = 0; !inner && r < side; r++)
            for (int s = 0; s < side; s++) {
                int yy = y0 + r, xx = x0 + s;
                bool inside = (unsigned)yy < (unsigned)o->h && (unsigned)xx < (unsigned)o->w;
                cell[r * side + s] = inside ? image + ((int64_t)yy * o->w + xx) * o->c : o->zeros;
            }
        float *to = v + (int64_t)i * LANES;
        switch (o->kind) {
            INPUT_TILE(GEN_WINO_F2, 4, 4);
            INPUT_TILE(GEN_WINO_F4, 6, 6);
            INPUT_TILE(GEN_WINO_UP2, 4, 4);
            INPUT_TILE(GEN_WINO_UP4, 6, 6);
            INPUT_TILE(GEN_WINO_POOL, 6, 5);
        }
    }
}

/* ---- sums of products: m = v u, plane by plane ---------------------------------------------- */

/* What a call of the micro-kernel reads and writes: `chunks` x LANES channels. */
typedef struct micro {
    const float *v, *u;
    float *m;
    int64_t stride; /* from one vector of channels to the next, in v and in m */
    int chunks;
    bool add; /* to what m holds */
} micro;

INLINE void micro_kernel(const micro *a, const int rows, const int vectors)
{
    vec sum[ROWS][3];
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int j = 0; j < vectors; j++)
            sum[r][j] = all(0.0f);
    }
    const float *v = a->v, *u = a->u;
    int64_t stride = a->stride;
    for (int chunk = a->chunks; chunk; chunk--, v += stride) {
        const float *x = v;
        for (int i = 0; i < LANES / 4; i++, x += 4, u += 4 * vectors * LANES) {
            UNROLL
            for (int c = 0; c < 4; c++) {
                vec b[3];
                UNROLL
                for (int j = 0; j < vectors; j++)
                    b[j] = load(u + (c * vectors + j) * LANES);
                UNROLL
                for (int r = 0; r < rows; r++) {
                    vec e = all(x[r * LANES + c]);
                    UNROLL
                    for (int j = 0; j < vectors; j++)
                        sum[r][j] = fma_(e, b[j], sum[r][j]);
                }
            }
        }
    }
    UNROLL
    for (int j = 0; j < vectors; j++) {
        float *m = a->m + j * stride;
        if (a->add) {
            UNROLL
            for (int r = 0; r < rows; r++)
                sum[r][j] = add(sum[r][j], load(m + r * LANES));
        }
        UNROLL
        for (int r = 0; r < rows; r++)
            store(m + r * LANES, sum[r][j]);
    }
}

#define MICRO(rows, vectors)                                                                       \
    static void micro_##rows##_##vectors(const micro *a)                                           \
    {                                                                                              \
        micro_kernel(a, rows, vectors);                                                            \
    }
#define MICRO_ROWS(rows) MICRO(rows, 1) MICRO(rows, 2) MICRO(rows, 3)
#define MICRO_ENTRY(rows) { micro_##rows##_1, micro_##rows##_2, micro_##rows##_3 }

MICRO_ROWS(1)
MICRO_ROWS(2)
MICRO_ROWS(3)
MICRO_ROWS(4)
#if ROWS == 8
MICRO_ROWS(5)
MICRO_ROWS(6)
MICRO_ROWS(7)
MICRO_ROWS(8)
#endif

static void (*const micro_kernels[ROWS][3])(const micro *) = {
    MICRO_ENTRY(1), MICRO_ENTRY(2), MICRO_ENTRY(3), MICRO_ENTRY(4),
#if ROWS == 8
    MICRO_ENTRY(5), MICRO_ENTRY(6), MICRO_ENTRY(7), MICRO_ENTRY(8),
#endif
};

static void fetch(gen_wino_soon *s)
{
    for (int i = 0; i < s->step && s->at < s->runs; i++) {
        _mm_prefetch(s->run[s->at] + s->line * 64, _MM_HINT_T1);
        if (++s->line == s->lines) {
            s->line = 0;
            s->at++;
        }
    }
}

/* One product: v is its input's plane, u its weights', m its sum's. */
typedef struct product {
    const float *v, *u;
    float *m;
    bool add;
} product;

/* Panels p0 <= p < p1. Weights are read from far away for the first rows, and are near for the
 * others. (They lie in a row: the hardware fetches them ahead by itself, and as well.) */
static void multiply(const gen_wino *o, const product *t, int rows, int p0, int p1,
                     gen_wino_soon *soon)
{
    int groups = (rows + ROWS - 1) / ROWS;
    int64_t stride = (int64_t)o->rows * LANES;
    for (int p = p0; p < p1; p++) {
        int first, vectors;
        gen_wino_panel(o, p, &first, &vectors);
        const float *u = t->u + (int64_t)first * LANES * o->c;
        for (int c = 0; c < o->c; c += o->split) {
            int channels = o->c - c < o->split ? o->c - c : o->split;
            micro a = { .u = u, .stride = stride, .chunks = channels / LANES };
            a.add = t->add || c > 0;
            for (int g = 0, row = 0; g < groups; g++) {
                int n = (rows - row + groups - g - 1) / (groups - g);
                a.v = t->v + (c / LANES) * stride + row * LANES;
                a.m = t->m + first * stride + row * LANES;
                micro_kernels[n - 1][vectors - 1](&a);
                if (soon)
                    fetch(soon);
                row += n;
            }
            u += (int64_t)channels * vectors * LANES;
        }
    }
}

static void gemm(const gen_wino *o, const float *v, float *m, int rows, int plane, int p0, int p1,
                 gen_wino_soon *soon)
{
    const gen_wino_form *f = o->form;
    int i0, ni = gen_wino_terms(f, plane / f->sums, &i0);
    int j0, nj = gen_wino_terms(f, plane % f->sums, &j0);
    int64_t weights_plane = (int64_t)o->c * o->k;
    product t = { .u = o->u + weight_plane(f, i0, j0) * weights_plane,
                  .m = m + plane * o->m_plane };
    for (int i = i0; i < i0 + ni; i++)
        for (int j = j0; j < j0 + nj; j++, t.u += weights_plane) {
            t.v = v + (f->input[i] * f->inputs + f->input[j]) * o->v_plane;
            multiply(o, &t, rows, p0, p1, soon);
            t.add = true;
        }
}

/* ---- output: from m to the image ------------------------------------------------------------ */

#define OUT_SIDE 8

/* e^x, |relative error| < 2e-7; x is cut to +-87. */
INLINE vec exponential(vec x)
{
    x = min_(all(87.0f), max_(all(-87.0f), x));
    vec n = nearest(mul(x, all(1.44269504f)));
    /* ln 2 in two parts; the first has few bits, so n times it is exact. */
    x = fnma_(n, all(-2.12194440e-4f), fnma_(n, all(0.693359375f), x));
    vec p = all(1.0f / 720);
    p = fma_(p, x, all(1.0f / 120));
    p = fma_(p, x, all(1.0f / 24));
    p = fma_(p, x, all(1.0f / 6));
    p = fma_(p, x, all(0.5f));
    p = fma_(p, x, all(1.0f));
    p = fma_(p, x, all(1.0f));
    return times_power_of_2(p, n);
}

INLINE vec sigmoid(vec x)
{
    return quotient(all(1.0f), add(all(1.0f), exponential(sub(all(0.0f), x))));
}

/* tanh x = 1 - 2 / (e^2x + 1) cancels near 0: there a polynomial (fitted, z = x^2 <= 0.36). */
INLINE vec tangens(vec x)
{
    vec a = magnitude(x), z = mul(x, x);
    vec far = sub(all(1.0f), quotient(all(2.0f), add(all(1.0f), exponential(add(a, a)))));
    vec p = all(-0.00583217536f);
    p = fma_(p, z, all(0.0207454284f));
    p = fma_(p, z, all(-0.0537700116f));
    p = fma_(p, z, all(0.133317774f));
    p = fma_(p, z, all(-0.333332933f));
    vec near = fma_(mul(a, z), p, a);
    vec y = if_less(a, all(0.6f), near, far);
    return with_sign(y, x);
}

static __attribute__((noinline)) void curve(float *y, int n, int act)
{
    for (int i = 0; i < n; i++) {
        vec a = load(y + i * LANES);
        store(y + i * LANES, act == GEN_ACT_SIGMOID ? sigmoid(a) : tangens(a));
    }
}

#define OUTPUT_1D(kind, m, y)                                                                      \
    do {                                                                                           \
        if ((kind) == GEN_WINO_F2)                                                                 \
            output_f2(m, y);                                                                       \
        else if ((kind) == GEN_WINO_F4)                                                            \
            output_f4(m, y);                                                                       \
        else if ((kind) == GEN_WINO_UP2)                                                           \
            output_up2(m, y);                                                                      \
        else if ((kind) == GEN_WINO_UP4)                                                           \
            output_up4(m, y);                                                                      \
        else                                                                                       \
            output_pool(m, y);                                                                     \
    } while (0)

/* Where a tile's result goes; rows and columns that lie in the image. */
typedef struct target {
    const float *r; /* residual or NULL */
    float *y;
    int64_t row;
    int rows, columns;
    bool past;
} target;

INLINE void output_tile(const gen_wino *o, const float *m, const target *t, int q0, int q1,
                        const gen_wino_kind kind, const int sums, const int side)
{
    for (int q = q0; q < q1; q++) {
        const float *from = m + (int64_t)q * o->rows * LANES;
        vec h[OUT_SIDE][MAX_PRODUCTS];
        UNROLL
        for (int j = 0; j < sums; j++) {
            vec a[MAX_PRODUCTS], b[OUT_SIDE];
            UNROLL
            for (int i = 0; i < sums; i++)
                a[i] = load(from + (i * sums + j) * o->m_plane);
            OUTPUT_1D(kind, a, b);
            UNROLL
            for (int i = 0; i < side; i++)
                h[i][j] = b[i];
        }
        vec bias = load(o->bias + q * LANES);
        for (int i = 0; i < t->rows; i++) {
            vec b[OUT_SIDE];
            OUTPUT_1D(kind, h[i], b);
            float *y = t->y + i * t->row + q * LANES;
            UNROLL
            for (int j = 0; j < side; j++)
                b[j] = add(b[j], bias);
            if (t->r) {
                const float *r = t->r + i * t->row + q * LANES;
                UNROLL
                for (int j = 0; j < side; j++)
                    if (j < t->columns)
                        b[j] = add(b[j], load(r + j * o->k));
            }
            if (o->act == GEN_ACT_RELU) {
                UNROLL
                for (int j = 0; j < side; j++)
                    b[j] = max_(all(0.0f), b[j]);
            } else if (o->act == GEN_ACT_LEAKY_RELU) {
                vec slope = all(o->slope);
                UNROLL
                for (int j = 0; j < side; j++)
                    b[j] = if_less(b[j], all(0.0f), mul(b[j], slope), b[j]);
            } else if (o->act != GEN_ACT_NONE) {
                float line[OUT_SIDE * LANES];
                UNROLL
                for (int j = 0; j < side; j++)
                    store(line + j * LANES, b[j]);
                curve(line, side, o->act);
                UNROLL
                for (int j = 0; j < side; j++)
                    b[j] = load(line + j * LANES);
            }
            if (t->past) {
                UNROLL
                for (int j = 0; j < side; j++)
                    if (j < t->columns)
                        store_past(y + j * o->k, b[j]);
            } else {
                UNROLL
                for (int j = 0; j < side; j++)
                    if (j < t->columns)
                        store(y + j * o->k, b[j]);
            }
        }
    }
}

static void output(const gen_wino *o, const float *m, const float *r, float *y,
                   gen_wino_range range, int q0, int q1)
{
    int side = o->form->out;
    bool past = o->stream && (uintptr_t)y % (LANES * sizeof(float)) == 0;
    for (int i = range.from; i < range.to; i++) {
        tile_place p = place(o, range.first + i);
        int y0 = p.y * side, x0 = p.x * side;
        int64_t at = (((int64_t)p.n * o->oh + y0) * o->ow + x0) * o->k;
        target t = { .r = r ? r + at : NULL, .y = y + at, .row = (int64_t)o->ow * o->k,
                     .rows = o->oh - y0, .columns = o->ow - x0, .past = past };
        t.rows = t.rows > side ? side : t.rows;
        const float *from = m + (int64_t)i * LANES;
        switch (o->kind) {
        case GEN_WINO_F2:
            output_tile(o, from, &t, q0, q1, GEN_WINO_F2, 4, 2);
            break;
        case GEN_WINO_F4:
            output_tile(o, from, &t, q0, q1, GEN_WINO_F4, 6, 4);
            break;
        case GEN_WINO_UP2:
            output_tile(o, from, &t, q0, q1, GEN_WINO_UP2, 5, 4);
            break;
        case GEN_WINO_UP4:
            output_tile(o, from, &t, q0, q1, GEN_WINO_UP4, 9, 8);
            break;
        case GEN_WINO_POOL:
            output_tile(o, from, &t, q0, q1, GEN_WINO_POOL, 3, 2);
            break;
        }
    }
    if (past)
        _mm_sfence();
}

const gen_wino_isa TABLE = { LANES, weights, input, gemm, output };

#else

const gen_wino_isa TABLE = { 0, NULL, NULL, NULL, NULL };

#endif
