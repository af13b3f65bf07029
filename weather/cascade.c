/* SPDX-License-Identifier: Apache-2.0 */
#include "weather/cascade.h"

#include <math.h>
#include <string.h>

#include "libgen/base/alloc.h"

#define WIDTH 0.5 /* of a filter, in levels: standard deviation of its Gaussian */

static int64_t fast_size(int64_t n)
{
    return kiss_fftr_next_fast_size_real((int)n);
}

/* Wavelengths of one level lie about a factor of 2.5 below those of the one before. */
static int count_levels(int64_t side)
{
    int n = (int)lround(log2((double)side)) - 2;
    return n < 2 ? 2 : n > GEN_CASCADE_LEVELS ? GEN_CASCADE_LEVELS : n;
}

/* Gaussians over the logarithm of the wave number, made to add to one; the first takes what is
 * longer, the last what is shorter. */
static void fill_weights(gen_cascade *c)
{
    int64_t side = c->rows > c->columns ? c->rows : c->columns;
    double step = log(0.5 * (double)side) / c->levels;
    for (int64_t j = 0; j < c->rows; j++)
        for (int64_t i = 0; i < c->half; i++) {
            double y = (double)(j <= c->rows / 2 ? j : c->rows - j) / (double)c->rows;
            double x = (double)i / (double)c->columns, sum = 0, w[GEN_CASCADE_LEVELS];
            double number = fmax(sqrt(x * x + y * y) * (double)side, 1);
            double at = fmin(log(number) / step, c->levels) - 0.5;
            for (int k = 0; k < c->levels; k++) {
                double d = (at - k) / WIDTH;
                if ((k == 0 && d < 0) || (k == c->levels - 1 && d > 0))
                    d = 0;
                sum += w[k] = exp(-0.5 * d * d);
            }
            for (int k = 0; k < c->levels; k++)
                c->weight[k * c->n + j * c->half + i] = (float)(w[k] / sum);
        }
}

gen_status gen_cascade_create(gen_cascade *c, int64_t height, int64_t width)
{
    *c = (gen_cascade){ .height = height, .width = width };
    c->rows = fast_size(height);
    c->columns = fast_size(width);
    c->half = c->columns / 2 + 1;
    c->n = c->rows * c->half;
    c->levels = count_levels(c->rows > c->columns ? c->rows : c->columns);
    GEN_TRY(gen_alloc_raw((void **)&c->weight, (uint64_t)c->levels * (uint64_t)c->n, sizeof(float),
                          "filters of the cascade"));
    fill_weights(c);
    return GEN_OK;
}

void gen_cascade_free(gen_cascade *c)
{
    gen_free(c->weight);
    *c = (gen_cascade){ 0 };
}

/* KissFFT into memory of ours, so that it is counted. */
static gen_status plan_row(kiss_fftr_cfg *out, int n, int inverse)
{
    size_t bytes = 0;
    void *memory = NULL;
    kiss_fftr_alloc(n, inverse, NULL, &bytes);
    GEN_TRY(gen_alloc(&memory, 1, bytes, "Fourier transform"));
    *out = kiss_fftr_alloc(n, inverse, memory, &bytes);
    return GEN_OK;
}

static gen_status plan_column(kiss_fft_cfg *out, int n, int inverse)
{
    size_t bytes = 0;
    void *memory = NULL;
    kiss_fft_alloc(n, inverse, NULL, &bytes);
    GEN_TRY(gen_alloc(&memory, 1, bytes, "Fourier transform"));
    *out = kiss_fft_alloc(n, inverse, memory, &bytes);
    return GEN_OK;
}

gen_status gen_fourier_create(gen_fourier *f, const gen_cascade *c)
{
    gen_status status = GEN_OK;
    *f = (gen_fourier){ 0 };
    for (int i = 0; i < 2; i++) {
        GEN_GOTO(plan_row(&f->row[i], (int)c->columns, i));
        GEN_GOTO(plan_column(&f->column[i], (int)c->rows, i));
        GEN_GOTO(GEN_ALLOC(&f->line[i], c->rows, "Fourier transform"));
    }
    GEN_GOTO(GEN_ALLOC(&f->field, c->rows * c->columns, "Fourier transform"));
    GEN_GOTO(GEN_ALLOC(&f->spectrum, c->n, "Fourier transform"));
done:
    if (status != GEN_OK)
        gen_fourier_free(f);
    return status;
}

void gen_fourier_free(gen_fourier *f)
{
    for (int i = 0; i < 2; i++) {
        gen_free(f->row[i]);
        gen_free(f->column[i]);
        gen_free(f->line[i]);
    }
    gen_free(f->field);
    gen_free(f->spectrum);
    *f = (gen_fourier){ 0 };
}

static void transform_columns(gen_fourier *f, const gen_cascade *c, int inverse)
{
    for (int64_t i = 0; i < c->half; i++) {
        for (int64_t j = 0; j < c->rows; j++)
            f->line[0][j] = f->spectrum[j * c->half + i];
        kiss_fft(f->column[inverse], f->line[0], f->line[1]);
        for (int64_t j = 0; j < c->rows; j++)
            f->spectrum[j * c->half + i] = f->line[1][j];
    }
}

void gen_fourier_forward(gen_fourier *f, const gen_cascade *c, const float *field, float beyond,
                         kiss_fft_cpx *spectrum)
{
    for (int64_t i = 0; i < c->rows * c->columns; i++)
        f->field[i] = beyond;
    for (int64_t j = 0; j < c->height; j++)
        memcpy(f->field + j * c->columns, field + j * c->width, (size_t)c->width * sizeof *field);
    for (int64_t j = 0; j < c->rows; j++)
        kiss_fftr(f->row[0], f->field + j * c->columns, f->spectrum + j * c->half);
    transform_columns(f, c, 0);
    memcpy(spectrum, f->spectrum, (size_t)c->n * sizeof *spectrum);
}

void gen_fourier_inverse(gen_fourier *f, const gen_cascade *c, const kiss_fft_cpx *spectrum,
                         float *field)
{
    const float scale = 1 / (float)(c->rows * c->columns);
    memcpy(f->spectrum, spectrum, (size_t)c->n * sizeof *spectrum);
    transform_columns(f, c, 1);
    for (int64_t j = 0; j < c->height; j++) {
        kiss_fftri(f->row[1], f->spectrum + j * c->half, f->field);
        for (int64_t i = 0; i < c->width; i++)
            field[j * c->width + i] = f->field[i] * scale;
    }
}

double gen_cascade_product(const gen_cascade *c, const float *weight, const kiss_fft_cpx *a,
                           const kiss_fft_cpx *b)
{
    double sum = 0;
    for (int64_t j = 0; j < c->rows; j++) {
        double row = 0;
        for (int64_t i = 0; i < c->half; i++) {
            int64_t k = j * c->half + i;
            double w = weight ? (double)weight[k] : 1;
            double both = i == 0 || i == c->half - 1 ? 1 : 2; /* columns is even */
            if (k > 0)
                row += both * w * w *
                       ((double)a[k].r * (double)b[k].r + (double)a[k].i * (double)b[k].i);
        }
        sum += row;
    }
    return sum;
}
