/* SPDX-License-Identifier: Apache-2.0
 *
 * Radially averaged power spectral density, as pysteps defines it. The two-dimensional transform is
 * rows (two real rows in one complex transform), then the columns of one half, because the other
 * half of a real field's spectrum has the same powers. Rings are of rounded radius in index space;
 * what lies beyond the last ring, in the corners, is left out.
 *
 * KissFFT, as Debian ships it, works in float. The mean, which outweighs all else, is taken off
 * first and put back as the power of radius 0.
 */
#include <string.h>

#include <kiss_fft.h>

#include "libgen/base/fail.h"
#include "metrics/score.h"

/* Of one thread. */
typedef struct scratch {
    kiss_fft_cpx *in, *out; /* [w]: two rows */
    kiss_fft_cpx *half;     /* [w/2+1][h] */
    kiss_fft_cpx *column;   /* [h] */
} scratch;

struct gen_spectrum {
    int64_t h, w, rings;
    kiss_fft_cfg rows, columns;
    int32_t *ring; /* [w/2+1][h/2+1], or -1 */
    double *cells; /* [rings]: places of the spectrum in the ring */
    double *power; /* [fields][rings] */
    scratch *thread;
    int threads;
};

int64_t gen_rapsd_length(int64_t h, int64_t w)
{
    int64_t longer = h > w ? h : w;
    return longer / 2 + longer % 2;
}

static gen_status plan(kiss_fft_cfg *out, int64_t n)
{
    size_t bytes = 0;
    void *memory = NULL;
    kiss_fft_alloc((int)n, 0, NULL, &bytes);
    GEN_TRY(gen_alloc(&memory, 1, bytes, "Fourier transform"));
    *out = kiss_fft_alloc((int)n, 0, memory, &bytes);
    return GEN_OK;
}

/* Places of half of the spectrum stand for two, but for the first column and an even last. */
static double weight(const struct gen_spectrum *p, int64_t x)
{
    return x == 0 || 2 * x == p->w ? 1 : 2;
}

static void find_rings(struct gen_spectrum *p)
{
    for (int64_t x = 0; x <= p->w / 2; x++)
        for (int64_t y = 0; y < p->h; y++) {
            int64_t up = y <= p->h / 2 ? y : p->h - y;
            double radius = rint(sqrt((double)(x * x + up * up)));
            bool in = radius < (double)p->rings;
            p->ring[x * (p->h / 2 + 1) + up] = in ? (int32_t)radius : -1;
            if (in)
                p->cells[(int64_t)radius] += weight(p, x);
        }
}

gen_status gen_spectrum_create(struct gen_spectrum **out, int64_t h, int64_t w, int64_t fields,
                               int threads)
{
    struct gen_spectrum *p;
    GEN_TRY(GEN_ALLOC(out, 1, "spectrum"));
    p = *out;
    p->h = h;
    p->w = w;
    p->rings = gen_rapsd_length(h, w);
    p->threads = threads;
    GEN_TRY(plan(&p->rows, w));
    GEN_TRY(plan(&p->columns, h));
    GEN_TRY(GEN_ALLOC(&p->ring, (w / 2 + 1) * (h / 2 + 1), "rings of the spectrum"));
    GEN_TRY(GEN_ALLOC(&p->cells, p->rings, "rings of the spectrum"));
    GEN_TRY(GEN_ALLOC(&p->power, fields * p->rings, "spectra"));
    GEN_TRY(GEN_ALLOC(&p->thread, threads, "spectrum"));
    for (int i = 0; i < threads; i++) {
        GEN_TRY(GEN_ALLOC(&p->thread[i].in, w, "spectrum"));
        GEN_TRY(GEN_ALLOC(&p->thread[i].out, w, "spectrum"));
        GEN_TRY(GEN_ALLOC(&p->thread[i].half, (w / 2 + 1) * h, "spectrum"));
        GEN_TRY(GEN_ALLOC(&p->thread[i].column, h, "spectrum"));
    }
    find_rings(p);
    return GEN_OK;
}

void gen_spectrum_free(struct gen_spectrum **pointer)
{
    struct gen_spectrum *p = *pointer;
    if (!p)
        return;
    for (int i = 0; p->thread && i < p->threads; i++) {
        gen_free(p->thread[i].in);
        gen_free(p->thread[i].out);
        gen_free(p->thread[i].half);
        gen_free(p->thread[i].column);
    }
    gen_free(p->thread);
    gen_free(p->rows);
    gen_free(p->columns);
    gen_free(p->ring);
    gen_free(p->cells);
    gen_free(p->power);
    gen_free(p);
    *pointer = NULL;
}

/* Missing cells are 0. */
static float value(const float *x, const uint8_t *valid, int64_t i)
{
    return !valid || valid[i] ? x[i] : 0;
}

/* Spectra of rows y and y+1 from one transform: Z = A + iB, and A, B are those of real rows. */
static void transform_rows(const struct gen_spectrum *p, scratch *t, const float *x,
                           const uint8_t *valid, double mean, int64_t y)
{
    bool two = y + 1 < p->h;
    for (int64_t i = 0; i < p->w; i++) {
        t->in[i].r = (float)((double)value(x, valid, y * p->w + i) - mean);
        t->in[i].i = two ? (float)((double)value(x, valid, (y + 1) * p->w + i) - mean) : 0;
    }
    kiss_fft(p->rows, t->in, t->out);
    for (int64_t i = 0; i <= p->w / 2; i++) {
        kiss_fft_cpx a = t->out[i], b = t->out[i ? p->w - i : 0];
        t->half[i * p->h + y] = (kiss_fft_cpx){ (a.r + b.r) / 2, (a.i - b.i) / 2 };
        if (two)
            t->half[i * p->h + y + 1] = (kiss_fft_cpx){ (a.i + b.i) / 2, (b.r - a.r) / 2 };
    }
}

/* power [rings] of one field; valid may be NULL. */
static void measure(const struct gen_spectrum *p, scratch *t, double *power, const float *x,
                    const uint8_t *valid)
{
    double sum = 0, cells = (double)p->h * (double)p->w;
    for (int64_t i = 0; i < p->h * p->w; i++)
        sum += (double)value(x, valid, i);
    for (int64_t y = 0; y < p->h; y += 2)
        transform_rows(p, t, x, valid, sum / cells, y);
    memset(power, 0, (size_t)p->rings * sizeof *power);
    for (int64_t i = 0; i <= p->w / 2; i++) {
        const int32_t *ring = p->ring + i * (p->h / 2 + 1);
        kiss_fft(p->columns, t->half + i * p->h, t->column);
        for (int64_t y = 0; y < p->h; y++) {
            int32_t r = ring[y <= p->h / 2 ? y : p->h - y];
            double re = (double)t->column[y].r, im = (double)t->column[y].i;
            if (r > 0)
                power[r] += weight(p, i) * (re * re + im * im);
        }
    }
    power[0] = sum * sum / cells;
    for (int64_t r = 1; r < p->rings; r++)
        power[r] /= cells * p->cells[r];
}

typedef struct job {
    const gen_case *c;
    const struct gen_spectrum *p;
} job;

/* Field 0 is the observation, then the members, then their mean. */
static void measure_field(void *ctx, int field, int thread)
{
    const job *j = ctx;
    const gen_score *s = j->c->s;
    const float *x = field == 0             ? j->c->observation
                     : field > s->o.members ? s->mean
                                            : j->c->members[field - 1];
    measure(j->p, &j->p->thread[thread], j->p->power + field * j->p->rings, x, s->valid);
}

void gen_spectrum_add(gen_case *c)
{
    gen_score *s = c->s;
    const struct gen_spectrum *p = s->spectrum;
    bool any = memchr(s->valid, 1, (size_t)gen_score_cells(s)) != NULL;
    if (!any)
        return;
    job j = { c, p };
    int64_t k = s->o.members;
    gen_pool_run(s->pool, (int)k + 2, measure_field, &j);
    gen_sum *to = c->sum + s->at.spectra;
    for (int64_t field = 0; field < k + 2; field++) {
        int place = field == 0 ? GEN_PSD_OBSERVED : field > k ? GEN_PSD_MEAN : GEN_PSD_MEMBERS;
        for (int64_t r = 0; r < p->rings; r++)
            gen_sum_add(&to[place * p->rings + r], p->power[field * p->rings + r]);
    }
    c->count[GEN_COUNT_PSD]++;
}

gen_status gen_rapsd(double *power, const float *field, int64_t h, int64_t w, bool normalise)
{
    gen_status status = GEN_OK;
    struct gen_spectrum *p = NULL;
    double sum = 0;
    if (h < 1 || w < 1 || h > INT32_MAX / w)
        return gen_fail(GEN_EINVAL, "spectrum: found %lld x %lld cells", (long long)h,
                        (long long)w);
    for (int64_t i = 0; i < h * w; i++)
        if (!isfinite(field[i]))
            return gen_fail(GEN_EDATA, "spectrum: cell (%lld,%lld) is missing", (long long)(i / w),
                            (long long)(i % w));
    GEN_GOTO(gen_spectrum_create(&p, h, w, 1, 1));
    measure(p, p->thread, power, field, NULL);
    for (int64_t r = 0; r < p->rings; r++)
        sum += power[r];
    for (int64_t r = 0; normalise && sum > 0 && r < p->rings; r++)
        power[r] /= sum;
done:
    gen_spectrum_free(&p);
    return status;
}
