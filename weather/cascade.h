/* SPDX-License-Identifier: Apache-2.0
 *
 * Rain as a cascade: a field in decibels cut into levels of scale by smooth band-pass filters in
 * the Fourier domain, whose weights add to one. Private to the weather room.
 */
#ifndef WEATHER_CASCADE_H
#define WEATHER_CASCADE_H

#include <kiss_fftr.h>
#include <stdint.h>

#include "libgen/base/fail.h"

#define GEN_CASCADE_LEVELS 12 /* at most */

/* The shape of a cascade: a field [height,width] lies in the corner of [rows,columns], sides that
 * transform fast. A spectrum is [rows,columns/2+1], of which all columns but the first and last
 * stand for two. */
typedef struct gen_cascade {
    int64_t height, width, rows, columns, half; /* half = columns/2+1 */
    int64_t n;                                  /* rows * half */
    int levels;
    float *weight; /* [levels,n] */
} gen_cascade;

gen_status gen_cascade_create(gen_cascade *c, int64_t height, int64_t width);
void gen_cascade_free(gen_cascade *c);

/* Transforms of one thread. */
typedef struct gen_fourier {
    kiss_fftr_cfg row[2];   /* forward, inverse */
    kiss_fft_cfg column[2];
    float *field;           /* [rows,columns] */
    kiss_fft_cpx *spectrum; /* [n] */
    kiss_fft_cpx *line[2];  /* [rows] */
} gen_fourier;
gen_status gen_fourier_create(gen_fourier *f, const gen_cascade *c);
void gen_fourier_free(gen_fourier *f);

/* Spectrum of a field [height,width], with `beyond` in the cells around it. */
void gen_fourier_forward(gen_fourier *f, const gen_cascade *c, const float *field, float beyond,
                         kiss_fft_cpx *spectrum);
/* The corner [height,width] of what the spectrum describes. */
void gen_fourier_inverse(gen_fourier *f, const gen_cascade *c, const kiss_fft_cpx *spectrum,
                         float *field);

/* Sum over all places of the full spectrum of weight^2 a conj(b), but for the mean: the covariance
 * of two levels, times (rows*columns)^2. weight may be NULL. */
double gen_cascade_product(const gen_cascade *c, const float *weight, const kiss_fft_cpx *a,
                           const kiss_fft_cpx *b);

#endif
